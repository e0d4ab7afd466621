package gateway

import (
	"context"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/hawser-dev/hawser/hub/fleet"
	agentv1 "github.com/hawser-dev/hawser/proto/gen/hawser/agent/v1"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/manifest"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/wire"
)

// maxInbox bounds what one agent may have waiting to be stored. It is above
// what an honest one can have: one entry for each application and operation.
const maxInbox = 100_000

// maxInboxBytes bounds the texts and results among them, about; an honest agent
// has some for each operation that has just ended.
const maxInboxBytes = 16 << 20

// inbox holds what an agent said and the store has not taken yet: the newest
// acknowledgement of each application, the newest word on each operation, the
// newest cluster report.
type inbox struct {
	mu       sync.Mutex
	running  chan struct{} // closed when the storing goroutine ends; nil when none is at work
	acks     map[model.AppUID]fleet.Ack
	ops      map[model.OperationID]model.OperationUpdate
	opOrder  []model.OperationID
	cluster  *fleet.ClusterReport
	others   map[subject]int      // of whom else it spoke, and how often
	judged   map[subject]struct{} // not another cluster's
	foreign  int                  // how often it spoke of what is
	bytes    int                  // of all that came since it was empty
	overflow bool
}

func (b *inbox) ack(a fleet.Ack) {
	if old, ok := b.acks[a.App]; ok && old.Generation > a.Generation {
		return
	}
	if b.acks == nil {
		b.acks = map[model.AppUID]fleet.Ack{}
	}
	b.acks[a.App] = a
	b.came(len(b.acks), len(a.Error)+ackBytes)
}

// What an entry costs beside its texts, about.
const ackBytes, operationBytes = 200, 500

func (b *inbox) came(entries, size int) {
	b.bytes += size
	b.overflow = b.overflow || entries > maxInbox || b.bytes > maxInboxBytes
}

// operation keeps the newest word; an end is never replaced.
func (b *inbox) operation(u model.OperationUpdate) {
	old, ok := b.ops[u.ID]
	if ok && old.Phase.Terminal() {
		return
	}
	if b.ops == nil {
		b.ops = map[model.OperationID]model.OperationUpdate{}
	}
	if !ok {
		b.opOrder = append(b.opOrder, u.ID)
	}
	b.ops[u.ID] = u
	size := len(u.Message) + operationBytes
	if u.Result != nil { // every object of a result has a few words
		size += operationBytes * (1 + len(u.Result.Resources))
	}
	b.came(len(b.ops), size)
}

func (b *inbox) empty() bool {
	return len(b.acks) == 0 && len(b.ops) == 0 && b.cluster == nil && len(b.others) == 0
}

// take empties the inbox and returns what was in it.
func (b *inbox) take() (acks []fleet.Ack, ops []model.OperationUpdate, cluster *fleet.ClusterReport) {
	for _, a := range b.acks {
		acks = append(acks, a)
	}
	for _, id := range b.opOrder {
		ops = append(ops, b.ops[id])
	}
	cluster = b.cluster
	b.acks, b.ops, b.opOrder, b.cluster, b.bytes = nil, nil, nil, nil, 0
	return acks, ops, cluster
}

// giveBack returns what could not be stored, without replacing anything newer.
func (b *inbox) giveBack(acks []fleet.Ack, ops []model.OperationUpdate, cluster *fleet.ClusterReport) {
	for _, a := range acks {
		if _, newer := b.acks[a.App]; !newer {
			b.ack(a)
		}
	}
	newer, order := b.ops, b.opOrder
	b.ops, b.opOrder = nil, nil
	for _, u := range ops {
		b.operation(u)
	}
	for _, id := range order {
		b.operation(newer[id])
	}
	if b.cluster == nil {
		b.cluster = cluster
	}
}

// receive runs until the stream ends. It never waits for the store.
func (s *session) receive(ctx context.Context, offset clockOffset) {
	defer close(s.received)
	for {
		msg, err := s.stream.Recv()
		if err != nil {
			s.recvErr = err
			return
		}
		s.hear()
		s.pace(ctx, proto.Size(msg))
		if err := s.take(ctx, msg, &offset); err != nil {
			f := fault.As(err)
			s.g.opts.Observer.Refused(f.Code)
			s.log.Warn("message refused; ending the session", "code", f.Code, "error", err)
			s.end(parting{kind: f.Kind, GoAway: wire.GoAway{Code: f.Code, Message: f.Message, RetryAfter: time.Second}})
			s.recvErr = err
			return
		}
	}
}

