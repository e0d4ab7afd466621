package sim

import (
	"slices"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/shared/model"
)

const s = time.Second

var (
	keyA = objectKey("web", 0)
	keyB = objectKey("web", 1)
	e1   = model.Epoch{Incarnation: 1, Number: 1}
	e2   = model.Epoch{Incarnation: 1, Number: 2}
)

// story is a short history in which everything is right: a commit, a desired
// state, a sync, a prune by an operation, a delete.
func story() History {
	both := Objects{keyA: "a1", keyB: "b1"}
	one := Objects{keyA: "a2"}
	eu := func(e Event) Event { e.Cluster, e.App, e.Name, e.Agent = "eu", "app1", "web", "agent1"; return e }
	op := func(e Event) Event { e = eu(e); e.Op, e.OpKind, e.Prune = "op1", model.OperationSync, true; return e }
	del := func(e Event) Event {
		e = eu(e)
		e.Op, e.OpKind, e.Cascade = "op2", model.OperationDelete, true
		return e
	}
	return History{
		Events: []Event{
			0:  {At: 1 * s, Kind: GitCommit, Path: "web", Revision: "r1", Objects: both},
			1:  {At: 1 * s, Kind: LeaseTaken, Cluster: "eu", Agent: "agent1", Until: 100 * s},
			2:  {At: 2 * s, Kind: SessionOpened, Cluster: "eu", Epoch: e1},
			3:  {At: 2 * s, Kind: Welcomed, Cluster: "eu", Agent: "agent1", Epoch: e1},
			4:  eu(Event{At: 3 * s, Kind: Decide, Generation: 1, Path: "web", Revision: "r1", Objects: both, Automated: true}),
			5:  eu(Event{At: 3 * s, Kind: Received, Origin: "eu"}),
			6:  eu(Event{At: 4 * s, Kind: Accepted, Epoch: e1, Generation: 1, Objects: both}),
			7:  eu(Event{At: 5 * s, Kind: Effect, Reason: ReasonApply, Generation: 1, Key: keyA, UID: "u1", Content: "a1"}),
			8:  eu(Event{At: 5 * s, Kind: Effect, Reason: ReasonApply, Generation: 1, Key: keyB, UID: "u2", Content: "b1"}),
			9:  eu(Event{At: 6 * s, Kind: HubAccepted, Epoch: e1, Detail: "report"}),
			10: eu(Event{At: 8 * s, Kind: View, Generation: 1, Sync: model.SyncSynced, Freshness: model.FreshLive, AsOf: 6 * s}),
			11: {At: 9 * s, Kind: GitCommit, Path: "web", Revision: "r2", Objects: one},
			12: eu(Event{At: 10 * s, Kind: Decide, Generation: 2, Path: "web", Revision: "r2", Objects: one, Automated: true}),
			13: op(Event{At: 11 * s, Kind: OpPhase, Phase: model.PhaseQueued, Request: "k1"}),
			14: op(Event{At: 11 * s, Kind: Answered, Request: "k1"}),
			15: op(Event{At: 12 * s, Kind: OpPhase, From: model.PhaseQueued, Phase: model.PhaseSent}),
			16: eu(Event{At: 13 * s, Kind: Accepted, Epoch: e1, Generation: 2, Objects: one}),
			17: op(Event{At: 13 * s, Kind: OpAccepted, Epoch: e1}),
			18: op(Event{At: 14 * s, Kind: Effect, Reason: ReasonApply, Generation: 2, Key: keyA, UID: "u1", Before: "a1", Owner: "web", Content: "a2", Run: 1}),
			19: op(Event{At: 14 * s, Kind: PrunePlanned, Generation: 2, Run: 1, Keys: []model.ObjectKey{keyB}, Number: 2}),
			20: op(Event{At: 15 * s, Kind: Effect, Reason: ReasonPrune, Generation: 2, Key: keyB, UID: "u2", Before: "b1", Owner: "web", Run: 1}),
			21: op(Event{At: 16 * s, Kind: OpFinished, Phase: model.PhaseSucceeded}),
			22: op(Event{At: 17 * s, Kind: OpPhase, From: model.PhaseSent, Phase: model.PhaseSucceeded}),
			23: del(Event{At: 20 * s, Kind: OpPhase, Phase: model.PhaseQueued, Request: "k2"}),
			24: del(Event{At: 20 * s, Kind: DecideWithdraw, Generation: 3}),
			25: del(Event{At: 20 * s, Kind: Answered, Request: "k2"}),
			26: del(Event{At: 21 * s, Kind: OpPhase, From: model.PhaseQueued, Phase: model.PhaseSent}),
			27: del(Event{At: 22 * s, Kind: Effect, Reason: ReasonCascade, Generation: 3, Key: keyA, UID: "u1", Before: "a2", Owner: "web"}),
			28: del(Event{At: 23 * s, Kind: Withdrawn, Generation: 3}),
			29: del(Event{At: 23 * s, Kind: OpFinished, Phase: model.PhaseSucceeded}),
			30: del(Event{At: 24 * s, Kind: OpPhase, From: model.PhaseSent, Phase: model.PhaseSucceeded}),
			31: {At: 30 * s, Kind: FaultsEnd},
		},
		Final: Final{
			Ops:  map[model.OperationID]model.OperationPhase{"op1": model.PhaseSucceeded, "op2": model.PhaseSucceeded},
			Apps: []FinalApp{{UID: "app9", Name: "db", Cluster: "eu", Path: "db", Automated: true, SelfHeal: true, Prune: true, Sync: model.SyncSynced, Freshness: model.FreshLive}},
			Head: map[string]Objects{"db": {objectKey("db", 0): "d1"}},
			Live: map[model.ClusterID]map[model.ObjectKey]FinalObject{"eu": {objectKey("db", 0): {Content: "d1", Owner: "db"}}},
			Held: map[model.ClusterID]map[model.AppUID]bool{"eu": {"app9": true}},
		},
	}
}

