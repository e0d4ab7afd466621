package lua

import (
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	glua "github.com/yuin/gopher-lua"
)

// openBase makes the functions that every script sees, and those that count.
// There is no way to compile text, reach another environment or wait: no load,
// dofile, setfenv, module, coroutine, collectgarbage.
func (st *state) openBase() {
	st.base = st.table(map[string]glua.LGFunction{
		"assert": st.assert, "error": st.error, "getmetatable": st.getmetatable, "ipairs": st.ipairs,
		"next": st.next, "pairs": st.pairs, "pcall": st.pcall, "print": st.printLine,
		"rawequal": st.rawequal, "rawget": st.rawget, "rawset": st.rawset, "require": st.require,
		"select": st.selectArgs, "setmetatable": st.setmetatable, "tonumber": st.tonumber,
		"tostring": st.tostringFn, "type": st.typeOf, "unpack": st.unpack, "xpcall": st.xpcall,
	})
	st.base.RawSetString("_VERSION", glua.LString(glua.LuaVersion))
	rest := st.l.CreateTable(0, 1)
	rest.RawSetString("__index", st.l.NewFunction(st.global))
	st.base.Metatable = rest
	st.envMeta = st.l.CreateTable(0, 1)
	st.envMeta.RawSetString("__index", st.base)
	for _, f := range []glua.LGFunction{st.concat, st.newTable, st.set, st.closure, st.chargeFn, st.varargs} {
		st.counters = append(st.counters, st.l.NewFunction(f))
	}
}

// global finds what the environment has not: libraries, made when first used.
func (st *state) global(l *glua.LState) int {
	name, _ := l.Get(2).(glua.LString)
	switch {
	case name == "_G":
		st.provide("_G", st.env)
		l.Push(st.env)
	case st.libs[string(name)] != nil:
		lib := st.lib(string(name))
		st.provide(string(name), lib)
		l.Push(lib)
	default:
		l.Push(glua.LNil)
	}
	return 1
}

// require gives the libraries that are there anyway: Argo CD's scripts write
// local os = require("os").
func (st *state) require(l *glua.LState) int {
	name := l.CheckString(1)
	if st.libs[name] == nil {
		l.RaiseError("module %q is not available; allowed are math, os, string and table", clip(name))
	}
	lib := st.base.RawGetString(name)
	if lib == glua.LNil {
		lib = st.lib(name)
		st.provide(name, lib)
	}
	l.Push(lib)
	return 1
}

func clip(s string) string {
	if len(s) > 80 {
		return s[:80] + "…"
	}
	return s
}

// --- what the compiler puts into scripts

// concat is the operator "..".
func (st *state) concat(l *glua.LState) int {
	n := l.GetTop()
	size, plain := 0, true
	for i := 1; i <= n; i++ {
		switch v := l.Get(i).(type) {
		case glua.LString:
			size += len(v)
		case glua.LNumber:
			size += 24
		default:
			plain = false
		}
	}
	if plain {
		st.m.str(l, size)
		var b strings.Builder
		b.Grow(size)
		for i := 1; i <= n; i++ {
			b.WriteString(glua.LVAsString(l.Get(i)))
		}
		l.Push(glua.LString(b.String()))
		return 1
	}
	// From the right, two at a time, as metamethods want it.
	right := l.Get(n)
	for i := n - 1; i >= 1; i-- {
		left := l.Get(i)
		if glua.LVCanConvToString(left) && glua.LVCanConvToString(right) {
			a, b := glua.LVAsString(left), glua.LVAsString(right)
			st.m.str(l, len(a)+len(b))
			right = glua.LString(a + b)
			continue
		}
		op := l.GetMetaField(left, "__concat")
		if op == glua.LNil {
			op = l.GetMetaField(right, "__concat")
		}
		if op.Type() != glua.LTFunction {
			l.RaiseError("cannot perform concat operation between %v and %v", left.Type().String(), right.Type().String())
		}
		l.Push(op)
		l.Push(left)
		l.Push(right)
		l.Call(2, 1)
		right = l.Get(-1)
		l.Pop(1)
	}
	l.Push(right)
	return 1
}

