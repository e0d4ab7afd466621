package helm

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/releaseutil"

	"github.com/hawser-dev/hawser/hub/render/workspace"
	"github.com/hawser-dev/hawser/shared/model"
)

// archive packs files as helm package does.
func archive(t *testing.T, name string, files files) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	paths := make([]string, 0, len(files))
	for p := range files {
		paths = append(paths, p)
	}
	slices.Sort(paths)
	for _, p := range paths {
		if err := w.WriteHeader(&tar.Header{Name: name + "/" + p, Size: int64(len(files[p])), Mode: 0o644}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(files[p])); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestWhatIsLeftOut(t *testing.T) {
	w, _ := space(chartOf(files{
		"templates/NOTES.txt": "not: yaml: {", "templates/sub/NOTES.txt": "{ {", "templates/_h.tpl": "x", "templates/_y.yaml": configMap("partial", "x"),
		"templates/empty.yaml": "\n", "templates/comment.yaml": "# nothing\n---\n---\n", "templates/.x.yaml": configMap("dot", "x"),
		"templates/a.yaml": configMap("a", "x"), "templates/b.json": `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"b"}}`,
		".helmignore": "ignored.yaml\nsecret/\n/templates/at-*.yaml\n", "templates/ignored.yaml": "{{ nonsense", "templates/secret/x.yaml": "{{ nonsense",
		"templates/at-root.yaml": "{{ nonsense", "crds/readme.md": "# {{",
	}), nil)
	objects := mustRender(t, w)
	if got := names(objects); !slices.Equal(got, []string{"a", "b"}) {
		t.Error(got)
	}
	for _, o := range objects {
		if !strings.HasPrefix(o.Origin, "web/templates/") || strings.Contains(o.Origin, "#") {
			t.Error(o.Origin)
		}
	}
}

func TestCRDsComeFirstAndHooksLast(t *testing.T) {
	hook := func(name, events string) string {
		return "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: " + name + "\n  annotations: {helm.sh/hook: \"" + events + "\", helm.sh/hook-weight: \"-5\"}\n"
	}
	tree := chartOf(files{
		"crds/b.yaml":           "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: '{{ b }}'}\n",
		"crds/c.json":           `{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","metadata":{"name":"c"}}`,
		"charts/sub/Chart.yaml": "apiVersion: v2\nname: sub\nversion: 1.0.0\n", "charts/sub/crds/s.yaml": "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: s}\n",
		"templates/a-hook.yaml": hook("pre", "pre-install, PRE-upgrade") + "---\n" + hook("test", "test") + "---\n" + hook("old", "crd-install") + "---\n" + hook("none", ""),
		"templates/z.yaml":      configMap("z", "x"),
	})
	order := func(o *model.HelmSource) (string, *workspace.Workspace) {
		w, _ := space(tree, o)
		var got []string
		for _, o := range mustRender(t, w) {
			got = append(got, o.Key.Name)
			if o.Key.Name == "pre" && (o.Annotation("helm.sh/hook") != "pre-install, PRE-upgrade" || o.Annotation("helm.sh/hook-weight") != "-5") {
				t.Error("the annotations of the hook are not as they were")
			}
		}
		return strings.Join(got, " "), w
	}
	got, w := order(nil)
	if got != "{{ b }} c s z pre test" {
		t.Error(got)
	}
	if m := warned(w, "helm_hook_unknown"); !strings.Contains(m, `"crd-install"`) || !strings.Contains(m, "web/templates/a-hook.yaml") {
		t.Error(m)
	}
	if got, _ := order(&model.HelmSource{SkipTests: true, SkipCrds: true}); got != "z pre" {
		t.Error(got)
	}
}

func TestFilesAreReadOnlyWhenTemplatesUseThem(t *testing.T) {
	extra := files{"data/a.txt": "A", "charts/sub/Chart.yaml": "apiVersion: v2\nname: sub\nversion: 1.0.0\n", "charts/sub/data/b.txt": "B"}
	for _, c := range []struct {
		name, expression, want string
		reads                  bool
	}{
		{"not used", "{{ toJson .Values.x | quote }}", "null", false},
		{"used", `{{ .Files.Get "data/a.txt" }}`, "A", true},
		{"by name", `{{ (index . "Files").Get "data/a.txt" }}`, "A", true},
		{"of a subchart", `{{ .Subcharts.sub.Files.Get "data/b.txt" }}`, "B", true},
		{"all shown", `{{ (contains "data/a.txt" (toJson $)) | quote }}`, "true", true},
		{"in a value", `{{ tpl .Values.t . }}`, "A", true},
		{"outside of the chart", `{{ .Files.Get "../a.txt" | default "none" }}`, "none", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			tree := chartOf(extra)
			tree["templates/cm.yaml"] = configMap("cm", c.expression)
			if strings.Contains(c.expression, ".Values.t ") {
				tree["values.yaml"] = `t: '{{ .Files.Get "data/a.txt" }}'`
			}
			w, host := space(tree, nil)
			if got := value(t, mustRender(t, w), "cm"); got != c.want {
				t.Errorf("%q instead of %q", got, c.want)
			}
			if read := slices.Contains(host.Asked, "read /data/a.txt") && slices.Contains(host.Asked, "read /charts/sub/data/b.txt"); read != c.reads {
				t.Errorf("read %v: %s", read, host.Asked)
			}
		})
	}
}

