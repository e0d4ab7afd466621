package observe

import (
	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/shared/model"
)

const (
	// goneLimit bounds how many deleted hooks are remembered, goneBytes what
	// their bodies may take together.
	goneLimit = 256
	goneBytes = 4 << 20
)

// gone remembers hooks that were seen to be deleted: a Job with a time to live
// may be removed in the moment in which it completes, and whether it completed
// is what a sync waits for.
type gone struct {
	records map[model.ObjectKey]live.Record
	order   []model.ObjectKey // oldest first
	bytes   int
}

// note takes the last state of a deleted object; what is no hook is not kept.
func (g *gone) note(rec live.Record) {
	if rec.Run == "" || rec.TrackingID == "" {
		return
	}
	g.forget(rec.Key)
	if g.records == nil {
		g.records = map[model.ObjectKey]live.Record{}
	}
	rec.Managers = nil
	g.records[rec.Key] = rec
	g.order = append(g.order, rec.Key)
	g.bytes += len(rec.Body)
	for len(g.order) > goneLimit || g.bytes > goneBytes && len(g.order) > 1 {
		g.forget(g.order[0])
	}
}

func (g *gone) forget(key model.ObjectKey) {
	rec, ok := g.records[key]
	if !ok {
		return
	}
	delete(g.records, key)
	g.bytes -= len(rec.Body)
	for i, k := range g.order {
		if k == key {
			g.order = append(g.order[:i], g.order[i+1:]...)
			break
		}
	}
}

// Gone returns the last state of a hook, an object that carries
// model.AnnotationRun, whose deletion was seen, also where that state was never
// seen before: the news of a deletion brings it. Health is that of the object
// as if it were not being deleted: Healthy for a Job that completed. Deleting is
// as it was. The memory is bounded, not kept across restarts, and an object that
// appears under the key ends it.
func (o *Observer) Gone(key model.ObjectKey) (live.Record, bool) {
	o.store.mu.RLock()
	rec, ok := o.store.gone.records[key]
	o.store.mu.RUnlock()
	if ok && rec.Body != nil {
		before := rec.Health
		o.trim.judgeLast(&rec)
		if rec.Health.Status == before.Status {
			rec.Health.Since = before.Since
		}
	}
	return rec, ok
}
