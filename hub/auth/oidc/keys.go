package oidc

import (
	"context"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/hawser-dev/hawser/shared/fault"
)

const (
	// keysPause is how long a provider is not asked for its keys again, whatever
	// tokens name; keysAge after how long they are read anew, so that one that is
	// withdrawn is not taken for long.
	keysPause = 30 * time.Second
	keysAge   = 10 * time.Minute
	maxKeys   = 100
	minRSA    = 2048
)

// keys are those that a provider signs with. It is safe for concurrent use.
type keys struct {
	now   func() time.Time
	fetch func(ctx context.Context) ([]byte, error)

	mu    sync.Mutex
	known []jose.JSONWebKey
	asked time.Time // also in vain
	read  time.Time
}

// verify checks the signature of a token whose header is good, and returns its
// claims. Codes: oidc_key_unknown, oidc_token_signature, oidc_token_malformed
// (Unauthorized), oidc_keys_unavailable (Upstream).
func (k *keys) verify(ctx context.Context, h header, raw string) ([]byte, error) {
	candidates, err := k.find(ctx, h)
	if err != nil {
		return nil, err
	}
	signed, err := jose.ParseSigned(raw, []jose.SignatureAlgorithm{h.alg})
	if err != nil || len(signed.Signatures) != 1 {
		return nil, fault.New(fault.Unauthorized, "oidc_token_malformed", "the provider's ID token cannot be read")
	}
	for _, key := range candidates {
		if payload, err := signed.Verify(key.Key); err == nil {
			return payload, nil
		}
	}
	return nil, fault.New(fault.Unauthorized, "oidc_token_signature", "the signature of the provider's ID token is wrong")
}

// VerifySignature is verify for the library, of a token whose header it has not read.
func (k *keys) VerifySignature(ctx context.Context, raw string) ([]byte, error) {
	h, err := readHeader(raw)
	if err != nil {
		return nil, err
	}
	return k.verify(ctx, h, raw)
}

// find returns the keys that may have signed a token.
func (k *keys) find(ctx context.Context, h header) ([]jose.JSONWebKey, error) {
	k.mu.Lock()
	defer k.mu.Unlock() // others wait for the same answer
	now := k.now()
	found := k.fitting(h)
	if len(found) > 0 && now.Sub(k.read) < keysAge {
		return found, nil
	}
	if !k.asked.IsZero() && now.Sub(k.asked) < keysPause {
		if len(found) > 0 {
			return found, nil
		}
		return nil, k.unknown()
	}
	body, err := k.fetch(ctx)
	if ctx.Err() == nil {
		k.asked = now // somebody who goes away does not keep others from asking
	}
	if err == nil {
		var set []jose.JSONWebKey
		if set, err = readKeys(body); err == nil {
			k.known, k.read = set, now
			if found = k.fitting(h); len(found) == 0 {
				return nil, k.unknown()
			}
			return found, nil
		}
	}
	if len(found) > 0 {
		return found, nil // the provider is away; what is known goes on working
	}
	if fault.HasCode(err, "oidc_tls_untrusted") {
		return nil, err
	}
	return nil, fault.Wrap(err, fault.Upstream, "oidc_keys_unavailable", "the keys of the identity provider cannot be read")
}

func (k *keys) unknown() error {
	if k.read.IsZero() {
		return fault.New(fault.Upstream, "oidc_keys_unavailable", "the keys of the identity provider cannot be read")
	}
	return fault.New(fault.Unauthorized, "oidc_key_unknown", "the provider's ID token is signed with a key that the provider does not publish").
		WithFix("try again in %s if the provider has just changed its keys", keysPause)
}

// fitting are the known keys that a token with the header may be signed with.
func (k *keys) fitting(h header) (out []jose.JSONWebKey) {
	for _, key := range k.known {
		if (h.kid == "" || key.KeyID == h.kid) && (key.Algorithm == "" || key.Algorithm == string(h.alg)) {
			out = append(out, key)
		}
	}
	return out
}

// readKeys reads a JWK set. Keys of kinds that are not known are left out; secrets,
// short keys and those for other uses are not taken.
func readKeys(body []byte) ([]jose.JSONWebKey, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(body, &set); err != nil {
		return nil, err
	}
	if len(set.Keys) > maxKeys {
		return nil, errors.New("too many keys")
	}
	var out []jose.JSONWebKey
	for _, raw := range set.Keys {
		var key jose.JSONWebKey
		if json.Unmarshal(raw, &key) != nil || !key.Valid() || !key.IsPublic() || key.Use != "" && key.Use != "sig" {
			continue
		}
		if public, ok := key.Key.(*rsa.PublicKey); ok && public.N.BitLen() < minRSA {
			continue
		}
		out = append(out, key)
	}
	if len(out) == 0 {
		return nil, errors.New("there is no key that signatures can be checked with")
	}
	return out, nil
}
