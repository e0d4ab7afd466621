// Package authtest keeps users, sessions and counts of logins in memory as the
// database would, for tests of those who use package auth. It is no part of the
// hub.
package authtest

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
)

// Identity is in memory what hub/store is in Postgres. The zero value is not
// ready: Now and Token have to be set.
type Identity struct {
	Now   func() time.Time
	Token func(ctx context.Context, t fleet.APIToken) error
	// Role says whether a project has a role; nil: there is no project.
	Role func(project, role string) error
	// Revoked is told whose tokens end; nil when nobody wants to know.
	Revoked func(user string)

	mu       sync.Mutex
	users    []fleet.User
	sessions []fleet.LoginSession
	attempts map[string]attempts
	first    *fleet.FirstLogin

	roleTokens []fleet.APIToken
}

type attempts struct {
	count int
	until time.Time
}

func (m *Identity) find(name string) int {
	return slices.IndexFunc(m.users, func(u fleet.User) bool { return u.Name == name })
}

func (m *Identity) CreateUser(_ context.Context, u fleet.User) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.find(u.Name) >= 0 {
		return fault.New(fault.Conflict, "user_exists", "there is a user %q", u.Name)
	}
	m.users = append(m.users, u)
	return nil
}

func (m *Identity) Users(context.Context) ([]fleet.User, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.users), nil
}

func notFound() error { return fault.New(fault.NotFound, "user_not_found", "there is no such user") }

func (m *Identity) UserByName(_ context.Context, name string) (fleet.User, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if i := m.find(name); i >= 0 {
		return m.users[i], nil
	}
	return fleet.User{}, notFound()
}

func (m *Identity) ChangeUser(_ context.Context, name string, c fleet.UserChange) (fleet.User, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	i := m.find(name)
	if i < 0 {
		return fleet.User{}, notFound()
	}
	u := &m.users[i]
	if c.Password != nil {
		u.Password, u.PasswordChangedAt = *c.Password, m.Now()
	}
	if c.Enabled != nil {
		u.Enabled = *c.Enabled
	}
	if c.Admin != nil {
		u.Admin = *c.Admin
	}
	if c.Grants != nil {
		u.Grants = *c.Grants
	}
	m.sessions = slices.DeleteFunc(m.sessions, func(l fleet.LoginSession) bool { return l.User == u.ID })
	if m.Revoked != nil && (c.Password != nil || c.Admin != nil || c.Grants != nil || c.Enabled != nil && !*c.Enabled) {
		m.Revoked(u.ID)
	}
	return *u, nil
}

func (m *Identity) RehashUser(_ context.Context, id, old, hash string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.users {
		if m.users[i].ID == id && m.users[i].Password == old {
			m.users[i].Password = hash
		}
	}
	return nil
}

func (m *Identity) DeleteUser(_ context.Context, name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	i := m.find(name)
	if i < 0 {
		return notFound()
	}
	id := m.users[i].ID
	m.sessions = slices.DeleteFunc(m.sessions, func(l fleet.LoginSession) bool { return l.User == id })
	m.users = slices.Delete(m.users, i, i+1)
	return nil
}

func (m *Identity) CreateLoginSession(_ context.Context, l fleet.LoginSession, password string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if l.User != "" {
		i := slices.IndexFunc(m.users, func(u fleet.User) bool { return u.ID == l.User && u.Enabled && u.Password == password })
		if i < 0 {
			return fault.New(fault.Unauthorized, "login_failed", "the name or the password is wrong")
		}
		m.users[i].LastLogin = &l.CreatedAt
	}
	m.sessions = append(m.sessions, l)
	return nil
}

func (m *Identity) login(is func(fleet.LoginSession) bool) (fleet.APIToken, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	unknown := fault.New(fault.NotFound, "session_unknown", "the session is not known")
	i := slices.IndexFunc(m.sessions, is)
	if i < 0 {
		return fleet.APIToken{}, unknown
	}
	l := m.sessions[i]
	t := fleet.APIToken{ID: l.ID, Name: l.Name, Hash: l.Hash, User: l.User, CreatedAt: l.CreatedAt, ExpiresAt: l.ExpiresAt, LastUsed: &l.SeenAt, Session: &l}
	for _, u := range m.users {
		if l.User != "" && u.ID == l.User {
			if !u.Enabled {
				return fleet.APIToken{}, unknown
			}
			t.Admin, t.Grants = u.Admin, u.Grants
		}
	}
	return t, nil
}

func (m *Identity) LoginByHash(_ context.Context, hash []byte) (fleet.APIToken, error) {
	return m.login(func(l fleet.LoginSession) bool { return bytes.Equal(l.Hash, hash) })
}

func (m *Identity) LoginByID(_ context.Context, id string) (fleet.APIToken, error) {
	return m.login(func(l fleet.LoginSession) bool { return l.ID == id })
}

