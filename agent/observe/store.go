package observe

import (
	"slices"
	"sync"
	"time"

	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/shared/model"
)

// state is what may be said about the objects of a kind.
type state int

const (
	stateUnsynced state = iota // never listed completely, or listed with less than is wanted now
	stateLive                  // listed and watched: absence is known
	stateBroken                // was live; the watch is gone and could not be opened again yet
	stateGone                  // the server does not serve the kind: nothing is known
)

// store holds the records. It knows nothing of how they arrive.
type store struct {
	now      func() time.Time
	excluded []string
	scope    []string // the only namespaces that are looked into; empty for all

	mu       sync.RWMutex
	kinds    map[model.GroupKind]*kindStore
	byUID    map[uidKey]*entry // tracked or owned objects: what owner chains lead through
	byApp    map[string][]*entry
	children map[string][]*entry // by uid of an owner
	tick     uint64              // counts sightings
	saws     map[*entry]uint64   // tick at which an entry that is ours was seen
	gone     gone
}

type kindStore struct {
	gk       model.GroupKind
	versions []string // of the API, as objects of the kind have had
	objects  objects
	free     []*entry // see entry
	state    state
	reason   string // why it is not live, for people
	since    time.Time
	full     bool   // whole objects are wanted
	sweep    uint32 // number of the list that is running or ran last
	began    uint64 // tick when that list began
	// reached is the resource version up to which list and watch have brought
	// everything, "" while a list is running. With a scope each namespace has its
	// own, in reachedIn.
	reached   string
	reachedIn map[string]string
}

type nsName struct{ namespace, name string }

func newStore(now func() time.Time, excluded []string, scope ...string) *store {
	return &store{
		now:      now,
		excluded: excluded,
		scope:    scope,
		kinds:    map[model.GroupKind]*kindStore{},
		byUID:    map[uidKey]*entry{},
		byApp:    map[string][]*entry{},
		children: map[string][]*entry{},
		saws:     map[*entry]uint64{},
	}
}

func (s *store) addKind(gk model.GroupKind, full bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.kinds[gk] == nil {
		s.kinds[gk] = &kindStore{gk: gk, full: full, since: s.now()}
	}
}

// dropKind forgets a kind. Its objects are not noted as gone.
func (s *store) dropKind(gk model.GroupKind) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.kinds[gk]
	if k == nil {
		return
	}
	for _, e := range k.objects.all() {
		s.unindexLocked(e)
		s.sawLocked(e, 0)
	}
	delete(s.kinds, gk)
}

// upgradeKind makes a kind unsynced until it was listed with whole objects.
func (s *store) upgradeKind(gk model.GroupKind) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.kinds[gk]
	if k == nil {
		return // it is added with what is wanted then
	}
	k.full = true
	k.state, k.since = stateUnsynced, s.now()
}

func (s *store) wantsFull(gk model.GroupKind) (full, watched bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	k := s.kinds[gk]
	return k != nil && k.full, k != nil
}

// setState enters a state that is not stateLive; it reports whether it changed.
func (s *store) setState(gk model.GroupKind, st state, reason string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.kinds[gk]
	if k == nil {
		return false
	}
	if st == stateBroken && k.state == stateUnsynced {
		st = stateUnsynced // it never was live
	}
	k.reason = reason
	if k.state == st {
		return false
	}
	k.state, k.since = st, s.now()
	return true
}

// setLive says that the kind was listed with the content full and is watched.
// It does nothing when whole objects are wanted meanwhile.
func (s *store) setLive(gk model.GroupKind, full bool) (changed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.kinds[gk]
	if k == nil || k.full != full || k.state == stateLive {
		return false
	}
	k.state, k.reason, k.since = stateLive, "", s.now()
	return true
}

func (s *store) kindState(gk model.GroupKind) state {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if k := s.kinds[gk]; k != nil {
		return k.state
	}
	return stateUnsynced
}

func (s *store) kindReason(gk model.GroupKind) string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if k := s.kinds[gk]; k != nil {
		return k.reason
	}
	return "the kind is not watched"
}

func (s *store) get(key model.ObjectKey) (live.Record, live.Presence) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	k := s.kinds[key.GroupKind()]
	if k == nil || s.isExcluded(key.Namespace) {
		return live.Record{}, live.Unknown
	}
	if e := k.objects.get(nsName{key.Namespace, key.Name}); e != nil {
		if k.state == stateGone || k.full && !e.full {
			return e.record(), live.Unknown
		}
		return e.record(), live.Present
	}
	if k.state == stateLive {
		return live.Record{}, live.Absent
	}
	return live.Record{}, live.Unknown
}

func (s *store) isExcluded(namespace string) bool {
	return namespace != "" && (slices.Contains(s.excluded, namespace) || len(s.scope) > 0 && !slices.Contains(s.scope, namespace))
}

func (s *store) tracked(app string) []live.Record {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return records(s.byApp[app])
}

