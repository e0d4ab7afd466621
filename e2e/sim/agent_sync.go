package sim

import (
	"fmt"
	"time"

	"github.com/hawser-dev/hawser/agent/journal"
	agentsync "github.com/hawser-dev/hawser/agent/sync"
	"github.com/hawser-dev/hawser/shared/model"
)

// run is one sync under way: volatile, so that a restart begins it anew.
type run struct {
	id         int
	generation model.Generation
	op         model.OperationID // empty: automated
	started    time.Time
	failed     string
	undone     string // a delete that failed
	pruned     []model.ObjectKey
	planned    *agentsync.PruneDecision
	next       int // of planned.Delete
}

const guardMessage = "prune guard"

func (a *agent) kick(uid model.AppUID) {
	if a.kicked[uid] {
		return
	}
	a.kicked[uid] = true
	a.later(func() {
		delete(a.kicked, uid)
		a.step(uid)
	})
}

func (a *agent) kickAll() {
	if a.book == nil {
		return
	}
	for _, uid := range sortedUIDs(a.book.Apps) {
		a.kick(uid)
	}
}

// step does at most one effect for an application, and comes back.
func (a *agent) step(uid model.AppUID) {
	if !a.leading || !a.held() || (!a.durable(uid) && !a.w.bug(AckBeforeDurable)) {
		return // the flush, or the lease, kicks again
	}
	if r := a.book.Apps[uid]; r == nil || r.Gone != nil {
		delete(a.runs, uid)
		return
	} else if r.Withdraw != nil {
		delete(a.runs, uid)
		a.withdraw(r)
	} else {
		a.sync(r)
	}
}

func (a *agent) withdraw(r *journal.Record) {
	w := *r.Withdraw
	done := func() {
		v, err := a.book.CompleteWithdraw(r.App, w.Operation, "", nil, a.w.clock())
		if err != nil {
			return
		}
		if a.w.bug(ForgetTombstones) {
			if gone := a.book.Apps[r.App]; gone != nil {
				gone.Gone = nil
			}
		}
		a.gone(r.App, w.Operation, w.Generation, v)
	}
	if r.Op != nil {
		c, u, err := a.book.FinishOperation(r.App, r.Op.ID, model.PhaseSuperseded, "the application is being removed", nil, a.w.clock())
		if err == nil {
			a.update(c, func() { a.sendUpdates([]model.OperationUpdate{u}, true) })
		}
		return
	}
	var bundle []journal.Owned
	if r.Desired != nil {
		bundle = ownedKeys(a.c.journal.bundles[r.Desired.Bundle])
	}
	owned := r.MayOwn(bundle)
	keys := make([]model.ObjectKey, 0, len(owned))
	for _, o := range owned {
		keys = append(keys, o.Key)
	}
	d := agentsync.DecideCascade(agentsync.CascadeFacts{App: r.Name, Owned: owned, Live: a.c.look(keys)})
	if w.Mode == model.WithdrawOrphan {
		for _, o := range append(d.Delete, d.Kept...) {
			if a.untrack(r, o, w.Operation) {
				a.kick(r.App)
				return
			}
		}
		if len(d.Wait) == 0 {
			done()
		} else {
			a.w.after(3*time.Second, func() { a.kick(r.App) })
		}
		return
	}
	switch {
	case len(d.Delete) > 0:
		a.erase(r, d.Delete[0], Event{Reason: ReasonCascade, Op: w.Operation, Generation: w.Generation})
		a.kick(r.App)
	case !d.Done():
		a.w.after(3*time.Second, func() { a.kick(r.App) })
	default:
		done()
	}
}

// needsSync says which sync should run now: for an operation, or automated.
func (a *agent) needsSync(r *journal.Record) (op *journal.Operation, automated bool) {
	if op, ready := r.Ready(); ready {
		return op, false
	}
	p := r.Desired.Spec.SyncPolicy
	if !p.AutomatedEnabled() {
		return nil, false
	}
	if r.Attempt == nil || r.Attempt.Generation < r.Desired.Generation {
		return nil, true
	}
	if r.Attempt.Failed {
		wait := 5*time.Second - a.w.clock().Sub(r.Attempt.At)
		if wait > 0 {
			a.w.after(wait, func() { a.kick(r.App) })
			return nil, false
		}
		return nil, true
	}
	if r.Attempt.Again {
		return nil, true
	}
	return nil, p.Automated.SelfHeal && a.differs(r)
}

func (a *agent) differs(r *journal.Record) bool {
	for k, v := range a.c.journal.bundles[r.Desired.Bundle] {
		if a.c.blind {
			return false
		}
		if o := a.c.objects[k]; o == nil || (!o.deleting && (o.content != v || o.tracking != model.TrackingID(r.Name, k))) {
			return true
		}
	}
	return false
}

