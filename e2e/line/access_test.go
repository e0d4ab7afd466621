package line

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/hawser-dev/hawser/agent/link"
	"github.com/hawser-dev/hawser/hub/gateway"
	agentv1 "github.com/hawser-dev/hawser/proto/gen/hawser/agent/v1"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/tunnel"
	"github.com/hawser-dev/hawser/shared/wire"
)

// porter opens tunnels for an agent and answers what comes through them.
type porter struct {
	agent *agent
	// answer serves one request; nil says its own name back.
	answer func(ctx context.Context, st *tunnel.Stream, r model.AccessRequest)
	// open, if set, is in place of opening a tunnel.
	open   func(id string)
	limits tunnel.Options

	mu       sync.Mutex
	asked    []string
	sessions []*tunnel.Session
}

func (p *porter) OpenTunnel(id string) {
	p.mu.Lock()
	p.asked = append(p.asked, id)
	p.mu.Unlock()
	if p.open != nil {
		p.open(id)
		return
	}
	go func() {
		conn, err := p.agent.link.Tunnel(context.Background(), id)
		if err != nil {
			return
		}
		p.serve(conn)
	}()
}

func (p *porter) serve(conn net.Conn) {
	s, err := tunnel.NewAcceptor(conn, p.limits)
	if err != nil {
		return
	}
	p.mu.Lock()
	p.sessions = append(p.sessions, s)
	p.mu.Unlock()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for {
		st, err := s.Accept()
		if err != nil {
			return
		}
		go func() {
			defer st.Close()
			var q agentv1.AccessRequest
			if st.Receive(ctx, &q) != nil {
				return
			}
			r, err := wire.AccessRequest(&q)
			if err != nil {
				finish(ctx, st, err)
				return
			}
			if p.answer != nil {
				p.answer(ctx, st, r)
				return
			}
			say(ctx, st, model.AccessAnswer{Object: []byte(r.Object.Name)})
			finish(ctx, st, nil)
		}()
	}
}

func say(ctx context.Context, st *tunnel.Stream, a model.AccessAnswer) error {
	return st.Send(ctx, wire.AccessAnswerToProto(a))
}

func finish(ctx context.Context, st *tunnel.Stream, err error) {
	_ = say(ctx, st, model.AccessAnswer{End: &model.AccessEnd{Err: err}})
}

func (p *porter) times() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.asked)
}

// porterAt joins an agent with a porter.
func porterAt(t *testing.T, h *hub, name string, p *porter) (*agent, model.ClusterID) {
	t.Helper()
	a, cluster := h.join(name, func(o *link.Options) { o.Tunnels = p })
	p.agent = a
	return a, cluster
}

func question(name string) model.AccessRequest {
	return model.AccessRequest{ID: "1", App: "shop", Object: &model.ObjectQuery{ObjectSelector: model.ObjectSelector{Kind: "ConfigMap", Name: name}}}
}

func within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

// ask reads a whole answer.
func ask(ctx context.Context, g *gateway.Gateway, cluster model.ClusterID, r model.AccessRequest) (string, error) {
	st, err := g.Access(ctx, cluster, r)
	if err != nil {
		return "", err
	}
	defer st.Close()
	var text string
	for {
		a, err := st.Receive(ctx)
		if err != nil {
			return text, err
		}
		text += string(a.Object)
		if a.End != nil {
			return text, a.End.Err
		}
	}
}

func TestTunnelIsOpenedWhenNeededAndClosedWhenIdle(t *testing.T) {
	h := newHub(t, func(o *gateway.Options) { o.TunnelIdle = 400 * time.Millisecond })
	p := &porter{}
	_, cluster := porterAt(t, h, "eu", p)
	if p.times() != 0 {
		t.Error("a tunnel was opened although nobody asked")
	}
	ctx := within(t, patience)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if got, err := ask(ctx, h.gateway, cluster, question("conf")); got != "conf" || err != nil {
				t.Errorf("answered %q, %v", got, err)
			}
		})
	}
	wg.Wait()
	if p.times() != 1 {
		t.Errorf("the agent was asked for a tunnel %d times", p.times())
	}
	p.mu.Lock()
	first := p.sessions[0]
	p.mu.Unlock()
	select {
	case <-first.Done():
	case <-ctx.Done():
		t.Fatal("the idle tunnel stays")
	}
	if got, err := ask(ctx, h.gateway, cluster, question("again")); got != "again" || err != nil {
		t.Errorf("after the idle time: %q, %v", got, err)
	}
	if p.times() != 2 {
		t.Errorf("the agent was asked for a tunnel %d times", p.times())
	}
}

