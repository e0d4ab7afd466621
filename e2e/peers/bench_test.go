package peers_test

import (
	"fmt"
	"testing"

	"github.com/hawser-dev/hawser/e2e/peers"
	"github.com/hawser-dev/hawser/hub/render"
	"github.com/hawser-dev/hawser/shared/model"
)

// BenchmarkChart renders the web chart, each time with another value, so that
// nothing is remembered: in a worker, and with one helm process each.
func BenchmarkChart(b *testing.B) {
	bins := peers.Get(b)
	dir := chartsCopy(b)
	b.Run("worker", func(b *testing.B) {
		r := renderer(b)
		for i := 0; b.Loop(); i++ {
			res, err := r.Render(b.Context(), render.Request{
				App: "a", AppName: "app", Namespace: "space", Snapshot: directory(dir),
				Source: model.Source{Path: "web", Helm: &model.HelmSource{ValueFiles: []string{"values-prod.yaml"}, Parameters: []model.HelmParameter{{Name: "n", Value: fmt.Sprint(i)}}}},
			})
			if err != nil || len(res.Objects) < 8 {
				b.Fatal(len(res.Objects), err)
			}
		}
	})
	b.Run("helm", func(b *testing.B) {
		scratch := b.TempDir()
		for i := 0; b.Loop(); i++ {
			if _, err := bins.Template(b.Context(), dir, scratch, "app", "web", "-f", "web/values-prod.yaml", "--set", fmt.Sprint("n=", i)); err != nil {
				b.Fatal(err)
			}
		}
	})
}
