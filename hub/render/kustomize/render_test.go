package kustomize

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/hub/render/workspace"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/manifest"
	"github.com/hawser-dev/hawser/shared/model"
)

func object(t *testing.T, objects []manifest.Object, kind, name string) manifest.Object {
	t.Helper()
	for _, o := range objects {
		if o.Key.Kind == kind && o.Key.Name == name {
			return o
		}
	}
	t.Fatalf("no %s %s among %v", kind, name, objects)
	return manifest.Object{}
}

func field(o manifest.Object, names ...string) any {
	var v any = o.Body
	for _, n := range names {
		m, _ := v.(map[string]any)
		v = m[n]
	}
	return v
}

func TestRemoteBasesAndFilesComeFromTheHost(t *testing.T) {
	t.Parallel()
	const (
		spec = "https://git.example.com/org/repo//deploy/app?ref=v2"
		url  = "https://files.example.com/all/crd.yaml"
	)
	host := &workspace.Memory{
		Trees: map[string]map[string]string{
			"": {
				"app/kustomization.yaml": "resources: ['" + spec + "', '" + url + "']\ncomponents: [git@git.example.com:org/parts]\nnamePrefix: p-\nbuildMetadata: [originAnnotations]\n" +
					"configMapGenerator: [{name: g, files: ['conf=https://files.example.com/x/conf', 'https://files.example.com/x/plain.txt']}]\n" +
					"patches: [{path: https://files.example.com/patch.yaml, target: {name: up}}]\n",
			},
			"t1": {"deploy/app/kustomization.yaml": "resources: [../base, up.yaml]\n", "deploy/app/up.yaml": cm("up"), "deploy/base/kustomization.yaml": "resources: [b.yaml]\n", "deploy/base/b.yaml": cm("base")},
			"t2": {"kustomization.yaml": component + "nameSuffix: -s\n"},
		},
		Bases: map[string]workspace.Fetched{spec: {Tree: "t1", Path: "deploy/app"}, "git@git.example.com:org/parts": {Tree: "t2"}},
		Files: map[string]string{
			url: cm("downloaded"), "https://files.example.com/x/conf": "c=1", "https://files.example.com/x/plain.txt": "p=1",
			"https://files.example.com/patch.yaml": `[{"op": "add", "path": "/data", "value": {"k": "v"}}]`,
		},
	}
	w := &workspace.Workspace{Host: host, Dir: "app", Limits: workspace.DefaultLimits()}
	out, err := Render(w, nil)
	if err != nil {
		t.Fatal(err)
	}
	if out.Tool != "Kustomize" {
		t.Errorf("tool %q", out.Tool)
	}
	up := object(t, out.Objects, "ConfigMap", "p-up-s")
	if field(up, "data", "k") != "v" || up.Origin != "https://git.example.com/org/repo//deploy/app/up.yaml#1" {
		t.Errorf("%v from %s", up.Body, up.Origin)
	}
	if got, want := up.Annotation("config.kubernetes.io/origin"), "path: deploy/app/up.yaml\nrepo: https://git.example.com/org/repo\nref: v2\n"; got != want {
		t.Errorf("origin annotation %q", got)
	}
	if got := object(t, out.Objects, "ConfigMap", "p-downloaded-s").Annotation("config.kubernetes.io/origin"); got != "path: "+url+"\n" {
		t.Errorf("origin annotation %q", got)
	}
	object(t, out.Objects, "ConfigMap", "p-base-s")
	i := slices.IndexFunc(out.Objects, func(o manifest.Object) bool { return strings.HasPrefix(o.Key.Name, "p-g-") })
	if i < 0 || field(out.Objects[i], "data", "conf") != "c=1" || field(out.Objects[i], "data", "plain.txt") != "p=1" {
		t.Errorf("%v", out.Objects)
	}
}

