package webhook

import (
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Requests a second, and how many may come at once. A push event costs little;
// this bounds what a stranger can make the hub do. A Git server, or the proxy
// before the hub, is one address for all its repositories.
const (
	addressRate  = 20
	addressBurst = 120
	requestRate  = 100
	requestBurst = 500
	// maxAddresses bounds the memory; when it is full of addresses that have not
	// recovered, new ones share one limit.
	maxAddresses = 4096
	otherSenders = "(others)"
)

// limits are per sender and overall.
type limits struct {
	mu      sync.Mutex
	overall *rate.Limiter
	by      map[string]*rate.Limiter
	tidied  time.Time
}

func newLimits() *limits {
	return &limits{overall: rate.NewLimiter(requestRate, requestBurst), by: map[string]*rate.Limiter{}}
}

// take counts a request and returns 0, or counts nothing and returns how long
// to wait. What one address sends beyond its limit takes nothing from others.
func (l *limits) take(address string, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	own := l.limiter(address, now)
	mine := own.ReserveN(now, 1)
	if wait := mine.DelayFrom(now); wait > 0 {
		mine.CancelAt(now)
		return wait
	}
	all := l.overall.ReserveN(now, 1)
	if wait := all.DelayFrom(now); wait > 0 {
		all.CancelAt(now)
		return wait
	}
	return 0
}

// limiter of an address, found or made. l.mu is held.
func (l *limits) limiter(address string, now time.Time) *rate.Limiter {
	if own := l.by[address]; own != nil {
		return own
	}
	if len(l.by) >= maxAddresses && now.Sub(l.tidied) >= time.Second {
		l.tidied = now
		for k, own := range l.by {
			if own.TokensAt(now) >= addressBurst {
				delete(l.by, k)
			}
		}
	}
	if len(l.by) >= maxAddresses {
		address = otherSenders
		if own := l.by[address]; own != nil {
			return own
		}
	}
	own := rate.NewLimiter(addressRate, addressBurst)
	l.by[address] = own
	return own
}

// sender is the address of the connection, since headers can be forged; for
// IPv6 the network of 64 bits, since one sender has all of it.
func sender(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return "(unknown)"
	}
	if ip = ip.Unmap().WithZone(""); ip.Is6() {
		return netip.PrefixFrom(ip, 64).Masked().String()
	}
	return ip.String()
}
