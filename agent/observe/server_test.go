package observe

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
	"k8s.io/client-go/rest"
)

// apiServer plays an API server that misbehaves as a test tells it to.
type apiServer struct {
	*httptest.Server
	mu       sync.Mutex
	handlers map[string]http.HandlerFunc
	requests []*http.Request
	stop     chan struct{}
}

const aggregatedType = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"

// newAPIServer serves ConfigMaps and Secrets, and Widgets of group example.com;
// a resource without a handler is watched and empty.
func newAPIServer(t *testing.T) *apiServer {
	a := &apiServer{handlers: map[string]http.HandlerFunc{}, stop: make(chan struct{})}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		h := a.handlers[r.URL.Path]
		a.requests = append(a.requests, r)
		a.mu.Unlock()
		if h == nil {
			h = a.empty
		}
		h(w, r)
	}))
	t.Cleanup(func() { close(a.stop); a.Close() })
	a.handle("/api", answer(200, groupDoc("", "v1", "Current", "configmaps", "ConfigMap", "secrets", "Secret")))
	a.handle("/apis", answer(200, groupDoc("example.com", "v1", "Current", "widgets", "Widget")))
	return a
}

func (a *apiServer) handle(path string, h http.HandlerFunc) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.handlers[path] = h
}

// count says how many requests to the path match.
func (a *apiServer) count(path string, match func(*http.Request) bool) (n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, r := range a.requests {
		if r.URL.Path == path && match(r) {
			n++
		}
	}
	return n
}

func groupDoc(group, version, freshness string, plurals ...string) string {
	var resources []string
	for i := 0; i < len(plurals); i += 2 {
		resources = append(resources, fmt.Sprintf(`{"resource":%q,"scope":"Namespaced","responseKind":{"group":%q,"version":%q,"kind":%q},"verbs":["get","list","watch"]}`,
			plurals[i], group, version, plurals[i+1]))
	}
	return fmt.Sprintf(`{"kind":"APIGroupDiscoveryList","apiVersion":"apidiscovery.k8s.io/v2","items":[{"metadata":{"name":%q},"versions":[{"version":%q,"freshness":%q,"resources":[%s]}]}]}`,
		group, version, freshness, strings.Join(resources, ","))
}

func answer(code int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", aggregatedType)
		w.WriteHeader(code)
		fmt.Fprint(w, body)
	}
}

func statusDoc(code int, reason, message string) string {
	return fmt.Sprintf(`{"kind":"Status","apiVersion":"v1","status":"Failure","code":%d,"reason":%q,"message":%q}`, code, reason, message)
}

