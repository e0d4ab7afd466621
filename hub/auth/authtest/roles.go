package authtest

import (
	"bytes"
	"context"
	"slices"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
)

func (m *Identity) hasRole(project, role string) error {
	if m.Role == nil {
		return fleet.ProjectUnknown(project)
	}
	return m.Role(project, role)
}

func (m *Identity) CreateRoleToken(_ context.Context, t fleet.APIToken) error {
	if err := m.hasRole(t.Project, t.Role); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if t.Label != "" && slices.ContainsFunc(m.roleTokens, func(o fleet.APIToken) bool { return o.Name == t.Name && o.Label == t.Label }) {
		return fault.New(fault.Conflict, "role_token_exists", "role %q of project %q has a token %q", t.Role, t.Project, t.Label)
	}
	m.roleTokens = slices.Insert(m.roleTokens, 0, t)
	return nil
}

func (m *Identity) roleToken(is func(fleet.APIToken) bool) (fleet.APIToken, error) {
	m.mu.Lock()
	i := slices.IndexFunc(m.roleTokens, is)
	var t fleet.APIToken
	if i >= 0 {
		t = m.roleTokens[i]
	}
	m.mu.Unlock()
	if i < 0 || m.hasRole(t.Project, t.Role) != nil {
		return fleet.APIToken{}, fault.New(fault.NotFound, "api_token_unknown", "the API token is not known")
	}
	return t, nil
}

func (m *Identity) RoleTokenByHash(_ context.Context, hash []byte) (fleet.APIToken, error) {
	return m.roleToken(func(t fleet.APIToken) bool { return bytes.Equal(t.Hash, hash) })
}

func (m *Identity) RoleTokenByID(_ context.Context, id string) (fleet.APIToken, error) {
	return m.roleToken(func(t fleet.APIToken) bool { return t.ID == id })
}

func (m *Identity) RoleTokens(_ context.Context, project, role string) ([]fleet.APIToken, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(m.roleTokens), func(t fleet.APIToken) bool { return t.Project != project || t.Role != role }), nil
}

func (m *Identity) DeleteRoleToken(_ context.Context, project, role, id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := len(m.roleTokens)
	m.roleTokens = slices.DeleteFunc(m.roleTokens, func(t fleet.APIToken) bool { return t.ID == id && t.Project == project && t.Role == role })
	if len(m.roleTokens) == n {
		return fault.New(fault.NotFound, "role_token_unknown", "role %q of project %q has no token %q", role, project, id)
	}
	return nil
}
