package store

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
)

func (b *bench) person(id, name string) fleet.User {
	b.t.Helper()
	u := fleet.User{ID: id, Name: name, Password: "hash of " + name, Enabled: true, Admin: true, CreatedAt: b.now(), PasswordChangedAt: b.now()}
	must(b.t, b.CreateUser(b.t.Context(), u))
	return u
}

func (b *bench) sessionOf(id string, u fleet.User) fleet.LoginSession {
	now := b.now()
	return fleet.LoginSession{ID: id, Hash: []byte("hash " + id), User: u.ID, Provider: fleet.LocalProvider, Subject: u.ID, Name: u.Name,
		CreatedAt: now, AuthenticatedAt: now, SeenAt: now, ExpiresAt: now.Add(12 * time.Hour)}
}

func TestUsers(t *testing.T) {
	b := setup(t)
	ctx := t.Context()
	u := b.person("1", "ann")
	wantCode(t, b.CreateUser(ctx, u), fault.Conflict, "user_exists")
	_, err := b.UserByName(ctx, "bob")
	wantCode(t, err, fault.NotFound, "user_not_found")
	no, grants := false, []fleet.Grant{{Project: "p", Role: "viewer"}}
	if _, err := b.ChangeUser(ctx, "bob", fleet.UserChange{Admin: &no}); !fault.Is(err, fault.NotFound) {
		t.Error(err)
	}
	b.clock.advance(time.Hour)
	got, err := b.ChangeUser(ctx, "ann", fleet.UserChange{Admin: &no, Grants: &grants})
	must(t, err)
	if got.Admin || !got.Enabled || len(got.Grants) != 1 || got.Password != u.Password || !got.PasswordChangedAt.Equal(u.PasswordChangedAt) {
		t.Errorf("%+v", got)
	}
	hash := "other"
	got, err = b.ChangeUser(ctx, "ann", fleet.UserChange{Password: &hash})
	must(t, err)
	if got.Password != hash || len(got.Grants) != 1 || !got.PasswordChangedAt.Equal(b.now()) {
		t.Errorf("%+v", got)
	}
	must(t, b.RehashUser(ctx, "1", "not it", "x"))
	must(t, b.RehashUser(ctx, "1", hash, "newer"))
	all, err := b.Users(ctx)
	must(t, err)
	if len(all) != 1 || all[0].Password != "newer" {
		t.Errorf("%+v", all)
	}
	must(t, b.DeleteUser(ctx, "ann"))
	wantCode(t, b.DeleteUser(ctx, "ann"), fault.NotFound, "user_not_found")
}

// Every hub asks the table: what a user has there ends with him.
func TestA03_WhatAUserHasEndsInTheDatabase(t *testing.T) {
	no := false
	hash := "new hash"
	for name, c := range map[string]fleet.UserChange{"disabled": {Enabled: &no}, "password": {Password: &hash}, "rights": {Admin: &no}} {
		t.Run(name, func(t *testing.T) {
			b := setup(t)
			ctx := t.Context()
			u := b.person("1", "ann")
			l := b.sessionOf("s", u)
			must(t, b.CreateLoginSession(ctx, l, u.Password))
			must(t, b.CreateAPIToken(ctx, fleet.APIToken{ID: "t", Name: "ci", Hash: []byte("t"), Admin: true, User: "1", CreatedAt: b.now(), ExpiresAt: b.now().Add(time.Hour)}))
			got, err := b.LoginByHash(ctx, l.Hash)
			must(t, err)
			if got.ID != "s" || !got.Admin || got.Session.Name != "ann" || got.Session.Provider != "local" {
				t.Errorf("%+v", got)
			}
			tok, err := b.APITokenByHash(ctx, []byte("t"))
			must(t, err)
			if i := tok.Issuer; i == nil || i.Provider != "local" || i.Subject != "1" || i.Name != "ann" {
				t.Errorf("issued by %+v", i)
			}
			_, err = b.ChangeUser(ctx, "ann", c)
			must(t, err)
			_, err = b.LoginByHash(ctx, l.Hash)
			wantCode(t, err, fault.NotFound, "session_unknown")
			_, err = b.LoginByID(ctx, "s")
			wantCode(t, err, fault.NotFound, "session_unknown")
			_, err = b.APITokenByHash(ctx, []byte("t"))
			wantCode(t, err, fault.NotFound, "api_token_unknown")
			all, err := b.APITokens(ctx)
			must(t, err)
			if len(all) != 0 { // enabling the user again brings none back
				t.Errorf("the user's token is kept: %+v", all)
			}
			// A login that was judged before the change does not outrun it.
			late := b.sessionOf("late", u)
			if err := b.CreateLoginSession(ctx, late, u.Password); fault.HasCode(err, "login_failed") != (c.Admin == nil) {
				t.Errorf("a login that was judged before: %v", err)
			}
		})
	}
}

