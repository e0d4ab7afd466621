package importer

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"sort"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/hawser-dev/hawser/shared/fault"
)

// Bounds of one text that is read.
const (
	// MaxText is the most that one text may have, in bytes: a whole installation.
	MaxText = 512 << 20
	// maxNodes bounds what aliases may add to a document.
	maxNodes = 500_000
	maxDepth = 100
)

// Object is one object as it was read.
type Object struct {
	APIVersion, Kind, Namespace, Name string
	// Origin says where it was read, for messages: a file, or a cluster.
	Origin string
	// root is its content without aliases and merge keys.
	root *yaml.Node
}

// Parse reads all objects of a text: YAML with several documents, JSON, and
// Lists of either. What is no object of Kubernetes is an error that names the
// place.
func Parse(origin string, data []byte) ([]Object, error) {
	if len(data) > MaxText {
		return nil, fault.New(fault.TooLarge, "body_too_large", "%s has %d bytes; at most %d are read", origin, len(data), MaxText)
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if trimmed := bytes.TrimLeft(data, " \t\r\n"); len(trimmed) > 0 && trimmed[0] == '{' {
		if out, err := parseJSON(origin, data); err == nil {
			return out, nil
		}
		// YAML's flow style begins the same.
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var out []Object
	for {
		var doc yaml.Node
		err := dec.Decode(&doc)
		if err == io.EOF { //nolint:errorlint // the decoder returns it as it is
			return out, nil
		}
		if err != nil {
			return nil, fault.New(fault.Invalid, "yaml_invalid", "%s: %s", origin, strings.TrimPrefix(err.Error(), "yaml: "))
		}
		if len(doc.Content) == 0 || doc.Content[0].Kind == yaml.ScalarNode && doc.Content[0].Tag == "!!null" {
			continue
		}
		budget := maxNodes
		root, err := resolve(doc.Content[0], &budget, 0, false)
		if err != nil {
			return nil, fault.New(fault.Invalid, "yaml_invalid", "%s: %s", origin, err)
		}
		if out, err = flatten(origin, root, out); err != nil {
			return nil, err
		}
	}
}

func parseJSON(origin string, data []byte) ([]Object, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var out []Object
	for {
		var v any
		err := dec.Decode(&v)
		if err == io.EOF { //nolint:errorlint // the decoder returns it as it is
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		if out, err = flatten(origin, nodeOf(v), out); err != nil {
			return nil, err
		}
	}
}

// FromJSON makes objects of what an API server answered.
func FromJSON(origin string, data []byte) ([]Object, error) {
	out, err := parseJSON(origin, data)
	if err != nil {
		return nil, fault.Wrap(err, fault.Upstream, "json_invalid", "%s answered something that is not JSON", origin)
	}
	return out, nil
}

// nodeOf makes a node of a decoded JSON value.
func nodeOf(v any) *yaml.Node {
	switch x := v.(type) {
	case map[string]any:
		n := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
		keys := make([]string, 0, len(x))
		for k := range x {
			keys = append(keys, k)
		}
		sort.Strings(keys)
		for _, k := range keys {
			n.Content = append(n.Content, stringNode(k), nodeOf(x[k]))
		}
		return n
	case []any:
		n := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
		for _, item := range x {
			n.Content = append(n.Content, nodeOf(item))
		}
		return n
	case string:
		return stringNode(x)
	case json.Number:
		tag := "!!int"
		if strings.ContainsAny(x.String(), ".eE") {
			tag = "!!float"
		}
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: x.String()}
	case bool:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: strconv.FormatBool(x)}
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"}
}

func stringNode(s string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s, Style: yaml.DoubleQuotedStyle}
}

// resolve copies a node without aliases, merge keys and comments. Only what comes
// of aliases is counted: the rest is as long as the text.
func resolve(n *yaml.Node, budget *int, depth int, aliased bool) (*yaml.Node, error) {
	if aliased {
		if *budget--; *budget < 0 {
			return nil, fmt.Errorf("line %d: aliases make the text too large", n.Line)
		}
	}
	if depth > maxDepth {
		return nil, fmt.Errorf("line %d: nesting is deeper than %d", n.Line, maxDepth)
	}
	if n.Kind == yaml.AliasNode {
		return resolve(n.Alias, budget, depth+1, true)
	}
	out := &yaml.Node{Kind: n.Kind, Tag: n.Tag, Value: n.Value, Style: n.Style, Line: n.Line}
	if n.Kind != yaml.MappingNode {
		for _, c := range n.Content {
			r, err := resolve(c, budget, depth+1, aliased)
			if err != nil {
				return nil, err
			}
			out.Content = append(out.Content, r)
		}
		return out, nil
	}
	var merged []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		value, err := resolve(n.Content[i+1], budget, depth+1, aliased)
		if err != nil {
			return nil, err
		}
		if key.Kind != yaml.ScalarNode {
			return nil, fmt.Errorf("line %d: a key must be a plain word", key.Line)
		}
		if key.Tag == "!!merge" {
			if value.Kind == yaml.SequenceNode {
				merged = append(merged, value.Content...)
			} else {
				merged = append(merged, value)
			}
			continue
		}
		if child(out, key.Value) != nil {
			return nil, fmt.Errorf("line %d: key %q appears twice", key.Line, key.Value)
		}
		out.Content = append(out.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: key.Value, Style: key.Style, Line: key.Line}, value)
	}
	for _, m := range merged {
		for i := 0; i+1 < len(m.Content); i += 2 {
			if child(out, m.Content[i].Value) == nil {
				out.Content = append(out.Content, m.Content[i], m.Content[i+1])
			}
		}
	}
	return out, nil
}

