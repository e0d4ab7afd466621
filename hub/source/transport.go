package source

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/http/httpproxy"

	workerv1 "github.com/hawser-dev/hawser/proto/gen/hawser/worker/v1"
	"github.com/hawser-dev/hawser/shared/fault"
)

// maxRedirects is how often a server may send elsewhere.
const maxRedirects = 5

// transport is how a worker process speaks HTTP with the server of a remote and
// with servers that it refers to: only with allowed hosts, never with an address
// in a blocked network (checked when a connection is made), through the remote's
// proxy, trusting its authority. A client certificate, and leave to skip the
// verification, are for u's server alone. It sends no credential: authorize
// does, and redirects are checkRedirect's. Behind a proxy names are the proxy's
// to resolve, and to refuse; addresses are checked here as well.
func transport(r *workerv1.Remote, u *url.URL) (http.RoundTripper, error) {
	blocked, err := blockedNetworks(r)
	if err != nil {
		return nil, err
	}
	home, err := httpTransport(r, blocked, true)
	if err != nil {
		return nil, err
	}
	away, err := httpTransport(r, blocked, false)
	if err != nil {
		return nil, err
	}
	return &guard{remote: r, blocked: blocked, server: *u, home: home, away: away}, nil
}

// guard refuses requests that must not leave.
type guard struct {
	remote     *workerv1.Remote
	blocked    []netip.Prefix
	server     url.URL
	home, away http.RoundTripper
}

func (g *guard) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := g.check(req.URL); err != nil {
		if req.Body != nil {
			_ = req.Body.Close() // was not sent
		}
		return nil, err
	}
	if sameServer(req.URL, &g.server) {
		return g.home.RoundTrip(req)
	}
	return g.away.RoundTrip(req)
}

func (g *guard) check(u *url.URL) error {
	if u.Scheme != "https" && u.Scheme != "http" {
		return forbiddenScheme(u.Scheme, u.Scheme+"://"+u.Host)
	}
	host := u.Hostname()
	if !hostAllowed(host, g.remote.GetAllowedHosts()) {
		return errHostNotAllowed(host, g.remote.GetAllowedHosts())
	}
	// A proxy would connect to it, not this process.
	if addr, err := netip.ParseAddr(host); err == nil {
		return checkAddress(host, addr, g.blocked)
	}
	return nil
}

// sameServer compares scheme, host and port.
func sameServer(a, b *url.URL) bool {
	port := func(u *url.URL) string {
		switch {
		case u.Port() != "":
			return u.Port()
		case u.Scheme == "http":
			return "80"
		}
		return "443"
	}
	return a.Scheme == b.Scheme && strings.EqualFold(a.Hostname(), b.Hostname()) && port(a) == port(b)
}

// checkRedirect follows redirects of an http.Client as long as that is safe:
// never to plain http, and without the credential to another server.
func checkRedirect(req *http.Request, via []*http.Request) error {
	first, last := via[0], via[len(via)-1]
	switch {
	case len(via) > maxRedirects:
		return fault.New(fault.Upstream, "git_unavailable", "%s redirects more than %d times", first.URL.Host, maxRedirects)
	case last.URL.Scheme == "https" && req.URL.Scheme == "http":
		return fault.New(fault.Upstream, "git_redirect_refused", "%s redirects to plain http, which is not followed", last.URL.Host)
	case !sameServer(req.URL, first.URL):
		req.Header.Del("Authorization")
		req.Header.Del("Cookie")
	}
	return nil
}

// authorize adds the credential of a remote to a request for its server. It is
// sent without waiting to be asked, which saves a request each time.
func authorize(req *http.Request, r *workerv1.Remote) {
	switch {
	case r.GetBearerToken() != "":
		req.Header.Set("Authorization", "Bearer "+r.GetBearerToken())
	case r.GetUsername() != "" || r.GetPassword() != "":
		req.SetBasicAuth(r.GetUsername(), r.GetPassword())
	}
}

// credentialName is what a credential may be called in messages.
func credentialName(r *workerv1.Remote) string {
	switch {
	case r.GetBearerToken() != "":
		return "bearer token"
	case r.GetUsername() != "":
		return clip(r.GetUsername(), 60)
	}
	return "password"
}

func blockedNetworks(r *workerv1.Remote) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, s := range r.GetBlockedNetworks() {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return nil, fmt.Errorf("blocked network: %w", err)
		}
		out = append(out, p)
	}
	return out, nil
}

// transports keeps connections between jobs of one worker process, apart for
// each way of connecting.
var transports = struct {
	sync.Mutex
	m map[[32]byte]*http.Transport
}{m: map[[32]byte]*http.Transport{}}

