package app

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/hawser-dev/hawser/hub/api"
	"github.com/hawser-dev/hawser/hub/audit"
	"github.com/hawser-dev/hawser/hub/auth"
	"github.com/hawser-dev/hawser/hub/auth/oidc"
	"github.com/hawser-dev/hawser/hub/console"
	"github.com/hawser-dev/hawser/hub/delivery"
	"github.com/hawser-dev/hawser/hub/devdb"
	"github.com/hawser-dev/hawser/hub/events"
	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/hub/gateway"
	"github.com/hawser-dev/hawser/hub/gateway/ca"
	"github.com/hawser-dev/hawser/hub/ingest"
	"github.com/hawser-dev/hawser/hub/inventory"
	"github.com/hawser-dev/hawser/hub/metrics"
	"github.com/hawser-dev/hawser/hub/plugin"
	"github.com/hawser-dev/hawser/hub/render"
	"github.com/hawser-dev/hawser/hub/source"
	"github.com/hawser-dev/hawser/hub/store"
	"github.com/hawser-dev/hawser/hub/webhook"
	"github.com/hawser-dev/hawser/hub/worker"
	"github.com/hawser-dev/hawser/migrations"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/lifecycle"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/telemetry"
	"github.com/hawser-dev/hawser/shared/telemetry/exposition"
	"github.com/hawser-dev/hawser/shared/telemetry/otlp"
	"github.com/hawser-dev/hawser/shared/telemetry/tracing"
	"github.com/hawser-dev/hawser/shared/tunnel"
)

const (
	stopTimeout = 20 * time.Second
	// bundleAge is how long a bundle that nothing names is kept.
	bundleAge = 24 * time.Hour
)

// hub is everything that serve makes, in the order in which it is made.
type hub struct {
	// instance names this process to the others.
	instance string

	cfg Config
	out io.Writer
	log *slog.Logger

	// privateMu guards private, which a Postgres that ended is replaced in.
	privateMu sync.Mutex
	private   *devdb.DB

	store     *store.Store
	caches    caches
	ca        *ca.Authority
	broker    *events.Broker
	feed      *events.Feed
	inventory *inventory.Index
	auth      *auth.Service
	sources   *source.Sources
	poller    *source.Poller
	plugins   *plugin.Plugins // nil when there are none
	render    *render.Renderer
	ingest    *ingest.Ingest
	gateway   *gateway.Gateway
	delivery  *delivery.Delivery
	verifier  *verifier
	mux       *gateway.Mux
	audit     *audit.Log

	metrics *metrics.Set
	exposed *exposition.Server
	spans   *otlp.Provider
	tracer  trace.Tracer
	// webCertificateEnd is of --tls-cert, zero without.
	webCertificateEnd time.Time
}

