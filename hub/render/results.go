package render

import (
	"container/list"
	"context"
	"errors"
	"sync"

	workerv1 "github.com/hawser-dev/hawser/proto/gen/hawser/worker/v1"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/manifest"
	"github.com/hawser-dev/hawser/shared/model"
)

// rendered is a result in its compact form.
type rendered struct {
	encoded []byte
	digest  model.Digest
	origins []string
}

func newRendered(r *workerv1.RenderResult) *rendered {
	return &rendered{encoded: r.GetBundle(), digest: model.Digest(r.GetDigest()), origins: r.GetOrigins()}
}

// objects decodes the bundle, which checks that the worker's count and digest
// are true.
func (r *rendered) objects() ([]manifest.Object, error) {
	objs, err := manifest.DecodeBundle(r.encoded, r.digest)
	if err != nil {
		return nil, err
	}
	if len(objs) != len(r.origins) {
		return nil, fault.New(fault.Internal, "internal", "the render worker named %d origins of %d objects", len(r.origins), len(objs))
	}
	for i := range objs {
		objs[i].Origin = r.origins[i]
	}
	return objs, nil
}

func (r *rendered) size() int64 {
	n := int64(len(r.encoded)) + 256
	for _, o := range r.origins {
		n += int64(len(o)) + 16
	}
	return n
}

// resultCache keeps results by key, and errors that the content causes; the
// least recently used go first. Renders of one key run once, whoever asks.
type resultCache struct {
	mu      sync.Mutex
	max     int64
	size    int64
	order   *list.List // of *outcome, the front was used last
	m       map[string]*list.Element
	running map[string]*flight
}

type outcome struct {
	key  string
	out  *rendered
	err  error
	size int64
}

type flight struct {
	done chan struct{}
	out  *rendered
	err  error
}

func newResultCache(max int64) *resultCache {
	return &resultCache{max: max, order: list.New(), m: map[string]*list.Element{}, running: map[string]*flight{}}
}

// do returns the outcome for key, from the cache, from a render that is running,
// or from f.
func (c *resultCache) do(ctx context.Context, key string, f func() (*rendered, error)) (*rendered, error) {
	for {
		c.mu.Lock()
		if e, ok := c.m[key]; ok {
			c.order.MoveToFront(e)
			o := e.Value.(*outcome)
			c.mu.Unlock()
			return o.out, o.err
		}
		fl, ok := c.running[key]
		if !ok {
			fl = &flight{done: make(chan struct{})}
			c.running[key] = fl
			c.mu.Unlock()
			fl.out, fl.err = f()
			c.finish(key, fl)
			return fl.out, fl.err
		}
		c.mu.Unlock()
		select {
		case <-fl.done:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		if fl.err == nil || lasting(fl.err) {
			return fl.out, fl.err
		}
		if errors.Is(fl.err, context.Canceled) || errors.Is(fl.err, context.DeadlineExceeded) {
			continue // somebody else's patience ended, not ours
		}
		return nil, fl.err
	}
}

// lasting reports whether an error is a property of the content, so that the
// same content gives it again. A render that was killed may do better next time.
func lasting(err error) bool {
	return fault.Is(err, fault.Unprocessable) && !fault.HasCode(err, "render_timeout") && !fault.HasCode(err, "render_crashed")
}

func (c *resultCache) finish(key string, fl *flight) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.running, key)
	close(fl.done)
	if fl.err != nil && !lasting(fl.err) {
		return
	}
	o := &outcome{key: key, out: fl.out, err: fl.err, size: 4096}
	if fl.out != nil {
		o.size = fl.out.size()
	}
	if o.size > c.max/4 {
		return
	}
	c.m[key] = c.order.PushFront(o)
	c.size += o.size
	for c.size > c.max {
		last := c.order.Back()
		old := last.Value.(*outcome)
		c.order.Remove(last)
		delete(c.m, old.key)
		c.size -= old.size
	}
}
