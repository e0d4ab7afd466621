package diff

import "slices"

// comparedMetadata are the fields of metadata that people set.
var comparedMetadata = map[string]bool{"labels": true, "annotations": true, "finalizers": true, "ownerReferences": true}

// object compares what applying an object would leave with what is live.
//
// The rules are those of the server's merge (structured-merge-diff): what the
// desired object sets is merged in; what this agent applied before and that is
// desired no longer is taken out, unless somebody else owns it, too; then the
// server fills in defaults. Anything else stays as it is.
func (c *comparer) object(desired, liveObj map[string]any) {
	n := c.owners.ours
	liveObj = beforeAdmission(c.kind, desired, liveObj)
	status := has(desired, "status") // only when it was asked for
	c.fields(nil, c.kind, desired, liveObj, n, func(k string) bool {
		return k == "apiVersion" || k == "kind" || k == "status" && !status || k == "metadata"
	})
	dm, _ := desired["metadata"].(map[string]any)
	lm, _ := liveObj["metadata"].(map[string]any)
	meta := &place{step: step{field: "metadata"}}
	c.fields(meta, c.metadataType(), dm, lm, n.field("metadata"), func(k string) bool { return !comparedMetadata[k] })
}

func (c *comparer) metadataType() *Type {
	if f, _ := c.kind.field("metadata"); f.typ.shape == shapeStruct {
		return f.typ
	}
	return builtin.named("meta/v1.ObjectMeta")
}

// fields compares the fields of maps that merge.
func (c *comparer) fields(p *place, t *Type, d, l map[string]any, n *node, skip func(string) bool) {
	if c.sorted {
		for _, k := range unionKeys(d, n) {
			if skip == nil || !skip(k) {
				c.field(p, t, k, d, l, n)
			}
		}
		return
	}
	for k := range d {
		if skip == nil || !skip(k) {
			c.field(p, t, k, d, l, n)
		}
	}
	if n == nil {
		return
	}
	for i := range n.fields {
		if k := n.fields[i].name; !has(d, k) && (skip == nil || !skip(k)) {
			c.field(p, t, k, d, l, n)
		}
	}
}

func (c *comparer) field(p *place, t *Type, k string, d, l map[string]any, n *node) {
	dv, set := d[k]
	lv, has := l[k]
	if set && has && alike(dv, lv) || !set && !has {
		return
	}
	f, declared := t.field(k)
	q := c.enter(p, step{field: k})
	if set {
		c.setField(q, t, f, dv, lv, has, l, n.field(k))
	} else {
		c.removed(q, t, f, declared, lv, l, n.field(k))
	}
	c.leave(q)
}

// setField compares a field that is desired, be it with a null or a zero.
func (c *comparer) setField(p *place, parent *Type, f *fieldType, dv, lv any, has bool, siblings map[string]any, n *node) {
	if dv == nil {
		if parent.shape == shapeMap && !parent.verbatim {
			dv = zeroOf(f.typ) // a null element is there, and zero
		} else {
			c.null(p, parent, f, lv, has, siblings, n)
			return
		}
	}
	if !f.presence && isZero(f.typ, dv) && !containsMerging(f.typ, lv) {
		// The server takes it for absent, and fills in what it likes.
		if !has || isZero(f.typ, lv) {
			return
		}
		if !c.filledIn(p, parent, f, lv, siblings) {
			c.report(p, dv, lv, true, true)
		}
		return
	}
	c.value(p, f, dv, lv, has, n)
}

// containsMerging: an empty map or list is merged with what is live.
func containsMerging(t *Type, lv any) bool {
	switch lv.(type) {
	case map[string]any:
		return t.merges()
	case []any:
		return t.shape == shapeList && t.merge != mergeAtomic || t.shape == shapeUnknown
	}
	return false
}

// null compares a field that is desired to be null. Merging a null leaves maps
// and lists that merge as they are, apart from what this agent applied before;
// other values go away.
func (c *comparer) null(p *place, parent *Type, f *fieldType, lv any, has bool, siblings map[string]any, n *node) {
	if !has || lv == nil {
		return
	}
	if isEmpty(lv) { // nothing to merge with: the null stays
		if f.typ.shape == shapeUnknown || f.partial {
			c.doubt(p)
		} else if f.typ.verbatim || f.presence && !c.filledIn(p, parent, f, lv, siblings) {
			c.report(p, nil, lv, true, true)
		}
		return
	}
	switch l := lv.(type) {
	case map[string]any:
		if f.typ.merges() && !c.shownAtomic(p, f.typ, l) {
			c.fields(p, f.typ, nil, l, n, nil)
			return
		}
	case []any:
		if rule, _ := c.ruleOf(p, f.typ, n); rule == mergeKeys || rule == mergeSet {
			c.list(p, f.typ, nil, l, n)
			return
		}
	}
	if f.typ.shape == shapeUnknown || f.partial {
		c.presume(p, nil, lv, true, true) // but for what the server fills in
	} else if f.keepsNull() || !c.filledIn(p, parent, f, lv, siblings) {
		c.report(p, nil, lv, true, true)
	}
}

