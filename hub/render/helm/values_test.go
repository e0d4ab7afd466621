package helm

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/hub/render/workspace"
	"github.com/hawser-dev/hawser/shared/model"
)

type params = []model.HelmParameter

func TestPrecedenceOfValues(t *testing.T) {
	tree := files{
		"values.yaml": "v: chart\nkeep: chart\ndrop: chart\nnested: {a: 1, b: 2}\n",
		"one.yaml":    "v: one\nnested: {a: one}\nx: one\n", "two.yaml": "v: two\nnested: {c: two}\n",
	}
	both := []string{"one.yaml", "two.yaml"}
	cases := []struct {
		name, expression, want string
		helm                   model.HelmSource
	}{
		{"chart", ".Values.v", "chart", model.HelmSource{}},
		{"the last file", ".Values.v", "two", model.HelmSource{ValueFiles: both}},
		{"files are merged", "{{ toJson .Values.nested | quote }}", `{"a":"one","b":2,"c":"two"}`, model.HelmSource{ValueFiles: both}},
		{"values over files", ".Values.v", "inline", model.HelmSource{ValueFiles: both, Values: "v: inline"}},
		{"valuesObject over files", ".Values.v", "object", model.HelmSource{ValueFiles: both, ValuesObject: json.RawMessage(`{"v": "object"}`)}},
		{"valuesObject replaces values", "{{ .Values.only | default \"gone\" }}", "gone", model.HelmSource{Values: "only: inline", ValuesObject: json.RawMessage(`{"v": "object"}`)}},
		{"parameters over all", ".Values.v", "set", model.HelmSource{ValueFiles: both, ValuesObject: json.RawMessage(`{"v": 1}`), Parameters: params{{Name: "v", Value: "set"}}}},
		{"strings after parameters", "{{ kindOf .Values.v }}", "string", model.HelmSource{Parameters: params{{Name: "v", Value: "7", ForceString: true}, {Name: "v", Value: "8"}}}},
		{"the last of equal names", ".Values.v", "2", model.HelmSource{Parameters: params{{Name: "v", Value: "1", ForceString: true}, {Name: "v", Value: "2", ForceString: true}}}},
		{"files after parameters", "{{ .Values.x | trim | quote }}", "v: one\nnested: {a: one}\nx: one", model.HelmSource{Parameters: params{{Name: "x", Value: "set"}}, FileParameters: []model.HelmFileParameter{{Name: "x", Path: "one.yaml"}}}},
		{"null deletes", "{{ hasKey .Values \"drop\" }}", "false", model.HelmSource{Values: "drop: null"}},
		{"null in a parameter", "{{ hasKey .Values \"drop\" }}", "false", model.HelmSource{Parameters: params{{Name: "drop", Value: "null"}}}},
		{"commas are kept", ".Values.v", "a,b", model.HelmSource{Parameters: params{{Name: "v", Value: "a,b"}}}},
		{"escaped commas are kept", ".Values.v", "a,b", model.HelmSource{Parameters: params{{Name: "v", Value: `a\,b`}}}},
		{"a list", "{{ toJson .Values.v | quote }}", `["a","b"]`, model.HelmSource{Parameters: params{{Name: "v", Value: "{a,b}"}}}},
		{"an item", "{{ toJson .Values.l | quote }}", `[null,"b"]`, model.HelmSource{Parameters: params{{Name: "l[1]", Value: "b"}}}},
		{"a name with a dot", "{{ index .Values \"a.b\" }}", "1", model.HelmSource{Parameters: params{{Name: `a\.b`, Value: "1"}}}},
		{"numbers", "{{ printf \"%v %v %v\" .Values.i .Values.f .Values.big | quote }}", "1 1.5 1e+06", model.HelmSource{ValuesObject: json.RawMessage(`{"i": 1, "f": 1.5, "big": 1000000}`)}},
		{"whole numbers of parameters", "{{ printf \"%v\" .Values.i | quote }}", "1000000", model.HelmSource{Parameters: params{{Name: "i", Value: "1000000"}}}},
		{"the build environment in parameters", ".Values.v", "shop-$x", model.HelmSource{Parameters: params{{Name: "v", Value: "$ARGOCD_APP_NAME-$$x$NONE"}}}},
		{"inline values are as written", ".Values.v", "$ARGOCD_APP_NAME", model.HelmSource{Values: "v: $ARGOCD_APP_NAME"}},
		{"repeated keys", ".Values.v", "last", model.HelmSource{Values: "v: first\nv: last"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			e := c.expression
			if !strings.HasPrefix(e, "{{") {
				e = "{{ " + e + " | quote }}"
			}
			if got := renderValue(t, e, tree, &c.helm); got != c.want {
				t.Errorf("%q instead of %q", got, c.want)
			}
		})
	}
}

