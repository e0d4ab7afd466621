package directory

import (
	"errors"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/hub/render/workspace"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/manifest"
	"github.com/hawser-dev/hawser/shared/model"
)

func configMap(name string) string {
	return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + name + "}\n"
}

func render(files map[string]string, dir string, options *model.DirectoryOption, lim workspace.Limits) (workspace.Output, *workspace.Workspace, error) {
	w := &workspace.Workspace{
		Host: &workspace.Memory{Trees: map[string]map[string]string{"": files}},
		Dir:  dir, Source: model.Source{Path: dir, Directory: options}, Limits: lim,
	}
	out, err := Render(w, Tools{Jsonnet: func(w *workspace.Workspace, path string) ([]manifest.Object, error) {
		data, err := w.Read(workspace.Main, path)
		if err != nil {
			return nil, err
		}
		if strings.HasPrefix(string(data), "error") {
			return nil, fault.New(fault.Unprocessable, "jsonnet_error", "%s: no", path)
		}
		return manifest.Parse(path, []byte(configMap("evaluated-"+strings.TrimSpace(string(data)))), w.Limits.Manifest)
	}})
	return out, w, err
}

func names(objs []manifest.Object) string {
	var out []string
	for _, o := range objs {
		out = append(out, o.Key.Name)
	}
	return strings.Join(out, " ")
}

func TestWhatIsAManifest(t *testing.T) {
	files := map[string]string{
		"app/a.yaml": configMap("a"), "app/b.jsonnet": "b", "app/lib.libsonnet": "{", "app/c.yml": configMap("c"),
		"app/.argocd-source.yaml": "helm: {}", "app/.argocd-source-web.yaml": "helm: {}", "app/.argocd-sources.yaml": configMap("odd"),
		"app/web.yaml.j2": "{{ x }}", "app/notes.txt": "x", "app/skipped.yaml": "# +argocd:skip-file-rendering\n{{",
		"app/sub/d.yaml": configMap("d"),
	}
	out, w, err := render(files, "app", nil, workspace.DefaultLimits())
	if err != nil || names(out.Objects) != "odd a evaluated-b c" || out.Tool != "Directory" {
		t.Errorf("%q %v", names(out.Objects), err)
	}
	warnings := w.Warnings()
	if len(warnings) != 1 || warnings[0].Code != "jinja_files_ignored" || !strings.HasPrefix(warnings[0].Message, "app/web.yaml.j2 is a Jinja2 template and is not rendered") {
		t.Errorf("%+v", warnings)
	}
	out, w, err = render(files, "app", &model.DirectoryOption{Recurse: true, Exclude: "{*.j2,b.*}"}, workspace.DefaultLimits())
	if err != nil || names(out.Objects) != "odd a c d" || len(w.Warnings()) != 0 {
		t.Errorf("%q %v %v", names(out.Objects), w.Warnings(), err)
	}
}

func TestProblemsOfFilesComeTogether(t *testing.T) {
	_, _, err := render(map[string]string{"a.yaml": "a: [", "b.jsonnet": "error", "c.json": "{", "d.yaml": configMap("fine")}, "", nil, workspace.DefaultLimits())
	var list fault.List
	if !errors.As(err, &list) || len(list) != 3 {
		t.Fatalf("%v", err)
	}
	var codes []string
	for _, e := range list {
		codes = append(codes, e.Code)
	}
	if got := strings.Join(codes, " "); got != "yaml_invalid jsonnet_error yaml_invalid" {
		t.Errorf("%s", got)
	}
}

