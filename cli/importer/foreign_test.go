package importer

import (
	"fmt"
	"testing"
)

func TestWhatIsNotOfArgoCDDoesNotStopAnImport(t *testing.T) {
	const app = "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: web, namespace: argocd}\n"
	for _, c := range []struct {
		name, text string
		objects    int
		foreign    string
		unreadable string
	}{
		{"an application", app, 1, "[]", "[]"},
		{"values of a chart", "replicas: 2\n", 0, "[{f, line 1  }]", "[]"},
		{"a list of words", "- a\n- b\n", 0, "[{f, line 1  }]", "[]"},
		{"a kustomization", "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: []\n", 0, "[{f, line 1 Kustomization }]", "[]"},
		{"a workload beside one", "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\n---\n" + app, 1, "[{f, line 1 Deployment/web }]", "[]"},
		{"values beside one", app + "---\nreplicas: 2\n", 1, "[{f, line 5  }]", "[]"},
		{"a rollout is none", "apiVersion: argoproj.io/v1alpha1\nkind: Rollout\nmetadata: {name: r}\n", 0, "[{f, line 1 Rollout/r }]", "[]"},
		{"an Application of another group", "apiVersion: app.k8s.io/v1beta1\nkind: Application\nmetadata: {name: r}\n", 0, "[{f, line 1 Application/r }]", "[]"},
		{"settings", "kind: ConfigMap\nmetadata: {name: argocd-cm}\n", 1, "[]", "[]"},
		{"others' settings", "kind: ConfigMap\nmetadata: {name: web}\n---\nkind: Secret\nmetadata: {name: web}\n", 0, "[{f, line 1 ConfigMap/web } {f, line 4 Secret/web }]", "[]"},
		{"a credential", "kind: Secret\nmetadata: {name: x, labels: {argocd.argoproj.io/secret-type: repository}}\n", 1, "[]", "[]"},
		{"broken JSON", `{"kind": "Application",` + "\n", 0, "[]", "[{f  line 1: did not find expected node content}]"},
		{"broken YAML after one", app + "---\na: [\n", 1, "[]", "[{f  line 5: did not find expected node content}]"},
		{"a key that is there twice", app + "---\nkind: Application\nkind: Secret\n" + "---\n" + app, 2, "[]", `[{f  line 6: key "kind" appears twice}]`},
		{"a template", "{{- if .Values.x }}\nkind: Application\n{{- end }}\n", 0, "[]", "[{f  did not find expected node content}]"},
		{"nothing", "---\n", 0, "[]", "[]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var f Found
			f.Read("f", []byte(c.text))
			if got := fmt.Sprint(f.Foreign); len(f.Objects) != c.objects || got != c.foreign {
				t.Errorf("%d objects, foreign %s", len(f.Objects), got)
			}
			if got := fmt.Sprint(f.Unreadable); got != c.unreadable {
				t.Errorf("unreadable %s", got)
			}
		})
	}
}
