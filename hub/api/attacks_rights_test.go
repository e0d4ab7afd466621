package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/hub/fleet"
)

// things that exist in the world of rights, by the first part of a route, and a
// name of the same length that does not. All are of the project shop.
var things = map[string][2]string{
	"applications": {"web", "wob"}, "applicationsets": {"web", "wob"}, "clusters": {"eu", "xx"}, "projects": {"shop", "shap"},
	"operations": {"op-1", "op-9"}, "repositories": {"r1", "r9"}, "jobs": {"j1", "j9"}, "repository-templates": {"t1", "t9"},
}

// bodiesNamed are bodies of routes about one thing, with its name.
func bodyNamed(key, name string) string {
	switch key {
	case "PUT /applications/:name":
		return application(name, "project: default", "project: shop")
	case "PUT /applicationsets/:name":
		return applicationSet(name)
	case "PUT /projects/:name":
		return `{"apiVersion":"argoproj.io/v1alpha1","kind":"AppProject","metadata":{"name":"` + name + `"},"spec":{}}`
	}
	return bodies[key]
}

// Every route about one thing, from the table of routes: a stranger gets the same
// bytes for what is another project's and for what does not exist.
func TestA01_TestA21_WhatIsHiddenIsAnsweredAsUnknownOnEveryRoute(t *testing.T) {
	asked := 0
	for _, r := range Routes() {
		if r.Public || !strings.Contains(r.Path, "/:") {
			continue
		}
		key := r.Method + " " + r.Path
		names, ok := things[strings.Split(r.Path, "/")[1]]
		if !ok {
			names = [2]string{"x1", "x9"} // none can be seen by anybody but administrators
		}
		// These two create what does not exist: there the name of somebody else's is
		// answered as unknown, and one that is free is refused for its project.
		creates := key == "PUT /applications/:name" || key == "PUT /applicationsets/:name"
		var got [2]string
		for i, name := range names {
			w := newRightsWorld(t)
			path := "/api/v1" + strings.NewReplacer(":name", name, ":id", name).Replace(r.Path)
			a := w.short(r.Method, path, bodyNamed(key, name), "Authorization: Bearer "+w.as(false, fleet.Grant{Project: "bank", Role: "editor"}))
			if a.status < 400 {
				t.Errorf("%s: a stranger is answered %d for %s: %s", key, a.status, name, a.body)
			}
			got[i] = fmt.Sprint(a.status, " ", strings.ReplaceAll(strings.ReplaceAll(a.body, `"`+names[1], `"`+names[0]), "/"+names[1], "/"+names[0]))
			if i == 1 {
				got[1] = strings.ReplaceAll(got[1], names[1], names[0])
			}
		}
		asked++
		switch {
		case creates:
			if strings.Contains(got[0], "shop-web") || strings.Contains(got[0], "github.com") {
				t.Errorf("%s: %s", key, got[0])
			}
		case got[0] != got[1]:
			t.Errorf("%s\nhidden:  %s\nunknown: %s", key, got[0], got[1])
		}
	}
	if asked < 30 {
		t.Errorf("only %d routes were asked", asked)
	}
}