// Serve runs the hub until ctx ends. What people need at the first start is
// written to out.
func Serve(ctx context.Context, cfg Config, out io.Writer, log *slog.Logger) error {
	if err := cfg.complete(); err != nil {
		return err
	}
	if err := cfg.makeDataDir(); err != nil {
		return err
	}
	unlock, err := lockDataDir(ctx, cfg.Data)
	if err != nil {
		return err
	}
	defer unlock()
	log = tracing.Log(log)
	spans, err := otlp.Start(ctx, "hawser-hub", telemetry.Version, log)
	if err != nil {
		return err
	}
	h := &hub{cfg: cfg, out: out, log: log, metrics: metrics.New(telemetry.Version, nil), spans: spans, tracer: spans.Tracer()}
	return lifecycle.Run(ctx, log, stopTimeout,
		lifecycle.Part{Name: "spans", Stop: h.stopSpans},
		lifecycle.Part{Name: "database", Start: h.startDatabase, Run: h.watchDatabase, Stop: h.stopDatabase},
		lifecycle.Part{Name: "keys", Run: h.watchKeys, Stop: h.stopKeys},
		lifecycle.Part{Name: "authority", Start: h.startAuthority},
		lifecycle.Part{Name: "cache", Start: h.startCache, Stop: h.stopCache},
		lifecycle.Part{Name: "audit", Start: h.startAudit, Run: func(ctx context.Context) error { return h.audit.Run(ctx) }},
		lifecycle.Part{Name: "audit export", Run: h.exportAudit},
		lifecycle.Part{Name: "events", Start: h.startEvents, Run: func(ctx context.Context) error { return h.feed.Run(ctx) }},
		lifecycle.Part{Name: "inventory", Run: func(ctx context.Context) error { return h.inventory.Run(ctx) }},
		lifecycle.Part{Name: "sources", Start: h.startSources, Stop: h.stopSources},
		lifecycle.Part{Name: "ingest", Start: h.startIngest, Run: func(ctx context.Context) error { return h.ingest.Run(ctx) }},
		lifecycle.Part{Name: "delivery", Start: h.startDelivery, Run: func(ctx context.Context) error { return h.delivery.Run(ctx) }},
		lifecycle.Part{Name: "poller", Run: func(ctx context.Context) error { h.poller.Run(ctx); return nil }},
		lifecycle.Part{Name: "upkeep", Run: h.upkeep},
		lifecycle.Part{Name: "port", Start: h.startPort},
		lifecycle.Part{Name: "agents", Run: h.serveAgents, Stop: h.stopAgents},
		lifecycle.Part{Name: "metrics", Start: h.startMetrics, Run: func(ctx context.Context) error { return h.exposed.Run(ctx) }},
		lifecycle.Part{Name: "api", Start: h.announce, Run: h.serveAPI},
		// Last to start and first to stop: nobody comes in who would not be served.
		lifecycle.Part{Name: "accept", Run: func(ctx context.Context) error { return h.mux.Serve(ctx) }},
	)
}

func (h *hub) startDatabase(ctx context.Context) (err error) {
	dsn, private, err := h.cfg.openDatabase(ctx, h.log)
	if err != nil {
		return err
	}
	h.private = private
	defer func() {
		if err != nil { // a part that did not start is not stopped
			err = errors.Join(err, h.stopDatabase(ctx))
		}
	}()
	if private != nil {
		h.log.Info("private Postgres", "version", private.Version(), "adopted", private.Adopted())
	}
	if err := migrations.Up(ctx, dsn); err != nil {
		return err
	}
	box, from, err := h.cfg.openVault()
	if err != nil {
		return err
	}
	h.log.Info("vault key", "from", from)
	if h.store, err = store.Open(ctx, dsn, box, store.Options{Log: h.log}); err != nil {
		return err
	}
	id := make([]byte, 6)
	_, _ = rand.Read(id) // never fails
	h.instance = hex.EncodeToString(id)
	return h.store.ReadKeys(ctx, h.instance)
}

// watchDatabase ends the hub when its private Postgres ended; a configured one
// is another's to keep up.
func (h *hub) watchDatabase(ctx context.Context) error {
	var ended <-chan struct{}
	if h.private != nil {
		ended = h.private.Done()
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ended:
			if ctx.Err() != nil { // it was stopped
				return nil
			}
			h.log.Warn("the private Postgres ended; starting it again")
			restarted, err := h.restartDatabase(ctx)
			if err != nil {
				return err
			}
			ended = restarted.Done()
		}
	}
}

func (h *hub) restartDatabase(ctx context.Context) (*devdb.DB, error) {
	h.privateMu.Lock()
	defer h.privateMu.Unlock()
	_ = h.private.Stop() // releases the directory of the one that ended
	// On the same port: the store's connection string names it.
	restarted, err := devdb.Start(ctx, devdb.Options{Dir: h.cfg.databaseDir(), Port: h.private.Port(), Log: h.log})
	if err != nil {
		return nil, err
	}
	h.private = restarted
	return restarted, nil
}

func (h *hub) stopDatabase(context.Context) error {
	if h.store != nil {
		h.store.Close()
	}
	h.privateMu.Lock()
	defer h.privateMu.Unlock()
	if h.private != nil {
		return h.private.Stop()
	}
	return nil
}

