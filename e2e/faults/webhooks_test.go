package faults

import (
	"context"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hawser-dev/hawser/e2e/kill"
	"github.com/hawser-dev/hawser/shared/model"
)

func unstructuredOf(o map[string]any) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: o}
}

const (
	validating = "ValidatingWebhookConfiguration"
	mutating   = "MutatingWebhookConfiguration"
)

// A webhook that denies one object fails the sync and is named; the others are
// applied; when it changes its mind the retry needs nobody.
func TestADeniedApplyNamesItsWebhookAndIsTriedAgain(t *testing.T) {
	t.Parallel()
	s := launch(t, "denied")
	app := s.name + "-app"
	first := s.commit(app, configMap("a", "1"), configMap("b", "1"))
	s.deploy(app, automated)
	s.settled(app, first)
	h := startHookServer(t)
	h.register(s, validating, "no-gold.example.com", app, "configmaps", "CREATE", "UPDATE")
	h.decide(func(_ context.Context, r admission) verdict {
		if v, _, _ := unstructured.NestedString(r.Object, "data", "v"); v == "gold" {
			return verdict{denied: "gold stays ashore"}
		}
		return allowed
	})

	second := s.commit(app, configMap("a", "gold"), configMap("b", "2"), configMap("c", "1"))
	message := s.condition(app, "webhook_denied")
	if !strings.Contains(message, "no-gold.example.com") || !strings.Contains(message, "gold stays ashore") {
		t.Errorf("the condition says %q", message)
	}
	s.eventually("the other objects are applied", 30*time.Second, func() bool { return s.value(app, "b") == "2" && s.value(app, "c") == "1" })
	op := s.sync(app, model.OperationSpec{})
	if end := s.ended(op); end.Phase != model.PhaseFailed || !strings.Contains(end.Message, "no-gold.example.com") {
		t.Errorf("a sync ended as %s: %s", end.Phase, end.Message)
	}
	h.decide(func(context.Context, admission) verdict { return allowed })
	s.settled(app, second)
	s.noDeletes(app)
}

// An object whose delete is denied stays in the inventory, and is pruned when the
// webhook permits it, without a commit or a person in between. It is not hammered.
func TestADeniedDeleteStaysOwnedAndIsPrunedLater(t *testing.T) {
	t.Parallel()
	s := launch(t, "kept")
	app := s.name + "-app"
	first := s.commit(app, configMap("a", "1"), configMap("old", "1"))
	s.deploy(app, automated)
	s.settled(app, first)
	h := startHookServer(t)
	h.register(s, validating, "no-loss.example.com", app, "configmaps", "DELETE")
	h.decide(func(_ context.Context, r admission) verdict {
		if r.Name == "old" {
			return verdict{denied: "not overboard"}
		}
		return allowed
	})
	second := s.commit(app, configMap("a", "2"))
	if message := s.condition(app, "webhook_denied"); !strings.Contains(message, "no-loss.example.com") {
		t.Errorf("the condition says %q", message)
	}
	s.eventually("what can be applied is", 30*time.Second, func() bool { return s.value(app, "a") == "2" })
	// The agent is started again meanwhile: what it owns it knows from its journal.
	s.Kill()
	s.check(s.Start("kept-again.log"))
	watched := time.Now()
	denied := func(r kill.Request) bool {
		return isDelete(r) && r.Key.Name == "old" && r.Key.Namespace == app && !r.OK() && r.At.After(watched)
	}
	s.eventually("it is tried again", time.Minute, func() bool { return len(by(s.user, s.witnessed(), denied)) >= 2 })
	if n, took := len(by(s.user, s.witnessed(), denied)), time.Since(watched); float64(n) > 10+2*took.Seconds() {
		t.Errorf("%d deletes were tried in %s", n, took)
	}
	h.decide(func(context.Context, admission) verdict { return allowed })
	s.eventually("it is pruned", time.Minute, func() bool { return s.value(app, "old") == "" })
	s.settled(app, second)
	for _, r := range by(s.user, s.witnessed(), func(r kill.Request) bool { return isDelete(r) && r.Key.Namespace == app }) {
		if r.Key.Name != "old" || r.Operation == "" || r.Precondition == "" {
			t.Errorf("the agent deleted %s for %q with uid %q", r.Key, r.Operation, r.Precondition)
		}
	}
}

