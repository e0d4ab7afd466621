package delivery

import (
	"context"
	"errors"
	"log/slog"
	"reflect"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/shared/model"
)

// prodOnly allows clusters with env=prod, and kube-system in none of them.
var prodOnly = []model.ProjectDestination{
	{Namespace: "*", ClusterSelector: &model.LabelSelector{MatchLabels: map[string]string{"env": "prod"}}},
	{Name: "*", Namespace: "!kube-system", ClusterSelector: &model.LabelSelector{MatchExpressions: []model.LabelRequirement{{Key: "env", Operator: "Exists"}}}},
}

func TestALabelThatIsTakenAwayNarrowsWhatTheAgentMayDo(t *testing.T) {
	w := newWorld(t)
	w.labels = map[string]string{"env": "prod"}
	w.projects[0].Spec.Destinations = prodOnly
	uid := w.app("web", "web")
	w.put("web", "c1", "a")
	d := start(t, w)
	d.RepositoryResolved(repo, heads("c1"), nil)
	w.await("the first state", func() bool { return w.desired[uid].Generation == 1 })
	limits := func() []model.ProjectDestination { return w.desired[uid].ProjectSpec.Destinations }
	w.mu.Lock()
	if want := []model.ProjectDestination{{Name: "*", Namespace: "*"}, {Name: "*", Namespace: "!kube-system"}}; !reflect.DeepEqual(limits(), want) {
		t.Errorf("the agent was sent %+v", limits())
	}
	w.mu.Unlock()

	label := func(labels map[string]string) {
		w.mu.Lock()
		w.labels = labels
		w.mu.Unlock()
		d.ClusterWritten("c1")
	}
	label(nil)
	w.await("the project refuses", func() bool { x := w.condition(uid); return x != nil && x.Code == "destination_not_permitted" })
	w.await("the agent has no destination left", func() bool { return w.desired[uid].Generation == 2 && len(limits()) == 0 })
	w.mu.Lock()
	if m := w.condition(uid).Message; !strings.Contains(m, "nearest rule: #1 [env=prod]/*     differs: env is not set at eu") || !strings.Contains(m, "Decided by project default") {
		t.Errorf("the condition says %q", m)
	}
	w.mu.Unlock()
	label(map[string]string{"env": "test"}) // the rule with Exists allows it again, in its own way
	w.await("permitted by the other rule", func() bool { return w.condition(uid) == nil && len(limits()) == 1 })
}

func TestObjectsOfAllApplicationsAreLimited(t *testing.T) {
	w := newWorld(t)
	three, two := int64(3), int64(2)
	w.projects[0].Spec.Limits = &model.ProjectLimits{MaxObjects: &three, MaxObjectsPerApplication: &two}
	first, second := w.app("first", "first"), w.app("second", "second")
	w.put("first", "c1", "a", "b")
	w.put("second", "c1", "c", "d", "e")
	d := start(t, w)
	d.RepositoryResolved(repo, heads("c1"), nil)
	quota := func(uid model.AppUID, text string) func() bool {
		return func() bool {
			x := w.condition(uid)
			return x != nil && x.Code == "quota_exceeded" && strings.Contains(x.Message, text)
		}
	}
	w.await("the first is within its limit", func() bool { return w.desired[first].Generation == 1 })
	w.await("the second has too many", quota(second, "may have 2 objects; this one has 3"))
	w.put("second", "c2", "c", "d")
	w.put("first", "c2", "a", "b")
	d.RepositoryResolved(repo, heads("c2"), nil)
	w.await("together they have too many", quota(second, "3 objects together"))
	w.mu.Lock()
	if w.condition(first) != nil {
		t.Errorf("what was there is refused: %+v", w.condition(first))
	}
	w.mu.Unlock()
	w.put("second", "c3", "c")
	w.put("first", "c3", "a", "b")
	d.RepositoryResolved(repo, heads("c3"), nil)
	w.await("three together", func() bool { return w.condition(second) == nil && w.desired[second].Generation == 1 })
}