func cm(name, version string) string {
	return fmt.Sprintf(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":%q,"namespace":"shop","uid":%q,"resourceVersion":%q}}`, name, name, version)
}

func event(typ, object string) string {
	return fmt.Sprintf("{\"type\":%q,\"object\":%s}\n", typ, object)
}

func listEnd(version string) string {
	return event("BOOKMARK", fmt.Sprintf(`{"metadata":{"resourceVersion":%q,"annotations":{"k8s.io/initial-events-end":"true"}}}`, version))
}

// stream answers a watch with the events and keeps it open until the client
// goes, hold is closed, or the test ends.
func (a *apiServer) stream(w http.ResponseWriter, r *http.Request, hold <-chan struct{}, events ...string) {
	w.Header().Set("Content-Type", "application/json")
	for _, e := range events {
		fmt.Fprint(w, e)
	}
	w.(http.Flusher).Flush()
	select {
	case <-r.Context().Done():
	case <-a.stop:
	case <-hold:
	}
}

// empty serves a resource without objects.
func (a *apiServer) empty(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Get("sendInitialEvents") == "true" {
		a.stream(w, r, nil, listEnd("1"))
		return
	}
	a.stream(w, r, nil)
}

// observing starts an Observer of the server.
func (a *apiServer) observing(t *testing.T, gks ...model.GroupKind) *Observer {
	t.Helper()
	o := New(Options{Config: &rest.Config{Host: a.URL}, ExcludeNamespaces: []string{"hawser-system"}})
	o.Watch(gks...)
	start(t, o)
	return o
}

func presenceOf(o *Observer, name string) live.Presence {
	_, p := o.Get(model.ObjectKey{Kind: "ConfigMap", Namespace: "shop", Name: name})
	return p
}

var gkSecret = model.GroupKind{Kind: "Secret"}

func TestServerWithoutWatchList(t *testing.T) {
	a := newAPIServer(t)
	a.handle("/api/v1/configmaps", func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		switch {
		case q.Get("sendInitialEvents") != "":
			answer(422, statusDoc(422, "Invalid", `ListOptions is invalid: sendInitialEvents: Forbidden: sendInitialEvents is forbidden for watch`))(w, r)
		case q.Get("watch") != "":
			if q.Get("resourceVersion") != "7" {
				t.Errorf("watch from %q", q.Get("resourceVersion"))
			}
			a.stream(w, r, nil, event("ADDED", cm("c", "8")), event("DELETED", cm("a", "9")))
		case q.Get("continue") == "":
			answer(200, `{"metadata":{"resourceVersion":"7","continue":"next"},"items":[{"metadata":{"name":"a","namespace":"shop","uid":"a","resourceVersion":"3"}}]}`)(w, r)
		default:
			answer(200, `{"metadata":{"resourceVersion":"7"},"items":[{"metadata":{"name":"b","namespace":"shop","uid":"b","resourceVersion":"4"}}]}`)(w, r)
		}
	})
	o := a.observing(t, gkConfigMap)
	eventually(t, "all is seen", func() bool {
		return presenceOf(o, "a") == live.Absent && presenceOf(o, "b") == live.Present && presenceOf(o, "c") == live.Present
	})
	if rec, _ := o.Get(model.ObjectKey{Kind: "ConfigMap", Namespace: "shop", Name: "b"}); rec.Version != "v1" {
		t.Errorf("version of an item of a list: %q", rec.Version)
	}
	if n := a.count("/api/v1/configmaps", func(r *http.Request) bool { return r.URL.Query().Get("limit") == "500" }); n != 2 {
		t.Errorf("%d pages", n)
	}
}

// TestExpired: the server forgets our place. What changed meanwhile is found by
// the next list, and until then absence is unknown.
func TestExpired(t *testing.T) {
	for name, end := range map[string]string{
		"an event":          event("ERROR", statusDoc(410, "Expired", "too old resource version")),
		"too large version": event("ERROR", statusDoc(504, "Timeout", "Too large resource version")),
	} {
		t.Run(name, func(t *testing.T) {
			a := newAPIServer(t)
			expire, listed := make(chan struct{}), make(chan struct{})
			lists := 0
			a.handle("/api/v1/configmaps", func(w http.ResponseWriter, r *http.Request) {
				if lists++; lists == 1 {
					a.stream(w, r, expire, event("ADDED", cm("a", "3")), event("ADDED", cm("b", "4")), listEnd("5"))
					fmt.Fprint(w, end)
					return
				}
				<-listed // the second list takes its time
				a.stream(w, r, nil, event("ADDED", cm("b", "4")), event("ADDED", cm("c", "6")), listEnd("7"))
			})
			o := a.observing(t, gkConfigMap)
			eventually(t, "listed", func() bool { return o.Synced(gkConfigMap) })
			events := newRecorder(o)
			close(expire)
			eventually(t, "absence is unknown", func() bool { return presenceOf(o, "c") == live.Unknown })
			if presenceOf(o, "a") != live.Present || presenceOf(o, "b") != live.Present {
				t.Error("known objects were forgotten")
			}
			close(listed)
			ev := events.await(t, "a is gone", func(ev live.Event) bool { return ev.Deleted })
			if ev.Key.Name != "a" || presenceOf(o, "b") != live.Present {
				t.Errorf("%+v", ev)
			}
			eventually(t, "live again", func() bool { return presenceOf(o, "c") == live.Present && presenceOf(o, "a") == live.Absent })
		})
	}
}

