package api

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/hub/auth"
	"github.com/hawser-dev/hawser/hub/store"
)

// Two hubs on one Postgres: what is done at one ends the sessions, the tokens and the
// open streams of the user at the other, within 5 s.
func TestA03_WhatAUserHasEndsAtEveryHub(t *testing.T) {
	w := newRealWorld(t)
	s, ok := w.opts.Store.(*store.Store)
	if !ok {
		t.Fatalf("the store is a %T", w.opts.Store)
	}
	second := w.opts
	second.Auth = auth.New(s, nil, w.opts.Log)
	other := httptest.NewTLSServer(New(second))
	t.Cleanup(other.Close)
	admin := w.token
	const next = "another good password"
	for name, c := range map[string]struct {
		method, path, body string
		own, keepsTokens   bool
	}{
		"its password is reset":    {"PATCH", "/accounts/NAME", `{"password":"` + next + `"}`, false, false},
		"he changes his password":  {"POST", "/session/password", `{"current":"` + goodPassword + `","new":"` + next + `"}`, true, false},
		"he is disabled":           {"PATCH", "/accounts/NAME", `{"enabled":false}`, false, false},
		"his rights change":        {"PATCH", "/accounts/NAME", `{"admin":false}`, false, false},
		"he is deleted":            {"DELETE", "/accounts/NAME", "", false, false},
		"he logs out everywhere":   {"POST", "/logout/everywhere", "", true, true},
		"his only session is over": {"POST", "/logout", "", true, true},
	} {
		user := "u-" + strings.ToLower(strings.Join(strings.Fields(name), "-"))
		w.token = admin
		w.call("POST", "/api/v1/accounts", `{"name":"`+user+`","password":"`+goodPassword+`","admin":true}`).ok(201)
		var in loginAnswer
		w.call("POST", "/api/v1/login", `{"username":"`+user+`","password":"`+goodPassword+`"}`, "Authorization:").ok(200).into(&in)
		var issued issuedToken
		w.call("POST", "/api/v1/tokens", `{"name":"ci","admin":true}`, "Authorization: Bearer "+in.Token).ok(201).into(&issued)
		open := map[string]*listener{}
		for _, secret := range []string{in.Token, issued.Token} {
			w.token = secret
			open[secret] = w.listen(t, other, "")
			if first := open[secret].next(); !strings.Contains(first, "hello") {
				t.Fatalf("first came %q", first)
			}
		}
		caller := admin
		if c.own {
			caller = in.Token
		}
		began := time.Now()
		a := w.call(c.method, "/api/v1"+strings.Replace(c.path, "NAME", user, 1), c.body, "Authorization: Bearer "+caller)
		if a.status/100 != 2 {
			t.Fatalf("%s: %d %s", name, a.status, a.body)
		}
		for secret, l := range open {
			if secret == issued.Token && c.keepsTokens {
				l.close()
			}
			select {
			case <-l.ended:
			case <-time.After(5*time.Second - time.Since(began)):
				t.Errorf("%s: the stream of %s… is open at the other hub after %s", name, secret[:4], time.Since(began))
				l.close()
			}
			want := http.StatusUnauthorized
			if secret == issued.Token && c.keepsTokens {
				want = http.StatusOK
			}
			for at, handler := range map[string]http.Handler{"this hub": w.handler, "the other": other.Config.Handler} {
				r := httptest.NewRequestWithContext(t.Context(), "GET", "/api/v1/whoami", nil)
				r.Header.Set("Authorization", "Bearer "+secret)
				rec := httptest.NewRecorder()
				handler.ServeHTTP(rec, r)
				if rec.Code != want {
					t.Errorf("%s: at %s %s… is answered %d", name, at, secret[:4], rec.Code)
				}
			}
		}
	}
}

// 200 callers change and read one credential at once, and lists of it: nothing is
// shared in memory that a change writes to, so that none of them breaks the hub, and
// what is read is always whole.
func TestA34_ManyChangesAndReadsOfACredentialAtOnce(t *testing.T) {
	w := newRealWorld(t)
	var made struct {
		ID string `json:"id"`
	}
	w.call("POST", "/api/v1/repositories", `{"url":"https://git.example.org/x","username":"u0","password":"p0"}`).ok(201).into(&made)
	stop := time.Now().Add(3 * time.Second)
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			for round := 0; round == 0 || time.Now().Before(stop); round++ {
				var a *httptest.ResponseRecorder
				method, path, body := "GET", "/repositories", ""
				switch i % 4 {
				case 0, 1:
					method, path, body = "PATCH", "/repositories/"+made.ID, `{"username":"bot","password":"CANARYPASSWORD"}`
				case 2:
					path = "/repositories/" + made.ID
				}
				r := httptest.NewRequestWithContext(t.Context(), method, "/api/v1"+path, strings.NewReader(body))
				r.Header.Set("Authorization", "Bearer "+w.token)
				if body != "" {
					r.Header.Set("Content-Type", "application/json")
				}
				a = httptest.NewRecorder()
				w.handler.ServeHTTP(a, r)
				answer := a.Body.String()
				if a.Code != 200 && a.Code != 409 && a.Code != 412 || !strings.Contains(answer, "{") || strings.Contains(answer, "CANARYPASSWORD") {
					t.Errorf("%s %s: %d %s", method, path, a.Code, answer)
					return
				}
			}
		})
	}
	wg.Wait()
	kept, err := w.opts.Store.(*store.Store).CredentialFor(t.Context(), "https://git.example.org/x")
	if err != nil || kept == nil || kept.Username != "bot" || kept.Password != "CANARYPASSWORD" {
		t.Errorf("the credential is %v after all, %v", kept != nil, err)
	}
}
