package reconcile

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/agent/diff"
	"github.com/hawser-dev/hawser/agent/sync"
	"github.com/hawser-dev/hawser/shared/model"
)

// deeds are Actions of the tests: "label" patches, "copy" creates, "wander" makes
// what it may not.
type deeds struct{}

func (deeds) Run(_ model.GroupKind, name string, params map[string]string, obj map[string]any, op string, now time.Time) ([]ActionEffect, error) {
	meta := obj["metadata"].(map[string]any)
	switch name {
	case "label":
		meta["labels"] = map[string]any{"at": fmt.Sprint(now.Unix()), "by": params["by"]}
		return []ActionEffect{{Object: obj}}, nil
	case "copy":
		return []ActionEffect{{Create: true, Object: map[string]any{"apiVersion": "v1", "kind": "ConfigMap",
			"metadata": map[string]any{"generateName": "copy-", "namespace": meta["namespace"]}}}}, nil
	case "wander":
		return []ActionEffect{{Create: true, Object: map[string]any{"apiVersion": "v1", "kind": "ConfigMap",
			"metadata": map[string]any{"name": "stray", "namespace": "default"}}}}, nil
	}
	return nil, errors.New("no such action")
}

func TestActionsAreOperations(t *testing.T) {
	cp := controlPlane(t)
	a := startAgent(t, cp, "agent-act")
	a.engine.o.Actions = deeds{}
	const ns, uid = "act", "uid-act"
	d, b := desired(t, "act", ns, 1, automated(true, true), configMap(ns, "a", "1"))
	a.mustSend(d, b)
	a.synced(uid, 1)
	a.k.do(http.MethodPost, "/api/v1/namespaces/act/configmaps", "application/json", `{"metadata":{"name":"foreign"}}`)
	audit := auditOf(t, cp)
	seq := int64(0)
	act := func(name, object string) model.OperationUpdate {
		seq++
		id := model.OperationID(fmt.Sprintf("op-act-%d", seq))
		c := model.Command{ID: id, Seq: seq, App: uid, Kind: model.OperationAction, Spec: model.OperationSpec{Action: &model.ActionSpec{
			Resource: model.ObjectKey{Kind: "ConfigMap", Namespace: ns, Name: object}, Name: name, Params: map[string]string{"by": "me"}}}}
		a.engine.Operation(t.Context(), c)
		end := a.ended(id)
		a.engine.Operation(t.Context(), c) // once more, as after a lost answer
		return end
	}
	if end := act("label", "a"); end.Phase != model.PhaseSucceeded || len(end.Result.Resources) != 1 || end.Result.Resources[0].Status != sync.StatusConfigured {
		t.Errorf("%+v %+v", end, end.Result)
	}
	if by := field(a.k.get(cmPath(ns, "a")), "metadata", "labels", "by"); by != "me" {
		t.Errorf("by %v", by)
	}
	end := act("copy", "a")
	if end.Phase != model.PhaseSucceeded || len(end.Result.Resources) != 1 || !strings.HasPrefix(end.Result.Resources[0].Name, "copy-") {
		t.Fatalf("%+v %+v", end, end.Result)
	}
	made := end.Result.Resources[0].Name
	if mark := field(a.k.get(cmPath(ns, made)), "metadata", "annotations", model.AnnotationRun); mark != "op-act-2" {
		t.Errorf("mark %v", mark)
	}
	for name, object := range map[string]string{"wander": "a", "label": "foreign", "nonsense": "a"} {
		if end := act(name, object); end.Phase != model.PhaseFailed || end.Message == "" {
			t.Errorf("%s of %s: %+v", name, object, end)
		}
	}
	if w := written(t, audit, ns); strings.Join(w, ", ") != "patch a, create "+made {
		t.Errorf("writes: %v", w)
	}
	if st := a.status(uid); st.Sync.Status != model.SyncSynced {
		t.Errorf("a label of an action is a drift: %+v", st)
	}
}

