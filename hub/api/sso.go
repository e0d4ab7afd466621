package api

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/audit"
	"github.com/hawser-dev/hawser/shared/fault"
)

// This file has logins at identity providers: the two pages that a browser goes
// through, and what a command line asks for.

// SSO carries logins at identity providers from beginning to end. Its methods block
// for round trips to the database and the provider; errors are faults.
type SSO interface {
	// Check reports everything that is wrong with settings.
	Check(p fleet.IdentityProvider) fault.List
	// Test walks to a provider, up to the first step that fails, whose error it
	// returns.
	Test(ctx context.Context, name string, each func(fleet.ProviderStep)) error
	// RedirectURI is what has to be registered at a provider.
	RedirectURI(name string) string
	// Providers are the names of all.
	Providers(ctx context.Context) ([]string, error)
	// Begin sends a browser to a provider; binding is for its cookie.
	Begin(ctx context.Context, from string, start fleet.LoginStart) (location, binding string, err error)
	// Finish takes what the provider sent with the browser. With an error a Location
	// is where a command line is told so, "" when nobody listens.
	Finish(ctx context.Context, provider, binding, query string) (fleet.LoginEnd, error)
	// Redeem gives a command line the session that it has a code for.
	Redeem(ctx context.Context, code, verifier string) (fleet.Login, error)
	// TestedSignIn is what became of a login that was a test, for the session that asked
	// for it or the command line that has the verifier. NotFound (oidc_test_unknown).
	TestedSignIn(ctx context.Context, provider, session, code, verifier string) (fleet.SignInTest, error)
	BeginDevice(ctx context.Context, from, provider string) (fleet.DeviceLogin, error)
	// PollDevice is nil while nobody has confirmed it.
	PollDevice(ctx context.Context, handle string) (*fleet.Login, error)
}

// loginCookie binds a login that goes on at a provider to the browser where it
// began. It is no session.
const loginCookie = "__Host-hawser-login"

// loginCookieAge in seconds, as long as a login may take.
const loginCookieAge = 600

type loginProviders struct {
	Providers []string `json:"providers"`
}

type redeemRequest struct {
	// Code was sent to the command line's loopback address; Verifier is what its
	// challenge was made from (PKCE, RFC 7636).
	Code     string `json:"code"`
	Verifier string `json:"verifier"`
}

type deviceRequest struct {
	// Provider may be left out when there is one.
	Provider string `json:"provider,omitempty"`
}

type deviceAnswer struct {
	// Handle is sent to ask whether the login is confirmed.
	Handle string `json:"handle"`
	// UserCode is typed in at VerificationURI; VerificationURIComplete has it
	// already.
	UserCode                string    `json:"userCode"`
	VerificationURI         string    `json:"verificationURI"`
	VerificationURIComplete string    `json:"verificationURIComplete,omitempty"`
	ExpiresAt               time.Time `json:"expiresAt"`
	// Interval in seconds between questions.
	Interval int `json:"interval"`
}

type devicePoll struct {
	Handle string `json:"handle"`
}

// devicePolled has a session, or says that nobody has confirmed it.
type devicePolled struct {
	Pending bool         `json:"pending"`
	Login   *loginAnswer `json:"login,omitempty"`
}

var ssoRoutes = []Route{
	{
		Method: http.MethodGet, Path: "/login/providers", ID: "listLoginProviders", Tag: "session", Summary: "Names of the identity providers that one can log in with",
		Detail: "A browser logs in at /auth/login?provider=NAME&return=/PATH.",
		Public: true, Answer: loginProviders{}, Status: http.StatusOK, handler: (*api).loginProviders, when: hasSSO,
	},
	{
		Method: http.MethodPost, Path: "/login/sso", ID: "redeemLogin", Tag: "session", Summary: "Exchange the code that a command line was sent for a session",
		Detail: "The command line has a browser open /auth/login?provider=NAME&port=PORT&challenge=S256&state=STATE and listens at /callback of 127.0.0.1:PORT. The code works once, within a minute.",
		Public: true, Body: redeemRequest{}, Answer: loginAnswer{}, Status: http.StatusOK, handler: (*api).redeemLogin, when: hasSSO,
	},
	{
		Method: http.MethodPost, Path: "/login/device", ID: "beginDeviceLogin", Tag: "session", Summary: "Begin a login that is confirmed in a browser anywhere", Asks: true,
		Public: true, Body: deviceRequest{}, BodyOptional: true, Answer: deviceAnswer{}, Status: http.StatusOK, handler: (*api).beginDevice, when: hasSSO,
	},
	{
		Method: http.MethodPost, Path: "/login/device/poll", ID: "pollDeviceLogin", Tag: "session", Summary: "Ask whether a login is confirmed, and have its session", Asks: true,
		Public: true, Body: devicePoll{}, Answer: devicePolled{}, Status: http.StatusOK, handler: (*api).pollDevice, when: hasSSO,
	},
}

