package app

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/hawser-dev/hawser/hub/delivery"
	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/hub/plugin"
	"github.com/hawser-dev/hawser/hub/render"
	"github.com/hawser-dev/hawser/hub/render/kustomize/remote"
	"github.com/hawser-dev/hawser/hub/source"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// renderer fits source and render to delivery.
type renderer struct {
	sources *source.Sources
	render  *render.Renderer
	// byName finds the URL of a repository that dependencies of a chart name by
	// "alias:NAME" or "@NAME"; nil when there are no names.
	byName func(ctx context.Context, name string) (url string, err error)
	// reserved finds the project whose applications alone may use a repository,
	// "" for any; nil when there are no such repositories.
	reserved func(ctx context.Context, repoURL string) (project string, err error)
}

// mayUse refuses a repository that is registered for another project alone.
func (r renderer) mayUse(ctx context.Context, repoURL, project string) error {
	if r.reserved == nil {
		return nil
	}
	owner, err := r.reserved(ctx, repoURL)
	if err != nil || owner == "" || owner == project {
		return err
	}
	return fleet.ReservedRepository(repoURL, project)
}

func (r renderer) Render(ctx context.Context, req delivery.RenderRequest) (delivery.Rendered, error) {
	f := r.fetcher(req)
	snapshot, err := f.open(ctx, req.At)
	if err != nil {
		return delivery.Rendered{}, err
	}
	refs := make(map[string]func(context.Context) (render.Snapshot, error), len(req.Refs))
	for name, at := range req.Refs {
		refs[name] = func(ctx context.Context) (render.Snapshot, error) { return f.open(ctx, at) }
	}
	return renderWith(ctx, r.render, snapshot, req, refs, f)
}

// renderWith renders one source and turns the result into delivery's terms.
func renderWith(ctx context.Context, r *render.Renderer, snapshot render.Snapshot, req delivery.RenderRequest,
	refs map[string]func(context.Context) (render.Snapshot, error), fetch render.Fetcher) (delivery.Rendered, error) {
	res, err := r.Render(ctx, render.Request{
		App: req.App, AppName: req.AppName, Project: req.Project, Namespace: req.Namespace,
		Source: req.Source, Snapshot: snapshot, Refs: refs, Fetch: fetch,
		Cluster:       func() (string, []string) { return req.KubeVersion, apiVersions(req.APIs) },
		GeneratePaths: req.GeneratePaths, PreviousKey: req.PreviousKey,
	})
	if err != nil {
		return delivery.Rendered{}, err
	}
	out := delivery.Rendered{
		Unchanged: res.Unchanged, Objects: res.Objects, Encoded: res.Encoded,
		Digest: res.Digest, Key: res.Key, Revision: snapshot.Revision(),
	}
	for _, w := range res.Warnings {
		out.Warnings = append(out.Warnings, model.Condition{Type: "RenderWarning", Code: w.Code, Message: w.Message})
	}
	return out, nil
}

// apiVersions adds to each kind ("apps/v1/Deployment") its group and version
// ("apps/v1"), as templates ask for them.
func apiVersions(kinds []string) []string {
	seen := make(map[string]bool, 2*len(kinds))
	var out []string
	add := func(s string) {
		if !seen[s] {
			seen[s] = true
			out = append(out, s)
		}
	}
	for _, k := range kinds {
		// A kind begins with a capital letter; "apps/v1" is a version already.
		if i := strings.LastIndexByte(k, '/'); i > 0 && i+1 < len(k) && 'A' <= k[i+1] && k[i+1] <= 'Z' {
			add(k[:i])
		}
		add(k)
	}
	slices.Sort(out)
	return out
}

// fetcher fetches for one render what the project permits.
type fetcher struct {
	renderer
	project string
	permit  func(repoURL string, remote bool) error
	// passCredentials is spec.source.helm.passCredentials of the application;
	// files of the repository cannot set it.
	passCredentials bool
}

func (r renderer) fetcher(req delivery.RenderRequest) fetcher {
	return fetcher{r, req.Project, req.Permit, req.Source.Helm != nil && req.Source.Helm.PassCredentials}
}

