package api

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/hub/auth"
)

// notDangerous are the writing routes, and the command in a container, that want no fresh
// login, each with the reason. What is not here must say Fresh or FreshFor.
var notDangerous = map[string]string{
	"canI":                 "asks",
	"listRights":           "asks",
	"createClusterToken":   "has less than the login that asks for it, and ends with it",
	"redeemLogin":          "it is the login",
	"beginDeviceLogin":     "it is the login",
	"pollDeviceLogin":      "it is the login",
	"testIdentityProvider": "stores nothing",
	"getSignInTest":        "asks",
	"checkRBAC":            "stores nothing",
	"login":                "it is the login",
	"confirmSession":       "it is the fresh login",
	"changePassword":       "it takes the password",
	"logout":               "takes rights away from oneself",
	"logoutEverywhere":     "takes rights away from oneself",
	"endSession":           "takes rights away from oneself",
	"endAnySession":        "who was ended logs in again",
	"explain":              "asks",
	"previewProject":       "asks",
	"compareApplication":   "asks",
	"testRepository":       "stores nothing",
	"createApplication":    "within what the project allows, and in the history",
	"putApplication":       "within what the project allows, and in the history",
	"unpinApplication":     "what the sources say is wanted again",
	"runAction":            "an operator's daily work, by actions that are allowed one by one",
	"refreshApplication":   "looks",
	"terminateApplication": "stops",
	"terminateOperation":   "stops",
	"cancelJob":            "stops",
	"createApplicationSet": "makes no application that one could not make",
	"putApplicationSet":    "makes no application that one could not make",
	"deleteApplicationSet": "leaves the applications",
	"putSavedView":         "a filter and an order of a list; nothing in a cluster",
	"deleteSavedView":      "as putSavedView",
	"execResource":         "has a right of its own, and the agent's; an operator's daily work",
}

// fresh is a world in which ann, an administrator, has logged in, and whose clock can
// be set.
func freshWorld(t *testing.T) (w *world, cookie *http.Cookie, later func(time.Duration)) {
	t.Helper()
	w, _ = newAccountsWorld(t)
	now := start
	w.store.Identity.Now = func() time.Time { return now }
	w.auth = auth.New(w.store, w.store.Identity.Now, w.opts.Log)
	w.opts.Auth, w.opts.Settings, w.opts.Jobs, w.opts.GPGKeys = w.auth, &fakeSettings{}, &fakeJobs{}, &fakeGPGKeys{}
	w.handler = New(w.opts)
	return w, w.enter(`{"username":"ann","password":"` + goodPassword + `","browser":true}`), func(d time.Duration) { now = now.Add(d) }
}

// A new route says whether it is dangerous, or is in the list with a reason.
func TestS06_EveryRouteSaysWhetherItIsDangerous(t *testing.T) {
	w, cookie, later := freshWorld(t)
	later(auth.ConfirmTime)
	left := map[string]bool{}
	for id := range notDangerous {
		left[id] = true
	}
	for _, r := range Routes() {
		reads := r.Method == http.MethodGet && r.Stream != WebSocket
		delete(left, r.ID)
		switch marked := r.Fresh || r.FreshFor != ""; {
		case marked && notDangerous[r.ID] != "", r.Fresh && r.FreshFor != "":
			t.Errorf("%s says two things", r.ID)
		case marked && (reads || r.Public || r.Asks):
			t.Errorf("%s changes nothing, and wants a fresh login", r.ID)
		case !marked && !reads && notDangerous[r.ID] == "":
			t.Errorf("%s %s (%s) changes something: mark it Fresh or FreshFor, or say in this test why it is harmless", r.Method, r.Path, r.ID)
		}
		if r.Fresh {
			path := "/api/v1" + strings.NewReplacer(":name", "eu", ":id", "x").Replace(r.Path)
			before := w.store.fingerprint()
			w.call(r.Method, path, bodies[r.Method+" "+r.Path], with1(cookie)...).problem(403, "login_confirmation_needed")
			if w.store.fingerprint() != before {
				t.Errorf("%s changed something", r.ID)
			}
		}
	}
	for id := range left {
		t.Errorf("%s is no route", id)
	}
}

