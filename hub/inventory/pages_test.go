package inventory

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/filter"
	"github.com/hawser-dev/hawser/shared/model"
)

// keptPages never forget. Without lists the parts of names that are left out.
type keptPages struct {
	mu                    sync.Mutex
	values                map[string][]byte
	without               []int
	asked, hits, put, far int
}

func (k *keptPages) name(name string) string {
	var out strings.Builder
	for i, rest := 0, []byte(name); len(rest) > 0; i++ {
		n, size := binary.Uvarint(rest)
		part := rest[size : size+int(n)]
		rest = rest[size+int(n):]
		if !slices.Contains(k.without, i) {
			fmt.Fprintf(&out, "%d=%q ", i, part)
		}
	}
	return out.String()
}

func (k *keptPages) Get(_ context.Context, name string, shared bool) ([]byte, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.asked++
	if shared {
		k.far++
	}
	v, ok := k.values[k.name(name)]
	if ok {
		k.hits++
	}
	return v, ok
}

func (k *keptPages) Put(_ context.Context, name string, value []byte, _ bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.put++
	if k.values == nil {
		k.values = map[string][]byte{}
	}
	k.values[k.name(name)] = value
}

// sharing are two hubs on one database that share what they keep.
type sharing struct {
	s     *store
	now   time.Time
	kept  *keptPages
	hubs  [2]*Index
	r     *rand.Rand
	rows  int
	sight []fleet.Sight
}

