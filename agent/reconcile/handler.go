package reconcile

import (
	"context"
	"time"

	"github.com/hawser-dev/hawser/agent/journal"
	"github.com/hawser-dev/hawser/shared/failpoint"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/manifest"
	"github.com/hawser-dev/hawser/shared/model"
)

var (
	errBundleLost = fault.New(fault.Unavailable, "bundle_missing", "the manifests are missing from the agent's journal; the hub is asked for them again")
	errNewer      = fault.New(fault.Conflict, "superseded", "a newer desired state was accepted")
	errWithdrawn  = fault.New(fault.Conflict, "superseded", "the application is being removed")
	errWindow     = fault.New(fault.Conflict, "window_closed", "a sync window has closed")
	errTerminated = fault.New(fault.Conflict, "terminated", "somebody asked to end it")
)

func isKindUnknown(err error) bool { return fault.HasCode(err, "kind_unknown") }

// Hello implements link.Handler.
func (e *Engine) Hello(context.Context) (model.Hello, error) {
	if err := e.o.Journal.Err(); err != nil {
		return model.Hello{}, err
	}
	h := e.o.Journal.Hello()
	h.Capabilities = append(h.Capabilities, model.CapabilityActions, model.CapabilityDeleteObject, model.CapabilityObserve, model.CapabilityAccounts,
		model.CapabilitySensitiveFields)
	return h, nil
}

// Welcome implements link.Handler.
func (e *Engine) Welcome(ctx context.Context, w model.Welcome) error {
	var refused error
	f := e.o.Journal.Update(journal.Urgent, func(b *journal.Book) journal.Change {
		c, err := b.AcceptWelcome(w.Epoch)
		refused = err
		return c
	})
	if refused != nil {
		return refused
	}
	if err := f.Wait(ctx); err != nil {
		return err
	}
	e.o.Reports.SessionOpened()
	return nil
}

// HaveBundle implements link.Handler.
func (e *Engine) HaveBundle(digest model.Digest) bool {
	_, ok := e.o.Journal.Bundle(digest)
	return ok
}

// Desired implements link.Handler.
func (e *Engine) Desired(ctx context.Context, d model.Desired, bundle []byte, ack func(error)) {
	_, span := e.spanOf(ctx, d.TraceParent, "agent.accept", d.Name, d.Generation)
	if span.IsRecording() {
		told := ack
		ack = func(err error) {
			endWith(span, err)
			told(err)
		}
	}
	lost := e.o.Journal.Lost(d.App)
	leave, err := e.receive(ctx, d)
	if err != nil {
		ack(err)
		return
	}
	defer leave()
	if bundle != nil {
		if _, err := manifest.BundleLines(bundle, d.Bundle); err != nil {
			ack(err)
			return
		}
		if err := e.o.Journal.PutBundle(d.Bundle, bundle); err != nil {
			ack(err)
			return
		}
	} else if !e.HaveBundle(d.Bundle) {
		ack(fault.New(fault.Unavailable, "bundle_missing", "the agent does not hold bundle %s any more", d.Bundle))
		return
	}
	previous, held := e.mayExist(d), e.hold(d.App)
	var refused error
	var verdict journal.DesiredResult
	f := e.o.Journal.Update(journal.Urgent, func(b *journal.Book) journal.Change {
		verdict, refused = b.AcceptDesired(d, previous)
		if lost && refused == nil && !verdict.Any() {
			// The bundle was missing: have its new place recorded.
			return journal.Change{Apps: []model.AppUID{d.App}}
		}
		return verdict.Change
	})
	if refused != nil {
		e.log.Warn("a desired state was refused", "application", d.Name, "generation", d.Generation, "reason", refused)
		ack(refused)
		return
	}
	failpoint.Hit("reconcile.desired.booked")
	a := e.app(d.App)
	if verdict.Verdict == journal.Taken || lost {
		a.takeOff(f, held)
		a.touchAll()
		if d.Observe { // at once, whatever is under way
			a.interrupt(errNewer, runAuto, runHeal, runOperation)
		}
		if a.giveWay(e.now()) {
			e.news.publish()
			time.AfterFunc(hookGrace, e.news.publish) // which asks again
		}
	}
	e.whenStored(f, func(err error) {
		failpoint.Hit("reconcile.desired.durable")
		ack(err)
		e.queue.add(d.App)
	})
}

