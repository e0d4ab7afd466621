package jinja

import (
	"fmt"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/hawser-dev/hawser/hub/render/workspace"
	"github.com/hawser-dev/hawser/shared/nearest"
)

// args are the values of a call.
type args struct {
	pos   []any
	names []string // of named
	named []any
}

func (a *args) set(name string, v any) {
	a.names, a.named = append(a.names, name), append(a.named, v)
}

// arguments evaluates the arguments of a call.
func (m *machine) arguments(s *scope, list *arguments) (*args, error) {
	a := &args{}
	for _, e := range list.pos {
		v, err := e.eval(m, s)
		if err != nil {
			return nil, err
		}
		a.pos = append(a.pos, v)
	}
	for i, e := range list.named {
		v, err := e.eval(m, s)
		if err != nil {
			return nil, err
		}
		a.set(list.names[i], v)
	}
	if list.star != nil {
		v, err := list.star.eval(m, s)
		if err != nil {
			return nil, err
		}
		items, err := m.iterate(v)
		if err != nil {
			return nil, err
		}
		a.pos = append(a.pos, items...)
	}
	if list.double != nil {
		v, err := list.double.eval(m, s)
		if err == nil {
			err = m.defined(v)
		}
		if err != nil {
			return nil, err
		}
		d, ok := v.(*dict)
		if !ok {
			return nil, m.fail("\"**\" takes a dict, not %s", typeName(v))
		}
		for _, e := range d.entries {
			name, ok := e.key.(string)
			if !ok || contains(a.names, name) {
				return nil, m.fail("\"**\" needs names that are not given otherwise")
			}
			a.set(name, e.value)
		}
	}
	return a, nil
}

// iterateAny is iterate for the filters that take a value without truth, such as
// none, for an empty list.
func (m *machine) iterateAny(v any) ([]any, error) {
	if _, not := v.(*undefined); !not && !truthOf(v) {
		return nil, nil
	}
	return m.iterate(v)
}

// iterate returns the items of a value.
func (m *machine) iterate(v any) ([]any, error) {
	switch v := v.(type) {
	case *list:
		if v.kind == kindLazy {
			if v.used {
				return nil, m.fail("a sequence that is not a list was gone through before, and can be once only: write |list where it is made")
			}
			v.used = true
		}
		return v.items, nil
	case *dict:
		return v.keys(), m.chargeItems(len(v.entries))
	case string:
		if err := m.chargeItems(len(v)); err != nil {
			return nil, err
		}
		var out []any
		for _, r := range v {
			out = append(out, string(r))
		}
		return out, nil
	case *undefined:
		return nil, m.defined(v)
	}
	return nil, m.fail("%s cannot be gone through", typeName(v))
}

func (e *constExpr) eval(m *machine, _ *scope) (any, error) { return e.value, m.step() }

func (e *nameExpr) eval(m *machine, s *scope) (any, error) {
	m.line = e.line
	if err := m.step(); err != nil {
		return nil, err
	}
	return m.lookup(s, e.name)
}

func (e *attrExpr) eval(m *machine, s *scope) (any, error) {
	of, err := m.operand(e.of, s, e.line)
	if err != nil {
		return nil, err
	}
	return m.attr(of, e.name, e)
}

// operand evaluates an expression whose value is used.
func (m *machine) operand(e expr, s *scope, line int) (any, error) {
	if err := m.step(); err != nil {
		return nil, err
	}
	v, err := e.eval(m, s)
	if err != nil {
		return nil, err
	}
	if u, ok := v.(*undefined); ok {
		if u.silent {
			return nil, m.fail("a condition without else was not met, so there is no value")
		}
		return nil, m.defined(v)
	}
	m.line = line
	return v, nil
}

// attr is of.name: a method or attribute, or else an item.
func (m *machine) attr(of any, name string, e expr) (any, error) {
	switch v := of.(type) {
	case *dict:
		if f := method(of, name); f != nil {
			return f, nil
		}
		if item, ok := v.get(name); ok {
			return item, nil
		}
		return m.missingKey(v, e, name), nil
	case *namespace:
		if item, ok := v.attrs.get(name); ok {
			return item, nil
		}
		return m.missingKey(v.attrs, e, name), nil
	case *loop:
		return v.attr(m, name)
	case *module:
		return v.attr(name), nil
	case *blocks:
		return v.attr(name), nil
	case *list:
		if v.kind == kindGroup && name == "grouper" {
			return v.items[0], nil
		}
		if v.kind == kindGroup && name == "list" {
			return v.items[1], nil
		}
	case *macro:
		if name == "name" {
			return v.name, nil
		}
	}
	if f := method(of, name); f != nil {
		return f, nil
	}
	u := &undefined{text: fmt.Sprintf("%q is undefined: %s is %s", clipped(nameOf(e), 100), ownerOf(e), typeName(of)), at: place{m.file, m.line}}
	if names := methodNames(of); len(names) > 0 {
		if word := nearest.Word(name, names); word != "" {
			u.fix = "did you mean ." + word + "()?"
		}
	}
	return u, nil
}

