package lua

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/shared/fault"
)

func acting(t testing.TB, script string) *Scripts {
	t.Helper()
	s := newScripts()
	p, err := compile("a.lua", script)
	if err != nil {
		t.Fatal(err)
	}
	s.actions.add(benchKind.Group, benchKind.Kind, &actions{discovery: p, run: map[string]*program{"act": p}})
	return s
}

const wholeObject = `{"apiVersion":"example.com/v1","kind":"Thing","metadata":{"name":"n","namespace":"ns","creationTimestamp":null,
	"managedFields":[{"manager":"m","fieldsV1":{"f:x":{}}}],"annotations":{"a":"b"},"labels":{}},
	"spec":{"replicas":2,"resources":{},"args":[],"template":{"metadata":{"creationTimestamp":null},"spec":{"volumes":[{"emptyDir":{}},{"name":"x"}],"list":[[],[1]]}}},
	"status":{"ready":1.5,"none":null}}`

// TestObjectsComeBackAsTheyWere: whatever a script looks at, what it does not
// change is the same afterwards, with empty maps and lists, nulls and numbers
// that Lua cannot hold.
func TestObjectsComeBackAsTheyWere(t *testing.T) {
	obj := decoded(t, wholeObject)
	spec := obj["spec"].(map[string]any)
	spec["large"], spec["replicas"] = int64(9007199254740993), int64(2)
	for _, script := range []string{
		`return obj`,
		`return {{operation = "patch", resource = obj}}`,
		`local function walk(v) if type(v) == "table" then for k, x in pairs(v) do walk(x) end end end walk(obj) return obj`,
		`local x = obj.spec.template.spec.volumes[1].emptyDir return obj`,
		`local x = obj.spec.large obj.spec.large = x return obj`,
		`obj.spec.new = 1 obj.spec.new = nil return obj`,
		`local s = obj.spec obj.spec = nil obj.spec = s return obj`,
		`for k, v in pairs(obj.metadata) do obj.metadata[k] = v end return obj`,
	} {
		effects, err := acting(t, script).Run(benchKind, "act", nil, obj, testNow)
		if err != nil || len(effects) != 1 || effects[0].Operation != Patch {
			t.Errorf("%s: %v %v", script, effects, err)
			continue
		}
		if !reflect.DeepEqual(effects[0].Object, obj) {
			t.Errorf("%s gives %v\nof %v", script, effects[0].Object, obj)
		}
		// It is a copy.
		effects[0].Object["spec"].(map[string]any)["template"].(map[string]any)["touched"] = true
		if spec["template"].(map[string]any)["touched"] != nil {
			t.Fatalf("%s shares the object", script)
		}
	}
}

