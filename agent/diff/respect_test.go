package diff

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/shared/manifest"
	"github.com/hawser-dev/hawser/shared/model"
)

func TestRespect(t *testing.T) {
	desired := deployHead + "spec: {replicas: 2, paused: true, template: {spec: {containers: [{name: a, image: x}]}}}"
	liveYAML := deployHead + "spec: {replicas: 5, template: {spec: {containers: [{name: a, image: q}]}}}"
	managers := []live.FieldManager{other("hpa", `{"f:spec":{"f:replicas":{}}}`)}
	cases := []struct {
		name string
		rule model.IgnoreDifferences
		want string
	}{
		{"other object", model.IgnoreDifferences{Group: "apps", Kind: "StatefulSet", JSONPointers: []string{"/spec/replicas"}}, `{"paused":true,"replicas":2,"template":{"spec":{"containers":[{"image":"x","name":"a"}]}}}`},
		{"pointer", model.IgnoreDifferences{Group: "apps", Kind: "Deployment", JSONPointers: []string{"/spec/replicas", "/spec/nothing", "/spec/replicas/x"}}, `{"paused":true,"replicas":5,"template":{"spec":{"containers":[{"image":"x","name":"a"}]}}}`},
		{"not there live", model.IgnoreDifferences{Group: "apps", Kind: "Deployment", JSONPointers: []string{"/spec/paused"}}, `{"replicas":2,"template":{"spec":{"containers":[{"image":"x","name":"a"}]}}}`},
		{"in a list", model.IgnoreDifferences{Group: "apps", Kind: "Deployment", JSONPointers: []string{"/spec/template/spec/containers/0/image", "/spec/template/spec/containers/7/image"}}, `{"paused":true,"replicas":2,"template":{"spec":{"containers":[{"image":"q","name":"a"}]}}}`},
		{"jq", model.IgnoreDifferences{Group: "apps", Kind: "Deployment", JQPathExpressions: []string{".spec.template.spec.containers[].image", ".["}}, `{"paused":true,"replicas":2,"template":{"spec":{"containers":[{"image":"q","name":"a"}]}}}`},
		{"manager", model.IgnoreDifferences{Group: "apps", Kind: "Deployment", ManagedFieldsManagers: []string{"hpa"}}, `{"paused":true,"replicas":5,"template":{"spec":{"containers":[{"image":"x","name":"a"}]}}}`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			d := object(t, desired)
			got, err := json.Marshal(Respect(d, body(t, liveYAML), managers, []model.IgnoreDifferences{c.rule})["spec"])
			if err != nil || string(got) != c.want {
				t.Errorf("got  %s (%v)\nwant %s", got, err, c.want)
			}
			again, err := json.Marshal(d)
			if err != nil || string(again) != string(body(t, desired)) {
				t.Error("the desired object was modified")
			}
		})
	}
}

