package api

import (
	"cmp"
	"context"
	"net/http"
	"slices"

	"github.com/gin-gonic/gin"
	"golang.org/x/sync/errgroup"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/model/decode"
	"github.com/hawser-dev/hawser/shared/policy"
)

var projectPreviewRoutes = []Route{
	{
		Method: http.MethodPost, Path: "/projects/:name/preview", ID: "previewProject", Tag: "projects", Summary: "What a project would change, before it is stored",
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
	// Applications that it decides about: its own, and of a global project those
	// of the projects that inherit from it.
	Applications int `json:"applications"`
	// Invalid are applications that are allowed now and would be refused; at most
	// 500 are listed. Valid are those that are refused now and would be allowed.
	Invalid      []previewedApplication `json:"invalid"`
	InvalidCount int                    `json:"invalidCount"`
	Valid        []string               `json:"valid"`
	ValidCount   int                    `json:"validCount"`
	// Widened is what it would allow that it does not now, of a project that
	// exists: "cluster eu: namespaces that no rule names, such as kube-system".
	Widened []string `json:"widened"`
	// Unknown are those of which the objects are not held, so that only sources
	// and destination were asked about.
	Unknown int `json:"unknown,omitempty"`
	// Rules are those that would be in force, with what is inherited.
	Rules    []policy.RuleCount `json:"rules"`
	Warnings []string           `json:"warnings"`
}

type previewedApplication struct {
	Name      string         `json:"name"`
	Project   string         `json:"project"`
	Cluster   string         `json:"cluster"`
	Namespace string         `json:"namespace,omitempty"`
	Refusal   policy.Refusal `json:"refusal"`
	ID        string         `json:"id,omitempty"`
}

const (
	maxPreviewed = 500
	// previewWorkers read the objects of applications side by side.
	previewWorkers = 8
)

func (a *api) previewProject(c *gin.Context) {
	p, err := a.projectBody(c)
	if err != nil {
		a.fail(c, err)
		return
	}
	out, err := a.previewOf(c.Request.Context(), p)
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
	}
	return p, err
}

// previewed is what is known of one application.
type previewed struct {
	app     fleet.App
	use     policy.Use
	unknown bool
}

func (a *api) previewOf(ctx context.Context, p model.AppProject) (projectPreview, error) {
	clearServerSet(&p.Metadata)
	p.Status = nil
	out := projectPreview{Project: p.Metadata.Name, Result: resultCreated, Invalid: []previewedApplication{}, Valid: []string{}, Widened: []string{}, Warnings: policy.Warnings(p.Spec)}
	if out.Warnings == nil {
		out.Warnings = []string{}
	}
	before, err := a.store.Projects(ctx)
	if err != nil {
		return out, err
	}
	after := slices.Clone(before)
	if i := slices.IndexFunc(before, func(x model.AppProject) bool { return x.Metadata.Name == p.Metadata.Name }); i >= 0 {
		out.Result = resultConfigured
		if sameProject(before[i], p) {
			out.Result = resultUnchanged
		}
		after[i] = p
	} else {
		after = append(after, p)
	}
	affected := map[string]bool{p.Metadata.Name: true}
	for _, x := range before {
		was := slices.IndexFunc(before, func(x model.AppProject) bool { return x.Metadata.Name == p.Metadata.Name })
		if policy.Inherits(x, p) || was >= 0 && policy.Inherits(x, before[was]) {
			affected[x.Metadata.Name] = true
		}
	}
	clusters, err := a.store.Clusters(ctx)
	if err != nil {
		return out, err
	}
	apps, err := a.previewedApplications(ctx, affected, clusters)
	if err != nil {
		return out, err
	}
	was, is := rulesBy(before), rulesBy(after)
	var own []policy.Use
	for _, x := range apps {
		out.Applications++
		if x.unknown {
			out.Unknown++
		}
		if x.app.Project == p.Metadata.Name {
			own = append(own, x.use)
		}
		facts := policy.AppFacts{Namespace: x.app.Application.Metadata.Namespace, SourceRepos: x.use.SourceRepos, Destination: x.use.Destination, Usage: &policy.Usage{Member: true}}
		now := policy.Ask(was[x.app.Project], facts, x.use.Objects, nil)
		then := policy.Ask(is[x.app.Project], facts, x.use.Objects, nil)
		switch {
		case now.Allowed && !then.Allowed:
			if out.InvalidCount++; out.InvalidCount <= maxPreviewed {
				r := then.Refusals[0]
				out.Invalid = append(out.Invalid, previewedApplication{Name: x.app.Name, Project: x.app.Project, Cluster: x.app.ClusterName,
					Namespace: x.use.Destination.Namespace, Refusal: r, ID: fault.ID(r.Code)})
			}
		case !now.Allowed && then.Allowed:
			if out.ValidCount++; out.ValidCount <= maxPreviewed {
				out.Valid = append(out.Valid, x.app.Name)
			}
		}
	}
	places := make([]policy.Destination, len(clusters))
	for i, cluster := range clusters {
		places[i] = policy.DestinationAt(cluster, model.Destination{})
	}
	if out.Result == resultConfigured {
		out.Widened = append(out.Widened, policy.Widened(was[p.Metadata.Name], is[p.Metadata.Name], places)...)
	}
	out.Rules = policy.CountRules(is[p.Metadata.Name], places, own)
	return out, nil
}

func rulesBy(all []model.AppProject) map[string]policy.Project {
	out := make(map[string]policy.Project, len(all))
	for _, p := range all {
		out[p.Metadata.Name] = policy.Effective(p, all)
	}
	return out
}

// previewedApplications reads the applications of projects, with their objects.
func (a *api) previewedApplications(ctx context.Context, projects map[string]bool, clusters []model.Cluster) ([]previewed, error) {
	all, err := a.store.Applications(ctx)
	if err != nil {
		return nil, err
	}
	byID := make(map[model.ClusterID]model.Cluster, len(clusters))
	for _, c := range clusters {
		byID[c.ID] = c
	}
	var out []previewed
	for _, app := range all {
		if projects[app.Project] && !app.Deleting {
			out = append(out, previewed{app: app})
		}
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(previewWorkers)
	for i := range out {
		g.Go(func() error {
			x := &out[i]
			x.use = policy.Use{SourceRepos: reposOf(x.app.Application), Objects: a.objectsOf(ctx, x.app),
				Destination: policy.DestinationAt(byID[x.app.Cluster], x.app.Application.Spec.Destination)}
			x.unknown = x.use.Objects == nil
			return ctx.Err()
		})
	}
	return out, g.Wait()
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
		out.Inherits = slices.DeleteFunc(out.Inherits, func(global string) bool { return !set.Visible(global) })
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
