package api

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/hub/permission"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// fakePolicies reads what the fake store and the fake settings have.
type fakePolicies struct {
	store    *fakeStore
	settings *fakeSettings

	mu    sync.Mutex
	down  bool
	asked int
}

func (f *fakePolicies) PolicyMark(ctx context.Context) (fleet.PolicyMark, error) {
	f.mu.Lock()
	f.asked++
	down := f.down
	f.mu.Unlock()
	if down {
		return fleet.PolicyMark{}, errDown
	}
	projects, err := f.store.Projects(ctx)
	if err != nil {
		return fleet.PolicyMark{}, err
	}
	b, err := json.Marshal(projects)
	rbac, _ := f.settings.RBAC(ctx)
	return fleet.PolicyMark{Version: rbac.Version, Projects: string(b)}, err
}

func (f *fakePolicies) Policy(ctx context.Context) (p fleet.Policy, err error) {
	if p.Mark, err = f.PolicyMark(ctx); err != nil {
		return p, err
	}
	if p.RBAC, err = f.settings.RBAC(ctx); err != nil {
		return p, err
	}
	p.Projects, err = f.store.Projects(ctx)
	return p, err
}

// newPolicyWorld is the world of rights, with a policy.
func newPolicyWorld(t testing.TB, csv string, change ...func(*Options)) (*world, *fakePolicies) {
	t.Helper()
	var p *fakePolicies
	w := newRightsWorld(t, func(o *Options) {
		p = &fakePolicies{store: o.Store.(*fakeStore), settings: o.Settings.(*fakeSettings)}
		o.Policies = p
		for _, f := range change {
			f(o)
		}
	})
	w.putPolicy(map[string]string{"policy.csv": csv})
	return w, p
}

func (w *world) putPolicy(keys map[string]string) {
	w.t.Helper()
	b, err := json.Marshal(map[string]any{"rbac": keys})
	if err != nil {
		w.t.Fatal(err)
	}
	w.call("PUT", "/api/v1/settings/rbac", string(b), "Authorization: Bearer "+w.as(true)).ok(200)
}

// session logs somebody in whom a directory vouches for.
func (w *world) session(subject string, groups ...string) string {
	w.t.Helper()
	l, err := w.auth.ProviderLogin(w.t.Context(), "corp", subject, "A name", groups, false, time.Time{})
	if err != nil {
		w.t.Fatal(err)
	}
	return "Authorization: Bearer " + l.Secret
}

// put stores an application without asking anybody.
func (w *world) put(project, name string) {
	w.t.Helper()
	change := []string{"project: default", "project: " + project}
	if project == "bank" {
		change = append(change, "name: eu", "name: us", "github.com/shop/web", "github.com/bank/core")
	}
	w.call("POST", "/api/v1/applications", application(name, change...), "Authorization: Bearer "+w.as(true)).ok(201)
}

func (a answer) names(t testing.TB) []string {
	t.Helper()
	var got struct {
		Items []struct {
			Name     string `json:"name"`
			Metadata struct {
				Name string `json:"name"`
			} `json:"metadata"`
			URL     string `json:"url"`
			AppName string `json:"app"`
		} `json:"items"`
		Total int `json:"total"`
	}
	a.ok(200).into(&got)
	out := []string{}
	for _, i := range got.Items {
		out = append(out, cmpOr(cmpOr(cmpOr(i.Name, i.Metadata.Name), i.URL), i.AppName))
	}
	if got.Total != len(out) {
		t.Errorf("%d items of %d: what is not seen is counted", len(out), got.Total)
	}
	slices.Sort(out)
	return out
}

