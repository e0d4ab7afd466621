package oidc

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
)

// This file has logins that are tests: the provider is asked as for a login, what it
// says is kept for whoever asked, and nobody is logged in.

const (
	maxTestedClaims = 100
	maxTestedValue  = 2000
)

// bindsLogin are the claims that bind a token to one login or session. They say
// nothing about a person, and are not shown.
var bindsLogin = []string{"nonce", "at_hash", "c_hash", "s_hash", "jti", "sid"}

// keptTest is a test that is over, and who may read it: one browser session, or the
// command line that has what the challenge was made from.
type keptTest struct {
	Owner     string `json:",omitempty"`
	Challenge string `json:",omitempty"`
	At        time.Time
	Steps     []keptStep
	Claims    []fleet.SignInClaim
	Person    *fleet.SignInPerson
}

type keptStep struct {
	Name, Code, Message, Fix string
	Kind                     fault.Kind
	Took                     time.Duration
}

// tested takes the answer to a test. An error is one of the hub; what is wrong with
// the login is in what is kept.
func (s *Service) tested(ctx context.Context, provider string, l fleet.ExternalLogin, p pending, a answer) (fleet.LoginEnd, error) {
	kept := keptTest{Owner: p.Owner, Challenge: p.Challenge, At: s.now().UTC()}
	began := time.Now()
	each := func(name string, err error) {
		step := keptStep{Name: name, Took: time.Since(began)}
		if began = time.Now(); err != nil {
			e := fault.As(err)
			step.Code, step.Message, step.Fix, step.Kind = e.Code, e.Message, e.Fix, e.Kind
		}
		kept.Steps = append(kept.Steps, step)
	}
	if r, c, err := s.vouchedFor(ctx, provider, l, p, a, each); err == nil {
		kept.Claims = c.shown()
		fleet.LoginKnown(ctx, fleet.LoginSubject{Provider: r.settings.Name, Subject: c.text("sub")})
		if who, err := c.examined(r.settings, each); err == nil {
			kept.Person = &fleet.SignInPerson{Subject: who.Subject, Name: who.Name, Groups: who.Groups}
		}
	}
	end := fleet.LoginEnd{Test: true}
	code := newSecret()
	if err := s.keep(ctx, kindTest, l.Provider, code, s.now().Add(loginTime), kept); err != nil {
		return end, err
	}
	if p.Port != 0 {
		end.Location = loopback(p.Port, url.Values{"state": {p.State}, "code": {code}})
		return end, nil
	}
	end.Location = "/settings?" + url.Values{"tab": {"providers"}, "signin": {code}, "provider": {l.Provider}}.Encode()
	return end, nil
}

// shown are the claims as they are told, by name.
func (c claims) shown() []fleet.SignInClaim {
	var out []fleet.SignInClaim
	for name, value := range c {
		if slices.Contains(bindsLogin, name) {
			continue
		}
		text := string(value)
		if len(text) > maxTestedValue {
			cut := maxTestedValue
			for !utf8.RuneStart(text[cut]) {
				cut--
			}
			text = text[:cut] + "…"
		}
		out = append(out, fleet.SignInClaim{Name: short(name), Value: text})
	}
	slices.SortFunc(out, func(a, b fleet.SignInClaim) int { return strings.Compare(a.Name, b.Name) })
	return out[:min(len(out), maxTestedClaims)]
}

// TestedSignIn is the test that has the code, for the session that asked for it or
// the command line that has the verifier; as often as it is asked for, until ten
// minutes after it or a change of the provider. NotFound (oidc_test_unknown): there
// is none, or it is somebody else's.
func (s *Service) TestedSignIn(ctx context.Context, provider, session, code, verifier string) (fleet.SignInTest, error) {
	unknown := fault.New(fault.NotFound, "oidc_test_unknown", "there is no such test of a login, or it is over, or somebody else's").
		WithFix("test the login again; what came of it is kept for %s", loginTime)
	if !goodState.MatchString(code) || verifier != "" && !goodVerifier.MatchString(verifier) {
		return fleet.SignInTest{}, unknown
	}
	now := s.now()
	l, _, err := s.store.DueExternalLogin(ctx, kindTest, hashOf(code), now)
	if fault.Is(err, fault.NotFound) || err == nil && (l.Provider != provider || !now.Before(l.ExpiresAt)) {
		return fleet.SignInTest{}, unknown
	}
	if err != nil {
		return fleet.SignInTest{}, err
	}
	var kept keptTest
	if err := json.Unmarshal(l.Sealed, &kept); err != nil {
		return fleet.SignInTest{}, fault.Wrap(err, fault.Internal, "internal", "the test cannot be read")
	}
	challenge := base64.RawURLEncoding.EncodeToString(hashOf(verifier))
	theirs := kept.Owner != "" && verifier == "" && kept.Owner == session ||
		kept.Owner == "" && verifier != "" && subtle.ConstantTimeCompare([]byte(kept.Challenge), []byte(challenge)) == 1
	if !theirs {
		return fleet.SignInTest{}, unknown
	}
	out := fleet.SignInTest{Provider: l.Provider, At: kept.At, Claims: kept.Claims, Person: kept.Person}
	for _, k := range kept.Steps {
		step := fleet.ProviderStep{Name: k.Name, Took: k.Took}
		if k.Code != "" {
			e := fault.New(k.Kind, "internal", "%s", k.Message)
			e.Code, e.Fix = k.Code, k.Fix
			step.Err = e
		}
		out.Steps = append(out.Steps, step)
	}
	return out, nil
}
