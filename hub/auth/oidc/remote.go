package oidc

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	gooidc "github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
)

const (
	maxAnswerBytes = 1 << 20
	answerTime     = 10 * time.Second
	// documentAge is how long a discovery document is not read again, and
	// documentPause how long one that could not be read is not asked for.
	documentAge   = 10 * time.Minute
	documentPause = 5 * time.Second
)

// document is the part of a discovery document that is used.
type document struct {
	Issuer         string   `json:"issuer"`
	Authorization  string   `json:"authorization_endpoint"`
	Token          string   `json:"token_endpoint"`
	Keys           string   `json:"jwks_uri"`
	Device         string   `json:"device_authorization_endpoint"`
	AuthMethods    []string `json:"token_endpoint_auth_methods_supported"`
	Challenges     []string `json:"code_challenge_methods_supported"`
	ResponseIssuer bool     `json:"authorization_response_iss_parameter_supported"`
}

// check judges a document. Errors are Upstream.
func (d document) check(issuer string) error {
	if d.Issuer != issuer {
		return fault.New(fault.Upstream, "oidc_discovery_invalid", "the provider says that it is another issuer").
			WithField("issuer").WithFound(short(d.Issuer), short(issuer)).WithFix("write the issuer as the provider does, with or without the / at its end")
	}
	for _, one := range []struct {
		name, url string
		optional  bool
	}{{"authorization_endpoint", d.Authorization, false}, {"token_endpoint", d.Token, false}, {"jwks_uri", d.Keys, false}, {"device_authorization_endpoint", d.Device, true}} {
		if one.optional && one.url == "" {
			continue
		}
		if why := badURL(one.url, false); why != "" {
			return fault.New(fault.Upstream, "oidc_discovery_invalid", "the provider's %s %s", one.name, why)
		}
	}
	// Providers that do not say take a challenge, or ignore it.
	if len(d.Challenges) > 0 && !slices.Contains(d.Challenges, "S256") {
		return fault.New(fault.Upstream, "oidc_pkce_unsupported", "the provider takes no S256 challenges (PKCE)")
	}
	return nil
}

// remote speaks to one provider as its settings are in one version. It is safe for
// concurrent use and starts no goroutine.
type remote struct {
	settings fleet.IdentityProvider
	client   *http.Client
	now      func() time.Time
	keys     *keys

	mu       sync.Mutex
	document document
	read     time.Time // of the document; zero: never
	failed   error
	failedAt time.Time
}

// newRemote is oidc_settings_invalid when the CA bundle cannot be read.
func newRemote(p fleet.IdentityProvider, now func() time.Time) (*remote, error) {
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	if p.CA != "" {
		all, err := certificates(p.CA)
		if err != nil {
			return nil, fault.New(fault.Invalid, "oidc_settings_invalid", "%s", err).WithField("ca")
		}
		for _, c := range all {
			roots.AddCert(c)
		}
	}
	transport := &http.Transport{
		Proxy:           http.ProxyFromEnvironment,
		TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		// Logins are rare: a connection is not kept for the next.
		DisableKeepAlives: true, ForceAttemptHTTP2: true, TLSHandshakeTimeout: answerTime,
		MaxResponseHeaderBytes: 64 << 10,
	}
	r := &remote{settings: p, now: now, client: &http.Client{
		Transport: transport, Timeout: answerTime,
		// What a provider is asked has secrets in it, and goes nowhere else.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	r.keys = &keys{now: now, fetch: func(ctx context.Context) ([]byte, error) {
		d, err := r.discover(ctx)
		if err != nil {
			return nil, err
		}
		return r.get(ctx, d.Keys)
	}}
	return r, nil
}

// unreachable makes a fault of an error of the connection.
func unreachable(err error) error {
	var verification *tls.CertificateVerificationError
	var unknown x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	var host x509.HostnameError
	if errors.As(err, &verification) || errors.As(err, &unknown) || errors.As(err, &invalid) || errors.As(err, &host) {
		return fault.Wrap(err, fault.Upstream, "oidc_tls_untrusted", "the identity provider's certificate is not trusted").
			WithFix("give the CA that issued it: hawser settings provider set NAME --ca-file FILE")
	}
	return fault.Wrap(err, fault.Upstream, "oidc_provider_unreachable", "the identity provider cannot be reached")
}

