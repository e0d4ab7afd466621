package lua

import (
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	glua "github.com/yuin/gopher-lua"
)

// state is a Lua state that runs one script after another. What a script can
// change is made anew for each run: the environment, and within it the tables of
// the libraries. What all runs share they cannot reach or change.
//
// A state is used by one goroutine at a time.
type state struct {
	l *glua.LState
	m meter
	// programs holds each program's function, made at its first run here.
	programs map[*program]*glua.LFunction
	counters []glua.LValue

	base    *glua.LTable            // functions every script sees
	libs    map[string]*glua.LTable // metatables of the libraries' proxies
	envMeta *glua.LTable
	strMeta *glua.LTable
	// lazy is the metatable of tables that are not filled yet.
	lazy    *glua.LTable
	iterate *glua.LFunction // the iterator of ipairs

	// The rest belongs to one run.
	env         *glua.LTable
	origins     map[*glua.LTable]*origin
	store       []*[64]origin // origins, reused by each run
	usedOrigins int
	meta        *glua.LTable // the object's metadata
	provided    []string     // globals of the run in base
	keys        []string     // scratch
	now         func() time.Time
	rnd         *rand.Rand
	print       func(string)
}

// maxOrigins is how many origins a state keeps for the next run.
const maxOrigins = 4096

func newState() *state {
	st := &state{
		l: glua.NewState(glua.Options{
			SkipOpenLibs: true, CallStackSize: maxCalls,
			RegistrySize: 256, RegistryMaxSize: maxRegisters, RegistryGrowStep: 256,
		}),
		programs: map[*program]*glua.LFunction{},
		origins:  map[*glua.LTable]*origin{},
	}
	st.l.SetContext(&st.m)
	st.m.reset()
	st.lazy = st.table(map[string]glua.LGFunction{"__index": st.lazyIndex, "__newindex": st.lazyNewIndex, "__len": st.lazyLen})
	st.openBase()
	st.libs = map[string]*glua.LTable{}
	for name, funcs := range map[string]map[string]glua.LGFunction{
		"string": st.stringFuncs(), "table": st.tableFuncs(), "math": st.mathFuncs(), "os": st.osFuncs(),
	} {
		lib := st.table(funcs)
		if name == "math" {
			mathConstants(lib)
		}
		meta := st.l.CreateTable(0, 1)
		meta.RawSetString("__index", lib)
		st.libs[name] = meta
		if name == "string" {
			st.strMeta = meta // so that ("x"):upper() works
			st.l.SetMetatable(glua.LString(""), meta)
		}
	}
	return st
}

// table makes a table of functions.
func (st *state) table(funcs map[string]glua.LGFunction) *glua.LTable {
	t := st.l.CreateTable(0, len(funcs))
	for name, f := range funcs {
		t.RawSetString(name, st.l.NewFunction(f))
	}
	return t
}

// lib makes a fresh table for a library: reads go to the shared functions,
// writes stay in the run.
func (st *state) lib(name string) *glua.LTable {
	t := st.l.CreateTable(0, 0)
	t.Metatable = st.libs[name]
	return t
}

// small holds boxed numbers, which are made often.
var small = func() (out [256]glua.LValue) {
	for i := range out {
		out[i] = glua.LNumber(i)
	}
	return out
}()

func number(n int) glua.LValue {
	if n >= 0 && n < len(small) {
		return small[n]
	}
	return glua.LNumber(n)
}

// hidden reports whether a metatable is one that scripts must not get.
func (st *state) hidden(mt glua.LValue) bool {
	t, ok := mt.(*glua.LTable)
	if !ok {
		return true
	}
	if t == st.lazy || t == st.envMeta || t == st.strMeta {
		return true
	}
	for _, lib := range st.libs {
		if t == lib {
			return true
		}
	}
	return false
}

// input is what a run works on.
type input struct {
	obj    map[string]any
	params map[string]string
	now    func() time.Time
	print  func(string)
}

// run runs a program and returns the last of its values. The value and all it
// leads to are good until the state runs again; the caller must call finish.
func (st *state) run(p *program, in input) (glua.LValue, error) {
	st.m.reset()
	st.now, st.print = in.now, in.print
	fn := st.programs[p]
	if fn == nil {
		var err error
		if fn, err = st.load(p); err != nil {
			return nil, err
		}
		st.programs[p] = fn
	}
	st.env = st.l.CreateTable(0, 4)
	st.env.Metatable = st.envMeta
	fn.Env = st.env
	st.provide("obj", st.object(in.obj))
	if in.params != nil {
		params := st.l.CreateTable(0, min(8, len(in.params)))
		for _, k := range slices.Sorted(maps.Keys(in.params)) {
			params.RawSetString(k, glua.LString(in.params[k]))
		}
		st.provide("actionParams", params)
	}
	st.l.Push(fn)
	if err := st.l.PCall(0, glua.MultRet, nil); err != nil {
		return nil, st.failure(err)
	}
	if st.l.GetTop() == 0 {
		return glua.LNil, nil
	}
	return st.l.Get(-1), nil
}

// provide gives the run a global variable. It is kept behind the environment,
// in a table that scripts cannot reach; finish takes it away.
func (st *state) provide(name string, v glua.LValue) {
	st.base.RawSetString(name, v)
	st.provided = append(st.provided, name)
}

// load makes the function of a program.
func (st *state) load(p *program) (*glua.LFunction, error) {
	st.l.Push(st.l.NewFunctionFromProto(p.proto))
	for _, c := range st.counters {
		st.l.Push(c)
	}
	if err := st.l.PCall(len(st.counters), 1, nil); err != nil {
		return nil, st.failure(err)
	}
	fn := st.l.Get(-1).(*glua.LFunction)
	st.l.SetTop(0)
	return fn, nil
}

// finish drops what belonged to the run.
func (st *state) finish() {
	st.l.SetTop(0)
	for _, name := range st.provided {
		st.base.RawSetString(name, glua.LNil)
	}
	st.provided = st.provided[:0]
	st.env, st.meta, st.now, st.print, st.rnd = nil, nil, nil, nil, nil
	st.dropOrigins()
	clear(st.keys[:cap(st.keys)])
}

// broken reports whether the state may not be used again: the interpreter
// itself failed.
func broken(err error) bool {
	if err == nil {
		return false
	}
	var f *failure
	return errors.As(err, &f) && f.broken
}

// failure is an error of a script, in one line.
type failure struct {
	message string
	broken  bool
}

func (f *failure) Error() string { return f.message }

func (st *state) failure(err error) error {
	if st.m.err != nil {
		return &failure{message: st.m.err.Error()}
	}
	var api *glua.ApiError
	if !errors.As(err, &api) {
		return &failure{message: err.Error(), broken: true}
	}
	f := &failure{broken: api.Type == glua.ApiErrorPanic}
	switch o := api.Object.(type) {
	case glua.LString:
		f.message = string(o)
	case glua.LNumber:
		f.message = o.String()
	default:
		f.message = fmt.Sprintf("the script raised an error that is a %s", o.Type())
	}
	if f.broken {
		f.message = "the interpreter failed: " + f.message
	}
	f.message = oneLine(f.message)
	return f
}

// oneLine makes a message of a bounded line.
func oneLine(s string) string {
	const most = 500
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' }), " ")
}

// random is the run's source of random numbers: the same in each run with the
// same time.
func (st *state) random() *rand.Rand {
	if st.rnd == nil {
		h := fnv.New64a()
		fmt.Fprint(h, st.now().UnixNano())
		st.rnd = rand.New(rand.NewPCG(h.Sum64(), 1))
	}
	return st.rnd
}
