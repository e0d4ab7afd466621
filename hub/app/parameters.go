package app

import (
	"context"
	"path"
	"strings"

	"github.com/hawser-dev/hawser/hub/delivery"
	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/hub/plugin"
	"github.com/hawser-dev/hawser/hub/render"
	"github.com/hawser-dev/hawser/hub/store"
	"github.com/hawser-dev/hawser/shared/model"
)

// parameters fits plugins to the API.
type parameters struct {
	renderer
	store *store.Store
	hosts *plugin.Plugins
}

// Parameters implements api.Plugins.
func (p parameters) Parameters(ctx context.Context, app fleet.App) ([]model.PluginParameters, error) {
	project, err := p.store.Project(ctx, app.Project)
	if err != nil {
		return nil, err
	}
	projects, err := p.store.Projects(ctx) // for what it inherits
	if err != nil {
		return nil, err
	}
	var out []model.PluginParameters
	commits := commitsOf(app)
	for i, s := range app.Application.Spec.AllSources() {
		commit, rendered := commits[i]
		if !rendered || s.Chart != "" {
			continue
		}
		f := p.fetcher(delivery.RenderRequest{Project: app.Project, Permit: delivery.PermitFetch(project, projects), At: delivery.At{Source: s, Commit: commit}})
		snapshot, err := f.open(ctx, delivery.At{Source: s, Commit: commit})
		if err != nil {
			return nil, err
		}
		run := plugin.Run{Dir: strings.TrimPrefix(path.Clean("/"+s.Path), "/"), Files: pluginFiles{snapshot}, Env: render.Environment(render.Request{
			AppName: app.Name, Project: app.Project, Namespace: app.Application.Spec.Destination.Namespace, Source: s, Snapshot: snapshot,
		})}
		if s.Plugin != nil {
			run.Name, run.Options = s.Plugin.Name, *s.Plugin
		}
		if run.Name == "" {
			if s.Plugin == nil && (s.Helm != nil || s.Kustomize != nil || s.Directory != nil || s.Jinja != nil) {
				continue // another tool renders it
			}
			if run.Name, err = p.hosts.Discover(ctx, run); err != nil {
				return nil, err
			}
			if run.Name == "" {
				continue
			}
		}
		name, list, err := p.hosts.Parameters(ctx, run)
		if err != nil {
			return nil, err
		}
		found := model.PluginParameters{Source: i, Plugin: name, Parameters: make([]model.ParameterAnnouncement, len(list))}
		for j, a := range list {
			found.Parameters[j] = model.ParameterAnnouncement(a)
		}
		out = append(out, found)
	}
	return out, nil
}

// commitsOf are what the sources of an application were last rendered at, by
// index.
func commitsOf(app fleet.App) map[int]string {
	commits, part := map[int]string{}, 0
	for i, s := range app.Application.Spec.AllSources() {
		if !s.HasManifests() {
			continue
		}
		commits[i] = app.Source.Revision.Commit
		if all := app.Source.Revision.Sources; part < len(all) {
			commits[i] = all[part]
		}
		part++
	}
	return commits
}
