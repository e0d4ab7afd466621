package fleet

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// ClusterDiagnosis is why a cluster does not report, or works badly.
type ClusterDiagnosis struct {
	Cluster string `json:"cluster"`
	// State is connected, offline, never, held or revoked; enrolling is a name for which
	// there are enrolment tokens only.
	State    string     `json:"state"`
	AsOf     time.Time  `json:"asOf"`
	LastSeen *time.Time `json:"lastSeen,omitempty"`
	// Healthy: nothing is known that is wrong with it; then there are no causes.
	Healthy bool `json:"healthy"`
	// Causes are ranked: what the hub knows comes before what may be.
	Causes []ClusterCause `json:"causes"`
	// RoundTrip is that of the cluster, in milliseconds; ClockAhead how far its clock is
	// ahead of the hub's.
	RoundTrip  float64 `json:"roundTripMs,omitempty"`
	ClockAhead float64 `json:"clockAheadMs,omitempty"`
	// Reconnects of the last hour.
	Reconnects int           `json:"reconnects"`
	Queued     QueuedChanges `json:"queued"`
	// Hub is the HOST:PORT at which agents look for the hub, when that is known.
	Hub string `json:"hub,omitempty"`
}

// QueuedChanges are what its agent has not acknowledged: at most 50, the oldest first,
// and the number of all that are seen.
type QueuedChanges struct {
	Total int            `json:"total"`
	Items []QueuedChange `json:"items"`
}

// ClusterCause is one reason.
type ClusterCause struct {
	Code string `json:"code"`
	// ID is the code's number, such as HW-3012.
	ID    string `json:"id,omitempty"`
	Title string `json:"title"`
	// Known: the hub has seen it. What is not known is what it may be.
	Known bool `json:"known"`
	// Seen is the fact, and At when it was.
	Seen string     `json:"seen,omitempty"`
	At   *time.Time `json:"at,omitempty"`
	Fix  string     `json:"fix"`
	// Command to copy: of hawser, or of kubectl on that cluster.
	Command string `json:"command,omitempty"`
}

// DiagnosisFacts are what the hub holds of a cluster.
type DiagnosisFacts struct {
	// Name that was asked for. Cluster is nil while there are only enrolment tokens.
	Name    string
	Cluster *model.Cluster
	Line    Line
	// Refused is the newest refusal of its agent, nil for none.
	Refused *AgentRefusal
	// Tokens of its name, the newest first.
	Tokens []EnrolmentToken
	// Hub is HOST:PORT for agents, and Version the hub's.
	Hub, Version string
}

// AgentRefusal is an attempt of a cluster's agent that was refused.
type AgentRefusal struct {
	At   time.Time
	Code string
}

const (
	// mostClockSkew is what is said about clocks; ages are corrected, and certificates
	// are not.
	mostClockSkew = 30 * time.Second
	// unsteady is from how many reconnections in an hour on a line is called that.
	unsteady = 5
	// renewable is how long after its end a certificate still renews itself.
	renewable = 90 * 24 * time.Hour
	// slowLine is from which round trip on.
	slowLine = 2 * time.Second
)

// Commands on the cluster, with the names that the chart gives.
const (
	agentLogs   = "kubectl -n hawser-system logs deploy/hawser-agent --tail=50"
	agentErrors = "kubectl -n hawser-system logs deploy/hawser-agent --tail=500 | grep hub_"
	agentPods   = "kubectl -n hawser-system get pods,events"
	nodes       = "kubectl get nodes"
)

// Diagnose ranks why a cluster does not report, or works badly: what the hub knows
// first, and of that what has to be mended first. Of a cluster that is well nothing.
func Diagnose(f DiagnosisFacts, now time.Time) ClusterDiagnosis {
	d := diagnosing{f: f, now: now}
	out := ClusterDiagnosis{Cluster: f.Name, State: "enrolling", AsOf: now.UTC(), RoundTrip: model.Millis(f.Line.RoundTrip),
		ClockAhead: float64(f.Line.ClockAhead.Milliseconds()), Hub: f.Hub, Queued: QueuedChanges{Items: []QueuedChange{}}}
	out.Reconnects, _ = f.Line.Reconnects(now.Add(-time.Hour))
	if c := f.Cluster; c != nil {
		out.Cluster, out.State, out.LastSeen = c.Name, stateOf(c), c.LastSeen
	}
	switch out.State {
	case "enrolling":
		d.enrolment()
		d.possible(out.State)
	case "connected":
		d.working(out.Reconnects)
	default:
		d.shutOut()
		if len(d.causes) == 0 {
			d.silent(out.State)
			d.possible(out.State)
		}
		d.clock()
		d.conditions()
	}
	out.Causes = d.causes
	if out.Causes == nil {
		out.Causes = []ClusterCause{}
	}
	out.Healthy = len(d.causes) == 0
	return out
}

