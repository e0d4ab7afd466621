package app

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"

	"github.com/hawser-dev/hawser/hub/api"
	"github.com/hawser-dev/hawser/hub/delivery"
	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/hub/render"
	"github.com/hawser-dev/hawser/hub/source"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/manifest"
	"github.com/hawser-dev/hawser/shared/model"
)

// previews fits delivery and sources to the API.
type previews struct {
	delivery *delivery.Delivery
	sources  *source.Sources
	renderer renderer
	// dir is where files that somebody sends are put while they are rendered.
	dir string
	// places bounds how many directories are held at once.
	places chan struct{}
}

// maxDirectories that users sent are rendered at a time; others wait.
const maxDirectories = 2

func (h *hub) previews() previews {
	dir := filepath.Join(h.cfg.Data, "previews")
	_ = os.RemoveAll(dir) // what a hub that was killed has left
	return previews{h.delivery, h.sources, h.renderer(), dir, make(chan struct{}, maxDirectories)}
}

// Stored implements api.Previews.
func (p previews) Stored(ctx context.Context, app fleet.App) ([]manifest.Object, model.Revision, error) {
	return p.delivery.Stored(ctx, app)
}

// Heads implements api.Previews.
func (p previews) Heads(app fleet.App) ([]api.SourceHead, bool) {
	heads, settled := p.delivery.Heads(app)
	out := make([]api.SourceHead, len(heads))
	for i, h := range heads {
		out[i] = api.SourceHead{Source: h.Source, Head: h.Head, Err: h.Err}
	}
	return out, settled
}

// AtRevisions implements api.Previews.
func (p previews) AtRevisions(ctx context.Context, app fleet.App, revisions map[int]string) (api.Preview, error) {
	return p.try(ctx, app, delivery.Trial{Revisions: revisions})
}

// OfFiles implements api.Previews.
func (p previews) OfFiles(ctx context.Context, app fleet.App, at int, path string, tar io.Reader) (_ api.Preview, err error) {
	select {
	case p.places <- struct{}{}:
		defer func() { <-p.places }()
	case <-ctx.Done():
		return api.Preview{}, context.Cause(ctx)
	}
	if err := os.MkdirAll(p.dir, 0o700); err != nil {
		return api.Preview{}, fault.Wrap(err, fault.Internal, "internal", "internal error")
	}
	dir, err := os.MkdirTemp(p.dir, "")
	if err != nil {
		return api.Preview{}, fault.Wrap(err, fault.Internal, "internal", "internal error")
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := source.Unpack(tar, dir); err != nil {
		return api.Preview{}, err
	}
	files, err := source.OpenDirectory(dir)
	if err != nil {
		return api.Preview{}, err
	}
	defer func() { _ = files.Close() }() // only read
	of := localFiles{renderer: p.renderer, files: files, path: path}
	if all := app.Application.Spec.AllSources(); at >= 0 && at < len(all) {
		if all[at].Chart != "" {
			return api.Preview{}, fault.New(fault.Unprocessable, "source_type_unsupported", "source %d is a chart of a repository; files cannot stand for it", at+1).
				WithFix("compare another version with --revision")
		}
		of.target, of.appPath = fleet.TargetOf(all[at]), all[at].Path
	}
	return p.try(ctx, app, delivery.Trial{Renderer: of, Local: at})
}

func (p previews) try(ctx context.Context, app fleet.App, trial delivery.Trial) (api.Preview, error) {
	trial.Resolve = func(ctx context.Context, t fleet.Target) (delivery.Head, error) {
		resolved, err := p.sources.Resolve(ctx, t.RepoURL, []fleet.Target{t})
		if err != nil {
			return delivery.Head{}, err
		}
		r := resolved[t]
		return delivery.Head{Commit: r.Commit, Tag: r.Tag}, r.Err
	}
	out, err := p.delivery.Try(ctx, app, trial)
	return api.Preview{Objects: out.Objects, Revision: out.Revision, Warnings: out.Warnings}, err
}

// localFiles renders with a directory in place of one source.
type localFiles struct {
	renderer
	files  *source.Directory
	path   string // of the source in the directory, "" for that of the application
	target fleet.Target
	// appPath is that of the application: another source of the same repository
	// keeps its own.
	appPath string
}

// Render implements delivery.Renderer.
func (l localFiles) Render(ctx context.Context, req delivery.RenderRequest) (delivery.Rendered, error) {
	f := l.fetcher(req)
	snapshot := func(ctx context.Context, at delivery.At) (render.Snapshot, error) {
		if fleet.TargetOf(at.Source) == l.target {
			return l.files, nil
		}
		return f.open(ctx, at)
	}
	if fleet.TargetOf(req.Source) == l.target && l.path != "" && req.Source.Path == l.appPath {
		req.Source.Path = l.path
	}
	main, err := snapshot(ctx, req.At)
	if err != nil {
		return delivery.Rendered{}, err
	}
	refs := make(map[string]func(context.Context) (render.Snapshot, error), len(req.Refs))
	for name, at := range req.Refs {
		refs[name] = func(ctx context.Context) (render.Snapshot, error) { return snapshot(ctx, at) }
	}
	return renderWith(ctx, l.render, main, req, refs, f)
}
