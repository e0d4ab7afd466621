package veto

import (
	"context"
	"strings"

	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/agent/sync"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// Applier puts the policy before every write of inner. Dry runs are answered as
// the write would be, but not counted. Reads are asked about only where they are
// made as a service account.
func (k *Keeper) Applier(inner sync.Applier) sync.Applier { return &applier{k, inner} }

type applier struct {
	keeper *Keeper
	inner  sync.Applier
}

// Apply implements sync.Applier.
func (a *applier) Apply(ctx context.Context, w sync.Write) ([]byte, error) {
	if err := a.caller(ctx); err != nil {
		return nil, err
	}
	if err := wellFormed(w.Key, w.Version, false); err != nil {
		return nil, err
	}
	exists := w.UID != "" || w.ResourceVersion != ""
	switch {
	case !exists:
		if err := a.keeper.ask(Create, w.Key); err != nil {
			return nil, err
		}
	case w.Mode == sync.ModeRecreate:
		if err := a.keeper.ask(Create, w.Key); err != nil {
			return nil, err
		}
		if err := a.mayDelete(ctx, w); err != nil {
			return nil, err
		}
	default:
		if err := a.keeper.ask(Update, w.Key); err != nil {
			return nil, err
		}
	}
	if !w.Force || !exists || w.Mode == sync.ModeRecreate {
		return a.inner.Apply(ctx, w)
	}
	// Force deletes only where the server refuses the change. What it then does
	// is another question, which is asked when it comes up.
	gentle := w
	gentle.Force = false
	answer, err := a.inner.Apply(ctx, gentle)
	if err == nil || !fault.HasCode(err, "immutable_field") {
		return answer, err
	}
	if err := a.keeper.ask(Create, w.Key); err != nil {
		return nil, err
	}
	if err := a.mayDelete(ctx, w); err != nil {
		return nil, err
	}
	return a.inner.Apply(ctx, w)
}

// caller asks about the service account as which a request is made.
func (a *applier) caller(ctx context.Context) error {
	c, _ := sync.CallerOf(ctx) // without one inner refuses
	if c.User == "" {
		return nil
	}
	return a.keeper.MayImpersonate(c.User)
}

// mayDelete asks for the delete that a write brings with it.
func (a *applier) mayDelete(ctx context.Context, w sync.Write) error {
	if w.DryRun {
		if err := a.keeper.ask(Delete, w.Key); err != nil {
			return err
		}
		return a.keeper.MayDelete(ctx, w.Operation, 1)
	}
	return a.keeper.countDelete(ctx, w.Operation, w.Key, w.UID)
}

// Create implements sync.Applier.
func (a *applier) Create(ctx context.Context, w sync.Write) ([]byte, error) {
	if err := a.caller(ctx); err != nil {
		return nil, err
	}
	if err := wellFormed(w.Key, w.Version, true); err != nil {
		return nil, err
	}
	if err := a.keeper.ask(Create, w.Key); err != nil {
		return nil, err
	}
	return a.inner.Create(ctx, w)
}

// Patch implements sync.Applier.
func (a *applier) Patch(ctx context.Context, p sync.PatchRequest) ([]byte, error) {
	if err := a.caller(ctx); err != nil {
		return nil, err
	}
	if err := wellFormed(p.Key, p.Version, false); err != nil {
		return nil, err
	}
	if err := segments(p.Key, p.Subresource); err != nil {
		return nil, err
	}
	if err := a.keeper.ask(Update, p.Key); err != nil {
		return nil, err
	}
	return a.inner.Patch(ctx, p)
}

// Delete implements sync.Applier.
func (a *applier) Delete(ctx context.Context, r sync.Removal) error {
	if err := a.caller(ctx); err != nil {
		return err
	}
	if err := wellFormed(r.Key, r.Kind.Version, false); err != nil {
		return err
	}
	if err := a.keeper.countDelete(ctx, r.Operation, r.Key, r.UID); err != nil {
		return err
	}
	return a.inner.Delete(ctx, r)
}

// Release implements sync.Applier.
func (a *applier) Release(ctx context.Context, r sync.Release) error {
	if err := a.caller(ctx); err != nil {
		return err
	}
	if err := wellFormed(r.Key, r.Kind.Version, false); err != nil {
		return err
	}
	if err := a.keeper.ask(Update, r.Key); err != nil {
		return err
	}
	return a.inner.Release(ctx, r)
}

// Get implements sync.Applier.
func (a *applier) Get(ctx context.Context, kind live.Kind, version string, key model.ObjectKey) ([]byte, error) {
	if err := a.caller(ctx); err != nil {
		return nil, err
	}
	return a.inner.Get(ctx, kind, version, key)
}

// wellFormed refuses keys that would be another path than they say: the policy
// is asked about the key, and the request goes to the path. A request without a
// name would be about all objects of the kind.
func wellFormed(k model.ObjectKey, version string, nameless bool) error {
	if k.Name == "" && !nameless {
		return fault.New(fault.Internal, "name_missing", "%s: a write without a name is not made", k)
	}
	return segments(k, k.Group, version, k.Namespace, k.Name)
}

// segments checks parts of a path, as the API server's clients do (see
// k8s.io/apimachinery/pkg/api/validation/path, IsValidPathSegmentName).
func segments(k model.ObjectKey, parts ...string) error {
	for _, p := range parts {
		if p == "." || p == ".." || strings.ContainsAny(p, "/%?#") {
			return fault.New(fault.Denied, "name_invalid", "%s: %.60q cannot be part of a path", k, p)
		}
	}
	return nil
}
