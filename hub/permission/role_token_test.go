package permission

import (
	"strings"
	"testing"
)

// A policy gives the tokens of a role everything there is, in each of the ways in
// which that can be written.
func TestS01_TestS03_TokensOfRolesNeverWriteTheirProject(t *testing.T) {
	for what, keys := range map[string]map[string]string{
		"lines":        {KeyCSV: "p, proj:shop:ci, *, *, *, allow\np, proj:shop:ci, projects, *, shop, allow\n"},
		"role:admin":   {KeyCSV: "g, proj:shop:ci, role:admin\n"},
		"default role": {KeyDefault: RoleAdmin, KeyCSV: "p, proj:shop:ci, projects, update, shop, allow\n"},
		"expressions":  {KeyMatchMode: "regex", KeyCSV: "p, proj:shop:ci, .*, .*, .*, allow\n"},
	} {
		t.Run(what, func(t *testing.T) {
			rules, err := CompileRules(keys, []ProjectRole{{Project: "shop", Role: "ci", Policies: []string{"p, proj:shop:ci, applications, *, shop/*, allow"}}, {Project: "bank", Role: "ci"}})
			if err != nil {
				t.Fatal(err)
			}
			e := rules.For(Subject{Project: "shop", Role: "ci"})
			set := CompileWith(false, nil, e)
			if set.Admin() {
				t.Error("it is an administrator's")
			}
			if d := set.Decide(Sync, Applications, "shop", "web"); !d.Allowed {
				t.Errorf("its own application: %s", d.Rule)
			}
			if d := set.Decide(Get, Projects, "shop", "shop"); !d.Allowed {
				t.Errorf("it does not see its project: %s", d.Rule)
			}
			for _, verb := range []Verb{Create, Update, Delete, Sync, Exec} {
				for _, project := range []string{"shop", "bank", "new"} {
					if d := set.Decide(verb, Projects, project, project); d.Allowed || d.Rule == "" {
						t.Errorf("%s project %s: %+v", verb, project, d)
					}
					if v := e.Can("projects", string(verb), project, project); v.Allowed {
						t.Errorf("%s project %s: %+v", verb, project, v)
					}
				}
			}
			for _, resource := range []Resource{Settings, Tokens, Accounts, EnrolmentTokens, Templates, Hub, Audit} {
				for _, verb := range Verbs() {
					if d := set.Decide(verb, resource, "", ""); d.Allowed {
						t.Errorf("%s %s is allowed: %s", verb, resource, d.Rule)
					}
				}
			}
			for _, resource := range []Resource{Applications, Operations, ApplicationSets, Repositories, Clusters} {
				for _, verb := range Verbs() {
					if d := set.Decide(verb, resource, "bank", "x"); d.Allowed {
						t.Errorf("%s %s of another project is allowed: %s", verb, resource, d.Rule)
					}
					if d := set.Decide(verb, resource, "", "x"); d.Allowed {
						t.Errorf("%s %s of no project is allowed: %s", verb, resource, d.Rule)
					}
				}
			}
			if v := e.Can("projects", "update", "shop", "shop"); !strings.Contains(v.Rule, "never write projects") {
				t.Errorf("%+v", v)
			}
		})
	}
}
