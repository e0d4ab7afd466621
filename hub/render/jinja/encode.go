package jinja

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"sort"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/manifest"
)

func sha256Hex(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

// tojson writes JSON as Jinja2 does: keys in order of the alphabet, and of the
// characters up to U+FFFF only those of ASCII that HTML does not mind.
func tojson(m *machine, v any, p []any) (any, error) {
	n, err := m.intArg(p[0], -1)
	if err != nil {
		return nil, err
	}
	if n > 100 {
		return nil, m.fail("tojson indents by at most 100")
	}
	e := &jsonEncoder{m: m, w: &bounded{m: m}, indent: int(n)}
	if err := e.value(v, 0); err != nil {
		return nil, err
	}
	return e.w.b.String(), m.charge(e.w.b.Len())
}

type jsonEncoder struct {
	m      *machine
	w      *bounded
	indent int // below zero: all in one line
}

func (e *jsonEncoder) write(s string) error {
	_, err := e.w.WriteString(s)
	return err
}

func (e *jsonEncoder) line(depth int) error {
	if e.indent < 0 {
		return nil
	}
	return e.write("\n" + strings.Repeat(" ", e.indent*depth))
}

func (e *jsonEncoder) comma(i, depth int) error {
	if i > 0 {
		sep := ", "
		if e.indent >= 0 {
			sep = ","
		}
		if err := e.write(sep); err != nil {
			return err
		}
	}
	return e.line(depth)
}

func (e *jsonEncoder) value(v any, depth int) error {
	if depth > maxNesting {
		return e.m.fail("%s", errDeep)
	}
	if err := e.m.step(); err != nil {
		return err
	}
	switch v := v.(type) {
	case nil:
		return e.write("null")
	case bool:
		return e.write(strconv.FormatBool(v))
	case int64:
		return e.write(strconv.FormatInt(v, 10))
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return e.m.fail("%s is not a number that JSON has", floatText(v))
		}
		return e.write(floatText(v))
	case string:
		return e.write(jsonString(v))
	case *list:
		if v.kind == kindList || isTuple(v) {
			return e.list(v.items, depth)
		}
	case *dict:
		return e.dict(v, depth)
	case *undefined:
		return e.m.defined(v)
	}
	return e.m.fail("%s cannot be written as JSON; write |list after a sequence", typeName(v))
}

func (e *jsonEncoder) list(items []any, depth int) error {
	if len(items) == 0 {
		return e.write("[]")
	}
	if err := e.write("["); err != nil {
		return err
	}
	for i, item := range items {
		if err := e.comma(i, depth+1); err != nil {
			return err
		}
		if err := e.value(item, depth+1); err != nil {
			return err
		}
	}
	if err := e.line(depth); err != nil {
		return err
	}
	return e.write("]")
}

func (e *jsonEncoder) dict(d *dict, depth int) error {
	if len(d.entries) == 0 {
		return e.write("{}")
	}
	if err := e.write("{"); err != nil {
		return err
	}
	type named struct {
		key    string
		number float64
		value  any
	}
	entries := make([]named, 0, len(d.entries))
	numbers := true // as keys, which then have their own order
	for _, entry := range d.entries {
		k, err := keyText(e.m, entry.key)
		if err != nil {
			return err
		}
		_, f, _, ok := number(entry.key)
		numbers = numbers && ok
		entries = append(entries, named{k, f, entry.value})
	}
	sort.SliceStable(entries, func(i, j int) bool {
		if numbers {
			return entries[i].number < entries[j].number
		}
		return entries[i].key < entries[j].key
	})
	for i, entry := range entries {
		if err := e.comma(i, depth+1); err != nil {
			return err
		}
		if err := e.write(jsonString(entry.key) + ": "); err != nil {
			return err
		}
		if err := e.value(entry.value, depth+1); err != nil {
			return err
		}
	}
	if err := e.line(depth); err != nil {
		return err
	}
	return e.write("}")
}

