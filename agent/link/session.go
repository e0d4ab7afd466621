package link

import (
	"cmp"
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	agentv1 "github.com/hawser-dev/hawser/proto/gen/hawser/agent/v1"
	"github.com/hawser-dev/hawser/shared/failpoint"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/manifest"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/wire"
)

const (
	// welcomeTimeout leaves a busy hub time to load the cluster's state.
	welcomeTimeout = 60 * time.Second
	// leaveTimeout is how long a stopping agent waits for its last words to
	// be taken.
	leaveTimeout = 2 * time.Second
	// reportBytes and reportCount bound one AppReports message.
	reportBytes = 1 << 20
	reportCount = 128
)

// ending is how a session went.
type ending struct {
	err      error
	welcomed bool
	lasted   time.Duration
	welcome  model.Welcome
	goAway   *wire.GoAway
}

type sessionStream = grpc.BidiStreamingClient[agentv1.AgentMessage, agentv1.HubMessage]

// session dials and holds one session until it is cut or ctx ends.
func (l *Link) session(ctx context.Context) ending {
	id := l.identity.Load()
	hello, err := l.opts.Handler.Hello(ctx)
	if err != nil {
		return ending{err: err}
	}
	hello.Cluster, hello.AgentVersion, hello.Instance = id.Cluster, l.opts.AgentVersion, l.opts.Instance
	hello.ProtocolMin, hello.ProtocolMax = wire.ProtocolMin, wire.ProtocolMax
	if l.opts.Settings != nil {
		hello.Capabilities = append(hello.Capabilities, model.CapabilitySettings)
		hello.Settings = l.opts.Settings.Held()
	}
	if l.opts.Tunnels != nil {
		hello.Capabilities = append(hello.Capabilities, model.CapabilityAccess)
	}

	cc, err := l.rpc(ctx, model.AgentServerName, trust{ca: id.ca}, &id.pair)
	if err != nil {
		return ending{err: err}
	}
	defer cc.Close()
	// The stream outlives ctx by a little, so that a stopping agent can finish.
	sctx, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	stopLeave := context.AfterFunc(ctx, func() {
		time.AfterFunc(leaveTimeout, func() { cancel(context.Canceled) })
	})
	defer stopLeave()

	s := &session{start: time.Now(), l: l, id: id, ctx: sctx, cancel: cancel, client: agentv1.NewControlClient(cc)}
	if s.stream, err = s.client.Session(sctx); err != nil {
		return ending{err: fault.FromGRPC(err)}
	}
	if err := s.sayHello(hello); err != nil {
		l.out.stop()
		return ending{err: s.reason(err), goAway: s.goAway}
	}
	start := time.Now()
	err = s.serve(ctx)
	s.l.setStatus(func(st *Status) { st.Connected = false })
	l.opts.Handler.Disconnected(err)
	return ending{err: err, welcomed: true, lasted: time.Since(start), welcome: s.welcome, goAway: s.goAway}
}

// session is one stream. The goroutine of Link.Run receives; a second one, the
// only one that sends after the hello, ends with it.
type session struct {
	l       *Link
	id      *proven
	ctx     context.Context // of the stream
	cancel  context.CancelCauseFunc
	client  agentv1.ControlClient
	stream  sessionStream
	welcome model.Welcome
	goAway  *wire.GoAway
	seq     *sequence
	number  uint64 // of the outbox
	// notedUnknown: the log has the first unknown message; of the reader.
	notedUnknown bool
	clocks       skewed // of the reader
	// beatAt is when the last heartbeat was sent that the hub has not answered, in
	// nanoseconds since start; 0: it has. roundTrip is how long the answer before
	// took, 0 when it was said already.
	start             time.Time
	beatAt, roundTrip atomic.Int64
}

