package observe

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/shared/model"
)

func rec(name, uid, version string, change ...func(*live.Record)) live.Record {
	r := live.Record{Key: model.ObjectKey{Kind: "ConfigMap", Namespace: "shop", Name: name}, UID: uid, ResourceVersion: version}
	for _, c := range change {
		c(&r)
	}
	return r
}

func trackedBy(app string) func(*live.Record) {
	return func(r *live.Record) { r.TrackingID, r.SpecHash = model.TrackingID(app, r.Key), "sha256:1" }
}

func kind(k string) func(*live.Record) { return func(r *live.Record) { r.Key.Kind = k } }
func ownedBy(uids ...string) func(*live.Record) {
	return func(r *live.Record) {
		for _, u := range uids {
			r.Owners = append(r.Owners, live.Owner{UID: u})
		}
	}
}
func spec(h string) func(*live.Record)     { return func(r *live.Record) { r.SpecHash = model.Digest(h) } }
func is(h model.Health) func(*live.Record) { return func(r *live.Record) { r.Health.Status = h } }

// liveStore is a store whose kinds are listed and watched.
func liveStore(kinds ...string) *store {
	s := newStore(time.Now, []string{"hawser-system"})
	for _, k := range kinds {
		gk := model.GroupKind{Kind: k}
		s.addKind(gk, true)
		s.beginList(gk)
		s.endList(gk, "1")
		s.setLive(gk, true)
	}
	return s
}

func presence(s *store, name string) live.Presence {
	_, p := s.get(model.ObjectKey{Kind: "ConfigMap", Namespace: "shop", Name: name})
	return p
}

func versionOf(s *store, name string) string {
	r, _ := s.get(model.ObjectKey{Kind: "ConfigMap", Namespace: "shop", Name: name})
	return r.ResourceVersion
}

func TestPresence(t *testing.T) {
	s := newStore(time.Now, []string{"hawser-system"})
	want := func(what string, a, b live.Presence) {
		t.Helper()
		if pa, pb := presence(s, "a"), presence(s, "b"); pa != a || pb != b {
			t.Errorf("%s: a is %v, b is %v; want %v, %v", what, pa, pb, a, b)
		}
	}
	want("not watched", live.Unknown, live.Unknown)
	s.addKind(gkConfigMap, true)
	want("not listed", live.Unknown, live.Unknown)
	s.beginList(gkConfigMap)
	s.put(rec("a", "u", "5"), true, true)
	want("listing", live.Present, live.Unknown)
	s.setState(gkConfigMap, stateBroken, "x")
	want("the list broke", live.Present, live.Unknown)
	s.endList(gkConfigMap, "5")
	s.setLive(gkConfigMap, true)
	want("live", live.Present, live.Absent)
	s.setState(gkConfigMap, stateBroken, "x")
	want("broken", live.Present, live.Unknown)
	s.setLive(gkConfigMap, true)
	want("back", live.Present, live.Absent)
	s.setState(gkConfigMap, stateGone, "x")
	want("no longer served", live.Unknown, live.Unknown)
	s.setLive(gkConfigMap, true)
	s.put(live.Record{Key: model.ObjectKey{Kind: "ConfigMap", Namespace: "hawser-system", Name: "own"}, ResourceVersion: "6"}, true, false)
	if _, p := s.get(model.ObjectKey{Kind: "ConfigMap", Namespace: "hawser-system", Name: "own"}); p != live.Unknown || s.count(gkConfigMap) != 1 {
		t.Errorf("the own namespace is observed: %v, %d objects", p, s.count(gkConfigMap))
	}
}

