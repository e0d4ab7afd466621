// Package oidctest is an OpenID Connect provider for tests: discovery, keys,
// authorization codes with PKCE, the device flow, over TLS with a CA of its own. It
// keeps to the protocol unless a test has it lie. It is no part of the hub.
package oidctest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"maps"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Key signs ID tokens.
type Key struct {
	ID        string
	Algorithm jose.SignatureAlgorithm
	Private   crypto.Signer
	Public    any
}

// NewKey makes an ES256 key.
func NewKey(id string) Key {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return Key{id, jose.ES256, k, k.Public()}
}

// Provider is one. Its fields may be changed under Lock.
type Provider struct {
	sync.Mutex
	*httptest.Server
	// CA is what vouches for it, in PEM.
	CA string
	// ClientID and Secret of the one client, and where it may be sent back to.
	ClientID, Secret, RedirectURI string
	// Claims of whoever logs in, beside those that every token has.
	Claims map[string]any
	// Now is its clock.
	Now func() time.Time
	// Key signs; Published are the keys that it shows.
	Key       Key
	Published []Key
	// Document changes the discovery document, Token the claims and Answer what the
	// token endpoint answers, before each is sent.
	Document func(d map[string]any)
	Token    func(claims map[string]any)
	Answer   func(a map[string]any)
	// Raw replaces ID tokens.
	Raw func(claims map[string]any) string
	// Instead, by path, is asked before everything else; it reports whether it
	// answered.
	Instead map[string]func(w http.ResponseWriter, r *http.Request) bool
	// Refuse has logins refused with an error such as access_denied.
	Refuse string
	// NoIssuer leaves iss out of its answers (RFC 9207).
	NoIssuer bool

	asked   map[string]int
	codes   map[string]grant
	devices map[string]*deviceGrant // by device code
}

type grant struct{ challenge, nonce, redirect string }

type deviceGrant struct {
	userCode string
	approved bool
	denied   bool
}

// New starts a provider, which the caller closes.
func New() *Provider {
	p := &Provider{
		ClientID: "hawser", Secret: "client-secret-c4n4ry-of-the-test-provider", Now: time.Now, Key: NewKey("k1"),
		Claims:  map[string]any{"sub": "subject-1", "email": "ann@example.org", "email_verified": true, "groups": []string{"team-shop"}},
		Instead: map[string]func(http.ResponseWriter, *http.Request) bool{}, asked: map[string]int{}, codes: map[string]grant{}, devices: map[string]*deviceGrant{},
	}
	p.Published = []Key{p.Key}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", p.discovery)
	mux.HandleFunc("GET /keys", p.keys)
	mux.HandleFunc("GET /authorize", p.authorize)
	mux.HandleFunc("POST /token", p.token)
	mux.HandleFunc("POST /device/code", p.deviceCode)
	certificate, ca := certificate()
	p.CA = ca
	p.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.Lock()
		defer p.Unlock()
		p.asked[r.URL.Path]++
		if instead := p.Instead[r.URL.Path]; instead != nil && instead(w, r) {
			return
		}
		mux.ServeHTTP(w, r)
	}))
	p.Server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
	p.Server.Config.ErrorLog = log.New(io.Discard, "", 0)
	p.StartTLS()
	return p
}

// certificate of 127.0.0.1, by a CA of its own.
func certificate() (tls.Certificate, string) {
	must := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA of a provider"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(240 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey)
	must(err)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "provider"}, NotBefore: ca.NotBefore, NotAfter: ca.NotAfter,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	der, err := x509.CreateCertificate(rand.Reader, leaf, ca, key.Public(), caKey)
	must(err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: caDER}))
}

// Asked is how often a path was.
func (p *Provider) Asked(path string) int {
	p.Lock()
	defer p.Unlock()
	return p.asked[path]
}

// Change has fields changed while it serves.
func (p *Provider) Change(f func(p *Provider)) {
	p.Lock()
	defer p.Unlock()
	f(p)
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client may be gone
}

func (p *Provider) discovery(w http.ResponseWriter, _ *http.Request) {
	d := map[string]any{
		"issuer": p.URL, "authorization_endpoint": p.URL + "/authorize", "token_endpoint": p.URL + "/token", "jwks_uri": p.URL + "/keys",
		"device_authorization_endpoint": p.URL + "/device/code", "response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"},
		"id_token_signing_alg_values_supported": []string{"ES256"}, "code_challenge_methods_supported": []string{"S256"}, "authorization_response_iss_parameter_supported": !p.NoIssuer,
	}
	if p.Document != nil {
		p.Document(d)
	}
	answer(w, http.StatusOK, d)
}

func (p *Provider) keys(w http.ResponseWriter, _ *http.Request) {
	var set jose.JSONWebKeySet
	for _, k := range p.Published {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: k.Public, KeyID: k.ID, Algorithm: string(k.Algorithm), Use: "sig"})
	}
	answer(w, http.StatusOK, set)
}

// authorize logs whoever asks in, without asking back.
func (p *Provider) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if q.Get("client_id") != p.ClientID || q.Get("redirect_uri") != p.RedirectURI || q.Get("response_type") != "code" {
		http.Error(w, "unknown client or redirect URI", http.StatusBadRequest)
		return
	}
	back := url.Values{"state": {q.Get("state")}}
	if !p.NoIssuer {
		back.Set("iss", p.URL)
	}
	switch {
	case p.Refuse != "":
		back.Set("error", p.Refuse)
		back.Set("error_description", "<script>alert(1)</script> call +1 555 0100")
	case q.Get("code_challenge_method") != "S256" || q.Get("code_challenge") == "" || q.Get("nonce") == "":
		back.Set("error", "invalid_request")
	default:
		code := rand.Text()
		p.codes[code] = grant{q.Get("code_challenge"), q.Get("nonce"), q.Get("redirect_uri")}
		back.Set("code", code)
	}
	http.Redirect(w, r, p.RedirectURI+"?"+back.Encode(), http.StatusFound)
}

