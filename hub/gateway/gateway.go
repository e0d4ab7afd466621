package gateway

import (
	"context"
	"log/slog"
	"maps"
	"net"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/hub/gateway/ca"
	agentv1 "github.com/hawser-dev/hawser/proto/gen/hawser/agent/v1"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/telemetry/tracing"
	"github.com/hawser-dev/hawser/shared/tunnel"
	"github.com/hawser-dev/hawser/shared/wire"
)

// Store is what the gateway needs of the database. Errors are fault errors;
// fault.Unavailable is worth repeating. Methods that take an epoch refuse one
// that is not the cluster's newest with the code epoch_stale.
type Store interface {
	Enrol(ctx context.Context, tokenHash []byte, clusterName, from string, issue func(model.ClusterID) (fleet.Certificate, error)) (model.Cluster, error)
	// NotePreflight keeps what an agent found beside its token; a token that could
	// not enrol is refused as Enrol does.
	NotePreflight(ctx context.Context, tokenHash []byte, clusterName string, p fleet.EnrolmentPreflight) error
	RecordCertificate(ctx context.Context, c fleet.Certificate) error
	CertificateState(ctx context.Context, serial string) (fleet.Certificate, error)
	// BindKey notes the key of a certificate that was recorded without.
	BindKey(ctx context.Context, c fleet.Certificate) error
	// NoteDouble notes that two agents seem to use a certificate; more than most
	// times in span put the cluster in quarantine.
	NoteDouble(ctx context.Context, cluster model.ClusterID, span time.Duration, most int) (noted int, quarantined bool, err error)
	// Fenced answers which sessions may not go on.
	Fenced(ctx context.Context, open []fleet.OpenSession) ([]fleet.FencedSession, error)

	OpenSession(ctx context.Context, cluster model.ClusterID, hello model.Hello, sign func(hubID string, incarnation int64) ([]byte, error)) (fleet.Opening, error)
	CloseSession(ctx context.Context, cluster model.ClusterID, epoch model.Epoch, why fleet.SessionEnd) error
	DesiredFor(ctx context.Context, cluster model.ClusterID, apps []model.AppUID) ([]model.Desired, []model.Withdraw, error)
	AckDesired(ctx context.Context, cluster model.ClusterID, epoch model.Epoch, acks []fleet.Ack) error
	PendingOperations(ctx context.Context, cluster model.ClusterID) ([]model.OperationInfo, error)
	MarkSent(ctx context.Context, cluster model.ClusterID, epoch model.Epoch, ids []model.OperationID) error
	ApplyOperationUpdates(ctx context.Context, cluster model.ClusterID, epoch model.Epoch, updates []model.OperationUpdate) ([]model.OperationInfo, error)
	// Foreign answers which of the applications and operations are another
	// cluster's; what there is not is nobody's.
	Foreign(ctx context.Context, cluster model.ClusterID, apps []model.AppUID, ops []model.OperationID) ([]model.AppUID, []model.OperationID, error)
	SaveClusterReport(ctx context.Context, r fleet.ClusterReport) error

	Bundle(ctx context.Context, digest model.Digest) ([]byte, error)
	// BundleFor answers NotFound unless the cluster's desired state names it.
	BundleFor(ctx context.Context, cluster model.ClusterID, digest model.Digest) ([]byte, error)
}

// Ingest takes what agents observe. Neither method waits for the database.
// When reports are stored it calls Gateway.ReportsStored.
type Ingest interface {
	Offer(r fleet.Report)
	Beat(b fleet.Beat)
}

