package api

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"
	"golang.org/x/sync/errgroup"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/hub/permission"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/policy"
)

// impact is what a change of rules, or of what they are about, means for
// applications.
type impact struct {
	// Applications that it decides about.
	Applications int `json:"applications"`
	// Invalid are applications that are allowed now and would be refused; at most
	// 500 are listed. Valid are those that are refused now and would be allowed.
	Invalid      []previewedApplication `json:"invalid"`
	InvalidCount int                    `json:"invalidCount"`
	Valid        []string               `json:"valid"`
	ValidCount   int                    `json:"validCount"`
	// Unknown are those of which the objects are not held, so that only sources
	// and destination were asked about.
	Unknown int `json:"unknown,omitempty"`
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
	// warnWithin is how long a write may be held up by looking for what to warn of.
	warnWithin = 5 * time.Second
	// maxWarnings are sent with an answer; a preview has all.
	maxWarnings = 20
)

// judges are the rules of all projects, and the clusters that they are about.
type judges struct {
	rules    map[string]policy.Project
	clusters map[model.ClusterID]model.Cluster
}

func judgesOf(projects []model.AppProject, clusters []model.Cluster) judges {
	j := judges{make(map[string]policy.Project, len(projects)), make(map[model.ClusterID]model.Cluster, len(clusters))}
	for _, p := range projects {
		j.rules[p.Metadata.Name] = policy.Effective(p, projects)
	}
	for _, c := range clusters {
		j.clusters[c.ID] = c
	}
	return j
}

// decide is the decision about an application with the objects that it has.
func (j judges) decide(x previewed) policy.Decision {
	return policy.Ask(j.rules[x.app.Project], policy.AppFacts{
		Namespace: x.app.Application.Metadata.Namespace, SourceRepos: reposOf(x.app.Application),
		Destination: j.destination(x.app), Usage: &policy.Usage{Member: true},
	}, x.objects, nil)
}

func (j judges) destination(app fleet.App) policy.Destination {
	return policy.DestinationAt(j.clusters[app.Cluster], app.Application.Spec.Destination)
}

// previewed is an application with the objects that it has, nil when they are not
// held.
type previewed struct {
	app     fleet.App
	objects []policy.ObjectFacts
}

// compare tells what becomes of applications when now becomes then.
func compare(apps []previewed, now, then judges) impact {
	out := impact{Invalid: []previewedApplication{}, Valid: []string{}}
	for _, x := range apps {
		out.Applications++
		if x.objects == nil {
			out.Unknown++
		}
		before, after := now.decide(x), then.decide(x)
		switch {
		case before.Allowed && !after.Allowed:
			if out.InvalidCount++; out.InvalidCount <= maxPreviewed {
				r := after.Refusals[0]
				out.Invalid = append(out.Invalid, previewedApplication{Name: x.app.Name, Project: x.app.Project, Cluster: x.app.ClusterName,
					Namespace: x.app.Application.Spec.Destination.Namespace, Refusal: r, ID: fault.ID(r.Code)})
			}
		case !before.Allowed && after.Allowed:
			if out.ValidCount++; out.ValidCount <= maxPreviewed {
				out.Valid = append(out.Valid, x.app.Name)
			}
		}
	}
	return out
}

// previewedApplications reads those applications that are affected and that somebody
// sees, with their objects.
func (a *api) previewedApplications(ctx context.Context, set *permission.Set, affected func(fleet.App) bool) ([]previewed, error) {
	all, err := a.store.Applications(ctx)
	if err != nil {
		return nil, err
	}
	var out []previewed
	for _, app := range all {
		if !app.Deleting && affected(app) && set.Sees(permission.Applications, app.Project, app.Name) {
			out = append(out, previewed{app: app})
		}
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(previewWorkers)
	for i := range out {
		g.Go(func() error {
			if ctx.Err() == nil {
				out[i].objects = a.objectsOf(ctx, out[i].app)
			}
			return ctx.Err()
		})
	}
	return out, g.Wait()
}

// labelsPreview is what other labels of a cluster would change.
type labelsPreview struct {
	Cluster string `json:"cluster"`
	impact
}

// previewOfLabels tells what becomes of a cluster's applications when it has
// other labels: projects select clusters by them.
func (a *api) previewOfLabels(ctx context.Context, set *permission.Set, cluster model.Cluster, labels map[string]string) (labelsPreview, error) {
	out := labelsPreview{Cluster: cluster.Name}
	projects, err := a.store.Projects(ctx)
	if err != nil {
		return out, err
	}
	apps, err := a.previewedApplications(ctx, set, func(app fleet.App) bool { return app.Cluster == cluster.ID })
	if err != nil {
		return out, err
	}
	labelled := cluster
	labelled.Labels = labels
	out.impact = compare(apps, judgesOf(projects, []model.Cluster{cluster}), judgesOf(projects, []model.Cluster{labelled}))
	return out, nil
}

// soon finds what a write is to warn of. It is given a few seconds: not to know is
// no reason not to write, and said by a sentence.
func soon[T any](ctx context.Context, a *api, find func(context.Context) (T, error)) (got T, unknown string) {
	ctx, cancel := context.WithTimeout(ctx, warnWithin)
	defer cancel()
	got, err := find(ctx)
	if err != nil {
		a.log.WarnContext(ctx, "what a change makes invalid could not be found out", "error", err)
		return got, "whether applications become invalid by this could not be found out in time"
	}
	return got, ""
}

// sentence says which applications become invalid, "" for none.
func (i impact) sentence() string {
	if i.InvalidCount == 0 {
		return ""
	}
	first := i.Invalid[0]
	return fmt.Sprintf("%d of %d applications become invalid by this, first %s: %s", i.InvalidCount, i.Applications, first.Name, first.Refusal.Message)
}

// warn adds warnings to an answer, as Kubernetes says them: of nobody in
// particular, and lasting.
func warn(c *gin.Context, texts ...string) {
	texts = slices.DeleteFunc(texts, func(text string) bool { return text == "" })
	for _, text := range texts[:min(len(texts), maxWarnings)] {
		c.Writer.Header().Add("Warning", "299 - "+strconv.QuoteToASCII(text))
	}
}

// onlyPreview reads dryRun of the query.
func onlyPreview(c *gin.Context) (bool, error) {
	switch v := c.Query("dryRun"); v {
	case "", "false":
		return false, nil
	case "true":
		return true, nil
	default:
		return false, fault.New(fault.Invalid, "value_unknown", "dryRun is %q; it can be true or false", cut(v)).WithField("dryRun").WithFound(cut(v), "true, false")
	}
}

// dryRunParameter is that of the routes that read onlyPreview.
var dryRunParameter = Parameter{Name: "dryRun", Type: "boolean", Meaning: "tell what it would change, and store nothing"}