// TestFilesInPlacesOfTheirOwnStayFiles: CRDs are files for the library, and so is
// what charts of version 1 keep beside Chart.yaml.
func TestFilesInPlacesOfTheirOwnStayFiles(t *testing.T) {
	crd := func(name string) string {
		return "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: " + name + "}\n"
	}
	w, _ := space(files{
		"Chart.yaml": "apiVersion: v1\nname: web\nversion: 1.0.0\n", "requirements.yaml": "dependencies:\n- {name: sub, version: 1.0.0}\n",
		"data/a.txt": "A", "crds/c.yaml": crd("c"), "crds/values.yaml": crd("odd"),
		"charts/sub/Chart.yaml": "apiVersion: v2\nname: sub\nversion: 1.0.0\n", "charts/sub/crds/s.yaml": crd("s"), "charts/sub/b.txt": "B",
		"templates/cm.yaml": configMap("cm", `{{ print (.Files.Get "data/a.txt") (len (.Files.Get "crds/c.yaml")) (contains "sub" (.Files.Get "requirements.yaml")) | quote }}`),
	}, nil)
	objects := mustRender(t, w)
	if got := names(objects); !slices.Equal(got, []string{"c", "cm", "odd", "s"}) {
		t.Error(got)
	}
	if got := value(t, objects, "cm"); got != fmt.Sprintf("A%d true", len(crd("c"))) {
		t.Error(got)
	}
}

func TestCapabilitiesAreAskedForOnlyWhenUsed(t *testing.T) {
	const library = `{{ define "apis" }}{{ .Capabilities.APIVersions.Has "x/v1" }}{{ end }}{{ define "kube" }}{{ .Capabilities.KubeVersion.Version }}{{ end }}`
	for _, c := range []struct {
		name, expression string
		more             files
		kube, apis       bool
	}{
		{"not at all", "{{ .Values.a | quote }}", nil, false, false},
		{"in a comment", "{{/* .Capabilities.APIVersions */}}x", nil, false, false},
		{"version", "{{ .Capabilities.KubeVersion.Version }}", nil, true, false},
		{"helm's version", "{{ .Capabilities.HelmVersion.Version }}", nil, false, false},
		{"APIs", `{{ .Capabilities.APIVersions.Has "v1" | quote }}`, nil, false, true},
		{"both under a name", `{{ $c := .Capabilities }}{{ $c.KubeVersion.Version }}`, nil, true, true},
		{"by name", `{{ (index . "Capabilities").KubeVersion.Version }}`, nil, true, true},
		{"in a partial that nobody includes", "x", files{"templates/_h.tpl": library}, false, false},
		{"in a partial", `{{ include "kube" . }}`, files{"templates/_h.tpl": library}, true, false},
		{"in a partial with a computed name", `{{ include (print "ku" "be") . }}`, files{"templates/_h.tpl": library}, true, true},
		{"by the path of a template", `{{ include (print $.Template.BasePath "/o.yaml") . | len | quote }}`, files{"templates/_h.tpl": library, "templates/o.yaml": "# x"}, false, false},
		{"in a value", `{{ tpl .Values.t . }}`, files{"values.yaml": "t: '{{ .Capabilities.KubeVersion.Version }}'"}, true, false},
		{"in a value that is no template", `{{ .Values.t | quote }}`, files{"values.yaml": "t: '{{ .Capabilities.KubeVersion.Version }}'"}, false, false},
		{"in a file", `{{ tpl (.Files.Get "f") . }}`, files{"f": "{{ .Capabilities.KubeVersion.Version }}"}, true, false},
		{"all shown", `{{ toYaml $ | len | quote }}`, nil, true, true},
		{"all shown under a name", `{{ $all := . }}{{ toYaml $all | len | quote }}`, nil, true, true},
		{"all under a name", `{{ $all := . }}{{ $all.Values.a | quote }}`, nil, false, false},
		{"values under a name", `{{ $all := .Values }}{{ toYaml $all | quote }}`, nil, false, false},
		{"by a computed name", `{{ (index . (print "Capab" "ilities")).KubeVersion.Version }}`, nil, true, true},
		{"a value by a computed name", `{{ index .Values (print "a" "b") | quote }}`, nil, false, false},
		{"all ranged over", `{{ range $k, $v := . }}{{ $k }}{{ end }}`, nil, true, true},
		{"values shown", `{{ with .Values.x }}{{ toYaml . }}{{ end }}{{ toYaml .Values | quote }}`, nil, false, false},
		{"Chart.yaml", "x", files{"Chart.yaml": "apiVersion: v2\nname: web\nversion: 1.0.0\nkubeVersion: '>=1.20.0'\n"}, true, false},
		{"in a subchart that is off", "x", files{
			"Chart.yaml":  "apiVersion: v2\nname: web\nversion: 1.0.0\ndependencies: [{name: sub, version: 1.0.0, condition: sub.enabled}]\n",
			"values.yaml": "sub: {enabled: false}", "charts/sub/Chart.yaml": "apiVersion: v2\nname: sub\nversion: 1.0.0\n", "charts/sub/templates/x.yaml": "# {{ .Capabilities.KubeVersion }}",
		}, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			tree := chartOf(c.more)
			tree["templates/cm.yaml"] = configMap("cm", c.expression)
			w, host := space(tree, nil)
			seen := &capabilityHost{Memory: host}
			w.Host = seen
			host.Caps = workspace.Capabilities{KubeVersion: "v1.31.2", APIs: []string{"x/v1"}}
			mustRender(t, w)
			if seen.kube != c.kube || seen.apis != c.apis {
				t.Errorf("asked for version %v and APIs %v", seen.kube, seen.apis)
			}
		})
	}
}