// Options of a gateway. Store, Authority and Ingest are required; other zero
// values have defaults.
type Options struct {
	Store     Store
	Authority *ca.Authority
	Ingest    Ingest
	// Settings for all clusters; nil: agents are sent none.
	Settings Settings
	Log      *slog.Logger
	Now      func() time.Time
	Version  string // of the hub, told to agents

	// Heartbeat interval of both ends; default 10 s. A session is dead when
	// two and a half of them passed in silence.
	Heartbeat time.Duration
	// InlineBytes is the largest bundle that travels inside Desired; default
	// 32 KiB.
	InlineBytes int64
	// BundleCache bounds the encoded bundles kept in memory; default 32 MiB.
	BundleCache int64
	// SessionBurst sessions may a cluster open at once, and one more per
	// SessionRefill; defaults 10 and 6 s.
	SessionBurst  int
	SessionRefill time.Duration
	// FirstCall is how long a connection may be without a session after a call
	// that opened none; default 5 s. HelloTimeout is how long a call may take to
	// say its hello; default 10 s. SendTimeout is how long an agent may take to
	// read what it is sent; default 30 s.
	FirstCall, HelloTimeout, SendTimeout time.Duration
	// MessageBurst messages may an agent send at once, and one more per
	// MessageEvery; defaults 20,000 and 1 ms. UnstoredBytes of its reports may
	// wait for the database; default 2 MiB, as they are on the wire. Above, the
	// hub reads nothing more from it for the time being.
	MessageBurst  int
	MessageEvery  time.Duration
	UnstoredBytes int
	// BytesBurst of messages may an agent send at once, and BytesPerSecond after
	// that; defaults 64 MiB and 4 MiB.
	BytesBurst, BytesPerSecond int
	// FenceEvery is how often the hub looks for sessions of its own that another
	// hub on the database has ended; default 2 s.
	FenceEvery time.Duration
	// Opening bounds the sessions that load their state at once; default 32.
	Opening int

	// Tunnel bounds what one cluster's access tunnel carries at once.
	Tunnel tunnel.Options
	// TunnelOpening is how long an agent may take to open its tunnel; default
	// 10 s. TunnelIdle is how long one without streams is kept; default 1 min.
	TunnelOpening, TunnelIdle time.Duration

	// SessionOpened is called when a session has been welcomed, after it
	// replaced an older one. rerender are applications whose desired state must
	// be written anew from the sources before it can be sent. Both callbacks
	// may be nil and must return quickly.
	SessionOpened func(cluster model.ClusterID, opening fleet.Opening)
	// SessionClosed is called when the cluster's newest session ended.
	SessionClosed func(cluster model.ClusterID)
	// ClusterReported is called when an agent's report of its cluster was
	// stored, with the versions and kinds ("apps/v1/Deployment") that it serves.
	ClusterReported func(cluster model.ClusterID, kubeVersion string, apiResources []string)
	// OperationsChanged is called with operations after an agent's update.
	OperationsChanged func([]model.OperationInfo)
	// Audit has records of who was let in as which cluster, and who was not; nil:
	// nobody keeps any.
	Audit Audit
	// Observer is told what sessions do; nil: nobody is.
	Observer Observer
	// Tracer makes spans of what is sent, in the trace of what led to it; nil: none.
	Tracer trace.Tracer
}

// Observer counts. Its methods must not block.
type Observer interface {
	// SessionOpened: a session was welcomed. again: its cluster had one before,
	// since this hub started.
	SessionOpened(again bool)
	// RoundTrip is the time from an agent's heartbeat to the answer, as the agent
	// measured it.
	RoundTrip(time.Duration)
	// Refused: something that an agent, or a stranger, said or did was refused,
	// or held up. reason is the code of the log line.
	Refused(reason string)
}

// Audit keeps records; hub/audit has one. Add never blocks.
type Audit interface {
	Add(entries ...fleet.AuditEntry)
}

type unaudited struct{}

func (unaudited) Add(...fleet.AuditEntry) {}

type unobserved struct{}

func (unobserved) SessionOpened(bool)      {}
func (unobserved) RoundTrip(time.Duration) {}
func (unobserved) Refused(string)          {}

