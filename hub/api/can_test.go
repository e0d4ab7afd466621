package api

import (
	"encoding/json"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/audit"
)

const canPolicy = `p, role:dev, applications, get, shop/*, allow
p, role:dev, applications, sync, shop/*, allow
p, role:dev, logs, get, shop/*, allow
g, devs, role:dev
p, ops, clusters, *, eu, allow
p, ops, projects, *, shop, allow
p, ops, repositories, get, shop/*, allow
p, careful, applications, *, */*, allow
p, careful, applications, delete, shop/*, deny
p, exec, applications, get, shop/web, allow
p, exec, exec, create, shop/web, allow
g, boss, role:admin
g, reader, role:readonly
p, proj:shop:ci, applications, sync, shop/*, allow
p, proj:shop:ci, applications, get, shop/*, allow
p, proj:shop:ci, projects, *, shop, allow
`

// Whoever asks gets the answer that the hub gives to the request itself: every
// route about one thing, for each kind of caller.
func TestCanIIsTheHubsOwnDecision(t *testing.T) {
	objects := map[Resource]string{ResourceApplications: "shop/web", ResourceSets: "shop/web", ResourceOperations: "shop/web", ResourceClusters: "eu", ResourceProjects: "shop",
		ResourceRepositories: "r1"}
	names := map[string]string{"applications": "web", "applicationsets": "web", "clusters": "eu", "projects": "shop", "operations": "op-1", "repositories": "r1", "jobs": "j1",
		"repository-templates": "t1"}
	callers := map[string]func(w *world) string{
		"administrator": func(w *world) string { return "Authorization: Bearer " + w.as(true) },
		"editor": func(w *world) string {
			return "Authorization: Bearer " + w.as(false, fleet.Grant{Project: "shop", Role: "editor"})
		},
		"viewer": func(w *world) string {
			return "Authorization: Bearer " + w.as(false, fleet.Grant{Project: "sh*", Role: "viewer"})
		},
		"editor elsewhere": func(w *world) string {
			return "Authorization: Bearer " + w.as(false, fleet.Grant{Project: "bank", Role: "editor"})
		},
		"token of a role": func(w *world) string {
			token, _, err := w.auth.IssueForRole(w.t.Context(), fleet.NewRoleToken{Project: "shop", Role: "ci"})
			if err != nil {
				w.t.Fatal(err)
			}
			return "Authorization: Bearer " + token
		},
		"group":     func(w *world) string { return w.session("sub-1", "devs") },
		"nobody":    func(w *world) string { return w.session("sub-2") },
		"by boss":   func(w *world) string { return w.session("boss") },
		"by reader": func(w *world) string { return w.session("x", "reader") },
		"by ops":    func(w *world) string { return w.session("ops") },
		"careful":   func(w *world) string { return w.session("careful") },
		"exec":      func(w *world) string { return w.session("exec") },
	}
	asked := map[bool]int{}
	for who, login := range callers {
		t.Run(who, func(t *testing.T) {
			for _, r := range Routes() {
				// Routes of all things, and writes whose thing is in the body, decide thing by
				// thing; what commands in containers need besides is not a right, and jobs are seen
				// by those who submitted them.
				if r.Public || strings.HasPrefix(r.Path, "/jobs/") || r.Resource == "" || r.Verb == VerbExec || r.Verb == VerbAction || objects[r.Resource] != "" && !strings.Contains(r.Path, ":") {
					continue
				}
				w, _ := newPolicyWorld(t, canPolicy)
				header := login(w)
				body := map[string]any{"verb": r.Verb, "resource": r.Resource, "object": objects[r.Resource]}
				var can canAnswer
				w.call("POST", "/api/v1/can-i", asJSON(body), header).ok(200).into(&can)
				name := names[strings.Split(r.Path, "/")[1]]
				path := "/api/v1" + strings.NewReplacer(":name", name, ":role", "ci", ":id", cmpOr(name, "x")).Replace(r.Path)
				a := w.short(r.Method, path, bodies[r.Method+" "+r.Path], header)
				refused := a.status == http.StatusForbidden && strings.Contains(a.body, `"permission_denied"`)
				if a.status == http.StatusNotFound { // hidden, unless administrators get the same
					refused = w.short(r.Method, path, bodies[r.Method+" "+r.Path], "Authorization: Bearer "+w.as(true)).status != http.StatusNotFound
					if !refused && !can.Allowed {
						continue
					}
				}
				asked[can.Allowed]++
				if can.Allowed == refused || can.Rule == "" || can.Source == "" || can.Allowed == (can.Fix != "") {
					t.Errorf("%s %s: answered %d; can-i says %+v", r.Method, r.Path, a.status, can)
				}
			}
		})
	}
	if asked[true] < 100 || asked[false] < 100 {
		t.Errorf("asked %v", asked)
	}
}