// reason turns a stream's error into the better one that led to it.
func (s *session) reason(err error) error {
	if cause := context.Cause(s.ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	if s.goAway != nil && (errors.Is(err, io.EOF) || fault.HasCode(fault.FromGRPC(err), "connection_lost")) {
		return fault.New(fault.Unavailable, s.goAway.Code, "%s", s.goAway.Message)
	}
	if errors.Is(err, io.EOF) {
		return fault.New(fault.Unavailable, "connection_lost", "the hub ended the session")
	}
	return fault.FromGRPC(err)
}

// sayHello sends the hello and judges the welcome.
func (s *session) sayHello(hello model.Hello) error {
	hello.Operations = slices.Clone(hello.Operations)
	for i := range hello.Operations {
		manifest.GuardUpdate(&hello.Operations[i])
	}
	p, err := wire.HelloToProto(hello)
	if err != nil {
		return err
	}
	timeout := time.AfterFunc(welcomeTimeout, func() {
		s.cancel(fault.New(fault.Unavailable, "welcome_timeout", "the hub did not open the session within %s", welcomeTimeout))
	})
	defer timeout.Stop()
	msg := &agentv1.AgentMessage{Message: &agentv1.AgentMessage_Hello{Hello: p}, SentAt: timestamppb.New(s.l.opts.Now())}
	if err := s.stream.Send(msg); err != nil && !errors.Is(err, io.EOF) { // EOF: the reason is in Recv
		return err
	}
	failpoint.Hit("link.hello.sent")
	first, err := s.stream.Recv()
	if err != nil {
		return err
	}
	if g := first.GetGoAway(); g != nil {
		s.farewell(g)
		_, err := s.stream.Recv()
		return err
	}
	w, err := wire.Welcome(first.GetWelcome())
	if err != nil {
		return err
	}
	if err := wire.VerifyIncarnation(s.id.ca, w.HubID, w.Epoch.Incarnation, w.IncarnationSignature); err != nil {
		return err
	}
	if !hello.LastEpoch.Less(w.Epoch) {
		return fault.New(fault.Precondition, "epoch_not_above", "the hub offers epoch %s; this agent has accepted %s already", w.Epoch, hello.LastEpoch)
	}
	if w.Protocol > wire.ProtocolMax {
		return fault.New(fault.Precondition, "agent_too_old", "the hub speaks %d of the protocol, this agent %d to %d; upgrade the agent", w.Protocol, wire.ProtocolMin, wire.ProtocolMax)
	}
	if w.Protocol < wire.ProtocolMin {
		return fault.New(fault.Precondition, "hub_too_old", "the hub speaks %d of the protocol, this agent %d to %d; upgrade the hub", w.Protocol, wire.ProtocolMin, wire.ProtocolMax)
	}
	w.Heartbeat = min(max(w.Heartbeat, 10*time.Millisecond), 5*time.Minute)
	s.welcome = w
	// Before the handler hears of the session, because it reports at once.
	s.number = s.l.out.start()
	return s.l.opts.Handler.Welcome(s.ctx, w)
}

func (s *session) farewell(p *agentv1.GoAway) {
	if g, err := wire.ParseGoAway(p); err == nil {
		s.goAway = &g
	}
}

// serve runs a welcomed session.
func (s *session) serve(ctx context.Context) error {
	l := s.l
	l.setStatus(func(st *Status) { st.Connected, st.Epoch, st.LastError = true, s.welcome.Epoch, nil })
	l.opts.Observer.SessionOpened()
	l.log.Info("session open", "epoch", s.welcome.Epoch.String(), "hub_version", s.welcome.HubVersion, "protocol", s.welcome.Protocol)
	fetch := newFetcher(s.ctx, s.client, l.partials, l.opts.MaxBundleBytes)
	s.seq = newSequence(s.ctx, l.opts.Handler)
	s.seq.fetch = fetch.fetch
	s.seq.settled = l.partials.clear
	s.seq.ack = func(app model.AppUID, g model.Generation) func(error) { return l.out.acker(s.number, app, g) }

	var writer sync.WaitGroup
	writer.Go(func() {
		if err := s.write(ctx); err != nil {
			s.cancel(err)
		}
	})
	err := s.read()
	l.out.stop()
	s.seq.close()
	s.cancel(err)
	writer.Wait()
	fetch.wg.Wait()
	return err
}

// read hands on what the hub sends until the stream ends.
func (s *session) read() error {
	limit := s.welcome.Heartbeat * 5 / 2
	silence := time.AfterFunc(limit, func() {
		s.cancel(fault.New(fault.Unavailable, "hub_silent", "the hub was silent for %s", limit))
	})
	defer silence.Stop()
	for {
		msg, err := s.stream.Recv()
		if err != nil {
			return s.reason(err)
		}
		silence.Stop() // what the handler takes is not the hub's silence
		if err := s.take(msg); err != nil {
			return err
		}
		silence.Reset(limit)
	}
}

// take judges one message: of another epoch is of another session, and what
// does not decode is not guessed at. Where it can be answered, about one
// application, it is refused, and the others go on; else the session ends. A message that this agent does not know is
// a newer hub's and passed over: whatever needs an answer is held back until a
// hello announces that it is known.
func (s *session) take(msg *agentv1.HubMessage) error {
	epoch, err := wire.Epoch(msg.Epoch)
	if err != nil {
		return err
	}
	if epoch != s.welcome.Epoch {
		return fault.New(fault.Conflict, "epoch_stale", "the message is of epoch %s, this session is %s", epoch, s.welcome.Epoch)
	}
	switch m := msg.Message.(type) {
	case *agentv1.HubMessage_Heartbeat:
		if sent := s.beatAt.Swap(0); sent > 0 {
			took := time.Since(s.start) - time.Duration(sent)
			s.roundTrip.Store(int64(took))
			s.l.opts.Observer.RoundTrip(took)
			if at := m.Heartbeat.GetObservedAt(); at.IsValid() {
				s.clocks.judge(s.l, at.AsTime(), took)
			}
		}
	case *agentv1.HubMessage_Desired:
		d, inline, err := wire.Desired(m.Desired)
		if err != nil {
			return s.refuseDesired(m.Desired, err)
		}
		s.seq.desired(d, inline)
	case *agentv1.HubMessage_Withdraw:
		w, err := wire.Withdraw(m.Withdraw)
		if err != nil {
			p := m.Withdraw
			return s.refuseOperation(model.OperationUpdate{ID: model.OperationID(p.GetOperationId()), Seq: p.GetOperationSeq(),
				App: model.AppUID(p.GetAppUid()), Kind: model.OperationDelete}, err)
		}
		s.seq.withdraw(w)
	case *agentv1.HubMessage_Operation:
		c, err := wire.Command(m.Operation)
		if err != nil {
			p := m.Operation
			return s.refuseOperation(model.OperationUpdate{ID: model.OperationID(p.GetId()), Seq: p.GetSeq(),
				App: model.AppUID(p.GetAppUid()), Kind: model.OperationKind(p.GetKind())}, err)
		}
		s.seq.operation(c)
	case *agentv1.HubMessage_InSync:
		s.seq.allSent()
	case *agentv1.HubMessage_ReportAck:
		s.seq.do(func(h Handler) { h.ReportAck(m.ReportAck.GetSeq()) })
	case *agentv1.HubMessage_OperationAck:
		ids, err := wire.OperationIDs(m.OperationAck.GetIds())
		if err != nil {
			return err
		}
		s.seq.do(func(h Handler) { h.OperationAck(ids) })
	case *agentv1.HubMessage_Refresh:
		apps, err := wire.AppUIDs(m.Refresh.GetAppUids())
		if err != nil {
			return err
		}
		s.seq.do(func(h Handler) { h.Refresh(apps) })
	case *agentv1.HubMessage_Settings:
		if l := s.l; l.opts.Settings != nil {
			settings, err := wire.Settings(m.Settings)
			if err != nil { // nothing of an application depends on it
				s.seq.do(func(Handler) { l.opts.Settings.Refused(err) })
				return nil
			}
			s.seq.do(func(Handler) { l.opts.Settings.Take(settings) })
		}
	case *agentv1.HubMessage_OpenTunnel:
		if l := s.l; l.opts.Tunnels != nil {
			id, err := wire.OpenTunnel(m.OpenTunnel)
			if err != nil {
				return err
			}
			s.seq.do(func(Handler) { l.opts.Tunnels.OpenTunnel(id) })
		}
	case *agentv1.HubMessage_GoAway:
		s.farewell(m.GoAway)
	case nil:
		s.unknown()
	default: // a second welcome
		return fault.New(fault.Invalid, "wire_invalid", "the hub sent a message that has no place in an open session")
	}
	return nil
}

// refuseDesired answers a desired state that does not decode; the application
// keeps what it had.
func (s *session) refuseDesired(p *agentv1.Desired, err error) error {
	if p.GetAppUid() == "" || p.GetGeneration() <= 0 {
		return err
	}
	s.l.log.Error("a desired state is refused", "application", p.Name, "generation", p.Generation, "error", err)
	s.l.out.acker(s.number, model.AppUID(p.AppUid), model.Generation(p.Generation))(err)
	return nil
}

// refuseOperation ends an operation that does not decode, such as one of a kind
// that came after this agent, before it began. It is not in the journal: should
// the answer be lost, the hub sends it again and gets the same one.
func (s *session) refuseOperation(u model.OperationUpdate, err error) error {
	if u.ID == "" || u.App == "" || u.Seq < 0 || u.Kind == "" {
		return err
	}
	now := s.l.opts.Now()
	u.Phase, u.StartedAt, u.FinishedAt = model.PhaseFailed, &now, &now
	u.Message = "this agent cannot carry it out: " + fault.As(err).Message
	s.l.log.Error("an operation is refused", "operation", string(u.ID), "kind", string(u.Kind), "error", err, "fix", "upgrade the agent")
	s.l.out.operation(u)
	return nil
}

// unknown notes, once in a session, that the hub says what this agent cannot
// hear.
func (s *session) unknown() {
	if !s.notedUnknown {
		s.notedUnknown = true
		s.l.log.Warn("the hub sent a message that this agent does not know; it is passed over",
			"code", "message_unknown", "hub_version", s.welcome.HubVersion, "fix", "upgrade the agent")
	}
}

// write sends what comes up, and a heartbeat at once and at each interval. It
// ends with the stream, or says good-bye when ctx ends.
func (s *session) write(ctx context.Context) error {
	beat := time.NewTicker(s.welcome.Heartbeat)
	defer beat.Stop()
	if err := s.beat(); err != nil {
		return err
	}
	for {
		select {
		case <-s.ctx.Done():
			return nil
		case <-ctx.Done():
			if err := s.flush(); err != nil {
				return err
			}
			return s.stream.CloseSend()
		case <-beat.C:
			if err := s.beat(); err != nil {
				return err
			}
		case <-s.l.out.wake:
			if err := s.flush(); err != nil {
				return err
			}
		}
	}
}

func (s *session) send(msg *agentv1.AgentMessage) error {
	msg.Epoch = wire.EpochToProto(s.welcome.Epoch)
	msg.SentAt = timestamppb.New(s.l.opts.Now())
	err := s.stream.Send(msg)
	if errors.Is(err, io.EOF) { // the stream has ended; the reason is in Recv
		<-s.ctx.Done()
		return nil
	}
	return err
}

func (s *session) beat() error {
	seq, at := s.l.opts.Confirmed()
	hb := &agentv1.Heartbeat{Seq: seq}
	if !at.IsZero() {
		hb.ObservedAt = timestamppb.New(at)
	}
	if took := s.roundTrip.Swap(0); took > 0 {
		hb.RoundTrip = durationpb.New(time.Duration(took))
	}
	s.beatAt.CompareAndSwap(0, int64(time.Since(s.start)))
	return s.send(&agentv1.AgentMessage{Message: &agentv1.AgentMessage_Heartbeat{Heartbeat: hb}})
}

// flush sends everything that waits: ends of operations first, because
// somebody waits for them.
func (s *session) flush() error {
	w := s.l.out.take()
	for _, id := range w.opOrder {
		p, err := wire.OperationUpdateToProto(w.operations[id])
		if err != nil {
			return err
		}
		failpoint.Hit("link.operation.before")
		if err := s.send(&agentv1.AgentMessage{Message: &agentv1.AgentMessage_Operation{Operation: p}}); err != nil {
			return err
		}
		failpoint.Hit("link.operation.after")
	}
	for app, a := range w.acks {
		p := &agentv1.Ack{AppUid: string(app), Generation: int64(a.generation), ErrorCode: a.code, Error: a.message}
		failpoint.Hit("link.ack.before")
		if err := s.send(&agentv1.AgentMessage{Message: &agentv1.AgentMessage_Ack{Ack: p}}); err != nil {
			return err
		}
		failpoint.Hit("link.ack.after")
	}
	failpoint.Hit("link.report.before")
	if err := s.sendReports(w.reports); err != nil {
		return err
	}
	failpoint.Hit("link.report.after")
	if w.cluster != nil {
		return s.send(&agentv1.AgentMessage{Message: &agentv1.AgentMessage_Cluster{Cluster: wire.ClusterReportToProto(*w.cluster)}})
	}
	return nil
}

// sendReports sends in the order of the sequence numbers, because the hub
// acknowledges "up to".
func (s *session) sendReports(reports map[model.AppUID]model.AppReport) error {
	if len(reports) == 0 {
		return nil
	}
	ordered := make([]model.AppReport, 0, len(reports))
	for _, r := range reports {
		ordered = append(ordered, r)
	}
	slices.SortFunc(ordered, func(a, b model.AppReport) int { return cmp.Compare(a.Seq, b.Seq) })
	batch, size := &agentv1.AppReports{}, 0
	emit := func() error {
		if len(batch.Reports) == 0 {
			return nil
		}
		msg := &agentv1.AgentMessage{Message: &agentv1.AgentMessage_Reports{Reports: batch}}
		batch, size = &agentv1.AppReports{}, 0
		return s.send(msg)
	}
	for _, r := range ordered {
		p, err := wire.AppReportToProto(r)
		if err != nil {
			return err
		}
		n := proto.Size(p)
		if len(batch.Reports) == reportCount || (size > 0 && size+n > reportBytes) {
			if err := emit(); err != nil {
				return err
			}
		}
		batch.Reports = append(batch.Reports, p)
		size += n
	}
	return emit()
}