// newTable is a table constructor: without arguments an empty table, else the
// given table and keys and values to set in it.
func (st *state) newTable(l *glua.LState) int {
	n := l.GetTop()
	if n == 0 {
		// Most of these get a field or two next; the interpreter would make room
		// for 32.
		st.m.charge(l, 4*tableBytes)
		l.Push(l.CreateTable(0, 4))
		return 1
	}
	t := l.CheckTable(1)
	st.m.charge(l, tableBytes+entryBytes+32*t.Len())
	for i := 2; i+1 <= n; i += 2 {
		st.rawSetCounted(l, t, l.Get(i), l.Get(i+1))
	}
	l.SetTop(1)
	return 1
}

// set is an assignment to a field.
func (st *state) set(l *glua.LState) int {
	st.setField(l, l.Get(1), l.Get(2), l.Get(3))
	return 0
}

func (st *state) setField(l *glua.LState, obj, key, value glua.LValue) {
	for range 100 {
		t, ok := obj.(*glua.LTable)
		if ok {
			st.fill(t)
			if t.Metatable == glua.LNil || t.RawGet(key) != glua.LNil {
				st.rawSetCounted(l, t, key, value)
				return
			}
		}
		handler := l.GetMetaField(obj, "__newindex")
		switch h := handler.(type) {
		case *glua.LNilType:
			if !ok {
				l.RaiseError("attempt to index a non-table object(%v) with key '%s'", obj.Type().String(), clip(key.String()))
			}
			st.rawSetCounted(l, t, key, value)
			return
		case *glua.LFunction:
			l.Push(h)
			l.Push(obj)
			l.Push(key)
			l.Push(value)
			l.Call(3, 0)
			return
		default:
			obj = handler
		}
	}
	l.RaiseError("too many recursions in settable")
}

// rawSetCounted sets a field and counts what a new one costs. A number as a key
// makes the interpreter fill the gap up to it, which costs too.
func (st *state) rawSetCounted(l *glua.LState, t *glua.LTable, key, value glua.LValue) {
	switch k := key.(type) {
	case glua.LNumber:
		if n := t.Len(); float64(k) > float64(n) && float64(k) < float64(glua.MaxArrayIndex) {
			st.m.charge(l, 32*(int(k)-n))
		} else if t.RawGet(key) == glua.LNil {
			st.m.charge(l, entryBytes)
		}
	default:
		if t.RawGet(key) == glua.LNil {
			st.m.charge(l, entryBytes)
		}
	}
	l.RawSet(t, key, value)
}

// closure is the making of a function: the bytes it takes, and the function.
func (st *state) closure(l *glua.LState) int {
	st.m.charge(l, int(l.CheckNumber(1)))
	l.Push(l.Get(2))
	return 1
}

// chargeFn counts the bytes of what the next statement makes.
func (st *state) chargeFn(l *glua.LState) int {
	st.m.charge(l, int(l.CheckNumber(1)))
	return 0
}

// varargs counts the table "arg" of a function with "...".
func (st *state) varargs(l *glua.LState) int {
	if t, ok := l.Get(1).(*glua.LTable); ok {
		st.m.charge(l, 4*tableBytes+32*t.Len())
	}
	return 0
}

// --- functions for scripts

func (st *state) assert(l *glua.LState) int {
	if !glua.LVAsBool(l.CheckAny(1)) {
		l.RaiseError("%s", l.OptString(2, "assertion failed!"))
	}
	return l.GetTop()
}

func (st *state) error(l *glua.LState) int {
	v := l.Get(1)
	if s, ok := v.(glua.LString); ok {
		st.m.str(l, len(s)+128)
	}
	l.Error(v, l.OptInt(2, 1))
	return 0
}

func (st *state) getmetatable(l *glua.LState) int {
	t, ok := l.CheckAny(1).(*glua.LTable)
	if !ok || t.Metatable == glua.LNil || st.hidden(t.Metatable) {
		l.Push(glua.LNil)
		return 1
	}
	mt := t.Metatable.(*glua.LTable)
	if v := mt.RawGetString("__metatable"); v != glua.LNil {
		l.Push(v)
		return 1
	}
	l.Push(mt)
	return 1
}

