package render

import (
	"context"
	"slices"
	"strings"

	"github.com/hawser-dev/hawser/hub/render/workspace"
	workerv1 "github.com/hawser-dev/hawser/proto/gen/hawser/worker/v1"
)

// factNames are all facts, in a fixed order.
var factNames = append(slices.Clone(workspace.BuildEnvironment), workspace.DestinationNamespace)

// revisionFacts change with every commit.
var revisionFacts = []string{workspace.AppRevision, workspace.AppRevisionShort, workspace.AppRevisionShort8}

// fact is one value of the build environment; ok is false for unknown names and
// for what the hub does not know.
func (a *answers) fact(name string) (value string, ok bool) {
	revision := a.req.Snapshot.Revision().Commit
	switch name {
	case workspace.AppName:
		return a.req.AppName, true
	case workspace.AppNamespace, workspace.DestinationNamespace:
		return a.req.Namespace, true
	case workspace.AppProject:
		return a.req.Project, true
	case workspace.AppRevision:
		return revision, true
	case workspace.AppRevisionShort:
		return revision[:min(7, len(revision))], true
	case workspace.AppRevisionShort8:
		return revision[:min(8, len(revision))], true
	case workspace.AppSourcePath:
		return a.req.Source.Path, true
	case workspace.AppSourceRepoURL:
		return a.req.Source.RepoURL, true
	case workspace.AppSourceRevision:
		return a.req.Source.TargetRevision, true
	case workspace.KubeVersion:
		v := plainVersion(a.clusterFacts().version)
		return v, v != ""
	case workspace.KubeAPIVersions:
		apis := a.clusterFacts().apis
		return strings.Join(apis, ","), len(apis) > 0
	}
	return "", false
}

// plainVersion is "1.37.2" of "v1.37.2-gke.5+abc", as Argo CD has it in
// KUBE_VERSION.
func plainVersion(v string) string {
	v = strings.TrimPrefix(v, "v")
	if i := strings.IndexAny(v, "-+"); i >= 0 {
		v = v[:i]
	}
	return v
}

// Environment is the build environment of a request, of what is known.
func Environment(req Request) map[string]string {
	return newAnswers(req, nil, Limits{}, req.Source.Path).environment()
}

// environment is the build environment, of what is known.
func (a *answers) environment() map[string]string {
	env := make(map[string]string, len(workspace.BuildEnvironment))
	for _, name := range workspace.BuildEnvironment {
		if v, ok := a.fact(name); ok {
			env[name] = v
		}
	}
	return env
}

// factIdentity identifies a fact. An application that lists the paths that
// matter to it is not rendered because the name of the revision changed, so the
// content of those paths stands for that name.
func (a *answers) factIdentity(ctx context.Context, name, value string) (string, error) {
	if slices.Contains(revisionFacts, name) {
		paths, err := a.generated(ctx)
		if err != nil {
			return "", err
		}
		if paths != (identity{}) {
			return "paths " + string(paths[:]), nil
		}
	}
	return "is " + value, nil
}

func (a *answers) facts(ctx context.Context, q *workerv1.Facts) (reply, error) {
	out := &workerv1.FactValues{Values: map[string]string{}}
	var n summer
	for _, name := range q.GetNames() {
		value, ok := a.fact(name)
		if !ok {
			n.text("")
			continue
		}
		out.Values[name] = value
		id, err := a.factIdentity(ctx, name, value)
		if err != nil {
			return reply{}, err
		}
		n.text(id)
	}
	return reply{n.sum(), func(context.Context) (*workerv1.Answer, error) {
		return &workerv1.Answer{Facts: out}, nil
	}}, nil
}
