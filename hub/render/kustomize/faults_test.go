package kustomize

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/hawser-dev/hawser/hub/render/workspace"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/manifest"
	"github.com/hawser-dev/hawser/shared/model"
)

const component = "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\n"

func cm(name string) string {
	return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + name + "}\n"
}

// source is a workspace with files; directory "app" is built.
func source(files map[string]string) *workspace.Workspace {
	return &workspace.Workspace{
		Host: &workspace.Memory{Trees: map[string]map[string]string{"": files}, Values: map[string]string{}},
		Dir:  "app", Limits: workspace.DefaultLimits(),
	}
}

func names(objects []manifest.Object) string {
	var out []string
	for _, o := range objects {
		out = append(out, o.Key.Name)
	}
	return strings.Join(out, " ")
}

// inside is what no message may show: paths of the build's file system, of the
// machine, pointers, and names of Go types.
var inside = regexp.MustCompile(`hawser-tree|/root/|/tmp/|/home/|0x[0-9a-f]{4}|\b(types|resid|resmap|yaml|json|kyaml|interface)(\.[A-Z]| ?\{)|map\[|goroutine|\.go:\d|%!`)

func checkText(t *testing.T, err error) {
	t.Helper()
	e := fault.As(err)
	if len(e.Message) > maxMessage || inside.MatchString(e.Message+" "+e.Fix) || strings.Contains(e.Message, "\n") {
		t.Errorf("message %q, fix %q", e.Message, e.Fix)
	}
}

