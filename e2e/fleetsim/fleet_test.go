package fleetsim

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
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
// after a time.
func (w *world) settled(t *testing.T, ctx context.Context, after time.Time) {
	t.Helper()
	var missing string
	err := rig.FollowApplications(ctx, w.api, func(all rig.Applications, _ ...string) bool {
		for name, v := range all {
			if !rig.Settled(v) || v.ObservedAt == nil || v.ObservedAt.Before(after) {
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

// commitQuietly tells the hub nothing.
func (w *world) commitQuietly(t *testing.T, ctx context.Context, revision string) (commit string) {
	t.Helper()
	commit, err := w.repo.Commit(ctx, "Revision "+revision, Change(revision, 0))
	if err != nil {
		t.Fatal(err)
	}
	return commit
}

func (w *world) commit(t *testing.T, ctx context.Context, revision string) {
	t.Helper()
	commit := w.commitQuietly(t, ctx, revision)
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
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	w := begin(t, ctx)
	w.settled(t, ctx, time.Time{})
	uids := w.uids()

	w.commit(t, ctx, "2")
	await(t, ctx, "every cluster has the commit", w.everywhere(has("2")))
	w.settled(t, ctx, time.Time{})

	churning, calm := context.WithTimeout(ctx, 5*time.Second)
	happened := w.Churn(churning, Churn{Rate: 40, Services: apps})
	calm()
	if happened[DriftConfig] == 0 || happened[Trouble] == 0 || happened[Kill]+happened[Roll] == 0 || happened[Disconnect] == 0 {
		t.Fatalf("too little happened: %v", happened)
	}
	if err := w.AwaitInSync(ctx, agents); err != nil {
		t.Fatal(err)
	}
	await(t, ctx, "drift is healed", w.everywhere(has("2")))
	w.settled(t, ctx, time.Time{})

	w.Hub.Kill()
	if err := w.AwaitInSync(ctx, 0); err != nil {
		t.Fatal(err)
	}
	for _, a := range w.Agents {
		a.Attempts()
	}
	commit := w.commitQuietly(t, ctx, "3") // the hub hears of it when it is back
	started := time.Now()                  // agents may be back before this test knows that the hub is
	if err := w.Hub.Start(ctx); err != nil {
		t.Fatal(err)
	}
	back := time.Now()
	if err := w.AwaitInSync(ctx, agents); err != nil {
		t.Fatal(err)
	}
	for _, a := range w.Agents {
		late := 0
		for _, at := range a.Attempts() {
			if at.At.After(back) {
				late++
			}
		}
		if late > 3 {
			t.Errorf("%s tried %d times after the hub was back", a.Name(), late)
		}
	}
	if err := w.Push(ctx, w.repo.URL(), testbed.DefaultBranch, commit); err != nil {
		t.Fatal(err)
	}
	await(t, ctx, "every cluster has what was committed meanwhile", w.everywhere(has("3")))
	w.settled(t, ctx, started)

	for _, a := range w.Agents {
		if n := a.Deletes(); n > 0 {
			t.Errorf("in %s %d objects were deleted", a.Name(), n)
		}
	}
	if now := w.uids(); !maps.Equal(now, uids) {
		t.Errorf("objects were replaced: %v, before %v", now, uids)
	}
	if err := w.Err(); err != nil {
		t.Error(err)
	}
}

// uids are of all objects of all clusters.
func (w *world) uids() map[string]string {
	out := map[string]string{}
	for _, a := range w.Agents {
		a.Cluster.mu.Lock()
		for k, o := range a.objects {
			out[a.name+" "+k.String()] = o.rec.UID
		}
		a.Cluster.mu.Unlock()
	}
	return out
}

// What happens follows from the seed alone.
func TestAPlanIsTheSameForASeed(t *testing.T) {
	const steps = 2000
	take := func(seed uint64, c Churn) (out []step) {
		p := newPlan(seed, 100, c)
		for range steps {
			out = append(out, p.next())
		}
		return out
	}
	one := take(7, Churn{Services: 3})
	if !slices.Equal(one, take(7, Churn{Services: 3})) {
		t.Error("two plans of a seed differ")
	}
	if slices.Equal(one, take(8, Churn{Services: 3})) {
		t.Error("plans of two seeds are the same")
	}
	seen := map[Happening]int{}
	for _, s := range one {
		seen[s.what]++
	}
	for _, sh := range shares {
		if got, want := seen[sh.what], sh.share*steps/100; got < want/2 || got > want*2 {
			t.Errorf("%s happens %d times in %d, about %d are wanted", sh.what, got, steps, want)
		}
	}
	for _, s := range take(7, Churn{Services: 3, Calm: true}) {
		if s.what != DriftConfig && s.what != DriftReplica && s.what != Trouble {
			t.Fatalf("a calm churn has %s", s.what)
		}
	}
}
