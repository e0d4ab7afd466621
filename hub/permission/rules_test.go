package permission

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/shared/policy"
)

func rulesOf(t testing.TB, keys map[string]string, roles ...ProjectRole) *Rules {
	t.Helper()
	r, err := CompileRules(keys, roles)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// user parses "name/group/group": with "@" before it the user is the hub's own,
// with "proj:" it is the token of a project's role.
func user(text string) Subject {
	if rest, ok := strings.CutPrefix(text, "token:"); ok {
		project, role, _ := strings.Cut(rest, ":")
		return Subject{Project: project, Role: role}
	}
	text, local := strings.CutPrefix(text, "@")
	parts := strings.Split(text, "/")
	return Subject{Name: parts[0], Groups: parts[1:], Local: local}
}

const teams = `
# comments and empty lines are nothing

p, role:dev, applications, get, shop/*, allow
p, role:dev, applications, sync, shop/*, allow
p, role:dev, applications, sync, shop/prod-*, deny
  p,role:dev , "applications",  action/apps/Deployment/*, shop/*, allow
p, role:ops, *, *, shop/*, allow
p, role:lead, applications, delete, shop/web, allow
p, carol, applications, *, bank/?b, allow
p, carol, logs, get, bank/[a-c]b, allow
p, everybody, exec, create, "{shop,bank}/x", allow
p, loop-b, projects, get, shop, allow
p, "a,b", clusters, get, eu, allow
g, alice, role:dev
g, bob, role:lead
g, role:lead, role:dev
g, developers, role:dev
g, operators, role:ops
g, boss, role:admin
g, boss2, role:admin
p, boss2, applications, delete, */*, deny
g, loop-a, loop-b
g, loop-b, loop-a
`

func TestDecisionsOfAPolicy(t *testing.T) {
	for _, c := range []struct {
		subject, question string
		want              bool
	}{
		{"alice", "applications get shop/web", true},
		{"alice", "applications get bank/web", false},
		{"alice", "applications get shop", false},
		{"alice", "applicationsets get shop/web", false},
		{"alice", "applications sync shop/web", true},
		{"alice", "applications sync shop/prod-web", false},
		{"alice", "applications delete shop/web", false},
		{"alice", "applications action/apps/Deployment/restart shop/web", true},
		{"alice", "applications action/batch/CronJob/run shop/web", false},
		{"ALICE", "applications get shop/web", false},
		{"", "applications get shop/web", false},
		{"role:dev", "applications get shop/web", false}, // no name of a user
		{"x/role:dev", "applications get shop/web", false},
		{"role:admin", "applications get shop/web", false},
		{"x/role:admin/proj:shop:ci", "applications get shop/web", false},
		// A role of a role.
		{"bob", "applications delete shop/web", true},
		{"bob", "applications sync shop/web", true},
		{"bob", "applications sync shop/prod-web", false},
		// Groups, and a denial that is another's.
		{"x/developers", "applications sync shop/web", true},
		{"x/developers", "applications sync shop/prod-web", false},
		{"x/developers/operators", "applications sync shop/prod-web", true},
		{"alice/operators", "applications sync shop/prod-web", true},
		{"/operators", "logs get shop/web", true},
		// Globs.
		{"carol", "applications update bank/ab", true},
		{"carol", "applications update bank/aab", false},
		{"carol", "logs get bank/bb", true},
		{"carol", "logs get bank/db", false},
		{"everybody", "exec create bank/x", true},
		{"everybody", "exec create other/x", false},
		{"x/everybody", "exec create bank/x", true},
		{"a,b", "clusters get eu", true},
		{"a", "clusters get eu", false},
		// Administrators.
		{"boss", "settings anything at-all", true},
		{"boss2", "applications get a/b", true},
		{"boss2", "applications delete a/b", false},
		{"admin", "applications get a/b", false}, // somebody else's admin
		{"@admin", "applications get a/b", true},
		{"x/admin", "applications get a/b", false},
		{"@alice", "applications get shop/web", true},
		// Roles in a circle.
		{"loop-a", "projects get shop", true},
		{"loop-b", "projects get shop", true},
	} {
		r := rulesOf(t, map[string]string{KeyCSV: teams})
		resource, rest, _ := strings.Cut(c.question, " ")
		action, object, _ := strings.Cut(rest, " ")
		project, _, _ := strings.Cut(object, "/")
		if got := r.For(user(c.subject)).Can(resource, action, object, project); got.Allowed != c.want || got.Rule == "" {
			t.Errorf("%s: %s: %+v", c.subject, c.question, got)
		}
	}
}

func TestTheDefaultRole(t *testing.T) {
	r := rulesOf(t, map[string]string{KeyDefault: RoleReadOnly, KeyCSV: "p, alice, applications, get, shop/secret, deny\np, alice, applications, sync, shop/*, allow"})
	for _, c := range []struct {
		subject, action, object string
		want                    bool
	}{
		{"alice", "get", "shop/web", true},
		{"alice", "get", "shop/secret", true}, // what the default role gives nothing takes away
		{"alice", "sync", "shop/web", true},
		{"bob", "get", "shop/web", true},
		{"bob", "sync", "shop/web", false},
		{"/some-group", "get", "shop/web", true},
		{"", "get", "shop/web", false}, // nobody has logged in
		{"token:shop:ci", "get", "shop/web", false},
	} {
		if got := r.For(user(c.subject)).Can("applications", c.action, c.object, "shop"); got.Allowed != c.want {
			t.Errorf("%+v: %+v", c, got)
		}
	}
	if r.DefaultRole() != RoleReadOnly {
		t.Error(r.DefaultRole())
	}
	// Nor does a denial within the default role reach further than it.
	r = rulesOf(t, map[string]string{KeyDefault: "role:d", KeyCSV: "p, role:d, applications, *, */*, allow\np, role:d, applications, delete, */*, deny\np, alice, applications, delete, */*, allow"})
	if !r.For(user("alice")).Can("applications", "delete", "a/b", "a").Allowed || r.For(user("bob")).Can("applications", "delete", "a/b", "a").Allowed {
		t.Error("a denial of the default role")
	}
}

func TestTheBuiltInRoles(t *testing.T) {
	// In every mode.
	for _, mode := range []string{"", "glob", "regex", " regex\n"} {
		r := rulesOf(t, map[string]string{KeyMatchMode: mode, KeyCSV: "g, reader, role:readonly\ng, boss, role:admin"})
		reader, boss := r.For(user("reader")), r.For(user("boss"))
		for resource, actions := range resourceActions {
			for _, action := range actions {
				for _, object := range []string{"shop/web", "shop", "https://x"} {
					want := action == "get" && (strings.Contains(object, "/") || !slices.Contains(ofProjects, resource))
					if got := reader.Can(resource, action, object, ""); got.Allowed != want {
						t.Errorf("%s: reader: %s %s %s: %+v", mode, resource, action, object, got)
					}
					if !boss.Can(resource, action, object, "").Allowed {
						t.Errorf("%s: boss: %s %s %s", mode, resource, action, object)
					}
				}
			}
		}
		if !boss.Admin() || reader.Admin() {
			t.Error("who is an administrator")
		}
	}
	r := rulesOf(t, map[string]string{KeyCSV: teams})
	for who, want := range map[string][2]bool{"boss": {true, true}, "boss2": {false, true}, "x/boss": {true, true}, "alice": {}, "@admin": {true, true}, "admin": {}, "role:admin": {}} {
		if e := r.For(user(who)); e.Admin() != want[0] || e.hasAdmin() != want[1] {
			t.Errorf("%s: %v, %v", who, e.Admin(), e.hasAdmin())
		}
	}
}

func TestRegularExpressions(t *testing.T) {
	r := rulesOf(t, map[string]string{KeyMatchMode: "regex", KeyCSV: `
p, alice, ^applications$, ^(get|sync)$, "^shop/(web|api-[0-9]{1,3})$", allow
p, bob, repositories, get, shop, allow
p, bob, .*, sync, prod, deny
p, bob, applications, .*, .*, allow`})
	for _, c := range []struct {
		who, question string
		want          bool
	}{
		{"alice", "applications get shop/web", true},
		{"alice", "applications get shop/web2", false},
		{"alice", "applications sync shop/api-12", true},
		{"alice", "applicationsets get shop/web", false},
		{"bob", "write-repositories get my-shop/x", true}, // as in Argo CD: anywhere
		{"bob", "applications sync a/production", false},
		{"bob", "applications sync a/b", true},
	} {
		f := strings.Fields(c.question)
		if got := r.For(user(c.who)).Can(f[0], f[1], f[2], ""); got.Allowed != c.want {
			t.Errorf("%s: %s: %+v", c.who, c.question, got)
		}
	}
	if w := r.Warnings().Error(); !strings.Contains(w, `"repositories" matches anywhere`) {
		t.Errorf("warnings: %s", w)
	}
}

func TestRolesOfProjects(t *testing.T) {
	r := rulesOf(t, map[string]string{KeyCSV: "p, dev, applications, delete, shop/*, deny\ng, proj:shop:ci, role:more\np, role:more, logs, get, */*, allow"},
		ProjectRole{Project: "shop", Role: "ci", Groups: []string{"dev", "comma, group", "role:admin"}, Policies: []string{
			"p, proj:shop:ci, applications, sync, shop/*, allow",
			"p, proj:shop:ci, applications, delete, shop/*, allow",
			"p, proj:shop:ci, applications, sync, shop/prod, deny",
			// What follows is not this role's to say.
			"p, proj:shop:ci, applications, *, */*, allow",
			"p, proj:shop:ci, applications, *, shop*, allow",
			"p, proj:shop:ci, applications, *, bank/*, allow",
			"p, proj:bank:ci, applications, *, bank/*, allow",
			"p, proj:shop:ci, projects, update, shop/*, allow",
			"p, proj:shop:ci, accounts, update, shop/*, allow",
			"p, role:admin, applications, *, shop/*, allow",
			"g, proj:shop:ci, role:admin",
			"p, proj:shop:ci, applications, get, shop/*, allow\ng, mallory, role:admin",
			"p, proj:shop:ci, applications, get, shop/*, yes",
			"p, proj:shop:ci, applications, get, shop/[, allow",
			"p", "", `"`,
		}},
		ProjectRole{Project: "bank", Role: "ci", Policies: []string{"p, proj:bank:ci, applications, *, bank/*, allow"}})
	for _, c := range []struct {
		who, question string
		want          bool
	}{
		{"token:shop:ci", "applications sync shop/web", true},
		{"token:shop:ci", "applications sync shop/prod", false},
		{"token:shop:ci", "applications get shop/web", false},
		{"token:shop:ci", "applications sync bank/web", false},
		{"token:shop:ci", "applications delete shop/web", true},
		{"token:shop:ci", "projects get shop", true},
		{"token:shop:ci", "projects get bank", false},
		{"token:shop:ci", "projects update shop", false},
		{"token:shop:ci", "logs get shop/web", true},  // the policy's word about the role,
		{"token:shop:ci", "logs get bank/web", false}, // in its project
		{"token:shop:ci", "clusters get eu", false},
		{"token:shop:other", "applications sync shop/web", false},
		{"token:other:ci", "applications sync shop/web", false},
		{"token:bank:ci", "applications delete bank/web", true},
		{"token:bank:ci", "applications delete shop/web", false},
		{"x/dev", "applications sync shop/web", true},
		{"x/dev", "applications delete shop/web", false}, // the policy's denial stands
		{"x/dev", "projects get shop", true},
		{"x/dev", "applications sync bank/web", false},
		{"x/comma, group", "applications sync shop/web", true},
		{"x/comma", "applications sync shop/web", false},
		{"x/role:admin", "applications sync shop/web", false},
		{"mallory", "applications get shop/web", false},
		{"proj:shop:ci", "applications sync shop/web", false}, // a user of that name
	} {
		f := strings.Fields(c.question)
		project, _, _ := strings.Cut(f[2], "/")
		if got := r.For(user(c.who)).Can(f[0], f[1], f[2], project); got.Allowed != c.want {
			t.Errorf("%s: %s: %+v", c.who, c.question, got)
		}
	}
	if n := len(r.Warnings()); n != 15 {
		t.Errorf("%d warnings: %v", n, r.Warnings())
	}
	if r.For(user("token:shop:ci")).hasAdmin() {
		t.Error("a token of a role is an administrator's")
	}
}

// Every line that cannot be read is named, and a policy with one is not used.
func TestS03_LinesThatCannotBeRead(t *testing.T) {
	for _, c := range []struct{ key, text, want string }{
		{KeyCSV, "x, a, b", `line 1 begins with "x"`},
		{KeyCSV, "\n  p, alice, applications, get, */*, perhaps", "line 2, column 37: the effect"},
		{KeyCSV, "p, alice, , get, */*, allow", "line 1, column 11: the resource is missing"},
		{KeyCSV, " p, alice, applications, g\"et, */*, allow", "line 1, column 27: "},
		{KeyScopes, "[groups, email]", `the claim "email"`},
		{KeyScopes, "email", `the claim "email"`},
		{KeyScopes, "{a: b}", "scopes is no list"},
		{KeyCSV, "\n\np, alice, applications, get, */*", "line 3: a p line has 6 parts"},
		{KeyCSV, "p, alice, applications, get, */*, Allow", `the effect is "Allow"`},
		{KeyCSV, "p, alice, applications, get, */*, allow, x", "has 6 parts"},
		{KeyCSV, "p, , applications, get, */*, allow", "has 6 parts"},
		{KeyCSV, "p, alice, , get, */*, allow", "the resource is missing"},
		{KeyCSV, "p, alice, applications, get, [, allow", "object: pattern"},
		{KeyCSV, "p, alice, applications, get, " + strings.Repeat("x", 513) + ", allow", "the limit is 512"},
		{KeyCSV, `p, "alice, applications, get, */*, allow`, "cannot be read"},
		{KeyCSV, "g, alice", "a g line has 3 parts"},
		{KeyCSV, "g, alice, a, b", "a g line has 3 parts"},
		{"policy.more.csv", "q", `line 1 begins with "q"`},
		{KeyMatchMode, "fuzzy", "it is glob or regex"},
		{KeyCSV, strings.Repeat("g, a, b\n", MaxRules+1), "more than 10000 lines"},
	} {
		r, err := CompileRules(map[string]string{c.key: c.text}, nil)
		if err == nil || r != nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.60q: %v", c.text, err)
		}
	}
	_, err := CompileRules(map[string]string{KeyMatchMode: "regex", KeyCSV: "p, alice, applications, get, (, allow"}, nil)
	if err == nil || !strings.Contains(err.Error(), "no regular expression") {
		t.Errorf("%v", err)
	}
	var none *Rules
	if none.For(Subject{Name: "alice", Local: true}).Can("applications", "get", "a/b", "a").Allowed || (&Rules{}).For(Subject{Name: builtinAdmin, Local: true}).Can("x", "y", "z", "").Allowed {
		t.Error("no policy allows something")
	}
}

