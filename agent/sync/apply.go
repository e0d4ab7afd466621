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
	// UID and ResourceVersion of the object that ModeReplace and ModeRecreate
	// replace.
	UID, ResourceVersion string
	DryRun               bool
	// Validate refuses unknown fields; otherwise the server drops them.
	Validate bool
	// Manager is the field manager; empty: model.FieldManager.
	Manager string
	// Operation explains the write in the API server's audit log.
	Operation string
}

// Removal is one object to be deleted.
type Removal struct {
	Kind live.Kind
	Key  model.ObjectKey
	// UID is a precondition and must not be empty.
	UID         string
	Propagation string // foreground, background or orphan; empty: foreground
	Operation   string
}

// Release is one object whose tracking annotation is taken off.
type Release struct {
	Kind      live.Kind
	Key       model.ObjectKey
	UID       string // precondition
	Operation string
}

// Applier is the cluster, as far as effects need it. Its methods block for one
// request each. Errors are fault errors with the codes of Classify; one that
// may go away by itself has the Kind Unavailable or RateLimited.
type Applier interface {
	// Apply writes an object and answers it as the server stored it, or with
	// DryRun as it would.
	Apply(ctx context.Context, w Write) ([]byte, error)
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
