package api

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/hub/auth/oidc/oidctest"
	"github.com/hawser-dev/hawser/shared/audit"
	"github.com/hawser-dev/hawser/shared/fault"
)

// withProvider sets a provider through the API, which lets only those in who are in
// one of the groups, when there are some.
func (w *world) withProvider(allowedGroups ...string) *oidctest.Provider {
	w.t.Helper()
	p := oidctest.New()
	w.t.Cleanup(p.Close)
	p.Now, p.RedirectURI = w.opts.Now, "https://hub.example.org:8443/auth/callback/corp"
	body, err := json.Marshal(map[string]any{"issuer": p.URL, "clientID": p.ClientID, "clientSecret": p.Secret, "ca": p.CA, "allowedGroups": allowedGroups})
	if err != nil {
		w.t.Fatal(err)
	}
	w.call("PUT", "/api/v1/settings/providers/corp", string(body)).ok(200)
	return p
}

// cookieOf is a cookie that an answer sets, as a browser sends it.
func cookieOf(t testing.TB, a answer, name string) string {
	t.Helper()
	res := http.Response{Header: a.header}
	for _, c := range res.Cookies() {
		if c.Name != name {
			continue
		}
		if c.Path != "/" || !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Domain != "" {
			t.Errorf("the cookie is %+v", c)
		}
		return name + "=" + c.Value
	}
	t.Fatalf("no cookie %s: %v", name, a.header)
	return ""
}

// atProvider goes to where the login page sends, and is at the hub's door again.
func (w *world) atProvider(query string) (door, cookie string) {
	w.t.Helper()
	a := w.call("GET", "/auth/login?"+query, "", "Authorization:").ok(303)
	res, err := oidctest.Browser(func(*url.URL) bool { return false }).Get(a.header.Get("Location"))
	if err != nil {
		w.t.Fatal(err)
	}
	res.Body.Close()
	back, err := res.Location()
	if err != nil {
		w.t.Fatal(err)
	}
	return back.RequestURI(), cookieOf(w.t, a, loginCookie)
}

// Who is logged in and logs in again is asked by the provider: what takes a fresh login
// takes the person.
func TestS06_LoggingInAgainAsksThePerson(t *testing.T) {
	w := newWorld(t)
	w.withProvider()
	asks := func(cookies string) bool {
		t.Helper()
		a := w.call("GET", "/auth/login", "", "Authorization:", "Cookie: "+cookies).ok(303)
		return strings.Contains(a.header.Get("Location"), "max_age=0")
	}
	if asks("a=b") || asks(cookieName+"=hws_nobody") {
		t.Error("a first login asks who is remembered")
	}
	door, cookie := w.atProvider("")
	session := cookieOf(t, w.call("GET", door, "", "Authorization:", "Cookie: "+cookie).ok(303), cookieName)
	if !asks(session) {
		t.Error("the provider is not told to ask")
	}
	w.call("POST", "/api/v1/logout", "", "Authorization:", "Cookie: "+session).ok(204)
	if asks(session) {
		t.Error("a session that is over counts")
	}
}

func TestABrowserLogsInAtAProvider(t *testing.T) {
	records := &fakeAudit{open: map[string]audit.Record{}}
	w := newWorld(t, func(o *Options) { o.Audit = records })
	w.withProvider()
	door, cookie := w.atProvider("return=/api/docs")
	a := w.call("GET", door, "", "Authorization:", "Cookie: "+cookie).ok(303)
	if a.header.Get("Location") != "/api/docs" {
		t.Errorf("sent to %s", a.header.Get("Location"))
	}
	session := cookieOf(t, a, cookieName)
	var who caller
	w.call("GET", "/api/v1/whoami", "", "Authorization:", "Cookie: "+session).ok(200).into(&who)
	if who.Name != "ann@example.org" || who.Admin || who.Session == nil || who.Session.Provider != "corp" || strings.Join(who.Session.Groups, " ") != "team-shop" {
		t.Errorf("%+v", who)
	}
	// The same answer once more, and another browser's.
	w.call("GET", door, "", "Authorization:", "Cookie: "+cookie).ok(401)
	door, _ = w.atProvider("")
	if a := w.call("GET", door, "", "Authorization:").ok(401); !strings.Contains(a.body, "another browser") || a.header.Get("Set-Cookie") != "" {
		t.Errorf("%v %s", a.header, a.body)
	}
	// A session that was there ends: nobody is two.
	door, cookie = w.atProvider("")
	w.call("GET", door, "", "Authorization:", "Cookie: "+cookie+"; "+session).ok(303)
	w.call("GET", "/api/v1/whoami", "", "Authorization:", "Cookie: "+session).problem(401, "session_expired")

	var done, refused int
	for _, e := range records.take(t) {
		if e.Action != "loginAtProvider" {
			continue
		}
		switch {
		case e.Kind == audit.Command && e.Actor == "ann@example.org" && e.ActorID != "":
			done++
		case e.Kind == audit.Refusal && strings.HasPrefix(e.Code, "oidc_state_"):
			refused++
		}
	}
	if done != 2 || refused != 2 {
		t.Errorf("%d logins and %d refusals are recorded", done, refused)
	}
	if strings.Contains(w.logged(), "state=") || strings.Contains(w.logged(), "hws_") {
		t.Error("a secret is in the log")
	}
}