func TestGlobalProjectsCount(t *testing.T) {
	w := newWorld(t)
	w.projects[0].Metadata.Labels = map[string]string{"tier": "one"}
	w.projects = append(w.projects, model.AppProject{Metadata: model.ObjectMeta{Name: "baseline"}, Spec: model.AppProjectSpec{
		InheritedBy: &model.LabelSelector{MatchLabels: map[string]string{"tier": "one"}}, NamespaceResourceBlacklist: []model.KindRule{{Kind: "ConfigMap", Name: "forbidden"}},
	}})
	uid := w.app("web", "web")
	w.put("web", "c1", "forbidden")
	d := start(t, w)
	d.RepositoryResolved(repo, heads("c1"), nil)
	w.await("the global project denies", func() bool {
		x := w.condition(uid)
		return x != nil && x.Code == "kind_not_permitted" && strings.Contains(x.Message, "#1 ConfigMap forbidden of project baseline")
	})
	w.put("web", "c2", "fine")
	d.RepositoryResolved(repo, heads("c2"), nil)
	w.await("allowed", func() bool { return w.condition(uid) == nil && w.desired[uid].Generation == 1 })
	w.mu.Lock()
	if got := w.desired[uid].ProjectSpec; len(got.NamespaceResourceBlacklist) != 1 || got.InheritedBy != nil {
		t.Errorf("the agent was sent %+v", got)
	}
	w.mu.Unlock()
}

// A command that is stored just after a project was tightened is judged by the new
// rules: they are delivered first, whatever the look at the application takes.
func TestLimitsAreDeliveredBeforeACommand(t *testing.T) {
	w := newWorld(t)
	uid := w.app("web", "web")
	w.put("web", "c1", "a")
	d := start(t, w)
	d.RepositoryResolved(repo, heads("c1"), nil)
	w.await("the first state", func() bool { return w.desired[uid].Generation == 1 })
	hold := make(chan struct{})
	w.mu.Lock()
	w.rendering = hold
	w.projects[0].Spec.NamespaceResourceBlacklist = []model.KindRule{{Kind: "Secret"}}
	w.notified = nil
	before := w.apps[uid]
	w.mu.Unlock()
	d.ProjectWritten("default")
	if err := d.Limit(t.Context(), before); err != nil {
		t.Fatal(err)
	}
	w.mu.Lock()
	if got := w.desired[uid]; got.Generation != 2 || len(got.ProjectSpec.NamespaceResourceBlacklist) != 1 || got.Bundle != before.Source.Bundle {
		t.Errorf("the agent is to have %+v", got)
	}
	if len(w.notified) != 1 || w.apps[uid].Source.RenderKey != before.Source.RenderKey {
		t.Errorf("notified %v, source %+v", w.notified, w.apps[uid].Source)
	}
	w.mu.Unlock()
	close(hold)
}

func TestLimitsThatNobodyOwesAreNotLookedFor(t *testing.T) {
	w := newWorld(t)
	uid := w.app("web", "web")
	d := New(Options{Store: w, Watcher: w, Renderer: w, Notifier: w, Publisher: w, Log: slog.New(slog.DiscardHandler)})
	if !d.owes(uid) {
		t.Error("nothing was looked at yet")
	}
	d.apps, w.down = w.apps, errors.New("asked the database")
	if err := d.Limit(t.Context(), w.apps[uid]); err != nil {
		t.Error(err)
	}
	d.ProjectWritten("default")
	if err := d.Limit(t.Context(), w.apps[uid]); err == nil {
		t.Error("nothing was written")
	}
}

// Who asks for a sync right after a project was widened waits for what that allows.
func TestWhatAWidenedProjectAllowsIsWaitedFor(t *testing.T) {
	w := newWorld(t)
	uid := w.app("web", "web")
	w.put("web", "c1", "a")
	w.put("web", "c2", "a", "role")
	d := start(t, w)
	d.RepositoryResolved(repo, heads("c1"), nil)
	w.await("the first state", func() bool { return w.desired[uid].Generation == 1 })
	d.RepositoryResolved(repo, heads("c2"), nil)
	w.await("the refusal", func() bool { x := w.condition(uid); return x != nil && x.Code == "kind_not_permitted" })
	if _, settled := d.Settle(t.Context(), uid); !settled {
		t.Error("a refusal is not taken for decided")
	}
	if waited, settled := d.Settle(t.Context(), uid); waited || !settled {
		t.Errorf("nothing is due: waited %v, settled %v", waited, settled)
	}

	hold := make(chan struct{})
	w.mu.Lock()
	w.rendering = hold
	w.projects[0].Spec.ClusterResourceWhitelist = []model.KindRule{{Group: "*", Kind: "*"}}
	w.mu.Unlock()
	d.ProjectWritten("default")
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, settled := d.Settle(gone, uid); settled {
		t.Error("what is being rendered is taken for decided")
	}
	done := make(chan bool)
	go func() {
		waited, settled := d.Settle(t.Context(), uid)
		done <- waited && settled
	}()
	close(hold)
	if !<-done {
		t.Error("not waited for")
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if got := w.desired[uid].Revision.Commit; got != "c2" {
		t.Errorf("%s is desired, with %+v", got, w.apps[uid].Source.Error)
	}
}