func TestOneObjectIsDeletedByItsUID(t *testing.T) {
	cp := controlPlane(t)
	a := startAgent(t, cp, "agent-del1")
	const ns, uid = "del1", "uid-del1"
	manual := &model.SyncPolicy{SyncOptions: []string{"CreateNamespace=true"}}
	d, b := desired(t, "del1", ns, 1, manual, configMap(ns, "a", "1")+configMap(ns, "b", "1"))
	a.mustSend(d, b)
	a.engine.Operation(t.Context(), model.Command{ID: "op-del1-sync", Seq: 1, App: uid, Kind: model.OperationSync})
	if end := a.ended("op-del1-sync"); end.Phase != model.PhaseSucceeded {
		t.Fatalf("%+v", end)
	}
	a.k.do(http.MethodPost, "/api/v1/namespaces/del1/configmaps", "application/json", `{"metadata":{"name":"foreign"}}`)
	uidOf := func(name string) string {
		s, _ := field(a.k.get(cmPath(ns, name)), "metadata", "uid").(string)
		return s
	}
	audit := auditOf(t, cp)
	seq := int64(1)
	remove := func(object string, how model.DeleteSpec) model.OperationUpdate {
		seq++
		id := model.OperationID(fmt.Sprintf("op-del1-%d", seq))
		c := model.Command{ID: id, Seq: seq, App: uid, Kind: model.OperationAction, Spec: model.OperationSpec{Action: &model.ActionSpec{
			Resource: model.ObjectKey{Kind: "ConfigMap", Namespace: ns, Name: object}, Name: model.ActionDelete, Delete: &how}}}
		a.engine.Operation(t.Context(), c)
		end := a.ended(id)
		a.engine.Operation(t.Context(), c) // once more, as after a lost answer
		return end
	}
	first := uidOf("a")
	// Without a uid, and what is not the application's: refused.
	for object, how := range map[string]model.DeleteSpec{"a": {}, "foreign": {UID: uidOf("foreign")}} {
		if end := remove(object, how); end.Phase != model.PhaseFailed || end.Message == "" {
			t.Errorf("%s: %+v", object, end)
		}
	}
	// Another object of that name stays.
	if end := remove("a", model.DeleteSpec{UID: "another"}); end.Phase != model.PhaseSucceeded || !strings.Contains(end.Result.Resources[0].Message, "not touched") {
		t.Errorf("%+v %+v", end, end.Result)
	}
	if w := written(t, audit, ns); len(w) != 0 {
		t.Errorf("written: %v", w)
	}
	end := remove("a", model.DeleteSpec{UID: first, Propagation: "background", Force: true})
	if end.Phase != model.PhaseSucceeded || len(end.Result.Resources) != 1 || end.Result.Resources[0].Status != sync.StatusDeleted || end.Result.Resources[0].Message != "" {
		t.Fatalf("%+v %+v", end, end.Result)
	}
	// Once more, as by an agent that was interrupted after the delete.
	if end := remove("a", model.DeleteSpec{UID: first}); end.Phase != model.PhaseSucceeded || end.Result.Resources[0].Message != "it is gone" {
		t.Errorf("%+v %+v", end, end.Result)
	}
	if w := written(t, audit, ns); strings.Join(w, ", ") != "delete a" {
		t.Errorf("writes: %v", w)
	}
}

func TestASelectiveSyncTouchesNothingElse(t *testing.T) {
	cp := controlPlane(t)
	a := startAgent(t, cp, "agent-sel")
	const ns, uid = "sel", "uid-sel"
	manual := &model.SyncPolicy{SyncOptions: []string{"CreateNamespace=true"}}
	d, b := desired(t, "sel", ns, 1, manual, configMap(ns, "a", "1")+configMap(ns, "b", "1")+configMap(ns, "old-a", "1")+configMap(ns, "old-b", "1"))
	a.mustSend(d, b)
	a.operation("op-sel-1", 1, uid, model.OperationSpec{})
	a.ended("op-sel-1")
	d, b = desired(t, "sel", ns, 2, manual, configMap(ns, "a", "2")+configMap(ns, "b", "2")+hookPod(ns, "before", "PreSync"))
	a.mustSend(d, b)
	audit := auditOf(t, cp)
	a.operation("op-sel-2", 2, uid, model.OperationSpec{Prune: true, Resources: []string{":ConfigMap:*a"}})
	if end := a.ended("op-sel-2"); end.Phase != model.PhaseSucceeded {
		t.Fatalf("%+v", end)
	}
	if w := written(t, audit, ns); strings.Join(w, ", ") != "patch a, delete old-a" {
		t.Errorf("writes: %v", w)
	}
	if st := a.status(uid); st.Sync.Status != model.SyncOutOfSync || len(st.History) != 1 {
		t.Errorf("%+v", st)
	}
	for i, c := range []struct{ selection, want string }{{":Secret:x", "matches no object"}, {"ConfigMap", "ConfigMap"}} {
		id := model.OperationID(fmt.Sprintf("op-sel-e%d", i))
		a.operation(id, int64(3+i), uid, model.OperationSpec{Resources: []string{c.selection}})
		if end := a.ended(id); end.Phase != model.PhaseFailed || !strings.Contains(end.Message, c.want) {
			t.Errorf("%q: %+v", c.selection, end)
		}
	}
}

