package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net/http"
	"strings"
)

// provider is a kind of Git server.
type provider struct {
	// name for people.
	name string
	// key names it in directories of secrets.
	key string
	// credential is the header that proves who sent an event.
	credential string
	// sent tells by the headers that this provider sent a request.
	sent func(h http.Header) bool
	// proven reports whether the sender knows the secret, which is not empty, in
	// constant time.
	proven func(h http.Header, body, secret []byte) bool
	// kind tells push events from others by the headers, as far as they do.
	kind func(h http.Header) kind
	// read reads a push event. It never panics, and passes over values of
	// unexpected types.
	read func(p *provider, payload object) (Event, error)
}

// kind of an event.
type kind int

const (
	push kind = iota
	ping
	other
)

// providers in the order in which they are recognised: servers that imitate
// GitHub send its headers too.
var providers = []*provider{gitea, gitLab, bitbucketCloud, bitbucketServer, azure, gitHub}

// providerOf a request. One without any telling header is taken for GitHub's,
// whose format others imitate and people send by hand.
func providerOf(h http.Header) *provider {
	for _, p := range providers {
		if p.sent(h) {
			return p
		}
	}
	return gitHub
}

func has(names ...string) func(http.Header) bool {
	return func(h http.Header) bool {
		for _, n := range names {
			if h.Get(n) != "" {
				return true
			}
		}
		return false
	}
}

// signedHex checks an HMAC-SHA256 of the body in hexadecimal digits.
func signedHex(digits string, body, secret []byte) bool {
	got, err := hex.DecodeString(digits)
	if err != nil {
		return false
	}
	mac := hmac.New(sha256.New, secret)
	mac.Write(body)
	return hmac.Equal(got, mac.Sum(nil))
}

// signedHeader checks a header "sha256=" and digits, as GitHub began it.
func signedHeader(name string) func(h http.Header, body, secret []byte) bool {
	return func(h http.Header, body, secret []byte) bool {
		digits, ok := strings.CutPrefix(h.Get(name), "sha256=")
		return ok && signedHex(digits, body, secret)
	}
}

// same compares without telling by its time where two texts differ, nor how
// long the secret is.
func same(got, secret []byte) bool {
	a, b := sha256.Sum256(got), sha256.Sum256(secret)
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}
