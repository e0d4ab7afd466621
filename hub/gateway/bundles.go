package gateway

import (
	"container/list"
	"context"
	"sync"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	agentv1 "github.com/hawser-dev/hawser/proto/gen/hawser/agent/v1"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// chunkBytes of an encoded bundle travel in one message.
const chunkBytes = 256 << 10

// bundleCache keeps encoded bundles, the least recently used dropped first.
// They are named by their content, so nothing in it can be out of date. It is
// safe for concurrent use.
type bundleCache struct {
	mu    sync.Mutex
	limit int64
	size  int64
	order *list.List // of *cached, newest first
	index map[model.Digest]*list.Element
}

type cached struct {
	digest  model.Digest
	encoded []byte
}

func newBundleCache(limit int64) *bundleCache {
	return &bundleCache{limit: limit, order: list.New(), index: map[model.Digest]*list.Element{}}
}

func (c *bundleCache) get(d model.Digest) ([]byte, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.index[d]
	if !ok {
		return nil, false
	}
	c.order.MoveToFront(e)
	return e.Value.(*cached).encoded, true
}

func (c *bundleCache) put(d model.Digest, encoded []byte) {
	if int64(len(encoded)) > c.limit {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.index[d]; ok {
		c.order.MoveToFront(e)
		return
	}
	c.index[d] = c.order.PushFront(&cached{digest: d, encoded: encoded})
	c.size += int64(len(encoded))
	for c.size > c.limit {
		last := c.order.Back()
		old := c.order.Remove(last).(*cached)
		delete(c.index, old.digest)
		c.size -= int64(len(old.encoded))
	}
}

// inlineBundles returns the encoded bundles that are small enough to travel
// inside Desired.
func (g *Gateway) inlineBundles(ctx context.Context, desired []model.Desired) (map[model.Digest][]byte, error) {
	out := make(map[model.Digest][]byte, len(desired))
	var missing []model.Digest
	for _, d := range desired {
		if d.BundleBytes > g.opts.InlineBytes {
			continue
		}
		if _, seen := out[d.Bundle]; seen {
			continue
		}
		b, ok := g.bundles.get(d.Bundle)
		if !ok {
			missing = append(missing, d.Bundle)
		}
		out[d.Bundle] = b
	}
	var mu sync.Mutex
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(4)
	for _, digest := range missing {
		group.Go(func() error {
			b, err := g.opts.Store.Bundle(gctx, digest)
			switch {
			case fault.Is(err, fault.NotFound):
				b = nil // the agent's own fetch will name the application
			case err != nil:
				return err
			case int64(len(b)) > g.opts.InlineBytes:
				b = nil // its length was not recorded; the agent fetches it
			default:
				g.bundles.put(digest, b)
			}
			mu.Lock()
			out[digest] = b
			mu.Unlock()
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return out, nil
}

// GetBundle implements the Control service: it streams a bundle that the
// caller's desired state names, while the caller has a session.
func (c *control) GetBundle(req *agentv1.GetBundleRequest, stream grpc.ServerStreamingServer[agentv1.BundleChunk]) error {
	who, err := agentOf(stream.Context())
	if err != nil {
		c.g.logRefusal(stream.Context(), "bundle refused", err)
		return fault.GRPC(err)
	}
	return fault.GRPC(c.g.sendBundle(who, req, stream))
}

func (g *Gateway) sendBundle(who *caller, req *agentv1.GetBundleRequest, stream grpc.ServerStreamingServer[agentv1.BundleChunk]) error {
	// An open session on this very connection means that the certificate is
	// not revoked and the caller is the cluster's newest agent.
	if !g.hasSessionOn(who) {
		return fault.New(fault.Precondition, "session_missing", "bundles are fetched on the connection of an open session")
	}
	digest := model.Digest(req.GetDigest())
	encoded, err := g.opts.Store.BundleFor(stream.Context(), who.identity.Cluster, digest)
	if err != nil {
		return err
	}
	total := int64(len(encoded))
	if req.Offset < 0 || req.Offset > total {
		return fault.New(fault.Invalid, "bundle_offset", "the offset %d is outside the bundle's %d bytes", req.Offset, total)
	}
	for at := req.Offset; ; {
		end := min(at+chunkBytes, total)
		if err := stream.Send(&agentv1.BundleChunk{Data: encoded[at:end], Total: total}); err != nil {
			return err
		}
		if at = end; at == total {
			return nil
		}
	}
}

func (g *Gateway) hasSessionOn(who *caller) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	c := g.clusters[who.identity.Cluster]
	return c != nil && c.current != nil && c.current.caller.conn == who.conn
}
