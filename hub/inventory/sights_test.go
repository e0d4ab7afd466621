package inventory

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/hub/permission"
	"github.com/hawser-dev/hawser/shared/model"
)

// sightOf is what hub/api makes of a set.
func sightOf(x *Index, set *permission.Set) fleet.Sight {
	version, names := x.Projects(context.Background())
	scope := set.Projects(permission.Get, permission.Applications, version, names)
	s := fleet.Sight{Sees: scope.Has, Key: scope.Key()}
	if scope.Partial() {
		s.SeesApp = scope.Allows
	}
	return s
}

func compiled(t testing.TB, csv, mode string) *permission.Rules {
	t.Helper()
	r, err := permission.CompileRules(map[string]string{permission.KeyCSV: csv, permission.KeyMatchMode: mode}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func setOf(r *permission.Rules, name string, grants ...fleet.Grant) *permission.Set {
	return permission.CompileWith(false, grants, r.For(permission.Subject{Name: name}))
}

// wrong is what of a snapshot a sight has that single decisions do not allow, or the
// other way round.
func wrong(m moment, sight fleet.Sight, set *permission.Set) string {
	shown := map[string]bool{}
	for _, a := range m.seen(&sight) {
		shown[a.Name] = true
	}
	for _, a := range m.apps {
		if d := set.Decide(permission.Get, permission.Applications, a.Project, a.Name); d.Allowed != shown[a.Name] {
			return fmt.Sprintf("%s/%s: shown %v, decided %+v", a.Project, a.Name, shown[a.Name], d)
		}
	}
	if len(shown) > len(m.apps) {
		return "more is shown than there is"
	}
	return ""
}

// What is kept of what somebody sees equals single decisions, whatever came, went,
// was renamed or moved, and whoever changed the policy and the projects; also for a
// request that began before what others have seen meanwhile.
func TestWhatIsKeptOfASightEqualsDecisions(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 11))
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	policyText := func() (string, string) {
		var csv strings.Builder
		mode := pick("glob", "regex")
		for range 1 + r.IntN(6) {
			object := pick("shop/*", "*/web-*", "bank/web-1?", "*", "{shop,lab}/*-2", "shop/web-3", "*/*-1*")
			if mode == "regex" {
				object = pick("^shop/", "^.*/web-.*$", "^(shop|lab)/.*-[0-4]$", ".*", "^bank/web-1", "web-2", "^lab/.+$")
			}
			fmt.Fprintf(&csv, "p, %s, applications, get, \"%s\", %s\n", pick("ann", "bob", "role:x"), object, pick("allow", "allow", "deny"))
		}
		return csv.String() + "g, ann, role:x\n", mode
	}
	s := newStore()
	for _, p := range []string{"shop", "bank", "lab"} {
		s.projects = append(s.projects, model.AppProject{Metadata: model.ObjectMeta{Name: p}})
	}
	x := New(Options{Store: s})
	text, mode := policyText()
	rules := compiled(t, text, mode)
	sets := func() []*permission.Set {
		return []*permission.Set{setOf(rules, "ann"), setOf(rules, "bob"), setOf(rules, "eve", fleet.Grant{Project: "lab", Role: "viewer"})}
	}
	callers := sets()
	if err := x.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	kept, resolved := 0, 0
	for step := range 1500 {
		before := x.moment(x.snap.Load())
		var uids []model.AppUID
		for range 1 + r.IntN(3) {
			uid := model.AppUID(fmt.Sprintf("u%d", r.IntN(60)))
			uids = append(uids, uid)
			row := fleet.AppRow{}
			row.UID, row.Name, row.Project = uid, pick("web-", "api-")+string(uid[1:]), pick("shop", "bank", "lab", "new")
			if r.IntN(3) == 0 {
				s.remove(uid)
			} else {
				s.put(row)
			}
		}
		switch r.IntN(40) {
		case 0:
			text, mode = policyText()
			rules = compiled(t, text, mode)
			callers = sets()
		case 1:
			s.mu.Lock()
			if len(s.projects) == 3 {
				s.projects = append(s.projects, model.AppProject{Metadata: model.ObjectMeta{Name: "new"}})
			} else {
				s.projects = s.projects[:3]
			}
			s.mu.Unlock()
			x.OthersWritten()
		case 2:
			if err := x.Load(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		x.Written(uids)
		for i, set := range callers {
			sight := sightOf(x, set)
			m := x.moment(x.current(t.Context()))
			// Applications may be of a project that there is none of: those are seen by
			// nobody but in single decisions, and no hub has them.
			known := map[string]bool{}
			for _, name := range m.names {
				known[name] = true
			}
			only := m
			only.snapshot = &snapshot{names: m.names, perProject: m.perProject, places: m.places, apps: nil}
			for _, a := range m.apps {
				if known[a.Project] {
					only.apps = append(only.apps, a)
				}
			}
			if has := m.sights.get(sight.Key); has != nil && has.seq != m.places.seq {
				kept++
			} else if has == nil {
				resolved++
			}
			if s := wrong(only, sight, set); s != "" {
				t.Fatalf("step %d, caller %d, policy (%s)\n%s%s", step, i, mode, text, s)
			}
			if v := m.visible(&sight); v.count != len(m.seen(&sight)) {
				t.Fatalf("%d are counted of %d", v.count, len(m.seen(&sight)))
			}
			// A request that is slower than the others has the snapshot that it began with.
			want := map[model.AppUID]bool{}
			for _, a := range before.apps {
				want[a.UID] = sight.App(a.Project, a.Name)
			}
			for _, a := range before.seen(&sight) {
				if !want[a.UID] {
					t.Fatalf("step %d: an older snapshot shows %s/%s", step, a.Project, a.Name)
				}
				delete(want, a.UID)
			}
			for uid, missed := range want {
				if missed {
					t.Fatalf("step %d: an older snapshot lacks %s", step, uid)
				}
			}
		}
	}
	if kept < 1000 || resolved < 50 {
		t.Errorf("only %d sights were brought up to date, %d resolved", kept, resolved)
	}
}

func TestSightsAreBounded(t *testing.T) {
	x, _ := tenThousand(t, 100)
	m := x.moment(x.snap.Load())
	type key struct{ n int }
	for n := range 5 * maxSights {
		m.visible(&fleet.Sight{Sees: func(string) bool { return true }, Key: key{n}})
		if n%3 == 0 { // somebody who asks all the time
			m.visible(&fleet.Sight{Sees: func(string) bool { return true }, Key: key{0}})
		}
	}
	if len(x.sights.known) > maxSights || len(x.sights.known) < maxSights/2 {
		t.Errorf("%d are kept", len(x.sights.known))
	}
	if x.sights.get(key{0}) == nil {
		t.Error("who asks all the time is forgotten")
	}
}

// Requests of many callers while applications change: nobody writes to what another
// reads (run with -race).
func TestSightsOfManyAtOnce(t *testing.T) {
	x, s := tenThousand(t, 500)
	set := setOf(compiled(t, "p, ann, applications, get, */*-1*, allow\n", ""), "ann")
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 100 {
				sight := sightOf(x, set)
				for _, a := range x.moment(x.snap.Load()).seen(&sight) {
					if !strings.Contains(a.Name, "-1") {
						t.Errorf("%s is seen", a.Name)
						return
					}
				}
			}
		})
	}
	for i := range 200 {
		row := fleet.AppRow{}
		row.UID, row.Project, row.Name = model.AppUID(fmt.Sprintf("u%05d", i)), "team-00", fmt.Sprintf("web-%d-%d", 1+i%2, i)
		s.put(row)
		x.Written([]model.AppUID{row.UID})
		x.current(t.Context())
	}
	wg.Wait()
}

