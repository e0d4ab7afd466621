package diff

import (
	"maps"
	"reflect"
	"slices"
	"strings"
)

// What the server fills in from other fields, by type. The table of built-in
// kinds has what it fills in regardless of others. The source is the defaulting
// of Kubernetes (pkg/apis/*/v1/defaults.go) and what its registries carry over
// from the stored object (pkg/registry).

// derived is what the server fills in for a field from the live fields beside it.
func derived(t *Type, field string, siblings map[string]any) (def any, known bool) {
	switch t.name {
	case "v1.Container", "v1.EphemeralContainer":
		if field == "imagePullPolicy" {
			return pullPolicy(text(siblings["image"])), true
		}
	case "v1.PodSpec":
		switch field { // two names of one thing
		case "serviceAccount":
			return siblings["serviceAccountName"], true
		case "serviceAccountName":
			return siblings["serviceAccount"], true
		}
	case "v1.ServicePort":
		switch field {
		case "targetPort":
			return siblings["port"], true
		case "nodePort":
			return siblings[field], true // allocated once
		}
	case "networking/v1.NetworkPolicySpec":
		if field == "policyTypes" {
			if egress, _ := siblings["egress"].([]any); len(egress) > 0 {
				return []any{"Ingress", "Egress"}, true
			}
		}
	case "v1.ReplicationControllerSpec":
		if field == "selector" {
			template, _ := siblings["template"].(map[string]any)
			meta, _ := template["metadata"].(map[string]any)
			return meta["labels"], true
		}
	case "v1.ServiceSpec":
		switch field {
		case "clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "healthCheckNodePort":
			return siblings[field], true // allocated once
		case "externalTrafficPolicy":
			if typ := text(siblings["type"]); typ == "NodePort" || typ == "LoadBalancer" {
				return "Cluster", true
			}
		case "allocateLoadBalancerNodePorts":
			if text(siblings["type"]) == "LoadBalancer" {
				return true, true
			}
		}
	}
	return nil, false
}

// completed is a value that is replaced as a whole with what the server derives
// from its own fields. The argument is not modified.
func completed(t *Type, d map[string]any) map[string]any {
	switch t.name {
	case "rbac/v1.Subject":
		if kind := text(d["kind"]); text(d["apiGroup"]) == "" && (kind == "User" || kind == "Group") {
			d = maps.Clone(d)
			d["apiGroup"] = "rbac.authorization.k8s.io"
		}
	case "v1.LimitRangeItem":
		if text(d["type"]) == "Container" {
			d = maps.Clone(d)
			d["default"] = filled(d["default"], d["max"])
			d["defaultRequest"] = filled(filled(d["defaultRequest"], d["default"]), d["min"])
		}
	case "v1.Container", "v1.EphemeralContainer":
		if text(d["imagePullPolicy"]) == "" {
			d = maps.Clone(d)
			d["imagePullPolicy"] = pullPolicy(text(d["image"]))
		}
	case "v1.ResourceRequirements", "v1.VolumeResourceRequirements":
		if limits, ok := d["limits"].(map[string]any); ok && t.name == "v1.ResourceRequirements" {
			d = maps.Clone(d)
			d["requests"] = filled(d["requests"], limits)
		}
	}
	return d
}

// beforeAdmission is a live Pod without the tolerations that the admission plugin
// DefaultTolerationSeconds adds to every pod which has none of its own for them, as
// it does by default. The arguments are not modified.
func beforeAdmission(t *Type, desired, liveObj map[string]any) map[string]any {
	if t.name != "v1.Pod" {
		return liveObj
	}
	spec, _ := liveObj["spec"].(map[string]any)
	wanted, _ := desired["spec"].(map[string]any)
	list, _ := spec["tolerations"].([]any)
	mine, _ := wanted["tolerations"].([]any)
	at := len(mine)
	for _, key := range []string{"node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"} {
		if tolerates(mine, key) {
			continue
		}
		if at >= len(list) || !reflect.DeepEqual(list[at], map[string]any{"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": int64(300)}) {
			return liveObj
		}
		at++
	}
	if at != len(list) || at == len(mine) {
		return liveObj
	}
	liveObj, spec = maps.Clone(liveObj), maps.Clone(spec)
	spec["tolerations"] = list[:len(mine)]
	liveObj["spec"] = spec
	return liveObj
}

func tolerates(tolerations []any, key string) bool {
	return slices.ContainsFunc(tolerations, func(e any) bool {
		m, _ := e.(map[string]any)
		k, effect := text(m["key"]), text(m["effect"])
		return (k == key || k == "") && (effect == "NoExecute" || effect == "")
	})
}

// filled is a map with the keys of others that it lacks.
func filled(v any, from any) any {
	m, _ := v.(map[string]any)
	more, _ := from.(map[string]any)
	if len(more) == 0 {
		return v
	}
	out := maps.Clone(more)
	maps.Copy(out, m)
	return out
}

// pullPolicy is Always for images without a tag or with the tag latest.
func pullPolicy(image string) string {
	name, _, digest := strings.Cut(image, "@")
	if digest {
		return "IfNotPresent"
	}
	name = name[strings.LastIndexByte(name, '/')+1:]
	_, tag, tagged := strings.Cut(name, ":")
	if !tagged || tag == "latest" {
		return "Always"
	}
	return "IfNotPresent"
}
