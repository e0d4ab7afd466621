package reconcile

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/agent/sync"
	"github.com/hawser-dev/hawser/e2e/testbed"
	"github.com/hawser-dev/hawser/shared/model"
)

// hookPod is a hook that runs until somebody says how it ended.
func hookPod(ns, name, phase string, annotations ...string) string {
	s := fmt.Sprintf("apiVersion: v1\nkind: Pod\nmetadata:\n  name: %s\n  namespace: %s\n  annotations:\n    argocd.argoproj.io/hook: %s\n", name, ns, phase)
	for _, a := range annotations {
		s += "    argocd.argoproj.io/" + a + "\n"
	}
	return s + "spec:\n  restartPolicy: Never\n  terminationGracePeriodSeconds: 0\n  containers: [{name: c, image: x}]\n---\n"
}

func podPath(ns, name string) string { return "/api/v1/namespaces/" + ns + "/pods/" + name }

// begun waits until a pod exists, and answers its uid.
func (a *agent) begun(ns, name string) (uid string) {
	a.t.Helper()
	eventually(a.t, 30*time.Second, func() error {
		o := a.k.get(podPath(ns, name))
		if o == nil {
			return fmt.Errorf("pod %s does not exist; %+v", name, a.status(model.AppUID("uid-"+ns)).Conditions)
		}
		uid, _ = field(o, "metadata", "uid").(string)
		return nil
	})
	return uid
}

// ends has a pod end, once its node has started it.
func (a *agent) ends(ns, name, phase string) {
	a.t.Helper()
	eventually(a.t, 30*time.Second, func() error {
		if p := field(a.k.get(podPath(ns, name)), "status", "phase"); p != "Running" {
			return fmt.Errorf("the pod is %v", p)
		}
		return nil
	})
	a.k.do(http.MethodPatch, podPath(ns, name)+"/status", "application/merge-patch+json", `{"status":{"phase":"`+phase+`"}}`)
}

func auditOf(t *testing.T, cp *testbed.ControlPlane) *testbed.AuditReader {
	t.Helper()
	audit, err := cp.AuditFromNow()
	if err != nil {
		t.Fatal(err)
	}
	return audit
}

// written are the agent's writes in a namespace, "verb name", without dry runs.
func written(t *testing.T, audit *testbed.AuditReader, ns string) []string {
	t.Helper()
	events, err := audit.Next()
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range events {
		if strings.HasPrefix(e.UserAgent, "hawser-agent") && e.Write() && e.Namespace == ns && e.Code/100 == 2 {
			out = append(out, e.Verb+" "+e.Name)
		}
	}
	return out
}

func (a *agent) hookRow(uid model.AppUID, name string) model.ResourceStatus {
	for _, r := range a.status(uid).Resources {
		if r.Name == name {
			return r
		}
	}
	return model.ResourceStatus{}
}

