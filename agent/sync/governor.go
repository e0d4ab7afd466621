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
	slots chan struct{}
	now   func() time.Time

	mu    gosync.Mutex
	until time.Time
}

// NewGovernor allows n requests at a time.
func NewGovernor(n int, now func() time.Time) *Governor {
	return &Governor{slots: make(chan struct{}, n), now: now}
}

// RetryAfter is an error's wish to be tried again no earlier than that.
type RetryAfter struct {
	After time.Duration
	Err   error
}

func (e *RetryAfter) Error() string { return e.Err.Error() }

// Unwrap returns the error proper.
func (e *RetryAfter) Unwrap() error { return e.Err }

const (
	throttledTries = 10
	failedTries    = 3
	firstPause     = 200 * time.Millisecond
	maxPause       = 30 * time.Second
)

// Do runs f in a slot. It runs it again when the server was too busy, as often
// as throttledTries, and when it could not be reached or failed, as often as
// failedTries; f must therefore be idempotent.
func (g *Governor) Do(ctx context.Context, f func() error) error {
	for throttled, failed := 0, 0; ; {
		if err := g.enter(ctx); err != nil {
			return err
		}
		err := f()
		<-g.slots
		var later *RetryAfter
		switch {
		case err == nil || ctx.Err() != nil:
			return err
		case errors.As(err, &later):
			throttled++
			if throttled >= throttledTries {
				return err
			}
			g.pause(later.After)
		case fault.Is(err, fault.Unavailable):
			failed++
			if failed >= failedTries {
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

func (g *Governor) enter(ctx context.Context) error {
	for {
		g.mu.Lock()
		rest := g.until.Sub(g.now())
		g.mu.Unlock()
		if rest <= 0 {
			break
		}
		if !wait(ctx, rest) {
			return context.Cause(ctx)
		}
	}
	select {
	case g.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (g *Governor) pause(d time.Duration) {
	d = min(max(d, firstPause), maxPause)
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