func clipped(s string, n int) string { return workspace.Clip(s, n) }

// ownerOf names what an attribute or item is taken of.
func ownerOf(e expr) string {
	switch e := e.(type) {
	case *attrExpr:
		return clipped(nameOf(e.of), 80)
	case *itemExpr:
		return clipped(nameOf(e.of), 80)
	}
	return "it"
}

// missingKey explains that a dict has no such key.
func (m *machine) missingKey(d *dict, e expr, name string) *undefined {
	var names []string
	for _, entry := range d.entries {
		if k, ok := entry.key.(string); ok {
			names = append(names, k)
		}
	}
	label := ownerOf(e) + " has"
	u := &undefined{text: fmt.Sprintf("%q is undefined (%s)", clipped(nameOf(e), 100), listed(label, names)), at: place{m.file, m.line}}
	if len(names) == 0 {
		u.text = fmt.Sprintf("%q is undefined (%s is empty)", clipped(nameOf(e), 100), ownerOf(e))
	}
	if word := nearest.Word(name, names); word != "" {
		u.fix = fmt.Sprintf("did you mean %q?", word)
	}
	return u
}

func (e *itemExpr) eval(m *machine, s *scope) (any, error) {
	of, err := m.operand(e.of, s, e.line)
	if err != nil {
		return nil, err
	}
	i, err := m.operand(e.index, s, e.line)
	if err != nil {
		return nil, err
	}
	return m.item(of, i, e)
}

// item is of[i]; what there is not is *undefined.
func (m *machine) item(of, i any, e expr) (any, error) {
	switch v := of.(type) {
	case *dict:
		if item, ok := v.get(i); ok {
			return item, nil
		}
		if name, ok := i.(string); ok {
			return m.missingKey(v, e, name), nil
		}
		return &undefined{text: fmt.Sprintf("%q is undefined", clipped(nameOf(e), 100))}, nil
	case *list:
		if at, _, isInt, ok := number(i); ok && isInt {
			if v.kind == kindLazy {
				return nil, m.fail("a sequence that is not a list yet has no items by number: write |list")
			}
			if at < 0 {
				at += int64(len(v.items))
			}
			if at >= 0 && at < int64(len(v.items)) {
				return v.items[at], nil
			}
			return &undefined{text: fmt.Sprintf("%q is undefined: the list has %d items", clipped(nameOf(e), 100), len(v.items))}, nil
		}
	case string:
		if at, _, isInt, ok := number(i); ok && isInt {
			runes := []rune(v)
			if at < 0 {
				at += int64(len(runes))
			}
			if at >= 0 && at < int64(len(runes)) {
				return string(runes[at]), m.charge(len(v))
			}
			return &undefined{text: fmt.Sprintf("%q is undefined: the string has %d characters", clipped(nameOf(e), 100), len(runes))}, nil
		}
	}
	if name, ok := i.(string); ok {
		return m.attr(of, name, e)
	}
	return nil, m.fail("%s has no items by %s", typeName(of), typeName(i))
}

