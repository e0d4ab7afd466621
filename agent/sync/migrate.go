package sync

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/shared/model"
)

// annotationLastApplied is what kubectl compares with when it applies on the
// client's side. Old as it is after a migration, it would mislead it.
const annotationLastApplied = "kubectl.kubernetes.io/last-applied-configuration"

// predecessors are the field managers that wrote an object from the same Git
// before us, or as our own replacements: kubectl apply, on the client's side and
// the manager that it keeps for its annotation, and Argo CD, which is
// argocd-controller in all modes of today and was argocd-application-controller
// before. What they set and Git does not have any more has to go, and a field
// with two owners goes only when both give it up. Whoever else writes with
// kubectl (edit, patch, scale, set) meant it to stay.
var predecessors = []string{"kubectl-client-side-apply", "kubectl-last-applied", "argocd-controller", "argocd-application-controller", updateManager}

// NeedsMigration names the field managers among managers whose fields become
// ours when the object is applied, for Write.Migrate; nil when there are none.
// extra is one more manager to take over from, "" for none. Fields that were set
// through a subresource stay with whoever set them.
func NeedsMigration(managers []live.FieldManager, extra string) []string {
	var out []string
	for _, m := range managers {
		if m.Subresource == "" && migrates(m.Manager, m.Operation, extra) && !slices.Contains(out, m.Manager) {
			out = append(out, m.Manager)
		}
	}
	return out
}

func migrates(manager, operation, extra string) bool {
	if manager == model.FieldManager {
		return false // what an action of ours patched stays, too
	}
	if operation != "Apply" && operation != "Update" {
		return false
	}
	return extra != "" && manager == extra || slices.Contains(predecessors, manager)
}

// managedEntry is one entry of managedFields.
type managedEntry struct {
	Manager     string          `json:"manager,omitempty"`
	Operation   string          `json:"operation,omitempty"`
	APIVersion  string          `json:"apiVersion,omitempty"`
	Time        string          `json:"time,omitempty"`
	FieldsType  string          `json:"fieldsType,omitempty"`
	FieldsV1    json.RawMessage `json:"fieldsV1,omitempty"`
	Subresource string          `json:"subresource,omitempty"`
}

// managedObject is the part of an object that a migration reads.
type managedObject struct {
	Metadata struct {
		UID               string            `json:"uid"`
		ResourceVersion   string            `json:"resourceVersion"`
		DeletionTimestamp *time.Time        `json:"deletionTimestamp"`
		Annotations       map[string]string `json:"annotations"`
		ManagedFields     []managedEntry    `json:"managedFields"`
	} `json:"metadata"`
}

// migrationPatch is the JSON patch that gives manager, as an applier, the fields
// of the managers in from. nil: there is nothing to do. It has the object's
// resourceVersion as a precondition: a replaced one is a conflict, where a failed
// test would be an invalid request.
func migrationPatch(body []byte, from []string, manager string) ([]byte, error) {
	var o managedObject
	if err := json.Unmarshal(body, &o); err != nil {
		return nil, err
	}
	entries, changed, err := migratedEntries(o.Metadata.ManagedFields, from, manager)
	if err != nil || !changed {
		return nil, err
	}
	type op struct {
		Op    string `json:"op"`
		Path  string `json:"path"`
		Value any    `json:"value,omitempty"`
	}
	patch := []op{
		{Op: "replace", Path: "/metadata/managedFields", Value: entries},
		{Op: "replace", Path: "/metadata/resourceVersion", Value: o.Metadata.ResourceVersion},
	}
	if _, ok := o.Metadata.Annotations[annotationLastApplied]; ok {
		patch = append(patch, op{Op: "remove", Path: "/metadata/annotations/" + strings.ReplaceAll(annotationLastApplied, "/", "~1")})
	}
	return json.Marshal(patch)
}

// migratedEntries joins the sets of the entries that migrate with that of
// manager. The server keeps one set for an applier, whatever the API version, so
// there is one entry after it: the applier's own, or the newest of the others.
// Fields of another API version join it too: those which the version does not
// have name nothing, and the server drops them.
func migratedEntries(entries []managedEntry, from []string, manager string) (out []managedEntry, changed bool, err error) {
	target := -1
	joined := fieldpath.NewSet()
	var sources []int
	for i, e := range entries {
		switch {
		case e.Subresource != "":
		case e.Manager == manager && e.Operation == "Apply":
			target = i
		case e.Manager != manager && slices.Contains(from, e.Manager) && (e.Operation == "Apply" || e.Operation == "Update"):
			sources = append(sources, i)
		}
	}
	if len(sources) == 0 {
		return entries, false, nil
	}
	if target < 0 {
		// RFC 3339 in UTC sorts as text.
		target = slices.MaxFunc(sources, func(a, b int) int { return strings.Compare(entries[a].Time, entries[b].Time) })
	}
	for i, e := range entries {
		if i != target && !slices.Contains(sources, i) {
			continue
		}
		set, err := fieldsOf(e)
		if err != nil {
			return nil, false, err
		}
		joined = joined.Union(set)
	}
	raw, err := joined.ToJSON()
	if err != nil {
		return nil, false, err
	}
	for i, e := range entries {
		switch {
		case i == target:
			e.Manager, e.Operation, e.FieldsV1 = manager, "Apply", raw
			out = append(out, e)
		case !slices.Contains(sources, i):
			out = append(out, e)
		}
	}
	return out, true, nil
}

