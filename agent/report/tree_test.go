package report

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/shared/model"
)

func (w *world) own(kind, name, uid string, owners ...string) {
	rec := live.Record{Key: model.ObjectKey{Kind: kind, Namespace: "shop", Name: name}, Version: "v1", UID: uid,
		CreatedAt: time.Unix(1_700_000_000, 0).UTC(), Health: model.HealthFacet{Status: model.HealthHealthy}, Images: []string{"i:" + name}}
	for _, o := range owners {
		rec.Owners = append(rec.Owners, live.Owner{UID: o})
	}
	w.objects[rec.Key] = rec
	for _, o := range owners {
		w.children[o] = append(w.children[o], rec)
	}
}

func names(t model.ResourceTree) string {
	var out []string
	for _, n := range t.Nodes {
		out = append(out, n.Name+"<"+strings.Join(n.ParentUIDs, "+"))
	}
	return strings.Join(out, " ")
}

func TestTree(t *testing.T) {
	w := newWorld()
	w.own("Deployment", "web", "d")
	w.own("ReplicaSet", "web-2", "r2", "d")
	w.own("ReplicaSet", "web-1", "r1", "d")
	w.own("Pod", "web-2-b", "p2", "r2")
	w.own("Pod", "web-2-a", "p1", "r2")
	w.own("ConfigMap", "conf", "c")
	tree, _ := fit(buildTree(w, []model.ResourceStatus{resource("Deployment", "web", ""), resource("ConfigMap", "conf", "c"), resource("Secret", "missing", "")}), MaxReport)
	if got, want := names(tree), "web< conf< missing< web-1<d web-2<d web-2-a<r2 web-2-b<r2"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if n := tree.Nodes[0]; n.UID != "d" || n.CreatedAt == nil || n.Images[0] != "i:web" || tree.Truncated {
		t.Errorf("managed node: %+v", n)
	}
	if n := tree.Nodes[2]; n.UID != "" || n.CreatedAt != nil {
		t.Errorf("an object that does not exist: %+v", n)
	}
}

func TestTreeOfARecreatedObjectIsNotMixed(t *testing.T) {
	w := newWorld()
	w.own("Deployment", "web", "new")
	w.own("Pod", "other", "p", "new")
	tree, _ := fit(buildTree(w, []model.ResourceStatus{resource("Deployment", "web", "old")}), MaxReport)
	if got := names(tree); got != "web<" {
		t.Errorf("got %s", got)
	}
}

func TestTreeSurvivesCircles(t *testing.T) {
	w := newWorld()
	w.own("A", "a", "1", "2")
	w.own("B", "b", "2", "1", "2")
	tree, _ := fit(buildTree(w, []model.ResourceStatus{resource("A", "a", "1")}), MaxReport)
	if got := names(tree); got != "a< b<1+2" {
		t.Errorf("got %s", got)
	}
}

func TestTreeIsCut(t *testing.T) {
	w := newWorld()
	w.own("Deployment", "web", "d")
	for i := range MaxNodes + 10 {
		w.own("Pod", fmt.Sprintf("p%05d", i), fmt.Sprint("u", i), "d")
	}
	managed := []model.ResourceStatus{resource("Deployment", "web", "d")}
	tree, _ := fit(buildTree(w, managed), 64<<20)
	if len(tree.Nodes) != MaxNodes || !tree.Truncated || tree.Nodes[0].Name != "web" {
		t.Errorf("%d nodes, truncated %v", len(tree.Nodes), tree.Truncated)
	}
	tree, b := fit(buildTree(w, managed), 50_000)
	if len(b) > 50_000 || len(b) < 40_000 || !tree.Truncated || tree.Nodes[0].Name != "web" {
		t.Errorf("%d bytes, %d nodes, truncated %v", len(b), len(tree.Nodes), tree.Truncated)
	}
}

func TestWhatIsNoApplicationsIsCutFirst(t *testing.T) {
	w := newWorld()
	w.own("Deployment", "web", "d")
	tree := buildTree(w, []model.ResourceStatus{resource("Deployment", "web", "d")})
	for i := range 200 {
		tree.Orphaned = append(tree.Orphaned, model.TreeNode{ObjectKey: model.ObjectKey{Kind: "ConfigMap", Namespace: "shop", Name: fmt.Sprint("left-", i)}})
	}
	tree.OrphanedTotal = 300
	for _, most := range []int{1 << 20, 10_000, 600} {
		got, b := fit(tree, most)
		if len(b) > most || len(got.Nodes) != 1 || got.Truncated || got.OrphanedTotal != 300 {
			t.Errorf("%d bytes of %d: %d nodes, %d orphaned of %d", len(b), most, len(got.Nodes), len(got.Orphaned), got.OrphanedTotal)
		}
		if full := len(got.Orphaned) == 200; full != (most == 1<<20) {
			t.Errorf("%d bytes: %d orphaned", most, len(got.Orphaned))
		}
	}
}
