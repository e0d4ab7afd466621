package fleet

import (
	"fmt"
	"slices"
	"sort"
	"time"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// AppFacts is what the database holds of one application of a cluster.
type AppFacts struct {
	UID     model.AppUID
	Name    string
	Project string
	// Counter is the highest generation ever issued for the application, by a
	// desired state or by a withdrawal.
	Counter model.Generation
	// Floor is the highest generation that an agent ever reported beyond what
	// the hub had issued (Opening.RaiseGenerations); zero when there is none.
	Floor model.Generation
	// Desired is nil until something was rendered.
	Desired *model.Desired
	// Withdraw is set while a delete operation of the application is open.
	Withdraw *model.Withdraw
}

// ClusterFacts is everything that Open decides on, read in the transaction
// that opens the session and with the cluster's row locked.
type ClusterFacts struct {
	Cluster model.ClusterID
	Hub     HubState
	// Epoch is about to be issued: the hub's incarnation and the next number
	// of the sequence.
	Epoch model.Epoch
	// PreviousEpoch is the newest epoch that was issued to this cluster before;
	// zero when there was none. A hello whose LastEpoch is below it was built
	// before the agent accepted that session (it may have been on its way for
	// long, or come from a process that was paused): it proves nothing about
	// what was not accepted.
	PreviousEpoch model.Epoch
	Apps          []AppFacts
	// Operations are the cluster's operations that are not terminal, and those
	// named in hello.Operations whatever their phase.
	Operations []model.OperationInfo
	// MaxOpSeq is the highest operation sequence number ever issued.
	MaxOpSeq int64
}

// Opening is what opening a session decides. The store carries out everything
// above the line in one transaction; the gateway sends everything below it
// afterwards.
type Opening struct {
	Epoch model.Epoch
	// Hub is the state to be stored and told: Incarnation and HoldDeletes as
	// raised. When RaiseIncarnationTo is set the signature is still the old one
	// and the caller signs anew.
	Hub HubState

	// Regressed: the database is an older copy of the one that this agent
	// worked with. Reason says how that is known.
	Regressed bool
	Reason    string
	// RaiseIncarnationTo is zero when the incarnation stays. Otherwise every
	// other session must be closed, because its epoch is of the past.
	RaiseIncarnationTo int64
	// RaiseGenerations are floors: the agent holds this generation, and what
	// the hub issues next must lie above it (NextGeneration with the floor).
	// Until then nothing is sent for the application, because the hub's own
	// content is older than what runs: the store also clears the render key,
	// so that the sources are read and the state is written anew.
	RaiseGenerations map[model.AppUID]model.Generation
	// RaiseOpSeqTo is zero, or what the operation sequence must lie above.
	RaiseOpSeqTo int64
	// Unknown are applications that the agent holds and this database does not
	// know. They replace the cluster's earlier list. They are shown and never
	// withdrawn.
	Unknown []model.UnknownApp
	// Operations to be stored: the results that the hello brought, expiries,
	// and everything in Withdraws and Send as Sent.
	Operations []OperationTransition

	// ---- sent to the agent, in this order, after the transaction

	// Acknowledge are operations whose end is stored, or which this database
	// does not know: the agent may forget them.
	Acknowledge []model.OperationID
	Desired     []model.Desired
	// Withdraws carry generations above what the agent holds; a raised one
	// must be stored.
	Withdraws []model.Withdraw
	// Send are the operations that the agent has not accepted, or is to end.
	Send []model.OperationInfo
	// Foreign are operations that the agent reports and this database does not
	// know, as after a restore. They are worth a line in the log.
	Foreign []model.OperationUpdate
}

// Rerender lists the applications of RaiseGenerations that have to be written
// anew from their sources, in a stable order.
func (o Opening) Rerender() []model.AppUID {
	out := make([]model.AppUID, 0, len(o.RaiseGenerations))
	for uid := range o.RaiseGenerations {
		out = append(out, uid)
	}
	slices.Sort(out)
	return out
}

// maxLead is how far an agent's numbers may lie above the database's: more than
// any lost backup can explain, and little enough that no agent can use up the
// numbers, which all clusters share.
const maxLead = 1 << 40

// plausible refuses a hello with numbers that no restore explains.
func plausible(f ClusterFacts, h model.Hello) error {
	refuse := func(what string, found, ours int64) error {
		return fault.New(fault.Invalid, "hello_implausible",
			"the hello names %s %d, the hub's highest is %d; no restored database lies so far back", what, found, ours).
			WithFix("remove the agent's state from its cluster and enrol it again")
	}
	counters := make(map[model.AppUID]model.Generation, len(f.Apps))
	for _, a := range f.Apps {
		counters[a.UID] = max(a.Counter, a.Floor)
	}
	switch {
	case h.MaxOpSeq-f.MaxOpSeq > maxLead:
		return refuse("operation number", h.MaxOpSeq, f.MaxOpSeq)
	case h.LastEpoch.Incarnation-f.Hub.Incarnation > maxLead:
		return refuse("incarnation", h.LastEpoch.Incarnation, f.Hub.Incarnation)
	}
	for _, k := range h.Known {
		if ours := counters[k.UID]; k.Generation-ours > maxLead {
			return refuse(fmt.Sprintf("application %q with generation", k.Name), int64(k.Generation), int64(ours))
		}
	}
	return nil
}

// Open decides what a new session of an agent does. It refuses, with an error,
// a hello of another cluster, or with numbers that no restore explains.
//
// A database that is an older copy than the agent has seen is recognised by
// what the agent holds: an epoch that is not below the one about to be issued,
// an operation number above the hub's, a generation above ours, or our
// generation with other content, or a withdrawal of which we know nothing.
// Then deletes are held, numbers resume above the agent's, and
// the incarnation rises, once for one restore: while the first rise is not
// acknowledged, further agents of the same restore do not cause another.
func Open(f ClusterFacts, hello model.Hello, now time.Time) (Opening, error) {
	if hello.Cluster != f.Cluster {
		return Opening{}, fault.New(fault.Denied, "cluster_mismatch",
			"the hello names cluster %q, the certificate belongs to %q", hello.Cluster, f.Cluster)
	}
	if err := plausible(f, hello); err != nil {
		return Opening{}, err
	}
	o := opener{facts: f, hello: hello, now: now, out: Opening{Epoch: f.Epoch, Hub: f.Hub}}
	o.index()
	o.recognise()
	o.operations()
	o.applications()
	o.send()
	return o.out, nil
}

type opener struct {
	facts ClusterFacts
	hello model.Hello
	now   time.Time
	out   Opening

	apps    map[model.AppUID]*AppFacts
	known   map[model.AppUID]model.KnownApp
	listed  map[model.OperationID]model.OperationUpdate
	ops     map[model.OperationID]model.OperationInfo // current state while deciding
	was     map[model.OperationID]model.OperationInfo // as the database has them
	removed map[model.AppUID]bool
	kept    map[model.OperationID]bool
	order   []model.OperationID
}

func (o *opener) index() {
	o.apps = make(map[model.AppUID]*AppFacts, len(o.facts.Apps))
	for i := range o.facts.Apps {
		o.apps[o.facts.Apps[i].UID] = &o.facts.Apps[i]
	}
	o.known = make(map[model.AppUID]model.KnownApp, len(o.hello.Known))
	for _, k := range o.hello.Known {
		o.known[k.UID] = k
	}
	o.listed = make(map[model.OperationID]model.OperationUpdate, len(o.hello.Operations))
	for _, u := range o.hello.Operations {
		o.listed[u.ID] = u
	}
	o.ops = make(map[model.OperationID]model.OperationInfo, len(o.facts.Operations))
	o.was = make(map[model.OperationID]model.OperationInfo, len(o.facts.Operations))
	o.removed = map[model.AppUID]bool{}
	o.kept = map[model.OperationID]bool{}
	for _, op := range o.facts.Operations {
		if _, dup := o.ops[op.ID]; !dup {
			o.order = append(o.order, op.ID)
		}
		o.ops[op.ID], o.was[op.ID] = op, op
	}
	sort.SliceStable(o.order, func(i, j int) bool { return o.ops[o.order[i]].Seq < o.ops[o.order[j]].Seq })
}

// recognise finds out whether the database is an older copy.
func (o *opener) recognise() {
	regress := func(format string, args ...any) {
		if !o.out.Regressed {
			o.out.Regressed, o.out.Reason = true, fmt.Sprintf(format, args...)
		}
	}
	fenced := o.hello.LastEpoch.Less(o.facts.Epoch)
	if !fenced {
		regress("the agent has accepted epoch %s, the hub is about to issue %s", o.hello.LastEpoch, o.facts.Epoch)
	}
	// An epoch is stored before the agent hears of it, so the agent can know a
	// newer one of this incarnation only from a database that this is a copy of.
	// This does not depend on the sequence: numbers that were drawn and not used
	// would hide the regression from the test above.
	if previous, last := o.facts.PreviousEpoch, o.hello.LastEpoch; !previous.IsZero() &&
		last.Incarnation == o.facts.Epoch.Incarnation && previous.Less(last) {
		regress("the agent has accepted epoch %s, the newest that the hub remembers for it is %s", last, previous)
	}
	if o.hello.MaxOpSeq > o.facts.MaxOpSeq {
		regress("the agent has accepted operation number %d, the hub's highest is %d", o.hello.MaxOpSeq, o.facts.MaxOpSeq)
		o.out.RaiseOpSeqTo = o.hello.MaxOpSeq
	}
	for _, k := range sortedKnown(o.hello.Known) {
		app := o.apps[k.UID]
		if app == nil {
			// Shown, and proof of nothing: see docs/decisions, "An unknown
			// application is not a restore".
			o.out.Unknown = append(o.out.Unknown, model.UnknownApp{UID: k.UID, Name: k.Name, Project: k.Project, Generation: k.Generation})
			continue
		}
		if reason := behind(*app, k); reason != "" {
			if app.Floor < k.Generation {
				regress("application %q: %s", k.Name, reason)
			}
			o.raise(k.UID, k.Generation)
		}
	}
	if !o.out.Regressed {
		return
	}
	// One restore raises the incarnation once, unless an epoch would repeat.
	if !fenced || !o.facts.Hub.HoldDeletes {
		raised := max(o.facts.Epoch.Incarnation, o.hello.LastEpoch.Incarnation) + 1
		o.out.RaiseIncarnationTo = raised
		o.out.Hub.Incarnation = raised
		o.out.Epoch.Incarnation = raised
	}
	o.out.Hub.HoldDeletes = true
}

// behind says in which way the hub knows less of an application than its agent
// does, or nothing.
func behind(app AppFacts, k model.KnownApp) string {
	switch {
	case app.Withdraw != nil && k.Withdrawing:
		if k.Generation > app.Counter {
			return fmt.Sprintf("the agent is withdrawing generation %d, the hub's highest is %d", k.Generation, app.Counter)
		}
		return ""
	case k.Withdrawing:
		return "the agent is withdrawing it, the hub knows of no delete"
	case k.Generation > app.Counter:
		return fmt.Sprintf("the agent holds generation %d, the hub's highest is %d", k.Generation, app.Counter)
	case app.Withdraw != nil && k.Generation >= app.Withdraw.Generation:
		return fmt.Sprintf("the agent holds generation %d, the hub withdraws generation %d", k.Generation, app.Withdraw.Generation)
	case app.Desired != nil && k.Generation > app.Desired.Generation:
		return fmt.Sprintf("the agent holds generation %d, the hub's desired state is %d", k.Generation, app.Desired.Generation)
	case app.Desired != nil && k.Generation == app.Desired.Generation && k.Content != app.Desired.Content():
		return fmt.Sprintf("generation %d has other content at the agent", k.Generation)
	case app.Desired == nil && app.Withdraw == nil && k.Generation > 0:
		return fmt.Sprintf("the agent holds generation %d, the hub has rendered nothing yet", k.Generation)
	}
	return ""
}

func (o *opener) raise(uid model.AppUID, floor model.Generation) {
	if o.out.RaiseGenerations == nil {
		o.out.RaiseGenerations = map[model.AppUID]model.Generation{}
	}
	o.out.RaiseGenerations[uid] = max(floor, o.apps[uid].Counter, o.apps[uid].Floor)
}

// operations applies what the hello says about operations, and expires.
func (o *opener) operations() {
	for _, u := range o.hello.Operations {
		op, known := o.ops[u.ID]
		if !known {
			o.out.Foreign = append(o.out.Foreign, u)
			if u.Phase.Terminal() {
				o.out.Acknowledge = append(o.out.Acknowledge, u.ID)
			}
			continue
		}
		next, changed, err := Advance(op, Update(u, o.now))
		if err == nil && changed {
			o.set(next)
		}
		if u.Phase.Terminal() {
			o.out.Acknowledge = append(o.out.Acknowledge, u.ID)
		}
	}
	// What the hello does not list was never accepted, unless the hello is older
	// than the last session, or the database lost something: then the agent is
	// asked again, and past the deadline it is asked to end it.
	proof := !o.out.Regressed && !o.hello.LastEpoch.Less(o.facts.PreviousEpoch)
	for _, id := range o.order {
		op := o.ops[id]
		if op.Phase.Terminal() {
			continue
		}
		if _, ok := o.listed[id]; !ok && op.Phase == model.PhaseSent {
			switch {
			case proof:
				op, _, _ = Advance(op, OperationEvent{Type: EventNotAccepted, At: o.now})
				o.ops[id] = op
			case op.Kind != model.OperationDelete && op.Deadline != nil && o.now.After(*op.Deadline):
				op, _, _ = Advance(op, OperationEvent{Type: EventTerminate, Reason: "its deadline has passed", At: o.now})
				o.ops[id] = op
			}
		}
		if op, changed := Expire(op, o.now); changed {
			o.set(op)
		}
	}
}

func (o *opener) set(op model.OperationInfo) {
	before := o.ops[op.ID]
	o.ops[op.ID] = op
	switch t := Transition(before, op); {
	case t.AppRemoved:
		o.removed[op.App] = true
	case t.AppKept:
		o.kept[op.ID] = true
	}
}

// applications decides the desired states and withdrawals.
func (o *opener) applications() {
	uids := make([]model.AppUID, 0, len(o.apps))
	for uid := range o.apps {
		uids = append(uids, uid)
	}
	slices.Sort(uids)
	for _, uid := range uids {
		app, k := o.apps[uid], o.known[uid]
		if o.removed[uid] {
			delete(o.out.RaiseGenerations, uid)
			continue
		}
		if app.Withdraw != nil && !o.kept[app.Withdraw.Operation] {
			if o.out.Hub.HoldDeletes {
				continue // held until an administrator has acknowledged the restore
			}
			w := *app.Withdraw
			if held := max(k.Generation, app.Floor); w.Generation <= held {
				w.Generation = NextWithdrawal(app.Counter, held)
			}
			o.out.Withdraws = append(o.out.Withdraws, w)
			continue
		}
		if app.Desired == nil || k.Withdrawing || app.Desired.Generation <= max(o.out.RaiseGenerations[uid], app.Floor) {
			continue
		}
		d := *app.Desired
		d.HoldDeletes = o.out.Hub.HoldDeletes
		if d.Generation > k.Generation || d.HoldDeletes != k.HoldDeletes {
			o.out.Desired = append(o.out.Desired, d)
		}
	}
}

// send decides which operations travel, and collects the transitions.
func (o *opener) send() {
	withdrawn := make(map[model.OperationID]bool, len(o.out.Withdraws))
	for _, w := range o.out.Withdraws {
		withdrawn[w.Operation] = true
	}
	given := make(map[model.AppUID]model.Generation, len(o.out.Desired)) // see Session.Sendable
	for _, d := range o.out.Desired {
		given[d.App] = d.Generation
	}
	for uid, k := range o.known {
		given[uid] = max(given[uid], k.Generation)
	}
	for _, id := range o.order {
		op := o.ops[id]
		if op.Phase.Terminal() {
			continue
		}
		_, isListed := o.listed[id]
		switch {
		case op.Kind == model.OperationDelete:
			if withdrawn[id] && op.Phase == model.PhaseQueued {
				o.ops[id], _, _ = Advance(op, OperationEvent{Type: EventSent, At: o.now})
			}
			continue
		case o.apps[op.App] == nil || o.removed[op.App]:
			// The application is gone. An operation that no agent was given
			// ends here; of any other the agent says how it ended.
			if op.Phase == model.PhaseQueued {
				o.ops[id], _, _ = Advance(op, Supersede("the application was deleted", o.now))
				continue
			}
			op.Terminating = true
		}
		if !isListed && !able(op, o.hello.Capabilities) {
			o.ops[id], _, _ = Advance(op, Update(tooOld(op, o.hello.AgentVersion, o.now), o.now))
			continue
		}
		if isListed && !op.Terminating || op.Phase == model.PhaseQueued && given[op.App] < max(1, op.Generation) {
			continue
		}
		if op.Phase == model.PhaseQueued {
			op, _, _ = Advance(op, OperationEvent{Type: EventSent, At: o.now})
		}
		o.ops[id] = op
		o.out.Send = append(o.out.Send, op)
	}
	for _, id := range o.order {
		op, was := o.ops[id], o.was[id]
		if op.Phase == was.Phase && op.Message == was.Message && op.Terminating == was.Terminating {
			continue
		}
		o.out.Operations = append(o.out.Operations, Transition(was, op))
	}
}

func sortedKnown(known []model.KnownApp) []model.KnownApp {
	out := slices.Clone(known)
	sort.SliceStable(out, func(i, j int) bool { return out[i].UID < out[j].UID })
	return out
}
