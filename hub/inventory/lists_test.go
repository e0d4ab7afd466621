package inventory

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/filter"
	"github.com/hawser-dev/hawser/shared/model"
)

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

// randomRow is different from others in everything that lists are sorted,
// filtered and counted by.
func randomRow(r *rand.Rand, name string) fleet.AppRow {
	return row(name, func(a *fleet.AppRow) {
		a.Project = pick(r, "shop", "bank", "infra")
		a.Cluster = pick(r, "eu", "us")
		a.ClusterID = model.ClusterID("c-" + a.Cluster)
		a.Namespace = pick(r, "", "a", "b")
		a.Health.Status = pick(r, model.HealthOrder...)
		a.Sync.Status = pick(r, model.SyncSynced, model.SyncOutOfSync, model.SyncUnknown)
		if a.Sync.Status == model.SyncOutOfSync {
			a.Sync.Reason = pick(r, model.ReasonPending, model.ReasonDrifted)
		}
		a.RepoURL, a.Path = pick(r, "https://git/a", "https://git/b"), pick(r, "x", "y z", "ü")
		a.UpdatedAt = start.Add(-time.Duration(r.IntN(5)) * time.Hour)
		a.CreatedAt = start.Add(-time.Duration(100+r.IntN(5)) * time.Hour)
		if r.IntN(4) > 0 {
			a.Labels = map[string]string{"env": pick(r, "prod", "test", "")}
		}
		if r.IntN(5) == 0 {
			a.ReportedAt = nil
		}
		if r.IntN(3) == 0 {
			a.Operation = &model.OperationInfo{Kind: "sync", Phase: pick(r, model.PhaseQueued, model.PhaseRunning, model.PhaseFailed)}
		}
	})
}

func randomRows(r *rand.Rand, n int) []fleet.AppRow {
	out := make([]fleet.AppRow, n)
	for i := range out {
		out[i] = randomRow(r, fmt.Sprintf("app-%04d", i))
	}
	return out
}

