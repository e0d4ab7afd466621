package gateway

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// CertificateSource has the shape of tls.Config.GetCertificate.
type CertificateSource func(*tls.ClientHelloInfo) (*tls.Certificate, error)

// MuxOptions of the one port.
type MuxOptions struct {
	// Agents is the certificate for the fixed agent server names, signed by
	// the hub's CA.
	Agents CertificateSource
	// Web is the certificate for every other name; nil refuses other names, as
	// on a port that is for agents only.
	Web CertificateSource
	// MaxHandshakes whose costly part, ours, runs at once; default 64. The
	// others take their turn, so that a fleet that comes back at once gets in
	// one after the other instead of timing out together.
	MaxHandshakes int
	// MaxPending connections whose handshake is not complete; default 4096.
	// Further ones wait in the kernel's queue.
	MaxPending int
	// HandshakeTimeout; default 10 s.
	HandshakeTimeout time.Duration
	Now              func() time.Time
	Log              *slog.Logger
}

// Mux shares one port between agents and browsers: it completes the TLS
// handshake and hands the connection on by the server name that was asked for.
type Mux struct {
	ln      net.Listener
	opts    MuxOptions
	pending chan struct{}
	turns   chan struct{}
	agent   *handed
	web     *handed

	agentConfig *tls.Config
	webConfig   *tls.Config
}

// NewMux takes over ln. Serve must be called for anything to be accepted.
func NewMux(ln net.Listener, opts MuxOptions) *Mux {
	if opts.MaxHandshakes <= 0 {
		opts.MaxHandshakes = 64
	}
	if opts.MaxPending <= 0 {
		opts.MaxPending = 4096
	}
	if opts.HandshakeTimeout <= 0 {
		opts.HandshakeTimeout = 10 * time.Second
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	m := &Mux{
		ln:      ln,
		opts:    opts,
		pending: make(chan struct{}, opts.MaxPending),
		turns:   make(chan struct{}, opts.MaxHandshakes),
		agent:   newHanded(ln.Addr()),
		web:     newHanded(ln.Addr()),
		// A client certificate is asked for and not judged here: a refusal in
		// the handshake reaches the agent as a bare TLS alert, one in the call
		// as a named error. Nothing is served before the call is judged.
		agentConfig: &tls.Config{
			MinVersion:             tls.VersionTLS13,
			GetCertificate:         opts.Agents,
			ClientAuth:             tls.RequestClientCert,
			NextProtos:             []string{"h2"},
			SessionTicketsDisabled: true, // resumption would outlive a revocation
			Time:                   opts.Now,
		},
	}
	if opts.Web != nil {
		m.webConfig = &tls.Config{
			MinVersion:     tls.VersionTLS12,
			GetCertificate: opts.Web,
			NextProtos:     []string{"h2", "http/1.1"},
			Time:           opts.Now,
		}
	}
	return m
}

// Agents yields connections for the agents' server names; Gateway.Serve takes
// it.
func (m *Mux) Agents() net.Listener { return m.agent }

// Web yields connections for every other name, as *tls.Conn, for http.Server.
func (m *Mux) Web() net.Listener { return m.web }

// Addr of the port.
func (m *Mux) Addr() net.Addr { return m.ln.Addr() }

func isAgentName(name string) bool {
	return name == model.AgentServerName || name == model.EnrolServerName
}

// Serve accepts until ctx ends or the listener breaks; then the port is closed,
// and connections that were handed on live on.
func (m *Mux) Serve(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { m.ln.Close() })
	defer stop()
	var wg sync.WaitGroup
	defer wg.Wait()
	defer m.agent.Close()
	defer m.web.Close()
	defer m.ln.Close()
	for {
		select {
		case m.pending <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
		conn, err := m.ln.Accept()
		if err != nil {
			<-m.pending
			if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return nil
			}
			var ne net.Error
			if errors.As(err, &ne) && ne.Timeout() {
				continue
			}
			if isTemporary(err) { // out of file descriptors: it passes
				m.opts.Log.Warn("accept failed; going on", "error", err)
				select {
				case <-ctx.Done():
				case <-time.After(100 * time.Millisecond):
				}
				continue
			}
			return fault.Wrap(err, fault.Unavailable, "listener_broken", "the hub's port stopped accepting")
		}
		wg.Add(1)
		go func() {
			defer wg.Done()
			m.handshake(ctx, conn)
		}()
	}
}

