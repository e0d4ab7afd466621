package command

import (
	"fmt"
	"regexp"
	"slices"

	"github.com/hawser-dev/hawser/shared/model"
)

// reason is what below an object of an application makes it unhealthy.
type reason struct {
	key     model.ObjectKey
	status  model.Health
	message string
	alike   int // further objects that say the same
}

func (r reason) String() string {
	text := r.key.String() + " is " + string(r.status)
	if r.message != "" {
		text += ": " + r.message
	}
	if r.alike > 0 {
		text += fmt.Sprintf(" (and %d alike)", r.alike)
	}
	return text
}

// mostReasons are told below one object.
const mostReasons = 3

// ids are what differs in messages that say the same.
var ids = regexp.MustCompile(`[0-9a-f]{5,}|\d+`)

// reasonsOf are the objects below one that are unhealthy while nothing below them is:
// the pod that has no image says more than the Deployment that waits for it. An
// object that is its own ancestor by an error in the cluster is met once.
func reasonsOf(of model.ObjectKey, tree model.ResourceTree) []reason {
	below := map[string][]model.TreeNode{}
	var next []model.TreeNode
	for _, n := range tree.Nodes {
		for _, p := range n.ParentUIDs {
			below[p] = append(below[p], n)
		}
		if n.ObjectKey == of {
			next = append(next, n)
		}
	}
	met := map[string]bool{}
	var out []reason
	said := map[string]int{}
	message := map[string]string{} // of the nearest above that says something
	for len(next) > 0 {
		n := next[0]
		next = next[1:]
		leaf := true
		if n.Health.Message != "" && n.ObjectKey != of {
			message[n.UID] = n.Health.Message
		}
		for _, child := range below[n.UID] {
			if n.UID == "" || met[child.UID] || !unhealthy(child.Health.Status) {
				continue
			}
			leaf, met[child.UID] = false, true
			message[child.UID] = message[n.UID]
			next = append(next, child)
		}
		if !leaf || n.ObjectKey == of {
			continue
		}
		r := reason{key: n.ObjectKey, status: n.Health.Status, message: message[n.UID]}
		what := n.Kind + " " + string(r.status) + " " + ids.ReplaceAllString(r.message, "#")
		if i, ok := said[what]; ok {
			out[i].alike++
			continue
		}
		said[what] = len(out)
		out = append(out, r)
	}
	slices.SortStableFunc(out, func(a, b reason) int { return b.alike - a.alike })
	return out[:min(len(out), mostReasons)]
}

// unhealthy is what a health says that is not as somebody wanted it.
func unhealthy(h model.Health) bool {
	return h != "" && h != model.HealthHealthy && h != model.HealthSuspended
}
