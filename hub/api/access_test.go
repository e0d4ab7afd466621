package api

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

const patience = 20 * time.Second

// cluster is the agents' side of access streams, scripted.
type cluster struct {
	mu      sync.Mutex
	asked   []model.AccessRequest
	streams []*scripted
	refuse  error
	// answer says the pieces of an answer; it runs until it returns or the stream
	// is closed.
	answer func(s *scripted)
}

// scripted is one stream. It implements AccessStream.
type scripted struct {
	request model.AccessRequest
	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	pieces  chan model.AccessAnswer
	inputs  chan model.AccessInput
	ended   bool
}

func (k *cluster) Open(_ context.Context, _ model.ClusterID, r model.AccessRequest) (AccessStream, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.asked = append(k.asked, r)
	if k.refuse != nil {
		return nil, k.refuse
	}
	s := &scripted{request: r, pieces: make(chan model.AccessAnswer), inputs: make(chan model.AccessInput)}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	k.streams = append(k.streams, s)
	go k.answer(s)
	return s, nil
}

func (k *cluster) open() (n int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, s := range k.streams {
		if s.ctx.Err() == nil {
			n++
		}
	}
	return n
}

func (s *scripted) say(m model.AccessAnswer) bool {
	select {
	case s.pieces <- m:
		return true
	case <-s.ctx.Done():
		return false
	}
}

func (s *scripted) end(err error) { s.say(model.AccessAnswer{End: &model.AccessEnd{Err: err}}) }

func (s *scripted) Receive(ctx context.Context) (model.AccessAnswer, error) {
	if s.ended {
		return model.AccessAnswer{}, io.EOF
	}
	select {
	case m := <-s.pieces:
		s.ended = m.End != nil
		return m, nil
	case <-ctx.Done():
		return model.AccessAnswer{}, context.Cause(ctx)
	case <-s.ctx.Done():
		return model.AccessAnswer{}, fault.Wrap(io.EOF, fault.Unavailable, "access_interrupted", "the stream was closed")
	}
}

func (s *scripted) Send(ctx context.Context, in model.AccessInput) error {
	select {
	case s.inputs <- in:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-s.ctx.Done():
		return fault.New(fault.Unavailable, "access_interrupted", "the stream was closed")
	}
}

func (s *scripted) Close() { s.cancel() }

// quick are limits for tests.
var quick = AccessLimits{Recheck: 30 * time.Millisecond, Unsure: 300 * time.Millisecond, SlowReader: 500 * time.Millisecond}

func lookWorld(t *testing.T, answer func(s *scripted), change ...func(*Options)) (*world, *cluster) {
	t.Helper()
	k := &cluster{answer: answer}
	w := newWorld(t, append([]func(*Options){func(o *Options) {
		o.Access, o.AccessLimits, o.AllowExec, o.Heartbeat = k, quick, true, 60*time.Millisecond
	}}, change...)...)
	w.store.apps["web"] = fleet.App{UID: "uid-web", Name: "web", Project: "default", Cluster: "id-eu", ClusterName: "eu"}
	w.store.apps["us-web"] = fleet.App{UID: "uid-us", Name: "us-web", Project: "default", Cluster: "id-us", ClusterName: "us"}
	return w, k
}