func (h *hub) startAuthority(ctx context.Context) (err error) {
	if h.ca, err = ca.Load(ctx, h.store, ca.Options{}); err != nil {
		return err
	}
	state, err := h.store.InitHub(ctx, h.ca.SignIncarnation)
	if err != nil {
		return err
	}
	h.log.Info("hub", "id", state.HubID, "incarnation", state.Incarnation, "ca", h.ca.Hash(), "version", telemetry.Version)
	if state.HoldDeletes {
		h.log.Warn("the database was restored from an older copy; pruning is held until an administrator acknowledges it")
	}
	return writeFor(h.cfg.CAHashFile, h.ca.Hash(), 0o644)
}

func (h *hub) startEvents(ctx context.Context) error {
	h.broker = events.New(h.instance, 0)
	h.inventory = inventory.New(inventory.Options{Store: h.store, Log: h.log, Pages: h.caches.pages(), PageKey: h.caches.pageKey})
	h.feed = events.NewFeed(h.broker, h.inventory, h.log)
	h.auth = auth.New(h.store, nil, h.log)
	h.auth.SignWith(h.ca)
	if h.caches.shared != nil {
		h.auth.Share(newSharedSessions(h.caches.shared, h.store.CacheEpoch))
	}
	if err := h.auth.SetPasswordPattern(h.cfg.PasswordPattern); err != nil {
		return err
	}
	return h.inventory.Load(ctx)
}

