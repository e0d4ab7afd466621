package oidc

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
)

const (
	// loginTime is how long somebody may take at a provider, redeemTime how long a
	// command line to fetch its session.
	loginTime  = 10 * time.Minute
	redeemTime = time.Minute
	// Of one address, logins that begin in a window; each is a row.
	beginAttempts = 100
	beginWindow   = 10 * time.Minute

	minInterval, maxInterval = 5 * time.Second, time.Minute

	kindBrowser = "browser"
	kindCode    = "code"
	kindDevice  = "device"
	kindTest    = "test"

	deviceGrant = "urn:ietf:params:oauth:grant-type:device_code" // RFC 8628 §3.4
)

// Store keeps providers and the logins that have begun. Its methods block for a
// round trip or a transaction; errors are faults.
type Store interface {
	IdentityProviders(ctx context.Context) ([]fleet.IdentityProvider, error)
	// IdentityProvider is NotFound (oidc_provider_unknown) when there is none.
	IdentityProvider(ctx context.Context, name string) (fleet.IdentityProvider, error)
	BeginExternalLogin(ctx context.Context, l fleet.ExternalLogin) error
	// TakeExternalLogin gives a login to one caller: NotFound after that.
	TakeExternalLogin(ctx context.Context, kind string, hash []byte) (fleet.ExternalLogin, error)
	// DueExternalLogin is not due for any caller before next.
	DueExternalLogin(ctx context.Context, kind string, hash []byte, next time.Time) (l fleet.ExternalLogin, due bool, err error)
	CountAttempt(ctx context.Context, key string, window time.Duration) (count int, until time.Time, err error)
}

// Sessions begins the session of somebody a provider vouches for.
type Sessions interface {
	ProviderLogin(ctx context.Context, provider, subject, name string, groups []string, browser bool, at time.Time) (fleet.Login, error)
}

// Service carries logins at identity providers from their beginning to their end.
// It is safe for concurrent use and starts no goroutine.
type Service struct {
	store    Store
	sessions Sessions
	base     string
	now      func() time.Time
	log      *slog.Logger

	mu      sync.Mutex
	remotes map[string]*remote // by name, of the newest version that was used
}

// New makes a Service. base is the hub's URL for browsers, such as
// https://hub.example.org:8443; now may be nil for the system's clock.
func New(store Store, sessions Sessions, base string, now func() time.Time, log *slog.Logger) *Service {
	if now == nil {
		now = time.Now
	}
	return &Service{store: store, sessions: sessions, base: strings.TrimSuffix(base, "/"), now: now, log: log, remotes: map[string]*remote{}}
}

// RedirectURI is what has to be registered at a provider.
func (s *Service) RedirectURI(provider string) string { return s.base + "/auth/callback/" + provider }

// newSecret has 256 random bits.
func newSecret() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}

func hashOf(secret string) []byte {
	h := sha256.Sum256([]byte(secret))
	return h[:]
}

// pending is a login that is going on at a provider.
type pending struct {
	// Version of the settings that it began with.
	Version int64
	// Binding is the hash of the browser's secret.
	Binding          string
	Nonce, Verifier  string
	Return           string
	Port             int
	Challenge, State string
	// Test and Owner are those of fleet.LoginStart.
	Test  bool   `json:",omitempty"`
	Owner string `json:",omitempty"`
}

// vouched is somebody whose command line is about to fetch the session.
type vouched struct {
	Challenge string
	Person    person
}

// device is a login that is confirmed elsewhere.
type device struct {
	Version int64
	Code    string
}

// remote is the provider as it is set now.
func (s *Service) remote(ctx context.Context, name string) (*remote, error) {
	p, err := s.store.IdentityProvider(ctx, name)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.remotes[name]; r != nil && r.settings.Version == p.Version {
		return r, nil
	}
	r, err := newRemote(p, s.now)
	if err == nil {
		s.remotes[name] = r
	}
	return r, err
}

// Providers are the names that somebody can log in with.
func (s *Service) Providers(ctx context.Context) ([]string, error) {
	all, err := s.store.IdentityProviders(ctx)
	out := make([]string, len(all))
	for i, p := range all {
		out[i] = p.Name
	}
	return out, err
}