// The path says what is written. A body about another is refused, also for who may
// write that other, and nothing changes.
func TestA25_TheThingOfThePathIsWritten(t *testing.T) {
	project := func(name string) string {
		return `{"apiVersion":"argoproj.io/v1alpha1","kind":"AppProject","metadata":{"name":"` + name + `"},"spec":{}}`
	}
	for _, c := range []struct {
		path, body string
		admin      bool
	}{
		{"/applications/web", application("mine", "project: default", "project: bank", "name: eu", "name: us"), false},
		{"/applications/web", application("mine", "project: default", "project: bank"), true},
		{"/applicationsets/web", applicationSet("mine", "project: shop", "project: bank"), false},
		{"/applicationsets/web", applicationSet("mine"), true},
		{"/projects/shop", project("bank"), false},
		{"/projects/shop", project("bank"), true},
	} {
		w := newRightsWorld(t)
		header := "Authorization: Bearer " + w.as(c.admin, fleet.Grant{Project: "bank", Role: "editor"})
		before := w.store.fingerprint()
		w.calls.take()
		a := w.call("PUT", "/api/v1"+c.path, c.body, header)
		want := []int{http.StatusNotFound} // a stranger does not even learn that it is there
		if c.admin {
			want = []int{http.StatusBadRequest}
		}
		if !slices.Contains(want, a.status) || w.store.fingerprint() != before {
			t.Errorf("PUT %s (administrator: %v): %d %s", c.path, c.admin, a.status, a.body)
		}
	}
	// The stored project counts as well as the one in the body.
	w := newRightsWorld(t)
	header := "Authorization: Bearer " + w.as(false, fleet.Grant{Project: "bank", Role: "editor"}, fleet.Grant{Project: "shop", Role: "viewer"})
	before := w.store.fingerprint()
	w.call("PUT", "/api/v1/applications/web", application("web", "project: default", "project: bank", "name: eu", "name: us"), header).problem(403, "permission_denied")
	if w.store.fingerprint() != before {
		t.Error("an application was taken out of its project")
	}
}

// No route takes manifests in place of what the source says.
func TestA31_NoRouteTakesManifests(t *testing.T) {
	w := newRightsWorld(t)
	header := "Authorization: Bearer " + w.as(true)
	before := w.store.fingerprint()
	manifests := `["{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\"}"]`
	for _, c := range []struct{ method, path, body string }{
		{"POST", "/applications/web/sync", `{"manifests":` + manifests + `}`},
		{"POST", "/applications/web/sync", `{"localManifests":` + manifests + `}`},
		{"POST", "/applications", strings.Replace(application("new", "project: default", "project: shop"), "spec:\n", "spec:\n  manifests: "+manifests+"\n", 1)},
		{"PUT", "/applications/web", strings.Replace(application("web", "project: default", "project: shop"), "spec:\n", "spec:\n  manifests: "+manifests+"\n", 1)},
		{"POST", "/apply", strings.Replace(application("new", "project: default", "project: shop"), "spec:\n", "spec:\n  manifests: "+manifests+"\n", 1)},
		{"POST", "/jobs", `{"kind":"sync","applications":["web"],"manifests":` + manifests + `}`},
	} {
		w.calls.take()
		a := w.call(c.method, "/api/v1"+c.path, c.body, header)
		if a.status != 400 && a.status != 207 || !strings.Contains(a.body, "anifests") || w.store.fingerprint() != before {
			t.Errorf("%s %s: %d %s", c.method, c.path, a.status, a.body)
		}
	}
	// An application that asks for an operation with some is written, and no
	// operation comes of it.
	operations := len(w.store.ops)
	body := strings.Replace(application("new", "project: default", "project: shop"), "spec:\n", "operation: {sync: {manifests: "+manifests+"}}\nspec:\n", 1)
	w.call("POST", "/api/v1/applications", body, header).problem(422, "operation_unsupported")
	if len(w.store.ops) != operations {
		t.Error("an operation with manifests was accepted")
	}
}

// What anybody may ask without a token: this list, and nothing else.
func TestA39_RoutesWithoutALoginAreThese(t *testing.T) {
	allowed := []string{"POST /login", "GET /login/providers", "POST /login/sso", "POST /login/device", "POST /login/device/poll"}
	for _, r := range Routes() {
		key := r.Method + " " + r.Path
		if r.Public != slices.Contains(allowed, key) {
			t.Errorf("%s: public is %v", key, r.Public)
		}
	}
	w := newRightsWorld(t)
	a := w.call("POST", "/api/v1/login", `{"code":"wrong"}`, "Authorization:")
	var fields map[string]json.RawMessage
	a.into(&fields)
	for name := range fields {
		if !slices.Contains([]string{"type", "title", "status", "detail", "instance", "code", "id", "kind", "fix", "requestId"}, name) {
			t.Errorf("whoever has no login is told %q: %s", name, a.body)
		}
	}
	for _, r := range Routes() {
		if r.Public {
			continue
		}
		path := "/api/v1" + strings.NewReplacer(":name", "web", ":id", "op-1").Replace(r.Path)
		a := w.short(r.Method, path, "", "Authorization:")
		if a.status != http.StatusUnauthorized || strings.Contains(a.body, "web") && !strings.Contains(a.body, path) {
			t.Errorf("%s %s: %d %s", r.Method, path, a.status, a.body)
		}
	}
}