func TestACommandLineLogsInAtAProvider(t *testing.T) {
	w := newWorld(t)
	w.withProvider()
	verifier := strings.Repeat("v", 43)
	sum := sha256.Sum256([]byte(verifier))
	state := strings.Repeat("s", 43)
	door, cookie := w.atProvider("provider=corp&port=40001&state=" + state + "&challenge=" + base64.RawURLEncoding.EncodeToString(sum[:]))
	a := w.call("GET", door, "", "Authorization:", "Cookie: "+cookie).ok(303)
	to, err := url.Parse(a.header.Get("Location"))
	if err != nil || to.Host != "127.0.0.1:40001" || to.Query().Get("state") != state {
		t.Fatal(to, err)
	}
	body := `{"code":"` + to.Query().Get("code") + `","verifier":"` + verifier + `"}`
	var got loginAnswer
	w.call("POST", "/api/v1/login/sso", body, "Authorization:").ok(200).into(&got)
	if got.Name != "ann@example.org" || !strings.HasPrefix(got.Token, "hws_") {
		t.Errorf("%+v", got)
	}
	w.call("GET", "/api/v1/whoami", "", "Authorization: Bearer "+got.Token).ok(200)
	w.call("POST", "/api/v1/login/sso", body, "Authorization:").problem(401, "oidc_code_unknown")
	for _, bad := range []string{"port=22&state=" + state, "port=x", "port=99999999999999999999", "port=40001", "challenge=x"} {
		w.call("GET", "/auth/login?"+bad, "", "Authorization:").ok(400)
	}
}

