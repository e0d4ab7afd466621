package api

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/policy"
)

type tableCaller struct {
	name   string
	admin  bool
	grants []fleet.Grant
	// subject logs in and has what the policy says of it; role is that of a token of
	// the project shop.
	subject, provider, role string
}

// The callers of the table of rights. The application "web" and what is about it
// is of the project "shop".
var callers = []tableCaller{
	{name: "admin", admin: true},
	{name: "editor", grants: []fleet.Grant{{Project: "shop", Role: "editor"}}},
	{name: "operator", grants: []fleet.Grant{{Project: "sh*", Role: "operator"}}},
	{name: "viewer", grants: []fleet.Grant{{Project: "shop", Role: "viewer"}}},
	{name: "other", grants: []fleet.Grant{{Project: "bank", Role: "editor"}}},
	{name: "nobody"},
	{name: "reader", subject: "rita"},
	{name: "deployer", subject: "dora"},
	{name: "boss", subject: "boss"},
	{name: "stranger", subject: "sid", provider: fleet.LocalProvider},
	{name: "ci", role: "ci"},
}

// rightsPolicy is the policy that the callers of the table are asked by.
const rightsPolicy = `g, rita, role:readonly
p, dora, applications, *, shop/*, allow
p, dora, applications, action/*, shop/*, allow
p, dora, applicationsets, *, shop/*, allow
p, dora, logs, get, shop/*, allow
p, dora, exec, create, shop/*, allow
p, dora, projects, *, shop, allow
p, dora, repositories, *, shop/*, allow
p, dora, clusters, *, eu, allow
g, boss, role:admin
`

// bodies of routes that cannot be asked without one.
var bodies = map[string]string{
	"POST /can-i/list":                  `{"as":"user:somebody"}`,
	"POST /tokens":                      `{"name":"x","admin":true}`,
	"POST /accounts":                    `{"name":"new","password":"correct horse battery"}`,
	"PATCH /accounts/:name":             `{"enabled":false}`,
	"POST /session/confirm":             `{"password":"x"}`,
	"POST /session/password":            `{"current":"x","new":"y"}`,
	"POST /enrolment-tokens":            `{"cluster":"x"}`,
	"PUT /clusters/:name/labels":        `{"labels":{}}`,
	"PUT /clusters/:name/aliases":       `{"aliases":[]}`,
	"POST /projects":                    `{"apiVersion":"argoproj.io/v1alpha1","kind":"AppProject","metadata":{"name":"shop"},"spec":{}}`,
	"PUT /projects/:name":               `{"apiVersion":"argoproj.io/v1alpha1","kind":"AppProject","metadata":{"name":"shop"},"spec":{}}`,
	"POST /applications":                application("web", "project: default", "project: shop"),
	"PUT /applications/:name":           application("web", "project: default", "project: shop"),
	"POST /applicationsets":             applicationSet("web"),
	"PUT /applicationsets/:name":        applicationSet("web"),
	"POST /repositories":                `{"url":"https://github.com/shop/web","project":"shop","skipTest":true}`,
	"POST /repositories/test":           `{"url":"https://github.com/shop/web","project":"shop"}`,
	"POST /jobs":                        `{"kind":"sync","applications":["web"]}`,
	"POST /saved-views":                 `{"things":"applications","name":"broken","project":"shop","search":{}}`,
	"POST /apply":                       application("web", "project: default", "project: shop"),
	"POST /applications/:name/rollback": `{"dryRun":true}`,
}

func newRightsWorld(t testing.TB, change ...func(*Options)) *world {
	t.Helper()
	w := newWorld(t, append([]func(*Options){func(o *Options) {
		o.Settings, o.Heartbeat = &fakeSettings{}, 30*time.Millisecond
		o.Jobs = &fakeJobs{jobs: []fleet.StoredJob{{Job: model.Job{ID: "j1", InitiatedBy: "somebody"}}}}
		o.GPGKeys = &fakeGPGKeys{}
		o.SavedViews = &fakeSavedViews{views: []fleet.SavedView{{ID: "v1", Things: "applications", Name: "of shop", Project: "shop"}}}
	}}, change...)...)
	w.store.projects["bank"] = model.AppProject{APIVersion: model.APIVersionArgo, Kind: model.KindAppProject, Metadata: model.ObjectMeta{Name: "bank"},
		Spec: model.AppProjectSpec{SourceRepos: []string{"*"}, Destinations: []model.ProjectDestination{{Name: "us", Namespace: "*"}}}}
	shop := w.store.projects["shop"]
	shop.Spec.Roles = []model.ProjectRole{{Name: "ci", Policies: []string{"p, proj:shop:ci, applications, get, shop/*, allow", "p, proj:shop:ci, applications, sync, shop/*, allow"}}}
	w.store.projects["shop"] = shop
	w.store.repos = []fleet.Repository{{Repository: model.Repository{ID: "r1", URL: "https://github.com/shop/web", Project: "shop"}}}
	w.store.templates = []fleet.RepositoryTemplate{{RepositoryTemplate: model.RepositoryTemplate{ID: "t1", URL: "https://github.com/shop"}}}
	w.call("POST", "/api/v1/applications", application("web", "project: default", "project: shop")).ok(201)
	w.call("POST", "/api/v1/applications/web/sync", "").ok(202)
	w.call("POST", "/api/v1/applicationsets", applicationSet("web")).ok(201)
	w.token = ""
	return w
}

