package lua

import (
	"strings"

	glua "github.com/yuin/gopher-lua"
)

func (st *state) stringFuncs() map[string]glua.LGFunction {
	return map[string]glua.LGFunction{
		"byte": st.strByte, "char": st.strChar, "find": st.strFind, "format": st.strFormat,
		"gmatch": st.strGmatch, "gfind": st.strGmatch, "gsub": st.strGsub, "len": st.strLen, "lower": st.strLower,
		"match": st.strMatch, "rep": st.strRep, "reverse": st.strReverse, "sub": st.strSub, "upper": st.strUpper,
	}
}

// span makes positions as Lua counts them, from 1 or, negative, from the end,
// into a range of bytes of a string of n.
func span(n, from, to int) (int, int) {
	if from < 0 {
		from = max(1, n+from+1)
	} else if from == 0 {
		from = 1
	}
	if to < 0 {
		to = n + to + 1
	} else if to > n {
		to = n
	}
	if from > to {
		return 0, 0
	}
	return from - 1, to
}

func (st *state) strByte(l *glua.LState) int {
	s := l.CheckString(1)
	first := l.OptInt(2, 1)
	from, to := span(len(s), first, l.OptInt(3, first))
	if to-from >= maxRegisters/2 {
		l.RaiseError("string slice too long")
	}
	for i := from; i < to; i++ {
		l.Push(glua.LNumber(s[i]))
	}
	return to - from
}

func (st *state) strChar(l *glua.LState) int {
	n := l.GetTop()
	st.m.str(l, n)
	b := make([]byte, n)
	for i := range b {
		c := l.CheckInt(i + 1)
		if c < 0 || c > 255 {
			l.ArgError(i+1, "invalid value")
		}
		b[i] = byte(c)
	}
	l.Push(glua.LString(b))
	return 1
}

func (st *state) strLen(l *glua.LState) int {
	l.Push(glua.LNumber(len(l.CheckString(1))))
	return 1
}

func (st *state) strLower(l *glua.LState) int {
	s := l.CheckString(1)
	st.m.str(l, len(s))
	l.Push(glua.LString(mapASCII(s, 'A', 'Z')))
	return 1
}

func (st *state) strUpper(l *glua.LState) int {
	s := l.CheckString(1)
	st.m.str(l, len(s))
	l.Push(glua.LString(mapASCII(s, 'a', 'z')))
	return 1
}

// mapASCII changes the case of the letters from first to last. Unlike Go's it
// keeps the length.
func mapASCII(s string, first, last byte) string {
	b := []byte(s)
	for i, c := range b {
		if c >= first && c <= last {
			b[i] = c ^ 0x20
		}
	}
	return string(b)
}

func (st *state) strRep(l *glua.LState) int {
	s, n := l.CheckString(1), l.CheckInt(2)
	if n <= 0 || s == "" {
		l.Push(glua.LString(""))
		return 1
	}
	size := maxString + 1 // that is too long
	if n <= maxString/len(s) {
		size = n * len(s)
	}
	st.m.str(l, size)
	l.Push(glua.LString(strings.Repeat(s, n)))
	return 1
}

func (st *state) strReverse(l *glua.LState) int {
	s := l.CheckString(1)
	st.m.str(l, len(s))
	b := make([]byte, len(s))
	for i := range len(s) {
		b[len(s)-1-i] = s[i]
	}
	l.Push(glua.LString(b))
	return 1
}

func (st *state) strSub(l *glua.LState) int {
	s := l.CheckString(1)
	from, to := span(len(s), l.CheckInt(2), l.OptInt(3, -1))
	st.m.charge(l, 32)
	l.Push(glua.LString(s[from:to]))
	return 1
}

// start makes the optional argument n, where a search begins, an offset.
func start(l *glua.LState, n, length int) (int, bool) {
	from := l.OptInt(n, 1)
	switch {
	case from < 0:
		from = max(1, length+from+1)
	case from == 0:
		from = 1
	}
	return from - 1, from-1 <= length
}

