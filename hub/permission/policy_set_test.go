package permission

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/hub/fleet"
)

// What each verb of the hub takes of a policy.
func TestVerbsInAPolicy(t *testing.T) {
	for _, c := range []struct{ lines, may string }{
		{"applications get", "applications:events,get,refresh operations:events,get,refresh"},
		{"applications sync", ""}, // what is not seen cannot be synced
		{"applications get|applications sync", "applications:events,get,refresh,rollback,sync,terminate operations:events,get,refresh,rollback,sync,terminate"},
		{"applications get|logs get", "applications:events,get,logs,refresh operations:events,get,logs,refresh"},
		{"applications get|exec create", "applications:events,exec,get,refresh operations:events,exec,get,refresh"},
		{"applications get|applications action/apps/Deployment/restart", "applications:action,events,get,refresh operations:action,events,get,refresh"},
		{"applications create", "applications:create operations:create"},
		{"applications get|applications update", "applications:events,get,refresh,update operations:events,get,refresh,update"},
		{"applications get|applications delete", "applications:delete,events,get,refresh operations:delete,events,get,refresh"},
		{"applications get|applications delete/apps/Deployment/web/*", "applications:delete-object,events,get,refresh operations:delete-object,events,get,refresh"},
		{"applicationsets *", "applicationsets:create,delete,get,update"},
		{"repositories get", "repositories:get"},
		{"clusters *", "clusters:create,delete,get,proxy,update"}, // of clusters that are reserved for the project
	} {
		var csv strings.Builder
		for line := range strings.SplitSeq(c.lines, "|") {
			resource, action, _ := strings.Cut(line, " ")
			fmt.Fprintf(&csv, "p, alice, %s, %s, shop/*, allow\n", resource, action)
		}
		s := CompileWith(false, nil, rulesOf(t, map[string]string{KeyCSV: csv.String()}).For(user("alice")))
		var got []string
		for _, r := range Resources() {
			var verbs []string
			for _, v := range Verbs() {
				if r != Session && s.Decide(v, r, "shop", "web").Allowed {
					verbs = append(verbs, string(v))
				}
				if r != Session && (s.Decide(v, r, "bank", "web").Allowed || s.Decide(v, r, "", "web").Allowed || s.Decide(v, r, "", "").Allowed) {
					t.Errorf("%s: %s %s of another project", c.lines, v, r)
				}
			}
			if len(verbs) > 0 {
				got = append(got, string(r)+":"+strings.Join(verbs, ","))
			}
		}
		if strings.Join(got, " ") != c.may {
			t.Errorf("%s: %s", c.lines, got)
		}
	}
}