func TestWhatIsWrongIsSaidWithItsFile(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		files map[string]string
		code  string // kustomize_error when empty
		text  string
	}{
		{"no kustomization", map[string]string{"app/a.yaml": cm("a")}, "", "app has none of kustomization.yaml"},
		{"two kustomizations", map[string]string{"app/kustomization.yaml": "", "app/Kustomization": ""}, "", "only one of them"},
		{"empty", map[string]string{"app/kustomization.yaml": "# nothing\n"}, "", "app/kustomization.yaml is empty"},
		{"unknown field", map[string]string{"app/kustomization.yaml": "resorces: [a]\n"}, "", `app/kustomization.yaml: there is no field "resorces"`},
		{"wrong type", map[string]string{"app/kustomization.yaml": "resources: a\n"}, "", "app/kustomization.yaml: resources may not be a string"},
		{"no mapping", map[string]string{"app/kustomization.yaml": "- a\n"}, "", "is a mapping"},
		{"tab", map[string]string{"app/kustomization.yaml": "resources:\n\t- a\n"}, "yaml_invalid", "app/kustomization.yaml:2:1: tab"},
		{"wrong kind", map[string]string{"app/kustomization.yaml": "kind: Deployment\n"}, "", "kind should be Kustomization"},
		{"missing file", map[string]string{"app/kustomization.yaml": "resources: [gone.yaml]\n"}, "", `app/kustomization.yaml: resources[0]: "gone.yaml" does not exist`},
		{"missing base", map[string]string{"app/kustomization.yaml": "resources: [../base]\n"}, "", `"../base" does not exist`},
		{"base without kustomization", map[string]string{"app/kustomization.yaml": "resources: [../base]\n", "base/x.yaml": cm("x")}, "", "base has none of"},
		{"in the base", map[string]string{"app/kustomization.yaml": "resources: [../base]\n", "base/kustomization.yaml": "resources: [gone.yaml]\n"}, "", "base/kustomization.yaml: resources[0]"},
		{"cycle", map[string]string{"app/kustomization.yaml": "resources: [../b]\n", "b/kustomization.yaml": "resources: [../c]\n", "c/kustomization.yaml": "resources: [../app]\n"}, "", "form a cycle: app → b → c → app"},
		{"cycle in a component", map[string]string{"app/kustomization.yaml": "components: [../b]\n", "b/kustomization.yaml": component + "components: [../c]\n", "c/kustomization.yaml": component + "components: [../b]\n"}, "", "form a cycle: b → c → b"},
		{"base above", map[string]string{"app/kustomization.yaml": "resources: [..]\n", "kustomization.yaml": "resources: [x.yaml]\n", "x.yaml": cm("x")}, "", "a base may not be above its overlay"},
		{"component as base", map[string]string{"app/kustomization.yaml": "resources: [../b]\n", "b/kustomization.yaml": component}, "", `list its directory under "components"`},
		{"base as component", map[string]string{"app/kustomization.yaml": "components: [../b]\n", "b/kustomization.yaml": "namePrefix: x\n"}, "", "is no Component"},
		{"broken resource", map[string]string{"app/kustomization.yaml": "resources: [a.yaml]\n", "app/a.yaml": "kind: X\n  bad: [\n"}, "yaml_invalid", "app/a.yaml:"},
		{"resource without kind", map[string]string{"app/kustomization.yaml": "resources: [a.yaml]\n", "app/a.yaml": "a: 1\n"}, "manifest_incomplete", `app/a.yaml document 1: "apiVersion" is missing`},
		{"resource without name", map[string]string{"app/kustomization.yaml": "resources: [a.yaml]\n", "app/a.yaml": "apiVersion: v1\nkind: Pod\nspec: {}\n"}, "manifest_incomplete", `app/a.yaml document 1: Pod: "metadata.name" is missing`},
		{"twice", map[string]string{"app/kustomization.yaml": "resources: [a.yaml, b.yaml]\n", "app/a.yaml": cm("a"), "app/b.yaml": cm("a")}, "", "app/kustomization.yaml: ConfigMap.v1/a is defined twice"},
		{"twice through bases", map[string]string{"app/kustomization.yaml": "resources: [../b, ../c]\n", "b/kustomization.yaml": "resources: [a.yaml]\n", "b/a.yaml": cm("a"), "c/kustomization.yaml": "resources: [../b]\n"}, "", "app/kustomization.yaml: ConfigMap.v1/a is defined twice"},
		{"patch without target", map[string]string{"app/kustomization.yaml": "resources: [a.yaml]\npatches: [{path: p.yaml}]\n", "app/a.yaml": cm("a"), "app/p.yaml": cm("b")}, "", "app/kustomization.yaml: the patch for ConfigMap.v1/b matches no object"},
		{"patch without target in a base", map[string]string{"app/kustomization.yaml": "resources: [../b]\n", "b/kustomization.yaml": "patches: [{path: p.yaml}]\n", "b/p.yaml": cm("b")}, "", "b/kustomization.yaml: the patch"},
		{"patch without target in a component", map[string]string{"app/kustomization.yaml": "components: [../b]\n", "b/kustomization.yaml": component + "patches: [{path: p.yaml}]\n", "b/p.yaml": cm("b")}, "", "the patch for ConfigMap.v1/b matches no object"},
		{"patch that is none", map[string]string{"app/kustomization.yaml": "resources: [a.yaml]\npatches: [{patch: 'just text'}]\n", "app/a.yaml": cm("a")}, "", "app/kustomization.yaml: patches"},
		{"patch operation", map[string]string{"app/kustomization.yaml": "resources: [a.yaml]\npatches: [{target: {kind: ConfigMap}, patch: '[{\"op\": \"replace\", \"path\": \"/data/x\", \"value\": \"1\"}]'}]\n", "app/a.yaml": cm("a")}, "", "/data/x"},
		{"missing patch", map[string]string{"app/kustomization.yaml": "patches: [{path: gone.yaml}]\n"}, "", `app/kustomization.yaml: patches[0]: file "gone.yaml" does not exist`},
		{"generator exists", map[string]string{"app/kustomization.yaml": "resources: [../b]\nconfigMapGenerator: [{name: a, literals: [x=1]}]\n", "b/kustomization.yaml": "configMapGenerator: [{name: a, literals: [x=1]}]\n"}, "", "ConfigMap a exists already"},
		{"generator merges nothing", map[string]string{"app/kustomization.yaml": "configMapGenerator: [{name: a, behavior: merge, literals: [x=1]}]\n"}, "", "there is no ConfigMap a that the generator could merge with"},
		{"generator file", map[string]string{"app/kustomization.yaml": "configMapGenerator: [{name: a, files: [gone.txt]}]\n"}, "", `configMapGenerator[0]: file "gone.txt" does not exist`},
		{"generator literal", map[string]string{"app/kustomization.yaml": "configMapGenerator: [{name: a, literals: [nothing]}]\n"}, "", `app/kustomization.yaml: literals: one of them has no "="`},
		{"generator literal with secrets", map[string]string{"app/kustomization.yaml": "secretGenerator: [{name: a, literals: [k=hidden-value, hidden-value]}]\n"}, "", `app/kustomization.yaml: literals: one of them has no "="`},
		{"generator env file", map[string]string{"app/kustomization.yaml": "secretGenerator: [{name: a, envs: [x.env]}]\n", "app/x.env": "k=hidden-value\xff\n"}, "", "app/kustomization.yaml: a file with variables is no UTF-8 text"},
		{"replacement without source", map[string]string{"app/kustomization.yaml": "resources: [a.yaml]\nreplacements: [{source: {kind: Pod, name: x}, targets: [{select: {kind: ConfigMap}, fieldPaths: [data.x]}]}]\n", "app/a.yaml": cm("a")}, "", "nothing selected by Pod"},
		{"replacement without path", map[string]string{"app/kustomization.yaml": "resources: [a.yaml]\nreplacements: [{source: {kind: ConfigMap, name: a}, targets: [{select: {kind: ConfigMap}, fieldPaths: [data.x]}]}]\n", "app/a.yaml": cm("a")}, "", "app/kustomization.yaml: "},
		{"var without object", map[string]string{"app/kustomization.yaml": "resources: [a.yaml]\nvars: [{name: V, objref: {kind: Pod, name: x, apiVersion: v1}}]\n", "app/a.yaml": cm("a")}, "", `app/kustomization.yaml: vars: "V" stands for a field`},
		{"namespaces meet", map[string]string{"app/kustomization.yaml": "resources: [a.yaml]\nnamespace: one\n", "app/a.yaml": "apiVersion: v1\nkind: Secret\nmetadata: {name: a, namespace: x}\nstringData: {k: hidden-value}\n---\napiVersion: v1\nkind: Secret\nmetadata: {name: a, namespace: y}\nstringData: {k: hidden-value}\n"}, "", "end up in one namespace"},
		{"sort options", map[string]string{"app/kustomization.yaml": "resources: [a.yaml]\nsortOptions: {order: alphabetical}\n", "app/a.yaml": cm("a")}, "", "app/kustomization.yaml: "},
		{"schema version", map[string]string{"app/kustomization.yaml": "resources: [a.yaml]\nopenapi: {version: v0.0.1}\n", "app/a.yaml": cm("a")}, "", "app/kustomization.yaml: "},
		{"schema that is none", map[string]string{"app/kustomization.yaml": "resources: [a.yaml]\npatches: [{path: p.yaml}]\nopenapi: {path: s.json}\n", "app/a.yaml": cm("a"), "app/p.yaml": cm("a"), "app/s.json": "{]"}, "", "app/kustomization.yaml: openapi: the schema cannot be used"},
		{"configuration", map[string]string{"app/kustomization.yaml": "resources: [a.yaml]\nconfigurations: [c.yaml]\n", "app/a.yaml": cm("a"), "app/c.yaml": "nameReference: text\n"}, "", "app/kustomization.yaml: "},
		{"unknown builtin", map[string]string{"app/kustomization.yaml": "resources: [a.yaml]\ntransformers: [t.yaml]\n", "app/a.yaml": cm("a"), "app/t.yaml": "apiVersion: builtin\nkind: Nonsense\nmetadata: {name: x}\n"}, "", "Nonsense"},
		{"label value", map[string]string{"app/kustomization.yaml": "resources: [a.yaml]\nlabels: [{pairs: {a: [1]}}]\n", "app/a.yaml": cm("a")}, "", "app/kustomization.yaml: labels"},
		{"key twice", map[string]string{"app/kustomization.yaml": "resources: [a.yaml]\n", "app/a.yaml": cm("a") + "data: {a: b}\ndata: {c: d}\n"}, "yaml_duplicate_key", "app/a.yaml:5"},
		{"vars twice", map[string]string{"app/kustomization.yaml": "resources: [a.yaml]\nvars: [{name: V, objref: {kind: ConfigMap, name: a, apiVersion: v1}}]\n", "app/a.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: x}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: y}\n"}, "", "app/kustomization.yaml: found 2"},
		{"bomb", map[string]string{"app/kustomization.yaml": "resources: [a.yaml]\n", "app/a.yaml": bombText}, "yaml_alias_limit", "app/a.yaml"},
		{"bomb as kustomization", map[string]string{"app/kustomization.yaml": bombText}, "yaml_alias_limit", "app/kustomization.yaml"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out, err := Render(source(tt.files), nil)
			if err == nil {
				t.Fatalf("it rendered %s", names(out.Objects))
			}
			want := tt.code
			if want == "" {
				want = code
			}
			if e := fault.As(err); e.Code != want || e.Kind != fault.Unprocessable || !strings.Contains(e.Message, tt.text) {
				t.Errorf("got %s %s: %s", e.Kind, e.Code, e.Message)
			}
			if strings.Contains(err.Error(), "hidden-value") {
				t.Errorf("a secret is in %v", err)
			}
			checkText(t, err)
		})
	}
}

