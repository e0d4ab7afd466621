package gateway

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"io"
	"slices"
	"sync"
	"time"

	agentv1 "github.com/hawser-dev/hawser/proto/gen/hawser/agent/v1"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/tunnel"
	"github.com/hawser-dev/hawser/shared/wire"
)

// tunnels are the access tunnels of all clusters, at most one each.
type tunnels struct {
	mu   sync.Mutex
	open map[model.ClusterID]*clusterTunnel
}

// clusterTunnel is a tunnel from when it is asked for to its end. It belongs to
// a control session and ends with it, so that a revoked cluster has neither.
type clusterTunnel struct {
	cluster model.ClusterID
	owner   *session
	id      string
	expires *time.Timer

	ready chan struct{}   // closed when s or err is set
	s     *tunnel.Session // set once, guarded by tunnels.mu until ready
	err   error
}

// AccessStream is one request to an agent and its answer. One goroutine may
// receive while another sends; Close may be called at any time, and must be.
type AccessStream struct {
	st    *tunnel.Stream
	ended bool // of the goroutine that receives
}

// Access asks the agent of a cluster. It opens the cluster's tunnel when there
// is none, which takes a round trip and a TLS handshake. Codes: agent_offline,
// access_timeout, access_interrupted (Unavailable), access_unsupported
// (Precondition), access_limit (RateLimited).
func (g *Gateway) Access(ctx context.Context, cluster model.ClusterID, r model.AccessRequest) (*AccessStream, error) {
	for attempt := 0; ; attempt++ {
		t, err := g.tunnelTo(ctx, cluster)
		if err != nil {
			return nil, err
		}
		st, err := t.s.Open()
		if err == nil {
			err = st.Send(ctx, wire.AccessRequestToProto(r))
			if err == nil {
				return &AccessStream{st: st}, nil
			}
			st.Close()
		}
		// A tunnel may have been closed as idle a moment ago.
		if attempt > 0 || !fault.HasCode(t.s.Err(), "tunnel_closed") || ctx.Err() != nil {
			return nil, accessError(err)
		}
	}
}

// tunnelTo returns the open tunnel of a cluster, or asks its agent for one and
// waits.
func (g *Gateway) tunnelTo(ctx context.Context, cluster model.ClusterID) (*clusterTunnel, error) {
	t, err := g.wantTunnel(cluster)
	if err != nil {
		return nil, err
	}
	if g.current(cluster) != t.owner { // it ended before the tunnel could end with it
		g.tunnels.end(t.owner)
	}
	select {
	case <-t.ready:
		return t, t.err
	case <-ctx.Done():
		return nil, fault.Wrap(context.Cause(ctx), fault.Unavailable, "access_timeout", "the cluster's agent has not opened a tunnel in time")
	}
}

// current is the cluster's welcomed session, nil when there is none.
func (g *Gateway) current(cluster model.ClusterID) *session {
	g.mu.Lock()
	defer g.mu.Unlock()
	if c := g.clusters[cluster]; c != nil {
		return c.current
	}
	return nil
}

func (g *Gateway) wantTunnel(cluster model.ClusterID) (*clusterTunnel, error) {
	owner := g.current(cluster)
	if owner == nil {
		return nil, offline("the cluster's agent is not connected")
	}
	if !slices.Contains(owner.capabilities, model.CapabilityAccess) {
		return nil, fault.New(fault.Precondition, "access_unsupported", "the agent of this cluster, %s, cannot be asked for live objects", owner.agentVersion).
			WithFix("upgrade the agent")
	}
	ts := g.tunnels
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if t := ts.open[cluster]; t != nil && t.owner == owner && (t.s == nil || t.s.Err() == nil) {
		return t, nil
	}
	// Whoever knows the id may not become the tunnel: the certificate decides
	// that. It only keeps apart tunnels that are asked for one after the other.
	id := make([]byte, 16)
	_, _ = rand.Read(id) // never fails
	t := &clusterTunnel{cluster: cluster, owner: owner, id: hex.EncodeToString(id), ready: make(chan struct{})}
	t.expires = time.AfterFunc(g.opts.TunnelOpening, func() {
		ts.fail(t, fault.New(fault.Unavailable, "access_timeout", "the cluster's agent did not open a tunnel within %s", g.opts.TunnelOpening))
	})
	ts.open[cluster] = t
	owner.out.openTunnel(t.id)
	return t, nil
}

func offline(why string) error {
	return fault.New(fault.Unavailable, "agent_offline", "%s", why).WithFix("look at the cluster with hawser cluster get")
}

// claim finds the tunnel that an agent opens, and takes it out of reach of its
// timer.
func (ts *tunnels) claim(cluster model.ClusterID, id string) (*clusterTunnel, error) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	t := ts.open[cluster]
	if t == nil || t.s != nil || t.err != nil || subtle.ConstantTimeCompare([]byte(t.id), []byte(id)) != 1 || !t.expires.Stop() {
		return nil, fault.New(fault.Precondition, "tunnel_unknown", "nobody has asked for this tunnel, or it came too late")
	}
	return t, nil
}

// fail ends a tunnel that never came to be.
func (ts *tunnels) fail(t *clusterTunnel, err error) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	ts.failLocked(t, err)
}

// failLocked is called with ts.mu held.
func (ts *tunnels) failLocked(t *clusterTunnel, err error) {
	if t.s != nil || t.err != nil {
		return
	}
	t.err = err
	t.expires.Stop()
	close(t.ready)
	ts.forget(t)
}

