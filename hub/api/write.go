package api

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/hub/permission"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/policy"
)

// writer writes applications of one request. It remembers what it has read, so
// that a text of 500 applications of one project and cluster asks for these
// once, and tells others once at the end. application may be called
// concurrently.
type writer struct {
	a         *api
	by        string
	set       *permission.Set
	mustBeNew bool
	version   int64 // of If-Match, 0 for any
	// dry: everything is asked, and nothing is stored. pending are the projects that
	// would be stored before the applications.
	dry     bool
	pending []model.AppProject

	mu       sync.Mutex
	existing map[string]fleet.App // by name; nil: ask the store each time
	projects map[string]memo[policy.Project]
	clusters map[model.Destination]memo[model.Cluster]
	reserved map[string]memo[string] // by URL: project of the repository
	changed  []model.AppUID
	// trace is the request's context, for its place in a trace only.
	trace context.Context
}

// memo is something that was read, or why it could not be.
type memo[T any] struct {
	value T
	err   error
}

func (a *api) newWriter(c *gin.Context) *writer {
	return &writer{a: a, trace: c.Request.Context(), by: identity(c).Name, set: a.caller(c), projects: map[string]memo[policy.Project]{}, clusters: map[model.Destination]memo[model.Cluster]{},
		reserved: map[string]memo[string]{}}
}

// readAll reads all applications at once, for a request that writes many.
func (w *writer) readAll(ctx context.Context) error {
	apps, err := w.a.store.Applications(ctx)
	if err != nil {
		return err
	}
	w.existing = make(map[string]fleet.App, len(apps))
	for _, app := range apps {
		w.existing[app.Name] = app
	}
	return nil
}

// tell wakes those who act on the applications that were written.
func (w *writer) tell() {
	w.mu.Lock()
	changed := w.changed
	w.changed = nil
	w.mu.Unlock()
	if len(changed) > 0 {
		w.a.written(w.trace, changed...)
		w.a.opts.Publisher.PublishApplications(changed)
	}
}

// application creates or changes an application: the project is asked first,
// and an operation that the object carries is stored after.
func (w *writer) application(ctx context.Context, app model.Application) (stored fleet.App, result string, err error) {
	requested := app.Operation
	app.Operation, app.Status = nil, nil
	clearServerSet(&app.Metadata)

	old, exists, err := w.find(ctx, app.Metadata.Name)
	if err != nil {
		return fleet.App{}, "", err
	}
	if err := w.mayWrite(ctx, old, exists, app); err != nil {
		return fleet.App{}, "", err
	}
	if err := w.admissible(old, exists, app); err != nil {
		return fleet.App{}, "", err
	}
	if app.Spec.SourceHydrator != nil {
		// Without sources there is nothing to render, and nothing must not be
		// taken for an empty desired state.
		return fleet.App{}, "", fault.New(fault.Unprocessable, "source_type_unsupported", "this release does not hydrate sources").
			WithField("spec.sourceHydrator").WithFix("point spec.source at the branch with the rendered manifests")
	}
	if err := w.a.repositoriesAllowed(&app); err != nil {
		return fleet.App{}, "", err
	}
	cluster, err := w.permitted(ctx, app, exists && old.Project == app.Spec.Project)
	if err != nil {
		return fleet.App{}, "", err
	}
	switch {
	case exists && old.Cluster == cluster.ID && sameApplication(old.Application, app):
		stored, result = old, resultUnchanged
	case w.dry && exists:
		stored, result = old, resultConfigured
	case w.dry:
		result = resultCreated
	default:
		// Without a UID: should the old one be deleted by now, this is another
		// application, and must not take up the identity of the deleted one.
		in := fleet.App{
			Name: app.Metadata.Name, Project: app.Spec.Project, Cluster: cluster.ID, ClusterName: cluster.Name,
			Application: app, Version: w.version,
		}
		var created bool
		if stored, created, err = w.a.store.UpsertApplication(ctx, in); err != nil {
			return fleet.App{}, "", err
		}
		if created && w.version == 0 {
			result = resultCreated
		} else {
			result = resultConfigured
		}
		w.mu.Lock()
		w.changed = append(w.changed, stored.UID)
		if w.existing != nil {
			w.existing[stored.Name] = stored
		}
		w.mu.Unlock()
	}
	if requested != nil && requested.Sync != nil && !w.dry {
		if err := w.requestedSync(ctx, stored, requested); err != nil {
			return stored, result, err
		}
	}
	return stored, result, nil
}

func (w *writer) find(ctx context.Context, name string) (app fleet.App, exists bool, err error) {
	w.mu.Lock()
	if w.existing != nil {
		app, exists = w.existing[name]
		w.mu.Unlock()
		return app, exists, nil
	}
	w.mu.Unlock()
	app, err = w.a.store.Application(ctx, name)
	if fault.Is(err, fault.NotFound) {
		return fleet.App{}, false, nil
	}
	return app, err == nil, err
}