func newSharing(t *testing.T, seed uint64, without ...int) *sharing {
	t.Helper()
	w := &sharing{s: newStore(), now: start, kept: &keptPages{without: without}, r: rand.New(rand.NewPCG(seed, 3)), rows: 25}
	w.s.clusters = []model.Cluster{{ID: "c-eu", Name: "eu", Labels: map[string]string{"env": "prod"}}, {ID: "c-us", Name: "us"}}
	w.s.leases = []fleet.Lease{lease("c-eu", start), lease("c-us", start)}
	w.s.projects = []model.AppProject{{Metadata: model.ObjectMeta{Name: "bank"}}, {Metadata: model.ObjectMeta{Name: "shop"}}, {Metadata: model.ObjectMeta{Name: "infra"}}}
	w.s.put(randomRows(w.r, w.rows)...)
	for i := range w.hubs {
		w.hubs[i] = New(Options{Store: w.s, Now: func() time.Time { return w.now }, Pages: w.kept, PageKey: [32]byte{1}})
		if err := w.hubs[i].Load(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	in := func(projects ...string) func(string) bool {
		return func(p string) bool { return slices.Contains(projects, p) }
	}
	w.sight = []fleet.Sight{
		{}, {Sees: in("shop"), Key: "shop"}, {Sees: in("bank"), Key: "bank"}, {Sees: in("shop", "infra"), Key: "both"}, {Sees: in(), Key: "none"},
		{Sees: in("shop", "bank"), Key: "some", SeesApp: func(project, name string) bool { return project == "shop" || strings.HasSuffix(name, "1") }},
		{Sees: in("bank", "infra")}, // is worked out each time
	}
	return w
}

// change does something that lists may show to the database.
func (w *sharing) change() {
	r := w.r
	name := fmt.Sprintf("app-%04d", r.IntN(w.rows))
	switch r.IntN(12) {
	case 0:
		w.s.remove(model.AppUID("uid-" + name))
	case 1, 2: // a cluster is heard of; until it is again it falls silent
		w.s.set(func() {
			l, at := &w.s.leases[r.IntN(2)], w.now
			l.LastSeen, l.ConfirmedAt = &at, &at
		})
	case 3:
		w.s.set(func() {
			c := &w.s.clusters[r.IntN(2)]
			c.Labels = pick(r, nil, map[string]string{"env": "prod"}, map[string]string{"env": "test", "zone": "a"})
		})
	case 4:
		w.s.set(func() { c := &w.s.clusters[r.IntN(2)]; c.Revoked = !c.Revoked })
	case 5: // a new session, in which what was said is said again
		w.s.set(func() {
			l, at := &w.s.leases[r.IntN(2)], w.now
			l.Number, l.LastSeen, l.ConfirmedAt = l.Number+1, &at, &at
			for uid, row := range w.s.apps {
				if row.ClusterID == l.Cluster && row.ReportedAt != nil {
					row.ReportedAt, row.Report.Number = &at, l.Number
					w.s.apps[uid] = row
				}
			}
		})
	case 6: // nothing
	default:
		row := randomRow(r, name)
		w.s.set(func() { row.Report.Number = w.s.leases[slices.Index([]string{"eu", "us"}, row.Cluster)].Number })
		if r.IntN(2) == 0 {
			row.Conditions = []model.Condition{{Type: "SyncError", Message: fmt.Sprint(r.IntN(3))}}
		}
		w.s.put(row)
	}
}

func (w *sharing) question() fleet.ListQuery {
	r := w.r
	q := fleet.ListQuery{
		Filter: pick(r, "", "", "health:degraded", "env:prod", "is:ready", "-project:shop", "freshness:stale", "name:app-000*", "cluster.label:env=test", "changed:<10m", "observed:<20s", "app"),
		Sort:   pick(r, nil, nil, []string{"-name"}, []string{"health"}, []string{"freshness", "-project"}, []string{"changed"}, []string{"observed"}),
		Fields: pick(r, nil, nil, []string{"name", "observedAt", "conditions"}, []string{"uid", "freshness"}, []string{"observedAt", "observedAt"}, []string{"labels", "changedAt", "observedAt"}),
		Facets: pick(r, nil, AppFacets, []string{"sync"}, []string{"label:env", "cluster.label:env"}),
		Group:  pick(r, "", "", "project", "label:env"),
		Limit:  pick(r, 3, 50), Kept: true, Sight: pick(r, w.sight...),
	}
	if r.IntN(4) == 0 {
		q.Terms = []filter.Term{filter.Equal("project", pick(r, "shop", "bank"))}
	}
	switch r.IntN(5) {
	case 0:
		env := pick(r, "prod", "test")
		q.Selector, q.Labels = "env="+env, func(l map[string]string) bool { return l["env"] == env }
	case 1: // by somebody who does not say what it selects
		env := pick(r, "prod", "test")
		q.Labels = func(l map[string]string) bool { return l["env"] == env }
	}
	return q
}

// run changes, learns of it at one hub or the other, asks, and compares each answer
// with one that nothing was kept for. It returns the first that differs.
func (w *sharing) run(t *testing.T, steps int) string {
	t.Helper()
	ctx := t.Context()
	var asked []fleet.ListQuery
	for range steps {
		for range w.r.IntN(3) {
			w.change()
		}
		// Hubs hear of changes in any order, and some not before they read everything.
		for _, x := range w.hubs {
			switch w.r.IntN(4) {
			case 0:
				x.Written([]model.AppUID{"uid-app-0001", "uid-app-0007", model.AppUID(fmt.Sprintf("uid-app-%04d", w.r.IntN(w.rows)))})
			case 1:
				if err := x.readClusters(ctx); err != nil {
					t.Fatal(err)
				}
			case 2:
			default:
				if err := x.Load(ctx); err != nil {
					t.Fatal(err)
				}
			}
		}
		w.now = w.now.Add(pick(w.r, 0, 100*time.Millisecond, 2*time.Second, 10*time.Second))
		for range 6 {
			q := w.question()
			if len(asked) > 0 && w.r.IntN(3) > 0 { // what was asked before, but for one thing
				other := q
				q = asked[w.r.IntN(len(asked))]
				switch w.r.IntN(9) {
				case 0:
					q.Limit = other.Limit
				case 1:
					q.Fields = other.Fields
				case 2:
					q.Facets, q.Group = other.Facets, other.Group
				case 3:
					q.Labels, q.Selector = other.Labels, other.Selector
				case 4:
					q.Sort, q.After = other.Sort, nil
				case 5:
					q.Filter, q.Terms = other.Filter, other.Terms
				default:
					q.Sight = other.Sight
				}
			}
			asked = append(asked[max(0, len(asked)-20):], q)
			for n, x := range w.hubs {
				got, err := x.Applications(ctx, q)
				again := q
				again.Kept = false
				want, err2 := x.Applications(ctx, again)
				if fmt.Sprint(err) != fmt.Sprint(err2) || !reflect.DeepEqual(got, want) {
					a, _ := json.Marshal(got)
					b, _ := json.Marshal(want)
					return fmt.Sprintf("hub %d, %q by %v: %v\n%s\nmade anew: %v\n%s", n+1, q.Filter, q.Sort, err, a, err2, b)
				}
				if got.Next != nil && err == nil && w.r.IntN(3) == 0 {
					q.After = got.Next
				}
			}
		}
	}
	return ""
}

// TestAPageThatIsKeptIsAsOneMadeAnew: over random changes, rights, questions and times
// at two hubs that share what they keep. Nothing that is kept is ever forgotten.
func TestAPageThatIsKeptIsAsOneMadeAnew(t *testing.T) {
	hits, asked := 0, 0
	for seed := range uint64(6) {
		w := newSharing(t, seed)
		if wrong := w.run(t, 150); wrong != "" {
			t.Fatal(wrong)
		}
		hits, asked = hits+w.kept.hits, asked+w.kept.asked
	}
	t.Logf("%d hits of %d looks", hits, asked)
	if hits < 500 || hits > asked*9/10 {
		t.Errorf("%d hits of %d looks: this shows nothing", hits, asked)
	}
}

// TestANameLeavesNothingOut: with any part of the names left out the same changes and
// questions find a page that is wrong.
func TestANameLeavesNothingOut(t *testing.T) {
	for what, parts := range map[string][]int{
		"state": {1}, "filter": {2, 3}, "selector": {4}, "order": {5}, "position": {6}, "limit": {7}, "fields": {8}, "facets": {9}, "group": {10},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(20) {
				if newSharing(t, seed, parts...).run(t, 150) != "" {
					return
				}
			}
			t.Error("nobody would notice")
		})
	}
}

