package api

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// roleToken is a token of a project's role as it is shown: never with its secret.
type roleToken struct {
	ID string `json:"id"`
	// Subject is how it acts: proj:PROJECT:ROLE.
	Subject   string     `json:"subject"`
	Project   string     `json:"project"`
	Role      string     `json:"role"`
	Name      string     `json:"name,omitempty"`
	CreatedBy string     `json:"createdBy"`
	CreatedAt time.Time  `json:"createdAt"`
	ExpiresAt time.Time  `json:"expiresAt"`
	LastUsed  *time.Time `json:"lastUsed,omitempty"`
}

func newRoleToken(t fleet.APIToken) roleToken {
	return roleToken{t.ID, t.Name, t.Project, t.Role, t.Label, t.CreatedBy, t.CreatedAt, t.ExpiresAt, t.LastUsed}
}

type newRoleTokenRequest struct {
	// Name is what to call it; left out: nothing.
	Name string `json:"name,omitempty"`
	// TTL is a duration such as 720h, at most 365 days; left out: 30 days.
	TTL string `json:"ttl,omitempty"`
}

// issuedRoleToken has the token itself, which is not shown again.
type issuedRoleToken struct {
	roleToken
	Token string `json:"token"`
}

var roleTokenRoutes = []Route{
	{
		Method: http.MethodGet, Path: "/projects/:name/roles/:role/tokens", ID: "listRoleTokens", Tag: "projects", Summary: "Tokens of a project's role, without their secrets",
		Verb: VerbGet, Resource: ResourceProjects, Answer: list[roleToken]{}, Status: http.StatusOK, handler: (*api).listRoleTokens,
	},
	{
		Method: http.MethodPost, Path: "/projects/:name/roles/:role/tokens", ID: "createRoleToken", Tag: "projects", Summary: "Issue a token of a project's role",
		Detail: "Whoever has the token may what the policies of the role allow, in this project, and nothing else. It is shown once, and is void when the role or the project is deleted.",
		Verb:   VerbUpdate, Resource: ResourceProjects, Fresh: true, Body: newRoleTokenRequest{}, BodyOptional: true, Answer: issuedRoleToken{}, Status: http.StatusCreated,
		handler: (*api).createRoleToken,
	},
	{
		Method: http.MethodDelete, Path: "/projects/:name/roles/:role/tokens/:id", ID: "deleteRoleToken", Tag: "projects", Summary: "Revoke a token of a project's role",
		Verb: VerbUpdate, Resource: ResourceProjects, Fresh: true, Status: http.StatusNoContent, handler: (*api).deleteRoleToken,
	},
}

// role checks that there is the role that the path names.
func (a *api) role(ctx context.Context, project, role string) error {
	p, err := a.store.Project(ctx, project)
	if err == nil && !slices.ContainsFunc(p.Spec.Roles, func(r model.ProjectRole) bool { return r.Name == role }) {
		err = fleet.RoleUnknown(project, cut(role))
	}
	return err
}

func (a *api) listRoleTokens(c *gin.Context) {
	ctx, project, role := c.Request.Context(), c.Param("name"), c.Param("role")
	err := a.role(ctx, project, role)
	var tokens []fleet.APIToken
	if err == nil {
		tokens, err = a.opts.Auth.TokensOfRole(ctx, project, role)
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	items := make([]roleToken, len(tokens))
	for i, t := range tokens {
		items[i] = newRoleToken(t)
	}
	c.JSON(http.StatusOK, newList(a, items))
}

func (a *api) createRoleToken(c *gin.Context) {
	ctx, project, role := c.Request.Context(), c.Param("name"), c.Param("role")
	concerns(c, project, fleet.RoleSubject(project, cut(role)))
	var in newRoleTokenRequest
	if err := a.into(c, &in, true); err != nil {
		a.fail(c, err)
		return
	}
	var problems fault.List
	ttl, err := lifetime(in.TTL)
	if err != nil {
		problems = append(problems, fault.As(err))
	}
	if err := text("name", in.Name, 0, 63); err != nil {
		problems = append(problems, fault.As(err))
	}
	if len(problems) > 0 {
		a.fail(c, problems)
		return
	}
	if err := a.role(ctx, project, role); err != nil {
		a.fail(c, err)
		return
	}
	token, info, err := a.opts.Auth.IssueForRole(ctx, fleet.NewRoleToken{Project: project, Role: role, Label: in.Name, Lifetime: ttl, CreatedBy: identity(c).Name})
	if err != nil {
		a.fail(c, err)
		return
	}
	a.log.InfoContext(ctx, "a token of a role was issued", "project", project, "role", role, "token", info.ID, "by", info.CreatedBy)
	c.JSON(http.StatusCreated, issuedRoleToken{newRoleToken(info), token})
}

func (a *api) deleteRoleToken(c *gin.Context) {
	ctx, project, role, id := c.Request.Context(), c.Param("name"), c.Param("role"), c.Param("id")
	concerns(c, project, fleet.RoleSubject(project, cut(role)))
	if err := a.opts.Auth.RevokeOfRole(ctx, project, role, id); err != nil {
		a.fail(c, err)
		return
	}
	a.log.InfoContext(ctx, "a token of a role was revoked", "project", project, "role", role, "token", cut(id), "by", identity(c).Name)
	c.Status(http.StatusNoContent)
}
