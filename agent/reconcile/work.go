package reconcile

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/hawser-dev/hawser/agent/journal"
	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/agent/sync"
	"github.com/hawser-dev/hawser/shared/failpoint"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/policy"
)

// work does what is to be done next for one application, and publishes its
// status. Each call does at most one deed; what follows from it comes by another
// call.
func (e *Engine) work(ctx context.Context, uid model.AppUID) {
	a := e.app(uid)
	ctx, leave := e.enter(ctx, uid)
	defer leave()
	if !a.stored() {
		e.meanwhile(ctx, a) // it is handed out again when the journal has stored it
		return
	}
	a.land()
	s := e.snapshot(uid)
	if s.gone {
		e.forget(uid)
		e.o.Reports.Changed(uid)
		return
	}
	ctx = e.as(ctx, uid, s.desired)
	if e.isolated(ctx, a, s) {
		return
	}
	e.prepare(a, s)
	all, touched := a.take()
	if s.withdraw != nil && *s.withdraw != a.withdrawing { // a changed one does not wait for what failed before
		a.withdrawing, a.withdrawAt, a.withdraws = *s.withdraw, time.Time{}, 0
	}
	sit := situation{Now: e.now(), Withdrawing: s.withdraw != nil, WithdrawAt: a.withdrawAt, Op: s.op, Pending: s.pending, Attempt: s.attempt, Confirmed: s.confirmed}
	if s.desired != nil {
		sit.Generation, sit.Policy = s.desired.Generation, s.desired.Spec.SyncPolicy
		sit.Desired, sit.Observe = a.bundleErr == nil, s.desired.Observe
		if w := window(s.desired, true, sit.Now, time.Time{}); !w.Allowed {
			sit.Closed, sit.OpensAt = true, w.Next
		}
		if w := windowOf(s.op, s.desired, sit.Now); !w.Allowed {
			sit.OpClosed, sit.OpOpensAt = true, w.Next
		}
	}
	var b *bodies
	var drift map[model.ObjectKey]model.Digest
	if sit.Desired {
		b = e.bodiesOf(s.desired)
		e.compare(ctx, a, s, all, touched, b)
		drift = e.drifted(a, s)
		for k, content := range drift {
			if at := healAt(a.heals[k], content, sit.Now); !sit.Drifted || at.Before(sit.HealAt) {
				sit.Drifted, sit.HealAt = true, at
			}
		}
	}
	if sit.Desired {
		e.tidy(a, s)
		if !sit.Observe && sit.Policy.AutomatedEnabled() && sit.Policy.Automated.Prune && s.attempt != nil && !s.confirmed {
			at := e.pruneOnly(a, s)
			sit.PruneDue = len(at.decision.Delete) > 0
			if a.conditions == nil {
				a.conditions = at.conditions()
			}
		}
	}
	do, at := next(sit)
	left := do == doEnd && s.leftUnderWay()
	if do == doAutoSync || do == doOperation || do == doHeal || do == doWithdraw || left {
		if !e.observed(a) {
			e.publish(ctx, a, s, b)
			return
		}
		if err := e.fence(); err != nil {
			e.publish(ctx, a, s, b)
			e.queue.addAt(uid, e.now().Add(fencedPause))
			return
		}
	}
	switch do {
	case doWithdraw:
		e.withdraw(ctx, a, s)
		e.publish(ctx, a, e.snapshot(uid), nil)
		return // events, or the clock, bring the next step
	case doEnd:
		message := "ended on request before it began"
		if s.pending.StartedAt != nil {
			message = "ended on request"
		}
		if left && !sit.Observe {
			e.endLeft(ctx, s)
		}
		e.finish(a, s.pending, model.PhaseTerminated, message, nil, nil)
	case doGiveUp:
		message := fmt.Sprintf("the desired state of generation %d did not arrive within %s; nothing was changed", s.pending.Generation, desiredTimeout)
		if s.op != nil { // it is held, but its manifests are lost
			message = fmt.Sprintf("%s; nothing was changed", errBundleLost.Message)
		}
		e.finish(a, s.pending, model.PhaseFailed, message, nil, nil)
	case doRefuse:
		e.finish(a, s.pending, model.PhaseFailed, observeOnly(s.desired.Name), nil, nil)
	case doOperation:
		if s.op.Kind == model.OperationAction {
			e.act(ctx, a, s)
		} else {
			e.operate(ctx, a, s, b)
		}
	case doAutoSync:
		e.autoSync(ctx, a, s, b)
	case doHeal:
		e.heal(ctx, a, s, b, drift)
	case doNothing:
		if sit.Observe && e.unwatched(a) {
			at = e.now().Add(observeLook)
		}
		if !at.IsZero() {
			e.queue.addAt(uid, at)
		}
		e.publish(ctx, a, s, b)
		return
	}
	e.publish(ctx, a, e.snapshot(uid), nil)
	e.queue.add(uid)
}

