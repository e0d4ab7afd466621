package delivery

import (
	"context"
	"errors"
	"strings"
	"time"

	"go.opentelemetry.io/otel/trace"
	"golang.org/x/sync/errgroup"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/policy"
	"github.com/hawser-dev/hawser/shared/telemetry/tracing"
)

// A flush goes out when this many applications are ready, or after this long,
// so that the first of many reach their clusters while the rest still render.
const (
	flushCount = 64
	flushAfter = 40 * time.Millisecond
)

// facts are read once for all applications of a look.
type facts struct {
	projects map[string]project // by name
	clusters map[model.ClusterID]model.Cluster
	serves   map[model.ClusterID]served
}

// served is what a cluster serves.
type served struct {
	kubeVersion string
	apis        []string // "apps/v1/Deployment"
	namespaced  func(model.GroupKind) bool
}

// outcome of looking at one application: at most one of change and state is
// set, and bundle with a change that brings content.
type outcome struct {
	change *fleet.DesiredChange
	bundle *fleet.Bundle
	state  *fleet.SourceState
	// span is of the look, and seen of its cause.
	span trace.Span
	seen time.Time
}

// lookAt renders and decides for the applications taken and writes the
// outcomes. It returns an error only when the database does not answer; what is
// wrong with an application is that application's state.
func (d *Delivery) lookAt(ctx context.Context, taken map[model.AppUID]look) error {
	apps := d.pick(taken)
	f, err := d.readFacts(ctx, apps)
	if err != nil {
		return err
	}
	outcomes := make(chan outcome, flushCount)
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(d.Parallel + 1)
	written := make(chan error, 1)
	go func() { written <- d.write(ctx, outcomes) }()

	for _, app := range apps {
		g.Go(func() error {
			o, ok := d.lookAtOne(gctx, f, app, taken[app.UID])
			if ok && gctx.Err() == nil {
				outcomes <- o
			}
			return nil
		})
	}
	_ = g.Wait() // the functions return no error
	close(outcomes)
	if err := <-written; err != nil {
		return err
	}
	return ctx.Err()
}

// owe keeps in mind that an application is to be rendered and delivered whatever
// is known of it: what it waits for comes without that. Of what was written the
// database knows, by an empty render key; this is for who asked for it otherwise.
func (d *Delivery) owe(uid model.AppUID, because cause) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.owed[uid] = d.owed[uid].and(because)
}

// owedTo is what an application is owed because of.
func (d *Delivery) owedTo(uid model.AppUID) cause {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.owed[uid]
}

func (d *Delivery) takeOwed(uid model.AppUID) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, owed := d.owed[uid]
	delete(d.owed, uid)
	return owed
}

// pick returns copies of the applications taken that still exist.
func (d *Delivery) pick(taken map[model.AppUID]look) []fleet.App {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := make([]fleet.App, 0, len(taken))
	for uid := range taken {
		if app, ok := d.apps[uid]; ok && !app.Deleting {
			out = append(out, app)
		}
	}
	return out
}

// readFacts reads what is asked about applications: of the clusters that none of
// them is on, not which APIs they serve.
func (d *Delivery) readFacts(ctx context.Context, apps []fleet.App) (facts, error) {
	f := facts{
		clusters: map[model.ClusterID]model.Cluster{},
		serves:   map[model.ClusterID]served{},
	}
	projects, err := d.Store.Projects(ctx)
	if err != nil {
		return f, err
	}
	if err := d.readProjects(ctx, &f, projects); err != nil {
		return f, err
	}
	clusters, err := d.Store.Clusters(ctx)
	if err != nil {
		return f, err
	}
	asked := make(map[model.ClusterID]bool, len(apps))
	for _, app := range apps {
		asked[app.Cluster] = true
	}
	for _, c := range clusters {
		f.clusters[c.ID] = c
		if !asked[c.ID] {
			continue
		}
		version, apis, namespaced, err := d.Store.ClusterAPIs(ctx, c.ID)
		if err != nil {
			return f, err
		}
		f.serves[c.ID] = served{kubeVersion: version, apis: apis, namespaced: scopeOf(namespaced)}
	}
	return f, nil
}

