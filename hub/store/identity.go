package store

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
)

const firstLoginPlace = "first_login/sealed"

// CreateUser stores a new user. Conflict (user_exists).
func (s *Store) CreateUser(ctx context.Context, u fleet.User) error {
	return s.createUser(ctx, s.pool, u)
}

// execer is the pool or a transaction.
type execer interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

func (s *Store) createUser(ctx context.Context, on execer, u fleet.User) error {
	grants, err := document(append([]fleet.Grant{}, u.Grants...))
	if err != nil {
		return wrap(err, "store the user")
	}
	_, err = on.Exec(ctx, q("CreateUser"), u.ID, u.Name, u.Password, u.Enabled, u.Admin, grants, u.CreatedAt, u.PasswordChangedAt)
	if sqlState(err) == codeUnique {
		return fault.New(fault.Conflict, "user_exists", "there is a user %q", u.Name).WithField("name")
	}
	return wrap(err, "store the user")
}

func scanUser(r pgx.CollectableRow) (u fleet.User, err error) {
	var grants []byte
	err = r.Scan(&u.ID, &u.Name, &u.Password, &u.Enabled, &u.Admin, &grants, &u.CreatedAt, &u.PasswordChangedAt, &u.LastLogin)
	if err == nil {
		err = decode(grants, &u.Grants)
	}
	u.CreatedAt, u.PasswordChangedAt, u.LastLogin = u.CreatedAt.UTC(), u.PasswordChangedAt.UTC(), utc(u.LastLogin)
	return u, err
}

// Users lists all users by name, with the hashes of their passwords.
func (s *Store) Users(ctx context.Context) ([]fleet.User, error) {
	rows, err := s.pool.Query(ctx, q("Users"))
	if err != nil {
		return nil, wrap(err, "list users")
	}
	out, err := pgx.CollectRows(rows, scanUser)
	return out, wrap(err, "list users")
}

// UserByName is NotFound (user_not_found) when there is none.
func (s *Store) UserByName(ctx context.Context, name string) (fleet.User, error) {
	rows, err := s.pool.Query(ctx, q("UserByName"), name)
	if err != nil {
		return fleet.User{}, wrap(err, "read the user")
	}
	return oneUser(rows, name, "read the user")
}

func oneUser(rows pgx.Rows, name, what string) (fleet.User, error) {
	u, err := pgx.CollectExactlyOneRow(rows, scanUser)
	if errors.Is(err, pgx.ErrNoRows) {
		return fleet.User{}, notFound("user_not_found", "there is no user %q", name)
	}
	return u, wrap(err, what)
}

// ChangeUser changes a user, and ends his sessions and, but when he is only enabled,
// the tokens that he issued. NotFound (user_not_found).
func (s *Store) ChangeUser(ctx context.Context, name string, c fleet.UserChange) (u fleet.User, err error) {
	var grants []byte
	if c.Grants != nil {
		if grants, err = document(append([]fleet.Grant{}, *c.Grants...)); err != nil {
			return u, wrap(err, "change the user")
		}
	}
	err = s.tx(ctx, "change the user", func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, q("ChangeUser"), name, c.Password, c.Enabled, c.Admin, grants, s.now())
		if err != nil {
			return err
		}
		if u, err = oneUser(rows, name, "change the user"); err != nil {
			return err
		}
		if _, err = tx.Exec(ctx, q("EndSessionsOfUser"), u.ID); err != nil {
			return err
		}
		if c.Password == nil && c.Admin == nil && c.Grants == nil && (c.Enabled == nil || *c.Enabled) {
			return nil
		}
		_, err = tx.Exec(ctx, q("EndTokensOfUser"), u.ID)
		return err
	})
	return u, err
}

// RehashUser replaces a hash by one of the same password with newer parameters.
func (s *Store) RehashUser(ctx context.Context, id, old, hash string) error {
	_, err := s.pool.Exec(ctx, q("RehashUser"), id, old, hash)
	return wrap(err, "store the user")
}

// DeleteUser removes a user with his sessions and the tokens that he issued.
// NotFound (user_not_found).
func (s *Store) DeleteUser(ctx context.Context, name string) error {
	tag, err := s.pool.Exec(ctx, q("DeleteUser"), name)
	if err == nil && tag.RowsAffected() == 0 {
		return notFound("user_not_found", "there is no user %q", name)
	}
	return wrap(err, "delete the user")
}

