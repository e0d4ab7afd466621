package sim

import (
	"time"

	"github.com/hawser-dev/hawser/shared/model"
)

type snapshot struct {
	number int
	db     *database
}

// faultLoop breaks something every few seconds.
func (w *world) faultLoop() {
	w.after(w.between(time.Second, 12*time.Second), func() {
		if !w.faulty {
			return
		}
		w.fault()
		w.faultLoop()
	})
}

func (w *world) fault() {
	c := w.clusters[w.rng.IntN(len(w.clusters))]
	switch p := w.rng.IntN(100); {
	case p < 12:
		w.restartHub(w.between(100*time.Millisecond, 30*time.Second))
	case p < 32:
		for _, a := range c.alive() {
			a.kill("killed")
		}
		w.after(w.between(100*time.Millisecond, 25*time.Second), func() {
			if len(c.alive()) == 0 {
				c.startAgent()
			}
		})
	case p < 40:
		for _, a := range c.alive() {
			if a.conn != nil {
				a.conn.breakdown()
			}
		}
	case p < 47:
		w.git.down = true
		w.tracef("git is down")
		w.after(w.between(time.Second, 60*time.Second), func() { w.git.down = false })
	case p < 56:
		w.snapshots = append(w.snapshots, snapshot{number: len(w.snapshots) + 1, db: w.db.clone()})
		w.record(Event{Kind: Snapshot, Number: len(w.snapshots)})
	case p < 61:
		w.restore()
	case p < 69:
		if len(c.alive()) < 2 {
			c.startAgent()
		}
	case p < 74:
		c.blind = true
		w.tracef("%s cannot be watched", c.id)
		w.after(w.between(time.Second, 20*time.Second), func() {
			c.blind = false
			c.changed()
		})
	default:
		c.userChange()
	}
}

func (w *world) restartHub(away time.Duration) {
	h := w.hub
	h.kill()
	w.after(away, func() {
		if w.hub == h {
			w.startHub()
		}
	})
}

// restore puts an older copy of the database in place.
func (w *world) restore() {
	if len(w.snapshots) == 0 {
		return
	}
	s := w.snapshots[w.rng.IntN(len(w.snapshots))]
	w.restartHub(w.between(time.Second, 20*time.Second))
	w.db = s.db.clone()
	w.record(Event{Kind: Restore, Number: s.number})
}

// endFaults lets the world come to rest: everything runs, connections are
// opened anew once, and an administrator acknowledges a restore.
func (w *world) endFaults() {
	w.faulty = false
	w.git.down = false
	w.record(Event{Kind: FaultsEnd})
	for _, c := range w.clusters {
		c.blind = false
		alive := c.alive()
		for _, a := range alive[min(1, len(alive)):] {
			a.kill("one is enough")
		}
		for _, a := range alive {
			if a.conn != nil {
				a.conn.breakdown()
			}
		}
		c.changed()
	}
	if !w.hub.alive {
		w.startHub()
	}
	// Agents that are away come back; a lease of a dead one runs out first.
	for _, c := range w.clusters {
		w.after(20*time.Second, func() {
			if len(c.alive()) == 0 {
				c.startAgent()
			}
		})
	}
	acknowledge := func() {
		if w.hub.alive && w.db.hub.HoldDeletes {
			w.client.acknowledge()
		}
	}
	w.after(90*time.Second, acknowledge)
	w.after(150*time.Second, acknowledge)
	w.after(rest-time.Second, w.client.view)
}

func (w *world) final() Final {
	f := Final{Ops: map[model.OperationID]model.OperationPhase{}, Head: w.git.head,
		Live: map[model.ClusterID]map[model.ObjectKey]FinalObject{},
		Held: map[model.ClusterID]map[model.AppUID]bool{}, Unknown: map[model.ClusterID]map[model.AppUID]bool{}}
	for id, op := range w.db.ops {
		f.Ops[id] = op.Phase
	}
	for _, a := range w.db.appsOf("") {
		v := w.hub.view(a)
		p := a.policy.Automated
		f.Apps = append(f.Apps, FinalApp{UID: a.uid, Name: a.name, Cluster: a.cluster, Path: a.path,
			Automated: p != nil, SelfHeal: p != nil && p.SelfHeal, Prune: p != nil && p.Prune,
			Guarded: a.report != nil && a.report.guarded, Sync: v.Sync, Freshness: v.Freshness})
	}
	for _, c := range w.clusters {
		f.Live[c.id] = map[model.ObjectKey]FinalObject{}
		for k, o := range c.objects {
			f.Live[c.id][k] = FinalObject{Content: o.content, Owner: ownerOf(o.tracking)}
		}
		f.Held[c.id], f.Unknown[c.id] = map[model.AppUID]bool{}, map[model.AppUID]bool{}
		for _, a := range c.alive() {
			if a.book == nil {
				continue
			}
			for uid, r := range a.book.Apps {
				if r.Gone == nil && r.Desired != nil {
					f.Held[c.id][uid] = true
				}
			}
		}
		for _, u := range w.db.cluster(c.id).unknown {
			f.Unknown[c.id][u.UID] = true
		}
	}
	return f
}
