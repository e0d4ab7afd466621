package inventory

import (
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/model"
)

// app is a row with what filters ask for, made once.
type app struct {
	fleet.AppRow
	read    uint64 // the read that found it
	place   uint32 // in what is kept of what somebody sees
	changed time.Time
	codes   []string
	sync    string // words of the filter language
	reason  string
	health  string
	op      string
	// unrendered: its newest revision cannot be, and what runs is an older one.
	unrendered bool
	// aside: its newest revision cannot be rendered or be reached, so that what is
	// shown is of an older one; lists mark it.
	aside bool

	once sync.Once
	head []byte // of the summary

	// content digests the row, when it could be; since is from when on it was so, as
	// far as this hub knows, and mark the newest.
	content  digest
	digested bool
	since    time.Time
	mark     atomic.Pointer[mark]
}

type cluster struct {
	model.Cluster
	lease  fleet.Lease
	labels *digest // another when the labels are others
}

type project struct{ model.AppProject }

type repository struct{ model.Repository }

func newApp(row fleet.AppRow, read uint64) *app {
	a := &app{AppRow: row, read: read}
	a.changed = row.UpdatedAt
	later := func(t *time.Time) {
		if t != nil && t.After(a.changed) {
			a.changed = *t
		}
	}
	later(row.Health.Since)
	if op := row.Operation; op != nil {
		later(op.CreatedAt)
		later(op.StartedAt)
		later(op.FinishedAt)
	}
	for _, c := range row.Conditions {
		later(c.Since)
		a.aside = a.aside || c.OfSource()
		if c.Since != nil && c.OfContent() && row.Pin == nil { // an agent's, about live objects, have no time
			a.unrendered = true
		}
		if c.Code != "" {
			a.codes = append(a.codes, c.Code)
		}
		a.codes = append(a.codes, c.Type)
	}
	a.sync, a.health = strings.ToLower(string(row.Sync.Status)), strings.ToLower(string(row.Health.Status))
	a.reason = "none"
	if row.Sync.Reason != "" {
		a.reason = string(row.Sync.Reason)
	}
	a.op = operationWord(row.Operation)
	return a
}

func operationWord(op *model.OperationInfo) string {
	switch {
	case op == nil:
		return "none"
	case op.Phase == model.PhaseQueued || op.Phase == model.PhaseSent:
		return "queued"
	}
	return strings.ToLower(string(op.Phase))
}

// moment is what a question is asked at: one time, one snapshot.
type moment struct {
	*snapshot
	sights *sights
	key    *pageKey // nil: no pages are kept
	now    time.Time
	ttl    time.Duration
}

// freshness of an application now.
func (m moment) freshness(a *app) model.Freshness {
	if a.ReportedAt == nil {
		return model.FreshNever
	}
	c := m.byID[a.ClusterID]
	if c == nil {
		return model.FreshStale
	}
	var lastSeen *time.Time
	if c.lease.Confirms(a.Report) {
		lastSeen = c.lease.LastSeen
	}
	return fleet.Freshness(m.now, c.lease.Connected(m.now, m.ttl) && !c.Revoked, lastSeen, a.ReportedAt)
}

// observedAt is the newest time at which what is shown was known to hold.
func (m moment) observedAt(a *app) *time.Time {
	at := a.ReportedAt
	if c := m.byID[a.ClusterID]; at != nil && c != nil && c.lease.Confirms(a.Report) && c.lease.ConfirmedAt.After(*at) {
		at = c.lease.ConfirmedAt
	}
	return at
}

// view is a cluster as it is now.
func (m moment) view(c *cluster) model.Cluster {
	out := c.Cluster
	if c.lease.LastSeen != nil {
		out.LastSeen = c.lease.LastSeen
	}
	out.Connected = c.lease.Connected(m.now, m.ttl) && !out.Revoked
	out.Freshness = fleet.Freshness(m.now, out.Connected, out.LastSeen, out.LastSeen)
	return out
}

func (m moment) labelsOf(id model.ClusterID) map[string]string {
	if c := m.byID[id]; c != nil {
		return c.Labels
	}
	return nil
}