func TestASetOfAPolicy(t *testing.T) {
	rules := rulesOf(t, map[string]string{KeyCSV: `
p, alice, applications, get, shop/web, allow
p, alice, applications, action/apps/Deployment/*, shop/web, allow
p, alice, applications, action/apps/Deployment/pause, shop/web, deny
p, alice, projects, get, shop, allow
p, alice, clusters, get, eu, allow
p, alice, repositories, get, shop/https://git/x, allow
g, boss, role:admin
g, boss2, role:admin
p, boss2, applications, delete, */*, deny`})
	alice := CompileWith(false, []fleet.Grant{{Project: "bank", Role: "viewer"}}, rules.For(user("alice")))
	for _, c := range []struct {
		verb          Verb
		resource      Resource
		project, name string
		want          bool
	}{
		{Get, Applications, "shop", "web", true},
		{Get, Applications, "shop", "api", false},
		{Get, Applications, "bank", "api", true}, // by the grant
		{Sync, Applications, "bank", "api", false},
		{RunAction, Applications, "shop", "web", true},
		{Get, Projects, "shop", "shop", true},
		{Update, Projects, "shop", "shop", false},
		{Get, Clusters, "", "eu", true},
		{Get, Repositories, "shop", "https://git/x", true},
		{Get, Repositories, "shop", "https://git/y", false},
		{Get, Settings, "", "", false},
	} {
		if got := alice.Decide(c.verb, c.resource, c.project, c.name); got.Allowed != c.want || got.Rule == "" {
			t.Errorf("%+v: %+v", c, got)
		}
	}
	for action, want := range map[string]bool{"restart": true, "pause": false} {
		if alice.RunsAction("shop", "web", "apps", "Deployment", action).Allowed != want || alice.RunsAction("shop", "api", "apps", "Deployment", action).Allowed {
			t.Errorf("the action %s", action)
		}
	}
	if alice.RunsAction("shop", "web", "batch", "Job", "restart").Allowed {
		t.Error("an action on another kind")
	}
	for what, want := range map[string]bool{"shop/web": true, "shop/api": false, "bank/x": true} {
		project, name, _ := strings.Cut(what, "/")
		if alice.Sees(Applications, project, name) != want {
			t.Errorf("%s is seen: %v", what, !want)
		}
	}
	if alice.Admin() || !CompileWith(false, nil, rules.For(user("boss"))).Admin() {
		t.Error("who is an administrator")
	}
	boss2 := CompileWith(false, nil, rules.For(user("boss2")))
	if boss2.Admin() || boss2.Decide(Delete, Applications, "a", "b").Allowed || !boss2.Decide(Update, Settings, "", "").Allowed || !boss2.Decide(Sync, Applications, "a", "b").Allowed {
		t.Error("an administrator who may not delete")
	}
	if s := CompileWith(false, nil, (*Rules)(nil).For(user("@admin"))); s.Admin() || s.Decide(Get, Applications, "a", "b").Allowed || s.Visible("a") {
		t.Error("without a policy somebody may something")
	}
}

// What is resolved for lists equals the decisions, thing by thing.
func TestS01_TheSetOfThingsEqualsTheDecisions(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	pick := func(from ...string) string { return from[r.IntN(len(from))] }
	projects, names := []string{"shop", "bank", "sh", ""}, []string{"web", "api", "prod-1", "shop"}
	some, whole := 0, 0
	for range 250 {
		var b strings.Builder
		for range 1 + r.IntN(8) {
			fmt.Fprintf(&b, "p, %s, %s, %s, \"%s\", %s\n", pick("alice", "dev"), pick("applications", "*", "applicationsets", "logs", "repositories", "projects"),
				pick("get", "get", "*", "sync", "delete/*", "delete/apps/*", "action/*", "action/apps/*", "{get,delete}x", "update"), pick("*", "*/*", "shop/*", "*/web", "sh*/p*", "{shop,bank}/*", "shop", "bank/api"), pick("allow", "allow", "allow", "deny"))
		}
		text := strings.ReplaceAll(b.String(), "{get,delete}x", `"{get,delete}"`)
		if r.IntN(10) == 0 {
			text += "g, dev, role:admin\n"
		}
		var grants []fleet.Grant
		if r.IntN(3) == 0 {
			grants = append(grants, fleet.Grant{Project: pick("sh*", "bank"), Role: pick(Roles()...)})
		}
		s := CompileWith(false, grants, rulesOf(t, map[string]string{KeyCSV: text}).For(user(pick("alice", "alice/dev"))))
		for _, resource := range []Resource{Applications, Operations, ApplicationSets, Settings, Repositories} {
			for _, verb := range Verbs() {
				scope := s.Projects(verb, resource, 1, projects)
				for _, p := range projects {
					for _, n := range names {
						d := s.Decide(verb, resource, p, n)
						if p == "" && resource == Repositories { // those of no project are no project's
							continue
						}
						if d.Allowed != scope.Allows(p, n) || d.Allowed && !scope.Has(p) {
							t.Fatalf("%s%+v: %s %s %q/%s: decided %+v, resolved %v", text, grants, verb, resource, p, n, d, !d.Allowed)
						}
					}
					if scope.Whole(p) {
						whole++
					} else if scope.Has(p) {
						some++
					}
				}
			}
		}
	}
	if some < 100 || whole < 100 {
		t.Errorf("only %d and %d", some, whole)
	}
}

