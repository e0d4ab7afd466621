package delivery

import (
	"context"
	"slices"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/manifest"
	"github.com/hawser-dev/hawser/shared/model"
)

// lookAtPinned decides for an application that was rolled back. fleet.Pin.Decide
// says whether the pin holds; here is found out what that needs to know, and done
// what follows.
func (d *Delivery) lookAtPinned(ctx context.Context, f facts, project project, cluster model.Cluster, app fleet.App, heads headOf) (outcome, bool) {
	spec := app.Application.Spec
	known := fleet.PinFacts{Sources: sourcesAt(spec, heads), Options: fleet.OptionsOf(spec), SetAside: app.SetAside}
	verdict := app.Pin.Decide(known)
	if verdict == fleet.PinMoved || verdict == fleet.PinEnded {
		if err := permitApplication(project, cluster, app); err != nil {
			return d.refused(app, f, revisionOf(spec, heads), err)
		}
		var aside setAside
		if verdict == fleet.PinMoved {
			aside = d.renderAside(ctx, f, project, app)
		}
		last := d.lastPause(app.UID)
		rendered, waiting, err := d.render(ctx, f, project, app, heads, aside.key)
		switch {
		case ctx.Err() != nil:
			return outcome{}, false
		case err != nil:
			// What cannot be rendered releases nothing.
			return d.refused(app, f, revisionOf(spec, heads), err)
		case waiting && verdict == fleet.PinEnded:
			return outcome{}, false
		case waiting, rendered.Unchanged, aside.is(rendered.Digest):
			known.SameContent = true
			verdict = app.Pin.Decide(known)
		case aside.unknown != nil:
			d.Log.Warn("what a rollback has set aside cannot be told from what is newer", "application", app.Name, "error", aside.unknown)
			o, ok := d.hold(ctx, f, project, cluster, app, heads, false, cannotTell(app, rendered.Revision.Commit, aside.unknown))
			d.retryFrom(app.UID, last, aside.unknown)
			return o, ok
		default:
			o, ok := d.accept(ctx, f, project, cluster, app, heads, rendered, true)
			if ok && o.change != nil && o.change.Release {
				d.Log.Info("the pin of a rollback is released", "application", app.Name, "deployment", app.Pin.HistoryID,
					"revision", rendered.Revision.Commit, "set_aside", app.Pin.SetAside.Commit)
			}
			return o, ok
		}
	}
	if verdict == fleet.PinRenders {
		return d.renderHeld(ctx, f, project, cluster, app, heads)
	}
	return d.hold(ctx, f, project, cluster, app, heads, verdict == fleet.PinOutdated, nil)
}

// setAside is what the content that was set aside is told by.
type setAside struct {
	// key and digest are of a render with the present options, empty without one;
	// then is the digest of the render that was set aside.
	key          string
	digest, then model.Digest
	// unknown is why another digest than these says nothing.
	unknown error
}

// is reports whether manifests are those that were set aside.
func (a setAside) is(digest model.Digest) bool {
	return digest != "" && (digest == a.digest || digest == a.then)
}

// renderAside renders what was set aside with the present options. When that
// fails for a moment it is tried again. When it fails for good, the manifests
// that were set aside tell, if the options are those of then. A commit that is
// gone from its repository is waited for by nobody.
func (d *Delivery) renderAside(ctx context.Context, f facts, project project, app fleet.App) setAside {
	spec := app.Application.Spec
	out, waiting, err := RenderSources(ctx, d.Renderer, spec, fixed(spec, app.Pin.Aside), request(f, project, app, ""))
	aside := setAside{key: out.Key, digest: out.Digest, then: app.Pin.AsideBundle}
	switch {
	case err == nil, waiting: // waiting: its commit was never known, and whatever there is is newer
	case gone(err), causedByContent(err) && app.Pin.Tells(fleet.OptionsOf(spec)):
	default:
		aside.unknown = err
	}
	return aside
}

// gone reports whether a commit is not in its repository any more.
func gone(err error) bool {
	return fault.HasCode(err, "revision_not_found") || fault.Is(err, fault.NotFound)
}

// codeAsideUnknown is the condition that a pin holds because what it set aside
// cannot be told from what there is now.
const codeAsideUnknown = "set_aside_unknown"