func insert(h *History, at int, events ...Event) {
	h.Events = slices.Insert(h.Events, at, events...)
}

func TestTheStoryIsRight(t *testing.T) {
	for _, v := range Check(story()) {
		t.Error(v)
	}
}

// TestWrongHistoriesFail: each change of the story must be found, and be called
// by its name.
func TestWrongHistoriesFail(t *testing.T) {
	again := func(h *History, i, at int, change func(*Event)) {
		e := h.Events[i]
		e.At = h.Events[at-1].At
		if change != nil {
			change(&e)
		}
		insert(h, at, e)
	}
	for name, c := range map[string]struct {
		invariant string
		change    func(*History)
	}{
		"an object that no desired state names":     {"P1", func(h *History) { h.Events[7].Key = objectKey("web", 9) }},
		"content that nobody decided":               {"P1", func(h *History) { h.Events[8].Content = "b9" }},
		"a write for a state that was not accepted": {"P1", func(h *History) { h.Events = slices.Delete(h.Events, 6, 7) }},
		"an older generation is applied again":      {"P1", func(h *History) { again(h, 8, 19, nil) }},
		"automated sync of a manual application":    {"P1", func(h *History) { h.Events[4].Automated = false }},
		"an operation of another application":       {"P1", func(h *History) { h.Events[13].App = "app2" }},
		"the desired state is not what Git has":     {"P1", func(h *History) { h.Events[12].Objects = Objects{} }},
		"a cascade that nobody asked for":           {"P1", func(h *History) { h.Events[27].Op = "op7" }},
		"a cascade where orphaning was asked for":   {"P1", func(h *History) { h.Events[24].Cascade = false }},
		"a cascade in another cluster":              {"P1", func(h *History) { h.Events[24].Cluster = "us" }},
		"a withdrawn application comes back":        {"P1", func(h *History) { again(h, 16, 29, nil) }},
		"a cascade by a delete that was taken back": {"P1", func(h *History) { h.Events[26].Phase, h.Events[26].Detail = model.PhaseTerminated, "no" }},
		"an operation never ends":                   {"P2", func(h *History) { h.Events = slices.Delete(h.Events, 22, 23); h.Final.Ops["op1"] = model.PhaseSent }},
		"an operation ends twice":                   {"P2", func(h *History) { again(h, 22, 24, func(e *Event) { e.Phase, e.Detail = model.PhaseFailed, "no" }) }},
		"an operation fails without a reason":       {"P2", func(h *History) { h.Events[22].Phase = model.PhaseFailed; h.Final.Ops["op1"] = model.PhaseFailed }},
		"hub and agent disagree about an end":       {"P2", func(h *History) { h.Events[21].Phase = model.PhaseFailed }},
		"Synced before it was":                      {"P3", func(h *History) { h.Events[10].AsOf = 4 * s }},
		"Synced after it drifted": {"P3", func(h *History) {
			insert(h, 9, Event{At: 5500 * time.Millisecond, Kind: UserWrite, Cluster: "eu", Key: keyA, UID: "u1", Content: "x", Owner: "web"})
		}},
		"live at an age of a minute":           {"P3", func(h *History) { h.Events[10].AsOf -= 60 * s; h.Events[10].Sync = model.SyncOutOfSync }},
		"an observation of the future":         {"P3", func(h *History) { h.Events[10].AsOf = 9 * s }},
		"data of another cluster":              {"P4", func(h *History) { h.Events[5].Origin = "us" }},
		"an answer without a commit":           {"I1", func(h *History) { h.Events[14].Op = "op5" }},
		"a committed operation is lost":        {"I1", func(h *History) { delete(h.Final.Ops, "op1") }},
		"one request makes two operations":     {"I1", func(h *History) { h.Events[23].Request = "k1" }},
		"an operation goes on after its end":   {"I2", func(h *History) { again(h, 18, 22, func(e *Event) { e.Before, e.Owner = "z", "" }) }},
		"an operation ends twice at its agent": {"I2", func(h *History) { again(h, 21, 22, nil) }},
		"an operation is accepted again":       {"I2", func(h *History) { again(h, 17, 22, nil) }},
		"a write that changes nothing":         {"I2", func(h *History) { h.Events[18].Before = "a2" }},
		"a write without the lease":            {"I3", func(h *History) { h.Events[7].Agent = "agent2" }},
		"a write after the lease ran out":      {"I3", func(h *History) { h.Events[1].Until = 4 * s }},
		"a lease taken too early": {"I3", func(h *History) {
			insert(h, 2, Event{At: 2 * s, Kind: LeaseTaken, Cluster: "eu", Agent: "agent2", Until: 17 * s})
		}},
		"the hub accepts an old epoch":     {"I3", func(h *History) { insert(h, 9, Event{At: 5 * s, Kind: SessionOpened, Cluster: "eu", Epoch: e2}) }},
		"the agent accepts an old session": {"I3", func(h *History) { again(h, 3, 5, nil) }},
		"the agent accepts a state of an old session": {"I3", func(h *History) {
			insert(h, 6, Event{At: 3 * s, Kind: Welcomed, Cluster: "eu", Agent: "agent1", Epoch: e2})
		}},
		"the agent accepts a command of an old session": {"I3", func(h *History) { h.Events[17].Epoch = model.Epoch{} }},
		"a bundle cut short":                            {"I4", func(h *History) { h.Events[16].Objects = Objects{} }},
		"a prune without leave":                         {"I4", func(h *History) { h.Events[13].Prune = false }},
		"a prune by a policy that does not prune":       {"I4", func(h *History) { h.Events[19].Op, h.Events[20].Op = "", "" }},
		"a prune outside its plan":                      {"I4", func(h *History) { h.Events[19].Keys = nil }},
		"a prune while deletes are held":                {"I4", func(h *History) { h.Events[16].Hold = true }},
		"a prune of what is desired":                    {"I4", func(h *History) { h.Events[20].Key = keyA; h.Events[19].Keys[0] = keyA; h.Events[20].UID = "u1" }},
		"a prune of somebody else's object":             {"I4", func(h *History) { h.Events[20].Owner = "db" }},
		"a prune of an object made by hand":             {"I4", func(h *History) { h.Events[20].UID = "u77" }},
		"a prune with another number confirmed":         {"I4", func(h *History) { h.Events[13].Confirm = 3 }},
		"a prune of everything": {"I4", func(h *History) {
			h.Events[11].Objects, h.Events[12].Objects, h.Events[16].Objects = Objects{}, Objects{}, Objects{}
			h.Events = slices.Delete(h.Events, 18, 19)
		}},
		"a volume claim is pruned": {"I4", func(h *History) {
			k := model.ObjectKey{Kind: "PersistentVolumeClaim", Namespace: "web", Name: "data"}
			h.Events[19].Keys, h.Events[20].Key = []model.ObjectKey{k}, k
		}},
		"a cascade deletes somebody else's object":   {"I4", func(h *History) { h.Events[27].Owner = "" }},
		"Git and cluster differ at rest":             {"I5", func(h *History) { h.Final.Head["db"][objectKey("db", 0)] = "d2" }},
		"the hub shows it otherwise":                 {"I5", func(h *History) { h.Final.Apps[0].Sync = model.SyncOutOfSync }},
		"the hub has not heard of it":                {"I5", func(h *History) { h.Final.Apps[0].Freshness = model.FreshStale }},
		"the agent does not hold it":                 {"I5", func(h *History) { h.Final.Held["eu"] = nil }},
		"the agent holds what the hub does not know": {"I5", func(h *History) { h.Final.Held["eu"]["app77"] = true }},
		"an object is left over": {"I5", func(h *History) {
			h.Events = slices.Delete(h.Events, 23, 31)
			delete(h.Final.Ops, "op2")
			h.Final.Apps[0] = FinalApp{UID: "app1", Name: "web", Cluster: "eu", Path: "web", Automated: true, Prune: true, Sync: model.SyncSynced, Freshness: model.FreshLive}
			h.Final.Head = map[string]Objects{"web": {}}
			h.Final.Live["eu"] = map[model.ObjectKey]FinalObject{keyA: {Content: "a2", Owner: "web"}}
			h.Final.Held["eu"] = map[model.AppUID]bool{"app1": true}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			h := story()
			c.change(&h)
			found := Check(h)
			if !slices.ContainsFunc(found, func(v Violation) bool { return v.Invariant == c.invariant }) {
				t.Errorf("%s was not found; found %v", c.invariant, found)
			}
		})
	}
}