func stateOf(c *model.Cluster) string {
	switch {
	case c.Revoked:
		return "revoked"
	case c.Held != "" && !c.Connected:
		return "held"
	case c.Connected:
		return "connected"
	case c.LastSeen == nil:
		return "never"
	}
	return "offline"
}

type diagnosing struct {
	f      DiagnosisFacts
	now    time.Time
	causes []ClusterCause
}

// know adds what the hub has seen; of one code it is said once.
func (d *diagnosing) know(e *fault.Error, at *time.Time, command, seen string, args ...any) {
	for _, c := range d.causes {
		if c.Code == e.Code {
			return
		}
	}
	if at != nil {
		u := at.UTC()
		at = &u
	}
	d.causes = append(d.causes, ClusterCause{Code: e.Code, ID: e.ID(), Title: e.Message, Known: true, Seen: fmt.Sprintf(seen, args...), At: at, Fix: e.Fix, Command: command})
}

func (d *diagnosing) may(e *fault.Error, command string) {
	d.causes = append(d.causes, ClusterCause{Code: e.Code, ID: e.ID(), Title: e.Message, Fix: e.Fix, Command: command})
}

// shutOut are the reasons for which the hub itself lets no agent in.
func (d *diagnosing) shutOut() {
	c := d.f.Cluster
	if c.Revoked {
		d.know(fault.New(fault.Unauthorized, "cluster_revoked", "the cluster was revoked: its agent's certificate opens nothing any more").
			WithFix("enrol it again with a new token; nothing in the cluster was touched"),
			d.f.Line.Closed, d.enroll(), "the cluster is marked as revoked")
	}
	switch c.Held {
	case "":
	case "cluster_changed":
		d.know(fault.New(fault.Denied, "cluster_changed", "the agent runs in another Kubernetes cluster than the one that was enrolled").
			WithFix("when the cluster was rebuilt, let it in; when it is a copy, enrol it under a name of its own"),
			d.refusedAt("cluster_changed"), "hawser cluster allow "+c.Name, "the id of its kube-system is another one; it is held for approval")
	default:
		d.know(fault.New(fault.Denied, "duplicate_identity", "two agents use this cluster's certificate; neither gets a session").
			WithFix("see to it that there is one agent only, then let it in; when the certificate was stolen, enrol the cluster again"),
			d.refusedAt("duplicate_identity"), "hawser cluster allow "+c.Name, "the cluster is held: %s", c.Held)
	}
	if !c.Revoked && c.CertNotAfter != nil && c.CertNotAfter.Add(renewable).Before(d.now) {
		d.know(fault.New(fault.Unauthorized, "certificate_expired", "the agent's certificate has expired").
			WithFix("enrol the cluster again under the same name: it keeps its applications"),
			c.CertNotAfter, d.enroll(), "the newest certificate ended so long ago that it cannot be renewed any more")
	}
	// What was refused before the last sign of life did not keep the agent out.
	if r := d.f.Refused; r != nil && !(c.LastSeen != nil && r.At.Before(*c.LastSeen)) && !(c.Revoked && r.Code == "certificate_revoked") {
		e, command := d.refusal(r.Code)
		d.know(e, &r.At, command, "the hub refused the agent: %s", r.Code)
	}
}

func (d *diagnosing) enroll() string { return "hawser cluster enroll " + d.f.Cluster.Name }

// refusedAt is when an agent was refused for a reason the last time, nil for never.
func (d *diagnosing) refusedAt(code string) *time.Time {
	if r := d.f.Refused; r != nil && r.Code == code {
		return &r.At
	}
	return nil
}

// refusal is what a refusal's code means to whoever wants the cluster to report.
func (d *diagnosing) refusal(code string) (*fault.Error, string) {
	switch code {
	case "agent_too_old":
		return fault.New(fault.Precondition, "agent_too_old", "the agent is too old for this hub").
			WithFix("update the agent; its cluster goes on as it is until then"), "helm -n hawser-system upgrade hawser-agent --reuse-values " + agentChart(d.f.Version)
	case "hub_too_old":
		return fault.New(fault.Precondition, "hub_too_old", "the agent is of a newer release than this hub can speak to").
			WithFix("bring the hub to the agent's release, or the agent to the hub's"), "hawser version"
	case "certificate_revoked":
		return fault.New(fault.Unauthorized, "certificate_revoked", "the agent has a certificate that was revoked").
			WithFix("enrol the cluster again; when it was, an agent with the old certificate still runs somewhere"), d.enroll()
	case "certificate_expired":
		return fault.New(fault.Unauthorized, "certificate_expired", "the agent comes with a certificate that has expired").
			WithFix("enrol the cluster again under the same name: it keeps its applications"), d.enroll()
	case "session_rate":
		return fault.New(fault.RateLimited, "session_rate", "the agent opens sessions too often").
			WithFix("look whether it starts again and again, or a second one runs with the same identity"), agentPods
	case "duplicate_identity", "cluster_changed": // somebody has allowed it since, or the agent has not come again
		return fault.New(fault.Denied, code, "the agent was held for approval when it came last").
			WithFix("it comes again within 5 minutes; sooner when it is started again"), "kubectl -n hawser-system rollout restart deploy/hawser-agent"
	}
	if fault.ID(code) == "" {
		return fault.New(fault.Denied, "agent_refused", "the hub refuses the agent").WithFix("look at what the agent says, and at the hub's log"), agentLogs
	}
	return fault.New(fault.Denied, code, "the hub refuses the agent").WithFix("hawser explain %s says what it means; look at what the agent says", fault.ID(code)), agentLogs
}

