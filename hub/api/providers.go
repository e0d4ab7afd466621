package api

import (
	"context"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/hub/permission"
	"github.com/hawser-dev/hawser/shared/fault"
)

// This file has the settings of identity providers; sso.go has the logins.

// IdentityProviders keeps providers. Its methods block for a round trip or a
// transaction; errors are faults.
type IdentityProviders interface {
	// IdentityProviders lists them without their secrets.
	IdentityProviders(ctx context.Context) ([]fleet.IdentityProvider, error)
	// IdentityProvider has the secret. NotFound (oidc_provider_unknown).
	IdentityProvider(ctx context.Context, name string) (fleet.IdentityProvider, error)
	// PutIdentityProvider with a Version writes over that one: Conflict
	// (version_conflict).
	PutIdentityProvider(ctx context.Context, p fleet.IdentityProvider, keepSecret bool) (fleet.IdentityProvider, error)
	// DeleteIdentityProvider ends the sessions of the people it vouched for.
	DeleteIdentityProvider(ctx context.Context, name string, expected int64) error
}

// identityProvider is a provider as it is shown: never with its secret.
type identityProvider struct {
	Name     string `json:"name"`
	Issuer   string `json:"issuer"`
	ClientID string `json:"clientID"`
	// Confidential: the client has a secret.
	Confidential   bool     `json:"confidential"`
	Scopes         []string `json:"scopes,omitempty"`
	UserClaim      string   `json:"userClaim,omitempty"`
	UserPrefix     string   `json:"userPrefix,omitempty"`
	GroupsClaim    string   `json:"groupsClaim,omitempty"`
	GroupsPrefix   string   `json:"groupsPrefix,omitempty"`
	AllowedGroups  []string `json:"allowedGroups,omitempty"`
	AllowedDomains []string `json:"allowedDomains,omitempty"`
	// CA has certificates in PEM that vouch for the provider beside the system's.
	CA string `json:"ca,omitempty"`
	// RedirectURI is what has to be registered at the provider.
	RedirectURI string    `json:"redirectURI"`
	Version     int64     `json:"version"`
	ChangedBy   string    `json:"changedBy"`
	ChangedAt   time.Time `json:"changedAt"`
}

func (a *api) shownProvider(p fleet.IdentityProvider) identityProvider {
	return identityProvider{p.Name, p.Issuer, p.ClientID, p.HasSecret, p.Scopes, p.UserClaim, p.UserPrefix, p.GroupsClaim, p.GroupsPrefix,
		p.AllowedGroups, p.AllowedDomains, p.CA, a.opts.SSO.RedirectURI(p.Name), p.Version, p.ChangedBy, p.ChangedAt}
}

type identityProviderRequest struct {
	// Issuer is the URL that the provider's tokens name, with https.
	Issuer   string `json:"issuer"`
	ClientID string `json:"clientID"`
	// ClientSecret left out keeps the one that is stored; "" removes it.
	ClientSecret *string `json:"clientSecret,omitempty"`
	// Scopes beside openid; none means profile, email and groups.
	Scopes []string `json:"scopes,omitempty"`
	// UserClaim has the name of a person, email when it is left out; an address has
	// to be verified. UserPrefix is put before the name; left out it is the
	// provider's name and a colon, and nothing for an address. - is none.
	UserClaim  string `json:"userClaim,omitempty"`
	UserPrefix string `json:"userPrefix,omitempty"`
	// GroupsClaim has the groups, in the claim groups when it is left out.
	GroupsClaim  string `json:"groupsClaim,omitempty"`
	GroupsPrefix string `json:"groupsPrefix,omitempty"`
	// AllowedGroups, without the prefix: members of one of them may log in.
	AllowedGroups []string `json:"allowedGroups,omitempty"`
	// AllowedDomains: people with a verified address of one of them may log in.
	AllowedDomains []string `json:"allowedDomains,omitempty"`
	// CA has certificates in PEM that vouch for the provider beside the system's.
	CA string `json:"ca,omitempty"`
}

// providerTest is what became of a test, up to the first step that failed.
type providerTest struct {
	OK    bool           `json:"ok"`
	Steps []providerStep `json:"steps"`
}

type providerStep struct {
	// Name is tls, discovery or keys; of a login answer, code, token, name, domain,
	// groups or members.
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail,omitempty"`
	Millis int64  `json:"millis"`
	Code   string `json:"code,omitempty"`
	ID     string `json:"id,omitempty"`
	Fix    string `json:"fix,omitempty"`
}