func TestTheHostDecidesAboutWhatIsRemote(t *testing.T) {
	t.Parallel()
	for _, entry := range []string{
		"https://git.example.com/org/repo//deploy?ref=main", "git@git.example.com:org/repo", "github.com/org/repo", "ssh://git@git.example.com/org/repo",
		"https://files.example.com/all.yaml", "git::https://git.example.com/org/repo", "file:///srv/git/repo",
	} {
		w := source(map[string]string{"app/kustomization.yaml": "resources: ['" + entry + "']\n"})
		_, err := Render(w, nil)
		if e := fault.As(err); err == nil || e.Code != "remote_base_forbidden" || e.Kind != fault.Denied || !strings.HasPrefix(e.Message, "app/kustomization.yaml: resources[0]: ") {
			t.Errorf("%s: %v", entry, err)
		}
	}
	// Dangerous references do not even get that far.
	w := source(map[string]string{"app/kustomization.yaml": "resources: ['https://git.example.com/org/repo?ref=--upload-pack=touch']\n"})
	if _, err := Render(w, nil); !fault.HasCode(err, "git_ref_invalid") || slices.ContainsFunc(w.Host.(*workspace.Memory).Asked, func(q string) bool { return strings.HasPrefix(q, "base") }) {
		t.Errorf("got %v", err)
	}
	// A base may not lead back out of its own repository.
	host := &workspace.Memory{
		Trees: map[string]map[string]string{"": {"app/kustomization.yaml": "resources: [github.com/org/repo]\n", "secret/kustomization.yaml": "resources: [s.yaml]\n", "secret/s.yaml": cm("s")},
			"t1": {"kustomization.yaml": "resources: [../hawser-tree-0/secret]\n"}},
		Bases: map[string]workspace.Fetched{"github.com/org/repo": {Tree: "t1"}},
	}
	if _, err := Render(&workspace.Workspace{Host: host, Dir: "app", Limits: workspace.DefaultLimits()}, nil); !fault.HasCode(err, "path_escapes_repo") {
		t.Errorf("got %v", err)
	}
}

// TestASchemaDoesNotStay builds with a schema of its own in between: the patch
// replaces the list of containers as a whole before and after, by name with it.
func TestASchemaDoesNotStay(t *testing.T) {
	const object1 = "apiVersion: example.com/v1\nkind: Roll\nmetadata: {name: r}\nspec: {template: {spec: {containers: [{name: a, image: a:1}, {name: b, image: b:1}]}}}\n"
	const schema = `{"definitions": {"v1.Roll": {"type": "object", "properties": {"spec": {"type": "object", "properties": {"template": {"$ref": "#/definitions/io.k8s.api.core.v1.PodTemplateSpec"}}}},
 "x-kubernetes-group-version-kind": [{"group": "example.com", "kind": "Roll", "version": "v1"}]},
 "io.k8s.api.core.v1.PodTemplateSpec": {"properties": {"spec": {"properties": {"containers": {"type": "array", "items": {"type": "object"}, "x-kubernetes-patch-merge-key": "name", "x-kubernetes-patch-strategy": "merge"}}}}}}}`
	files := map[string]string{
		"plain/kustomization.yaml":  "resources: [r.yaml]\npatches: [{path: p.yaml}]\n",
		"custom/kustomization.yaml": "resources: [r.yaml]\npatches: [{path: p.yaml}]\nopenapi: {path: s.json}\n",
		"base/kustomization.yaml":   "resources: [../custom]\nnamePrefix: x-\n",
		"old/kustomization.yaml":    "resources: [r.yaml]\nopenapi: {version: v1.21.2}\n",
		"broken/kustomization.yaml": "resources: [r.yaml]\npatches: [{path: p.yaml}]\nopenapi: {path: s.json}\n",
	}
	for _, dir := range []string{"plain", "custom", "old", "broken"} {
		files[dir+"/r.yaml"] = object1
		files[dir+"/p.yaml"] = "apiVersion: example.com/v1\nkind: Roll\nmetadata: {name: r}\nspec: {template: {spec: {containers: [{name: b, image: b:2}]}}}\n"
		files[dir+"/s.json"] = schema
	}
	files["broken/s.json"] = "[]"
	containers := func(dir string) int {
		w := source(files)
		w.Dir = dir
		out, err := Render(w, nil)
		if dir == "broken" {
			if !fault.HasCode(err, code) {
				t.Errorf("broken: %v", err)
			}
			return 0
		}
		if err != nil {
			t.Fatal(dir, err)
		}
		list, _ := field(out.Objects[0], "spec", "template", "spec", "containers").([]any)
		return len(list)
	}
	for _, step := range []struct {
		dir  string
		want int
	}{{"plain", 1}, {"custom", 2}, {"plain", 1}, {"base", 2}, {"plain", 1}, {"old", 2}, {"custom", 2}, {"broken", 0}, {"plain", 1}} {
		if got := containers(step.dir); got != step.want {
			t.Errorf("%s has %d containers, want %d", step.dir, got, step.want)
		}
	}
}

