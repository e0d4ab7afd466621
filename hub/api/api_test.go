package api

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
)

func TestEveryRouteNeedsAToken(t *testing.T) {
	w := newWorld(t)
	for _, r := range Routes() {
		if r.Public || r.when != nil && !r.when(w.opts) {
			continue
		}
		method, path := r.Method, "/api/v1"+strings.NewReplacer(":name", "x", ":id", "x").Replace(r.Path)
		p := w.call(method, path, "", "Authorization:").problem(401, "token_missing")
		if p.Fix == "" {
			t.Errorf("%s %s: no advice", method, path)
		}
	}
	if got := w.calls.take(); got != "" {
		t.Errorf("something was done: %s", got)
	}
}

func TestBadTokens(t *testing.T) {
	w := newWorld(t)
	for i, header := range []string{"Bearer hwt_wrong", "Basic " + w.token, w.token, "Bearer  " + w.token, "Bearer"} {
		a := w.call("GET", "/api/v1/whoami", "", "Authorization: "+header)
		if a.status != 401 || a.header.Get("WWW-Authenticate") == "" {
			t.Errorf("%d: %d %s", i, a.status, a.body)
		}
	}
	for range 20 {
		w.call("GET", "/api/v1/whoami", "", "Authorization: Bearer hwt_wrong")
	}
	a := w.call("GET", "/api/v1/whoami", "", "Authorization: Bearer hwt_wrong")
	a.problem(429, "too_many_attempts")
	if a.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	w.call("GET", "/api/v1/whoami", "").ok(200)
}

func TestLogin(t *testing.T) {
	w := newWorld(t)
	code, _ := w.auth.NewLoginCode(t.Context())
	var got struct{ Token, Name, ExpiresAt string }
	w.call("POST", "/api/v1/login", fmt.Sprintf(`{"code":%q}`, code), "Authorization:", "Content-Type: application/json").ok(200).into(&got)
	if !strings.HasPrefix(got.Token, "hwt_") || got.Name != "admin" || got.ExpiresAt != "2026-03-02T12:00:00Z" {
		t.Errorf("got %+v", got)
	}
	var who struct {
		Name  string
		Admin bool
	}
	w.call("GET", "/api/v1/whoami", "", "Authorization: Bearer "+got.Token).ok(200).into(&who)
	if who.Name != "admin" || !who.Admin {
		t.Errorf("got %+v", who)
	}
	w.call("POST", "/api/v1/login", fmt.Sprintf(`{"code":%q}`, code), "Authorization:").problem(401, "login_code_invalid")
	w.call("POST", "/api/v1/login", "", "Authorization:").problem(400, "body_missing")
	w.call("POST", "/api/v1/login", `{"cod":"x"}`, "Authorization:").problem(400, "unknown_field")
	for _, secret := range []string{code, got.Token} {
		if strings.Contains(w.logged(), secret) {
			t.Error("a secret is in the log")
		}
	}
}

func TestTokens(t *testing.T) {
	w := newWorld(t)
	var made struct{ ID, Token, Name string }
	w.call("POST", "/api/v1/tokens", `{"name":"ci","ttl":"24h","admin":true}`).ok(201).into(&made)
	w.call("GET", "/api/v1/whoami", "", "Authorization: Bearer "+made.Token).ok(200)
	body := w.call("GET", "/api/v1/tokens", "").ok(200).body
	if strings.Contains(strings.ToLower(body), "hash") || strings.Contains(body, made.Token) || !strings.Contains(body, made.ID) {
		t.Errorf("got %s", body)
	}
	w.call("DELETE", "/api/v1/tokens/"+made.ID, "").ok(204)
	w.call("GET", "/api/v1/whoami", "", "Authorization: Bearer "+made.Token).problem(401, "token_invalid")

	// Whoever has a token may give it up, whatever else it may do, and no other.
	var plain issuedToken
	w.call("POST", "/api/v1/tokens", `{"name":"plain","grants":[{"project":"x","role":"viewer"}]}`).ok(201).into(&plain)
	w.call("POST", "/api/v1/logout", "", "Authorization: Bearer "+plain.Token).ok(204)
	w.call("GET", "/api/v1/whoami", "", "Authorization: Bearer "+plain.Token).problem(401, "token_invalid")
	w.call("GET", "/api/v1/whoami", "").ok(200)
	w.call("DELETE", "/api/v1/tokens/"+made.ID, "").problem(404, "api_token_unknown")
	w.call("POST", "/api/v1/tokens", `{"name":"ci","ttl":"9000h","admin":true}`).problem(400, "lifetime_invalid")
	w.call("POST", "/api/v1/tokens", `{"name":"ci","ttl":"5 minutes","admin":true}`).problem(400, "expression_invalid")
	w.call("POST", "/api/v1/tokens", `{"name":"","admin":true}`).problem(400, "text_invalid")
	w.call("POST", "/api/v1/tokens", `{"name":"a\u202eb","admin":true}`).problem(400, "text_invalid")
}

