package reconcile

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/agent/journal"
	"github.com/hawser-dev/hawser/e2e/testbed"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// stuck is a Deployment that never becomes healthy, before a later wave.
const stuck = `apiVersion: apps/v1
kind: Deployment
metadata: {name: stuck}
spec:
  replicas: 1
  selector: {matchLabels: {app: stuck}}
  template:
    metadata: {labels: {app: stuck}}
    spec: {nodeSelector: {no-such: node}, containers: [{name: a, image: "registry.k8s.io/pause:3.9"}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: after, annotations: {argocd.argoproj.io/sync-wave: '1'}}
data: {v: '1'}
---
`

func manual() *model.SyncPolicy {
	return &model.SyncPolicy{SyncOptions: []string{"CreateNamespace=true"}}
}

func TestOperationsEndOnce(t *testing.T) {
	cp := controlPlane(t)
	a := startAgent(t, cp, "agent-ops")
	const uid = "uid-ops"
	// A command may come before its desired state.
	a.engine.Operation(t.Context(), model.Command{ID: "op-1", Seq: 1, App: uid, Kind: model.OperationSync, Generation: 1})
	d, b := desired(t, "ops", "ops", 1, manual(), stuck)
	a.mustSend(d, b)
	path := "/apis/apps/v1/namespaces/ops/deployments/stuck"
	eventually(t, 20*time.Second, func() error {
		if a.k.get(path) == nil {
			return errors.New("the operation did not begin")
		}
		return nil
	})
	// It waits for its first wave, and says so, until somebody ends it.
	eventually(t, 20*time.Second, func() error {
		st := a.status(uid)
		if st.Operation == nil || st.Operation.Phase != model.PhaseRunning || st.Sync.Status != model.SyncOutOfSync || st.Health.Status != model.HealthProgressing {
			return fmt.Errorf("status %+v, %+v, %+v", st.Operation, st.Sync, st.Health)
		}
		return nil
	})
	if ups := a.ops.of("op-1"); slices.ContainsFunc(ups, func(u model.OperationUpdate) bool { return u.Phase.Terminal() }) {
		t.Fatalf("ended already: %+v", ups)
	}
	a.engine.Operation(t.Context(), model.Command{ID: "op-1", Seq: 1, App: uid, Kind: model.OperationSync, Terminate: true})
	if end := a.ended("op-1"); end.Phase != model.PhaseTerminated {
		t.Fatalf("%+v", end)
	}
	if a.k.get(cmPath("ops", "after")) != nil {
		t.Error("the later wave was applied")
	}
	// A withdrawal ends an operation that is under way.
	a.operation("op-2", 2, uid, model.OperationSpec{})
	eventually(t, 20*time.Second, func() error {
		if st := a.engine.snapshot(uid); st.pending == nil || st.pending.StartedAt == nil {
			return errors.New("op-2 has not begun")
		}
		return nil
	})
	a.engine.Withdraw(t.Context(), model.Withdraw{App: uid, Name: "ops", Generation: 2, Mode: model.WithdrawCascade, Operation: "op-3", OperationSeq: 3})
	if end := a.ended("op-3"); end.Phase != model.PhaseSucceeded {
		t.Fatalf("%+v", end)
	}
	if end := a.ended("op-2"); end.Phase != model.PhaseSuperseded {
		t.Fatalf("%+v", end)
	}
	if a.k.get(path) != nil {
		t.Error("the Deployment exists after the withdrawal")
	}
	for _, id := range []model.OperationID{"op-1", "op-2", "op-3"} {
		ends := map[model.OperationPhase]bool{}
		for _, u := range a.ops.of(id) {
			if u.Phase.Terminal() {
				ends[u.Phase] = true
			}
		}
		if len(ends) != 1 {
			t.Errorf("%s has ends %v", id, ends)
		}
	}
	// A withdrawal of what is not held is done; late messages bring nothing back.
	a.engine.Withdraw(t.Context(), model.Withdraw{App: "uid-nobody", Name: "nobody", Generation: 1, Mode: model.WithdrawCascade, Operation: "op-4", OperationSeq: 4})
	if end := a.ended("op-4"); end.Phase != model.PhaseSucceeded {
		t.Fatalf("%+v", end)
	}
	if err := a.send(d, b); !fault.HasCode(err, "withdrawn") {
		t.Errorf("a late desired state: %v", err)
	}
}

