package faults

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hawser-dev/hawser/e2e/kill"
	"github.com/hawser-dev/hawser/shared/model"
)

// crd is a CustomResourceDefinition of one kind with one or two versions, of
// which the first is stored.
func crd(group, kind string, versions ...string) map[string]any {
	var all []any
	for i, v := range versions {
		all = append(all, map[string]any{"name": v, "served": true, "storage": i == 0, "schema": map[string]any{
			"openAPIV3Schema": map[string]any{"type": "object", "properties": map[string]any{
				"spec": map[string]any{"type": "object", "properties": map[string]any{"v": map[string]any{"type": "string"}}},
			}},
		}})
	}
	plural := strings.ToLower(kind) + "s"
	return map[string]any{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": map[string]any{"name": plural + "." + group},
		"spec": map[string]any{
			"group": group, "scope": "Namespaced", "versions": all,
			"names": map[string]any{"kind": kind, "listKind": kind + "List", "plural": plural, "singular": strings.ToLower(kind)},
		},
	}
}

// install makes a CRD and waits until it is established.
func (s *ship) install(o map[string]any) {
	s.t.Helper()
	made := s.create(crds, "", o)
	s.eventually("the CRD is established", 30*time.Second, func() bool {
		o, err := s.world.hand.Resource(crds).Get(s.ctx, made.GetName(), metav1.GetOptions{})
		s.check(err)
		conditions, _, _ := unstructured.NestedSlice(o.Object, "status", "conditions")
		return slices.ContainsFunc(conditions, func(c any) bool {
			m, _ := c.(map[string]any)
			return m["type"] == "Established" && m["status"] == "True"
		})
	})
}

func custom(apiVersion, kind, name, value string) string {
	return fmt.Sprintf("{apiVersion: %s, kind: %s, metadata: {name: %s}, spec: {v: %q}}", apiVersion, kind, name, value)
}

// customValue is spec.v, "" when the object does not exist.
func (s *ship) customValue(gvr schema.GroupVersionResource, namespace, name string) string {
	s.t.Helper()
	o, err := s.world.hand.Resource(gvr).Namespace(namespace).Get(s.ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return ""
	}
	s.check(err)
	v, _, _ := unstructured.NestedString(o.Object, "spec", "v")
	return v
}

// A CRD that somebody removes takes its objects along. The application says so and
// keeps the rest; another application is not touched; nothing is pruned because a
// kind is unknown; and when the CRD is back, so are the objects.
func TestAKindThatVanishesIsMissedAndComesBackWithItsObjects(t *testing.T) {
	t.Parallel()
	s := launch(t, "vanished")
	const group = "vanished.example.com"
	gvr := schema.GroupVersionResource{Group: group, Version: "v1", Resource: "anchors"}
	s.install(crd(group, "Anchor", "v1"))
	app, other := s.name+"-app", s.name+"-other"
	first := s.commit(app, configMap("a", "1"), configMap("old", "1"), custom(group+"/v1", "Anchor", "bow", "1"))
	s.deploy(app, automated)
	beside := s.commit(other, configMap("x", "1"))
	s.deploy(other, automated)
	s.settled(app, first)
	s.settled(other, beside)

	s.check(s.world.hand.Resource(crds).Delete(s.ctx, "anchors."+group, metav1.DeleteOptions{}))
	s.view(app, "misses its kind", func(v model.AppView) bool {
		return v.Sync.Status == model.SyncOutOfSync && v.Health.Status == model.HealthDegraded && strings.Contains(v.Health.Message, "kind missing")
	})
	// Git goes on, and takes the kind's object out, as well as another.
	second := s.commit(app, configMap("a", "2"), custom(group+"/v1", "Anchor", "stern", "1"))
	s.condition(app, "kind_unknown")
	s.eventually("what can be applied is", 30*time.Second, func() bool { return s.value(app, "a") == "2" })
	s.drift(other, "x", "mutiny")
	s.eventually("the other application is healed", 30*time.Second, func() bool { return s.value(other, "x") == "1" })
	if v, _ := s.world.eye.App(other); v.Sync.Status != model.SyncSynced && v.Health.Status != model.HealthHealthy {
		t.Errorf("the other application is %s and %s", v.Sync.Status, v.Health.Status)
	}

	s.install(crd(group, "Anchor", "v1"))
	s.settled(app, second)
	if v := s.customValue(gvr, app, "stern"); v != "1" {
		t.Errorf("the object of the kind is %q", v)
	}
	// In its own namespace it deletes bundles that nothing names any more.
	for _, r := range by(s.user, s.witnessed(), isDelete) {
		if r.Key.Name != "old" && r.Key.Namespace != s.Agent.Namespace {
			t.Errorf("the agent deleted %s", r.Key)
		}
	}
}

