package api

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/hub/permission"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/policy"
)

// This file holds who may call which route. What a caller may not see is
// answered with the words for what does not exist.

// right is what a route does to what.
type right struct {
	verb     permission.Verb
	resource permission.Resource
}

// caller is what whoever asks may do; only behind authenticated.
func (a *api) caller(c *gin.Context) *permission.Set { return a.sets.of(identity(c)) }

const keyRight = "right"

// rightOf is the right that the route of a request needs.
func rightOf(c *gin.Context) right {
	r, _ := c.Get(keyRight)
	out, _ := r.(right)
	return out
}

// admitted reports whether the caller has the right of a route, and answers when
// not. Of routes about one thing that is decided here, whatever the handler
// does. Lists, and writes whose project is in their body, come through: their
// handlers ask for each thing.
func (a *api) admitted(c *gin.Context, route Route) bool {
	if route.Public {
		return true
	}
	r := right{route.Verb, cmp.Or(route.Resource, permission.Session)}
	c.Set(keyRight, r)
	set := a.caller(c)
	if set.Admin() {
		return true
	}
	if err := a.mayCall(c, set, r); err != nil {
		c.Set(keyRefused, true)
		a.fail(c, err)
		return false
	}
	return true
}

// confirmed reports whether the caller has authenticated as freshly as a route
// asks, and answers when not.
func (a *api) confirmed(c *gin.Context, route Route) bool {
	if !route.Fresh {
		return true
	}
	if slices.ContainsFunc(route.Query, func(p Parameter) bool { return p.Name == dryRunParameter.Name }) {
		if dry, err := onlyPreview(c); err != nil || dry {
			return true // the handler refuses what is neither
		}
	}
	if err := a.fresh(c); err != nil {
		a.fail(c, err)
		return false
	}
	return true
}

// fresh is nil when the caller may do dangerous things. An item of a job was
// allowed when the job was submitted.
func (a *api) fresh(c *gin.Context) error {
	if _, inside := c.Request.Context().Value(inProcess{}).(fleet.APIToken); inside {
		return nil
	}
	return a.opts.Auth.Fresh(identity(c))
}

func (a *api) mayCall(c *gin.Context, set *permission.Set, r right) error {
	ctx, name := c.Request.Context(), c.Param("name")
	switch r.resource {
	case permission.Session:
		return nil
	case permission.Applications:
		if name == "" {
			return nil
		}
		app, err := a.store.Application(ctx, name)
		if r.verb == permission.Update && fault.HasCode(err, "application_not_found") {
			return nil // it is created, in the project that the body names
		}
		if err != nil {
			return err
		}
		return mayDo(set, r.verb, app)
	case permission.ApplicationSets:
		if name == "" {
			return nil
		}
		s, err := a.store.ApplicationSet(ctx, name)
		if r.verb == permission.Update && fault.HasCode(err, "applicationset_not_found") {
			return nil // it is created, in the project that the body names
		}
		if err != nil {
			return err
		}
		return verdictOn(set, r, projectOf(&s), name, name, fleet.ApplicationSetUnknown)
	case permission.Operations:
		id := model.OperationID(c.Param("id"))
		if id == "" {
			return nil
		}
		op, err := a.store.Operation(ctx, id)
		unknown := fault.Is(err, fault.NotFound)
		if err != nil && !unknown {
			return err
		}
		project := op.Project
		if r.verb != permission.Get {
			// What is under way belongs to whom the application belongs now. It is asked
			// of an operation that nobody knows too: how long an answer takes tells no
			// more than what it says.
			app, ofApp := a.store.Application(ctx, op.AppName)
			switch {
			case ofApp != nil && !fault.Is(ofApp, fault.NotFound):
				return ofApp
			case ofApp == nil && app.UID == op.App && !op.Phase.Terminal():
				project = app.Project
			}
		}
		if unknown {
			return err
		}
		return verdictOn(set, r, project, op.AppName, string(id), fleet.OperationUnknown)
	case permission.Projects:
		if name == "" {
			return mayCollect(set, r)
		}
		return verdictOn(set, r, name, name, name, fleet.ProjectUnknown)
	case permission.Clusters:
		if name == "" {
			return nil
		}
		cluster, err := a.visibleCluster(ctx, set, name)
		if err != nil || r.verb == permission.Get {
			return err
		}
		if d := set.DecideCluster(r.verb, cluster.Project, namesOf(&cluster)); !d.Allowed {
			return denied(d, r, "", name)
		}
		return nil
	case permission.Repositories:
		id := c.Param("id")
		if id == "" {
			return mayCollect(set, r)
		}
		repo, err := a.store.Repository(ctx, id)
		if err != nil {
			return err
		}
		return verdictOn(set, r, repo.Project, repo.URL, id, fleet.RepositoryUnknown)
	default:
		if d := set.Decide(r.verb, r.resource, "", ""); !d.Allowed {
			return denied(d, r, "", "")
		}
		return nil
	}
}

