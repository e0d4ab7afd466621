package store

import (
	"testing"
	"time"

	"github.com/hawser-dev/hawser/hub/fleet"
)

// BenchmarkIdentityStore is what the first check of a session and of a token costs
// at a hub, among 10,000 of each: floor is a round trip to the same database.
func BenchmarkIdentityStore(b *testing.B) {
	s := setup(b)
	ctx := b.Context()
	u := s.person("1", "ann")
	l := s.sessionOf("s", u)
	must(b, s.CreateLoginSession(ctx, l, u.Password))
	must(b, s.CreateAPIToken(ctx, fleet.APIToken{ID: "t", Name: "ci", Hash: []byte("t"), Admin: true, User: "1", CreatedAt: s.now(), ExpiresAt: s.now().Add(time.Hour)}))
	_, err := s.pool.Exec(ctx, `INSERT INTO login_sessions (id, hash, user_id, provider, subject, name, browser, created_at, authenticated_at, seen_at, expires_at)
		SELECT 'm' || i, sha256(i::text::bytea), '1', 'local', '1', 'ann', false, now(), now(), now(), now() FROM generate_series(1, 10000) i`)
	must(b, err)
	_, err = s.pool.Exec(ctx, `INSERT INTO api_tokens (id, name, hash, admin, created_at, expires_at, grants)
		SELECT 'm' || i, 'x', sha256(i::text::bytea), true, now(), now(), '[]' FROM generate_series(1, 10000) i`)
	must(b, err)
	b.Run("floor", func(b *testing.B) {
		for b.Loop() {
			var one int
			must(b, s.pool.QueryRow(ctx, "SELECT 1").Scan(&one))
		}
	})
	b.Run("session", func(b *testing.B) {
		for b.Loop() {
			_, err := s.LoginByHash(ctx, l.Hash)
			must(b, err)
		}
	})
	b.Run("token", func(b *testing.B) {
		for b.Loop() {
			_, err := s.APITokenByHash(ctx, []byte("t"))
			must(b, err)
		}
	})
}