func TestBuildEnvironmentInOptions(t *testing.T) {
	t.Parallel()
	w := source(map[string]string{"app/kustomization.yaml": "resources: [a.yaml]\n", "app/a.yaml": "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: a, image: web}]}\n"})
	w.Host.(*workspace.Memory).Values = map[string]string{workspace.AppName: "shop", workspace.AppRevision: "abc123", workspace.DestinationNamespace: "secret"}
	annotations := map[string]string{"rev": "$ARGOCD_APP_REVISION", "both": "${ARGOCD_APP_NAME}-$$5", "other": "x${HOME}${HAWSER_DESTINATION_NAMESPACE}"}
	w.Source.Kustomize = &model.KustomizeSource{
		Images: []string{"web:${ARGOCD_APP_REVISION}"}, CommonLabels: map[string]string{"app": "$ARGOCD_APP_NAME"},
		CommonAnnotations: annotations, CommonAnnotationsEnvsubst: true,
	}
	out, err := Render(w, nil)
	if err != nil {
		t.Fatal(err)
	}
	pod := object(t, out.Objects, "Pod", "a")
	if got := field(pod, "metadata", "annotations"); !reflect.DeepEqual(got, map[string]any{"rev": "abc123", "both": "shop-$5", "other": "x"}) {
		t.Errorf("annotations %v", got)
	}
	if got := field(pod, "metadata", "labels", "app"); got != "shop" {
		t.Errorf("label %v", got)
	}
	if got := fmt.Sprint(field(pod, "spec", "containers")); !strings.Contains(got, "web:abc123") {
		t.Errorf("containers %v", got)
	}
	w.Source.Kustomize.CommonAnnotationsEnvsubst = false
	if out, err = Render(w, nil); err != nil {
		t.Fatal(err)
	}
	if got := field(out.Objects[0], "metadata", "annotations", "rev"); got != "$ARGOCD_APP_REVISION" {
		t.Errorf("annotation %v", got)
	}
}

func TestVersionsThatAreAccepted(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"", "v5.8.1", "5.8.1"} {
		w := source(map[string]string{"app/kustomization.yaml": "resources: [a.yaml]\n", "app/a.yaml": cm("a")})
		w.Source.Kustomize = &model.KustomizeSource{Version: version}
		if out, err := Render(w, nil); err != nil || names(out.Objects) != "a" {
			t.Errorf("%q: %v", version, err)
		}
	}
}

func TestAnEmptyKustomizationWithOptionsIsBuilt(t *testing.T) {
	t.Parallel()
	w := source(map[string]string{"app/kustomization.yaml": "", "parts/a/kustomization.yaml": component + "configMapGenerator: [{name: a, literals: [x=1]}]\n"})
	w.Source.Kustomize = &model.KustomizeSource{Components: []string{"../parts/a", "../parts/none"}, IgnoreMissingComponents: true}
	out, err := Render(w, nil)
	if err != nil || len(out.Objects) != 1 {
		t.Fatal(out, err)
	}
}

