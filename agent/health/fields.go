package health

import "encoding/json"

// Readers of decoded JSON. A missing field, or one of another type, is the zero
// value: an object that is not shaped as expected is judged by what is there.

func at(obj map[string]any, path ...string) any {
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
	s, _ := at(obj, path...).(string)
	return s
}

func boolean(obj map[string]any, path ...string) bool {
	b, _ := at(obj, path...).(bool)
	return b
}

func list(obj map[string]any, path ...string) []any {
	l, _ := at(obj, path...).([]any)
	return l
}

// objects are the elements that are objects.
func objects(obj map[string]any, path ...string) (out []map[string]any) {
	for _, v := range list(obj, path...) {
		if m, ok := v.(map[string]any); ok {
			out = append(out, m)
		}
	}
	return out
}

func integer(obj map[string]any, path ...string) int64 {
	n, _ := integerOK(obj, path...)
	return n
}

// integerOK also says whether the field is there.
func integerOK(obj map[string]any, path ...string) (int64, bool) {
	switch n := at(obj, path...).(type) {
	case int64:
		return n, true
	case int:
		return int64(n), true
	case int32:
		return int64(n), true
	case float64:
		return int64(n), true
	case json.Number:
		i, err := n.Int64()
		return i, err == nil
	}
	return 0, false
}

// condition is one of status.conditions.
type condition struct{ status, reason, message string }

func (c condition) is(status string) bool { return c.status == status }

// text returns the message, or else the reason.
func (c condition) text() string {
	if c.message != "" {
		return c.message
	}
	return c.reason
}

// conditionOf returns the condition of a type; one that is missing has no
// status.
func conditionOf(obj map[string]any, typ string) condition {
	for _, c := range objects(obj, "status", "conditions") {
		if str(c, "type") == typ {
			return condition{status: str(c, "status"), reason: str(c, "reason"), message: str(c, "message")}
		}
	}
	return condition{}
}

// observed reports whether the controller has seen the current generation.
func observed(obj map[string]any) bool {
	return integer(obj, "status", "observedGeneration") >= integer(obj, "metadata", "generation")
}
