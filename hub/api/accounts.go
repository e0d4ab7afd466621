package api

import (
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/hub/permission"
	"github.com/hawser-dev/hawser/shared/fault"
)

// account is a local user as it is shown: never with its password.
type account struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Enabled bool   `json:"enabled"`
	Admin   bool   `json:"admin"`
	// Grants are what the user may do who is no administrator.
	Grants            []fleet.Grant `json:"grants,omitempty"`
	CreatedAt         time.Time     `json:"createdAt"`
	PasswordChangedAt time.Time     `json:"passwordChangedAt"`
	LastLogin         *time.Time    `json:"lastLogin,omitempty"`
}

func newAccount(u fleet.User) account {
	return account{u.ID, u.Name, u.Enabled, u.Admin, u.Grants, u.CreatedAt, u.PasswordChangedAt, u.LastLogin}
}

type newAccountRequest struct {
	Name     string `json:"name"`
	Password string `json:"password"`
	// Admin, or Grants; with neither the user sees nothing.
	Admin  bool          `json:"admin,omitempty"`
	Grants []fleet.Grant `json:"grants,omitempty"`
}

// accountChange has what is to change; what is left out stays.
type accountChange struct {
	Enabled  *bool          `json:"enabled,omitempty"`
	Password *string        `json:"password,omitempty"`
	Admin    *bool          `json:"admin,omitempty"`
	Grants   *[]fleet.Grant `json:"grants,omitempty"`
}

type confirmRequest struct {
	Password string `json:"password"`
}

type passwordRequest struct {
	Current string `json:"current"`
	New     string `json:"new"`
}

var accountRoutes = []Route{
	{
		Method: http.MethodGet, Path: "/accounts", ID: "listAccounts", Tag: "accounts", Summary: "Local users",
		Verb: VerbGet, Resource: ResourceAccounts, Answer: list[account]{}, Status: http.StatusOK, handler: (*api).listAccounts,
	},
	{
		Method: http.MethodPost, Path: "/accounts", ID: "createAccount", Tag: "accounts", Summary: "Make a local user who logs in with a password",
		Verb: VerbCreate, Resource: ResourceAccounts, Fresh: true, Body: newAccountRequest{}, Answer: account{}, Status: http.StatusCreated, handler: (*api).createAccount,
	},
	{
		Method: http.MethodGet, Path: "/accounts/:name", ID: "getAccount", Tag: "accounts", Summary: "One local user",
		Verb: VerbGet, Resource: ResourceAccounts, Answer: account{}, Status: http.StatusOK, handler: (*api).getAccount,
	},
	{
		Method: http.MethodPatch, Path: "/accounts/:name", ID: "changeAccount", Tag: "accounts", Summary: "Enable, disable or change a local user",
		Detail: "What is left out stays. Every change ends the user's sessions and the tokens that the user issued; only enabling leaves the tokens.",
		Verb:   VerbUpdate, Resource: ResourceAccounts, Fresh: true, Body: accountChange{}, Answer: account{}, Status: http.StatusOK, handler: (*api).changeAccount,
	},
	{
		Method: http.MethodDelete, Path: "/accounts/:name", ID: "deleteAccount", Tag: "accounts", Summary: "Delete a local user, with his sessions and the tokens that he issued",
		Verb: VerbDelete, Resource: ResourceAccounts, Fresh: true, Status: http.StatusNoContent, handler: (*api).deleteAccount,
	},
	{
		Method: http.MethodPost, Path: "/session/confirm", ID: "confirmSession", Tag: "session", Summary: "Give the password again, as dangerous commands ask for",
		Detail: "The session gets a new secret, and the old one is void.",
		Body:   confirmRequest{}, Answer: loginAnswer{}, Status: http.StatusOK, handler: (*api).confirmSession,
	},
	{
		Method: http.MethodPost, Path: "/session/password", ID: "changePassword", Tag: "session", Summary: "Change one's own password",
		Detail: "All sessions of the user end, and the tokens that the user issued; a new session begins.",
		Body:   passwordRequest{}, Answer: loginAnswer{}, Status: http.StatusOK, handler: (*api).changePassword,
	},
	{
		Method: http.MethodGet, Path: "/sessions", ID: "listSessions", Tag: "session", Summary: "One's own sessions, the last used first",
		Detail: "Refused with session_needed for an API token.",
		Answer: list[loginSession]{}, Status: http.StatusOK, handler: (*api).listSessions,
	},
	{
		Method: http.MethodDelete, Path: "/sessions/:id", ID: "endSession", Tag: "session", Summary: "End one of one's own sessions",
		Status: http.StatusNoContent, handler: (*api).endSession,
	},
	{
		Method: http.MethodPost, Path: "/logout/everywhere", ID: "logoutEverywhere", Tag: "session", Summary: "End all of one's own sessions, the one that asks too",
		Detail: "API tokens stay; a changed password ends those too.",
		Answer: endedSessions{}, Status: http.StatusOK, handler: (*api).logoutEverywhere,
	},
	{
		Method: http.MethodGet, Path: "/login-sessions", ID: "listAllSessions", Tag: "accounts", Summary: "Sessions of everybody who is logged in, the last used first",
		Verb: VerbGet, Resource: ResourceAccounts, Answer: list[loginSession]{}, Status: http.StatusOK, handler: (*api).listAllSessions,
	},
	{
		Method: http.MethodDelete, Path: "/login-sessions/:id", ID: "endAnySession", Tag: "accounts", Summary: "End somebody's session",
		Verb: VerbDelete, Resource: ResourceAccounts, Status: http.StatusNoContent, handler: (*api).endAnySession,
	},
}

