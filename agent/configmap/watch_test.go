package configmap

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/shared/fault"
)

// apiServer plays the part of the API server that a Watch uses, one object.
type apiServer struct {
	t *testing.T

	mu       sync.Mutex
	version  int
	data     map[string]string // nil: there is no object
	requests []string
	// answer, when it answers true, has answered a request itself.
	answer  func(w http.ResponseWriter, watch bool) bool
	changed chan struct{}
	history []event
}

type event struct {
	version int
	text    string
}

func (s *apiServer) object() string {
	b, _ := json.Marshal(map[string]any{"metadata": map[string]any{"name": "mine", "resourceVersion": fmt.Sprint(s.version)}, "data": s.data})
	return string(b)
}

// set changes the object; nil deletes it.
func (s *apiServer) set(data map[string]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	typ := "MODIFIED"
	if data == nil {
		typ = "DELETED"
	}
	if data != nil {
		s.data = data
	}
	s.version++
	s.history = append(s.history, event{s.version, fmt.Sprintf(`{"type":%q,"object":%s}`, typ, s.object())})
	s.data = data
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *apiServer) setAnswer(f func(w http.ResponseWriter, watch bool) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = f
}

func (s *apiServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	watch := q.Get("watch") != ""
	if r.URL.Path != "/api/v1/namespaces/ns/configmaps" || q.Get("fieldSelector") != "metadata.name=mine" || r.Header.Get("User-Agent") != "test" {
		s.t.Errorf("request %s", r.URL)
	}
	s.mu.Lock()
	kind := "list"
	if watch {
		kind = "watch " + q.Get("resourceVersion")
	}
	s.requests = append(s.requests, kind)
	answer := s.answer
	s.mu.Unlock()
	if answer != nil && answer(w, watch) {
		return
	}
	if !watch {
		s.mu.Lock()
		defer s.mu.Unlock()
		items := ""
		if s.data != nil {
			items = s.object()
		}
		fmt.Fprintf(w, `{"kind":"ConfigMapList","metadata":{"resourceVersion":"%d"},"items":[%s]}`, s.version, items)
		return
	}
	var from int
	fmt.Sscan(q.Get("resourceVersion"), &from)
	w.(http.Flusher).Flush()
	for {
		s.mu.Lock()
		var out []string
		for _, e := range s.history {
			if e.version > from {
				out, from = append(out, e.text), e.version
			}
		}
		changed := s.changed
		s.mu.Unlock()
		for _, e := range out {
			fmt.Fprintln(w, e)
		}
		w.(http.Flusher).Flush()
		select {
		case <-changed:
		case <-r.Context().Done():
			return
		}
	}
}

type heard struct {
	t    *testing.T
	seen chan string
	errs chan error
}

func (h *heard) Seen(data map[string]string, exists bool) {
	switch {
	case !exists:
		h.seen <- "none"
	default:
		h.seen <- data["k"]
	}
}

func (h *heard) next(want string) {
	h.t.Helper()
	select {
	case got := <-h.seen:
		if got != want {
			h.t.Fatalf("saw %q, want %q", got, want)
		}
	case <-time.After(20 * time.Second):
		h.t.Fatalf("%q was not seen", want)
	}
}

func (h *heard) failed() error {
	h.t.Helper()
	select {
	case err := <-h.errs:
		return err
	case <-time.After(20 * time.Second):
		h.t.Fatal("no failure was told")
		return nil
	}
}

