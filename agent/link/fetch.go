package link

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	agentv1 "github.com/hawser-dev/hawser/proto/gen/hawser/agent/v1"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// fetchers run at once in one session; each holds a bundle in memory.
const fetchers = 4

// fetcher gets bundles over a session's connection. Applications that share a
// bundle share the fetch.
type fetcher struct {
	ctx      context.Context
	client   agentv1.ControlClient
	partials *partials
	limit    int64
	slots    chan struct{}
	wg       sync.WaitGroup

	mu      sync.Mutex
	running map[model.Digest][]func([]byte, error)
}

func newFetcher(ctx context.Context, c agentv1.ControlClient, p *partials, limit int64) *fetcher {
	return &fetcher{ctx: ctx, client: c, partials: p, limit: limit, slots: make(chan struct{}, fetchers), running: map[model.Digest][]func([]byte, error){}}
}

func (f *fetcher) fetch(digest model.Digest, size int64, done func([]byte, error)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	waiters, running := f.running[digest]
	f.running[digest] = append(waiters, done)
	if running {
		return
	}
	f.wg.Go(func() {
		b, err := f.get(digest, size)
		f.mu.Lock()
		waiters := f.running[digest]
		delete(f.running, digest)
		f.mu.Unlock()
		for _, w := range waiters {
			w(b, err)
		}
	})
}

func (f *fetcher) get(digest model.Digest, size int64) ([]byte, error) {
	if size > f.limit {
		return nil, f.tooLarge(size)
	}
	select {
	case f.slots <- struct{}{}:
		defer func() { <-f.slots }()
	case <-f.ctx.Done():
		return nil, f.ctx.Err()
	}
	retry := backoff{base: 100 * time.Millisecond, cap: 5 * time.Second}
	for {
		have, err := f.attempt(digest, f.partials.take(digest))
		if err == nil {
			return have, nil
		}
		f.partials.keep(digest, have)
		if e := fault.As(err); f.ctx.Err() != nil || !e.Kind.Retryable() || e.Kind == fault.Internal {
			return nil, err
		}
		select {
		case <-f.ctx.Done():
			return nil, f.ctx.Err()
		case <-time.After(retry.next(randomInt64)):
		}
	}
}

// attempt goes on where have ends, and returns what it has in any case.
func (f *fetcher) attempt(digest model.Digest, have []byte) ([]byte, error) {
	ctx, cancel := context.WithCancel(f.ctx)
	defer cancel()
	stream, err := f.client.GetBundle(ctx, &agentv1.GetBundleRequest{Digest: string(digest), Offset: int64(len(have))})
	if err != nil {
		return have, fault.FromGRPC(err)
	}
	total := int64(-1)
	for {
		chunk, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			if total < 0 || int64(len(have)) != total {
				return have, fault.New(fault.Unavailable, "bundle_cut", "the bundle's transfer ended early")
			}
			return have, nil
		}
		if err != nil {
			err = fault.FromGRPC(err)
			if fault.HasCode(err, "bundle_offset") { // what we hold is of no use
				return nil, fault.New(fault.Unavailable, "bundle_cut", "the bundle's transfer starts anew")
			}
			return have, err
		}
		total = chunk.Total
		if total > f.limit {
			return nil, f.tooLarge(total)
		}
		if int64(len(have)+len(chunk.Data)) > total {
			return nil, fault.New(fault.Unprocessable, "bundle_corrupt", "the bundle is longer than announced")
		}
		if have == nil {
			have = make([]byte, 0, total)
		}
		have = append(have, chunk.Data...)
	}
}

func (f *fetcher) tooLarge(n int64) error {
	return fault.New(fault.TooLarge, "bundle_too_large", "the bundle has %d bytes; this agent takes at most %d", n, f.limit)
}

// partials keeps the beginnings of bundles whose transfer was cut, across
// sessions, within a bound. It is safe for concurrent use.
type partials struct {
	mu    sync.Mutex
	data  map[model.Digest][]byte
	bytes int
}

const maxPartialBytes = 16 << 20

func newPartials() *partials { return &partials{data: map[model.Digest][]byte{}} }

func (p *partials) take(d model.Digest) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	b := p.data[d]
	delete(p.data, d)
	p.bytes -= len(b)
	return b
}

func (p *partials) keep(d model.Digest, b []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(b) == 0 || p.bytes+len(b) > maxPartialBytes {
		return
	}
	p.data[d] = b
	p.bytes += len(b)
}

// clear forgets all; called when the hub's whole state has arrived, so that
// bundles which nobody wants any more do not stay.
func (p *partials) clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.data, p.bytes = map[model.Digest][]byte{}, 0
}
