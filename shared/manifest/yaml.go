package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/hawser-dev/hawser/shared/fault"
)

// yaml reads the documents of a YAML file one after the other, so that only
// one syntax tree is in memory at a time.
func (c *collector) yaml(data []byte) error {
	if n := nodeBound(data); n > maxYAMLNodes {
		return tooLarge(c.file, "the file has about %d YAML values; the limit is %d", n, maxYAMLNodes)
	}
	conv := converter{file: c.file, lim: c.lim, aliasBudget: c.lim.MaxAliasExpansion}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	for n := 1; ; n++ {
		var doc yaml.Node
		if err := decodeNode(dec, &doc); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return c.syntaxError(data, dec, err)
		}
		if doc.Kind != yaml.DocumentNode || len(doc.Content) == 0 {
			continue
		}
		v, err := conv.value(doc.Content[0], 0)
		if err != nil {
			return err
		}
		if err := c.document(v, n); err != nil {
			return err
		}
	}
}

// decodeNode turns a panic of the YAML library into an error: the text comes
// from strangers.
func decodeNode(dec *yaml.Decoder, doc *yaml.Node) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("yaml: the parser gave up: %v", r)
		}
	}()
	return dec.Decode(doc)
}

// nodeBound is an upper bound of the number of nodes that the parser will make
// of data, from the characters without which there is no further node.
func nodeBound(data []byte) int {
	n := 1
	for _, c := range data {
		switch c {
		case ',', '[', '{', '\n', ':', '?':
			n++
		case '-':
			// "- - - a" is three lists; a dash inside a word is not counted
			// twice as often as it matters.
			n++
		}
	}
	return n
}

var unknownAnchor = regexp.MustCompile(`^unknown anchor '(.*)' referenced$`)

var lineInMessage = regexp.MustCompile(`^line (\d+): `)

// syntaxError phrases an error of the YAML library with its place.
func (c *collector) syntaxError(data []byte, dec *yaml.Decoder, err error) error {
	msg := strings.TrimPrefix(err.Error(), "yaml: ")
	line, col := 1, 1
	if m := lineInMessage.FindStringSubmatch(msg); m != nil {
		line, _ = strconv.Atoi(m[1])
		msg = msg[len(m[0]):]
	}
	if l, c, ok := problemMark(dec, data); ok {
		line, col = l, c
	} else if m := unknownAnchor.FindStringSubmatch(msg); m != nil {
		if i := bytes.Index(data, []byte("*"+m[1])); i >= 0 {
			line, col = position(data, i)
		}
	}
	// The parser may notice a tab only on the next line.
	if strings.Contains(msg, "cannot start any token") || strings.Contains(msg, "tab character") || strings.Contains(msg, "violates indentation") {
		for _, l := range []int{line, line + 1, line - 1} {
			if col := indentTab(lineOf(data, l)); l > 0 && col > 0 {
				return problem(fault.Unprocessable, "yaml_invalid", fmt.Sprintf("%s:%d:%d", c.file, l, col), "tab used for indentation; use spaces")
			}
		}
	}
	return problem(fault.Unprocessable, "yaml_invalid", fmt.Sprintf("%s:%d:%d", c.file, line, col), "%s", msg)
}

// problemMark is the line and column, from 1, where the parser stopped. The
// library keeps them to itself and tells the line only, sometimes that of the
// enclosing value; a test finds out when they are no longer there.
func problemMark(dec *yaml.Decoder, data []byte) (line, col int, ok bool) {
	parser := reflect.ValueOf(dec).Elem()
	for range 2 {
		if parser = reflect.Indirect(parser.FieldByName("parser")); parser.Kind() != reflect.Struct {
			return 0, 0, false
		}
	}
	number := func(v reflect.Value, name string) int {
		if v.Kind() == reflect.Struct {
			if f := v.FieldByName(name); f.IsValid() && f.CanInt() {
				return int(f.Int())
			}
		}
		ok = false
		return 0
	}
	ok = true
	if number(parser, "error") == 0 {
		return 0, 0, false // not the parser's error
	}
	mark := parser.FieldByName("problem_mark")
	line, col = number(mark, "line")+1, number(mark, "column")+1
	// What cannot be read at all has an offset and no mark.
	if offset := number(parser, "problem_offset"); offset > 0 && line == 1 && col == 1 {
		line, col = position(data, offset)
	}
	return line, col, ok
}

