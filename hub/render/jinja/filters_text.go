package jinja

import (
	"encoding/base64"
	"fmt"
	"math"
	"strings"
	"unicode"
	"unicode/utf8"
)

func defaultFilter(_ *machine, v any, p []any) (any, error) {
	_, not := v.(*undefined)
	if not || boolArg(p[1], false) && !truthOf(v) {
		if _, none := p[0].(absent); none {
			return "", nil
		}
		return p[0], nil
	}
	return v, nil
}

// upper is str.upper(), which has no capital for one letter.
func upper(s string) string { return strings.ReplaceAll(strings.ToUpper(s), "ß", "SS") }

func capitalized(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	if n == 0 {
		return s
	}
	return string(unicode.ToTitle(r)) + strings.ToLower(s[n:])
}

// titled begins each word with a capital.
func titled(s string) string {
	start := true
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || strings.ContainsRune("-({[<", r) {
			start = true
			return r
		}
		if start {
			start = false
			return unicode.ToTitle(r)
		}
		return unicode.ToLower(r)
	}, s)
}

func b64decode(m *machine, v any, _ []any) (any, error) {
	s, err := m.text(v)
	if err != nil {
		return nil, err
	}
	b, err := base64.StdEncoding.DecodeString(strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return -1
		}
		return r
	}, s))
	if err != nil || !utf8.Valid(b) {
		return nil, m.fail("b64decode: the value is not base64 of text")
	}
	return string(b), m.charge(len(b))
}

// lines are those of str.splitlines().
func lines(s string) []string {
	s = strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
	s = strings.TrimSuffix(s, "\n")
	if s == "" {
		return nil
	}
	return strings.Split(s, "\n")
}

func indent(m *machine, v any, p []any) (any, error) {
	s, err := m.text(v)
	if err != nil {
		return nil, err
	}
	prefix, isText := p[0].(string)
	if !isText {
		n, err := m.intArg(p[0], 4)
		if err != nil {
			return nil, err
		}
		made, err := m.repeat(" ", n)
		if err != nil {
			return nil, err
		}
		prefix = made.(string)
	}
	if strings.Count(s, "\n") > 0 && len(prefix) > maxValue/(strings.Count(s, "\n")+1) {
		return nil, m.charge(maxValue + 1)
	}
	all := lines(s + "\n")
	if len(all) == 0 {
		all = []string{""}
	}
	var b strings.Builder
	for i, line := range all {
		if i > 0 {
			b.WriteString("\n")
		}
		// Blank lines only where asked for; the first one only where asked for.
		if i == 0 && boolArg(p[1], false) || i > 0 && (line != "" || boolArg(p[2], false)) {
			b.WriteString(prefix)
		}
		b.WriteString(line)
	}
	return b.String(), m.charge(b.Len())
}

// pad fills s up to width runes: side -1 left, 1 right, 0 both.
func (m *machine) pad(s string, width int64, fill string, side int) (any, error) {
	n := width - int64(runeLen(s))
	if n <= 0 {
		return s, nil
	}
	if n > maxValue {
		return nil, m.charge(maxValue + 1)
	}
	left := n
	switch side {
	case 1:
		left = 0
	case 0:
		left = n/2 + (n & width & 1)
	}
	out := strings.Repeat(fill, int(left)) + s + strings.Repeat(fill, int(n-left))
	return out, m.charge(len(out))
}

func truncate(m *machine, v any, p []any) (any, error) {
	s, err := m.text(v)
	if err != nil {
		return nil, err
	}
	n, err := m.intArg(p[0], 255)
	if err != nil {
		return nil, err
	}
	end, err := m.textArg(p[2], "...")
	if err != nil {
		return nil, err
	}
	leeway, err := m.intArg(p[3], 5)
	if err != nil {
		return nil, err
	}
	if n < int64(runeLen(end)) || leeway < 0 {
		return nil, m.fail("truncate needs a length of at least %d", runeLen(end))
	}
	runes := []rune(s)
	if int64(len(runes)) <= n+leeway {
		return s, nil
	}
	cut := string(runes[:n-int64(runeLen(end))])
	if i := strings.LastIndexByte(cut, ' '); i >= 0 && !boolArg(p[1], false) {
		cut = cut[:i]
	}
	return cut + end, m.charge(len(cut) + len(end))
}

func wordcount(m *machine, v any, _ []any) (any, error) {
	s, err := m.text(v)
	if err != nil {
		return nil, err
	}
	return int64(len(strings.FieldsFunc(s, func(r rune) bool {
		return r != '_' && !unicode.IsLetter(r) && !unicode.IsNumber(r)
	}))), nil
}

func filesize(m *machine, v any, p []any) (any, error) {
	n, err := toFloat(m, v, []any{math.NaN()})
	if err != nil {
		return nil, err
	}
	f := n.(float64)
	if math.IsNaN(f) {
		return nil, m.fail("filesizeformat needs a number, not %s", typeName(v))
	}
	base, suffix := 1000.0, []string{"kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"}
	if boolArg(p[0], false) {
		base, suffix = 1024, []string{"KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"}
	}
	switch {
	case f == 1:
		return "1 Byte", nil
	case f < base:
		return fmt.Sprintf("%d Bytes", int64(f)), nil
	}
	unit := base
	for _, s := range suffix {
		if unit *= base; f < unit {
			return fmt.Sprintf("%.1f %s", base*f/unit, s), nil
		}
	}
	return fmt.Sprintf("%.1f YB", base*f/unit), nil
}
