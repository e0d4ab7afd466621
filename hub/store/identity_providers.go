package store

import (
	"context"
	"encoding/hex"
	"errors"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
)

// providerDocument is what is stored of an identity provider in the clear.
type providerDocument struct {
	Issuer         string   `json:"issuer"`
	ClientID       string   `json:"clientID"`
	Scopes         []string `json:"scopes,omitempty"`
	UserClaim      string   `json:"userClaim,omitempty"`
	UserPrefix     string   `json:"userPrefix,omitempty"`
	GroupsClaim    string   `json:"groupsClaim,omitempty"`
	GroupsPrefix   string   `json:"groupsPrefix,omitempty"`
	AllowedGroups  []string `json:"allowedGroups,omitempty"`
	AllowedDomains []string `json:"allowedDomains,omitempty"`
	CA             string   `json:"ca,omitempty"`
}

func providerPlace(name string) string { return "identity_providers/sealed/" + name }

// externalLoginPlace takes the hash in hexadecimal digits.
func externalLoginPlace(hash string) string { return "external_logins/sealed/" + hash }

func providerUnknown(name string) error {
	return notFound("oidc_provider_unknown", "there is no identity provider %q", name)
}

// scanProvider reads a row; the secret stays sealed.
func scanProvider(r pgx.CollectableRow) (p fleet.IdentityProvider, sealed []byte, err error) {
	var doc []byte
	if err = r.Scan(&p.Name, &doc, &sealed, &p.Version, &p.ChangedBy, &p.ChangedAt); err != nil {
		return p, nil, err
	}
	var d providerDocument
	if err = decode(doc, &d); err != nil {
		return p, nil, err
	}
	p.Issuer, p.ClientID, p.Scopes = d.Issuer, d.ClientID, d.Scopes
	p.UserClaim, p.UserPrefix, p.GroupsClaim, p.GroupsPrefix = d.UserClaim, d.UserPrefix, d.GroupsClaim, d.GroupsPrefix
	p.AllowedGroups, p.AllowedDomains, p.CA = d.AllowedGroups, d.AllowedDomains, d.CA
	p.HasSecret, p.ChangedAt = sealed != nil, p.ChangedAt.UTC()
	return p, sealed, nil
}

// IdentityProviders lists them by name, without their secrets.
func (s *Store) IdentityProviders(ctx context.Context) ([]fleet.IdentityProvider, error) {
	rows, err := s.pool.Query(ctx, q("IdentityProviders"))
	if err != nil {
		return nil, wrap(err, "list identity providers")
	}
	out, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (fleet.IdentityProvider, error) {
		p, _, err := scanProvider(r)
		return p, err
	})
	return out, wrap(err, "list identity providers")
}