func (m *Identity) LoginSessions(_ context.Context, provider, subject string) ([]fleet.APIToken, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []fleet.APIToken
	for _, l := range m.sessions {
		if now := m.Now(); (provider == "" || l.Provider == provider && l.Subject == subject) && now.Before(l.ExpiresAt) && now.Before(l.SeenAt.Add(fleet.SessionIdle)) {
			l.Hash = nil
			out = append(out, fleet.APIToken{ID: l.ID, Name: l.Name, User: l.User, CreatedAt: l.CreatedAt, ExpiresAt: l.ExpiresAt, LastUsed: &l.SeenAt, Session: &l})
		}
	}
	return out, nil
}

func (m *Identity) end(is func(fleet.LoginSession) bool) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	before := len(m.sessions)
	m.sessions = slices.DeleteFunc(m.sessions, is)
	return before - len(m.sessions)
}

func (m *Identity) EndLoginSession(_ context.Context, id, provider, subject string) error {
	if m.end(func(l fleet.LoginSession) bool {
		return l.ID == id && (provider == "" || l.Provider == provider && l.Subject == subject)
	}) == 0 {
		return fault.New(fault.NotFound, "session_unknown", "there is no session %q", id)
	}
	return nil
}

func (m *Identity) EndLoginSessions(_ context.Context, provider, subject string) (int, error) {
	return m.end(func(l fleet.LoginSession) bool { return l.Provider == provider && l.Subject == subject }), nil
}

func (m *Identity) TouchLoginSession(_ context.Context, id string, at time.Time, address string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.sessions {
		if m.sessions[i].ID == id {
			m.sessions[i].SeenAt = at
			if address != "" {
				m.sessions[i].Address = address
			}
		}
	}
	return nil
}

func (m *Identity) RotateLoginSession(_ context.Context, id string, old, hash []byte, at time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.sessions {
		if l := &m.sessions[i]; l.ID == id && bytes.Equal(l.Hash, old) {
			l.Hash, l.AuthenticatedAt, l.SeenAt = hash, at, at
			return nil
		}
	}
	return fault.New(fault.NotFound, "session_unknown", "the session is not known")
}

func (m *Identity) DeleteLoginSession(_ context.Context, id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sessions = slices.DeleteFunc(m.sessions, func(l fleet.LoginSession) bool { return l.ID == id })
	return nil
}

func (m *Identity) CountAttempt(_ context.Context, key string, window time.Duration) (int, time.Time, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.attempts == nil {
		m.attempts = map[string]attempts{}
	}
	a := m.attempts[key]
	if now := m.Now(); !now.Before(a.until) {
		a = attempts{0, now.Add(window)}
	}
	a.count++
	m.attempts[key] = a
	return a.count, a.until, nil
}

func (m *Identity) Attempts(_ context.Context, key string) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if a := m.attempts[key]; m.Now().Before(a.until) {
		return a.count, nil
	}
	return 0, nil
}

func (m *Identity) ForgiveAttempt(_ context.Context, key string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if a, ok := m.attempts[key]; ok {
		a.count = max(0, a.count-1)
		m.attempts[key] = a
	}
	return nil
}

func (m *Identity) ForgetAttempts(_ context.Context, key string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.attempts, key)
	return nil
}

// Counts is how many keys attempts are counted of.
func (m *Identity) Counts() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.attempts)
}

func (m *Identity) OfferFirstLogin(_ context.Context, f fleet.FirstLogin, replace bool) (fleet.FirstLogin, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.first == nil || replace || !m.Now().Before(m.first.ExpiresAt) {
		m.first = &f
	}
	return *m.first, nil
}

func (m *Identity) WithdrawFirstLogin(context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.first != nil && !m.first.OnPurpose {
		m.first = nil
	}
	return nil
}

func (m *Identity) TakeFirstLogin(ctx context.Context, hash []byte, t *fleet.APIToken, u *fleet.User, l *fleet.LoginSession) error {
	m.mu.Lock()
	first := m.first
	if first == nil || !bytes.Equal(first.Hash, hash) {
		m.mu.Unlock()
		return fault.New(fault.NotFound, "login_code_unknown", "the login code is not known")
	}
	m.first = nil
	expired := !m.Now().Before(first.ExpiresAt)
	m.mu.Unlock()
	if expired {
		return fault.New(fault.Unauthorized, "login_code_expired", "this login code has expired")
	}
	var err error
	if t != nil {
		err = m.Token(ctx, *t)
	} else if err = m.CreateUser(ctx, *u); err == nil {
		err = m.CreateLoginSession(ctx, *l, u.Password)
	}
	if err != nil {
		m.mu.Lock()
		m.first = first
		m.mu.Unlock()
	}
	return err
}