func TestLiveObject(t *testing.T) {
	w, k := lookWorld(t, func(s *scripted) {
		s.say(model.AccessAnswer{Object: []byte(`{"kind":"Secret","data":{"a"`)})
		s.say(model.AccessAnswer{Object: []byte(`:"redacted:0123"}}`)})
		s.end(nil)
	})
	a := w.call("GET", "/api/v1/applications/web/resource?kind=secret&resourceName=pass&group=&managedFields=true", "")
	if a.status != 200 || a.body != `{"data":{"a":"redacted:0123"},"kind":"Secret"}` || a.header.Get("Content-Type") != "application/json" {
		t.Errorf("%d %s", a.status, a.body)
	}
	q := k.asked[0]
	if q.App != "uid-web" || q.By != "ana" || q.ID == "" || q.Timeout <= 0 || q.Object.Kind != "secret" || q.Object.Name != "pass" ||
		q.Object.Group == nil || *q.Object.Group != "" || !q.Object.ManagedFields {
		t.Errorf("asked for %+v, %+v", q, q.Object)
	}
	a = w.call("GET", "/api/v1/applications/web/resource?kind=secret", "", "Accept: application/yaml")
	if a.body != "data:\n  a: redacted:0123\nkind: Secret\n" || a.header.Get("Content-Type") != "application/yaml" {
		t.Errorf("as YAML: %s", a.body)
	}
	if k.asked[1].Object.Group != nil {
		t.Error("any group is not the core group")
	}
	if k.open() != 0 {
		t.Error("streams stay open")
	}
}

func TestLooksThatAreRefused(t *testing.T) {
	w, k := lookWorld(t, func(s *scripted) {
		switch s.request.Object.Name {
		case "missing":
			s.end(fault.New(fault.NotFound, "object_not_found", "nothing").WithFix("did you mean \"x\"?"))
		case "no-json":
			s.say(model.AccessAnswer{Object: []byte("{")})
			s.end(nil)
		case "huge":
			for s.say(model.AccessAnswer{Object: make([]byte, 1<<20)}) {
			}
		}
	})
	for path, want := range map[string]string{
		"/nope/resource":                      "404 application_not_found",
		"/web/resource?resourceName=missing":  "404 object_not_found",
		"/web/resource?resourceName=no-json":  "424 access_failed",
		"/web/resource?resourceName=huge":     "413 object_too_large",
		"/web/resource?resorceName=x":         "400 unknown_parameter",
		"/web/resource?kind=a&kind=b":         "400 parameter_invalid",
		"/web/resource?managedFields=perhaps": "400 parameter_invalid",
		"/web/events?limit=0":                 "400 parameter_invalid",
		"/web/logs?tail=-1":                   "400 parameter_invalid",
		"/web/logs?since=yesterday":           "400 parameter_invalid",
		"/web/logs?sinceTime=now":             "400 parameter_invalid",
		"/web/logs?follow=1":                  "400 parameter_invalid",
		"/web/exec?pod=p":                     "400 command_missing",
		"/web/exec?command=x":                 "400 field_missing",
		"/web/exec?pod=p&command=x":           "400 websocket_required",
		"/web/exec?pod=p&command=x&columns=0": "400 parameter_invalid",
	} {
		a := w.call("GET", "/api/v1/applications"+path, "")
		var p problem
		if err := json.Unmarshal([]byte(a.body), &p); err != nil || fmt.Sprint(a.status, " ", p.Code) != want {
			t.Errorf("%s: %d %s, want %s", path, a.status, a.body, want)
		}
	}
	if a := w.call("GET", "/api/v1/applications/web/resource?resorceName=x", ""); !strings.Contains(a.body, "did you mean") {
		t.Errorf("no name is suggested: %s", a.body)
	}
	k.refuse = fault.New(fault.Unavailable, "agent_offline", "the cluster's agent is not connected")
	a := w.call("GET", "/api/v1/applications/us-web/resource", "")
	if a.status != 503 || !strings.Contains(a.body, "agent_offline") || !strings.Contains(a.body, `cluster \"us\" has been disconnected since`) || !strings.Contains(a.body, "12m0s") {
		t.Errorf("offline: %d %s", a.status, a.body)
	}
	if a := w.call("GET", "/api/v1/applications/web/resource", "", "Authorization:"); a.status != 401 {
		t.Errorf("without a token: %d", a.status)
	}
}

