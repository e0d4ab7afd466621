package fleetsim

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/cli/client"
	"github.com/hawser-dev/hawser/e2e/rig"
	"github.com/hawser-dev/hawser/e2e/testbed"
)

const agents, apps = 20, 2

// world is a hub with a fleet and a repository.
type world struct {
	*rig.Rig
	*Fleet
	api  *client.Client
	repo *testbed.Repo
	log  *lines
}

type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func begin(t *testing.T, ctx context.Context) *world {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a hub and Postgres, which -short leaves out")
	}
	w := &world{log: &lines{}}
	var err error
	w.Rig, err = rig.Start(ctx, rig.Options{Bin: rig.Programs(t), HubArgs: []string{"--poll-interval", "1h"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("hub:\n%s", testbed.Tail(w.Hub.LogPath(), 60))
			t.Logf("agents:\n%s", w.log.b.String())
		}
		w.Rig.Close()
	})
	if w.api, err = w.API(); err != nil {
		t.Fatal(err)
	}
	w.Fleet, err = Start(ctx, Options{Address: w.Hub.Addr, CAHash: w.Hub.CAHash, API: w.api, Agents: agents, Seed: 1,
		Log: slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelWarn}))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Fleet.Close)
	if w.repo, err = w.Git.CreateRepo(ctx, "fleet"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.repo.Commit(ctx, "What runs everywhere", Files("1", apps)); err != nil {
		t.Fatal(err)
	}
	if _, err := w.CLI(ctx, "repo", "add", w.repo.URL()); err != nil {
		t.Fatal(err)
	}
	if err := w.Deploy(ctx, w.repo.URL(), apps); err != nil {
		t.Fatal(err)
	}
	return w
}

// settled waits until the hub shows all applications as settled by observations
// after a time, at a revision ("" for any).
func (w *world) settled(t *testing.T, ctx context.Context, after time.Time, revision string) {
	t.Helper()
	var missing string
	err := rig.FollowApplications(ctx, w.api, func(all rig.Applications, _ ...string) bool {
		for name, v := range all {
			if !rig.Settled(v) || v.ObservedAt == nil || v.ObservedAt.Before(after) || revision != "" && v.Revision != revision {
				missing = fmt.Sprintf("%s is %s, %s, revision %s", name, v.Sync.Status, v.Health.Status, v.Revision)
				return false
			}
		}
		missing = fmt.Sprintf("there are %d applications", len(all))
		return len(all) == agents*apps
	})
	if err != nil {
		t.Fatalf("%v: %s", err, missing)
	}
}

func (w *world) commit(t *testing.T, ctx context.Context, revision string) {
	t.Helper()
	commit, err := w.repo.Commit(ctx, "Revision "+revision, Change(revision, 0))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Push(ctx, w.repo.URL(), testbed.DefaultBranch, commit); err != nil {
		t.Fatal(err)
	}
}

// await waits until cond holds. Of a cluster in memory nothing tells.
func await(t *testing.T, ctx context.Context, what string, cond func() bool) {
	t.Helper()
	for !cond() {
		select {
		case <-ctx.Done():
			t.Fatalf("in vain: %s", what)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (w *world) everywhere(cond func(a *Agent) bool) func() bool {
	return func() bool {
		for _, a := range w.Agents {
			if !cond(a) {
				return false
			}
		}
		return true
	}
}

// has reports whether a cluster has the revision of a service.
func has(revision string) func(a *Agent) bool {
	return func(a *Agent) bool {
		o := a.Body(ConfigMapKey(0))
		return o != nil && rig.Field(o, "data", "revision") == revision
	}
}

func TestAFleetEnrolsSyncsAndComesBack(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	w := begin(t, ctx)
	w.settled(t, ctx, time.Time{}, "")
	w.commit(t, ctx, "2")
	await(t, ctx, "every cluster has the commit", w.everywhere(has("2")))
	w.settled(t, ctx, time.Time{}, "")
}