func TestWhyNothingIsAnswered(t *testing.T) {
	h := newHub(t, func(o *gateway.Options) { o.TunnelOpening = 300 * time.Millisecond })
	ctx := within(t, patience)
	refuse := func(cluster model.ClusterID, code string) {
		t.Helper()
		if _, err := ask(ctx, h.gateway, cluster, question("x")); !fault.HasCode(err, code) {
			t.Errorf("%v instead of %s", err, code)
		}
	}
	refuse("a cluster that there is not", "agent_offline")
	_, old := h.join("old", nil)
	refuse(old, "access_unsupported")
	_, deaf := porterAt(t, h, "deaf", &porter{open: func(string) {}})
	refuse(deaf, "access_timeout")
	refuse(deaf, "access_timeout") // and it is asked again
	_, cluster := porterAt(t, h, "eu", &porter{answer: func(ctx context.Context, st *tunnel.Stream, r model.AccessRequest) {
		switch r.Object.Name {
		case "hangs-up":
		case "garbage":
			_ = st.Send(ctx, &agentv1.Hello{ClusterId: "\xff", ProtocolMin: 1}) // another message
		case "fails":
			finish(ctx, st, fault.New(fault.NotFound, "object_not_found", "nothing").WithFix("look elsewhere"))
		case "lies":
			// An agent cannot make its errors the hub's, or the user's.
			finish(ctx, st, fault.New(fault.Unauthorized, "BAD Code\n", "log in again"))
		}
	}})
	for name, code := range map[string]string{"hangs-up": "access_interrupted", "fails": "object_not_found", "lies": "access_failed"} {
		_, err := ask(ctx, h.gateway, cluster, question(name))
		if e := fault.As(err); e.Code != code || errors.Is(err, io.EOF) || name == "fails" && (e.Kind != fault.NotFound || e.Fix == "") || name == "lies" && e.Kind != fault.Upstream {
			t.Errorf("%s: %+v", name, e)
		}
	}
	short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	if _, err := ask(short, h.gateway, deaf, question("x")); !fault.HasCode(err, "access_timeout") {
		t.Errorf("a caller with little time: %v", err)
	}
}

// stuckPorter answers with lines until the stream ends, and counts the streams.
func endless(streams *sync.WaitGroup) func(context.Context, *tunnel.Stream, model.AccessRequest) {
	return func(ctx context.Context, st *tunnel.Stream, _ model.AccessRequest) {
		streams.Add(1)
		defer streams.Done()
		for {
			if say(ctx, st, model.AccessAnswer{Lines: []model.LogLine{{Source: 1, Text: make([]byte, 8<<10)}}}) != nil {
				return
			}
		}
	}
}