// CreateLoginSession stores a session. One of a local user is stored only while
// the user is enabled and has the password whose hash is given, so that no login
// outruns a change: else Unauthorized (login_failed). One of an identity provider is
// stored only while there is the provider: else Unauthorized (oidc_provider_changed).
func (s *Store) CreateLoginSession(ctx context.Context, l fleet.LoginSession, password string) error {
	return s.tx(ctx, "store the session", func(tx pgx.Tx) error { return s.createLoginSession(ctx, tx, l, password) })
}

func (s *Store) createLoginSession(ctx context.Context, tx pgx.Tx, l fleet.LoginSession, password string) error {
	if l.User != "" {
		tag, err := tx.Exec(ctx, q("LoginOfUser"), l.User, l.CreatedAt, password)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return fault.New(fault.Unauthorized, "login_failed", "the name or the password is wrong")
		}
	}
	if l.Provider != fleet.LocalProvider {
		tag, err := tx.Exec(ctx, q("LoginOfProvider"), l.Provider)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return fault.New(fault.Unauthorized, "oidc_provider_changed", "the identity provider was deleted meanwhile")
		}
		if _, err = tx.Exec(ctx, q("RenewIssuer"), l.Provider, l.Subject, l.Name, append([]string{}, l.Groups...)); err != nil {
			return err
		}
	}
	_, err := tx.Exec(ctx, q("CreateLoginSession"), l.ID, l.Hash, l.User, l.Provider, l.Subject, l.Name, append([]string{}, l.Groups...),
		l.Browser, l.CreatedAt, l.AuthenticatedAt, l.SeenAt, l.ExpiresAt, l.Address, l.Client)
	return err
}

// LoginByHash finds the session with a secret, as the caller that it is.
// NotFound (session_unknown) when there is none, or its user may not log in. It
// does not judge whether the session has ended by its times.
func (s *Store) LoginByHash(ctx context.Context, hash []byte) (fleet.APIToken, error) {
	return s.login(ctx, hash, "")
}

// LoginByID is LoginByHash by the session's id.
func (s *Store) LoginByID(ctx context.Context, id string) (fleet.APIToken, error) {
	return s.login(ctx, nil, id)
}

func (s *Store) login(ctx context.Context, hash []byte, id string) (fleet.APIToken, error) {
	rows, err := s.pool.Query(ctx, q("LoginSession"), hash, id)
	if err != nil {
		return fleet.APIToken{}, wrap(err, "read the session")
	}
	t, err := pgx.CollectExactlyOneRow(rows, scanLogin)
	if errors.Is(err, pgx.ErrNoRows) {
		return fleet.APIToken{}, notFound("session_unknown", "the session is not known")
	}
	return t, wrap(err, "read the session")
}

func scanLogin(r pgx.CollectableRow) (t fleet.APIToken, err error) {
	var l fleet.LoginSession
	var grants []byte
	err = r.Scan(&l.ID, &l.Hash, &l.User, &l.Provider, &l.Subject, &l.Name, &l.Groups, &l.Browser,
		&l.CreatedAt, &l.AuthenticatedAt, &l.SeenAt, &l.ExpiresAt, &l.Address, &l.Client, &t.Admin, &grants)
	if err == nil {
		err = decode(grants, &t.Grants)
	}
	if err != nil {
		return t, err
	}
	if len(t.Grants) == 0 {
		t.Grants = nil
	}
	l.CreatedAt, l.AuthenticatedAt, l.SeenAt, l.ExpiresAt = l.CreatedAt.UTC(), l.AuthenticatedAt.UTC(), l.SeenAt.UTC(), l.ExpiresAt.UTC()
	t.ID, t.Name, t.Hash, t.User, t.CreatedAt, t.ExpiresAt, t.LastUsed, t.Session = l.ID, l.Name, l.Hash, l.User, l.CreatedAt, l.ExpiresAt, &l.SeenAt, &l
	return t, nil
}

// LoginSessions lists those that have not ended, the last used first, without
// their hashes: of a subject of a provider, or with an empty provider of everybody.
func (s *Store) LoginSessions(ctx context.Context, provider, subject string) ([]fleet.APIToken, error) {
	now := s.now()
	rows, err := s.pool.Query(ctx, q("LoginSessions"), now, now.Add(-fleet.SessionIdle), provider, subject)
	if err != nil {
		return nil, wrap(err, "list sessions")
	}
	out, err := pgx.CollectRows(rows, scanLogin)
	return out, wrap(err, "list sessions")
}

