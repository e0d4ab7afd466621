package sim

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// database is the committed state of Postgres. Each method is one transaction.
// It does what hub/store does with the same pure decisions.
type database struct {
	hub      fleet.HubState
	epochSeq int64
	opSeq    int64
	apps     map[model.AppUID]*dbApp
	ops      map[model.OperationID]model.OperationInfo
	requests map[string]model.OperationID // idempotency keys
	bundles  map[model.Digest]Objects
	clusters map[model.ClusterID]*dbCluster
}

type dbApp struct {
	uid       model.AppUID
	name      string
	cluster   model.ClusterID
	path      string
	policy    *model.SyncPolicy
	version   int64
	counter   model.Generation
	floor     model.Generation
	desired   *model.Desired
	withdraw  *model.Withdraw
	renderKey string
	report    *dbReport
}

type dbReport struct {
	epoch    model.Epoch
	seq      uint64
	observed time.Time
	gen      model.Generation
	sync     model.SyncStatus
	guarded  bool
}

type dbCluster struct {
	session   model.Epoch
	unknown   []model.UnknownApp
	beatEpoch model.Epoch
	beatAt    time.Time
}

func newDatabase() *database {
	return &database{
		hub:  fleet.HubState{HubID: "hub", Incarnation: 1},
		apps: map[model.AppUID]*dbApp{}, ops: map[model.OperationID]model.OperationInfo{},
		requests: map[string]model.OperationID{}, bundles: map[model.Digest]Objects{},
		clusters: map[model.ClusterID]*dbCluster{},
	}
}

func (d *database) clone() *database {
	c := *d
	c.apps = make(map[model.AppUID]*dbApp, len(d.apps))
	for uid, a := range d.apps {
		b := *a
		c.apps[uid] = &b
	}
	c.clusters = make(map[model.ClusterID]*dbCluster, len(d.clusters))
	for id, k := range d.clusters {
		b := *k
		b.unknown = slices.Clone(k.unknown)
		c.clusters[id] = &b
	}
	c.ops, c.requests, c.bundles = maps.Clone(d.ops), maps.Clone(d.requests), maps.Clone(d.bundles)
	return &c
}

func (d *database) cluster(id model.ClusterID) *dbCluster {
	c := d.clusters[id]
	if c == nil {
		c = &dbCluster{}
		d.clusters[id] = c
	}
	return c
}

// appsOf lists a cluster's applications in a stable order; "" lists all.
func (d *database) appsOf(id model.ClusterID) []*dbApp {
	var out []*dbApp
	for _, a := range d.apps {
		if id == "" || a.cluster == id {
			out = append(out, a)
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].uid < out[j].uid })
	return out
}

func (d *database) openOps(match func(model.OperationInfo) bool) []model.OperationInfo {
	var out []model.OperationInfo
	for _, op := range d.ops {
		if !op.Phase.Terminal() && match(op) {
			out = append(out, op)
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Seq < out[j].Seq })
	return out
}

func (w *world) setOp(t fleet.OperationTransition, request string) {
	op := t.Operation
	w.db.ops[op.ID] = op
	if op.Phase != t.From {
		confirm := 0
		if op.Spec.ConfirmPrune != nil {
			confirm = *op.Spec.ConfirmPrune
		}
		w.record(Event{Kind: OpPhase, App: op.App, Cluster: op.Cluster, Op: op.ID, OpKind: op.Kind, From: t.From,
			Phase: op.Phase, Prune: op.Spec.Prune, Cascade: op.Spec.Cascade, Confirm: confirm, Detail: op.Message, Request: request})
	}
	app := w.db.apps[op.App]
	switch {
	case t.AppRemoved:
		delete(w.db.apps, op.App)
		open := w.db.openOps(func(o model.OperationInfo) bool { return o.App == op.App })
		for _, t := range fleet.OnAppRemoved(open, op.ID, w.clock()) {
			w.setOp(t, "")
		}
	case t.AppKept && app != nil:
		app.withdraw = nil
	}
}

func (w *world) createApp(name, path string, cluster model.ClusterID, policy *model.SyncPolicy) (model.AppUID, error) {
	for _, a := range w.db.apps {
		if a.name == name && a.cluster == cluster {
			return a.uid, fault.New(fault.Conflict, "already_exists", "application %q exists", name)
		}
	}
	uid := model.AppUID(w.id("app"))
	w.db.apps[uid] = &dbApp{uid: uid, name: name, cluster: cluster, path: path, policy: policy, version: 1}
	return uid, nil
}