func TestHooksStandAroundASync(t *testing.T) {
	cp := controlPlane(t)
	a := startAgent(t, cp, "agent-hooks")
	const ns, uid = "hooks", "uid-hooks"
	audit := auditOf(t, cp)
	yaml := hookPod(ns, "before", "PreSync") + configMap(ns, "a", "1") + hookPod(ns, "after", "PostSync", "hook-delete-policy: HookSucceeded") + hookPod(ns, "alarm", "SyncFail")
	d, b := desired(t, "hooks", ns, 1, automated(true, true), yaml)
	a.mustSend(d, b)
	first := a.begun(ns, "before")
	if a.k.get(cmPath(ns, "a")) != nil {
		t.Fatal("the sync began before its PreSync hook had ended")
	}
	eventually(t, 10*time.Second, func() error {
		st := a.status(uid)
		if r := a.hookRow(uid, "before"); r.HookPhase != sync.HookPhaseRunning || r.Hook != "PreSync" || !slices.ContainsFunc(st.Conditions, func(c model.Condition) bool { return c.Code == "sync_waiting" && strings.Contains(c.Message, "before") }) {
			return fmt.Errorf("%+v, conditions %+v", r, st.Conditions)
		}
		return nil
	})
	// The agent is restarted while the hook runs, and the hook ends meanwhile.
	a.stop()
	a.ends(ns, "before", "Succeeded")
	a = startAgent(t, cp, "agent-hooks")
	a.begun(ns, "after")
	if again := a.begun(ns, "before"); again != first {
		t.Error("the restarted agent ran the hook again")
	}
	a.ends(ns, "after", "Succeeded")
	a.synced(uid, 1)
	eventually(t, 10*time.Second, func() error {
		if a.k.get(podPath(ns, "after")) != nil {
			return errors.New("HookSucceeded: the pod is still there")
		}
		return nil
	})
	if a.k.get(podPath(ns, "alarm")) != nil {
		t.Error("SyncFail ran without a failure")
	}
	if w := written(t, audit, ns); strings.Join(w, ", ") != "patch hooks, create before, patch a, create after, delete after" {
		t.Errorf("writes: %v", w)
	}
	st := a.status(uid)
	if st.Sync.Status != model.SyncSynced || st.Health.Status != model.HealthHealthy || a.hookRow(uid, "after").HookPhase != sync.HookPhaseSucceeded {
		t.Errorf("%+v", st)
	}

	// A repair runs no hook. The same manifests under another revision run none.
	a.k.merge(cmPath(ns, "a"), `{"data":{"v":"drift"}}`)
	eventually(t, 10*time.Second, func() error {
		if v := field(a.k.get(cmPath(ns, "a")), "data", "v"); v != "1" {
			return fmt.Errorf("v is %v", v)
		}
		return nil
	})
	d.Generation, d.Revision.Commit = 2, fmt.Sprintf("%040d", 2)
	a.mustSend(d, b)
	a.synced(uid, 2)
	if w := written(t, audit, ns); strings.Join(w, ", ") != "patch a" {
		t.Errorf("writes of a repair and of a revision without changes: %v", w)
	}

	// New manifests do, and the object of the older run goes first.
	d, b = desired(t, "hooks", ns, 3, automated(true, true), strings.Replace(yaml, `v: "1"`, `v: "2"`, 1))
	a.mustSend(d, b)
	eventually(t, 30*time.Second, func() error {
		if a.begun(ns, "before") == first {
			return errors.New("the older pod is still there")
		}
		return nil
	})
	a.ends(ns, "before", "Failed")
	a.begun(ns, "alarm")
	a.ends(ns, "alarm", "Succeeded")
	eventually(t, 30*time.Second, func() error {
		for _, c := range a.status(uid).Conditions {
			if c.Type == "SyncError" && c.Code == "hook_failed" && strings.Contains(c.Message, "before") {
				return nil
			}
		}
		return fmt.Errorf("%+v", a.status(uid).Conditions)
	})
	if v := field(a.k.get(cmPath(ns, "a")), "data", "v"); v != "1" {
		t.Errorf("after a failed PreSync the object was written: %v", v)
	}
}

func TestANewerRevisionWaitsForAHookThatRuns(t *testing.T) {
	cp := controlPlane(t)
	a := startAgent(t, cp, "agent-waits")
	const ns, uid = "waits", "uid-waits"
	d, b := desired(t, "waits", ns, 1, automated(true, true), hookPod(ns, "before", "PreSync")+configMap(ns, "a", "1"))
	a.mustSend(d, b)
	first := a.begun(ns, "before")
	d, b = desired(t, "waits", ns, 2, automated(true, true), configMap(ns, "a", "2"))
	a.mustSend(d, b)
	if a.begun(ns, "before") != first {
		t.Fatal("the hook was cut off")
	}
	a.ends(ns, "before", "Succeeded")
	a.synced(uid, 2)
	if v := field(a.k.get(cmPath(ns, "a")), "data", "v"); v != "2" {
		t.Errorf("v is %v", v)
	}
}

