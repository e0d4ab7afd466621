package vault

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

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
type Box struct {
	aead     tink.AEAD
	versions map[uint32]bool
	primary  uint32
}

// New makes a Box that seals with the first key and opens with any.
func New(keys ...[]byte) (*Box, error) {
	if len(keys) == 0 {
		return nil, fault.New(fault.Invalid, "vault_key_missing", "the vault needs a key")
	}
	params, err := aesgcm.NewParameters(aesgcm.ParametersOpts{
		KeySizeInBytes: KeySize, IVSizeInBytes: 12, TagSizeInBytes: 16, Variant: aesgcm.VariantTink,
	})
	if err != nil {
		return nil, fmt.Errorf("vault: %w", err)
	}
	b := &Box{versions: map[uint32]bool{}}
	m := keyset.NewManager()
	for i, raw := range keys {
		if len(raw) != KeySize {
			return nil, fault.New(fault.Invalid, "vault_key_invalid", "vault key %d has %d bytes, %d are needed", i+1, len(raw), KeySize)
		}
		version := keyVersion(raw)
		if b.versions[version] {
			return nil, fault.New(fault.Invalid, "vault_key_invalid", "vault key %d is given twice", i+1)
		}
		b.versions[version] = true
		k, err := aesgcm.NewKey(secretdata.NewBytesFromData(raw, insecuresecretdataaccess.Token{}), version, params)
		if err != nil {
			return nil, fmt.Errorf("vault: %w", err)
		}
		id, err := m.AddKey(k)
		if err != nil {
			return nil, fmt.Errorf("vault: %w", err)
		}
		if i == 0 {
			b.primary = id
			if err := m.SetPrimary(id); err != nil {
				return nil, fmt.Errorf("vault: %w", err)
			}
		}
	}
	h, err := m.Handle()
	if err != nil {
		return nil, fmt.Errorf("vault: %w", err)
	}
	if b.aead, err = aead.New(h); err != nil {
		return nil, fmt.Errorf("vault: %w", err)
	}
	return b, nil
}

// Seal encrypts plain for the place that aad names, as "table/column/row".
func (b *Box) Seal(plain []byte, aad string) ([]byte, error) {
	sealed, err := b.aead.Encrypt(plain, []byte(aad))
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
	if !b.versions[version] {
		return nil, fault.New(fault.Internal, "vault_key_unknown",
			"a stored value was sealed with key version %08x, which the hub's vault does not have", version).
			WithFix("start the hub with the vault key that this database was used with (HAWSER_VAULT_KEY or the key file); a lost key cannot be replaced")
	}
	plain, err := b.aead.Decrypt(sealed, []byte(aad))
	if err != nil {
		return nil, damaged(err)
	}
	return plain, nil
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
func (b *Box) Primary() uint32 { return b.primary }

// keyVersion names a key without telling it.
func keyVersion(raw []byte) uint32 {
	sum := sha256.Sum256(append([]byte("hawser-vault-key-version\n"), raw...))
	v := binary.BigEndian.Uint32(sum[:4])
	if v == 0 {
		v = 1 // zero means "no version" to Tink
	}
	return v
}
