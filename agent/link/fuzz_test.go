package link

import (
	"context"
	"io"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/shared/fault"
)

// answering is a connection whose other end says what it was given.
type answering struct {
	net.Conn
	in io.Reader
}

func (a answering) Read(b []byte) (int, error)  { return a.in.Read(b) }
func (a answering) Write(b []byte) (int, error) { return len(b), nil }
func (answering) SetDeadline(time.Time) error   { return nil }
func (answering) Close() error                  { return nil }

// Whatever a proxy answers, it is a connection or an error with a name, and the
// error has not the password.
func FuzzProxyAnswer(f *testing.F) {
	for _, s := range []string{"HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 407 x\r\nProxy-Authenticate: NTLM\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", "HTTP/1.1 101 x\r\n\r\n", "SSH-2.0"} {
		f.Add([]byte(s))
	}
	proxy := &url.URL{Scheme: "http", Host: "proxy.example:3128", User: url.UserPassword("agent", "s3cret-s3cret")}
	f.Fuzz(func(t *testing.T, b []byte) {
		d := &dialer{address: "hub.example:443"}
		conn, err := d.tunnel(context.Background(), answering{in: strings.NewReader(string(b))}, proxy)
		switch {
		case (conn == nil) == (err == nil):
			t.Errorf("%v and %v", conn, err)
		case err != nil && (fault.As(err).Code == "internal" || !strings.Contains(string(b), "s3cret-s3cret") && strings.Contains(err.Error(), "s3cret-s3cret")):
			t.Errorf("refused with %v", err)
		}
	})
}

// An identity that a hub issued, or that was stored, is understood or refused
// with a name.
func FuzzIdentity(f *testing.F) {
	key, csr, err := newKey()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(key, csr, csr)
	f.Fuzz(func(t *testing.T, key, certificate, ca []byte) {
		p, err := parseIdentity(Identity{Cluster: "c", KeyPEM: key, CertificatePEM: certificate, CAPEM: ca})
		if (err == nil) != (p.leaf != nil) || err != nil && fault.As(err).Code == "" {
			t.Errorf("%+v, %v", p, err)
		}
	})
}
