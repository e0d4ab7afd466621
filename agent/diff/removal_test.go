package diff

import (
	"reflect"
	"slices"
	"testing"

	"github.com/hawser-dev/hawser/agent/live"
)

// TestRemovalsWithoutASchema: who applied a field before takes it away by applying
// without it, whether or not anything is known of the kind.
func TestRemovalsWithoutASchema(t *testing.T) {
	foo := func(meta, rest string) string {
		return "apiVersion: example.com/v1\nkind: Foo\nmetadata: {name: f, namespace: a" + meta + "}\n" + rest
	}
	record := func(spec string) string {
		return `, annotations: {kubectl.kubernetes.io/last-applied-configuration: '{"apiVersion":"example.com/v1","kind":"Foo","metadata":{"name":"f","namespace":"a"},"spec":` + spec + `}'}`
	}
	for _, c := range []struct {
		name          string
		desired, live string
		managers      []live.FieldManager
		want          []string
		certain       bool
	}{
		{"a field that we applied", foo("", "spec: {a: 1}"), foo("", "spec: {a: 1, b: 2}"), []live.FieldManager{own(`{"f:spec":{"f:a":{},"f:b":{}}}`)}, []string{".spec.b  2 hawser"}, false},
		{"a field that kubectl applied by itself", foo("", "spec: {a: 1}"), foo("", "spec: {a: 1, b: 2}"), []live.FieldManager{other("kubectl-client-side-apply", `{"f:spec":{".":{},"f:a":{},"f:b":{}}}`)}, []string{".spec.b  2 kubectl-client-side-apply"}, false},
		{"a field that only kubectl's record names", foo("", "spec: {a: 1}"), foo(record(`{"a":1,"b":2}`), "spec: {a: 1, b: 2}"), nil, []string{".spec.b  2"}, false},
		{"a list that only kubectl's record names", foo("", "spec: {a: 1}"), foo(record(`{"a":1,"l":[{"name":"x"}]}`), "spec: {a: 1, l: [{name: x}]}"), nil, []string{`.spec.l  [{"name":"x"}]`}, false},
		{"the whole spec", foo("", ""), foo("", "spec: {a: 1}"), []live.FieldManager{own(`{"f:spec":{"f:a":{}}}`)}, []string{`.spec  {"a":1} hawser`}, false},
		{"the whole spec by the record", foo("", ""), foo(record(`{"a":1}`), "spec: {a: 1}"), nil, []string{`.spec  {"a":1}`}, false},
		{"an element of a list with keys", foo("", "spec: {l: [{name: a}]}"), foo("", "spec: {l: [{name: a}, {name: b}]}"), []live.FieldManager{own(`{"f:spec":{"f:l":{"k:{\"name\":\"a\"}":{".":{},"f:name":{}},"k:{\"name\":\"b\"}":{".":{},"f:name":{}}}}}`)}, []string{`.spec.l[name=b]  {"name":"b"} hawser`}, false},
		{"a member of a set", foo("", "spec: {l: [p]}"), foo("", "spec: {l: [p, q]}"), []live.FieldManager{own(`{"f:spec":{"f:l":{"v:\"p\"":{},"v:\"q\"":{}}}}`)}, []string{`.spec.l[q]  "q" hawser`}, true},
		{"the whole set", foo("", "spec: {a: 1}"), foo("", "spec: {a: 1, l: [q]}"), []live.FieldManager{own(`{"f:spec":{"f:a":{},"f:l":{"v:\"q\"":{}}}}`)}, []string{`.spec.l  ["q"] hawser`}, false},
		{"a null", foo("", "spec: {c: null}"), foo("", "spec: {c: 3}"), []live.FieldManager{own(`{"f:spec":{"f:c":{}}}`)}, []string{".spec.c null 3 hawser"}, false},
		{"a null without managers", foo("", "spec: {c: null}"), foo("", "spec: {c: 3}"), nil, []string{".spec.c null 3"}, false},
		{"beside what differs in any case", foo("", "spec: {a: 2}"), foo("", "spec: {a: 1, b: 2}"), []live.FieldManager{own(`{"f:spec":{"f:a":{},"f:b":{}}}`)}, []string{".spec.a 2 1 hawser", ".spec.b  2 hawser"}, true},
		{"a field that another one applied, too", foo("", "spec: {a: 1}"), foo("", "spec: {a: 1, b: 2}"), []live.FieldManager{own(`{"f:spec":{"f:a":{},"f:b":{}}}`), other("x", `{"f:spec":{"f:b":{}}}`)}, nil, true},
		{"a field that nobody of us applied", foo("", "spec: {a: 1}"), foo("", "spec: {a: 1, b: 2}"), []live.FieldManager{own(`{"f:spec":{"f:a":{}}}`)}, nil, true},
		{"an element of another one", foo("", "spec: {l: [{name: a}]}"), foo("", "spec: {l: [{name: a}, {name: b}]}"), []live.FieldManager{own(`{"f:spec":{"f:l":{"k:{\"name\":\"a\"}":{".":{},"f:name":{}}}}}`)}, nil, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			res, err := Compare(Input{Desired: object(t, c.desired), Live: body(t, c.live), Managers: c.managers, TakenOver: []string{"kubectl-client-side-apply"}})
			if err != nil {
				t.Fatal(err)
			}
			got := lines(res)
			for i := range got {
				got[i] = trimRight(got[i])
			}
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("differences\n got %q\nwant %q", got, c.want)
			}
			if len(res.Doubts) > 0 || res.Certain() != c.certain {
				t.Errorf("Certain() = %v, doubts %q", res.Certain(), res.Doubts)
			}
		})
	}
}

