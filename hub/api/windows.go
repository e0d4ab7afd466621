package api

import (
	"context"
	"slices"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/hub/permission"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/policy"
)

// windowOpen refuses a sync or rollback (verb) that the project's sync windows do not let begin now,
// with the explanation. The agent asks again when it begins, and while it runs. A
// command that was taken before, by its key, is answered as it was.
func (a *api) windowOpen(ctx context.Context, set *permission.Set, app fleet.App, verb, key string) error {
	all, err := a.store.Projects(ctx)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(all, func(p model.AppProject) bool { return p.Metadata.Name == app.Project })
	if i < 0 {
		return nil // delivery says so
	}
	rules := policy.Effective(all[i], all)
	if len(rules.Spec.SyncWindows) == 0 {
		return nil
	}
	hiding(set, &rules)
	if key != "" {
		if _, found, err := a.store.OperationByKey(ctx, key); err != nil || found {
			return err
		}
	}
	cluster, err := a.store.Cluster(ctx, string(app.Cluster))
	if err != nil {
		return err
	}
	dest := policy.DestinationAt(cluster, app.Application.Spec.Destination)
	d := policy.CheckWindows(rules, policy.WindowFacts{App: app.Name, Namespace: dest.Namespace, Clusters: dest.Names(), Now: a.now()})
	if d.Allowed {
		return nil
	}
	d.Question, d.CanChange = policy.Question(verb, app.Name, dest, nil), canChangeProjects
	r := d.Refusals[0]
	e := fault.New(fault.Precondition, r.Code, "%s", r.Message).WithFix("%s", r.Fix)
	e.Explain = d
	return e
}