func TestThePolicyDecides(t *testing.T) {
	w, _ := newPolicyWorld(t, `
p, role:web, applications, get, shop/web, allow
p, role:web, applications, sync, shop/web, allow
p, role:web, applications, action/apps/Deployment/restart, shop/web, allow
p, role:web, applications, delete/*/Pod/*, shop/web, allow
p, role:web, clusters, get, https://eu:6443, allow
p, role:web, repositories, get, shop/https://github.com/shop/*, allow
p, carol, projects, *, shop, allow
p, carol, applications, *, shop/*, allow
p, carol, applications, delete, shop/web, deny
g, devs, role:web
g, boss, role:admin`)
	w.put("shop", "api")
	w.put("bank", "core")
	dev, carol, boss, stranger := w.session("alice", "devs"), w.session("carol"), w.session("boss"), w.session("mallory", "role:admin", "A name")
	for _, c := range []struct {
		who, method, path, body string
		status                  int
	}{
		{dev, "GET", "/applications/web", "", 200},
		{dev, "GET", "/applications/api", "", 404},
		{dev, "GET", "/applications/core", "", 404},
		{dev, "POST", "/applications/web/sync", "{}", 202},
		{dev, "POST", "/applications/api/sync", "{}", 404},
		{dev, "DELETE", "/applications/web", "", 403}, // delete/*/Pod/* is about its objects
		{dev, "POST", "/applications/web/actions", `{"resource":{"group":"apps","kind":"Deployment","name":"web"},"action":"pause"}`, 403},
		{dev, "GET", "/clusters/eu", "", 200},
		{dev, "GET", "/clusters/us", "", 404},
		{dev, "DELETE", "/clusters/eu", "", 403},
		{dev, "GET", "/repositories/r1", "", 200},
		{dev, "DELETE", "/repositories/r1", "", 403},
		{dev, "GET", "/projects/shop", "", 404},
		{dev, "GET", "/applications/web/logs", "", 403},
		{dev, "GET", "/operations/op-1", "", 200},
		{dev, "GET", "/accounts", "", 403},
		{dev, "GET", "/settings/rbac", "", 403},
		{dev, "POST", "/tokens", `{"name":"x","admin":true}`, 403},
		{carol, "GET", "/projects/shop", "", 200},
		{carol, "DELETE", "/applications/web", "", 403},
		{carol, "DELETE", "/applications/api", "", 202},
		{carol, "PUT", "/applications/web", application("web", "project: default", "project: bank", "name: eu", "name: us"), 400}, // the project bank is not seen
		{carol, "POST", "/projects", `{"apiVersion":"argoproj.io/v1alpha1","kind":"AppProject","metadata":{"name":"bank"},"spec":{}}`, 403},
		{boss, "GET", "/accounts", "", 200},
		{boss, "GET", "/applications/core", "", 200},
		{stranger, "GET", "/applications/web", "", 404},
		{stranger, "GET", "/accounts", "", 403},
	} {
		if a := w.short(c.method, "/api/v1"+c.path, c.body, c.who); a.status != c.status {
			t.Errorf("%s %s: %d, want %d: %s", c.method, c.path, a.status, c.status, a.body)
		}
	}
	for _, c := range []struct {
		who, path string
		want      []string
	}{
		{dev, "/applications", []string{"web"}},
		{dev, "/applications?cluster=eu", []string{"web"}},
		{dev, "/clusters", []string{"eu"}},
		{dev, "/projects", []string{}},
		{dev, "/repositories", []string{"https://github.com/shop/web"}},
		{carol, "/projects", []string{"shop"}},
		{carol, "/clusters", []string{}},
		{boss, "/applications", []string{"api", "core", "web"}},
		{stranger, "/applications", []string{}},
		{stranger, "/projects", []string{}},
	} {
		if got := w.call("GET", "/api/v1"+c.path, "", c.who).names(t); !slices.Equal(got, c.want) {
			t.Errorf("GET %s: %v, want %v", c.path, got, c.want)
		}
	}
	var sum fleet.FleetSummary
	w.call("GET", "/api/v1/fleet/summary", "", dev).ok(200).into(&sum)
	if sum.Applications.Total != 1 || sum.Clusters.Total != 1 || sum.Projects != 0 {
		t.Errorf("the summary counts what is not seen: %+v", sum)
	}
	var cluster model.Cluster
	w.call("GET", "/api/v1/clusters/eu", "", dev).ok(200).into(&cluster)
	if cluster.Applications != 1 {
		t.Errorf("the cluster counts %d applications", cluster.Applications)
	}
	var facets struct{ Facets map[string]fleet.Facet }
	w.call("GET", "/api/v1/applications?facets=project,name", "", dev)
	w.call("GET", "/api/v1/applications?facets=project", "", dev).ok(200).into(&facets)
	if v := facets.Facets["project"].Values; len(v) != 1 || v["shop"] != 1 {
		t.Errorf("the facets count what is not seen: %v", v)
	}
}

