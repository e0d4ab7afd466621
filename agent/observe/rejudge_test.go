package observe

import (
	"fmt"
	"net/http"
	"sync"
	"testing"

	"github.com/hawser-dev/hawser/agent/health"
	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/shared/model"
	"k8s.io/client-go/rest"
)

// judgedBy is an override that says the same of all objects of a kind.
func judgedBy(kind string, h model.Health) health.Override {
	return func(gk model.GroupKind, _ map[string]any) (model.HealthFacet, bool) {
		return model.HealthFacet{Status: h, Message: "script"}, gk.Kind == kind
	}
}

func TestOverridesAtRunTime(t *testing.T) {
	a := newAPIServer(t)
	a.handle("/api", answer(200, groupDoc("", "v1", "Current", "configmaps", "ConfigMap", "pods", "Pod")))
	a.handle("/api/v1/configmaps", func(w http.ResponseWriter, r *http.Request) {
		a.stream(w, r, nil, event("ADDED", `{"metadata":{"name":"c","namespace":"shop","uid":"c","resourceVersion":"3","annotations":{"argocd.argoproj.io/tracking-id":"x:/ConfigMap:shop/c"}}}`), listEnd("5"))
	})
	a.handle("/api/v1/pods", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("sendInitialEvents") == "" {
			a.stream(w, r, nil)
			return
		}
		a.stream(w, r, nil, event("ADDED", `{"metadata":{"name":"p","namespace":"shop","uid":"p","resourceVersion":"4","ownerReferences":[{"uid":"c","kind":"ConfigMap","name":"c"}]},"status":{"phase":"Pending"}}`), listEnd("5"))
	})
	o := New(Options{Config: &rest.Config{Host: a.URL}})
	events := newRecorder(o)
	o.Watch(gkConfigMap, gkPod)
	start(t, o)
	if err := o.WaitSynced(short(t), gkConfigMap, gkPod); err != nil {
		t.Fatal(err)
	}
	cmKey := model.ObjectKey{Kind: "ConfigMap", Namespace: "shop", Name: "c"}
	podKey := model.ObjectKey{Kind: "Pod", Namespace: "shop", Name: "p"}
	is := func(key model.ObjectKey, want model.Health) bool {
		rec, p := o.Get(key)
		return p == live.Present && rec.Health.Status == want
	}
	lists := func() int {
		return a.count("/api/v1/pods", func(r *http.Request) bool { return r.URL.Query().Get("sendInitialEvents") == "true" })
	}
	if !is(cmKey, "Healthy") || !is(podKey, "Progressing") {
		t.Fatal("before any script")
	}
	events.await(t, "the ConfigMap", about(cmKey))

	o.SetHealth(judgedBy("ConfigMap", "Degraded"), gkConfigMap)
	if !is(cmKey, "Degraded") {
		t.Error("a tracked object is judged again at once")
	}
	if ev := events.await(t, "the new health is told", about(cmKey)); ev.SpecChanged || ev.Deleted || len(ev.Apps) != 1 {
		t.Errorf("%+v", ev)
	}
	if rec, _ := o.Get(cmKey); rec.Health.Since == nil || rec.Body == nil {
		t.Errorf("%+v", rec)
	}
	if n := lists(); n != 1 {
		t.Errorf("pods were listed %d times", n)
	}

	// The bodies of pods are not kept: they are listed again, and counted though
	// nothing in them changed.
	o.SetHealth(judgedBy("Pod", "Suspended"), gkPod, gkConfigMap)
	if !is(cmKey, "Healthy") {
		t.Error("the script of ConfigMaps is gone")
	}
	eventually(t, "pods are judged by their script", func() bool { return is(podKey, "Suspended") })
	if n := lists(); n != 2 {
		t.Errorf("pods were listed %d times", n)
	}
	if ev := events.await(t, "the tree changed", about(podKey)); len(ev.TreeOf) != 1 {
		t.Errorf("%+v", ev)
	}

	o.SetHealth(nil)
	if !is(cmKey, "Healthy") {
		t.Error("without scripts")
	}
	eventually(t, "pods are judged by the rules again", func() bool { return is(podKey, "Progressing") })

	// A script for other kinds changes nothing.
	o.SetHealth(judgedBy("Pod", "Degraded"), model.GroupKind{Group: "example.com", Kind: "*"})
	if n := lists(); n != 3 || !is(podKey, "Progressing") {
		t.Errorf("pods were listed %d times", n)
	}
}

func TestPatternsOfKinds(t *testing.T) {
	for _, c := range []struct {
		pattern, gk model.GroupKind
		want        bool
	}{
		{model.GroupKind{Kind: "Pod"}, model.GroupKind{Kind: "Pod"}, true},
		{model.GroupKind{Kind: "Pod"}, model.GroupKind{Group: "example.com", Kind: "Pod"}, false},
		{model.GroupKind{Group: "*.crossplane.io", Kind: "*"}, model.GroupKind{Group: "s3.aws.crossplane.io", Kind: "Bucket"}, true},
		{model.GroupKind{Group: "*.crossplane.io", Kind: "*"}, model.GroupKind{Group: "example.com", Kind: "Bucket"}, false},
		{model.GroupKind{Group: "*", Kind: "*"}, model.GroupKind{Kind: "Pod"}, true},
		{model.GroupKind{Group: "[", Kind: "Pod"}, model.GroupKind{Group: "[", Kind: "Pod"}, false}, // no pattern: matches nothing
	} {
		if got := matches(c.pattern, c.gk); got != c.want {
			t.Errorf("%v %v: %v", c.pattern, c.gk, got)
		}
	}
}

// TestNoOldJudgementStays: objects arrive while the override is replaced; in the
// end all are judged by the last one.
func TestNoOldJudgementStays(t *testing.T) {
	o := New(Options{})
	o.Watch(gkConfigMap)
	const objects, rounds = 20, 50
	var wg sync.WaitGroup
	wg.Go(func() {
		for round := range rounds {
			for i := range objects {
				doc := fmt.Sprintf(`{"metadata":{"name":"c%d","namespace":"shop","uid":"u%d","resourceVersion":"%d","annotations":{"argocd.argoproj.io/tracking-id":"x:/ConfigMap:shop/c%d"}}}`, i, i, 10+round*objects+i, i)
				if _, err := o.accept(gkConfigMap, "v1", []byte(doc), true, func(rec live.Record) (live.Event, bool) { return o.store.put(rec, true, false) }); err != nil {
					t.Error(err)
				}
			}
		}
	})
	wg.Go(func() {
		for i := range 2 * rounds {
			o.SetHealth(judgedBy("ConfigMap", []model.Health{"Suspended", "Degraded"}[i%2]), gkConfigMap)
		}
	})
	wg.Wait()
	recs := o.List(gkConfigMap)
	if len(recs) != objects {
		t.Fatalf("%d objects", len(recs))
	}
	for _, rec := range recs {
		if rec.Health.Status != "Degraded" {
			t.Errorf("%s is %s", rec.Key, rec.Health.Status)
		}
	}
}