// capabilityHost notes what was asked for.
type capabilityHost struct {
	*workspace.Memory
	kube, apis bool
}

func (h *capabilityHost) Capabilities(kube, apis bool) (workspace.Capabilities, error) {
	h.kube, h.apis = h.kube || kube, h.apis || apis
	return h.Memory.Capabilities(kube, apis)
}

func TestCapabilitiesOfTheSourceReplaceThoseOfTheCluster(t *testing.T) {
	show := `{{ printf "%s %v %v" .Capabilities.KubeVersion.Version (.Capabilities.APIVersions.Has "x/v1") (.Capabilities.APIVersions.Has "y/v1") }}`
	for _, c := range []struct {
		name string
		helm model.HelmSource
		want string
	}{
		{"cluster", model.HelmSource{}, "v1.31.2 true false"},
		{"version", model.HelmSource{KubeVersion: "1.29"}, "v1.29 true false"},
		{"APIs", model.HelmSource{APIVersions: []string{"y/v1"}}, "v1.31.2 false true"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, host := space(chartOf(files{"templates/cm.yaml": configMap("cm", show)}), &c.helm)
			host.Caps = workspace.Capabilities{KubeVersion: "v1.31.2-gke.1", APIs: []string{"x/v1"}}
			if got := value(t, mustRender(t, w), "cm"); got != c.want {
				t.Errorf("%q instead of %q", got, c.want)
			}
		})
	}
	if got := renderValue(t, "{{ .Capabilities.KubeVersion.Version }}", nil, nil); got != DefaultKubeVersion {
		t.Error(got)
	}
}

func TestTemplatesThatVarySaySo(t *testing.T) {
	for expression, want := range map[string]bool{
		"{{ randAlphaNum 8 }}": true, "{{ now | date \"2006\" | quote }}": true, "{{ uuidv4 }}": true, "{{ keys .Values | join \",\" | quote }}": true,
		"{{ (genCA \"x\" 1).Cert | quote }}": true, "{{ range $k, $v := .Values }}{{ $k }}{{ end }}x": false, "{{ .Values.now | quote }}": false, "{{ \"a\" | sha256sum }}": false,
	} {
		w, _ := space(chartOf(files{"templates/cm.yaml": configMap("cm", expression)}), nil)
		mustRender(t, w)
		if w.Varies() != want {
			t.Errorf("%s: varies %v", expression, w.Varies())
		}
	}
}

