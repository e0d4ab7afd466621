package source

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/e2e/testbed"
	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
)

// keyPair is a certificate of a new authority and its key, both in PEM.
type keyPair struct{ cert, key, authority string }

// issue makes an authority and a certificate for a server or a client.
func issue(t *testing.T, name string, usage x509.ExtKeyUsage) keyPair {
	t.Helper()
	pemOf := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	newKey := func() *ecdsa.PrivateKey {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	caKey, key := newKey(), newKey()
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name + " authority"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{usage}, DNSNames: []string{name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, ca, key.Public(), caKey)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return keyPair{pemOf("CERTIFICATE", der), pemOf("PRIVATE KEY", keyDER), pemOf("CERTIFICATE", caDER)}
}

// startTLS serves a handler with a certificate of its own authority.
func startTLS(t *testing.T, h http.Handler, clients string) (url string, pair keyPair) {
	t.Helper()
	pair = issue(t, "git.test", x509.ExtKeyUsageServerAuth)
	cert, err := tls.X509KeyPair([]byte(pair.cert), []byte(pair.key))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(h)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	if clients != "" {
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM([]byte(clients))
		server.TLS.ClientAuth, server.TLS.ClientCAs = tls.RequireAndVerifyClientCert, pool
	}
	server.Config.ErrorLog = quiet()
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.URL, pair
}

func TestBearerToken(t *testing.T) {
	git := gitServer(t, testbed.GitOptions{})
	_, head := createRepo(t, git, "app", map[string]string{"a": "1"})
	url, pair := startTLS(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer CANARY-token" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		git.ServeHTTP(w, r)
	}), "")
	good := fleet.Credential{BearerToken: "CANARY-token", CABundle: pair.authority}
	if got := mustResolve(t, newSources(t, always(good)), url+"/app.git", "main"); got != head {
		t.Errorf("got %s", got)
	}
	wrong := fleet.Credential{BearerToken: "CANARY-other", CABundle: pair.authority}
	_, err := resolve(t.Context(), newSources(t, always(wrong)), url+"/app.git", "main")
	if !fault.HasCode(err, "git_auth_failed") || !strings.Contains(err.Error(), "bearer token") || strings.Contains(err.Error(), "CANARY") {
		t.Errorf("got %v", err)
	}
	plain := fleet.Credential{BearerToken: "CANARY-token"}
	if err := newSources(t, Options{}).Check(t.Context(), git.URL("app"), &plain); !fault.HasCode(err, "repo_insecure") {
		t.Errorf("a token over http: %v", err)
	}
	app := fleet.Credential{GitHubAppID: 1, GitHubAppPrivateKey: "CANARY"}
	if err := newSources(t, Options{}).Check(t.Context(), git.URL("app"), &app); !fault.HasCode(err, "repo_insecure") {
		t.Errorf("a GitHub App over http: %v", err)
	}
}

func TestClientCertificate(t *testing.T) {
	git := gitServer(t, testbed.GitOptions{})
	_, head := createRepo(t, git, "app", map[string]string{"a": "1"})
	client, stranger := issue(t, "hub", x509.ExtKeyUsageClientAuth), issue(t, "stranger", x509.ExtKeyUsageClientAuth)
	url, pair := startTLS(t, git, client.authority)
	url += "/app.git"
	good := fleet.Credential{ClientCert: client.cert, ClientKey: client.key, CABundle: pair.authority}
	if got := mustResolve(t, newSources(t, always(good)), url, "main"); got != head {
		t.Errorf("got %s", got)
	}
	for name, tt := range map[string]struct {
		cred fleet.Credential
		code string
	}{
		"none":                {fleet.Credential{CABundle: pair.authority}, "git_unavailable"},
		"of another":          {fleet.Credential{ClientCert: stranger.cert, ClientKey: stranger.key, CABundle: pair.authority}, "git_unavailable"},
		"key of another":      {fleet.Credential{ClientCert: client.cert, ClientKey: stranger.key, CABundle: pair.authority}, "client_certificate_invalid"},
		"rubbish":             {fleet.Credential{ClientCert: "CANARY", ClientKey: "CANARY"}, "client_certificate_invalid"},
		"authority unknown":   {fleet.Credential{ClientCert: client.cert, ClientKey: client.key}, "git_tls_untrusted"},
		"not verified at all": {fleet.Credential{ClientCert: client.cert, ClientKey: client.key, InsecureSkipVerify: true}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			err := newSources(t, Options{}).Check(t.Context(), url, &tt.cred)
			if tt.code == "" && err != nil || tt.code != "" && !fault.HasCode(err, tt.code) || err != nil && strings.Contains(err.Error(), "CANARY") {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestTheServerOfARedirectGetsNeitherCertificateNorTrust(t *testing.T) {
	git := gitServer(t, testbed.GitOptions{})
	_, head := createRepo(t, git, "app", map[string]string{"a": "1"})
	client := issue(t, "hub", x509.ExtKeyUsageClientAuth)
	var shown, authorized int
	// It asks for a certificate and takes whatever comes.
	other, otherPair := startTLS(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		shown += len(r.TLS.PeerCertificates)
		if r.Header.Get("Authorization") != "" {
			authorized++
		}
		git.ServeHTTP(w, r)
	}), "")
	front, pair := startTLS(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other+r.URL.RequestURI(), http.StatusMovedPermanently)
	}), client.authority)
	cred := fleet.Credential{
		Username: "robot", Password: "CANARY", ClientCert: client.cert, ClientKey: client.key, CABundle: pair.authority + otherPair.authority,
	}
	if got := mustResolve(t, newSources(t, always(cred)), front+"/app.git", "main"); got != head {
		t.Errorf("got %s", got)
	}
	if shown > 0 || authorized > 0 {
		t.Errorf("the other server saw %d certificates and %d credentials", shown, authorized)
	}
	skip := fleet.Credential{ClientCert: client.cert, ClientKey: client.key, InsecureSkipVerify: true}
	if err := newSources(t, Options{}).Check(t.Context(), front+"/app.git", &skip); !fault.HasCode(err, "git_tls_untrusted") {
		t.Errorf("the other server is trusted: %v", err)
	}
}

func TestRedirectsThatAreRefused(t *testing.T) {
	var to string
	front, pair := startTLS(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, strings.ReplaceAll(to, "PATH", r.URL.RequestURI()), http.StatusFound)
	}), "")
	s := newSources(t, always(fleet.Credential{CABundle: pair.authority}))
	for _, tt := range []struct{ to, code string }{
		{"http://127.0.0.1:1PATH", "git_redirect_refused"},
		{"file:///etc/info/refs?service=git-upload-pack", "git_redirect_refused"},
		{"https://169.254.169.254PATH", "address_blocked"},
		{"https://[::ffff:169.254.169.254]PATH", "address_blocked"},
		{front + "/login", "git_not_git"},
		{front + "PATH", "git_unavailable"}, // for ever
	} {
		to = tt.to
		if _, err := resolve(t.Context(), s, front+"/app.git", "main"); !fault.HasCode(err, tt.code) {
			t.Errorf("%s: %v", tt.to, err)
		}
	}
}
