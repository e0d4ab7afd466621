package api

import (
	"testing"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/model"
)

// A cluster that is held is let in by somebody who may change clusters, by nobody
// else, and the answer shows it.
func TestE03_WhoIsHeldIsAllowedByWhoMay(t *testing.T) {
	w := newWorld(t)
	w.store.clusters[0].Held = "duplicate_identity"
	const allow = "/api/v1/clusters/eu/allow"
	admin := w.token
	w.token = w.as(false, fleet.Grant{Project: "*", Role: "editor"})
	w.call("POST", allow, "").problem(403, "permission_denied")
	w.token = ""
	w.call("POST", allow, "").problem(401, "token_missing")
	w.token = admin
	if w.store.clusters[0].Held == "" || w.calls.take() != "" {
		t.Fatal("somebody who may not let it in")
	}
	w.call("POST", "/api/v1/clusters/mars/allow", "").problem(404, "cluster_unknown")
	var c model.Cluster
	w.call("POST", allow, "").ok(200).into(&c)
	if c.Name != "eu" || c.Held != "" || w.store.clusters[0].Held != "" {
		t.Errorf("it is held: %+v", c)
	}
	if got := w.calls.take(); got != "publish cluster id-eu" {
		t.Errorf("told: %q", got)
	}
	w.call("POST", allow, "").ok(200) // again is no error
}