func (st *state) setmetatable(l *glua.LState) int {
	t := st.checkTable(l, 1)
	var mt glua.LValue = glua.LNil
	if l.Get(2) != glua.LNil {
		mt = st.checkTable(l, 2)
	}
	if old, ok := t.Metatable.(*glua.LTable); ok && !st.hidden(old) && old.RawGetString("__metatable") != glua.LNil {
		l.RaiseError("cannot change a protected metatable")
	}
	if t == st.env && t.Metatable == st.envMeta {
		// The base functions must not be lost with the metatable.
		for k, v := st.base.Next(glua.LNil); k != glua.LNil; k, v = st.base.Next(k) {
			if t.RawGet(k) == glua.LNil {
				t.RawSet(k, v)
			}
		}
		for _, name := range slices.Sorted(maps.Keys(st.libs)) {
			if t.RawGetString(name) == glua.LNil {
				t.RawSetString(name, st.lib(name))
			}
		}
		t.RawSetString("_G", t)
	}
	t.Metatable = mt
	l.SetTop(1)
	return 1
}

// checkTable is argument n, a table, filled.
func (st *state) checkTable(l *glua.LState, n int) *glua.LTable {
	t := l.CheckTable(n)
	st.fill(t)
	return t
}

func (st *state) ipairs(l *glua.LState) int {
	t := st.checkTable(l, 1)
	l.Push(st.ipairsNext())
	l.Push(t)
	l.Push(number(0))
	return 3
}

func (st *state) ipairsNext() glua.LValue {
	if st.iterate == nil {
		st.iterate = st.l.NewFunction(func(l *glua.LState) int {
			t, ok := l.Get(1).(*glua.LTable)
			if !ok {
				l.TypeError(1, glua.LTTable)
			}
			i := int(l.CheckNumber(2)) + 1
			v := t.RawGetInt(i)
			if v == glua.LNil {
				return 0
			}
			l.Push(number(i))
			l.Push(v)
			return 2
		})
	}
	return st.iterate
}

func (st *state) pairs(l *glua.LState) int {
	t := st.checkTable(l, 1)
	l.Push(st.base.RawGetString("next"))
	l.Push(t)
	l.Push(glua.LNil)
	return 3
}

func (st *state) next(l *glua.LState) int {
	t := st.checkTable(l, 1)
	k, v := t.Next(l.Get(2))
	l.Push(k)
	if k == glua.LNil {
		return 1
	}
	l.Push(v)
	return 2
}

func (st *state) pcall(l *glua.LState) int {
	l.CheckAny(1)
	return st.protected(l, l.GetTop()-1, nil)
}

func (st *state) xpcall(l *glua.LState) int {
	fn, handler := l.CheckAny(1), l.CheckFunction(2)
	l.SetTop(0)
	l.Push(fn)
	return st.protected(l, 0, handler)
}

// protected calls the function below its n arguments and returns true and its
// values, or false and the error.
func (st *state) protected(l *glua.LState, n int, handler *glua.LFunction) int {
	fn := l.Get(1)
	if fn.Type() != glua.LTFunction && l.GetMetaField(fn, "__call").Type() != glua.LTFunction {
		l.Push(glua.LFalse)
		l.Push(glua.LString("attempt to call a " + fn.Type().String() + " value"))
		return 2
	}
	err := l.PCall(n, glua.MultRet, handler)
	if st.m.err != nil {
		l.RaiseError("%s", st.m.err.Error()) // a limit cannot be caught
	}
	if err == nil {
		l.Insert(glua.LTrue, 1)
		return l.GetTop()
	}
	var what glua.LValue = glua.LString(err.Error())
	if api, ok := err.(*glua.ApiError); ok {
		what = api.Object
	}
	if s, ok := what.(glua.LString); ok {
		st.m.str(l, len(s))
	}
	l.Push(glua.LFalse)
	l.Push(what)
	return 2
}

func (st *state) printLine(l *glua.LState) int {
	if st.print == nil {
		return 0
	}
	var parts []string
	for i := 1; i <= l.GetTop(); i++ {
		parts = append(parts, st.text(l, l.Get(i)))
	}
	st.print(strings.Join(parts, "\t"))
	return 0
}