func TestWhatActionsAnswer(t *testing.T) {
	obj := decoded(t, wholeObject)
	patched := func(change func(map[string]any)) []Effect {
		o := decoded(t, wholeObject)
		change(o)
		return []Effect{{Patch, o}}
	}
	spec := func(o map[string]any) map[string]any { return o["spec"].(map[string]any) }
	meta := func(o map[string]any) map[string]any { return o["metadata"].(map[string]any) }
	for _, c := range []struct {
		script string
		want   []Effect
		err    string
	}{
		{script: `obj.spec.replicas = 5 return obj`, want: patched(func(o map[string]any) { spec(o)["replicas"] = int64(5) })},
		{script: `obj.spec.replicas = 2.5 return obj`, want: patched(func(o map[string]any) { spec(o)["replicas"] = 2.5 })},
		{script: `obj.spec.replicas = tonumber(actionParams.n) return obj`, want: patched(func(o map[string]any) { spec(o)["replicas"] = int64(7) })},
		{script: `obj.metadata.annotations.a = nil return obj`, want: patched(func(o map[string]any) { meta(o)["annotations"] = map[string]any{} })},
		{script: `obj.metadata.annotations = {} return obj`, want: patched(func(o map[string]any) { meta(o)["annotations"] = map[string]any{} })},
		{script: `obj.metadata.labels.x = "y" return obj`, want: patched(func(o map[string]any) { meta(o)["labels"] = map[string]any{"x": "y"} })},
		{script: `obj.status = nil return obj`, want: patched(func(o map[string]any) { delete(o, "status") })},
		{script: `obj.spec.args = {"a", "b"} return obj`, want: patched(func(o map[string]any) { spec(o)["args"] = []any{"a", "b"} })},
		{script: `table.insert(obj.spec.template.spec.volumes, {name = "y", emptyDir = {}}) return obj`, want: patched(func(o map[string]any) {
			s := spec(o)["template"].(map[string]any)["spec"].(map[string]any)
			s["volumes"] = append(s["volumes"].([]any), map[string]any{"name": "y", "emptyDir": []any{}}) // as in Argo CD
		})},
		{script: `obj.spec.at = os.date("!%Y-%m-%dT%XZ") return obj`, want: patched(func(o map[string]any) { spec(o)["at"] = "2026-03-04T05:06:07Z" })},
		{script: `return {{operation = "create", resource = {apiVersion = "v1", kind = "ConfigMap", metadata = {name = obj.metadata.name, labels = {}}, data = {k = "v"}}}}`,
			want: []Effect{{Create, decoded(t, `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"n","labels":{}},"data":{"k":"v"}}`)}}},
		{script: `return {}`, want: []Effect{}},
		{script: `return nil`, err: "the script returned nothing"},
		{script: `return 5`, err: "the script returned a number"},
		{script: `return {x = 1}`, err: "the object has no apiVersion"},
		{script: `return {apiVersion = "v1", kind = "ConfigMap"}`, err: "its apiVersion differs"},
		{script: `obj.metadata.name = "other" return obj`, err: "its metadata.name differs"},
		{script: `obj.metadata.namespace = nil return obj`, err: "its metadata.namespace differs"},
		{script: `return {{operation = "delete", resource = obj}}`, err: `unsupported operation "delete"; allowed are patch and create`},
		{script: `return {{resource = obj}}`, err: `unsupported operation ""`},
		{script: `return {{operation = "create"}}`, err: "resource must be an object"},
		{script: `return {{operation = "create", resource = {1}}}`, err: "it must be an object"},
		{script: `return {"x"}`, err: "operation 1 of the result: it must be a table"},
		{script: `obj.spec.self = obj return obj`, err: "spec: self: a table contains itself"},
		{script: `obj.spec.f = print return obj`, err: "spec: f: a function is no value of JSON"},
		{script: `obj.spec.n = 0/0 return obj`, err: "NaN is no number of JSON"},
		{script: `obj.spec.mixed = {1, a = 2} return obj`, err: "both numbers and strings as keys"},
		{script: `obj.spec.template.spec.volumes[1] = nil return obj`, err: "a list has a gap before its element 2; remove elements with table.remove"},
		{script: `obj.spec.k = {[true] = 1} return obj`, err: "a boolean as a key"},
		{script: `local t = {} for i = 1, 200 do t = {t} end obj.spec.deep = t return obj`, err: "more than 100 levels deep"},
		{script: `local l = {} for i = 1, 101 do l[i] = {operation = "patch", resource = obj} end return l`, err: "101 operations; 100 are allowed"},
		{script: `error("replicas parameter is required", 0)`, err: "replicas parameter is required"},
	} {
		got, err := acting(t, c.script).Run(benchKind, "act", map[string]string{"n": "7"}, obj, testNow)
		if c.err != "" {
			if !fault.HasCode(err, "action_script_failed") || !strings.Contains(err.Error(), c.err) || !strings.HasPrefix(err.Error(), "a.lua") {
				t.Errorf("%s: %v, want %s", c.script, err, c.err)
			}
			continue
		}
		if err != nil || !reflect.DeepEqual(got, c.want) {
			a, _ := json.Marshal(got)
			b, _ := json.Marshal(c.want)
			t.Errorf("%s: %v\n%s, want\n%s", c.script, err, a, b)
		}
	}
	if !reflect.DeepEqual(obj, decoded(t, wholeObject)) {
		t.Error("the object was changed")
	}
	if _, err := acting(t, "return obj").Run(benchKind, "other", nil, obj, testNow); !fault.HasCode(err, "action_unknown") {
		t.Error(err)
	}
}