func TestUnknownRoutesAndMethods(t *testing.T) {
	w := newWorld(t)
	w.call("GET", "/", "").problem(404, "route_unknown")
	w.call("GET", "/api/v3/applications", "").problem(404, "api_version_unknown")
	w.call("GET", "/api/v10", "").problem(404, "api_version_unknown")
	w.call("GET", "/api/v1/nothing", "").problem(404, "route_unknown")
	w.call("GET", "/api/v1/applications/", "").problem(404, "route_unknown")
	w.call("GET", "/api/v1/applications/a/../../clusters", "").problem(404, "route_unknown")
	a := w.call("PATCH", "/api/v1/applications/x", "")
	p := a.problem(405, "method_not_allowed")
	if a.header.Get("Allow") == "" || !strings.Contains(p.Allowed, "DELETE") {
		t.Errorf("allowed: %q, %q", a.header.Get("Allow"), p.Allowed)
	}
	w.call("TRACE", "/api/v1/applications", "").problem(405, "method_not_allowed")
}

func TestBodies(t *testing.T) {
	w := newWorld(t)
	put := func(body string, headers ...string) answer {
		return w.call("PUT", "/api/v1/applications/web", body, headers...)
	}
	put(application("web"), "Content-Type: text/plain").problem(415, "unsupported_media_type")
	put(application("web"), "Content-Type:").problem(415, "unsupported_media_type")
	put(application("web"), "Content-Type: application/x-www-form-urlencoded").problem(415, "unsupported_media_type")
	put(application("web"), "Content-Type: application/yaml; charset=latin1").problem(415, "unsupported_media_type")
	put(application("web"), "Content-Encoding: gzip").problem(415, "unsupported_media_type")
	p := put(strings.Repeat("#", maxBody+1)).problem(413, "body_too_large")
	if p.Detail != "the request is 4194305 bytes; the limit is 4194304 bytes (4 MiB)" {
		t.Errorf("got %q", p.Detail)
	}
	put("").problem(400, "body_missing")
	put("null").problem(400, "body_missing")
	put("{", "Content-Type: application/json").problem(400, "json_invalid")
	put("a: \xff").problem(400, "encoding_invalid")
	put(strings.Repeat("[", 5000)).problem(400, "too_deep")
	for i, ct := range []string{"application/json", "application/json; charset=utf-8", "application/yaml", "text/yaml"} {
		want := 200
		if i == 0 {
			want = 201
		}
		put(application("web"), "Content-Type: "+ct).ok(want)
	}
}

func TestPanicsBecomeProblems(t *testing.T) {
	w := newWorld(t)
	w.store.panics = true
	p := w.call("GET", "/api/v1/hub", "").problem(500, "internal")
	if p.Detail != "internal error" || p.RequestID != "request-1" {
		t.Errorf("got %+v", p)
	}
	if !strings.Contains(w.logged(), "CANARY") || !strings.Contains(w.logged(), "request-1") {
		t.Error("the log does not say what happened")
	}
	w.store.panics = false
	w.call("GET", "/api/v1/clusters", "").ok(200)
}

func TestADatabaseThatIsAway(t *testing.T) {
	w := newWorld(t)
	w.call("GET", "/api/v1/whoami", "").ok(200)
	w.store.down = true
	for _, r := range []string{
		"GET /api/v1/hub", "GET /api/v1/clusters/eu", "GET /api/v1/projects/x", "GET /api/v1/applications/x",
		"POST /api/v1/applications/x/sync", "DELETE /api/v1/applications/x", "DELETE /api/v1/clusters/eu",
	} {
		method, path, _ := strings.Cut(r, " ")
		a := w.call(method, path, "")
		a.problem(503, "db_unavailable")
		if a.header.Get("Retry-After") == "" {
			t.Errorf("%s: no Retry-After", r)
		}
	}
	w.call("PUT", "/api/v1/applications/web", application("web")).problem(503, "db_unavailable")
	// Lists go on from memory, and say so.
	for _, path := range []string{"clusters", "projects", "applications", "repositories"} {
		var got page[any]
		w.call("GET", "/api/v1/"+path, "").ok(200).into(&got)
		if got.Partial == nil || got.Partial.Code != "database_away" || got.AsOf.IsZero() {
			t.Errorf("%s: %+v", path, got)
		}
	}
	if got := w.calls.take(); got != "" {
		t.Errorf("something was done: %s", got)
	}
}

