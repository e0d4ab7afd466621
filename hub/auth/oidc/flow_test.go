package oidc

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/hawser-dev/hawser/hub/auth/oidc/oidctest"
	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
)

// world is a hub's Service, one provider, and a clock that both have.
type world struct {
	*Service
	t        *testing.T
	provider *oidctest.Provider
	store    *oidctest.Store

	mu  sync.Mutex
	now time.Time
	log bytes.Buffer
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) advance(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

const base = "https://hub.example.org:8443"

func setup(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, provider: oidctest.New(), now: time.Now().Truncate(time.Second)}
	t.Cleanup(w.provider.Close)
	w.store = &oidctest.Store{Now: w.clock}
	w.Service = New(w.store, w.store, base+"/", w.clock, slog.New(slog.NewTextHandler(&w.log, nil)))
	w.provider.Now, w.provider.RedirectURI = w.clock, base+"/auth/callback/corp"
	w.set(func(*fleet.IdentityProvider) {})
	return w
}

// set stores the provider's settings.
func (w *world) set(change func(p *fleet.IdentityProvider)) {
	w.t.Helper()
	p := fleet.IdentityProvider{Name: "corp", Issuer: w.provider.URL, ClientID: w.provider.ClientID, Secret: w.provider.Secret, CA: w.provider.CA}
	change(&p)
	if problems := Check(p); len(problems) > 0 {
		w.t.Fatal(problems)
	}
	if _, err := w.store.PutIdentityProvider(w.t.Context(), p, false); err != nil {
		w.t.Fatal(err)
	}
}

// visit is a browser that is at the provider: what it brings back, and its secret.
type visit struct {
	query   url.Values
	binding string
}

func (w *world) start(start fleet.LoginStart) (location *url.URL, binding string) {
	w.t.Helper()
	to, binding, err := w.Begin(w.t.Context(), "192.0.2.1", start)
	if err != nil {
		w.t.Fatal(err)
	}
	u, err := url.Parse(to)
	if err != nil {
		w.t.Fatal(err)
	}
	return u, binding
}

// visited goes to the provider and comes back as far as the hub's door.
func (w *world) visited(at *url.URL, binding string) visit {
	w.t.Helper()
	res, err := oidctest.Browser(func(*url.URL) bool { return false }).Get(at.String())
	if err != nil {
		w.t.Fatal(err)
	}
	res.Body.Close()
	back, err := res.Location()
	if err != nil {
		w.t.Fatalf("%s: %v", res.Status, err)
	}
	if got := strings.TrimSuffix(back.String(), "?"+back.RawQuery); got != base+"/auth/callback/corp" {
		w.t.Fatalf("sent back to %s", got)
	}
	return visit{back.Query(), binding}
}

func (w *world) finish(v visit) (fleet.LoginEnd, error) {
	return w.Finish(w.t.Context(), "corp", v.binding, v.query.Encode())
}

func (w *world) login(start fleet.LoginStart) (fleet.LoginEnd, error) {
	w.t.Helper()
	return w.finish(w.visited(w.start(start)))
}

func wantCode(t *testing.T, err error, kind fault.Kind, code string) {
	t.Helper()
	if !fault.Is(err, kind) || !fault.HasCode(err, code) {
		t.Errorf("got %v (%s), want %s %s", err, fault.As(err).Code, kind, code)
	}
}

func TestABrowserLogsIn(t *testing.T) {
	w := setup(t)
	at, binding := w.start(fleet.LoginStart{Return: "/api/docs?x=1"})
	q := at.Query()
	if q.Get("code_challenge_method") != "S256" || len(q.Get("code_challenge")) != 43 || len(q.Get("state")) < 43 || len(q.Get("nonce")) < 43 || q.Get("scope") != "openid profile email groups" {
		t.Errorf("asked for %v", q)
	}
	end, err := w.finish(w.visited(at, binding))
	if err != nil {
		t.Fatal(err)
	}
	if end.Location != "/api/docs?x=1" || end.Login == nil || end.Name != "ann@example.org" {
		t.Errorf("%+v", end)
	}
	got := w.store.Begun()
	if len(got) != 1 || got[0].Provider != "corp" || got[0].Subject != "subject-1" || !slices.Equal(got[0].Groups, []string{"team-shop"}) || !got[0].Browser {
		t.Errorf("%+v", got)
	}
	if w.store.Logins() != 0 {
		t.Error("the login is still there")
	}
	if strings.Contains(w.log.String(), q.Get("state")) || strings.Contains(w.log.String(), w.provider.Secret) {
		t.Error("a secret is in the log")
	}
}