func TestEndingAnOperationEndsItsHooks(t *testing.T) {
	cp := controlPlane(t)
	a := startAgent(t, cp, "agent-term")
	const ns, uid = "term", "uid-term"
	d, b := desired(t, "term", ns, 1, &model.SyncPolicy{SyncOptions: []string{"CreateNamespace=true"}}, hookPod(ns, "before", "PreSync")+configMap(ns, "a", "1"))
	a.mustSend(d, b)
	a.operation("op-term", 1, uid, model.OperationSpec{})
	a.begun(ns, "before")
	a.engine.Operation(t.Context(), model.Command{ID: "op-term", Seq: 1, App: uid, Kind: model.OperationSync, Terminate: true})
	end := a.ended("op-term")
	if end.Phase != model.PhaseTerminated || len(end.Result.Resources) != 3 || end.Result.Resources[1].HookPhase != sync.HookPhaseRunning {
		t.Errorf("%+v %+v", end, end.Result)
	}
	eventually(t, 20*time.Second, func() error {
		if a.k.get(podPath(ns, "before")) != nil {
			return errors.New("its hook still runs")
		}
		return nil
	})
	if a.k.get(cmPath(ns, "a")) != nil {
		t.Error("the sync went on")
	}
}

func TestHooksStandAroundADeletion(t *testing.T) {
	cp := controlPlane(t)
	a := startAgent(t, cp, "agent-del")
	const ns, uid = "del", "uid-del"
	yaml := configMap(ns, "a", "1") + hookPod(ns, "backup", "PreDelete") + hookPod(ns, "bye", "PostDelete") + hookPod(ns, "left", "PreSync")
	d, b := desired(t, "del", ns, 1, automated(true, true), yaml)
	a.mustSend(d, b)
	a.begun(ns, "left")
	a.ends(ns, "left", "Succeeded")
	a.synced(uid, 1)
	audit := auditOf(t, cp)
	a.engine.Withdraw(t.Context(), model.Withdraw{App: uid, Name: "del", Generation: 2, Mode: model.WithdrawCascade, Operation: "op-del", OperationSeq: 2})
	first := a.begun(ns, "backup")
	a.ends(ns, "backup", "Failed")
	eventually(t, 30*time.Second, func() error {
		if a.begun(ns, "backup") == first {
			return errors.New("the failed hook is not run again")
		}
		return nil
	})
	if a.k.get(cmPath(ns, "a")) == nil {
		t.Fatal("an object was deleted although PreDelete failed")
	}
	a.ends(ns, "backup", "Succeeded")
	a.begun(ns, "bye")
	if a.k.get(cmPath(ns, "a")) != nil {
		t.Error("PostDelete began before the objects were gone")
	}
	a.ends(ns, "bye", "Succeeded")
	if end := a.ended("op-del"); end.Phase != model.PhaseSucceeded {
		t.Errorf("%+v", end)
	}
	for _, name := range []string{"backup", "bye", "left"} {
		if a.k.get(podPath(ns, name)) != nil {
			t.Errorf("the pod %q was left", name)
		}
	}
	creates := 0
	for _, w := range written(t, audit, ns) {
		if strings.HasPrefix(w, "create ") {
			creates++
		}
	}
	if creates != 3 {
		t.Errorf("%d hooks were started, want backup twice and bye", creates)
	}
}

