// Package web gets things over HTTP for hub/source: with a credential that stays
// at its host, redirects that are looked at, and answers that are errors unless
// they are what was asked for.
//
// It does not dial: addresses, certificates and proxies are the business of the
// transport that it is given. Errors of the transport pass as they are, for the
// caller to put into words.
package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"unicode"

	"github.com/hawser-dev/hawser/shared/fault"
)

// MaxRedirects of one request.
const MaxRedirects = 5

// Credential is for the Authorization header; the zero value is none.
type Credential struct {
	Username, Password string
	// BearerToken is sent in place of user and password.
	BearerToken string
}

// IsZero reports whether there is none.
func (c Credential) IsZero() bool { return c == Credential{} }

// Getter gets from one place, and from others that it refers to.
type Getter struct {
	// Transport reaches servers.
	Transport http.RoundTripper
	// Name of the place in messages, without anything secret.
	Name string
	// Home is where the credential belongs.
	Home *url.URL
	// Credential goes to Home's scheme, host and port and nowhere else, unless
	// PassCredentials.
	Credential      Credential
	PassCredentials bool
	// AllowHTTP lets the credential travel over plain http.
	AllowHTTP bool
}

// Get asks for target. The answer is 200, or 304 when header has a condition,
// and its body is the caller's to close. Errors: codes repository_auth_failed,
// repository_not_found, repository_unavailable, redirect_refused, repo_insecure,
// or what the transport says.
func (g *Getter) Get(ctx context.Context, target *url.URL, header http.Header) (*http.Response, error) {
	if target.Scheme != "https" && target.Scheme != "http" {
		return nil, fault.New(fault.Upstream, "redirect_refused", "%s refers to scheme %q, which is not followed", g.Name, Printable(target.Scheme))
	}
	if g.Home.Scheme == "https" && target.Scheme == "http" {
		return nil, fault.New(fault.Upstream, "redirect_refused", "%s refers to %s over plain http, which is not followed", g.Name, target.Host)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return nil, fault.Wrap(err, fault.Upstream, "redirect_refused", "%s refers to an address that is none", g.Name)
	}
	for k, v := range header {
		req.Header[k] = v
	}
	req.Header.Set("User-Agent", UserAgent)
	if err := g.authorize(req); err != nil {
		return nil, err
	}
	client := http.Client{Transport: g.Transport, CheckRedirect: func(next *http.Request, via []*http.Request) error {
		if err := CheckRedirect(g.Name, next, via); err != nil {
			return err
		}
		// net/http has copied the headers of the first request.
		next.Header.Del("Authorization")
		if left(via, g.Home) && !g.PassCredentials {
			return nil
		}
		return g.authorize(next)
	}}
	resp, err := client.Do(req)
	if err != nil {
		var known *fault.Error
		if errors.As(err, &known) {
			return nil, known // without the URL that net/http adds
		}
		return nil, err
	}
	if err := g.check(resp, header); err != nil {
		_ = resp.Body.Close() // nobody reads it
		return nil, err
	}
	return resp, nil
}

// UserAgent names the program to servers.
const UserAgent = "hawser"

// authorize adds the credential where it belongs.
func (g *Getter) authorize(req *http.Request) error {
	if g.Credential.IsZero() || !SameOrigin(req.URL, g.Home) && !g.PassCredentials {
		return nil
	}
	if req.URL.Scheme != "https" && !g.AllowHTTP {
		return fault.New(fault.Invalid, "repo_insecure", "credentials over plain http are refused; use https")
	}
	if g.Credential.BearerToken != "" {
		req.Header.Set("Authorization", "Bearer "+g.Credential.BearerToken)
	} else {
		req.SetBasicAuth(g.Credential.Username, g.Credential.Password)
	}
	return nil
}

// left reports whether a chain of requests has been elsewhere: who was sent back
// from there does not get the credential either.
func left(via []*http.Request, home *url.URL) bool {
	for _, r := range via {
		if !SameOrigin(r.URL, home) {
			return true
		}
	}
	return false
}

// CheckRedirect refuses what no redirect may lead to; name is who redirects.
func CheckRedirect(name string, next *http.Request, via []*http.Request) error {
	refuse := func(format string, args ...any) error {
		return fault.New(fault.Upstream, "redirect_refused", "%s redirects %s", name, fmt.Sprintf(format, args...))
	}
	switch {
	case next.URL.Scheme != "https" && next.URL.Scheme != "http":
		return refuse("to scheme %q, which is not followed", Printable(next.URL.Scheme))
	case next.URL.Scheme == "http" && via[len(via)-1].URL.Scheme == "https":
		return refuse("to plain http, which is not followed")
	case len(via) > MaxRedirects:
		return refuse("more than %d times", MaxRedirects)
	}
	return nil
}

// SameOrigin compares scheme, host and port.
func SameOrigin(a, b *url.URL) bool {
	return a.Scheme == b.Scheme && strings.EqualFold(a.Hostname(), b.Hostname()) && port(a) == port(b)
}

func port(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "https":
		return "443"
	}
	return "80"
}

// statusError is the cause of an error about an answer.
type statusError int

func (s statusError) Error() string { return fmt.Sprintf("status %d", int(s)) }

// Status of the answer that err is about, 0 when it is about something else.
func Status(err error) int {
	var s statusError
	if errors.As(err, &s) {
		return int(s)
	}
	return 0
}

func (g *Getter) check(resp *http.Response, header http.Header) error {
	code, host := resp.StatusCode, resp.Request.URL.Host
	conditional := header.Get("If-None-Match") != "" || header.Get("If-Modified-Since") != ""
	if code == http.StatusOK || code == http.StatusNotModified && conditional {
		return nil
	}
	return Refused(g.Name, host, code, !g.Credential.IsZero(), g.Credential.Username,
		!SameOrigin(resp.Request.URL, g.Home) && !g.PassCredentials)
}

// Refused is the error for an answer with a status that is no success. sent
// tells whether there is a credential, elsewhere that it was not sent because
// another host answered.
func Refused(name, host string, code int, has bool, username string, elsewhere bool) error {
	wrap := func(code int, id, format string, args ...any) *fault.Error {
		return fault.Wrap(statusError(code), fault.Upstream, id, format, args...)
	}
	switch {
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		switch {
		case has && elsewhere:
			return wrap(code, "repository_auth_failed", "%s refers to %s, which asks for a credential (%d); credentials are not sent to another host", name, host, code).
				WithFix("set passCredentials on the repository if that host may have the credential")
		case !has:
			return wrap(code, "repository_auth_failed", "%s asks for a credential (%d) and none is registered for it", name, code).
				WithFix("hawser repo add %s --username … --password-stdin", name)
		}
		return wrap(code, "repository_auth_failed", "%s refused the credential %q (%d). Check that it has not expired and may read this repository", host, Clip(username, 60), code)
	case code == http.StatusNotFound || code == http.StatusGone:
		return wrap(code, "repository_not_found", "%s does not exist, or the credential may not see it (%d)", name, code).
			WithFix("check the URL, and add a credential with hawser repo add when the repository is private")
	case code == http.StatusTooManyRequests:
		return wrap(code, "repository_unavailable", "%s limits the rate of requests (429); it is asked again later", host)
	}
	return wrap(code, "repository_unavailable", "%s answered %d %s; the last good state stays", host, code, http.StatusText(code))
}

// Printable bounds and cleans text that a server sent.
func Printable(s string) string {
	return Clip(strings.TrimSpace(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\ufffd"))), 120)
}

// Clip shortens a text to n bytes.
func Clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n-3], "") + "…"
}
