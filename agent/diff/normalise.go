package diff

import (
	"encoding/base64"
	"maps"
)

// Normalise returns desired as it is compared and applied: stringData of a
// Secret becomes data, and what only the server writes (status, server-set
// metadata) and nulls at the top are left out. The argument is not modified;
// unchanged parts are shared with it.
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
	if text(out["kind"]) == "Secret" && text(out["apiVersion"]) == "v1" {
		joinStringData(out)
	}
	return out
}

// lastApplied is client-side apply's own record. It would hold a second copy of
// the object, and of a Secret's values.
const lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

// joinStringData does what the API server does on writes: stringData wins over
// data and is not stored.
func joinStringData(secret map[string]any) {
	plain, ok := secret["stringData"].(map[string]any)
	if !ok {
		delete(secret, "stringData")
		return
	}
	data, _ := secret["data"].(map[string]any)
	data = maps.Clone(data)
	if data == nil {
		data = make(map[string]any, len(plain))
	}
	for k, v := range plain {
		s, ok := v.(string)
		if !ok {
			return // not a string: leave it for the server to refuse
		}
		data[k] = base64.StdEncoding.EncodeToString([]byte(s))
	}
	delete(secret, "stringData")
	secret["data"] = data
}
