package diff

import (
	"maps"

	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/shared/model"
)

// Respect is RespectInput with an application's rules alone.
func Respect(desired map[string]any, liveBody []byte, managers []live.FieldManager, ignore []model.IgnoreDifferences) map[string]any {
	return RespectInput(Input{Desired: desired, Live: liveBody, Managers: managers, Ignore: ignore})
}

// RespectInput returns in.Desired with the ignored fields as they are live, as
// the sync option RespectIgnoreDifferences asks: applying it leaves them alone.
// Fields that do not exist live are left out; ignored fields that are desired no
// longer are kept where applying would take them away. Every value of the result
// is the desired or the live one. Nothing in the input is modified. Rules that
// cannot be evaluated have no effect.
func RespectInput(in Input) map[string]any {
	rules := selectRules(in.Ignore, in.SystemRules, in.Desired)
	if len(rules.list) == 0 {
		return in.Desired
	}
	in.Desired = Normalise(in.Desired)
	liveObj, err := Decode(in.Live)
	if err != nil || text(liveObj["apiVersion"]) != text(in.Desired["apiVersion"]) {
		return in.Desired
	}
	if in.Managers == nil {
		in.Managers = managersOf(liveObj)
	}
	d, l, _ := rules.paths(in.Desired, liveObj, true)
	if d == nil {
		d, l = &selection{}, &selection{}
	}
	c := newComparer(&in, in.Desired)
	c.owners = in.ownership(in.Managers)
	if c.owners.ignored = rules.managers(c.owners.managers); c.owners.ignored != 0 {
		c.owners.selectManaged(c.owners.all(), c.kind, in.Desired, d)
		c.owners.selectManaged(c.owners.all(), c.kind, liveObj, l)
	}
	// Of what only the server writes, nothing is applied.
	for _, k := range []string{"apiVersion", "kind", "status"} {
		delete(d.fields, k)
		delete(l.fields, k)
	}
	for _, s := range []*selection{d, l} {
		s.selected = false
		if m := s.fields["metadata"]; m != nil {
			m.selected = false
			for k := range m.fields {
				if !comparedMetadata[k] {
					delete(m.fields, k)
				}
			}
		}
	}
	// The live object is shared with nobody: it was decoded here.
	return c.keepMap(nil, c.kind, false, in.Desired, liveObj, picks{[]*selection{d}, []*selection{l}})
}

// selectManaged selects, in v, the fields that a manager owns whose fields are
// ignored.
func (o *ownership) selectManaged(n *node, t *Type, v any, s *selection) {
	if n == nil {
		return
	}
	if n.leaf() {
		if n.owners&o.ignored != 0 {
			s.selected = true
		}
		return
	}
	switch v := v.(type) {
	case map[string]any:
		for _, child := range n.fields {
			if e, ok := v[child.name]; ok && child.node.below()&o.ignored != 0 {
				f, _ := t.field(child.name)
				o.selectManaged(child.node, f.typ, e, s.toField(child.name))
			}
		}
	case []any:
		elem := t.element().typ
		for _, it := range n.items {
			if it.node.below()&o.ignored == 0 {
				continue
			}
			for i, e := range v {
				if it.names(elem, e) {
					o.selectManaged(it.node, elem, e, s.toIndex(i))
				}
			}
		}
	}
}

// names reports whether the item stands for the element of a list.
func (i item) names(t *Type, e any) bool {
	if v, ok := i.value(); ok {
		return sameScalar(v, e)
	}
	m, ok := e.(map[string]any)
	if !ok {
		return false
	}
	keys := i.keys()
	for k, want := range keys {
		if got, ok := keyValue(t, m, k); !ok || !sameScalar(want, got) {
			return false
		}
	}
	return len(keys) > 0
}

// picks are what is selected in a desired value and in its live counterpart.
type picks struct{ d, l []*selection }

func (p picks) selected() bool {
	for _, side := range [][]*selection{p.d, p.l} {
		for _, s := range side {
			if s.selected {
				return true
			}
		}
	}
	return false
}

func (p picks) none() bool { return len(p.d)+len(p.l) == 0 }

func (p picks) fields() map[string]picks {
	out := map[string]picks{}
	for _, s := range p.d {
		for k, c := range s.fields {
			b := out[k]
			b.d = append(b.d, c)
			out[k] = b
		}
	}
	for _, s := range p.l {
		for k, c := range s.fields {
			b := out[k]
			b.l = append(b.l, c)
			out[k] = b
		}
	}
	return out
}

