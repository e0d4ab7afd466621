package lua

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/hawser-dev/hawser/shared/model"
)

func parsed(t testing.TB, data map[string]string) *Scripts {
	t.Helper()
	s, err := Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func thing(t testing.TB, script string) *Scripts {
	t.Helper()
	return parsed(t, map[string]string{"resource.customizations.health.example.com_Thing": script})
}

func decoded(t testing.TB, text string) map[string]any {
	t.Helper()
	var out map[string]any
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

const place = "resource.customizations.health.example.com_Thing"

func TestAnswersOfHealthScripts(t *testing.T) {
	for _, c := range []struct{ script, status, message string }{
		{`return {status = "Healthy", message = "fine"}`, "Healthy", "fine"},
		{`return {status = "Suspended"}`, "Suspended", ""},
		{`hs = {} hs.status = "Missing" hs.message = nil return hs`, "Missing", ""},
		{`return {Status = "Degraded", MESSAGE = "as JSON of Go"}`, "Degraded", "as JSON of Go"},
		{`return {status = "Healthy", message = "two\nlines\n"}`, "Healthy", "two\nlines\n"},
		{`return {status = "Healthy", message = "\255x"}`, "Healthy", "�x"},
		{`return 1, {status = "Healthy"}`, "Healthy", ""}, // the last value counts, as in Argo CD
		{`return obj.status`, "Degraded", "of the object"},
		{`return {status = "Fine"}`, "Unknown", "Lua returned an invalid health status"},
		{`return {status = "healthy"}`, "Unknown", "Lua returned an invalid health status"},
		{`return {message = "x"}`, "Unknown", "Lua returned an invalid health status"},
		{`return {}`, "", ""}, // it has no health
		{`return`, "", ""},
		{``, "", ""},
		{`return "Healthy"`, "Unknown", place + ": the script returned a string; it must return a table with status and message"},
		{`return {"Healthy"}`, "Unknown", place + ": the script returned a list; it must return a table with status and message"},
		{`return {status = 1}`, "Unknown", place + ": status is a number; it must be a string"},
		{`return {status = "Healthy", message = {}}`, "Unknown", place + ": message is a table; it must be a string"},
		{"local x\nreturn x.y", "Unknown", place + ":2: attempt to index a non-table object(nil) with key 'y'"},
		{`error("no luck")`, "Unknown", place + ":1: no luck"},
		{`error("no place", 0)`, "Unknown", place + ": no place"},
		{`error({})`, "Unknown", place + ": the script raised an error that is a table"},
		{`while true do end`, "Unknown", place + ": stopped: the script ran longer than 100 ms"},
		{`return ("x"):rep(1e9)`, "Unknown", place + ": stopped: the script made a string longer than 1 MiB"},
	} {
		s := thing(t, c.script)
		f, ok := s.Health(benchKind, decoded(t, `{"kind":"Thing","status":{"status":"Degraded","message":"of the object"}}`))
		if ok != (c.script != "") || string(f.Status) != c.status || f.Message != c.message || f.Since != nil {
			t.Errorf("%s: %v %q %q", c.script, ok, f.Status, f.Message)
		}
	}
}

func TestLongMessagesAreCut(t *testing.T) {
	f, _ := thing(t, `return {status = "Healthy", message = ("é"):rep(5000)}`).Health(benchKind, map[string]any{})
	if len(f.Message) > maxMessage+10 || !strings.HasSuffix(f.Message, "é…") {
		t.Errorf("%d bytes, ends in %q", len(f.Message), f.Message[len(f.Message)-6:])
	}
}

func TestObjectsBeingDeletedAreNotHealthy(t *testing.T) {
	obj := decoded(t, `{"metadata":{"deletionTimestamp":"2026-01-02T03:04:05Z","finalizers":["a/b"]}}`)
	for script, want := range map[string]model.HealthFacet{
		`return {status = "Healthy", message = "x"}`:                                            {},
		`return {status = "Suspended"}`:                                                         {},
		`return {status = "Degraded", message = "x"}`:                                           {Status: "Degraded", Message: "x"},
		`return {status = "Progressing", message = "waits for " .. obj.metadata.finalizers[1]}`: {Status: "Progressing", Message: "waits for a/b"},
	} {
		if f, ok := thing(t, script).Health(benchKind, obj); f != want || ok != (want.Status != "") {
			t.Errorf("%s: %v %v", script, f, ok)
		}
	}
}

// TestObjectsLookLikeTables reads an object in every way that Lua knows, of
// which some fill its tables and some do not.
func TestObjectsLookLikeTables(t *testing.T) {
	obj := decoded(t, `{"kind":"T","metadata":{"name":"n","managedFields":[{"manager":"m"}],"labels":{}},
		"list":[{"a":1},null,{"a":3}],"map":{"b":2,"a":1,"none":null,"c":{"d":true}},"float":1.5,"empty":[],
		"wide":{"k1":1,"k2":2,"k3":3,"k4":4,"k5":5,"k6":6,"k7":7,"k8":8,"k9":9}}`)
	obj["big"], obj["int"], obj["int32"] = int64(1)<<60, 7, int32(8)
	for _, c := range []struct{ expr, want string }{
		{`obj.kind, obj["kind"], obj.nothing == nil, obj.map.none == nil, type(obj), type(obj.map), type(obj.list)`, "T|T|true|true|table|table|table"},
		{`#obj.list, obj.list[1].a, obj.list[2].a, obj.list[3] == nil, #obj.empty, #obj.map, table.getn(obj.list)`, "2|1|3|true|0|0|2"},
		{`obj.map == obj.map, obj.map.c == obj.map.c, obj.list[1] == obj.list[1], obj.map == obj.list`, "true|true|true|false"},
		{`(function() local s = "" for k, v in pairs(obj.map) do s = s .. k end return s end)()`, "abc"},
		{`(function() local s = "" for i, v in ipairs(obj.list) do s = s .. i .. v.a end return s end)()`, "1123"},
		{`next(obj.empty) == nil, next(obj.metadata.labels) == nil, (next(obj.map))`, "true|true|a"},
		{`rawget(obj.map, "b"), rawget(obj.list, 1).a, select("#", unpack(obj.list))`, "2|1|2"},
		{`getmetatable(obj) == nil, getmetatable(obj.map) == nil, getmetatable(obj.list) == nil`, "true|true|true"},
		{`obj.metadata.managedFields == nil, (function() local n = 0 for k in pairs(obj.metadata) do n = n + 1 end return n end)()`, "true|2"},
		{`obj.float + 0.5, obj.big == 2^60, obj.int + obj.int32`, "2|true|15"},
		{`(function() local m = obj.map local c = m.c m.b = 20 m.x = 1 m.a = nil return m.b .. m.x .. tostring(m.a) .. tostring(m.c == c) end)()`, "201niltrue"},
		{`(function() local m = obj.map rawset(m, "z", 1) return m.z .. m.b end)()`, "12"},
		{`(function() table.insert(obj.list, {a = 9}) table.remove(obj.list, 1) return #obj.list .. obj.list[2].a end)()`, "29"},
		{`(function() local n = 0 for i = 1, 3 do for k = 1, 9 do n = n + obj.wide["k" .. k] end end return n end)()`, "135"},
		{`(function() local m = setmetatable(obj.map, {__index = function() return "d" end}) return m.a .. m.nothing end)()`, "1d"},
		{`(function() for k, v in pairs(obj.map) do obj.map[k] = nil end return tostring(next(obj.map)) end)()`, "nil"},
		{`(function() obj.list[1] = nil return tostring(obj.list[1]) .. obj.list[2].a end)()`, "nil3"},
		{`table.concat({"a", obj.kind}, "-"), obj.kind .. obj.float`, "a-T|T1.5"},
	} {
		before := fmt.Sprint(obj)
		got, err := evalWith(t, show(c.expr), obj)
		if err != nil || got != c.want {
			t.Errorf("%s: %s %v, want %s", c.expr, got, err, c.want)
		}
		if fmt.Sprint(obj) != before {
			t.Fatalf("%s changed the object", c.expr)
		}
	}
}

// TestRunsSeeNothingOfEachOther lets one script change all that it can reach,
// and another look.
func TestRunsSeeNothingOfEachOther(t *testing.T) {
	vandal := `
	leak = "leaked" _G.leak2 = "leaked" obj.leak = "leaked"
	string.format = function() return "leaked" end string.leak = "leaked" table.leak = "leaked" math.pi = "leaked" os.time = "leaked"
	local osm = require("os") osm.date = "leaked"
	pairs = nil tostring = nil _G.ipairs = nil
	pcall(function() getmetatable("").__index = nil end)
	pcall(function() getmetatable("").__index.upper = nil end)
	pcall(function() setmetatable("", {}) end)
	pcall(function() setmetatable(_G, {__index = function() return "leaked" end, __newindex = function() end}) end)
	pcall(function() getmetatable(obj).__index = nil end)
	pcall(function() rawset(string, "upper", nil) end)
	pcall(function() string.upper = nil end)
	pcall(function() require = nil end)
	return {status = "Healthy", message = "done"}`
	victim := show(`tostring(leak), tostring(leak2), tostring(obj.leak), tostring(string.leak), tostring(table.leak), ("x"):upper(), string.format("%d", 1),
		math.pi > 3, type(os.time()), type(os.date()), type(pairs), type(ipairs), type(require), rawequal(_G, _G._G), tostring(actionParams)`)
	want := "nil|nil|nil|nil|nil|X|1|true|number|string|function|function|function|true|nil"
	s := newScripts()
	s.free = make(chan *state, 1) // one state for both
	s.free <- nil
	for kind, script := range map[string]string{"Vandal": vandal, "Victim": victim} {
		p, err := compile(kind, script)
		if err != nil {
			t.Fatal(err)
		}
		s.health.add("", kind, p)
	}
	obj := map[string]any{"kind": "T"}
	for range 3 {
		if f, _ := s.Health(model.GroupKind{Kind: "Vandal"}, obj); f.Message != "done" {
			t.Fatal(f)
		}
		if f, _ := s.Health(model.GroupKind{Kind: "Victim"}, obj); f.Message != want {
			t.Fatalf("%v\nwant %s", f, want)
		}
	}
}

func TestScriptsMayRunAtOnce(t *testing.T) {
	s := thing(t, typicalHealth)
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for j := range 50 {
				obj := benchObject(1)
				conditions := obj["status"].(map[string]any)["conditions"].([]any)
				text := fmt.Sprintf("%d of %d", j, i)
				conditions[2].(map[string]any)["message"] = text
				if f, _ := s.Health(benchKind, obj); f.Message != "SomeReason: "+text {
					t.Errorf("%v, want %s", f, text)
				}
			}
		})
	}
	wg.Wait()
	if n := len(s.free); n != cap(s.free) {
		t.Errorf("%d of %d states came back", n, cap(s.free))
	}
}

