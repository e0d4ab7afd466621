package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

const pushed = `{"ref":"refs/heads/main","after":"6113728f27ae82c7b1a177c8d03f9e96e0adf246","repository":{"id":1,"name":"app","full_name":"Shop/App",
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
		Secrets: forAll(secret),
		Known:   func() []string { return watched },
		Poke:    func(u string) { *poked = append(*poked, u) },
	})
}

// forAll has one secret for every provider; none when it is empty.
func forAll(secrets ...string) *Secrets {
	s := &Secrets{now: func() time.Time { return time.Time{} }, byName: map[string][][]byte{}}
	for _, secret := range secrets {
		if secret != "" {
			s.byName[""] = append(s.byName[""], []byte(secret))
		}
	}
	return s
}

func sign(secret, body string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(body))
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

func TestPush(t *testing.T) {
	form := url.Values{"payload": {pushed}}.Encode()
	all := watched[:4]
	demo := `{"repository":{"clone_url":"http://127.0.0.1:3000/demo.git"}}`
	for name, tt := range map[string]struct {
		req  *http.Request
		want []string
	}{
		"json":                {request(pushed, "application/json", "X-GitHub-Event", "push"), all},
		"json with charset":   {request(pushed, "application/json; charset=utf-8"), all},
		"form":                {request(form, "application/x-www-form-urlencoded", "X-GitHub-Event", "push"), all},
		"curl -d":             {request(demo, "application/x-www-form-urlencoded"), watched[6:]},
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
			if code != http.StatusAccepted || !slices.Equal(poked, tt.want) || a.Poked != len(tt.want) {
				t.Errorf("%d %s, poked %v", code, body, poked)
			}
			if strings.Contains(body, "github.com") {
				t.Error("the answer names what is under watch")
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
	if code, body, _ := send(h, request(pushed, "application/json", "X-GitHub-Event", "issues")); code != http.StatusAccepted || !strings.Contains(body, "ignored") {
		t.Errorf("issues: %d %s", code, body)
	}
	if len(poked) != 0 {
		t.Errorf("poked %v", poked)
	}
}

func TestSignatures(t *testing.T) {
	const secret = "canary-7f3a91"
	for name, tt := range map[string]struct {
		body, signature string
		code            int
	}{
		"right":                  {pushed, sign(secret, pushed), http.StatusAccepted},
		"missing":                {pushed, "", http.StatusUnauthorized},
		"other secret":           {pushed, sign("other", pushed), http.StatusUnauthorized},
		"other body":             {pushed + " ", sign(secret, pushed), http.StatusUnauthorized},
		"sha1":                   {pushed, "sha1=" + strings.Repeat("a", 40), http.StatusUnauthorized},
		"not hexadecimal":        {pushed, "sha256=zz", http.StatusUnauthorized},
		"short":                  {pushed, sign(secret, pushed)[:20], http.StatusUnauthorized},
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

// The example of GitHub's page "Validating webhook deliveries".
func TestSignatureOfGitHubsDocumentation(t *testing.T) {
	const (
		secret = "It's a Secret to Everybody"
		body   = "Hello, World!"
		want   = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
	)
	signed := func(signature string) bool {
		return gitHub.proven(http.Header{"X-Hub-Signature-256": {signature}}, []byte(body), []byte(secret))
	}
	if !signed(want) {
		t.Error("the right signature is refused")
	}
	if signed(want[:len(want)-1] + "8") {
		t.Error("a wrong signature is taken")
	}
}

// Not to be had from files, and anybody could sign with it.
func TestEmptySecretRefusesEverything(t *testing.T) {
	secrets := &Secrets{now: time.Now, read: time.Now(), byName: map[string][][]byte{"": {{}}}}
	h := Handler(Options{Secrets: secrets, Known: func() []string { return watched }, Poke: func(u string) { t.Errorf("poked %s", u) }})
	for _, signature := range []string{"", sign("", pushed)} {
		if code, body, _ := send(h, request(pushed, "application/json", "X-Hub-Signature-256", signature)); code != http.StatusUnauthorized {
			t.Errorf("%q: %d %s", signature, code, body)
		}
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
		"text":              {request(pushed, "text/plain"), 415, "unsupported_media_type"},
		"no content type":   {request(pushed, ""), 415, "unsupported_media_type"},
		"other JSON":        {request(pushed, "application/cloudevents+json"), 415, "unsupported_media_type"},
		"bad content type":  {request(pushed, "a/b/c"), 415, "unsupported_media_type"},
		"gzip":              {request(pushed, "application/json", "Content-Encoding", "gzip"), 415, "unsupported_media_type"},
		"empty":             {request("", "application/json"), 400, "payload_invalid"},
		"null":              {request("null", "application/json"), 400, "payload_invalid"},
		"list":              {request("[]", "application/json"), 400, "payload_invalid"},
		"half":              {request(pushed[:50], "application/json"), 400, "payload_invalid"},
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
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	h := Handler(Options{
		Known: func() []string { return watched }, Poke: func(string) {}, Now: func() time.Time { return now },
	})
	from := func(address string) (int, string) {
		r := request(pushed, "application/json")
		r.RemoteAddr = address
		code, _, header := send(h, r)
		return code, header.Get("Retry-After")
	}
	for i := range addressBurst {
		if code, _ := from("192.0.2.1:1000"); code != http.StatusAccepted {
			t.Fatalf("request %d: %d", i, code)
		}
	}
	if code, after := from("192.0.2.1:2000"); code != http.StatusTooManyRequests || after != "1" {
		t.Errorf("beyond the limit from another port: %d, Retry-After %q", code, after)
	}
	if code, _ := from("192.0.2.2:1000"); code != http.StatusAccepted {
		t.Errorf("another address: %d", code)
	}
	now = now.Add(time.Second / addressRate)
	if code, _ := from("192.0.2.1:1000"); code != http.StatusAccepted {
		t.Errorf("after the wait: %d", code)
	}
	if code, _ := from("192.0.2.1:1000"); code != http.StatusTooManyRequests {
		t.Errorf("only one comes back: %d", code)
	}
}

func TestLimitsOverallAndMemory(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	l := newLimits()
	address := func(i int) string { return fmt.Sprintf("a%d", i) }
	for i := range requestBurst {
		if l.take(address(i), now) != 0 {
			t.Fatalf("address %d has to wait", i)
		}
	}
	if wait := l.take("new", now); wait <= 0 || wait > time.Second {
		t.Errorf("beyond the overall limit: %v", wait)
	}
	for i := range 3 * maxAddresses {
		l.take(address(i), now)
	}
	if len(l.by) > maxAddresses+1 {
		t.Errorf("%d addresses are kept", len(l.by))
	}
	if now = now.Add(time.Hour); l.take("later", now) != 0 || len(l.by) != 1 {
		t.Errorf("%d addresses are kept after an hour", len(l.by))
	}
}

func TestSender(t *testing.T) {
	for from, want := range map[string]string{
		"192.0.2.1:80": "192.0.2.1", "[::ffff:192.0.2.1]:80": "192.0.2.1", "[2001:db8:1:2:3:4:5:6]:80": "2001:db8:1:2::/64",
		"[fe80::1%eth0]:80": "fe80::/64", "": "(unknown)", "@": "(unknown)",
	} {
		if got := sender(&http.Request{RemoteAddr: from}); got != want {
			t.Errorf("%q: %q, want %q", from, got, want)
		}
	}
}
