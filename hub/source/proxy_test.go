package source

import (
	"bufio"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/hawser-dev/hawser/e2e/testbed"
	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
)

// testProxy speaks HTTP's CONNECT or SOCKS 5 and connects names that only it
// knows.
type testProxy struct {
	address string
	login   string            // "user:password", "" for none
	knows   map[string]string // host:port → address

	mu      sync.Mutex
	targets []string
}

func startProxy(t *testing.T, socks bool, login string, knows map[string]string) *testProxy {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &testProxy{address: ln.Addr().String(), login: login, knows: knows}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer conn.Close()
				if socks {
					p.socks(conn)
				} else {
					p.connect(conn)
				}
			})
		}
	})
	t.Cleanup(func() { _ = ln.Close(); running.Wait() })
	return p
}

func (p *testProxy) url(scheme string) string {
	if p.login != "" {
		return scheme + "://" + p.login + "@" + p.address
	}
	return scheme + "://" + p.address
}

func (p *testProxy) dial(target string) net.Conn {
	p.mu.Lock()
	p.targets = append(p.targets, target)
	p.mu.Unlock()
	conn, err := net.Dial("tcp", p.knows[target])
	if err != nil {
		return nil
	}
	return conn
}

func (p *testProxy) seen() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := strings.Join(p.targets, " ")
	p.targets = nil
	return out
}

