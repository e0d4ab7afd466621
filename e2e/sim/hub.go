package sim

import (
	"time"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/model"
)

// hub is one hub process: everything in it is lost when it is killed.
type hub struct {
	w        *world
	alive    bool
	sessions map[model.ClusterID]*hubSession
	looking  bool
}

type hubSession struct {
	*fleet.Session
	conn    *conn
	seen    map[uint64]bool // report numbers that are stored
	stored  uint64          // every number up to it is stored
	pending []beat
}

const (
	pollSources = 25 * time.Second
	pollRows    = 7 * time.Second
)

func (w *world) startHub() {
	h := &hub{w: w, alive: true, sessions: map[model.ClusterID]*hubSession{}}
	w.hub = h
	w.tracef("hub starts")
	h.every(w.between(0, time.Second), pollSources, h.look)
	h.every(w.between(0, time.Second), pollRows, func() {
		w.expireOperations()
		for _, c := range w.clusters {
			h.wake(c.id)
		}
	})
}

// every repeats fn while the process lives.
func (h *hub) every(first, d time.Duration, fn func()) {
	var tick func()
	tick = func() {
		if h.alive {
			fn()
			h.w.after(d, tick)
		}
	}
	h.w.after(first, tick)
}

// later runs fn after a moment, if the process still lives: it may be killed
// between any two steps.
func (h *hub) later(fn func()) {
	h.w.after(h.w.between(time.Millisecond, 40*time.Millisecond), func() {
		if h.alive {
			fn()
		}
	})
}

func (h *hub) kill() {
	if !h.alive {
		return
	}
	h.alive = false
	h.w.tracef("hub is killed")
	for _, c := range h.w.clusters {
		if s := h.sessions[c.id]; s != nil {
			s.conn.breakdown()
		}
	}
}

// look reads the sources of all applications, renders and writes what changed.
func (h *hub) look() {
	w := h.w
	if h.looking {
		return
	}
	h.looking = true
	for _, a := range w.db.appsOf("") {
		uid, version, path := a.uid, a.version, a.path
		w.after(w.between(10*time.Millisecond, 3*time.Second), func() {
			if !h.alive {
				return
			}
			objects, revision, err := w.git.read(path)
			if w.mishap(0.05) {
				err = errGitDown
			}
			if err != nil {
				if !w.bug(ErrorIsEmpty) {
					return // the last good state stays
				}
				objects, revision = Objects{}, w.git.name()
			}
			app := w.db.apps[uid]
			key := revision + " " + path
			if app == nil || app.renderKey == key {
				return
			}
			h.later(func() {
				w.writeDesired(uid, version, revision, key, objects)
				h.wake(app.cluster)
			})
		})
	}
	w.after(3*time.Second, func() { h.looking = false })
}

func (h *hub) disconnected(c *conn) {
	if s := h.sessions[c.cluster.id]; h.alive && s != nil && s.conn == c {
		delete(h.sessions, c.cluster.id)
	}
}

func (h *hub) receive(c *conn, m message) {
	if !h.alive {
		return
	}
	if m.hello != nil {
		h.open(c, *m.hello)
		return
	}
	s := h.sessions[c.cluster.id]
	if s == nil {
		return
	}
	if !h.w.bug(HubIgnoresEpoch) && s.Check(m.epoch) != nil {
		return
	}
	h.handle(s, m)
}

func (h *hub) open(c *conn, hello model.Hello) {
	w, id := h.w, c.cluster.id
	o, err := w.openSession(id, hello)
	if err != nil {
		c.breakdown()
		return
	}
	if o.RaiseIncarnationTo != 0 {
		for _, other := range w.clusters {
			if s := h.sessions[other.id]; s != nil && other.id != id {
				s.conn.breakdown()
				delete(h.sessions, other.id)
			}
		}
	}
	if old := h.sessions[id]; old != nil && old.conn != c {
		old.conn.breakdown()
	}
	s := &hubSession{Session: fleet.NewSession(o, hello), conn: c, seen: map[uint64]bool{}}
	h.sessions[id] = s
	h.later(func() {
		if h.sessions[id] != s {
			return
		}
		s.send(message{epoch: o.Epoch, welcome: &model.Welcome{Epoch: o.Epoch, HubID: o.Hub.HubID}})
		if len(o.Acknowledge) > 0 {
			s.send(message{epoch: o.Epoch, opAck: o.Acknowledge})
		}
		h.sendRows(s, o.Desired, o.Withdraws, o.Send)
		if w.bug(AbsenceWithdraws) {
			for _, u := range o.Unknown {
				s.send(message{epoch: o.Epoch, withdraw: &model.Withdraw{App: u.UID, Name: u.Name, Generation: u.Generation + 1,
					Mode: model.WithdrawCascade, Operation: model.OperationID("gone-" + string(u.UID)), OperationSeq: 1}})
			}
		}
	})
	if len(o.Rerender()) > 0 {
		h.later(h.look)
	}
}

func (s *hubSession) send(m message) { s.conn.send(m, false) }

func (h *hub) sendRows(s *hubSession, desired []model.Desired, withdraws []model.Withdraw, ops []model.OperationInfo) {
	for _, d := range s.Desired(desired) {
		d := d
		s.send(message{epoch: s.Epoch, desired: &d})
		if h.w.bug(CrossTalk) && h.w.chance(0.05) {
			for _, other := range h.sessions {
				if other != s {
					other.send(message{epoch: other.Epoch, desired: &d})
				}
			}
		}
	}
	for _, wd := range s.Withdraws(withdraws) {
		wd := wd
		s.send(message{epoch: s.Epoch, withdraw: &wd})
	}
	for _, c := range s.Commands(ops) {
		c := c
		s.send(message{epoch: s.Epoch, command: &c})
	}
}

