package reconcile

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/hawser-dev/hawser/agent/journal"
	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/agent/sync"
	"github.com/hawser-dev/hawser/shared/failpoint"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// withdraw carries a withdrawal one step on. Every step decides anew from what
// is live; events about the application's objects bring the next one.
func (e *Engine) withdraw(ctx context.Context, a *app, s snapshot) {
	ctx, end := e.begin(ctx, a, s, runWithdraw)
	defer end()
	var bundle []journal.Owned
	if s.desired != nil && !s.confirmed {
		bundle = e.owned(s.desired)
	}
	var owned []journal.Owned
	e.o.Journal.View(func(b *journal.Book) {
		if r := b.Apps[a.uid]; r != nil {
			owned = r.MayOwn(bundle)
		}
	})
	for _, o := range append(slices.Clone(owned), s.hooks...) {
		e.o.Observer.Watch(o.Key.GroupKind())
		a.watches(o.Key.GroupKind())
	}
	name := s.withdraw.Name
	if s.desired != nil {
		name = s.desired.Name
	}
	var err error
	var done bool
	if s.desired != nil && s.desired.Observe {
		done = true
		e.leaveAlone(a, append(owned, s.hooks...))
	} else if s.withdraw.Mode == model.WithdrawOrphan {
		done, err = e.orphan(ctx, a, s, name, append(owned, s.hooks...))
	} else {
		done, err = e.remove(ctx, a, s, name, owned)
	}
	if ctx.Err() != nil {
		return
	}
	if !done {
		e.again(a, err)
		return
	}
	failpoint.Hit("reconcile.withdraw.complete")
	var v journal.OperationVerdict
	var refused error
	f := e.o.Journal.Update(journal.Urgent, func(b *journal.Book) journal.Change {
		v, refused = b.CompleteWithdraw(a.uid, s.withdraw.Operation, sum(a.removed), resultOf(a.removed), e.now())
		return v.Change
	})
	if refused != nil {
		e.log.Error("a withdrawal could not be ended", "operation", s.withdraw.Operation, "reason", refused)
		return
	}
	e.log.Info("application withdrawn", "application", name, "mode", s.withdraw.Mode, "operation", s.withdraw.Operation)
	e.told(a.uid, f, v.Updates)
}

const (
	withdrawFirst = time.Second
	withdrawCap   = time.Minute
	// withdrawLook is how long a withdrawal that waits for objects to go relies
	// on events alone.
	withdrawLook = 30 * time.Second
)

// again has the withdrawal tried later: when something is gone, or after a
// pause that grows while effects fail.
func (e *Engine) again(a *app, err error) {
	pause := withdrawLook
	a.conditions = nil
	if err != nil {
		a.withdraws++
		pause = grow(withdrawFirst, 2, withdrawCap, a.withdraws-1)
		a.withdrawAt = e.now().Add(pause)
		now := e.now()
		a.conditions = []model.Condition{{Type: "DeletionError", Code: fault.As(err).Code, Message: fault.As(err).Message, Since: &now}}
	} else {
		a.withdraws, a.withdrawAt = 0, time.Time{}
		if n := len(a.unapproved); n > 0 {
			a.conditions = []model.Condition{condition("DeletionConfirmation", "deletion_unconfirmed",
				fmt.Sprintf("%d objects say Delete=confirm, the first is %s; nothing is deleted before somebody approves", n, a.unapproved[0]))}
		}
	}
	e.queue.addAt(a.uid, e.now().Add(pause))
}

// factsOf are the live facts of a withdrawal.
func (e *Engine) factsOf(owned []journal.Owned, options []string) map[model.ObjectKey]sync.LiveObject {
	facts := make(map[model.ObjectKey]sync.LiveObject, len(owned))
	for _, o := range owned {
		facts[o.Key] = e.ownedObject(o.Key, options)
	}
	return facts
}

func propagation(m model.WithdrawMode) string {
	if m == model.WithdrawCascadeBackground {
		return "background"
	}
	return "foreground"
}

// cascade deletes in reverse order: objects of a later wave or stage are gone
// before those of an earlier one are deleted.
func (e *Engine) cascade(ctx context.Context, a *app, s snapshot, name string, owned []journal.Owned) (done bool, err error) {
	facts := e.factsOf(owned, syncOptions(s.desired))
	d := sync.DecideCascade(sync.CascadeFacts{App: name, Owned: owned, Live: facts, Approved: s.withdraw.ApproveDeletions})
	if a.removed == nil {
		a.removed = map[model.ObjectKey]model.ResourceResult{}
	}
	// What was only intended and is not there was never made; nobody deleted it.
	wasThere := make(map[model.ObjectKey]bool, len(owned))
	for _, o := range owned {
		wasThere[o.Key] = o.Confirmed
	}
	note := func(k model.ObjectKey, status, message string) {
		a.removed[k] = model.ResourceResult{ObjectKey: k, Status: status, Message: message}
	}
	for _, k := range d.Dropped {
		switch _, deleting := a.removed[k]; {
		case facts[k].Presence != live.Absent:
			note(k, sync.StatusSkipped, "it belongs to somebody else")
		case deleting || wasThere[k]:
			note(k, sync.StatusDeleted, "")
		}
	}
	for _, o := range d.Kept {
		note(o.Key, sync.StatusOrphaned, "it asks not to be deleted")
	}
	a.unapproved = nil
	for _, o := range d.Unapproved {
		a.unapproved = append(a.unapproved, o.Key)
	}
	if d.Done() || len(d.Unapproved) > 0 {
		return d.Done(), nil
	}
	top := e.latest(d)
	for _, o := range d.Delete {
		if e.place(o.Key) != top {
			continue
		}
		kind, kindErr := e.o.Observer.Kind(o.Key.GroupKind())
		if kindErr != nil {
			err = kindErr
			continue
		}
		doErr := e.exec.Governor.Do(ctx, func() error {
			if err := e.fence(); err != nil {
				return err
			}
			failpoint.Hit("reconcile.withdraw.delete.before")
			return e.o.Applier.Delete(ctx, sync.Removal{Kind: kind, Key: o.Key, UID: o.UID, Propagation: propagation(s.withdraw.Mode), Operation: string(s.withdraw.Operation)})
		})
		failpoint.Hit("reconcile.withdraw.delete.after")
		if doErr != nil {
			note(o.Key, sync.StatusFailed, fault.As(doErr).Message)
			err = doErr
		}
	}
	return false, err
}

