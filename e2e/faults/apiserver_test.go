package faults

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/hawser-dev/hawser/e2e/kill"
	"github.com/hawser-dev/hawser/e2e/testbed"
	"github.com/hawser-dev/hawser/shared/model"
)

// moody is an API server that refuses a part of the requests, while it is in the
// mood.
type moody struct {
	server *httptest.Server
	real   http.Handler

	mu   sync.Mutex
	rand *rand.Rand
	bad  bool
	// seen are the requests while it was bad, refused those that it refused.
	seen    []asked
	refused int
}

type asked struct {
	at     time.Time
	method string
	path   string
	status int // that it was refused with, 0 for none
}

// moodyFront stands in front of an API server for whoever has the kubeconfig; the
// answer of through goes to the front instead.
func moodyFront(t *testing.T, seed uint64) (m *moody, through func([]byte) []byte) {
	m = &moody{rand: rand.New(rand.NewPCG(seed, 0))}
	through = func(kubeconfig []byte) []byte {
		cfg, err := testbed.RESTConfig(kubeconfig)
		if err != nil {
			t.Fatal(err)
		}
		target, err := url.Parse(cfg.Host)
		if err != nil {
			t.Fatal(err)
		}
		transport, err := rest.TransportFor(cfg)
		if err != nil {
			t.Fatal(err)
		}
		m.real = &httputil.ReverseProxy{
			Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target) },
			Transport:     transport,
			FlushInterval: -1, // watches
		}
		m.server = httptest.NewServer(m)
		t.Cleanup(func() {
			m.server.CloseClientConnections() // watches never end by themselves
			m.server.Close()
		})
		front := clientcmdapi.NewConfig()
		front.Clusters["front"] = &clientcmdapi.Cluster{Server: m.server.URL}
		front.Contexts["front"] = &clientcmdapi.Context{Cluster: "front"}
		front.CurrentContext = "front"
		out, err := clientcmd.Write(*front)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	return m, through
}

func (m *moody) mood(bad bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.bad = bad
}

// refuse draws a status for a request, 0 to let it through.
func (m *moody) refuse(req *http.Request) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.bad {
		return 0
	}
	status := 0
	if m.rand.IntN(100) < 30 {
		status = []int{http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusServiceUnavailable}[m.rand.IntN(3)]
		m.refused++
	}
	m.seen = append(m.seen, asked{time.Now(), req.Method, req.URL.RequestURI(), status})
	return status
}

func (m *moody) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	status := m.refuse(req)
	if status == 0 {
		m.real.ServeHTTP(w, req)
		return
	}
	reason := map[int]string{429: "TooManyRequests", 500: "InternalError", 503: "ServiceUnavailable"}[status]
	if status == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", "1")
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":%q,"code":%d,"message":"it is not in the mood"}`, reason, status)
}

func (m *moody) all() []asked {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.seen)
}

func isWrite(a asked) bool { return a.method != http.MethodGet }

// A third of all requests refused, with 429, 500 and 503, makes syncs, heals and
// prunes late, and nothing else: nothing is deleted that should stay, nobody
// hammers, and what the server asked to wait for is waited for.
func TestAnAPIServerThatRefusesAThirdMakesThingsLateAndNothingElse(t *testing.T) {
	t.Parallel()
	m, through := moodyFront(t, 1)
	s := launch(t, "moody", through)
	app := s.name + "-app"
	commit := s.commit(app, configMap("a", "0"), configMap("b", "0"), configMap("old", "0"))
	s.deploy(app, automated)
	s.settled(app, commit)

	m.mood(true)
	began := time.Now()
	for n := range 5 {
		commit = s.commit(app, configMap("a", fmt.Sprint(n+1)), configMap("b", "0"), configMap(fmt.Sprintf("new-%d", n), "0"))
		s.drift(app, "b", "mutiny")
		op := s.sync(app, model.OperationSpec{Prune: true})
		if end := s.ended(op); end.Phase == model.PhaseFailed && !strings.Contains(end.Message, "API server") {
			t.Errorf("operation %d ended as %s: %s", n, end.Phase, end.Message)
		}
	}
	lasted := time.Since(began)
	s.eventually("the cluster says that its API server is too busy", 30*time.Second, func() bool {
		out, err := s.world.CLI(s.ctx, "cluster", "get", s.Cluster)
		return err == nil && strings.Contains(string(out), "api_throttled")
	})
	m.mood(false)
	s.settled(app, commit)
	s.eventually("b is healed", 30*time.Second, func() bool { return s.value(app, "b") == "0" })

	seen := m.all()
	if m.refused < 10 {
		t.Fatalf("only %d of %d requests were refused, which shows nothing", m.refused, len(seen))
	}
	// A refused object may be tried again at once a few times; a storm has hundreds.
	if limit := 60 + 30*int(lasted/time.Second); len(seen) > limit {
		t.Errorf("%d requests in %s, of which %d were refused", len(seen), lasted.Round(time.Second), m.refused)
	}
	// Lists are what a server in trouble can bear least.
	lists := map[string]int{}
	for _, a := range seen {
		if a.method == http.MethodGet && strings.Contains(a.path, "watch=") {
			path, _, _ := strings.Cut(a.path, "?")
			lists[path]++
		}
	}
	for path, n := range lists {
		if limit := 5 + int(lasted/time.Second); n > limit {
			t.Errorf("%s was opened %d times in %s", path, n, lasted.Round(time.Second))
		}
	}
	// After a 429 no write begins before the second that it asked for is over,
	// except those that were on their way.
	for i, a := range seen {
		if a.status != http.StatusTooManyRequests || !isWrite(a) || strings.Contains(a.path, "-agent/") {
			continue
		}
		early := 0
		for _, b := range seen[i+1:] {
			if isWrite(b) && !strings.Contains(b.path, "-agent/") && b.at.Sub(a.at) > 100*time.Millisecond && b.at.Sub(a.at) < 900*time.Millisecond {
				early++
			}
		}
		if early > 0 {
			t.Errorf("%d writes came in the second after %s %s was answered with 429 and Retry-After: 1", early, a.method, a.path)
		}
	}
	for _, r := range by(s.user, s.witnessed(), func(r kill.Request) bool { return isDelete(r) && r.Key.Namespace == app }) {
		if r.Key.Name != "old" && !strings.HasPrefix(r.Key.Name, "new-") {
			t.Errorf("the agent deleted %s", r.Key)
		}
	}
}
