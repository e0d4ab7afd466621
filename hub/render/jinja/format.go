package jinja

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
)

// maxWidth of one formatted value.
const maxWidth = 10_000

var percentVerb = regexp.MustCompile(`^%(?:\(([^)]*)\))?([-+ 0#]*)(\d+|\*)?(?:\.(\d+|\*))?[hlL]?(.)`)

// percent is Python's format % values.
func (m *machine) percent(format string, v any) (any, error) {
	values := []any{v}
	named, isDict := v.(*dict)
	if l, ok := v.(*list); ok && isTuple(l) {
		values = l.items
	}
	used := 0
	next := func() (any, error) {
		if used >= len(values) {
			return nil, m.fail("the format has more places than there are values")
		}
		used++
		return values[used-1], m.defined(values[used-1])
	}
	w := &bounded{m: m}
	for format != "" {
		i := strings.IndexByte(format, '%')
		if i < 0 {
			i = len(format)
		}
		if _, err := w.WriteString(format[:i]); err != nil {
			return nil, err
		}
		if format = format[i:]; format == "" {
			break
		}
		g := percentVerb.FindStringSubmatch(format)
		if g == nil {
			return nil, m.fail("the format ends after \"%%\"")
		}
		format = format[len(g[0]):]
		if g[5] == "%" {
			if _, err := w.WriteString("%"); err != nil {
				return nil, err
			}
			continue
		}
		if g[3] == "*" || g[4] == "*" {
			return nil, m.problem(codeUnsupported, "\"*\" in a format is not supported: write the width")
		}
		var value any
		var err error
		if strings.HasPrefix(g[0], "%(") {
			if !isDict {
				return nil, m.fail("%%(%s) needs values by name", clipped(g[1], 60))
			}
			var ok bool
			if value, ok = named.get(g[1]); !ok {
				return nil, m.fail("the format names %q, which is not given", clipped(g[1], 60))
			}
			used = len(values)
		} else if value, err = next(); err != nil {
			return nil, err
		}
		s, err := m.verb(value, g[2], g[3], g[4], g[5])
		if err != nil {
			return nil, err
		}
		if _, err := w.WriteString(s); err != nil {
			return nil, err
		}
	}
	if used < len(values) && !isDict {
		return nil, m.fail("the format has fewer places than there are values")
	}
	return w.b.String(), m.charge(w.b.Len())
}

// verb formats one value. flags, width and precision are as in the format.
func (m *machine) verb(v any, flags, width, precision, verb string) (string, error) {
	for _, n := range []string{width, precision} {
		if i, err := strconv.Atoi(n); n != "" && (err != nil || i > maxWidth) {
			return "", m.problem(codeTooLarge, "a width of more than %d in a format", maxWidth)
		}
	}
	spec := "%" + flags + width
	if precision != "" {
		spec += "." + precision
	}
	switch verb {
	case "s", "r":
		var s string
		var err error
		if verb == "r" {
			w := &bounded{m: m}
			err = m.located(writeValue(w, v, true, 0))
			s = w.b.String()
		} else {
			s, err = m.text(v)
		}
		// "0" does not fill texts.
		return fmt.Sprintf(strings.ReplaceAll("%"+flags, "0", "")+strings.TrimPrefix(spec, "%"+flags)+"s", s), err
	case "c":
		s, ok := v.(string)
		if i, _, isInt, isNumber := number(v); isNumber && isInt && i >= 0 && i < 0x110000 {
			s, ok = string(rune(i)), true
		}
		if !ok || runeLen(s) != 1 {
			return "", m.fail("%%c needs one character")
		}
		return fmt.Sprintf("%"+strings.Trim(flags, "0")+width+"s", s), nil
	case "d", "i", "u", "x", "X", "o":
		i, f, isInt, ok := number(v)
		if !ok || !isInt && (verb == "x" || verb == "X" || verb == "o") {
			return "", m.fail("%%%s needs an integer, not %s", verb, typeName(v))
		}
		if !isInt {
			if math.Abs(f) >= 1<<63 {
				return "", m.overflow()
			}
			i = int64(f)
		}
		if verb == "i" || verb == "u" {
			verb = "d"
		}
		if verb == "o" && strings.Contains(flags, "#") {
			spec, verb = strings.ReplaceAll(spec, "#", ""), "O"
		}
		return fmt.Sprintf(spec+verb, i), nil
	case "f", "F", "e", "E", "g", "G":
		_, f, _, ok := number(v)
		if !ok {
			return "", m.fail("%%%s needs a number, not %s", verb, typeName(v))
		}
		if precision == "" {
			spec += ".6"
		}
		return fmt.Sprintf(spec+verb, f), nil
	}
	return "", m.fail("%%%s is not a format", clipped(verb, 10))
}

