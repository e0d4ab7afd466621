package api

import (
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/hub/permission"
	"github.com/hawser-dev/hawser/shared/fault"
)

type loginRequest struct {
	// Code works once. Alone it is exchanged for an API token; with a password it
	// makes the first administrator, who is then logged in.
	Code string `json:"code,omitempty"`
	// Username and Password log a local user in.
	Username string `json:"username,omitempty"`
	Password string `json:"password,omitempty"`
	// Browser puts the secret into a cookie, and not into the answer.
	Browser bool `json:"browser,omitempty"`
}

// loginAnswer has the token, or the secret of a session, which is not shown again.
// What went into a cookie is not in it.
type loginAnswer struct {
	Token     string    `json:"token,omitempty"`
	Name      string    `json:"name"`
	ExpiresAt time.Time `json:"expiresAt"`
}

// sessionShown is a session as its owner sees it.
type sessionShown struct {
	// Provider is "local", or the identity provider that vouches for the caller.
	Provider string   `json:"provider"`
	Groups   []string `json:"groups,omitempty"`
	// AuthenticatedAt is when the password was last given. Dangerous commands want
	// that not to be long ago.
	AuthenticatedAt time.Time `json:"authenticatedAt"`
	// IdleMinutes after which the session ends when it is not used.
	IdleMinutes int `json:"idleMinutes"`
}

// caller is who asks.
type caller struct {
	Name  string `json:"name"`
	Admin bool   `json:"admin"`
	// Grants are what it may do when it is not an administrator's.
	Grants []fleet.Grant `json:"grants,omitempty"`
	// Project and Role are there for the token of a project's role.
	Project   string    `json:"project,omitempty"`
	Role      string    `json:"role,omitempty"`
	CreatedAt time.Time `json:"createdAt"`
	ExpiresAt time.Time `json:"expiresAt"`
	// Session is there when somebody is logged in; else it is an API token.
	Session *sessionShown `json:"session,omitempty"`
	// Subject and Groups are by which the RBAC policy is asked; neither is there for an
	// API token, which has its grants.
	Subject string   `json:"subject,omitempty"`
	Groups  []string `json:"groups,omitempty"`
	// PolicyAdmin: the policy gives role:admin, and denies nothing.
	PolicyAdmin bool `json:"policyAdmin,omitempty"`
	// Roles are those that the policy and projects give, and by which lines.
	Roles []permission.Held `json:"roles,omitempty"`
	// Rules are the lines of policy and projects that count, when they were asked for;
	// RulesTotal how many there are.
	Rules      []permission.Line `json:"rules,omitempty"`
	RulesTotal int               `json:"rulesTotal,omitempty"`
}

// maxRulesShown bounds an answer.
const maxRulesShown = 500

type versionAnswer struct {
	Version string `json:"version"`
}

// hubAnswer is the hub's identity and state.
type hubAnswer struct {
	HubID string `json:"hubID"`
	// Incarnation rises when the database was restored from an older copy.
	Incarnation int64 `json:"incarnation"`
	// HoldDeletes: nothing is deleted until the restore is acknowledged.
	HoldDeletes bool   `json:"holdDeletes"`
	Version     string `json:"version"`
}