func TestACommandLineLogsInWithACodeThatWorksOnce(t *testing.T) {
	w := setup(t)
	verifier := newSecret()
	start := fleet.LoginStart{Provider: "corp", Port: 40001, Challenge: base64.RawURLEncoding.EncodeToString(hashOf(verifier)), State: newSecret(), Return: "/x"}
	told := func() url.Values {
		t.Helper()
		end, err := w.login(start)
		if err != nil || end.Login != nil {
			t.Fatal(end, err)
		}
		u, err := url.Parse(end.Location)
		if err != nil || u.Scheme != "http" || u.Host != "127.0.0.1:40001" || u.Query().Get("state") != start.State {
			t.Fatal(end.Location, err)
		}
		return u.Query()
	}
	code := told().Get("code")
	login, err := w.Redeem(t.Context(), code, verifier)
	if err != nil || login.Caller.Session.Browser || login.Caller.Name != "ann@example.org" {
		t.Fatal(login, err)
	}
	_, err = w.Redeem(t.Context(), code, verifier)
	wantCode(t, err, fault.Unauthorized, "oidc_code_unknown")

	code = told().Get("code")
	_, err = w.Redeem(t.Context(), code, newSecret()) // whoever saw the code
	wantCode(t, err, fault.Unauthorized, "oidc_code_unknown")
	_, err = w.Redeem(t.Context(), code, verifier)
	wantCode(t, err, fault.Unauthorized, "oidc_code_unknown")

	code = told().Get("code")
	w.advance(redeemTime)
	_, err = w.Redeem(t.Context(), code, verifier)
	wantCode(t, err, fault.Unauthorized, "oidc_code_unknown")

	// It is told that it was refused, with a word of ours.
	w.provider.Change(func(p *oidctest.Provider) { p.Refuse = "access_denied" })
	end, err := w.login(start)
	wantCode(t, err, fault.Unauthorized, "oidc_login_refused")
	u, _ := url.Parse(end.Location)
	if u.Host != "127.0.0.1:40001" || u.Query().Get("error") != "oidc_login_refused" || u.Query().Get("code") != "" {
		t.Error(end.Location)
	}

	for _, bad := range []fleet.LoginStart{{Port: 80, Challenge: start.Challenge, State: start.State}, {Port: 40001}, {Challenge: start.Challenge}, {Port: 40001, Challenge: verifier + "x", State: start.State}, {Port: 40001, Challenge: start.Challenge, State: "short"}} {
		_, _, err := w.Begin(t.Context(), "192.0.2.1", bad)
		wantCode(t, err, fault.Invalid, "oidc_request_invalid")
	}
}

