package api

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/hub/events"
)

func publish(w *world, keys ...string) {
	for _, k := range keys {
		w.broker.Publish(events.Event{Type: "application", Key: k, Payload: func() ([]byte, error) { return []byte(`{"name":"` + k + `"}`), nil }})
	}
}

// listener reads the event stream of a real server.
type listener struct {
	t      *testing.T
	events chan string // "type id data", or "comment"
	ended  chan struct{}
	close  func()
}

func (w *world) serve(t *testing.T, http2 bool) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(w.handler)
	s.EnableHTTP2 = http2
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// serveLoad is serve without encryption, for measurements.
func (w *world) serveLoad(tb testing.TB) string {
	s := httptest.NewServer(w.handler)
	tb.Cleanup(s.Close)
	return s.URL
}

func (w *world) listen(t *testing.T, s *httptest.Server, lastID string) *listener {
	t.Helper()
	return w.listenTo(t, s, "", lastID)
}

// listenTo is listen with parameters.
func (w *world) listenTo(t *testing.T, s *httptest.Server, query, lastID string) *listener {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/api/v1/events"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+w.token)
	if lastID != "" {
		req.Header.Set("Last-Event-ID", lastID)
	}
	resp, err := s.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if ct := resp.Header.Get("Content-Type"); resp.StatusCode != 200 || ct != "text/event-stream" {
		t.Fatalf("%s %s", resp.Status, ct)
	}
	l := &listener{t: t, events: make(chan string, 1000), ended: make(chan struct{}), close: cancel}
	t.Cleanup(func() { cancel(); resp.Body.Close(); <-l.ended })
	go func() {
		defer close(l.ended)
		lines := bufio.NewScanner(resp.Body)
		var id, kind, data string
		for lines.Scan() {
			field, value, _ := strings.Cut(lines.Text(), ": ")
			switch field {
			case "id":
				id = value
			case "event":
				kind = value
			case "data":
				data = value
			case "":
				if value != "" {
					l.events <- "comment"
				} else if kind != "" {
					l.events <- strings.TrimSpace(kind + " " + id + " " + data)
					id, kind, data = "", "", ""
				}
			}
		}
	}()
	return l
}

func (l *listener) next() string {
	l.t.Helper()
	select {
	case e := <-l.events:
		return e
	case <-l.ended:
		return "ended"
	case <-time.After(20 * time.Second):
		l.t.Fatal("nothing came")
	}
	return ""
}

func (l *listener) want(events ...string) {
	l.t.Helper()
	for _, e := range events {
		if got := l.next(); got != e {
			l.t.Fatalf("got %q, want %q", got, e)
		}
	}
}

func TestStream(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		t.Run(fmt.Sprint("http2=", http2), func(t *testing.T) {
			w := newWorld(t)
			s := w.serve(t, http2)
			l := w.listen(t, s, "")
			l.want(`hello r-0 {"version":"1.2.3"}`)
			publish(w, "a")
			l.want(`application r-1 {"name":"a"}`)
			publish(w, "b")
			l.want(`application r-2 {"name":"b"}`)
			w.listen(t, s, "r-1").want(`hello r-1 {"version":"1.2.3"}`, `application r-2 {"name":"b"}`)
			w.listen(t, s, "other-1").want(`hello r-2 {"version":"1.2.3"}`, `reset r-2 {}`)
			w.broker.Close()
			l.want("ended")
		})
	}
}

func TestEventsOfOneThingAreJoined(t *testing.T) {
	w := newWorld(t)
	publish(w, "a", "b", "a", "a", "b", "c")
	w.listen(t, w.serve(t, true), "r-0").want(`hello r-0 {"version":"1.2.3"}`,
		`application r-4 {"name":"a"}`, `application r-5 {"name":"b"}`, `application r-6 {"name":"c"}`)
}

func TestEventsThatCannotBeWrittenAreLeftOut(t *testing.T) {
	w := newWorld(t)
	w.broker.Publish(events.Event{Type: "x", Key: "1", Payload: func() ([]byte, error) { return nil, fmt.Errorf("CANARY") }},
		events.Event{Type: "x", Key: "2", Payload: func() ([]byte, error) { return []byte("{}"), nil }})
	w.listen(t, w.serve(t, false), "r-0").want(`hello r-0 {"version":"1.2.3"}`, `x r-2 {}`)
}