func TestErrorsThatAreNotOursTellNothing(t *testing.T) {
	p := newProblem(fmt.Errorf("open /var/lib/x: %w", errors.New("CANARY")), "id-1")
	if p.Status != 500 || p.Code != "internal" || p.Detail != "internal error" || !strings.Contains(p.Fix, "id-1") {
		t.Errorf("got %+v", p)
	}
}

func TestMessagesAreShortAndVisible(t *testing.T) {
	p := newProblem(fault.New(fault.Upstream, "x", "a\x1b[31m\n\u202e%s", strings.Repeat("ü", 400)), "id-1")
	if n := len([]rune(p.Detail)); n > 330 || strings.ContainsAny(p.Detail, "\x1b\n\u202e") || !strings.HasPrefix(p.Detail, `a\u001b[31m\u000a\u202eü`) {
		t.Errorf("%d characters: %s", n, p.Detail)
	}
}

func TestHeaders(t *testing.T) {
	w := newWorld(t)
	for _, r := range []string{"GET /livez", "GET /api/v1/clusters", "GET /nowhere", "PATCH /livez"} {
		method, path, _ := strings.Cut(r, " ")
		a := w.call(method, path, "")
		for k, v := range map[string]string{
			"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Cache-Control": "no-store", "X-Request-Id": "request-1",
			"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'", "Referrer-Policy": "no-referrer",
		} {
			if got := a.header.Get(k); got != v {
				t.Errorf("%s: %s is %q", r, k, got)
			}
		}
		if a.header.Get("Server") != "" {
			t.Error("the answer names the server")
		}
	}
	if got := w.call("GET", "/livez", "", "X-Request-Id: a\x1b[31mbcdefgh").header.Get("X-Request-Id"); strings.Contains(got, "\x1b") || len(got) != 24 {
		t.Errorf("request id %q", got)
	}
}

func TestOtherOriginsChangeNothing(t *testing.T) {
	w := newWorld(t)
	a := w.call("POST", "/api/v1/hub/acknowledge-restore", "", "Origin: https://evil.example", "Sec-Fetch-Site: cross-site")
	a.problem(403, "cross_origin_blocked")
	if a.header.Get("X-Frame-Options") == "" || !w.store.hub.HoldDeletes {
		t.Error("header missing, or it was done")
	}
	w.call("GET", "/api/v1/hub", "", "Origin: https://evil.example").ok(200)
}

func TestHealth(t *testing.T) {
	w := newWorld(t)
	w.call("GET", "/livez", "", "Authorization:").ok(200)
	w.call("GET", "/readyz", "", "Authorization:").ok(200)
	w.ready = errors.New("CANARY")
	a := w.call("GET", "/readyz", "", "Authorization:").ok(503)
	if a.body != `{"ok":false,"parts":[{"name":"database","ok":false,"code":"internal","required":true}]}` {
		t.Errorf("got %s", a.body)
	}
	w.call("GET", "/livez", "", "Authorization:").ok(200)
}

func TestWebhookIsMounted(t *testing.T) {
	newWorld(t).call("POST", "/api/webhook", `{}`, "Authorization:").ok(202)
	newWorld(t, func(o *Options) { o.Webhook = nil }).call("POST", "/api/webhook", `{}`, "Authorization:").problem(404, "route_unknown")
}

func TestHub(t *testing.T) {
	w := newWorld(t)
	var got map[string]any
	w.call("GET", "/api/v1/hub", "").ok(200).into(&got)
	if got["hubID"] != "hub-1" || got["incarnation"] != 2.0 || got["holdDeletes"] != true || got["version"] != "1.2.3" {
		t.Errorf("got %v", got)
	}
	w.call("POST", "/api/v1/hub/acknowledge-restore", "").ok(200).into(&got)
	if got["holdDeletes"] != false || w.calls.take() != "notify all" {
		t.Errorf("got %v", got)
	}
	if body := w.call("GET", "/api/v1/version", "").ok(200).body; body != `{"version":"1.2.3"}` {
		t.Errorf("got %s", body)
	}
}

// No type that an answer is made of may hold a credential: they are not in
// model at all, and handlers answer with no other type that does.
func TestRepositoriesNeverAnswerCredentials(t *testing.T) {
	w := newWorld(t)
	w.store.repos = []fleet.Repository{{Credential: &fleet.Credential{Password: "CANARY", SSHKey: "CANARY"}}}
	if body := w.call("GET", "/api/v1/repositories", "").ok(200).body; strings.Contains(body, "CANARY") || strings.Contains(body, "redential") {
		t.Errorf("got %s", body)
	}
}
