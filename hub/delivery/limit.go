package delivery

import (
	"context"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/model"
)

// Limit makes sure that what an application's agent is given next is limited by
// what its project permits now. It is for a command that is about to be stored:
// desired states travel before operations, so that the agent judges the command by
// the rules that the hub judged it by, or newer ones. Nothing is rendered for it;
// content follows when the application is looked at.
//
// It blocks for a few round trips to the database while such a look is owed, and
// does nothing otherwise.
func (d *Delivery) Limit(ctx context.Context, app fleet.App) error {
	if !d.owes(app.UID) {
		return nil
	}
	projects, err := d.Store.Projects(ctx)
	if err != nil {
		return err
	}
	clusters, err := d.Store.Clusters(ctx)
	if err != nil {
		return err
	}
	p, known := effective(projects)[app.Project]
	if !known {
		return nil // the look says so
	}
	for _, cluster := range clusters {
		if cluster.ID != app.Cluster {
			continue
		}
		written, err := d.Store.WriteDesired(ctx, []fleet.DesiredChange{{
			Cluster: app.Cluster, AppVersion: app.Version, LimitsOnly: true, KeepSource: true, ClusterLabels: cluster.Labels,
			Desired: model.Desired{App: app.UID, Name: app.Name, Project: app.Project, ProjectSpec: p.limits(cluster), Observe: p.observes(app)},
		}})
		if err != nil || len(written) == 0 {
			return err
		}
		d.Notifier.Notify(app.Cluster, []model.AppUID{app.UID})
	}
	return nil
}

// owes reports whether an application is to be looked at, is looked at now, or
// waits for its sources: what its agent has may then be of older rules.
func (d *Delivery) owes(uid model.AppUID) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, noted := d.dirty[uid]
	_, owed := d.owed[uid]
	return noted || owed || d.busy[uid] || d.apps == nil || d.retries[uid] != nil
}

// Settle blocks until everything that delivery was told of an application is
// decided and stored: it was rendered, or what is stored says why it was not. waited
// is false when nothing was due. A failed render that is tried again is decided.
//
// settled is false when ctx has ended before that.
func (d *Delivery) Settle(ctx context.Context, uid model.AppUID) (waited, settled bool) {
	for {
		d.mu.Lock()
		_, noted := d.dirty[uid]
		_, owed := d.owed[uid]
		due, ended := noted || owed || d.busy[uid] || d.apps == nil, d.ended
		d.mu.Unlock()
		if !due {
			return waited, true
		}
		waited = true
		select {
		case <-ended:
		case <-ctx.Done():
			return waited, false
		}
	}
}
