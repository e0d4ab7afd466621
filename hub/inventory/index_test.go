package inventory

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/model"
)

func TestListsContainWhatWasAcknowledged(t *testing.T) {
	t.Run("by many writers, while everything is read again and again", func(t *testing.T) {
		s := newStore()
		x := newIndex(t, s)
		ctx, cancel := context.WithCancel(t.Context())
		var background, writers sync.WaitGroup
		background.Go(func() {
			for ctx.Err() == nil {
				_ = x.Load(ctx)
			}
		})
		for w := range 8 {
			writers.Go(func() {
				for i := range 60 {
					name := fmt.Sprintf("w%d-%d", w, i)
					s.put(row(name))
					x.Written([]model.AppUID{model.AppUID("uid-" + name)})
					if got := names(t, x, fleet.ListQuery{Filter: `name:` + name}); len(got) != 1 {
						t.Errorf("%s was written and is not listed: %v", name, got)
					}
					if i%3 == 0 {
						s.remove(model.AppUID("uid-" + name))
						x.Written([]model.AppUID{model.AppUID("uid-" + name)})
						if got := names(t, x, fleet.ListQuery{Filter: `name:` + name}); len(got) != 0 {
							t.Errorf("%s was deleted and is listed", name)
						}
					}
				}
			})
		}
		writers.Wait()
		cancel()
		background.Wait()
		if got := names(t, x, fleet.ListQuery{}); len(got) != 8*40 {
			t.Errorf("%d are left, want %d", len(got), 8*40)
		}
	})
	t.Run("clusters, projects and repositories", func(t *testing.T) {
		s := newStore()
		x := newIndex(t, s)
		s.set(func() {
			s.projects = append(s.projects, model.AppProject{Metadata: model.ObjectMeta{Name: "new"}})
			s.repos = []model.Repository{{ID: "r1", URL: "https://git/x"}}
			s.clusters = append(s.clusters, model.Cluster{ID: "c-ap", Name: "ap"})
		})
		x.OthersWritten()
		for what, ask := range map[string]func(context.Context, fleet.ListQuery) (fleet.ListPage, error){"projects": x.AllProjects, "clusters": x.Clusters, "repositories": x.Repositories} {
			page, err := ask(t.Context(), fleet.ListQuery{Limit: 10})
			if want := map[string]int{"projects": 3, "clusters": 3, "repositories": 1}[what]; err != nil || page.Total != want {
				t.Errorf("%d %s, want %d: %v", page.Total, what, want, err)
			}
		}
	})
}

// A client that goes away, or a database that is slow, is no outage: the next
// list still waits for what was acknowledged.
func TestCallersThatGoAwayAreNoOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		x := newIndex(t, s)
		release := make(chan struct{})
		s.set(func() {
			s.hold = func(ctx context.Context, what string) error {
				select {
				case <-release:
				case <-ctx.Done():
				}
				return ctx.Err()
			}
		})
		s.put(row("a"))
		x.Written([]model.AppUID{"uid-a"})
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		page, err := x.Applications(gone, fleet.ListQuery{Limit: 10})
		if err != nil || !page.Away || page.Total != 0 {
			t.Errorf("an answer without what was acknowledged does not say so: %+v, %v", page, err)
		}
		// One that waits in vain is told so too, and the read goes on.
		began := time.Now()
		page, err = x.Applications(t.Context(), fleet.ListQuery{Limit: 10})
		if d := time.Since(began); err != nil || !page.Away || d != 2*time.Second {
			t.Errorf("waited %s: %+v, %v", d, page, err)
		}
		close(release)
		page, err = x.Applications(t.Context(), fleet.ListQuery{Limit: 10})
		if err != nil || page.Away || page.Total != 1 {
			t.Errorf("after a slow read: %+v, %v", page, err)
		}
	})
}

// A database that says nothing at all counts as away in the end, and lists are
// answered at once.
func TestSilenceIsAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		x := newIndex(t, s)
		s.set(func() {
			s.hold = func(ctx context.Context, _ string) error { <-ctx.Done(); return ctx.Err() }
		})
		x.Written([]model.AppUID{"uid-a"})
		_, _ = x.Applications(t.Context(), fleet.ListQuery{Limit: 10})
		time.Sleep(9 * time.Second) // in the bubble's time
		synctest.Wait()
		began := time.Now()
		page, err := x.Applications(t.Context(), fleet.ListQuery{Limit: 10})
		if d := time.Since(began); err != nil || !page.Away || d != 0 {
			t.Errorf("waited %s: %+v, %v", d, page, err)
		}
	})
}

