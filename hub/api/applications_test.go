package api

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/model"
)

func TestWriteApplication(t *testing.T) {
	w := newWorld(t)
	a := w.call("PUT", "/api/v1/applications/web", application("web")).ok(201)
	var got model.Application
	a.into(&got)
	if got.Metadata.UID != "uid-web" || got.Metadata.ResourceVersion != "1" || a.header.Get("ETag") != `"1"` || got.Metadata.CreationTimestamp == nil {
		t.Errorf("got %+v, ETag %s", got.Metadata, a.header.Get("ETag"))
	}
	if calls := w.calls.take(); calls != "deliver [uid-web]; publish-apps [uid-web]" {
		t.Errorf("told: %s", calls)
	}
	stored := w.store.apps["web"]
	if stored.Cluster != "id-eu" || stored.ClusterName != "eu" || stored.Project != "default" || stored.Application.Metadata.UID != "" {
		t.Errorf("stored %+v", stored)
	}

	// The same again changes nothing and wakes nobody.
	a = w.call("PUT", "/api/v1/applications/web", application("web")).ok(200)
	if w.store.upserts != 1 || w.calls.take() != "" || a.header.Get("ETag") != `"1"` {
		t.Error("an unchanged application was written")
	}
	a = w.call("POST", "/api/v1/applications", application("web", "path: deploy", "path: other")).ok(200)
	if a.header.Get("ETag") != `"2"` || w.calls.take() == "" {
		t.Errorf("ETag %s", a.header.Get("ETag"))
	}
	// What the server set in what was read is not part of what is written.
	var view model.AppView
	w.call("GET", "/api/v1/applications/web", "").ok(200).into(&view)
	if view.Application == nil || view.Name != "web" {
		t.Errorf("got %+v", view)
	}
	w.call("PUT", "/api/v1/applications/web", a.body).ok(200)
	if w.store.upserts != 2 {
		t.Error("writing back what was answered is a change")
	}
}

func TestServerAliasesResolve(t *testing.T) {
	w := newWorld(t)
	w.call("PUT", "/api/v1/applications/web", application("web", "name: eu", "server: https://eu:6443")).ok(201)
	if w.store.apps["web"].Cluster != "id-eu" {
		t.Error("the alias was not resolved")
	}
}

func TestRefusedApplications(t *testing.T) {
	for _, c := range []struct {
		name, path, body string
		status           int
		code             string
	}{
		{"unknown field", "web", application("web", "spec:", "spec:\n  autosync: true"), 400, "unknown_field"},
		{"name", "My_App", application("My_App"), 400, "name_invalid"},
		{"other name than the URL", "web", application("shop"), 400, "name_mismatch"},
		{"project that is not there", "web", application("web", "project: default", "project: shp"), 400, "project_unknown"},
		{"source", "web", application("web", "project: default", "project: shop", "shop/web", "other/web"), 403, "repo_not_permitted"},
		{"destination", "web", application("web", "project: default", "project: shop", "shop-web", "kube-system"), 403, "destination_not_permitted"},
		{"namespace of the object", "web", application("web", "{name: web}", "{name: web, namespace: elsewhere}"), 403, "source_namespace_not_permitted"},
		{"unknown cluster", "web", application("web", "name: eu", "name: mars"), 400, "destination_unknown"},
		{"no destination", "web", application("web", "name: eu, ", ""), 400, "destination_invalid"},
		{"file repository", "web", application("web", "https://github.com/shop/web", "file:///srv/git"), 400, "repo_scheme_forbidden"},
		{"no scheme", "web", application("web", "https://", ""), 400, "repo_url_invalid"},
		{"password in the URL", "web", application("web", "https://", "https://u:CANARY@"), 400, "repo_url_has_credentials"},
		{"path", "web", application("web", "path: deploy", "path: ../x"), 400, "path_escapes_repo"},
		{"hydrated source", "web", application("web", "source: {repoURL: https://github.com/shop/web, path: deploy}",
			"sourceHydrator: {drySource: {repoURL: https://h/x, path: a, targetRevision: m}, syncSource: {targetBranch: b, path: c}}"), 422, "source_type_unsupported"},
		{"two documents", "web", application("web") + "---\n" + application("web"), 400, "too_many_documents"},
		{"a project", "web", "apiVersion: argoproj.io/v1alpha1\nkind: AppProject\nmetadata: {name: web}\nspec: {}\n", 400, "kind_unexpected"},
		{"another kind", "web", "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\n", 400, "kind_unsupported"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.call("PUT", "/api/v1/applications/"+c.path, c.body).problem(c.status, c.code)
			if len(w.store.apps) != 0 || w.calls.take() != "" {
				t.Error("something was done")
			}
		})
	}
}

