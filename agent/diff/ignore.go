package diff

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/itchyny/gojq"

	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/shared/model"
)

// jqLimit bounds one jq rule on one object.
const jqLimit = time.Second

// rulesFor selects the rules that apply to the object. Group and kind may be
// "*"; an empty name or namespace matches any.
func rulesFor(rules []model.IgnoreDifferences, obj map[string]any) []model.IgnoreDifferences {
	if len(rules) == 0 {
		return nil
	}
	group, _, found := strings.Cut(text(obj["apiVersion"]), "/")
	if !found {
		group = ""
	}
	meta, _ := obj["metadata"].(map[string]any)
	var out []model.IgnoreDifferences
	for _, r := range rules {
		if (r.Group == group || r.Group == "*") && (r.Kind == text(obj["kind"]) || r.Kind == "*") &&
			(r.Name == "" || r.Name == text(meta["name"])) && (r.Namespace == "" || r.Namespace == text(meta["namespace"])) {
			out = append(out, r)
		}
	}
	return out
}

func managerBits(managers []live.FieldManager, rules []model.IgnoreDifferences) bits {
	var b bits
	for _, r := range rules {
		for i, m := range managers {
			if i < maxManagers && slices.Contains(r.ManagedFieldsManagers, m.Manager) {
				b |= 1 << i
			}
		}
	}
	return b
}

// removeIgnored takes the ignored fields out of copies of both sides. A rule
// that cannot be evaluated is reported and has no effect.
func removeIgnored(rules []model.IgnoreDifferences, desired, liveObj map[string]any) (map[string]any, map[string]any, []string) {
	var problems []string
	copied := false
	for _, r := range rules {
		if len(r.JSONPointers)+len(r.JQPathExpressions) == 0 {
			continue
		}
		if !copied {
			desired = deepCopy(desired).(map[string]any)
			liveObj = deepCopy(liveObj).(map[string]any)
			copied = true
		}
		for _, ptr := range r.JSONPointers {
			segs, ok := pointer(ptr)
			if !ok {
				problems = append(problems, fmt.Sprintf("ignoreDifferences: %q is not a JSON pointer to a field; it must begin with \"/\"", ptr))
				continue
			}
			removePointer(desired, segs)
			removePointer(liveObj, segs)
		}
		for _, expr := range r.JQPathExpressions {
			d, err := jqDelete(expr, desired)
			if err == nil {
				var l map[string]any
				if l, err = jqDelete(expr, liveObj); err == nil {
					desired, liveObj = d, l
				}
			}
			if err != nil {
				problems = append(problems, fmt.Sprintf("ignoreDifferences: the jq expression %q was not evaluated: %v", cut(expr, 100), cut(err.Error(), 120)))
			}
		}
	}
	return desired, liveObj, problems
}

func pointer(s string) ([]string, bool) {
	if len(s) < 2 || s[0] != '/' {
		return nil, false
	}
	segs := strings.Split(s[1:], "/")
	for i, g := range segs {
		segs[i] = strings.ReplaceAll(strings.ReplaceAll(g, "~1", "/"), "~0", "~")
	}
	return segs, true
}

// removePointer removes the field; what does not exist is no error.
func removePointer(v any, segs []string) any {
	switch t := v.(type) {
	case map[string]any:
		e, ok := t[segs[0]]
		if !ok {
			return v
		}
		if len(segs) == 1 {
			delete(t, segs[0])
			return v
		}
		t[segs[0]] = removePointer(e, segs[1:])
	case []any:
		i, err := strconv.Atoi(segs[0])
		if err != nil || i < 0 || i >= len(t) {
			return v
		}
		if len(segs) == 1 {
			return slices.Delete(t, i, i+1)
		}
		t[i] = removePointer(t[i], segs[1:])
	}
	return v
}

func jqDelete(expr string, obj map[string]any) (map[string]any, error) {
	q, err := gojq.Parse("del(" + expr + ")")
	if err != nil {
		return nil, err
	}
	// Without an environment loader there is no $ENV; without a module loader
	// nothing is imported.
	code, err := gojq.Compile(q, gojq.WithEnvironLoader(func() []string { return nil }))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), jqLimit)
	defer cancel()
	out, ok := code.RunWithContext(ctx, jqValue(obj)).Next()
	if !ok {
		return nil, fmt.Errorf("it yields nothing")
	}
	if err, ok := out.(error); ok {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("it took longer than %s", jqLimit)
		}
		return nil, err
	}
	m, ok := backFromJQ(out).(map[string]any)
	if !ok {
		return nil, fmt.Errorf("it does not yield an object")
	}
	return m, nil
}