// choose is the provider that is asked for, or the only one. Codes:
// oidc_provider_needed (Invalid), oidc_provider_unknown (NotFound).
func (s *Service) choose(ctx context.Context, name string) (*remote, error) {
	if name == "" {
		all, err := s.Providers(ctx)
		switch {
		case err != nil:
			return nil, err
		case len(all) == 0:
			return nil, fault.New(fault.NotFound, "oidc_provider_unknown", "this hub has no identity provider").
				WithFix("an administrator sets one with hawser settings provider set NAME --issuer URL --client-id ID")
		case len(all) > 1:
			return nil, fault.New(fault.Invalid, "oidc_provider_needed", "this hub has %d identity providers; say which", len(all)).
				WithFound("", strings.Join(all[:min(len(all), 10)], ", ")).WithFix("hawser login --sso --provider NAME")
		}
		name = all[0]
	}
	if !goodName.MatchString(name) {
		return nil, fault.New(fault.NotFound, "oidc_provider_unknown", "there is no such identity provider")
	}
	return s.remote(ctx, name)
}

// count limits how many logins one address begins.
func (s *Service) count(ctx context.Context, from string) error {
	network := "unknown"
	if a, err := netip.ParseAddr(from); err == nil {
		if a = a.Unmap().WithZone(""); a.Is4() {
			network = a.String()
		} else if p, err := a.Prefix(64); err == nil {
			network = p.String()
		}
	}
	n, until, err := s.store.CountAttempt(ctx, "sso "+network, beginWindow)
	if err != nil || n <= beginAttempts {
		return err
	}
	return fault.New(fault.RateLimited, "too_many_logins", "too many logins were begun; try again in %s", max(until.Sub(s.now()), time.Second).Round(time.Second))
}

func (s *Service) keep(ctx context.Context, kind, provider, secret string, ends time.Time, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fault.Wrap(err, fault.Internal, "internal", "the login cannot be kept")
	}
	return s.store.BeginExternalLogin(ctx, fleet.ExternalLogin{Hash: hashOf(secret), Kind: kind, Provider: provider, ExpiresAt: ends.UTC(), Sealed: b})
}

// Begin sends a browser to a provider. binding is the browser's secret, to be sent
// back with what the provider answers.
func (s *Service) Begin(ctx context.Context, from string, start fleet.LoginStart) (location, binding string, err error) {
	cli := start.Port != 0 || start.Challenge != "" || start.State != ""
	if cli {
		if err := checkLoopback(start.Port, start.Challenge, start.State); err != nil {
			return "", "", err
		}
	}
	if start.Test && !cli && start.Owner == "" {
		return "", "", fault.New(fault.Precondition, "session_needed", "a test is shown to whoever asked for it, and nobody is logged in").WithFix("log in to the hub first")
	}
	if err := s.count(ctx, from); err != nil {
		return "", "", err
	}
	r, err := s.choose(ctx, start.Provider)
	if err != nil {
		return "", "", err
	}
	// Another login in the same browser, in another tab, has the same secret.
	if binding = start.Binding; !goodState.MatchString(binding) {
		binding = newSecret()
	}
	name, state := r.settings.Name, newSecret()
	p := pending{Version: r.settings.Version, Binding: hex.EncodeToString(hashOf(binding)), Nonce: newSecret(), Verifier: newSecret(),
		Return: place(start.Return), Port: start.Port, Challenge: start.Challenge, State: start.State, Test: start.Test}
	if start.Test && !cli {
		p.Owner = start.Owner
	}
	location, err = r.authorization(ctx, s.RedirectURI(name), state, p.Nonce, p.Verifier, (cli || start.Again) && !start.Test)
	if err == nil {
		err = s.keep(ctx, kindBrowser, name, state, s.now().Add(loginTime), p)
	}
	return location, binding, err
}

