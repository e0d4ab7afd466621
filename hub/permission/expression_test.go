package permission

import (
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
)

// Expressions that are read as globs match what the expressions do, and what a
// beginning leaves open is true.
func TestExpressionsThatAreReadAsGlobs(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 5))
	parts := []string{"^", "$", "a", "b", "/", "ab", ".*", ".", ".+", "[ab]", "[^a]", "(a|b)", "(a|^b)", "(ab)?", "a*", "(?i)a", "", "b|a", "\\n", "(?s).", "\\b", "\ufffd"}
	pieces := []string{"a", "b", "/", "A", "\n", "\xff", "é", "ab", "\ufffd"}
	text := func(of []string, n int) string {
		var b strings.Builder
		for range r.IntN(n) {
			b.WriteString(of[r.IntN(len(of))])
		}
		return b.String()
	}
	asGlobs, matched, all, none := 0, 0, 0, 0
	for range 20_000 {
		expression := text(parts, 7)
		p, err := compileExpression(expression)
		if err != nil {
			continue
		}
		want := regexp.MustCompile(expression)
		if p.alternatives != nil {
			asGlobs++
		}
		prefix := text(pieces[:3], 4)
		reach := p.reaches(prefix)
		for range 10 {
			s := text(pieces, 6)
			if got := p.match(s); got != want.MatchString(s) {
				t.Fatalf("%q on %q: %v", expression, s, got)
			} else if got {
				matched++
			}
			whole := prefix + strings.ReplaceAll(s, "\n", "")
			switch got := want.MatchString(whole); {
			case reach == matchesAll && !got, reach == matchesNone && got:
				t.Fatalf("%q: of %q it matches %d, and on %q that is %v", expression, prefix, reach, whole, got)
			case reach == matchesAll:
				all++
			case reach == matchesNone:
				none++
			}
		}
	}
	if asGlobs < 5000 || matched < 20_000 || all < 1000 || none < 500 {
		t.Errorf("only %d were globs, %d matched, %d all, %d none", asGlobs, matched, all, none)
	}
}

func TestCommonExpressionsAreReadAsGlobs(t *testing.T) {
	for _, text := range []string{"^team-a/.*$", "team-a/.*", "^(dev|test)/web-.*$", "^team-[0-9]/.+$", ".*", "^shop/web(-eu)?$", "web"} {
		if p, err := compileExpression(text); err != nil || p.alternatives == nil {
			t.Errorf("%s is slow: %v", text, err)
		}
	}
	for _, text := range []string{"a+", "(?i)web", "a^b", "\\bweb", "[a-z]*"} {
		if p, err := compileExpression(text); err != nil || p.alternatives != nil {
			t.Errorf("%s is read as a glob: %v", text, err)
		}
	}
}
