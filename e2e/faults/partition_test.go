package faults

import (
	"slices"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/e2e/kill"
	"github.com/hawser-dev/hawser/e2e/testbed"
	"github.com/hawser-dev/hawser/shared/model"
)

// While the line to the hub is dead, whichever way, drift is healed to the last
// accepted state and no new revision starts; after it the operation that somebody
// asked for meanwhile is carried out once, and of the commits only the newest.
func TestACutOffAgentHealsAndThenDoesWhatWasAskedOnce(t *testing.T) {
	for name, network := range map[string]testbed.Network{
		"dark": testbed.Blackhole, "deaf": testbed.OneWayUp, "mute": testbed.OneWayDown, "half-open": testbed.HalfOpen,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := launch(t, "cut-"+name)
			app := s.name + "-app"
			first := s.commit(app, configMap("a", "1"), configMap("b", "1"))
			uid := s.deploy(app, automated)
			s.settled(app, first)

			s.line.Set(network)
			defer s.line.Set(testbed.Well)
			cut := time.Now()
			// Both ends notice: the hub shows it, and the agent gives the session up.
			s.eventually("the hub has given the session up", patience, func() bool {
				var cluster struct{ Connected bool }
				return s.world.api.Get(s.ctx, "/clusters/"+s.Cluster, &cluster) == nil && !cluster.Connected
			})
			s.eventually("the hub shows it as not live any more", patience, func() bool {
				var v model.AppView // an age passes without an event
				return s.world.api.Get(s.ctx, "/applications/"+app, &v) == nil && v.Freshness != model.FreshLive
			})
			second := s.commit(app, configMap("a", "2"), configMap("b", "1"))
			s.view(app, "has the second commit at the hub", func(v model.AppView) bool { return v.Desired.Commit == second })
			op := s.sync(app, model.OperationSpec{Prune: true})
			third := s.commit(app, configMap("a", "3"), configMap("c", "1"))
			s.view(app, "has the third commit at the hub", func(v model.AppView) bool { return v.Desired.Commit == third })
			s.drift(app, "a", "mutiny")
			s.eventually("healed while cut off", time.Minute, func() bool { return s.value(app, "a") == "1" })
			healed := time.Now()
			s.line.Set(testbed.Well)

			s.settled(app, third)
			end := s.ended(op)
			if end.Phase != model.PhaseSucceeded && end.Phase != model.PhaseSuperseded {
				t.Errorf("the operation ended as %s: %s", end.Phase, end.Message)
			}
			for _, said := range s.world.eye.Said(uid) {
				if said.ID == op.ID && said.Phase.Terminal() && said.Phase != end.Phase {
					t.Errorf("the operation ended as %s and as %s", end.Phase, said.Phase)
				}
			}
			mine := by(s.user, s.witnessed(), in(app))
			if early := slices.DeleteFunc(slices.Clone(mine), func(r kill.Request) bool {
				return r.At.Before(cut) || r.At.After(healed) || r.Content == `{"v":"1"}`
			}); len(early) > 0 {
				t.Errorf("while it was cut off the agent did more than to heal:%s", describe(early))
			}
			if old := by(s.user, mine, func(r kill.Request) bool { return r.Content == `{"v":"2"}` }); len(old) > 0 {
				t.Errorf("the second commit, which was overtaken, was applied:%s", describe(old))
			}
			// The same object may be asked away twice, by the operation and by the
			// automated sync, before the watch tells that it goes.
			gone := by(s.user, mine, isDelete)
			if len(gone) == 0 || slices.ContainsFunc(gone, func(r kill.Request) bool { return r.Key.Name != "b" || r.Precondition != gone[0].Precondition }) {
				t.Errorf("deletes:%s\nwant one object, b", describe(gone))
			}
		})
	}
}
