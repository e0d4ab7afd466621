package hostile

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"

	"github.com/hawser-dev/hawser/e2e/dbtest"
	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/hub/gateway"
	"github.com/hawser-dev/hawser/hub/gateway/ca"
	"github.com/hawser-dev/hawser/hub/ingest"
	"github.com/hawser-dev/hawser/hub/store"
	"github.com/hawser-dev/hawser/hub/vault"
	agentv1 "github.com/hawser-dev/hawser/proto/gen/hawser/agent/v1"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

const patience = 20 * time.Second

func TestMain(m *testing.M) { os.Exit(dbtest.Run(m)) }

func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// await polls until ok, and fails the test when it takes too long.
func await(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited %s in vain for: %s", patience, what)
		}
	}
}

// logs collects what the hub logs.
type logs struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logs) line(parts ...string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range strings.Split(l.b.String(), "\n") {
		if !slices.ContainsFunc(parts, func(p string) bool { return !strings.Contains(line, p) }) {
			return true
		}
	}
	return false
}

// refused counts by reason.
type refused struct {
	mu     sync.Mutex
	counts map[string]int
}

func (r *refused) SessionOpened(bool)      {}
func (r *refused) RoundTrip(time.Duration) {}
func (r *refused) Refused(reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counts[reason]++
}

func (r *refused) of(reason string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.counts[reason]
}

// world is a hub's end of the line as hub/app puts it together.
type world struct {
	t         testing.TB
	store     *store.Store
	authority *ca.Authority
	gateway   *gateway.Gateway
	ingest    *ingest.Ingest
	address   string
	logs      *logs
	refused   *refused
	ahead     atomic.Int64 // of the hub's clock
	mux       gateway.MuxOptions
	options   gateway.Options
	strangers func() int
	stop      func()
}

func (w *world) now() time.Time { return time.Now().Add(time.Duration(w.ahead.Load())) }

