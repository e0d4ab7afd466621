package diff

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
)

// quantityParents are maps whose values are quantities.
var quantityParents = map[string]bool{
	"limits": true, "requests": true, "capacity": true, "allocatable": true, "hard": true, "used": true, "overhead": true,
	"podFixed": true, "max": true, "min": true, "default": true, "defaultRequest": true, "maxLimitRequestRatio": true,
}

// quantityFields are fields that are quantities by themselves.
var quantityFields = map[string]bool{
	"sizeLimit": true, "divisor": true, "averageValue": true, "cpu": true, "memory": true, "storage": true, "ephemeral-storage": true,
}

// equalScalar compares two values that are neither map nor list, or of which
// only the live one is.
func equalScalar(p path, d, l any) bool {
	switch l.(type) {
	case map[string]any, []any:
		return false
	}
	if a, ok := d.(int64); ok {
		if b, ok := l.(int64); ok {
			return a == b
		}
	}
	if x, ok := number(d); ok {
		if y, ok := number(l); ok {
			return x == y
		}
	} else if d == l {
		return true
	}
	last := p[len(p)-1].field
	if last == "" {
		return d == l
	}
	parent := ""
	if len(p) > 1 {
		parent = p[len(p)-2].field
	}
	if quantityParents[parent] || quantityFields[last] || last == "value" && parent == "target" {
		return equalQuantity(d, l)
	}
	if isDurationField(last) {
		return equalDuration(d, l)
	}
	return false
}

func equalQuantity(d, l any) bool {
	a, ok := quantity(d)
	if !ok {
		return false
	}
	b, ok := quantity(l)
	return ok && a.Cmp(b) == 0
}

// maxQuantityText bounds what is parsed: longer texts are no quantities.
const maxQuantityText = 64

func quantity(v any) (resource.Quantity, bool) {
	var s string
	switch t := v.(type) {
	case string:
		s = t
	case int64:
		s = strconv.FormatInt(t, 10)
	case float64:
		s = strconv.FormatFloat(t, 'f', -1, 64)
	default:
		return resource.Quantity{}, false
	}
	if s == "" || len(s) > maxQuantityText {
		return resource.Quantity{}, false
	}
	if i := strings.LastIndexAny(s, "eE"); i >= 0 && len(strings.TrimLeft(s[i+1:], "+-0")) > 2 {
		return resource.Quantity{}, false // 1e99999999 takes minutes to compare
	}
	q, err := resource.ParseQuantity(s)
	return q, err == nil
}

func isDurationField(name string) bool {
	n := strings.ToLower(name)
	for _, part := range []string{"duration", "timeout", "interval", "period", "renewbefore", "ttl", "delay"} {
		if strings.HasSuffix(n, part) {
			return true
		}
	}
	return false
}

func equalDuration(d, l any) bool {
	ds, ok1 := d.(string)
	ls, ok2 := l.(string)
	if !ok1 || !ok2 {
		return false
	}
	a, err1 := time.ParseDuration(ds)
	b, err2 := time.ParseDuration(ls)
	return err1 == nil && err2 == nil && a == b
}

// number is v as a float. Integers beyond 2^53 lose digits; two integers are
// therefore compared as such before.
func number(v any) (float64, bool) {
	switch t := v.(type) {
	case int64:
		return float64(t), true
	case int:
		return float64(t), true
	case float64:
		return t, true
	case json.Number:
		f, err := t.Float64()
		return f, err == nil
	}
	return 0, false
}
