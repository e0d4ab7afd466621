package decode

import (
	"encoding/json"
	"math"
	"sort"
	"strconv"
	"strings"
)

// maxDepth is how deep a document may nest.
const maxDepth = 64

// maxNodes bounds a document after its aliases are expanded.
const maxNodes = 200_000

type kind int

const (
	kindNull kind = iota
	kindBool
	kindNumber
	kindString
	kindList
	kindObject
)

// node is a value of a document with its place, the same for YAML and JSON.
type node struct {
	kind kind
	line int
	// text is the string, or the number as JSON writes it.
	text string
	bool bool
	// plainBool marks an unquoted YAML 1.1 boolean such as "yes": a string
	// where a string is wanted and a boolean where one is.
	plainBool bool
	list      []*node
	entries   []entry // in the order of the document, keys unique
}

type entry struct {
	key   string
	line  int
	value *node
}

func (n *node) get(key string) *node {
	if n == nil || n.kind != kindObject {
		return nil
	}
	for _, e := range n.entries {
		if e.key == key {
			return e.value
		}
	}
	return nil
}

// str is the string of a field, "" when it is absent or no string.
func (n *node) str(key string) string {
	if v := n.get(key); v != nil && v.kind == kindString {
		return v.text
	}
	return ""
}

// describe says what n is, for messages: the string "3", a list.
func (n *node) describe() string {
	switch n.kind {
	case kindNull:
		return "null"
	case kindBool:
		return "the boolean " + strconv.FormatBool(n.bool)
	case kindNumber:
		return "the number " + shorten(n.text)
	case kindString:
		return "the string " + quote(n.text)
	case kindList:
		return "a list"
	}
	return "an object"
}

// json writes n as canonical JSON: keys sorted.
func (n *node) json() json.RawMessage {
	var b strings.Builder
	n.writeJSON(&b)
	return json.RawMessage(b.String())
}

func (n *node) writeJSON(b *strings.Builder) {
	switch n.kind {
	case kindNull:
		b.WriteString("null")
	case kindBool:
		b.WriteString(strconv.FormatBool(n.bool))
	case kindNumber:
		b.WriteString(n.text)
	case kindString:
		if n.plainBool {
			b.WriteString(strconv.FormatBool(n.bool))
			return
		}
		writeString(b, n.text)
	case kindList:
		b.WriteByte('[')
		for i, v := range n.list {
			if i > 0 {
				b.WriteByte(',')
			}
			v.writeJSON(b)
		}
		b.WriteByte(']')
	case kindObject:
		sorted := append([]entry(nil), n.entries...)
		sort.Slice(sorted, func(i, j int) bool { return sorted[i].key < sorted[j].key })
		b.WriteByte('{')
		for i, e := range sorted {
			if i > 0 {
				b.WriteByte(',')
			}
			writeString(b, e.key)
			b.WriteByte(':')
			e.value.writeJSON(b)
		}
		b.WriteByte('}')
	}
}

func writeString(b *strings.Builder, s string) {
	enc := json.NewEncoder(trimNewline{b})
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // a string always encodes, and the builder never fails
}

// trimNewline drops the newline that json.Encoder appends.
type trimNewline struct{ b *strings.Builder }

func (w trimNewline) Write(p []byte) (int, error) {
	w.b.WriteString(strings.TrimSuffix(string(p), "\n"))
	return len(p), nil
}

// number renders a YAML number as JSON. ok is false for infinities and NaN.
func number(v any) (string, bool) {
	switch x := v.(type) {
	case int:
		return strconv.Itoa(x), true
	case int64:
		return strconv.FormatInt(x, 10), true
	case uint64:
		return strconv.FormatUint(x, 10), true
	case float64:
		if math.IsInf(x, 0) || math.IsNaN(x) {
			return "", false
		}
		b, err := json.Marshal(x)
		return string(b), err == nil
	}
	return "", false
}

// quote shows a value in a message: quoted, invisible characters escaped, cut.
func quote(s string) string {
	const most = 60
	if r := []rune(s); len(r) > most {
		s = string(r[:most-3]) + "..."
	}
	return strconv.QuoteToGraphic(s)
}

func shorten(s string) string {
	if len(s) > 40 {
		return s[:37] + "..."
	}
	return s
}
