package access

import (
	"context"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"runtime/debug"
	"sync"
	"time"

	"k8s.io/client-go/rest"

	"github.com/hawser-dev/hawser/agent/live"
	agentv1 "github.com/hawser-dev/hawser/proto/gen/hawser/agent/v1"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/kubecall"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/tunnel"
	"github.com/hawser-dev/hawser/shared/wire"
)

// Applications says what the agent holds. Its method does not wait.
type Applications interface {
	// Managed answers the name of an application and the objects that are
	// desired for it or in its inventory; false when the agent does not hold it.
	Managed(app model.AppUID) (name string, objects []model.ObjectKey, ok bool)
}

// Objects is what is seen of the cluster, observe.Observer. Its methods do not
// wait.
type Objects interface {
	Get(model.ObjectKey) (live.Record, live.Presence)
	// Children lists the objects that name uid as an owner.
	Children(uid string) []live.Record
	Kind(model.GroupKind) (live.Kind, error)
	// Kinds lists all that the cluster serves.
	Kinds() []live.Kind
}

// Veto is the cluster's own policy. Its method does not wait; its errors are
// faults.
type Veto interface {
	// Allow says whether "get", "logs" or "exec" may be done with an object.
	Allow(verb string, key model.ObjectKey) error
	// AllowCall says whether a request of kubectl may be made. With an id what it
	// deletes is counted, for which it waits; without one it is only asked.
	AllowCall(ctx context.Context, id string, i kubecall.Info) error
}

// Actions says what can be done with an object. It does not wait for the
// network.
type Actions interface {
	Actions(gk model.GroupKind, object map[string]any) ([]model.ResourceAction, error)
}

// Options of a Server. All fields without a default are required.
type Options struct {
	// Config reaches the API server. It is copied; its rate limits are ignored.
	Config       *rest.Config
	Applications Applications
	Objects      Objects
	Veto         Veto
	Actions      Actions
	// Dial opens the tunnel that the hub asked for, link.Link.Tunnel.
	Dial func(ctx context.Context, id string) (net.Conn, error)
	// RedactionKey masks values of Secrets; it is random for each cluster.
	RedactionKey []byte
	// SensitiveAnnotations are the names of annotations of Secrets that are masked
	// like their values; nil: there are none.
	SensitiveAnnotations func() []string
	// SensitiveFields are those of the application's project; nil: there are none. It
	// does not wait; its errors are faults.
	SensitiveFields func(app model.AppUID) ([]model.SensitiveFields, error)
	// Permitted says whether the application's project lets it have an object; nil:
	// all. It does not wait; its errors are faults.
	Permitted func(app model.AppUID, key model.ObjectKey) error
	// Account names the user as whom everything is asked for an application, empty
	// for the agent itself; an error refuses. nil: always the agent itself.
	Account func(app model.AppUID) (user string, err error)
	// MayExec says whether commands may be run for an application, beside the rest;
	// nil: they may.
	MayExec func(app model.AppUID) error
	// Recheck is how often it is asked anew whether what is shown may be; 3 s when
	// zero.
	Recheck time.Duration
	// AllowExec lets commands be run in containers.
	AllowExec bool
	// AllowKubectl lets requests of kubectl in. Hub is the hub's CA, which vouches
	// for who they are of, and which cluster this is to it; required with
	// AllowKubectl.
	AllowKubectl bool
	Hub          func() (ca *x509.Certificate, cluster model.ClusterID)
	Log          *slog.Logger

	// Tunnel bounds what the hub may have under way.
	Tunnel tunnel.Options
	// Sources is how many logs may be read at once, over all requests; 200 when
	// zero. MaxSources is that of one request, 100 when zero.
	Sources, MaxSources int
	// TunnelIdle ends a tunnel on which nothing was asked; 5 min when zero. The
	// hub ends it sooner.
	TunnelIdle time.Duration
}

// maxTunnels is how many tunnels there may be: one, and one that takes its place.
const maxTunnels = 2

// Server answers the hub. Run owns its goroutines.
type Server struct {
	o    Options
	log  *slog.Logger
	http *http.Client
	base *url.URL
	// sources has a token for each log that is read.
	sources chan struct{}
	// lists and reads have a token for each list of events, and each object, that
	// is in memory.
	lists, reads chan struct{}
	news         *news
	// plain and upgrading send requests of kubectl.
	plain, upgrading http.RoundTripper
	spent            spent

	mu      sync.Mutex
	ctx     context.Context // of Run; nil before and after
	tunnels int
	wg      sync.WaitGroup
}