// forget is called with ts.mu held.
func (ts *tunnels) forget(t *clusterTunnel) {
	if ts.open[t.cluster] == t {
		delete(ts.open, t.cluster)
	}
}

// established makes a tunnel usable, unless its session has ended meanwhile.
func (ts *tunnels) established(t *clusterTunnel, s *tunnel.Session) bool {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if t.err != nil {
		return false
	}
	t.s = s
	close(t.ready)
	return true
}

func (ts *tunnels) ended(t *clusterTunnel) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	ts.forget(t)
}

// end ends the tunnel of a control session that has ended.
func (ts *tunnels) end(owner *session) {
	ts.mu.Lock()
	t := ts.open[owner.cluster]
	if t == nil || t.owner != owner {
		ts.mu.Unlock()
		return
	}
	ts.forget(t)
	gone := offline("the cluster's agent is not connected any more")
	s := t.s
	if s == nil { // under the same lock as in established, or it could come to be in between
		ts.failLocked(t, gone)
	}
	ts.mu.Unlock()
	if s != nil {
		s.Close(gone)
	}
}

// access is the gRPC service behind the agents' server name.
type access struct {
	agentv1.UnimplementedAccessServer
	g *Gateway
}

// Tunnel implements the Access service. It returns when the tunnel has ended.
func (a *access) Tunnel(stream agentv1.Access_TunnelServer) error {
	err := a.g.serveTunnel(stream)
	if err != nil {
		a.g.logRefusal(stream.Context(), "access tunnel refused", err)
	}
	return fault.GRPC(err)
}

func (g *Gateway) serveTunnel(stream agentv1.Access_TunnelServer) error {
	ctx := stream.Context()
	who, err := agentOf(ctx)
	if err != nil {
		return err
	}
	cut := func() { who.conn.Close() }
	timeout := time.AfterFunc(g.opts.HelloTimeout, cut)
	id, err := tunnel.ReceiveOpen(stream)
	timeout.Stop()
	if err != nil {
		return fault.FromGRPC(err)
	}
	who.guest.work(true)
	defer who.guest.next(g.opts.FirstCall) // of one that was let out it does nothing
	if err := g.checkCertificate(ctx, who); err != nil {
		return err
	}
	t, err := g.tunnels.claim(who.identity.Cluster, id)
	if err != nil {
		return err
	}
	who.guest.leave()
	conn := tunnel.NewConn(stream, nil, cut)
	defer func() { <-conn.Sent() }()
	defer conn.Close()
	s, err := tunnel.NewOpener(conn, g.opts.Tunnel)
	if err != nil {
		g.tunnels.fail(t, err)
		return err
	}
	if !g.tunnels.established(t, s) {
		s.Close(nil)
		return fault.New(fault.Unavailable, "session_ended", "the session that asked for this tunnel has ended")
	}
	defer g.tunnels.ended(t)
	log := t.owner.log
	log.Info("access tunnel open", "remote", who.remote())
	idle := time.NewTicker(g.opts.TunnelIdle / 4)
	defer idle.Stop()
	for {
		select {
		case <-s.Done():
			log.Info("access tunnel closed", "reason", s.Err())
			return nil
		case <-idle.C:
			s.CloseIdle(g.opts.TunnelIdle)
		}
	}
}

// Receive waits for the next piece of the answer. After an End it returns
// io.EOF. Codes: access_interrupted, agent_offline (Unavailable), access_failed
// (Upstream) when the agent does not keep to the protocol; a ctx that ended is
// its own cause.
func (s *AccessStream) Receive(ctx context.Context) (model.AccessAnswer, error) {
	if s.ended {
		return model.AccessAnswer{}, io.EOF
	}
	var p agentv1.AccessAnswer
	if err := s.st.Receive(ctx, &p); err != nil {
		if ctx.Err() != nil {
			return model.AccessAnswer{}, context.Cause(ctx)
		}
		return model.AccessAnswer{}, accessError(err)
	}
	a, err := wire.AccessAnswer(&p)
	if err != nil {
		return a, fault.Wrap(err, fault.Upstream, "access_failed", "the cluster's agent sent an answer that makes no sense")
	}
	s.ended = a.End != nil
	return a, nil
}

// Send says something after the request.
func (s *AccessStream) Send(ctx context.Context, in model.AccessInput) error {
	if err := s.st.Send(ctx, wire.AccessInputToProto(in)); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return accessError(err)
	}
	return nil
}

// Done is closed when the agent has ended the stream, or the tunnel is gone.
func (s *AccessStream) Done() <-chan struct{} { return s.st.Done() }

// Close ends the request; an agent that still works on it stops.
func (s *AccessStream) Close() { s.st.Close() }

// accessError says what the end of a stream means to who asked.
func accessError(err error) error {
	interrupted := func(why string) error {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF // io.EOF is what follows an End
		}
		return fault.Wrap(err, fault.Unavailable, "access_interrupted", "%s", why).WithFix("try again")
	}
	switch e := fault.As(err); {
	case errors.Is(err, io.EOF), e.Code == "stream_closed":
		return interrupted("the cluster's agent ended the answer early")
	case e.Code == "tunnel_violated":
		return fault.Wrap(err, fault.Upstream, "access_failed", "the cluster's agent does not keep to the protocol")
	case e.Code == "tunnel_closed", e.Code == "tunnel_lost", e.Code == "tunnel_stuck":
		return interrupted("the connection to the cluster's agent was lost")
	}
	return err
}