var formatSpec = regexp.MustCompile(`^(?:(.)?([<>^=]))?([-+ ])?(#)?(0)?(\d+)?(,)?(?:\.(\d+))?([sdfFeEgGxXob%])?$`)

// format is str.format() with places "{}", "{0}", "{name}", and attributes and
// items of them.
func (m *machine) format(format string, a *args) (any, error) {
	w := &bounded{m: m}
	auto := 0
	for format != "" {
		i := strings.IndexAny(format, "{}")
		if i < 0 {
			i = len(format)
		}
		if _, err := w.WriteString(format[:i]); err != nil {
			return nil, err
		}
		if format = format[i:]; format == "" {
			break
		}
		if strings.HasPrefix(format, "{{") || strings.HasPrefix(format, "}}") {
			if _, err := w.WriteString(format[:1]); err != nil {
				return nil, err
			}
			format = format[2:]
			continue
		}
		field, rest, ok := strings.Cut(format[1:], "}")
		if !ok || format[0] == '}' || strings.Contains(field, "{") {
			return nil, m.fail("a single brace in a format: write it twice")
		}
		format = rest
		s, err := m.field(field, a, &auto)
		if err != nil {
			return nil, err
		}
		if _, err := w.WriteString(s); err != nil {
			return nil, err
		}
	}
	return w.b.String(), m.charge(w.b.Len())
}

var fieldName = regexp.MustCompile(`^([^.\[]*)((?:\.[^.\[]+|\[[^\]]+\])*)$`)

// field formats one place of a format.
func (m *machine) field(field string, a *args, auto *int) (string, error) {
	name, spec, _ := strings.Cut(field, ":")
	name, conversion, _ := strings.Cut(name, "!")
	g := fieldName.FindStringSubmatch(name)
	if g == nil {
		return "", m.fail("{%s} in a format is not understood", clipped(field, 60))
	}
	var v any
	if i, err := strconv.Atoi(g[1]); err == nil || g[1] == "" {
		if g[1] == "" {
			i = *auto
			*auto++
		}
		if i < 0 || i >= len(a.pos) {
			return "", m.fail("the format has more places than there are values")
		}
		v = a.pos[i]
	} else {
		at := -1
		for n, known := range a.names {
			if known == g[1] {
				at = n
			}
		}
		if at < 0 {
			return "", m.fail("the format names %q, which is not given", clipped(g[1], 60))
		}
		v = a.named[at]
	}
	if g[2] != "" {
		return "", m.problem(codeUnsupported, "{%s}: attributes and items in a format are not supported: give them as values", clipped(field, 60))
	}
	if err := m.defined(v); err != nil {
		return "", err
	}
	if conversion == "r" {
		w := &bounded{m: m}
		if err := writeValue(w, v, true, 0); err != nil {
			return "", m.located(err)
		}
		v = w.b.String()
	}
	return m.spec(v, spec)
}