// TestOneBadKindIsAloneUnknown: whatever is wrong with one kind, the others are
// observed.
func TestOneBadKindIsAloneUnknown(t *testing.T) {
	for name, c := range map[string]struct {
		h    http.HandlerFunc
		want string
	}{
		"forbidden":   {answer(403, statusDoc(403, "Forbidden", "secrets is forbidden")), "refuses to let the agent watch it: secrets is forbidden"},
		"broken":      {answer(500, "<html>"), "HTTP status 500"},
		"conversion":  {answer(500, statusDoc(500, "InternalError", "conversion webhook failed")), "conversion webhook failed"},
		"unreadable":  {func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, event("ADDED", `{"metadata":{}}`)) }, "objects that cannot be read"},
		"no JSON":     {func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "<html>welcome</html>") }, "objects that cannot be read"},
		"cut off":     {func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, `{"type":"ADDED","object":{"meta`) }, "connection to the cluster"},
		"half a list": {func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, event("ADDED", cm("a", "1"))) }, "connection to the cluster"},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAPIServer(t)
			a.handle("/api/v1/secrets", c.h)
			a.handle("/api/v1/configmaps", func(w http.ResponseWriter, r *http.Request) {
				a.stream(w, r, nil, event("ADDED", cm("a", "3")), listEnd("5"))
			})
			o := a.observing(t, gkConfigMap, gkSecret)
			eventually(t, "the good kind is live", func() bool { return presenceOf(o, "a") == live.Present && presenceOf(o, "b") == live.Absent })
			var conditions []string
			// A kind that was looked up before discovery had answered says so until it is
			// looked up again.
			eventually(t, "a condition", func() bool {
				conditions = o.Conditions()
				return len(conditions) > 0 && !strings.Contains(conditions[0], "discovery has not answered yet")
			})
			if len(conditions) != 1 || !strings.Contains(conditions[0], "Secret") || !strings.Contains(conditions[0], c.want) {
				t.Errorf("conditions %q", conditions)
			}
			if _, p := o.Get(model.ObjectKey{Kind: "Secret", Namespace: "shop", Name: "s"}); p != live.Unknown || o.Synced(gkSecret) {
				t.Errorf("the bad kind: %v", p)
			}
			if now := time.Now(); o.ObservedAt().Before(now) {
				t.Error("one bad kind makes everything old")
			}
		})
	}
}

func TestServerThatCannotLeaveOutNamespaces(t *testing.T) {
	a := newAPIServer(t)
	a.handle("/apis/example.com/v1/widgets", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("fieldSelector") != "" {
			answer(400, statusDoc(400, "BadRequest", "field label not supported: metadata.namespace"))(w, r)
			return
		}
		a.stream(w, r, nil, event("ADDED", `{"metadata":{"name":"own","namespace":"hawser-system","uid":"1","resourceVersion":"2"}}`),
			event("ADDED", `{"metadata":{"name":"w","namespace":"shop","uid":"2","resourceVersion":"3"}}`), listEnd("5"))
	})
	o := a.observing(t, gkWidget)
	if err := o.WaitSynced(short(t), gkWidget); err != nil {
		t.Fatal(err)
	}
	if list := o.List(gkWidget); len(list) != 1 || list[0].Key.Name != "w" {
		t.Errorf("%+v", list)
	}
}

