package diff

import (
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/shared/manifest"
	"github.com/hawser-dev/hawser/shared/model"
)

// bits is a set of managers by their index; those beyond maxManagers are left
// out, which at worst hides who changed a field.
type bits uint64

const maxManagers = 64

// node is one place in the union of managers' field sets, whose format is
// FieldsV1 of meta/v1: "f:name" is a field, "k:{…}" an element of a list by its
// keys, "v:…" an element of a set, "." the place itself.
type node struct {
	owners bits
	// vague: a list that was applied, of which it is not known how it merges.
	vague  bool
	fields []namedNode // in order of name
	items  []item
	index  *itemIndex // of items, when it was needed
}

// itemIndex finds the nodes of a list's elements by identity.
type itemIndex struct {
	keys []string // nil: by the value of a member of a set
	byID map[string]*node
}

type namedNode struct {
	name string
	node *node
}

// item is an element of a list.
type item struct {
	raw  string // with its "k:" or "v:"
	node *node
}

func (n *node) field(name string) *node {
	if n == nil {
		return nil
	}
	if len(n.fields) <= 8 {
		for i := range n.fields {
			if n.fields[i].name == name {
				return n.fields[i].node
			}
		}
		return nil
	}
	if i, ok := slices.BinarySearchFunc(n.fields, name, func(f namedNode, name string) int { return strings.Compare(f.name, name) }); ok {
		return n.fields[i].node
	}
	return nil
}

// inOrder sorts the fields if need be; the API server writes them in order.
func (n *node) inOrder() {
	byName := func(a, b namedNode) int { return strings.Compare(a.name, b.name) }
	if !slices.IsSortedFunc(n.fields, byName) {
		slices.SortFunc(n.fields, byName)
	}
}

func (n *node) leaf() bool { return n == nil || len(n.fields) == 0 && len(n.items) == 0 }

// below is who owns the place or something below it.
func (n *node) below() bits {
	if n == nil {
		return 0
	}
	b := n.owners
	for _, c := range n.fields {
		b |= c.node.below()
	}
	for _, c := range n.items {
		b |= c.node.below()
	}
	return b
}

// keys are those of an element by keys, nil for others and for what is no JSON.
func (i item) keys() map[string]any {
	raw, ok := strings.CutPrefix(i.raw, "k:")
	if !ok {
		return nil
	}
	m, err := Decode([]byte(raw))
	if err != nil || len(m) == 0 {
		return nil
	}
	return m
}

// id is the identity of the element by keys that the item stands for. The usual
// one key that is a text without escapes costs nothing.
func (i item) id(t *Type, keys []string) (string, bool) {
	if len(keys) == 1 {
		if rest, ok := strings.CutPrefix(i.raw, `k:{"`); ok {
			if rest, ok = strings.CutPrefix(rest, keys[0]); ok {
				if rest, ok = strings.CutPrefix(rest, `":"`); ok && strings.HasSuffix(rest, `"}`) {
					if rest = rest[:len(rest)-2]; !strings.ContainsAny(rest, `"\\`) {
						return rest, true
					}
				}
			}
		}
	}
	m := i.keys()
	if m == nil {
		return "", false
	}
	return elementID(t, m, keys)
}

// value is that of an element of a set.
func (i item) value() (any, bool) {
	raw, ok := strings.CutPrefix(i.raw, "v:")
	if !ok {
		return nil, false
	}
	var v any
	if json.Unmarshal([]byte(raw), &v) != nil {
		return nil, false
	}
	return withInts(v), true
}

// ownership is what managedFields tell, read as far as it is needed.
type ownership struct {
	managers []live.FieldManager
	own      bits // this agent's entries
	ignored  bits // those of managers whose fields are ignored
	ours     *node
	everyone *node // nil until asked for
}

// ownership reads only this agent's own entries.
func (in *Input) ownership(managers []live.FieldManager) *ownership {
	us := cmp.Or(in.FieldManager, model.FieldManager)
	o := &ownership{managers: managers[:min(len(managers), maxManagers)], ours: &node{}}
	for i, m := range o.managers {
		if m.Subresource == "" && (m.Manager == us && m.Operation == "Apply" || slices.Contains(in.TakenOver, m.Manager)) {
			o.own |= 1 << i
		}
	}
	for i, m := range o.managers {
		if o.own&(1<<i) != 0 {
			o.ours.read(m.FieldsV1, 1<<i, o.own == 1<<i)
		}
	}
	return o
}

func (o *ownership) all() *node {
	if o.everyone == nil {
		o.everyone = &node{}
		for i, m := range o.managers {
			o.everyone.read(m.FieldsV1, 1<<i, false)
		}
	}
	return o.everyone
}

// applied takes for this agent's own what kubectl recorded as applied last. It
// stands in for managedFields where an object has none, as when it was printed
// without them.
func (o *ownership) applied(t *Type, object map[string]any) {
	o.own = 1 << (maxManagers - 1)
	for k, v := range object {
		if k != "apiVersion" && k != "kind" && k != "status" {
			f, _ := t.field(k)
			o.ours.apply(k, f.typ, v, o.own)
		}
	}
	o.ours.inOrder()
	o.everyone = o.ours
}

