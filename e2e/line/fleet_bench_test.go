package line

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/agent/link"
	"github.com/hawser-dev/hawser/hub/gateway"
	"github.com/hawser-dev/hawser/shared/model"
)

// counted is a journal that counts the attempts to open a session.
type counted struct {
	*journal
	attempts atomic.Int64
}

func (c *counted) Hello(ctx context.Context) (model.Hello, error) {
	c.attempts.Add(1)
	return c.journal.Hello(ctx)
}

// BenchmarkReturnOfTheFleet kills a hub with many agents, starts it again after
// 3 s and measures how long until all are in sync, with the agents' real
// backoff, and how often the most eager one tried once the hub was back.
func BenchmarkReturnOfTheFleet(b *testing.B) {
	const agents = 1000
	for b.Loop() {
		h := newHub(b, func(o *gateway.Options) { o.Heartbeat = 10 * time.Second })
		handlers := make([]*counted, agents)
		tokens := make([]string, agents)
		for i := range agents {
			tokens[i] = h.token(fmt.Sprint("cluster-", i), time.Hour)
			handlers[i] = &counted{journal: newJournal()}
		}
		var wg sync.WaitGroup
		slots := make(chan struct{}, 32)
		links := make([]*agent, agents)
		for i := range agents {
			slots <- struct{}{}
			wg.Go(func() {
				defer func() { <-slots }()
				links[i] = h.run(func(o *link.Options) {
					o.Token, o.Handler, o.BackoffBase, o.RenewCheck = tokens[i], handlers[i], time.Second, time.Minute
				})
			})
		}
		wg.Wait()
		all := func(times int) func() bool {
			return func() bool {
				for _, c := range handlers {
					if !c.is(func(j *journal) bool { return j.inSyncs >= times })() {
						return false
					}
				}
				return true
			}
		}
		await(b, "all in sync", all(1))
		h.stop()
		time.Sleep(3 * time.Second) // the hub's absence is the input, nothing is awaited
		before := make([]int64, agents)
		for i, c := range handlers {
			before[i] = c.attempts.Load()
		}
		start := time.Now()
		cpu := cpuTime(b)
		h.start(h.addr)
		await(b, "all in sync again", all(2))
		took := time.Since(start)
		var most int64
		for i, c := range handlers {
			most = max(most, c.attempts.Load()-before[i])
		}
		b.ReportMetric(took.Seconds(), "s-to-all-in-sync")
		b.ReportMetric(float64(most), "most-attempts")
		b.ReportMetric((cpuTime(b) - cpu).Seconds(), "cpu-s-both-ends")
		for _, a := range links {
			a.stop()
		}
	}
}