// TestRestoreSetsBackOperations: what a restore undid is not missed, and what
// survived it is.
func TestRestoreSetsBackOperations(t *testing.T) {
	undone := story()
	insert(&undone, 13, Event{At: 10 * s, Kind: Snapshot, Number: 1})
	insert(&undone, 32, Event{At: 25 * s, Kind: Restore, Number: 1})
	undone.Final.Ops = nil
	for _, v := range Check(undone) {
		t.Error(v)
	}
	survived := story()
	insert(&survived, 23, Event{At: 18 * s, Kind: Snapshot, Number: 1})
	insert(&survived, 32, Event{At: 25 * s, Kind: Restore, Number: 1})
	survived.Final.Ops = nil
	found := Check(survived)
	if len(found) != 1 || found[0].Invariant != "I1" {
		t.Errorf("want one I1 for op1, found %v", found)
	}
}

// TestSameSeedSameHistory: a failing seed can be run again.
func TestSameSeedSameHistory(t *testing.T) {
	for seed := uint64(1); seed <= 5; seed++ {
		a, b := Run(Config{Seed: seed}), Run(Config{Seed: seed})
		if len(a.Events) != len(b.Events) {
			t.Fatalf("seed %d: %d and %d events", seed, len(a.Events), len(b.Events))
		}
		for i := range a.Events {
			if a.Events[i].String() != b.Events[i].String() {
				t.Fatalf("seed %d differs at event %d:\n%s\n%s", seed, i, a.Events[i], b.Events[i])
			}
		}
	}
}

