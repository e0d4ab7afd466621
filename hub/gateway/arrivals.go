package gateway

import (
	"net/netip"
	"time"
)

// maxAddresses bounds the addresses of which the rate is known.
const maxAddresses = 64 << 10

// arrivals bounds how fast connections come from one address. It is of one goroutine.
type arrivals struct {
	burst int
	every time.Duration
	from  map[netip.Prefix]*bucket
}

// may reports whether one more may come.
func (a *arrivals) may(from netip.Prefix, now time.Time) bool {
	b := a.from[from]
	if b == nil {
		if len(a.from) >= maxAddresses {
			a.forget(now)
		}
		if a.from == nil {
			a.from = map[netip.Prefix]*bucket{}
		}
		b = &bucket{}
		a.from[from] = b
	}
	return b.take(now, a.burst, a.every) == 0
}

// forget drops those that have recovered, and when none has, all: a bucket that is
// forgotten is a full one, so nobody is refused for it.
func (a *arrivals) forget(now time.Time) {
	for from, b := range a.from {
		if b.full(now, a.burst, a.every) {
			delete(a.from, from)
		}
	}
	if len(a.from) >= maxAddresses {
		clear(a.from)
	}
}
