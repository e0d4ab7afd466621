package vault

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/aead/aesgcm"
	"github.com/tink-crypto/tink-go/v2/insecuresecretdataaccess"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/secretdata"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/hawser-dev/hawser/shared/fault"
)

// KeySize of a key in bytes.
const KeySize = 32

// prefixSize of a sealed value: one byte that says how the rest is made, four
// bytes of key version.
const prefixSize = 5

// Box seals and opens. It is safe for concurrent use.
//
// It has the keys of the key file, and may learn versions that the database keeps,
// sealed with one of those. It seals with the version that was last given to Use,
// at first with the first key of the file.
type Box struct {
	mu      sync.RWMutex
	keys    map[uint32]held
	files   []uint32 // versions of the key file's keys, the first first
	primary uint32
}

// held is one version. Values of learnt versions are bound to the version too: the
// key file's keys are older than that.
type held struct {
	aead   tink.AEAD
	learnt bool
}

func (k held) place(version uint32, aad string) []byte {
	if k.learnt {
		return fmt.Appendf(nil, "%s\x00key %08x", aad, version)
	}
	return []byte(aad)
}

// New makes a Box that seals with the first key and opens with any.
func New(keys ...[]byte) (*Box, error) {
	if len(keys) == 0 {
		return nil, fault.New(fault.Invalid, "vault_key_missing", "the vault needs a key")
	}
	b := &Box{keys: map[uint32]held{}}
	for i, raw := range keys {
		if len(raw) != KeySize {
			return nil, fault.New(fault.Invalid, "vault_key_invalid", "vault key %d has %d bytes, %d are needed", i+1, len(raw), KeySize)
		}
		version := keyVersion(raw)
		if _, ok := b.keys[version]; ok {
			return nil, fault.New(fault.Invalid, "vault_key_invalid", "vault key %d is given twice", i+1)
		}
		a, err := primitive(raw, version)
		if err != nil {
			return nil, err
		}
		b.keys[version] = held{aead: a}
		b.files = append(b.files, version)
	}
	b.primary = b.files[0]
	return b, nil
}

// primitive is AES-256-GCM under one key, whose version is before each value.
func primitive(raw []byte, version uint32) (tink.AEAD, error) {
	params, err := aesgcm.NewParameters(aesgcm.ParametersOpts{
		KeySizeInBytes: KeySize, IVSizeInBytes: 12, TagSizeInBytes: 16, Variant: aesgcm.VariantTink,
	})
	if err != nil {
		return nil, fmt.Errorf("vault: %w", err)
	}
	k, err := aesgcm.NewKey(secretdata.NewBytesFromData(raw, insecuresecretdataaccess.Token{}), version, params)
	if err != nil {
		return nil, fmt.Errorf("vault: %w", err)
	}
	m := keyset.NewManager()
	id, err := m.AddKey(k)
	if err != nil {
		return nil, fmt.Errorf("vault: %w", err)
	}
	if err := m.SetPrimary(id); err != nil {
		return nil, fmt.Errorf("vault: %w", err)
	}
	h, err := m.Handle()
	if err != nil {
		return nil, fmt.Errorf("vault: %w", err)
	}
	a, err := aead.New(h)
	if err != nil {
		return nil, fmt.Errorf("vault: %w", err)
	}
	return a, nil
}

// Seal encrypts plain for the place that aad names, as "table/column/row".
func (b *Box) Seal(plain []byte, aad string) ([]byte, error) {
	b.mu.RLock()
	version := b.primary
	k := b.keys[version]
	b.mu.RUnlock()
	return seal(k, version, plain, aad)
}

func seal(k held, version uint32, plain []byte, aad string) ([]byte, error) {
	sealed, err := k.aead.Encrypt(plain, k.place(version, aad))
	if err != nil {
		return nil, fault.Wrap(err, fault.Internal, "vault_seal", "a value could not be sealed")
	}
	return sealed, nil
}

// Open decrypts a value that was sealed for the same place. Codes:
// vault_key_unknown when it was sealed with a key that this vault does not
// have, vault_value_damaged when it was changed, cut or moved.
func (b *Box) Open(sealed []byte, aad string) ([]byte, error) {
	version, ok := Version(sealed)
	if !ok {
		return nil, damaged(errors.New("too short"))
	}
	b.mu.RLock()
	k, ok := b.keys[version]
	b.mu.RUnlock()
	if !ok {
		return nil, unknown("a stored value", version)
	}
	plain, err := k.aead.Decrypt(sealed, k.place(version, aad))
	if err != nil {
		return nil, damaged(err)
	}
	return plain, nil
}

func unknown(what string, version uint32) error {
	return fault.New(fault.Internal, "vault_key_unknown",
		"%s was sealed with key version %08x, which the hub's vault does not have", what, version).
		WithFix("start the hub with the vault key that this database was used with (HAWSER_VAULT_KEY or the key file); a lost key cannot be replaced")
}

func damaged(cause error) error {
	return fault.Wrap(cause, fault.Internal, "vault_value_damaged", "a stored secret value was damaged or moved to another place")
}

// Version of the key that a value was sealed with.
func Version(sealed []byte) (uint32, bool) {
	if len(sealed) < prefixSize {
		return 0, false
	}
	return binary.BigEndian.Uint32(sealed[1:prefixSize]), true
}

// Primary is the version of the key that Seal uses.
func (b *Box) Primary() uint32 {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.primary
}

// keyVersion names a key without telling it.
func keyVersion(raw []byte) uint32 {
	sum := sha256.Sum256(append([]byte("hawser-vault-key-version\n"), raw...))
	v := binary.BigEndian.Uint32(sum[:4])
	if v == 0 {
		v = 1 // zero means "no version" to Tink
	}
	return v
}