func (e *sliceExpr) eval(m *machine, s *scope) (any, error) {
	of, err := m.operand(e.of, s, e.line)
	if err != nil {
		return nil, err
	}
	bound := func(e2 expr) (*int64, error) {
		if e2 == nil {
			return nil, nil
		}
		v, err := m.operand(e2, s, e.line)
		if err != nil || v == nil {
			return nil, err
		}
		i, _, isInt, ok := number(v)
		if !ok || !isInt {
			return nil, m.fail("a slice has integers, not %s", typeName(v))
		}
		return &i, nil
	}
	from, err := bound(e.from)
	if err != nil {
		return nil, err
	}
	to, err := bound(e.to)
	if err != nil {
		return nil, err
	}
	step, err := bound(e.step)
	if err != nil {
		return nil, err
	}
	if step != nil && *step == 0 {
		return nil, m.fail("the step of a slice cannot be 0")
	}
	switch v := of.(type) {
	case string:
		runes := []rune(v)
		var b strings.Builder
		for _, i := range sliced(len(runes), from, to, step) {
			b.WriteRune(runes[i])
		}
		return b.String(), m.charge(5 * len(v))
	case *list:
		if v.kind == kindLazy || v.kind == kindKeys || v.kind == kindValues || v.kind == kindItems {
			return nil, m.fail("a sequence that is not a list yet cannot be sliced: write |list")
		}
		var out []any
		for _, i := range sliced(len(v.items), from, to, step) {
			out = append(out, v.items[i])
		}
		return &list{items: out, kind: v.kind}, m.chargeItems(2 * len(v.items))
	}
	return nil, m.fail("%s cannot be sliced", typeName(of))
}

// sliced are the indices of a slice of n items, as Python has them.
func sliced(n int, from, to, step *int64) []int {
	st := int64(1)
	if step != nil {
		st = max(min(*step, int64(n)+1), -int64(n)-1)
	}
	low, high := int64(0), int64(n)
	if st < 0 {
		low, high = -1, int64(n)-1
	}
	clamp := func(p *int64, otherwise int64) int64 {
		if p == nil {
			return otherwise
		}
		i := *p
		if i < 0 {
			i += int64(n)
		}
		return max(low, min(high, i))
	}
	var out []int
	if st > 0 {
		for i := clamp(from, low); i < clamp(to, high); i += st {
			out = append(out, int(i))
		}
		return out
	}
	for i := clamp(from, high); i > clamp(to, low); i += st {
		out = append(out, int(i))
	}
	return out
}

func (e *callExpr) eval(m *machine, s *scope) (any, error) {
	f, err := m.operand(e.of, s, e.line)
	if err != nil {
		return nil, err
	}
	a, err := m.arguments(s, &e.args)
	if err != nil {
		return nil, err
	}
	m.line = e.line
	return m.call(f, nameOf(e.of), a)
}

func (m *machine) call(f any, name string, a *args) (any, error) {
	switch f := f.(type) {
	case *function:
		return f.call(m, a)
	case *macro:
		return f.call(m, a)
	case *loop:
		return f.again(m, a)
	case *undefined:
		return nil, m.defined(f)
	}
	return nil, m.fail("%s is %s and cannot be called", clipped(name, 100), typeName(f))
}

func (e *filterExpr) eval(m *machine, s *scope) (any, error) {
	v, err := e.of.eval(m, s)
	if err != nil {
		return nil, err
	}
	m.line = e.line
	if e.name != "default" && e.name != "d" {
		if err := m.defined(v); err != nil {
			return nil, err
		}
	}
	a, err := m.arguments(s, &e.args)
	if err != nil {
		return nil, err
	}
	m.line = e.line
	return m.filter(e.name, v, a)
}

func (e *testExpr) eval(m *machine, s *scope) (any, error) {
	v, err := e.of.eval(m, s)
	if err != nil {
		return nil, err
	}
	a, err := m.arguments(s, &e.args)
	if err != nil {
		return nil, err
	}
	m.line = e.line
	ok, err := m.test(e.name, v, a)
	return ok != e.not, err
}

func (e *listExpr) eval(m *machine, s *scope) (any, error) {
	if err := m.chargeItems(len(e.items)); err != nil {
		return nil, err
	}
	out := make([]any, len(e.items))
	for i, item := range e.items {
		v, err := item.eval(m, s)
		if err != nil {
			return nil, err
		}
		out[i] = v
	}
	if e.tuple {
		return newTuple(out...), m.step()
	}
	return newList(out), m.step()
}

func (e *dictExpr) eval(m *machine, s *scope) (any, error) {
	d := newDict()
	if err := m.chargeItems(4 * len(e.keys)); err != nil {
		return nil, err
	}
	for i := range e.keys {
		k, err := m.operand(e.keys[i], s, e.line)
		if err != nil {
			return nil, err
		}
		v, err := e.values[i].eval(m, s)
		if err != nil {
			return nil, err
		}
		if err := d.set(k, v); err != nil {
			return nil, m.located(err)
		}
	}
	return d, nil
}