// The desired state of a rollback arrives before its operation, and automated sync
// deploys it at once. The operation then says who did what it was asked for.
func TestAnOperationSaysWhatAutomatedSyncDidBeforeIt(t *testing.T) {
	cp := controlPlane(t)
	a := startAgent(t, cp, "agent-before")
	const ns, uid = "before", "uid-before"
	back := func(id model.OperationID, seq int64, g model.Generation) string {
		t.Helper()
		a.engine.Operation(t.Context(), model.Command{ID: id, Seq: seq, App: uid, Kind: model.OperationSync, Generation: g, Spec: model.OperationSpec{Rollback: &model.RollbackSpec{HistoryID: 1}}})
		end := a.ended(id)
		if end.Phase != model.PhaseSucceeded {
			t.Errorf("%+v", end)
		}
		return end.Message
	}
	for g, value := range []string{"", "1", "2", "1"} {
		if g > 0 {
			d, b := desired(t, "before", ns, model.Generation(g), automated(true, true), configMap(ns, "a", value)+configMap(ns, "b", "always"))
			a.mustSend(d, b)
			a.synced(uid, model.Generation(g))
		}
	}
	const want = "2 unchanged; automated sync had done it before: 1 configured, 1 unchanged"
	if got := back("op-before", 1, 3); got != want {
		t.Errorf("it says %q, want %q", got, want)
	}
	// A sync of later finds nothing to do and that is all.
	if got := back("op-of-another", 2, 2); strings.Contains(got, "automated") {
		t.Errorf("an operation of another generation says %q", got)
	}
}

func TestSyncWindowsAreKeptByTheAgent(t *testing.T) {
	cp := controlPlane(t)
	a := startAgent(t, cp, "agent-win")
	const ns, uid = "win", "uid-win"
	d, b := desired(t, "win", ns, 1, automated(true, true), configMap(ns, "a", "1"))
	closed := model.SyncWindow{Kind: "deny", Schedule: "* * * * *", Duration: "1h", Applications: []string{"win"}}
	d.ProjectSpec.SyncWindows = []model.SyncWindow{closed}
	a.mustSend(d, b)
	eventually(t, 20*time.Second, func() error {
		for _, c := range a.status(uid).Conditions {
			if c.Code == "sync_window_closed" {
				return nil
			}
		}
		return fmt.Errorf("%+v", a.status(uid))
	})
	a.operation("op-win-1", 1, uid, model.OperationSpec{})
	if end := a.ended("op-win-1"); end.Phase != model.PhaseFailed || !strings.Contains(end.Message, "sync window") {
		t.Errorf("%+v", end)
	}
	if a.k.get(cmPath(ns, "a")) != nil {
		t.Fatal("synced in a closed window")
	}
	d.Generation, closed.ManualSync = 2, true
	d.ProjectSpec.SyncWindows = []model.SyncWindow{closed}
	a.mustSend(d, b)
	a.operation("op-win-2", 2, uid, model.OperationSpec{})
	if end := a.ended("op-win-2"); end.Phase != model.PhaseSucceeded || a.k.get(cmPath(ns, "a")) == nil {
		t.Errorf("%+v", end)
	}
	a.k.merge(cmPath(ns, "a"), `{"data":{"v":"drift"}}`)
	eventually(t, 20*time.Second, func() error {
		if st := a.status(uid); st.Sync.Status != model.SyncOutOfSync || st.Sync.Reason != model.ReasonDrifted {
			return fmt.Errorf("%+v", st.Sync)
		}
		return nil
	})
	d.Generation, d.Revision.Commit, d.ProjectSpec.SyncWindows = 3, fmt.Sprintf("%040d", 3), nil
	a.mustSend(d, b)
	a.synced(uid, 3)
}

