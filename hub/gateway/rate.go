package gateway

import "time"

// bucket is a token bucket: it starts full, each session takes one, and one
// comes back per refill.
type bucket struct {
	level float64
	at    time.Time
}

// take answers how long to wait when the bucket is empty, zero when one was
// taken.
func (b *bucket) take(now time.Time, burst int, refill time.Duration) time.Duration {
	b.fill(now, burst, refill)
	if b.level >= 1 {
		b.level--
		return 0
	}
	return time.Duration((1 - b.level) * float64(refill))
}

// owe takes n, of which the bucket may not have all, and answers how long to wait
// until it has.
func (b *bucket) owe(now time.Time, n, burst int, refill time.Duration) time.Duration {
	b.fill(now, burst, refill)
	b.level -= float64(n)
	return time.Duration(max(0, -b.level) * float64(refill))
}

func (b *bucket) fill(now time.Time, burst int, refill time.Duration) {
	if b.at.IsZero() {
		b.level = float64(burst)
	} else if d := now.Sub(b.at); d > 0 {
		b.level = min(float64(burst), b.level+float64(d)/float64(refill))
	}
	b.at = now
}

// full reports whether the bucket has recovered, and can be forgotten.
func (b *bucket) full(now time.Time, burst int, refill time.Duration) bool {
	return b.level+float64(now.Sub(b.at))/float64(refill) >= float64(burst)
}