func TestS06_WhatMakesARequestDangerous(t *testing.T) {
	project := `{"apiVersion":"argoproj.io/v1alpha1","kind":"AppProject","metadata":{"name":"shop"},"spec":{}}`
	for _, c := range []struct {
		method, path, body string
		dangerous          bool
	}{
		{"DELETE", "/applications/web?cascade=true", "", true},
		{"DELETE", "/applications/web?approveDeletions=true&cascade=false", "", true},
		{"DELETE", "/applications/web?cascade=false", "", false},
		{"POST", "/applications/web/sync", `{"confirmPrune":3,"prune":true}`, true},
		{"POST", "/applications/web/sync", `{"prune":true}`, false},
		{"POST", "/applications/web/rollback", `{"confirmPrune":3}`, true},
		{"POST", "/applications/web/rollback", `{"confirmPrune":3,"dryRun":true}`, false},
		{"POST", "/applications/web/confirm-deletion", "", true},
		{"POST", "/jobs", `{"kind":"delete","applications":["web"]}`, true},
		{"POST", "/jobs", `{"kind":"delete","applications":["web"],"spec":{"cascade":true}}`, true},
		{"POST", "/jobs", `{"kind":"delete","applications":["web"],"spec":{"cascade":false,"approveDeletions":true}}`, true},
		{"POST", "/jobs", `{"kind":"delete","applications":["web"],"spec":{"cascade":false}}`, false},
		{"POST", "/jobs", `{"kind":"sync","applications":["web"],"spec":{"confirmPrune":3}}`, true},
		{"POST", "/jobs", `{"kind":"sync","applications":["web"]}`, false},
		{"POST", "/apply", project, true},
		{"POST", "/apply", application("other") + "---\n" + project, true},
		{"POST", "/apply?dryRun=true", project, false},
		{"POST", "/apply", application("other"), false},
		{"PUT", "/projects/shop", project, true},
		{"PUT", "/projects/shop?dryRun=true", project, false},
		{"PUT", "/projects/shop?dryRun=TRUE", project, false}, // no answer to it is to store
	} {
		w, cookie, later := freshWorld(t)
		w.call("POST", "/api/v1/applications", application("web")).ok(201)
		later(auth.ConfirmTime)
		before := w.store.fingerprint()
		a := w.call(c.method, "/api/v1"+c.path, c.body, with1(cookie)...)
		refused := strings.Contains(a.body, "login_confirmation_needed")
		if refused != c.dangerous || refused && (a.status != 403 || w.store.fingerprint() != before) {
			t.Errorf("%s %s %s: %d %s", c.method, c.path, c.body, a.status, a.body)
		}
		if strings.Contains(c.path, "TRUE") && a.status < 400 {
			t.Errorf("%s was taken", c.path)
		}
		// A token was issued for what it does.
		if a := w.call(c.method, "/api/v1"+c.path, c.body); strings.Contains(a.body, "login_confirmation_needed") {
			t.Errorf("%s %s: a token is asked for a password", c.method, c.path)
		}
	}
}

// crossSite are what a page of another site can have a browser send.
var crossSite = []string{"Origin: null", "Origin: https://evil.example", "Origin: https://other.example.com", "Origin: https://evil.hub.example.com", "Origin: http://example.com.evil.example",
	"Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site"}

// Every writing route of the table, and what is served beside it: nothing that a
// page of another site can have a browser send is taken, with the administrator's
// cookie.
func TestA32_NoRouteTakesWritesOfOtherSites(t *testing.T) {
	w, cookie, _ := freshWorld(t)
	asked := 0
	for _, r := range Routes() {
		if r.Method == http.MethodGet {
			continue
		}
		asked++
		path := "/api/v1" + strings.NewReplacer(":name", "eu", ":id", "x").Replace(r.Path)
		before := w.store.fingerprint()
		w.calls.take()
		body := bodies[r.Method+" "+r.Path]
		for _, h := range crossSite {
			w.call(r.Method, path, body, append(with1(cookie), h)...).problem(403, "cross_origin_blocked")
		}
		if body == "" {
			body = `{}`
		}
		for _, media := range []string{"text/plain", "text/plain; charset=utf-8", "TEXT/PLAIN", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""} {
			a := w.call(r.Method, path, body, append(with1(cookie), "Content-Type: "+media)...)
			a.problem(415, "unsupported_media_type")
		}
		if w.store.fingerprint() != before || len(w.calls.take()) > 0 {
			t.Errorf("%s %s: something was done", r.Method, r.Path)
		}
	}
	if asked < 40 {
		t.Errorf("only %d routes were asked", asked)
	}
	w.call("GET", "/api/v1/whoami", "", with1(cookie)...).ok(200) // nobody was logged out
	w.call("POST", "/api/v1/logout", "", append(with1(cookie), "Origin: https://example.com", "Sec-Fetch-Site: same-origin")...).ok(204)
}

