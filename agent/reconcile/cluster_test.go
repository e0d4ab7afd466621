package reconcile

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/agent/sync"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

const deployment = `apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        image: registry.k8s.io/pause:3.9
        resources: {limits: {cpu: 1, memory: 1024Mi}, requests: {cpu: "0.01", memory: 16Mi}}
        ports: [{containerPort: 80}]
        env: [{name: A, value: ""}, {name: B, value: x}]
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}], clusterIP: None}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: web}
---
apiVersion: v1
kind: Secret
metadata: {name: web}
stringData: {password: canary-9c1e}
---
`

func TestLifeOfAnApplication(t *testing.T) {
	cp := controlPlane(t)
	a := startAgent(t, cp, "agent-life")
	const uid = "uid-life"
	audit, err := cp.AuditFromNow()
	if err != nil {
		t.Fatal(err)
	}

	// Create, with the namespace.
	d, b := desired(t, "life", "life", 1, automated(true, true), deployment+configMap("life", "a", "1")+configMap("life", "b", "1"))
	a.mustSend(d, b)
	st := a.synced(uid, 1)
	if len(st.Resources) != 6 || len(st.History) != 1 {
		t.Errorf("%d resources, history %v", len(st.Resources), st.History)
	}
	eventually(t, 60*time.Second, func() error {
		if h := a.status(uid).Health; h.Status != model.HealthHealthy {
			return fmt.Errorf("health %+v", h)
		}
		return nil
	})
	for _, r := range st.Resources {
		if r.Sync.Status != model.SyncSynced || len(r.Differences) > 0 {
			t.Errorf("%s: %+v", r.ObjectKey, r)
		}
	}
	if id := field(a.k.get(cmPath("life", "a")), "metadata", "annotations", model.AnnotationTrackingID); id != "life:/ConfigMap:life/a" {
		t.Errorf("tracking id %v", id)
	}
	events, err := audit.Next()
	if err != nil {
		t.Fatal(err)
	}
	writes := 0
	for _, e := range events {
		if !strings.HasPrefix(e.UserAgent, "hawser-agent") || !e.Write() || e.Namespace == "agent-life" {
			continue
		}
		writes++
		if !strings.Contains(e.UserAgent, " op/auto-uid-life-g1") {
			t.Errorf("a write does not say why: %s", e)
		}
	}
	if writes != 7 {
		t.Errorf("%d writes for 6 objects and a namespace", writes)
	}

	// Drift of a value, of a quantity-laden workload, and a deletion.
	began := time.Now()
	a.k.merge(cmPath("life", "a"), `{"data":{"v":"drift"}}`)
	eventually(t, 10*time.Second, func() error {
		if v := field(a.k.get(cmPath("life", "a")), "data", "v"); v != "1" {
			return fmt.Errorf("value is %v", v)
		}
		return nil
	})
	t.Logf("drift reverted after %s", time.Since(began))
	a.k.merge("/apis/apps/v1/namespaces/life/deployments/web", `{"spec":{"replicas":3}}`)
	eventually(t, 10*time.Second, func() error {
		if v := field(a.k.get("/apis/apps/v1/namespaces/life/deployments/web"), "spec", "replicas"); v != 1.0 {
			return fmt.Errorf("replicas are %v", v)
		}
		return nil
	})
	before := field(a.k.get(cmPath("life", "b")), "metadata", "uid")
	a.k.do(http.MethodDelete, cmPath("life", "b"), "application/json", "")
	eventually(t, 10*time.Second, func() error {
		if o := a.k.get(cmPath("life", "b")); o == nil || field(o, "metadata", "uid") == before {
			return errors.New("not created again")
		}
		return nil
	})
	a.synced(uid, 1)

	// A field of our own that leaves Git leaves the object; an object that
	// leaves Git is pruned, one that asks not to be is not.
	d, b = desired(t, "life", "life", 2, automated(true, true), deployment+configMap("life", "a", "2")+
		"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: keep, annotations: {argocd.argoproj.io/sync-options: Prune=false}}\ndata: {v: x, w: z}\n")
	a.mustSend(d, b)
	a.synced(uid, 2)
	eventually(t, 10*time.Second, func() error {
		if a.k.get(cmPath("life", "b")) != nil {
			return errors.New("b is not pruned")
		}
		return nil
	})
	d, b = desired(t, "life", "life", 3, automated(true, true), deployment+configMap("life", "a", "2")+
		"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: keep, annotations: {argocd.argoproj.io/sync-options: Prune=false}}\ndata: {v: x}\n")
	a.mustSend(d, b)
	a.synced(uid, 3)
	if w := field(a.k.get(cmPath("life", "keep")), "data", "w"); w != nil {
		t.Errorf("a removed field is still %v", w)
	}
	d, b = desired(t, "life", "life", 4, automated(true, true), deployment+configMap("life", "a", "2"))
	a.mustSend(d, b)
	eventually(t, 20*time.Second, func() error {
		st := a.status(uid)
		if st.Revision != d.Revision.Commit || st.Sync.Status != model.SyncOutOfSync {
			return fmt.Errorf("%+v at revision %s", st.Sync, st.Revision)
		}
		if i := slices.IndexFunc(st.Resources, func(r model.ResourceStatus) bool { return r.Name == "keep" }); i < 0 || !st.Resources[i].RequiresPruning {
			return fmt.Errorf("resources %+v", st.Resources)
		}
		return nil
	})
	if a.k.get(cmPath("life", "keep")) == nil {
		t.Error("an object with Prune=false was pruned")
	}

	// Withdraw with cascade.
	a.engine.Withdraw(t.Context(), model.Withdraw{App: uid, Name: "life", Generation: 5, Mode: model.WithdrawCascade, Operation: "op-del", OperationSeq: 9})
	end := a.ended("op-del")
	if end.Phase != model.PhaseSucceeded {
		t.Fatalf("withdrawal ended %+v", end)
	}
	for _, path := range []string{cmPath("life", "a"), "/apis/apps/v1/namespaces/life/deployments/web", "/api/v1/namespaces/life/secrets/web", "/api/v1/namespaces/life/services/web"} {
		if a.k.get(path) != nil {
			t.Errorf("%s exists after the withdrawal", path)
		}
	}
	if a.k.get("/api/v1/namespaces/life") == nil {
		t.Error("the namespace was deleted with the application")
	}
	if strings.Contains(a.log.String(), "canary-9c1e") {
		t.Error("a Secret's value is in the log")
	}
	events, err = audit.Next()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		if e.Verb == "delete" && strings.HasPrefix(e.UserAgent, "hawser-agent") && e.Namespace != "agent-life" && !strings.Contains(e.UserAgent, " op/") {
			t.Errorf("a delete does not say why: %s", e)
		}
	}
}

