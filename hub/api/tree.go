package api

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/hub/permission"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// Answers keeps parts of answers, each under a name of all that it depends on but
// for the program that made it, which the one who gives them out adds. Nothing that
// is kept may be changed.
type Answers interface {
	Get(ctx context.Context, name string) ([]byte, bool)
	Put(ctx context.Context, name string, value []byte)
}

// treeAnswer is the objects of an application and what they own.
type treeAnswer struct {
	Nodes []model.TreeNode `json:"nodes"`
	// Truncated: there are more than are told.
	Truncated bool `json:"truncated"`
	// Orphaned are objects of the destination's namespace that no application
	// owns, where the project looks for them; OrphanedTotal also counts those that
	// are not told.
	Orphaned      []model.TreeNode `json:"orphaned,omitempty"`
	OrphanedTotal int              `json:"orphanedTotal,omitempty"`

	Freshness model.Freshness `json:"freshness"`
	// ObservedAt is when the agent saw it so; left out: nothing was reported yet.
	ObservedAt *time.Time `json:"observedAt,omitempty"`
}

// treeBody is the part of a treeAnswer that is the same as long as the tree is, and
// treeSeen the rest, which follows it.
type treeBody struct {
	Nodes         []model.TreeNode `json:"nodes"`
	Truncated     bool             `json:"truncated"`
	Orphaned      []model.TreeNode `json:"orphaned,omitempty"`
	OrphanedTotal int              `json:"orphanedTotal,omitempty"`
}

type treeSeen struct {
	Freshness  model.Freshness `json:"freshness"`
	ObservedAt *time.Time      `json:"observedAt,omitempty"`
}

func (a *api) getTree(c *gin.Context) {
	if err := a.tryTree(c); err != nil {
		a.fail(c, err)
	}
}

// tryTree answers a tree. Postgres says which one is the newest; only what is kept
// under the name of that one is taken, so no old tree is ever shown.
func (a *api) tryTree(c *gin.Context) error {
	ctx, name := c.Request.Context(), c.Param("name")
	state, err := a.store.TreeState(ctx, name)
	if err != nil {
		return err
	}
	// The application may have been moved or made anew since the route was allowed.
	if err := verdictOn(a.caller(c), right{permission.Get, permission.Applications}, state.Project, name, name, fleet.ApplicationUnknown); err != nil {
		return err
	}
	seen := treeSeen{state.Freshness, state.ObservedAt}
	body, kept := a.keptTree(ctx, state.Version)
	if !kept {
		tree, err := a.store.Tree(ctx, state.App)
		switch {
		case fault.HasCode(err, "tree_not_found"): // nothing reported yet: an empty tree
			seen.ObservedAt = nil
		case err != nil:
			return err
		default: // it may be newer than what was asked for, and is kept as what it is
			seen.ObservedAt = &tree.ObservedAt
		}
		if body, err = encodeTree(&tree.ResourceTree); err != nil {
			return fault.Wrap(err, fault.Internal, "internal", "an answer cannot be written")
		}
		if a.opts.Trees != nil && tree.Version.Known() {
			a.opts.Trees.Put(ctx, nameOfTree(tree.Version), body)
		}
	}
	rest, err := json.Marshal(seen)
	if err != nil {
		return fault.Wrap(err, fault.Internal, "internal", "an answer cannot be written")
	}
	out := make([]byte, 0, len(body)+len(rest))
	out = append(append(out, body[:len(body)-1]...), ',')
	c.Data(http.StatusOK, "application/json; charset=utf-8", append(out, rest[1:]...))
	return nil
}

func encodeTree(tree *model.ResourceTree) ([]byte, error) {
	body := treeBody{tree.Nodes, tree.Truncated, tree.Orphaned, tree.OrphanedTotal}
	if body.Nodes == nil {
		body.Nodes = []model.TreeNode{}
	}
	return json.Marshal(body)
}

// keptTree is the body of exactly this tree, when somebody has kept it.
func (a *api) keptTree(ctx context.Context, v fleet.TreeVersion) ([]byte, bool) {
	if a.opts.Trees == nil || !v.Known() {
		return nil, false
	}
	body, ok := a.opts.Trees.Get(ctx, nameOfTree(v))
	return body, ok && len(body) > 2
}

// nameOfTree is all that the body of a tree depends on. Nothing in it depends on who
// asks: he may see all of the application, or does not come here.
func nameOfTree(v fleet.TreeVersion) string {
	return string(v.App) + " " + v.Digest + " " + v.At.UTC().Format(time.RFC3339Nano)
}