func TestLookupIsEmptyAndSaysSo(t *testing.T) {
	tree := chartOf(files{
		"templates/_h.tpl":  `{{ define "pw" }}{{ with lookup "v1" "Secret" .Release.Namespace "pw" }}found{{ else }}none{{ end }}{{ end }}{{ define "unused" }}{{ lookup "v1" "Secret" "" "" }}{{ end }}`,
		"templates/cm.yaml": configMap("cm", `{{ include "pw" . }}`),
	})
	w, _ := space(tree, nil)
	if got := value(t, mustRender(t, w), "cm"); got != "none" {
		t.Error(got)
	}
	if m := warned(w, "helm_lookup_empty"); !strings.HasPrefix(m, "web/templates/_h.tpl: ") {
		t.Error(m)
	}
	tree["templates/cm.yaml"] = configMap("cm", "x")
	w, _ = space(tree, nil)
	if mustRender(t, w); len(w.Warnings()) != 0 {
		t.Error(w.Warnings())
	}
}

func TestWhatHelmAcceptsIsAccepted(t *testing.T) {
	w, _ := space(chartOf(files{
		"templates/cm.yaml": "\n\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: cm\n  labels: {empty: }\n  annotations: {empty: ~, b: 'yes'}\ndata:\n  v: first\n  v: last\n",
	}), nil)
	objects := mustRender(t, w)
	if got := value(t, objects, "cm"); got != "last" {
		t.Error(got)
	}
	if m := warned(w, "helm_duplicate_key"); !strings.Contains(m, `web/templates/cm.yaml as rendered:11`) || !strings.Contains(m, "the last one counts") {
		t.Error(m)
	}
	w, _ = space(chartOf(files{"templates/cm.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: cm\n  labels: {empty: }\ndata: {v: x}\n"}), nil)
	objects = mustRender(t, w)
	if meta := objects[0].Body["metadata"].(map[string]any); meta["labels"].(map[string]any)["empty"] != "" {
		t.Error(meta)
	}
}

func TestSchemas(t *testing.T) {
	schema := `{"type": "object", "additionalProperties": false, "properties": {"replicaCount": {"type": "integer", "minimum": 2}, "password": {"type": "string", "pattern": "^[a-z]+$"}, "kind": {"enum": ["a", "b"]}, "global": {}, "sub": {}}}`
	for _, c := range []struct {
		name   string
		values string
		more   files
		says   []string
	}{
		{"type", "replicaCount: many", nil, []string{"values do not match values.schema.json: replicaCount: want integer, got string"}},
		{"minimum", "replicaCount: 1", nil, []string{"replicaCount: want at least 2"}},
		{"unknown key", "replicas: 1", nil, []string{"not allowed: replicas"}},
		{"enum", "kind: c", nil, []string{`kind: want one of "a", "b"`}},
		{"a subchart", "sub: {num: x}", files{"charts/sub/Chart.yaml": "apiVersion: v2\nname: sub\nversion: 1.0.0\n", "charts/sub/values.schema.json": `{"properties": {"num": {"type": "number"}}}`},
			[]string{`of the subchart "sub": sub.num: want number, got string`}},
		{"broken", "", files{"values.schema.json": "{"}, []string{"values.schema.json of chart \"web\""}},
		{"a file", "", files{"values.schema.json": `{"$ref": "file:///etc/passwd"}`}, []string{`refers to the file "etc/passwd"`}},
		{"a file beside it", "", files{"values.schema.json": `{"$ref": "other.json"}`}, []string{`refers to the file "other.json"`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			tree := chartOf(files{"values.schema.json": schema})
			for k, v := range c.more {
				tree[k] = v
			}
			w, _ := space(tree, &model.HelmSource{Values: c.values})
			_, err := Render(w)
			wantFault(t, err, "helm_values_schema", c.says...)
			w, _ = space(tree, &model.HelmSource{Values: c.values, SkipSchemaValidation: true})
			mustRender(t, w)
		})
	}
	w, _ := space(chartOf(files{"values.schema.json": schema}), &model.HelmSource{Values: "password: HUNTER2"})
	_, err := Render(w)
	wantFault(t, err, "helm_values_schema", "password: does not match the pattern ^[a-z]+$")
	if strings.Contains(err.Error(), "HUNTER2") {
		t.Error("the value is in the message")
	}
	// A schema that goes round in circles is a schema.
	w, _ = space(chartOf(files{"values.schema.json": `{"$ref": "#/definitions/a", "definitions": {"a": {"properties": {"x": {"$ref": "#/definitions/a"}}, "additionalProperties": true}}}`}), &model.HelmSource{Values: "x: {x: {x: {}}}"})
	mustRender(t, w)
}

