package access

import (
	"bytes"
	"strings"
	"testing"
)

// A container writes what it likes: every byte of its log comes through once, in
// pieces that are bounded.
func FuzzLines(f *testing.F) {
	for _, s := range []string{"2026-01-31T12:00:00.000000000Z hello\n", "2026-01-31T12:00:00Z\nno time\n", "\n\n", "2026-99-99T12:00:00Z x", strings.Repeat("x", lineBuffer+5), "\xff\xfe\x00"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, said []byte) {
		r, text := newLineReader(bytes.NewReader(said), 0), 0
		for {
			l, err := r.next()
			if err != nil {
				break
			}
			if text += len(l.Text); len(l.Text) > lineBuffer || !bytes.Contains(said, l.Text) {
				t.Fatalf("%q is none of %q", l.Text, said)
			}
		}
		if text > len(said) || text < len(said)-bytes.Count(said, []byte("\n"))*(1+len("2006-01-02T15:04:05.999999999Z07:00 "))-40 {
			t.Fatalf("%d bytes of %d", text, len(said))
		}
	})
}