func refuse(w http.ResponseWriter, word string) {
	answer(w, http.StatusBadRequest, map[string]string{"error": word})
}

func (p *Provider) client(r *http.Request) bool {
	id, secret, ok := r.BasicAuth()
	if !ok {
		id, secret = r.PostFormValue("client_id"), r.PostFormValue("client_secret")
	}
	return id == p.ClientID && secret == p.Secret
}

func (p *Provider) token(w http.ResponseWriter, r *http.Request) {
	if !p.client(r) {
		answer(w, http.StatusUnauthorized, map[string]string{"error": "invalid_client"})
		return
	}
	switch r.PostFormValue("grant_type") {
	case "authorization_code":
		code := r.PostFormValue("code")
		g, ok := p.codes[code]
		delete(p.codes, code)
		h := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
		if !ok || g.redirect != r.PostFormValue("redirect_uri") || base64.RawURLEncoding.EncodeToString(h[:]) != g.challenge {
			refuse(w, "invalid_grant")
			return
		}
		p.issue(w, g.nonce)
	case "urn:ietf:params:oauth:grant-type:device_code":
		code := r.PostFormValue("device_code")
		switch d := p.devices[code]; {
		case d == nil:
			refuse(w, "invalid_grant")
		case d.denied:
			refuse(w, "access_denied")
		case !d.approved:
			refuse(w, "authorization_pending")
		default:
			delete(p.devices, code)
			p.issue(w, "")
		}
	default:
		refuse(w, "unsupported_grant_type")
	}
}

func (p *Provider) issue(w http.ResponseWriter, nonce string) {
	access := rand.Text()
	h := sha256.Sum256([]byte(access))
	now := p.Now()
	claims := maps.Clone(p.Claims)
	maps.Copy(claims, map[string]any{
		"iss": p.URL, "aud": p.ClientID, "iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(), "at_hash": base64.RawURLEncoding.EncodeToString(h[:16]),
	})
	if nonce != "" {
		claims["nonce"] = nonce
	}
	if p.Token != nil {
		p.Token(claims)
	}
	raw := ""
	if p.Raw != nil {
		raw = p.Raw(claims)
	} else {
		raw = p.Key.Sign(claims)
	}
	a := map[string]any{"access_token": access, "token_type": "Bearer", "expires_in": 300, "id_token": raw}
	if p.Answer != nil {
		p.Answer(a)
	}
	answer(w, http.StatusOK, a)
}

// Sign makes an ID token.
func (k Key) Sign(claims map[string]any) string {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: k.Algorithm, Key: jose.JSONWebKey{Key: k.Private, KeyID: k.ID}}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		panic(err)
	}
	b, err := json.Marshal(claims)
	if err != nil {
		panic(err)
	}
	signed, err := signer.Sign(b)
	if err != nil {
		panic(err)
	}
	raw, err := signed.CompactSerialize()
	if err != nil {
		panic(err)
	}
	return raw
}

func (p *Provider) deviceCode(w http.ResponseWriter, r *http.Request) {
	if !p.client(r) {
		answer(w, http.StatusUnauthorized, map[string]string{"error": "invalid_client"})
		return
	}
	code, user := rand.Text(), fmt.Sprintf("%s-%s", rand.Text()[:4], rand.Text()[:4])
	p.devices[code] = &deviceGrant{userCode: user}
	answer(w, http.StatusOK, map[string]any{
		"device_code": code, "user_code": user, "verification_uri": p.URL + "/device", "verification_uri_complete": p.URL + "/device?user_code=" + user, "expires_in": 600, "interval": 5,
	})
}

// Decide approves or denies what waits under a user code; false: nothing does.
func (p *Provider) Decide(userCode string, approve bool) bool {
	p.Lock()
	defer p.Unlock()
	for _, d := range p.devices {
		if d.userCode == userCode {
			d.approved, d.denied = approve, !approve
			return true
		}
	}
	return false
}

// Browser follows redirects and keeps cookies as one does, and trusts everybody: it
// is the provider's and the hub's certificates that are tested elsewhere.
func Browser(follow func(to *url.URL) bool) *http.Client {
	jar := &cookies{}
	return &http.Client{Jar: jar, Timeout: 30 * time.Second,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}, //nolint:gosec // a test's browser
		CheckRedirect: func(req *http.Request, _ []*http.Request) error {
			if follow != nil && !follow(req.URL) {
				return http.ErrUseLastResponse
			}
			return nil
		}}
}

// cookies by host and port, which a jar of net/http would not keep apart.
type cookies struct {
	mu   sync.Mutex
	held map[string]map[string]*http.Cookie
}

func (c *cookies) SetCookies(u *url.URL, all []*http.Cookie) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.held == nil {
		c.held = map[string]map[string]*http.Cookie{}
	}
	if c.held[u.Host] == nil {
		c.held[u.Host] = map[string]*http.Cookie{}
	}
	for _, one := range all {
		if one.MaxAge < 0 {
			delete(c.held[u.Host], one.Name)
		} else {
			c.held[u.Host][one.Name] = one
		}
	}
}

func (c *cookies) Cookies(u *url.URL) (out []*http.Cookie) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, one := range c.held[u.Host] {
		out = append(out, &http.Cookie{Name: one.Name, Value: one.Value})
	}
	return out
}
