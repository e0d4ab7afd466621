package helm

import (
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/hub/render/workspace"
	"github.com/hawser-dev/hawser/shared/model"
)

func TestErrorsSayWhatAndWhere(t *testing.T) {
	cm := configMap("cm", "x")
	cases := []struct {
		name string
		tree files
		helm model.HelmSource
		code string
		says []string
	}{
		{"a value of nothing", files{"templates/deploy.yaml": "\n\n{{ .Values.image.tag }}"}, model.HelmSource{}, "helm_template_error",
			[]string{"web/templates/deploy.yaml:3:10: .Values.image.tag is nil", ".Values.image"}},
		{"a value of nothing in a partial", files{"templates/_h.tpl": "{{ define \"x\" }}\n{{ .Values.a.b }}{{ end }}", "templates/d.yaml": "{{ include \"x\" . }}"}, model.HelmSource{}, "helm_template_error",
			[]string{"web/templates/_h.tpl:2:10: .Values.a.b is nil"}},
		{"a value of nothing in tpl", files{"templates/d.yaml": `{{ tpl "{{ .Values.a.b }}" . }}`}, model.HelmSource{}, "helm_template_error", []string{".Values.a.b is nil"}},
		{"required", files{"templates/i.yaml": `{{ required "ingress.host is required" .Values.host }}`}, model.HelmSource{}, "helm_template_error",
			[]string{`chart says: "ingress.host is required"`, "web/templates/i.yaml:1:3"}},
		{"required in a partial", files{"templates/_h.tpl": `{{ define "x" }}{{ required "needs a \"name\"" nil }}{{ end }}`, "templates/d.yaml": "{{ include \"x\" . }}"}, model.HelmSource{}, "helm_template_error",
			[]string{`chart says: "needs a \"name\""`}},
		{"fail over lines", files{"templates/i.yaml": `{{ fail "one\ntwo: \x1b[31mred" }}`}, model.HelmSource{}, "helm_template_error", []string{`chart says: "one\ntwo: \x1b[31mred"`}},
		{"fail in notes", files{"templates/NOTES.txt": `{{ fail "old settings" }}`}, model.HelmSource{}, "helm_template_error", []string{`chart says: "old settings"`}},
		{"syntax of a template", files{"templates/x.yaml": "a\n{{ if }}"}, model.HelmSource{}, "helm_template_error", []string{"web/templates/x.yaml:2", "missing value for if"}},
		{"no such function", files{"templates/x.yaml": `{{ env "HOME" }}`}, model.HelmSource{}, "helm_template_error", []string{"web/templates/x.yaml:1", `function "env" not defined`}},
		{"no such template", files{"templates/x.yaml": `{{ include "none" . }}`}, model.HelmSource{}, "helm_template_error", []string{`web/templates/x.yaml:1:3: there is no template "none"`}},
		{"no such template to a template", files{"templates/x.yaml": `{{ template "none" . }}`}, model.HelmSource{}, "helm_template_error", []string{`there is no template "none"`}},
		{"wrong type", files{"templates/x.yaml": `{{ .Values.a | trunc 3 }}`, "values.yaml": "a: {b: 1}"}, model.HelmSource{}, "helm_template_error", []string{"web/templates/x.yaml:1:21", "expected string; got a mapping"}},
		{"index of nothing", files{"templates/x.yaml": `{{ index .Values.a 3 }}`, "values.yaml": "a: [1]"}, model.HelmSource{}, "helm_template_error", []string{"out of range"}},
		{"a template in itself", files{"templates/_h.tpl": `{{ define "x" }}{{ include "x" . }}{{ end }}`, "templates/x.yaml": `{{ include "x" . }}`}, model.HelmSource{}, "helm_template_error", []string{`template "x" includes itself`}},
		{"YAML of a template", files{"templates/x.yaml": "{{- if true }}\n\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: x\n data: {}\n{{- end }}"}, model.HelmSource{}, "yaml_invalid", []string{"web/templates/x.yaml as rendered:"}},
		{"no object", files{"templates/x.yaml": "just: a mapping"}, model.HelmSource{}, "manifest_incomplete", []string{"web/templates/x.yaml"}},
		{"no chart", files{"Chart.yaml": "", "templates/x.yaml": cm}, model.HelmSource{}, "chart_invalid", []string{"has no Chart.yaml"}},
		{"no version", files{"Chart.yaml": "apiVersion: v2\nname: web\n"}, model.HelmSource{}, "chart_invalid", []string{"Chart.yaml: version is required"}},
		{"a name that is a path", files{"Chart.yaml": "apiVersion: v2\nname: a/../../b\nversion: 1.0.0\n"}, model.HelmSource{}, "chart_invalid", []string{"Chart.yaml", "a/../../b"}},
		{"a name that is dots", files{"Chart.yaml": "apiVersion: v2\nname: ..\nversion: 1.0.0\n"}, model.HelmSource{}, "chart_invalid", []string{"Chart.yaml"}},
		{"a version that is a path", files{"Chart.yaml": "apiVersion: v2\nname: web\nversion: ../../x\n"}, model.HelmSource{}, "chart_invalid", []string{"../../x"}},
		{"types in Chart.yaml", files{"Chart.yaml": "apiVersion: v2\nname: web\nversion: 1.0.0\ndependencies: many\n"}, model.HelmSource{}, "chart_invalid", []string{"Chart.yaml: dependencies cannot be a string"}},
		{"a null dependency", files{"Chart.yaml": "apiVersion: v2\nname: web\nversion: 1.0.0\ndependencies: [~]\n"}, model.HelmSource{}, "chart_invalid", []string{"Chart.yaml"}},
		{"syntax of Chart.yaml", files{"Chart.yaml": "a: b: c"}, model.HelmSource{}, "chart_invalid", []string{"Chart.yaml"}},
		{"syntax of values.yaml", files{"values.yaml": "a:\n\tb: 1"}, model.HelmSource{}, "yaml_invalid", []string{"values.yaml:2:1: tab used for indentation; use spaces"}},
		{"syntax of a subchart's values.yaml", files{"charts/sub/Chart.yaml": "apiVersion: v2\nname: sub\nversion: 1.0.0\n", "charts/sub/values.yaml": "a: [1\n"}, model.HelmSource{}, "yaml_invalid", []string{"charts/sub/values.yaml:"}},
		{"syntax of a values file", files{"prod.yaml": "a:\n\tb: 1"}, model.HelmSource{ValueFiles: []string{"prod.yaml"}}, "yaml_invalid", []string{"prod.yaml:2:1: tab used for indentation; use spaces"}},
		{"syntax of inline values", files{}, model.HelmSource{Values: "a:\n\tb: 1"}, "yaml_invalid", []string{"spec.source.helm.values:2:1: tab used for indentation"}},
		{"values.yaml is a list", files{"values.yaml": "[1]"}, model.HelmSource{}, "chart_invalid", []string{"values.yaml: a mapping is needed, this is a list"}},
		{"a library", files{"Chart.yaml": "apiVersion: v2\nname: lib\nversion: 1.0.0\ntype: library\n"}, model.HelmSource{}, "chart_invalid", []string{`"lib" is a library`}},
		{"helmignore", files{".helmignore": "a/**/b"}, model.HelmSource{}, "chart_invalid", []string{".helmignore", "**"}},
		{"a broken subchart", files{"charts/sub/Chart.yaml": "name: [x"}, model.HelmSource{}, "chart_invalid", []string{"charts/sub/Chart.yaml"}},
		{"an archive that is none", files{"charts/sub-1.0.0.tgz": "PK"}, model.HelmSource{}, "chart_invalid", []string{"charts/sub-1.0.0.tgz"}},
		{"a missing values file", files{}, model.HelmSource{ValueFiles: []string{"prod.yaml"}}, "helm_values_not_found",
			[]string{`values file "prod.yaml" not found next to chart "web": there is no `, "set spec.source.helm.ignoreMissingValueFiles to go on without it", "spec.source.helm.valueFiles[0]"}},
		{"a missing values file beside others", files{"helm/values-prod.yaml": "a: 1\n", "helm/values-staging.yaml": "a: 1\n"}, model.HelmSource{ValueFiles: []string{"helm/values-prd.yaml"}}, "helm_values_not_found",
			[]string{"there is no ", "helm/values-prd.yaml; closest: ", "helm/values-prod.yaml "}},
		{"a values file in another directory", files{"env/prod.yaml": "a: 1\n", "templates/prod.yaml": configMap("a", "x")}, model.HelmSource{ValueFiles: []string{"nowhere/prod.yaml"}}, "helm_values_not_found", []string{"nowhere/prod.yaml; closest: ", "env/prod.yaml "}},
		{"a values file from the root", files{}, model.HelmSource{ValueFiles: []string{"/env/prod.yaml"}}, "helm_values_not_found", []string{"the repository has no env/prod.yaml"}},
		{"a glob of nothing", files{}, model.HelmSource{ValueFiles: []string{"env/*.yaml"}}, "helm_values_not_found", []string{`"env/*.yaml" matches no files`}},
		{"a glob that is none", files{}, model.HelmSource{ValueFiles: []string{"env/[.yaml"}}, "expression_invalid", []string{"valueFiles[0]"}},
		{"values outside", files{}, model.HelmSource{ValueFiles: []string{"../../etc/passwd"}}, "path_escapes_repo", []string{"valueFiles[0]"}},
		{"values of a URL", files{}, model.HelmSource{ValueFiles: []string{"file:///etc/passwd"}}, "path_escapes_repo", nil},
		{"values of no ref", files{}, model.HelmSource{ValueFiles: []string{"$values/a.yaml"}}, "ref_not_found", []string{`"values"`}},
		{"a values file that is a list", files{"v.yaml": "- a"}, model.HelmSource{ValueFiles: []string{"v.yaml"}}, "helm_values_invalid", []string{"v.yaml: a mapping is needed, this is a list"}},
		{"inline values that are text", files{}, model.HelmSource{Values: "hello"}, "helm_values_invalid", []string{"spec.source.helm.values", "a mapping is needed, this is a string"}},
		{"a subchart's value that is text", files{"charts/sub/Chart.yaml": "apiVersion: v2\nname: sub\nversion: 1.0.0\n", "values.yaml": "sub: text"}, model.HelmSource{}, "helm_values_invalid", []string{"sub"}},
		{"a parameter index", files{}, model.HelmSource{Parameters: []model.HelmParameter{{Name: "a[2147483647]", Value: "1"}}}, "helm_parameter_invalid", []string{"parameters[0]"}},
		{"a parameter below text", files{}, model.HelmSource{Parameters: []model.HelmParameter{{Name: "a", Value: "1"}, {Name: "a.b", Value: "1"}}}, "helm_parameter_invalid", []string{"parameters[1]"}},
		{"a deep parameter", files{}, model.HelmSource{Parameters: []model.HelmParameter{{Name: strings.Repeat("a.", 100_000) + "a", Value: "1"}}}, "helm_parameter_invalid", nil},
		{"a missing file of a parameter", files{}, model.HelmSource{FileParameters: []model.HelmFileParameter{{Name: "a", Path: "no.txt"}}}, "file_not_found", []string{"fileParameters[0].path"}},
		{"a long release name", files{}, model.HelmSource{ReleaseName: strings.Repeat("a", 54)}, "helm_release_name_invalid", []string{"53 characters", "spec.source.helm.releaseName"}},
		{"a release name", files{}, model.HelmSource{ReleaseName: "Shop_1"}, "helm_release_name_invalid", nil},
		{"a Kubernetes version", files{}, model.HelmSource{KubeVersion: "new"}, "helm_kube_version_invalid", []string{"spec.source.helm.kubeVersion"}},
		{"another Kubernetes", files{"Chart.yaml": "apiVersion: v2\nname: web\nversion: 1.0.0\nkubeVersion: \">=1.30\"\n"}, model.HelmSource{KubeVersion: "1.29.3"}, "helm_kube_version_incompatible", []string{">=1.30", "v1.29.3"}},
		{"aliases without end", files{"values.yaml": laughs()}, model.HelmSource{}, "yaml_alias_limit", []string{"values.yaml", "through aliases"}},
		{"aliases in inline values", files{}, model.HelmSource{Values: laughs()}, "yaml_alias_limit", []string{"spec.source.helm.values"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w, _ := space(chartOf(c.tree), &c.helm)
			_, err := Render(w)
			wantFault(t, err, c.code, c.says...)
		})
	}
}

