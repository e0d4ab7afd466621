package fleet

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func desired(uid model.AppUID, g model.Generation, bundle string) *model.Desired {
	return &model.Desired{App: uid, Name: string(uid), Project: "default", Generation: g, Bundle: model.Digest(bundle)}
}

func known(uid model.AppUID, g model.Generation, bundle string) model.KnownApp {
	return model.KnownApp{UID: uid, Name: string(uid), Project: "default", Generation: g, Content: desired(uid, g, bundle).Content()}
}

func facts(apps ...AppFacts) ClusterFacts {
	return ClusterFacts{Cluster: "eu", Hub: HubState{HubID: "h", Incarnation: 1, IncarnationSignature: []byte("s")},
		Epoch: model.Epoch{Incarnation: 1, Number: 10}, PreviousEpoch: model.Epoch{Incarnation: 1, Number: 9}, Apps: apps, MaxOpSeq: 20}
}

func hello(apps ...model.KnownApp) model.Hello {
	return model.Hello{Cluster: "eu", LastEpoch: model.Epoch{Incarnation: 1, Number: 9}, Known: apps, MaxOpSeq: 20}
}

func app(uid model.AppUID, g model.Generation, bundle string) AppFacts {
	return AppFacts{UID: uid, Name: string(uid), Project: "default", Counter: g, Desired: desired(uid, g, bundle)}
}

func withdrawing(a AppFacts, op model.OperationID) AppFacts {
	a.Counter++
	a.Withdraw = &model.Withdraw{App: a.UID, Name: a.Name, Generation: a.Counter, Mode: model.WithdrawCascade, Operation: op, OperationSeq: 5}
	return a
}

func operation(id model.OperationID, uid model.AppUID, kind model.OperationKind, phase model.OperationPhase) model.OperationInfo {
	return model.OperationInfo{ID: id, Seq: 5, App: uid, Cluster: "eu", Kind: kind, Phase: phase}
}

func TestOpenRefusesNumbersThatNoRestoreExplains(t *testing.T) {
	const most = 1<<63 - 1
	for name, spoil := range map[string]func(*model.Hello){
		"operation number": func(h *model.Hello) { h.MaxOpSeq = most },
		"incarnation":      func(h *model.Hello) { h.LastEpoch.Incarnation = most },
		"generation":       func(h *model.Hello) { h.Known[0].Generation = most },
		"unknown app":      func(h *model.Hello) { h.Known[0].UID, h.Known[0].Generation = "lost", most },
	} {
		h := hello(known("a", 3, "x"))
		spoil(&h)
		o, err := Open(facts(app("a", 3, "x")), h, now)
		if !fault.HasCode(err, "hello_implausible") || o.RaiseIncarnationTo != 0 || o.RaiseOpSeqTo != 0 {
			t.Errorf("%s: %v, %+v", name, err, o)
		}
	}
	// What a lost backup can explain is taken.
	h := hello(known("a", 1000, "x"))
	h.MaxOpSeq, h.LastEpoch = 1_000_000, model.Epoch{Incarnation: 7, Number: 1_000_000}
	if o := mustOpen(t, facts(app("a", 3, "x")), h); !o.Regressed || o.RaiseOpSeqTo != 1_000_000 || o.RaiseIncarnationTo != 8 {
		t.Errorf("%+v", o)
	}
}

