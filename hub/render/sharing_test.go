package render

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// gate is a Snapshot whose contents come when the test says so.
type gate struct {
	*memory
	once          *sync.Once
	reading, open chan struct{}
}

func (g gate) Contents(ctx context.Context, hashes []string) ([][]byte, error) {
	g.once.Do(func() { close(g.reading) })
	<-g.open
	return g.memory.Contents(ctx, hashes)
}

// joining is a Snapshot that tells when its render looks for one to wait for.
type joining struct {
	*memory
	once *sync.Once
	here chan struct{}
}

func (j joining) Root() string {
	j.once.Do(func() { j.here <- struct{}{} })
	return j.memory.Root()
}

// together starts one render, and others while it reads; it returns their errors
// when all have ended. The first one's is errs[0].
func together(t *testing.T, r *Renderer, first Request, others ...Request) (errs []error, results []Result) {
	t.Helper()
	g := gate{first.Snapshot.(*memory), &sync.Once{}, make(chan struct{}), make(chan struct{})}
	first.Snapshot = g
	errs, results = make([]error, 1+len(others)), make([]Result, 1+len(others))
	done := make(chan struct{})
	render := func(i int, req Request) {
		results[i], errs[i] = r.Render(t.Context(), req)
		done <- struct{}{}
	}
	go render(0, first)
	<-g.reading
	here := make(chan struct{})
	for i, req := range others {
		req.Snapshot = joining{req.Snapshot.(*memory), &sync.Once{}, here}
		go render(1+i, req)
		<-here
	}
	close(g.open)
	for range errs {
		<-done
	}
	return errs, results
}

// What another application's own values do to a worker is not ours, although
// the source is the same and both render at once.
func TestARenderThatWearsOutAWorkerIsOnlyOfWhoReadsTheSame(t *testing.T) {
	for _, script := range []string{"read x\nref values v\nrecurse", "read x\nref values v\npanic"} {
		r := newRenderer(t, Options{WorkerCommand: []string{"worker-script"}, Workers: 2})
		s := newScene(map[string]string{"app/Chart.yaml": "script values s", "x": "x"})
		with := func(app model.AppUID, text string) Request {
			req := s.request()
			req.App = app
			values := snapshotOf(map[string]string{"s": text, "v": "v"})
			req.Refs["values"] = func(context.Context) (Snapshot, error) { return values, nil }
			return req
		}
		errs, results := together(t, r, with("uid-a", script), with("uid-b", script), with("uid-c", "stat x"))
		for i, err := range errs[:2] {
			if !fault.HasCode(err, "render_crashed") && !fault.HasCode(err, "render_failed") {
				t.Errorf("%d: %v", i, err)
			}
		}
		if errs[2] != nil || said(results[2]) != "[stat true false end]" {
			t.Errorf("%s %v", said(results[2]), errs[2])
		}
		if jobs := r.Jobs(); jobs > 3 {
			t.Errorf("%d jobs", jobs)
		}
		// Whatever it was, the next attempt is a new one.
		jobs := r.Jobs()
		if _, err := r.Render(t.Context(), with("uid-a", script)); err == nil || r.Jobs() == jobs {
			t.Errorf("%v without a worker", err)
		}
	}
}

// Who may not fetch what a render needs does not get it from somebody else's.
func TestARenderOfAnotherProjectIsNoWayAroundAPermission(t *testing.T) {
	const script = "chart https://charts.example.com redis ^1 Chart.yaml"
	for _, warm := range []bool{true, false} {
		r := newRenderer(t, Options{WorkerCommand: []string{"worker-script"}, Workers: 2})
		s := newScene(map[string]string{"app/Chart.yaml": script})
		s.fetch.charts["https://charts.example.com redis"] = snapshotOf(map[string]string{"Chart.yaml": "redis"})
		may := s.request()
		mayNot := s.request()
		mayNot.App, mayNot.Project = "uid-2", "other"
		mayNot.Fetch = &elsewhere{err: fault.New(fault.Denied, "repo_not_permitted", "not for you")}
		var errs []error
		if warm {
			_, err := r.Render(t.Context(), may)
			_, denied := r.Render(t.Context(), mayNot)
			errs = []error{err, denied}
		} else {
			errs, _ = together(t, r, may, mayNot)
		}
		if errs[0] != nil || !fault.HasCode(errs[1], "repo_not_permitted") {
			t.Errorf("warm %v: %v", warm, errs)
		}
		// Nor does the refusal become that of the other.
		if res, err := r.Render(t.Context(), may); err != nil || said(res) != "[chart 1.0.0 redis end]" {
			t.Errorf("warm %v: %s %v", warm, said(res), err)
		}
		// The key of the other's result opens nothing.
		first, err := r.Render(t.Context(), may)
		if err != nil {
			t.Fatal(err)
		}
		mayNot.PreviousKey = first.Key
		if _, err := r.Render(t.Context(), mayNot); !fault.HasCode(err, "repo_not_permitted") {
			t.Errorf("warm %v: %v", warm, err)
		}
	}
}

// Whoever waited for a render that its owner gave up renders by itself.
func TestWhoWaitedForACancelledRenderIsRendered(t *testing.T) {
	r := newRenderer(t, Options{Workers: 1})
	snap := hang{&memory{files: map[string]string{"app/a.yaml": configMap("a")}}, make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan error, 1)
	go func() {
		_, err := r.Render(ctx, Request{Source: model.Source{Path: "app"}, Snapshot: snap})
		gone <- err
	}()
	<-snap.reading
	waiting := make(chan error, 3)
	for range cap(waiting) {
		go func() {
			res, err := r.Render(t.Context(), Request{Source: model.Source{Path: "app"}, Snapshot: snap.memory})
			if err == nil && names(res.Objects) != "a" {
				err = errors.New(names(res.Objects))
			}
			waiting <- err
		}()
	}
	cancel()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	for range cap(waiting) {
		if err := <-waiting; err != nil {
			t.Error(err)
		}
	}
}
