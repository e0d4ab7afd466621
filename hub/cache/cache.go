package cache

import (
	"context"
	"time"
)

// Space is one kind of values.
type Space struct {
	// Name is a label of metrics.
	Name string
	// Schema is how values are written; values of another schema are not there.
	Schema string
	// TTL is how long a value is kept at most.
	TTL time.Duration
}

// Store is a cache. Its methods are safe for concurrent use.
type Store interface {
	// Get returns the value of a key, which is not to be changed. It blocks for
	// some milliseconds at most.
	Get(ctx context.Context, s Space, key string) (value []byte, ok bool)
	// Put keeps a value, which must not change any more, or does not. It blocks for
	// some milliseconds at most.
	Put(ctx context.Context, s Space, key string, value []byte)
	// Drop forgets a value that its reader cannot use.
	Drop(ctx context.Context, s Space, key string)
}

// Results of a look, for an Observer.
const (
	Hit      = "hit"
	Miss     = "miss"
	Failed   = "error"    // no answer, not in time, or not asked because of that
	Tampered = "tampered" // not what a hub had put there
)

// Observer counts. Its methods do not block.
type Observer interface {
	// CacheAsked is told of each look: where ("memory", "redis"), at what space, with
	// which of the results.
	CacheAsked(store, space, result string)
	// CacheMoved is told of bytes of values that were read from a store or written to
	// one.
	CacheMoved(store string, read, written int)
}

type deaf struct{}

func (deaf) CacheAsked(string, string, string) {}
func (deaf) CacheMoved(string, int, int)       {}

// Layered asks Near before Far, and keeps in both.
type Layered struct{ Near, Far Store }

// Get of the nearest that has it.
func (l Layered) Get(ctx context.Context, s Space, key string) ([]byte, bool) {
	if v, ok := l.Near.Get(ctx, s, key); ok {
		return v, true
	}
	v, ok := l.Far.Get(ctx, s, key)
	if ok {
		l.Near.Put(ctx, s, key, v)
	}
	return v, ok
}

// Put in both.
func (l Layered) Put(ctx context.Context, s Space, key string, value []byte) {
	l.Near.Put(ctx, s, key, value)
	l.Far.Put(ctx, s, key, value)
}

// Drop in both.
func (l Layered) Drop(ctx context.Context, s Space, key string) {
	l.Near.Drop(ctx, s, key)
	l.Far.Drop(ctx, s, key)
}

// Part is one space of a store.
type Part struct {
	Store Store
	Space Space
}

// Get, Put and Drop are those of the store.
func (p Part) Get(ctx context.Context, key string) ([]byte, bool) {
	return p.Store.Get(ctx, p.Space, key)
}

// Put keeps a value.
func (p Part) Put(ctx context.Context, key string, value []byte) {
	p.Store.Put(ctx, p.Space, key, value)
}

// Drop forgets one.
func (p Part) Drop(ctx context.Context, key string) { p.Store.Drop(ctx, p.Space, key) }
