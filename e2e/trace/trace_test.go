package trace

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	spans "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/hawser-dev/hawser/e2e/rig"
	"github.com/hawser-dev/hawser/e2e/testbed"
)

const patience = 90 * time.Second

// span is one as the collector has it.
type span struct {
	service, name, id, parent string
	attributes                map[string]string
}

// traces takes spans as a collector does, and tells who waits.
type traces struct {
	mu   sync.Mutex
	by   map[string][]span // by trace
	raw  bytes.Buffer      // everything, to look for what must not be in it
	more chan struct{}
}

func newTraces() *traces { return &traces{by: map[string][]span{}, more: make(chan struct{}, 1)} }

func (c *traces) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body io.Reader = r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		body = z
	}
	b, err := io.ReadAll(body)
	var in collector.ExportTraceServiceRequest
	if err == nil {
		err = proto.Unmarshal(b, &in)
	}
	if err != nil || r.URL.Path != "/v1/traces" {
		http.Error(w, fmt.Sprint(r.URL.Path, err), http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	c.raw.Write(b)
	for _, rs := range in.ResourceSpans {
		service := ""
		for _, a := range rs.Resource.GetAttributes() {
			if a.Key == "service.name" {
				service = a.Value.GetStringValue()
			}
		}
		for _, ss := range rs.ScopeSpans {
			for _, s := range ss.Spans {
				c.take(service, s)
			}
		}
	}
	c.mu.Unlock()
	select {
	case c.more <- struct{}{}:
	default:
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
}

func (c *traces) take(service string, s *spans.Span) {
	attributes := map[string]string{}
	for _, a := range s.Attributes {
		attributes[a.Key] = a.Value.GetStringValue()
	}
	id := hex.EncodeToString(s.TraceId)
	c.by[id] = append(c.by[id], span{service, s.Name, hex.EncodeToString(s.SpanId), hex.EncodeToString(s.ParentSpanId), attributes})
}

// tree is a trace as text: a line for each span, indented below its parent, in the
// order of names. Spans whose parent is missing are marked.
func tree(all []span) string {
	ids := map[string]bool{}
	children := map[string][]span{}
	for _, s := range all {
		ids[s.id] = true
		children[s.parent] = append(children[s.parent], s)
	}
	var b strings.Builder
	var write func(parent string, depth int)
	write = func(parent string, depth int) {
		list := children[parent]
		slices.SortFunc(list, func(a, b span) int { return strings.Compare(a.name, b.name) })
		for _, s := range list {
			fmt.Fprintf(&b, "%s%s %s\n", strings.Repeat("  ", depth), s.service, s.name)
			write(s.id, depth+1)
		}
	}
	write("", 0)
	for _, parent := range slices.Sorted(maps.Keys(children)) {
		if parent != "" && !ids[parent] {
			fmt.Fprintf(&b, "orphans of %s:\n", parent)
			write(parent, 1)
		}
	}
	return b.String()
}

// await waits for a trace that is exactly the tree.
func (c *traces) await(ctx context.Context, t *testing.T, want string) []span {
	t.Helper()
	want = strings.TrimPrefix(want, "\n")
	root, _, _ := strings.Cut(want, "\n")
	for {
		c.mu.Lock()
		var near []string
		for _, all := range c.by {
			got := tree(all)
			if got == want {
				c.mu.Unlock()
				return all
			}
			if strings.HasPrefix(got, root+"\n") {
				near = append(near, got)
			}
		}
		c.mu.Unlock()
		select {
		case <-c.more:
		case <-ctx.Done():
			t.Fatalf("no trace is\n%s\nthese begin like it:\n%s", want, strings.Join(near, "---\n"))
		}
	}
}

// address is one that nobody listens on.
func address(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func configMap(text string) map[string][]byte {
	return map[string][]byte{"app/a.yaml": []byte("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: traced}\ndata: {text: " + text + "}\n")}
}

// secret stands in a manifest; spans must not have it.
const secret = "CANARY-in-a-manifest"

// TestOneChangeIsOneTrace follows a push and a command through hub and agent.
func TestOneChangeIsOneTrace(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a control plane, which -short leaves out")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	seen := newTraces()
	server := httptest.NewServer(seen)
	defer server.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
	hubMetrics, agentMetrics, agentHealth := address(t), address(t), address(t)

	r, err := rig.Start(ctx, rig.Options{Bin: rig.Programs(t), Log: os.Stderr,
		HubArgs:   []string{"--poll-interval", "1h", "--database-url", "", "--log-format", "json", "--metrics-listen", hubMetrics},
		AgentArgs: []string{"--metrics-listen", agentMetrics, "--health-listen", agentHealth, "--log-format", "json"}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if t.Failed() {
			t.Logf("the hub's log:\n%s\nthe agent's log:\n%s", testbed.Tail(r.Hub.LogPath(), 30), testbed.Tail(filepath.Join(r.Dir, "agent-eu.log"), 30))
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}()
	eu, err := r.AddCluster(ctx, "eu")
	if err != nil {
		t.Fatal(err)
	}
	if err := eu.Enrol(ctx); err != nil {
		t.Fatal(err)
	}
	repo, err := r.Git.CreateRepo(ctx, "shop")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := repo.Commit(ctx, "shop", configMap("one")); err != nil {
		t.Fatal(err)
	}
	api, err := r.API()
	if err != nil {
		t.Fatal(err)
	}
	var application any
	if err := json.Unmarshal([]byte(`{"apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "metadata": {"name": "shop"}, "spec": {"project": "default",
		"source": {"repoURL": "`+repo.URL()+`", "path": "app", "targetRevision": "main"}, "destination": {"name": "eu", "namespace": "default"},
		"syncPolicy": {"automated": {}}}}`), &application); err != nil {
		t.Fatal(err)
	}
	if err := api.Do(ctx, http.MethodPost, "/applications", application, nil); err != nil {
		t.Fatal(err)
	}
	settled := func(revision string) {
		t.Helper()
		err := rig.FollowApplications(ctx, api, func(apps rig.Applications, _ ...string) bool {
			v, ok := apps["shop"]
			return ok && rig.Settled(v) && (revision == "" || v.Revision == revision)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	settled("")

	// The application was made by a request, and waited for its repository.
	within, stop := context.WithTimeout(ctx, patience)
	defer stop()
	seen.await(within, t, `
hawser-hub POST /api/v1/applications
  hawser-hub deliver
    hawser-hub desired.write
      hawser-hub desired.send
        hawser-agent agent.accept
        hawser-agent agent.sync
          hawser-agent agent.apply
          hawser-agent agent.healthy
            hawser-hub ingest
    hawser-hub policy
    hawser-hub render
`)

	commit, err := repo.Commit(ctx, "two", configMap(secret))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Push(ctx, repo.URL(), "main", commit); err != nil {
		t.Fatal(err)
	}
	settled(commit)
	pushed := seen.await(within, t, `
hawser-hub POST /api/webhook
  hawser-hub source.resolve
    hawser-hub deliver
      hawser-hub desired.write
        hawser-hub desired.send
          hawser-agent agent.accept
          hawser-agent agent.sync
            hawser-agent agent.apply
            hawser-agent agent.healthy
              hawser-hub ingest
      hawser-hub policy
      hawser-hub render
`)
	for _, s := range pushed {
		if s.name == "agent.sync" && s.attributes["application"] != "shop" {
			t.Errorf("the sync's span says %v", s.attributes)
		}
	}

	// A command begins a trace, and so does the caller's own.
	caller := "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	if _, err := api.Call(ctx, http.MethodPost, "/applications/shop/sync", http.Header{"Traceparent": {caller}}, map[string]any{}, nil); err != nil {
		t.Fatal(err)
	}
	commanded := seen.await(within, t, `
orphans of b7ad6b7169203331:
  hawser-hub POST /api/v1/applications/:name/sync
    hawser-hub operation.send
      hawser-agent agent.sync
        hawser-agent agent.apply
        hawser-agent agent.healthy
          hawser-hub ingest
`)
	if len(commanded) == 0 || seen.by["0af7651916cd43dd8448eb211c80319c"] == nil {
		t.Error("the caller's trace is not gone on with")
	}
	seen.mu.Lock()
	if bytes.Contains(seen.raw.Bytes(), []byte(secret)) {
		t.Error("a span quotes a manifest")
	}
	seen.mu.Unlock()

	// What went wrong is found by the trace.
	problem := anonymous(t, r.Hub.URL()+"/api/v1/applications/none/sync", caller)
	if !strings.Contains(problem, `"traceId":"0af7651916cd43dd8448eb211c80319c"`) {
		t.Errorf("a problem does not tell its trace: %s", problem)
	}
	if log, err := os.ReadFile(r.Hub.LogPath()); err != nil || !bytes.Contains(log, []byte(`"trace_id":"0af7651916cd43dd8448eb211c80319c"`)) {
		t.Errorf("no line of the log tells the trace: %v", err)
	}

	told(within, t, hubMetrics,
		`hawser_app_info{app="shop",cluster="eu",health="Healthy",project="default",sync="Synced"} 1`, `hawser_cluster_connected{cluster="eu"} 1`,
		`hawser_git_to_healthy_seconds_count 2`, `hawser_sync_total{result="succeeded"} 1`, `hawser_webhook_requests_total{result="accepted"} 1`, `hawser_build_info{component="hub"`)
	told(within, t, agentMetrics,
		`hawser_agent_connected 1`, `hawser_agent_leading 1`, `hawser_agent_apps 1`, `hawser_agent_sync_total{result="succeeded",trigger="automated"} 2`,
		`hawser_agent_sync_total{result="succeeded",trigger="operation"} 1`, `hawser_agent_kube_requests_total{code="200",verb="apply"}`, `hawser_agent_rtt_seconds_count`,
		`hawser_build_info{component="agent"`)
	if status, body := get(t, "http://"+agentHealth+"/readyz?verbose"); status != http.StatusOK || !strings.Contains(body, `{"name":"lease","ok":true,"required":true}`) {
		t.Errorf("the agent's readiness: %d %s", status, body)
	}
	// An agent whose hub is away is ready: it works alone.
	if err := r.Hub.Stop(); err != nil {
		t.Fatal(err)
	}
	for {
		status, body := get(t, "http://"+agentHealth+"/readyz?verbose")
		if status != http.StatusOK {
			t.Fatalf("without a hub: %d %s", status, body)
		}
		if strings.Contains(body, `"code":"hub_away"`) {
			break
		}
		select {
		case <-within.Done():
			t.Fatalf("the agent does not tell that its hub is away: %s", body)
		case <-time.After(50 * time.Millisecond):
		}
	}
	if status, _ := get(t, "http://"+agentHealth+"/livez"); status != http.StatusOK {
		t.Errorf("livez: %d", status)
	}
}

// told scrapes until all of it is told: what a span has ended with may be counted a
// moment later.
func told(ctx context.Context, t *testing.T, address string, wanted ...string) {
	t.Helper()
	for {
		_, text := get(t, "http://"+address+"/metrics")
		missing := slices.DeleteFunc(slices.Clone(wanted), func(want string) bool { return strings.Contains(text, want) })
		if len(missing) == 0 {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("not told at %s: %q", address, missing)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// anonymous sends an empty object with a trace and without credentials.
func anonymous(t *testing.T, url, traceparent string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Traceparent", traceparent)
	// Nothing secret is sent.
	insecure := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	defer insecure.CloseIdleConnections()
	resp, err := insecure.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
