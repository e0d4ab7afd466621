package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/hawser-dev/hawser/hub/fleet"
	agentv1 "github.com/hawser-dev/hawser/proto/gen/hawser/agent/v1"
	"github.com/hawser-dev/hawser/shared/audit"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/manifest"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/wire"
)

type sessionStream = grpc.BidiStreamingServer[agentv1.AgentMessage, agentv1.HubMessage]

// parting is why a session ends: what the agent is told, and the class of the
// error.
type parting struct {
	wire.GoAway
	kind fault.Kind
}

func (p parting) err() error { return fault.New(p.kind, p.Code, "%s", p.Message) }

// session is one welcomed, or opening, connection of one agent. Two goroutines
// belong to it: the call's own, which is the only one that sends, and one that
// receives; a third runs while there is something of the agent's to store.
type session struct {
	g            *Gateway
	log          *slog.Logger
	stream       sessionStream
	caller       *caller
	cluster      model.ClusterID
	agentVersion string
	instance     string
	capabilities []string // of the hello
	since        time.Time
	epoch        model.Epoch // set before the session is current

	out outbox
	in  inbox

	messages bucket // of the receiving goroutine, like bytes and spoke
	bytes    bucket
	spoke    bool // in this epoch
	unstored unstored

	heard      atomic.Int64 // nanoseconds since start, monotonic
	beaten     atomic.Bool  // a heartbeat of the agent is to be answered
	sendingAt  atomic.Int64 // when the message that is being sent was begun, as heard; 0: none is
	start      time.Time
	certExpiry atomic.Int64 // Unix seconds

	// closed when the receiving goroutine has ended, with recvErr set.
	received chan struct{}
	recvErr  error

	endOnce sync.Once
	ending  atomic.Pointer[parting]

	// facts is what the agent holds and was sent; it says what it lacks.
	factsMu sync.Mutex
	facts   *fleet.Session
	// settings is the digest of those that the agent holds or was sent
	// (converse's own).
	settings model.Digest
	// kept: some operation waits for a desired state to be sent (converse's own).
	kept bool
}

const (
	partingGrace = 2 * time.Second
)

func (s *session) lastHeard() time.Time { return s.start.Add(time.Duration(s.heard.Load())) }

func (s *session) silentFor() time.Duration {
	return time.Since(s.start) - time.Duration(s.heard.Load())
}

func (s *session) hear() { s.heard.Store(int64(time.Since(s.start))) }

func (s *session) certEnd() time.Time { return time.Unix(s.certExpiry.Load(), 0) }

// end lets the sending goroutine say good-bye, and cuts the connection when it
// cannot within partingGrace.
func (s *session) end(p parting) {
	s.endOnce.Do(func() {
		s.ending.Store(&p)
		s.out.poke()
		time.AfterFunc(partingGrace, s.cutUnlessEnded)
	})
}

func (s *session) cutUnlessEnded() {
	select {
	case <-s.stream.Context().Done():
	default:
		s.cut()
	}
}

// cut closes the connection under the session: the only way to wake a sender
// that waits for a peer which no longer reads.
func (s *session) cut() { s.caller.conn.Close() }

// control is the gRPC service behind the agents' server name.
type control struct {
	agentv1.UnimplementedControlServer
	g *Gateway
}

// agentOf checks that the call came under the agents' server name, with a
// certificate of ours that has not ended.
func agentOf(ctx context.Context) (*caller, error) {
	c, err := callerOf(ctx)
	if err != nil {
		return nil, err
	}
	if c.serverName != model.AgentServerName {
		return nil, fault.New(fault.Denied, "wrong_server_name", "sessions are served under %s", model.AgentServerName)
	}
	if c.refusal != nil {
		return nil, c.refusal
	}
	if c.expired {
		return nil, fault.New(fault.Unauthorized, "certificate_expired",
			"the client certificate ended on %s", c.identity.NotAfter.Format(time.RFC3339)).WithFix("nothing, the agent renews it by itself; if it does not, enrol the cluster again under the same name")
	}
	return c, nil
}

// Session implements the Control service. What lies on the stack while nothing happens
// is kept small, here and in serve and converse: with less than 4 KiB of it, gRPC's own
// included, an idle agent's stack shrinks to 8 KiB.
func (c *control) Session(stream sessionStream) error {
	s, err := c.g.newSession(stream)
	if err == nil {
		err = s.serve()
	}
	if err == nil || errors.Is(err, io.EOF) {
		return nil
	}
	return fault.GRPC(err)
}

