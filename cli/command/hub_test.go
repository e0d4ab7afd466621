package command

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/hawser-dev/hawser/shared/wire"
)

// answer is what the test's hub says to one method and path.
type answer struct {
	status int
	body   string
}

// testHub is an HTTPS server with canned answers by "METHOD /path" below
// /api/v1. It remembers what it was asked.
type testHub struct {
	t       *testing.T
	srv     *httptest.Server
	mu      sync.Mutex
	answers map[string]answer
	asked   []string // method, path with query, body
	// streaming, when set, is called while an event stream is open.
	streaming func()
	// before, when set, sees each request before it is answered.
	before func(*http.Request)
	// warnings are headers of every answer.
	warnings []string
	// vary, when set, may answer in place of answers.
	vary func(path string) (answer, bool)
}

// newHubOf starts a hub and makes it the one of the environment.
func newHubOf(t *testing.T, answers map[string]answer) *testHub {
	t.Helper()
	h := &testHub{t: t, answers: answers}
	h.srv = httptest.NewUnstartedServer(h)
	h.srv.Config.ErrorLog = log.New(io.Discard, "", 0) // of handshakes that are to fail
	h.srv.StartTLS()
	t.Cleanup(h.srv.Close)
	t.Setenv("HAWSER_CONFIG", t.TempDir()+"/config.yaml")
	t.Setenv("HAWSER_HUB", h.srv.URL)
	t.Setenv("HAWSER_CA_HASH", h.pin())
	t.Setenv("HAWSER_TOKEN", "hwt_CANARY")
	t.Setenv("HAWSER_CONTEXT", "")
	return h
}

func (h *testHub) pin() string { return wire.CAHash(h.srv.Certificate()) }

func (h *testHub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	path := strings.TrimPrefix(r.URL.Path, "/api/v1")
	if path == "/readyz" {
		io.WriteString(w, `{"ok":true}`)
		return
	}
	if path == "/events" {
		io.WriteString(w, "event: hello\ndata: {}\n\n")
		w.(http.Flusher).Flush()
		if h.streaming != nil {
			h.streaming()
		}
		<-r.Context().Done()
		return
	}
	if q := r.URL.Query(); q.Has("fields") { // which fields of a row are asked for is no question of its own
		q.Del("fields")
		q.Del("facets")
		r.URL.RawQuery = q.Encode()
	}
	uri := strings.TrimPrefix(r.URL.RequestURI(), "/api/v1")
	h.mu.Lock()
	if h.before != nil {
		h.before(r)
	}
	h.asked = append(h.asked, strings.TrimSpace(r.Method+" "+uri+" "+string(body)))
	a, ok := h.answers[r.Method+" "+uri]
	if !ok {
		a, ok = h.answers[r.Method+" "+path]
	}
	if h.vary != nil {
		if other, yes := h.vary(path); yes {
			a, ok = other, true
		}
	}
	h.mu.Unlock()
	if !ok {
		a = problemAnswer(404, "not_found", "application_not_found", "there is nothing at "+path)
	}
	for _, text := range h.warnings {
		w.Header().Add("Warning", text)
	}
	w.WriteHeader(a.status)
	io.WriteString(w, a.body)
}

func (h *testHub) requests() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return strings.Join(h.asked, "\n")
}

func problemAnswer(status int, kind, code, detail string) answer {
	return answer{status, fmt.Sprintf(`{"kind":%q,"code":%q,"detail":%q,"fix":"do so"}`, kind, code, detail)}
}

// ran is what one run of the command line did.
type ran struct {
	code     int
	out, err string
}

func run(t *testing.T, in string, args ...string) ran {
	t.Helper()
	return runAs(t.Context(), Streams{In: strings.NewReader(in)}, args...)
}

func runAs(ctx context.Context, s Streams, args ...string) ran {
	var out, errs bytes.Buffer
	s.Out, s.Err = &out, &errs
	code := Main(ctx, args, s)
	return ran{code, out.String(), errs.String()}
}

// check compares the status and looks for texts on both streams.
func (r ran) check(t *testing.T, code int, out, err string) {
	t.Helper()
	if r.code != code {
		t.Errorf("exit status %d, want %d", r.code, code)
	}
	if !strings.Contains(r.out, out) || (out == "" && r.out != "") {
		t.Errorf("stdout %q, want %q", r.out, out)
	}
	if !strings.Contains(r.err, err) || (err == "" && r.err != "") {
		t.Errorf("stderr %q, want %q", r.err, err)
	}
	if strings.Contains(r.out+r.err, "CANARY") {
		t.Errorf("the token was printed: %s%s", r.out, r.err)
	}
}

// document reports whether standard output is exactly one JSON document, or
// nothing.
func (r ran) document() bool {
	if r.out == "" {
		return true
	}
	dec := json.NewDecoder(strings.NewReader(r.out))
	var v any
	return dec.Decode(&v) == nil && dec.Decode(&v) == io.EOF
}