func (a *agent) sync(r *journal.Record) {
	uid := r.App
	if r.Op != nil && r.Op.Terminating {
		delete(a.runs, uid)
		c, u, err := a.book.FinishOperation(uid, r.Op.ID, model.PhaseTerminated, "ended on request", nil, a.w.clock())
		if err == nil {
			a.update(c, func() { a.sendUpdates([]model.OperationUpdate{u}, true) })
		}
		return
	}
	if r.Desired == nil {
		return
	}
	current := a.runs[uid]
	if current != nil && (current.generation != r.Desired.Generation || (current.op != "" && (r.Op == nil || r.Op.ID != current.op))) {
		delete(a.runs, uid)
		current = nil
	}
	if current == nil {
		a.begin(r)
		return
	}
	a.advance(r, current)
}

func (a *agent) begin(r *journal.Record) {
	op, automated := a.needsSync(r)
	if (op == nil && !automated) || a.c.blind {
		return
	}
	now := a.w.clock()
	a.w.ids++
	fresh := &run{id: a.w.ids, generation: r.Desired.Generation, started: now}
	var intended []journal.Owned
	for _, o := range ownedKeys(a.c.journal.bundles[r.Desired.Bundle]) {
		if l := a.c.objects[o.Key]; l != nil {
			o.UID = l.uid
			if have, ok := r.Owns(o.Key); ok && have.UID != l.uid {
				o.UID = ""
			}
		}
		intended = append(intended, o)
	}
	c, err := a.book.BeginSync(r.App, intended)
	if err != nil {
		return
	}
	if op != nil {
		fresh.op = op.ID
		started, err := a.book.StartOperation(r.App, op.ID, now)
		if err != nil {
			return
		}
		c.Apps = append(c.Apps, started.Apps...)
	} else {
		tried, err := a.book.MarkAttempt(r.App, fresh.generation, true, "interrupted", now)
		if err != nil {
			return
		}
		c.Apps = append(c.Apps, tried.Apps...)
	}
	a.update(c, func() {
		a.runs[r.App] = fresh
		a.kick(r.App)
	})
}

func (a *agent) advance(r *journal.Record, n *run) {
	bundle := a.c.journal.bundles[r.Desired.Bundle]
	if n.planned == nil && n.failed == "" {
		for _, k := range sortedKeys(bundle) {
			o := a.c.objects[k]
			if o != nil && o.deleting {
				a.w.after(time.Second, func() { a.kick(r.App) })
				return
			}
			if o != nil && o.content == bundle[k] && o.tracking == model.TrackingID(r.Name, k) {
				continue
			}
			if a.w.mishap(0.03) {
				n.failed = "the API server refused " + k.String()
				break
			}
			a.apply(r, n, k, bundle[k])
			a.kick(r.App)
			return
		}
	}
	if n.failed == "" && n.planned == nil {
		a.plan(r, n, bundle)
	}
	if n.failed == "" && n.next < len(n.planned.Delete) {
		o := n.planned.Delete[n.next]
		n.next++
		if a.erase(r, o, Event{Reason: ReasonPrune, Op: n.op, Generation: n.generation, Run: n.id}) {
			n.pruned = append(n.pruned, o.Key)
		} else {
			n.undone = "the API server refused to delete " + o.Key.String()
		}
		a.kick(r.App)
		return
	}
	a.finish(r, n, bundle)
}

func (a *agent) plan(r *journal.Record, n *run, bundle Objects) {
	keys := sortedKeys(bundle)
	facts := agentsync.PruneFacts{App: r.Name, Complete: true, Desired: keys, Inventory: r.Inventory,
		Automated: n.op == "", HoldDeletes: r.Desired.HoldDeletes && !a.w.bug(IgnoreHold)}
	for _, o := range r.Inventory {
		keys = append(keys, o.Key)
	}
	facts.Live = a.c.look(keys)
	if a.w.bug(IgnoreUIDs) {
		for i := range facts.Inventory {
			if l, ok := facts.Live[facts.Inventory[i].Key]; ok {
				facts.Inventory[i].UID, l.TrackingID = l.UID, model.TrackingID(r.Name, facts.Inventory[i].Key)
				facts.Live[facts.Inventory[i].Key] = l
			}
		}
	}
	if n.op != "" {
		facts.Allowed, facts.ConfirmPrune = r.Op.Spec.Prune, r.Op.Spec.ConfirmPrune
	} else {
		facts.Allowed = r.Desired.Spec.SyncPolicy.Automated.Prune
	}
	d := agentsync.DecidePrune(facts)
	if d.Stopped != nil && a.w.bug(IgnoreGuard) {
		facts.Automated = false
		facts.ConfirmPrune = &d.Stopped.Count
		d = agentsync.DecidePrune(facts)
	}
	n.planned = &d
	if d.Undecided() {
		n.undone = "not everything is known"
	}
	if len(d.Delete) > 0 {
		e := Event{Kind: PrunePlanned, Cluster: a.c.id, Agent: a.name, App: r.App, Generation: n.generation, Op: n.op, Run: n.id}
		for _, o := range d.Delete {
			e.Keys = append(e.Keys, o.Key)
		}
		all := map[model.ObjectKey]bool{}
		for _, k := range keys {
			all[k] = true
		}
		e.Number = len(all)
		a.w.record(e)
	}
}

