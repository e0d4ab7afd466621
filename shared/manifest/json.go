package manifest

import (
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// jsonError is a problem at a byte offset.
type jsonError struct {
	code   string
	offset int
	msg    string
}

// decodeJSON reads exactly one JSON value. Unlike encoding/json it refuses
// duplicate keys and invalid UTF-8, keeps int64, and bounds the depth.
func decodeJSON(data []byte, maxDepth int) (any, *jsonError) {
	d := jsonReader{data: data, maxDepth: maxDepth}
	v, err := d.value(0)
	if err != nil {
		return nil, err
	}
	d.space()
	if d.pos < len(data) {
		return nil, d.fail("text after the end of the value")
	}
	return v, nil
}

type jsonReader struct {
	data     []byte
	pos      int
	maxDepth int
}

func (d *jsonReader) fail(msg string) *jsonError {
	return &jsonError{code: "yaml_invalid", offset: d.pos, msg: msg}
}

func (d *jsonReader) space() {
	for d.pos < len(d.data) {
		switch d.data[d.pos] {
		case ' ', '\t', '\r', '\n':
			d.pos++
		default:
			return
		}
	}
}

func (d *jsonReader) value(depth int) (any, *jsonError) {
	d.space()
	if d.pos >= len(d.data) {
		return nil, d.fail("the JSON ends too early")
	}
	if depth > d.maxDepth {
		return nil, d.fail("nested deeper than " + strconv.Itoa(d.maxDepth))
	}
	switch c := d.data[d.pos]; {
	case c == '{':
		return d.object(depth)
	case c == '[':
		return d.array(depth)
	case c == '"':
		return d.str()
	case c == '-' || (c >= '0' && c <= '9'):
		return d.number()
	case d.word("true"):
		return true, nil
	case d.word("false"):
		return false, nil
	case d.word("null"):
		return nil, nil
	}
	return nil, d.fail("a JSON value is expected here")
}

func (d *jsonReader) word(w string) bool {
	if strings.HasPrefix(string(d.data[d.pos:min(len(d.data), d.pos+len(w))]), w) {
		d.pos += len(w)
		return true
	}
	return false
}

func (d *jsonReader) object(depth int) (any, *jsonError) {
	start := d.pos
	d.pos++ // {
	m := map[string]any{}
	d.space()
	if d.pos < len(d.data) && d.data[d.pos] == '}' {
		d.pos++
		return m, nil
	}
	for {
		d.space()
		if d.pos >= len(d.data) || d.data[d.pos] != '"' {
			return nil, d.fail("a key in double quotes is expected here")
		}
		at := d.pos
		key, err := d.str()
		if err != nil {
			return nil, err
		}
		if _, ok := m[key]; ok {
			line, _ := position(d.data, d.firstKey(start, key, depth))
			return nil, &jsonError{code: "yaml_duplicate_key", offset: at, msg: quote(key) + " is already set at line " + strconv.Itoa(line)}
		}
		d.space()
		if d.pos >= len(d.data) || d.data[d.pos] != ':' {
			return nil, d.fail("\":\" is expected here")
		}
		d.pos++
		if m[key], err = d.value(depth + 1); err != nil {
			return nil, err
		}
		if done, err := d.next('}'); done || err != nil {
			return m, err
		}
	}
}

// firstKey is the offset of the first key of this name in the object that
// begins at start.
func (d *jsonReader) firstKey(start int, name string, depth int) int {
	again := jsonReader{data: d.data, pos: start + 1, maxDepth: d.maxDepth}
	for {
		again.space()
		at := again.pos
		key, err := again.str()
		if err != nil || key == name {
			return at
		}
		again.space()
		again.pos++ // :
		if _, err := again.value(depth + 1); err != nil {
			return at
		}
		if done, err := again.next('}'); done || err != nil {
			return at
		}
	}
}

func (d *jsonReader) array(depth int) (any, *jsonError) {
	d.pos++ // [
	list := []any{}
	d.space()
	if d.pos < len(d.data) && d.data[d.pos] == ']' {
		d.pos++
		return list, nil
	}
	for {
		v, err := d.value(depth + 1)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
		if done, err := d.next(']'); done || err != nil {
			return list, err
		}
	}
}

// next reads a comma, or the end of the container.
func (d *jsonReader) next(end byte) (done bool, err *jsonError) {
	d.space()
	if d.pos < len(d.data) {
		switch d.data[d.pos] {
		case ',':
			d.pos++
			return false, nil
		case end:
			d.pos++
			return true, nil
		}
	}
	return false, d.fail("\",\" or \"" + string(end) + "\" is expected here")
}

func (d *jsonReader) number() (any, *jsonError) {
	start := d.pos
	if d.data[d.pos] == '-' {
		d.pos++
	}
	whole := d.digits()
	if whole == 0 || (whole > 1 && d.data[d.pos-whole] == '0') {
		return nil, d.fail("not a JSON number")
	}
	integer := true
	if d.pos < len(d.data) && d.data[d.pos] == '.' {
		integer = false
		d.pos++
		if d.digits() == 0 {
			return nil, d.fail("digits are expected after the decimal point")
		}
	}
	if d.pos < len(d.data) && (d.data[d.pos] == 'e' || d.data[d.pos] == 'E') {
		integer = false
		d.pos++
		if d.pos < len(d.data) && (d.data[d.pos] == '+' || d.data[d.pos] == '-') {
			d.pos++
		}
		if d.digits() == 0 {
			return nil, d.fail("digits are expected in the exponent")
		}
	}
	text := string(d.data[start:d.pos])
	if integer {
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return n, nil
		}
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		d.pos = start
		return nil, d.fail("the number " + clip(text, 40) + " is out of range")
	}
	return normalFloat(f), nil
}

