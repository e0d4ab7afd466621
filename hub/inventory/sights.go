package inventory

import (
	"maps"
	"math/bits"
	"slices"
	"sync"

	"github.com/hawser-dev/hawser/hub/fleet"
)

// This file keeps which applications somebody sees. To ask rules about ten thousand
// takes milliseconds, and a list is asked for again and again: so each application has
// a place, what somebody sees is a bit for each, and when applications come and go
// only those are asked about.

// places gives applications their places, and tells what changed. It is copied into
// snapshots: what a copy has of changes is not written to.
type places struct {
	next uint32
	free []uint32
	// changes are those up to the number seq, the newest last; older ones are forgotten.
	changes []placed
	seq     uint64
}

// placed is an application that came to a place, was renamed or moved to another
// project there, or left it.
type placed struct {
	*app
	left bool
}

// maxChanges are remembered; whoever is further behind is resolved anew.
const maxChanges = 1024

// put gives an application its place: that of old, which it replaces, when there is
// one.
func (p *places) put(old, a *app) {
	switch {
	case old != nil:
		a.place = old.place
		if old.Project == a.Project && old.Name == a.Name {
			return
		}
	case len(p.free) > 0:
		last := len(p.free) - 1
		a.place, p.free = p.free[last], p.free[:last]
	default:
		a.place = p.next
		p.next++
	}
	p.changed(placed{app: a})
}

func (p *places) remove(a *app) {
	p.free = append(p.free, a.place)
	p.changed(placed{a, true})
}

func (p *places) changed(c placed) {
	if len(p.changes) >= 2*maxChanges {
		p.changes = slices.Clone(p.changes[maxChanges:])
	}
	p.changes = append(p.changes, c)
	p.seq++
}

// since are the changes after a number; ok is false when they are not remembered.
func (p *places) since(seq uint64) (_ []placed, ok bool) {
	behind := p.seq - seq
	if seq > p.seq || behind > uint64(len(p.changes)) {
		return nil, false
	}
	return p.changes[uint64(len(p.changes))-behind:], true
}

// visible is what somebody sees of one snapshot: nothing in it changes.
type visible struct {
	seq   uint64
	set   []uint64
	count int
}

func (v *visible) has(place uint32) bool {
	i := int(place / 64)
	return i < len(v.set) && v.set[i]&(1<<(place%64)) != 0
}

func (v *visible) put(place uint32, seen bool) {
	i, bit := int(place/64), uint64(1)<<(place%64)
	for i >= len(v.set) {
		v.set = append(v.set, 0)
	}
	if seen {
		v.set[i] |= bit
	} else {
		v.set[i] &^= bit
	}
}

// sights keeps what callers see, the newest of each.
type sights struct {
	mu    sync.Mutex
	known map[any]*keptSight
	uses  uint64
}

type keptSight struct {
	visible *visible
	used    uint64
}

// maxSights are kept, each a bit for every application: 1.3 MB for all of 10,000. When
// there are more the half that was asked for longest ago is forgotten.
const maxSights = 1024

func (s *sights) get(key any) *visible {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.known[key]
	if k == nil {
		return nil
	}
	s.uses++
	k.used = s.uses
	return k.visible
}

// keep remembers what was worked out, unless somebody else has newer.
func (s *sights) keep(key any, v *visible) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.uses++
	if k := s.known[key]; k != nil {
		if k.used = s.uses; k.visible.seq < v.seq {
			k.visible = v
		}
		return
	}
	if len(s.known) >= maxSights {
		used := make([]uint64, 0, len(s.known))
		for _, k := range s.known {
			used = append(used, k.used)
		}
		slices.Sort(used)
		middle := used[len(used)/2]
		maps.DeleteFunc(s.known, func(_ any, k *keptSight) bool { return k.used < middle })
	}
	if s.known == nil {
		s.known = map[any]*keptSight{}
	}
	s.known[key] = &keptSight{v, s.uses}
}

// visible works out what somebody who does not see everything sees of the snapshot:
// from what is kept, by what changed since, or by asking about all.
func (m moment) visible(sight *fleet.Sight) *visible {
	if sight.Key == nil {
		return m.resolve(sight)
	}
	before := m.sights.get(sight.Key)
	if before != nil && before.seq == m.places.seq {
		return before
	}
	var v *visible
	if before != nil {
		if changes, ok := m.places.since(before.seq); ok {
			v = before.after(changes, sight, m.places.seq)
		}
	}
	if v == nil {
		v = m.resolve(sight)
	}
	// When another request has already seen a later snapshot this is not kept.
	m.sights.keep(sight.Key, v)
	return v
}

// after is what is seen when some applications changed.
func (v *visible) after(changes []placed, sight *fleet.Sight, seq uint64) *visible {
	next := &visible{seq: seq, set: slices.Clone(v.set)}
	for _, c := range changes {
		next.put(c.place, !c.left && sight.App(c.Project, c.Name))
	}
	for _, word := range next.set {
		next.count += bits.OnesCount64(word)
	}
	return next
}

// resolve asks about all applications.
func (m moment) resolve(sight *fleet.Sight) *visible {
	v := &visible{seq: m.places.seq, set: make([]uint64, (int(m.places.next)+63)/64)}
	yes := make(map[string]bool, len(m.perProject))
	for name := range m.perProject {
		if sight.Sees(name) {
			yes[name] = true
		}
	}
	for _, a := range m.apps {
		if yes[a.Project] && (sight.SeesApp == nil || sight.SeesApp(a.Project, a.Name)) {
			v.put(a.place, true)
			v.count++
		}
	}
	return v
}