// Finish takes what a provider sent with the browser that has the binding. A login
// of a command line has a Location also when it failed: that it is told so.
func (s *Service) Finish(ctx context.Context, provider, binding, query string) (end fleet.LoginEnd, err error) {
	a, err := readAnswer(query)
	if err != nil {
		return end, err
	}
	unknown := fault.New(fault.Unauthorized, "oidc_state_unknown", "no such login has begun, or it is over").WithFix("log in again; a login takes at most %s", loginTime)
	l, err := s.store.TakeExternalLogin(ctx, kindBrowser, hashOf(a.state))
	if fault.Is(err, fault.NotFound) {
		return end, unknown
	}
	if err != nil {
		return end, err
	}
	var p pending
	if err := json.Unmarshal(l.Sealed, &p); err != nil {
		return end, fault.Wrap(err, fault.Internal, "internal", "the login cannot be read")
	}
	if !s.now().Before(l.ExpiresAt) {
		return end, unknown
	}
	if subtle.ConstantTimeCompare([]byte(p.Binding), []byte(hex.EncodeToString(hashOf(binding)))) != 1 {
		return end, fault.New(fault.Unauthorized, "oidc_state_foreign", "this login was begun in another browser").WithFix("log in again, and allow cookies of this hub")
	}
	end.Location = p.Return
	if p.Port != 0 {
		defer func() {
			if err != nil {
				end.Location = loopback(p.Port, url.Values{"state": {p.State}, "error": {fault.As(err).Code}})
			}
		}()
	}
	if p.Test {
		return s.tested(ctx, provider, l, p, a)
	}
	who, err := s.answered(ctx, provider, l, p, a, func(string, error) {})
	if err != nil {
		return end, err
	}
	end.Name = who.Name
	if p.Port != 0 {
		code := newSecret()
		if err := s.keep(ctx, kindCode, provider, code, s.now().Add(redeemTime), vouched{p.Challenge, who}); err != nil {
			return end, err
		}
		end.Location = loopback(p.Port, url.Values{"state": {p.State}, "code": {code}})
		return end, nil
	}
	login, err := s.begin(ctx, provider, who, true)
	end.Login = &login
	return end, err
}

// answered is who a provider vouches for in its answer to a login.
func (s *Service) answered(ctx context.Context, provider string, l fleet.ExternalLogin, p pending, a answer, each func(step string, err error)) (person, error) {
	r, c, err := s.vouchedFor(ctx, provider, l, p, a, each)
	if err != nil {
		return person{}, err
	}
	return s.who(ctx, r, c)
}

// vouchedFor is what a provider says about who logged in; each is told how every
// step went.
func (s *Service) vouchedFor(ctx context.Context, provider string, l fleet.ExternalLogin, p pending, a answer, each func(step string, err error)) (*remote, claims, error) {
	r, err := s.askedFor(ctx, provider, l, p, a)
	if each("answer", err); err != nil {
		return nil, nil, err
	}
	c, err := r.exchange(ctx, s.RedirectURI(provider), a.code, p.Verifier, p.Nonce, each)
	return r, c, err
}

// askedFor is the provider that answers, when it is the one that was asked and says
// yes.
func (s *Service) askedFor(ctx context.Context, provider string, l fleet.ExternalLogin, p pending, a answer) (*remote, error) {
	fleet.LoginKnown(ctx, fleet.LoginSubject{Provider: l.Provider})
	if provider != l.Provider {
		return nil, fault.New(fault.Unauthorized, "oidc_provider_mismatch", "another provider answers than the one that was asked")
	}
	r, err := s.remote(ctx, provider)
	if err != nil {
		return nil, err
	}
	if r.settings.Version != p.Version {
		return nil, providerChanged()
	}
	d, err := r.discover(ctx)
	if err != nil {
		return nil, err
	}
	// RFC 9207: a provider that says so names itself in every answer, refusals too.
	if a.iss != "" && a.iss != r.settings.Issuer || a.iss == "" && d.ResponseIssuer {
		return nil, fault.New(fault.Unauthorized, "oidc_response_issuer_mismatch", "the answer is of another provider than the one that was asked")
	}
	if a.err != "" {
		return nil, fault.New(fault.Unauthorized, "oidc_login_refused", "the identity provider refused the login")
	}
	return r, nil
}

// who is the person of claims by the provider's settings, which may have changed
// while it was asked.
func (s *Service) who(ctx context.Context, r *remote, c claims) (person, error) {
	// Also somebody who may not log in is known by now.
	fleet.LoginKnown(ctx, fleet.LoginSubject{Provider: r.settings.Name, Subject: c.text("sub")})
	now, err := s.remote(ctx, r.settings.Name)
	if err != nil {
		return person{}, err
	}
	if now.settings.Version != r.settings.Version {
		return person{}, providerChanged()
	}
	return c.who(r.settings)
}

func providerChanged() error {
	return fault.New(fault.Unauthorized, "oidc_provider_changed", "the identity provider's settings changed meanwhile").WithFix("log in again")
}

