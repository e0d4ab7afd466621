package auth

import (
	"context"

	"github.com/hawser-dev/hawser/hub/fleet"
)

// This file has the tokens of roles of projects.

// IssueForRole makes a token of a project's role. Lifetime 0 is DefaultLifetime.
// Codes: lifetime_invalid, and those of Store.CreateRoleToken.
func (s *Service) IssueForRole(ctx context.Context, n fleet.NewRoleToken) (token string, info fleet.APIToken, err error) {
	token, info, err = s.fresh(rolePrefix, n.Lifetime)
	if err == nil {
		info.Name, info.Project, info.Role, info.Label, info.CreatedBy = fleet.RoleSubject(n.Project, n.Role), n.Project, n.Role, n.Label, n.CreatedBy
		err = s.store.CreateRoleToken(ctx, info)
	}
	if err != nil {
		return "", fleet.APIToken{}, err
	}
	return token, info, nil
}

// TokensOfRole lists the tokens of a role, without their hashes.
func (s *Service) TokensOfRole(ctx context.Context, project, role string) ([]fleet.APIToken, error) {
	tokens, err := s.store.RoleTokens(ctx, project, role)
	for i := range tokens {
		tokens[i].Hash = nil
	}
	return tokens, err
}

// RevokeOfRole deletes a token of a role. NotFound (role_token_unknown).
func (s *Service) RevokeOfRole(ctx context.Context, project, role, id string) error {
	err := s.store.DeleteRoleToken(ctx, project, role, id)
	s.forget(id)
	return err
}

// RolesChanged has the tokens of a project's roles looked up again: some may be
// gone with their roles.
func (s *Service) RolesChanged(project string) {
	s.forgetWhere(func(t fleet.APIToken) bool { return t.Role != "" && t.Project == project })
}
