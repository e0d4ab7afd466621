package auth

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"regexp"
	"runtime"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"

	"github.com/hawser-dev/hawser/shared/fault"
)

// cost is what argon2id is given. It is written into each hash, so that it can be
// raised: an older hash is replaced at the next login.
type cost struct {
	memory  uint32 // KiB
	time    uint32
	threads uint8
}

// usual is the second of the choices that OWASP's password storage guide names.
var usual = cost{memory: 19 << 10, time: 2, threads: 1}

const (
	saltSize = 16
	keySize  = 32
	// maxPassword bounds what is hashed, in bytes.
	maxPassword = 1024
	// maxCostMemory and maxCostTime of a hash that is verified: a database that was
	// tampered with must not cost the hub its memory.
	maxCostMemory = 1 << 20 // KiB: 1 GiB
	maxCostTime   = 16
)

// DefaultPasswordPattern is what a new password must match.
const DefaultPasswordPattern = `^.{12,128}$`

var b64 = base64.RawStdEncoding

// derive is the hash of a password in PHC string format.
func (c cost) derive(password string) string {
	salt := make([]byte, saltSize)
	_, _ = rand.Read(salt) // never fails
	key := argon2.IDKey([]byte(password), salt, c.time, c.memory, c.threads, keySize)
	return c.encode(salt, key)
}

func (c cost) encode(salt, key []byte) string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, c.memory, c.time, c.threads, b64.EncodeToString(salt), b64.EncodeToString(key))
}

// parseHash reads the PHC string of an argon2id hash.
func parseHash(s string) (c cost, salt, key []byte, ok bool) {
	parts := strings.Split(s, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return c, nil, nil, false
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &c.memory, &c.time, &c.threads); err != nil ||
		parts[3] != fmt.Sprintf("m=%d,t=%d,p=%d", c.memory, c.time, c.threads) {
		return c, nil, nil, false
	}
	if c.memory < 8*uint32(c.threads) || c.memory > maxCostMemory || c.time < 1 || c.time > maxCostTime || c.threads < 1 {
		return c, nil, nil, false
	}
	salt, err := b64.DecodeString(parts[4])
	if err != nil || len(salt) < 8 || len(salt) > 64 {
		return c, nil, nil, false
	}
	key, err = b64.DecodeString(parts[5])
	return c, salt, key, err == nil && len(key) >= 16 && len(key) <= 64
}

// matches reports whether the password is that of the hash, in a time that does
// not depend on where they differ.
func matches(hash, password string) bool {
	c, salt, key, ok := parseHash(hash)
	if !ok {
		return false
	}
	got := argon2.IDKey([]byte(password), salt, c.time, c.memory, c.threads, uint32(len(key)))
	return subtle.ConstantTimeCompare(got, key) == 1
}

// hasher bounds how many passwords are hashed at once: each costs 19 MiB and a
// core.
type hasher struct {
	slots chan struct{}
	cost  cost
	// nobody is the hash that is compared with when there is no such user.
	nobody string
}

func newHasher(c cost) *hasher {
	random := make([]byte, saltSize+keySize)
	_, _ = rand.Read(random) // never fails
	return &hasher{slots: make(chan struct{}, max(1, runtime.GOMAXPROCS(0))), cost: c, nobody: c.encode(random[:saltSize], random[saltSize:])}
}

func (h *hasher) begin(ctx context.Context) error {
	select {
	case h.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fault.Wrap(ctx.Err(), fault.Unavailable, "request_cancelled", "the request ended before the password was judged")
	}
}

func (h *hasher) hash(ctx context.Context, password string) (string, error) {
	if err := h.begin(ctx); err != nil {
		return "", err
	}
	defer func() { <-h.slots }()
	return h.cost.derive(password), nil
}

// verify compares with a hash; "" is the hash of nobody, takes as long, and never
// matches.
func (h *hasher) verify(ctx context.Context, hash, password string) (bool, error) {
	if err := h.begin(ctx); err != nil {
		return false, err
	}
	defer func() { <-h.slots }()
	if hash == "" || len(password) > maxPassword {
		matches(h.nobody, "")
		return false, nil
	}
	return matches(hash, password), nil
}

// outdated reports whether a hash has other parameters than new ones have.
func (h *hasher) outdated(hash string) bool {
	c, _, _, ok := parseHash(hash)
	return ok && c != h.cost
}

// SetPasswordPattern has new passwords match another pattern; "" is the default. It
// is called before anybody is served.
func (s *Service) SetPasswordPattern(pattern string) error {
	re, err := compilePasswordPattern(pattern)
	if err == nil {
		s.pattern = re
	}
	return err
}

func compilePasswordPattern(pattern string) (*regexp.Regexp, error) {
	if pattern == "" {
		pattern = DefaultPasswordPattern
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, fault.Wrap(err, fault.Invalid, "password_pattern_invalid", "the pattern of passwords is not a regular expression")
	}
	return re, nil
}

// checkPassword reports what is wrong with a new password. The password is not in
// what it says.
func (s *Service) checkPassword(field, user, password string) error {
	switch {
	case len(password) > maxPassword || !utf8.ValidString(password):
		return fault.New(fault.Invalid, "password_invalid", "a password has at most %d bytes of UTF-8", maxPassword).WithField(field)
	case !s.pattern.MatchString(password):
		return fault.New(fault.Invalid, "password_invalid", "the password does not match the hub's pattern %s", s.pattern).WithField(field).
			WithFix("choose another; the default asks for at least 12 characters")
	case strings.EqualFold(password, user):
		return fault.New(fault.Invalid, "password_invalid", "the password is the user's name").WithField(field)
	}
	return nil
}