func (e *unaryExpr) eval(m *machine, s *scope) (any, error) {
	v, err := m.operand(e.of, s, e.line)
	if err != nil {
		return nil, err
	}
	if e.op == "not" {
		return !truthOf(v), nil
	}
	i, f, isInt, ok := number(v)
	switch {
	case !ok:
		return nil, m.fail("%q needs a number, not %s", e.op, typeName(v))
	case e.op == "+" && isInt:
		return i, nil
	case e.op == "+":
		return f, nil
	case isInt && i == math.MinInt64:
		return nil, m.fail("the number does not fit into 64 bits")
	case isInt:
		return -i, nil
	}
	return -f, nil
}

func (e *logicExpr) eval(m *machine, s *scope) (any, error) {
	left, err := e.left.eval(m, s)
	if err == nil {
		err = m.defined(left)
	}
	if err != nil || truthOf(left) == e.or {
		return left, err
	}
	return e.right.eval(m, s)
}

func (e *condExpr) eval(m *machine, s *scope) (any, error) {
	v, err := e.test.eval(m, s)
	if err == nil {
		err = m.defined(v)
	}
	switch {
	case err != nil:
		return nil, err
	case truthOf(v):
		return e.yes.eval(m, s)
	case e.no != nil:
		return e.no.eval(m, s)
	}
	return &undefined{silent: true, text: "a condition without else was not met"}, nil
}

func (e *compareExpr) eval(m *machine, s *scope) (any, error) {
	left, err := m.operand(e.first, s, e.line)
	if err != nil {
		return nil, err
	}
	for i, op := range e.ops {
		right, err := m.operand(e.rest[i], s, e.line)
		if err != nil {
			return nil, err
		}
		ok, err := m.compared(op, left, right)
		if !ok || err != nil {
			return false, err
		}
		left = right
	}
	return true, nil
}

func (m *machine) compared(op string, a, b any) (bool, error) {
	switch op {
	case "==":
		return m.equal(a, b, 0)
	case "!=":
		same, err := m.equal(a, b, 0)
		return !same, err
	case "in":
		return m.in(a, b)
	case "not in":
		in, err := m.in(a, b)
		return !in, err
	}
	c, err := m.compare(a, b, 0)
	switch op {
	case "<":
		return c < 0, err
	case ">":
		return c > 0, err
	case "<=":
		return c <= 0, err
	}
	return c >= 0, err
}

// in is Python's in.
func (m *machine) in(a, b any) (bool, error) {
	switch b := b.(type) {
	case string:
		s, ok := a.(string)
		if !ok {
			return false, m.fail("only a string can be in a string, not %s", typeName(a))
		}
		m.steps += len(b) / 64
		return strings.Contains(b, s), nil
	case *dict:
		if _, err := hashed(a); err != nil {
			return false, m.located(err)
		}
		_, ok := b.get(a)
		return ok, nil
	case *list:
		for _, item := range b.items {
			if same, err := m.equal(item, a, 0); same || err != nil {
				return same, err
			}
		}
		return false, nil
	case *undefined:
		return false, m.defined(b)
	}
	return false, m.fail("nothing can be in %s", typeName(b))
}

func (e *binaryExpr) eval(m *machine, s *scope) (any, error) {
	left, err := m.operand2(e.left, s, e)
	if err != nil {
		return nil, err
	}
	right, err := m.operand2(e.right, s, e)
	if err != nil {
		return nil, err
	}
	if e.op == "~" {
		a, err := m.text(left)
		if err != nil {
			return nil, err
		}
		b, err := m.text(right)
		if err != nil {
			return nil, err
		}
		return a + b, m.charge(len(a) + len(b))
	}
	return m.arithmetic(e.op, left, right)
}

// operand2 is operand, except that "~" takes what a condition without else left.
func (m *machine) operand2(e expr, s *scope, of *binaryExpr) (any, error) {
	if of.op != "~" {
		return m.operand(e, s, of.line)
	}
	v, err := e.eval(m, s)
	if err == nil {
		err = m.defined(v)
	}
	if u, ok := v.(*undefined); ok && u.silent {
		v = ""
	}
	m.line = of.line
	return v, err
}

