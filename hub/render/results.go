package render

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"log/slog"

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

// Cache keeps results, and traces where hubs share them. Values that are given or
// got do not change any more. It may forget everything at any time, and answers
// within milliseconds. What it returns is checked here again.
type Cache interface {
	Get(ctx context.Context, key string) ([]byte, bool)
	Put(ctx context.Context, key string, value []byte)
	Drop(ctx context.Context, key string)
}

// nothing is a Cache that forgets at once.
type nothing struct{}

func (nothing) Get(context.Context, string) ([]byte, bool) { return nil, false }
func (nothing) Put(context.Context, string, []byte)        {}
func (nothing) Drop(context.Context, string)               {}

// keptHeader is what is kept of a result before its bundle.
type keptHeader struct {
	Key      string              `json:"key"`
	Digest   model.Digest        `json:"digest"`
	Origins  []string            `json:"origins"`
	Warnings []workspace.Warning `json:"warnings"`
	Tool     string              `json:"tool"`
}

// encode is a result as it is kept: the length of the header, the header, the
// bundle.
func (r *rendered) encode() ([]byte, error) {
	header, err := json.Marshal(keptHeader{r.key, r.digest, r.origins, r.warnings, r.tool})
	if err != nil {
		return nil, err
	}
	out := make([]byte, 0, binary.MaxVarintLen64+len(header)+len(r.encoded))
	out = binary.AppendUvarint(out, uint64(len(header)))
	out = append(out, header...)
	return append(out, r.encoded...), nil
}

func decodeRendered(kept []byte) (*rendered, error) {
	size, n := binary.Uvarint(kept)
	if n <= 0 || size > uint64(len(kept)-n) {
		return nil, errors.New("it is cut")
	}
	end := n + int(size)
	var h keptHeader
	if err := json.Unmarshal(kept[n:end], &h); err != nil {
		return nil, err
	}
	return &rendered{key: h.Key, encoded: kept[end:len(kept):len(kept)], digest: h.Digest, origins: h.Origins, warnings: h.Warnings, tool: h.Tool}, nil
}

// results keeps results by key. It is safe for concurrent use.
type results struct {
	log   *slog.Logger
	cache Cache
}

// get returns a result and its objects, which are the caller's. What is kept is
// checked against its digest and its key; what does not fit is reported, dropped
// and not there.
func (c *results) get(ctx context.Context, key string) (*rendered, []manifest.Object, bool) {
	kept, ok := c.cache.Get(ctx, key)
	if !ok {
		return nil, nil, false
	}
	r, err := decodeRendered(kept)
	var objects []manifest.Object
	if err == nil {
		objects, err = r.objects()
	}
	if err == nil && r.key == key {
		return r, objects, true
	}
	keptAs := ""
	if r != nil {
		keptAs = r.key
	}
	c.log.Error("a kept render is not what was kept; it is rendered again", "code", "cache_tampered", "key", key, "kept_as", keptAs, "error", err)
	c.cache.Drop(ctx, key)
	return nil, nil, false
}

func (c *results) put(ctx context.Context, r *rendered) {
	kept, err := r.encode()
	if err != nil {
		c.log.Error("a render is not kept", "error", err)
		return
	}
	c.cache.Put(ctx, r.key, kept)
}