func cannotTell(app fleet.App, commit string, err error) error {
	return fault.New(fault.Unavailable, codeAsideUnknown,
		"revision %s may be the same as what a rollback has set aside: revision %s cannot be rendered to compare them (%s); the application stays where it is, and this is tried again",
		commit, app.Pin.SetAside.Commit, fault.As(err).Message).WithFix("to deploy it now: hawser app unpin %s", app.Name)
}

// cameBack reports whether an application's sources are at what a rollback that
// is over has set aside. Nobody has said since that it is wanted.
func (d *Delivery) cameBack(app fleet.App, heads headOf) bool {
	now := sourcesAt(app.Application.Spec, heads)
	return !app.Unpinned && app.Source.Bundle != "" && fleet.WasSetAside(app.SetAside, now) && !fleet.SameSources(now, app.Source.Sources)
}

// holdAgain sets aside again what came back, under a pin that holds what is
// desired now.
func (d *Delivery) holdAgain(ctx context.Context, f facts, project project, cluster model.Cluster, app fleet.App, heads headOf, rendered Rendered) (outcome, bool) {
	encoded, err := d.Store.Bundle(ctx, app.Source.Bundle)
	if err != nil {
		d.Log.Warn("the present bundle cannot be read", "application", app.Name, "error", err)
		d.retryLater(app.UID, err)
		return outcome{}, false
	}
	o, ok := d.accept(ctx, f, project, cluster, app, heads, rendered, false)
	if !ok || o.change == nil || o.change.LimitsOnly {
		return o, ok
	}
	options := fleet.OptionsOf(app.Application.Spec)
	state, now := o.change.Source, fleet.Content{
		Bundle: app.Source.Bundle, BundleBytes: int64(len(encoded)), Revision: app.Source.Revision, Sources: app.Source.Sources,
	}
	pin := fleet.Pin{
		Pin: model.Pin{
			Revision: now.Revision, SetAside: state.Revision, InitiatedBy: "automated", At: d.Now(),
			Reason: "the sources came back to a revision that an earlier rollback has set aside",
		},
		Bundle: now.Bundle, BundleBytes: now.BundleBytes, Sources: now.Sources,
		Aside: state.Sources, AsideBundle: state.Bundle, AsideOptions: options, Options: options,
	}
	if app.Source.RenderKey == "" {
		// The options may be newer than the present bundle: the next look sees to
		// that.
		pin.Options = ""
		d.mu.Lock()
		d.note(app.UID, look{})
		d.mu.Unlock()
	}
	o.change.Pin, o.change.Sources, o.change.Desired = &pin, now.Sources, desiredOf(project, cluster, app, now)
	d.rememberPin(app.UID, &pin)
	d.Log.Info("the sources came back to what a rollback has set aside; it is not deployed", "application", app.Name,
		"revision", now.Revision.Commit, "set_aside", state.Revision.Commit)
	return o, true
}

// fixed resolves an application's sources to given commits. at has the same
// places as the application.
func fixed(spec model.ApplicationSpec, at []fleet.SourceAt) headOf {
	heads := make(map[fleet.SourceAt]Head, len(at))
	for _, s := range at {
		heads[s.Place()] = Head{Commit: s.Commit, Tag: s.Tag}
	}
	return func(s model.Source) (Head, bool) {
		h := heads[fleet.PlacesOf(model.ApplicationSpec{Source: &s})[0]]
		return h, h.Commit != ""
	}
}

// hold keeps the pin's bundle desired, under the application's present policy and
// its project's present limits. Nothing of that needs a repository. trouble, when
// not nil, is why it is not known whether the pin should end.
func (d *Delivery) hold(ctx context.Context, f facts, project project, cluster model.Cluster, app fleet.App, heads headOf, outdated bool, trouble error) (outcome, bool) {
	revision := app.Pin.Revision.Commit
	encoded, err := d.Store.Bundle(ctx, app.Pin.Bundle)
	if err != nil {
		d.Log.Warn("the bundle of a rollback cannot be read", "application", app.Name, "error", err)
		d.retryLater(app.UID, err)
		return outcome{}, false
	}
	objects, err := manifest.DecodeBundle(encoded, app.Pin.Bundle)
	if err != nil {
		return d.refused(app, f, revision, err)
	}
	held := heldSources(app)
	if err := permitPast(project, cluster, app, held, objects, f.serves[app.Cluster].namespaced); err != nil {
		return d.refused(app, f, revision, err)
	}
	// Keys and policies may have changed since it was gone back to. What they
	// refuse, and what nobody can tell about now, stays where it is and is
	// delivered to nobody anew.
	if err := d.signedPast(ctx, project, app, fleet.Content{Revision: app.Pin.Revision, Sources: held}); err != nil {
		if ctx.Err() != nil {
			return outcome{}, false
		}
		d.retryLater(app.UID, err)
		return d.refused(app, f, revision, atField(err))
	}
	d.settled(app.UID)
	content := fleet.Content{Bundle: app.Pin.Bundle, BundleBytes: int64(len(encoded)), Revision: app.Pin.Revision, Sources: held}
	return outcome{change: &fleet.DesiredChange{
		Cluster: app.Cluster, AppVersion: app.Version, ProjectVersion: project.Metadata.Generation, ClusterLabels: cluster.Labels,
		Source: d.stateWhileHeld(app, heads, outdated, trouble), Sources: held,
		Desired: desiredOf(project, cluster, app, content),
	}}, true
}