// TestA38_NobodyGetsThePageOfOneWhoSeesMore: whoever asks first, at whichever hub, and
// also when he who sees more has the same filter and saw all that the other sees.
func TestA38_NobodyGetsThePageOfOneWhoSeesMore(t *testing.T) {
	w := newSharing(t, 1)
	w.now = w.now.Add(time.Minute)
	for _, first := range w.sight {
		for _, second := range w.sight {
			for n := range 2 {
				ask := func(x *Index, sight fleet.Sight) fleet.ListPage {
					t.Helper()
					page, err := x.Applications(t.Context(), fleet.ListQuery{Limit: 100, Facets: AppFacets, Kept: true, Sight: sight})
					if err != nil {
						t.Fatal(err)
					}
					return page
				}
				ask(w.hubs[n], first)
				page := ask(w.hubs[1-n], second)
				for _, item := range page.Items {
					var row struct{ Name, Project string }
					if err := json.Unmarshal(item, &row); err != nil {
						t.Fatal(err)
					}
					if !second.App(row.Project, row.Name) {
						t.Fatalf("%v sees %s of %s, which %v asked for", second.Key, row.Name, row.Project, first.Key)
					}
				}
				if f := page.Facets["project"]; len(f.Values) > 0 && second.Sees != nil {
					for p := range f.Values {
						if !second.Sees(p) {
							t.Fatalf("%v counts %s", second.Key, p)
						}
					}
				}
			}
		}
	}
	// A right that is taken back: the next page is without it.
	less := fleet.Sight{Sees: func(p string) bool { return p == "bank" }, Key: "less"}
	more := fleet.Sight{Sees: func(p string) bool { return p != "infra" }, Key: "more"}
	for _, x := range w.hubs {
		for _, sight := range []fleet.Sight{more, less} {
			page, err := x.Applications(t.Context(), fleet.ListQuery{Limit: 100, Facets: []string{"project"}, Kept: true, Sight: sight})
			if err != nil {
				t.Fatal(err)
			}
			if _, shows := page.Facets["project"].Values["shop"]; shows != sight.Sees("shop") {
				t.Errorf("%v: %v", sight.Key, page.Facets)
			}
		}
	}
}

