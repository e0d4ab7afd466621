package web

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/hawser-dev/hawser/shared/fault"
)

func parse(t *testing.T, raw string) *url.URL {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestAWayBackDoesNotBringTheCredentialBack(t *testing.T) {
	var home, away *httptest.Server
	seen := map[string]string{}
	away = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen["away"] = r.Header.Get("Authorization")
		http.Redirect(w, r, home.URL+"/end", http.StatusFound)
	}))
	t.Cleanup(away.Close)
	home = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen[r.URL.Path] = r.Header.Get("Authorization")
		switch r.URL.Path {
		case "/start":
			http.Redirect(w, r, "/here", http.StatusFound)
		case "/here":
			http.Redirect(w, r, away.URL, http.StatusFound)
		default:
			_, _ = io.WriteString(w, "end")
		}
	}))
	t.Cleanup(home.Close)
	g := &Getter{Transport: http.DefaultTransport, Name: "home", Home: parse(t, home.URL), Credential: Credential{BearerToken: "CANARY"}, AllowHTTP: true}
	resp, err := g.Get(t.Context(), parse(t, home.URL+"/start"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil {
		t.Error(err)
	}
	if seen["/start"] != "Bearer CANARY" || seen["/here"] != "Bearer CANARY" || seen["away"] != "" || seen["/end"] != "" {
		t.Errorf("%v", seen)
	}
}

func TestTransportErrorsPassAndFaultsAreUnwrapped(t *testing.T) {
	lost := errors.New("lost")
	blocked := fault.New(fault.Invalid, "address_blocked", "blocked")
	for _, want := range []error{lost, blocked} {
		g := &Getter{Transport: failing{want}, Name: "x", Home: parse(t, "https://u.example.com/a")}
		_, err := g.Get(t.Context(), g.Home, nil)
		if !errors.Is(err, want) {
			t.Errorf("%v", err)
		}
	}
	g := &Getter{Transport: failing{lost}, Name: "x", Home: parse(t, "https://h")}
	for _, raw := range []string{"http://h/a", "file:///etc/passwd", "javascript:alert(1)", "//h/a"} {
		if _, err := g.Get(t.Context(), parse(t, raw), nil); !fault.HasCode(err, "redirect_refused") {
			t.Errorf("%s: %v", raw, err)
		}
	}
}

type failing struct{ err error }

func (f failing) RoundTrip(*http.Request) (*http.Response, error) { return nil, f.err }

func TestSameOrigin(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"https://h/a", "https://H:443/b", true}, {"http://h", "http://h:80", true},
		{"https://h", "http://h", false}, {"https://h", "https://h:8443", false}, {"https://h", "https://h.evil", false},
	} {
		if SameOrigin(parse(t, c.a), parse(t, c.b)) != c.same {
			t.Errorf("%+v", c)
		}
	}
}

func TestPrintableText(t *testing.T) {
	if got := Printable("a\x1b[31m\u202eb\xff" + strings.Repeat("x", 200)); len(got) > 120 || !utf8.ValidString(got) || strings.ContainsAny(got, "\x1b\u202e") {
		t.Errorf("%q", got)
	}
}
