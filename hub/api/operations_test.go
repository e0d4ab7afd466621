package api

import (
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/model"
)

func withApp(t *testing.T, change ...string) *world {
	t.Helper()
	w := newWorld(t)
	w.call("PUT", "/api/v1/applications/web", application("web", change...)).ok(201)
	w.calls.take()
	return w
}

func TestSync(t *testing.T) {
	w := withApp(t)
	var op model.OperationInfo
	w.call("POST", "/api/v1/applications/web/sync", `{"prune":true,"confirmPrune":3,"syncOptions":["CreateNamespace=true"]}`, "Content-Type: application/json").ok(202).into(&op)
	if op.ID != "op-1" || op.Kind != model.OperationSync || op.InitiatedBy != "ana" || !op.Spec.Prune || *op.Spec.ConfirmPrune != 3 || op.Message != "" {
		t.Errorf("got %+v", op)
	}
	if got := op.Deadline.Sub(start); got != syncDeadline {
		t.Errorf("deadline after %v", got)
	}
	if calls := w.calls.take(); calls != "notify-operation id-eu; publish operation op-1; publish-apps [uid-web]" {
		t.Errorf("told: %s", calls)
	}
	w.call("POST", "/api/v1/applications/web/sync", "").ok(202)
	w.call("POST", "/api/v1/applications/web/sync", "{}").ok(202)
	for body, code := range map[string]string{
		`{"prun":true}`: "unknown_field", `{"cascade":true}`: "unknown_field", `{"syncOptions":["Foo=true"]}`: "sync_option_unknown",
		`{"confirmPrune":-1}`: "out_of_range", `{"prune":"true"}`: "type_mismatch", `[]`: "type_mismatch",
		`{"resources":["Deployment:web"]}`: "selection_invalid", `{"retry":{"limit":-1}}`: "out_of_range",
		`{"retry":{"limit":1,"backoff":{"duration":"soon"}}}`: "expression_invalid", `{"rollback":{"historyID":1}}`: "unknown_field",
		`{"action":{"name":"restart"}}`: "unknown_field", `{"reason":"a\nb"}`: "text_invalid",
		`{"reason":"` + strings.Repeat("x", maxReason+1) + `"}`: "out_of_range",
	} {
		w.call("POST", "/api/v1/applications/web/sync", body).problem(400, code)
	}
	w.call("POST", "/api/v1/applications/nix/sync", "").problem(404, "application_not_found")
	if len(w.store.ops) != 3 {
		t.Errorf("%d operations", len(w.store.ops))
	}
}

func TestOptionsOfASync(t *testing.T) {
	w := withApp(t)
	var op model.OperationInfo
	w.call("POST", "/api/v1/applications/web/sync", `{"resources":["apps:Deployment:shop/web","!:Secret:*"],"skipHooks":true,"retry":{"limit":3,"backoff":{"duration":"5s","factor":2,"maxDuration":"1m"}},
		"approveDeletions":true,"reason":"a hotfix"}`).ok(202).into(&op)
	s := op.Spec
	if len(s.Resources) != 2 || !s.SkipHooks || s.Retry.Limit != 3 || s.Retry.Backoff.MaxDuration != "1m" || !s.ApproveDeletions || s.Reason != "a hotfix" {
		t.Errorf("%+v", s)
	}
	// Everything that is wrong at once.
	p := w.call("POST", "/api/v1/applications/web/sync", `{"resources":["x"],"retry":{"limit":-1},"syncOptions":["Foo=true"]}`).problem(400, "sync_option_unknown")
	if len(p.Errors) != 3 {
		t.Errorf("%+v", p.Errors)
	}
}

