package oidctest

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
)

// Store is in memory what hub/store is in Postgres, and begins sessions that nobody
// can use.
type Store struct {
	Now func() time.Time

	mu        sync.Mutex
	version   int64
	providers map[string]fleet.IdentityProvider
	logins    map[string]fleet.ExternalLogin
	due       map[string]time.Time
	attempts  map[string]int
	begun     []fleet.LoginSession
}

func unknown() error {
	return fault.New(fault.NotFound, "oidc_provider_unknown", "there is no such identity provider")
}

// IdentityProviders lists them by name.
func (s *Store) IdentityProviders(context.Context) ([]fleet.IdentityProvider, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := slices.Collect(maps.Values(s.providers))
	slices.SortFunc(out, func(a, b fleet.IdentityProvider) int { return cmp.Compare(a.Name, b.Name) })
	for i := range out {
		out[i].Secret = ""
	}
	return out, nil
}

// IdentityProvider reads one with its secret.
func (s *Store) IdentityProvider(_ context.Context, name string) (fleet.IdentityProvider, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, ok := s.providers[name]
	if !ok {
		return p, unknown()
	}
	return p, nil
}

// PutIdentityProvider stores one.
func (s *Store) PutIdentityProvider(_ context.Context, p fleet.IdentityProvider, keepSecret bool) (fleet.IdentityProvider, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.providers[p.Name]
	if p.Version != 0 && p.Version != old.Version {
		return p, fault.New(fault.Conflict, "version_conflict", "another version")
	}
	if keepSecret {
		p.Secret = old.Secret
	}
	s.version++
	p.Version, p.HasSecret, p.ChangedAt = s.version, p.Secret != "", s.Now()
	if s.providers == nil {
		s.providers = map[string]fleet.IdentityProvider{}
	}
	s.providers[p.Name] = p
	return p, nil
}

// DeleteIdentityProvider removes one.
func (s *Store) DeleteIdentityProvider(_ context.Context, name string, expected int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, ok := s.providers[name]
	switch {
	case !ok:
		return unknown()
	case expected != 0 && expected != p.Version:
		return fault.New(fault.Conflict, "version_conflict", "another version")
	}
	delete(s.providers, name)
	return nil
}

// BeginExternalLogin keeps one.
func (s *Store) BeginExternalLogin(_ context.Context, l fleet.ExternalLogin) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.logins == nil {
		s.logins, s.due = map[string]fleet.ExternalLogin{}, map[string]time.Time{}
	}
	s.logins[l.Kind+string(l.Hash)] = l
	return nil
}

func (s *Store) find(kind string, hash []byte) (fleet.ExternalLogin, error) {
	l, ok := s.logins[kind+string(hash)]
	if !ok {
		return l, fault.New(fault.NotFound, "external_login_unknown", "no such login has begun")
	}
	return l, nil
}

// TakeExternalLogin gives a login to one caller.
func (s *Store) TakeExternalLogin(_ context.Context, kind string, hash []byte) (fleet.ExternalLogin, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l, err := s.find(kind, hash)
	delete(s.logins, kind+string(hash))
	return l, err
}

// DueExternalLogin gives a login to one caller before next.
func (s *Store) DueExternalLogin(_ context.Context, kind string, hash []byte, next time.Time) (fleet.ExternalLogin, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l, err := s.find(kind, hash)
	due := err == nil && !s.Now().Before(s.due[kind+string(hash)])
	if due {
		s.due[kind+string(hash)] = next
	}
	return l, due, err
}

// CountAttempt counts in a window that does not end.
func (s *Store) CountAttempt(_ context.Context, key string, window time.Duration) (int, time.Time, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.attempts == nil {
		s.attempts = map[string]int{}
	}
	s.attempts[key]++
	return s.attempts[key], s.Now().Add(window), nil
}

// Logins is how many have begun and not ended.
func (s *Store) Logins() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.logins)
}

// Begun are the sessions that were begun.
func (s *Store) Begun() []fleet.LoginSession {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.begun)
}

// ProviderLogin begins a session that nobody can use.
func (s *Store) ProviderLogin(_ context.Context, provider, subject, name string, groups []string, browser bool, at time.Time) (fleet.Login, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := fleet.LoginSession{ID: "session", Provider: provider, Subject: subject, Name: name, Groups: groups, Browser: browser, AuthenticatedAt: at}
	s.begun = append(s.begun, l)
	return fleet.Login{Secret: "secret", Caller: fleet.APIToken{ID: l.ID, Name: name, Session: &l}}, nil
}
