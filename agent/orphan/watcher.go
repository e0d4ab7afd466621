package orphan

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/shared/model"
)

const (
	// settle lets a burst of news cause one look, pace is the least time between
	// two.
	settle = 300 * time.Millisecond
	pace   = 2 * time.Second
	// patience is how long the first list of a kind is waited for. One that the
	// cluster refuses to show does not keep the others from being looked at.
	patience = 10 * time.Second
)

// Observer is what is seen of the cluster, observe.Observer. Its methods do not
// wait for the cluster.
type Observer interface {
	Kinds() []live.Kind
	WatchNames(...model.GroupKind)
	ForgetNames(...model.GroupKind)
	Synced(model.GroupKind) bool
	In(gk model.GroupKind, namespaces map[string]bool, topLevel bool) []live.Record
}

// App is an application whose project asks for orphans.
type App struct {
	UID     model.AppUID
	Desired *model.Desired // never modified; another one when it changed
}

// Options configure a Watcher. All fields without a default are required, and none
// of the functions may wait.
type Options struct {
	Observer Observer
	// Apps lists the applications whose project asks. ready is false while it is
	// not known of every application what it owns.
	Apps func() (apps []App, ready bool)
	// Owned is Neighbours.Owned.
	Owned func(key model.ObjectKey, app string) bool
	// Changed is called with applications of which something else was found.
	Changed func(...model.AppUID)
	Now     func() time.Time // time.Now when nil
}

// Watcher keeps what is orphaned in the namespaces of applications. Its methods
// may be called from several goroutines.
type Watcher struct {
	o    Options
	wake chan struct{}

	mu         sync.Mutex
	all        bool            // everything is to be looked at again
	dirty      map[string]bool // or these namespaces
	namespaces map[string]bool // that are looked at; nil: nobody asks
	kinds      map[model.GroupKind]bool
	found      map[model.AppUID]*finding

	// Used by Run only.
	asked   map[model.AppUID]asked
	groups  map[string]*group
	watched map[model.GroupKind]time.Time // since when
}

// asked is what an application asks for, as long as its desired state is the same.
type asked struct {
	desired *model.Desired
	group   string
}

// group are applications of one project in one namespace: what is orphaned is the
// same for all of them.
type group struct {
	namespace string
	rules     *Rules
	looks     map[model.GroupKind]bool // what rules.Looks has answered
	finding   *finding
}

type finding struct {
	Found
	namespace string
	warn      bool
	unseen    []model.GroupKind
}

// New makes a Watcher.
func New(o Options) *Watcher {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Watcher{o: o, wake: make(chan struct{}, 1), all: true, dirty: map[string]bool{}, found: map[model.AppUID]*finding{},
		asked: map[model.AppUID]asked{}, groups: map[string]*group{}, watched: map[model.GroupKind]time.Time{}}
}

// Condition is the warning about the namespace of an application, false for none.
func (w *Watcher) Condition(app model.AppUID) (model.Condition, bool) {
	w.mu.Lock()
	f := w.found[app]
	w.mu.Unlock()
	if f == nil {
		return model.Condition{}, false
	}
	return f.Condition(f.warn, f.namespace, f.unseen)
}

// Of answers what is orphaned in the namespace of an application. It must not be
// modified.
func (w *Watcher) Of(app model.AppUID) Found {
	w.mu.Lock()
	defer w.mu.Unlock()
	if f := w.found[app]; f != nil {
		return f.Found
	}
	return Found{}
}

// Total is how many objects are orphaned, in all namespaces that some project asks
// about; asked is false when there are none.
func (w *Watcher) Total() (n int, asked bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	// Several projects may look at one namespace, each in its own way.
	most := map[string]int{}
	for _, f := range w.found {
		most[f.namespace] = max(most[f.namespace], f.Total)
	}
	for _, m := range most {
		n += m
	}
	return n, w.namespaces != nil
}