// place is where an object stands in the order of deletion.
type place struct{ wave, stage int }

func (e *Engine) place(k model.ObjectKey) place {
	rec, _ := e.o.Observer.Get(k)
	return place{wave: sync.WaveOf(annotation(rec.Body, model.AnnotationSyncWave)), stage: sync.StageOf(k.GroupKind())}
}

// latest is the last place that still has objects.
func (e *Engine) latest(d sync.CascadeDecision) place {
	var top place
	first := true
	see := func(k model.ObjectKey) {
		if p := e.place(k); first || cmp.Or(cmp.Compare(p.wave, top.wave), cmp.Compare(p.stage, top.stage)) > 0 {
			top, first = p, false
		}
	}
	for _, o := range d.Delete {
		see(o.Key)
	}
	for _, w := range d.Wait {
		see(w.Key)
	}
	return top
}

// orphan takes the tracking annotations off and leaves the objects. Those that
// were deleted before somebody gave the deletion up are still told of.
func (e *Engine) orphan(ctx context.Context, a *app, s snapshot, name string, owned []journal.Owned) (done bool, err error) {
	facts := e.factsOf(owned, nil)
	before := a.removed
	a.removed = map[model.ObjectKey]model.ResourceResult{}
	for k, r := range before {
		if r.Status == sync.StatusDeleted {
			a.removed[k] = r
		}
	}
	done = true
	for _, o := range owned {
		l := facts[o.Key]
		switch {
		case l.Presence == live.Unknown:
			done = false
		case l.Presence == live.Absent: // there is nothing to leave
		case l.TrackingID != model.TrackingID(name, o.Key), o.Confirmed && o.UID != l.UID:
			// not ours, or released before
			a.removed[o.Key] = model.ResourceResult{ObjectKey: o.Key, Status: sync.StatusOrphaned}
		default:
			kind, kindErr := e.o.Observer.Kind(o.Key.GroupKind())
			if kindErr != nil {
				err, done = kindErr, false
				continue
			}
			doErr := e.exec.Governor.Do(ctx, func() error {
				if err := e.fence(); err != nil {
					return err
				}
				return e.o.Applier.Release(ctx, sync.Release{Kind: kind, Key: o.Key, UID: l.UID, Operation: string(s.withdraw.Operation)})
			})
			if doErr != nil {
				err, done = doErr, false
				continue
			}
			a.removed[o.Key] = model.ResourceResult{ObjectKey: o.Key, Status: sync.StatusOrphaned}
		}
	}
	return done, err
}

// leaveAlone forgets the objects of an application that is only observed: nothing of
// them is touched, not even their annotations.
func (e *Engine) leaveAlone(a *app, owned []journal.Owned) {
	a.removed = map[model.ObjectKey]model.ResourceResult{}
	for _, o := range owned {
		if _, presence := e.seen(o.Key); presence != live.Absent {
			a.removed[o.Key] = model.ResourceResult{ObjectKey: o.Key, Status: sync.StatusOrphaned, Message: "it was only observed"}
		}
	}
}

func resultOf(results map[model.ObjectKey]model.ResourceResult) *model.OperationResult {
	r := &model.OperationResult{}
	for _, res := range results {
		r.Resources = append(r.Resources, res)
	}
	slices.SortFunc(r.Resources, func(x, y model.ResourceResult) int { return cmp.Compare(x.ObjectKey.String(), y.ObjectKey.String()) })
	return r
}

func sum(results map[model.ObjectKey]model.ResourceResult) string {
	n := map[string]int{}
	for _, r := range results {
		n[r.Status]++
	}
	s := fmt.Sprintf("%d objects deleted", n[sync.StatusDeleted])
	if n[sync.StatusDeleted] == 0 && n[sync.StatusOrphaned] > 0 {
		return fmt.Sprintf("%d objects left in the cluster", n[sync.StatusOrphaned])
	}
	if n[sync.StatusOrphaned] > 0 {
		s += fmt.Sprintf(", %d left in the cluster", n[sync.StatusOrphaned])
	}
	if n[sync.StatusSkipped] > 0 {
		s += fmt.Sprintf(", %d belong to somebody else", n[sync.StatusSkipped])
	}
	return s
}
