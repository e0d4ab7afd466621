package manifest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/hawser-dev/hawser/shared/model"
)

// LastAppliedAnnotation is where kubectl keeps a copy of a whole object, Secret
// values included.
const LastAppliedAnnotation = model.AnnotationLastApplied

// IsSecret reports whether objects of the kind hold values that must not leave
// their cluster: Secrets of Kubernetes, and what others call so, in whatever group
// and spelling.
func IsSecret(gk model.GroupKind) bool { return strings.EqualFold(gk.Kind, "Secret") }

// KeyFor is the key of the tags in one application, derived from that of the
// cluster: what is seen of one application says nothing of another.
func KeyFor(key []byte, app model.AppUID) []byte {
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "redaction of application %q", app)
	return mac.Sum(nil)
}

// secretOpenFields are the fields of a Secret that hold no secret. Any other
// field is redacted, also one that the API server would not take.
var secretOpenFields = map[string]bool{"apiVersion": true, "kind": true, "metadata": true, "type": true, "immutable": true}

// Redact returns a deep copy of body that may be shown, stored and sent. What counts
// is the object itself, not what somebody says that it is. Annotations with the last
// applied configuration are gone. In a Secret every
// value is replaced by "redacted:" and the first 8 hexadecimal digits of its
// HMAC-SHA256 under key, so that a change is visible and the value is not (see
// Tag). So are those of its annotations of the given names, and in any other object
// the data of Secrets that it contains, such as a list or a template does, and what is
// known by its form to be a secret (see HideKnown).
func Redact(body map[string]any, key []byte, annotations ...string) map[string]any {
	out := deepCopy(body).(map[string]any)
	if out == nil {
		return nil
	}
	redactWithin(out, key)
	kind, _ := out["kind"].(string)
	if !IsSecret(model.GroupKind{Kind: kind}) {
		hideKnownIn(body, "", out, key)
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

// redactWithin takes annotations with the last applied configuration out of v, and
// the data of Secrets within it; v is modified.
func redactWithin(v any, key []byte) {
	switch v := v.(type) {
	case map[string]any:
		if annotations, ok := v["annotations"].(map[string]any); ok {
			if _, there := annotations[LastAppliedAnnotation]; there {
				if delete(annotations, LastAppliedAnnotation); len(annotations) == 0 {
					delete(v, "annotations")
				}
			}
		}
		for _, item := range v {
			redactWithin(item, key)
		}
		for _, item := range v {
			// One that contains others is dealt with by its caller, or just now.
			if inner, ok := item.(map[string]any); ok {
				redactInner(inner, key)
			}
		}
	case []any:
		for _, item := range v {
			redactWithin(item, key)
			if inner, ok := item.(map[string]any); ok {
				redactInner(inner, key)
			}
		}
	}
}

// redactInner tags the data of a Secret in another object. Its other fields stay:
// most that is of the kind is a reference.
func redactInner(secret map[string]any, key []byte) {
	if kind, _ := secret["kind"].(string); !IsSecret(model.GroupKind{Kind: kind}) {
		return
	}
	for _, field := range DataFields {
		switch values := secret[field].(type) {
		case nil:
		case map[string]any:
			for k, item := range values {
				values[k] = Tag(secret, k, item, key)
			}
		default:
			secret[field] = Tag(secret, field, values, key)
		}
	}
}

// ContainsSecret reports whether an object that is no Secret has data of one within.
func ContainsSecret(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		if kind, _ := v["kind"].(string); IsSecret(model.GroupKind{Kind: kind}) {
			for _, field := range DataFields {
				if v[field] != nil {
					return true
				}
			}
		}
		for _, item := range v {
			if ContainsSecret(item) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(v, ContainsSecret)
	}
	return false
}

// DataFields hold the values of a Secret.
var DataFields = []string{"data", "stringData"}

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
