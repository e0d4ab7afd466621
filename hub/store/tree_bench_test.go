package store

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/model"
)

// BenchmarkCacheTree is what a tree of 500 objects costs from Postgres, and what it
// would cost from a cache besides the look: to ask which state of it is the newest,
// as an old one would be a wrong answer, and to read its text.
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
	text, err := json.Marshal(tree)
	must(b, err)
	b.Run("postgres", func(b *testing.B) {
		for b.Loop() {
			got, _, err := s.Tree(ctx, app.UID)
			must(b, err)
			if len(got.Nodes) != 500 {
				b.Fatal(len(got.Nodes))
			}
		}
	})
	b.Run("version", func(b *testing.B) {
		for b.Loop() {
			var at *time.Time
			must(b, s.pool.QueryRow(ctx, "SELECT tree_at FROM observed_detail WHERE app_uid = $1", app.UID).Scan(&at))
		}
	})
	b.Run("decode", func(b *testing.B) {
		for b.Loop() {
			var got model.ResourceTree
			must(b, decode(text, &got))
		}
	})
}