func (h *hub) startSources(context.Context) (err error) {
	kernel := worker.Kernel()
	h.log.Info("sandbox of workers", "kernel", kernel)
	if kernel.Weak() {
		h.log.Warn("this kernel or container has no seccomp filters: a template that breaks out of its tool could reach the network")
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	blocked, err := h.cfg.blocked()
	if err != nil {
		return err
	}
	h.sources, err = source.New(source.Options{
		Dir:           filepath.Join(h.cfg.Data, "git"),
		WorkerCommand: []string{self, GitWorkerCommand},
		Credentials:   h.store.CredentialFor,
		AllowFile:     h.cfg.AllowFileRepositories, AllowHTTPCredentials: h.cfg.AllowHTTPCredentials,
		AllowedHosts: h.cfg.RepositoryHosts, Blocked: blocked, Freshness: h.cfg.PollInterval,
		Log: h.log,
	})
	if err != nil {
		return err
	}
	h.poller = source.NewPoller(source.PollerOptions{
		Sources: measuredResolver{h.sources, h.metrics}, Interval: h.cfg.PollInterval, Tracer: h.tracer, Log: h.log,
		ChangedIn: func(ctx context.Context, repoURL string, resolved map[fleet.Target]source.Resolved, err error) {
			h.delivery.Resolved(ctx, repoURL, deliveryHeads(resolved), err)
		},
		Looked: h.repositoryLooked,
	})
	options := render.Options{WorkerCommand: []string{self, RenderWorkerCommand}, Workers: h.cfg.RenderWorkers, Results: h.caches.results(), Log: h.log}
	if h.caches.shared != nil {
		options.Traces = h.caches.traces()
	}
	if h.cfg.PluginSockets != "" || len(h.cfg.Plugins) > 0 {
		if h.plugins, err = plugin.Connect(h.cfg.pluginOptions(self, h.log)); err != nil {
			return err
		}
		options.Plugins = plugins{h.plugins}
	}
	h.render, err = render.New(options)
	return err
}

// repositoryLooked records, for people, how a repository answered.
func (h *hub) repositoryLooked(repoURL string, at time.Time, err error) {
	var condition *model.Condition
	if err != nil {
		e := fault.As(err)
		condition = &model.Condition{Type: "ConnectionError", Code: e.Code, Message: e.Message} // the store masks it
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := h.store.RecordRepositoryState(ctx, repoURL, at, condition); err != nil {
		h.log.Warn("the state of a repository is not recorded", "error", err)
		return
	}
	h.inventory.RepositoryLooked()
}

func (h *hub) stopSources(context.Context) error {
	h.render.Close()
	if h.plugins != nil {
		h.plugins.Close()
	}
	h.sources.Close()
	return nil
}

func (h *hub) startIngest(context.Context) error {
	h.ingest = ingest.New(ingest.Options{
		Store: h.store, Publish: h.feed.PublishApplications, Observer: h.metrics, Tracer: h.tracer, Log: h.log,
		Acknowledge: func(cluster model.ClusterID, epoch model.Epoch, seq uint64) {
			h.gateway.ReportsStored(cluster, epoch, seq)
		},
	})
	h.gateway = gateway.New(gateway.Options{
		Store: h.store, Authority: h.ca, Ingest: h.ingest, Settings: h.store, Log: h.log, Version: telemetry.Version,
		SessionOpened: h.sessionOpened, SessionClosed: h.clusterChanged,
		OperationsChanged: h.operationsChanged,
		Audit:             h.audit,
		Observer:          h.metrics, Tracer: h.tracer, Tunnel: tunnel.Options{Traffic: h.metrics},
		ClusterReported: func(cluster model.ClusterID, kubeVersion string, apis []string) {
			h.delivery.ClusterReported(cluster, kubeVersion, apis)
			h.clusterChanged(cluster) // its conditions, for those who look at it
		},
	})
	return nil
}

// repositoryByName finds the repository that dependencies of charts name.
func (h *hub) repositoryByName(ctx context.Context, name string) (string, error) {
	repo, err := h.store.RepositoryByName(ctx, name)
	if fault.Is(err, fault.NotFound) {
		return "", nil
	}
	return repo.URL, err
}

func (h *hub) renderer() renderer {
	return renderer{h.sources, h.render, h.repositoryByName, h.store.RepositoryProject}
}

func (h *hub) startDelivery(context.Context) error {
	h.verifier = &verifier{sources: h.sources, store: h.store}
	h.delivery = delivery.New(delivery.Options{
		Store: warmStore{h.store, h.gateway}, Watcher: h.poller, Renderer: measuredRenderer{h.renderer(), h.metrics, h.tracer},
		Verifier: h.verifier, Notifier: notifier{h.gateway}, Publisher: h.feed, Observer: h.metrics, Tracer: h.tracer, Log: h.log,
	})
	return nil
}

func (h *hub) sessionOpened(cluster model.ClusterID, opening fleet.Opening) {
	if apps := opening.Rerender(); len(apps) > 0 {
		h.delivery.ApplicationsWritten(apps...)
	}
	h.clusterChanged(cluster)
	// What a hello tells of operations is said as what an open session does.
	ops := make([]model.OperationInfo, 0, len(opening.Operations))
	for _, t := range opening.Operations {
		ops = append(ops, t.Operation)
	}
	h.operationsChanged(ops)
}

func (h *hub) clusterChanged(cluster model.ClusterID) {
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		c, err := h.store.Cluster(ctx, string(cluster))
		if err != nil {
			h.log.Warn("a cluster's change is not published", "cluster", cluster, "error", err)
			return
		}
		h.inventory.ClustersChanged()
		h.feed.Publish("cluster", string(cluster), c)
	}()
}

func (h *hub) operationsChanged(ops []model.OperationInfo) {
	h.metrics.Operations(ops)
	apps := make([]model.AppUID, 0, len(ops))
	for _, op := range ops {
		h.feed.Publish("operation", string(op.ID), withoutObjects(op))
		apps = append(apps, op.App)
		if op.Phase.Terminal() {
			h.log.Info("operation ended", "operation", op.ID, "kind", op.Kind, "phase", op.Phase, "application", op.AppName, "application_uid", op.App,
				"project", op.Project, "cluster", op.Cluster, "by", op.InitiatedBy)
		}
		if op.Kind == model.OperationDelete && op.Phase.Terminal() {
			// Gone, then the watched revisions may be fewer; or kept, then what
			// Git brought meanwhile is still to come.
			h.delivery.ApplicationsWritten(op.App)
		}
	}
	h.audit.Ended()
	h.feed.PublishApplications(apps)
}

// withoutObjects is an operation as its change is published: the broker keeps
// thousands of events, and a result can name thousands of objects. Who wants
// them reads the operation.
func withoutObjects(op model.OperationInfo) model.OperationInfo {
	if op.Result != nil {
		result := *op.Result
		result.Resources = nil
		op.Result = &result
	}
	return op
}

// upkeep expires operations that no agent will take any more and collects
// bundles that nothing names.
func (h *hub) upkeep(ctx context.Context) error {
	tick := time.NewTicker(10 * time.Second)
	defer tick.Stop()
	collect := time.NewTicker(time.Hour)
	defer collect.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			ops, err := h.store.ExpireOperations(ctx, now)
			if err != nil {
				h.log.Warn("operations are not expired", "error", err)
				continue
			}
			h.operationsChanged(ops)
		case now := <-collect.C:
			if err := h.store.ForgetRequests(ctx, now); err != nil {
				h.log.Warn("old requests and jobs are not removed", "error", err)
			}
			purged, err := h.store.PurgeExpired(ctx, now)
			h.metrics.Purged(purged)
			if err != nil {
				h.log.Warn("sessions and tokens that have expired are not removed", "error", err)
			}
			n, err := h.store.CollectBundles(ctx, now.Add(-bundleAge))
			if err != nil {
				h.log.Warn("bundles are not collected", "error", err)
			} else if n > 0 {
				h.log.Info("collected bundles", "count", n)
			}
		}
	}
}