func manyLines(s *scripted) {
	s.say(model.AccessAnswer{Sources: []model.LogSource{{Number: 1, Namespace: "n", Pod: "a", Container: "main"}, {Number: 2, Namespace: "n", Pod: "b", Container: "main"}}})
	at := time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)
	s.say(model.AccessAnswer{Lines: []model.LogLine{
		{Source: 1, At: at, Text: []byte("one")}, {Source: 2, At: at, Text: []byte("<two> & \xff")},
		{Source: 1, At: at, Text: []byte("long "), Partial: true}, {Source: 1, At: at, Text: []byte("line")},
		{Source: 1, Text: []byte("begun"), Partial: true}, {Source: 2, Text: []byte("other")},
	}})
	s.say(model.AccessAnswer{Notice: &model.LogNotice{Source: 2, Code: "log_broken", Message: "it broke\x1b[2J off"}})
}

func TestLogsAsLines(t *testing.T) {
	w, _ := lookWorld(t, func(s *scripted) {
		manyLines(s)
		if s.request.Logs.Previous {
			s.end(fault.New(fault.Upstream, "cluster_failed", "the cluster broke"))
			return
		}
		s.end(nil)
	})
	json := w.call("GET", "/api/v1/applications/web/logs", "", "Accept: application/x-ndjson")
	want := `{"sources":[{"source":1,"namespace":"n","pod":"a","container":"main"},{"source":2,"namespace":"n","pod":"b","container":"main"}]}
{"source":1,"at":"2026-01-02T03:04:05.000006Z","text":"one"}
{"source":2,"at":"2026-01-02T03:04:05.000006Z","text":"<two> & \ufffd"}
{"source":1,"at":"2026-01-02T03:04:05.000006Z","text":"long ","partial":true}
{"source":1,"at":"2026-01-02T03:04:05.000006Z","text":"line"}
{"source":1,"text":"begun","partial":true}
{"source":2,"text":"other"}
{"notice":{"source":2,"code":"log_broken","message":"it broke\\u001b[2J off"}}
{"end":null}
`
	if json.status != 200 || json.body != want || json.header.Get("Content-Type") != "application/x-ndjson" {
		t.Errorf("as JSON: %d %s", json.status, json.body)
	}
	for query, want := range map[string]string{
		"": "[a/main] one\n[b/main] <two> & \xff\n[a/main] long line\n[a/main] begun\n[b/main] other\nhawser: [b/main] it broke\\u001b[2J off (log_broken)\n",
		"?prefix=false&timestamps=true": "2026-01-02T03:04:05.000006Z one\n2026-01-02T03:04:05.000006Z <two> & \xff\n2026-01-02T03:04:05.000006Z long line\n" +
			"begun\nother\nhawser: [b/main] it broke\\u001b[2J off (log_broken)\n",
	} {
		a := w.call("GET", "/api/v1/applications/web/logs"+query, "")
		if a.status != 200 || a.body != want || !strings.HasPrefix(a.header.Get("Content-Type"), "text/plain") {
			t.Errorf("as text%s: %d %q", query, a.status, a.body)
		}
	}
	broken := w.call("GET", "/api/v1/applications/web/logs?previous=true", "", "Accept: application/x-ndjson")
	last := broken.body[strings.LastIndex(strings.TrimSuffix(broken.body, "\n"), "\n")+1:]
	if !strings.HasPrefix(last, `{"end":{"type":"urn:hawser:problem:cluster_failed"`) {
		t.Errorf("a log that broke off ends with %s", last)
	}
	if text := w.call("GET", "/api/v1/applications/web/logs?previous=true", ""); !strings.HasSuffix(text.body, "hawser: the cluster broke (cluster_failed)\n") {
		t.Errorf("as text it ends with %q", text.body)
	}
}

func TestErrorsBeforeTheFirstLineAreProblems(t *testing.T) {
	w, _ := lookWorld(t, func(s *scripted) { s.end(fault.New(fault.NotFound, "pods_not_found", "none")) })
	for _, accept := range []string{"application/x-ndjson", "text/plain"} {
		if a := w.call("GET", "/api/v1/applications/web/logs", "", "Accept: "+accept); a.status != 404 || !strings.Contains(a.body, "pods_not_found") {
			t.Errorf("%s: %d %s", accept, a.status, a.body)
		}
	}
}