// Fields that a caller has no business with are refused by every route that takes
// a body, and nothing changes.
func TestS02_UnknownFieldsAreRefused(t *testing.T) {
	asked := 0
	for _, r := range Routes() {
		if r.Body == nil {
			continue
		}
		w := newRightsWorld(t)
		names := things[strings.Split(r.Path, "/")[1]]
		path := "/api/v1" + strings.NewReplacer(":name", cmpOr(names[0], "x"), ":id", cmpOr(names[0], "x")).Replace(r.Path)
		header := "Authorization: Bearer " + w.as(true)
		before := w.store.fingerprint()
		w.calls.take()
		a := w.short(r.Method, path, `{"createdBy":"x","epoch":999,"isAdmin":true,"tenant":"admin"}`, header)
		asked++
		if a.status < 400 && a.status != http.StatusMultiStatus || w.store.fingerprint() != before {
			t.Errorf("%s %s: %d %s", r.Method, r.Path, a.status, a.body)
		}
	}
	if asked < 15 {
		t.Errorf("only %d routes were asked", asked)
	}
}

// An id that was guessed or learnt is no key.
func TestS12_AnIDIsNoKey(t *testing.T) {
	w := newRightsWorld(t)
	header := "Authorization: Bearer " + w.as(false, fleet.Grant{Project: "bank", Role: "editor"})
	for _, path := range []string{"/operations/%s", "/repositories/%s", "/jobs/%s"} {
		answers := map[string]bool{}
		for _, id := range []string{things[strings.Split(path, "/")[1]][0], "1", "0", "-1", "9223372036854775807", "0192f0c1-2345-7890-abcd-0123456789ab", "..", "%2e%2e"} {
			a := w.call("GET", "/api/v1"+fmt.Sprintf(path, id), "", header)
			if a.status != http.StatusNotFound {
				t.Errorf("GET %s of %s: %d %s", path, id, a.status, a.body)
			}
			if id != ".." && !strings.Contains(id, "%") { // these are no route's
				answers[strings.ReplaceAll(a.body, `\"`+id+`\"`, "ID")] = true
			}
		}
		if len(answers) != 1 {
			t.Errorf("GET %s: %d different answers: %v", path, len(answers), answers)
		}
	}
}

// The rules of a project hold for whoever writes an application, on every way in.
// At render TestProjectIsAskedAgainWhenItChanges of hub/delivery asks them again.
func TestA36_ProjectRulesHoldOnEveryWayIn(t *testing.T) {
	for _, c := range []struct{ change, to, code string }{
		{"https://github.com/shop/web", "https://github.com/other/web", "repo_not_permitted"},
		{"namespace: shop-web", "namespace: kube-system", "destination_not_permitted"},
		{"name: eu", "name: us", "destination_not_permitted"},
		{"project: default", "project: gone", "project_unknown"},
		{"project: default", "project: Shop", "name_invalid"},
	} {
		for _, way := range []string{"POST /applications", "PUT /applications/new", "PUT /applications/web", "POST /apply"} {
			for _, admin := range []bool{true, false} {
				w := newRightsWorld(t)
				header := "Authorization: Bearer " + w.as(admin, fleet.Grant{Project: "shop", Role: "editor"})
				method, path, _ := strings.Cut(way, " ")
				name := "new"
				if strings.HasSuffix(path, "/web") {
					name = "web"
				}
				body := strings.Replace(application(name), c.change, c.to, 1)
				body = strings.Replace(body, "project: default", "project: shop", 1)
				before := w.store.fingerprint()
				a := w.call(method, "/api/v1"+path, body, header)
				if a.status < 400 && a.status != http.StatusMultiStatus || !strings.Contains(a.body, c.code) || w.store.fingerprint() != before {
					t.Errorf("%s with %s (administrator: %v): %d %s", way, c.to, admin, a.status, a.body)
				}
			}
		}
	}
}
