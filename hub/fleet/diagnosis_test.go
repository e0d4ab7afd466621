package fleet_test

import (
	"strings"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// Every cause is here: what the hub holds of a cluster, and what it says of that.
func TestDiagnose(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) *time.Time { at := now.Add(-d); return &at }
	type facts = fleet.DiagnosisFacts
	connected := func(change func(f *facts)) facts {
		f := facts{
			Name: "eu", Hub: "hub.example.org:443", Version: "v0.4.0",
			Cluster: &model.Cluster{ID: "c1", Name: "eu", Connected: true, LastSeen: ago(5 * time.Second), EnrolledAt: ago(48 * time.Hour), CertNotAfter: ago(-time.Hour)},
			Line: fleet.Line{Opened: ago(30 * time.Hour), LastSeen: ago(5 * time.Second), RoundTrip: 38 * time.Millisecond,
				Log: []fleet.Connection{{At: *ago(30 * time.Hour), Kind: fleet.HappenedConnected}}},
		}
		change(&f)
		return f
	}
	away := func(change func(f *facts)) facts {
		return connected(func(f *facts) {
			f.Cluster.Connected, f.Cluster.LastSeen = false, ago(14*time.Minute)
			f.Line.LastSeen, f.Line.Closed = f.Cluster.LastSeen, ago(13*time.Minute)
			f.Line.Log = append([]fleet.Connection{{At: *ago(13 * time.Minute), Kind: fleet.HappenedLost,
				SessionEnd: fleet.SessionEnd{Code: "session_silent", Message: "nothing was heard of the agent for 25s"}}}, f.Line.Log...)
			change(f)
		})
	}
	never := func(change func(f *facts)) facts {
		return connected(func(f *facts) {
			f.Cluster.Connected, f.Cluster.LastSeen, f.Line = false, nil, fleet.Line{}
			change(f)
		})
	}
	enrolling := func(t fleet.EnrolmentToken) facts {
		t.Cluster, t.CreatedBy, t.CreatedAt = "new", "ann", *ago(10 * time.Minute)
		return facts{Name: "new", Hub: "hub.example.org:443", Tokens: []fleet.EnrolmentToken{t}}
	}
	refused := func(code string, d time.Duration) func(f *facts) {
		return func(f *facts) { f.Refused = &fleet.AgentRefusal{At: *ago(d), Code: code} }
	}
	log := func(n int) (out []fleet.Connection) {
		for i := range n {
			out = append(out, fleet.Connection{At: *ago(time.Duration(2*i+1) * time.Minute), Kind: fleet.HappenedConnected},
				fleet.Connection{At: *ago(time.Duration(2*i+2) * time.Minute), Kind: fleet.HappenedLost, SessionEnd: fleet.SessionEnd{Code: "session_broken", Message: "the connection broke"}})
		}
		return out
	}
	for name, c := range map[string]struct {
		facts fleet.DiagnosisFacts
		state string
		want  string // codes, those that are only possible with a question mark
		says  string // somewhere in the first cause
	}{
		"well":                      {connected(func(*facts) {}), "connected", "", ""},
		"well, refused long before": {connected(refused("session_rate", 31*time.Hour)), "connected", "", ""},
		"revoked": {away(func(f *facts) {
			f.Cluster.Revoked, f.Refused = true, &fleet.AgentRefusal{At: *ago(time.Minute), Code: "certificate_revoked"}
		}), "revoked", "cluster_revoked", "hawser cluster enroll eu"},
		"revoked, and never there": {never(func(f *facts) { f.Cluster.Revoked = true }), "revoked", "cluster_revoked", "HW-3012"},
		"held: another cluster":    {away(func(f *facts) { f.Cluster.Held = "cluster_changed" }), "held", "cluster_changed", "hawser cluster allow eu"},
		"held: two agents":         {away(func(f *facts) { f.Cluster.Held = "duplicate_identity" }), "held", "duplicate_identity", "HW-6097"},
		"held: of a newer hub":     {away(func(f *facts) { f.Cluster.Held = "something_new" }), "held", "duplicate_identity", "something_new"},
		"held, and refused for it": {away(func(f *facts) { f.Cluster.Held = "duplicate_identity"; refused("duplicate_identity", time.Minute)(f) }), "held", "duplicate_identity", "2026-05-01T11:59:00Z"},
		"certificate ended":        {away(func(f *facts) { f.Cluster.CertNotAfter = ago(91 * 24 * time.Hour) }), "offline", "certificate_expired", "HW-3004"},
		"certificate ended, and said": {away(func(f *facts) {
			f.Cluster.CertNotAfter = ago(91 * 24 * time.Hour)
			refused("certificate_expired", time.Minute)(f)
		}), "offline", "certificate_expired", "enroll eu"},
		"certificate to be renewed":     {away(func(f *facts) { f.Cluster.CertNotAfter = ago(89 * 24 * time.Hour) }), "offline", "agent_offline hub_unreachable? cluster_down?", "renews by itself"},
		"an older certificate":          {away(refused("certificate_expired", time.Minute)), "offline", "certificate_expired", "comes with"},
		"agent too old":                 {away(refused("agent_too_old", time.Minute)), "offline", "agent_too_old", "--version 0.4.0"},
		"hub too old":                   {away(refused("hub_too_old", time.Minute)), "offline", "hub_too_old", "bring the hub"},
		"a revoked certificate":         {away(refused("certificate_revoked", time.Minute)), "offline", "certificate_revoked", "still runs somewhere"},
		"sessions too often":            {away(refused("session_rate", time.Minute)), "offline", "session_rate", "get pods"},
		"allowed since":                 {away(refused("duplicate_identity", time.Minute)), "offline", "duplicate_identity", "rollout restart"},
		"refused for something else":    {away(refused("cluster_mismatch", time.Minute)), "offline", "cluster_mismatch", "explain HW-6011"},
		"refused for something unknown": {away(refused("of_a_newer_hub", time.Minute)), "offline", "agent_refused", "of_a_newer_hub"},
		"refused before it was there":   {away(refused("session_rate", time.Hour)), "offline", "agent_offline hub_unreachable? cluster_down?", "since 2026-05-01T11:46:00Z"},
		"silent":                        {away(func(*facts) {}), "offline", "agent_offline hub_unreachable? cluster_down?", "nothing was heard of the agent for 25s (session_silent)"},
		"silent, nobody knows why":      {away(func(f *facts) { f.Line.Log = f.Line.Log[1:] }), "offline", "agent_offline hub_unreachable? cluster_down?", "was not noted"},
		"left in good order": {away(func(f *facts) { f.Line.Log[0].SessionEnd = fleet.SessionEnd{Message: "the agent left"} }), "offline",
			"agent_stopped hub_unreachable? cluster_down?", "scaled it down"},
		"silent with another clock": {away(func(f *facts) { f.Line.ClockAhead = -time.Hour }), "offline", "agent_offline hub_unreachable? cluster_down? clock_skewed", "logs"},
		"never there":               {never(func(*facts) {}), "never", "agent_never_connected hub_unreachable? cluster_down?", "redeemed its token"},
		"never there, token used":   {never(func(f *facts) { f.Tokens = []fleet.EnrolmentToken{{UsedAt: ago(time.Hour)}} }), "never", "agent_never_connected hub_unreachable? cluster_down?", "logs"},
		"enrolment open":            {enrolling(fleet.EnrolmentToken{ExpiresAt: *ago(-50 * time.Minute)}), "enrolling", "enrolment_open hub_unreachable? cluster_down?", "until 2026-05-01T12:50:00Z"},
		"token expired":             {enrolling(fleet.EnrolmentToken{ExpiresAt: *ago(time.Minute)}), "enrolling", "enrolment_token_expired", "hawser cluster enroll new"},
		"enrolment refused": {enrolling(fleet.EnrolmentToken{ExpiresAt: *ago(-time.Hour), Refused: &fleet.EnrolmentRefusal{At: *ago(time.Minute), Code: "enrolment_token_other_cluster", Message: "the token is of another cluster"}}),
			"enrolling", "enrolment_token_other_cluster", "the token is of another cluster"},
		"preflight failed": {enrolling(fleet.EnrolmentToken{ExpiresAt: *ago(-time.Hour), Preflight: &fleet.EnrolmentPreflight{At: *ago(time.Minute), Checks: []model.PreflightCheck{
			{Check: "dns", Outcome: model.PreflightOK}, {Check: "hub", Outcome: model.PreflightFailed, Code: "name_unresolved", Message: "hub.example.org has no address", Fix: "ask DNS"}}}}),
			"enrolling", "name_unresolved", "hub.example.org has no address"},
		"preflight well": {enrolling(fleet.EnrolmentToken{ExpiresAt: *ago(-time.Hour), Preflight: &fleet.EnrolmentPreflight{At: *ago(time.Minute)}}), "enrolling", "enrolment_open hub_unreachable? cluster_down?", ""},
		"a clock ahead":  {connected(func(f *facts) { f.Line.ClockAhead = 5 * time.Minute }), "connected", "clock_skewed", "5m0s ahead of"},
		"a clock behind": {connected(func(f *facts) { f.Line.ClockAhead = -31 * time.Second }), "connected", "clock_skewed", "31s behind"},
		"a clock nearly": {connected(func(f *facts) { f.Line.ClockAhead = 29 * time.Second }), "connected", "", ""},
		"throttled": {connected(func(f *facts) {
			f.Cluster.Conditions = []string{"api_throttled: the API server has refused 9 writes", "Kind Foo is not observed: forbidden."}
		}), "connected", "api_throttled cluster_condition", "the API server has refused 9 writes"},
		"out of memory":   {connected(func(f *facts) { f.Cluster.Conditions = []string{"agent_oom_restarts: the agent was ended 3 times"} }), "connected", "agent_oom_restarts", "resources.limits.memory"},
		"two conditions":  {connected(func(f *facts) { f.Cluster.Conditions = []string{"one", "two: of it"} }), "connected", "cluster_condition cluster_condition", "one"},
		"unsteady":        {connected(func(f *facts) { f.Line.Log = log(5); f.Line.Opened = ago(time.Minute) }), "connected", "connection_unsteady", "5 times"},
		"somewhat steady": {connected(func(f *facts) { f.Line.Log = log(4); f.Line.Opened = ago(time.Minute) }), "connected", "", ""},
		"slow":            {connected(func(f *facts) { f.Line.RoundTrip = 3 * time.Second }), "connected", "connection_slow", "3s"},
		"a second agent is refused": {connected(func(f *facts) { refused("certificate_revoked", time.Minute)(f); f.Line.ClockAhead = time.Hour }), "connected",
			"agent_refused clock_skewed", "certificate_revoked"},
		"last known conditions": {away(func(f *facts) { f.Cluster.Conditions = []string{"api_throttled: busy"} }), "offline", "agent_offline hub_unreachable? cluster_down? api_throttled", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := fleet.Diagnose(c.facts, now)
			var codes []string
			for _, cause := range got.Causes {
				code := cause.Code
				if !cause.Known {
					code += "?"
				}
				codes = append(codes, code)
				if cause.Title == "" || cause.Fix == "" || cause.Command == "" || cause.Known && cause.Seen == "" || cause.ID != fault.ID(cause.Code) || cause.ID == "" {
					t.Errorf("a cause is not whole: %+v", cause)
				}
			}
			if s := strings.Join(codes, " "); s != c.want || got.State != c.state || got.Healthy != (c.want == "") || got.Causes == nil {
				t.Fatalf("%s: %s, healthy %t; want %s: %s", got.State, s, got.Healthy, c.state, c.want)
			}
			if c.says == "" {
				return
			}
			first := got.Causes[0]
			at := ""
			if first.At != nil {
				at = first.At.Format(time.RFC3339)
			}
			if all := strings.Join([]string{first.ID, first.Title, first.Seen, first.Fix, first.Command, at}, "\n"); !strings.Contains(all, c.says) {
				t.Errorf("the first cause does not say %q:\n%s", c.says, all)
			}
		})
	}
}