// EndLoginSession ends a session of a subject, or with an empty provider of
// anybody. NotFound (session_unknown).
func (s *Store) EndLoginSession(ctx context.Context, id, provider, subject string) error {
	tag, err := s.pool.Exec(ctx, q("EndLoginSession"), id, provider, subject)
	if err == nil && tag.RowsAffected() == 0 {
		return notFound("session_unknown", "there is no session %q", id)
	}
	return wrap(err, "end the session")
}

// EndLoginSessions ends all sessions of a subject, and says how many there were.
func (s *Store) EndLoginSessions(ctx context.Context, provider, subject string) (int, error) {
	tag, err := s.pool.Exec(ctx, q("EndLoginSessions"), provider, subject)
	return int(tag.RowsAffected()), wrap(err, "end the sessions")
}

// TouchLoginSession notes the use of a session, and where from unless address is "".
func (s *Store) TouchLoginSession(ctx context.Context, id string, at time.Time, address string) error {
	_, err := s.pool.Exec(ctx, q("TouchLoginSession"), id, at, address)
	return wrap(err, "note the use of the session")
}

// RotateLoginSession gives a session a new secret after its owner has
// authenticated again. NotFound (session_unknown).
func (s *Store) RotateLoginSession(ctx context.Context, id string, old, hash []byte, at time.Time) error {
	tag, err := s.pool.Exec(ctx, q("RotateLoginSession"), id, old, hash, at)
	if err == nil && tag.RowsAffected() == 0 {
		return notFound("session_unknown", "the session is not known")
	}
	return wrap(err, "renew the session")
}

// DeleteLoginSession ends a session; of one that has ended it is no error.
func (s *Store) DeleteLoginSession(ctx context.Context, id string) error {
	_, err := s.pool.Exec(ctx, q("DeleteLoginSession"), id)
	return wrap(err, "end the session")
}

// CountAttempt counts a login before it is judged and returns how many there
// were with this one in the window that is open, and when that ends.
func (s *Store) CountAttempt(ctx context.Context, key string, window time.Duration) (count int, until time.Time, err error) {
	now := s.now()
	err = s.pool.QueryRow(ctx, q("CountAttempt"), key, now, now.Add(window)).Scan(&count, &until)
	return count, until.UTC(), wrap(err, "count the login")
}

// Attempts is how many logins the window that is open has; it counts none.
func (s *Store) Attempts(ctx context.Context, key string) (count int, err error) {
	err = s.pool.QueryRow(ctx, q("Attempts"), key, s.now()).Scan(&count)
	return count, wrap(err, "read the counted logins")
}

// ForgiveAttempt takes one attempt back.
func (s *Store) ForgiveAttempt(ctx context.Context, key string) error {
	_, err := s.pool.Exec(ctx, q("ForgiveAttempt"), key)
	return wrap(err, "count the login")
}

// ForgetAttempts takes all attempts of a key back.
func (s *Store) ForgetAttempts(ctx context.Context, key string) error {
	_, err := s.pool.Exec(ctx, q("ForgetAttempts"), key)
	return wrap(err, "count the login")
}

// maxCounted keys of login_attempts are kept. There are as many as there are users,
// a fixed number of buckets for other names, and the networks that senders have,
// which may be many in IPv6: of those that were seen a few times only the rarest go
// first. No limit is as low as evictable, so that nobody who is limited is
// forgotten.
const (
	maxCounted = 200_000
	evictable  = 10
)

// purgeBatch and purgeBatches bound what one call of PurgeExpired removes of a kind: the
// rest is for the next.
const (
	purgeBatch   = 500
	purgeBatches = 40
)

