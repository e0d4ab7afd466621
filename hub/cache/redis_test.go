package cache

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/e2e/testbed"
	"github.com/hawser-dev/hawser/shared/fault"
)

func TestARedisThatHangsIsSoonNotAskedAnyMore(t *testing.T) {
	server := testbed.NeedRedis(t, testbed.RedisOptions{})
	now, seen, lines := newClock(), &counts{}, &logged{}
	r := open(t, RedisOptions{Address: at(server), Observer: seen, Log: lines.logger(), Now: now.now, Timeout: 50 * time.Millisecond})
	// A machine that is busy may take longer than this timeout.
	for deadline := time.Now().Add(20 * time.Second); ; {
		r.Put(t.Context(), things, "a", []byte("one"))
		if _, ok := r.Get(t.Context(), things, "a"); ok {
			break
		}
		if now.forward(maxPause); time.Now().After(deadline) {
			t.Fatal("it never answers")
		}
	}
	before := seen.of("redis/things/error")
	server.Hang()
	defer server.Wake()
	start := time.Now()
	for range 1000 {
		wantNone(t, r, things, "a")
	}
	// Three waits; 997 would take almost a minute.
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("a thousand looks took %v", took)
	}
	if n := seen.of("redis/things/error") - before; n != 1000 {
		t.Errorf("%d errors", n)
	}
	if n := strings.Count(lines.String(), "cache_unreachable"); n != 1 {
		t.Errorf("%d lines: %s", n, lines)
	}
	if err := r.Ping(t.Context()); !fault.HasCode(err, "cache_unreachable") {
		t.Errorf("ping: %v", err)
	}
	server.Wake()
	for deadline := time.Now().Add(20 * time.Second); ; now.forward(maxPause) {
		if _, ok := r.Get(t.Context(), things, "a"); ok {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("it is never asked again")
		}
	}
	if !strings.Contains(lines.String(), "answers again") {
		t.Errorf("%s", lines)
	}
}