func TestADeviceIsConfirmedElsewhere(t *testing.T) {
	w := setup(t)
	d, err := w.BeginDevice(t.Context(), "192.0.2.1", "")
	if err != nil {
		t.Fatal(err)
	}
	if d.Interval != 5*time.Second || !strings.HasPrefix(d.URI, w.provider.URL) || !strings.Contains(d.URIComplete, d.UserCode) {
		t.Errorf("%+v", d)
	}
	poll := func() *fleet.Login {
		t.Helper()
		l, err := w.PollDevice(t.Context(), d.Handle)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	if poll() != nil {
		t.Error("nobody has confirmed it")
	}
	w.provider.Decide(d.UserCode, true)
	if poll() != nil || w.provider.Asked("/token") != 1 {
		t.Error("the provider was asked twice in five seconds")
	}
	w.advance(5 * time.Second)
	if l := poll(); l == nil || l.Caller.Session.Browser || l.Caller.Name != "ann@example.org" {
		t.Fatalf("%+v", l)
	}
	_, err = w.PollDevice(t.Context(), d.Handle)
	wantCode(t, err, fault.Unauthorized, "oidc_device_unknown")

	d, _ = w.BeginDevice(t.Context(), "192.0.2.1", "corp")
	w.provider.Decide(d.UserCode, false)
	_, err = w.PollDevice(t.Context(), d.Handle)
	wantCode(t, err, fault.Unauthorized, "oidc_device_denied")
	_, err = w.PollDevice(t.Context(), d.Handle)
	wantCode(t, err, fault.Unauthorized, "oidc_device_unknown")

	d, _ = w.BeginDevice(t.Context(), "192.0.2.1", "corp")
	w.provider.Decide(d.UserCode, true)
	w.advance(time.Hour)
	_, err = w.PollDevice(t.Context(), d.Handle)
	wantCode(t, err, fault.Unauthorized, "oidc_device_unknown")

	w.provider.Change(func(p *oidctest.Provider) {
		p.Document = func(d map[string]any) { delete(d, "device_authorization_endpoint") }
	})
	w.set(func(*fleet.IdentityProvider) {})
	_, err = w.BeginDevice(t.Context(), "192.0.2.1", "corp")
	wantCode(t, err, fault.Precondition, "oidc_device_unsupported")
}

// Where somebody is sent to type a code in is the provider's word, and printed.
func TestA19_ADeviceLoginNamesAPlaceOnTheWeb(t *testing.T) {
	for _, bad := range []string{"javascript:alert(1)", "JaVaScRiPt:alert(1)", "data:text/html,x", "http://idp.example.org/device", "//evil", "https:evil", "\x01javascript:x", ""} {
		w := setup(t)
		w.provider.Change(func(p *oidctest.Provider) {
			p.Instead["/device/code"] = func(rw http.ResponseWriter, _ *http.Request) bool {
				rw.Header().Set("Content-Type", "application/json")
				_ = json.NewEncoder(rw).Encode(map[string]any{"device_code": "d", "user_code": "U", "verification_uri": bad, "expires_in": 600})
				return true
			}
		})
		_, err := w.BeginDevice(t.Context(), "192.0.2.1", "corp")
		wantCode(t, err, fault.Upstream, "oidc_device_response_invalid")
	}
}

// reset of a provider's lies between cases.
func (w *world) honest() {
	w.provider.Change(func(p *oidctest.Provider) {
		p.Document, p.Token, p.Answer, p.Raw, p.Refuse, p.NoIssuer = nil, nil, nil, nil, "", false
		clear(p.Instead)
	})
	w.set(func(*fleet.IdentityProvider) {}) // nothing of before is remembered
}

func TestS05_TokensThatAreNotOfThisLogin(t *testing.T) {
	w := setup(t)
	other := oidctest.NewKey("k1")
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	text := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	plain := func(header string) func(map[string]any) string {
		return func(claims map[string]any) string {
			b, _ := json.Marshal(claims)
			return text(header) + "." + text(string(b)) + "."
		}
	}
	set := func(k string, v any) func(map[string]any) { return func(c map[string]any) { c[k] = v } }
	without := func(k string) func(map[string]any) { return func(c map[string]any) { delete(c, k) } }
	ago := func(d time.Duration) int64 { return w.clock().Add(-d).Unix() }
	many := make([]string, 201)
	for i := range many {
		many[i] = fmt.Sprintf("g%d", i)
	}
	for name, c := range map[string]struct {
		token func(map[string]any)
		raw   func(map[string]any) string
		code  string // "" lets in
	}{
		"honest":                       {},
		"wrong iss":                    {token: set("iss", "https://other.example.org"), code: "oidc_issuer_mismatch"},
		"iss with a slash":             {token: set("iss", w.provider.URL+"/"), code: "oidc_issuer_mismatch"},
		"no iss":                       {token: without("iss"), code: "oidc_issuer_mismatch"},
		"id_token of another client":   {token: set("aud", "other"), code: "oidc_audience_mismatch"},
		"aud without us":               {token: set("aud", []string{"other", "hub-agent"}), code: "oidc_audience_mismatch"},
		"no aud":                       {token: without("aud"), code: "oidc_audience_mismatch"},
		"aud is a number":              {token: set("aud", 7), code: "oidc_audience_mismatch"},
		"AUD in capitals":              {token: func(c map[string]any) { delete(c, "aud"); c["AUD"] = "hawser" }, code: "oidc_audience_mismatch"},
		"aud with others, no azp":      {token: set("aud", []string{"hawser", "other"}), code: "oidc_authorized_party_mismatch"},
		"aud with others, azp is ours": {token: func(c map[string]any) { c["aud"], c["azp"] = []string{"hawser", "other"}, "hawser" }},
		"azp of another":               {token: set("azp", "other"), code: "oidc_authorized_party_mismatch"},
		"expired 59 s ago":             {token: set("exp", ago(59*time.Second))},
		"expired 61 s ago":             {token: set("exp", ago(61*time.Second)), code: "oidc_token_expired"},
		"no exp":                       {token: without("exp"), code: "oidc_token_expired"},
		"exp is a text":                {token: set("exp", "9999999999"), code: "oidc_token_expired"},
		"exp beyond all time":          {token: set("exp", 1e300), code: "oidc_token_expired"},
		"clock 60 s ahead":             {token: set("iat", ago(-60*time.Second))},
		"clock 120 s ahead":            {token: set("iat", ago(-120*time.Second)), code: "oidc_token_not_yet_valid"},
		"clock 120 s behind":           {token: func(c map[string]any) { c["iat"], c["exp"] = ago(120*time.Second), ago(-180*time.Second) }},
		"120 s behind, 30 s valid":     {token: func(c map[string]any) { c["iat"], c["exp"] = ago(120*time.Second), ago(90*time.Second) }, code: "oidc_token_expired"},
		"no iat":                       {token: without("iat"), code: "oidc_token_not_yet_valid"},
		"not before 60 s from now":     {token: set("nbf", ago(-60*time.Second))},
		"not before 120 s from now":    {token: set("nbf", ago(-120*time.Second)), code: "oidc_token_not_yet_valid"},
		"nbf is a text":                {token: set("nbf", "soon"), code: "oidc_token_not_yet_valid"},
		"nonce of another":             {token: set("nonce", "n"), code: "oidc_nonce_mismatch"},
		"no nonce":                     {token: without("nonce"), code: "oidc_nonce_mismatch"},
		"at_hash of another token":     {token: set("at_hash", "aaaaaaaaaaaaaaaaaaaaaa"), code: "oidc_access_token_mismatch"},
		"at_hash is empty":             {token: set("at_hash", ""), code: "oidc_access_token_mismatch"},
		"no at_hash":                   {token: without("at_hash")},
		"email_verified:false":         {token: set("email_verified", false), code: "oidc_email_unverified"},
		"no email_verified":            {token: without("email_verified"), code: "oidc_email_unverified"},
		"EMAIL_VERIFIED in capitals":   {token: func(c map[string]any) { c["email_verified"], c["EMAIL_VERIFIED"] = false, true }, code: "oidc_email_unverified"},
		"200 groups":                   {token: set("groups", many[:200])},
		"groups > 200":                 {token: set("groups", many), code: "oidc_groups_overage"},
		"group overage": {token: func(c map[string]any) {
			c["_claim_names"], c["_claim_sources"] = map[string]string{"groups": "src1"}, map[string]any{"src1": map[string]string{"endpoint": "https://graph.example.org/groups"}}
		}, code: "oidc_groups_overage"},
		"hasgroups":                     {token: set("hasgroups", true), code: "oidc_groups_overage"},
		"groups are numbers":            {token: set("groups", []int{1}), code: "oidc_groups_invalid"},
		"a group breaks the line":       {token: set("groups", []string{"a\ng, x, role:admin"}), code: "oidc_groups_invalid"},
		"one group as a text":           {token: set("groups", "team-shop")},
		"no name":                       {token: without("email"), code: "oidc_name_missing"},
		"a name of spaces":              {token: set("email", "  "), code: "oidc_name_missing"},
		"null as a name":                {token: set("email", nil), code: "oidc_name_missing"},
		"no sub":                        {token: without("sub"), code: "oidc_subject_missing"},
		"alg none":                      {raw: plain(`{"alg":"none"}`), code: "oidc_token_algorithm"},
		"alg None":                      {raw: plain(`{"alg":"None"}`), code: "oidc_token_algorithm"},
		"no alg":                        {raw: plain(`{}`), code: "oidc_token_algorithm"},
		"ALG in capitals":               {raw: plain(`{"ALG":"ES256"}`), code: "oidc_token_algorithm"},
		"empty signature":               {raw: plain(`{"alg":"ES256","kid":"k1"}`), code: "oidc_token_signature"},
		"another's key of the same kid": {raw: other.Sign, code: "oidc_token_signature"},
		"HS256 with the client's secret": {raw: func(c map[string]any) string {
			return symmetric(t, []byte(w.provider.Secret), c)
		}, code: "oidc_token_algorithm"},
		"HS256 with the public key": {raw: func(c map[string]any) string {
			b, _ := json.Marshal(jose.JSONWebKey{Key: w.provider.Key.Public, KeyID: "k1"})
			return symmetric(t, b, c)
		}, code: "oidc_token_algorithm"},
		"RS256 key in the header": {raw: func(c map[string]any) string {
			s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: rsaKey}, &jose.SignerOptions{EmbedJWK: true})
			if err != nil {
				t.Fatal(err)
			}
			b, _ := json.Marshal(c)
			signed, _ := s.Sign(b)
			raw, _ := signed.CompactSerialize()
			return raw
		}, code: "oidc_key_unknown"},
		"kid unknown":            {raw: oidctest.NewKey("k2").Sign, code: "oidc_key_unknown"},
		"crit":                   {raw: plain(`{"alg":"ES256","kid":"k1","crit":["b64"],"b64":false}`), code: "oidc_token_malformed"},
		"no token":               {raw: func(map[string]any) string { return "" }, code: "oidc_token_response_invalid"},
		"encrypted (five parts)": {raw: func(map[string]any) string { return "a.b.c.d.e" }, code: "oidc_token_malformed"},
		"header of 9 KiB": {raw: func(map[string]any) string {
			return text(`{"alg":"ES256","kid":"`+strings.Repeat("k", 9<<10)+`"}`) + ".e30."
		}, code: "oidc_token_malformed"},
		"token of 70 KiB":   {token: set("x", strings.Repeat("y", 70<<10)), code: "oidc_token_malformed"},
		"claims are a list": {raw: func(map[string]any) string { return w.signed(`[]`) }, code: "oidc_token_malformed"},
		"claims are null":   {raw: func(map[string]any) string { return w.signed(`null`) }, code: "oidc_token_malformed"},
	} {
		t.Run(name, func(t *testing.T) {
			w.honest()
			w.provider.Change(func(p *oidctest.Provider) { p.Token, p.Raw = c.token, c.raw })
			before := len(w.store.Begun())
			end, err := w.login(fleet.LoginStart{})
			begun := len(w.store.Begun()) - before
			if c.code == "" {
				if err != nil || begun != 1 {
					t.Errorf("%d sessions: %v", begun, err)
				}
				return
			}
			if !fault.HasCode(err, c.code) || begun != 0 || end.Login != nil {
				t.Errorf("%d sessions: %v (%s), want %s", begun, err, fault.As(err).Code, c.code)
			}
		})
	}
}