func (s *Service) begin(ctx context.Context, provider string, who person, browser bool) (fleet.Login, error) {
	login, err := s.sessions.ProviderLogin(ctx, provider, who.Subject, who.Name, who.Groups, browser, who.At)
	if err == nil {
		s.log.InfoContext(ctx, "logged in", "provider", provider, "user", who.Name, "groups", len(who.Groups), "session", login.Caller.ID)
	}
	return login, err
}

// Redeem gives a command line the session that it was sent a code for. A code
// works once, also with a wrong verifier. Code: oidc_code_unknown (Unauthorized).
func (s *Service) Redeem(ctx context.Context, code, verifier string) (fleet.Login, error) {
	unknown := fault.New(fault.Unauthorized, "oidc_code_unknown", "this code is not known, or was used, or is older than %s", redeemTime).WithFix("hawser login --sso")
	if !goodState.MatchString(code) || !goodVerifier.MatchString(verifier) {
		return fleet.Login{}, unknown
	}
	l, err := s.store.TakeExternalLogin(ctx, kindCode, hashOf(code))
	if fault.Is(err, fault.NotFound) {
		return fleet.Login{}, unknown
	}
	if err != nil {
		return fleet.Login{}, err
	}
	var v vouched
	if err := json.Unmarshal(l.Sealed, &v); err != nil {
		return fleet.Login{}, fault.Wrap(err, fault.Internal, "internal", "the login cannot be read")
	}
	fleet.LoginKnown(ctx, fleet.LoginSubject{Provider: l.Provider, Subject: v.Person.Subject})
	challenge := base64.RawURLEncoding.EncodeToString(hashOf(verifier))
	if !s.now().Before(l.ExpiresAt) || subtle.ConstantTimeCompare([]byte(challenge), []byte(v.Challenge)) != 1 {
		return fleet.Login{}, unknown
	}
	return s.begin(ctx, l.Provider, v.Person, false)
}

// BeginDevice asks a provider for a code that is confirmed in a browser anywhere.
func (s *Service) BeginDevice(ctx context.Context, from, provider string) (fleet.DeviceLogin, error) {
	var out fleet.DeviceLogin
	if err := s.count(ctx, from); err != nil {
		return out, err
	}
	r, err := s.choose(ctx, provider)
	if err != nil {
		return out, err
	}
	d, err := r.discover(ctx)
	if err != nil {
		return out, err
	}
	if d.Device == "" {
		return out, fault.New(fault.Precondition, "oidc_device_unsupported", "the identity provider has no device flow").WithFix("hawser login --sso, on a machine with a browser")
	}
	invalid := fault.New(fault.Upstream, "oidc_device_response_invalid", "the provider's answer to a device login cannot be read")
	status, body, err := r.post(ctx, d, d.Device, url.Values{"scope": {strings.Join(scopes(r.settings), " ")}})
	if err != nil {
		return out, err
	}
	if status != 200 {
		return out, invalid
	}
	got, ok := readDevice(body)
	if !ok {
		return out, invalid
	}
	out.Handle, out.UserCode, out.URI, out.URIComplete = newSecret(), got.UserCode, got.URI, got.Complete
	out.Interval = got.interval()
	out.ExpiresAt = s.now().UTC().Add(got.life())
	return out, s.keep(ctx, kindDevice, r.settings.Name, out.Handle, out.ExpiresAt, device{r.settings.Version, got.DeviceCode})
}

// deviceAnswer is what a provider answers to the beginning of a device login
// (RFC 8628, section 3.2).
type deviceAnswer struct {
	DeviceCode string `json:"device_code"`
	UserCode   string `json:"user_code"`
	URI        string `json:"verification_uri"`
	Complete   string `json:"verification_uri_complete"`
	ExpiresIn  int    `json:"expires_in"`
	Interval   int    `json:"interval"`
}

// readDevice takes an answer only with a code that can be read out and a page that
// can be opened; Complete is "" where it is none.
func readDevice(body []byte) (got deviceAnswer, ok bool) {
	if json.Unmarshal(body, &got) != nil || got.DeviceCode == "" || !printable(got.UserCode) || badURL(got.URI, false) != "" || got.ExpiresIn <= 0 {
		return deviceAnswer{}, false
	}
	if badURL(got.Complete, false) != "" {
		got.Complete = ""
	}
	return got, true
}

func (d deviceAnswer) interval() time.Duration {
	return min(max(time.Duration(min(d.Interval, 3600))*time.Second, minInterval), maxInterval)
}