func mustOpen(t *testing.T, f ClusterFacts, h model.Hello) Opening {
	t.Helper()
	o, err := Open(f, h, now)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestOpenRefusesAnotherClustersHello(t *testing.T) {
	h := hello()
	h.Cluster = "us"
	if _, err := Open(facts(), h, now); !fault.HasCode(err, "cluster_mismatch") {
		t.Errorf("got %v", err)
	}
}

func TestOpenRecognisesAnOlderDatabase(t *testing.T) {
	for name, c := range map[string]struct {
		facts       func(*ClusterFacts)
		hello       func(*model.Hello)
		reason      string // empty: not regressed
		incarnation int64  // raised to; 0: stays
		floors      map[model.AppUID]model.Generation
		seq         int64
		unknown     int
	}{
		"everything agrees": {hello: func(h *model.Hello) { h.Known = []model.KnownApp{known("a", 3, "b1")} }},
		"the agent lacks":   {hello: func(h *model.Hello) { h.Known = []model.KnownApp{known("a", 2, "old")} }},
		"a new agent":       {hello: func(h *model.Hello) { h.LastEpoch = model.Epoch{}; h.MaxOpSeq = 0 }},
		"epoch equal": {hello: func(h *model.Hello) { h.LastEpoch.Number = 10 },
			reason: "accepted epoch 1.10", incarnation: 2},
		"epoch above": {hello: func(h *model.Hello) { h.LastEpoch.Number = 11 }, reason: "accepted epoch 1.11", incarnation: 2},
		"incarnation above": {hello: func(h *model.Hello) { h.LastEpoch = model.Epoch{Incarnation: 4, Number: 1} },
			reason: "accepted epoch 4.1", incarnation: 5},
		"operation number above": {hello: func(h *model.Hello) { h.MaxOpSeq = 21 }, reason: "operation number 21", incarnation: 2, seq: 21},
		"generation above": {hello: func(h *model.Hello) { h.Known = []model.KnownApp{known("a", 4, "b2")} },
			reason: "holds generation 4", incarnation: 2, floors: map[model.AppUID]model.Generation{"a": 4}},
		"generation above the desired state, below the counter": {
			facts:  func(f *ClusterFacts) { f.Apps[0].Counter = 7 },
			hello:  func(h *model.Hello) { h.Known = []model.KnownApp{known("a", 4, "b2")} },
			reason: "holds generation 4", incarnation: 2, floors: map[model.AppUID]model.Generation{"a": 7}},
		"other content": {hello: func(h *model.Hello) { h.Known = []model.KnownApp{known("a", 3, "b9")} },
			reason: "other content", incarnation: 2, floors: map[model.AppUID]model.Generation{"a": 3}},
		"nothing rendered here yet": {facts: func(f *ClusterFacts) { f.Apps[0].Desired = nil },
			hello:  func(h *model.Hello) { h.Known = []model.KnownApp{known("a", 1, "b1")} },
			reason: "rendered nothing", incarnation: 2, floors: map[model.AppUID]model.Generation{"a": 3}},
		"a delete that we do not know": {hello: func(h *model.Hello) {
			k := known("a", 4, "b1")
			k.Withdrawing = true
			h.Known = []model.KnownApp{k}
		}, reason: "knows of no delete", incarnation: 2, floors: map[model.AppUID]model.Generation{"a": 4}},
		"a delete that both know": {facts: func(f *ClusterFacts) { f.Apps[0] = withdrawing(f.Apps[0], "op") },
			hello: func(h *model.Hello) {
				k := known("a", 4, "b1")
				k.Withdrawing = true
				h.Known = []model.KnownApp{k}
			}},
		"a delete below what the agent holds": {facts: func(f *ClusterFacts) { f.Apps[0] = withdrawing(f.Apps[0], "op") },
			hello:  func(h *model.Hello) { h.Known = []model.KnownApp{known("a", 4, "b2")} },
			reason: "withdraws generation 4", incarnation: 2, floors: map[model.AppUID]model.Generation{"a": 4}},
		"an unknown application": {hello: func(h *model.Hello) { h.Known = []model.KnownApp{known("x", 1, "b1")} },
			unknown: 1},
		"an unknown application, and a number that is ahead": {hello: func(h *model.Hello) { h.Known, h.MaxOpSeq = []model.KnownApp{known("x", 1, "b1")}, 21 },
			reason: "operation number 21", incarnation: 2, seq: 21, unknown: 1},
		"the same restore, another agent": {facts: func(f *ClusterFacts) { f.Hub.HoldDeletes = true },
			hello: func(h *model.Hello) { h.MaxOpSeq = 30 }, reason: "operation number", seq: 30},
		"the same restore, but an epoch would repeat": {facts: func(f *ClusterFacts) { f.Hub.HoldDeletes = true },
			hello: func(h *model.Hello) { h.LastEpoch.Number = 12 }, reason: "epoch", incarnation: 2},
		"a floor that is known already": {facts: func(f *ClusterFacts) { f.Apps[0].Floor = 4 },
			hello:  func(h *model.Hello) { h.Known = []model.KnownApp{known("a", 4, "b2")} },
			floors: map[model.AppUID]model.Generation{"a": 4}},
	} {
		t.Run(name, func(t *testing.T) {
			f, h := facts(app("a", 3, "b1")), hello()
			if c.facts != nil {
				c.facts(&f)
			}
			c.hello(&h)
			o := mustOpen(t, f, h)
			if o.Regressed != (c.reason != "") || !strings.Contains(o.Reason, c.reason) {
				t.Errorf("regressed %v because %q, want %q", o.Regressed, o.Reason, c.reason)
			}
			if o.RaiseIncarnationTo != c.incarnation {
				t.Errorf("incarnation raised to %d, want %d", o.RaiseIncarnationTo, c.incarnation)
			}
			want := max(f.Hub.Incarnation, c.incarnation)
			if o.Epoch.Incarnation != want || o.Hub.Incarnation != want || o.Epoch.Number != 10 || !h.LastEpoch.Less(o.Epoch) {
				t.Errorf("epoch %s, hub %d, want incarnation %d", o.Epoch, o.Hub.Incarnation, want)
			}
			if o.Hub.HoldDeletes != (f.Hub.HoldDeletes || c.reason != "") {
				t.Errorf("hold %v", o.Hub.HoldDeletes)
			}
			if len(c.floors)+len(o.RaiseGenerations) > 0 && !reflect.DeepEqual(o.RaiseGenerations, c.floors) {
				t.Errorf("floors %v, want %v", o.RaiseGenerations, c.floors)
			}
			if o.RaiseOpSeqTo != c.seq || len(o.Unknown) != c.unknown {
				t.Errorf("seq %d, unknown %v", o.RaiseOpSeqTo, o.Unknown)
			}
			for _, w := range o.Withdraws {
				if c.unknown > 0 && w.App == "x" {
					t.Error("an unknown application is withdrawn")
				}
			}
			for _, d := range o.Desired {
				if d.Generation <= o.RaiseGenerations[d.App] {
					t.Errorf("sends generation %d of %s below its floor", d.Generation, d.App)
				}
				if d.HoldDeletes != o.Hub.HoldDeletes {
					t.Error("a desired state without the hold")
				}
			}
		})
	}
}

func TestOpenSendsWhatIsLacking(t *testing.T) {
	held := known("held", 2, "b")
	held.HoldDeletes = true
	leaving := known("leaving", 2, "b")
	foreign := known("foreign", 9, "b")
	foreign.Withdrawing = true
	f := facts(app("same", 2, "b"), app("newer", 3, "b"), app("missing", 1, "b"), withdrawing(app("leaving", 2, "b"), "op"),
		withdrawing(app("gone", 2, "b"), "op2"), app("held", 2, "b"), app("foreign", 2, "b"), AppFacts{UID: "fresh", Name: "fresh"})
	f.Operations = []model.OperationInfo{operation("op", "leaving", model.OperationDelete, model.PhaseQueued), operation("op2", "gone", model.OperationDelete, model.PhaseSent)}
	f.Hub.HoldDeletes = false
	o := mustOpen(t, f, hello(known("same", 2, "b"), known("newer", 2, "a"), leaving, held))
	var sent []model.AppUID
	for _, d := range o.Desired {
		sent = append(sent, d.App)
	}
	if want := []model.AppUID{"foreign", "held", "missing", "newer"}; !reflect.DeepEqual(sent, want) {
		t.Errorf("sent %v, want %v", sent, want)
	}
	if len(o.Withdraws) != 2 || o.Withdraws[0].App != "gone" || o.Withdraws[1].App != "leaving" {
		t.Errorf("withdraws %v", o.Withdraws)
	}
	if len(o.Operations) != 1 || o.Operations[0].Operation.ID != "op" || o.Operations[0].Operation.Phase != model.PhaseSent {
		t.Errorf("transitions %v", o.Operations)
	}
	if len(o.Send) != 0 {
		t.Errorf("deletes travel as withdrawals, sent %v", o.Send)
	}

	// What the agent is withdrawing by a decision that we do not know is kept
	// back, and while deletes are held nothing is withdrawn.
	f.Hub.HoldDeletes = true
	o = mustOpen(t, f, hello(foreign))
	for _, d := range o.Desired {
		if d.App == "foreign" {
			t.Error("a desired state for what is being withdrawn")
		}
	}
	if len(o.Withdraws) != 0 {
		t.Errorf("withdraws %v while deletes are held", o.Withdraws)
	}
}

func TestAReleasedWithdrawalLiesAboveWhatTheAgentHolds(t *testing.T) {
	a := withdrawing(app("a", 3, "b"), "op")
	a.Floor = 8
	o := mustOpen(t, facts(a), hello(known("a", 8, "c")))
	if o.Regressed {
		t.Fatalf("the floor is known already: %s", o.Reason)
	}
	if len(o.Withdraws) != 1 || o.Withdraws[0].Generation != 9 {
		t.Errorf("withdraws %+v, want generation 9", o.Withdraws)
	}
}

func TestOpenSettlesOperations(t *testing.T) {
	past, future := now.Add(-time.Second), now.Add(time.Hour)
	update := func(phase model.OperationPhase) *model.OperationUpdate {
		return &model.OperationUpdate{ID: "op", Seq: 5, App: "a", Kind: model.OperationSync, Phase: phase, Message: "m"}
	}
	for name, c := range map[string]struct {
		phase       model.OperationPhase
		deadline    *time.Time
		terminating bool
		listed      *model.OperationUpdate
		lastEpoch   int64 // default 9
		regress     bool
		appGone     bool
		unrendered  bool // and the agent holds nothing
		lacking     bool // the agent holds nothing yet
		want        model.OperationPhase
		sent        bool
		terminate   bool
		ack         bool
	}{
		"queued":                                 {phase: model.PhaseQueued, want: model.PhaseSent, sent: true},
		"queued in time":                         {phase: model.PhaseQueued, deadline: &future, want: model.PhaseSent, sent: true},
		"queued too long":                        {phase: model.PhaseQueued, deadline: &past, want: model.PhaseExpired},
		"queued, the desired state goes first":   {phase: model.PhaseQueued, lacking: true, want: model.PhaseSent, sent: true},
		"queued, and nothing is rendered":        {phase: model.PhaseQueued, unrendered: true, deadline: &future, want: model.PhaseQueued},
		"queued too long, and nothing rendered":  {phase: model.PhaseQueued, unrendered: true, deadline: &past, want: model.PhaseExpired},
		"sent, not accepted, nothing rendered":   {phase: model.PhaseSent, unrendered: true, want: model.PhaseQueued},
		"accepted, to be ended, nothing is here": {phase: model.PhaseSent, unrendered: true, terminating: true, listed: update(model.PhaseRunning), want: model.PhaseRunning, sent: true, terminate: true},
		"sent and not accepted":                  {phase: model.PhaseSent, want: model.PhaseSent, sent: true},
		"sent, not accepted, too late":           {phase: model.PhaseSent, deadline: &past, want: model.PhaseExpired},
		"sent, not accepted, to be ended":        {phase: model.PhaseSent, terminating: true, want: model.PhaseTerminated},
		"sent, too late, but an old hello":       {phase: model.PhaseSent, deadline: &past, lastEpoch: 8, want: model.PhaseSent, sent: true, terminate: true},
		"sent, too late, but a restore":          {phase: model.PhaseSent, deadline: &past, regress: true, want: model.PhaseSent, sent: true, terminate: true},
		"sent and accepted":                      {phase: model.PhaseSent, listed: update(model.PhaseRunning), want: model.PhaseRunning},
		"accepted, although too late":            {phase: model.PhaseSent, deadline: &past, listed: update(model.PhaseRunning), want: model.PhaseRunning},
		"queued here, running there":             {phase: model.PhaseQueued, listed: update(model.PhaseRunning), want: model.PhaseRunning},
		"running, to be ended":                   {phase: model.PhaseRunning, terminating: true, listed: update(model.PhaseRunning), want: model.PhaseRunning, sent: true, terminate: true},
		"running and not listed":                 {phase: model.PhaseRunning, want: model.PhaseRunning, sent: true},
		"ended meanwhile":                        {phase: model.PhaseRunning, listed: update(model.PhaseSucceeded), want: model.PhaseSucceeded, ack: true},
		"ended before its start was told":        {phase: model.PhaseSent, listed: update(model.PhaseFailed), want: model.PhaseFailed, ack: true},
		"ended here already":                     {phase: model.PhaseExpired, listed: update(model.PhaseSucceeded), want: model.PhaseExpired, ack: true},
		"queued for an application long gone":    {phase: model.PhaseQueued, appGone: true, want: model.PhaseSuperseded},
		"sent for an application long gone":      {phase: model.PhaseSent, appGone: true, lastEpoch: 8, want: model.PhaseSent, sent: true, terminate: true},
	} {
		t.Run(name, func(t *testing.T) {
			f, h := facts(app("a", 1, "b")), hello(known("a", 1, "b"))
			if c.appGone {
				f.Apps, h.Known = nil, nil
			}
			if c.unrendered {
				f.Apps[0].Desired, f.Apps[0].Counter, h.Known = nil, 0, nil
			}
			if c.lacking {
				h.Known = nil
			}
			op := operation("op", "a", model.OperationSync, c.phase)
			op.Deadline, op.Terminating = c.deadline, c.terminating
			f.Operations = []model.OperationInfo{op}
			if c.listed != nil {
				h.Operations = []model.OperationUpdate{*c.listed}
			}
			if c.lastEpoch != 0 {
				h.LastEpoch.Number = c.lastEpoch
			}
			if c.regress {
				h.MaxOpSeq = 99
			}
			o := mustOpen(t, f, h)
			got := op
			for _, tr := range o.Operations {
				got = tr.Operation
			}
			if got.Phase != c.want {
				t.Errorf("phase %s, want %s", got.Phase, c.want)
			}
			if got.Phase.Terminal() && got.Phase != model.PhaseSucceeded && !c.phase.Terminal() && got.Message == "" {
				t.Error("an end without a reason")
			}
			if (len(o.Send) == 1) != c.sent {
				t.Errorf("sent %v, want %v", o.Send, c.sent)
			}
			if c.sent && o.Send[0].Terminating != c.terminate {
				t.Errorf("terminating %v, want %v", o.Send[0].Terminating, c.terminate)
			}
			if (len(o.Acknowledge) == 1) != c.ack {
				t.Errorf("acknowledged %v, want %v", o.Acknowledge, c.ack)
			}
		})
	}
}

func TestOpenSendsOperationsInOrderAndAcknowledgesForeignOnes(t *testing.T) {
	f, h := facts(app("a", 1, "b"), app("c", 1, "b")), hello(known("a", 1, "b"), known("c", 1, "b"))
	late, early := operation("late", "a", model.OperationSync, model.PhaseQueued), operation("early", "c", model.OperationSync, model.PhaseQueued)
	late.Seq, early.Seq = 9, 4
	f.Operations = []model.OperationInfo{late, early}
	h.Operations = []model.OperationUpdate{{ID: "lost", Phase: model.PhaseSucceeded}, {ID: "lost2", Phase: model.PhaseRunning}}
	o := mustOpen(t, f, h)
	if len(o.Send) != 2 || o.Send[0].ID != "early" || o.Send[1].ID != "late" {
		t.Errorf("sent %v", o.Send)
	}
	if len(o.Foreign) != 2 || !reflect.DeepEqual(o.Acknowledge, []model.OperationID{"lost"}) {
		t.Errorf("foreign %v, acknowledged %v", o.Foreign, o.Acknowledge)
	}
}

func TestAFinishedDeleteInTheHelloRemovesTheApplication(t *testing.T) {
	f := facts(withdrawing(app("a", 2, "b"), "op"))
	f.Operations = []model.OperationInfo{operation("op", "a", model.OperationDelete, model.PhaseRunning), operation("sync", "a", model.OperationSync, model.PhaseQueued)}
	h := hello()
	h.Operations = []model.OperationUpdate{{ID: "op", App: "a", Kind: model.OperationDelete, Phase: model.PhaseSucceeded}}
	o := mustOpen(t, f, h)
	if len(o.Desired)+len(o.Withdraws)+len(o.Send) != 0 {
		t.Errorf("something is sent for an application that is gone: %+v", o)
	}
	var removed, superseded bool
	for _, tr := range o.Operations {
		removed = removed || tr.AppRemoved && tr.Operation.ID == "op"
		superseded = superseded || tr.Operation.ID == "sync" && tr.Operation.Phase == model.PhaseSuperseded
	}
	if !removed || !superseded {
		t.Errorf("transitions %+v", o.Operations)
	}
}

func TestANewerEpochThanTheHubRemembersIsARestore(t *testing.T) {
	// The sequence has moved past what the agent accepted, as after an attempt
	// whose transaction was rolled back: only the stored epoch tells.
	for _, c := range []struct {
		name           string
		previous, last model.Epoch
		want           bool
	}{
		{"remembered", model.Epoch{Incarnation: 1, Number: 9}, model.Epoch{Incarnation: 1, Number: 9}, false},
		{"older than remembered", model.Epoch{Incarnation: 1, Number: 9}, model.Epoch{Incarnation: 1, Number: 7}, false},
		{"newer than remembered", model.Epoch{Incarnation: 1, Number: 9}, model.Epoch{Incarnation: 1, Number: 11}, true},
		{"first session of this cluster", model.Epoch{}, model.Epoch{Incarnation: 1, Number: 11}, false},
		{"of an incarnation that has ended", model.Epoch{}, model.Epoch{Incarnation: 0, Number: 500}, false},
	} {
		f := ClusterFacts{Cluster: "c", Hub: HubState{Incarnation: 1}, Epoch: model.Epoch{Incarnation: 1, Number: 12}, PreviousEpoch: c.previous}
		o, err := Open(f, model.Hello{Cluster: "c", LastEpoch: c.last}, time.Unix(0, 0))
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if o.Regressed != c.want || o.Hub.HoldDeletes != c.want || (o.RaiseIncarnationTo == 2) != c.want {
			t.Errorf("%s: regressed %v (%s), holds deletes %v, raises to %d", c.name, o.Regressed, o.Reason, o.Hub.HoldDeletes, o.RaiseIncarnationTo)
		}
	}
}

func TestOpenKeepsBackAnOperationOfALaterGeneration(t *testing.T) {
	for name, c := range map[string]struct {
		about, held model.Generation
		sent        bool
	}{
		"of no generation":         {0, 3, true},
		"of the one that is held":  {3, 3, true},
		"of the one that is sent":  {4, 3, true},
		"of one that is not there": {5, 3, false},
	} {
		op := operation("op", "a", model.OperationSync, model.PhaseQueued)
		op.Generation = c.about
		f := facts(app("a", 4, "b"))
		f.Operations = []model.OperationInfo{op}
		o, err := Open(f, hello(known("a", c.held, "x")), now)
		if err != nil || (len(o.Send) == 1) != c.sent {
			t.Errorf("%s: sends %+v, %v", name, o.Send, err)
		}
	}
}
