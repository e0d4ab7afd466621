package render

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/shared/model"
)

// BenchmarkRenderPlain1MB renders 1 MB of YAML in 250 files, the pipe to the
// worker included.
func BenchmarkRenderPlain1MB(b *testing.B) {
	files := map[string]string{}
	for i := range 250 {
		files[fmt.Sprintf("app/%03d.yaml", i)] = configMap(fmt.Sprintf("c%03d", i)) + "data:\n  text: |\n" + strings.Repeat("    some line of configuration, 64 bytes with its indentation ...\n", 62)
	}
	snap := newDirs(files)
	r := newRenderer(b, Options{Workers: 1})
	if err := r.pool.Warm(1); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(1 << 20)
	for i := 0; b.Loop(); i++ {
		r.traces, r.results = newTraces(1<<20), &results{r.opts.Log, kept(1 << 20)}
		res, err := r.Render(b.Context(), Request{Source: model.Source{Path: "app"}, Snapshot: snap})
		if err != nil || len(res.Objects) != 250 {
			b.Fatal(err)
		}
	}
}

// BenchmarkReplay1000 asks the traces of 1,000 applications again after a
// commit that touches none of them: no worker may run.
func BenchmarkReplay1000(b *testing.B) {
	snap := newDirs(fleetFiles(1000))
	r := newRenderer(b, Options{})
	reqs := make([]Request, 1000)
	for i := range reqs {
		reqs[i] = Request{App: model.AppUID(fmt.Sprint(i)), Source: model.Source{Path: fmt.Sprintf("apps/app-%03d", i)}, Snapshot: snap}
		res, err := r.Render(b.Context(), reqs[i])
		if err != nil {
			b.Fatal(err)
		}
		reqs[i].PreviousKey = res.Key
	}
	jobs := r.pool.Stats().Jobs
	for b.Loop() {
		for _, req := range reqs {
			if res, err := r.Render(b.Context(), req); err != nil || !res.Unchanged {
				b.Fatal(err)
			}
		}
	}
	if r.pool.Stats().Jobs != jobs {
		b.Fatal("a worker ran")
	}
}
