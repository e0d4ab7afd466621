package gateway

import (
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"github.com/hawser-dev/hawser/hub/fleet"
	agentv1 "github.com/hawser-dev/hawser/proto/gen/hawser/agent/v1"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/wire"
)

// readBatch is how many applications are read from the store at once.
const readBatch = 256

const (
	retryFirst = 100 * time.Millisecond
	retryMost  = 5 * time.Second
)

// converse sends whatever comes up, until the session ends. It runs on the call's
// goroutine; nothing else sends.
func (s *session) converse(ctx context.Context) error {
	// An agent's heartbeats are answered, so that it knows how long the way is. One of
	// the hub's own comes only when the agent's is late.
	silence := s.g.opts.Heartbeat * 3 / 2
	beat := time.NewTicker(silence)
	defer beat.Stop()
	u := undone{wait: retryFirst}
	for {
		select {
		case <-s.out.wake:
			if s.beaten.Swap(false) {
				beat.Reset(silence)
				if err := s.heartbeat(); err != nil {
					return s.ended(err)
				}
			}
		case <-u.retry:
		case <-beat.C:
			if err := s.heartbeat(); err != nil {
				return s.ended(err)
			}
			continue
		case <-s.received:
			return s.ended(s.recvErr)
		case <-ctx.Done():
			return s.ended(ctx.Err())
		}
		if p := s.ending.Load(); p != nil {
			return s.sayGoodbye(*p)
		}
		if err := s.catchUp(ctx, &u); err != nil {
			return s.ended(err)
		}
	}
}

// undone is what the store could not answer yet.
type undone struct {
	left  outwork
	retry <-chan time.Time // nil: there is nothing
	wait  time.Duration
}

// catchUp delivers what has come up and what was left. An error ends the session.
func (s *session) catchUp(ctx context.Context, u *undone) error {
	work := s.out.take()
	work.merge(u.left)
	u.left, u.retry = outwork{}, nil
	err := s.deliver(ctx, &work)
	switch {
	case err == nil:
		u.wait = retryFirst
	case !fault.As(err).Kind.Retryable() || isTransport(err):
		return err
	default:
		s.log.Warn("reading what to send failed; trying again", "code", fault.As(err).Code, "error", err, "wait", u.wait.String())
		u.left, u.retry = work, time.After(u.wait)
		u.wait = min(2*u.wait, retryMost)
	}
	return nil
}

