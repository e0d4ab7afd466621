package api

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
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

func TestExplainCountsTheObjectsOfAProject(t *testing.T) {
	w := newWorld(t)
	most := int64(3)
	shop := w.store.projects["shop"]
	shop.Spec.Limits = &model.ProjectLimits{MaxObjects: &most}
	w.store.projects["shop"] = shop
	w.store.objects = map[string]map[model.AppUID]int{"shop": {"a": 2, "b": 1}, "default": {"c": 9}}
	for kinds, allowed := range map[string]bool{``: true, `,"kinds":[{"kind":"ConfigMap"}]`: false} {
		var d policy.Decision
		w.call("POST", "/api/v1/explain", `{"project":"shop","sources":["https://github.com/shop/web"],"destination":{"name":"eu","namespace":"shop-web"}`+kinds+`}`, "Content-Type: application/json").ok(200).into(&d)
		if d.Allowed != allowed || !allowed && (d.Refusals[0].Code != policy.CodeQuota || !strings.Contains(d.Refusals[0].Message, "would have 4")) {
			t.Errorf("%s: %s", kinds, d.Text(time.Time{}))
		}
	}
}

func TestExplainTellsOfSignatures(t *testing.T) {
	var facts *policy.SignatureFacts
	w := newWorld(t, func(o *Options) {
		o.Signatures = func(rules policy.Project, spec model.ApplicationSpec) policy.Decision {
			return policy.CheckSignatures(rules, []policy.SignatureOf{{RepoURL: spec.AllSources()[0].RepoURL, Facts: facts}})
		}
	})
	shop := w.store.projects["shop"]
	shop.Spec.SignatureKeys = []model.SignatureKey{{KeyID: "4AEE18F83AFDEB23"}}
	w.store.projects["shop"] = shop
	of := func(s policy.SignatureState) *policy.SignatureFacts {
		return &policy.SignatureFacts{Commit: "c1", Mode: policy.SignatureHead, Examined: 1, Signatures: []policy.SignatureFact{{Object: "c1", State: s, KeyID: "4AEE18F83AFDEB23"}}}
	}
	for _, c := range []struct {
		facts   *policy.SignatureFacts
		allowed bool
		text    string
	}{
		{nil, true, "decided for each commit, when it is fetched"},
		{of(policy.SignatureGood), true, "✓ signature"},
		{of(policy.SignatureUnsigned), false, "✕ signature"},
	} {
		facts = c.facts
		var d policy.Decision
		w.call("POST", "/api/v1/explain", `{"project":"shop","sources":["https://github.com/shop/web"],"destination":{"name":"eu","namespace":"shop-web"}}`, "Content-Type: application/json").ok(200).into(&d)
		if text := d.Text(time.Time{}); d.Allowed != c.allowed || !strings.Contains(text, c.text) || strings.Count(text, " signature ") > 1 {
			t.Errorf("%s", text)
		}
	}
}