func TestADeletionThatIsBlockedIsGivenUpByOrphaning(t *testing.T) {
	cp := controlPlane(t)
	a := startAgent(t, cp, "agent-orph")
	const ns, uid = "orph", "uid-orph"
	d, b := desired(t, "orph", ns, 1, automated(true, true), configMap(ns, "a", "1")+hookPod(ns, "backup", "PreDelete"))
	a.mustSend(d, b)
	a.synced(uid, 1)
	a.engine.Withdraw(t.Context(), model.Withdraw{App: uid, Name: "orph", Generation: 2, Mode: model.WithdrawCascade, Operation: "op-1", OperationSeq: 2})
	a.begun(ns, "backup")
	a.engine.Withdraw(t.Context(), model.Withdraw{App: uid, Name: "orph", Generation: 3, Mode: model.WithdrawOrphan, Operation: "op-2", OperationSeq: 3})
	if end := a.ended("op-2"); end.Phase != model.PhaseSucceeded {
		t.Errorf("%+v", end)
	}
	o := a.k.get(cmPath(ns, "a"))
	if o == nil || field(o, "metadata", "annotations", model.AnnotationTrackingID) != nil {
		t.Errorf("%v", o)
	}
}

func TestDeletionsThatWantAConfirmation(t *testing.T) {
	cp := controlPlane(t)
	a := startAgent(t, cp, "agent-conf")
	const ns, uid = "conf", "uid-conf"
	keep := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s, namespace: conf, annotations: {argocd.argoproj.io/sync-options: '%s'}}\n---\n"
	d, b := desired(t, "conf", ns, 1, automated(true, true), configMap(ns, "a", "1")+fmt.Sprintf(keep, "p", "Prune=confirm")+fmt.Sprintf(keep, "d", "Delete=confirm"))
	a.mustSend(d, b)
	a.synced(uid, 1)
	d, b = desired(t, "conf", ns, 2, automated(true, true), configMap(ns, "a", "1")+fmt.Sprintf(keep, "d", "Delete=confirm"))
	a.mustSend(d, b)
	eventually(t, 30*time.Second, func() error {
		st := a.status(uid)
		if r := a.hookRow(uid, "p"); st.Generation != 2 || !r.RequiresPruning || !r.RequiresDeletionConfirmation ||
			!slices.ContainsFunc(st.Conditions, func(c model.Condition) bool { return c.Code == "deletion_unconfirmed" }) {
			return fmt.Errorf("%+v, %+v", r, st.Conditions)
		}
		return nil
	})
	a.operation("op-conf-1", 1, uid, model.OperationSpec{Prune: true})
	if end := a.ended("op-conf-1"); end.Phase != model.PhaseSucceeded || a.k.get(cmPath(ns, "p")) == nil {
		t.Fatalf("pruned without a confirmation: %+v", end)
	}
	a.operation("op-conf-2", 2, uid, model.OperationSpec{Prune: true, ApproveDeletions: true})
	if end := a.ended("op-conf-2"); end.Phase != model.PhaseSucceeded || a.k.get(cmPath(ns, "p")) != nil {
		t.Fatalf("not pruned: %+v", end)
	}
	a.engine.Withdraw(t.Context(), model.Withdraw{App: uid, Name: "conf", Generation: 3, Mode: model.WithdrawCascade, Operation: "op-conf-3", OperationSeq: 3})
	eventually(t, 30*time.Second, func() error {
		for _, c := range a.status(uid).Conditions {
			if c.Code == "deletion_unconfirmed" && strings.Contains(c.Message, "Delete=confirm") {
				return nil
			}
		}
		return fmt.Errorf("%+v", a.status(uid).Conditions)
	})
	if a.k.get(cmPath(ns, "a")) == nil || a.k.get(cmPath(ns, "d")) == nil {
		t.Fatal("deleted without a confirmation")
	}
	a.engine.Withdraw(t.Context(), model.Withdraw{App: uid, Name: "conf", Generation: 4, Mode: model.WithdrawCascade, Operation: "op-conf-4", OperationSeq: 4, ApproveDeletions: true})
	if end := a.ended("op-conf-4"); end.Phase != model.PhaseSucceeded || a.k.get(cmPath(ns, "a")) != nil || a.k.get(cmPath(ns, "d")) != nil {
		t.Errorf("%+v", end)
	}
}