// pages reads a list page by page; between is called after each.
func pages(t *testing.T, x *Index, q fleet.ListQuery, between func()) []string {
	t.Helper()
	var all []string
	for n := 0; ; n++ {
		page, err := x.Applications(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		if len(page.Items) > q.Limit || n > 10000 {
			t.Fatalf("a page of %d, number %d", len(page.Items), n)
		}
		all = append(all, namesIn(t, page)...)
		if page.Next == nil {
			return all
		}
		q.After = page.Next
		if between != nil {
			between()
		}
	}
}

var orders = [][]string{nil, {"-name"}, {"project"}, {"-project", "health"}, {"health", "-changed"}, {"-created"}, {"path", "namespace"}, {"operation"}, {"freshness", "cluster", "-name"}, {"observed"}, {"repo", "sync"}}

func TestPagesAreTheListCutInPieces(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	s := newStore()
	s.put(randomRows(r, 137)...)
	x := newIndex(t, s)
	for _, sort := range orders {
		for _, filter := range []string{"", "project:shop,bank -health:degraded", "name:none"} {
			q := fleet.ListQuery{Sort: sort, Filter: filter}
			whole := names(t, x, q)
			for _, q.Limit = range []int{1, 7, 136, 137, 500} {
				if got := pages(t, x, q, nil); !slices.Equal(got, whole) && len(got)+len(whole) > 0 {
					t.Fatalf("sort %v, filter %q, pages of %d:\n%v\nwant\n%v", sort, filter, q.Limit, got, whole)
				}
			}
		}
	}
}

// Rows that come and go between pages take nothing with them: what was there all
// the time, and did not change, is listed exactly once.
func TestInsertsAndDeletesBetweenPages(t *testing.T) {
	for _, sort := range orders {
		t.Run(fmt.Sprint(sort), func(t *testing.T) {
			r := rand.New(rand.NewPCG(3, 4))
			s := newStore()
			rows := randomRows(r, 120)
			s.put(rows...)
			x := newIndex(t, s)
			stayed := map[string]bool{}
			for _, a := range rows {
				stayed[a.Name] = true
			}
			n := 0
			got := pages(t, x, fleet.ListQuery{Sort: sort, Limit: 9}, func() {
				var uids []model.AppUID
				for range 5 {
					n++
					a := randomRow(r, fmt.Sprintf("app-%04d-%d", r.IntN(120), n))
					s.put(a)
					gone := rows[r.IntN(len(rows))]
					s.remove(gone.UID)
					delete(stayed, gone.Name)
					uids = append(uids, a.UID, gone.UID)
				}
				x.Written(uids)
			})
			times := map[string]int{}
			for _, name := range got {
				if times[name]++; times[name] > 1 {
					t.Errorf("%s is listed twice", name)
				}
			}
			for name := range stayed {
				if times[name] != 1 {
					t.Errorf("%s was there all the time and is listed %d times", name, times[name])
				}
			}
			if len(stayed) < 30 || len(stayed) == 120 {
				t.Fatalf("%d stayed; the test shows nothing", len(stayed))
			}
		})
	}
}

func TestPositionsOfOtherOrdersAreRefused(t *testing.T) {
	s := newStore()
	s.put(numbered(3)...)
	x := newIndex(t, s)
	for _, after := range [][]string{{""}, {"x"}, {" a", " b"}, {"1e"}} {
		if _, err := x.Applications(t.Context(), fleet.ListQuery{Limit: 2, After: after}); err == nil || !strings.Contains(err.Error(), "cursor") {
			t.Errorf("%q: %v", after, err)
		}
	}
}

// naive is a term as somebody would write it by hand.
type naive struct {
	key  string
	test func(fleet.AppRow) bool
}

func TestFacetsEqualANaiveCount(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	s := newStore()
	rows := randomRows(r, 400)
	s.put(rows...)
	s.clusters = []model.Cluster{{ID: "c-eu", Name: "eu", Labels: map[string]string{"zone": "a", "env": "cluster"}}, {ID: "c-us", Name: "us", Labels: map[string]string{"zone": "b"}}}
	s.leases = []fleet.Lease{lease("c-eu", start)} // us never spoke
	s.projects = []model.AppProject{{Metadata: model.ObjectMeta{Name: "shop"}}}
	x := newIndex(t, s)

	stale := func(a fleet.AppRow) bool { return a.ReportedAt == nil || a.Cluster == "us" }
	zone := map[string]string{"eu": "a", "us": "b"}
	value := map[string]func(fleet.AppRow) string{
		"project": func(a fleet.AppRow) string { return a.Project },
		"cluster": func(a fleet.AppRow) string { return a.Cluster },
		"health": func(a fleet.AppRow) string {
			if stale(a) && a.Health.Status == model.HealthHealthy {
				return "unknown"
			}
			return strings.ToLower(string(a.Health.Status))
		},
		"sync": func(a fleet.AppRow) string {
			if stale(a) && a.Sync.Status == model.SyncSynced {
				return "unknown"
			}
			return strings.ToLower(string(a.Sync.Status))
		},
		"freshness": func(a fleet.AppRow) string {
			switch {
			case a.ReportedAt == nil:
				return "never"
			case a.Cluster == "us":
				return "stale"
			}
			return "live"
		},
		"operation": func(a fleet.AppRow) string {
			if a.Operation == nil {
				return "none"
			}
			return map[model.OperationPhase]string{model.PhaseQueued: "queued", model.PhaseRunning: "running", model.PhaseFailed: "failed"}[a.Operation.Phase]
		},
		"label:env": func(a fleet.AppRow) string {
			if v, ok := a.Labels["env"]; ok {
				return v
			}
			return map[string]string{"eu": "cluster"}[a.Cluster]
		},
		"cluster.label:zone": func(a fleet.AppRow) string { return zone[a.Cluster] },
	}
	is := func(facet string, want ...string) naive {
		return naive{facet, func(a fleet.AppRow) bool { return slices.Contains(want, value[facet](a)) }}
	}
	not := func(n naive) naive { return naive{n.key, func(a fleet.AppRow) bool { return !n.test(a) }} }
	for _, c := range []struct {
		filter string
		terms  []naive
	}{
		{"", nil},
		{"project:shop", []naive{is("project", "shop")}},
		{"project:shop,bank health:healthy", []naive{is("project", "shop", "bank"), is("health", "healthy")}},
		{"-health:healthy sync:synced,unknown", []naive{not(is("health", "healthy")), is("sync", "synced", "unknown")}},
		{"health:degraded,missing -health:missing cluster:us", []naive{is("health", "degraded", "missing"), not(is("health", "missing")), is("cluster", "us")}},
		{"env:prod", []naive{is("label:env", "prod")}},
		{"label:env=prod,cluster -project:bank op:none", []naive{is("label:env", "prod", "cluster"), not(is("project", "bank")), is("operation", "none")}},
		{"cluster.label:zone=a freshness:live", []naive{is("cluster.label:zone", "a"), is("freshness", "live")}},
		{"cluster:nowhere", []naive{is("cluster", "nowhere")}},
	} {
		facets := []string{"project", "cluster", "health", "sync", "freshness", "operation", "label:env", "cluster.label:zone"}
		page, err := x.Applications(t.Context(), fleet.ListQuery{Filter: c.filter, Facets: facets, Limit: 1000})
		if err != nil {
			t.Fatal(c.filter, err)
		}
		passes := func(a fleet.AppRow, without string) bool {
			return !slices.ContainsFunc(c.terms, func(n naive) bool { return n.key != without && !n.test(a) })
		}
		var want []string
		for _, a := range rows {
			if passes(a, "") {
				want = append(want, a.Name)
			}
		}
		if got := namesIn(t, page); !slices.Equal(got, want) && len(got)+len(want) > 0 || page.Total != len(want) {
			t.Errorf("%q finds %d of %d rows", c.filter, len(got), len(want))
		}
		for _, f := range facets {
			counts := map[string]int{}
			for _, a := range rows {
				if passes(a, f) {
					counts[value[f](a)]++
				}
			}
			if got := page.Facets[f]; fmt.Sprint(got.Values) != fmt.Sprint(counts) || got.Others != 0 {
				t.Errorf("%q, facet %s:\ngot  %v\nwant %v", c.filter, f, got.Values, counts)
			}
		}
	}
}

func TestFacetsOfManyValuesAreCut(t *testing.T) {
	s := newStore()
	for i, a := range numbered(300) {
		a.Project = fmt.Sprintf("p%03d", i%120)
		s.put(a)
	}
	x := newIndex(t, s)
	page, err := x.Applications(t.Context(), fleet.ListQuery{Facets: []string{"project"}, Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	f := page.Facets["project"]
	sum := f.Others
	for _, n := range f.Values {
		sum += n
	}
	if len(f.Values) != maxValues || sum != 300 || f.Values["p000"] != 3 {
		t.Errorf("%d values, %d in all, %v", len(f.Values), sum, f)
	}
}

func TestCallersSeeAndCountTheirProjectsOnly(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	s := newStore()
	rows := randomRows(r, 200)
	s.put(rows...)
	x := newIndex(t, s)
	want := 0
	for _, a := range rows {
		if a.Project == "bank" {
			want++
		}
	}
	page, err := x.Applications(t.Context(), fleet.ListQuery{Facets: []string{"project", "health", "label:env"}, Limit: 1000, Sight: fleet.Sight{Sees: func(p string) bool { return p == "bank" }}})
	if err != nil || page.Total != want || len(page.Items) != want {
		t.Fatalf("%d of %d: %v", page.Total, want, err)
	}
	for name, f := range page.Facets {
		sum := f.Others
		for _, n := range f.Values {
			sum += n
		}
		if sum != want {
			t.Errorf("facet %s counts %d, seen are %d", name, sum, want)
		}
	}
}

func TestSorts(t *testing.T) {
	s := newStore()
	at := func(h int) *time.Time { t := start.Add(time.Duration(h) * time.Hour); return &t }
	s.put(
		row("a", func(a *fleet.AppRow) {
			a.Project, a.Health.Status, a.UpdatedAt, a.RepoURL = "z", model.HealthDegraded, *at(-3), "b"
		}),
		row("b", func(a *fleet.AppRow) {
			a.Project, a.Health.Status, a.UpdatedAt, a.RepoURL = "y", "Healthy", *at(-1), "c"
		}),
		row("c", func(a *fleet.AppRow) {
			a.Project, a.Health.Status, a.UpdatedAt, a.ReportedAt, a.RepoURL = "y", model.HealthMissing, *at(-2), nil, "a"
		}),
	)
	x := newIndex(t, s)
	for sort, want := range map[string]string{
		"": "[a b c]", "-name": "[c b a]", "project": "[b c a]", "-project": "[a b c]", "project,-name": "[c b a]", "health": "[b c a]", "-health": "[a c b]",
		"changed": "[a c b]", "-changed": "[b c a]", "observed": "[c a b]", "repo": "[c a b]", "freshness": "[a b c]", "-freshness": "[c a b]", "name,project": "[a b c]",
	} {
		var keys []string
		if sort != "" {
			keys = strings.Split(sort, ",")
		}
		if got := fmt.Sprint(names(t, x, fleet.ListQuery{Sort: keys})); got != want {
			t.Errorf("%q: %s, want %s", sort, got, want)
		}
	}
	_, err := x.Applications(t.Context(), fleet.ListQuery{Sort: []string{"-helth"}, Limit: 1})
	if err == nil || !strings.Contains(err.Error(), `did you mean "health"`) {
		t.Errorf("%v", err)
	}
}

// A key of a schema that no list implements would find nothing, negated or not.
func TestKeysOfSchemasAreImplemented(t *testing.T) {
	s := newStore()
	s.put(row("a"))
	s.repos = []model.Repository{{ID: "r", URL: "u"}}
	s.ops = []model.OperationInfo{{ID: "op-1", Phase: model.PhaseRunning}, {ID: "op-2", Phase: model.PhaseFailed}}
	x := newIndex(t, s)
	terms := 0
	for _, c := range []struct {
		schema interface{ Sample() []string }
		ask    func(context.Context, fleet.ListQuery) (fleet.ListPage, error)
		total  int
	}{
		{Applications, x.Applications, 1}, {Clusters, x.Clusters, 2}, {ProjectsSchema, x.AllProjects, 2}, {Repositories, x.Repositories, 1},
		{filter.Operations, func(ctx context.Context, q fleet.ListQuery) (fleet.ListPage, error) {
			return x.Operations(ctx, fleet.OperationFilter{}, q)
		}, 2},
	} {
		for _, term := range c.schema.Sample() {
			yes, err1 := c.ask(t.Context(), fleet.ListQuery{Filter: term, Limit: 10})
			no, err2 := c.ask(t.Context(), fleet.ListQuery{Filter: "-" + term, Limit: 10})
			if err1 != nil || err2 != nil || yes.Total+no.Total != c.total {
				t.Errorf("%s: %d and %d: %v, %v", term, yes.Total, no.Total, err1, err2)
			}
			terms++
		}
	}
	if terms < 60 {
		t.Errorf("only %d terms", terms)
	}
}

// realistic is a row as fleets have them: speaking names, a commit, an operation.
// Every tenth is in trouble.
func realistic(i int) fleet.AppRow {
	return row(fmt.Sprintf("payments-gateway-%04d", i), func(a *fleet.AppRow) {
		a.Project, a.Cluster, a.Namespace = "payments", "prod-eu-central-1", "payments-gateway"
		a.Revision, a.RepoURL, a.Path = strings.Repeat("4f1c9a07b2", 4), "https://github.com/example/payments-gateway.git", "deploy/overlays/production"
		a.Operation = &model.OperationInfo{Kind: "sync", Phase: model.PhaseSucceeded, Message: strings.Repeat("applied ", 50)}
		a.Labels = map[string]string{"env": "production", "team": "payments"}
		if i%10 == 0 {
			a.Sync.Status, a.Sync.Reason, a.Health.Status, a.Operation.Phase = model.SyncOutOfSync, model.ReasonDrifted, model.HealthProgressing, model.PhaseRunning
		}
	})
}

func TestSizes(t *testing.T) {
	s := newStore()
	for i := range 2000 {
		s.put(realistic(i))
	}
	x := newIndex(t, s)
	page, err := x.Applications(t.Context(), fleet.ListQuery{Facets: AppFacets, Limit: 200, Filter: "env:production -health:missing"})
	if err != nil || len(page.Items) != 200 || page.Total != 2000 {
		t.Fatalf("%d of %d: %v", len(page.Items), page.Total, err)
	}
	for _, item := range page.Items {
		if most := 300 + 30*strings.Count(string(item), "drifted"); len(item) > most {
			t.Fatalf("a row of %d bytes: %s", len(item), item)
		}
	}
	b, err := json.Marshal(map[string]any{"items": page.Items, "facets": page.Facets, "total": page.Total, "asOf": page.AsOf, "nextCursor": strings.Repeat("x", 200)})
	if err != nil || len(b) > 60<<10 {
		t.Errorf("a page of 200 has %d bytes: %v", len(b), err)
	}
}

func TestOperations(t *testing.T) {
	at := func(h int) *time.Time { t := start.Add(time.Duration(h) * time.Hour); return &t }
	s := newStore()
	x := newIndex(t, s)
	list := func(ctx context.Context, q fleet.ListQuery) (fleet.ListPage, error) {
		return x.Operations(ctx, fleet.OperationFilter{}, q)
	}
	s.ops = []model.OperationInfo{
		{ID: "a", Seq: 1, AppName: "web", Project: "shop", Cluster: "c-eu", Kind: "sync", Phase: model.PhaseSucceeded, InitiatedBy: "ana", CreatedAt: at(-5), FinishedAt: at(-4)},
		{ID: "b", Seq: 3, AppName: "api", Project: "shop", Cluster: "c-us", Kind: "sync", Phase: model.PhaseFailed, Message: "quota exceeded", CreatedAt: at(-3), FinishedAt: at(-1)},
		{ID: "c", Seq: 2, AppName: "web", Project: "bank", Cluster: "c-gone", Kind: "rollback", Phase: model.PhaseSent, CreatedAt: at(-4)},
		{ID: "d", Seq: 4, AppName: "web", Project: "shop", Cluster: "c-eu", Kind: "sync", Phase: model.PhaseExpired, CreatedAt: at(-2), FinishedAt: at(-1)},
	}
	ids := func(q fleet.ListQuery) (out string, page fleet.ListPage) {
		t.Helper()
		q.Limit = cmp.Or(q.Limit, 10)
		page, err := list(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for _, item := range page.Items {
			var o model.OperationInfo
			if err := json.Unmarshal(item, &o); err != nil {
				t.Fatal(err)
			}
			out += string(o.ID)
		}
		return out, page
	}
	for filter, want := range map[string]string{
		"": "dbca", "app:web": "dca", "web": "dca", "cluster:eu": "da", "cluster:c-gone": "c", "phase:failed,expired": "db", "phase:queued": "c", "is:open": "c",
		"not:ended": "c", "is:failing": "db", "kind:roll*": "c", "by:ana": "a", "-by:ana": "dbc", "message:~quota": "b", "created:<3h30m": "db", "finished:>2h": "a",
	} {
		if got, _ := ids(fleet.ListQuery{Filter: filter}); got != want {
			t.Errorf("%q: %s, want %s", filter, got, want)
		}
	}
	for sort, want := range map[string]string{"number": "acbd", "app": "bacd", "-finished": "bdac", "project": "cabd", "phase": "dbca"} {
		if got, _ := ids(fleet.ListQuery{Sort: []string{sort}}); got != want {
			t.Errorf("sort %s: %s, want %s", sort, got, want)
		}
	}
	first, page := ids(fleet.ListQuery{Limit: 3, Facets: []string{"phase", "cluster"}})
	rest, last := ids(fleet.ListQuery{Limit: 3, After: page.Next})
	if first+rest != "dbca" || last.Next != nil || page.Facets["phase"].Values["queued"] != 1 || page.Facets["cluster"].Values["eu"] != 2 {
		t.Errorf("%s %s %v", first, rest, page.Facets)
	}
	// Pages that the database cuts out are those that are chosen from all.
	for limit := 1; limit <= 5; limit++ {
		q := fleet.ListQuery{Limit: limit, Facets: []string{"phase", "kind"}}
		chosen := q
		chosen.Filter = "-app:nobody"
		for more := true; more; {
			got, page := ids(q)
			want, same := ids(chosen)
			if got != want || page.Total != same.Total || fmt.Sprint(page.Facets, page.Next) != fmt.Sprint(same.Facets, same.Next) {
				t.Fatalf("pages of %d: %s %+v, want %s %+v", limit, got, page, want, same)
			}
			q.After, chosen.After = page.Next, same.Next
			more = page.Next != nil
		}
	}
	if _, err := list(t.Context(), fleet.ListQuery{Limit: 1, Filter: "aplication:x"}); err == nil {
		t.Error("an unknown key is taken for a label, and operations have none")
	}
}

func TestOperationsAreCountedOnceInAMoment(t *testing.T) {
	s, now := newStore(), start
	x := New(Options{Store: s, Now: func() time.Time { return now }})
	for i := range 6 {
		s.ops = append(s.ops, model.OperationInfo{ID: model.OperationID(fmt.Sprint(i)), Seq: int64(i + 1), AppName: "web", Project: "shop", Kind: "sync", Phase: model.PhaseSucceeded})
	}
	total := func(f fleet.OperationFilter, q fleet.ListQuery) int {
		t.Helper()
		q.Limit, q.Facets = 2, []string{"phase"}
		page, err := x.Operations(t.Context(), f, q)
		if err != nil || page.Facets["phase"].Values["succeeded"] != page.Total {
			t.Fatalf("%+v %v", page, err)
		}
		return page.Total
	}
	all := fleet.OperationFilter{}
	step := func(what string, f fleet.OperationFilter, q fleet.ListQuery, want, asked int) {
		t.Helper()
		if got := total(f, q); got != want || s.counts != asked {
			t.Errorf("%s: %d, asked %d times, want %d, %d", what, got, s.counts, want, asked)
		}
	}
	step("the first", all, fleet.ListQuery{}, 6, 1)
	s.ops = append(s.ops, model.OperationInfo{ID: "new", Seq: 7, AppName: "web", Kind: "sync", Phase: model.PhaseSucceeded})
	step("in the same moment", all, fleet.ListQuery{}, 6, 1)
	step("its second page", all, fleet.ListQuery{After: []string{sortValue{n: 5}.String()}}, 6, 1)
	step("of others' projects", fleet.OperationFilter{Projects: []string{"shop"}}, fleet.ListQuery{}, 7, 2)
	step("of no project, which is not all", fleet.OperationFilter{Projects: []string{}}, fleet.ListQuery{}, 7, 3)
	x.Written([]model.AppUID{"u"})
	step("after a write", all, fleet.ListQuery{}, 7, 4)
	now = now.Add(sameMoment)
	step("in the next moment", all, fleet.ListQuery{}, 7, 5)
	for i := range 3 * mostCounted {
		total(fleet.OperationFilter{App: model.AppUID(fmt.Sprint(i))}, fleet.ListQuery{})
	}
	if len(x.counted) > mostCounted {
		t.Errorf("%d questions are remembered", len(x.counted))
	}
}

func BenchmarkList(b *testing.B) {
	s := newStore()
	for i := range 10_000 {
		row := fleet.AppRow{Labels: map[string]string{"team": fmt.Sprintf("team-%03d", i%100)}}
		row.UID, row.Name, row.Project = model.AppUID(fmt.Sprintf("u%05d", i)), fmt.Sprintf("web-%05d", i), fmt.Sprintf("team-%03d", i%100)
		row.Cluster = fmt.Sprintf("eu-west-1-prod-%04d", i%5000)
		row.ClusterID = model.ClusterID("c-" + row.Cluster)
		row.Sync.Status, row.Health.Status = model.SyncSynced, model.HealthHealthy
		if i%7 == 0 {
			row.Sync.Status, row.Health.Status = model.SyncOutOfSync, model.HealthDegraded
		}
		s.put(row)
	}
	x := New(Options{Store: s})
	if err := x.Load(b.Context()); err != nil {
		b.Fatal(err)
	}
	for name, filter := range map[string]string{"all": "", "most": "health:healthy,degraded,progressing", "few": "health:degraded sync:outofsync project:team-01*"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				page, err := x.Applications(b.Context(), fleet.ListQuery{Filter: filter, Limit: 50, Facets: AppFacets})
				if err != nil || len(page.Items) != 50 {
					b.Fatal(len(page.Items), err)
				}
			}
		})
	}
}

func TestGroupsCountWhatIsFound(t *testing.T) {
	s := newStore()
	for i, a := range numbered(300) {
		a.Project = fmt.Sprintf("p%03d", i%120)
		a.Namespace = fmt.Sprintf("n%d", i%3)
		a.Labels = map[string]string{"env": []string{"prod", "test"}[i%2]}
		s.put(a)
	}
	x := newIndex(t, s)
	group := func(key, filter string) *fleet.Facet {
		t.Helper()
		page, err := x.Applications(t.Context(), fleet.ListQuery{Filter: filter, Group: key, Limit: 1})
		if err != nil {
			t.Fatal(err)
		}
		return page.Groups
	}
	if g := group("project", ""); len(g.Values) != 120 || g.Others != 0 || g.Values["p000"] != 3 {
		t.Errorf("all projects: %d values, %v", len(g.Values), g)
	}
	// Unlike a facet's, the terms of the same key hold.
	if g := group("project", "project:p00?"); len(g.Values) != 10 || g.Values["p009"] != 3 {
		t.Errorf("of a pattern: %v", g)
	}
	if g := group("namespace", "-namespace:n0"); fmt.Sprint(g.Values) != "map[n1:100 n2:100]" {
		t.Errorf("namespaces: %v", g)
	}
	if g := group("label:env", "namespace:n1"); g.Values["prod"]+g.Values["test"] != 100 {
		t.Errorf("labels: %v", g)
	}
	if g := group("", ""); g != nil {
		t.Errorf("nobody asked, and there are groups: %v", g)
	}
	if _, err := x.Applications(t.Context(), fleet.ListQuery{Group: "projekt", Limit: 1}); !fault.Is(err, fault.Invalid) {
		t.Errorf("a key that there is not: %v", err)
	}
}