func TestMetadataIsNotEnoughOnceWholeObjectsAreWanted(t *testing.T) {
	s := newStore(time.Now, nil)
	s.addKind(gkConfigMap, false)
	s.beginList(gkConfigMap)
	s.put(rec("a", "u", "5", trackedBy("app")), false, true)
	s.endList(gkConfigMap, "5")
	s.setLive(gkConfigMap, false)
	if presence(s, "a") != live.Present || presence(s, "b") != live.Absent {
		t.Fatal("metadata says what exists")
	}
	s.upgradeKind(gkConfigMap)
	if s.setLive(gkConfigMap, false) || presence(s, "a") != live.Unknown || presence(s, "b") != live.Unknown {
		t.Error("a session that still lists metadata made the kind live")
	}
	s.beginList(gkConfigMap)
	ev, ok := s.put(rec("a", "u", "5", trackedBy("app")), true, true) // the same version, but whole
	if !ok || !ev.SpecChanged || presence(s, "a") != live.Present {
		t.Errorf("%+v %v", ev, ok)
	}
}

func TestOwnAnswersAndTheWatch(t *testing.T) {
	t.Run("the watch is behind", func(t *testing.T) {
		s := liveStore("ConfigMap")
		s.put(rec("a", "u", "10"), true, false)
		if _, ok := s.saw(rec("a", "u", "12", trackedBy("app")), true); !ok || versionOf(s, "a") != "12" {
			t.Fatal("our own answer is not known")
		}
		if _, ok := s.put(rec("a", "u", "11"), true, false); ok || versionOf(s, "a") != "12" {
			t.Error("an older event of the watch won")
		}
		if _, ok := s.remove(rec("a", "", "11")); ok || presence(s, "a") != live.Present {
			t.Error("the deletion of a former object removed the new one")
		}
		if _, ok := s.put(rec("a", "u", "12", trackedBy("app")), true, false); ok {
			t.Error("the watch caught up: nothing changed")
		}
		if _, ok := s.put(rec("a", "u", "13", trackedBy("app"), spec("2")), true, false); !ok {
			t.Error("a newer event is news")
		}
		if _, ok := s.remove(rec("a", "", "14")); !ok || presence(s, "a") != live.Absent {
			t.Error("a newer deletion counts")
		}
	})
	t.Run("the answer is late", func(t *testing.T) {
		s := liveStore("ConfigMap")
		s.put(rec("a", "u", "100"), true, false)
		if _, ok := s.saw(rec("a", "u", "99"), true); ok || versionOf(s, "a") != "100" {
			t.Error("99 counts as newer than 100")
		}
	})
	t.Run("versions that are no numbers", func(t *testing.T) {
		s := liveStore("ConfigMap")
		s.put(rec("a", "u", "abc"), true, false)
		if s.saw(rec("a", "u", "abd"), true); versionOf(s, "a") != "abd" {
			t.Error("another version is news")
		}
		if _, ok := s.saw(rec("a", "u", "abd", spec("2")), true); ok {
			t.Error("the same version is no news")
		}
	})
	t.Run("an object that only we know survives a list that is older", func(t *testing.T) {
		s := liveStore("ConfigMap")
		s.put(rec("old", "o", "5"), true, false)
		s.beginList(gkConfigMap)
		s.saw(rec("mine", "m", "20"), true)
		gone := s.endList(gkConfigMap, "15")
		if len(gone) != 1 || gone[0].Key.Name != "old" || !gone[0].Deleted || presence(s, "mine") != live.Present {
			t.Errorf("gone: %+v", gone)
		}
		s.beginList(gkConfigMap) // a list that began later is the truth
		if gone := s.endList(gkConfigMap, "25"); len(gone) != 1 || gone[0].Key.Name != "mine" {
			t.Errorf("gone: %+v", gone)
		}
	})
	t.Run("an object that was deleted again before our answer came", func(t *testing.T) {
		s := liveStore("ConfigMap")
		s.put(rec("a", "u", "10"), true, false)
		s.remove(rec("a", "", "12"))
		if _, ok := s.saw(rec("a", "u", "10"), true); ok || presence(s, "a") != live.Absent {
			t.Error("a late answer brought a deleted object back")
		}
		s.reach(gkConfigMap, "", "20") // as a bookmark says
		if _, ok := s.saw(rec("b", "v", "19"), true); ok || presence(s, "b") != live.Absent {
			t.Error("an answer older than the bookmark brought an object that the watch does not know")
		}
		if _, ok := s.saw(rec("a", "w", "21"), true); !ok || presence(s, "a") != live.Present {
			t.Error("a newer answer counts")
		}
		s.beginList(gkConfigMap)
		if _, ok := s.saw(rec("c", "x", "3"), true); !ok {
			t.Error("while a list is running nothing is known of how far it is")
		}
	})
	t.Run("a cluster restored from a backup", func(t *testing.T) {
		s := liveStore("ConfigMap")
		s.saw(rec("a", "u", "900"), true)
		s.beginList(gkConfigMap)
		if _, ok := s.put(rec("a", "u", "100", trackedBy("app")), true, true); !ok || versionOf(s, "a") != "100" {
			t.Error("the list after the restore lost against an older life of the cluster")
		}
	})
}