// keyText is a key as JSON writes it.
func keyText(m *machine, k any) (string, error) {
	switch k := k.(type) {
	case string:
		return k, nil
	case bool:
		return strconv.FormatBool(k), nil
	case nil:
		return "null", nil
	}
	return m.text(k)
}

func jsonString(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == '\b':
			b.WriteString(`\b`)
		case r == '\f':
			b.WriteString(`\f`)
		case r >= 0x10000:
			b.WriteRune(r) // YAML does not know pairs of escapes
		case r < 0x20 || r > 0x7e || strings.ContainsRune("<>&'", r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// toyaml writes YAML in block style, keys in their order, without a line break
// at the end: the filter indent puts it where it belongs.
func toyaml(m *machine, v any, _ []any) (any, error) {
	n, err := yamlNode(m, v, 0)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := enc.Encode(n); err != nil {
		return nil, m.fail("the value cannot be written as YAML")
	}
	s := strings.TrimSuffix(b.String(), "\n")
	return s, m.charge(len(s))
}

func yamlNode(m *machine, v any, depth int) (*yaml.Node, error) {
	if depth > maxNesting {
		return nil, m.fail("%s", errDeep)
	}
	if err := m.step(); err != nil {
		return nil, err
	}
	if err := m.charge(200); err != nil {
		return nil, err
	}
	scalar := func(tag, value string) (*yaml.Node, error) {
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: value}, nil
	}
	switch v := v.(type) {
	case nil:
		return scalar("!!null", "null")
	case bool:
		return scalar("!!bool", strconv.FormatBool(v))
	case int64:
		return scalar("!!int", strconv.FormatInt(v, 10))
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil, m.fail("%s is not a number that JSON has", floatText(v))
		}
		return scalar("!!float", floatText(v))
	case string:
		return yamlString(v), m.charge(len(v))
	case *list:
		if v.kind != kindList && !isTuple(v) {
			break
		}
		n := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
		if len(v.items) == 0 {
			n.Style = yaml.FlowStyle
		}
		for _, item := range v.items {
			c, err := yamlNode(m, item, depth+1)
			if err != nil {
				return nil, err
			}
			n.Content = append(n.Content, c)
		}
		return n, nil
	case *dict:
		n := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
		if len(v.entries) == 0 {
			n.Style = yaml.FlowStyle
		}
		for _, e := range v.entries {
			k, err := keyText(m, e.key)
			if err != nil {
				return nil, err
			}
			c, err := yamlNode(m, e.value, depth+1)
			if err != nil {
				return nil, err
			}
			n.Content = append(n.Content, yamlString(k), c)
		}
		return n, nil
	case *undefined:
		return nil, m.defined(v)
	}
	return nil, m.fail("%s cannot be written as YAML; write |list after a sequence", typeName(v))
}

// yamlString is a string that every reader of YAML takes for one.
func yamlString(s string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s}
	switch {
	case strings.Contains(s, "\n") && !strings.ContainsAny(s, "\t\r\x00") && strings.Trim(s, " \n") == s && !strings.Contains(s, " \n"):
		// Not with a line break at its end, which would be the filter's.
		n.Style = yaml.LiteralStyle
	case strings.Contains(s, "\n") || !manifest.PlainString(s):
		n.Style = yaml.DoubleQuotedStyle
	}
	return n
}

// fromText reads YAML, of which JSON is a part.
func fromText(name string) func(m *machine, v any, _ []any) (any, error) {
	return func(m *machine, v any, _ []any) (any, error) {
		s, err := m.text(v)
		if err != nil {
			return nil, err
		}
		out, err := manifest.Value(name, []byte(s), m.w.Limits.Manifest)
		if err != nil {
			return nil, m.problem(fault.As(err).Code, "%s", fault.As(err).Message)
		}
		return fromYAML(out), m.charge(4 * len(s))
	}
}
