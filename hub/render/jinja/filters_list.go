package jinja

import (
	"cmp"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// lowered is how values are compared when case does not matter.
func lowered(v any) any {
	if s, ok := v.(string); ok {
		return strings.ToLower(s)
	}
	return v
}

// getter reads an attribute path, such as "a.b.0", of items.
func (m *machine) getter(path, otherwise any) (func(any) (any, error), error) {
	if !given(path) {
		return func(v any) (any, error) { return v, nil }, nil
	}
	var parts []any
	switch p := path.(type) {
	case int64:
		parts = []any{p}
	case string:
		for s := range strings.SplitSeq(p, ".") {
			if i, err := strconv.ParseInt(s, 10, 64); err == nil && !strings.HasPrefix(s, "-") {
				parts = append(parts, i)
			} else {
				parts = append(parts, s)
			}
		}
	default:
		return nil, m.fail("an attribute is named by a string, not %s", typeName(path))
	}
	return func(v any) (any, error) {
		var at expr = &nameExpr{name: "item"}
		for _, part := range parts {
			if err := m.defined(v); err != nil {
				return nil, err
			}
			e := &itemExpr{of: at, index: &constExpr{part}}
			if name, ok := part.(string); ok {
				at = &attrExpr{of: at, name: name}
			} else {
				at = e
			}
			var err error
			if v, err = m.item(v, part, at); err != nil {
				return nil, err
			}
			if _, not := v.(*undefined); not && given(otherwise) {
				v = otherwise
			}
		}
		return v, nil
	}, nil
}

// keyed computes what items are ordered by: one attribute, or several with
// commas between them.
func (m *machine) keyed(items []any, attribute any, caseSensitive bool) ([]any, error) {
	var getters []func(any) (any, error)
	paths := []any{attribute}
	if s, ok := attribute.(string); ok && strings.Contains(s, ",") {
		paths = nil
		for part := range strings.SplitSeq(s, ",") {
			paths = append(paths, part)
		}
	}
	for _, p := range paths {
		g, err := m.getter(p, nil)
		if err != nil {
			return nil, err
		}
		getters = append(getters, g)
	}
	keys := make([]any, len(items))
	for i, item := range items {
		var key []any
		for _, g := range getters {
			v, err := g(item)
			if err == nil {
				err = m.defined(v)
			}
			if err != nil {
				return nil, err
			}
			if !caseSensitive {
				v = lowered(v)
			}
			key = append(key, v)
		}
		keys[i] = newTuple(key...)
		if len(key) == 1 {
			keys[i] = key[0]
		}
	}
	return keys, m.chargeItems(2 * len(items))
}

// sorted sorts items by keys; equal ones keep their order, also in reverse.
func (m *machine) sorted(items, keys []any, reverse bool) ([]any, error) {
	index := make([]int, len(items))
	for i := range index {
		index[i] = i
	}
	var failed error
	sort.SliceStable(index, func(a, b int) bool {
		if failed != nil {
			return false
		}
		c, err := m.compare(keys[index[a]], keys[index[b]], 0)
		if err != nil {
			failed = err
		}
		if reverse {
			return c > 0
		}
		return c < 0
	})
	out := make([]any, len(items))
	for i, at := range index {
		out[i] = items[at]
	}
	return out, failed
}

func length(m *machine, v any, _ []any) (any, error) {
	switch v := v.(type) {
	case string:
		return int64(runeLen(v)), nil
	case *dict:
		return int64(len(v.entries)), nil
	case *list:
		if v.kind != kindLazy {
			return int64(len(v.items)), nil
		}
		return nil, m.fail("a sequence that is not a list yet has no length: write |list|length")
	}
	return nil, m.fail("%s has no length", typeName(v))
}

func join(m *machine, v any, p []any) (any, error) {
	sep, err := m.textArg(p[0], "")
	if err != nil {
		return nil, err
	}
	items, err := m.iterate(v)
	if err != nil {
		return nil, err
	}
	get, err := m.getter(p[1], nil)
	if err != nil {
		return nil, err
	}
	w := &bounded{m: m}
	for i, item := range items {
		if err := m.step(); err != nil {
			return nil, err
		}
		if i > 0 {
			if _, err := w.WriteString(sep); err != nil {
				return nil, err
			}
		}
		value, err := get(item)
		if err != nil {
			return nil, err
		}
		s, err := m.text(value)
		if err != nil {
			return nil, err
		}
		if _, err := w.WriteString(s); err != nil {
			return nil, err
		}
	}
	return w.b.String(), m.charge(w.b.Len())
}

func unique(m *machine, v any, p []any) (any, error) {
	items, err := m.iterate(v)
	if err != nil {
		return nil, err
	}
	keys, err := m.keyed(items, p[1], boolArg(p[0], false))
	if err != nil {
		return nil, err
	}
	seen := map[any]bool{}
	var out []any
	for i, item := range items {
		h, err := hashed(keys[i])
		if err != nil {
			return nil, m.fail("unique compares strings and numbers, not %s: give it an attribute", typeName(keys[i]))
		}
		if !seen[h] {
			seen[h] = true
			out = append(out, item)
		}
	}
	return lazy(out), m.chargeItems(len(out))
}

func extreme(sign int) func(m *machine, v any, p []any) (any, error) {
	return func(m *machine, v any, p []any) (any, error) {
		items, err := m.iterate(v)
		if err != nil || len(items) == 0 {
			return &undefined{text: "there is no smallest or largest item: the list is empty"}, err
		}
		keys, err := m.keyed(items, p[1], boolArg(p[0], false))
		if err != nil {
			return nil, err
		}
		best := 0
		for i := range items {
			c, err := m.compare(keys[i], keys[best], 0)
			if err != nil {
				return nil, err
			}
			if c*sign > 0 {
				best = i
			}
		}
		return items[best], nil
	}
}

func sum(m *machine, v any, p []any) (any, error) {
	items, err := m.iterate(v)
	if err != nil {
		return nil, err
	}
	get, err := m.getter(p[0], nil)
	if err != nil {
		return nil, err
	}
	var total any = int64(0)
	if given(p[1]) {
		total = p[1]
	}
	for _, item := range items {
		value, err := get(item)
		if err == nil {
			err = m.defined(value)
		}
		if err != nil {
			return nil, err
		}
		if _, isText := value.(string); isText {
			return nil, m.fail("sum adds numbers, not strings: write |map(\"int\")|sum, or |join")
		}
		if total, err = m.arithmetic("+", total, value); err != nil {
			return nil, err
		}
		if err := m.step(); err != nil {
			return nil, err
		}
	}
	return total, nil
}

func batch(m *machine, v any, p []any) (any, error) {
	items, err := m.iterate(v)
	if err != nil {
		return nil, err
	}
	n, err := m.intArg(p[0], 1)
	if err != nil {
		return nil, err
	}
	if n < 1 || n > maxValue/16 {
		return nil, m.fail("batch needs a size of at least 1")
	}
	var out []any
	for part := range slices.Chunk(items, int(n)) {
		row := slices.Clone(part)
		for given(p[1]) && int64(len(row)) < n {
			row = append(row, p[1])
		}
		out = append(out, newList(row))
	}
	return lazy(out), m.chargeItems(2*len(items) + int(n))
}

func slice(m *machine, v any, p []any) (any, error) {
	items, err := m.iterate(v)
	if err != nil {
		return nil, err
	}
	n64, err := m.intArg(p[0], 1)
	if err != nil {
		return nil, err
	}
	if n64 < 1 || n64 > maxRange {
		return nil, m.fail("slice needs a number of slices of at least 1")
	}
	n := int(n64)
	per, extra := len(items)/n, len(items)%n
	var out []any
	at := 0
	for i := range n {
		size := per
		if i < extra {
			size++
		}
		row := slices.Clone(items[at : at+size])
		if given(p[1]) && i >= extra {
			row = append(row, p[1])
		}
		out = append(out, newList(row))
		at += size
	}
	return lazy(out), m.chargeItems(2*len(items) + 2*n)
}

// pairs are the items of a dict as tuples.
func (m *machine) pairs(d *dict) ([]any, error) {
	out := make([]any, len(d.entries))
	for i, e := range d.entries {
		out[i] = newTuple(e.key, e.value)
	}
	return out, m.chargeItems(4 * len(out))
}

func dictsort(m *machine, v any, p []any) (any, error) {
	d, ok := v.(*dict)
	if !ok {
		return nil, m.fail("dictsort needs a dict, not %s", typeName(v))
	}
	by, err := m.textArg(p[1], "key")
	if err != nil {
		return nil, err
	}
	if by != "key" && by != "value" {
		return nil, m.fail("dictsort sorts by \"key\" or \"value\"")
	}
	pairs, err := m.pairs(d)
	if err != nil {
		return nil, err
	}
	keys := make([]any, len(pairs))
	for i, e := range d.entries {
		keys[i] = e.key
		if by == "value" {
			keys[i] = e.value
		}
		if !boolArg(p[0], false) {
			keys[i] = lowered(keys[i])
		}
	}
	out, err := m.sorted(pairs, keys, boolArg(p[2], false))
	return newList(out), err
}

func groupby(m *machine, v any, p []any) (any, error) {
	items, err := m.iterate(v)
	if err != nil {
		return nil, err
	}
	get, err := m.getter(p[0], p[1])
	if err != nil {
		return nil, err
	}
	keys, plain := make([]any, len(items)), make([]any, len(items))
	for i, item := range items {
		k, err := get(item)
		if err == nil {
			err = m.defined(k)
		}
		if err != nil {
			return nil, err
		}
		plain[i], keys[i] = k, k
		if !boolArg(p[2], false) {
			keys[i] = lowered(k)
		}
	}
	index := make([]any, len(items))
	for i := range index {
		index[i] = int64(i)
	}
	if index, err = m.sorted(index, keys, false); err != nil {
		return nil, err
	}
	var out []any
	var last any
	for n, at := range index {
		i := int(at.(int64))
		same := false
		if n > 0 {
			if same, err = m.equal(keys[i], last, 0); err != nil {
				return nil, err
			}
		}
		if !same {
			out = append(out, &list{items: []any{plain[i], newList(nil)}, kind: kindGroup})
			last = keys[i]
		}
		group := out[len(out)-1].(*list).items[1].(*list)
		group.items = append(group.items, items[i])
	}
	return newList(out), m.chargeItems(4 * len(items))
}

func mapFilter(m *machine, v any, a *args) (any, error) {
	items, err := m.iterateAny(v)
	if err != nil {
		return nil, err
	}
	var each func(any) (any, error)
	if len(a.pos) == 0 && contains(a.names, "attribute") {
		p, err := m.bind("map", a, []string{"attribute", "default"}, 1, true)
		if err != nil {
			return nil, err
		}
		if each, err = m.getter(p[0], p[1]); err != nil {
			return nil, err
		}
	} else {
		if len(a.pos) == 0 {
			return nil, m.fail("map needs the name of a filter, or attribute=")
		}
		name, ok := a.pos[0].(string)
		if !ok {
			return nil, m.fail("map needs the name of a filter, not %s", typeName(a.pos[0]))
		}
		rest := &args{pos: a.pos[1:], names: a.names, named: a.named}
		each = func(item any) (any, error) {
			if name != "default" && name != "d" {
				if err := m.defined(item); err != nil {
					return nil, err
				}
			}
			return m.filter(name, item, rest)
		}
	}
	out := make([]any, len(items))
	for i, item := range items {
		if err := m.step(); err != nil {
			return nil, err
		}
		if out[i], err = each(item); err != nil {
			return nil, err
		}
	}
	return lazy(out), m.chargeItems(len(out))
}

// choose is select, reject and those with an attribute.
func (m *machine) choose(v any, a *args, byAttribute, want bool) (any, error) {
	items, err := m.iterateAny(v)
	if err != nil {
		return nil, err
	}
	pos := a.pos
	get := func(v any) (any, error) { return v, nil }
	if byAttribute {
		if len(pos) == 0 {
			return nil, m.fail("selectattr and rejectattr need the name of an attribute")
		}
		if get, err = m.getter(pos[0], nil); err != nil {
			return nil, err
		}
		pos = pos[1:]
	}
	holds := func(v any) (bool, error) {
		if err := m.defined(v); err != nil {
			return false, err
		}
		return truthOf(v), nil
	}
	if len(pos) > 0 {
		name, ok := pos[0].(string)
		if !ok {
			return nil, m.fail("a test is named by a string, not %s", typeName(pos[0]))
		}
		rest := &args{pos: pos[1:], names: a.names, named: a.named}
		holds = func(v any) (bool, error) { return m.test(name, v, rest) }
	} else if len(a.names) > 0 {
		return nil, m.fail("%q is not an argument here", a.names[0])
	}
	var out []any
	for _, item := range items {
		if err := m.step(); err != nil {
			return nil, err
		}
		value, err := get(item)
		if err != nil {
			return nil, err
		}
		ok, err := holds(value)
		if err != nil {
			return nil, err
		}
		if ok == want {
			out = append(out, item)
		}
	}
	return lazy(out), m.chargeItems(cmp.Or(len(out), 1))
}
