package app

import (
	"bytes"
	"context"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/gob"
	"encoding/hex"
	"fmt"
	"os"
	"reflect"
	"strings"
	"time"

	"github.com/hawser-dev/hawser/hub/cache"
	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/telemetry"
)

const (
	// manifestBytes is the memory of a hub for rendered manifests.
	manifestBytes = 32 << 20
	// manifestTime is how long they are kept in a shared cache.
	manifestTime = 24 * time.Hour
	// answerBytes is the memory of a hub for parts of answers: trees and pages of lists.
	answerBytes = 16 << 20
	// answerTime is how long they are kept. They are right for ever, but soon nobody
	// asks for their names.
	answerTime = time.Hour
	// cacheSecret is the name of the secret that values in a shared cache are named
	// and sealed with.
	cacheSecret = "cache"
	// tellTime is for which hubs tell each other of sessions; their names change
	// long before.
	tellTime = 10 * time.Second
)

// caches are the hub's: what it keeps for itself, and what hubs share.
type caches struct {
	memory *cache.Memory
	// answers are apart, so that what costs little to make again pushes no renders out.
	answers *cache.Memory
	// pageKey is what the states in names of pages are made with.
	pageKey [32]byte
	shared  *cache.Redis // nil without REDIS_URL
}

// startCache makes the caches. A Redis that does not answer keeps no hub from
// starting.
func (h *hub) startCache(ctx context.Context) error {
	h.caches.memory, h.caches.answers = cache.NewMemory(manifestBytes, h.metrics), cache.NewMemory(answerBytes, h.metrics)
	h.metrics.WatchCache(func() int64 { return h.caches.memory.Bytes() + h.caches.answers.Bytes() })
	_, _ = rand.Read(h.caches.pageKey[:]) // never fails
	url, err := h.cfg.redisURL()
	if err != nil || url == "" {
		return err
	}
	address, err := cache.ParseAddress(url, h.cfg.RedisCAFile, h.cfg.RedisPasswordFile)
	if err != nil {
		return err
	}
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails
	if secret, err = h.store.PutSecretOnce(ctx, cacheSecret, secret); err != nil {
		return err
	}
	if h.caches.pageKey, err = pageKeyOf(secret); err != nil {
		return err
	}
	state, err := h.store.HubState(ctx)
	if err != nil {
		return err
	}
	h.caches.shared, err = cache.NewRedis(cache.RedisOptions{Address: address, Secret: secret, Tenant: state.HubID, Observer: h.metrics, Log: h.log})
	if err != nil {
		return err
	}
	if err := h.caches.shared.Ping(ctx); err != nil {
		h.log.Warn("the shared cache does not answer; going on without it", "address", address.Host, "code", "cache_unreachable", "error", err)
	} else {
		h.log.Info("shared cache", "address", address.Host, "tls", address.TLS != nil)
	}
	return nil
}

func (h *hub) stopCache(context.Context) error {
	if h.caches.shared == nil {
		return nil
	}
	return h.caches.shared.Close()
}

// redisURL is from --redis-url, where everybody on the machine can read it, or
// from REDIS_URL.
func (c *Config) redisURL() (string, error) {
	if c.RedisURL == "" {
		return os.Getenv("REDIS_URL"), nil
	}
	if a, err := cache.ParseAddress(c.RedisURL, "", ""); err == nil && a.HasPassword() {
		return "", fault.New(fault.Invalid, "config_invalid", "--redis-url has a password, which everybody can read who lists processes").WithField("--redis-url").
			WithFix("set REDIS_URL, or put the password into a file and name it with --redis-password-file")
	}
	return c.RedisURL, nil
}

// results is where rendered manifests are kept: here, and where others find them.
// One build does not take what another has rendered.
func (c caches) results() cache.Part {
	p := cache.Part{Store: c.memory, Space: cache.Space{Name: "manifests", Schema: "1 " + telemetry.Version, TTL: manifestTime}}
	if c.shared != nil {
		p.Store = cache.Layered{Near: c.memory, Far: c.shared}
	}
	return p
}