func symmetric(t *testing.T, secret []byte, c map[string]any) string {
	t.Helper()
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: jose.JSONWebKey{Key: secret, KeyID: "k1"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	b, _ := json.Marshal(c)
	signed, err := s.Sign(b)
	if err != nil {
		t.Fatal(err)
	}
	raw, _ := signed.CompactSerialize()
	return raw
}

// signed is a token of the provider whose claims are a text.
func (w *world) signed(text string) string {
	k := w.provider.Key
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: k.Algorithm, Key: jose.JSONWebKey{Key: k.Private, KeyID: k.ID}}, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	signed, err := s.Sign([]byte(text))
	if err != nil {
		w.t.Fatal(err)
	}
	raw, _ := signed.CompactSerialize()
	return raw
}

func TestS05_AnswersThatAreNotOfThisLogin(t *testing.T) {
	w := setup(t)
	fresh := func() visit { return w.visited(w.start(fleet.LoginStart{})) }
	for name, c := range map[string]struct {
		change func(v *visit)
		code   string
	}{
		"mixed-up provider (RFC 9207 iss)": {func(v *visit) { v.query.Set("iss", "https://other.example.org") }, "oidc_response_issuer_mismatch"},
		"iss is left out":                  {func(v *visit) { v.query.Del("iss") }, "oidc_response_issuer_mismatch"},
		"iss of a refusal is left out":     {func(v *visit) { v.query = url.Values{"state": v.query["state"], "error": {"access_denied"}} }, "oidc_response_issuer_mismatch"},
		"state of nobody":                  {func(v *visit) { v.query.Set("state", newSecret()) }, "oidc_state_unknown"},
		"no state":                         {func(v *visit) { v.query.Del("state") }, "oidc_response_malformed"},
		"two states":                       {func(v *visit) { v.query.Add("state", newSecret()) }, "oidc_response_malformed"},
		"code and error":                   {func(v *visit) { v.query.Set("error", "x") }, "oidc_response_malformed"},
		"code of nobody":                   {func(v *visit) { v.query.Set("code", "guess") }, "oidc_code_refused"},
		"another browser":                  {func(v *visit) { v.binding = newSecret() }, "oidc_state_foreign"},
		"no cookie":                        {func(v *visit) { v.binding = "" }, "oidc_state_foreign"},
		"10 KiB":                           {func(v *visit) { v.query.Set("x", strings.Repeat("y", 10<<10)) }, "oidc_response_malformed"},
	} {
		t.Run(name, func(t *testing.T) {
			v := fresh()
			c.change(&v)
			_, err := w.finish(v)
			if !fault.HasCode(err, c.code) {
				t.Errorf("%v (%s), want %s", err, fault.As(err).Code, c.code)
			}
		})
	}
	if n := len(w.store.Begun()); n != 0 {
		t.Errorf("%d sessions were begun", n)
	}

	t.Run("state reuse", func(t *testing.T) {
		v := fresh()
		if _, err := w.finish(v); err != nil {
			t.Fatal(err)
		}
		asked := w.provider.Asked("/token")
		_, err := w.finish(v)
		wantCode(t, err, fault.Unauthorized, "oidc_state_unknown")
		if w.provider.Asked("/token") != asked {
			t.Error("the provider was asked about a code that was used")
		}
	})
	t.Run("code replay", func(t *testing.T) {
		used := fresh()
		if _, err := w.finish(used); err != nil {
			t.Fatal(err)
		}
		v := fresh()
		v.query.Set("code", used.query.Get("code"))
		_, err := w.finish(v)
		wantCode(t, err, fault.Unauthorized, "oidc_code_refused")
	})
	t.Run("PKCE: the code of another login", func(t *testing.T) {
		mine, stolen := fresh(), fresh()
		mine.query.Set("code", stolen.query.Get("code"))
		_, err := w.finish(mine)
		wantCode(t, err, fault.Unauthorized, "oidc_code_refused")
	})
	t.Run("nonce reuse", func(t *testing.T) {
		var before map[string]any
		w.provider.Change(func(p *oidctest.Provider) { p.Token = func(c map[string]any) { before = maps.Clone(c) } })
		if _, err := w.finish(fresh()); err != nil {
			t.Fatal(err)
		}
		w.provider.Change(func(p *oidctest.Provider) {
			p.Token = nil
			p.Raw = func(map[string]any) string { return p.Key.Sign(before) }
		})
		_, err := w.finish(fresh())
		wantCode(t, err, fault.Unauthorized, "oidc_nonce_mismatch")
		w.honest()
	})
	t.Run("a login of yesterday", func(t *testing.T) {
		v := fresh()
		w.advance(loginTime)
		_, err := w.finish(v)
		wantCode(t, err, fault.Unauthorized, "oidc_state_unknown")
	})
	t.Run("the settings changed meanwhile", func(t *testing.T) {
		v := fresh()
		w.set(func(p *fleet.IdentityProvider) { p.AllowedGroups = []string{"ops"} })
		_, err := w.finish(v)
		wantCode(t, err, fault.Unauthorized, "oidc_provider_changed")
		w.honest()
	})
	t.Run("the door of another provider", func(t *testing.T) {
		v := fresh()
		_, err := w.Finish(t.Context(), "other", v.binding, v.query.Encode())
		wantCode(t, err, fault.Unauthorized, "oidc_provider_mismatch")
	})
	t.Run("a refusal", func(t *testing.T) {
		w.provider.Change(func(p *oidctest.Provider) { p.Refuse = "access_denied" })
		_, err := w.finish(fresh())
		wantCode(t, err, fault.Unauthorized, "oidc_login_refused")
		if strings.Contains(fmt.Sprint(err), "script") {
			t.Error("the provider's text is repeated")
		}
		w.honest()
	})
	t.Run("two callbacks at once", func(t *testing.T) {
		v := fresh()
		before := len(w.store.Begun())
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() { _, _ = w.finish(v) })
		}
		wg.Wait()
		if n := len(w.store.Begun()) - before; n != 1 {
			t.Errorf("%d sessions", n)
		}
	})
}

