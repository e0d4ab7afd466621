package customization

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

func TestWhichKeysAreUsed(t *testing.T) {
	for key, want := range map[string]Key{
		"resource.customizations":                                                  {},
		"resource.compareoptions":                                                  {},
		"resource.customizations.health.argoproj.io_Rollout":                       {Health, "argoproj.io_Rollout"},
		"resource.customizations.health.ConfigMap":                                 {Health, "ConfigMap"},
		"resource.customizations.health.*.crossplane.io_*":                         {Health, "*.crossplane.io_*"},
		"resource.customizations.actions.apps_Deployment":                          {Actions, "apps_Deployment"},
		"resource.customizations.ignoreDifferences.all":                            {IgnoreDifferences, "all"},
		"resource.customizations.knownTypeFields.argoproj.io_Rollout":              {KnownTypeFields, "argoproj.io_Rollout"},
		"resource.customizations.useOpenLibs.argoproj.io_Rollout":                  {UseOpenLibs, "argoproj.io_Rollout"},
		"resource.customizations.ignoreDifferences.admissionregistration.k8s.io_X": {IgnoreDifferences, "admissionregistration.k8s.io_X"},
	} {
		if got, ok := ParseKey(key); !ok || got != want {
			t.Errorf("%s: %+v %v", key, got, ok)
		}
	}
	used, unused := Split(map[string]string{"url": "x", "resource.customizations": "y"})
	if len(used) != 1 || used[All] != "y" || len(unused) != 1 || unused[0].Resource {
		t.Errorf("%v %v", used, unused)
	}
}

func TestKeysThatAreLeftOutSayWhy(t *testing.T) {
	for key, want := range map[string]struct {
		why      string
		resource bool
	}{
		"url":                 {"not about resources", false},
		"dex.config":          {"not about resources", false},
		"resource.exclusions": {"only kinds of applications", true},
		"resource.customizations.ignoreResourceUpdates.all":         {"costs nothing", true},
		"resource.customization.health.apps_Deployment":             {"did you mean resource.customizations.health.apps_Deployment?", true},
		"resources.customizations.health.apps_Deployment":           {"did you mean resource.customizations.health.apps_Deployment?", true},
		"resource.customizations.healt.apps_Deployment":             {"did you mean resource.customizations.health.apps_Deployment?", true},
		"resource.customizations.ignoredifferences.apps_Deployment": {"did you mean resource.customizations.ignoreDifferences.apps_Deployment?", true},
		"resource.customizations.health":                            {"it names no kind", true},
		"resource.customizations.health.":                           {"it names no kind", true},
		"resource.customizations.colour.apps_X":                     {"unknown; after", true},
		"resource.colour":                                           {"unknown", true},
		"":                                                          {"not about resources", false},
	} {
		used, unused := Split(map[string]string{key: "x"})
		if len(used) != 0 || len(unused) != 1 || !strings.Contains(unused[0].Why, want.why) || unused[0].Resource != want.resource {
			t.Errorf("%q: %v %+v", key, used, unused)
		}
	}
	_, unused := Split(map[string]string{"b": "", "a": "", "c": ""})
	if unused[0].Key != "a" || unused[2].Key != "c" {
		t.Errorf("not in order: %v", unused)
	}
}

const p = "resource.customizations."

