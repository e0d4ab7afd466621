package link

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/wire"
)

// Observer counts. Its methods must not block.
type Observer interface {
	// SessionOpened: the hub has welcomed a session.
	SessionOpened()
	// RoundTrip is the time from a heartbeat to the hub's answer.
	RoundTrip(time.Duration)
}

type unobserved struct{}

func (unobserved) SessionOpened()          {}
func (unobserved) RoundTrip(time.Duration) {}

// Options of a link. Address, Identity and Handler are required; CAHash and
// Token where the cluster has not enrolled yet. Other zero values have
// defaults.
type Options struct {
	Address string // host:port of the hub
	// CAHash pins the hub's CA: "sha256:…".
	CAHash string
	// Token is the one-time enrolment token.
	Token string
	// ClusterName that the operator believes to enrol; empty is the token's.
	ClusterName string
	Identity    IdentityStore
	Handler     Handler
	// Settings and Tunnels take the messages of their names. The hello announces
	// the capability of each that is set; nil ones are sent nothing.
	Settings Settings
	Tunnels  Tunnels
	// Confirmed says which report's observations still hold, and since when
	// that is known; it is asked for each heartbeat. Nil: nothing is confirmed.
	Confirmed func() (seq uint64, at time.Time)
	// Observer is told of sessions; nil: nobody is.
	Observer Observer

	// Proxy is the URL of an HTTP proxy, with user and password if it wants
	// them; ProxyDirect for none; empty for HTTPS_PROXY and NO_PROXY.
	Proxy string
	// ProxyCAFile holds further CAs (PEM) for the TLS of an https:// proxy. The
	// hub itself is only ever trusted by its pinned CA.
	ProxyCAFile string
	// Dial opens the TCP connection to the hub or the proxy; nil: net.Dialer. It is
	// for those who want agents that come from elsewhere, or lines that break.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	AgentVersion string
	// Instance tells this process from others with the same identity, in logs.
	Instance string
	Log      *slog.Logger
	Now      func() time.Time

	HandshakeTimeout time.Duration // of one dial; default 15 s
	// BackoffBase is the first limit of the reconnect backoff; default 1 s.
	BackoffBase time.Duration
	// RenewCheck is how often the certificate's age is looked at; default 1 min.
	RenewCheck time.Duration
	// MaxBundleBytes refuses larger encoded bundles; default 64 MiB.
	MaxBundleBytes int64
	// Random returns a number in [0, n); default math/rand.
	Random func(n int64) int64
}

// Link is the agent's connection to the hub. Run drives it; the methods of
// Sender may be called at any time and from any goroutine.
type Link struct {
	opts   Options
	log    *slog.Logger
	dialer *dialer
	pin    string

	identity atomic.Pointer[proven]
	renewing sync.Mutex
	unsaved  *proven // enrolled, and not stored yet; of Run's goroutine

	out      *outbox
	partials *partials

	mu     sync.Mutex
	status Status
}

// Status of the link, for conditions and readiness.
type Status struct {
	Enrolled    bool
	Cluster     model.ClusterID
	ClusterName string
	Connected   bool // a session is welcomed
	Epoch       model.Epoch
	Since       time.Time // of the last change of Connected
	LastError   error     // of the last attempt or session
}

// New checks the options; it does not touch the network.
func New(opts Options) (*Link, error) {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Observer == nil {
		opts.Observer = unobserved{}
	}
	if opts.HandshakeTimeout <= 0 {
		opts.HandshakeTimeout = 15 * time.Second
	}
	if opts.BackoffBase <= 0 {
		opts.BackoffBase = time.Second
	}
	if opts.RenewCheck <= 0 {
		opts.RenewCheck = time.Minute
	}
	if opts.MaxBundleBytes <= 0 {
		opts.MaxBundleBytes = 64 << 20
	}
	if opts.Random == nil {
		opts.Random = randomInt64
	}
	if opts.Confirmed == nil {
		opts.Confirmed = func() (uint64, time.Time) { return 0, opts.Now() }
	}
	l := &Link{opts: opts, log: opts.Log, out: newOutbox(), partials: newPartials()}
	if opts.CAHash != "" {
		pin, err := wire.ParseCAHash(opts.CAHash)
		if err != nil {
			return nil, err
		}
		l.pin = pin
	}
	d, err := newDialer(opts)
	if err != nil {
		return nil, err
	}
	l.dialer = d
	return l, nil
}

