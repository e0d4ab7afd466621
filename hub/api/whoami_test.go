package api

import (
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/hub/permission"
)

const whoamiPolicy = `p, role:dev, applications, get, shop/*, allow
p, role:dev, applications, delete, shop/*, deny
g, devs, role:dev
g, role:dev, role:lower
p, role:lower, logs, get, shop/*, allow
g, boss, role:admin
`

func TestWhoamiNamesTheSubjectAndWhatGivesIt(t *testing.T) {
	w, _ := newPolicyWorld(t, whoamiPolicy)
	who := func(header string) (c caller) {
		w.call("GET", "/api/v1/whoami?rules=true", "", header).ok(200).into(&c)
		return c
	}
	lines := func(c caller) string {
		var out []string
		for _, h := range c.Roles {
			out = append(out, h.Role+" as "+h.As+" by "+h.By)
		}
		return strings.Join(out, "\n")
	}
	c := who(w.session("sub-1", "others", "devs"))
	if want := "role:dev as devs by policy.csv line 3: g, devs, role:dev\nrole:lower as devs by policy.csv line 4: g, role:dev, role:lower"; c.Subject != "sub-1" || c.Name != "A name" ||
		strings.Join(c.Groups, " ") != "others devs" || c.PolicyAdmin || lines(c) != want || c.RulesTotal != 3 || len(c.Rules) != 3 {
		t.Errorf("%+v", c)
	}
	if r := c.Rules[1]; r != (permission.Line{As: "devs", Resource: "applications", Action: "delete", Object: "shop/*", Effect: "deny", Where: "policy.csv line 2"}) {
		t.Errorf("%+v", r)
	}
	if c := who(w.session("boss")); !c.PolicyAdmin || c.Admin || !strings.HasPrefix(lines(c), "role:admin as boss by policy.csv line 6: g, boss, role:admin\nrole:readonly as boss by built-in line ") {
		t.Errorf("%+v", c)
	}
	// The account is no role of the policy, and a token of grants is nobody to it.
	if c := who("Authorization: Bearer " + w.as(true)); !c.Admin || c.PolicyAdmin || c.Subject != "" || len(c.Roles)+len(c.Rules) != 0 {
		t.Errorf("%+v", c)
	}
	token, _, err := w.auth.IssueForRole(t.Context(), fleet.NewRoleToken{Project: "shop", Role: "ci"})
	if err != nil {
		t.Fatal(err)
	}
	if c := who("Authorization: Bearer " + token); c.Subject != "proj:shop:ci" || lines(c) != "proj:shop:ci as proj:shop:ci by the token is of this role" {
		t.Errorf("%+v", c)
	}
	if c := who(w.session("nobody", "role:admin", "proj:shop:ci")); lines(c) != "" || c.RulesTotal != 0 {
		t.Errorf("names of roles as groups: %+v", c)
	}
}

func TestCanIAboutSomebodyInGroups(t *testing.T) {
	w, _ := newPolicyWorld(t, whoamiPolicy)
	admin := "Authorization: Bearer " + w.as(true)
	w.call("POST", "/api/v1/accounts", `{"name":"ann","password":"correct horse battery"}`, admin).ok(201)
	ask := func(as string, groups ...string) answer {
		return w.call("POST", "/api/v1/can-i", asJSON(map[string]any{"verb": "get", "resource": "applications", "object": "shop/web", "as": as, "asGroups": groups}), admin)
	}
	for _, c := range []struct {
		as      string
		groups  []string
		allowed bool
		subject string
	}{
		{"user:sub-1", []string{"others", "devs"}, true, "user:sub-1 in others, devs"},
		{"user:sub-1", []string{"others"}, false, "user:sub-1 in others"},
		{"", []string{"devs"}, true, "group:devs"},
		{"", []string{"role:admin"}, false, "group:role:admin"},
	} {
		var got canAnswer
		ask(c.as, c.groups...).ok(200).into(&got)
		if got.Allowed != c.allowed || got.Subject != c.subject {
			t.Errorf("%s %v: %+v", c.as, c.groups, got)
		}
	}
	ask("ann", "devs").problem(400, "value_unknown")
	ask("role:dev", "devs").problem(400, "value_unknown")
	ask("user:x", make([]string, 201)...).problem(400, "value_unknown")
	w.call("POST", "/api/v1/can-i", `{"verb":"get","resource":"applications","object":"shop/web","asGroups":["devs"]}`, w.session("sub-1", "devs")).problem(403, "permission_denied")
}

func TestAPolicyIsTakenWithWarnings(t *testing.T) {
	w, _ := newPolicyWorld(t, "")
	admin := "Authorization: Bearer " + w.as(true)
	put := func(keys map[string]string) answer {
		return w.call("PUT", "/api/v1/settings/rbac", asJSON(map[string]any{"rbac": keys}), admin)
	}
	var got changedRBAC
	put(map[string]string{"policy.csv": `p, a, applications, get, shop/web, allow
p, a, applications, get, shop/*, allow
p, a, applications, get, */web, allow
p, a, applications, get, shop/gone, allow
p, a, applications, get, shopp/*, allow
p, a, application, get, shop/*, allow
g, b, role:gone
`}).ok(200).into(&got)
	var all []string
	for _, w := range got.Warnings {
		all = append(all, w.Field+": "+w.Message)
	}
	text := strings.Join(all, "\n")
	for _, want := range []string{"policy.csv line 4: nothing", "policy.csv line 5: nothing", `line 6: the resource "application" is unknown`, `line 7 gives the role "role:gone"`} {
		if !strings.Contains(text, want) {
			t.Errorf("no warning %q in\n%s", want, text)
		}
	}
	if len(got.Warnings) != 4 {
		t.Errorf("warnings:\n%s", text)
	}
	if p := put(map[string]string{"policy.csv": "g, a, role:admin\n p, a, applications, get, [, allow"}).problem(400, "rbac_invalid"); !strings.Contains(p.Detail+asJSON(p), "line 2, column 27") {
		t.Errorf("%+v", p)
	}
	if p := put(map[string]string{"scopes": "[groups, email]"}).problem(400, "rbac_invalid"); !strings.Contains(p.Detail+asJSON(p), "--groups-claim") {
		t.Errorf("%+v", p)
	}
	put(map[string]string{"scopes": "[groups]"}).ok(200)
}
