package command

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/cli/output"
	"github.com/hawser-dev/hawser/shared/model"
)

func newAppTree(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "tree NAME", Short: "The application's objects and what they own, down to pods", Args: exactArgs("NAME"),
		PreRunE: func(*cobra.Command, []string) error {
			s.take("tree", "tree=detailed") // it is one already
			return nil
		},
		RunE: s.run(func(c *call) error { return c.showTree(c.args[0]) }),
	}
}

// showTree prints the tree of an application.
func (c *call) showTree(name string) error {
	var raw json.RawMessage
	if err := c.get(appPath(name)+"/tree", &raw); err != nil {
		return err
	}
	if c.documents() {
		var v any
		if err := json.Unmarshal(raw, &v); err != nil {
			return err
		}
		return c.document(v)
	}
	var tree model.ResourceTree
	if err := json.Unmarshal(raw, &tree); err != nil {
		return err
	}
	if c.format == output.Name {
		for _, n := range tree.Nodes {
			if err := c.name(n.ObjectKey.String()); err != nil {
				return err
			}
		}
		return nil
	}
	c.printTree(tree)
	return nil
}

// printTree draws the nodes below their owners. A node that an error in the
// cluster made its own ancestor is drawn once.
func (s *session) printTree(tree model.ResourceTree) {
	children := map[string][]model.TreeNode{}
	present := map[string]bool{}
	for _, n := range tree.Nodes {
		present[n.UID] = true
	}
	var roots []model.TreeNode
	for _, n := range tree.Nodes {
		owned := false
		for _, p := range n.ParentUIDs {
			if present[p] {
				children[p] = append(children[p], n)
				owned = true
				break
			}
		}
		if !owned {
			roots = append(roots, n)
		}
	}
	drawn := map[string]bool{}
	var draw func(n model.TreeNode, prefix string, last, root bool)
	draw = func(n model.TreeNode, prefix string, last, root bool) {
		if n.UID != "" && drawn[n.UID] {
			return
		}
		drawn[n.UID] = true
		branch, below := "├─ ", "│  "
		if last {
			branch, below = "└─ ", "   "
		}
		if root {
			branch, below = "", ""
		}
		line := n.ObjectKey.String()
		if n.Health.Status != "" {
			line += "  " + string(n.Health.Status)
		}
		for _, i := range n.Info {
			line += "  " + i.Value
		}
		fmt.Fprintln(s.Out, prefix+branch+output.Clean(line))
		for i, child := range children[n.UID] {
			draw(child, prefix+below, i == len(children[n.UID])-1, false)
		}
	}
	for _, n := range roots {
		draw(n, "", false, true)
	}
	if len(tree.Orphaned) > 0 {
		fmt.Fprintln(s.Out, "no application owns:")
	}
	for i, n := range tree.Orphaned {
		draw(n, "", i == len(tree.Orphaned)-1, false)
	}
	s.noteOrphans(len(tree.Orphaned), tree.OrphanedTotal)
	if tree.Truncated {
		s.note("the tree has more nodes than are shown")
	}
}

// noteOrphans says that not all is shown of what no application owns.
func (s *session) noteOrphans(shown, total int) {
	if shown < total {
		s.note("%d objects are orphaned, of which %d are shown", total, shown)
	}
}
