package api

import (
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/shared/model"
)

func TestAClosedWindowRefusesASync(t *testing.T) {
	w := newWorld(t)
	w.call("PUT", "/api/v1/applications/web", application("web")).ok(201)
	window := model.SyncWindow{Kind: "deny", Schedule: "0 0 * * *", Duration: "24h", Applications: []string{"*"}}
	windows := func(list ...model.SyncWindow) {
		p := w.store.projects["default"]
		p.Spec.SyncWindows = list
		w.store.projects["default"] = p
	}
	w.call("POST", "/api/v1/applications/web/sync", "", "Idempotency-Key: before").ok(202)
	windows(window)
	a := w.call("POST", "/api/v1/applications/web/sync", "")
	a.problem(409, "sync_window_closed")
	if !strings.Contains(a.body, `"nearest":"#1 deny 0 0 * * * for 24h"`) || !strings.Contains(a.body, "HW-") {
		t.Errorf("%s", a.body)
	}
	w.call("POST", "/api/v1/applications/web/sync", "", "Idempotency-Key: before").ok(202)
	w.call("POST", "/api/v1/applications/web/sync", `{"dryRun":true}`, "Content-Type: application/json").ok(202)
	window.ManualSync = true
	windows(window)
	w.call("POST", "/api/v1/applications/web/sync", "").ok(202)
}
