package orphan

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/shared/model"
)

// cluster is an observer whose kinds and objects tests set.
type cluster struct {
	t        *testing.T
	kinds    []live.Kind
	unsynced map[model.GroupKind]bool
	watched  map[model.GroupKind]bool
	objects  []live.Record
	apps     []App
	ready    bool
	owned    map[model.ObjectKey]bool
	now      time.Time
	changed  []model.AppUID
	looks    int // calls of In
	w        *Watcher
}

func newCluster(t *testing.T) *cluster {
	c := &cluster{t: t, ready: true, unsynced: map[model.GroupKind]bool{}, watched: map[model.GroupKind]bool{}, owned: map[model.ObjectKey]bool{}, now: time.Unix(1000, 0)}
	for _, k := range []string{"ConfigMap", "Event", "Secret", "ServiceAccount", "apps/StatefulSet", "example.org/Thing"} {
		c.kinds = append(c.kinds, live.Kind{GroupKind: key(k + " x").GroupKind(), Namespaced: true, Watchable: true})
	}
	c.kinds = append(c.kinds, live.Kind{GroupKind: model.GroupKind{Kind: "Node"}, Watchable: true},
		live.Kind{GroupKind: model.GroupKind{Group: "example.org", Kind: "Review"}, Namespaced: true})
	c.w = New(Options{Observer: c, Apps: func() ([]App, bool) { return c.apps, c.ready },
		Owned:   func(k model.ObjectKey, _ string) bool { return c.owned[k] },
		Changed: func(uids ...model.AppUID) { c.changed = append(c.changed, uids...) }, Now: func() time.Time { return c.now }})
	return c
}

func (c *cluster) Kinds() []live.Kind { return c.kinds }

func (c *cluster) WatchNames(gks ...model.GroupKind) {
	for _, gk := range gks {
		c.watched[gk] = true
	}
}

func (c *cluster) ForgetNames(gks ...model.GroupKind) {
	for _, gk := range gks {
		if !c.watched[gk] {
			c.t.Errorf("%s is forgotten and was not watched", gk)
		}
		delete(c.watched, gk)
	}
}

func (c *cluster) Synced(gk model.GroupKind) bool { return c.watched[gk] && !c.unsynced[gk] }

func (c *cluster) In(gk model.GroupKind, namespaces map[string]bool, topLevel bool) (out []live.Record) {
	c.looks++
	for _, r := range c.objects {
		if r.Key.GroupKind() == gk && namespaces[r.Key.Namespace] && !(topLevel && len(r.Owners) > 0) && c.watched[gk] {
			out = append(out, r)
		}
	}
	return out
}

func (c *cluster) has(keys ...string) {
	c.objects = nil
	for _, k := range keys {
		c.objects = append(c.objects, live.Record{Key: key(k), UID: k})
	}
}

func app(uid, project, namespace string, spec model.AppProjectSpec) App {
	return App{model.AppUID(uid), &model.Desired{App: model.AppUID(uid), Name: uid, Project: project, Spec: model.DesiredSpec{Namespace: namespace}, ProjectSpec: spec}}
}

// look looks, and answers whom it told.
func (c *cluster) look() []model.AppUID {
	c.changed = nil
	c.w.look()
	slices.Sort(c.changed)
	return c.changed
}

func (c *cluster) want(uid string, names ...string) {
	c.t.Helper()
	f := c.w.Of(model.AppUID(uid))
	var got []string
	for _, n := range f.Listed {
		got = append(got, n.Name)
	}
	if !slices.Equal(got, names) || f.Total != len(names) {
		c.t.Errorf("%s: got %v of %d, want %v", uid, got, f.Total, names)
	}
}

