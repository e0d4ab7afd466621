package testbed

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// ConnectOptions say whom an HTTP proxy serves.
type ConnectOptions struct {
	// User and Password are asked for (proxy basic auth) when one of them is set.
	User, Password string
	// Intercept is the name of an authority of the proxy's own: it opens TLS in its
	// tunnels and shows certificates of this authority, as inspecting proxies do.
	Intercept string
}

// ConnectProxy is an HTTP proxy that makes tunnels with the method CONNECT, as
// many company networks require.
type ConnectProxy struct {
	opts   ConnectOptions
	port   *port
	server *http.Server
	own    *authority // of an intercepting proxy

	mu      sync.Mutex
	targets []string
	denied  int
	conns   map[net.Conn]bool
	closed  bool
}

// StartConnectProxy starts a proxy on a port of 127.0.0.1.
func StartConnectProxy(opts ConnectOptions) (*ConnectProxy, error) {
	port, ln, err := reserveAndListen()
	if err != nil {
		return nil, err
	}
	p := &ConnectProxy{opts: opts, port: port, conns: map[net.Conn]bool{}}
	if opts.Intercept != "" {
		if p.own, err = newAuthority(opts.Intercept); err != nil {
			ln.Close()
			port.release()
			return nil, err
		}
	}
	p.server = &http.Server{Handler: http.HandlerFunc(p.serve), ErrorLog: log.New(io.Discard, "", 0)}
	go p.server.Serve(ln) // ends with Close
	return p, nil
}

// URL is the value for HTTPS_PROXY, with the credentials if there are any.
func (p *ConnectProxy) URL() string {
	u := url.URL{Scheme: "http", Host: p.port.address()}
	if p.opts.User != "" || p.opts.Password != "" {
		u.User = url.UserPassword(p.opts.User, p.opts.Password)
	}
	return u.String()
}

// Addr is the proxy's host and port.
func (p *ConnectProxy) Addr() string { return p.port.address() }

// Targets are the addresses of the tunnels made so far.
func (p *ConnectProxy) Targets() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.targets...)
}

// Tunnels is how many tunnels were made so far.
func (p *ConnectProxy) Tunnels() int { return len(p.Targets()) }

// Denied is how many requests were refused for want of right credentials.
func (p *ConnectProxy) Denied() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.denied
}

// Close ends the proxy and all tunnels.
func (p *ConnectProxy) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	p.closed = true
	p.server.Close()
	for conn := range p.conns {
		conn.Close()
	}
	p.port.release()
}

func (p *ConnectProxy) serve(w http.ResponseWriter, req *http.Request) {
	want := "Basic " + base64.StdEncoding.EncodeToString([]byte(p.opts.User+":"+p.opts.Password))
	if (p.opts.User != "" || p.opts.Password != "") && req.Header.Get("Proxy-Authorization") != want {
		p.mu.Lock()
		p.denied++
		p.mu.Unlock()
		w.Header().Set("Proxy-Authenticate", `Basic realm="proxy"`)
		http.Error(w, "proxy authentication required", http.StatusProxyAuthRequired)
		return
	}
	if req.Method != http.MethodConnect {
		http.Error(w, "this proxy makes tunnels only", http.StatusMethodNotAllowed)
		return
	}
	target, err := net.DialTimeout("tcp", req.Host, 10*time.Second)
	if err != nil {
		http.Error(w, "target not reachable", http.StatusBadGateway)
		return
	}
	defer target.Close()
	client, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, "no tunnel over this connection", http.StatusInternalServerError)
		return
	}
	defer client.Close()
	if !p.register(req.Host, client, target) {
		return
	}
	defer p.forget(client, target)
	if _, err := io.WriteString(client, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		return
	}
	var up, down net.Conn = target, client
	var asked io.Reader = buffered
	if p.own != nil {
		if up, down, err = p.open(req.Context(), target, client); err != nil {
			return
		}
		asked = down
	}
	var both sync.WaitGroup
	both.Go(func() { carry(up, asked) })
	both.Go(func() { carry(down, up) })
	both.Wait()
}

// open ends TLS of a tunnel here and begins another to the target.
func (p *ConnectProxy) open(ctx context.Context, target, client net.Conn) (up, down net.Conn, err error) {
	down = tls.Server(client, &tls.Config{
		NextProtos: []string{"h2", "http/1.1"},
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			cert, key, err := p.own.server(hello.ServerName)
			if err != nil {
				return nil, err
			}
			pair, err := tls.X509KeyPair(cert, key)
			return &pair, err
		},
	})
	if err := down.(*tls.Conn).HandshakeContext(ctx); err != nil {
		return nil, nil, err
	}
	state := down.(*tls.Conn).ConnectionState()
	up = tls.Client(target, &tls.Config{InsecureSkipVerify: true, ServerName: state.ServerName, NextProtos: []string{state.NegotiatedProtocol}})
	return up, down, up.(*tls.Conn).HandshakeContext(ctx)
}

// carry copies one direction and passes its end on.
func carry(to net.Conn, from io.Reader) {
	_, err := io.Copy(to, from)
	if half, ok := to.(interface{ CloseWrite() error }); ok && err == nil {
		half.CloseWrite()
		return
	}
	to.Close()
}

func (p *ConnectProxy) register(target string, conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.targets = append(p.targets, target)
	for _, conn := range conns {
		p.conns[conn] = true
	}
	return true
}

func (p *ConnectProxy) forget(conns ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, conn := range conns {
		delete(p.conns, conn)
	}
}
