package scenarios

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// condition is PATH=VALUE, PATH!=VALUE, PATH~REGEXP, present or absent.
type condition struct {
	text    string
	path    []string
	op      string
	value   string
	pattern *regexp.Regexp
}

func parseConditions(words []string) ([]condition, error) {
	if len(words) == 0 {
		return nil, fmt.Errorf("a condition is missing")
	}
	var all []condition
	for _, w := range words {
		c, err := parseCondition(w)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}

func parseCondition(text string) (condition, error) {
	c := condition{text: text}
	if text == "present" || text == "absent" {
		c.op = text
		return c, nil
	}
	path, rest, err := parsePath(text)
	if err != nil {
		return c, err
	}
	c.path = path
	for _, op := range []string{"!=", "=", "~"} {
		if value, ok := strings.CutPrefix(rest, op); ok {
			c.op, c.value = op, value
			if op == "~" {
				c.pattern, err = regexp.Compile(value)
			}
			return c, err
		}
	}
	return c, fmt.Errorf("%q is no condition: after the path comes =, != or ~", text)
}

// parsePath reads .a.b[0].c[x.y/z] and returns what follows it.
func parsePath(s string) (path []string, rest string, err error) {
	for s != "" {
		switch s[0] {
		case '.':
			end := strings.IndexAny(s[1:], ".[=!~")
			if end < 0 {
				end = len(s) - 1
			}
			if end == 0 {
				return nil, "", fmt.Errorf("an empty name in the path before %q", s)
			}
			path, s = append(path, s[1:end+1]), s[end+1:]
		case '[':
			end := strings.IndexByte(s, ']')
			if end < 2 {
				return nil, "", fmt.Errorf("%q: a [ without its ]", s)
			}
			path, s = append(path, s[1:end]), s[end+1:]
		case '=', '!', '~':
			if path == nil {
				return nil, "", fmt.Errorf("%q begins without a path", s)
			}
			return path, s, nil
		default:
			return nil, "", fmt.Errorf("%q: a path begins with a point", s)
		}
	}
	return path, "", nil
}

// lookup follows a path; what is not there is nil.
func lookup(v any, path []string) any {
	for _, key := range path {
		switch x := v.(type) {
		case map[string]any:
			v = x[key]
		case []any:
			i, err := strconv.Atoi(key)
			if err != nil || i < 0 || i >= len(x) {
				return nil
			}
			v = x[i]
		default:
			return nil
		}
	}
	return v
}

// text is a value as conditions see it: strings bare, the rest as JSON.
func text(v any) string {
	switch x := v.(type) {
	case nil:
		return ""
	case string:
		return x
	}
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}

// holds tells whether the object, nil when there is none, is so.
func (c condition) holds(object map[string]any) bool {
	switch c.op {
	case "present":
		return object != nil
	case "absent":
		return object == nil
	}
	if object == nil {
		return false
	}
	got := text(lookup(object, c.path))
	switch c.op {
	case "=":
		return got == c.value
	case "!=":
		return got != c.value
	}
	return c.pattern.MatchString(got)
}

// unmet names what does not hold, "" when all does.
func unmet(conditions []condition, object map[string]any) string {
	var missing []string
	for _, c := range conditions {
		if c.holds(object) {
			continue
		}
		if object == nil {
			missing = append(missing, c.text+" (there is no object)")
		} else {
			missing = append(missing, fmt.Sprintf("%s (it is %.300q)", c.text, text(lookup(object, c.path))))
		}
	}
	return strings.Join(missing, ", ")
}

func TestConditions(t *testing.T) {
	object := map[string]any{
		"spec":     map[string]any{"replicas": 2.0, "ports": []any{map[string]any{"port": 80.0}}},
		"metadata": map[string]any{"annotations": map[string]any{"a.b/c": "x=y"}, "name": "web"},
	}
	for _, c := range []struct {
		condition string
		want      bool
	}{
		{".metadata.name=web", true},
		{".metadata.name=we", false},
		{".metadata.name!=web", false},
		{".metadata.name~^w", true},
		{".metadata.name~^e", false},
		{".spec.replicas=2", true},
		{".spec.ports[0].port=80", true},
		{".spec.ports[1].port=", true},
		{".spec.ports[1].port!=", false},
		{".metadata.annotations[a.b/c]=x=y", true},
		{".metadata.name.deeper=", true},
		{".spec.ports~80", true},
		{"present", true},
		{"absent", false},
	} {
		parsed, err := parseCondition(c.condition)
		if err != nil {
			t.Errorf("%s: %v", c.condition, err)
			continue
		}
		if got := parsed.holds(object); got != c.want {
			t.Errorf("%s: got %v", c.condition, got)
		}
		if got := parsed.holds(nil); got != (c.condition == "absent") {
			t.Errorf("%s without an object: got %v", c.condition, got)
		}
	}
	for _, bad := range []string{"", "name=web", ".name", "..name=x", ".a[b=x", "=x", ".a~["} {
		if _, err := parseCondition(bad); err == nil {
			t.Errorf("%q was taken as a condition", bad)
		}
	}
}