func TestANewerGenerationNeedNotWaitForTheOld(t *testing.T) {
	cp := controlPlane(t)
	a := startAgent(t, cp, "agent-newer")
	const uid = "uid-newer"
	d, b := desired(t, "newer", "newer", 1, automated(true, true), stuck)
	a.mustSend(d, b)
	eventually(t, 20*time.Second, func() error {
		if a.k.get("/apis/apps/v1/namespaces/newer/deployments/stuck") == nil {
			return errors.New("not begun")
		}
		return nil
	})
	d, b = desired(t, "newer", "newer", 2, automated(true, true), configMap("newer", "a", "1")+configMap("newer", "b", "1"))
	a.mustSend(d, b)
	a.synced(uid, 2)
	// What the unfinished generation created is owned, and pruned.
	eventually(t, 20*time.Second, func() error {
		if a.k.get("/apis/apps/v1/namespaces/newer/deployments/stuck") != nil {
			return errors.New("the Deployment of the unfinished generation exists")
		}
		return nil
	})
	// Older and conflicting messages change nothing.
	old, ob := desired(t, "newer", "newer", 1, automated(true, true), stuck)
	if err := a.send(old, ob); err != nil {
		t.Errorf("an older generation: %v", err)
	}
	other, ob := desired(t, "newer", "newer", 2, automated(true, true), configMap("newer", "a", "9"))
	if err := a.send(other, ob); !fault.HasCode(err, "generation_conflict") {
		t.Errorf("other content under the same generation: %v", err)
	}
	if err := a.send(d, b[:len(b)-5]); !fault.HasCode(err, "bundle_corrupt") && !fault.HasCode(err, "bundle_incomplete") {
		t.Errorf("half a bundle: %v", err)
	}
	a.synced(uid, 2)
	if v := field(a.k.get(cmPath("newer", "a")), "data", "v"); v != "1" {
		t.Errorf("a is %v", v)
	}
}

func TestHeldDeletesWait(t *testing.T) {
	cp := controlPlane(t)
	a := startAgent(t, cp, "agent-held")
	const uid = "uid-held"
	d, b := desired(t, "held", "held", 1, automated(true, true), configMap("held", "a", "1")+configMap("held", "b", "1"))
	a.mustSend(d, b)
	a.synced(uid, 1)
	d, b = desired(t, "held", "held", 2, automated(true, true), configMap("held", "a", "2"))
	d.HoldDeletes = true
	a.mustSend(d, b)
	eventually(t, 20*time.Second, func() error {
		st := a.status(uid)
		if !slices.ContainsFunc(st.Conditions, func(c model.Condition) bool { return c.Type == "DeletesHeld" }) {
			return fmt.Errorf("conditions %v", st.Conditions)
		}
		if v := field(a.k.get(cmPath("held", "a")), "data", "v"); v != "2" {
			return fmt.Errorf("a is %v", v)
		}
		return nil
	})
	if a.k.get(cmPath("held", "b")) == nil {
		t.Fatal("b was pruned while deletes are held")
	}
	// Drift is healed meanwhile.
	a.k.merge(cmPath("held", "a"), `{"data":{"v":"drift"}}`)
	eventually(t, 20*time.Second, func() error {
		if v := field(a.k.get(cmPath("held", "a")), "data", "v"); v != "2" {
			return fmt.Errorf("a is %v", v)
		}
		return nil
	})
	d.HoldDeletes = false
	a.mustSend(d, b)
	a.synced(uid, 2)
	if a.k.get(cmPath("held", "b")) != nil {
		t.Error("b exists after deletes are held no more")
	}
}

