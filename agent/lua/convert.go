package lua

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"

	glua "github.com/yuin/gopher-lua"
)

// origin is what a table stands for: a map or a list of the object. Until a
// script needs it whole the table is empty, and its fields are read from here.
type origin struct {
	m    map[string]any
	list []any
	// kids are the tables already made for fields of m, so that obj.spec is the
	// same table each time.
	kids []kid
	// reads is how many fields were read one by one.
	reads int
}

type kid struct {
	key   string
	table *glua.LTable
}

// What a table costs, and what each entry costs once a script has seen it.
const (
	tableBytes = 128
	entryBytes = 160
)

// maxReads is how many single reads a table serves from its origin. Then it is
// filled, which makes further ones cheaper.
const maxReads = 16

// object is the table for a whole Kubernetes object.
func (st *state) object(obj map[string]any) *glua.LTable {
	t := st.l.CreateTable(0, 0)
	st.standFor(t, obj, nil, len(obj))
	if meta, ok := obj["metadata"].(map[string]any); ok {
		st.meta = st.kid(st.origins[t], "metadata", meta)
	}
	return t
}

// wrap makes a Lua value of a decoded JSON value.
func (st *state) wrap(v any) glua.LValue {
	switch v := v.(type) {
	case string:
		return glua.LString(v)
	case bool:
		return glua.LBool(v)
	case int64:
		return glua.LNumber(v)
	case float64:
		return glua.LNumber(v)
	case map[string]any:
		t := st.l.CreateTable(0, min(8, len(v)))
		st.standFor(t, v, nil, len(v))
		return t
	case []any:
		t := st.l.CreateTable(min(8, len(v)), 0)
		st.standFor(t, nil, v, len(v))
		return t
	case int:
		return glua.LNumber(v)
	case int32:
		return glua.LNumber(v)
	case json.Number:
		if f, err := v.Float64(); err == nil {
			return glua.LNumber(f)
		}
	}
	return glua.LNil
}

// standFor notes what t, an empty table, stands for.
func (st *state) standFor(t *glua.LTable, m map[string]any, list []any, n int) {
	o := st.newOrigin()
	o.m, o.list = m, list
	st.origins[t] = o
	st.m.bytes += tableBytes
	if n > 0 {
		t.Metatable = st.lazy
	}
}

// newOrigin takes an origin from the state's store, which outlives runs.
func (st *state) newOrigin() *origin {
	const block = 64
	i := st.usedOrigins
	st.usedOrigins++
	if i/block == len(st.store) {
		st.store = append(st.store, new([block]origin))
	}
	return &st.store[i/block][i%block]
}

// dropOrigins forgets what tables stand for.
func (st *state) dropOrigins() {
	if st.usedOrigins > maxOrigins {
		st.origins, st.store = map[*glua.LTable]*origin{}, nil
	}
	for i := 0; i < st.usedOrigins && i/64 < len(st.store); i++ {
		o := &st.store[i/64][i%64]
		clear(o.kids)
		*o = origin{kids: o.kids[:0]}
	}
	clear(st.origins)
	st.usedOrigins = 0
}

// field is a field of an origin that is a map.
func (st *state) field(o *origin, key string) glua.LValue {
	switch v := o.m[key].(type) {
	case map[string]any, []any:
		return st.kid(o, key, v)
	default:
		return st.wrap(v)
	}
}

func (st *state) kid(o *origin, key string, v any) *glua.LTable {
	for _, k := range o.kids {
		if k.key == key {
			return k.table
		}
	}
	t := st.wrap(v).(*glua.LTable)
	o.kids = append(o.kids, kid{key, t})
	return t
}

// fill fills a table that a script needs whole. Every library function that
// reads a table calls it first.
func (st *state) fill(t *glua.LTable) {
	if t.Metatable != st.lazy {
		return
	}
	t.Metatable = glua.LNil
	o := st.origins[t]
	if o.m != nil {
		st.fillMap(t, o)
		return
	}
	// As in Argo CD, a list has no nulls.
	n := 0
	for _, item := range o.list {
		if v := st.wrap(item); v != glua.LNil {
			n++
			t.RawSetInt(n, v)
		}
	}
	st.m.bytes += int64(16 * n)
}

