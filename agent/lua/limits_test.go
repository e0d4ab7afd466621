package lua

import (
	"fmt"
	"runtime/metrics"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/shared/model"
)

// heap is the bytes of all objects that the collector has not freed.
func heap() uint64 {
	s := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

// peakOf is how much the heap grew at most while do ran.
func peakOf(do func()) uint64 {
	before := heap()
	most := before
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(500 * time.Microsecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				most = max(most, heap())
			}
		}
	})
	do()
	close(stop)
	wg.Wait()
	return most - before
}

// attacks are scripts that try to take time or memory without end.
var attacks = []struct{ name, source string }{
	{"loop", "while true do end"},
	{"goto", "::a:: goto a"},
	{"repeat", "repeat until false"},
	{"numeric for", "for i = 1, 1e15 do end"},
	{"generic for", "local function f() return 1 end for _ in f do end"},
	{"loop caught", "while true do pcall(function() while true do end end) end"},
	{"loop in a handler", "xpcall(function() while true do end end, function() while true do end end) while true do end"},
	{"tail calls", "local function f() return f() end return f()"},
	{"recursion", "local function f(n) return 1 + f(n + 1) end return f(1)"},
	{"recursion caught", "local function f() pcall(f) f() end f()"},
	{"recursion through a metamethod", "local t = setmetatable({}, {}) getmetatable(t).__index = function(t, k) return t[k .. 'x'] end return t.a"},
	{"metatables in a circle", "local a, b = {}, {} setmetatable(a, {__index = b}) setmetatable(b, {__index = a}) while true do local x = a.x end"},
	{"concatenation", "local s = 'x' while true do s = s .. s end"},
	{"concatenation of many", "local s = 'x' while true do s = s..s..s..s..s..s..s..s..s..s..s..s..s..s..s..s end"},
	{"concatenation kept", "local t, s = {}, ('x'):rep(1000) for i = 1, 1e9 do t[i] = s .. i end"},
	{"rep", "return ('x'):rep(1e9)"},
	{"rep of rep", "local s = ('x'):rep(1e6) local t = {} for i = 1, 1e9 do t[i] = s:rep(1) end"},
	{"format width", "return string.format('%1000000000d', 1)"},
	{"format precision", "return string.format('%.1000000000f', 1)"},
	{"format in a loop", "local t = {} for i = 1, 1e9 do t[i] = string.format('%99d%99d%99d', i, i, i) end"},
	{"format of long", "local s = ('x'):rep(1e6) return string.format('%s%s%s%s', s, s, s, s)"},
	{"upper kept", "local s = ('x'):rep(1e6) local t = {} for i = 1, 1e9 do t[i] = s:upper() end"},
	{"table.concat", "local s = ('x'):rep(1e6) local t = {} for i = 1, 1000 do t[i] = s end return table.concat(t)"},
	{"table.concat of a range", "return table.concat({}, 'x', 1, 1e15)"},
	{"char", "local t = {} for i = 1, 4000 do t[i] = 65 end local u = {} while true do u[#u + 1] = string.char(unpack(t)) end"},
	{"gsub that grows", "local s = ('x'):rep(1000) while true do s = s:gsub('x', s) end"},
	{"gsub that backtracks", "return (('a'):rep(100000)):gsub('.-.-.-.-.-b', '')"},
	{"match that backtracks", "return (('a'):rep(30)):match(('a?'):rep(30) .. ('a'):rep(31))"},
	{"find that backtracks", "return (('a'):rep(100000)):find('(.*)(.*)(.*)(.*)b')"},
	{"balance", "local s = ('('):rep(1e6) return s:find('%b()')"},
	{"pattern of many groups", "return (('a'):rep(1000)):match(('(a'):rep(300))"},
	{"long pattern", "return (('a'):rep(1e6)):match(('a?'):rep(5e5))"},
	{"gmatch kept", "local t = {} while true do t[#t + 1] = ('x'):gmatch('x') end"},
	{"array", "local t = {} for i = 1, 1e9 do t[i] = i end"},
	{"array with a gap", "local t = {} t[6e7] = 1"},
	{"array with a gap, computed", "local t = {[3e7 + 1] = 1, [6e7] = 2}"},
	{"arrays with gaps", "local t = {} for i = 1, 1e9 do local u = {} u[1e5] = 1 t[i] = u end"},
	{"rawset with a gap", "rawset({}, 6e7, 1)"},
	{"insert with a gap", "table.insert({}, 6e7, 1)"},
	{"gap through several targets", "local t = {} t[6e7], t[6e7 - 1] = 1, 2"},
	{"gap through a metatable", "local t = setmetatable({}, {}) t[6e7] = 1"},
	{"gap in the object", "obj.spec[6e7] = 1"},
	{"insert at the front", "local t = {} while true do table.insert(t, 1, 1) end"},
	{"keys", "local t = {} for i = 1, 1e9 do t['k' .. i] = true end"},
	{"tables", "local t = {} for i = 1, 1e9 do t[i] = {} end"},
	{"tables in fields", "local t = {} for i = 1, 1e9 do t = {a = t, b = {}, c = {}} end"},
	{"tables in lists", "local t = {} while true do t = {t, {}, {}, {}, {}, {}, {}, {}} end"},
	{"tables with fields", "local t = {} for i = 1, 1e9 do local u = {} u.a = 1 u.b = 2 u.c = 3 u.d = 4 u.e = 5 u.f = 6 u.g = 7 u.h = 8 u.i = 9 t[i] = u end"},
	{"tables as keys", "local t = {} while true do t[{}] = {} end"},
	{"functions", "local t = {} for i = 1, 1e9 do t[i] = function() return t end end"},
	{"functions in functions", "local f = nil while true do local g = f f = function() return g end end"},
	{"local functions", "local f = nil while true do local g = f local function h() return g end f = h end"},
	{"global functions", "while true do local g = f function f() return g end end"},
	{"functions in a condition", "local keep while (function() local k = keep keep = function() return k end return true end)() do end"},
	{"many upvalues", "local a,b,c,d,e,f,g,h,i,j = 1 local t = {} while true do local k,l,m,n,o,p,q,r = 1 t[#t+1] = function() return k,l,m,n,o,p,q,r end end"},
	{"varargs", "local t = {} local function f(...) t[#t + 1] = {...} end local u = {} for i = 1, 4000 do u[i] = i end while true do f(unpack(u)) end"},
	{"arg", "local t = {} local function f(...) t[#t + 1] = arg end local u = {} for i = 1, 4000 do u[i] = i end while true do f(unpack(u)) end"},
	{"unpack", "return unpack({}, 1, 1e9)"},
	{"unpack, much", "local t = {} while true do t = {unpack(t, 1, 4000)} t[#t + 1] = 1 end"},
	{"errors kept", "local s = ('x'):rep(1e6) local t = {} while true do local _, e = pcall(error, s) t[#t + 1] = e end"},
	{"errors of long keys kept", "local s = ('x'):rep(1e6) local t, x = {}, nil while true do local _, e = pcall(function() return x[s] end) t[#t + 1] = e end"},
	{"errors in a handler kept", "local s = ('x'):rep(1e6) local t = {} while true do xpcall(function() error(s) end, function(e) t[#t + 1] = e end) end"},
	{"globals", "for i = 1, 1e9 do _G['g' .. i] = i end"},
	{"sort without end", "local t = {} for i = 1, 1e5 do t[i] = i end while true do table.sort(t, function() return true end) end"},
	{"sort of strings", "local t = {} for i = 1, 1e5 do t[i] = 'k' .. (i * 7919 % 1e5) end while true do table.sort(t) end"},
	{"long keys", "local s = ('x'):rep(1e6) local t = {} while true do t[s] = 1 t[s] = nil end"},
	{"long comparison", "local a, b = ('x'):rep(1e6), ('x'):rep(1e6) while true do local c = a == b end"},
	{"holes at the end", "local t = {} for i = 1, 1e5 do t[i] = i end for i = 1e5, 1, -1 do t[i] = nil end while true do local n = #t end"},
	{"a result without end", "local t = {} t.status = t return t"},
	{"a result of many", "local t = {'x'} for i = 1, 60 do t = {t, t} end return {status = 'Healthy', message = t}"},
	{"reading a large object", "local n = 0 while true do for k, v in pairs(obj.spec.many) do n = n + #v end end"},
	{"writing to a large object", "while true do for k, v in pairs(obj.spec.many) do if type(v) == 'table' then v.a = 1 v.b = 2 v.c = 3 v.d = 4 v.e = 5 end end end"},
}

