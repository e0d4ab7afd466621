package observe

import (
	"slices"

	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/shared/model"
)

// apps returns the application that the tracking id names, if any.
func apps(rec live.Record) []string {
	if app := appOf(rec); app != "" {
		return []string{app}
	}
	return nil
}

func appOf(rec live.Record) string {
	app, _, _ := model.ParseTrackingID(rec.TrackingID)
	return app
}

// treeOfLocked climbs the owners of an untracked object to the applications
// that own it.
func (s *store) treeOfLocked(rec live.Record) (out []string) {
	if rec.TrackingID != "" {
		return nil
	}
	const levels = 16 // owner references may form a circle
	pending, seen := rec.Owners, map[string]bool(nil)
	for level := 0; level < levels && len(pending) > 0; level++ {
		var next []live.Owner
		for _, o := range pending {
			e := s.byUID[keyOfUID(o.UID)]
			if e == nil || seen[o.UID] {
				continue
			}
			if app := e.app(); app != "" {
				out = union(out, []string{app})
			} else {
				next = append(next, e.owners()...)
			}
			if seen == nil {
				seen = map[string]bool{}
			}
			seen[o.UID] = true
		}
		pending = next
	}
	return out
}

// appsOf are the applications that an object belongs to: the one that its
// tracking id names or, without one, those that own it through owner references.
func (s *store) appsOf(key model.ObjectKey) []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	k := s.kinds[key.GroupKind()]
	if k == nil {
		return nil
	}
	e := k.objects.get(nsName{key.Namespace, key.Name})
	if e == nil {
		return nil
	}
	rec := e.record()
	if out := apps(rec); out != nil {
		return out
	}
	return s.treeOfLocked(rec)
}

func (s *store) indexLocked(e *entry) {
	app, owners := e.app(), e.owners()
	if app == "" && len(owners) == 0 {
		return
	}
	if uid := e.uid(); uid != "" {
		s.byUID[keyOfUID(uid)] = e
	}
	if app != "" {
		s.byApp[app] = append(s.byApp[app], e)
	}
	for _, o := range owners {
		s.children[o.UID] = append(s.children[o.UID], e)
	}
}

func (s *store) unindexLocked(e *entry) {
	app, owners := e.app(), e.owners()
	if app == "" && len(owners) == 0 {
		return
	}
	if uid := keyOfUID(e.uid()); s.byUID[uid] == e {
		delete(s.byUID, uid)
	}
	if app != "" {
		dropFrom(s.byApp, app, e)
	}
	for _, o := range owners {
		dropFrom(s.children, o.UID, e)
	}
}

func dropFrom(m map[string][]*entry, key string, e *entry) {
	es := m[key]
	i := slices.Index(es, e)
	if i < 0 {
		return
	}
	es[i] = es[len(es)-1]
	es[len(es)-1] = nil
	if es = es[:len(es)-1]; len(es) == 0 {
		delete(m, key)
		return
	}
	m[key] = es
}