func TestForeignObjectsAreNotPruned(t *testing.T) {
	cp := controlPlane(t)
	a := startAgent(t, cp, "agent-foreign")
	const uid = "uid-foreign"
	names := []string{"a", "b", "c"}
	all := ""
	for _, n := range names {
		all += configMap("foreign", n, "1")
	}
	d, b := desired(t, "foreign", "foreign", 1, automated(true, false), all)
	a.mustSend(d, b)
	a.synced(uid, 1)
	// b is replaced by somebody, c is taken over: neither is ours any more.
	a.k.do(http.MethodDelete, cmPath("foreign", "b"), "application/json", "")
	a.k.do(http.MethodPost, "/api/v1/namespaces/foreign/configmaps", "application/json",
		`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"b","annotations":{"argocd.argoproj.io/tracking-id":"foreign:/ConfigMap:foreign/b"}}}`)
	a.k.merge(cmPath("foreign", "c"), `{"metadata":{"annotations":{"argocd.argoproj.io/tracking-id":"other:/ConfigMap:foreign/c"}}}`)
	eventually(t, 20*time.Second, func() error {
		if st := a.status(uid); st.Sync.Status != model.SyncOutOfSync {
			return fmt.Errorf("sync %v", st.Sync)
		}
		rec, _ := a.obs.Get(model.ObjectKey{Kind: "ConfigMap", Namespace: "foreign", Name: "c"})
		if !strings.HasPrefix(rec.TrackingID, "other:") {
			return errors.New("the takeover is not seen")
		}
		return nil
	})
	uidOfB := field(a.k.get(cmPath("foreign", "b")), "metadata", "uid")
	d, b = desired(t, "foreign", "foreign", 2, automated(true, false), configMap("foreign", "a", "2"))
	a.mustSend(d, b)
	a.synced(uid, 2)
	if got := field(a.k.get(cmPath("foreign", "b")), "metadata", "uid"); got != uidOfB {
		t.Errorf("b is %v, was %v", got, uidOfB)
	}
	if a.k.get(cmPath("foreign", "c")) == nil {
		t.Error("the other application's object was pruned")
	}
	a.engine.Withdraw(t.Context(), model.Withdraw{App: uid, Name: "foreign", Generation: 3, Mode: model.WithdrawCascade, Operation: "op-f", OperationSeq: 1})
	a.ended("op-f")
	if a.k.get(cmPath("foreign", "b")) == nil || a.k.get(cmPath("foreign", "c")) == nil {
		t.Error("a withdrawal deleted what is not ours")
	}
	if a.k.get(cmPath("foreign", "a")) != nil {
		t.Error("a exists")
	}
}

func TestAPIServerGoesAway(t *testing.T) {
	controlPlane(t) // for its check of -short
	cp := testbed.NeedControlPlane(t, testbed.Options{Name: "outage", Nodes: -1})
	a := startAgent(t, cp, "agent-outage")
	const uid = "uid-outage"
	d, b := desired(t, "outage", "outage", 1, automated(true, true), configMap("outage", "a", "1")+configMap("outage", "b", "1"))
	a.mustSend(d, b)
	a.synced(uid, 1)
	if err := cp.StopAPIServer(); err != nil {
		t.Fatal(err)
	}
	// A desired state that arrives now is acknowledged when it can be stored.
	d, b = desired(t, "outage", "outage", 2, automated(true, true), configMap("outage", "a", "2"))
	acked := make(chan error, 1)
	a.engine.Desired(t.Context(), d, b, func(err error) { acked <- err })
	eventually(t, 20*time.Second, func() error {
		if c := a.store.Conditions(); !slices.ContainsFunc(c, func(c model.Condition) bool { return c.Code == "journal_unwritable" }) {
			return fmt.Errorf("conditions %v", c)
		}
		return nil
	})
	select {
	case err := <-acked:
		t.Fatalf("acknowledged (%v) although nothing can be stored", err)
	default:
	}
	if err := cp.StartAPIServer(t.Context()); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-acked:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(60 * time.Second):
		t.Fatal("no acknowledgement after the API server is back")
	}
	a.synced(uid, 2)
	eventually(t, 30*time.Second, func() error {
		if a.k.get(cmPath("outage", "b")) != nil {
			return errors.New("b is not pruned")
		}
		return nil
	})
	if v := field(a.k.get(cmPath("outage", "a")), "data", "v"); v != "2" {
		t.Errorf("a is %v", v)
	}
}