func TestOutageAndReturn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		s.put(row("a"), row("b"))
		x := newIndex(t, s)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() { _ = x.Run(ctx) }()
		s.set(func() { s.err = errAway })
		time.Sleep(4 * time.Second)
		page, err := x.Applications(t.Context(), fleet.ListQuery{Limit: 10})
		if err != nil || !page.Away || page.Total != 2 {
			t.Fatalf("while it is away: %+v, %v", page, err)
		}
		// Another replica wrote meanwhile.
		s.remove("uid-a")
		s.put(row("c"))
		// A write that gets through says that the database is back: no list is
		// answered without it, and none waits for the next tick.
		s.set(func() { s.err = nil })
		s.put(row("d"))
		x.Written([]model.AppUID{"uid-d"})
		if got := names(t, x, fleet.ListQuery{Filter: "d"}); len(got) != 1 {
			t.Errorf("what was acknowledged after the outage is not listed: %v", got)
		}
		time.Sleep(4 * time.Second)
		page, err = x.Applications(t.Context(), fleet.ListQuery{Limit: 10})
		if got := namesIn(t, page); err != nil || page.Away || fmt.Sprint(got) != "[b c d]" {
			t.Errorf("after it: %v, %+v, %v", got, page, err)
		}
		cancel()
		synctest.Wait()
	})
}

// What was written while a read of everything ran, and failed, is in the next
// list.
func TestWritesDuringAReadOfEverything(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
	}{{"that fails", errAway}, {"that succeeds with older rows", nil}} {
		t.Run(c.name, func(t *testing.T) {
			s := newStore()
			s.put(row("a"), row("gone"))
			x := newIndex(t, s)
			began, release := make(chan struct{}), make(chan struct{})
			s.set(func() {
				s.hold = func(_ context.Context, what string) error {
					if what != "all" {
						return nil
					}
					close(began)
					<-release
					return c.err
				}
			})
			done := make(chan error)
			go func() { done <- x.Load(t.Context()) }()
			<-began
			s.put(row("b"), row("a", func(r *fleet.AppRow) { r.Project = "bank" }))
			s.remove("uid-gone")
			x.Written([]model.AppUID{"uid-a", "uid-b", "uid-gone"})
			want := "[a b]"
			if got := fmt.Sprint(names(t, x, fleet.ListQuery{})); got != want {
				t.Errorf("while it runs: %s", got)
			}
			s.put(row("c"))
			x.Written([]model.AppUID{"uid-c"})
			s.set(func() { s.hold = nil })
			close(release)
			if err := <-done; err != c.err {
				t.Fatal(err)
			}
			if c.err != nil { // it answers again
				if err := x.Load(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if got := fmt.Sprint(names(t, x, fleet.ListQuery{})); got != "[a b c]" {
				t.Errorf("after it: %s", got)
			}
			if got := names(t, x, fleet.ListQuery{Filter: "project:bank"}); len(got) != 1 {
				t.Errorf("an older row has replaced a newer one: %v", got)
			}
		})
	}
}

// After a restore the database is the truth, also where it is older.
func TestRestore(t *testing.T) {
	s := newStore()
	s.put(row("a"), row("b"), row("c"))
	x := newIndex(t, s)
	s.set(func() {
		s.apps = map[model.AppUID]fleet.AppRow{"uid-a": row("a", func(r *fleet.AppRow) { r.Health.Status = model.HealthDegraded }), "uid-old": row("old")}
		s.projects = s.projects[:1]
	})
	if err := x.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(names(t, x, fleet.ListQuery{}), names(t, x, fleet.ListQuery{Filter: "health:degraded"})); got != "[a old] [a]" {
		t.Error(got)
	}
	if _, got := x.Projects(t.Context()); fmt.Sprint(got) != "[bank]" {
		t.Error(got)
	}
	if _, _, ok := x.ProjectOf("uid-b"); ok {
		t.Error("b is still known")
	}
}

func TestEventsFindTheirRows(t *testing.T) {
	s := newStore()
	s.put(row("a"))
	x := newIndex(t, s)
	s.put(row("a", func(r *fleet.AppRow) { r.Health.Status = model.HealthMissing }), row("b"))
	views, err := x.AppViews(t.Context(), fleet.ViewFilter{UIDs: []model.AppUID{"uid-a", "uid-b", "uid-none"}})
	if err != nil || len(views) != 2 || views[0].Health.Status != model.HealthMissing || views[0].Freshness != model.FreshLive {
		t.Fatalf("%+v, %v", views, err)
	}
	if got := names(t, x, fleet.ListQuery{Filter: "health:missing"}); len(got) != 1 {
		t.Errorf("whoever heard of a change does not find it: %v", got)
	}
}

// Freshness is of the moment of the list, without anything being read.
func TestFreshnessIsOfTheMoment(t *testing.T) {
	now := start
	s := newStore()
	s.put(
		row("a"), row("never", func(r *fleet.AppRow) { r.ReportedAt = nil }),
		row("us", func(r *fleet.AppRow) { r.Cluster, r.ClusterID = "us", "c-us" }),
		row("nowhere", func(r *fleet.AppRow) { r.ClusterID = "c-unknown" }),
	)
	s.clusters = []model.Cluster{{ID: "c-eu", Name: "eu"}, {ID: "c-us", Name: "us"}}
	s.leases = []fleet.Lease{lease("c-eu", start), lease("c-us", start.Add(-time.Hour))}
	x := newIndex(t, s, func(o *Options) { o.Now = func() time.Time { return now } })
	check := func(want map[string]int, healthy, stale int) {
		t.Helper()
		page, err := x.Applications(t.Context(), fleet.ListQuery{Facets: []string{"freshness"}, Limit: 10})
		if err != nil {
			t.Fatal(err)
		}
		if got := page.Facets["freshness"].Values; fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("got %v, want %v", got, want)
		}
		f := x.Fleet(t.Context(), fleet.Sight{})
		if f.Applications.Health["healthy"] != healthy || f.Applications.Stale != stale || f.Applications.Never != 1 {
			t.Errorf("the fleet: %+v", f.Applications)
		}
		if got := len(names(t, x, fleet.ListQuery{Filter: "is:healthy"})); got != healthy {
			t.Errorf("%d are healthy, want %d", got, healthy)
		}
		if got := len(names(t, x, fleet.ListQuery{Filter: "is:ready"})); got != healthy {
			t.Errorf("%d are ready, want %d", got, healthy)
		}
		total := 0
		for _, n := range f.Applications.Health {
			total += n
		}
		if total+f.Applications.Stale+f.Applications.Never != f.Applications.Total {
			t.Errorf("the sums do not add up: %+v", f.Applications)
		}
	}
	check(map[string]int{"live": 1, "never": 1, "stale": 2}, 1, 2)
	now = start.Add(fleet.LiveWithin + time.Second)
	if fleet.LiveWithin+time.Second <= s.LeaseTime() {
		check(map[string]int{"lagging": 1, "never": 1, "stale": 2}, 1, 2)
	}
	now = start.Add(time.Hour)
	check(map[string]int{"never": 1, "stale": 3}, 0, 3)
	// A sign of life that confirms makes it fresh again; one of another session does
	// not confirm.
	x.mu.Lock()
	x.setLeases([]fleet.Lease{lease("c-eu", now)})
	x.publish()
	x.mu.Unlock()
	check(map[string]int{"live": 1, "never": 1, "stale": 2}, 1, 2)
	other := lease("c-eu", now)
	other.Number = 2
	x.mu.Lock()
	x.setLeases([]fleet.Lease{other})
	x.publish()
	x.mu.Unlock()
	check(map[string]int{"never": 1, "stale": 3}, 0, 3)
	// A read that was overtaken does not bring the old session back.
	x.mu.Lock()
	x.setLeases([]fleet.Lease{lease("c-eu", now.Add(time.Minute))})
	x.publish()
	x.mu.Unlock()
	check(map[string]int{"never": 1, "stale": 3}, 0, 3)
}