// The webhook that converts a kind between its versions is down: the objects of
// that kind are neither there nor gone, they are unknown. Nothing of it is pruned or
// made anew, other kinds and applications go on, and when the webhook is back what
// was due is done.
func TestABrokenConversionMakesOnlyItsKindUnknown(t *testing.T) {
	t.Parallel()
	s := launch(t, "conversion")
	const group = "conversion.example.com"
	gvr := schema.GroupVersionResource{Group: group, Version: "v1", Resource: "ropes"}
	h := startHookServer(t)
	definition := crd(group, "Rope", "v1", "v2")
	definition["spec"].(map[string]any)["conversion"] = map[string]any{"strategy": "Webhook", "webhook": map[string]any{
		"conversionReviewVersions": []any{"v1"}, "clientConfig": h.client("/convert"),
	}}
	s.install(definition)
	app, other := s.name+"-app", s.name+"-other"
	first := s.commit(app, configMap("a", "1"), custom(group+"/v2", "Rope", "fore", "1"), custom(group+"/v2", "Rope", "aft", "1"))
	s.deploy(app, automated)
	beside := s.commit(other, configMap("x", "1"))
	s.deploy(other, automated)
	s.settled(app, first)
	s.settled(other, beside)

	h.breakDown(true)
	// What the API server has in memory needs no webhook; what moves does.
	s.mergePatch(gvr, app, "aft", `{"metadata":{"labels":{"moved":"yes"}}}`)
	s.Kill()
	s.check(s.Start("conversion-again.log"))
	broken := time.Now()
	s.view(app, "shows that a kind is unknown", func(v model.AppView) bool {
		return v.Sync.Status == model.SyncUnknown || v.Health.Status == model.HealthUnknown
	})
	second := s.commit(app, configMap("a", "2"), custom(group+"/v2", "Rope", "fore", "1"))
	s.eventually("other kinds are applied", time.Minute, func() bool { return s.value(app, "a") == "2" })
	s.drift(other, "x", "mutiny")
	s.eventually("the other application is healed", 30*time.Second, func() bool { return s.value(other, "x") == "1" })
	s.view(other, "is well", func(v model.AppView) bool {
		return v.Sync.Status == model.SyncSynced && v.Health.Status == model.HealthHealthy
	})
	if early := by(s.user, s.witnessed(), func(r kill.Request) bool {
		return isDelete(r) && r.At.After(broken) && r.Key.Namespace != s.Agent.Namespace
	}); len(early) > 0 {
		t.Errorf("while the kind was unknown the agent deleted:%s", describe(early))
	}

	h.breakDown(false)
	s.settled(app, second)
	s.eventually("what left Git is pruned", time.Minute, func() bool { return s.customValue(gvr, app, "aft") == "" })
	if v := s.customValue(gvr, app, "fore"); v != "1" {
		t.Errorf("the object that stayed is %q", v)
	}
	made := by(s.user, s.witnessed(), func(r kill.Request) bool { return r.Created && r.Key.Name == "fore" })
	if len(made) != 1 {
		t.Errorf("the object that stayed was made %d times:%s", len(made), describe(made))
	}
}

// mergePatch is for objects that are no ConfigMaps.
func (s *ship) mergePatch(gvr schema.GroupVersionResource, namespace, name, patch string) {
	s.t.Helper()
	_, err := s.world.hand.Resource(gvr).Namespace(namespace).Patch(s.ctx, name, types.MergePatchType, []byte(patch), metav1.PatchOptions{FieldManager: outsider})
	s.check(err)
}
