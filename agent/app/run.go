package app

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"sync/atomic"
	"time"

	"k8s.io/client-go/rest"

	"github.com/hawser-dev/hawser/agent/access"
	"github.com/hawser-dev/hawser/agent/configmap"
	"github.com/hawser-dev/hawser/agent/diff"
	"github.com/hawser-dev/hawser/agent/journal"
	"github.com/hawser-dev/hawser/agent/link"
	"github.com/hawser-dev/hawser/agent/observe"
	"github.com/hawser-dev/hawser/agent/orphan"
	"github.com/hawser-dev/hawser/agent/reconcile"
	"github.com/hawser-dev/hawser/agent/report"
	"github.com/hawser-dev/hawser/agent/settings"
	"github.com/hawser-dev/hawser/agent/sync"
	"github.com/hawser-dev/hawser/agent/veto"
	"github.com/hawser-dev/hawser/shared/failpoint"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/lifecycle"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/telemetry"
	"github.com/hawser-dev/hawser/shared/telemetry/tracing"
)

const (
	stopTimeout = 10 * time.Second
	// reportCluster is how often the cluster itself is described anew.
	reportCluster = 5 * time.Minute
	// describeAgain is how long after a description that failed the next is tried: the
	// hub is to hear of a cluster in trouble while it is in trouble.
	describeAgain = 5 * time.Second
	// settleKinds is how long a burst of news about kinds may last.
	settleKinds = time.Second
)

// agent is everything that Run makes, in the order in which it is made.
type agent struct {
	cfg      Config
	log      *slog.Logger
	instance string

	rest   *rest.Config
	http   *http.Client
	base   *url.URL
	client *journal.Client

	veto    *veto.Keeper
	vetoMap *configmap.Watch

	lease       *journal.Lease
	journal     *journal.Store
	settings    *settings.Keeper
	settingsMap *configmap.Watch
	scripts     scripts
	systemRules atomic.Pointer[diff.SystemRules]

	observer *observe.Observer
	reporter *report.Reporter
	engine   *reconcile.Engine
	orphans  *orphan.Watcher
	access   *access.Server
	link     *link.Link
	with     *instruments
	kinds    chan struct{} // what the cluster serves, or what can be observed of it, changed
}

// Run runs the agent until ctx ends. When another agent of the cluster took the
// Lease or wrote the journal, what this one remembers is out of date: it starts
// over, and waits for the Lease.
func Run(ctx context.Context, cfg Config, log *slog.Logger) error {
	if err := cfg.check(); err != nil {
		return err
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	defer keepMemoryLow()()
	defer profileOnSignal(log)()
	log = tracing.Log(log)
	with, err := newInstruments(ctx, log)
	if err != nil {
		return err
	}
	return lifecycle.Run(ctx, log, stopTimeout+5*time.Second, append(with.parts(cfg, log),
		lifecycle.Part{Name: "agent", Run: func(ctx context.Context) error { return runAll(ctx, cfg, with, log) }})...)
}

// runAll runs one agent after the other.
func runAll(ctx context.Context, cfg Config, with *instruments, log *slog.Logger) error {
	for {
		err := runOnce(ctx, cfg, with, log)
		if ctx.Err() != nil {
			return err
		}
		if !fault.HasCode(err, "lease_lost") && !fault.HasCode(err, "journal_conflict") {
			return err
		}
		log.Warn("starting over", "reason", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Second):
		}
	}
}

func runOnce(ctx context.Context, cfg Config, with *instruments, log *slog.Logger) error {
	a := &agent{cfg: cfg, log: log, with: with, instance: newInstance(), kinds: make(chan struct{}, 1)}
	defer with.forget()
	return lifecycle.Run(ctx, log, stopTimeout,
		lifecycle.Part{Name: "preflight", Start: a.preflight},
		lifecycle.Part{Name: "cluster", Start: a.startCluster},
		lifecycle.Part{Name: "veto", Start: a.startVeto, Run: func(ctx context.Context) error { return a.vetoMap.Run(ctx) }},
		lifecycle.Part{Name: "lease", Start: a.startLease, Run: func(ctx context.Context) error { return a.lease.Run(ctx) }},
		lifecycle.Part{Name: "journal", Start: a.startJournal, Run: func(ctx context.Context) error { return a.journal.Run(ctx) }},
		// Read before anything is judged by them, and followed once there is
		// somebody to tell.
		lifecycle.Part{Name: "settings at the start", Start: a.startSettings},
		lifecycle.Part{Name: "observer", Start: a.startObserver, Run: func(ctx context.Context) error { return a.observer.Run(ctx) }},
		lifecycle.Part{Name: "settings", Run: func(ctx context.Context) error { return a.settings.Run(ctx) }},
		lifecycle.Part{Name: "customizations", Run: func(ctx context.Context) error { return a.settingsMap.Run(ctx) }},
		lifecycle.Part{Name: "link", Start: a.startLink},
		lifecycle.Part{Name: "reports", Run: func(ctx context.Context) error { return a.reporter.Run(ctx) }},
		lifecycle.Part{Name: "applications", Run: func(ctx context.Context) error { return a.engine.Run(ctx) }},
		lifecycle.Part{Name: "orphaned objects", Run: func(ctx context.Context) error { return a.orphans.Run(ctx) }},
		lifecycle.Part{Name: "cluster report", Run: a.reportCluster},
		lifecycle.Part{Name: "access", Run: func(ctx context.Context) error { return a.access.Run(ctx) }},
		lifecycle.Part{Name: "hub", Run: func(ctx context.Context) error { return a.link.Run(ctx) }},
	)
}

