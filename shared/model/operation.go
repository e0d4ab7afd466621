package model

import "time"

// OperationKind is what a durable command does.
type OperationKind string

// The kinds of operations.
const (
	OperationSync   OperationKind = "sync" // also a rollback, see OperationSpec.Rollback
	OperationDelete OperationKind = "delete"
	// OperationAction runs a resource action on one object of the application.
	OperationAction OperationKind = "action"
)

// OperationPhase is where an operation is in its life. Exactly one of the
// terminal phases is reached, once.
type OperationPhase string

// Phases: Queued (stored), Sent (given to an agent session), Running (accepted
// in the agent's journal), then one terminal phase.
const (
	PhaseQueued     OperationPhase = "Queued"
	PhaseSent       OperationPhase = "Sent"
	PhaseRunning    OperationPhase = "Running"
	PhaseSucceeded  OperationPhase = "Succeeded"
	PhaseFailed     OperationPhase = "Failed"
	PhaseSuperseded OperationPhase = "Superseded"
	PhaseExpired    OperationPhase = "Expired"
	PhaseTerminated OperationPhase = "Terminated"
)

// Terminal reports whether p is an end.
func (p OperationPhase) Terminal() bool {
	switch p {
	case PhaseSucceeded, PhaseFailed, PhaseSuperseded, PhaseExpired, PhaseTerminated:
		return true
	}
	return false
}

// OperationSpec is what was asked for.
type OperationSpec struct {
	// Prune deletes owned objects that are no longer desired.
	Prune bool `json:"prune,omitempty"`
	// ConfirmPrune overrides the prune guard when it equals the number of
	// objects that the plan deletes.
	ConfirmPrune *int `json:"confirmPrune,omitempty"`
	DryRun       bool `json:"dryRun,omitempty"`
	// Revision, for a sync: the commit to go to; empty means the latest that
	// the hub has rendered.
	Revision string `json:"revision,omitempty"`
	// Cascade, for a delete: delete the objects too (else orphan them).
	Cascade bool `json:"cascade,omitempty"`
	// Propagation, for a delete: Foreground (default) or Background.
	Propagation string   `json:"propagation,omitempty"`
	SyncOptions []string `json:"syncOptions,omitempty"`
	// Resources limit a sync to some objects: "group:kind:name" or
	// "group:kind:namespace/name" with globs, "!" before what is left out. A
	// selective sync runs no hooks and leaves no history.
	Resources []string `json:"resources,omitempty"`
	// SkipHooks applies and prunes only, as Argo CD's strategy "apply".
	SkipHooks bool `json:"skipHooks,omitempty"`
	// Retry repeats a sync that failed; nil: it is tried once.
	Retry *RetryStrategy `json:"retry,omitempty"`
	// ApproveDeletions approves of deleting objects that say Prune=confirm (a
	// sync) or Delete=confirm (a delete).
	ApproveDeletions bool `json:"approveDeletions,omitempty"`
	// Reason is why, in the words of who asked.
	Reason string `json:"reason,omitempty"`
	// Rollback is set when a sync goes back to what was deployed before.
	Rollback *RollbackSpec `json:"rollback,omitempty"`
	// Action is what an operation of kind action runs.
	Action *ActionSpec `json:"action,omitempty"`
	// TraceParent is the place in a trace of the request (W3C trace context), ""
	// when it is not traced. The hub sets it, and nothing is decided by it.
	TraceParent string `json:"traceparent,omitempty"`
}

// RollbackSpec says what a rollback goes back to and what it sets aside.
type RollbackSpec struct {
	// HistoryID of the deployment that is gone back to.
	HistoryID int64 `json:"historyID"`
	// SetAside is the revision that is not deployed again until a newer one
	// comes.
	SetAside string `json:"setAside,omitempty"`
}

// ActionSpec is a resource action, as the agent offers it for one object.
type ActionSpec struct {
	Resource ObjectKey `json:"resource"`
	// Name as discovered: "restart", "scale", ….
	Name   string            `json:"name"`
	Params map[string]string `json:"params,omitempty"`
	// Delete is set when the object is to be deleted, which is no action that an
	// agent offers: Name is ActionDelete then. Agents that do not have
	// CapabilityDeleteObject are not given it.
	Delete *DeleteSpec `json:"delete,omitempty"`
}

