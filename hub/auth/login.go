package auth

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
)

const (
	// SessionTime after which every session ends.
	SessionTime = 12 * time.Hour
	// ConfirmTime is how long after a login, or a password that was given again,
	// dangerous things may be done.
	ConfirmTime = 10 * time.Minute

	// accountAttempts of one name, and addressAttempts of one address, are judged
	// in a window; more are refused unjudged.
	accountAttempts = 10
	addressAttempts = 50
	attemptWindow   = 5 * time.Minute
	// knownFor is how long after a login a network is one that the user comes from:
	// attempts from there are counted by themselves, so that nobody elsewhere can keep
	// the user out.
	knownFor = 30 * 24 * time.Hour
	// unknownBuckets are what names that nobody has are counted in: however many
	// are tried, the table does not grow, and no count of a user is displaced.
	unknownBuckets = 1 << 16
)

// PasswordLogin logs in a local user. What is wrong is not said: an unknown name,
// a wrong password and a disabled user have the same answer after the same work.
// Codes: login_failed (Unauthorized), too_many_logins (RateLimited).
func (s *Service) PasswordLogin(ctx context.Context, from, name, password string, browser bool) (fleet.Login, error) {
	u, err := s.judge(ctx, from, name, password)
	if err != nil {
		return fleet.Login{}, err
	}
	return s.enter(ctx, from, u, browser)
}

// enter begins the session of a user whose password was right.
func (s *Service) enter(ctx context.Context, from string, u fleet.User, browser bool) (fleet.Login, error) {
	session, err := s.begin(ctx, fleet.LoginSession{User: u.ID, Provider: fleet.LocalProvider, Subject: u.ID, Name: u.Name, Browser: browser}, u.Password)
	if err != nil {
		return fleet.Login{}, err
	}
	session.Caller.Admin, session.Caller.Grants = u.Admin, u.Grants
	s.log.InfoContext(ctx, "logged in", "user", u.Name, "from", from, "session", session.Caller.ID)
	return session, nil
}

// judge finds the user whose name and password are given. Each attempt is counted
// before it is judged, or many at once would all be.
func (s *Service) judge(ctx context.Context, from, name, password string) (fleet.User, error) {
	address := "address " + network(from)
	if err := s.count(ctx, address, addressAttempts); err != nil {
		return fleet.User{}, err
	}
	u, err := s.user(ctx, name)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return fleet.User{}, err
	}
	if u.ID != "" {
		fleet.LoginKnown(ctx, fleet.LoginSubject{Provider: fleet.LocalProvider, Subject: u.ID})
	}
	account, place := accountKey(u.ID, name), network(from)
	home := account + " from " + place
	// Asked of names that nobody has too: it takes its time.
	known, err := s.store.Attempts(ctx, home)
	if err != nil {
		return fleet.User{}, err
	}
	if known > 0 {
		account += " at " + place
	}
	if err := s.count(ctx, account, accountAttempts); err != nil {
		// It was not judged, so it is no failure of the address: what is tried on one
		// user must not keep another out who is behind the same address.
		_ = s.store.ForgiveAttempt(ctx, address)
		return fleet.User{}, err
	}
	u, err = s.verify(ctx, u, password, from)
	if err != nil {
		return fleet.User{}, err
	}
	if err := s.store.ForgiveAttempt(ctx, address); err != nil {
		return fleet.User{}, err
	}
	for _, key := range []string{account, home} {
		if err := s.store.ForgetAttempts(ctx, key); err != nil {
			return fleet.User{}, err
		}
	}
	_, _, err = s.store.CountAttempt(ctx, home, knownFor)
	return u, err
}

// judgeAgain finds the user of a session when its password is given again. Only who
// has the session is counted: no stranger can keep its owner from what he is about.
func (s *Service) judgeAgain(ctx context.Context, from string, caller fleet.APIToken, password string) (fleet.User, error) {
	u, err := s.user(ctx, caller.Name)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return fleet.User{}, err
	}
	if u.ID != caller.User {
		return fleet.User{}, sessionOver()
	}
	key := "session " + caller.ID
	if err := s.count(ctx, key, accountAttempts); err != nil {
		return fleet.User{}, err
	}
	if u, err = s.verify(ctx, u, password, from); err != nil {
		return fleet.User{}, err
	}
	return u, s.store.ForgetAttempts(ctx, key)
}