// readProjects fills in the projects, and what is used of their limits.
func (d *Delivery) readProjects(ctx context.Context, f *facts, all []model.AppProject) error {
	f.projects = effective(all)
	var counts map[string]map[model.AppUID]int
	for name, p := range f.projects {
		if l := p.rules.Spec.Limits; l == nil || l.MaxObjects == nil {
			continue
		}
		if counts == nil {
			var err error
			if counts, err = d.Store.ProjectObjects(ctx); err != nil {
				return err
			}
		}
		if counts[name] == nil {
			counts[name] = map[model.AppUID]int{}
		}
		p.objects = &ledger{byApp: counts[name]}
		f.projects[name] = p
	}
	return nil
}

// lookAtOne decides for one application; ok is false when there is nothing to
// write.
func (d *Delivery) lookAtOne(ctx context.Context, f facts, app fleet.App, l look) (o outcome, ok bool) {
	// What an application waited for is only the occasion.
	l.cause = l.cause.and(d.owedTo(app.UID))
	ctx, span := d.span(tracing.At(ctx, l.cause.trace), app)
	o, ok = d.decideOne(ctx, f, app, l)
	o.span, o.seen = span, l.cause.seen
	return o, ok
}

func (d *Delivery) decideOne(ctx context.Context, f facts, app fleet.App, l look) (o outcome, ok bool) {
	// Whatever moves from here on has the application looked at again; what is
	// found out now is about these.
	heads := d.headsOf(app.Application.Spec)
	revision := revisionOf(app.Application.Spec, heads)
	project, found := f.projects[app.Project]
	if !found {
		return d.failed(app, revision, fault.New(fault.Denied, "project_unknown",
			"project %q does not exist", app.Project).WithFix("create the project or move the application to another"))
	}
	cluster, found := f.clusters[app.Cluster]
	if !found {
		return d.failed(app, revision, fault.New(fault.Unprocessable, "destination_unknown",
			"the destination cluster is not enrolled any more"))
	}
	if app.Pin != nil {
		return d.lookAtPinned(ctx, f, project, cluster, app, heads)
	}
	l.force = d.takeOwed(app.UID) || l.force
	// Before anything is read from a repository the project has to permit it.
	if err := permitApplication(project, cluster, app); err != nil {
		return d.refused(app, f, revision, err)
	}
	previous := ""
	if !l.force && app.Source.Error == nil {
		// After an error everything is judged again: the inputs may be as they
		// were, and the project may still refuse what comes of them.
		previous = app.Source.RenderKey
	}
	rendered, waiting, err := d.render(ctx, f, project, app, heads, previous)
	switch {
	case waiting:
		if l.force {
			d.owe(app.UID, l.cause)
		}
		return outcome{}, false
	case err != nil:
		return d.refused(app, f, revision, err)
	case rendered.Unchanged:
		return outcome{}, false
	}
	if d.cameBack(app, heads) {
		return d.holdAgain(ctx, f, project, cluster, app, heads, rendered)
	}
	return d.accept(ctx, f, project, cluster, app, heads, rendered, false)
}

