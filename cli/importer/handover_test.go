package importer

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	jsonpatch "github.com/evanphx/json-patch/v5"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

const argoObjects = `
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: web, namespace: argocd, resourceVersion: "7", finalizers: [other, resources-finalizer.argocd.argoproj.io]}
spec: {syncPolicy: {automated: {prune: true, enabled: true}, syncOptions: [a=b]}}
---
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: manual, namespace: argocd, resourceVersion: "8"}
spec: {}
---
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: root, namespace: argocd, finalizers: [resources-finalizer.argocd.argoproj.io]}
spec: {syncPolicy: {automated: {selfHeal: true}}}
---
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: leaf, namespace: argocd, annotations: {argocd.argoproj.io/tracking-id: "root:argoproj.io/Application:argocd/leaf"}}
spec: {syncPolicy: {automated: {}}}
---
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: leaf2, namespace: argocd, annotations: {argocd.argoproj.io/tracking-id: "root:argoproj.io/Application:argocd/leaf2"}}
spec: {syncPolicy: {automated: {}}}
---
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: made, namespace: argocd, ownerReferences: [{kind: ApplicationSet, name: gen}]}
spec: {syncPolicy: {automated: {}}}
---
apiVersion: argoproj.io/v1alpha1
kind: ApplicationSet
metadata: {name: gen, namespace: argocd}
spec: {syncPolicy: {applicationsSync: create-update}}
---
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: busy, namespace: argocd}
status: {operationState: {phase: Running}}
---
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: going, namespace: argocd, deletionTimestamp: "2026-01-01T00:00:00Z"}
`

// world applies steps as an API server would.
type world map[string][]byte

func newWorld(t *testing.T) world {
	t.Helper()
	objects, err := Parse("x", []byte(argoObjects))
	if err != nil {
		t.Fatal(err)
	}
	w := world{}
	for _, o := range objects {
		var v any
		if err := o.root.Decode(&v); err != nil {
			t.Fatal(err)
		}
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		w[o.Kind+"/"+o.Name] = b
	}
	return w
}

func (w world) objects(t *testing.T) []Object {
	t.Helper()
	var out []Object
	for _, b := range w {
		objects, err := FromJSON("x", b)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, objects...)
	}
	return out
}

func (w world) apply(t *testing.T, steps []Step) {
	t.Helper()
	for _, s := range steps {
		patch, err := json.Marshal(s.Patch)
		if err != nil {
			t.Fatal(err)
		}
		key := s.Kind + "/" + s.Name
		if w[key], err = jsonpatch.MergePatch(w[key], patch); err != nil {
			t.Fatal(err)
		}
	}
}

func names(steps []Step) string {
	var out []string
	for _, s := range steps {
		out = append(out, s.Name)
	}
	return strings.Join(out, " ")
}

func TestPauseAndResume(t *testing.T) {
	for _, c := range []struct{ name, apps, pauses, resumes string }{
		{"automated, with a finalizer", "web", "web", "web"},
		{"nothing to pause", "manual", "", ""},
		{"the parent of the application first", "leaf", "root leaf", "leaf root"},
		{"of a set", "made", "gen made", "made gen"},
		{"several", "web leaf made", "web root leaf gen made", "leaf made root web gen"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			before := newWorld(t)
			var apps []Source
			for _, n := range strings.Fields(c.apps) {
				apps = append(apps, Source{"argocd", n})
			}
			steps, err := Pause(apps, w.objects(t))
			if err != nil || names(steps) != c.pauses {
				t.Fatalf("pauses %s: %v", names(steps), err)
			}
			w.apply(t, steps)
			for _, a := range apps {
				got := string(w["Application/"+a.Name])
				if strings.Contains(got, `"automated":{`) || strings.Contains(got, `"finalizers":["other","resources`) {
					t.Errorf("%s is not paused: %s", a, got)
				}
			}
			if again, err := Pause(apps, w.objects(t)); err != nil || len(again) != 0 {
				t.Errorf("pausing again does %s, %v", names(again), err)
			}
			// What is imported meanwhile is what the user wrote.
			back := Resume(apps, w.objects(t))
			sorted := map[string]bool{}
			for _, n := range strings.Fields(names(back)) {
				sorted[n] = true
			}
			for _, n := range strings.Fields(c.resumes) {
				if !sorted[n] {
					t.Errorf("%s is not resumed: %s", n, names(back))
				}
			}
			w.apply(t, back)
			for key := range before {
				var x, y any
				if json.Unmarshal(before[key], &x) != nil || json.Unmarshal(w[key], &y) != nil || !same(x, y) {
					t.Errorf("%s was %s\nand is %s", key, before[key], w[key])
				}
			}
			if again := Resume(apps, w.objects(t)); len(again) != 0 {
				t.Errorf("resuming again does %s", names(again))
			}
		})
	}
}

