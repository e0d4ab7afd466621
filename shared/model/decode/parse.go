package decode

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"sort"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/hawser-dev/hawser/shared/fault"
)

// MaxBytes is the size that a text to decode may have.
const MaxBytes = 4 << 20

// parse reads all documents of a text. Empty documents are left out.
func parse(data []byte) ([]*node, error) {
	if len(data) > MaxBytes {
		return nil, fault.New(fault.TooLarge, "body_too_large", "the text is %d bytes; the limit is %d", len(data), MaxBytes)
	}
	if at := invalidUTF8(data); at >= 0 {
		return nil, fault.New(fault.Invalid, "encoding_invalid", "byte 0x%02X at offset %d is not valid UTF-8", data[at], at).
			WithFix("save the text as UTF-8")
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	trimmed := bytes.TrimLeft(data, " \t\r\n")
	if len(trimmed) > 0 && (trimmed[0] == '{' || trimmed[0] == '[') {
		docs, err := parseJSON(data)
		if err == nil || !fault.HasCode(err, "json_invalid") {
			return docs, err
		}
		// YAML's flow style starts with the same characters.
		if docs, yamlErr := parseYAML(data); yamlErr == nil || !fault.HasCode(yamlErr, "yaml_invalid") {
			return docs, yamlErr
		}
		return nil, err
	}
	return parseYAML(data)
}

func invalidUTF8(data []byte) int {
	if utf8.Valid(data) {
		return -1
	}
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return -1
}

func tooDeep(line int) error {
	return fault.New(fault.Invalid, "too_deep", "line %d: nesting is deeper than %d", line, maxDepth)
}

func duplicateKey(key string, first, second int) error {
	return fault.New(fault.Invalid, "duplicate_key", "key %s appears twice (line %d and %d)", quote(key), first, second).
		WithFix("keep one of them")
}

// problems collects what is wrong without stopping the reading.
type problems struct{ list fault.List }

// full says that no more problems are told, so that none need be phrased.
func (p *problems) full() bool { return len(p.list) >= maxProblems }

func (p *problems) add(err error) {
	if !p.full() {
		p.list = append(p.list, fault.As(err))
	}
}

// err is the problems as one error, or nil.
func (p *problems) err() error {
	if len(p.list) == 0 {
		return nil
	}
	return p.list
}

// maxProblems is how many problems of a document are told at once.
const maxProblems = 20

// ---- JSON

type jsonParser struct {
	dec   *json.Decoder
	data  []byte
	lines []int // offsets of newlines
	dups  problems
	nodes int
}

func parseJSON(data []byte) ([]*node, error) {
	p := &jsonParser{dec: json.NewDecoder(bytes.NewReader(data)), data: data}
	for i, c := range data {
		if c == '\n' {
			p.lines = append(p.lines, i)
		}
	}
	p.dec.UseNumber()
	var docs []*node
	for {
		tok, err := p.dec.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, p.syntax(err)
		}
		n, err := p.value(tok, 0)
		if err != nil {
			return nil, err
		}
		if n.kind != kindNull {
			docs = append(docs, n)
		}
	}
	if err := p.dups.err(); err != nil {
		return nil, err
	}
	return docs, nil
}

func (p *jsonParser) line() int {
	return sort.SearchInts(p.lines, int(p.dec.InputOffset())) + 1
}

func (p *jsonParser) syntax(err error) error {
	line := p.line()
	var se *json.SyntaxError
	msg := "the text ends too early"
	if errors.As(err, &se) {
		line = sort.SearchInts(p.lines, int(se.Offset)) + 1
		msg = se.Error()
	}
	return fault.Wrap(err, fault.Invalid, "json_invalid", "line %d: this is not valid JSON: %s", line, msg)
}

func (p *jsonParser) value(tok json.Token, depth int) (*node, error) {
	n := &node{line: p.line()}
	if p.nodes++; p.nodes > maxNodes {
		return nil, fault.New(fault.TooLarge, "too_large", "the text has more than %d values", maxNodes)
	}
	switch v := tok.(type) {
	case nil:
		n.kind = kindNull
	case bool:
		n.kind, n.bool = kindBool, v
	case json.Number:
		n.kind, n.text = kindNumber, v.String()
	case string:
		n.kind, n.text = kindString, v
	case json.Delim:
		if depth >= maxDepth {
			return nil, tooDeep(n.line)
		}
		n.kind = kindList
		if v == '{' {
			n.kind = kindObject
		}
		seen := map[string]int{}
		for p.dec.More() {
			tok, err := p.dec.Token()
			if err != nil {
				return nil, p.syntax(err)
			}
			if n.kind == kindList {
				item, err := p.value(tok, depth+1)
				if err != nil {
					return nil, err
				}
				n.list = append(n.list, item)
				continue
			}
			key, line := tok.(string), p.line()
			if tok, err = p.dec.Token(); err != nil {
				return nil, p.syntax(err)
			}
			value, err := p.value(tok, depth+1)
			if err != nil {
				return nil, err
			}
			if first, dup := seen[key]; dup {
				p.dups.add(duplicateKey(key, first, line))
				continue
			}
			seen[key] = line
			n.entries = append(n.entries, entry{key, line, value})
		}
		if _, err := p.dec.Token(); err != nil { // the closing bracket
			return nil, p.syntax(err)
		}
	}
	return n, nil
}

