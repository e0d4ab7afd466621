package sim

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/hawser-dev/hawser/shared/model"
)

// Violation is a broken invariant: P1 to P4 are the sentences of the promise,
// I1 to I5 the invariants of the reliability reference.
type Violation struct {
	Invariant string
	At        time.Duration
	Message   string
}

func (v Violation) String() string {
	return fmt.Sprintf("%s at %.3fs: %s", v.Invariant, v.At.Seconds(), v.Message)
}

// Check judges a history. It is pure, and shares no code with what it judges.
//
//	P1 nothing changes in a cluster that no accepted decision explains
//	P2 every operation ends exactly once, with a reason unless it succeeded
//	P3 nothing shown as Synced is older than the age beside it
//	P4 no agent receives another cluster's data
//	I1 an answered operation is committed; one request is one operation
//	I2 an operation takes effect once; no write changes nothing
//	I3 only the lease's holder writes; no message of an older epoch is accepted
//	I4 a delete needs a complete bundle, ownership, leave and the guard
//	I5 at rest clusters, Git and what the hub shows agree
func Check(h History) []Violation {
	c := &checker{
		decided: map[appGeneration][]Event{}, withdrawn: map[model.OperationID]Event{}, commits: map[string]map[string]Objects{},
		head: map[string]Objects{}, ops: map[model.OperationID]Event{}, accepted: map[appAt]Event{},
		welcomed: map[model.ClusterID]model.Epoch{}, leases: map[model.ClusterID]Event{}, finished: map[model.OperationID]Event{},
		gone: map[appAt]Event{}, plans: map[int]Event{}, objects: map[objectAt][]version{}, touched: map[string]map[string]bool{},
		drifted: map[objectAt]bool{}, db: lineage{sessions: map[model.ClusterID]model.Epoch{}, phases: map[model.OperationID]model.OperationPhase{},
			requests: map[string]model.OperationID{}, finishedAs: map[model.OperationID]model.OperationPhase{}}, snapshots: map[int]lineage{},
	}
	for _, e := range h.Events {
		c.event(e)
	}
	c.final(h.Final)
	return c.out
}

type appAt struct {
	cluster model.ClusterID
	app     model.AppUID
}

type appGeneration struct {
	appAt
	generation model.Generation
}

type objectAt struct {
	cluster model.ClusterID
	key     model.ObjectKey
}

// version of an object from a time on; an empty uid means absent.
type version struct {
	from                time.Duration
	uid, content, owner string
}

// lineage is the part of the database that a restore sets back.
type lineage struct {
	sessions   map[model.ClusterID]model.Epoch
	phases     map[model.OperationID]model.OperationPhase
	requests   map[string]model.OperationID
	finishedAs map[model.OperationID]model.OperationPhase // what agents said of operations that they were given
}

func (l lineage) clone() lineage {
	return lineage{maps.Clone(l.sessions), maps.Clone(l.phases), maps.Clone(l.requests), maps.Clone(l.finishedAs)}
}

type checker struct {
	out []Violation
	now time.Duration
	// restored is the time of the last restore; what was decided before it may
	// have been undone.
	restored time.Duration

	decided   map[appGeneration][]Event
	withdrawn map[model.OperationID]Event
	commits   map[string]map[string]Objects // revision → path → objects
	head      map[string]Objects
	ops       map[model.OperationID]Event // as committed first
	accepted  map[appAt]Event
	welcomed  map[model.ClusterID]model.Epoch
	leases    map[model.ClusterID]Event
	finished  map[model.OperationID]Event
	gone      map[appAt]Event
	plans     map[int]Event
	objects   map[objectAt][]version
	touched   map[string]map[string]bool // uid → application names that applied it
	drifted   map[objectAt]bool
	db        lineage
	snapshots map[int]lineage
}

func (c *checker) fail(invariant, format string, args ...any) {
	c.out = append(c.out, Violation{invariant, c.now, fmt.Sprintf(format, args...)})
}

