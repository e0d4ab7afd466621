// Package wire translates between the messages of proto/hawser/agent/v1 and
// the values of shared/model, and holds the two things that both ends must
// compute alike: the hash that pins the hub's CA, and the text that the CA
// signs to vouch for an incarnation.
//
// Translation is strict: a missing part, an unknown word or JSON that does not
// decode is a fault.Invalid with code wire_invalid, so that the rest of the
// program sees only well-formed values. It does no I/O. hub/gateway and
// agent/link call it, nothing else.
package wire
