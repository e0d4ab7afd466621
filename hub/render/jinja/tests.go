package jinja

import (
	"fmt"
	"maps"
	"slices"
	"unicode"
)

// test is what "is" asks. n is how many arguments it has.
type test struct {
	n   int
	run func(m *machine, v any, p []any) (bool, error)
}

var tests map[string]test

var noTests = map[string]string{
	"escaped": "nothing is escaped here", "match": "use \"in\" or .startswith(…)", "search": "use \"in\"", "regex": "use \"in\"",
	"contains": "write b in a", "startswith": "write a.startswith(b)", "endswith": "write a.endswith(b)", "empty": "write a|length == 0", "null": "write is none", "truthy": "write the value alone", "falsy": "write not and the value",
	"version": "compare the parts", "subset": "compare with |select", "superset": "compare with |select",
}

func knownTest(name string) *unknownName {
	if _, ok := tests[name]; ok {
		return nil
	}
	if instead, ok := noTests[name]; ok {
		return &unknownName{codeUnsupported, fmt.Sprintf("test %q is not supported: %s", name, instead)}
	}
	return unknown("test", name, slices.Sorted(maps.Keys(tests)))
}

// test asks one test. A value that is undefined is only asked what it is.
func (m *machine) test(name string, v any, a *args) (bool, error) {
	if unknown := knownTest(name); unknown != nil {
		return false, m.problem(unknown.code, "%s", unknown.text)
	}
	t := tests[name]
	if len(a.pos) != t.n || len(a.names) > 0 {
		return false, m.fail("test %q takes %d arguments, and got %d", name, t.n, len(a.pos)+len(a.names))
	}
	for _, p := range a.pos {
		if err := m.defined(p); err != nil {
			return false, err
		}
	}
	return t.run(m, v, a.pos)
}

// kindOf is a test of what a value is.
func kindOf(f func(v any) bool) test {
	return test{run: func(_ *machine, v any, _ []any) (bool, error) { return f(v), nil }}
}

func comparing(op string) test {
	return test{n: 1, run: func(m *machine, v any, p []any) (bool, error) {
		if err := m.defined(v); err != nil {
			return false, err
		}
		return m.compared(op, v, p[0])
	}}
}

func casing(upper bool) test {
	return test{run: func(m *machine, v any, _ []any) (bool, error) {
		s, err := m.text(v)
		return cased(s, upper), err
	}}
}

// cased is str.isupper() or str.islower(): letters, and all of that case.
func cased(s string, upper bool) bool {
	letters := false
	for _, r := range s {
		switch {
		case unicode.IsUpper(r) || unicode.IsTitle(r):
			if !upper {
				return false
			}
			letters = true
		case unicode.IsLower(r):
			if upper {
				return false
			}
			letters = true
		}
	}
	return letters
}

func divisible(m *machine, v any, by int64) (bool, error) {
	i, _, isInt, ok := number(v)
	if err := m.defined(v); err != nil {
		return false, err
	}
	if !ok || !isInt {
		return false, m.fail("an integer is needed, not %s", typeName(v))
	}
	r, err := m.integers("%", i, by)
	if err != nil {
		return false, err
	}
	return r == int64(0), nil
}

func isUndefined(v any) bool { _, not := v.(*undefined); return not }

func init() {
	eq, ne, lt, le, gt, ge := comparing("=="), comparing("!="), comparing("<"), comparing("<="), comparing(">"), comparing(">=")
	tests = map[string]test{
		"defined":   kindOf(func(v any) bool { return !isUndefined(v) }),
		"undefined": kindOf(isUndefined),
		"none":      kindOf(func(v any) bool { return v == nil }),
		"boolean":   kindOf(func(v any) bool { _, ok := v.(bool); return ok }),
		"true":      kindOf(func(v any) bool { return v == true }),
		"false":     kindOf(func(v any) bool { return v == false }),
		"integer":   kindOf(func(v any) bool { _, ok := v.(int64); return ok }),
		"float":     kindOf(func(v any) bool { _, ok := v.(float64); return ok }),
		"number":    kindOf(func(v any) bool { _, _, _, ok := number(v); return ok }),
		"string":    kindOf(func(v any) bool { _, ok := v.(string); return ok }),
		"mapping":   kindOf(func(v any) bool { _, ok := v.(*dict); return ok }),
		"callable": kindOf(func(v any) bool {
			switch v.(type) {
			case *function, *macro, *loop:
				return true
			}
			return false
		}),
		"sequence": {run: func(m *machine, v any, _ []any) (bool, error) {
			switch v := v.(type) {
			case string, *dict:
				return true, nil
			case *list:
				return v.kind == kindList || v.kind == kindRange || isTuple(v), nil
			}
			return false, nil
		}},
		"iterable": {run: func(m *machine, v any, _ []any) (bool, error) {
			switch v.(type) {
			case string, *list, *dict:
				return true, nil
			}
			return false, m.defined(v)
		}},
		"sameas": {n: 1, run: func(_ *machine, v any, p []any) (bool, error) {
			switch v.(type) {
			case int64, float64, string, bool, nil:
				return fmt.Sprintf("%T", v) == fmt.Sprintf("%T", p[0]) && v == p[0], nil
			}
			return v == p[0], nil
		}},
		"odd": {run: func(m *machine, v any, _ []any) (bool, error) {
			even, err := divisible(m, v, 2)
			return !even, err
		}},
		"even": {run: func(m *machine, v any, _ []any) (bool, error) { return divisible(m, v, 2) }},
		"divisibleby": {n: 1, run: func(m *machine, v any, p []any) (bool, error) {
			by, err := m.intArg(p[0], 0)
			if err != nil {
				return false, err
			}
			return divisible(m, v, by)
		}},
		"lower": casing(false), "upper": casing(true),
		"in": comparing("in"),
		"eq": eq, "equalto": eq, "==": eq, "ne": ne, "!=": ne, "lt": lt, "lessthan": lt, "<": lt, "le": le, "<=": le,
		"gt": gt, "greaterthan": gt, ">": gt, "ge": ge, ">=": ge,
		"filter": {run: func(_ *machine, v any, _ []any) (bool, error) {
			s, _ := v.(string)
			_, ok := filters[s]
			return ok, nil
		}},
		"test": {run: func(_ *machine, v any, _ []any) (bool, error) {
			s, _ := v.(string)
			_, ok := tests[s]
			return ok, nil
		}},
	}
}