// value compares a value that is desired.
func (c *comparer) value(p *place, f *fieldType, dv, lv any, has bool, n *node) {
	t := f.typ
	if !has || lv == nil {
		if c.vanishes(f, dv) {
			return
		}
		if f.typ == looseType && isZero(nil, dv) {
			c.doubt(p)
			return
		}
		if (f.typ.shape == shapeUnknown || f.partial) && isZero(nil, dv) && p.up != nil && p.up.field == "metadata" {
			c.doubt(p) // of an object in an object, it would not be stored
			return
		}
		c.report(p, dv, nil, true, false)
		return
	}
	switch d := dv.(type) {
	case map[string]any:
		l, ok := lv.(map[string]any)
		switch {
		case !ok:
			c.report(p, dv, lv, true, true)
		case t.merges() && !c.shownAtomic(p, t, l):
			c.fields(p, t, d, l, n, nil)
		default:
			c.wholeMap(p, t, d, l)
		}
	case []any:
		l, ok := lv.([]any)
		if !ok {
			c.report(p, dv, lv, true, true)
			return
		}
		c.list(p, t, d, l, n)
	default:
		if !equalScalar(t, dv, lv) {
			c.report(p, dv, lv, true, true)
		}
	}
}

// shownAtomic reports whether managers' field sets show that a map of which
// nothing is known is replaced as a whole: somebody owns it, and nobody its fields.
func (c *comparer) shownAtomic(p *place, t *Type, l map[string]any) bool {
	if t.shape != shapeUnknown || len(l) == 0 {
		return false
	}
	n, _ := c.owners.at(p)
	return n != nil && n.owners != 0 && n.leaf()
}

// vanishes reports whether a desired value that is not live would not be there
// after applying, either.
func (c *comparer) vanishes(f *fieldType, dv any) bool {
	if dv == nil {
		return !f.nullable
	}
	return !f.presence && isZero(f.typ, dv)
}

// removed compares what is live and not desired: what this agent applied before,
// and nobody else claims, goes away when the desired object is applied.
func (c *comparer) removed(p *place, parent *Type, f *fieldType, declared bool, lv any, siblings map[string]any, n *node) {
	if n == nil || n.below() == 0 || lv == nil && !f.keepsNull() {
		return
	}
	everyone, above := c.owners.at(p)
	if above != nil && above.owners&^c.owners.own != 0 {
		return // somebody else owns a list or map that holds it, as a whole
	}
	if c.kind.name == "autoscaling/v1.HorizontalPodAutoscaler" {
		// The controller owns its fields in another version, and converting
		// brings back what would be taken away.
		c.doubt(p)
		return
	}
	others := everyone.below() &^ c.owners.own
	if others == 0 && (declared || n.owners != 0 || f.typ.shape == shapeUnknown) {
		switch {
		case f.typ.shape == shapeUnknown, f.partial && !f.hasDef:
			// That it goes away is known; that it comes back as a default, not.
			c.presume(p, nil, lv, false, true)
		case !c.filledIn(p, parent, f, lv, siblings):
			c.report(p, nil, lv, false, true)
		}
		return
	}
	switch l := lv.(type) {
	case map[string]any:
		for _, child := range n.fields {
			if v, has := l[child.name]; has {
				cf, declared := f.typ.field(child.name)
				q := c.enter(p, step{field: child.name})
				c.removed(q, f.typ, cf, declared, v, l, child.node)
				c.leave(q)
			}
		}
	case []any:
		rule, keys := c.ruleOf(p, f.typ, n)
		switch rule {
		case mergeKeys:
			c.keyedList(p, f.typ, f.typ.element(), keys, nil, l, n)
		case mergeSet:
			c.setList(p, f.typ, nil, l, n)
		}
	}
}

// unionKeys are the keys of m and the fields of n, sorted.
func unionKeys(m map[string]any, n *node) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	if n != nil {
		for _, f := range n.fields {
			if !has(m, f.name) {
				keys = append(keys, f.name)
			}
		}
	}
	slices.Sort(keys)
	return keys
}

func has(m map[string]any, k string) bool {
	_, ok := m[k]
	return ok
}

// alike reports at a glance that two values are the same scalar, as most are.
func alike(d, l any) bool {
	switch d := d.(type) {
	case string:
		s, ok := l.(string)
		return ok && s == d && s != ""
	case int64:
		n, ok := l.(int64)
		return ok && n == d && n != 0
	case bool:
		b, ok := l.(bool)
		return ok && b && d
	}
	return false
}