func (h *hub) startPort(context.Context) error {
	ln, err := net.Listen("tcp", h.cfg.Listen)
	if err != nil {
		return fault.Wrap(err, fault.Invalid, "listen_failed", "the hub cannot listen on %s", h.cfg.Listen).
			WithFix("choose another address with --listen")
	}
	web := h.ca.Server(h.cfg.Names...).Get
	if h.cfg.TLSCert != "" {
		pair, err := tls.LoadX509KeyPair(h.cfg.TLSCert, h.cfg.TLSKey)
		if err != nil {
			return errors.Join(fault.Wrap(err, fault.Invalid, "tls_invalid", "the TLS certificate cannot be used"), ln.Close())
		}
		if pair.Leaf != nil {
			h.webCertificateEnd = pair.Leaf.NotAfter
		}
		web = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &pair, nil }
	}
	h.mux = gateway.NewMux(ln, gateway.MuxOptions{Agents: h.ca.AgentServer().Get, Web: web, Log: h.log, Refused: h.metrics.Refused,
		MaxPending: h.cfg.Strangers, PerAddress: h.cfg.StrangersPerAddress})
	return nil
}

func (h *hub) serveAgents(ctx context.Context) error { return h.gateway.Serve(ctx, h.mux.Agents()) }

func (h *hub) stopAgents(ctx context.Context) error {
	h.gateway.Shutdown(ctx)
	return nil
}