func (a *api) loginProviders(c *gin.Context) {
	names, err := a.opts.SSO.Providers(c.Request.Context())
	if err != nil {
		a.fail(c, err)
		return
	}
	c.JSON(http.StatusOK, loginProviders{append([]string{}, names...)})
}

func (a *api) redeemLogin(c *gin.Context) {
	var in redeemRequest
	err := a.into(c, &in, false)
	var s fleet.Login
	if err == nil {
		s, err = a.opts.SSO.Redeem(a.witnessed(c, trailOf(c)), in.Code, in.Verifier)
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	a.begun(c, s)
}

func (a *api) beginDevice(c *gin.Context) {
	var in deviceRequest
	err := a.into(c, &in, true)
	var d fleet.DeviceLogin
	if err == nil {
		d, err = a.opts.SSO.BeginDevice(c.Request.Context(), address(c.Request), in.Provider)
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	c.JSON(http.StatusOK, deviceAnswer{d.Handle, d.UserCode, d.URI, d.URIComplete, d.ExpiresAt, int(d.Interval / time.Second)})
}

func (a *api) pollDevice(c *gin.Context) {
	var in devicePoll
	err := a.into(c, &in, false)
	var s *fleet.Login
	if err == nil {
		s, err = a.opts.SSO.PollDevice(a.witnessed(c, trailOf(c)), in.Handle)
	}
	// Only the last of these questions has a record.
	trailOf(c).login = s != nil || err != nil
	switch {
	case err != nil:
		a.fail(c, err)
	case s == nil:
		c.JSON(http.StatusOK, devicePolled{Pending: true})
	default:
		byActor(c, s.Caller.Name, s.Caller.ID)
		c.JSON(http.StatusOK, devicePolled{Login: &loginAnswer{s.Secret, s.Caller.Name, s.Caller.ExpiresAt}})
	}
}

// externalLogin records how a login ended that no route of the table stands for.
func (a *api) externalLogin(t *trail, status int, err error) {
	r := t.record
	r.Kind, r.Outcome, r.Status = audit.Command, audit.Done, status
	if err != nil {
		e := fault.As(err)
		r.Code, r.Outcome = e.Code, outcomeOf(status, e)
		if t.begun == "" {
			r.Kind = audit.Refusal
		}
	}
	a.opts.Audit.Add(fleet.AuditEntry{Record: r, Begun: t.begun})
}

// pages registers what a browser goes through. They are outside of /api: a provider
// sends browsers there.
func (a *api) pages(e *gin.Engine) {
	if !hasSSO(a.opts) {
		return
	}
	e.GET("/auth/login", a.loginPage)
	e.GET("/auth/callback/:provider", a.callbackPage)
}

// loginPage sends a browser to a provider.
func (a *api) loginPage(c *gin.Context) {
	q := c.Request.URL.Query()
	start := fleet.LoginStart{Provider: q.Get("provider"), Return: q.Get("return"), Challenge: q.Get("challenge"), State: q.Get("state"), Test: q.Get("test") != ""}
	if cookie, err := c.Request.Cookie(loginCookie); err == nil {
		start.Binding = cookie.Value
	}
	if port := q.Get("port"); port != "" {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil {
			n = 0
		}
		start.Port = int(n)
		start.State = cmp.Or(start.State, "none") // a port alone is no login of a browser
	}
	if cookie, err := c.Request.Cookie(cookieName); err == nil {
		// Who logs in again may have to for a dangerous command: that takes the person,
		// and not only the browser that the provider remembers.
		t, err := a.opts.Auth.Recheck(c.Request.Context(), cookie.Value)
		if start.Again = err == nil && t.Session != nil; start.Again {
			start.Owner = t.ID
		}
	}
	location, binding, err := a.opts.SSO.Begin(c.Request.Context(), address(c.Request), start)
	if err != nil {
		a.loginFailed(c, err)
		return
	}
	setLoginCookie(c, binding, loginCookieAge)
	c.Redirect(http.StatusSeeOther, location)
}

func setLoginCookie(c *gin.Context, value string, age int) {
	http.SetCookie(c.Writer, &http.Cookie{Name: loginCookie, Value: value, Path: "/", MaxAge: age, Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode})
}

// callbackPage takes a browser that a provider sends back.
func (a *api) callbackPage(c *gin.Context) {
	binding := ""
	if cookie, err := c.Request.Cookie(loginCookie); err == nil {
		binding = cookie.Value
	}
	t := &trail{record: audit.Record{From: address(c.Request), Request: requestID(c), Action: "loginAtProvider"}}
	end, err := a.opts.SSO.Finish(a.witnessed(c, t), c.Param("provider"), binding, c.Request.URL.RawQuery)
	if err != nil {
		_ = c.Error(err) // for the log line
		a.externalLogin(t, loginStatus(err), err)
		if end.Location != "" && isLoopback(end.Location) {
			c.Redirect(http.StatusSeeOther, end.Location)
			return
		}
		a.loginFailed(c, err)
		return
	}
	if end.Test { // whoever is logged in there stays so
		t.record.Action = "testSignIn"
		a.externalLogin(t, http.StatusSeeOther, nil)
		c.Redirect(http.StatusSeeOther, end.Location)
		return
	}
	if end.Login != nil { // a command line's login has a record when it has its session
		a.endCookie(c) // whoever else was logged in there is not any more
		a.externalLogin(t, http.StatusSeeOther, nil)
		setLoginCookie(c, "", -1)
		setCookie(c, end.Login.Secret, 0)
	}
	c.Redirect(http.StatusSeeOther, end.Location)
}

func loginStatus(err error) int {
	e := fault.As(err)
	return fault.StatusOf(e.Kind, e.Code)
}

// isLoopback reports whether a place is a command line's.
func isLoopback(location string) bool {
	u, err := url.Parse(location)
	return err == nil && u.Scheme == "http" && u.Hostname() == "127.0.0.1"
}

// loginFailed is the page that says so: plain text out of a fixed catalogue. Nothing
// that anybody sent is repeated.
func (a *api) loginFailed(c *gin.Context, err error) {
	e := fault.As(err)
	_ = c.Error(err) // for the log line
	c.Abort()
	text := loginPages[e.Code]
	if text == "" {
		text = loginPages[""]
	}
	c.Data(loginStatus(err), "text/plain; charset=utf-8", fmt.Appendf(nil, "You are not logged in.\n\n%s\n\n%s  request %s\n", text, fault.ID(e.Code), requestID(c)))
}

// loginPages are the texts of a login that failed, by code; "" is of all others.
var loginPages = map[string]string{
	"": "The login did not succeed. Try again; if it goes on, tell an administrator of this hub the code below.",

	"session_needed":                 "A test of an identity provider is shown to whoever asked for it. Log in to the hub first.",
	"oidc_provider_unknown":          "This hub has no such identity provider.",
	"oidc_provider_needed":           "This hub has several identity providers. Choose one: /auth/login?provider=NAME",
	"oidc_request_invalid":           "The address is not complete. Start again with hawser login --sso.",
	"too_many_logins":                "Too many logins were begun from your address. Try again in ten minutes.",
	"oidc_tls_untrusted":             "The identity provider's certificate is not trusted by this hub. An administrator can set its CA.",
	"oidc_provider_unreachable":      "The identity provider cannot be reached from this hub. Try again later.",
	"oidc_discovery_invalid":         "The identity provider does not describe itself as it should. An administrator can test it: hawser settings provider test NAME",
	"oidc_pkce_unsupported":          "The identity provider does not take part in PKCE, which this hub needs.",
	"oidc_settings_invalid":          "The settings of the identity provider are wrong. Tell an administrator of this hub.",
	"oidc_state_unknown":             "This login is over, or never began. Begin again; a login takes at most ten minutes.",
	"oidc_state_foreign":             "This login began in another browser. Begin again, and allow cookies of this hub.",
	"oidc_response_malformed":        "The identity provider's answer cannot be read. Begin again.",
	"oidc_response_issuer_mismatch":  "The answer is of another identity provider than the one that was asked.",
	"oidc_provider_mismatch":         "The answer is of another identity provider than the one that was asked.",
	"oidc_provider_changed":          "The settings of the identity provider changed meanwhile. Begin again.",
	"oidc_login_refused":             "The identity provider refused the login.",
	"oidc_code_refused":              "The identity provider does not take the code that it gave. Begin again; if it goes on, an administrator should check the client's id and secret.",
	"oidc_token_response_invalid":    "The identity provider's answer cannot be read.",
	"oidc_token_malformed":           "The identity provider's token cannot be read.",
	"oidc_token_algorithm":           "The identity provider's token is signed with an algorithm that is not taken.",
	"oidc_token_signature":           "The signature of the identity provider's token is wrong.",
	"oidc_key_unknown":               "The identity provider's token is signed with a key that it does not publish. Try again in a minute.",
	"oidc_keys_unavailable":          "The identity provider's keys cannot be read. Try again in a minute.",
	"oidc_issuer_mismatch":           "The token is of another issuer than this hub expects.",
	"oidc_audience_mismatch":         "The token was issued for another client than this hub.",
	"oidc_authorized_party_mismatch": "The token was issued to another client than this hub.",
	"oidc_token_expired":             "The token has expired. If it goes on, the clocks of the hub and the identity provider differ.",
	"oidc_token_not_yet_valid":       "The token is of the future. The clocks of the hub and the identity provider differ.",
	"oidc_nonce_mismatch":            "The token belongs to another login.",
	"oidc_access_token_mismatch":     "The token belongs to another login.",
	"oidc_subject_missing":           "The identity provider does not say who you are.",
	"oidc_name_missing":              "The identity provider does not tell your name in the claim that this hub reads.",
	"oidc_email_unverified":          "The identity provider has not verified your address.",
	"oidc_groups_overage":            "You are in more groups than the 200 that are possible. The identity provider should send only those that this hub needs.",
	"oidc_groups_invalid":            "The identity provider's list of groups cannot be read.",
	"oidc_not_allowed":               "Your account may not log in to this hub. Ask an administrator.",
}