// BenchmarkPolicyResolve answers which of 10,000 applications in 100 projects a
// user with 50 rules may see: compiled and resolved anew, and from what is kept.
func BenchmarkPolicyResolve(b *testing.B) {
	var projects []string
	for i := range 100 {
		projects = append(projects, fmt.Sprintf("team-%02d", i))
	}
	type app struct{ project, name string }
	apps := make([]app, 10000)
	for i := range apps {
		apps[i] = app{projects[i%100], fmt.Sprintf("web-%d", i)}
	}
	var csv strings.Builder
	for i := range 50 {
		object := []string{"team-%02d/*", "team-%02d*/web-1*", "*/web-%d", "{team-%02d,other}/*-7?"}[i%4]
		fmt.Fprintf(&csv, "p, alice, applications, get, \""+object+"\", %s\n", i*2, []string{"allow", "allow", "allow", "allow", "deny"}[i%5])
	}
	rules := rulesOf(b, map[string]string{KeyCSV: csv.String()})
	count := func(scope Scope) (n int) {
		for _, a := range apps {
			if scope.Allows(a.project, a.name) {
				n++
			}
		}
		return n
	}
	want := 0
	for e, i := rules.For(user("alice")), 0; i < len(apps); i++ {
		if e.Can("applications", "get", apps[i].project+"/"+apps[i].name, apps[i].project).Allowed {
			want++
		}
	}
	b.Run("cold", func(b *testing.B) {
		for b.Loop() {
			if got := count(CompileWith(false, nil, rules.For(user("alice"))).Projects(Get, Applications, 1, projects)); got != want {
				b.Fatal(got, want)
			}
		}
	})
	s := CompileWith(false, nil, rules.For(user("alice")))
	b.Run("kept", func(b *testing.B) {
		for b.Loop() {
			if !s.Projects(Get, Applications, 1, projects).Has("team-00") {
				b.Fatal("nothing")
			}
		}
	})
}

func TestDeletingObjectsByAPolicy(t *testing.T) {
	rules := rulesOf(t, map[string]string{KeyCSV: `
p, alice, applications, get, shop/*, allow
p, alice, applications, delete/*/Pod/*, shop/web, allow
p, alice, applications, delete/*/Pod/prod/*, shop/web, deny
p, alice, applications, delete, shop/api, allow
p, bob, applications, delete/*, shop/web, allow`})
	alice, bob := CompileWith(false, nil, rules.For(user("alice"))), CompileWith(false, nil, rules.For(user("bob")))
	editor := Compile(false, []fleet.Grant{{Project: "shop", Role: "editor"}})
	operator := Compile(false, []fleet.Grant{{Project: "shop", Role: "operator"}})
	for _, c := range []struct {
		set                         *Set
		app, kind, namespace, named string
		want                        bool
	}{
		{alice, "web", "Pod", "dev", "a", true},
		{alice, "web", "Pod", "prod", "a", false},
		{alice, "web", "Secret", "dev", "a", false},
		{alice, "api", "Pod", "dev", "a", false}, // who may delete the application may not therefore
		{bob, "web", "Pod", "dev", "a", false},   // what is not seen
		{editor, "web", "Pod", "dev", "a", true},
		{operator, "web", "Pod", "dev", "a", false},
	} {
		if got := c.set.DeletesObject("shop", c.app, "", c.kind, c.namespace, c.named); got.Allowed != c.want {
			t.Errorf("%s %s/%s of %s: %+v", c.kind, c.namespace, c.named, c.app, got)
		}
		if c.want && !c.set.Decide(DeleteObject, Applications, "shop", c.app).Allowed {
			t.Errorf("%s: may delete some, and is not let in", c.app)
		}
	}
}
