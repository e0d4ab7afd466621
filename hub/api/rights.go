package api

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

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

// sets keeps the compiled permissions of tokens and sessions. Those of one never
// change; one with other rights is another one: a user whose rights are changed
// has to log in again.
type sets struct {
	mu    sync.Mutex
	known map[string]*permission.Set
}

// maxSets bounds what is kept; a set is compiled again in well under a
// millisecond.
const maxSets = 1024

func (s *sets) of(t fleet.APIToken) *permission.Set {
	s.mu.Lock()
	defer s.mu.Unlock()
	if set := s.known[t.ID]; set != nil {
		return set
	}
	if s.known == nil || len(s.known) >= maxSets {
		s.known = map[string]*permission.Set{}
	}
	set := permission.Compile(t.Admin, t.Grants)
	s.known[t.ID] = set
	return set
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
	if err := a.opts.Auth.Fresh(identity(c)); err != nil {
		a.fail(c, err)
		return false
	}
	return true
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
		return verdictOn(set, r, projectOf(&s), name, fleet.ApplicationSetUnknown)
	case permission.Operations:
		id := model.OperationID(c.Param("id"))
		if id == "" {
			return nil
		}
		op, err := a.store.Operation(ctx, id)
		if err != nil {
			return err
		}
		project := op.Project
		if r.verb != permission.Get && !op.Phase.Terminal() {
			// What is under way belongs to whom the application belongs now.
			app, err := a.store.Application(ctx, op.AppName)
			switch {
			case err == nil && app.UID == op.App:
				project = app.Project
			case err != nil && !fault.Is(err, fault.NotFound):
				return err
			}
		}
		return verdictOn(set, r, project, string(id), fleet.OperationUnknown)
	case permission.Projects:
		if name == "" && r.verb == permission.Get {
			return nil
		}
		if name == "" {
			return denied(set.Decide(r.verb, r.resource, "", ""), r, "", "")
		}
		return verdictOn(set, r, name, name, fleet.ProjectUnknown)
	case permission.Clusters:
		if name == "" {
			return nil
		}
		if _, err := a.visibleCluster(ctx, set, name); err != nil || r.verb == permission.Get {
			return err
		}
		return denied(set.Decide(r.verb, r.resource, "", name), r, "", name)
	case permission.Repositories:
		id := c.Param("id")
		if id == "" {
			if r.verb == permission.Get {
				return nil
			}
			return denied(set.Decide(r.verb, r.resource, "", ""), r, "", "")
		}
		repo, err := a.store.Repository(ctx, id)
		if err != nil {
			return err
		}
		return verdictOn(set, r, repo.Project, id, fleet.RepositoryUnknown)
	default:
		if d := set.Decide(r.verb, r.resource, "", ""); !d.Allowed {
			return denied(d, r, "", "")
		}
		return nil
	}
}

// mayDo decides about an application that exists.
func mayDo(set *permission.Set, verb permission.Verb, app fleet.App) error {
	return verdictOn(set, right{verb, permission.Applications}, app.Project, app.Name, fleet.ApplicationUnknown)
}

// verdictOn is the refusal of a decision, nil when it allows: as unknown when the
// thing cannot be seen, else with the reason.
func verdictOn(set *permission.Set, r right, project, name string, unknown func(string) error) error {
	d := set.Decide(r.verb, r.resource, project, name)
	switch {
	case d.Allowed:
		return nil
	case !set.Visible(project):
		return unknown(name)
	}
	return denied(d, r, project, name)
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
	return fmt.Sprintf("ask an administrator of this hub for a token that is %s there: hawser token create NAME --grant %s:%s", needs, needs, project)
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
		if !set.Visible(old.Project) {
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
	case !set.Visible(app.Spec.Project):
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

// mayWriteProject decides about a project in a text of several objects.
func mayWriteProject(set *permission.Set, name string) error {
	if d := set.Decide(permission.Update, permission.Projects, name, name); !d.Allowed {
		return denied(d, right{permission.Update, permission.Projects}, name, name)
	}
	return nil
}

// visibleProjects are the projects that somebody sees.
func (a *api) visibleProjects(ctx context.Context, set *permission.Set) ([]model.AppProject, error) {
	all, err := a.store.Projects(ctx)
	if err != nil || set.Admin() {
		return all, err
	}
	return slices.DeleteFunc(all, func(p model.AppProject) bool {
		return !set.Decide(permission.Get, permission.Projects, p.Metadata.Name, p.Metadata.Name).Allowed
	}), nil
}

// visibleCluster reads a cluster that somebody sees.
func (a *api) visibleCluster(ctx context.Context, set *permission.Set, nameOrID string) (model.Cluster, error) {
	cluster, err := a.store.Cluster(ctx, nameOrID)
	if err != nil {
		return cluster, err
	}
	sees, err := a.clustersOf(ctx, set)
	if err == nil && !sees(cluster) {
		err = fleet.ClusterUnknown(nameOrID)
	}
	return cluster, err
}

// seen is a cluster as somebody may see it: applications of others are not counted,
// and those that its agent holds and the hub does not know are left out.
func (a *api) seen(ctx context.Context, set *permission.Set, cluster model.Cluster) model.Cluster {
	if !set.Admin() {
		cluster.Applications = a.clusterSet(ctx, set).applications[cluster.ID]
		cluster.UnknownApps = slices.DeleteFunc(slices.Clone(cluster.UnknownApps), func(u model.UnknownApp) bool { return !set.Visible(u.Project) })
	}
	return cluster
}
