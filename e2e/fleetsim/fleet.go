package fleetsim

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/hawser-dev/hawser/agent/journal"
	"github.com/hawser-dev/hawser/cli/client"
	"github.com/hawser-dev/hawser/shared/model"
)

// Options of a Fleet. Address, CAHash, API and Agents are required.
type Options struct {
	Address string // host:port of the hub
	CAHash  string
	API     *client.Client // of an administrator
	Agents  int
	// Seed decides what clusters are like and what churns, but not how long anything
	// takes.
	Seed uint64
	// Prefix of the clusters' names, "" for none.
	Prefix string
	// Acked is told when an agent has answered a desired state, Reporting what an
	// agent hands to its link. They must not wait; nil: nobody is told.
	Acked     func(a *Agent, d model.Desired, err error)
	Reporting func(a *Agent, reports []model.AppReport)
	Log       *slog.Logger // of the agents; nil: discarded
}

// Fleet is many agents. Its methods may be called from several goroutines.
type Fleet struct {
	o      Options
	ctx    context.Context // of the agents' lives
	cancel context.CancelFunc
	Agents []*Agent
	codec  *journal.Codec

	mu      sync.Mutex
	inSync  int
	changed chan struct{}
	err     error
}

// atOnce is how many agents are enrolled, and requests for tokens and applications
// made, at a time.
const atOnce = 16

// Start makes the clusters, enrols an agent of each with a token of its own, and
// returns when every one has a session and was sent everything.
func Start(ctx context.Context, o Options) (*Fleet, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	codec, err := journal.NewCodec()
	if err != nil {
		return nil, err
	}
	f := &Fleet{o: o, codec: codec, changed: make(chan struct{})}
	f.ctx, f.cancel = context.WithCancel(context.WithoutCancel(ctx))
	for i := range o.Agents {
		f.Agents = append(f.Agents, f.newAgent(i))
	}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for _, a := range f.Agents {
		g.Go(func() error { return f.enrol(gctx, a) })
	}
	err = g.Wait()
	if err == nil {
		err = f.AwaitInSync(ctx, o.Agents)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// enrol starts an agent with a new token.
func (f *Fleet) enrol(ctx context.Context, a *Agent) error {
	var minted struct {
		Token string `json:"token"`
	}
	if err := f.o.API.Do(ctx, "POST", "/enrolment-tokens", map[string]any{"cluster": a.name, "labels": f.labels(a.number)}, &minted); err != nil {
		return fmt.Errorf("a token for %s: %w", a.name, err)
	}
	a.mu.Lock()
	a.token = minted.Token
	a.mu.Unlock()
	a.start(f.ctx)
	return nil
}

// Close ends all agents.
func (f *Fleet) Close() {
	f.cancel()
	var wg sync.WaitGroup
	for _, a := range f.Agents {
		wg.Go(func() { a.halt(true) })
	}
	wg.Wait()
}

// count counts agents that were sent everything in their session.
func (f *Fleet) count(inSync bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if inSync {
		f.inSync++
	} else {
		f.inSync--
	}
	f.publish()
}

// failed notes that an agent has ended by itself.
func (f *Fleet) failed(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = errors.Join(f.err, err)
	f.publish()
}

// publish wakes those who wait; f.mu is held.
func (f *Fleet) publish() {
	close(f.changed)
	f.changed = make(chan struct{})
}

// Err is why agents have ended by themselves, nil while none has.
func (f *Fleet) Err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

// InSync is how many agents have a session in which they were sent everything.
func (f *Fleet) InSync() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.inSync
}

// AwaitInSync waits until exactly n agents are in sync.
func (f *Fleet) AwaitInSync(ctx context.Context, n int) error {
	for {
		f.mu.Lock()
		have, changed, err := f.inSync, f.changed, f.err
		f.mu.Unlock()
		if err != nil {
			return err
		}
		if have == n {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d of %d agents are in sync: %w%s", have, n, context.Cause(ctx), f.why())
		case <-changed:
		}
	}
}

// why is what one that is not connected says.
func (f *Fleet) why() string {
	for _, a := range f.Agents {
		if s := a.Status(); !s.Connected && s.LastError != nil {
			return fmt.Sprintf("; %s: %v", a.name, s.LastError)
		}
	}
	return ""
}

var (
	regions = []string{"eu-west-1", "eu-north-1", "us-east-1", "us-west-2", "ap-south-1", "sa-east-1", "af-south-1", "edge"}
	stages  = []string{"prod", "prod", "prod", "staging", "dev"}
)

func (f *Fleet) clusterName(i int) string {
	return fmt.Sprintf("%s%s-%s-%04d", f.o.Prefix, regions[i%len(regions)], stages[i%len(stages)], i)
}

func (f *Fleet) labels(i int) map[string]string {
	return map[string]string{"env": stages[i%len(stages)], "region": regions[i%len(regions)], "site": fmt.Sprintf("site-%03d", i%250)}
}