func TestMissingValuesOfARefNameIt(t *testing.T) {
	w, host := space(chartOf(nil), &model.HelmSource{ValueFiles: []string{"$config/web/prd.yaml"}})
	w.Refs = []string{"config"}
	host.Trees[workspace.RefTree("config")] = files{"web/prod.yaml": "a: 1\n"}
	_, err := Render(w)
	wantFault(t, err, "helm_values_not_found", `values file "$config/web/prd.yaml" not found: the source with the ref "config" has no web/prd.yaml; closest: web/prod.yaml`)
}

// laughs expands to 10^9 strings.
func laughs() string {
	var b strings.Builder
	b.WriteString("a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n")
	for _, l := range []string{"1", "2", "3", "4", "5", "6", "7", "8"} {
		before := string(l[0] - 1)
		b.WriteString("a" + l + ": &a" + l + " [" + strings.TrimSuffix(strings.Repeat("*a"+before+", ", 10), ", ") + "]\n")
	}
	return b.String()
}

func TestAllBrokenTemplatesAreTold(t *testing.T) {
	w, _ := space(chartOf(files{"templates/a.yaml": "kind: A\n", "templates/b.yaml": "x: [", "templates/c.yaml": configMap("c", "x")}), nil)
	_, err := Render(w)
	wantFault(t, err, "manifest_incomplete", "web/templates/a.yaml", "web/templates/b.yaml")
}