// A token is worth its grants, whoever issued it and whatever it is called.
func TestAnAPITokenHasNothingOfThePolicy(t *testing.T) {
	w, _ := newPolicyWorld(t, "p, who, *, *, *, allow\ng, who, role:admin\n")
	w.putPolicy(map[string]string{"policy.csv": "g, who, role:admin", "policy.default": "role:readonly"})
	w.call("GET", "/api/v1/applications/web", "", "Authorization: Bearer "+w.as(false, fleet.Grant{Project: "bank", Role: "viewer"})).problem(404, "application_not_found")
	w.call("GET", "/api/v1/applications/web", "", w.session("anybody")).ok(200) // by the default role
}

func TestAPolicyIsCheckedAndNotStored(t *testing.T) {
	w, _ := newPolicyWorld(t, "g, boss, role:admin\n")
	boss := w.session("boss")
	check := func(csv string) answer {
		b, _ := json.Marshal(map[string]any{"rbac": map[string]string{"policy.csv": csv}})
		return w.call("POST", "/api/v1/settings/rbac/check", string(b), boss)
	}
	check("p, alice, applications, get, */*, perhaps").problem(400, "rbac_invalid")
	check("g, somebody, role:admin").problem(409, "rbac_locks_out")
	var got changedRBAC
	if err := json.Unmarshal([]byte(check("g, boss, role:admin\np, role:x, nothing-known, get, */*, allow").ok(200).body), &got); err != nil {
		t.Fatal(err)
	}
	if got.Result != resultConfigured || len(got.Warnings) == 0 || !strings.Contains(got.Warnings[0].Message, "line 2") {
		t.Errorf("checked: %+v", got)
	}
	var now rbacDocument
	if err := json.Unmarshal([]byte(w.call("GET", "/api/v1/settings/rbac", "", boss).ok(200).body), &now); err != nil {
		t.Fatal(err)
	}
	if now.Version != got.Version || now.RBAC["policy.csv"] != "g, boss, role:admin\n" {
		t.Errorf("stored: %+v", now)
	}
	if err := json.Unmarshal([]byte(check(now.RBAC["policy.csv"]).ok(200).body), &got); err != nil || got.Result != resultUnchanged {
		t.Errorf("the same policy: %+v, %v", got, err)
	}
}

func TestAPolicyThatCannotBeUsedIsRefused(t *testing.T) {
	w, _ := newPolicyWorld(t, "g, boss, role:admin\n")
	boss := w.session("boss")
	put := func(csv string) answer {
		b, _ := json.Marshal(map[string]any{"rbac": map[string]string{"policy.csv": csv}})
		return w.call("PUT", "/api/v1/settings/rbac", string(b), boss)
	}
	put("p, alice, applications, get, */*, perhaps").problem(400, "rbac_invalid")
	// Nobody locks himself out by mistake; an administrator by his token can.
	put("g, somebody, role:admin").problem(409, "rbac_locks_out")
	put("g, boss, role:admin\np, boss, clusters, delete, *, deny").problem(409, "rbac_locks_out")
	put("g, boss, role:admin\np, alice, applications, get, */*, allow").ok(200)
	// Nor does one to whom lines deny something, who is no less able to write it.
	w.putPolicy(map[string]string{"policy.csv": "g, boss, role:admin\np, boss, clusters, delete, *, deny\n"})
	put("g, somebody, role:admin").problem(409, "rbac_locks_out")
	put("g, boss, role:admin\np, boss, clusters, delete, *, deny\np, alice, applications, get, */*, allow").ok(200)
	w.putPolicy(map[string]string{"policy.csv": ""})
	w.call("GET", "/api/v1/settings/rbac", "", boss).problem(403, "permission_denied")
	if a := w.call("GET", "/api/v1/settings/rbac", "", "Authorization: Bearer "+w.as(true)).ok(200); !strings.Contains(a.body, `"enforced":true`) {
		t.Errorf("%s", a.body)
	}
}