// verify is login_failed (Unauthorized) when the password is not the user's, who may
// be nobody. A hash of earlier parameters is made anew.
func (s *Service) verify(ctx context.Context, u fleet.User, password, from string) (fleet.User, error) {
	hash := u.Password
	if !u.Enabled {
		hash = ""
	}
	right, err := s.hasher.verify(ctx, hash, password)
	if err != nil {
		return fleet.User{}, err
	}
	if !right {
		s.log.WarnContext(ctx, "a login was refused", "user_id", u.ID, "from", from)
		return fleet.User{}, fault.New(fault.Unauthorized, "login_failed", "the name or the password is wrong")
	}
	if s.hasher.outdated(u.Password) {
		if hash, err := s.hasher.hash(ctx, password); err == nil && s.store.RehashUser(ctx, u.ID, u.Password, hash) == nil {
			u.Password = hash
		}
	}
	return u, nil
}

// accountKey is what attempts are counted by: the user, or for a name that nobody
// has one of a fixed number of buckets.
func accountKey(user, name string) string {
	if user != "" {
		return "user " + user
	}
	return fmt.Sprintf("nobody %d", binary.BigEndian.Uint64(hashOf(name))%unknownBuckets)
}

// user looks a name up. One that cannot be a name is of nobody.
func (s *Service) user(ctx context.Context, name string) (fleet.User, error) {
	if len(name) > maxName || strings.ContainsRune(name, 0) || strings.ToValidUTF8(name, "") != name {
		name = ""
	}
	return s.store.UserByName(ctx, name)
}

func (s *Service) count(ctx context.Context, key string, most int) error {
	n, until, err := s.store.CountAttempt(ctx, key, attemptWindow)
	if err != nil {
		return err
	}
	if n <= most {
		return nil
	}
	wait := max(until.Sub(s.now()), time.Second)
	return fault.New(fault.RateLimited, "too_many_logins", "too many failed logins; try again in %s", wait.Round(time.Second)).WithRetryAfter(wait)
}

// network is what one sender has: an IPv4 address, or a /64 of IPv6.
func network(from string) string {
	a, err := netip.ParseAddr(from)
	if err != nil {
		return "unknown"
	}
	a = a.Unmap().WithZone("")
	if a.Is4() {
		return a.String()
	}
	p, _ := a.Prefix(64) // 64 is in range
	return p.String()
}

// ProviderLogin begins a session of somebody an identity provider vouches for.
//
// at is when he showed the provider that it is he, which may be long ago; the zero
// value is now.
func (s *Service) ProviderLogin(ctx context.Context, provider, subject, name string, groups []string, browser bool, at time.Time) (fleet.Login, error) {
	return s.begin(ctx, fleet.LoginSession{Provider: provider, Subject: subject, Name: name, Groups: groups, Browser: browser, AuthenticatedAt: at}, "")
}

// begin stores a session, and before it the record of it. password is the hash that
// was found right.
func (s *Service) begin(ctx context.Context, l fleet.LoginSession, password string) (fleet.Login, error) {
	session, err := s.newSession(ctx, l)
	if err != nil {
		return fleet.Login{}, err
	}
	if err := fleet.LoginBegins(ctx, fleet.LoginSubject{Provider: l.Provider, Subject: l.Subject, Name: l.Name, Session: session.Caller.ID}); err != nil {
		return fleet.Login{}, err
	}
	return session, s.store.CreateLoginSession(ctx, *session.Caller.Session, password)
}