func trimRight(s string) string {
	for s != "" && s[len(s)-1] == ' ' {
		s = s[:len(s)-1]
	}
	return s
}

// TestListsWithoutASchema: nothing is filled in to a list, so that its elements
// count whether or not they have names.
func TestListsWithoutASchema(t *testing.T) {
	for _, c := range []struct {
		name          string
		desired, live string
		managers      []live.FieldManager
		same          bool
		doubts        []string
	}{
		{"one more with names", "[{name: r1}]", "[{name: r1}, {name: r2}]", nil, false, nil},
		{"one more without", "[{m: r1}]", "[{m: r1}, {m: r2}]", nil, false, nil},
		{"one less", "[{name: r1}, {name: r2}]", "[{name: r1}]", nil, false, nil},
		{"another one", "[{name: r1}]", "[{name: r2}]", nil, false, nil},
		{"another order", "[{name: r1}, {name: r2}]", "[{name: r2}, {name: r1}]", nil, false, nil},
		{"one of two is another", "[{name: r1}, {name: r2}]", "[{name: r1}, {name: r3}]", nil, false, nil},
		{"the same one twice", "[{name: r1}, {name: r2}]", "[{name: r1}, {name: r1}]", nil, false, nil},
		{"more in an element with a name", "[{name: r1}]", "[{name: r1, x: 1}]", nil, true, []string{".spec.http"}},
		{"more in an element without", "[{m: r1}]", "[{m: r1, x: 1}]", nil, true, []string{".spec.http[0].x"}},
		{"other managers show no keys", "[{name: r1}]", "[{name: r1}, {name: r2}]", []live.FieldManager{other("x", `{"f:spec":{"f:hosts":{}}}`)}, false, nil},
		{"a manager shows keys", "[{name: r1}]", "[{name: r1}, {name: r2}]", []live.FieldManager{other("x", `{"f:spec":{"f:http":{"k:{\"name\":\"r2\"}":{".":{},"f:name":{}}}}}`)}, true, nil},
		{"in an element", "[{name: r1, to: [{name: a}]}]", "[{name: r1, to: [{name: a}, {name: b}]}]", nil, false, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			vs := head("networking.example.com/v1", "Route") + "spec: {http: "
			in := Input{Desired: object(t, vs+c.desired+"}"), Live: body(t, vs+c.live+"}"), Managers: c.managers}
			if in.Managers == nil {
				in.Managers = []live.FieldManager{}
			}
			res, err := Compare(in)
			if err != nil {
				t.Fatal(err)
			}
			if res.Same() != c.same || !slices.Equal(res.Doubts, c.doubts) {
				t.Errorf("Same() = %v, doubts %q; want %v, %q (%q)", res.Same(), res.Doubts, c.same, c.doubts, lines(res))
			}
		})
	}
}
