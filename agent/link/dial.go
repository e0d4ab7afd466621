package link

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"golang.org/x/net/http/httpproxy"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/wire"
)

// ProxyDirect as Options.Proxy ignores the environment's proxy.
const ProxyDirect = "direct"

// dialer reaches the hub's port, directly or through a proxy, and proves that
// it is the hub.
type dialer struct {
	address   string
	proxy     func() (*url.URL, error) // nil URL: direct
	proxyCAs  *x509.CertPool           // nil: the system's
	now       func() time.Time
	handshake time.Duration
	tcp       func(ctx context.Context, network, address string) (net.Conn, error)
}

func newDialer(o Options) (*dialer, error) {
	if _, _, err := net.SplitHostPort(o.Address); err != nil {
		return nil, fault.New(fault.Invalid, "hub_address_invalid", "the hub address %q is not host:port", o.Address)
	}
	d := &dialer{address: o.Address, now: o.Now, handshake: o.HandshakeTimeout, tcp: o.Dial}
	if d.tcp == nil {
		d.tcp = new(net.Dialer).DialContext
	}
	switch o.Proxy {
	case "":
		fromEnv := httpproxy.FromEnvironment().ProxyFunc()
		target := &url.URL{Scheme: "https", Host: o.Address}
		d.proxy = func() (*url.URL, error) { return fromEnv(target) }
	case ProxyDirect:
		d.proxy = func() (*url.URL, error) { return nil, nil }
	default:
		u, err := url.Parse(o.Proxy)
		if err != nil || u.Host == "" {
			return nil, fault.New(fault.Invalid, "proxy_invalid", "the proxy is not a URL such as http://proxy.example:3128")
		}
		d.proxy = func() (*url.URL, error) { return u, nil }
	}
	if u, err := d.proxy(); err != nil {
		return nil, fault.New(fault.Invalid, "proxy_invalid", "the environment's proxy is not a URL such as http://proxy.example:3128")
	} else if u != nil && u.Scheme != "http" && u.Scheme != "https" {
		return nil, fault.New(fault.Invalid, "proxy_scheme_unsupported", "the proxy's scheme %q is not supported", u.Scheme).
			WithFound(u.Scheme, "http, https")
	}
	if o.ProxyCAFile != "" {
		b, err := os.ReadFile(o.ProxyCAFile)
		if err != nil {
			return nil, fault.Wrap(err, fault.Invalid, "proxy_ca_unreadable", "the proxy's CA file could not be read")
		}
		if d.proxyCAs, err = x509.SystemCertPool(); err != nil {
			d.proxyCAs = x509.NewCertPool()
		}
		if !d.proxyCAs.AppendCertsFromPEM(b) {
			return nil, fault.New(fault.Invalid, "proxy_ca_invalid", "the proxy's CA file holds no PEM certificate")
		}
	}
	return d, nil
}

// trust is what the hub must prove: a known CA, or one whose hash is pinned.
type trust struct {
	ca  *x509.Certificate
	pin string
	// anyTime asks nothing of the clock: for who wants to know how far off it is, and
	// says nothing that is to be kept.
	anyTime bool
}

// dial connects and completes TLS under the fixed server name, whatever the
// address is. client is nil to present no certificate.
func (d *dialer) dial(ctx context.Context, serverName string, t trust, client *tls.Certificate) (*tls.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, d.handshake)
	defer cancel()
	raw, err := d.connect(ctx)
	if err != nil {
		return nil, err
	}
	config := &tls.Config{
		MinVersion: tls.VersionTLS13,
		ServerName: serverName,
		// HTTP/1.1 is offered only so that whatever else answers here goes far
		// enough to show its certificate.
		NextProtos:         []string{"h2", "http/1.1"},
		InsecureSkipVerify: true, // VerifyConnection does it, with the hub's CA alone
		VerifyConnection:   func(cs tls.ConnectionState) error { return t.verify(cs, serverName, d.now()) },
		Time:               d.now,
	}
	if client != nil {
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return client, nil }
	}
	conn := tls.Client(raw, config)
	if err := conn.HandshakeContext(ctx); err != nil {
		raw.Close()
		return nil, d.handshakeError(err)
	}
	if p := conn.ConnectionState().NegotiatedProtocol; p != "h2" {
		conn.Close()
		return nil, fault.New(fault.Upstream, "hub_protocol", "the hub's port did not agree on HTTP/2; something between does not pass TLS through")
	}
	return conn, nil
}

func (d *dialer) handshakeError(err error) error {
	var known *fault.Error
	if errors.As(err, &known) {
		return known
	}
	var record tls.RecordHeaderError
	if errors.As(err, &record) {
		return fault.Wrap(err, fault.Upstream, "hub_not_tls", "%s answers, but not with TLS", d.address)
	}
	return fault.Wrap(err, fault.Unavailable, "hub_handshake_failed", "the TLS handshake with %s failed", d.address)
}

