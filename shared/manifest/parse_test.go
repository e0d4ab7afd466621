package manifest

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"

	sigsjson "sigs.k8s.io/json"
	sigsyaml "sigs.k8s.io/yaml"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

func obj(fields string) string {
	return "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: x\n" + fields
}

func TestParseDocumentsAndLists(t *testing.T) {
	tests := []struct {
		name, file, data string
		want             []string // "key version origin"
	}{
		{"one", "a.yaml", obj(""), []string{"ConfigMap x v1 a.yaml#1"}},
		{"namespace as written", "d/a.yaml", "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, namespace: shop}\n", []string{"apps/Deployment shop/web v1 d/a.yaml#1"}},
		{"several, with empty ones between", "a.yaml", "---\n" + obj("") + "---\n---\n# only a comment\n---\n{}\n---\n" + strings.Replace(obj(""), "x", "z", 1) + "...\n", []string{"ConfigMap x v1 a.yaml#1", "ConfigMap z v1 a.yaml#5"}},
		{"nothing", "a.yaml", "", nil},
		{"only comments", "a.yaml", "# nothing\n", nil},
		{"byte order mark and CRLF", "a.yaml", "\xef\xbb\xbf" + strings.ReplaceAll(obj(""), "\n", "\r\n"), []string{"ConfigMap x v1 a.yaml#1"}},
		{"JSON", "a.json", `{"apiVersion":"v1","kind":"Secret","metadata":{"name":"s"}}`, []string{"Secret s v1 a.json#1"}},
		{"flow mapping in YAML", "a.yaml", "{apiVersion: v1, kind: Secret, metadata: {name: s}}\n", []string{"Secret s v1 a.yaml#1"}},
		{"two JSON objects in YAML documents", "a.yaml", "{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"metadata\":{\"name\":\"s\"}}\n---\n" + obj(""), []string{"Secret s v1 a.yaml#1", "ConfigMap x v1 a.yaml#2"}},
		{"List", "a.yaml", "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Secret, metadata: {name: s}}\n- {apiVersion: v1, kind: List, items: [{apiVersion: v1, kind: Secret, metadata: {name: t}}]}\n", []string{"Secret s v1 a.yaml#1.items[0]", "Secret t v1 a.yaml#1.items[1].items[0]"}},
		{"empty List", "a.yaml", "apiVersion: v1\nkind: List\nitems: []\n", nil},
		{"typed list fills in what it says once", "a.yaml", "apiVersion: apps/v1\nkind: DeploymentList\nitems:\n- {metadata: {name: s}}\n", []string{"apps/Deployment s v1 a.yaml#1.items[0]"}},
		{"a kind that only ends in List", "a.yaml", "apiVersion: x.io/v1\nkind: AllowList\nmetadata: {name: s}\nspec: {}\n", []string{"x.io/AllowList s v1 a.yaml#1"}},
		{"names with colons and dots", "a.yaml", "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: \"system:a.b\"}\n", []string{"rbac.authorization.k8s.io/ClusterRole system:a.b v1 a.yaml#1"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			objs, err := Parse(tt.file, []byte(tt.data), Limits{})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, o := range objs {
				got = append(got, fmt.Sprintf("%s %s %s", o.Key, o.Version, o.Origin))
			}
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %q\nwant %q", got, tt.want)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	laughs := "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
	for i := 'b'; i <= 'i'; i++ {
		laughs += fmt.Sprintf("%c: &%c [*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c]\n", i, i, i-1, i-1, i-1, i-1, i-1, i-1, i-1, i-1, i-1, i-1)
	}
	tests := []struct {
		name, file, data string
		lim              Limits
		code, message    string // message is a part of the message
	}{
		{"tab", "deploy/a.yaml", "apiVersion: v1\nkind: X\nmetadata:\n\tname: x\n", Limits{}, "yaml_invalid", "deploy/a.yaml:4:1: tab used for indentation"},
		{"tab after spaces", "a.yaml", "a:\n  b: 1\n  \tc: 2\n", Limits{}, "yaml_invalid", "a.yaml:3:3: tab used"},
		{"bad indentation", "deploy/a.yaml", "a: 1\n  b: 2\n", Limits{}, "yaml_invalid", "deploy/a.yaml:2:4: "},
		{"unclosed flow", "a.yaml", "a: [1, 2\n", Limits{}, "yaml_invalid", "a.yaml:2:1: did not find expected"},
		{"unclosed quote", "a.yaml", "a: \"x\n", Limits{}, "yaml_invalid", "a.yaml:2:1: found unexpected end of stream"},
		{"invalid UTF-8", "a.yaml", "a: 1\nb: \xff\xfe\n", Limits{}, "yaml_invalid", "a.yaml:2:4: invalid leading UTF-8 octet"},
		{"control character", "a.yaml", "a: 1\nb: \x01\n", Limits{}, "yaml_invalid", "a.yaml:2:4: control characters are not allowed"},
		{"a key in a flow that has no end", "a.yaml", "foo: [a, b\nbar: c\n", Limits{}, "yaml_invalid", "a.yaml:2:4: did not find expected ',' or ']'"},
		{"a brace too many", "a.yaml", "a: 1\n}\n", Limits{}, "yaml_invalid", "a.yaml:2:1: did not find expected key"},
		{"a tab in the first line", "a.yaml", "\ta: 1\n", Limits{}, "yaml_invalid", "a.yaml:1:1: tab used"},
		{"a tab in a block", "a.yaml", "x: |\n  a\n\ty\n", Limits{}, "yaml_invalid", "a.yaml:3:1: tab used"},
		{"unknown anchor", "a.yaml", "b: 1\na: *nope\n", Limits{}, "yaml_invalid", "a.yaml:2:4: unknown anchor 'nope'"},
		{"duplicate key", "deploy/a.yaml", obj("data:\n  image: a\n  other: b\n  image: c\n"), Limits{}, "yaml_duplicate_key", "deploy/a.yaml:8:3: \"image\" is already set at line 6"},
		{"duplicate key after conversion", "a.yaml", "1: a\n\"1\": b\n", Limits{}, "yaml_duplicate_key", "\"1\" is already set at line 1"},
		{"duplicate key in JSON", "a.json", "{\"a\": 1,\n \"a\": 2}", Limits{}, "yaml_duplicate_key", "a.json:2:2: \"a\" is already set at line 1"},
		{"duplicate key in JSON, far away", "a.json", "{\n\"b\": {\"a\": [1, {\"a\": 2}]},\n \"a\": 1,\n\"c\":\n\"d\", \"a\": 2}", Limits{}, "yaml_duplicate_key", "a.json:5:6: \"a\" is already set at line 3"},
		{"duplicate key in JSON in YAML file", "a.yaml", "{\"a\": 1,\n \"a\": 2}", Limits{}, "yaml_duplicate_key", "a.yaml:2:2"},
		{"broken JSON", "a.json", "{\"a\": 1,\n}", Limits{}, "yaml_invalid", "a.json:2:1: a key in double quotes"},
		{"two values in JSON", "a.json", "{} {}", Limits{}, "yaml_invalid", "a.json:1:4: text after"},
		{"null as key", "a.yaml", "~: a\n", Limits{}, "yaml_invalid", "a.yaml:1:1: a key must be a string"},
		{"mapping as key", "a.yaml", "? {a: b}\n: c\n", Limits{}, "yaml_invalid", "a.yaml:1:3: a key must be a string"},
		{"billion laughs", "x.yaml", laughs, Limits{}, "yaml_alias_limit", "expands to more than 10 MiB through aliases"},
		{"billion laughs by merge", "x.yaml", "a: &a {k: " + strings.Repeat("x", 600) + "}\nb: {<<: *a}\nc: {<<: *a}\n", Limits{MaxAliasExpansion: 1000}, "yaml_alias_limit", "1000 bytes"},
		{"aliases as keys", "x.yaml", "a: &a " + strings.Repeat("x", 600) + "\nb: {*a : 1}\nc: {*a : 1}\n", Limits{MaxAliasExpansion: 1000}, "yaml_alias_limit", ""},
		{"anchor in itself", "x.yaml", "a: &a [*a]\n", Limits{}, "yaml_invalid", "anchor \"a\" contains itself"},
		{"merge of a scalar", "x.yaml", "a: {<<: 1}\n", Limits{}, "yaml_invalid", "\"<<\" merges mappings only"},
		{"deep", "x.yaml", strings.Repeat("[", 300) + strings.Repeat("]", 300), Limits{}, "yaml_invalid", "nested deeper than 200"},
		{"deep JSON", "x.json", strings.Repeat("[", 300) + strings.Repeat("]", 300), Limits{}, "yaml_invalid", "nested deeper than 200"},
		{"file too large", "x.yaml", strings.Repeat("#", 2000), Limits{MaxBytes: 1024}, "too_large", "the file is 1 KiB; the limit is 1 KiB"},
		{"too many objects", "x.yaml", strings.Repeat(obj("---\n"), 4), Limits{MaxObjects: 3}, "too_large", "more than 3 objects"},
		{"too many values", "x.yaml", strings.Repeat("-\n", 800_000), Limits{}, "too_large", "YAML values"},
		{"NaN", "x.yaml", obj("x: .nan\n"), Limits{}, "manifest_invalid", "x.yaml:5:4: \".nan\" is not a number"},
		{"huge number in JSON", "x.json", `{"a": 1e999}`, Limits{}, "yaml_invalid", "out of range"},
		{"binary that is no text", "x.yaml", "a: !!binary //4=\n", Limits{}, "manifest_invalid", "!!binary"},
		{"no kind", "deploy/a.yaml", obj("") + "---\n---\napiVersion: v1\n", Limits{}, "manifest_incomplete", "deploy/a.yaml document 3: \"kind\" is missing"},
		{"no apiVersion", "a.yaml", "kind: Service\n", Limits{}, "manifest_incomplete", "a.yaml document 1: Service: \"apiVersion\" is missing"},
		{"empty kind", "a.yaml", "apiVersion: v1\nkind: \"\"\n", Limits{}, "manifest_incomplete", "\"kind\" is missing"},
		{"no metadata", "a.yaml", "apiVersion: v1\nkind: Service\n", Limits{}, "manifest_incomplete", "Service: \"metadata.name\" is missing"},
		{"no name", "a.yaml", "apiVersion: v1\nkind: Service\nmetadata: {}\n", Limits{}, "manifest_incomplete", "\"metadata.name\" is missing"},
		{"generateName", "a.yaml", "apiVersion: v1\nkind: Service\nmetadata: {generateName: x-}\n", Limits{}, "manifest_incomplete", "\"metadata.name\" is missing"},
		{"a scalar document", "a.yaml", "hello\n", Limits{}, "manifest_invalid", "a.yaml document 1: a Kubernetes object is a mapping, this is the string \"hello\""},
		{"a list document", "a.yaml", "- a\n", Limits{}, "manifest_invalid", "this is a list"},
		{"kind is a number", "a.yaml", "apiVersion: v1\nkind: 3\n", Limits{}, "manifest_invalid", "kind must be a string, got the number 3"},
		{"apiVersion with two slashes", "a.yaml", "apiVersion: a/b/c\nkind: X\nmetadata: {name: x}\n", Limits{}, "manifest_invalid", "apiVersion \"a/b/c\""},
		{"metadata is a list", "a.yaml", "apiVersion: v1\nkind: X\nmetadata: []\n", Limits{}, "manifest_invalid", "metadata must be a mapping, got a list"},
		{"name is a number", "a.yaml", "apiVersion: v1\nkind: X\nmetadata: {name: 12}\n", Limits{}, "manifest_invalid", "metadata.name must be a string, got the number 12; quote it"},
		{"name leaves its path", "a.yaml", "apiVersion: v1\nkind: X\nmetadata: {name: ../y}\n", Limits{}, "manifest_invalid", "metadata.name \"../y\""},
		{"namespace leaves its path", "a.yaml", "apiVersion: v1\nkind: X\nmetadata: {name: x, namespace: a/b}\n", Limits{}, "manifest_invalid", "metadata.namespace \"a/b\""},
		{"namespace is a boolean", "a.yaml", "apiVersion: v1\nkind: X\nmetadata: {name: x, namespace: on}\n", Limits{}, "manifest_invalid", "metadata.namespace must be a string, got the boolean true; quote it"},
		{"annotation is a number", "a.yaml", obj("  annotations: {port: 80}\n"), Limits{}, "manifest_invalid", "metadata.annotations[\"port\"] must be a string, got the number 80; quote it"},
		{"labels are a list", "a.yaml", obj("  labels: [a]\n"), Limits{}, "manifest_invalid", "metadata.labels must be a mapping, got a list"},
		{"List.items null", "deploy/l.yaml", "apiVersion: v1\nkind: List\nitems:\n", Limits{}, "manifest_invalid", "deploy/l.yaml document 1: List.items is null"},
		{"items of a list of one kind null", "l.yaml", "apiVersion: v1\nkind: ConfigMapList\nitems:\n", Limits{}, "manifest_invalid", "l.yaml document 1: ConfigMapList.items is null"},
		{"List.items missing", "l.yaml", "apiVersion: v1\nkind: List\n", Limits{}, "manifest_invalid", "List.items is null or missing"},
		{"List in List with null items", "l.yaml", "apiVersion: v1\nkind: List\nitems: [{apiVersion: v1, kind: List, items: }]\n", Limits{}, "manifest_invalid", "l.yaml document 1 items[0]: List.items is null"},
		{"List.items a mapping", "l.yaml", "apiVersion: v1\nkind: List\nitems: {}\n", Limits{}, "manifest_invalid", "List.items must be a list, got a mapping"},
		{"null in List", "l.yaml", "apiVersion: v1\nkind: List\nitems: [~]\n", Limits{}, "manifest_invalid", "List.items[0]: a Kubernetes object is a mapping, this is null"},
		{"Lists in Lists for ever", "l.yaml", strings.Repeat("{apiVersion: v1, kind: List, items: [", 6) + strings.Repeat("]}", 6), Limits{}, "manifest_invalid", "Lists inside Lists"},
		{"message of hostile length", "l.yaml", strings.Repeat("é", 5000), Limits{}, "manifest_invalid", "…"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			objs, err := Parse(tt.file, []byte(tt.data), tt.lim)
			if err == nil {
				t.Fatalf("parsed as %v", objs)
			}
			if objs != nil {
				t.Error("objects came with the error")
			}
			e := fault.As(err)
			if e.Kind != fault.Unprocessable || e.Code != tt.code {
				t.Errorf("got %s %s: %s; want code %s", e.Kind, e.Code, e.Message, tt.code)
			}
			if !strings.Contains(e.Message, tt.message) {
				t.Errorf("message %q has not %q", e.Message, tt.message)
			}
			if len(e.Message) > 300 {
				t.Errorf("message has %d bytes", len(e.Message))
			}
		})
	}
}

func TestAnchorsAndMergeKeys(t *testing.T) {
	objs, err := Parse("a.yaml", []byte(obj(`base: &base {a: 1, b: 2}
more: &more {b: 3, c: 4}
own: {<<: *base, b: 9}
ownFirst: {b: 9, <<: *base}
several: {<<: [*base, *more]}
inline: {<<: {z: 1}}
quoted: {"<<": 1}
again: *base
`)), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	body := objs[0].Body
	for field, want := range map[string]string{
		"own":      `{"a":1,"b":9}`,
		"ownFirst": `{"a":1,"b":9}`,
		"several":  `{"a":1,"b":2,"c":4}`,
		"inline":   `{"z":1}`,
		"quoted":   `{"<<":1}`,
		"again":    `{"a":1,"b":2}`,
	} {
		if got := string(AppendJSON(nil, body[field])); got != want {
			t.Errorf("%s: got %s, want %s", field, got, want)
		}
	}
	body["again"].(map[string]any)["a"] = "changed"
	if got := string(AppendJSON(nil, body["base"])); got != `{"a":1,"b":2}` {
		t.Errorf("an alias shares memory with its anchor: %s", got)
	}
}

// kubernetesValue reads YAML as the Kubernetes libraries do, with whole floats
// as they come back from the JSON that is sent.
func kubernetesValue(data []byte) (any, error) {
	j, err := sigsyaml.YAMLToJSONStrict(data)
	if err != nil {
		return nil, err
	}
	var v any
	if err := sigsjson.UnmarshalCaseSensitivePreserveInts(j, &v); err != nil {
		return nil, err
	}
	return normal(v), nil
}

func normal(v any) any {
	switch v := v.(type) {
	case float64:
		return normalFloat(v)
	case map[string]any:
		for k := range v {
			v[k] = normal(v[k])
		}
	case []any:
		for i := range v {
			v[i] = normal(v[i])
		}
	}
	return v
}

func ourValue(data []byte) (any, error) {
	c := converter{lim: DefaultLimits(), aliasBudget: 1 << 20}
	n, err := firstNode(data)
	if err != nil || n == nil {
		return nil, err
	}
	return c.value(n, 0)
}

func TestScalarsAreReadAsKubernetesReadsThem(t *testing.T) {
	scalars := strings.Fields(`yes no on off y n Y N true false True FALSE null ~ Null 0 1 -1 +1 007 0777 0o17 0x1F -0x1f 0b101 -0b11
		1_000 1_0.5 1.0 1.5 -1.5 .5 +.5 1. 1e3 1e-7 1E21 123456789012345678901 9223372036854775807 9223372036854775808 18446744073709551615
		-9223372036854775808 -9223372036854775809 2001-01-01 2001-12-14T21:59:43.10Z 12:30:45 1.2.3 1e 0x 0b2 08 v1 -- -a +a .a a.b
		"1" 'true' "yes" !!str !!str_1 !!int_3 !!float_3 !!bool_yes 1.7976931348623157e308 4.9e-324 0.1 100000000000000000000 1e20
		-0 -0.0 0.0 0e0 ~a nulls 1,2 "\u00e9" é 0.30000000000000004`)
	for _, s := range scalars {
		if strings.HasPrefix(s, "!!") {
			s = strings.Replace(s, "_", " ", 1)
		}
		doc := []byte("v: " + s + "\n")
		want, err := kubernetesValue(doc)
		if err != nil {
			t.Errorf("%q: the reference refuses it: %v", s, err)
			continue
		}
		got, err := ourValue(doc)
		if err != nil {
			t.Errorf("%q: %v", s, err)
			continue
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%q: got %#v, want %#v", s, got, want)
		}
	}
	for _, s := range []string{"yes", "1", "1.5", "0x10", "\"1\"", "on", "1.0", "1e3", "a"} {
		doc := []byte(s + ": v\n")
		want, err := kubernetesValue(doc)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := ourValue(doc); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("key %q: got %#v %v, want %#v", s, got, err, want)
		}
	}
}

func TestJSONIsReadAsKubernetesReadsIt(t *testing.T) {
	for _, s := range []string{`{}`, `[]`, ` [1, -2, 3.5, 1e3, -0, 0.0, 1E+2, 9223372036854775808, -9223372036854775808] `, `{"a":{"b":[true,false,null]}}`,
		`"\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00"`, `"\ud83d"`, `"\ud83dx"`, `"\ud83d\u0041"`, `"é😀"`, `""`, `[[],[{}]]`} {
		var want any
		if err := sigsjson.UnmarshalCaseSensitivePreserveInts([]byte(s), &want); err != nil {
			t.Fatal(err)
		}
		got, jerr := decodeJSON([]byte(s), 100)
		if jerr != nil {
			t.Errorf("%s: %s", s, jerr.msg)
			continue
		}
		if !reflect.DeepEqual(got, normal(want)) {
			t.Errorf("%s: got %#v, want %#v", s, got, want)
		}
	}
	for _, s := range []string{``, `{`, `[`, `"`, `"\`, `"\u12`, `"\u12zz"`, `"\x"`, `tru`, `nul`, `01`, `-`, `1.`, `1e`, `.5`, `+1`, `{"a"}`, `{"a":}`, `{"a":1,}`, `[1,]`, `[1 2]`, `{a:1}`, "\"\n\"", "\"\xff\"", "\"\\n\xff\"", `1 2`} {
		if v, err := decodeJSON([]byte(s), 100); err == nil {
			t.Errorf("%q was read as %#v", s, v)
		}
	}
}

func TestAnnotationAliases(t *testing.T) {
	o := Object{Body: map[string]any{"metadata": map[string]any{"annotations": map[string]any{
		"argocd.argoproj.io/sync-wave": "1", "hawser.dev/sync-wave": "2", "hawser.dev/hook": "PreSync", "x": "y",
	}}}}
	for name, want := range map[string]string{"argocd.argoproj.io/sync-wave": "1", "argocd.argoproj.io/hook": "PreSync", "x": "y", "z": "", "hook": ""} {
		if got := o.Annotation(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	if got := (Object{}).Annotation("x"); got != "" {
		t.Errorf("an object without metadata has annotation %q", got)
	}
}

func TestDuplicates(t *testing.T) {
	mk := func(ns, origin string) Object {
		return Object{Key: model.ObjectKey{Group: "apps", Kind: "Deployment", Namespace: ns, Name: "web"}, Origin: origin}
	}
	if err := Duplicates([]Object{mk("a", "1"), mk("b", "2"), mk("", "3")}); err != nil {
		t.Errorf("different objects: %v", err)
	}
	err := Duplicates([]Object{mk("shop", "a.yaml#1"), mk("x", "x"), mk("shop", "b.yaml#2")})
	if e := fault.As(err); e.Code != "duplicate_object" || e.Message != "Deployment shop/web is defined twice: a.yaml#1 and b.yaml#2" {
		t.Errorf("got %v", err)
	}
	var many []Object
	for range 50 {
		many = append(many, mk("shop", "o"))
	}
	if l, ok := Duplicates(many).(fault.List); !ok || len(l) != 20 {
		t.Errorf("got %d errors, want 20", len(l))
	}
}

func FuzzParse(f *testing.F) {
	f.Add("a.yaml", []byte(obj("data: {a: 1.0, b: [yes, 0x1f, ~], c: !!binary aGk=}\n")+"---\n"+obj("x: &a {k: v}\ny: {<<: *a}\n")))
	f.Add("a.json", []byte(`{"apiVersion":"v1","kind":"List","items":[{"apiVersion":"v1","kind":"Secret","metadata":{"name":"s"}}]}`))
	f.Add("a.yaml", []byte("a: &a [*a]\n? [b]\n: c\n"))
	f.Add("a.yaml", []byte("- - - - ? - :\t- #\n--- |\n  x\n...\n%YAML 1.1\n--- !!set {a}\n"))
	f.Fuzz(func(t *testing.T, file string, data []byte) {
		if len(data) > 1<<16 || len(file) > 100 {
			return
		}
		objs, err := Parse(file, data, Limits{})
		if err != nil {
			if e := fault.As(err); e.Kind != fault.Unprocessable || e.Message == "" || len(e.Message) > 300 {
				t.Fatalf("error %#v", e)
			}
			return
		}
		encoded, digest, err := EncodeBundle(objs)
		if err != nil {
			t.Fatal(err)
		}
		back, err := DecodeBundle(encoded, digest)
		if err != nil {
			t.Fatal(err)
		}
		SortForApply(objs)
		if len(back) != len(objs) {
			t.Fatalf("%d objects came back of %d", len(back), len(objs))
		}
		for i := range objs {
			if back[i].Key != objs[i].Key || !bytes.Equal(back[i].JSON(), objs[i].JSON()) || !reflect.DeepEqual(back[i].Body, objs[i].Body) {
				t.Fatalf("object %d: %s became %s", i, objs[i].JSON(), back[i].JSON())
			}
		}
	})
}

func TestOnlyHooksMayHaveAGeneratedName(t *testing.T) {
	job := func(annotations string) string {
		return "apiVersion: batch/v1\nkind: Job\nmetadata: {generateName: migrate-, annotations: {" + annotations + "}}\n"
	}
	for _, hook := range []string{"argocd.argoproj.io/hook: PreSync", "hawser.dev/hook: PreSync", "helm.sh/hook: pre-install"} {
		objects, err := Parse("job.yaml", []byte(job(hook)), Limits{})
		if err != nil || len(objects) != 1 || objects[0].Key.Name != "migrate-" {
			t.Errorf("%s: %v %v", hook, objects, err)
			continue
		}
		again, err := DecodeObject(objects[0].JSON())
		if err != nil || again.Key != objects[0].Key {
			t.Errorf("%s: decoded as %v %v", hook, again.Key, err)
		}
	}
	for _, none := range []string{"", "helm.sh/hook: ''", "a: b"} {
		if _, err := Parse("job.yaml", []byte(job(none)), Limits{}); !fault.HasCode(err, "manifest_incomplete") || !strings.Contains(fault.As(err).Fix, "generateName is for hooks") {
			t.Errorf("%q: %v", none, err)
		}
	}
	if _, err := Parse("job.yaml", []byte(strings.Replace(job("helm.sh/hook: test"), "migrate-", "a/b", 1)), Limits{}); !fault.HasCode(err, "manifest_invalid") {
		t.Errorf("%v", err)
	}
}

func TestANullLabelIsEmpty(t *testing.T) {
	o := parsed(t, []byte("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  labels: {q: null}\n  annotations:\n    foo:\n"))[0]
	if got := string(o.JSON()); got != `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"annotations":{"foo":""},"labels":{"q":""},"name":"a"}}` {
		t.Error(got)
	}
}
