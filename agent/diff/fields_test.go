package diff

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/shared/model"
)

// Values at sensitive fields show in no difference, whatever part of the object one
// is about; that they differ does.
func TestP13_DifferencesHideSensitiveFields(t *testing.T) {
	for name, c := range map[string]struct {
		group, version, kind string
		pointers             []string
		desired, live        string
		paths                []string
	}{
		"an entry":                   {"", "v1", "ConfigMap", []string{"/data/token"}, "data: {token: CANARY1, a: one}", "data: {token: CANARY2, a: two}", []string{".data.a", ".data.token"}},
		"all entries":                {"", "v1", "ConfigMap", []string{"/data/*"}, "data: {token: CANARY1}", "data: {token: CANARY2}", []string{".data.token"}},
		"what holds it":              {"", "v1", "ConfigMap", []string{"/data"}, "data: {token: CANARY1}", "data: {token: CANARY2}", []string{".data"}},
		"several in what holds them": {"", "v1", "ConfigMap", []string{"/data"}, "data: {CANARY1: CANARY1, b: CANARY1, c: same}", "data: {b: CANARY2, c: same}", []string{".data"}},
		"added with others":          {"example.org", "example.org/v1", "Token", []string{"/spec/secret/value"}, "spec: {secret: {value: CANARY1, name: shown}}", "spec: {}", []string{".spec.secret"}},
		"an element by its key": {"apps", "apps/v1", "Deployment", []string{"/spec/template/spec/containers/0/env/*/value"},
			"spec: {template: {spec: {containers: [{name: web, image: i, env: [{name: P, value: CANARY1}]}]}}}",
			"spec: {template: {spec: {containers: [{name: other, image: i}, {name: web, image: i, env: [{name: P, value: CANARY2}]}]}}}",
			[]string{".spec.template.spec.containers[name=web].env[name=P].value"}},
		"a key that is a value": {"apps", "apps/v1", "Deployment", []string{"/spec/template/spec/containers/*/env/*"},
			"spec: {template: {spec: {containers: [{name: web, image: i, env: [{name: CANARY1, value: CANARY1}]}]}}}",
			"spec: {template: {spec: {containers: [{name: web, image: i, env: [{name: CANARY1, value: CANARY2}]}]}}}",
			[]string{".spec.template.spec.containers[name=web].env"}},
		"only the key": {"apps", "apps/v1", "Deployment", []string{"/spec/template/spec/containers/*/env/*/name"},
			"spec: {template: {spec: {containers: [{name: web, image: i, env: [{name: CANARY1, value: a}]}]}}}",
			"spec: {template: {spec: {containers: [{name: web, image: i, env: [{name: CANARY1, value: b}]}]}}}",
			[]string{".spec.template.spec.containers[name=web].env"}},
		"an element of a set": {"", "v1", "ConfigMap", []string{"/metadata/finalizers/*"}, "metadata: {name: x, namespace: n, finalizers: [a/CANARY1]}", "metadata: {name: x, namespace: n, finalizers: [a/CANARY2]}", nil},
		"a list as a whole":   {"example.org", "example.org/v1", "Token", []string{"/spec/list/1/p"}, "spec: {list: [{p: open}, {p: CANARY1}]}", "spec: {list: [{p: open}, {p: CANARY2}]}", nil},
	} {
		t.Run(name, func(t *testing.T) {
			head := "apiVersion: " + c.version + "\nkind: " + c.kind + "\n"
			if !strings.Contains(c.desired, "metadata") {
				head += "metadata: {name: x, namespace: n}\n"
			}
			in := Input{Desired: object(t, head+c.desired), Live: body(t, head+c.live), RedactionKey: []byte("key"), Managers: []live.FieldManager{},
				SensitiveFields: []model.SensitiveFields{{Group: c.group, Kind: c.kind, JSONPointers: c.pointers}}}
			res, err := Compare(in)
			if err != nil {
				t.Fatal(err)
			}
			shown, err := json.Marshal([]any{res.Differences, res.Doubts, res.Fields(), Redact(in)})
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(shown), "CANARY") {
				t.Errorf("it shows %s", shown)
			}
			if c.paths != nil && !reflect.DeepEqual(paths(res), c.paths) {
				t.Errorf("differences %q, want %q", paths(res), c.paths)
			}
			for range 5 {
				if again, err := Compare(in); err != nil || !reflect.DeepEqual(again.Differences, res.Differences) {
					t.Errorf("once %+v, and then %+v, %v", res.Differences, again.Differences, err)
				}
			}
			for _, d := range res.Differences {
				if d.Desired == d.Live {
					t.Errorf("%s does not show that it differs: %s", d.Path, d.Live)
				}
			}
			in.SensitiveFields = nil
			plain, err := Compare(in)
			if err != nil {
				t.Fatal(err)
			}
			if plain.Total != res.Total {
				t.Errorf("%d differences, and %d when they are hidden", plain.Total, res.Total)
			}
			if text, _ := json.Marshal([]any{plain.Differences, Redact(in)}); !strings.Contains(string(text), "CANARY") {
				t.Errorf("nothing was to be hidden: %s", text)
			}
		})
	}
}

// What a rule says about an object with sensitive fields does not quote them.
func TestP13_ProblemsOfRulesHideSensitiveFields(t *testing.T) {
	const head = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n"
	in := Input{Desired: object(t, head+"data: {token: CANARY1}"), Live: body(t, head+"data: {token: CANARY2}"),
		SensitiveFields: []model.SensitiveFields{{Kind: "ConfigMap", JSONPointers: []string{"/data/token"}}},
		Ignore:          []model.IgnoreDifferences{{Kind: "ConfigMap", JQPathExpressions: []string{"error(.data.token)"}}}}
	res, err := Compare(in)
	if err != nil || len(res.Problems) != 1 || strings.Contains(res.Problems[0], "CANARY") {
		t.Errorf("%q, %v", res.Problems, err)
	}
}

// A rule that takes the kind out of what is compared makes no other object of it.
func TestP13_WhatIsHiddenDoesNotDependOnIgnoredFields(t *testing.T) {
	for kind, field := range map[string]string{"Secret": "stringData", "ConfigMap": "data"} {
		head := "apiVersion: v1\nkind: " + kind + "\nmetadata: {name: x}\n"
		in := Input{Desired: object(t, head+field+": {token: CANARY1}"), Live: body(t, head+"data: {token: Q0FOQVJZMg==}"), Managers: []live.FieldManager{},
			SensitiveFields: []model.SensitiveFields{{Kind: "ConfigMap", JSONPointers: []string{"/data/token"}}},
			Ignore:          []model.IgnoreDifferences{{Kind: kind, JSONPointers: []string{"/kind", "/apiVersion"}}}}
		res, err := Compare(in)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := json.Marshal(res.Differences)
		if len(res.Differences) == 0 || strings.Contains(string(text), "CANARY") || strings.Contains(string(text), "Q0FOQVJZ") {
			t.Errorf("%s: %s", kind, text)
		}
	}
}