func TestS05_ProvidersThatCannotBeUsed(t *testing.T) {
	html := func(w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, "<html>log in first</html>")
		return true
	}
	broken := func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(500); return true }
	large := func(w http.ResponseWriter, _ *http.Request) bool {
		_, _ = w.Write(bytes.Repeat([]byte("x"), maxAnswerBytes+10)) // the hub hangs up
		return true
	}
	elsewhere := func(w http.ResponseWriter, r *http.Request) bool {
		http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusFound)
		return true
	}
	const document = "/.well-known/openid-configuration"
	for name, c := range map[string]struct {
		instead  map[string]func(http.ResponseWriter, *http.Request) bool
		document func(map[string]any)
		answer   func(map[string]any)
		code     string
	}{
		"200 HTML as the document":         {instead: map[string]func(http.ResponseWriter, *http.Request) bool{document: html}, code: "oidc_discovery_invalid"},
		"200 HTML as keys":                 {instead: map[string]func(http.ResponseWriter, *http.Request) bool{"/keys": html}, code: "oidc_keys_unavailable"},
		"200 HTML as a token":              {instead: map[string]func(http.ResponseWriter, *http.Request) bool{"/token": html}, code: "oidc_token_response_invalid"},
		"500 as the document":              {instead: map[string]func(http.ResponseWriter, *http.Request) bool{document: broken}, code: "oidc_provider_unreachable"},
		"500 as keys (JWKS endpoint down)": {instead: map[string]func(http.ResponseWriter, *http.Request) bool{"/keys": broken}, code: "oidc_keys_unavailable"},
		"500 as a token":                   {instead: map[string]func(http.ResponseWriter, *http.Request) bool{"/token": broken}, code: "oidc_token_response_invalid"},
		"more than 1 MiB":                  {instead: map[string]func(http.ResponseWriter, *http.Request) bool{document: large}, code: "oidc_provider_unreachable"},
		"the document elsewhere":           {instead: map[string]func(http.ResponseWriter, *http.Request) bool{document: elsewhere}, code: "oidc_provider_unreachable"},
		"the token elsewhere":              {instead: map[string]func(http.ResponseWriter, *http.Request) bool{"/token": elsewhere}, code: "oidc_token_response_invalid"},
		"another issuer":                   {document: func(d map[string]any) { d["issuer"] = "https://other.example.org" }, code: "oidc_discovery_invalid"},
		"tokens over http":                 {document: func(d map[string]any) { d["token_endpoint"] = "http://idp.example.org/token" }, code: "oidc_discovery_invalid"},
		"a script to log in with":          {document: func(d map[string]any) { d["authorization_endpoint"] = "javascript:alert(1)" }, code: "oidc_discovery_invalid"},
		"keys in a file":                   {document: func(d map[string]any) { d["jwks_uri"] = "file:///etc/passwd" }, code: "oidc_discovery_invalid"},
		"PKCE downgrade to plain":          {document: func(d map[string]any) { d["code_challenge_methods_supported"] = []string{"plain"} }, code: "oidc_pkce_unsupported"},
		"no ID token":                      {answer: func(a map[string]any) { delete(a, "id_token") }, code: "oidc_token_response_invalid"},
		"no access token":                  {answer: func(a map[string]any) { delete(a, "access_token") }, code: "oidc_token_response_invalid"},
	} {
		t.Run(name, func(t *testing.T) {
			w := setup(t)
			w.provider.Change(func(p *oidctest.Provider) {
				maps.Copy(p.Instead, c.instead)
				p.Document, p.Answer = c.document, c.answer
			})
			to, binding, err := w.Begin(t.Context(), "192.0.2.1", fleet.LoginStart{})
			if err == nil {
				u, _ := url.Parse(to)
				_, err = w.finish(w.visited(u, binding))
			}
			wantCode(t, err, fault.Upstream, c.code)
			if len(w.store.Begun()) != 0 {
				t.Error("a session was begun")
			}
		})
	}
}