// loginSession is a session of somebody who is logged in, never with its secret.
type loginSession struct {
	ID string `json:"id"`
	// Name is whose it is, as Provider knows the person: "local", or an identity
	// provider.
	Name     string `json:"name"`
	Provider string `json:"provider"`
	// Current: it is the one that asks.
	Current bool `json:"current,omitempty"`
	// Browser: its secret is in a cookie; else a program has it.
	Browser bool `json:"browser"`
	// Client is the program that it began with, in its own words, and Address where
	// it was last used from.
	Client  string `json:"client,omitempty"`
	Address string `json:"address,omitempty"`
	// CreatedAt is when it began, AuthenticatedAt when a password, or what the
	// provider asks for, was last given, LastUsed, to the minute, when it was used.
	CreatedAt       time.Time `json:"createdAt"`
	AuthenticatedAt time.Time `json:"authenticatedAt"`
	LastUsed        time.Time `json:"lastUsed"`
	ExpiresAt       time.Time `json:"expiresAt"`
}

func (a *api) answerSessions(c *gin.Context, all []fleet.LoginSession, err error) {
	if err != nil {
		a.fail(c, err)
		return
	}
	items, own := make([]loginSession, len(all)), identity(c).ID
	for i, l := range all {
		items[i] = loginSession{l.ID, l.Name, l.Provider, l.ID == own, l.Browser, l.Client, l.Address, l.CreatedAt, l.AuthenticatedAt, l.SeenAt, l.ExpiresAt}
	}
	c.JSON(http.StatusOK, newList(a, items))
}

func (a *api) listSessions(c *gin.Context) {
	all, err := a.opts.Auth.Sessions(c.Request.Context(), identity(c))
	a.answerSessions(c, all, err)
}

func (a *api) listAllSessions(c *gin.Context) {
	all, err := a.opts.Auth.AllSessions(c.Request.Context())
	a.answerSessions(c, all, err)
}

func (a *api) endSession(c *gin.Context) {
	t, id := identity(c), c.Param("id")
	if err := a.opts.Auth.EndSession(c.Request.Context(), t, id); err != nil {
		a.fail(c, err)
		return
	}
	if t.ID == id && t.Session.Browser {
		setCookie(c, "", -1)
	}
	c.Status(http.StatusNoContent)
}

func (a *api) endAnySession(c *gin.Context) {
	if err := a.opts.Auth.EndAnySession(c.Request.Context(), c.Param("id")); err != nil {
		a.fail(c, err)
		return
	}
	a.log.InfoContext(c.Request.Context(), "a session was ended", "session", c.Param("id"), "by", identity(c).Name)
	c.Status(http.StatusNoContent)
}

// endedSessions says how many sessions there were.
type endedSessions struct {
	Ended int `json:"ended"`
}

