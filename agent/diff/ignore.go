package diff

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// rules are those that apply to one object.
type rules struct{ list []model.IgnoreDifferences }

// selectRules picks the rules for the object. Group, kind, name and namespace may
// be globs; an empty name or namespace matches any.
func selectRules(own []model.IgnoreDifferences, system *SystemRules, obj map[string]any) *rules {
	if len(own) == 0 && (system == nil || len(system.rules) == 0) {
		return &rules{}
	}
	r := &rules{}
	group, _, found := strings.Cut(text(obj["apiVersion"]), "/")
	if !found {
		group = ""
	}
	meta, _ := obj["metadata"].(map[string]any)
	kind, name, namespace := text(obj["kind"]), text(meta["name"]), text(meta["namespace"])
	add := func(list []model.IgnoreDifferences) {
		for _, one := range list {
			if globMatch(one.Group, group) && globMatch(one.Kind, kind) &&
				(one.Name == "" || globMatch(one.Name, name)) && (one.Namespace == "" || globMatch(one.Namespace, namespace)) {
				r.list = append(r.list, one)
			}
		}
	}
	add(own)
	if system != nil {
		add(system.rules)
	}
	return r
}

// CheckRule reports what of a rule can never be evaluated or never match: a group
// with a version, a pointer that is none or that names the element after the last
// of a list, or a jq expression that does not parse or is not allowed. It is a
// fault of kind Invalid with code ignore_rule_invalid, or nil.
func CheckRule(r model.IgnoreDifferences) error {
	if group, _, found := strings.Cut(r.Group, "/"); found {
		return fault.New(fault.Invalid, "ignore_rule_invalid", "%q is no group but an API version; a rule holds for all versions, so write group: %s", cut(r.Group, 100), cut(group, 100))
	}
	for _, ptr := range r.JSONPointers {
		segs, ok := pointer(ptr)
		switch {
		case !ok:
			return fault.New(fault.Invalid, "ignore_rule_invalid", "%q is %s", cut(ptr, 100), noPointer)
		case slices.Contains(segs, "-"):
			return fault.New(fault.Invalid, "ignore_rule_invalid", "%q can never match: \"-\" stands for the element after the last one of a list; name an index, or use a jq expression", cut(ptr, 100))
		}
	}
	for _, expr := range r.JQPathExpressions {
		if _, err := jqCompile(expr); err != nil {
			return fault.New(fault.Invalid, "ignore_rule_invalid", "the jq expression %q cannot be used: %s", cut(expr, 100), cut(err.Error(), 200))
		}
	}
	return nil
}

// globMatch is an exact match but for "*", any characters, and "?", one.
func globMatch(pattern, s string) bool {
	if pattern == "*" || pattern == s {
		return true
	}
	if !strings.ContainsAny(pattern, "*?") {
		return false
	}
	// The usual two-pointer match: linear but for the characters after a star.
	p, i, star, mark := 0, 0, -1, 0
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, i
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == s[i]):
			p++
			i++
		case star >= 0:
			mark++
			p, i = star+1, mark
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}

// managers are the managers whose fields are ignored.
func (r *rules) managers(managers []live.FieldManager) bits {
	var b bits
	for _, rule := range r.list {
		for i, m := range managers {
			if i < maxManagers && slices.Contains(rule.ManagedFieldsManagers, m.Manager) {
				b |= 1 << i
			}
		}
	}
	return b
}

// remove takes the ignored fields out of both sides. The arguments are not
// modified; unchanged parts are shared. Rules that cannot be evaluated are told
// and have no effect. hidden: no value of the objects may be told.
func (r *rules) remove(desired, liveObj map[string]any, hidden bool) (d, l map[string]any, problems []string) {
	dp, lp, problems := r.paths(desired, liveObj, hidden)
	if dp == nil && lp == nil {
		return desired, liveObj, problems
	}
	d, _ = dp.without(desired).(map[string]any)
	l, _ = lp.without(liveObj).(map[string]any)
	if d == nil {
		d = map[string]any{} // a rule ignores everything
	}
	if l == nil {
		l = map[string]any{}
	}
	dp.prune(d, desired, l)
	lp.prune(l, liveObj, d)
	return d, l, problems
}

// paths are the places that the rules select in both objects.
func (r *rules) paths(desired, liveObj map[string]any, hidden bool) (d, l *selection, problems []string) {
	pointers, expressions := 0, 0
	for _, rule := range r.list {
		pointers += len(rule.JSONPointers)
		expressions += len(rule.JQPathExpressions)
	}
	if pointers+expressions == 0 {
		return nil, nil, nil
	}
	d, l = &selection{}, &selection{}
	problem := func(format string, args ...any) {
		if p := fmt.Sprintf(format, args...); !slices.Contains(problems, p) {
			problems = append(problems, p)
		}
	}
	var dv, lv any
	if expressions > 0 {
		dv, lv = jqValue(desired), jqValue(liveObj)
	}
	secret := isSecret(desired)
	for _, rule := range r.list {
		for _, ptr := range rule.JSONPointers {
			segs, ok := pointer(ptr)
			if !ok {
				problem("ignoreDifferences of %s: %q is %s", ruleName(rule), cut(ptr, 100), noPointer)
				continue
			}
			if secret && len(segs) > 1 && segs[0] == "stringData" {
				segs[0] = "data" // where its entries are compared
			}
			d.addPointer(segs)
			l.addPointer(segs)
		}
		for _, expr := range rule.JQPathExpressions {
			q, err := jqCompile(expr)
			if err == nil {
				err = q.selectIn(dv, d)
			}
			if err == nil {
				err = q.selectIn(lv, l)
			}
			if err != nil {
				// What an expression says about a Secret may quote its values, and about
				// another object those of sensitive fields.
				why := cut(err.Error(), 120)
				if hidden && !isSafeJQError(err) {
					why = "it failed"
				}
				problem("ignoreDifferences of %s: the jq expression %q was not evaluated: %s", ruleName(rule), cut(expr, 100), why)
			}
		}
	}
	return d, l, problems
}

func ruleName(r model.IgnoreDifferences) string {
	if r.Group == "" {
		return r.Kind
	}
	return r.Group + "/" + r.Kind
}

const noPointer = `not a JSON pointer to a field; it must begin with "/", and a "~" in it be written ~0 and a "/" ~1`

// pointer splits a JSON pointer (RFC 6901).
func pointer(s string) ([]string, bool) {
	if len(s) < 2 || s[0] != '/' {
		return nil, false
	}
	segs := strings.Split(s[1:], "/")
	for i, g := range segs {
		if strings.Contains(g, "~") {
			if strings.Count(g, "~") != strings.Count(g, "~0")+strings.Count(g, "~1") {
				return nil, false
			}
			segs[i] = strings.ReplaceAll(strings.ReplaceAll(g, "~1", "/"), "~0", "~")
		}
	}
	return segs, true
}