// TestSecretsAreHidden: scripts come from the hub, and their answers go there.
func TestSecretsAreHidden(t *testing.T) {
	gk := model.GroupKind{Kind: "Secret"}
	obj := decoded(t, `{"apiVersion":"v1","kind":"Secret","type":"Opaque","metadata":{"name":"n","annotations":{"a":"b","token":"aHVudGVyMg",
		"kubectl.kubernetes.io/last-applied-configuration":"{\"data\":{\"password\":\"aHVudGVyMg==\"}}"}},
		"data":{"password":"aHVudGVyMg==","user":"Ym8="},"stringData":"not a map"}`)
	before := fmt.Sprint(obj)
	s := parsed(t, map[string]string{
		"resource.sensitive.mask.annotations": "other, token",
		"resource.customizations.health.Secret": `
			local all = {}
			local function walk(v, path)
				if type(v) == "table" then for k, x in pairs(v) do walk(x, path .. "." .. tostring(k)) end else all[#all + 1] = path .. "=" .. tostring(v) end
			end
			walk(obj, "")
			table.sort(all)
			return {status = "Healthy", message = table.concat(all, " ")}`,
		"resource.customizations.actions.Secret": `
definitions:
- name: rotate
  action.lua: |
    obj.data.user = "bmV3"
    obj.data.fresh = obj.data.password
    obj.metadata.annotations.copy = obj.data.password
    return obj
- name: copy
  action.lua: |
    return {{operation = "create", resource = {apiVersion = "v1", kind = "ConfigMap", metadata = {name = "x"}, data = obj.data}}}
`})
	f, _ := s.Health(gk, obj)
	if strings.Contains(f.Message, "aHVudGVyMg") || !strings.Contains(f.Message, ".data.password=(hidden)") || !strings.Contains(f.Message, ".metadata.annotations.a=b") {
		t.Error(f.Message)
	}
	effects, err := s.Run(gk, "rotate", nil, obj, testNow)
	if err != nil {
		t.Fatal(err)
	}
	data := effects[0].Object["data"].(map[string]any)
	annotations := effects[0].Object["metadata"].(map[string]any)["annotations"].(map[string]any)
	if !reflect.DeepEqual(data, map[string]any{"password": "aHVudGVyMg==", "user": "bmV3", "fresh": "(hidden)"}) {
		t.Errorf("%v", data)
	}
	if annotations["copy"] != "(hidden)" || annotations["token"] != "aHVudGVyMg" || !strings.Contains(annotations["kubectl.kubernetes.io/last-applied-configuration"].(string), "aHVudGVyMg") {
		t.Errorf("%v", annotations)
	}
	effects, err = s.Run(gk, "copy", nil, obj, testNow)
	if err != nil || strings.Contains(fmt.Sprint(effects), "aHVudGVyMg") {
		t.Errorf("%v %v", effects, err)
	}
	if fmt.Sprint(obj) != before {
		t.Error("the object was changed")
	}
}

func TestNoScriptsAtAll(t *testing.T) {
	for _, s := range []*Scripts{nil, newScripts()} {
		if _, ok := s.Health(benchKind, nil); ok || !s.Empty() || s.HealthScript(benchKind) != "" {
			t.Error("health")
		}
		if a, err := s.Discover(benchKind, nil); a != nil || err != nil {
			t.Error(a, err)
		}
		if found, _ := s.Actions(benchKind); found || s.Has(benchKind, "x") {
			t.Error("actions")
		}
	}
}

func TestWhatScriptsPrint(t *testing.T) {
	s := thing(t, `print("a", 1, nil, {}) print() return {status = "Healthy"}`)
	var lines []string
	s.Print = func(line string) { lines = append(lines, line) }
	s.Health(benchKind, map[string]any{})
	if want := []string{"a\t1\tnil\ttable", ""}; !reflect.DeepEqual(lines, want) {
		t.Errorf("%q", lines)
	}
	s.Print = nil
	if f, _ := s.Health(benchKind, map[string]any{}); f.Status != model.HealthHealthy {
		t.Error(f)
	}
}
