package observe

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/e2e/testbed"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
	"k8s.io/client-go/rest"
)

// cluster is a real control plane with an admin's client.
type cluster struct {
	t      *testing.T
	client *http.Client
	url    string
}

func (c *cluster) do(method, path, contentType, body string) []byte {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.url+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	resp, err := c.client.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, _ := io.ReadAll(resp.Body)
	if resp.StatusCode >= 300 {
		c.t.Fatalf("%s %s: %s: %s", method, path, resp.Status, answer)
	}
	return answer
}

// apply does a server-side apply.
func (c *cluster) apply(path, body string) []byte {
	c.t.Helper()
	return c.do(http.MethodPatch, path+"?fieldManager=hawser&force=true", "application/apply-patch+yaml", body)
}

func (c *cluster) delete(path string) {
	c.t.Helper()
	c.do(http.MethodDelete, path, "application/json", `{"propagationPolicy":"Background"}`)
}

// lockedBuffer is a log that can be read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// recorder keeps events and lets a test await one.
type recorder struct {
	mu     sync.Mutex
	events []live.Event
	more   chan struct{}
}

func newRecorder(o *Observer) *recorder {
	r := &recorder{more: make(chan struct{}, 1)}
	o.Subscribe(func(ev live.Event) {
		r.mu.Lock()
		r.events = append(r.events, ev)
		r.mu.Unlock()
		select {
		case r.more <- struct{}{}:
		default:
		}
	})
	return r
}

// await waits for an event that match accepts.
func (r *recorder) await(t *testing.T, what string, match func(live.Event) bool) live.Event {
	t.Helper()
	deadline := time.After(60 * time.Second)
	for {
		r.mu.Lock()
		for i, ev := range r.events {
			if match(ev) {
				r.events = r.events[i+1:]
				r.mu.Unlock()
				return ev
			}
		}
		r.mu.Unlock()
		select {
		case <-r.more:
		case <-deadline:
			t.Fatalf("no event: %s", what)
		}
	}
}

func about(key model.ObjectKey) func(live.Event) bool {
	return func(ev live.Event) bool { return ev.Key == key }
}