func (a *agent) startCluster(ctx context.Context) (err error) {
	userAgent := "hawser-agent/" + telemetry.Version
	if a.rest, err = a.cfg.restConfig(userAgent); err != nil {
		return err
	}
	a.rest.DisableCompression = true
	a.rest.Wrap(a.with.metrics.Transport)
	if a.http, err = rest.HTTPClientFor(a.rest); err != nil {
		return fault.Wrap(err, fault.Invalid, "kubeconfig_invalid", "the way to the API server cannot be used")
	}
	if a.base, _, err = rest.DefaultServerUrlFor(a.rest); err != nil {
		return fault.Wrap(err, fault.Invalid, "kubeconfig_invalid", "the API server's address is not a URL")
	}
	a.client = journal.NewClient(a.http, a.base, a.cfg.Namespace, userAgent)
	return a.persist(ctx, "make the agent's namespace", a.client.EnsureNamespace)
}

// persist repeats what may pass by itself: an agent may start before its API
// server answers.
func (a *agent) persist(ctx context.Context, what string, do func(context.Context) error) error {
	pause := 250 * time.Millisecond
	for {
		err := do(ctx)
		if err == nil || ctx.Err() != nil {
			return err
		}
		if !fault.Is(err, fault.Unavailable) && !fault.Is(err, fault.RateLimited) {
			return fmt.Errorf("%s: %w", what, err)
		}
		a.log.Warn("waiting for the API server", "to", what, "error", err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
			pause = min(2*pause, 10*time.Second)
		}
	}
}

func (a *agent) startLease(context.Context) error {
	a.lease = journal.NewLease(a.client, a.instance, a.log, a.cfg.Now)
	a.lease.Gone = instanceGone
	a.with.lease.Store(a.lease)
	return nil
}

// startJournal waits for the Lease first: what is read before it is held may be
// out of date.
func (a *agent) startJournal(ctx context.Context) (err error) {
	a.log.Info("waiting for the Lease", "instance", a.instance)
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-a.lease.Acquired():
	}
	failpoint.Hit("app.lease.acquired")
	err = a.persist(ctx, "read the journal", func(ctx context.Context) (err error) {
		a.journal, err = journal.OpenStore(ctx, journal.StoreOptions{Secrets: a.client, Instance: a.instance, Now: a.cfg.Now, Log: a.log})
		return err
	})
	failpoint.Hit("app.journal.opened")
	if err == nil {
		a.with.journal.Store(a.journal)
		a.beginLife(ctx)
	}
	return err
}

func (a *agent) startObserver(ctx context.Context) error {
	a.observer = observe.New(observe.Options{
		Config: a.rest, ExcludeNamespaces: []string{a.cfg.Namespace}, Namespaces: a.cfg.WatchNamespaces,
		Health: a.scripts.health, AgentVersion: telemetry.Version, Now: a.cfg.Now, Log: a.log,
	})
	a.observer.OnKind(func(model.GroupKind) { a.clusterNews() })
	var key []byte
	err := a.persist(ctx, "read the redaction key", func(ctx context.Context) (err error) {
		key, err = loadRedactionKey(ctx, a.client)
		return err
	})
	if err != nil {
		return err
	}
	a.makeOrphans()
	a.reporter = report.New(report.Options{
		Apps:    func() []model.AppUID { return a.engine.Apps() },
		Status:  a.status,
		Objects: a.observer,
		Orphans: a.orphaned,
		Sender:  reportSender{a},
		ObservedAt: func() time.Time {
			// In this order: what comes in between is later than the first.
			at := observedAt(a.observer.ObservedAt(), a.lease.RenewedAt(), a.cfg.Now())
			return unlessOlder(at, a.engine.Unprocessed())
		},
		Trace: func(uid model.AppUID) string { return a.engine.Trace(uid) },
		Now:   a.cfg.Now,
		Log:   a.log,
	})
	a.engine = reconcile.New(reconcile.Options{
		Journal: a.journal, Observer: a.observer,
		Applier:    a.veto.Applier(sync.NewKube(a.http, a.base, "hawser-agent/"+telemetry.Version)),
		Actions:    runs{a},
		Operations: operationSender{a}, Reports: a.reporter,
		Fence: a.lease.Held, OwnNamespace: a.cfg.Namespace, Namespaces: a.cfg.WatchNamespaces, RedactionKey: key, Changed: a.clusterNews, Moved: a.orphans.Moved,
		Runs: a.with.metrics, Tracer: a.with.tracer, Now: a.cfg.Now, Log: a.log,
	})
	a.engine.SetSystemRules(a.systemRules.Load())
	return a.makeAccess(key)
}

