package delivery

import (
	"fmt"
	"strings"
	"sync"

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

// project is a project as a look needs it.
type project struct {
	model.AppProject // as stored
	// rules are what it allows, with what it inherits.
	rules policy.Project
	// objects of its applications; nil when it does not limit them.
	objects *ledger
}

// effective are all projects with what they inherit.
func effective(all []model.AppProject) map[string]project {
	out := make(map[string]project, len(all))
	for _, p := range all {
		out[p.Metadata.Name] = project{AppProject: p, rules: policy.Effective(p, all)}
	}
	return out
}

// observes reports whether an application is only to be observed.
func (p project) observes(app fleet.App) bool { return model.Observed(app.Application, p.AppProject) }

// limits are the rules as the agent of a cluster is sent them.
func (p project) limits(cluster model.Cluster) model.AppProjectSpec {
	return policy.ForCluster(p.rules.Spec, cluster.Labels)
}

// ledger counts the objects of a project's applications, for maxObjects. Many
// applications are decided at once: what one was permitted counts for the next.
type ledger struct {
	mu    sync.Mutex
	byApp map[model.AppUID]int
}

// permit asks about n objects of an application, and counts them when they are
// allowed.
func (l *ledger) permit(app model.AppUID, n int, ask func(*policy.Usage) policy.Decision) policy.Decision {
	if l == nil {
		return ask(nil)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	usage := policy.Usage{Member: true, Present: l.byApp[app]}
	for uid, n := range l.byApp {
		if uid != app {
			usage.Applications++
			usage.Objects += n
		}
	}
	decision := ask(&usage)
	if decision.Allowed {
		l.byApp[app] = n
	}
	return decision
}

// permitApplication asks the project about the sources and the destination of an
// application. The error is a Denied fault that carries the explanation.
func permitApplication(project project, cluster model.Cluster, app fleet.App) error {
	facts := policy.AppFacts{
		Namespace: app.Application.Metadata.Namespace, Destination: policy.DestinationAt(cluster, app.Application.Spec.Destination),
		Usage: &policy.Usage{Member: true},
	}
	for _, s := range app.Application.Spec.AllSources() {
		facts.SourceRepos = append(facts.SourceRepos, s.RepoURL)
	}
	return refused(policy.CheckApplication(project.rules, facts))
}

// permitObjects asks the project about rendered objects. The error is a Denied
// fault that carries the explanation.
func permitObjects(project project, cluster model.Cluster, app fleet.App, objects []manifest.Object, namespaced func(model.GroupKind) bool) error {
	list := make([]policy.ObjectFacts, len(objects))
	for i, o := range objects {
		list[i] = policy.ObjectFacts{Key: o.Key, Namespaced: namespaced(o.Key.GroupKind()), Origin: o.Origin}
	}
	dest := policy.DestinationAt(cluster, app.Application.Spec.Destination)
	return refused(project.objects.permit(app.UID, len(list), func(u *policy.Usage) policy.Decision {
		return policy.CheckRendered(project.rules, dest, list, u)
	}))
}

// PermitFetch is RenderRequest.Permit of a project among all projects.
func PermitFetch(project model.AppProject, all []model.AppProject) func(repoURL string, remote bool) error {
	return permitFetch(project, policy.Effective(project, all))
}

func permitFetch(project model.AppProject, rules policy.Project) func(repoURL string, remote bool) error {
	return func(repoURL string, remote bool) error {
		if remote && project.Metadata.Annotations[model.AnnotationRemoteBases] != "allow" {
			return fault.New(fault.Denied, "remote_base_forbidden", "%s is remote, and project %q does not allow remote bases", fleet.MaskURLs(repoURL), rules.Name).
				WithFix("copy it into the repository, or annotate the project with %s: allow", model.AnnotationRemoteBases)
		}
		return refused(policy.CheckSource(rules, repoURL))
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
