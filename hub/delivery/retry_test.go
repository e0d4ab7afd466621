package delivery

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hawser-dev/hawser/shared/fault"
)

// troubled is a Renderer that fails as long as err is set.
type troubled struct {
	*world
	err   error // guarded by world.mu
	tries int
}

func (r *troubled) Render(ctx context.Context, req RenderRequest) (Rendered, error) {
	r.mu.Lock()
	r.tries++
	err := r.err
	r.moved()
	r.mu.Unlock()
	if err != nil {
		return Rendered{}, err
	}
	return r.world.Render(ctx, req)
}

// The repository of a dependency comes back, and nothing else happens.
func TestTroubleOfARenderPasses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		uid := w.app("web", "web")
		w.put("web", "c1", "a")
		w.put("web", "c2", "a", "b")
		r := &troubled{world: w}
		d := New(Options{Store: w, Watcher: w, Renderer: r, Notifier: w, Publisher: w, Log: slog.New(slog.DiscardHandler)})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- d.Run(ctx) }()
		synctest.Wait()
		d.RepositoryResolved(repo, heads("c1"), nil)
		w.await("generation 1 is written", func() bool { return w.desired[uid].Generation == 1 })

		set := func(err error) {
			w.mu.Lock()
			r.err, r.tries = err, 0
			w.mu.Unlock()
		}
		tries := func() int {
			w.mu.Lock()
			defer w.mu.Unlock()
			return r.tries
		}
		set(fault.New(fault.Upstream, "git_unavailable", "the repository of a dependency does not answer"))
		d.RepositoryResolved(repo, heads("c2"), nil)
		synctest.Wait()
		if c := w.condition(uid); c == nil || c.Code != "git_unavailable" || w.desired[uid].Generation != 1 {
			t.Errorf("%+v", c)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		// After 5, 10, 20, 40, 80 and 160 s, and then every 3 minutes.
		if n := tries(); n < 20 || n > 30 {
			t.Errorf("%d attempts in an hour", n)
		}
		set(nil)
		time.Sleep(maxRetryPassing + time.Second)
		synctest.Wait()
		if c := w.condition(uid); c != nil || w.desired[uid].Generation != 2 {
			t.Errorf("%+v at generation %d", c, w.desired[uid].Generation)
		}
		if n := tries(); n != 1 {
			t.Errorf("%d renders of what is good", n)
		}
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if n := tries(); n != 1 {
			t.Errorf("%d renders of what is good", n)
		}

		for name, c := range map[string]struct {
			err      error
			min, max int
		}{
			// A chart may be published after the commit that names it.
			"content": {fault.New(fault.Unprocessable, "chart_not_found", "no version 1.2.3"), 10, 14},
			"refused": {fault.New(fault.Denied, "repo_not_permitted", "not yours"), 1, 1},
		} {
			set(c.err)
			d.ApplicationsWritten(uid)
			time.Sleep(10 * time.Hour)
			synctest.Wait()
			if n := tries(); n < c.min || n > c.max {
				t.Errorf("%s: %d attempts in 10 hours", name, n)
			}
		}
		// What the poller watches over is not asked for in vain.
		set(nil)
		d.RepositoryResolved(repo, nil, errors.New("away"))
		time.Sleep(time.Hour)
		synctest.Wait()
		if n := tries(); n != 0 {
			t.Errorf("%d renders without a revision", n)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