func TestListSweepsOnlyWhatIsGone(t *testing.T) {
	s := liveStore("ConfigMap")
	for i := range 5 {
		s.put(rec(fmt.Sprint("c", i), fmt.Sprint("u", i), "10", trackedBy("app")), true, false)
	}
	s.beginList(gkConfigMap)
	for _, i := range []int{0, 2, 4} {
		if _, ok := s.put(rec(fmt.Sprint("c", i), fmt.Sprint("u", i), "10", trackedBy("app")), true, true); ok {
			t.Error("an unchanged object is no event")
		}
	}
	if n := s.count(gkConfigMap); n != 5 {
		t.Errorf("%d objects during the list", n)
	}
	var gone []string
	for _, ev := range s.endList(gkConfigMap, "20") {
		gone = append(gone, ev.Key.Name)
	}
	slices.Sort(gone)
	if !slices.Equal(gone, []string{"c1", "c3"}) || len(s.tracked("app")) != 3 {
		t.Errorf("gone %v, tracked %d", gone, len(s.tracked("app")))
	}
}

func TestEvents(t *testing.T) {
	s := liveStore("ConfigMap")
	step := func(what string, r live.Record, wantOK bool, want live.Event) {
		t.Helper()
		ev, ok := s.put(r, true, false)
		want.Key = r.Key
		if ok != wantOK || ok && fmt.Sprintf("%+v", ev) != fmt.Sprintf("%+v", want) {
			t.Errorf("%s: %v %+v, want %v %+v", what, ok, ev, wantOK, want)
		}
	}
	step("new", rec("a", "u", "1", trackedBy("x")), true, live.Event{Apps: []string{"x"}, SpecChanged: true})
	step("nothing visible", rec("a", "u", "2", trackedBy("x")), false, live.Event{})
	step("health", rec("a", "u", "3", trackedBy("x"), is("Degraded")), true, live.Event{Apps: []string{"x"}})
	step("spec", rec("a", "u", "4", trackedBy("x"), spec("2"), is("Degraded")), true, live.Event{Apps: []string{"x"}, SpecChanged: true})
	step("another application", rec("a", "u", "5", trackedBy("y")), true, live.Event{Apps: []string{"x", "y"}, SpecChanged: true})
	step("mark removed", rec("a", "u", "6"), true, live.Event{Apps: []string{"y"}, SpecChanged: true})
	step("foreign change", rec("a", "u", "7"), false, live.Event{})
	step("made again", rec("a", "v", "8"), true, live.Event{SpecChanged: true})
	step("deleting", rec("a", "v", "9", func(r *live.Record) { r.Deleting = true }), true, live.Event{SpecChanged: true})
	if _, ok := s.remove(rec("none", "", "10")); ok {
		t.Error("deletion of an unknown object is an event")
	}
	if ev, ok := s.remove(rec("a", "", "10")); !ok || !ev.Deleted || !ev.SpecChanged {
		t.Errorf("%+v %v", ev, ok)
	}
}

