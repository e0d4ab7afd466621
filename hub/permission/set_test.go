package permission

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/hub/fleet"
)

func grants(text string) []fleet.Grant {
	var out []fleet.Grant
	for _, part := range strings.Fields(text) {
		role, project, _ := strings.Cut(part, ":")
		out = append(out, fleet.Grant{Project: project, Role: role})
	}
	return out
}

func TestRolesAllowTheirVerbs(t *testing.T) {
	may := map[string]string{
		"viewer":   "events get logs",
		"operator": "action events exec get logs refresh rollback sync terminate",
		"editor":   "action create delete delete-object events exec get logs refresh rollback sync terminate update",
	}
	for role, want := range may {
		s := Compile(false, grants(role+":team-*"))
		for _, resource := range []Resource{Applications, Operations, ApplicationSets} {
			var got []string
			for _, v := range Verbs() {
				if s.Decide(v, resource, "team-a", "x").Allowed {
					got = append(got, string(v))
				}
				if s.Decide(v, resource, "other", "x").Allowed || s.Decide(v, resource, "", "x").Allowed {
					t.Errorf("%s may %s %s of another project", role, v, resource)
				}
			}
			if strings.Join(got, " ") != want {
				t.Errorf("%s, %s: got %s", role, resource, got)
			}
		}
	}
}

func TestWhatIsOfNoProjectIsForAdministrators(t *testing.T) {
	editor, administrator := Compile(false, grants("editor:*")), Compile(true, nil)
	for _, r := range Resources() {
		for _, v := range append(Verbs(), "unheard-of") {
			want := r == Session || slices.Contains([]Resource{Applications, Operations, ApplicationSets}, r) && v != "unheard-of" && v != Proxy ||
				slices.Contains([]Resource{Projects, Clusters, Repositories}, r) && v == Get
			if got := editor.Decide(v, r, "p", "x"); got.Allowed != want || got.Rule == "" {
				t.Errorf("editor of everything: %s %s: %+v", v, r, got)
			}
			if !administrator.Decide(v, r, "", "").Allowed {
				t.Errorf("administrator: %s %s", v, r)
			}
		}
	}
	if editor.Decide(Get, "unheard-of", "p", "x").Allowed {
		t.Error("a resource that nobody has thought of is allowed")
	}
}

func TestTheHighestRoleCounts(t *testing.T) {
	s := Compile(false, grants("viewer:* editor:team-a operator:team-{a,b}"))
	for _, c := range []struct {
		verb    Verb
		project string
		allowed bool
		rule    string
	}{
		{Update, "team-a", true, `grant 2: editor in "team-a"`},
		{Update, "team-b", false, `grant 3 is operator in "team-{a,b}"; to update applications takes editor`},
		{Sync, "team-b", true, `grant 3: operator in "team-{a,b}"`},
		{Sync, "other", false, `grant 1 is viewer in "*"; to sync applications takes operator`},
		{Get, "other", true, `grant 1: viewer in "*"`},
	} {
		if got := s.Decide(c.verb, Applications, c.project, "web"); got != (Decision{c.allowed, c.rule}) {
			t.Errorf("%s in %s: %+v", c.verb, c.project, got)
		}
	}
	if got := Compile(false, nil).Decide(Get, Applications, "p", "web"); got != (Decision{false, `no grant names the project of application "web"`}) {
		t.Errorf("got %+v", got)
	}
}

func TestCheck(t *testing.T) {
	for _, c := range []struct{ grants, want string }{
		{"viewer:a editor:team-* operator:[ab]*", ""},
		{"viewr:a", `role "viewr" is unknown; did you mean "viewer"?`},
		{"admin:a", `role "admin" is unknown`},
		{"viewer:", "is not a name"},
		{"viewer:!a", "is not a name"},
		{"viewer:[a", `"[" without "]"`},
		{strings.Repeat("viewer:a ", MaxGrants+1), "at most 100"},
	} {
		got := Check("grants", grants(c.grants))
		if (len(got) == 0) != (c.want == "") || c.want != "" && !strings.Contains(got.Error(), c.want) {
			t.Errorf("%.40s: %v", c.grants, got)
		}
		if s := Compile(false, grants(c.grants)); c.want != "" && !strings.Contains(c.want, "at most") && s.Visible("a") {
			t.Errorf("%s gives something", c.grants)
		}
	}
}

func TestTheSetOfProjectsEqualsTheDecisions(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	pieces := []string{"a", "b", "team", "-", "*", "?", "[ab]", "{a,b}", "1"}
	word := func(from []string) string {
		var b strings.Builder
		for range 1 + r.IntN(4) {
			b.WriteString(from[r.IntN(len(from))])
		}
		return b.String()
	}
	for round := range 300 {
		var g []fleet.Grant
		for range r.IntN(5) {
			g = append(g, fleet.Grant{Project: word(pieces), Role: Roles()[r.IntN(3)]})
		}
		s := Compile(r.IntN(20) == 0, g)
		for version := range 2 {
			var known []string
			for range 20 {
				known = append(known, word(pieces[:4]))
			}
			for _, resource := range Resources() {
				for _, verb := range Verbs() {
					scope := s.Projects(verb, resource, uint64(version), known)
					for _, p := range known {
						if d := s.Decide(verb, resource, p, "x"); d.Allowed != scope.Has(p) {
							t.Fatalf("round %d, %+v: %s %s in %s: decided %v, set %v", round, g, verb, resource, p, d, scope.Has(p))
						}
					}
				}
			}
		}
	}
}

func fifty() []fleet.Grant {
	var g []fleet.Grant
	for i := range 50 {
		g = append(g, fleet.Grant{Project: fmt.Sprintf("team-%02d*", i*2), Role: Roles()[i%3]})
	}
	return g
}

// BenchmarkResolve answers which of 10,000 applications in 100 projects a token
// with 50 grants may see: compiled and resolved anew, and from what is kept.
func BenchmarkResolve(b *testing.B) {
	var projects []string
	for i := range 100 {
		projects = append(projects, fmt.Sprintf("team-%02d", i))
	}
	of := make([]string, 10000)
	for i := range of {
		of[i] = projects[i%100]
	}
	count := func(scope Scope) (n int) {
		for _, p := range of {
			if scope.Has(p) {
				n++
			}
		}
		return n
	}
	b.Run("cold", func(b *testing.B) {
		for b.Loop() {
			if count(Compile(false, fifty()).Projects(Get, Applications, 1, projects)) != 5000 {
				b.Fatal("wrong")
			}
		}
	})
	s := Compile(false, fifty())
	b.Run("kept", func(b *testing.B) {
		for b.Loop() {
			if s.Projects(Get, Applications, 1, projects).Len() != 50 {
				b.Fatal("wrong")
			}
		}
	})
}