// New makes a Server. It does not touch the network.
func New(o Options) (*Server, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Sources <= 0 {
		o.Sources = 200
	}
	if o.MaxSources <= 0 {
		o.MaxSources = 100
	}
	if o.Recheck <= 0 {
		o.Recheck = 3 * time.Second
	}
	if o.TunnelIdle <= 0 {
		o.TunnelIdle = 5 * time.Minute
	}
	config := rest.CopyConfig(o.Config)
	config.QPS, config.Burst, config.RateLimiter = -1, 0, nil
	config.DisableCompression = true
	config.Timeout = 0 // requests carry contexts
	// HTTP/1.1: a log that nobody reads then fills the kernel's buffers, where
	// HTTP/2 would hold 4 MiB of each in the agent's memory.
	config.NextProtos = []string{"http/1.1"}
	o.Config = config
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fault.Wrap(err, fault.Invalid, "cluster_config", "the configuration to reach the cluster's API server is not usable")
	}
	base, _, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		return nil, fault.Wrap(err, fault.Invalid, "cluster_config", "the address of the cluster's API server is not a URL")
	}
	plain, upgrading, err := makeCalls(config)
	if err != nil {
		return nil, fault.Wrap(err, fault.Invalid, "cluster_config", "the configuration to reach the cluster's API server is not usable")
	}
	return &Server{o: o, log: o.Log, http: client, base: base, plain: plain, upgrading: upgrading, sources: make(chan struct{}, o.Sources),
		lists: make(chan struct{}, eventLists), reads: make(chan struct{}, maxReads), news: newNews()}, nil
}

// Event wakes those who follow pods; it is for observe.Observer.Subscribe.
func (s *Server) Event(e live.Event) { s.news.publish(e.Key) }

// Run lets tunnels be opened until ctx ends, and returns when all have ended.
func (s *Server) Run(ctx context.Context) error {
	s.mu.Lock()
	s.ctx = ctx
	s.mu.Unlock()
	<-ctx.Done()
	s.mu.Lock()
	s.ctx = nil
	s.mu.Unlock()
	s.wg.Wait()
	s.http.CloseIdleConnections()
	return nil
}

// OpenTunnel implements link.Tunnels.
func (s *Server) OpenTunnel(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx == nil {
		return
	}
	if s.tunnels >= maxTunnels {
		s.log.Warn("the hub asks for more tunnels than it needs; not opened", "code", "tunnel_limit", "open", s.tunnels)
		return
	}
	s.tunnels++
	ctx := s.ctx
	s.wg.Go(func() {
		defer func() {
			s.mu.Lock()
			s.tunnels--
			s.mu.Unlock()
		}()
		conn, err := s.o.Dial(ctx, id)
		if err != nil {
			s.log.Warn("the access tunnel is not opened", "code", fault.As(err).Code, "error", err)
			return
		}
		s.Serve(ctx, conn)
	})
}

// Serve answers requests on a tunnel until it or ctx ends. It takes conn over.
func (s *Server) Serve(ctx context.Context, conn net.Conn) {
	session, err := tunnel.NewAcceptor(conn, s.o.Tunnel)
	if err != nil {
		conn.Close()
		s.log.Error("the access tunnel is not opened", "error", err)
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		defer cancel()
		idle := time.NewTicker(s.o.TunnelIdle / 4)
		defer idle.Stop()
		for {
			select {
			case <-ctx.Done():
				session.Close(nil)
				return
			case <-session.Done():
				return
			case <-idle.C:
				session.CloseIdle(s.o.TunnelIdle)
			}
		}
	})
	s.log.Debug("access tunnel open")
	for {
		st, err := session.Accept()
		if err != nil {
			s.log.Debug("access tunnel closed", "reason", session.Err())
			break
		}
		wg.Go(func() { s.answer(ctx, st) })
	}
	cancel()
	wg.Wait()
}

// requestTimeout is how long a hub that opened a stream may take to ask.
const requestTimeout = 10 * time.Second

