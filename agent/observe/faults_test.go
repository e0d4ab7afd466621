package observe

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/e2e/testbed"
	"github.com/hawser-dev/hawser/shared/model"
	"k8s.io/client-go/rest"
)

// faults are what the proxy does to requests for ConfigMaps.
type faults struct {
	noStream    bool // refuse lists through watches, as servers before 1.32
	expired     bool // 410 to watches that go on from a version
	token       int  // how many continue tokens to call expired
	noBookmarks bool // leave out bookmarks, also the one that ends a list
	freeze      bool // take requests and then say nothing more
	refuse      int  // status to answer, 0 for none
}

// faultyProxy is a reverse proxy in front of a real API server.
type faultyProxy struct {
	*httptest.Server
	upstream *http.Client
	url      string

	mu      sync.Mutex
	f       faults
	cuts    chan struct{} // closed to cut what is under way
	refused int           // requests that were answered with an error
}

func newFaultyProxy(t *testing.T, cp *testbed.ControlPlane) *faultyProxy {
	client, err := rest.HTTPClientFor(cp.RESTConfig())
	if err != nil {
		t.Fatal(err)
	}
	p := &faultyProxy{upstream: client, url: cp.URL(), cuts: make(chan struct{})}
	p.Server = httptest.NewServer(http.HandlerFunc(p.serve))
	t.Cleanup(func() { p.cut(); p.CloseClientConnections(); p.Close() })
	return p
}

func (p *faultyProxy) set(f faults) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.f = f
}

// cut ends everything that is under way without a word.
func (p *faultyProxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.cuts)
	p.cuts = make(chan struct{})
}

func (p *faultyProxy) now() (faults, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.f, p.cuts
}

func (p *faultyProxy) fail(w http.ResponseWriter, code int, reason string) {
	p.mu.Lock()
	p.refused++
	p.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	fmt.Fprint(w, statusDoc(code, reason, "injected"))
}

func (p *faultyProxy) serve(w http.ResponseWriter, r *http.Request) {
	f, cut := p.now()
	q := r.URL.Query()
	if r.URL.Path != "/api/v1/configmaps" {
		f = faults{}
	}
	switch {
	case f.refuse != 0:
		if f.refuse == http.StatusTooManyRequests {
			w.Header().Set("Retry-After", "1")
		}
		p.fail(w, f.refuse, "Injected")
		return
	case f.noStream && q.Has("sendInitialEvents"):
		p.fail(w, http.StatusUnprocessableEntity, "Invalid")
		return
	case f.expired && q.Has("watch") && q.Get("resourceVersion") != "":
		p.fail(w, http.StatusGone, "Expired")
		return
	case f.token > 0 && q.Has("continue"):
		p.mu.Lock()
		p.f.token--
		p.mu.Unlock()
		p.fail(w, http.StatusGone, "Expired")
		return
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	go func() {
		select {
		case <-cut:
			cancel()
		case <-ctx.Done():
		}
	}()
	if f.noStream && q.Get("limit") != "" {
		q.Set("limit", "7") // so that there are pages
		r.URL.RawQuery = q.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, r.Method, p.url+r.URL.RequestURI(), nil)
	if err != nil {
		return
	}
	req.Header.Set("Accept", r.Header.Get("Accept"))
	resp, err := p.upstream.Do(req)
	if err != nil {
		return
	}
	defer resp.Body.Close()
	w.Header().Set("Content-Type", resp.Header.Get("Content-Type"))
	w.WriteHeader(resp.StatusCode)
	w.(http.Flusher).Flush()
	if !q.Has("watch") {
		_, _ = io.Copy(w, resp.Body)
		return
	}
	lines := bufio.NewReader(resp.Body)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		now, _ := p.now()
		if r.URL.Path != "/api/v1/configmaps" {
			now = faults{}
		}
		if now.freeze {
			<-ctx.Done()
			return
		}
		if now.noBookmarks && bytes.HasPrefix(line, []byte(`{"type":"BOOKMARK"`)) {
			continue
		}
		_, _ = w.Write(line)
		w.(http.Flusher).Flush()
	}
}

