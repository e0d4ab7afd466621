package jinja

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// part is a piece of a template: text, {{ … }} or {% … %}. Comments are gone,
// raw blocks are text, and whitespace control was applied.
type part struct {
	kind byte // 't' text, 'v' {{ }}, 'b' {% %}
	text string
	toks []token
	line int // of its first character
}

// token is a token of an expression.
type token struct {
	kind byte // 'n' name, 'i' integer, 'f' float, 's' string, 'o' operator, 0 the end
	text string
	i    int64
	f    float64
	line int
}

// whitespace options of a template; Jinja2's defaults are off.
type whitespace struct{ trimBlocks, lstripBlocks bool }

// header is how Ansible's templates set options in their first line.
const header = "#jinja2:"

// lexer takes a template apart. Every step consumes something, so it ends.
type lexer struct {
	file string
	src  string
	pos  int
	line int
	ws   whitespace

	parts []part
	// text and where it began
	text     strings.Builder
	textLine int
}

// lex takes a template apart. Errors have file and line.
func lex(file, src string) ([]part, error) {
	src = strings.ReplaceAll(src, "\r\n", "\n")
	src = strings.ReplaceAll(src, "\r", "\n")
	l := &lexer{file: file, src: src, line: 1}
	if err := l.options(); err != nil {
		return nil, err
	}
	// One newline at the end is dropped, as keep_trailing_newline=False does.
	l.src = strings.TrimSuffix(l.src, "\n")
	for l.pos < len(l.src) {
		if err := l.step(); err != nil {
			return nil, err
		}
	}
	l.endText()
	return l.parts, nil
}

func (l *lexer) fail(line int, code, format string, args ...any) error {
	return problem(code, l.file, line, format, args...)
}

// options reads the header line, which is no part of the template.
func (l *lexer) options() error {
	if !strings.HasPrefix(l.src, header) {
		return nil
	}
	line, _, _ := strings.Cut(l.src, "\n")
	for setting := range strings.SplitSeq(strings.TrimPrefix(line, header), ",") {
		name, value, _ := strings.Cut(setting, ":")
		on := false
		switch strings.ToLower(strings.Trim(strings.TrimSpace(value), `"'`)) {
		case "true", "yes", "on", "1":
			on = true
		case "false", "no", "off", "0":
		default:
			return l.fail(1, codeUnsupported, "%s: write True or False for %q", header, strings.TrimSpace(name))
		}
		switch strings.TrimSpace(name) {
		case "trim_blocks":
			l.ws.trimBlocks = on
		case "lstrip_blocks":
			l.ws.lstripBlocks = on
		default:
			return l.fail(1, codeUnsupported, "%s %q: only trim_blocks and lstrip_blocks can be set", header, strings.TrimSpace(name))
		}
	}
	l.src = strings.TrimPrefix(l.src[len(line):], "\n")
	l.line = 2
	return nil
}

// advance moves on by n bytes and counts lines.
func (l *lexer) advance(n int) {
	l.line += strings.Count(l.src[l.pos:l.pos+n], "\n")
	l.pos += n
}

func (l *lexer) addText(s string) {
	if s == "" {
		return
	}
	if l.text.Len() == 0 {
		l.textLine = l.line
	}
	l.text.WriteString(s)
}

// endText makes a part of the text that was gathered.
func (l *lexer) endText() {
	if l.text.Len() > 0 {
		l.parts = append(l.parts, part{kind: 't', text: l.text.String(), line: l.textLine})
		l.text.Reset()
	}
}

// step consumes text up to the next delimiter, and what the delimiter begins.
func (l *lexer) step() error {
	rest := l.src[l.pos:]
	next := len(rest)
	for i := 0; i+1 < len(rest); i++ {
		if rest[i] == '{' && (rest[i+1] == '{' || rest[i+1] == '%' || rest[i+1] == '#') {
			next = i
			break
		}
	}
	text := rest[:next]
	if next == len(rest) {
		l.addText(text)
		l.advance(len(text))
		return nil
	}
	l.addText(l.stripLeft(text, rest[next+1], rest[next+2:]))
	l.advance(next)
	switch l.src[l.pos+1] {
	case '#':
		return l.comment()
	case '{':
		return l.code('v', "}}")
	}
	if body, ok := l.rawStart(); ok {
		return l.raw(body)
	}
	return l.code('b', "%}")
}