// admissible decides whether an application may be written over what there is.
func (w *writer) admissible(old fleet.App, exists bool, app model.Application) error {
	name := app.Metadata.Name
	switch {
	case exists && old.Deleting:
		return fault.New(fault.Precondition, "application_deleting", "application %q is being deleted", name).
			WithFix("wait until it is gone, then create it again")
	case exists && w.mustBeNew:
		return fault.New(fault.Conflict, "already_exists", "app %q already exists in project %q", name, old.Project).
			WithField("metadata.name")
	case !exists && w.version != 0:
		return fault.New(fault.Conflict, "version_conflict", "application %q does not exist any more", name)
	case exists && w.version != 0 && w.version != old.Version:
		return fault.New(fault.Conflict, "version_conflict", "application %q was changed meanwhile", name).
			WithFix("read it again and repeat the change")
	}
	return observeModeStays(old, exists, app)
}

// permitted asks the project, and returns the cluster that the destination means.
// member: the application is of the project already.
func (w *writer) permitted(ctx context.Context, app model.Application, member bool) (model.Cluster, error) {
	project, err := w.project(ctx, app.Spec.Project)
	if err != nil {
		return model.Cluster{}, err
	}
	cluster, err := w.cluster(ctx, app.Spec.Destination)
	if fault.HasCode(err, "destination_unknown") && !w.set.Admin() {
		return model.Cluster{}, w.nowhere(project, app)
	}
	if err != nil {
		return model.Cluster{}, err
	}
	dest := policy.DestinationAt(cluster, app.Spec.Destination)
	if !w.set.Admin() && !policy.Reaches(project, dest) {
		// A refusal tells the labels of a cluster, and that it exists.
		sees, err := w.a.clustersOf(ctx, w.set)
		if err != nil {
			return cluster, err
		}
		if !sees(cluster) {
			return cluster, w.nowhere(project, app)
		}
	}
	facts := policy.AppFacts{
		Namespace:   app.Metadata.Namespace,
		Destination: dest,
		Usage:       &policy.Usage{Member: true},
	}
	if !member {
		if facts.Usage, err = w.usage(ctx, project); err != nil {
			return cluster, err
		}
	}
	facts.SourceRepos = reposOf(app)
	if err := refused(policy.CheckApplication(project, facts)); err != nil {
		return cluster, err
	}
	if cluster.Revoked {
		return model.Cluster{}, fault.New(fault.Precondition, "cluster_revoked", "cluster %q is revoked; no agent takes work there", cluster.Name).
			WithField("spec.destination").WithFix("enrol it again: hawser cluster enroll %s", cluster.Name)
	}
	return cluster, w.mayUse(ctx, app)
}

// nowhere refuses a destination that does not exist, in the words for one that
// the project does not permit where it would not: those who do not see all
// clusters must not find out which there are.
func (w *writer) nowhere(project policy.Project, app model.Application) error {
	d := app.Spec.Destination
	if !policy.Reaches(project, policy.Destination{Name: d.Name, Server: d.Server}) {
		return refused(policy.CheckApplication(project, policy.AppFacts{
			Namespace: app.Metadata.Namespace, SourceRepos: reposOf(app),
			Destination: policy.Destination{Name: d.Name, Server: d.Server, Namespace: d.Namespace},
		}))
	}
	return fault.New(fault.Invalid, "destination_unknown", "there is no cluster %q", cut(cmp.Or(d.Name, d.Server))).
		WithField("spec.destination").WithFix("see which clusters there are: hawser cluster list")
}

func reposOf(app model.Application) (out []string) {
	for _, s := range app.Spec.AllSources() {
		out = append(out, s.RepoURL)
	}
	return out
}

