package inventory

import (
	"context"
	"slices"
	"time"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/model"
)

// This file keeps what happened in the last hour: what reads find changed. Operations
// are in the database, so all of them are known, also after a start; of health that
// degraded the time is known; that live objects drifted and that clusters came and
// went is known since the first read.

const (
	// mostHappened are kept, some 4 MB; the oldest are forgotten first.
	mostHappened = 20000
	// mostListed are listed by an answer.
	mostListed = 50
	// operationsAtFirst and operationsEach are the newest operations that the first read
	// of everything looks at, and each other. What ended in between was seen in the rows
	// of applications, unless another operation followed at once.
	operationsAtFirst, operationsEach = 2000, 300
)

// timeline is what happened. Index.mu guards it; what items has is never written to
// again, so that a copy of the slice can be read without.
type timeline struct {
	items  []fleet.Happened // in the order in which they were found
	full   int              // so many, and what is old is dropped
	ended  map[model.OperationID]struct{}
	leases map[model.ClusterID]bool // that counted as open
	// since the first read or, when much was dropped, since then.
	since time.Time
	// quiet is until when no cluster counts as lost: the database was away, and nobody
	// could note that agents were heard.
	quiet time.Time
}

// read notes a read of everything.
func (t *timeline) read(now time.Time, away bool, ttl time.Duration) {
	if t.since.IsZero() {
		t.since = now
		t.ended, t.leases = map[model.OperationID]struct{}{}, map[model.ClusterID]bool{}
	} else if away {
		t.quiet = now.Add(ttl)
	}
}

func window(now time.Time) time.Time {
	return now.UTC().Truncate(time.Minute).Add(-(fleet.TimelineMinutes - 1) * time.Minute)
}

// add keeps what happened at a time that may be of another clock.
func (t *timeline) add(now time.Time, h fleet.Happened) {
	if h.At.After(now) {
		h.At = now
	}
	if h.At.Before(window(now)) {
		return
	}
	h.At, h.Message = h.At.UTC(), upTo(h.Message, maxMessage)
	t.items = append(t.items, h)
	if len(t.items) >= max(t.full, 1024) {
		t.forget(now)
	}
}

// forget drops what is older than an hour, and the oldest of too many.
func (t *timeline) forget(now time.Time) {
	from := window(now)
	kept := slices.DeleteFunc(slices.Clone(t.items), func(h fleet.Happened) bool { return h.At.Before(from) })
	if over := len(kept) - mostHappened; over > 0 {
		slices.SortStableFunc(kept, func(a, b fleet.Happened) int { return a.At.Compare(b.At) })
		t.since = later(t.since, kept[over-1].At)
		kept = slices.Clone(kept[over:])
	}
	t.items, t.full = kept, 2*len(kept)
	clear(t.ended)
	for i := range kept {
		if id := kept[i].Operation; id != "" {
			t.ended[model.OperationID(id)] = struct{}{}
		}
	}
}

// operation notes one that ended, once.
func (t *timeline) operation(now time.Time, op *model.OperationInfo, cluster string) {
	if op == nil || op.ID == "" || op.FinishedAt == nil || op.Spec.DryRun || op.FinishedAt.Before(t.oldest(now)) {
		return
	}
	h := fleet.Happened{At: *op.FinishedAt, Application: op.AppName, Project: op.Project, Cluster: cluster, Operation: string(op.ID)}
	switch op.Phase {
	case model.PhaseSucceeded:
		h.Kind = fleet.HappenedSynced
	case model.PhaseFailed, model.PhaseExpired:
		h.Kind, h.Message = fleet.HappenedFailed, op.Message
	default:
		return
	}
	if _, known := t.ended[op.ID]; known {
		return
	}
	t.ended[op.ID] = struct{}{}
	t.add(now, h)
}

// oldest is the time before which nothing is kept: what was dropped for its number is
// not found again by the next read.
func (t *timeline) oldest(now time.Time) time.Time {
	if from := window(now); t.full < 2*mostHappened || from.After(t.since) {
		return from
	}
	return t.since
}