func TestObjectsKnowWhereTheyWereWritten(t *testing.T) {
	t.Parallel()
	w := source(map[string]string{
		"app/kustomization.yaml":  "resources: [../base, own.yaml, c.json]\nnamePrefix: p-\nconfigMapGenerator: [{name: generated, literals: [a=b]}]\n",
		"app/own.yaml":            "# first\n---\n" + cm("own") + "---\nkind: Secret\napiVersion: v1\nmetadata:\n  labels:\n    name: wrong\n  name: \"own\"\n",
		"app/c.json":              `{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "json"}}`,
		"base/kustomization.yaml": "resources: [x.yaml]\nsecretGenerator: [{name: hidden, literals: [a=b]}]\n", "base/x.yaml": cm("x") + "---\n" + cm("xy"),
	})
	out, err := Render(w, nil)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, o := range out.Objects {
		name := o.Key.Name
		if i := strings.LastIndex(name, "-"); i > 2 {
			name = name[:i]
		}
		got[o.Key.Kind+" "+name] = o.Origin
	}
	want := map[string]string{
		"ConfigMap p-own": "app/own.yaml#1", "Secret p-own": "app/own.yaml#2", "ConfigMap p-json": "app/kustomization.yaml",
		"ConfigMap p-x": "base/x.yaml#1", "ConfigMap p-xy": "base/x.yaml#2",
		"ConfigMap p-generated": "app/kustomization.yaml configMapGenerator[0]", "Secret p-hidden": "base/kustomization.yaml secretGenerator[0]",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
}

// recorded is an Inflate that notes charts and puts out one object for each.
type recorded struct{ charts []Chart }

func (r *recorded) inflate(_ *workspace.Workspace, c Chart) ([]byte, error) {
	r.charts = append(r.charts, c)
	return []byte("# Source: x\n" + cm(c.ReleaseName) + "data: {namespace: " + c.Namespace + "}\n---\napiVersion: v1\nkind: Service\nmetadata: {name: " + c.ReleaseName + ", namespace: fixed}\n"), nil
}

func TestChartsAreGivenWhatTheCommandWouldGiveThem(t *testing.T) {
	t.Parallel()
	files := map[string]string{
		"app/kustomization.yaml": `namespace: over
namePrefix: p-
buildMetadata: [originAnnotations]
helmGlobals: {chartHome: ../charts}
helmCharts:
- name: local
  releaseName: one
  valuesFile: values.yaml
  additionalValuesFiles: [more/values.yaml]
  valuesInline: {a: {b: 2}, list: [9], n: null}
  includeCRDs: true
  skipHooks: true
  skipTests: true
  kubeVersion: v1.30.0
  apiVersions: [x/v1]
- name: local
  releaseName: two
  namespace: own
  valuesInline: {a: {c: 3}}
  valuesMerge: merge
- {name: local, releaseName: three, valuesMerge: replace, valuesInline: {only: 1}}
- {name: far, version: 1.2.3, repo: "https://charts.example.com/", releaseName: four}
- {name: local, nameTemplate: '{{ "five" | upper | lower }}'}
- {name: local}
`,
		"app/values.yaml": "a: {b: 1, d: 4}\nlist: [1, 2]\nn: 5\n", "app/more/values.yaml": "more: true\n",
		"charts/local/Chart.yaml": "name: local\n", "charts/local/values.yaml": "a: {c: 1, e: 5}\n",
	}
	w := source(files)
	host := w.Host.(*workspace.Memory)
	host.Trees["far"] = map[string]string{"Chart.yaml": "name: far\n", "values.yaml": "far: true\n"}
	host.Charts = map[string]workspace.Fetched{"https://charts.example.com far 1.2.3": {Tree: "far"}}
	w.Source.Kustomize = &model.KustomizeSource{KubeVersion: "v1.31.0", APIVersions: []string{"y/v1"}}
	var r recorded
	out, err := Render(w, r.inflate)
	if err != nil {
		t.Fatal(err)
	}
	text := func(values ...string) (out [][]byte) {
		for _, v := range values {
			out = append(out, []byte(v))
		}
		return out
	}
	where := func(i int) string { return fmt.Sprintf("app/kustomization.yaml: helmCharts[%d]", i) }
	local := func(i int, release, namespace string, values ...string) Chart {
		return Chart{Dir: "charts/local", Where: where(i), ReleaseName: release, Namespace: namespace, Values: text(values...), KubeVersion: "v1.31.0", APIVersions: []string{"y/v1"}}
	}
	first := local(0, "one", "over", "a:\n  b: 2\n  d: 4\nlist:\n- 9\n\"n\": 5\n", "more: true\n")
	first.IncludeCRDs, first.SkipHooks, first.SkipTests, first.KubeVersion, first.APIVersions = true, true, true, "v1.30.0", []string{"x/v1"}
	fourth := local(3, "four", "over", "far: true\n")
	fourth.Tree, fourth.Dir = "far", ""
	want := []Chart{
		first, local(1, "two", "own", "a:\n  c: 1\n  e: 5\n"), local(2, "three", "over", "only: 1\n"), fourth,
		local(4, "five", "over", files["charts/local/values.yaml"]), local(5, "local", "over", files["charts/local/values.yaml"]),
	}
	for i := range want {
		if i >= len(r.charts) || !reflect.DeepEqual(r.charts[i], want[i]) {
			t.Errorf("chart %d\n got %+v\nwant %+v", i, r.charts[i], want[i])
		}
	}
	o := object(t, out.Objects, "ConfigMap", "p-one")
	if o.Key.Namespace != "" || field(o, "data", "namespace") != "over" || o.Origin != "app/kustomization.yaml helmCharts[0] (chart local)" {
		t.Errorf("%v from %s", o.Body, o.Origin)
	}
	if got, want := o.Annotation("config.kubernetes.io/origin"), "configuredIn: kustomization.yaml\nconfiguredBy:\n  apiVersion: builtin\n  kind: HelmChartInflationGenerator\n"; got != want {
		t.Errorf("origin annotation %q", got)
	}
	if len(o.Body["metadata"].(map[string]any)["annotations"].(map[string]any)) != 1 {
		t.Errorf("annotations stay: %v", o.Body)
	}
	if !w.Varies() || len(w.Warnings()) != 1 || w.Warnings()[0].Code != "helm_release_unnamed" {
		t.Errorf("varies %v, warnings %v", w.Varies(), w.Warnings())
	}
}

func TestAChartInABaseIsRenderedForEachNamespace(t *testing.T) {
	t.Parallel()
	w := source(map[string]string{
		"app/kustomization.yaml": "resources: [../eu, ../us, ../eu2]\n",
		"eu/kustomization.yaml":  "resources: [../base]\nnamespace: eu\nnamePrefix: eu-\n", "us/kustomization.yaml": "resources: [../base]\nnamespace: us\nnamePrefix: us-\n",
		"eu2/kustomization.yaml":  "resources: [../base]\nnamespace: eu\nnamePrefix: eu2-\n",
		"base/kustomization.yaml": "resources: [x.yaml]\nhelmCharts: [{name: c, releaseName: r}]\n", "base/x.yaml": cm("x"), "base/charts/c/Chart.yaml": "name: c\n",
	})
	var r recorded
	out, err := Render(w, r.inflate)
	if err != nil {
		t.Fatal(err)
	}
	for _, region := range []string{"eu", "us", "eu2"} {
		if got := field(object(t, out.Objects, "ConfigMap", region+"-r"), "data", "namespace"); got != strings.TrimSuffix(region, "2") {
			t.Errorf("%s: %v", region, got)
		}
		object(t, out.Objects, "ConfigMap", region+"-x")
	}
	if len(r.charts) != 2 {
		t.Errorf("%d charts were rendered", len(r.charts))
	}
}

func TestChartsAsGenerators(t *testing.T) {
	t.Parallel()
	w := source(map[string]string{
		"app/kustomization.yaml": "namespace: over\ngenerators: [chart.yaml]\nlabels: [{pairs: {a: b}}]\n",
		"app/chart.yaml":         "apiVersion: builtin\nkind: HelmChartInflationGenerator\nmetadata: {name: x}\nname: c\nchartHome: vendor\nreleaseName: r\nvaluesInline: {k: v}\n", "app/vendor/c/Chart.yaml": "name: c\n",
	})
	var r recorded
	out, err := Render(w, r.inflate)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.charts) != 1 || r.charts[0].Dir != "app/vendor/c" || r.charts[0].Namespace != "default" || string(r.charts[0].Values[0]) != "k: v\n" {
		t.Errorf("%+v", r.charts)
	}
	if field(object(t, out.Objects, "ConfigMap", "r"), "metadata", "labels", "a") != "b" {
		t.Errorf("%v", out.Objects)
	}
}

