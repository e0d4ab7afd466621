package api

import (
	"cmp"
	"context"
	"net/http"
	"slices"

	"github.com/gin-gonic/gin"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/hub/permission"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/model/decode"
	"github.com/hawser-dev/hawser/shared/policy"
)

var projectPreviewRoutes = []Route{
	{
		Method: http.MethodPost, Path: "/projects/:name/preview", ID: "previewProject", Tag: "projects", Asks: true, Summary: "What a project would change, before it is stored",
		Detail: "Which applications it would refuse that are allowed now, which it would allow, what it would newly permit, what is dangerous about it, and how much each rule matches. Nothing is stored. PUT with dryRun=true answers the same.",
		Verb:   VerbUpdate, Resource: ResourceProjects, Body: manifestOf[model.AppProject]{}, Answer: projectPreview{}, Status: http.StatusOK, handler: (*api).previewProject,
	},
	{
		Method: http.MethodGet, Path: "/projects/:name/usage", ID: "getProjectUsage", Tag: "projects", Summary: "What applications have of a project's limits",
		Verb: VerbGet, Resource: ResourceProjects, Answer: projectUsage{}, Status: http.StatusOK, handler: (*api).projectUsage,
	},
}

// projectPreview is what storing a project would change.
type projectPreview struct {
	Project string `json:"project"`
	// Result is what storing it would be: created, configured or unchanged.
	Result string `json:"result"`
	impact        // on its own applications, and of a global project on those of the projects that inherit from it
	// Widened is what it would allow that it does not now, of a project that
	// exists: "cluster eu: namespaces that no rule names, such as kube-system".
	Widened []string `json:"widened"`
	// Rules are those that would be in force, with what is inherited.
	Rules    []policy.RuleCount `json:"rules"`
	Warnings []string           `json:"warnings"`
}

func (a *api) previewProject(c *gin.Context) {
	p, err := a.projectBody(c)
	if err != nil {
		a.fail(c, err)
		return
	}
	out, err := a.previewOf(c.Request.Context(), a.caller(c), p)
	if err != nil {
		a.fail(c, err)
		return
	}
	c.JSON(http.StatusOK, out)
}

// projectBody reads the project that a request brings, by the name in its path.
func (a *api) projectBody(c *gin.Context) (model.AppProject, error) {
	b, err := a.body(c)
	if err != nil {
		return model.AppProject{}, err
	}
	p, err := decode.Project(b)
	if err == nil {
		err = sameName(c, p.Metadata.Name)
		concerns(c, p.Metadata.Name, p.Metadata.Name)
	}
	return p, err
}

// previewOf is what storing a project would change, over those that are stored, of
// what somebody sees.
func (a *api) previewOf(ctx context.Context, set *permission.Set, p model.AppProject) (projectPreview, error) {
	return a.previewAmong(ctx, set, p, nil, nil)
}

// previewAmong is previewOf when the projects pending were stored before it, and
// without the applications that skip leaves out.
func (a *api) previewAmong(ctx context.Context, set *permission.Set, p model.AppProject, pending []model.AppProject, skip func(fleet.App) bool) (projectPreview, error) {
	clearServerSet(&p.Metadata)
	p.Status = nil
	out := projectPreview{Project: p.Metadata.Name, Result: resultCreated, Widened: []string{}, Warnings: policy.Warnings(p.Spec)}
	if out.Warnings == nil {
		out.Warnings = []string{}
	}
	before, err := a.store.Projects(ctx)
	if err != nil {
		return out, err
	}
	before = overlaid(before, pending...)
	after := overlaid(before, p)
	affected := map[string]bool{p.Metadata.Name: true}
	if i := indexOfProject(before, p.Metadata.Name); i >= 0 {
		out.Result = resultConfigured
		if sameProject(before[i], p) {
			out.Result = resultUnchanged
		}
		for _, x := range before {
			if policy.Inherits(x, before[i]) {
				affected[x.Metadata.Name] = true
			}
		}
	}
	for _, x := range before {
		if policy.Inherits(x, p) {
			affected[x.Metadata.Name] = true
		}
	}
	clusters, err := a.store.Clusters(ctx)
	if err != nil {
		return out, err
	}
	apps, err := a.previewedApplications(ctx, set, func(app fleet.App) bool { return affected[app.Project] && (skip == nil || !skip(app)) })
	if err != nil {
		return out, err
	}
	now, then := judgesOf(before, clusters), judgesOf(after, clusters)
	out.impact = compare(apps, now, then)
	var own []policy.Use
	for _, x := range apps {
		if x.app.Project == p.Metadata.Name {
			own = append(own, policy.Use{SourceRepos: reposOf(x.app.Application), Objects: x.objects, Destination: then.destination(x.app)})
		}
	}
	sees, err := a.clustersOf(ctx, set)
	if err != nil {
		return out, err
	}
	var places []policy.Destination
	for _, cluster := range clusters {
		if sees(cluster) {
			places = append(places, policy.DestinationAt(cluster, model.Destination{}))
		}
	}
	if out.Result == resultConfigured {
		out.Widened = append(out.Widened, policy.Widened(now.rules[p.Metadata.Name], then.rules[p.Metadata.Name], places)...)
	}
	out.Rules = policy.CountRules(then.rules[p.Metadata.Name], places, own)
	return out, nil
}

