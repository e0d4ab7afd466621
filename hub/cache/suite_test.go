package cache

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/e2e/testbed"
)

var things = Space{Name: "things", Schema: "1", TTL: time.Hour}

// kinds are the spaces that hubs have, with about the size of a value of each.
var kinds = []struct {
	Space
	size int
}{
	{Space{"manifests", "1", time.Hour}, 200 << 10}, {Space{"renders", "1", time.Hour}, 4 << 10}, {Space{"trees", "1", time.Hour}, 180 << 10},
	{Space{"pages", "1", time.Hour}, 20 << 10}, {Space{"sessions", "1", 10 * time.Second}, 600},
}

// counts is an Observer.
type counts struct {
	mu    sync.Mutex
	asked map[string]int // store/space/result
	moved map[string]int
}

func (c *counts) CacheAsked(store, space, result string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.asked == nil {
		c.asked, c.moved = map[string]int{}, map[string]int{}
	}
	c.asked[store+"/"+space+"/"+result]++
}

func (c *counts) CacheMoved(store string, read, written int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.asked == nil {
		c.asked, c.moved = map[string]int{}, map[string]int{}
	}
	c.moved[store+" read"] += read
	c.moved[store+" written"] += written
}

func (c *counts) of(what string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.asked[what]
}

// clock is one that tests set.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Now()} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) forward(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

var secret = bytes.Repeat([]byte{7}, 32)

// patient is a timeout that a busy machine does not exceed.
const patient = 10 * time.Second

