package store

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// MaxRoleTokens are the tokens that one role has at most; those that have expired
// make place.
const MaxRoleTokens = 100

// CreateRoleToken stores the token of a role by its hash, while the project has the
// role: NotFound (project_unknown, role_unknown). Conflict (role_token_exists) when
// one of the role has the name; Precondition (role_tokens_full).
func (s *Store) CreateRoleToken(ctx context.Context, t fleet.APIToken) error {
	return s.tx(ctx, "store the token", func(tx pgx.Tx) error {
		var doc []byte
		err := tx.QueryRow(ctx, q("RolesOfProject"), text(t.Project)).Scan(&doc)
		if errors.Is(err, pgx.ErrNoRows) {
			return projectUnknown(t.Project)
		}
		var p model.AppProject
		if err == nil {
			err = decode(doc, &p)
		}
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(p.Spec.Roles, func(r model.ProjectRole) bool { return r.Name == t.Role }) {
			return fleet.RoleUnknown(t.Project, t.Role)
		}
		if _, err := tx.Exec(ctx, q("ForgetExpiredRoleTokens"), t.Project, t.Role, t.CreatedAt); err != nil {
			return err
		}
		var n int
		if err := tx.QueryRow(ctx, q("CountRoleTokens"), t.Project, t.Role).Scan(&n); err != nil {
			return err
		}
		if n >= MaxRoleTokens {
			return fault.New(fault.Precondition, "role_tokens_full", "role %q of project %q has %d tokens; more are not possible", t.Role, t.Project, n).
				WithFix("delete those that nobody uses: hawser project role list-tokens %s %s", t.Project, t.Role)
		}
		_, err = tx.Exec(ctx, q("CreateRoleToken"), t.ID, t.Project, t.Role, text(t.Label), t.Hash, text(t.CreatedBy), t.CreatedAt, t.ExpiresAt)
		if sqlState(err) == codeUnique {
			return fault.New(fault.Conflict, "role_token_exists", "role %q of project %q has a token %q", t.Role, t.Project, t.Label).WithField("name").
				WithFix("give it another name, or delete the other one first")
		}
		return err
	})
}

// RoleTokenByHash finds the token of a role, as the caller that it is, and notes
// its use, to the minute. It does not judge whether the token has expired. NotFound
// (api_token_unknown).
func (s *Store) RoleTokenByHash(ctx context.Context, hash []byte) (fleet.APIToken, error) {
	t, err := s.roleToken(ctx, "RoleTokenByHash", hash)
	if err != nil {
		return t, err
	}
	if now := s.now(); t.LastUsed == nil || now.Sub(*t.LastUsed) >= lastUsedResolution {
		if _, err := s.pool.Exec(ctx, q("TouchRoleToken"), t.ID, now); err != nil {
			s.log.WarnContext(ctx, "could not note the use of an API token", "token", t.ID, "error", err)
		}
	}
	return t, nil
}

// RoleTokenByID finds a token that was looked up by its hash before. NotFound
// (api_token_unknown).
func (s *Store) RoleTokenByID(ctx context.Context, id string) (fleet.APIToken, error) {
	return s.roleToken(ctx, "RoleTokenByID", text(id))
}

func (s *Store) roleToken(ctx context.Context, query string, key any) (fleet.APIToken, error) {
	rows, err := s.pool.Query(ctx, q(query), key)
	if err != nil {
		return fleet.APIToken{}, wrap(err, "read the token")
	}
	t, err := pgx.CollectExactlyOneRow(rows, scanRoleToken)
	if errors.Is(err, pgx.ErrNoRows) {
		return fleet.APIToken{}, notFound("api_token_unknown", "the API token is not known")
	}
	return t, wrap(err, "read the token")
}

func scanRoleToken(r pgx.CollectableRow) (t fleet.APIToken, err error) {
	var used *time.Time
	err = r.Scan(&t.ID, &t.Project, &t.Role, &t.Label, &t.Hash, &t.CreatedBy, &t.CreatedAt, &t.ExpiresAt, &used)
	t.Name = fleet.RoleSubject(t.Project, t.Role)
	t.CreatedAt, t.ExpiresAt, t.LastUsed = t.CreatedAt.UTC(), t.ExpiresAt.UTC(), utc(used)
	return t, err
}

// RoleTokens lists the tokens of a role, the newest first.
func (s *Store) RoleTokens(ctx context.Context, project, role string) ([]fleet.APIToken, error) {
	rows, err := s.pool.Query(ctx, q("RoleTokens"), text(project), text(role))
	if err != nil {
		return nil, wrap(err, "list tokens")
	}
	out, err := pgx.CollectRows(rows, scanRoleToken)
	return out, wrap(err, "list tokens")
}

// DeleteRoleToken removes a token of a role. NotFound (role_token_unknown).
func (s *Store) DeleteRoleToken(ctx context.Context, project, role, id string) error {
	tag, err := s.pool.Exec(ctx, q("DeleteRoleToken"), text(project), text(role), text(id))
	if err == nil && tag.RowsAffected() == 0 {
		return notFound("role_token_unknown", "role %q of project %q has no token %q", role, project, id)
	}
	return wrap(err, "delete the token")
}
