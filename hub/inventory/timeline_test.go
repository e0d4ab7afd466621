package inventory

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/model"
)

// clock of an index, which tests move.
func clocked(s *store, now *time.Time) func(*Options) {
	return func(o *Options) { o.Now = func() time.Time { s.mu.Lock(); defer s.mu.Unlock(); return *now } }
}

func ended(id string, phase model.OperationPhase, since time.Duration) func(*fleet.AppRow) {
	return func(r *fleet.AppRow) {
		r.Operation = &model.OperationInfo{ID: model.OperationID(id), Kind: model.OperationSync, Phase: phase, FinishedAt: ago(since), Message: "because"}
	}
}

// sums of the kinds, and "n KIND application/cluster" of what is listed.
func told(t fleet.FleetTimeline) (sums map[string]int, lines []string) {
	sums = map[string]int{}
	for kind, column := range t.Counts {
		for minute, n := range column {
			if sums[kind] += n; n > 0 {
				lines = append(lines, fmt.Sprintf("%s %d", kind, minute))
			}
		}
	}
	slices.Sort(lines)
	return sums, lines
}

func wantSums(t *testing.T, got fleet.FleetTimeline, want map[string]int) {
	t.Helper()
	if sums, lines := told(got); !maps.Equal(sums, want) {
		t.Errorf("%v, want %v: %v %+v", sums, want, lines, got.Newest)
	}
}

func TestTheTimelineKnowsOfBeforeItsStartWhatTheDatabaseHas(t *testing.T) {
	s := newStore()
	s.put(row("web", ended("op-3", model.PhaseFailed, 4*time.Minute), health(model.HealthDegraded)), row("old", func(r *fleet.AppRow) {
		r.Health = model.HealthFacet{Status: model.HealthDegraded, Since: ago(2 * time.Hour)}
	}), row("drift", drifted))
	op := func(id string, phase model.OperationPhase, since time.Duration, dry bool) model.OperationInfo {
		return model.OperationInfo{ID: model.OperationID(id), Seq: int64(len(s.ops)), AppName: "web", Project: "shop", Cluster: "c-eu", Phase: phase, FinishedAt: ago(since), Message: "because", Spec: model.OperationSpec{DryRun: dry}}
	}
	s.ops = append(s.ops, op("op-1", model.PhaseSucceeded, 20*time.Minute, false), op("op-2", model.PhaseSucceeded, 20*time.Minute, true),
		op("op-3", model.PhaseFailed, 4*time.Minute, false), op("op-4", model.PhaseSucceeded, 61*time.Minute, false), op("op-5", model.PhaseTerminated, time.Minute, false))
	x := newIndex(t, s)
	got := x.Timeline(t.Context(), fleet.TimelineQuery{})
	wantSums(t, got, map[string]int{"synced": 1, "failed": 1, "degraded": 1})
	if _, lines := told(got); !slices.Equal(lines, []string{"degraded 58", "failed 55", "synced 39"}) {
		t.Errorf("%v", lines)
	}
	if got.KnownSince == nil || !got.KnownSince.Equal(start) || got.From != start.Truncate(time.Minute).Add(-59*time.Minute) {
		t.Errorf("from %v, known since %v", got.From, got.KnownSince)
	}
	if n := got.Newest; len(n) != 3 || n[0].Kind != "degraded" || n[1].Operation != "op-3" || n[1].Cluster != "eu" || n[1].Message != "because" || n[2].Application != "web" {
		t.Errorf("%+v", n)
	}
	// Nothing is told twice.
	if err := x.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantSums(t, x.Timeline(t.Context(), fleet.TimelineQuery{}), map[string]int{"synced": 1, "failed": 1, "degraded": 1})
}

