package link

import (
	"slices"
	"sync"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/manifest"
	"github.com/hawser-dev/hawser/shared/model"
)

// outbox holds what waits to be sent in the open session: one report, one
// acknowledgement and one tree for each application, one word on each
// operation. It is bounded by what exists. While no session is open it takes
// only words on operations: one may end after the hello was written, which
// therefore does not tell it, and before the session is open.
type outbox struct {
	wake chan struct{} // one slot

	mu      sync.Mutex
	open    bool
	session uint64 // rises with each session; fences acknowledgements
	work    outwork
	// cluster is kept between sessions.
	cluster *model.ClusterReport
}

type desiredAck struct {
	generation model.Generation
	code       string
	message    string
}

// outwork is what has come up since the last take.
type outwork struct {
	acks       map[model.AppUID]desiredAck
	operations map[model.OperationID]model.OperationUpdate
	opOrder    []model.OperationID
	reports    map[model.AppUID]model.AppReport
	cluster    *model.ClusterReport
}

func newOutbox() *outbox { return &outbox{wake: make(chan struct{}, 1)} }

// start opens the outbox for a session, which gets the cluster report again.
func (o *outbox) start() (session uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.open = true
	o.session++
	o.work = o.work.betweenSessions()
	o.work.cluster = o.cluster
	o.poke()
	return o.session
}

func (o *outbox) stop() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.open = false
	o.work = o.work.betweenSessions()
}

// betweenSessions is what outlives a session. That the next hello says some of
// it again does no harm: an end is an end.
func (w outwork) betweenSessions() outwork {
	return outwork{operations: w.operations, opOrder: w.opOrder}
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

func (o *outbox) change(f func(w *outwork)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.open {
		f(&o.work)
		o.poke()
	}
}

func (o *outbox) reports(reports []model.AppReport) {
	o.change(func(w *outwork) {
		if w.reports == nil {
			w.reports = make(map[model.AppUID]model.AppReport, len(reports))
		}
		for _, r := range reports {
			if old, ok := w.reports[r.App]; ok {
				if old.Seq >= r.Seq {
					continue
				}
				if r.Tree == nil { // "unchanged" since a report that is not sent now
					r.Tree = old.Tree
				}
				if r.TraceParent == "" {
					r.TraceParent = old.TraceParent
				}
			}
			w.reports[r.App] = r
		}
	})
}

// operation keeps the newest word; an end is never replaced.
func (o *outbox) operation(u model.OperationUpdate) {
	manifest.GuardUpdate(&u)
	o.mu.Lock()
	defer o.mu.Unlock()
	w := &o.work
	old, ok := w.operations[u.ID]
	if ok && old.Phase.Terminal() {
		return
	}
	if w.operations == nil {
		w.operations = map[model.OperationID]model.OperationUpdate{}
	}
	if !ok {
		w.opOrder = append(w.opOrder, u.ID)
	}
	w.operations[u.ID] = u
	if o.open {
		o.poke()
	}
}

func (o *outbox) clusterReport(r model.ClusterReport) {
	o.mu.Lock()
	defer o.mu.Unlock()
	r.Conditions = slices.Clone(r.Conditions)
	for i, said := range r.Conditions {
		r.Conditions[i] = manifest.GuardText(model.ObjectKey{}, said)
	}
	o.cluster = &r
	if o.open {
		o.work.cluster = &r
		o.poke()
	}
}

// acker returns the function that acknowledges one desired state, in the
// session that it came in and no other.
func (o *outbox) acker(session uint64, app model.AppUID, g model.Generation) func(error) {
	var once sync.Once
	return func(err error) {
		once.Do(func() {
			a := desiredAck{generation: g}
			if err != nil {
				f := fault.As(err)
				a.code, a.message = f.Code, manifest.GuardText(model.ObjectKey{}, f.Message)
			}
			o.change(func(w *outwork) {
				if o.session != session {
					return
				}
				if old, ok := w.acks[app]; ok && old.generation > g {
					return
				}
				if w.acks == nil {
					w.acks = map[model.AppUID]desiredAck{}
				}
				w.acks[app] = a
			})
		})
	}
}
