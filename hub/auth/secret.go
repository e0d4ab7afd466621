package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"hash/crc32"
	"math/big"
	"strings"
)

// A secret is a prefix, 32 base-62 digits of 190 random bits, and 6 digits of
// CRC-32 over what stands before: a copy that went wrong is told without asking
// the database, and scanners can recognise a leak.
const (
	tokenPrefix   = "hwt_"
	codePrefix    = "hwl_"
	sessionPrefix = "hws_"
	rolePrefix    = "hwr_"
	randomDigits  = 32
	sumDigits     = 6
	digits62      = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

func newSecret(prefix string) (secret string, hash []byte) {
	var b strings.Builder
	b.WriteString(prefix)
	for range randomDigits {
		n, err := rand.Int(rand.Reader, big.NewInt(62))
		if err != nil {
			panic("auth: no random numbers: " + err.Error()) // crypto/rand never fails on supported systems
		}
		b.WriteByte(digits62[n.Int64()])
	}
	b.WriteString(sum(b.String()))
	secret = b.String()
	return secret, hashOf(secret)
}

func sum(s string) string {
	n := uint64(crc32.ChecksumIEEE([]byte(s)))
	out := make([]byte, sumDigits)
	for i := sumDigits - 1; i >= 0; i-- {
		out[i] = digits62[n%62]
		n /= 62
	}
	return string(out)
}

// wellFormed reports whether s can be a secret with the prefix.
func wellFormed(prefix, s string) bool {
	if len(s) != len(prefix)+randomDigits+sumDigits || !strings.HasPrefix(s, prefix) {
		return false
	}
	cut := len(s) - sumDigits
	return sum(s[:cut]) == s[cut:]
}

func hashOf(s string) []byte {
	h := sha256.Sum256([]byte(s))
	return h[:]
}
