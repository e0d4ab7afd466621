package oidc

import (
	"encoding/base64"
	"net/url"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/hub/auth/oidc/oidctest"
	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
)

func codeOf(t *testing.T, end fleet.LoginEnd, err error, param string) string {
	t.Helper()
	if err != nil || end.Login != nil || !end.Test {
		t.Fatalf("%+v, %v", end, err)
	}
	u, err := url.Parse(end.Location)
	if err != nil {
		t.Fatal(err)
	}
	return u.Query().Get(param)
}

func TestATestOfALoginLogsNobodyIn(t *testing.T) {
	w := setup(t)
	w.set(func(p *fleet.IdentityProvider) { p.GroupsPrefix, p.UserPrefix = "corp:", "corp:" })
	end, err := w.login(fleet.LoginStart{Test: true, Owner: "session-1"})
	code := codeOf(t, end, err, "signin")
	if !strings.HasPrefix(end.Location, "/settings?") {
		t.Error(end.Location)
	}
	for range 2 { // a page that is loaded again asks again
		got, err := w.TestedSignIn(t.Context(), "corp", "session-1", code, "")
		if err != nil {
			t.Fatal(err)
		}
		var steps []string
		for _, s := range got.Steps {
			if steps = append(steps, s.Name); s.Err != nil {
				t.Error(s.Name, s.Err)
			}
		}
		if strings.Join(steps, " ") != "answer code token name domain groups members" {
			t.Error(steps)
		}
		claims := map[string]string{}
		for _, c := range got.Claims {
			claims[c.Name] = c.Value
		}
		if claims["email"] != `"ann@example.org"` || claims["groups"] != `["team-shop"]` {
			t.Error(claims)
		}
		for _, hidden := range bindsLogin {
			if claims[hidden] != "" {
				t.Errorf("%s is shown", hidden)
			}
		}
		if got.Person == nil || got.Person.Subject != "corp:subject-1" || got.Person.Name != "corp:ann@example.org" || strings.Join(got.Person.Groups, " ") != "corp:team-shop" {
			t.Errorf("%+v", got.Person)
		}
	}
	if len(w.store.Begun()) != 0 {
		t.Error("a session was made")
	}
	for _, other := range []struct{ provider, session, code, verifier string }{
		{"corp", "session-2", code, ""}, {"corp", "", code, ""}, {"corp", "", code, newSecret()}, {"corp", "session-1", code, newSecret()},
		{"other", "session-1", code, ""}, {"corp", "session-1", newSecret(), ""}, {"corp", "session-1", "x", ""},
	} {
		_, err := w.TestedSignIn(t.Context(), other.provider, other.session, other.code, other.verifier)
		wantCode(t, err, fault.NotFound, "oidc_test_unknown")
	}
	w.advance(loginTime)
	_, err = w.TestedSignIn(t.Context(), "corp", "session-1", code, "")
	wantCode(t, err, fault.NotFound, "oidc_test_unknown")

	_, _, err = w.Begin(t.Context(), "192.0.2.1", fleet.LoginStart{Test: true})
	wantCode(t, err, fault.Precondition, "session_needed")
}

func TestATestOfALoginSaysWhichStepFails(t *testing.T) {
	w := setup(t)
	for name, c := range map[string]struct {
		lie        func(p *oidctest.Provider)
		set        func(p *fleet.IdentityProvider)
		step, code string
		claims     bool
	}{
		"refused":        {lie: func(p *oidctest.Provider) { p.Refuse = "access_denied" }, step: "answer", code: "oidc_login_refused"},
		"wrong secret":   {set: func(p *fleet.IdentityProvider) { p.Secret = "wrong" }, step: "code", code: "oidc_code_refused"},
		"another client": {lie: func(p *oidctest.Provider) { p.Token = func(c map[string]any) { c["aud"] = "x" } }, step: "token", code: "oidc_audience_mismatch"},
		"no name":        {set: func(p *fleet.IdentityProvider) { p.UserClaim = "nick" }, step: "name", code: "oidc_name_missing", claims: true},
		"other domain":   {set: func(p *fleet.IdentityProvider) { p.AllowedDomains = []string{"example.com"} }, step: "domain", code: "oidc_not_allowed", claims: true},
		"no list":        {set: func(p *fleet.IdentityProvider) { p.GroupsClaim = "email_verified" }, step: "groups", code: "oidc_groups_invalid", claims: true},
		"other group":    {set: func(p *fleet.IdentityProvider) { p.AllowedGroups = []string{"ops"} }, step: "members", code: "oidc_not_allowed", claims: true},
	} {
		t.Run(name, func(t *testing.T) {
			w.honest()
			if c.set != nil {
				w.set(c.set)
			}
			if c.lie != nil {
				w.provider.Change(c.lie)
			}
			end, err := w.login(fleet.LoginStart{Test: true, Owner: "session-1"})
			got, err := w.TestedSignIn(t.Context(), "corp", "session-1", codeOf(t, end, err, "signin"), "")
			if err != nil {
				t.Fatal(err)
			}
			for i, s := range got.Steps {
				if last := i == len(got.Steps)-1; last != (s.Err != nil) {
					t.Errorf("%s: %v", s.Name, s.Err)
				}
			}
			last := got.Steps[len(got.Steps)-1]
			if last.Name != c.step || !fault.HasCode(last.Err, c.code) || got.Person != nil || (len(got.Claims) > 0) != c.claims {
				t.Errorf("%s: %v, %d claims, %+v", last.Name, last.Err, len(got.Claims), got.Person)
			}
		})
	}
}

func TestACommandLineReadsItsTestWithItsVerifier(t *testing.T) {
	w := setup(t)
	verifier := newSecret()
	start := fleet.LoginStart{Test: true, Owner: "session-1", Port: 40001, Challenge: base64.RawURLEncoding.EncodeToString(hashOf(verifier)), State: newSecret()}
	end, err := w.login(start)
	code := codeOf(t, end, err, "code")
	got, err := w.TestedSignIn(t.Context(), "corp", "", code, verifier)
	if err != nil || got.Person == nil {
		t.Fatal(got, err)
	}
	for _, v := range []string{"", newSecret()} {
		_, err = w.TestedSignIn(t.Context(), "corp", "session-1", code, v)
		wantCode(t, err, fault.NotFound, "oidc_test_unknown")
	}
	_, err = w.Redeem(t.Context(), code, verifier) // it is no login
	wantCode(t, err, fault.Unauthorized, "oidc_code_unknown")
	if len(w.store.Begun()) != 0 {
		t.Error("a session was made")
	}
}
