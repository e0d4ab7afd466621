package observe

import (
	"path"
	"slices"

	"github.com/hawser-dev/hawser/agent/health"
	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/shared/model"
)

// SetHealth replaces the override that judges objects before the rules of
// agent/health do, such as users' scripts; nil takes it away. Objects of the kinds
// are judged again: kinds whose judgement changed, where "*" in a group or kind
// stands for anything. Without kinds, all are.
//
// Tracked objects are judged again before SetHealth returns, and subscribers are
// told of those whose health changed. The bodies of other objects are not kept:
// a kind that has such objects is listed again.
func (o *Observer) SetHealth(override health.Override, kinds ...model.GroupKind) {
	o.trim.setOverride(override)
	for _, gk := range o.store.watched() {
		if len(kinds) > 0 && !slices.ContainsFunc(kinds, func(pattern model.GroupKind) bool { return matches(pattern, gk) }) {
			continue
		}
		keys, bodiless := o.store.judged(gk)
		for _, key := range keys {
			o.rejudge(key)
		}
		if bodiless {
			o.relist(gk)
		}
	}
}

// matches reports whether a kind is meant by a pattern.
func matches(pattern, gk model.GroupKind) bool {
	group, err1 := path.Match(pattern.Group, gk.Group)
	kind, err2 := path.Match(pattern.Kind, gk.Kind)
	return err1 == nil && err2 == nil && group && kind
}

// rejudge judges a tracked object by its body. It repeats when the object, or the
// override, changed meanwhile.
func (o *Observer) rejudge(key model.ObjectKey) {
	for {
		rec, _ := o.store.get(key)
		if rec.Body == nil {
			return
		}
		epoch := o.trim.epoch.Load()
		o.trim.judge(&rec, rec.Body)
		if ev, changed := o.store.judge(rec); changed {
			o.queue.add(ev)
		}
		if now, _ := o.store.get(key); now.ResourceVersion == rec.ResourceVersion && now.UID == rec.UID && o.trim.epoch.Load() == epoch {
			return
		}
	}
}

// relist brings the objects of a kind again.
func (o *Observer) relist(gk model.GroupKind) {
	o.store.distrust(gk)
	o.mu.Lock()
	r := o.wanted[gk]
	o.mu.Unlock()
	if r != nil {
		r.again.Store(true)
		r.restart()
	}
}

// accept makes a record of an object and gives it to put. What was judged while the
// override was replaced is judged again, so that no old judgement stays.
func (o *Observer) accept(gk model.GroupKind, apiVersion string, object []byte, full bool, put func(live.Record) (live.Event, bool)) (live.Record, error) {
	for {
		epoch := o.trim.epoch.Load()
		rec, err := o.trim.record(gk, apiVersion, object, full)
		if err != nil {
			return rec, err
		}
		if ev, ok := put(rec); ok {
			o.queue.add(ev)
		}
		if rec.Health.Status == "" || o.trim.epoch.Load() == epoch {
			return rec, nil
		}
		o.store.distrustOne(rec.Key)
	}
}

// watched are the kinds that the store has.
func (s *store) watched() []model.GroupKind {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := make([]model.GroupKind, 0, len(s.kinds))
	for gk := range s.kinds {
		out = append(out, gk)
	}
	return out
}

// judged are the objects of a kind that can be judged again by their bodies;
// bodiless tells of others that have a health.
func (s *store) judged(gk model.GroupKind) (keys []model.ObjectKey, bodiless bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	k := s.kinds[gk]
	if k == nil {
		return nil, false
	}
	for _, e := range k.objects.all() {
		switch {
		case e.rich != nil && e.rich.Body != nil:
			keys = append(keys, e.rich.Key)
		case e.judged():
			bodiless = true
		}
	}
	return keys, bodiless
}

// judge takes a new judgement of an object that is still as it was. Health and
// facts are all that is taken.
func (s *store) judge(rec live.Record) (ev live.Event, changed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.kinds[rec.Key.GroupKind()]
	if k == nil {
		return live.Event{}, false
	}
	e := k.objects.get(nsName{rec.Key.Namespace, rec.Key.Name})
	if e == nil || e.rich == nil || !e.is(rec) {
		return live.Event{}, false
	}
	before, after := *e.rich, *e.rich
	after.Health, after.Images, after.Info = s.since(before, rec), rec.Images, rec.Info
	e.set(after)
	return live.Event{Key: rec.Key, Apps: apps(after), TreeOf: s.treeOfLocked(after)}, visible(before, after)
}

// distrust makes the next list replace what is known of the objects of a kind,
// also where they did not change.
func (s *store) distrust(gk model.GroupKind) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := s.kinds[gk]; k != nil {
		for _, e := range k.objects.all() {
			e.doubted = true
		}
	}
}

func (s *store) distrustOne(key model.ObjectKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := s.kinds[key.GroupKind()]; k != nil {
		if e := k.objects.get(nsName{key.Namespace, key.Name}); e != nil {
			e.doubted = true
		}
	}
}