// accept delivers what was rendered at the present heads, if the project permits
// it. release: a pin ends with that.
func (d *Delivery) accept(ctx context.Context, f facts, project project, cluster model.Cluster, app fleet.App, heads headOf, rendered Rendered, release bool) (outcome, bool) {
	spec := app.Application.Spec
	revision := revisionOf(spec, heads)
	if err := CheckEmpty(spec, rendered, app.Source.Bundle == ""); err != nil {
		return d.refused(app, f, revision, err)
	}
	_, span := d.Tracer.Start(ctx, "policy")
	err := permitObjects(project, cluster, app, rendered.Objects, f.serves[app.Cluster].namespaced)
	failed(span, err)
	span.End()
	if err != nil {
		return d.refused(app, f, revision, err)
	}
	state := fleet.SourceState{
		App: app.UID, Revision: rendered.Revision, RenderKey: rendered.Key,
		Bundle: rendered.Digest, Sources: sourcesAt(spec, heads), Warnings: rendered.Warnings, At: d.Now(),
	}
	content := fleet.Content{
		Bundle: rendered.Digest, BundleBytes: int64(len(rendered.Encoded)), Revision: rendered.Revision, Sources: state.Sources,
	}
	d.remember(state)
	d.rememberDelivered(app, release)
	return outcome{
		change: &fleet.DesiredChange{
			Cluster: app.Cluster, AppVersion: app.Version, ProjectVersion: project.Metadata.Generation, ClusterLabels: cluster.Labels,
			Source: state, Sources: state.Sources, Release: release,
			Desired: desiredOf(project, cluster, app, content),
		},
		bundle: &fleet.Bundle{Digest: rendered.Digest, Encoded: rendered.Encoded, Objects: len(rendered.Objects)},
	}, true
}

// desiredOf is what an application's agent is to have of content.
func desiredOf(project project, cluster model.Cluster, app fleet.App, content fleet.Content) model.Desired {
	spec := app.Application.Spec
	repos := make([]string, 0, 1)
	for _, s := range content.Sources {
		repos = append(repos, s.RepoURL)
	}
	return model.Desired{
		App: app.UID, Name: app.Name, Project: app.Project,
		Bundle: content.Bundle, BundleBytes: content.BundleBytes, Revision: content.Revision,
		Spec: model.DesiredSpec{
			Namespace:            spec.Destination.Namespace,
			SyncPolicy:           spec.SyncPolicy,
			IgnoreDifferences:    spec.IgnoreDifferences,
			RevisionHistoryLimit: spec.RevisionHistoryLimit,
			SourceRepos:          repos,
			Destination:          spec.Destination,
			ClusterName:          cluster.Name,
			ServerAliases:        cluster.Aliases,
		},
		ProjectSpec: project.limits(cluster),
		Observe:     project.observes(app),
	}
}

// sourcesAt are an application's sources at what they are resolved to.
func sourcesAt(spec model.ApplicationSpec, heads headOf) []fleet.SourceAt {
	out := fleet.PlacesOf(spec)
	for i, s := range spec.AllSources() {
		if h, ok := heads(s); ok && h.Err == nil {
			out[i].Commit, out[i].Tag = h.Commit, h.Tag
		}
	}
	return out
}

// render renders the sources of an application. waiting means that a source has
// not been resolved for the first time yet.
func (d *Delivery) render(ctx context.Context, f facts, project project, app fleet.App, heads headOf, previous string) (out Rendered, waiting bool, err error) {
	unresolved := false
	head := func(s model.Source) (Head, bool) {
		h, ok := heads(s)
		unresolved = unresolved || !ok || h.Err != nil
		return h, ok
	}
	defer func() {
		switch {
		case unresolved || waiting:
			d.settled(app.UID) // the poller tells when there is news
		case ctx.Err() != nil:
		case err != nil:
			d.retryLater(app.UID, err)
		default:
			d.settled(app.UID)
		}
	}()
	// Nothing of a revision is read that nobody vouches for.
	if err := d.signed(ctx, project, app.Application.Spec, heads); err != nil {
		return Rendered{}, false, err
	}
	return RenderSources(ctx, d.Renderer, app.Application.Spec, head, request(f, project, app, previous))
}

// request is all of a RenderRequest that does not differ from source to source.
func request(f facts, project project, app fleet.App, previous string) RenderRequest {
	return RenderRequest{
		App: app.UID, AppName: app.Name, Project: app.Project, PreviousKey: previous,
		Namespace:   app.Application.Spec.Destination.Namespace,
		Permit:      permitFetch(project.AppProject, project.rules),
		KubeVersion: f.serves[app.Cluster].kubeVersion, APIs: f.serves[app.Cluster].apis,
		GeneratePaths: GeneratePaths(app.Application),
	}
}