// take judges one message. The cluster is the certificate's, whatever the
// message says; a message of another epoch is of another session.
func (s *session) take(ctx context.Context, msg *agentv1.AgentMessage, offset *clockOffset) error {
	epoch, err := wire.Epoch(msg.Epoch)
	if err != nil {
		return err
	}
	if err := s.facts.Check(epoch); err != nil {
		return err
	}
	if !s.spoke {
		s.spoke = true
		s.g.confirm(s)
	}
	now := s.g.opts.Now()
	if msg.SentAt != nil && msg.SentAt.CheckValid() == nil {
		offset.observe(now, msg.SentAt.AsTime())
	}
	switch m := msg.Message.(type) {
	case *agentv1.AgentMessage_Heartbeat:
		if m.Heartbeat == nil {
			break
		}
		b := fleet.Beat{Cluster: s.cluster, Epoch: s.epoch, Seq: m.Heartbeat.Seq, ObservedAt: now}
		if rtt := m.Heartbeat.RoundTrip; rtt.GetSeconds() >= 0 && rtt.IsValid() && rtt.AsDuration() > 0 {
			b.RoundTrip = rtt.AsDuration()
			s.g.opts.Observer.RoundTrip(b.RoundTrip)
		}
		if msg.SentAt != nil && msg.SentAt.CheckValid() == nil {
			offset.beat(now, msg.SentAt.AsTime(), b.RoundTrip, s.g.opts.Heartbeat)
		}
		if at := m.Heartbeat.ObservedAt; at != nil && at.CheckValid() == nil {
			b.ObservedAt = offset.toHub(at.AsTime(), now)
		}
		if offset.known {
			ahead := -offset.min
			b.ClockAhead = &ahead
		}
		s.g.opts.Ingest.Beat(b)
		s.beaten.Store(true)
		s.out.poke()
		return nil
	case *agentv1.AgentMessage_Reports:
		for _, p := range m.Reports.GetReports() {
			r, err := wire.AppReport(p)
			if err != nil {
				return err
			}
			r.ObservedAt = offset.toHub(r.ObservedAt, now)
			if err := s.suspect(ctx, subject{app: r.App}); err != nil {
				return err
			}
			s.unstored.add(r.App, r.Seq, kept(p.StatusJson)+kept(p.TreeJson))
			s.g.opts.Ingest.Offer(fleet.Report{AppReport: r, Cluster: s.cluster, Epoch: s.epoch})
		}
		return nil
	case *agentv1.AgentMessage_Ack:
		app, generation, code, message, err := wire.Ack(m.Ack)
		if err != nil {
			return err
		}
		if err := s.suspect(ctx, subject{app: app}); err != nil {
			return err
		}
		return s.keep(ctx, func(b *inbox) {
			b.ack(fleet.Ack{App: app, Generation: generation, ErrorCode: code, Error: manifest.GuardText(model.ObjectKey{}, message)})
		})
	case *agentv1.AgentMessage_Operation:
		u, err := wire.OperationUpdate(m.Operation)
		if err != nil {
			return err
		}
		if err := s.suspect(ctx, subject{u.App, u.ID}); err != nil {
			return err
		}
		manifest.GuardUpdate(&u)
		return s.keep(ctx, func(b *inbox) { b.operation(u) })
	case *agentv1.AgentMessage_Cluster:
		r, err := wire.ClusterReport(m.Cluster)
		if err != nil {
			return err
		}
		r.ObservedAt = offset.toHub(r.ObservedAt, now)
		for i, said := range r.Conditions {
			r.Conditions[i] = manifest.GuardText(model.ObjectKey{}, said)
		}
		return s.keep(ctx, func(b *inbox) {
			b.cluster = &fleet.ClusterReport{ClusterReport: r, Cluster: s.cluster, Epoch: s.epoch}
		})
	}
	return fault.New(fault.Invalid, "wire_invalid", "the agent sent a message that has no place in an open session")
}