func TestEventsOfResources(t *testing.T) {
	w, k := lookWorld(t, func(s *scripted) {
		s.say(model.AccessAnswer{Events: []model.ObjectEvent{{UID: "1", Reason: "Pulled", Count: 1}}})
		s.say(model.AccessAnswer{Events: []model.ObjectEvent{{UID: "2", Reason: "BackOff", Count: 3, Message: "again"}}})
		s.end(nil)
	})
	a := w.call("GET", "/api/v1/applications/web/events?limit=7", "")
	var got list[model.ObjectEvent]
	if err := json.Unmarshal([]byte(a.body), &got); err != nil || len(got.Items) != 2 || got.Items[1].Count != 3 {
		t.Errorf("%d %s", a.status, a.body)
	}
	if k.asked[0].Events.Limit != 7 || k.asked[0].Timeout == 0 {
		t.Errorf("asked for %+v", k.asked[0].Events)
	}
	a = w.call("GET", "/api/v1/applications/web/events?follow=true", "")
	if lines := strings.Split(strings.TrimSpace(a.body), "\n"); len(lines) != 3 || !strings.HasPrefix(lines[0], `{"event":{"uid":"1"`) || lines[2] != `{"end":null}` {
		t.Errorf("followed: %s", a.body)
	}
	if k.asked[1].Timeout != 0 {
		t.Error("what is followed has a timeout")
	}
}

// follower reads an answer that goes on.
type follower struct {
	t     *testing.T
	lines chan string // closed at the end
	resp  *http.Response
}

func (w *world) follow(t *testing.T, s *httptest.Server, path string) *follower {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", s.URL+"/api/v1/applications/"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+w.token)
	req.Header.Set("Accept", "application/x-ndjson")
	resp, err := s.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != 200 {
		b, _ := io.ReadAll(resp.Body)
		t.Fatalf("%s: %s", resp.Status, b)
	}
	f := &follower{t: t, lines: make(chan string, 1000), resp: resp}
	t.Cleanup(func() { resp.Body.Close() })
	go func() {
		defer close(f.lines)
		in := bufio.NewScanner(resp.Body)
		for in.Scan() {
			f.lines <- in.Text()
		}
	}()
	return f
}

// until waits for a line that contains text.
func (f *follower) until(text string) {
	f.t.Helper()
	late := time.After(patience)
	for {
		select {
		case line, ok := <-f.lines:
			if !ok {
				f.t.Fatalf("it ended without %q", text)
			}
			if strings.Contains(line, text) {
				return
			}
		case <-late:
			f.t.Fatalf("waited in vain for %q", text)
		}
	}
}

func endless(s *scripted) {
	s.say(model.AccessAnswer{Sources: []model.LogSource{{Number: 1, Pod: "a", Container: "main"}}})
	s.say(model.AccessAnswer{Lines: []model.LogLine{{Source: 1, Text: []byte("here")}}})
	<-s.ctx.Done()
}

// A stream ends soon after the permission that it was opened with, and says so;
// also one whose client does not read.
func TestStreamsEndWithThePermission(t *testing.T) {
	for name, c := range map[string]struct {
		take func(w *world)
		code string
	}{
		"the token was revoked": {func(w *world) {
			tokens, err := w.auth.Tokens(w.t.Context())
			if err != nil || w.auth.Revoke(w.t.Context(), tokens[0].ID) != nil {
				w.t.Error("not revoked")
			}
		}, "permission_revoked"},
		"the application was deleted": {func(w *world) {
			w.store.mu.Lock()
			defer w.store.mu.Unlock()
			delete(w.store.apps, "web")
		}, "application_gone"},
		"it was made anew": {func(w *world) { w.changeApp(func(a *fleet.App) { a.UID = "another" }) }, "application_gone"},
		"it was moved to another project": {func(w *world) {
			w.changeApp(func(a *fleet.App) { a.Project = "shop" })
		}, "permission_revoked"},
		"it was moved to another cluster": {func(w *world) {
			w.changeApp(func(a *fleet.App) { a.Cluster = "id-us" })
		}, "permission_revoked"},
		"the database is away for long": {func(w *world) {
			w.store.mu.Lock()
			defer w.store.mu.Unlock()
			w.store.down = true
		}, "permission_unknown"},
	} {
		for _, http2 := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, http2 %v", name, http2), func(t *testing.T) {
				w, k := lookWorld(t, endless)
				s := w.serve(t, http2)
				f := w.follow(t, s, "web/logs?follow=true")
				f.until("here")
				f.until("") // it is alive
				c.take(w)
				f.until(`{"end":{"type":"urn:hawser:problem:` + c.code)
				if _, ok := <-f.lines; ok {
					t.Error("there is more after the end")
				}
				await(t, "the stream to the agent to be closed", func() bool { return k.open() == 0 })
			})
		}
	}
}