func TestCanIAboutOthers(t *testing.T) {
	w, _ := newPolicyWorld(t, canPolicy)
	admin := "Authorization: Bearer " + w.as(true)
	w.call("POST", "/api/v1/accounts", `{"name":"ann","password":"correct horse battery","grants":[{"project":"shop","role":"viewer"}]}`, admin).ok(201)
	for _, c := range []struct {
		as, verb, resource, object string
		allowed                    bool
		source                     string
	}{
		{"ann", "get", "applications", "shop/web", true, "grants"},
		{"user:ann", "sync", "applications", "shop/web", false, "nothing"},
		{"group:devs", "sync", "applications", "shop/web", true, "policy"},
		{"group:devs", "sync", "applications", "bank/web", false, "nothing"},
		{"group:devs", "get", "logs", "shop/web", true, "policy"},
		{"role:dev", "sync", "applications", "shop/web", true, "policy"},
		{"role:dev", "create", "exec", "shop/web", false, "nothing"},
		{"exec", "create", "exec", "shop/web", true, "policy"},
		{"role:admin", "update", "settings", "", true, "policy"},
		{"role:readonly", "get", "clusters", "eu", true, "policy"},
		{"group:role:admin", "get", "settings", "", false, "nothing"},
		{"proj:shop:ci", "sync", "applications", "shop/web", true, "policy"},
		{"proj:shop:ci", "update", "projects", "shop", false, "nothing"},
		{"proj:shop:ci", "sync", "applications", "bank/web", false, "nothing"},
		{"boss", "delete", "accounts", "", true, "policy"},
		{"careful", "action/apps/Deployment/restart", "applications", "shop/web", true, "policy"},
		{"careful", "delete", "applications", "shop/web", false, "nothing"},
		{"careful", "delete", "applications", "bank/web", true, "policy"},
	} {
		var got canAnswer
		w.call("POST", "/api/v1/can-i", asJSON(map[string]string{"as": c.as, "verb": c.verb, "resource": c.resource, "object": c.object}), admin).ok(200).into(&got)
		if got.Allowed != c.allowed || got.Source != c.source || got.Subject == "" {
			t.Errorf("%+v: %+v", c, got)
		}
	}
	for _, c := range []struct{ as, verb, resource, object, code string }{
		{"proj:shop", "get", "applications", "shop/web", "value_unknown"},
		{"proj:shop:nix", "get", "applications", "shop/web", "role_unknown"},
		{"token:nix", "get", "applications", "shop/web", "api_token_unknown"},
		{"robot:x", "get", "applications", "shop/web", "value_unknown"},
		{"ann", "deploy", "applications", "shop/web", "value_unknown"},
		{"ann", "get", "pods", "x", "value_unknown"},
		{"ann", "get", "applications", "web", "value_unknown"},
		{"ann", "action/restart", "applications", "shop/web", "value_unknown"},
		{"user:", "get", "projects", "shop", "text_invalid"},
	} {
		if a := w.call("POST", "/api/v1/can-i", asJSON(map[string]string{"as": c.as, "verb": c.verb, "resource": c.resource, "object": c.object}), admin); !strings.Contains(a.body, `"`+c.code+`"`) {
			t.Errorf("%+v: %d %s", c, a.status, a.body)
		}
	}
	// Others are asked about by administrators alone, and one by the policy is one.
	w.call("POST", "/api/v1/can-i", `{"verb":"get","resource":"settings","as":"ann"}`, w.session("sub-1", "devs")).problem(403, "permission_denied")
	w.call("POST", "/api/v1/can-i", `{"verb":"get","resource":"settings","as":"ann"}`, w.session("boss")).ok(200)
}

