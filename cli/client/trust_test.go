package client

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/wire"
)

// authority is a hub's own CA.
type authority struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "hub CA"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	return authority{key, sign(t, template, template, key, key)}
}

func sign(t *testing.T, template, parent *x509.Certificate, key, parentKey *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, parentKey)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// serve starts a hub whose leaf is for host, valid until the time.
func (a authority) serve(t *testing.T, host string, until time.Time, h http.Handler) *httptest.Server {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: until,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if ip := net.ParseIP(host); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{host}
	}
	leaf := sign(t, template, a.cert, key, a.key)
	srv := httptest.NewUnstartedServer(h)
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{leaf.Raw, a.cert.Raw}, PrivateKey: key}}}
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return srv
}

func TestTrust(t *testing.T) {
	own, other := newAuthority(t), newAuthority(t)
	pin, wrong := wire.CAHash(own.cert), wire.CAHash(other.cert)
	soon, past := time.Now().Add(time.Hour), time.Now().Add(-time.Hour)
	for _, c := range []struct {
		name, host, pin string
		until           time.Time
		code            string
		says            []string
	}{
		{name: "the pinned CA", host: "127.0.0.1", pin: pin, until: soon},
		{name: "another CA", host: "127.0.0.1", pin: wrong, until: soon, code: "hub_not_trusted", says: []string{"expected " + wrong, "got " + pin}},
		{name: "another host", host: "hub.example.org", pin: pin, until: soon, code: "hub_not_trusted", says: []string{"expected 127.0.0.1", "got hub.example.org"}},
		{name: "expired", host: "127.0.0.1", pin: pin, until: past, code: "hub_not_trusted", says: []string{"not valid"}},
		{name: "no pin", host: "127.0.0.1", until: soon, code: "hub_not_trusted", says: []string{"does not trust"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			asked := false
			srv := own.serve(t, c.host, c.until, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked = true
				if got := r.Header.Get("Authorization"); got != "Bearer hwt_secret" {
					t.Errorf("Authorization %q", got)
				}
				io.WriteString(w, `{"name":"ana"}`)
			}))
			api, err := New(Hub{URL: srv.URL, CAHash: c.pin, Token: "hwt_secret"})
			if err != nil {
				t.Fatal(err)
			}
			var who struct{ Name string }
			err = api.Get(t.Context(), "/whoami", &who)
			if c.code == "" {
				if err != nil || who.Name != "ana" {
					t.Fatalf("%+v, %v", who, err)
				}
				return
			}
			e := fault.As(err)
			if e.Code != c.code || e.Kind != fault.Invalid || e.Fix == "" {
				t.Errorf("%+v", e)
			}
			for _, s := range c.says {
				if !strings.Contains(e.Message, s) {
					t.Errorf("%q does not say %q", e.Message, s)
				}
			}
			if len([]rune(e.Message)) > 300 {
				t.Errorf("a message of %d characters", len(e.Message))
			}
			if asked {
				t.Error("the token was sent to a hub that is not trusted")
			}
		})
	}
}

func TestNobodyThere(t *testing.T) {
	srv := httptest.NewTLSServer(http.NotFoundHandler())
	srv.Close()
	api, err := New(Hub{URL: srv.URL})
	if err != nil {
		t.Fatal(err)
	}
	if err := api.Get(t.Context(), "/hub", nil); !fault.HasCode(err, "hub_unreachable") || !fault.Is(err, fault.Unavailable) {
		t.Errorf("%v", err)
	}
}

func TestAddressOfAHub(t *testing.T) {
	for _, bad := range []string{"", "http://hub:1", "https://", "hub", "https://a b"} {
		if _, err := New(Hub{URL: bad}); !fault.HasCode(err, "hub_url_invalid") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
