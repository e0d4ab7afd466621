package hostile

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/agent/link"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/wire"
)

// agentFails runs the agent's own link with a token against an address, until it
// fails with a code, and answers its log.
func agentFails(t *testing.T, code string, change func(*link.Options)) (log *logs, err error) {
	t.Helper()
	log = &logs{}
	o := link.Options{
		Identity: link.FileIdentity{Path: t.TempDir() + "/identity"}, Handler: nobody{}, Proxy: link.ProxyDirect, AgentVersion: "test",
		BackoffBase: 10 * time.Millisecond, HandshakeTimeout: 2 * time.Second, Now: time.Now,
		Log: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	change(&o)
	l, err := link.New(o)
	if err != nil {
		if !fault.HasCode(err, code) {
			t.Errorf("got %v, want %s", err, code)
		}
		return log, err
	}
	ctx, cancel := context.WithCancel(within(t))
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	await(t, "the agent to fail with "+code, func() bool {
		select {
		case err = <-done:
			done <- err
		default:
			err = l.Status().LastError
		}
		return fault.HasCode(err, code)
	})
	cancel()
	<-done
	if l.Status().Enrolled {
		t.Error("it has enrolled")
	}
	return log, err
}

// nobody is a handler that is never reached.
type nobody struct{ link.Handler }

// A hub that is not ours, by whatever certificate and protocol, gets no token and
// no identity, and the agent says whose certificate it met and whose it wants.
func TestE07_AHubThatIsNotOursGetsNothing(t *testing.T) {
	w := newWorld(t, nil)
	pin := w.authority.Hash()
	issue := func(issuer string, change func(leaf *x509.Certificate)) tls.Certificate {
		caKey, err := Key()
		must(t, err)
		ca := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: issuer}, IsCA: true, BasicConstraintsValid: true,
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign}
		caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey)
		must(t, err)
		key, err := Key()
		must(t, err)
		leaf := &x509.Certificate{SerialNumber: big.NewInt(2), DNSNames: []string{model.EnrolServerName, model.AgentServerName},
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
		change(leaf)
		der, err := x509.CreateCertificate(rand.Reader, leaf, ca, key.Public(), caKey)
		must(t, err)
		return tls.Certificate{Certificate: [][]byte{der, caDER}, PrivateKey: key}
	}
	none := func(*x509.Certificate) {}
	zscaler := issue("Zscaler Intermediate Root CA", none)
	// Ours in the chain, and signed by another.
	beside := issue("Hawser", none)
	beside.Certificate = append(beside.Certificate[:1:1], w.authority.Certificate().Raw)
	agents, err := w.authority.AgentServer().Get(nil)
	must(t, err)
	web, err := w.authority.IssueServer("hub.example")
	must(t, err)
	token := w.token("eu", time.Hour)
	for name, c := range map[string]struct {
		config *tls.Config
		code   string
		says   []string
	}{
		"a proxy that decrypts": {&tls.Config{Certificates: []tls.Certificate{zscaler}, NextProtos: []string{"h2"}}, "hub_identity_changed", []string{"Zscaler Intermediate Root CA", pin}},
		"our CA beside another": {&tls.Config{Certificates: []tls.Certificate{beside}, NextProtos: []string{"h2"}}, "hub_identity_changed", []string{pin}},
		"our hub for browsers":  {&tls.Config{Certificates: []tls.Certificate{*web}, NextProtos: []string{"h2"}}, "hub_certificate_invalid", []string{model.EnrolServerName}},
		"without HTTP/2":        {&tls.Config{Certificates: []tls.Certificate{*agents}, NextProtos: []string{"http/1.1"}}, "hub_protocol", nil},
		"without ALPN":          {&tls.Config{Certificates: []tls.Certificate{*agents}}, "hub_protocol", nil},
		"with TLS 1.2 at most":  {&tls.Config{Certificates: []tls.Certificate{*agents}, NextProtos: []string{"h2"}, MaxVersion: tls.VersionTLS12}, "hub_handshake_failed", nil},
		"without TLS":           {nil, "hub_not_tls", nil},
	} {
		t.Run(name, func(t *testing.T) {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			must(t, err)
			var mu sync.Mutex
			var heard strings.Builder
			var wg sync.WaitGroup
			wg.Go(func() {
				for {
					raw, err := ln.Accept()
					if err != nil {
						return
					}
					wg.Go(func() {
						defer raw.Close()
						conn := raw
						if c.config != nil {
							conn = tls.Server(raw, c.config)
						} else {
							io.WriteString(raw, "HTTP/1.1 400 Bad Request\r\n\r\n")
						}
						conn.SetDeadline(time.Now().Add(2 * time.Second))
						b, _ := io.ReadAll(conn)
						mu.Lock()
						heard.Write(b)
						mu.Unlock()
					})
				}
			})
			log, err := agentFails(t, c.code, func(o *link.Options) { o.Address, o.Token, o.CAHash = ln.Addr().String(), token, pin })
			for _, s := range c.says {
				if !strings.Contains(err.Error(), s) {
					t.Errorf("the error does not name %q: %v", s, err)
				}
			}
			ln.Close()
			wg.Wait()
			if strings.Contains(heard.String(), token) || log.line(token) {
				t.Error("the token was told")
			}
		})
	}
	// Expired, as the agent's clock has it.
	agentFails(t, "hub_certificate_time", func(o *link.Options) {
		o.Address, o.Token, o.CAHash = w.address, token, pin
		o.Now = func() time.Time { return time.Now().Add(10 * 365 * 24 * time.Hour) }
	})
	key, err := Key()
	must(t, err)
	csr, err := CSR(key, nil)
	must(t, err)
	if _, err := w.enrol(token, "eu", csr); err != nil {
		t.Errorf("the token was spent: %v", err)
	}
	if wire.CAHash(w.authority.Certificate()) != pin {
		t.Error("the pin is not the CA's")
	}
}

