package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

const push = `{"ref":"refs/heads/main","after":"6113728f27ae82c7b1a177c8d03f9e96e0adf246","repository":{"id":1,"name":"app","full_name":"Shop/App",
"clone_url":"https://github.com/Shop/App.git","ssh_url":"git@github.com:Shop/App.git","html_url":"https://github.com/Shop/App"},"commits":[]}`

var watched = []string{
	"https://github.com/shop/app", "https://github.com/shop/app.git", "git@github.com:shop/app.git", "ssh://git@GitHub.com/shop/app",
	"https://github.com/shop/other", "https://gitlab.com/shop/app", "http://127.0.0.1:3000/demo.git",
}

func send(h http.Handler, r *http.Request) (int, string, http.Header) {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code, w.Body.String(), w.Header()
}

func request(body, contentType string, headers ...string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/webhook/github", strings.NewReader(body))
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return r
}

func newHandler(secret string, poked *[]string) http.Handler {
	return Handler(Options{
		Secret: []byte(secret),
		Known:  func() []string { return watched },
		Poke:   func(u string) { *poked = append(*poked, u) },
	})
}

func sign(secret, body string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(body))
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

func TestPush(t *testing.T) {
	form := url.Values{"payload": {push}}.Encode()
	all := watched[:4]
	demo := `{"repository":{"clone_url":"http://127.0.0.1:3000/demo.git"}}`
	for name, tt := range map[string]struct {
		req  *http.Request
		want []string
	}{
		"json":                {request(push, "application/json", "X-GitHub-Event", "push"), all},
		"json with charset":   {request(push, "application/json; charset=utf-8"), all},
		"form":                {request(form, "application/x-www-form-urlencoded", "X-GitHub-Event", "push"), all},
		"curl -d":             {request(demo, "application/x-www-form-urlencoded"), watched[6:]},
		"no content type":     {request(demo, ""), watched[6:]},
		"unknown repository":  {request(`{"repository":{"clone_url":"https://github.com/who/knows"}}`, "application/json"), nil},
		"address is a number": {request(`{"repository":{"clone_url":5,"html_url":"https://github.com/shop/app"}}`, "application/json"), all},
	} {
		t.Run(name, func(t *testing.T) {
			var poked []string
			code, body, _ := send(newHandler("", &poked), tt.req)
			var a Answer
			if err := json.Unmarshal([]byte(body), &a); err != nil {
				t.Fatal(err)
			}
			if code != http.StatusAccepted || !slices.Equal(poked, tt.want) || !slices.Equal(a.Poked, append([]string{}, tt.want...)) {
				t.Errorf("%d %s, poked %v", code, body, poked)
			}
		})
	}
}

func TestEventsThatAreNoPush(t *testing.T) {
	var poked []string
	h := newHandler("", &poked)
	if code, _, _ := send(h, request(`{"zen":"x"}`, "application/json", "X-GitHub-Event", "ping")); code != http.StatusOK {
		t.Errorf("ping: %d", code)
	}
	if code, body, _ := send(h, request(push, "application/json", "X-GitHub-Event", "issues")); code != http.StatusAccepted || !strings.Contains(body, "ignored") {
		t.Errorf("issues: %d %s", code, body)
	}
	if len(poked) != 0 {
		t.Errorf("poked %v", poked)
	}
}

func TestSignatures(t *testing.T) {
	const secret = "hook secret"
	for name, tt := range map[string]struct {
		body, signature string
		code            int
	}{
		"right":                  {push, sign(secret, push), http.StatusAccepted},
		"missing":                {push, "", http.StatusUnauthorized},
		"other secret":           {push, sign("other", push), http.StatusUnauthorized},
		"other body":             {push + " ", sign(secret, push), http.StatusUnauthorized},
		"sha1":                   {push, "sha1=" + strings.Repeat("a", 40), http.StatusUnauthorized},
		"not hexadecimal":        {push, "sha256=zz", http.StatusUnauthorized},
		"short":                  {push, sign(secret, push)[:20], http.StatusUnauthorized},
		"checked before parsing": {"not JSON", "sha256=00", http.StatusUnauthorized},
		"right, but not JSON":    {"not JSON", sign(secret, "not JSON"), http.StatusBadRequest},
	} {
		t.Run(name, func(t *testing.T) {
			var poked []string
			code, body, _ := send(newHandler(secret, &poked), request(tt.body, "application/json", "X-Hub-Signature-256", tt.signature))
			if code != tt.code || (code != http.StatusAccepted) != (len(poked) == 0) {
				t.Errorf("%d %s, poked %v", code, body, poked)
			}
			if strings.Contains(body, secret) {
				t.Error("the secret is in the answer")
			}
		})
	}
	var poked []string
	ping := request("{}", "application/json", "X-GitHub-Event", "ping")
	if code, _, _ := send(newHandler(secret, &poked), ping); code != http.StatusUnauthorized {
		t.Errorf("an unsigned ping: %d", code)
	}
}

