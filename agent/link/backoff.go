package link

import (
	"math/rand/v2"
	"time"
)

// backoff says how long to wait before the next dial: full jitter under a
// limit that doubles from base to the cap. It is a value, and pure but for the
// random source that it is given.
type backoff struct {
	base    time.Duration
	cap     time.Duration
	attempt int
}

// next counts a failed attempt and answers the wait after it.
func (b *backoff) next(r func(int64) int64) time.Duration {
	limit := b.cap
	if b.attempt < 30 {
		limit = min(b.cap, b.base<<b.attempt)
	}
	b.attempt++
	return jitter(limit, r)
}

func (b *backoff) reset() { b.attempt = 0 }

// jitter is a random part of d.
func jitter(d time.Duration, r func(int64) int64) time.Duration {
	if d <= 0 {
		return 0
	}
	return time.Duration(r(int64(d)))
}

// maxAsked bounds each wait that a hub asks for: whatever a hub says, a cluster
// is not cut off from the next one for long.
const maxAsked = 15 * time.Minute

// wait is how long to stay away after a session ended: the backoff, whose cap
// the hub may have changed, and what the hub asked for.
func (e ending) wait(retry *backoff, r func(int64) int64) time.Duration {
	wait := retry.next(r)
	if e.welcomed {
		retry.cap = min(max(5*time.Second, e.welcome.ReconnectCap), maxAsked)
		wait += jitter(min(e.welcome.ReconnectSpread, maxAsked), r)
	}
	if g := e.goAway; g != nil {
		wait += min(g.RetryAfter, maxAsked) + jitter(min(g.Spread, maxAsked), r)
	}
	return wait
}

func randomInt64(n int64) int64 { return rand.Int64N(n) }
