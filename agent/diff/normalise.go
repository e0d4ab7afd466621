package diff

import (
	"encoding/base64"
	"maps"

	"github.com/hawser-dev/hawser/shared/manifest"
)

// Normalise returns desired as it is compared and applied: stringData of a
// Secret becomes data, and what only the server and its controllers write is left
// out: status, server-set metadata, and the rules of an aggregated ClusterRole.
// The argument is not modified; unchanged parts are shared with it.
func Normalise(desired map[string]any) map[string]any {
	out := maps.Clone(desired)
	delete(out, "status")
	if m, ok := out["metadata"].(map[string]any); ok {
		m = maps.Clone(m)
		for _, k := range []string{"creationTimestamp", "managedFields", "resourceVersion", "uid", "generation", "selfLink", "deletionTimestamp", "deletionGracePeriodSeconds"} {
			delete(m, k)
		}
		if a, ok := m["annotations"].(map[string]any); ok {
			if _, has := a[lastApplied]; has {
				a = maps.Clone(a)
				delete(a, lastApplied)
				m["annotations"] = a
			}
		}
		out["metadata"] = m
	}
	switch text(out["kind"]) {
	case "Secret":
		if isSecret(out) {
			joinStringData(out)
		}
	case "ClusterRole":
		// The controller overwrites the rules of a role that is aggregated from
		// others (Kubernetes, "Using RBAC authorization").
		if _, aggregated := out["aggregationRule"].(map[string]any); aggregated && groupOf(text(out["apiVersion"])) == "rbac.authorization.k8s.io" {
			delete(out, "rules")
		}
	}
	return out
}

// lastApplied is client-side apply's own record. It would hold a second copy of
// the object, and of a Secret's values.
const lastApplied = manifest.LastAppliedAnnotation

// takeLastApplied takes client-side apply's record out of an object. It says
// nothing of how the object is.
func takeLastApplied(obj map[string]any) string {
	meta, _ := obj["metadata"].(map[string]any)
	annotations, _ := meta["annotations"].(map[string]any)
	last := text(annotations[lastApplied])
	if delete(annotations, lastApplied); len(annotations) == 0 {
		delete(meta, "annotations")
	}
	return last
}

// joinStringData does what the API server does on writes: stringData wins over
// data and is not stored.
func joinStringData(secret map[string]any) {
	plain, ok := secret["stringData"].(map[string]any)
	if !ok {
		if secret["stringData"] == nil {
			delete(secret, "stringData")
		}
		return
	}
	data, _ := secret["data"].(map[string]any)
	data = maps.Clone(data)
	if data == nil {
		data = make(map[string]any, len(plain))
	}
	for k, v := range plain {
		s, ok := v.(string)
		if !ok && v != nil {
			return // not a string: leave it for the server to refuse
		}
		data[k] = base64.StdEncoding.EncodeToString([]byte(s))
	}
	delete(secret, "stringData")
	secret["data"] = data
}