// Hubs that heard of the same changes in other orders, or only read the outcome, have
// the same name for what there is; with another secret nobody knows it.
func TestHubsAgreeOnWhatThereIs(t *testing.T) {
	w := newSharing(t, 5)
	one, two := w.hubs[0], w.hubs[1]
	for i := range 40 {
		w.s.put(randomRow(w.r, fmt.Sprintf("app-%04d", i%30)))
		one.Written([]model.AppUID{model.AppUID(fmt.Sprintf("uid-app-%04d", i%30))})
		one.current(t.Context())
	}
	if err := two.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.now = w.now.Add(time.Minute)
	stranger := New(Options{Store: w.s, Now: func() time.Time { return w.now }, Pages: &keptPages{}, PageKey: [32]byte{2}})
	if err := stranger.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	state := func(x *Index) sum {
		m := x.moment(x.snap.Load())
		f := m.fleetNow()
		f.marked(m)
		return f.all.sum
	}
	if state(one) != state(two) {
		t.Error("two names for one state")
	}
	if state(one) == state(stranger) {
		t.Error("one without the secret has the same name")
	}
	before := state(one)
	w.s.set(func() { w.s.clusters[0].Labels = map[string]string{"env": "other"} })
	if err := one.readClusters(t.Context()); err != nil {
		t.Fatal(err)
	}
	if state(one) == before {
		t.Error("the labels of a cluster are not in it")
	}
}

// While what somebody sees changes nothing is looked for or kept; what others see, who
// see other things, is.
func TestNothingIsKeptOfWhatChangesAllTheTime(t *testing.T) {
	w := newSharing(t, 9)
	x := w.hubs[0]
	ask := func(sight fleet.Sight) (asked, put int) {
		t.Helper()
		before, wrote := w.kept.asked, w.kept.put
		if _, err := x.Applications(t.Context(), fleet.ListQuery{Limit: 5, Kept: true, Sight: sight}); err != nil {
			t.Fatal(err)
		}
		return w.kept.asked - before, w.kept.put - wrote
	}
	shop, bank := w.sight[1], w.sight[2]
	change := func() {
		w.s.put(row("busy", func(a *fleet.AppRow) { a.Health.Message = w.now.String() }))
		x.Written([]model.AppUID{"uid-busy"})
	}
	for range 5 {
		change()
		w.now = w.now.Add(900 * time.Millisecond)
		if asked, put := ask(shop); asked != 0 || put != 0 {
			t.Errorf("%d looks, %d puts of what changes", asked, put)
		}
		// Who sees everything need not be told what that is.
		if asked, put := ask(fleet.Sight{}); asked != 0 || put != 0 {
			t.Errorf("%d looks, %d puts of what changes, of who sees everything", asked, put)
		}
	}
	if asked, put := ask(bank); asked != 1 || put != 1 {
		t.Errorf("%d looks, %d puts of what is as it was", asked, put)
	}
	w.now = w.now.Add(time.Second)
	if asked, put := ask(shop); asked != 1 || put != 1 {
		t.Errorf("%d looks, %d puts once it has settled", asked, put)
	}
	if asked, put := ask(shop); asked != 1 || put != 0 {
		t.Errorf("%d looks, %d puts of what is kept", asked, put)
	}
	// What is read again and is the same changes nothing.
	if err := x.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	if asked, put := ask(shop); asked != 1 || put != 0 {
		t.Errorf("%d looks, %d puts after everything was read again", asked, put)
	}
	w.s.remove("uid-busy")
	x.Written([]model.AppUID{"uid-busy"})
	if asked, _ := ask(shop); asked != 0 {
		t.Error("looked for when one was removed just now")
	}
	if w.kept.far != 0 {
		t.Errorf("%d looks far away for lists that are made in no time", w.kept.far)
	}
}

