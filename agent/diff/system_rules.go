package diff

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// SystemRules are the rules of a whole fleet, in the words of Argo CD's ConfigMap
// argocd-cm. They never change after ParseSystemRules, and may be used by several
// goroutines. nil has no rules.
type SystemRules struct {
	rules []model.IgnoreDifferences
	// known are fields of custom resources that hold Kubernetes' own types.
	known map[string][]knownField // "group/Kind" → fields
	// statusOf says of which objects the status is compared: "" and "all" of
	// none, "crd" of all but CustomResourceDefinitions, "none" of all.
	statusOf    string
	annotations []string
}

// SensitiveAnnotations are those of resource.sensitive.mask.annotations, for
// Input.SensitiveAnnotations.
func (s *SystemRules) SensitiveAnnotations() []string {
	if s == nil {
		return nil
	}
	return s.annotations
}

// Rules are the rules as an application would have them.
func (s *SystemRules) Rules() []model.IgnoreDifferences {
	if s == nil {
		return nil
	}
	return slices.Clone(s.rules)
}

const (
	customizations     = "resource.customizations"
	ignorePrefix       = customizations + ".ignoreDifferences."
	knownFieldsPrefix  = customizations + ".knownTypeFields."
	compareOptions     = "resource.compareoptions"
	maskedAnnotations  = "resource.sensitive.mask.annotations"
	maxSystemRulesText = 1 << 20
)

// override is what a key of resource.customizations says about differences.
type override struct {
	JSONPointers          []string `json:"jsonPointers"`
	JQPathExpressions     []string `json:"jqPathExpressions"`
	ManagedFieldsManagers []string `json:"managedFieldsManagers"`
}

// ParseSystemRules reads the data of argocd-cm: the keys
// resource.customizations.ignoreDifferences.<group_kind> and .all,
// resource.customizations.knownTypeFields.<group_kind>, resource.customizations
// (its older form), resource.compareoptions (ignoreResourceStatusField,
// ignoreAggregatedRoles) and resource.sensitive.mask.annotations. Others are not
// looked at. What can be read is returned also with an error, which names each
// key that cannot: a fault of kind Invalid with code ignore_rules_invalid, or
// several joined.
func ParseSystemRules(data map[string]string) (*SystemRules, error) {
	s := &SystemRules{}
	var problems []error
	bad := func(key, format string, args ...any) {
		problems = append(problems, fault.New(fault.Invalid, "ignore_rules_invalid", "%s: "+format, append([]any{key}, args...)...).WithField(key))
	}
	for _, key := range slices.Sorted(maps.Keys(data)) {
		value := data[key]
		if len(value) > maxSystemRulesText {
			bad(key, "it is %d bytes long; the limit is %d", len(value), maxSystemRulesText)
			continue
		}
		switch {
		case strings.HasPrefix(key, ignorePrefix):
			s.addOverride(key, key[len(ignorePrefix):], value, bad)
		case strings.HasPrefix(key, knownFieldsPrefix):
			var fields []knownField
			if err := yaml.UnmarshalStrict([]byte(value), &fields); err != nil {
				bad(key, "it is no list of field and type: %s", yamlError(err))
				continue
			}
			s.addKnown(key, key[len(knownFieldsPrefix):], fields, bad)
		case key == customizations:
			s.addCustomizations(key, value, bad)
		case key == compareOptions:
			s.addOptions(key, value, bad)
		case key == maskedAnnotations:
			for _, a := range strings.Split(value, ",") {
				if a = strings.TrimSpace(a); a != "" {
					s.annotations = append(s.annotations, a)
				}
			}
		}
	}
	return s, errors.Join(problems...)
}

// yamlError is the problem without the library's own words before it.
func yamlError(err error) string {
	msg := err.Error()
	for _, prefix := range []string{"error converting YAML to JSON: ", "error unmarshaling JSON: ", "while decoding JSON: "} {
		msg = strings.TrimPrefix(msg, prefix)
	}
	return cut(msg, 200)
}

// groupKind splits "apps_Deployment", "apps/Deployment", "Secret" and "all".
func groupKind(s string) (group, kind string, ok bool) {
	if s == "all" {
		return "*", "*", true
	}
	sep := "_"
	if strings.Contains(s, "/") {
		sep = "/"
	}
	switch parts := strings.Split(s, sep); len(parts) {
	case 1:
		return "", parts[0], parts[0] != ""
	case 2:
		return parts[0], parts[1], parts[1] != ""
	}
	return "", "", false
}

func (s *SystemRules) addOverride(key, name, value string, bad func(string, string, ...any)) {
	group, kind, ok := groupKind(name)
	if !ok {
		bad(key, "%q is no group and kind as in apps_Deployment", name)
		return
	}
	var o override
	if err := yaml.UnmarshalStrict([]byte(value), &o); err != nil {
		bad(key, "jsonPointers, jqPathExpressions and managedFieldsManagers are allowed: %s", yamlError(err))
		return
	}
	s.addRule(model.IgnoreDifferences{Group: group, Kind: kind, JSONPointers: o.JSONPointers, JQPathExpressions: o.JQPathExpressions, ManagedFieldsManagers: o.ManagedFieldsManagers})
}

func (s *SystemRules) addRule(r model.IgnoreDifferences) {
	if len(r.JSONPointers)+len(r.JQPathExpressions)+len(r.ManagedFieldsManagers) > 0 {
		s.rules = append(s.rules, r)
	}
}

// addCustomizations reads the older form: one text with all kinds.
func (s *SystemRules) addCustomizations(key, value string, bad func(string, string, ...any)) {
	var kinds map[string]struct {
		IgnoreDifferences string       `json:"ignoreDifferences"`
		KnownTypeFields   []knownField `json:"knownTypeFields"`
	}
	if err := yaml.Unmarshal([]byte(value), &kinds); err != nil {
		bad(key, "it is no map of kinds: %s", yamlError(err))
		return
	}
	for _, name := range slices.Sorted(maps.Keys(kinds)) {
		if text := kinds[name].IgnoreDifferences; text != "" {
			s.addOverride(key+"."+name, name, text, bad)
		}
		s.addKnown(key+"."+name, name, kinds[name].KnownTypeFields, bad)
	}
}

func (s *SystemRules) addOptions(key, value string, bad func(string, string, ...any)) {
	var o struct {
		IgnoreAggregatedRoles             bool   `json:"ignoreAggregatedRoles"`
		IgnoreResourceStatusField         string `json:"ignoreResourceStatusField"`
		IgnoreDifferencesOnResourceUpdate *bool  `json:"ignoreDifferencesOnResourceUpdates"`
	}
	if err := yaml.Unmarshal([]byte(value), &o); err != nil {
		bad(key, "%s", yamlError(err))
		return
	}
	// Rules of aggregated roles are ignored in any case: they are the
	// controller's.
	switch o.IgnoreResourceStatusField {
	case "", "all", "off", "false":
		if o.IgnoreResourceStatusField == "off" || o.IgnoreResourceStatusField == "false" {
			s.statusOf = "none"
		}
	case "crd", "none":
		s.statusOf = o.IgnoreResourceStatusField
	default:
		bad(key, "ignoreResourceStatusField is %q; crd, all and none are allowed", o.IgnoreResourceStatusField)
	}
}

// comparesStatus reports whether the status of objects of the kind counts.
func (s *SystemRules) comparesStatus(obj map[string]any) bool {
	switch {
	case s == nil:
		return false
	case s.statusOf == "none":
		return true
	case s.statusOf == "crd":
		return text(obj["kind"]) != "CustomResourceDefinition"
	}
	return false
}
