package manifest

import (
	"reflect"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/shared/model"
)

func TestP13_PointersToSensitiveFields(t *testing.T) {
	for text, want := range map[string][]string{
		"/data":                        {"data"},
		"/data/*":                      {"data", "*"},
		"/spec/list/0/password":        {"spec", "list", "0", "password"},
		"/metadata/annotations/a~1b~0": {"metadata", "annotations", "a/b~"},
		"/data/~01":                    {"data", "~1"},
		"/metadata/labels":             {"metadata", "labels"},
	} {
		if got, err := ParseField(text); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %q, %v; want %q", text, got, err, want)
		}
	}
	for text, why := range map[string]string{
		"": `starts with "/"`, "data/token": `starts with "/"`, "#/data": `starts with "/"`, "/": "nothing behind", "/data/": "nothing behind", "//a": "nothing behind",
		"/list/-": "any element", "/a~": "~0", "/a~2": "~0",
		"/apiVersion": "/apiVersion", "/kind": "/kind", "/metadata": "/metadata/name", "/metadata/name": "/metadata/name",
		"/metadata/namespace": "/metadata/namespace", "/metadata/uid": "/metadata/uid", "/*": "/apiVersion", "/metadata/*": "/metadata/name", "/*/uid": "/metadata/uid",
	} {
		if got, err := ParseField(text); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
}

func TestP13_KindsOfSensitiveFields(t *testing.T) {
	for _, c := range []struct {
		group, kind string // of the rule
		object      model.GroupKind
		want        bool
	}{
		{"", "ConfigMap", model.GroupKind{Kind: "ConfigMap"}, true},
		{"", "ConfigMap", model.GroupKind{Kind: "configmap"}, true},
		{"", "ConfigMap", model.GroupKind{Group: "example.org", Kind: "ConfigMap"}, false},
		{"*", "ConfigMap", model.GroupKind{Group: "example.org", Kind: "ConfigMap"}, true},
		{"*", "*", model.GroupKind{Kind: "Pod"}, true},
		{"*.org", "Tok?n", model.GroupKind{Group: "example.org", Kind: "Token"}, true},
		{"", "Pod", model.GroupKind{Kind: "PodTemplate"}, false},
		{"", "[", model.GroupKind{Kind: "["}, false},
	} {
		rules := []model.SensitiveFields{{Group: c.group, Kind: c.kind, JSONPointers: []string{"/a", "none"}}}
		if got := len(FieldsOf(rules, c.object)) == 1; got != c.want {
			t.Errorf("%q %q of %v: %v", c.group, c.kind, c.object, got)
		}
	}
}

func TestP13_SensitiveFieldsAreHidden(t *testing.T) {
	const source = `apiVersion: example.org/v1
kind: Token
metadata:
  name: x
  annotations: {a/b: CANARY, plain: shown, kubectl.kubernetes.io/last-applied-configuration: CANARY}
  managedFields: [{manager: m, fieldsV1: {"f:spec": {"k:{\"name\":\"CANARY\"}": {}, "v:\"CANARY\"": {}, "f:open": {}}}}]
spec:
  open: shown
  number: 12345
  whole: {a: CANARY, b: [CANARY]}
  any: {one: CANARY, two: CANARY, three: {deep: CANARY}}
  list: [{password: CANARY, name: shown}, {password: CANARY, name: shown}]
  second: [shown, CANARY]
  empty: null
status: {secret: CANARY}
`
	rules := []model.SensitiveFields{
		{Group: "example.org", Kind: "Token", JSONPointers: []string{"/metadata/annotations/a~1b", "/spec/number", "/spec/whole", "/spec/any/*", "/spec/list/*/password",
			"/spec/second/1", "/spec/second/7", "/spec/empty", "/spec/none/deeper", "/spec/open/deeper", "/status/secret", "/status/*"}},
		{Group: "example.org", Kind: "Other", JSONPointers: []string{"/spec/open"}},
	}
	objects, err := Parse("x", []byte(source), DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	body := objects[0].Body
	key := []byte("key")
	got := RedactFields(body, key, FieldsIn(rules, body))
	text := string(AppendJSON(nil, got))
	if strings.Contains(text, "CANARY") || strings.Contains(text, "12345") || strings.Count(text, "shown") != 5 {
		t.Error(text)
	}
	if strings.Contains(string(AppendJSON(nil, body)), "redacted") {
		t.Error("what is compared and applied was changed")
	}
	spec := got["spec"].(map[string]any)
	if _, isText := spec["whole"].(string); !isText || spec["empty"] != nil {
		t.Error(text)
	}
	each := spec["any"].(map[string]any)
	if each["one"] == each["two"] {
		t.Error("who sees the tags sees that two fields hold the same")
	}
	if again := RedactFields(body, key, FieldsIn(rules, body)); !reflect.DeepEqual(again, got) {
		t.Errorf("once %v, and then %v", got, again)
	}
	if twice := RedactFields(got, []byte("another"), FieldsIn(rules, body)); !reflect.DeepEqual(twice["spec"], got["spec"]) {
		t.Errorf("a tag was tagged: %v", twice["spec"])
	}
	body["spec"].(map[string]any)["any"].(map[string]any)["one"] = "other"
	if changed := RedactFields(body, key, FieldsIn(rules, body))["spec"].(map[string]any)["any"].(map[string]any); changed["one"] == each["one"] || changed["two"] != each["two"] {
		t.Errorf("a change does not show: %v and %v", each, changed)
	}

	// A Secret has its tags, and fields besides its data.
	secret := map[string]any{"apiVersion": "v1", "kind": "Secret", "metadata": map[string]any{"name": "s", "labels": map[string]any{"pin": "CANARY"}}, "data": map[string]any{"p": "Q0FOQVJZ"}}
	rules = []model.SensitiveFields{{Kind: "Secret", JSONPointers: []string{"/data/p", "/metadata/labels/*"}}}
	with, without := RedactFields(secret, key, FieldsIn(rules, secret)), Redact(secret, key)
	if !reflect.DeepEqual(with["data"], without["data"]) || strings.Contains(string(AppendJSON(nil, with)), "CANARY") {
		t.Errorf("%v", with)
	}
}
