package api

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/hub/store"
	"github.com/hawser-dev/hawser/shared/audit"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// refusals is an audit that has records of agents that were not let in.
type refusals struct {
	unaudited
	records []audit.Record
}

func (r *refusals) Records(_ context.Context, f fleet.AuditFilter) (out []audit.Signed, err error) {
	for _, rec := range r.records {
		if rec.Action != f.Action || rec.Name != f.Name || rec.Kind != f.Kind || rec.At.Before(*f.Since) || len(out) >= f.Limit {
			continue
		}
		text, err := json.Marshal(rec)
		if err != nil {
			return nil, err
		}
		out = append(out, audit.Signed{Record: text})
	}
	return out, nil
}

// diagnosed has the codes of causes, with a question mark where it is not known.
func diagnosed(d fleet.ClusterDiagnosis) string {
	var out []string
	for _, c := range d.Causes {
		if code := c.Code; c.Known {
			out = append(out, code)
		} else {
			out = append(out, code+"?")
		}
	}
	return strings.Join(out, " ")
}

// A cluster goes through all that keeps it from reporting, on a real database.
func TestWhyAClusterDoesNotReport(t *testing.T) {
	w := newRealWorld(t)
	s := w.opts.Store.(*store.Store)
	seen := &refusals{}
	w.opts.Audit = seen
	w.opts.NewEnrolmentToken = func() (string, []byte, error) { return "hwe_new", []byte("hash of hwe_new"), nil }
	w.handler = New(w.opts)
	ctx := t.Context()
	eu, err := s.Cluster(ctx, "eu")
	if err != nil {
		t.Fatal(err)
	}
	ask := func(name, state, want string) fleet.ClusterDiagnosis {
		t.Helper()
		var d fleet.ClusterDiagnosis
		w.call("GET", "/api/v1/clusters/"+name+"/diagnosis", "").ok(200).into(&d)
		if got := diagnosed(d); d.State != state || got != want || d.Healthy != (want == "") || d.Causes == nil {
			t.Fatalf("%s is %s, healthy %t: %s; want %s: %s", name, d.State, d.Healthy, got, state, want)
		}
		return d
	}
	const notSeen = " hub_unreachable? cluster_down?"
	sign := func(string, int64) ([]byte, error) { return []byte("signed"), nil }
	open := func(kubeUID string) (fleet.Opening, error) {
		return s.OpenSession(ctx, eu.ID, model.Hello{Cluster: eu.ID, AgentVersion: "v0.4.0", Instance: "i", KubeUID: kubeUID}, sign)
	}
	mustOpen := func() model.Epoch {
		t.Helper()
		o, err := open("uid")
		if err != nil {
			t.Fatal(err)
		}
		return o.Epoch
	}
	beat := func(e model.Epoch, trip, ahead time.Duration) {
		t.Helper()
		if err := s.Heartbeat(ctx, []fleet.Beat{{Cluster: eu.ID, Epoch: e, Seq: 1, ObservedAt: time.Now(), RoundTrip: trip, ClockAhead: &ahead}}); err != nil {
			t.Fatal(err)
		}
	}

	w.call("GET", "/api/v1/clusters/new/diagnosis", "").problem(404, "cluster_unknown")
	w.call("POST", "/api/v1/enrolment-tokens", `{"cluster":"new"}`).ok(201)
	ask("new", "enrolling", "enrolment_open"+notSeen)
	if p := w.call("GET", "/api/v1/clusters/new", "").problem(404, "cluster_unknown"); !strings.Contains(p.Fix, "hawser cluster diagnose new") {
		t.Errorf("it does not say where one is to come: %q", p.Fix)
	}
	if p := w.call("GET", "/api/v1/clusters/none", "").problem(404, "cluster_unknown"); strings.Contains(p.Fix, "diagnose") {
		t.Errorf("nobody is to come: %q", p.Fix)
	}
	ask("eu", "never", "agent_never_connected"+notSeen)

	first := mustOpen()
	beat(first, 38*time.Millisecond, 90*time.Second)
	d := ask("eu", "connected", "clock_skewed")
	if d.RoundTrip != 38 || d.ClockAhead != 90_000 || !strings.Contains(d.Causes[0].Seen, "1m30s ahead of") || d.Causes[0].ID != "HW-6100" {
		t.Errorf("a clock that is ahead: %+v", d)
	}
	var cluster model.Cluster
	w.call("GET", "/api/v1/clusters/eu", "").ok(200).into(&cluster)
	if cluster.RoundTrip != 38 {
		t.Errorf("the cluster's round trip is %v ms", cluster.RoundTrip)
	}
	beat(first, 0, 0)
	if d := ask("eu", "connected", ""); d.RoundTrip != 38 {
		t.Errorf("a heartbeat that says nothing of it leaves the round trip as it was; it is %v", d.RoundTrip)
	}

	if err := s.CloseSession(ctx, eu.ID, first, fleet.SessionEnd{Code: "session_silent", Message: "nothing was heard"}); err != nil {
		t.Fatal(err)
	}
	if d := ask("eu", "offline", "agent_offline"+notSeen); !strings.Contains(d.Causes[0].Seen, "nothing was heard (session_silent)") || d.LastSeen == nil || !strings.HasPrefix(d.Causes[0].Command, "kubectl ") {
		t.Errorf("a silent agent: %+v", d)
	}
	seen.records = []audit.Record{{Kind: audit.Refusal, Action: "agentRefused", Name: string(eu.ID), At: time.Now(), Code: "agent_too_old"}}
	ask("eu", "offline", "agent_too_old")
	seen.records = nil

	second := mustOpen()
	ask("eu", "connected", "")
	third := mustOpen() // nobody has noted the end of the second
	if err := s.CloseSession(ctx, eu.ID, second, fleet.SessionEnd{Code: "late"}); err != nil {
		t.Fatal(err)
	}
	seen.records = []audit.Record{{Kind: audit.Refusal, Action: "agentRefused", Name: string(eu.ID), At: time.Now().Add(-time.Second), Code: "session_rate"},
		{Kind: audit.Refusal, Action: "agentRefused", Name: "another", At: time.Now(), Code: "session_rate"}}
	var told fleet.FleetTimeline
	w.call("GET", "/api/v1/fleet/timeline?cluster=eu", "").ok(200).into(&told)
	var lines []string
	for _, h := range told.Newest {
		if h.Cluster != "eu" {
			t.Errorf("of another cluster: %+v", h)
		}
		if h.Kind != fleet.HappenedRefused { // its time is made up
			lines = append(lines, h.Kind+" "+h.Code+" "+h.ID)
		}
	}
	if got, want := strings.Join(lines, "; "), "connected  ; lost session_superseded HW-6078; connected  ; lost session_silent "+fault.ID("session_silent")+"; connected  "; got != want {
		t.Errorf("the connection log:\n%s\nwant\n%s", got, want)
	}
	if told.Reconnects == nil || *told.Reconnects != 2 || len(told.Newest) != 6 {
		t.Errorf("reconnects %v, lines %d", told.Reconnects, len(told.Newest))
	}
	w.call("GET", "/api/v1/fleet/timeline?cluster=eu&kind=refused", "").ok(200).into(&told)
	if len(told.Newest) != 1 || told.Newest[0].Code != "session_rate" {
		t.Errorf("refusals: %+v", told.Newest)
	}
	seen.records = nil

	if _, err := open("another"); err == nil {
		t.Fatal("an agent of another cluster got a session")
	}
	ask("eu", "connected", "") // the right one is still there
	if err := s.CloseSession(ctx, eu.ID, third, fleet.SessionEnd{}); err != nil {
		t.Fatal(err)
	}
	if d := ask("eu", "held", "cluster_changed"); d.Causes[0].ID != "HW-4137" || d.Causes[0].Command != "hawser cluster allow eu" {
		t.Errorf("a cluster that was exchanged: %+v", d.Causes[0])
	}
	w.call("POST", "/api/v1/clusters/eu/allow", "").ok(200)
	ask("eu", "offline", "agent_stopped"+notSeen)
	for range 2 {
		if _, _, err := s.NoteDouble(ctx, eu.ID, time.Hour, 1); err != nil {
			t.Fatal(err)
		}
	}
	ask("eu", "held", "duplicate_identity")
	w.call("POST", "/api/v1/clusters/eu/revoke", "").ok(200)
	if d := ask("eu", "revoked", "cluster_revoked duplicate_identity"); d.Causes[0].ID != "HW-3012" {
		t.Errorf("a revoked cluster: %+v", d.Causes[0])
	}

	w.token = w.as(false, fleet.Grant{Project: "elsewhere", Role: "viewer"})
	for _, path := range []string{"/clusters/eu/diagnosis", "/clusters/new/diagnosis", "/fleet/timeline?cluster=eu"} {
		w.call("GET", "/api/v1"+path, "").problem(404, "cluster_unknown") // as of what there is not
	}
}