func (s *Service) newSession(ctx context.Context, l fleet.LoginSession) (fleet.Login, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return fleet.Login{}, fault.Wrap(err, fault.Internal, "internal", "no session id could be made")
	}
	now := s.now().UTC()
	secret, hash := newSecret(sessionPrefix)
	asker := fleet.AskerOf(ctx)
	l.Address, l.Client = cut(asker.Address), cut(asker.Client)
	if l.AuthenticatedAt.IsZero() || l.AuthenticatedAt.After(now) {
		l.AuthenticatedAt = now
	}
	l.AuthenticatedAt = l.AuthenticatedAt.UTC()
	l.ID, l.Hash, l.CreatedAt, l.SeenAt, l.ExpiresAt = id.String(), hash, now, now, now.Add(SessionTime)
	return fleet.Login{Secret: secret, Caller: fleet.APIToken{ID: l.ID, Name: l.Name, Hash: hash, User: l.User, CreatedAt: now, ExpiresAt: l.ExpiresAt, LastUsed: &now, Session: &l}}, nil
}

// Confirm has a local user give his password again. The session gets a new secret;
// the old one is void at once here, and within seconds everywhere. Codes: those of
// PasswordLogin, session_needed (Precondition).
func (s *Service) Confirm(ctx context.Context, from string, caller fleet.APIToken, password string) (fleet.Login, error) {
	if caller.Session == nil || caller.Session.Provider != fleet.LocalProvider {
		return fleet.Login{}, fault.New(fault.Precondition, "session_needed", "only somebody who has logged in with a password can confirm it").
			WithFix("log in again")
	}
	if _, err := s.judgeAgain(ctx, from, caller, password); err != nil {
		return fleet.Login{}, err
	}
	now := s.now().UTC()
	secret, hash := newSecret(sessionPrefix)
	if err := s.store.RotateLoginSession(ctx, caller.ID, caller.Hash, hash, now); err != nil {
		if fault.Is(err, fault.NotFound) {
			return fleet.Login{}, sessionOver()
		}
		return fleet.Login{}, err
	}
	s.forget(caller.ID)
	l := *caller.Session
	l.Hash, l.AuthenticatedAt, l.SeenAt = hash, now, now
	caller.Hash, caller.Session = hash, &l
	return fleet.Login{Secret: secret, Caller: caller}, nil
}

// Fresh is nil when dangerous things may be done: by a token, which was issued
// for what it does, or by somebody who has authenticated a moment ago. Code:
// confirmation_needed (Denied).
func (s *Service) Fresh(caller fleet.APIToken) error {
	if caller.Session == nil || s.now().Before(caller.Session.AuthenticatedAt.Add(ConfirmTime)) {
		return nil
	}
	return fault.New(fault.Denied, "login_confirmation_needed", "this takes a login that is not older than %s", ConfirmTime).
		WithFix("confirm your password with hawser account confirm, or log in again")
}

// maxClient bounds what is kept of who began a session.
const maxClient = 200

// cut makes a text of a stranger fit to be stored and shown.
func cut(s string) string {
	var b strings.Builder
	for _, r := range strings.ToValidUTF8(s, "?") {
		if !unicode.IsPrint(r) {
			r = '?'
		}
		if b.Len()+utf8.RuneLen(r) > maxClient {
			break
		}
		b.WriteRune(r)
	}
	return b.String()
}

func sessionOver() *fault.Error {
	return fault.New(fault.Unauthorized, "session_expired", "the session has ended").WithFix("log in again with hawser login")
}

// session judges a caller that is a session by its times, and notes its use.
func (s *Service) session(ctx context.Context, t fleet.APIToken, from string, use bool) error {
	now := s.now()
	if !now.Before(t.ExpiresAt) || !now.Before(t.Session.SeenAt.Add(fleet.SessionIdle)) {
		return sessionOver()
	}
	if use && now.Sub(t.Session.SeenAt) >= seenResolution {
		if err := s.store.TouchLoginSession(ctx, t.ID, now.UTC(), from); err != nil {
			// A database that can be read but not written still lets people in.
			s.log.WarnContext(ctx, "could not note the use of a session", "session", t.ID, "error", err)
		}
	}
	return nil
}