// TestWatchGoesOnWhereItEnded: an ordinary end of a watch loses nothing, lists
// nothing, and leaves no doubt.
func TestWatchGoesOnWhereItEnded(t *testing.T) {
	a := newAPIServer(t)
	end := make(chan struct{})
	a.handle("/api/v1/configmaps", func(w http.ResponseWriter, r *http.Request) {
		switch q := r.URL.Query(); {
		case q.Get("sendInitialEvents") != "":
			a.stream(w, r, end, event("ADDED", cm("a", "3")), listEnd("5"), event("BOOKMARK", `{"metadata":{"resourceVersion":"50"}}`))
		case q.Get("resourceVersion") == "50":
			a.stream(w, r, nil, event("ADDED", cm("b", "51")))
		default:
			t.Errorf("unexpected request %s", r.URL)
		}
	})
	o := a.observing(t, gkConfigMap)
	if err := o.WaitSynced(short(t), gkConfigMap); err != nil {
		t.Fatal(err)
	}
	broke := make(chan state, 10)
	o.OnKind(func(gk model.GroupKind) {
		if gk == gkConfigMap {
			broke <- o.store.kindState(gk)
		}
	})
	close(end)
	eventually(t, "the watch goes on", func() bool { return presenceOf(o, "b") == live.Present })
	select {
	case st := <-broke:
		t.Errorf("the kind changed its state to %v", st)
	default:
	}
}

// TestSilentServer: a server that takes the request and then says nothing.
func TestSilentServer(t *testing.T) {
	a := newAPIServer(t)
	a.handle("/api/v1/configmaps", func(w http.ResponseWriter, r *http.Request) {
		switch q := r.URL.Query(); {
		case q.Get("sendInitialEvents") != "": // objects, but never the end of the list
			a.stream(w, r, nil, event("ADDED", cm("a", "3")))
		case q.Get("watch") == "":
			answer(200, `{"metadata":{"resourceVersion":"7"},"items":[`+cm("a", "3")+`]}`)(w, r)
		case q.Get("resourceVersion") == "7": // a bookmark, and then nothing more
			a.stream(w, r, nil, event("BOOKMARK", `{"metadata":{"resourceVersion":"9"}}`))
		default:
			a.stream(w, r, nil, event("ADDED", cm("b", "1"+q.Get("resourceVersion"))))
		}
	})
	o := New(Options{Config: &rest.Config{Host: a.URL}})
	o.silence = silences{list: 30 * time.Millisecond, whole: time.Minute, bookmark: 30 * time.Millisecond, live: time.Minute}
	o.Watch(gkConfigMap)
	start(t, o)
	eventually(t, "the list is made in another way, and the dead watch replaced", func() bool {
		return presenceOf(o, "a") == live.Present && presenceOf(o, "b") == live.Present
	})
	if n := a.count("/api/v1/configmaps", func(r *http.Request) bool { return r.URL.Query().Get("resourceVersion") == "9" }); n == 0 {
		t.Error("the watch did not go on from the bookmark")
	}
}

// TestServerWithoutTheEndOfAList: a server that knows nothing of lists through a
// watch and takes the request for an ordinary watch. The list is made in another
// way, however much the watch brings, and it is not asked again.
func TestServerWithoutTheEndOfAList(t *testing.T) {
	for name, c := range map[string]struct {
		watch    func(w http.ResponseWriter, r *http.Request)
		silences silences
	}{
		"a busy kind": {func(w http.ResponseWriter, r *http.Request) {
			tick := time.NewTicker(5 * time.Millisecond)
			defer tick.Stop()
			for version := 3; ; version++ {
				fmt.Fprint(w, event("MODIFIED", cm("a", fmt.Sprint(version))))
				w.(http.Flusher).Flush()
				select {
				case <-r.Context().Done():
					return
				case <-tick.C:
				}
			}
		}, silences{list: time.Minute, whole: 200 * time.Millisecond, bookmark: time.Minute, live: time.Minute}},
		"it ends before its list is complete": {func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, event("ADDED", cm("a", "3")))
		}, silences{list: time.Minute, whole: time.Minute, bookmark: time.Minute, live: time.Minute}},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAPIServer(t)
			a.handle("/api/v1/configmaps", func(w http.ResponseWriter, r *http.Request) {
				switch q := r.URL.Query(); {
				case q.Get("sendInitialEvents") != "":
					c.watch(w, r)
				case q.Get("watch") == "":
					answer(200, `{"metadata":{"resourceVersion":"7"},"items":[`+cm("b", "4")+`]}`)(w, r)
				default:
					a.stream(w, r, nil)
				}
			})
			o := New(Options{Config: &rest.Config{Host: a.URL}})
			o.silence = c.silences
			o.Watch(gkConfigMap)
			start(t, o)
			if err := o.WaitSynced(short(t), gkConfigMap); err != nil {
				t.Fatal(err)
			}
			if presenceOf(o, "b") != live.Present || presenceOf(o, "a") != live.Absent {
				t.Error("the plain list is not what is known")
			}
			if n := a.count("/api/v1/configmaps", func(r *http.Request) bool { return r.URL.Query().Has("sendInitialEvents") }); n != 1 {
				t.Errorf("the list was asked for through a watch %d times", n)
			}
		})
	}
}