// application notes what a read found changed of one; old is nil when it was not
// known.
func (t *timeline) application(now time.Time, old, a *app) {
	if t.since.IsZero() {
		return
	}
	if op := a.Operation; op != nil {
		named := *op
		named.AppName, named.Project = a.Name, a.Project
		t.operation(now, &named, a.Cluster)
	}
	h := fleet.Happened{Application: a.Name, Project: a.Project, Cluster: a.Cluster, At: now}
	if a.health == "degraded" && (old == nil || old.health != "degraded") {
		d := h
		d.Kind, d.Message = fleet.HappenedDegraded, a.Health.Message
		switch since := a.Health.Since; {
		case since != nil && (old == nil || !since.Before(window(now))):
			d.At = *since
		case old == nil:
			d.At = time.Time{} // nobody knows since when, so it is not of this hour
		}
		t.add(now, d)
	}
	if old != nil && driftedNow(a) && !driftedNow(old) {
		h.Kind = fleet.HappenedDrifted
		t.add(now, h)
	}
}

func driftedNow(a *app) bool { return a.sync == "outofsync" && a.reason == "drifted" }

// cluster notes whether one is connected.
func (t *timeline) cluster(now time.Time, c *cluster, ttl time.Duration) {
	if t.since.IsZero() {
		return
	}
	was, known := t.leases[c.ID]
	is := c.lease.Connected(now, ttl) && !c.Revoked
	h := fleet.Happened{At: now, Cluster: c.Name}
	switch {
	case is && known && !was:
		h.Kind = fleet.HappenedConnected
	case is && !known && !t.since.Equal(now): // it was enrolled since
		h.Kind = fleet.HappenedConnected
	case !is && (was || !known) && !c.Revoked && c.lease.LastSeen != nil:
		if was && now.Before(t.quiet) {
			return
		}
		h.Kind, h.At = fleet.HappenedLost, *c.lease.LastSeen
	}
	t.leases[c.ID] = is
	if h.Kind != "" {
		t.add(now, h)
	}
}

// operationsOfTimeline are so many as a read of everything looks at.
func (x *Index) operationsOfTimeline() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.timeline.since.IsZero() {
		return operationsAtFirst
	}
	return operationsEach
}

// Timeline answers what happened in the last hour to what is seen.
func (x *Index) Timeline(ctx context.Context, q fleet.TimelineQuery) fleet.FleetTimeline {
	m := x.moment(x.current(ctx))
	x.mu.Lock()
	items, since := x.timeline.items, x.timeline.since
	x.mu.Unlock()
	if q.Cluster != "" {
		items = ofCluster(items, q.Cluster, q.Line)
	}
	if q.Project != "" {
		q.Sight = within(q.Sight, q.Project)
	}
	from := window(m.now)
	out := fleet.FleetTimeline{AsOf: m.asOf.UTC(), Away: m.away, From: from, Counts: map[string][]int{}, Newest: []fleet.Happened{}}
	if since.After(from) {
		since = since.UTC()
		out.KnownSince = &since
	}
	var clusters map[string]struct{} // that are seen; worked out when one is asked for
	var listed []*fleet.Happened
	for i := range items {
		h := &items[i]
		minute := int(h.At.Sub(from) / time.Minute)
		if h.At.Before(from) || minute >= fleet.TimelineMinutes {
			continue
		}
		if h.Application != "" {
			if !q.App(h.Project, h.Application) {
				continue
			}
		} else {
			if clusters == nil {
				views, _ := m.viewsOf(m.seen(&q.Sight), q.Sight, q.Project)
				clusters = make(map[string]struct{}, len(views))
				for _, c := range views {
					clusters[c.Name] = struct{}{}
				}
			}
			if _, ok := clusters[h.Cluster]; !ok {
				continue
			}
		}
		column := out.Counts[h.Kind]
		if column == nil {
			column = make([]int, fleet.TimelineMinutes)
			out.Counts[h.Kind] = column
		}
		column[minute]++
		if (q.Minute.IsZero() || h.At.Truncate(time.Minute).Equal(q.Minute)) && (len(q.Kinds) == 0 || slices.Contains(q.Kinds, h.Kind)) {
			listed = append(listed, h)
		}
	}
	slices.SortStableFunc(listed, func(a, b *fleet.Happened) int { return b.At.Compare(a.At) })
	for _, h := range listed[:min(len(listed), mostListed)] {
		out.Newest = append(out.Newest, *h)
	}
	out.More = len(listed) - len(out.Newest)
	return out
}

// ofCluster leaves what happened on a cluster. What reads found of its connections is
// in line, too, and each of them.
func ofCluster(items []fleet.Happened, name string, line []fleet.Happened) []fleet.Happened {
	out := slices.Clone(line)
	for i := range items {
		if h := &items[i]; h.Cluster == name && h.Kind != fleet.HappenedConnected && h.Kind != fleet.HappenedLost {
			out = append(out, *h)
		}
	}
	return out
}