func TestAFailedOperationIsTriedAgain(t *testing.T) {
	cp := controlPlane(t)
	a := startAgent(t, cp, "agent-again")
	const ns, uid = "again", "uid-again"
	d, b := desired(t, "again", ns, 1, nil, configMap(ns, "a", "1"))
	a.mustSend(d, b)
	a.operation("op-again-1", 1, uid, model.OperationSpec{Retry: &model.RetryStrategy{Limit: 1, Backoff: &model.Backoff{Duration: "1s"}}})
	if end := a.ended("op-again-1"); end.Phase != model.PhaseFailed || !strings.Contains(end.Message, "namespace") {
		t.Errorf("%+v", end)
	}
	a.operation("op-again-2", 2, uid, model.OperationSpec{Retry: &model.RetryStrategy{Limit: -1, Backoff: &model.Backoff{Duration: "1s", MaxDuration: "1s"}}})
	eventually(t, 20*time.Second, func() error {
		if op := a.status(uid).Operation; op == nil || op.ID != "op-again-2" || !strings.Contains(op.Message, "try 2 failed") {
			return fmt.Errorf("%+v", op)
		}
		return nil
	})
	a.stop() // the tries outlive the agent
	a = startAgent(t, cp, "agent-again")
	a.k.do(http.MethodPost, "/api/v1/namespaces", "application/json", `{"metadata":{"name":"again"}}`)
	if end := a.ended("op-again-2"); end.Phase != model.PhaseSucceeded {
		t.Errorf("%+v", end)
	}
	// The end of an operation and the status that has it in its history are reported one after the other.
	eventually(t, 20*time.Second, func() error {
		if h := a.status(uid).History; len(h) != 1 || h[0].Operation != "op-again-2" {
			return fmt.Errorf("%+v", h)
		}
		return nil
	})
}

// Rules of the fleet hide a drift, and show it again when they go.
func TestSystemRulesAreForAllApplications(t *testing.T) {
	cp := controlPlane(t)
	a := startAgent(t, cp, "agent-rules")
	const ns, uid = "rules", "uid-rules"
	d, b := desired(t, "rules", ns, 1, automated(true, false), configMap(ns, "a", "1"))
	a.mustSend(d, b)
	a.synced(uid, 1)
	rules, err := diff.ParseSystemRules(map[string]string{"resource.customizations.ignoreDifferences.ConfigMap": "jsonPointers: [/data/v]\n"})
	if err != nil {
		t.Fatal(err)
	}
	sync := func() model.SyncStatus { return a.status(uid).Sync.Status }
	a.k.merge(cmPath(ns, "a"), `{"data":{"v":"drift"}}`)
	eventually(t, 20*time.Second, func() error {
		if s := sync(); s != model.SyncOutOfSync {
			return errors.New(string(s))
		}
		return nil
	})
	a.engine.SetSystemRules(rules)
	eventually(t, 20*time.Second, func() error {
		if s := sync(); s != model.SyncSynced {
			return errors.New(string(s))
		}
		return nil
	})
	a.engine.SetSystemRules(nil)
	eventually(t, 20*time.Second, func() error {
		if s := sync(); s != model.SyncOutOfSync {
			return errors.New(string(s))
		}
		return nil
	})
}

// A field that somebody has set with kubectl apply goes with the next sync. The API
// server's dry run alone would call the object equal.
func TestAFieldThatKubectlHasAppliedIsADifferenceUntilTheSyncTakesIt(t *testing.T) {
	cp := controlPlane(t)
	a := startAgent(t, cp, "agent-taken")
	const ns, uid = "taken", "uid-taken"
	d, b := desired(t, "taken", ns, 1, &model.SyncPolicy{SyncOptions: []string{"CreateNamespace=true"}}, configMap(ns, "a", "1"))
	a.mustSend(d, b)
	a.operation("op-taken-1", 1, uid, model.OperationSpec{})
	a.synced(uid, 1)
	a.k.do(http.MethodPatch, cmPath(ns, "a")+"?fieldManager=kubectl-client-side-apply", "application/merge-patch+json", `{"data":{"extra":"x"}}`)
	eventually(t, 30*time.Second, func() error {
		st := a.status(uid)
		if len(st.Resources) != 1 || len(st.Resources[0].Differences) != 1 || st.Resources[0].Differences[0].Path != ".data.extra" {
			return fmt.Errorf("%s, %+v", st.Sync.Status, st.Resources)
		}
		return nil
	})
	a.operation("op-taken-2", 2, uid, model.OperationSpec{})
	if end := a.ended("op-taken-2"); end.Phase != model.PhaseSucceeded {
		t.Errorf("%+v", end)
	}
	a.synced(uid, 1)
	if extra := field(a.k.get(cmPath(ns, "a")), "data", "extra"); extra != nil {
		t.Errorf("it is still there: %v", extra)
	}
}

