package cache

import (
	"container/list"
	"context"
	"sync"
	"time"
)

// entryBytes is about what an entry takes besides its key and value.
const entryBytes = 256

// Memory keeps values in this process; the least recently used go first.
type Memory struct {
	observer Observer
	now      func() time.Time

	mu    sync.Mutex
	max   int64
	size  int64
	order *list.List // of *entry, the front was used last
	m     map[address]*list.Element
}

type address struct{ space, schema, key string }

type entry struct {
	address
	value []byte
	until time.Time
}

func (e *entry) size() int64 {
	return int64(len(e.key)+len(e.value)) + entryBytes
}

// NewMemory makes a Memory of so many bytes. observer may be nil.
func NewMemory(max int64, observer Observer) *Memory {
	if observer == nil {
		observer = deaf{}
	}
	return &Memory{observer: observer, now: time.Now, max: max, order: list.New(), m: map[address]*list.Element{}}
}

// Get is Store's.
func (c *Memory) Get(_ context.Context, s Space, key string) ([]byte, bool) {
	v, ok := c.get(address{s.Name, s.Schema, key})
	if !ok {
		c.observer.CacheAsked("memory", s.Name, Miss)
		return nil, false
	}
	c.observer.CacheAsked("memory", s.Name, Hit)
	c.observer.CacheMoved("memory", len(v), 0)
	return v, true
}

func (c *Memory) get(at address) ([]byte, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	el, ok := c.m[at]
	if !ok {
		return nil, false
	}
	e := el.Value.(*entry)
	if !c.now().Before(e.until) {
		c.remove(el)
		return nil, false
	}
	c.order.MoveToFront(el)
	return e.value, true
}

// Put is Store's. A value of more than a quarter of the whole is not kept.
func (c *Memory) Put(_ context.Context, s Space, key string, value []byte) {
	e := &entry{address{s.Name, s.Schema, key}, value, c.now().Add(s.TTL)}
	if e.size() > c.max/4 || s.TTL <= 0 {
		c.Drop(context.Background(), s, key)
		return
	}
	c.observer.CacheMoved("memory", 0, len(value))
	c.mu.Lock()
	defer c.mu.Unlock()
	if old, ok := c.m[e.address]; ok {
		c.remove(old)
	}
	c.m[e.address] = c.order.PushFront(e)
	c.size += e.size()
	for c.size > c.max {
		c.remove(c.order.Back())
	}
}

// Drop is Store's.
func (c *Memory) Drop(_ context.Context, s Space, key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if el, ok := c.m[address{s.Name, s.Schema, key}]; ok {
		c.remove(el)
	}
}

// Bytes that are kept now.
func (c *Memory) Bytes() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.size
}

// remove drops an entry; c.mu is held.
func (c *Memory) remove(el *list.Element) {
	e := el.Value.(*entry)
	c.order.Remove(el)
	delete(c.m, e.address)
	c.size -= e.size()
}