// answer answers one request.
func (s *Server) answer(ctx context.Context, st *tunnel.Stream) {
	defer st.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	asked, stop := context.WithTimeout(ctx, requestTimeout)
	var p agentv1.AccessRequest
	err := st.Receive(asked, &p)
	stop()
	if err != nil {
		return // nobody is there to be told
	}
	r, err := wire.AccessRequest(&p)
	if r.Timeout > 0 {
		ctx, cancel = context.WithTimeoutCause(ctx, r.Timeout,
			fault.New(fault.Unavailable, "access_timeout", "the cluster did not answer within %s", r.Timeout))
		defer cancel()
	}
	// The hub's last word ends the work, at once.
	go func() {
		select {
		case <-st.Done():
			cancel()
		case <-ctx.Done():
		}
	}()
	a := &answer{ctx: ctx, st: st, app: r.App}
	exitCode := 0
	if err == nil {
		exitCode, err = s.perform(r, a)
	}
	level := slog.LevelDebug
	if r.Exec != nil || r.Kube != nil && err != nil {
		level = slog.LevelInfo
	}
	s.log.Log(ctx, level, "asked by the hub", "request", r.ID, "by", r.By, "application_uid", string(r.App), "what", verbOf(r), "error", err)
	// The context may be what ended the work; its end is still told.
	last, stop := context.WithTimeout(context.WithoutCancel(ctx), requestTimeout)
	defer stop()
	_ = st.Send(last, wire.AccessAnswerToProto(model.AccessAnswer{End: &model.AccessEnd{Err: shown(ctx, err), ExitCode: exitCode}}))
}

// shown is an error as the hub is told it.
func shown(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	var known *fault.Error
	if !errors.As(err, &known) && ctx.Err() != nil && errors.As(context.Cause(ctx), &known) {
		return known
	}
	e := *fault.As(err)
	e.Cause = nil
	e.Message = cut(e.Message, 300)
	return &e
}

func verbOf(r model.AccessRequest) string {
	switch {
	case r.Object != nil:
		return "object"
	case r.Events != nil:
		return "events"
	case r.Logs != nil:
		return "logs"
	case r.Exec != nil:
		return "exec"
	case r.Actions != nil:
		return "actions"
	case r.Kube != nil:
		return "kubectl"
	}
	return "nothing"
}

// perform does what was asked for. A panic ends the request and not the agent,
// whose work is another.
func (s *Server) perform(r model.AccessRequest, a *answer) (exitCode int, err error) {
	defer func() {
		if p := recover(); p != nil {
			s.log.Error("panic in an access request", "panic", p, "what", verbOf(r), "stack", string(debug.Stack()))
			err = fault.New(fault.Internal, "access_failed", "the agent failed to answer; its log says more")
		}
	}()
	if r.Kube != nil {
		return 0, s.call(a, r)
	}
	user, err := s.account(r.App)
	if err != nil {
		return 0, err
	}
	a.ctx = as(a.ctx, user)
	objects, err := s.reach(r.App)
	if err != nil {
		return 0, err
	}
	switch {
	case r.Object != nil:
		return 0, s.object(a, objects, *r.Object)
	case r.Events != nil:
		return 0, s.events(a, objects, *r.Events)
	case r.Logs != nil:
		return 0, s.logs(a, objects, *r.Logs)
	case r.Exec != nil:
		return s.exec(a, objects, *r.Exec)
	default:
		return 0, s.actions(a, objects, *r.Actions)
	}
}

// answer is the way back of one request. Its methods wait until the hub has
// taken what was said before, or ctx ends.
type answer struct {
	ctx context.Context
	st  *tunnel.Stream
	app model.AppUID
}

func (a *answer) send(m model.AccessAnswer) error {
	return a.st.Send(a.ctx, wire.AccessAnswerToProto(m))
}

// news wakes those who wait for something to change in the cluster, or for one
// object to.
type news struct {
	mu  sync.Mutex
	all chan struct{} // nil when nobody waits
	of  map[model.ObjectKey]*bell
}

type bell struct {
	ch      chan struct{}
	waiters int
}

func newNews() *news { return &news{of: map[model.ObjectKey]*bell{}} }

// next is closed with the next change.
func (n *news) next() <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.all == nil {
		n.all = make(chan struct{})
	}
	return n.all
}

// nextOf is closed with the next change of one object. Whoever does not wait any
// more calls leave.
func (n *news) nextOf(key model.ObjectKey) (changed <-chan struct{}, leave func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	b := n.of[key]
	if b == nil {
		b = &bell{ch: make(chan struct{})}
		n.of[key] = b
	}
	b.waiters++
	return b.ch, func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		if b.waiters--; b.waiters == 0 && n.of[key] == b {
			delete(n.of, key)
		}
	}
}

func (n *news) publish(key model.ObjectKey) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.all != nil {
		close(n.all)
		n.all = nil
	}
	if b := n.of[key]; b != nil {
		close(b.ch)
		delete(n.of, key)
	}
}