// flatten appends the object, or those of a List. Items of a typed list carry
// no kind of their own.
func flatten(origin string, n *yaml.Node, out []Object) ([]Object, error) {
	if n.Kind != yaml.MappingNode {
		return nil, fault.New(fault.Invalid, "type_mismatch", "%s, line %d: an object is needed", origin, n.Line)
	}
	kind := text(child(n, "kind"))
	items := child(n, "items")
	if of, list := strings.CutSuffix(kind, "List"); list && items != nil && items.Kind == yaml.SequenceNode {
		var err error
		for _, item := range items.Content {
			if item.Kind == yaml.MappingNode && of != "" {
				if child(item, "kind") == nil {
					setChild(item, "kind", stringNode(of))
				}
				if v := child(n, "apiVersion"); v != nil && child(item, "apiVersion") == nil {
					setChild(item, "apiVersion", v)
				}
			}
			if out, err = flatten(origin, item, out); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	if kind == "" {
		return nil, fault.New(fault.Invalid, "field_missing", "%s, line %d: kind is missing", origin, n.Line).WithField("kind")
	}
	meta := child(n, "metadata")
	return append(out, Object{
		APIVersion: text(child(n, "apiVersion")), Kind: kind, Namespace: text(child(meta, "namespace")), Name: text(child(meta, "name")),
		Origin: origin, root: n,
	}), nil
}

// child is the value of a key, nil when there is none.
func child(n *yaml.Node, key string) *yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

func at(n *yaml.Node, keys ...string) *yaml.Node {
	for _, k := range keys {
		n = child(n, k)
	}
	return n
}

func setChild(n *yaml.Node, key string, value *yaml.Node) {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			n.Content[i+1] = value
			return
		}
	}
	n.Content = append(n.Content, stringNode(key), value)
}

func removeChild(n *yaml.Node, key string) {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			n.Content = append(n.Content[:i:i], n.Content[i+2:]...)
			return
		}
	}
}

func text(n *yaml.Node) string {
	if n == nil || n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
		return ""
	}
	return n.Value
}

// data is the content of a ConfigMap, or of a Secret with its values decoded.
// stringData wins, as in the API server.
func (o Object) data() (map[string]string, error) {
	out := map[string]string{}
	for _, part := range []string{"data", "stringData"} {
		n := child(o.root, part)
		if n == nil || n.Kind != yaml.MappingNode {
			continue
		}
		for i := 0; i+1 < len(n.Content); i += 2 {
			key, value := n.Content[i].Value, text(n.Content[i+1])
			if o.Kind == "Secret" && part == "data" {
				b, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(value), ""))
				if err != nil {
					return nil, fault.New(fault.Invalid, "secret_invalid", "data.%s of the Secret %s is not base64", key, o.Name).WithField("data." + key)
				}
				value = string(b)
			}
			out[key] = value
		}
	}
	return out, nil
}

func (o Object) annotation(name string) string {
	return text(at(o.root, "metadata", "annotations", name))
}

func (o Object) label(name string) string { return text(at(o.root, "metadata", "labels", name)) }