func newWatch(t *testing.T) (*apiServer, *Watch, *heard) {
	s := &apiServer{t: t, version: 10, changed: make(chan struct{})}
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	base, err := url.Parse(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	h := &heard{t: t, seen: make(chan string, 100), errs: make(chan error, 1000)}
	return s, &Watch{Client: srv.Client(), Base: base, Namespace: "ns", Name: "mine", UserAgent: "test",
		Seen: h.Seen, Failed: func(err error) { h.errs <- err }}, h
}

func run(t *testing.T, w *Watch) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestEveryChangeIsSeen(t *testing.T) {
	s, w, h := newWatch(t)
	if err := w.Read(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.next("none")
	run(t, w)
	s.set(map[string]string{"k": "1"})
	h.next("1")
	s.set(map[string]string{"k": "2"})
	h.next("2")
	s.set(nil)
	h.next("none")
	s.set(map[string]string{"k": "3"})
	h.next("3")
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Equal(s.requests, []string{"list", "watch 10"}) {
		t.Errorf("requests %v", s.requests)
	}
}

// A watch that ends goes on where it was; the object's change meanwhile is not
// missed.
func TestAWatchThatEndsGoesOn(t *testing.T) {
	s, w, h := newWatch(t)
	s.set(map[string]string{"k": "1"})
	var once sync.Once
	s.setAnswer(func(w http.ResponseWriter, watch bool) bool {
		ended := false
		if watch {
			once.Do(func() {
				fmt.Fprintln(w, `{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"11"}}}`)
				ended = true
				s.set(map[string]string{"k": "2"})
			})
		}
		return ended
	})
	run(t, w)
	h.next("1")
	h.next("2")
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Equal(s.requests, []string{"list", "watch 11", "watch 11"}) {
		t.Errorf("requests %v", s.requests)
	}
}

func TestAnExpiredWatchListsAgain(t *testing.T) {
	for name, answer := range map[string]func(w http.ResponseWriter){
		"as a status": func(w http.ResponseWriter) {
			w.WriteHeader(http.StatusGone)
			fmt.Fprint(w, `{"kind":"Status","code":410,"reason":"Expired"}`)
		},
		"as an event": func(w http.ResponseWriter) {
			fmt.Fprint(w, `{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired","message":"too old"}}`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, w, h := newWatch(t)
			var once sync.Once
			s.setAnswer(func(w http.ResponseWriter, watch bool) bool {
				did := false
				if watch {
					once.Do(func() { did = true; answer(w) })
				}
				return did
			})
			run(t, w)
			h.next("none")
			h.next("none")
			s.set(map[string]string{"k": "1"})
			h.next("1")
			if len(h.errs) != 0 {
				t.Errorf("it counts as a failure: %v", <-h.errs)
			}
		})
	}
}

func TestARefusalIsToldAndOvercome(t *testing.T) {
	s, w, h := newWatch(t)
	s.setAnswer(func(w http.ResponseWriter, _ bool) bool {
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, `{"kind":"Status","code":403,"reason":"Forbidden","message":"user may not list configmaps"}`)
		return true
	})
	err := w.Read(t.Context())
	if !fault.Is(err, fault.Denied) || !strings.Contains(err.Error(), "may not list") || fault.As(err).Fix == "" {
		t.Errorf("%v", err)
	}
	run(t, w)
	for range 2 {
		if err := h.failed(); !fault.Is(err, fault.Denied) {
			t.Errorf("%v", err)
		}
	}
	s.setAnswer(nil)
	h.next("none")
}

// None of these is a word about the ConfigMap: it must not be taken as gone.
func TestWhatIsNoAnswerConcludesNothing(t *testing.T) {
	for name, answer := range map[string]func(w http.ResponseWriter){
		"an error":        func(w http.ResponseWriter) { w.WriteHeader(http.StatusInternalServerError) },
		"a page":          func(w http.ResponseWriter) { fmt.Fprint(w, "<html>") },
		"nothing":         func(http.ResponseWriter) {},
		"an empty object": func(w http.ResponseWriter) { fmt.Fprint(w, "{}") },
		"another list":    func(w http.ResponseWriter) { fmt.Fprint(w, `{"kind":"PodList","metadata":{"resourceVersion":"1"}}`) },
		"a list, cut": func(w http.ResponseWriter) {
			fmt.Fprint(w, `{"kind":"ConfigMapList","metadata":{"resourceVersion":"1"},"items":[{"metadata":`)
		},
		"not found":        func(w http.ResponseWriter) { w.WriteHeader(http.StatusNotFound) },
		"a broken gateway": func(w http.ResponseWriter) { w.WriteHeader(http.StatusBadGateway) },
	} {
		t.Run(name, func(t *testing.T) {
			s, w, h := newWatch(t)
			s.set(map[string]string{"k": "1"})
			s.setAnswer(func(w http.ResponseWriter, _ bool) bool { answer(w); return true })
			if err := w.Read(t.Context()); !fault.Is(err, fault.Unavailable) {
				t.Errorf("%v", err)
			}
			if len(h.seen) != 0 {
				t.Errorf("saw %q", <-h.seen)
			}
		})
	}
}

func TestRetryAfterIsRespected(t *testing.T) {
	s, w, h := newWatch(t)
	s.setAnswer(func(w http.ResponseWriter, _ bool) bool {
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusTooManyRequests)
		return true
	})
	run(t, w)
	h.failed()
	began := time.Now()
	h.failed()
	if d := time.Since(began); d < 900*time.Millisecond {
		t.Errorf("it came back after %s", d)
	}
	var later *retryAfter
	if err := statusOf(nil, 503, "100000"); fault.As(err).Code != "cluster_unavailable" {
		t.Errorf("%v", err)
	} else if later = err.(*retryAfter); later.after > maxRetryAfter {
		t.Errorf("it would wait %s", later.after)
	}
}

func TestAnUnreachableServerIsToldAndOvercome(t *testing.T) {
	s, w, h := newWatch(t)
	base := *w.Base
	w.Base = &url.URL{Scheme: "http", Host: "127.0.0.1:1"}
	if err := w.Read(t.Context()); !fault.Is(err, fault.Unavailable) {
		t.Errorf("%v", err)
	}
	if err := h.failed(); !fault.HasCode(err, "cluster_unreachable") {
		t.Errorf("%v", err)
	}
	w.Base = &base
	s.set(map[string]string{"k": "1"})
	run(t, w)
	h.next("1")
}