// What no project looks at any more is watched no longer.
func TestKindsAreForgottenWhenNobodyAsks(t *testing.T) {
	c := newCluster(t)
	all := app("a", "p", "n", model.AppProjectSpec{OrphanedResources: &model.OrphanedResources{}})
	secrets := app("a", "p", "n", model.AppProjectSpec{OrphanedResources: &model.OrphanedResources{},
		NamespaceResourceWhitelist: []model.KindRule{{Kind: "Secret"}}})
	kinds := func() string {
		var out []string
		for gk := range c.watched {
			out = append(out, gk.String())
		}
		slices.Sort(out)
		return fmt.Sprint(out)
	}
	c.apps = []App{all}
	c.look()
	before := kinds()
	c.apps = []App{secrets}
	if c.look(); kinds() != "[Secret ServiceAccount]" {
		t.Errorf("a project looks at Secrets only, and %s are watched", kinds())
	}
	c.apps = []App{all}
	if c.look(); kinds() != before {
		t.Errorf("asked again: %s, want %s", kinds(), before)
	}
	c.ready = false
	c.apps = nil
	if c.look(); kinds() != before {
		t.Error("kinds are forgotten while it is not known who asks")
	}
	c.ready = true
	if c.look(); len(c.watched) != 0 {
		t.Errorf("nobody asks, and %s are watched", kinds())
	}
}

// An object that several projects look at is one.
func TestOrphansAreCountedOnce(t *testing.T) {
	c := newCluster(t)
	if _, asked := c.w.Total(); asked {
		t.Error("nobody asks")
	}
	c.has("ConfigMap n/one", "ConfigMap n/two", "Secret n/three", "ConfigMap m/four", "ConfigMap other/five")
	all := model.AppProjectSpec{OrphanedResources: &model.OrphanedResources{}}
	some := model.AppProjectSpec{OrphanedResources: &model.OrphanedResources{Ignore: []model.KindRule{{Kind: "Secret"}}}}
	c.apps = []App{app("a", "p", "n", all), app("b", "p", "n", all), app("c", "q", "n", some), app("d", "q", "m", some)}
	c.look()
	if n, asked := c.w.Total(); n != 4 || !asked {
		t.Errorf("%d, %v", n, asked)
	}
	c.apps = nil
	c.w.Moved()
	c.look()
	if n, asked := c.w.Total(); n != 0 || asked {
		t.Errorf("nobody asks any more: %d, %v", n, asked)
	}
}

func TestNothingIsWatchedUntilAProjectAsks(t *testing.T) {
	c := newCluster(t)
	c.has("ConfigMap n/left")
	if c.look(); len(c.watched) != 0 || c.looks != 0 || len(c.changed) != 0 {
		t.Errorf("watched %v, looked %d times", c.watched, c.looks)
	}
	c.w.Event(live.Event{Key: key("ConfigMap n/left"), SpecChanged: true})
	c.w.Kind(model.GroupKind{})
	if len(c.w.wake) != 0 {
		t.Error("an event woke it")
	}
	no := false
	c.apps = []App{app("a", "p", "n", model.AppProjectSpec{OrphanedResources: &model.OrphanedResources{Warn: &no, Ignore: []model.KindRule{{Group: "example.org"}}}})}
	c.w.Moved()
	if got := c.look(); !slices.Equal(got, []model.AppUID{"a"}) {
		t.Errorf("told %v", got)
	}
	c.want("a", "left")
	if _, warn := c.w.Condition("a"); warn {
		t.Error("a warning that is not asked for")
	}
	for _, gk := range []string{"Event", "Node", "example.org/Thing", "example.org/Review"} {
		if c.watched[key(gk+" x").GroupKind()] {
			t.Errorf("%s is watched", gk)
		}
	}
	if len(c.watched) != 4 {
		t.Errorf("watched %v", c.watched)
	}
}

func TestApplicationsOfOneNamespaceDoNotOrphanEachOthersObjects(t *testing.T) {
	c := newCluster(t)
	c.has("ConfigMap n/one", "ConfigMap n/two", "ConfigMap n/left", "ConfigMap other/left", "Secret m/left")
	c.owned[key("ConfigMap n/one")], c.owned[key("ConfigMap n/two")] = true, true
	c.apps = []App{app("a", "p", "n", asking()), app("b", "p", "n", asking()), app("c", "q", "m", asking()), app("d", "q", "", asking())}
	if got := c.look(); !slices.Equal(got, []model.AppUID{"a", "b", "c"}) {
		t.Errorf("told %v", got)
	}
	c.want("a", "left")
	c.want("b", "left")
	c.want("c", "left")
	c.want("d")
	if cond, warn := c.w.Condition("b"); !warn || cond.Message != "1 object in namespace n belongs to no application: ConfigMap left" {
		t.Errorf("got %+v", cond)
	}
	if len(c.w.groups) != 2 {
		t.Errorf("%d groups", len(c.w.groups))
	}
}