// elements are the picks of the i-th desired and the j-th live element of lists;
// a negative index is none.
func (p picks) elements(i, d, j, l int) (out picks) {
	if i >= 0 {
		for _, s := range p.d {
			out.d = append(out.d, s.at(i, d)...)
		}
	}
	if j >= 0 {
		for _, s := range p.l {
			out.l = append(out.l, s.at(j, l)...)
		}
	}
	return out
}

// strip is v without what is selected below it.
func strip(v any, s []*selection) any {
	for _, one := range s {
		v = one.without(v)
	}
	return v
}

// keep is a desired value with what is selected below it as it is live. whole says
// that it is part of what applying replaces as a whole.
func (c *comparer) keep(p *place, t *Type, whole bool, d, l any, at picks) any {
	if at.none() {
		return d
	}
	switch dv := d.(type) {
	case map[string]any:
		if lv, ok := l.(map[string]any); ok {
			return c.keepMap(p, t, whole || !t.merges() || c.shownAtomic(p, t, lv), dv, lv, at)
		}
	case []any:
		if lv, ok := l.([]any); ok {
			return c.keepList(p, t, whole, dv, lv, at)
		}
	}
	return d
}

func (c *comparer) keepMap(p *place, t *Type, whole bool, d, l map[string]any, at picks) map[string]any {
	out := maps.Clone(d)
	if out == nil {
		out = map[string]any{}
	}
	for k, sub := range at.fields() {
		q := &place{up: p, step: step{field: k}}
		f, _ := t.field(k)
		dv, set := d[k]
		lv, has := l[k]
		switch {
		case sub.selected():
			if has && (set || whole || c.wouldRemove(q)) {
				out[k] = lv
			} else if set {
				delete(out, k)
			}
		case set && has:
			out[k] = c.keep(q, f.typ, whole, dv, lv, sub)
		case set:
			// Not live: what is ignored is not applied, nor maps that are then empty.
			rest := strip(dv, sub.d)
			m, ok := rest.(map[string]any)
			was, _ := dv.(map[string]any)
			for _, one := range sub.d {
				one.prune(m, was, nil)
			}
			if out[k] = rest; ok && len(m) == 0 && !isEmpty(dv) {
				delete(out, k)
			}
		case has:
			lm, ok := lv.(map[string]any)
			if !ok || !whole && (!f.typ.merges() || c.shownAtomic(q, f.typ, lm)) {
				continue // what is not desired at all is left alone, or goes as a whole
			}
			if kept := c.keepMap(q, f.typ, whole, nil, lm, sub); len(kept) > 0 {
				out[k] = kept
			}
		}
	}
	return out
}

// wouldRemove reports whether applying takes the place away when it is not
// desired: this agent owns it and nobody else does.
func (c *comparer) wouldRemove(p *place) bool {
	if !c.owners.owns(p) {
		return false
	}
	n, above := c.owners.at(p)
	if above != nil {
		return above.owners&^c.owners.own == 0
	}
	return n.below()&^c.owners.own == 0
}

func (c *comparer) keepList(p *place, t *Type, whole bool, d, l []any, at picks) []any {
	elem := t.element()
	rule, keys := c.ruleOf(p, t, nil)
	switch {
	case whole:
	case rule == mergeKeys:
		dp, ok1 := byKeys(elem.typ, d, keys)
		lp, ok2 := byKeys(elem.typ, l, keys)
		if ok1 && ok2 && !dp.repeats() && !lp.repeats() {
			return c.keepElements(d, l, dp, lp, at, keys, func(i int, list []any) (*place, *Type) {
				e, _ := list[i].(map[string]any)
				return &place{up: p, step: step{keys: keys, typ: elem.typ, element: e}}, elem.typ
			})
		}
	case rule == mergeSet:
		dp, ok1 := byValue(d)
		lp, ok2 := byValue(l)
		if ok1 && ok2 && !dp.repeats() && !lp.repeats() {
			return c.keepElements(d, l, dp, lp, at, nil, func(i int, list []any) (*place, *Type) {
				return &place{up: p, step: step{inSet: true, value: list[i]}}, elem.typ
			})
		}
	}
	return c.keepWhole(p, elem, d, l, at)
}

