package filter

import "strings"

// Glob reports whether all of s matches a pattern in which "*" is any text and
// "?" any one character. It takes time of at most len(pattern) × len(s).
func Glob(pattern, s string) bool {
	p, i, star, mark := 0, 0, -1, 0
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, i
			p++
		case p < len(pattern) && pattern[p] == '?':
			p++
			i += runeLen(s[i:])
		case p < len(pattern) && pattern[p] == s[i]:
			p++
			i++
		case star >= 0:
			mark++
			p, i = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

func runeLen(s string) int {
	for i := range s {
		if i > 0 {
			return i
		}
	}
	return len(s)
}

// text is one value that texts are compared with.
type text struct {
	s    string
	glob bool
	// within: a bare word is looked for anywhere in a name.
	within bool
}

func (t text) match(s string) bool {
	switch {
	case t.glob:
		return Glob(t.s, s)
	case t.within:
		return strings.Contains(s, t.s)
	}
	return t.s == s
}