// newSession makes the session of a call, if its caller may have one.
func (g *Gateway) newSession(stream sessionStream) (*session, error) {
	who, err := agentOf(stream.Context())
	if err != nil {
		g.logRefusal(stream.Context(), "session refused", err)
		return nil, err
	}
	s := &session{
		g: g, stream: stream, caller: who, cluster: who.identity.Cluster,
		log:   g.log.With("cluster", string(who.identity.Cluster), "remote", who.remote()),
		start: time.Now(), since: g.opts.Now(),
		out: newOutbox(), unstored: newUnstored(), received: make(chan struct{}),
	}
	s.certExpiry.Store(who.identity.NotAfter.Unix())
	return s, nil
}

func (g *Gateway) logRefusal(ctx context.Context, what string, err error) {
	remote := "?"
	if c, e := callerOf(ctx); e == nil {
		remote = c.remote()
	}
	f := fault.As(err)
	g.opts.Observer.Refused(f.Code)
	g.refused(ctx, what, remote, f.Code)
	write, left := g.lines.next(time.Now())
	if !write {
		return
	}
	g.log.WarnContext(ctx, what, "code", f.Code, "reason", f.Message, "remote", remote, "lines_left_out", left)
}

// refused has a record of somebody who was not let in. Of one address only so many
// are kept.
func (g *Gateway) refused(ctx context.Context, what, remote, code string) {
	r := audit.Record{Kind: audit.Refusal, Action: "agentRefused", Resource: "clusters", Outcome: audit.Denied, Code: code, From: hostOf(remote), Reason: what}
	if c, err := callerOf(ctx); err == nil && c.identity.Cluster != "" {
		r.Actor, r.ActorID, r.Name = "agent", string(c.identity.Cluster), string(c.identity.Cluster)
	}
	g.opts.Audit.Add(fleet.AuditEntry{Record: r})
}

// hostOf is an address without its port, which is another with each connection.
func hostOf(remote string) string {
	if host, _, err := net.SplitHostPort(remote); err == nil {
		return host
	}
	return remote
}

// greeting is what a session begins with.
type greeting struct {
	hello   model.Hello
	opening fleet.Opening
	offset  clockOffset
}

// stage is how far a session has come.
type stage int

const (
	stranger stage = iota
	begun          // Gateway.begin: sessions waits for it
	current        // Gateway.install: it has to leave
)

// serve runs the session from hello to end. It returns nil when the agent left
// in good order.
func (s *session) serve() error {
	ctx := s.stream.Context()
	o, at, err := s.open(ctx)
	if at >= begun {
		defer s.g.sessions.Done()
	}
	if at >= current {
		defer func() { s.g.leave(s, err) }()
	}
	if o == nil {
		return err
	}
	if err = s.greet(ctx, o); err != nil {
		err = s.ended(err)
	} else {
		o = nil // it may be large
		err = s.converse(ctx)
	}
	s.close(ctx, err)
	return err
}

// open hears who is there and opens the session in the store. Without an answer there
// is none, and it says why.
func (s *session) open(ctx context.Context) (*greeting, stage, error) {
	hello, offset, err := s.receiveHello(ctx)
	if err != nil {
		s.caller.guest.next(s.g.opts.FirstCall)
		s.g.logRefusal(ctx, "hello refused", err)
		return nil, stranger, err
	}
	s.agentVersion, s.instance, s.capabilities = hello.AgentVersion, hello.Instance, hello.Capabilities
	s.caller.guest.leave()
	if p := s.admit(hello); p != nil {
		s.g.opts.Observer.Refused(p.Code)
		s.g.refused(ctx, "session refused", s.caller.remote(), p.Code)
		s.log.Warn("session refused", "code", p.Code, "reason", p.Message)
		return nil, stranger, s.sayGoodbye(*p)
	}
	if err := s.g.checkCertificate(ctx, s.caller); err != nil {
		s.g.logRefusal(ctx, "session refused", err)
		return nil, stranger, err
	}
	if err := s.g.meet(ctx, s, hello); err != nil {
		s.log.Warn("session not opened", "code", fault.As(err).Code, "error", err)
		return nil, stranger, err
	}
	if !s.g.begin(s) {
		return nil, stranger, s.sayGoodbye(stopping)
	}
	opening, err := s.g.load(ctx, s, hello)
	if err != nil {
		s.g.abandon(s)
		if p := held(err); p != nil {
			s.g.opts.Observer.Refused(p.Code)
			s.g.refused(ctx, "session refused", s.caller.remote(), p.Code)
			s.log.Warn("session refused", "code", p.Code, "reason", p.Message)
			return nil, begun, s.sayGoodbye(*p)
		}
		s.log.Warn("session not opened", "code", fault.As(err).Code, "error", err)
		return nil, begun, err
	}
	if p := s.g.install(s, opening); p != nil {
		return nil, current, s.sayGoodbye(*p)
	}
	s.log.Info("session open", "epoch", s.epoch.String(), "agent_version", hello.AgentVersion, "protocol", protocolWith(hello), "instance", hello.Instance,
		"known", len(hello.Known), "desired", len(opening.Desired), "withdraws", len(opening.Withdraws), "operations", len(opening.Send))
	return &greeting{hello, opening, offset}, current, nil
}