// Whoever makes tokens with new key ids does not have the hub ask for keys each time.
func TestS05_AFloodOfUnknownKeysDoesNotReachTheProvider(t *testing.T) {
	w := setup(t)
	if _, err := w.login(fleet.LoginStart{}); err != nil {
		t.Fatal(err)
	}
	w.advance(keysPause)
	asked := w.provider.Asked("/keys")
	for i := range 20 {
		w.provider.Change(func(p *oidctest.Provider) { p.Raw = oidctest.NewKey(fmt.Sprintf("flood-%d", i)).Sign })
		_, err := w.login(fleet.LoginStart{})
		wantCode(t, err, fault.Unauthorized, "oidc_key_unknown")
	}
	if n := w.provider.Asked("/keys") - asked; n != 1 {
		t.Errorf("the provider was asked %d times in 30 s", n)
	}
	w.provider.Change(func(p *oidctest.Provider) { p.Raw = nil })
	if _, err := w.login(fleet.LoginStart{}); err != nil {
		t.Errorf("known keys: %v", err)
	}
}

func TestS05_KeysRotateAndOutlastAnOutage(t *testing.T) {
	w := setup(t)
	login := func() error { _, err := w.login(fleet.LoginStart{}); return err }
	if err := login(); err != nil {
		t.Fatal(err)
	}
	old := w.provider.Key
	rotated := oidctest.NewKey("k2")
	w.provider.Change(func(p *oidctest.Provider) { p.Key, p.Published = rotated, []oidctest.Key{rotated, old} })
	w.advance(keysPause)
	if err := login(); err != nil {
		t.Errorf("after a rotation: %v", err)
	}
	down := func(rw http.ResponseWriter, _ *http.Request) bool { rw.WriteHeader(http.StatusBadGateway); return true }
	w.provider.Change(func(p *oidctest.Provider) { p.Instead["/keys"] = down })
	w.advance(keysAge)
	if err := login(); err != nil {
		t.Errorf("while the keys cannot be read: %v", err)
	}
	w.provider.Change(func(p *oidctest.Provider) { p.Raw = oidctest.NewKey("k3").Sign })
	w.advance(keysPause)
	wantCode(t, login(), fault.Upstream, "oidc_keys_unavailable")
	// A key that is withdrawn is not taken any more, ten minutes after at the latest.
	w.provider.Change(func(p *oidctest.Provider) {
		delete(p.Instead, "/keys")
		p.Raw, p.Published = old.Sign, []oidctest.Key{rotated}
	})
	w.advance(keysAge)
	wantCode(t, login(), fault.Unauthorized, "oidc_key_unknown")
}

