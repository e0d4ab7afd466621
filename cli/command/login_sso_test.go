package command

import (
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const corpProvider = `{"name":"corp","issuer":"https://idp.example.org","clientID":"hawser","confidential":true,"redirectURI":"https://hub/auth/callback/corp","version":1,"changedBy":"ann","changedAt":"2026-01-02T03:04:05Z"}`

func init() {
	more = append(more, map[string]answer{
		"GET /settings/providers":            {200, `{"items":[` + corpProvider + `]` + asOf},
		"GET /settings/providers/corp":       {200, corpProvider},
		"PUT /settings/providers/corp":       {200, corpProvider},
		"DELETE /settings/providers/corp":    {204, ""},
		"POST /settings/providers/corp/test": {200, `{"ok":true,"steps":[{"name":"tls","ok":true,"detail":"certificate of x","millis":3}]}`},
		"POST /settings/providers/bad/test":  {200, `{"ok":false,"steps":[{"name":"tls","ok":false,"detail":"not trusted","millis":3,"code":"oidc_tls_untrusted","id":"HW-1","fix":"set its ca"}]}`},
		"POST /login/sso":                    {200, `{"token":"hws_NEW","name":"ann","expiresAt":"2099-01-02T03:04:05Z"}`},
		"POST /login/device":                 {200, `{"handle":"h","userCode":"AB-CD","verificationURI":"https://idp.example.org/device","expiresAt":"2099-01-02T03:04:05Z","interval":1}`},
		"POST /login/device/poll":            {200, `{"pending":false,"login":{"token":"hws_NEW","name":"ann","expiresAt":"2099-01-02T03:04:05Z"}}`},
	})
	commandCases = append(commandCases,
		commandCase{args: "settings provider list", out: "https://idp.example.org"},
		commandCase{args: "settings provider list -o name", out: "provider/corp\n"},
		commandCase{args: "settings provider get corp", out: "redirectURI: https://hub/auth/callback/corp"},
		commandCase{args: "settings provider set corp --issuer https://idp.example.org --client-id hawser --client-secret-stdin", in: "s3cret", err: "https://hub/auth/callback/corp", asked: `"clientSecret":"s3cret"`},
		commandCase{args: "settings provider set corp --issuer https://idp.example.org --client-id hawser --allowed-group ops --user-claim sub", err: "set", asked: `PUT /settings/providers/corp {"issuer":"https://idp.example.org","clientID":"hawser","userClaim":"sub","allowedGroups":["ops"]}`},
		commandCase{args: "settings provider set corp --issuer x", code: 2, err: "client-id"},
		commandCase{args: "settings provider test corp", out: "certificate of x"},
		commandCase{args: "settings provider test bad", code: 1, out: "oidc_tls_untrusted"},
		commandCase{args: "settings provider delete corp", err: "sessions have ended", asked: "DELETE /settings/providers/corp"},
	)
}

// signOnWith runs hawser login --sso with a browser that does what visit does with
// the address at which the command line listens.
func signOnWith(t *testing.T, hub *testHub, visit func(to, state string)) ran {
	t.Helper()
	return runAs(t.Context(), Streams{In: strings.NewReader(""), Terminal: true, Browse: func(address string) error {
		u, err := url.Parse(address)
		q := u.Query()
		if err != nil || u.Path != "/auth/login" || len(q.Get("challenge")) != 43 || len(q.Get("state")) != 43 || q.Get("provider") != "corp" {
			t.Errorf("opened %s", address)
		}
		go visit("http://127.0.0.1:"+q.Get("port"), q.Get("state"))
		return nil
	}}, "login", hub.srv.URL, "--ca-hash", hub.pin(), "--sso", "--provider", "corp")
}

func fetch(t *testing.T, address string) (int, string, http.Header) {
	t.Helper()
	res, err := http.Get(address)
	if err != nil {
		t.Error(err)
		return 0, "", nil
	}
	defer res.Body.Close()
	b, _ := io.ReadAll(res.Body)
	return res.StatusCode, string(b), res.Header
}

func TestLoginWithAnIdentityProvider(t *testing.T) {
	hub := newHubOf(t, everything())
	pages := make(chan string, 1)
	r := signOnWith(t, hub, func(to, state string) {
		_, body, _ := fetch(t, to+"/callback?code=the-code&state="+state)
		pages <- body
	})
	r.check(t, 0, "", "Logged in to")
	if !strings.Contains(hub.requests(), `POST /login/sso {"code":"the-code","verifier":"`) || strings.Contains(r.err, "hws_") {
		t.Errorf("asked %q: %s", hub.requests(), r.err)
	}
	if page := <-pages; !strings.Contains(page, "you can close this window") {
		t.Error(page)
	}
}

func TestLoginWithADevice(t *testing.T) {
	hub := newHubOf(t, everything())
	r := run(t, "", "login", hub.srv.URL, "--ca-hash", hub.pin(), "--device")
	r.check(t, 0, "", "type in the code AB-CD")
	if !strings.Contains(hub.requests(), `POST /login/device/poll {"handle":"h"}`) || strings.Contains(r.err, "hws_") {
		t.Errorf("asked %q: %s", hub.requests(), r.err)
	}
}

// Whatever is sent to the port that a login listens on: nothing of it is on a page or
// in the terminal, and only who has the state ends the login.
func TestA08_TheLoopbackAddressRepeatsNothing(t *testing.T) {
	hub := newHubOf(t, everything())
	r := signOnWith(t, hub, func(to, state string) {
		attack := url.QueryEscape("<script>alert(1)</script>\x1b[31m")
		for _, path := range []string{"/callback?error=" + attack, "/callback?state=" + attack + "&code=x", "/callback?code=x", "/" + url.PathEscape("<script>"), "/callback?state=" + state[1:] + "&code=x"} {
			status, body, h := fetch(t, to+path)
			if status != 400 || strings.Contains(body, "script") || h.Get("Content-Type") != "text/plain; charset=utf-8" || h.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("%s: %d %s %v", path, status, body, h)
			}
		}
		if _, body, _ := fetch(t, to+"/callback?state="+state+"&error="+attack); strings.Contains(body, "script") || !strings.Contains(body, "did not succeed") {
			t.Error(body)
		}
	})
	if r.code != 4 || strings.Contains(r.err, "script") || strings.Contains(r.err, "\x1b[31m") || !strings.Contains(r.err, "refused") {
		t.Errorf("%d %s", r.code, r.err)
	}
	if strings.Contains(hub.requests(), "/login/sso") {
		t.Error("a code was redeemed that nobody sent")
	}
	path := filepath.Join(os.Getenv("XDG_CONFIG_HOME"), "hawser", "config.yaml")
	if b, err := os.ReadFile(path); err == nil && strings.Contains(string(b), "hws_") {
		t.Error("a session is kept")
	}
}
