package fleetsim

import (
	"context"
	"sync"
	"time"

	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/shared/model"
)

// view is what one agent sees of its cluster: reconcile.Observer and
// report.Objects. It is complete from the beginning, as if every list had come.
type view struct {
	c *Cluster

	mu         sync.Mutex
	watched    map[model.GroupKind]bool
	subs       []func(live.Event)
	kindSubs   []func(model.GroupKind)
	pending    []live.Event
	index      map[model.ObjectKey]int // in pending
	delivering bool
	closed     bool
}

// newView is the view of the agent that runs from now on; an older one is told
// nothing more.
func (c *Cluster) newView() *view {
	v := &view{c: c, watched: map[model.GroupKind]bool{}, index: map[model.ObjectKey]int{}}
	c.mu.Lock()
	old := c.view
	c.view = v
	c.mu.Unlock()
	if old != nil {
		old.close()
	}
	return v
}

func (v *view) close() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.closed, v.pending = true, nil
	clear(v.index)
}

// add queues an event; those of one object that nobody has heard yet become one.
func (v *view) add(ev live.Event) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.closed || len(v.subs) == 0 {
		return
	}
	if i, waits := v.index[ev.Key]; waits {
		p := &v.pending[i]
		p.SpecChanged = p.SpecChanged || ev.SpecChanged
		p.Deleted = ev.Deleted
		for _, app := range ev.Apps {
			if len(p.Apps) == 0 || p.Apps[0] != app {
				p.Apps = append(p.Apps, app)
			}
		}
		return
	}
	v.index[ev.Key] = len(v.pending)
	v.pending = append(v.pending, ev)
	if !v.delivering {
		v.delivering = true
		go v.deliver()
	}
}

// deliver calls subscribers until there is nothing more: a goroutine for each agent
// that waited for news would be most of what an idle one is here.
func (v *view) deliver() {
	for {
		v.mu.Lock()
		if len(v.pending) == 0 {
			v.delivering = false
			v.mu.Unlock()
			return
		}
		events, subs := v.pending, v.subs
		v.pending = nil
		clear(v.index)
		v.mu.Unlock()
		for _, ev := range events {
			for _, f := range subs {
				f(ev)
			}
		}
	}
}

// kindsChanged tells that kinds are known now which were not, or the reverse.
func (v *view) kindsChanged() {
	v.mu.Lock()
	subs := v.kindSubs
	kinds := make([]model.GroupKind, 0, len(v.watched))
	for gk := range v.watched {
		kinds = append(kinds, gk)
	}
	if v.closed {
		subs = nil
	}
	v.mu.Unlock()
	for _, gk := range kinds {
		for _, f := range subs {
			f(gk)
		}
	}
}

// Get implements reconcile.Observer.
func (v *view) Get(key model.ObjectKey) (live.Record, live.Presence) {
	v.c.mu.Lock()
	defer v.c.mu.Unlock()
	var rec live.Record
	o := v.c.objects[key]
	if o != nil {
		rec = o.rec
	}
	switch _, known := served[key.GroupKind()]; {
	case !known || v.c.isDark():
		return rec, live.Unknown
	case o == nil:
		return rec, live.Absent
	}
	return rec, live.Present
}

// Gone implements reconcile.Observer. No hooks run here, so none were seen to end.
func (v *view) Gone(model.ObjectKey) (live.Record, bool) { return live.Record{}, false }

// AppsOf implements reconcile.Observer.
func (v *view) AppsOf(key model.ObjectKey) []string {
	rec, _ := v.Get(key)
	return appsOf(rec)
}

// Children implements report.Objects: nothing here makes objects of others.
func (v *view) Children(string) []live.Record { return nil }

// Kind implements reconcile.Observer.
func (v *view) Kind(gk model.GroupKind) (live.Kind, error) { return kindOf(gk) }

// RefreshDiscovery implements reconcile.Observer.
func (v *view) RefreshDiscovery(context.Context) error {
	v.c.mu.Lock()
	defer v.c.mu.Unlock()
	if v.c.isDark() {
		return unreachable("discovery")
	}
	return nil
}

// Saw implements reconcile.Observer: a write is seen when it is answered.
func (v *view) Saw([]byte) error { return nil }

// Watch implements reconcile.Observer.
func (v *view) Watch(gks ...model.GroupKind) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, gk := range gks {
		v.watched[gk] = true
	}
}

// Synced implements reconcile.Observer.
func (v *view) Synced(gk model.GroupKind) bool {
	_, known := served[gk]
	v.c.mu.Lock()
	defer v.c.mu.Unlock()
	return known && !v.c.isDark()
}

// Subscribe implements reconcile.Observer.
func (v *view) Subscribe(f func(live.Event)) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.subs = append(v.subs, f)
}

// OnKind implements reconcile.Observer.
func (v *view) OnKind(f func(model.GroupKind)) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.kindSubs = append(v.kindSubs, f)
}

// observedAt is the time at which what is seen still held.
func (v *view) observedAt() time.Time {
	v.c.mu.Lock()
	defer v.c.mu.Unlock()
	if v.c.isDark() {
		return v.c.dark
	}
	return time.Now()
}
