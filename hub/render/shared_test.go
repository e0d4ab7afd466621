package render

import (
	"context"
	"sync"
	"testing"

	"github.com/hawser-dev/hawser/shared/model"
)

// common is what two hubs share, and whoever writes there.
type common struct {
	mu   sync.Mutex
	m    map[string][]byte
	gets int
}

func (c *common) Get(_ context.Context, key string) ([]byte, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gets++
	v, ok := c.m[key]
	return v, ok
}

func (c *common) Put(_ context.Context, key string, value []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.m == nil {
		c.m = map[string][]byte{}
	}
	c.m[key] = value
}

func (c *common) Drop(_ context.Context, key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.m, key)
}

func TestAnotherHubsRenderIsNotMadeAgain(t *testing.T) {
	var results, traces common
	files := map[string]string{"app/a.yaml": configMap("a"), "other/b.yaml": configMap("b")}
	one := newRenderer(t, Options{Results: &results, Traces: &traces})
	two := newRenderer(t, Options{Results: &results, Traces: &traces})
	req := func() Request {
		return Request{App: "uid", Source: model.Source{Path: "app"}, Snapshot: snapshotOf(files)}
	}
	render := func(r *Renderer, q Request, jobs int64) Result {
		t.Helper()
		before := r.Jobs()
		res, err := r.Render(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		if got := r.Jobs() - before; got != jobs {
			t.Errorf("%d renders, want %d", got, jobs)
		}
		return res
	}
	first := render(one, req(), 1)
	second := render(two, req(), 0)
	if second.Digest != first.Digest || second.Key != first.Key || names(second.Objects) != "a" || second.Tool != first.Tool {
		t.Errorf("%+v", second)
	}
	// Of another application with the same source.
	q := req()
	q.App = "another"
	render(two, q, 0)
	// A hub that begins knows what is deployed without an object.
	three := newRenderer(t, Options{Results: &common{}, Traces: &traces})
	q = req()
	q.PreviousKey = first.Key
	if res := render(three, q, 0); !res.Unchanged {
		t.Error("not unchanged")
	}

	// Files that changed are other answers: nothing of what is shared fits.
	files["app/a.yaml"] = configMap("changed")
	if res := render(two, req(), 1); names(res.Objects) != "changed" {
		t.Errorf("%+v", res)
	}
	files["app/a.yaml"] = configMap("a")
	render(newRenderer(t, Options{Results: &results, Traces: &traces}), req(), 1) // only the newest trace is told

	// What cannot be read is no trace.
	for _, bad := range []string{"", "null", "{}", `{"key":"k","paths":"AA=="}`, `{"key":"k","paths":"` + "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=" + `","questions":[{"raw":"AA==","id":"AA=="}]}`} {
		for key := range traces.m {
			traces.m[key] = []byte(bad)
		}
		render(newRenderer(t, Options{Results: &results, Traces: &traces}), req(), 1)
	}
}

func TestARenderThatFailedIsNotTold(t *testing.T) {
	var results, traces common
	r := newRenderer(t, Options{Results: &results, Traces: &traces})
	if _, err := r.Render(t.Context(), Request{App: "uid", Source: model.Source{Path: "none"}, Snapshot: snapshotOf(map[string]string{"a.yaml": configMap("a")})}); err == nil {
		t.Fatal("it renders")
	}
	if len(results.m)+len(traces.m) != 0 {
		t.Errorf("%d results, %d traces", len(results.m), len(traces.m))
	}
}
