package app

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/hawser-dev/hawser/agent/observe"
	"github.com/hawser-dev/hawser/agent/reconcile"
	"github.com/hawser-dev/hawser/shared/model"
)

// uidPatience is how long a hello waits for the cluster to say which it is. A
// cluster that does not answer is no reason to stay away from the hub.
const uidPatience = 2 * time.Second

// greeter is the engine, which says in its hello which Kubernetes cluster this is.
type greeter struct {
	*reconcile.Engine
	observer *observe.Observer
	uid      atomic.Pointer[string]
}

// Hello implements link.Handler.
func (g *greeter) Hello(ctx context.Context) (model.Hello, error) {
	h, err := g.Engine.Hello(ctx)
	if err != nil {
		return h, err
	}
	if known := g.uid.Load(); known != nil {
		h.KubeUID = *known
		return h, nil
	}
	asking, cancel := context.WithTimeout(ctx, uidPatience)
	defer cancel()
	if uid, err := g.observer.UID(asking); err == nil && uid != "" {
		g.uid.Store(&uid)
		h.KubeUID = uid
	}
	return h, nil
}
