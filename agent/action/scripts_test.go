package action

import (
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/agent/lua"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

func scripts(t *testing.T, key, text string) *lua.Scripts {
	t.Helper()
	s, err := lua.Parse(map[string]string{"resource.customizations.actions." + key: text})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

const deploymentScripts = `
discovery.lua: |
  return {drain = {displayName = "Drain", params = {{name = "node", type = "text", default = "any"}}}, restart = {disabled = true}, ghost = {}}
definitions:
- name: drain
  action.lua: |
    obj.spec.replicas = 0
    obj.status.observed = actionParams.node
    return obj
- name: restart
  action.lua: |
    obj.metadata.annotations = {at = os.date("!%H:%M")}
    return obj
- name: spawn
  action.lua: |
    return {{operation = "create", resource = {apiVersion = "v1", kind = "ConfigMap", metadata = {generateName = "made-", namespace = obj.metadata.namespace}}}, {operation = "patch", resource = obj}}
`

func TestScriptsReplaceBuiltinActions(t *testing.T) {
	s := Set{Scripts: scripts(t, "apps_Deployment", deploymentScripts)}
	gk, obj := object(t, "apiVersion: apps/v1\nkind: Deployment\n"+meta+"spec: {replicas: 2}\nstatus: {observed: x, ready: 1}")
	list, err := s.Discover(gk, obj)
	if err != nil || names(list) != "drain ghost -restart" {
		t.Fatalf("%s %v", names(list), err)
	}
	if d := list[0]; d.DisplayName != "Drain" || len(d.Params) != 1 || d.Params[0] != (Param{Name: "node", Type: "text", Default: "any"}) {
		t.Errorf("%+v", d)
	}
	for _, c := range []struct{ action, want string }{
		{"drain node=a", `patch spec.replicas=0 | patch status status.observed="a"`},
		{"restart", `patch metadata.annotations={"at":"04:06"}`},
		{"spawn", `create {"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"made-SUFFIX","namespace":"ns"}} | patch`},
		{"pause", "action_unknown"}, // built in, and not merged
		{"ghost", "action_unknown"}, // offered, and not defined
	} {
		name, params := split2(c.action)
		effects, err := s.Run(gk, name, params, obj, operation, at)
		got := show(obj, effects)
		if err != nil {
			got = fault.As(err).Code
		}
		if got != strings.ReplaceAll(c.want, "SUFFIX", suffix(operation)) {
			t.Errorf("%s: %s, want %s (%v)", c.action, got, c.want, err)
		}
	}
	// Other kinds keep theirs.
	if list, _ := s.Discover(model.GroupKind{Group: "apps", Kind: "DaemonSet"}, map[string]any{}); names(list) != "restart" {
		t.Errorf("%s", names(list))
	}
}

func TestScriptsMergeWithBuiltinActions(t *testing.T) {
	s := Set{Scripts: scripts(t, "apps_Deployment", "mergeBuiltinActions: true\n"+deploymentScripts)}
	gk, obj := object(t, "apiVersion: apps/v1\nkind: Deployment\n"+meta+"spec: {replicas: 2}")
	list, err := s.Discover(gk, obj)
	if err != nil || names(list) != "drain ghost pause -restart -resume scale" {
		t.Errorf("%s %v", names(list), err)
	}
	if effects, err := s.Run(gk, "pause", nil, obj, operation, at); err != nil || show(obj, effects) != "patch spec.paused=true" {
		t.Errorf("%v %v", effects, err)
	}
	if effects, err := s.Run(gk, "restart", nil, obj, operation, at); err != nil || !strings.Contains(show(obj, effects), `"at"`) {
		t.Errorf("the script does not win: %v %v", effects, err)
	}
	a, err := s.Actions(gk, obj)
	if err != nil || len(a) != 6 || a[0].Name != "drain" || len(a[0].Params) != 1 || a[0].Params[0] != "node" {
		t.Errorf("%+v %v", a, err)
	}
}

func TestScriptsThatFailSayWhy(t *testing.T) {
	s := Set{Scripts: scripts(t, "apps_Deployment", "discovery.lua: return obj.none.x\ndefinitions:\n- name: a\n  action.lua: error('replicas parameter is required', 0)\n- name: b\n  action.lua: obj.metadata.name = 'other' return obj\n")}
	gk, obj := object(t, "apiVersion: apps/v1\nkind: Deployment\n"+meta+"spec: {replicas: 2}")
	if _, err := s.Discover(gk, obj); !fault.HasCode(err, "action_script_failed") || !strings.Contains(err.Error(), "discovery.lua:1: attempt to index") {
		t.Error(err)
	}
	if _, err := s.Run(gk, "a", nil, obj, operation, at); !fault.HasCode(err, "action_script_failed") || !strings.Contains(err.Error(), "replicas parameter is required") {
		t.Error(err)
	}
	if _, err := s.Run(gk, "b", nil, obj, operation, at); !fault.HasCode(err, "action_script_failed") || !strings.Contains(err.Error(), "metadata.name differs") {
		t.Error(err)
	}
}
