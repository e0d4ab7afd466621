package api

import (
	"strings"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/manifest"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/policy"
)

// loginAs logs in with grants.
func (w *world) loginAs(name string, grants ...fleet.Grant) {
	w.t.Helper()
	token, _, err := w.auth.Issue(w.t.Context(), fleet.NewAPIToken{Name: name, Grants: grants})
	if err != nil {
		w.t.Fatal(err)
	}
	w.token = token
}

func results(d policy.Decision) string {
	var out []string
	for _, c := range d.Checks {
		out = append(out, c.Rule+" "+map[policy.Result]string{policy.Passed: "+", policy.Failed: "-", policy.Skipped: "?"}[c.Result])
	}
	return strings.Join(out, ", ")
}

func TestExplain(t *testing.T) {
	w := newWorld(t)
	w.store.clusters[0].Labels = map[string]string{"env": "prod"}
	shop := w.store.projects["shop"]
	shop.Spec.Destinations = append(shop.Spec.Destinations, model.ProjectDestination{Namespace: "prod-*", ClusterSelector: &model.LabelSelector{MatchLabels: map[string]string{"env": "prod"}}})
	shop.Spec.SyncWindows = []model.SyncWindow{{Kind: "deny", Schedule: "0 0 * * *", Duration: "24h", Namespaces: []string{"prod-*"}}}
	w.store.projects["shop"] = shop
	const ours = `"project":"shop","sources":["https://github.com/shop/web"]`
	for name, c := range map[string]struct {
		body    string
		allowed bool
		checks  string
		id      string
		text    string // that is in the explanation
	}{
		"allowed": {`{` + ours + `,"destination":{"name":"eu","namespace":"shop-web"},"kinds":[{"group":"apps","kind":"Deployment","name":"api"}]}`, true,
			"role +, source +, source namespace +, signature +, destination +, kinds +, limits +, window +", "", "✓ Allowed: deploy apps/Deployment api to cluster eu, namespace shop-web"},
		"by label": {`{` + ours + `,"destination":{"server":"https://eu:6443","namespace":"prod-web"}}`, true,
			"role +, source +, source namespace +, signature +, destination +, kinds ?, limits +, window ?", "", "matches rule #2 [env=prod]/prod-*"},
		"a sync while a window denies": {`{"verb":"sync",` + ours + `,"destination":{"name":"eu","namespace":"prod-web"}}`, false,
			"role +, source +, source namespace +, signature +, destination +, kinds ?, limits +, window -", "sync_window_closed", "nearest rule: #1 deny 0 0 * * * for 24h"},
		"source and destination": {`{"project":"shop","sources":["https://github.com/other/web"],"destination":{"name":"us","namespace":"shop-web"}}`, false,
			"role +, source -, source namespace +, signature +, destination -, kinds ?, limits +, window +", "repo_not_permitted", "differs: the cluster is us"},
		"another label": {`{` + ours + `,"destination":{"name":"us","namespace":"prod-web"}}`, false,
			"role +, source +, source namespace +, signature +, destination -, kinds ?, limits +, window ?", "destination_not_permitted", "differs: env is not set at us"},
		"cluster-scoped kind": {`{` + ours + `,"destination":{"name":"eu","namespace":"shop-web"},"kinds":[{"group":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"x"}]}`, false,
			"role +, source +, source namespace +, signature +, destination +, kinds -, limits +, window +", "kind_not_permitted", "ClusterRole x"},
		"a kind alone":    {`{"project":"shop","kinds":[{"kind":"ConfigMap"}]}`, true, "role +, source ?, destination ?, kinds +, window +", "", "✓ Allowed: deploy ConfigMap"},
		"no such project": {`{"project":"shp","sources":["https://x"]}`, false, "project -", "project_unknown", "does not exist"},
		"no such cluster": {`{"project":"default","sources":["https://x"],"destination":{"name":"mars","namespace":"x"}}`, false,
			"role +, source +, source namespace +, signature +, destination -, kinds ?, limits +", "destination_unknown", "there is no cluster"},
		"an object as it would be applied": {`{"application":{"apiVersion":"argoproj.io/v1alpha1","kind":"Application","metadata":{"name":"new"},"spec":{"project":"shop","source":{"repoURL":"https://github.com/shop/web","path":"."},"destination":{"name":"eu","namespace":"shop-a"}}}}`, true,
			"role +, source +, source namespace +, signature +, destination +, kinds ?, limits +, window +", "", "deploy new to cluster eu"},
	} {
		t.Run(name, func(t *testing.T) {
			var d policy.Decision
			w.call("POST", "/api/v1/explain", c.body, "Content-Type: application/json").ok(200).into(&d)
			text := d.Text(time.Time{})
			if d.Allowed != c.allowed || results(d) != c.checks || !strings.Contains(text, c.text) {
				t.Errorf("%v, %s\n%s", d.Allowed, results(d), text)
			}
			if c.id != "" && (len(d.Refusals) == 0 || d.Refusals[0].Code != c.id || d.ID == "" || d.CanChange == "") {
				t.Errorf("%+v", d)
			}
		})
	}
	for body, code := range map[string]string{
		`{}`:                                    "question_invalid",
		`{"name":"a","project":"shop"}`:         "question_invalid",
		`{"verb":"fly","project":"shop"}`:       "value_unknown",
		`{"project":"shop","subject":"zz"}`:     "api_token_unknown",
		`{"application":{"kind":"Nonsense"}}`:   "kind_unsupported",
		`{"name":"nobody"}`:                     "application_not_found",
		`{"project":"shop","kind":"ConfigMap"}`: "unknown_field",
	} {
		a := w.call("POST", "/api/v1/explain", body, "Content-Type: application/json")
		if a.status < 400 || !strings.Contains(a.body, `"`+code+`"`) {
			t.Errorf("%s: %d %s", body, a.status, a.body)
		}
	}
}