// ended prefers the reason that the hub gave itself over the error that it
// led to.
func (s *session) ended(err error) error {
	if p := s.ending.Load(); p != nil {
		return p.err()
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// transportError marks a failed send, as opposed to a failed read of the store.
type transportError struct{ error }

func (e transportError) Unwrap() error { return e.error }

func isTransport(err error) bool {
	var t transportError
	return errors.As(err, &t)
}

func (s *session) push(msg *agentv1.HubMessage) error {
	if err := s.send(msg); err != nil {
		return transportError{err}
	}
	return nil
}

// merge adds what was left over; it is dirt like any other.
func (w *outwork) merge(left outwork) {
	if left.all {
		w.markDesired(nil)
	} else if len(left.apps) > 0 {
		w.markDesired(keys(left.apps))
	}
	w.operations = w.operations || left.operations
	w.settings = w.settings || left.settings
	w.reportAck = max(w.reportAck, left.reportAck)
	add(&w.refreshes, keys(left.refreshes))
	add(&w.opAcks, keys(left.opAcks))
	if w.tunnel == "" {
		w.tunnel = left.tunnel
	}
}

// sendOpening sends the welcome, everything owed, and InSync.
func (s *session) sendOpening(ctx context.Context, hello model.Hello, o fleet.Opening) error {
	g := s.g
	g.mu.Lock()
	agents := g.live
	g.mu.Unlock()
	welcome := model.Welcome{
		Epoch:                o.Epoch,
		IncarnationSignature: o.Hub.IncarnationSignature,
		HubID:                o.Hub.HubID,
		HubVersion:           g.opts.Version,
		Heartbeat:            g.opts.Heartbeat,
		ReconnectSpread:      spreadFor(agents),
		ReconnectCap:         capFor(agents),
		Protocol:             protocolWith(hello),
	}
	if err := s.push(&agentv1.HubMessage{Message: &agentv1.HubMessage_Welcome{Welcome: wire.WelcomeToProto(welcome)}}); err != nil {
		return err
	}
	// First, because applications are judged by them.
	s.settings = hello.Settings
	if err := s.openSettings(ctx); err != nil {
		return err
	}
	if err := s.pushOperationAck(o.Acknowledge); err != nil {
		return err
	}
	if err := s.pushDesired(ctx, o.Desired); err != nil {
		return err
	}
	if err := s.pushWithdraws(o.Withdraws); err != nil {
		return err
	}
	if err := s.pushCommands(o.Send); err != nil {
		return err
	}
	return s.push(&agentv1.HubMessage{Message: &agentv1.HubMessage_InSync{InSync: &agentv1.InSync{}}})
}

// deliver reads what has come up and sends it, desired states before the
// operations that may want them. What is done is taken out of work, so that
// after an error the rest can be tried again.
func (s *session) deliver(ctx context.Context, work *outwork) error {
	if work.tunnel != "" { // somebody waits, and no store is asked
		if err := s.push(&agentv1.HubMessage{Message: &agentv1.HubMessage_OpenTunnel{OpenTunnel: wire.OpenTunnelToProto(work.tunnel)}}); err != nil {
			return err
		}
		work.tunnel = ""
	}
	if work.reportAck > 0 {
		if err := s.push(&agentv1.HubMessage{Message: &agentv1.HubMessage_ReportAck{ReportAck: &agentv1.ReportAck{Seq: work.reportAck}}}); err != nil {
			return err
		}
		work.reportAck = 0
	}
	if err := s.pushOperationAck(keys(work.opAcks)); err != nil {
		return err
	}
	work.opAcks = nil
	if work.settings {
		if err := s.pushSettings(ctx); err != nil {
			return err
		}
		work.settings = false
	}
	delivered := work.all || len(work.apps) > 0
	if err := s.deliverMarked(ctx, work); err != nil {
		return err
	}
	work.operations = work.operations || s.kept && delivered
	if work.operations {
		if err := s.deliverOperations(ctx); err != nil {
			return err
		}
		work.operations = false
	}
	if len(work.refreshes) > 0 {
		ids := wire.Strings(keys(work.refreshes))
		if err := s.push(&agentv1.HubMessage{Message: &agentv1.HubMessage_Refresh{Refresh: &agentv1.Refresh{AppUids: ids}}}); err != nil {
			return err
		}
		work.refreshes = nil
	}
	return nil
}

// deliverMarked sends the desired states that work names, and takes them out.
func (s *session) deliverMarked(ctx context.Context, work *outwork) error {
	if work.all {
		if err := s.deliverDesired(ctx, nil); err != nil {
			return err
		}
		work.all, work.apps = false, nil
	}
	for len(work.apps) > 0 {
		batch := make([]model.AppUID, 0, min(readBatch, len(work.apps)))
		for uid := range work.apps {
			if batch = append(batch, uid); len(batch) == readBatch {
				break
			}
		}
		if err := s.deliverDesired(ctx, batch); err != nil {
			return err
		}
		for _, uid := range batch {
			delete(work.apps, uid)
		}
	}
	return nil
}

func (s *session) deliverDesired(ctx context.Context, apps []model.AppUID) error {
	desired, withdraws, err := s.g.opts.Store.DesiredFor(ctx, s.cluster, apps)
	if err != nil {
		return err
	}
	if err := s.pushDesired(ctx, desired); err != nil {
		return err
	}
	if len(withdraws) > 0 && !s.facts.HoldDeletes {
		// Their operations are stored as sent before they are.
		ids := make([]model.OperationID, len(withdraws))
		for i, w := range withdraws {
			ids[i] = w.Operation
		}
		if err := s.g.opts.Store.MarkSent(ctx, s.cluster, s.epoch, ids); err != nil {
			return err
		}
		// A delete may have been taken back before it was marked: what is sent
		// is what is still there afterwards.
		if _, withdraws, err = s.g.opts.Store.DesiredFor(ctx, s.cluster, apps); err != nil {
			return err
		}
	}
	return s.pushWithdraws(withdraws)
}

// pushDesired sends those of the rows that the agent lacks.
func (s *session) pushDesired(ctx context.Context, rows []model.Desired) error {
	rows, err := s.withhold(ctx, rows)
	if err != nil {
		return err
	}
	s.factsMu.Lock()
	desired := s.facts.Desired(rows)
	s.factsMu.Unlock()
	if len(desired) == 0 {
		return nil
	}
	inline, err := s.g.inlineBundles(ctx, desired)
	if err != nil {
		// The agent fetches them, and repeats that as long as it takes.
		s.log.Warn("bundles could not be read; the agent is left to fetch them", "error", err)
	}
	for _, d := range desired {
		span, place := s.sending(ctx, "desired.send", d.TraceParent)
		d.TraceParent = place
		p, err := wire.DesiredToProto(d, inline[d.Bundle])
		if err != nil { // one application must not hold up the others
			s.log.Error("a desired state cannot be sent", "application", d.Name, "error", err)
			continue
		}
		if err := s.push(&agentv1.HubMessage{Message: &agentv1.HubMessage_Desired{Desired: p}}); err != nil {
			return err
		}
		if span != nil {
			span.End()
		}
	}
	return nil
}

// withhold leaves out what the agent is too old for, and has that shown at the
// applications as if the agent had refused it.
func (s *session) withhold(ctx context.Context, rows []model.Desired) (fit []model.Desired, err error) {
	var acks []fleet.Ack
	for _, d := range rows {
		if e := fleet.TooOld(s.capabilities, d); e != nil {
			acks = append(acks, fleet.Ack{App: d.App, Generation: d.Generation, ErrorCode: e.Code, Error: e.Message + "; " + e.Fix})
			continue
		}
		fit = append(fit, d)
	}
	if len(acks) == 0 {
		return rows, nil
	}
	s.log.Warn("applications are withheld from an agent that is too old for them", "applications", len(acks), "reason", acks[0].Error)
	return fit, s.g.opts.Store.AckDesired(ctx, s.cluster, s.epoch, acks)
}

func (s *session) pushWithdraws(rows []model.Withdraw) error {
	s.factsMu.Lock()
	withdraws := s.facts.Withdraws(rows)
	s.factsMu.Unlock()
	for _, w := range withdraws {
		p, err := wire.WithdrawToProto(w)
		if err != nil {
			s.log.Error("a withdrawal cannot be sent", "application", w.Name, "error", err)
			continue
		}
		if err := s.push(&agentv1.HubMessage{Message: &agentv1.HubMessage_Withdraw{Withdraw: p}}); err != nil {
			return err
		}
	}
	return nil
}

func (s *session) pushOperationAck(ids []model.OperationID) error {
	if len(ids) == 0 {
		return nil
	}
	return s.push(&agentv1.HubMessage{Message: &agentv1.HubMessage_OperationAck{OperationAck: &agentv1.OperationAck{Ids: wire.Strings(ids)}}})
}

// pushCommands sends those of the operations that the agent was not given in
// this session, or has to be told to end.
func (s *session) pushCommands(ops []model.OperationInfo) error {
	s.factsMu.Lock()
	commands := s.facts.Commands(ops)
	s.factsMu.Unlock()
	for _, c := range commands {
		span, place := s.sending(s.stream.Context(), "operation.send", c.Spec.TraceParent)
		c.Spec.TraceParent = place
		p, err := wire.CommandToProto(c)
		if err != nil {
			s.log.Error("an operation cannot be sent", "operation", string(c.ID), "error", err)
			continue
		}
		if err := s.push(&agentv1.HubMessage{Message: &agentv1.HubMessage_Operation{Operation: p}}); err != nil {
			return err
		}
		if span != nil {
			span.End()
		}
	}
	return nil
}

// deliverOperations reads and sends the open operations. That they are sent is
// durable before they are: an operation that the hub believes to be queued
// could expire while an agent runs it.
func (s *session) deliverOperations(ctx context.Context) error {
	pending, err := s.g.opts.Store.PendingOperations(ctx, s.cluster)
	if err != nil {
		return err
	}
	if pending, err = s.refuse(ctx, pending); err != nil {
		return err
	}
	var mark []model.OperationID
	s.kept = false
	s.factsMu.Lock()
	for _, op := range pending {
		if op.Phase != model.PhaseQueued {
			continue
		}
		if s.facts.Sendable(op) {
			mark = append(mark, op.ID)
		} else {
			s.kept = true
		}
	}
	s.factsMu.Unlock()
	if len(mark) > 0 {
		if err := s.g.opts.Store.MarkSent(ctx, s.cluster, s.epoch, mark); err != nil {
			return err
		}
		// One of them may have ended before it was marked: what is sent is what
		// is open afterwards.
		if pending, err = s.g.opts.Store.PendingOperations(ctx, s.cluster); err != nil {
			return err
		}
	}
	// What was marked before one of them was stored goes before it: the limits that
	// it is to be judged by.
	var before outwork
	before.all, before.apps = s.out.takeDesired()
	if err := s.deliverMarked(ctx, &before); err != nil {
		s.out.change(func(w *outwork) { w.merge(before) })
		return err
	}
	return s.pushCommands(pending)
}

// refuse ends the operations that the agent is too old for, and answers the
// others.
func (s *session) refuse(ctx context.Context, pending []model.OperationInfo) ([]model.OperationInfo, error) {
	s.factsMu.Lock()
	refused := s.facts.Refused(pending, s.g.opts.Now())
	s.factsMu.Unlock()
	if len(refused) == 0 {
		return pending, nil
	}
	ended, err := s.g.opts.Store.ApplyOperationUpdates(ctx, s.cluster, s.epoch, refused)
	if err != nil {
		return nil, err
	}
	if s.g.opts.OperationsChanged != nil && len(ended) > 0 {
		s.g.opts.OperationsChanged(ended)
	}
	return slices.DeleteFunc(pending, func(op model.OperationInfo) bool {
		return slices.ContainsFunc(refused, func(u model.OperationUpdate) bool { return u.ID == op.ID })
	}), nil
}
