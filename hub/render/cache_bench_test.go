package render

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/e2e/testbed"
	"github.com/hawser-dev/hawser/hub/cache"
	"github.com/hawser-dev/hawser/shared/model"
)

// BenchmarkCacheRender asks for the 250 objects of 1 MB of YAML: none renders them
// each time; memory has them in the process; redis is a hub that has just started
// and takes what another has rendered, traces and manifests.
func BenchmarkCacheRender(b *testing.B) {
	server := testbed.NeedRedis(b, testbed.RedisOptions{})
	far, err := cache.NewRedis(cache.RedisOptions{Address: cache.Address{Host: server.Addr()}, Secret: make([]byte, 32), Tenant: "hub", Timeout: 10 * time.Second})
	if err != nil {
		b.Fatal(err)
	}
	defer far.Close()
	shared := func(name string) cache.Part {
		return cache.Part{Store: far, Space: cache.Space{Name: name, Schema: "1", TTL: time.Hour}}
	}
	files := map[string]string{}
	for i := range 250 {
		files[fmt.Sprintf("app/%03d.yaml", i)] = configMap(fmt.Sprintf("c%03d", i)) + "data:\n  text: |\n" + strings.Repeat("    some line of configuration, 64 bytes with its indentation ...\n", 62)
	}
	snap := newDirs(files)
	r := newRenderer(b, Options{Workers: 1, Results: shared("manifests"), Traces: shared("renders")})
	if err := r.pool.Warm(1); err != nil {
		b.Fatal(err)
	}
	ask := func(b *testing.B) {
		b.Helper()
		res, err := r.Render(b.Context(), Request{App: "uid", Source: model.Source{Path: "app"}, Snapshot: snap})
		if err != nil || len(res.Objects) != 250 {
			b.Fatal(len(res.Objects), err)
		}
	}
	run := func(name string, renders bool, before func()) {
		b.Run(name, func(b *testing.B) {
			ask(b) // at first it is rendered
			jobs, asked := r.Jobs(), 0
			for b.Loop() {
				before()
				ask(b)
				asked++
			}
			if rendered := r.Jobs() - jobs; renders && rendered != int64(asked) || !renders && rendered != 0 {
				b.Fatal(rendered, "renders of", asked)
			}
		})
	}
	run("redis", false, func() { r.traces = newTraces(1 << 20) })
	r.opts.Traces = nothing{}
	r.traces, r.results = newTraces(1<<20), &results{r.opts.Log, kept(32 << 20)}
	run("memory", false, func() {})
	run("none", true, func() { r.traces, r.results = newTraces(1<<20), &results{r.opts.Log, kept(32 << 20)} })
}
