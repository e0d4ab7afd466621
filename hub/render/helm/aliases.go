package helm

import (
	"bytes"
	"fmt"

	"go.yaml.in/yaml/v3"

	"github.com/hawser-dev/hawser/hub/render/workspace"
	"github.com/hawser-dev/hawser/shared/fault"
)

// checkAliases refuses values that grow beyond a limit through aliases, before
// something expands them. What is no YAML is left to who reads it next.
func checkAliases(name string, text []byte, limit int) error {
	if limit <= 0 || bytes.IndexByte(text, '*') < 0 || bytes.IndexByte(text, '&') < 0 {
		return nil
	}
	var doc yaml.Node
	if yaml.Unmarshal(text, &doc) != nil {
		return nil
	}
	m := measure{sizes: map[*yaml.Node]int{}, open: map[*yaml.Node]bool{}, limit: limit}
	m.size(&doc, 0)
	if m.added <= limit {
		return nil
	}
	return fault.New(fault.Unprocessable, "yaml_alias_limit", "%s: expands to more than %s through aliases", workspace.Clip(name, 150), sizeText(limit))
}

func sizeText(n int) string {
	if n >= 1<<20 {
		return fmt.Sprintf("%d MiB", n>>20)
	}
	return fmt.Sprintf("%d bytes", n)
}

// measure computes what trees of YAML expand to without expanding them.
type measure struct {
	sizes map[*yaml.Node]int // of anchors
	open  map[*yaml.Node]bool
	limit int
	added int // by aliases
}

func (m *measure) size(n *yaml.Node, depth int) int {
	if depth > 10_000 || m.added > m.limit {
		return 0
	}
	if n.Kind == yaml.AliasNode {
		if n.Alias == nil || m.open[n.Alias] {
			return 0
		}
		s, known := m.sizes[n.Alias]
		if !known {
			s = m.size(n.Alias, depth+1)
		}
		m.added = min(m.added+s, m.limit+1)
		return s
	}
	m.open[n] = true
	s := 16 + len(n.Value)
	for _, c := range n.Content {
		s = min(s+m.size(c, depth+1), m.limit+1)
	}
	delete(m.open, n)
	if n.Anchor != "" {
		m.sizes[n] = s
	}
	return s
}
