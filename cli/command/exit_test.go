package command

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// with are the answers of everything, some of them replaced.
func with(changes map[string]answer) map[string]answer {
	all := everything()
	for k, v := range changes {
		all[k] = v
	}
	return all
}

func operation(phase, more string) answer {
	return answer{200, `{"id":"op-1","app":"web","kind":"sync","phase":"` + phase + `","spec":{}` + more + `}`}
}

func TestExitStatuses(t *testing.T) {
	failed := `{"kind":"Application","name":"x","result":"failed","error":{"kind":"denied","code":"destination_not_allowed","detail":"not there"}}`
	for _, c := range []struct {
		name, args string
		answers    map[string]answer
		code       int
		out, err   string
	}{
		{name: "done", args: "app sync web", code: 0, out: "Succeeded"},
		{name: "differences", args: "app diff web", code: 1, out: "~"},
		{name: "usage", args: "app get", code: 2, err: "hawser app get takes 1 argument (NAME), got 0"},
		{name: "unknown flag", args: "app get web --nix", code: 2, err: "fix: see hawser app get --help"},
		{name: "unknown format", args: "app get web -o xml", code: 2, err: "(output_unknown)"},
		{name: "unknown command", args: "ap get", code: 2, err: `did you mean "hawser app"?`},
		{name: "unknown verb", args: "app lst", code: 2, err: `did you mean "hawser app list"?`},
		{name: "nothing near", args: "app frobnicate", code: 2, err: "see hawser app --help"},
		{name: "internal", args: "app get web", answers: map[string]answer{"GET /applications/web": problemAnswer(500, "internal", "internal", "internal error")}, code: 2, err: "(internal)"},
		{name: "not found", args: "app get nix", code: 3, err: "(application_not_found)"},
		{name: "not logged in", args: "app get web", answers: map[string]answer{"GET /applications/web": problemAnswer(401, "unauthorized", "token_expired", "the token expired")}, code: 4, err: "(token_expired)"},
		{name: "denied", args: "app create web --repo x", answers: map[string]answer{"PUT /applications/web": problemAnswer(403, "denied", "repository_not_allowed", "no")}, code: 5, err: "fix: do so"},
		{name: "not now", args: "app sync web", answers: map[string]answer{"POST /applications/web/sync": problemAnswer(409, "precondition", "nothing_rendered", "no")}, code: 6, err: "(nothing_rendered)"},
		{name: "prune guard", args: "app sync web", answers: map[string]answer{"GET /operations/op-1": operation("Failed", `,"result":{"wouldPrune":5}`)}, code: 6, out: "Failed", err: "next: hawser app get web"},
		{name: "superseded", args: "app sync web", answers: map[string]answer{"GET /operations/op-1": operation("Superseded", "")}, code: 6, out: "Superseded", err: "next: hawser app get web"},
		{name: "sync that takes too long", args: "app sync web --timeout 300ms", answers: map[string]answer{"GET /operations/op-1": operation("Running", `,"message":"3 of 7"`)},
			code: 7, err: "operation op-1 is still Running after the time limit; it goes on: 3 of 7 (wait_timeout)\n  fix: look: hawser operation get op-1; cancel: hawser operation terminate op-1"},
		{name: "wait names what is not ready", args: "app wait web --timeout 300ms", code: 7, err: "timed out waiting for web: sync is OutOfSync (Drift), look"},
		{name: "wait for a deletion", args: "app wait web --delete --timeout 300ms", code: 7, err: "web: still there"},
		{name: "nothing is known", args: "app diff web", answers: map[string]answer{"GET /applications/web": {200, `{"name":"web","observedAt":"2026-01-02T03:04:05Z","sync":{"status":"Unknown"}}`}}, code: 8, err: "(sync_unknown)"},
		{name: "never observed", args: "app diff web", answers: map[string]answer{"GET /applications/web": {200, `{"name":"web"}`}}, code: 8, err: "(never_observed)"},
		{name: "hub without a database", args: "app get web", answers: map[string]answer{"GET /applications/web": problemAnswer(503, "unavailable", "db_unavailable", "away")}, code: 8, err: "(db_unavailable)"},
		{name: "some failed", args: "apply -f testdata/one.yaml", answers: map[string]answer{"POST /apply": {207, `{"items":[{"kind":"Application","name":"web","result":"created"},` + failed + `]}`}}, code: 9, out: "app/web created\n", err: "app/x failed\nerror: not there (destination_not_allowed)"},
		{name: "all failed", args: "apply -f testdata/one.yaml", answers: map[string]answer{"POST /apply": {207, `{"items":[` + failed + `]}`}}, code: 5, err: "app/x failed"},
		{name: "failed badly", args: "app sync web", answers: map[string]answer{"GET /operations/op-1": operation("Failed", `,"message":"refused"`)}, code: 10, out: "Failed  refused", err: "next: hawser app get web"},
	} {
		t.Run(c.name, func(t *testing.T) {
			newHubOf(t, with(c.answers))
			run(t, "", strings.Fields(c.args)...).check(t, c.code, c.out, c.err)
			r := run(t, "", append(strings.Fields(c.args), "-o", "json")...)
			if c.name != "unknown format" && r.code != c.code {
				t.Errorf("with -o json: exit status %d", r.code)
			}
			if !r.document() {
				t.Errorf("stdout %q", r.out)
			}
		})
	}
}

