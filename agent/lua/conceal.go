package lua

import (
	"maps"

	"github.com/hawser-dev/hawser/shared/manifest"
	"github.com/hawser-dev/hawser/shared/model"
)

// hiddenValue is what a script sees of a value of a Secret. Scripts come from
// the hub, and what they answer goes there.
const hiddenValue = "(hidden)"

// secretFields hold the values of a Secret.
var secretFields = []string{"data", "stringData"}

// conceal is what a script may see of an object: of a Secret the names of its
// values, and no copy of it in an annotation. obj is not changed.
func conceal(gk model.GroupKind, obj map[string]any) map[string]any {
	if !manifest.IsSecret(gk) {
		return obj
	}
	out := maps.Clone(obj)
	for _, field := range secretFields {
		values, ok := obj[field].(map[string]any)
		if !ok {
			if _, there := obj[field]; there {
				out[field] = nil
			}
			continue
		}
		hidden := make(map[string]any, len(values))
		for k := range values {
			hidden[k] = hiddenValue
		}
		out[field] = hidden
	}
	if meta, annotations, ok := lastApplied(obj); ok {
		annotations = maps.Clone(annotations)
		delete(annotations, manifest.LastAppliedAnnotation)
		meta = maps.Clone(meta)
		meta["annotations"] = annotations
		out["metadata"] = meta
	}
	return out
}

func lastApplied(obj map[string]any) (meta, annotations map[string]any, ok bool) {
	meta, _ = obj["metadata"].(map[string]any)
	annotations, _ = meta["annotations"].(map[string]any)
	_, ok = annotations[manifest.LastAppliedAnnotation]
	return meta, annotations, ok
}

// reveal puts back in an effect what conceal took from obj, where the script
// left it alone.
func reveal(gk model.GroupKind, e Effect, obj map[string]any) {
	if !manifest.IsSecret(gk) || e.Operation != Patch {
		return
	}
	for _, field := range secretFields {
		before, _ := obj[field].(map[string]any)
		after, _ := e.Object[field].(map[string]any)
		for k, v := range after {
			if v != hiddenValue {
				continue
			}
			if was, ok := before[k]; ok {
				after[k] = was
			}
		}
	}
	_, before, ok := lastApplied(obj)
	if !ok {
		return
	}
	meta, _ := e.Object["metadata"].(map[string]any)
	annotations, _ := meta["annotations"].(map[string]any)
	if annotations != nil {
		annotations[manifest.LastAppliedAnnotation] = before[manifest.LastAppliedAnnotation]
	}
}
