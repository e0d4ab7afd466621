package gateway

import (
	"context"
	"time"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// This file holds which session is a cluster's, from its first word to its end.

// clusterSessions are the sessions of one cluster: the newest that was
// welcomed, and those whose state is being loaded. Wake-ups go to all, so that
// a change between the reading and the welcome is not lost.
type clusterSessions struct {
	current *session
	opening map[*session]struct{}
}

// begin registers an opening session, so that changes from now on reach it.
func (g *Gateway) begin(s *session) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.stopping {
		return false
	}
	g.sessions.Add(1)
	c := g.clusters[s.cluster]
	if c == nil {
		c = &clusterSessions{}
		g.clusters[s.cluster] = c
	}
	if c.opening == nil {
		c.opening = map[*session]struct{}{}
	}
	c.opening[s] = struct{}{}
	return true
}

func (g *Gateway) load(ctx context.Context, s *session, hello model.Hello) (fleet.Opening, error) {
	select {
	case g.opening <- struct{}{}:
	case <-ctx.Done():
		return fleet.Opening{}, ctx.Err()
	}
	defer func() { <-g.opening }()
	return g.opts.Store.OpenSession(ctx, s.cluster, hello, g.opts.Authority.SignIncarnation)
}

func (g *Gateway) abandon(s *session) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.removeOpening(s)
}

func (g *Gateway) removeOpening(s *session) {
	c := g.clusters[s.cluster]
	delete(c.opening, s)
	if len(c.opening) == 0 {
		c.opening = nil
		if c.current == nil {
			delete(g.clusters, s.cluster)
		}
	}
}

// install makes s the cluster's session and ends older ones, or answers why
// not: a newer one is there already, or s was ended meanwhile.
func (g *Gateway) install(s *session, o fleet.Opening) *parting {
	g.mu.Lock()
	s.epoch = o.Epoch
	c := g.clusters[s.cluster]
	defer s.announce(o)
	defer g.mu.Unlock()
	defer g.removeOpening(s)
	old := c.current
	switch {
	case s.ending.Load() != nil:
		return s.ending.Load()
	case g.stopping:
		return &stopping
	case old != nil && s.epoch.Less(old.epoch):
		return &superseded
	case s.epoch.Incarnation < g.incarnation:
		return &restored
	}
	c.current = s
	_, again := g.seen[s.cluster]
	g.seen[s.cluster] = struct{}{}
	g.opts.Observer.SessionOpened(again)
	if old != nil {
		g.replaced(old, s.instance)
		old.end(superseded)
	} else {
		g.live++
	}
	if g.incarnation < s.epoch.Incarnation {
		g.incarnation = s.epoch.Incarnation
		p := restored
		p.Spread = spreadFor(g.live)
		for _, other := range g.clusters {
			if other.current != nil && other.current.epoch.Incarnation < g.incarnation {
				other.current.end(p)
			}
		}
	}
	return nil
}

// announce tells log and hub what opening the session decided; it is decided
// and stored, whether or not the session lives.
func (s *session) announce(o fleet.Opening) {
	if o.RaiseIncarnationTo > 0 {
		s.log.Error("the database is an older copy than this agent has worked with; the incarnation rises and deletes are held",
			"code", "hub_state_regressed", "incarnation", o.Epoch.Incarnation, "reason", o.Reason)
	}
	for _, f := range o.Foreign {
		s.log.Warn("the agent reports an operation that the hub does not know", "code", "operation_unknown", "operation", string(f.ID), "phase", string(f.Phase))
	}
	if s.g.opts.SessionOpened != nil {
		s.g.opts.SessionOpened(s.cluster, o)
	}
}

// leave removes a session that was current; err is why it ended.
func (g *Gateway) leave(s *session, err error) {
	g.mu.Lock()
	c := g.clusters[s.cluster]
	newest := c != nil && c.current == s
	if newest {
		c.current = nil
		g.live--
		if len(c.opening) == 0 {
			delete(g.clusters, s.cluster)
		}
	}
	g.mu.Unlock()
	g.tunnels.end(s)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.stream.Context()), 5*time.Second)
	defer cancel()
	if err := g.opts.Store.CloseSession(ctx, s.cluster, s.epoch, s.whyEnded(err)); err != nil && !fault.HasCode(err, "epoch_stale") {
		s.log.Warn("the end of the session could not be stored; its age will show it", "error", err)
	}
	if newest && g.opts.SessionClosed != nil {
		g.opts.SessionClosed(s.cluster)
	}
}