// Whoever is told of a change is told how fresh it is by the session that brought
// it, though leases were read before that began.
func TestChangesKnowTheNewestSession(t *testing.T) {
	s := newStore()
	s.put(row("a"))
	x := newIndex(t, s)
	next := lease("c-eu", start)
	next.Number = 2
	s.mu.Lock()
	s.leases = []fleet.Lease{next}
	s.mu.Unlock()
	s.put(row("a", func(r *fleet.AppRow) { r.Report.Number = 2 }))
	views, err := x.AppViews(t.Context(), fleet.ViewFilter{UIDs: []model.AppUID{row("a").UID}})
	if err != nil || len(views) != 1 || views[0].Freshness != model.FreshLive || views[0].ObservedAt == nil {
		t.Fatalf("%+v, %v", views, err)
	}
}

// The first application of a cluster that has just enrolled is as fresh as any.
func TestChangesKnowAClusterThatHasJustEnrolled(t *testing.T) {
	s := newStore()
	x := newIndex(t, s)
	s.mu.Lock()
	s.clusters = append(s.clusters, model.Cluster{ID: "c-new", Name: "new"})
	s.leases = append(s.leases, lease("c-new", start))
	s.mu.Unlock()
	s.put(row("a", func(r *fleet.AppRow) { r.Cluster, r.ClusterID = "new", "c-new" }))
	views, err := x.AppViews(t.Context(), fleet.ViewFilter{UIDs: []model.AppUID{row("a").UID}})
	if err != nil || len(views) != 1 || views[0].Freshness != model.FreshLive {
		t.Fatalf("%+v, %v", views, err)
	}
}

