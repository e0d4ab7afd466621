package sync

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/hawser-dev/hawser/shared/fault"
)

func TestAServerThatIsTooBusyIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGovernor(2, time.Now)
		news := 0
		g.Changed = func() { news++ }
		began := time.Now()
		refuse := func(times int, alone bool) {
			n := 0
			_ = g.Do(t.Context(), func() error {
				if n++; n > times {
					return nil
				}
				return &RetryAfter{After: time.Second, Alone: alone, Err: fault.New(fault.RateLimited, "throttled", "busy")}
			})
		}
		refuse(6, true) // one aggregated API only
		refuse(oftenThrottled-1, false)
		if n, _ := g.Throttled(); n != 0 || news != 0 {
			t.Errorf("%d times, told %d times, want a word for nothing", n, news)
		}
		refuse(2, false)
		n, since := g.Throttled()
		if n != oftenThrottled+1 || news != 1 || since.Before(began) || since.After(time.Now()) {
			t.Errorf("%d times since %s, told %d times", n, since, news)
		}
		time.Sleep(throttledLately - 2*time.Second)
		refuse(1, false)
		time.Sleep(throttledLately - 2*time.Second)
		if n, _ := g.Throttled(); n != oftenThrottled+2 || news != 1 {
			t.Errorf("%d times, told %d times, before a minute without", n, news)
		}
		time.Sleep(10 * time.Second)
		if n, _ := g.Throttled(); n != 0 || news != 2 {
			t.Errorf("%d times, told %d times, after a minute without", n, news)
		}
	})
}
