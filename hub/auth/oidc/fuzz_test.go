package oidc

import (
	"crypto/rsa"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/hub/fleet"
)

// What comes with a browser: nothing of it panics, and what is taken is what was
// sent, once.
func FuzzAnswer(f *testing.F) {
	for _, s := range []string{"code=c&state=" + strings.Repeat("s", 43), "error=access_denied&state=" + strings.Repeat("s", 43) + "&iss=https://idp", "state=%zz", "code=a&code=b", "=&;", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, query string) {
		a, err := readAnswer(query)
		if err != nil {
			return
		}
		q, err := url.ParseQuery(query)
		if err != nil || len(query) > maxAnswer || !goodState.MatchString(a.state) || (a.code == "") == (a.err == "") || len(q["state"]) != 1 || len(q["code"])+len(q["error"]) < 1 {
			t.Errorf("%q is taken as %+v", query, a)
		}
	})
}

func FuzzHeader(f *testing.F) {
	for _, s := range []string{"eyJhbGciOiJFUzI1NiIsImtpZCI6ImsxIn0.e30.", "eyJhbGciOiJub25lIn0.e30.", "..", "a.b.c.d.e", "e30.e30.e30", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		h, err := readHeader(raw)
		if err == nil && (!slices.Contains(algorithms, h.alg) || len(raw) > maxToken || strings.Count(raw, ".") != 2) {
			t.Errorf("%q is taken as %+v", raw, h)
		}
	})
}

func FuzzClaims(f *testing.F) {
	now := time.Unix(1_700_000_000, 0)
	for _, s := range []string{
		`{"iss":"https://idp","aud":"hawser","exp":1700000100,"iat":1700000000,"nonce":"n","sub":"s","email":"a@b.c","email_verified":true,"groups":["g"]}`,
		`{"aud":["hawser",null],"azp":7,"exp":1e400}`, `{"groups":{"a":1},"_claim_names":[]}`, `null`, `[]`, `{"iss":"https://idp","iss":"x"}`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, payload string) {
		c, err := readClaims([]byte(payload))
		if err != nil || c.about(expected{issuer: "https://idp", clientID: "hawser", nonce: "n", now: now}) != nil {
			return
		}
		who, err := c.who(fleet.IdentityProvider{Name: "corp"})
		if err != nil {
			return
		}
		if !printable(who.Name) || !printable(who.Subject) || len(who.Groups) > maxGroups || slices.ContainsFunc(who.Groups, func(g string) bool { return !printable(g) }) {
			t.Errorf("%s is taken as %+v", payload, who)
		}
	})
}

func FuzzPlace(f *testing.F) {
	for _, s := range []string{"/", "//evil", `/\evil`, "/a?b=c#d", "/%2f%2fevil", "/x@evil", "/\t/evil", "https:evil", "/;//x", "/..//evil"} {
		f.Add(s)
	}
	here, _ := url.Parse("https://hub.example.org:8443/auth/callback/corp")
	f.Fuzz(func(t *testing.T, path string) {
		to, err := here.Parse(place(path))
		if err != nil || to.Host != here.Host || to.Scheme != "https" || to.User != nil {
			t.Errorf("%q leads to %v: %v", path, to, err)
		}
	})
}

// What a provider says its keys are: those that are taken can check, and cannot sign.
func FuzzKeys(f *testing.F) {
	for _, s := range []string{
		`{"keys":[{"kty":"EC","crv":"P-256","kid":"a","use":"sig","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}]}`,
		`{"keys":[{"kty":"oct","k":"AAAA"}]}`, `{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"}]}`, `{"keys":[null,1,{}]}`, `{}`, `[]`, ``,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := readKeys(body)
		if err != nil && got != nil || len(got) > maxKeys {
			t.Errorf("%d keys, %v", len(got), err)
		}
		for _, k := range got {
			if !k.Valid() || !k.IsPublic() || k.Use != "" && k.Use != "sig" {
				t.Errorf("%q has the key %+v", body, k)
			}
			if public, ok := k.Key.(*rsa.PublicKey); ok && public.N.BitLen() < minRSA {
				t.Errorf("%q has a key of %d bits", body, public.N.BitLen())
			}
		}
	})
}
