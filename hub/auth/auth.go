package auth

import (
	"cmp"
	"context"
	"crypto/subtle"
	"encoding/hex"
	"log/slog"
	"strings"
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
	CodeLifetime = time.Hour
	// remembered is how long a valid token is not looked up again; a deleted
	// token works at most that much longer at another replica.
	remembered = 5 * time.Second
	maxMemory  = 1024
)

// Store keeps tokens by their hashes. All methods block for a round trip.
type Store interface {
	CreateAPIToken(ctx context.Context, t fleet.APIToken) error
	// APITokenByHash answers NotFound when there is none; it does not judge
	// whether the token has expired.
	APITokenByHash(ctx context.Context, hash []byte) (fleet.APIToken, error)
	APITokens(ctx context.Context) ([]fleet.APIToken, error)
	DeleteAPIToken(ctx context.Context, id string) error
}

// Service authenticates. It is safe for concurrent use and starts no goroutine.
type Service struct {
	store    Store
	now      func() time.Time
	log      *slog.Logger
	attempts attempts

	mu    sync.Mutex
	code  *loginCode
	known map[string]memory // by hash
}

type loginCode struct {
	hash    []byte
	expires time.Time
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
	return &Service{store: store, now: now, log: log, known: map[string]memory{}}
}

// Bootstrap returns a login code, to be shown once to whoever started the hub,
// when no valid token exists; else "".
func (s *Service) Bootstrap(ctx context.Context) (code string, err error) {
	tokens, err := s.store.APITokens(ctx)
	if err != nil {
		return "", err
	}
	for _, t := range tokens {
		if s.now().Before(t.ExpiresAt) {
			return "", nil
		}
	}
	return s.NewLoginCode(), nil
}

// NewLoginCode makes a login code; the one before is void.
func (s *Service) NewLoginCode() string {
	code, hash := newSecret(codePrefix)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.code = &loginCode{hash: hash, expires: s.now().Add(CodeLifetime)}
	return code
}

// Login redeems the login code for an API token. from is the caller's address.
// Codes: login_code_invalid, login_code_expired (Unauthorized),
// too_many_attempts (RateLimited).
func (s *Service) Login(ctx context.Context, from, code string) (token string, info fleet.APIToken, err error) {
	if err := s.limited(from); err != nil {
		return "", fleet.APIToken{}, err
	}
	code = strings.TrimSpace(code)
	s.mu.Lock()
	c := s.code
	right := subtle.ConstantTimeCompare(hashOf(code), c.hashOrNothing()) == 1
	expired := right && !s.now().Before(c.expires)
	if right {
		s.code = nil // one use, also when what follows fails
	}
	s.mu.Unlock()
	switch {
	case !right:
		s.attempts.failed(from, s.now())
		s.log.WarnContext(ctx, "a login code was refused", "from", from)
		return "", fleet.APIToken{}, fault.New(fault.Unauthorized, "login_code_invalid", "this login code is not valid; a code works once, within an hour after the hub printed it").
			WithFix("restart the hub for a new code if nobody has logged in yet, or use an API token")
	case expired:
		return "", fleet.APIToken{}, fault.New(fault.Unauthorized, "login_code_expired", "this login code has expired; a code is valid for an hour").
			WithFix("restart the hub for a new code")
	}
	token, info, err = s.Issue(ctx, fleet.NewAPIToken{Name: "admin", Admin: true, Lifetime: DefaultLifetime})
	if err != nil {
		// Nobody got in: the code may be tried again.
		s.mu.Lock()
		if s.code == nil {
			s.code = c
		}
		s.mu.Unlock()
		return "", fleet.APIToken{}, err
	}
	s.attempts.forget(from)
	s.log.InfoContext(ctx, "the login code was redeemed", "from", from, "token", info.ID)
	return token, info, nil
}

func (c *loginCode) hashOrNothing() []byte {
	if c == nil {
		return make([]byte, 32) // the hash of no text that is known
	}
	return c.hash
}

