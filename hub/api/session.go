package api

import (
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
)

func (a *api) login(c *gin.Context) {
	var in struct {
		Code string `json:"code"`
	}
	if err := a.into(c, &in, false); err != nil {
		a.fail(c, err)
		return
	}
	token, info, err := a.opts.Auth.Login(c.Request.Context(), address(c.Request), in.Code)
	if err != nil {
		a.fail(c, err)
		return
	}
	c.JSON(http.StatusOK, gin.H{"token": token, "name": info.Name, "expiresAt": info.ExpiresAt})
}

func (a *api) whoami(c *gin.Context) {
	t := identity(c)
	c.JSON(http.StatusOK, gin.H{"name": t.Name, "admin": t.Admin, "expiresAt": t.ExpiresAt})
}

func (a *api) version(c *gin.Context) { c.JSON(http.StatusOK, gin.H{"version": a.opts.Version}) }

func (a *api) hub(c *gin.Context) {
	s, err := a.store.HubState(c.Request.Context())
	if err != nil {
		a.fail(c, err)
		return
	}
	c.JSON(http.StatusOK, gin.H{
		"hubID": s.HubID, "incarnation": s.Incarnation, "holdDeletes": s.HoldDeletes, "version": a.opts.Version,
	})
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
	ID        string     `json:"id"`
	Name      string     `json:"name"`
	Admin     bool       `json:"admin"`
	CreatedAt time.Time  `json:"createdAt"`
	ExpiresAt time.Time  `json:"expiresAt"`
	LastUsed  *time.Time `json:"lastUsed,omitempty"`
}

func newAPIToken(t fleet.APIToken) apiToken {
	return apiToken{t.ID, t.Name, t.Admin, t.CreatedAt, t.ExpiresAt, t.LastUsed}
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

func (a *api) createToken(c *gin.Context) {
	var in struct {
		Name string `json:"name"`
		TTL  string `json:"ttl,omitempty"`
	}
	if err := a.into(c, &in, false); err != nil {
		a.fail(c, err)
		return
	}
	ttl, err := lifetime(in.TTL)
	if err == nil {
		err = text("name", in.Name, 1, 63)
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	token, info, err := a.opts.Auth.Issue(c.Request.Context(), in.Name, ttl)
	if err != nil {
		a.fail(c, err)
		return
	}
	c.JSON(http.StatusCreated, struct {
		apiToken
		Token string `json:"token"`
	}{newAPIToken(info), token})
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