// stripLeft takes white space off text before a delimiter. after is what
// follows the delimiter.
func (l *lexer) stripLeft(text string, delimiter byte, after string) string {
	switch {
	case strings.HasPrefix(after, "-"):
		return strings.TrimRightFunc(text, unicode.IsSpace)
	case strings.HasPrefix(after, "+"), !l.ws.lstripBlocks, delimiter == '{':
		return text
	}
	stripped := strings.TrimRight(text, " \t")
	atLineStart := stripped == "" && (l.pos == 0 || l.src[l.pos-1] == '\n')
	if atLineStart || strings.HasSuffix(stripped, "\n") {
		return stripped
	}
	return text
}

// stripRight consumes white space after an end. mark is "-", "+" or "".
func (l *lexer) stripRight(mark string, block bool) {
	rest := l.src[l.pos:]
	switch {
	case mark == "-":
		l.advance(len(rest) - len(strings.TrimLeftFunc(rest, unicode.IsSpace)))
	case mark == "" && block && l.ws.trimBlocks && strings.HasPrefix(rest, "\n"):
		l.advance(1)
	}
}

func (l *lexer) comment() error {
	l.endText()
	end := strings.Index(l.src[l.pos+2:], "#}")
	if end < 0 {
		return l.fail(l.line, codeError, "the comment has no end: \"#}\" is missing")
	}
	mark := ""
	if end > 0 {
		switch c := l.src[l.pos+2+end-1]; c {
		case '-', '+':
			mark = string(c)
		}
	}
	l.advance(2 + end + 2)
	l.stripRight(mark, true)
	return nil
}

// rawStart recognises {% raw %} at the position; n is its length.
func (l *lexer) rawStart() (n int, ok bool) { return tagAt(l.src[l.pos:], "raw") }

// tagAt recognises a tag without arguments at the start of s.
func tagAt(s, name string) (n int, ok bool) {
	rest := strings.TrimPrefix(s, "{%")
	if len(rest) == len(s) {
		return 0, false
	}
	if strings.HasPrefix(rest, "-") || strings.HasPrefix(rest, "+") {
		rest = rest[1:]
	}
	rest, found := strings.CutPrefix(strings.TrimLeftFunc(rest, unicode.IsSpace), name)
	if !found {
		return 0, false
	}
	rest = strings.TrimLeftFunc(rest, unicode.IsSpace)
	if strings.HasPrefix(rest, "-") || strings.HasPrefix(rest, "+") {
		rest = rest[1:]
	}
	if rest, found = strings.CutPrefix(rest, "%}"); !found {
		return 0, false
	}
	return len(s) - len(rest), true
}

// raw consumes a raw block, whose start has length n.
func (l *lexer) raw(n int) error {
	l.endText()
	began := l.line
	mark := ""
	if l.src[l.pos+n-3] == '-' {
		mark = "-"
	}
	l.advance(n)
	l.stripRight(mark, false)
	for at := l.pos; ; at += 2 {
		i := strings.Index(l.src[at:], "{%")
		if i < 0 {
			return l.fail(began, codeError, "{%% raw %%} has no {%% endraw %%}")
		}
		at += i
		n, ok := tagAt(l.src[at:], "endraw")
		if !ok {
			continue
		}
		l.addText(l.stripLeft(l.src[l.pos:at], '%', l.src[at+2:]))
		l.endText()
		l.advance(at - l.pos)
		mark := ""
		if c := l.src[at+n-3]; c == '-' || c == '+' {
			mark = string(c)
		}
		l.advance(n)
		l.stripRight(mark, true)
		return nil
	}
}

// operators, the longest first.
var operators = []string{
	"**", "//", "==", "!=", ">=", "<=",
	"+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}", ">", "<", "=", ".", ":", "|", ",", ";",
}

