package rig

import (
	"testing"

	"github.com/hawser-dev/hawser/shared/model"
)

func TestApplicationsFollowEvents(t *testing.T) {
	apps := Applications{}
	for _, step := range []struct {
		event, changed string
		left           int
	}{
		{`{"uid":"u1","name":"web","view":{"uid":"u1","name":"web","sync":{"status":"OutOfSync"}}}`, "web", 1},
		{`{"uid":"u2","name":"db","view":{"uid":"u2","name":"db"}}`, "db", 2},
		{`{"uid":"u1","name":"web","view":{"uid":"u1","name":"web","sync":{"status":"Synced"}}}`, "web", 2},
		{`{"uid":"u9","deleted":true}`, "", 2},
		{`{"uid":"u2","deleted":true}`, "db", 1},
	} {
		name, err := apps.take([]byte(step.event))
		if err != nil || name != step.changed || len(apps) != step.left {
			t.Errorf("%s: changed %q, %d left, %v", step.event, name, len(apps), err)
		}
	}
	if apps["web"].Sync.Status != model.SyncSynced {
		t.Errorf("web is %+v", apps["web"])
	}
	if _, err := apps.take([]byte("<html>")); err == nil {
		t.Error("HTML was taken as an event")
	}
}

func TestSettled(t *testing.T) {
	good := model.AppView{
		Sync: model.SyncFacet{Status: model.SyncSynced}, Health: model.HealthFacet{Status: model.HealthHealthy}, Freshness: model.FreshLive,
	}
	if !Settled(good) {
		t.Error("a good one is not settled")
	}
	for name, spoil := range map[string]func(*model.AppView){
		"sync":      func(v *model.AppView) { v.Sync.Status = model.SyncOutOfSync },
		"health":    func(v *model.AppView) { v.Health.Status = model.HealthProgressing },
		"stale":     func(v *model.AppView) { v.Freshness = model.FreshStale },
		"operation": func(v *model.AppView) { v.Operation = &model.OperationInfo{Phase: model.PhaseRunning} },
	} {
		v := good
		if spoil(&v); Settled(v) {
			t.Errorf("settled although its %s is not", name)
		}
	}
}
