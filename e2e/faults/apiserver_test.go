package faults

import (
	"fmt"
	"io"
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
	// read is when whoever asked had read a 429 to the end, zero when that is not known.
	read time.Time
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

// refuse draws a status for a request, 0 to let it through. n is its number in seen.
func (m *moody) refuse(req *http.Request) (status, n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.bad {
		return 0, 0
	}
	if m.rand.IntN(100) < 30 {
		status = []int{http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusServiceUnavailable}[m.rand.IntN(3)]
		m.refused++
	}
	m.seen = append(m.seen, asked{at: time.Now(), method: req.Method, path: req.URL.RequestURI(), status: status})
	return status, len(m.seen) - 1
}

// patiently answers 429 on a connection that ends with the answer, and waits until the
// other end has read it: that closes it then.
func (m *moody) patiently(w http.ResponseWriter, req *http.Request, n int, body string) error {
	if _, err := io.Copy(io.Discard, req.Body); err != nil {
		return err
	}
	conn, in, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := fmt.Fprintf(conn, "HTTP/1.1 429 Too Many Requests\r\nContent-Type: application/json\r\nRetry-After: 1\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", len(body), body); err != nil {
		return err
	}
	_ = conn.SetReadDeadline(time.Now().Add(retryAfter))
	if _, err := in.ReadByte(); err != io.EOF {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.seen[n].read = time.Now()
	return nil
}

func (m *moody) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	status, n := m.refuse(req)
	if status == 0 {
		m.real.ServeHTTP(w, req)
		return
	}
	reason := map[int]string{429: "TooManyRequests", 500: "InternalError", 503: "ServiceUnavailable"}[status]
	body := fmt.Sprintf(`{"kind":"Status","apiVersion":"v1","status":"Failure","reason":%q,"code":%d,"message":"it is not in the mood"}`, reason, status)
	if status == http.StatusTooManyRequests {
		_ = m.patiently(w, req, n, body) // then it is not known when it was read
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body) // whoever asked may be gone
}

func (m *moody) all() []asked {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.seen)
}

func isWrite(a asked) bool { return a.method != http.MethodGet }

// governed reports whether a request is a write that the agent's governor lets out:
// those of the agent's own journal are not.
func governed(a asked) bool { return isWrite(a) && !strings.Contains(a.path, "-agent/") }

// retryAfter is what a 429 asks for.
const retryAfter = time.Second

// onTheirWay is how long after a 429 was read writes may come that were begun before
// that.
const onTheirWay = 100 * time.Millisecond

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
	// except those that were on their way when it was read. What was refused is not
	// asked again, however busy the machine is.
	read := 0
	for i, a := range seen {
		if a.status != http.StatusTooManyRequests || !governed(a) || a.read.IsZero() {
			continue
		}
		read++
		early := 0
		for _, b := range seen[i+1:] {
			again := b.method == a.method && b.path == a.path
			if governed(b) && b.at.Sub(a.at) < retryAfter && (again || b.at.Sub(a.read) > onTheirWay) {
				early++
			}
		}
		if early > 0 {
			t.Errorf("%d writes came in the second after %s %s was answered with 429 and Retry-After: 1", early, a.method, a.path)
		}
	}
	if read == 0 {
		t.Error("no write was answered with 429, or none read it, which shows nothing")
	}
	t.Logf("%d writes read a 429", read)
	for _, r := range by(s.user, s.witnessed(), func(r kill.Request) bool { return isDelete(r) && r.Key.Namespace == app }) {
		if r.Key.Name != "old" && !strings.HasPrefix(r.Key.Name, "new-") {
			t.Errorf("the agent deleted %s", r.Key)
		}
	}
}
