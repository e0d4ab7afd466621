package faults

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hawser-dev/hawser/e2e/kill"
	"github.com/hawser-dev/hawser/e2e/rig"
	"github.com/hawser-dev/hawser/shared/failpoint"
	"github.com/hawser-dev/hawser/shared/model"
)

// held starts the agent anew so that it holds at a point, and returns what waits
// until it does and what lets it go on.
func (s *ship) held(point string) (await, release func()) {
	s.t.Helper()
	file := filepath.Join(s.world.Dir, s.name+"-held")
	s.Stop()
	s.check(s.Start(s.name+"-held.log", failpoint.Variable+"="+point+"=pause:"+file))
	s.check(s.AwaitConnected(s.ctx))
	await = func() {
		s.t.Helper()
		s.eventually("the agent holds at "+point, patience, func() bool { _, err := os.Stat(file); return err == nil })
	}
	return await, func() { s.t.Helper(); s.check(os.Remove(file)) }
}

// replace deletes a ConfigMap and makes another of the same name, as somebody
// does; the new one belongs to him.
func (s *ship) replace(namespace, name, value string) *unstructured.Unstructured {
	s.t.Helper()
	in := s.world.hand.Resource(configMaps).Namespace(namespace)
	s.check(in.Delete(s.ctx, name, metav1.DeleteOptions{}))
	s.eventually(name+" is gone", 30*time.Second, func() bool { return s.value(namespace, name) == "" })
	return s.create(configMaps, namespace, map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": name}, "data": map[string]any{"v": value}})
}

// Between the decision to prune an object and the delete somebody puts another of
// the same name in its place: it is not ours, and stays.
func TestAnObjectThatIsReplacedBeforeItsPruneIsNotDeleted(t *testing.T) {
	t.Parallel()
	s := launch(t, "replaced")
	app := s.name + "-app"
	first := s.commit(app, configMap("a", "1"), configMap("old", "1"))
	s.deploy(app, automated)
	s.settled(app, first)
	await, release := s.held("sync.prune.before")
	second := s.commit(app, configMap("a", "2"))
	await()
	theirs := s.replace(app, "old", "theirs")
	release()
	s.settled(app, second)
	o, err := s.world.hand.Resource(configMaps).Namespace(app).Get(s.ctx, "old", metav1.GetOptions{})
	s.check(err)
	if o.GetUID() != theirs.GetUID() {
		t.Errorf("somebody's object was deleted: its uid was %s and is %s", theirs.GetUID(), o.GetUID())
	}
	for _, r := range by(s.user, s.witnessed(), func(r kill.Request) bool { return isDelete(r) && r.Key.Namespace == app }) {
		if r.Precondition == string(theirs.GetUID()) || r.Precondition == "" {
			t.Errorf("the agent wanted to delete it: uid %q", r.Precondition)
		}
	}
}

// An object that somebody deletes while the sync that has just applied it goes on
// does not hold the sync up, and is there again in the end.
func TestAnObjectThatIsDeletedDuringItsSyncComesBack(t *testing.T) {
	t.Parallel()
	s := launch(t, "deleted")
	app := s.name + "-app"
	waves := func(value string) []string {
		second := `{apiVersion: v1, kind: ConfigMap, metadata: {name: b, annotations: {argocd.argoproj.io/sync-wave: "1"}}, data: {v: "` + value + `"}}`
		return []string{configMap("a", value), second}
	}
	first := s.commit(app, waves("1")...)
	s.deploy(app, automated)
	s.settled(app, first)
	await, release := s.held("sync.stage.ended")
	second := s.commit(app, waves("2")...)
	await()
	s.check(s.world.hand.Resource(configMaps).Namespace(app).Delete(s.ctx, "a", metav1.DeleteOptions{}))
	began := time.Now()
	release()
	s.settled(app, second)
	if took := time.Since(began); took > time.Minute {
		t.Errorf("that took %s", took)
	}
	if a, b := s.value(app, "a"), s.value(app, "b"); a != "2" || b != "2" {
		t.Errorf("a is %q, b is %q", a, b)
	}
	s.noDeletes(app)
}

// An application is deleted in the middle of its sync and another of the same name
// is written at once: the old one ends, the new one comes to life, and nothing of
// the new one is deleted by what was asked of the old one.
func TestAnApplicationOfTheSameNameIsANewOne(t *testing.T) {
	t.Parallel()
	s := launch(t, "reborn")
	app := s.name + "-app"
	first := s.commit(app, configMap("a", "1"), configMap("b", "1"))
	s.deploy(app, automated)
	s.settled(app, first)
	await, release := s.held("sync.apply.after")
	s.commit(app, configMap("a", "2"), configMap("b", "2"))
	await()
	var op model.OperationInfo
	s.check(s.world.api.Do(s.ctx, http.MethodDelete, "/applications/"+app+"?cascade=true", nil, &op))
	third := s.commit(app, configMap("a", "3"), configMap("c", "3"))
	release()
	if end := s.ended(op); end.Phase != model.PhaseSucceeded {
		t.Fatalf("the deletion ended as %s: %s", end.Phase, end.Message)
	}
	s.await("the application is gone", func() bool { _, there := s.world.eye.App(app); return !there })
	s.deploy(app, automated)
	born := time.Now()
	s.settled(app, third)
	if a, b, c := s.value(app, "a"), s.value(app, "b"), s.value(app, "c"); a != "3" || b != "" || c != "3" {
		t.Errorf("a is %q, b is %q, c is %q", a, b, c)
	}
	if late := by(s.user, s.witnessed(), func(r kill.Request) bool { return isDelete(r) && r.Key.Namespace == app && r.At.After(born) }); len(late) > 0 {
		t.Errorf("the new application's objects were deleted:%s", describe(late))
	}
	if v, ok := s.world.eye.App(app); !ok || !rig.Settled(v) {
		t.Errorf("the new application is %+v", v)
	}
}
