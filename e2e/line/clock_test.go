package line

import (
	"testing"
	"time"

	"github.com/hawser-dev/hawser/agent/link"
	"github.com/hawser-dev/hawser/shared/model"
)

// A clock that is 10 minutes off is said at both ends, ages are those of the hub's
// clock all the same, and when it is set right, in the middle of a session, both say
// that.
func TestAClockThatIsOffIsSaidAtBothEndsUntilItIsRight(t *testing.T) {
	const off = 10 * time.Minute
	for name, ahead := range map[string]time.Duration{"ahead of": off, "behind": -off} {
		t.Run(name, func(t *testing.T) {
			h := newHub(t, nil)
			wrong := &clock{}
			wrong.forward(ahead)
			a, _ := h.join("eu-prod", func(o *link.Options) { o.Now = wrong.Now })
			await(t, "the agent's log", func() bool {
				return a.logs.line("WARN", "code=clock_skewed", "HW-6100", "10m0s "+name+" the hub's", "by NTP")
			})
			if !h.logs.line("WARN", "code=clock_skewed", "difference=10m") {
				t.Error("the hub's log does not say it")
			}
			differs := func(by time.Duration) func() bool {
				return func() bool {
					h.ingest.mu.Lock()
					defer h.ingest.mu.Unlock()
					n := len(h.ingest.beats)
					return n > 0 && h.ingest.beats[n-1].ClockAhead != nil && (*h.ingest.beats[n-1].ClockAhead-by).Abs() < 5*time.Second
				}
			}
			await(t, "the hub to tell the difference", differs(ahead))
			age := func(app model.AppUID) (old time.Duration) {
				now := h.clock.Now()
				a.link.Reports([]model.AppReport{{App: app, Seq: 1, ObservedAt: wrong.Now(), Status: model.AppStatus{}}})
				await(t, "the report", func() bool {
					h.ingest.mu.Lock()
					defer h.ingest.mu.Unlock()
					for _, r := range h.ingest.reports {
						if r.App == app {
							old = now.Sub(r.ObservedAt)
							return true
						}
					}
					return false
				})
				return old.Abs()
			}
			if old := age("while"); old > 10*time.Second {
				t.Errorf("what was seen just now is %s old", old)
			}
			wrong.forward(-ahead)
			await(t, "the agent's log", func() bool { return a.logs.line("INFO", "the clocks agree again") })
			await(t, "the hub to tell no difference", differs(0))
			if old := age("after"); old > 10*time.Second {
				t.Errorf("after it was set right, what was seen just now is %s old", old)
			}
			wrong.forward(-ahead)
			await(t, "the hub to tell the difference of the other way", differs(-ahead))
		})
	}
}
