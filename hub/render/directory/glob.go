package directory

import (
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/hawser-dev/hawser/shared/fault"
)

const (
	maxGlob      = 4096
	maxGlobDepth = 16
)

// compileGlob reads a pattern as Argo CD does: * and ** are any text, slashes
// included, ? is any character, [a-z] and [!a-z] are sets, {a,b} are
// alternatives, which may hold patterns, and \ takes the next character as it
// is. It matches the whole path. The result runs in linear time.
func compileGlob(pattern, field string) (*regexp.Regexp, error) {
	bad := func(what string) error {
		return fault.New(fault.Invalid, "expression_invalid", "pattern %.100q: %s", pattern, what).WithField(field)
	}
	if len(pattern) > maxGlob {
		return nil, bad("longer than 4096 characters")
	}
	if !utf8.ValidString(pattern) {
		return nil, bad("not valid UTF-8")
	}
	var out strings.Builder
	out.WriteString(`(?s)\A(?:`)
	depth := 0
	runes := []rune(pattern)
	for i := 0; i < len(runes); i++ {
		switch c := runes[i]; c {
		case '*':
			for i+1 < len(runes) && runes[i+1] == '*' {
				i++
			}
			out.WriteString(".*")
		case '?':
			out.WriteByte('.')
		case '\\':
			if i++; i == len(runes) {
				return nil, bad("a backslash at the end")
			}
			out.WriteString(regexp.QuoteMeta(string(runes[i])))
		case '{':
			if depth++; depth > maxGlobDepth {
				return nil, bad("braces inside braces, too deep")
			}
			out.WriteString("(?:")
		case '}':
			if depth--; depth < 0 {
				return nil, bad("\"}\" without \"{\"")
			}
			out.WriteByte(')')
		case ',':
			if depth > 0 {
				out.WriteByte('|')
				break
			}
			out.WriteByte(',')
		case '[':
			set, next, ok := globSet(runes, i)
			if !ok {
				return nil, bad("\"[\" without a set of characters and \"]\"")
			}
			out.WriteString(set)
			i = next
		default:
			out.WriteString(regexp.QuoteMeta(string(c)))
		}
	}
	if depth > 0 {
		return nil, bad("\"{\" without \"}\"")
	}
	out.WriteString(`)\z`)
	re, err := regexp.Compile(out.String())
	if err != nil {
		return nil, bad("a set of characters that is not possible, or too large a pattern")
	}
	return re, nil
}

// globSet translates the set that begins at runes[i]; next is its last rune.
func globSet(runes []rune, i int) (set string, next int, ok bool) {
	var out strings.Builder
	out.WriteByte('[')
	i++
	if i < len(runes) && (runes[i] == '!' || runes[i] == '^') {
		out.WriteByte('^')
		i++
	}
	empty := true
	for ; i < len(runes); i++ {
		switch c := runes[i]; {
		case c == ']' && !empty:
			out.WriteByte(']')
			return out.String(), i, true
		case c == ']':
			return "", 0, false
		case c == '-':
			// A range when there is something on both sides.
			if empty || i+1 >= len(runes) || runes[i+1] == ']' {
				out.WriteString(`\-`)
			} else {
				out.WriteByte('-')
			}
		case c == '\\':
			if i++; i == len(runes) {
				return "", 0, false
			}
			out.WriteString(escapeInSet(runes[i]))
		default:
			out.WriteString(escapeInSet(c))
		}
		empty = false
	}
	return "", 0, false
}

func escapeInSet(c rune) string {
	if strings.ContainsRune(`\[]^-&~`, c) {
		return `\` + string(c)
	}
	return string(c)
}