// mayUse refuses repositories that are registered for another project alone.
func (w *writer) mayUse(ctx context.Context, app model.Application) error {
	var out fault.List
	for i, s := range app.Spec.AllSources() {
		w.mu.Lock()
		m, ok := w.reserved[s.RepoURL]
		w.mu.Unlock()
		if !ok {
			m.value, m.err = w.a.store.RepositoryProject(ctx, s.RepoURL)
			w.mu.Lock()
			w.reserved[s.RepoURL] = m
			w.mu.Unlock()
		}
		if m.err != nil {
			return m.err
		}
		if m.value != "" && m.value != app.Spec.Project {
			out = append(out, fleet.ReservedRepository(s.RepoURL, app.Spec.Project).WithField(sourceField(&app, i)+".repoURL"))
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// refused turns a decision into the error that explains it.
func refused(d policy.Decision) error {
	if d.Allowed {
		return nil
	}
	kind := fault.Denied
	if d.Refusals[0].Code == policy.CodeProjectUnknown {
		kind = fault.Invalid
	}
	var out fault.List
	for _, r := range d.Refusals {
		out = append(out, &fault.Error{
			Kind: kind, Code: r.Code, Message: r.Message, Field: r.Field, Found: r.Found, Allowed: r.Allowed, Fix: r.Fix,
		})
	}
	d.CanChange = canChangeProjects
	out[0].Explain = d
	return out
}

// usage counts the applications of a project that limits them. The store counts
// again when it creates one.
func (w *writer) usage(ctx context.Context, project policy.Project) (*policy.Usage, error) {
	u := &policy.Usage{}
	if l := project.Spec.Limits; l == nil || l.MaxApplications == nil {
		return u, nil
	}
	apps, err := w.a.store.Applications(ctx)
	if err != nil {
		return nil, err
	}
	for _, app := range apps {
		if app.Project == project.Name {
			u.Applications++
		}
	}
	return u, nil
}

// project reads a project with what it inherits.
func (w *writer) project(ctx context.Context, name string) (policy.Project, error) {
	w.mu.Lock()
	m, ok := w.projects[name]
	w.mu.Unlock()
	if ok {
		return m.value, m.err
	}
	all, err := w.a.store.ProjectAndGlobals(ctx, name)
	if err != nil {
		return policy.Project{}, err
	}
	if indexOfProject(overlaid(all, w.pending...), name) < 0 {
		// The answer names those that there are.
		if all, err = w.a.store.Projects(ctx); err != nil {
			return policy.Project{}, err
		}
	}
	m.value, m.err = rulesOf(overlaid(all, w.pending...), w.set, name)
	w.mu.Lock()
	w.projects[name] = m
	w.mu.Unlock()
	return m.value, m.err
}

// rulesOf are the rules of one project of all, as somebody may be told of them.
func rulesOf(all []model.AppProject, set *permission.Set, name string) (policy.Project, error) {
	if i := slices.IndexFunc(all, func(p model.AppProject) bool { return p.Metadata.Name == name }); i >= 0 {
		rules := policy.Effective(all[i], all)
		hiding(set, &rules)
		return rules, nil
	}
	var names []string
	for _, p := range all {
		if seesProject(set, p.Metadata.Name) {
			names = append(names, p.Metadata.Name)
		}
	}
	slices.Sort(names)
	return policy.Project{}, refused(policy.Unknown(name, names))
}

func (w *writer) cluster(ctx context.Context, d model.Destination) (model.Cluster, error) {
	d.Namespace = "" // it does not decide which cluster is meant
	w.mu.Lock()
	m, ok := w.clusters[d]
	w.mu.Unlock()
	if ok {
		return m.value, m.err
	}
	m.value, m.err = w.a.store.ResolveDestination(ctx, d)
	if e := fault.As(m.err); m.err != nil && e.Code == "destination_ambiguous" && !w.set.Admin() {
		// Which clusters there are is not for everybody.
		m.err = fault.New(e.Kind, e.Code, "%s", e.Message).WithField(e.Field).WithFound(e.Found, "").WithFix("%s", e.Fix)
	}
	w.mu.Lock()
	w.clusters[d] = m
	w.mu.Unlock()
	return m.value, m.err
}

// requestedSync stores the sync that an applied object asks for in its
// operation field.
func (w *writer) requestedSync(ctx context.Context, app fleet.App, r *model.RequestedOperation) error {
	s := r.Sync
	if len(s.Manifests) > 0 || len(s.Revisions) > 0 || s.Source != nil || len(s.Sources) > 0 {
		return fault.New(fault.Unprocessable, "operation_unsupported",
			"operation.sync of %q brings manifests, sources or revisions of its own, which this release cannot do; the application itself was written", app.Name).
			WithField("operation.sync").WithFix("sync what the application says")
	}
	by := w.by
	if r.InitiatedBy != nil && r.InitiatedBy.Username != "" {
		by = fmt.Sprintf("%s (for %s)", w.by, cut(r.InitiatedBy.Username))
	}
	if err := w.a.windowOpen(ctx, w.set, app, "sync", ""); err != nil {
		return err
	}
	if app.Source.Bundle != "" {
		app.Source.Error = nil // of what was written before; what comes of this is not known yet
	}
	_, err := w.a.createSync(ctx, app, fleet.NewOperation{
		App: app.UID, Kind: model.OperationSync, InitiatedBy: by, Spec: specOf(r), Deadline: w.a.now().Add(syncDeadline),
	})
	return err
}

// specOf is the sync that the operation field of an applied object means.
func specOf(r *model.RequestedOperation) model.OperationSpec {
	s := r.Sync
	spec := model.OperationSpec{Prune: s.Prune, DryRun: s.DryRun, Revision: s.Revision, SyncOptions: slices.Clone(s.SyncOptions), Retry: r.Retry}
	for _, x := range s.Resources {
		spec.Resources = append(spec.Resources, policy.FormatKey(model.ObjectKey{Group: x.Group, Kind: x.Kind, Namespace: x.Namespace, Name: x.Name}))
	}
	if st := s.SyncStrategy; st != nil {
		spec.SkipHooks = st.Apply != nil
		if st.Apply != nil && st.Apply.Force || st.Hook != nil && st.Hook.Force {
			spec.SyncOptions = append(spec.SyncOptions, "Force=true")
		}
	}
	for _, i := range r.Info {
		if strings.EqualFold(i.Name, "reason") {
			spec.Reason = i.Value
		}
	}
	return spec
}

func sameApplication(stored, app model.Application) bool {
	clearServerSet(&stored.Metadata)
	stored.Operation, stored.Status = nil, nil
	return sameJSON(stored, app)
}

// syncDeadline is how long a sync waits for an agent before it expires.
const syncDeadline = time.Hour
