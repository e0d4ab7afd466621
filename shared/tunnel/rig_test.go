package tunnel

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	agentv1 "github.com/hawser-dev/hawser/proto/gen/hawser/agent/v1"
)

const patience = 20 * time.Second

// certificate is a new one for localhost, with the pool that trusts it.
func certificate(t testing.TB) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// line is a gRPC connection over TLS on the loopback with one tunnel on it.
type line struct {
	agent, hub *Conn
	// cut breaks the TCP connection.
	cut func()
	// ended is closed when the hub's handler has returned.
	ended chan struct{}
}

type accessServer struct {
	agentv1.UnimplementedAccessServer
	serve func(agentv1.Access_TunnelServer) error
}

func (s accessServer) Tunnel(stream agentv1.Access_TunnelServer) error { return s.serve(stream) }

// keptListener remembers the connections that it accepted.
type keptListener struct {
	net.Listener
	mu    sync.Mutex
	conns []net.Conn
}

func (l *keptListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		l.mu.Lock()
		l.conns = append(l.conns, c)
		l.mu.Unlock()
	}
	return c, err
}

func (l *keptListener) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.conns {
		c.Close()
	}
}

// newLine opens a tunnel as agent and hub do.
func newLine(t testing.TB) (*line, func()) {
	t.Helper()
	pair, roots := certificate(t)
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln := &keptListener{Listener: inner}
	l := &line{cut: ln.cut, ended: make(chan struct{})}
	hub := make(chan *Conn, 1)
	server := grpc.NewServer(
		grpc.Creds(credentials.NewTLS(&tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS13})),
		grpc.InitialWindowSize(4<<20), grpc.InitialConnWindowSize(4<<20), grpc.ReadBufferSize(0), grpc.WriteBufferSize(4<<10))
	agentv1.RegisterAccessServer(server, accessServer{serve: func(stream agentv1.Access_TunnelServer) error {
		defer close(l.ended)
		if id, err := ReceiveOpen(stream); err != nil || id != "the id" {
			t.Errorf("opened as %q, %v", id, err)
		}
		c := NewConn(stream, nil, ln.cut)
		hub <- c
		<-c.Sent()
		return nil
	}})
	go server.Serve(ln)
	cc, err := grpc.NewClient(inner.Addr().String(),
		grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{RootCAs: roots, ServerName: "localhost"})),
		grpc.WithInitialWindowSize(4<<20), grpc.WithInitialConnWindowSize(4<<20), grpc.WithReadBufferSize(0), grpc.WithWriteBufferSize(64<<10))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	stream, err := agentv1.NewAccessClient(cc).Tunnel(ctx, grpc.CallContentSubtype(ContentSubtype))
	if err != nil {
		t.Fatal(err)
	}
	if err := SendOpen(stream, "the id"); err != nil {
		t.Fatal(err)
	}
	l.agent = NewConn(stream, stream.CloseSend, cancel)
	select {
	case l.hub = <-hub:
	case <-time.After(patience):
		t.Fatal("the hub was not called")
	}
	return l, func() {
		l.agent.Close()
		l.hub.Close()
		select {
		case <-l.ended:
		case <-time.After(patience):
			t.Error("the hub's handler did not return")
		}
		cancel()
		cc.Close()
		server.Stop()
	}
}

// newSessions is a line with a session at each end.
func newSessions(t testing.TB, o Options) (hub, agent *Session, l *line) {
	t.Helper()
	l, stop := newLine(t)
	hub, err := NewOpener(l.hub, o)
	if err != nil {
		t.Fatal(err)
	}
	agent, err = NewAcceptor(l.agent, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		hub.Close(nil)
		agent.Close(nil)
		stop()
	})
	return hub, agent, l
}

// within is a context that ends a test that hangs.
func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// leaks fails the test when goroutines of this package or of yamux stay. It
// must be deferred first.
func leaks(t testing.TB) func() {
	return func() {
		t.Helper()
		deadline := time.Now().Add(patience)
		for {
			buf := make([]byte, 1<<20)
			buf = buf[:runtime.Stack(buf, true)]
			var left []string
			for _, g := range strings.Split(string(buf), "\n\n") {
				if (strings.Contains(g, "shared/tunnel.(*") || strings.Contains(g, "hashicorp/yamux.")) && !strings.Contains(g, "testing.tRunner") {
					left = append(left, g)
				}
			}
			if len(left) == 0 {
				return
			}
			if time.Now().After(deadline) {
				t.Errorf("%d goroutines are left:\n%s", len(left), strings.Join(left, "\n\n"))
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
}