func (st *state) strFind(l *glua.LState) int {
	s, p := l.CheckString(1), l.CheckString(2)
	from, ok := start(l, 3, len(s))
	if !ok {
		l.Push(glua.LNil)
		return 1
	}
	if l.ToBool(4) || !strings.ContainsAny(p, "^$*+?.([%-") {
		st.m.work(l, (len(s)-from)/16)
		i := strings.Index(s[from:], p)
		if i < 0 {
			l.Push(glua.LNil)
			return 1
		}
		l.Push(glua.LNumber(from + i + 1))
		l.Push(glua.LNumber(from + i + len(p)))
		return 2
	}
	m := st.matcher(l, s, p)
	a, b := m.find(from)
	if a < 0 {
		l.Push(glua.LNil)
		return 1
	}
	l.Push(glua.LNumber(a + 1))
	l.Push(glua.LNumber(b))
	return 2 + m.push(a, b, false)
}

func (st *state) strMatch(l *glua.LState) int {
	s, p := l.CheckString(1), l.CheckString(2)
	from, ok := start(l, 3, len(s))
	if ok {
		m := st.matcher(l, s, p)
		if a, b := m.find(from); a >= 0 {
			return m.push(a, b, true)
		}
	}
	l.Push(glua.LNil)
	return 1
}

func (st *state) strGmatch(l *glua.LState) int {
	s, p := l.CheckString(1), l.CheckString(2)
	st.m.charge(l, 1024)
	pos := 0
	l.Push(l.NewFunction(func(l *glua.LState) int {
		if pos > len(s) {
			return 0
		}
		m := st.matcher(l, s, p)
		a, b := m.find(pos)
		if a < 0 {
			pos = len(s) + 1
			return 0
		}
		if pos = b; b == a {
			pos++
		}
		return m.push(a, b, true)
	}))
	return 1
}

func (st *state) strGsub(l *glua.LState) int {
	s, p := l.CheckString(1), l.CheckString(2)
	repl := l.CheckAny(3)
	switch repl.Type() {
	case glua.LTString, glua.LTNumber, glua.LTTable, glua.LTFunction:
	default:
		l.ArgError(3, "string/function/table expected")
	}
	most := l.OptInt(4, len(s)+1)
	var out []byte
	add := func(part string) {
		// Growing doubles at most.
		st.m.charge(l, 2*len(part))
		if len(out)+len(part) > maxString {
			st.m.str(l, len(out)+len(part))
		}
		out = append(out, part...)
	}
	m := st.matcher(l, s, p)
	anchored := strings.HasPrefix(p, "^")
	pos, n := 0, 0
	first := 0
	if anchored {
		first = 1
	}
	for n < most {
		m.level = 0
		e := m.at(pos, first)
		if e >= 0 {
			n++
			st.replacement(l, m, repl, pos, e, add)
		}
		switch {
		case e > pos:
			pos = e
		case pos < len(s):
			add(s[pos : pos+1])
			pos++
		default:
			pos++
		}
		if pos > len(s) || anchored {
			break
		}
	}
	if pos < len(s) {
		add(s[pos:])
	}
	st.m.str(l, len(out))
	l.Push(glua.LString(out))
	l.Push(glua.LNumber(n))
	return 2
}

// replacement adds what a match from s to e is replaced by.
func (st *state) replacement(l *glua.LState, m *matcher, repl glua.LValue, s, e int, add func(string)) {
	var v glua.LValue
	switch r := repl.(type) {
	case *glua.LTable:
		v = l.GetTable(r, m.captured(0, s, e))
	case *glua.LFunction:
		l.Push(r)
		l.Call(m.push(s, e, true), 1)
		v = l.Get(-1)
		l.Pop(1)
	default:
		st.expand(l, m, glua.LVAsString(repl), s, e, add)
		return
	}
	switch {
	case !glua.LVAsBool(v):
		add(m.src[s:e])
	case glua.LVCanConvToString(v):
		add(glua.LVAsString(v))
	default:
		l.RaiseError("invalid replacement value (a %s)", v.Type().String())
	}
}

// expand adds a replacement with %0 to %9 for captures and %% for "%".
func (st *state) expand(l *glua.LState, m *matcher, text string, s, e int, add func(string)) {
	for {
		i := strings.IndexByte(text, '%')
		if i < 0 || i+1 >= len(text) {
			add(text)
			return
		}
		st.m.work(l, 1)
		add(text[:i])
		switch c := text[i+1]; {
		case c == '0':
			add(m.src[s:e])
		case isDigit(c):
			add(glua.LVAsString(m.captured(int(c-'1'), s, e)))
		default:
			add(text[i+1 : i+2])
		}
		text = text[i+2:]
	}
}