func (a *api) login(c *gin.Context) {
	var in loginRequest
	if err := a.into(c, &in, false); err != nil {
		a.fail(c, err)
		return
	}
	ctx, from := a.witnessed(c, trailOf(c)), address(c.Request)
	if in.Code != "" && in.Password == "" {
		token, info, err := a.opts.Auth.Login(ctx, from, in.Code)
		if err != nil {
			a.fail(c, err)
			return
		}
		byActor(c, info.Name, info.ID)
		c.JSON(http.StatusOK, loginAnswer{token, info.Name, info.ExpiresAt})
		return
	}
	var s fleet.Login
	var err error
	switch {
	case in.Code != "":
		s, err = a.opts.Auth.FirstUser(ctx, from, in.Code, in.Username, in.Password, in.Browser)
	case in.Username == "" && in.Password == "":
		err = fault.New(fault.Unauthorized, "login_code_invalid", "this needs a login code, or a name and a password")
	default:
		s, err = a.opts.Auth.PasswordLogin(ctx, from, in.Username, in.Password, in.Browser)
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	a.endCookie(c) // whoever else was logged in there is not any more
	a.begun(c, s)
}

// cookieName has the prefix with which browsers take a cookie only from a secure
// connection, for this host and every path.
const cookieName = "__Host-hawser"

func setCookie(c *gin.Context, value string, age int) {
	http.SetCookie(c.Writer, &http.Cookie{Name: cookieName, Value: value, Path: "/", MaxAge: age, Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode})
}

// begun answers with a session that has just begun, or has a new secret.
func (a *api) begun(c *gin.Context, s fleet.Login) {
	byActor(c, s.Caller.Name, s.Caller.ID)
	out := loginAnswer{s.Secret, s.Caller.Name, s.Caller.ExpiresAt}
	if s.Caller.Session.Browser {
		setCookie(c, s.Secret, 0)
		out.Token = ""
	}
	c.JSON(http.StatusOK, out)
}

// endCookie ends the session of the cookie that a login came with, if it has one.
func (a *api) endCookie(c *gin.Context) {
	old, err := c.Request.Cookie(cookieName)
	if err != nil {
		return
	}
	ctx := c.Request.Context()
	if t, err := a.opts.Auth.Recheck(ctx, old.Value); err == nil && t.Session != nil {
		if err := a.opts.Auth.End(ctx, t); err != nil {
			a.log.WarnContext(ctx, "the session before is not ended", "session", t.ID, "error", err)
		}
	}
}

func (a *api) whoami(c *gin.Context) {
	t := identity(c)
	out := caller{Name: t.Name, Admin: t.Admin && a.caller(c).Admin(), Grants: t.Grants, Project: t.Project, Role: t.Role, CreatedAt: t.CreatedAt, ExpiresAt: t.ExpiresAt}
	if t.Session != nil {
		out.Session = &sessionShown{t.Session.Provider, t.Session.Groups, t.Session.AuthenticatedAt, int(fleet.SessionIdle.Minutes())}
	}
	rules, subject := a.sets.policies.current(), subjectOf(t)
	out.Subject, out.Groups = subject.Name, subject.Groups
	if t.Role != "" {
		out.Subject = fleet.RoleSubject(t.Project, t.Role)
	}
	out.Roles = rules.Held(subject)
	effective := rules.For(subject)
	out.PolicyAdmin = effective.Admin()
	if c.Query("rules") == "true" {
		out.Rules, out.RulesTotal = effective.Lines(maxRulesShown)
	}
	c.JSON(http.StatusOK, out)
}

// logout takes no id: whoever has a token or a session may give it up, and no
// other by it.
func (a *api) logout(c *gin.Context) {
	t := identity(c)
	if err := a.opts.Auth.End(c.Request.Context(), t); err != nil {
		a.fail(c, err)
		return
	}
	if t.Session != nil && t.Session.Browser {
		setCookie(c, "", -1)
	}
	c.Status(http.StatusNoContent)
}

func (a *api) version(c *gin.Context) { c.JSON(http.StatusOK, versionAnswer{a.opts.Version}) }

func (a *api) hub(c *gin.Context) {
	s, err := a.store.HubState(c.Request.Context())
	if err != nil {
		a.fail(c, err)
		return
	}
	c.JSON(http.StatusOK, hubAnswer{s.HubID, s.Incarnation, s.HoldDeletes, a.opts.Version})
}

func (a *api) acknowledgeRestore(c *gin.Context) {
	if err := a.store.AcknowledgeRestore(c.Request.Context()); err != nil {
		a.fail(c, err)
		return
	}
	a.log.InfoContext(c.Request.Context(), "the restore was acknowledged; pruning is allowed again", "by", identity(c).Name)
	// Every desired state that was held travels again, now without the hold.
	a.opts.Agents.NotifyAll()
	a.hub(c)
}

// apiToken is a token as it is listed: never with its hash.
type apiToken struct {
	ID        string        `json:"id"`
	Name      string        `json:"name"`
	Admin     bool          `json:"admin"`
	Grants    []fleet.Grant `json:"grants,omitempty"`
	CreatedAt time.Time     `json:"createdAt"`
	ExpiresAt time.Time     `json:"expiresAt"`
	LastUsed  *time.Time    `json:"lastUsed,omitempty"`
	// Issuer is who issued it; left out when that is not known.
	Issuer *tokenIssuer `json:"issuer,omitempty"`
}

// tokenIssuer is somebody who issued a token.
type tokenIssuer struct {
	// Provider is "local", or the identity provider that vouches for the subject.
	Provider string `json:"provider"`
	Subject  string `json:"subject"`
	Name     string `json:"name"`
}

func newAPIToken(t fleet.APIToken) apiToken {
	out := apiToken{t.ID, t.Name, t.Admin, t.Grants, t.CreatedAt, t.ExpiresAt, t.LastUsed, nil}
	if i := t.Issuer; i != nil {
		out.Issuer = &tokenIssuer{i.Provider, i.Subject, i.Name}
	}
	return out
}

func (a *api) listTokens(c *gin.Context) {
	tokens, err := a.opts.Auth.Tokens(c.Request.Context())
	if err != nil {
		a.fail(c, err)
		return
	}
	items := make([]apiToken, len(tokens))
	for i, t := range tokens {
		items[i] = newAPIToken(t)
	}
	c.JSON(http.StatusOK, newList(a, items))
}

type newTokenRequest struct {
	Name string `json:"name"`
	// TTL is a duration such as 720h; left out: the hub's default.
	TTL string `json:"ttl,omitempty"`
	// Admin, or Grants: one of both is needed.
	Admin  bool          `json:"admin,omitempty"`
	Grants []fleet.Grant `json:"grants,omitempty"`
}

// issuedToken has the token itself, which is not shown again.
type issuedToken struct {
	apiToken
	Token string `json:"token"`
}

func (a *api) createToken(c *gin.Context) {
	var in newTokenRequest
	if err := a.into(c, &in, false); err != nil {
		a.fail(c, err)
		return
	}
	var problems fault.List
	ttl, err := lifetime(in.TTL)
	if err != nil {
		problems = append(problems, fault.As(err))
	}
	if err := text("name", in.Name, 1, 63); err != nil {
		problems = append(problems, fault.As(err))
	}
	if in.Admin == (len(in.Grants) > 0) {
		problems = append(problems, fault.New(fault.Invalid, "grants_invalid", "a token is an administrator's or has grants: one of both is needed").WithField("grants").
			WithFix(`send "admin": true, or "grants": [{"project": "team-*", "role": "viewer"}]`))
	}
	problems = append(problems, permission.Check("grants", in.Grants)...)
	if len(problems) > 0 {
		a.fail(c, problems)
		return
	}
	by := identity(c)
	token, info, err := a.opts.Auth.Issue(c.Request.Context(), fleet.NewAPIToken{Owner: by.User, Issuer: fleet.IssuedBy(by), Name: in.Name, Lifetime: ttl, Admin: in.Admin, Grants: in.Grants})
	if err != nil {
		a.fail(c, err)
		return
	}
	c.JSON(http.StatusCreated, issuedToken{newAPIToken(info), token})
}

func (a *api) deleteToken(c *gin.Context) {
	if err := a.opts.Auth.Revoke(c.Request.Context(), c.Param("id")); err != nil {
		a.fail(c, err)
		return
	}
	c.Status(http.StatusNoContent)
}

// lifetime parses a Go duration; "" is 0.
func lifetime(s string) (time.Duration, error) {
	if s == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, fault.New(fault.Invalid, "expression_invalid", "ttl %q is not a duration; write one such as 1h", cut(s)).
			WithField("ttl").WithFound(cut(s), "30m, 1h, 720h")
	}
	return d, nil
}

// text checks a free text of a request.
func text(field, s string, least, most int) error {
	n := 0
	for _, r := range s {
		n++
		if r < ' ' || r == 0x7f || r >= 0x80 && r <= 0x9f || r == 0x2028 || r == 0x2029 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			return fault.New(fault.Invalid, "text_invalid", "%s contains the control character U+%04X", field, r).WithField(field)
		}
	}
	if n < least || n > most {
		return fault.New(fault.Invalid, "text_invalid", "%s has %d characters; between %d and %d are allowed", field, n, least, most).WithField(field)
	}
	return nil
}
