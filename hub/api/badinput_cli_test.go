package api

import (
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
)

// The rows of the catalogue of bad inputs that the command line carries in
// another way than with hawser apply and an administrator's token. It
// sends no other content type and asks for no other version of the API, as rows 13
// and 14 do.
func TestBadInputOverTheCommandLine(t *testing.T) {
	for _, c := range []struct {
		row    string
		args   string
		in     string
		grants []fleet.Grant // nil: an administrator
		exit   int
		code   string
		says   string
	}{
		{row: "4", args: "app create web --repo https://github.com/shop/web --path deploy --dest-name eu --dest-namespace shop-web", exit: 2, code: "already_exists", says: `app "web" already exists in project "default"`},
		{row: "5, a project that there is", args: "apply -f -", in: application("new", "project: default", "project: shop"), grants: []fleet.Grant{{Project: "bank", Role: "editor"}}, exit: 2, code: "project_unknown"},
		{row: "5, one that there is not", args: "apply -f -", in: application("new", "project: default", "project: none"), grants: []fleet.Grant{{Project: "bank", Role: "editor"}}, exit: 2, code: "project_unknown"},
		{row: "5, one that is only seen", args: "apply -f -", in: application("new", "project: default", "project: shop"), grants: []fleet.Grant{{Project: "shop", Role: "viewer"}}, exit: 5, code: "permission_denied"},
		{row: "12, empty", args: "apply -f -", exit: 2},
		{row: "12, null", args: "apply -f -", in: "null", exit: 2},
		{row: "43", args: "project simulate shop --source https://github.com/shop/web --dest eu --namespace shop-web --kind rbac.authorization.k8s.io/ClusterRole", exit: 1, code: "kind_not_permitted", says: "ClusterRole"},
	} {
		t.Run(c.row, func(t *testing.T) {
			w := newWorld(t)
			w.call("PUT", "/api/v1/applications/web", application("web")).ok(201)
			token := w.token
			if c.grants != nil {
				token = w.as(false, c.grants...)
			}
			before := w.store.fingerprint()
			out, errs, code := hawser(t, w, token, c.in, strings.Fields(c.args)...)
			all := out + errs
			if code != c.exit || !strings.Contains(all, c.says) {
				t.Errorf("status %d, want %d and %q: %s", code, c.exit, c.says, all)
			}
			if c.code != "" && !strings.Contains(all, fault.ID(c.code)) {
				t.Errorf("no number %s of %s: %s", fault.ID(c.code), c.code, all)
			}
			if strings.TrimSpace(all) == "" {
				t.Error("nothing was said")
			}
			sound(t, all)
			if w.store.fingerprint() != before {
				t.Error("something was stored")
			}
		})
	}
}