func TestExplainTellsNothingOfOthers(t *testing.T) {
	w := newWorld(t)
	w.store.projects["baseline"] = model.AppProject{Metadata: model.ObjectMeta{Name: "baseline"}, Spec: model.AppProjectSpec{
		InheritedBy: &model.LabelSelector{}, SourceRepos: []string{"https://CANARY/*"}, NamespaceResourceBlacklist: []model.KindRule{{Kind: "Canary*"}}}}
	w.loginAs("bea", fleet.Grant{Project: "shop", Role: "viewer"})
	for body, want := range map[string]string{
		// Neither the rules of a global project nor whether there is a cluster.
		`{"project":"shop","sources":["https://canary/x"],"destination":{"name":"eu","namespace":"shop-a"}}`: "matches rule a rule in project baseline",
		`{"project":"shop","sources":["https://x/y"],"destination":{"name":"us","namespace":"shop-a"}}`:      "the cluster is us",
		`{"project":"shop","sources":["https://x/y"],"destination":{"name":"mars","namespace":"shop-a"}}`:    "the cluster is mars",
		`{"project":"shop","kinds":[{"kind":"CanaryThing"}]}`:                                                "a rule in project baseline",
		`{"project":"default","sources":["https://x/y"]}`:                                                    `project \"default\" does not exist`,
		// What he may do himself is said.
		`{"verb":"deploy","project":"shop","sources":["https://github.com/shop/x"]}`: `grant 1 is viewer in \"shop\"`,
	} {
		a := w.call("POST", "/api/v1/explain", body, "Content-Type: application/json").ok(200)
		if strings.Contains(a.body, "CANARY") || strings.Contains(a.body, "Canary*") || !strings.Contains(a.body, want) {
			t.Errorf("%s: %s", body, a.body)
		}
	}
	w.call("POST", "/api/v1/explain", `{"project":"shop","subject":"ana"}`, "Content-Type: application/json").problem(403, "permission_denied")
}

func TestExplainAboutSomebodyElse(t *testing.T) {
	w := newWorld(t)
	admin := w.token
	w.loginAs("bea", fleet.Grant{Project: "shop", Role: "operator"})
	w.token = admin
	for verb, allowed := range map[string]bool{"sync": true, "deploy": false, "delete": false, "logs": true} {
		var d policy.Decision
		w.call("POST", "/api/v1/explain", `{"subject":"bea","verb":"`+verb+`","project":"shop","sources":["https://github.com/shop/x"]}`, "Content-Type: application/json").ok(200).into(&d)
		if d.Allowed != allowed {
			t.Errorf("%s: %s", verb, d.Text(time.Time{}))
		}
	}
}

