package store

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
)

// lastUsedResolution of API tokens: not every request is worth a write.
const lastUsedResolution = time.Minute

// CreateAPIToken stores a token by its hash. One that somebody of an identity provider
// issues is stored only while the provider, and that with which it is asked for, are
// there: else Unauthorized (oidc_provider_changed).
func (s *Store) CreateAPIToken(ctx context.Context, t fleet.APIToken) error {
	if t.Issuer == nil || t.Issuer.Provider == fleet.LocalProvider {
		return s.createToken(ctx, s.pool, t)
	}
	grants, err := document(append([]fleet.Grant{}, t.Grants...))
	if err != nil {
		return wrap(err, "store the API token")
	}
	return s.tx(ctx, "store the API token", func(tx pgx.Tx) error {
		// The provider is held first, as by whoever changes it: what a change ends is
		// what there was before, and what comes later sees its end.
		if _, err := tx.Exec(ctx, q("HoldProvider"), t.Issuer.Provider); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, q("CreateAPITokenAt"), t.ID, t.Name, t.Hash, t.Admin, t.CreatedAt, t.ExpiresAt, grants, t.Issuer.By, t.Issuer.Provider, t.Issuer.Subject)
		switch {
		case sqlState(err) == codeUnique:
			return fault.New(fault.Conflict, "api_token_exists", "the API token %s exists", t.ID)
		case err == nil && tag.RowsAffected() == 0:
			return fault.New(fault.Unauthorized, "oidc_provider_changed", "the identity provider's settings changed meanwhile, or the session ended").WithFix("log in again")
		}
		return err
	})
}

func (s *Store) createToken(ctx context.Context, on execer, t fleet.APIToken) error {
	grants, err := document(append([]fleet.Grant{}, t.Grants...))
	if err != nil {
		return wrap(err, "store the API token")
	}
	_, err = on.Exec(ctx, q("CreateAPIToken"), t.ID, t.Name, t.Hash, t.Admin, t.CreatedAt, t.ExpiresAt, grants, t.User)
	if sqlState(err) == codeUnique {
		return fault.New(fault.Conflict, "api_token_exists", "the API token %s exists", t.ID)
	}
	return wrap(err, "store the API token")
}

// APITokenByHash finds a token and notes its use, to the minute. It does not
// judge whether the token has expired. NotFound (api_token_unknown), also when the
// user who issued it may not log in.
func (s *Store) APITokenByHash(ctx context.Context, hash []byte) (fleet.APIToken, error) {
	rows, err := s.pool.Query(ctx, q("APITokenByHash"), hash)
	if err != nil {
		return fleet.APIToken{}, wrap(err, "read the API token")
	}
	t, err := pgx.CollectExactlyOneRow(rows, scanAPIToken)
	if errors.Is(err, pgx.ErrNoRows) {
		return fleet.APIToken{}, notFound("api_token_unknown", "the API token is not known")
	}
	if err != nil {
		return fleet.APIToken{}, wrap(err, "read the API token")
	}
	if now := s.now(); t.LastUsed == nil || now.Sub(*t.LastUsed) >= lastUsedResolution {
		if _, err := s.pool.Exec(ctx, q("TouchAPIToken"), t.ID, now); err != nil {
			// A database that can be read but not written still lets people in.
			s.log.WarnContext(ctx, "could not note the use of an API token", "token", t.ID, "error", err)
		}
	}
	return t, nil
}

// APITokenByID finds a token that was looked up by its hash before. NotFound
// (api_token_unknown), also when the user who issued it may not log in.
func (s *Store) APITokenByID(ctx context.Context, id string) (fleet.APIToken, error) {
	rows, err := s.pool.Query(ctx, q("APITokenByID"), id)
	if err != nil {
		return fleet.APIToken{}, wrap(err, "read the API token")
	}
	t, err := pgx.CollectExactlyOneRow(rows, scanAPIToken)
	if errors.Is(err, pgx.ErrNoRows) {
		return fleet.APIToken{}, notFound("api_token_unknown", "the API token is not known")
	}
	return t, wrap(err, "read the API token")
}

func scanAPIToken(r pgx.CollectableRow) (t fleet.APIToken, err error) {
	var grants []byte
	var by fleet.Issuer
	err = r.Scan(&t.ID, &t.Name, &t.Hash, &t.Admin, &t.CreatedAt, &t.ExpiresAt, &t.LastUsed, &grants, &t.User, &by.Provider, &by.Subject, &by.Name, &by.Groups, &by.Admin)
	if err != nil {
		return t, err
	}
	if t.User != "" {
		by.Provider, by.Subject = fleet.LocalProvider, t.User
	}
	if by.Provider != "" {
		t.Issuer = &by
	}
	t.CreatedAt, t.ExpiresAt, t.LastUsed = t.CreatedAt.UTC(), t.ExpiresAt.UTC(), utc(t.LastUsed)
	if err := decode(grants, &t.Grants); err != nil {
		return t, err
	}
	if len(t.Grants) == 0 {
		t.Grants = nil
	}
	return t, nil
}

// APITokens lists all tokens, newest first.
func (s *Store) APITokens(ctx context.Context) ([]fleet.APIToken, error) {
	rows, err := s.pool.Query(ctx, q("APITokens"))
	if err != nil {
		return nil, wrap(err, "list API tokens")
	}
	out, err := pgx.CollectRows(rows, scanAPIToken)
	return out, wrap(err, "list API tokens")
}

// DeleteAPIToken removes a token. NotFound (api_token_unknown).
func (s *Store) DeleteAPIToken(ctx context.Context, id string) error {
	tag, err := s.pool.Exec(ctx, q("DeleteAPIToken"), id)
	if err == nil && tag.RowsAffected() == 0 {
		return notFound("api_token_unknown", "there is no API token %q", id)
	}
	return wrap(err, "delete the API token")
}