// ---- YAML

type yamlParser struct {
	dups  problems
	nodes int
}

func parseYAML(data []byte) ([]*node, error) {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	p := &yamlParser{}
	var docs []*node
	for {
		var doc yaml.Node
		err := dec.Decode(&doc)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, yamlSyntax(err)
		}
		if len(doc.Content) == 0 {
			continue
		}
		n, err := p.convert(doc.Content[0], 0)
		if err != nil {
			return nil, err
		}
		if n.kind != kindNull {
			docs = append(docs, n)
		}
	}
	if err := p.dups.err(); err != nil {
		return nil, err
	}
	return docs, nil
}

var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)

func yamlSyntax(err error) error {
	first, _, _ := strings.Cut(err.Error(), "\n")
	msg := first
	if m := yamlLine.FindStringSubmatch(first); m != nil {
		msg = m[2]
		if m[1] != "" {
			msg = "line " + m[1] + ": " + m[2]
		}
	}
	return fault.Wrap(err, fault.Invalid, "yaml_invalid", "this is not valid YAML: %s", msg)
}

func (p *yamlParser) convert(y *yaml.Node, depth int) (*node, error) {
	if y.Kind == yaml.AliasNode {
		y = y.Alias
	}
	if p.nodes++; p.nodes > maxNodes {
		return nil, fault.New(fault.Invalid, "yaml_alias_limit", "line %d: the text has more than %d values once its aliases are expanded", y.Line, maxNodes)
	}
	n := &node{line: y.Line}
	switch y.Kind {
	case yaml.SequenceNode:
		if depth >= maxDepth {
			return nil, tooDeep(y.Line)
		}
		n.kind = kindList
		for _, item := range y.Content {
			v, err := p.convert(item, depth+1)
			if err != nil {
				return nil, err
			}
			n.list = append(n.list, v)
		}
		return n, nil
	case yaml.MappingNode:
		if depth >= maxDepth {
			return nil, tooDeep(y.Line)
		}
		n.kind = kindObject
		return n, p.mapping(y, n, depth)
	case yaml.ScalarNode:
		return n, p.scalar(y, n)
	}
	return nil, fault.New(fault.Invalid, "yaml_invalid", "line %d: this kind of YAML node is not supported", y.Line)
}

func (p *yamlParser) mapping(y *yaml.Node, n *node, depth int) error {
	seen := map[string]int{}
	var merges []*yaml.Node
	for i := 0; i+1 < len(y.Content); i += 2 {
		k, v := y.Content[i], y.Content[i+1]
		if k.Kind == yaml.AliasNode {
			k = k.Alias
		}
		if k.Kind != yaml.ScalarNode || k.ShortTag() == "!!null" {
			return fault.New(fault.Invalid, "yaml_invalid", "line %d: a key must be a plain word", k.Line)
		}
		if k.ShortTag() == "!!merge" {
			merges = append(merges, v)
			continue
		}
		if first, dup := seen[k.Value]; dup {
			p.dups.add(duplicateKey(k.Value, first, k.Line))
			continue
		}
		seen[k.Value] = k.Line
		value, err := p.convert(v, depth+1)
		if err != nil {
			return err
		}
		n.entries = append(n.entries, entry{k.Value, k.Line, value})
	}
	for _, m := range merges {
		v, err := p.convert(m, depth+1)
		if err != nil {
			return err
		}
		sources := []*node{v}
		if v.kind == kindList {
			sources = v.list
		}
		for _, s := range sources {
			if s.kind != kindObject {
				return fault.New(fault.Invalid, "yaml_invalid", `line %d: "<<" needs an object`, m.Line)
			}
			for _, e := range s.entries {
				if _, has := seen[e.key]; !has { // what is written here, or merged earlier, wins
					seen[e.key] = e.line
					n.entries = append(n.entries, e)
				}
			}
		}
	}
	return nil
}

func (p *yamlParser) scalar(y *yaml.Node, n *node) error {
	switch tag := y.ShortTag(); tag {
	case "!!null":
		n.kind = kindNull
	case "!!bool":
		n.kind = kindBool
		if err := y.Decode(&n.bool); err != nil {
			return yamlSyntax(err)
		}
	case "!!int", "!!float":
		var v any
		if err := y.Decode(&v); err != nil {
			return yamlSyntax(err)
		}
		text, ok := number(v)
		if !ok {
			return fault.New(fault.Invalid, "yaml_invalid", "line %d: %s is not a number that can be used here", y.Line, quote(y.Value))
		}
		n.kind, n.text = kindNumber, text
	case "!!str", "!!timestamp", "!!binary", "!!merge":
		n.kind, n.text = kindString, y.Value
		if y.Style == 0 && tag == "!!str" {
			switch strings.ToLower(y.Value) {
			case "yes", "on":
				n.plainBool, n.bool = true, true
			case "no", "off":
				n.plainBool = true
			}
		}
	default:
		return fault.New(fault.Invalid, "yaml_invalid", "line %d: the tag %s is not supported", y.Line, quote(fmt.Sprint(tag)))
	}
	return nil
}
