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