// Issue makes an API token. What the grants mean is the caller's to check;
// lifetime 0 is DefaultLifetime.
func (s *Service) Issue(ctx context.Context, n fleet.NewAPIToken) (token string, info fleet.APIToken, err error) {
	lifetime := cmp.Or(n.Lifetime, DefaultLifetime)
	if lifetime < time.Minute || lifetime > MaxLifetime {
		return "", fleet.APIToken{}, fault.New(fault.Invalid, "lifetime_invalid", "a token lives between 1 minute and 365 days, not %s", lifetime).WithField("ttl")
	}
	id, err := uuid.NewV7()
	if err != nil {
		return "", fleet.APIToken{}, fault.Wrap(err, fault.Internal, "internal", "no token id could be made")
	}
	now := s.now().UTC()
	token, hash := newSecret(tokenPrefix)
	info = fleet.APIToken{ID: id.String(), Name: n.Name, Hash: hash, Admin: n.Admin, Grants: n.Grants, CreatedAt: now, ExpiresAt: now.Add(lifetime)}
	if err := s.store.CreateAPIToken(ctx, info); err != nil {
		return "", fleet.APIToken{}, err
	}
	return token, info, nil
}

// Authenticate finds who a bearer token belongs to. Codes: token_missing,
// token_invalid, token_expired (Unauthorized), too_many_attempts (RateLimited).
// A valid token always works, whatever others at the same address try.
func (s *Service) Authenticate(ctx context.Context, from, token string) (fleet.APIToken, error) {
	info, err := s.Recheck(ctx, token)
	if fault.HasCode(err, "token_invalid") {
		return fleet.APIToken{}, s.refuse(from, fault.As(err))
	}
	return info, err
}

// Recheck is Authenticate for what goes on after it has begun: a token that is
// not valid any more is no attempt to guess one, and is not counted as that.
// Codes: token_missing, token_invalid, token_expired (Unauthorized), and those
// of a store that cannot be asked.
func (s *Service) Recheck(ctx context.Context, token string) (fleet.APIToken, error) {
	if token == "" {
		return fleet.APIToken{}, fault.New(fault.Unauthorized, "token_missing", "this needs an API token").WithFix("log in with hawser login, or send Authorization: Bearer hwt_…")
	}
	now := s.now()
	invalid := fault.New(fault.Unauthorized, "token_invalid", "the API token is not valid").WithFix("log in again with hawser login")
	if !wellFormed(tokenPrefix, token) {
		return fleet.APIToken{}, invalid
	}
	hash := hashOf(token)
	info, ok := s.recall(hash, now)
	if !ok {
		var err error
		info, err = s.store.APITokenByHash(ctx, hash)
		switch {
		case fault.Is(err, fault.NotFound):
			return fleet.APIToken{}, invalid
		case err != nil:
			return fleet.APIToken{}, err
		case subtle.ConstantTimeCompare(info.Hash, hash) != 1:
			return fleet.APIToken{}, invalid
		}
	}
	if !now.Before(info.ExpiresAt) {
		return fleet.APIToken{}, fault.New(fault.Unauthorized, "token_expired", "the API token expired at %s", info.ExpiresAt.UTC().Format(time.RFC3339)).
			WithFix("log in again with hawser login")
	}
	if !ok {
		s.remember(info, now)
	}
	return info, nil
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
	s.mu.Lock()
	defer s.mu.Unlock()
	for k, m := range s.known {
		if m.token.ID == id {
			delete(s.known, k)
		}
	}
	return err
}

func (s *Service) refuse(from string, err *fault.Error) error {
	if limited := s.limited(from); limited != nil {
		return limited
	}
	s.attempts.failed(from, s.now())
	return err
}

func (s *Service) limited(from string) error {
	wait := s.attempts.blocked(from, s.now())
	if wait == 0 {
		return nil
	}
	return fault.New(fault.RateLimited, "too_many_attempts", "too many failed attempts from your address; try again in %s", wait.Round(time.Second))
}

func (s *Service) recall(hash []byte, now time.Time) (fleet.APIToken, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, ok := s.known[hex.EncodeToString(hash)]
	return m.token, ok && now.Before(m.until)
}

func (s *Service) remember(t fleet.APIToken, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.known) >= maxMemory {
		clear(s.known)
	}
	s.known[hex.EncodeToString(t.Hash)] = memory{t, now.Add(remembered)}
}
