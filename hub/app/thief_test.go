package app

import (
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/hawser-dev/hawser/e2e/testbed"
)

// thief is somebody who reads and writes the Redis of hubs, and keeps all that was
// ever in it.
type thief struct {
	*redis.Client
	t      *testing.T
	stolen map[string]string
}

func newThief(t *testing.T, server *testbed.Redis) *thief {
	t.Helper()
	th := &thief{Client: redis.NewClient(&redis.Options{Addr: server.Addr(), DisableIdentity: true}), t: t, stolen: map[string]string{}}
	t.Cleanup(func() { th.Client.Close() })
	return th
}

// steal keeps what has a name that it does not know yet.
func (th *thief) steal() {
	for _, k := range th.Keys(th.t.Context(), "*").Val() {
		if _, known := th.stolen[k]; !known {
			th.stolen[k] = th.Get(th.t.Context(), k).Val()
		}
	}
}

// restore puts everything back that was ever there.
func (th *thief) restore() {
	for k, v := range th.stolen {
		th.Set(th.t.Context(), k, v, 0)
	}
}

func (th *thief) replay() {
	th.steal()
	th.restore()
}

// swap gives each name the value of another, and the first one what is given.
func (th *thief) swap(value string) {
	for k, v := range th.stolen {
		th.Set(th.t.Context(), k, value, 0)
		value = v
	}
}
