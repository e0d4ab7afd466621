package oidc

import (
	"encoding/base64"
	"encoding/json"
	"strings"

	"github.com/go-jose/go-jose/v4"

	"github.com/hawser-dev/hawser/shared/fault"
)

const (
	// maxToken and maxHeader bound an ID token and its first part before anything
	// of it is parsed.
	maxToken  = 64 << 10
	maxHeader = 8 << 10
)

// algorithms that ID tokens may be signed with: never none, and never one whose key
// is a secret that both have.
var algorithms = []jose.SignatureAlgorithm{jose.RS256, jose.ES256, jose.PS256, jose.EdDSA}

// header is what is used of a token's first part. Keys and places of keys that it
// names are not.
type header struct {
	alg jose.SignatureAlgorithm
	kid string
}

// readHeader judges a token before its signature is looked at. Codes:
// oidc_token_malformed, oidc_token_algorithm (Unauthorized).
func readHeader(raw string) (header, error) {
	malformed := func(why string) error {
		return fault.New(fault.Unauthorized, "oidc_token_malformed", "the provider's ID token cannot be read: %s", why)
	}
	switch {
	case len(raw) > maxToken:
		return header{}, malformed("it is larger than 64 KiB")
	case strings.Count(raw, ".") != 2: // five parts would be encrypted
		return header{}, malformed("it has not three parts")
	}
	first, _, _ := strings.Cut(raw, ".")
	if len(first) > maxHeader {
		return header{}, malformed("its header is larger than 8 KiB")
	}
	b, err := base64.RawURLEncoding.DecodeString(first)
	if err != nil {
		return header{}, malformed("its header is not base64url")
	}
	// A map, as struct fields would be found in other letter cases too.
	var members map[string]json.RawMessage
	if err := json.Unmarshal(b, &members); err != nil {
		return header{}, malformed("its header is not a JSON object")
	}
	if _, ok := members["crit"]; ok {
		return header{}, malformed("it has extensions that must be understood")
	}
	var h header
	for name, to := range map[string]any{"alg": &h.alg, "kid": &h.kid} {
		if one, ok := members[name]; ok {
			if err := json.Unmarshal(one, to); err != nil {
				return header{}, malformed("its header has a " + name + " that is no text")
			}
		}
	}
	for _, a := range algorithms {
		if h.alg == a {
			return h, nil
		}
	}
	return header{}, fault.New(fault.Unauthorized, "oidc_token_algorithm", "the provider's ID token is signed with an algorithm that is not taken").
		WithFound(short(string(h.alg)), "RS256, ES256, PS256, EdDSA")
}

func short(s string) string {
	if len(s) > 60 {
		s = s[:57] + "..."
	}
	return strings.ToValidUTF8(s, "")
}