// Names with what separates things in policies are names and nothing else.
func TestS03_NamesCannotWriteAPolicy(t *testing.T) {
	for _, name := range []string{
		"x, role:admin", "x\ng, mallory, role:admin", "*", `"`, "x\np, mallory, *, *, *, allow", "a/b", "a:b", "role:admin", "proj:shop:ci", "{role:admin,x}", "", " ", "role:admin\n",
	} {
		r := rulesOf(t, map[string]string{KeyCSV: "p, role:x, *, *, *, allow\np, dev, *, *, *, allow"},
			ProjectRole{Project: "shop", Role: name, Groups: []string{name}, Policies: []string{"p, proj:shop:" + name + ", applications, get, shop/*, allow"}},
			ProjectRole{Project: name, Role: "r", Groups: []string{name}, Policies: []string{"p, proj:" + name + ":r, applications, get, bank/*, allow"}})
		for _, s := range []Subject{{Name: "mallory"}, {Name: name}, {Groups: []string{name}}, {Name: name, Groups: []string{name, "mallory"}}, {Project: name, Role: "r"}, {Project: "shop", Role: name}} {
			e := r.For(s)
			if e.Admin() || e.hasAdmin() || e.Can("applications", "get", "bank/web", "bank").Allowed || e.Can("clusters", "delete", "eu", "").Allowed {
				t.Errorf("%q as %+v may something", name, s)
			}
		}
	}
}

