package store

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// TestTheVersionOfATreeIsThatOfItsText: it changes with the tree, and not with what is
// reported besides; a hub of the release before, which writes no digest, changes it too.
func TestTheVersionOfATreeIsThatOfItsText(t *testing.T) {
	b := setup(t)
	ctx := t.Context()
	one := b.cluster("one")
	app := b.app("shop", one)
	state := func() fleet.TreeState {
		t.Helper()
		s, err := b.TreeState(ctx, "shop")
		must(t, err)
		view := b.view("shop")
		if s.App != view.UID || s.Project != view.Project || s.Freshness != view.Freshness {
			t.Errorf("%+v, and the application %s %s %s", s, view.UID, view.Project, view.Freshness)
		}
		tree, err := b.Tree(ctx, app.UID)
		if fault.HasCode(err, "tree_not_found") {
			if s.ObservedAt != nil || s.Version.Known() {
				t.Errorf("of no tree: %+v", s)
			}
			return s
		}
		must(t, err)
		if s.Version != tree.Version || s.ObservedAt == nil || !s.ObservedAt.Equal(tree.ObservedAt) {
			t.Errorf("%+v, and the tree %+v", s, tree.Version)
		}
		return s
	}
	_, err := b.TreeState(ctx, "gone")
	wantCode(t, err, fault.NotFound, "application_not_found")
	state()
	o := b.session(one)
	if s := state(); s.Version.Known() || s.Freshness != model.FreshNever {
		t.Errorf("nothing was reported: %+v", s)
	}
	seq := uint64(0)
	report := func(tree *model.ResourceTree) fleet.TreeState {
		t.Helper()
		seq++
		r := b.report(app, o, seq)
		r.Tree = tree
		must(t, b.SaveReports(ctx, []fleet.Report{r}))
		return state()
	}
	named := func(name string) *model.ResourceTree {
		return &model.ResourceTree{Nodes: []model.TreeNode{{ObjectKey: model.ObjectKey{Kind: "Pod", Name: name}}}}
	}
	if s := report(nil); s.Version.Known() {
		t.Errorf("a report without a tree: %+v", s)
	}
	first := report(named("a"))
	if !first.Version.Known() {
		t.Fatalf("%+v", first)
	}
	if s := report(nil); s.Version != first.Version {
		t.Errorf("it did not change: %+v", s)
	}
	// At the same time by the agent's clock, which is not to be relied on.
	second := report(named("b"))
	if second.Version == first.Version || !second.Version.At.Equal(first.Version.At) {
		t.Errorf("another tree: %+v", second)
	}
	_, err = b.pool.Exec(ctx, `UPDATE observed_detail SET tree = '{"nodes": []}', tree_at = tree_at + interval '1 second'`)
	must(t, err)
	third := state()
	if third.Version == second.Version || third.Version == first.Version {
		t.Errorf("a hub of the release before has written: %+v", third)
	}
	if s := report(named("b")); s.Version == third.Version || s.Version.Digest != second.Version.Digest {
		t.Errorf("and this one again: %+v", s)
	}
	_, err = b.pool.Exec(ctx, `UPDATE observed_detail SET tree_digest = NULL`)
	must(t, err)
	if s := state(); s.Version.Known() {
		t.Errorf("of which no digest is known: %+v", s)
	}
}

// BenchmarkCacheTree is what a tree of 500 objects costs from Postgres, as an answer,
// and what is asked before a cache is, which is how a hit is known to be the newest.
func BenchmarkCacheTree(b *testing.B) {
	s := setup(b)
	ctx := b.Context()
	one := s.cluster("one")
	app := s.app("shop", one)
	r := s.report(app, s.session(one), 1)
	at := s.now()
	tree := &model.ResourceTree{}
	for i := range 500 {
		n := model.TreeNode{ObjectKey: model.ObjectKey{Kind: "Pod", Namespace: "shop", Name: fmt.Sprintf("web-7c5ddbdf54-%05d", i)}, Version: "v1",
			UID: fmt.Sprintf("6f1c1b52-6d0c-4a3e-9a57-%012d", i), ParentUIDs: []string{"6f1c1b52-6d0c-4a3e-9a57-000000009999"}, CreatedAt: &at,
			Images: []string{"registry.example/shop/web:1.2.3"}, Info: []model.Info{{Name: "Containers", Value: "1/1"}}}
		n.Health.Status = model.HealthHealthy
		tree.Nodes = append(tree.Nodes, n)
	}
	r.Tree = tree
	must(b, s.SaveReports(ctx, []fleet.Report{r}))
	b.Run("postgres", func(b *testing.B) {
		for b.Loop() {
			got, err := s.Tree(ctx, app.UID)
			must(b, err)
			text, err := json.Marshal(got.ResourceTree)
			must(b, err)
			if len(got.Nodes) != 500 || len(text) < 100_000 {
				b.Fatal(len(got.Nodes), len(text))
			}
		}
	})
	b.Run("version", func(b *testing.B) {
		for b.Loop() {
			state, err := s.TreeState(ctx, "shop")
			must(b, err)
			if !state.Version.Known() {
				b.Fatal(state)
			}
		}
	})
}
