package reconcile

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/agent/journal"
	"github.com/hawser-dev/hawser/agent/sync"
	"github.com/hawser-dev/hawser/shared/model"
)

// Nobody knows how a hook ended that is gone when the agent comes back, as a Job with
// a short time to live. It has failed, and is not started a second time.
func TestAHookThatIsGoneAfterARestartIsNotStartedAgain(t *testing.T) {
	cp := controlPlane(t)
	a := startAgent(t, cp, "agent-vanish")
	const ns, uid = "vanish", "uid-vanish"
	d, b := desired(t, "vanish", ns, 1, &model.SyncPolicy{SyncOptions: []string{"CreateNamespace=true"}}, hookPod(ns, "before", "PreSync")+configMap(ns, "a", "1"))
	a.mustSend(d, b)
	a.operation("op-vanish", 1, uid, model.OperationSpec{})
	a.begun(ns, "before")
	a.noted(uid)
	a.stop()
	a.k.do(http.MethodDelete, podPath(ns, "before"), "application/json", `{"gracePeriodSeconds":0}`)
	eventually(t, 20*time.Second, func() error {
		if a.k.get(podPath(ns, "before")) != nil {
			return errors.New("the pod is there")
		}
		return nil
	})
	audit := auditOf(t, cp)
	a = startAgent(t, cp, "agent-vanish")
	end := a.ended("op-vanish")
	if end.Phase != model.PhaseFailed || end.Result == nil || a.k.get(cmPath(ns, "a")) != nil {
		t.Errorf("%+v %+v", end, end.Result)
	}
	if w := written(t, audit, ns); len(w) != 0 {
		t.Errorf("after the restart: %v", w)
	}
}

// Somebody ends an operation, and the agent is gone before it has done so. Its hooks
// do not run on.
func TestAnOperationThatIsEndedAcrossARestartEndsItsHooks(t *testing.T) {
	cp := controlPlane(t)
	a := startAgent(t, cp, "agent-late")
	const ns, uid = "late", "uid-late"
	d, b := desired(t, "late", ns, 1, &model.SyncPolicy{SyncOptions: []string{"CreateNamespace=true"}}, hookPod(ns, "before", "PreSync")+configMap(ns, "a", "1"))
	a.mustSend(d, b)
	a.operation("op-late", 1, uid, model.OperationSpec{})
	a.begun(ns, "before")
	a.noted(uid)
	f := a.store.Update(journal.Urgent, func(b *journal.Book) journal.Change {
		v, err := b.AcceptOperation(model.Command{ID: "op-late", Seq: 1, App: uid, Kind: model.OperationSync, Terminate: true}, time.Now())
		if err != nil {
			t.Error(err)
		}
		return v.Change
	})
	if err := f.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	a.stop()
	a = startAgent(t, cp, "agent-late")
	if end := a.ended("op-late"); end.Phase != model.PhaseTerminated || end.Message != "ended on request" {
		t.Errorf("%+v", end)
	}
	eventually(t, 20*time.Second, func() error {
		if a.k.get(podPath(ns, "before")) != nil {
			return errors.New("its hook still runs")
		}
		return nil
	})
}

// noted waits until the journal holds that a hook of the application was started.
func (a *agent) noted(uid model.AppUID) {
	a.t.Helper()
	eventually(a.t, 20*time.Second, func() error {
		if s := a.engine.snapshot(uid); s.run == nil || len(started(s.run, s.run.ID)) == 0 {
			return errors.New("no start of a hook is recorded")
		}
		return nil
	})
	hooks := hookMemory{engine: a.engine, uid: uid}
	if err := sync.HookMemory(&hooks).Settle(a.t.Context()); err != nil {
		a.t.Fatal(err)
	}
}