func TestRefusedRequests(t *testing.T) {
	get := httptest.NewRequest(http.MethodGet, "/", nil)
	broken := httptest.NewRequest(http.MethodPost, "/", iotest.ErrReader(errors.New("cut")))
	endless := httptest.NewRequest(http.MethodPost, "/", io.LimitReader(zeros{}, 1<<30))
	endless.ContentLength = -1
	for name, tt := range map[string]struct {
		req    *http.Request
		status int
		code   string
	}{
		"GET":               {get, 405, "method_not_allowed"},
		"1 GiB":             {endless, 413, "body_too_large"},
		"just too large":    {request(strings.Repeat("x", MaxBody+1), "application/json"), 413, "body_too_large"},
		"cut":               {broken, 400, "body_unreadable"},
		"text":              {request(push, "text/plain"), 415, "unsupported_media_type"},
		"bad content type":  {request(push, "a/b/c"), 415, "unsupported_media_type"},
		"gzip":              {request(push, "application/json", "Content-Encoding", "gzip"), 415, "unsupported_media_type"},
		"empty":             {request("", "application/json"), 400, "payload_invalid"},
		"null":              {request("null", "application/json"), 400, "payload_invalid"},
		"list":              {request("[]", "application/json"), 400, "payload_invalid"},
		"half":              {request(push[:50], "application/json"), 400, "payload_invalid"},
		"no repository":     {request("{}", "application/json"), 400, "payload_invalid"},
		"repository null":   {request(`{"repository":null}`, "application/json"), 400, "payload_invalid"},
		"repository string": {request(`{"repository":"x"}`, "application/json"), 400, "payload_invalid"},
		"no address":        {request(`{"repository":{"clone_url":""}}`, "application/json"), 400, "payload_invalid"},
		"empty form":        {request("a=b", "application/x-www-form-urlencoded"), 400, "payload_invalid"},
		"bad form":          {request("payload=%zz", "application/x-www-form-urlencoded"), 400, "payload_invalid"},
	} {
		t.Run(name, func(t *testing.T) {
			var poked []string
			status, body, header := send(newHandler("", &poked), tt.req)
			var problem struct {
				Status       int
				Code, Detail string
			}
			if err := json.Unmarshal([]byte(body), &problem); err != nil {
				t.Fatal(err)
			}
			if status != tt.status || problem.Status != status || problem.Code != tt.code || problem.Detail == "" || header.Get("Content-Type") != "application/problem+json" || len(poked) != 0 {
				t.Errorf("%d %s", status, body)
			}
		})
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return len(b), nil }

func TestRateLimit(t *testing.T) {
	var poked []string
	h := newHandler("", &poked)
	refused := 0
	for range 3 * requestBurst {
		if code, _, header := send(h, request("{}", "application/json")); code == http.StatusTooManyRequests {
			refused++
			if header.Get("Retry-After") == "" {
				t.Fatal("no Retry-After")
			}
		}
	}
	if refused == 0 {
		t.Error("nothing was refused")
	}
}

func TestCanonical(t *testing.T) {
	for name, same := range map[string][]string{
		"github.com/x/y": {"https://github.com/x/y", "https://GitHub.com/X/Y.git/", "http://u:p@github.com:80/x/y.git", "ssh://git@github.com:22/x/y", "git@github.com:x/y.git", "github.com:x/y", "git://github.com/x/y.git", " https://github.com/x/y "},
		"host/a/b/c":     {"git@host:/a/b/c.git", "https://host/a/b/c"},
		"/srv/git/x":     {"file:///srv/git/x.git"},
		"":               {"", "x", "https://host", "https://host/", "https://host/.git", "%zz://x", "https://[::1/x", "::", "/a/b"},
	} {
		for _, s := range same {
			if got := canonical(s); strings.TrimPrefix(got, "/") != strings.TrimPrefix(name, "/") {
				t.Errorf("%q: %q, want %q", s, got, name)
			}
		}
	}
}

func FuzzPayload(f *testing.F) {
	f.Add("application/json", []byte(push))
	f.Add("application/x-www-form-urlencoded", []byte(url.Values{"payload": {push}}.Encode()))
	f.Add("", []byte(`{"repository":{"clone_url":["x"],"url":{}}}`))
	f.Fuzz(func(t *testing.T, contentType string, body []byte) {
		h := Handler(Options{Known: func() []string { return watched }, Poke: func(string) {}})
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(string(body)))
		r.Header["Content-Type"] = []string{contentType}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code >= 500 || !json.Valid(w.Body.Bytes()) {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	})
}
