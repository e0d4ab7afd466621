package app

import (
	"slices"

	"github.com/hawser-dev/hawser/agent/journal"
	"github.com/hawser-dev/hawser/agent/orphan"
	"github.com/hawser-dev/hawser/shared/model"
)

// makeOrphans connects what looks for objects that no application owns; the
// engine and the reporter that it asks and tells are made after it, and it runs
// when both do.
func (a *agent) makeOrphans() {
	a.orphans = orphan.New(orphan.Options{
		Observer: a.observer,
		Apps:     a.orphanApps,
		Owned:    func(key model.ObjectKey, app string) bool { return a.engine.Owned(key, app) },
		Changed:  func(uids ...model.AppUID) { a.reporter.Changed(uids...) },
		Now:      a.cfg.Now,
	})
	a.observer.Subscribe(a.orphans.Event)
	a.observer.OnKind(a.orphans.Kind)
}

// orphanApps are the applications whose project asks for orphans.
func (a *agent) orphanApps() (apps []orphan.App, ready bool) {
	a.journal.View(func(b *journal.Book) {
		for uid, r := range b.Apps {
			if r.Gone == nil && r.Withdraw == nil && r.Desired != nil && r.Desired.ProjectSpec.OrphanedResources != nil {
				apps = append(apps, orphan.App{UID: uid, Desired: r.Desired})
			}
		}
	})
	return apps, len(apps) == 0 || a.engine.Settled()
}

// status is that of the engine, with the warning about orphans. Neither sync nor
// health know of them.
func (a *agent) status(uid model.AppUID) (model.AppStatus, bool) {
	st, known := a.engine.Status(uid)
	if !known {
		return st, false
	}
	if c, warn := a.orphans.Condition(uid); warn {
		st.Conditions = append(slices.Clip(st.Conditions), c)
	}
	return st, true
}

// orphaned are the nodes of the tree that are no application's, and how many
// there are in all.
func (a *agent) orphaned(uid model.AppUID) (listed []model.TreeNode, total int) {
	f := a.orphans.Of(uid)
	return f.Listed, f.Total
}