func agentChart(version string) string {
	chart := "oci://ghcr.io/hawser-dev/charts/hawser-agent"
	if v, ok := strings.CutPrefix(version, "v"); ok {
		chart += " --version " + v
	}
	return chart
}

// silent is all that is known of an agent that is not there and was not refused.
func (d *diagnosing) silent(state string) {
	c := d.f.Cluster
	if state == "never" {
		d.know(fault.New(fault.Unavailable, "agent_never_connected", "the agent has redeemed its token and never opened a session").
			WithFix("look at what it says; its first session takes it seconds"), c.EnrolledAt, agentLogs, "the cluster was enrolled, and no session followed")
		d.enrolment()
		return
	}
	at := c.LastSeen
	seen := "nothing was heard of the agent since; how its connection ended was not noted"
	if end := d.lastEnd(); end != nil {
		seen = "its connection ended: " + end.Message
		if end.Code != "" {
			seen += " (" + end.Code + ")"
		}
	}
	if c.CertNotAfter != nil && c.CertNotAfter.Before(d.now) {
		seen += "; its certificate ended at " + c.CertNotAfter.UTC().Format(time.RFC3339) + ", which it renews by itself when it comes"
	}
	if end := d.lastEnd(); end != nil && end.Code == "" {
		d.know(fault.New(fault.Unavailable, "agent_stopped", "the agent was stopped in good order").
			WithFix("somebody has scaled it down, or drains its node; start it again: what runs there goes on, and is not healed meanwhile"), at, agentPods, "%s", seen)
		return
	}
	d.know(fault.New(fault.Unavailable, "agent_offline", "the agent has been silent since %s", at.UTC().Format(time.RFC3339)).
		WithFix("look at what it says on its cluster; what runs there goes on, and drift is still healed there"), at, agentLogs, "%s", seen)
}

// lastEnd is how the newest session ended, nil when that is not known.
func (d *diagnosing) lastEnd() *Connection {
	if log := d.f.Line.Log; len(log) > 0 && log[0].Kind == HappenedLost {
		return &log[0]
	}
	return nil
}

// possible is what keeps an agent away and the hub cannot see.
func (d *diagnosing) possible(state string) {
	if state == "enrolling" && len(d.causes) > 0 && d.causes[0].Code != "enrolment_open" {
		return // without a token that is good there is nothing to look for on the way
	}
	hub := cmp.Or(d.f.Hub, "this hub")
	d.may(fault.New(fault.Unavailable, "hub_unreachable", "the agent may not reach %s", hub).
		WithFix("look at firewalls, proxies and name resolution between the cluster and %s, and at the hub's certificate", hub), agentErrors)
	d.may(fault.New(fault.Unavailable, "cluster_down", "the cluster may be down").WithFix("look at its nodes and its control plane"), nodes)
}

// enrolment tells of the newest token of the name.
func (d *diagnosing) enrolment() {
	if len(d.f.Tokens) == 0 {
		return
	}
	again := "hawser cluster enroll " + d.f.Name
	switch t := d.f.Tokens[0]; {
	case t.UsedAt != nil: // it was the way in, and says nothing about what follows
	case !t.ExpiresAt.After(d.now):
		d.know(fault.New(fault.Unauthorized, "enrolment_token_expired", "the enrolment token has expired before an agent used it").
			WithFix("mint another, and run its command where helm is set to the cluster"), &t.ExpiresAt, again, "it was issued by %s at %s", t.CreatedBy, t.CreatedAt.UTC().Format(time.RFC3339))
	case t.Refused != nil:
		d.know(fault.New(fault.Denied, cmp.Or(t.Refused.Code, "agent_refused"), "the last attempt to enrol was refused").
			WithFix("correct what was refused; the token is good until %s", t.ExpiresAt.UTC().Format(time.RFC3339)), &t.Refused.At, agentLogs, "%s", t.Refused.Message)
	case d.preflight(t.Preflight):
	default:
		d.know(fault.New(fault.Precondition, "enrolment_open", "no agent has used the enrolment token yet").
			WithFix("run the command that came with it where helm is set to the cluster; the token is good until %s", t.ExpiresAt.UTC().Format(time.RFC3339)),
			&t.CreatedAt, agentLogs, "it was issued by %s", t.CreatedBy)
	}
}