func (c *checker) event(e Event) {
	c.now = e.At
	at := appAt{e.Cluster, e.App}
	switch e.Kind {
	case GitCommit:
		c.head = maps.Clone(c.head)
		c.head[e.Path] = e.Objects
		c.commits[e.Revision] = c.head
	case UserWrite:
		c.set(e.Cluster, e.Key, version{e.At, e.UID, e.Content, e.Owner})
		c.drifted[objectAt{e.Cluster, e.Key}] = true
	case UserErase:
		c.set(e.Cluster, e.Key, version{from: e.At})
		c.drifted[objectAt{e.Cluster, e.Key}] = true
	case Decide:
		if !maps.Equal(c.commits[e.Revision][e.Path], e.Objects) {
			c.fail("P1", "the desired state of %s generation %d is not what Git has at %s in %s", e.App, e.Generation, e.Revision, e.Path)
		}
		k := appGeneration{at, e.Generation}
		c.decided[k] = append(c.decided[k], e)
	case DecideWithdraw:
		c.withdrawn[e.Op] = e
	case OpPhase:
		c.opPhase(e)
	case SessionOpened:
		c.db.sessions[e.Cluster] = e.Epoch
	case HubAccepted:
		if c.db.sessions[e.Cluster] != e.Epoch {
			c.fail("I3", "the hub accepted %s of %s in epoch %s, the session is %s", e.Detail, e.Cluster, e.Epoch, c.db.sessions[e.Cluster])
		}
	case Snapshot:
		c.snapshots[e.Number] = c.db.clone()
	case Restore:
		c.db = c.snapshots[e.Number].clone()
		c.restored = e.At
		for op := range c.db.finishedAs {
			if !c.db.phases[op].Terminal() { // the word of the agent is lost with what came after the copy
				delete(c.db.finishedAs, op)
			}
		}
	case Answered:
		c.answered(e)
	case View:
		c.view(e)
	case LeaseTaken:
		if l, ok := c.leases[e.Cluster]; ok && l.Agent != e.Agent && e.At < l.Until {
			c.fail("I3", "%s took the lease of %s before it ran out", e.Agent, l.Agent)
		}
		c.leases[e.Cluster] = e
	case Welcomed:
		if !c.welcomed[e.Cluster].Less(e.Epoch) {
			c.fail("I3", "%s accepted session %s after %s", e.Agent, e.Epoch, c.welcomed[e.Cluster])
		}
		c.welcomed[e.Cluster] = e.Epoch
	case Accepted:
		c.accept(e)
	case OpAccepted:
		if e.Epoch != c.welcomed[e.Cluster] {
			c.fail("I3", "%s accepted operation %s of session %s, the session is %s", e.Agent, e.Op, e.Epoch, c.welcomed[e.Cluster])
		}
		if f, ok := c.finished[e.Op]; ok {
			c.fail("I2", "operation %s was accepted again after it ended (%s)", e.Op, f.Phase)
		}
	case OpFinished:
		if f, ok := c.finished[e.Op]; ok && f.At >= c.restored {
			c.fail("I2", "operation %s ended twice at its agent: %s and %s", e.Op, f.Phase, e.Phase)
		}
		c.finished[e.Op] = e
		if p := c.db.phases[e.Op]; p == model.PhaseSent || p == model.PhaseRunning || c.ops[e.Op].At >= c.restored {
			c.db.finishedAs[e.Op] = e.Phase // else it was given by a life of the database that is lost
		}
	case Withdrawn:
		c.gone[at] = e
		delete(c.accepted, at)
		for op, f := range c.finished { // another life of the application may see them again
			if f.App == e.App && f.OpKind != model.OperationDelete {
				delete(c.finished, op)
			}
		}
	case Received:
		if e.Origin != e.Cluster {
			c.fail("P4", "%s received data of %s (%s)", e.Cluster, e.App, e.Origin)
		}
	case PrunePlanned:
		c.plans[e.Run] = e
	case Effect:
		c.effect(e)
	}
}

func (c *checker) set(cluster model.ClusterID, k model.ObjectKey, v version) {
	at := objectAt{cluster, k}
	c.objects[at] = append(c.objects[at], v)
}