// PurgeExpired removes sessions whose time is over, and tokens whose time has been over
// for fleet.KeptExpired, in transactions of few rows. Several hubs may do so at a time:
// each row is one's. What was removed counts also with an error.
func (s *Store) PurgeExpired(ctx context.Context, now time.Time) (p fleet.Purged, err error) {
	kept, over := now.Add(-fleet.KeptExpired), now.Add(-time.Hour) // clocks of hubs differ
	for _, k := range []struct {
		count *int
		query string
		args  []any
	}{
		{&p.Sessions, "PurgeSessions", []any{over, over.Add(-fleet.SessionIdle)}},
		{&p.APITokens, "PurgeAPITokens", []any{kept}},
		{&p.RoleTokens, "PurgeRoleTokens", []any{kept}},
		{&p.EnrolmentTokens, "PurgeEnrolmentTokens", []any{kept}},
	} {
		for range purgeBatches {
			tag, err := s.pool.Exec(ctx, q(k.query), append(k.args, purgeBatch)...)
			if err != nil {
				return p, wrap(err, "remove what has expired")
			}
			*k.count += int(tag.RowsAffected())
			if tag.RowsAffected() < purgeBatch {
				break
			}
		}
	}
	return p, nil
}

// ForgetLogins removes counts whose time is over, and bounds how many counts there are.
func (s *Store) ForgetLogins(ctx context.Context, now time.Time) error {
	return s.forgetLogins(ctx, now, maxCounted)
}

func (s *Store) forgetLogins(ctx context.Context, now time.Time, most int) error {
	if _, err := s.pool.Exec(ctx, q("ForgetLogins"), now); err != nil {
		return wrap(err, "forget sessions")
	}
	if _, err := s.pool.Exec(ctx, q("ForgetOldExternalLogins"), now); err != nil {
		return wrap(err, "forget logins")
	}
	var counted int
	err := s.pool.QueryRow(ctx, q("CountedKeys")).Scan(&counted)
	if err == nil && counted > most {
		_, err = s.pool.Exec(ctx, q("EvictAttempts"), evictable, counted-most)
	}
	return wrap(err, "forget counted logins")
}

// OfferFirstLogin stores a first login unless there is one that has not expired,
// and returns what is stored; with replace it always stores its own.
func (s *Store) OfferFirstLogin(ctx context.Context, f fleet.FirstLogin, replace bool) (fleet.FirstLogin, error) {
	var sealed []byte
	err := s.sealing(func() (err error) {
		if sealed, err = s.seal(ctx, []byte(f.Code), firstLoginPlace); err == nil {
			_, err = s.pool.Exec(ctx, q("OfferFirstLogin"), f.Hash, sealed, f.ExpiresAt, s.now(), replace, f.OnPurpose)
		}
		return wrap(err, "store the login code")
	})
	if err != nil {
		return fleet.FirstLogin{}, err
	}
	var got fleet.FirstLogin
	if err := s.pool.QueryRow(ctx, q("FirstLogin")).Scan(&sealed, &got.Hash, &got.ExpiresAt); err != nil {
		return fleet.FirstLogin{}, wrap(err, "read the login code")
	}
	code, err := s.unseal(ctx, sealed, firstLoginPlace)
	got.Code, got.ExpiresAt = string(code), got.ExpiresAt.UTC()
	return got, err
}

// WithdrawFirstLogin removes the first login, if there is one that nobody had made
// on purpose.
func (s *Store) WithdrawFirstLogin(ctx context.Context) error {
	_, err := s.pool.Exec(ctx, q("WithdrawFirstLogin"))
	return wrap(err, "remove the login code")
}

// TakeFirstLogin removes the code and stores what it gave: a token, or a user with
// a session. Of several hubs that are given the code at once one succeeds. NotFound
// (login_code_unknown), Unauthorized (login_code_expired); after any other error
// the code is still there.
func (s *Store) TakeFirstLogin(ctx context.Context, hash []byte, t *fleet.APIToken, u *fleet.User, l *fleet.LoginSession) error {
	expired := false
	err := s.tx(ctx, "redeem the login code", func(tx pgx.Tx) error {
		var ends time.Time
		err := tx.QueryRow(ctx, q("TakeFirstLogin"), hash).Scan(&ends)
		if errors.Is(err, pgx.ErrNoRows) {
			return notFound("login_code_unknown", "the login code is not known")
		}
		if err != nil {
			return err
		}
		if expired = !s.now().Before(ends); expired {
			return nil
		}
		if t != nil {
			return s.createToken(ctx, tx, *t)
		}
		if err := s.createUser(ctx, tx, *u); err != nil {
			return err
		}
		return s.createLoginSession(ctx, tx, *l, u.Password)
	})
	if err == nil && expired {
		return fault.New(fault.Unauthorized, "login_code_expired", "this login code has expired; a code is valid for a day").
			WithFix("restart the hub for a new code")
	}
	return err
}
