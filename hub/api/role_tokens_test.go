package api

import (
	"strings"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/shared/model"
)

// roleOf gives project shop a role with policies, and a token of it.
func (w *world) roleOf(t *testing.T, role string, policies ...string) (token string, shown issuedRoleToken) {
	t.Helper()
	w.store.mu.Lock()
	p := w.store.projects["shop"]
	p.Spec.Roles = append(p.Spec.Roles, model.ProjectRole{Name: role, Policies: policies})
	w.store.projects["shop"] = p
	w.store.mu.Unlock()
	w.call("POST", "/api/v1/projects/shop/roles/"+role+"/tokens", `{"name":"build","ttl":"24h"}`).ok(201).into(&shown)
	return shown.Token, shown
}

func TestTokensOfRolesAreIssuedListedAndRevoked(t *testing.T) {
	w := newWorld(t)
	path := "/api/v1/projects/shop/roles/ci/tokens"
	w.call("POST", path, "").problem(404, "role_unknown")
	w.call("POST", "/api/v1/projects/nix/roles/ci/tokens", "").problem(404, "project_unknown")
	w.call("GET", path, "").problem(404, "role_unknown")
	token, shown := w.roleOf(t, "ci")
	if !strings.HasPrefix(token, "hwr_") || shown.Subject != "proj:shop:ci" || shown.CreatedBy != "ana" || !shown.ExpiresAt.Equal(start.Add(24*time.Hour)) {
		t.Errorf("%+v", shown)
	}
	w.call("POST", path, `{"name":"build"}`).problem(409, "role_token_exists")
	w.call("POST", path, `{"ttl":"9000h"}`).problem(400, "lifetime_invalid")
	w.call("POST", path, `{"ttl":"soon"}`).problem(400, "expression_invalid")
	w.call("POST", path, `{"name":"a\u202eb"}`).problem(400, "text_invalid")
	w.call("POST", path, `{"role":"admin"}`).problem(400, "unknown_field")
	w.call("POST", path, "").ok(201)
	all := w.call("GET", path, "").ok(200)
	if strings.Contains(all.body, token[4:]) || strings.Contains(strings.ToLower(all.body), "hash") || strings.Count(all.body, `"subject":"proj:shop:ci"`) != 2 {
		t.Errorf("%s", all.body)
	}
	if strings.Contains(w.log.String(), token[4:]) {
		t.Error("the token is in the log")
	}
	// It is no API token of the hub, and listed with its role alone.
	if tokens := w.call("GET", "/api/v1/tokens", "").ok(200); strings.Contains(tokens.body, shown.ID) {
		t.Errorf("%s", tokens.body)
	}
	var who caller
	header := "Authorization: Bearer " + token
	w.call("GET", "/api/v1/whoami", "", header).ok(200).into(&who)
	if who.Name != "proj:shop:ci" || who.Project != "shop" || who.Role != "ci" || who.Admin {
		t.Errorf("%+v", who)
	}
	w.call("DELETE", path+"/nix", "").problem(404, "role_token_unknown")
	w.call("DELETE", "/api/v1/projects/bank/roles/ci/tokens/"+shown.ID, "").problem(404, "role_token_unknown")
	w.call("DELETE", path+"/"+shown.ID, "").ok(204)
	w.call("GET", "/api/v1/whoami", "", header).problem(401, "token_invalid")
}

func TestA03_TokensOfARoleThatIsRemovedAndTheirStreamsEnd(t *testing.T) {
	for what, end := range map[string]func(w *world, id string){
		"revoked": func(w *world, id string) { w.call("DELETE", "/api/v1/projects/shop/roles/ci/tokens/"+id, "").ok(204) },
		"role removed": func(w *world, _ string) {
			w.call("PUT", "/api/v1/projects/shop", `{"apiVersion":"argoproj.io/v1alpha1","kind":"AppProject","metadata":{"name":"shop"},"spec":{}}`).ok(200)
		},
		"project deleted": func(w *world, _ string) { w.call("DELETE", "/api/v1/projects/shop", "").ok(204) },
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, realClock(50*time.Millisecond))
			token, shown := w.roleOf(t, "ci")
			admin := w.token
			w.token = token
			s := w.serve(t, true)
			l := w.listen(t, s, "")
			if first := l.next(); !strings.Contains(first, "hello") {
				t.Fatalf("first came %q", first)
			}
			w.token = admin
			end(w, shown.ID)
			select {
			case <-l.ended:
			case <-time.After(5 * time.Second):
				t.Error("the stream is open 5 s later")
			}
			w.call("GET", "/api/v1/whoami", "", "Authorization: Bearer "+token).problem(401, "token_invalid")
		})
	}
}

// What a token of a role has in common with nobody: rights of its own, by grants or
// as an administrator.
func TestS01_TokensOfRolesHaveNoGrants(t *testing.T) {
	w := newWorld(t)
	token, _ := w.roleOf(t, "ci")
	header := "Authorization: Bearer " + token
	for _, r := range []struct{ method, path, body string }{
		{"POST", "/projects/shop/roles/ci/tokens", ""},
		{"DELETE", "/projects/shop/roles/ci/tokens/x", ""},
		{"PUT", "/projects/shop", `{"apiVersion":"argoproj.io/v1alpha1","kind":"AppProject","metadata":{"name":"shop"},"spec":{}}`},
		{"DELETE", "/projects/shop", ""},
		{"POST", "/projects", `{"apiVersion":"argoproj.io/v1alpha1","kind":"AppProject","metadata":{"name":"shop"},"spec":{}}`},
		{"POST", "/tokens", `{"name":"x","admin":true}`},
		{"GET", "/tokens", ""},
		{"GET", "/accounts", ""},
	} {
		if a := w.call(r.method, "/api/v1"+r.path, r.body, header); a.status != 403 && a.status != 404 {
			t.Errorf("%s %s: %d %s", r.method, r.path, a.status, a.body)
		}
	}
}