func TestNoHub(t *testing.T) {
	newHubOf(t, nil)
	for _, name := range []string{"HAWSER_HUB", "HAWSER_TOKEN", "HAWSER_CA_HASH"} {
		t.Setenv(name, "")
	}
	run(t, "", "app", "list").check(t, 4, "", "fix: hawser login HOST:PORT")
	run(t, "", "version").check(t, 0, "hawser ", "")
	run(t, "", "version", "-o", "json").check(t, 0, `"client"`, "")

	gone := httptest.NewTLSServer(nil)
	gone.Close()
	t.Setenv("HAWSER_HUB", gone.URL)
	run(t, "", "app", "list").check(t, 8, "", "(hub_unreachable)")
	run(t, "", "version").check(t, 0, "hawser ", "the hub did not say its version: the hub "+gone.URL+" does not answer")
}

func TestAHubThatIsNotTrusted(t *testing.T) {
	hub := newHubOf(t, everything())
	wrong := "sha256:" + strings.Repeat("0", 64)
	t.Setenv("HAWSER_CA_HASH", wrong)
	for _, args := range []string{"app list", "app sync web", "app wait web"} {
		r := run(t, "", strings.Fields(args)...)
		r.check(t, 2, "", "expected "+wrong+", got "+hub.pin()+" (hub_not_trusted)\n  fix: do not go on if you do not know why")
	}
	if got := hub.requests(); got != "" {
		t.Errorf("it was asked %s", got)
	}
}

// An agent, or a hub, that does not answer keeps nobody longer than --timeout, whatever
// a command asks before and after it waits.
func TestATimeoutIsThatOfTheWholeCommand(t *testing.T) {
	for args, silent := range map[string]string{
		"app get web":           "GET /applications/web",
		"app logs web":          "GET /applications/web/logs",
		"app sync web":          "POST /applications/web/sync",
		"app rollback web":      "GET /applications/web", // that it asks for once the operation is over
		"app wait web --health": "GET /applications/web",
		"app list":              "GET /applications",
		"cluster diagnose eu":   "GET /clusters/eu/diagnosis",
	} {
		t.Run(args, func(t *testing.T) {
			hub := newHubOf(t, everything())
			hub.before = func(r *http.Request) {
				if r.Method+" "+strings.TrimPrefix(r.URL.Path, "/api/v1") == silent {
					<-r.Context().Done()
				}
			}
			over := strings.Contains(args, "rollback") // the operation is, and only its application is asked for in vain
			r := run(t, "", append(strings.Fields(args), "--timeout", map[bool]string{true: "5s", false: "200ms"}[over])...)
			if over {
				r.check(t, 0, "Succeeded", "")
				return
			}
			r.check(t, ExitTimeout, "", "(wait_timeout)")
		})
	}
}

func TestInterrupted(t *testing.T) {
	hub := newHubOf(t, with(map[string]answer{"GET /operations/op-1": operation("Running", "")}))
	for args, want := range map[string]string{
		"app sync web": "error: HW-8013 interrupted; operation op-1 is ",
		"app wait web": "interrupted; ",
	} {
		ctx, interrupt := context.WithCancel(t.Context())
		hub.streaming = interrupt
		r := runAs(ctx, Streams{In: strings.NewReader("")}, strings.Fields(args)...)
		r.check(t, ExitInterrupted, "", want)
		if strings.Contains(args, "sync") && !strings.Contains(r.err, "hawser operation get op-1; cancel: hawser operation terminate op-1") {
			t.Errorf("stderr %q", r.err)
		}
		interrupt()
	}
}