func (c *checker) opPhase(e Event) {
	was, known := c.db.phases[e.Op]
	if known && was.Terminal() {
		c.fail("P2", "operation %s went from %s to %s", e.Op, was, e.Phase)
	}
	if e.Phase.Terminal() && e.Phase != model.PhaseSucceeded && e.Detail == "" {
		c.fail("P2", "operation %s is %s without a reason", e.Op, e.Phase)
	}
	c.db.phases[e.Op] = e.Phase
	if e.From != "" {
		return
	}
	c.ops[e.Op] = e
	if e.Request != "" {
		if other, ok := c.db.requests[e.Request]; ok && other != e.Op {
			c.fail("I1", "request %s made operations %s and %s", e.Request, other, e.Op)
		}
		c.db.requests[e.Request] = e.Op
	}
}

func (c *checker) answered(e Event) {
	if _, ok := c.ops[e.Op]; !ok {
		c.fail("I1", "request %s was answered with operation %s, which is not committed", e.Request, e.Op)
	}
}

func (c *checker) view(e Event) {
	if e.AsOf > e.At {
		c.fail("P3", "%s is shown as of a time to come", e.App)
	}
	age := e.At - e.AsOf
	if e.Freshness == model.FreshLive && age > 30*time.Second || e.Freshness == model.FreshLagging && age > 2*time.Minute {
		c.fail("P3", "%s is shown %s at an age of %s", e.App, e.Freshness, age)
	}
	if e.Sync != model.SyncSynced {
		return
	}
	for _, d := range c.decided[appGeneration{appAt{e.Cluster, e.App}, e.Generation}] {
		if c.heldAt(d, e.AsOf) {
			return
		}
	}
	c.fail("P3", "%s generation %d is shown Synced as of %s, and was not", e.App, e.Generation, e.AsOf)
}

// heldAt reports whether the objects of a desired state were so at a time.
func (c *checker) heldAt(d Event, at time.Duration) bool {
	for k, content := range d.Objects {
		versions := c.objects[objectAt{d.Cluster, k}]
		ok := false
		for i, v := range versions {
			if v.from > at || (i+1 < len(versions) && versions[i+1].from < at) {
				continue
			}
			ok = ok || v.uid != "" && v.content == content
		}
		if !ok {
			return false
		}
	}
	return true
}

func (c *checker) accept(e Event) {
	at := appAt{e.Cluster, e.App}
	if e.Epoch != c.welcomed[e.Cluster] {
		c.fail("I3", "%s accepted %s generation %d of session %s, the session is %s", e.Agent, e.App, e.Generation, e.Epoch, c.welcomed[e.Cluster])
	}
	if g, ok := c.gone[at]; ok && e.Generation <= g.Generation && c.withdrawn[g.Op].At >= c.restored {
		c.fail("P1", "%s was withdrawn at generation %d and accepted again at %d", e.App, g.Generation, e.Generation)
	}
	complete := false
	for _, d := range c.decided[appGeneration{at, e.Generation}] {
		complete = complete || maps.Equal(d.Objects, e.Objects)
	}
	if !complete {
		c.fail("I4", "the bundle of %s generation %d at %s is not the one that was decided", e.App, e.Generation, e.Cluster)
	}
	c.accepted[at] = e
}

func (c *checker) effect(e Event) {
	at := appAt{e.Cluster, e.App}
	if l := c.leases[e.Cluster]; l.Agent != e.Agent || e.At > l.Until {
		c.fail("I3", "%s changed %s without the lease (%s has it)", e.Agent, e.Key, l.Agent)
	}
	if f, ok := c.finished[e.Op]; ok && e.Op != "" && (f.OpKind == model.OperationSync || f.At >= c.restored) {
		c.fail("I2", "operation %s changed %s after its end", e.Op, e.Key)
	}
	switch e.Reason {
	case ReasonApply, ReasonPrune:
		acc, ok := c.accepted[at]
		if !ok || acc.Generation != e.Generation {
			c.fail("P1", "%s %s for %s generation %d, the agent holds %d", e.Reason, e.Key, e.App, e.Generation, acc.Generation)
			return
		}
		c.explained(e, at)
		if e.Reason == ReasonApply {
			c.applied(e, acc)
		} else {
			c.pruned(e, acc)
		}
	case ReasonCascade, ReasonOrphan:
		w, ok := c.withdrawn[e.Op]
		if !ok || w.App != e.App || w.Cluster != e.Cluster || w.Cascade != (e.Reason == ReasonCascade) {
			c.fail("P1", "%s of %s by %s, which no delete of %s explains", e.Reason, e.Key, e.Op, e.App)
		}
		if p := c.db.phases[e.Op]; p.Terminal() && p != model.PhaseSucceeded && w.At >= c.restored {
			c.fail("P1", "%s of %s by %s, which had ended: %s", e.Reason, e.Key, e.Op, p)
		}
		if e.Reason == ReasonOrphan {
			c.set(e.Cluster, e.Key, version{e.At, e.UID, e.Content, ""})
			return
		}
		c.owned(e)
	default:
		c.fail("P1", "a change of %s without a reason", e.Key)
	}
	if e.Reason != ReasonApply {
		c.set(e.Cluster, e.Key, version{from: e.At})
	}
}