func TestOnlyWhatMovedIsLookedAtAndTold(t *testing.T) {
	c := newCluster(t)
	c.has("ConfigMap n/left", "ConfigMap m/left")
	c.apps = []App{app("a", "p", "n", asking()), app("b", "p", "m", asking())}
	c.look()
	if got := c.look(); len(got) != 0 {
		t.Errorf("told %v of nothing", got)
	}
	before := c.looks
	if c.look(); c.looks != before {
		t.Error("looked though nothing moved")
	}
	c.has("ConfigMap n/left", "ConfigMap m/left", "Secret m/new")
	for _, ev := range []live.Event{{Key: key("Secret m/new")}, {Key: key("Secret other/new"), SpecChanged: true}, {Key: key("Event m/new"), SpecChanged: true}} {
		if c.w.Event(ev); len(c.w.wake) != 0 {
			t.Errorf("%v woke it", ev)
		}
	}
	c.w.Event(live.Event{Key: key("Secret m/new"), SpecChanged: true})
	if got := c.look(); !slices.Equal(got, []model.AppUID{"b"}) {
		t.Errorf("told %v", got)
	}
	c.want("b", "left", "new")

	c.w.Event(live.Event{Key: key("ConfigMap m/left"), Deleted: true})
	c.has("ConfigMap n/left", "Secret m/new")
	c.look()
	c.want("b", "new")

	c.apps = c.apps[:1]
	c.w.Moved()
	if got := c.look(); !slices.Equal(got, []model.AppUID{"b"}) {
		t.Errorf("told %v", got)
	}
	c.want("b")
	c.want("a", "left")
	c.apps = nil
	c.w.Moved()
	c.look()
	if c.want("a"); c.w.looking() {
		t.Error("it looks for nobody")
	}
}

func TestWhileOwnersAreUnknownNothingIsSaid(t *testing.T) {
	c := newCluster(t)
	c.has("ConfigMap n/left")
	c.apps, c.ready = []App{app("a", "p", "n", asking())}, false
	if got := c.look(); len(got) != 0 || c.looks != 0 {
		t.Errorf("told %v", got)
	}
	c.ready = true
	c.look()
	c.want("a", "left")
	c.ready = false // another application comes; what is known stays
	c.has()
	c.w.Moved()
	c.look()
	c.want("a", "left")
}

func TestKindsAreWaitedForAndNotForEver(t *testing.T) {
	c := newCluster(t)
	c.has("ConfigMap n/left")
	c.unsynced[model.GroupKind{Kind: "Secret"}] = true
	c.apps = []App{app("a", "p", "n", asking())}
	if later := c.w.look(); later <= 0 || later > patience || c.looks != 0 {
		t.Errorf("try again in %s", later)
	}
	c.now = c.now.Add(patience)
	if later := c.w.look(); later != 0 {
		t.Errorf("try again in %s", later)
	}
	c.want("a", "left")
	if cond, _ := c.w.Condition("a"); cond.Message != "1 object in namespace n belongs to no application: ConfigMap left; not all is seen, as kind Secret cannot be observed now" {
		t.Errorf("got %q", cond.Message)
	}
	delete(c.unsynced, model.GroupKind{Kind: "Secret"})
	c.w.Kind(model.GroupKind{Kind: "Secret"})
	c.look()
	if cond, _ := c.w.Condition("a"); cond.Message != "1 object in namespace n belongs to no application: ConfigMap left" {
		t.Errorf("got %q", cond.Message)
	}
}

func TestAProjectThatChangesIsAskedAnew(t *testing.T) {
	c := newCluster(t)
	c.has("ConfigMap n/left", "ConfigMap n/right")
	c.apps = []App{app("a", "p", "n", asking())}
	c.look()
	c.apps = []App{app("a", "p", "n", asking(model.KindRule{Kind: "ConfigMap", Name: "l*"}))}
	c.w.Moved()
	c.look()
	c.want("a", "right")
}
