package gateway

import (
	"cmp"
	"context"
	"time"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/audit"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/wire"
)

// Two agents with one identity, one of them a copy, push each other out: the
// newer session wins. What only two can do is noted each time, in the database
// and so by all hubs on it together, and when it goes on neither is trusted.
const (
	doubleSpan = 10 * time.Minute
	doubleMost = 3
	// goneMost instances are remembered of one cluster.
	goneMost = 16
)

// doubles is what there is to notice about one cluster's sessions.
type doubles struct {
	// confirmed is the newest epoch that an agent of the cluster has spoken in. An
	// agent stores the epoch before it speaks, so a hello that knows an older one
	// is another agent's; one that knows none has lost its memory.
	confirmed model.Epoch
	// gone are the instances whose session another instance's has replaced.
	gone map[string]bool
}

var duplicate = parting{kind: fault.Denied, GoAway: wire.GoAway{Code: "duplicate_identity", RetryAfter: 5 * time.Minute,
	Message: "two agents use this cluster's certificate; neither gets a session until the cluster is enrolled again or allowed"}}

// held makes a parting of a session that waits for somebody's approval, or nil.
func held(err error) *parting {
	f := fault.As(err)
	switch f.Code {
	case duplicate.Code:
		return &duplicate
	case "cluster_changed":
		return &parting{kind: fault.Denied, GoAway: wire.GoAway{Code: f.Code, RetryAfter: 5 * time.Minute, Message: f.Message}}
	}
	return nil
}

// double is called with g.mu held.
func (g *Gateway) double(cluster model.ClusterID) *doubles {
	d := g.doubles[cluster]
	if d == nil {
		d = &doubles{gone: map[string]bool{}}
		g.doubles[cluster] = d
	}
	return d
}

// meet notes when the agent of a hello is a second one, and ends the cluster's
// sessions when that was once too often. Opening the session then is refused.
func (g *Gateway) meet(ctx context.Context, s *session, hello model.Hello) error {
	g.mu.Lock()
	d := g.double(s.cluster)
	last := hello.LastEpoch
	if !(!last.IsZero() && last.Less(d.confirmed)) && !d.gone[hello.Instance] {
		g.mu.Unlock()
		return nil
	}
	delete(d.gone, hello.Instance)
	var current *session
	if c := g.clusters[s.cluster]; c != nil {
		current = c.current
	}
	g.mu.Unlock()

	other := ""
	if current != nil {
		other = current.caller.remote()
	}
	noted, quarantined, err := g.opts.Store.NoteDouble(ctx, s.cluster, doubleSpan, doubleMost)
	switch {
	case err != nil:
		return err
	case !quarantined:
		s.log.Warn("a second agent seems to use this cluster's certificate", "code", "duplicate_identity_suspected", "instance", hello.Instance, "other", other, "noted", noted)
		return nil
	}
	s.log.Error("two agents use this cluster's certificate; both are shut out until the cluster is enrolled again or allowed",
		"code", duplicate.Code, "instance", hello.Instance, "other", other)
	g.opts.Audit.Add(fleet.AuditEntry{Record: audit.Record{
		Kind: audit.Command, Action: "quarantineCluster", Verb: "update", Resource: "clusters", Name: string(s.cluster), Outcome: audit.Done, Code: duplicate.Code,
		Actor: "hub", From: s.caller.remote(), Reason: "two agents use one certificate, the other from " + cmp.Or(other, "an address that is not known"),
	}})
	g.endWhere(func(open *session) bool { return open.cluster == s.cluster && open != s }, duplicate)
	return nil
}

// confirm notes that the agent of a session has stored its epoch.
func (g *Gateway) confirm(s *session) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if d := g.double(s.cluster); d.confirmed.Less(s.epoch) {
		d.confirmed = s.epoch
	}
}

// replaced notes that one instance's session has been replaced by another's, here
// or at another hub. g.mu is held.
func (g *Gateway) replaced(old *session, by string) {
	if old.instance == "" || old.instance == by {
		return
	}
	d := g.double(old.cluster)
	if len(d.gone) >= goneMost {
		clear(d.gone)
	}
	d.gone[old.instance] = true
}