// Differences that an application ignores from now on are none, without anything else
// that changes.
func TestDifferencesThatAreIgnoredFromNowOnAreGone(t *testing.T) {
	cp := controlPlane(t)
	a := startAgent(t, cp, "agent-ignored")
	const ns, uid = "ignored", "uid-ignored"
	d, b := desired(t, "ignored", ns, 1, &model.SyncPolicy{SyncOptions: []string{"CreateNamespace=true"}}, configMap(ns, "a", "git"))
	a.mustSend(d, b)
	a.operation("op-ignored", 1, uid, model.OperationSpec{})
	a.synced(uid, 1)
	a.k.do(http.MethodPatch, cmPath(ns, "a"), "application/merge-patch+json", `{"data":{"v":"live"}}`)
	await := func(g model.Generation, want model.SyncStatus) {
		t.Helper()
		eventually(t, 30*time.Second, func() error {
			if st := a.status(uid); st.Generation != g || st.Sync.Status != want {
				return fmt.Errorf("generation %d is %s, %+v", st.Generation, st.Sync.Status, st.Resources)
			}
			return nil
		})
	}
	await(1, model.SyncOutOfSync)
	d.Generation, d.Spec.IgnoreDifferences = 2, []model.IgnoreDifferences{{Kind: "ConfigMap", JSONPointers: []string{"/data/v"}}}
	a.mustSend(d, nil)
	await(2, model.SyncSynced)
	d.Generation, d.Spec.IgnoreDifferences = 3, nil
	a.mustSend(d, nil)
	await(3, model.SyncOutOfSync)
}

// What a project hides from now on is gone from what was found before, too.
func TestP13_DifferencesAreHiddenAsSoonAsTheProjectSaysSo(t *testing.T) {
	cp := controlPlane(t)
	a := startAgent(t, cp, "agent-fields")
	const ns, uid = "fields", "uid-fields"
	d, b := desired(t, "fields", ns, 1, &model.SyncPolicy{SyncOptions: []string{"CreateNamespace=true"}}, configMap(ns, "a", "canary-git"))
	a.mustSend(d, b)
	a.operation("op-fields", 1, uid, model.OperationSpec{})
	a.synced(uid, 1)
	a.k.do(http.MethodPatch, cmPath(ns, "a"), "application/merge-patch+json", `{"data":{"v":"canary-live"}}`)
	difference := func(g model.Generation, shown bool) {
		t.Helper()
		eventually(t, 30*time.Second, func() error {
			st := a.status(uid)
			if st.Generation != g || len(st.Resources) != 1 || len(st.Resources[0].Differences) != 1 {
				return fmt.Errorf("generation %d, %s, %+v", st.Generation, st.Sync.Status, st.Resources)
			}
			x := st.Resources[0].Differences[0]
			if x.Path != ".data.v" || x.Desired == x.Live || strings.Contains(x.Desired, "canary") != shown || strings.Contains(x.Live, "canary") != shown {
				return fmt.Errorf("%+v", x)
			}
			return nil
		})
	}
	difference(1, true)
	d.Generation, d.ProjectSpec.SensitiveFields = 2, []model.SensitiveFields{{Kind: "ConfigMap", JSONPointers: []string{"/data/*"}}}
	a.mustSend(d, nil)
	difference(2, false)
	a.operation("op-fields-2", 2, uid, model.OperationSpec{})
	if end := a.ended("op-fields-2"); end.Phase != model.PhaseSucceeded {
		t.Errorf("%+v", end)
	}
	if v := field(a.k.get(cmPath(ns, "a")), "data", "v"); v != "canary-git" {
		t.Errorf("applied was %v", v)
	}
}

// A commit has an object of a kind that the cluster does not know, the next has not.
func TestAnObjectThatCouldNeverBeIsForgotten(t *testing.T) {
	cp := controlPlane(t)
	a := startAgent(t, cp, "agent-never")
	const ns, uid = "never", "uid-never"
	d, b := desired(t, "never", ns, 1, automated(true, true), configMap(ns, "a", "1"))
	a.mustSend(d, b)
	a.synced(uid, 1)
	d, b = desired(t, "never", ns, 2, automated(true, true), configMap(ns, "a", "2")+"apiVersion: foo.example/v1\nkind: Fooo\nmetadata: {name: z}\n---\n")
	a.mustSend(d, b)
	eventually(t, 30*time.Second, func() error {
		st := a.status(uid)
		if !slices.ContainsFunc(st.Conditions, func(c model.Condition) bool { return c.Code == "kind_unknown" }) {
			return fmt.Errorf("%+v", st.Conditions)
		}
		return nil
	})
	d, b = desired(t, "never", ns, 3, automated(true, true), configMap(ns, "a", "3"))
	a.mustSend(d, b)
	if st := a.synced(uid, 3); len(st.Resources) != 1 || st.Health.Status != model.HealthHealthy {
		t.Errorf("%+v %+v", st.Health, st.Resources)
	}
}
