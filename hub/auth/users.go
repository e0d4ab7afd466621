package auth

import (
	"cmp"
	"context"
	"regexp"
	"strings"

	"github.com/google/uuid"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
)

const maxName = 63

var goodName = regexp.MustCompile(`^[a-z0-9]([a-z0-9._@-]{0,61}[a-z0-9])?$`)

// newUser checks and hashes. Codes: user_name_invalid, password_invalid.
func (s *Service) newUser(ctx context.Context, n fleet.NewUser) (fleet.User, error) {
	if !goodName.MatchString(n.Name) {
		return fleet.User{}, fault.New(fault.Invalid, "user_name_invalid", "a user's name has 1 to %d lower-case letters, digits, and . _ @ - between them", maxName).WithField("name")
	}
	if err := s.checkPassword("password", n.Name, n.Password); err != nil {
		return fleet.User{}, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return fleet.User{}, fault.Wrap(err, fault.Internal, "internal", "no user id could be made")
	}
	hash, err := s.hasher.hash(ctx, n.Password)
	if err != nil {
		return fleet.User{}, err
	}
	now := s.now().UTC()
	return fleet.User{ID: id.String(), Name: n.Name, Password: hash, Enabled: true, Admin: n.Admin, Grants: n.Grants, CreatedAt: now, PasswordChangedAt: now}, nil
}

// CreateUser makes a local user. What the grants mean is the caller's to check.
func (s *Service) CreateUser(ctx context.Context, n fleet.NewUser) (fleet.User, error) {
	u, err := s.newUser(ctx, n)
	if err == nil {
		err = s.store.CreateUser(ctx, u)
	}
	u.Password = ""
	return u, err
}

// Users lists all local users by name, without the hashes of their passwords.
func (s *Service) Users(ctx context.Context) ([]fleet.User, error) {
	all, err := s.store.Users(ctx)
	for i := range all {
		all[i].Password = ""
	}
	return all, err
}

// User is NotFound (user_not_found) when there is none of that name.
func (s *Service) User(ctx context.Context, name string) (fleet.User, error) {
	u, err := s.user(ctx, name)
	u.Password = ""
	if fault.Is(err, fault.NotFound) {
		err = fault.New(fault.NotFound, "user_not_found", "there is no user %q", name)
	}
	return u, err
}

// ChangeUser changes a user and ends what he has, at this hub at once and at others
// within seconds: his sessions, and the tokens that he issued, which whoever knew
// the password could have issued too, or which may do what he may not any more. Only
// enabling him leaves the tokens.
func (s *Service) ChangeUser(ctx context.Context, name string, c fleet.NewUserChange) (fleet.User, error) {
	u, err := s.changeUser(ctx, name, c)
	u.Password = ""
	return u, err
}

// changeUser is ChangeUser, and returns the hash too.
func (s *Service) changeUser(ctx context.Context, name string, c fleet.NewUserChange) (fleet.User, error) {
	stored := fleet.UserChange{Enabled: c.Enabled, Admin: c.Admin, Grants: c.Grants}
	if c.Password != nil {
		if err := s.checkPassword("password", name, *c.Password); err != nil {
			return fleet.User{}, err
		}
		hash, err := s.hasher.hash(ctx, *c.Password)
		if err != nil {
			return fleet.User{}, err
		}
		stored.Password = &hash
	}
	u, err := s.store.ChangeUser(ctx, name, stored)
	s.forgetUser(u.ID)
	return u, err
}

// DeleteUser removes a user with his sessions and the tokens that he issued.
func (s *Service) DeleteUser(ctx context.Context, name string) error {
	u, err := s.User(ctx, name)
	if err != nil {
		return err
	}
	err = s.store.DeleteUser(ctx, name)
	s.forgetUser(u.ID)
	return err
}

// ChangePassword has a local user replace his own password. All his sessions end,
// and a new one begins. Codes: those of PasswordLogin, password_invalid,
// session_needed.
func (s *Service) ChangePassword(ctx context.Context, from string, caller fleet.APIToken, current, next string) (fleet.Login, error) {
	if caller.Session == nil || caller.Session.Provider != fleet.LocalProvider {
		return fleet.Login{}, fault.New(fault.Precondition, "session_needed", "only somebody who has logged in with a password can change it").WithFix("hawser login --username NAME")
	}
	if _, err := s.judgeAgain(ctx, from, caller, current); err != nil {
		return fleet.Login{}, err
	}
	if current == next {
		return fleet.Login{}, fault.New(fault.Invalid, "password_invalid", "the new password is the old one").WithField("new")
	}
	u, err := s.changeUser(ctx, caller.Name, fleet.NewUserChange{Password: &next})
	if err != nil {
		return fleet.Login{}, err
	}
	// Not by the password: a limit of logins would leave him outside.
	return s.enter(ctx, from, u, caller.Session.Browser)
}

// FirstUser redeems the login code of the first start for an administrator with a
// password, who is logged in. Codes: those of Login, and of CreateUser.
func (s *Service) FirstUser(ctx context.Context, from, code, name, password string, browser bool) (fleet.Login, error) {
	var session fleet.Login
	err := s.redeem(ctx, from, code, func(hash []byte) error {
		u, err := s.newUser(ctx, fleet.NewUser{Name: cmp.Or(name, "admin"), Password: password, Admin: true})
		if err != nil {
			return err
		}
		session, err = s.newSession(ctx, fleet.LoginSession{User: u.ID, Provider: fleet.LocalProvider, Subject: u.ID, Name: u.Name, Browser: browser})
		if err != nil {
			return err
		}
		session.Caller.Admin = true
		// The name is not recorded before the code is found right: of a code that is
		// wrong it is a stranger's word.
		if err := fleet.LoginBegins(ctx, fleet.LoginSubject{Provider: fleet.LocalProvider, Session: session.Caller.ID}); err != nil {
			return err
		}
		return s.store.TakeFirstLogin(ctx, hash, nil, &u, session.Caller.Session)
	})
	if err != nil {
		return fleet.Login{}, err
	}
	s.log.InfoContext(ctx, "the login code was redeemed", "from", from, "user", session.Caller.Name, "session", session.Caller.ID)
	return session, nil
}

// redeem has the code judged by the database: it is removed with what it gives.
// Each attempt is counted before it is judged.
func (s *Service) redeem(ctx context.Context, from, code string, take func(hash []byte) error) error {
	key := "secret " + network(from)
	n, until, err := s.store.CountAttempt(ctx, key, attemptWindow)
	if err != nil {
		return err
	}
	if n > maxFailures {
		return s.tooMany(until)
	}
	code = strings.TrimSpace(code)
	if wellFormed(codePrefix, code) {
		err := take(hashOf(code))
		if !fault.HasCode(err, "login_code_unknown") {
			if err != nil {
				_ = s.store.ForgiveAttempt(ctx, key) // the code was right
			} else {
				_ = s.store.ForgetAttempts(ctx, key)
			}
			return err
		}
	}
	s.log.WarnContext(ctx, "a login code was refused", "from", from)
	return fault.New(fault.Unauthorized, "login_code_invalid", "this login code is not valid; a code works once, within a day after it was made").
		WithFix("have an operator make a new one with hawser-hub first-login, or use an API token")
}
