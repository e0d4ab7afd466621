package store

import (
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/hawser-dev/hawser/hub/fleet"
)

// The table of counts has a bound, and what is over it goes without anybody who is
// limited: neither a user nor a network.
func TestA33_WhoIsLimitedIsNotDisplaced(t *testing.T) {
	b := setup(t)
	ctx := t.Context()
	limited := []string{"user 1", "address 192.0.2.1", "secret 192.0.2.1", "nobody 7"}
	for _, key := range limited {
		for range evictable + 1 {
			_, _, err := b.CountAttempt(ctx, key, 5*time.Minute)
			must(t, err)
		}
	}
	_, _, err := b.CountAttempt(ctx, "user 2", 5*time.Minute) // a user's own is kept too
	must(t, err)
	const flood = 3000
	var batch pgx.Batch
	for i := range flood {
		batch.Queue(q("CountAttempt"), fmt.Sprintf("secret 2001:db8:%x::/64", i), b.now(), b.now().Add(5*time.Minute))
	}
	must(t, b.pool.SendBatch(ctx, &batch).Close())
	const most = 1000
	must(t, b.forgetLogins(ctx, b.now(), most))
	var kept int
	must(t, b.pool.QueryRow(ctx, q("CountedKeys")).Scan(&kept))
	if kept != most {
		t.Errorf("%d counts are kept, want %d", kept, most)
	}
	for _, key := range append(limited, "user 2") {
		n, _, err := b.CountAttempt(ctx, key, 5*time.Minute)
		must(t, err)
		if n < 2 {
			t.Errorf("%s was displaced", key)
		}
	}
}

func TestLoginSessionsOfOneAndOfAll(t *testing.T) {
	b := setup(t)
	ctx := t.Context()
	ann, bob := b.person("1", "ann"), b.person("2", "bob")
	for _, l := range []fleet.LoginSession{b.sessionOf("a1", ann), b.sessionOf("a2", ann), b.sessionOf("b1", bob)} {
		l.Address, l.Client = "192.0.2.1", "hawser/1"
		u := ann
		if l.User == "2" {
			u = bob
		}
		must(t, b.CreateLoginSession(ctx, l, u.Password))
	}
	b.clock.advance(2 * time.Minute)
	must(t, b.TouchLoginSession(ctx, "a1", b.now(), "192.0.2.9"))
	mine, err := b.LoginSessions(ctx, fleet.LocalProvider, "1")
	must(t, err)
	if len(mine) != 2 || mine[0].ID != "a1" || mine[0].Session.Address != "192.0.2.9" || mine[0].Session.Client != "hawser/1" || len(mine[0].Hash) != 0 {
		t.Errorf("%+v", mine)
	}
	all, err := b.LoginSessions(ctx, "", "")
	must(t, err)
	if len(all) != 3 {
		t.Errorf("%d of all", len(all))
	}
	wantCode(t, b.EndLoginSession(ctx, "b1", fleet.LocalProvider, "1"), "not_found", "session_unknown")
	must(t, b.EndLoginSession(ctx, "b1", "", ""))
	n, err := b.EndLoginSessions(ctx, fleet.LocalProvider, "1")
	must(t, err)
	if n != 2 {
		t.Errorf("%d ended", n)
	}
	all, err = b.LoginSessions(ctx, "", "")
	must(t, err)
	if len(all) != 0 {
		t.Errorf("%+v", all)
	}
}