// mayCollect decides about a route of all things of a kind. Lists are filtered thing
// by thing. Something new is decided about when its name is known, for those of
// whom the policy speaks.
func mayCollect(set *permission.Set, r right) error {
	if r.verb == permission.Get || r.verb == permission.Create && set.Policed() {
		return nil
	}
	return denied(set.Decide(r.verb, r.resource, "", ""), r, "", "")
}

// namesOf are the names by which a policy knows a cluster: its own, and the server
// URLs that mean it.
func namesOf(c *model.Cluster) []string { return append([]string{c.Name}, c.Aliases...) }

// mayDo decides about an application that exists.
func mayDo(set *permission.Set, verb permission.Verb, app fleet.App) error {
	return verdictOn(set, right{verb, permission.Applications}, app.Project, app.Name, app.Name, fleet.ApplicationUnknown)
}

// verdictOn is the refusal of a decision, nil when it allows: as unknown when the
// thing cannot be seen, else with the reason. object is what a policy calls the
// thing, name what the caller does.
func verdictOn(set *permission.Set, r right, project, object, name string, unknown func(string) error) error {
	d := set.Decide(r.verb, r.resource, project, object)
	switch {
	case d.Allowed:
		return nil
	case !set.Sees(r.resource, project, object):
		return unknown(name)
	}
	return denied(d, r, project, name)
}

// seesProject reports whether somebody may know of a project.
func seesProject(set *permission.Set, name string) bool {
	return set.Sees(permission.Projects, name, name)
}

// hiding has rules name no project that somebody does not see.
func hiding(set *permission.Set, rules *policy.Project) {
	if !set.Admin() {
		rules.Hidden = func(project string) bool { return !seesProject(set, project) }
	}
}

func denied(d permission.Decision, r right, project, name string) error {
	what := strings.TrimSuffix(fmt.Sprintf("%s %s %s", r.verb, r.resource, name), " ")
	e := fault.New(fault.Denied, policy.CodePermission, "you may not %s: %s", what, d.Rule).
		WithFix("%s", whoGrants(r, project))
	explained := policy.Role(project, false, d.Rule)
	explained.Refusals[0].Fix = whoGrants(r, project)
	explained.ID, explained.Question, explained.CanChange = fault.ID(policy.CodePermission), what, canChangeProjects
	e.Explain = explained
	return e
}

// whoGrants says who can give the role that something takes, and how.
func whoGrants(r right, project string) string {
	needs := permission.Needs(r.verb, r.resource)
	if project == "" || needs == permission.Administrator {
		return "ask an administrator of this hub to do it, or for such a token: hawser token create NAME --admin"
	}
	return fmt.Sprintf("ask an administrator of this hub to be %[1]s there: hawser account set NAME --grant %[1]s:%[2]s, or for an API token hawser token create NAME --grant %[1]s:%[2]s", needs, project)
}

// mayWrite decides about an application that is written: old is what there is,
// app what it becomes. Both projects count, or an application could be taken
// out of one or put into another.
func (w *writer) mayWrite(ctx context.Context, old fleet.App, exists bool, app model.Application) error {
	set, name := w.set, app.Metadata.Name
	if set.Admin() {
		return nil
	}
	verb := permission.Create
	if exists {
		verb = permission.Update
		if !set.Sees(permission.Applications, old.Project, old.Name) {
			// Names are the hub's: that this one is taken has to be said, and no more.
			return fault.New(fault.Conflict, "name_taken", "the name %q is taken", name).WithField("metadata.name").WithFix("choose another name")
		}
		if err := mayDo(set, verb, old); err != nil {
			return err
		}
	}
	d := set.Decide(verb, permission.Applications, app.Spec.Project, name)
	switch {
	case d.Allowed:
		return nil
	case !seesProject(set, app.Spec.Project):
		visible, err := w.a.visibleProjects(ctx, set)
		if err != nil {
			return err
		}
		var names []string
		for _, p := range visible {
			names = append(names, p.Metadata.Name)
		}
		slices.Sort(names)
		return refused(policy.Unknown(app.Spec.Project, names))
	}
	return denied(d, right{verb, permission.Applications}, app.Spec.Project, name)
}

