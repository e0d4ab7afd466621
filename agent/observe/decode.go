package observe

import (
	"bytes"
	"encoding/json"
	"strconv"

	"github.com/hawser-dev/hawser/agent/health"
)

// decode reads a JSON object into what json.Unmarshal would make of it, with
// whole numbers as int64 as Kubernetes has them, and without managedFields and the
// parts that are not asked for. In one pass, names of common fields shared: an agent decodes
// every pod of its cluster when it starts.
func decode(b []byte, parts health.Parts) (map[string]any, error) {
	v, i, err := decodeValue(b, skipSpace(b, 0), parts, 0)
	if err != nil {
		return nil, err
	}
	if skipSpace(b, i) != len(b) {
		return nil, errJSON
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, errJSON
	}
	return m, nil
}

func decodeValue(b []byte, i int, parts health.Parts, depth int) (v any, next int, err error) {
	if i >= len(b) || depth > maxDepth {
		return nil, 0, errJSON
	}
	switch b[i] {
	case '{':
		return decodeObject(b, i, parts, depth)
	case '[':
		return decodeArray(b, i, parts, depth)
	case '"':
		end, err := skipString(b, i)
		if err != nil {
			return nil, 0, err
		}
		s, err := unquote(b[i:end])
		return s, end, err
	}
	end, err := skipValue(b, i)
	if err != nil {
		return nil, 0, err
	}
	v, err = literal(b[i:end])
	return v, end, err
}

func decodeObject(b []byte, i int, parts health.Parts, depth int) (v any, next int, err error) {
	out := map[string]any{}
	i = skipSpace(b, i+1)
	if i < len(b) && b[i] == '}' {
		return out, i + 1, nil
	}
	for {
		end, err := skipString(b, i)
		if err != nil {
			return nil, 0, err
		}
		key, err := fieldName(b[i:end])
		if err != nil {
			return nil, 0, err
		}
		if i = skipSpace(b, end); i >= len(b) || b[i] != ':' {
			return nil, 0, errJSON
		}
		i = skipSpace(b, i+1)
		below, wanted := parts[key]
		if parts == nil {
			wanted = true
		} else if !wanted {
			below, wanted = parts["*"]
		}
		if depth == 1 && key == "managedFields" { // nobody judges by them
			wanted = false
		}
		if !wanted {
			i, err = skipValue(b, i)
		} else {
			out[key], i, err = decodeValue(b, i, below, depth+1)
		}
		if err != nil {
			return nil, 0, err
		}
		if i = skipSpace(b, i); i >= len(b) {
			return nil, 0, errJSON
		}
		if b[i] == '}' {
			return out, i + 1, nil
		}
		if b[i] != ',' {
			return nil, 0, errJSON
		}
		i = skipSpace(b, i+1)
	}
}

func decodeArray(b []byte, i int, parts health.Parts, depth int) (v any, next int, err error) {
	out := []any{}
	i = skipSpace(b, i+1)
	if i < len(b) && b[i] == ']' {
		return out, i + 1, nil
	}
	for {
		var e any
		if e, i, err = decodeValue(b, i, parts, depth+1); err != nil {
			return nil, 0, err
		}
		out = append(out, e)
		if i = skipSpace(b, i); i >= len(b) {
			return nil, 0, errJSON
		}
		if b[i] == ']' {
			return out, i + 1, nil
		}
		if b[i] != ',' {
			return nil, 0, errJSON
		}
		i = skipSpace(b, i+1)
	}
}

func unquote(quoted []byte) (string, error) {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return string(quoted[1 : len(quoted)-1]), nil
	}
	var s string
	err := json.Unmarshal(quoted, &s)
	return s, err
}

func literal(b []byte) (any, error) {
	switch string(b) {
	case "null":
		return nil, nil
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	if n, err := strconv.ParseInt(string(b), 10, 64); err == nil && b[0] != '+' {
		return n, nil
	}
	if c := b[0]; c != '-' && (c < '0' || c > '9') { // no NaN, no Inf
		return nil, errJSON
	}
	f, err := strconv.ParseFloat(string(b), 64)
	if err != nil {
		return nil, errJSON
	}
	return f, nil
}

// fieldNames are common names of fields, so that they are not made again for each
// object.
var fieldNames = func() map[string]string {
	m := map[string]string{}
	for _, n := range []string{
		"apiVersion", "kind", "metadata", "name", "namespace", "uid", "resourceVersion", "generation", "generateName", "creationTimestamp",
		"deletionTimestamp", "annotations", "labels", "ownerReferences", "finalizers", "controller", "blockOwnerDeletion", "spec", "status", "conditions",
		"type", "reason", "message", "lastTransitionTime", "lastUpdateTime", "lastProbeTime", "observedGeneration", "replicas", "readyReplicas",
		"availableReplicas", "updatedReplicas", "fullyLabeledReplicas", "terminatingReplicas", "template", "containers", "initContainers", "image", "imageID", "containerID", "restartPolicy",
		"containerStatuses", "initContainerStatuses", "ready", "restartCount", "started", "state", "lastState", "running", "waiting", "terminated",
		"startedAt", "finishedAt", "exitCode", "phase", "hostIP", "hostIPs", "podIP", "podIPs", "ip", "qosClass", "startTime", "resources", "allocatedResources",
		"requests", "limits", "cpu", "memory", "selector", "ports", "loadBalancer", "ingress", "volumeMounts", "user", "linux", "gid", "supplementalGroups",
	} {
		m[n] = n
	}
	return m
}()

func fieldName(quoted []byte) (string, error) {
	if s, ok := fieldNames[string(quoted[1:len(quoted)-1])]; ok {
		return s, nil
	}
	return unquote(quoted)
}
