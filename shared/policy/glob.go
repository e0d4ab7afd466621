package policy

import (
	"fmt"
	"regexp"
	"strings"
	"sync"
)

// glob is a compiled pattern. The zero value matches nothing.
type glob struct {
	literal string
	re      *regexp.Regexp
	all     bool
	valid   bool
}

func (g glob) match(s string) bool {
	switch {
	case !g.valid:
		return false
	case g.all:
		return true
	case g.re != nil:
		return g.re.MatchString(s)
	}
	return g.literal == s
}

// compileGlob compiles a pattern without a leading "!". separators are the
// characters that "*" and "?" do not cross. An invalid pattern matches nothing.
func compileGlob(pattern, separators string) (glob, error) {
	if pattern == "*" {
		return glob{all: true, valid: true}, nil
	}
	if !strings.ContainsAny(pattern, `*?[]{}\`) {
		return glob{literal: pattern, valid: true}, nil
	}
	key := globKey{pattern, separators}
	if re := globs.get(key); re != nil {
		return glob{re: re, valid: true}, nil
	}
	expr, err := globExpression(pattern, separators)
	if err != nil {
		return glob{}, err
	}
	re, err := regexp.Compile(expr)
	if err != nil {
		return glob{}, fmt.Errorf("pattern %q cannot be used: a set or range in it is wrong", pattern)
	}
	globs.put(key, re)
	return glob{re: re, valid: true}, nil
}

// globs remembers expressions: the rules of a project are asked over and over,
// and compiling takes far longer than matching.
var globs globCache

type globKey struct{ pattern, separators string }

type globCache struct {
	mu    sync.RWMutex
	known map[globKey]*regexp.Regexp
}

const (
	// maxGlobs bounds how many are remembered, maxRemembered how long they are: an
	// expression takes some 50 bytes for each of its pattern.
	maxGlobs      = 4096
	maxRemembered = 128
)

func (c *globCache) get(key globKey) *regexp.Regexp {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.known[key]
}

func (c *globCache) put(key globKey, re *regexp.Regexp) {
	if len(key.pattern) > maxRemembered {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known == nil || len(c.known) >= maxGlobs {
		c.known = map[globKey]*regexp.Regexp{}
	}
	c.known[key] = re
}

// globExpression translates a glob into a regular expression, which RE2
// evaluates in linear time whatever the pattern.
func globExpression(pattern, separators string) (string, error) {
	star, one := `.*`, `.`
	if separators != "" {
		one = `[^` + regexp.QuoteMeta(separators) + `]`
		star = one + `*`
	}
	var b strings.Builder
	b.WriteString(`(?s)\A(?:`)
	depth := 0
	r := []rune(pattern)
	for i := 0; i < len(r); i++ {
		switch c := r[i]; c {
		case '\\':
			if i+1 == len(r) {
				return "", fmt.Errorf(`pattern %q ends with "\"`, pattern)
			}
			i++
			b.WriteString(regexp.QuoteMeta(string(r[i])))
		case '*':
			if i+1 < len(r) && r[i+1] == '*' {
				for i+1 < len(r) && r[i+1] == '*' {
					i++
				}
				b.WriteString(`.*`)
			} else {
				b.WriteString(star)
			}
		case '?':
			b.WriteString(one)
		case '[':
			end := i + 1
			for end < len(r) && r[end] != ']' {
				if r[end] == '\\' {
					end++
				}
				end++
			}
			if end >= len(r) {
				return "", fmt.Errorf(`pattern %q has "[" without "]"`, pattern)
			}
			set := r[i+1 : end]
			negate := len(set) > 0 && set[0] == '!'
			if negate {
				set = set[1:]
			}
			if len(set) == 0 {
				return "", fmt.Errorf(`pattern %q has an empty set`, pattern)
			}
			b.WriteByte('[')
			if negate {
				b.WriteByte('^')
			}
			for j := 0; j < len(set); j++ {
				switch s := set[j]; {
				case s == '\\' && j+1 < len(set):
					j++
					writeSetRune(&b, set[j])
				case s == '-' && j > 0 && j+1 < len(set):
					b.WriteByte('-')
				default:
					writeSetRune(&b, s)
				}
			}
			b.WriteByte(']')
			i = end
		case '{':
			depth++
			b.WriteString(`(?:`)
		case '}':
			if depth == 0 {
				return "", fmt.Errorf(`pattern %q has "}" without "{"`, pattern)
			}
			depth--
			b.WriteByte(')')
		case ',':
			if depth > 0 {
				b.WriteByte('|')
			} else {
				b.WriteByte(',')
			}
		default:
			b.WriteString(regexp.QuoteMeta(string(c)))
		}
	}
	if depth > 0 {
		return "", fmt.Errorf(`pattern %q has "{" without "}"`, pattern)
	}
	b.WriteString(`)\z`)
	return b.String(), nil
}

func writeSetRune(b *strings.Builder, r rune) {
	if strings.ContainsRune(`\^-[]`, r) {
		b.WriteByte('\\')
	}
	b.WriteRune(r)
}

// maxPattern is the length in bytes that a pattern may have.
const maxPattern = 512

// CheckPattern reports why a pattern of a project can never match, or nil.
func CheckPattern(pattern string) error {
	rest := strings.TrimPrefix(pattern, "!")
	if len(rest) > maxPattern {
		return fmt.Errorf("pattern is %d characters; the limit is %d", len(rest), maxPattern)
	}
	_, err := compileGlob(rest, "/")
	return err
}

// pattern is a glob with an optional leading "!".
type pattern struct {
	text string
	deny bool
	glob glob
}

func newPattern(text, separators string, normalise func(string) string) pattern {
	p := pattern{text: text}
	rest, deny := strings.CutPrefix(text, "!")
	p.deny = deny
	if normalise != nil {
		rest = normalise(rest)
	}
	p.glob, _ = compileGlob(rest, separators) // an invalid one matches nothing
	return p
}

// hits says that one of the values is matched by the glob, "!" apart.
func (p pattern) hits(values ...string) bool {
	for _, v := range values {
		if p.glob.match(v) {
			return true
		}
	}
	return false
}

// denies is what the pattern means in a list that only denies: one that cannot be
// read may mean anything, and "!" has no meaning.
func (p pattern) denies(values ...string) bool { return !p.glob.valid || p.hits(values...) }

// matches is what the pattern means: hit, or with "!" not hit.
func (p pattern) matches(values ...string) bool { return p.hits(values...) != p.deny }