func TestAnotherAgentsJournalStopsEffects(t *testing.T) {
	cp := controlPlane(t)
	a := startAgent(t, cp, "agent-two")
	const uid = "uid-two"
	d, b := desired(t, "two", "two", 1, automated(true, true), configMap("two", "a", "1"))
	a.mustSend(d, b)
	a.synced(uid, 1)
	// Somebody else writes the journal.
	for _, name := range []string{"hawser-state-00"} {
		a.k.merge("/api/v1/namespaces/agent-two/secrets/"+name, `{"metadata":{"labels":{"touched":"yes"}}}`)
	}
	d, b = desired(t, "two", "two", 2, automated(true, true), configMap("two", "a", "2"))
	if err := a.send(d, b); !fault.HasCode(err, "journal_conflict") {
		t.Fatalf("acknowledged with %v", err)
	}
	a.k.merge(cmPath("two", "a"), `{"data":{"v":"drift"}}`)
	eventually(t, 20*time.Second, func() error {
		if st := a.status(uid); st.Sync.Status != model.SyncOutOfSync {
			return fmt.Errorf("%v", st.Sync)
		}
		return nil
	})
	if v := field(a.k.get(cmPath("two", "a")), "data", "v"); v != "drift" {
		t.Errorf("an agent that lost its journal wrote %v", v)
	}
	if _, err := a.engine.Hello(t.Context()); !fault.HasCode(err, "journal_conflict") {
		t.Errorf("hello: %v", err)
	}
	// Started over, it knows what is stored and goes on.
	a.stop()
	a = startAgent(t, cp, "agent-two")
	var g model.Generation
	a.store.View(func(book *journal.Book) { g = book.Apps[uid].Desired.Generation })
	if g != 1 {
		t.Errorf("generation %d is stored", g)
	}
	a.mustSend(d, b)
	a.synced(uid, 2)
}

func TestAConfirmedPruneGoesOnAfterARestart(t *testing.T) {
	cp := controlPlane(t)
	a := startAgent(t, cp, "agent-agreed")
	const uid = "uid-agreed"
	full := ""
	for i := range 3 {
		full += configMap("agreed", fmt.Sprintf("c%d", i), "1")
	}
	d, b := desired(t, "agreed", "agreed", 1, automated(true, true, "CreateNamespace=true"), full)
	a.mustSend(d, b)
	a.synced(uid, 1)
	d, b = desired(t, "agreed", "agreed", 2, manual(), "")
	a.mustSend(d, b)
	eventually(t, 20*time.Second, func() error {
		if st := a.status(uid); st.Generation != 2 || st.Sync.Status != model.SyncOutOfSync {
			return fmt.Errorf("generation %d, %v", st.Generation, st.Sync)
		}
		return nil
	})
	left := func() (n int) {
		for i := range 3 {
			if a.k.get(cmPath("agreed", fmt.Sprintf("c%d", i))) != nil {
				n++
			}
		}
		return n
	}
	// The run asks the fence once, and twice for each of the three deletes: with
	// five answers one or two of them get through.
	a.fuse(5, fault.New(fault.Precondition, "lease_lost", "another agent holds the Lease"))
	three := 3
	a.operation("op-1", 1, uid, model.OperationSpec{Prune: true, ConfirmPrune: &three})
	eventually(t, 20*time.Second, func() error {
		if n := left(); n == 3 || a.blown() == nil {
			return fmt.Errorf("%d objects are left, the fence says %v", n, a.blown())
		}
		return nil
	})
	a.stop()
	if n := left(); n == 0 {
		t.Fatal("nothing is left to be pruned after the restart")
	}
	a = startAgent(t, cp, "agent-agreed")
	if end := a.ended("op-1"); end.Phase != model.PhaseSucceeded {
		t.Fatalf("%s: %s", end.Phase, end.Message)
	}
	// The server has accepted the deletes; its garbage collector ends them.
	eventually(t, 20*time.Second, func() error {
		if n := left(); n != 0 {
			return fmt.Errorf("%d objects are left", n)
		}
		return nil
	})
}

