package cache

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"golang.org/x/time/rate"

	"github.com/hawser-dev/hawser/shared/fault"
)

const (
	// DefaultTimeout of one look, connecting included.
	DefaultTimeout = 50 * time.Millisecond
	// MaxValue that is kept in a Redis, in bytes.
	MaxValue = 8 << 20
	// connections to one Redis.
	connections = 16
)

// RedisOptions of NewRedis.
type RedisOptions struct {
	Address Address
	// Secret of 32 bytes that all hubs of the database have, and nobody else.
	Secret []byte
	// Tenant is the hub's id: hubs of other databases may use the same Redis.
	Tenant string
	// Timeout of one look; 0 means DefaultTimeout.
	Timeout  time.Duration
	Observer Observer
	Log      *slog.Logger
	// Now is nil for the system's clock.
	Now func() time.Time
}

// Redis keeps values in a Redis, sealed. It is safe for concurrent use; Close ends
// it.
type Redis struct {
	client   *redis.Client
	seal     *sealer
	timeout  time.Duration
	observer Observer
	log      *slog.Logger
	now      func() time.Time
	breaker  breaker

	// Whoever can write to the Redis must not be able to fill the log.
	lines    *rate.Limiter
	unlogged atomic.Int64
}

// quiet is go-redis's log: what it says is said by our own.
type quiet struct{}

func (quiet) Printf(context.Context, string, ...any) {}

var silence = sync.OnceFunc(func() { redis.SetLogger(quiet{}) })

// NewRedis makes a Redis. It connects when it is used, so that a Redis that is away
// keeps nobody from starting.
func NewRedis(o RedisOptions) (*Redis, error) {
	seal, err := newSealer(o.Secret, o.Tenant)
	if err != nil {
		return nil, err
	}
	silence()
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
	}
	if o.Observer == nil {
		o.Observer = deaf{}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	client := redis.NewClient(&redis.Options{
		Addr: o.Address.Host, DB: o.Address.DB, Dialer: dial(o.Address.TLS),
		CredentialsProviderContext: func(context.Context) (string, string, error) { return o.Address.Credentials() },
		// A look that fails is not worth a second one, and its connection is not used
		// again: what it would answer later belongs to nobody.
		MaxRetries: -1, ContextTimeoutEnabled: true,
		// Connecting goes on when the one who waits for it has given up, so that the
		// next finds a connection also when TLS takes long.
		DialTimeout: 2 * time.Second, DialerRetries: 1, ReadTimeout: o.Timeout, WriteTimeout: o.Timeout, PoolTimeout: o.Timeout,
		PoolSize: connections, ConnMaxIdleTime: 5 * time.Minute, ConnMaxLifetime: time.Hour,
		Protocol: 2, DisableIdentity: true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	return &Redis{client: client, seal: seal, timeout: o.Timeout, observer: o.Observer, log: o.Log, now: o.Now, lines: rate.NewLimiter(1, 10)}, nil
}

// Close ends the connections.
func (r *Redis) Close() error { return r.client.Close() }

// Ping asks whether the Redis answers. Codes: cache_unreachable (Unavailable).
func (r *Redis) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	err := guarded(func() error { return r.client.Ping(ctx).Err() })
	if err != nil {
		return fault.Wrap(err, fault.Unavailable, "cache_unreachable", "the Redis of the shared cache does not answer; everything works without it, but slower")
	}
	return nil
}

// guarded turns a panic into an error: the client is not made for servers that lie.
func guarded(do func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the answer cannot be read: %v", p)
		}
	}()
	return do()
}

// ask does something with the Redis in time. answered is false when it did not.
func (r *Redis) ask(ctx context.Context, do func(ctx context.Context) error) (answered bool, err error) {
	if !r.breaker.allow(r.now()) {
		return false, nil
	}
	if ctx.Err() != nil {
		r.breaker.givenUp()
		return false, nil
	}
	timed, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	err = guarded(func() error { return do(timed) })
	var said redis.Error
	switch {
	case err == nil, errors.Is(err, redis.Nil):
	case errors.As(err, &said) && strings.HasPrefix(said.Error(), "WRONGTYPE"): // it answered, and somebody else wrote
	case ctx.Err() != nil:
		r.breaker.givenUp()
		return false, err
	default:
		if r.breaker.fail(r.now()) {
			// The error may quote an address or a user, no secret.
			r.log.WarnContext(ctx, "the shared cache does not answer; going on without it", "code", "cache_unreachable", "error", err)
		}
		return false, err
	}
	if r.breaker.succeeded() {
		r.log.InfoContext(ctx, "the shared cache answers again")
	}
	return true, err
}

// Get is Store's.
func (r *Redis) Get(ctx context.Context, s Space, key string) ([]byte, bool) {
	name := r.seal.name(s, key)
	var sealed []byte
	answered, err := r.ask(ctx, func(ctx context.Context) (err error) {
		// Somebody may have put something that would not fit in memory there.
		sealed, err = r.client.GetRange(ctx, outside(name), 0, MaxValue+overhead).Bytes()
		return err
	})
	switch {
	case !answered:
		r.observer.CacheAsked("redis", s.Name, Failed)
		return nil, false
	case err == nil && len(sealed) == 0:
		r.observer.CacheAsked("redis", s.Name, Miss)
		return nil, false
	}
	r.observer.CacheMoved("redis", len(sealed), 0)
	value, why := []byte(nil), err
	if err == nil {
		value, why = r.seal.open(name, s.Schema, r.now(), sealed)
	}
	switch {
	case why == nil:
		r.observer.CacheAsked("redis", s.Name, Hit)
		return value, true
	case errors.Is(why, errExpired):
		r.observer.CacheAsked("redis", s.Name, Miss)
	default:
		r.tampered(ctx, s, name, why)
	}
	return nil, false
}

// tampered reports a value, and removes it so that it is reported once.
func (r *Redis) tampered(ctx context.Context, s Space, name [sha256.Size]byte, why error) {
	r.observer.CacheAsked("redis", s.Name, Tampered)
	if r.lines.AllowN(r.now(), 1) {
		r.log.ErrorContext(ctx, "a value of the shared cache is not what a hub put there; it is made again", "code", "cache_tampered",
			"cache", s.Name, "key_hash", hex.EncodeToString(name[:8]), "reason", why, "not_logged", r.unlogged.Swap(0))
	} else {
		r.unlogged.Add(1)
	}
	r.unlink(ctx, name)
}

func (r *Redis) unlink(ctx context.Context, name [sha256.Size]byte) {
	_, _ = r.ask(ctx, func(ctx context.Context) error { return r.client.Unlink(ctx, outside(name)).Err() })
}

// Put is Store's. A value of more than MaxValue is not kept.
func (r *Redis) Put(ctx context.Context, s Space, key string, value []byte) {
	if len(value) > MaxValue || s.TTL < time.Millisecond {
		r.Drop(ctx, s, key)
		return
	}
	name := r.seal.name(s, key)
	sealed := r.seal.seal(name, s.Schema, r.now().Add(s.TTL), value)
	answered, err := r.ask(ctx, func(ctx context.Context) error {
		return r.client.Set(ctx, outside(name), sealed, s.TTL).Err()
	})
	if answered && err == nil {
		r.observer.CacheMoved("redis", 0, len(sealed))
	}
}

// Drop is Store's.
func (r *Redis) Drop(ctx context.Context, s Space, key string) { r.unlink(ctx, r.seal.name(s, key)) }