// TestARowThatDiffersHasAnotherDigest: in any field, also in those that AppRow will
// have; but for what depends on the moment.
func TestARowThatDiffersHasAnotherDigest(t *testing.T) {
	var row fleet.AppRow
	fillAll(t, reflect.ValueOf(&row).Elem())
	before, ok := digestRow(row)
	if !ok {
		t.Fatal("not everything of a row can be digested")
	}
	moment := []string{"AppView.Freshness", "AppView.ObservedAt", "ReportedAt", "Report.Incarnation", "Report.Number", "Report.Seq"}
	leaves := 0
	var walk func(at string, v reflect.Value)
	walk = func(at string, v reflect.Value) {
		check := func(what string) {
			t.Helper()
			leaves++
			after, _ := digestRow(row)
			if passing := slices.Contains(moment, strings.TrimPrefix(at, ".")); passing != (after == before) {
				t.Errorf("%s of %s: the same digest %v", what, at, after == before)
			}
		}
		old := reflect.New(v.Type()).Elem()
		old.Set(v)
		defer func() { v.Set(old) }()
		switch {
		case v.Type() == typeOfTime:
			v.Set(reflect.ValueOf(old.Interface().(time.Time).Add(time.Microsecond)))
			check("another time")
			return
		case v.Kind() == reflect.String:
			v.SetString("another")
			check("another text")
		case v.Kind() == reflect.Bool:
			v.SetBool(!old.Bool())
			check("the other")
		case v.CanInt():
			v.SetInt(old.Int() + 1)
			check("another number")
		case v.CanUint():
			v.SetUint(old.Uint() + 1)
			check("another number")
		case v.CanFloat():
			v.SetFloat(old.Float() + 1)
			check("another number")
		case v.Kind() == reflect.Struct:
			for i := range v.NumField() {
				walk(at+"."+v.Type().Field(i).Name, v.Field(i))
			}
		case v.Kind() == reflect.Pointer:
			walk(at, v.Elem())
			if !slices.Contains([]string{".ReportedAt", ".AppView.ObservedAt"}, at) {
				v.SetZero()
				check("none")
			}
		case v.Kind() == reflect.Slice:
			walk(at, v.Index(0))
			v.Set(reflect.Append(v, v.Index(0)))
			check("one more")
			v.SetZero()
			check("none")
		case v.Kind() == reflect.Map:
			v.Set(reflect.MakeMap(v.Type()))
			check("empty")
		}
	}
	walk("", reflect.ValueOf(&row).Elem())
	if leaves < 100 {
		t.Errorf("%d fields", leaves)
	}
	row.ReportedAt = nil
	if after, _ := digestRow(row); after == before {
		t.Error("whether anything was reported is shown")
	}
}

// fillAll sets every field to something.
func fillAll(t *testing.T, v reflect.Value) {
	t.Helper()
	switch {
	case v.Type() == typeOfTime:
		v.Set(reflect.ValueOf(start))
	case v.Kind() == reflect.String:
		v.SetString("text")
	case v.Kind() == reflect.Bool:
		v.SetBool(true)
	case v.CanInt():
		v.SetInt(7)
	case v.CanUint():
		v.SetUint(7)
	case v.CanFloat():
		v.SetFloat(7)
	case v.Kind() == reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fillAll(t, v.Elem())
	case v.Kind() == reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fillAll(t, v.Index(0))
	case v.Kind() == reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		value := reflect.New(v.Type().Elem()).Elem()
		fillAll(t, value)
		v.SetMapIndex(reflect.ValueOf("key").Convert(v.Type().Key()), value)
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				fillAll(t, v.Field(i))
			}
		}
	}
}