var bombText = func() string {
	text := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n  a0: &a0 [xxxxxxxxxxxxxxxx, xxxxxxxxxxxxxxxxx]\n"
	for i := 1; i < 30; i++ {
		text += fmt.Sprintf("  a%d: &a%d [*a%d, *a%d, *a%d, *a%d]\n", i, i, i-1, i-1, i-1, i-1)
	}
	return text
}()

func TestWhatRunsCodeIsRefused(t *testing.T) {
	t.Parallel()
	const function = `apiVersion: example.com/v1
kind: Thing
metadata:
  name: x
  annotations:
    config.kubernetes.io/function: |
      %s
`
	for name, config := range map[string]string{
		"container": fmt.Sprintf(function, "container: {image: example.com/fn:1, network: true}"),
		"exec":      fmt.Sprintf(function, "exec: {path: ./run.sh}"),
		"starlark":  fmt.Sprintf(function, "starlark: {path: x.star, name: x}"),
		"plugin":    "apiVersion: someteam.example.com/v1\nkind: GoPlugin\nmetadata: {name: x}\n",
		"no group":  "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n",
	} {
		for _, field := range []string{"generators", "transformers", "validators"} {
			for _, way := range []string{"file", "inline", "directory"} {
				t.Run(name+" "+field+" "+way, func(t *testing.T) {
					files := map[string]string{"app/a.yaml": cm("a"), "app/fn.yaml": config, "app/d/kustomization.yaml": "resources: [fn.yaml]\n", "app/d/fn.yaml": config, "app/run.sh": "#!/bin/sh\n"}
					entry := map[string]string{"file": "fn.yaml", "directory": "d", "inline": "|-\n  " + strings.ReplaceAll(strings.TrimSpace(config), "\n", "\n  ")}[way]
					files["app/kustomization.yaml"] = "resources: [a.yaml]\n" + field + ":\n- " + entry + "\n"
					_, err := Render(source(files), nil)
					if e := fault.As(err); err == nil || e.Code != "kustomize_plugin_forbidden" || !strings.Contains(e.Message, "app/kustomization.yaml: "+field) {
						t.Fatalf("got %v", err)
					}
					checkText(t, err)
				})
			}
		}
	}
}

