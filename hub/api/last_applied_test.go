package api

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/shared/manifest"
)

// kubectl's copy of a whole object is not taken by any route that writes a thing with
// annotations, on the thing itself or on what comes of it; the answer does not
// repeat it, and nothing is stored.
func TestA28_TheLastAppliedConfigurationIsNotTaken(t *testing.T) {
	const canary = "CANARY-b7Qx"
	annotations := `annotations: {"` + manifest.LastAppliedAnnotation + `": '{"data":{"k":"` + canary + `"}}'}`
	project := func(name, meta string) string {
		return "apiVersion: argoproj.io/v1alpha1\nkind: AppProject\nmetadata: {name: " + name + meta + "}\nspec: {sourceRepos: ['*'], destinations: [{server: '*', namespace: '*'}]}\n"
	}
	set := func(name, meta, template, spec string) string {
		return "apiVersion: argoproj.io/v1alpha1\nkind: ApplicationSet\nmetadata: {name: " + name + meta + "}\nspec:\n  generators: [{list: {elements: [{n: a}]}}]\n  template:\n    metadata: {name: '{{n}}'" + template +
			"}\n    spec: {project: default, source: {repoURL: 'https://git.example.com/a.git', path: x" + spec + "}, destination: {name: eu, namespace: x}}\n"
	}
	texts := map[string]struct{ path, good, bad string }{
		"an application": {"/applications/web", application("web"), application("web", "{name: web}", "{name: web, "+annotations+"}")},
		"what kustomize puts on objects": {"/applications/web", application("web", "path: deploy", "path: deploy, kustomize: {commonAnnotations: {a: b}}"),
			application("web", "path: deploy", "path: deploy, kustomize: {commonA"+annotations[1:]+"}")},
		"the namespace of an application": {"/applications/web", application("web", "spec:\n", "spec:\n  syncPolicy: {managedNamespaceMetadata: {annotations: {a: b}}}\n"),
			application("web", "spec:\n", "spec:\n  syncPolicy: {managedNamespaceMetadata: {"+annotations+"}}\n")},
		"a project":                         {"/projects/p", project("p", ""), project("p", ", "+annotations)},
		"an application set":                {"/applicationsets/s", set("s", "", "", ""), set("s", ", "+annotations, "", "")},
		"the template of a set":             {"/applicationsets/s", set("s", "", "", ""), set("s", "", ", "+annotations, "")},
		"what kustomize of a template puts": {"/applicationsets/s", set("s", "", "", ""), set("s", "", "", ", kustomize: {commonA"+annotations[1:]+"}")},
	}
	for what, c := range texts {
		t.Run(what, func(t *testing.T) {
			w := newWorld(t)
			list, _, _ := strings.Cut(c.path[1:], "/")
			for _, by := range [][2]string{{"PUT", c.path}, {"POST", "/" + list}, {"POST", "/apply"}} {
				r := w.call(by[0], "/api/v1"+by[1], c.bad)
				if by[1] != "/apply" {
					r.problem(400, "annotation_invalid")
				} else {
					var answer appliedAnswer
					if err := json.Unmarshal([]byte(r.body), &answer); err != nil || r.status != 207 || len(answer.Items) != 1 || answer.Items[0].Error == nil || answer.Items[0].Error.Status != 400 || answer.Items[0].Error.Code != "annotation_invalid" {
						t.Errorf("apply: %d %s", r.status, r.body)
					}
				}
				if strings.Contains(r.body, canary) {
					t.Errorf("%s %s: the answer repeats it: %s", by[0], by[1], r.body)
				}
				if got := w.call("GET", "/api/v1"+c.path, ""); got.status != 404 {
					t.Errorf("%s %s stored it: %d %s", by[0], by[1], got.status, got.body)
				}
			}
			// Without it, the same is taken.
			w.call("POST", "/api/v1/apply", c.good).ok(200)
		})
	}
}
