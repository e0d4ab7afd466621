package cache

import (
	"crypto/rand"
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/hawser-dev/hawser/e2e/testbed"
)

// BenchmarkCache is what a look costs: in this process, in a Redis beside it when
// the value is there and when it is not, and, as the floor, a plain GET of the same
// bytes. Sizes are those of a session, of a page of 50 rows, of a tree of 500 objects, and of 250 manifests.
func BenchmarkCache(b *testing.B) {
	server := testbed.NeedRedis(b, testbed.RedisOptions{})
	plain := redis.NewClient(&redis.Options{Addr: server.Addr(), Protocol: 2, DisableIdentity: true})
	defer plain.Close()
	far := open(b, RedisOptions{Address: at(server), Timeout: 10 * time.Second})
	near := NewMemory(32<<20, nil)
	s := Space{Name: "s", Schema: "1", TTL: time.Hour}
	for _, size := range []struct {
		name  string
		bytes int
	}{{"session", 600}, {"page", 15 << 10}, {"tree", 180 << 10}, {"manifests", 1 << 20}} {
		value := make([]byte, size.bytes)
		_, _ = rand.Read(value)
		key := fmt.Sprint("of ", size.bytes)
		near.Put(b.Context(), s, key, value)
		far.Put(b.Context(), s, key, value)
		if err := plain.Set(b.Context(), key, value, 0).Err(); err != nil {
			b.Fatal(err)
		}
		get := func(name string, from Store, key string, want bool) {
			b.Run(size.name+"/"+name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if v, ok := from.Get(b.Context(), s, key); ok != want || ok && len(v) != len(value) {
						b.Fatal(ok, len(v))
					}
				}
			})
		}
		b.Run(size.name+"/floor", func(b *testing.B) {
			for b.Loop() {
				if v, err := plain.Get(b.Context(), key).Bytes(); err != nil || len(v) != len(value) {
					b.Fatal(err)
				}
			}
		})
		get("memory", near, key, true)
		get("redis", far, key, true)
		get("redis-miss", far, "none", false)
	}
}
