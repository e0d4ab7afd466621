package render

import (
	"path"
	"slices"
	"strings"

	"github.com/hawser-dev/hawser/hub/render/workspace"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// choice is the tool that renders a source.
type choice struct {
	tool   string
	plugin string // that discovered the source, when one did
}

// detect chooses the tool: what the source says, a plugin that knows the
// directory, and what lies in the directory, in this order.
func detect(w *workspace.Workspace) (choice, error) {
	if tool, err := explicit(w.Source); tool != "" || err != nil {
		return choice{tool: tool}, err
	}
	entries, err := w.Host.List(workspace.Main, w.Dir, false)
	if err != nil {
		return choice{}, err
	}
	plugin, _, err := w.Host.Plugin(w.Dir, "", true, nil)
	if err != nil {
		return choice{}, err
	}
	if plugin != "" {
		return choice{tool: toolPlugin, plugin: plugin}, nil
	}
	var names []string
	for _, e := range entries {
		if !e.Dir && !e.Broken {
			names = append(names, path.Base(e.Path))
		}
	}
	return choice{tool: byFiles(names)}, nil
}

// explicit is the tool that the source names by one of its sections, "" when it
// names none. Code source_type_ambiguous.
func explicit(src model.Source) (string, error) {
	sections := []struct {
		there bool
		field string
		tool  string
	}{
		{src.Chart != "", "chart", toolHelm},
		{src.Helm != nil, "helm", toolHelm},
		{src.Kustomize != nil, "kustomize", toolKustomize},
		{src.Directory != nil, "directory", toolDirectory},
		{src.Jinja != nil, "jinja", toolJinja},
		{src.Plugin != nil, "plugin", toolPlugin},
	}
	found, field := "", ""
	for _, s := range sections {
		switch {
		case !s.there:
		case found == "" || found == s.tool:
			found, field = s.tool, s.field
		case found == toolDirectory && s.tool == toolJinja:
			// Its options choose templates as they choose manifests.
			found, field = s.tool, s.field
		default:
			return "", fault.New(fault.Invalid, "source_type_ambiguous", "the source has options for two tools, %s and %s: keep one of them", field, s.field).
				WithField("spec.source." + s.field)
		}
	}
	return found, nil
}

// byFiles is the tool for a directory with files of these names. A kustomization
// beside a chart goes first, as in Argo CD: most likely it inflates the chart.
func byFiles(names []string) string {
	switch {
	case slices.ContainsFunc(names, func(n string) bool {
		return n == "kustomization.yaml" || n == "kustomization.yml" || n == "Kustomization"
	}):
		return toolKustomize
	case slices.Contains(names, "Chart.yaml"):
		return toolHelm
	}
	templates := false
	for _, n := range names {
		switch path.Ext(n) {
		case ".j2":
			templates = true
		case ".yaml", ".yml", ".json", ".jsonnet":
			if !strings.HasPrefix(n, ".argocd-source") {
				return toolDirectory
			}
		}
	}
	if templates {
		return toolJinja
	}
	return toolDirectory
}