// endings are what an attack may end by: a limit, or a refusal of what would take too
// much before any of it is done.
var endings = []string{
	errTime.Error(), errMemory.Error(), errString.Error(),
	"stack overflow", "too many results to unpack", "too many recursions in gettable", "too many captures", "pattern too complex",
	"invalid value (nil) at index 1 in table for concat", "invalid format (width or precision too long)",
	"status is a table; it must be a string", "message is a table; it must be a string",
}

// largeSpec has 20,000 empty maps and 20,000 texts: 1 MB.
func largeSpec() map[string]any {
	many := make([]any, 0, 40000)
	for i := range 20000 {
		many = append(many, map[string]any{}, fmt.Sprintf("a text of some length, number %d", i))
	}
	return map[string]any{"many": many}
}

// TestAttacksEnd runs each attack as a health check, and every tenth as a
// discovery and an action too. It must end soon, within the memory, with a
// reason; and what comes after it must not notice.
func TestAttacksEnd(t *testing.T) {
	gk := model.GroupKind{Kind: "T"}
	obj := map[string]any{"apiVersion": "v1", "kind": "T", "metadata": map[string]any{"name": "n"}, "spec": largeSpec()}
	for i, a := range attacks {
		t.Run(a.name, func(t *testing.T) {
			p, err := compile("attack.lua", a.source)
			if err != nil {
				t.Fatal(err)
			}
			good, err := compile("good.lua", "return {status = 'Healthy', message = 'x' .. #obj.spec.many .. tostring(leak) .. ('a'):upper()}")
			if err != nil {
				t.Fatal(err)
			}
			s := newScripts()
			s.free = make(chan *state, 1)
			s.free <- nil
			s.health.add("", "T", p)
			s.actions.add("", "T", &actions{discovery: p, run: map[string]*program{"run": p}})
			s.health.add("", "Good", good)
			var f model.HealthFacet
			var took, worked time.Duration
			peak := peakOf(func() {
				began := time.Now()
				worked = cpuOf(func() { f, _ = s.Health(gk, obj) })
				took = time.Since(began)
			})
			if f.Status != model.HealthUnknown || f.Message == "" {
				t.Errorf("judged %v", f)
			}
			if i%10 == 0 {
				if _, err := s.Discover(gk, obj); err == nil {
					t.Error("discovery answers")
				}
				if _, err := s.Run(gk, "run", nil, obj, testNow); err == nil {
					t.Error("the action answers")
				}
			}
			if len(f.Message) > 700 || strings.ContainsAny(f.Message, "\n\x00") {
				t.Errorf("the message has %d bytes: %.200q", len(f.Message), f.Message)
			}
			if !slices.ContainsFunc(endings, func(e string) bool { return strings.HasSuffix(f.Message, e) }) {
				t.Errorf("it ended by none of the limits: %s", f.Message)
			}
			// The limits are 100 ms and 32 MiB; the rest is for slow machines, and for
			// garbage. A script cannot wait, so what it works is what it takes, but for
			// what else the machine does.
			if worked > mostWork {
				t.Errorf("worked %v", worked)
			}
			if peak > 128<<20 {
				t.Errorf("took %d MiB", peak>>20)
			}
			if g, _ := s.Health(model.GroupKind{Kind: "Good"}, obj); g.Status != model.HealthHealthy || g.Message != "x40000nilA" {
				t.Errorf("afterwards another script answers %v", g)
			}
			t.Logf("%v, CPU %v, %d MiB: %s", took.Round(time.Millisecond), worked.Round(time.Millisecond), peak>>20, f.Message)
		})
	}
}