func (w *world) changeApp(f func(*fleet.App)) {
	w.store.mu.Lock()
	defer w.store.mu.Unlock()
	a := w.store.apps["web"]
	f(&a)
	w.store.apps["web"] = a
}

func await(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func TestDatabaseThatIsAwayForAMomentEndsNothing(t *testing.T) {
	w, _ := lookWorld(t, func(s *scripted) {
		s.say(model.AccessAnswer{Sources: []model.LogSource{{Number: 1}}})
		for i := 0; ; i++ {
			select {
			case <-s.ctx.Done():
				return
			case <-time.After(5 * time.Millisecond):
			}
			if !s.say(model.AccessAnswer{Lines: []model.LogLine{{Source: 1, Text: fmt.Appendf(nil, "line %d", i)}}}) {
				return
			}
		}
	})
	f := w.follow(t, w.serve(t, true), "web/logs?follow=true")
	f.until("line 1")
	down := func(v bool) {
		w.store.mu.Lock()
		defer w.store.mu.Unlock()
		w.store.down = v
	}
	down(true)
	time.Sleep(quick.Unsure / 3)
	down(false)
	f.until("line 2")
	time.Sleep(quick.Unsure)
	f.until("line 20")
}

func flood(s *scripted) {
	s.say(model.AccessAnswer{Sources: []model.LogSource{{Number: 1}}})
	for s.say(model.AccessAnswer{Lines: []model.LogLine{{Source: 1, Text: make([]byte, 32<<10)}}}) {
	}
}

// A client that takes nothing is given up after a while, and at once when its
// permission ends; what the agent sends waits there.
func TestClientThatTakesNothing(t *testing.T) {
	for name, c := range map[string]struct {
		slow time.Duration
		act  func(w *world)
	}{
		"for long":           {300 * time.Millisecond, func(*world) {}},
		"while it may":       {time.Hour, func(w *world) { w.changeApp(func(a *fleet.App) { a.UID = "another" }) }},
		"and then goes away": {time.Hour, nil},
	} {
		for _, http2 := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, http2 %v", name, http2), func(t *testing.T) {
				w, k := lookWorld(t, flood, func(o *Options) { o.AccessLimits.SlowReader = c.slow })
				s := w.serve(t, http2)
				req, _ := http.NewRequestWithContext(t.Context(), "GET", s.URL+"/api/v1/applications/web/logs", nil)
				req.Header.Set("Authorization", "Bearer "+w.token)
				resp, err := s.Client().Do(req)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				if c.act == nil {
					resp.Body.Close()
				} else {
					c.act(w)
				}
				await(t, "the stream to be closed", func() bool { return k.open() == 0 })
			})
		}
	}
}

