package diff

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// guessedKeys are tried on lists of which neither a schema nor a manager's field
// set says how they merge.
var guessedKeys = []string{"name"}

// keyValue is one part of an element's key, with what the server fills in: in its
// own kinds also the empty text.
func keyValue(t *Type, element map[string]any, key string) (any, bool) {
	if v, ok := element[key]; ok {
		return v, true
	}
	if t != nil && t.shape == shapeStruct {
		f := t.fields[key]
		switch {
		case f == nil:
		case f.hasDef:
			return f.def, true
		case !t.verbatim:
			return "", true
		}
	}
	if key == "protocol" && (t == nil || t.shape == shapeUnknown) {
		return "TCP", true
	}
	return nil, false
}

// elementID is the identity of an element of a list that merges by keys. Parts
// may be missing, but not all.
func elementID(t *Type, e any, keys []string) (string, bool) {
	m, ok := e.(map[string]any)
	if !ok {
		return "", false
	}
	if len(keys) == 1 {
		v, ok := keyValue(t, m, keys[0])
		if !ok {
			return "", false
		}
		return scalarID(v)
	}
	var b strings.Builder
	found := false
	for _, k := range keys {
		v, ok := keyValue(t, m, k)
		if ok {
			id, ok := scalarID(v)
			if !ok {
				return "", false
			}
			found = true
			b.WriteByte('=') // an empty part is not a missing one
			b.WriteString(id)
		}
		b.WriteByte(0)
	}
	return b.String(), found
}

// scalarID is a text that differs for different scalars of one type.
func scalarID(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case int64:
		return strconv.FormatInt(v, 10), true
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64), true
	case bool:
		return strconv.FormatBool(v), true
	case nil:
		return "\x00null", true // which the server does not take for absent
	}
	return "", false
}

// positions finds elements by identity: by looking through short lists, by a map
// in long ones, which is made when it is needed.
type positions struct {
	ids    []string
	lookup map[string]int
	// looked says that lookup and twice are known. twice: two elements have the
	// same identity; the lookup finds the first.
	looked, twice bool
	again         map[string]bool // identities that appear more than once
}

func (p *positions) look() {
	if p.looked {
		return
	}
	p.looked = true
	if len(p.ids) <= 16 {
		for i, id := range p.ids {
			if slices.Contains(p.ids[:i], id) {
				p.repeat(id)
			}
		}
		return
	}
	p.lookup = make(map[string]int, len(p.ids))
	for i, id := range p.ids {
		if _, ok := p.lookup[id]; ok {
			p.repeat(id)
			continue
		}
		p.lookup[id] = i
	}
}

func (p *positions) repeat(id string) {
	if p.again == nil {
		p.again = map[string]bool{}
	}
	p.twice, p.again[id] = true, true
}

// of is the first position of the identity, or -1.
func (p *positions) of(id string) int {
	p.look()
	if p.lookup == nil {
		return slices.Index(p.ids, id)
	}
	if i, ok := p.lookup[id]; ok {
		return i
	}
	return -1
}

// repeats reports whether an identity appears twice.
func (p *positions) repeats() bool {
	p.look()
	return p.twice
}

// repeated reports whether the identity at a position appears again.
func (p *positions) repeated(at int) bool {
	return p.repeats() && p.again[p.ids[at]]
}

// byKeys identifies the elements of a list; ok is false when one has no identity.
func byKeys(t *Type, list []any, keys []string) (p *positions, ok bool) {
	ids := make([]string, len(list))
	for i, e := range list {
		id, ok := elementID(t, e, keys)
		if !ok {
			return &positions{}, false
		}
		ids[i] = id
	}
	return &positions{ids: ids}, true
}

// byValue identifies the elements of a set; ok is false when one is no scalar.
func byValue(list []any) (p *positions, ok bool) {
	ids := make([]string, len(list))
	for i, e := range list {
		id, ok := scalarID(e)
		if !ok {
			return &positions{}, false
		}
		ids[i] = id
	}
	return &positions{ids: ids}, true
}

// mergeRule says how a list merges.
type mergeRule int

const (
	mergeUnknown mergeRule = iota
	mergeAtomic
	mergeKeys
	mergeSet
)

