package command

import (
	"context"
	"net/http"
	"strings"
	"testing"
)

const (
	tokenNew   = `{"items":[{"id":"tok","cluster":"eu"}]` + asOf
	tokenTold  = `{"items":[{"id":"tok","cluster":"eu","preflight":{"at":"2026-01-02T03:04:04Z","checks":[{"check":"dns","outcome":"ok","message":"fine"},{"check":"token","outcome":"skipped","message":"later"},{"check":"clock","outcome":"failed","code":"clock_skewed","id":"HW-6100","message":"10m0s \u001b[31mbehind","fix":"set it"},{"check":"rights","outcome":"warning","code":"c","message":"some"}]}}]` + asOf
	tokenWell  = `{"items":[{"id":"tok","cluster":"eu","preflight":{"at":"2026-01-02T03:04:05Z","checks":[{"check":"dns","outcome":"ok","message":"fine"},{"check":"clock","outcome":"ok","message":"fine"},{"check":"token","outcome":"skipped","message":"later"}]}}]` + asOf
	tokenUsed  = `{"items":[{"id":"tok","cluster":"eu","usedAt":"2026-01-02T03:04:05Z"}]` + asOf
	issued     = `{"id":"tok","token":"hwe_1","cluster":"eu","expiresAt":"2099-01-01T00:00:00Z","hub":"hub:1","helm":"helm install --set token.value=hwe_1","manifest":"kind: Secret\n","command":"hawser-agent --token hwe_1"}`
	euArrived  = `{"id":"i","name":"eu","connected":true,"agentVersion":"1.2.3"}`
	euReported = `{"id":"i","name":"eu","connected":true,"agentVersion":"1.2.3","kubeVersion":"v1.34.1","nodes":1,"namespaces":14}`
)

// An enrolment that goes on while a person watches. Each look of the person finds
// the next state.
func TestEnrollWaits(t *testing.T) {
	type state struct{ tokens, cluster string }
	states := []state{{tokenNew, ""}, {tokenTold, ""}, {tokenWell, ""}, {tokenUsed, ""}, {tokenUsed, euArrived}, {tokenUsed, euReported}}
	hub := newHubOf(t, map[string]answer{"POST /enrolment-tokens": {201, issued}})
	looks := 0
	hub.before = func(r *http.Request) {
		if r.URL.Path != "/api/v1/enrolment-tokens" || r.Method != http.MethodGet {
			return
		}
		now := states[min(looks, len(states)-1)]
		looks++
		hub.answers["GET /enrolment-tokens"] = answer{200, now.tokens}
		if now.cluster != "" {
			hub.answers["GET /clusters/eu"] = answer{200, now.cluster}
		}
	}
	t.Setenv("LC_ALL", "C")
	r := runAs(t.Context(), Streams{In: strings.NewReader(""), Terminal: true}, "cluster", "enroll", "eu")
	r.check(t, 0, "helm install --set token.value=hwe_1\n", "ok: token redeemed")
	at := 0
	for _, want := range []string{"Waiting", "failed: preflight clock: 10m0s", "behind  (HW-6100 clock_skewed)\n", "  fix: set it\n", "warning: preflight rights: some  (c)\n", "ok: preflight 2/2\n", "ok: token redeemed", "ok: connected 1.2.3", "ok: inventory: Kubernetes v1.34.1, 1 node, 14 namespaces", "Next: hawser cluster get eu"} {
		n := strings.Index(r.err[at:], want)
		if n < 0 {
			t.Fatalf("%q is not said, or too early:\n%s", want, r.err)
		}
		at += n
	}
	if strings.Contains(r.err, "\x1b") {
		t.Errorf("what an agent says reaches the terminal as it is: %q", r.err)
	}
}

