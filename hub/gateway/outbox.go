package gateway

import (
	"sync"

	"github.com/hawser-dev/hawser/shared/model"
)

// outbox says what a session has to look at next. It holds names, never
// content, so it is bounded by what exists however often anything changes;
// content is read from the store when it is sent.
type outbox struct {
	wake chan struct{} // one slot

	mu    sync.Mutex
	work  outwork
	acked uint64 // highest report number that was, or is about to be, acknowledged
}

// outwork is what has come up since the last take.
type outwork struct {
	all        bool // every application
	apps       map[model.AppUID]struct{}
	operations bool
	refreshes  map[model.AppUID]struct{}
	reportAck  uint64
	opAcks     map[model.OperationID]struct{}
	tunnel     string // id of the access tunnel that is wanted
	settings   bool   // the settings for all clusters
}

func newOutbox() outbox { return outbox{wake: make(chan struct{}, 1)} }

func (o *outbox) change(f func(w *outwork)) {
	o.mu.Lock()
	f(&o.work)
	o.mu.Unlock()
	o.poke()
}

func (o *outbox) poke() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

func (o *outbox) take() outwork {
	o.mu.Lock()
	defer o.mu.Unlock()
	w := o.work
	o.work = outwork{}
	return w
}

// takeDesired takes what has come up of desired states alone.
func (o *outbox) takeDesired() (all bool, apps map[model.AppUID]struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	all, apps = o.work.all, o.work.apps
	o.work.all, o.work.apps = false, nil
	return all, apps
}

func (o *outbox) markDesired(apps []model.AppUID) {
	o.change(func(w *outwork) { w.markDesired(apps) })
}

func (o *outbox) markOperations() { o.change(func(w *outwork) { w.operations = true }) }

func (o *outbox) refresh(apps []model.AppUID) {
	o.change(func(w *outwork) { add(&w.refreshes, apps) })
}

// ackReports never goes back: "up to" was said already.
func (o *outbox) ackReports(seq uint64) {
	o.change(func(w *outwork) {
		if seq > o.acked {
			o.acked, w.reportAck = seq, seq
		}
	})
}

func (o *outbox) markSettings() { o.change(func(w *outwork) { w.settings = true }) }

func (o *outbox) openTunnel(id string) {
	o.change(func(w *outwork) { w.tunnel = id })
}

func (o *outbox) ackOperations(ids []model.OperationID) {
	o.change(func(w *outwork) { add(&w.opAcks, ids) })
}

func (w *outwork) markDesired(apps []model.AppUID) {
	if w.all {
		return
	}
	if len(apps) == 0 {
		w.all, w.apps = true, nil
		return
	}
	add(&w.apps, apps)
}

func add[K comparable](set *map[K]struct{}, keys []K) {
	if *set == nil {
		*set = make(map[K]struct{}, len(keys))
	}
	for _, k := range keys {
		(*set)[k] = struct{}{}
	}
}

func keys[K comparable](set map[K]struct{}) []K {
	out := make([]K, 0, len(set))
	for k := range set {
		out = append(out, k)
	}
	return out
}