// keep puts something into the inbox and sees to it that it is stored.
func (s *session) keep(ctx context.Context, f func(*inbox)) error {
	s.in.mu.Lock()
	defer s.in.mu.Unlock()
	f(&s.in)
	if s.in.overflow {
		return fault.New(fault.TooLarge, "too_much_unstored", "the agent has sent more than %d answers that are not stored yet", maxInbox)
	}
	if s.in.running == nil {
		s.in.running = make(chan struct{})
		go s.storeInbox(ctx)
	}
	return nil
}

// stored ends the storing goroutine; the caller holds in.mu.
func (b *inbox) stored() {
	close(b.running)
	b.running = nil
}

// drain waits until the last words of an agent that left in good order are
// stored, or ctx ends.
func (s *session) drain(ctx context.Context) {
	s.in.mu.Lock()
	running := s.in.running
	s.in.mu.Unlock()
	if running == nil {
		return
	}
	select {
	case <-running:
	case <-ctx.Done():
	}
}

// storeInbox runs while there is something to store and the session lives.
// What is not stored when the session ends is said again in the next hello.
func (s *session) storeInbox(ctx context.Context) {
	wait := retryFirst
	for {
		s.in.mu.Lock()
		if s.in.empty() || ctx.Err() != nil {
			s.in.stored()
			s.in.mu.Unlock()
			return
		}
		acks, ops, cluster := s.in.take()
		others := s.in.others
		s.in.others = nil
		s.in.mu.Unlock()

		err := s.storeAll(ctx, &acks, &ops, &cluster)
		if err == nil {
			err = s.judge(ctx, &others)
		}
		if err == nil {
			wait = retryFirst
			continue
		}
		if fault.HasCode(err, "epoch_stale") {
			s.end(superseded)
			s.in.mu.Lock()
			s.in.stored()
			s.in.mu.Unlock()
			return
		}
		if ctx.Err() == nil {
			s.log.Warn("storing what the agent said failed; trying again", "code", fault.As(err).Code, "error", err, "wait", wait.String())
		}
		s.in.mu.Lock()
		s.in.giveBack(acks, ops, cluster)
		for o, n := range others {
			s.in.speaksOf(o, n)
		}
		s.in.mu.Unlock()
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
		wait = min(2*wait, retryMost)
	}
}

// storeAll stores and empties what it was given; what is left after an error
// was not stored.
func (s *session) storeAll(ctx context.Context, acks *[]fleet.Ack, ops *[]model.OperationUpdate, cluster **fleet.ClusterReport) error {
	store := s.g.opts.Store
	if len(*ops) > 0 {
		changed, err := store.ApplyOperationUpdates(ctx, s.cluster, s.epoch, *ops)
		if err != nil {
			return err
		}
		var ended []model.OperationID
		for _, u := range *ops {
			if u.Phase.Terminal() {
				ended = append(ended, u.ID)
			}
		}
		s.reread(func(f *fleet.Session) (apps []model.AppUID) {
			for _, u := range *ops {
				apps = append(apps, f.Updated(u)...)
			}
			return apps
		})
		*ops = nil
		if len(ended) > 0 {
			s.out.ackOperations(ended)
		}
		if s.g.opts.OperationsChanged != nil && len(changed) > 0 {
			s.g.opts.OperationsChanged(changed)
		}
	}
	if len(*acks) > 0 {
		if err := store.AckDesired(ctx, s.cluster, s.epoch, *acks); err != nil {
			return err
		}
		s.reread(func(f *fleet.Session) (apps []model.AppUID) {
			for _, a := range *acks {
				apps = append(apps, f.Ack(a)...)
			}
			return apps
		})
		*acks = nil
	}
	if *cluster != nil {
		if err := store.SaveClusterReport(ctx, **cluster); err != nil {
			return err
		}
		if s.g.opts.ClusterReported != nil {
			s.g.opts.ClusterReported(s.cluster, (*cluster).KubeVersion, (*cluster).APIResources)
		}
		*cluster = nil
	}
	return nil
}

// reread tells the session's facts what was stored, and has the applications
// read again that this makes interesting.
func (s *session) reread(f func(*fleet.Session) []model.AppUID) {
	s.factsMu.Lock()
	apps := f(s.facts)
	s.factsMu.Unlock()
	if len(apps) > 0 {
		s.out.markDesired(apps)
	}
}
