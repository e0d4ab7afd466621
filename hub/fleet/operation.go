package fleet

import (
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// OperationEventType is something that happens to an operation.
type OperationEventType int

// The events. Only EventUpdate comes from an agent.
const (
	// EventSent: the operation is about to be given to a session. It is stored
	// before the message leaves.
	EventSent OperationEventType = iota
	// EventNotAccepted: a hello proves that the agent never accepted it.
	EventNotAccepted
	// EventUpdate: the agent says where the operation is.
	EventUpdate
	// EventTerminate: somebody asks to end it.
	EventTerminate
	// EventSupersede: something newer makes it pointless.
	EventSupersede
	// EventExpire: its deadline has passed and no agent has it.
	EventExpire
)

// OperationEvent is an event with what it brings.
type OperationEvent struct {
	Type   OperationEventType
	Update model.OperationUpdate // for EventUpdate
	Reason string                // for EventSupersede, and for EventTerminate of the hub itself
	By     string                // for EventTerminate: who asks; "" is the hub itself
	At     time.Time             // the hub's clock
}

// Update makes the event of an agent's update.
func Update(u model.OperationUpdate, at time.Time) OperationEvent {
	return OperationEvent{Type: EventUpdate, Update: u, At: at}
}

// Supersede makes the event of being superseded.
func Supersede(reason string, at time.Time) OperationEvent {
	return OperationEvent{Type: EventSupersede, Reason: reason, At: at}
}

// Advance applies an event to an operation. A terminal operation never changes
// again: whatever comes late leaves it as it is, without an error, so that the
// sender can be told that the end is known. Errors are for events that can
// never be right: of another operation, or with a phase that agents do not
// report (Kind Invalid), and for what cannot be done now (Kind Precondition).
func Advance(op model.OperationInfo, ev OperationEvent) (next model.OperationInfo, changed bool, err error) {
	if ev.Type == EventUpdate {
		if err := checkUpdate(op, ev.Update); err != nil {
			return op, false, err
		}
	}
	if op.Phase.Terminal() {
		return op, false, nil
	}
	next = op
	switch ev.Type {
	case EventSent:
		if op.Phase == model.PhaseQueued {
			next.Phase = model.PhaseSent
		}
	case EventNotAccepted:
		if op.Phase != model.PhaseSent {
			break
		}
		next.Phase = model.PhaseQueued
		if op.Terminating {
			return end(next, model.PhaseTerminated, "ended on request before the agent accepted it", ev.At), true, nil
		}
	case EventUpdate:
		return update(op, ev)
	case EventTerminate:
		return terminate(op, ev)
	case EventSupersede:
		if op.Phase != model.PhaseQueued {
			return op, false, fault.New(fault.Precondition, "operation_running",
				"operation %s was given to the agent and cannot be superseded", op.ID)
		}
		next = end(next, model.PhaseSuperseded, ev.Reason, ev.At)
	case EventExpire:
		if op.Phase == model.PhaseQueued && op.Kind != model.OperationDelete {
			next = end(next, model.PhaseExpired, "no agent was given it before its deadline: its cluster was not connected, or nothing was rendered for its application"+staysPinned(op), ev.At)
		}
	default:
		return op, false, fault.New(fault.Internal, "operation_event", "unknown operation event %d", ev.Type)
	}
	return next, next.Phase != op.Phase, nil
}

func checkUpdate(op model.OperationInfo, u model.OperationUpdate) error {
	if u.ID != op.ID {
		return fault.New(fault.Invalid, "operation_mismatch", "the update is of operation %s, not of %s", u.ID, op.ID)
	}
	if u.App != "" && op.App != "" && u.App != op.App {
		return fault.New(fault.Invalid, "operation_mismatch", "operation %s belongs to application %s, not to %s", op.ID, op.App, u.App)
	}
	if u.Phase != model.PhaseRunning && !u.Phase.Terminal() {
		return fault.New(fault.Invalid, "operation_phase", "an agent cannot report the phase %q", u.Phase).
			WithFound(string(u.Phase), "Running, Succeeded, Failed, Superseded, Expired, Terminated")
	}
	return nil
}

func update(op model.OperationInfo, ev OperationEvent) (model.OperationInfo, bool, error) {
	u, next := ev.Update, op
	next.Phase = u.Phase
	if u.StartedAt != nil {
		next.StartedAt = u.StartedAt
	} else if next.StartedAt == nil {
		next.StartedAt = &ev.At
	}
	if u.Message != "" || !next.Terminating { // that somebody asked to end it is said until there is more to say
		next.Message = u.Message
	}
	if u.Result != nil {
		next.Result = u.Result
	}
	if u.Phase.Terminal() {
		at := ev.At
		if u.FinishedAt != nil {
			at = *u.FinishedAt
		}
		next = end(next, u.Phase, u.Message, at)
	}
	return next, !reflect.DeepEqual(next, op), nil
}

func terminate(op model.OperationInfo, ev OperationEvent) (model.OperationInfo, bool, error) {
	next := op
	if ev.By != "" {
		next.Amendments = amended(op, model.Amendment{What: model.AmendTerminate, By: ev.By, At: ev.At})
	}
	switch {
	case op.Phase == model.PhaseQueued:
		return end(next, model.PhaseTerminated, endedBy(ev)+staysPinned(op), ev.At), true, nil
	case op.Kind == model.OperationDelete:
		return op, false, fault.New(fault.Precondition, "delete_started",
			"the agent has been told to delete the application; that cannot be taken back").
			WithFix("wait for the end, then create the application again")
	}
	next.Terminating = true
	next.Message = askedBy(ev) + "; the agent may still carry it out, and it has ended only when the agent says so"
	if op.Terminating {
		return op, false, nil // the first who asked is remembered
	}
	return next, true, nil
}

// endedBy says why an operation that no agent was given has ended.
func endedBy(ev OperationEvent) string {
	if ev.By == "" {
		return ev.Reason
	}
	return "ended on request of " + ev.By + " before an agent was given it"
}

// askedBy says why an operation that an agent has is to end.
func askedBy(ev OperationEvent) string {
	if ev.By == "" {
		return ev.Reason + "; the agent is asked to end it"
	}
	return ev.By + " has asked to end it"
}

// staysPinned says what the end of a rollback's operation does not end.
func staysPinned(op model.OperationInfo) string {
	r := op.Spec.Rollback
	if r == nil || r.SetAside == "" {
		return ""
	}
	return fmt.Sprintf("; the application stays pinned to deployment %d all the same, and what its sync policy says is applied to that. What Git says is wanted again after: hawser app unpin %s", r.HistoryID, op.AppName)
}

// amended are the operation's amendments with one more. Lists of older values
// are not written to.
func amended(op model.OperationInfo, a model.Amendment) []model.Amendment {
	return append(slices.Clip(op.Amendments), a)
}

// Amend changes a delete that is under way: it approves of deletions, or gives
// up deleting. Neither is ever taken back: what was deleted meanwhile does not
// come back, and nothing is deleted by a request that came before somebody
// decided to leave it. changed is false when it is so already, or the delete has
// ended.
func Amend(op model.OperationInfo, a model.Amendment) (next model.OperationInfo, changed bool, err error) {
	if op.Kind != model.OperationDelete {
		return op, false, fault.New(fault.Internal, "operation_amendment", "operation %s of kind %q cannot be changed", op.ID, op.Kind)
	}
	next = op
	if next.Spec, err = amend(op.Spec, a.What); err != nil {
		return op, false, err
	}
	if op.Phase.Terminal() || reflect.DeepEqual(next.Spec, op.Spec) {
		return op, false, nil
	}
	next.Amendments = amended(op, a)
	return next, true, nil
}

func amend(spec model.OperationSpec, what model.AmendmentKind) (model.OperationSpec, error) {
	switch what {
	case model.AmendApprove:
		spec.ApproveDeletions = true
	case model.AmendOrphan:
		spec.Cascade, spec.Propagation = false, ""
	case model.AmendTerminate: // asks for nothing else
	default:
		return spec, fault.New(fault.Internal, "operation_amendment", "unknown amendment %q", what)
	}
	return spec, nil
}

// end puts an operation into its terminal phase. Everything that ends other
// than well carries a reason.
func end(op model.OperationInfo, phase model.OperationPhase, message string, at time.Time) model.OperationInfo {
	if message == "" && phase != model.PhaseSucceeded {
		message = fmt.Sprintf("the agent gave no reason (%s)", phase)
	}
	op.Phase, op.Message, op.FinishedAt, op.Terminating = phase, message, &at, false
	return op
}

// Expire ends an operation whose deadline has passed and that no agent has:
// only a Queued one. A Sent one is put back first, by a hello that does not
// list it. A delete has no deadline: it is carried out when its cluster is back.
func Expire(op model.OperationInfo, now time.Time) (next model.OperationInfo, changed bool) {
	if op.Deadline == nil || !now.After(*op.Deadline) {
		return op, false
	}
	next, changed, _ = Advance(op, OperationEvent{Type: EventExpire, At: now})
	return next, changed
}

// OperationTransition is an operation after a decision, to be stored.
type OperationTransition struct {
	Operation model.OperationInfo // as it now is
	From      model.OperationPhase
	// AppRemoved: a delete succeeded. The application, its desired state and
	// its observations go in the same transaction; a tombstone stays, and so
	// do its operations: those that are Queued are superseded (OnAppRemoved).
	AppRemoved bool
	// AppKept: a delete ended without deleting. The application is no longer
	// being deleted, and its withdrawal row goes.
	AppKept bool
}

// Transition says what a change of an operation means for its application.
func Transition(before, after model.OperationInfo) OperationTransition {
	t := OperationTransition{Operation: after, From: before.Phase}
	if after.Kind == model.OperationDelete && after.Phase.Terminal() && !before.Phase.Terminal() {
		t.AppRemoved = after.Phase == model.PhaseSucceeded
		t.AppKept = !t.AppRemoved
	}
	return t
}

// OnAppRemoved ends the operations of an application that was deleted, as far
// as the hub may: those that no agent was given. Of the others the agent says
// how they ended.
func OnAppRemoved(open []model.OperationInfo, by model.OperationID, now time.Time) []OperationTransition {
	var out []OperationTransition
	for _, op := range open {
		if op.ID == by || op.Phase != model.PhaseQueued {
			continue
		}
		next, changed, err := Advance(op, Supersede("the application was deleted", now))
		if err == nil && changed {
			out = append(out, Transition(op, next))
		}
	}
	return out
}

// Admission is the decision on a new operation.
type Admission struct {
	// Existing is set when what is asked for is already under way; then nothing
	// is created.
	Existing *model.OperationInfo
	// Supersede are Queued operations that end because of the new one, in the
	// same transaction.
	Supersede []model.OperationID
}

// Admit decides on a new operation against the operations of its application
// that have not ended. (A repeated idempotency key is looked up before, see
// Repeats.) A sync supersedes a queued sync and is refused while an operation is
// with the agent, which carries out one at a time, or a delete is open. An
// action is of its moment: it waits for nothing, and is refused while any
// operation is open; a sync does not take the place of a queued one. A delete
// supersedes what is queued, does not wait here for what is running (the agent
// finishes that first), and joins a delete that is open, which is not changed by
// that: see Amend.
func Admit(open []model.OperationInfo, n NewOperation) (Admission, error) {
	var a Admission
	switch n.Kind {
	case model.OperationSync, model.OperationDelete, model.OperationAction:
	default:
		return a, fault.New(fault.Invalid, "operation_kind", "unknown kind of operation %q", n.Kind).
			WithField("kind").WithFound(string(n.Kind), "sync, delete, action")
	}
	for _, op := range open {
		if op.App != n.App || op.Phase.Terminal() || op.Kind != model.OperationDelete {
			continue
		}
		if n.Kind == model.OperationDelete {
			existing := op
			return Admission{Existing: &existing}, nil
		}
		return a, fault.New(fault.Precondition, "application_deleting",
			"the application is being deleted by operation %s", op.ID)
	}
	for _, op := range open {
		if op.App != n.App || op.Phase.Terminal() {
			continue
		}
		replaced := n.Kind == model.OperationDelete || n.Kind == model.OperationSync && op.Kind == model.OperationSync
		if replaced && op.Phase == model.PhaseQueued {
			a.Supersede = append(a.Supersede, op.ID)
			continue
		}
		if n.Kind != model.OperationDelete {
			return Admission{}, fault.New(fault.Precondition, "operation_running",
				"operation %s of the application has not ended (%s)", op.ID, op.Phase).
				WithFix("wait for it, or end it with: hawser operation terminate %s", op.ID)
		}
	}
	return a, nil
}

// Repeats decides what becomes of a request whose idempotency key is taken: nil
// when it asks for the same as the operation that the key made, whatever was
// decided about that later.
func Repeats(existing model.OperationInfo, n NewOperation) error {
	spec := n.Spec
	spec.TraceParent = existing.Spec.TraceParent // each request has its own
	for _, a := range existing.Amendments {
		if later, err := amend(spec, a.What); err == nil {
			spec = later
		}
	}
	if existing.App == n.App && existing.Kind == n.Kind && reflect.DeepEqual(existing.Spec, spec) {
		return nil
	}
	return fault.New(fault.Conflict, "idempotency_key_reused",
		"the idempotency key belongs to operation %s, which asks for something else", existing.ID).
		WithField("Idempotency-Key").WithFix("use a new key for a new request")
}