// mayExist are the objects of the present bundle, for the case that a sync of it
// had begun and next takes its place.
func (e *Engine) mayExist(next model.Desired) []journal.Owned {
	s := e.snapshot(next.App)
	if s.gone || s.desired == nil || s.confirmed || next.Generation <= s.desired.Generation {
		return nil
	}
	return e.owned(s.desired)
}

// whenStored calls f with the flight's outcome, from a goroutine of its own
// unless that is known already.
func (e *Engine) whenStored(flight *journal.Flight, f func(error)) {
	select {
	case <-flight.Done():
		f(flight.Err())
		return
	default:
	}
	e.mu.Lock()
	ctx := e.ctx
	e.mu.Unlock()
	var ended <-chan struct{}
	if ctx != nil {
		ended = ctx.Done()
	}
	go func() {
		select {
		case <-flight.Done():
			f(flight.Err())
		case <-ended:
			f(fault.New(fault.Unavailable, "agent_stopping", "the agent is stopping"))
		}
	}()
}

// Withdraw implements link.Handler.
func (e *Engine) Withdraw(_ context.Context, w model.Withdraw) {
	var v journal.OperationVerdict
	var refused error
	f := e.o.Journal.Update(journal.Urgent, func(b *journal.Book) journal.Change {
		v, refused = b.AcceptWithdraw(w, e.now())
		return v.Change
	})
	if refused != nil {
		e.log.Warn("a withdrawal was refused", "application", w.Name, "operation", w.Operation, "reason", refused)
		return
	}
	failpoint.Hit("reconcile.withdraw.booked")
	a := e.app(w.App)
	if v.Verdict == journal.Taken {
		a.takeOff(f, nil)
		a.interrupt(errWithdrawn, runAuto, runHeal, runOperation, runWithdraw)
	}
	e.told(w.App, f, v.Updates)
}

// Operation implements link.Handler.
func (e *Engine) Operation(_ context.Context, c model.Command) {
	var v journal.OperationVerdict
	var refused error
	held := e.hold(c.App)
	f := e.o.Journal.Update(journal.Urgent, func(b *journal.Book) journal.Change {
		v, refused = b.AcceptOperation(c, e.now())
		return v.Change
	})
	if refused != nil {
		e.log.Warn("an operation was refused", "operation", c.ID, "reason", refused)
		at := e.now()
		e.o.Operations.Operation(model.OperationUpdate{ID: c.ID, Seq: c.Seq, App: c.App, Kind: c.Kind, Phase: model.PhaseFailed,
			Message: fault.As(refused).Message, FinishedAt: &at})
		return
	}
	failpoint.Hit("reconcile.operation.booked")
	a := e.app(c.App)
	if v.Verdict == journal.Taken {
		a.takeOff(f, held)
		a.mu.Lock()
		mine := a.opID == c.ID
		a.mu.Unlock()
		switch {
		case c.Terminate && mine:
			a.interrupt(errTerminated, runOperation)
		case c.Terminate: // it waits, perhaps behind a hook of an automated sync that hangs
			a.interrupt(errNewer, runAuto, runHeal)
		case c.Spec.Rollback != nil: // what hangs is what is to be undone
			a.interrupt(errNewer, runAuto, runHeal)
		default:
			a.interrupt(errNewer, runHeal)
		}
	}
	e.told(c.App, f, v.Updates)
}

// told sends updates once they are durable, and has the application looked at.
func (e *Engine) told(uid model.AppUID, f *journal.Flight, updates []model.OperationUpdate) {
	e.whenStored(f, func(err error) {
		failpoint.Hit("reconcile.update.durable")
		if err == nil { // otherwise the next session's hello tells
			for _, u := range updates {
				e.o.Operations.Operation(u)
			}
		}
		e.queue.add(uid)
	})
}

// OperationAck implements link.Handler.
func (e *Engine) OperationAck(ids []model.OperationID) {
	e.o.Journal.Update(journal.Lazy, func(b *journal.Book) journal.Change { return b.AckOperations(ids) })
}

// ReportAck implements link.Handler.
func (e *Engine) ReportAck(seq uint64) { e.o.Reports.ReportAck(seq) }

// InSync implements link.Handler. Nothing depends on it: what the hub did not
// mention is kept as it is.
func (e *Engine) InSync() {}

// Refresh implements link.Handler.
func (e *Engine) Refresh(uids []model.AppUID) {
	for _, uid := range uids {
		a := e.app(uid)
		a.mu.Lock()
		a.all, a.known = true, false
		a.mu.Unlock()
		e.queue.add(uid)
	}
}

// Disconnected implements link.Handler.
func (e *Engine) Disconnected(error) { e.o.Reports.SessionClosed() }