// as logs in as one of the callers.
func (w *world) as(admin bool, grants ...fleet.Grant) string {
	w.t.Helper()
	token, _, err := w.auth.Issue(w.t.Context(), fleet.NewAPIToken{Name: "who", Admin: admin, Grants: grants})
	if err != nil {
		w.t.Fatal(err)
	}
	return token
}

// TestRights asks every route as every caller, in a world of its own each time,
// and compares the statuses with the committed table. A route that is not in the
// table is a failure: whoever adds one says who may call it.
func TestRights(t *testing.T) {
	file := filepath.Join("testdata", "rights.txt")
	committed := map[string]string{}
	b, err := os.ReadFile(file)
	if err != nil && !*update {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) > 2 && !strings.HasPrefix(line, "#") {
			committed[f[0]+" "+f[1]] = strings.Join(f[2:], " ")
		}
	}
	var table strings.Builder
	fmt.Fprintf(&table, "# Status of each route for each caller: admin, editor, operator, viewer, other\n# (an editor of another project), nobody (no token at all), and by the policy alone:\n# reader (role:readonly), deployer (everything of the project), boss (role:admin),\n# stranger (a local user without rights), ci (a token of a role of the project, which\n# gets and syncs applications). The table is made\n# with -update and read by people: 404 is what does not exist or is not seen.\n")
	for _, r := range Routes() {
		if r.Public {
			continue
		}
		key := r.Method + " " + r.Path
		var got []string
		for _, who := range callers {
			w, _ := newPolicyWorld(t, rightsPolicy)
			path := "/api/v1" + r.Path
			name := map[string]string{"applications": "web", "applicationsets": "web", "clusters": "eu", "projects": "shop"}[strings.Split(r.Path, "/")[1]]
			id := map[string]string{"operations": "op-1", "repositories": "r1", "jobs": "j1", "repository-templates": "t1", "saved-views": "v1"}[strings.Split(r.Path, "/")[1]]
			path = strings.NewReplacer(":name", name, ":role", "ci", ":id", cmpOr(id, "x")).Replace(path)
			header := w.headerOf(who)
			before := w.store.fingerprint()
			w.calls.take()
			a := w.short(r.Method, path, bodies[key], header)
			got = append(got, fmt.Sprint(a.status))
			if a.status == http.StatusForbidden || a.status == http.StatusNotFound || a.status == http.StatusUnauthorized {
				if done := w.calls.take(); done != "" || w.store.fingerprint() != before {
					t.Errorf("%s as %s: answered %d and did %q", key, who.name, a.status, done)
				}
			}
			if a.status == http.StatusForbidden && !strings.Contains(a.body, `"exec_disabled"`) { // that is nobody's right
				checkExplained(t, key+" as "+who.name, a)
			}
			if (who.name == "other" || who.name == "stranger") && strings.Contains(a.body, "shop-web") {
				t.Errorf("%s as another: %s", key, a.body)
			}
		}
		line := strings.Join(got, " ")
		fmt.Fprintf(&table, "%-6s %-42s %s\n", r.Method, r.Path, line)
		if !*update && committed[key] != line {
			t.Errorf("%s: statuses %s, the table says %q", key, line, committed[key])
		}
		delete(committed, key)
	}
	if *update {
		if err := os.WriteFile(file, []byte(table.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	for key := range committed {
		t.Errorf("%s is in the table and not served", key)
	}
}

// headerOf logs in as one of the callers.
func (w *world) headerOf(who tableCaller) string {
	w.t.Helper()
	switch {
	case who.subject != "":
		l, err := w.auth.ProviderLogin(w.t.Context(), cmpOr(who.provider, "corp"), who.subject, who.subject, nil, false, time.Time{})
		if err != nil {
			w.t.Fatal(err)
		}
		return "Authorization: Bearer " + l.Secret
	case who.role != "":
		token, _, err := w.auth.IssueForRole(w.t.Context(), fleet.NewRoleToken{Project: "shop", Role: who.role, Label: "x"})
		if err != nil {
			w.t.Fatal(err)
		}
		return "Authorization: Bearer " + token
	case who.name != "nobody":
		return "Authorization: Bearer " + w.as(who.admin, who.grants...)
	}
	return "Authorization:"
}

// checkExplained wants the explanation that POST /explain gives.
func checkExplained(t *testing.T, what string, a answer) {
	t.Helper()
	var p struct {
		ID      string          `json:"id"`
		Explain policy.Decision `json:"explain"`
	}
	a.into(&p)
	d := p.Explain
	if d.Allowed || d.Question == "" || d.CanChange == "" || d.ID != p.ID || p.ID == "" || len(d.Checks) == 0 || len(d.Refusals) == 0 {
		t.Errorf("%s: the refusal explains nothing: %s", what, a.body)
		return
	}
	if c := d.Checks[0]; c.Rule != policy.RuleRole || c.Result != policy.Failed || c.Nearest == "" || d.Refusals[0].Code != policy.CodePermission {
		t.Errorf("%s: %+v, %+v", what, c, d.Refusals[0])
	}
}

func cmpOr(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// TestWhatIsNotSeenIsAnsweredAsUnknown compares whole answers: what one may not
// see, and what does not exist.
func TestWhatIsNotSeenIsAnsweredAsUnknown(t *testing.T) {
	for _, c := range []struct{ method, path, hidden, unknown, body string }{
		{"GET", "/applications/%s", "web", "wob", ""},
		{"DELETE", "/applications/%s", "web", "wob", ""},
		{"POST", "/applications/%s/sync", "web", "wob", "{}"},
		{"GET", "/applications/%s/logs", "web", "wob", ""},
		{"GET", "/applications/%s/tree", "web", "wob", ""},
		{"GET", "/applications/%s/operations", "web", "wob", ""},
		{"GET", "/operations?app=%s", "web", "wob", ""},
		{"GET", "/operations?cluster=%s", "eu", "xx", ""},
		{"GET", "/applications?cluster=%s", "eu", "xx", ""},
		{"GET", "/operations/%s", "op-1", "op-9", ""},
		{"POST", "/operations/%s/terminate", "op-1", "op-9", ""},
		{"GET", "/projects/%s", "shop", "shap", ""},
		{"DELETE", "/projects/%s", "shop", "shap", ""},
		{"GET", "/clusters/%s", "eu", "xx", ""},
		{"DELETE", "/clusters/%s", "eu", "xx", ""},
		{"GET", "/repositories/%s", "r1", "r9", ""},
		{"DELETE", "/repositories/%s", "r1", "r9", ""},
		{"POST", "/applications", "shop", "shap", "project"},
		{"POST", "/applications", "name: eu", "name: xx", "cluster"},
	} {
		w := newRightsWorld(t)
		header := "Authorization: Bearer " + w.as(false, fleet.Grant{Project: "bank", Role: "editor"})
		ask := func(name string) string {
			path, body := c.path, c.body
			switch body {
			case "project":
				body = application("new", "project: default", "project: "+name)
			case "cluster":
				body = application("new", "project: default", "project: bank", "name: eu", name)
			default:
				path = fmt.Sprintf(path, name)
			}
			a := w.call(c.method, "/api/v1"+path, body, header)
			if a.status < 400 {
				t.Errorf("%s %s: %d %s", c.method, path, a.status, a.body)
			}
			return fmt.Sprint(a.status, " ", a.body)
		}
		hidden, unknown := ask(c.hidden), ask(c.unknown)
		short := func(s string) string { return strings.TrimPrefix(s, "name: ") }
		if got := strings.ReplaceAll(hidden, short(c.hidden), short(c.unknown)); got != unknown {
			t.Errorf("%s %s\nhidden:  %s\nunknown: %s", c.method, c.path, hidden, unknown)
		}
	}
}

func TestApplicationsAreNotMovedOutOfOrIntoOtherProjects(t *testing.T) {
	w := newRightsWorld(t)
	header := "Authorization: Bearer " + w.as(false, fleet.Grant{Project: "shop", Role: "editor"}, fleet.Grant{Project: "default", Role: "viewer"})
	put := func(change ...string) answer {
		return w.call("PUT", "/api/v1/applications/web", application("web", change...), header)
	}
	put("project: default", "project: shop").ok(200)
	p := put().problem(403, "permission_denied")
	if p.Explain == nil || p.Fix == "" {
		t.Errorf("got %+v", p)
	}
	put("project: default", "project: bank").problem(400, "project_unknown")
	w.call("POST", "/api/v1/applications", application("web", "project: default", "project: bank"), "Authorization: Bearer "+w.as(false, fleet.Grant{Project: "bank", Role: "editor"})).
		problem(409, "name_taken")
	w.call("POST", "/api/v1/apply", "apiVersion: argoproj.io/v1alpha1\nkind: AppProject\nmetadata: {name: shop}\nspec: {}\n", header).ok(207)
	if len(w.store.projects["shop"].Spec.Destinations) == 0 {
		t.Error("an editor of applications wrote the project")
	}
}

func TestListsHaveOnlyWhatIsSeen(t *testing.T) {
	w := newRightsWorld(t)
	shop := "Authorization: Bearer " + w.as(false, fleet.Grant{Project: "shop", Role: "viewer"})
	bank := "Authorization: Bearer " + w.as(false, fleet.Grant{Project: "bank", Role: "viewer"})
	for path, want := range map[string][2]int{
		"/applications": {1, 0}, "/operations": {1, 0}, "/projects": {1, 1}, "/clusters": {1, 1}, "/repositories": {1, 0},
	} {
		for i, header := range []string{shop, bank} {
			var got struct {
				Items []any
				Total int
			}
			w.call("GET", "/api/v1"+path, "", header).ok(200).into(&got)
			if len(got.Items) != want[i] || got.Total != want[i] {
				t.Errorf("%s, caller %d: %d of %d", path, i, len(got.Items), got.Total)
			}
		}
	}
}
