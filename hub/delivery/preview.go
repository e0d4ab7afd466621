package delivery

import (
	"context"
	"slices"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/manifest"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/policy"
)

// Trial says what an application is rendered from when nothing of it is stored or
// delivered.
type Trial struct {
	// Revisions replace the target revision of sources, by their index.
	Revisions map[int]string
	// Resolve finds what a target is at. It blocks while the repository is asked.
	Resolve func(ctx context.Context, t fleet.Target) (Head, error)
	// Renderer is used in place of the hub's, nil for none: it has the files of
	// somebody's directory in place of the source with the index Local.
	Renderer Renderer
	Local    int
}

// local stands for the commit of files that no repository has.
const localCommit = "local"

// Stored are the objects that are desired of an application now, and their
// revision. Codes nothing_rendered, bundle_not_found.
func (d *Delivery) Stored(ctx context.Context, app fleet.App) ([]manifest.Object, model.Revision, error) {
	digest, revision := app.Source.Bundle, app.Source.Revision
	if app.Pin != nil {
		digest, revision = app.Pin.Bundle, app.Pin.Revision
	}
	if digest == "" {
		return nil, revision, fault.New(fault.Precondition, "nothing_rendered", "nothing of %q was rendered yet", app.Name).
			WithFix("wait until the hub has read its repository, or put its source right")
	}
	encoded, err := d.Store.Bundle(ctx, digest)
	if err != nil {
		return nil, revision, err
	}
	objects, err := manifest.DecodeBundle(encoded, digest)
	if err != nil {
		return nil, revision, err
	}
	_, _, namespaced, err := d.Store.ClusterAPIs(ctx, app.Cluster)
	if err != nil {
		return nil, revision, err
	}
	return placedObjects(objects, app, scopeOf(namespaced)), revision, nil
}

// SourceHead is what is known of one source of an application.
type SourceHead struct {
	Source model.Source
	// Head is the commit or version that the source is at, "" as long as that is not
	// known; Err is why it is not, or why it was not the last time.
	Head string
	Err  error
}

// Heads are what an application's sources are at now, in order. settled: they were
// all looked at, and whatever was to come of that for the application has come.
func (d *Delivery) Heads(app fleet.App) (heads []SourceHead, settled bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, dirty := d.dirty[app.UID]
	_, known := d.apps[app.UID]
	settled = known && !dirty && !d.busy[app.UID] && !d.reload
	for _, s := range app.Application.Spec.AllSources() {
		h, ok := d.heads[targetOf(s)]
		if !ok {
			h.Err = d.silent[s.RepoURL]
		}
		settled = settled && ok
		heads = append(heads, SourceHead{s, h.Commit, h.Err})
	}
	return heads, settled
}

// Try renders an application from something else than what is delivered, and asks
// its project about what comes out. Nothing is stored.
//
// Codes: signature_required, source_position_unknown, source_not_resolved, those of
// Prepare, of renders and of the project.
func (d *Delivery) Try(ctx context.Context, app fleet.App, trial Trial) (Rendered, error) {
	f, project, cluster, err := d.factsOf(ctx, app)
	if err != nil {
		return Rendered{}, err
	}
	sources := app.Application.Spec.AllSources()
	changed := slices.Clone(sources)
	for i, revision := range trial.Revisions {
		if i < 0 || i >= len(changed) {
			return Rendered{}, unknownPosition(i, len(sources))
		}
		changed[i].TargetRevision = revision
	}
	if trial.Renderer != nil {
		if trial.Local < 0 || trial.Local >= len(changed) {
			return Rendered{}, unknownPosition(trial.Local, len(sources))
		}
		if err := permitUnsigned(project.rules, changed[trial.Local].RepoURL); err != nil {
			return Rendered{}, err
		}
	}
	tried := app
	if len(app.Application.Spec.Sources) > 0 {
		tried.Application.Spec.Sources = changed
	} else if len(changed) == 1 {
		tried.Application.Spec.Source = &changed[0]
	}
	spec := tried.Application.Spec
	if err := permitApplication(project, cluster, tried); err != nil {
		return Rendered{}, err
	}
	resolved, err := d.resolveTrial(ctx, trial, changed)
	if err != nil {
		return Rendered{}, err
	}
	heads := func(s model.Source) (Head, bool) {
		if trial.Renderer != nil && targetOf(s) == targetOf(changed[trial.Local]) {
			return Head{Commit: localCommit}, true
		}
		if h, ok := resolved[targetOf(s)]; ok {
			return h, true
		}
		return d.head(s)
	}
	// Of files that somebody sent nothing is demanded, or they were refused.
	if err := d.signed(ctx, project, spec, heads); err != nil {
		return Rendered{}, err
	}
	with := d.Renderer
	if trial.Renderer != nil {
		with = trial.Renderer
	}
	ask := request(f, project, tried, "")
	ask.App = "" // what is tried must not push out what is known of the real one
	out, waiting, err := RenderSources(ctx, with, spec, heads, ask)
	if err != nil {
		return Rendered{}, err
	}
	if waiting {
		return Rendered{}, fault.New(fault.Unavailable, "source_not_resolved", "a source of %q was never resolved", app.Name).
			WithFix("try again when its repository answers")
	}
	namespaced := f.serves[app.Cluster].namespaced
	if err := permitObjects(project, cluster, tried, out.Objects, namespaced); err != nil {
		return Rendered{}, err
	}
	out.Objects = placedObjects(out.Objects, app, namespaced)
	return out, nil
}

func (d *Delivery) resolveTrial(ctx context.Context, trial Trial, changed []model.Source) (map[fleet.Target]Head, error) {
	out := map[fleet.Target]Head{}
	for i := range trial.Revisions {
		t := targetOf(changed[i])
		h, err := trial.Resolve(ctx, t)
		if err != nil {
			return nil, err
		}
		out[t] = h
	}
	return out, nil
}

func unknownPosition(i, n int) error {
	return fault.New(fault.Invalid, "source_position_unknown", "there is no source %d; the application has %d", i+1, n).WithField("position")
}

// permitUnsigned refuses files that nobody has signed where a project trusts only
// what is signed: what they render to would be shown as if it could be deployed.
func permitUnsigned(rules policy.Project, repoURL string) error {
	rule, refusal := policy.SignatureRuleFor(rules, repoURL)
	if refusal == nil && !rule.Demands() {
		return nil
	}
	return fault.New(fault.Denied, "signature_required", "project %q trusts signed commits only, and files of a directory have no signature", rules.Name).
		WithFound(fleet.MaskURLs(repoURL), "commits that are signed").WithFix("commit and sign them, then compare with --revision")
}

// placedObjects are objects with the namespace that they get in the cluster in
// their key; their bodies are as they were written.
func placedObjects(objects []manifest.Object, app fleet.App, namespaced func(model.GroupKind) bool) []manifest.Object {
	out := slices.Clone(objects)
	for i := range out {
		if out[i].Key.Namespace == "" && namespaced(out[i].Key.GroupKind()) {
			out[i].Key.Namespace = app.Application.Spec.Destination.Namespace
		}
	}
	return out
}
