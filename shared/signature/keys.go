package signature

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"github.com/hawser-dev/hawser/shared/fault"
)

// Bounds of what is read as keys.
const (
	MaxKeyBytes = 256 << 10
	maxEntities = 50
)

// Key is a public key.
type Key struct {
	// ID is the last 16 digits of the fingerprint, in capitals.
	ID          string    `json:"keyID"`
	Fingerprint string    `json:"fingerprint"`
	Owner       string    `json:"owner"`
	SubType     string    `json:"subType"` // rsa4096, ed25519
	SubKeys     []string  `json:"subKeys,omitempty"`
	CreatedAt   time.Time `json:"createdAt"`
	// ExpiresAt is nil for a key that does not expire.
	ExpiresAt *time.Time `json:"expiresAt,omitempty"`
	Revoked   bool       `json:"revoked,omitempty"`
	// Armored is the key alone, in ASCII.
	Armored string `json:"keyData,omitempty"`
}

// ParseKeys reads public keys in ASCII armour, one block or several, or in binary.
// The errors are faults; secret keys are refused without being kept.
func ParseKeys(text []byte) ([]Key, error) {
	if len(text) > MaxKeyBytes {
		return nil, fault.New(fault.TooLarge, "gpg_key_too_large", "the keys have more than %d KiB", MaxKeyBytes>>10)
	}
	list, err := entities(text)
	if err != nil {
		return nil, err
	}
	out := make([]Key, 0, len(list))
	for _, e := range list {
		k, err := describe(e)
		if err != nil {
			return nil, err
		}
		out = append(out, k)
	}
	return out, nil
}

func invalidKey(cause error, format string, args ...any) error {
	return fault.Wrap(cause, fault.Invalid, "gpg_key_invalid", format, args...).WithFix("export the public key with: gpg --armor --export KEY")
}

func entities(text []byte) (openpgp.EntityList, error) {
	var blocks [][]byte
	if bytes.Contains(text, []byte("-----BEGIN ")) {
		if bytes.Contains(text, []byte("PRIVATE KEY BLOCK")) {
			return nil, fault.New(fault.Invalid, "gpg_key_secret", "this is a secret key, which nobody but its owner may have; it is not kept").
				WithFix("export the public key with: gpg --armor --export KEY")
		}
		rest := bufio.NewReader(bytes.NewReader(text)) // what was read ahead is of the next block
		for {
			block, err := armor.Decode(rest)
			if err == io.EOF {
				break
			}
			if err != nil {
				return nil, invalidKey(err, "the ASCII armour of the key is broken")
			}
			if block.Type != openpgp.PublicKeyType {
				return nil, invalidKey(nil, "this is a %.40q and not a public key", strings.ToLower(block.Type))
			}
			body, err := io.ReadAll(io.LimitReader(block.Body, MaxKeyBytes))
			if err != nil {
				return nil, invalidKey(err, "the ASCII armour of the key is broken")
			}
			blocks = append(blocks, body)
			if len(blocks) > maxEntities {
				break
			}
		}
	} else {
		blocks = [][]byte{text}
	}
	var out openpgp.EntityList
	for _, body := range blocks {
		list, err := openpgp.ReadKeyRing(bytes.NewReader(body))
		if err != nil {
			return nil, invalidKey(err, "no public key can be read")
		}
		out = append(out, list...)
	}
	if len(out) == 0 {
		return nil, invalidKey(nil, "there is no key")
	}
	if len(out) > maxEntities {
		return nil, fault.New(fault.TooLarge, "gpg_key_too_large", "there are more than %d keys", maxEntities)
	}
	for _, e := range out {
		if e.PrivateKey != nil {
			return nil, fault.New(fault.Invalid, "gpg_key_secret", "this is a secret key, which nobody but its owner may have; it is not kept").
				WithFix("export the public key with: gpg --armor --export KEY")
		}
	}
	return out, nil
}

func describe(e *openpgp.Entity) (Key, error) {
	fingerprint := e.PrimaryKey.Fingerprint
	if e.PrimaryKey.Version != 4 || len(fingerprint) != 20 {
		return Key{}, invalidKey(nil, "the key is of version %d; keys of version 4 are taken", e.PrimaryKey.Version)
	}
	k := Key{Fingerprint: strings.ToUpper(hex.EncodeToString(fingerprint)), SubType: subType(e.PrimaryKey), CreatedAt: e.PrimaryKey.CreationTime.UTC()}
	k.ID = k.Fingerprint[len(k.Fingerprint)-16:]
	self, identity := e.PrimarySelfSignature()
	if self == nil {
		return Key{}, invalidKey(nil, "key %s has no signature of its own", k.ID)
	}
	if identity != nil {
		k.Owner = clean(identity.Name)
	}
	if s := self.KeyLifetimeSecs; s != nil && *s > 0 {
		at := k.CreatedAt.Add(time.Duration(*s) * time.Second)
		k.ExpiresAt = &at
	}
	k.Revoked = len(e.Revocations) > 0
	for _, s := range e.Subkeys {
		k.SubKeys = append(k.SubKeys, keyID(s.PublicKey.KeyId))
	}
	var b bytes.Buffer
	w, err := armor.Encode(&b, openpgp.PublicKeyType, nil)
	if err == nil {
		err = e.Serialize(w)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return Key{}, invalidKey(err, "key %s cannot be written down", k.ID)
	}
	b.WriteByte('\n')
	k.Armored = b.String()
	return k, nil
}

func keyID(id uint64) string { return fmt.Sprintf("%016X", id) }

func subType(k *packet.PublicKey) string {
	bits, _ := k.BitLength()
	switch k.PubKeyAlgo {
	case packet.PubKeyAlgoRSA, packet.PubKeyAlgoRSASignOnly, packet.PubKeyAlgoRSAEncryptOnly:
		return fmt.Sprintf("rsa%d", bits)
	case packet.PubKeyAlgoDSA:
		return fmt.Sprintf("dsa%d", bits)
	case packet.PubKeyAlgoEdDSA, packet.PubKeyAlgoEd25519:
		return "ed25519"
	case packet.PubKeyAlgoECDSA:
		return "ecdsa"
	case packet.PubKeyAlgoEd448:
		return "ed448"
	}
	return "other"
}

// clean is text of a key's owner without what moves a cursor, and bounded.
func clean(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == '\u2028' || r == '\u2029' || r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069' {
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, "\ufffd"))
	if r := []rune(text); len(r) > 200 {
		return string(r[:200])
	}
	return text
}