func TestUserHasSoManyStreams(t *testing.T) {
	w, k := lookWorld(t, endless, func(o *Options) { o.AccessLimits.UserStreams = 2 })
	s := w.serve(t, true)
	first := w.follow(t, s, "web/logs?follow=true")
	w.follow(t, s, "web/logs?follow=true")
	if a := w.call("GET", "/api/v1/applications/web/logs?follow=true", ""); a.status != 429 || !strings.Contains(a.body, "access_limit") {
		t.Errorf("one too many: %d %s", a.status, a.body)
	}
	other, _, err := w.auth.Issue(t.Context(), fleet.NewAPIToken{Name: "bob", Lifetime: 0, Admin: true})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	req := httptest.NewRequestWithContext(ctx, "GET", "/api/v1/applications/web/logs?follow=true", nil)
	req.Header.Set("Authorization", "Bearer "+other)
	rec := httptest.NewRecorder()
	done := make(chan struct{})
	go func() { defer close(done); w.handler.ServeHTTP(rec, req) }()
	await(t, "another user's stream", func() bool { return k.open() == 3 })
	cancel()
	<-done
	first.resp.Body.Close()
	await(t, "the first to end", func() bool { return k.open() == 1 })
	w.follow(t, s, "web/logs?follow=true")
}

func TestP15_BytesAreMetered(t *testing.T) {
	m := newMeters(AccessLimits{UserBytes: 1 << 20, ClusterBytes: 1 << 30})
	spend, done, err := m.open("ana", "eu")
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	if err := spend(t.Context(), meterBurst); err != nil { // at once
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, errors.New("late"))
	defer cancel()
	if err := spend(ctx, 1<<20); err == nil {
		t.Error("what is above the limit does not wait")
	}
	other, done2, err := m.open("bob", "eu")
	if err != nil {
		t.Fatal(err)
	}
	if err := other(t.Context(), 1<<20); err != nil {
		t.Errorf("another user waits: %v", err)
	}
	done2()
	if m.users["ana"].streams != 1 || m.users["bob"].streams != 0 || len(m.clusters) != 1 || m.clusters["eu"].streams != 1 {
		t.Errorf("%d users and %d clusters are remembered", len(m.users), len(m.clusters))
	}
}

// shell is a command of the scripted cluster: it says what it is told, until
// "exit".
func shell(s *scripted) {
	if s.request.Exec.Command[0] == "nope" {
		s.end(fault.New(fault.Denied, "exec_disabled", "not in this cluster"))
		return
	}
	s.say(model.AccessAnswer{Started: &model.ExecStarted{Namespace: "n", Pod: s.request.Exec.Name, Container: "main"}})
	for {
		select {
		case in := <-s.inputs:
			switch {
			case in.Size != nil:
				s.say(model.AccessAnswer{Output: &model.ExecOutput{Stderr: fmt.Appendf(nil, "%dx%d", in.Size.Columns, in.Size.Rows)}})
			case in.StdinEnd:
				s.say(model.AccessAnswer{End: &model.AccessEnd{ExitCode: 7}})
				return
			case string(in.Stdin) == "flood":
				for s.say(model.AccessAnswer{Output: &model.ExecOutput{Stdout: make([]byte, 32<<10)}}) {
				}
				return
			default:
				s.say(model.AccessAnswer{Output: &model.ExecOutput{Stdout: slices.Concat([]byte("said "), in.Stdin)}})
			}
		case <-s.ctx.Done():
			return
		}
	}
}

func (w *world) dialExec(t *testing.T, s *httptest.Server, query string, protocols ...string) (*websocket.Conn, *http.Response, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	return websocket.Dial(ctx, s.URL+"/api/v1/applications/web/exec?"+query, &websocket.DialOptions{
		HTTPClient: s.Client(), HTTPHeader: http.Header{"Authorization": {"Bearer " + w.token}}, Subprotocols: protocols,
	})
}

func readExec(t *testing.T, conn *websocket.Conn) (byte, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, b, err := conn.Read(ctx)
	if err != nil {
		t.Fatalf("reading: %v", err)
	}
	return b[0], string(b[1:])
}