// spec formats a value as format() does.
func (m *machine) spec(v any, spec string) (string, error) {
	if spec == "" {
		return m.text(v)
	}
	g := formatSpec.FindStringSubmatch(spec)
	if g == nil || g[2] == "=" || g[7] != "" || g[9] == "%" || g[4] != "" {
		return "", m.problem(codeUnsupported, "{:%s} in a format is not supported", clipped(spec, 40))
	}
	_, _, isInt, isNumber := number(v)
	if _, isBool := v.(bool); isBool && g[9] == "" {
		isNumber = false
	}
	verb := g[9]
	var s string
	var err error
	switch {
	case verb == "b" && isNumber && isInt:
		i, _, _, _ := number(v)
		s = strconv.FormatInt(i, 2)
	case isNumber && verb != "s" && verb != "b":
		if verb == "" && isInt {
			verb = "d"
		}
		if verb == "" {
			if g[8] != "" {
				return "", m.problem(codeUnsupported, "{:%s} in a format is not supported: write f or g at its end", clipped(spec, 40))
			}
			s, err = m.text(v)
			break
		}
		if !isInt && strings.Contains("dxXo", verb) || isInt && g[8] != "" && strings.Contains("dxXo", verb) {
			return "", m.fail("{:%s} does not fit %s", clipped(spec, 40), typeName(v))
		}
		s, err = m.verb(v, strings.Trim(g[3], "-"), "", g[8], verb)
	case verb == "" || verb == "s":
		if isNumber && verb == "s" {
			return "", m.fail("{:%s} does not fit %s", clipped(spec, 40), typeName(v))
		}
		s, err = m.verb(v, "", "", g[8], "s")
	default:
		return "", m.fail("{:%s} does not fit %s", clipped(spec, 40), typeName(v))
	}
	if err != nil || g[6] == "" {
		return s, err
	}
	width, err := strconv.Atoi(g[6])
	if err != nil || width > maxWidth {
		return "", m.problem(codeTooLarge, "a width of more than %d in a format", maxWidth)
	}
	fill, side := " ", 1
	if isNumber {
		side = -1
	}
	if g[5] == "0" && g[2] == "" {
		if sign := strings.TrimLeft(s, "-+ "); isNumber && len(sign) < len(s) {
			padded, err := m.pad(sign, int64(width-len(s)+len(sign)), "0", -1)
			if err != nil {
				return "", err
			}
			return s[:len(s)-len(sign)] + padded.(string), nil
		}
		fill = "0"
	}
	switch g[2] {
	case "<":
		side = 1
	case ">":
		side = -1
	case "^":
		n := width - runeLen(s)
		if n <= 0 {
			return s, nil
		}
		if g[1] != "" {
			fill = g[1]
		}
		return strings.Repeat(fill, n/2) + s + strings.Repeat(fill, n-n/2), nil
	}
	if g[1] != "" {
		fill = g[1]
	}
	padded, err := m.pad(s, int64(width), fill, side)
	if err != nil {
		return "", err
	}
	return padded.(string), nil
}

// urlencode is the filter of that name.
func urlencode(m *machine, v any, _ []any) (any, error) {
	var pairs []any
	switch v := v.(type) {
	case *dict:
		var err error
		if pairs, err = m.pairs(v); err != nil {
			return nil, err
		}
	case *list:
		pairs = v.items
	default:
		s, err := m.text(v)
		if err != nil {
			return nil, err
		}
		return quoteURL(s, "/"), m.charge(3 * len(s))
	}
	var parts []string
	n := 0
	for _, p := range pairs {
		pair, err := m.iterate(p)
		if err != nil {
			return nil, err
		}
		if len(pair) != 2 {
			return nil, m.fail("urlencode takes a dict, pairs or a text")
		}
		var both [2]string
		for i := range both {
			s, err := m.text(pair[i])
			if err != nil {
				return nil, err
			}
			both[i] = strings.ReplaceAll(quoteURL(s, ""), "%20", "+")
		}
		parts = append(parts, both[0]+"="+both[1])
		if n += len(parts[len(parts)-1]) + 1; n > maxValue {
			return nil, m.charge(maxValue + 1)
		}
	}
	return strings.Join(parts, "&"), m.charge(n)
}

func quoteURL(s, safe string) string {
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= '0' && c <= '9', c|0x20 >= 'a' && c|0x20 <= 'z', strings.IndexByte("_.-~"+safe, c) >= 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