// signInRequest asks what became of a login that was a test.
type signInRequest struct {
	// Code came back with the browser.
	Code string `json:"code"`
	// Verifier is of a command line: what its challenge was made from (PKCE, RFC 7636).
	Verifier string `json:"verifier,omitempty"`
}

// signInTest is what a provider said about somebody, and who that would be here.
// Nobody was logged in.
type signInTest struct {
	OK       bool      `json:"ok"`
	Provider string    `json:"provider"`
	At       time.Time `json:"at"`
	// Steps up to the first that failed: answer, code, token, name, domain, groups,
	// members.
	Steps []providerStep `json:"steps"`
	// Claims of the ID token, when it is about this login.
	Claims []fleet.SignInClaim `json:"claims"`
	// Person is who would be logged in.
	Person *fleet.SignInPerson `json:"person,omitempty"`
	// Roles that the policy gives that person now, and by which lines.
	Roles []permission.Held `json:"roles"`
	// Admin: he could do everything.
	Admin bool `json:"admin"`
}

func hasSSO(o Options) bool { return o.SSO != nil && o.IdentityProviders != nil }

var providerRoutes = []Route{
	{
		Method: http.MethodGet, Path: "/settings/providers", ID: "listIdentityProviders", Tag: "settings", Summary: "OpenID Connect providers that people log in with",
		Verb: VerbGet, Resource: ResourceSettings, Answer: list[identityProvider]{}, Status: http.StatusOK, handler: (*api).listProviders, when: hasSSO,
	},
	{
		Method: http.MethodGet, Path: "/settings/providers/:name", ID: "getIdentityProvider", Tag: "settings", Summary: "One identity provider",
		Verb: VerbGet, Resource: ResourceSettings, Answer: identityProvider{}, Status: http.StatusOK, Tagged: true, handler: (*api).getProvider, when: hasSSO,
	},
	{
		Method: http.MethodPut, Path: "/settings/providers/:name", ID: "putIdentityProvider", Tag: "settings", Summary: "Set an identity provider",
		Detail: "What is left out is as if it had never been set, but for the client's secret, which is kept while issuer and client are the same. With another issuer, client, claim or prefix, or fewer domains, the sessions of the provider and the API tokens that its people issued end; with groups those of people who are in none of them.",
		Verb:   VerbUpdate, Resource: ResourceSettings, Fresh: true,
		Body: identityProviderRequest{}, Answer: identityProvider{}, Status: http.StatusOK, Tagged: true, Matched: true, handler: (*api).putProvider, when: hasSSO,
	},
	{
		Method: http.MethodDelete, Path: "/settings/providers/:name", ID: "deleteIdentityProvider", Tag: "settings", Summary: "Delete an identity provider, and end the sessions and API tokens of the people it vouched for",
		Verb: VerbDelete, Resource: ResourceSettings, Fresh: true, Status: http.StatusNoContent, Matched: true, handler: (*api).deleteProvider, when: hasSSO,
	},
	{
		Method: http.MethodPost, Path: "/settings/providers/:name/test", ID: "testIdentityProvider", Tag: "settings", Summary: "Try an identity provider step by step, from the hub", Asks: true,
		Verb: VerbUpdate, Resource: ResourceSettings, Answer: providerTest{}, Status: http.StatusOK, handler: (*api).testProvider, when: hasSSO,
	},
	{
		Method: http.MethodPost, Path: "/settings/providers/:name/sign-in", ID: "getSignInTest", Tag: "settings", Summary: "What became of a login that was a test: claims, and who that would be", Asks: true,
		Detail: "A browser that is logged in begins one at /auth/login?provider=NAME&test=yes, logs in at the provider, and comes back to /settings with a code; a command line adds port, challenge and state as for a login. Nobody is logged in by it. Only whoever began it is answered, for ten minutes.",
		Verb:   VerbUpdate, Resource: ResourceSettings, Body: signInRequest{}, Answer: signInTest{}, Status: http.StatusOK, handler: (*api).signInTest, when: hasSSO,
	},
}

func (a *api) listProviders(c *gin.Context) {
	all, err := a.opts.IdentityProviders.IdentityProviders(c.Request.Context())
	if err != nil {
		a.fail(c, err)
		return
	}
	items := make([]identityProvider, len(all))
	for i, p := range all {
		items[i] = a.shownProvider(p)
	}
	c.JSON(http.StatusOK, newList(a, items))
}

func (a *api) answerProvider(c *gin.Context, p fleet.IdentityProvider, err error) {
	if err != nil {
		a.fail(c, err)
		return
	}
	c.Header("ETag", etag(p.Version))
	c.JSON(http.StatusOK, a.shownProvider(p))
}

