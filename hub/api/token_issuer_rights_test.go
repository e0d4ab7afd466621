package api

import (
	"testing"
	"time"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/hub/permission"
)

// Whom the policy makes an administrator issues tokens that are worth what the policy
// makes of him now: not more for a day, and not for longer.
func TestA03_TokensOfAnAdministratorByPolicyEndWithThePolicy(t *testing.T) {
	const policy = "g, ann-1, role:admin\ng, ops, role:admin\ng, cyd, role:admin\np, cyd, applications, delete, */*, deny\n"
	w, _ := newPolicyWorld(t, policy)
	w.call("POST", "/api/v1/accounts", `{"name":"cyd","password":"`+goodPassword+`"}`, "Authorization: Bearer "+w.as(true)).ok(201)
	w.call("POST", "/api/v1/accounts", `{"name":"root","password":"`+goodPassword+`","admin":true}`, "Authorization: Bearer "+w.as(true)).ok(201)
	login := func(name string) string {
		var in loginAnswer
		w.call("POST", "/api/v1/login", `{"username":"`+name+`","password":"`+goodPassword+`"}`, "Authorization:").ok(200).into(&in)
		return "Authorization: Bearer " + in.Token
	}
	issue := func(by, body string) string {
		t.Helper()
		var out issuedToken
		w.call("POST", "/api/v1/tokens", body, by).ok(201).into(&out)
		return "Authorization: Bearer " + out.Token
	}
	const admin, grants = `{"name":"x","admin":true}`, `{"name":"x","grants":[{"project":"shop","role":"editor"}]}`
	ann, ops, cyd, root := w.session("ann-1"), w.session("bob-1", "ops"), login("cyd"), login("root")
	tokens := map[string]string{
		"ann": issue(ann, admin), "ann, grants": issue(ann, grants), "a group": issue(ops, admin), "cyd": issue(cyd, admin), "root": issue(root, admin),
	}
	tokens["ann, by a token"] = issue(tokens["ann"], admin)
	tokens["root, by a token"] = issue(tokens["root"], grants)
	for who, token := range tokens {
		w.call("GET", "/api/v1/applications/web", "", token).ok(200)
		if who == "cyd" { // what lines deny the issuer, they deny his tokens
			w.call("DELETE", "/api/v1/applications/web?cascade=false", "", token).problem(403, "permission_denied")
		}
	}
	w.putPolicy(map[string]string{"policy.csv": "p, nobody, applications, get, */*, allow\n"})
	for who, token := range tokens {
		a := w.call("GET", "/api/v1/applications/web", "", token)
		if who == "root" || who == "root, by a token" {
			a.ok(200)
			continue
		}
		if a.status != 404 {
			t.Errorf("the token of %s still reads: %d %s", who, a.status, a.body)
		}
		w.call("GET", "/api/v1/accounts", "", token).problem(403, "permission_denied")
		w.call("POST", "/api/v1/tokens", admin, token).problem(403, "permission_denied")
		var me caller
		w.call("GET", "/api/v1/whoami", "", token).ok(200).into(&me)
		if me.Admin {
			t.Errorf("the token of %s calls itself an administrator's", who)
		}
	}

	// Groups are those that the provider said last.
	one := fleet.APIToken{ID: "t", Admin: true, Issuer: &fleet.Issuer{Provider: "corp", Subject: "bob-1", Name: "bob", Groups: []string{"ops"}}, ExpiresAt: time.Now().Add(time.Hour)}
	a := &api{}
	a.sets.policies = &policies{}
	rules, err := permission.CompileRules(map[string]string{permission.KeyCSV: "g, ops, role:admin\n"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	a.sets.policies.rules.Store(rules)
	if !a.sets.of(one).Admin() {
		t.Error("the token of somebody of the group is none of an administrator")
	}
	one.Issuer = &fleet.Issuer{Provider: "corp", Subject: "bob-1", Name: "bob", Groups: []string{"dev"}}
	if a.sets.of(one).Admin() {
		t.Error("who has left the group has a token of an administrator still")
	}
}
