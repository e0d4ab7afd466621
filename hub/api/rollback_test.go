package api

import (
	"net/http"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

const (
	goodCommit = "0123456789abcdef0123456789abcdef01234567"
	badCommit  = "fedcba9876543210fedcba9876543210fedcba98"
)

// withHistory is an application that went from a good to a bad deployment.
func withHistory(t *testing.T) *world {
	t.Helper()
	w := withApp(t)
	content := func(bundle, commit string) fleet.Content {
		return fleet.Content{Bundle: model.Digest(bundle), Revision: model.Revision{Commit: commit, Message: "about " + bundle}}
	}
	w.store.history = []fleet.Deployment{
		{ID: 1, Generation: 1, Content: content("good", goodCommit), DeployedAt: start},
		{ID: 2, Generation: 2, Content: content("bad", badCommit), DeployedAt: start},
	}
	w.store.desired, w.store.rendered = model.Desired{Generation: 2, Bundle: "bad", Revision: model.Revision{Commit: badCommit}}, true
	w.change(func(a *fleet.App) {
		a.Source = fleet.SourceState{Bundle: "bad", Revision: model.Revision{Commit: badCommit}, Sources: []fleet.SourceAt{{Commit: badCommit}}}
	})
	return w
}

func (w *world) change(f func(*fleet.App)) {
	app := w.store.apps["web"]
	f(&app)
	w.store.apps["web"] = app
}

// pin is what the store does on a rollback.
func (w *world) pin(to int64) {
	w.change(func(a *fleet.App) {
		d := w.store.history[to-1]
		a.Pin = &fleet.Pin{Pin: model.Pin{HistoryID: to, Revision: d.Revision, SetAside: a.Source.Revision}, Bundle: d.Bundle}
		w.store.desired.Bundle, w.store.desired.Revision = d.Bundle, d.Revision
	})
}

const rollbackRoute = "/api/v1/applications/web/rollback"

func TestRollback(t *testing.T) {
	for body, reason := range map[string]string{"": "", `{}`: "", `{"historyID":1,"reason":"it fails","prune":true,"expectedGeneration":2}`: "it fails"} {
		w := withHistory(t)
		var op model.OperationInfo
		w.call("POST", rollbackRoute, body).ok(202).into(&op)
		r := op.Spec.Rollback
		if op.Kind != model.OperationSync || op.InitiatedBy != "ana" || op.Spec.Reason != reason || op.Spec.Prune != (reason != "") || r.HistoryID != 1 || r.SetAside != badCommit || op.Generation != 3 {
			t.Errorf("%s: %+v", body, op)
		}
		d := w.store.deploys[0]
		if d.Bundle != "good" || d.Pin == nil || d.Pin.HistoryID != 1 {
			t.Errorf("%s: deploys %+v", body, d)
		}
		if calls := w.calls.take(); calls != "prepare 1 of web; notify id-eu [uid-web]; deliver [uid-web]; notify-operation id-eu; publish operation op-1; publish-apps [uid-web]" {
			t.Errorf("%s: told: %s", body, calls)
		}
	}
}

func TestRollbackThatIsRefused(t *testing.T) {
	w := withHistory(t)
	for body, want := range map[string]struct {
		status int
		code   string
	}{
		`{"historyID":9}`:             {404, "deployment_unknown"},
		`{"historyID":2}`:             {409, "already_deployed"},
		`{"historyId":1}`:             {400, "unknown_field"},
		`{"historyID":"1"}`:           {400, "type_mismatch"},
		`{"expectedGeneration":1}`:    {409, "generation_changed"},
		`{"expectedGeneration":-1}`:   {400, "out_of_range"},
		`{"confirmPrune":-1}`:         {400, "out_of_range"},
		`{"reason":"a\nb"}`:           {400, "text_invalid"},
		`{"syncOptions":["Foo=bar"]}`: {400, "sync_option_unknown"},
	} {
		w.call("POST", rollbackRoute, body).problem(want.status, want.code)
	}
	w.call("POST", rollbackRoute, "", "Idempotency-Key: a b").problem(400, "idempotency_key_invalid")
	w.call("POST", "/api/v1/applications/nix/rollback", "").problem(404, "application_not_found")
	w.prepareErr = fault.New(fault.Denied, "kind_not_permitted", "the project allows no Secrets")
	w.call("POST", rollbackRoute, "").problem(403, "kind_not_permitted")
	w.prepareErr = nil
	w.change(func(a *fleet.App) { a.Deleting = true })
	w.call("POST", rollbackRoute, "").problem(409, "application_deleting")
	w.change(func(a *fleet.App) { a.Deleting = false })
	w.store.rendered = false
	w.call("POST", rollbackRoute, "").problem(409, "nothing_rendered")
	w.store.rendered, w.store.history = true, nil
	w.call("POST", rollbackRoute, "").problem(409, "no_older_deployment")
	if len(w.store.ops) != 0 {
		t.Errorf("%d operations", len(w.store.ops))
	}
}

func TestRollbackIsDecidedAnewWhenTheApplicationChanged(t *testing.T) {
	for changes, status := range map[int]int{1: 202, 2: 202, 3: 409} {
		w := withHistory(t)
		w.store.changes = changes
		if a := w.call("POST", rollbackRoute, ""); a.status != status {
			t.Errorf("%d changes: %d %s", changes, a.status, a.body)
		}
	}
}

// Two who go back at once mean the same deployment.
func TestTwoRollbacksAtOnceGoBackOnce(t *testing.T) {
	ready := func() *world {
		w := withHistory(t)
		older := w.store.history[0]
		older.ID, older.Bundle = 0, "older"
		w.store.history = append([]fleet.Deployment{older}, w.store.history...)
		for i := range w.store.history {
			w.store.history[i].ID = int64(i + 1)
		}
		w.store.changes = 1
		return w
	}
	w := ready()
	w.store.meanwhile = func() { // under the lock of the store
		w.pin(2)
		w.change(func(a *fleet.App) { a.Pin.Operation, a.Pin.InitiatedBy = "op-9", "bob" })
		w.store.desired.Generation++
	}
	p := w.call("POST", rollbackRoute, "").problem(409, "generation_changed")
	if !strings.Contains(p.Detail, "bob") || len(w.store.deploys) != 0 {
		t.Errorf("%+v, deploys %+v", p, w.store.deploys)
	}
	w = ready()
	w.store.meanwhile = func() { w.store.desired.Generation++ } // something newer came
	w.call("POST", rollbackRoute, "").problem(409, "generation_changed")
	w = ready()
	w.store.meanwhile = func() { w.store.desired.Generation++ }
	w.call("POST", rollbackRoute, `{"historyID":1}`).ok(202) // it says which
	w = ready()
	w.store.changes = 0
	w.call("POST", rollbackRoute, "").ok(202)
	if d := w.store.deploys[0]; d.Expected != 2 || d.Pin.HistoryID != 2 {
		t.Errorf("deploys %+v", d)
	}
}

func TestADryRunOfARollback(t *testing.T) {
	w := withHistory(t)
	var got rollbackPlan
	w.call("POST", rollbackRoute, `{"dryRun":true}`).ok(http.StatusOK).into(&got)
	if !got.DryRun || got.Deployment.ID != 1 || got.Deployment.Message != "about good" || got.SetAside.Commit != badCommit || got.Resources[0].Name != "bad>good" {
		t.Errorf("%+v", got)
	}
	if len(w.store.ops) != 0 || len(w.store.deploys) != 0 {
		t.Error("something was stored")
	}
	// It is no repetition of what was done under the key.
	w.call("POST", rollbackRoute, "", "Idempotency-Key: k").ok(202)
	w.call("POST", rollbackRoute, `{"dryRun":true}`, "Idempotency-Key: k").ok(http.StatusOK).into(&got)
	if !got.DryRun {
		t.Errorf("%+v", got)
	}
}

func TestARepeatedRollbackIsTheSame(t *testing.T) {
	w := withHistory(t)
	var first, second model.OperationInfo
	w.call("POST", rollbackRoute, `{"reason":"x"}`, "Idempotency-Key: k").ok(202).into(&first)
	w.pin(1) // now there is no deployment before the present
	w.call("POST", rollbackRoute, `{"reason":"x"}`, "Idempotency-Key: k").ok(202).into(&second)
	if first.ID == "" || first.ID != second.ID || len(w.store.ops) != 1 {
		t.Errorf("%s and %s", first.ID, second.ID)
	}
	w.call("POST", rollbackRoute, `{"reason":"x","historyID":1}`, "Idempotency-Key: k").ok(202)
	w.call("POST", rollbackRoute, `{"reason":"y"}`, "Idempotency-Key: k").problem(409, "idempotency_key_reused")
	w.call("POST", rollbackRoute, `{"reason":"x","historyID":2}`, "Idempotency-Key: k").problem(409, "idempotency_key_reused")
	w.call("POST", "/api/v1/applications/web/sync", "", "Idempotency-Key: s").ok(202)
	w.call("POST", rollbackRoute, "", "Idempotency-Key: s").problem(409, "idempotency_key_reused")
}

func TestBackToWhatWasSetAside(t *testing.T) {
	w := withHistory(t)
	w.pin(1)
	w.call("POST", rollbackRoute, "").problem(409, "no_older_deployment") // never by itself
	var op model.OperationInfo
	w.call("POST", rollbackRoute, `{"historyID":2}`).ok(202).into(&op)
	if w.store.deploys[0].Pin != nil || op.Spec.Rollback.SetAside != "" {
		t.Errorf("deploys %+v", w.store.deploys[0])
	}
}

func TestSyncOfAPinnedApplication(t *testing.T) {
	sync := func(w *world, body string) answer { return w.call("POST", "/api/v1/applications/web/sync", body) }
	for body, released := range map[string]bool{
		"": false, `{"revision":"` + goodCommit + `"}`: false, `{"revision":"0123456"}`: false,
		`{"revision":"` + badCommit + `"}`: true, `{"revision":"fedcba9"}`: true, `{"revision":"fedcba9","dryRun":true}`: false,
	} {
		w := withHistory(t)
		w.pin(1)
		sync(w, body).ok(202)
		if got := len(w.store.deploys) == 1 && w.store.deploys[0].Pin == nil && w.store.deploys[0].Bundle == "bad"; got != released {
			t.Errorf("%s: deploys %+v", body, w.store.deploys)
		}
	}
	w := withHistory(t)
	w.pin(1)
	p := sync(w, `{"revision":"1111111"}`).problem(422, "revision_not_rendered")
	if !strings.Contains(p.Allowed, goodCommit) || !strings.Contains(p.Allowed, badCommit) {
		t.Errorf("allowed %q", p.Allowed)
	}
}

func TestUnpin(t *testing.T) {
	w := withHistory(t)
	route := "/api/v1/applications/web/pin"
	w.call("DELETE", route, "").problem(409, "not_pinned")
	w.pin(1)
	var pin model.Pin
	w.call("DELETE", route+"?reason=a%0Ab", "").problem(400, "text_invalid")
	w.call("DELETE", route+"?reason=it+was+the+cache", "").ok(200).into(&pin)
	if pin.HistoryID != 1 || w.store.unpinned != "ana: unpinned: it was the cache" {
		t.Errorf("%+v, %s", pin, w.store.unpinned)
	}
	if calls := w.calls.take(); calls != "deliver [uid-web]; publish-apps [uid-web]" {
		t.Errorf("told: %s", calls)
	}
	w.call("DELETE", route, "").problem(409, "not_pinned")
	w.call("DELETE", "/api/v1/applications/nix/pin", "").problem(404, "application_not_found")
}