// jqValue copies v with the integer type that gojq knows.
func jqValue(v any) any {
	switch t := v.(type) {
	case map[string]any:
		m := make(map[string]any, len(t))
		for k, e := range t {
			m[k] = jqValue(e)
		}
		return m
	case []any:
		l := make([]any, len(t))
		for i, e := range t {
			l[i] = jqValue(e)
		}
		return l
	case int64:
		return int(t)
	}
	return v
}

func backFromJQ(v any) any {
	switch t := v.(type) {
	case map[string]any:
		for k, e := range t {
			t[k] = backFromJQ(e)
		}
	case []any:
		for i, e := range t {
			t[i] = backFromJQ(e)
		}
	case int:
		return int64(t)
	}
	return v
}

func deepCopy(v any) any {
	switch t := v.(type) {
	case map[string]any:
		m := make(map[string]any, len(t))
		for k, e := range t {
			m[k] = deepCopy(e)
		}
		return m
	case []any:
		l := make([]any, len(t))
		for i, e := range t {
			l[i] = deepCopy(e)
		}
		return l
	}
	return v
}

// Respect returns desired with the ignored fields as they are live, as the sync
// option RespectIgnoreDifferences asks: applying it leaves them alone. Fields
// that are ignored by their manager keep their live value, too. The arguments
// are not modified. Rules that cannot be evaluated have no effect.
func Respect(desired map[string]any, liveBody []byte, managers []live.FieldManager, rules []model.IgnoreDifferences) map[string]any {
	rules = rulesFor(rules, desired)
	if len(rules) == 0 {
		return desired
	}
	liveObj, err := Decode(liveBody)
	if err != nil {
		return desired
	}
	out := deepCopy(desired).(map[string]any)
	for _, r := range rules {
		for _, ptr := range r.JSONPointers {
			if segs, ok := pointer(ptr); ok {
				keepLive(out, liveObj, segs)
			}
		}
		for _, expr := range r.JQPathExpressions {
			for _, segs := range jqPaths(expr, out) {
				keepLive(out, liveObj, segs)
			}
		}
	}
	if ignored := managerBits(managers, rules); ignored != 0 {
		tree, _ := parseManagers(managers)
		keepManaged(out, liveObj, tree, ignored)
	}
	return out
}

// keepLive copies the live value of a field that desired sets, or takes the
// field out when it does not exist live. A field that desired does not set is
// left out, as ever.
func keepLive(d, l any, segs []string) {
	for i, g := range segs {
		last := i == len(segs)-1
		switch t := d.(type) {
		case map[string]any:
			if _, set := t[g]; !set {
				return
			}
			lm, _ := l.(map[string]any)
			lv, has := lm[g]
			if last {
				if has {
					t[g] = deepCopy(lv)
				} else {
					delete(t, g)
				}
				return
			}
			d, l = t[g], lv
		case []any:
			n, err := strconv.Atoi(g)
			ll, ok := l.([]any)
			if err != nil || !ok || n < 0 || n >= len(t) || n >= len(ll) {
				return
			}
			if last {
				t[n] = deepCopy(ll[n])
				return
			}
			d, l = t[n], ll[n]
		default:
			return
		}
	}
}

// jqPaths are the paths that a jq path expression selects in obj.
func jqPaths(expr string, obj map[string]any) [][]string {
	q, err := gojq.Parse("[path(" + expr + ")]")
	if err != nil {
		return nil
	}
	code, err := gojq.Compile(q, gojq.WithEnvironLoader(func() []string { return nil }))
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), jqLimit)
	defer cancel()
	out, _ := code.RunWithContext(ctx, jqValue(obj)).Next()
	list, _ := out.([]any)
	var paths [][]string
	for _, p := range list {
		steps, ok := p.([]any)
		if !ok || len(steps) == 0 {
			continue
		}
		segs := make([]string, len(steps))
		for i, s := range steps {
			segs[i] = fmt.Sprint(s)
		}
		paths = append(paths, segs)
	}
	return paths
}

// keepManaged does for map fields what keepLive does, for those that one of the
// managers owns.
func keepManaged(d, l map[string]any, node *fieldNode, ignored bits) {
	for k, child := range node.children {
		name, ok := strings.CutPrefix(k, "f:")
		if !ok {
			continue
		}
		dv, set := d[name]
		lv, has := l[name]
		if !set || !has {
			continue
		}
		if child.owners&ignored != 0 && len(child.children) == 0 {
			d[name] = deepCopy(lv)
			continue
		}
		dm, ok1 := dv.(map[string]any)
		lm, ok2 := lv.(map[string]any)
		if ok1 && ok2 {
			keepManaged(dm, lm, child, ignored)
		}
	}
}