func TestADeviceLogsInAtAProvider(t *testing.T) {
	records := &fakeAudit{open: map[string]audit.Record{}}
	w := newWorld(t, func(o *Options) { o.Audit = records })
	p := w.withProvider()
	begin := func() (d deviceAnswer) {
		w.call("POST", "/api/v1/login/device", "", "Authorization:").ok(200).into(&d)
		return d
	}
	poll := func(d deviceAnswer) answer {
		return w.call("POST", "/api/v1/login/device/poll", `{"handle":"`+d.Handle+`"}`, "Authorization:")
	}
	d := begin()
	var got devicePolled
	if poll(d).ok(200).into(&got); !got.Pending || got.Login != nil {
		t.Errorf("%+v", got)
	}
	d = begin()
	p.Decide(d.UserCode, true)
	got = devicePolled{}
	if poll(d).ok(200).into(&got); got.Pending || got.Login == nil || !strings.HasPrefix(got.Login.Token, "hws_") {
		t.Fatalf("%+v", got)
	}
	poll(d).problem(401, "oidc_device_unknown")
	n := 0
	for _, e := range records.take(t) {
		if e.Action == "pollDeviceLogin" && e.Kind == audit.Command && e.Actor == "ann@example.org" {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d records of one login", n)
	}
}

func TestProvidersAreSettings(t *testing.T) {
	w := newWorld(t)
	p := w.withProvider()
	const path = "/api/v1/settings/providers/corp"
	a := w.call("GET", path, "").ok(200)
	var got identityProvider
	a.into(&got)
	if got.RedirectURI != p.RedirectURI || !got.Confidential || strings.Contains(a.body, p.Secret) {
		t.Error(a.body)
	}
	body := func(change map[string]any) string {
		all := map[string]any{"issuer": p.URL, "clientID": p.ClientID, "ca": p.CA}
		for k, v := range change {
			all[k] = v
		}
		b, _ := json.Marshal(all)
		return string(b)
	}
	w.call("PUT", path, body(nil), "If-Match: "+a.header.Get("ETag")).ok(200)
	w.call("PUT", path, body(nil), "If-Match: "+a.header.Get("ETag")).problem(412, "version_conflict")
	if kept, _ := w.providers.IdentityProvider(t.Context(), "corp"); kept.Secret != p.Secret {
		t.Error("the secret is not kept")
	}
	// The secret of one is not sent to another.
	for _, change := range []map[string]any{{"issuer": "https://evil.example.org"}, {"clientID": "other"}, {"ca": ""}} {
		w.call("PUT", path, body(change)).problem(400, "oidc_secret_needed")
	}
	w.call("PUT", path, body(map[string]any{"clientSecret": ""})).ok(200).into(&got)
	if got.Confidential {
		t.Error("the secret is still there")
	}
	for _, bad := range []map[string]any{{"issuer": "http://idp"}, {"issuer": "https://u:p@idp"}, {"issuer": "https://idp/?q"}, {"clientID": ""}, {"scopes": []string{"a b"}}, {"allowedDomains": []string{"Example.org"}},
		{"ca": "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n"}, {"userPrefix": "a\nb"}} {
		w.call("PUT", path, body(bad)).problem(400, "oidc_settings_invalid")
	}
	w.call("PUT", "/api/v1/settings/providers/local", body(nil)).problem(400, "oidc_settings_invalid")
	var tested providerTest
	if w.call("POST", path+"/test", "").ok(200).into(&tested); !tested.OK || len(tested.Steps) != 3 {
		t.Errorf("%+v", tested)
	}
	w.call("PUT", path, body(map[string]any{"ca": "", "clientSecret": p.Secret})).ok(200)
	tested = providerTest{}
	if w.call("POST", path+"/test", "").ok(200).into(&tested); tested.OK || len(tested.Steps) != 1 || tested.Steps[0].Code != "oidc_tls_untrusted" || tested.Steps[0].ID == "" {
		t.Errorf("%+v", tested)
	}
	var names loginProviders
	if w.call("GET", "/api/v1/login/providers", "", "Authorization:").ok(200).into(&names); len(names.Providers) != 1 {
		t.Errorf("%+v", names)
	}
	w.call("DELETE", path, "").ok(204)
	w.call("DELETE", path, "").problem(404, "oidc_provider_unknown")
	w.call("GET", path, "").problem(404, "oidc_provider_unknown")
}

// No field leaves the provider's certificate unverified.
func TestA20_NoSettingSkipsVerification(t *testing.T) {
	w := newWorld(t)
	for _, field := range []string{"insecureSkipVerify", "insecure", "skipTLSVerify", "insecureSkipTLSVerify", "tlsVerify", "rootCAInsecure"} {
		a := w.call("PUT", "/api/v1/settings/providers/corp", `{"issuer":"https://idp.example.org","clientID":"c","`+field+`":true}`)
		if a.status != 400 || !strings.Contains(a.body, field) {
			t.Errorf("%s: %d %s", field, a.status, a.body)
		}
	}
	p := w.withProvider()
	w.call("PUT", "/api/v1/settings/providers/corp", `{"issuer":"`+p.URL+`","clientID":"hawser","clientSecret":"x"}`).ok(200)
	a := w.call("GET", "/auth/login", "", "Authorization:").ok(424)
	if !strings.Contains(a.body, "certificate") || !strings.Contains(a.body, fault.ID("oidc_tls_untrusted")) || a.header.Get("Location") != "" {
		t.Error(a.body)
	}
}

// What anybody writes into an address is not on the page.
func TestA08_TestA15_PagesRepeatNothing(t *testing.T) {
	w := newWorld(t)
	w.withProvider()
	for _, text := range []string{"<script>alert(1)</script>", "<svg/onload=alert(1)>", "Call+0800+555+0100", "%0d%0aSet-Cookie:+x=y", `"><img src=x>`, "javascript:alert(1)"} {
		e := url.QueryEscape(text)
		for _, path := range []string{
			"/auth/callback/corp?error=" + e + "&state=" + e, "/auth/callback/corp?error=" + e + "&error_description=" + e + "&state=" + strings.Repeat("s", 43),
			"/auth/callback/corp?code=" + e + "&state=" + strings.Repeat("s", 43) + "&iss=" + e, "/auth/callback/" + url.PathEscape(strings.ReplaceAll(text, "/", "")) + "?code=x&state=" + strings.Repeat("s", 43),
			"/auth/login?provider=" + e, "/auth/login?provider=corp&port=" + e, "/auth/login?provider=corp&port=40001&state=" + e + "&challenge=" + e,
		} {
			a := w.call("GET", path, "", "Authorization:", "Cookie: "+loginCookie+"="+e)
			if a.status < 400 {
				t.Errorf("%s: %d", path, a.status)
			}
			for _, part := range []string{"script", "onload", "0800", "img src", "alert"} {
				if strings.Contains(a.body, part) {
					t.Errorf("%s: %s", path, a.body)
				}
			}
			if ct := a.header.Get("Content-Type"); ct != "text/plain; charset=utf-8" && ct != "application/problem+json" {
				t.Errorf("%s: %s", path, ct)
			}
			if a.header.Get("X-Content-Type-Options") != "nosniff" || !strings.Contains(a.header.Get("Content-Security-Policy"), "default-src 'none'") || a.header.Get("Location") != "" || a.header.Get("Set-Cookie") != "" {
				t.Errorf("%s: %v", path, a.header)
			}
		}
	}
	// What the provider itself says is not there either.
	p := w.withProvider()
	p.Change(func(p *oidctest.Provider) { p.Refuse = "<script>" })
	door, cookie := w.atProvider("")
	a := w.call("GET", door, "", "Authorization:", "Cookie: "+cookie).ok(401)
	if strings.Contains(a.body, "script") || strings.Contains(a.body, "555") || !strings.Contains(a.body, loginPages["oidc_login_refused"]) {
		t.Error(a.body)
	}
}

func TestA15_EveryRefusalOfALoginHasAPageOfItsOwn(t *testing.T) {
	// Codes that a browser never meets.
	others := regexp.MustCompile(`^oidc_(device_|code_unknown$|secret_needed$|test_unknown$)`)
	n := 0
	for _, r := range fault.Registry() {
		if strings.HasPrefix(r.Code, "oidc_") && !others.MatchString(r.Code) {
			n++
			if loginPages[r.Code] == "" {
				t.Errorf("%s has no page", r.Code)
			}
		}
	}
	for code, text := range loginPages {
		if strings.ContainsAny(text, "<>%") || code != "" && fault.ID(code) == "" {
			t.Errorf("%s: %q", code, text)
		}
	}
	if n < 30 {
		t.Errorf("only %d codes", n)
	}
}

// A token of a provider, however it is signed, is nobody's here, and nothing is asked
// without a login: there is no anonymous user whose claims could be made up.
func TestA16_TestA22_TokensOfProvidersAreNoLogins(t *testing.T) {
	w := newWorld(t)
	p := w.withProvider()
	claims := map[string]any{"iss": p.URL, "aud": []string{"hawser", "hub-agent"}, "sub": "admin", "email": "admin", "email_verified": true, "groups": []string{"role:admin"}, "exp": 9999999999, "iat": 1}
	b, _ := json.Marshal(claims)
	text := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	forged := oidctest.NewKey("k1").Sign(claims)
	head, _, _ := strings.Cut(forged, ".")
	for name, token := range map[string]string{
		"of the provider itself": p.Key.Sign(claims), "of an attacker's key": forged, "wrong kid": oidctest.NewKey("k2").Sign(claims),
		"alg none": text(`{"alg":"none"}`) + "." + text(string(b)) + ".", "empty signature": head + "." + text(string(b)) + ".",
		"HS256":                      text(`{"alg":"HS256"}`) + "." + text(string(b)) + "." + text("signature"),
		"an agent's enrolment token": "hwe_secret",
	} {
		for _, header := range []string{"Authorization: Bearer " + token, "Cookie: " + cookieName + "=" + token} {
			headers := []string{"Authorization:", header}
			if strings.HasPrefix(header, "Authorization") {
				headers = headers[1:]
			}
			a := w.call("GET", "/api/v1/applications", "", headers...)
			if a.status != 401 && a.status != 429 {
				t.Errorf("%s: %d %s", name, a.status, a.body)
			}
		}
	}
	w.call("GET", "/api/v1/applications", "", "Authorization:").problem(401, "token_missing")
}

func TestS04_ALoginEndsAtAPathOfThisHub(t *testing.T) {
	w := newWorld(t)
	w.withProvider()
	for _, to := range []string{"//evil", `/\evil`, "https:evil", "%2f%2fevil", "/%2f%2fevil", "/x@evil", "https://evil.example.org", "javascript:alert(1)", "/\t/evil", "\x00//evil", "/%5cevil", "///evil", "evil", ""} {
		door, cookie := w.atProvider("return=" + url.QueryEscape(to))
		a := w.call("GET", door, "", "Authorization:", "Cookie: "+cookie).ok(303)
		if got := a.header.Get("Location"); got != "/" {
			t.Errorf("%q leads to %q", to, got)
		}
	}
}

var _ IdentityProviders = (*oidctest.Store)(nil)

func TestASecretOfAProviderIsInNoAnswer(t *testing.T) {
	w := newWorld(t)
	p := w.withProvider()
	for _, path := range []string{"/api/v1/settings/providers", "/api/v1/settings/providers/corp", "/api/v1/login/providers"} {
		if a := w.call("GET", path, "").ok(200); strings.Contains(a.body, p.Secret) {
			t.Errorf("%s: %s", path, a.body)
		}
	}
	if strings.Contains(w.logged(), p.Secret) {
		t.Error("it is in the log")
	}
}

func TestALoginThatIsATestShowsWhoItWouldBe(t *testing.T) {
	records := &fakeAudit{open: map[string]audit.Record{}}
	w, _ := newPolicyWorld(t, "g, team-shop, role:admin\n", func(o *Options) { o.Audit = records })
	w.token = w.as(true)
	p := w.withProvider()
	door, cookie := w.atProvider("")
	session := cookieOf(t, w.call("GET", door, "", "Authorization:", "Cookie: "+cookie).ok(303), cookieName)
	// Nobody asks, or somebody who is not logged in.
	if a := w.call("GET", "/auth/login?test=yes", "", "Authorization:").ok(409); !strings.Contains(a.body, "Log in to the hub first") {
		t.Error(a.body)
	}
	a := w.call("GET", "/auth/login?provider=corp&test=yes", "", "Authorization:", "Cookie: "+session).ok(303)
	res, err := oidctest.Browser(func(*url.URL) bool { return false }).Get(a.header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	back, err := res.Location()
	if err != nil {
		t.Fatal(err)
	}
	a = w.call("GET", back.RequestURI(), "", "Authorization:", "Cookie: "+session+"; "+cookieOf(t, a, loginCookie)).ok(303)
	if strings.Contains(strings.Join(a.header.Values("Set-Cookie"), " "), cookieName) {
		t.Error("a session was made or ended")
	}
	to, err := url.Parse(a.header.Get("Location"))
	if err != nil || to.Path != "/settings" {
		t.Fatal(a.header)
	}
	body := `{"code": "` + to.Query().Get("signin") + `"}`
	var got signInTest
	answered := w.call("POST", "/api/v1/settings/providers/corp/sign-in", body, "Authorization:", "Cookie: "+session, "Sec-Fetch-Site: same-origin").ok(200)
	answered.into(&got)
	if !got.OK || got.Person == nil || got.Person.Name != "ann@example.org" || !got.Admin || len(got.Roles) != 2 || got.Roles[0].Role != "role:admin" || got.Roles[0].As != "team-shop" || len(got.Steps) != 7 {
		t.Errorf("%+v", got)
	}
	if strings.Contains(answered.body, p.Secret) {
		t.Error("the client's secret is in the answer")
	}
	// Another administrator is not told who that was.
	w.call("POST", "/api/v1/settings/providers/corp/sign-in", body).problem(404, "oidc_test_unknown")
	tests := 0
	for _, e := range records.take(t) {
		if e.Action == "testSignIn" && e.Subject == "subject-1" && e.Provider == "corp" {
			tests++
		}
	}
	if tests != 1 {
		t.Errorf("%d tests are recorded", tests)
	}
}