// ActionDelete is the name of what deletes an object.
const ActionDelete = "delete"

// DeleteSpec is how one object is deleted.
type DeleteSpec struct {
	// UID of the object that is meant: another of the same name stays.
	UID string `json:"uid"`
	// Propagation is what becomes of what the object owns: foreground (also ""),
	// background or orphan.
	Propagation string `json:"propagation,omitempty"`
	// Force deletes without the time that the object is given to end in.
	Force bool `json:"force,omitempty"`
}

// OperationResult is what became of each object.
type OperationResult struct {
	Revision  string           `json:"revision,omitempty"`
	Resources []ResourceResult `json:"resources,omitempty"`
	// WouldPrune is set when the prune guard stopped the operation: the
	// number to confirm.
	WouldPrune int `json:"wouldPrune,omitempty"`
}

// ResourceResult is the effect on one object: Created, Configured, Unchanged,
// Pruned, PruneSkipped, Deleted, Orphaned or Failed.
type ResourceResult struct {
	ObjectKey
	Status  string `json:"status"`
	Message string `json:"message,omitempty"`
	// Phase (PreSync, Sync, PostSync, SyncFail, PreDelete, PostDelete) and Wave
	// in which it was dealt with.
	Phase string `json:"phase,omitempty"`
	Wave  int    `json:"wave,omitempty"`
	// HookPhase is how far a hook came: Running, Succeeded or Failed; "" for
	// what is no hook.
	HookPhase string `json:"hookPhase,omitempty"`
}

// OperationInfo is an operation as people see it.
type OperationInfo struct {
	ID      OperationID `json:"id"`
	Seq     int64       `json:"seq,omitempty"`
	App     AppUID      `json:"appUID"`
	AppName string      `json:"app,omitempty"`
	Cluster ClusterID   `json:"clusterID,omitempty"`
	// Project that the application was of when it was asked for.
	Project string         `json:"project,omitempty"`
	Kind    OperationKind  `json:"kind"`
	Spec    OperationSpec  `json:"spec"`
	Phase   OperationPhase `json:"phase"`
	Message string         `json:"message,omitempty"`
	// Terminating: an end was asked for after the agent was given the
	// operation; the agent is told until it answers.
	Terminating bool             `json:"terminating,omitempty"`
	Result      *OperationResult `json:"result,omitempty"`
	InitiatedBy string           `json:"initiatedBy,omitempty"`
	CreatedAt   *time.Time       `json:"createdAt,omitempty"`
	StartedAt   *time.Time       `json:"startedAt,omitempty"`
	FinishedAt  *time.Time       `json:"finishedAt,omitempty"`
	// Deadline after which an operation that no agent accepted expires.
	Deadline *time.Time `json:"deadline,omitempty"`
	// Generation that the operation is about: no agent is given it before that
	// desired state. Zero: whichever is the newest.
	Generation Generation `json:"generation,omitempty"`
	// Amendments are what was decided about the operation after it was asked
	// for, oldest first. Spec is as they leave it. What an agent says, and the
	// operation of an application's view, have none.
	Amendments []Amendment `json:"amendments,omitempty"`
}

// Amendment is a decision about an operation that is under way, and whose it is.
type Amendment struct {
	What AmendmentKind `json:"what"`
	By   string        `json:"by,omitempty"`
	At   time.Time     `json:"at"`
	// Reason is why, in the words of who decided.
	Reason string `json:"reason,omitempty"`
}

// AmendmentKind is what was decided.
type AmendmentKind string

// The kinds of amendments.
const (
	// AmendTerminate: the operation is to end.
	AmendTerminate AmendmentKind = "terminate"
	// AmendApprove: a delete may delete what says Delete=confirm.
	AmendApprove AmendmentKind = "approve-deletions"
	// AmendOrphan: a delete gives up deleting objects, and leaves those that
	// there still are.
	AmendOrphan AmendmentKind = "orphan"
)