// Nothing of a deletion happens before it is approved, hooks neither. When one hook
// has failed and is run again, those that have succeeded are not, whatever they are
// named.
func TestHooksOfADeletionAwaitItsApproval(t *testing.T) {
	cp := controlPlane(t)
	a := startAgent(t, cp, "agent-appr")
	const ns, uid = "appr", "uid-appr"
	yaml := configMap(ns, "a", "1") +
		"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: d, namespace: appr, annotations: {argocd.argoproj.io/sync-options: Delete=confirm}}\n---\n" +
		hookPod(ns, "bad", "PreDelete") + strings.Replace(hookPod(ns, "good-", "PreDelete"), "name: good-", "generateName: good-", 1)
	d, b := desired(t, "appr", ns, 1, automated(true, true), yaml)
	a.mustSend(d, b)
	a.synced(uid, 1)
	audit := auditOf(t, cp)
	a.engine.Withdraw(t.Context(), model.Withdraw{App: uid, Name: "appr", Generation: 2, Mode: model.WithdrawCascade, Operation: "op-appr", OperationSeq: 2})
	eventually(t, 30*time.Second, func() error {
		for _, c := range a.status(uid).Conditions {
			if c.Code == "deletion_unconfirmed" {
				return nil
			}
		}
		if a.k.get(podPath(ns, "bad")) != nil {
			t.Fatal("a hook runs before the approval")
		}
		return errors.New("no approval is asked for")
	})
	if w := written(t, audit, ns); len(w) != 0 {
		t.Fatalf("before the approval: %v", w)
	}
	a.engine.Withdraw(t.Context(), model.Withdraw{App: uid, Name: "appr", Generation: 3, Mode: model.WithdrawCascade, Operation: "op-appr-2", OperationSeq: 3, ApproveDeletions: true})
	first, good := a.begun(ns, "bad"), ""
	eventually(t, 30*time.Second, func() error {
		for _, o := range field(a.k.get("/api/v1/namespaces/"+ns+"/pods"), "items").([]any) {
			if name, _ := field(o.(map[string]any), "metadata", "name").(string); strings.HasPrefix(name, "good-") {
				good = name
				return nil
			}
		}
		return errors.New("the generated hook does not run")
	})
	a.ends(ns, good, "Succeeded")
	a.ends(ns, "bad", "Failed")
	eventually(t, 30*time.Second, func() error {
		if a.begun(ns, "bad") == first {
			return errors.New("the failed hook is not run again")
		}
		return nil
	})
	a.ends(ns, "bad", "Succeeded")
	a.ended("op-appr-2")
	creates := 0
	for _, w := range written(t, audit, ns) {
		if strings.HasPrefix(w, "create ") {
			creates++
		}
	}
	if creates != 3 || a.k.get(podPath(ns, good)) != nil || a.k.get(cmPath(ns, "d")) != nil {
		t.Errorf("%d hooks were started, want the good one once and the bad one twice", creates)
	}
}

// A migration runs when its application is deleted. It is ended, and gone, before
// the backup of PreDelete begins.
func TestADeletionEndsAHookThatRunsBeforeItsOwnBegin(t *testing.T) {
	cp := controlPlane(t)
	a := startAgent(t, cp, "agent-cut")
	const ns, uid = "cut", "uid-cut"
	migrate := strings.Replace(hookPod(ns, "migrate", "PreSync"), "  annotations:", "  finalizers: [example.com/hold]\n  annotations:", 1)
	d, b := desired(t, "cut", ns, 1, automated(true, true), configMap(ns, "a", "1")+migrate+hookPod(ns, "backup", "PreDelete"))
	a.mustSend(d, b)
	a.begun(ns, "migrate")
	a.engine.Withdraw(t.Context(), model.Withdraw{App: uid, Name: "cut", Generation: 2, Mode: model.WithdrawCascade, Operation: "op-cut", OperationSeq: 2})
	eventually(t, 30*time.Second, func() error {
		if field(a.k.get(podPath(ns, "migrate")), "metadata", "deletionTimestamp") == nil {
			return errors.New("the migration is not ended")
		}
		return nil
	})
	if a.k.get(podPath(ns, "backup")) != nil {
		t.Error("the backup began beside the migration")
	}
	a.k.merge(podPath(ns, "migrate"), `{"metadata":{"finalizers":null}}`)
	a.begun(ns, "backup")
	if a.k.get(podPath(ns, "migrate")) != nil {
		t.Error("the backup began before the migration was gone")
	}
	a.ends(ns, "backup", "Succeeded")
	if end := a.ended("op-cut"); end.Phase != model.PhaseSucceeded {
		t.Errorf("%+v", end)
	}
}

// The hook of a bad revision hangs. A rollback does not wait for it, though a newer
// revision would.
func TestARollbackEndsTheHookThatHangs(t *testing.T) {
	cp := controlPlane(t)
	a := startAgent(t, cp, "agent-hang")
	const ns, uid = "hang", "uid-hang"
	d, b := desired(t, "hang", ns, 1, automated(true, true), configMap(ns, "a", "1"))
	a.mustSend(d, b)
	a.synced(uid, 1)
	d, b = desired(t, "hang", ns, 2, automated(true, true), configMap(ns, "a", "2")+hookPod(ns, "stuck", "PreSync"))
	a.mustSend(d, b)
	a.begun(ns, "stuck")
	d, b = desired(t, "hang", ns, 3, automated(true, true), configMap(ns, "a", "1"))
	a.mustSend(d, b)
	a.engine.Operation(t.Context(), model.Command{ID: "op-hang", Seq: 1, App: uid, Kind: model.OperationSync, Generation: 3, Spec: model.OperationSpec{Rollback: &model.RollbackSpec{HistoryID: 1}}})
	if end := a.ended("op-hang"); end.Phase != model.PhaseSucceeded {
		t.Errorf("%+v", end)
	}
	eventually(t, 30*time.Second, func() error {
		if a.k.get(podPath(ns, "stuck")) != nil {
			return errors.New("the hook still runs")
		}
		return nil
	})
}