func (m *machine) arithmetic(op string, a, b any) (any, error) {
	ai, af, aInt, aNum := number(a)
	bi, bf, bInt, bNum := number(b)
	switch {
	case aNum && bNum && aInt && bInt && op != "/":
		return m.integers(op, ai, bi)
	case aNum && bNum:
		return m.floats(op, af, bf)
	}
	switch x := a.(type) {
	case string:
		switch y, isText := b.(string); {
		case op == "%":
			return m.percent(x, b)
		case op == "+" && isText:
			return x + y, m.charge(len(x) + len(y))
		case op == "*" && bInt:
			return m.repeat(x, bi)
		}
	case *list:
		switch y, isList := b.(*list); {
		case op == "+" && isList && stored(x) && stored(y) && isTuple(x) == isTuple(y):
			if err := m.chargeItems(len(x.items) + len(y.items)); err != nil {
				return nil, err
			}
			return &list{items: append(append([]any(nil), x.items...), y.items...), kind: x.kind}, nil
		case op == "*" && bInt && stored(x):
			n := max(bi, 0)
			if n > maxValue || int64(len(x.items))*n > maxValue/16 {
				return nil, m.chargeItems(maxValue)
			}
			var out []any
			for range n {
				out = append(out, x.items...)
			}
			return &list{items: out, kind: x.kind}, m.chargeItems(len(out))
		}
	}
	if op == "*" && aInt {
		switch y := b.(type) {
		case string:
			return m.arithmetic(op, b, a)
		case *list:
			if stored(y) {
				return m.arithmetic(op, b, a)
			}
		}
	}
	err := m.problem(codeError, "%q cannot be done with %s and %s", op, typeName(a), typeName(b))
	_, aText := a.(string)
	_, bText := b.(string)
	if op == "+" && (aText || bText) {
		return nil, err.WithFix("write ~ to join them as text, or |int to count")
	}
	return nil, err
}

func (m *machine) repeat(s string, n int64) (any, error) {
	if n <= 0 || s == "" {
		return "", nil
	}
	if n > maxValue || int64(len(s))*n > maxValue {
		return nil, m.charge(maxValue + 1)
	}
	return strings.Repeat(s, int(n)), m.charge(len(s) * int(n))
}

func (m *machine) overflow() error {
	return m.problem(codeUnsupported, "the number does not fit into 64 bits")
}

func (m *machine) integers(op string, a, b int64) (any, error) {
	switch op {
	case "+":
		if c := a + b; (c > a) == (b > 0) {
			return c, nil
		}
	case "-":
		if c := a - b; (c < a) == (b > 0) {
			return c, nil
		}
	case "*":
		if a == 0 || b == 0 {
			return int64(0), nil
		}
		if c := a * b; c/b == a && (a != -1 || b != math.MinInt64) && (b != -1 || a != math.MinInt64) {
			return c, nil
		}
	case "//", "%":
		if b == 0 {
			return nil, m.fail("division by zero")
		}
		if a == math.MinInt64 && b == -1 {
			return nil, m.overflow()
		}
		q, r := a/b, a%b
		if r != 0 && (r < 0) != (b < 0) {
			q, r = q-1, r+b
		}
		if op == "//" {
			return q, nil
		}
		return r, nil
	case "**":
		if b < 0 {
			return m.floats(op, float64(a), float64(b))
		}
		out := int64(1)
		for range min(b, 64) {
			c, err := m.integers("*", out, a)
			if err != nil {
				return nil, err
			}
			out = c.(int64)
		}
		if b > 64 && a != 0 && a != 1 && a != -1 {
			return nil, m.overflow()
		}
		if b > 64 && a == -1 && b%2 == 1 {
			return int64(-1), nil
		}
		return out, nil
	}
	return nil, m.overflow()
}

func (m *machine) floats(op string, a, b float64) (any, error) {
	if b == 0 && (op == "/" || op == "//" || op == "%") {
		return nil, m.fail("division by zero")
	}
	var out float64
	switch op {
	case "+":
		out = a + b
	case "-":
		out = a - b
	case "*":
		out = a * b
	case "/":
		out = a / b
	case "//":
		out = math.Floor(a / b)
	case "%":
		out = math.Mod(a, b)
		switch {
		case out == 0:
			out = math.Copysign(0, b)
		case (out < 0) != (b < 0):
			out += b
		}
	default:
		if a == 0 && b < 0 {
			return nil, m.fail("division by zero")
		}
		if a < 0 && b != math.Trunc(b) {
			return nil, m.problem(codeUnsupported, "the result is a complex number")
		}
		if out = math.Pow(a, b); math.IsInf(out, 0) && !math.IsInf(a, 0) && !math.IsInf(b, 0) {
			return nil, m.fail("the number is too large")
		}
	}
	return out, nil
}

func runeLen(s string) int { return utf8.RuneCountInString(s) }
