package journal

import (
	"fmt"
	"slices"
	"time"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// OperationVerdict is what became of a command or withdrawal: what to do, what
// to make durable, and what to tell the hub once it is.
type OperationVerdict struct {
	Change
	Verdict Verdict
	Updates []model.OperationUpdate
}

func (o *Operation) running() model.OperationUpdate {
	accepted := o.AcceptedAt
	u := model.OperationUpdate{ID: o.ID, Seq: o.Seq, App: o.App, Kind: o.Kind, Phase: model.PhaseRunning, StartedAt: &accepted}
	if o.StartedAt != nil {
		u.StartedAt = o.StartedAt
	}
	return u
}

func withdrawUpdate(w model.Withdraw, phase model.OperationPhase, message string, at time.Time) model.OperationUpdate {
	u := model.OperationUpdate{ID: w.Operation, Seq: w.OperationSeq, App: w.App, Kind: model.OperationDelete, Phase: phase, Message: message}
	if phase.Terminal() && !at.IsZero() {
		u.FinishedAt = &at
	}
	return u
}

func ended(c model.Command, phase model.OperationPhase, message string, at time.Time) model.OperationUpdate {
	return model.OperationUpdate{ID: c.ID, Seq: c.Seq, App: c.App, Kind: c.Kind, Phase: phase, Message: message, FinishedAt: &at}
}

// AcceptOperation takes a command to sync or to run an action. It is never run twice: one whose number
// is not above the last accepted is answered with its own stored result when
// there is one, and as superseded otherwise. A command may arrive before its
// desired state: then it waits (Record.Op is set, its Generation is not reached).
// With c.Terminate the operation is to end: the caller ends it when it is under
// way (Record.Op.Terminating), and it is answered here otherwise.
func (b *Book) AcceptOperation(c model.Command, now time.Time) (OperationVerdict, error) {
	if err := b.open(); err != nil {
		return OperationVerdict{}, err
	}
	if c.ID == "" || c.App == "" || c.Seq <= 0 || c.Kind != model.OperationSync && c.Kind != model.OperationAction {
		return OperationVerdict{}, fault.New(fault.Invalid, "operation_invalid",
			"operation %q of kind %q with number %d cannot be carried out", c.ID, c.Kind, c.Seq)
	}
	r, held := b.Apps[c.App], true
	if r == nil {
		r, held = &Record{App: c.App}, false
	}
	if r.Op != nil && r.Op.ID == c.ID {
		if c.Terminate && !r.Op.Terminating {
			r.Op.Terminating = true
			return OperationVerdict{Change: changed(c.App), Verdict: Taken}, nil
		}
		return OperationVerdict{Verdict: Repeated, Updates: []model.OperationUpdate{r.Op.running()}}, nil
	}
	if u, ok := r.result(c.ID); ok {
		return OperationVerdict{Verdict: Answered, Updates: []model.OperationUpdate{u}}, nil
	}
	// An answer that follows from what the book holds is not stored: if it is
	// lost, the hub sends the command again in its next session.
	answer := func(phase model.OperationPhase, format string, args ...any) (OperationVerdict, error) {
		u := ended(c, phase, fmt.Sprintf(format, args...), now)
		return OperationVerdict{Verdict: Answered, Updates: []model.OperationUpdate{u}}, nil
	}
	switch {
	case b.entombed(r):
		return answer(model.PhaseSuperseded, "the application was removed from the cluster")
	case r.Withdraw != nil:
		return answer(model.PhaseSuperseded, "the application is being removed by operation %s", r.Withdraw.Operation)
	case c.Seq <= r.LastOpSeq:
		return answer(model.PhaseSuperseded, "operation number %d of the application was accepted before number %d", r.LastOpSeq, c.Seq)
	case r.Op != nil:
		return answer(model.PhaseFailed, "operation %s of the application has not ended", r.Op.ID)
	}
	if r.Gone != nil {
		r = r.reborn()
	}
	b.Apps[c.App] = r
	r.LastOpSeq = c.Seq
	if c.Terminate { // and it may not begin later
		u := ended(c, model.PhaseTerminated, "ended on request before it began", now)
		r.end(u)
		if !held { // of an application that is not known here: nothing to keep for ever
			r.Gone = &Tombstone{Epoch: b.Head.Epoch, OpSeq: c.Seq}
		}
		return OperationVerdict{Change: changed(c.App), Verdict: Answered, Updates: []model.OperationUpdate{u}}, nil
	}
	r.Op = &Operation{Command: c, AcceptedAt: now}
	return OperationVerdict{Change: changed(c.App), Verdict: Taken, Updates: []model.OperationUpdate{r.Op.running()}}, nil
}

// result finds how an operation ended.
func (r *Record) result(id model.OperationID) (model.OperationUpdate, bool) {
	for _, u := range r.Ended {
		if u.ID == id {
			return u, true
		}
	}
	for _, u := range r.Recent {
		if u.ID == id {
			return u, true
		}
	}
	return model.OperationUpdate{}, false
}

func (r *Record) end(u model.OperationUpdate) {
	r.Ended = append(r.Ended, u)
	if u.Kind == model.OperationSync || u.Kind == model.OperationAction {
		u.Result = nil
		if u.Kind == model.OperationSync {
			r.LastOp = &u
		}
		r.Recent = append(r.Recent, u)
		if over := len(r.Recent) - maxRecent; over > 0 {
			r.Recent = slices.Delete(r.Recent, 0, over)
		}
	}
}

// Ready returns the operation that may run now: accepted, and its generation
// reached.
func (r *Record) Ready() (*Operation, bool) {
	if r.Op == nil || r.Gone != nil || r.Withdraw != nil || r.Desired == nil || r.Desired.Generation < r.Op.Generation {
		return nil, false
	}
	return r.Op, true
}

// StartOperation records that the effects of an operation begin.
func (b *Book) StartOperation(uid model.AppUID, id model.OperationID, at time.Time) (Change, error) {
	r := b.Apps[uid]
	if r == nil || r.Op == nil || r.Op.ID != id {
		return Change{}, notRunning(id)
	}
	if r.Op.StartedAt != nil {
		return Change{}, nil
	}
	r.Op.StartedAt = &at
	return changed(uid), nil
}

// RetryOperation records that a run of an operation has failed and that the next
// is not before at.
func (b *Book) RetryOperation(uid model.AppUID, id model.OperationID, message string, at time.Time) (Change, error) {
	r := b.Apps[uid]
	if r == nil || r.Op == nil || r.Op.ID != id {
		return Change{}, notRunning(id)
	}
	r.Op.Tries++
	r.Op.RetryAt, r.Op.LastError = &at, message
	return changed(uid), nil
}

// AgreePrune records that the operation's prune of a generation, of count
// objects, was confirmed. Nothing may be deleted before the change is durable.
// The first agreement on a generation stands.
func (b *Book) AgreePrune(uid model.AppUID, id model.OperationID, g model.Generation, count int) (Change, error) {
	r := b.Apps[uid]
	if r == nil || r.Op == nil || r.Op.ID != id {
		return Change{}, notRunning(id)
	}
	if r.Op.Agreed != nil && r.Op.Agreed.Generation == g {
		return Change{}, nil
	}
	r.Op.Agreed = &Agreement{Generation: g, Count: count}
	return changed(uid), nil
}

// FinishOperation ends the operation that is under way. The update is sent
// when the change is durable, and again in every hello until it is acknowledged.
func (b *Book) FinishOperation(uid model.AppUID, id model.OperationID, phase model.OperationPhase, message string, result *model.OperationResult, at time.Time) (Change, model.OperationUpdate, error) {
	r := b.Apps[uid]
	if r == nil || r.Op == nil || r.Op.ID != id {
		return Change{}, model.OperationUpdate{}, notRunning(id)
	}
	if !phase.Terminal() {
		return Change{}, model.OperationUpdate{}, fault.New(fault.Internal, "operation_phase", "%q does not end an operation", phase)
	}
	u := r.Op.running()
	u.Phase, u.Message, u.Result, u.FinishedAt = phase, message, result, &at
	r.Op = nil
	r.end(u)
	return changed(uid), u, nil
}

// AckOperations forgets ends that the hub has stored. What it does not know is
// ignored.
func (b *Book) AckOperations(ids []model.OperationID) Change {
	var c Change
	for uid, r := range b.Apps {
		n := len(r.Ended)
		r.Ended = slices.DeleteFunc(r.Ended, func(u model.OperationUpdate) bool { return slices.Contains(ids, u.ID) })
		if len(r.Ended) != n {
			c.Apps = append(c.Apps, uid)
		}
	}
	slices.Sort(c.Apps)
	return c
}

// AcceptWithdraw takes the decision to remove an application. When the agent
// holds nothing of it, it is answered at once as done. While one is under way,
// another, or the same again, may approve of deletions or turn it into one that
// leaves the objects, never the other way round. It does not interrupt a
// running operation: the caller ends that first, or CompleteWithdraw ends it.
//
// Refusals (Kind Conflict): generation_stale, a withdrawal that is not above
// the desired state that is held, so that a late message removes nothing.
func (b *Book) AcceptWithdraw(w model.Withdraw, now time.Time) (OperationVerdict, error) {
	if err := b.open(); err != nil {
		return OperationVerdict{}, err
	}
	if w.App == "" || w.Operation == "" || w.Generation <= 0 || !w.Mode.Valid() {
		return OperationVerdict{}, fault.New(fault.Invalid, "withdraw_invalid",
			"a withdrawal needs an application, an operation, a generation and a mode; this has mode %q", w.Mode)
	}
	r := b.Apps[w.App]
	if r == nil {
		r = &Record{App: w.App, Name: w.Name}
	}
	if u, ok := r.result(w.Operation); ok {
		return OperationVerdict{Verdict: Answered, Updates: []model.OperationUpdate{u}}, nil
	}
	taken := func() (OperationVerdict, error) {
		return OperationVerdict{Change: changed(w.App), Verdict: Taken,
			Updates: []model.OperationUpdate{withdrawUpdate(w, model.PhaseRunning, "", now)}}, nil
	}
	switch {
	case r.Withdraw != nil:
		// A later decision may approve of deletions that the first waits for, or
		// give up deleting what cannot be deleted; the hub says a withdrawal again
		// when it was changed so. Neither is taken back by a message that is late.
		next := amended(*r.Withdraw, w)
		news := next != *r.Withdraw
		known := r.Withdraw.Operation == w.Operation ||
			slices.ContainsFunc(r.Joined, func(j model.Withdraw) bool { return j.Operation == w.Operation })
		if known && !news {
			return OperationVerdict{Verdict: Repeated, Updates: []model.OperationUpdate{withdrawUpdate(w, model.PhaseRunning, "", now)}}, nil
		}
		if !known {
			r.Joined = append(r.Joined, w)
		}
		r.Withdraw = &next // a copy: readers hold the one before
		return taken()
	case r.Gone != nil && r.Gone.Operation == w.Operation:
		u := withdrawUpdate(w, model.PhaseSucceeded, "the application was removed before", now)
		return OperationVerdict{Verdict: Answered, Updates: []model.OperationUpdate{u}}, nil
	case r.Gone != nil || (r.Desired == nil && r.Op == nil && len(r.Inventory) == 0 && len(r.Hooks) == 0):
		return b.nothingHeld(r, w, now), nil
	case r.Desired != nil && w.Generation <= r.Desired.Generation:
		return OperationVerdict{}, fault.New(fault.Conflict, "generation_stale",
			"the withdrawal has generation %d, the agent holds %d of application %q", w.Generation, r.Desired.Generation, r.Name)
	}
	r.Withdraw = &w
	b.Apps[w.App] = r
	return taken()
}

// amended is a withdrawal after a later one, or after the same again.
func amended(w, later model.Withdraw) model.Withdraw {
	w.ApproveDeletions = w.ApproveDeletions || later.ApproveDeletions
	if later.Mode == model.WithdrawOrphan {
		w.Mode = later.Mode
	}
	return w
}

func (b *Book) nothingHeld(r *Record, w model.Withdraw, now time.Time) OperationVerdict {
	u := withdrawUpdate(w, model.PhaseSucceeded, "the agent held nothing of the application", now)
	r.end(u)
	if r.Gone == nil {
		r.Gone = &Tombstone{Operation: w.Operation}
	}
	r.Gone.Generation = max(r.Gone.Generation, w.Generation)
	r.Gone.OpSeq = max(r.Gone.OpSeq, w.OperationSeq)
	r.Gone.Epoch = b.Head.Epoch
	b.Apps[w.App] = r
	return OperationVerdict{Change: changed(w.App), Verdict: Answered, Updates: []model.OperationUpdate{u}}
}

// CompleteWithdraw records that a withdrawal is carried out: a cascade has
// found every object of the inventory gone or not ours, an orphan has taken the
// marks off. It has no other end: what cannot be deleted is tried again. An
// operation that was still under way ends as superseded. The record becomes a
// tombstone until the next epoch.
func (b *Book) CompleteWithdraw(uid model.AppUID, op model.OperationID, message string, result *model.OperationResult, at time.Time) (OperationVerdict, error) {
	r := b.Apps[uid]
	if r == nil || r.Withdraw == nil || r.Withdraw.Operation != op {
		return OperationVerdict{}, notRunning(op)
	}
	w := *r.Withdraw
	gone := Record{App: uid, Name: r.Name, Project: r.Project, Ended: r.Ended, LastOp: r.LastOp, Recent: r.Recent, LastOpSeq: r.LastOpSeq}
	var updates []model.OperationUpdate
	finish := func(u model.OperationUpdate) {
		updates = append(updates, u)
		gone.end(u)
	}
	if r.Op != nil {
		finish(ended(r.Op.Command, model.PhaseSuperseded, fmt.Sprintf("the application was removed by operation %s", op), at))
	}
	u := withdrawUpdate(w, model.PhaseSucceeded, message, at)
	u.Result = result
	finish(u)
	gone.Gone = &Tombstone{Generation: w.Generation, Epoch: b.Head.Epoch, OpSeq: r.maxOpSeq(), Operation: op}
	for _, j := range r.Joined {
		finish(withdrawUpdate(j, model.PhaseSucceeded, fmt.Sprintf("done by operation %s (%s)", op, w.Mode), at))
		gone.Gone.Generation = max(gone.Gone.Generation, j.Generation)
	}
	b.Apps[uid] = &gone
	return OperationVerdict{Change: changed(uid), Verdict: Taken, Updates: updates}, nil
}

func notRunning(id model.OperationID) error {
	return fault.New(fault.NotFound, "operation_unknown", "operation %s is not under way", id)
}