func (s *store) ownedBy(uid string) []live.Record {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return records(s.children[uid])
}

func records(es []*entry) []live.Record {
	out := make([]live.Record, len(es))
	for i, e := range es {
		out[i] = e.record()
	}
	return out
}

func (s *store) list(gk model.GroupKind) []live.Record {
	s.mu.RLock()
	defer s.mu.RUnlock()
	k := s.kinds[gk]
	if k == nil {
		return nil
	}
	out := make([]live.Record, 0, k.objects.n)
	for _, e := range k.objects.all() {
		out = append(out, e.record())
	}
	return out
}

// in makes records only of what it answers: most objects of a cluster have owners,
// or are elsewhere.
func (s *store) in(gk model.GroupKind, namespaces map[string]bool, topLevel bool) (out []live.Record) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	k := s.kinds[gk]
	if k == nil {
		return nil
	}
	for _, e := range k.objects.slots {
		if e != nil && namespaces[e.namespace] && !(topLevel && len(e.owners()) > 0) {
			out = append(out, e.record())
		}
	}
	return out
}

func (s *store) count(gk model.GroupKind) int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if k := s.kinds[gk]; k != nil {
		return k.objects.n
	}
	return 0
}

// beginList starts a complete list of a kind: objects that it does not bring
// before endList are gone.
func (s *store) beginList(gk model.GroupKind) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := s.kinds[gk]; k != nil {
		k.sweep++
		k.began, k.reached, k.reachedIn = s.tick, "", nil
	}
}

// reach notes how far the watch of a kind has come, in a namespace where each is
// watched by itself.
func (s *store) reach(gk model.GroupKind, namespace, resourceVersion string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := s.kinds[gk]; k != nil {
		s.reachLocked(k, namespace, resourceVersion)
	}
}

func (s *store) reachLocked(k *kindStore, namespace, resourceVersion string) {
	if len(s.scope) == 0 {
		k.reached = resourceVersion
		return
	}
	if k.reachedIn == nil {
		k.reachedIn = map[string]string{}
	}
	k.reachedIn[namespace] = resourceVersion
}

func (s *store) reachedLocked(k *kindStore, namespace string) string {
	if len(s.scope) == 0 {
		return k.reached
	}
	return k.reachedIn[namespace]
}

// endList removes what the list, which shows the state at resourceVersion, did
// not bring. What we saw ourselves while it ran, and is newer, stays.
func (s *store) endList(gk model.GroupKind, resourceVersion string) []live.Event {
	return s.endLists(gk, map[string]string{"": resourceVersion})
}

// endLists is endList where each namespace was listed by itself, at a version of
// its own.
func (s *store) endLists(gk model.GroupKind, versions map[string]string) (events []live.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.kinds[gk]
	if k == nil {
		return nil
	}
	for namespace, version := range versions {
		s.reachLocked(k, namespace, version)
	}
	for _, e := range k.objects.all() {
		if e.seen == k.sweep || s.saws[e] > k.began && newer(e.resourceVersion(), s.reachedLocked(k, e.namespace)) {
			continue
		}
		events = append(events, s.removeLocked(k, e))
	}
	return events
}

// put takes an object that a list or watch brought. ok is false when nothing
// changed that a reader of records could see.
func (s *store) put(rec live.Record, full, listing bool) (ev live.Event, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.kinds[rec.Key.GroupKind()]
	if k == nil || s.isExcluded(rec.Key.Namespace) {
		return live.Event{}, false
	}
	if !listing {
		s.reachLocked(k, rec.Key.Namespace, rec.ResourceVersion)
	}
	e := k.objects.get(nsName{rec.Key.Namespace, rec.Key.Name})
	if e != nil {
		e.seen = k.sweep
		// Our own sight is newer than the stream, which will catch up. A list
		// that began after our sight is the truth whatever its numbers say: the
		// cluster may have been restored from a backup.
		if e.ours && newer(e.resourceVersion(), rec.ResourceVersion) && (!listing || s.saws[e] > k.began) {
			return live.Event{}, false
		}
		s.sawLocked(e, 0)
		if e.full == full && !e.doubted && e.is(rec) {
			return live.Event{}, false
		}
	}
	return s.replaceLocked(k, e, rec, full, 0)
}

// saw takes an object from an answer to our own request.
func (s *store) saw(rec live.Record, full bool) (ev live.Event, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.kinds[rec.Key.GroupKind()]
	if k == nil || k.full != full || s.isExcluded(rec.Key.Namespace) {
		return live.Event{}, false
	}
	e := k.objects.get(nsName{rec.Key.Namespace, rec.Key.Name})
	if e != nil && (e.full == full || !full) && !newer(rec.ResourceVersion, e.resourceVersion()) &&
		!(e.doubted && e.is(rec)) {
		return live.Event{}, false
	}
	if reached := s.reachedLocked(k, rec.Key.Namespace); e == nil && isNumber(rec.ResourceVersion) && isNumber(reached) && !newer(rec.ResourceVersion, reached) {
		// The watch is further than that and does not know the object: it was
		// deleted again before our request was answered, and nothing would ever
		// take it away.
		return live.Event{}, false
	}
	s.tick++
	return s.replaceLocked(k, e, rec, full, s.tick)
}