// apply adds the field set of having applied a value as a field.
func (n *node) apply(name string, t *Type, v any, bit bits) {
	if c := setOf(t, v, bit); c != nil {
		n.fields = append(n.fields, namedNode{name, c})
	}
}

// setOf is the field set of having applied a value, nil where it cannot be told.
func setOf(t *Type, v any, bit bits) *node {
	n := &node{}
	switch v := v.(type) {
	case map[string]any:
		if len(v) == 0 || !t.merges() {
			n.owners = bit
			return n
		}
		for k, e := range v {
			f, declared := t.field(k)
			n.apply(k, f.typ, e, bit)
			if i := len(n.fields) - 1; !declared && i >= 0 && n.fields[i].name == k {
				n.fields[i].node.owners |= bit
			}
		}
		n.inOrder()
	case []any:
		if t.shape == shapeUnknown || t.shape == shapeList && t.merge == mergeUnknown {
			n.owners, n.vague = bit, true
			return n
		}
		if len(v) == 0 || t.shape != shapeList || t.merge == mergeAtomic {
			n.owners = bit
			return n
		}
		for _, e := range v {
			it := item{raw: "v:" + string(manifest.AppendJSON(nil, e)), node: &node{}}
			if t.merge == mergeKeys {
				m, ok := e.(map[string]any)
				if !ok {
					return nil
				}
				keys := map[string]any{}
				for _, k := range t.keys {
					if part, ok := keyValue(t.elem, m, k); ok {
						keys[k] = part
					}
				}
				it.raw = "k:" + string(manifest.AppendJSON(nil, keys))
				if it.node = setOf(t.elem, e, bit); it.node == nil {
					continue
				}
			}
			it.node.owners |= bit
			n.items = append(n.items, it)
		}
	default:
		n.owners = bit
	}
	return n
}

// at is everybody's node at a place, or nil. above is the deepest node on the
// way that is a leaf: who owns it owns what is below.
func (o *ownership) at(p *place) (n, above *node) {
	n = o.all()
	for _, s := range p.path() {
		if n != nil && n.owners != 0 && n.leaf() {
			above = n
		}
		n = n.step(s)
		if n == nil {
			return nil, above
		}
	}
	return n, above
}

func (n *node) step(s step) *node {
	switch {
	case n == nil, s.isIndex:
		return nil
	case s.inSet:
		if id, ok := scalarID(s.value); ok {
			return n.members()[id]
		}
		return nil
	case s.keys != nil:
		return n.element(s.typ, s.keys, s.element)
	}
	return n.field(s.field)
}

// element is the node of one element of a list.
func (n *node) element(t *Type, keys []string, element map[string]any) *node {
	if n == nil || len(n.items) == 0 {
		return nil
	}
	id, ok := elementID(t, element, keys)
	if !ok {
		return nil
	}
	return n.elements(t, keys)[id]
}

// elements are the nodes of a list's elements by identity.
func (n *node) elements(t *Type, keys []string) map[string]*node {
	if n == nil || len(n.items) == 0 {
		return nil
	}
	if n.index != nil && slices.Equal(n.index.keys, keys) {
		return n.index.byID
	}
	out := make(map[string]*node, len(n.items))
	for _, it := range n.items {
		if id, ok := it.id(t, keys); ok {
			out[id] = it.node
		}
	}
	n.index = &itemIndex{keys: keys, byID: out}
	return out
}

// members are the nodes of a set's members.
func (n *node) members() map[string]*node {
	if len(n.items) == 0 {
		return nil
	}
	if n.index != nil && n.index.keys == nil {
		return n.index.byID
	}
	out := make(map[string]*node, len(n.items))
	for _, it := range n.items {
		if v, ok := it.value(); ok {
			if id, ok := scalarID(v); ok {
				out[id] = it.node
			}
		}
	}
	n.index = &itemIndex{byID: out}
	return out
}

// lastWriter is who set what is at a place last, this agent only when nobody else
// did. It is empty when nobody is known.
func (o *ownership) lastWriter(p *place) (manager string, at time.Time) {
	n, above := o.at(p)
	var owners bits
	switch {
	case n == nil && above != nil:
		owners = above.owners
	case n == nil:
		return "", time.Time{}
	default:
		owners = n.owners
		if owners == 0 {
			owners = n.below()
		}
	}
	if rest := owners &^ o.own; rest != 0 {
		owners = rest
	}
	var best *live.FieldManager
	for i := range o.managers {
		if owners&(1<<i) != 0 && (best == nil || o.managers[i].Time.After(best.Time)) {
			best = &o.managers[i]
		}
	}
	if best == nil {
		return "", time.Time{}
	}
	return best.Manager, best.Time
}

