package sync

import (
	"context"
	"errors"
	gosync "sync"
	"time"

	"github.com/hawser-dev/hawser/shared/fault"
)

// Governor bounds how many requests with effects are under way in the whole
// agent, and holds all of them back when the API server says to come later.
// There is no rate limit: the API server's priority and fairness decides.
type Governor struct {
	// Changed is called when what Throttled answers begins or ends, from any
	// goroutine; it must not wait. It may be nil, and is set before the first Do.
	Changed func()

	slots chan struct{}
	now   func() time.Time

	mu    gosync.Mutex
	until time.Time
	busy  throttling
}

// NewGovernor allows n requests at a time.
func NewGovernor(n int, now func() time.Time) *Governor {
	return &Governor{slots: make(chan struct{}, n), now: now}
}

// RetryAfter is an error's wish to be tried again no earlier than that.
type RetryAfter struct {
	After time.Duration
	// Alone: it is about this request only, as when one aggregated API is not
	// available. Otherwise nobody should send anything meanwhile.
	Alone bool
	Err   error
}

func (e *RetryAfter) Error() string { return e.Err.Error() }

// Unwrap returns the error proper.
func (e *RetryAfter) Unwrap() error { return e.Err }

// Pending is an error that time alone will take away, as an object that is not
// gone yet. It is tried again, for pendingPatience, and holds no slot meanwhile.
type Pending struct{ Err error }

func (e *Pending) Error() string { return e.Err.Error() }

// Unwrap returns the error proper.
func (e *Pending) Unwrap() error { return e.Err }

const (
	throttledTries = 10
	failedTries    = 5
	firstPause     = 200 * time.Millisecond
	maxPause       = 30 * time.Second
	// failedPatience bounds the time in which a failed request is begun again:
	// an API server that answers nothing holds each one for requestTimeout.
	failedPatience  = time.Minute
	pendingPatience = time.Minute
	maxPendingPause = 4 * time.Second
)

// Do runs f in a slot. It runs it again when the server was too busy, as often
// as throttledTries, and when it could not be reached or failed, as often as
// failedTries or for failedPatience; f must therefore be idempotent.
func (g *Governor) Do(ctx context.Context, f func() error) error {
	var began, pendingSince time.Time
	for throttled, failed, pending := 0, 0, 0; ; {
		if err := g.enter(ctx); err != nil {
			return err
		}
		if began.IsZero() {
			began = g.now()
		}
		err := f()
		var later *RetryAfter
		var soon *Pending
		if errors.As(err, &later) && !later.Alone {
			g.pause(later.After) // before the slot is anybody else's
		}
		<-g.slots
		switch {
		case err == nil || ctx.Err() != nil:
			return err
		case later != nil:
			if !later.Alone {
				g.throttled()
			}
			if throttled++; throttled >= throttledTries {
				return err
			}
			if !later.Alone {
				began = time.Time{} // the pause is no failure
			} else if !wait(ctx, bounded(later.After)) {
				return err
			}
		case errors.As(err, &soon):
			if pending++; pending == 1 {
				pendingSince = g.now()
			} else if g.now().Sub(pendingSince) >= pendingPatience {
				return err
			}
			if !wait(ctx, min(firstPause<<min(pending, 10), maxPendingPause)) {
				return err
			}
		case fault.Is(err, fault.Unavailable):
			g.throttled()
			if failed++; failed >= failedTries || g.now().Sub(began) >= failedPatience {
				return err
			}
			if !wait(ctx, firstPause<<failed) {
				return err
			}
		default:
			return err
		}
	}
}

func bounded(d time.Duration) time.Duration { return min(max(d, firstPause), maxPause) }

// enter waits for a slot at a time when requests may be sent. A pause may begin
// while it waits for the slot, so it looks again when it has it.
func (g *Governor) enter(ctx context.Context) error {
	for {
		if rest := g.rest(); rest > 0 && !wait(ctx, rest) {
			return context.Cause(ctx)
		}
		select {
		case g.slots <- struct{}{}:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if g.rest() <= 0 {
			return nil
		}
		<-g.slots
	}
}

// rest is how long nothing should be sent, 0 or less when it may.
func (g *Governor) rest() time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.until.Sub(g.now())
}

func (g *Governor) pause(d time.Duration) {
	d = bounded(d)
	g.mu.Lock()
	defer g.mu.Unlock()
	if t := g.now().Add(d); t.After(g.until) {
		g.until = t
	}
}

// wait reports whether d passed before ctx ended.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
