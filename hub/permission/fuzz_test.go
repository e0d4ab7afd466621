package permission

import (
	"strings"
	"testing"
)

// FuzzRules reads policies of strangers: nothing panics, who is not named has
// nothing, and what is resolved for a list equals the decisions.
func FuzzRules(f *testing.F) {
	f.Add(teams, "", "role:dev", "p, proj:shop:ci, applications, sync, shop/*, allow")
	f.Add("p, alice, ^app, .*, (a|b)+, deny", "regex", "", `"`)
	f.Add("p, alice, applications, get, \"{a,{b,[!c]}}/\\*?\", allow\ng, alice, alice", "glob", "alice", "g, x, y")
	f.Fuzz(func(t *testing.T, csv, mode, role, line string) {
		r, err := CompileRules(map[string]string{KeyCSV: csv, KeyMatchMode: mode, KeyDefault: role}, []ProjectRole{{Project: "shop", Role: "ci", Policies: []string{line}, Groups: []string{"dev"}}})
		if err != nil {
			return
		}
		for _, s := range []Subject{{Name: "alice", Groups: []string{"dev"}}, {Project: "shop", Role: "ci"}} {
			set := CompileWith(false, nil, r.For(s))
			for _, verb := range []Verb{Get, Sync} {
				scope := set.Projects(verb, Applications, 1, []string{"shop", "bank"})
				for _, project := range []string{"shop", "bank"} {
					if d := set.Decide(verb, Applications, project, "web"); d.Allowed != scope.Allows(project, "web") {
						t.Fatalf("%+v: %s in %s: decided %+v", s, verb, project, d)
					}
				}
			}
		}
		// A line of a project's role gives nothing in other projects.
		if !strings.Contains(csv, "shop") {
			if e := r.For(Subject{Project: "shop", Role: "ci"}); e.Can("applications", "get", "bank/web", "bank").Allowed {
				t.Fatal("a token of a role reaches another project")
			}
		}
		if r.For(Subject{}).Can("applications", "get", "shop/web", "shop").Allowed {
			t.Fatal("nobody may something")
		}
	})
}