// wake reads a cluster's rows again and sends what the agent lacks. It costs
// nothing to call it too often. Reading, storing that operations are Sent, and
// sending are steps of their own: anything may happen between them.
func (h *hub) wake(id model.ClusterID) {
	h.later(func() {
		w, s := h.w, h.sessions[id]
		if s == nil || w.db.cluster(id).session != s.Epoch {
			return
		}
		desired, withdraws, ops := w.rows(id)
		var queued []model.OperationID
		for _, op := range ops {
			if op.Phase == model.PhaseQueued && s.Sendable(op) {
				queued = append(queued, op.ID)
			}
		}
		for _, wd := range withdraws {
			if !s.HoldDeletes && w.db.ops[wd.Operation].Phase == model.PhaseQueued {
				queued = append(queued, wd.Operation)
			}
		}
		if len(queued) == 0 {
			h.sendRows(s, desired, withdraws, ops)
			return
		}
		if w.bug(SentAfterDelivery) {
			for i := range ops {
				ops[i].Phase = model.PhaseSent
			}
			h.sendRows(s, desired, withdraws, ops)
			h.later(func() { w.markSent(id, s.Epoch, queued) })
			return
		}
		h.later(func() {
			if h.sessions[id] != s || !w.markSent(id, s.Epoch, queued) { // committed before the messages leave
				return
			}
			if w.bug(SendWhatWasRead) {
				for i := range ops {
					ops[i].Phase = model.PhaseSent
				}
			} else {
				desired, withdraws, ops = w.rows(id)
			}
			h.later(func() {
				if h.sessions[id] == s {
					h.sendRows(s, desired, withdraws, ops)
				}
			})
		})
	})
}

// rows reads what a cluster's agent should have.
func (w *world) rows(id model.ClusterID) (desired []model.Desired, withdraws []model.Withdraw, ops []model.OperationInfo) {
	for _, a := range w.db.appsOf(id) {
		switch {
		case a.withdraw != nil:
			withdraws = append(withdraws, *a.withdraw)
		case a.desired != nil && a.desired.Generation > a.floor:
			desired = append(desired, *a.desired)
		}
	}
	ops = w.db.openOps(func(o model.OperationInfo) bool { return o.Cluster == id && o.Kind == model.OperationSync })
	return desired, withdraws, ops
}

func (h *hub) handle(s *hubSession, m message) {
	w, id := h.w, s.Cluster
	switch {
	case m.ack != nil:
		w.fenced(id, m.epoch, "ack", func(*dbCluster) {})
		s.Ack(fleet.Ack{App: m.ack.app, Generation: m.ack.generation, ErrorCode: m.ack.code})
	case m.update != nil:
		u := *m.update
		if !w.applyUpdate(id, m.epoch, u) {
			return
		}
		h.later(func() {
			if u.Phase.Terminal() {
				s.send(message{epoch: s.Epoch, opAck: []model.OperationID{u.ID}})
			}
			if len(s.Updated(u)) > 0 {
				h.wake(id)
			}
		})
	case m.report != nil:
		h.store(s, m)
	case m.beat != nil:
		s.pending = append(s.pending, *m.beat)
		h.confirm(s)
	}
}

// store keeps a report; ingest is a moment behind, or more when the database is
// slow.
func (h *hub) store(s *hubSession, m message) {
	r, w := *m.report, h.w
	behind := w.between(time.Millisecond, 40*time.Millisecond)
	if w.mishap(0.1) {
		behind += w.between(0, 5*time.Second)
	}
	w.after(behind, func() {
		if !h.alive {
			return
		}
		w.fenced(s.Cluster, m.epoch, "report", func(*dbCluster) {
			if a := w.db.apps[r.app]; a != nil && a.cluster == s.Cluster {
				if a.report == nil || a.report.epoch.Less(m.epoch) || a.report.epoch == m.epoch && a.report.seq < r.seq {
					a.report = &dbReport{epoch: m.epoch, seq: r.seq, observed: r.observed, gen: r.gen, sync: r.sync, guarded: r.guarded}
				}
			}
			s.seen[r.seq] = true
			for s.seen[s.stored+1] {
				s.stored++
				delete(s.seen, s.stored)
			}
		})
		h.confirm(s)
	})
}

// confirm applies the heartbeats whose reports are all stored.
func (h *hub) confirm(s *hubSession) {
	var rest []beat
	for _, b := range s.pending {
		if b.seq > s.stored && !h.w.bug(BeatUnstored) {
			rest = append(rest, b)
			continue
		}
		h.w.fenced(s.Cluster, s.Epoch, "beat", func(c *dbCluster) {
			if c.beatEpoch != s.Epoch || b.observed.After(c.beatAt) {
				c.beatEpoch, c.beatAt = s.Epoch, b.observed
			}
		})
	}
	s.pending = rest
}

// view is what the API answers about an application, and the instant that its
// printed age leads to.
func (h *hub) view(a *dbApp) Event {
	w := h.w
	e := Event{Kind: View, App: a.uid, Cluster: a.cluster, Sync: model.SyncUnknown}
	c := w.db.cluster(a.cluster)
	var observed, seen *time.Time
	if r := a.report; r != nil {
		at := r.observed
		observed = &at
		e.Sync, e.Generation = r.sync, r.gen
		e.AsOf = w.since(at)
		if c.beatEpoch == r.epoch && c.beatAt.After(at) {
			seen = &c.beatAt
			e.AsOf = w.since(c.beatAt)
		}
	}
	e.Freshness = fleet.Freshness(w.clock(), h.sessions[a.cluster] != nil, seen, observed)
	return e
}
