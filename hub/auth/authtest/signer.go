package authtest

import (
	"crypto/hmac"
	"crypto/sha256"
)

// Signer is an auth.Signer whose key is the string.
type Signer string

// Sign never fails.
func (s Signer) Sign(text []byte) ([]byte, error) {
	h := hmac.New(sha256.New, []byte(s))
	h.Write(text) // a hash takes everything
	return h.Sum(nil), nil
}

// Signed reports whether a Signer with the same key has signed the text.
func (s Signer) Signed(text, signature []byte) bool {
	want, _ := s.Sign(text)
	return hmac.Equal(want, signature)
}
