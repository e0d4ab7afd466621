package faults

import (
	"testing"
	"time"

	"github.com/hawser-dev/hawser/e2e/kill"
	"github.com/hawser-dev/hawser/e2e/rig"
)

// An agent that is frozen in the middle of its work, and comes to itself after
// another has taken its place, has no effect any more: neither on objects nor on
// the journal.
func TestAFrozenAgentHasNoEffectAfterItsSuccessorHasTakenOver(t *testing.T) {
	t.Parallel()
	s := launch(t, "twins")
	w := s.world
	app := s.name + "-app"
	first := s.commit(app, configMap("a", "1"), configMap("b", "1"))
	s.deploy(app, automated)
	s.settled(app, first)

	s.Hold()
	// What the frozen one would have to do, and has begun to hear of.
	second := s.commit(app, configMap("a", "2"), configMap("c", "1"))
	s.drift(app, "a", "mutiny")

	user := nextUser(t)
	kubeconfig, err := w.plane.UserKubeconfig(user, "system:masters")
	s.check(err)
	twin, err := w.NewAgent(rig.AgentOptions{Cluster: s.Cluster, Kubeconfig: kubeconfig, Namespace: s.Agent.Namespace})
	s.check(err)
	frozen := time.Now()
	s.check(twin.Start("twins-successor.log"))
	t.Cleanup(twin.Stop)
	s.settled(app, second)
	if took := time.Since(frozen); took < 5*time.Second {
		t.Errorf("the successor took over after %s, before the Lease of a process that lives could be over", took)
	}
	// Frozen for longer than everything that could be waited for.
	time.Sleep(time.Until(frozen.Add(40 * time.Second)))
	s.drift(app, "a", "mutiny again")
	woken := time.Now()
	s.Continue()
	s.eventually("healed by the successor", 30*time.Second, func() bool { return s.value(app, "a") == "2" })
	third := s.commit(app, configMap("a", "3"))
	s.settled(app, third)

	late := by(s.user, s.witnessed(), func(r kill.Request) bool {
		// Leases and Events are how it finds out, and says so.
		return r.At.After(woken) && r.OK() && r.Key.Kind != "Lease" && r.Key.Kind != "Event"
	})
	if len(late) > 0 {
		t.Errorf("the agent that had lost the Lease wrote:%s", describe(late))
	}
	if lease := by(s.user, s.witnessed(), func(r kill.Request) bool { return r.At.After(woken) && r.OK() && r.Key.Kind == "Lease" }); len(lease) > 0 {
		t.Errorf("it took the Lease back from a living successor:%s", describe(lease))
	}
	// It waits in line: when the successor leaves, it goes on where that was.
	twin.Stop()
	fourth := s.commit(app, configMap("a", "4"))
	s.settled(app, fourth)
}
