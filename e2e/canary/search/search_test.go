package search

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/url"
	"strings"
	"testing"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/zstd"
)

const secret = `K9<w"&x2 +Vq7Zp/4tLs8`

func squeeze(t *testing.T, open func(io.Writer) io.WriteCloser, text string) string {
	t.Helper()
	var out bytes.Buffer
	w := open(&out)
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func zipped(w io.Writer) io.WriteCloser  { return gzip.NewWriter(w) }
func zlibbed(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) }
func raw(w io.Writer) io.WriteCloser {
	f, err := flate.NewWriter(w, 6)
	if err != nil {
		panic(err)
	}
	return f
}
func zstandard(w io.Writer) io.WriteCloser {
	z, err := zstd.NewWriter(w)
	if err != nil {
		panic(err)
	}
	return z
}

func escapes(s string) string { b, _ := json.Marshal(s); return string(b) }

func TestEachSpellingIsFoundAcrossTheEdgesOfChunks(t *testing.T) {
	text := strings.Repeat("some text that compresses, ", 20) + secret + " and more"
	b64 := base64.StdEncoding.EncodeToString
	cases := map[string]string{
		"plain":             "password: " + secret,
		"base64":            b64([]byte(secret)),
		"base64, offset 1":  b64([]byte("a" + secret + "zz")),
		"base64, offset 2":  b64([]byte("ab" + secret + "z")),
		"base64 of URLs":    base64.RawURLEncoding.EncodeToString([]byte(":" + secret)),
		"base64 of base64":  b64([]byte("x:" + b64([]byte("k"+secret)))),
		"hex":               hex.EncodeToString([]byte(secret)),
		"HEX":               strings.ToUpper(hex.EncodeToString([]byte(secret))),
		"JSON":              escapes(secret),
		"JSON in JSON":      escapes(escapes(secret)),
		"Go":                fmt.Sprintf("%q", secret),
		"query":             url.QueryEscape(secret),
		"path":              url.PathEscape(secret),
		"HTML":              "K9&lt;w&#34;&amp;x2 +Vq7Zp/4tLs8",
		"UTF-16":            string(wide(secret)),
		"gzip":              squeeze(t, zipped, text),
		"zlib":              squeeze(t, zlibbed, text),
		"deflate":           squeeze(t, raw, text),
		"zstd":              squeeze(t, zstandard, text),
		"gzip of base64":    squeeze(t, zipped, strings.Repeat("x", 100)+b64([]byte(secret))),
		"a release of Helm": b64([]byte(b64([]byte(squeeze(t, zipped, text))))),
		"hex of zlib":       `\x` + hex.EncodeToString([]byte(squeeze(t, zlibbed, text))),
		"zstd in gzip":      squeeze(t, zipped, "zz"+squeeze(t, zstandard, text)),
		"gzip, cut":         squeeze(t, zipped, text+noise(5000))[:2000],
	}
	for name, written := range cases {
		t.Run(name, func(t *testing.T) {
			s := New(Canary{"one", secret}, Canary{"other", "nowhere-to-be-found"})
			s.chunk = 64
			// 0x1e begins nothing; every place relative to the edge of a chunk.
			for before := range 70 {
				found := s.Bytes("here", []byte(strings.Repeat("\x1e", before)+written+"\x1e\x1e"))
				if len(found) == 0 || found[0].Canary != "one" || found[0].Where != "here" {
					t.Fatalf("behind %d bytes: %v", before, found)
				}
			}
		})
	}
}

func wide(s string) (out []byte) {
	for _, c := range []byte(s) {
		out = append(out, c, 0)
	}
	return out
}

func noise(n int) string {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(b)
	return string(b)
}

func TestNothingIsFoundWhereNothingIs(t *testing.T) {
	s := New(Canary{"one", secret})
	for name, text := range map[string]string{
		"nothing": "", "noise": noise(1 << 20), "nearly": secret[:len(secret)-1], "zeros": strings.Repeat("\x00", 1<<16),
		"magic": strings.Repeat("\x1f\x8b\x08\x28\xb5\x2f\xfd\x78\x9cPK\x03\x04", 500), "digits": strings.Repeat("0123456789abcdef", 10_000),
	} {
		if found := s.Bytes(name, []byte(text)); len(found) != 0 {
			t.Errorf("%s: %v", name, found)
		}
	}
}

func TestLongSourcesAreReadInPieces(t *testing.T) {
	s := New(Canary{"one", secret})
	long := noise(5<<20) + secret + noise(1<<20)
	found, err := s.Reader("long", strings.NewReader(long), int64(len(long)))
	if err != nil || len(found) != 1 || found[0].Offset != 5<<20 {
		t.Fatalf("%v, %v", found, err)
	}
	// Digits without end are decoded in pieces.
	digits := base64.StdEncoding.EncodeToString([]byte(noise(7<<20) + squeeze(t, zipped, strings.Repeat("y", 3000)+secret) + noise(3<<20)))
	if found = s.Bytes("digits", []byte(digits)); len(found) == 0 {
		t.Error("not found in long digits")
	}
}

func TestAReaderThatFailsIsAnError(t *testing.T) {
	if _, err := New(Canary{"one", secret}).Reader("x", failing{}, 100); err == nil {
		t.Error("no error")
	}
}

type failing struct{}

func (failing) ReadAt([]byte, int64) (int, error) { return 0, io.ErrClosedPipe }