func TestTheTimelineTellsWhatChanges(t *testing.T) {
	s, now := newStore(), start
	s.put(row("web"), row("api"))
	x := newIndex(t, s, clocked(s, &now))
	step := func(by time.Duration, f func()) {
		t.Helper()
		s.set(func() { now = now.Add(by); f() })
		if err := x.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	leases := func(eu, us time.Time) { s.leases = []fleet.Lease{lease("c-eu", eu), lease("c-us", us)} }
	wantSums(t, x.Timeline(t.Context(), fleet.TimelineQuery{}), map[string]int{})
	step(10*time.Second, func() {
		leases(now, now)
		s.apps["uid-web"], s.apps["uid-api"] = row("web", drifted), row("api", health(model.HealthDegraded))
	})
	step(time.Minute, func() { leases(now, start.Add(10*time.Second)) }) // us is not heard any more
	wantSums(t, x.Timeline(t.Context(), fleet.TimelineQuery{}), map[string]int{"drifted": 1, "degraded": 1, "lost": 1})
	step(time.Minute, func() { leases(now, now) })
	got := x.Timeline(t.Context(), fleet.TimelineQuery{})
	wantSums(t, got, map[string]int{"drifted": 1, "degraded": 1, "lost": 1, "connected": 1})
	if n := got.Newest[0]; n.Kind != "connected" || n.Cluster != "us" || !n.At.Equal(now) {
		t.Errorf("%+v", n)
	}
	step(0, func() {
		s.clusters = append(s.clusters, model.Cluster{ID: "c-new", Name: "new"})
		s.leases = append(s.leases, lease("c-new", now))
	})
	wantSums(t, x.Timeline(t.Context(), fleet.TimelineQuery{}), map[string]int{"drifted": 1, "degraded": 1, "lost": 1, "connected": 2})

	// The list is narrowed, the numbers are not.
	got = x.Timeline(t.Context(), fleet.TimelineQuery{Kinds: []string{"lost", "drifted"}, Minute: start.Truncate(time.Minute)})
	wantSums(t, got, map[string]int{"drifted": 1, "degraded": 1, "lost": 1, "connected": 2})
	if len(got.Newest) != 2 || got.Newest[0].Kind == "degraded" || got.Newest[1].Kind == "degraded" {
		t.Errorf("%+v", got.Newest)
	}
	// An hour later nothing of it is told.
	step(time.Hour, func() {
		s.leases = []fleet.Lease{lease("c-eu", now), lease("c-us", now), lease("c-new", now)}
	})
	got = x.Timeline(t.Context(), fleet.TimelineQuery{})
	wantSums(t, got, map[string]int{})
	if got.KnownSince != nil || got.More != 0 {
		t.Errorf("known since %v", got.KnownSince)
	}
}

// While the database is away nobody notes that agents are heard.
func TestClustersAreNotLostBecauseTheDatabaseWasAway(t *testing.T) {
	s, now := newStore(), start
	x := newIndex(t, s, clocked(s, &now))
	s.set(func() { s.err = errAway })
	if err := x.Load(t.Context()); err == nil {
		t.Fatal("read without a database")
	}
	s.set(func() { s.err = nil; now = now.Add(5 * time.Minute) })
	if err := x.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantSums(t, x.Timeline(t.Context(), fleet.TimelineQuery{}), map[string]int{})
	s.set(func() {
		now = now.Add(s.LeaseTime())
		s.leases = []fleet.Lease{lease("c-eu", now), lease("c-us", start)}
	})
	if err := x.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := x.Timeline(t.Context(), fleet.TimelineQuery{})
	wantSums(t, got, map[string]int{"lost": 1})
	if n := got.Newest[0]; n.Cluster != "us" || !n.At.Equal(start) {
		t.Errorf("%+v", n)
	}
}

func TestTheTimelineIsOfWhatIsSeen(t *testing.T) {
	s := newStore()
	s.put(row("web", ended("op-1", model.PhaseSucceeded, time.Minute)), row("ledger", func(r *fleet.AppRow) { r.Project = "bank" }, ended("op-2", model.PhaseSucceeded, time.Minute)))
	s.clusters = []model.Cluster{{ID: "c-eu", Name: "eu"}, {ID: "c-us", Name: "us"}}
	s.leases = []fleet.Lease{lease("c-eu", start.Add(-10*time.Minute)), lease("c-us", start.Add(-10*time.Minute))}
	s.projects = []model.AppProject{{Metadata: model.ObjectMeta{Name: "bank"}}, {Metadata: model.ObjectMeta{Name: "shop"}}}
	x := newIndex(t, s)
	everything := map[string]int{"synced": 2, "lost": 2}
	wantSums(t, x.Timeline(t.Context(), fleet.TimelineQuery{}), everything)
	sight := fleet.Sight{Sees: func(p string) bool { return p == "bank" }, SeesCluster: func(c *model.Cluster) bool { return c.Name == "us" }}
	got := x.Timeline(t.Context(), fleet.TimelineQuery{Sight: sight})
	wantSums(t, got, map[string]int{"synced": 1, "lost": 1})
	for _, h := range got.Newest {
		if h.Application == "web" || h.Kind == "lost" && h.Cluster != "us" {
			t.Errorf("%+v", h)
		}
	}
	sight.SeesApp = func(_, name string) bool { return name != "ledger" }
	wantSums(t, x.Timeline(t.Context(), fleet.TimelineQuery{Sight: sight}), map[string]int{"lost": 1})
	wantSums(t, x.Timeline(t.Context(), fleet.TimelineQuery{Project: "shop"}), map[string]int{"synced": 1, "lost": 1})
}

// A storm costs what is kept, and the answer says that it is not all.
func TestTheTimelineIsBounded(t *testing.T) {
	tl := timeline{}
	tl.read(start.Add(-2*time.Hour), false, time.Minute)
	op := func(i int) *model.OperationInfo {
		at := start.Add(-30*time.Minute + time.Duration(i)*time.Millisecond)
		return &model.OperationInfo{ID: model.OperationID(fmt.Sprint(i)), AppName: "web", Phase: model.PhaseFailed, FinishedAt: &at}
	}
	for i := range 3 * mostHappened {
		tl.operation(start, op(i), "eu")
	}
	if len(tl.items) > 2*mostHappened || len(tl.ended) > 2*mostHappened || !tl.since.After(start.Add(-30*time.Minute)) {
		t.Errorf("%d kept, %d ended, since %v", len(tl.items), len(tl.ended), tl.since)
	}
	kept := len(tl.items)
	if tl.operation(start, op(0), "eu"); len(tl.items) != kept {
		t.Error("what was dropped is told again")
	}
	x := newIndex(t, newStore())
	x.timeline = tl
	got := x.Timeline(t.Context(), fleet.TimelineQuery{})
	if len(got.Newest) != mostListed || got.More != kept-mostListed || got.KnownSince == nil {
		t.Errorf("%d listed, %d more, known since %v", len(got.Newest), got.More, got.KnownSince)
	}
}
