package auth

import (
	"cmp"
	"context"
	"crypto/subtle"
	"encoding/hex"
	"log/slog"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
)

const (
	// DefaultLifetime and MaxLifetime of API tokens.
	DefaultLifetime = 30 * 24 * time.Hour
	MaxLifetime     = 365 * 24 * time.Hour
	// CodeLifetime is how long a login code can be redeemed.
	CodeLifetime = 24 * time.Hour
	// remembered is how long a valid token is not looked up again; a deleted
	// token works at most that much longer at another replica. With the two seconds
	// after which streams ask again that is within the five that are promised.
	remembered = 2 * time.Second
	// seenResolution of sessions: not every request is worth a write.
	seenResolution = time.Minute
	maxMemory      = 1024
)

// Store keeps tokens by their hashes. All methods block for a round trip.
type Store interface {
	CreateAPIToken(ctx context.Context, t fleet.APIToken) error
	// APITokenByHash answers NotFound when there is none; it does not judge
	// whether the token has expired.
	APITokenByHash(ctx context.Context, hash []byte) (fleet.APIToken, error)
	APITokens(ctx context.Context) ([]fleet.APIToken, error)
	DeleteAPIToken(ctx context.Context, id string) error
	// APITokenByID is APITokenByHash by another key.
	APITokenByID(ctx context.Context, id string) (fleet.APIToken, error)

	// CreateRoleToken is NotFound (project_unknown, role_unknown) when the project
	// has no such role; a role that is removed takes its tokens with it.
	CreateRoleToken(ctx context.Context, t fleet.APIToken) error
	// RoleTokenByHash and RoleTokenByID are those of API tokens, for tokens of roles.
	RoleTokenByHash(ctx context.Context, hash []byte) (fleet.APIToken, error)
	RoleTokenByID(ctx context.Context, id string) (fleet.APIToken, error)
	RoleTokens(ctx context.Context, project, role string) ([]fleet.APIToken, error)
	DeleteRoleToken(ctx context.Context, project, role, id string) error

	CreateUser(ctx context.Context, u fleet.User) error
	Users(ctx context.Context) ([]fleet.User, error)
	UserByName(ctx context.Context, name string) (fleet.User, error)
	ChangeUser(ctx context.Context, name string, c fleet.UserChange) (fleet.User, error)
	RehashUser(ctx context.Context, id, old, hash string) error
	DeleteUser(ctx context.Context, name string) error

	// CreateLoginSession is Unauthorized (login_failed) when the user has another
	// password by now, or may not log in.
	CreateLoginSession(ctx context.Context, l fleet.LoginSession, password string) error
	// LoginByHash and LoginByID answer NotFound when there is none, or its user may
	// not log in; they do not judge its times.
	LoginByHash(ctx context.Context, hash []byte) (fleet.APIToken, error)
	LoginByID(ctx context.Context, id string) (fleet.APIToken, error)
	TouchLoginSession(ctx context.Context, id string, at time.Time, address string) error
	LoginSessions(ctx context.Context, provider, subject string) ([]fleet.APIToken, error)
	EndLoginSession(ctx context.Context, id, provider, subject string) error
	EndLoginSessions(ctx context.Context, provider, subject string) (int, error)
	RotateLoginSession(ctx context.Context, id string, old, hash []byte, at time.Time) error
	DeleteLoginSession(ctx context.Context, id string) error

	// CountAttempt counts one and returns how many there are in the open window.
	CountAttempt(ctx context.Context, key string, window time.Duration) (count int, until time.Time, err error)
	// Attempts is CountAttempt that counts none.
	Attempts(ctx context.Context, key string) (count int, err error)
	ForgiveAttempt(ctx context.Context, key string) error
	ForgetAttempts(ctx context.Context, key string) error

	// OfferFirstLogin stores a code unless there is one, and returns what is stored.
	OfferFirstLogin(ctx context.Context, f fleet.FirstLogin, replace bool) (fleet.FirstLogin, error)
	WithdrawFirstLogin(ctx context.Context) error
	// TakeFirstLogin removes the code with the hash and stores the token, or the
	// user with the session. NotFound (login_code_unknown) when there is no such
	// code.
	TakeFirstLogin(ctx context.Context, hash []byte, t *fleet.APIToken, u *fleet.User, l *fleet.LoginSession) error
}

