package manifest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/hawser-dev/hawser/shared/model"
)

// LastAppliedAnnotation is where kubectl keeps a copy of a whole object, Secret
// values included.
const LastAppliedAnnotation = "kubectl.kubernetes.io/last-applied-configuration"

// IsSecret reports whether objects of the kind hold values that must not leave
// their cluster.
func IsSecret(gk model.GroupKind) bool { return gk.Group == "" && gk.Kind == "Secret" }

// secretOpenFields are the fields of a Secret that hold no secret. Any other
// field is redacted, also one that the API server would not take.
var secretOpenFields = map[string]bool{"apiVersion": true, "kind": true, "metadata": true, "type": true, "immutable": true}

// Redact returns a deep copy of body that may be shown, stored and sent. The
// annotation with the last applied configuration is gone. In a Secret every
// value is replaced by "redacted:" and the first 8 hexadecimal digits of its
// HMAC-SHA256 under key, so that a change is visible and the value is not (see
// Tag). So are those of its annotations of the given names.
func Redact(body map[string]any, key []byte, annotations ...string) map[string]any {
	out := deepCopy(body).(map[string]any)
	if out == nil {
		return nil
	}
	if meta, ok := out["metadata"].(map[string]any); ok {
		if present, ok := meta["annotations"].(map[string]any); ok {
			delete(present, LastAppliedAnnotation)
			if len(present) == 0 {
				delete(meta, "annotations")
			}
		}
	}
	apiVersion, _ := out["apiVersion"].(string)
	kind, _ := out["kind"].(string)
	if apiVersion != "v1" || !IsSecret(model.GroupKind{Kind: kind}) {
		return out
	}
	if meta, ok := out["metadata"].(map[string]any); ok {
		present, _ := meta["annotations"].(map[string]any)
		for _, name := range annotations {
			if v, ok := present[name]; ok {
				present[name] = Tag(body, name, v, key)
			}
		}
	}
	for field, v := range out {
		if secretOpenFields[field] {
			continue
		}
		m, ok := v.(map[string]any)
		if !ok {
			out[field] = Tag(body, field, v, key)
			continue
		}
		for k, item := range m {
			m[k] = Tag(body, k, item, key)
		}
	}
	return out
}

// Tag is what stands for the value v of a Secret's field, in its data the entry: the
// same for the same value of the same object and field under one key. It is another
// elsewhere, so that nobody finds a value out by trying it in a Secret of his own,
// or sees where a value is used again. nil stays nil.
func Tag(secret map[string]any, field string, v any, key []byte) any {
	if v == nil {
		return nil
	}
	meta, _ := secret["metadata"].(map[string]any)
	namespace, _ := meta["namespace"].(string)
	name, _ := meta["name"].(string)
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%q %q %q ", namespace, name, field)
	if s, ok := v.(string); ok {
		mac.Write([]byte(s))
	} else {
		mac.Write(AppendJSON(nil, v))
	}
	return "redacted:" + hex.EncodeToString(mac.Sum(nil)[:4])
}

func deepCopy(v any) any {
	switch v := v.(type) {
	case map[string]any:
		if v == nil {
			return v
		}
		m := make(map[string]any, len(v))
		for k, item := range v {
			m[k] = deepCopy(item)
		}
		return m
	case []any:
		if v == nil {
			return v
		}
		list := make([]any, len(v))
		for i, item := range v {
			list[i] = deepCopy(item)
		}
		return list
	}
	return v
}