func TestEnrollThatIsNotTaken(t *testing.T) {
	answers := map[string]answer{
		"POST /enrolment-tokens": {201, issued}, "GET /enrolment-tokens": {200, tokenNew},
		// A cluster of this name that was enrolled before is no sign of life.
		"GET /clusters/eu": {200, euReported},
	}
	hub := newHubOf(t, answers)
	r := run(t, "", "cluster", "enroll", "eu", "--yes", "--wait", "--timeout", "200ms")
	r.check(t, ExitTimeout, "helm install --set token.value=hwe_1\n", "timed out before the token is redeemed (wait_timeout)")
	run(t, "", "cluster", "enroll", "eu", "--yes").check(t, 0, "helm install", "Run this where helm is set to the cluster \"eu\"")
	run(t, "", "cluster", "enroll", "eu", "--yes", "--with", "manifest").check(t, 0, "kind: Secret\n", "Apply this to the cluster")
	run(t, "", "cluster", "enroll", "eu", "--yes", "--with", "program").check(t, 0, "hawser-agent --token hwe_1\n", "Run this where")
	asked := len(hub.asked)
	run(t, "", "cluster", "enroll", "eu", "--yes", "--with", "magic").check(t, 2, "", "helm, manifest, program")
	if len(hub.asked) != asked {
		t.Error("the hub was asked")
	}
	runAs(t.Context(), Streams{In: strings.NewReader(""), Terminal: true}, "cluster", "enroll", "eu", "--yes", "--no-wait").check(t, 0, "helm install", "Run this where")
	run(t, "", "cluster", "enroll", "eu", "--yes", "--wait", "--no-wait").check(t, 2, "", "if any flags in the group")

	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	hub.streaming = interrupt
	runAs(ctx, Streams{In: strings.NewReader("")}, "cluster", "enroll", "eu", "--yes", "--wait").check(t, ExitInterrupted, "helm install", "the command stays valid until 2099-01-01T00:00:00Z")
}

// The agent that is connected may be taken for another one by mistake: who does
// not say so is asked.
func TestEnrollOfAClusterThatIsConnected(t *testing.T) {
	answers := map[string]answer{"POST /enrolment-tokens": {201, issued}, "GET /clusters/eu": {200, euReported}}
	hub := newHubOf(t, answers)
	run(t, "", "cluster", "enroll", "eu").check(t, ExitPrecondition, "", "(cluster_connected)")
	runAs(t.Context(), Streams{In: strings.NewReader("no\n"), Terminal: true}, "cluster", "enroll", "eu", "--no-wait").check(t, ExitError, "", "Enrol \"eu\" again?")
	if strings.Contains(hub.requests(), "POST") {
		t.Fatalf("a token was minted: %s", hub.requests())
	}
	runAs(t.Context(), Streams{In: strings.NewReader("yes\n"), Terminal: true}, "cluster", "enroll", "eu", "--no-wait").check(t, 0, "helm install", "takes the place")
	run(t, "", "cluster", "enroll", "eu", "--yes").check(t, 0, "helm install", "Run this where")
	answers["GET /clusters/eu"] = answer{200, strings.Replace(euReported, `"connected":true`, `"connected":false`, 1)}
	run(t, "", "cluster", "enroll", "eu").check(t, 0, "helm install", "Run this where")
}

func TestEnrolmentsThatArePendingAreShownToAPerson(t *testing.T) {
	hub := newHubOf(t, everything())
	runAs(t.Context(), Streams{OutTerminal: true, Width: 200}, "cluster", "list").check(t, 0, "eu", "1 enrolment is not redeemed yet: hawser cluster enrolment list")
	asked := hub.requests()
	run(t, "", "cluster", "list").check(t, 0, "eu", "")
	runAs(t.Context(), Streams{OutTerminal: true, Width: 200}, "cluster", "list", "--filter", "x").check(t, 0, "eu", "1")
	if n := strings.Count(hub.requests(), "enrolment-tokens") - strings.Count(asked, "enrolment-tokens"); n != 0 {
		t.Errorf("tokens were asked for %d times more", n)
	}
}
