package inventory

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/model"
)

func ago(d time.Duration) *time.Time {
	at := start.Add(-d)
	return &at
}

func on(cluster string, change ...func(*fleet.AppRow)) func(*fleet.AppRow) {
	return func(r *fleet.AppRow) {
		r.Cluster, r.ClusterID = cluster, model.ClusterID("c-"+cluster)
		for _, f := range change {
			f(r)
		}
	}
}

func health(h model.Health) func(*fleet.AppRow) {
	return func(r *fleet.AppRow) { r.Health.Status, r.Health.Since = h, ago(time.Minute) }
}

func operation(phase model.OperationPhase, created time.Duration) func(*fleet.AppRow) {
	return func(r *fleet.AppRow) {
		r.Operation = &model.OperationInfo{Phase: phase, CreatedAt: ago(created), FinishedAt: ago(created), Message: "because"}
	}
}

func drifted(r *fleet.AppRow) {
	r.Sync = model.SyncFacet{Status: model.SyncOutOfSync, Reason: "drifted"}
}

// at is a map's values of one cluster.
func at(t *testing.T, m fleet.FleetMap, name string) map[string]any {
	t.Helper()
	i := slices.Index(m.Names, name)
	if i < 0 {
		t.Fatalf("%s is not among %v", name, m.Names)
	}
	counts := map[string]int{}
	for word, c := range m.Counts {
		if c[i] != 0 {
			counts[word] = c[i]
		}
	}
	return map[string]any{
		"state": m.State.Values[m.State.Of[i]], "worst": m.Worst.Values[m.Worst.Of[i]], "applications": m.Applications[i],
		"counts": counts, "dimmed": slices.Contains(m.Dimmed, i), "seen": m.LastSeen[i],
	}
}

