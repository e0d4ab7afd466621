package gateway

import (
	"crypto/rand"
	"crypto/sha256"
	"hash/crc32"
	"math/big"
	"strings"

	"github.com/hawser-dev/hawser/shared/fault"
)

// An enrolment token is "hwe_", 27 base-62 digits of 160 random bits, and 6
// digits of CRC-32 over what stands before, so that a token which was copied
// badly is told from one that is unknown, and scanners can recognise a leak.
const (
	tokenPrefix   = "hwe_"
	tokenRandom   = 20 // bytes
	tokenDigits   = 27
	tokenChecksum = 6
	base62        = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

func toBase62(b []byte, digits int) string {
	n, radix, rem := new(big.Int).SetBytes(b), big.NewInt(62), new(big.Int)
	out := make([]byte, digits)
	for i := digits - 1; i >= 0; i-- {
		n.DivMod(n, radix, rem)
		out[i] = base62[rem.Int64()]
	}
	return string(out)
}

func checksum(s string) string {
	sum := crc32.ChecksumIEEE([]byte(s))
	return toBase62([]byte{byte(sum >> 24), byte(sum >> 16), byte(sum >> 8), byte(sum)}, tokenChecksum)
}

// NewEnrolmentToken makes a token, to be shown once, and its hash, to be kept.
func NewEnrolmentToken() (token string, hash []byte, err error) {
	var b [tokenRandom]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", nil, fault.Wrap(err, fault.Internal, "token_failed", "no random numbers are available")
	}
	token = tokenPrefix + toBase62(b[:], tokenDigits)
	token += checksum(token)
	sum := sha256.Sum256([]byte(token))
	return token, sum[:], nil
}

// EnrolmentTokenHash checks a token's shape and returns its hash.
func EnrolmentTokenHash(token string) ([]byte, error) {
	bad := func(why string) error {
		return fault.New(fault.Unauthorized, "enrolment_token_malformed", "the enrolment token %s", why).
			WithFix("copy it again from the answer of `hawser cluster enroll`")
	}
	if !strings.HasPrefix(token, tokenPrefix) {
		return nil, bad("does not begin with hwe_")
	}
	if len(token) != len(tokenPrefix)+tokenDigits+tokenChecksum {
		return nil, bad("has not the right length; a part of it is missing")
	}
	body, sum := token[:len(token)-tokenChecksum], token[len(token)-tokenChecksum:]
	if checksum(body) != sum {
		return nil, bad("was not copied correctly: its checksum does not match")
	}
	h := sha256.Sum256([]byte(token))
	return h[:], nil
}