// preflight tells of what an agent found wrong before it enrolled, and whether there
// was anything.
func (d *diagnosing) preflight(p *EnrolmentPreflight) (found bool) {
	if p == nil {
		return false
	}
	for _, c := range p.Checks {
		if c.Outcome == model.PreflightFailed {
			d.know(fault.New(fault.Precondition, cmp.Or(c.Code, "agent_refused"), "the agent's preflight failed: %s", c.Check).
				WithFix("%s", cmp.Or(c.Fix, "mend it, and start the agent again")), &p.At, agentLogs, "%s", c.Message)
			found = true
		}
	}
	return found
}

// working is what is wrong with a cluster that reports.
func (d *diagnosing) working(reconnects int) {
	c := d.f.Cluster
	// An agent that is let in is not the one that was refused meanwhile.
	if r := d.f.Refused; r != nil && d.f.Line.Opened != nil && r.At.After(*d.f.Line.Opened) {
		d.know(fault.New(fault.Denied, "agent_refused", "somebody with this cluster's certificate is refused, while its agent is connected").
			WithFix("look for a second agent, such as one of a copy of the cluster; when the certificate was stolen, revoke the cluster and enrol it again"),
			&r.At, agentPods, "the refusal was %s", r.Code)
	}
	d.clock()
	if reconnects >= unsteady {
		e := fault.New(fault.Unavailable, "connection_unsteady", "the connection breaks again and again").
			WithFix("look whether the agent starts again and again, and at what cuts long connections between the cluster and the hub")
		var at *time.Time
		seen := fmt.Sprintf("the agent has come back %d times in the last hour", reconnects)
		for _, l := range d.f.Line.Log {
			if l.Kind == HappenedLost {
				at, seen = &l.At, seen+"; the last connection ended: "+l.Message
				break
			}
		}
		d.know(e, at, agentPods, "%s", seen)
	}
	if d.f.Line.RoundTrip >= slowLine {
		d.know(fault.New(fault.Unavailable, "connection_slow", "the line to the cluster is slow").
			WithFix("look at the load of the agent's node, and at the network between the cluster and the hub"), c.LastSeen, agentPods,
			"a heartbeat was answered after %s", d.f.Line.RoundTrip.Round(time.Millisecond))
	}
	d.conditions()
}

func (d *diagnosing) clock() {
	ahead := d.f.Line.ClockAhead
	if ahead.Abs() < mostClockSkew {
		return
	}
	word := "ahead of"
	if ahead < 0 {
		word = "behind"
	}
	d.know(fault.New(fault.Precondition, "clock_skewed", "the clocks of the cluster and the hub differ").
		WithFix("have the nodes of this cluster, and the hub's machine, set their clocks by NTP"), d.f.Line.LastSeen, "kubectl debug node/NODE -it --image=busybox -- date -u",
		"the agent's clock is %s %s the hub's; ages are corrected, certificates are not", ahead.Abs().Round(time.Second), word)
}

// conditions are what the agent itself says. Some begin with a code.
func (d *diagnosing) conditions() {
	for _, said := range d.f.Cluster.Conditions {
		code, rest, _ := strings.Cut(said, ": ")
		e := fault.New(fault.Unavailable, "cluster_condition", "the agent reports a problem").WithFix("mend what it says; the agent takes it back by itself")
		command := agentLogs
		switch code {
		case "api_throttled":
			e = fault.New(fault.RateLimited, "api_throttled", "the cluster's API server is too busy").
				WithFix("look at its load and its priority levels; syncs take longer, and nothing is lost")
			command = "kubectl get --raw /readyz?verbose"
		case "agent_oom_restarts":
			e = fault.New(fault.Unavailable, "agent_oom_restarts", "the agent was ended again and again, without a clean stop").
				WithFix("give it more memory: resources.limits.memory of the agent's chart")
			command = "kubectl -n hawser-system describe pods"
		default:
			rest = said
		}
		if e.Code == "cluster_condition" { // there may be several, each of its own
			d.causes = append(d.causes, ClusterCause{Code: e.Code, ID: e.ID(), Title: e.Message, Known: true, Seen: rest, Fix: e.Fix, Command: command})
			continue
		}
		d.know(e, nil, command, "%s", rest)
	}
}
