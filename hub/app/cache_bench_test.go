package app

import (
	"bytes"
	"log/slog"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/hawser-dev/hawser/e2e/dbtest"
	"github.com/hawser-dev/hawser/e2e/testbed"
	"github.com/hawser-dev/hawser/hub/auth"
	"github.com/hawser-dev/hawser/hub/fleet"
)

// BenchmarkCacheSession is what it costs to know whose a token is: from Postgres,
// from the Redis that another hub told it to, from this process, and when Redis has
// it not and Postgres is asked after that. floor is a plain GET of the same bytes.
func BenchmarkCacheSession(b *testing.B) {
	server := testbed.NeedRedis(b, testbed.RedisOptions{})
	dsn := dbtest.Postgres(b)
	one := newIdentity(b, dsn, server.Addr())
	token, info, err := one.Issue(b.Context(), fleet.NewAPIToken{Name: "ann", Admin: true})
	if err != nil {
		b.Fatal(err)
	}
	shared := newSharedSessions(one.shared, one.store.CacheEpoch)
	b.Run("none", func(b *testing.B) {
		for b.Loop() {
			if _, err := one.store.APITokenByHash(b.Context(), info.Hash); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("redis", func(b *testing.B) { // with the epochs that are asked for meanwhile
		for b.Loop() {
			got, ok, stamp := shared.Recall(b.Context(), info.Hash)
			if !ok { // the epoch has changed
				if got, err = one.store.APITokenByHash(b.Context(), info.Hash); err != nil {
					b.Fatal(err)
				}
				shared.Remember(b.Context(), info.Hash, got, stamp)
			}
			if !bytes.Equal(got.Hash, info.Hash) {
				b.Fatal("another's")
			}
		}
	})
	b.Run("redis-miss", func(b *testing.B) {
		for b.Loop() {
			if _, ok, _ := shared.Recall(b.Context(), []byte("nobody's")); ok {
				b.Fatal("found")
			}
			if _, err := one.store.APITokenByHash(b.Context(), info.Hash); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("memory", func(b *testing.B) {
		s := auth.New(one.store, nil, slog.New(slog.DiscardHandler))
		for b.Loop() {
			if _, err := s.Authenticate(b.Context(), "", token); err != nil {
				b.Fatal(err)
			}
		}
	})
	plain := redis.NewClient(&redis.Options{Addr: server.Addr(), Protocol: 2, DisableIdentity: true})
	defer plain.Close()
	b.Run("floor", func(b *testing.B) {
		if err := plain.Set(b.Context(), "x", make([]byte, 600), 0).Err(); err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			if _, err := plain.Get(b.Context(), "x").Bytes(); err != nil {
				b.Fatal(err)
			}
		}
	})
}