func TestTheOperationOfAnAppliedObject(t *testing.T) {
	w := newWorld(t)
	w.call("PUT", "/api/v1/applications/web", application("web")+`operation:
  initiatedBy: {username: ci}
  info: [{name: Reason, value: nightly}]
  retry: {limit: 2}
  sync:
    prune: true
    syncOptions: [Validate=false]
    syncStrategy: {apply: {force: true}}
    resources: [{group: apps, kind: Deployment, name: web}, {kind: ConfigMap, name: a, namespace: n}]
`).ok(201)
	got := w.store.ops[0].Spec
	if strings.Join(got.Resources, " ") != "apps:Deployment:web :ConfigMap:n/a" || !got.SkipHooks || got.Reason != "nightly" || got.Retry.Limit != 2 ||
		strings.Join(got.SyncOptions, " ") != "Validate=false Force=true" || !got.Prune {
		t.Errorf("%+v", got)
	}
}

func TestConfirmDeletion(t *testing.T) {
	w := withApp(t)
	var op model.OperationInfo
	w.call("POST", "/api/v1/applications/web/confirm-deletion", `{"reason":"they may go","confirmPrune":3}`).ok(202).into(&op)
	if s := op.Spec; op.Kind != model.OperationSync || !s.Prune || !s.ApproveDeletions || *s.ConfirmPrune != 3 || s.Reason != "they may go" {
		t.Errorf("%+v", op)
	}
	w.call("POST", "/api/v1/applications/web/confirm-deletion", `{"confirmPrune":-3}`).problem(400, "out_of_range")
	w.call("POST", "/api/v1/applications/nix/confirm-deletion", "").problem(404, "application_not_found")

	w.call("DELETE", "/api/v1/applications/web?cascade=true", "").ok(202)
	p := w.call("POST", "/api/v1/applications/web/confirm-deletion", "").problem(409, "confirmation_ambiguous") // the sync runs still
	if !strings.Contains(p.Detail, "op-1") || !strings.Contains(p.Detail, "op-2") {
		t.Errorf("%+v", p)
	}
	w.store.ops[0].Phase = model.PhaseSucceeded
	w.calls.take()
	w.call("POST", "/api/v1/applications/web/confirm-deletion", "").ok(202).into(&op)
	if op.Kind != model.OperationDelete || !op.Spec.ApproveDeletions || len(w.store.ops) != 2 {
		t.Errorf("%+v, %d operations", op, len(w.store.ops))
	}
	if calls := w.calls.take(); calls != "notify id-eu [uid-web]; publish operation op-2; publish-apps [uid-web]" {
		t.Errorf("told: %s", calls)
	}
}

// Who confirms names what, so that nobody approves of what came meanwhile.
func TestAConfirmationIsOfWhatItNames(t *testing.T) {
	const route = "/api/v1/applications/web/confirm-deletion"
	w := withApp(t)
	var first, op model.OperationInfo
	w.call("POST", route, `{"kind":"delete"}`).problem(404, "operation_not_found")
	w.call("POST", route, `{"operation":"op-9"}`).problem(404, "operation_not_found")
	w.call("POST", route, `{"kind":"action"}`).problem(400, "value_unknown")
	w.call("POST", route, `{"kind":"sync","operation":"op-1"}`).problem(400, "value_unknown")
	if len(w.store.ops) != 0 {
		t.Fatalf("%+v", w.store.ops)
	}
	w.call("POST", route, `{"reason":"they may go"}`, "Idempotency-Key: k").ok(202).into(&first)

	// The answer was lost, and somebody else deletes the application meanwhile.
	w.store.ops[0].Phase = model.PhaseSucceeded
	w.call("DELETE", "/api/v1/applications/web?cascade=true", "").ok(202)
	w.call("POST", route, `{"reason":"they may go"}`, "Idempotency-Key: k").ok(202).into(&op)
	if op.ID != first.ID || w.store.ops[1].Spec.ApproveDeletions {
		t.Fatalf("answered %s; the delete is %+v", op.ID, w.store.ops[1])
	}
	w.call("POST", route, `{"reason":"another"}`, "Idempotency-Key: k").problem(409, "idempotency_key_reused")
	w.call("POST", route, `{"operation":"op-1"}`).problem(404, "operation_not_found")
	w.call("POST", route, `{"kind":"delete","operation":"op-2","reason":"it is empty"}`).ok(202).into(&op)
	if op.ID != "op-2" || !op.Spec.ApproveDeletions || op.Amendments[0].Reason != "it is empty" {
		t.Errorf("%+v", op)
	}
}

func TestADeleteThatApprovesOfDeletions(t *testing.T) {
	w := withApp(t)
	var op model.OperationInfo
	w.call("DELETE", "/api/v1/applications/web?cascade=true&approveDeletions=maybe", "").problem(400, "value_unknown")
	w.call("DELETE", "/api/v1/applications/web?cascade=true&approveDeletions=true", "").ok(202).into(&op)
	if !op.Spec.ApproveDeletions || !op.Spec.Cascade {
		t.Errorf("%+v", op.Spec)
	}
}

func TestADeleteIsGivenUp(t *testing.T) {
	w := withApp(t)
	ask := func(query string) (op model.OperationInfo) {
		t.Helper()
		w.call("DELETE", "/api/v1/applications/web"+query, "").ok(202).into(&op)
		return op
	}
	ask("?cascade=true&propagation=background")
	w.calls.take()
	// That no finalizer asks for a cascade is no wish to give it up.
	op := ask("")
	if !op.Spec.Cascade || len(op.Amendments) != 0 {
		t.Errorf("%+v", op)
	}
	w.calls.take()
	op = ask("?cascade=false")
	if op.ID != "op-1" || op.Spec.Cascade || op.Spec.Propagation != "" || len(op.Amendments) != 1 || op.Amendments[0].What != model.AmendOrphan || op.Amendments[0].By != "ana" {
		t.Errorf("%+v", op)
	}
	if calls := w.calls.take(); !strings.HasSuffix(calls, "notify id-eu [uid-web]; publish operation op-1; publish-apps [uid-web]") {
		t.Errorf("told: %s", calls)
	}
	ask("?cascade=false&approveDeletions=true")
	op = ask("?cascade=true")
	if op.ID != "op-1" || op.Spec.Cascade || !op.Spec.ApproveDeletions || len(op.Amendments) != 2 || len(w.store.ops) != 1 {
		t.Errorf("a cascade that comes later: %+v", op)
	}
}

func TestSyncOfWhatCannotBeRendered(t *testing.T) {
	w := withApp(t)
	app := w.store.apps["web"]
	app.Source.Error = &model.Condition{Type: "ComparisonError", Code: "path_not_found", Message: `path "web" does not exist`}
	w.store.apps["web"] = app
	p := w.call("POST", "/api/v1/applications/web/sync", "").problem(409, "nothing_rendered")
	if p.Detail != `nothing of "web" was rendered yet: path "web" does not exist` || len(w.store.ops) != 0 {
		t.Errorf("%q, %d operations", p.Detail, len(w.store.ops))
	}
	app.Source.Bundle = "sha256:last-good"
	w.store.apps["web"] = app
	p = w.call("POST", "/api/v1/applications/web/sync", "").problem(422, "newest_not_rendered")
	if p.Detail != `the newest of "web" cannot be rendered: path_not_found: path "web" does not exist` || len(w.store.ops) != 0 {
		t.Errorf("%q, %d operations", p.Detail, len(w.store.ops))
	}
	const last = "0123456789abcdef0123456789abcdef01234567"
	app.Source.Revision.Commit = last
	w.store.apps["web"] = app
	p = w.call("POST", "/api/v1/applications/web/sync", "").problem(422, "newest_not_rendered")
	if !strings.HasSuffix(p.Fix, "hawser app sync web --revision "+last) {
		t.Errorf("fix %q", p.Fix)
	}
	w.call("POST", "/api/v1/applications/web/sync", `{"dryRun":true}`).ok(202)
	w.call("POST", "/api/v1/applications/web/sync", `{"revision":"`+last+`"}`).ok(202) // the last good state can be synced

	// trouble on the way to the source says nothing about what is there
	app.Source.Error = &model.Condition{Type: "ComparisonError", Code: "git_unavailable", Message: "no answer"}
	w.store.apps["web"] = app
	w.call("POST", "/api/v1/applications/web/sync", "").ok(202)
}

func TestAHeldDeleteSaysWhy(t *testing.T) {
	for _, held := range []bool{true, false} {
		w := withApp(t)
		w.store.hub.HoldDeletes = held
		for _, ask := range [][2]string{{"DELETE", "/api/v1/applications/web?cascade=true"}, {"GET", "/api/v1/operations/op-1"}} {
			status := 202
			if ask[0] == "GET" {
				status = 200
			}
			var op model.OperationInfo
			w.call(ask[0], ask[1], "").ok(status).into(&op)
			if got := strings.Contains(op.Message, "hawser hub acknowledge-restore"); got != held {
				t.Errorf("held %v: %s says %q", held, ask[0], op.Message)
			}
		}
	}
}

func TestTerminatingADeleteWakesDelivery(t *testing.T) {
	w := withApp(t)
	w.call("DELETE", "/api/v1/applications/web?cascade=true", "").ok(202)
	w.calls.take()
	w.call("POST", "/api/v1/operations/op-1/terminate", "").ok(200)
	if calls := w.calls.take(); !strings.Contains(calls, "deliver [uid-web]") {
		t.Errorf("told: %s", calls)
	}
}

func TestSyncToARevision(t *testing.T) {
	w := withApp(t)
	const commit = "0123456789abcdef0123456789abcdef01234567"
	sync := func(revision string) answer {
		return w.call("POST", "/api/v1/applications/web/sync", `{"revision":"`+revision+`"}`)
	}
	sync(commit).problem(422, "revision_not_rendered") // nothing is rendered yet
	app := w.store.apps["web"]
	app.Source.Revision.Commit = commit
	w.store.apps["web"] = app
	sync(commit).ok(202)
	sync("0123456").ok(202)
	sync("0123456789ABCDEF").ok(202)
	sync("012345").problem(422, "revision_not_rendered") // too short to mean one commit
	sync("main").problem(422, "revision_not_rendered")
	sync("1123456").problem(422, "revision_not_rendered")
	app.Source.Revision.Commit = "10.20.30" // of a chart
	w.store.apps["web"] = app
	sync("10.20.30").ok(202)
	sync("10.20.3").problem(422, "revision_not_rendered")
}

func TestSyncToWhatTheApplicationFollows(t *testing.T) {
	const old, newest = "0123456789abcdef0123456789abcdef01234567", "1123456789abcdef0123456789abcdef01234567"
	for name, c := range map[string]struct {
		target, asked string
		pinned        bool
		want          string // the revision of the operation; "-": refused
	}{
		"its branch":              {"main", "main", false, ""},
		"HEAD, as none is named":  {"", "HEAD", false, ""},
		"HEAD of a named branch":  {"main", "HEAD", false, "-"},
		"another branch":          {"main", "next", false, "-"},
		"nothing":                 {"main", "", false, ""},
		"its branch, rolled back": {"main", "main", true, newest},
		"nothing, rolled back":    {"main", "", true, ""},
	} {
		w := withApp(t)
		app := w.store.apps["web"]
		app.Application.Spec.Source.TargetRevision = c.target
		app.Source.Revision.Commit = newest
		if c.pinned {
			app.Pin = &fleet.Pin{}
			app.Pin.Revision.Commit = old
		}
		w.store.apps["web"] = app
		got := w.call("POST", "/api/v1/applications/web/sync", `{"revision":"`+c.asked+`"}`)
		if c.want == "-" {
			got.problem(422, "revision_not_rendered")
			continue
		}
		var op model.OperationInfo
		got.ok(202).into(&op)
		if op.Spec.Revision != c.want {
			t.Errorf("%s: %q", name, op.Spec.Revision)
		}
	}
}

func TestSyncWhileTheClusterIsAway(t *testing.T) {
	w := withApp(t, "name: eu", "name: us")
	var op model.OperationInfo
	w.call("POST", "/api/v1/applications/web/sync", "").ok(202).into(&op)
	if want := `cluster "us" has been disconnected for 12m0s; the operation is queued (expires in 1h0m0s)`; op.Message != want {
		t.Errorf("got %q", op.Message)
	}
	if w.store.ops[0].Message != "" {
		t.Error("the notice was stored")
	}
}

func TestIdempotencyKeys(t *testing.T) {
	w := withApp(t)
	var first, second model.OperationInfo
	w.call("POST", "/api/v1/applications/web/sync", "", "Idempotency-Key: k1").ok(202).into(&first)
	w.call("POST", "/api/v1/applications/web/sync", "", "Idempotency-Key: k1").ok(202).into(&second)
	if first.ID != second.ID || len(w.store.ops) != 1 {
		t.Errorf("%s and %s", first.ID, second.ID)
	}
	w.call("POST", "/api/v1/applications/web/sync", "", "Idempotency-Key: a b").problem(400, "idempotency_key_invalid")
	w.call("DELETE", "/api/v1/applications/web", "", "Idempotency-Key: \x01").problem(400, "idempotency_key_invalid")
}

func TestDelete(t *testing.T) {
	w := withApp(t)
	var op model.OperationInfo
	w.call("DELETE", "/api/v1/applications/web?cascade=true", "").ok(202).into(&op)
	if op.Kind != model.OperationDelete || !op.Spec.Cascade || op.Spec.Propagation != "Foreground" || op.Deadline != nil {
		t.Errorf("got %+v", op)
	}
	if calls := w.calls.take(); calls != "notify id-eu [uid-web]; deliver [uid-web]; publish operation op-1; publish-apps [uid-web]" {
		t.Errorf("told: %s", calls)
	}
	w.call("DELETE", "/api/v1/applications/web?cascade=maybe", "").problem(400, "value_unknown")
	w.call("DELETE", "/api/v1/applications/web?propagation=orphan", "").problem(400, "value_unknown")
	w.call("DELETE", "/api/v1/applications/nix", "").problem(404, "application_not_found")
}

func TestWhatBecomesOfTheObjects(t *testing.T) {
	plain, background, foreground := model.FinalizerCascade, model.FinalizerCascadeBackground, model.FinalizerCascadeForeground
	for _, c := range []struct {
		cascade, propagation string
		finalizers           []string
		wantCascade          bool
		wantPropagation      string
	}{
		{"", "", nil, false, ""},
		{"", "", []string{"other"}, false, ""},
		{"", "", []string{plain}, true, "Foreground"},
		{"", "", []string{foreground}, true, "Foreground"},
		{"", "", []string{background}, true, "Background"},
		{"", "foreground", []string{background}, true, "Foreground"},
		{"", "background", []string{plain}, true, "Background"},
		{"", "background", nil, false, ""},
		{"true", "", nil, true, "Foreground"},
		{"true", "", []string{background}, true, "Background"},
		{"true", "Background", nil, true, "Background"},
		{"false", "", []string{plain, background}, false, ""},
		{"false", "background", []string{plain}, false, ""},
	} {
		got, err := deletion(c.cascade, c.propagation, c.finalizers)
		if err != nil || got.Cascade != c.wantCascade || got.Propagation != c.wantPropagation {
			t.Errorf("%+v: got %+v, %v", c, got, err)
		}
	}
}