// silentAfter is more than the pause between two renewals of the Lease.
const silentAfter = 8 * time.Second

// observedAt is until when what is known of the cluster held. A watch on which
// nothing arrives looks the same whether nothing happens or the API server has
// stopped answering, which shows only when the connection is given up, up to a
// minute later. The Lease is renewed every few seconds, so it tells sooner.
func observedAt(watched, renewed, now time.Time) time.Time {
	if now.Sub(renewed) > silentAfter && renewed.Before(watched) {
		return renewed
	}
	return watched
}

// unlessOlder is at, or the time of the oldest news that no status shows yet,
// zero for none.
func unlessOlder(at, unprocessed time.Time) time.Time {
	if !unprocessed.IsZero() && unprocessed.Before(at) {
		return unprocessed
	}
	return at
}

func (a *agent) startLink(context.Context) error {
	token, err := a.cfg.token()
	if err != nil {
		return err
	}
	a.link, err = link.New(link.Options{
		Address: a.cfg.Hub, CAHash: a.cfg.CAHash, Token: token, ClusterName: a.cfg.ClusterName,
		Identity: identities{a.client}, Handler: &greeter{Engine: a.engine, observer: a.observer}, Settings: a.settings, Tunnels: a.access, Confirmed: a.reporter.Confirmed,
		Observer: a.with.metrics,
		Proxy:    a.cfg.Proxy, ProxyCAFile: a.cfg.ProxyCA,
		AgentVersion: telemetry.Version, Instance: a.instance, Now: a.cfg.Now, Log: a.log,
	})
	if err == nil {
		a.with.watch(a)
	}
	return err
}

// The engine and the reporter are made before the link that carries what they
// send, and nothing sends before it runs.
type operationSender struct{ *agent }

func (s operationSender) Operation(u model.OperationUpdate) { s.link.Operation(u) }

type reportSender struct{ *agent }

func (s reportSender) Reports(r []model.AppReport) { s.link.Reports(r) }

// reportCluster describes the cluster at the start, when what it serves or what
// can be observed of it changed, and now and then.
func (a *agent) reportCluster(ctx context.Context) error {
	tick := time.NewTicker(reportCluster)
	defer tick.Stop()
	for {
		next := tick.C
		if r, err := a.observer.Cluster(ctx); err != nil {
			a.log.Debug("the cluster is not described", "error", err)
			next = time.After(describeAgain)
		} else {
			for _, c := range slices.Concat(a.journal.Conditions(), a.veto.Conditions(), a.settings.Conditions()) {
				r.Conditions = append(r.Conditions, c.Message)
			}
			r.Conditions = append(r.Conditions, a.lifeConditions()...)
			if n, since := a.engine.Throttled(); n > 0 {
				r.Conditions = append(r.Conditions, fmt.Sprintf("api_throttled: the API server has refused or failed %d writes since %s; it is too busy, and syncs take longer", n, since.UTC().Format(time.RFC3339)))
			}
			r.SettingsVersion, r.SettingsDigest = a.settings.Stored()
			a.link.Cluster(r)
		}
		if !awaitNews(ctx, a.kinds, next) {
			return nil
		}
	}
}

// awaitNews waits until the cluster is to be described again; false when ctx
// ended. News about kinds come in bursts, as when the first watches open: a
// description made amid one would tell of troubles that are over a moment later.
func awaitNews(ctx context.Context, kinds <-chan struct{}, tick <-chan time.Time) bool {
	select {
	case <-ctx.Done():
		return false
	case <-tick:
		return true
	case <-kinds:
	}
	settled := time.NewTimer(settleKinds)
	defer settled.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-settled.C:
	}
	select { // what came meanwhile is covered by the description that follows
	case <-kinds:
	default:
	}
	return true
}