// TestFirstListIsQuiet: what is nobody's is not told one by one while a kind
// becomes known.
func TestFirstListIsQuiet(t *testing.T) {
	s := newStore(time.Now, nil)
	s.addKind(gkConfigMap, true)
	s.beginList(gkConfigMap)
	if _, ok := s.put(rec("a", "u", "1"), true, true); ok {
		t.Error("a foreign object is told")
	}
	if _, ok := s.put(rec("b", "v", "2", trackedBy("x")), true, true); !ok {
		t.Error("an application's object is not told")
	}
	if _, ok := s.put(rec("c", "w", "3", ownedBy("v")), true, true); !ok {
		t.Error("an object in an application's tree is not told")
	}
	if _, ok := s.saw(rec("d", "x", "4"), true); !ok {
		t.Error("what we did ourselves is not told")
	}
	s.endList(gkConfigMap, "5")
	s.setLive(gkConfigMap, true)
	if _, ok := s.put(rec("e", "y", "6"), true, false); !ok {
		t.Error("a foreign object that comes later is not told")
	}
}

func TestHealthSince(t *testing.T) {
	now := time.Unix(1000, 0)
	s := newStore(func() time.Time { return now }, nil)
	s.addKind(gkConfigMap, true)
	since := func(h model.Health, version string) *time.Time {
		s.put(rec("a", "u", version, trackedBy("x"), is(h)), true, false)
		r, _ := s.get(model.ObjectKey{Kind: "ConfigMap", Namespace: "shop", Name: "a"})
		return r.Health.Since
	}
	if at := since("Healthy", "1"); at != nil {
		t.Errorf("first sight: %v; nobody knows since when", at)
	}
	if at := since("Degraded", "2"); at == nil || !at.Equal(now) {
		t.Errorf("changed: %v", at)
	}
	then := now
	now = now.Add(time.Hour)
	if at := since("Degraded", "3"); at == nil || !at.Equal(then) {
		t.Errorf("unchanged: %v", at)
	}
}

func TestTreeOf(t *testing.T) {
	s := liveStore("Deployment", "ReplicaSet", "Pod")
	pod := rec("p", "p", "1", kind("Pod"), ownedBy("r"))
	if ev, _ := s.put(pod, true, false); len(ev.TreeOf) != 0 {
		t.Errorf("before its owners are known: %+v", ev)
	}
	if ev, _ := s.put(rec("r", "r", "2", kind("ReplicaSet"), ownedBy("d")), true, false); len(ev.TreeOf) != 0 {
		t.Errorf("half a chain: %+v", ev)
	}
	if ev, _ := s.put(rec("d", "d", "3", kind("Deployment"), trackedBy("shop")), true, false); len(ev.Apps) != 1 || ev.TreeOf != nil {
		t.Errorf("the root: %+v", ev)
	}
	pod.ResourceVersion, pod.Health.Status = "4", "Degraded"
	ev, ok := s.put(pod, true, false)
	if !ok || len(ev.Apps) != 0 || !slices.Equal(ev.TreeOf, []string{"shop"}) {
		t.Errorf("the pod: %+v", ev)
	}
	if got := s.ownedBy("d"); len(got) != 1 || got[0].Key.Name != "r" {
		t.Errorf("children of d: %+v", got)
	}
	if ev, _ := s.remove(rec("p", "", "5", kind("Pod"))); !slices.Equal(ev.TreeOf, []string{"shop"}) || len(s.ownedBy("r")) != 0 {
		t.Errorf("deleted: %+v", ev)
	}
	// owner references in a circle, and to itself
	s.put(rec("x", "x", "6", kind("Pod"), ownedBy("y", "x")), true, false)
	s.put(rec("y", "y", "7", kind("Pod"), ownedBy("x")), true, false)
	if ev, _ := s.put(rec("x", "x", "8", kind("Pod"), ownedBy("y", "x", "d")), true, false); !slices.Equal(ev.TreeOf, []string{"shop"}) {
		t.Errorf("circle: %+v", ev)
	}
}