func TestTextsThatAreTaken(t *testing.T) {
	if err := Check(nil); err != nil {
		t.Error(err)
	}
	for name, c := range map[string][2]string{
		"a script":            {p + "health.argoproj.io_Rollout", "hs = {}\nreturn hs"},
		"a script we compile": {p + "health.argoproj.io_Rollout", "this is no Lua ("}, // CheckScripts says so
		"taken back":          {p + "actions.apps_Deployment", ""},
		"actions":             {p + "actions.apps_Deployment", "discovery.lua: |\n  return {}\ndefinitions:\n- name: restart\n  action.lua: |\n    return obj\n- name: stop\n  action.lua: return obj"},
		"merged actions":      {p + "actions.apps_Deployment", "mergeBuiltinActions: true\ndiscovery.lua: return {}"},
		"differences":         {p + "ignoreDifferences.apps_Deployment", "jsonPointers:\n- /spec/replicas\njqPathExpressions: ['.spec']\nmanagedFieldsManagers: [hpa]"},
		"of all":              {p + "ignoreDifferences.all", "{jsonPointers: [/spec]}"},
		"type fields":         {p + "knownTypeFields.argoproj.io_Rollout", "- field: spec.template.spec\n  type: core/v1/PodSpec\n"},
		"libraries":           {p + "useOpenLibs.argoproj.io_Rollout", " true\n"},
		"options":             {CompareOptions, "ignoreAggregatedRoles: true\nignoreResourceStatusField: crd\n"},
		"annotations":         {SensitiveAnnotations, "token, example.com/api-key"},
		"the older form": {All, "argoproj.io/Rollout:\n  health.lua: return {}\n  health.lua.useOpenLibs: true\n  actions: |\n    discovery.lua: return {}\n" +
			"  ignoreDifferences: |\n    jsonPointers: [/spec]\n  knownTypeFields:\n  - {field: spec, type: core/v1/PodSpec}\nConfigMap:\n  health.lua: return {}\n"},
	} {
		if err := Check(model.Customizations{c[0]: c[1]}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTextsThatAreNot(t *testing.T) {
	for name, c := range map[string][3]string{
		"not a key":            {"url", "x", "not a key"},
		"two underscores":      {p + "health.a_b_C", "x", "is not a kind"},
		"a slash":              {p + "health.apps/Deployment", "x", "is not a kind"},
		"no kind":              {p + "health.apps_", "x", "is not a kind"},
		"all of health":        {p + "health.all", "x", `"all" has a meaning for ignoreDifferences only`},
		"unknown field":        {p + "ignoreDifferences.apps_X", "jsonPointer: [/a]", `did you mean "jsonPointers"?`},
		"a string for a list":  {p + "ignoreDifferences.apps_X", "jsonPointers: /a", "must be a list"},
		"not YAML":             {p + "ignoreDifferences.apps_X", "{", ""},
		"no discovery":         {p + "actions.apps_X", "definitions: []", "no discovery.lua"},
		"no name":              {p + "actions.apps_X", "discovery.lua: x\ndefinitions: [{action.lua: x}]", "no name"},
		"no action":            {p + "actions.apps_X", "discovery.lua: x\ndefinitions: [{name: x}]", "no action.lua"},
		"twice":                {p + "actions.apps_X", "discovery.lua: x\ndefinitions: [{name: x, action.lua: x}, {name: x, action.lua: x}]", "two actions"},
		"open maybe":           {p + "useOpenLibs.apps_X", "maybe", "true or false"},
		"fields as text":       {p + "knownTypeFields.apps_X", "spec", "must be a list"},
		"a field without type": {p + "knownTypeFields.apps_X", "- field: a", "no type"},
		"unknown status field": {CompareOptions, "ignoreResourceStatusField: some", "use crd, all or none"},
		"no annotation":        {SensitiveAnnotations, "token: x", "not the name of an annotation"},
		"older, unknown":       {All, "a/B:\n  health: x", "unknown field"},
		"older, inner":         {All, "a/B:\n  actions: |\n    x: y", "actions of \"a/B\""},
		"older, no list":       {All, "a/B:\n  knownTypeFields: x", "must be a list"},
		"older, a script":      {All, "return x", "must be an object"},
		"not UTF-8":            {p + "health.X", "\xff", "not UTF-8"},
		"NUL":                  {p + "health.X", "a\x00b", "NUL"},
		"a long key":           {p + "health." + strings.Repeat("x", 300), "x", "characters long"},
	} {
		err := Check(model.Customizations{c[0]: c[1], p + "health.Good": "return {}"})
		var list fault.List
		if !errors.As(err, &list) {
			t.Errorf("%s: it is taken (%v)", name, err)
			continue
		}
		for _, e := range list {
			if e.Kind != fault.Invalid || e.Code != "customization_invalid" || !strings.HasPrefix(c[0], strings.TrimSuffix(e.Field, "…")) || len(e.Message) > 300 {
				t.Errorf("%s: %+v", name, e)
			}
		}
		if !strings.Contains(list[0].Message, c[2]) {
			t.Errorf("%s: %s", name, list[0].Message)
		}
	}
}

func TestBounds(t *testing.T) {
	many := model.Customizations{}
	for i := range 2001 {
		many[fmt.Sprint(p, "health.Kind", i)] = "x"
	}
	for name, c := range map[string]model.Customizations{
		"keys":  many,
		"bytes": {p + "health.X": strings.Repeat("x", model.MaxCustomizationsBytes)},
	} {
		if err := Check(c); !fault.HasCode(err, "customizations_too_large") || !fault.Is(err, fault.TooLarge) {
			t.Errorf("%s: %v", name, err)
		}
	}
	bad := model.Customizations{}
	for i := range 100 {
		bad[fmt.Sprint(p, "useOpenLibs.Kind", i)] = "x"
	}
	var list fault.List
	if err := Check(bad); !errors.As(err, &list) || len(list) != 20 {
		t.Errorf("%d problems are told", len(list))
	}
}

// What Check takes has the same digest before and after it travelled.
func FuzzCheck(f *testing.F) {
	f.Add(p+"health.X", "return {}")
	f.Add(All, "a/B: {health.lua: x}")
	f.Add(p+"actions.X", "discovery.lua: \ufffd")
	f.Fuzz(func(t *testing.T, key, text string) {
		c := model.Customizations{key: text}
		if Check(c) != nil {
			return
		}
		s, err := decodeJSON(c.JSON())
		if err != nil || s.Digest() != c.Digest() {
			t.Fatalf("%q %q: %v", key, text, err)
		}
	})
}

func decodeJSON(b []byte) (c model.Customizations, err error) {
	err = json.Unmarshal(b, &c)
	return c, err
}

func TestScriptsThatDoNotCompile(t *testing.T) {
	for name, c := range map[string]struct{ key, text, want string }{
		"health":          {p + "health.apps_X", "return (", "health.apps_X: "},
		"discovery":       {p + "actions.apps_X", "discovery.lua: return (\ndefinitions: [{name: go, action.lua: return obj}]", "apps_X: discovery.lua: "},
		"an action":       {p + "actions.apps_X", "discovery.lua: return {}\ndefinitions: [{name: go, action.lua: 'if then'}]", "apps_X: go: action.lua: "},
		"older, health":   {All, "apps/X:\n  health.lua: return (\n", "apps/X: health.lua: "},
		"older, actions":  {All, "apps/X:\n  actions: |\n    discovery.lua: return (\n", "apps/X: actions: discovery.lua: "},
		"too deep":        {p + "health.apps_X", "return " + strings.Repeat("(", 5000) + "1" + strings.Repeat(")", 5000), "levels deep"},
		"a name too long": {p + "actions.apps_X", "discovery.lua: return {}\ndefinitions: [{name: " + strings.Repeat("n", 400) + ", action.lua: 'if then'}]", "apps_X: nnn"},
	} {
		in := model.Customizations{c.key: c.text, p + "health.Good": "return {}"}
		var list fault.List
		if err := CheckScripts(in); !errors.As(err, &list) || len(list) != 1 || list[0].Code != "customization_invalid" || list[0].Field != c.key ||
			!strings.Contains(list[0].Message, c.want) || len(list[0].Message) > 300 {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, c := range map[string]model.Customizations{
		"nothing":             nil,
		"taken back":          {p + "health.X": " ", p + "actions.X": ""},
		"good ones":           {p + "health.X": "return {}", All: "X:\n  health.lua: return {}\n"},
		"a shape, not Lua":    {p + "actions.X": "discovery: return (", All: "return ("},
		"what is no script":   {p + "ignoreDifferences.X": "return (", CompareOptions: "return ("},
		"a key that is none ": {"url": "return ("},
	} {
		if err := CheckScripts(c); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