func lineOf(data []byte, n int) []byte {
	for ; n > 1; n-- {
		i := bytes.IndexByte(data, '\n')
		if i < 0 {
			return nil
		}
		data = data[i+1:]
	}
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		data = data[:i]
	}
	return data
}

// indentTab is the column, from 1, of a tab in the indentation of line; 0 when
// there is none.
func indentTab(line []byte) int {
	for i, c := range line {
		switch c {
		case '\t':
			return i + 1
		case ' ':
		default:
			return 0
		}
	}
	return 0
}

// converter turns syntax trees into values.
type converter struct {
	file        string
	lim         Limits
	aliasBudget int
	// aliasDepth is above zero below an alias.
	aliasDepth int
	open       []*yaml.Node // anchors that are being expanded
	// ordered: mappings become *Mapping and not map[string]any.
	ordered bool
}

func (c *converter) fail(n *yaml.Node, code, format string, args ...any) error {
	return problem(fault.Unprocessable, code, fmt.Sprintf("%s:%d:%d", c.file, n.Line, n.Column), format, args...)
}

func (c *converter) value(n *yaml.Node, depth int) (any, error) {
	if depth > c.lim.MaxDepth {
		return nil, c.fail(n, "yaml_invalid", "nested deeper than %d", c.lim.MaxDepth)
	}
	if c.aliasDepth > 0 {
		// What a value costs in memory, about.
		c.aliasBudget -= 16 + len(n.Value)
		if c.aliasBudget < 0 {
			return nil, c.fail(n, "yaml_alias_limit", "expands to more than %s through aliases", bytesText(c.lim.MaxAliasExpansion))
		}
	}
	switch n.Kind {
	case yaml.ScalarNode:
		return c.scalar(n)
	case yaml.MappingNode:
		m, keys, err := c.mapping(n, depth)
		if err != nil {
			return nil, err
		}
		if c.ordered {
			return &Mapping{Keys: keys, Values: m}, nil
		}
		return m, nil
	case yaml.SequenceNode:
		list := make([]any, len(n.Content))
		for i, item := range n.Content {
			v, err := c.value(item, depth+1)
			if err != nil {
				return nil, err
			}
			list[i] = v
		}
		return list, nil
	case yaml.AliasNode:
		var v any
		err := c.through(n, func(target *yaml.Node) (err error) {
			v, err = c.value(target, depth)
			return err
		})
		return v, err
	}
	return nil, c.fail(n, "yaml_invalid", "a value is expected here")
}

// through calls f with what the alias n stands for.
func (c *converter) through(n *yaml.Node, f func(*yaml.Node) error) error {
	if n.Alias == nil {
		return c.fail(n, "yaml_invalid", "unknown anchor %s", quote(n.Value))
	}
	for _, open := range c.open {
		if open == n.Alias {
			return c.fail(n, "yaml_invalid", "anchor %s contains itself", quote(n.Value))
		}
	}
	c.open = append(c.open, n.Alias)
	c.aliasDepth++
	err := f(n.Alias)
	c.aliasDepth--
	c.open = c.open[:len(c.open)-1]
	return err
}

