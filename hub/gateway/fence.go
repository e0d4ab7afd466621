package gateway

import (
	"context"
	"time"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/wire"
)

// Other hubs on the same database revoke clusters, and open sessions of theirs,
// too. Once in Options.FenceEvery each hub asks in one statement which of its sessions may
// not go on; while the database cannot be asked, they go on.

const fenceTimeout = 5 * time.Second

var fences = map[string]parting{
	"cluster_deleted":     {kind: fault.Unauthorized, GoAway: wire.GoAway{Code: "cluster_deleted", Message: "the cluster was deleted at the hub"}},
	"cluster_revoked":     {kind: fault.Unauthorized, GoAway: wire.GoAway{Code: "cluster_revoked", Message: "the cluster's certificates were revoked"}},
	"certificate_revoked": {kind: fault.Unauthorized, GoAway: wire.GoAway{Code: "certificate_revoked", Message: "the cluster was enrolled again"}},
	duplicate.Code:        duplicate,
	superseded.Code:       superseded,
}

func (g *Gateway) fence(ctx context.Context) {
	tick := time.NewTicker(g.opts.FenceEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		g.fenceOnce(ctx)
	}
}

func (g *Gateway) fenceOnce(ctx context.Context) {
	g.mu.Lock()
	open := make([]fleet.OpenSession, 0, g.live)
	for id, c := range g.clusters {
		if s := c.current; s != nil {
			open = append(open, fleet.OpenSession{Cluster: id, Serial: s.caller.identity.Serial, Epoch: s.epoch})
		}
	}
	g.mu.Unlock()
	if len(open) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, fenceTimeout)
	defer cancel()
	fenced, err := g.opts.Store.Fenced(ctx, open)
	if err != nil {
		if ctx.Err() == nil {
			g.log.Warn("whether sessions were ended by another hub is not known", "code", fault.As(err).Code, "error", err)
		}
		return
	}
	for _, f := range fenced {
		g.shut(f)
	}
}

func (g *Gateway) shut(f fleet.FencedSession) {
	g.mu.Lock()
	var s *session
	if c := g.clusters[f.Cluster]; c != nil && c.current != nil && c.current.epoch.Number == f.Number {
		s = c.current
	}
	if s != nil && f.Code == superseded.Code {
		g.replaced(s, f.Newest)
	}
	g.mu.Unlock()
	p, known := fences[f.Code]
	if s == nil || !known {
		return
	}
	s.log.Info("the session was ended by another hub", "code", f.Code, "epoch", s.epoch.String())
	s.end(p)
}

// bindKey sees to it that the key of a certificate is known to be its cluster's.
func (g *Gateway) bindKey(ctx context.Context, who *caller, recorded fleet.Certificate) error {
	if recorded.Fingerprint != "" {
		return nil
	}
	recorded.Fingerprint = who.identity.Fingerprint
	return g.opts.Store.BindKey(ctx, recorded)
}

// forget forgets what was noted of a cluster's agents: there is a new identity.
func (g *Gateway) forget(cluster model.ClusterID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.doubles, cluster)
}
