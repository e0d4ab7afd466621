package textdiff

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

func TestUnified(t *testing.T) {
	for name, c := range map[string]struct{ from, to, want string }{
		"equal":      {"a\nb\n", "a\nb\n", ""},
		"changed":    {"a\nb\nc\n", "a\nx\nc\n", "@@ -1,3 +1,3 @@\n a\n-b\n+x\n c\n"},
		"new":        {"", "a\nb\n", "@@ -0,0 +1,2 @@\n+a\n+b\n"},
		"gone":       {"a\n", "", "@@ -1,1 +0,0 @@\n-a\n"},
		"far apart":  {"1\n2\n3\n4\n5\n6\n7\n8\n9\nz\n", "x\n2\n3\n4\n5\n6\n7\n8\n9\ny\n", "@@ -1,4 +1,4 @@\n-1\n+x\n 2\n 3\n 4\n@@ -7,4 +7,4 @@\n 7\n 8\n 9\n-z\n+y\n"},
		"near":       {"1\n2\n3\n4\n", "x\n2\n3\ny\n", "@@ -1,4 +1,4 @@\n-1\n+x\n 2\n 3\n-4\n+y\n"},
		"moved line": {"a\nb\nc\n", "b\nc\na\n", "@@ -1,3 +1,3 @@\n-a\n b\n c\n+a\n"},
	} {
		if got := Unified(c.from, c.to); got != c.want {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, c.want)
		}
	}
}

// What is taken from the second text and what is kept make it, and the same for
// the first: a difference that is applied gives the other text.
func TestADifferenceIsComplete(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	text := func() string {
		var b strings.Builder
		for range random.IntN(30) {
			fmt.Fprintf(&b, "%d\n", random.IntN(5))
		}
		return b.String()
	}
	for range 2000 {
		from, to := text(), text()
		var a, b strings.Builder
		for _, l := range compare(split(from), split(to)) {
			if l.kind != '+' {
				a.WriteString(l.text + "\n")
			}
			if l.kind != '-' {
				b.WriteString(l.text + "\n")
			}
		}
		if a.String() != from || b.String() != to {
			t.Fatalf("%q and %q became %q and %q", from, to, a.String(), b.String())
		}
	}
}

func TestHugeTextsAreReplaced(t *testing.T) {
	from, to := strings.Repeat("a\nb\n", 3000), strings.Repeat("b\na\n", 3001)
	if got := Unified(from, to); !strings.HasPrefix(got, "@@ ") {
		t.Errorf("got %.100q", got)
	}
}
