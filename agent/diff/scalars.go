package diff

import (
	"encoding/base64"
	"encoding/json"
	"reflect"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
)

// equalScalar compares two values that are not both maps and not both lists, as
// the type means them.
func equalScalar(t *Type, d, l any) bool {
	if sameScalar(d, l) {
		return true
	}
	switch t.shape {
	case shapeQuantity:
		return equalQuantity(d, l)
	case shapeTime:
		return equalTime(d, l, time.Second)
	case shapeMicroTime:
		return equalTime(d, l, time.Microsecond)
	case shapeDuration:
		return equalDuration(d, l)
	case shapeBytes:
		return equalBytes(d, l)
	}
	return false
}

// sameScalar compares values as they are; only numbers may be written in several
// ways.
func sameScalar(a, b any) bool {
	switch x := a.(type) {
	case string:
		y, ok := b.(string)
		return ok && x == y
	case bool:
		y, ok := b.(bool)
		return ok && x == y
	case int64:
		if y, ok := b.(int64); ok {
			return x == y
		}
	case nil:
		return b == nil
	}
	if x, ok := number(a); ok {
		y, ok := number(b)
		return ok && x == y
	}
	return reflect.DeepEqual(a, b)
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

// equalDuration compares Go durations, which the server writes in its own way.
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

// equalTime compares times, which the server stores in UTC and in whole units.
func equalTime(d, l any, unit time.Duration) bool {
	ds, ok1 := d.(string)
	ls, ok2 := l.(string)
	if !ok1 || !ok2 {
		return false
	}
	a, err1 := time.Parse(time.RFC3339Nano, ds)
	b, err2 := time.Parse(time.RFC3339Nano, ls)
	return err1 == nil && err2 == nil && a.Truncate(unit).Equal(b.Truncate(unit))
}

// equalBytes compares base64, in which line breaks do not count.
func equalBytes(d, l any) bool {
	ds, ok1 := d.(string)
	ls, ok2 := l.(string)
	if !ok1 || !ok2 {
		return false
	}
	a, err1 := base64.StdEncoding.DecodeString(ds)
	b, err2 := base64.StdEncoding.DecodeString(ls)
	return err1 == nil && err2 == nil && string(a) == string(b)
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

// isZero reports whether the server takes the value of a field without presence
// for absent.
func isZero(t *Type, v any) bool {
	switch x := v.(type) {
	case nil:
		return true
	case string:
		if t != nil && t.shape == shapeQuantity {
			q, ok := quantity(x)
			return ok && q.IsZero()
		}
		return x == ""
	case bool:
		return !x
	case int64:
		return x == 0
	case float64:
		return x == 0
	case []any:
		return len(x) == 0
	case map[string]any:
		if t == nil || t.shape != shapeStruct {
			return len(x) == 0
		}
		for k, e := range x {
			f, _ := t.field(k)
			if f.presence && e != nil || !isZero(f.typ, e) {
				return false
			}
		}
		return true
	}
	return false
}

// zeroOf is the zero of the server's own types.
func zeroOf(t *Type) any {
	switch t.shape {
	case shapeStruct, shapeMap:
		return map[string]any{}
	case shapeList:
		return []any{}
	case shapeQuantity:
		return "0"
	}
	return ""
}

func isEmpty(v any) bool {
	switch t := v.(type) {
	case nil:
		return true
	case map[string]any:
		return len(t) == 0
	case []any:
		return len(t) == 0
	}
	return false
}
