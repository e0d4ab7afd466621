package api

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/telemetry/probe"
)

// counted is an Observer that counts.
type counted struct {
	streams, opened, resets, requests atomic.Int64

	mu     sync.Mutex
	last   string // method, route and class of the newest request
	denied []string
}

func (c *counted) Request(method, route string, status int, _ time.Duration) {
	c.requests.Add(1)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = method + " " + route + " " + string(rune('0'+status/100))
}

func (c *counted) Denied(code string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.denied = append(c.denied, code)
}

func (c *counted) StreamOpened() { c.streams.Add(1); c.opened.Add(1) }
func (c *counted) StreamClosed() { c.streams.Add(-1) }
func (c *counted) StreamReset()  { c.resets.Add(1) }

func TestRequestsAreCountedByRoute(t *testing.T) {
	seen := &counted{}
	w := newWorld(t, func(o *Options) { o.Observer = seen })
	for path, want := range map[string]string{
		"/api/v1/applications/no-such": "GET /api/v1/applications/:name 4",
		"/api/v1/clusters":             "GET /api/v1/clusters 2",
		"/livez":                       "GET /livez 2",
		"/some/secret/path":            "GET  4", // no part of what a stranger sends
	} {
		w.call("GET", path, "")
		if seen.last != want {
			t.Errorf("%s counts as %q", path, seen.last)
		}
	}
	w.call("GET", "/api/v1/clusters", "", "Authorization: Bearer nonsense")
	if len(seen.denied) != 1 || seen.denied[0] == "" {
		t.Errorf("denied: %q", seen.denied)
	}
}

// Each part is told when it is asked for and when it is not well, by its code only.
func TestReadyTellsEachPart(t *testing.T) {
	var render error
	hang := make(chan struct{})
	defer close(hang)
	hanging := false
	w := newWorld(t, func(o *Options) {
		o.Checks = []probe.Check{
			{Name: "database", Required: true, Ask: o.Ready},
			{Name: "render", Required: true, Ask: func(context.Context) error { return render }},
			{Name: "odd", Ask: func(context.Context) error { return errors.New("CANARY") }},
			{Name: "slow", Ask: func(context.Context) error {
				if hanging {
					<-hang
				}
				return nil
			}},
		}
	})
	if a := w.call("GET", "/readyz", "", "Authorization:").ok(200); a.body != `{"ok":true}` {
		t.Errorf("got %s", a.body)
	}
	all := w.call("GET", "/readyz?verbose", "", "Authorization:").ok(200).body
	if !strings.Contains(all, `{"name":"database","ok":true,"required":true}`) || !strings.Contains(all, `{"name":"odd","ok":false,"code":"internal","required":false}`) {
		t.Errorf("got %s", all)
	}
	render = fault.New(fault.Unavailable, "worker_unavailable", "CANARY /var/lib/hawser")
	a := w.call("GET", "/readyz", "", "Authorization:").ok(503)
	if !strings.Contains(a.body, `{"name":"render","ok":false,"code":"worker_unavailable","required":true}`) || strings.Contains(a.body, "CANARY") {
		t.Errorf("got %s", a.body)
	}
	w.ready = errors.New("CANARY password")
	if a := w.call("GET", "/readyz", "", "Authorization:", "Accept: text/plain").ok(503); !strings.Contains(a.body, "[-]database") || strings.Contains(a.body, "CANARY") {
		t.Errorf("got %s", a.body)
	}
	w.call("GET", "/livez", "", "Authorization:").ok(200) // whatever is away
	if hanging = true; testing.Short() {
		return
	}
	render, w.ready = nil, nil
	if a := w.call("GET", "/readyz?verbose", "", "Authorization:").ok(200); !strings.Contains(a.body, `{"name":"slow","ok":false,"code":"probe_timeout"`) {
		t.Errorf("a check that hangs: %s", a.body)
	}
}

// Writes begin a trace, reads only go on with the caller's, and problems and the
// log say which.
func TestRequestsAreTraced(t *testing.T) {
	spans := tracetest.NewSpanRecorder()
	provider := sdk.NewTracerProvider(sdk.WithSpanProcessor(spans))
	w := newWorld(t, func(o *Options) { o.Tracer = provider.Tracer("test") })
	const caller = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	w.call("GET", "/api/v1/clusters", "").ok(200)
	w.call("GET", "/nowhere", "", "Traceparent: "+caller)
	if n := len(spans.Ended()); n != 0 {
		t.Errorf("%d spans of a read", n)
	}
	for _, odd := range []string{"", "00-", "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", caller + "CANARY", strings.Repeat("0", 5000)} {
		w.call("GET", "/api/v1/clusters", "", "Traceparent: "+odd).ok(200)
	}
	if n := len(spans.Ended()); n != 0 {
		t.Errorf("%d spans of nonsense", n)
	}
	a := w.call("GET", "/api/v1/clusters/none", "", "Traceparent: "+caller).ok(404)
	if !strings.Contains(a.body, `"traceId":"0af7651916cd43dd8448eb211c80319c"`) {
		t.Errorf("got %s", a.body)
	}
	a = w.call("POST", "/api/v1/applications/none/sync", "{}").ok(404)
	ended := spans.Ended()
	if len(ended) != 2 || ended[0].Name() != "GET /api/v1/clusters/:name" || ended[0].Parent().SpanID().String() != "b7ad6b7169203331" ||
		ended[1].Name() != "POST /api/v1/applications/:name/sync" || ended[1].Parent().IsValid() {
		t.Errorf("%d spans", len(ended))
	} else if !strings.Contains(a.body, `"traceId":"`+ended[1].SpanContext().TraceID().String()+`"`) {
		t.Errorf("got %s", a.body)
	}
	// Without a collector nothing is told, whatever the caller is in.
	off := newWorld(t)
	if a := off.call("GET", "/api/v1/clusters/none", "", "Traceparent: "+caller).ok(404); strings.Contains(a.body, "traceId") {
		t.Errorf("got %s", a.body)
	}
}
