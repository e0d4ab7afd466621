package gateway

import (
	"cmp"
	"slices"
	"time"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/audit"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/wire"
)

// Two agents with one identity, one of them a copy, push each other out: the
// newer session wins. What only two can do is noted each time, and when it goes
// on neither is trusted.
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

	noted       []time.Time
	quarantined bool
}

var duplicate = parting{kind: fault.Denied, GoAway: wire.GoAway{Code: "duplicate_identity", RetryAfter: 5 * time.Minute,
	Message: "two agents use this cluster's certificate; neither gets a session until the cluster is enrolled again"}}

// double is called with g.mu held.
func (g *Gateway) double(cluster model.ClusterID) *doubles {
	d := g.doubles[cluster]
	if d == nil {
		d = &doubles{gone: map[string]bool{}}
		g.doubles[cluster] = d
	}
	return d
}

// meet answers why an agent gets no session although its certificate is good, or
// nil.
func (g *Gateway) meet(s *session, hello model.Hello) *parting {
	g.mu.Lock()
	d := g.double(s.cluster)
	if d.quarantined {
		g.mu.Unlock()
		return &duplicate
	}
	last := hello.LastEpoch
	if !(!last.IsZero() && last.Less(d.confirmed)) && !d.gone[hello.Instance] {
		g.mu.Unlock()
		return nil
	}
	delete(d.gone, hello.Instance)
	now := g.opts.Now()
	d.noted = slices.DeleteFunc(d.noted, func(t time.Time) bool { return now.Sub(t) > doubleSpan })
	d.noted = append(d.noted, now)
	noted := len(d.noted)
	d.quarantined = noted > doubleMost
	var current *session
	if c := g.clusters[s.cluster]; c != nil {
		current = c.current
	}
	quarantined := d.quarantined
	g.mu.Unlock()

	other := ""
	if current != nil {
		other = current.caller.remote()
	}
	if !quarantined {
		s.log.Warn("a second agent seems to use this cluster's certificate", "code", "duplicate_identity_suspected", "instance", hello.Instance, "other", other, "noted", noted)
		return nil
	}
	s.log.Error("two agents use this cluster's certificate; both are shut out until the cluster is enrolled again",
		"code", duplicate.Code, "instance", hello.Instance, "other", other)
	g.opts.Audit.Add(fleet.AuditEntry{Record: audit.Record{
		Kind: audit.Command, Action: "quarantineCluster", Verb: "update", Resource: "clusters", Name: string(s.cluster), Outcome: audit.Done, Code: duplicate.Code,
		Actor: "hub", From: s.caller.remote(), Reason: "two agents use one certificate, the other from " + cmp.Or(other, "an address that is not known"),
	}})
	g.endWhere(func(open *session) bool { return open.cluster == s.cluster && open != s }, duplicate)
	return &duplicate
}

// confirm notes that the agent of a session has stored its epoch.
func (g *Gateway) confirm(s *session) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if d := g.double(s.cluster); d.confirmed.Less(s.epoch) {
		d.confirmed = s.epoch
	}
}

// replaced notes that one instance's session has replaced another's. g.mu is held.
func (g *Gateway) replaced(old, by *session) {
	if old.instance == "" || old.instance == by.instance {
		return
	}
	d := g.double(by.cluster)
	if len(d.gone) >= goneMost {
		clear(d.gone)
	}
	d.gone[old.instance] = true
}

// acquit forgets what was noted: there is a new identity.
func (g *Gateway) acquit(cluster model.ClusterID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.doubles, cluster)
}