// windowOf asks about a sync that has begun and was interrupted.
func windowOf(op *journal.Operation, d *model.Desired, now time.Time) policy.WindowDecision {
	if op == nil || op.Kind == model.OperationAction || op.Spec.DryRun || op.StartedAt == nil {
		return policy.WindowDecision{Allowed: true}
	}
	return window(d, false, now, *op.StartedAt)
}

// window asks the project's sync windows whether the application may be synced
// now. since is when the sync began that is under way, zero for none.
func window(d *model.Desired, automated bool, now, since time.Time) policy.WindowDecision {
	if len(d.ProjectSpec.SyncWindows) == 0 {
		return policy.WindowDecision{Allowed: true}
	}
	clusters := []string{d.Spec.ClusterName, d.Spec.Destination.Server, d.Spec.Destination.Name}
	clusters = slices.DeleteFunc(append(clusters, d.Spec.ServerAliases...), func(s string) bool { return s == "" })
	return policy.DecideWindows(d.ProjectSpec.SyncWindows, policy.WindowFacts{App: d.Name, Namespace: d.Spec.Namespace, Clusters: clusters, Automated: automated, Now: now, RunningSince: since})
}

const fencedPause = time.Second

// observed reports whether everything that the application consists of can be
// seen, so that it may be acted on. Otherwise it is handed out again when a kind
// comes to be known, or when SyncedTimeout is over; then what cannot be seen is
// treated as unknown.
func (e *Engine) observed(a *app) bool {
	if len(e.unobserved(a)) == 0 {
		a.waitSince = time.Time{}
		return true
	}
	now := e.now()
	if a.waitSince.IsZero() {
		a.waitSince = now
	}
	if rest := e.o.SyncedTimeout - now.Sub(a.waitSince); rest > 0 {
		e.queue.addAt(a.uid, now.Add(rest))
		return false
	}
	return true
}

// finish ends an operation: durable first, told then. more may add to the same
// update of the journal.
func (e *Engine) finish(a *app, op *journal.Operation, phase model.OperationPhase, message string, result *model.OperationResult, more func(*journal.Book) journal.Change) {
	var u model.OperationUpdate
	var refused error
	f := e.o.Journal.Update(journal.Urgent, func(b *journal.Book) journal.Change {
		var c journal.Change
		if more != nil {
			c = more(b)
		}
		fc, update, err := b.FinishOperation(a.uid, op.ID, phase, message, result, e.now())
		u, refused = update, err
		return joined(c, fc)
	})
	if refused != nil {
		e.log.Error("an operation could not be ended", "operation", op.ID, "reason", refused)
		return
	}
	failpoint.Hit("reconcile.finish.booked")
	e.log.Info("operation ended", "operation", op.ID, "application_uid", string(a.uid), "phase", phase, "message", message)
	e.told(a.uid, f, []model.OperationUpdate{u})
}

func joined(a, b journal.Change) journal.Change {
	return journal.Change{Head: a.Head || b.Head, Apps: append(a.Apps, b.Apps...)}
}

// tidy drops from the inventory what is no longer desired and known to be gone.
func (e *Engine) tidy(a *app, s snapshot) {
	var gone []model.ObjectKey
	for _, o := range s.inventory {
		if a.desires(o.Key) {
			continue
		}
		if _, presence := e.seen(o.Key); presence == live.Absent {
			gone = append(gone, o.Key)
		}
	}
	var hooks []model.ObjectKey
	for _, o := range s.hooks {
		if _, presence := e.seen(o.Key); presence == live.Absent {
			hooks = append(hooks, o.Key)
		}
	}
	if len(hooks) > 0 {
		e.o.Journal.Update(journal.Lazy, func(b *journal.Book) journal.Change { return b.ForgetHooks(a.uid, hooks) })
	}
	if len(gone) == 0 {
		return
	}
	e.o.Journal.Update(journal.Lazy, func(b *journal.Book) journal.Change {
		c, err := b.ConfirmSync(a.uid, journal.SyncOutcome{Dropped: gone, At: e.now()})
		if err != nil {
			e.log.Debug("the inventory was not tidied", "reason", err)
		}
		return c
	})
}

// pruneOnly decides anew about pruning, without acting.
func (e *Engine) pruneOnly(a *app, s snapshot) *attempt {
	at := &attempt{engine: e, app: a, s: s, automated: true, prune: true, prepared: a.objects}
	keys := make([]model.ObjectKey, 0, len(a.objects))
	for _, p := range a.objects {
		if p.Hook == "" {
			keys = append(keys, p.Key)
		}
	}
	at.decidePrune(keys, &sync.PlanFacts{})
	return at
}