// greet begins to receive, and sends all that the opening decided.
func (s *session) greet(ctx context.Context, o *greeting) error {
	s.facts = fleet.NewSession(o.opening, o.hello)
	s.kept = true // the opening does not say; the first read of operations does
	go s.receive(ctx, o.offset)
	return s.sendOpening(ctx, o.hello, o.opening)
}

// close is the end of a session that was open.
func (s *session) close(ctx context.Context, err error) {
	if err == nil {
		drainCtx, cancel := context.WithTimeout(ctx, partingGrace)
		s.drain(drainCtx)
		cancel()
	}
	s.log.Info("session closed", "epoch", s.epoch.String(), "reason", reason(err))
}

func reason(err error) string {
	if err == nil || errors.Is(err, io.EOF) {
		return "the agent left"
	}
	return err.Error()
}

// whyEnded is what people are told of the end of a session.
func (s *session) whyEnded(err error) fleet.SessionEnd {
	p := s.ending.Load()
	switch {
	case p != nil:
		return fleet.SessionEnd{Code: p.Code, Message: p.Message}
	case err == nil || errors.Is(err, io.EOF):
		return fleet.SessionEnd{Message: "the agent left"}
	case s.silentFor() > s.g.silence():
		return fleet.SessionEnd{Code: "session_silent", Message: "nothing was heard of the agent for " + s.g.silence().String()}
	case s.stuckFor() > s.g.opts.SendTimeout:
		return fleet.SessionEnd{Code: "session_stuck", Message: "the agent did not read what it was sent for " + s.g.opts.SendTimeout.String()}
	}
	return fleet.SessionEnd{Code: "session_broken", Message: "the connection broke"}
}

// receiveHello waits for the first message, and answers who speaks.
func (s *session) receiveHello(ctx context.Context) (model.Hello, clockOffset, error) {
	var offset clockOffset
	s.caller.guest.next(s.g.opts.HelloTimeout)
	msg, err := s.stream.Recv()
	s.caller.guest.work(true)
	if err != nil {
		return model.Hello{}, offset, fault.Wrap(err, fault.Unavailable, "hello_missing", "the agent sent no hello")
	}
	s.hear()
	p := msg.GetHello()
	if p == nil {
		return model.Hello{}, offset, fault.New(fault.Invalid, "hello_missing", "the first message is not a hello")
	}
	hello, err := wire.Hello(p)
	if err != nil {
		return model.Hello{}, offset, err
	}
	for i := range hello.Operations {
		manifest.GuardUpdate(&hello.Operations[i])
	}
	if hello.Cluster != s.cluster {
		return model.Hello{}, offset, fault.New(fault.Denied, "cluster_mismatch",
			"the hello names cluster %s, the certificate belongs to %s", hello.Cluster, s.cluster)
	}
	if msg.SentAt != nil {
		now := s.g.opts.Now()
		offset.observe(now, msg.SentAt.AsTime())
		if d := now.Sub(msg.SentAt.AsTime()).Abs(); d > time.Minute {
			s.log.Warn("the clocks of hub and agent differ; ages are corrected", "code", "clock_skewed", "id", fault.ID("clock_skewed"), "difference", d.Round(time.Second).String())
		}
	}
	return hello, offset, nil
}

// protocolWith is the newest revision of the protocol that both sides speak, of an
// agent that was admitted.
func protocolWith(h model.Hello) uint32 { return min(h.ProtocolMax, wire.ProtocolMax) }