func theMap(t testing.TB, x *Index, q fleet.MapQuery) fleet.FleetMap {
	t.Helper()
	m, err := x.Map(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// mapped is a fleet with a cluster in each state.
func mapped(t *testing.T) *Index {
	s := newStore()
	s.clusters = []model.Cluster{
		{ID: "c-bare", Name: "bare", Labels: map[string]string{"env": "lab"}},
		{ID: "c-eu", Name: "eu", Labels: map[string]string{"env": "prod"}, KubeVersion: "v1.37.2"},
		{ID: "c-held", Name: "held", Held: "duplicate_identity"},
		{ID: "c-lost", Name: "lost", Labels: map[string]string{"env": "prod"}},
		{ID: "c-new", Name: "new", Project: "bank"},
		{ID: "c-old", Name: "old", CertNotAfter: ago(-24 * time.Hour)},
		{ID: "c-shut", Name: "shut", Revoked: true},
	}
	s.projects = []model.AppProject{{Metadata: model.ObjectMeta{Name: "bank"}}, {Metadata: model.ObjectMeta{Name: "shop"}}}
	s.leases = []fleet.Lease{lease("c-bare", start), lease("c-eu", start), lease("c-held", start), lease("c-old", start), lease("c-lost", start.Add(-time.Hour)), lease("c-shut", start)}
	s.put(
		row("a", on("eu")), row("b", on("eu", health("Degraded"))), row("c", on("eu", drifted)), row("d", on("eu", operation(model.PhaseFailed, time.Hour))),
		row("e", on("eu", func(r *fleet.AppRow) { r.ReportedAt = nil })),
		row("f", on("lost", health("Degraded"))), row("g", on("lost")),
		row("h", on("old", operation(model.PhaseRunning, time.Hour))), row("i", on("old", func(r *fleet.AppRow) { r.Project = "bank" })),
	)
	return newIndex(t, s)
}

func TestAMapTellsOfEachCluster(t *testing.T) {
	m := theMap(t, mapped(t), fleet.MapQuery{Filter: "env:prod"})
	if want := []string{"bare", "eu", "held", "lost", "new", "old", "shut"}; !slices.Equal(m.Names, want) {
		t.Fatal(m.Names)
	}
	hour := start.Add(-time.Hour).Unix()
	for name, want := range map[string]map[string]any{
		"bare": {"state": "connected", "worst": "none", "applications": 0, "counts": map[string]int{}, "dimmed": true, "seen": int64(0)},
		"eu":   {"state": "connected", "worst": "degraded", "applications": 5, "counts": map[string]int{"healthy": 1, "degraded": 1, "drifted": 1, "failed": 1, "stale": 1}, "dimmed": false, "seen": int64(0)},
		"held": {"state": "held", "worst": "none", "applications": 0, "counts": map[string]int{}, "dimmed": true, "seen": int64(0)},
		// What was known is what is shown, and counted as not reported alone.
		"lost": {"state": "offline", "worst": "degraded", "applications": 2, "counts": map[string]int{"stale": 2}, "dimmed": false, "seen": hour},
		"new":  {"state": "never", "worst": "none", "applications": 0, "counts": map[string]int{}, "dimmed": true, "seen": int64(0)},
		"old":  {"state": "connected", "worst": "progressing", "applications": 2, "counts": map[string]int{"progressing": 1, "healthy": 1}, "dimmed": true, "seen": int64(0)},
		"shut": {"state": "revoked", "worst": "none", "applications": 0, "counts": map[string]int{}, "dimmed": true, "seen": int64(0)},
	} {
		got := at(t, m, name)
		if name == "shut" {
			got["seen"] = int64(0) // when it was seen last does not matter
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\n%v, want\n%v", name, got, want)
		}
	}
	if m.ClusterCounts.Total != 7 || m.ClusterCounts.Reporting != 4 || m.ApplicationCounts.Total != 9 || m.ApplicationCounts.Stale != 2 || m.ApplicationCounts.Never != 1 {
		t.Errorf("%+v, %+v", m.ClusterCounts, m.ApplicationCounts)
	}
	if c := m.Labels["env"]; fmt.Sprint(c.Values, c.Of) != "[lab prod ] [0 1 2 1 2 2 2]" {
		t.Errorf("labels: %+v", c)
	}
}

func TestWhatNeedsAttentionIsRanked(t *testing.T) {
	x := mapped(t)
	lines := func(m fleet.FleetMap) (out []string) {
		for _, a := range m.Attention {
			out = append(out, strings.TrimSpace(fmt.Sprint(a.Kind, " ", a.Cluster, " ", a.Application)))
		}
		return out
	}
	// lost is of production, and comes before new, which was never there.
	want := []string{"held held", "offline lost", "offline new", "degraded eu b", "failed eu d", "stuck old h", "drifted eu c", "certificate old"}
	if got := lines(theMap(t, x, fleet.MapQuery{})); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	// Of one project: its applications, and clusters that have some or are for it.
	m := theMap(t, x, fleet.MapQuery{Project: "bank"})
	if got := lines(m); !slices.Equal(got, []string{"offline new", "certificate old"}) || !slices.Equal(m.Names, []string{"new", "old"}) || m.Applications[1] != 1 {
		t.Errorf("%q of %v", got, m.Names)
	}
	if m := theMap(t, x, fleet.MapQuery{Project: "nix"}); len(m.Names) != 0 || len(m.Attention) != 0 {
		t.Errorf("%+v", m)
	}
}

func TestManyOfOneKindLeaveRoomForOthers(t *testing.T) {
	s := newStore()
	for i := range 3000 {
		h := model.Health("Degraded")
		if i%2 == 0 {
			h = "Missing"
		}
		s.put(row(fmt.Sprint("app", i), health(h), func(r *fleet.AppRow) { r.Health.Message = strings.Repeat("ü", 5000) }))
	}
	m := theMap(t, newIndex(t, s), fleet.MapQuery{})
	if len(m.Attention) != 10 || m.Attention[4].More != 1496 || m.Attention[5].Kind != "missing" {
		t.Errorf("%d lines: %+v", len(m.Attention), m.Attention)
	}
	if l := len(m.Attention[0].Message); l > maxMessage+3 {
		t.Errorf("a message of %d bytes", l)
	}
}

func TestAMapIsOfWhatIsSeen(t *testing.T) {
	x := mapped(t)
	sight := fleet.Sight{Sees: func(p string) bool { return p == "bank" }, SeesCluster: func(c *model.Cluster) bool { return c.Name == "old" || c.Name == "eu" }}
	m := theMap(t, x, fleet.MapQuery{Sight: sight})
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(m.Names, []string{"eu", "old"}) || m.Applications[0] != 0 || m.Applications[1] != 1 || m.ApplicationCounts.Total != 1 {
		t.Errorf("%+v", m)
	}
	for _, hidden := range []string{"lost", "because", `"lab"`} {
		if bytes.Contains(b, []byte(hidden)) {
			t.Errorf("%q is told: %s", hidden, b)
		}
	}
	if m := theMap(t, x, fleet.MapQuery{Project: "shop", Sight: sight}); len(m.Names) != 0 {
		t.Errorf("another project: %v", m.Names)
	}
	if _, err := x.Map(t.Context(), fleet.MapQuery{Filter: "state:nowhere"}); err == nil {
		t.Error("a wrong filter was taken")
	}
}

func TestLabelsOfOneClusterEachAreNotListed(t *testing.T) {
	var views []*model.Cluster
	for i := range 500 {
		labels := map[string]string{"uid": fmt.Sprint(i), "env": fmt.Sprint(i % 3)}
		for j := range i % 60 {
			labels[fmt.Sprint("l", j)] = "x"
		}
		views = append(views, &model.Cluster{Labels: labels})
	}
	listed, unlisted := labelColumns(views)
	if len(listed) != maxLabels || listed["uid"].Of != nil || listed["env"].Of == nil || !slices.Contains(unlisted, "uid") {
		t.Errorf("%v, not %v", slices.Sorted(maps.Keys(listed)), unlisted)
	}
}

// largeFleet has 5,000 clusters with names and labels as people give them, and 10,000
// applications of which some are in trouble.
func largeFleet(t testing.TB) *Index {
	s := newStore()
	regions, envs := []string{"eu-west-1", "us-east-2", "ap-south-1", "sa-east-1"}, []string{"prod", "staging", "edge"}
	for i := range 5000 {
		env := envs[i*7%11%3]
		name := fmt.Sprintf("%s-%s-%04d", regions[i%4], env, i)
		id := model.ClusterID("c-" + name)
		s.clusters = append(s.clusters, model.Cluster{
			ID: id, Name: name, KubeVersion: fmt.Sprintf("v1.%d.%d", 34+i*13%4, i*31%3), AgentVersion: fmt.Sprintf("v0.4.%d", i*17%3),
			Labels: map[string]string{"region": regions[i%4], "env": env, "site": fmt.Sprint("site-", i*37%150), "uid": fmt.Sprintf("%x", i*7919)},
		})
		at := start
		if i*31%97 == 0 {
			at = start.Add(-time.Hour - time.Duration(i)*time.Second)
		}
		s.leases = append(s.leases, lease(id, at))
		for j := range 2 {
			r := row(fmt.Sprintf("app-%04d-%d", i, j), func(r *fleet.AppRow) { r.Cluster, r.ClusterID = name, id })
			if i*101%53 == j {
				health("Degraded")(&r)
			}
			if i*103%71 == j {
				drifted(&r)
			}
			s.put(r)
		}
	}
	s.projects = []model.AppProject{{Metadata: model.ObjectMeta{Name: "shop"}}}
	x := New(Options{Store: s, Now: func() time.Time { return start }})
	if err := x.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	return x
}

// The whole map of 5,000 clusters is one answer of at most 100 kB.
func TestAMapOf5000ClustersIsSmall(t *testing.T) {
	began := time.Now()
	x := largeFleet(t)
	loaded := time.Now()
	m := theMap(t, x, fleet.MapQuery{})
	took := time.Since(loaded)
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	var z bytes.Buffer
	w, _ := gzip.NewWriterLevel(&z, gzip.BestSpeed) // as hub/api has it
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d bytes, %d compressed, made in %s (and read in %s)", len(b), z.Len(), took, loaded.Sub(began))
	if len(m.Names) != 5000 || z.Len() > 100_000 {
		t.Errorf("%d clusters in %d bytes", len(m.Names), z.Len())
	}
}

func BenchmarkMap(b *testing.B) {
	x := largeFleet(b)
	b.ReportAllocs()
	for b.Loop() {
		if m, err := x.Map(b.Context(), fleet.MapQuery{Filter: "env:prod"}); err != nil || len(m.Names) != 5000 {
			b.Fatal(err)
		}
	}
}