// tenThousand, or n, applications in a hundred projects.
func tenThousand(t testing.TB, n int) (*Index, *store) {
	t.Helper()
	s := newStore()
	for i := range 100 {
		s.projects = append(s.projects, model.AppProject{Metadata: model.ObjectMeta{Name: fmt.Sprintf("team-%02d", i)}})
	}
	for i := range n {
		row := fleet.AppRow{}
		row.UID, row.Project, row.Name = model.AppUID(fmt.Sprintf("u%05d", i)), fmt.Sprintf("team-%02d", i%100), fmt.Sprintf("web-%05d", i)
		s.put(row)
	}
	x := New(Options{Store: s})
	if err := x.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	return x, s
}

// fiftyRules are of projects, names, and denials, in the form of a mode.
func fiftyRules(mode string) string {
	forms := []string{"team-%02d/*", "team-%02d*/web-*1*", "*/web-*%02d", "{team-%02d,other}/*-*7?"}
	if mode == "regex" {
		forms = []string{"^team-%02d/.*$", "^team-%02d.*/web-.*1", "/web-.*%02d$", "^(team-%02d|other)/.*-.*7.$"}
	}
	var csv strings.Builder
	for i := range 50 {
		fmt.Fprintf(&csv, "p, ann, applications, get, \""+forms[i%4]+"\", %s\n", i*2, []string{"allow", "allow", "allow", "allow", "deny"}[i%5])
	}
	return csv.String()
}

// BenchmarkSight resolves which of 10,000 applications somebody sees by 50 rules: all
// anew (cold), again (kept), and when one application changed since (changed); and
// takes out the rows (rows).
func BenchmarkSight(b *testing.B) {
	x, s := tenThousand(b, 10_000)
	for _, mode := range []string{"glob", "regex"} {
		rules := compiled(b, fiftyRules(mode), mode)
		row := fleet.AppRow{}
		row.UID, row.Project, row.Name = "u00001", "team-01", "web-00001"
		s.put(row)
		x.Written([]model.AppUID{row.UID})
		m := x.moment(x.current(b.Context()))
		count := func(set *permission.Set) int {
			sight := sightOf(x, set)
			return m.visible(&sight).count
		}
		set := setOf(rules, "ann")
		want := count(set)
		if want == 0 || want == 10_000 {
			b.Fatalf("%d are seen", want)
		}
		b.Run(mode+"/cold", func(b *testing.B) {
			for b.Loop() {
				if got := count(setOf(rules, "ann")); got != want {
					b.Fatal(got, want)
				}
			}
		})
		b.Run(mode+"/kept", func(b *testing.B) {
			for b.Loop() {
				if count(set) != want {
					b.Fatal("another answer")
				}
			}
		})
		b.Run(mode+"/rows", func(b *testing.B) {
			sight := sightOf(x, set)
			for b.Loop() {
				if len(m.seen(&sight)) != want {
					b.Fatal("another answer")
				}
			}
		})
		b.Run(mode+"/changed", func(b *testing.B) {
			row := fleet.AppRow{}
			row.UID, row.Project, row.Name = "u00001", "team-02", "web-00001"
			s.put(row)
			x.Written([]model.AppUID{row.UID})
			before, after := m, x.moment(x.current(b.Context()))
			sight := sightOf(x, set)
			first := before.resolve(&sight)
			for b.Loop() {
				after.sights = &sights{known: map[any]*keptSight{sight.Key: {visible: first}}}
				if v := after.visible(&sight); v.seq == first.seq {
					b.Fatal("nothing changed")
				}
			}
		})
	}
}
