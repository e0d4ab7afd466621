package reconcile

import (
	"context"

	"github.com/hawser-dev/hawser/agent/journal"
	"github.com/hawser-dev/hawser/agent/sync"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// deleteOne deletes the one object that an operation names by its uid, and no other
// of its name: one that a sync or a controller made meanwhile stays. So it deletes
// once, however often it is run after interruptions. What is desired is not changed
// by that.
func (e *Engine) deleteOne(ctx context.Context, s snapshot, op *journal.Operation) ([]model.ResourceResult, error) {
	key, how := op.Spec.Action.Resource, op.Spec.Action.Delete
	if how.UID == "" {
		return nil, fault.New(fault.Invalid, "action_invalid", "the operation does not name the uid of %s; nothing was deleted", key)
	}
	if err := e.permitted(s, key); err != nil {
		return nil, err
	}
	kind, err := e.o.Observer.Kind(key.GroupKind())
	if err != nil {
		return nil, err
	}
	gone := func(message string) ([]model.ResourceResult, error) {
		return []model.ResourceResult{{ObjectKey: key, Status: sync.StatusDeleted, Message: message}}, nil
	}
	var present []byte
	err = e.exec.Governor.Do(ctx, func() (err error) {
		present, err = e.o.Applier.Get(ctx, kind, kind.Version, key)
		return err
	})
	switch {
	case fault.HasCode(err, "not_found"):
		return gone("it is gone")
	case err != nil:
		return nil, err
	}
	if uid, _ := identityOf(present); uid != how.UID {
		return gone("the object that was meant is gone; another has its name, and was not touched")
	}
	if err := e.mayAct(s, key); err != nil { // of what there is no more it cannot be asked
		return nil, err
	}
	err = e.exec.Governor.Do(ctx, func() error {
		if err := e.allowed(ctx); err != nil {
			return err
		}
		return e.o.Applier.Delete(ctx, sync.Removal{Kind: kind, Key: key, UID: how.UID, Propagation: how.Propagation, Force: how.Force, Operation: string(op.ID)})
	})
	if err != nil {
		return []model.ResourceResult{{ObjectKey: key, Status: sync.StatusFailed, Message: fault.As(err).Message}}, err
	}
	return gone("")
}
