package reconcile

import (
	"context"

	"github.com/hawser-dev/hawser/agent/journal"
	"github.com/hawser-dev/hawser/shared/model"
)

// begin registers a run that was decided on s. What has come since s was taken
// found no run to cancel, so it is looked for once more; then the run is cancelled
// before it has done anything.
func (e *Engine) begin(ctx context.Context, a *app, s snapshot, kind runKind) (context.Context, func()) {
	var op model.OperationID
	switch kind {
	case runOperation:
		op = s.op.ID
	case runWithdraw:
		op = s.withdraw.Operation
	}
	ctx, end := a.begin(ctx, kind, op)
	var cause error
	e.o.Journal.View(func(b *journal.Book) { cause = overtaken(b.Apps[a.uid], s, kind) })
	if cause == errNewer && kind == runHeal && a.holds(s) {
		cause = nil // what is newer is not stored yet, see Engine.meanwhile
	}
	if cause != nil {
		a.interrupt(cause, kind)
	}
	return ctx, end
}

// holds reports whether s is what is healed while something newer is on its way to
// the journal.
func (a *app) holds(s snapshot) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.held != nil && a.held.s.desired == s.desired
}

// overtaken says why a run that was decided on s must not begin any more; nil: it
// may. The same ends a run that is under way.
func overtaken(r *journal.Record, s snapshot, kind runKind) error {
	switch {
	case r == nil || r.Gone != nil:
		return errWithdrawn
	case kind == runWithdraw:
		if r.Withdraw == nil || *r.Withdraw != *s.withdraw {
			return errWithdrawn
		}
	case r.Withdraw != nil:
		return errWithdrawn
	case s.held: // nothing newer may begin before it is stored
	case kind == runOperation:
		if r.Op != nil && r.Op.ID == s.op.ID && r.Op.Terminating && !s.op.Terminating {
			return errTerminated
		}
	case r.Desired != s.desired: // it is replaced, and never modified
		return errNewer
	case kind == runHeal && r.Op != nil && (s.pending == nil || s.pending.ID != r.Op.ID):
		return errNewer
	}
	return nil
}
