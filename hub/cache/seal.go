package cache

import (
	"bytes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"time"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/hawser-dev/hawser/shared/fault"
)

// A sealed value is a header, a nonce and the ciphertext. The header is a byte for
// the format, when the value runs out (Unix milliseconds) and its own name.
const (
	sealFormat = 1
	headerSize = 1 + 8 + sha256.Size
	overhead   = headerSize + chacha20poly1305.NonceSizeX + chacha20poly1305.Overhead
	// clockSkew is by how much the clocks of hubs may differ before a value that
	// outlived its time is one that somebody put back.
	clockSkew = 5 * time.Minute
)

var (
	errExpired  = errors.New("it ran out")
	errReplayed = errors.New("it ran out long ago")
	errMoved    = errors.New("it is the value of another name")
	errDamaged  = errors.New("it was changed, cut or made by somebody else")
)

// sealer names and seals the values of one tenant: all hubs of one database.
type sealer struct {
	tenant string
	naming []byte
	aead   cipher.AEAD
}

// newSealer derives the tenant's keys. secret has 32 random bytes.
func newSealer(secret []byte, tenant string) (*sealer, error) {
	if len(secret) < 32 {
		return nil, fault.New(fault.Internal, "internal", "the key of the shared cache has %d bytes", len(secret))
	}
	key := func(use string) ([]byte, error) {
		return hkdf.Key(sha256.New, secret, []byte(tenant), "hawser cache 1 "+use, 32)
	}
	naming, err := key("names")
	if err != nil {
		return nil, err
	}
	sealing, err := key("values")
	if err != nil {
		return nil, err
	}
	// Nonces are random, of which this cipher takes as many as anybody makes.
	aead, err := chacha20poly1305.NewX(sealing)
	if err != nil {
		return nil, err
	}
	return &sealer{tenant, naming, aead}, nil
}

// name is what a key is called outside: nobody can read, guess or check anything
// in it.
func (s *sealer) name(sp Space, key string) [sha256.Size]byte {
	mac := hmac.New(sha256.New, s.naming)
	mac.Write(parts(sp.Name, sp.Schema, key))
	return [sha256.Size]byte(mac.Sum(nil))
}

func outside(name [sha256.Size]byte) string {
	return "hawser:" + base64.RawURLEncoding.EncodeToString(name[:])
}

// parts joins texts so that no two lists are the same.
func parts(texts ...string) []byte {
	var out []byte
	for _, t := range texts {
		out = binary.AppendUvarint(out, uint64(len(t)))
		out = append(out, t...)
	}
	return out
}

func (s *sealer) associated(header []byte, schema string) []byte {
	return parts("hawser cache", string(header[headerSize-sha256.Size:headerSize]), s.tenant, schema, string(header[:headerSize-sha256.Size]))
}

func (s *sealer) seal(name [sha256.Size]byte, schema string, until time.Time, value []byte) []byte {
	out := make([]byte, headerSize+chacha20poly1305.NonceSizeX, overhead+len(value))
	out[0] = sealFormat
	binary.BigEndian.PutUint64(out[1:], uint64(until.UnixMilli()))
	copy(out[9:], name[:])
	nonce := out[headerSize:]
	_, _ = rand.Read(nonce) // never fails
	return s.aead.Seal(out, nonce, value, s.associated(out, schema))
}

// open returns the value that was sealed under a name, or why there is none.
func (s *sealer) open(name [sha256.Size]byte, schema string, now time.Time, sealed []byte) ([]byte, error) {
	if len(sealed) < overhead || sealed[0] != sealFormat {
		return nil, errDamaged
	}
	if !bytes.Equal(sealed[9:headerSize], name[:]) {
		return nil, errMoved
	}
	header, nonce, text := sealed[:headerSize], sealed[headerSize:headerSize+chacha20poly1305.NonceSizeX], sealed[headerSize+chacha20poly1305.NonceSizeX:]
	value, err := s.aead.Open(nil, nonce, text, s.associated(header, schema))
	if err != nil {
		return nil, errDamaged
	}
	until := time.UnixMilli(int64(binary.BigEndian.Uint64(header[1:])))
	switch {
	case now.Before(until):
		return value, nil
	case now.Before(until.Add(clockSkew)):
		return nil, errExpired
	}
	return nil, errReplayed
}