func (w *world) createOperation(n fleet.NewOperation) (op model.OperationInfo, existed bool, err error) {
	if id, ok := w.db.requests[n.IdempotencyKey]; ok {
		op = w.db.ops[id]
		return op, true, fleet.Repeats(op, n)
	}
	app := w.db.apps[n.App]
	if app == nil {
		return op, false, fault.New(fault.NotFound, "application_unknown", "no application %s", n.App)
	}
	open := w.db.openOps(func(o model.OperationInfo) bool { return o.App == n.App })
	a, err := fleet.Admit(open, n)
	if err != nil {
		return op, false, err
	}
	if a.Existing != nil {
		w.db.requests[n.IdempotencyKey] = a.Existing.ID
		return *a.Existing, true, nil
	}
	w.db.opSeq++
	op = model.OperationInfo{ID: model.OperationID(w.id("op")), Seq: w.db.opSeq, App: n.App, AppName: app.name, Cluster: app.cluster,
		Kind: n.Kind, Spec: n.Spec, Phase: model.PhaseQueued, InitiatedBy: n.InitiatedBy, Deadline: &n.Deadline}
	for _, id := range a.Supersede {
		old := w.db.ops[id]
		next, changed, err := fleet.Advance(old, fleet.Supersede("superseded by operation "+string(op.ID), w.clock()))
		if err == nil && changed {
			w.setOp(fleet.Transition(old, next), "")
		}
	}
	w.db.requests[n.IdempotencyKey] = op.ID
	w.setOp(fleet.OperationTransition{Operation: op}, n.IdempotencyKey)
	if n.Kind == model.OperationDelete {
		app.counter = fleet.NextWithdrawal(app.counter, app.floor)
		mode := model.WithdrawModeOf(n.Spec)
		app.withdraw = &model.Withdraw{App: app.uid, Name: app.name, Generation: app.counter, Mode: mode, Operation: op.ID, OperationSeq: op.Seq}
		w.record(Event{Kind: DecideWithdraw, App: app.uid, Cluster: app.cluster, Generation: app.counter, Op: op.ID, Cascade: n.Spec.Cascade})
	}
	return op, false, nil
}

func (w *world) terminateOperation(id model.OperationID) error {
	op, ok := w.db.ops[id]
	if !ok {
		return fault.New(fault.NotFound, "operation_unknown", "no operation %s", id)
	}
	next, changed, err := fleet.Advance(op, fleet.OperationEvent{Type: fleet.EventTerminate, Reason: "ended by a client", At: w.clock()})
	if err == nil && changed {
		w.setOp(fleet.Transition(op, next), "")
	}
	return err
}

func (w *world) expireOperations() {
	for _, op := range w.db.openOps(func(model.OperationInfo) bool { return true }) {
		if next, changed := fleet.Expire(op, w.clock()); changed {
			w.setOp(fleet.Transition(op, next), "")
		}
	}
}

// writeDesired commits what a render gave.
func (w *world) writeDesired(uid model.AppUID, version int64, revision, renderKey string, objects Objects) {
	app := w.db.apps[uid]
	if app == nil || app.version != version || app.withdraw != nil {
		return
	}
	digest := digestOf(objects)
	next := model.Desired{App: uid, Name: app.name, Project: "default", Bundle: digest, Revision: model.Revision{Commit: revision},
		Spec: model.DesiredSpec{Namespace: app.path, SyncPolicy: app.policy, ClusterName: string(app.cluster)}}
	app.renderKey = renderKey
	g, rises := fleet.NextGeneration(app.desired, app.counter, app.floor, next)
	if !rises {
		return
	}
	next.Generation = g
	app.desired, app.counter = &next, g
	w.db.bundles[digest] = objects
	w.record(Event{Kind: Decide, App: uid, Name: app.name, Cluster: app.cluster, Generation: g, Path: app.path, Revision: revision,
		Objects: objects, Automated: app.policy.AutomatedEnabled(), Prune: app.policy.Automated != nil && app.policy.Automated.Prune})
}

