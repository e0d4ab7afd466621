package api

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/hub/auth"
	"github.com/hawser-dev/hawser/hub/fleet"
)

const goodPassword = "correct horse battery"

// newAccountsWorld has an administrator ann, whose login is the cookie of what is
// answered.
func newAccountsWorld(t *testing.T) (w *world, cookie *http.Cookie) {
	t.Helper()
	w = newWorld(t)
	w.call("POST", "/api/v1/accounts", `{"name":"ann","password":"`+goodPassword+`","admin":true}`).ok(201)
	return w, w.enter(`{"username":"ann","password":"` + goodPassword + `","browser":true}`)
}

// enter logs in as a browser does.
func (w *world) enter(body string, headers ...string) *http.Cookie {
	w.t.Helper()
	a := w.call("POST", "/api/v1/login", body, append(headers, "Authorization:")...)
	a.ok(200)
	cookies := (&http.Response{Header: a.header}).Cookies()
	if len(cookies) != 1 {
		w.t.Fatalf("cookies %v", a.header["Set-Cookie"])
	}
	if strings.Contains(a.body, cookies[0].Value) {
		w.t.Error("the secret of the cookie is in the answer too")
	}
	return cookies[0]
}

func with1(c *http.Cookie) []string {
	return []string{"Authorization:", "Cookie: " + c.Name + "=" + c.Value}
}

func TestS06_TheCookieOfASession(t *testing.T) {
	w, cookie := newAccountsWorld(t)
	if cookie.Name != "__Host-hawser" || !cookie.Secure || !cookie.HttpOnly || cookie.SameSite != http.SameSiteLaxMode || cookie.Path != "/" || cookie.Domain != "" {
		t.Errorf("cookie %s", cookie.Raw)
	}
	for _, word := range []string{"ann", "local"} {
		if strings.Contains(cookie.Value, word) {
			t.Errorf("the cookie says %q", word)
		}
	}
	var who caller
	a := w.call("GET", "/api/v1/whoami", "", with1(cookie)...)
	a.ok(200)
	a.into(&who)
	if who.Name != "ann" || !who.Admin || who.Session == nil || who.Session.Provider != "local" {
		t.Errorf("%+v", who)
	}
	// What another site has a browser ask is nobody's, or refused.
	for _, site := range []string{"cross-site", "same-site"} {
		w.call("GET", "/api/v1/whoami", "", append(with1(cookie), "Sec-Fetch-Site: "+site)...).problem(401, "token_missing")
		w.call("POST", "/api/v1/logout", "", append(with1(cookie), "Sec-Fetch-Site: "+site)...).problem(403, "cross_origin_blocked")
	}
	w.call("GET", "/api/v1/whoami", "", append(with1(cookie), "Sec-Fetch-Site: same-origin")...).ok(200)

	// Fixation: a login never takes a secret over, and ends the session before.
	next := w.enter(`{"username":"ann","password":"`+goodPassword+`","browser":true}`, "Cookie: "+cookie.Name+"="+cookie.Value)
	if next.Value == cookie.Value {
		t.Error("a login kept the secret")
	}
	w.call("GET", "/api/v1/whoami", "", with1(cookie)...).problem(401, "session_expired")

	out := w.call("POST", "/api/v1/logout", "", with1(next)...)
	out.ok(204)
	if gone := (&http.Response{Header: out.header}).Cookies(); len(gone) != 1 || gone[0].MaxAge >= 0 || gone[0].Value != "" {
		t.Errorf("logout leaves %v", out.header["Set-Cookie"])
	}
	w.call("GET", "/api/v1/whoami", "", with1(next)...).problem(401, "session_expired") // A48
}

func TestS06_DangerousCommandsWantAFreshLogin(t *testing.T) {
	w, _ := newAccountsWorld(t)
	now := start
	w.auth = auth.New(w.store, func() time.Time { return now }, w.opts.Log)
	w.store.Identity.Now = func() time.Time { return now }
	w.opts.Auth = w.auth
	w.handler = New(w.opts)
	cookie := w.enter(`{"username":"ann","password":"` + goodPassword + `","browser":true}`)
	mint := `{"name":"x","admin":true}`
	w.call("POST", "/api/v1/tokens", mint, with1(cookie)...).ok(201)
	now = now.Add(auth.ConfirmTime)
	dangerous := 0
	for _, r := range Routes() {
		if r.Fresh && (r.when == nil || r.when(w.opts)) {
			dangerous++
			path := "/api/v1" + strings.NewReplacer(":name", "eu", ":id", "x").Replace(r.Path)
			w.call(r.Method, path, bodies[r.Method+" "+r.Path], with1(cookie)...).problem(403, "login_confirmation_needed")
		}
	}
	if dangerous < 5 {
		t.Errorf("only %d routes are dangerous", dangerous)
	}
	w.call("GET", "/api/v1/accounts", "", with1(cookie)...).ok(200)
	w.call("POST", "/api/v1/session/confirm", `{"password":"wrong"}`, with1(cookie)...).problem(401, "login_failed")
	a := w.call("POST", "/api/v1/session/confirm", `{"password":"`+goodPassword+`"}`, with1(cookie)...)
	a.ok(200)
	next := (&http.Response{Header: a.header}).Cookies()[0]
	w.call("POST", "/api/v1/tokens", mint, with1(next)...).ok(201)
	w.call("GET", "/api/v1/whoami", "", with1(cookie)...).problem(401, "session_expired")
	w.call("POST", "/api/v1/session/confirm", `{"password":"x"}`).problem(409, "session_needed") // an API token
}

