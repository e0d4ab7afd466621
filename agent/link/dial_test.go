package link

import (
	"context"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/shared/fault"
)

// echo answers each connection with what it is sent.
func echo(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() { defer c.Close(); io.Copy(c, c) }()
		}
	}()
	return ln.Addr().String()
}

// tunnels is a CONNECT proxy's handler.
func tunnels(w http.ResponseWriter, r *http.Request) {
	user, password, _ := parseProxyAuth(r)
	switch {
	case r.Method != http.MethodConnect:
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	case user == "nobody":
		w.WriteHeader(http.StatusForbidden)
		return
	case user != "agent" || password != "p@ss word":
		w.WriteHeader(http.StatusProxyAuthRequired)
		return
	}
	up, err := net.Dial("tcp", r.Host)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	down, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		up.Close()
		return
	}
	io.WriteString(down, "HTTP/1.1 200 Connection established\r\n\r\n")
	var wg sync.WaitGroup
	wg.Go(func() { io.Copy(up, down); up.Close() })
	wg.Go(func() { io.Copy(down, up); down.Close() })
	wg.Wait()
}

func parseProxyAuth(r *http.Request) (user, password string, ok bool) {
	r2 := &http.Request{Header: http.Header{"Authorization": r.Header["Proxy-Authorization"]}}
	return r2.BasicAuth()
}

func TestHTTPSProxy(t *testing.T) {
	target := echo(t)
	proxy := httptest.NewUnstartedServer(http.HandlerFunc(tunnels))
	proxy.Config.ErrorLog = nil
	proxy.StartTLS()
	t.Cleanup(proxy.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: proxy.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	host := strings.TrimPrefix(proxy.URL, "https://")
	connect := func(user, caFile string) (net.Conn, error) {
		d, err := newDialer(Options{Address: target, Proxy: "https://" + user + "@" + host, ProxyCAFile: caFile, Now: time.Now, HandshakeTimeout: 10 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		return d.connect(t.Context())
	}
	conn, err := connect("agent:p%40ss%20word", ca)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "ahoy")
	b := make([]byte, 4)
	if _, err := io.ReadFull(conn, b); err != nil || string(b) != "ahoy" {
		t.Errorf("through the proxy came %q, %v", b, err)
	}
	for code, c := range map[string][2]string{
		"proxy_tls_untrusted": {"agent:p%40ss%20word", ""},
		"proxy_auth_failed":   {"agent:s3cret", ca},
		"proxy_refused":       {"nobody:s3cret", ca},
	} {
		_, err := connect(c[0], c[1])
		if !fault.HasCode(err, code) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("got %v, want %s", err, code)
		}
	}
}

func TestWhatIsNoHubIsNamed(t *testing.T) {
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	intercepted := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(intercepted.Close)
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { silent.Close() })
	pin := "sha256:" + strings.Repeat("ab", 32)
	for code, address := range map[string]string{
		"hub_not_tls":          strings.TrimPrefix(plain.URL, "http://"),
		"hub_identity_changed": strings.TrimPrefix(intercepted.URL, "https://"),
		"hub_unreachable":      gone.Addr().String(),
		"hub_handshake_failed": silent.Addr().String(),
	} {
		d, err := newDialer(Options{Address: address, Proxy: ProxyDirect, Now: time.Now, HandshakeTimeout: 500 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		_, err = d.dial(context.Background(), "agent.hawser.internal", trust{pin: pin}, nil)
		if !fault.HasCode(err, code) {
			t.Errorf("got %v, want %s", err, code)
		}
		if code == "hub_identity_changed" && !strings.Contains(err.Error(), pin) {
			t.Errorf("the error does not name the pin: %v", err)
		}
	}
}
