package observe

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/shared/model"
	"k8s.io/client-go/rest"
)

func cmIn(ns, name, version string) string {
	return strings.Replace(cm(name, version), `"namespace":"shop"`, `"namespace":"`+ns+`"`, 1)
}

// Nothing tells such an observer of new kinds, so it asks now and then.
func TestNewKindsAreFoundWithoutDefinitions(t *testing.T) {
	a := newAPIServer(t)
	o := New(Options{Config: &rest.Config{Host: a.URL}, Namespaces: []string{"shop"}})
	o.rediscover = 20 * time.Millisecond
	start(t, o)
	gadget := model.GroupKind{Group: "example.org", Kind: "Gadget"}
	o.Watch(gadget)
	eventually(t, "discovery has answered", func() bool { return a.count("/apis", func(*http.Request) bool { return true }) > 0 })
	a.handle("/apis", answer(200, groupDoc("example.org", "v1", "Current", "gadgets", "Gadget")))
	eventually(t, "the new kind is watched", func() bool {
		return a.count("/apis/example.org/v1/namespaces/shop/gadgets", func(*http.Request) bool { return true }) > 0
	})
}

// TestOnlySomeNamespaces: an observer of two namespaces asks for nothing else, goes
// on with each where it was, and lists both again when one place is lost.
func TestOnlySomeNamespaces(t *testing.T) {
	a := newAPIServer(t)
	lost := make(chan struct{})
	created := make(chan struct{})
	a.handle("/api/v1/namespaces/shop/configmaps", func(w http.ResponseWriter, r *http.Request) {
		switch q := r.URL.Query(); {
		case q.Get("watch") == "":
			if a.count(r.URL.Path, func(r *http.Request) bool { return r.URL.Query().Get("watch") == "" }) == 1 {
				answer(200, `{"metadata":{"resourceVersion":"10"},"items":[`+cmIn("shop", "old", "3")+`,`+cmIn("shop", "kept", "4")+`]}`)(w, r)
				return
			}
			answer(200, `{"metadata":{"resourceVersion":"40"},"items":[`+cmIn("shop", "kept", "4")+`]}`)(w, r)
		case q.Get("resourceVersion") == "10":
			a.stream(w, r, lost, event("ADDED", cmIn("shop", "new", "12")))
			w.Write([]byte(event("ERROR", statusDoc(410, "Expired", "too old"))))
		default:
			a.stream(w, r, nil)
		}
	})
	a.handle("/api/v1/namespaces/till/configmaps", func(w http.ResponseWriter, r *http.Request) {
		switch q := r.URL.Query(); {
		case q.Get("watch") == "":
			answer(200, `{"metadata":{"resourceVersion":"30"},"items":[`+cmIn("till", "coins", "5")+`]}`)(w, r)
		case a.count(r.URL.Path, func(r *http.Request) bool { return r.URL.Query().Get("watch") != "" }) == 1:
			a.stream(w, r, nil)
		default:
			a.stream(w, r, created)
			a.stream(w, r, nil, event("DELETED", cmIn("till", "coins", "45")))
		}
	})
	a.handle("/version", answer(200, `{"gitVersion":"v1.37.2","platform":"linux/amd64"}`))
	o := New(Options{Config: &rest.Config{Host: a.URL}, ExcludeNamespaces: []string{"hawser-system"}, Namespaces: []string{"shop", "till"}})
	rec := newRecorder(o)
	start(t, o)
	o.Watch(gkConfigMap, kindNamespace)
	key := func(ns, name string) model.ObjectKey {
		return model.ObjectKey{Kind: "ConfigMap", Namespace: ns, Name: name}
	}
	known := func(ns, name string) live.Presence { _, p := o.Get(key(ns, name)); return p }
	eventually(t, "both namespaces are known", func() bool {
		return known("shop", "new") == live.Present && known("shop", "old") == live.Present && known("till", "coins") == live.Present
	})
	if known("shop", "none") != live.Absent {
		t.Error("absence in a namespace that is watched is not known")
	}
	if known("elsewhere", "none") != live.Unknown || known("hawser-system", "none") != live.Unknown {
		t.Error("absence is claimed of a namespace that is not looked into")
	}
	if _, p := o.Get(model.ObjectKey{Kind: "Namespace", Name: "shop"}); p != live.Unknown {
		t.Errorf("a Namespace is %v", p)
	}
	// What we saw ourselves and the watch of its namespace has passed does not come
	// back; that of another namespace being further says nothing.
	if err := o.Saw([]byte(cmIn("shop", "mine", "20"))); err != nil || known("shop", "mine") != live.Present {
		t.Errorf("an object that the agent wrote is not seen, as another namespace is further: %v", err)
	}
	if err := o.Saw([]byte(cmIn("till", "late", "20"))); err != nil || known("till", "late") != live.Absent {
		t.Errorf("an object that was deleted before its answer came is back: %v", err)
	}
	close(lost)
	rec.await(t, "what is not in the second list is gone", func(ev live.Event) bool { return ev.Key == key("shop", "old") && ev.Deleted })
	eventually(t, "all is known again", func() bool { return o.Synced(gkConfigMap) && known("shop", "new") == live.Absent })
	if known("shop", "kept") != live.Present || known("till", "coins") != live.Present {
		t.Error("the second list has taken away what is there")
	}
	close(created)
	eventually(t, "the other namespace is followed", func() bool { return known("till", "coins") == live.Absent })

	r, err := o.Cluster(context.Background())
	if err != nil || r.Namespaces != 2 || len(r.Conditions) != 0 {
		t.Errorf("the report is %+v, %v", r, err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, r := range a.requests {
		if p := r.URL.Path; p != "/api" && p != "/apis" && p != "/version" && !strings.HasPrefix(p, "/api/v1/namespaces/shop/configmaps") && !strings.HasPrefix(p, "/api/v1/namespaces/till/configmaps") {
			t.Errorf("it asks for %s", p)
		}
	}
}
