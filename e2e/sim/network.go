package sim

import (
	"time"

	"github.com/hawser-dev/hawser/shared/model"
)

// message is anything that travels in a session.
type message struct {
	epoch model.Epoch

	hello    *model.Hello
	welcome  *model.Welcome
	desired  *model.Desired
	withdraw *model.Withdraw
	command  *model.Command
	opAck    []model.OperationID
	ack      *ack
	update   *model.OperationUpdate
	report   *report
	beat     *beat
}

type ack struct {
	app        model.AppUID
	generation model.Generation
	code       string
}

type report struct {
	app      model.AppUID
	seq      uint64
	gen      model.Generation
	sync     model.SyncStatus
	guarded  bool
	observed time.Time
}

type beat struct {
	seq      uint64
	observed time.Time
}

// conn is one session's connection. It may break at any time; each end finds
// out on its own. What was on its way may still arrive, even later than what
// the next connection carries.
type conn struct {
	w       *world
	cluster *cluster
	agent   *agent
	hub     *hub
	broken  bool
	// last delivery in each direction, to keep the order where nothing fails.
	toAgent, toHub time.Duration
}

// breakdown ends the connection: both ends notice within a while.
func (c *conn) breakdown() {
	if c.broken {
		return
	}
	c.broken = true
	w := c.w
	w.tracef("connection of %s breaks", c.agent.name)
	w.after(w.between(10*time.Millisecond, 20*time.Second), func() { c.agent.disconnected(c) })
	w.after(w.between(10*time.Millisecond, 20*time.Second), func() { c.hub.disconnected(c) })
}

func (c *conn) send(m message, toHub bool) {
	w := c.w
	if c.broken {
		return
	}
	if w.mishap(0.01) {
		c.breakdown() // this message and all that follow are lost
		return
	}
	deliver := func() {
		if toHub {
			c.hub.receive(c, m)
		} else {
			c.agent.receive(c, m)
		}
	}
	last := &c.toAgent
	if toHub {
		last = &c.toHub
	}
	at := w.now + w.between(time.Millisecond, 30*time.Millisecond)
	if w.mishap(0.05) {
		at += w.between(0, 5*time.Second)
	}
	if !w.mishap(0.1) { // in order, but for some
		at = max(at, *last)
		*last = at
	}
	w.after(at-w.now, deliver)
	if w.mishap(0.03) {
		w.after(at-w.now+w.between(0, 15*time.Second), deliver)
	}
}