func TestWarnings(t *testing.T) {
	for _, c := range []struct {
		keys map[string]string
		want string
	}{
		{map[string]string{KeyCSV: "p, a, application, get, */*, allow"}, `the resource "application" is unknown; did you mean "applications"?`},
		{map[string]string{KeyCSV: "p, a, applications, synk, */*, allow"}, `applications have no action "synk"; did you mean "sync"?`},
		{map[string]string{KeyCSV: "p, a, applications, get, web, allow"}, `the object "web" is no project/name`},
		{map[string]string{KeyCSV: "g, a, role:gone"}, `policy.csv line 1 gives the role "role:gone"`},
		{map[string]string{KeyDefault: "role:gone"}, `no line is about the role "role:gone"`},
		{map[string]string{KeyCSV: teams, KeyDefault: "role:readonly", KeyScopes: "[groups]"}, ""},
		{map[string]string{KeyCSV: "p, a, applications, get, *, allow\np, a, *, x, web, allow\np, a, clusters, get, https://x, allow\np, a, applications, delete/*/Pod/*/*, a/b, allow"}, ""},
	} {
		w := rulesOf(t, c.keys).Warnings()
		if (len(w) == 0) != (c.want == "") || c.want != "" && !strings.Contains(w.Error(), c.want) {
			t.Errorf("%v: %v", c.keys, w)
		}
	}
}

