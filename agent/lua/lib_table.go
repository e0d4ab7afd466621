package lua

import (
	"sort"
	"strings"

	glua "github.com/yuin/gopher-lua"
)

func (st *state) tableFuncs() map[string]glua.LGFunction {
	return map[string]glua.LGFunction{
		"concat": st.tableConcat, "getn": st.tableGetn, "insert": st.tableInsert,
		"maxn": st.tableMaxn, "remove": st.tableRemove, "sort": st.tableSort,
	}
}

func (st *state) tableConcat(l *glua.LState) int {
	t := st.checkTable(l, 1)
	sep := l.OptString(2, "")
	from := l.OptInt(3, 1)
	to := l.OptInt(4, t.Len())
	size, n := 0, 0
	for i := from; i <= to; i++ {
		st.m.work(l, 1)
		v := t.RawGet(glua.LNumber(i))
		switch v := v.(type) {
		case glua.LString:
			size += len(v)
		case glua.LNumber:
			size += 24
		default:
			l.RaiseError("invalid value (%s) at index %d in table for concat", v.Type().String(), i)
		}
		if n++; n > 1 {
			size += len(sep)
		}
		if size > maxString {
			break
		}
	}
	st.m.str(l, size)
	var b strings.Builder
	b.Grow(size)
	for i := from; i <= to; i++ {
		if i > from {
			b.WriteString(sep)
		}
		b.WriteString(glua.LVAsString(t.RawGet(glua.LNumber(i))))
	}
	l.Push(glua.LString(b.String()))
	return 1
}

func (st *state) tableGetn(l *glua.LState) int {
	l.Push(glua.LNumber(st.checkTable(l, 1).Len()))
	return 1
}

func (st *state) tableInsert(l *glua.LState) int {
	t := st.checkTable(l, 1)
	n := t.Len()
	switch l.GetTop() {
	case 2:
		st.rawSetCounted(l, t, glua.LNumber(n+1), l.Get(2))
	case 3:
		at := l.CheckInt(2)
		if at < 1 || at > n {
			st.rawSetCounted(l, t, glua.LNumber(at), l.Get(3))
			break
		}
		st.m.work(l, (n-at)/8)
		st.m.charge(l, 32)
		t.Insert(at, l.Get(3))
	default:
		l.RaiseError("wrong number of arguments to 'insert'")
	}
	return 0
}

func (st *state) tableMaxn(l *glua.LState) int {
	t := st.checkTable(l, 1)
	most := glua.LNumber(0)
	for k, _ := t.Next(glua.LNil); k != glua.LNil; k, _ = t.Next(k) {
		st.m.work(l, 1)
		if n, ok := k.(glua.LNumber); ok {
			most = max(most, n)
		}
	}
	l.Push(most)
	return 1
}

func (st *state) tableRemove(l *glua.LState) int {
	t := st.checkTable(l, 1)
	n := t.Len()
	at := l.OptInt(2, n)
	if n == 0 || at < 1 || at > n {
		l.Push(glua.LNil)
		return 1
	}
	st.m.work(l, (n-at)/8)
	l.Push(t.Remove(at))
	return 1
}

// sorter sorts a copy of a list. An order that contradicts itself gives some
// order, and no error.
type sorter struct {
	st     *state
	l      *glua.LState
	less   *glua.LFunction
	values []glua.LValue
}

func (s sorter) Len() int      { return len(s.values) }
func (s sorter) Swap(i, j int) { s.values[i], s.values[j] = s.values[j], s.values[i] }
func (s sorter) Less(i, j int) bool {
	s.st.m.work(s.l, 1)
	if s.less == nil {
		return s.l.LessThan(s.values[i], s.values[j])
	}
	s.l.Push(s.less)
	s.l.Push(s.values[i])
	s.l.Push(s.values[j])
	s.l.Call(2, 1)
	less := glua.LVAsBool(s.l.Get(-1))
	s.l.Pop(1)
	return less
}

func (st *state) tableSort(l *glua.LState) int {
	t := st.checkTable(l, 1)
	s := sorter{st: st, l: l}
	if l.Get(2) != glua.LNil {
		s.less = l.CheckFunction(2)
	}
	n := t.Len()
	st.m.charge(l, 16*n)
	for i := 1; i <= n; i++ {
		s.values = append(s.values, t.RawGetInt(i))
	}
	sort.Sort(s)
	for i, v := range s.values {
		t.RawSetInt(i+1, v)
	}
	return 0
}
