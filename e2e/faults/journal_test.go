package faults

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/e2e/kill"
	"github.com/hawser-dev/hawser/shared/model"
)

// When the journal cannot be written (a webhook or a quota refuses its Secrets, or
// etcd is full), the agent begins nothing new, because it could not remember it;
// what it has accepted it goes on healing, also after a restart; and when the
// journal can be written again everything that waited is done once.
func TestAnAgentWithoutAJournalHealsAndBeginsNothingNew(t *testing.T) {
	t.Parallel()
	s := launch(t, "nojournal")
	app := s.name + "-app"
	first := s.commit(app, configMap("a", "1"), configMap("b", "1"))
	uid := s.deploy(app, automated)
	s.settled(app, first)
	h := startHookServer(t)
	h.register(s, validating, "no-secrets.example.com", s.Agent.Namespace, "secrets", "CREATE", "UPDATE")
	h.decide(func(_ context.Context, r admission) verdict {
		if strings.HasPrefix(r.Name, "hawser-state-") || strings.HasPrefix(r.Name, "hawser-bundle-") {
			return verdict{denied: "the locker is full"}
		}
		return allowed
	})
	full := time.Now()

	second := s.commit(app, configMap("a", "2"), configMap("c", "1"))
	s.view(app, "has the second commit at the hub", func(v model.AppView) bool { return v.Desired.Commit == second })
	op := s.sync(app, model.OperationSpec{Prune: true})
	refused := func(r kill.Request) bool {
		return r.Key.Namespace == s.Agent.Namespace && r.Key.Kind == "Secret" && !r.OK() && r.At.After(full)
	}
	s.eventually("the journal is refused", 30*time.Second, func() bool { return len(by(s.user, s.witnessed(), refused)) > 0 })
	heal := func(value string) {
		t.Helper()
		s.drift(app, "a", value)
		s.eventually("healed", 30*time.Second, func() bool { return s.value(app, "a") == "1" })
	}
	heal("mutiny")
	s.Kill()
	s.check(s.Start("nojournal-again.log"))
	heal("mutiny again")
	// Tried, and not hammered.
	time.Sleep(time.Until(full.Add(15 * time.Second)))
	if n, took := len(by(s.user, s.witnessed(), refused)), time.Since(full); float64(n) > 20+2*took.Seconds() {
		t.Errorf("%d writes of the journal were refused in %s", n, took)
	}
	for _, r := range by(s.user, s.witnessed(), func(r kill.Request) bool { return r.Key.Namespace == app && r.At.After(full) }) {
		if isDelete(r) || r.Operation == string(op.ID) || r.Content != `{"v":"1"}` {
			t.Errorf("without a journal the agent did: %s", describe([]kill.Request{r}))
		}
	}
	if _, over := s.world.eye.Ended(s.ctx, uid, op.ID); over {
		t.Error("the operation has ended, which the agent could not remember")
	}

	h.decide(func(context.Context, admission) verdict { return allowed })
	s.settled(app, second)
	if end := s.ended(op); end.Phase != model.PhaseSucceeded {
		t.Errorf("the operation ended as %s: %s", end.Phase, end.Message)
	}
	s.eventually("b is pruned", 30*time.Second, func() bool { return s.value(app, "b") == "" })
	// What was stored is whole: another agent reads it and has nothing to do.
	s.Kill()
	again := time.Now()
	s.check(s.Start("nojournal-last.log"))
	s.check(s.AwaitConnected(s.ctx))
	s.drift(app, "a", "mutiny at last")
	s.eventually("healed", 30*time.Second, func() bool { return s.value(app, "a") == "2" })
	if more := by(s.user, s.witnessed(), func(r kill.Request) bool {
		return r.Key.Namespace == app && r.At.After(again) && (isDelete(r) || r.Content != `{"v":"2"}`)
	}); len(more) > 0 {
		t.Errorf("after a restart the agent did:%s", describe(more))
	}
}