// realClock lets heartbeats come, which the fixed clock of other tests does not.
func realClock(heartbeat time.Duration) func(*Options) {
	return func(o *Options) { o.Now, o.Heartbeat = time.Now, heartbeat }
}

func TestHeartbeats(t *testing.T) {
	w := newWorld(t, realClock(30*time.Millisecond))
	l := w.listen(t, w.serve(t, true), "")
	l.want(`hello r-0 {"version":"1.2.3"}`, "comment", "comment")
	publish(w, "a")
	for e := l.next(); e != `application r-1 {"name":"a"}`; e = l.next() {
		if e != "comment" {
			t.Fatalf("got %q", e)
		}
	}
}

func TestStreamsOfRevokedTokensEnd(t *testing.T) {
	w := newWorld(t, realClock(30*time.Millisecond))
	l := w.listen(t, w.serve(t, true), "")
	l.want(`hello r-0 {"version":"1.2.3"}`)
	if err := w.auth.Revoke(t.Context(), w.store.tokens[0].ID); err != nil {
		t.Fatal(err)
	}
	told := false
	for e := l.next(); e != "ended"; e = l.next() {
		if told = told || strings.HasPrefix(e, "end ") && strings.Contains(e, `"permission_revoked"`); e != "comment" && !told {
			t.Fatalf("got %q", e)
		}
	}
	if !told {
		t.Error("nothing told why the stream ends")
	}
}

// slowWriter is a client that does not take what is written until it is let.
type slowWriter struct {
	*httptest.ResponseRecorder
	mu      sync.Mutex
	blocked chan struct{} // closed when a write waits
	once    sync.Once
	let     chan struct{}
	writes  int
}

func (s *slowWriter) Write(p []byte) (int, error) {
	s.mu.Lock()
	s.writes++
	wait := s.writes == 2 // the first is the hello
	s.mu.Unlock()
	if wait {
		s.once.Do(func() { close(s.blocked) })
		<-s.let
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ResponseRecorder.Write(p)
}

func TestSlowClientsAreReset(t *testing.T) {
	w := newWorld(t)
	slow := &slowWriter{ResponseRecorder: httptest.NewRecorder(), blocked: make(chan struct{}), let: make(chan struct{})}
	req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/v1/events", nil)
	req.Header.Set("Authorization", "Bearer "+w.token)
	req.Header.Set("Last-Event-ID", "r-0")
	publish(w, "first")
	done := make(chan struct{})
	go func() { defer close(done); w.handler.ServeHTTP(slow, req) }()
	<-slow.blocked
	for i := range 100 { // the ring holds 16
		publish(w, fmt.Sprint("k", i))
	}
	w.broker.Close()
	close(slow.let)
	<-done
	body := slow.Body.String()
	if !strings.Contains(body, `{"name":"first"}`) || !strings.Contains(body, "event: reset\n") {
		t.Errorf("got %s", body)
	}
	if strings.Contains(body, `"k0"`) {
		t.Error("an event from outside of the ring was sent")
	}
}

func TestStreamNeedsAToken(t *testing.T) {
	newWorld(t).call("GET", "/api/v1/events", "", "Authorization:").problem(401, "token_missing")
}

// Event streams without end cost the hub its memory, so nobody has many, by however
// many logins; others still get theirs, and a place that is given back is free.
func TestS10_EventStreamsOfOnePersonAreFew(t *testing.T) {
	w, _ := newPolicyWorld(t, "g, ann, role:admin\ng, bob, role:admin\n")
	const most = 3
	w.handler.(*Handler).api.hearing.most = most
	s := w.serve(t, true)
	login := func(who string) { _, w.token, _ = strings.Cut(w.session(who), "Bearer ") }
	var open []*listener
	for range most {
		login("ann")
		open = append(open, w.listen(t, s, ""))
	}
	login("ann")
	w.short("GET", "/api/v1/events", "").problem(429, "access_limit")
	login("bob")
	w.listen(t, s, "")
	w.token = w.as(true)
	w.listen(t, s, "")
	login("ann")
	open[0].close()
	await(t, "the place that was given back", func() bool {
		h := &w.handler.(*Handler).api.hearing
		h.mu.Lock()
		defer h.mu.Unlock()
		return h.by["subject corp ann"] == most-1
	})
	w.listen(t, s, "")
}