func isTemporary(err error) bool {
	var t interface{ Temporary() bool }
	return errors.As(err, &t) && t.Temporary()
}

// configFor chooses by server name.
func (m *Mux) configFor(name string) (*tls.Config, error) {
	switch {
	case isAgentName(name):
		return m.agentConfig, nil
	case m.webConfig != nil:
		return m.webConfig, nil
	}
	return nil, fmt.Errorf("server name %q is not served on this port", name)
}

func (m *Mux) handshake(ctx context.Context, raw net.Conn) {
	turn := &turnConn{Conn: raw, turns: m.turns}
	conn := tls.Server(turn, &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			if err := turn.take(hello.Context()); err != nil {
				return nil, err
			}
			return m.configFor(hello.ServerName)
		},
	})
	hctx, cancel := context.WithTimeout(ctx, m.opts.HandshakeTimeout)
	err := conn.HandshakeContext(hctx)
	cancel()
	turn.give()
	<-m.pending
	if err != nil {
		raw.Close()
		m.logHandshake(raw.RemoteAddr(), err)
		return
	}
	to := m.web
	if isAgentName(conn.ConnectionState().ServerName) {
		to = m.agent
	}
	if !to.put(ctx, conn) {
		conn.Close()
	}
}

func (m *Mux) logHandshake(from net.Addr, err error) {
	code := "tls_handshake_failed"
	var record tls.RecordHeaderError
	switch {
	case isTrustAlert(err):
		// The other end does not trust our certificate: an agent that pinned
		// another hub, or a browser that does not know our CA.
		code = "hub_certificate_refused"
	case errors.As(err, &record):
		code = "not_tls"
	}
	level := slog.LevelInfo
	if code == "tls_handshake_failed" && (errors.Is(err, context.Canceled) || isEOF(err)) {
		level = slog.LevelDebug // port scans and health checks
	}
	m.opts.Log.Log(context.Background(), level, "connection refused", "code", code, "remote", from.String(), "error", err)
}

func isEOF(err error) bool {
	return strings.HasSuffix(err.Error(), "EOF") || strings.Contains(err.Error(), "connection reset")
}

// isTrustAlert reports whether the peer's alert is about our certificate. The
// alert's type is not exported; crypto/tls wraps it in a "remote error".
func isTrustAlert(err error) bool {
	var op *net.OpError
	if !errors.As(err, &op) || op.Op != "remote error" {
		return false
	}
	return strings.Contains(op.Err.Error(), "certificate")
}

// turnConn has a turn from the client's hello until the handshake waits for the
// client again: while it costs us and not while a peer is slow. One goroutine
// uses it until the handshake is over, and nothing here is used after.
type turnConn struct {
	net.Conn
	turns chan struct{}
	has   bool
}

func (c *turnConn) take(ctx context.Context) error {
	select {
	case c.turns <- struct{}{}:
		c.has = true
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *turnConn) give() {
	if c.has {
		c.has = false
		<-c.turns
	}
}

// Read implements net.Conn.
func (c *turnConn) Read(b []byte) (int, error) {
	c.give()
	return c.Conn.Read(b)
}

// handed is a listener whose connections come from elsewhere.
type handed struct {
	addr   net.Addr
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newHanded(addr net.Addr) *handed {
	return &handed{addr: addr, conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (l *handed) put(ctx context.Context, c net.Conn) bool {
	select {
	case l.conns <- c:
		return true
	case <-l.closed:
	case <-ctx.Done():
	}
	return false
}

// Accept implements net.Listener.
func (l *handed) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (l *handed) Close() error { l.once.Do(func() { close(l.closed) }); return nil }

// Addr implements net.Listener.
func (l *handed) Addr() net.Addr { return l.addr }

// chainOf returns what the client presented.
func chainOf(c *tls.Conn) (serverName string, chain []*x509.Certificate) {
	state := c.ConnectionState()
	return state.ServerName, state.PeerCertificates
}
