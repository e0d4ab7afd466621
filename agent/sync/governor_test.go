package sync

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hawser-dev/hawser/shared/fault"
)

func TestGovernorHoldsNobodyUpForOneRequest(t *testing.T) {
	for name, kind := range map[string]error{
		"an object that is not gone": &Pending{Err: fault.New(fault.Unavailable, "still_deleting", "not gone")},
		"an API that is away":        &RetryAfter{After: 10 * time.Second, Alone: true, Err: fault.New(fault.Unavailable, "cluster_unavailable", "away")},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := NewGovernor(1, time.Now)
				began, tries := time.Now(), 0
				done := make(chan error)
				go func() {
					done <- g.Do(t.Context(), func() error {
						if tries++; tries < 4 {
							return kind
						}
						return nil
					})
				}()
				synctest.Wait()
				if err := g.Do(t.Context(), func() error { return nil }); err != nil || time.Since(began) > 0 {
					t.Errorf("another request had to wait %s: %v", time.Since(began), err)
				}
				if err := <-done; err != nil || tries != 4 {
					t.Errorf("%v after %d tries", err, tries)
				}
			})
		})
	}
}

func TestGovernorHoldsEverybodyBackWhenTheServerIsBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGovernor(4, time.Now)
		began, tries := time.Now(), 0
		done := make(chan error)
		go func() {
			done <- g.Do(t.Context(), func() error {
				if tries++; tries == 1 {
					return &RetryAfter{After: 5 * time.Second, Err: fault.New(fault.RateLimited, "throttled", "busy")}
				}
				return nil
			})
		}()
		synctest.Wait()
		if err := g.Do(t.Context(), func() error { return nil }); err != nil || time.Since(began) != 5*time.Second {
			t.Errorf("another request waited %s: %v", time.Since(began), err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// Who waits for a slot when the pause begins has not sent anything yet, and must not.
func TestGovernorHoldsBackWhoWaitsForASlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGovernor(1, time.Now)
		began, tries := time.Now(), 0
		busy := make(chan struct{})
		done := make(chan error, 2)
		go func() {
			done <- g.Do(t.Context(), func() error {
				if tries++; tries > 1 {
					return nil
				}
				<-busy
				return &RetryAfter{After: 5 * time.Second, Err: fault.New(fault.RateLimited, "throttled", "busy")}
			})
		}()
		synctest.Wait()
		go func() {
			done <- g.Do(t.Context(), func() error {
				if waited := time.Since(began); waited != 5*time.Second {
					t.Errorf("a request that waited for a slot was sent after %s of 5s", waited)
				}
				return nil
			})
		}()
		synctest.Wait()
		close(busy)
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	})
}

func TestGovernorGivesUp(t *testing.T) {
	away := fault.New(fault.Unavailable, "cluster_unreachable", "away")
	for _, c := range []struct {
		name        string
		err         error
		takes       time.Duration // of one try
		tries       int
		least, most time.Duration
	}{
		{"an API server that is away", away, 0, failedTries, 5 * time.Second, 15 * time.Second},
		{"an API server that is silent", away, requestTimeout, 2, 2 * requestTimeout, 3 * requestTimeout},
		{"an API server that is always busy", &RetryAfter{After: time.Second, Err: away}, 0, throttledTries, 9 * time.Second, 10 * time.Second},
		{"one that wants us back next year", &RetryAfter{After: 8760 * time.Hour, Err: away}, 0, throttledTries, 9 * maxPause, 10 * maxPause},
		{"an API that is always away", &RetryAfter{After: time.Second, Alone: true, Err: away}, 0, throttledTries, 9 * time.Second, 10 * time.Second},
		{"an object that stays", &Pending{Err: away}, 0, 19, pendingPatience, pendingPatience + 2*maxPendingPause},
		{"a refusal", fault.New(fault.Denied, "webhook_denied", "no"), 0, 1, 0, 0},
		{"a webhook that does not work", fault.New(fault.Upstream, "webhook_failed", "no"), 0, 1, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := NewGovernor(1, time.Now)
				began, tries := time.Now(), 0
				err := g.Do(t.Context(), func() error { tries++; time.Sleep(c.takes); return c.err })
				if !errors.Is(err, c.err) || tries != c.tries || time.Since(began) < c.least || time.Since(began) > c.most {
					t.Errorf("%v after %d tries and %s", err, tries, time.Since(began))
				}
			})
		})
	}
}

func TestGovernorEndsWithItsCaller(t *testing.T) {
	for name, e := range map[string]error{
		"busy":    &RetryAfter{After: time.Hour, Err: fault.New(fault.RateLimited, "throttled", "busy")},
		"alone":   &RetryAfter{After: time.Hour, Alone: true, Err: fault.New(fault.Unavailable, "x", "away")},
		"pending": &Pending{Err: fault.New(fault.Unavailable, "still_deleting", "not gone")},
		"away":    fault.New(fault.Unavailable, "x", "away"),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := NewGovernor(1, time.Now)
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan error)
				go func() { done <- g.Do(ctx, func() error { return e }) }()
				synctest.Wait()
				began := time.Now()
				cancel()
				if err := <-done; err == nil || time.Since(began) > 0 {
					t.Errorf("%v after %s", err, time.Since(began))
				}
			})
		})
	}
}