// What waits for a cluster is told as far as somebody sees it.
func TestQueuedChangesOfACluster(t *testing.T) {
	w := newRightsWorld(t)
	at := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	w.store.queued = []fleet.QueuedChange{{App: "u1", Name: "web", Project: "shop", What: "update", Generation: 3, Since: at}, {App: "u2", Name: "ledger", Project: "bank", What: "delete", Generation: 9, Since: at}}
	for range 60 {
		w.store.queued = append(w.store.queued, fleet.QueuedChange{App: "u3", Name: "x", Project: "bank", What: "update", Since: at})
	}
	ask := func() (d fleet.ClusterDiagnosis) {
		t.Helper()
		w.call("GET", "/api/v1/clusters/eu/diagnosis", "").ok(200).into(&d)
		return d
	}
	w.token = w.as(true)
	if d := ask(); d.Queued.Total != 62 || len(d.Queued.Items) != 50 {
		t.Errorf("an administrator sees %d, %d of them listed", d.Queued.Total, len(d.Queued.Items))
	}
	w.token = w.as(false, fleet.Grant{Project: "shop", Role: "viewer"})
	if d := ask(); d.Queued.Total != 1 || len(d.Queued.Items) != 1 || d.Queued.Items[0].Name != "web" {
		t.Errorf("a viewer of one project sees %+v", d.Queued)
	}
}