// do sends a request and reads the answer, whatever its status.
func (r *remote) do(req *http.Request) (status int, body []byte, err error) {
	res, err := r.client.Do(req)
	if err != nil {
		return 0, nil, unreachable(err)
	}
	defer res.Body.Close()
	body, err = io.ReadAll(io.LimitReader(res.Body, maxAnswerBytes+1))
	if err != nil {
		return 0, nil, unreachable(err)
	}
	if len(body) > maxAnswerBytes {
		return 0, nil, fault.New(fault.Upstream, "oidc_provider_unreachable", "the identity provider's answer is larger than 1 MiB")
	}
	return res.StatusCode, body, nil
}

func (r *remote) get(ctx context.Context, from string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return nil, fault.Wrap(err, fault.Upstream, "oidc_discovery_invalid", "the provider names a URL that is none")
	}
	req.Header.Set("Accept", "application/json")
	status, body, err := r.do(req)
	if err != nil {
		return nil, err
	}
	if status != http.StatusOK {
		return nil, fault.New(fault.Upstream, "oidc_provider_unreachable", "the identity provider answers with status %d", status)
	}
	return body, nil
}

// post sends a form with the client's credentials.
func (r *remote) post(ctx context.Context, d document, to string, form url.Values) (status int, body []byte, err error) {
	form.Set("client_id", r.settings.ClientID)
	style := r.authStyle(d)
	if r.settings.Secret != "" && style == oauth2.AuthStyleInParams {
		form.Set("client_secret", r.settings.Secret)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, strings.NewReader(form.Encode()))
	if err != nil {
		return 0, nil, fault.Wrap(err, fault.Upstream, "oidc_discovery_invalid", "the provider names a URL that is none")
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	if style == oauth2.AuthStyleInHeader {
		req.SetBasicAuth(url.QueryEscape(r.settings.ClientID), url.QueryEscape(r.settings.Secret))
	}
	return r.do(req)
}

// discover reads the provider's document, or has it.
func (r *remote) discover(ctx context.Context) (document, error) {
	r.mu.Lock()
	defer r.mu.Unlock() // others wait for the same answer
	now := r.now()
	if !r.read.IsZero() && now.Sub(r.read) < documentAge {
		return r.document, nil
	}
	if r.failed != nil && now.Sub(r.failedAt) < documentPause {
		return document{}, r.failed
	}
	d, err := r.askDocument(ctx)
	if err != nil {
		if ctx.Err() == nil {
			r.failed, r.failedAt = err, now
		}
		if !r.read.IsZero() && !fault.HasCode(err, "oidc_tls_untrusted") {
			return r.document, nil // what was known goes on working
		}
		return document{}, err
	}
	r.document, r.read, r.failed = d, now, nil
	return d, nil
}

func (r *remote) askDocument(ctx context.Context) (d document, err error) {
	body, err := r.get(ctx, strings.TrimSuffix(r.settings.Issuer, "/")+"/.well-known/openid-configuration")
	if err != nil {
		return d, err
	}
	if err := json.Unmarshal(body, &d); err != nil {
		return d, fault.Wrap(err, fault.Upstream, "oidc_discovery_invalid", "what the provider answers is no discovery document")
	}
	return d, d.check(r.settings.Issuer)
}

// authStyle is one of both: trying one after the other would use a code up.
func (r *remote) authStyle(d document) oauth2.AuthStyle {
	if r.settings.Secret == "" || len(d.AuthMethods) > 0 && !slices.Contains(d.AuthMethods, "client_secret_basic") {
		return oauth2.AuthStyleInParams
	}
	return oauth2.AuthStyleInHeader
}

func (r *remote) oauth(d document, redirect string) *oauth2.Config {
	return &oauth2.Config{
		ClientID: r.settings.ClientID, ClientSecret: r.settings.Secret, RedirectURL: redirect, Scopes: scopes(r.settings),
		Endpoint: oauth2.Endpoint{AuthURL: d.Authorization, TokenURL: d.Token, AuthStyle: r.authStyle(d)},
	}
}

// authorization is where a browser is sent to log in. With again the provider is to
// ask the person, also one that it has asked before.
func (r *remote) authorization(ctx context.Context, redirect, state, nonce, verifier string, again bool) (string, error) {
	d, err := r.discover(ctx)
	if err != nil {
		return "", err
	}
	options := []oauth2.AuthCodeOption{gooidc.Nonce(nonce), oauth2.S256ChallengeOption(verifier)}
	if again {
		// Not prompt=login, with which providers that do not know it refuse everybody.
		options = append(options, oauth2.SetAuthURLParam("max_age", "0"))
	}
	return r.oauth(d, redirect).AuthCodeURL(state, options...), nil
}

// exchange redeems a code for the claims of the ID token that it gives; each is told
// how the step code went, and then token.
func (r *remote) exchange(ctx context.Context, redirect, code, verifier, nonce string, each func(step string, err error)) (claims, error) {
	d, err := r.discover(ctx)
	var raw, access string
	if err == nil {
		raw, access, err = r.redeem(ctx, d, redirect, code, verifier)
	}
	if each("code", err); err != nil {
		return nil, err
	}
	c, err := r.verify(ctx, d, raw, access, nonce)
	each("token", err)
	return c, err
}

// redeem gives the code back for an ID token and an access token.
func (r *remote) redeem(ctx context.Context, d document, redirect, code, verifier string) (idToken, accessToken string, err error) {
	token, err := r.oauth(d, redirect).Exchange(gooidc.ClientContext(ctx, r.client), code, oauth2.VerifierOption(verifier))
	var refused *oauth2.RetrieveError
	var connection *url.Error
	switch {
	case errors.As(err, &refused) && refused.Response != nil && refused.Response.StatusCode < 500 && refused.ErrorCode != "":
		// Only the word: the rest is the provider's text, which may repeat what it was sent.
		return "", "", fault.Wrap(errors.New(short(refused.ErrorCode)), fault.Unauthorized, "oidc_code_refused", "the provider does not take the code that it gave").
			WithFix("log in again; if it goes on, have an administrator test the provider's client id and secret")
	case errors.As(err, &connection):
		return "", "", unreachable(err)
	case err != nil:
		return "", "", fault.New(fault.Upstream, "oidc_token_response_invalid", "the provider's answer to a code cannot be read")
	}
	raw, _ := token.Extra("id_token").(string)
	return raw, token.AccessToken, nil
}

// verify judges an ID token that came from the provider.
func (r *remote) verify(ctx context.Context, d document, raw, accessToken, nonce string) (claims, error) {
	if raw == "" {
		return nil, fault.New(fault.Upstream, "oidc_token_response_invalid", "the provider's answer has no ID token")
	}
	h, err := readHeader(raw)
	if err != nil {
		return nil, err
	}
	payload, err := r.keys.verify(ctx, h, raw)
	if err != nil {
		return nil, err
	}
	c, err := readClaims(payload)
	if err == nil {
		err = c.about(expected{issuer: r.settings.Issuer, clientID: r.settings.ClientID, nonce: nonce, now: r.now()})
	}
	if err != nil {
		return nil, err
	}
	// What the library reads is held against what was read here; it knows how the
	// hash of an access token is made.
	token, err := gooidc.NewVerifier(r.settings.Issuer, r.keys, &gooidc.Config{
		ClientID: r.settings.ClientID, SkipExpiryCheck: true, SupportedSigningAlgs: []string{string(h.alg)},
	}).Verify(ctx, raw)
	if err != nil {
		return nil, fault.Wrap(err, fault.Unauthorized, "oidc_token_malformed", "the provider's ID token cannot be read")
	}
	if _, there := c["at_hash"]; there {
		if token.AccessTokenHash == "" || token.VerifyAccessToken(accessToken) != nil {
			return nil, fault.New(fault.Unauthorized, "oidc_access_token_mismatch", "the ID token belongs to another access token")
		}
	}
	return c, nil
}
