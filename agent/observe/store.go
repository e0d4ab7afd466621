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

	mu       sync.RWMutex
	kinds    map[model.GroupKind]*kindStore
	byUID    map[string]*entry // tracked or owned objects: what owner chains lead through
	byApp    map[string][]*entry
	children map[string][]*entry // by uid of an owner
	tick     uint64              // counts sightings
}

type kindStore struct {
	objects map[nsName]*entry
	state   state
	reason  string // why it is not live, for people
	since   time.Time
	full    bool   // whole objects are wanted
	sweep   uint64 // number of the list that is running or ran last
	began   uint64 // tick when that list began
	// reached is the resource version up to which list and watch have brought
	// everything, "" while a list is running.
	reached string
}

type nsName struct{ namespace, name string }

type entry struct {
	rec  live.Record
	full bool   // rec was made of a whole object
	seen uint64 // sweep that saw it last
	// saw is the tick at which the record came from an answer to our own
	// request, 0 when the watch has caught up with it.
	saw uint64
}

func newStore(now func() time.Time, excluded []string) *store {
	return &store{
		now:      now,
		excluded: excluded,
		kinds:    map[model.GroupKind]*kindStore{},
		byUID:    map[string]*entry{},
		byApp:    map[string][]*entry{},
		children: map[string][]*entry{},
	}
}

func (s *store) addKind(gk model.GroupKind, full bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.kinds[gk] == nil {
		s.kinds[gk] = &kindStore{objects: map[nsName]*entry{}, full: full, since: s.now()}
	}
}

// upgradeKind makes a kind unsynced until it was listed with whole objects.
func (s *store) upgradeKind(gk model.GroupKind) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.kinds[gk]
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
	if e := k.objects[nsName{key.Namespace, key.Name}]; e != nil {
		if k.state == stateGone || k.full && !e.full {
			return e.rec, live.Unknown
		}
		return e.rec, live.Present
	}
	if k.state == stateLive {
		return live.Record{}, live.Absent
	}
	return live.Record{}, live.Unknown
}

func (s *store) isExcluded(namespace string) bool {
	return namespace != "" && slices.Contains(s.excluded, namespace)
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
		out[i] = e.rec
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
	out := make([]live.Record, 0, len(k.objects))
	for _, e := range k.objects {
		out = append(out, e.rec)
	}
	return out
}

func (s *store) count(gk model.GroupKind) int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if k := s.kinds[gk]; k != nil {
		return len(k.objects)
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
		k.began, k.reached = s.tick, ""
	}
}

// reach notes how far the watch of a kind has come.
func (s *store) reach(gk model.GroupKind, resourceVersion string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := s.kinds[gk]; k != nil {
		k.reached = resourceVersion
	}
}

// endList removes what the list, which shows the state at resourceVersion, did
// not bring. What we saw ourselves while it ran, and is newer, stays.
func (s *store) endList(gk model.GroupKind, resourceVersion string) (events []live.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.kinds[gk]
	if k == nil {
		return nil
	}
	k.reached = resourceVersion
	for _, e := range k.objects {
		if e.seen == k.sweep || e.saw > k.began && newer(e.rec.ResourceVersion, resourceVersion) {
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
		k.reached = rec.ResourceVersion
	}
	e := k.objects[nsName{rec.Key.Namespace, rec.Key.Name}]
	if e != nil {
		e.seen = k.sweep
		// Our own sight is newer than the stream, which will catch up. A list
		// that began after our sight is the truth whatever its numbers say: the
		// cluster may have been restored from a backup.
		if e.saw > 0 && newer(e.rec.ResourceVersion, rec.ResourceVersion) && (!listing || e.saw > k.began) {
			return live.Event{}, false
		}
		e.saw = 0
		if e.rec.UID == rec.UID && e.rec.ResourceVersion == rec.ResourceVersion && e.full == full {
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
	e := k.objects[nsName{rec.Key.Namespace, rec.Key.Name}]
	if e != nil && (e.full == full || !full) && !newer(rec.ResourceVersion, e.rec.ResourceVersion) {
		return live.Event{}, false
	}
	if e == nil && isNumber(rec.ResourceVersion) && isNumber(k.reached) && !newer(rec.ResourceVersion, k.reached) {
		// The watch is further than that and does not know the object: it was
		// deleted again before our request was answered, and nothing would ever
		// take it away.
		return live.Event{}, false
	}
	s.tick++
	return s.replaceLocked(k, e, rec, full, s.tick)
}

// remove takes a deletion that the watch brought.
func (s *store) remove(gk model.GroupKind, namespace, name, resourceVersion string) (ev live.Event, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.kinds[gk]
	if k == nil {
		return live.Event{}, false
	}
	k.reached = resourceVersion
	e := k.objects[nsName{namespace, name}]
	if e == nil || e.saw > 0 && newer(e.rec.ResourceVersion, resourceVersion) {
		return live.Event{}, false // never known, or created again by us since
	}
	return s.removeLocked(k, e), true
}

func (s *store) replaceLocked(k *kindStore, e *entry, rec live.Record, full bool, saw uint64) (ev live.Event, ok bool) {
	if e == nil {
		e = &entry{rec: rec, full: full, seen: k.sweep, saw: saw}
		k.objects[nsName{rec.Key.Namespace, rec.Key.Name}] = e
		s.indexLocked(e)
		return live.Event{Key: rec.Key, Apps: apps(rec), SpecChanged: true, TreeOf: s.treeOfLocked(rec)}, true
	}
	before, wasFull := e.rec, e.full
	switch {
	case rec.Health.Status == before.Health.Status && before.UID == rec.UID:
		rec.Health.Since = before.Health.Since
	case rec.Health.Status != "":
		at := s.now()
		rec.Health.Since = &at
	}
	tree := s.treeOfLocked(before)
	s.unindexLocked(e)
	e.rec, e.full, e.saw = rec, full, saw
	s.indexLocked(e)
	ev = live.Event{
		Key:  rec.Key,
		Apps: union(apps(before), apps(rec)),
		SpecChanged: before.UID != rec.UID || before.SpecHash != rec.SpecHash || before.TrackingID != rec.TrackingID ||
			before.Deleting != rec.Deleting || wasFull != full,
		TreeOf: union(tree, s.treeOfLocked(rec)),
	}
	return ev, ev.SpecChanged || visible(before, rec)
}

// visible reports whether a status change shows in a record.
func visible(a, b live.Record) bool {
	return a.Health.Status != b.Health.Status || a.Health.Message != b.Health.Message || a.HealthIgnored != b.HealthIgnored ||
		a.Generation != b.Generation && b.TrackingID != "" ||
		!slices.Equal(a.Images, b.Images) || !slices.Equal(a.Info, b.Info) || !slices.Equal(a.Owners, b.Owners)
}

func (s *store) removeLocked(k *kindStore, e *entry) live.Event {
	ev := live.Event{Key: e.rec.Key, Apps: apps(e.rec), SpecChanged: true, Deleted: true, TreeOf: s.treeOfLocked(e.rec)}
	s.unindexLocked(e)
	delete(k.objects, nsName{e.rec.Key.Namespace, e.rec.Key.Name})
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