// A stream is for pages of the hub's own, and for programs with a token.
func TestS07_NoStreamForPagesOfOtherOrigins(t *testing.T) {
	w, cookie, _ := freshWorld(t)
	w.call("POST", "/api/v1/applications", application("web")).ok(201)
	asked := 0
	for _, r := range Routes() {
		if r.Stream == NoStream || r.Method != http.MethodGet {
			continue
		}
		asked++
		path := "/api/v1" + strings.NewReplacer(":name", "web", ":id", "x").Replace(r.Path)
		ws := []string{"Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", "Sec-WebSocket-Protocol: " + ExecProtocol}
		for _, h := range append(slices.Clone(crossSite), "Origin: https://example.com:444", "Origin: file://", "Origin: %zz", "X-None: no origin") {
			w.short("GET", path, "", slices.Concat(with1(cookie), ws, []string{h})...).problem(403, "origin_denied")
		}
		// With a token in the place of the cookie: a page cannot know one, and is refused all the same.
		w.short("GET", path, "", append(slices.Clone(ws), "Origin: https://evil.example")...).problem(403, "origin_denied")
		for _, h := range []string{"Origin: https://example.com", "Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: none"} {
			if a := w.short("GET", path, "", append(with1(cookie), h)...); strings.Contains(a.body, "origin_denied") || a.status == 401 {
				t.Errorf("%s of the hub's own page: %d %s", path, a.status, a.body)
			}
		}
		if a := w.short("GET", path, ""); strings.Contains(a.body, "origin_denied") || a.status == 401 {
			t.Errorf("%s of a program: %d %s", path, a.status, a.body)
		}
	}
	if asked < 4 {
		t.Errorf("only %d streams were asked", asked)
	}
}

// Every answer has the headers that keep browsers from doing harm with it, and no
// one may show it in a frame.
func TestA09_TestS09_EveryAnswerHasSecurityHeaders(t *testing.T) {
	w, cookie, _ := freshWorld(t)
	check := func(what string, a answer) {
		t.Helper()
		csp := a.header.Get("Content-Security-Policy")
		for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer", "Cross-Origin-Resource-Policy": "same-origin"} {
			if a.header.Get(name) != want {
				t.Errorf("%s: %s is %q", what, name, a.header.Get(name))
			}
		}
		for _, part := range []string{"default-src 'none'", "frame-ancestors 'none'"} {
			if !strings.Contains(csp, part) {
				t.Errorf("%s: Content-Security-Policy %q", what, csp)
			}
		}
		for _, bad := range []string{"unsafe-inline", "unsafe-eval", "*", "http:", "data:"} {
			if strings.Contains(csp, bad) {
				t.Errorf("%s: Content-Security-Policy %q allows %s", what, csp, bad)
			}
		}
		if !strings.HasPrefix(a.header.Get("Strict-Transport-Security"), "max-age=") || a.header.Get("Cache-Control") == "" || a.header.Get("X-Request-Id") == "" {
			t.Errorf("%s: %v", what, a.header)
		}
		for _, name := range []string{"Server", "X-Powered-By", "Access-Control-Allow-Origin"} {
			if a.header.Get(name) != "" {
				t.Errorf("%s has %s: %s", what, name, a.header.Get(name))
			}
		}
	}
	_, engine := newEngine(w.opts)
	for _, r := range engine.Routes() {
		path := strings.NewReplacer(":name", "eu", ":id", "x").Replace(r.Path)
		check("anonymous "+r.Method+" "+path, w.short(r.Method, path, "", "Authorization:"))
		if r.Path != "/api/v1/logout/everywhere" && r.Path != "/api/v1/logout" {
			check(r.Method+" "+path, w.short(r.Method, path, "", append(with1(cookie), "Sec-Fetch-Site: same-origin")...))
		}
	}
	check("404", w.call("GET", "/no/such", ""))
	check("404 of another version", w.call("GET", "/api/v2/x", ""))
	check("405", w.call("PATCH", "/api/v1/version", ""))
	check("a foreign origin", w.call("POST", "/api/v1/logout", "", "Origin: null"))
	check("a page that has not changed", w.call("GET", FirstLoginPath, "", "If-None-Match: "+w.call("GET", FirstLoginPath, "").header.Get("ETag")))
	w.store.panics = true
	a := w.call("GET", "/api/v1/hub", "")
	a.problem(500, "internal")
	check("500", a)
}