// What somebody else changed at another replica holds within the age of a policy,
// and a database that is away changes nothing.
func TestAnotherReplicaDecidesByAChange(t *testing.T) {
	var mu sync.Mutex
	now := start
	clock := func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	pass := func(d time.Duration) { mu.Lock(); defer mu.Unlock(); now = now.Add(d) }
	w, p := newPolicyWorld(t, "p, alice, applications, get, shop/*, allow\n", func(o *Options) { o.Now = clock })
	alice := w.session("alice")
	w.call("GET", "/api/v1/applications/web", "", alice).ok(200)
	if _, _, err := p.settings.PutRBAC(t.Context(), map[string]string{"policy.csv": ""}, "another", 0); err != nil {
		t.Fatal(err)
	}
	before := p.asked
	for range 5 {
		w.call("GET", "/api/v1/applications/web", "", alice).ok(200)
	}
	if p.asked != before {
		t.Errorf("the database was asked %d times at one moment", p.asked-before)
	}
	p.down = true
	pass(policyAge)
	w.call("GET", "/api/v1/applications/web", "", alice).ok(200)
	p.down = false
	pass(policyAge)
	w.call("GET", "/api/v1/applications/web", "", alice).problem(404, "application_not_found")

	// A role of a project, with its group.
	w.store.mu.Lock()
	shop := w.store.projects["shop"]
	shop.Spec.Roles = []model.ProjectRole{{Name: "dev", Policies: []string{"p, proj:shop:dev, applications, get, shop/*, allow"}, Groups: []string{"devs"}}}
	w.store.projects["shop"] = shop
	w.store.mu.Unlock()
	bob := w.session("bob", "devs")
	pass(policyAge)
	w.call("GET", "/api/v1/applications/web", "", bob).ok(200)
	w.call("GET", "/api/v1/projects/shop", "", bob).ok(200)
	w.call("POST", "/api/v1/applications/web/sync", "{}", bob).problem(403, "permission_denied")

	// And a token of it, which is nothing else: not the default role either.
	w.putPolicy(map[string]string{"policy.default": "role:readonly"})
	ci := w.handler.(*Handler).api.sets.of(fleet.APIToken{ID: "t", Name: "proj:shop:dev", Project: "shop", Role: "dev"})
	if !ci.Decide(permission.Get, permission.Applications, "shop", "web").Allowed || ci.Decide(permission.Get, permission.Applications, "bank", "core").Allowed || ci.Sees(permission.Clusters, "", "eu") {
		t.Error("the token of a role")
	}
}