// Settings that are changed while the provider is asked for a token decide about the
// login, in a browser and elsewhere.
func TestA03_SettingsThatChangeMeanwhileEndALogin(t *testing.T) {
	w := setup(t)
	meanwhile := func() {
		w.provider.Change(func(p *oidctest.Provider) {
			p.Token = func(map[string]any) {
				if _, err := w.store.PutIdentityProvider(context.Background(), fleet.IdentityProvider{Name: "corp", Issuer: p.URL, ClientID: p.ClientID, Secret: p.Secret, CA: p.CA, AllowedGroups: []string{"other"}}, false); err != nil {
					t.Error(err)
				}
			}
		})
	}
	v := w.visited(w.start(fleet.LoginStart{}))
	meanwhile()
	_, err := w.finish(v)
	wantCode(t, err, fault.Unauthorized, "oidc_provider_changed")

	w.provider.Change(func(p *oidctest.Provider) { p.Token = nil })
	w.set(func(*fleet.IdentityProvider) {})
	d, err := w.BeginDevice(t.Context(), "192.0.2.1", "corp")
	if err != nil {
		t.Fatal(err)
	}
	w.provider.Decide(d.UserCode, true)
	meanwhile()
	_, err = w.PollDevice(t.Context(), d.Handle)
	wantCode(t, err, fault.Unauthorized, "oidc_provider_changed")
	if n := len(w.store.Begun()); n != 0 {
		t.Errorf("%d sessions were begun", n)
	}
}

// With a prefix no subject, name or group of a provider is another provider's, or a
// local user's, in whose names there is no colon.
func TestS05_APrefixKeepsSubjectsApart(t *testing.T) {
	for name, c := range map[string]struct {
		change                  func(p *fleet.IdentityProvider)
		subject, person, groups string
	}{
		"addresses":              {func(*fleet.IdentityProvider) {}, "subject-1", "ann@example.org", "team-shop"},
		"prefixes":               {func(p *fleet.IdentityProvider) { p.UserPrefix, p.GroupsPrefix = "b:", "g:" }, "b:subject-1", "b:ann@example.org", "g:team-shop"},
		"another claim":          {func(p *fleet.IdentityProvider) { p.UserClaim = "sub" }, "corp:subject-1", "corp:subject-1", "team-shop"},
		"another claim, no more": {func(p *fleet.IdentityProvider) { p.UserClaim, p.UserPrefix = "sub", NoPrefix }, "subject-1", "subject-1", "team-shop"},
	} {
		t.Run(name, func(t *testing.T) {
			w := setup(t)
			w.set(c.change)
			if _, err := w.login(fleet.LoginStart{}); err != nil {
				t.Fatal(err)
			}
			got := w.store.Begun()[0]
			if got.Subject != c.subject || got.Name != c.person || strings.Join(got.Groups, " ") != c.groups {
				t.Errorf("%+v", got)
			}
		})
	}
}