func TestReconnectsOfALine(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	since := now.Add(-time.Hour)
	at := func(minutes int, kind string) fleet.Connection {
		return fleet.Connection{At: now.Add(-time.Duration(minutes) * time.Minute), Kind: kind}
	}
	up, down := fleet.HappenedConnected, fleet.HappenedLost
	first := fleet.Line{Log: []fleet.Connection{at(5, up)}}
	if n, from := first.Reconnects(since); n != 0 || !from.Equal(since) {
		t.Errorf("the first connection: %d reconnects since %s", n, from)
	}
	three := fleet.Line{Log: []fleet.Connection{at(1, up), at(2, down), at(10, up), at(61, down), at(100, up)}}
	if n, _ := three.Reconnects(since); n != 2 {
		t.Errorf("%d reconnects, want 2: what was before the hour does not count", n)
	}
	var full fleet.Line
	for i := range fleet.MostConnections / 2 {
		full.Log = append(full.Log, fleet.Connection{At: now.Add(-time.Duration(2*i) * time.Second), Kind: up}, fleet.Connection{At: now.Add(-time.Duration(2*i+1) * time.Second), Kind: down})
	}
	if n, from := full.Reconnects(since); n != fleet.MostConnections/2 || !from.After(since) {
		t.Errorf("a full log: %d reconnects since %s", n, from)
	}
	if got := three.Happened("eu", since); len(got) != 3 || got[0].Cluster != "eu" || got[0].Kind != up {
		t.Errorf("the lines of the hour: %+v", got)
	}
}