func (a *api) logoutEverywhere(c *gin.Context) {
	t := identity(c)
	n, err := a.opts.Auth.EndSessions(c.Request.Context(), t)
	if err != nil {
		a.fail(c, err)
		return
	}
	if t.Session.Browser {
		setCookie(c, "", -1)
	}
	c.JSON(http.StatusOK, endedSessions{n})
}

func (a *api) listAccounts(c *gin.Context) {
	users, err := a.opts.Auth.Users(c.Request.Context())
	if err != nil {
		a.fail(c, err)
		return
	}
	items := make([]account, len(users))
	for i, u := range users {
		items[i] = newAccount(u)
	}
	c.JSON(http.StatusOK, newList(a, items))
}

func (a *api) getAccount(c *gin.Context) {
	u, err := a.opts.Auth.User(c.Request.Context(), c.Param("name"))
	if err != nil {
		a.fail(c, err)
		return
	}
	c.JSON(http.StatusOK, newAccount(u))
}

// rightsOfAccount reports what is wrong with the rights of a user.
func rightsOfAccount(admin bool, grants []fleet.Grant) error {
	problems := permission.Check("grants", grants)
	if admin && len(grants) > 0 {
		problems = append(problems, fault.New(fault.Invalid, "grants_invalid", "an administrator needs no grants: give one of both").WithField("grants"))
	}
	if len(problems) > 0 {
		return problems
	}
	return nil
}

func (a *api) createAccount(c *gin.Context) {
	var in newAccountRequest
	err := a.into(c, &in, false)
	if err == nil {
		err = rightsOfAccount(in.Admin, in.Grants)
	}
	var u fleet.User
	if err == nil {
		u, err = a.opts.Auth.CreateUser(c.Request.Context(), fleet.NewUser{Name: in.Name, Password: in.Password, Admin: in.Admin, Grants: in.Grants})
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	a.log.InfoContext(c.Request.Context(), "a user was made", "user", u.Name, "admin", u.Admin, "by", identity(c).Name)
	c.JSON(http.StatusCreated, newAccount(u))
}

func (a *api) changeAccount(c *gin.Context) {
	ctx, name := c.Request.Context(), c.Param("name")
	var in accountChange
	err := a.into(c, &in, false)
	if err == nil && in == (accountChange{}) {
		err = fault.New(fault.Invalid, "body_invalid", "nothing is to change: give enabled, password, admin or grants")
	}
	var before fleet.User
	if err == nil {
		before, err = a.opts.Auth.User(ctx, name)
	}
	if err == nil {
		admin, grants := before.Admin, before.Grants
		if in.Admin != nil {
			if admin = *in.Admin; admin && in.Grants == nil {
				in.Grants, grants = &[]fleet.Grant{}, nil
			}
		}
		if in.Grants != nil {
			grants = *in.Grants
		}
		err = rightsOfAccount(admin, grants)
	}
	var u fleet.User
	if err == nil {
		u, err = a.opts.Auth.ChangeUser(ctx, name, fleet.NewUserChange{Password: in.Password, Enabled: in.Enabled, Admin: in.Admin, Grants: in.Grants})
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	a.log.InfoContext(ctx, "a user was changed", "user", u.Name, "enabled", u.Enabled, "admin", u.Admin, "password", in.Password != nil, "by", identity(c).Name)
	c.JSON(http.StatusOK, newAccount(u))
}

func (a *api) deleteAccount(c *gin.Context) {
	name := c.Param("name")
	if err := a.opts.Auth.DeleteUser(c.Request.Context(), name); err != nil {
		a.fail(c, err)
		return
	}
	a.log.InfoContext(c.Request.Context(), "a user was deleted", "user", name, "by", identity(c).Name)
	c.Status(http.StatusNoContent)
}

func (a *api) confirmSession(c *gin.Context) {
	var in confirmRequest
	err := a.into(c, &in, false)
	var s fleet.Login
	if err == nil {
		s, err = a.opts.Auth.Confirm(c.Request.Context(), address(c.Request), identity(c), in.Password)
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	a.begun(c, s)
}

func (a *api) changePassword(c *gin.Context) {
	var in passwordRequest
	err := a.into(c, &in, false)
	var s fleet.Login
	if err == nil {
		s, err = a.opts.Auth.ChangePassword(c.Request.Context(), address(c.Request), identity(c), in.Current, in.New)
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	a.begun(c, s)
}
