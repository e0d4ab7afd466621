package fleetsim

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/hawser-dev/hawser/agent/diff"
	"github.com/hawser-dev/hawser/agent/journal"
	"github.com/hawser-dev/hawser/agent/link"
	"github.com/hawser-dev/hawser/agent/reconcile"
	"github.com/hawser-dev/hawser/agent/report"
	"github.com/hawser-dev/hawser/agent/settings"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/lifecycle"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/telemetry"
)

// Agent is one agent and its cluster. Its methods may be called from several
// goroutines, but one at a time of Restart, Lose and Find.
type Agent struct {
	*Cluster
	f      *Fleet
	number int
	line   *line
	key    []byte // of redaction

	mu       sync.Mutex
	token    string
	identity *link.Identity
	starts   int
	link     *link.Link
	inSync   bool
	stop     context.CancelFunc // nil: it does not run
	done     chan struct{}
	failure  error
}

const stopTimeout = 10 * time.Second

func (f *Fleet) newAgent(number int) *Agent {
	a := &Agent{Cluster: newCluster(f.o.Seed, number, f.clusterName(number)), f: f, number: number, line: newLine(f.o.Address, number), key: make([]byte, 32)}
	_, _ = rand.Read(a.key) // never fails
	return a
}

// start runs the agent until Stop, as agent/app does: when another wrote its journal
// it starts over.
func (a *Agent) start(ctx context.Context) {
	ctx, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	a.mu.Lock()
	a.stop, a.done, a.failure = stop, done, nil
	a.mu.Unlock()
	go func() {
		defer close(done)
		for {
			err := a.runOnce(ctx)
			if ctx.Err() == nil && fault.HasCode(err, "journal_conflict") {
				continue
			}
			a.mu.Lock()
			a.failure = err
			a.mu.Unlock()
			if err != nil {
				a.f.failed(fmt.Errorf("agent of %s: %w", a.name, err))
			}
			return
		}
	}()
}

// halt ends the agent and waits for its end. With gently it says good-bye, as a pod
// that is stopped does; otherwise its connection breaks first, as when it is killed.
func (a *Agent) halt(gently bool) {
	a.mu.Lock()
	stop, done := a.stop, a.done
	a.stop = nil
	a.mu.Unlock()
	if stop == nil {
		return
	}
	if !gently {
		a.line.cut(true)
	}
	stop()
	<-done
}

// runOnce is one life of the agent's process.
func (a *Agent) runOnce(ctx context.Context) error {
	a.mu.Lock()
	a.starts++
	instance := fmt.Sprintf("%s-%d", a.name, a.starts)
	token := a.token
	a.mu.Unlock()
	log := a.f.o.Log.With("agent", a.name)
	p := &process{a: a, view: a.newView()}
	defer p.view.close()
	return lifecycle.Run(ctx, log, stopTimeout,
		lifecycle.Part{Name: "journal", Start: func(ctx context.Context) (err error) {
			return persist(ctx, func(ctx context.Context) error {
				p.journal, err = journal.OpenStore(ctx, journal.StoreOptions{Secrets: secrets{a.Cluster}, Instance: instance, Codec: a.f.codec, Log: log})
				return err
			})
		}, Run: func(ctx context.Context) error { return p.journal.Run(ctx) }},
		lifecycle.Part{Name: "engine", Start: func(ctx context.Context) error { return p.make(ctx, instance, token, log) }},
		lifecycle.Part{Name: "settings", Run: func(ctx context.Context) error { return p.settings.Run(ctx) }},
		lifecycle.Part{Name: "reports", Run: func(ctx context.Context) error { return p.reporter.Run(ctx) }},
		lifecycle.Part{Name: "applications", Run: func(ctx context.Context) error { return p.engine.Run(ctx) }},
		lifecycle.Part{Name: "cluster report", Run: p.reportCluster},
		lifecycle.Part{Name: "hub", Run: func(ctx context.Context) error { return p.link.Run(ctx) }},
	)
}

// persist repeats what fails because the cluster does not answer.
func persist(ctx context.Context, do func(context.Context) error) error {
	for {
		err := do(ctx)
		if err == nil || !fault.Is(err, fault.Unavailable) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(250 * time.Millisecond):
		}
	}
}

// process is what one life of an agent makes.
type process struct {
	a        *Agent
	view     *view
	journal  *journal.Store
	settings *settings.Keeper
	reporter *report.Reporter
	engine   *reconcile.Engine
	link     *link.Link
}

func (p *process) make(ctx context.Context, instance, token string, log *slog.Logger) (err error) {
	a := p.a
	p.settings = settings.New(settings.Options{Store: storedSettings{a.Cluster}, Users: []settings.User{p.useRules}, Log: log})
	p.reporter = report.New(report.Options{
		Apps:    func() []model.AppUID { return p.engine.Apps() },
		Status:  func(uid model.AppUID) (model.AppStatus, bool) { return p.engine.Status(uid) },
		Objects: p.view, Sender: reportSender{p},
		ObservedAt: func() time.Time { return unlessOlder(p.view.observedAt(), p.engine.Unprocessed()) },
		Trace:      func(uid model.AppUID) string { return p.engine.Trace(uid) },
		Log:        log,
	})
	p.engine = reconcile.New(reconcile.Options{
		Journal: p.journal, Observer: p.view, Applier: applier{a.Cluster}, Operations: operationSender{p}, Reports: p.reporter,
		Fence: func() error { return nil }, ClusterName: a.name, RedactionKey: a.key, Changed: func() {}, Log: log,
	})
	if err := persist(ctx, p.settings.Load); err != nil {
		return err
	}
	p.link, err = link.New(link.Options{
		Address: a.f.o.Address, CAHash: a.f.o.CAHash, Token: token, ClusterName: a.name, Identity: identities{a}, Handler: handler{p.engine, a},
		Settings: p.settings, Confirmed: p.reporter.Confirmed, Proxy: link.ProxyDirect, Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			return a.line.dial(ctx, network, address)
		},
		AgentVersion: telemetry.Version, Instance: instance, Log: log,
	})
	a.mu.Lock()
	a.link = p.link
	a.mu.Unlock()
	return err
}