func TestChartErrorsNameTheChart(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ chart, code, text string }{
		{"{name: gone}", code, `helmCharts[0]: chart "gone" is not in app/charts/gone`},
		{"{releaseName: x}", code, "the name of the chart is missing"},
		{"{name: c, releaseName: r, valuesMerge: all}", code, "valuesMerge"},
		{"{name: c, releaseName: r, nameTemplate: x}", code, "keep one of them"},
		{"{name: c, nameTemplate: '{{ env \"HOME\" }}'}", code, "nameTemplate"},
		{"{name: c, nameTemplate: '{{'}", code, "nameTemplate"},
		{"{name: c, releaseName: r, valuesFile: gone.yaml}", code, `helmCharts[0].valuesFile: file "gone.yaml" does not exist`},
		{"{name: far, repo: 'https://charts.example.com', version: '^9'}", "chart_not_found", "helmCharts[0]: chart"},
		{"{name: bad, releaseName: bad}", "helm_template_error", "app/kustomization.yaml: helmCharts[0]: it fails"},
		{"{name: odd, releaseName: odd}", code, `what chart "odd" puts out is no list of objects`},
	} {
		w := source(map[string]string{"app/kustomization.yaml": "helmCharts: [" + tt.chart + "]\n", "app/charts/c/Chart.yaml": "", "app/charts/bad/Chart.yaml": "", "app/charts/odd/Chart.yaml": ""})
		_, err := Render(w, func(_ *workspace.Workspace, c Chart) ([]byte, error) {
			switch c.ReleaseName {
			case "bad":
				return nil, fault.New(fault.Unprocessable, "helm_template_error", "it fails")
			case "odd":
				return []byte("a: [\n"), nil
			}
			return nil, nil
		})
		if !fault.HasCode(err, tt.code) || !strings.Contains(err.Error(), tt.text) {
			t.Errorf("%s: %v", tt.chart, err)
			continue
		}
		checkText(t, err)
	}
}