// maxTransports bounds them.
const maxTransports = 64

// httpTransport makes connections; home says that they are to the server that
// the remote names.
func httpTransport(r *workerv1.Remote, blocked []netip.Prefix, home bool) (*http.Transport, error) {
	cert, key, skip := r.GetClientCert(), r.GetClientKey(), r.GetInsecureSkipVerify()
	if !home {
		cert, key, skip = "", "", false
	}
	id := sha256.Sum256(fmt.Appendf(nil, "%q %v %q %q %v %q %q", r.GetCaBundle(), blocked, cert, key, skip, r.GetProxy(), r.GetNoProxy()))
	transports.Lock()
	defer transports.Unlock()
	if t, ok := transports.m[id]; ok {
		return t, nil
	}
	conf, err := tlsConfig(r.GetCaBundle(), cert, key, skip)
	if err != nil {
		return nil, err
	}
	proxy, err := proxyOf(r)
	if err != nil {
		return nil, err
	}
	if len(transports.m) >= maxTransports {
		for k, t := range transports.m {
			t.CloseIdleConnections()
			delete(transports.m, k)
		}
	}
	t := &http.Transport{
		Proxy:                  func(req *http.Request) (*url.URL, error) { return proxy(req.URL) },
		OnProxyConnectResponse: proxyAnswered,
		DialContext:            dialer(blocked),
		TLSClientConfig:        conf,
		TLSHandshakeTimeout:    10 * time.Second,
		ResponseHeaderTimeout:  stallLimit,
		IdleConnTimeout:        4 * time.Minute,
		MaxIdleConnsPerHost:    2,
		MaxIdleConns:           32,
		ForceAttemptHTTP2:      true,
		DisableCompression:     true,
		MaxResponseHeaderBytes: 64 << 10,
	}
	transports.m[id] = t
	return t, nil
}

// tlsConfig trusts the system's authorities and those of ca.
func tlsConfig(ca, cert, key string, skipVerify bool) (*tls.Config, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: skipVerify}
	if ca != "" {
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		if !pool.AppendCertsFromPEM([]byte(ca)) {
			return nil, fault.New(fault.Invalid, "ca_bundle_invalid", "the CA bundle of this repository has no certificate in PEM format")
		}
		conf.RootCAs = pool
	}
	if cert != "" || key != "" {
		pair, err := tls.X509KeyPair([]byte(cert), []byte(key))
		if err != nil {
			return nil, fault.New(fault.Invalid, "client_certificate_invalid", "the client certificate of this repository cannot be used: certificate and key must be a pair in PEM format")
		}
		conf.Certificates = []tls.Certificate{pair}
	}
	return conf, nil
}

// proxyOf finds the proxy for a URL, nil for none: the remote's, or that of the
// environment.
func proxyOf(r *workerv1.Remote) (func(*url.URL) (*url.URL, error), error) {
	if r.GetProxy() == "" {
		return httpproxy.FromEnvironment().ProxyFunc(), nil
	}
	u, err := url.Parse(r.GetProxy())
	if err != nil || u.Host == "" {
		return nil, errProxy("the proxy of this repository is no URL")
	}
	switch u.Scheme {
	case "http", "https", "socks5", "socks5h":
	default:
		return nil, errProxy("the proxy of this repository has the scheme %q; allowed: http, https, socks5", clip(printable(u.Scheme), 20))
	}
	config := httpproxy.Config{HTTPProxy: r.GetProxy(), HTTPSProxy: r.GetProxy(), NoProxy: r.GetNoProxy()}
	return config.ProxyFunc(), nil
}

func errProxy(format string, args ...any) error {
	return fault.New(fault.Invalid, "proxy_invalid", format, args...)
}

func proxyAnswered(_ context.Context, proxy *url.URL, req *http.Request, resp *http.Response) error {
	if resp.StatusCode == http.StatusOK {
		return nil
	}
	return errProxyRefused(proxy.Host, req.Host, resp.StatusCode)
}

func errProxyRefused(proxy, target string, code int) error {
	return fault.New(fault.Upstream, "proxy_refused", "the proxy %s does not connect to %s: it answered %d %s", proxy, clip(target, 100), code, http.StatusText(code))
}

func errProxySocks(proxy, target string, err error) error {
	return fault.Wrap(err, fault.Upstream, "proxy_refused", "the proxy %s does not connect to %s", proxy, clip(target, 100))
}

func tlsClient(conn net.Conn, conf *tls.Config, host string) *tls.Conn {
	conf = conf.Clone()
	conf.ServerName = host
	return tls.Client(conn, conf)
}