// Gateway holds the agents' sessions. It is safe for concurrent use.
type Gateway struct {
	opts    Options
	log     *slog.Logger
	server  *grpc.Server
	bundles *bundleCache
	opening chan struct{}
	enrols  chan struct{}
	tunnels *tunnels

	settings settingsCache
	lines    some // about refusals, in the log

	mu       sync.Mutex
	clusters map[model.ClusterID]*clusterSessions
	// rates are of certificates, by serial: whoever has a revoked one of a cluster does
	// not use up the sessions of its agent.
	rates   map[string]*bucket
	doubles map[model.ClusterID]*doubles
	live    int // welcomed sessions
	// seen are the clusters that had a session.
	seen map[model.ClusterID]struct{}
	// incarnation is the highest that a session was opened with.
	incarnation int64
	stopping    bool
	serving     bool
	sessions    sync.WaitGroup
}

// New makes a gateway. It accepts nothing until Serve.
func New(opts Options) *Gateway {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Observer == nil {
		opts.Observer = unobserved{}
	}
	if opts.Audit == nil {
		opts.Audit = unaudited{}
	}
	opts.Tracer = tracing.Or(opts.Tracer)
	if opts.Heartbeat <= 0 {
		opts.Heartbeat = 10 * time.Second
	}
	if opts.InlineBytes <= 0 {
		opts.InlineBytes = 32 << 10
	}
	if opts.BundleCache <= 0 {
		opts.BundleCache = 32 << 20
	}
	if opts.SessionBurst <= 0 {
		opts.SessionBurst = 10
	}
	if opts.SessionRefill <= 0 {
		opts.SessionRefill = 6 * time.Second
	}
	if opts.FirstCall <= 0 {
		opts.FirstCall = 5 * time.Second
	}
	if opts.HelloTimeout <= 0 {
		opts.HelloTimeout = 10 * time.Second
	}
	if opts.MessageBurst <= 0 {
		opts.MessageBurst = 20_000
	}
	if opts.MessageEvery <= 0 {
		opts.MessageEvery = time.Millisecond
	}
	if opts.BytesBurst <= 0 {
		opts.BytesBurst = 64 << 20
	}
	if opts.BytesPerSecond <= 0 {
		opts.BytesPerSecond = 4 << 20
	}
	if opts.UnstoredBytes <= 0 {
		opts.UnstoredBytes = 2 << 20
	}
	if opts.SendTimeout <= 0 {
		opts.SendTimeout = 30 * time.Second
	}
	if opts.FenceEvery <= 0 {
		opts.FenceEvery = 2 * time.Second
	}
	if opts.Opening <= 0 {
		opts.Opening = 32
	}
	if opts.TunnelOpening <= 0 {
		opts.TunnelOpening = 10 * time.Second
	}
	if opts.TunnelIdle <= 0 {
		opts.TunnelIdle = time.Minute
	}
	g := &Gateway{
		opts:     opts,
		log:      opts.Log,
		bundles:  newBundleCache(opts.BundleCache),
		opening:  make(chan struct{}, opts.Opening),
		enrols:   make(chan struct{}, 16),
		clusters: map[model.ClusterID]*clusterSessions{},
		rates:    map[string]*bucket{},
		doubles:  map[model.ClusterID]*doubles{},
		seen:     map[model.ClusterID]struct{}{},
		tunnels:  &tunnels{open: map[model.ClusterID]*clusterTunnel{}},
	}
	// The buffer sizes are what keeps an idle agent cheap: a shared write
	// buffer is given back between writes, and TLS has a read buffer already.
	g.server = grpc.NewServer(
		grpc.Creds(handedOver{authority: opts.Authority}),
		grpc.WriteBufferSize(4<<10),
		grpc.ReadBufferSize(0),
		// What an access tunnel needs to be fast over a long line. An idle agent
		// holds nothing of it.
		grpc.InitialWindowSize(4<<20),
		grpc.InitialConnWindowSize(4<<20),
		grpc.MaxRecvMsgSize(wire.MaxMessageBytes),
		grpc.MaxSendMsgSize(wire.MaxMessageBytes),
		grpc.MaxConcurrentStreams(16),
		grpc.MaxHeaderListSize(16<<10),
		// A connection has few calls: what it would remember of their headers costs
		// an idle agent a KiB.
		grpc.HeaderTableSize(0),
		grpc.ConnectionTimeout(10*time.Second),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 10 * time.Second}),
		grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionIdle: time.Minute}),
	)
	agentv1.RegisterEnrolmentServer(g.server, &enrolment{g: g})
	agentv1.RegisterControlServer(g.server, &control{g: g})
	agentv1.RegisterAccessServer(g.server, &access{g: g})
	return g
}

