package source

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/net/proxy"
)

// dialSSH connects to an SSH server, through the remote's own proxy where it has
// one. Proxies of the environment are for HTTP.
func dialSSH(ctx context.Context, o connectOptions, address string) (net.Conn, error) {
	if o.GetProxy() == "" {
		return dialer(o.blocked)(ctx, "tcp", address)
	}
	find, err := proxyOf(o.Remote)
	if err != nil {
		return nil, err
	}
	// What a proxy is not for is told by host and port alone.
	via, err := find(&url.URL{Scheme: "https", Host: address})
	if err != nil {
		return nil, errProxy("the proxy of this repository is no URL")
	}
	if via == nil {
		return dialer(o.blocked)(ctx, "tcp", address)
	}
	conn, err := dialer(o.blocked)(ctx, "tcp", proxyAddress(via))
	if err != nil {
		return nil, err
	}
	return through(ctx, o, conn, via, address)
}

// proxyAddress is host and port of a proxy.
func proxyAddress(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	if port == "" {
		port = "1080"
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// proxyTime is how long a proxy may take to connect.
const proxyTime = 20 * time.Second

// through asks the proxy at the other end of conn to connect to an address. It
// closes conn when that fails.
func through(ctx context.Context, o connectOptions, conn net.Conn, via *url.URL, address string) (_ net.Conn, err error) {
	defer func() {
		if err != nil {
			_ = conn.Close() // the first error is the one that matters
		}
	}()
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if err := (&guard{remote: o.Remote, blocked: o.blocked}).check(&url.URL{Scheme: "https", Host: host}); err != nil {
		return nil, err
	}
	if err := conn.SetDeadline(time.Now().Add(proxyTime)); err != nil {
		return nil, err
	}
	var tunnel net.Conn
	switch via.Scheme {
	case "socks5", "socks5h":
		tunnel, err = socks(ctx, conn, via, address)
	case "https":
		conf, err := tlsConfig(o.GetCaBundle(), "", "", false)
		if err != nil {
			return nil, err
		}
		tunnel, err = connectThrough(ctx, tlsClient(conn, conf, via.Hostname()), via, address)
		if err != nil {
			return nil, err
		}
	default:
		tunnel, err = connectThrough(ctx, conn, via, address)
	}
	if err != nil {
		return nil, err
	}
	return tunnel, conn.SetDeadline(time.Time{})
}

// connectThrough speaks HTTP's CONNECT.
func connectThrough(ctx context.Context, conn net.Conn, via *url.URL, address string) (net.Conn, error) {
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	request := "CONNECT " + address + " HTTP/1.1\r\nHost: " + address + "\r\nUser-Agent: git/hawser\r\n"
	if via.User != nil {
		password, _ := via.User.Password()
		request += "Proxy-Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(via.User.Username()+":"+password)) + "\r\n"
	}
	if _, err := io.WriteString(conn, request+"\r\n"); err != nil {
		return nil, err
	}
	r := bufio.NewReader(io.LimitReader(conn, 64<<10))
	resp, err := http.ReadResponse(r, &http.Request{Method: http.MethodConnect})
	if err != nil {
		return nil, fmt.Errorf("the proxy's answer: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, errProxyRefused(via.Host, address, resp.StatusCode)
	}
	if r.Buffered() == 0 {
		return conn, nil
	}
	// The server spoke first, as an SSH server does.
	early, err := r.Peek(r.Buffered())
	if err != nil {
		return nil, err
	}
	return &begun{Conn: conn, early: append([]byte(nil), early...)}, nil
}

// begun is a connection whose first bytes were read already.
type begun struct {
	net.Conn
	early []byte
}

func (b *begun) Read(p []byte) (int, error) {
	if len(b.early) == 0 {
		return b.Conn.Read(p)
	}
	n := copy(p, b.early)
	b.early = b.early[n:]
	return n, nil
}

// socks speaks SOCKS version 5; the proxy resolves the name.
func socks(ctx context.Context, conn net.Conn, via *url.URL, address string) (net.Conn, error) {
	var auth *proxy.Auth
	if via.User != nil {
		password, _ := via.User.Password()
		auth = &proxy.Auth{User: via.User.Username(), Password: password}
	}
	d, err := proxy.SOCKS5("tcp", via.Host, auth, taken{conn})
	if err != nil {
		return nil, err
	}
	dial, ok := d.(proxy.ContextDialer)
	if !ok {
		return nil, errors.New("the SOCKS library takes no context")
	}
	tunnel, err := dial.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, errProxySocks(via.Host, address, err)
	}
	return tunnel, nil
}

// taken is a dialer that has one connection already.
type taken struct{ conn net.Conn }

func (t taken) Dial(string, string) (net.Conn, error) { return t.conn, nil }

func (t taken) DialContext(context.Context, string, string) (net.Conn, error) { return t.conn, nil }
