package manifest

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/shared/model"
)

const canary = "CANARY-b7Qx"

func leaks(t *testing.T, what string, v any) {
	t.Helper()
	text := string(AppendJSON(nil, v))
	for _, form := range []string{canary, base64.StdEncoding.EncodeToString([]byte(canary))} {
		if strings.Contains(text, form) {
			t.Errorf("%s: %s is in %s", what, form, text)
		}
	}
}

func parse(t *testing.T, text string) map[string]any {
	t.Helper()
	text = strings.ReplaceAll(strings.ReplaceAll(text, "B64", base64.StdEncoding.EncodeToString([]byte(canary))), "CANARY", canary)
	var v map[string]any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err, text)
	}
	return v
}

// What is a Secret is decided on the object, in whatever way it comes.
func TestA28_TestA44_TestA45_TestP13_SecretsInEveryShape(t *testing.T) {
	for what, text := range map[string]string{
		"Secret":                  `{"apiVersion":"v1","kind":"Secret","metadata":{"name":"x"},"data":{"k":"B64"},"stringData":{"k":"CANARY"}}`,
		"release of Helm":         `{"apiVersion":"v1","kind":"Secret","type":"helm.sh/release.v1","metadata":{"name":"sh.helm.release.v1.x.v1"},"data":{"release":"B64"}}`,
		"lower case":              `{"apiVersion":"v1","kind":"secret","metadata":{"name":"x"},"data":{"k":"B64"}}`,
		"without version":         `{"kind":"Secret","metadata":{"name":"x"},"data":{"k":"B64"}}`,
		"custom resource":         `{"apiVersion":"example.com/v1","kind":"Secret","metadata":{"name":"x"},"spec":{"value":"CANARY"},"status":{"secret":"CANARY"}}`,
		"aggregated API":          `{"apiVersion":"vault.example.com/v1alpha1","kind":"Secret","metadata":{"name":"x"},"data":{"k":"CANARY"}}`,
		"numbers and maps":        `{"apiVersion":"v1","kind":"Secret","metadata":{"name":"x"},"data":{"k":{"a":"CANARY"},"l":["CANARY"]}}`,
		"data is a text":          `{"apiVersion":"v1","kind":"Secret","metadata":{"name":"x"},"data":"CANARY"}`,
		"unknown field":           `{"apiVersion":"v1","kind":"Secret","metadata":{"name":"x"},"dtaa":{"k":"CANARY"}}`,
		"List":                    `{"apiVersion":"v1","kind":"List","items":[{"apiVersion":"v1","kind":"Secret","metadata":{"name":"x"},"data":{"k":"B64"}}]}`,
		"SecretList":              `{"apiVersion":"v1","kind":"SecretList","items":[{"apiVersion":"v1","kind":"Secret","metadata":{"name":"x"},"data":{"k":"B64"}}]}`,
		"template":                `{"apiVersion":"work.example/v1","kind":"ManifestWork","metadata":{"name":"x"},"spec":{"workload":{"manifests":[{"kind":"Secret","stringData":{"k":"CANARY"}}]}}}`,
		"last applied":            `{"apiVersion":"v1","kind":"Secret","metadata":{"name":"x","annotations":{"kubectl.kubernetes.io/last-applied-configuration":"{\"data\":{\"k\":\"B64\"}}"}}}`,
		"last applied of another": `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"x","annotations":{"kubectl.kubernetes.io/last-applied-configuration":"CANARY"}}}`,
		"last applied within":     `{"apiVersion":"v1","kind":"List","items":[{"kind":"ConfigMap","metadata":{"annotations":{"kubectl.kubernetes.io/last-applied-configuration":"CANARY"}}}]}`,
		"sensitive annotation":    `{"apiVersion":"v1","kind":"Secret","metadata":{"name":"x","annotations":{"token":"CANARY"}}}`,
	} {
		body := parse(t, text)
		before := string(AppendJSON(nil, body))
		leaks(t, what, Redact(body, []byte("key"), "token"))
		if after := string(AppendJSON(nil, body)); after != before {
			t.Errorf("%s: the argument was modified: %s", what, after)
		}
	}
	// A reference to a Secret is none.
	ref := parse(t, `{"apiVersion":"x/v1","kind":"Cert","metadata":{"name":"x","ownerReferences":[{"apiVersion":"v1","kind":"Secret","name":"n","uid":"u"}]},"spec":{"ref":{"kind":"Secret","name":"n"}}}`)
	if got := string(AppendJSON(nil, Redact(ref, []byte("key")))); got != string(AppendJSON(nil, ref)) {
		t.Errorf("a reference is changed: %s", got)
	}
	// Names of fields are no values.
	managed := parse(t, `{"apiVersion":"v1","kind":"Secret","metadata":{"name":"x","managedFields":[{"manager":"m","fieldsV1":{"f:data":{"f:k":{}}}}]},"data":{"k":"B64"}}`)
	if got := string(AppendJSON(nil, Redact(managed, []byte("key")))); !strings.Contains(got, "f:k") {
		t.Errorf("managed fields: %s", got)
	}
}

