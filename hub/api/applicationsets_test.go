package api

import (
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/model"
)

func applicationSet(name string, replace ...string) string {
	s := "apiVersion: argoproj.io/v1alpha1\nkind: ApplicationSet\nmetadata: {name: " + name + "}\nspec:\n  generators: [{list: {elements: [{name: a}]}}]\n" +
		"  template:\n    metadata: {name: '{{name}}-web'}\n    spec: {project: shop, source: {repoURL: https://git/r, path: a}, destination: {name: eu, namespace: shop-web}}\n"
	return strings.NewReplacer(replace...).Replace(s)
}

func TestApplicationSetsAreStoredAndNothingFollows(t *testing.T) {
	w := newWorld(t)
	a := w.call("PUT", "/api/v1/applicationsets/web", applicationSet("web")).ok(201)
	if a.header.Get("ETag") != `"1"` || !strings.Contains(a.body, model.SetNotExpanded) {
		t.Errorf("ETag %s: %s", a.header.Get("ETag"), a.body)
	}
	if calls := w.calls.take(); strings.Contains(calls, "deliver") || len(w.store.apps) != 0 {
		t.Errorf("told: %s, %d applications", calls, len(w.store.apps))
	}
	// What was answered can be written back, and is no change.
	a = w.call("PUT", "/api/v1/applicationsets/web", a.body).ok(200)
	if a.header.Get("ETag") != `"1"` || w.calls.take() != "" {
		t.Errorf("an unchanged set was written: %s", a.header.Get("ETag"))
	}
	w.call("POST", "/api/v1/applicationsets", applicationSet("web", "path: a", "path: b"), "If-Match: \"1\"").ok(200)
	w.call("PUT", "/api/v1/applicationsets/web", applicationSet("web"), "If-Match: \"1\"").problem(412, "version_conflict")
	w.call("PUT", "/api/v1/applicationsets/web", applicationSet("web"), "If-None-Match: *").problem(409, "already_exists")
	w.call("PUT", "/api/v1/applicationsets/web", applicationSet("other")).problem(400, "name_mismatch")
	w.call("PUT", "/api/v1/applicationsets/lost", applicationSet("lost", "project: shop", "project: lost")).problem(400, "project_unknown")
	w.call("PUT", "/api/v1/applicationsets/many", applicationSet("many", "project: shop", "project: '{{p}}'")).ok(201)
	var got list[model.ApplicationSet]
	w.call("GET", "/api/v1/applicationsets", "").ok(200).into(&got)
	if len(got.Items) != 2 || got.Items[0].Metadata.Name != "many" || len(got.Items[1].Status) == 0 {
		t.Errorf("got %+v", got.Items)
	}
	w.call("DELETE", "/api/v1/applicationsets/web", "", "If-Match: \"1\"").problem(412, "version_conflict")
	w.call("DELETE", "/api/v1/applicationsets/web", "").ok(204)
	w.call("GET", "/api/v1/applicationsets/web", "").problem(404, "applicationset_not_found")
	w.call("DELETE", "/api/v1/applicationsets/web", "").problem(404, "applicationset_not_found")
}

func TestApplyTakesTheThreeKindsInOneText(t *testing.T) {
	w := newWorld(t)
	project := "apiVersion: argoproj.io/v1alpha1\nkind: AppProject\nmetadata: {name: late}\nspec: {sourceRepos: ['*'], destinations: [{name: eu, namespace: '*'}]}\n"
	var got struct{ Items []applied }
	w.call("POST", "/api/v1/apply", strings.Join([]string{applicationSet("web", "project: shop", "project: late"), application("one"), project}, "---\n")).ok(200).into(&got)
	if len(got.Items) != 3 || got.Items[0].Kind != model.KindApplicationSet || got.Items[0].Result != resultCreated || got.Items[0].Message != model.SetNotExpanded ||
		got.Items[1].Message != "" || got.Items[2].Result != resultCreated {
		t.Errorf("got %+v", got.Items)
	}
	w.call("POST", "/api/v1/apply", applicationSet("web")+"---\n"+applicationSet("web")).ok(207).into(&got)
	if got.Items[1].Error == nil || got.Items[1].Error.Code != "duplicate_object" {
		t.Errorf("got %+v", got.Items)
	}
}

// A set whose project an expression decides is of no project: administrators
// alone see it and write it, whatever others may.
func TestSetsOfNoProjectAreForAdministrators(t *testing.T) {
	w := newWorld(t)
	templated := applicationSet("many", "project: shop", "project: '{{p}}'")
	w.call("PUT", "/api/v1/applicationsets/many", templated).ok(201)
	w.call("PUT", "/api/v1/applicationsets/web", applicationSet("web")).ok(201)
	editor := "Authorization: Bearer " + w.as(false, fleet.Grant{Project: "*", Role: fleet.RoleEditor})
	var got list[model.ApplicationSet]
	w.call("GET", "/api/v1/applicationsets", "", editor).ok(200).into(&got)
	if len(got.Items) != 1 || got.Items[0].Metadata.Name != "web" {
		t.Errorf("got %+v", got.Items)
	}
	w.call("GET", "/api/v1/applicationsets/many", "", editor).problem(404, "applicationset_not_found")
	w.call("DELETE", "/api/v1/applicationsets/many", "", editor).problem(404, "applicationset_not_found")
	w.call("PUT", "/api/v1/applicationsets/new", applicationSet("new", "project: shop", "project: '{{p}}'"), editor).problem(403, "permission_denied")
	w.call("PUT", "/api/v1/applicationsets/web", applicationSet("web", "project: shop", "project: '{{p}}'"), editor).problem(403, "permission_denied")
	var applied appliedAnswer
	w.call("POST", "/api/v1/apply", templated, editor).ok(207).into(&applied)
	if applied.Items[0].Error == nil || applied.Items[0].Error.Code != "name_taken" {
		t.Errorf("got %+v", applied.Items)
	}
}