func (d *jsonReader) digits() int {
	start := d.pos
	for d.pos < len(d.data) && d.data[d.pos] >= '0' && d.data[d.pos] <= '9' {
		d.pos++
	}
	return d.pos - start
}

// normalFloat gives the value that decoding the canonical encoding of f gives:
// whole numbers in the range of int64 that JSON writes without exponent become
// int64.
func normalFloat(f float64) any {
	if f >= -9.2e18 && f <= 9.2e18 && f == float64(int64(f)) {
		return int64(f)
	}
	return f
}

func (d *jsonReader) str() (string, *jsonError) {
	d.pos++ // "
	start := d.pos
	ascii := true
	for d.pos < len(d.data) {
		switch c := d.data[d.pos]; {
		case c == '"':
			s := string(d.data[start:d.pos])
			if !ascii && !utf8.ValidString(s) {
				d.pos = start
				return "", d.fail("the string is not valid UTF-8")
			}
			d.pos++
			return s, nil
		case c == '\\':
			return d.escaped(start)
		case c < 0x20:
			return "", d.fail("a control character in a string; escape it")
		case c >= utf8.RuneSelf:
			ascii = false
		}
		d.pos++
	}
	return "", d.fail("the string has no end")
}

// escaped goes on reading a string at its first backslash.
func (d *jsonReader) escaped(start int) (string, *jsonError) {
	buf := append(make([]byte, 0, 2*(d.pos-start)+32), d.data[start:d.pos]...)
	for d.pos < len(d.data) {
		c := d.data[d.pos]
		switch {
		case c == '"':
			if !utf8.Valid(buf) {
				d.pos = start
				return "", d.fail("the string is not valid UTF-8")
			}
			d.pos++
			return string(buf), nil
		case c < 0x20:
			return "", d.fail("a control character in a string; escape it")
		case c != '\\':
			buf = append(buf, c)
			d.pos++
			continue
		}
		if d.pos+1 >= len(d.data) {
			break
		}
		e := d.data[d.pos+1]
		if e == 'u' {
			r, ok := d.unicode()
			if !ok {
				return "", d.fail("\\u needs four hexadecimal digits")
			}
			buf = utf8.AppendRune(buf, r)
			continue
		}
		i := strings.IndexByte(`"\/bfnrt`, e)
		if i < 0 {
			return "", d.fail("an escape that JSON does not know")
		}
		buf = append(buf, "\"\\/\b\f\n\r\t"[i])
		d.pos += 2
	}
	return "", d.fail("the string has no end")
}

// unicode reads \uXXXX, and a second one when they are a surrogate pair. A
// lone surrogate becomes U+FFFD, as in encoding/json.
func (d *jsonReader) unicode() (rune, bool) {
	r, ok := d.hex4(d.pos)
	if !ok {
		return 0, false
	}
	d.pos += 6
	if utf16.IsSurrogate(r) {
		if r2, ok := d.hex4(d.pos); ok {
			if pair := utf16.DecodeRune(r, r2); pair != utf8.RuneError {
				d.pos += 6
				return pair, true
			}
		}
		return utf8.RuneError, true
	}
	return r, true
}

func (d *jsonReader) hex4(at int) (rune, bool) {
	if at+6 > len(d.data) || d.data[at] != '\\' || d.data[at+1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(d.data[at+2:at+6]), 16, 16)
	return rune(n), err == nil
}
