package lua

import (
	glua "github.com/yuin/gopher-lua"
)

// Lua's patterns, as in the reference manual of Lua 5.1, §5.4.1. The matcher
// backtracks, so each of its steps counts against the run's time.

const (
	maxCaptures = 32
	// maxMatchDepth bounds recursion: one level for each repetition or group of
	// the pattern that is being matched.
	maxMatchDepth = 200

	captureOpen     = -1
	capturePosition = -2
)

type capture struct{ start, size int }

// matcher matches one pattern against one subject.
type matcher struct {
	l       *glua.LState
	m       *meter
	src     string
	pat     string
	level   int
	depth   int
	capture [maxCaptures]capture
}

func (st *state) matcher(l *glua.LState, src, pat string) *matcher {
	return &matcher{l: l, m: &st.m, src: src, pat: pat}
}

// at matches the pattern from p against the subject from s. It returns where
// the match ends, -1 for none.
func (m *matcher) at(s, p int) int {
	if m.depth++; m.depth > maxMatchDepth {
		m.l.RaiseError("pattern too complex")
	}
	defer func() { m.depth-- }()
	for {
		m.m.work(m.l, 1)
		if p == len(m.pat) {
			return s
		}
		switch m.pat[p] {
		case '(':
			if p+1 < len(m.pat) && m.pat[p+1] == ')' {
				return m.open(s, p+2, capturePosition)
			}
			return m.open(s, p+1, captureOpen)
		case ')':
			return m.close(s, p+1)
		case '$':
			if p+1 == len(m.pat) {
				if s == len(m.src) {
					return s
				}
				return -1
			}
		case '%':
			if p+1 >= len(m.pat) {
				m.l.RaiseError("%s", "malformed pattern (ends with '%')")
			}
			switch c := m.pat[p+1]; {
			case c == 'b':
				if s = m.balance(s, p+2); s < 0 {
					return -1
				}
				p += 4
				continue
			case c == 'f':
				end, ok := m.frontier(s, p+2)
				if !ok {
					return -1
				}
				p = end
				continue
			case c >= '0' && c <= '9':
				if s = m.back(s, c); s < 0 {
					return -1
				}
				p += 2
				continue
			}
		}
		end := m.classEnd(p)
		one := s < len(m.src) && m.single(m.src[s], p, end)
		suffix := byte(0)
		if end < len(m.pat) {
			suffix = m.pat[end]
		}
		switch suffix {
		case '?':
			if one {
				if r := m.at(s+1, end+1); r >= 0 {
					return r
				}
			}
			p = end + 1
		case '*':
			return m.most(s, p, end, 0)
		case '+':
			return m.most(s, p, end, 1)
		case '-':
			return m.least(s, p, end)
		default:
			if !one {
				return -1
			}
			s, p = s+1, end
		}
	}
}

// most matches as many of a class as it can, at least n.
func (m *matcher) most(s, p, end, n int) int {
	i := 0
	for s+i < len(m.src) && m.single(m.src[s+i], p, end) {
		m.m.work(m.l, 1)
		i++
	}
	for ; i >= n; i-- {
		if r := m.at(s+i, end+1); r >= 0 {
			return r
		}
	}
	return -1
}

// least matches as few of a class as it can.
func (m *matcher) least(s, p, end int) int {
	for {
		if r := m.at(s, end+1); r >= 0 {
			return r
		}
		if s >= len(m.src) || !m.single(m.src[s], p, end) {
			return -1
		}
		s++
	}
}

func (m *matcher) open(s, p, what int) int {
	if m.level >= maxCaptures {
		m.l.RaiseError("too many captures")
	}
	m.capture[m.level] = capture{s, what}
	m.level++
	r := m.at(s, p)
	if r < 0 {
		m.level--
	}
	return r
}

func (m *matcher) close(s, p int) int {
	i := m.level - 1
	for i >= 0 && m.capture[i].size != captureOpen {
		i--
	}
	if i < 0 {
		m.l.RaiseError("invalid pattern capture")
	}
	m.capture[i].size = s - m.capture[i].start
	r := m.at(s, p)
	if r < 0 {
		m.capture[i].size = captureOpen
	}
	return r
}

// balance matches %bxy, whose x is at p.
func (m *matcher) balance(s, p int) int {
	if p+1 >= len(m.pat) {
		m.l.RaiseError("unbalanced pattern")
	}
	open, closing := m.pat[p], m.pat[p+1]
	if s >= len(m.src) || m.src[s] != open {
		return -1
	}
	for n := 1; ; {
		if s++; s >= len(m.src) {
			return -1
		}
		m.m.work(m.l, 1)
		switch m.src[s] {
		case closing:
			if n--; n == 0 {
				return s + 1
			}
		case open:
			n++
		}
	}
}