func TestOperations(t *testing.T) {
	w := withApp(t)
	w.call("POST", "/api/v1/applications/web/terminate", "").problem(409, "no_operation")
	w.call("POST", "/api/v1/applications/web/sync", "").ok(202)
	w.calls.take()
	var op model.OperationInfo
	w.call("GET", "/api/v1/operations/op-1", "").ok(200).into(&op)
	if op.AppName != "web" {
		t.Errorf("got %+v", op)
	}
	count := func(query string) int {
		t.Helper()
		var l struct{ Items []model.OperationInfo }
		w.call("GET", "/api/v1/"+query, "").ok(200).into(&l)
		if l.Items == nil {
			t.Errorf("%s: items is null", query)
		}
		return len(l.Items)
	}
	for query, want := range map[string]int{
		"operations": 1, "operations?open=true": 1, "operations?app=web": 1, "operations?cluster=us": 0, "applications/web/operations": 1,
	} {
		if got := count(query); got != want {
			t.Errorf("%s: %d", query, got)
		}
	}
	w.call("POST", "/api/v1/applications/web/terminate", "").ok(200).into(&op)
	if op.Phase != model.PhaseTerminated || op.Message != "ended on request of ana before an agent was given it" {
		t.Errorf("got %+v", op)
	}
	if calls := w.calls.take(); calls != "notify-operation id-eu; publish operation op-1; publish-apps [uid-web]" {
		t.Errorf("told: %s", calls)
	}
	if count("operations?open=true") != 0 {
		t.Error("it is still open")
	}
	w.call("POST", "/api/v1/operations/op-1/terminate", "").ok(200)
	w.call("POST", "/api/v1/operations/nix/terminate", "").problem(404, "operation_not_found")
	w.call("GET", "/api/v1/operations/nix", "").problem(404, "operation_not_found")
	w.call("GET", "/api/v1/operations?app=nix", "").problem(404, "application_not_found")
	w.call("GET", "/api/v1/operations?open=maybe", "").problem(400, "value_unknown")
}

func TestTheEndOfWhatAnAgentHasIsOnlyAskedFor(t *testing.T) {
	w := withApp(t)
	w.call("POST", "/api/v1/applications/web/sync", "").ok(202)
	w.store.mu.Lock()
	w.store.ops[0].Phase = model.PhaseSent
	w.store.mu.Unlock()
	var op model.OperationInfo
	for range 2 { // asked for again, it says the same
		w.call("POST", "/api/v1/applications/web/terminate", "").ok(200).into(&op)
		if op.Phase != model.PhaseSent || !op.Terminating || op.FinishedAt != nil || !strings.HasPrefix(op.Message, "ana has asked to end it; the agent may still carry it out") {
			t.Errorf("got %+v", op)
		}
	}
}

// The agent is given the limits that the hub decides by before the command exists.
func TestLimitsAreSentBeforeACommand(t *testing.T) {
	w := newWorld(t)
	w.login()
	w.call("PUT", "/api/v1/applications/web", application("web")).ok(201)
	app := w.store.apps["web"]
	app.Source.Bundle = "sha256:x"
	w.store.apps["web"] = app
	limited := 0
	w.limit = func(app fleet.App) error {
		if limited++; app.Name != "web" || len(w.store.ops) != 0 {
			t.Errorf("%s: the limits came after %d operations", app.Name, len(w.store.ops))
		}
		return nil
	}
	w.call("POST", "/api/v1/applications/web/sync", "").ok(202)
	if limited != 1 || len(w.store.ops) != 1 {
		t.Errorf("limited %d times, %d operations", limited, len(w.store.ops))
	}
	// A delete is judged by no limits.
	w.call("DELETE", "/api/v1/applications/web", "").ok(202)
	if limited != 1 {
		t.Error("a delete waits for limits")
	}
	w.store.ops = nil
	w.call("PUT", "/api/v1/applications/other", application("other")).ok(201)
	w.limit = func(fleet.App) error { return errDown }
	w.call("POST", "/api/v1/applications/other/sync", "").problem(503, "db_unavailable")
	if len(w.store.ops) != 0 {
		t.Error("a command was stored that would be judged by older rules")
	}
}