// truth is what the API server has.
func truth(t *testing.T, admin *http.Client, cp *testbed.ControlPlane, path string) map[string]string {
	t.Helper()
	c := &cluster{t: t, client: admin, url: cp.URL()}
	var l struct {
		Items []struct {
			Metadata struct{ Namespace, Name, ResourceVersion string }
		}
	}
	if err := json.Unmarshal(c.do(http.MethodGet, path, "application/json", ""), &l); err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, i := range l.Items {
		out[i.Metadata.Namespace+"/"+i.Metadata.Name] = i.Metadata.ResourceVersion
	}
	return out
}

// agree compares an observer with the server, and returns what differs.
func agree(o *Observer, want map[string]string) (ghosts, missing, old int) {
	seen := map[string]string{}
	for _, rec := range o.List(gkConfigMap) {
		seen[rec.Key.Namespace+"/"+rec.Key.Name] = rec.ResourceVersion
	}
	for name, version := range want {
		switch have, ok := seen[name]; {
		case !ok:
			missing++
		case have != version:
			old++
		}
	}
	for name := range seen {
		if _, ok := want[name]; !ok {
			ghosts++
		}
	}
	return ghosts, missing, old
}

// behindFaults lets the connection to a real API server misbehave in each way
// while objects come, change and go, and holds what is observed against what
// is: no ghost, nothing missing, nothing old, and never Absent what exists.
func behindFaults(t *testing.T, cp *testbed.ControlPlane, admin *http.Client) {
	p := newFaultyProxy(t, cp)
	o := New(Options{Config: &rest.Config{Host: p.URL}, AgentVersion: "faults"})
	o.silence = silences{list: 2 * time.Second, whole: 10 * time.Second, bookmark: time.Second, live: 10 * time.Millisecond}
	o.Watch(gkConfigMap)
	start(t, o)
	if err := o.WaitSynced(short(t), gkConfigMap); err != nil {
		t.Fatal(err)
	}
	c := &cluster{t: t, client: admin, url: cp.URL()}
	c.apply("/api/v1/namespaces/faults", `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"faults"}}`)
	// One object is there all the time.
	c.apply("/api/v1/namespaces/faults/configmaps/always", configMap("faults", "always", "", "1"))
	always := model.ObjectKey{Kind: "ConfigMap", Namespace: "faults", Name: "always"}
	eventually(t, "the first object", func() bool { _, p := o.Get(always); return p == live.Present })

	rng := rand.New(rand.NewPCG(1, 2))
	exists := map[int]bool{}
	churn := func(n int) {
		for range n {
			i := rng.IntN(30)
			path := fmt.Sprintf("/api/v1/namespaces/faults/configmaps/c%d", i)
			if exists[i] && rng.IntN(2) == 0 {
				c.delete(path)
				exists[i] = false
			} else {
				c.apply(path, configMap("faults", fmt.Sprint("c", i), "", fmt.Sprint(rng.Int())))
				exists[i] = true
			}
			if _, pr := o.Get(always); pr == live.Absent {
				t.Error("an object that exists is called absent")
			}
		}
	}
	for _, step := range []struct {
		name  string
		f     faults
		cut   bool // break the connection when the fault begins
		after bool // and when it ends, as a fault that holds a stream does
	}{
		{"the connection is cut", faults{}, true, false},
		{"410 Expired", faults{expired: true}, true, false},
		{"429 with Retry-After", faults{refuse: 429}, true, false},
		{"503", faults{refuse: 503}, true, false},
		{"a watch dies in silence", faults{freeze: true}, false, false},
		{"bookmarks are missing", faults{noBookmarks: true}, false, false},
		{"bookmarks are missing, and the list is to be made again", faults{noBookmarks: true, expired: true}, true, false},
		{"an old server", faults{noStream: true, expired: true}, true, false},
		{"a continue token expires in the middle of a list", faults{noStream: true, expired: true, token: 2}, true, false},
		{"requests hang", faults{freeze: true}, true, true},
	} {
		t.Run(step.name, func(t *testing.T) {
			p.set(step.f)
			if step.cut {
				p.cut()
			}
			churn(40)
			if step.f.expired || step.f.refuse != 0 { // the fault has been met
				eventually(t, "a request was refused", func() bool { p.mu.Lock(); defer p.mu.Unlock(); return p.refused > 0 })
			}
			churn(10)
			p.set(faults{})
			if step.after {
				p.cut()
			}
			want := truth(t, admin, cp, "/api/v1/configmaps")
			deadline := time.Now().Add(60 * time.Second)
			for {
				ghosts, missing, old := agree(o, want)
				if ghosts+missing+old == 0 && o.Synced(gkConfigMap) {
					break
				}
				if time.Now().After(deadline) {
					t.Fatalf("%d ghosts, %d missing, %d old; conditions %v", ghosts, missing, old, o.Conditions())
				}
				time.Sleep(20 * time.Millisecond)
			}
			if _, pr := o.Get(model.ObjectKey{Kind: "ConfigMap", Namespace: "faults", Name: "none"}); pr != live.Absent {
				t.Errorf("what does not exist is %v", pr)
			}
			p.mu.Lock()
			p.refused = 0
			p.mu.Unlock()
		})
	}
}

