package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/hub/permission"
	"github.com/hawser-dev/hawser/shared/fault"
)

// fleetMap answers all clusters that the caller sees. Its ETag is of what is known,
// and not of when: while nothing changes, who has it gets 304.
func (a *api) fleetMap(c *gin.Context) {
	ctx, set := c.Request.Context(), a.caller(c)
	err := knownParameters(c, []string{"filter", "project"})
	q := fleet.MapQuery{Filter: c.Query("filter"), Project: c.Query("project")}
	if err == nil {
		q.Sight, err = a.sight(ctx, set)
	}
	var m fleet.FleetMap
	if err == nil {
		m, err = a.opts.Inventory.Map(ctx, q)
	}
	if err == nil && m.AsOf.IsZero() {
		err = errNothingRead()
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	asOf := m.AsOf
	m.AsOf = time.Time{}
	a.sendKnown(c, asOf, m)
}

// fleetTimeline answers what happened in the last hour to what the caller sees.
func (a *api) fleetTimeline(c *gin.Context) {
	ctx, set := c.Request.Context(), a.caller(c)
	err := knownParameters(c, []string{"project", "cluster", "kind", "minute"})
	q := fleet.TimelineQuery{Project: c.Query("project")}
	if kinds := c.Query("kind"); err == nil && kinds != "" {
		q.Kinds = strings.Split(kinds, ",")
		for _, kind := range q.Kinds {
			if !fleet.KnownHappened(kind) {
				err = fault.New(fault.Invalid, "unknown_timeline_kind", "the timeline has no kind %q", cut(kind)).WithField("kind").
					WithFound(cut(kind), strings.Join(fleet.TimelineKinds, ", "))
			}
		}
	}
	if minute := c.Query("minute"); err == nil && minute != "" {
		if q.Minute, err = time.Parse(time.RFC3339, minute); err != nil || !q.Minute.Equal(q.Minute.Truncate(time.Minute)) {
			err = fault.New(fault.Invalid, "minute_invalid", "minute is %q; it must be when a minute began, such as 2026-05-01T12:30:00Z", cut(minute)).WithField("minute")
		}
	}
	if err == nil {
		q.Sight, err = a.sight(ctx, set)
	}
	var line fleet.Line
	if name := c.Query("cluster"); err == nil && name != "" {
		line, err = a.lineOf(ctx, set, name, &q)
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	t := a.opts.Inventory.Timeline(ctx, q)
	if q.Cluster != "" {
		n, from := line.Reconnects(t.From)
		t.Reconnects = &n
		if from.After(t.From) && (t.KnownSince == nil || from.After(*t.KnownSince)) {
			t.KnownSince = &from
		}
	}
	if t.AsOf.IsZero() {
		a.fail(c, errNothingRead())
		return
	}
	asOf := t.AsOf
	t.AsOf = time.Time{}
	a.sendKnown(c, asOf, t)
}

func errNothingRead() error {
	return fault.New(fault.Unavailable, "db_unavailable", "the database is not reachable, and this hub has not read it yet")
}

// sendKnown answers with what was known to hold at a time that is not yet in it, or 304
// to who has it.
func (a *api) sendKnown(c *gin.Context, asOf time.Time, known any) {
	body, err := json.Marshal(known)
	if err != nil {
		a.fail(c, err)
		return
	}
	sum := sha256.Sum256(body)
	tag := `"` + hex.EncodeToString(sum[:12]) + `"`
	c.Header("ETag", tag)
	if unchanged(c, tag) {
		c.Status(http.StatusNotModified)
		return
	}
	body = append([]byte(`{"asOf":`+strconv.Quote(asOf.Format(time.RFC3339Nano))+`,`), body[1:]...)
	c.Data(http.StatusOK, "application/json; charset=utf-8", body)
}

// lineOf reads what is known of a cluster's connections in the last hour, for a
// timeline of that cluster.
func (a *api) lineOf(ctx context.Context, set *permission.Set, name string, q *fleet.TimelineQuery) (line fleet.Line, err error) {
	cluster, err := a.visibleCluster(ctx, set, name)
	if err != nil {
		return line, err
	}
	if line, err = a.store.Line(ctx, cluster.ID); err != nil {
		return line, err
	}
	since := a.now().Add(-fleet.TimelineMinutes * time.Minute)
	refused, err := a.refusedAgents(ctx, cluster.ID, since, fleet.MostConnections)
	if err != nil {
		return line, err
	}
	q.Cluster, q.Line = cluster.Name, line.Happened(cluster.Name, since)
	for _, r := range refused {
		q.Line = append(q.Line, fleet.Happened{At: r.At, Kind: fleet.HappenedRefused, Cluster: cluster.Name, Code: r.Code})
	}
	for i := range q.Line {
		q.Line[i].ID = fault.ID(q.Line[i].Code)
	}
	return line, nil
}