// open is a source of the application itself; the project was asked about it
// when the application was written and is asked again before it is delivered.
func (f fetcher) open(ctx context.Context, at delivery.At) (render.Snapshot, error) {
	if err := f.mayUse(ctx, at.Source.RepoURL, f.project); err != nil {
		return nil, err
	}
	s, err := f.sources.At(ctx, fleet.TargetOf(at.Source), at.Commit)
	if err != nil {
		return nil, err
	}
	return f.within(ctx, s), nil
}

// within lets submodules be fetched only from where the project permits.
func (f fetcher) within(ctx context.Context, s *source.Snapshot) *source.Snapshot {
	return s.Within(func(repoURL string) error { return f.permitted(ctx, repoURL, false) })
}

func (f fetcher) permitted(ctx context.Context, repoURL string, remote bool) error {
	if err := f.permit(repoURL, remote); err != nil {
		return err
	}
	return f.mayUse(ctx, repoURL, f.project)
}

func (f fetcher) Chart(ctx context.Context, repository, name, version string) (render.Snapshot, string, error) {
	url := repository
	alias, named := strings.CutPrefix(repository, "alias:")
	if !named {
		alias, named = strings.CutPrefix(repository, "@")
	}
	if named {
		if f.byName == nil {
			return nil, "", errUnnamed(repository)
		}
		var err error
		if url, err = f.byName(ctx, alias); err != nil {
			return nil, "", err
		}
		if url == "" {
			return nil, "", errUnnamed(repository)
		}
	}
	if err := f.permitted(ctx, url, false); err != nil {
		return nil, "", err
	}
	s, version, err := f.sources.Chart(ctx, fleet.Target{RepoURL: url, Chart: name, Revision: version, PassCredentials: f.passCredentials})
	if err != nil {
		return nil, "", err
	}
	return s, version, nil
}

func errUnnamed(repository string) error {
	return fault.New(fault.Unprocessable, "chart_not_found", "a dependency is in the repository %.80q, and no repository has that name", repository).
		WithFix("hawser repo add URL --type helm --name …, or write the URL into Chart.yaml")
}

func (f fetcher) Base(ctx context.Context, url string) (render.Snapshot, string, error) {
	spec, dir, revision, _, ok, err := remote.ParseRemote(url)
	if err != nil {
		return nil, "", err
	}
	if !ok {
		return nil, "", fault.New(fault.Unprocessable, "kustomize_error", "%.200q is no remote base", url)
	}
	if err := f.permitted(ctx, spec, true); err != nil {
		return nil, "", err
	}
	s, err := f.sources.Base(ctx, spec, revision)
	if err != nil {
		return nil, "", err
	}
	return f.within(ctx, s), dir, nil
}

func (f fetcher) Download(ctx context.Context, url string) ([]byte, error) {
	if err := f.permitted(ctx, url, true); err != nil {
		return nil, err
	}
	return f.sources.Download(ctx, url)
}

func deliveryHeads(resolved map[fleet.Target]source.Resolved) map[fleet.Target]delivery.Head {
	heads := make(map[fleet.Target]delivery.Head, len(resolved))
	for t, r := range resolved {
		heads[t] = delivery.Head{Commit: r.Commit, Tag: r.Tag, Err: r.Err}
	}
	return heads
}

// plugins fits plugin hosts to render.
type plugins struct{ hosts *plugin.Plugins }

func (p plugins) Identity() string { return p.hosts.Identity() }

func (p plugins) Discover(ctx context.Context, run render.PluginRun) (string, error) {
	r, err := pluginRun(run)
	if err != nil {
		return "", err
	}
	return p.hosts.Discover(ctx, r)
}

func (p plugins) Generate(ctx context.Context, run render.PluginRun) (string, []byte, error) {
	r, err := pluginRun(run)
	if err != nil {
		return "", nil, err
	}
	return p.hosts.Generate(ctx, r)
}

func pluginRun(run render.PluginRun) (plugin.Run, error) {
	out := plugin.Run{Name: run.Name, Dir: run.Dir, Files: pluginFiles{run.Snapshot}, Env: run.Env}
	if len(run.Options) > 0 {
		if err := json.Unmarshal(run.Options, &out.Options); err != nil {
			return out, fault.Wrap(err, fault.Internal, "internal", "the options of a plugin cannot be read")
		}
	}
	return out, nil
}

// pluginFiles is a snapshot as a plugin host takes it.
type pluginFiles struct{ render.Snapshot }