// plain reads a policy anew for every question, in the words of Argo CD's
// documentation, and with the expressions of the standard library.
func plain(keys map[string]string, s Subject, resource, action, object string) bool {
	var p [][]string
	g := map[string][]string{}
	for line := range strings.Lines(keys[KeyCSV]) {
		f := strings.Split(strings.ReplaceAll(strings.TrimSpace(line), `"`, ""), ", ")
		if f[0] == "g" {
			g[f[1]] = append(g[f[1]], f[2])
		} else if f[0] == "p" {
			p = append(p, f[1:])
		}
	}
	match := func(pattern, text string) bool {
		if keys[KeyMatchMode] == "regex" {
			return regexp.MustCompile(pattern).MatchString(text)
		}
		glob, _ := policy.CompileGlob(pattern, "")
		return glob.Match(text)
	}
	var is func(name, role string, depth int) bool
	is = func(name, role string, depth int) bool {
		return name == role || depth > 0 && slices.ContainsFunc(g[name], func(next string) bool { return is(next, role, depth-1) })
	}
	asked := func(name string) bool {
		allowed := false
		for _, f := range p {
			if is(name, f[0], 6) && match(f[1], resource) && match(f[2], action) && match(f[3], object) {
				if f[4] == "deny" {
					return false
				}
				allowed = true
			}
		}
		return allowed
	}
	return keys[KeyDefault] != "" && asked(keys[KeyDefault]) || asked(s.Name) || slices.ContainsFunc(s.Groups, asked)
}

