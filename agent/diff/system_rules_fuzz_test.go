package diff

import (
	"errors"
	"testing"
	"unicode/utf8"

	"github.com/hawser-dev/hawser/shared/fault"
)

// Whatever somebody writes into argocd-cm: what cannot be read is named by its key, in
// few words, and what is read can be used.
func FuzzSystemRules(f *testing.F) {
	for key, values := range map[string][]string{
		ignorePrefix + "apps_Deployment":   {"jsonPointers:\n- /spec/replicas\njqPathExpressions:\n- .spec.template\n", "jqPathExpressions: ['((((']", "jsonPointers: {}", "a: &a [*a]", ""},
		ignorePrefix + "all":               {"managedFieldsManagers: [kube-controller-manager]"},
		ignorePrefix + "a_b_c":             {"{}"},
		knownFieldsPrefix + "x.io_Y":       {"- field: spec.template\n  type: core/v1/PodSpec\n", "- field: ''\n  type: z\n"},
		customizations:                     {"apps/Deployment:\n  ignoreDifferences: |\n    jsonPointers: [/a]\n  knownTypeFields: [{field: spec, type: core/Quantity}]\n", "- a", "a: &a {b: *a}"},
		compareOptions:                     {"ignoreResourceStatusField: crd\n", "ignoreResourceStatusField: [all]", "ignoreAggregatedRoles: maybe"},
		maskedAnnotations:                  {"a, b,,c", ","},
		"resource.customizations.health.x": {"x"},
	} {
		for _, v := range values {
			f.Add(key, v)
		}
	}
	object := map[string]any{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": map[string]any{"name": "web"}}
	f.Fuzz(func(t *testing.T, key, value string) {
		rules, err := ParseSystemRules(map[string]string{key: value})
		if rules == nil {
			t.Fatalf("%q: %q gives nothing", key, value)
		}
		var joined interface{ Unwrap() []error }
		if errors.As(err, &joined) {
			for _, one := range joined.Unwrap() {
				e := fault.As(one)
				if e.Code != "ignore_rules_invalid" || e.Field == "" || len(e.Message) > 300+2*len(key)+len(value) || !utf8.ValidString(e.Message) && utf8.ValidString(key) && utf8.ValidString(value) {
					t.Fatalf("%q: %q is refused with %q", key, value, e)
				}
			}
		}
		rules.comparesStatus(object)
	})
}