func open(t testing.TB, o RedisOptions) *Redis {
	t.Helper()
	if o.Secret == nil {
		o.Secret = secret
	}
	if o.Tenant == "" {
		o.Tenant = "hub-1"
	}
	if o.Timeout == 0 {
		o.Timeout = patient
	}
	r, err := NewRedis(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func at(server *testbed.Redis) Address { return Address{Host: server.Addr()} }

// stores runs a test on each Store.
func stores(t *testing.T, test func(t *testing.T, s Store, c *clock)) {
	memory := func(c *clock) *Memory {
		m := NewMemory(4<<20, nil)
		m.now = c.now
		return m
	}
	t.Run("memory", func(t *testing.T) {
		c := newClock()
		test(t, memory(c), c)
	})
	t.Run("redis", func(t *testing.T) {
		c := newClock()
		test(t, open(t, RedisOptions{Address: at(testbed.NeedRedis(t, testbed.RedisOptions{})), Now: c.now}), c)
	})
	t.Run("layered", func(t *testing.T) {
		c := newClock()
		test(t, Layered{memory(c), open(t, RedisOptions{Address: at(testbed.NeedRedis(t, testbed.RedisOptions{})), Now: c.now})}, c)
	})
}

func want(t *testing.T, s Store, sp Space, key, value string) {
	t.Helper()
	if got, ok := s.Get(t.Context(), sp, key); !ok || string(got) != value {
		t.Errorf("%s of %s: %q %v, want %q", key, sp.Name, got, ok, value)
	}
}

func wantNone(t *testing.T, s Store, sp Space, key string) {
	t.Helper()
	if got, ok := s.Get(t.Context(), sp, key); ok || got != nil {
		t.Errorf("%s of %s: %q, want nothing", key, sp.Name, got)
	}
}

func TestStore(t *testing.T) {
	for name, test := range map[string]func(t *testing.T, s Store, c *clock){
		"what was put is got": func(t *testing.T, s Store, _ *clock) {
			wantNone(t, s, things, "a")
			s.Put(t.Context(), things, "a", []byte("one"))
			s.Put(t.Context(), things, "", []byte("no key"))
			s.Put(t.Context(), things, "nothing", nil)
			want(t, s, things, "a", "one")
			want(t, s, things, "", "no key")
			want(t, s, things, "nothing", "")
			s.Put(t.Context(), things, "a", []byte("two"))
			want(t, s, things, "a", "two")
			s.Drop(t.Context(), things, "a")
			wantNone(t, s, things, "a")
			s.Drop(t.Context(), things, "never there")
		},
		"spaces, schemas and keys are apart": func(t *testing.T, s Store, _ *clock) {
			others := Space{Name: "others", Schema: "1", TTL: time.Hour}
			newer := Space{Name: "things", Schema: "2", TTL: time.Hour}
			s.Put(t.Context(), things, "a", []byte("one"))
			s.Put(t.Context(), others, "a", []byte("two"))
			wantNone(t, s, newer, "a")
			wantNone(t, s, Space{Name: "thing", Schema: "s1", TTL: time.Hour}, "a")
			wantNone(t, s, Space{Name: "things", Schema: "", TTL: time.Hour}, "1a")
			want(t, s, things, "a", "one")
			want(t, s, others, "a", "two")
		},
		"every kind of value": func(t *testing.T, s Store, c *clock) {
			value := func(i, version int) string {
				return strings.Repeat(fmt.Sprintf("%s %d;", kinds[i].Name, version), kinds[i].size/12)
			}
			for i, k := range kinds {
				s.Put(t.Context(), k.Space, "one key", []byte(value(i, 1)))
				s.Put(t.Context(), k.Space, "another", []byte(value(i, 2)))
			}
			for i, k := range kinds {
				want(t, s, k.Space, "one key", value(i, 1))
				want(t, s, k.Space, "another", value(i, 2))
				newer := k.Space
				newer.Schema = "2"
				wantNone(t, s, newer, "one key")
				s.Drop(t.Context(), k.Space, "another")
				wantNone(t, s, k.Space, "another")
			}
			c.forward(10 * time.Second)
			for i, k := range kinds {
				if k.TTL > 10*time.Second {
					want(t, s, k.Space, "one key", value(i, 1))
				} else {
					wantNone(t, s, k.Space, "one key")
				}
			}
			c.forward(time.Hour)
			for _, k := range kinds {
				wantNone(t, s, k.Space, "one key")
			}
		},
		"time runs out": func(t *testing.T, s Store, c *clock) {
			short := Space{Name: "things", Schema: "1", TTL: time.Minute}
			s.Put(t.Context(), short, "a", []byte("one"))
			c.forward(59 * time.Second)
			want(t, s, short, "a", "one")
			c.forward(time.Second)
			wantNone(t, s, short, "a")
			s.Put(t.Context(), Space{Name: "things", Schema: "1"}, "b", []byte("for no time"))
			wantNone(t, s, things, "b")
		},
		"bytes of any kind": func(t *testing.T, s Store, _ *clock) {
			all := make([]byte, 100_000)
			for i := range all {
				all[i] = byte(i)
			}
			key := "with \x00, \r\n, ü and " + string(all[:256])
			s.Put(t.Context(), things, key, all)
			want(t, s, things, key, string(all))
		},
		"what is too large is not kept, nor what was there before": func(t *testing.T, s Store, _ *clock) {
			s.Put(t.Context(), things, "a", []byte("small"))
			s.Put(t.Context(), things, "a", make([]byte, MaxValue+1))
			wantNone(t, s, things, "a")
		},
		"a caller who went away": func(t *testing.T, s Store, _ *clock) {
			gone, cancel := context.WithCancel(t.Context())
			cancel()
			for range 2 * breakAfter {
				s.Put(gone, things, "a", []byte("one"))
				s.Get(gone, things, "b")
			}
			s.Put(t.Context(), things, "c", []byte("three"))
			want(t, s, things, "c", "three") // and nothing is broken
		},
		"many at once": func(t *testing.T, s Store, _ *clock) {
			var all sync.WaitGroup
			for i := range 8 {
				all.Go(func() {
					for j := range 50 {
						key := fmt.Sprint(j % 10)
						s.Put(t.Context(), things, key, []byte("value of "+key))
						if v, ok := s.Get(t.Context(), things, key); ok && string(v) != "value of "+key {
							t.Errorf("%d: %s: %q", i, key, v)
						}
						if j%7 == 0 {
							s.Drop(t.Context(), things, key)
						}
					}
				})
			}
			all.Wait()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stores(t, test)
		})
	}
}

func TestMemoryIsBounded(t *testing.T) {
	m := NewMemory(100_000, nil)
	for i := range 1000 {
		m.Put(t.Context(), things, fmt.Sprint(i), make([]byte, 1000))
		m.Get(t.Context(), things, "0") // is used all the time
		if m.Bytes() > 100_000 {
			t.Fatalf("%d bytes", m.Bytes())
		}
	}
	if _, ok := m.Get(t.Context(), things, "0"); !ok {
		t.Error("what was used last is gone")
	}
	if _, ok := m.Get(t.Context(), things, "1"); ok {
		t.Error("what was not used is there")
	}
	for i := range 1000 {
		m.Drop(t.Context(), things, fmt.Sprint(i))
	}
	if m.Bytes() != 0 || m.order.Len() != 0 {
		t.Errorf("%d bytes of nothing", m.Bytes())
	}
}

func TestLayeredFillsTheNearOne(t *testing.T) {
	near, far := NewMemory(1<<20, nil), NewMemory(1<<20, nil)
	far.Put(t.Context(), things, "a", []byte("one"))
	want(t, Layered{near, far}, things, "a", "one")
	want(t, near, things, "a", "one")
}

// logged collects the lines of a log.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *logged) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }
