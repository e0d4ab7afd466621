package wire

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/hawser-dev/hawser/shared/fault"
)

// CAHash is what an operator pins: "sha256:" and the hexadecimal SHA-256 of
// the certificate's public key (its SubjectPublicKeyInfo), so that it survives
// a renewal of the CA certificate with the same key.
func CAHash(ca *x509.Certificate) string {
	sum := sha256.Sum256(ca.RawSubjectPublicKeyInfo)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// ParseCAHash checks a pin that a person gave and returns its canonical form.
func ParseCAHash(s string) (string, error) {
	c := strings.ToLower(strings.TrimSpace(s))
	if !validDigest(c) {
		return "", fault.New(fault.Invalid, "ca_hash_invalid", "the hub CA hash must be \"sha256:\" and 64 hexadecimal digits").
			WithFix("copy it from the answer of `hawser cluster enroll`")
	}
	return c, nil
}

// IncarnationText is what the hub CA signs (ECDSA over its SHA-256) to vouch
// for an incarnation.
func IncarnationText(hubID string, incarnation int64) []byte {
	return fmt.Appendf(nil, "hawser-incarnation-v1\n%s\n%d", hubID, incarnation)
}

// VerifyIncarnation checks a signature over IncarnationText with the pinned CA.
func VerifyIncarnation(ca *x509.Certificate, hubID string, incarnation int64, signature []byte) error {
	key, ok := ca.PublicKey.(*ecdsa.PublicKey)
	if !ok {
		return fault.New(fault.Unauthorized, "incarnation_signature_invalid", "the pinned hub CA has no ECDSA key")
	}
	sum := sha256.Sum256(IncarnationText(hubID, incarnation))
	if !ecdsa.VerifyASN1(key, sum[:], signature) {
		return fault.New(fault.Unauthorized, "incarnation_signature_invalid",
			"incarnation %d of hub %s is not signed by the pinned hub CA", incarnation, hubID)
	}
	return nil
}