func TestWhereValueFilesAre(t *testing.T) {
	tree := files{
		"apps/web/Chart.yaml": "apiVersion: v2\nname: web\nversion: 1.0.0\n", "apps/web/templates/cm.yaml": configMap("cm", "{{ toJson .Values | quote }}"),
		"apps/web/a.yaml": "a: 1", "apps/shared.yaml": "s: 1", "root.yaml": "r: 1", "apps/web/shop.yaml": "e: 1",
		"env/a.yaml": "order: a\na: 1", "env/z.yaml": "order: z\nz: 1", "env/deep/b.yaml": "order: deep\nb: 1", "env/note.txt": "[",
	}
	cases := []struct {
		name  string
		files []string
		want  string
	}{
		{"beside the chart", []string{"a.yaml"}, `{"a":1}`},
		{"above the chart", []string{"../shared.yaml"}, `{"s":1}`},
		{"from the root", []string{"/root.yaml"}, `{"r":1}`},
		{"of another source", []string{"$conf/x.yaml"}, `{"x":1}`},
		{"by the name of the application", []string{"$ARGOCD_APP_NAME.yaml"}, `{"e":1}`},
		{"of another source by name", []string{"$conf/${ARGOCD_APP_NAME}.yaml"}, `{"m":1}`},
		{"from elsewhere", []string{"https://example.com/v.yaml"}, `{"u":1}`},
		{"a glob is in order", []string{"/env/*.yaml"}, `{"a":1,"order":"z","z":1}`},
		{"files before directories", []string{"/env/**/*.yaml"}, `{"a":1,"b":1,"order":"deep","z":1}`},
		{"a listed file is where it is listed", []string{"/env/*.yaml", "/env/a.yaml"}, `{"a":1,"order":"a","z":1}`},
		{"a listed file first", []string{"/env/z.yaml", "/env/*.yaml"}, `{"a":1,"order":"a","z":1}`},
		{"two globs", []string{"/env/z*.yaml", "/env/*.yaml"}, `{"a":1,"order":"a","z":1}`},
		{"a glob in another source", []string{"$conf/*.yaml"}, `{"m":1,"x":1}`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w, host := space(tree, &model.HelmSource{ValueFiles: c.files})
			w.Dir, w.Refs = "apps/web", []string{"conf"}
			host.Trees[workspace.RefTree("conf")] = map[string]string{"x.yaml": "x: 1", "shop.yaml": "m: 1"}
			host.Files["https://example.com/v.yaml"] = "u: 1"
			if got := value(t, mustRender(t, w), "cm"); got != c.want {
				t.Errorf("%s instead of %s", got, c.want)
			}
		})
	}
}

func TestMissingValueFilesMayBeAllowed(t *testing.T) {
	got := renderValue(t, "{{ toJson .Values | quote }}", files{"a.yaml": "a: 1"}, &model.HelmSource{
		ValueFiles: []string{"none.yaml", "a.yaml", "none/*.yaml", "$ARGOCD_APP_PROJECT_NAME/x.yaml"}, IgnoreMissingValueFiles: true,
	})
	if got != `{"a":1}` {
		t.Error(got)
	}
}

func TestValueFilesAreReadTogether(t *testing.T) {
	tree := chartOf(files{"a.yaml": "a: 1", "b.yaml": "b: 1"})
	w, host := space(tree, &model.HelmSource{ValueFiles: []string{"a.yaml", "b.yaml"}, ReleaseName: "x", Namespace: "y"})
	mustRender(t, w)
	if got := asked(host, "fact"); got != nil {
		t.Errorf("facts that nothing uses were asked for: %s", got)
	}
	if !slices.Contains(host.Asked, "stat /a.yaml") || !slices.Contains(host.Asked, "read /b.yaml") {
		t.Error(host.Asked)
	}
}

func TestReleaseOfTheApplication(t *testing.T) {
	show := `{{ printf "%s %s %s %d %v %v" .Release.Name .Release.Namespace .Release.Service .Release.Revision .Release.IsInstall .Release.IsUpgrade }}`
	if got := renderValue(t, show, nil, nil); got != "shop shop-ns Helm 1 true false" {
		t.Error(got)
	}
	if got := renderValue(t, show, nil, &model.HelmSource{ReleaseName: "r", Namespace: "n"}); got != "r n Helm 1 true false" {
		t.Error(got)
	}
}
