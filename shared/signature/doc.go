// Package signature reads GnuPG public keys and verifies with them who has signed
// a Git commit or an annotated tag.
//
// It is pure: bytes in, facts out. The bytes are those of the object as Git stores
// them, because a parser that reads a commit otherwise than Git does would verify
// something else than what is deployed; what can be read in two ways is malformed
// and good for nothing. Whether a signature is enough is shared/policy's question.
//
// It knows no trust among keys: a key is trusted because an administrator has put
// it at the hub and a project names it, as in Argo CD. Signatures of SSH and X.509
// are recognised and not verified. hub/source calls it in its worker processes, and
// hub/api for keys that are added.
package signature