func TestLimits(t *testing.T) {
	lim := workspace.Limits{Manifest: manifest.Limits{MaxBytes: 100, MaxObjects: 3}, TotalBytes: 250}
	for name, tt := range map[string]struct {
		files map[string]string
		text  string
	}{
		"one file":      {map[string]string{"a.yaml": "#" + strings.Repeat("x", 100)}, "a.yaml: the file has 101 bytes; the limit is 100"},
		"together":      {map[string]string{"a.yaml": "#" + strings.Repeat("x", 90), "b.yaml": "#" + strings.Repeat("x", 90), "c.yaml": "#" + strings.Repeat("x", 90)}, "together"},
		"objects":       {map[string]string{"a.yaml": configMap("a"), "b.yaml": configMap("b"), "c.yaml": configMap("c"), "d.yaml": configMap("d")}, "limit is 3"},
		"from jsonnet":  {map[string]string{"a.jsonnet": "a", "b.jsonnet": "b", "c.jsonnet": "c", "d.jsonnet": "d"}, "limit is 3"},
		"within bounds": {map[string]string{"a.yaml": configMap("a"), "b.yaml": configMap("b"), "c.jsonnet": "c"}, ""},
	} {
		_, _, err := render(tt.files, "", nil, lim)
		if tt.text == "" && err != nil || tt.text != "" && (!fault.HasCode(err, "too_large") || !strings.Contains(err.Error(), tt.text)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAFileThatIsTooLargeIsAskedFor(t *testing.T) {
	// Its size is then part of what the render depends on.
	host := &workspace.Memory{Trees: map[string]map[string]string{"": {"a.yaml": "#" + strings.Repeat("x", 100)}}}
	w := &workspace.Workspace{Host: host, Limits: workspace.Limits{Manifest: manifest.Limits{MaxBytes: 50}}}
	if _, err := Render(w, Tools{}); !fault.HasCode(err, "too_large") {
		t.Error(err)
	}
	if got := strings.Join(host.Asked, ", "); got != "list /, stat /a.yaml" {
		t.Error(got)
	}
}

func TestADirectoryWithoutManifestsSaysWhy(t *testing.T) {
	for name, tt := range map[string]struct {
		files   map[string]string
		dir     string
		options *model.DirectoryOption
		message string
		fix     string
	}{
		"other files":    {map[string]string{"deploy/prod/README.md": ""}, "deploy/prod", nil, "deploy/prod contains no manifest: ", "manifests are files named *.yaml, *.yml, *.json and *.jsonnet"},
		"the root":       {map[string]string{"README.md": ""}, "", nil, "the root of the repository contains no manifest: ", ""},
		"an override":    {map[string]string{"a/.argocd-source.yaml": ""}, "a", nil, "a contains no manifest: ", ""},
		"include":        {map[string]string{"a/b.yaml": "", "a/c.yaml": ""}, "a", &model.DirectoryOption{Include: "*.yml"}, "a contains no manifest", "2 files are there, but spec.source.directory.include and exclude leave none of them"},
		"exclude":        {map[string]string{"a/b.yaml": ""}, "a", &model.DirectoryOption{Include: "*", Exclude: "b*"}, "a contains no manifest", "1 files are there, but spec.source.directory.include and exclude leave none of them"},
		"templates":      {map[string]string{"a/b.j2": ""}, "a", &model.DirectoryOption{}, "a contains no manifest", "write spec.source.jinja: {} to render its Jinja2 templates"},
		"directories":    {map[string]string{"a/b/c.yaml": ""}, "a", nil, "a contains no manifest", "manifests are files named *.yaml, *.yml, *.json and *.jsonnet; to read directories below it too, set spec.source.directory.recurse"},
		"only libraries": {map[string]string{"a/b.libsonnet": ""}, "a", nil, "a contains no manifest", ""},
	} {
		out, w, err := render(tt.files, tt.dir, tt.options, workspace.DefaultLimits())
		warned := w.Warnings()
		if err != nil || len(out.Objects) > 0 || len(warned) == 0 {
			t.Errorf("%s: %v, %d objects, warnings %v", name, err, len(out.Objects), warned)
			continue
		}
		if last := warned[len(warned)-1]; last.Code != "no_manifests" || !strings.HasPrefix(last.Message, tt.message) || !strings.HasSuffix(last.Message, tt.fix) {
			t.Errorf("%s: %+v", name, last)
		}
	}
	// Files without an object are something else.
	for name, text := range map[string]string{"empty": "", "comments": "# gone\n---\n# gone\n", "skipped": "# +argocd:skip-file-rendering\na: [", "a List": "apiVersion: v1\nkind: List\nitems: []\n"} {
		out, w, err := render(map[string]string{"a/b.yaml": text}, "a", nil, workspace.DefaultLimits())
		if err != nil || len(out.Objects) != 0 || len(w.Warnings()) != 0 {
			t.Errorf("%s: %v %v %v", name, out, w.Warnings(), err)
		}
	}
}

func TestPatternsChooseFiles(t *testing.T) {
	files := map[string]string{
		"app/a.yaml": configMap("a"), "app/b.json": `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"b"}}`, "app/c.txt": configMap("c"), "app/sub/a.yaml": configMap("sub-a"), "app/sub/deep/d.yml": configMap("deep-d"),
	}
	for _, tt := range []struct {
		options model.DirectoryOption
		want    string
	}{
		{model.DirectoryOption{}, "a b"},
		{model.DirectoryOption{Recurse: true}, "a b sub-a deep-d"},
		{model.DirectoryOption{Recurse: true, Include: "{*.json,sub/*}"}, "b sub-a deep-d"},
		{model.DirectoryOption{Recurse: true, Include: "*.yaml", Exclude: "sub/*"}, "a"},
		{model.DirectoryOption{Recurse: true, Exclude: "**/deep/*"}, "a b sub-a"},
		{model.DirectoryOption{DisableExtensionFilter: true}, "a b c"},
		{model.DirectoryOption{DisableExtensionFilter: true, Include: "{a,c}.*"}, "a c"},
	} {
		out, _, err := render(files, "app", &tt.options, workspace.DefaultLimits())
		if err != nil || names(out.Objects) != tt.want {
			t.Errorf("%+v: %q %v", tt.options, names(out.Objects), err)
		}
	}
}

// Variables beside templates are taken for a manifest until the source names
// them; the error says how.
func TestVariablesBesideTemplatesAreToldApart(t *testing.T) {
	const fix = "if this holds variables, name it in spec.source.jinja.valueFiles"
	for name, tt := range map[string]struct {
		files map[string]string
		fix   string
	}{
		"variables":                {map[string]string{"app/values.yaml": "replicas: 1\n", "app/web.yaml.j2": "x"}, fix},
		"no templates":             {map[string]string{"app/values.yaml": "replicas: 1\n"}, ""},
		"templates elsewhere":      {map[string]string{"app/values.yaml": "replicas: 1\n", "app/sub/web.yaml.j2": "x"}, ""},
		"a manifest with no name":  {map[string]string{"app/values.yaml": "apiVersion: v1\nkind: Service\n", "app/web.yaml.j2": "x"}, ""},
		"a manifest of no version": {map[string]string{"app/values.yaml": "kind: Service\n", "app/web.yaml.j2": "x"}, ""},
	} {
		_, _, err := render(tt.files, "app", &model.DirectoryOption{Recurse: true}, workspace.DefaultLimits())
		if e := fault.As(err); e == nil || e.Code != "manifest_incomplete" || e.Fix != tt.fix {
			t.Errorf("%s: %v, fix %q", name, err, fault.As(err).Fix)
		}
	}
}