func TestFileRepositoriesWhereTheyAreAllowed(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.AllowFileRepositories = true })
	w.call("PUT", "/api/v1/applications/web", application("web", "https://github.com/shop/web", "file:///srv/git")).ok(201)
}

func TestDenialsExplain(t *testing.T) {
	w := newWorld(t)
	a := w.call("PUT", "/api/v1/applications/web", application("web", "project: default", "project: shop", "shop/web", "other/web", "shop-web", "kube-system"))
	p := a.problem(403, "repo_not_permitted")
	if len(p.Errors) != 2 || p.Errors[1].Code != "destination_not_permitted" {
		t.Errorf("errors: %+v", p.Errors)
	}
	var body struct {
		Explain struct {
			Checks   []struct{ Rule, Result, Message string }
			Refusals []struct{ Code, Message, NearestRule, Fix string }
		}
	}
	a.into(&body)
	var checks []string
	for _, c := range body.Explain.Checks {
		checks = append(checks, c.Rule+" "+c.Result)
	}
	if got := strings.Join(checks, ", "); got != "source failed, source namespace passed, signature passed, destination failed, kinds not evaluated, limits passed" {
		t.Errorf("checks: %s", got)
	}
	if r := body.Explain.Refusals; len(r) != 2 || r[0].NearestRule != "#1 https://github.com/shop/*" || r[1].Fix == "" {
		t.Errorf("refusals: %+v", r)
	}
}

func TestVersions(t *testing.T) {
	w := newWorld(t)
	put := func(body string, headers ...string) answer {
		return w.call("PUT", "/api/v1/applications/web", body, headers...)
	}
	put(application("web"), `If-Match: "1"`).problem(412, "version_conflict")
	put(application("web"), "If-None-Match: *").ok(201)
	put(application("web"), "If-None-Match: *").problem(409, "already_exists")
	put(application("web", "deploy", "a"), `If-Match: "1"`).ok(200)
	put(application("web", "deploy", "b"), `If-Match: "1"`).problem(412, "version_conflict")
	put(application("web", "deploy", "b"), `If-Match: "2"`).ok(200)
	put(application("web", "deploy", "c"), `If-Match: *`).ok(200)
	put(application("web", "deploy", "c"), `If-Match: nonsense`).problem(400, "etag_invalid")
	if w.store.apps["web"].Version != 4 {
		t.Errorf("version %d", w.store.apps["web"].Version)
	}
}

func TestApplicationsInTheirDeletionAreNotWritten(t *testing.T) {
	w := newWorld(t)
	w.call("PUT", "/api/v1/applications/web", application("web")).ok(201)
	app := w.store.apps["web"]
	app.Deleting = true
	w.store.apps["web"] = app
	w.call("PUT", "/api/v1/applications/web", application("web", "deploy", "b")).problem(409, "application_deleting")
}

func TestRevokedClustersTakeNoApplication(t *testing.T) {
	w := newWorld(t)
	w.store.clusters[0].Revoked = true
	w.call("PUT", "/api/v1/applications/web", application("web")).problem(409, "cluster_revoked")
}

func TestOperationInAnAppliedObject(t *testing.T) {
	w := newWorld(t)
	w.call("PUT", "/api/v1/applications/web", application("web")+"operation: {initiatedBy: {username: ci}, sync: {prune: true}}\n").ok(201)
	if len(w.store.ops) != 1 || !w.store.ops[0].Spec.Prune || w.store.ops[0].InitiatedBy != "ana (for ci)" {
		t.Errorf("got %+v", w.store.ops)
	}
	if w.store.apps["web"].Application.Operation != nil {
		t.Error("the operation was stored with the application")
	}
	w.call("PUT", "/api/v1/applications/web", application("web")+"operation: {sync: {manifests: [x]}}\n").problem(422, "operation_unsupported")
}

