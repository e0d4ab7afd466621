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
	// MaxPending connections of strangers: those whose handshake is not complete,
	// and those under the agents' names that have not said who they are; default
	// 4096. For further ones the longest waiting one has to go.
	MaxPending int
	// PerAddress of them from one address; default 1024. More may be there for
	// the time of Grace, or when it is us that they wait for.
	PerAddress int
	// Grace is how long a stranger may make us wait although it is crowded;
	// default 2 s.
	Grace time.Duration
	// AcceptBurst connections may come from one address at once, and one more per
	// AcceptEvery; defaults 16,384 and 1 ms. Others are closed unread.
	AcceptBurst int
	AcceptEvery time.Duration
	// HandshakeTimeout; default 10 s.
	HandshakeTimeout time.Duration
	// FirstCall is how long an agent may take to call after its handshake, and
	// between calls until its session is open; default 5 s.
	FirstCall time.Duration
	Now       func() time.Time
	Log       *slog.Logger
	// Refused counts connections that are refused, by a code; it must not block.
	// nil: nobody counts.
	Refused func(reason string)
}

// Mux shares one port between agents and browsers: it completes the TLS
// handshake and hands the connection on by the server name that was asked for.
type Mux struct {
	ln    net.Listener
	opts  MuxOptions
	lobby *lobby
	turns chan struct{}
	agent *handed
	web   *handed
	lines some // about strangers, in the log

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
	if opts.PerAddress <= 0 {
		opts.PerAddress = 1024
	}
	if opts.AcceptBurst <= 0 {
		opts.AcceptBurst = 16 << 10
	}
	if opts.AcceptEvery <= 0 {
		opts.AcceptEvery = time.Millisecond
	}
	if opts.Grace <= 0 {
		opts.Grace = 2 * time.Second
	}
	if opts.FirstCall <= 0 {
		opts.FirstCall = 5 * time.Second
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.Refused == nil {
		opts.Refused = func(string) {}
	}
	m := &Mux{
		ln:    ln,
		opts:  opts,
		turns: make(chan struct{}, opts.MaxHandshakes),
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
	m.lobby = newLobby(opts.MaxPending, opts.PerAddress, opts.Grace, func(reason string, from net.Addr) {
		m.refused(slog.LevelWarn, reason, from, nil)
	})
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

// Strangers is how many connections there are whose other end has not said who
// it is.
func (m *Mux) Strangers() int { return m.lobby.waiting() }

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
	came := arrivals{burst: m.opts.AcceptBurst, every: m.opts.AcceptEvery}
	for {
		if !m.lobby.await(ctx) {
			return nil
		}
		conn, err := m.ln.Accept()
		if err != nil {
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
		if !came.may(addressOf(conn.RemoteAddr()), time.Now()) {
			m.refused(slog.LevelWarn, refusedFast, conn.RemoteAddr(), nil)
			conn.Close()
			continue
		}
		visitor := m.lobby.enter(conn)
		wg.Add(1)
		go func() {
			defer wg.Done()
			m.handshake(ctx, conn, visitor)
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

func (m *Mux) handshake(ctx context.Context, raw net.Conn, visitor *guest) {
	turn := &turnConn{Conn: raw, turns: m.turns, guest: visitor}
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
	if err != nil {
		visitor.leave()
		raw.Close()
		m.logHandshake(raw.RemoteAddr(), err)
		return
	}
	to := m.web
	if isAgentName(conn.ConnectionState().ServerName) {
		to = m.agent
		// The gateway lets it out of the lobby.
		visitor.next(m.opts.FirstCall)
	} else {
		visitor.leave()
	}
	if !to.put(ctx, conn) {
		visitor.leave()
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
	case errors.Is(err, net.ErrClosed):
		return // it had to go, which was told
	case errors.Is(err, context.DeadlineExceeded):
		code = "tls_handshake_timeout"
	}
	level := slog.LevelInfo
	if code == "tls_handshake_failed" && (errors.Is(err, context.Canceled) || isEOF(err)) {
		level = slog.LevelDebug // port scans and health checks
	}
	m.refused(level, code, from, err)
}

// refused counts and logs a connection that was refused.
func (m *Mux) refused(level slog.Level, code string, from net.Addr, err error) {
	m.opts.Refused(code)
	write, left := m.lines.next(time.Now())
	if !write {
		return
	}
	m.opts.Log.Log(context.Background(), level, "connection refused", "code", code, "remote", from.String(), "error", err, "lines_left_out", left)
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
// uses it until the handshake is over; after that only guest is used.
type turnConn struct {
	net.Conn
	turns chan struct{}
	has   bool
	guest *guest
}

func (c *turnConn) take(ctx context.Context) error {
	c.guest.work(true)
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
		c.guest.work(false)
		<-c.turns
	}
}

// Read implements net.Conn.
func (c *turnConn) Read(b []byte) (int, error) {
	c.give()
	return c.Conn.Read(b)
}

// Close implements net.Conn. Whoever hangs up has left: an agent that has enrolled
// does not come to say hello on that connection.
func (c *turnConn) Close() error {
	c.guest.leave()
	return c.Conn.Close()
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

// guestOf is the place in the lobby of a connection from a Mux; nil when it has
// none.
func guestOf(c *tls.Conn) *guest {
	if t, ok := c.NetConn().(*turnConn); ok {
		return t.guest
	}
	return nil
}

// chainOf returns what the client presented.
func chainOf(c *tls.Conn) (serverName string, chain []*x509.Certificate) {
	state := c.ConnectionState()
	return state.ServerName, state.PeerCertificates
}
