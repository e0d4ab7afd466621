package link

import (
	"bytes"
	"context"
	"crypto/rand"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	agentv1 "github.com/hawser-dev/hawser/proto/gen/hawser/agent/v1"
	"github.com/hawser-dev/hawser/shared/fault"
)

// shelf serves one bundle and breaks off as told.
type shelf struct {
	agentv1.ControlClient
	bundle []byte
	total  int64 // as announced
	cutAt  []int // break off before this byte, one for each attempt
	err    error

	mu      sync.Mutex
	offsets []int64
}

type shelfStream struct {
	grpc.ClientStream
	s   *shelf
	at  int64
	cut int64
}

func (s *shelf) GetBundle(_ context.Context, req *agentv1.GetBundleRequest, _ ...grpc.CallOption) (grpc.ServerStreamingClient[agentv1.BundleChunk], error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	cut := int64(-1)
	if n := len(s.offsets); n < len(s.cutAt) {
		cut = int64(s.cutAt[n])
	}
	s.offsets = append(s.offsets, req.Offset)
	return &shelfStream{s: s, at: req.Offset, cut: cut}, nil
}

func (st *shelfStream) Recv() (*agentv1.BundleChunk, error) {
	if st.s.err != nil {
		return nil, st.s.err
	}
	end := min(st.at+100, int64(len(st.s.bundle)))
	if st.cut >= 0 && end > st.cut {
		return nil, status.Error(codes.Unavailable, "cut")
	}
	if st.at == int64(len(st.s.bundle)) {
		return nil, io.EOF
	}
	c := &agentv1.BundleChunk{Data: st.s.bundle[st.at:end], Total: st.s.total}
	st.at = end
	return c, nil
}

func get(t *testing.T, s *shelf, p *partials, limit int64) ([]byte, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	f := newFetcher(ctx, s, p, limit)
	type answer struct {
		b   []byte
		err error
	}
	// Two applications want it, and share one transfer.
	answers := make(chan answer, 2)
	for range fetchers { // nothing begins before both have asked
		f.slots <- struct{}{}
	}
	for range 2 {
		f.fetch("d", 0, func(b []byte, err error) { answers <- answer{b, err} })
	}
	for range fetchers {
		<-f.slots
	}
	first, second := <-answers, <-answers
	f.wg.Wait()
	if !bytes.Equal(first.b, second.b) {
		t.Error("the two were answered differently")
	}
	return first.b, first.err
}

func TestAFetchGoesOnWhereItWasCut(t *testing.T) {
	bundle := make([]byte, 1000)
	rand.Read(bundle)
	s := &shelf{bundle: bundle, total: 1000, cutAt: []int{300, 300, 750}}
	got, err := get(t, s, newPartials(), 1<<20)
	if err != nil || !bytes.Equal(got, bundle) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if want := []int64{0, 300, 300, 700}; !slices.Equal(s.offsets, want) {
		t.Errorf("asked from %v, want %v", s.offsets, want)
	}
}

func TestAFetchGoesOnInTheNextSession(t *testing.T) {
	bundle := make([]byte, 1000)
	rand.Read(bundle)
	p := newPartials()
	ctx, cancel := context.WithCancel(t.Context())
	s := &shelf{bundle: bundle, total: 1000, cutAt: slices.Repeat([]int{500}, 1000)}
	f := newFetcher(ctx, s, p, 1<<20)
	done := make(chan error, 1)
	f.fetch("d", 0, func(_ []byte, err error) { done <- err })
	for {
		s.mu.Lock()
		n := len(s.offsets)
		s.mu.Unlock()
		if n > 0 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	cancel()
	if err := <-done; err == nil {
		t.Fatal("a transfer that is always cut succeeded")
	}
	next := &shelf{bundle: bundle, total: 1000}
	got, err := get(t, next, p, 1<<20)
	if err != nil || !bytes.Equal(got, bundle) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if next.offsets[0] != 500 {
		t.Errorf("the next session asked from %v", next.offsets)
	}
}

func TestFetchesThatFail(t *testing.T) {
	bundle := make([]byte, 1000)
	for code, s := range map[string]*shelf{
		"bundle_unknown":   {err: fault.GRPC(fault.New(fault.NotFound, "bundle_unknown", "none"))},
		"bundle_too_large": {bundle: bundle, total: 5000},
		"bundle_corrupt":   {bundle: bundle, total: 350},
	} {
		got, err := get(t, s, newPartials(), 2000)
		if !fault.HasCode(err, code) || got != nil {
			t.Errorf("%d bytes, %v; want %s", len(got), err, code)
		}
		if len(s.offsets) != 1 {
			t.Errorf("%s was tried %d times", code, len(s.offsets))
		}
	}
}