// Random policies are decided as the plain reading does, and what is resolved for
// all things of a project equals the decisions.
func TestDecisionsEqualAPlainReading(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	pick := func(from []string) string { return from[r.IntN(len(from))] }
	subjects := []string{"alice", "bob", "dev", "ops", "role:a", "role:b", "role:c"}
	resources := []string{"applications", "logs", "applicationsets"}
	actions := []string{"get", "sync", "delete", "action/apps/Deployment/restart"}
	objects := []string{"shop/web", "shop/api", "shop/prod-1", "bank/web", "sh/web", "shop-2/web"}
	words := map[string][3][]string{
		"glob": {append([]string{"*", "app*"}, resources...), append([]string{"*", "action/*", "{get,sync}"}, actions...),
			append([]string{"*", "*/*", "shop/*", "sh*", "*/web", "{shop,bank}/*", "shop/prod-?", "[!b]*/*", "shop*/w*"}, objects...)},
		"regex": {append([]string{".*", "^app", "s$"}, resources...), append([]string{".*", "^action/", "get|sync"}, actions...),
			append([]string{".*", "^shop/", "web$", "^(shop|bank)/.*$", "prod-[0-9]+"}, objects...)},
	}
	allowed, asked, open := 0, 0, 0
	for range 60 {
		mode := []string{"glob", "regex"}[r.IntN(2)]
		var b strings.Builder
		for range 1 + r.IntN(8) {
			if r.IntN(3) == 0 {
				fmt.Fprintf(&b, "g, %s, %s\n", pick(subjects), pick(subjects[2:]))
				continue
			}
			w := words[mode]
			fmt.Fprintf(&b, "p, %s, \"%s\", \"%s\", \"%s\", %s\n", pick(subjects), pick(w[0]), pick(w[1]), pick(w[2]), pick([]string{"allow", "allow", "deny"}))
		}
		keys := map[string]string{KeyCSV: b.String(), KeyMatchMode: mode}
		if r.IntN(3) == 0 {
			keys[KeyDefault] = pick(subjects[4:])
		}
		rules := rulesOf(t, keys)
		for range 4 {
			s := Subject{Name: pick(subjects[:4])}
			for range r.IntN(3) {
				s.Groups = append(s.Groups, pick(subjects[2:4]))
			}
			e := rules.For(s)
			for _, resource := range resources {
				for _, action := range actions {
					for _, object := range objects {
						project, name, _ := strings.Cut(object, "/")
						asked++
						want := plain(keys, s, resource, action, object)
						if want {
							allowed++
						}
						if got := e.Can(resource, action, object, project); got.Allowed != want {
							t.Fatalf("%s\n%s of %v: %s %s %s: %+v", keys, mode, s, resource, action, object, got)
						}
						resolved := e.within(resource, action, project)
						if resolved.open {
							open++
						}
						if resolved.has(project, name) != want {
							t.Fatalf("%s\n%s of %v: %s %s %s: resolved %+v", keys, mode, s, resource, action, object, resolved)
						}
					}
				}
			}
		}
	}
	if allowed < asked/20 || open < asked/20 {
		t.Errorf("of %d only %d are allowed, %d open", asked, allowed, open)
	}
}
