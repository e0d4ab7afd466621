package fleetsim

import (
	"context"
	"encoding/json"
	"maps"
	"reflect"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/agent/sync"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

func typesUID(s string) types.UID { return types.UID(s) }
func metaNow() metav1.Time        { return metav1.Now().Rfc3339Copy() }

// applier is a cluster as sync.Applier. It validates nothing: what is wrong with
// manifests is for tests with a real API server.
type applier struct{ c *Cluster }

// Apply implements sync.Applier: a server-side apply with force, or for
// ModeReplace and ModeRecreate the replacement of all that is there.
func (a applier) Apply(_ context.Context, w sync.Write) ([]byte, error) {
	c := a.c
	c.mu.Lock()
	defer c.mu.Unlock()
	sent, err := c.accept(w.Key, w.Body)
	if err != nil {
		return nil, err
	}
	o := c.objects[w.Key]
	if w.Mode != sync.ModeApply && o != nil && w.UID != "" && o.rec.UID != w.UID {
		return nil, uidChanged(w.Key)
	}
	manager := w.Manager
	if manager == "" {
		manager = model.FieldManager
	}
	if w.Mode == sync.ModeRecreate && o != nil && !w.DryRun {
		c.remove(w.Key)
		o = nil
	}
	before := newObject(w.Key.GroupKind(), w.Key)
	if o != nil {
		if before, err = decode(o.raw); err != nil {
			return nil, broken(w.Key, err)
		}
	}
	var after runtime.Object
	if w.Mode == sync.ModeReplace {
		after, err = fieldManagers[w.Key.GroupKind()].Update(before, sent, manager)
	} else {
		after, err = fieldManagers[w.Key.GroupKind()].Apply(before, sent, manager, true)
	}
	if err != nil {
		return nil, broken(w.Key, err)
	}
	return c.write(w.Key, o, before, after.(*unstructured.Unstructured), w.DryRun)
}

// Create implements sync.Applier.
func (a applier) Create(_ context.Context, w sync.Write) ([]byte, error) {
	c := a.c
	c.mu.Lock()
	defer c.mu.Unlock()
	sent, err := c.accept(w.Key, w.Body)
	if err != nil {
		return nil, err
	}
	if c.objects[w.Key] != nil {
		return nil, fault.New(fault.Conflict, "already_exists", "%s exists already", w.Key)
	}
	empty := newObject(w.Key.GroupKind(), w.Key)
	after, err := fieldManagers[w.Key.GroupKind()].Update(empty, sent, model.FieldManager)
	if err != nil {
		return nil, broken(w.Key, err)
	}
	return c.write(w.Key, nil, empty, after.(*unstructured.Unstructured), w.DryRun)
}

// Patch implements sync.Applier.
func (a applier) Patch(_ context.Context, p sync.PatchRequest) ([]byte, error) {
	c := a.c
	c.mu.Lock()
	defer c.mu.Unlock()
	var patch map[string]any
	if err := json.Unmarshal(p.Patch, &patch); err != nil {
		return nil, broken(p.Key, err)
	}
	return c.patch(p.Key, p.UID, p.ResourceVersion, patch, model.FieldManager, p.DryRun)
}

// Delete implements sync.Applier. Everything is gone at once: nothing here has
// finalizers.
func (a applier) Delete(_ context.Context, r sync.Removal) error {
	c := a.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.isDark() {
		return unreachable(r.Key)
	}
	if o := c.objects[r.Key]; o != nil && o.rec.UID == r.UID {
		c.writes++
		c.remove(r.Key)
	}
	return nil
}

// Release implements sync.Applier.
func (a applier) Release(_ context.Context, r sync.Release) error {
	c := a.c
	c.mu.Lock()
	defer c.mu.Unlock()
	_, err := c.patch(r.Key, r.UID, "", map[string]any{"metadata": map[string]any{"annotations": map[string]any{model.AnnotationTrackingID: nil}}}, model.FieldManager, false)
	if fault.HasCode(err, "not_found") || fault.HasCode(err, "uid_changed") {
		return nil
	}
	return err
}

// Get implements sync.Applier.
func (a applier) Get(_ context.Context, _ live.Kind, _ string, key model.ObjectKey) ([]byte, error) {
	c := a.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.isDark() {
		return nil, unreachable(key)
	}
	if o := c.objects[key]; o != nil {
		return o.raw, nil
	}
	return nil, notFound(key)
}

func notFound(key model.ObjectKey) error {
	return fault.New(fault.NotFound, "not_found", "%s does not exist", key)
}

func uidChanged(key model.ObjectKey) error {
	return fault.New(fault.Conflict, "uid_changed", "%s was replaced by another object of the same name", key)
}

func broken(key model.ObjectKey, err error) error {
	return fault.Wrap(err, fault.Upstream, "apply_refused", "%s: the cluster cannot take this", key)
}

// accept judges what was sent for an object. c.mu is held.
func (c *Cluster) accept(key model.ObjectKey, body []byte) (*unstructured.Unstructured, error) {
	if c.isDark() {
		return nil, unreachable(key)
	}
	if _, err := kindOf(key.GroupKind()); err != nil {
		return nil, err
	}
	if key.Namespace != "" && c.objects[model.ObjectKey{Kind: "Namespace", Name: key.Namespace}] == nil {
		return nil, fault.New(fault.Unprocessable, "namespace_missing", "%s: namespace %q does not exist", key, key.Namespace)
	}
	u, err := decode(body)
	if err != nil {
		return nil, broken(key, err)
	}
	u.SetName(key.Name)
	u.SetNamespace(key.Namespace)
	return u, nil
}

// write stores what an object became, unless it is what it was, and answers it.
// c.mu is held.
func (c *Cluster) write(key model.ObjectKey, o *object, before, after *unstructured.Unstructured, dryRun bool) ([]byte, error) {
	if o != nil {
		after.SetUID(before.GetUID())
		after.SetCreationTimestamp(before.GetCreationTimestamp())
		after.SetResourceVersion(before.GetResourceVersion())
		after.SetGeneration(before.GetGeneration())
		if same(before, after) {
			if !dryRun {
				c.writes++
			}
			return o.raw, nil // no new version, as the API server has it
		}
		if !reflect.DeepEqual(before.Object["spec"], after.Object["spec"]) {
			after.SetGeneration(before.GetGeneration() + 1)
		}
	}
	if dryRun {
		raw, err := after.MarshalJSON()
		if err != nil {
			return nil, broken(key, err)
		}
		return raw, nil
	}
	if o == nil {
		o = &object{}
	}
	c.writes++
	c.store(after, o)
	return o.raw, nil
}

// same compares all but the times of managedFields.
func same(a, b *unstructured.Unstructured) bool {
	am, bm := a.GetManagedFields(), b.GetManagedFields()
	if len(am) != len(bm) {
		return false
	}
	for i := range am {
		am[i].Time, bm[i].Time = nil, nil
	}
	return reflect.DeepEqual(am, bm) && reflect.DeepEqual(withoutManagers(a), withoutManagers(b))
}

func withoutManagers(u *unstructured.Unstructured) map[string]any {
	out := maps.Clone(u.Object)
	if m, ok := out["metadata"].(map[string]any); ok {
		m = maps.Clone(m)
		delete(m, "managedFields")
		out["metadata"] = m
	}
	return out
}

// patch merges a patch into an object in the name of a field manager. c.mu is held.
func (c *Cluster) patch(key model.ObjectKey, uid, version string, patch map[string]any, manager string, dryRun bool) ([]byte, error) {
	if c.isDark() {
		return nil, unreachable(key)
	}
	o := c.objects[key]
	switch {
	case o == nil:
		return nil, notFound(key)
	case uid != "" && uid != o.rec.UID:
		return nil, uidChanged(key)
	case version != "" && version != o.rec.ResourceVersion:
		return nil, fault.New(fault.Conflict, "version_conflict", "%s was changed meanwhile", key)
	}
	before, err := decode(o.raw)
	if err != nil {
		return nil, broken(key, err)
	}
	next := before.DeepCopy()
	merge(next.Object, patch)
	after, err := fieldManagers[key.GroupKind()].Update(before, next, manager)
	if err != nil {
		return nil, broken(key, err)
	}
	return c.write(key, o, before, after.(*unstructured.Unstructured), dryRun)
}

// merge is RFC 7386 with whole numbers as Kubernetes has them.
func merge(into, patch map[string]any) {
	for k, v := range patch {
		switch v := v.(type) {
		case nil:
			delete(into, k)
		case map[string]any:
			below, ok := into[k].(map[string]any)
			if !ok {
				below = map[string]any{}
				into[k] = below
			}
			merge(below, v)
		case float64:
			if v == float64(int64(v)) {
				into[k] = int64(v)
			} else {
				into[k] = v
			}
		default:
			into[k] = v
		}
	}
}