// code consumes {{ … }} or {% … %}.
func (l *lexer) code(kind byte, end string) error {
	l.endText()
	p := part{kind: kind, line: l.line}
	l.advance(2)
	if c := l.src[l.pos:]; strings.HasPrefix(c, "-") || strings.HasPrefix(c, "+") && kind == 'b' {
		l.advance(1)
	}
	var open []byte // brackets
	for {
		rest := l.src[l.pos:]
		trimmed := strings.TrimLeftFunc(rest, unicode.IsSpace)
		l.advance(len(rest) - len(trimmed))
		rest = trimmed
		if rest == "" {
			return l.fail(p.line, codeError, "%q is missing", end)
		}
		if len(open) == 0 {
			for _, mark := range []string{"-", "+", ""} {
				if strings.HasPrefix(rest, mark+end) && (mark != "+" || kind == 'b') {
					l.advance(len(mark) + len(end))
					p.toks = append(p.toks, token{line: l.line})
					l.parts = append(l.parts, p)
					l.stripRight(mark, kind == 'b')
					return nil
				}
			}
		}
		t, n, err := l.token(rest, len(p.toks) > 0 && p.toks[len(p.toks)-1].text == "." && p.toks[len(p.toks)-1].kind == 'o')
		if err != nil {
			return err
		}
		if t.kind == 'o' {
			switch t.text {
			case "(", "[", "{":
				open = append(open, t.text[0])
			case ")", "]", "}":
				if len(open) == 0 || closing[open[len(open)-1]] != t.text {
					return l.fail(l.line, codeError, "%q closes nothing", t.text)
				}
				open = open[:len(open)-1]
			}
		}
		if len(open) > maxNesting {
			return l.fail(l.line, codeError, "brackets inside brackets, more than %d deep", maxNesting)
		}
		t.line = l.line
		p.toks = append(p.toks, t)
		l.advance(n)
	}
}

var closing = map[byte]string{'(': ")", '[': "]", '{': "}"}

// token reads one token at the start of s, which is not empty; n is its length.
func (l *lexer) token(s string, afterDot bool) (t token, n int, err error) {
	r, _ := utf8.DecodeRuneInString(s)
	switch {
	case r == '"' || r == '\'':
		return l.str(s)
	case r >= '0' && r <= '9':
		return l.number(s, afterDot)
	case r == '_' || unicode.IsLetter(r):
		n := strings.IndexFunc(s, func(r rune) bool {
			return r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r)
		})
		if n < 0 {
			n = len(s)
		}
		return token{kind: 'n', text: s[:n]}, n, nil
	}
	for _, foreign := range [][2]string{{"&&", "and"}, {"||", "or"}, {"!", "not"}} {
		if strings.HasPrefix(s, foreign[0]) && !strings.HasPrefix(s, "!=") {
			return token{}, 0, l.fail(l.line, codeUnsupported, "%q is no operator of Jinja2: write %q", foreign[0], foreign[1])
		}
	}
	for _, op := range operators {
		if strings.HasPrefix(s, op) {
			return token{kind: 'o', text: op}, len(op), nil
		}
	}
	return token{}, 0, l.fail(l.line, codeError, "unexpected character %q", string(r))
}

