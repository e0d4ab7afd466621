package manifest

import (
	"bytes"
	"testing"

	"github.com/hawser-dev/hawser/shared/fault"
)

// FuzzYAMLLoader: whatever a file has in it, Parse answers with objects within
// the limits or with an error that names the file; and what it answers is the
// same after it was written canonically and read again.
func FuzzYAMLLoader(f *testing.F) {
	object := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"
	for _, seed := range []string{
		"", "---\n", "# +argocd:skip-file-rendering\n", object, object + "---\n" + object, object + "...\n", "\ufeff" + object,
		"{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"metadata\":{\"name\":\"a\",\"labels\":{\"a\":\"\\u00e9\\ud83d\\ude00\"}}}",
		"apiVersion: v1\nkind: List\nitems:\n- " + "{apiVersion: v1, kind: Service, metadata: {name: b}}\n",
		"apiVersion: v1\nkind: ConfigMapList\nitems: [{metadata: {name: x}}]\n", "kind: List\nitems: ~\n",
		object + "data: &a {x: y, <<: {z: 1}}\nmore: *a\n", "a: &a [*a]\n", "a: &a {<<: *a}\n", "? {a: b}\n: c\n", "a:\n\tb: 1\n",
		object + "n: [0777, 0o17, 1_000, 1e3, 1.0, -0.0, .5, 9223372036854775807, 18446744073709551615, 2001-01-01, 1:20, 0x_1]\n",
		object + "s: [!!binary aGk=, !!str 12, !!int \"3\", !!float 1, !mine x, \"\\x41\\u263a\\N\", 'it''s', |2\n", "a: |+\n  x\n\n", "%YAML 1.1\n---\n" + object,
		"a: 'x", "[", "{", "- - - -", "a: *nope", "\x00", "\xff\xfea\x00", "a: \xed\xa0\x80\n", "<<: 1", "~: a",
	} {
		f.Add([]byte(seed), false)
		f.Add([]byte(seed), true)
	}
	lim := Limits{MaxBytes: 64 << 10, MaxObjects: 50, MaxDepth: 40, MaxAliasExpansion: 32 << 10}
	f.Fuzz(func(t *testing.T, data []byte, asJSON bool) {
		file := "dir/a.yaml"
		if asJSON {
			file = "dir/a.json"
		}
		objects, err := Parse(file, data, lim)
		if err != nil {
			e := fault.As(err)
			if e.Kind != fault.Unprocessable || len(e.Message) > 300 || !bytes.HasPrefix([]byte(e.Message), []byte(file)) {
				t.Fatalf("%s %s: %q", e.Kind, e.Code, e.Message)
			}
			if objects != nil {
				t.Fatal("objects with an error")
			}
			return
		}
		if len(objects) > lim.MaxObjects {
			t.Fatalf("%d objects", len(objects))
		}
		for _, o := range objects {
			if d := depthOf(o.Body); d > lim.MaxDepth+1 {
				t.Fatalf("depth %d", d)
			}
			canonical := AppendJSON(nil, o.Body)
			if len(canonical) > 40*(len(data)+lim.MaxAliasExpansion) {
				t.Fatalf("%d bytes became %d", len(data), len(canonical))
			}
			again, err := Parse("again.json", canonical, Limits{MaxBytes: len(canonical) + 1, MaxDepth: lim.MaxDepth + 1})
			if err != nil || len(again) != 1 {
				t.Fatalf("%s: %d objects, %v", canonical, len(again), err)
			}
			if again[0].Key != o.Key || again[0].Version != o.Version || !bytes.Equal(AppendJSON(nil, again[0].Body), canonical) {
				t.Fatalf("%s became %s", canonical, AppendJSON(nil, again[0].Body))
			}
			// JSON is YAML: the other reader understands the same.
			asYAML, err := Parse("again.yaml", append([]byte("# no JSON\n"), canonical...), Limits{MaxBytes: len(canonical) + 20, MaxDepth: lim.MaxDepth + 1})
			if err != nil || len(asYAML) != 1 || !bytes.Equal(AppendJSON(nil, asYAML[0].Body), canonical) {
				t.Fatalf("as YAML %s: %v", canonical, err)
			}
		}
	})
}

func depthOf(v any) int {
	deepest := 0
	switch v := v.(type) {
	case map[string]any:
		for _, item := range v {
			deepest = max(deepest, 1+depthOf(item))
		}
	case []any:
		for _, item := range v {
			deepest = max(deepest, 1+depthOf(item))
		}
	}
	return deepest
}