// A session is as fresh as the provider's knowledge of the person, and who logs in
// again, or at a command line, is asked by the provider.
func TestS06_AProviderThatRemembersSomebodyMakesNoFreshLogin(t *testing.T) {
	w := setup(t)
	long := w.clock().Add(-8 * time.Hour).Truncate(time.Second)
	w.provider.Change(func(p *oidctest.Provider) {
		p.Token = func(c map[string]any) { c["auth_time"] = long.Unix() }
	})
	at, binding := w.start(fleet.LoginStart{})
	if at.Query().Has("max_age") {
		t.Errorf("the first login: %s", at)
	}
	if _, err := w.finish(w.visited(at, binding)); err != nil {
		t.Fatal(err)
	}
	if got := w.store.Begun()[0].AuthenticatedAt; !got.Equal(long) {
		t.Errorf("authenticated at %s", got)
	}
	challenge := base64.RawURLEncoding.EncodeToString(hashOf("x"))
	for name, start := range map[string]fleet.LoginStart{
		"again": {Again: true}, "command line": {Port: 40001, Challenge: challenge, State: newSecret()},
	} {
		if at, _ := w.start(start); at.Query().Get("max_age") != "0" {
			t.Errorf("%s: %s", name, at)
		}
	}
	w.provider.Change(func(p *oidctest.Provider) { p.Token = nil })
	if _, err := w.login(fleet.LoginStart{Again: true}); err != nil {
		t.Fatal(err)
	}
	if got := w.store.Begun()[1].AuthenticatedAt; !got.IsZero() {
		t.Errorf("a provider that does not say: %s", got)
	}
}

func TestA20_AProviderWhoseCertificateIsNotTrusted(t *testing.T) {
	w := setup(t)
	w.set(func(p *fleet.IdentityProvider) { p.CA = "" })
	_, _, err := w.Begin(t.Context(), "192.0.2.1", fleet.LoginStart{})
	wantCode(t, err, fault.Upstream, "oidc_tls_untrusted")
	if w.store.Logins() != 0 {
		t.Error("a login has begun")
	}
	other := oidctest.New()
	defer other.Close()
	w.set(func(p *fleet.IdentityProvider) { p.CA = other.CA }) // a CA, and not this one's
	_, err = w.BeginDevice(t.Context(), "192.0.2.1", "corp")
	wantCode(t, err, fault.Upstream, "oidc_tls_untrusted")
	var steps []string
	err = w.Test(t.Context(), "corp", func(s fleet.ProviderStep) { steps = append(steps, s.Name) })
	wantCode(t, err, fault.Upstream, "oidc_tls_untrusted")
	if !slices.Equal(steps, []string{"tls"}) {
		t.Error(steps)
	}
	// Nothing plain either.
	p := fleet.IdentityProvider{Name: "corp", Issuer: "http://idp.example.org", ClientID: "c"}
	if len(Check(p)) != 1 {
		t.Error("an issuer without TLS is taken")
	}
}

func TestATestWalksAllSteps(t *testing.T) {
	w := setup(t)
	var steps []string
	if err := w.Test(t.Context(), "corp", func(s fleet.ProviderStep) { steps = append(steps, s.Name+": "+s.Detail) }); err != nil {
		t.Fatal(err)
	}
	if len(steps) != 3 || !strings.Contains(steps[0], "test CA of a provider") || !strings.Contains(steps[1], "device") || steps[2] != "keys: 1 keys" {
		t.Error(steps)
	}
	w.provider.Change(func(p *oidctest.Provider) { p.Published = nil })
	wantCode(t, w.Test(t.Context(), "corp", func(fleet.ProviderStep) {}), fault.Upstream, "oidc_keys_unavailable")
	wantCode(t, w.Test(t.Context(), "nobody", func(fleet.ProviderStep) {}), fault.NotFound, "oidc_provider_unknown")
}

func TestWhichProvider(t *testing.T) {
	w := setup(t)
	w.set(func(p *fleet.IdentityProvider) { p.Name = "other" })
	_, _, err := w.Begin(t.Context(), "192.0.2.1", fleet.LoginStart{})
	wantCode(t, err, fault.Invalid, "oidc_provider_needed")
	for _, name := range []string{"nobody", "a/../b", strings.Repeat("x", 1000), "\x00"} {
		_, _, err = w.Begin(t.Context(), "192.0.2.1", fleet.LoginStart{Provider: name})
		wantCode(t, err, fault.NotFound, "oidc_provider_unknown")
	}
	none := &oidctest.Store{Now: time.Now}
	_, _, err = New(none, none, base, nil, slog.New(slog.DiscardHandler)).Begin(context.Background(), "192.0.2.1", fleet.LoginStart{})
	wantCode(t, err, fault.NotFound, "oidc_provider_unknown")
}

func TestOneAddressBeginsSoManyLogins(t *testing.T) {
	w := setup(t)
	for range beginAttempts {
		w.start(fleet.LoginStart{})
	}
	_, _, err := w.Begin(t.Context(), "192.0.2.1", fleet.LoginStart{})
	wantCode(t, err, fault.RateLimited, "too_many_logins")
	if _, _, err := w.Begin(t.Context(), "192.0.2.2", fleet.LoginStart{}); err != nil {
		t.Error(err)
	}
}

func TestA18_StatesAreUnique(t *testing.T) {
	const n = 1_000_000
	seen := make(map[[16]byte]struct{}, n)
	for range n {
		b, err := base64.RawURLEncoding.DecodeString(newSecret())
		if err != nil || len(b) < 16 {
			t.Fatalf("%d bytes: %v", len(b), err)
		}
		seen[[16]byte(b[:16])] = struct{}{}
	}
	if len(seen) != n {
		t.Errorf("of %d states %d differ in their first 128 bits", n, len(seen))
	}
}