// A tag says that a value changed, and nothing else: it does not compare with that
// of another object, field or application.
func TestP14_TagsCompareNowhereElse(t *testing.T) {
	tag := func(app model.AppUID, object, field, value string) string {
		out := Redact(map[string]any{"apiVersion": "v1", "kind": "Secret", "metadata": map[string]any{"namespace": "n", "name": object}, "data": map[string]any{field: value}}, KeyFor([]byte("cluster"), app))
		return out["data"].(map[string]any)[field].(string)
	}
	base := tag("app", "a", "k", "value")
	if tag("app", "a", "k", "value") != base {
		t.Error("the same value has another tag")
	}
	for what, other := range map[string]string{
		"value": tag("app", "a", "k", "value2"), "object": tag("app", "b", "k", "value"),
		"field": tag("app", "a", "l", "value"), "application": tag("other", "a", "k", "value"),
	} {
		if other == base || len(other) != len(base) {
			t.Errorf("another %s: %s and %s", what, base, other)
		}
	}
	if long := tag("app", "a", "k", strings.Repeat("x", 4096)); len(long) != len("redacted:")+8 {
		t.Errorf("the length is told: %s", long)
	}
}

// What an agent says of a Secret's fields passes only as a tag.
func TestE06_DifferencesAreGuarded(t *testing.T) {
	for _, c := range []struct {
		kind, path, value string
		passes            bool
	}{
		{"Secret", ".data.k", `"` + canary + `"`, false},
		{"Secret", ".data", `{"k":"` + canary + `"}`, false},
		{"secret", ".stringData.k", `"` + canary + `"`, false},
		{"Secret", "", `{"data":{}}`, false},
		{"Secret", ".metadata", `{"annotations":{}}`, false},
		{"Secret", `.metadata.annotations["x"]`, `"` + canary + `"`, false},
		{"Secret", ".spec.value", `"` + canary + `"`, false},
		{"Secret", ".data.k", `"redacted:` + canary + `"`, false},
		{"Secret", ".data.k", `"redacted:01234567"`, true},
		{"Secret", ".metadata.labels.a", `"b"`, true},
		{"Secret", ".type", `"Opaque"`, true},
		{"ConfigMap", `.metadata.annotations["kubectl.kubernetes.io/last-applied-configuration"]`, `"` + canary + `"`, false},
		{"ConfigMap", ".data.k", `"v"`, true},
	} {
		for _, group := range []string{"", "example.com"} {
			d := model.FieldDifference{Path: c.path, Desired: c.value, Live: c.value}
			GuardDifference(model.ObjectKey{Group: group, Kind: c.kind}, &d)
			if passes := d.Desired == c.value && d.Live == c.value; passes != c.passes {
				t.Errorf("%s %s %s: passes %v", c.kind, c.path, c.value, passes)
			}
		}
	}
}