// Who is not logged in learns no version, neither from a route nor from a header.
func TestA09_NoVersionForStrangers(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Version = "98.76.54-canary" })
	w.call("GET", "/api/v1/version", "", "Authorization:").problem(401, "token_missing")
	_, engine := newEngine(w.opts)
	paths := []string{"/version", "/api/version", "/"}
	for _, r := range engine.Routes() {
		if r.Method == http.MethodGet {
			paths = append(paths, strings.NewReplacer(":name", "eu", ":id", "x").Replace(r.Path))
		}
	}
	for _, path := range paths {
		a := w.short("GET", path, "", "Authorization:")
		if all := a.body + fmt.Sprint(a.header); strings.Contains(all, "98.76") || strings.Contains(all, "canary") || strings.Contains(all, "go1.") {
			t.Errorf("%s tells the version: %s", path, all)
		}
	}
	w.call("GET", "/api/v1/version", "").ok(200)
}

// The page of the first login works without anything inline, and nothing on it
// sends the code or the password by the browser's own means.
func TestA05_ThePageOfTheFirstLogin(t *testing.T) {
	w := newWorld(t)
	page := w.call("GET", FirstLoginPath, "", "Authorization:")
	page.ok(200)
	csp := page.header.Get("Content-Security-Policy")
	for _, want := range []string{"script-src 'self'", "form-action 'none'", "base-uri 'none'", "connect-src 'self'"} {
		if !strings.Contains(csp, want) {
			t.Errorf("Content-Security-Policy %q", csp)
		}
	}
	for _, bad := range []string{"<script>", "onclick", "onload", "onsubmit", "style=", "<style", "http://", "https://", "javascript:", "action="} {
		if strings.Contains(page.body, bad) {
			t.Errorf("the page has %q", bad)
		}
	}
	for _, file := range []string{".js", ".css"} {
		if !strings.Contains(page.body, FirstLoginPath+file) {
			t.Errorf("the page does not use %s", file)
		}
		w.call("GET", FirstLoginPath+file, "", "Authorization:").ok(200)
	}
	script := w.call("GET", FirstLoginPath+".js", "").body
	for _, want := range []string{"location.hash", "history.replaceState", "/api/v1/login", "textContent"} {
		if !strings.Contains(script, want) {
			t.Errorf("the script has no %s", want)
		}
	}
	for _, bad := range []string{"innerHTML", "eval(", "localStorage", "sessionStorage", "console."} {
		if strings.Contains(script, bad) {
			t.Errorf("the script has %s", bad)
		}
	}
	// What the script sends, as a browser does.
	code, err := w.auth.NewLoginCode(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	send := func(password string, headers ...string) answer {
		return w.call("POST", "/api/v1/login", `{"code":"`+code+`","username":"root","password":"`+password+`","browser":true}`,
			append([]string{"Authorization:", "Content-Type: application/json", "Sec-Fetch-Site: same-origin", "Origin: https://example.com"}, headers...)...)
	}
	send("short").problem(400, "password_invalid")
	send(goodPassword, "Sec-Fetch-Site: cross-site").problem(403, "cross_origin_blocked")
	a := send(goodPassword)
	a.ok(200)
	cookie := (&http.Response{Header: a.header}).Cookies()[0]
	w.call("GET", "/api/v1/accounts", "", with1(cookie)...).ok(200)
	send(goodPassword).problem(401, "login_code_invalid")
	if strings.Contains(w.logged(), code) || strings.Contains(w.logged(), goodPassword) {
		t.Error("the code or the password is in the log")
	}
}

func TestS06_SessionsAreListedAndEnded(t *testing.T) {
	w, cookie, later := freshWorld(t)
	w.call("POST", "/api/v1/accounts", `{"name":"bob","password":"`+goodPassword+`"}`).ok(201)
	in := func(name string) (token string) {
		var got loginAnswer
		w.call("POST", "/api/v1/login", `{"username":"`+name+`","password":"`+goodPassword+`"}`, "Authorization:", "User-Agent: hawser/1.2 (x)").into(&got)
		return "Authorization: Bearer " + got.Token
	}
	ann, bob := in("ann"), in("bob")
	sessions := func(path string, headers ...string) (items []loginSession) {
		t.Helper()
		var got list[loginSession]
		a := w.call("GET", "/api/v1"+path, "", headers...)
		a.ok(200)
		a.into(&got)
		if strings.Contains(a.body, "hws_") || strings.Contains(a.body, `"hash"`) {
			t.Error(a.body)
		}
		return got.Items
	}
	find := func(items []loginSession, is func(loginSession) bool) loginSession {
		t.Helper()
		i := slices.IndexFunc(items, is)
		if i < 0 {
			t.Fatalf("not among %+v", items)
		}
		return items[i]
	}
	current := func(l loginSession) bool { return l.Current }
	mine := sessions("/sessions", ann)
	own := find(mine, current)
	if len(mine) < 2 || own.Name != "ann" || own.Client != "hawser/1.2 (x)" || own.Address != "192.0.2.1" || own.Browser || own.Provider != "local" {
		t.Errorf("%+v", mine)
	}
	bobs := find(sessions("/sessions", bob), current)
	if all := sessions("/login-sessions"); len(all) != len(mine)+1 {
		t.Errorf("%+v", all)
	}
	w.call("GET", "/api/v1/login-sessions", "", bob).problem(403, "permission_denied")
	w.call("DELETE", "/api/v1/login-sessions/"+own.ID, "", bob).problem(403, "permission_denied")
	// Somebody else's is as one that does not exist.
	for _, id := range []string{own.ID, "no-such"} {
		w.call("DELETE", "/api/v1/sessions/"+id, "", bob).problem(404, "session_unknown")
	}
	w.call("GET", "/api/v1/sessions", "").problem(409, "session_needed") // an API token

	// The use of a session is noted, to the minute.
	later(2 * time.Minute)
	w.call("GET", "/api/v1/whoami", "", ann).ok(200)
	if again := find(sessions("/sessions", ann), current); !again.LastUsed.After(own.LastUsed) {
		t.Errorf("last used %s, then %s", own.LastUsed, again.LastUsed)
	}

	w.call("DELETE", "/api/v1/login-sessions/"+bobs.ID, "").ok(204)
	w.call("GET", "/api/v1/whoami", "", bob).problem(401, "session_expired")
	second := in("ann")
	w.call("DELETE", "/api/v1/sessions/"+find(sessions("/sessions", second), current).ID, "", ann).ok(204)
	w.call("GET", "/api/v1/whoami", "", second).problem(401, "session_expired")
	var ended endedSessions
	w.call("POST", "/api/v1/logout/everywhere", "", ann).ok(200).into(&ended)
	if ended.Ended < 2 {
		t.Errorf("%d ended", ended.Ended)
	}
	w.call("GET", "/api/v1/whoami", "", ann).problem(401, "session_expired")
	w.call("GET", "/api/v1/whoami", "", with1(cookie)...).problem(401, "session_expired")
}

func TestA04_RetryAfterIsWhatIsLeftOfTheWindow(t *testing.T) {
	w, _, later := freshWorld(t)
	guess := func() answer {
		return w.call("POST", "/api/v1/login", `{"username":"ann","password":"wrong"}`, "Authorization:")
	}
	token := func() answer { return w.call("GET", "/api/v1/whoami", "", "Authorization: Bearer hwt_wrong") }
	for name, ask := range map[string]func() answer{"login": guess, "token": token} {
		for range 10 {
			ask().ok(401)
		}
		first := ask()
		first.ok(429)
		later(100 * time.Second)
		second := ask()
		second.ok(429)
		if a, b := first.header.Get("Retry-After"), second.header.Get("Retry-After"); a != "300" || b != "200" {
			t.Errorf("%s: to be tried again after %s and %s seconds", name, a, b)
		}
		later(300 * time.Second)
	}
}

// A secret that somebody has copied is worth nothing after the logout: at the hub at
// once, at others when what they remember is two seconds old, and for every way in.
func TestA48_ALogoutEndsTheSession(t *testing.T) {
	w, cookie, later := freshWorld(t)
	second := w.opts
	second.Auth = auth.New(w.store, w.store.Identity.Now, w.opts.Log)
	here, other := w.handler, New(second)
	ways := map[string]string{"its cookie": "Cookie: " + cookie.Name + "=" + cookie.Value, "its secret as a token": "Authorization: Bearer " + cookie.Value}
	ask := func(hub http.Handler, way string) answer {
		w.handler = hub
		return w.call("GET", "/api/v1/accounts", "", "Authorization:", way)
	}
	for _, hub := range []http.Handler{here, other} {
		for _, way := range ways {
			ask(hub, way).ok(200)
		}
	}
	w.handler = here
	w.call("POST", "/api/v1/logout", "", with1(cookie)...).ok(204)
	later(2 * time.Second)
	for name, way := range ways {
		for _, hub := range []http.Handler{here, other} {
			ask(hub, way).problem(401, "session_expired")
		}
		if w.call("POST", "/api/v1/session/confirm", `{"password":"`+goodPassword+`"}`, "Authorization:", way).status != 401 {
			t.Errorf("with %s a session is made new after its logout", name)
		}
	}
}
