package source

import (
	"container/list"
	"sync"
)

// byteCache keeps immutable values by name, the least recently used go first
// when they are more than a number of bytes.
type byteCache struct {
	mu    sync.Mutex
	max   int64
	size  int64
	order *list.List // of *cached, the front was used last
	m     map[string]*list.Element
}

type cached struct {
	name  string
	value any
	size  int64
}

func newByteCache(max int64) *byteCache {
	return &byteCache{max: max, order: list.New(), m: map[string]*list.Element{}}
}

func (c *byteCache) get(name string) (any, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.m[name]
	if !ok {
		return nil, false
	}
	c.order.MoveToFront(e)
	return e.Value.(*cached).value, true
}

// put keeps value; size is about what it costs in bytes.
func (c *byteCache) put(name string, value any, size int64) {
	size += int64(len(name)) + 128
	if size > c.max/4 {
		return // one value must not push out everything
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.m[name]; ok {
		c.order.MoveToFront(e)
		return // values of one name are equal
	}
	c.m[name] = c.order.PushFront(&cached{name, value, size})
	c.size += size
	for c.size > c.max {
		last := c.order.Back()
		old := last.Value.(*cached)
		c.order.Remove(last)
		delete(c.m, old.name)
		c.size -= old.size
	}
}
