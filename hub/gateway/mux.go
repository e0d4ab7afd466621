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
	// MaxHandshakes that run at once; default 64. Further connections wait in
	// the kernel's queue.
	MaxHandshakes int
	// HandshakeTimeout; default 10 s.
	HandshakeTimeout time.Duration
	Now              func() time.Time
	Log              *slog.Logger
}

// Mux shares one port between agents and browsers: it completes the TLS
// handshake and hands the connection on by the server name that was asked for.
type Mux struct {
	ln    net.Listener
	opts  MuxOptions
	slots chan struct{}
	agent *handed
	web   *handed

	agentConfig *tls.Config
	webConfig   *tls.Config
}

// NewMux takes over ln. Serve must be called for anything to be accepted.
func NewMux(ln net.Listener, opts MuxOptions) *Mux {
	if opts.MaxHandshakes <= 0 {
		opts.MaxHandshakes = 64
	}
	if opts.HandshakeTimeout <= 0 {
		opts.HandshakeTimeout = 10 * time.Second
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	m := &Mux{
		ln:    ln,
		opts:  opts,
		slots: make(chan struct{}, opts.MaxHandshakes),
		agent: newHanded(ln.Addr()),
		web:   newHanded(ln.Addr()),
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
	config := &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			switch {
			case isAgentName(hello.ServerName):
				return m.agentConfig, nil
			case m.webConfig != nil:
				return m.webConfig, nil
			}
			return nil, fmt.Errorf("server name %q is not served on this port", hello.ServerName)
		},
	}
	for {
		select {
		case m.slots <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
		conn, err := m.ln.Accept()
		if err != nil {
			<-m.slots
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
			m.handshake(ctx, conn, config)
		}()
	}
}

func isTemporary(err error) bool {
	var t interface{ Temporary() bool }
	return errors.As(err, &t) && t.Temporary()
}

func (m *Mux) handshake(ctx context.Context, raw net.Conn, config *tls.Config) {
	conn := tls.Server(raw, config)
	hctx, cancel := context.WithTimeout(ctx, m.opts.HandshakeTimeout)
	err := conn.HandshakeContext(hctx)
	cancel()
	<-m.slots
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
	var alert tls.AlertError
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &alert) && isTrustAlert(alert):
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

func isTrustAlert(a tls.AlertError) bool {
	switch a {
	case 42, 43, 44, 45, 46, 48: // bad, unsupported, revoked, expired, unknown certificate; unknown CA
		return true
	}
	return false
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
