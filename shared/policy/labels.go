package policy

import (
	"fmt"
	"regexp"
	"slices"
	"sort"
	"strings"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// Operators of a label requirement, as in Kubernetes.
const (
	opIn           = "In"
	opNotIn        = "NotIn"
	opExists       = "Exists"
	opDoesNotExist = "DoesNotExist"
)

// Selects reports whether a selector selects something with these labels, by
// the rules of Kubernetes: NotIn and DoesNotExist hold also for what has no such
// label, and a selector that says nothing selects everything. A requirement that
// cannot be read selects nothing.
func Selects(s model.LabelSelector, labels map[string]string) bool {
	for k, v := range s.MatchLabels {
		if have, ok := labels[k]; !ok || have != v {
			return false
		}
	}
	for _, r := range s.MatchExpressions {
		have, ok := labels[r.Key]
		switch r.Operator {
		case opIn:
			ok = ok && slices.Contains(r.Values, have)
		case opNotIn:
			ok = !ok || !slices.Contains(r.Values, have)
		case opExists:
		case opDoesNotExist:
			ok = !ok
		default:
			return false
		}
		if !ok {
			return false
		}
	}
	return true
}

// FormatSelector writes a selector as kubectl does: "env=prod,tier in (a,b),!x".
func FormatSelector(s model.LabelSelector) string {
	var parts []string
	for k, v := range s.MatchLabels {
		parts = append(parts, k+"="+v)
	}
	sort.Strings(parts)
	for _, r := range s.MatchExpressions {
		switch r.Operator {
		case opIn, opNotIn:
			parts = append(parts, fmt.Sprintf("%s %s (%s)", r.Key, strings.ToLower(r.Operator), strings.Join(r.Values, ",")))
		case opExists:
			parts = append(parts, r.Key)
		case opDoesNotExist:
			parts = append(parts, "!"+r.Key)
		default:
			parts = append(parts, r.Key+" "+r.Operator)
		}
	}
	return strings.Join(parts, ",")
}

// selectorDiffers says which labels of a cluster keep it from being selected:
// "env is staging", "tier is not set".
func selectorDiffers(s model.LabelSelector, labels map[string]string) string {
	seen := map[string]bool{}
	var out []string
	differs := func(key string) {
		if seen[key] {
			return
		}
		seen[key] = true
		if v, ok := labels[key]; ok {
			out = append(out, key+" is "+v)
		} else {
			out = append(out, key+" is not set")
		}
	}
	for k, v := range s.MatchLabels {
		if have, ok := labels[k]; !ok || have != v {
			differs(k)
		}
	}
	for _, r := range s.MatchExpressions {
		if !Selects(model.LabelSelector{MatchExpressions: []model.LabelRequirement{r}}, labels) {
			differs(r.Key)
		}
	}
	sort.Strings(out)
	return strings.Join(out, ", ")
}

// The form of labels in Kubernetes: an optional domain, then up to 63 letters,
// digits, "-", "_" and ".".
var (
	labelKeyForm   = regexp.MustCompile(`^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$`)
	labelValueForm = regexp.MustCompile(`^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$`)
)

// CheckSelector lists what is wrong with a selector. Fields are relative to it.
func CheckSelector(s model.LabelSelector) fault.List {
	var out fault.List
	bad := func(field, allowed, format string, args ...any) {
		out = append(out, fault.New(fault.Invalid, "selector_invalid", format, args...).WithField(field).WithFound("", allowed))
	}
	key := func(field, k string) {
		if !labelKeyForm.MatchString(k) {
			bad(field, "", "%s is not the key of a label; write an optional domain and \"/\", then up to 63 letters, digits, \"-\", \"_\", \".\"", quote(cutTo(k, 80)))
		}
	}
	value := func(field, v string) {
		if !labelValueForm.MatchString(v) {
			bad(field, "", "%s is not the value of a label; write up to 63 letters, digits, \"-\", \"_\", \".\"; globs have no meaning here", quote(cutTo(v, 80)))
		}
	}
	keys := make([]string, 0, len(s.MatchLabels))
	for k := range s.MatchLabels {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	for _, k := range keys {
		key("matchLabels", k)
		value("matchLabels."+k, s.MatchLabels[k])
	}
	for i, r := range s.MatchExpressions {
		field := fmt.Sprintf("matchExpressions[%d]", i)
		key(field+".key", r.Key)
		switch r.Operator {
		case opIn, opNotIn:
			if len(r.Values) == 0 {
				bad(field+".values", "", "%s needs values", r.Operator)
			}
		case opExists, opDoesNotExist:
			if len(r.Values) > 0 {
				bad(field+".values", "", "%s takes no values", r.Operator)
			}
		default:
			bad(field+".operator", "In, NotIn, Exists, DoesNotExist", "the operator %s is unknown; allowed: In, NotIn, Exists, DoesNotExist", quote(cutTo(r.Operator, 40)))
		}
		for j, v := range r.Values {
			value(fmt.Sprintf("%s.values[%d]", field, j), v)
		}
	}
	return out
}