// useRules is a settings.User.
func (p *process) useRules(data model.Customizations) []error {
	rules, err := diff.ParseSystemRules(data)
	if p.engine != nil {
		p.engine.SetSystemRules(rules)
	}
	if err != nil {
		return []error{err}
	}
	return nil
}

// unlessOlder is at, or news that no status shows yet.
func unlessOlder(at, unprocessed time.Time) time.Time {
	if !unprocessed.IsZero() && unprocessed.Before(at) {
		return unprocessed
	}
	return at
}

const clusterReportEvery = 5 * time.Minute

// reportCluster describes the cluster at the start and now and then.
func (p *process) reportCluster(ctx context.Context) error {
	tick := time.NewTicker(clusterReportEvery)
	defer tick.Stop()
	for {
		r := p.a.Cluster.report()
		for _, c := range p.journal.Conditions() {
			r.Conditions = append(r.Conditions, c.Message)
		}
		r.SettingsVersion, r.SettingsDigest = p.settings.Stored()
		p.link.Cluster(r)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// report is what the cluster is like.
func (c *Cluster) report() model.ClusterReport {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := model.ClusterReport{KubeVersion: c.version, Platform: "linux/amd64", Nodes: c.nodes, APIResources: resources, NamespacedKinds: namespacedKinds, ObservedAt: time.Now()}
	for k := range c.objects {
		if k.GroupKind() == kindNamespace {
			r.Namespaces++
		}
	}
	return r
}

// handler is the engine, which says in its hello which cluster this is, and whose
// acknowledgements are counted.
type handler struct {
	*reconcile.Engine
	a *Agent
}

// Hello implements link.Handler.
func (h handler) Hello(ctx context.Context) (model.Hello, error) {
	hello, err := h.Engine.Hello(ctx)
	hello.KubeUID, hello.KubeVersion = h.a.uid, h.a.version
	return hello, err
}

// Desired implements link.Handler.
func (h handler) Desired(ctx context.Context, d model.Desired, bundle []byte, ack func(error)) {
	h.Engine.Desired(ctx, d, bundle, func(err error) {
		ack(err)
		if f := h.a.f.o.Acked; f != nil {
			f(h.a, d, err)
		}
	})
}

// InSync implements link.Handler.
func (h handler) InSync() {
	h.Engine.InSync()
	h.a.setInSync(true)
}

// Disconnected implements link.Handler.
func (h handler) Disconnected(err error) {
	h.a.setInSync(false)
	h.Engine.Disconnected(err)
}

func (a *Agent) setInSync(yes bool) {
	a.mu.Lock()
	was := a.inSync
	a.inSync = yes
	a.mu.Unlock()
	if was != yes {
		a.f.count(yes)
	}
}

// Status is that of the agent's link.
func (a *Agent) Status() link.Status {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.link == nil {
		return link.Status{}
	}
	return a.link.Status()
}

// Starts is how often the agent was started.
func (a *Agent) Starts() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.starts
}

// Attempts are its attempts to reach the hub since they were asked for last, the
// newest ones if they are many.
func (a *Agent) Attempts() []Attempt { return a.line.take() }

// Disconnect breaks the agent's connections. It comes back by itself.
func (a *Agent) Disconnect() { a.line.cut(false) }

// Partition keeps the agent from reaching the hub, or ends that.
func (a *Agent) Partition(cut bool) {
	if !cut {
		a.line.mu.Lock()
		a.line.down = false
		a.line.mu.Unlock()
		return
	}
	a.line.cut(true)
}

// Restart ends the agent's process and starts another with the same identity and
// journal. With gently the hub hears a good-bye.
func (a *Agent) Restart(gently bool) {
	a.halt(gently)
	a.Partition(false)
	a.start(a.f.ctx)
}

// Lose takes agent and cluster away without a word; Find brings them back as they
// were.
func (a *Agent) Lose() {
	a.halt(false)
	a.SetDark(true)
}

// Find ends what Lose began.
func (a *Agent) Find() {
	a.SetDark(false)
	a.Restart(true)
}

// identities keeps an agent's identity in memory, over restarts: link.IdentityStore.
type identities struct{ a *Agent }

// Load implements link.IdentityStore.
func (s identities) Load(context.Context) (link.Identity, error) {
	s.a.mu.Lock()
	defer s.a.mu.Unlock()
	if s.a.identity == nil {
		return link.Identity{}, fault.New(fault.NotFound, "identity_not_found", "this agent has not enrolled yet")
	}
	return *s.a.identity, nil
}

// Save implements link.IdentityStore.
func (s identities) Save(_ context.Context, id link.Identity) error {
	s.a.mu.Lock()
	defer s.a.mu.Unlock()
	s.a.identity = &id
	return nil
}

// The engine and the reporter are made before the link that carries what they send.
type operationSender struct{ p *process }

func (s operationSender) Operation(u model.OperationUpdate) { s.p.link.Operation(u) }

type reportSender struct{ p *process }

func (s reportSender) Reports(rs []model.AppReport) {
	if f := s.p.a.f.o.Reporting; f != nil {
		f(s.p.a, rs)
	}
	s.p.link.Reports(rs)
}