// ruleOf is how a list merges: by what managers' field sets show, because the API
// server wrote them by its own schema; else by the type.
func (c *comparer) ruleOf(p *place, t *Type, n *node) (mergeRule, []string) {
	switch {
	case t.shape == shapeList && t.merge != mergeUnknown:
		return t.merge, t.keys
	case t.shape == shapeAny, t.shape == shapeUnion:
		return mergeAtomic, nil
	}
	if n == nil || n.leaf() {
		n, _ = c.owners.at(p)
	}
	if n == nil {
		return mergeUnknown, nil
	}
	for _, it := range n.items {
		if m := it.keys(); m != nil {
			keys := make([]string, 0, len(m))
			for k := range m {
				keys = append(keys, k)
			}
			slices.Sort(keys)
			return mergeKeys, keys
		}
		if _, ok := it.value(); ok {
			return mergeSet, nil
		}
	}
	if n.owners != 0 && n.leaf() && !n.vague {
		return mergeAtomic, nil
	}
	return mergeUnknown, nil
}

// list compares lists, both of which exist.
func (c *comparer) list(p *place, t *Type, d, l []any, n *node) {
	rule, keys := c.ruleOf(p, t, n)
	elem := t.element()
	switch rule {
	case mergeSet:
		c.setList(p, t, d, l, n)
	case mergeKeys:
		c.keyedList(p, t, elem, keys, d, l, n)
	case mergeAtomic:
		c.wholeList(p, t, elem, d, l)
	default:
		c.unknownList(p, t, elem, d, l, n)
	}
}

// unknownList compares a list of which it is not known how it merges. Most such
// lists are atomic, and no default adds or takes away elements: other elements are
// a difference, unless the server merges them after all. Within the same elements
// only the server knows what is filled in, whether they have names or not.
func (c *comparer) unknownList(p *place, t *Type, elem *fieldType, d, l []any, n *node) {
	if c.quiet(func() { c.wholeList(p, t, elem, d, l) }) {
		return
	}
	dp, ok1 := byKeys(elem.typ, d, guessedKeys)
	lp, ok2 := byKeys(elem.typ, l, guessedKeys)
	switch {
	case len(d) > len(l):
		c.report(p, d, l, true, true)
		return
	case len(d) < len(l):
		c.presume(p, d, l, true, true)
		return
	}
	if !ok1 || !ok2 || dp.repeats() || slices.ContainsFunc(dp.ids, func(id string) bool { return lp.of(id) < 0 }) {
		c.wholeList(p, t, elem, d, l)
		return
	}
	total := c.total
	c.keyedList(p, t, elem, guessedKeys, d, l, n)
	if c.total == total {
		c.doubt(p)
	}
}

func (c *comparer) setList(p *place, t *Type, d, l []any, n *node) {
	dp, ok1 := byValue(d)
	lp, ok2 := byValue(l)
	if !ok1 || !ok2 || dp.repeats() {
		c.wholeList(p, t, t.element(), d, l)
		return
	}
	last, ordered := -1, true
	for i, id := range dp.ids {
		at := lp.of(id)
		switch {
		case at < 0:
			c.report(&place{up: p, step: step{inSet: true, value: d[i]}}, d[i], nil, true, false)
			continue
		case at < last, lp.repeated(at):
			ordered = false
		}
		last = at
	}
	if !ordered {
		c.report(p, d, l, true, true)
	}
	if n == nil {
		return
	}
	for _, it := range n.items {
		v, ok := it.value()
		if !ok {
			continue
		}
		id, ok := scalarID(v)
		if !ok || dp.of(id) >= 0 {
			continue
		}
		if at := lp.of(id); at >= 0 {
			c.removed(&place{up: p, step: step{inSet: true, value: l[at]}}, t, scalarElement, false, l[at], nil, it.node)
		}
	}
}