// traces is where hubs tell each other what their renders depended on.
func (c caches) traces() cache.Part {
	return cache.Part{Store: c.shared, Space: cache.Space{Name: "renders", Schema: "1 " + telemetry.Version, TTL: manifestTime}}
}

// trees is where encoded resource trees are kept. A hub takes none of another build,
// which may write them otherwise.
func (c caches) trees() cache.Part {
	return c.answersOf("trees", "1 "+telemetry.Version+" "+shapeOf(reflect.TypeFor[model.ResourceTree]()))
}

// pageKeyOf is the same for all hubs that share pages.
func pageKeyOf(secret []byte) (key [32]byte, err error) {
	b, err := hkdf.Key(sha256.New, secret, nil, "hawser pages of lists 1", len(key))
	copy(key[:], b)
	return key, err
}

// pages is where pages of lists are kept.
type pages struct{ own, shared cache.Part }

func (c caches) pages() pages {
	shared := c.answersOf("pages", "1 "+telemetry.Version+" "+shapeOf(reflect.TypeFor[fleet.AppRow]()))
	return pages{own: cache.Part{Store: c.answers, Space: shared.Space}, shared: shared}
}

func (p pages) in(shared bool) cache.Part {
	if shared {
		return p.shared
	}
	return p.own
}

func (p pages) Get(ctx context.Context, name string, shared bool) ([]byte, bool) {
	return p.in(shared).Get(ctx, name)
}

func (p pages) Put(ctx context.Context, name string, value []byte, shared bool) {
	p.in(shared).Put(ctx, name, value)
}

func (c caches) answersOf(kind, schema string) cache.Part {
	p := cache.Part{Store: c.answers, Space: cache.Space{Name: kind, Schema: schema, TTL: answerTime}}
	if c.shared != nil {
		p.Store = cache.Layered{Near: c.answers, Far: c.shared}
	}
	return p
}

// sharedSessions are the tokens and login sessions that hubs have read a moment
// ago.
type sharedSessions struct {
	part  cache.Part
	epoch *cache.Epoch
}

func newSharedSessions(store cache.Store, epoch func(ctx context.Context, roll bool) (string, error)) sharedSessions {
	return sharedSessions{
		part:  cache.Part{Store: store, Space: cache.Space{Name: "sessions", Schema: shapeOf(reflect.TypeFor[fleet.APIToken]()), TTL: tellTime}},
		epoch: cache.NewEpoch(epoch),
	}
}

func (s sharedSessions) Recall(ctx context.Context, hash []byte) (t fleet.APIToken, ok bool, stamp string) {
	stamp = s.epoch.Current(ctx)
	if stamp == "" {
		return t, false, ""
	}
	key := stamp + " " + hex.EncodeToString(hash)
	value, ok := s.part.Get(ctx, key)
	if !ok {
		return t, false, stamp
	}
	if err := gob.NewDecoder(bytes.NewReader(value)).Decode(&t); err != nil {
		s.part.Drop(ctx, key)
		return fleet.APIToken{}, false, stamp
	}
	return t, true, stamp
}

func (s sharedSessions) Remember(ctx context.Context, hash []byte, t fleet.APIToken, stamp string) {
	var out bytes.Buffer
	if stamp == "" || gob.NewEncoder(&out).Encode(t) != nil {
		return
	}
	s.part.Put(ctx, stamp+" "+hex.EncodeToString(hash), out.Bytes())
}

func (s sharedSessions) Forget() { s.epoch.Forget() }

// shapeOf is another for each set of fields that a value can have: a hub that knows
// of a limit does not take a session from one that does not.
func shapeOf(t reflect.Type) string {
	var b strings.Builder
	seen := map[reflect.Type]bool{}
	var walk func(t reflect.Type)
	walk = func(t reflect.Type) {
		fmt.Fprintf(&b, "%s %s;", t, t.Kind())
		if seen[t] {
			return
		}
		seen[t] = true
		switch t.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
			walk(t.Elem())
		case reflect.Struct:
			for i := range t.NumField() {
				b.WriteString(t.Field(i).Name + " ")
				walk(t.Field(i).Type)
			}
		}
	}
	walk(t)
	sum := sha256.Sum256([]byte(b.String()))
	return hex.EncodeToString(sum[:8])
}