func TestPruneGuard(t *testing.T) {
	cp := controlPlane(t)
	a := startAgent(t, cp, "agent-guard")
	const uid = "uid-guard"
	full := ""
	for i := range 3 {
		full += configMap("guard", fmt.Sprintf("c%d", i), "1")
	}
	d, b := desired(t, "guard", "guard", 1, automated(true, true), full)
	a.mustSend(d, b)
	a.synced(uid, 1)

	// A render that suddenly yields nothing deletes nothing.
	d, b = desired(t, "guard", "guard", 2, automated(true, true), "")
	a.mustSend(d, b)
	eventually(t, 20*time.Second, func() error {
		st := a.status(uid)
		if !slices.ContainsFunc(st.Conditions, func(c model.Condition) bool { return c.Type == "PruneGuard" && strings.Contains(c.Message, "3 of 3") }) {
			return fmt.Errorf("conditions %v", st.Conditions)
		}
		if st.Sync.Status != model.SyncOutOfSync {
			return fmt.Errorf("sync %v", st.Sync)
		}
		return nil
	})
	for i := range 3 {
		if a.k.get(cmPath("guard", fmt.Sprintf("c%d", i))) == nil {
			t.Fatalf("c%d was pruned", i)
		}
	}
	// It says the same after a restart.
	a.stop()
	a = startAgent(t, cp, "agent-guard")
	eventually(t, 20*time.Second, func() error {
		if st := a.status(uid); !slices.ContainsFunc(st.Conditions, func(c model.Condition) bool { return c.Type == "PruneGuard" }) {
			return fmt.Errorf("conditions after a restart: %v", st.Conditions)
		}
		return nil
	})
	// Neither does an operation with the wrong number, nor one without.
	two, three := 2, 3
	a.operation("op-1", 1, uid, model.OperationSpec{Prune: true})
	if end := a.ended("op-1"); end.Phase != model.PhaseFailed || end.Result == nil || end.Result.WouldPrune != 3 {
		t.Fatalf("%+v", end)
	}
	a.operation("op-2", 2, uid, model.OperationSpec{Prune: true, ConfirmPrune: &two})
	if end := a.ended("op-2"); end.Phase != model.PhaseFailed {
		t.Fatalf("%+v", end)
	}
	if a.k.get(cmPath("guard", "c0")) == nil {
		t.Fatal("c0 was pruned without the right confirmation")
	}
	a.operation("op-3", 3, uid, model.OperationSpec{Prune: true, ConfirmPrune: &three})
	if end := a.ended("op-3"); end.Phase != model.PhaseSucceeded {
		t.Fatalf("%+v", end)
	}
	a.synced(uid, 2)
	if a.k.get(cmPath("guard", "c0")) != nil {
		t.Error("c0 exists after a confirmed prune")
	}
	// The same operation again is answered and not run again.
	a.operation("op-3", 3, uid, model.OperationSpec{Prune: true, ConfirmPrune: &three})
	ends := map[model.OperationPhase]int{}
	for _, u := range a.ops.of("op-3") {
		ends[u.Phase]++
	}
	if ends[model.PhaseFailed] > 0 || ends[model.PhaseSuperseded] > 0 {
		t.Errorf("op-3 has other ends: %v", ends)
	}
}

func TestDriftWithoutSelfHealIsReported(t *testing.T) {
	cp := controlPlane(t)
	a := startAgent(t, cp, "agent-drift")
	const uid = "uid-drift"
	d, b := desired(t, "drift", "drift", 1, automated(false, false), deployment+configMap("drift", "a", "1"))
	a.mustSend(d, b)
	a.synced(uid, 1)
	a.k.merge(cmPath("drift", "a"), `{"data":{"v":"changed"}}`)
	eventually(t, 20*time.Second, func() error {
		st := a.status(uid)
		if st.Sync != (model.SyncFacet{Status: model.SyncOutOfSync, Reason: model.ReasonDrifted}) {
			return fmt.Errorf("sync %+v", st.Sync)
		}
		for _, r := range st.Resources {
			if r.Name == "a" && len(r.Differences) == 1 {
				d := r.Differences[0]
				if d.Path != ".data.v" || d.Desired != `"1"` || d.Live != `"changed"` || d.Manager != "somebody" || d.ChangedAt == nil {
					return fmt.Errorf("difference %+v", d)
				}
				return nil
			}
		}
		return fmt.Errorf("no difference in %+v", st.Resources)
	})
	if v := field(a.k.get(cmPath("drift", "a")), "data", "v"); v != "changed" {
		t.Errorf("it was healed to %v", v)
	}
	// Secret values of a drift are not shown.
	a.k.merge("/api/v1/namespaces/drift/secrets/web", `{"data":{"password":"Y2FuYXJ5LXR3bw=="}}`)
	eventually(t, 20*time.Second, func() error {
		for _, r := range a.status(uid).Resources {
			if r.Kind == "Secret" && len(r.Differences) == 1 {
				if s := r.Differences[0].Live + r.Differences[0].Desired; strings.Contains(s, "Y2Fu") || strings.Contains(s, "canary") || !strings.Contains(s, "redacted:") {
					return fmt.Errorf("difference %s", s)
				}
				return nil
			}
		}
		return errors.New("no difference of the Secret")
	})
	// A manual sync repairs both.
	a.operation("op-s", 1, uid, model.OperationSpec{})
	end := a.ended("op-s")
	if end.Phase != model.PhaseSucceeded || len(a.ops.of("op-s")) < 2 {
		t.Fatalf("%+v", a.ops.of("op-s"))
	}
	configured := 0
	for _, r := range end.Result.Resources {
		if r.Status == sync.StatusConfigured {
			configured++
		}
	}
	if configured != 2 {
		t.Errorf("results %+v", end.Result.Resources)
	}
	a.synced(uid, 1)
}

func TestRestartHealsWithoutAHub(t *testing.T) {
	cp := controlPlane(t)
	a := startAgent(t, cp, "agent-restart")
	const uid = "uid-restart"
	d, b := desired(t, "restart", "restart", 1, automated(true, true), configMap("restart", "a", "1")+configMap("restart", "b", "1"))
	a.mustSend(d, b)
	a.synced(uid, 1)
	a.stop()
	a.k.merge(cmPath("restart", "a"), `{"data":{"v":"drift"}}`)
	a.k.do(http.MethodDelete, cmPath("restart", "b"), "application/json", "")
	a = startAgent(t, cp, "agent-restart")
	eventually(t, 30*time.Second, func() error {
		if v := field(a.k.get(cmPath("restart", "a")), "data", "v"); v != "1" {
			return fmt.Errorf("a is %v", v)
		}
		if a.k.get(cmPath("restart", "b")) == nil {
			return errors.New("b is missing")
		}
		return nil
	})
	a.synced(uid, 1)
	h, err := a.engine.Hello(t.Context())
	if err != nil || len(h.Known) != 1 || h.Known[0].Generation != 1 || h.Known[0].Content != d.Content() {
		t.Errorf("hello %+v, %v", h, err)
	}
	// Fenced, it heals nothing; and again when the fence opens.
	a.setFence(fault.New(fault.Precondition, "lease_lost", "another agent holds the Lease"))
	audit, err := cp.AuditFromNow()
	if err != nil {
		t.Fatal(err)
	}
	a.k.merge(cmPath("restart", "a"), `{"data":{"v":"fenced"}}`)
	eventually(t, 20*time.Second, func() error {
		if s := a.status(uid).Sync; s.Status != model.SyncOutOfSync {
			return fmt.Errorf("sync %v", s)
		}
		return nil
	})
	events, err := audit.Next()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		if e.Write() && e.Namespace == "restart" && strings.HasPrefix(e.UserAgent, "hawser-agent") {
			t.Errorf("a fenced agent writes: %s", e)
		}
	}
	a.setFence(nil)
	eventually(t, 20*time.Second, func() error {
		if v := field(a.k.get(cmPath("restart", "a")), "data", "v"); v != "1" {
			return fmt.Errorf("a is %v", v)
		}
		return nil
	})
}

const crd = `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: boats.acme.example.io}
spec:
  group: acme.example.io
  scope: Namespaced
  names: {plural: boats, singular: boat, kind: Boat, listKind: BoatList}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {length: {type: integer}}}}}}
---
apiVersion: acme.example.io/v1
kind: Boat
metadata: {name: one}
spec: {length: 3}
---
`