func TestInflateIsWhatHelmPrints(t *testing.T) {
	w, _ := space(chartOf(files{
		"crds/c.yaml":      "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: c}",
		"templates/d.yaml": "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: {{ .Release.Name }}-{{ .Values.num }}}\n---\napiVersion: v1\nkind: ServiceAccount\nmetadata: {name: {{ .Release.Namespace }}}\n",
		"templates/h.yaml": "apiVersion: v1\nkind: Pod\nmetadata: {name: t, annotations: {helm.sh/hook: test}}\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: h, annotations: {helm.sh/hook: pre-install}}\n",
		"values.yaml":      "num: 0",
	}), nil)
	in := Chart{Where: "kustomization.yaml: helmCharts[0]", ReleaseName: "rel", Namespace: "ns", Values: [][]byte{[]byte("num: 1"), []byte("num: 2")}, IncludeCRDs: true}
	text, err := Inflate(w, in)
	if err != nil {
		t.Fatal(err)
	}
	order := func(text []byte) string {
		var out []string
		for line := range strings.Lines(string(text)) {
			if _, after, ok := strings.Cut(line, "metadata: {name: "); ok {
				out = append(out, strings.TrimRight(strings.FieldsFunc(after, func(r rune) bool { return r == ',' || r == '}' })[0], "\n"))
			}
		}
		return strings.Join(out, " ")
	}
	if got := order(text); got != "c ns rel-2 t h" {
		t.Errorf("%s\n%s", got, text)
	}
	in.IncludeCRDs, in.SkipTests = false, true
	if text, err = Inflate(w, in); err != nil || order(text) != "ns rel-2 h" {
		t.Errorf("%v\n%s", err, text)
	}
	in.SkipHooks = true
	if text, err = Inflate(w, in); err != nil || order(text) != "ns rel-2" {
		t.Errorf("%v\n%s", err, text)
	}
	in.Values = [][]byte{[]byte("[")}
	_, err = Inflate(w, in)
	wantFault(t, err, "helm_values_invalid", "kustomization.yaml: helmCharts[0]")
}

func TestRendersDoNotChangeTheKeptChart(t *testing.T) {
	tree := chartOf(files{
		"Chart.yaml":  "apiVersion: v2\nname: web\nversion: 1.0.0\ndependencies: [{name: sub, version: 1.0.0, alias: other, condition: enabled, import-values: [data]}]\n",
		"values.yaml": "enabled: true\nm: {a: 1}", "charts/sub/Chart.yaml": "apiVersion: v2\nname: sub\nversion: 1.0.0\n", "charts/sub/values.yaml": "exports: {data: {imported: yes}}\n",
		"charts/sub/templates/x.yaml": configMap("sub", "{{ .Chart.Name }}"),
		"templates/cm.yaml":           configMap("cm", `{{ $_ := set .Values.m "a" (add1 .Values.m.a) }}{{ toJson .Values | quote }}`),
	})
	var first string
	for i := range 3 {
		w, _ := space(tree, nil)
		objects := mustRender(t, w)
		got := value(t, objects, "cm") + value(t, objects, "sub")
		if i == 0 {
			first = got
		}
		if got != first {
			t.Errorf("render %d: %s instead of %s", i, got, first)
		}
		off, _ := space(tree, &model.HelmSource{Values: "enabled: false"})
		if got := names(mustRender(t, off)); !slices.Equal(got, []string{"cm"}) {
			t.Error(got)
		}
	}
}

func FuzzPartsAreThoseOfHelm(f *testing.F) {
	for _, s := range []string{"", "---", "a\n---\nb", "---\n---\na", "a\n \n---  # c\nb\n---", "a\n---b\n\n\n--- \n\n---\nc", "-----\na", "a\r\n---\r\nb", "a --- b\n ---\nc"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		whole := strings.TrimSpace(text)
		split := releaseutil.SplitManifests(text)
		got := parts(whole)
		if len(got) != len(split) {
			t.Fatalf("%q: %d parts, helm has %d", text, len(got), len(split))
		}
		var joined strings.Builder
		for i, p := range got {
			joined.WriteString(p.before + p.text)
			if want := split[fmt.Sprintf("manifest-%d", i)]; strings.TrimSpace(p.text) != want {
				t.Errorf("%q: part %d is %q, helm has %q", text, i, p.text, want)
			}
		}
		if !strings.HasPrefix(whole, joined.String()) {
			t.Errorf("%q: the parts and what is between them are %q", text, joined.String())
		}
	})
}