// Administrators list what somebody else may do; it is what counts when that one asks,
// and has a record. Nobody else learns anything, and that has one too.
func TestRightsOfOthersAreListed(t *testing.T) {
	w, _ := newPolicyWorld(t, canPolicy)
	kept := &fakeAudit{}
	w.opts.Audit = kept
	w.handler = New(w.opts)
	admin := "Authorization: Bearer " + w.as(true)
	w.call("POST", "/api/v1/accounts", `{"name":"ann","password":"correct horse battery","grants":[{"project":"shop","role":"viewer"}]}`, admin).ok(201)
	kept.take(t)
	list := func(login string, body any) answer { return w.call("POST", "/api/v1/can-i/list", asJSON(body), login) }
	var ann rightsAnswer
	list(admin, rightsRequest{As: "ann"}).ok(200).into(&ann)
	if ann.Subject != "user:ann" || ann.Admin || len(ann.Grants) != 1 || ann.Grants[0].Role != "viewer" {
		t.Errorf("%+v", ann)
	}
	if got := kept.take(t); len(got) != 1 || got[0].Action != "listRights" || got[0].Name != "ann" || got[0].Outcome != audit.Done {
		t.Errorf("recorded: %+v", got)
	}
	// As whoami answers to the one who is asked about.
	for _, c := range []struct {
		ask   rightsRequest
		login string
	}{
		{rightsRequest{As: "user:sub-1", AsGroups: []string{"devs"}}, w.session("sub-1", "devs")},
		{rightsRequest{As: "boss"}, w.session("boss")}, {rightsRequest{As: "careful"}, w.session("careful")}, {rightsRequest{As: "nobody"}, w.session("nobody")},
	} {
		var told rightsAnswer
		var self caller
		list(admin, c.ask).ok(200).into(&told)
		w.call("GET", "/api/v1/whoami?rules=true", "", c.login).ok(200).into(&self)
		if !reflect.DeepEqual(told.Rules, self.Rules) || !reflect.DeepEqual(told.Roles, self.Roles) || told.PolicyAdmin != self.PolicyAdmin || told.RulesTotal != self.RulesTotal {
			t.Errorf("%+v: %+v\n%+v", c.ask, told, self)
		}
	}
	for _, as := range []string{"group:devs", "role:dev", "proj:shop:ci"} {
		var got rightsAnswer
		if list(admin, rightsRequest{As: as}).ok(200).into(&got); len(got.Rules) == 0 || got.Subject != as {
			t.Errorf("%s: %+v", as, got)
		}
	}
	kept.take(t)
	list(admin, rightsRequest{}).problem(400, "field_missing")
	list(admin, rightsRequest{As: "token:nix"}).problem(404, "api_token_unknown")
	kept.take(t)
	devs := w.session("sub-1", "devs")
	refused := func(as string) (out map[string]any) {
		a := list(devs, rightsRequest{As: as})
		a.problem(403, "permission_denied")
		a.into(&out)
		delete(out, "requestId")
		return out
	}
	if known, unknown := refused("ann"), refused("token:nix"); !reflect.DeepEqual(known, unknown) {
		t.Errorf("whoever may not ask learns who there is:\n%v\n%v", known, unknown)
	}
	if got := kept.take(t); len(got) != 2 || got[0].Outcome != audit.Denied || got[0].Name != "ann" {
		t.Errorf("recorded: %+v", got)
	}
	kept.broken = true
	list(admin, rightsRequest{As: "ann"}).problem(503, "audit_unavailable")
}

// What is hidden and what does not exist have one answer.
func TestA21_CanIDoesNotTellWhatThereIs(t *testing.T) {
	w, _ := newPolicyWorld(t, canPolicy)
	header := w.session("sub-2")
	for resource, pair := range map[string][2]string{"applications": {"shop/web", "shop/wob"}, "clusters": {"eu", "xx"}, "projects": {"shop", "shap"}, "repositories": {"r1", "r9"}} {
		ask := func(object string) string {
			a := w.call("POST", "/api/v1/can-i", asJSON(map[string]string{"verb": "get", "resource": resource, "object": object}), header).ok(200)
			return strings.ReplaceAll(a.body, object, "X")
		}
		if hidden, unknown := ask(pair[0]), ask(pair[1]); hidden != unknown {
			t.Errorf("%s:\n%s\n%s", resource, hidden, unknown)
		}
	}
}

func asJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}
