package helm

import (
	"container/list"
	"crypto/sha256"
	"encoding/binary"
	"sync"

	"helm.sh/helm/v3/pkg/chart"
)

// cache keeps what was made of contents, by their digest, within a number of
// bytes of contents; what was used least recently goes first. It is safe for
// concurrent use.
type cache[V any] struct {
	mu    sync.Mutex
	max   int
	size  int
	order list.List // of *cached[V], the front was used last
	byKey map[[sha256.Size]byte]*list.Element
}

type cached[V any] struct {
	key   [sha256.Size]byte
	value V
	size  int
}

func newCache[V any](max int) *cache[V] {
	return &cache[V]{max: max, byKey: map[[sha256.Size]byte]*list.Element{}}
}

func (c *cache[V]) get(key [sha256.Size]byte) (v V, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.byKey[key]
	if !ok {
		return v, false
	}
	c.order.MoveToFront(e)
	return e.Value.(*cached[V]).value, true
}

func (c *cache[V]) put(key [sha256.Size]byte, v V, size int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.byKey[key]; ok || size > c.max/4 {
		return
	}
	c.byKey[key] = c.order.PushFront(&cached[V]{key, v, size})
	for c.size += size; c.size > c.max; {
		last := c.order.Back()
		old := last.Value.(*cached[V])
		c.order.Remove(last)
		delete(c.byKey, old.key)
		c.size -= old.size
	}
}

// charts are parsed charts by the digest of their files.
type charts struct{ *cache[*chart.Chart] }

// parsed are the charts that this process has parsed: applications share
// charts, and a chart changes less often than its values.
var parsed = charts{newCache[*chart.Chart](16 << 20)}

// get parses a chart, or makes a copy of what it parsed before.
func (c charts) get(files []file) (*chart.Chart, error) {
	h := sha256.New()
	var length [8]byte
	size := 0
	part := func(b []byte) {
		binary.LittleEndian.PutUint64(length[:], uint64(len(b)))
		h.Write(length[:])
		h.Write(b)
	}
	for _, f := range files {
		part([]byte(f.name))
		part(f.data)
		size += len(f.data) + 64
	}
	key := [sha256.Size]byte(h.Sum(nil))
	if known, ok := c.cache.get(key); ok {
		return cloneChart(known), nil
	}
	made, err := parseChart(files)
	if err != nil {
		return nil, err
	}
	// Values of YAML cost several times their text, and archives unpack.
	c.put(key, made, 4*size+chartSize(made))
	return cloneChart(made), nil
}

func chartSize(c *chart.Chart) int {
	n := 0
	for _, f := range c.Templates {
		n += len(f.Data)
	}
	for _, f := range c.Files {
		n += len(f.Data)
	}
	for _, d := range c.Dependencies() {
		n += chartSize(d)
	}
	return n
}
