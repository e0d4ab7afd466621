package render

import (
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/hub/render/workspace"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

func TestToolOfADirectory(t *testing.T) {
	for files, want := range map[string]string{
		"":                                   toolDirectory,
		"a.yaml":                             toolDirectory,
		"Chart.yaml values.yaml":             toolHelm,
		"chart.yaml":                         toolDirectory,
		"kustomization.yaml a.yaml":          toolKustomize,
		"kustomization.yml":                  toolKustomize,
		"Kustomization":                      toolKustomize,
		"kustomization":                      toolDirectory,
		"Chart.yaml kustomization.yaml":      toolKustomize,
		"Chart.yaml Kustomization":           toolKustomize,
		"web.yaml.j2":                        toolJinja,
		"web.j2 README.md _macros.j2":        toolJinja,
		"web.yaml.j2 .argocd-source.yaml":    toolJinja,
		"web.yaml.j2 service.yaml":           toolDirectory,
		"web.yaml.j2 service.json":           toolDirectory,
		"web.yaml.j2 main.jsonnet":           toolDirectory,
		"web.yaml.j2 kustomization.yaml":     toolKustomize,
		"web.yaml.j2 Chart.yaml":             toolHelm,
		"README.md Makefile lib.libsonnet":   toolDirectory,
		"j2 yaml":                            toolDirectory,
		"web.yaml.j2 lib.libsonnet data.txt": toolJinja,
	} {
		if got := byFiles(strings.Fields(files)); got != want {
			t.Errorf("%s: %s, want %s", files, got, want)
		}
	}
}

func TestToolThatTheSourceNames(t *testing.T) {
	helm, kustomize, dir := &model.HelmSource{}, &model.KustomizeSource{}, &model.DirectoryOption{}
	jinja, plugin := &model.JinjaSource{}, &model.PluginSource{}
	for _, tt := range []struct {
		src  model.Source
		want string
		both string
	}{
		{model.Source{}, "", ""},
		{model.Source{Helm: helm}, toolHelm, ""},
		{model.Source{Chart: "redis"}, toolHelm, ""},
		{model.Source{Chart: "redis", Helm: helm}, toolHelm, ""},
		{model.Source{Kustomize: kustomize}, toolKustomize, ""},
		{model.Source{Directory: dir}, toolDirectory, ""},
		{model.Source{Jinja: jinja}, toolJinja, ""},
		{model.Source{Plugin: plugin}, toolPlugin, ""},
		{model.Source{Helm: helm, Kustomize: kustomize}, "", "helm and kustomize"},
		{model.Source{Chart: "redis", Kustomize: kustomize}, "", "chart and kustomize"},
		{model.Source{Directory: dir, Plugin: plugin}, "", "directory and plugin"},
		{model.Source{Jinja: jinja, Directory: dir}, toolJinja, ""},
		{model.Source{Jinja: jinja, Directory: dir, Plugin: plugin}, "", "jinja and plugin"},
		{model.Source{Jinja: jinja, Helm: helm}, "", "helm and jinja"},
	} {
		got, err := explicit(tt.src)
		if got != tt.want || (tt.both == "") != (err == nil) {
			t.Errorf("%+v: %q %v", tt.src, got, err)
		}
		if tt.both != "" && (!fault.HasCode(err, "source_type_ambiguous") || !strings.Contains(err.Error(), tt.both)) {
			t.Errorf("%+v: %v", tt.src, err)
		}
	}
}

// pluginHost discovers a plugin.
type pluginHost struct {
	workspace.Memory
	found string
}

func (h *pluginHost) Plugin(path, name string, discover bool, options []byte) (string, []byte, error) {
	if _, _, err := h.Memory.Plugin(path, name, discover, options); err != nil {
		return "", nil, err
	}
	return h.found, nil, nil
}

func TestAPluginComesBeforeTheFiles(t *testing.T) {
	files := map[string]map[string]string{"": {"app/Chart.yaml": "x"}}
	host := &pluginHost{Memory: workspace.Memory{Trees: files}, found: "cue"}
	got, err := detect(&workspace.Workspace{Host: host, Dir: "app"})
	if err != nil || got != (choice{toolPlugin, "cue"}) {
		t.Errorf("%+v %v", got, err)
	}
	if asked := strings.Join(host.Asked, ", "); asked != "list /app, plugin " {
		t.Errorf("asked %s", asked)
	}
	host = &pluginHost{Memory: workspace.Memory{Trees: files}}
	if got, err := detect(&workspace.Workspace{Host: host, Dir: "app"}); err != nil || got.tool != toolHelm {
		t.Errorf("%+v %v", got, err)
	}
	if got, err := detect(&workspace.Workspace{Host: host, Dir: "nowhere"}); !fault.HasCode(err, "path_not_found") {
		t.Errorf("%+v %v", got, err)
	}
	host.Asked = nil
	if _, err := detect(&workspace.Workspace{Host: host, Dir: "app", Source: model.Source{Helm: &model.HelmSource{}}}); err != nil || len(host.Asked) > 0 {
		t.Errorf("asked %v, %v", host.Asked, err)
	}
}