// Shared is what the hubs of one database tell each other of tokens and sessions
// that they have read. Its methods block for some milliseconds at most, and for
// what a read of the database takes.
type Shared interface {
	// Recall returns what a hub has read from the database no more than SharedAge ago,
	// if there is something. stamp is for Remember, and stands for now.
	Recall(ctx context.Context, hash []byte) (t fleet.APIToken, ok bool, stamp string)
	// Remember tells what was read from the database after Recall had said stamp.
	Remember(ctx context.Context, hash []byte, t fleet.APIToken, stamp string)
	// Forget: something was taken back, and what was told until now does not count.
	Forget()
}

// SharedAge bounds how old what Shared returns may be.
const SharedAge = 1500 * time.Millisecond

// alone is the Shared of a hub that has none.
type alone struct{}

func (alone) Recall(context.Context, []byte) (t fleet.APIToken, ok bool, stamp string) {
	return t, false, ""
}
func (alone) Remember(context.Context, []byte, fleet.APIToken, string) {}
func (alone) Forget()                                                  {}

// Service authenticates. It is safe for concurrent use and starts no goroutine.
type Service struct {
	store   Store
	now     func() time.Time
	log     *slog.Logger
	blocked blocked

	hasher  *hasher
	pattern *regexp.Regexp
	shared  Shared
	signer  Signer // nil: no tokens for one cluster

	mu    sync.Mutex
	known map[string]memory // by hash; for tokens of one cluster by id
	// forgotten counts what was taken back: what was read before is not remembered.
	forgotten uint64
}

type memory struct {
	token fleet.APIToken
	until time.Time
}

// New makes a Service. now may be nil for the system's clock.
func New(store Store, now func() time.Time, log *slog.Logger) *Service {
	if now == nil {
		now = time.Now
	}
	pattern, _ := compilePasswordPattern("") // the default is valid
	return &Service{store: store, now: now, log: log, hasher: newHasher(usual), pattern: pattern, known: map[string]memory{}, shared: alone{}}
}

// Share has hubs tell each other what they read. It is called before the first
// request.
func (s *Service) Share(with Shared) { s.shared = with }

// Bootstrap returns a login code, to be shown to whoever started the hub, when
// nobody can log in as an administrator; else "". It is the same after a restart
// and at every hub until it is used, or has expired.
func (s *Service) Bootstrap(ctx context.Context) (code string, err error) {
	tokens, err := s.store.APITokens(ctx)
	if err != nil {
		return "", err
	}
	users, err := s.store.Users(ctx)
	if err != nil {
		return "", err
	}
	for _, t := range tokens {
		if s.now().Before(t.ExpiresAt) && (t.User == "" || slices.ContainsFunc(users, func(u fleet.User) bool { return u.ID == t.User && u.Enabled })) {
			return "", s.store.WithdrawFirstLogin(ctx)
		}
	}
	for _, u := range users {
		if u.Enabled && u.Admin {
			return "", s.store.WithdrawFirstLogin(ctx)
		}
	}
	return s.offer(ctx, false)
}

// NewLoginCode makes a login code although somebody administers the hub; the one
// before is void.
func (s *Service) NewLoginCode(ctx context.Context) (string, error) { return s.offer(ctx, true) }

func (s *Service) offer(ctx context.Context, replace bool) (string, error) {
	code, hash := newSecret(codePrefix)
	got, err := s.store.OfferFirstLogin(ctx, fleet.FirstLogin{Code: code, Hash: hash, ExpiresAt: s.now().UTC().Add(CodeLifetime), OnPurpose: replace}, replace)
	return got.Code, err
}

// Login redeems the login code for an API token. from is the caller's address.
// Codes: login_code_invalid, login_code_expired (Unauthorized),
// too_many_attempts (RateLimited).
func (s *Service) Login(ctx context.Context, from, code string) (token string, info fleet.APIToken, err error) {
	err = s.redeem(ctx, from, code, func(hash []byte) error {
		if token, info, err = s.newToken(fleet.NewAPIToken{Name: "admin", Admin: true, Lifetime: DefaultLifetime}); err != nil {
			return err
		}
		if err := fleet.LoginBegins(ctx, fleet.LoginSubject{Provider: fleet.LocalProvider, Session: info.ID}); err != nil {
			return err
		}
		return s.store.TakeFirstLogin(ctx, hash, &info, nil, nil)
	})
	if err != nil {
		return "", fleet.APIToken{}, err
	}
	s.log.InfoContext(ctx, "the login code was redeemed", "from", from, "token", info.ID)
	return token, info, nil
}