// TestThousandDefinitions: with many CustomResourceDefinitions, of which one is
// used, one kind is watched, and their changes do not cause a request each.
func TestThousandDefinitions(t *testing.T) {
	const n = 1000
	a := newAPIServer(t)
	var groups []string
	for i := range n {
		groups = append(groups, fmt.Sprintf(`{"metadata":{"name":"g%d.example.com"},"versions":[{"version":"v1","freshness":"Current","resources":[{"resource":"widgets","scope":"Namespaced","responseKind":{"group":"g%d.example.com","version":"v1","kind":"Widget"},"verbs":["list","watch"]}]}]}`, i, i))
	}
	groups = append(groups, `{"metadata":{"name":"apiextensions.k8s.io"},"versions":[{"version":"v1","freshness":"Current","resources":[{"resource":"customresourcedefinitions","scope":"Cluster","responseKind":{"group":"apiextensions.k8s.io","version":"v1","kind":"CustomResourceDefinition"},"verbs":["list","watch"]}]}]}`)
	a.handle("/apis", answer(200, `{"kind":"APIGroupDiscoveryList","apiVersion":"apidiscovery.k8s.io/v2","items":[`+strings.Join(groups, ",")+`]}`))
	definition := func(i, version int) string {
		return fmt.Sprintf(`{"metadata":{"name":"widgets.g%d.example.com","uid":"%d","resourceVersion":"%d"}}`, i, i, version)
	}
	change := make(chan struct{})
	a.handle("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", func(w http.ResponseWriter, r *http.Request) {
		var evs []string
		for i := range n {
			evs = append(evs, event("ADDED", definition(i, 10+i)))
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, strings.Join(evs, ""), listEnd("2000"))
		w.(http.Flusher).Flush()
		select {
		case <-change:
		case <-a.stop:
			return
		}
		for i := range n {
			fmt.Fprint(w, event("MODIFIED", definition(i, 3000+i)))
		}
		a.stream(w, r, nil)
	})
	used := model.GroupKind{Group: "g7.example.com", Kind: "Widget"}
	o := a.observing(t, used)
	if err := o.WaitSynced(short(t), used, kindCRD); err != nil {
		t.Fatal(err)
	}
	close(change)
	eventually(t, "the changes arrived", func() bool {
		rec, _ := o.Get(model.ObjectKey{Group: kindCRD.Group, Kind: kindCRD.Kind, Name: fmt.Sprintf("widgets.g%d.example.com", n-1)})
		return rec.ResourceVersion == fmt.Sprint(3000+n-1)
	})
	if len(o.Kinds()) != n+3 {
		t.Errorf("%d kinds", len(o.Kinds()))
	}
	any := func(*http.Request) bool { return true }
	if d := a.count("/apis", any); d > 6 {
		t.Errorf("discovery was asked %d times", d)
	}
	a.mu.Lock()
	total := len(a.requests)
	a.mu.Unlock()
	if total > 25 {
		t.Errorf("%d requests", total)
	}
	if a.count("/apis/g7.example.com/v1/widgets", any) == 0 || a.count("/apis/g8.example.com/v1/widgets", any) != 0 {
		t.Error("kinds that nobody asked for are watched")
	}
}