// Lists have what single decisions allow, and nothing else, whatever the policy.
func TestS01_ListsEqualTheSingleDecisions(t *testing.T) {
	w, _ := newPolicyWorld(t, "")
	for i, name := range []string{"api", "prod-1", "prod-2"} {
		w.put("shop", name)
		w.put("bank", fmt.Sprintf("core-%d", i))
	}
	admin := "Authorization: Bearer " + w.as(true)
	all := map[string][]string{
		"/applications": w.call("GET", "/api/v1/applications", "", admin).names(t), "/clusters": {"eu", "us"}, "/projects": {"bank", "default", "shop"}, "/repositories": {"r1"},
	}
	r := rand.New(rand.NewPCG(3, 4))
	pick := func(from ...string) string { return from[r.IntN(len(from))] }
	some := 0
	for range 60 {
		var b strings.Builder
		for range 1 + r.IntN(7) {
			fmt.Fprintf(&b, "p, %s, %s, %s, \"%s\", %s\n", pick("alice", "devs"), pick("applications", "*", "clusters", "repositories", "projects", "applications"), pick("get", "get", "*", "sync"),
				pick("*", "*/*", "shop/*", "*/web", "sh*/p*", "{shop,bank}/*", "shop", "bank/core-1", "eu", "https://eu*", "shop/https://*"), pick("allow", "allow", "allow", "deny"))
		}
		w.putPolicy(map[string]string{"policy.csv": b.String()})
		who := w.session("alice", "devs")
		for _, kind := range []string{"/applications", "/clusters", "/projects", "/repositories"} {
			listed := w.call("GET", "/api/v1"+kind+"?limit=500", "", who).names(t)
			if kind == "/repositories" && len(listed) > 0 {
				listed = []string{"r1"}
			}
			single := []string{}
			for _, name := range all[kind] {
				if w.call("GET", "/api/v1"+kind+"/"+name, "", who).status == http.StatusOK {
					single = append(single, name)
				}
			}
			if !slices.Equal(listed, single) {
				t.Fatalf("%s\nGET %s lists %v; single decisions allow %v", b.String(), kind, listed, single)
			}
			if len(single) > 0 && len(single) < len(all[kind]) {
				some++
			}
		}
	}
	if some < 20 {
		t.Errorf("only %d lists were partial", some)
	}
}

// Who is revoked in the middle is told so, and hears nothing more; who sees something
// else is told to read again.
func TestA27_AStreamNarrowsAndEndsWithThePolicy(t *testing.T) {
	w, _ := newPolicyWorld(t, "p, alice, applications, get, shop/*, allow\n")
	w.opts.Now = time.Now
	w.login()
	admin := w.token
	_, w.token, _ = strings.Cut(w.session("alice"), "Bearer ")
	s := w.serve(t, true)
	named, all := w.listenTo(t, s, "?application=web", ""), w.listenTo(t, s, "", "")
	named.want(`hello r-0 {"version":"1.2.3"}`)
	all.want(`hello r-0 {"version":"1.2.3"}`)
	begun := time.Now()
	w.call("PUT", "/api/v1/settings/rbac", `{"rbac":{"policy.csv":"p, alice, applications, get, shop/other, allow"}}`, "Authorization: Bearer "+admin).ok(200)
	next := func(l *listener) string {
		for {
			if e := l.next(); e != "comment" {
				return e
			}
		}
	}
	if e := next(named); !strings.HasPrefix(e, "end ") || !strings.Contains(e, `"permission_revoked"`) {
		t.Errorf("got %q", e)
	}
	if e := next(named); e != "ended" {
		t.Errorf("after the end: %q", e)
	}
	if e := next(all); e != "reset r-0 {}" {
		t.Errorf("got %q", e)
	}
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("that took %s", took)
	}
}