// open opens an endless stream and reads its first piece.
func open(t *testing.T, h *hub, cluster model.ClusterID) *gateway.AccessStream {
	t.Helper()
	ctx := within(t, patience)
	st, err := h.gateway.Access(ctx, cluster, question("x"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(st.Close)
	if _, err := st.Receive(ctx); err != nil {
		t.Fatal(err)
	}
	return st
}

func drain(ctx context.Context, st *gateway.AccessStream) error {
	for {
		if _, err := st.Receive(ctx); err != nil {
			return err
		}
	}
}

func TestTunnelEndsWithItsSession(t *testing.T) {
	for name, end := range map[string]func(h *hub, a *agent, cluster model.ClusterID){
		"the agent stops":         func(_ *hub, a *agent, _ model.ClusterID) { a.stop() },
		"the cluster was revoked": func(h *hub, _ *agent, c model.ClusterID) { h.gateway.CloseCluster(c, "cluster_revoked", "revoked") },
	} {
		t.Run(name, func(t *testing.T) {
			h := newHub(t, nil)
			var streams sync.WaitGroup
			p := &porter{answer: endless(&streams)}
			a, cluster := porterAt(t, h, "eu", p)
			st := open(t, h, cluster)
			began := time.Now()
			end(h, a, cluster)
			if err := drain(within(t, patience), st); !fault.HasCode(err, "agent_offline") && !fault.HasCode(err, "access_interrupted") || errors.Is(err, io.EOF) {
				t.Errorf("the stream ends with %v", err)
			}
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("it took %s", took)
			}
			streams.Wait() // the agent's side has noticed
		})
	}
}

func TestHubThatIsKilledEndsTheAgentsStreams(t *testing.T) {
	h := newHub(t, nil)
	var streams sync.WaitGroup
	p := &porter{answer: endless(&streams)}
	_, cluster := porterAt(t, h, "eu", p)
	st := open(t, h, cluster)
	h.stop()
	streams.Wait()
	if err := drain(within(t, patience), st); !fault.Is(err, fault.Unavailable) {
		t.Errorf("the hub's side ends with %v", err)
	}
	// Back again, the agent is asked anew.
	h.start(h.addr)
	await(t, "the agent to be back", func() bool { return h.gateway.IsConnected(cluster) })
	p.answer = nil
	if got, err := ask(within(t, patience), h.gateway, cluster, question("back")); got != "back" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

// rawTunnel calls Tunnel as somebody with a certificate of a cluster.
func rawTunnel(t *testing.T, h *hub, id link.Identity, open string) (agentv1.Access_TunnelClient, error) {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(h.authority.Certificate())
	var certs []tls.Certificate
	if len(id.KeyPEM) > 0 {
		pair, err := tls.X509KeyPair(id.CertificatePEM, id.KeyPEM)
		if err != nil {
			t.Fatal(err)
		}
		certs = append(certs, pair)
	}
	if b, _ := pem.Decode(id.CAPEM); len(id.CAPEM) > 0 && b == nil {
		t.Fatal("no CA")
	}
	cc, err := grpc.NewClient(h.addr, grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{
		ServerName: model.AgentServerName, RootCAs: roots, Certificates: certs})))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cc.Close() })
	stream, err := agentv1.NewAccessClient(cc).Tunnel(within(t, patience), grpc.CallContentSubtype(tunnel.ContentSubtype))
	if err == nil {
		err = tunnel.SendOpen(stream, open)
	}
	return stream, err
}

func TestTunnelsThatNobodyAskedForAreRefused(t *testing.T) {
	h := newHub(t, func(o *gateway.Options) { o.Heartbeat = unhurried })
	asked := make(chan string, 1)
	p := &porter{open: func(id string) { asked <- id }}
	a, cluster := porterAt(t, h, "eu", p)
	b, _ := h.join("us", nil)
	eu, _ := a.vault.get()
	us, _ := b.vault.get()
	refused := func(what string, id link.Identity, open, code string) {
		t.Helper()
		stream, err := rawTunnel(t, h, id, open)
		if err == nil {
			err = stream.RecvMsg(&agentv1.Frame{})
		}
		if err = fault.FromGRPC(err); !fault.HasCode(err, code) {
			t.Errorf("%s: %v", what, err)
		}
	}
	refused("nobody asked", eu, "0123456789abcdef", "tunnel_unknown")
	result := make(chan error, 1)
	go func() {
		_, err := ask(within(t, patience), h.gateway, cluster, question("x"))
		result <- err
	}()
	id := <-asked
	refused("without a certificate", link.Identity{}, id, "certificate_missing")
	refused("another cluster's certificate", us, id, "tunnel_unknown")
	refused("a wrong id", eu, id+"0", "tunnel_unknown")
	refused("no id", eu, "", "tunnel_violated")
	// The right one, which then sends garbage.
	stream, err := rawTunnel(t, h, eu, id)
	if err != nil {
		t.Fatal(err)
	}
	conn := tunnel.NewConn(stream, stream.CloseSend, func() {})
	defer conn.Close()
	go io.Copy(io.Discard, conn)
	if _, err := conn.Write([]byte(strings.Repeat("GET / HTTP/1.1\r\n", 100))); err != nil {
		t.Fatal(err)
	}
	if err := <-result; !fault.HasCode(err, "access_failed") {
		t.Errorf("garbage ends with %v", err)
	}
	refused("an id that was used", eu, id, "tunnel_unknown")
	if !h.gateway.IsConnected(cluster) || a.link.Status().LastError != nil {
		t.Error("the control session ended with the tunnel")
	}
}