func (w *world) openSession(id model.ClusterID, hello model.Hello) (fleet.Opening, error) {
	c := w.db.cluster(id)
	w.db.epochSeq++
	facts := fleet.ClusterFacts{
		Cluster: id, Hub: w.db.hub, Epoch: model.Epoch{Incarnation: w.db.hub.Incarnation, Number: w.db.epochSeq},
		PreviousEpoch: c.session, MaxOpSeq: w.db.opSeq,
		Operations: w.db.openOps(func(o model.OperationInfo) bool { return o.Cluster == id }),
	}
	for _, u := range hello.Operations {
		if op, ok := w.db.ops[u.ID]; ok && op.Phase.Terminal() {
			facts.Operations = append(facts.Operations, op)
		}
	}
	for _, a := range w.db.appsOf(id) {
		facts.Apps = append(facts.Apps, fleet.AppFacts{UID: a.uid, Name: a.name, Project: "default",
			Counter: a.counter, Floor: a.floor, Desired: a.desired, Withdraw: a.withdraw})
	}
	o, err := fleet.Open(facts, hello, w.clock())
	if err != nil {
		return o, err
	}
	if o.Regressed {
		w.tracef("regressed: %s (incarnation %d)", o.Reason, o.RaiseIncarnationTo)
	}
	w.db.hub = o.Hub
	for uid, floor := range o.RaiseGenerations {
		a := w.db.apps[uid]
		a.floor, a.renderKey = max(a.floor, floor), ""
	}
	w.db.opSeq = max(w.db.opSeq, o.RaiseOpSeqTo)
	for _, wd := range o.Withdraws {
		a := w.db.apps[wd.App]
		wd := wd
		a.withdraw, a.counter = &wd, max(a.counter, wd.Generation)
		w.record(Event{Kind: DecideWithdraw, App: a.uid, Cluster: id, Generation: wd.Generation, Op: wd.Operation, Cascade: wd.Mode.Cascades()})
	}
	c.unknown = o.Unknown
	for _, t := range o.Operations {
		w.setOp(t, "")
	}
	c.session = o.Epoch
	w.record(Event{Kind: SessionOpened, Cluster: id, Epoch: o.Epoch})
	return o, nil
}

// fenced runs fn when the epoch is that of the cluster's session.
func (w *world) fenced(id model.ClusterID, e model.Epoch, what string, fn func(*dbCluster)) bool {
	c := w.db.cluster(id)
	if c.session != e && !w.bug(HubIgnoresEpoch) {
		return false
	}
	w.record(Event{Kind: HubAccepted, Cluster: id, Epoch: e, Detail: what})
	fn(c)
	return true
}

func (w *world) applyUpdate(id model.ClusterID, e model.Epoch, u model.OperationUpdate) bool {
	return w.fenced(id, e, "operation", func(*dbCluster) {
		op, ok := w.db.ops[u.ID]
		if !ok || op.Cluster != id {
			return // of another life of the database: acknowledged, so that the agent forgets it
		}
		next, changed, err := fleet.Advance(op, fleet.Update(u, w.clock()))
		if err == nil && changed {
			w.setOp(fleet.Transition(op, next), "")
		}
	})
}

func (w *world) markSent(id model.ClusterID, e model.Epoch, ops []model.OperationID) bool {
	if w.db.cluster(id).session != e {
		return false
	}
	for _, opID := range ops {
		op, ok := w.db.ops[opID]
		if !ok {
			continue
		}
		next, changed, err := fleet.Advance(op, fleet.OperationEvent{Type: fleet.EventSent, At: w.clock()})
		if err == nil && changed {
			w.setOp(fleet.Transition(op, next), "")
		}
	}
	return true
}

func digestOf(objects Objects) model.Digest {
	lines := make([]string, 0, len(objects))
	for k, v := range objects {
		lines = append(lines, fmt.Sprintf("%v=%s", k, v))
	}
	sort.Strings(lines)
	sum := sha256.Sum256([]byte(strings.Join(lines, "\n")))
	return model.Digest("sha256:" + hex.EncodeToString(sum[:]))
}

func sortedKeys(objects Objects) []model.ObjectKey {
	out := make([]model.ObjectKey, 0, len(objects))
	for k := range objects {
		out = append(out, k)
	}
	sortKeys(out)
	return out
}

func sortKeys(keys []model.ObjectKey) {
	slices.SortFunc(keys, func(a, b model.ObjectKey) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name))
	})
}