func TestA03_TokensOfADisabledUserAndHisStreamsEnd(t *testing.T) {
	w := newWorld(t, realClock(50*time.Millisecond))
	w.call("POST", "/api/v1/accounts", `{"name":"ann","password":"`+goodPassword+`","grants":[{"project":"shop","role":"viewer"}]}`).ok(201)
	var in loginAnswer
	w.call("POST", "/api/v1/login", `{"username":"ann","password":"`+goodPassword+`"}`, "Authorization:").into(&in)
	admin := w.token
	w.token = in.Token
	s := w.serve(t, true)
	l := w.listen(t, s, "")
	if first := l.next(); !strings.Contains(first, "hello") {
		t.Fatalf("first came %q", first)
	}
	w.token = admin
	w.call("PATCH", "/api/v1/accounts/ann", `{"enabled":false}`).ok(200)
	select {
	case <-l.ended:
	case <-time.After(5 * time.Second):
		t.Error("the stream is open 5 s after its user was disabled")
	}
	w.call("GET", "/api/v1/whoami", "", "Authorization: Bearer "+in.Token).problem(401, "session_expired")
	w.call("POST", "/api/v1/login", `{"username":"ann","password":"`+goodPassword+`"}`, "Authorization:").problem(401, "login_failed")
}

func TestA04_TooManyLoginsSayWhenToComeBack(t *testing.T) {
	w, _ := newAccountsWorld(t)
	w.call("POST", "/api/v1/accounts", `{"name":"bob","password":"`+goodPassword+`"}`).ok(201)
	var last answer
	for range 12 {
		last = w.call("POST", "/api/v1/login", `{"username":"ann","password":"wrong"}`, "Authorization:")
	}
	last.problem(429, "too_many_logins")
	if last.header.Get("Retry-After") == "" {
		t.Error("there is no Retry-After")
	}
	w.call("POST", "/api/v1/login", `{"username":"bob","password":"`+goodPassword+`"}`, "Authorization:").ok(200)
}

func TestAccounts(t *testing.T) {
	w, _ := newAccountsWorld(t)
	var got account
	a := w.call("PATCH", "/api/v1/accounts/ann", `{"admin":false,"grants":[{"project":"shop","role":"viewer"}]}`)
	a.ok(200)
	a.into(&got)
	if got.Admin || len(got.Grants) != 1 || !got.Enabled {
		t.Errorf("%+v", got)
	}
	a = w.call("PATCH", "/api/v1/accounts/ann", `{"admin":true}`)
	a.into(&got)
	if !got.Admin {
		t.Errorf("%+v", got)
	}
	for body, code := range map[string]string{`{}`: "body_invalid", `{"password":"short"}`: "password_invalid", `{"grants":[{"project":"shop","role":"king"}]}`: "grants_invalid"} {
		w.call("PATCH", "/api/v1/accounts/ann", body).problem(400, code)
	}
	w.call("POST", "/api/v1/accounts", `{"name":"ann","password":"`+goodPassword+`"}`).problem(409, "user_exists")
	w.call("GET", "/api/v1/accounts/nobody", "").problem(404, "user_not_found")
	w.call("DELETE", "/api/v1/accounts/nobody", "").problem(404, "user_not_found")
	list := w.call("GET", "/api/v1/accounts", "")
	list.ok(200)
	if strings.Contains(list.body, "argon2") || strings.Contains(list.body, "assword\":") || !strings.Contains(list.body, `"name":"ann"`) {
		t.Error(list.body)
	}
	w.call("DELETE", "/api/v1/accounts/ann", "").ok(204)
	if strings.Contains(w.log.String(), goodPassword) {
		t.Error("a password is in the log")
	}
	w.token = w.as(false, fleet.Grant{Project: "shop", Role: "editor"})
	w.call("GET", "/api/v1/accounts", "").problem(403, "permission_denied")
}

func TestA05_TheFirstUserComesByTheCode(t *testing.T) {
	w := newWorld(t)
	code, err := w.auth.NewLoginCode(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	body := `{"code":"` + code + `","username":"root","password":"` + goodPassword + `"}`
	var in loginAnswer
	a := w.call("POST", "/api/v1/login", body, "Authorization:")
	a.ok(200)
	a.into(&in)
	w.call("GET", "/api/v1/accounts", "", "Authorization: Bearer "+in.Token).ok(200)
	w.call("POST", "/api/v1/login", body, "Authorization:").problem(401, "login_code_invalid")
	w.call("POST", "/api/v1/login", `{}`, "Authorization:").problem(401, "login_code_invalid")
}