func TestCRDsAndWaves(t *testing.T) {
	cp := controlPlane(t)
	a := startAgent(t, cp, "agent-crd")
	// A kind that nobody brings.
	const lone = "apiVersion: acme.example.io/v1\nkind: Submarine\nmetadata: {name: x}\n---\n"
	d, b := desired(t, "lone", "crd", 1, automated(true, true), lone+configMap("crd", "beside", "1"))
	a.mustSend(d, b)
	eventually(t, 30*time.Second, func() error {
		for _, c := range a.status("uid-lone").Conditions {
			if c.Code == "kind_unknown" && strings.Contains(c.Message, `cluster "test" has no kind Submarine (acme.example.io/v1); install its CRD first`) {
				return nil
			}
		}
		return fmt.Errorf("conditions %v", a.status("uid-lone").Conditions)
	})
	if a.k.get(cmPath("crd", "beside")) == nil {
		t.Error("the other object was not applied")
	}
	// A CRD with its own resource, and a later wave behind a Deployment.
	d, b = desired(t, "boats", "crd", 1, automated(true, true), crd+deployment+
		"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: after, annotations: {argocd.argoproj.io/sync-wave: '1'}}\ndata: {v: '1'}\n")
	a.mustSend(d, b)
	a.synced("uid-boats", 1)
	after := a.k.get(cmPath("crd", "after"))
	ready := a.k.get("/apis/apps/v1/namespaces/crd/deployments/web")
	if after == nil || ready == nil || a.k.get("/apis/acme.example.io/v1/namespaces/crd/boats/one") == nil {
		t.Fatal("not everything was created")
	}
	var available string
	for _, c := range field(ready, "status", "conditions").([]any) {
		if m := c.(map[string]any); m["type"] == "Available" {
			available, _ = m["lastTransitionTime"].(string)
		}
	}
	if created, _ := field(after, "metadata", "creationTimestamp").(string); available == "" || created < available {
		t.Errorf("the later wave began at %s, the Deployment was available at %s", created, available)
	}
	// Deleting the CRD is guarded, also when it is the only one.
	d, b = desired(t, "boats", "crd", 2, automated(true, true), deployment+
		"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: after, annotations: {argocd.argoproj.io/sync-wave: '1'}}\ndata: {v: '1'}\n")
	a.mustSend(d, b)
	eventually(t, 30*time.Second, func() error {
		if !slices.ContainsFunc(a.status("uid-boats").Conditions, func(c model.Condition) bool { return c.Type == "PruneGuard" }) {
			return fmt.Errorf("conditions %v", a.status("uid-boats").Conditions)
		}
		return nil
	})
	if a.k.get("/apis/acme.example.io/v1/namespaces/crd/boats/one") == nil {
		t.Error("the custom resource was pruned")
	}
}