func (h *hub) serveAPI(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	hook, err := h.webhook()
	if err != nil {
		return err
	}
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	cursorKey, err := h.store.PutSecretOnce(ctx, "cursors", key)
	if err != nil {
		return err
	}
	var announced api.Plugins
	if h.plugins != nil {
		announced = parameters{h.renderer(), h.store, h.plugins}
	}
	runner := h.jobRunner()
	pages, err := console.New()
	if err != nil {
		return err
	}
	if !pages.Built() {
		h.log.Warn("this program was built without the console: make build has it")
	}
	handler := api.New(api.Options{
		Audit: audited{h.audit}, Requests: h.store, Jobs: jobs{h.store, runner},
		Store: h.store, Auth: h.auth, Agents: agents{h.gateway}, Delivery: h.delivery,
		Sources: repositories{h.sources, h.poller}, Publisher: h.feed, Stream: stream{h.broker}, Inventory: h.inventory, Policies: h.store, CursorKey: cursorKey,
		Trees:             h.caches.trees(),
		NewEnrolmentToken: gateway.NewEnrolmentToken,
		Ready:             h.store.Ping,
		Webhook:           h.measuredWebhook(hook),
		Console:           pages,
		Observer:          h.metrics,
		Checks:            h.checks(),
		Tracer:            h.tracer,
		Previews:          h.previews(),
		Signatures:        h.delivery.Signatures,
		Plugins:           announced,
		Actions:           actions{h.gateway},
		Access:            access{h.gateway},
		AccessLimits:      api.AccessLimits{UserStreams: h.cfg.AccessStreams},
		AllowExec:         h.cfg.Exec,
		Vouch:             h.ca.SignRequest,
		Settings:          h.store,
		SettingsChanged:   h.gateway.NotifySettings,
		SSO:               oidc.New(h.store, h.auth, h.cfg.browserURL(), nil, h.log),
		IdentityProviders: h.store,
		GPGKeys:           h.store,
		GPGKeysChanged:    h.keysChanged,
		SavedViews:        h.store,
		Version:           telemetry.Version, Advertise: h.cfg.Advertise, CAHash: h.ca.Hash(), InstallAgent: h.installAgent,
		AllowHTTPCredentials: h.cfg.AllowHTTPCredentials, AllowFileRepositories: h.cfg.AllowFileRepositories,
		Log: h.log,
	})
	running := make(chan struct{})
	go func() {
		defer close(running)
		_ = runner.Run(ctx, handler.Command) // ends with ctx, without an error
	}()
	defer func() { <-running }()
	requests, stopping := context.WithCancelCause(context.WithoutCancel(ctx))
	defer stopping(api.ErrStopping)
	context.AfterFunc(ctx, func() { stopping(api.ErrStopping) })
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		BaseContext:       func(net.Listener) context.Context { return requests }, // event streams end with it
		ErrorLog:          slog.NewLogLogger(h.log.Handler(), slog.LevelDebug),
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(h.mux.Web()) }()
	select {
	case err := <-failed:
		cancel()
		return err
	case <-ctx.Done():
	}
	stopCtx, stop := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer stop()
	if err := server.Shutdown(stopCtx); err != nil {
		_ = server.Close() // whatever is still open is cut
	}
	return nil
}

func (h *hub) webhook() (http.Handler, error) {
	secrets, err := webhook.LoadSecrets(h.cfg.WebhookSecretFile, h.log)
	if err != nil {
		return nil, err
	}
	if unsigned := secrets.Unsigned(); len(unsigned) > 0 {
		h.log.Info("unsigned webhooks are taken; they only cause a look at Git", "providers", unsigned)
	}
	return webhook.Handler(webhook.Options{
		Secrets: secrets, Known: h.poller.Repositories, PokeIn: func(ctx context.Context, repoURL string) { _ = h.poller.PokeIn(ctx, repoURL) }, Log: h.log,
		Audit: func(e fleet.AuditEntry) { h.audit.Add(e) },
	}), nil
}

// announce says what people need to get in.
func (h *hub) announce(ctx context.Context) error {
	code, err := h.auth.Bootstrap(ctx)
	if err != nil {
		return err
	}
	if code == "" {
		return nil
	}
	if err := writeFor(h.cfg.LoginCodeFile, code, 0o600); err != nil {
		return err
	}
	fmt.Fprintf(h.out, `
Nobody administers this hub yet. Within a day, once, in a browser:

  %s

or without one:

  hawser login %s --ca-hash %s
  one-time login code: %s

`, firstLoginLink(h.cfg, code), h.cfg.Advertise, h.ca.Hash(), code)
	return nil
}

// writeFor writes a small file for the program that started the hub.
func writeFor(path, text string, mode os.FileMode) error {
	if path == "" {
		return nil
	}
	if err := os.WriteFile(path, []byte(text+"\n"), mode); err != nil {
		return fault.Wrap(err, fault.Invalid, "file_unwritable", "%s cannot be written", filepath.Base(path))
	}
	return nil
}
