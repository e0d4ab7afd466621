package auth

import (
	"sync"
	"time"
)

const (
	// maxFailures of one network within attemptWindow, of tokens and of codes.
	maxFailures = 10
	// maxBlocked bounds the memory. Those that do not fit are asked of the database.
	maxBlocked = 4096
)

// blocked remembers who is blocked until when. The database knows it better; this
// keeps it from being asked by those who are.
type blocked struct {
	mu sync.Mutex
	by map[string]time.Time
}

// until is when the block ends, or zero when there is none.
func (b *blocked) until(key string, now time.Time) time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	if t := b.by[key]; now.Before(t) {
		return t
	}
	return time.Time{}
}

func (b *blocked) add(key string, until, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.by == nil {
		b.by = map[string]time.Time{}
	}
	if len(b.by) >= maxBlocked {
		for k, t := range b.by {
			if !now.Before(t) {
				delete(b.by, k)
			}
		}
	}
	if len(b.by) < maxBlocked {
		b.by[key] = until
	}
}
