package ca

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/wire"
)

type safe struct {
	mu     sync.Mutex
	values map[string][]byte
	err    error
}

func (s *safe) Secret(_ context.Context, name string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return nil, s.err
	}
	if v, ok := s.values[name]; ok {
		return v, nil
	}
	return nil, fault.New(fault.NotFound, "secret_not_found", "none")
}

func (s *safe) PutSecretOnce(_ context.Context, name string, v []byte) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old, ok := s.values[name]; ok {
		return old, nil
	}
	if s.values == nil {
		s.values = map[string][]byte{}
	}
	s.values[name] = v
	return v, nil
}

func load(t *testing.T, s *safe, o Options) *Authority {
	t.Helper()
	a, err := Load(t.Context(), s, o)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestLoadMakesOneAuthorityAndKeepsIt(t *testing.T) {
	s := &safe{}
	hashes := make([]string, 8)
	var wg sync.WaitGroup
	for i := range hashes {
		wg.Go(func() {
			if a, err := Load(context.Background(), s, Options{}); err == nil {
				hashes[i] = a.Hash()
			}
		})
	}
	wg.Wait()
	for _, h := range hashes {
		if h == "" || h != hashes[0] {
			t.Fatalf("replicas disagree: %v", hashes)
		}
	}
	if got := load(t, s, Options{}).Hash(); got != hashes[0] {
		t.Errorf("loaded again: %s", got)
	}
}

func TestLoadNeverReplacesWhatItCannotRead(t *testing.T) {
	away := &safe{err: fault.New(fault.Unavailable, "db_unavailable", "away")}
	if _, err := Load(t.Context(), away, Options{}); !fault.HasCode(err, "db_unavailable") {
		t.Errorf("got %v", err)
	}
	broken := &safe{values: map[string][]byte{SecretName: []byte("garbage")}}
	if _, err := Load(t.Context(), broken, Options{}); !fault.HasCode(err, "ca_damaged") {
		t.Errorf("got %v", err)
	}
	two := &safe{}
	load(t, two, Options{})
	other := &safe{}
	load(t, other, Options{})
	key, _ := pem.Decode(two.values[SecretName])
	_, rest := pem.Decode(other.values[SecretName])
	mixed := &safe{values: map[string][]byte{SecretName: append(pem.EncodeToMemory(key), rest...)}}
	if _, err := Load(t.Context(), mixed, Options{}); !fault.HasCode(err, "ca_damaged") {
		t.Errorf("key and certificate of two authorities: %v", err)
	}
	if len(away.values) > 0 || string(broken.values[SecretName]) != "garbage" {
		t.Error("something was written")
	}
}

func request(t *testing.T, key crypto.Signer, change func(*x509.CertificateRequest)) []byte {
	t.Helper()
	req := &x509.CertificateRequest{}
	if change != nil {
		change(req)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, req, key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
}

func ec(t testing.TB, c elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(c, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func leaf(t *testing.T, c ClientCertificate) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode(c.PEM)
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func TestKeysThatAreAccepted(t *testing.T) {
	a := load(t, &safe{}, Options{})
	_, edKey, _ := ed25519.GenerateKey(rand.Reader)
	rsa2048, _ := rsa.GenerateKey(rand.Reader, 2048)
	for name, csr := range map[string][]byte{
		"P-256": request(t, ec(t, elliptic.P256()), nil), "P-384": request(t, ec(t, elliptic.P384()), nil),
		"Ed25519": request(t, edKey, nil), "RSA 2048": request(t, rsa2048, nil),
	} {
		if _, err := a.IssueClient("c", csr); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	good := request(t, ec(t, elliptic.P256()), nil)
	tampered := append([]byte{}, good...)
	block, _ := pem.Decode(tampered)
	block.Bytes[len(block.Bytes)-1] ^= 1
	t.Setenv("GODEBUG", "rsa1024min=0")
	rsa1024, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	for name, csr := range map[string][]byte{
		"nothing": nil, "text": []byte("hello"), "two": append(append([]byte{}, good...), good...),
		"a certificate": a.PEM(), "tampered": pem.EncodeToMemory(block), "P-224": request(t, ec(t, elliptic.P224()), nil),
		"RSA 1024": request(t, rsa1024, nil), "huge": append(good, make([]byte, 20<<10)...),
	} {
		if _, err := a.IssueClient("c", csr); !fault.HasCode(err, "csr_invalid") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestTheRequestsSubjectIsIgnored(t *testing.T) {
	a := load(t, &safe{}, Options{})
	u, _ := url.Parse("hawser://cluster/victim")
	c, err := a.IssueClient("mine", request(t, ec(t, elliptic.P256()), func(r *x509.CertificateRequest) {
		r.Subject = pkix.Name{CommonName: "admin", Organization: []string{"system:masters"}}
		r.DNSNames, r.URIs = []string{"hub.example"}, []*url.URL{u}
	}))
	if err != nil {
		t.Fatal(err)
	}
	cert := leaf(t, c)
	if cert.Subject.CommonName != "hawser agent mine" || len(cert.Subject.Organization)+len(cert.DNSNames) > 0 || cert.IsCA {
		t.Errorf("certificate %+v", cert.Subject)
	}
	id, expired, err := a.VerifyClient([]*x509.Certificate{cert})
	if err != nil || expired || id.Cluster != "mine" || id.Serial != c.Serial || id.Serial != cert.SerialNumber.Text(16) {
		t.Errorf("identity %+v, %v", id, err)
	}
	for _, bad := range []string{"", "a/b", "a?b"} {
		if _, err := a.IssueClient(model.ClusterID(bad), request(t, ec(t, elliptic.P256()), nil)); err == nil {
			t.Errorf("issued for %q", bad)
		}
	}
}

func TestVerifyClient(t *testing.T) {
	now := time.Now()
	clock := func() time.Time { return now }
	s := &safe{}
	a := load(t, s, Options{Now: clock})
	key := ec(t, elliptic.P256())
	issued, err := a.IssueClient("c", request(t, key, nil))
	if err != nil {
		t.Fatal(err)
	}
	good := leaf(t, issued)
	impostor := load(t, &safe{}, Options{Now: clock}) // same subject, other key
	sign := func(parent *x509.Certificate, signer crypto.Signer, change func(*x509.Certificate)) *x509.Certificate {
		c := &x509.Certificate{SerialNumber: big.NewInt(7), NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, URIs: good.URIs, BasicConstraintsValid: true}
		change(c)
		der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
		if err != nil {
			t.Fatal(err)
		}
		out, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	odd := func(raw string) []*url.URL {
		u, err := url.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		return []*url.URL{u}
	}
	none := func(*x509.Certificate) {}
	for name, c := range map[string]struct {
		chain []*x509.Certificate
		code  string
	}{
		"none":                    {nil, "certificate_missing"},
		"another authority":       {[]*x509.Certificate{sign(impostor.cert, impostor.key, none)}, "certificate_unknown_ca"},
		"signed by an agent":      {[]*x509.Certificate{sign(good, key, none), good}, "certificate_unknown_ca"},
		"ours behind a stranger":  {[]*x509.Certificate{sign(impostor.cert, impostor.key, none), good}, "certificate_unknown_ca"},
		"the authority itself":    {[]*x509.Certificate{a.cert}, "certificate_not_an_agents"},
		"a server's":              {[]*x509.Certificate{sign(a.cert, a.key, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })}, "certificate_not_an_agents"},
		"any usage":               {[]*x509.Certificate{sign(a.cert, a.key, func(c *x509.Certificate) { c.ExtKeyUsage = nil })}, "certificate_not_an_agents"},
		"two names":               {[]*x509.Certificate{sign(a.cert, a.key, func(c *x509.Certificate) { c.URIs = append(odd("hawser://cluster/x"), odd("hawser://cluster/y")...) })}, "certificate_not_an_agents"},
		"a DNS name beside it":    {[]*x509.Certificate{sign(a.cert, a.key, func(c *x509.Certificate) { c.DNSNames = []string{"x"} })}, "certificate_not_an_agents"},
		"no cluster in it":        {[]*x509.Certificate{sign(a.cert, a.key, func(c *x509.Certificate) { c.URIs = odd("hawser://cluster/") })}, "certificate_not_an_agents"},
		"another scheme":          {[]*x509.Certificate{sign(a.cert, a.key, func(c *x509.Certificate) { c.URIs = odd("spiffe://cluster/c") })}, "certificate_not_an_agents"},
		"a query behind the name": {[]*x509.Certificate{sign(a.cert, a.key, func(c *x509.Certificate) { c.URIs = odd("hawser://cluster/c?x=1") })}, "certificate_not_an_agents"},
	} {
		if _, _, err := a.VerifyClient(c.chain); !fault.HasCode(err, c.code) {
			t.Errorf("%s: got %v, want %s", name, err, c.code)
		}
	}
	day := 24 * time.Hour
	for at, want := range map[time.Duration]struct {
		expired bool
		code    string
	}{
		-2 * time.Hour:    {false, "certificate_not_yet_valid"},
		-30 * time.Minute: {},
		29 * day:          {},
		31 * day:          {true, ""},
		119 * day:         {true, ""},
		121 * day:         {false, "certificate_expired"},
	} {
		then := load(t, s, Options{Now: func() time.Time { return now.Add(at) }})
		id, expired, err := then.VerifyClient([]*x509.Certificate{good})
		if want.code != "" {
			if !fault.HasCode(err, want.code) {
				t.Errorf("after %s: got %v", at, err)
			}
		} else if err != nil || expired != want.expired || id.Cluster != "c" {
			t.Errorf("after %s: %+v, %v, %v", at, id, expired, err)
		}
	}
}

func TestServerCertificatesRenewThemselves(t *testing.T) {
	now := time.Now()
	a := load(t, &safe{}, Options{Now: func() time.Time { return now }})
	s := a.Server("127.0.0.1", "hub.example")
	first, err := s.Get(nil)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(a.Certificate())
	for _, name := range []string{"127.0.0.1", "hub.example"} {
		if _, err := first.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: name, CurrentTime: now}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	var wrong x509.HostnameError
	if _, err := first.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: "other.example", CurrentTime: now}); !errors.As(err, &wrong) {
		t.Errorf("another name: %v", err)
	}
	if again, _ := s.Get(nil); again != first {
		t.Error("made anew for each handshake")
	}
	now = now.Add(61 * 24 * time.Hour)
	if later, _ := s.Get(nil); later == first || later.Leaf.NotAfter.Before(now.Add(80*24*time.Hour)) {
		t.Error("not renewed after two thirds of its life")
	}
}

func TestIncarnationSignatures(t *testing.T) {
	a, b := load(t, &safe{}, Options{}), load(t, &safe{}, Options{})
	sig, err := a.SignIncarnation("hub", 3)
	if err != nil {
		t.Fatal(err)
	}
	if err := wire.VerifyIncarnation(a.Certificate(), "hub", 3, sig); err != nil {
		t.Error(err)
	}
	for name, err := range map[string]error{
		"another number": wire.VerifyIncarnation(a.Certificate(), "hub", 4, sig),
		"another hub":    wire.VerifyIncarnation(a.Certificate(), "hub\n3", 3, sig),
		"another CA":     wire.VerifyIncarnation(b.Certificate(), "hub", 3, sig),
		"none":           wire.VerifyIncarnation(a.Certificate(), "hub", 3, nil),
	} {
		if !fault.HasCode(err, "incarnation_signature_invalid") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