func TestA27_AListenerHearsNothingOfWhatHeMayNotSee(t *testing.T) {
	w, _ := newPolicyWorld(t, "p, alice, applications, get, shop/web, allow\np, alice, repositories, get, shop/https://github.com/shop/a, allow\n")
	w.call("GET", "/api/v1/whoami", "", w.session("alice")).ok(200)
	l, err := w.auth.ProviderLogin(t.Context(), "corp", "alice", "Alice", nil, false, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	set := w.handler.(*Handler).api.sets.of(l.Caller)
	var heard []string
	for _, e := range audible("x", set, func(model.Cluster) bool { return false }, []StreamEvent{
		{Type: "application", Key: "1", Project: "shop", Name: "web"}, {Type: "application", Key: "2", Project: "shop", Name: "api"}, {Type: "operation", Key: "3", Project: "shop", Name: "api"},
		{Type: "operation", Key: "4", Project: "shop", Name: "web"}, {Type: "repository", Key: "5", Project: "shop", Name: "https://github.com/shop/a"},
		{Type: "repository", Key: "6", Project: "shop", Name: "https://github.com/shop/b"}, {Type: "project", Key: "shop"}, {Type: "cluster", Key: "id-eu"}, {Type: "settings", Key: "rbac"},
	}) {
		heard = append(heard, e.Key)
	}
	if strings.Join(heard, " ") != "1 4 5" {
		t.Errorf("heard %v", heard)
	}
}

// A job is decided about item by item, when each is due, as whoever asked for it
// may then.
func TestA27_AJobIsDecidedAboutWhenItRuns(t *testing.T) {
	w, _ := newPolicyWorld(t, "p, alice, applications, *, shop/*, allow\n")
	l, err := w.auth.ProviderLogin(t.Context(), "corp", "alice", "Alice", nil, false, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	h := w.handler.(*Handler)
	job := fleet.StoredJob{Job: model.Job{ID: "0192f0c1-2345-7890-abcd-0123456789ab", Kind: model.JobRefresh, Token: l.Caller.ID}}
	if _, err := h.Command(t.Context(), job, model.JobItem{Number: 1, Application: "web"}); err != nil {
		t.Fatal(err)
	}
	w.putPolicy(map[string]string{"policy.csv": "p, alice, applications, sync, shop/*, allow\n"})
	if _, err := h.Command(t.Context(), job, model.JobItem{Number: 2, Application: "web"}); !fault.HasCode(err, "application_not_found") {
		t.Errorf("%v", err)
	}
}

// There is one decision, whatever the way in: the route, a job, a text of several
// objects and the explanation refuse alike what one line of a policy denies, and
// change nothing.
func TestA23_EveryWayInAsksTheSamePolicy(t *testing.T) {
	key := func(verb, action string) string {
		resource := "applications"
		if verb == "logs" || verb == "exec" {
			resource = verb
		}
		return "p, alice, applications, *, shop/*, allow\np, alice, logs, *, shop/*, allow\np, alice, exec, *, shop/*, allow\np, alice, " + resource + ", " + action + ", shop/web, deny\n"
	}
	for _, c := range []struct {
		verb, action string
		job          model.JobKind
	}{
		{"sync", "sync", model.JobSync}, {"rollback", "sync", model.JobRollback}, {"delete", "delete", model.JobDelete}, {"refresh", "get", model.JobRefresh},
		{"action", "action/*", model.JobAction}, {"terminate", "sync", ""}, {"update", "update", ""}, {"logs", "get", ""}, {"exec", "create", ""}, {"get", "get", ""}, {"events", "get", ""},
	} {
		w, _ := newPolicyWorld(t, key(c.verb, c.action))
		l, err := w.auth.ProviderLogin(t.Context(), "corp", "alice", "Alice", nil, false, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		alice := "Authorization: Bearer " + l.Secret
		before := w.store.fingerprint()
		asked := 0
		for _, r := range Routes() {
			if string(r.Verb) != c.verb || r.Resource != ResourceApplications && r.Resource != ResourceOperations || !strings.Contains(r.Path, "/:") || strings.HasPrefix(r.Path, "/jobs") {
				continue
			}
			asked++
			a := w.short(r.Method, "/api/v1"+strings.NewReplacer(":name", "web", ":id", "op-1").Replace(r.Path), bodies[r.Method+" "+r.Path], alice)
			if a.status != http.StatusForbidden && (a.status != http.StatusNotFound || c.action != "get") {
				t.Errorf("%s %s with %s denied: %d %s", r.Method, r.Path, c.action, a.status, a.body)
			}
		}
		if asked == 0 {
			t.Errorf("no route is asked for %s", c.verb)
		}
		if c.job != "" {
			job := fleet.StoredJob{Job: model.Job{ID: "0192f0c1-2345-7890-abcd-0123456789ab", Kind: c.job, Token: l.Caller.ID}}
			_, err := w.handler.(*Handler).Command(t.Context(), job, model.JobItem{Number: 1, Application: "web"})
			if !fault.HasCode(err, "permission_denied") && !fault.HasCode(err, "application_not_found") {
				t.Errorf("a job of %s: %v", c.job, err)
			}
		}
		if c.verb == "update" {
			w.call("POST", "/api/v1/apply", application("web", "project: default", "project: shop", "path: deploy", "path: other"), alice).ok(207)
		}
		if c.action != "get" {
			var d struct{ Allowed bool }
			if w.call("POST", "/api/v1/explain", `{"verb":"`+c.verb+`","name":"web"}`, alice).ok(200).into(&d); d.Allowed {
				t.Errorf("the explanation allows %s", c.verb)
			}
		}
		if w.store.fingerprint() != before {
			t.Errorf("%s changed something", c.verb)
		}
	}
}

// Unknown and forbidden take as long as each other. The medians of interleaved
// requests are compared; a whole request takes well under a millisecond here.
func TestA21_UnknownAndForbiddenTakeTheSameTime(t *testing.T) {
	var csv strings.Builder
	for i := range 50 {
		fmt.Fprintf(&csv, "p, alice, applications, get, team-%d*/web-?, allow\n", i)
	}
	w, _ := newPolicyWorld(t, csv.String())
	alice := w.session("alice")
	for _, c := range []struct{ path, hidden, unknown string }{
		{"/applications/%s", "web", "wob"}, {"/projects/%s", "shop", "shap"}, {"/clusters/%s", "eu", "xx"}, {"/repositories/%s", "r1", "r9"}, {"/operations/%s", "op-1", "op-9"},
	} {
		const rounds = 41
		var took [2][]time.Duration
		for range rounds {
			for i, name := range []string{c.hidden, c.unknown} {
				begin := time.Now()
				a := w.call("GET", "/api/v1"+fmt.Sprintf(c.path, name), "", alice)
				took[i] = append(took[i], time.Since(begin))
				if a.status != http.StatusNotFound {
					t.Fatalf("%s of %s: %d", c.path, name, a.status)
				}
			}
		}
		for i := range took {
			slices.Sort(took[i])
		}
		if d := (took[0][rounds/2] - took[1][rounds/2]).Abs(); d > 10*time.Millisecond {
			t.Errorf("%s: the medians are %s apart", c.path, d)
		}
	}
}

// What is probably not meant is said whenever the policy is read, by what there is by
// then, and what was read can be sent back.
func TestWarningsOfAPolicyAreReadToo(t *testing.T) {
	w, _ := newPolicyWorld(t, "")
	const path = "/api/v1/settings/rbac"
	admin := "Authorization: Bearer " + w.as(true)
	var put changedRBAC
	w.call("PUT", path, `{"rbac":{"policy.csv":"p, alice, applications, get, shop/ghost, allow"}}`, admin).ok(200).into(&put)
	if len(put.Warnings) != 1 || !strings.Contains(put.Warnings[0].Message, "shop/ghost") {
		t.Fatalf("%+v", put)
	}
	read := func(query string) []rbacWarning {
		var got rbacDocument
		a := w.call("GET", path+query, "", admin).ok(200)
		a.into(&got)
		if query == "" {
			var again changedRBAC
			w.call("PUT", path, a.body, admin).ok(200).into(&again)
			if again.Result != resultUnchanged {
				t.Errorf("what was read changes it: %+v", again)
			}
		}
		return got.Warnings
	}
	if got := read(""); !slices.Equal(got, put.Warnings) {
		t.Errorf("%+v when it is read", got)
	}
	w.put("shop", "ghost")
	if got := read(""); len(got) != 0 {
		t.Errorf("%+v when there is such an application", got)
	}
	if got := read(fmt.Sprintf("?version=%d", put.Version)); len(got) != 0 {
		t.Errorf("%+v of the version", got)
	}
}