func (st *state) rawequal(l *glua.LState) int {
	l.Push(glua.LBool(l.RawEqual(l.CheckAny(1), l.CheckAny(2))))
	return 1
}

func (st *state) rawget(l *glua.LState) int {
	l.Push(st.checkTable(l, 1).RawGet(l.CheckAny(2)))
	return 1
}

func (st *state) rawset(l *glua.LState) int {
	st.rawSetCounted(l, st.checkTable(l, 1), l.CheckAny(2), l.CheckAny(3))
	l.SetTop(1)
	return 1
}

func (st *state) selectArgs(l *glua.LState) int {
	n := l.GetTop()
	if s, ok := l.Get(1).(glua.LString); ok && s == "#" {
		l.Push(glua.LNumber(n - 1))
		return 1
	}
	i := l.CheckInt(1)
	if i < 0 {
		i = n + i
	}
	if i < 1 {
		l.ArgError(1, "index out of range")
	}
	return max(0, n-i)
}

func (st *state) tonumber(l *glua.LState) int {
	v := l.CheckAny(1)
	base := l.OptInt(2, 10)
	if n, ok := v.(glua.LNumber); ok && base == 10 {
		l.Push(n)
		return 1
	}
	s, ok := v.(glua.LString)
	if !ok {
		l.Push(glua.LNil)
		return 1
	}
	if base != 10 {
		if base < 2 || base > 36 {
			l.ArgError(2, "base out of range")
		}
		n, err := strconv.ParseInt(strings.ToLower(strings.TrimSpace(string(s))), base, 64)
		if err != nil {
			l.Push(glua.LNil)
			return 1
		}
		l.Push(glua.LNumber(n))
		return 1
	}
	if n, ok := parseNumber(string(s)); ok {
		l.Push(glua.LNumber(n))
	} else {
		l.Push(glua.LNil)
	}
	return 1
}

// parseNumber reads a number as Lua's lexer does: decimal with an exponent, or
// hexadecimal, with white space around it.
func parseNumber(s string) (float64, bool) {
	s = strings.Trim(s, " \t\r\n\v\f")
	digits := strings.TrimLeft(s, "+-")
	if len(s)-len(digits) > 1 || digits == "" || len(s) > 400 {
		return 0, false
	}
	if hex, ok := strings.CutPrefix(strings.ToLower(digits), "0x"); ok {
		n, err := strconv.ParseUint(hex, 16, 64)
		if err != nil {
			return 0, false
		}
		if s[0] == '-' {
			return -float64(n), true
		}
		return float64(n), true
	}
	if strings.Trim(digits, "0123456789.eE+-") != "" {
		return 0, false // Go reads more: inf, underscores
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil && !math.IsInf(f, 0) {
		return 0, false
	}
	return f, true
}

func (st *state) tostringFn(l *glua.LState) int {
	l.Push(glua.LString(st.text(l, l.CheckAny(1))))
	return 1
}

// text is a value as people read it. A table has no address in it, which would
// differ from run to run.
func (st *state) text(l *glua.LState, v glua.LValue) string {
	switch v := v.(type) {
	case glua.LString:
		return string(v)
	case *glua.LTable:
		fn, ok := l.GetMetaField(v, "__tostring").(*glua.LFunction)
		if !ok {
			return "table"
		}
		l.Push(fn)
		l.Push(v)
		l.Call(1, 1)
		s := l.Get(-1)
		l.Pop(1)
		if !glua.LVCanConvToString(s) {
			l.RaiseError("'tostring' must return a string to 'print'")
		}
		return glua.LVAsString(s)
	case *glua.LFunction:
		return "function"
	}
	return v.String()
}

func (st *state) typeOf(l *glua.LState) int {
	l.Push(glua.LString(l.CheckAny(1).Type().String()))
	return 1
}

func (st *state) unpack(l *glua.LState) int {
	t := st.checkTable(l, 1)
	from := l.OptInt(2, 1)
	to := l.OptInt(3, t.Len())
	if n := to - from; n >= maxRegisters/2 {
		l.RaiseError("too many results to unpack")
	}
	for i := from; i <= to; i++ {
		l.Push(t.RawGet(glua.LNumber(i)))
	}
	return max(0, to-from+1)
}