func TestAChartWithoutObjectsIsNothing(t *testing.T) {
	t.Parallel()
	w := source(map[string]string{"app/kustomization.yaml": "helmCharts: [{name: c, releaseName: r}]\n", "app/charts/c/Chart.yaml": ""})
	out, err := Render(w, func(*workspace.Workspace, Chart) ([]byte, error) { return []byte("---\n# Source: nothing\n"), nil })
	if err != nil || len(out.Objects) != 0 {
		t.Errorf("%v %v", out.Objects, err)
	}
}

func TestAPanicOfALibraryIsAnError(t *testing.T) {
	t.Parallel()
	w := source(map[string]string{"app/kustomization.yaml": "helmCharts: [{name: c, releaseName: r}]\n", "app/charts/c/Chart.yaml": ""})
	_, err := Render(w, func(*workspace.Workspace, Chart) ([]byte, error) { panic("index out of range") })
	if !fault.HasCode(err, code) || !strings.Contains(err.Error(), "app: kustomize failed inside") {
		t.Fatalf("got %v", err)
	}
	checkText(t, err)
	if out, err := Render(source(map[string]string{"app/kustomization.yaml": "resources: [a.yaml]\n", "app/a.yaml": cm("a")}), nil); err != nil || names(out.Objects) != "a" {
		t.Errorf("afterwards %v", err)
	}
}

func TestTheBuildAsksOnlyForWhatItUses(t *testing.T) {
	t.Parallel()
	w := source(map[string]string{
		"app/kustomization.yaml": "resources: [../base]\n", "base/kustomization.yaml": "resources: [a.yaml]\n", "base/a.yaml": cm("a"), "base/unused.yaml": cm("u"), "other/x.yaml": cm("x"),
	})
	if _, err := Render(w, nil); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, q := range w.Host.(*workspace.Memory).Asked {
		if strings.Contains(q, "unused") || strings.Contains(q, "other") || strings.HasPrefix(q, "list") || seen[q] {
			t.Errorf("asked %s", q)
		}
		seen[q] = true
	}
}