func (a *api) getProvider(c *gin.Context) {
	p, err := a.opts.IdentityProviders.IdentityProvider(c.Request.Context(), c.Param("name"))
	a.answerProvider(c, p, err)
}

func (a *api) putProvider(c *gin.Context) {
	ctx, name := c.Request.Context(), c.Param("name")
	var in identityProviderRequest
	err := a.into(c, &in, false)
	var expected int64
	if err == nil {
		expected, err = ifMatch(c)
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	p := fleet.IdentityProvider{Name: name, Issuer: in.Issuer, ClientID: in.ClientID, Scopes: in.Scopes, UserClaim: in.UserClaim, UserPrefix: in.UserPrefix,
		GroupsClaim: in.GroupsClaim, GroupsPrefix: in.GroupsPrefix, AllowedGroups: in.AllowedGroups, AllowedDomains: in.AllowedDomains, CA: in.CA,
		Version: expected, ChangedBy: identity(c).Name}
	if in.ClientSecret != nil {
		p.Secret = *in.ClientSecret
	}
	if problems := a.opts.SSO.Check(p); len(problems) > 0 {
		a.fail(c, problems)
		return
	}
	old, err := a.opts.IdentityProviders.IdentityProvider(ctx, name)
	switch {
	case fault.Is(err, fault.NotFound):
		err = nil
	case err == nil && in.ClientSecret == nil && old.HasSecret && (old.Issuer != p.Issuer || old.ClientID != p.ClientID || old.CA != p.CA):
		// It was given for the one, and is not handed to another.
		err = fault.New(fault.Invalid, "oidc_secret_needed", "another issuer, client or CA needs the client's secret again").WithField("clientSecret")
	case err == nil && expected == 0:
		p.Version = old.Version // what was looked at is what is written over
	}
	if err == nil {
		p, err = a.opts.IdentityProviders.PutIdentityProvider(ctx, p, in.ClientSecret == nil)
	}
	if err == nil {
		a.log.InfoContext(ctx, "an identity provider was set", "provider", p.Name, "issuer", p.Issuer, "by", p.ChangedBy)
	}
	a.answerProvider(c, p, err)
}

func (a *api) deleteProvider(c *gin.Context) {
	ctx, name := c.Request.Context(), c.Param("name")
	expected, err := ifMatch(c)
	if err == nil {
		err = a.opts.IdentityProviders.DeleteIdentityProvider(ctx, name, expected)
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	a.log.InfoContext(ctx, "an identity provider was deleted", "provider", name, "by", identity(c).Name)
	c.Status(http.StatusNoContent)
}

func (a *api) testProvider(c *gin.Context) {
	ctx, cancel := context.WithTimeout(c.Request.Context(), testTimeout)
	defer cancel()
	out := providerTest{OK: true, Steps: []providerStep{}}
	err := a.opts.SSO.Test(ctx, c.Param("name"), func(s fleet.ProviderStep) {
		step := shownStep(s)
		out.OK = out.OK && step.OK
		out.Steps = append(out.Steps, step)
	})
	if err != nil && out.OK {
		a.fail(c, err) // it did not come to a step
		return
	}
	c.JSON(http.StatusOK, out)
}

func shownStep(s fleet.ProviderStep) providerStep {
	step := providerStep{Name: s.Name, OK: s.Err == nil, Detail: s.Detail, Millis: s.Took.Milliseconds()}
	if s.Err != nil {
		e := fault.As(s.Err)
		step.Detail, step.Code, step.ID, step.Fix = e.Message, e.Code, fault.ID(e.Code), e.Fix
	}
	return step
}

func (a *api) signInTest(c *gin.Context) {
	var in signInRequest
	err := a.into(c, &in, false)
	var got fleet.SignInTest
	if err == nil {
		session := ""
		if who := identity(c); who.Session != nil {
			session = who.ID
		}
		got, err = a.opts.SSO.TestedSignIn(c.Request.Context(), c.Param("name"), session, in.Code, in.Verifier)
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	out := signInTest{OK: got.Person != nil, Provider: got.Provider, At: got.At, Steps: []providerStep{}, Claims: append([]fleet.SignInClaim{}, got.Claims...),
		Person: got.Person, Roles: []permission.Held{}}
	for _, s := range got.Steps {
		out.Steps = append(out.Steps, shownStep(s))
	}
	if p := got.Person; p != nil {
		subject := permission.Subject{Name: p.Subject, Groups: p.Groups}
		out.Roles, out.Admin = append(out.Roles, a.sets.policies.current().Held(subject)...), a.sets.ofSubject(subject).Admin()
	}
	c.JSON(http.StatusOK, out)
}
