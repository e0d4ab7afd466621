package api

import (
	"strings"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/model"
)

// A refusal says which role there is, which it takes, and who gives it.
func TestARefusalSaysWhichRoleItTakes(t *testing.T) {
	w := newWorld(t)
	w.call("PUT", "/api/v1/applications/web", application("web")).ok(201)
	w.loginAs("bea", fleet.Grant{Project: "default", Role: "viewer"})
	for call, want := range map[[2]string][]string{
		{"POST", "/api/v1/applications/web/sync"}: {`grant 1 is viewer in \"default\"`, "takes operator", "administrator of this hub", "--grant operator:default"},
		{"DELETE", "/api/v1/projects/default"}:    {"is for administrators", `you have viewer in \"default\"`, "token create NAME --admin"},
	} {
		a := w.call(call[0], call[1], "")
		for _, text := range want {
			if a.status != 403 || !strings.Contains(a.body, text) {
				t.Errorf("%s: no %q in %d %s", call, text, a.status, a.body)
			}
		}
	}
}

func TestARollbackHeedsSyncWindows(t *testing.T) {
	w := newWorld(t)
	w.login()
	w.call("PUT", "/api/v1/applications/web", application("web")).ok(201)
	p := w.store.projects["default"]
	p.Spec.SyncWindows = []model.SyncWindow{{Kind: "deny", Schedule: "* * * * *", Duration: "1h", Applications: []string{"*"}}}
	w.store.projects["default"] = p
	w.opts.Now = time.Now
	w.call("POST", "/api/v1/applications/web/rollback", "{}").problem(409, "sync_window_closed")
	if len(w.store.ops) != 0 {
		t.Error("a rollback was stored in a closed window")
	}
}