func TestProjectsWarn(t *testing.T) {
	w := newWorld(t)
	const risky = `{"apiVersion":"argoproj.io/v1alpha1","kind":"AppProject","metadata":{"name":"risky"},"spec":{"sourceRepos":["*"],"destinations":[{"name":"é*","namespace":"!x"}]}}`
	want := policy.Warnings(model.AppProjectSpec{SourceRepos: []string{"*"}, Destinations: []model.ProjectDestination{{Name: "é*", Namespace: "!x"}}})
	a := w.call("PUT", "/api/v1/projects/risky", risky, "Content-Type: application/json").ok(201)
	got := a.header.Values("Warning")
	if len(want) != 2 || len(got) != 2 {
		t.Fatalf("%q, %q", got, want)
	}
	for i, text := range want {
		if got[i] != "299 - "+strconv.QuoteToASCII(text) {
			t.Errorf("%q, want %q", got[i], text)
		}
	}
	var applied appliedAnswer
	w.call("POST", "/api/v1/apply", risky, "Content-Type: application/json").ok(200).into(&applied)
	if len(applied.Items) != 1 || !slices.Equal(applied.Items[0].Warnings, want) {
		t.Errorf("%+v", applied)
	}
	if a := w.call("PUT", "/api/v1/projects/calm", strings.NewReplacer("risky", "calm", `"*"`, `"https://git/x"`, "!x", "x").Replace(risky), "Content-Type: application/json").ok(201); len(a.header.Values("Warning")) != 0 {
		t.Errorf("%q", a.header.Values("Warning"))
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
	if got := w.call("PUT", "/api/v1/projects/default", project(`"sourceRepos":[]`)).ok(200).header.Get("Warning"); !strings.Contains(got, "1 of 1 applications become invalid by this, first web: ") {
		t.Errorf("warned of %q", got)
	}
	if got := w.call("PUT", "/api/v1/projects/default", project(`"sourceRepos":[]`)).ok(200).header.Values("Warning"); len(got) != 0 {
		t.Errorf("nothing changed, and warned of %q", got)
	}
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

// BenchmarkExplainRequest asks over HTTP, of 10,000 applications on 5,000 clusters
// in 100 projects of 20 rules each.
func BenchmarkExplainRequest(b *testing.B) {
	for name, admin := range map[string]bool{"admin": true, "of three projects": false} {
		b.Run(name, func(b *testing.B) {
			w := newWorld(b)
			w.store.clusters = nil
			for i := range 5000 {
				w.store.clusters = append(w.store.clusters, model.Cluster{ID: model.ClusterID(fmt.Sprint("id-", i)), Name: fmt.Sprint("c-", i), Aliases: []string{fmt.Sprintf("https://c-%d:6443", i)}, Labels: map[string]string{"env": "prod"}})
			}
			for i := range 100 {
				name, most := fmt.Sprint("team-", i), int64(100000)
				spec := model.AppProjectSpec{SourceRepos: []string{"https://git.example/**"}, Limits: &model.ProjectLimits{MaxApplications: &most, MaxObjects: &most}}
				for n := range 10 {
					spec.Destinations = append(spec.Destinations, model.ProjectDestination{Namespace: fmt.Sprint(n, "-*"), ClusterSelector: &model.LabelSelector{MatchLabels: map[string]string{"env": "staging"}}},
						model.ProjectDestination{Name: fmt.Sprintf("c-%d*", n), Namespace: "{a,b}-*"})
				}
				w.store.projects[name] = model.AppProject{Metadata: model.ObjectMeta{Name: name}, Spec: spec}
			}
			w.store.objects = map[string]map[model.AppUID]int{}
			for i := range 10000 {
				name, project := fmt.Sprint("app-", i), fmt.Sprint("team-", i%100)
				uid := model.AppUID(name)
				w.store.apps[name] = fleet.App{UID: uid, Name: name, Project: project, Cluster: w.store.clusters[i%5000].ID, ClusterName: w.store.clusters[i%5000].Name}
				if w.store.objects[project] == nil {
					w.store.objects[project] = map[model.AppUID]int{}
				}
				w.store.objects[project][uid] = 10
			}
			if err := w.index.Load(b.Context()); err != nil {
				b.Fatal(err)
			}
			if !admin {
				w.loginAs("bea", fleet.Grant{Project: "team-1", Role: "viewer"}, fleet.Grant{Project: "team-2", Role: "editor"}, fleet.Grant{Project: "team-3", Role: "viewer"})
			}
			server := httptest.NewServer(w.handler)
			defer server.Close()
			var took []time.Duration
			for b.Loop() {
				req, err := http.NewRequestWithContext(b.Context(), http.MethodPost, server.URL+"/api/v1/explain",
					strings.NewReader(`{"project":"team-2","sources":["https://git.example/a/b"],"destination":{"server":"https://c-4999:6443","namespace":"x"},"kinds":[{"group":"apps","kind":"Deployment"}]}`))
				if err != nil {
					b.Fatal(err)
				}
				req.Header.Set("Authorization", "Bearer "+w.token)
				req.Header.Set("Content-Type", "application/json")
				begin := time.Now()
				resp, err := server.Client().Do(req)
				if err != nil {
					b.Fatal(err)
				}
				_, err = io.Copy(io.Discard, resp.Body)
				took = append(took, time.Since(begin))
				if resp.Body.Close(); err != nil || resp.StatusCode != http.StatusOK {
					b.Fatal(resp.Status, err)
				}
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)*99/100])/1e6, "p99-ms")
		})
	}
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