// mayWriteProject decides about a project that is written, whatever the way. To
// change one takes update, to make one create.
func (a *api) mayWriteProject(ctx context.Context, set *permission.Set, name string) error {
	if set.Admin() {
		return nil
	}
	verb := permission.Update
	switch _, err := a.store.Project(ctx, name); {
	case fault.Is(err, fault.NotFound):
		verb = permission.Create
	case err != nil:
		return err
	case !seesProject(set, name) && set.Decide(permission.Create, permission.Projects, name, name).Allowed:
		// Names are the hub's: that this one is taken has to be said, and no more.
		return fault.New(fault.Conflict, "name_taken", "the name %q is taken", name).WithField("metadata.name").WithFix("choose another name")
	}
	if d := set.Decide(verb, permission.Projects, name, name); !d.Allowed {
		// The same words for one that is hidden and one that is not there.
		if !seesProject(set, name) {
			verb = permission.Create
			d = set.Decide(verb, permission.Projects, name, name)
		}
		return denied(d, right{verb, permission.Projects}, name, name)
	}
	return nil
}

// mayWriteRepository decides about a repository that is written or tried, by the
// project and URL that it is to have. What there is of that URL counts too, or a
// repository could be taken out of one project and put into another.
func (a *api) mayWriteRepository(ctx context.Context, set *permission.Set, project, url string) error {
	if set.Admin() {
		return nil
	}
	old, err := a.registered(ctx, url)
	if err != nil {
		return err
	}
	verb := permission.Create
	if old.ID != "" && set.Sees(permission.Repositories, old.Project, old.URL) {
		verb = permission.Update
	}
	if d := set.Decide(verb, permission.Repositories, project, url); !d.Allowed {
		return denied(d, right{verb, permission.Repositories}, project, "")
	}
	if old.ID == "" {
		return nil
	}
	switch d := set.Decide(permission.Update, permission.Repositories, old.Project, old.URL); {
	case d.Allowed && verb == permission.Update:
		return nil
	case verb == permission.Create: // that it is taken has to be said, and no more
		return fault.New(fault.Conflict, "name_taken", "the URL is registered already").WithField("url").WithFix("ask an administrator of this hub")
	default:
		return denied(d, right{verb, permission.Repositories}, old.Project, "")
	}
}

// visibleProjects are the projects that somebody sees.
func (a *api) visibleProjects(ctx context.Context, set *permission.Set) ([]model.AppProject, error) {
	all, err := a.store.Projects(ctx)
	if err != nil || set.Admin() {
		return all, err
	}
	return slices.DeleteFunc(all, func(p model.AppProject) bool {
		return !seesProject(set, p.Metadata.Name)
	}), nil
}

// visibleCluster reads a cluster that somebody sees.
func (a *api) visibleCluster(ctx context.Context, set *permission.Set, nameOrID string) (model.Cluster, error) {
	cluster, err := a.store.Cluster(ctx, nameOrID)
	if err == nil {
		err = a.sees(ctx, set, cluster, nameOrID)
	}
	return cluster, err
}

// sees answers a cluster that somebody does not see, as one that there is not.
func (a *api) sees(ctx context.Context, set *permission.Set, cluster model.Cluster, asked string) error {
	sees, err := a.clustersOf(ctx, set)
	if err == nil && !sees(cluster) {
		err = fleet.ClusterUnknown(asked)
	}
	return err
}

// seen is a cluster as somebody may see it: applications of others are not counted,
// and those that its agent holds and the hub does not know are left out.
func (a *api) seen(ctx context.Context, set *permission.Set, cluster model.Cluster) model.Cluster {
	if !set.Admin() {
		cluster.Applications = a.clusterSet(ctx, set).applications[cluster.ID]
		cluster.UnknownApps = slices.DeleteFunc(slices.Clone(cluster.UnknownApps), func(u model.UnknownApp) bool { return !set.Sees(permission.Applications, u.Project, u.Name) })
	}
	return cluster
}