func TestOwnersAndErrors(t *testing.T) {
	cp := controlPlane(t)
	a := startAgent(t, cp, "agent-errors")
	d, b := desired(t, "first", "errs", 1, automated(true, true), configMap("errs", "shared", "1"))
	a.mustSend(d, b)
	a.synced("uid-first", 1)
	d, b = desired(t, "second", "errs", 1, automated(true, true), configMap("errs", "shared", "2")+configMap("errs", "own", "1")+
		configMap("no-such-namespace", "x", "1")+
		"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: bad}\nspec: {replicas: -1, selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: x, image: y}]}}}\n---\n"+
		"apiVersion: v1\nkind: Service\nmetadata: {name: typo}\nspec: {selectr: {a: b}}\n")
	a.mustSend(d, b)
	eventually(t, 30*time.Second, func() error {
		if len(a.status("uid-second").Conditions) == 0 {
			return errors.New("no condition")
		}
		return nil
	})
	a.operation("op-e", 1, "uid-second", model.OperationSpec{})
	end := a.ended("op-e")
	if end.Phase != model.PhaseFailed {
		t.Fatalf("%+v", end)
	}
	got := map[string]string{}
	for _, r := range end.Result.Resources {
		got[r.Name] = r.Status + ": " + r.Message
	}
	for name, want := range map[string]string{
		"shared": `belongs to application "first"`, "x": `namespace "no-such-namespace" does not exist`,
		"bad": "is not valid", "typo": "selectr",
	} {
		if !strings.HasPrefix(got[name], sync.StatusFailed) || !strings.Contains(got[name], want) {
			t.Errorf("%s: %q, want a failure with %q", name, got[name], want)
		}
	}
	if got["own"] != sync.StatusUnchanged+": " && got["own"] != sync.StatusCreated+": " {
		t.Errorf("own: %q", got["own"])
	}
	if v := field(a.k.get(cmPath("errs", "shared")), "data", "v"); v != "1" {
		t.Errorf("the other application's object became %v", v)
	}
	// A project that does not allow the namespace refuses everything.
	d, b = desired(t, "third", "errs", 1, automated(true, true), configMap("errs", "third", "1"))
	d.ProjectSpec.Destinations = []model.ProjectDestination{{Name: "test", Namespace: "elsewhere"}}
	a.mustSend(d, b)
	eventually(t, 30*time.Second, func() error {
		if !slices.ContainsFunc(a.status("uid-third").Conditions, func(c model.Condition) bool { return c.Type == "InvalidSpecError" }) {
			return fmt.Errorf("conditions %v", a.status("uid-third").Conditions)
		}
		return nil
	})
	if a.k.get(cmPath("errs", "third")) != nil {
		t.Error("an object that the project does not allow was created")
	}
	// An immutable field.
	d, b = desired(t, "fixed", "errs", 1, automated(true, true), "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: fixed}\nimmutable: true\ndata: {v: '1'}\n")
	a.mustSend(d, b)
	a.synced("uid-fixed", 1)
	d, b = desired(t, "fixed", "errs", 2, automated(true, true), "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: fixed}\nimmutable: true\ndata: {v: '2'}\n")
	a.mustSend(d, b)
	eventually(t, 30*time.Second, func() error {
		if !slices.ContainsFunc(a.status("uid-fixed").Conditions, func(c model.Condition) bool { return c.Code == "immutable_field" }) {
			return fmt.Errorf("conditions %v", a.status("uid-fixed").Conditions)
		}
		return nil
	})
	d, b = desired(t, "fixed", "errs", 3, automated(true, true, "Replace=true", "Force=true"), "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: fixed}\nimmutable: true\ndata: {v: '2'}\n")
	a.mustSend(d, b)
	a.synced("uid-fixed", 3)
	if v := field(a.k.get(cmPath("errs", "fixed")), "data", "v"); v != "2" {
		t.Errorf("replaced object has %v", v)
	}
}

func TestOrphan(t *testing.T) {
	cp := controlPlane(t)
	a := startAgent(t, cp, "agent-orphan")
	d, b := desired(t, "orphan", "orphan", 1, automated(true, true), configMap("orphan", "a", "1"))
	a.mustSend(d, b)
	a.synced("uid-orphan", 1)
	a.engine.Withdraw(t.Context(), model.Withdraw{App: "uid-orphan", Name: "orphan", Generation: 2, Mode: model.WithdrawOrphan, Operation: "op-o", OperationSeq: 1})
	if end := a.ended("op-o"); end.Phase != model.PhaseSucceeded {
		t.Fatalf("%+v", end)
	}
	o := a.k.get(cmPath("orphan", "a"))
	if o == nil || field(o, "metadata", "annotations", model.AnnotationTrackingID) != nil {
		t.Errorf("after an orphaning withdrawal: %v", o)
	}
	if _, ok := a.engine.Status("uid-orphan"); ok {
		eventually(t, 5*time.Second, func() error {
			if _, ok := a.engine.Status("uid-orphan"); ok {
				return errors.New("the application is still known")
			}
			return nil
		})
	}
	if rec, p := a.obs.Get(model.ObjectKey{Kind: "ConfigMap", Namespace: "orphan", Name: "a"}); p == live.Present && rec.TrackingID != "" {
		eventually(t, 5*time.Second, func() error {
			if rec, _ := a.obs.Get(rec.Key); rec.TrackingID != "" {
				return errors.New("still tracked")
			}
			return nil
		})
	}
}