// brokenConversion: the conversion webhook of one kind is away. That kind is
// unknown, with the reason, and all others are as before.
func brokenConversion(t *testing.T, cp *testbed.ControlPlane, admin *http.Client, o *Observer) {
	c := &cluster{t: t, client: admin, url: cp.URL()}
	crd := func(conversion string) string {
		version := func(name, storage string) string {
			return `{"name":"` + name + `","served":true,"storage":` + storage + `,"schema":{"openAPIV3Schema":{"type":"object","x-kubernetes-preserve-unknown-fields":true}}}`
		}
		return `{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","metadata":{"name":"gizmos.example.org"},
			"spec":{"group":"example.org","scope":"Namespaced","names":{"plural":"gizmos","singular":"gizmo","kind":"Gizmo","listKind":"GizmoList"},
			"conversion":` + conversion + `,"versions":[` + version("v1", "true") + `,` + version("v2", "false") + `]}}`
	}
	const path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/gizmos.example.org"
	gizmo := model.GroupKind{Group: "example.org", Kind: "Gizmo"}
	c.apply(path, crd(`{"strategy":"None"}`))
	eventually(t, "the kind is served", func() bool { _, err := o.Kind(gizmo); return err == nil })
	eventually(t, "an object can be made", func() bool {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPatch, cp.URL()+"/apis/example.org/v1/namespaces/default/gizmos/g?fieldManager=t&force=true",
			strings.NewReader(`{"apiVersion":"example.org/v1","kind":"Gizmo","metadata":{"name":"g"},"spec":{"a":1}}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/apply-patch+yaml")
		resp, err := admin.Do(req)
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		return resp.StatusCode < 300
	})
	c.do(http.MethodPatch, path, "application/merge-patch+json", `{"spec":{"conversion":{"strategy":"Webhook","webhook":{"conversionReviewVersions":["v1"],"clientConfig":{"url":"https://127.0.0.1:9/convert"}}}}}`)
	// The server needs a moment to serve by the new definition.
	eventually(t, "the conversion fails", func() bool {
		resp, err := admin.Get(cp.URL() + "/apis/example.org/v2/gizmos")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		// With a cache in front of its storage the server says 429 and why.
		body, _ := io.ReadAll(resp.Body)
		return resp.StatusCode != http.StatusOK && bytes.Contains(body, []byte("conversion webhook"))
	})
	o.Watch(gizmo)
	eventually(t, "the kind says why it is unknown", func() bool {
		conditions := o.Conditions()
		return len(conditions) == 1 && strings.Contains(conditions[0], "example.org/Gizmo") && strings.Contains(conditions[0], "conversion webhook")
	})
	if _, pr := o.Get(model.ObjectKey{Group: "example.org", Kind: "Gizmo", Namespace: "default", Name: "g"}); pr != live.Unknown {
		t.Errorf("an object of the kind is %v", pr)
	}
	if !o.Synced(gkConfigMap) || !o.Synced(gkDeployment) {
		t.Error("other kinds are not known any more")
	}
	c.do(http.MethodPatch, path, "application/merge-patch+json", `{"spec":{"conversion":{"strategy":"None","webhook":null}}}`)
	eventually(t, "the kind is known again", func() bool {
		_, pr := o.Get(model.ObjectKey{Group: "example.org", Kind: "Gizmo", Namespace: "default", Name: "g"})
		return pr == live.Present && len(o.Conditions()) == 0
	})

	// The same kind comes back with another scope.
	c.delete(path)
	eventually(t, "the kind is gone", func() bool { return !o.Synced(gizmo) })
	eventually(t, "the definition is gone", func() bool {
		resp, err := admin.Get(cp.URL() + path)
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		return resp.StatusCode == http.StatusNotFound
	})
	c.apply(path, strings.Replace(crd(`{"strategy":"None"}`), `"scope":"Namespaced"`, `"scope":"Cluster"`, 1))
	eventually(t, "it is observed in its new scope", func() bool {
		k, err := o.Kind(gizmo)
		return err == nil && !k.Namespaced && o.Synced(gizmo)
	})
	if _, pr := o.Get(model.ObjectKey{Group: "example.org", Kind: "Gizmo", Namespace: "default", Name: "g"}); pr != live.Absent {
		t.Errorf("the object of the former scope is %v", pr)
	}
}
