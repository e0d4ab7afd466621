package sim

import (
	"time"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/model"
)

// client is everybody who uses the API and Git.
type client struct {
	w *world
}

func newClient(w *world) *client { return &client{w: w} }

var paths = []string{"web", "db", "mail"}

func (c *client) begin() {
	w := c.w
	for i, p := range paths {
		w.git.change(p)
		for j, cl := range w.clusters {
			if i < 2 || j == 0 {
				c.create(p, cl.id)
			}
		}
	}
	c.loop()
}

func (c *client) loop() {
	w := c.w
	w.after(w.between(200*time.Millisecond, 6*time.Second), func() {
		if !w.faulty {
			return
		}
		c.act()
		c.loop()
	})
}

func (c *client) create(path string, cluster model.ClusterID) {
	w := c.w
	if !w.hub.alive {
		return
	}
	policy := &model.SyncPolicy{}
	if w.chance(0.8) {
		policy.Automated = &model.AutomatedSync{Prune: w.chance(0.8), SelfHeal: w.chance(0.8)}
	}
	_, _ = w.createApp(path, path, cluster, policy)
}

func (c *client) act() {
	w := c.w
	switch p := w.rng.IntN(20); {
	case p < 8:
		w.git.change(paths[w.rng.IntN(len(paths))])
	case p < 9:
		c.create(paths[w.rng.IntN(len(paths))], w.clusters[w.rng.IntN(len(w.clusters))].id)
	case p < 14:
		c.view()
	case p < 17:
		spec := model.OperationSpec{Prune: w.chance(0.5)}
		if w.chance(0.3) {
			n := 1 + w.rng.IntN(4)
			spec.ConfirmPrune = &n
		}
		c.operate(model.OperationSync, spec)
	case p < 18:
		c.operate(model.OperationDelete, model.OperationSpec{Cascade: w.chance(0.7)})
	case p < 19:
		open := w.db.openOps(func(model.OperationInfo) bool { return true })
		if len(open) > 0 && w.hub.alive {
			_ = w.terminateOperation(open[w.rng.IntN(len(open))].ID)
		}
	default:
		if w.hub.alive && w.db.hub.HoldDeletes {
			c.acknowledge()
		}
	}
}

// acknowledge is an administrator who says that the restore is understood.
// Every session is opened again, so that what was held travels.
func (c *client) acknowledge() {
	w := c.w
	w.db.hub.HoldDeletes = false
	w.record(Event{Kind: Acknowledged})
	for _, cl := range w.clusters {
		if s := w.hub.sessions[cl.id]; s != nil {
			s.conn.breakdown()
			delete(w.hub.sessions, cl.id)
		}
	}
}

func (c *client) view() {
	w := c.w
	if !w.hub.alive {
		return
	}
	for _, a := range w.db.appsOf("") {
		w.record(w.hub.view(a))
	}
}

// operate asks for an operation, and asks again with the same key until there
// is an answer.
func (c *client) operate(kind model.OperationKind, spec model.OperationSpec) {
	w := c.w
	apps := w.db.appsOf("")
	if len(apps) == 0 {
		return
	}
	app := apps[w.rng.IntN(len(apps))]
	n := fleet.NewOperation{App: app.uid, Kind: kind, Spec: spec, InitiatedBy: "client", IdempotencyKey: w.id("key"),
		Deadline: w.clock().Add(w.between(5*time.Second, 90*time.Second))}
	c.try(n, 3)
}

func (c *client) try(n fleet.NewOperation, tries int) {
	w := c.w
	again := func() {
		if tries > 1 {
			w.after(w.between(time.Second, 10*time.Second), func() { c.try(n, tries-1) })
		}
	}
	h := w.hub
	if !h.alive || w.mishap(0.05) {
		again()
		return
	}
	if w.bug(AnswerFirst) && n.Kind == model.OperationSync {
		if w.db.apps[n.App] == nil {
			return
		}
		id := model.OperationID(w.id("early"))
		w.record(Event{Kind: Answered, Op: id, Request: n.IdempotencyKey})
		h.later(func() { _, _, _ = w.createOperation(n) })
		return
	}
	op, _, err := w.createOperation(n)
	if err != nil {
		return
	}
	if w.mishap(0.1) { // somebody thinks better of it at once
		w.after(w.between(0, 150*time.Millisecond), func() {
			if w.hub.alive {
				_ = w.terminateOperation(op.ID)
			}
		})
	}
	w.after(w.between(time.Millisecond, 50*time.Millisecond), func() {
		if !h.alive || w.mishap(0.1) {
			again()
			return
		}
		w.record(Event{Kind: Answered, Op: op.ID, Request: n.IdempotencyKey})
		h.wake(op.Cluster)
	})
}
