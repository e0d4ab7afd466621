package app

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/hawser-dev/hawser/e2e/dbtest"
	"github.com/hawser-dev/hawser/e2e/testbed"
	"github.com/hawser-dev/hawser/hub/auth"
	"github.com/hawser-dev/hawser/hub/cache"
	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/hub/inventory"
	"github.com/hawser-dev/hawser/shared/model"
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

// manyRows is a database of applications on one cluster, and of nothing else.
type manyRows []fleet.AppRow

func (m manyRows) AppRows(context.Context, []model.AppUID) ([]fleet.AppRow, error) { return m, nil }
func (m manyRows) Clusters(context.Context) ([]model.Cluster, error) {
	return []model.Cluster{{ID: "c-eu", Name: "eu"}}, nil
}
func (m manyRows) Projects(context.Context) ([]model.AppProject, error)             { return nil, nil }
func (m manyRows) Repositories(context.Context) ([]model.Repository, error)         { return nil, nil }
func (m manyRows) Leases(context.Context, []model.ClusterID) ([]fleet.Lease, error) { return nil, nil }
func (m manyRows) LeaseTime() time.Duration                                         { return time.Minute }
func (m manyRows) Operations(context.Context, fleet.OperationFilter) ([]model.OperationInfo, error) {
	return nil, nil
}
func (m manyRows) CountOperations(context.Context, fleet.OperationFilter) ([]fleet.OperationCount, error) {
	return nil, nil
}

// BenchmarkCachePages is what a page of 50 of 10,000 applications with facets costs a
// hub: made, as long as what it shows keeps changing; made, put into this process and
// into a Redis after it was looked for in both; from the Redis; and from this process.
// Each is asked for by somebody who sees everything and has no filter, and by one who
// has a filter that few match.
func BenchmarkCachePages(b *testing.B) {
	server := testbed.NeedRedis(b, testbed.RedisOptions{})
	rows := make(manyRows, 10_000)
	at := time.Now()
	for i := range rows {
		r := &rows[i]
		r.UID, r.Name, r.Project = model.AppUID(fmt.Sprintf("u%05d", i)), fmt.Sprintf("web-%05d", i), fmt.Sprintf("team-%03d", i%100)
		r.Cluster, r.ClusterID, r.ReportedAt = "eu", "c-eu", &at
		r.Labels = map[string]string{"team": r.Project}
		r.Sync.Status, r.Health.Status = model.SyncSynced, model.HealthHealthy
		if i%7 == 0 {
			r.Sync.Status, r.Health.Status = model.SyncOutOfSync, model.HealthDegraded
		}
	}
	now := at
	shared, err := cache.NewRedis(cache.RedisOptions{Address: cache.Address{Host: server.Addr()}, Secret: bytes.Repeat([]byte{2}, 32), Tenant: "hub", Timeout: 10 * time.Second})
	if err != nil {
		b.Fatal(err)
	}
	defer shared.Close()
	for _, filter := range []struct{ name, text string }{{"all", ""}, {"few", "health:degraded project:team-01*"}} {
		index := func(memory int64) *inventory.Index {
			c := caches{answers: cache.NewMemory(memory, nil), shared: shared}
			x := inventory.New(inventory.Options{Store: rows, Pages: c.pages(), Now: func() time.Time { return now }})
			if err := x.Load(b.Context()); err != nil {
				b.Fatal(err)
			}
			return x
		}
		ask := func(b *testing.B, x *inventory.Index, q fleet.ListQuery) {
			q.Filter, q.Limit, q.Facets = filter.text, max(q.Limit, 50), inventory.AppFacets
			if page, err := x.Applications(b.Context(), q); err != nil || len(page.Items) < 50 {
				b.Fatal(len(page.Items), err)
			}
		}
		remembers, forgets := index(answerBytes), index(0)
		now = now.Add(time.Minute)
		b.Run(filter.name+"/made", func(b *testing.B) {
			for b.Loop() {
				ask(b, forgets, fleet.ListQuery{})
			}
		})
		b.Run(filter.name+"/miss", func(b *testing.B) {
			next := 0
			for b.Loop() { // the position makes it another page, and none of its rows others
				next++
				ask(b, forgets, fleet.ListQuery{Kept: true, After: []string{fmt.Sprintf(" a%d", next)}})
			}
		})
		b.Run(filter.name+"/redis", func(b *testing.B) {
			ask(b, forgets, fleet.ListQuery{Kept: true})
			for b.Loop() {
				ask(b, forgets, fleet.ListQuery{Kept: true})
			}
		})
		b.Run(filter.name+"/memory", func(b *testing.B) {
			for b.Loop() {
				ask(b, remembers, fleet.ListQuery{Kept: true})
			}
		})
	}
}
