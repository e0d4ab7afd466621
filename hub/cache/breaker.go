package cache

import (
	"sync"
	"time"
)

const (
	// breakAfter so many failures on end nothing is asked for a while,
	breakAfter = 3
	// which begins with minPause, doubles, and ends with maxPause.
	minPause = time.Second
	maxPause = 30 * time.Second
)

// breaker keeps callers from waiting for what has not answered. The zero value is
// closed: everybody may ask.
type breaker struct {
	mu      sync.Mutex
	failed  int
	pause   time.Duration
	until   time.Time
	probing bool
}

// allow reports whether the caller may ask; then he says what became of it.
func (b *breaker) allow(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failed < breakAfter {
		return true
	}
	if b.probing || now.Before(b.until) {
		return false
	}
	b.probing = true
	return true
}

// succeeded reports whether it was broken until now.
func (b *breaker) succeeded() (mended bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	mended = b.failed >= breakAfter
	b.failed, b.pause, b.probing = 0, 0, false
	return mended
}

// fail reports whether it breaks by this.
func (b *breaker) fail(now time.Time) (breaks bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failed++
	b.probing = false
	if b.failed < breakAfter {
		return false
	}
	b.pause = min(max(2*b.pause, minPause), maxPause)
	b.until = now.Add(b.pause)
	return b.failed == breakAfter
}

// givenUp is an answer that nobody waited for: it says nothing.
func (b *breaker) givenUp() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.probing = false
}
