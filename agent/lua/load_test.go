package lua

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/luacode"
	"github.com/hawser-dev/hawser/shared/model"
)

// write makes the files of a directory.
func write(t testing.TB, dir string, files map[string]string) string {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func says(name string) string { return `return {status = "Healthy", message = "` + name + `"}` }

func TestTheScriptThatSaysMostAboutAKindIsTaken(t *testing.T) {
	files := map[string]string{}
	for _, place := range []string{"Pod", "apps/Deployment", "a.example.com/Thing", "a.example.com/_", "_.example.com/_", "_.com/Thing", "_/_", "x_y.org/K_d"} {
		files[place+"/health.lua"] = says(place)
	}
	s, err := LoadDir(write(t, t.TempDir(), files))
	if err != nil || len(s.Warnings) > 0 {
		t.Fatal(err, s.Warnings)
	}
	for gk, want := range map[model.GroupKind]string{
		{Kind: "Pod"}:                                "Pod",
		{Kind: "Node"}:                               "_/_",
		{Group: "apps", Kind: "Deployment"}:          "apps/Deployment",
		{Group: "a.example.com", Kind: "Thing"}:      "a.example.com/Thing",
		{Group: "a.example.com", Kind: "Other"}:      "a.example.com/_",
		{Group: "b.c.example.com", Kind: "Other"}:    "_.example.com/_",
		{Group: "b.example.com", Kind: "Thing"}:      "_.example.com/_",
		{Group: "b.com", Kind: "Thing"}:              "_.com/Thing",
		{Group: "example.com", Kind: "Other"}:        "_/_",
		{Group: "x.and.y.org", Kind: "Kind"}:         "x_y.org/K_d",
		{Group: "xy.org", Kind: "Kid"}:               "x_y.org/K_d",
		{Group: "xy.org", Kind: "Kit"}:               "_/_",
		{Group: "a.example.com.evil", Kind: "Thing"}: "_/_",
	} {
		for range 2 { // the second from the cache
			if f, ok := s.Health(gk, map[string]any{}); !ok || f.Message != want {
				t.Errorf("%s is judged by %q, want %s", gk, f.Message, want)
			}
		}
	}
	if n := s.HealthScript(model.GroupKind{Kind: "Pod"}); n != "Pod/health.lua" {
		t.Error(n)
	}
}

func TestDirectoriesAsArgoCDHasThem(t *testing.T) {
	dir := write(t, t.TempDir(), map[string]string{
		"embed.go":                                         "package x",
		"apps/Deployment/health.lua":                       says("d"),
		"apps/Deployment/health_test.yaml":                 "tests: []",
		"apps/Deployment/testdata/healthy.yaml":            "kind: Deployment",
		"apps/Deployment/actions/discovery.lua":            `return {restart = {}, ghost = {}}`,
		"apps/Deployment/actions/action_test.yaml":         "actionTests: []",
		"apps/Deployment/actions/restart/action.lua":       `return obj`,
		"apps/Deployment/actions/testdata/x.yaml":          "x",
		"_.example.com/_/actions/discovery.lua":            `return {poke = {}}`,
		"_.example.com/_/actions/poke/action.lua":          `return obj`,
		"only.actions/Kind/actions/run/action.lua":         `return obj`,
		"apps/Deployment/helth.lua":                        "return 1",
		"apps/Deployment/actions/restart/actoin.lua":       "return 1",
		"Pod/health.lua":                                   says("p"),
		".git/hooks/health.lua":                            "not Lua at all",
		"empty.group/EmptyKind/testdata/object/health.lua": "not looked at",
	})
	if err := os.Symlink(filepath.Join(dir, "apps"), filepath.Join(dir, "linked")); err != nil {
		t.Fatal(err)
	}
	s, err := LoadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	gk := model.GroupKind{Group: "apps", Kind: "Deployment"}
	if list, err := s.Discover(gk, map[string]any{}); err != nil || len(list) != 2 || list[1].Name != "restart" {
		t.Errorf("%v %v", list, err)
	}
	if !s.Has(gk, "restart") || s.Has(gk, "ghost") || s.Has(gk, "testdata") {
		t.Error("actions of apps/Deployment")
	}
	if found, merge := s.Actions(gk); !found || merge {
		t.Error("scripts of a directory replace what is built in")
	}
	if !s.Has(model.GroupKind{Group: "a.example.com", Kind: "X"}, "poke") || !s.Has(model.GroupKind{Group: "only.actions", Kind: "Kind"}, "run") {
		t.Error("actions of patterns")
	}
	if f, ok := s.Health(model.GroupKind{Group: "linked", Kind: "Deployment"}, map[string]any{}); !ok || f.Message != "d" {
		t.Errorf("links are not followed: %v", f)
	}
	warnings := strings.Join(s.Warnings, "\n")
	for _, w := range []string{"apps/Deployment/helth.lua is not where", "apps/Deployment/actions/restart/actoin.lua is not where", "only.actions/Kind/actions has no discovery.lua"} {
		if !strings.Contains(warnings, w) {
			t.Errorf("no warning %q in\n%s", w, warnings)
		}
	}
}

func TestDirectoriesThatCannotBeUsed(t *testing.T) {
	if _, err := LoadDir(filepath.Join(t.TempDir(), "none")); !fault.HasCode(err, "overrides_unreadable") {
		t.Error(err)
	}
	if _, err := LoadDir(filepath.Join(write(t, t.TempDir(), map[string]string{"f": "x"}), "f")); !fault.HasCode(err, "overrides_unreadable") {
		t.Error(err)
	}
	if s, err := LoadDir(t.TempDir()); err != nil || !s.Empty() || len(s.Warnings) != 1 || !strings.Contains(s.Warnings[0], "no script was found") {
		t.Error(err)
	}
	_, err := LoadDir(write(t, t.TempDir(), map[string]string{
		"a/A/health.lua":            "local x = = 1\nreturn x",
		"b/B/health.lua":            "\nif true then",
		"c/C/actions/x/action.lua":  "goto nowhere",
		"d/D/actions/discovery.lua": strings.Repeat("x", luacode.MaxSource+1),
		"d/E/health.lua":            says("fine"),
		"e/E/health.lua":            "break",
		"f/F/health.lua":            "function f() return ... end",
		"g/G/health.lua":            "return " + strings.Repeat("(", 3000) + "1" + strings.Repeat(")", 3000),
		"h/H/health.lua":            "local x = " + strings.Repeat("{", 2000) + strings.Repeat("}", 2000),
		"i/I/health.lua":            manyUpvalues(300),
		"j/J/health.lua":            "local s = \"unfinished",
	}))
	list, ok := err.(fault.List)
	if !ok {
		t.Fatalf("%T %v", err, err)
	}
	want := []string{
		"a/A/health.lua: line 1: syntax error near \"=\"",
		"b/B/health.lua: syntax error at the end of the script",
		"c/C/actions/x/action.lua: line ",
		"d/D/actions/discovery.lua: the script has 131073 bytes; 131072 are allowed",
		"e/E/health.lua: line ",
		"f/F/health.lua: line 1: cannot use '...' outside a vararg function",
		"g/G/health.lua: the script is nested more than 1000 levels deep",
		"h/H/health.lua: the script is nested more than 1000 levels deep",
		"i/I/health.lua: line ",
		"j/J/health.lua: unterminated string at the end of the script",
	}
	var got []string
	for _, e := range list {
		got = append(got, e.Message)
	}
	for i, w := range want {
		if i >= len(got) || !strings.HasPrefix(got[i], w) {
			t.Fatalf("%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
	if len(got) != len(want) {
		t.Errorf("%q", got)
	}
}

// manyUpvalues is a script with a function that uses n variables of the
// functions around it.
func manyUpvalues(n int) string {
	var b strings.Builder
	var use []string
	for i := range n {
		if i%150 == 0 {
			b.WriteString("local function f() ")
		}
		v := "v" + strings.Repeat("x", i)
		b.WriteString("local " + v + " = 1 ")
		use = append(use, v)
	}
	b.WriteString("local function g() return " + strings.Join(use, " + ") + " end ")
	for i := 0; i < n; i += 150 {
		b.WriteString("end ")
	}
	return b.String()
}

const argoCM = `
argoproj.io/Rollout:
  health.lua: |
    return {status = "Healthy", message = "long"}
  actions: |
    mergeBuiltinActions: true
    discovery.lua: |
      return {a = {}}
    definitions:
    - name: a
      action.lua: |
        return obj
  ignoreDifferences: |
    jsonPointers: [/spec/a]
"*.crossplane.io/*":
  health.lua: |
    return {status = "Healthy", message = "crossplane"}
Service:
  ignoreDifferences:
    jqPathExpressions: [.spec.x]
    managedFieldsManagers: [m]
  knownTypeFields: []
"*/*":
  ignoreResourceUpdates: |
    jsonPointers: [/status]
  unknwon: 1
`

func TestKeysOfArgoCD(t *testing.T) {
	s := parsed(t, map[string]string{
		"url":                     "https://argo.example.com",
		"resource.customizations": argoCM,
		"resource.customizations.health.argoproj.io_Rollout":              says("key"),
		"resource.customizations.health.cert-manager.io_Certificate":      says("certificate"),
		"resource.customizations.health.Pod":                              says("pod"),
		"resource.customizations.health.Node":                             "  \n",
		"resource.customizations.useOpenLibs.cert-manager.io_Certificate": "true",
		"resource.customizations.actions.batch_CronJob":                   "discovery.lua: return {}\ndefinitions: []\n",
		"resource.customizations.ignoreDifferences.all":                   "managedFieldsManagers: [kube-controller-manager]\njsonPointrs: []\n",
		"resource.customizations.ignoreDifferences.apps_Deployment":       "jqPathExpressions:\n- .spec.replicas\n",
		"resource.customizations.ignoreDifferences.Service":               "",
		"resource.customizations.knownTypeFields.apps_Deployment":         "- field: x\n",
		"resource.customizations.ignoreResourceUpdates.all":               "jsonPointers: [/status]",
	})
	for gk, want := range map[model.GroupKind]string{
		{Group: "argoproj.io", Kind: "Rollout"}:         "key",
		{Group: "cert-manager.io", Kind: "Certificate"}: "certificate",
		{Kind: "Pod"}: "pod",
		{Group: "pkg.crossplane.io", Kind: "Provider"}:   "crossplane",
		{Group: "ec2.aws.crossplane.io", Kind: "Subnet"}: "crossplane",
	} {
		if f, _ := s.Health(gk, map[string]any{}); f.Message != want {
			t.Errorf("%s: %v", gk, f)
		}
	}
	if _, ok := s.Health(model.GroupKind{Kind: "Node"}, nil); ok {
		t.Error("an empty script counts")
	}
	if found, merge := s.Actions(model.GroupKind{Group: "argoproj.io", Kind: "Rollout"}); !found || !merge {
		t.Error("mergeBuiltinActions")
	}
	if found, merge := s.Actions(model.GroupKind{Group: "batch", Kind: "CronJob"}); !found || merge {
		t.Error("actions of a key")
	}
	want := []model.IgnoreDifferences{
		{Group: "argoproj.io", Kind: "Rollout", JSONPointers: []string{"/spec/a"}},
		{Kind: "Service", JQPathExpressions: []string{".spec.x"}, ManagedFieldsManagers: []string{"m"}},
		{Group: "*", Kind: "*", ManagedFieldsManagers: []string{"kube-controller-manager"}},
		{Group: "apps", Kind: "Deployment", JQPathExpressions: []string{".spec.replicas"}},
	}
	if !reflect.DeepEqual(s.Ignore, want) {
		t.Errorf("%+v", s.Ignore)
	}
	warnings := strings.Join(s.Warnings, "\n")
	for _, w := range []string{
		"resource.customizations.health.Node: the script is empty",
		"resource.customizations.useOpenLibs.cert-manager.io_Certificate: this has no effect",
		"resource.customizations.knownTypeFields.apps_Deployment: this has no effect",
		"resource.customizations: Service: knownTypeFields: this has no effect",
		`resource.customizations: */*: line 26: "unknwon" is unknown`,
		`resource.customizations.ignoreDifferences.all: line 2: "jsonPointrs" is unknown and has no effect; did you mean jsonPointers?`,
	} {
		if !strings.Contains(warnings, w) {
			t.Errorf("no warning %q in\n%s", w, warnings)
		}
	}
}

func TestKeysThatAreWrong(t *testing.T) {
	const p = "resource.customizations"
	for _, c := range []struct{ key, text, want string }{
		{p + ".helth.apps_Deployment", says("x"), `"helth" is no type of customization; did you mean health?`},
		{p + ".health", says("x"), "the key must end in <group>_<Kind>"},
		{p + ".health.", says("x"), "the key must end in <group>_<Kind>"},
		{p + ".health.a_b_C", says("x"), "the key must end in <group>_<Kind>"},
		{p + ".health.apps_", says("x"), "the key must end in <group>_<Kind>"},
		{p + ".health.all", "x = = 1", p + ".health.all: line 1: syntax error"},
		{p + ".health.apps_Deployment", "return {\n", p + ".health.apps_Deployment: syntax error at the end"},
		{p + ".actions.apps_Deployment", "discovery.lua: |\n  return {\ndefinitions: []", p + ".actions.apps_Deployment: discovery.lua: syntax error"},
		{p + ".actions.apps_Deployment", "- a", "line 1: this must be a mapping"},
		{p + ".actions.apps_Deployment", "a: [", "did not find"},
		{p + ".actions.apps_Deployment", "definitions: x", "line 1: definitions must be a list"},
		{p + ".actions.apps_Deployment", "definitions:\n- x", "line 2: a definition must be a mapping"},
		{p + ".actions.apps_Deployment", "definitions:\n- action.lua: return obj", "line 2: a definition has no name"},
		{p + ".actions.apps_Deployment", "definitions:\n- name: a", `line 2: the definition of "a" has no action.lua`},
		{p + ".actions.apps_Deployment", "definitions:\n- {name: a, action.lua: return obj}\n- {name: a, action.lua: return obj}", `line 3: "a" is defined twice`},
		{p + ".actions.apps_Deployment", "definitions:\n- {name: a, action.lua: return obj +}", p + ".actions.apps_Deployment: a: action.lua: syntax error"},
		{p + ".actions.apps_Deployment", "mergeBuiltinActions: perhaps", "mergeBuiltinActions must be true or false"},
		{p + ".actions.apps_Deployment", "discovery.lua: {}", "line 1: this must be text"},
		{p + ".ignoreDifferences.all", "jsonPointers: /a", "line 1: jsonPointers must be a list of strings"},
		{p, "x", "line 1: this must be a mapping"},
		{p, "a/b/c: {}", `line 1: "a/b/c" must be group/Kind`},
		{p, "apps/Deployment: x", "line 1: apps/Deployment must be a mapping"},
		{p, "apps/Deployment:\n  health.lua: []", "line 2: this must be text"},
		{p, "apps/Deployment:\n  health.lua: return (", p + ": apps/Deployment: health.lua: syntax error"},
		{p, "\tx", "found character that cannot start any token"},
	} {
		_, err := Parse(map[string]string{c.key: c.text})
		list, ok := err.(fault.List)
		if !ok || len(list) != 1 || !strings.Contains(list[0].Message, c.want) || !strings.HasPrefix(list[0].Message, c.key) {
			t.Errorf("%s: %q: %v\nwant %s", c.key, c.text, err, c.want)
		}
	}
	if s, err := Parse(nil); err != nil || !s.Empty() {
		t.Error(err)
	}
}