func (a *agent) finish(r *journal.Record, n *run, bundle Objects) {
	now := a.w.clock()
	delete(a.runs, r.App)
	out := journal.SyncOutcome{Generation: n.generation, Bundle: r.Desired.Bundle, Revision: r.Desired.Revision.Commit, StartedAt: n.started, At: now}
	stopped := false
	if n.failed == "" {
		out.Complete = true
		for _, o := range ownedKeys(bundle) {
			// A copy that somebody made meanwhile is not what was applied.
			if l := a.c.objects[o.Key]; l != nil && l.applied && l.tracking == model.TrackingID(r.Name, o.Key) {
				o.UID = l.uid
				out.Applied = append(out.Applied, o)
			} else {
				out.Complete = false
			}
		}
		out.Dropped = n.planned.Dropped
		for _, k := range n.pruned {
			if a.c.objects[k] == nil {
				out.Dropped = append(out.Dropped, k)
			}
		}
		stopped = n.planned.Stopped != nil
		n.failed = n.undone
		out.Complete = out.Complete && !stopped && n.undone == ""
	}
	c, err := a.book.ConfirmSync(r.App, out)
	if err != nil {
		return
	}
	if n.op != "" {
		phase, message := model.PhaseSucceeded, ""
		switch {
		case n.failed != "":
			phase, message = model.PhaseFailed, n.failed
		case stopped:
			phase, message = model.PhaseFailed, fmt.Sprintf("%s: confirm %d", guardMessage, n.planned.Stopped.Count)
		}
		ended, u, err := a.book.FinishOperation(r.App, n.op, phase, message, nil, now)
		if err != nil {
			return
		}
		c.Apps = append(c.Apps, ended.Apps...)
		a.update(c, func() {
			a.sendUpdates([]model.OperationUpdate{u}, true)
			a.reportAll()
		})
		return
	}
	message := n.failed
	if stopped {
		message = guardMessage
	}
	tried, err := a.book.MarkAttempt(r.App, n.generation, n.failed != "", message, now)
	if err == nil {
		c.Apps = append(c.Apps, tried.Apps...)
	}
	a.update(c, func() { a.reportAll() })
}

// apply is a server-side apply of one object.
func (a *agent) apply(r *journal.Record, n *run, k model.ObjectKey, content string) {
	e := Event{Kind: Effect, Cluster: a.c.id, Agent: a.name, App: r.App, Name: r.Name, Generation: n.generation, Op: n.op,
		Run: n.id, Key: k, Content: content, Reason: ReasonApply}
	o := a.c.objects[k]
	if o == nil {
		o = &object{uid: a.w.id("uid")}
		a.c.objects[k] = o
	} else {
		e.Before, e.Owner = o.content, ownerOf(o.tracking)
	}
	o.content, o.tracking, o.applied = content, model.TrackingID(r.Name, k), true
	e.UID = o.uid
	a.w.record(e)
	a.reportAll()
}

// erase deletes one object, with its uid as precondition. It reports whether
// the object is gone or on its way.
func (a *agent) erase(r *journal.Record, want journal.Owned, e Event) bool {
	o := a.c.objects[want.Key]
	if o == nil || o.deleting || o.uid != want.UID || a.w.mishap(0.05) {
		return o == nil
	}
	e.Kind, e.Cluster, e.Agent, e.App, e.Name, e.Key = Effect, a.c.id, a.name, r.App, r.Name, want.Key
	e.UID, e.Before, e.Owner = o.uid, o.content, ownerOf(o.tracking)
	a.w.record(e)
	if a.w.chance(0.3) { // a finalizer keeps it for a while
		o.deleting = true
		a.w.after(a.w.between(100*time.Millisecond, 10*time.Second), func() {
			if a.c.objects[want.Key] == o {
				delete(a.c.objects, want.Key)
				a.c.changed()
			}
		})
		return true
	}
	delete(a.c.objects, want.Key)
	a.reportAll()
	return true
}

// untrack takes our mark off an object that is orphaned.
func (a *agent) untrack(r *journal.Record, want journal.Owned, op model.OperationID) bool {
	o := a.c.objects[want.Key]
	if o == nil || o.uid != want.UID && want.UID != "" || ownerOf(o.tracking) != r.Name {
		return false
	}
	a.w.record(Event{Kind: Effect, Cluster: a.c.id, Agent: a.name, App: r.App, Name: r.Name, Key: want.Key, UID: o.uid,
		Before: o.content, Content: o.content, Owner: r.Name, Reason: ReasonOrphan, Op: op, Generation: r.Withdraw.Generation})
	o.tracking = ""
	return true
}