func start(t *testing.T, o *Observer) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- o.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(60 * time.Second); !f(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

func short(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	t.Cleanup(cancel)
	return ctx
}

var (
	gkConfigMap  = model.GroupKind{Kind: "ConfigMap"}
	gkDeployment = model.GroupKind{Group: "apps", Kind: "Deployment"}
	gkJob        = model.GroupKind{Group: "batch", Kind: "Job"}
	gkPod        = model.GroupKind{Kind: "Pod"}
	gkWidget     = model.GroupKind{Group: "example.com", Kind: "Widget"}
)

func configMap(ns, name, tracking, value string) string {
	annotations := ""
	if tracking != "" {
		annotations = fmt.Sprintf(`,"annotations":{"argocd.argoproj.io/tracking-id":%q}`, tracking)
	}
	return fmt.Sprintf(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":%q,"namespace":%q%s},"data":{"k":%q}}`, name, ns, annotations, value)
}

// TestRealCluster goes through the life of objects on a real control plane, in
// one test because starting one takes seconds.
func TestRealCluster(t *testing.T) {
	cp := testbed.NeedControlPlane(t, testbed.Options{Name: "observe"})
	cfg := cp.RESTConfig()
	admin, err := rest.HTTPClientFor(cfg)
	if err != nil {
		t.Fatal(err)
	}
	var logs lockedBuffer
	o := New(Options{Config: cfg, ExcludeNamespaces: []string{"hawser-system"}, AgentVersion: "test", Log: slog.New(slog.NewTextHandler(&logs, nil))})
	events := newRecorder(o)

	key := model.ObjectKey{Kind: "ConfigMap", Namespace: "default", Name: "a"}
	if _, p := o.Get(key); p != live.Unknown {
		t.Errorf("before Run: %v", p)
	}
	if _, err := o.Kind(gkConfigMap); !fault.HasCode(err, codeKindUndetermined) {
		t.Errorf("Kind before discovery: %v", err)
	}
	o.Watch(gkConfigMap, gkDeployment)
	start(t, o)
	if err := o.WaitSynced(short(t), gkConfigMap, gkDeployment, gkPod); err != nil {
		t.Fatal(err)
	}
	if k, err := o.Kind(gkDeployment); err != nil || k.Version != "v1" || k.Resource != "deployments" || !k.Namespaced || !k.Watchable {
		t.Errorf("Deployment is served as %+v, %v", k, err)
	}
	if _, p := o.Get(key); p != live.Absent {
		t.Errorf("before it was made: %v", p)
	}

	t.Run("create, update, delete", func(t *testing.T) {
		c := &cluster{t: t, client: admin, url: cp.URL()}
		path := "/api/v1/namespaces/default/configmaps/a"
		c.apply(path, configMap("default", "a", "shop:/ConfigMap:default/a", "1"))
		ev := events.await(t, "created", about(key))
		if !ev.SpecChanged || ev.Deleted || len(ev.Apps) != 1 || ev.Apps[0] != "shop" {
			t.Errorf("created: %+v", ev)
		}
		rec, p := o.Get(key)
		if p != live.Present || !bytes.Contains(rec.Body, []byte(`"k":"1"`)) || bytes.Contains(rec.Body, []byte("managedFields")) || rec.Health.Status != model.HealthHealthy {
			t.Errorf("record %v %+v body %s", p, rec, rec.Body)
		}
		if len(rec.Managers) != 1 || rec.Managers[0].Manager != "hawser" || rec.Managers[0].Operation != "Apply" || !json.Valid(rec.Managers[0].FieldsV1) {
			t.Errorf("managers %+v", rec.Managers)
		}
		c.do(http.MethodPatch, path, "application/merge-patch+json", `{"data":{"k":"drifted"}}`)
		if ev := events.await(t, "drifted", about(key)); !ev.SpecChanged {
			t.Errorf("drift: %+v", ev)
		}
		if got := o.Tracked("shop"); len(got) != 1 || !bytes.Contains(got[0].Body, []byte("drifted")) {
			t.Errorf("tracked: %+v", got)
		}
		c.delete(path)
		if ev := events.await(t, "deleted", func(ev live.Event) bool { return ev.Key == key && ev.Deleted }); len(ev.Apps) != 1 {
			t.Errorf("deleted: %+v", ev)
		}
		if _, p := o.Get(key); p != live.Absent {
			t.Errorf("after deletion: %v", p)
		}
	})

	t.Run("our own answer is known at once", func(t *testing.T) {
		c := &cluster{t: t, client: admin, url: cp.URL()}
		answer := c.apply("/api/v1/namespaces/default/configmaps/b", configMap("default", "b", "shop:/ConfigMap:default/b", "1"))
		if err := o.Saw(answer); err != nil {
			t.Fatal(err)
		}
		k := model.ObjectKey{Kind: "ConfigMap", Namespace: "default", Name: "b"}
		saw, p := o.Get(k)
		if p != live.Present {
			t.Fatalf("after Saw: %v", p)
		}
		c.do(http.MethodPatch, "/api/v1/namespaces/default/configmaps/b", "application/merge-patch+json", `{"metadata":{"labels":{"x":"y"}}}`)
		eventually(t, "the watch goes on after our own answer", func() bool {
			rec, _ := o.Get(k)
			return newer(rec.ResourceVersion, saw.ResourceVersion)
		})
		if err := o.Saw(answer); err != nil { // an answer that comes late
			t.Fatal(err)
		}
		if rec, _ := o.Get(k); rec.ResourceVersion == saw.ResourceVersion {
			t.Error("an old answer replaced newer news")
		}
	})

	t.Run("the same bytes by watch and by answer hash alike", func(t *testing.T) {
		c := &cluster{t: t, client: admin, url: cp.URL()}
		answer := c.apply("/api/v1/namespaces/default/configmaps/h", configMap("default", "h", "shop:/ConfigMap:default/h", "1"))
		k := model.ObjectKey{Kind: "ConfigMap", Namespace: "default", Name: "h"}
		eventually(t, "watched", func() bool { _, p := o.Get(k); return p == live.Present })
		watched, _ := o.Get(k)
		mine, err := o.trim.record(gkConfigMap, "", answer, true)
		if err != nil || mine.SpecHash != watched.SpecHash || !bytes.Equal(mine.Body, watched.Body) {
			t.Errorf("%v\n%s\n%s", err, mine.Body, watched.Body)
		}
	})

	t.Run("a deployment down to its pods", func(t *testing.T) {
		c := &cluster{t: t, client: admin, url: cp.URL()}
		c.apply("/apis/apps/v1/namespaces/default/deployments/web", `{"apiVersion":"apps/v1","kind":"Deployment",
			"metadata":{"name":"web","namespace":"default","annotations":{"argocd.argoproj.io/tracking-id":"shop:apps/Deployment:default/web"}},
			"spec":{"replicas":2,"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"web","image":"nginx:1"}]}}}}`)
		k := model.ObjectKey{Group: "apps", Kind: "Deployment", Namespace: "default", Name: "web"}
		eventually(t, "healthy", func() bool {
			rec, _ := o.Get(k)
			return rec.Health.Status == model.HealthHealthy && len(rec.Info) == 1 && rec.Info[0].Value == "2/2"
		})
		rec, _ := o.Get(k)
		sets := o.Children(rec.UID)
		if len(sets) != 1 || sets[0].TrackingID != "" {
			t.Fatalf("replica sets: %+v", sets)
		}
		pods := o.Children(sets[0].UID)
		if len(pods) != 2 || pods[0].Body != nil || len(pods[0].Images) != 1 || pods[0].Images[0] != "nginx:1" {
			t.Fatalf("pods: %+v", pods)
		}
		events.await(t, "a pod changes the tree of its application", func(ev live.Event) bool {
			return ev.Key.Kind == "Pod" && len(ev.Apps) == 0 && len(ev.TreeOf) == 1 && ev.TreeOf[0] == "shop"
		})
	})

	t.Run("a hook that ends and is deleted at once", func(t *testing.T) {
		c := &cluster{t: t, client: admin, url: cp.URL()}
		o.Watch(gkJob)
		if err := o.WaitSynced(short(t), gkJob); err != nil {
			t.Fatal(err)
		}
		k := model.ObjectKey{Group: "batch", Kind: "Job", Namespace: "default", Name: "migrate"}
		path := "/apis/batch/v1/namespaces/default/jobs/migrate"
		now := time.Now().UTC().Format(time.RFC3339)
		for run, end := range map[string]struct {
			status string
			want   model.Health
		}{
			"run-1": {`{"status":{"startTime":"` + now + `","completionTime":"` + now + `","succeeded":1,"conditions":[
				{"type":"SuccessCriteriaMet","status":"True","lastTransitionTime":"` + now + `"},{"type":"Complete","status":"True","lastTransitionTime":"` + now + `"}]}}`, model.HealthHealthy},
			"run-2": {`{"status":{"startTime":"` + now + `","failed":1,"conditions":[
				{"type":"FailureTarget","status":"True","lastTransitionTime":"` + now + `"},{"type":"Failed","status":"True","reason":"BackoffLimitExceeded","lastTransitionTime":"` + now + `"}]}}`, model.HealthDegraded},
		} {
			c.apply(path, `{"apiVersion":"batch/v1","kind":"Job","metadata":{"name":"migrate","namespace":"default","annotations":{"hawser.dev/run":"`+run+`","argocd.argoproj.io/tracking-id":"shop:batch/Job:default/migrate"}},
				"spec":{"managedBy":"example.com/test","template":{"spec":{"restartPolicy":"Never","containers":[{"name":"x","image":"x"}]}}}}`)
			events.await(t, "created", about(k))
			if _, ok := o.Gone(k); ok {
				t.Error("an object that exists is gone")
			}
			// Nobody looks in between: the deletion, in the foreground and so in
			// two steps, follows the end.
			c.do(http.MethodPatch, path+"/status", "application/merge-patch+json", end.status)
			c.do(http.MethodDelete, path, "application/json", `{"propagationPolicy":"Foreground"}`)
			events.await(t, "deleted", func(ev live.Event) bool { return ev.Key == k && ev.Deleted })
			if rec, ok := o.Gone(k); !ok || rec.Run != run || rec.Health.Status != end.want {
				t.Errorf("%s: %v %+v", run, ok, rec)
			}
		}
	})

	t.Run("the excluded namespace is not observed", func(t *testing.T) {
		c := &cluster{t: t, client: admin, url: cp.URL()}
		c.apply("/api/v1/namespaces/hawser-system", `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"hawser-system"}}`)
		c.apply("/api/v1/namespaces/hawser-system/configmaps/own", configMap("hawser-system", "own", "", "1"))
		c.apply("/api/v1/namespaces/default/configmaps/after", configMap("default", "after", "", "1"))
		eventually(t, "a later object is there", func() bool {
			_, p := o.Get(model.ObjectKey{Kind: "ConfigMap", Namespace: "default", Name: "after"})
			return p == live.Present
		})
		if _, p := o.Get(model.ObjectKey{Kind: "ConfigMap", Namespace: "hawser-system", Name: "own"}); p != live.Unknown {
			t.Errorf("presence in the own namespace: %v", p)
		}
	})

	t.Run("a kind that comes later", func(t *testing.T) {
		c := &cluster{t: t, client: admin, url: cp.URL()}
		o.Watch(gkWidget)
		if err := o.WaitSynced(short(t), gkWidget); !fault.HasCode(err, codeKindUnknown) {
			t.Fatalf("before its definition: %v", err)
		}
		wk := model.ObjectKey{Group: "example.com", Kind: "Widget", Namespace: "default", Name: "w"}
		if _, p := o.Get(wk); p != live.Unknown {
			t.Errorf("object of an unknown kind: %v", p)
		}
		c.apply("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.example.com", `{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition",
			"metadata":{"name":"widgets.example.com"},"spec":{"group":"example.com","scope":"Namespaced","names":{"plural":"widgets","singular":"widget","kind":"Widget","listKind":"WidgetList"},
			"versions":[{"name":"v1","served":true,"storage":true,"schema":{"openAPIV3Schema":{"type":"object","x-kubernetes-preserve-unknown-fields":true}}}]}}`)
		eventually(t, "the kind is served", func() bool { _, err := o.Kind(gkWidget); return err == nil })
		eventually(t, "the kind is watched", func() bool { return o.Synced(gkWidget) })
		if _, p := o.Get(wk); p != live.Absent {
			t.Errorf("before it was made: %v", p)
		}
		c.apply("/apis/example.com/v1/namespaces/default/widgets/w", `{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":"w","namespace":"default","annotations":{"argocd.argoproj.io/tracking-id":"shop:example.com/Widget:default/w"}},"spec":{"n":1}}`)
		eventually(t, "the object is there", func() bool { _, p := o.Get(wk); return p == live.Present })

		c.delete("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.example.com")
		eventually(t, "the kind is gone", func() bool { _, err := o.Kind(gkWidget); return fault.HasCode(err, codeKindUnknown) })
		eventually(t, "its objects are unknown, not absent", func() bool { _, p := o.Get(wk); return p == live.Unknown })
	})

	t.Run("metadata first, whole objects when managed", func(t *testing.T) {
		c := &cluster{t: t, client: admin, url: cp.URL()}
		ns := model.GroupKind{Kind: "Namespace"}
		if err := o.WaitSynced(short(t), ns); err != nil {
			t.Fatal(err)
		}
		c.apply("/api/v1/namespaces/team", `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"team","annotations":{"argocd.argoproj.io/tracking-id":"shop:/Namespace:/team"}}}`)
		k := model.ObjectKey{Kind: "Namespace", Name: "team"}
		eventually(t, "present", func() bool { _, p := o.Get(k); return p == live.Present })
		if rec, _ := o.Get(k); rec.Body != nil || rec.Version != "v1" {
			t.Errorf("metadata only: %+v", rec)
		}
		o.Watch(ns)
		if o.Synced(ns) {
			t.Error("synced before whole objects were listed")
		}
		if err := o.WaitSynced(short(t), ns); err != nil {
			t.Fatal(err)
		}
		if rec, p := o.Get(k); p != live.Present || !bytes.Contains(rec.Body, []byte(`"phase":"Active"`)) {
			t.Errorf("%v %s", p, rec.Body)
		}
	})

	t.Run("facts of the cluster", func(t *testing.T) {
		r, err := o.Cluster(t.Context())
		if err != nil || r.Nodes != 1 || r.Namespaces < 4 || r.KubeVersion != cp.KubernetesVersion() {
			t.Errorf("%+v, %v", r, err)
		}
		if !slices.Contains(r.APIResources, "v1/Pod") || !slices.Contains(r.APIResources, "apps/v1/Deployment") || !slices.Contains(r.NamespacedKinds, "apps/Deployment") || slices.Contains(r.NamespacedKinds, "Namespace") {
			t.Errorf("kinds: %v %v", r.APIResources, r.NamespacedKinds)
		}
		if len(r.Conditions) != 0 {
			t.Errorf("conditions of a healthy cluster: %v", r.Conditions)
		}
	})

	t.Run("one request per kind, and none per change", func(t *testing.T) {
		c := &cluster{t: t, client: admin, url: cp.URL()}
		k := model.ObjectKey{Kind: "ConfigMap", Namespace: "default", Name: "busy"}
		for i := range 10 {
			c.apply("/api/v1/namespaces/default/configmaps/busy", configMap("default", "busy", "shop:/ConfigMap:default/busy", fmt.Sprint(i)))
			events.await(t, "seen", about(k))
		}
		// The admin's last request is in the log, so every earlier one of the
		// observer that was answered is.
		c.do(http.MethodGet, "/api/v1/namespaces/default/configmaps/busy?last", "", "")
		log, asked, lists := cp.Audit(), []string{}, 0
		last, err := log.Await(short(t), func(ev testbed.AuditEvent) bool {
			if strings.HasPrefix(ev.UserAgent, "hawser-agent/test") && ev.Resource == "configmaps" {
				asked = append(asked, ev.String())
			}
			if strings.HasPrefix(ev.UserAgent, "hawser-agent/") && ev.Verb == "list" && ev.Resource != "nodes" {
				lists++
			}
			return strings.HasSuffix(ev.RequestURI, "?last")
		})
		if err != nil || len(asked) != 1 || lists != 0 {
			t.Errorf("up to %v the observer asked for ConfigMaps %d times and listed %d times (%v):\n%s", last.Time, len(asked), lists, err, strings.Join(asked, "\n"))
		}
	})

	t.Run("a conversion webhook that is away", func(t *testing.T) { brokenConversion(t, cp, admin, o) })
	t.Run("faults between us and the API server", func(t *testing.T) { behindFaults(t, cp, admin) })

	t.Run("the API server goes and comes back", func(t *testing.T) {
		c := &cluster{t: t, client: admin, url: cp.URL()}
		c.apply("/api/v1/namespaces/default/configmaps/kept", configMap("default", "kept", "shop:/ConfigMap:default/kept", "1"))
		kept := model.ObjectKey{Kind: "ConfigMap", Namespace: "default", Name: "kept"}
		none := model.ObjectKey{Kind: "ConfigMap", Namespace: "default", Name: "none"}
		eventually(t, "present", func() bool { _, p := o.Get(kept); return p == live.Present })
		if err := cp.StopAPIServer(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "absence is unknown while the watch is broken", func() bool { _, p := o.Get(none); return p == live.Unknown })
		if rec, p := o.Get(kept); p != live.Present || rec.Body == nil {
			t.Errorf("last known object: %v", p)
		}
		broke := o.ObservedAt()
		if !broke.Before(time.Now()) || len(o.Conditions()) == 0 {
			t.Errorf("observed at %v, conditions %v", broke, o.Conditions())
		}
		var lost atomic.Int64
		o.Subscribe(func(ev live.Event) {
			if ev.Deleted {
				lost.Add(1)
			}
		})
		if err := cp.StartAPIServer(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := o.WaitSynced(short(t), gkConfigMap, gkDeployment, gkPod); err != nil {
			t.Fatal(err)
		}
		if _, p := o.Get(none); p != live.Absent {
			t.Errorf("after the watch is back: %v", p)
		}
		c.apply("/api/v1/namespaces/default/configmaps/kept", configMap("default", "kept", "shop:/ConfigMap:default/kept", "2"))
		events.await(t, "changes are seen again", func(ev live.Event) bool { return ev.Key == kept && ev.SpecChanged })
		if lost.Load() > 0 {
			t.Errorf("%d objects were reported deleted", lost.Load())
		}
		eventually(t, "no conditions are left", func() bool { return len(o.Conditions()) == 0 })
	})
	if t.Failed() {
		t.Logf("log of the observer:\n%s", logs.String())
	}
}