// Issue makes an API token. What the grants mean is the caller's to check;
// lifetime 0 is DefaultLifetime.
func (s *Service) Issue(ctx context.Context, n fleet.NewAPIToken) (token string, info fleet.APIToken, err error) {
	token, info, err = s.newToken(n)
	if err == nil {
		err = s.store.CreateAPIToken(ctx, info)
	}
	if err != nil {
		return "", fleet.APIToken{}, err
	}
	return token, info, nil
}

func (s *Service) newToken(n fleet.NewAPIToken) (token string, info fleet.APIToken, err error) {
	if token, info, err = s.fresh(tokenPrefix, n.Lifetime); err == nil {
		info.Name, info.Admin, info.Grants, info.User, info.Issuer = n.Name, n.Admin, n.Grants, n.Owner, n.Issuer
	}
	return token, info, err
}

// fresh is a token that is nobody's yet.
func (s *Service) fresh(prefix string, lifetime time.Duration) (token string, info fleet.APIToken, err error) {
	lifetime = cmp.Or(lifetime, DefaultLifetime)
	if lifetime < time.Minute || lifetime > MaxLifetime {
		return "", fleet.APIToken{}, fault.New(fault.Invalid, "lifetime_invalid", "a token lives between 1 minute and 365 days, not %s", lifetime).WithField("ttl")
	}
	id, err := uuid.NewV7()
	if err != nil {
		return "", fleet.APIToken{}, fault.Wrap(err, fault.Internal, "internal", "no token id could be made")
	}
	now := s.now().UTC()
	token, hash := newSecret(prefix)
	return token, fleet.APIToken{ID: id.String(), Hash: hash, CreatedAt: now, ExpiresAt: now.Add(lifetime)}, nil
}

// Authenticate finds who a bearer token, or the secret of a session, belongs to.
// Codes: token_missing, token_invalid, token_expired, session_expired
// (Unauthorized), too_many_attempts (RateLimited). A valid token always works,
// whatever others at the same address try.
func (s *Service) Authenticate(ctx context.Context, from, token string) (fleet.APIToken, error) {
	info, err := s.check(ctx, token, from, true)
	if fault.HasCode(err, "token_invalid") {
		return fleet.APIToken{}, s.refuse(ctx, from, err)
	}
	return info, err
}

// Recheck is Authenticate for what goes on after it has begun: a token that is
// not valid any more is no attempt to guess one, and is not counted as that; and
// a stream that is open does not keep a session from ending. Codes: token_missing,
// token_invalid, token_expired, session_expired (Unauthorized), and those of a
// store that cannot be asked.
func (s *Service) Recheck(ctx context.Context, token string) (fleet.APIToken, error) {
	return s.check(ctx, token, "", false)
}

func (s *Service) check(ctx context.Context, token, from string, use bool) (fleet.APIToken, error) {
	if token == "" {
		return fleet.APIToken{}, fault.New(fault.Unauthorized, "token_missing", "this needs an API token").WithFix("log in with hawser login, or send Authorization: Bearer hwt_…")
	}
	now := s.now()
	invalid := fault.New(fault.Unauthorized, "token_invalid", "the API token is not valid").WithFix("log in again with hawser login")
	find := s.store.APITokenByHash
	switch {
	case wellFormed(tokenPrefix, token):
	case wellFormed(sessionPrefix, token):
		find = s.store.LoginByHash
		invalid = sessionOver()
	case wellFormed(rolePrefix, token):
		find = s.store.RoleTokenByHash
	default:
		return fleet.APIToken{}, invalid
	}
	hash := hashOf(token)
	info, ok, forgotten := s.recall(hash, now)
	var keep time.Duration // here
	if !ok {
		var told bool
		var stamp string
		info, told, stamp = s.shared.Recall(ctx, hash)
		keep = remembered - SharedAge
		var err error
		if !told || subtle.ConstantTimeCompare(info.Hash, hash) != 1 {
			keep = remembered
			if info, err = find(ctx, hash); err == nil {
				s.shared.Remember(ctx, hash, info, stamp)
			}
		}
		switch {
		case fault.Is(err, fault.NotFound):
			return fleet.APIToken{}, invalid
		case err != nil:
			return fleet.APIToken{}, err
		case subtle.ConstantTimeCompare(info.Hash, hash) != 1:
			return fleet.APIToken{}, invalid
		}
	}
	switch {
	case info.Session != nil:
		if err := s.session(ctx, info, from, use); err != nil {
			return fleet.APIToken{}, err
		}
	case !now.Before(info.ExpiresAt):
		return fleet.APIToken{}, fault.New(fault.Unauthorized, "token_expired", "the API token expired at %s", info.ExpiresAt.UTC().Format(time.RFC3339)).
			WithFix("log in again with hawser login")
	}
	if !ok {
		s.remember(info, now.Add(keep), forgotten)
	}
	return info, nil
}