// TestNothingOutsideIsReached gives every field that names something the path of
// a file that exists on this machine, and the URL of a server that listens.
func TestNothingOutsideIsReached(t *testing.T) {
	var seen atomic.Int64
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &httptest.Server{Listener: listener, Config: &http.Server{
		Handler:   http.HandlerFunc(func(http.ResponseWriter, *http.Request) { seen.Add(1) }),
		ConnState: func(net.Conn, http.ConnState) { seen.Add(1) },
	}}
	server.Start()
	defer server.Close()
	dir := t.TempDir()
	canary := filepath.Join(dir, "canary.yaml")
	if err := os.WriteFile(canary, []byte(cm("canary-a1b2c3")+"data: {secret: canary-a1b2c3}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte("resources: [canary.yaml]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	up := strings.Repeat("../", 30)
	host := strings.TrimPrefix(server.URL, "http://")
	targets := []string{
		canary, up + canary[1:], "../../" + canary[1:], "x/../../../" + canary[1:], dir, up + dir[1:],
		"../../hawser-tree-1/x", "/hawser-tree-0/app/a.yaml", "file://" + canary, "file://" + dir,
		server.URL + "/a.yaml", server.URL + "/org/repo", server.URL + "/org/repo//deploy?ref=main", server.URL + "/org/repo.git", server.URL + "/x?ref=--upload-pack=touch",
		"git::" + server.URL + "/org/repo", "GIT::" + server.URL + "/org/repo", "ssh://git@" + host + "/org/repo", "git@127.0.0.1:org/repo", "HTTP://" + host + "/org/repo",
		"/proc/self/environ", up + "proc/self/environ",
	}
	fields := map[string]string{
		"resources": "resources: [%q]\n", "bases": "bases: [%q]\n", "components": "components: [%q]\n", "crds": "resources: [a.yaml]\ncrds: [%q]\n", "configurations": "resources: [a.yaml]\nconfigurations: [%q]\n",
		"patches": "resources: [a.yaml]\npatches: [{path: %q}]\n", "patches with target": "resources: [a.yaml]\npatches: [{path: %q, target: {kind: ConfigMap}}]\n",
		"strategic": "resources: [a.yaml]\npatchesStrategicMerge: [%q]\n", "json6902": "resources: [a.yaml]\npatchesJson6902: [{path: %q, target: {version: v1, kind: ConfigMap, name: a}}]\n",
		"files": "configMapGenerator: [{name: g, files: [%q]}]\n", "named files": "secretGenerator: [{name: g, files: ['k=%s']}]\n", "envs": "configMapGenerator: [{name: g, envs: [%q]}]\n", "env": "secretGenerator: [{name: g, env: %q}]\n",
		"replacements": "resources: [a.yaml]\nreplacements: [{path: %q}]\n", "openapi": "resources: [a.yaml]\nopenapi: {path: %q}\n",
		"generators": "generators: [%q]\n", "transformers": "resources: [a.yaml]\ntransformers: [%q]\n", "validators": "resources: [a.yaml]\nvalidators: [%q]\n",
		"builtin generator":       "generators:\n- |-\n  {apiVersion: builtin, kind: ConfigMapGenerator, metadata: {name: g}, files: [%q]}\n",
		"builtin generator, case": "generators:\n- |-\n  {apiVersion: builtin, kind: SecretGenerator, metadata: {name: g}, FILES: [%q]}\n",
		"builtin envs":            "generators:\n- |-\n  {apiVersion: builtin, kind: ConfigMapGenerator, metadata: {name: g}, envs: [%q]}\n",
		"builtin patch":           "resources: [a.yaml]\ntransformers:\n- |-\n  {apiVersion: builtin, kind: PatchTransformer, metadata: {name: g}, path: %q, target: {kind: ConfigMap}}\n",
		"builtin json patch":      "resources: [a.yaml]\ntransformers:\n- |-\n  {apiVersion: builtin, kind: PatchJson6902Transformer, metadata: {name: g}, path: %q, target: {kind: ConfigMap, name: a}}\n",
		"builtin strategic":       "resources: [a.yaml]\ntransformers:\n- |-\n  {apiVersion: builtin, kind: PatchStrategicMergeTransformer, metadata: {name: g}, paths: [%q]}\n",
		"builtin replacement":     "resources: [a.yaml]\ntransformers:\n- |-\n  {apiVersion: builtin, kind: ReplacementTransformer, metadata: {name: g}, replacements: [{path: %q}]}\n",
		"chart home":              "helmGlobals: {chartHome: %q}\nhelmCharts: [{name: c}]\n", "chart name": "helmCharts: [{name: %q}]\n", "values file": "helmCharts: [{name: c, releaseName: r, valuesFile: %q}]\n",
		"more values files": "helmCharts: [{name: c, releaseName: r, additionalValuesFiles: [%q]}]\n", "chart repo": "helmCharts: [{name: d, repo: %q}]\n",
		"chart generator": "generators:\n- |-\n  {apiVersion: builtin, kind: HelmChartInflationGenerator, metadata: {name: g}, name: c, chartHome: %q}\n",
	}
	inflate := func(_ *workspace.Workspace, c Chart) ([]byte, error) {
		return []byte(cm("chart") + "data: {values: " + fmt.Sprintf("%q", c.Values) + "}\n"), nil
	}
	// git would be found here, and say so.
	bin := t.TempDir()
	for _, program := range []string{"git", "helm", "docker"} {
		if err := os.WriteFile(filepath.Join(bin, program), []byte("#!/bin/sh\ntouch "+bin+"/ran\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", bin)
	for field, template := range fields {
		for _, target := range targets {
			files := map[string]string{"app/a.yaml": cm("a"), "app/kustomization.yaml": fmt.Sprintf(template, target), "app/charts/c/Chart.yaml": "name: c\n"}
			out, err := Render(source(files), inflate)
			if err == nil {
				t.Errorf("%s %s rendered %s", field, target, names(out.Objects))
				continue
			}
			if strings.Contains(err.Error(), "canary-a1b2c3") {
				t.Errorf("%s %s: the canary is in %v", field, target, err)
			}
			if fault.As(err).Kind == fault.Internal {
				t.Errorf("%s %s: %v", field, target, err)
			}
		}
	}
	if n := seen.Load(); n != 0 {
		t.Errorf("the server was reached %d times", n)
	}
	if _, err := os.Stat(filepath.Join(bin, "ran")); err == nil {
		t.Error("a program was run")
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	deep := map[string]string{"app/kustomization.yaml": "resources: [../d0]\n"}
	for i := range 1000 {
		deep[fmt.Sprintf("d%d/kustomization.yaml", i)] = fmt.Sprintf("resources: [../d%d]\n", i+1)
	}
	// Each level builds the one below it twice: 2^40 visits.
	wide := map[string]string{"app/kustomization.yaml": "resources: [../d0a, ../d0b]\n"}
	for i := range 40 {
		for _, side := range []string{"a", "b"} {
			wide[fmt.Sprintf("d%d%s/kustomization.yaml", i, side)] = fmt.Sprintf("namePrefix: %s\nresources: [../d%da, ../d%db]\n", side, i+1, i+1)
		}
	}
	wide["d40a/kustomization.yaml"], wide["d40b/kustomization.yaml"] = "resources: [a.yaml]\n", "namePrefix: b\n"
	wide["d40a/a.yaml"] = cm("a")
	copies := "resources: [a.yaml]\npatches:\n- target: {kind: ConfigMap}\n  patch: |-\n"
	for i := range 60 {
		copies += fmt.Sprintf("    - {op: copy, from: /data, path: /data/c%d}\n", i)
	}
	for _, tt := range []struct {
		name  string
		files map[string]string
		code  string
		text  string
	}{
		{"depth", deep, code, "nested more than 100 deep"},
		{"visits", wide, code, "it builds more than 5000 kustomizations"},
		{"prefix", map[string]string{"app/kustomization.yaml": "resources: [a.yaml]\nnamePrefix: " + strings.Repeat("x", 100_000) + "\n", "app/a.yaml": cm("a")}, code, "more than 253 characters"},
		{"patches", map[string]string{"app/kustomization.yaml": "resources: [a.yaml]\npatches:\n" + strings.Repeat("- {path: p.yaml}\n", 6000), "app/a.yaml": cm("a"), "app/p.yaml": cm("a")}, code, "more than 5000 patches"},
		{"copies", map[string]string{"app/kustomization.yaml": copies, "app/a.yaml": cm("a") + "data: {k: " + strings.Repeat("v", 1000) + "}\n"}, code, "copy operations of a JSON patch add more than 8 MiB"},
		{"output", map[string]string{"app/kustomization.yaml": "resources: [a.yaml]\n", "app/a.yaml": cm("a") + "data: {k: " + strings.Repeat("v", 200_000) + "}\n"}, "too_large", "puts out more than"},
		{"objects", map[string]string{"app/kustomization.yaml": "resources: [a.yaml]\n", "app/a.yaml": strings.Join([]string{cm("a"), cm("b"), cm("c"), cm("d")}, "---\n")}, "too_large", "the build has 4 objects; the limit is 3"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := source(tt.files)
			w.Limits.OutputBytes, w.Limits.Manifest.MaxObjects = 100_000, 3
			_, err := Render(w, nil)
			if !fault.HasCode(err, tt.code) || !strings.Contains(err.Error(), tt.text) {
				t.Fatalf("got %v", err)
			}
			checkText(t, err)
		})
	}
}

func TestOptionsThatAreWrongNameTheirField(t *testing.T) {
	t.Parallel()
	files := map[string]string{
		"app/kustomization.yaml": "resources: [a.yaml]\ncommonLabels: {app: web}\ncommonAnnotations: {note: x}\n", "app/a.yaml": cm("a"),
	}
	for _, tt := range []struct {
		name    string
		options model.KustomizeSource
		field   string
		text    string
	}{
		{"version", model.KustomizeSource{Version: "v4.5.7"}, "version", `kustomize "v4.5.7" is not here: this hub builds with v5.8.1`},
		{"image", model.KustomizeSource{Images: []string{"nginx:1", "just-a-name"}}, "images[1]", "is no image"},
		{"image without name", model.KustomizeSource{Images: []string{"=nginx:1"}}, "images[0]", "is no image"},
		{"replica text", model.KustomizeSource{Replicas: []model.KustomizeReplica{{Name: "web", Count: model.IntOrString{Str: "many"}}}}, "replicas[0].count", `"many" of "web" is no whole number`},
		{"replica count", model.KustomizeSource{Replicas: []model.KustomizeReplica{{Name: "web", Count: model.IntOrString{IsInt: true, Int: 1e12}}}}, "replicas[0].count", "is not between 0 and"},
		{"replica negative", model.KustomizeSource{Replicas: []model.KustomizeReplica{{Name: "web", Count: model.IntOrString{IsInt: true, Int: -1}}}}, "replicas[0].count", "is not between 0 and"},
		{"label taken", model.KustomizeSource{CommonLabels: map[string]string{"app": "x"}}, "commonLabels", `app/kustomization.yaml sets "app" already`},
		{"annotation taken", model.KustomizeSource{CommonAnnotations: map[string]string{"note": "y"}}, "commonAnnotations", `sets "note" already`},
		{"templates alone", model.KustomizeSource{CommonLabels: map[string]string{"z": "x"}, LabelIncludeTemplates: true}, "labelIncludeTemplates", "together with labelWithoutSelector"},
		{"patch twofold", model.KustomizeSource{Patches: []model.KustomizePatch{{Path: "a", Patch: "b"}}}, "patches[0]", "either a path or written in place"},
		{"patch option", model.KustomizeSource{Patches: []model.KustomizePatch{{Patch: "b", Options: map[string]bool{"allowAll": true}}}}, "patches[0].options", `no option "allowAll"`},
		{"component", model.KustomizeSource{Components: []string{"../none"}}, "components[0]", `component "../none" does not exist`},
		{"component pattern", model.KustomizeSource{Components: []string{"../none/*"}}, "components[0]", "does not exist"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := source(files)
			w.Source.Kustomize = &tt.options
			_, err := Render(w, nil)
			if e := fault.As(err); err == nil || e.Code != code || e.Field != "spec.source.kustomize."+tt.field || !strings.Contains(e.Message, tt.text) {
				t.Fatalf("got %v", err)
			}
			checkText(t, err)
		})
	}
	for _, options := range []model.KustomizeSource{{Patches: []model.KustomizePatch{{Path: "../../x.yaml"}}}, {Components: []string{"../../../x"}}} {
		w := source(files)
		w.Source.Kustomize = &options
		if _, err := Render(w, nil); !fault.HasCode(err, "path_escapes_repo") {
			t.Errorf("got %v", err)
		}
	}
}