func (st *state) fillMap(t *glua.LTable, o *origin) {
	keys := st.keys[:0]
	for k := range o.m {
		if !st.unseen(t, k) {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	for _, k := range keys {
		if v := st.field(o, k); v != glua.LNil {
			t.RawSetString(k, v)
		}
	}
	st.m.bytes += int64(entryBytes * len(keys))
	st.keys = keys
}

// unseen reports whether scripts are not shown a field: managedFields are
// large, and no script has use for them.
func (st *state) unseen(t *glua.LTable, key string) bool {
	return t == st.meta && key == "managedFields"
}

// lazyIndex reads a field of a table that is not filled.
func (st *state) lazyIndex(l *glua.LState) int {
	t, key := l.Get(1).(*glua.LTable), l.Get(2)
	o := st.origins[t]
	if s, ok := key.(glua.LString); ok && o.m != nil && o.reads < maxReads {
		o.reads++
		if st.unseen(t, string(s)) {
			l.Push(glua.LNil)
		} else {
			l.Push(st.field(o, string(s)))
		}
		return 1
	}
	st.fill(t)
	l.Push(t.RawGet(key))
	return 1
}

func (st *state) lazyNewIndex(l *glua.LState) int {
	st.setField(l, l.Get(1), l.Get(2), l.Get(3))
	return 0
}

func (st *state) lazyLen(l *glua.LState) int {
	t := l.Get(1).(*glua.LTable)
	st.fill(t)
	l.Push(glua.LNumber(t.Len()))
	return 1
}

// What a script may return.
const (
	maxDepth  = 100
	maxValues = 200_000
)

// decoder makes decoded JSON of what a script returns.
type decoder struct {
	st     *state
	path   []*glua.LTable
	values int
}

// decode makes decoded JSON of v. old is what the source object has at the same
// place: it tells maps from lists where a table is empty, and keeps numbers
// that Lua cannot hold. Tables that the script never touched come back as they
// were, as copies.
func (d *decoder) decode(v glua.LValue, old any) (any, error) {
	if d.values++; d.values > maxValues {
		return nil, fmt.Errorf("the result has more than %d values", maxValues)
	}
	switch v := v.(type) {
	case *glua.LNilType:
		return nil, nil
	case glua.LBool:
		return bool(v), nil
	case glua.LString:
		return string(v), nil
	case glua.LNumber:
		return decodeNumber(float64(v), old)
	case *glua.LTable:
		return d.decodeTable(v, old)
	}
	return nil, fmt.Errorf("a %s is no value of JSON", v.Type())
}

func decodeNumber(f float64, old any) (any, error) {
	switch o := old.(type) {
	case int64:
		if float64(o) == f {
			return o, nil
		}
	case float64:
		if o == f {
			return o, nil
		}
	}
	switch {
	case math.IsNaN(f) || math.IsInf(f, 0):
		return nil, fmt.Errorf("%v is no number of JSON", f)
	case f == math.Trunc(f) && math.Abs(f) < 1<<63:
		return int64(f), nil
	}
	return f, nil
}

func (d *decoder) decodeTable(t *glua.LTable, old any) (any, error) {
	if o, ok := d.st.origins[t]; ok {
		if old = o.list; o.m != nil {
			old = o.m
		}
		if t.Metatable == d.st.lazy && len(o.kids) == 0 {
			return d.copy(old)
		}
		d.st.fill(t)
	}
	if len(d.path) >= maxDepth {
		return nil, fmt.Errorf("the result is nested more than %d levels deep", maxDepth)
	}
	if slices.Contains(d.path, t) {
		return nil, fmt.Errorf("a table contains itself")
	}
	d.path = append(d.path, t)
	defer func() { d.path = d.path[:len(d.path)-1] }()

	key, value := t.Next(glua.LNil)
	switch key.(type) {
	case *glua.LNilType:
		return d.decodeEmpty(t, old), nil
	case glua.LNumber:
		return d.decodeList(t, key, value, old)
	case glua.LString:
		return d.decodeMap(t, key, value, old)
	}
	return nil, fmt.Errorf("a table has a %s as a key; use strings, or numbers from 1", key.Type())
}

// decodeEmpty decides between {} and []: Lua has but one empty table.
func (d *decoder) decodeEmpty(t *glua.LTable, old any) any {
	if m, ok := old.(map[string]any); ok {
		out := map[string]any{}
		d.restore(t, m, out)
		return out
	}
	return []any{}
}

func (d *decoder) decodeList(t *glua.LTable, key, value glua.LValue, old any) (any, error) {
	before, _ := old.([]any)
	out := []any{}
	for key != glua.LNil {
		n, ok := key.(glua.LNumber)
		if !ok {
			return nil, fmt.Errorf("a table has both numbers and strings as keys")
		}
		if int(n) != len(out)+1 || float64(n) != math.Trunc(float64(n)) {
			return nil, fmt.Errorf("a list has a gap before its element %v; remove elements with table.remove", n)
		}
		var o any
		if len(out) < len(before) {
			o = before[len(out)]
		}
		item, err := d.decode(value, o)
		if err != nil {
			return nil, fmt.Errorf("[%d]: %w", len(out), err)
		}
		out = append(out, item)
		key, value = t.Next(key)
	}
	return out, nil
}

func (d *decoder) decodeMap(t *glua.LTable, key, value glua.LValue, old any) (any, error) {
	before, _ := old.(map[string]any)
	out := map[string]any{}
	for key != glua.LNil {
		k, ok := key.(glua.LString)
		if !ok {
			return nil, fmt.Errorf("a table has both numbers and strings as keys")
		}
		o := before[string(k)]
		if before == nil && (k == "labels" || k == "annotations") {
			o = map[string]any{} // a new empty table here cannot be a list
		}
		item, err := d.decode(value, o)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", string(k), err)
		}
		out[string(k)] = item
		key, value = t.Next(key)
	}
	d.restore(t, before, out)
	return out, nil
}

// restore puts back what a script cannot see: nulls and, in the metadata,
// managedFields.
func (d *decoder) restore(t *glua.LTable, before, out map[string]any) {
	for k, v := range before {
		if _, ok := out[k]; ok {
			continue
		}
		if v == nil || t == d.st.meta && k == "managedFields" {
			out[k], _ = d.copy(v)
		}
	}
}

// copy copies a value that the script left alone.
func (d *decoder) copy(v any) (any, error) {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, item := range v {
			c, err := d.copy(item)
			if err != nil {
				return nil, err
			}
			out[k] = c
		}
		return out, d.count(len(v))
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			c, err := d.copy(item)
			if err != nil {
				return nil, err
			}
			out[i] = c
		}
		return out, d.count(len(v))
	}
	return v, nil
}

func (d *decoder) count(n int) error {
	if d.values += n; d.values > maxValues {
		return fmt.Errorf("the result has more than %d values", maxValues)
	}
	return nil
}