// TestSeedsReachTheFaults: a simulator in which nothing happens proves nothing.
func TestSeedsReachTheFaults(t *testing.T) {
	seen := map[string]int{}
	for seed := uint64(1); seed <= 60; seed++ {
		for _, e := range Run(Config{Seed: seed}).Events {
			seen[string(e.Kind)]++
			if e.Kind == Effect {
				seen[string(e.Reason)]++
			}
			if e.Kind == OpPhase {
				seen[string(e.Phase)]++
			}
			if e.Kind == Accepted && e.Hold {
				seen["held"]++
			}
		}
	}
	for _, want := range []string{
		string(GitCommit), string(UserWrite), string(UserErase), string(Decide), string(DecideWithdraw), string(SessionOpened), string(HubAccepted),
		string(Snapshot), string(Restore), string(Acknowledged), string(Answered), string(View), string(LeaseTaken), string(Welcomed), string(Accepted),
		string(OpAccepted), string(OpFinished), string(Withdrawn), string(PrunePlanned),
		string(ReasonApply), string(ReasonPrune), string(ReasonCascade), string(ReasonOrphan), "held",
		string(model.PhaseSucceeded), string(model.PhaseFailed), string(model.PhaseSuperseded), string(model.PhaseExpired), string(model.PhaseTerminated),
	} {
		if seen[want] < 10 {
			t.Errorf("%s happened %d times in 60 seeds", want, seen[want])
		}
	}
}