// Serve accepts agents from ln, Mux.Agents, until ctx ends or ln is closed.
// The sessions live on; Shutdown ends them.
func (g *Gateway) Serve(ctx context.Context, ln net.Listener) error {
	stop := context.AfterFunc(ctx, func() { ln.Close() })
	defer stop()
	sweepCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	go g.sweep(sweepCtx)
	go g.fence(sweepCtx)
	g.setServing(true)
	defer g.setServing(false)
	if err := g.server.Serve(ln); err != nil && ctx.Err() == nil && !g.isStopping() {
		return fault.Wrap(err, fault.Unavailable, "listener_broken", "the hub stopped accepting agents")
	}
	return nil
}

// Err says why no agent is accepted now, nil when they are.
func (g *Gateway) Err() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.stopping:
		return fault.New(fault.Unavailable, "hub_stopping", "the hub is stopping")
	case !g.serving:
		return fault.New(fault.Unavailable, "starting", "the hub does not accept agents yet")
	}
	return nil
}

func (g *Gateway) setServing(yes bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.serving = yes
}

func (g *Gateway) isStopping() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.stopping
}

// Shutdown tells every agent that the hub stops, and waits until their
// sessions have ended or ctx ends; then whatever is left is cut.
func (g *Gateway) Shutdown(ctx context.Context) {
	g.mu.Lock()
	g.stopping = true
	g.mu.Unlock()
	g.endWhere(func(*session) bool { return true }, func() parting { p := stopping; p.Spread = g.spread(); return p }())
	done := make(chan struct{})
	go func() {
		defer close(done)
		g.sessions.Wait()
		g.server.GracefulStop() // sends what the sessions left behind
	}()
	select {
	case <-done:
	case <-ctx.Done():
	}
	g.server.Stop()
}

// Connected is one live session.
type Connected struct {
	Epoch        model.Epoch
	Since        time.Time
	LastHeard    time.Time
	Remote       string
	AgentVersion string
	Instance     string
}

// Connected lists the live sessions.
func (g *Gateway) Connected() map[model.ClusterID]Connected {
	g.mu.Lock()
	defer g.mu.Unlock()
	out := make(map[model.ClusterID]Connected, g.live)
	for id, c := range g.clusters {
		if s := c.current; s != nil {
			out[id] = Connected{
				Epoch: s.epoch, Since: s.since, LastHeard: s.lastHeard(), Remote: s.caller.remote(),
				AgentVersion: s.agentVersion, Instance: s.instance,
			}
		}
	}
	return out
}

// IsConnected reports whether the cluster has a live session here.
func (g *Gateway) IsConnected(cluster model.ClusterID) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	c := g.clusters[cluster]
	return c != nil && c.current != nil
}

// Notify says that desired states or withdrawals of a cluster have changed;
// its session reads them from the store. No application means all.
func (g *Gateway) Notify(cluster model.ClusterID, apps ...model.AppUID) {
	g.each(cluster, func(s *session) { s.out.markDesired(apps) })
}

// NotifyAll says that everything may have changed for every cluster, as when
// an administrator has acknowledged a restore.
func (g *Gateway) NotifyAll() {
	for _, s := range g.snapshot() {
		s.out.markDesired(nil)
		s.out.markOperations()
	}
}

// NotifyOperation says that the cluster has an operation to run or terminate.
func (g *Gateway) NotifyOperation(cluster model.ClusterID) {
	g.each(cluster, func(s *session) { s.out.markOperations() })
}

// Refresh asks the agent to compare and report applications now. It answers
// false when no session of the cluster is open here: the agent reports anew
// when it connects.
func (g *Gateway) Refresh(cluster model.ClusterID, apps ...model.AppUID) bool {
	return g.each(cluster, func(s *session) { s.out.refresh(apps) })
}

