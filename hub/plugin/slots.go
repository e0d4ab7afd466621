package plugin

import (
	"context"
	"slices"
	"sync"
)

// slots bound the runs at a time. The lowest free one is taken, so that runs one
// after the other have the same.
type slots struct {
	tokens chan struct{}

	mu   sync.Mutex
	free []int // ascending
}

func newSlots(n int) *slots {
	s := &slots{tokens: make(chan struct{}, n)}
	for i := range n {
		s.free = append(s.free, i)
	}
	return s
}

// take waits for a slot. It returns ctx's error.
func (s *slots) take(ctx context.Context) (int, error) {
	select {
	case s.tokens <- struct{}{}:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	slot := s.free[0]
	s.free = s.free[1:]
	return slot, nil
}

func (s *slots) giveBack(slot int) {
	s.mu.Lock()
	i, _ := slices.BinarySearch(s.free, slot)
	s.free = slices.Insert(s.free, i, slot)
	s.mu.Unlock()
	<-s.tokens
}