// newWorld starts a hub; changes may be nil.
func newWorld(t testing.TB, change func(*gateway.Options, *gateway.MuxOptions)) *world {
	t.Helper()
	w := &world{t: t, logs: &logs{}, refused: &refused{counts: map[string]int{}}}
	key := make([]byte, vault.KeySize)
	rand.Read(key)
	box, err := vault.New(key)
	must(t, err)
	w.store, err = store.Open(t.Context(), dbtest.Postgres(t), box, store.Options{Now: w.now})
	must(t, err)
	t.Cleanup(w.store.Close)
	w.authority, err = ca.Load(t.Context(), w.store, ca.Options{Now: w.now})
	must(t, err)
	_, err = w.store.InitHub(t.Context(), w.authority.SignIncarnation)
	must(t, err)
	log := slog.New(slog.NewTextHandler(w.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	w.options = gateway.Options{
		Store: w.store, Authority: w.authority, Now: w.now, Version: "test", Log: log, Observer: w.refused,
		SessionBurst: 1000, SessionRefill: time.Millisecond,
	}
	w.mux = gateway.MuxOptions{Agents: w.authority.AgentServer().Get, Now: w.now, Log: log, Refused: w.refused.Refused}
	if change != nil {
		change(&w.options, &w.mux)
	}
	w.start("127.0.0.1:0")
	t.Cleanup(func() {
		w.stop()
		if t.Failed() {
			w.logs.mu.Lock()
			defer w.logs.mu.Unlock()
			text := w.logs.b.String()
			t.Logf("the hub's log:\n%s", text[max(0, len(text)-8<<10):])
		}
	})
	return w
}

// start runs the hub's end; after stop it is another hub on the same database.
func (w *world) start(address string) {
	w.t.Helper()
	ln, err := net.Listen("tcp", address)
	must(w.t, err)
	w.address = ln.Addr().String()
	w.ingest = ingest.New(ingest.Options{Store: w.store, Log: w.options.Log, Acknowledge: func(c model.ClusterID, e model.Epoch, seq uint64) {
		w.gateway.ReportsStored(c, e, seq)
	}})
	w.options.Ingest = w.ingest
	w.gateway = gateway.New(w.options)
	g, in := w.gateway, w.ingest
	mux := gateway.NewMux(ln, w.mux)
	w.strangers = mux.Strangers
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { mux.Serve(ctx) })
	wg.Go(func() { g.Serve(ctx, mux.Agents()) })
	wg.Go(func() { in.Run(ctx) })
	var once sync.Once
	w.stop = func() {
		once.Do(func() {
			cancel()
			killed, kill := context.WithCancel(context.Background())
			kill()
			g.Shutdown(killed)
			wg.Wait()
		})
	}
}

func (w *world) roots() *x509.CertPool {
	roots := x509.NewCertPool()
	roots.AddCert(w.authority.Certificate())
	return roots
}

// stranger is an agent without an identity.
func (w *world) stranger() *Agent { return &Agent{Address: w.address, Roots: w.roots()} }

// token makes an enrolment token.
func (w *world) token(name string, life time.Duration) string {
	w.t.Helper()
	token, hash, err := gateway.NewEnrolmentToken()
	must(w.t, err)
	must(w.t, w.store.CreateEnrolmentToken(w.t.Context(), fleet.EnrolmentToken{ID: uuid.NewString(), Hash: hash, Cluster: name, CreatedAt: w.now(), ExpiresAt: w.now().Add(life)}))
	return token
}

// application creates one in a cluster.
func (w *world) application(name string, cluster model.ClusterID) model.AppUID {
	w.t.Helper()
	app, _, err := w.store.UpsertApplication(w.t.Context(), fleet.App{Name: name, Cluster: cluster, Application: model.Application{
		Metadata: model.ObjectMeta{Name: name}, Spec: model.ApplicationSpec{Project: "default"}}})
	must(w.t, err)
	return app.UID
}

// health waits until the hub shows an application's health.
func (w *world) health(app string, want model.Health) {
	w.t.Helper()
	await(w.t, app+" is "+string(want), func() bool {
		v, err := w.store.AppView(w.t.Context(), app)
		return err == nil && v.Health.Status == want
	})
}

// call opens a gRPC connection that ends with the test.
func call(t testing.TB, a *Agent, serverName string, opts ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	cc, err := a.GRPC(serverName, opts...)
	must(t, err)
	t.Cleanup(func() { cc.Close() })
	return cc
}

// enrol redeems a token with a request.
func (w *world) enrol(token, name string, csr []byte) (*agentv1.EnrolResponse, error) {
	w.t.Helper()
	r, err := agentv1.NewEnrolmentClient(call(w.t, w.stranger(), model.EnrolServerName)).Enrol(within(w.t), &agentv1.EnrolRequest{Token: token, ClusterName: name, CsrPem: csr})
	return r, fault.FromGRPC(err)
}

// join enrols a cluster and answers its agent.
func (w *world) join(name string) (*Agent, model.ClusterID) {
	w.t.Helper()
	key, err := Key()
	must(w.t, err)
	csr, err := CSR(key, nil)
	must(w.t, err)
	r, err := w.enrol(w.token(name, time.Hour), name, csr)
	must(w.t, err)
	pair, err := Pair(r.CertificatePem, key)
	must(w.t, err)
	a := w.stranger()
	a.Certificate = pair
	return a, model.ClusterID(r.ClusterId)
}

// session is a conversation with the hub.
type session struct {
	t       testing.TB
	stream  agentv1.Control_SessionClient
	epoch   *agentv1.Epoch
	cluster model.ClusterID
}

// begin sends a hello; the session may be refused.
func begin(t testing.TB, cc *grpc.ClientConn, hello *agentv1.AgentMessage) *session {
	t.Helper()
	stream, err := agentv1.NewControlClient(cc).Session(within(t))
	must(t, err)
	must(t, ignoreEOF(stream.Send(hello)))
	return &session{t: t, stream: stream, cluster: model.ClusterID(hello.GetHello().GetClusterId())}
}

func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) { // why is in what is received
		return nil
	}
	return err
}

// open begins a session and waits until it is in sync.
func open(t testing.TB, cc *grpc.ClientConn, cluster model.ClusterID, change ...func(*agentv1.Hello)) *session {
	t.Helper()
	hello := Hello(cluster)
	for _, c := range change {
		c(hello.GetHello())
	}
	s := begin(t, cc, hello)
	for {
		m, err := s.stream.Recv()
		if err != nil {
			t.Fatalf("the session was not opened: %v", fault.FromGRPC(err))
		}
		if m.GetWelcome() != nil {
			s.epoch = m.GetWelcome().Epoch
		}
		if m.GetInSync() != nil {
			return s
		}
	}
}

// say sends a message in the session's epoch.
func (s *session) say(m *agentv1.AgentMessage) error {
	m.Epoch = s.epoch
	return ignoreEOF(s.stream.Send(m))
}

// end waits until the hub has ended the session, and answers why.
func (s *session) end() error {
	for {
		if _, err := s.stream.Recv(); err != nil {
			return fault.FromGRPC(err)
		}
	}
}

// lives fails the test unless something that the hub sends still arrives.
func (w *world) lives(s *session) {
	s.t.Helper()
	w.gateway.Refresh(s.cluster, "are-you-there")
	for {
		m, err := s.stream.Recv()
		if err != nil {
			s.t.Fatalf("the session has ended: %v", fault.FromGRPC(err))
		}
		if m.GetRefresh() != nil {
			return
		}
	}
}

// cleaned makes a name of a cluster of a name of a test.
func cleaned(s string) string { return strings.NewReplacer(" ", "-", ",", "").Replace(s) }
