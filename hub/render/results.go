package render

import (
	"container/list"
	"log/slog"
	"sync"

	"github.com/hawser-dev/hawser/hub/render/workspace"
	workerv1 "github.com/hawser-dev/hawser/proto/gen/hawser/worker/v1"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/manifest"
	"github.com/hawser-dev/hawser/shared/model"
)

// rendered is a result in its compact form. It does not change.
type rendered struct {
	key      string
	encoded  []byte
	digest   model.Digest
	origins  []string
	warnings []workspace.Warning
	tool     string
}

// maxWarnings is how many are taken of one worker.
const maxWarnings = 50

func newRendered(r *workerv1.RenderResult) *rendered {
	out := &rendered{encoded: r.GetBundle(), digest: model.Digest(r.GetDigest()), origins: r.GetOrigins(), tool: r.GetTool()}
	for _, w := range r.GetWarnings()[:min(len(r.GetWarnings()), maxWarnings)] {
		out.warnings = append(out.warnings, workspace.Warning{Code: w.GetCode(), Message: w.GetMessage()})
	}
	return out
}

// objects decodes the bundle, which checks that its content is what the digest
// says.
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
	n := int64(len(r.encoded)+len(r.key)) + 512
	for _, o := range r.origins {
		n += int64(len(o)) + 16
	}
	for _, w := range r.warnings {
		n += int64(len(w.Code)+len(w.Message)) + 32
	}
	return n
}

// results keeps results by key; the least recently used go first. It is safe for
// concurrent use.
type results struct {
	log *slog.Logger

	mu    sync.Mutex
	max   int64
	size  int64
	order *list.List // of *rendered, the front was used last
	m     map[string]*list.Element
}

func newResults(max int64, log *slog.Logger) *results {
	return &results{log: log, max: max, order: list.New(), m: map[string]*list.Element{}}
}

// get returns a result and its objects, which are the caller's. What is kept is
// checked against its digest and its key; what does not fit is reported, dropped
// and not there.
func (c *results) get(key string) (*rendered, []manifest.Object, bool) {
	c.mu.Lock()
	e, ok := c.m[key]
	if !ok {
		c.mu.Unlock()
		return nil, nil, false
	}
	c.order.MoveToFront(e)
	r := e.Value.(*rendered)
	c.mu.Unlock()
	objects, err := r.objects()
	if err == nil && r.key == key {
		return r, objects, true
	}
	c.log.Error("a kept render is not what was kept; it is rendered again", "code", "cache_tampered", "key", key, "kept_as", r.key, "error", err)
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.m[key]; ok && e.Value.(*rendered) == r {
		c.remove(key, e)
	}
	return nil, nil, false
}

func (c *results) put(r *rendered) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.size() > c.max/4 {
		return
	}
	if e, ok := c.m[r.key]; ok {
		c.remove(r.key, e)
	}
	c.m[r.key] = c.order.PushFront(r)
	c.size += r.size()
	for c.size > c.max {
		last := c.order.Back()
		c.remove(last.Value.(*rendered).key, last)
	}
}

func (c *results) remove(key string, e *list.Element) {
	c.order.Remove(e)
	delete(c.m, key)
	c.size -= e.Value.(*rendered).size()
}
