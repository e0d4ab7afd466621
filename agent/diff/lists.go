package diff

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// mergeKeys are the lists of built-in kinds whose elements are found by key.
// "ports" is decided by its elements, see portKeys. Lists that are neither here
// nor in a manager's field set, and whose elements do not all carry a unique
// name, are compared as a whole.
var mergeKeys = map[string][]string{
	"containers":                {"name"},
	"initContainers":            {"name"},
	"ephemeralContainers":       {"name"},
	"env":                       {"name"},
	"volumes":                   {"name"},
	"volumeMounts":              {"mountPath"},
	"volumeDevices":             {"devicePath"},
	"imagePullSecrets":          {"name"},
	"secrets":                   {"name"},
	"hostAliases":               {"ip"},
	"topologySpreadConstraints": {"topologyKey", "whenUnsatisfiable"},
	"conditions":                {"type"},
	"ownerReferences":           {"uid"},
	"webhooks":                  {"name"},
	"resourceClaims":            {"name"},
	"schedulingGates":           {"name"},
	"podIPs":                    {"ip"},
}

// atomicLists are replaced as a whole although their elements carry names.
var atomicLists = map[string]bool{
	"tolerations": true, "rules": true, "subjects": true, "envFrom": true, "command": true, "args": true,
	"versions": true, "items": true, "accessModes": true, "paths": true, "tls": true, "metrics": true,
	"additionalPrinterColumns": true, "matchExpressions": true, "sources": true, "ingress": true, "egress": true,
}

// setLists hold scalars in no order.
var setLists = map[string]bool{"finalizers": true}

type listKind int

const (
	listAtomic listKind = iota
	listByKey
	listSet
)

// kindOfList decides how a list is merged. Field sets of managers tell it best,
// because the API server wrote them by its schema; the tables serve when nobody
// is recorded.
func kindOfList(name string, d, l []any, node *fieldNode) (listKind, []string) {
	if node != nil {
		for k := range node.children {
			switch {
			case strings.HasPrefix(k, "k:"):
				var key map[string]any
				if json.Unmarshal([]byte(k[2:]), &key) == nil && len(key) > 0 {
					return keyed(sortedKeys(key), d, l)
				}
			case strings.HasPrefix(k, "v:"):
				return listSet, nil
			}
		}
		if len(node.children) == 0 && node.owners != 0 {
			return listAtomic, nil
		}
	}
	if setLists[name] {
		return listSet, nil
	}
	if atomicLists[name] {
		return listAtomic, nil
	}
	if name == "ports" {
		if keys := portKeys(d); keys != nil {
			return keyed(keys, d, l)
		}
	}
	if keys := mergeKeys[name]; keys != nil {
		return keyed(keys, d, l)
	}
	return keyed([]string{"name"}, d, l)
}

func portKeys(d []any) []string {
	for _, e := range d {
		m, _ := e.(map[string]any)
		if _, ok := m["containerPort"]; ok {
			return []string{"containerPort", "protocol"}
		}
		if _, ok := m["port"]; ok {
			return []string{"port", "protocol"}
		}
	}
	return nil
}

// keyed is listByKey when both lists can be addressed by the keys, that is when
// all elements have them and none appears twice.
func keyed(keys []string, d, l []any) (listKind, []string) {
	for _, list := range [][]any{d, l} {
		seen := make(map[string]bool, len(list))
		for _, e := range list {
			id, ok := elementKey(e, keys)
			if !ok || seen[id] {
				return listAtomic, nil
			}
			seen[id] = true
		}
	}
	return listByKey, keys
}

// keyDefaults are values that the server fills into key fields.
var keyDefaults = map[string]any{"protocol": "TCP"}

// elementKey is the identity of a list element, as it is shown: "name=web".
func elementKey(e any, keys []string) (string, bool) {
	m, ok := e.(map[string]any)
	if !ok {
		return "", false
	}
	parts := make([]string, 0, len(keys))
	found := false
	for _, k := range keys {
		v, has := m[k]
		if has {
			found = true
		} else if def, ok := keyDefaults[k]; ok {
			v = def
		} else if len(keys) == 1 {
			return "", false
		} else {
			continue // optional part of the key
		}
		switch v.(type) {
		case map[string]any, []any, nil:
			return "", false
		}
		parts = append(parts, fmt.Sprintf("%s=%v", k, v))
	}
	return strings.Join(parts, ","), found
}

