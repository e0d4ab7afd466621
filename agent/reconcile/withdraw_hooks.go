package reconcile

import (
	"context"
	"slices"
	"strings"

	"github.com/hawser-dev/hawser/agent/journal"
	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/agent/sync"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// remove carries a cascading withdrawal one step on: what still runs of older hooks, the
// hooks of PreDelete, the application's objects, the hooks of PostDelete, and last what hooks have left.
// A hook that fails keeps the rest from being deleted; it is run again after a
// pause. Deleting the application without its objects gives that up.
func (e *Engine) remove(ctx context.Context, a *app, s snapshot, name string, owned []journal.Owned) (done bool, err error) {
	run := e.removalRun(a, s)
	// Hooks may do what cannot be undone as well.
	if all := append(slices.Clone(owned), e.leftHooks(s, run)...); e.unapproved(s, name, all) {
		return e.cascade(ctx, a, s, name, all)
	}
	// A backup does not run beside the migration that the deletion has cut off.
	if done, err := e.cascade(ctx, a, s, name, e.runningHooks(s, run)); !done || err != nil {
		return false, err
	}
	if err := e.removalHooks(ctx, a, s, run, sync.PhasePreDelete); err != nil {
		return false, err
	}
	s = e.snapshot(a.uid)
	if done, err := e.cascade(ctx, a, s, name, append(owned, e.leftHooks(s, run)...)); !done || err != nil {
		return false, err
	}
	if err := e.removalHooks(ctx, a, s, run, sync.PhasePostDelete); err != nil {
		return false, err
	}
	s = e.snapshot(a.uid)
	return e.cascade(ctx, a, s, name, s.hooks)
}

// unapproved reports whether an object waits for an approval of its deletion.
func (e *Engine) unapproved(s snapshot, name string, owned []journal.Owned) bool {
	f := sync.CascadeFacts{App: name, Owned: owned, Live: e.factsOf(owned, syncOptions(s.desired)), Approved: s.withdraw.ApproveDeletions}
	return !f.Approved && len(sync.DecideCascade(f).Unapproved) > 0
}

// removalRun is the run that marks the hooks of a withdrawal. When one of them has
// failed another run begins, in which those that have succeeded count.
func (e *Engine) removalRun(a *app, s snapshot) string {
	base := string(s.withdraw.Operation)
	if s.run == nil || s.run.ID != base && !strings.HasPrefix(s.run.ID, base+"-") {
		return base
	}
	if !s.run.Failed() {
		return s.run.ID
	}
	next := following(s.run.ID, base)
	e.o.Journal.Update(journal.Lazy, func(b *journal.Book) journal.Change { return b.RepeatRun(a.uid, next) })
	return next
}

// leftHooks are objects of hooks of older runs, which go with the application.
// Those of this run stay until its end.
func (e *Engine) leftHooks(s snapshot, run string) []journal.Owned {
	var out []journal.Owned
	for _, o := range s.hooks {
		rec, _ := e.o.Observer.Get(o.Key)
		if !strings.HasPrefix(rec.Run, run+"/") {
			out = append(out, o)
		}
	}
	return out
}

// runningHooks are those of leftHooks that still run, or may: a hook whose state is
// not known is waited for.
func (e *Engine) runningHooks(s snapshot, run string) []journal.Owned {
	return slices.DeleteFunc(e.leftHooks(s, run), func(o journal.Owned) bool {
		rec, presence := e.o.Observer.Get(o.Key)
		return !sync.RunsToAnEnd(o.Key.GroupKind()) || presence == live.Present && !rec.Deleting && rec.Health.Status != model.HealthProgressing
	})
}

// removalHooks runs the hooks of one phase of a deletion, unless they have
// succeeded already.
func (e *Engine) removalHooks(ctx context.Context, a *app, s snapshot, run string, phase sync.Phase) error {
	if s.desired == nil || a.bundleErr != nil || a.bundle != s.desired.Bundle {
		return nil
	}
	s = e.snapshot(a.uid)
	f := sync.PlanFacts{App: s.desired.Name, ClusterName: targetOf(s.desired, e.o.ClusterName).ClusterName, Run: run, Ended: endedIn(s.run, run), Started: started(s.run, run)}
	for _, p := range a.objects {
		for _, ph := range p.Phases {
			if ph == phase {
				// A generated name is the same in every run of the removal, so that it is
				// known which have succeeded.
				f.Items = append(f.Items, e.hookItem(p, string(s.withdraw.Operation), phase))
			}
		}
	}
	plan := sync.BuildHooks(f, phase)
	if len(plan.Steps) == 0 {
		return nil
	}
	at := &attempt{engine: e, app: a, s: s, prepared: a.objects, run: run, operation: string(s.withdraw.Operation),
		bodies: e.bodiesOf(s.desired)}
	if at.check() {
		return fault.New(fault.Denied, at.refusals[0].Code, "%s hooks are not run: %s", phase, at.refusals[0].Message)
	}
	hooks, err := at.memory(ctx, plan)
	if err != nil {
		return err
	}
	out := e.exec.Execute(ctx, sync.Run{Plan: plan, Operation: at.operation, Body: at.body, Waiting: at.waiting(ctx), Hooks: hooks})
	if a.removed == nil {
		a.removed = map[model.ObjectKey]model.ResourceResult{}
	}
	for _, r := range out.Results {
		a.removed[r.ObjectKey] = r
	}
	switch {
	case out.Stopped != nil:
		return out.Stopped
	case out.Failed > 0:
		return out.Errs[0]
	case hooks != nil && slices.ContainsFunc(plan.Steps, func(s sync.Step) bool { return s.Action == sync.RunHook && s.Ended == nil }):
		// Their objects go soon, and nothing but the journal tells then that they
		// have run.
		return hooks.Settle(ctx)
	}
	return nil
}