func TestDeleteAsksAPerson(t *testing.T) {
	for _, c := range []struct {
		args, answer string
		code         int
		asked        string // of the hub, "" when it must not be asked
	}{
		{"app delete web", "yes\n", 0, "cascade=true"},
		{"app delete web", "no\n", 0, "cascade=false"},
		{"app delete web", "\n", 2, ""},
		{"app delete web --yes", "", 0, "DELETE /applications/web"},
		{"app delete web --cascade", "yes\n", 0, "cascade=true"},
		{"app delete web --cascade", "no\n", 2, ""},
		{"app delete web --cascade=false", "yes\n", 0, "cascade=false"},
		{"app delete web --cascade --yes", "", 0, "cascade=true"},
	} {
		hub := newHubOf(t, everything())
		r := runAs(t.Context(), Streams{In: strings.NewReader(c.answer), Terminal: true}, strings.Fields(c.args)...)
		deleted := strings.Contains(hub.requests(), "DELETE ")
		if r.code != c.code || deleted != (c.asked != "") || !strings.Contains(hub.requests(), c.asked) {
			t.Errorf("%s, %q: exit status %d, asked %s", c.args, c.answer, r.code, hub.requests())
		}
	}
}

func TestOperationsOfADeletedApplication(t *testing.T) {
	newHubOf(t, with(map[string]answer{"GET /operations?app=web&limit=500": problemAnswer(404, "not_found", "application_not_found", "no"), "GET /operations?app=nix&limit=500": problemAnswer(404, "not_found", "application_not_found", "no")}))
	run(t, "", "operation", "list", "--app", "web").check(t, 0, "op-1", `"web" is deleted; these are its operations among the newest 500`)
	run(t, "", "operation", "list", "--app", "nix").check(t, 3, "", "the newest 500 operations have none of it")
}

func TestARefusalIsSaidOnce(t *testing.T) {
	var b bytes.Buffer
	message := "destination eu/x is not allowed in project shop"
	printError(&b, &fault.Error{Kind: fault.Denied, Code: "destination_not_allowed", Message: message, Fix: "ask",
		Explain: json.RawMessage(`{"project":"shop","projectVersion":3,"checks":[{"rule":"source","result":"passed","message":"https://git/x matches rule #1 *"},{"rule":"destination","result":"failed","message":"` + message + `","nearest":"#1 eu/shop-*","differs":"the namespace is x"},{"rule":"kinds","result":"not evaluated","message":"later"}],"canChange":"administrators of this hub"}`)})
	want := "error: " + message + " (destination_not_allowed)\n  Checked in order\n   1 ✓ source       https://git/x matches rule #1 *\n   2 ✕ destination  " + message +
		"\n         nearest rule: #1 eu/shop-*     differs: the namespace is x\n   3 – kinds        later\n  Decided by project shop (version 3)\n  Who can change it: administrators of this hub\n  fix: ask\n"
	if b.String() != want {
		t.Errorf("got\n%s", b.String())
	}
}

func TestManyErrorsAreAllSaid(t *testing.T) {
	newHubOf(t, with(map[string]answer{"PUT /applications/web": {400, `{"kind":"invalid","code":"a","detail":"first","errors":[{"code":"a","detail":"first","field":"spec.x"},{"code":"b","detail":"second\u202e"}]}`}}))
	run(t, "", "app", "create", "web").check(t, 2, "", "error: spec.x: first (a)\nerror: second\uFFFD (b)\n")
}

func TestExitOfOperation(t *testing.T) {
	for phase, want := range map[model.OperationPhase]int{
		model.PhaseSucceeded: 0, model.PhaseFailed: 10, model.PhaseSuperseded: 6, model.PhaseExpired: 6, model.PhaseTerminated: 6,
	} {
		if got := exitOfOperation(model.OperationInfo{Phase: phase}); got != want {
			t.Errorf("%s: %d", phase, got)
		}
	}
	if got := exitCode(context.Background(), errors.New("x")); got != ExitError {
		t.Errorf("an unknown error: %d", got)
	}
}
