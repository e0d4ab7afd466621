package oidc

import (
	"bytes"
	"context"
	"crypto/rsa"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
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

// answered is a provider that says the same to everything.
type answered struct {
	status int
	body   []byte
}

func (a answered) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: a.status, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(a.body)), Request: r}, nil
}

// What a provider says of itself is of the issuer that was asked, and has browsers and
// secrets sent by https only, to places that are whole; else it is an error by name.
func FuzzDiscovery(f *testing.F) {
	whole := `{"issuer":"https://idp","authorization_endpoint":"https://idp/a","token_endpoint":"https://idp/t","jwks_uri":"https://idp/k"`
	for _, s := range []string{
		whole + `}`, whole + `,"device_authorization_endpoint":"https://idp/d","code_challenge_methods_supported":["plain","S256"],"token_endpoint_auth_methods_supported":["none"]}`,
		whole + `,"code_challenge_methods_supported":["plain"]}`, whole + `,"device_authorization_endpoint":"javascript:x"}`, strings.Replace(whole, "https://idp/t", "http://idp/t", 1) + `}`,
		strings.Replace(whole, "https://idp/a", "https://u:p@idp/a#x", 1) + `}`, strings.Replace(whole, `"issuer"`, `"Issuer"`, 1) + `}`, whole + `,"issuer":"https://evil"}`, `null`, `[]`, ``,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		r := &remote{settings: fleet.IdentityProvider{Issuer: "https://idp", ClientID: "hawser"}, client: &http.Client{Transport: answered{200, body}}, now: time.Now}
		d, err := r.discover(t.Context())
		if err != nil {
			if e := fault.As(err); !strings.HasPrefix(e.Code, "oidc_") || len(e.Error()) > 500 || !utf8.ValidString(e.Error()) || strings.ContainsFunc(e.Error(), unicode.IsControl) {
				t.Fatalf("%q is refused with %q", body, err)
			}
			return
		}
		if d.Issuer != "https://idp" {
			t.Fatalf("%q is taken for another issuer", body)
		}
		for _, at := range []string{d.Authorization, d.Token, d.Keys, d.Device} {
			u, err := url.Parse(at)
			if at == "" && at == d.Device {
				continue
			}
			if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.Fragment != "" {
				t.Fatalf("%q has requests sent to %q", body, at)
			}
		}
		to, err := r.authorization(t.Context(), "https://hub/auth/callback/corp", "the-state", "the-nonce", "the-verifier", false)
		u, parseErr := url.Parse(to)
		if err != nil || parseErr != nil || u.Scheme != "https" {
			t.Fatalf("%q sends browsers to %q: %v", body, to, err)
		}
		q := u.Query()
		if !slices.Equal(q["state"], []string{"the-state"}) || !slices.Equal(q["client_id"], []string{"hawser"}) || !slices.Equal(q["code_challenge_method"], []string{"S256"}) {
			t.Fatalf("%q sends browsers to %q", body, to)
		}
	})
}

// Whatever a provider answers at its endpoint of tokens, nobody is logged in without a
// token that one of its keys signed, and the client's secret is in no error.
func FuzzTokenAnswer(f *testing.F) {
	for _, s := range []string{
		`{"access_token":"a","token_type":"Bearer","id_token":"eyJhbGciOiJFUzI1NiIsImtpZCI6ImEifQ.e30.AA"}`, `{"access_token":"a","id_token":{"a":1}}`, `{"error":"invalid_client","error_description":"canary \u001b[2J"}`,
		`access_token=a&id_token=x`, `{"access_token":"a","expires_in":1e99}`, `{"id_token":"x"}`, `null`, ``,
	} {
		f.Add(uint16(200), []byte(s))
		f.Add(uint16(400), []byte(s))
	}
	f.Fuzz(func(t *testing.T, status uint16, body []byte) {
		now := time.Now()
		r := &remote{
			settings: fleet.IdentityProvider{Issuer: "https://idp", ClientID: "hawser", Secret: "canary-of-the-client"}, client: &http.Client{Transport: answered{int(status), body}}, now: time.Now,
			document: document{Issuer: "https://idp", Authorization: "https://idp/a", Token: "https://idp/t", Keys: "https://idp/k"}, read: now,
		}
		published := []byte(`{"keys":[{"kty":"EC","crv":"P-256","kid":"a","use":"sig","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}]}`)
		r.keys = &keys{now: time.Now, fetch: func(context.Context) ([]byte, error) { return published, nil }}
		c, err := r.exchange(t.Context(), "https://hub/auth/callback/corp", "code", "verifier", "nonce", func(string, error) {})
		if err == nil {
			t.Fatalf("%d %q logs %v in", status, body, c)
		}
		if e := fault.As(err); !strings.HasPrefix(e.Code, "oidc_") || len(e.Message) > 500 || strings.Contains(err.Error(), "canary-of-the-client") || strings.ContainsFunc(e.Message, unicode.IsControl) {
			t.Fatalf("%d %q is refused with %q", status, body, err)
		}
	})
}
