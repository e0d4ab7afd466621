package command

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/hawser-dev/hawser/shared/wire"
)

// livingHub has clusters that change, and tells so on its event stream.
type livingHub struct {
	mu       sync.Mutex
	clusters string
	events   chan string
}

func (h *livingHub) change(clusters string) {
	h.mu.Lock()
	h.clusters = clusters
	h.mu.Unlock()
	h.events <- "event: cluster\ndata: {}\n\n"
}

func (h *livingHub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/api/v1/events":
		io.WriteString(w, "id: 1\nevent: hello\ndata: {}\n\n")
		for {
			w.(http.Flusher).Flush()
			select {
			case e := <-h.events:
				if e == "" { // the stream breaks
					return
				}
				io.WriteString(w, e)
			case <-r.Context().Done():
				return
			}
		}
	case "/api/v1/clusters":
		h.mu.Lock()
		defer h.mu.Unlock()
		fmt.Fprintf(w, `{"items":[%s]%s`, h.clusters, asOf)
	case "/api/v1/clusters/eu":
		h.mu.Lock()
		defer h.mu.Unlock()
		io.WriteString(w, strings.SplitN(h.clusters, "}", 2)[0]+"}")
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func cluster(name string, connected bool, seen int) string {
	return fmt.Sprintf(`{"name":%q,"connected":%v,"lastSeen":"2026-01-02T03:04:%02dZ","applications":4}`, name, connected, seen)
}

func TestWatch(t *testing.T) {
	for _, c := range []struct {
		args  string
		first []string // lines at once
		next  string   // what the changed line holds
	}{
		{"cluster list -w --columns name,state", []string{"NAME  STATE", "eu    Connected", "us    Connected"}, "us    NeverSeen"},
		{"cluster list -w -o json --jq=.items[].name", []string{"eu", "us"}, "us"},
		{"cluster list -w --json name,connected", []string{`{"connected":true,"name":"eu"}`, `{"connected":true,"name":"us"}`}, `{"connected":false,"name":"us"}`},
		{"cluster list -w -o ndjson", []string{`"name":"eu"`, `"name":"us"`}, `"connected":false`},
		{"cluster list -w -o json", []string{`"name":"eu"`, `"name":"us"`}, `"connected":false`},
		{"cluster list -w -o name", []string{"cluster/eu", "cluster/us"}, "cluster/us"},
	} {
		t.Run(c.args, func(t *testing.T) {
			h := &livingHub{clusters: cluster("eu", true, 1) + "," + cluster("us", true, 1), events: make(chan string)}
			srv := httptest.NewTLSServer(h)
			newHubOf(t, nil)
			t.Setenv("HAWSER_HUB", srv.URL)
			t.Setenv("HAWSER_CA_HASH", wire.CAHash(srv.Certificate()))
			ctx, stop := context.WithCancel(t.Context())
			defer srv.Close()
			defer stop()
			r, w := io.Pipe()
			ended := make(chan int, 1)
			var errs strings.Builder
			go func() {
				code := Main(ctx, strings.Fields(c.args), Streams{In: strings.NewReader(""), Out: w, Err: &errs})
				w.Close()
				ended <- code
			}()
			lines := bufio.NewScanner(r)
			line := func() string {
				if !lines.Scan() {
					t.Fatalf("it ended: %v, %s", <-ended, errs.String())
				}
				return lines.Text()
			}
			for _, want := range c.first {
				if got := line(); !strings.Contains(got, want) {
					t.Fatalf("got %q, want %q", got, want)
				}
			}
			// What changes by itself is no change; a stream that breaks is opened again.
			h.change(cluster("eu", true, 9) + "," + cluster("us", true, 9))
			h.events <- ""
			gone := strings.Replace(cluster("us", false, 9), `"lastSeen":"2026-01-02T03:04:09Z",`, "", 1)
			h.change(cluster("eu", true, 10) + "," + gone)
			if got := line(); !strings.Contains(got, c.next) {
				t.Errorf("got %q, want %q", got, c.next)
			}
			stop()
			if code := <-ended; code != ExitInterrupted {
				t.Errorf("exit status %d: %s", code, errs.String())
			}
		})
	}
}

func TestAWatchThatEnds(t *testing.T) {
	newHubOf(t, everything())
	r := run(t, "", "cluster", "get", "eu", "-w", "--timeout", "300ms")
	r.check(t, 0, "Name:", "")
	if strings.Count(r.out, "Name:") != 1 {
		t.Errorf("got %s", r.out)
	}
	if r := run(t, "", "cluster", "get", "nix", "-w"); r.code != ExitNotFound {
		t.Errorf("got %+v", r)
	}
	t.Setenv("HAWSER_CA_HASH", "sha256:"+strings.Repeat("0", 64))
	run(t, "", "cluster", "list", "-w").check(t, 2, "", "(hub_not_trusted)")
}
