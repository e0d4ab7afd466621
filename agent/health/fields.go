package health

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
)

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
type condition struct {
	typ, status, reason, message string
	behind                       bool // about an older generation
}

func (c condition) is(status string) bool { return c.status == status }

// text returns the message, or else the reason.
func (c condition) text() string {
	if c.message != "" {
		return c.message
	}
	return c.reason
}

func readCondition(obj, c map[string]any) condition {
	return condition{typ: str(c, "type"), status: conditionStatus(c), reason: str(c, "reason"), message: str(c, "message"), behind: behind(obj, c)}
}

// conditionStatus: some write a boolean where the API wants a word.
func conditionStatus(c map[string]any) string {
	switch v := c["status"].(type) {
	case string:
		return v
	case bool:
		if v {
			return yes
		}
		return no
	}
	return ""
}

// conditions are status.conditions, in their order.
func conditions(obj map[string]any) []condition {
	return conditionsAt(obj, obj, "status", "conditions")
}

// conditionsAt are the conditions at a path of part, which belongs to obj.
func conditionsAt(obj, part map[string]any, path ...string) (out []condition) {
	for _, c := range objects(part, path...) {
		out = append(out, readCondition(obj, c))
	}
	return out
}

// conditionOf returns the condition of a type; one that is missing has no
// status.
func conditionOf(obj map[string]any, typ string) condition {
	for _, v := range list(obj, "status", "conditions") {
		if c, _ := v.(map[string]any); c != nil && str(c, "type") == typ {
			return readCondition(obj, c)
		}
	}
	return condition{}
}

// observed reports whether the controller has seen the current generation.
func observed(obj map[string]any) bool {
	return integer(obj, "status", "observedGeneration") >= integer(obj, "metadata", "generation")
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

// sortedKeys makes what is read of a map the same each time.
func sortedKeys(m map[string]any) []string {
	return slices.Sorted(maps.Keys(m))
}

// number reads a number that is written as one or as a string.
func number(v any) (int64, bool) {
	if s, is := v.(string); is {
		n, err := strconv.ParseInt(s, 10, 64)
		return n, err == nil
	}
	return integerOK(map[string]any{"v": v}, "v")
}