// IdentityProvider reads one with its secret. NotFound (oidc_provider_unknown).
func (s *Store) IdentityProvider(ctx context.Context, name string) (fleet.IdentityProvider, error) {
	rows, err := s.pool.Query(ctx, q("IdentityProvider"), text(name))
	if err != nil {
		return fleet.IdentityProvider{}, wrap(err, "read the identity provider")
	}
	var sealed []byte
	p, err := pgx.CollectExactlyOneRow(rows, func(r pgx.CollectableRow) (p fleet.IdentityProvider, err error) {
		p, sealed, err = scanProvider(r)
		return p, err
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return p, providerUnknown(name)
	}
	if err != nil || sealed == nil {
		return p, wrap(err, "read the identity provider")
	}
	secret, err := s.unseal(ctx, sealed, providerPlace(p.Name))
	p.Secret = string(secret)
	return p, err
}

// PutIdentityProvider stores a provider; keepSecret leaves the secret that is
// stored. With a Version it is written over that one: Conflict (version_conflict).
// Logins that have begun at it are void. Its sessions end that the new settings
// might not have begun, or not as the same person, and the tokens that such people
// issued.
func (s *Store) PutIdentityProvider(ctx context.Context, p fleet.IdentityProvider, keepSecret bool) (stored fleet.IdentityProvider, err error) {
	doc, err := document(providerDocument{p.Issuer, p.ClientID, p.Scopes, p.UserClaim, p.UserPrefix, p.GroupsClaim, p.GroupsPrefix, p.AllowedGroups, p.AllowedDomains, p.CA})
	if err != nil {
		return stored, wrap(err, "store the identity provider")
	}
	var sealed []byte
	if p.Secret != "" {
		if sealed, err = s.seal(ctx, []byte(p.Secret), providerPlace(p.Name)); err != nil {
			return stored, err
		}
	}
	err = s.tx(ctx, "store the identity provider", func(tx pgx.Tx) error {
		var old fleet.IdentityProvider
		rows, err := tx.Query(ctx, q("IdentityProvider"), p.Name)
		if err != nil {
			return err
		}
		old, err = pgx.CollectExactlyOneRow(rows, func(r pgx.CollectableRow) (fleet.IdentityProvider, error) {
			p, _, err := scanProvider(r)
			return p, err
		})
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		if p.Version != 0 && old.Version != p.Version {
			return fault.New(fault.Conflict, "version_conflict", "the identity provider has version %d, not %d", old.Version, p.Version).
				WithFix("read it again, and send the change with the newer version")
		}
		if rows, err = tx.Query(ctx, q("PutIdentityProvider"), p.Name, doc, sealed, keepSecret, text(p.ChangedBy), s.now(), p.Version); err != nil {
			return err
		}
		stored, err = pgx.CollectExactlyOneRow(rows, func(r pgx.CollectableRow) (fleet.IdentityProvider, error) {
			p, _, err := scanProvider(r)
			return p, err
		})
		if errors.Is(err, pgx.ErrNoRows) {
			return fault.New(fault.Conflict, "version_conflict", "somebody else changed the identity provider at the same time").
				WithFix("read it again, and send the change with the newer version")
		}
		if err != nil {
			return err
		}
		if _, err = tx.Exec(ctx, q("ForgetExternalLogins"), p.Name); err != nil {
			return err
		}
		switch {
		case old.Version == 0:
		case endsSessions(old, stored):
			if _, err = tx.Exec(ctx, q("EndSessionsOfProvider"), p.Name); err == nil {
				_, err = tx.Exec(ctx, q("EndTokensOfProvider"), p.Name)
			}
		case len(stored.AllowedGroups) > 0:
			allowed := make([]string, len(stored.AllowedGroups))
			for i, g := range stored.AllowedGroups {
				allowed[i] = stored.GroupsPrefix + g
			}
			if _, err = tx.Exec(ctx, q("EndSessionsOutside"), p.Name, allowed); err == nil {
				_, err = tx.Exec(ctx, q("EndTokensOutside"), p.Name, allowed)
			}
		}
		return err
	})
	return stored, err
}

// endsSessions reports whether somebody who logged in by the old settings might be
// somebody else by the new ones, or might not log in. Which groups may log in is
// asked of each session.
func endsSessions(old, p fleet.IdentityProvider) bool {
	return old.Issuer != p.Issuer || old.ClientID != p.ClientID ||
		old.UserClaim != p.UserClaim || old.UserPrefix != p.UserPrefix || old.GroupsClaim != p.GroupsClaim || old.GroupsPrefix != p.GroupsPrefix ||
		len(p.AllowedDomains) > 0 && (len(old.AllowedDomains) == 0 || slices.ContainsFunc(old.AllowedDomains, func(d string) bool { return !slices.Contains(p.AllowedDomains, d) }))
}

// DeleteIdentityProvider removes a provider with the tokens that its people issued,
// and ends its sessions. expected is the version, 0 for any. NotFound (oidc_provider_unknown), Conflict
// (version_conflict).
func (s *Store) DeleteIdentityProvider(ctx context.Context, name string, expected int64) error {
	return s.tx(ctx, "delete the identity provider", func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, q("DeleteIdentityProvider"), text(name), expected)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			rows, err := tx.Query(ctx, q("IdentityProvider"), text(name))
			if err != nil {
				return err
			}
			old, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (fleet.IdentityProvider, error) {
				p, _, err := scanProvider(r)
				return p, err
			})
			if err != nil {
				return err
			}
			if len(old) == 0 {
				return providerUnknown(name)
			}
			return fault.New(fault.Conflict, "version_conflict", "the identity provider has version %d, not %d", old[0].Version, expected).WithFix("read it again")
		}
		_, err = tx.Exec(ctx, q("EndSessionsOfProvider"), name)
		return err
	})
}

// BeginExternalLogin stores a login until it ends or expires. NotFound
// (oidc_provider_unknown) when its provider was deleted meanwhile.
func (s *Store) BeginExternalLogin(ctx context.Context, l fleet.ExternalLogin) error {
	sealed, err := s.seal(ctx, l.Sealed, externalLoginPlace(hex.EncodeToString(l.Hash)))
	if err != nil {
		return err
	}
	_, err = s.pool.Exec(ctx, q("BeginExternalLogin"), l.Hash, l.Kind, l.Provider, sealed, s.now(), l.ExpiresAt)
	if sqlState(err) == codeForeignKey {
		return providerUnknown(l.Provider)
	}
	return wrap(err, "begin the login")
}

// TakeExternalLogin removes a login and returns it, to one caller only. NotFound
// (external_login_unknown). It does not judge whether it has expired.
func (s *Store) TakeExternalLogin(ctx context.Context, kind string, hash []byte) (fleet.ExternalLogin, error) {
	return s.externalLogin(ctx, kind, hash, q("TakeExternalLogin"), hash, kind)
}

// DueExternalLogin returns a login that may be asked about now, and not again
// before next: due is false when it is too early for that. NotFound
// (external_login_unknown).
func (s *Store) DueExternalLogin(ctx context.Context, kind string, hash []byte, next time.Time) (l fleet.ExternalLogin, due bool, err error) {
	l, err = s.externalLogin(ctx, kind, hash, q("DueExternalLogin"), hash, kind, s.now(), next)
	if !fault.Is(err, fault.NotFound) {
		return l, err == nil, err
	}
	l, err = s.externalLogin(ctx, kind, hash, q("ExternalLogin"), hash, kind)
	return l, false, err
}

func (s *Store) externalLogin(ctx context.Context, kind string, hash []byte, sql string, args ...any) (fleet.ExternalLogin, error) {
	l := fleet.ExternalLogin{Hash: hash, Kind: kind}
	var sealed []byte
	err := s.pool.QueryRow(ctx, sql, args...).Scan(&l.Provider, &sealed, &l.ExpiresAt)
	if errors.Is(err, pgx.ErrNoRows) {
		return l, notFound("external_login_unknown", "no such login has begun")
	}
	if err != nil {
		return l, wrap(err, "read the login")
	}
	l.ExpiresAt = l.ExpiresAt.UTC()
	l.Sealed, err = s.unseal(ctx, sealed, externalLoginPlace(hex.EncodeToString(hash)))
	return l, err
}