// Moved says that an application came, went, or owns something else.
func (w *Watcher) Moved() { w.mark("") }

// Event takes news of the observer.
func (w *Watcher) Event(ev live.Event) {
	if !ev.SpecChanged && !ev.Deleted || ev.Key.Namespace == "" {
		return
	}
	w.mu.Lock()
	concerned := w.namespaces[ev.Key.Namespace] && w.kinds[ev.Key.GroupKind()]
	w.mu.Unlock()
	if concerned {
		w.mark(ev.Key.Namespace)
	}
}

// Kind takes news of the observer about a kind; the zero kind stands for what the
// cluster serves.
func (w *Watcher) Kind(gk model.GroupKind) {
	w.mu.Lock()
	concerned := w.namespaces != nil && (gk == (model.GroupKind{}) || w.kinds[gk])
	w.mu.Unlock()
	if concerned {
		w.mark("")
	}
}

// mark has a namespace looked at, "" for all.
func (w *Watcher) mark(namespace string) {
	w.mu.Lock()
	if namespace == "" {
		w.all = true
	} else {
		w.dirty[namespace] = true
	}
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// Run looks when something has moved, until ctx ends.
func (w *Watcher) Run(ctx context.Context) error {
	again := time.NewTimer(0)
	defer again.Stop()
	rest := func(d time.Duration) bool {
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-ctx.Done():
			return false
		case <-t.C:
			return true
		}
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-w.wake:
		case <-again.C:
		}
		if !rest(settle) {
			return nil
		}
		began := w.o.Now()
		if later := w.look(); later > 0 {
			again.Reset(later)
		} else {
			again.Stop()
		}
		if w.looking() && !rest(pace-min(pace, w.o.Now().Sub(began))) {
			return nil
		}
	}
}

func (w *Watcher) looking() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.namespaces != nil
}

// look finds what is orphaned in the namespaces that are marked. later is when to
// try again though nothing moves, 0 for never.
func (w *Watcher) look() (later time.Duration) {
	apps, ready := w.o.Apps()
	if !ready {
		return 0 // it is said when it is
	}
	w.regroup(apps)
	kinds := w.watch()
	now := w.o.Now()
	for gk := range kinds {
		if wait := w.watched[gk].Add(patience).Sub(now); wait > 0 && !w.o.Observer.Synced(gk) {
			return wait
		}
	}

	w.mu.Lock()
	namespaces := w.dirty
	if w.all {
		namespaces = w.namespaces
	}
	w.all, w.dirty = false, map[string]bool{}
	w.mu.Unlock()
	fresh := map[*group]*finding{}
	for _, g := range w.groups {
		if g.finding == nil || namespaces[g.namespace] {
			fresh[g] = &finding{namespace: g.namespace, warn: g.rules.Warn}
		}
	}
	w.find(fresh)

	var changed []model.AppUID
	for g, f := range fresh {
		if g.finding == nil || !reflect.DeepEqual(g.finding, f) {
			g.finding = f
		}
	}
	w.mu.Lock()
	for uid, a := range w.asked {
		if f := w.groups[a.group].finding; w.found[uid] != f {
			w.found[uid] = f
			changed = append(changed, uid)
		}
	}
	for uid := range w.found {
		if _, asks := w.asked[uid]; !asks {
			delete(w.found, uid)
			changed = append(changed, uid)
		}
	}
	w.mu.Unlock()
	if len(changed) > 0 {
		w.o.Changed(changed...)
	}
	return 0
}

