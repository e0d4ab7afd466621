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
// values and of its sensitive annotations, and no copy of it in an annotation. obj is
// not changed.
func conceal(gk model.GroupKind, obj map[string]any, sensitive []string) map[string]any {
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
	if meta, annotations := annotationsOf(obj); annotations != nil {
		annotations = maps.Clone(annotations)
		delete(annotations, manifest.LastAppliedAnnotation)
		for _, name := range sensitive {
			if _, there := annotations[name]; there {
				annotations[name] = hiddenValue
			}
		}
		meta = maps.Clone(meta)
		meta["annotations"] = annotations
		out["metadata"] = meta
	}
	return out
}

func annotationsOf(obj map[string]any) (meta, annotations map[string]any) {
	meta, _ = obj["metadata"].(map[string]any)
	annotations, _ = meta["annotations"].(map[string]any)
	return meta, annotations
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
		restore(after, before)
	}
	_, before := annotationsOf(obj)
	_, after := annotationsOf(e.Object)
	restore(after, before)
	if was, ok := before[manifest.LastAppliedAnnotation]; ok && after != nil {
		after[manifest.LastAppliedAnnotation] = was
	}
}

func restore(after, before map[string]any) {
	for k, v := range after {
		if was, ok := before[k]; ok && v == hiddenValue {
			after[k] = was
		}
	}
}