func TestRespectLists(t *testing.T) {
	hook := func(webhooks string) string {
		return head("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration") + "webhooks: " + webhooks
	}
	widget := func(spec string) string { return head("acme.io/v1", "X") + "spec: " + spec }
	byName := `{"f:spec":{"f:list":{"k:{\"name\":\"a\"}":{".":{},"f:name":{}}}}}`
	cases := []struct {
		name          string
		desired, live string
		managers      []live.FieldManager
		rule          model.IgnoreDifferences
		want          string
	}{
		{"elements are found by name, whatever their order", hook("[{name: b.x.y, clientConfig: {caBundle: ''}}, {name: a.x.y, clientConfig: {caBundle: ''}}]"),
			hook("[{name: a.x.y, clientConfig: {caBundle: QQ==}}, {name: c.x.y}, {name: b.x.y, clientConfig: {caBundle: Qg==}}]"), nil,
			model.IgnoreDifferences{JQPathExpressions: []string{".webhooks[]?.clientConfig.caBundle"}},
			hook("[{name: b.x.y, clientConfig: {caBundle: Qg==}}, {name: a.x.y, clientConfig: {caBundle: QQ==}}]")},
		{"an element that is ignored is as it is live", pod("{containers: [{name: side, image: x}, {name: web, image: y}]}"), pod("{containers: [{name: web, image: q}, {name: side, image: z, args: [a]}]}"), nil,
			model.IgnoreDifferences{JQPathExpressions: []string{`.spec.template.spec.containers[] | select(.name == "side")`}},
			pod("{containers: [{name: web, image: y}, {name: side, image: z, args: [a]}]}")},
		{"an element that is ignored and not live is not applied", pod("{containers: [{name: side, image: x}, {name: web, image: y}]}"), pod("{containers: [{name: web, image: q}]}"), nil,
			model.IgnoreDifferences{JQPathExpressions: []string{`.spec.template.spec.containers[] | select(.name == "side")`}},
			pod("{containers: [{name: web, image: y}]}")},
		{"an element that we applied before and that is ignored now stays", pod("{containers: [{name: web, image: y}]}"), pod("{containers: [{name: side, image: z}, {name: web, image: y}]}"),
			[]live.FieldManager{own(`{"f:spec":{"f:template":{"f:spec":{"f:containers":{"k:{\"name\":\"side\"}":{".":{},"f:name":{}}}}}}}`)},
			model.IgnoreDifferences{JQPathExpressions: []string{`.spec.template.spec.containers[] | select(.name == "side")`}},
			pod("{containers: [{name: side, image: z}, {name: web, image: y}]}")},
		{"one that others own, too, needs nothing", pod("{containers: [{name: web}]}"), pod("{containers: [{name: side}, {name: web}]}"),
			[]live.FieldManager{own(`{"f:spec":{"f:template":{"f:spec":{"f:containers":{"k:{\"name\":\"side\"}":{".":{},"f:name":{}}}}}}}`), other("x", `{"f:spec":{"f:template":{"f:spec":{"f:containers":{"k:{\"name\":\"side\"}":{".":{},"f:name":{}}}}}}}`)},
			model.IgnoreDifferences{JQPathExpressions: []string{`.spec.template.spec.containers[] | select(.name == "side")`}},
			pod("{containers: [{name: web}]}")},
		{"a field that we applied before and that is ignored now stays", deployHead + "spec: {paused: true}", deployHead + "spec: {replicas: 7, paused: false}", []live.FieldManager{own(`{"f:spec":{"f:replicas":{},"f:paused":{}}}`)},
			model.IgnoreDifferences{JSONPointers: []string{"/spec/replicas"}}, deployHead + "spec: {replicas: 7, paused: true}"},
		{"ignored elements of a list that is replaced stay in their place", pod("{tolerations: [{key: a}, {key: b, value: new}]}"), pod("{tolerations: [{key: z}, {key: a}, {key: w}, {key: b, value: old}, {key: x}]}"), nil,
			model.IgnoreDifferences{JQPathExpressions: []string{`.spec.template.spec.tolerations[] | select(.key | index("x", "w", "z"))`}},
			pod("{tolerations: [{key: z}, {key: a}, {key: w}, {key: b, value: new}, {key: x}]}")},
		{"fields of elements that moved", widget("{list: [{name: b, v: 1}, {name: a, v: 1}]}"), widget("{list: [{name: a, v: 8}, {name: b, v: 9}]}"), []live.FieldManager{other("x", `{"f:spec":{"f:list":{}}}`)},
			model.IgnoreDifferences{JQPathExpressions: []string{".spec.list[].v"}}, widget("{list: [{name: b, v: 9}, {name: a, v: 8}]}")},
		{"fields of elements without a name", widget("{list: [{k: b, v: 1}, {k: new, v: 1}]}"), widget("{list: [{k: a, v: 8}, {k: b, v: 9}]}"), []live.FieldManager{other("x", `{"f:spec":{"f:list":{}}}`)},
			model.IgnoreDifferences{JQPathExpressions: []string{".spec.list[].v"}}, widget("{list: [{k: b, v: 9}, {k: new, v: 1}]}")},
		{"fields of a manager in an element", widget("{list: [{name: b, v: 1}, {name: a, v: 1}]}"), widget("{list: [{name: a, v: 8}, {name: b, v: 9}]}"),
			[]live.FieldManager{own(byName), other("tuner", `{"f:spec":{"f:list":{"k:{\"name\":\"b\"}":{"f:v":{}}}}}`)}, model.IgnoreDifferences{ManagedFieldsManagers: []string{"tuner"}}, widget("{list: [{name: b, v: 9}, {name: a, v: 1}]}")},
		{"an index is one of each side", pod("{containers: [{name: b, image: x}, {name: a, image: x}]}"), pod("{containers: [{name: a, image: q}, {name: b, image: r}]}"), nil,
			model.IgnoreDifferences{JSONPointers: []string{"/spec/template/spec/containers/0/image"}}, pod("{containers: [{name: b, image: r}, {name: a, image: q}]}")},
		{"what names the object is never taken from the live one", deployHead + "spec: {replicas: 1}", deployHead + "metadata: {name: web, namespace: shop, uid: u, resourceVersion: '7', labels: {a: b}}\nspec: {replicas: 2}\nstatus: {x: y}", []live.FieldManager{},
			model.IgnoreDifferences{JQPathExpressions: []string{".", ".metadata", ".status"}, JSONPointers: []string{"/metadata/name", "/metadata/uid", "/kind"}}, deployHead + "spec: {replicas: 1}"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			c.rule.Group, c.rule.Kind = "*", "*"
			if c.managers == nil {
				c.managers = []live.FieldManager{}
			}
			d := object(t, c.desired)
			got := Respect(d, body(t, c.live), c.managers, []model.IgnoreDifferences{c.rule})
			if want := object(t, c.want); !reflect.DeepEqual(got, want) {
				g, _ := json.Marshal(got)
				w, _ := json.Marshal(want)
				t.Errorf("\n got %s\nwant %s", g, w)
			}
			if !reflect.DeepEqual(d, object(t, c.desired)) {
				t.Error("the desired object was modified")
			}
		})
	}
}