// A webhook that hangs is not an agent that hangs: the object fails with the
// webhook's name after the server's own limit, others go on, and so does the next
// application.
func TestAHangingWebhookHoldsUpOnlyItsObjects(t *testing.T) {
	t.Parallel()
	s := launch(t, "hanging")
	app, other := s.name+"-app", s.name+"-other"
	first := s.commit(app, configMap("a", "1"), configMap("b", "1"))
	s.deploy(app, automated)
	s.settled(app, first)
	h := startHookServer(t)
	h.register(s, validating, "slow.example.com", app, "configmaps", "CREATE", "UPDATE")
	h.decide(func(ctx context.Context, r admission) verdict {
		if r.Name == "a" {
			<-ctx.Done() // the API server gives up after 2 s
		}
		return allowed
	})
	second := s.commit(app, configMap("a", "2"), configMap("b", "2"))
	s.eventually("the other object is applied", 30*time.Second, func() bool { return s.value(app, "b") == "2" })
	beside := s.commit(other, configMap("x", "1"))
	s.deploy(other, automated)
	s.settled(other, beside)
	if message := s.condition(app, "webhook_failed"); !strings.Contains(message, "slow.example.com") {
		t.Errorf("the condition says %q", message)
	}
	h.decide(func(context.Context, admission) verdict { return allowed })
	s.settled(app, second)
	s.noDeletes(app)
}

// A webhook that undoes every write is not fought for ever: the writes become
// fewer and fewer, and people are told who it is.
func TestAWebhookThatUndoesEveryWriteIsNotFoughtForEver(t *testing.T) {
	t.Parallel()
	s := launch(t, "fought")
	app := s.name + "-app"
	first := s.commit(app, configMap("a", "1"), configMap("b", "1"))
	s.deploy(app, automated)
	s.settled(app, first)
	h := startHookServer(t)
	h.register(s, mutating, "ours.example.com", app, "configmaps", "CREATE", "UPDATE")
	h.decide(func(_ context.Context, r admission) verdict {
		if r.Name == "a" {
			return verdict{patch: `[{"op":"replace","path":"/data/v","value":"ours"}]`}
		}
		return allowed
	})
	second := s.commit(app, configMap("a", "2"), configMap("b", "2"))
	s.eventually("the other object is applied", 30*time.Second, func() bool { return s.value(app, "b") == "2" })
	s.view(app, "is shown out of sync", func(v model.AppView) bool { return v.Sync.Status == model.SyncOutOfSync })
	began := time.Now()
	writes := func(r kill.Request) bool {
		return r.Key.Name == "a" && r.Key.Namespace == app && !isDelete(r) && r.OK() && r.At.After(began)
	}
	// Somebody else's drift is healed meanwhile.
	s.drift(app, "b", "mutiny")
	s.eventually("the other object is healed", 30*time.Second, func() bool { return s.value(app, "b") == "2" })
	time.Sleep(time.Until(began.Add(20 * time.Second)))
	if n := len(by(s.user, s.witnessed(), writes)); n > 8 {
		t.Errorf("the object was written %d times in 20 s", n)
	}
	h.decide(func(context.Context, admission) verdict { return allowed })
	op := s.sync(app, model.OperationSpec{})
	if end := s.ended(op); end.Phase != model.PhaseSucceeded {
		t.Errorf("when the webhook has stopped, a sync ends as %s: %s", end.Phase, end.Message)
	}
	s.settled(app, second)
	s.noDeletes(app)
}
