package diff

import (
	"encoding/json"
	"slices"

	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/shared/model"
)

// bits is a set of managers by their index; those beyond maxManagers are left
// out, which at worst hides who changed a field.
type bits uint64

const maxManagers = 64

// fieldNode is one place in the union of all managers' field sets. Children are
// keyed as in FieldsV1: "f:name", "k:{…}", "v:…".
type fieldNode struct {
	owners   bits
	children map[string]*fieldNode
}

func (n *fieldNode) child(key string) *fieldNode {
	if n == nil {
		return nil
	}
	return n.children[key]
}

func (n *fieldNode) below() bits {
	if n == nil {
		return 0
	}
	b := n.owners
	for _, c := range n.children {
		b |= c.below()
	}
	return b
}

func (n *fieldNode) ownedBelow(own bits) bool { return n.below()&own != 0 }

// othersBelow reports whether somebody else owns something below n.
func (n *fieldNode) othersBelow(own bits) bool {
	for _, c := range n.children {
		if c.below()&^own != 0 {
			return true
		}
	}
	return false
}

// parseManagers joins the field sets of all managers. A set that cannot be read
// is left out: then nothing is known of it. own is the set of this agent's
// entries.
func parseManagers(managers []live.FieldManager) (root *fieldNode, own bits) {
	root = &fieldNode{}
	for i, m := range managers {
		if i >= maxManagers {
			break
		}
		bit := bits(1) << i
		if m.Manager == model.FieldManager && m.Operation == "Apply" {
			own |= bit
		}
		var set map[string]any
		if json.Unmarshal(m.FieldsV1, &set) == nil {
			root.add(set, bit)
		}
	}
	return root, own
}

func (n *fieldNode) add(set map[string]any, bit bits) {
	for k, v := range set {
		if k == "." {
			n.owners |= bit
			continue
		}
		if n.children == nil {
			n.children = make(map[string]*fieldNode, len(set))
		}
		c := n.children[k]
		if c == nil {
			c = &fieldNode{}
			n.children[k] = c
		}
		sub, _ := v.(map[string]any)
		if len(sub) == 0 {
			c.owners |= bit
			continue
		}
		c.add(sub, bit)
	}
}

func sortedNodeKeys(m map[string]*fieldNode) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
