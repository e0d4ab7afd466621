package fleetsim

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

// Churn is what goes on in a fleet.
type Churn struct {
	// Rate is how many things happen a second, over all clusters.
	Rate float64
	// Services are those of Deploy, whose objects they happen to.
	Services int
	// Calm leaves agents and lines alone: only objects change.
	Calm bool
}

// Happening is one kind of thing that happens to an agent or its cluster.
type Happening string

// What happens. Troubles pass and lost clusters come back some seconds later.
const (
	DriftConfig  Happening = "drift of a ConfigMap"
	DriftReplica Happening = "drift of a Deployment"
	Trouble      Happening = "a Deployment that does not become available"
	Disconnect   Happening = "a connection that breaks"
	Partition    Happening = "a line that is down"
	Kill         Happening = "an agent that is killed and starts again"
	Roll         Happening = "an agent that is stopped and starts again"
	Loss         Happening = "a cluster that is lost for a while"
)

// shares are of a hundred; the first three are all that happens in a calm churn.
var shares = []struct {
	what  Happening
	share int
}{{DriftConfig, 35}, {DriftReplica, 15}, {Trouble, 30}, {Disconnect, 8}, {Partition, 3}, {Kill, 4}, {Roll, 3}, {Loss, 2}}

const calmShares = 80

// step is one thing of a plan.
type step struct {
	what           Happening
	agent, service int
	lasts          time.Duration
	value          string
}

// plan is what happens, in order: always the same for a seed.
type plan struct {
	rnd    *rand.Rand
	agents int
	Churn
	n int
}

func newPlan(seed uint64, agents int, c Churn) *plan {
	return &plan{rnd: rand.New(rand.NewPCG(seed, 0xc4a12)), agents: agents, Churn: c}
}

func (p *plan) next() step {
	p.n++
	s := step{agent: p.rnd.IntN(p.agents), service: p.rnd.IntN(p.Services), lasts: 2*time.Second + time.Duration(p.rnd.Int64N(int64(6*time.Second)))}
	s.value = fmt.Sprintf("by hand %d", p.n)
	of := 100
	if p.Calm {
		of = calmShares
	}
	at := p.rnd.IntN(of)
	for _, sh := range shares {
		if s.what = sh.what; at < sh.share {
			break
		}
		at -= sh.share
	}
	return s
}

// Churn has things happen until ctx ends, and then makes good what has not passed by
// itself. It answers what happened how often.
func (f *Fleet) Churn(ctx context.Context, c Churn) map[Happening]int {
	p := newPlan(f.o.Seed, len(f.Agents), c)
	happened := map[Happening]int{}
	busy := make([]sync.Mutex, len(f.Agents)) // of what must not overlap in one agent
	var all sync.WaitGroup
	begin := time.Now()
	for i := 0; ; i++ {
		due := time.NewTimer(time.Until(begin.Add(time.Duration(float64(i) / c.Rate * float64(time.Second)))))
		select {
		case <-ctx.Done():
			due.Stop()
			all.Wait()
			return happened
		case <-due.C:
		}
		s := p.next()
		a := f.Agents[s.agent]
		switch s.what {
		case DriftConfig:
			if !a.Drift(ConfigMapKey(s.service), s.value) {
				continue
			}
		case DriftReplica:
			if !a.Drift(DeploymentKey(s.service), s.value) {
				continue
			}
		case Disconnect:
			a.Disconnect()
		default:
			if !busy[s.agent].TryLock() {
				continue
			}
			all.Go(func() {
				defer busy[s.agent].Unlock()
				a.suffer(ctx, s)
			})
		}
		happened[s.what]++
	}
}

// suffer is something that lasts.
func (a *Agent) suffer(ctx context.Context, s step) {
	wait := func() {
		t := time.NewTimer(s.lasts)
		defer t.Stop()
		select {
		case <-ctx.Done():
		case <-t.C:
		}
	}
	switch s.what {
	case Trouble:
		key := DeploymentKey(s.service)
		if a.Trouble(key, "the image cannot be pulled, "+s.value) {
			wait()
			a.Trouble(key, "")
		}
	case Partition:
		a.Partition(true)
		wait()
		a.Partition(false)
	case Kill:
		a.Restart(false)
	case Roll:
		a.Restart(true)
	case Loss:
		a.Lose()
		wait()
		a.Find()
	}
}