func (c *comparer) list(p path, d, l []any, node *fieldNode) {
	kind, keys := kindOfList(p[len(p)-1].field, d, l, node)
	switch kind {
	case listSet:
		c.set(p, d, l, node)
	case listByKey:
		c.keyedList(p, d, l, keys, node)
	default:
		c.atomicList(p, d, l, node)
	}
}

func (c *comparer) set(p path, d, l []any, node *fieldNode) {
	for _, v := range d {
		if !slices.ContainsFunc(l, func(o any) bool { return sameScalar(v, o) }) {
			c.report(p.with(step{key: fmt.Sprint(v)}), v, nil, true, false, nil)
		}
	}
	if node == nil {
		return
	}
	for _, k := range sortedNodeKeys(node.children) {
		if v, s, ok := findElement(l, k); ok && !slices.ContainsFunc(d, func(o any) bool { return sameScalar(v, o) }) {
			c.removed(p.with(s), v, node.children[k])
		}
	}
}

func (c *comparer) keyedList(p path, d, l []any, keys []string, node *fieldNode) {
	liveByKey := make(map[string]any, len(l))
	for _, e := range l {
		id, _ := elementKey(e, keys)
		liveByKey[id] = e
	}
	nodes := map[string]*fieldNode{}
	if node != nil {
		for k, n := range node.children {
			if raw, ok := strings.CutPrefix(k, "k:"); ok {
				var m map[string]any
				if json.Unmarshal([]byte(raw), &m) == nil {
					if id, ok := elementKey(m, keys); ok {
						nodes[id] = n
					}
				}
			}
		}
	}
	wanted := make(map[string]bool, len(d))
	for _, e := range d {
		id, _ := elementKey(e, keys)
		wanted[id] = true
		lv, has := liveByKey[id]
		c.value(p.with(step{key: id}), e, lv, has, nodes[id])
	}
	for _, e := range l {
		if id, _ := elementKey(e, keys); !wanted[id] {
			c.removed(p.with(step{key: id}), e, nodes[id])
		}
	}
}

func (c *comparer) atomicList(p path, d, l []any, node *fieldNode) {
	if len(d) != len(l) {
		c.report(p, d, l, true, true, node)
		return
	}
	for i := range d {
		if isEmpty(d[i]) {
			continue
		}
		// Elements have no node of their own; they belong to who owns the list.
		before := len(c.found)
		c.value(p.with(step{isIdx: true, index: i}), d[i], l[i], true, nil)
		for j := before; j < len(c.found); j++ {
			if m := c.lastManager(node); m != nil && c.found[j].Manager == "" {
				at := m.Time
				c.found[j].Manager, c.found[j].ChangedAt = m.Manager, &at
			}
		}
	}
}

// findElement finds the element of l that a field set names by "k:{…}" or
// "v:…".
func findElement(l []any, key string) (any, step, bool) {
	raw, isKey := strings.CutPrefix(key, "k:")
	if isKey {
		var m map[string]any
		if json.Unmarshal([]byte(raw), &m) != nil || len(m) == 0 {
			return nil, step{}, false
		}
		keys := sortedKeys(m)
		want, ok := elementKey(m, keys)
		if !ok {
			return nil, step{}, false
		}
		for _, e := range l {
			if id, ok := elementKey(e, keys); ok && id == want {
				return e, step{key: id}, true
			}
		}
		return nil, step{}, false
	}
	if raw, ok := strings.CutPrefix(key, "v:"); ok {
		var v any
		if json.Unmarshal([]byte(raw), &v) != nil {
			return nil, step{}, false
		}
		for _, e := range l {
			if sameScalar(v, e) {
				return e, step{key: fmt.Sprint(e)}, true
			}
		}
	}
	return nil, step{}, false
}

func sameScalar(a, b any) bool {
	if x, ok := a.(int64); ok {
		if y, ok := b.(int64); ok {
			return x == y
		}
	}
	if x, ok := number(a); ok {
		y, ok := number(b)
		return ok && x == y
	}
	return reflect.DeepEqual(a, b)
}