func TestARedisThatIsLostAndComesBackEmpty(t *testing.T) {
	server := testbed.NeedRedis(t, testbed.RedisOptions{})
	now := newClock()
	r := open(t, RedisOptions{Address: at(server), Now: now.now})
	r.Put(t.Context(), things, "a", []byte("one"))
	want(t, r, things, "a", "one")
	server.Kill()
	for range 2 * breakAfter {
		wantNone(t, r, things, "a")
		r.Put(t.Context(), things, "a", []byte("two"))
	}
	if err := server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	now.forward(maxPause)
	wantNone(t, r, things, "a") // empty, and it is asked again
	r.Put(t.Context(), things, "a", []byte("three"))
	want(t, r, things, "a", "three")
	if err := intruder(t, server).FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	wantNone(t, r, things, "a")
	if err := r.Ping(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestBreaker(t *testing.T) {
	now := time.Unix(0, 0)
	var b breaker
	for i := range breakAfter {
		if !b.allow(now) {
			t.Fatalf("closed after %d", i)
		}
		if broke := b.fail(now); broke != (i == breakAfter-1) {
			t.Errorf("%d: %v", i, broke)
		}
	}
	for pause := minPause; pause < 4*maxPause; pause *= 2 {
		wait := min(pause, maxPause)
		if b.allow(now.Add(wait - 1)) {
			t.Errorf("asked before %v", wait)
		}
		now = now.Add(wait)
		if !b.allow(now) || b.allow(now) {
			t.Errorf("after %v not exactly one asks", wait)
		}
		b.fail(now)
	}
	now = now.Add(maxPause)
	b.allow(now)
	b.givenUp()
	if !b.allow(now) {
		t.Error("the one who went away keeps others from asking")
	}
	if !b.succeeded() || b.succeeded() || !b.allow(now) || !b.allow(now) {
		t.Error("it does not mend")
	}
}

// certificates writes a CA and a server's certificate for 127.0.0.1.
func certificates(t *testing.T) (ca, cert, key string) {
	t.Helper()
	dir := t.TempDir()
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	make := func(c, parent *x509.Certificate, signer *ecdsa.PrivateKey) ([]byte, *ecdsa.PrivateKey) {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if signer == nil {
			signer = k
		}
		der, err := x509.CreateCertificate(rand.Reader, c, parent, &k.PublicKey, signer)
		if err != nil {
			t.Fatal(err)
		}
		return der, k
	}
	until := time.Now().Add(time.Hour)
	root := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ca"}, NotAfter: until, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	rootDER, rootKey := make(root, root, nil)
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), NotAfter: until, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	leafDER, leafKey := make(leaf, root, rootKey)
	keyDER, err := x509.MarshalPKCS8PrivateKey(leafKey)
	if err != nil {
		t.Fatal(err)
	}
	return write("ca.pem", "CERTIFICATE", rootDER), write("cert.pem", "CERTIFICATE", leafDER), write("key.pem", "PRIVATE KEY", keyDER)
}

func TestTLSAndPasswords(t *testing.T) {
	ca, cert, key := certificates(t)
	otherCA, _, _ := certificates(t)
	server := testbed.NeedRedis(t, testbed.RedisOptions{Password: "pa55", TLSCert: cert, TLSKey: key})
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("pa55\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		url, ca, file string
		works         bool
	}{
		"password in the URL":            {"rediss://:pa55@" + server.Addr() + "/1", ca, "", true},
		"user and password":              {"rediss://default:pa55@" + server.Addr(), ca, "", true},
		"password in a file":             {"rediss://default@" + server.Addr(), ca, file, true},
		"no password":                    {"rediss://" + server.Addr(), ca, "", false},
		"a wrong password":               {"rediss://:wrong@" + server.Addr(), ca, "", false},
		"a user who is none":             {"rediss://eve:pa55@" + server.Addr(), ca, "", false},
		"a CA that did not sign it":      {"rediss://:pa55@" + server.Addr(), otherCA, "", false},
		"the system's CAs":               {"rediss://:pa55@" + server.Addr(), "", "", false},
		"another name than signed":       {"rediss://:pa55@" + strings.Replace(server.Addr(), "127.0.0.1", "localhost", 1), ca, "", false},
		"no TLS, and no password for it": {"redis://:pa55@" + server.Addr(), "", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			address, err := ParseAddress(c.url, c.ca, c.file)
			if err != nil {
				t.Fatal(err)
			}
			lines := &logged{}
			r := open(t, RedisOptions{Address: address, Timeout: 3 * time.Second, Log: lines.logger()})
			for range breakAfter {
				r.Put(t.Context(), things, "a", []byte("one"))
			}
			if _, ok := r.Get(t.Context(), things, "a"); ok != c.works {
				t.Errorf("works: %v\n%s", ok, lines)
			}
			if err := r.Ping(t.Context()); (err == nil) != c.works {
				t.Errorf("ping: %v", err)
			}
			if text := lines.String(); strings.Contains(text, "pa55") || strings.Contains(text, "wrong") || (text == "") != c.works {
				t.Errorf("logged: %s", text)
			}
		})
	}
	t.Run("a password that changed is read again", func(t *testing.T) {
		address, err := ParseAddress("rediss://"+server.Addr(), ca, file)
		if err != nil {
			t.Fatal(err)
		}
		now := newClock()
		r := open(t, RedisOptions{Address: address, Now: now.now})
		if err := os.WriteFile(file, []byte("old"), 0o600); err != nil {
			t.Fatal(err)
		}
		wantNone(t, r, things, "a")
		if err := os.WriteFile(file, []byte("pa55"), 0o600); err != nil {
			t.Fatal(err)
		}
		now.forward(maxPause)
		r.Put(t.Context(), things, "b", []byte("two"))
		want(t, r, things, "b", "two")
	})
}

func TestParseAddress(t *testing.T) {
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for url, want := range map[string]Address{
		"redis://h":              {Host: "h:6379"},
		" redis://h:1/3\n":       {Host: "h:1", DB: 3},
		"redis://ann:s3cr@h/0":   {Host: "h:6379", user: "ann", password: "s3cr"},
		"redis://:s3%2Fcr@[::1]": {Host: "[::1]:6379", password: "s3/cr"},
	} {
		if got, err := ParseAddress(url, "", ""); err != nil || got != want {
			t.Errorf("%q: %+v %v", url, got, err)
		}
	}
	if a, err := ParseAddress("rediss://h", "", ""); err != nil || a.TLS == nil || a.TLS.ServerName != "h" {
		t.Errorf("%+v %v", a, err)
	}
	for _, bad := range [][3]string{
		{"", "", ""}, {"h:6379", "", ""}, {"http://h", "", ""}, {"redis://", "", ""}, {"redis://:s3cr@", "", ""}, {"redis://h/x", "", ""}, {"redis://h/-1", "", ""},
		{"redis://:s3cr@h:port", "", ""}, {"redis://:s3cr@h\x00", "", ""}, {"redis://:s3cr@h?db=1", "", ""}, {"redis://:s3cr@h#x", "", ""},
		{"redis://h", empty, ""}, {"rediss://h", empty, ""}, {"rediss://h", filepath.Join(dir, "none"), ""},
		{"redis://h", "", filepath.Join(dir, "none")}, {"redis://:s3cr@h", "", empty},
	} {
		if _, err := ParseAddress(bad[0], bad[1], bad[2]); !fault.HasCode(err, "config_invalid") || strings.Contains(err.Error(), "s3cr") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