// refused records why an application keeps its last good state, and has that
// state limited to what its project permits now: the agent asks the project
// again before every effect, and would go on healing under limits that are no
// longer in force.
func (d *Delivery) refused(app fleet.App, f facts, revision string, err error) (outcome, bool) {
	project, known := f.projects[app.Project]
	cluster, enrolled := f.clusters[app.Cluster]
	if !known || !enrolled || errors.Is(err, context.Canceled) {
		return d.failed(app, revision, err)
	}
	state := app.Source
	if o, changed := d.failed(app, revision, err); changed {
		state = *o.state
	}
	state.App, state.At = app.UID, d.Now()
	return outcome{change: &fleet.DesiredChange{
		Cluster: app.Cluster, AppVersion: app.Version, LimitsOnly: true, Source: state, ClusterLabels: cluster.Labels,
		Desired: model.Desired{App: app.UID, Name: app.Name, Project: app.Project, ProjectSpec: project.limits(cluster),
			Observe: project.observes(app)},
	}}, true
}

// failed records an error beside the last good state, once. The same error at
// another revision is the same problem, newly seen: only its revision changes.
func (d *Delivery) failed(app fleet.App, revision string, err error) (outcome, bool) {
	if errors.Is(err, context.Canceled) {
		return outcome{}, false
	}
	c := condition(err)
	if causedByContent(err) {
		c.Revision = revision
	}
	now := d.Now()
	c.Since = &now
	if old := app.Source.Error; old != nil && old.Code == c.Code && old.Message == c.Message {
		if c.Revision == "" || c.Revision == old.Revision {
			return outcome{}, false
		}
		c.Since = old.Since
	}
	state := app.Source
	state.App, state.Error, state.At = app.UID, c, now
	d.remember(state)
	d.Log.Info("application keeps its last good state", "application", app.Name, "code", c.Code, "revision", c.Revision, "reason", c.Message)
	return outcome{state: &state}, true
}

// remember keeps the index's copy of a source state in step with what is being
// written; a failed write marks the application again, which reads the truth.
func (d *Delivery) remember(s fleet.SourceState) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if app, ok := d.apps[s.App]; ok {
		app.Source = s
		d.apps[s.App] = app
	}
}

// rememberDelivered is remember for what the store does with a delivery besides.
func (d *Delivery) rememberDelivered(was fleet.App, release bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	app, ok := d.apps[was.UID]
	if !ok {
		return
	}
	app.Unpinned = false
	if release {
		aside := append([][]fleet.SourceAt{was.Pin.Aside}, was.SetAside...)
		app.Pin, app.SetAside = nil, aside[:min(len(aside), fleet.MaxSetAside)]
	}
	d.apps[was.UID] = app
}

// rememberPin is remember for the pin.
func (d *Delivery) rememberPin(uid model.AppUID, pin *fleet.Pin) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if app, ok := d.apps[uid]; ok {
		app.Pin = pin
		d.apps[uid] = app
	}
}

// maxProblems of one condition, each on a line of its own.
const maxProblems = 20

// condition says everything that is wrong at once, the first problem by its
// code.
func condition(err error) *model.Condition {
	e := fault.As(err)
	c := &model.Condition{Type: "ComparisonError", Code: e.Code}
	if e.Kind == fault.Denied || e.Kind == fault.Invalid {
		c.Type = "InvalidSpecError"
	}
	var list fault.List
	if !errors.As(err, &list) {
		list = fault.List{e}
	}
	lines := make([]string, 0, len(list))
	for i, problem := range list[:min(len(list), maxProblems)] {
		text := problem.Message
		if problem.Fix != "" {
			text += "; " + problem.Fix
		}
		if i > 0 {
			text = problem.Code + ": " + text
		}
		lines = append(lines, text)
	}
	if d, ok := e.Explain.(policy.Decision); ok {
		if because := d.Because(); because != "" {
			lines = append(lines, because)
		}
	}
	c.Message = fleet.MaskURLs(strings.Join(lines, "\n")) // it is shown to everybody
	return c
}
