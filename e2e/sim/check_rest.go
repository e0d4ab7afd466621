package sim

import (
	"slices"
	"strings"

	"github.com/hawser-dev/hawser/shared/model"
)

// final judges the state at rest: every operation has ended as the history
// says, and Git, clusters and hub agree.
func (c *checker) final(f Final) {
	ids := make([]model.OperationID, 0, len(c.db.phases))
	for id := range c.db.phases {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		phase, ok := f.Ops[id]
		switch {
		case !ok:
			c.fail("I1", "operation %s was committed and is not in the database", id)
		case !phase.Terminal():
			c.fail("P2", "operation %s has not ended: %s", id, phase)
		case phase != c.db.phases[id]:
			c.fail("P2", "operation %s is %s, its last change was to %s", id, phase, c.db.phases[id])
		case c.db.finishedAs[id] != "" && c.db.finishedAs[id] != phase:
			c.fail("P2", "operation %s is %s at the hub and ended %s at its agent", id, phase, c.db.finishedAs[id])
		}
	}
	known := map[appAt]bool{}
	for _, a := range f.Apps {
		known[appAt{a.Cluster, a.UID}] = true
		c.atRest(f, a)
	}
	for cluster, held := range f.Held {
		uids := make([]model.AppUID, 0, len(held))
		for uid := range held {
			uids = append(uids, uid)
		}
		slices.Sort(uids)
		for _, uid := range uids {
			if !known[appAt{cluster, uid}] && !f.Unknown[cluster][uid] {
				c.fail("I5", "%s holds %s, which the hub neither knows nor shows", cluster, uid)
			}
		}
	}
}

// atRest compares Git, the cluster and what the hub shows of an application.
func (c *checker) atRest(f Final, a FinalApp) {
	head, live := f.Head[a.Path], f.Live[a.Cluster]
	if !f.Held[a.Cluster][a.UID] {
		c.fail("I5", "the agent of %s does not hold %s", a.Cluster, a.UID)
		return
	}
	if a.Freshness != model.FreshLive {
		c.fail("I5", "%s is %s", a.UID, a.Freshness)
	}
	synced := true
	for _, k := range sortKeysOf(head) {
		o, ok := live[k]
		same := ok && o.Owner == a.Name && o.Content == head[k]
		synced = synced && same
		if a.Automated && !same && (a.SelfHeal || !c.drifted[objectAt{a.Cluster, k}]) {
			c.fail("I5", "%s in %s is %q (of %q), Git has %q", k, a.Cluster, o.Content, o.Owner, head[k])
		}
	}
	if want := map[bool]model.SyncStatus{true: model.SyncSynced, false: model.SyncOutOfSync}[synced]; a.Sync != want {
		c.fail("I5", "%s is shown %s, it is %s", a.UID, a.Sync, want)
	}
	if !a.Automated || !a.Prune || a.Guarded {
		return
	}
	for _, k := range sortKeysOf(live) {
		versions := c.objects[objectAt{a.Cluster, k}]
		if len(versions) == 0 {
			continue
		}
		last := versions[len(versions)-1]
		if _, desired := head[k]; !desired && last.owner == a.Name && live[k].Owner == a.Name && c.touched[last.uid][a.Name] {
			c.fail("I5", "%s in %s is left over from %s", k, a.Cluster, a.UID)
		}
	}
}

func sortKeysOf[V any](m map[model.ObjectKey]V) []model.ObjectKey {
	out := make([]model.ObjectKey, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.SortFunc(out, func(a, b model.ObjectKey) int { return strings.Compare(a.String(), b.String()) })
	return out
}
