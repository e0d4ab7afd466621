package sim

import (
	"time"

	"github.com/hawser-dev/hawser/agent/journal"
	"github.com/hawser-dev/hawser/shared/model"
)

const (
	leaseTime = 15 * time.Second
	leaseTick = 5 * time.Second
	beatTick  = 10 * time.Second
)

// agent is one agent process.
type agent struct {
	w     *world
	c     *cluster
	name  string
	alive bool

	leaseUntil time.Duration
	leading    bool // the journal was read under the present lease

	book    *journal.Book
	version int
	// what is not durable yet
	dirtyHead bool
	dirty     map[model.AppUID]bool
	inFlight  map[model.AppUID]bool
	flushing  bool
	waiters   []func()

	conn     *conn
	open     bool // the welcome is durable
	deferred []message
	seq      uint64
	reported map[model.AppUID]report

	runs   map[model.AppUID]*run
	kicked map[model.AppUID]bool
}

func (c *cluster) startAgent() *agent {
	a := &agent{w: c.w, c: c, name: c.w.id(string(c.id) + "-agent"), alive: true,
		runs: map[model.AppUID]*run{}, kicked: map[model.AppUID]bool{}}
	c.agents = append(c.agents, a)
	c.w.tracef("%s starts", a.name)
	a.every(c.w.between(0, time.Second), leaseTick, a.renew)
	a.every(c.w.between(0, time.Second), beatTick, a.beat)
	a.every(c.w.between(0, 2*time.Second), 3*time.Second, a.connect)
	return a
}

func (a *agent) every(first, d time.Duration, fn func()) {
	var tick func()
	tick = func() {
		if a.alive {
			fn()
			a.w.after(d, tick)
		}
	}
	a.w.after(first, tick)
}

func (a *agent) later(fn func()) {
	a.w.after(a.w.between(time.Millisecond, 40*time.Millisecond), func() {
		if a.alive {
			fn()
		}
	})
}

func (a *agent) kill(why string) {
	if !a.alive {
		return
	}
	a.alive = false
	a.w.tracef("%s ends: %s", a.name, why)
	if a.conn != nil {
		a.conn.breakdown()
	}
}

// held is asked before every effect.
func (a *agent) held() bool {
	return a.leading && a.w.now < a.leaseUntil || a.w.bug(NoLease) && a.leading
}

// renew takes or keeps the lease. Whoever takes it reads the journal anew.
func (a *agent) renew() {
	l := &a.c.lease
	if a.w.mishap(0.05) {
		return // the API server does not answer in time
	}
	if l.holder != a.name && a.w.now < l.until {
		a.lose()
		if !a.w.bug(NoLease) || a.leading {
			return
		}
	} else {
		l.holder, l.until = a.name, a.w.now+leaseTime
		a.leaseUntil = l.until
		a.w.record(Event{Kind: LeaseTaken, Cluster: a.c.id, Agent: a.name, Until: l.until})
	}
	if a.leading {
		return
	}
	a.leading = true
	a.book, a.version = a.c.load()
	a.dirtyHead, a.dirty, a.inFlight, a.waiters, a.flushing = false, map[model.AppUID]bool{}, map[model.AppUID]bool{}, nil, false
	a.runs = map[model.AppUID]*run{}
	a.kickAll()
}

func (a *agent) lose() {
	if a.leading && !a.w.bug(NoLease) {
		a.kill("the lease belongs to another") // the process starts again, from the journal
		a.w.after(a.w.between(time.Second, 5*time.Second), func() {
			if len(a.c.alive()) == 0 {
				a.c.startAgent()
			}
		})
	}
}

// update applies a transition; then runs when everything known so far is
// durable, also when the transition itself changed nothing.
func (a *agent) update(c journal.Change, then func()) {
	a.dirtyHead = a.dirtyHead || c.Head
	for _, uid := range c.Apps {
		a.dirty[uid] = true
	}
	if a.w.bug(AckBeforeDurable) {
		then()
		then = func() {}
	}
	a.waiters = append(a.waiters, then)
	a.flush()
}

func (a *agent) flush() {
	if a.flushing {
		return
	}
	if !a.dirtyHead && len(a.dirty) == 0 {
		waiters := a.waiters
		a.waiters = nil
		for _, fn := range waiters {
			fn()
		}
		return
	}
	a.flushing = true
	var head []byte
	if a.dirtyHead {
		head = mustEncode(a.book.Head)
	}
	records := map[model.AppUID][]byte{}
	for uid := range a.dirty {
		records[uid] = nil
		if r := a.book.Apps[uid]; r != nil {
			records[uid] = mustEncode(r)
		}
	}
	waiters := a.waiters
	a.inFlight, a.dirty, a.dirtyHead, a.waiters = a.dirty, map[model.AppUID]bool{}, false, nil
	book := a.book
	step := func(fn func()) {
		a.later(func() {
			if a.book == book { // not taken over meanwhile
				fn()
			}
		})
	}
	conflict := func() { a.kill("the journal was written by another") }
	step(func() {
		if head != nil {
			if !a.c.writeHead(a.version, head) {
				conflict()
				return
			}
			a.version++
		}
		step(func() {
			if len(records) > 0 {
				if !a.c.writeRecords(a.version, records) {
					conflict()
					return
				}
				a.version++
			}
			a.flushing, a.inFlight = false, map[model.AppUID]bool{}
			for _, fn := range waiters {
				fn()
			}
			a.flush()
			a.kickAll()
		})
	})
}

func (a *agent) durable(uid model.AppUID) bool { return !a.dirty[uid] && !a.inFlight[uid] }

// beat reports what changed, then confirms everything.
func (a *agent) beat() {
	if !a.leading || !a.open || a.c.blind {
		return
	}
	a.reportAll()
	a.send(message{beat: &beat{seq: a.seq, observed: a.w.clock()}})
}

func (a *agent) reportAll() {
	if !a.open || a.c.blind {
		return
	}
	for _, uid := range sortedUIDs(a.book.Apps) {
		r := a.book.Apps[uid]
		if r.Gone != nil || r.Desired == nil {
			continue
		}
		now := a.observe(r)
		if last, ok := a.reported[uid]; ok && last.sync == now.sync && last.gen == now.gen && last.guarded == now.guarded {
			continue
		}
		a.reported[uid] = now
		a.seq++
		now.seq = a.seq
		now.observed = a.w.clock()
		a.send(message{report: &now})
	}
}

func (a *agent) observe(r *journal.Record) report {
	rep := report{app: r.App, gen: r.Desired.Generation, sync: model.SyncSynced}
	for k, v := range a.c.journal.bundles[r.Desired.Bundle] {
		if o := a.c.objects[k]; o == nil || o.deleting || o.content != v || o.tracking != model.TrackingID(r.Name, k) {
			rep.sync = model.SyncOutOfSync
		}
	}
	rep.guarded = r.Attempt != nil && r.Attempt.Message == guardMessage && r.Attempt.Generation == r.Desired.Generation
	return rep
}