// keepElements is keep for lists whose elements are found by identity. Elements
// that are ignored as a whole are as they are live, in their live order among the
// others. What is only live stays by itself, unless this agent applied it before.
// keys are the fields that identify elements: they are never changed.
func (c *comparer) keepElements(d, l []any, dp, lp *positions, at picks, keys []string, place func(int, []any) (*place, *Type)) []any {
	after := map[int][]any{} // ignored elements by the index of the desired one that they follow; -1: none
	anchor := -1
	for j, id := range lp.ids {
		i := dp.of(id)
		if sub := at.elements(i, len(d), j, len(l)); !sub.selected() {
			if i >= 0 {
				anchor = i
			}
			continue
		}
		if q, _ := place(j, l); i >= 0 || c.wouldRemove(q) {
			after[anchor] = append(after[anchor], l[j])
		}
	}
	out := append(make([]any, 0, len(d)), after[-1]...)
	for i, id := range dp.ids {
		j := lp.of(id)
		sub := at.elements(i, len(d), j, len(l))
		if sub.selected() {
			continue
		}
		var v any
		if j < 0 {
			v = strip(d[i], sub.d)
		} else {
			q, t := place(i, d)
			v = c.keep(q, t, false, d[i], l[j], sub)
		}
		out = append(append(out, withKeys(v, d[i], keys)), after[i]...)
	}
	return out
}

// withKeys is an element with the keys of another one. v is not shared with
// anybody when it differs from that.
func withKeys(v, of any, keys []string) any {
	m, ok1 := v.(map[string]any)
	from, ok2 := of.(map[string]any)
	if !ok1 || !ok2 {
		return v
	}
	for _, k := range keys {
		if want, ok := from[k]; ok && !sameScalar(m[k], want) {
			m[k] = want
		}
	}
	return m
}

// maxPairing bounds the search for counterparts in lists.
const maxPairing = 4096

// keepWhole is keep for lists that are replaced as a whole: what is ignored as a
// whole element is taken from the live list, in its place among the others. Of
// the other elements each finds its live counterpart by what is not ignored, else
// by its name, else by its position when there are as many.
func (c *comparer) keepWhole(p *place, elem *fieldType, d, l []any, at picks) []any {
	type part struct {
		value any
		at    int
		sub   []*selection
		used  bool
	}
	var dk, lk []part
	before := make(map[int][]any) // live elements that are ignored, by how many others are before them
	for i, e := range d {
		if sub := at.elements(i, len(d), -1, 0); !sub.selected() {
			dk = append(dk, part{value: e, at: i, sub: sub.d})
		}
	}
	for j, e := range l {
		sub := at.elements(-1, 0, j, len(l))
		if sub.selected() {
			before[len(lk)] = append(before[len(lk)], e)
			continue
		}
		lk = append(lk, part{value: e, at: j, sub: sub.l})
	}
	partner := make([]int, len(dk))
	for i := range partner {
		partner[i] = -1
	}
	pair := func(alike func(i, j int) bool) {
		for i := range dk {
			for j := 0; partner[i] < 0 && j < len(lk); j++ {
				if !lk[j].used && alike(i, j) {
					partner[i], lk[j].used = j, true
				}
			}
		}
	}
	if len(dk)*len(lk) <= maxPairing {
		pair(func(i, j int) bool {
			return c.quiet(func() { c.wholeValue(p, elem, strip(dk[i].value, dk[i].sub), strip(lk[j].value, lk[j].sub), true) })
		})
		pair(func(i, j int) bool {
			a, ok1 := elementID(elem.typ, dk[i].value, guessedKeys)
			b, ok2 := elementID(elem.typ, lk[j].value, guessedKeys)
			return ok1 && ok2 && a == b
		})
	}
	if len(dk) == len(lk) {
		pair(func(i, j int) bool { return i == j })
	}
	out := make([]any, 0, len(d))
	for i, e := range dk {
		out = append(out, before[i]...)
		v := e.value
		if j := partner[i]; j >= 0 {
			v = c.keep(&place{up: p, step: step{isIndex: true, index: e.at}}, elem.typ, true, v, lk[j].value, picks{e.sub, lk[j].sub})
		}
		out = append(out, v)
	}
	for i := len(dk); i <= len(lk); i++ {
		out = append(out, before[i]...)
	}
	return out
}