// ignores reports whether a manager whose fields are ignored owns the place, or
// the list or map that is replaced as a whole and holds it.
func (o *ownership) ignores(p *place) bool {
	if o.ignored == 0 {
		return false
	}
	n, above := o.at(p)
	if above != nil && above.owners&o.ignored != 0 {
		return true
	}
	return n != nil && n.leaf() && n.owners&o.ignored != 0
}

// read adds the field set of one manager. What cannot be read is left out: then
// less is known. alone says that no other one is ever added.
func (n *node) read(fields []byte, bit bits, alone bool) {
	if len(fields) == 0 {
		return
	}
	r := fieldsReader{text: string(fields)}
	if alone {
		r.leaf = &node{owners: bit}
	}
	tmp := &node{}
	if !r.object(tmp, bit, 0) || !r.atEnd() {
		return
	}
	n.join(tmp)
}

// join adds what another tree holds, which is not used any more.
func (n *node) join(o *node) {
	n.owners |= o.owners
	if n.fields == nil {
		n.fields = o.fields
	} else {
		for _, c := range o.fields {
			if mine := n.field(c.name); mine != nil {
				mine.join(c.node)
				continue
			}
			i, _ := slices.BinarySearchFunc(n.fields, c.name, func(f namedNode, name string) int { return strings.Compare(f.name, name) })
			n.fields = slices.Insert(n.fields, i, c)
		}
	}
	if n.items == nil {
		n.items = o.items
		return
	}
next:
	for _, it := range o.items {
		for i := range n.items {
			if n.items[i].raw == it.raw {
				n.items[i].node.join(it.node)
				continue next
			}
		}
		n.items = append(n.items, it)
	}
}

// fieldsReader reads FieldsV1: objects whose values are objects.
type fieldsReader struct {
	text  string
	pos   int
	block []node
	// fields and items are stacks of what is found.
	fields []namedNode
	items  []item
	// leaf stands for all places without anything below, when not nil.
	leaf *node
}

// maxFieldsDepth bounds the recursion on hostile input.
const maxFieldsDepth = 200

func (r *fieldsReader) space() {
	for r.pos < len(r.text) {
		switch r.text[r.pos] {
		case ' ', '\t', '\r', '\n':
			r.pos++
		default:
			return
		}
	}
}

func (r *fieldsReader) atEnd() bool {
	r.space()
	return r.pos == len(r.text)
}

func (r *fieldsReader) char(c byte) bool {
	r.space()
	if r.pos < len(r.text) && r.text[r.pos] == c {
		r.pos++
		return true
	}
	return false
}

func (r *fieldsReader) object(n *node, bit bits, depth int) bool {
	if depth > maxFieldsDepth || !r.char('{') {
		return false
	}
	if r.char('}') {
		return true
	}
	// What is found is put on a stack, and taken off in one piece at the end.
	fields, items := len(r.fields), len(r.items)
	for {
		key, ok := r.string()
		if !ok || !r.char(':') {
			return false
		}
		child := r.leaf
		empty := child != nil && strings.HasPrefix(r.text[r.pos:], "{}")
		if !empty {
			child = r.node()
		}
		if empty {
			r.pos += 2
		} else if !r.object(child, bit, depth+1) {
			return false
		}
		if child.leaf() {
			child.owners |= bit
		}
		switch {
		case key == ".":
			n.owners |= bit
		case strings.HasPrefix(key, "f:"):
			r.fields = append(r.fields, namedNode{key[2:], child})
		default:
			r.items = append(r.items, item{raw: key, node: child})
		}
		if r.char(',') {
			continue
		}
		n.fields, r.fields = takeOff(r.fields, fields)
		n.items, r.items = takeOff(r.items, items)
		n.inOrder()
		return r.char('}')
	}
}

// takeOff is a copy of what is on a stack above a height, and the rest of it.
func takeOff[T any](stack []T, height int) (top, rest []T) {
	if len(stack) > height {
		top = slices.Clone(stack[height:])
	}
	return top, stack[:height]
}

// node takes one from a block.
func (r *fieldsReader) node() *node {
	if len(r.block) == 0 {
		r.block = make([]node, 32)
	}
	n := &r.block[0]
	r.block = r.block[1:]
	return n
}

// string reads a JSON string. The usual ones have nothing escaped and cost
// nothing.
func (r *fieldsReader) string() (string, bool) {
	if !r.char('"') {
		return "", false
	}
	start := r.pos
	for r.pos < len(r.text) {
		switch r.text[r.pos] {
		case '"':
			r.pos++
			return r.text[start : r.pos-1], true
		case '\\':
			return r.escaped(start)
		}
		r.pos++
	}
	return "", false
}

func (r *fieldsReader) escaped(start int) (string, bool) {
	for r.pos < len(r.text) {
		switch r.text[r.pos] {
		case '\\':
			r.pos++
		case '"':
			r.pos++
			raw := r.text[start-1 : r.pos]
			if s, err := strconv.Unquote(raw); err == nil && !strings.Contains(raw, `\'`) {
				return s, true
			}
			var s string
			err := json.Unmarshal([]byte(raw), &s)
			return s, err == nil
		}
		r.pos++
	}
	return "", false
}
