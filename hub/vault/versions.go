package vault

import (
	"crypto/rand"
	"fmt"
	"slices"
)

// wrapPlace binds a key that is kept sealed to its version.
func wrapPlace(version uint32) string { return fmt.Sprintf("vault_keys/wrapped/%08x", version) }

// Make makes a new version and returns it sealed with the first key of the key
// file. The Box knows it once it is given to Learn.
func (b *Box) Make() (version uint32, wrapped []byte, err error) {
	raw := make([]byte, KeySize)
	_, _ = rand.Read(raw) // never fails
	defer clear(raw)
	version = keyVersion(raw)
	wrapped, err = b.wrap(raw, version)
	return version, wrapped, err
}

func (b *Box) wrap(raw []byte, version uint32) ([]byte, error) {
	b.mu.RLock()
	first := b.files[0]
	k := b.keys[first]
	b.mu.RUnlock()
	return seal(k, first, raw, wrapPlace(version))
}

// Learn adds a version that Make made, here or elsewhere. A version that is known
// stays. Codes: vault_key_unknown when the key file lacks what it is sealed with,
// vault_value_damaged.
func (b *Box) Learn(version uint32, wrapped []byte) error {
	if b.Knows(version) {
		return nil
	}
	raw, err := b.unwrap(version, wrapped)
	if err != nil {
		return err
	}
	defer clear(raw)
	a, err := primitive(raw, version)
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.keys[version] = held{aead: a, learnt: true}
	return nil
}

// unwrap opens a kept key with a key of the key file; no learnt one will do.
func (b *Box) unwrap(version uint32, wrapped []byte) ([]byte, error) {
	with, ok := Version(wrapped)
	if !ok {
		return nil, damaged(fmt.Errorf("too short"))
	}
	b.mu.RLock()
	k, known := b.keys[with]
	known = known && !k.learnt
	b.mu.RUnlock()
	if !known {
		return nil, unknown("key version "+fmt.Sprintf("%08x", version), with)
	}
	raw, err := k.aead.Decrypt(wrapped, k.place(with, wrapPlace(version)))
	if err != nil {
		return nil, damaged(err)
	}
	if keyVersion(raw) != version {
		clear(raw)
		return nil, damaged(fmt.Errorf("another key"))
	}
	return raw, nil
}

// Rewrap is a kept key sealed with the first key of the key file. changed is false
// when it is that already.
func (b *Box) Rewrap(version uint32, wrapped []byte) (_ []byte, changed bool, err error) {
	if with, ok := Version(wrapped); ok && with == b.FileVersions()[0] {
		return wrapped, false, nil
	}
	raw, err := b.unwrap(version, wrapped)
	if err != nil {
		return nil, false, err
	}
	defer clear(raw)
	again, err := b.wrap(raw, version)
	return again, err == nil, err
}

// Use makes a version the one that seals. It must be known.
func (b *Box) Use(version uint32) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, ok := b.keys[version]; !ok {
		return unknown("what the hub stores", version)
	}
	b.primary = version
	return nil
}

// Forget drops a learnt version. One of the key file stays, as does the one that
// seals.
func (b *Box) Forget(version uint32) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if k, ok := b.keys[version]; ok && k.learnt && b.primary != version {
		delete(b.keys, version)
	}
}

// Knows reports whether values of a version can be opened.
func (b *Box) Knows(version uint32) bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	_, ok := b.keys[version]
	return ok
}

// Versions that can be opened, in the order of their numbers.
func (b *Box) Versions() []uint32 {
	b.mu.RLock()
	defer b.mu.RUnlock()
	out := make([]uint32, 0, len(b.keys))
	for v := range b.keys {
		out = append(out, v)
	}
	slices.Sort(out)
	return out
}

// FileVersions are those of the keys of the key file, in its order.
func (b *Box) FileVersions() []uint32 { return slices.Clone(b.files) }
