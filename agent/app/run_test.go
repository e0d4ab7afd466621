package app

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// The age that people see must not stay young while the API server is silent.
func TestObservedAt(t *testing.T) {
	now := time.Unix(1000, 0)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	for name, c := range map[string]struct{ watched, renewed, want time.Time }{
		"renewed a moment ago":           {now, ago(5 * time.Second), now},
		"the server is silent":           {now, ago(20 * time.Second), ago(20 * time.Second)},
		"the watches broke before that":  {ago(30 * time.Second), ago(20 * time.Second), ago(30 * time.Second)},
		"the watches are behind":         {ago(9 * time.Second), ago(2 * time.Second), ago(9 * time.Second)},
		"never renewed: nothing is held": {now, time.Time{}, time.Time{}},
	} {
		if got := observedAt(c.watched, c.renewed, now); !got.Equal(c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// A burst of news about kinds is one description of the cluster, made when it is
// over, and news after it is another.
func TestAwaitNews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		kinds, tick := make(chan struct{}, 1), make(chan time.Time, 1)
		poke := func() {
			select {
			case kinds <- struct{}{}:
			default:
			}
		}
		began := time.Now()
		go func() {
			for range 5 {
				poke()
				time.Sleep(150 * time.Millisecond)
			}
		}()
		if !awaitNews(ctx, kinds, tick) || time.Since(began) != settleKinds || len(kinds) != 0 {
			t.Fatalf("a burst was answered after %s, with %d left", time.Since(began), len(kinds))
		}
		poke()
		if began = time.Now(); !awaitNews(ctx, kinds, tick) || time.Since(began) != settleKinds {
			t.Errorf("later news were answered after %s", time.Since(began))
		}
		tick <- time.Now()
		if began = time.Now(); !awaitNews(ctx, kinds, tick) || time.Since(began) != 0 {
			t.Errorf("the tick was answered after %s", time.Since(began))
		}
		poke()
		cancel()
		if awaitNews(ctx, kinds, tick) {
			t.Error("it goes on after the end")
		}
	})
}