func TestCommandInAContainer(t *testing.T) {
	w, k := lookWorld(t, shell)
	s := w.serve(t, false)
	conn, _, err := w.dialExec(t, s, "namespace=n&pod=p&container=main&command=sh&command=-c&command=secret&stdin=true&tty=true&columns=80&rows=24", ExecProtocol)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	q := k.asked[0].Exec
	if q.Name != "p" || q.Namespace != "n" || q.Kind != "Pod" || *q.Group != "" || strings.Join(q.Command, " ") != "sh -c secret" || !q.TTY || !q.Stdin || q.Size != (model.TerminalSize{Columns: 80, Rows: 24}) {
		t.Errorf("asked for %+v", q)
	}
	write := func(channel byte, text string) {
		t.Helper()
		if err := conn.Write(t.Context(), websocket.MessageBinary, append([]byte{channel}, text...)); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(channel byte, text string) {
		t.Helper()
		if c, got := readExec(t, conn); c != channel || got != text {
			t.Fatalf("channel %d says %q; want %d and %q", c, got, channel, text)
		}
	}
	write(channelStdin, "hello")
	expect(channelStdout, "said hello")
	write(channelSize, `{"columns":132,"rows":50}`)
	expect(channelStderr, "132x50")
	write(channelStdin, "\x00\xff")
	expect(channelStdout, "said \x00\xff")
	write(channelStdEnd, "")
	expect(channelEnd, `{"exitCode":7}`)
	if _, _, err := conn.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusNormalClosure {
		t.Errorf("it is closed with %v", err)
	}
	await(t, "the stream to be closed", func() bool { return k.open() == 0 })
	await(t, "the end to be logged", func() bool { return strings.Contains(w.logged(), "a command in a container has ended") })
	if log := w.logged(); strings.Contains(log, "secret") || !strings.Contains(log, "program=sh") || !strings.Contains(log, "by=ana") {
		t.Errorf("log: %s", log)
	}
}

func TestCommandsThatAreRefused(t *testing.T) {
	w, _ := lookWorld(t, shell)
	s := w.serve(t, false)
	refused := func(query, want string, protocols ...string) {
		t.Helper()
		conn, resp, err := w.dialExec(t, s, query, protocols...)
		if err == nil {
			conn.CloseNow()
			t.Errorf("%s: it runs", query)
			return
		}
		b, _ := io.ReadAll(resp.Body)
		var p problem
		if json.Unmarshal(b, &p) != nil || fmt.Sprint(resp.StatusCode, " ", p.Code) != want {
			t.Errorf("%s: %d %s, want %s", query, resp.StatusCode, b, want)
		}
	}
	refused("pod=p&command=nope", "403 exec_disabled", ExecProtocol)
	refused("pod=p&command=sh", "400 websocket_required")
	refused("pod=p&command=sh", "400 websocket_required", "v5.channel.k8s.io")
	w.opts.AllowExec = false
	w.handler = New(w.opts)
	refused2 := w.serve(t, false)
	if _, resp, err := w.dialExec(t, refused2, "pod=p&command=sh", ExecProtocol); err == nil || resp.StatusCode != 403 {
		t.Errorf("at a hub without: %v", err)
	}
}

// A page cannot read the answer to a handshake: what the cluster refuses is told to it
// on the WebSocket, and what the hub itself refuses before.
func TestCommandsThatAreRefusedLate(t *testing.T) {
	w, k := lookWorld(t, shell)
	s := w.serve(t, false)
	conn, _, err := w.dialExec(t, s, "pod=p&command=nope&late=true", ExecProtocol)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	channel, said := readExec(t, conn)
	var p problem
	if json.Unmarshal([]byte(said), &p) != nil || channel != channelEnd || p.Code != "exec_disabled" || p.Status != 403 {
		t.Errorf("channel %d says %s", channel, said)
	}
	if _, _, err := conn.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusPolicyViolation {
		t.Errorf("it is closed with %v", err)
	}
	await(t, "the stream to be closed", func() bool { return k.open() == 0 })
	await(t, "the refusal to be logged", func() bool { return strings.Contains(w.logged(), "a command in a container was refused") })
	if strings.Contains(w.logged(), "was started") {
		t.Errorf("log: %s", w.logged())
	}
	works, _, err := w.dialExec(t, s, "pod=p&command=sh&stdin=true&late=true", ExecProtocol)
	if err != nil {
		t.Fatal(err)
	}
	defer works.CloseNow()
	if err := works.Write(t.Context(), websocket.MessageBinary, append([]byte{channelStdin}, "hello"...)); err != nil {
		t.Fatal(err)
	}
	if c, got := readExec(t, works); c != channelStdout || got != "said hello" {
		t.Errorf("channel %d says %q", c, got)
	}
	if _, resp, err := w.dialExec(t, s, "pod=&command=sh&late=true", ExecProtocol); err == nil || resp.StatusCode != 400 {
		t.Errorf("without a pod: %v", err)
	}
}

func TestCommandEndsWithThePermission(t *testing.T) {
	for name, input := range map[string]string{"quiet": "hello", "in a flood that nobody reads": "flood"} {
		t.Run(name, func(t *testing.T) {
			w, k := lookWorld(t, shell)
			conn, _, err := w.dialExec(t, w.serve(t, false), "pod=p&command=sh&stdin=true", ExecProtocol)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.CloseNow()
			conn.SetReadLimit(1 << 20)
			if err := conn.Write(t.Context(), websocket.MessageBinary, append([]byte{channelStdin}, input...)); err != nil {
				t.Fatal(err)
			}
			if c, _ := readExec(t, conn); c != channelStdout {
				t.Fatalf("channel %d", c)
			}
			w.changeApp(func(a *fleet.App) { a.Project = "shop" })
			await(t, "the command to be ended", func() bool { return k.open() == 0 })
			if name != "quiet" {
				return
			}
			if c, text := readExec(t, conn); c != channelEnd || !strings.Contains(text, "permission_revoked") {
				t.Errorf("channel %d says %s", c, text)
			}
			if _, _, err := conn.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusPolicyViolation {
				t.Errorf("it is closed with %v", err)
			}
		})
	}
}

func TestCommandEndsWithItsClient(t *testing.T) {
	for name, leave := range map[string]func(conn *websocket.Conn){
		"with a word":    func(c *websocket.Conn) { c.Close(websocket.StatusNormalClosure, "") },
		"without a word": func(c *websocket.Conn) { c.CloseNow() },
		"with garbage":   func(c *websocket.Conn) { c.Write(context.Background(), websocket.MessageText, []byte("hello")) },
		"with too much":  func(c *websocket.Conn) { c.Write(context.Background(), websocket.MessageBinary, make([]byte, 1<<20)) },
	} {
		t.Run(name, func(t *testing.T) {
			w, k := lookWorld(t, shell)
			conn, _, err := w.dialExec(t, w.serve(t, false), "pod=p&command=sh&stdin=true", ExecProtocol)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.CloseNow()
			leave(conn)
			await(t, "the command to be ended", func() bool { return k.open() == 0 })
		})
	}
}

// An answer that ends without an End is not complete, whatever its last error is
// made of.
func TestAnswerThatBreaksOffIsNotComplete(t *testing.T) {
	w, _ := lookWorld(t, func(s *scripted) {
		switch {
		case s.request.Logs != nil:
			s.say(model.AccessAnswer{Sources: []model.LogSource{{Number: 1}}})
			s.say(model.AccessAnswer{Lines: []model.LogLine{{Source: 1, Text: []byte("x")}}})
		case s.request.Events != nil:
			s.say(model.AccessAnswer{Events: []model.ObjectEvent{{UID: "1"}}})
		default:
			s.say(model.AccessAnswer{Object: []byte("{}")})
		}
		s.cancel()
	})
	if a := w.call("GET", "/api/v1/applications/web/logs", "", "Accept: application/x-ndjson"); !strings.Contains(a.body, `{"end":{"type":"urn:hawser:problem:access_interrupted"`) {
		t.Errorf("logs: %s", a.body)
	}
	for _, path := range []string{"events", "resource"} {
		w.call("GET", "/api/v1/applications/web/"+path, "").problem(503, "access_interrupted")
	}
}