func indexOfProject(all []model.AppProject, name string) int {
	return slices.IndexFunc(all, func(x model.AppProject) bool { return x.Metadata.Name == name })
}

// overlaid are projects with others over them.
func overlaid(all []model.AppProject, over ...model.AppProject) []model.AppProject {
	out := slices.Clone(all)
	for _, p := range over {
		if i := indexOfProject(out, p.Metadata.Name); i >= 0 {
			out[i] = p
		} else {
			out = append(out, p)
		}
	}
	return out
}

// projectUsage is what a project's applications have.
type projectUsage struct {
	Project      string               `json:"project"`
	Applications int                  `json:"applications"`
	Objects      int                  `json:"objects"`
	Limits       *model.ProjectLimits `json:"limits,omitempty"`
	// Clusters that have applications of the project, the fullest first.
	Clusters []clusterUse `json:"clusters"`
	// Largest is the application with the most objects.
	Largest        string `json:"largest,omitempty"`
	LargestObjects int    `json:"largestObjects,omitempty"`
	// Inherits are the global projects whose rules count too.
	Inherits []string `json:"inherits,omitempty"`
}

type clusterUse struct {
	Cluster      string `json:"cluster"`
	Applications int    `json:"applications"`
	Objects      int    `json:"objects"`
}

func (a *api) projectUsage(c *gin.Context) {
	ctx := c.Request.Context()
	all, err := a.store.Projects(ctx)
	if err != nil {
		a.fail(c, err)
		return
	}
	i := slices.IndexFunc(all, func(p model.AppProject) bool { return p.Metadata.Name == c.Param("name") })
	if i < 0 {
		a.fail(c, fleet.ProjectUnknown(c.Param("name")))
		return
	}
	apps, err := a.store.Applications(ctx)
	if err != nil {
		a.fail(c, err)
		return
	}
	objects, err := a.store.ProjectObjects(ctx)
	if err != nil {
		a.fail(c, err)
		return
	}
	p := all[i]
	out := projectUsage{Project: p.Metadata.Name, Limits: p.Spec.Limits, Clusters: []clusterUse{}, Inherits: policy.Effective(p, all).Globals()}
	if set := a.caller(c); !set.Admin() {
		out.Inherits = slices.DeleteFunc(out.Inherits, func(global string) bool { return !seesProject(set, global) })
	}
	by := map[string]*clusterUse{}
	for _, app := range apps {
		if app.Project != p.Metadata.Name {
			continue
		}
		n := objects[app.Project][app.UID]
		out.Applications++
		out.Objects += n
		if n > out.LargestObjects {
			out.Largest, out.LargestObjects = app.Name, n
		}
		u := by[app.ClusterName]
		if u == nil {
			u = &clusterUse{Cluster: app.ClusterName}
			by[app.ClusterName] = u
		}
		u.Applications++
		u.Objects += n
	}
	for _, u := range by {
		out.Clusters = append(out.Clusters, *u)
	}
	slices.SortFunc(out.Clusters, func(x, y clusterUse) int {
		return cmp.Or(y.Applications-x.Applications, cmp.Compare(x.Cluster, y.Cluster))
	})
	c.JSON(http.StatusOK, out)
}
