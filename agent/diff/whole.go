package diff

import (
	"slices"
)

// wholeMap compares maps that are replaced as a whole: what is only live goes
// away, unless the server fills it in again.
func (c *comparer) wholeMap(p *place, t *Type, d, l map[string]any) { c.wholeFields(p, t, d, l, nil) }

func (c *comparer) wholeFields(p *place, t *Type, d, l map[string]any, skip func(string) bool) {
	if !c.answers {
		d = completed(t, d)
	}
	each := func(k string) {
		if skip != nil && skip(k) {
			return
		}
		f, _ := t.field(k)
		dv, set := d[k]
		lv, has := l[k]
		if alike(dv, lv) {
			return
		}
		q := c.enter(p, step{field: k})
		defer c.leave(q)
		if set && dv == nil && t.shape == shapeMap && !t.verbatim {
			dv = zeroOf(f.typ)
		}
		switch {
		case set && dv != nil && (f.presence || !isZero(f.typ, dv)):
			c.wholeValue(q, f, dv, lv, has)
		case c.answers && set != has && f.keepsNull():
			c.report(q, dv, lv, set, has) // one is null, the other is not there
		case !has || lv == nil:
		case !f.presence && isZero(f.typ, lv):
		case !c.filledIn(q, t, f, lv, l):
			c.report(q, dv, lv, set, true)
		}
	}
	if c.sorted {
		keys := unionKeys(d, nil)
		for k := range l {
			if !has(d, k) {
				keys = append(keys, k)
			}
		}
		slices.Sort(keys)
		for _, k := range keys {
			each(k)
		}
		return
	}
	for k := range d {
		each(k)
	}
	for k := range l {
		if !has(d, k) {
			each(k)
		}
	}
}

func (c *comparer) wholeList(p *place, t *Type, elem *fieldType, d, l []any) {
	if c.answers && c.answerList(p, t, elem, d, l) {
		return
	}
	if len(d) != len(l) {
		c.report(p, d, l, true, true)
		return
	}
	for i := range d {
		if alike(d[i], l[i]) {
			continue
		}
		q := c.enter(p, step{isIndex: true, index: i})
		c.wholeValue(q, elem, d[i], l[i], true)
		c.leave(q)
	}
}

// answerList compares lists of two answers whose elements have an identity, so
// that each element counts by itself. It reports false when they have none.
func (c *comparer) answerList(p *place, t *Type, elem *fieldType, d, l []any) bool {
	var dp, lp *positions
	var ok1, ok2 bool
	rule, keys := mergeUnknown, []string(nil)
	if c.owners != nil {
		rule, keys = c.ruleOf(p, t, nil)
	} else if t.shape == shapeList {
		rule, keys = t.merge, t.keys
	}
	at := func(list []any, i int) *place { return &place{up: p, step: step{inSet: true, value: list[i]}} }
	switch rule {
	case mergeKeys:
		dp, ok1 = byKeys(elem.typ, d, keys)
		lp, ok2 = byKeys(elem.typ, l, keys)
		at = func(list []any, i int) *place {
			e, _ := list[i].(map[string]any)
			return &place{up: p, step: step{keys: keys, typ: elem.typ, element: e}}
		}
	case mergeSet:
		dp, ok1 = byValue(d)
		lp, ok2 = byValue(l)
	}
	if !ok1 || !ok2 || dp.repeats() || lp.repeats() {
		return false
	}
	last, ordered := -1, true
	for i, id := range dp.ids {
		j := lp.of(id)
		if j < 0 {
			c.wholeValue(at(d, i), elem, d[i], nil, false)
			continue
		}
		ordered = ordered && j > last
		last = j
		c.wholeValue(at(d, i), elem, d[i], l[j], true)
	}
	for j, id := range lp.ids {
		if dp.of(id) < 0 {
			c.report(at(l, j), nil, l[j], false, true)
		}
	}
	if !ordered {
		c.report(p, onlyKeys(d, keys), onlyKeys(l, keys), true, true)
	}
	return true
}

func (c *comparer) wholeValue(p *place, f *fieldType, dv, lv any, has bool) {
	if !has || lv == nil {
		switch {
		case dv == nil, c.vanishes(f, dv):
		case f.typ == looseType && isZero(nil, dv) && !c.answers:
			c.doubt(p)
		default:
			c.report(p, dv, nil, true, false)
		}
		return
	}
	switch d := dv.(type) {
	case map[string]any:
		if l, ok := lv.(map[string]any); ok {
			c.wholeMap(p, f.typ, d, l)
			return
		}
	case []any:
		if l, ok := lv.([]any); ok {
			c.wholeList(p, f.typ, f.typ.element(), d, l)
			return
		}
	default:
		if equalScalar(f.typ, dv, lv) {
			return
		}
	}
	c.report(p, dv, lv, true, true)
}

// filledIn reports whether a live value that nobody desires is what the server
// fills in by itself, given the live fields beside it.
func (c *comparer) filledIn(p *place, parent *Type, f *fieldType, lv any, siblings map[string]any) bool {
	if c.answers {
		return false
	}
	if def, known := derived(parent, p.field, siblings); known {
		return c.quiet(func() { c.wholeValue(p, f, def, lv, true) })
	}
	return c.isDefault(p, f, lv)
}

// isDefault reports whether a live value is what the server fills in where
// nothing is set. Where nothing is known of the field that is a doubt, and not a
// difference.
func (c *comparer) isDefault(p *place, f *fieldType, lv any) bool {
	switch {
	case c.answers:
		return false
	case f.typ.shape == shapeUnknown, f.partial && !f.hasDef:
		c.doubt(p)
		return true
	case lv == nil:
		return f.hasDef && f.def == nil
	case f.hasDef:
		return c.quiet(func() { c.wholeValue(p, f, f.def, lv, true) })
	case f.presence:
		return false
	case isZero(f.typ, lv):
		return true
	}
	l, ok := lv.(map[string]any)
	return ok && f.typ.shape == shapeStruct && c.quiet(func() { c.wholeMap(p, f.typ, nil, l) })
}
