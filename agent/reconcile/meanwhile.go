package reconcile

import (
	"context"
	"time"

	"github.com/hawser-dev/hawser/agent/journal"
	"github.com/hawser-dev/hawser/shared/model"
)

// held is what the journal has stored of an application while something newer is
// on its way there. Mostly that takes a moment. When the journal cannot be written
// it takes as long as that lasts, and what was accepted before is healed.
type held struct {
	s      snapshot
	bodies *bodies
}

// hold takes what is stored of an application, before something newer is accepted;
// nil when nothing is, or nothing that would be healed.
func (e *Engine) hold(uid model.AppUID) *held {
	a := e.app(uid)
	if !a.stored() {
		a.mu.Lock()
		defer a.mu.Unlock()
		return a.held
	}
	s := e.snapshot(uid)
	if s.gone || s.desired == nil || s.withdraw != nil || !selfHeals(s) || !s.confirmed {
		return nil
	}
	s.op, s.pending, s.held = nil, nil, true
	return &held{s: s, bodies: e.bodiesOf(s.desired)}
}

// takeOff notes that something newer is on its way to the journal.
func (a *app) takeOff(f *journal.Flight, h *held) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.flight, a.held = f, h
}

// land lets go of what was held: the journal has stored what is newer.
func (a *app) land() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.held = nil
}

// meanwhile heals drift to the stored state, while nothing newer may begin. An
// object that was deleted comes back when the journal can be written: that it is to
// be made anew has to be durable first.
func (e *Engine) meanwhile(ctx context.Context, a *app) {
	a.mu.Lock()
	h := a.held
	a.mu.Unlock()
	if h == nil || h.s.desired.Observe || e.observing(a.uid) || a.bundle != h.s.desired.Bundle || a.bundleErr != nil || h.bodies.encoded == nil || !window(h.s.desired, true, e.now(), time.Time{}).Allowed {
		return
	}
	ctx = e.as(ctx, a.uid, h.s.desired)
	all, touched := a.take()
	e.compare(ctx, a, h.s, all, touched, h.bodies)
	drift := e.drifted(a, h.s)
	now := e.now()
	due := false
	for k, content := range drift {
		if content == "" {
			delete(drift, k)
			continue
		}
		switch at := healAt(a.heals[k], content, now); {
		case at.After(now):
			e.queue.addAt(a.uid, at)
		default:
			due = true
		}
	}
	if due && e.observed(a) && e.fence() == nil {
		e.heal(ctx, a, h.s, h.bodies, drift)
		e.queue.add(a.uid)
	}
}
