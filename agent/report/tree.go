package report

import (
	"cmp"
	"slices"

	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/shared/model"
)

// MaxNodes bounds a resource tree.
const MaxNodes = 2000

// buildTree makes the tree of the managed objects and what they own, level by
// level, so that what is cut at MaxNodes, or by fit, is the deepest.
func buildTree(objects Objects, managed []model.ResourceStatus) model.ResourceTree {
	t := model.ResourceTree{Nodes: []model.TreeNode{}}
	seen := map[string]bool{}
	var level []string // uids
	for _, res := range managed {
		if len(t.Nodes) >= MaxNodes {
			t.Truncated = true
			break
		}
		node := model.TreeNode{ObjectKey: res.ObjectKey, Version: res.Version, UID: res.UID, Health: res.Health}
		rec, presence := objects.Get(res.ObjectKey)
		if presence == live.Present && (res.UID == "" || res.UID == rec.UID) {
			node.UID = rec.UID
			describe(&node, rec)
		}
		if node.UID != "" {
			if seen[node.UID] {
				continue
			}
			seen[node.UID] = true
			level = append(level, node.UID)
		}
		t.Nodes = append(t.Nodes, node)
	}
	for len(level) > 0 && !t.Truncated {
		level = grow(&t, objects, level, seen)
	}
	return t
}

// grow adds the objects owned by those of a level and returns their uids.
func grow(t *model.ResourceTree, objects Objects, level []string, seen map[string]bool) (next []string) {
	for _, uid := range level {
		owned := objects.Children(uid)
		slices.SortFunc(owned, func(a, b live.Record) int {
			return cmp.Or(cmp.Compare(a.Key.Group, b.Key.Group), cmp.Compare(a.Key.Kind, b.Key.Kind),
				cmp.Compare(a.Key.Namespace, b.Key.Namespace), cmp.Compare(a.Key.Name, b.Key.Name))
		})
		for _, rec := range owned {
			if seen[rec.UID] {
				continue
			}
			if len(t.Nodes) >= MaxNodes {
				t.Truncated = true
				return nil
			}
			seen[rec.UID] = true
			node := model.TreeNode{ObjectKey: rec.Key, Version: rec.Version, UID: rec.UID, Health: rec.Health}
			for _, o := range rec.Owners {
				node.ParentUIDs = append(node.ParentUIDs, o.UID)
			}
			describe(&node, rec)
			t.Nodes = append(t.Nodes, node)
			next = append(next, rec.UID)
		}
	}
	return next
}

func describe(node *model.TreeNode, rec live.Record) {
	if !rec.CreatedAt.IsZero() {
		at := rec.CreatedAt
		node.CreatedAt = &at
	}
	node.Images, node.Info = rec.Images, rec.Info
}

// fit drops nodes from the end until the JSON has at most maxBytes, which it
// returns with it. What is not the application's goes first.
func fit(t model.ResourceTree, maxBytes int) (model.ResourceTree, []byte) {
	b := encode(t)
	for len(b) > maxBytes && len(t.Orphaned) > 0 {
		keep := len(t.Orphaned) - 1 - (len(b)-maxBytes)*len(t.Orphaned)/len(b)
		t.Orphaned = t.Orphaned[:max(keep, 0)]
		b = encode(t)
	}
	for len(b) > maxBytes && len(t.Nodes) > 0 {
		keep := len(t.Nodes) * maxBytes / len(b)
		t.Nodes = t.Nodes[:min(keep, len(t.Nodes)-1)]
		t.Truncated = true
		b = encode(t)
	}
	return t, b
}