// remove takes a deletion that the watch brought, with the last state of the
// object.
func (s *store) remove(last live.Record) (ev live.Event, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.kinds[last.Key.GroupKind()]
	if k == nil || s.isExcluded(last.Key.Namespace) {
		return live.Event{}, false
	}
	s.reachLocked(k, last.Key.Namespace, last.ResourceVersion)
	e := k.objects.get(nsName{last.Key.Namespace, last.Key.Name})
	if e != nil && e.ours && newer(e.resourceVersion(), last.ResourceVersion) {
		return live.Event{}, false // created again by us since
	}
	if e == nil {
		s.gone.note(last)
		return live.Event{Key: last.Key, Apps: apps(last), SpecChanged: true, Deleted: true}, last.Run != "" && last.TrackingID != ""
	}
	known := e.record().Health
	ev = s.removeLocked(k, e)
	if last.Body != nil { // else it says less than what was known
		if last.Health.Status == known.Status {
			last.Health.Since = known.Since
		}
		s.gone.note(last)
	}
	return ev, true
}

func (s *store) replaceLocked(k *kindStore, e *entry, rec live.Record, full bool, saw uint64) (ev live.Event, ok bool) {
	if e == nil {
		e = k.entry()
		e.nsName, e.full, e.seen = nsName{rec.Key.Namespace, rec.Key.Name}, full, k.sweep
		e.set(rec)
		s.sawLocked(e, saw)
		k.objects.add(e)
		s.gone.forget(rec.Key)
		s.indexLocked(e)
		ev = live.Event{Key: rec.Key, Apps: apps(rec), SpecChanged: true, TreeOf: s.treeOfLocked(rec)}
		// While nothing is known of a kind nobody can have asked about an object
		// that is no application's; that the kind becomes known is told as a whole.
		return ev, k.state == stateLive || saw > 0 || ev.Apps != nil || ev.TreeOf != nil
	}
	before, wasFull := e.record(), e.full
	rec.Health = s.since(before, rec)
	tree := s.treeOfLocked(before)
	s.unindexLocked(e)
	e.set(rec)
	e.full, e.doubted = full, false
	s.sawLocked(e, saw)
	s.indexLocked(e)
	ev = live.Event{
		Key:  rec.Key,
		Apps: union(apps(before), apps(rec)),
		SpecChanged: before.UID != rec.UID || before.SpecHash != rec.SpecHash || before.TrackingID != rec.TrackingID ||
			before.Deleting != rec.Deleting || wasFull != full || !slices.Equal(before.Owners, rec.Owners),
		TreeOf: union(tree, s.treeOfLocked(rec)),
	}
	return ev, ev.SpecChanged || visible(before, rec)
}

// sawLocked notes the tick at which an entry came from an answer to our own
// request; 0 when the watch has caught up with it.
func (s *store) sawLocked(e *entry, tick uint64) {
	if tick > 0 {
		s.saws[e] = tick
	} else if e.ours {
		delete(s.saws, e)
	}
	e.ours = tick > 0
}

// since is the health of rec with the time since when the object has it; before is
// what was known of it.
func (s *store) since(before, rec live.Record) model.HealthFacet {
	h := rec.Health
	switch {
	case h.Status == before.Health.Status && before.UID == rec.UID:
		h.Since = before.Health.Since
	case h.Status != "":
		at := s.now()
		h.Since = &at
	}
	return h
}

// visible reports whether a status change shows in a record.
func visible(a, b live.Record) bool {
	return a.Health.Status != b.Health.Status || a.Health.Message != b.Health.Message || a.HealthIgnored != b.HealthIgnored ||
		a.Generation != b.Generation && b.TrackingID != "" ||
		!slices.Equal(a.Images, b.Images) || !slices.Equal(a.Info, b.Info) || !slices.Equal(a.Owners, b.Owners)
}

func (s *store) removeLocked(k *kindStore, e *entry) live.Event {
	rec := e.record()
	ev := live.Event{Key: rec.Key, Apps: apps(rec), SpecChanged: true, Deleted: true, TreeOf: s.treeOfLocked(rec)}
	s.unindexLocked(e)
	k.objects.remove(e.nsName)
	s.sawLocked(e, 0)
	k.release(e)
	s.gone.note(rec)
	return ev
}

// newer reports whether resource version a is later than b. They are integers
// wherever etcd is behind the API server; anything else counts as news when it
// differs.
func newer(a, b string) bool {
	if !isNumber(a) || !isNumber(b) {
		return a != b
	}
	if len(a) != len(b) {
		return len(a) > len(b)
	}
	return a > b
}

// isNumber: digits without a leading zero, so that they compare by length.
func isNumber(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != "" && s[0] != '0'
}