// Status answers how the link is.
func (l *Link) Status() Status {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.status
}

// CertificateEnd is when the agent's certificate ends, zero when it has none.
func (l *Link) CertificateEnd() time.Time {
	if id := l.identity.Load(); id != nil {
		return id.leaf.NotAfter
	}
	return time.Time{}
}

func (l *Link) setStatus(f func(s *Status)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	was := l.status.Connected
	f(&l.status)
	if l.status.Connected != was || l.status.Since.IsZero() {
		l.status.Since = l.opts.Now()
	}
}

// Reports implements Sender.
func (l *Link) Reports(reports []model.AppReport) { l.out.reports(reports) }

// Operation implements Sender.
func (l *Link) Operation(u model.OperationUpdate) { l.out.operation(u) }

// Cluster implements Sender.
func (l *Link) Cluster(r model.ClusterReport) { l.out.clusterReport(r) }

// Run enrols if need be, and then holds a session until ctx ends, coming back
// whenever it is cut. It returns an error only when this agent cannot get an
// identity at all: the token was refused, or there is none. While the hub is
// away, or refuses, it goes on trying.
func (l *Link) Run(ctx context.Context) error {
	if err := l.obtainIdentity(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	renewCtx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() { l.keepRenewed(renewCtx) })

	retry := backoff{base: l.opts.BackoffBase, cap: time.Minute}
	tokenTried := false
	for ctx.Err() == nil {
		if !l.identity.Load().leaf.NotAfter.After(l.opts.Now()) {
			// Renewing is the one thing that an ended certificate can do.
			if err := l.renew(ctx); err != nil {
				l.failed("certificate renewal", err)
				tokenTried = l.enrolAgain(ctx, err, tokenTried)
				l.wait(ctx, retry.next(l.opts.Random))
				continue
			}
		}
		end := l.session(ctx)
		if ctx.Err() != nil {
			return nil
		}
		l.failed("session", end.err)
		if end.welcomed && end.lasted >= 10*time.Second {
			retry.reset()
		}
		wait := end.wait(&retry, l.opts.Random)
		if l.enrolAgain(ctx, end.err, tokenTried) {
			tokenTried = true
		}
		l.wait(ctx, wait)
	}
	return nil
}

func (l *Link) failed(what string, err error) {
	l.setStatus(func(s *Status) { s.Connected, s.LastError = false, err })
	f := fault.As(err)
	l.log.Warn(what+" ended", "code", f.Code, "error", err, "fix", l.fix(f))
}

// fix is what to do about a failure. The hub does not know by which name a certificate
// that it does not take was issued.
func (l *Link) fix(f *fault.Error) string {
	if id := l.identity.Load(); id != nil && id.ClusterName != "" && (f.Code == "certificate_expired" || f.Code == "certificate_revoked") {
		return "if the agent does not come back by itself: hawser cluster enroll " + id.ClusterName
	}
	return f.Fix
}

func (l *Link) wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// rpc opens a gRPC client on one connection to the hub; it never dials again
// by itself.
func (l *Link) rpc(ctx context.Context, serverName string, t trust, client *tls.Certificate) (*grpc.ClientConn, error) {
	conn, err := l.dialer.dial(ctx, serverName, t, client)
	if err != nil {
		return nil, err
	}
	var used atomic.Bool
	cc, err := grpc.NewClient("passthrough:///hub",
		// The connection is TLS already, proven by the dialer.
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) {
			if used.Swap(true) {
				return nil, fault.New(fault.Unavailable, "connection_lost", "the connection to the hub was lost")
			}
			return conn, nil
		}),
		grpc.WithNoProxy(),
		grpc.WithDisableServiceConfig(),
		grpc.WithIdleTimeout(0),
		grpc.WithReadBufferSize(0),
		grpc.WithWriteBufferSize(16<<10),
		grpc.WithInitialWindowSize(1<<20),
		grpc.WithInitialConnWindowSize(4<<20),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(wire.MaxMessageBytes), grpc.MaxCallSendMsgSize(wire.MaxMessageBytes)),
		grpc.WithUserAgent("hawser-agent/"+l.opts.AgentVersion),
	)
	if err != nil {
		conn.Close()
		return nil, fault.Wrap(err, fault.Internal, "rpc_failed", "the connection to the hub could not be used")
	}
	return cc, nil
}
