package auth

import (
	"context"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
)

// Sessions lists the sessions that the caller's person has, the last used first,
// without their secrets. Precondition (session_needed) for an API token, which has
// none: what is done with it is not done by the person.
func (s *Service) Sessions(ctx context.Context, caller fleet.APIToken) ([]fleet.LoginSession, error) {
	who, err := person(caller)
	if err != nil {
		return nil, err
	}
	return s.list(ctx, who.Provider, who.Subject)
}

// AllSessions lists those of everybody.
func (s *Service) AllSessions(ctx context.Context) ([]fleet.LoginSession, error) {
	return s.list(ctx, "", "")
}

func (s *Service) list(ctx context.Context, provider, subject string) ([]fleet.LoginSession, error) {
	all, err := s.store.LoginSessions(ctx, provider, subject)
	out := make([]fleet.LoginSession, len(all))
	for i, t := range all {
		out[i] = *t.Session
		out[i].Hash = nil
	}
	return out, err
}

// EndSession ends one session of the caller's person. NotFound (session_unknown)
// when it is none of those, session_needed as Sessions.
func (s *Service) EndSession(ctx context.Context, caller fleet.APIToken, id string) error {
	who, err := person(caller)
	if err != nil {
		return err
	}
	return s.end(ctx, id, who.Provider, who.Subject)
}

// EndAnySession is EndSession for whoever may end those of others.
func (s *Service) EndAnySession(ctx context.Context, id string) error {
	return s.end(ctx, id, "", "")
}

func (s *Service) end(ctx context.Context, id, provider, subject string) error {
	err := s.store.EndLoginSession(ctx, id, provider, subject)
	if err == nil {
		s.forget(id)
	}
	return err
}

// EndSessions ends all sessions of the caller's person, the one that asks too, and
// says how many there were. API tokens stay. session_needed as Sessions.
func (s *Service) EndSessions(ctx context.Context, caller fleet.APIToken) (int, error) {
	who, err := person(caller)
	if err != nil {
		return 0, err
	}
	n, err := s.store.EndLoginSessions(ctx, who.Provider, who.Subject)
	s.forgetWhere(func(t fleet.APIToken) bool {
		return t.Session != nil && t.Session.Provider == who.Provider && t.Session.Subject == who.Subject
	})
	return n, err
}

// person is who has logged in.
func person(caller fleet.APIToken) (*fleet.LoginSession, error) {
	if caller.Session == nil {
		return nil, fault.New(fault.Precondition, "session_needed", "an API token has no login sessions; only somebody who is logged in has").WithFix("hawser login --username NAME")
	}
	return caller.Session, nil
}