func TestPreviewOfAProject(t *testing.T) {
	w := newWorld(t)
	previews := &scriptedPreviews{}
	w.opts.Previews = previews
	w.login()
	w.call("PUT", "/api/v1/applications/web", application("web")).ok(201)
	app := w.store.apps["web"]
	app.Source.Bundle = "sha256:x"
	w.store.apps["web"] = app
	previews.stored = []manifest.Object{{Key: model.ObjectKey{Kind: "Secret", Namespace: "web", Name: "s"}}, {Key: model.ObjectKey{Group: "apps", Kind: "Deployment", Namespace: "web", Name: "d"}}}
	w.calls.take()
	upserts := w.store.upserts
	project := func(spec string) string {
		return `{"apiVersion":"argoproj.io/v1alpha1","kind":"AppProject","metadata":{"name":"default"},"spec":{` + spec + `}}`
	}
	const open = `"sourceRepos":["*"],"destinations":[{"name":"*","namespace":"*"},{"name":"us","namespace":"*"}]`
	preview := func(method, path, spec string) projectPreview {
		t.Helper()
		var p projectPreview
		w.call(method, path, project(spec)).ok(200).into(&p)
		return p
	}
	p := preview("POST", "/api/v1/projects/default/preview", open+`,"namespaceResourceBlacklist":[{"group":"","kind":"Secret"}]`)
	if p.InvalidCount != 1 || len(p.Invalid) != 1 || p.Invalid[0].Name != "web" || p.Invalid[0].Refusal.Code != "kind_not_permitted" || p.Invalid[0].ID == "" || p.Result != resultConfigured {
		t.Errorf("%+v", p)
	}
	var counts []string
	for _, r := range p.Rules {
		n := -1
		if r.Clusters != nil {
			n = *r.Clusters
		}
		counts = append(counts, strings.Join([]string{r.List, r.Rule, string(rune('0' + n + 1)), string(rune('0' + r.Applications)), string(rune('0' + r.Objects))}, " "))
	}
	if got := strings.Join(counts, "; "); got != "sourceRepos #1 * 0 1 0; destinations #1 */* 3 1 0; destinations #2 us/* 2 0 0; namespaceResourceBlacklist #1 Secret 0 1 1" {
		t.Errorf("%s", got)
	}
	if len(p.Warnings) == 0 {
		t.Error("every cluster and repository, and no warning")
	}
	p = preview("PUT", "/api/v1/projects/default?dryRun=true", `"sourceRepos":["https://elsewhere/*"],"destinations":[{"name":"*","namespace":"*"}]`)
	if p.InvalidCount != 1 || p.Invalid[0].Refusal.Code != "repo_not_permitted" {
		t.Errorf("%+v", p)
	}
	if w.store.upserts != upserts || w.calls.take() != "" {
		t.Error("a preview changed something")
	}
	// Allowed again by what is written now.
	w.call("PUT", "/api/v1/projects/default", project(`"sourceRepos":[]`)).ok(200)
	if p = preview("POST", "/api/v1/projects/default/preview", open); p.ValidCount != 1 || p.InvalidCount != 0 {
		t.Errorf("%+v", p)
	}
	w.call("POST", "/api/v1/projects/other/preview", project(open)).problem(400, "name_mismatch")
	w.call("PUT", "/api/v1/projects/default?dryRun=perhaps", project(open)).problem(400, "value_unknown")

	w.store.objects = map[string]map[model.AppUID]int{"default": {app.UID: 2}}
	var u projectUsage
	w.call("GET", "/api/v1/projects/default/usage", "").ok(200).into(&u)
	if u.Applications != 1 || u.Objects != 2 || u.Largest != "web" || len(u.Clusters) != 1 || u.Clusters[0].Cluster != "eu" {
		t.Errorf("%+v", u)
	}
	w.call("GET", "/api/v1/projects/nobody/usage", "").problem(404, "project_unknown")
}

func BenchmarkExplain(b *testing.B) {
	spec := model.AppProjectSpec{SourceRepos: []string{"https://git.example/**"}}
	for range 100 {
		spec.Destinations = append(spec.Destinations, model.ProjectDestination{Namespace: "team-[a-f]*", ClusterSelector: &model.LabelSelector{MatchLabels: map[string]string{"env": "staging"}}},
			model.ProjectDestination{Name: "eu-*", Namespace: "{a,b}-*"})
	}
	facts := policy.AppFacts{SourceRepos: []string{"https://git.example/a/b"}, Destination: policy.Destination{Name: "us-1", Namespace: "x", Labels: map[string]string{"env": "prod"}}}
	for b.Loop() {
		policy.Ask(policy.Project{Name: "p", Spec: spec}, facts, nil, nil)
	}
}