// TestLimitOfAListEndsWithIt: the watch that follows may be longer.
func TestLimitOfAListEndsWithIt(t *testing.T) {
	a := newAPIServer(t)
	later := make(chan struct{})
	a.handle("/api/v1/configmaps", func(w http.ResponseWriter, r *http.Request) {
		a.stream(w, r, later, event("ADDED", cm("a", "3")), listEnd("5"))
		a.stream(w, r, nil, event("ADDED", cm("b", "6")))
	})
	o := New(Options{Config: &rest.Config{Host: a.URL}})
	o.silence = silences{list: time.Minute, whole: 300 * time.Millisecond, bookmark: time.Minute, live: time.Minute}
	o.Watch(gkConfigMap)
	start(t, o)
	if err := o.WaitSynced(short(t), gkConfigMap); err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(500*time.Millisecond, func() { close(later) })
	eventually(t, "the watch goes on", func() bool { return presenceOf(o, "b") == live.Present })
	if n := a.count("/api/v1/configmaps", func(*http.Request) bool { return true }); n != 1 {
		t.Errorf("%d requests", n)
	}
}

func TestDiscovery(t *testing.T) {
	a := newAPIServer(t)
	o := a.observing(t)
	eventually(t, "discovered", func() bool { _, err := o.Kind(gkWidget); return err == nil })
	nothing := model.GroupKind{Group: "example.com", Kind: "Nothing"}
	if _, err := o.Kind(nothing); !fault.HasCode(err, codeKindUnknown) {
		t.Errorf("a kind that does not exist: %v", err)
	}

	// The server behind the group does not answer: nothing is known of what is
	// new, and what was known stays.
	a.handle("/apis", answer(200, groupDoc("example.com", "v1", "Stale")))
	if err := o.RefreshDiscovery(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := o.Kind(nothing); !fault.HasCode(err, codeKindUndetermined) {
		t.Errorf("a kind of a group that failed: %v", err)
	}
	if k, err := o.Kind(gkWidget); err != nil || k.Resource != "widgets" {
		t.Errorf("a kind that was known: %+v, %v", k, err)
	}
	if _, err := o.Kind(model.GroupKind{Group: "other.com", Kind: "X"}); !fault.HasCode(err, codeKindUnknown) {
		t.Errorf("a kind of another group: %v", err)
	}
	if c := o.Conditions(); len(c) != 1 || !strings.Contains(c[0], "example.com") {
		t.Errorf("conditions %q", c)
	}

	// Discovery fails altogether: the last answer stays.
	for what, h := range map[string]http.HandlerFunc{"error": answer(503, "x"), "HTML": answer(200, "<html>"), "nothing": answer(200, `{"kind":"APIGroupDiscoveryList","items":[]}`)} {
		a.handle("/apis", h)
		if err := o.RefreshDiscovery(t.Context()); !fault.HasCode(err, "discovery_failed") {
			t.Errorf("%s: %v", what, err)
		}
		if _, err := o.Kind(gkWidget); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}

	// The group is gone: that is an answer.
	a.handle("/apis", answer(200, groupDoc("apps", "v1", "Current", "deployments", "Deployment")))
	if err := o.RefreshDiscovery(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := o.Kind(gkWidget); !fault.HasCode(err, codeKindUnknown) {
		t.Errorf("a kind that is gone: %v", err)
	}
}

func TestDiscoveryOfOldServers(t *testing.T) {
	a := newAPIServer(t)
	resources := func(gv, plural, kind string) http.HandlerFunc {
		return answer(200, fmt.Sprintf(`{"kind":"APIResourceList","groupVersion":%q,"resources":[{"name":%q,"namespaced":true,"kind":%q,"verbs":["list","watch"]},{"name":"%s/status","namespaced":true,"kind":%q,"verbs":["get"]}]}`, gv, plural, kind, plural, kind))
	}
	a.handle("/api", answer(200, `{"kind":"APIVersions","versions":["v1"]}`))
	a.handle("/api/v1", resources("v1", "configmaps", "ConfigMap"))
	a.handle("/apis", answer(200, `{"kind":"APIGroupList","groups":[
		{"name":"example.com","versions":[{"version":"v2alpha1"},{"version":"v1"}],"preferredVersion":{"version":"v1"}},
		{"name":"broken.com","versions":[{"version":"v1"}],"preferredVersion":{"version":"v1"}}]}`))
	a.handle("/apis/example.com/v1", resources("example.com/v1", "widgets", "Widget"))
	a.handle("/apis/example.com/v2alpha1", resources("example.com/v2alpha1", "widgets", "Widget"))
	a.handle("/apis/broken.com/v1", answer(503, "x"))
	o := a.observing(t, gkConfigMap)
	if err := o.WaitSynced(short(t), gkConfigMap); err != nil {
		t.Fatal(err)
	}
	if k, err := o.Kind(gkWidget); err != nil || k.Version != "v1" || len(k.Versions) != 2 || !k.Watchable {
		t.Errorf("%+v, %v", k, err)
	}
	if _, err := o.Kind(model.GroupKind{Group: "broken.com", Kind: "X"}); !fault.HasCode(err, codeKindUndetermined) {
		t.Errorf("%v", err)
	}
	if len(o.Kinds()) != 2 {
		t.Errorf("%+v", o.Kinds())
	}
}

func TestUnusableConfiguration(t *testing.T) {
	for name, cfg := range map[string]*rest.Config{
		"none":       nil,
		"bad URL":    {Host: "https://[::1"},
		"no CA file": {Host: "https://127.0.0.1", TLSClientConfig: rest.TLSClientConfig{CAFile: "/does/not/exist"}},
	} {
		o := New(Options{Config: cfg})
		if err := o.Run(t.Context()); !fault.HasCode(err, "cluster_config") {
			t.Errorf("%s: %v", name, err)
		}
		if err := o.RefreshDiscovery(t.Context()); err == nil {
			t.Errorf("%s: discovery works", name)
		}
	}
}

func TestRequestsSayWhoAsks(t *testing.T) {
	a := newAPIServer(t)
	o := New(Options{Config: &rest.Config{Host: a.URL}, AgentVersion: "1.2.3"})
	start(t, o)
	eventually(t, "asked", func() bool {
		return a.count("/apis", func(r *http.Request) bool { return r.UserAgent() == "hawser-agent/1.2.3" }) > 0
	})
}

func TestStatusErrors(t *testing.T) {
	e := parseStatus(429, []byte(`{"kind":"Status","code":429,"reason":"TooManyRequests","message":"slow down","details":{"retryAfterSeconds":3}}`))
	if e.code != 429 || e.retryAfter != 3*time.Second || e.Error() != "slow down" {
		t.Errorf("%+v", e)
	}
	if e := parseStatus(502, []byte("<html>secret</html>")); e.Error() != "HTTP status 502" {
		t.Errorf("%v", e)
	}
}