func (l *lexer) number(s string, afterDot bool) (t token, n int, err error) {
	digits := func(i int, ok func(c byte) bool) int {
		for i < len(s) && (ok(s[i]) || s[i] == '_' && i+1 < len(s) && ok(s[i+1])) {
			i++
		}
		return i
	}
	decimal := func(c byte) bool { return c >= '0' && c <= '9' }
	bases := map[byte]func(c byte) bool{
		'x': func(c byte) bool { return decimal(c) || c|0x20 >= 'a' && c|0x20 <= 'f' },
		'o': func(c byte) bool { return c >= '0' && c <= '7' }, 'b': func(c byte) bool { return c == '0' || c == '1' },
	}
	if len(s) > 2 && s[0] == '0' && bases[s[1]|0x20] != nil && !afterDot {
		if n = digits(2, bases[s[1]|0x20]); n > 2 {
			return l.integer(s[:n])
		}
	}
	n = digits(0, decimal)
	if afterDot {
		return l.integer(s[:n])
	}
	whole := n
	if n+1 < len(s) && s[n] == '.' && decimal(s[n+1]) {
		n = digits(n+1, decimal)
	}
	if n < len(s) && s[n]|0x20 == 'e' {
		e := n + 1
		if e < len(s) && (s[e] == '+' || s[e] == '-') {
			e++
		}
		if e < len(s) && decimal(s[e]) {
			n = digits(e, decimal)
		}
	}
	if n == whole {
		if n > 1 && s[0] == '0' && strings.Trim(s[:n], "0_") != "" {
			return t, 0, l.fail(l.line, codeError, "the number %.30s begins with 0", s[:n])
		}
		return l.integer(s[:n])
	}
	f, err := strconv.ParseFloat(strings.ReplaceAll(s[:n], "_", ""), 64)
	if err != nil {
		return t, 0, l.fail(l.line, codeError, "the number %.30s is out of range", s[:n])
	}
	return token{kind: 'f', text: s[:n], f: f}, n, nil
}

func (l *lexer) integer(s string) (token, int, error) {
	plain := strings.ReplaceAll(s, "_", "")
	base := 0
	if len(plain) > 1 && plain[0] == '0' && plain[1] >= '0' && plain[1] <= '9' {
		base = 10
	}
	i, err := strconv.ParseInt(plain, base, 64)
	if err != nil {
		return token{}, 0, l.fail(l.line, codeUnsupported, "the number %.30s does not fit into 64 bits", s)
	}
	return token{kind: 'i', text: s, i: i}, len(s), nil
}

// str reads a string literal with Python's escapes.
func (l *lexer) str(s string) (t token, n int, err error) {
	var b strings.Builder
	for i := 1; i < len(s); {
		c := s[i]
		switch {
		case c == s[0]:
			return token{kind: 's', text: b.String()}, i + 1, nil
		case c != '\\' || i+1 >= len(s):
			b.WriteByte(c)
			i++
		default:
			n, err := l.escape(&b, s[i+1:])
			if err != nil {
				return t, 0, err
			}
			i += 1 + n
		}
	}
	return t, 0, l.fail(l.line, codeError, "the string has no end: %s is missing", s[:1])
}

var escapes = map[byte]byte{'\\': '\\', '\'': '\'', '"': '"', 'a': 7, 'b': 8, 'f': 12, 'n': 10, 'r': 13, 't': 9, 'v': 11}

// escape writes what the escape after a backslash stands for; n is its length.
func (l *lexer) escape(b *strings.Builder, s string) (n int, err error) {
	hex := map[byte]int{'x': 2, 'u': 4, 'U': 8}
	switch c := s[0]; {
	case escapes[c] != 0:
		b.WriteByte(escapes[c])
		return 1, nil
	case c == '\n':
		return 1, nil
	case hex[c] > 0:
		n := hex[c]
		if len(s) <= n {
			return 0, l.fail(l.line, codeError, "\\%c needs %d hexadecimal digits", c, n)
		}
		r, err := strconv.ParseUint(s[1:1+n], 16, 32)
		if err != nil || r > unicode.MaxRune || r >= 0xd800 && r < 0xe000 {
			return 0, l.fail(l.line, codeError, "\\%c needs %d hexadecimal digits of a character", c, n)
		}
		b.WriteRune(rune(r))
		return 1 + n, nil
	case c >= '0' && c <= '7':
		for n < 3 && n < len(s) && s[n] >= '0' && s[n] <= '7' {
			n++
		}
		r, _ := strconv.ParseUint(s[:n], 8, 32)
		b.WriteRune(rune(r))
		return n, nil
	case c == 'N':
		return 0, l.fail(l.line, codeUnsupported, "\\N{…} is not supported: write the character, or \\uXXXX")
	}
	b.WriteByte('\\')
	b.WriteByte(s[0])
	return 1, nil
}

func (t token) String() string {
	switch t.kind {
	case 0:
		return "the end of the tag"
	case 's':
		return fmt.Sprintf("the string %.40q", t.text)
	}
	return fmt.Sprintf("%.40q", t.text)
}