// explained looks for the decision behind an automated or asked-for sync.
func (c *checker) explained(e Event, at appAt) {
	if e.Op != "" {
		if op, ok := c.ops[e.Op]; !ok || op.App != e.App || op.Cluster != e.Cluster || op.OpKind != model.OperationSync {
			c.fail("P1", "%s of %s by operation %s, which is not a sync of %s", e.Reason, e.Key, e.Op, e.App)
		} else if e.Reason == ReasonPrune && !op.Prune {
			c.fail("I4", "operation %s pruned %s without leave", e.Op, e.Key)
		}
		return
	}
	for _, d := range c.decided[appGeneration{at, e.Generation}] {
		if d.Automated && (e.Reason == ReasonApply || d.Prune) {
			return
		}
	}
	if e.Reason == ReasonPrune {
		c.fail("I4", "%s pruned %s, its policy does not prune", e.App, e.Key)
	} else {
		c.fail("P1", "%s was synced without being asked to", e.App)
	}
}

func (c *checker) applied(e Event, acc Event) {
	if content, ok := acc.Objects[e.Key]; !ok || content != e.Content {
		c.fail("P1", "%s was written as %q, the accepted state has %q", e.Key, e.Content, content)
	}
	if e.Before == e.Content && e.Owner == e.Name {
		c.fail("I2", "a write of %s changed nothing", e.Key)
	}
	if c.touched[e.UID] == nil {
		c.touched[e.UID] = map[string]bool{}
	}
	c.touched[e.UID][e.Name] = true
	delete(c.drifted, objectAt{e.Cluster, e.Key})
	c.set(e.Cluster, e.Key, version{e.At, e.UID, e.Content, e.Name})
}

// owned: an object that is deleted carries our mark and is one that we applied.
func (c *checker) owned(e Event) {
	if e.Owner != e.Name || !c.touched[e.UID][e.Name] {
		c.fail("I4", "%s (uid %s, marked for %q) was deleted for %q, which did not make it", e.Key, e.UID, e.Owner, e.Name)
	}
}

func (c *checker) pruned(e Event, acc Event) {
	c.owned(e)
	if _, ok := acc.Objects[e.Key]; ok {
		c.fail("I4", "%s was pruned although it is desired", e.Key)
	}
	if acc.Hold {
		c.fail("I4", "%s was pruned while deletes are held", e.Key)
	}
	plan, ok := c.plans[e.Run]
	if !ok || !slices.Contains(plan.Keys, e.Key) {
		c.fail("I4", "%s was pruned outside a plan", e.Key)
		return
	}
	n := len(plan.Keys)
	if op, ok := c.ops[e.Op]; ok && e.Op != "" && op.Confirm != 0 {
		if op.Confirm != n {
			c.fail("I4", "operation %s confirmed %d deletes, the plan has %d", e.Op, op.Confirm, n)
		}
		return
	}
	protected := slices.ContainsFunc(plan.Keys, func(k model.ObjectKey) bool {
		return k.Kind == "Namespace" || k.Kind == "CustomResourceDefinition" || k.Kind == "PersistentVolume" || k.Kind == "PersistentVolumeClaim"
	})
	if len(acc.Objects) == 0 || protected || n > 50 || n >= 10 && n*5 > plan.Number {
		c.fail("I4", "%d of %d objects of %s were pruned without a confirmation", n, plan.Number, e.App)
	}
}
