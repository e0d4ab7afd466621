package permission

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/shared/policy"
)

func randomText(r *rand.Rand, pieces []string, most int) string {
	var b strings.Builder
	for range r.IntN(most + 1) {
		b.WriteString(pieces[r.IntN(len(pieces))])
	}
	return b.String()
}

// Globs of rules are those of projects without separators, and what a prefix
// leaves open agrees with matching.
func TestGlobsEqualTheReference(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	pieces := []string{"a", "b", "ä", "-", "/", "*", "**", "?", "[ab]", "[!a]", "[a-b/]", `[\]a]`, "[a-]", "[-a]", "{a,b}", "{,a*}", "{a,{b,/}}", `\*`, `\a`, ",", "!"}
	letters := []string{"a", "b", "ä", "-", "/", "*", "]", ",", "!"}
	matched := 0
	for range 10000 {
		text := randomText(r, pieces, 6)
		want, err := policy.CompileGlob(text, "")
		got, problem := compileGlob(text)
		if (err == nil) != (problem == nil) {
			t.Fatalf("%q: %v, %v", text, err, problem)
		}
		prefix := randomText(r, letters, 3)
		reach := got.reaches(prefix)
		for range 6 {
			s := randomText(r, letters, 6)
			if got.match(s) != want.Match(s) {
				t.Fatalf("%q on %q: got %v", text, s, got.match(s))
			}
			if whole := prefix + s; got.match(whole) != (reach == matchesAll) && reach != matchesSome {
				t.Fatalf("%q: of %q it matches %d, and on %q that is %v", text, prefix, reach, whole, got.match(whole))
			}
			if want.Match(s) {
				matched++
			}
		}
	}
	if matched < 300 {
		t.Errorf("only %d matched", matched)
	}
}

func TestWhatAPrefixLeavesOpen(t *testing.T) {
	for _, c := range []struct {
		glob, prefix string
		want         reach
	}{
		{"*", "shop/", matchesAll},
		{"*/*", "shop/", matchesAll},
		{"shop/*", "shop/", matchesAll},
		{"sh*/*", "shop/", matchesAll},
		{"s*p/*", "shop/", matchesAll},
		{"{bank,shop}/*", "shop/", matchesAll},
		{"shop/web-*", "shop/", matchesSome},
		{"shop/web", "shop/", matchesSome},
		{"*/web", "shop/", matchesSome},
		{"bank/*", "shop/", matchesNone},
		{"shop", "shop/", matchesNone},
		{"shop-?/*", "shop/", matchesNone},
		{"{a,b}/*", "shop/", matchesNone},
		{"", "shop/", matchesNone},
	} {
		p, err := compileGlob(c.glob)
		if got := p.reaches(c.prefix); err != nil || got != c.want {
			t.Errorf("%s of %s: %v, %v", c.glob, c.prefix, got, err)
		}
	}
	if p := (pattern{}); p.match("") || p.reaches("") != matchesNone {
		t.Error("a pattern that was never compiled matches")
	}
}

// Patterns that are made to cost much: none does.
func TestS03_PatternsCannotBeMadeToCostMuch(t *testing.T) {
	start := time.Now()
	text := strings.Repeat("a", 4000) + "b"
	for _, glob := range []string{strings.Repeat("*a", 200), strings.Repeat("{a,b}", 80), strings.Repeat("{a*,", 60) + "a" + strings.Repeat("}", 60), strings.Repeat("?*", 200)} {
		p, err := compileGlob(glob)
		if err != nil {
			t.Fatalf("%.20s: %v", glob, err)
		}
		p.match(text)
		p.reaches(text)
	}
	for _, expression := range []string{strings.Repeat("a{1000}", 70), "(a{100}){100}", "((a{10}){10}){10}", `\p{L}{1000}`, "(", "a{2000}", strings.Repeat("a", 513)} {
		if _, err := compileExpression(expression); err == nil {
			t.Errorf("%.20s was compiled", expression)
		}
	}
	p, err := compileExpression("(a*)*(a|aa)+$")
	if err != nil {
		t.Fatal(err)
	}
	p.match(strings.Repeat("a", 4000) + "b")
	if d := time.Since(start); d > 10*time.Second {
		t.Errorf("took %s", d)
	}
	if _, err := compileGlob(strings.Repeat("a", 513)); err == nil {
		t.Error("a long glob was compiled")
	}
}