func (d deviceAnswer) life() time.Duration {
	return min(time.Duration(min(d.ExpiresIn, 3600))*time.Second, 2*loginTime)
}

// pollAnswer is what a provider answers to the question whether a device login is
// confirmed: an error, or tokens.
type pollAnswer struct {
	Error       string `json:"error"`
	IDToken     string `json:"id_token"`
	AccessToken string `json:"access_token"`
}

// readPoll takes what is an answer of RFC 6749 only: anything else, as from a
// provider that is in trouble, says nothing about the login.
func readPoll(status int, body []byte) (got pollAnswer, err error) {
	switch {
	case json.Unmarshal(body, &got) != nil, got.Error == "" && status != 200:
		return pollAnswer{}, fault.New(fault.Upstream, "oidc_token_response_invalid", "the provider's answer to a device login cannot be read")
	}
	return got, nil
}

// PollDevice asks whether a device login is confirmed; login is nil while it is not.
// However often it is called, the provider is asked once in five seconds. Codes:
// oidc_device_unknown, oidc_device_denied (Unauthorized).
func (s *Service) PollDevice(ctx context.Context, handle string) (login *fleet.Login, err error) {
	unknown := fault.New(fault.Unauthorized, "oidc_device_unknown", "this login is not known, or was not confirmed in time").WithFix("hawser login --device")
	if !goodState.MatchString(handle) {
		return nil, unknown
	}
	now, hash := s.now(), hashOf(handle)
	l, due, err := s.store.DueExternalLogin(ctx, kindDevice, hash, now.Add(minInterval))
	if fault.Is(err, fault.NotFound) || err == nil && !now.Before(l.ExpiresAt) {
		return nil, unknown
	}
	if err != nil || !due {
		return nil, err
	}
	var dev device
	if err := json.Unmarshal(l.Sealed, &dev); err != nil {
		return nil, fault.Wrap(err, fault.Internal, "internal", "the login cannot be read")
	}
	fleet.LoginKnown(ctx, fleet.LoginSubject{Provider: l.Provider})
	r, err := s.remote(ctx, l.Provider)
	if err != nil {
		return nil, err
	}
	if r.settings.Version != dev.Version {
		return nil, unknown
	}
	d, err := r.discover(ctx)
	if err != nil {
		return nil, err
	}
	status, body, err := r.post(ctx, d, d.Token, url.Values{"grant_type": {deviceGrant}, "device_code": {dev.Code}})
	if err != nil {
		return nil, err
	}
	got, err := readPoll(status, body)
	if err != nil {
		return nil, err // nothing was decided: the login may still be confirmed
	}
	switch got.Error {
	case "":
	case "authorization_pending", "slow_down":
		return nil, nil
	default:
		_, _ = s.store.TakeExternalLogin(ctx, kindDevice, hash) // over, whether it is still there or not
		if got.Error == "expired_token" {
			return nil, unknown
		}
		return nil, fault.New(fault.Unauthorized, "oidc_device_denied", "the identity provider refused the login")
	}
	if _, err := s.store.TakeExternalLogin(ctx, kindDevice, hash); err != nil {
		if fault.Is(err, fault.NotFound) {
			err = unknown
		}
		return nil, err
	}
	c, err := r.verify(ctx, d, got.IDToken, got.AccessToken, "")
	if err != nil {
		return nil, err
	}
	who, err := s.who(ctx, r, c)
	if err != nil {
		return nil, err
	}
	one, err := s.begin(ctx, l.Provider, who, false)
	return &one, err
}

// Test walks to a provider step by step, up to the first that fails: what is said
// is said of now, nothing is remembered.
func (s *Service) Test(ctx context.Context, name string, each func(fleet.ProviderStep)) error {
	p, err := s.store.IdentityProvider(ctx, name)
	if err != nil {
		return err
	}
	r, err := newRemote(p, s.now)
	if err != nil {
		return err
	}
	for _, step := range []struct {
		name string
		do   func() (string, error)
	}{{"tls", func() (string, error) { return r.handshake(ctx) }}, {"discovery", func() (string, error) { return r.described(ctx) }}, {"keys", func() (string, error) { return r.counted(ctx) }}} {
		began := time.Now()
		detail, err := step.do()
		each(fleet.ProviderStep{Name: step.name, Detail: detail, Took: time.Since(began), Err: err})
		if err != nil {
			return err
		}
	}
	return nil
}