func TestListApplications(t *testing.T) {
	w := newWorld(t)
	for i := range 7 {
		cluster := []string{"eu", "us"}[i%2]
		w.call("PUT", fmt.Sprintf("/api/v1/applications/app-%d", i), application(fmt.Sprintf("app-%d", i),
			"name: eu", "name: "+cluster, "{name: app", fmt.Sprintf("{labels: {n: '%d', tier: %s}, name: app", i, cluster))).ok(201)
	}
	names := func(query string) string {
		t.Helper()
		var out []string
		cursor := ""
		for {
			var page struct {
				Items      []model.AppView
				NextCursor string
				Total      int
				AsOf       string
			}
			w.call("GET", "/api/v1/applications?"+query+"&cursor="+cursor, "").ok(200).into(&page)
			if page.AsOf != "2026-01-31T12:00:00Z" || page.Items == nil {
				t.Fatalf("page %+v", page)
			}
			for _, v := range page.Items {
				out = append(out, strings.TrimPrefix(v.Name, "app-"))
			}
			if cursor = page.NextCursor; cursor == "" {
				return fmt.Sprintf("%s/%d", strings.Join(out, ""), page.Total)
			}
		}
	}
	for _, c := range []struct{ query, want string }{
		{"", "0123456/7"},
		{"limit=2", "0123456/7"},
		{"limit=7", "0123456/7"},
		{"limit=1&cluster=us", "135/3"},
		{"cluster=id-eu", "0246/4"},
		{"project=default", "0123456/7"},
		{"project=shop", "/0"},
		{"name=app-3&name=app-5", "35/2"},
		{"selector=" + url.QueryEscape("tier=eu"), "0246/4"},
		{"selector=" + url.QueryEscape("tier!=eu,n in (1, 3)"), "13/2"},
		{"selector=" + url.QueryEscape("n notin (1,3),tier==us"), "5/1"},
		{"selector=" + url.QueryEscape("n,!missing"), "0123456/7"},
		{"selector=missing", "/0"},
		{"selector=" + url.QueryEscape("missing!=x"), "0123456/7"},
	} {
		if got := names(c.query); got != c.want {
			t.Errorf("%s: got %s, want %s", c.query, got, c.want)
		}
	}
	for query, code := range map[string]string{
		"limit=0": "limit_invalid", "limit=501": "limit_invalid", "limit=x": "limit_invalid", "cursor=%25": "cursor_invalid",
		"selector=a=b=c%20d": "expression_invalid", "selector=in%20(": "expression_invalid", "selector=%2C": "expression_invalid",
		"clustr=eu": "unknown_parameter", "selector=a%20in%20(b": "expression_invalid",
	} {
		w.call("GET", "/api/v1/applications?"+query, "").problem(400, code)
	}
	w.call("GET", "/api/v1/applications?cluster=mars", "").problem(404, "cluster_unknown")
	// A cursor of a name that is gone meanwhile goes on behind it.
	var page struct {
		Items      []model.AppView
		NextCursor string
	}
	w.call("GET", "/api/v1/applications?limit=3", "").ok(200).into(&page)
	delete(w.store.apps, "app-2")
	w.call("GET", "/api/v1/applications?limit=3&cursor="+page.NextCursor, "").ok(200).into(&page)
	if page.Items[0].Name != "app-3" {
		t.Errorf("went on with %s", page.Items[0].Name)
	}
}

