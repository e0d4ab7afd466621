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
