package output

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Tame is a line that a program wrote, for a terminal: colours and tabs stay.
// Whatever else would move the cursor, change the window, answer in the user's
// name or reorder the text is shown as a replacement character.
func Tame(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool {
		return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == utf8.RuneError
	}) {
		return s
	}
	var b strings.Builder
	coloured := false
	for i := 0; i < len(s); {
		if n := colour(s[i:]); n > 0 {
			b.WriteString(s[i : i+n])
			coloured = true
			i += n
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == '\t':
			b.WriteRune(r)
		case r == '\r' && i+n == len(s): // the end of a line of another system
		case unicode.IsControl(r), unicode.Is(unicode.Bidi_Control, r):
			b.WriteRune(utf8.RuneError)
		default:
			b.WriteRune(r)
		}
		i += n
	}
	if coloured {
		b.WriteString("\x1b[0m") // a line does not colour the next
	}
	return b.String()
}

// colour is the length of the SGR sequence (ECMA-48, 8.3.117) that s begins
// with, 0 for none.
func colour(s string) int {
	rest, ok := strings.CutPrefix(s, "\x1b[")
	if !ok {
		return 0
	}
	for i := range min(len(rest), 32) {
		switch c := rest[i]; {
		case c == 'm':
			return len("\x1b[") + i + 1
		case (c < '0' || c > '9') && c != ';' && c != ':':
			return 0
		}
	}
	return 0
}