// frontier matches %f[set], whose set is at p, and returns where it ends.
func (m *matcher) frontier(s, p int) (int, bool) {
	if p >= len(m.pat) || m.pat[p] != '[' {
		m.l.RaiseError("%s", "missing '[' after '%f' in pattern")
	}
	end := m.classEnd(p)
	var before, here byte
	if s > 0 {
		before = m.src[s-1]
	}
	if s < len(m.src) {
		here = m.src[s]
	}
	return end, !m.set(before, p, end-1) && m.set(here, p, end-1)
}

// back matches what capture c matched.
func (m *matcher) back(s int, c byte) int {
	i := int(c) - '1'
	if i < 0 || i >= m.level || m.capture[i].size == captureOpen {
		m.l.RaiseError("invalid capture index")
	}
	size := max(0, m.capture[i].size)
	m.m.work(m.l, size/16)
	if len(m.src)-s < size || m.src[s:s+size] != m.src[m.capture[i].start:m.capture[i].start+size] {
		return -1
	}
	return s + size
}

// classEnd is where the single-character class at p ends.
func (m *matcher) classEnd(p int) int {
	c := m.pat[p]
	p++
	switch c {
	case '%':
		if p >= len(m.pat) {
			m.l.RaiseError("%s", "malformed pattern (ends with '%')")
		}
		return p + 1
	case '[':
		if p < len(m.pat) && m.pat[p] == '^' {
			p++
		}
		for first := true; first || p < len(m.pat) && m.pat[p] != ']'; first = false {
			if p >= len(m.pat) {
				break
			}
			m.m.work(m.l, 1)
			c := m.pat[p]
			p++
			if c == '%' {
				p++ // also "%]"
			}
		}
		if p >= len(m.pat) {
			m.l.RaiseError("malformed pattern (missing ']')")
		}
		return p + 1
	}
	return p
}

// single reports whether c belongs to the class from p to end.
func (m *matcher) single(c byte, p, end int) bool {
	switch m.pat[p] {
	case '.':
		return true
	case '%':
		return inClass(c, m.pat[p+1])
	case '[':
		return m.set(c, p, end-1)
	}
	return m.pat[p] == c
}

// set reports whether c belongs to the set whose '[' is at p and ']' at end.
func (m *matcher) set(c byte, p, end int) bool {
	m.m.work(m.l, (end-p)/8)
	in := true
	p++
	if m.pat[p] == '^' {
		in = false
		p++
	}
	for ; p < end; p++ {
		switch {
		case m.pat[p] == '%':
			p++
			if inClass(c, m.pat[p]) {
				return in
			}
		case p+2 < end && m.pat[p+1] == '-':
			if m.pat[p] <= c && c <= m.pat[p+2] {
				return in
			}
			p += 2
		case m.pat[p] == c:
			return in
		}
	}
	return !in
}

// inClass reports whether c is of the class that a letter after '%' names; any
// other character is itself.
func inClass(c, class byte) bool {
	var in bool
	switch class | 0x20 {
	case 'a':
		in = isAlpha(c)
	case 'c':
		in = c < 0x20 || c == 0x7f
	case 'd':
		in = isDigit(c)
	case 'l':
		in = c >= 'a' && c <= 'z'
	case 'p':
		in = c > 0x20 && c < 0x7f && !isAlpha(c) && !isDigit(c)
	case 's':
		in = c == ' ' || c >= '\t' && c <= '\r'
	case 'u':
		in = c >= 'A' && c <= 'Z'
	case 'w':
		in = isAlpha(c) || isDigit(c)
	case 'x':
		in = isDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'f'
	case 'z':
		in = c == 0
	default:
		return c == class
	}
	if !isAlpha(class) {
		return c == class
	}
	return in != (class&0x20 == 0)
}

func isAlpha(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }
func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// find looks for the pattern from position s on, and returns where a match
// begins and ends.
func (m *matcher) find(s int) (from, to int) {
	p := 0
	anchored := len(m.pat) > 0 && m.pat[0] == '^'
	if anchored {
		p = 1
	}
	for ; ; s++ {
		m.level = 0
		if e := m.at(s, p); e >= 0 {
			return s, e
		}
		if anchored || s >= len(m.src) {
			return -1, -1
		}
	}
}

// captured is capture i of a match from s to e, or the whole match when the
// pattern has no captures.
func (m *matcher) captured(i, s, e int) glua.LValue {
	if i >= m.level {
		if i != 0 {
			m.l.RaiseError("invalid capture index")
		}
		return m.str(s, e-s)
	}
	c := m.capture[i]
	switch c.size {
	case captureOpen:
		m.l.RaiseError("unfinished capture")
	case capturePosition:
		return glua.LNumber(c.start + 1)
	}
	return m.str(c.start, c.size)
}

func (m *matcher) str(start, size int) glua.LValue {
	m.m.charge(m.l, 32) // it shares the bytes of the subject
	return glua.LString(m.src[start : start+size])
}

// push pushes all captures, or the whole match when there are none.
func (m *matcher) push(s, e int, whole bool) int {
	n := m.level
	if n == 0 && whole {
		n = 1
	}
	for i := range n {
		m.l.Push(m.captured(i, s, e))
	}
	return n
}