// TestRespectedObjects takes random objects and rules: what is applied with the
// ignored fields as they are live has no value that is neither desired nor live,
// is as desired but for the ignored fields, and changes nothing where Compare with
// the same rules finds nothing.
func TestRespectedObjects(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 7))
	m := &mutator{rnd: rnd, pool: map[string][]any{}}
	var objects []map[string]any
	for _, file := range []string{"workloads.yaml", "core.yaml", "policy.yaml"} {
		for _, obj := range manifests(t, file) {
			in := Input{}
			m.learn(in.typeOf(obj), mutable(obj))
			objects = append(objects, Normalise(obj))
		}
	}
	respected := 0
	for range 4000 {
		base := objects[rnd.IntN(len(objects))]
		desired, liveObj := deepCopy(base).(map[string]any), deepCopy(base).(map[string]any)
		in := Input{Desired: desired, Managers: []live.FieldManager{}}
		typ := in.typeOf(base)
		for range rnd.IntN(4) {
			m.change(typ, desired, false)
		}
		for range rnd.IntN(4) {
			m.change(typ, liveObj, false)
		}
		desired, liveObj = Normalise(desired), Normalise(liveObj)
		in.Desired = desired
		rule := model.IgnoreDifferences{Group: "*", Kind: "*"}
		for range 1 + rnd.IntN(3) {
			randomRule(rnd, base, &rule)
		}
		in.Ignore = []model.IgnoreDifferences{rule}
		in.Live = manifest.AppendJSON(nil, liveObj)
		if self, err := Compare(Input{Desired: liveObj, Live: in.Live, Managers: in.Managers}); err != nil || !self.Same() {
			continue // no server would have such an object
		}
		before := manifest.AppendJSON(nil, desired)
		out := RespectInput(in)
		show := func() string {
			r, _ := json.Marshal(rule)
			return fmt.Sprintf("rule %s\ndesired %s\nlive %s\nout %s", r, before, in.Live, manifest.AppendJSON(nil, out))
		}
		if string(before) != string(manifest.AppendJSON(nil, desired)) {
			t.Fatalf("the desired object was modified: %s", show())
		}
		known := map[string]bool{}
		leaves("", desired, known)
		stored, err := Decode(in.Live)
		if err != nil {
			t.Fatal(err)
		}
		leaves("", stored, known)
		mine := map[string]bool{}
		leaves("", out, mine)
		for leaf := range mine {
			if !known[leaf] {
				t.Fatalf("%s is neither desired nor live\n%s", leaf, show())
			}
		}
		withRules, err := Compare(in)
		if err != nil {
			t.Fatal(err)
		}
		after := in
		after.Ignore, after.Desired = nil, out
		plain, err := Compare(after)
		if err != nil {
			t.Fatal(err)
		}
		if withRules.Same() && !plain.Same() {
			t.Fatalf("nothing differs, and applying would change %q\n%s", paths(plain), show())
		}
		if string(before) != string(manifest.AppendJSON(nil, out)) {
			respected++
		}
		if t.Failed() {
			return
		}
	}
	if respected < 400 {
		t.Errorf("only %d objects were changed", respected)
	}
}

// randomRule adds a pointer to a field, or an expression that selects elements of
// lists by their name.
func randomRule(rnd *rand.Rand, obj map[string]any, rule *model.IgnoreDifferences) {
	var all []string
	var walk func(jq string, ptr string, v any)
	walk = func(jq, ptr string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for _, k := range slices.Sorted(maps.Keys(v)) {
				q, _ := json.Marshal(k)
				p := ""
				if ptr != "-" {
					p = ptr + "/" + strings.ReplaceAll(strings.ReplaceAll(k, "~", "~0"), "/", "~1")
					all = append(all, p)
				} else {
					p = "-"
				}
				walk(jq+"["+string(q)+"]", p, v[k])
				// What identifies the elements of lists is nothing to ignore.
				if !slices.Contains([]string{"name", "port", "containerPort", "protocol", "mountPath", "ip", "topologyKey", "whenUnsatisfiable"}, k) {
					all = append(all, jq+"["+string(q)+"]")
				}
			}
		case []any:
			all = append(all, jq+"[]?")
			for _, e := range v {
				if m, ok := e.(map[string]any); ok {
					if name, ok := m["name"].(string); ok {
						q, _ := json.Marshal(name)
						one := "(" + jq + "[]? | select(.name? == " + string(q) + "))"
						all = append(all, one)
						walk(one, "-", m)
					}
				}
			}
		}
	}
	for k, v := range mutable(obj) {
		walk("."+k, "/"+k, v)
	}
	slices.Sort(all)
	if len(all) == 0 {
		return
	}
	one := all[rnd.IntN(len(all))]
	if one[0] == '/' {
		rule.JSONPointers = append(rule.JSONPointers, one)
	} else {
		rule.JQPathExpressions = append(rule.JQPathExpressions, one)
	}
}

// leaves collects the scalars of a value with their paths, all elements of a list
// as one.
func leaves(path string, v any, into map[string]bool) {
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			leaves(path+"."+k, e, into)
		}
	case []any:
		for _, e := range v {
			leaves(path+"[]", e, into)
		}
	default:
		into[fmt.Sprintf("%s=%v", path, v)] = true
	}
}
