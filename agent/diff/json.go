package diff

import (
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf8"

	kjson "sigs.k8s.io/json"

	"github.com/hawser-dev/hawser/shared/fault"
)

// Decode reads a live body; integers stay int64. Strings share the memory of one
// copy of the body. An error means that it is not a JSON object.
func Decode(body []byte) (map[string]any, error) {
	r := jsonReader{text: string(body)}
	if v, ok := r.document(); ok {
		if obj, ok := v.(map[string]any); ok {
			return obj, nil
		}
	}
	// What the fast reader does not like is left to the one that Kubernetes uses.
	var obj map[string]any
	if err := kjson.UnmarshalCaseSensitivePreserveInts(body, &obj); err != nil || obj == nil {
		return nil, fault.Wrap(err, fault.Internal, "live_body_invalid", "a live object is not a JSON object")
	}
	return obj, nil
}

// jsonReader reads JSON as the API server writes it. Anything unusual makes it
// give up: escapes other than the short ones, invalid UTF-8, deep nesting.
type jsonReader struct {
	text string
	pos  int
}

const maxJSONDepth = 200

func (r *jsonReader) document() (any, bool) {
	v, ok := r.value(0)
	r.space()
	return v, ok && r.pos == len(r.text)
}

func (r *jsonReader) space() {
	for r.pos < len(r.text) {
		switch r.text[r.pos] {
		case ' ', '\t', '\r', '\n':
			r.pos++
		default:
			return
		}
	}
}

func (r *jsonReader) char(c byte) bool {
	r.space()
	if r.pos < len(r.text) && r.text[r.pos] == c {
		r.pos++
		return true
	}
	return false
}

func (r *jsonReader) value(depth int) (any, bool) {
	r.space()
	if r.pos >= len(r.text) || depth > maxJSONDepth {
		return nil, false
	}
	switch c := r.text[r.pos]; c {
	case '{':
		return r.object(depth)
	case '[':
		return r.list(depth)
	case '"':
		return r.str()
	case 't':
		return true, r.word("true")
	case 'f':
		return false, r.word("false")
	case 'n':
		return nil, r.word("null")
	default:
		return r.number()
	}
}

func (r *jsonReader) word(w string) bool {
	if !strings.HasPrefix(r.text[r.pos:], w) {
		return false
	}
	r.pos += len(w)
	return true
}

func (r *jsonReader) object(depth int) (any, bool) {
	r.pos++
	m := map[string]any{}
	if r.char('}') {
		return m, true
	}
	for {
		r.space()
		key, ok := r.str()
		if !ok || !r.char(':') {
			return nil, false
		}
		v, ok := r.value(depth + 1)
		if !ok {
			return nil, false
		}
		m[key] = v
		if r.char(',') {
			continue
		}
		return m, r.char('}')
	}
}

func (r *jsonReader) list(depth int) (any, bool) {
	r.pos++
	l := []any{}
	if r.char(']') {
		return l, true
	}
	for {
		v, ok := r.value(depth + 1)
		if !ok {
			return nil, false
		}
		l = append(l, v)
		if r.char(',') {
			continue
		}
		return l, r.char(']')
	}
}

func (r *jsonReader) str() (string, bool) {
	if r.pos >= len(r.text) || r.text[r.pos] != '"' {
		return "", false
	}
	start := r.pos + 1
	for i := start; i < len(r.text); i++ {
		switch c := r.text[i]; {
		case c == '"':
			r.pos = i + 1
			s := r.text[start:i]
			return s, utf8.ValidString(s)
		case c == '\\':
			return r.escaped(start)
		case c < ' ':
			return "", false
		}
	}
	return "", false
}

// escaped reads a string with escapes.
func (r *jsonReader) escaped(start int) (string, bool) {
	end := start
	for ; end < len(r.text) && r.text[end] != '"'; end++ {
		if r.text[end] == '\\' {
			end++
		}
	}
	if end >= len(r.text) {
		return "", false
	}
	r.pos = end + 1
	var s string
	raw := r.text[start-1 : end+1]
	if !utf8.ValidString(raw) || json.Unmarshal([]byte(raw), &s) != nil {
		return "", false
	}
	return s, true
}

func (r *jsonReader) number() (any, bool) {
	start := r.pos
	whole := true
	for r.pos < len(r.text) {
		c := r.text[r.pos]
		if c == '.' || c == 'e' || c == 'E' {
			whole = false
		} else if c != '-' && c != '+' && (c < '0' || c > '9') {
			break
		}
		r.pos++
	}
	s := r.text[start:r.pos]
	if !whole {
		// Fractions are rare; their syntax is checked by the other reader.
		var f float64
		if json.Unmarshal([]byte(s), &f) != nil {
			return nil, false
		}
		return f, true
	}
	digits := strings.TrimPrefix(s, "-")
	if digits == "" || digits[0] == '+' || len(digits) > 1 && digits[0] == '0' {
		return nil, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || s == "-0" {
		return nil, false
	}
	return n, true
}