// Whoever heard that a cluster is connected finds it so in the next list.
func TestASessionThatOpenedIsListed(t *testing.T) {
	s := newStore()
	x := newIndex(t, s)
	s.mu.Lock()
	s.clusters = append(s.clusters, model.Cluster{ID: "c-new", Name: "new"})
	s.leases = append(s.leases, lease("c-new", start))
	s.mu.Unlock()
	x.ClustersChanged()
	page, err := x.Clusters(t.Context(), fleet.ListQuery{Filter: "is:connected", Limit: 10})
	if err != nil || page.Total != 3 {
		t.Errorf("%+v, %v", page, err)
	}
}

func TestARepositoryThatWasLookedAtIsListed(t *testing.T) {
	s := newStore()
	s.repos = []model.Repository{{ID: "r", URL: "https://git.example.com/a", State: "unknown"}}
	x := newIndex(t, s)
	s.mu.Lock()
	s.repos = []model.Repository{{ID: "r", URL: "https://git.example.com/a", State: "ok"}}
	s.mu.Unlock()
	x.RepositoryLooked()
	page, err := x.Repositories(t.Context(), fleet.ListQuery{Filter: "state:ok", Limit: 10})
	if err != nil || page.Total != 1 {
		t.Errorf("%+v, %v", page, err)
	}
}

func TestLabelsOfOthersAreNotKnown(t *testing.T) {
	s := newStore()
	s.clusters = []model.Cluster{{ID: "c-eu", Name: "eu", Labels: map[string]string{"healt": "1"}}, {ID: "c-us", Name: "us", Labels: map[string]string{"syn": "1"}}}
	s.projects = []model.AppProject{{Metadata: model.ObjectMeta{Name: "shop"}}}
	s.put(row("a"))
	x := newIndex(t, s)
	q := fleet.ListQuery{Limit: 10, Sight: fleet.Sight{Sees: func(p string) bool { return p == "shop" }, SeesCluster: func(c *model.Cluster) bool { return c.Name == "eu" }}}
	// Of a cluster that is seen: the word is a label.
	q.Filter = "healt:1"
	if page, err := x.Applications(t.Context(), q); err != nil || page.Total != 1 {
		t.Errorf("%+v, %v", page, err)
	}
	// Of one that is not: nothing tells that somebody has it.
	q.Filter = "syn:1"
	if _, err := x.Applications(t.Context(), q); err == nil || !strings.Contains(err.Error(), `did you mean "sync"`) {
		t.Errorf("%v", err)
	}
}

func TestUnknownFieldsAreRefused(t *testing.T) {
	x := newIndex(t, newStore())
	for _, c := range []struct {
		ask         func(context.Context, fleet.ListQuery) (fleet.ListPage, error)
		field, near string
	}{
		{x.Applications, "helth", "health"}, {x.Clusters, "lables", "labels"}, {x.AllProjects, "metdata", "metadata"}, {x.Repositories, "projct", "project"},
	} {
		_, err := c.ask(t.Context(), fleet.ListQuery{Limit: 10, Fields: []string{c.field}})
		if err == nil || !strings.Contains(err.Error(), `did you mean "`+c.near+`"`) {
			t.Errorf("%s: %v", c.field, err)
		}
		if _, err := c.ask(t.Context(), fleet.ListQuery{Limit: 10, Fields: []string{c.near}}); err != nil {
			t.Errorf("%s: %v", c.near, err)
		}
	}
	for _, fields := range [][]string{ClusterFields, ProjectFields, RepositoryFields} {
		if len(fields) < 4 || slices.Contains(fields, "") {
			t.Errorf("%v", fields)
		}
	}
}

// Every field of applications can be asked for, and is the one of the view.
func TestFieldsOfApplications(t *testing.T) {
	s := newStore()
	s.put(row("a", func(r *fleet.AppRow) {
		r.Labels = map[string]string{"env": "prod"}
		r.RepoURL, r.Path, r.Target, r.Revision = "https://git/x", "a", "main", "v1"
		r.Operation = &model.OperationInfo{Kind: "sync", Phase: model.PhaseRunning}
		r.Deleting, r.Pin = true, &model.Pin{}
		r.Conditions = []model.Condition{{Type: "Source", Code: "x"}}
	}))
	x := newIndex(t, s)
	page, err := x.Applications(t.Context(), fleet.ListQuery{Limit: 1, Fields: AppFields})
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]json.RawMessage
	if err := json.Unmarshal(page.Items[0], &got); err != nil {
		t.Fatal(err)
	}
	for _, f := range AppFields {
		if _, ok := got[f]; !ok {
			t.Errorf("%s is missing", f)
		}
	}
}