// renderHeld renders the commits that the pin holds with the options that the
// application has now, and has the pin hold that.
func (d *Delivery) renderHeld(ctx context.Context, f facts, project project, cluster model.Cluster, app fleet.App, heads headOf) (outcome, bool) {
	spec := app.Application.Spec
	revision := app.Pin.Revision.Commit
	if err := permitApplication(project, cluster, app); err != nil {
		return d.refused(app, f, revision, err)
	}
	rendered, _, err := d.render(ctx, f, project, app, fixed(spec, app.Pin.Sources), "")
	if err == nil {
		err = CheckEmpty(spec, rendered, app.Source.Bundle == "")
	}
	if err == nil {
		err = permitObjects(project, cluster, app, rendered.Objects, f.serves[app.Cluster].namespaced)
	}
	if err != nil {
		return d.refused(app, f, revision, err)
	}
	pin := *app.Pin
	pin.Bundle, pin.BundleBytes, pin.Revision, pin.Options = rendered.Digest, int64(len(rendered.Encoded)), rendered.Revision, fleet.OptionsOf(spec)
	content := fleet.Content{Bundle: pin.Bundle, BundleBytes: pin.BundleBytes, Revision: pin.Revision, Sources: pin.Sources}
	state := d.stateWhileHeld(app, heads, false, nil)
	d.rememberPin(app.UID, &pin)
	return outcome{
		change: &fleet.DesiredChange{
			Cluster: app.Cluster, AppVersion: app.Version, ProjectVersion: project.Metadata.Generation, ClusterLabels: cluster.Labels, Source: state, Sources: pin.Sources, Pin: &pin,
			Desired: desiredOf(project, cluster, app, content),
		},
		bundle: &fleet.Bundle{Digest: rendered.Digest, Encoded: rendered.Encoded, Objects: len(rendered.Objects)},
	}, true
}

// heldSources are the sources that the pin's bundle is from, those of the
// application where that is not known.
func heldSources(app fleet.App) []fleet.SourceAt {
	if app.Pin.Sources != nil {
		return app.Pin.Sources
	}
	return fleet.PlacesOf(app.Application.Spec)
}

// permitPast asks the project about manifests that come from other sources than
// the application may have now.
func permitPast(project project, cluster model.Cluster, app fleet.App, sources []fleet.SourceAt, objects []manifest.Object, namespaced func(model.GroupKind) bool) error {
	past := app
	past.Application.Spec.Source, past.Application.Spec.Sources = nil, nil
	for _, s := range sources {
		past.Application.Spec.Sources = append(past.Application.Spec.Sources, model.Source{RepoURL: s.RepoURL})
	}
	if err := permitApplication(project, cluster, past); err != nil {
		return err
	}
	return permitObjects(project, cluster, app, objects, namespaced)
}

// codeOptionsHeld is the warning that changed options are not in force.
const codeOptionsHeld = "options_not_applied"

// stateWhileHeld is what is known of the sources while a pin holds: what they
// gave last is what was set aside, and stays known as that.
func (d *Delivery) stateWhileHeld(app fleet.App, heads headOf, outdated bool, trouble error) fleet.SourceState {
	state := app.Source
	state.App, state.At, state.Error = app.UID, d.Now(), nil
	for _, s := range app.Application.Spec.AllSources() {
		if h, ok := heads(s); ok && h.Err != nil {
			trouble = h.Err
			break
		}
	}
	if trouble != nil {
		state.Error = app.Source.Error
		if o, changed := d.failed(app, "", trouble); changed {
			state.Error = o.state.Error
		}
	}
	state.Warnings = slices.DeleteFunc(slices.Clone(state.Warnings), func(c model.Condition) bool { return c.Code == codeOptionsHeld })
	if outdated {
		state.Warnings = append(state.Warnings, model.Condition{Type: "RenderWarning", Code: codeOptionsHeld,
			Message: "the options of the sources were changed after the rollback; they are applied when it ends, because what was gone back to came from other sources"})
	}
	d.remember(state)
	return state
}

