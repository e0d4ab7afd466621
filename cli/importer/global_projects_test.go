package importer

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/policy"
)

func TestGlobalProjectsBecomeASelectorOfTheirOwn(t *testing.T) {
	const head = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: argocd-cm, namespace: argocd}\ndata:\n  globalProjects: |-\n"
	entry := func(project, selector string) string {
		out := "    - projectName: " + project + "\n"
		if selector != "" {
			out += "      labelSelector: " + selector + "\n"
		}
		return out
	}
	const prod = "{matchExpressions: [{key: opt, operator: In, values: [prod]}]}"
	for name, c := range map[string]struct {
		list    string
		by      string // of project baseline
		outcome Outcome
		says    string
	}{
		"one":             {entry("baseline", prod), `{"matchExpressions":[{"key":"opt","operator":"In","values":["prod"]}]}`, Translated, "spec.inheritedBy of baseline"},
		"everybody":       {entry("baseline", ""), `{}`, Translated, "baseline"},
		"twice the same":  {entry("baseline", prod) + entry("baseline", prod), `{"matchExpressions":[{"key":"opt","operator":"In","values":["prod"]}]}`, Translated, "spec.inheritedBy of baseline"},
		"two selectors":   {entry("baseline", prod) + entry("baseline", "{matchLabels: {a: b}}"), `null`, Attention, "several selectors"},
		"not imported":    {entry("baseline", prod) + entry("elsewhere", prod), `{"matchExpressions":[{"key":"opt","operator":"In","values":["prod"]}]}`, Attention, `"elsewhere" is not among`},
		"a bad operator":  {entry("baseline", "{matchExpressions: [{key: opt, operator: Near}]}"), `null`, Attention, "operator"},
		"no project":      {"    - labelSelector: {}\n", `null`, Attention, "names no project"},
		"an unknown word": {"    - project: baseline\n", `null`, Attention, "cannot be read"},
		"no list":         {"    x\n", `null`, Attention, "cannot be read"},
		"empty":           {"    []\n", `null`, Ignored, "empty"},
	} {
		t.Run(name, func(t *testing.T) {
			objects, err := Parse("x.yaml", []byte(head+c.list+`---
apiVersion: argoproj.io/v1alpha1
kind: AppProject
metadata: {name: baseline, namespace: argocd}
spec: {namespaceResourceBlacklist: [{group: '', kind: Secret}]}
---
apiVersion: argoproj.io/v1alpha1
kind: AppProject
metadata: {name: pay, namespace: argocd, labels: {opt: prod}}
spec: {sourceRepos: ['*'], destinations: [{server: '*', namespace: '*'}]}
`))
			if err != nil {
				t.Fatal(err)
			}
			plan := Translate(objects, Options{Projects: []string{"elsewhere"}})
			cm := item(t, plan, "ConfigMap", "argocd-cm")
			f := cm.line(`data.globalProjects`)
			if f.Outcome != c.outcome || !strings.Contains(f.To+f.Why, c.says) {
				t.Errorf("%+v", f)
			}
			projects := map[string]model.AppProject{}
			for _, p := range plan.Projects {
				projects[p.Metadata.Name] = p
			}
			got, err := json.Marshal(projects["baseline"].Spec.InheritedBy)
			if err != nil || string(got) != c.by || len(projects) != 2 || projects["pay"].Spec.InheritedBy != nil {
				t.Errorf("%s, %v", got, err)
			}
			inherits := policy.Inherits(projects["pay"], projects["baseline"])
			if inherits != (c.by != "null") {
				t.Errorf("inherits: %v", inherits)
			}
		})
	}
}
