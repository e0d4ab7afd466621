package sync

import (
	"context"

	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/shared/model"
)

// Write is one object to be written.
type Write struct {
	Kind    live.Kind
	Key     model.ObjectKey
	Version string // of Body, without the group
	Body    []byte // JSON
	Mode    Mode
	// UID and ResourceVersion of the object that ModeReplace, ModeRecreate and
	// Force replace, and whose managers Migrate names. Both empty: the object does
	// not exist, as far as is known.
	UID, ResourceVersion string
	DryRun               bool
	// Force deletes the object UID and makes it anew when the server refuses a
	// change that only this can bring about, as one of an immutable field, and
	// would take Body for a new object. Not those that take others or data with
	// them (Namespace, CRD, PersistentVolume, PersistentVolumeClaim).
	Force bool
	// Migrate names field managers, as NeedsMigration answers them, whose fields
	// become ours with this write: what they set and Body does not have goes away.
	// ModeReplace and ModeRecreate do not heed it.
	Migrate []string
	// Validate refuses unknown fields; otherwise the server drops them.
	Validate bool
	// Manager is the field manager; empty: model.FieldManager.
	Manager string
	// Operation explains the write in the API server's audit log.
	Operation string
}

// PatchRequest is a JSON merge patch of one object.
type PatchRequest struct {
	Kind    live.Kind
	Key     model.ObjectKey
	Version string // of Patch, without the group; empty: Kind.Version
	Patch   []byte // a JSON object
	// UID and ResourceVersion are preconditions where they are not empty.
	UID, ResourceVersion string
	Subresource          string // "status", "scale" or ""
	DryRun               bool
	Operation            string
}

// Removal is one object to be deleted.
type Removal struct {
	Kind live.Kind
	Key  model.ObjectKey
	// UID is a precondition and must not be empty.
	UID         string
	Propagation string // foreground, background or orphan; empty: foreground
	// Force deletes at once, without the time that the object has to end in.
	Force     bool
	Operation string
}

// Release is one object whose tracking annotation is taken off.
type Release struct {
	Kind      live.Kind
	Key       model.ObjectKey
	UID       string // precondition
	Operation string
}

// Applier is the cluster, as far as effects need it. Its methods block for a few
// requests at most and may be called again with the same argument after any
// error, as Governor.Do does. Errors are fault errors with the codes of Classify,
// and cluster_unreachable, answer_broken (both may mean that it was done); one
// that may go away by itself has the Kind Unavailable or RateLimited.
type Applier interface {
	// Apply writes an object and answers it as the server stored it, or with
	// DryRun as it would: one that would be recreated without what the server
	// fills in.
	Apply(ctx context.Context, w Write) ([]byte, error)
	// Create makes an object that must not exist yet, and answers it as stored. Of
	// w it heeds neither Mode nor Force, Migrate, UID and ResourceVersion. An
	// object of that name is a Conflict fault with the code already_exists; after
	// a lost answer it may be the caller's own, which a mark in it tells. A Body
	// with metadata.generateName and without a name is given a name by the server.
	Create(ctx context.Context, w Write) ([]byte, error)
	// Patch merges a patch into an object and answers it as stored. Where a
	// precondition fails the fault's code is uid_changed or version_conflict;
	// after a lost answer a version_conflict may come of the caller's own patch,
	// so a ResourceVersion is for patches that must not be merged twice.
	Patch(ctx context.Context, p PatchRequest) ([]byte, error)
	// Delete deletes an object. One that does not exist, or has another uid, is
	// deleted already: nil.
	Delete(ctx context.Context, r Removal) error
	// Release takes the tracking annotation off. One that does not exist, or has
	// another uid, is nil.
	Release(ctx context.Context, r Release) error
	// Get reads one object in the given version. One that does not exist is a
	// NotFound fault.
	Get(ctx context.Context, kind live.Kind, version string, key model.ObjectKey) ([]byte, error)
}

// Live is what is known of the cluster, and the news.
type Live interface {
	Get(model.ObjectKey) (live.Record, live.Presence)
	// Gone is the last state of a hook's object whose deletion was seen.
	Gone(model.ObjectKey) (live.Record, bool)
	Kind(model.GroupKind) (live.Kind, error)
	// RefreshDiscovery asks the server what kinds there are.
	RefreshDiscovery(context.Context) error
	// Saw takes the server's answer to a write.
	Saw(obj []byte) error
	// Await returns nil as soon as cond holds. It calls cond again whenever
	// something may have changed, from the calling goroutine, and returns the
	// cause when ctx ends.
	Await(ctx context.Context, cond func() bool) error
}