// Prepare makes sure that content which was desired before can be desired
// again: that its manifests are there (else they are rendered again), and that
// the project permits them now. deployment is the one that is gone back to; with
// 0 the content is what the sources gave last, and is pinned to nothing.
//
// Codes: deployment_not_held, source_not_resolved, destination_unknown,
// project_unknown, those of renders and of the project.
func (d *Delivery) Prepare(ctx context.Context, app fleet.App, content fleet.Content, deployment int64) (fleet.Deploy, error) {
	f, project, cluster, err := d.factsOf(ctx, app)
	if err != nil {
		return fleet.Deploy{}, err
	}
	spec := app.Application.Spec
	if content.Bundle == "" {
		if content, err = d.renderPast(ctx, f, project, cluster, app, content); err != nil {
			return fleet.Deploy{}, err
		}
	} else {
		encoded, err := d.Store.Bundle(ctx, content.Bundle)
		if err != nil {
			return fleet.Deploy{}, err
		}
		objects, err := manifest.DecodeBundle(encoded, content.Bundle)
		if err != nil {
			return fleet.Deploy{}, err
		}
		sources := content.Sources
		if sources == nil {
			sources = fleet.PlacesOf(spec)
		}
		if err := permitPast(project, cluster, app, sources, objects, f.serves[app.Cluster].namespaced); err != nil {
			return fleet.Deploy{}, err
		}
		content.BundleBytes = int64(len(encoded))
	}
	if err := d.signedPast(ctx, project, app, content); err != nil {
		return fleet.Deploy{}, err
	}
	out := fleet.Deploy{AppVersion: app.Version, Content: content}
	if deployment == 0 || content.Bundle == app.Source.Bundle {
		return out, nil
	}
	aside, err := d.aside(app)
	if err != nil {
		return fleet.Deploy{}, err
	}
	out.Pin = &fleet.Pin{
		Pin:    model.Pin{HistoryID: deployment, Revision: content.Revision, SetAside: app.Source.Revision},
		Bundle: content.Bundle, BundleBytes: content.BundleBytes, Sources: content.Sources, Aside: aside, Options: fleet.OptionsOf(spec),
	}
	switch old := app.Pin; {
	case old != nil && fleet.SameSources(old.Aside, aside):
		out.Pin.AsideBundle, out.Pin.AsideOptions = old.AsideBundle, old.AsideOptions
	case fleet.SameSources(app.Source.Sources, aside):
		out.Pin.AsideBundle = app.Source.Bundle
		if app.Source.RenderKey != "" { // else the options may be newer
			out.Pin.AsideOptions = fleet.OptionsOf(spec)
		}
	}
	return out, nil
}

// aside are the sources at what is not to be deployed again: what they gave
// last, not what may have been found since and was not delivered yet.
func (d *Delivery) aside(app fleet.App) ([]fleet.SourceAt, error) {
	spec := app.Application.Spec
	if places := fleet.PlacesOf(spec); fleet.SamePlaces(places, app.Source.Sources) {
		return app.Source.Sources, nil
	}
	out := sourcesAt(spec, d.headsOf(spec))
	for i, s := range out {
		if s.Commit == "" {
			return nil, fault.New(fault.Unavailable, "source_not_resolved", "source %d of %q is not resolved at the moment; what to set aside is not known", i+1, app.Name).
				WithFix("try again when its repository answers")
		}
	}
	return out, nil
}

