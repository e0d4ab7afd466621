package jinja

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/hawser-dev/hawser/shared/manifest"
)

// Values of templates are nil, bool, int64, float64, string and the types below.
// None of them has methods that templates could reach: what a template may call
// is in the tables of this package.

// list is a Python list, or something that is iterated like one.
type list struct {
	items []any
	kind  listKind
	used  bool // of a lazy one
}

type listKind byte

const (
	kindList listKind = iota
	kindTuple
	kindRange
	kindKeys
	kindValues
	kindItems
	// kindLazy is what map, select and others give: it can be gone through once
	// and has no length.
	kindLazy
	// kindGroup is a tuple with the names grouper and list.
	kindGroup
)

func newList(items []any) *list   { return &list{items: items} }
func newTuple(items ...any) *list { return &list{items: items, kind: kindTuple} }
func lazy(items []any) *list      { return &list{items: items, kind: kindLazy} }

// dict is a Python dict: it remembers the order of insertion.
type dict struct {
	entries []entry
	index   map[any]int
}

type entry struct{ key, value any }

func newDict() *dict { return &dict{index: map[any]int{}} }

// hashed is the key under which a value is found: 1, 1.0 and True are one key.
func hashed(k any) (any, error) {
	switch k := k.(type) {
	case string, int64:
		return k, nil
	case nil:
		return struct{}{}, nil
	case bool:
		if k {
			return int64(1), nil
		}
		return int64(0), nil
	case float64:
		if k == math.Trunc(k) && math.Abs(k) < 1<<62 {
			return int64(k), nil
		}
		return k, nil
	}
	return nil, fmt.Errorf("%s cannot be a key of a dict", typeName(k))
}

func (d *dict) get(k any) (any, bool) {
	h, err := hashed(k)
	if err != nil {
		return nil, false
	}
	i, ok := d.index[h]
	if !ok {
		return nil, false
	}
	return d.entries[i].value, true
}

func (d *dict) set(k, v any) error {
	h, err := hashed(k)
	if err != nil {
		return err
	}
	if i, ok := d.index[h]; ok {
		d.entries[i].value = v
		return nil
	}
	d.index[h] = len(d.entries)
	d.entries = append(d.entries, entry{k, v})
	return nil
}

func (d *dict) remove(k any) {
	h, err := hashed(k)
	if err != nil {
		return
	}
	i, ok := d.index[h]
	if !ok {
		return
	}
	d.entries = append(d.entries[:i], d.entries[i+1:]...)
	delete(d.index, h)
	for key, at := range d.index {
		if at > i {
			d.index[key] = at - 1
		}
	}
}

func (d *dict) keys() []any {
	out := make([]any, len(d.entries))
	for i, e := range d.entries {
		out[i] = e.key
	}
	return out
}

func (d *dict) copied() *dict {
	out := newDict()
	for _, e := range d.entries {
		_ = out.set(e.key, e.value) // the keys were keys before
	}
	return out
}

// undefined stands for what is not there. Using it is an error, except to ask
// whether it is defined and to give a default.
type undefined struct {
	text string // why, for the message
	fix  string
	at   place // where it was named, when that is known
	// silent: the missing else of a condition prints nothing.
	silent bool
}

// function is something to call.
type function struct {
	name string
	call func(m *machine, a *args) (any, error)
}

// namespace is what namespace() makes: attributes can be set.
type namespace struct{ attrs *dict }

// fromYAML converts what manifest.Values and decoding give.
func fromYAML(v any) any {
	switch v := v.(type) {
	case *manifest.Mapping:
		d := newDict()
		for _, k := range v.Keys {
			_ = d.set(k, fromYAML(v.Values[k])) // strings are keys
		}
		return d
	case []any:
		items := make([]any, len(v))
		for i, item := range v {
			items[i] = fromYAML(item)
		}
		return newList(items)
	}
	return v
}

func typeName(v any) string {
	switch v := v.(type) {
	case nil:
		return "none"
	case bool:
		return "a boolean"
	case int64:
		return "an integer"
	case float64:
		return "a float"
	case string:
		return "a string"
	case *list:
		switch v.kind {
		case kindTuple, kindGroup:
			return "a tuple"
		case kindLazy:
			return "a sequence that is not a list yet"
		}
		return "a list"
	case *dict:
		return "a dict"
	case *undefined:
		return "undefined"
	case *namespace:
		return "a namespace"
	case *macro:
		return "a macro"
	case *module:
		return "a module"
	case *loop:
		return "loop"
	case *function:
		return "a function"
	}
	return "something else"
}

