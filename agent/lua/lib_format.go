package lua

import (
	"fmt"
	"strconv"
	"strings"

	glua "github.com/yuin/gopher-lua"
)

// strFormat is string.format. Numbers look as in gopher-lua, which Argo CD
// runs: Go's formatting where C's differs.
func (st *state) strFormat(l *glua.LState) int {
	format := l.CheckString(1)
	st.m.work(l, len(format)/4)
	var b strings.Builder
	arg := 1
	add := func(s string) {
		st.m.charge(l, 2*len(s))
		if b.Len()+len(s) > maxString {
			st.m.str(l, b.Len()+len(s))
		}
		b.WriteString(s)
	}
	for {
		i := strings.IndexByte(format, '%')
		if i < 0 {
			add(format)
			break
		}
		add(format[:i])
		format = format[i+1:]
		if strings.HasPrefix(format, "%") {
			add("%")
			format = format[1:]
			continue
		}
		n := len(format) - len(strings.TrimLeft(format, "-+ #0123456789."))
		if n == len(format) {
			l.RaiseError("invalid conversion at the end of the text for 'format'")
		}
		flags, verb := format[:n], format[n]
		format = format[n+1:]
		checkFlags(l, flags)
		arg++
		add(st.formatOne(l, flags, verb, arg))
	}
	st.m.str(l, b.Len())
	l.Push(glua.LString(b.String()))
	return 1
}

// checkFlags refuses a width or precision of more than two digits, as Lua does:
// they would make long strings out of nothing.
func checkFlags(l *glua.LState, flags string) {
	width := strings.TrimLeft(flags, "-+ #0")
	w, p, _ := strings.Cut(width, ".")
	if len(w) > 2 || len(p) > 2 || strings.Trim(w+p, "0123456789") != "" || len(flags)-len(width) > 5 {
		l.RaiseError("invalid format (width or precision too long)")
	}
}

func (st *state) formatOne(l *glua.LState, flags string, verb byte, n int) string {
	v := l.Get(n)
	num := func() float64 {
		switch v := v.(type) {
		case glua.LNumber:
			return float64(v)
		case glua.LString:
			if f, ok := parseNumber(string(v)); ok {
				return f
			}
		}
		l.ArgError(n, "number expected, got "+v.Type().String())
		return 0
	}
	switch verb {
	case 'd', 'i', 'u':
		return fmt.Sprintf("%"+flags+"d", int64(num()))
	case 'c':
		return fmt.Sprintf("%"+flags+"s", string([]byte{byte(int64(num()))}))
	case 'o', 'x', 'X':
		return fmt.Sprintf("%"+flags+string(verb), int64(num()))
	case 'e', 'E', 'f', 'F', 'g', 'G':
		return fmt.Sprintf("%"+flags+string(verb), num())
	case 'q':
		s := st.text(l, v)
		st.m.str(l, 4*len(s)+2)
		return quote(s)
	case 's', 'v':
		s := st.text(l, v)
		if flags == "" {
			return s
		}
		st.m.charge(l, len(s)+200)
		return fmt.Sprintf("%"+flags+"s", s)
	}
	l.RaiseError("invalid option %s to 'format'", strconv.Quote("%"+string(rune(verb))))
	return ""
}

// quote writes s so that Lua reads it back.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(s) {
		switch c := s[i]; c {
		case '"', '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case '\n':
			b.WriteString("\\\n")
		case '\r':
			b.WriteString("\\r")
		case 0:
			b.WriteString("\\000")
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}
