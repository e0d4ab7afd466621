package render

import (
	"github.com/hawser-dev/hawser/hub/render/directory"
	"github.com/hawser-dev/hawser/hub/render/helm"
	"github.com/hawser-dev/hawser/hub/render/jinja"
	"github.com/hawser-dev/hawser/hub/render/jsonnet"
	"github.com/hawser-dev/hawser/hub/render/kustomize"
	"github.com/hawser-dev/hawser/hub/render/workspace"
)

// Names of tools, as results have them.
const (
	toolDirectory = "Directory"
	toolHelm      = "Helm"
	toolKustomize = "Kustomize"
	toolJinja     = "Jinja"
	toolPlugin    = "Plugin"
)

// tool renders one kind of source.
type tool struct {
	render func(w *workspace.Workspace, c choice) (workspace.Output, error)
	// repeats: the tool may put out an object twice; the last counts.
	repeats bool
	// twice: nobody knows whether the same inputs give the same output, so it
	// always runs twice. Other tools say so themselves, by MayVary.
	twice bool
}

type toolset map[string]tool

// tools are all that a worker can run.
var tools = toolset{
	toolDirectory: {render: func(w *workspace.Workspace, _ choice) (workspace.Output, error) {
		return directory.Render(w, directory.Tools{Jsonnet: jsonnet.New()})
	}},
	toolJinja: {render: func(w *workspace.Workspace, _ choice) (workspace.Output, error) {
		return jinja.Render(w, jsonnet.New())
	}},
	toolHelm: {render: func(w *workspace.Workspace, _ choice) (workspace.Output, error) {
		return helm.Render(w)
	}, repeats: true},
	toolKustomize: {render: func(w *workspace.Workspace, _ choice) (workspace.Output, error) {
		return kustomize.Render(w, func(w *workspace.Workspace, c kustomize.Chart) ([]byte, error) {
			return helm.Inflate(w, helm.Chart(c))
		})
	}},
	toolPlugin: {render: renderPlugin, repeats: true, twice: true},
}