// truthOf is Python's idea of true.
func truthOf(v any) bool {
	switch v := v.(type) {
	case nil:
		return false
	case bool:
		return v
	case int64:
		return v != 0
	case float64:
		return v != 0
	case string:
		return v != ""
	case *list:
		return len(v.items) > 0 || v.kind == kindLazy
	case *dict:
		return len(v.entries) > 0
	case *undefined:
		return false
	}
	return true
}

// writer is where values are spelled; its errors are about size.
type writer interface {
	WriteString(s string) (int, error)
}

var errDeep = errors.New("a value contains itself, or is nested too deep")

// writeValue spells a value as Python's str() does, and with repr as repr().
func writeValue(w writer, v any, repr bool, depth int) error {
	if depth > maxNesting {
		return errDeep
	}
	var s string
	switch v := v.(type) {
	case nil:
		s = "None"
	case bool:
		s = "False"
		if v {
			s = "True"
		}
	case int64:
		s = strconv.FormatInt(v, 10)
	case float64:
		s = floatText(v)
	case string:
		s = v
		if repr {
			s = pythonString(v)
		}
	case *list:
		return writeList(w, v, depth)
	case *dict:
		return writeDict(w, v, depth)
	case *undefined:
		if v.silent && !repr {
			return nil
		}
		return errors.New(v.text)
	case *namespace:
		return errors.New("a namespace cannot be printed: print one of its attributes")
	case *loop:
		return errors.New("loop cannot be printed: print one of its attributes, such as loop.index")
	case *macro:
		return fmt.Errorf("%s is a macro and cannot be printed: call it, %s()", v.name, v.name)
	case *function:
		return fmt.Errorf("%s is a function and cannot be printed: call it, %s(); a key of a dict with that name is [%q]", v.name, v.name, v.name[strings.LastIndexByte(v.name, '.')+1:])
	default:
		return fmt.Errorf("%s cannot be printed", typeName(v))
	}
	_, err := w.WriteString(s)
	return err
}

func writeList(w writer, l *list, depth int) error {
	open, end := "[", "]"
	switch l.kind {
	case kindTuple, kindGroup:
		open, end = "(", ")"
		if len(l.items) == 1 {
			end = ",)"
		}
	case kindKeys:
		open, end = "dict_keys([", "])"
	case kindValues:
		open, end = "dict_values([", "])"
	case kindItems:
		open, end = "dict_items([", "])"
	case kindLazy:
		return errors.New("a sequence that is not a list yet cannot be printed: write |list or |join after it")
	case kindRange:
		_, err := w.WriteString(rangeText(l))
		return err
	}
	if _, err := w.WriteString(open); err != nil {
		return err
	}
	for i, item := range l.items {
		if i > 0 {
			if _, err := w.WriteString(", "); err != nil {
				return err
			}
		}
		if err := writeValue(w, item, true, depth+1); err != nil {
			return err
		}
	}
	_, err := w.WriteString(end)
	return err
}

// rangeText is range(…) of a list of whole numbers at equal distances.
func rangeText(l *list) string {
	if len(l.items) == 0 {
		return "range(0, 0)"
	}
	first, _ := l.items[0].(int64)
	last, _ := l.items[len(l.items)-1].(int64)
	step := int64(1)
	if len(l.items) > 1 {
		second, _ := l.items[1].(int64)
		step = second - first
	}
	if step == 1 {
		return fmt.Sprintf("range(%d, %d)", first, last+1)
	}
	return fmt.Sprintf("range(%d, %d, %d)", first, last+step, step)
}

func writeDict(w writer, d *dict, depth int) error {
	if _, err := w.WriteString("{"); err != nil {
		return err
	}
	for i, e := range d.entries {
		if i > 0 {
			if _, err := w.WriteString(", "); err != nil {
				return err
			}
		}
		if err := writeValue(w, e.key, true, depth+1); err != nil {
			return err
		}
		if _, err := w.WriteString(": "); err != nil {
			return err
		}
		if err := writeValue(w, e.value, true, depth+1); err != nil {
			return err
		}
	}
	_, err := w.WriteString("}")
	return err
}