// same compares without what is empty.
func same(x, y any) bool {
	bx, _ := json.Marshal(tidy(x))
	by, _ := json.Marshal(tidy(y))
	return string(bx) == string(by)
}

func tidy(v any) any {
	m, ok := v.(map[string]any)
	if !ok {
		return v
	}
	out := map[string]any{}
	for k, e := range m {
		e = tidy(e)
		if inner, is := e.(map[string]any); e == "" || is && len(inner) == 0 && k != "automated" {
			continue
		}
		out[k] = e
	}
	return out
}

func TestAParentStaysPausedWhileAChildIs(t *testing.T) {
	w := newWorld(t)
	leaf, leaf2 := Source{"argocd", "leaf"}, Source{"argocd", "leaf2"}
	steps, err := Pause([]Source{leaf, leaf2}, w.objects(t))
	if err != nil || names(steps) != "root leaf leaf2" {
		t.Fatalf("%s %v", names(steps), err)
	}
	w.apply(t, steps)
	back := Resume([]Source{leaf}, w.objects(t))
	if names(back) != "leaf" {
		t.Errorf("resumes %s", names(back))
	}
	w.apply(t, back)
	if back = Resume([]Source{leaf2}, w.objects(t)); names(back) != "leaf2 root" {
		t.Errorf("resumes %s", names(back))
	}
}

func TestWhatIsNotPaused(t *testing.T) {
	for name, code := range map[string]string{"lost": "argocd_application_missing", "busy": "argocd_sync_running", "going": "argocd_application_deleting"} {
		steps, err := Pause([]Source{{"argocd", "web"}, {"argocd", name}}, newWorld(t).objects(t))
		if !fault.HasCode(err, code) || steps != nil {
			t.Errorf("%s: %v %v", name, steps, err)
		}
	}
}

func TestAParentKeepsItsFinalizer(t *testing.T) {
	steps, err := Pause([]Source{{"argocd", "leaf"}}, newWorld(t).objects(t))
	if err != nil || strings.Contains(encode(steps[0].Patch), "finalizers") {
		t.Errorf("%v %v", steps, err)
	}
	if got := steps[0].Command(); !strings.HasPrefix(got, "kubectl patch application root -n argocd --type merge -p '{") || strings.Contains(got, "resourceVersion") {
		t.Error(got)
	}
}

func TestParity(t *testing.T) {
	now := time.Now()
	good := func(change func(*model.AppView)) model.AppView {
		v := model.AppView{Name: "web", Freshness: model.FreshLive, ObservedAt: &now, Sync: model.SyncFacet{Status: model.SyncSynced},
			Resources:   []model.ResourceStatus{{Sync: model.SyncFacet{Status: model.SyncSynced}}, {Hook: "PreSync"}},
			Application: &model.Application{Metadata: model.ObjectMeta{Annotations: map[string]string{model.AnnotationMode: model.ModeObserve}}}}
		change(&v)
		return v
	}
	for _, c := range []struct {
		name   string
		change func(*model.AppView)
		same   bool
		why    string
	}{
		{"the same", func(*model.AppView) {}, true, ""},
		{"differs", func(v *model.AppView) {
			v.Sync.Status = model.SyncOutOfSync
			v.Resources = append(v.Resources, model.ResourceStatus{Sync: model.SyncFacet{Status: model.SyncOutOfSync}}, model.ResourceStatus{RequiresPruning: true})
		}, false, "1 objects would change, 1 would be pruned"},
		{"an object differs though the application does not say so", func(v *model.AppView) {
			v.Resources = append(v.Resources, model.ResourceStatus{Sync: model.SyncFacet{Status: model.SyncOutOfSync}})
		}, false, "1 objects would change, 0 would be pruned"},
		{"never reported", func(v *model.AppView) { v.Freshness, v.ObservedAt = model.FreshNever, nil }, false, "reported nothing"},
		{"stale", func(v *model.AppView) { v.Freshness = model.FreshStale }, false, "offline"},
		{"unknown", func(v *model.AppView) {
			v.Sync.Status = model.SyncUnknown
			v.Conditions = []model.Condition{{Message: "no chart"}}
		}, false, "no chart"},
		{"pinned", func(v *model.AppView) { v.Pin = &model.Pin{} }, false, "past deployment"},
		{"deleting", func(v *model.AppView) { v.Deleting = true }, false, "deleted"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := ParityOf(good(c.change))
			if p.Same != c.same || !strings.Contains(p.Why, c.why) || p.Mode != Observe {
				t.Errorf("got %+v", p)
			}
		})
	}
}