func TestRunsDependOnTheirArgumentsAlone(t *testing.T) {
	obj := decoded(t, wholeObject)
	s := acting(t, `
		local order = ""
		for k, v in pairs(actionParams) do order = order .. k end
		for k, v in pairs(obj.spec) do order = order .. k end
		obj.spec.mark = order .. math.random(1e9) .. math.random() .. os.time() .. tostring({}) .. tostring(print)
		return obj`)
	params := map[string]string{"c": "1", "a": "1", "b": "1", "d": "1", "e": "1"}
	first, err := s.Run(benchKind, "act", params, obj, testNow)
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		again, err := s.Run(benchKind, "act", maps.Clone(params), decoded(t, wholeObject), testNow)
		if err != nil || !reflect.DeepEqual(again, first) {
			t.Fatalf("%v\n%v", again, first)
		}
	}
	later, err := s.Run(benchKind, "act", params, obj, testNow.Add(1))
	if err != nil || reflect.DeepEqual(later, first) {
		t.Errorf("another time gives the same: %v", err)
	}
}

func TestWhatDiscoveryAnswers(t *testing.T) {
	for _, c := range []struct{ script, want, err string }{
		{script: `return {}`, want: `[]`},
		{script: `actions = {} actions["b"] = {} actions["a"] = {disabled = true} return actions`,
			want: `[{"name":"a","disabled":true,"displayName":"","params":[]},{"name":"b","disabled":false,"displayName":"","params":[]}]`},
		{script: `return {a = {displayName = "A", iconClass = "fa", params = {{name = "n", default = "1", type = "number"}, {name = "m"}}}}`,
			want: `[{"name":"a","disabled":false,"displayName":"A","iconClass":"fa","params":[{"name":"n","type":"number","default":"1"},{"name":"m"}]}]`},
		{script: `return {a = {true}, b = {name = "c", DisplayName = "C", params = {}}, d = {defaultValue = "1", hasParameters = true}}`,
			want: `[{"name":"a","disabled":false,"displayName":"","params":[]},{"name":"c","disabled":false,"displayName":"C","params":[]},{"name":"d","disabled":false,"displayName":"","params":[]}]`},
		{script: `return {a = {params = {{name = "n", default = obj.spec.replicas}, {name = "f", default = 0.5, type = {}}, {name = "b", Default = false}, {name = "l", default = {1}}}}}`,
			want: `[{"name":"a","disabled":false,"displayName":"","params":[{"name":"n","default":"2"},{"name":"f","default":"0.5"},{"name":"b","default":"false"},{"name":"l"}]}]`},
		{script: `return nil`, err: "the script returned nothing; it must return a table of actions"},
		{script: `return {"a"}`, err: "the script returned a list"},
		{script: `return {a = true}`, err: `action "a": it must be a table`},
		{script: `return {a = {disabled = "yes"}}`, err: `action "a": disabled must be true or false`},
		{script: `return {a = {displayName = 1}}`, err: `action "a": displayName must be a string`},
		{script: `return {a = {params = {x = 1}}}`, err: `action "a": params must be a list`},
		{script: `return {a = {params = {"x"}}}`, err: `params[0] must be a table`},
		{script: `return {a = {params = {{name = 1}}}}`, err: `params[0].name must be a string`},
		{script: `return obj.status.x.y`, err: "attempt to index"},
	} {
		got, err := acting(t, c.script).Discover(benchKind, decoded(t, wholeObject))
		if c.err != "" {
			if !fault.HasCode(err, "action_script_failed") || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: %v", c.script, err)
			}
			continue
		}
		text, _ := json.Marshal(got)
		if err != nil || string(text) != c.want {
			t.Errorf("%s: %s %v", c.script, text, err)
		}
	}
}

func TestLargeResultsAreRefused(t *testing.T) {
	obj := decoded(t, wholeObject)
	obj["spec"] = map[string]any{"list": make([]any, 150_000)}
	_, err := acting(t, `local s = obj.spec return {{operation = "create", resource = {apiVersion = "v1", kind = "A", spec = s}}, {operation = "create", resource = {apiVersion = "v1", kind = "B", spec = s}}}`).
		Run(benchKind, "act", nil, obj, testNow)
	if err == nil || !strings.Contains(err.Error(), fmt.Sprint(maxValues)) {
		t.Error(err)
	}
}