// floatText is repr() of a float: the shortest digits that give it back.
func floatText(f float64) string {
	switch {
	case math.IsInf(f, 1):
		return "inf"
	case math.IsInf(f, -1):
		return "-inf"
	case math.IsNaN(f):
		return "nan"
	}
	e := strconv.FormatFloat(f, 'e', -1, 64)
	exp, _ := strconv.Atoi(e[strings.IndexByte(e, 'e')+1:])
	if f != 0 && (exp < -4 || exp >= 16) {
		return e
	}
	s := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

// pythonString is repr() of a string.
func pythonString(s string) string {
	quote := byte('\'')
	if strings.Contains(s, "'") && !strings.Contains(s, `"`) {
		quote = '"'
	}
	var b strings.Builder
	b.WriteByte(quote)
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == rune(quote) || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case unicode.IsPrint(r):
			b.WriteRune(r)
		case r < 0x100:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r < 0x10000:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
		i += n
	}
	b.WriteByte(quote)
	return b.String()
}

// number is a value as a number; booleans are 1 and 0.
func number(v any) (i int64, f float64, isInt, ok bool) {
	switch v := v.(type) {
	case bool:
		if v {
			return 1, 1, true, true
		}
		return 0, 0, true, true
	case int64:
		return v, float64(v), true, true
	case float64:
		return 0, v, false, true
	}
	return 0, 0, false, false
}

// stored reports whether a list is a list or tuple of Python, and not a range or
// another sequence that Python does not add, repeat or order.
func stored(l *list) bool { return l.kind == kindList || isTuple(l) }

func isTuple(l *list) bool { return l.kind == kindTuple || l.kind == kindGroup }

// equal is Python's ==.
func (m *machine) equal(a, b any, depth int) (bool, error) {
	if err := m.step(); err != nil {
		return false, err
	}
	if depth > maxNesting {
		return false, m.fail("%s", errDeep)
	}
	for _, v := range []any{a, b} {
		if err := m.defined(v); err != nil {
			return false, err
		}
	}
	if ai, af, aInt, ok := number(a); ok {
		bi, bf, bInt, ok := number(b)
		if !ok {
			return false, nil
		}
		if aInt && bInt {
			return ai == bi, nil
		}
		return af == bf, nil
	}
	switch a := a.(type) {
	case nil:
		return b == nil, nil
	case string:
		b, ok := b.(string)
		return ok && a == b, nil
	case *list:
		b, ok := b.(*list)
		if !ok || isTuple(a) != isTuple(b) || len(a.items) != len(b.items) {
			return false, nil
		}
		for i := range a.items {
			if same, err := m.equal(a.items[i], b.items[i], depth+1); !same || err != nil {
				return false, err
			}
		}
		return true, nil
	case *dict:
		b, ok := b.(*dict)
		if !ok || len(a.entries) != len(b.entries) {
			return false, nil
		}
		for _, e := range a.entries {
			v, ok := b.get(e.key)
			if !ok {
				return false, nil
			}
			if same, err := m.equal(e.value, v, depth+1); !same || err != nil {
				return false, err
			}
		}
		return true, nil
	}
	return a == b, nil
}

// compare is -1, 0 or 1 for values that have an order.
func (m *machine) compare(a, b any, depth int) (int, error) {
	if err := m.step(); err != nil {
		return 0, err
	}
	if depth > maxNesting {
		return 0, m.fail("%s", errDeep)
	}
	for _, v := range []any{a, b} {
		if err := m.defined(v); err != nil {
			return 0, err
		}
	}
	if ai, af, aInt, ok := number(a); ok {
		if bi, bf, bInt, ok := number(b); ok {
			if aInt && bInt {
				return order(ai, bi), nil
			}
			return order(af, bf), nil
		}
	}
	switch x := a.(type) {
	case string:
		if y, ok := b.(string); ok {
			return strings.Compare(x, y), nil
		}
	case *list:
		if y, ok := b.(*list); ok && stored(x) && stored(y) && isTuple(x) == isTuple(y) {
			for i := range min(len(x.items), len(y.items)) {
				if c, err := m.compare(x.items[i], y.items[i], depth+1); c != 0 || err != nil {
					return c, err
				}
			}
			return order(len(x.items), len(y.items)), nil
		}
	}
	return 0, m.fail("%s and %s have no order", typeName(a), typeName(b))
}

func order[T int | int64 | float64](a, b T) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}
