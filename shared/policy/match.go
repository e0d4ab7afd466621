package policy

import (
	"fmt"
	"regexp"
)

// Glob is a compiled pattern in the language of the project's patterns: "*",
// "?", "[…]", "{a,b}". The zero value matches nothing.
type Glob struct{ glob glob }

// CompileGlob compiles a pattern of at most 512 characters. separators are the
// characters that a single "*" and "?" do not cross. A leading "!" has no
// meaning. The error is a sentence about the pattern.
func CompileGlob(pattern, separators string) (Glob, error) {
	if len(pattern) > maxPattern {
		return Glob{}, fmt.Errorf("pattern is %d characters; the limit is %d", len(pattern), maxPattern)
	}
	g, err := compileGlob(pattern, separators)
	return Glob{g}, err
}

// Match reports whether the whole of s matches, in time linear in its length.
func (g Glob) Match(s string) bool { return g.glob.match(s) }

// Expression is the regular expression that the pattern was translated to, nil
// for one without a wildcard and for "*".
func (g Glob) Expression() *regexp.Regexp { return g.glob.re }