func TestASyncOfNothingCanBeEnded(t *testing.T) {
	cp := controlPlane(t)
	a := startAgent(t, cp, "agent-nothing")
	a.operation("op-1", 1, "uid-nothing", model.OperationSpec{})
	eventually(t, 20*time.Second, func() error {
		if ups := a.ops.of("op-1"); len(ups) == 0 || ups[0].Phase != model.PhaseRunning {
			return fmt.Errorf("not taken on: %+v", ups)
		}
		return nil
	})
	a.engine.Operation(t.Context(), model.Command{ID: "op-1", Seq: 1, App: "uid-nothing", Kind: model.OperationSync, Terminate: true})
	if end := a.ended("op-1"); end.Phase != model.PhaseTerminated {
		t.Fatalf("%+v", end)
	}
	if s := a.engine.snapshot("uid-nothing"); s.pending != nil {
		t.Errorf("still pending: %+v", s.pending)
	}
}

func TestATightenedProjectEndsHealingAndDeletesNothing(t *testing.T) {
	cp := controlPlane(t)
	a := startAgent(t, cp, "agent-tight")
	const uid = "uid-tight"
	d, b := desired(t, "tight", "tight", 1, automated(true, true, "CreateNamespace=true"), configMap("tight", "a", "1")+configMap("tight", "b", "1"))
	d.Spec.SourceRepos, d.ProjectSpec.SourceRepos = []string{"https://git.example/a"}, []string{"*"}
	a.mustSend(d, b)
	a.synced(uid, 1)
	d.Generation, d.ProjectSpec.SourceRepos = 2, []string{"https://git.example/b"}
	a.mustSend(d, b)
	refused := func() error {
		st := a.status(uid)
		if !slices.ContainsFunc(st.Conditions, func(c model.Condition) bool { return c.Code == "repo_not_permitted" }) {
			return fmt.Errorf("generation %d, conditions %v", st.Generation, st.Conditions)
		}
		return nil
	}
	eventually(t, 20*time.Second, refused)
	audit, err := cp.AuditFromNow()
	if err != nil {
		t.Fatal(err)
	}
	a.k.merge(cmPath("tight", "a"), `{"data":{"v":"drift"}}`)
	eventually(t, 20*time.Second, func() error {
		if st := a.status(uid); st.Sync.Status != model.SyncOutOfSync {
			return fmt.Errorf("sync %v", st.Sync)
		}
		return refused()
	})
	a.operation("op-1", 1, uid, model.OperationSpec{Prune: true})
	if end := a.ended("op-1"); end.Phase != model.PhaseFailed || !strings.Contains(end.Message, "project") {
		t.Errorf("%s: %s", end.Phase, end.Message)
	}
	events, err := audit.Next()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		if e.Write() && e.Namespace == "tight" && strings.HasPrefix(e.UserAgent, "hawser-agent") {
			t.Errorf("a refused application is written: %s", e)
		}
	}
	if a.k.get(cmPath("tight", "b")) == nil || field(a.k.get(cmPath("tight", "a")), "data", "v") != "drift" {
		t.Error("the objects are not as they were left")
	}
}

func TestTheAgentsOwnNamespaceIsRefused(t *testing.T) {
	cp := controlPlane(t)
	a := startAgent(t, cp, "agent-own")
	d, b := desired(t, "own", "agent-own", 1, automated(true, true), configMap("agent-own", "a", "1"))
	a.mustSend(d, b)
	eventually(t, 20*time.Second, func() error {
		st := a.status("uid-own")
		if st.Sync.Status != model.SyncOutOfSync {
			return fmt.Errorf("sync %v", st.Sync)
		}
		for _, code := range []string{"comparison_failed", codeOwnNamespace} {
			if !slices.ContainsFunc(st.Conditions, func(c model.Condition) bool {
				return c.Code == code && (code == codeOwnNamespace || strings.Contains(c.Message, "the agent's own"))
			}) {
				return fmt.Errorf("no condition %s: %v", code, st.Conditions)
			}
		}
		return nil
	})
	if a.k.get(cmPath("agent-own", "a")) != nil {
		t.Error("it was deployed there")
	}
}
