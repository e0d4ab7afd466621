package api

import (
	"slices"
	"testing"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/model"
)

// The map is of what the caller sees, and is not sent again while nothing changes.
func TestTheMapOfTheFleet(t *testing.T) {
	w := newWorld(t)
	w.call("POST", "/api/v1/applications", application("web")).ok(201)
	var m fleet.FleetMap
	first := w.call("GET", "/api/v1/fleet/map?filter=us", "").ok(200)
	first.into(&m)
	if !slices.Equal(m.Names, []string{"eu", "us"}) || !slices.Equal(m.Dimmed, []int{0}) || m.AsOf.IsZero() || m.ClusterCounts.Total != 2 || m.Applications[0] != 1 {
		t.Errorf("%+v", m)
	}
	tag := "If-None-Match: " + first.header.Get("ETag")
	if again := w.call("GET", "/api/v1/fleet/map?filter=us", "", tag); again.status != 304 || again.body != "" {
		t.Errorf("%d %s", again.status, again.body)
	}
	w.call("GET", "/api/v1/fleet/map?filter=eu", "", tag).ok(200)
	w.call("PUT", "/api/v1/clusters/eu/labels", `{"labels":{"env":"prod"}}`).ok(200)
	w.call("GET", "/api/v1/fleet/map?filter=us", "", tag).ok(200).into(&m)
	if c := m.Labels["env"]; len(c.Of) != 2 || c.Values[c.Of[0]] != "prod" {
		t.Errorf("%+v", m.Labels)
	}
	for query, code := range map[string]string{"filter=state:nowhere": "filter_invalid", "groupby=env": "unknown_parameter"} {
		w.call("GET", "/api/v1/fleet/map?"+query, "").problem(400, code)
	}
	m = fleet.FleetMap{}
	if w.call("GET", "/api/v1/fleet/map?project=default", "").ok(200).into(&m); len(m.Names) != 1 {
		t.Errorf("of a project: %v", m.Names)
	}

	w.loginAs("bo", fleet.Grant{Project: "shop", Role: "viewer"})
	m = fleet.FleetMap{}
	w.call("GET", "/api/v1/fleet/map", "").ok(200).into(&m)
	if !slices.Equal(m.Names, []string{"eu"}) || m.Applications[0] != 0 || m.ApplicationCounts.Total != 0 {
		t.Errorf("somebody of shop sees %+v", m)
	}
}

// The timeline is of what the caller sees, and is not sent again while nothing happens.
func TestTheTimelineOfTheFleet(t *testing.T) {
	w := newWorld(t)
	w.call("POST", "/api/v1/applications", application("web")).ok(201)
	var got fleet.FleetTimeline
	first := w.call("GET", "/api/v1/fleet/timeline", "").ok(200)
	first.into(&got)
	if got.AsOf.IsZero() || got.KnownSince == nil || len(got.Counts) != 1 || len(got.Newest) != 1 || got.Newest[0].Cluster != "us" {
		t.Errorf("%s", first.body)
	}
	var op model.OperationInfo
	w.call("POST", "/api/v1/applications/web/sync", `{}`).ok(202).into(&op)
	w.store.ops[0].Phase, w.store.ops[0].FinishedAt, w.store.ops[0].Project = model.PhaseSucceeded, &start, "default"
	if err := w.index.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	got = fleet.FleetTimeline{}
	w.call("GET", "/api/v1/fleet/timeline?kind=synced,lost&project=default", "").ok(200).into(&got)
	if len(got.Newest) != 1 || got.Newest[0].Application != "web" || got.Newest[0].Operation != string(op.ID) || len(got.Counts["synced"]) != fleet.TimelineMinutes {
		t.Errorf("%+v", got)
	}
	for query, code := range map[string]string{"kind=synced,gone": "unknown_timeline_kind", "minute=2026-05-01T12:30:01Z": "minute_invalid", "minute=now": "minute_invalid", "filter=x": "unknown_parameter"} {
		w.call("GET", "/api/v1/fleet/timeline?"+query, "").problem(400, code)
	}

	w.loginAs("bo", fleet.Grant{Project: "shop", Role: "viewer"})
	got = fleet.FleetTimeline{}
	w.call("GET", "/api/v1/fleet/timeline", "").ok(200).into(&got)
	if len(got.Counts) != 0 || len(got.Newest) != 0 {
		t.Errorf("somebody of shop hears of %+v", got)
	}
}
