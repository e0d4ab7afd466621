package reconcile

import (
	"testing"

	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/shared/model"
)

func TestAbandonedHooks(t *testing.T) {
	job := model.ObjectKey{Group: "batch", Kind: "Job", Namespace: "shop", Name: "migrate"}
	data := model.ObjectKey{Kind: "PersistentVolumeClaim", Namespace: "shop", Name: "dump"}
	web := model.ObjectKey{Group: "apps", Kind: "Deployment", Namespace: "shop", Name: "smoke"}
	for name, c := range map[string]struct {
		key    model.ObjectKey
		run    string
		owner  string
		health model.Health
		policy string
		want   bool
	}{
		"runs, of the present run":                 {job, "op-2/PreSync", "shop", model.HealthProgressing, "", false},
		"runs, of another":                         {job, "op-1/PreSync", "shop", model.HealthProgressing, "", true},
		"runs, of one with the same begin":         {job, "op-22/PreSync", "shop", model.HealthProgressing, "", true},
		"runs, of another application":             {job, "op-1/PreSync", "other", model.HealthProgressing, "", false},
		"no hook that we made":                     {job, "", "shop", model.HealthProgressing, "", false},
		"moves again, and is no kind that ends":    {web, "op-1/PreSync", "shop", model.HealthProgressing, "", false},
		"has succeeded, to be kept":                {job, "op-1/PreSync", "shop", model.HealthHealthy, "", false},
		"has succeeded, to be kept until the next": {job, "op-1/PreSync", "shop", model.HealthHealthy, "BeforeHookCreation", false},
		"has succeeded, to go":                     {job, "op-1/PreSync", "shop", model.HealthHealthy, "HookFailed,HookSucceeded", true},
		"has no health, to go":                     {job, "op-1/PreSync", "shop", "", "HookSucceeded", true},
		"has failed, to go when it succeeds":       {job, "op-1/PreSync", "shop", model.HealthDegraded, "HookSucceeded", false},
		"has failed, to go":                        {job, "op-1/PreSync", "shop", model.HealthDegraded, "HookFailed", true},
		"has succeeded, and holds data":            {data, "op-1/PreSync", "shop", model.HealthHealthy, "HookSucceeded", false},
		"is suspended":                             {job, "op-1/PreSync", "shop", model.HealthSuspended, "HookSucceeded", false},
	} {
		body := `{"apiVersion":"v1","kind":"X","metadata":{"name":"x","annotations":{"argocd.argoproj.io/hook":"PreSync","argocd.argoproj.io/hook-delete-policy":"` + c.policy + `"}}}`
		rec := live.Record{Key: c.key, Run: c.run, TrackingID: model.TrackingID(c.owner, c.key), Health: model.HealthFacet{Status: c.health}, Body: []byte(body)}
		if got := abandoned(rec, "op-2", "shop"); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestRunsOverAnotherBundleAreOtherRuns(t *testing.T) {
	a, b := runOf("op", "sha256:0123456789abcdef"), runOf("op", "sha256:fedcba9876543210")
	if a == b || a != "op.01234567" || runOf("op", "short") != "op.short" {
		t.Errorf("%s, %s", a, b)
	}
}
