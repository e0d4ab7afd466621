package ingest

import (
	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/model"
)

// queue holds the newest report of each application, oldest place first. An
// application that reports again keeps its place. It is a plain value without a
// lock.
type queue struct {
	entries map[key]*entry
	order   []key // places, with gaps of entries that were taken
	flying  map[key]*entry
	counts  map[model.ClusterID]int // entries, not flying ones
}

// key has the cluster in it, so that no agent can push aside what another says.
type key struct {
	cluster model.ClusterID
	app     model.AppUID
}

type entry struct {
	report  fleet.Report
	refused int // how often the database refused this report alone
}

func newQueue() queue {
	return queue{entries: map[key]*entry{}, flying: map[key]*entry{}, counts: map[model.ClusterID]int{}}
}

// offer takes a report, unless a newer one waits already. false: the cluster
// has too many waiting.
func (q *queue) offer(r fleet.Report, perCluster int) bool {
	k := key{r.Cluster, r.App}
	if e := q.entries[k]; e != nil {
		older, newer := e.report, r
		if later(older, newer) {
			older, newer = newer, older
		} else {
			e.refused = 0
		}
		e.report = merge(older, newer)
		return true
	}
	if q.counts[r.Cluster] >= perCluster {
		return false
	}
	q.add(k, &entry{report: r})
	return true
}

func (q *queue) add(k key, e *entry) {
	q.entries[k] = e
	q.order = append(q.order, k)
	q.counts[k.cluster]++
}

// later reports whether a was said after b. Repeated numbers are not later.
func later(a, b fleet.Report) bool {
	if a.Epoch != b.Epoch {
		return b.Epoch.Less(a.Epoch)
	}
	return a.Seq > b.Seq
}

// merge is what remains of two reports of one application. A report without a
// tree says that it has not changed in this session.
func merge(older, newer fleet.Report) fleet.Report {
	if newer.Tree == nil && newer.Epoch == older.Epoch {
		newer.Tree = older.Tree
	}
	if newer.TraceParent == "" {
		newer.TraceParent = older.TraceParent
	}
	return newer
}

// take takes up to n reports to be written.
func (q *queue) take(n int) []*entry {
	var out []*entry
	i := 0
	for ; i < len(q.order) && len(out) < n; i++ {
		k := q.order[i]
		e := q.entries[k]
		if e == nil {
			continue
		}
		delete(q.entries, k)
		if q.counts[k.cluster]--; q.counts[k.cluster] == 0 {
			delete(q.counts, k.cluster)
		}
		q.flying[k] = e
		out = append(out, e)
	}
	q.order = q.order[i:]
	if len(q.order) == 0 {
		q.order = nil // let the array go
	}
	return out
}

// settle ends the flight of a batch: what was not stored waits again, merged
// with what came in between. It returns what was refused too often.
func (q *queue) settle(batch, stored []*entry) (dropped []fleet.Report) {
	done := make(map[*entry]bool, len(stored))
	for _, e := range stored {
		done[e] = true
	}
	for _, e := range batch {
		k := key{e.report.Cluster, e.report.App}
		delete(q.flying, k)
		switch newer := q.entries[k]; {
		case done[e]:
		case e.refused >= refusals:
			dropped = append(dropped, e.report)
		case newer == nil:
			q.add(k, e)
		case later(e.report, newer.report):
			newer.report = merge(newer.report, e.report)
		default:
			newer.report = merge(e.report, newer.report)
		}
	}
	return dropped
}

func (q *queue) waiting() int { return len(q.entries) }

// lowest is the lowest number of each session that waits or is being written.
func (q *queue) lowest() map[session]uint64 {
	out := map[session]uint64{}
	for _, m := range []map[key]*entry{q.entries, q.flying} {
		for _, e := range m {
			s := session{e.report.Cluster, e.report.Epoch}
			if low, ok := out[s]; !ok || e.report.Seq < low {
				out[s] = e.report.Seq
			}
		}
	}
	return out
}
