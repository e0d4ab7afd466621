package lua

import (
	"strings"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/shared/model"
)

// testNow is the time that scripts see in tests.
var testNow = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

// eval runs an expression or statements and returns the message of a health
// check that has the value as text.
func eval(t *testing.T, source string) (string, error) {
	t.Helper()
	return evalWith(t, source, map[string]any{"kind": "T"})
}

func evalWith(t *testing.T, source string, obj map[string]any) (string, error) {
	t.Helper()
	p, err := compile("t.lua", source)
	if err != nil {
		t.Fatalf("%v", err)
	}
	s := newScripts()
	s.now = func() time.Time { return testNow }
	s.health.add("", "T", p)
	f, ok := s.Health(model.GroupKind{Kind: "T"}, obj)
	if !ok {
		t.Fatal("the script was not found")
	}
	if f.Status != model.HealthHealthy {
		return "", &failure{message: f.Message}
	}
	return f.Message, nil
}

// show makes a script of an expression list.
func show(expr string) string {
	return "local out = {} for i, v in ipairs({" + expr + "}) do out[#out+1] = tostring(v) end return {status = \"Healthy\", message = table.concat(out, \"|\")}"
}

// TestTheLanguageIsLua holds the rewriting of scripts and the libraries to what
// Lua 5.1 says.
func TestTheLanguageIsLua(t *testing.T) {
	for _, c := range []struct{ expr, want string }{
		// Operators that are rewritten.
		{`"a" .. "b" .. 1 .. 2.5`, "ab12.5"},
		{`("a" .. "b"):upper() .. "c"`, "ABc"},
		{`#("x" .. "yz")`, "3"},
		{`(function(s) s = s .. "x" return s end)("a")`, "ax"},
		{`(function(a, s) s = a and (s .. a) or "n" return s end)("1", "2")`, "21"},
		{`(function(a, s) a, s = s .. "x", a .. "y" return a .. s end)("1", "2")`, "2x1y"},
		{`(function(a, s) local r = a .. s; s = r .. s; a = s .. a; return a end)("1", "2")`, "1221"},
		{`(function(s) s = #(s .. "xx") return s end)("a")`, "3"},
		{`(function() local f = function() return "a", "b" end return "x" .. f() end)()`, "xa"},
		{`(function(...) return "x" .. ... end)("a", "b")`, "xa"},
		{`(function(...) local t = {...} return #t .. select("#", ...) end)(1, 2, 3)`, "33"},
		{`(function(...) return arg.n .. arg[2] end)("a", "b")`, "2b"},
		{`(function() local t = {1, 2, [3] = "c", ["d"] = 4, e = 5, [1+5] = 6} return t[1] .. t[2] .. t[3] .. t.d .. t.e .. t[6] end)()`, "12c456"},
		{`(function() local function three() return 1, 2, 3 end local t = {three(), three()} return #t end)()`, "4"},
		{`(function() local t = {} t[1], t[2], t.x = 1, 2, 3 return t[1] .. t[2] .. t.x end)()`, "123"},
		{`(function() local i, t = 1, {} i, t[i] = i + 1, 20 return i .. t[1] end)()`, "220"},
		{`(function() local a, b = 1, 2 a, b = b, a return a .. b end)()`, "21"},
		{`(function() local t = {} function t.f(x) return x .. "f" end function t:g(x) return self.f(x) .. "g" end return t:g("x") end)()`, "xfg"},
		{`(function() local t = {a = {}} function t.a.b() return 7 end return t.a.b() end)()`, "7"},
		{`(function() local f = function(n) if n == 0 then return 0 end return n + f(n - 1) end return f(4) end)()`, "10"},
		{`(function() local function f(n) if n == 0 then return 0 end return n + f(n - 1) end return f(4) end)()`, "10"},
		{`(function() local t = {} for i = 1, 3 do t[#t+1] = function() return i end end return t[1]() .. t[2]() .. t[3]() end)()`, "123"},
		{`(function() local n = 0 while n < 3 do n = n + 1 if n == 2 then break end end return n end)()`, "2"},
		{`(function() local n = 0 repeat local m = n + 1 n = m until m >= 3 return n end)()`, "3"},
		{`(function() for i = 3, 1, -1 do if i == 2 then goto done end end ::done:: return "d" end)()`, "d"},
		{`(function() local t = setmetatable({}, {__concat = function(a, b) return (type(a) == "table" and "T" or a) .. (type(b) == "table" and "T" or b) end}) return "a" .. t .. "b" end)()`, "aTb"},
		{`(function() local log = "" local t = setmetatable({}, {__newindex = function(t, k, v) log = log .. k rawset(t, k, v) end}) t.a = 1 t.a = 2 t["b"] = 3 return log .. t.a end)()`, "ab2"},
		{`(function() local u = {} local t = setmetatable({}, {__newindex = u}) t.a = 5 return tostring(rawget(t, "a")) .. u.a end)()`, "nil5"},
		{`(function() local t = setmetatable({}, {__index = function(_, k) return k .. "!" end}) return t.a .. t.b end)()`, "a!b!"},
		{`(function() local t = {n = nil, 1} return #t end)()`, "1"},
		// The base library.
		{`type(nil), type(1), type("s"), type({}), type(print), type(true)`, "nil|number|string|table|function|boolean"},
		{`tostring(nil), tostring(true), tostring(1.5), tostring(10), tostring({})`, "nil|true|1.5|10|table"},
		{`tonumber("10"), tonumber(" 1e2 "), tonumber("0x10"), tonumber("ff", 16), tostring(tonumber("10m")), tostring(tonumber("")), tonumber("-1.5")`, "10|100|16|255|nil|nil|-1.5"},
		{`tostring(tonumber("inf")), tostring(tonumber("1_0")), tostring(tonumber({})), tostring(tonumber("nan")), tostring(tonumber("--1"))`, "nil|nil|nil|nil|nil"},
		{`select("#", 1, nil, 3), select(2, "a", "b"), (select(-1, "a", "b"))`, "3|b|b"},
		{`unpack({1, 2, 3}, 2)`, "2|3"},
		{`pcall(error, "x", 0)`, "false|x"},
		{`pcall(error, {code = 1}) , (select(2, pcall(error, {code = 7}))).code`, "false|7"},
		{`pcall(function() return 1, 2 end)`, "true|1|2"},
		{`xpcall(function() error("x", 0) end, function(e) return e .. "!" end)`, "false|x!"},
		{`select(2, pcall(function() local x = nil return x.y end))`, "t.lua:1: attempt to index a non-table object(nil) with key 'y'"},
		{`select(2, pcall(function() local x = nil x.y = 1 end))`, "t.lua:1: attempt to index a non-table object(nil) with key 'y'"},
		{`select(2, pcall(function() return "a" .. {} end))`, "t.lua:1: cannot perform concat operation between string and table"},
		{`select(2, pcall(error, "m", 0)), select(2, pcall(assert, false, "no")), assert(1, 2)`, "m|t.lua:1: no|1|2"},
		{`next({}) == nil, next({5})`, "true|1|5"},
		{`rawequal("a", "a"), rawget({a = 1}, "a"), rawset({}, "k", 2).k`, "true|1|2"},
		{`getmetatable("") == nil, getmetatable({}) == nil, getmetatable(setmetatable({}, {__metatable = "m"}))`, "true|true|m"},
		{`_G.tostring(1), _G["type"](1), _VERSION`, "1|number|Lua 5.1"},
		// string
		{`("abc"):sub(2), ("abc"):sub(-2, -1), ("abc"):sub(2, 1), ("abc"):sub(0), ("abc"):sub(-10, 2)`, "bc|bc||abc|ab"},
		{`("abc"):byte(), string.char(72, 105), ("abc"):len(), ("aB"):upper(), ("aB"):lower(), ("abc"):reverse(), ("ab"):rep(3), ("ab"):rep(0)`, "97|Hi|3|AB|ab|cba|ababab|"},
		{`string.byte("abc", 2, 3)`, "98|99"},
		{`("hello world"):find("wor")`, "7|9"},
		{`("a.b"):find(".", 1, true)`, "2|2"},
		{`("key = value"):match("^(%w+)%s*=%s*(%w+)$")`, "key|value"},
		{`("2026-03-04"):match("(%d+)-(%d+)-(%d+)")`, "2026|03|04"},
		{`("  x y  "):match("^%s*(.-)%s*$") .. "|"`, "x y|"},
		{`("f(a(b)c)d"):match("%b()"), ("THE (quick) fox"):find("%((%a+)%)")`, "(a(b)c)|5|11|quick"},
		{`("abcabc"):gsub("b", "X")`, "aXcaXc|2"},
		{`("abcabc"):gsub("b", "X", 1)`, "aXcabc|1"},
		{`("hello"):gsub("", "-")`, "-h-e-l-l-o-|6"},
		{`("hello world"):gsub("(%w+)", "<%1>"), (("abc"):gsub("%w", "%0%0"))`, "<hello> <world>|aabbcc"},
		{`(("$name is $age"):gsub("%$(%w+)", {name = "Bo", age = 7})), (("abc"):gsub("%w", function(c) if c == "b" then return "B" end end))`, "Bo is 7|aBc"},
		{`(("a,b,,c"):gsub(",", ";"))`, "a;b;;c"},
		{`(("abc"):gsub("^a", "x")), (("aaa"):gsub("^a", "x"))`, "xbc|xaa"},
		{`("THE (quick) fox"):find("%f[%a]%a+%f[%A]")`, "1|3"},
		{`("aa bb"):match("(%a)%1 (%a)%2")`, "a|b"},
		{`("abc"):match("()b()")`, "2|3"},
		{`("[x]"):match("[]]"), ("a-b"):match("[a%-]+"), ("^"):match("[%^]"), ("b"):match("[^a]")`, "]|a-|^|b"},
		{`(function() local out = {} for k, v in ("a=1, b=2"):gmatch("(%w+)=(%w+)") do out[#out+1] = k .. v end return table.concat(out, ",") end)()`, "a1,b2"},
		{`(function() local n = 0 for w in ("one two  three"):gmatch("%S+") do n = n + 1 end return n end)()`, "3"},
		{`string.format("%s %d %5.1f %x %%", "a", 3.7, 2.25, 255)`, "a 3   2.2 ff %"},
		{`string.format("%5s|%-5s|%05d|%.2s|%c|%q", "a", "b", 42, "xyz", 65, "q\"")`, "    a|b    |00042|xy|A|\"q\\\"\""},
		{`string.format("%s %s %s", nil, true, {}), string.format("%d", "10"), string.format("%i", 5)`, "nil true table|10|5"},
		// table
		{`table.concat({1, 2, "c"}, ", "), table.concat({}), table.concat({1, 2, 3}, "-", 2), table.concat({1, 2, 3}, "-", 2, 2)`, "1, 2, c||2-3|2"},
		{`(function() local t = {1, 2} table.insert(t, 3) table.insert(t, 1, 0) return table.concat(t) .. #t end)()`, "01234"},
		{`(function() local t = {1, 2, 3} local r = table.remove(t, 1) local l = table.remove(t) return r .. l .. #t .. tostring(table.remove({})) end)()`, "131nil"},
		{`(function() local t = {3, 1, 2} table.sort(t) local d = {3, 1, 2} table.sort(d, function(a, b) return a > b end) return table.concat(t) .. table.concat(d) end)()`, "123321"},
		{`table.getn({1, 2}), table.maxn({1, 2, [10] = 3})`, "2|10"},
		// math
		{`math.floor(1.7), math.ceil(1.2), math.max(1, 3, 2), math.min(2, 1), math.abs(-2), math.huge > 1, math.pi > 3, math.fmod(7, 3), 7 % 3, 2 ^ 10`, "1|2|3|1|2|true|true|1|1|1024"},
		{`math.random() < 1, math.random(1, 1), math.random(5) <= 5`, "true|1|true"},
		// os: the time of the run.
		{`os.time(), os.date("!%Y-%m-%dT%XZ"), os.date("!%Y-%m-%dT%H:%M:%SZ"), os.date("!%Y%m%d%H%M")`, "1772600767|2026-03-04T05:06:07Z|2026-03-04T05:06:07Z|202603040506"},
		{`os.time({year = 2026, month = 1, day = 2, hour = 3}), os.date("*t").year, os.date("%d.%m.%Y", 0), require("os").time()`, "1767322800|2026|01.01.1970|1772600767"},
	} {
		got, err := eval(t, show(c.expr))
		if err != nil {
			t.Errorf("%s: %v", c.expr, err)
		} else if got != c.want {
			t.Errorf("%s: %s, want %s", c.expr, got, c.want)
		}
	}
}

// TestScriptsFindNothingOutside holds that what would reach out does not exist.
func TestScriptsFindNothingOutside(t *testing.T) {
	for _, name := range []string{
		"io", "debug", "package", "coroutine", "channel", "load", "loadstring", "loadfile", "dofile", "module",
		"setfenv", "getfenv", "collectgarbage", "newproxy", "_printregs", "os.exit", "os.getenv", "os.setenv", "os.execute",
		"os.remove", "os.rename", "os.tmpname", "os.setlocale", "string.dump",
	} {
		got, err := eval(t, show("tostring("+name+")"))
		if err != nil || got != "nil" {
			t.Errorf("%s is %s %v", name, got, err)
		}
	}
	for _, name := range []string{"io", "debug", "package", "/etc/passwd", ""} {
		if _, err := eval(t, "require(\""+name+"\")"); err == nil || !strings.Contains(err.Error(), "is not available") {
			t.Errorf("require %q: %v", name, err)
		}
	}
}