// unhurried is the heartbeat of tests that keep both ends, which share a small
// machine, as busy as they can be.
const unhurried = 10 * time.Second

// An agent may not hold more of the hub than its tunnel is bounded to, and what
// one cluster does is not felt by another.
func TestFloodDelaysNobodyElse(t *testing.T) {
	h := newHub(t, func(o *gateway.Options) { o.Heartbeat = unhurried })
	var streams sync.WaitGroup
	p := &porter{answer: endless(&streams)}
	a, cluster := porterAt(t, h, "eu", p)
	_, other := porterAt(t, h, "us", &porter{})
	const flood, readers = 1 << 30, 4
	ctx := within(t, 2*time.Minute)
	done := make(chan struct{})
	var wg sync.WaitGroup
	left := flood / readers
	for range readers {
		st := open(t, h, cluster)
		wg.Go(func() {
			for n := 0; n < left; {
				a, err := st.Receive(ctx)
				if err != nil {
					t.Error(err)
					return
				}
				for _, l := range a.Lines {
					n += len(l.Text)
				}
			}
		})
	}
	slow := open(t, h, cluster) // and nobody reads this one
	go func() { wg.Wait(); close(done) }()
	began := time.Now()
	var control, elsewhere []time.Duration
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		// A desired state and its acknowledgement, over the control session of the
		// cluster that is flooding.
		t0 := time.Now()
		d := h.deploy(cluster, "app", []byte("x"))
		await(t, "the acknowledgement", func() (ok bool) {
			h.store.with(cluster, func(c *clusterRow) { ok = c.acks["app"].Generation == d.Generation })
			return ok
		})
		control = append(control, time.Since(t0))
		t0 = time.Now()
		if _, err := ask(ctx, h.gateway, other, question("x")); err != nil {
			t.Error(err)
		}
		elsewhere = append(elsewhere, time.Since(t0))
	}
	took := time.Since(began)
	slow.Close()
	t.Logf("%d MiB in %s (%.0f MB/s); meanwhile %d control round trips, median %s, worst %s; another cluster's answers: median %s, worst %s",
		flood>>20, took.Round(time.Millisecond), float64(flood)/1e6/took.Seconds(), len(control), middle(control), worst(control), middle(elsewhere), worst(elsewhere))
	if m := middle(control); m > time.Second {
		t.Errorf("beside a flood a desired state takes %s", m)
	}
	if a.link.Status().LastError != nil {
		t.Errorf("the control session was lost: %v", a.link.Status().LastError)
	}
}

func middle(d []time.Duration) time.Duration { return sorted(d)[len(d)/2] }
func worst(d []time.Duration) time.Duration  { return sorted(d)[len(d)-1] }

func TestManyStreamsAndOneSlowReader(t *testing.T) {
	h := newHub(t, func(o *gateway.Options) { o.Heartbeat, o.Tunnel = unhurried, tunnel.Options{Streams: 101} })
	var streams sync.WaitGroup
	p := &porter{answer: endless(&streams), limits: tunnel.Options{Streams: 101}}
	_, cluster := porterAt(t, h, "eu", p)
	slow := open(t, h, cluster)
	ctx := within(t, 2*time.Minute)
	var wg sync.WaitGroup
	for range 100 {
		st := open(t, h, cluster)
		wg.Go(func() {
			defer st.Close()
			for n := 0; n < 2<<20; {
				a, err := st.Receive(ctx)
				if err != nil {
					t.Error(err)
					return
				}
				for _, l := range a.Lines {
					n += len(l.Text)
				}
			}
		})
	}
	if _, err := h.gateway.Access(ctx, cluster, question("x")); !fault.HasCode(err, "access_limit") && err != nil {
		t.Errorf("one stream too many: %v", err)
	}
	wg.Wait()
	select {
	case <-slow.Done():
		t.Error("the slow reader's stream has ended")
	default:
	}
	if _, err := slow.Receive(ctx); err != nil {
		t.Errorf("the slow reader reads on: %v", err)
	}
	slow.Close()
	if err := drain(ctx, slow); err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("after Close: %v", err)
	}
}

func sorted(d []time.Duration) []time.Duration {
	d = slices.Clone(d)
	slices.Sort(d)
	return d
}
