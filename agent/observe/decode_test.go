package observe

import (
	"encoding/json"
	"reflect"
	"testing"
	"unicode/utf8"

	"github.com/hawser-dev/hawser/agent/health"
	utiljson "k8s.io/apimachinery/pkg/util/json"
)

func TestDecode(t *testing.T) {
	for doc, want := range map[string]any{
		`{}`:                            map[string]any{},
		` { "a" : [ ] } `:               map[string]any{"a": []any{}},
		`{"a":1,"b":-2.5,"c":1e3}`:      map[string]any{"a": int64(1), "b": -2.5, "c": 1000.0},
		`{"a":9223372036854775808}`:     map[string]any{"a": 9223372036854775808.0},
		`{"a":null,"b":true,"c":false}`: map[string]any{"a": nil, "b": true, "c": false},
		`{"a\n":"\u00e4\"","name":"x"}`: map[string]any{"a\n": "ä\"", "name": "x"},
		`{"metadata":{"managedFields":[{}],"name":"a"}}`: map[string]any{"metadata": map[string]any{"name": "a"}},
		`{"spec":{"managedFields":1}}`:                   map[string]any{"spec": map[string]any{}},
		`{"managedFields":1}`:                            map[string]any{"managedFields": int64(1)},
		`{"a":[{"b":[1,[2]]},"c"]}`:                      map[string]any{"a": []any{map[string]any{"b": []any{int64(1), []any{int64(2)}}}, "c"}},
	} {
		if got, err := decode([]byte(doc), nil); err != nil || !reflect.DeepEqual(any(got), want) {
			t.Errorf("%s: %#v, %v", doc, got, err)
		}
	}
	for _, doc := range []string{``, `[]`, `"a"`, `{`, `{"a"}`, `{"a":}`, `{"a":1,}`, `{"a":[1,]}`, `{"a":tru}`, `{"a":NaN}`, `{"a":+1}`, `{"a":1}x`, `{"a":"\x"}`, `{1:2}`} {
		if got, err := decode([]byte(doc), nil); err == nil {
			t.Errorf("%s: %#v", doc, got)
		}
	}
}

func TestDecodeParts(t *testing.T) {
	parts := health.Parts{"*": nil, "spec": {"containers": {"name": nil}, "x": {}}}
	got, err := decode([]byte(`{"kind":"Pod","spec":{"containers":[{"name":"a","env":[{"name":"A"}]},{"image":"b"}],"volumes":[1],"x":{"y":1}},"status":{"phase":"Running"}}`), parts)
	want := map[string]any{
		"kind":   "Pod",
		"spec":   map[string]any{"containers": []any{map[string]any{"name": "a"}, map[string]any{}}, "x": map[string]any{}},
		"status": map[string]any{"phase": "Running"},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, %v", got, err)
	}
}

// FuzzDecode: what is JSON is decoded as Kubernetes' own decoder does.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(deploymentJSON))
	f.Add([]byte(`{"a":[1,-0,1.0,1e2,0.1,"\u0000\ud83d\ude00",null,true],"b":{"c":{}}}`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		got, err := decode(doc, nil)
		var want map[string]any
		if !json.Valid(doc) || !utf8.Valid(doc) || utiljson.Unmarshal(doc, &want) != nil || want == nil {
			return
		}
		for _, section := range want {
			if m, ok := section.(map[string]any); ok {
				delete(m, "managedFields")
			}
		}
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s\n%#v\n%#v\n%v", doc, got, want, err)
		}
	})
}
