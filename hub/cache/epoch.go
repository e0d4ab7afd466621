package cache

import (
	"context"
	"sync"
	"time"
)

const (
	// epochKnown is for how long an epoch that was read is taken for the newest.
	epochKnown = 500 * time.Millisecond
	// epochTimeout of reading it.
	epochTimeout = time.Second
)

// Epoch is a word in the database that changes every second while somebody asks
// for it, and at once when something was taken back. What was read from the
// database while it was the newest, and is kept under a name with it, can be found
// for a second and a half after that, and not later, whatever a Redis answers and
// whatever the clocks of hubs show: nobody asks for the old name any more.
//
// It is safe for concurrent use.
type Epoch struct {
	read func(ctx context.Context, roll bool) (string, error)
	now  func() time.Time

	asking sync.Mutex // one reads at a time

	mu        sync.Mutex
	value     string
	until     time.Time
	forgotten uint64 // how often something was taken back
	rolled    uint64 // forgotten, as of the last change that was asked for
}

// NewEpoch makes an Epoch. read reads the word; with roll it changes it first.
func NewEpoch(read func(ctx context.Context, roll bool) (string, error)) *Epoch {
	return &Epoch{read: read, now: time.Now}
}

// Current is the newest epoch as far as is known, "" when it is not known: then
// nothing is to be looked for or kept.
func (e *Epoch) Current(ctx context.Context) string {
	if v, known := e.known(); known {
		return v
	}
	e.asking.Lock()
	defer e.asking.Unlock()
	if v, known := e.known(); known { // another has asked meanwhile
		return v
	}
	e.mu.Lock()
	forgotten, roll := e.forgotten, e.forgotten != e.rolled
	e.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, epochTimeout)
	defer cancel()
	start := e.now()
	v, err := e.read(ctx, roll)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.value, e.until = v, start.Add(epochKnown)
	switch {
	case err != nil:
		e.value = "" // and nobody asks for a while, unless only this caller went away
		if ctx.Err() != nil {
			e.until = time.Time{}
		}
	case e.forgotten != forgotten:
		e.value, e.until = "", time.Time{}
	default:
		e.rolled = forgotten
	}
	return e.value
}

func (e *Epoch) known() (string, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.value, e.now().Before(e.until) && e.forgotten == e.rolled
}

// Forget ends the epoch: what was kept until now is found no more, here at once and
// elsewhere when they ask again.
func (e *Epoch) Forget() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.forgotten++
}
