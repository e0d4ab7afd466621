package app

import (
	"time"

	"github.com/hawser-dev/hawser/agent/action"
	"github.com/hawser-dev/hawser/agent/reconcile"
	"github.com/hawser-dev/hawser/shared/model"
)

// runs carries out actions: those of the present scripts and of the agent
// itself, where the cluster's own policy lets it. It implements
// reconcile.Actions.
type runs struct{ *agent }

func (r runs) Run(gk model.GroupKind, name string, params map[string]string, obj map[string]any, op string, now time.Time) ([]reconcile.ActionEffect, error) {
	if err := r.veto.Allow("action", keyOf(gk, obj)); err != nil {
		return nil, err
	}
	effects, err := action.Set{Scripts: r.scripts.current.Load()}.Run(gk, name, params, obj, op, now)
	if err != nil {
		return nil, err
	}
	out := make([]reconcile.ActionEffect, len(effects))
	for i, e := range effects {
		out[i] = reconcile.ActionEffect{Create: e.Operation == action.Create, Object: e.Object, Subresource: e.Subresource}
	}
	return out, nil
}

func keyOf(gk model.GroupKind, obj map[string]any) model.ObjectKey {
	meta, _ := obj["metadata"].(map[string]any)
	namespace, _ := meta["namespace"].(string)
	name, _ := meta["name"].(string)
	return model.ObjectKey{Group: gk.Group, Kind: gk.Kind, Namespace: namespace, Name: name}
}
