package auth

import (
	"sync"
	"time"
)

const (
	// maxFailures of one address within failureWindow.
	maxFailures   = 10
	failureWindow = 5 * time.Minute
	// maxAddresses bounds the memory; when it is full of addresses that are
	// being counted, new ones share one count.
	maxAddresses = 4096
	overflow     = "(others)"
)

// attempts counts failures per address in fixed windows.
type attempts struct {
	mu   sync.Mutex
	by   map[string]*failures
	tidy time.Time
}

type failures struct {
	count int
	until time.Time
}

// blocked returns how long the address has to wait, or 0.
func (a *attempts) blocked(address string, now time.Time) time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	f := a.by[address]
	if f == nil && len(a.by) >= maxAddresses {
		f = a.by[overflow]
	}
	if f == nil || f.count < maxFailures || !now.Before(f.until) {
		return 0
	}
	return f.until.Sub(now)
}

// failed counts a failure.
func (a *attempts) failed(address string, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.by == nil {
		a.by = map[string]*failures{}
	}
	if len(a.by) >= maxAddresses && !now.Before(a.tidy) {
		a.tidy = now.Add(time.Second)
		for k, f := range a.by {
			if !now.Before(f.until) {
				delete(a.by, k)
			}
		}
	}
	f := a.by[address]
	if f == nil && len(a.by) >= maxAddresses {
		address = overflow
		f = a.by[address]
	}
	if f == nil || !now.Before(f.until) {
		f = &failures{until: now.Add(failureWindow)}
		a.by[address] = f
	}
	f.count++
}

// forget takes an address's failures back after a success.
func (a *attempts) forget(address string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.by, address)
}
