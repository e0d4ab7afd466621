package action

import (
	"reflect"
)

// clone is a deep copy of decoded JSON.
func clone(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, item := range v {
			out[k] = clone(item)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = clone(item)
		}
		return out
	}
	return v
}

// equal compares decoded JSON; a missing value equals null.
func equal(a, b any) bool { return reflect.DeepEqual(a, b) }

// get is the value at a path of maps, nil when there is none.
func get(obj map[string]any, path ...string) any {
	var v any = obj
	for _, p := range path {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[p]
	}
	return v
}

func str(obj map[string]any, path ...string) string {
	s, _ := get(obj, path...).(string)
	return s
}

func boolean(obj map[string]any, path ...string) bool {
	b, _ := get(obj, path...).(bool)
	return b
}

func list(obj map[string]any, path ...string) []any {
	l, _ := get(obj, path...).([]any)
	return l
}

// integer is a whole number at a path.
func integer(obj map[string]any, path ...string) (int64, bool) {
	switch n := get(obj, path...).(type) {
	case int64:
		return n, true
	case int:
		return int64(n), true
	case float64:
		return int64(n), n == float64(int64(n))
	}
	return 0, false
}

// set puts a value at a path; maps on the way are made, and what is no map
// there is replaced by one.
func set(obj map[string]any, v any, path ...string) {
	for _, p := range path[:len(path)-1] {
		m, ok := obj[p].(map[string]any)
		if !ok {
			m = map[string]any{}
			obj[p] = m
		}
		obj = m
	}
	obj[path[len(path)-1]] = v
}

// remove deletes the value at a path.
func remove(obj map[string]any, path ...string) {
	m, ok := get(obj, path[:len(path)-1]...).(map[string]any)
	if ok {
		delete(m, path[len(path)-1])
	}
}

func annotation(obj map[string]any, name string) string {
	return str(obj, "metadata", "annotations", name)
}
