package diff

import (
	"reflect"
	"testing"

	kjson "sigs.k8s.io/json"
)

// FuzzDecode holds the fast reader against the decoder of Kubernetes.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{
		`{}`, `{"a":1,"b":-2,"c":1.5,"d":1e3,"e":"x","f":"a\"b\\c\u00e9\n","g":[1,[],{}],"h":null,"i":true,"j":false}`, `{"a":9223372036854775808}`, `{"a":-0}`, `{"a":01}`,
		`{"a":"` + "\xff" + `"}`, `{"a":"\ud83d\ude00\ud83d"}`, `[1]`, `{"a":1}x`, `{"a":1,}`, `{"a" 1}`, ``, `null`, `{"a":+1}`, `{"a":1.}`, `{"a":.5}`, `{"a":1e}`, " {\n\"a\" : [ 1 , 2 ] } ", `{"A":1,"a":2,"a":3}`, `{"a":"` + "\x01" + `"}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var want map[string]any
		err := kjson.UnmarshalCaseSensitivePreserveInts(body, &want)
		got, gotErr := Decode(body)
		if (err == nil && want != nil) != (gotErr == nil) {
			t.Fatalf("%q: error %v, want %v", body, gotErr, err)
		}
		if gotErr == nil && !reflect.DeepEqual(got, want) {
			t.Fatalf("%q: %v, want %v", body, got, want)
		}
	})
}
