package api

import (
	"context"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/shared/model"
)

// A project was widened a moment ago: what it refused before is not what decides.
func TestASyncRightAfterAProjectWasWidened(t *testing.T) {
	w := withApp(t)
	const last = "0123456789abcdef0123456789abcdef01234567"
	refusal := &model.Condition{Type: "InvalidSpecError", Code: "kind_not_permitted", Message: "no Role", Revision: "c2"}
	source := func(refused *model.Condition) {
		app := w.store.apps["web"]
		app.Source.Bundle, app.Source.Revision.Commit, app.Source.Error = "sha256:last-good", last, refused
		w.store.apps["web"] = app
	}
	source(refusal)
	w.settle = func(ctx context.Context) bool {
		if _, bounded := ctx.Deadline(); !bounded {
			t.Error("it would wait for ever")
		}
		source(nil)
		return true
	}
	w.call("POST", "/api/v1/applications/web/sync", "").ok(202)

	// What comes of it may be refused, too.
	source(nil)
	w.settle = func(context.Context) bool { source(refusal); return true }
	w.call("POST", "/api/v1/applications/web/sync", "").problem(422, "newest_not_rendered")

	for _, before := range []*model.Condition{nil, refusal} {
		source(before)
		ops := len(w.store.ops)
		w.settle = func(context.Context) bool { return false }
		p := w.call("POST", "/api/v1/applications/web/sync", "").problem(503, "newest_not_rendered_yet")
		if len(w.store.ops) != ops || !strings.HasPrefix(p.Fix, "try again") || !strings.HasSuffix(p.Fix, "hawser app sync web --revision "+last) {
			t.Errorf("%d operations, fix %q", len(w.store.ops)-ops, p.Fix)
		}
	}
	source(nil)
	w.settle = func(context.Context) bool { t.Error("waited"); return false }
	w.call("POST", "/api/v1/applications/web/sync", `{"revision":"`+last+`"}`).ok(202)
	w.call("POST", "/api/v1/applications/web/sync", `{"dryRun":true}`).ok(202)
	app := w.store.apps["web"]
	app.Source.Bundle = "" // its agent waits for the first
	w.store.apps["web"] = app
	w.call("POST", "/api/v1/applications/web/sync", "").ok(202)
}