func fieldsOf(e managedEntry) (*fieldpath.Set, error) {
	set := fieldpath.NewSet()
	if len(e.FieldsV1) == 0 {
		return set, nil
	}
	if err := set.FromJSON(bytes.NewReader(e.FieldsV1)); err != nil {
		return nil, fmt.Errorf("the fields of manager %q cannot be read: %w", clip(e.Manager, 60), err)
	}
	return set, nil
}

// withoutMigrated is what is left of a dry run's answer if the managers in from
// had given their fields to manager before: what only they own goes, with all
// that is inside and that nobody owns. nil: that changes nothing. It is not what
// the server would store, because the server fills fields that are missing.
func withoutMigrated(answer []byte, from []string, manager string) (map[string]any, error) {
	var o managedObject
	if err := json.Unmarshal(answer, &o); err != nil {
		return nil, err
	}
	theirs, kept := fieldpath.NewSet(), fieldpath.NewSet()
	for _, e := range o.Metadata.ManagedFields {
		set, err := fieldsOf(e)
		if err != nil {
			return nil, err
		}
		if e.Subresource == "" && e.Manager != manager && slices.Contains(from, e.Manager) {
			theirs = theirs.Union(set)
		} else {
			kept = kept.Union(set)
		}
	}
	var obj map[string]any
	changed := false
	for p := range theirs.Difference(kept).All() {
		if obj == nil {
			dec := json.NewDecoder(bytes.NewReader(answer))
			dec.UseNumber()
			if err := dec.Decode(&obj); err != nil {
				return nil, err
			}
		}
		if q := goesWith(p, theirs, kept); q != nil && removePath(obj, q) {
			changed = true
		}
	}
	if !changed {
		return nil, nil
	}
	return obj, nil
}

// goesWith is the outermost field or item around p in which nobody else owns
// anything: as in a server-side apply, a field of a structure belongs to whoever
// has something in it, and an item of a list to whoever lists it. nil: somebody
// has something in p.
func goesWith(p fieldpath.Path, theirs, kept *fieldpath.Set) fieldpath.Path {
	for n := 1; n <= len(p); n++ {
		q := p[:n]
		if n == 1 && p[0].FieldName != nil && *p[0].FieldName == "metadata" {
			continue
		}
		if (p[n-1].FieldName != nil || theirs.Has(q)) && !anythingIn(kept, q) {
			return q
		}
	}
	return nil
}

func anythingIn(set *fieldpath.Set, p fieldpath.Path) bool {
	if set.Has(p) {
		return true
	}
	for _, e := range p {
		next, ok := set.Children.Get(e)
		if !ok {
			return false
		}
		set = next
	}
	return !set.Empty()
}

// removePath takes a field or list item away, unless it is not there.
func removePath(root map[string]any, path fieldpath.Path) bool {
	removed := false
	var walk func(v any, rest fieldpath.Path) any
	walk = func(v any, rest fieldpath.Path) any {
		e := rest[0]
		switch x := v.(type) {
		case map[string]any:
			if e.FieldName == nil {
				return v
			}
			child, ok := x[*e.FieldName]
			switch {
			case !ok:
			case len(rest) > 1:
				x[*e.FieldName] = walk(child, rest[1:])
			default:
				delete(x, *e.FieldName)
				removed = true
			}
		case []any:
			i := slices.IndexFunc(x, func(item any) bool { return isItem(item, e) })
			if e.Index != nil && *e.Index < len(x) {
				i = *e.Index
			}
			switch {
			case i < 0:
			case len(rest) > 1:
				x[i] = walk(x[i], rest[1:])
			default:
				removed = true
				return slices.Delete(x, i, i+1)
			}
		}
		return v
	}
	walk(root, path)
	return removed
}

// isItem reports whether a list item has the key fields, or is the value, that a
// path names.
func isItem(item any, e fieldpath.PathElement) bool {
	switch {
	case e.Key != nil:
		m, ok := item.(map[string]any)
		if !ok {
			return false
		}
		for _, f := range *e.Key {
			if !same(m[f.Name], f.Value.Unstructured()) {
				return false
			}
		}
		return true
	case e.Value != nil:
		return same(item, (*e.Value).Unstructured())
	}
	return false
}

// same compares scalars as JSON writes them: one side has json.Number.
func same(a, b any) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}
