package delivery

import (
	"fmt"
	"strings"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/manifest"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/policy"
)

// scopeOf returns whether a kind is namespaced, from what the agent reported
// ("group/Kind"). A kind that the cluster does not serve yet, such as one whose
// CRD comes in the same bundle, counts as namespaced here; the agent, which
// knows, asks the project again before it applies.
func scopeOf(namespaced []string) func(model.GroupKind) bool {
	served := make(map[model.GroupKind]bool, len(namespaced))
	for _, s := range namespaced {
		group, kind, ok := strings.Cut(s, "/")
		if !ok {
			group, kind = "", s
		}
		served[model.GroupKind{Group: group, Kind: kind}] = true
	}
	return func(gk model.GroupKind) bool {
		return served[gk] || !manifest.ClusterScoped(gk)
	}
}

// destination of an application, as its project sees it.
func destination(cluster model.Cluster, app fleet.App) policy.Destination {
	d := app.Application.Spec.Destination
	return policy.Destination{
		Name: cluster.Name, Server: d.Server, Aliases: cluster.Aliases,
		Namespace: d.Namespace, ClusterProject: &cluster.Project,
	}
}

// permitApplication asks the project about the sources and the destination of an
// application. The error is a Denied fault that carries the explanation.
func permitApplication(project model.AppProject, cluster model.Cluster, app fleet.App) error {
	facts := policy.AppFacts{Namespace: app.Application.Metadata.Namespace, Destination: destination(cluster, app)}
	for _, s := range app.Application.Spec.AllSources() {
		facts.SourceRepos = append(facts.SourceRepos, s.RepoURL)
	}
	return refused(policy.CheckApplication(policy.Project{Name: project.Metadata.Name, Spec: project.Spec}, facts))
}

// permitObjects asks the project about rendered objects. The error is a Denied
// fault that carries the explanation.
func permitObjects(project model.AppProject, cluster model.Cluster, app fleet.App, objects []manifest.Object, namespaced func(model.GroupKind) bool) error {
	list := make([]policy.ObjectFacts, len(objects))
	for i, o := range objects {
		list[i] = policy.ObjectFacts{Key: o.Key, Namespaced: namespaced(o.Key.GroupKind()), Origin: o.Origin}
	}
	p := policy.Project{Name: project.Metadata.Name, Spec: project.Spec}
	return refused(policy.CheckObjects(p, destination(cluster, app), list))
}

// PermitFetch is RenderRequest.Permit of a project.
func PermitFetch(project model.AppProject) func(repoURL string, remote bool) error {
	p := policy.Project{Name: project.Metadata.Name, Spec: project.Spec}
	return func(repoURL string, remote bool) error {
		if remote && project.Metadata.Annotations[model.AnnotationRemoteBases] != "allow" {
			return fault.New(fault.Denied, "remote_base_forbidden", "%s is remote, and project %q does not allow remote bases", fleet.MaskURLs(repoURL), p.Name).
				WithFix("copy it into the repository, or annotate the project with %s: allow", model.AnnotationRemoteBases)
		}
		return refused(policy.CheckSource(p, repoURL))
	}
}

func refused(d policy.Decision) error {
	if d.Allowed {
		return nil
	}
	r := d.Refusals[0]
	e := fault.New(fault.Denied, r.Code, "%s", r.Message).WithField(r.Field).WithFix("%s", r.Fix)
	if d.Refused > 1 {
		e.Message = fmt.Sprintf("%s (and %d more)", r.Message, d.Refused-1)
	}
	e.Explain = d
	return e
}
