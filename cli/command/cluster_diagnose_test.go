package command

import (
	"strings"
	"testing"
)

func TestClusterDiagnose(t *testing.T) {
	newHubOf(t, map[string]answer{
		"GET /clusters/eu/diagnosis": {200, `{"cluster":"eu","state":"offline","asOf":"2026-05-01T12:00:00Z","lastSeen":"2026-05-01T11:46:00Z","healthy":false,"reconnects":9,"roundTripMs":38.2,
		  "queued":{"total":17,"items":[]},"causes":[
		  {"code":"cluster_revoked","id":"HW-3012","title":"the cluster was revoked","known":true,"seen":"it is marked","at":"2026-05-01T11:46:00Z","fix":"enrol it again","command":"hawser cluster enroll eu"},
		  {"code":"hub_unreachable","id":"HW-6041","title":"it may be \u001b[31mfar\u202e","known":false,"fix":"look","command":"kubectl get nodes"}]}`},
		"GET /clusters/us/diagnosis":   {200, `{"cluster":"us","state":"connected","asOf":"2026-05-01T12:00:00Z","healthy":true,"reconnects":0,"causes":[],"queued":{"total":0,"items":[]}}`},
		"GET /clusters/none/diagnosis": {404, `{"status":404,"kind":"not_found","code":"cluster_unknown","detail":"no cluster \"none\""}`},
		"GET /clusters/not/diagnosis":  {403, `{"status":403,"kind":"denied","code":"denied","detail":"no"}`},
	})
	r := run(t, "", "cluster", "diagnose", "eu")
	if r.code != ExitNegative {
		t.Errorf("a cluster with causes: exit status %d", r.code)
	}
	at := 0
	for _, want := range []string{"eu", "Offline", "round trip 38.2 ms", "9 reconnects in the last hour", "17 changes wait for it",
		"What the hub knows:", "1. HW-3012 the cluster was revoked (cluster_revoked)", "seen: it is marked, ", "fix:  enrol it again", "run:  hawser cluster enroll eu",
		"What it may be:", "2. HW-6041 it may be", "run:  kubectl get nodes"} {
		i := strings.Index(r.out[at:], want)
		if i < 0 {
			t.Fatalf("%q is missing or out of order in\n%s%s", want, r.out, r.err)
		}
		at += i
	}
	if strings.ContainsAny(r.out, "\x1b\u202e") {
		t.Errorf("what came from outside is not cleaned: %q", r.out)
	}
	if r := run(t, "", "cluster", "diagnose", "eu", "-o", "json"); r.code != ExitNegative || !strings.Contains(r.out, `"code": "cluster_revoked"`) || strings.Contains(r.out, "What the hub knows") {
		t.Errorf("as JSON: %+v", r)
	}
	if r := run(t, "", "cluster", "diagnose", "us"); r.code != 0 || !strings.Contains(r.out, "Connected") || !strings.Contains(r.err, "nothing is known that is wrong") {
		t.Errorf("a cluster that is well: %+v", r)
	}
	for name, want := range map[string]int{"none": ExitNotFound, "not": ExitDenied} {
		if r := run(t, "", "cluster", "diagnose", name); r.code != want {
			t.Errorf("%s: exit status %d, want %d", name, r.code, want)
		}
	}
}