// mapping returns the entries of a mapping, and when order matters the keys as
// they were written.
func (c *converter) mapping(n *yaml.Node, depth int) (m map[string]any, keys []string, err error) {
	m = make(map[string]any, len(n.Content)/2)
	merges := 0
	for i := 0; i+1 < len(n.Content); i += 2 {
		k := n.Content[i]
		if isMerge(k) {
			merges++
			continue
		}
		key, err := c.key(k)
		if err != nil {
			return nil, nil, err
		}
		if _, ok := m[key]; ok {
			return nil, nil, c.fail(k, "yaml_duplicate_key", "%s is already set at line %d", quote(key), c.firstLine(n, key))
		}
		v, err := c.value(n.Content[i+1], depth+1)
		if err != nil {
			return nil, nil, err
		}
		m[key] = v
		if c.ordered {
			keys = append(keys, key)
		}
	}
	for i := 0; merges > 0 && i+1 < len(n.Content); i += 2 {
		if !isMerge(n.Content[i]) {
			continue
		}
		merges--
		if keys, err = c.merge(m, keys, n.Content[i+1], depth); err != nil {
			return nil, nil, err
		}
	}
	return m, keys, nil
}

func (c *converter) firstLine(n *yaml.Node, key string) int {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if isMerge(n.Content[i]) {
			continue
		}
		if k, err := c.key(n.Content[i]); err == nil && k == key {
			return n.Content[i].Line
		}
	}
	return n.Line
}

func isMerge(k *yaml.Node) bool {
	return k.Kind == yaml.ScalarNode && k.Value == "<<" && k.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) == 0 &&
		(k.Tag == "" || k.ShortTag() == "!!merge")
}

// merge adds the keys of src that m has not: a mapping's own keys win, and of
// several merged mappings the first.
func (c *converter) merge(m map[string]any, keys []string, src *yaml.Node, depth int) ([]string, error) {
	if depth > c.lim.MaxDepth {
		return nil, c.fail(src, "yaml_invalid", "nested deeper than %d", c.lim.MaxDepth)
	}
	switch src.Kind {
	case yaml.AliasNode:
		err := c.through(src, func(target *yaml.Node) (err error) {
			keys, err = c.merge(m, keys, target, depth+1)
			return err
		})
		return keys, err
	case yaml.MappingNode:
		merged, order, err := c.mapping(src, depth)
		if err != nil {
			return nil, err
		}
		for _, k := range order {
			if _, ok := m[k]; !ok {
				keys = append(keys, k)
			}
		}
		for k, item := range merged {
			if _, ok := m[k]; !ok {
				m[k] = item
			}
		}
		return keys, nil
	case yaml.SequenceNode:
		for _, item := range src.Content {
			if item.Kind == yaml.SequenceNode {
				break
			}
			var err error
			if keys, err = c.merge(m, keys, item, depth+1); err != nil {
				return nil, err
			}
		}
		return keys, nil
	}
	return nil, c.fail(src, "yaml_invalid", "\"<<\" merges mappings only")
}

// key is the string that a key of a mapping becomes in JSON.
func (c *converter) key(k *yaml.Node) (string, error) {
	n := k
	if n.Kind == yaml.AliasNode && n.Alias != nil {
		n = n.Alias
		c.aliasBudget -= 16 + len(n.Value)
		if c.aliasBudget < 0 {
			return "", c.fail(k, "yaml_alias_limit", "expands to more than %s through aliases", bytesText(c.lim.MaxAliasExpansion))
		}
	}
	if n.Kind != yaml.ScalarNode {
		return "", c.fail(k, "yaml_invalid", "a key must be a string; a list or mapping cannot be one")
	}
	v, err := c.scalar(n)
	if err != nil {
		return "", err
	}
	if c.ordered && v != nil {
		return n.Value, nil // a variable is called what was written
	}
	switch v := v.(type) {
	case string:
		return v, nil
	case bool:
		return strconv.FormatBool(v), nil
	case int64:
		return strconv.FormatInt(v, 10), nil
	case float64:
		return string(appendFloat(nil, v)), nil
	}
	return "", c.fail(k, "yaml_invalid", "a key must be a string, this is null; quote it")
}
