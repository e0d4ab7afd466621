package app

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/hawser-dev/hawser/hub/delivery"
	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/hub/plugin"
	"github.com/hawser-dev/hawser/hub/render"
	"github.com/hawser-dev/hawser/hub/source"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/manifest"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/model/decode"
)

func writeFiles(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for p, text := range files {
		p = filepath.Join(dir, filepath.FromSlash(p))
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// commit puts all that is in a directory into a commit with tags.
func commit(t *testing.T, dir string, tags ...string) string {
	t.Helper()
	git := func(args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "git", append([]string{"-C", dir, "-c", "user.name=n", "-c", "user.email=n@example.com"}, args...)...)
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_NOSYSTEM=1")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %s: %v: %s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	git("init", "--quiet", "--initial-branch=main")
	git("add", "--all")
	git("commit", "--quiet", "--message=a change")
	for _, tag := range tags {
		git("tag", tag)
	}
	return git("rev-parse", "HEAD")
}

// offline runs the command on an Application; its specification is YAML of one
// line after another.
func offline(t *testing.T, sources string, o Offline) (stdout, stderr string, err error) {
	t.Helper()
	o.App = "-"
	var out, warn bytes.Buffer
	err = o.Run(t.Context(), strings.NewReader(application(sources)), &out, &warn)
	return out.String(), warn.String(), err
}

func application(sources string) string {
	return "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: web}\nspec: {project: default, destination: {name: eu, namespace: shop}, " + sources + "}\n"
}

func aConfigMap(name string) string {
	return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + name + "}\n"
}

// parsed reads what the command printed.
func parsed(t *testing.T, text string) []manifest.Object {
	t.Helper()
	objects, err := manifest.Parse("stdout", []byte(text), manifest.DefaultLimits())
	if err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return objects
}

func namesOf(objects []manifest.Object) string {
	var out []string
	for _, o := range objects {
		out = append(out, o.Key.Name)
	}
	return strings.Join(out, " ")
}

const offlinePlugin = `apiVersion: argoproj.io/v1alpha1
kind: ConfigManagementPlugin
metadata: {name: shout}
spec:
  generate:
    command: [sh, -c]
    args: ['printf "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: $ARGOCD_APP_NAME}\ndata: {n: \"$(cat plain/n)\"}\n"']
`

// The command prints the objects of the bundle that a hub makes of the same
// Application, for each kind of source.
func TestOfflineIsWhatTheHubSends(t *testing.T) {
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{
		"plain/b.yaml": aConfigMap("b") + "data: {yes: 'on', big: '1e3', number: '012', text: \"a\\n b\\n\", empty: ''}\n---\n" +
			"apiVersion: example.com/v1\nkind: Thing\nmetadata: {name: t, creationTimestamp: null}\nspec: {i: 9007199254740993, f: 1.5, e: 1e21, z: 0.0, neg: -3, n: null, list: [], map: {}, b: true}\n",
		"plain/a.json":                `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"late"}}`,
		"plain/n":                     "7",
		"chart/Chart.yaml":            "{apiVersion: v2, name: chart, version: 1.0.0, dependencies: [{name: sub, version: 1.0.0}]}\n",
		"chart/values.yaml":           "size: 1\n",
		"chart/templates/c.yaml":      aConfigMap("{{ .Release.Name }}") + "data:\n  kube: {{ .Capabilities.KubeVersion.Version | quote }}\n  has: {{ .Capabilities.APIVersions.Has \"apps/v1/Deployment\" | quote }}\n  size: {{ .Values.size | quote }}\n  ns: {{ .Release.Namespace }}\n",
		"chart/templates/h.yaml":      "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: hook, annotations: {helm.sh/hook: pre-install, helm.sh/hook-weight: '5'}}\n",
		"chart/crds/crd.yaml":         "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: things.example.com}\nspec: {group: example.com, names: {kind: Thing, plural: things}, scope: Namespaced, versions: [{name: v1, served: true, storage: true}]}\n",
		"chart/charts/sub/Chart.yaml": "{apiVersion: v2, name: sub, version: 1.0.0}\n", "chart/charts/sub/templates/s.yaml": aConfigMap("sub"),
		"values/prod.yaml":        "size: 3\n",
		"base/kustomization.yaml": "resources: [a.yaml]\n", "base/a.yaml": aConfigMap("a"),
		"overlay/kustomization.yaml": "namePrefix: p-\nresources: [../base]\nconfigMapGenerator: [{name: gen, literals: [k=v]}]\n",
		"jinja/w.yaml.j2":            aConfigMap("w{{ size }}"),
		"jsonnet/main.jsonnet":       "[{apiVersion: 'v1', kind: 'ConfigMap', metadata: {name: 'j%d' % i}} for i in [1, 2]]",
	})
	commit(t, dir)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(t.TempDir(), "plugin.yaml")
	if err := os.WriteFile(config, []byte(offlinePlugin), 0o644); err != nil {
		t.Fatal(err)
	}
	sources, err := source.New(source.Options{Dir: t.TempDir(), WorkerCommand: []string{self, GitWorkerCommand}, AllowFile: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sources.Close)
	hosts, err := plugin.Connect(Config{Plugins: []string{config}, Data: t.TempDir()}.pluginOptions(self, nil))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(hosts.Close)
	r, err := render.New(render.Options{WorkerCommand: []string{self, RenderWorkerCommand}, Workers: 1, Plugins: plugins{hosts}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)

	url := "file://" + filepath.ToSlash(dir)
	one := func(rest string) string {
		return fmt.Sprintf("source: {repoURL: '%s', targetRevision: main, %s}", url, rest)
	}
	for name, spec := range map[string]string{
		"directory": one("path: plain, directory: {}"),
		"helm":      one("path: chart, helm: {releaseName: x, parameters: [{name: size, value: $ARGOCD_APP_NAME}]}"),
		"kustomize": one("path: overlay, kustomize: {nameSuffix: -s, commonLabels: {a: b}}"),
		"jinja":     one("path: jinja, jinja: {values: 'size: 4'}"),
		"jsonnet":   one("path: jsonnet"),
		"plugin":    one("path: '.', plugin: {name: shout}"),
		"several": fmt.Sprintf("sources: [{repoURL: '%[1]s', targetRevision: main, ref: v}, {repoURL: '%[1]s', targetRevision: main, path: chart, helm: {valueFiles: [$v/values/prod.yaml]}},"+
			" {repoURL: '%[1]s', targetRevision: main, path: base}, {repoURL: '%[1]s', targetRevision: main, path: overlay}]", url),
	} {
		t.Run(name, func(t *testing.T) {
			docs, err := decode.Documents([]byte(application(spec)))
			if err != nil || docs[0].Err != nil {
				t.Fatal(err, docs[0].Err)
			}
			app := docs[0].Application
			resolved, err := sources.Resolve(t.Context(), url, []fleet.Target{fleet.TargetOf(app.Spec.AllSources()[0])})
			if err != nil {
				t.Fatal(err)
			}
			hub, waiting, err := delivery.RenderSources(t.Context(), renderer{sources: sources, render: r}, app.Spec, func(s model.Source) (delivery.Head, bool) {
				return delivery.Head{Commit: resolved[fleet.TargetOf(s)].Commit}, true
			}, delivery.RenderRequest{
				App: "uid-web", AppName: "web", Project: "default", Namespace: "shop", KubeVersion: "v1.36.1", APIs: []string{"apps/v1/Deployment"},
				Permit: func(string, bool) error { return nil },
			})
			if err != nil || waiting {
				t.Fatal(err, waiting)
			}
			for _, repo := range []string{dir, dir + "@main"} {
				o := Offline{Repos: []string{repo}, KubeVersion: "v1.36.1", APIVersions: []string{"apps/v1/Deployment"}, Plugins: []string{config}}
				text, warnings, err := offline(t, spec, o)
				if err != nil {
					t.Fatal(err)
				}
				again, _, err := offline(t, spec, o)
				if err != nil || again != text {
					t.Errorf("another output the second time: %v\n%s\n%s", err, text, again)
				}
				objects := parsed(t, text)
				if len(objects) == 0 || namesOf(objects) != namesOf(hub.Objects) {
					t.Fatalf("%s and %s", namesOf(objects), namesOf(hub.Objects))
				}
				if _, digest, err := manifest.EncodeBundle(objects); err != nil || digest != hub.Digest {
					t.Errorf("%v, another digest:\n%s", err, text)
				}
				if n := strings.Count(warnings, "\n"); n != len(hub.Warnings) {
					t.Errorf("%d warnings in place of %+v", n, hub.Warnings)
				}
			}
		})
	}
}

func TestOfflineReadsDirectoriesAndRevisions(t *testing.T) {
	top := t.TempDir()
	dir := filepath.Join(top, "a repo@x=y")
	writeFiles(t, dir, map[string]string{"one.yaml": aConfigMap("one")})
	first := commit(t, dir, "v1.0.0", "pkg@1.0.0")
	writeFiles(t, dir, map[string]string{"two.yaml": aConfigMap("two")})
	commit(t, dir, "v1.1.0", "v2.0.0-rc.1")
	// Not committed, and no manifest of the repository.
	writeFiles(t, dir, map[string]string{"three.yaml": aConfigMap("three"), ".git/four.yaml": aConfigMap("four")})
	const spec = "source: {repoURL: 'https://git.example.com/web', path: ., directory: {recurse: true}}"
	for revision, want := range map[string]string{
		"": "one three two", "@main": "one two", "@HEAD": "one two", "@v1.0.0": "one", "@pkg@1.0.0": "one", "@" + first: "one",
		"@" + first[:8]: "one", "@1.0.x": "one", "@^1.0.0": "one two", "@>=1.0.0 <1.1.0": "one", "@refs/tags/v1.0.0": "one",
	} {
		for _, prefix := range []string{"", "https://git.example.com/web="} {
			text, warnings, err := offline(t, spec, Offline{Repos: []string{prefix + dir + revision}})
			if err != nil || warnings != "" {
				t.Errorf("%q: %v %s", revision, err, warnings)
				continue
			}
			if got := namesOf(parsed(t, text)); got != want {
				t.Errorf("%q: %s, want %s", revision, got, want)
			}
		}
	}
	for _, revision := range []string{"@v9", "@3.x"} {
		if text, _, err := offline(t, spec, Offline{Repos: []string{dir + revision}}); !fault.HasCode(err, "revision_not_found") || text != "" {
			t.Errorf("%q: %q %v", revision, text, err)
		}
	}
}

// Directories of one name are not one content.
func TestOfflineTellsDirectoriesApart(t *testing.T) {
	top := t.TempDir()
	writeFiles(t, top, map[string]string{"x/app/a.yaml": aConfigMap("a"), "y/app/b.yaml": aConfigMap("b"), "x/values/v.yaml": "who: x\n", "y/values/v.yaml": "who: y\n"})
	text, _, err := offline(t, "sources: [{repoURL: 'https://git.example.com/1', path: .}, {repoURL: 'https://git.example.com/2', path: .}]", Offline{
		Repos: []string{"https://git.example.com/1=" + top + "/x/app", "https://git.example.com/2=" + top + "/y/app"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := namesOf(parsed(t, text)); got != "a b" {
		t.Errorf("%s", got)
	}
}

// What is not on the shelf is not looked for anywhere else.
func TestOfflineTouchesNoNetwork(t *testing.T) {
	var seen atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { seen.Add(1) }))
	defer server.Close()
	dir := t.TempDir()
	base := server.URL + "/base//app?ref=v1"
	writeFiles(t, dir, map[string]string{
		"chart/Chart.yaml":          fmt.Sprintf("{apiVersion: v2, name: chart, version: 1.0.0, dependencies: [{name: sub, version: ^1, repository: '%s'}]}\n", server.URL),
		"remote/kustomization.yaml": fmt.Sprintf("resources: ['%s']\n", base),
		"file/kustomization.yaml":   fmt.Sprintf("resources: ['%s/all.yaml']\n", server.URL),
		"sub/Chart.yaml":            "{apiVersion: v2, name: sub, version: 1.2.3}\n",
		"sub/templates/s.yaml":      aConfigMap("sub"),
		"base/kustomization.yaml":   "resources: [b.yaml]\n",
		"base/b.yaml":               aConfigMap("b"),
	})
	at := func(rest string) string { return fmt.Sprintf("source: {repoURL: '%s/app.git', %s}", server.URL, rest) }
	for _, tt := range []struct {
		name, spec, code string
		more             string // --repo that helps
		want             string
	}{
		{"dependency", at("path: chart"), "chart_not_found", server.URL + "/sub=" + dir + "/sub", "sub"},
		{"remote base", at("path: remote"), "remote_base_forbidden", base + "=" + dir + "/base", "b"},
		{"remote file", at("path: file"), "remote_base_forbidden", "", ""},
		{"chart", fmt.Sprintf("source: {repoURL: '%s', chart: sub, targetRevision: 1.x}", server.URL), "repository_unknown", server.URL + "/sub=" + dir + "/sub", "sub"},
		{"charts of one repository", fmt.Sprintf("sources: [{repoURL: '%[1]s', chart: sub, targetRevision: 1.x}, {repoURL: '%[1]s/', chart: other, targetRevision: 1.x}]", server.URL), "repository_unknown", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			repos := []string{server.URL + "/app.git=" + dir}
			text, _, err := offline(t, tt.spec, Offline{Repos: repos})
			if !fault.HasCode(err, tt.code) || text != "" {
				t.Errorf("%q %v", text, err)
			}
			if fix := fault.As(err).Fix; tt.more != "" && !strings.Contains(fix, tt.more[:strings.LastIndex(tt.more, "=")]+"=DIR") {
				t.Errorf("fix %q", fix)
			}
			if tt.more == "" {
				return
			}
			if text, _, err = offline(t, tt.spec, Offline{Repos: append(repos, tt.more)}); err != nil {
				t.Fatal(err)
			}
			if got := namesOf(parsed(t, text)); got != tt.want {
				t.Errorf("%s", got)
			}
		})
	}
	if n := seen.Load(); n != 0 {
		t.Errorf("the server saw %d requests", n)
	}
}

// A directory stands for a chart only where it is that chart, in a version that
// was asked for.
func TestOfflineHoldsChartsAgainstTheirVersions(t *testing.T) {
	top := t.TempDir()
	const repo = "https://charts.example"
	writeFiles(t, top, map[string]string{
		"web/Chart.yaml":       "{apiVersion: v2, name: web, version: 1.0.0}\n",
		"web/templates/w.yaml": aConfigMap("web"),
		"up/Chart.yaml":        "{apiVersion: v2, name: up, version: 1.0.0, dependencies: [{name: web, version: ^20, repository: '" + repo + "'}]}\n",
		"plain/a.yaml":         aConfigMap("a"),
		"broken/Chart.yaml":    "name: [x",
	})
	chart := func(revision string) string {
		return "source: {repoURL: '" + repo + "', chart: web, targetRevision: '" + revision + "'}"
	}
	dependency := "source: {repoURL: 'https://git.example/up', path: .}"
	for name, tt := range map[string]struct {
		spec  string
		repos []string
		code  string // "" means that it renders
		says  string
	}{
		"constraint":           {chart("1.x"), []string{repo + "/web=" + top + "/web"}, "", ""},
		"exact, with a v":      {chart("v1.0.0"), []string{top + "/web"}, "", ""},
		"repository":           {chart("^1"), []string{repo + "=" + top + "/web"}, "", ""},
		"any version":          {chart("*"), []string{top + "/web"}, "", ""},
		"a tag":                {chart("latest"), []string{top + "/web"}, "", ""},
		"older":                {chart("^2.0"), []string{repo + "/web=" + top + "/web"}, "chart_not_found", `chart "web" in ` + top + `/web is 1.0.0, which does not satisfy ^2.0`},
		"older, exact":         {chart("2.0.0"), []string{top + "/web"}, "chart_not_found", "is 1.0.0, which does not satisfy 2.0.0"},
		"no chart":             {chart("^1"), []string{top + "/plain"}, "repository_unknown", "has no Chart.yaml; add --repo " + repo + "/web=DIR"},
		"no chart, by its URL": {chart("^1"), []string{repo + "/web=" + top + "/plain"}, "repository_unknown", "has no Chart.yaml"},
		"another chart":        {chart("^1"), []string{top + "/up"}, "repository_unknown", `holds the chart "up"; add --repo ` + repo + "/web=DIR"},
		"broken chart":         {chart("^1"), []string{top + "/broken"}, "chart_invalid", "Chart.yaml"},
		"dependency, older":    {dependency, []string{top + "/up", repo + "/web=" + top + "/web"}, "chart_not_found", "/web is 1.0.0, which does not satisfy ^20"},
		"dependency, no chart": {dependency, []string{top + "/up", repo + "=" + top + "/plain"}, "chart_not_found", "has no Chart.yaml"},
	} {
		t.Run(name, func(t *testing.T) {
			text, warnings, err := offline(t, tt.spec, Offline{Repos: tt.repos})
			if tt.code == "" {
				if err != nil || warnings != "" || namesOf(parsed(t, text)) != "web" {
					t.Fatalf("%v %s %s", err, warnings, text)
				}
				return
			}
			if !fault.HasCode(err, tt.code) || text != "" {
				t.Fatalf("%q %v", text, err)
			}
			if e := fault.As(err); !strings.Contains(e.Message+"; "+e.Fix, tt.says) {
				t.Errorf("%s; %s", e.Message, e.Fix)
			}
		})
	}
}

func TestOfflineTellsOfDirectoriesThatNothingUses(t *testing.T) {
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{"a.yaml": aConfigMap("a")})
	const app, ref = "https://git.example/app", "https://git.example/values"
	text, warnings, err := offline(t, "sources: [{repoURL: '"+app+"', path: .}, {repoURL: '"+ref+"', ref: v}]",
		Offline{Repos: []string{app + "=" + dir, ref + "=" + dir, "https://git.example/ap=" + dir}})
	if err != nil || namesOf(parsed(t, text)) != "a" {
		t.Fatalf("%v %s", err, text)
	}
	if strings.Count(warnings, "\n") != 1 || !strings.Contains(warnings, "--repo https://git.example/ap=") || !strings.Contains(warnings, "repository_unused") {
		t.Errorf("%s", warnings)
	}
}

// A path that is not there is told together with what is.
func TestOfflineNamesWhatIsThere(t *testing.T) {
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{"deploy/stage/a.yaml": aConfigMap("a"), "deploy/dev/a.yaml": aConfigMap("a"), "README": "x", ".git/HEAD": "x"})
	for path, text := range map[string]string{
		"deploy/prod":      "it has: deploy/dev, deploy/stage",
		"deploy/stagee":    "closest: deploy/stage",
		"deploy/dev/a/b/c": "has no subdirectory",
		"nothing/of/that":  "it has: deploy",
		"README":           "is a file",
		"README/x":         "does not exist in " + filepath.Base(dir),
	} {
		_, _, err := offline(t, "source: {repoURL: 'https://x.example/y', path: "+path+"}", Offline{Repos: []string{dir}})
		if e := fault.As(err); e.Code != "path_not_found" || !strings.Contains(e.Message, text) || e.Field != "spec.source.path" {
			t.Errorf("%s: %v", path, err)
		}
	}
	_, _, err := offline(t, "sources: [{repoURL: 'https://x.example/y', path: deploy/dev}, {repoURL: 'https://x.example/y', path: nope}]", Offline{Repos: []string{dir}})
	if e := fault.As(err); e.Field != "spec.sources[1].path" {
		t.Errorf("%v", err)
	}
}

func TestOfflineRefusals(t *testing.T) {
	dir := t.TempDir()
	outside := filepath.Join(t.TempDir(), "CANARY")
	writeFiles(t, dir, map[string]string{"app/a.yaml": aConfigMap("a"), "empty/README.md": "x"})
	writeFiles(t, filepath.Dir(outside), map[string]string{"CANARY": aConfigMap("canary")})
	if err := os.MkdirAll(filepath.Join(dir, "link"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(dir, "link", "l.yaml")); err != nil {
		t.Fatal(err)
	}
	good := application("source: {repoURL: 'https://x.example/y', path: app}")
	in := func(path string) string {
		return application("source: {repoURL: 'https://x.example/y', path: " + path + "}")
	}
	for name, tt := range map[string]struct {
		app   string
		repos []string
		code  string
	}{
		"no directory":        {good, nil, "argument_missing"},
		"directory not there": {good, []string{dir + "/none"}, "repository_not_found"},
		"a file":              {good, []string{dir + "/app/a.yaml"}, "repository_not_found"},
		"two applications":    {good + "---\n" + good, []string{dir}, "application_missing"},
		"no application":      {"# nothing\n", []string{dir}, "application_missing"},
		"unknown field":       {strings.Replace(good, "path:", "pth:", 1), []string{dir}, "unknown_field"},
		"too much":            {good + strings.Repeat("#", maxApplicationFile), []string{dir}, "too_large"},
		"no manifests":        {in("empty"), []string{dir}, "no_manifests"},
		"path not there":      {in("nope"), []string{dir}, "path_not_found"},
		"path that leaves":    {in("../x"), []string{dir}, "path_escapes_repo"},
		"link that leaves":    {in("link"), []string{dir}, "symlink_out_of_bounds"},
		"revision of no repo": {good, []string{dir + "@main"}, "repository_not_found"},
		"no such repository":  {good, []string{"https://x.example/other=" + dir}, "repository_unknown"},
	} {
		var out bytes.Buffer
		o := Offline{App: "-", Repos: tt.repos}
		err := o.Run(t.Context(), strings.NewReader(tt.app), &out, io.Discard)
		if !fault.HasCode(err, tt.code) || out.Len() > 0 {
			t.Errorf("%s: %q %v", name, out.String(), err)
		}
	}
	for _, o := range []Offline{{}, {App: dir + "/none.yaml", Repos: []string{dir}}, {App: dir, Repos: []string{dir}}} {
		if err := o.Run(context.Background(), nil, io.Discard, io.Discard); !fault.HasCode(err, "argument_missing") && !fault.HasCode(err, "file_unreadable") {
			t.Errorf("%+v: %v", o, err)
		}
	}
}