// Proxies: with a user, with another's, for some hosts only. Nothing that is
// logged has the password, and a refusal says what to do.
func TestE13_Proxies(t *testing.T) {
	w := newWorld(t, nil)
	pin := w.authority.Hash()
	const password = "p@ss-w0rd"
	var asked sync.Map
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				r, err := http.ReadRequest(bufio.NewReader(conn))
				if err != nil {
					return
				}
				asked.Store(r.Method+" "+r.Host, true)
				if r.Header.Get("Proxy-Authorization") != "Basic "+base64.StdEncoding.EncodeToString([]byte("agent:"+password)) {
					io.WriteString(conn, "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: NTLM\r\nContent-Length: 0\r\n\r\n")
					return
				}
				up, err := net.Dial("tcp", r.Host)
				if err != nil {
					return
				}
				defer up.Close()
				io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n")
				go func() { io.Copy(up, conn); up.Close() }()
				io.Copy(conn, up)
			}()
		}
	}()
	proxy := "http://agent:" + "p%40ss-w0rd" + "@" + ln.Addr().String()
	// With the right user the hub is reached: it refuses the token by name.
	wrong := newWorld(t, nil).token("eu", time.Hour)
	log, _ := agentFails(t, "enrolment_token_unknown", func(o *link.Options) { o.Address, o.CAHash, o.Token, o.Proxy = w.address, pin, wrong, proxy })
	if _, ok := asked.Load("CONNECT " + w.address); !ok {
		t.Error("the proxy was not asked")
	}
	for _, secret := range []string{password, "p%40ss-w0rd", base64.StdEncoding.EncodeToString([]byte("agent:" + password))} {
		if log.line(secret) {
			t.Error("the password is in the log")
		}
	}
	log, err = agentFails(t, "proxy_auth_failed", func(o *link.Options) {
		o.Address, o.CAHash, o.Token, o.Proxy = w.address, pin, wrong, "http://agent:s3cret@"+ln.Addr().String()
	})
	if strings.Contains(err.Error(), "s3cret") || log.line("s3cret") || !strings.Contains(err.Error(), "407") {
		t.Errorf("refused with %v", err)
	}
	// From the environment, and not for hosts that are left out.
	asked.Clear()
	t.Setenv("HTTPS_PROXY", proxy)
	t.Setenv("NO_PROXY", "hub.example")
	_, port, err := net.SplitHostPort(w.address)
	must(t, err)
	agentFails(t, "hub_unreachable", func(o *link.Options) { o.Address, o.CAHash, o.Token, o.Proxy = "hub.example:"+port, pin, wrong, "" })
	asked.Range(func(k, _ any) bool { t.Errorf("the proxy was asked for %v", k); return true })
	_, err = agentFails(t, "proxy_unreachable", func(o *link.Options) { o.Address, o.CAHash, o.Token, o.Proxy = "hub.invalid:"+port, pin, wrong, "" })
	if _, ok := asked.Load("CONNECT hub.invalid:" + port); !ok || strings.Contains(err.Error(), password) {
		t.Errorf("the proxy was not asked, or the password told: %v", err)
	}
}