// verify accepts exactly the pinned hub.
func (t trust) verify(cs tls.ConnectionState, serverName string, now time.Time) error {
	if len(cs.PeerCertificates) == 0 {
		return fault.New(fault.Unauthorized, "hub_identity_changed", "the hub presented no certificate")
	}
	leaf, ca, expected := cs.PeerCertificates[0], t.ca, t.pin
	if ca != nil {
		expected = wire.CAHash(ca)
	} else {
		for _, c := range cs.PeerCertificates[1:] {
			if c.IsCA && wire.CAHash(c) == t.pin {
				ca = c
			}
		}
	}
	if ca == nil || leaf.CheckSignatureFrom(ca) != nil {
		presented := ""
		if n := len(cs.PeerCertificates); n > 1 {
			presented = ", CA " + wire.CAHash(cs.PeerCertificates[n-1])
		}
		return fault.New(fault.Unauthorized, "hub_identity_changed",
			"the certificate at the hub's address was issued by %q%s; expected the hub CA %s", shorten(leaf.Issuer.CommonName), presented, expected).
			WithFix("check the address and the CA hash; a proxy that decrypts TLS must pass this connection through")
	}
	roots := x509.NewCertPool()
	roots.AddCert(ca)
	if t.anyTime {
		now = leaf.NotAfter.Add(-time.Second)
	}
	_, err := leaf.Verify(x509.VerifyOptions{
		Roots: roots, DNSName: serverName, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	if err == nil {
		return nil
	}
	var invalid x509.CertificateInvalidError
	if errors.As(err, &invalid) && invalid.Reason == x509.Expired {
		return fault.Wrap(err, fault.Unauthorized, "hub_certificate_time", "the hub's certificate is valid from %s to %s; this machine's clock says %s",
			leaf.NotBefore.Format(time.RFC3339), leaf.NotAfter.Format(time.RFC3339), now.UTC().Format(time.RFC3339)).WithFix("set the clock")
	}
	return fault.Wrap(err, fault.Unauthorized, "hub_certificate_invalid", "the hub's certificate does not serve %s", serverName)
}

func shorten(s string) string {
	if len(s) > 64 {
		return s[:64] + "…"
	}
	return s
}

// connect opens the byte stream to the hub's port.
func (d *dialer) connect(ctx context.Context) (net.Conn, error) {
	proxy, err := d.proxy()
	if err != nil {
		return nil, fault.New(fault.Invalid, "proxy_invalid", "the environment's proxy is not a URL")
	}
	if proxy == nil {
		conn, err := d.tcp(ctx, "tcp", d.address)
		if err != nil {
			return nil, fault.Wrap(err, fault.Unavailable, "hub_unreachable", "the hub at %s does not answer", d.address)
		}
		return conn, nil
	}
	conn, err := d.tcp(ctx, "tcp", proxyAddress(proxy))
	if err != nil {
		return nil, fault.Wrap(err, fault.Unavailable, "proxy_unreachable", "the proxy at %s does not answer", proxy.Host)
	}
	if proxy.Scheme == "https" {
		tconn := tls.Client(conn, &tls.Config{MinVersion: tls.VersionTLS12, ServerName: proxy.Hostname(), RootCAs: d.proxyCAs, NextProtos: []string{"http/1.1"}, Time: d.now})
		if err := tconn.HandshakeContext(ctx); err != nil {
			conn.Close()
			return nil, fault.Wrap(err, fault.Upstream, "proxy_tls_untrusted", "the TLS certificate of the proxy %s was not accepted", proxy.Host).
				WithFix("name the CA of the proxy as the extra CA")
		}
		conn = tconn
	}
	tunnel, err := d.tunnel(ctx, conn, proxy)
	if err != nil {
		conn.Close()
		return nil, err
	}
	return tunnel, nil
}

func proxyAddress(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// tunnel asks the proxy for the hub. Nothing of the answer but its status is
// repeated, and never the password.
func (d *dialer) tunnel(ctx context.Context, conn net.Conn, proxy *url.URL) (net.Conn, error) {
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	broken := func(err error) error {
		return fault.Wrap(err, fault.Unavailable, "proxy_unreachable", "the proxy %s broke off", proxy.Host)
	}
	var req strings.Builder
	fmt.Fprintf(&req, "CONNECT %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: hawser-agent\r\n", d.address, d.address)
	if u := proxy.User; u != nil {
		password, _ := u.Password()
		fmt.Fprintf(&req, "Proxy-Authorization: Basic %s\r\n", base64.StdEncoding.EncodeToString([]byte(u.Username()+":"+password)))
	}
	req.WriteString("\r\n")
	if _, err := io.WriteString(conn, req.String()); err != nil {
		return nil, broken(err)
	}
	br := bufio.NewReader(io.LimitReader(conn, 64<<10))
	resp, err := http.ReadResponse(br, &http.Request{Method: http.MethodConnect})
	if err != nil {
		return nil, broken(err)
	}
	switch {
	case resp.StatusCode == http.StatusProxyAuthRequired:
		return nil, fault.New(fault.Upstream, "proxy_auth_failed", "the proxy %s wants other credentials (407)", proxy.Host).
			WithFix("put user and password into the proxy's URL")
	case resp.StatusCode/100 != 2:
		return nil, fault.New(fault.Upstream, "proxy_refused", "the proxy %s refused to connect to %s (%d)", proxy.Host, d.address, resp.StatusCode)
	case br.Buffered() > 0: // the hub waits for us to speak first
		return nil, fault.New(fault.Upstream, "proxy_refused", "the proxy %s sent something before the connection was used", proxy.Host)
	}
	if !stop() {
		return nil, broken(ctx.Err())
	}
	return conn, nil
}