func TestGetApplication(t *testing.T) {
	w := newWorld(t)
	w.call("GET", "/api/v1/applications/web", "").problem(404, "application_not_found")
	w.call("GET", "/api/v1/applications/web/tree", "").problem(404, "application_not_found")
	w.call("PUT", "/api/v1/applications/web", application("web")).ok(201)
	if a := w.call("GET", "/api/v1/applications/web", "").ok(200); !strings.HasPrefix(a.header.Get("ETag"), `"1.`) {
		t.Errorf("ETag %s", a.header.Get("ETag"))
	}
	if body := w.call("GET", "/api/v1/applications/web/tree", "").ok(200).body; body != `{"nodes":[],"truncated":false,"freshness":"never"}` {
		t.Errorf("got %s", body)
	}
	w.store.tree = model.ResourceTree{Nodes: []model.TreeNode{{ObjectKey: model.ObjectKey{Kind: "Pod", Name: "p"}}}, Truncated: true}
	var tree struct {
		Nodes      []model.TreeNode
		Truncated  bool
		ObservedAt string
	}
	w.call("GET", "/api/v1/applications/web/tree", "").ok(200).into(&tree)
	if tree.ObservedAt != "2026-01-31T12:00:00Z" || len(tree.Nodes) != 1 || tree.Nodes[0].Kind != "Pod" || !tree.Truncated {
		t.Errorf("got %+v", tree)
	}
}

func TestOrphanedObjectsStandApart(t *testing.T) {
	w := newWorld(t)
	w.call("PUT", "/api/v1/applications/web", application("web")).ok(201)
	left := model.ObjectKey{Kind: "ConfigMap", Namespace: "shop", Name: "left"}
	var got struct {
		Items         []model.ResourceStatus
		Nodes         []model.TreeNode
		Orphaned      []struct{ model.ObjectKey }
		OrphanedTotal int
		Total         int
	}
	w.call("GET", "/api/v1/applications/web/resources?orphaned=true", "").ok(200).into(&got)
	if len(got.Orphaned) != 0 {
		t.Errorf("nothing is reported yet: %+v", got)
	}
	w.store.tree = model.ResourceTree{Nodes: []model.TreeNode{}, Orphaned: []model.TreeNode{{ObjectKey: left, UID: "u"}}, OrphanedTotal: 300}
	for path, told := range map[string]bool{"/tree": true, "/resources": false, "/resources?orphaned=true": true} {
		got.Orphaned, got.OrphanedTotal = nil, 0
		w.call("GET", "/api/v1/applications/web"+path, "").ok(200).into(&got)
		if told != (len(got.Orphaned) == 1 && got.Orphaned[0].ObjectKey == left && got.OrphanedTotal == 300) || !told && got.Orphaned != nil {
			t.Errorf("%s: got %+v", path, got)
		}
		if len(got.Nodes) != 0 || got.Total != 0 {
			t.Errorf("%s: what is orphaned is among the application's: %+v", path, got)
		}
	}
	// and it is none of those that actions are taken on.
	w.call("POST", "/api/v1/applications/web/actions", `{"action":"restart","resource":{"kind":"ConfigMap","namespace":"shop","name":"left"}}`).problem(404, "object_not_of_application")
}

func TestRefresh(t *testing.T) {
	w := newWorld(t)
	w.call("PUT", "/api/v1/applications/web", application("web")).ok(201)
	w.calls.take()
	if body := w.call("POST", "/api/v1/applications/web/refresh", "").ok(202).body; body != `{"agentConnected":false}` {
		t.Errorf("got %s", body)
	}
	if got := w.calls.take(); got != "poke https://github.com/shop/web; refresh id-eu [uid-web]" {
		t.Errorf("told: %s", got)
	}
	w.call("POST", "/api/v1/applications/web/refresh?hard=true", "").ok(202)
	if got := w.calls.take(); !strings.Contains(got, "deliver [uid-web]") {
		t.Errorf("told: %s", got)
	}
	w.call("POST", "/api/v1/applications/nix/refresh", "").problem(404, "application_not_found")
}