func TestIndexesAreEmptyInTheEnd(t *testing.T) {
	s := liveStore("ConfigMap", "Pod")
	for round := range 3 {
		for i := range 50 {
			v := fmt.Sprint(round*100 + i + 10)
			s.put(rec(fmt.Sprint("c", i), fmt.Sprint("c", i, round%2), v, trackedBy(fmt.Sprint("app", i%3))), true, false)
			s.put(rec(fmt.Sprint("p", i), fmt.Sprint("p", i), v, kind("Pod"), ownedBy(fmt.Sprint("c", i%7, round%2), "z")), true, false)
		}
	}
	if len(s.tracked("app1")) != 17 || len(s.ownedBy("z")) != 50 {
		t.Errorf("%d tracked, %d owned", len(s.tracked("app1")), len(s.ownedBy("z")))
	}
	for _, k := range []string{"ConfigMap", "Pod"} {
		s.beginList(model.GroupKind{Kind: k})
		s.endList(model.GroupKind{Kind: k}, "10000")
	}
	if len(s.byUID)+len(s.byApp)+len(s.children) != 0 || s.count(gkConfigMap) != 0 {
		t.Errorf("left: %v %v %v", s.byUID, s.byApp, s.children)
	}
}

func TestNewer(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"2", "1", true}, {"1", "2", false}, {"1", "1", false}, {"10", "9", true}, {"9", "10", false},
		{"99999999999999999999999", "99999999999999999999998", true}, {"", "1", true}, {"1", "", true},
		{"a", "a", false}, {"a", "b", true}, {"0", "1", true}, {"01", "1", true},
	} {
		if got := newer(c.a, c.b); got != c.want {
			t.Errorf("newer(%q, %q) = %v", c.a, c.b, got)
		}
	}
}

func TestObjectsOfNamespaces(t *testing.T) {
	s := liveStore("ConfigMap")
	in := func(ns string) func(*live.Record) { return func(r *live.Record) { r.Key.Namespace = ns } }
	for i, r := range []live.Record{
		rec("plain", "0f0e0d0c-0b0a-0908-0706-000000000001", "2"), rec("tracked", "u2", "3", trackedBy("web")),
		rec("owned", "u3", "4", ownedBy("u2")), rec("elsewhere", "u4", "5", in("other")), rec("third", "u5", "6", in("third")),
	} {
		if _, ok := s.put(r, true, false); !ok {
			t.Fatal(i)
		}
	}
	gone := rec("gone", "u6", "7")
	s.put(gone, true, false)
	gone.ResourceVersion = "8"
	s.remove(gone)
	for _, c := range []struct {
		namespaces map[string]bool
		top        bool
		want       string
	}{
		{nil, true, "[]"},
		{map[string]bool{"shop": true}, true, "[plain tracked]"},
		{map[string]bool{"shop": true, "other": true}, true, "[elsewhere plain tracked]"},
		{map[string]bool{"shop": true}, false, "[owned plain tracked]"},
		{map[string]bool{"none": true}, false, "[]"},
	} {
		var names []string
		for _, r := range s.in(gkConfigMap, c.namespaces, c.top) {
			names = append(names, r.Key.Name)
		}
		slices.Sort(names)
		if got := fmt.Sprint(names); got != c.want {
			t.Errorf("%v, %v: got %s, want %s", c.namespaces, c.top, got, c.want)
		}
	}
	if got := s.in(model.GroupKind{Kind: "Secret"}, map[string]bool{"shop": true}, true); got != nil {
		t.Errorf("a kind that is not watched: %v", got)
	}
}

func TestAnOwnerThatComesLaterIsToldAsAChange(t *testing.T) {
	s := liveStore("ConfigMap")
	s.put(rec("a", "u", "2"), true, false)
	if ev, ok := s.put(rec("a", "u", "3"), true, false); ok && ev.SpecChanged {
		t.Errorf("nothing that matters: %+v", ev)
	}
	if ev, ok := s.put(rec("a", "u", "4", ownedBy("o")), true, false); !ok || !ev.SpecChanged {
		t.Errorf("told %v, %+v", ok, ev)
	}
}