func TestSessionsOfProviders(t *testing.T) {
	b := setup(t)
	ctx := t.Context()
	_, err := b.PutIdentityProvider(ctx, fleet.IdentityProvider{Name: "dex", Issuer: "https://dex", ClientID: "c", ChangedBy: "ann"}, false)
	must(t, err)
	l := fleet.LoginSession{ID: "s", Hash: []byte("h"), Provider: "dex", Subject: "sub", Name: "ann@x", Groups: []string{"ops", "all"}, Browser: true,
		CreatedAt: b.now(), AuthenticatedAt: b.now(), SeenAt: b.now(), ExpiresAt: b.now().Add(time.Hour)}
	must(t, b.CreateLoginSession(ctx, l, ""))
	got, err := b.LoginByHash(ctx, []byte("h"))
	must(t, err)
	if got.Admin || got.User != "" || got.Name != "ann@x" || len(got.Session.Groups) != 2 || !got.Session.Browser {
		t.Errorf("%+v %+v", got, got.Session)
	}
	b.clock.advance(30 * time.Second)
	must(t, b.TouchLoginSession(ctx, "s", b.now(), "192.0.2.9")) // not worth a write
	b.clock.advance(30 * time.Second)
	must(t, b.TouchLoginSession(ctx, "s", b.now(), "192.0.2.9"))
	must(t, b.RotateLoginSession(ctx, "s", []byte("h"), []byte("h2"), b.now()))
	wantCode(t, b.RotateLoginSession(ctx, "s", []byte("h"), []byte("h3"), b.now()), fault.NotFound, "session_unknown")
	got, err = b.LoginByHash(ctx, []byte("h2"))
	must(t, err)
	if !got.Session.SeenAt.Equal(b.now()) || !got.Session.AuthenticatedAt.Equal(b.now()) {
		t.Errorf("%+v", got.Session)
	}
	must(t, second(b.PurgeExpired(ctx, b.now())))
	_, err = b.LoginByID(ctx, "s")
	must(t, err)
	must(t, second(b.PurgeExpired(ctx, b.now().Add(3*time.Hour))))
	_, err = b.LoginByID(ctx, "s")
	wantCode(t, err, fault.NotFound, "session_unknown")
	must(t, b.DeleteLoginSession(ctx, "s"))
}

// Counts are rows: another store on the same database, as after kill -9, goes on
// with them, and many at once are all counted.
func TestA33_CountsOfLoginsSurviveTheHub(t *testing.T) {
	b := setup(t)
	ctx := t.Context()
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if _, _, err := b.CountAttempt(ctx, "user 1", time.Minute); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for i := range 2000 {
		_, _, err := b.CountAttempt(ctx, fmt.Sprint("nobody ", i), time.Minute)
		must(t, err)
	}
	next := setupOn(t, b.dsn, Options{})
	n, until, err := next.CountAttempt(ctx, "user 1", time.Minute)
	must(t, err)
	if n != 21 || !until.Equal(b.now().Add(time.Minute)) {
		t.Errorf("after a restart %d until %s", n, until)
	}
	if n, err := next.Attempts(ctx, "user 1"); err != nil || n != 21 {
		t.Errorf("without counting %d, %v", n, err)
	}
	must(t, b.ForgiveAttempt(ctx, "user 1"))
	b.clock.advance(time.Minute)
	if n, err := b.Attempts(ctx, "user 1"); err != nil || n != 0 {
		t.Errorf("when the window is over %d, %v", n, err)
	}
	if n, _, err = b.CountAttempt(ctx, "user 1", time.Minute); err != nil || n != 1 {
		t.Errorf("in the next window %d, %v", n, err)
	}
	must(t, b.ForgetAttempts(ctx, "user 1"))
	if n, _, err = b.CountAttempt(ctx, "user 1", time.Minute); err != nil || n != 1 {
		t.Errorf("after a success %d, %v", n, err)
	}
}

func TestA05_TheFirstCodeIsTakenOnceByAllHubs(t *testing.T) {
	b := setup(t)
	ctx := t.Context()
	offer := fleet.FirstLogin{Code: "hwl_SECRET", Hash: []byte("h"), ExpiresAt: b.now().Add(time.Hour)}
	got, err := b.OfferFirstLogin(ctx, offer, false)
	must(t, err)
	if got.Code != offer.Code {
		t.Fatalf("%+v", got)
	}
	other := fleet.FirstLogin{Code: "hwl_OTHER", Hash: []byte("o"), ExpiresAt: b.now().Add(time.Hour)}
	if got, err = b.OfferFirstLogin(ctx, other, false); err != nil || got.Code != offer.Code {
		t.Errorf("a second hub offers %q, %v", got.Code, err)
	}
	var text string
	must(t, b.pool.QueryRow(ctx, `SELECT encode(sealed, 'escape') FROM first_login`).Scan(&text))
	if len(text) == 0 || text == offer.Code {
		t.Error("the code is not sealed")
	}
	wantCode(t, b.TakeFirstLogin(ctx, []byte("x"), nil, nil, nil), fault.NotFound, "login_code_unknown")
	// A name that is taken leaves the code.
	b.person("0", "root")
	u := fleet.User{ID: "1", Name: "root", Password: "p", Enabled: true, Admin: true, CreatedAt: b.now(), PasswordChangedAt: b.now()}
	l := b.sessionOf("s", u)
	wantCode(t, b.TakeFirstLogin(ctx, []byte("h"), nil, &u, &l), fault.Conflict, "user_exists")
	var won atomic.Int32
	var wg sync.WaitGroup
	for i := range 10 {
		wg.Go(func() {
			u := fleet.User{ID: fmt.Sprint("u", i), Name: fmt.Sprint("admin", i), Password: "p", Enabled: true, Admin: true, CreatedAt: b.now(), PasswordChangedAt: b.now()}
			l := b.sessionOf(fmt.Sprint("s", i), u)
			if err := b.TakeFirstLogin(ctx, []byte("h"), nil, &u, &l); err == nil {
				won.Add(1)
			}
		})
	}
	wg.Wait()
	users, err := b.Users(ctx)
	must(t, err)
	if won.Load() != 1 || len(users) != 2 {
		t.Errorf("redeemed %d times, %d users", won.Load(), len(users))
	}
	// Expired, it is gone.
	_, err = b.OfferFirstLogin(ctx, offer, true)
	must(t, err)
	b.clock.advance(time.Hour)
	wantCode(t, b.TakeFirstLogin(ctx, []byte("h"), &fleet.APIToken{}, nil, nil), fault.Unauthorized, "login_code_expired")
	must(t, b.WithdrawFirstLogin(ctx))
}