func TestApply(t *testing.T) {
	w := newWorld(t)
	text := application("one", "project: default", "project: new") + "---\n" + `
apiVersion: hawser.dev/v1alpha1
kind: AppProject
metadata: {name: new}
spec:
  sourceRepos: ['*']
  destinations: [{name: '*', namespace: '*'}]
---
` + application("two", "name: eu", "name: mars") + "---\n" + application("three", "spec:", "spec:\n  x: 1") + "---\n" + application("one")
	var got struct {
		Items []struct {
			Kind, Name, Result string
			Error              *problem
		}
	}
	w.call("POST", "/api/v1/apply", text).ok(207).into(&got)
	var lines []string
	for _, i := range got.Items {
		line := i.Kind + " " + i.Name + " " + i.Result
		if i.Error != nil {
			line += fmt.Sprintf(" %d %s", i.Error.Status, i.Error.Code)
		}
		lines = append(lines, line)
	}
	want := `Application one created
AppProject new created
Application two failed 400 destination_unknown
Application three failed 400 unknown_field
Application one failed 400 duplicate_object`
	if got := strings.Join(lines, "\n"); got != want {
		t.Errorf("got\n%s", got)
	}
	if calls := w.calls.take(); calls != "project new; publish project new; deliver [uid-one]; publish-apps [uid-one]" {
		t.Errorf("told: %s", calls)
	}

	good := application("one", "project: default", "project: new") + "---\n" + application("four")
	w.call("POST", "/api/v1/apply", good).ok(200).into(&got)
	if got.Items[0].Result != "unchanged" || got.Items[1].Result != "created" {
		t.Errorf("got %+v", got.Items)
	}
	w.call("POST", "/api/v1/apply", strings.Replace(good, "path: deploy", "path: other", 1)).ok(200).into(&got)
	if got.Items[0].Result != "configured" || got.Items[1].Result != "unchanged" {
		t.Errorf("got %+v", got.Items)
	}
	w.call("POST", "/api/v1/apply", "").problem(400, "body_missing")
	w.call("POST", "/api/v1/apply", "a: [").problem(400, "yaml_invalid")
}

func TestApplyMany(t *testing.T) {
	w := newWorld(t)
	var text strings.Builder
	for i := range 500 {
		text.WriteString("---\n" + application(fmt.Sprintf("app-%03d", i)))
	}
	var got struct{ Items []applied }
	w.call("POST", "/api/v1/apply", text.String()).ok(200).into(&got)
	for i, item := range got.Items {
		if item.Name != fmt.Sprintf("app-%03d", i) || item.Result != resultCreated {
			t.Fatalf("item %d: %+v", i, item)
		}
	}
	if len(got.Items) != 500 || len(w.store.apps) != 500 {
		t.Errorf("%d items, %d stored", len(got.Items), len(w.store.apps))
	}
	if calls := w.calls.take(); strings.Count(calls, ";") != 1 {
		t.Errorf("told piecemeal: %.100s", calls)
	}
}

func TestApplyWithoutADatabase(t *testing.T) {
	w := newWorld(t)
	w.call("GET", "/api/v1/whoami", "").ok(200)
	w.store.down = true
	var got struct{ Items []applied }
	w.call("POST", "/api/v1/apply", application("one")+"---\n"+application("two")).ok(207).into(&got)
	for _, i := range got.Items {
		if i.Result != resultFailed || i.Error.Code != "db_unavailable" {
			t.Errorf("got %+v", i)
		}
	}
}

func TestSameApplicationIgnoresTheOrderOfKeys(t *testing.T) {
	a, b := model.Application{}, model.Application{}
	a.Spec.Source = &model.Source{Helm: &model.HelmSource{ValuesObject: []byte(`{"a":1,"b":{"c":2,"d":3}}`)}}
	b.Spec.Source = &model.Source{Helm: &model.HelmSource{ValuesObject: []byte(`{"b": {"d": 3, "c": 2}, "a": 1}`)}}
	if !sameApplication(a, b) {
		t.Error("the order of keys makes a difference")
	}
	b.Spec.Source.Helm.ValuesObject = []byte(`{"a":1,"b":{"c":2,"d":4}}`)
	if sameApplication(a, b) {
		t.Error("another value makes no difference")
	}
	if w := written(fleet.App{UID: "u", Version: 3, Application: a}); w.Metadata.CreationTimestamp != nil || w.Metadata.UID != "u" {
		t.Errorf("got %+v", w.Metadata)
	}
}