func (p *testProxy) connect(conn net.Conn) {
	r := bufio.NewReader(conn)
	req, err := http.ReadRequest(r)
	if err != nil {
		return
	}
	if want := "Basic " + base64.StdEncoding.EncodeToString([]byte(p.login)); p.login != "" && req.Header.Get("Proxy-Authorization") != want {
		fmt.Fprint(conn, "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
		return
	}
	target := p.dial(req.Host)
	if target == nil {
		fmt.Fprint(conn, "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
		return
	}
	fmt.Fprint(conn, "HTTP/1.1 200 OK\r\n\r\n")
	join(conn, r, target)
}

// socks is the server's half of RFC 1928 and 1929, as far as it is used.
func (p *testProxy) socks(conn net.Conn) {
	r := bufio.NewReader(conn)
	take := func(n int) []byte {
		b := make([]byte, n)
		if _, err := io.ReadFull(r, b); err != nil {
			return make([]byte, n)
		}
		return b
	}
	take(int(take(2)[1]))
	if p.login == "" {
		_, _ = conn.Write([]byte{5, 0})
	} else {
		_, _ = conn.Write([]byte{5, 2})
		user := string(take(int(take(2)[1])))
		password := string(take(int(take(1)[0])))
		if user+":"+password != p.login {
			_, _ = conn.Write([]byte{1, 1})
			return
		}
		_, _ = conn.Write([]byte{1, 0})
	}
	head := take(4)
	var host string
	switch head[3] {
	case 1:
		host = net.IP(take(4)).String()
	case 3:
		host = string(take(int(take(1)[0])))
	}
	target := p.dial(fmt.Sprintf("%s:%d", host, binary.BigEndian.Uint16(take(2))))
	if target == nil {
		_, _ = conn.Write([]byte{5, 4, 0, 1, 0, 0, 0, 0, 0, 0})
		return
	}
	_, _ = conn.Write([]byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0})
	join(conn, r, target)
}

// join copies both ways until both ends have ended.
func join(conn net.Conn, r io.Reader, target net.Conn) {
	var both sync.WaitGroup
	both.Go(func() { _, _ = io.Copy(target, r); _ = target.Close(); _ = conn.Close() })
	both.Go(func() { _, _ = io.Copy(conn, target); _ = target.Close(); _ = conn.Close() })
	both.Wait()
}

func TestProxiesOfARepository(t *testing.T) {
	git := gitServer(t, testbed.GitOptions{})
	_, head := createRepo(t, git, "app", map[string]string{"a": "1"})
	server, pair := startTLS(t, git, "")
	sshd, sshCred := sshServer(t)
	sshCred.KnownHosts = "git.test " + strings.SplitN(sshd.KnownHosts(), " ", 2)[1]
	knows := map[string]string{"git.test:443": strings.TrimPrefix(server, "https://"), "git.test:22": strings.Trim(strings.Replace(hostPort(sshd.URL("plain")), "]", "", 1), "[")}
	open := startProxy(t, false, "", knows)
	closed := startProxy(t, false, "user:CANARY", knows)
	socks := startProxy(t, true, "", knows)
	closedSocks := startProxy(t, true, "user:CANARY", knows)
	for _, tt := range []struct {
		name, proxy string
		through     *testProxy
	}{
		{"http", open.url("http"), open}, {"http with a password", closed.url("http"), closed},
		{"socks5", socks.url("socks5"), socks}, {"socks5 with a password", closedSocks.url("socks5"), closedSocks},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cred := fleet.Credential{CABundle: pair.authority, Proxy: tt.proxy}
			if got := mustResolve(t, newSources(t, always(cred)), "https://git.test/app.git", "main"); got != head {
				t.Errorf("got %s", got)
			}
			if got := tt.through.seen(); got != "git.test:443" {
				t.Errorf("the proxy saw %q", got)
			}
			overSSH := sshCred
			overSSH.Proxy = tt.proxy
			mustResolve(t, newSources(t, always(overSSH)), "ssh://git@git.test/plain.git", "main")
			if got := tt.through.seen(); got != "git.test:22 git.test:22" && got != "git.test:22" {
				t.Errorf("the proxy saw %q", got)
			}
			expectTold(t, told(t, newSources(t, Options{}), "https://git.test/app.git", &cred),
				"dns: 127.0.0.1 (proxy)", "tcp: "+tt.through.address+" (proxy)", `tls: TLS 1.3, certificate "git.test"…`, "auth: …", "ls-remote: …")
			expectTold(t, told(t, newSources(t, Options{}), "ssh://git@git.test/plain.git", &overSSH), "dns: …", "tcp: …", "ssh: …", "auth: user git", "ls-remote: …")
		})
	}
	for name, tt := range map[string]struct{ url, proxy, noProxy, code string }{
		"password missing":       {"https://git.test/app.git", "http://" + closed.address, "", "proxy_refused"},
		"password missing, ssh":  {"ssh://git@git.test/plain.git", "http://" + closed.address, "", "proxy_refused"},
		"unknown to it":          {"https://other.test/app.git", open.url("http"), "", "proxy_refused"},
		"unknown to it, socks":   {"ssh://git@other.test/plain.git", socks.url("socks5"), "", "proxy_refused"},
		"not for this host":      {"https://git.test/app.git", open.url("http"), "git.test", "git_unavailable"},
		"not for this host, ssh": {"ssh://git@git.test/plain.git", open.url("http"), "git.test", "git_unavailable"},
		"scheme":                 {"https://git.test/app.git", "ftp://" + open.address, "", "proxy_invalid"},
		"no URL":                 {"https://git.test/app.git", "CANARY", "", "proxy_invalid"},
		"metadata":               {"https://169.254.169.254/app.git", open.url("http"), "", "address_blocked"},
		"metadata, ssh":          {"ssh://git@169.254.169.254/app.git", open.url("http"), "", "address_blocked"},
		"metadata, IPv6":         {"https://[::ffff:169.254.169.254]/app.git", socks.url("socks5"), "", "address_blocked"},
		"proxy is blocked":       {"https://git.test/app.git", "http://169.254.169.254:80", "", "address_blocked"},
	} {
		t.Run(name, func(t *testing.T) {
			cred := sshCred
			cred.CABundle, cred.Proxy, cred.NoProxy = pair.authority, tt.proxy, tt.noProxy
			open.seen()
			err := newSources(t, Options{}).Check(t.Context(), tt.url, &cred)
			if !fault.HasCode(err, tt.code) || strings.Contains(err.Error(), "CANARY") {
				t.Errorf("got %v", err)
			}
			if got := open.seen(); got != "" && tt.code != "proxy_refused" {
				t.Errorf("the proxy saw %q", got)
			}
		})
	}
}