// ReportsStored says that all reports up to seq of a session are stored or
// superseded.
func (g *Gateway) ReportsStored(cluster model.ClusterID, epoch model.Epoch, seq uint64) {
	g.each(cluster, func(s *session) {
		if s.epoch == epoch {
			s.unstored.stored(seq)
			s.out.ackReports(seq)
		}
	})
}

// CloseCluster ends the cluster's session, as when it was revoked. code is
// stable and lower case.
func (g *Gateway) CloseCluster(cluster model.ClusterID, code, reason string) {
	g.endWhere(func(s *session) bool { return s.cluster == cluster }, parting{
		kind: fault.Unauthorized, GoAway: wire.GoAway{Code: code, Message: reason},
	})
}

// CloseAll ends every session; the agents come back spread over a while.
func (g *Gateway) CloseAll(code, reason string) {
	g.endWhere(func(*session) bool { return true }, parting{
		kind: fault.Unavailable, GoAway: wire.GoAway{Code: code, Message: reason, Spread: g.spread()},
	})
}

// WarmBundles keeps bundles that were just rendered in memory, so that sending
// them needs no read. They must be durable in the store already.
func (g *Gateway) WarmBundles(bundles ...fleet.Bundle) {
	for _, b := range bundles {
		if int64(len(b.Encoded)) <= g.opts.InlineBytes {
			g.bundles.put(b.Digest, b.Encoded)
		}
	}
}

// each calls f for the cluster's sessions, opening ones included, and reports
// whether there was one. f must not take g.mu.
func (g *Gateway) each(cluster model.ClusterID, f func(*session)) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	c := g.clusters[cluster]
	if c == nil {
		return false
	}
	if c.current != nil {
		f(c.current)
	}
	for s := range c.opening {
		f(s)
	}
	return c.current != nil
}

func (g *Gateway) snapshot() []*session {
	g.mu.Lock()
	defer g.mu.Unlock()
	out := make([]*session, 0, g.live)
	for _, c := range g.clusters {
		if c.current != nil {
			out = append(out, c.current)
		}
		for s := range c.opening {
			out = append(out, s)
		}
	}
	return out
}

func (g *Gateway) endWhere(match func(*session) bool, p parting) {
	for _, s := range g.snapshot() {
		if match(s) {
			s.end(p)
		}
	}
}

// spread of a return of everybody: 250 agents a second.
func (g *Gateway) spread() time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	return spreadFor(g.live)
}

func spreadFor(agents int) time.Duration { return time.Duration(agents) * time.Second / 250 }

func capFor(agents int) time.Duration { return max(5*time.Second, spreadFor(agents)) }

// silence is after how long a session counts as dead.
func (g *Gateway) silence() time.Duration { return g.opts.Heartbeat * 5 / 2 }

// sweep ends sessions that have fallen silent, or whose certificate has ended,
// and forgets rate limits that have recovered.
func (g *Gateway) sweep(ctx context.Context) {
	tick := time.NewTicker(min(time.Second, g.opts.Heartbeat/2))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := g.opts.Now()
		silence := g.silence()
		for _, s := range g.snapshot() {
			switch {
			case s.silentFor() > silence:
				s.log.Warn("session is silent; cutting it", "code", "session_silent", "silence", silence.String())
				g.opts.Observer.Refused("session_silent")
				s.cut()
			case s.stuckFor() > g.opts.SendTimeout:
				s.log.Warn("the agent does not read what it is sent; cutting its session", "code", "session_stuck", "timeout", g.opts.SendTimeout.String())
				g.opts.Observer.Refused("session_stuck")
				s.cut()
			case now.After(s.certEnd()):
				s.end(parting{kind: fault.Unauthorized, GoAway: wire.GoAway{Code: "certificate_expired", Message: "the certificate that opened this session has ended"}})
			}
		}
		g.mu.Lock()
		maps.DeleteFunc(g.rates, func(_ string, b *bucket) bool {
			return b.full(now, g.opts.SessionBurst, g.opts.SessionRefill)
		})
		g.mu.Unlock()
	}
}