// admit answers why a session is not opened now, or nil.
func (s *session) admit(h model.Hello) *parting {
	switch {
	case h.ProtocolMin > wire.ProtocolMax:
		return &parting{kind: fault.Precondition, GoAway: wire.GoAway{Code: "hub_too_old", RetryAfter: 5 * time.Minute,
			Message: fmt.Sprintf("the agent speaks %d to %d of the protocol, this hub %d to %d; upgrade the hub", h.ProtocolMin, h.ProtocolMax, wire.ProtocolMin, wire.ProtocolMax)}}
	case h.ProtocolMax < wire.ProtocolMin:
		return &parting{kind: fault.Precondition, GoAway: wire.GoAway{Code: "agent_too_old", RetryAfter: 5 * time.Minute,
			Message: fmt.Sprintf("the agent speaks %d to %d of the protocol, this hub %d to %d; upgrade the agent", h.ProtocolMin, h.ProtocolMax, wire.ProtocolMin, wire.ProtocolMax)}}
	}
	g := s.g
	g.mu.Lock()
	defer g.mu.Unlock()
	serial := s.caller.identity.Serial
	b := g.rates[serial]
	if b == nil {
		b = &bucket{}
		g.rates[serial] = b
	}
	if wait := b.take(g.opts.Now(), g.opts.SessionBurst, g.opts.SessionRefill); wait > 0 {
		return &parting{kind: fault.RateLimited, GoAway: wire.GoAway{Code: "session_rate", RetryAfter: wait,
			Message: "this cluster opens sessions too often; is a second agent running with the same identity?"}}
	}
	return nil
}

// checkCertificate asks whether the certificate was revoked. One that this
// database does not know was issued after the backup that it was restored from:
// it is ours by its signature, so it is taken in again.
func (g *Gateway) checkCertificate(ctx context.Context, who *caller) error {
	id := who.identity
	state, err := g.opts.Store.CertificateState(ctx, id.Serial)
	switch {
	case fault.Is(err, fault.NotFound):
		g.log.Warn("a certificate of this CA is not recorded; taking it in", "code", "certificate_unrecorded",
			"cluster", string(id.Cluster), "serial", id.Serial, "remote", who.remote())
		return g.opts.Store.RecordCertificate(ctx, fleet.Certificate{
			Serial: id.Serial, Cluster: id.Cluster, NotBefore: g.opts.Now(), NotAfter: id.NotAfter, Fingerprint: id.Fingerprint})
	case err != nil:
		return err
	case state.Revoked || state.Cluster != id.Cluster:
		return fault.New(fault.Unauthorized, "certificate_revoked", "the client certificate was revoked").
			WithFix("enrol the cluster again")
	}
	return g.bindKey(ctx, who, state)
}

var (
	superseded = parting{kind: fault.Precondition, GoAway: wire.GoAway{Code: "session_superseded", RetryAfter: 10 * time.Second,
		Message: "a newer session of this cluster was opened"}}
	restored = parting{kind: fault.Unavailable, GoAway: wire.GoAway{Code: "incarnation_raised", Message: "the hub's database was restored"}}
	stopping = parting{kind: fault.Unavailable, GoAway: wire.GoAway{Code: "hub_stopping", Message: "the hub is stopping"}}
)

// sayGoodbye sends a parting and returns its error for the stream's status.
func (s *session) sayGoodbye(p parting) error {
	msg := &agentv1.HubMessage{Epoch: wire.EpochToProto(s.epoch), Message: &agentv1.HubMessage_GoAway{GoAway: wire.GoAwayToProto(p.GoAway)}}
	late := time.AfterFunc(partingGrace, s.cutUnlessEnded) // it may not read
	defer late.Stop()
	if err := s.stream.Send(msg); err != nil {
		return err
	}
	return p.err()
}

func (s *session) send(msg *agentv1.HubMessage) error {
	msg.Epoch = wire.EpochToProto(s.epoch)
	s.sendingAt.Store(int64(time.Since(s.start)) | 1) // 0 is that nothing is sent
	defer s.sendingAt.Store(0)
	return s.stream.Send(msg)
}

// stuckFor is how long the agent has not read what is being sent to it.
func (s *session) stuckFor() time.Duration {
	if since := s.sendingAt.Load(); since != 0 {
		return time.Since(s.start) - time.Duration(since)
	}
	return 0
}

// heartbeat answers the agent's question whether the hub is there.
func (s *session) heartbeat() error {
	return s.send(&agentv1.HubMessage{Message: &agentv1.HubMessage_Heartbeat{
		Heartbeat: &agentv1.Heartbeat{ObservedAt: timestamppb.New(s.g.opts.Now())}}})
}
