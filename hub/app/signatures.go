package app

import (
	"context"
	"sync"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/hub/source"
	"github.com/hawser-dev/hawser/hub/store"
	"github.com/hawser-dev/hawser/shared/policy"
)

// verifier verifies signatures with the keys at the hub. It implements
// delivery.Verifier.
type verifier struct {
	sources *source.Sources
	store   *store.Store

	mu   sync.Mutex
	keys []string // in ASCII armour
	read bool
}

func (v *verifier) Verify(ctx context.Context, t fleet.Target, commit, tag string, mode policy.SignatureMode) (policy.SignatureFacts, error) {
	keys, err := v.all(ctx)
	if err != nil {
		return policy.SignatureFacts{}, err
	}
	return v.sources.Verify(ctx, t, commit, tag, mode, keys)
}

// Verified implements delivery.Verifier.
func (v *verifier) Verified(t fleet.Target, commit, tag string, mode policy.SignatureMode) (policy.SignatureFacts, bool) {
	v.mu.Lock()
	keys, read := v.keys, v.read
	v.mu.Unlock()
	if !read {
		return policy.SignatureFacts{}, false
	}
	return v.sources.Verified(t, commit, tag, mode, keys)
}

// all are the keys, read once until they change.
func (v *verifier) all(ctx context.Context) ([]string, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.read {
		return v.keys, nil
	}
	list, err := v.store.GPGKeys(ctx)
	if err != nil {
		return nil, err
	}
	v.keys = make([]string, len(list))
	for i, k := range list {
		v.keys[i] = k.Armored
	}
	v.read = true
	return v.keys, nil
}

// changed has the keys read again.
func (v *verifier) changed() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.read = false
}

// keysChanged has everything judged again by the keys that there are now.
func (h *hub) keysChanged() {
	h.verifier.changed()
	h.delivery.KeysChanged()
}
