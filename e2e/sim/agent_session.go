package sim

import (
	"time"

	"github.com/hawser-dev/hawser/agent/journal"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// connect opens a session when there is none.
func (a *agent) connect() {
	w := a.w
	if a.conn != nil || !a.leading || (!a.held() && !w.bug(NoLease)) || !w.hub.alive {
		return
	}
	c := &conn{w: w, cluster: a.c, agent: a, hub: w.hub}
	a.conn, a.open, a.deferred = c, false, nil
	hello := a.book.Hello()
	hello.Cluster, hello.Instance = a.c.id, a.name
	c.send(message{hello: &hello}, true)
	w.after(30*time.Second, func() {
		if a.alive && a.conn == c && !a.open {
			c.breakdown()
		}
	})
}

func (a *agent) disconnected(c *conn) {
	if a.alive && a.conn == c {
		a.conn, a.open = nil, false
	}
}

func (a *agent) send(m message) {
	if a.conn != nil && a.open {
		m.epoch = a.book.Head.Epoch
		a.conn.send(m, true)
	}
}

func (a *agent) receive(c *conn, m message) {
	w := a.w
	if !a.alive || !a.leading {
		return
	}
	if m.desired != nil {
		w.record(Event{Kind: Received, Cluster: a.c.id, App: m.desired.App, Origin: model.ClusterID(m.desired.Spec.ClusterName)})
	}
	if m.welcome != nil {
		change, err := a.book.AcceptWelcome(m.welcome.Epoch)
		if err != nil && !w.bug(IgnoreEpoch) {
			w.tracef("%s refuses welcome %s", a.name, m.welcome.Epoch)
			if a.conn == c && !a.open {
				c.breakdown()
			}
			return
		}
		if err != nil {
			a.book.Head.Epoch = m.welcome.Epoch
			change.Head = true
		}
		a.open = false
		epoch := m.welcome.Epoch
		a.update(change, func() {
			if a.book.Head.Epoch != epoch {
				return
			}
			w.record(Event{Kind: Welcomed, Cluster: a.c.id, Agent: a.name, Epoch: epoch})
			a.open, a.seq, a.reported = true, 0, map[model.AppUID]report{}
			early := a.deferred
			a.deferred = nil
			for _, m := range early {
				a.handle(m)
			}
			a.reportAll()
		})
		return
	}
	if !a.open {
		a.deferred = append(a.deferred, m)
		return
	}
	a.handle(m)
}

func (a *agent) handle(m message) {
	w := a.w
	if err := a.book.CheckEpoch(m.epoch); err != nil && !w.bug(IgnoreEpoch) {
		return
	}
	switch {
	case m.desired != nil:
		d, epoch := *m.desired, m.epoch
		a.fetch(d.Bundle, epoch, func(objects Objects) { a.acceptDesired(d, objects, epoch) })
	case m.withdraw != nil:
		v, err := a.book.AcceptWithdraw(*m.withdraw, w.clock())
		if err != nil {
			w.tracef("%s refuses withdraw of %s: %v", a.name, m.withdraw.App, err)
			return
		}
		if v.Verdict == journal.Answered && v.Any() {
			a.gone(m.withdraw.App, m.withdraw.Operation, m.withdraw.Generation, v)
			return
		}
		a.answer(v)
		a.kick(m.withdraw.App)
	case m.command != nil:
		cmd := *m.command
		if r := a.book.Apps[cmd.App]; r != nil && w.bug(ForgetOpSeq) {
			r.LastOpSeq, r.Recent = 0, nil
		}
		v, err := a.book.AcceptOperation(cmd, w.clock())
		if err != nil {
			w.tracef("%s refuses %s: %v", a.name, cmd.ID, err)
			return
		}
		if v.Verdict == journal.Taken && !cmd.Terminate {
			w.record(Event{Kind: OpAccepted, Cluster: a.c.id, Agent: a.name, Epoch: m.epoch, App: cmd.App, Op: cmd.ID})
		}
		a.answer(v)
		a.kick(cmd.App)
	case m.opAck != nil:
		a.update(a.book.AckOperations(m.opAck), func() {})
	}
}

// answer sends the updates of a verdict once it is durable.
func (a *agent) answer(v journal.OperationVerdict) {
	ended := v.Verdict == journal.Answered && v.Any()
	a.update(v.Change, func() { a.sendUpdates(v.Updates, ended) })
}

// gone makes the end of a withdrawal durable and tells it.
func (a *agent) gone(uid model.AppUID, op model.OperationID, g model.Generation, v journal.OperationVerdict) {
	a.update(v.Change, func() {
		a.w.record(Event{Kind: Withdrawn, Cluster: a.c.id, App: uid, Op: op, Generation: g})
		a.sendUpdates(v.Updates, true)
	})
}

func (a *agent) sendUpdates(updates []model.OperationUpdate, first bool) {
	for _, u := range updates {
		if u.Phase.Terminal() && first {
			a.w.record(Event{Kind: OpFinished, Cluster: a.c.id, App: u.App, Op: u.ID, OpKind: u.Kind, Phase: u.Phase})
		}
		a.send(message{update: &u})
		if u.Phase.Terminal() && a.w.bug(ForgetEnds) {
			a.update(a.book.AckOperations([]model.OperationID{u.ID}), func() {})
		}
	}
}

// fetch gets a bundle: from what the agent keeps, or from the hub, piece by
// piece. Only a complete one is used.
func (a *agent) fetch(digest model.Digest, epoch model.Epoch, then func(Objects)) {
	w := a.w
	if objects, ok := a.c.journal.bundles[digest]; ok {
		then(objects)
		return
	}
	if a.conn == nil {
		return
	}
	w.after(w.between(5*time.Millisecond, 100*time.Millisecond), func() {
		if !a.alive || a.book == nil || a.book.Head.Epoch != epoch {
			return // the next session sends the desired state again
		}
		objects, ok := w.db.bundles[digest]
		if !w.hub.alive || !ok || a.conn == nil || a.conn.broken {
			return
		}
		if w.mishap(0.1) && len(objects) > 0 {
			if !w.bug(PruneIncomplete) {
				a.fetch(digest, epoch, then) // cut short: the digest does not match
				return
			}
			part := Objects{}
			for _, k := range sortedKeys(objects)[:len(objects)/2] {
				part[k] = objects[k]
			}
			then(part)
			return
		}
		a.c.journal.bundles[digest] = objects
		then(objects)
	})
}

func (a *agent) acceptDesired(d model.Desired, objects Objects, epoch model.Epoch) {
	w := a.w
	if a.book.CheckEpoch(epoch) != nil && !w.bug(IgnoreEpoch) {
		return
	}
	if w.bug(PruneIncomplete) {
		a.c.journal.bundles[d.Bundle] = objects
	}
	var previous []journal.Owned
	if r := a.book.Apps[d.App]; r != nil && r.Desired != nil {
		previous = ownedKeys(a.c.journal.bundles[r.Desired.Bundle])
	}
	res, err := a.book.AcceptDesired(d, previous)
	if err != nil {
		w.tracef("%s refuses %s generation %d: %v", a.name, d.App, d.Generation, err)
		a.update(journal.Change{}, func() {
			a.send(message{ack: &ack{app: d.App, generation: d.Generation, code: fault.As(err).Code}})
		})
		return
	}
	a.update(res.Change, func() {
		for _, other := range res.Apps {
			if other != d.App { // its objects belong to this one now
				w.record(Event{Kind: Withdrawn, Cluster: a.c.id, App: other})
			}
		}
		if res.Verdict == journal.Taken {
			w.record(Event{Kind: Accepted, Cluster: a.c.id, Agent: a.name, Epoch: epoch, App: d.App, Generation: d.Generation,
				Objects: objects, Hold: d.HoldDeletes})
		}
		a.send(message{ack: &ack{app: d.App, generation: res.Generation}})
		a.kick(d.App)
		a.reportAll()
	})
}

func ownedKeys(objects Objects) []journal.Owned {
	out := make([]journal.Owned, 0, len(objects))
	for _, k := range sortedKeys(objects) {
		out = append(out, journal.Owned{Key: k, Version: "v1"})
	}
	return out
}
