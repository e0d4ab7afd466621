package plugin

import (
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/shared/fault"
)

const everything = `
apiVersion: argoproj.io/v1alpha1
kind: ConfigManagementPlugin
metadata:
  name: cue
spec:
  version: v1.0
  init:
    command: [sh]
    args: [-c, 'echo "Initializing..."']
  generate:
    command: [sh, -c]
    args:
      - |
        echo "{\"kind\": \"ConfigMap\", \"apiVersion\": \"v1\", \"metadata\": { \"name\": \"$ARGOCD_APP_NAME\"}}"
  discover:
    fileName: "./subdir/s*.yaml"
    find:
      glob: "**/Chart.yaml"
      command: [sh, -c, find . -name env.yaml]
  parameters:
    static:
      - name: string-param
        title: Description of the string param
        tooltip: Tooltip shown when the user hovers the
        required: false
        itemType: "string"
        collectionType: "string"
        string: default-string-value
      - name: map-param
        collectionType: map
        map: {some: value}
    dynamic:
      command: [echo, '[{"name": "example-param", "string": "default-string-value"}]']
  preserveFileMode: false
  provideGitCreds: false
`

func TestADefinitionWithEverything(t *testing.T) {
	d, err := ParseDefinition([]byte(everything))
	if err != nil || d.Name() != "cue-v1.0" || strings.Join(d.Spec.Init.argv(), "|") != `sh|-c|echo "Initializing..."` ||
		d.Spec.Discover.FileName != "./subdir/s*.yaml" || d.Spec.Parameters.Static[1].Map["some"] != "value" {
		t.Errorf("%+v %v", d, err)
	}
}

func TestWrongDefinitions(t *testing.T) {
	for _, c := range []struct{ name, old, new, code, message string }{
		{"field", "generate:", "generat:", "unknown_field", "generate"},
		{"deep field", "fileName:", "filename:", "unknown_field", "fileName"},
		{"kind", "ConfigManagementPlugin", "Plugin", "plugin_config_invalid", "ConfigManagementPlugin"},
		{"version of the API", "v1alpha1", "v1", "plugin_config_invalid", "argoproj.io/v1alpha1"},
		{"name", "name: cue", "name: a/b", "plugin_config_invalid", "no name of a plugin"},
		{"no name", "name: cue", "namespace: cue", "plugin_config_invalid", "no name"},
		{"version", "version: v1.0", "version: ../1", "plugin_config_invalid", "no name of a plugin"},
		{"no command", "command: [sh, -c]\n    args:", "args:", "plugin_config_invalid", "no command that generates"},
		{"arguments only", "init:\n    command: [sh]", "init:", "plugin_config_invalid", "arguments and no command"},
		{"credentials", "provideGitCreds: false", "provideGitCreds: true", "plugin_config_invalid", "no credential of the hub is given to a plugin"},
		{"glob", "**/Chart.yaml", "[a", "plugin_config_invalid", "no glob"},
		{"absolute glob", "**/Chart.yaml", "/etc/*", "plugin_config_invalid", "no glob"},
		{"collection", "collectionType: map", "collectionType: list", "plugin_config_invalid", "allowed: string, array, map"},
		{"type", "command: [sh, -c]", "command: sh", "type_mismatch", "list"},
	} {
		text := strings.Replace(everything, c.old, c.new, 1)
		if text == everything {
			t.Fatalf("%s changes nothing", c.name)
		}
		_, err := ParseDefinition([]byte(text))
		if !fault.HasCode(err, c.code) || !strings.Contains(err.Error(), c.message) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestIdentity(t *testing.T) {
	program := "1"
	identity := func(text, image string) string {
		d, err := ParseDefinition([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		id, err := d.identity(image, func([]string) string { return program })
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	first := identity(everything, "")
	if again := identity(everything, ""); again != first {
		t.Errorf("%s and %s", first, again)
	}
	others := map[string]bool{first: true}
	for _, id := range []string{
		identity(strings.Replace(everything, "Initializing", "Beginning", 1), ""), identity(everything, "image:2"),
		func() string { program = "2"; return identity(everything, "") }(),
	} {
		if others[id] {
			t.Errorf("%s twice", id)
		}
		others[id] = true
	}
}

func TestRedaction(t *testing.T) {
	got := redact("a password1 b\nline-two https://u:p@h/ abc", []string{"password1", "line-one\nline-two", "abc", ""})
	if want := "a *** b\n*** https://u:***@h/ abc"; got != want {
		t.Errorf("%q", got)
	}
}