// regroup takes the applications that ask now.
func (w *Watcher) regroup(apps []App) {
	was, groups := w.asked, w.groups
	w.asked, w.groups = make(map[model.AppUID]asked, len(apps)), map[string]*group{}
	namespaces := map[string]bool{}
	for _, app := range apps {
		d := app.Desired
		namespace := d.Spec.Namespace
		if d.ProjectSpec.OrphanedResources == nil || namespace == "" {
			continue
		}
		a := was[app.UID]
		if a.desired != d {
			a = asked{d, groupOf(d)}
		}
		w.asked[app.UID] = a
		if w.groups[a.group] == nil {
			g := groups[a.group]
			if g == nil {
				g = &group{namespace: namespace, rules: RulesOf(d.ProjectSpec), looks: map[model.GroupKind]bool{}}
			}
			w.groups[a.group] = g
		}
		namespaces[namespace] = true
	}
	if len(namespaces) == 0 {
		namespaces = nil
	}
	w.mu.Lock()
	w.namespaces = namespaces
	w.mu.Unlock()
}

func groupOf(d *model.Desired) string {
	b, err := json.Marshal(d.ProjectSpec)
	if err != nil {
		panic(err) // it was decoded from JSON
	}
	sum := sha256.Sum256(b)
	return d.Project + "\x00" + d.Spec.Namespace + "\x00" + string(sum[:])
}

// watch observes the kinds that some project looks at, and no others, and answers
// them.
func (w *Watcher) watch() map[model.GroupKind]bool {
	kinds := map[model.GroupKind]bool{}
	if len(w.groups) > 0 {
		for _, k := range w.o.Observer.Kinds() {
			if !k.Namespaced || !k.Watchable {
				continue
			}
			for _, g := range w.groups {
				if g.asks(k.GroupKind) {
					kinds[k.GroupKind] = true
					// What tells whose an object is counts as well.
					switch k.GroupKind {
					case kindSecret:
						kinds[kindServiceAccount] = true
					case kindClaim:
						kinds[kindStatefulSet] = true
					}
					break
				}
			}
		}
	}
	w.mu.Lock()
	w.kinds = kinds
	w.mu.Unlock()
	now := w.o.Now()
	for gk := range kinds {
		if _, known := w.watched[gk]; !known {
			w.watched[gk] = now
			w.o.Observer.WatchNames(gk)
		}
	}
	for gk := range w.watched {
		if !kinds[gk] {
			delete(w.watched, gk)
			w.o.Observer.ForgetNames(gk)
		}
	}
	return kinds
}

func (g *group) asks(gk model.GroupKind) bool {
	yes, known := g.looks[gk]
	if !known {
		yes = g.rules.Looks(gk)
		g.looks[gk] = yes
	}
	return yes
}

// find fills the findings, kind by kind, so that no more than the objects of one
// kind are in memory.
func (w *Watcher) find(fresh map[*group]*finding) {
	if len(fresh) == 0 {
		return
	}
	namespaces := map[string]bool{}
	for g := range fresh {
		namespaces[g.namespace] = true
	}
	names := func(gk model.GroupKind) map[string]map[string]bool {
		out := map[string]map[string]bool{}
		for _, rec := range w.o.Observer.In(gk, namespaces, false) {
			if out[rec.Key.Namespace] == nil {
				out[rec.Key.Namespace] = map[string]bool{}
			}
			out[rec.Key.Namespace][rec.Key.Name] = true
		}
		return out
	}
	accounts, sets := names(kindServiceAccount), names(kindStatefulSet)
	for _, k := range w.o.Observer.Kinds() { // by group and kind
		gk := k.GroupKind
		if _, watched := w.watched[gk]; !watched || !k.Namespaced {
			continue
		}
		unseen := !w.o.Observer.Synced(gk)
		byNamespace := map[string][]live.Record{}
		for _, rec := range w.o.Observer.In(gk, namespaces, true) {
			byNamespace[rec.Key.Namespace] = append(byNamespace[rec.Key.Namespace], rec)
		}
		for g, f := range fresh {
			if !g.asks(gk) {
				continue
			}
			if unseen && !slices.Contains(f.unseen, gk) {
				f.unseen = append(f.unseen, gk)
			}
			f.add(g.rules, byNamespace[g.namespace], Neighbours{ServiceAccounts: accounts[g.namespace], StatefulSets: sets[g.namespace], Owned: w.o.Owned})
		}
	}
}
