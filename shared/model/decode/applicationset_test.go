package decode

import (
	"errors"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

func set(spec string) string {
	return "apiVersion: argoproj.io/v1alpha1\nkind: ApplicationSet\nmetadata: {name: web}\nspec:\n" + spec
}

const (
	setTemplate = "  template:\n    metadata: {name: '{{name}}-web'}\n    spec: {project: default, source: {repoURL: https://h/r, path: '{{path}}'}, destination: {server: '{{server}}'}}\n"
	setList     = "  generators: [{list: {elements: [{name: a}]}}]\n"
)

func TestBadApplicationSets(t *testing.T) {
	for _, c := range []struct{ name, text, code, field string }{
		{"no generator", set(setTemplate), "field_missing", "spec.generators"},
		{"empty generator", set("  generators: [{}]\n" + setTemplate), "generator_missing", "spec.generators[0]"},
		{"selector alone", set("  generators: [{selector: {}}]\n" + setTemplate), "generator_missing", "spec.generators[0]"},
		{"two in one", set("  generators: [{list: {}, git: {}}]\n" + setTemplate), "generator_ambiguous", "spec.generators[0]"},
		{"unknown generator", set("  generators: [{cluster: {}}]\n" + setTemplate), "unknown_field", "spec.generators[0].cluster"},
		{"generator is a list", set("  generators: [{list: []}]\n" + setTemplate), "type_mismatch", "spec.generators[0].list"},
		{"no name", set(setList + "  template: {metadata: {}, spec: {}}\n"), "field_missing", "spec.template.metadata.name"},
		{"field of the template", set(setList + strings.Replace(setTemplate, "path:", "pth:", 1)), "unknown_field", "spec.template.spec.source.pth"},
		{"policy", set(setList + setTemplate + "  syncPolicy: {applicationsSync: create}\n"), "value_unknown", "spec.syncPolicy.applicationsSync"},
		{"strategy", set(setList + setTemplate + "  strategy: {type: Rolling}\n"), "value_unknown", "spec.strategy.type"},
		{"operator", set(setList + setTemplate + "  strategy: {rollingSync: {steps: [{matchExpressions: [{operator: Exists}]}]}}\n"), "value_unknown", "spec.strategy.rollingSync.steps[0].matchExpressions[0].operator"},
		{"percentage", set(setList + setTemplate + "  strategy: {rollingSync: {steps: [{maxUpdate: 120%}]}}\n"), "out_of_range", "spec.strategy.rollingSync.steps[0].maxUpdate"},
		{"patch without Go templates", set(setList + setTemplate + "  templatePatch: 'spec: {}'\n"), "template_patch_needs_go", "spec.templatePatch"},
		{"name", strings.Replace(set(setList+setTemplate), "name: web", "name: My_Set", 1), "name_invalid", "metadata.name"},
		{"application", spec(src + dest), "kind_unexpected", "kind"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := ApplicationSet([]byte(c.text))
			var list fault.List
			e := fault.As(err)
			if errors.As(err, &list) {
				e = list[0]
			}
			if err == nil || e.Code != c.code || e.Field != c.field {
				t.Errorf("got %v (code %s, field %s)", err, e.Code, e.Field)
			}
		})
	}
}

func TestProjectOfASet(t *testing.T) {
	nested := "  generators: [{matrix: {generators: [{git: {template: {spec: {project: PROJECT}}}}, {list: {elements: [{project: other}]}}]}}]\n"
	for _, c := range []struct {
		name, text, project string
		ok                  bool
	}{
		{"named", set(setList + strings.Replace(setTemplate, "default", "shop", 1)), "shop", true},
		{"none is the default", set(setList + strings.Replace(setTemplate, "project: default, ", "", 1)), "default", true},
		{"expression", set(setList + strings.Replace(setTemplate, "default", "'{{project}}'", 1)), "", false},
		{"part of it", set(setList + strings.Replace(setTemplate, "default", "'a-{{project}}'", 1)), "", false},
		{"a generator says another", set(strings.Replace(nested, "PROJECT", "other", 1) + setTemplate), "", false},
		{"a generator says the same", set(strings.Replace(nested, "PROJECT", "default", 1) + setTemplate), "default", true},
		{"a generator says nothing", set(strings.Replace(nested, "PROJECT", "''", 1) + setTemplate), "default", true},
		{"patch", set(setList + setTemplate + "  goTemplate: true\n  templatePatch: 'spec: {project: x}'\n"), "", false},
		{"patch of something else", set(setList + setTemplate + "  goTemplate: true\n  templatePatch: 'spec: {info: []}'\n"), "default", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := ApplicationSet([]byte(c.text))
			if err != nil {
				t.Fatal(err)
			}
			if project, ok := got.Project(); project != c.project || ok != c.ok {
				t.Errorf("got %q %v", project, ok)
			}
		})
	}
}

func TestSetInAFileWithTheOthers(t *testing.T) {
	docs, err := Documents([]byte(set(setList+setTemplate) + "---\n" + spec(src+dest) +
		"---\napiVersion: argoproj.io/v1alpha1\nkind: ApplicationSetList\nitems:\n- metadata: {name: two}\n  spec: {generators: [{clusters: {}}], template: {metadata: {name: x}, spec: {destination: {}, project: ''}}}\n"))
	if err != nil || len(docs) != 3 || docs[0].Set == nil || docs[1].Application == nil || docs[2].Set == nil {
		t.Fatalf("%v %+v", err, docs)
	}
	if docs[2].Set.Kind != model.KindApplicationSet || docs[2].Name != "two" {
		t.Errorf("got %+v", docs[2].Set)
	}
}