// TestPagesThatCannotBeReadAreMade: whatever is found under a name, the answer is the
// one that is made, and nothing panics.
func TestPagesThatCannotBeReadAreMade(t *testing.T) {
	w := newSharing(t, 2)
	w.now = w.now.Add(time.Minute)
	q := fleet.ListQuery{Limit: 4, Facets: AppFacets, Group: "project", Kept: true, Sight: w.sight[1]}
	want, err := w.hubs[0].Applications(t.Context(), q)
	if err != nil || len(w.kept.values) != 1 {
		t.Fatalf("%d kept, %v", len(w.kept.values), err)
	}
	var name string
	var good []byte
	for name, good = range w.kept.values {
	}
	try := func(what string, value []byte) {
		t.Helper()
		w.kept.values[name] = value
		got, err := w.hubs[1].Applications(t.Context(), q)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%s: %+v %v", what, got, err)
		}
	}
	for n := range good {
		try(fmt.Sprint("cut at ", n), good[:n])
	}
	try("longer", append(slices.Clone(good), 0))
	try("nothing", nil)
	for _, b := range []byte{0, 0xff} {
		try("garbage", slices.Repeat([]byte{b}, 200))
	}
	// Of somebody who sees more, under a name that is his: no row of it is taken.
	more := q
	more.Sight, more.Kept = fleet.Sight{}, true
	if _, err := w.hubs[0].Applications(t.Context(), more); err != nil {
		t.Fatal(err)
	}
	for other, value := range w.kept.values {
		if other != name {
			try("another's", value)
		}
	}
}

// BenchmarkCachePage is what a page of 50 of 10,000 applications with facets costs: made
// with nothing kept; of one who sees everything, and one who sees half, from what this
// process keeps; the name alone; and what each changed row costs to digest.
func BenchmarkCachePage(b *testing.B) {
	s := newStore()
	for i := range 10_000 {
		a := row(fmt.Sprintf("web-%05d", i))
		a.Project, a.Labels = fmt.Sprintf("team-%03d", i%100), map[string]string{"team": fmt.Sprintf("team-%03d", i%100)}
		s.put(a)
	}
	now := start
	s.clusters = []model.Cluster{{ID: "c-eu", Name: "eu"}}
	s.leases = []fleet.Lease{lease("c-eu", start)}
	kept := &keptPages{}
	x := New(Options{Store: s, Pages: kept, Now: func() time.Time { return now }})
	if err := x.Load(b.Context()); err != nil {
		b.Fatal(err)
	}
	now = now.Add(10 * time.Second)
	half := fleet.Sight{Sees: func(p string) bool { return p < "team-050" }, Key: "half"}
	for _, c := range []struct {
		name  string
		kept  bool
		sight fleet.Sight
	}{{"made", false, fleet.Sight{}}, {"made-half", false, half}, {"memory", true, fleet.Sight{}}, {"memory-half", true, half}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				page, err := x.Applications(b.Context(), fleet.ListQuery{Limit: 50, Facets: AppFacets, Kept: c.kept, Sight: c.sight})
				if err != nil || len(page.Items) != 50 {
					b.Fatal(len(page.Items), err)
				}
			}
		})
	}
	b.Run("name", func(b *testing.B) {
		m := x.moment(x.snap.Load())
		f, v := m.fleetNow(), m.sees(&half)
		for b.Loop() {
			if _, ok := x.ask(m, f, v, fleet.ListQuery{Limit: 50, Facets: AppFacets, Kept: true, Sight: half}, filter.Query{}); !ok {
				b.Fatal("not to be kept")
			}
		}
	})
	for _, keeps := range []bool{false, true} {
		b.Run(fmt.Sprintf("change/%v", keeps), func(b *testing.B) {
			y := x
			if !keeps {
				y = New(Options{Store: s})
			}
			row := s.apps["uid-web-00000"]
			for b.Loop() {
				y.newApps([]fleet.AppRow{row}, 1)
			}
		})
		b.Run(fmt.Sprintf("moment/%v", keeps), func(b *testing.B) {
			m := x.moment(x.snap.Load())
			for b.Loop() {
				m.fleet.Store(nil)
				if f := m.fleetNow(); keeps {
					f.marked(m)
				}
			}
			m.fleet.Store(nil)
		})
	}
}