// Holder finds the token or session with an id while it may still act, as what was
// begun with it goes on: a session also when it is not used meanwhile. NotFound
// (api_token_unknown) when there is none.
func (s *Service) Holder(ctx context.Context, id string) (fleet.APIToken, error) {
	t, err := s.store.LoginByID(ctx, id)
	if fault.Is(err, fault.NotFound) {
		t, err = s.store.APITokenByID(ctx, id)
	}
	if fault.Is(err, fault.NotFound) {
		t, err = s.store.RoleTokenByID(ctx, id)
	}
	if err == nil && !s.now().Before(t.ExpiresAt) {
		err = fault.New(fault.NotFound, "api_token_unknown", "the API token has expired")
	}
	return t, err
}

// End is Revoke of whatever the caller has: a token, or a session.
func (s *Service) End(ctx context.Context, caller fleet.APIToken) error {
	switch {
	case caller.Role != "":
		return s.RevokeOfRole(ctx, caller.Project, caller.Role, caller.ID)
	case caller.Session == nil:
		return s.Revoke(ctx, caller.ID)
	}
	err := s.store.DeleteLoginSession(ctx, caller.ID)
	s.forget(caller.ID)
	return err
}

// Tokens lists all tokens, without their hashes.
func (s *Service) Tokens(ctx context.Context) ([]fleet.APIToken, error) {
	tokens, err := s.store.APITokens(ctx)
	for i := range tokens {
		tokens[i].Hash = nil
	}
	return tokens, err
}

// Revoke deletes a token.
func (s *Service) Revoke(ctx context.Context, id string) error {
	err := s.store.DeleteAPIToken(ctx, id)
	s.forget(id)
	return err
}

// forget has the token or session with an id looked up again.
func (s *Service) forget(id string) {
	s.forgetWhere(func(t fleet.APIToken) bool { return t.ID == id })
}

// forgetUser is forget for all that a user has.
func (s *Service) forgetUser(id string) {
	if id != "" {
		s.forgetWhere(func(t fleet.APIToken) bool { return t.User == id })
	}
}

func (s *Service) forgetWhere(meant func(fleet.APIToken) bool) {
	s.shared.Forget()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forgotten++
	for k, m := range s.known {
		if meant(m.token) {
			delete(s.known, k)
		}
	}
}

// refuse counts a token that is not valid. A network that has sent too many is
// remembered, so that more of them are not worth a write.
func (s *Service) refuse(ctx context.Context, from string, refused error) error {
	key := "secret " + network(from)
	if until := s.blocked.until(key, s.now()); !until.IsZero() {
		return s.tooMany(until)
	}
	n, until, err := s.store.CountAttempt(ctx, key, attemptWindow)
	switch {
	case err != nil: // it is not valid, whether it can be counted or not
		s.log.WarnContext(ctx, "a refused token could not be counted", "from", from, "error", err)
		return refused
	case n <= maxFailures:
		return refused
	}
	s.blocked.add(key, until, s.now())
	return s.tooMany(until)
}

func (s *Service) tooMany(until time.Time) error {
	wait := max(until.Sub(s.now()), time.Second)
	return fault.New(fault.RateLimited, "too_many_attempts", "too many failed attempts from your address; try again in %s", wait.Round(time.Second)).WithRetryAfter(wait)
}

// recall returns what is remembered, and how much was forgotten until now.
func (s *Service) recall(hash []byte, now time.Time) (t fleet.APIToken, ok bool, forgotten uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, ok := s.known[hex.EncodeToString(hash)]
	return m.token, ok && now.Before(m.until), s.forgotten
}

// remember keeps what was read, unless something was taken back since.
func (s *Service) remember(t fleet.APIToken, until time.Time, forgotten uint64) {
	s.rememberAs(t.Hash, t, until, forgotten)
}

func (s *Service) rememberAs(key []byte, t fleet.APIToken, until time.Time, forgotten uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.forgotten != forgotten {
		return
	}
	if len(s.known) >= maxMemory {
		clear(s.known)
	}
	s.known[hex.EncodeToString(key)] = memory{t, until}
}