func (c *comparer) keyedList(p *place, t *Type, elem *fieldType, keys []string, d, l []any, n *node) {
	dp, ok1 := byKeys(elem.typ, d, keys)
	lp, ok2 := byKeys(elem.typ, l, keys)
	aligned := slices.Equal(dp.ids, lp.ids) // as they usually are: nothing to look for
	if !ok1 || !ok2 || !aligned && dp.repeats() {
		// The server refuses such a list, or has another idea of it.
		c.wholeList(p, t, elem, d, l)
		return
	}
	nodes := n.elements(elem.typ, keys)
	if aligned {
		for i, id := range dp.ids {
			e, _ := d[i].(map[string]any)
			q := c.enter(p, step{keys: keys, typ: elem.typ, element: e})
			c.value(q, elem, e, l[i], true, nodes[id])
			c.leave(q)
		}
		return
	}
	if len(keys) > 1 && (elem.typ.shape == shapeUnknown || elem.typ.partial) {
		d, dp = c.completeKeys(p, keys, d, dp, l, lp, nodes)
	}
	last, ordered := -1, true
	for i, id := range dp.ids {
		e, _ := d[i].(map[string]any)
		q := c.enter(p, step{keys: keys, typ: elem.typ, element: e})
		switch at := lp.of(id); {
		case at < 0:
			c.value(q, elem, e, nil, false, nodes[id])
		case lp.repeated(at):
			c.report(q, e, l[at], true, true) // applying leaves one of them
		default:
			ordered = ordered && at >= last
			last = at
			c.value(q, elem, e, l[at], true, nodes[id])
		}
		c.leave(q)
	}
	if !ordered {
		c.report(p, onlyKeys(d, keys), onlyKeys(l, keys), true, true)
	}
	if len(nodes) == 0 {
		return
	}
	for i, id := range lp.ids {
		if en := nodes[id]; en != nil && dp.of(id) < 0 {
			e, _ := l[i].(map[string]any)
			c.removed(&place{up: p, step: step{keys: keys, typ: elem.typ, element: e}}, t, elem, false, e, nil, en)
		}
	}
}

// completeKeys fills in the parts of keys that desired elements of a list without
// a schema leave to the server: as in the one live element that it can be. Where
// it does not show that this agent applied that one, only the server knows.
func (c *comparer) completeKeys(p *place, keys []string, d []any, dp *positions, l []any, lp *positions, nodes map[string]*node) ([]any, *positions) {
	claimed := make(map[string]bool, len(dp.ids))
	for _, id := range dp.ids {
		claimed[id] = true
	}
	var ids []string
	out := d
	for i, id := range dp.ids {
		e, _ := d[i].(map[string]any)
		if lp.of(id) >= 0 || !lacksKey(e, keys) {
			continue
		}
		var candidates, ours []int
		for j, other := range lp.ids {
			le, _ := l[j].(map[string]any)
			if !claimed[other] && agreeOnKeys(e, le, keys) {
				candidates = append(candidates, j)
				if nodes[other] != nil {
					ours = append(ours, j)
				}
			}
		}
		if len(candidates) == 0 {
			continue
		}
		if len(ours) != 1 {
			c.doubt(p)
			ours = candidates
		}
		if ids == nil {
			ids, out = slices.Clone(dp.ids), slices.Clone(d)
		}
		le, _ := l[ours[0]].(map[string]any)
		e = maps.Clone(e)
		for _, k := range keys {
			if e[k] == nil {
				e[k] = le[k]
			}
		}
		ids[i], out[i] = lp.ids[ours[0]], e
		claimed[ids[i]] = true
		if len(ours) > 1 {
			out[i] = le // it may be any: nothing is compared
		}
	}
	if ids == nil {
		return d, dp
	}
	return out, &positions{ids: ids}
}

func lacksKey(e map[string]any, keys []string) bool {
	return slices.ContainsFunc(keys, func(k string) bool { return e[k] == nil })
}

// agreeOnKeys compares the keys that the first element has.
func agreeOnKeys(a, b map[string]any, keys []string) bool {
	for _, k := range keys {
		if a[k] != nil && !sameScalar(a[k], b[k]) {
			return false
		}
	}
	return true
}

// onlyKeys are the elements without anything but their keys, to show an order.
func onlyKeys(list []any, keys []string) []any {
	out := make([]any, len(list))
	for i, e := range list {
		m, ok := e.(map[string]any)
		if !ok {
			out[i] = e
			continue
		}
		short := map[string]any{}
		for _, k := range keys {
			if v, ok := m[k]; ok {
				short[k] = v
			}
		}
		out[i] = short
	}
	return out
}