func (d *Delivery) factsOf(ctx context.Context, app fleet.App) (f facts, project project, cluster model.Cluster, err error) {
	projects, err := d.Store.Projects(ctx)
	if err != nil {
		return f, project, cluster, err
	}
	if err := d.readProjects(ctx, &f, projects); err != nil {
		return f, project, cluster, err
	}
	project, known := f.projects[app.Project]
	if !known {
		return f, project, cluster, fault.New(fault.Denied, "project_unknown", "project %q does not exist", app.Project)
	}
	clusters, err := d.Store.Clusters(ctx)
	if err != nil {
		return f, project, cluster, err
	}
	j := slices.IndexFunc(clusters, func(c model.Cluster) bool { return c.ID == app.Cluster })
	if j < 0 {
		return f, project, cluster, fault.New(fault.Unprocessable, "destination_unknown", "the destination cluster is not enrolled any more")
	}
	version, apis, namespaced, err := d.Store.ClusterAPIs(ctx, app.Cluster)
	f.serves = map[model.ClusterID]served{app.Cluster: {kubeVersion: version, apis: apis, namespaced: scopeOf(namespaced)}}
	f.clusters = map[model.ClusterID]model.Cluster{app.Cluster: clusters[j]}
	return f, project, clusters[j], err
}

// renderPast renders a deployment whose manifests are not held: the
// application's sources, with their present options, at the commits of then.
func (d *Delivery) renderPast(ctx context.Context, f facts, project project, cluster model.Cluster, app fleet.App, content fleet.Content) (fleet.Content, error) {
	spec := app.Application.Spec
	places := fleet.PlacesOf(spec)
	if content.Sources == nil && len(places) == 1 && fleet.TargetOf(spec.AllSources()[0]).Type() == fleet.Git {
		content.Sources = places
		content.Sources[0].Commit = content.Revision.Commit
	}
	if !fleet.SamePlaces(content.Sources, places) || slices.ContainsFunc(content.Sources, func(s fleet.SourceAt) bool { return s.Commit == "" }) {
		return content, fault.New(fault.Precondition, "deployment_not_held",
			"the hub holds neither the manifests of this deployment nor all commits that they were rendered from").
			WithFix("set targetRevision of the sources to what it was")
	}
	if err := permitApplication(project, cluster, app); err != nil {
		return content, err
	}
	if err := d.signedPast(ctx, project, app, content); err != nil {
		return content, err
	}
	rendered, _, err := RenderSources(ctx, d.Renderer, spec, fixed(spec, content.Sources), request(f, project, app, ""))
	if err != nil {
		return content, err
	}
	if err := permitObjects(project, cluster, app, rendered.Objects, f.serves[app.Cluster].namespaced); err != nil {
		return content, err
	}
	bundle := fleet.Bundle{Digest: rendered.Digest, Encoded: rendered.Encoded, Objects: len(rendered.Objects)}
	if err := d.Store.PutBundles(ctx, []fleet.Bundle{bundle}); err != nil {
		return content, err
	}
	content.Bundle, content.BundleBytes, content.Revision = rendered.Digest, int64(len(rendered.Encoded)), rendered.Revision
	return content, nil
}

// Changes compares two bundles of an application: what would be created,
// configured, pruned and left as it is when the second is desired in place of the
// first. What the cluster has is not asked.
func (d *Delivery) Changes(ctx context.Context, app fleet.App, from, to model.Digest) ([]model.ResourceResult, error) {
	_, _, namespacedKinds, err := d.Store.ClusterAPIs(ctx, app.Cluster)
	if err != nil {
		return nil, err
	}
	namespaced := scopeOf(namespacedKinds)
	named := func(k model.ObjectKey) model.ObjectKey {
		if k.Namespace == "" && namespaced(k.GroupKind()) {
			k.Namespace = app.Application.Spec.Destination.Namespace
		}
		return k
	}
	var objects [2][]manifest.Object
	for i, digest := range []model.Digest{from, to} {
		encoded, err := d.Store.Bundle(ctx, digest)
		if err != nil {
			return nil, err
		}
		if objects[i], err = manifest.DecodeBundle(encoded, digest); err != nil {
			return nil, err
		}
	}
	before := make(map[model.ObjectKey]model.Digest, len(objects[0]))
	for _, o := range objects[0] {
		before[named(o.Key)] = manifest.Hash(o.Body)
	}
	out := make([]model.ResourceResult, 0, len(objects[1]))
	for _, o := range objects[1] {
		key := named(o.Key)
		r := model.ResourceResult{ObjectKey: key, Status: "Created"}
		if was, ok := before[key]; ok {
			r.Status = "Configured"
			if was == manifest.Hash(o.Body) {
				r.Status = "Unchanged"
			}
			delete(before, key)
		}
		out = append(out, r)
	}
	for _, o := range slices.Backward(objects[0]) { // in the order of pruning
		if _, gone := before[named(o.Key)]; gone {
			out = append(out, model.ResourceResult{ObjectKey: named(o.Key), Status: "Pruned"})
		}
	}
	return out, nil
}
