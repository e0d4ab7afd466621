package api

import (
	"regexp"
	"slices"
	"strings"

	"github.com/hawser-dev/hawser/shared/fault"
)

// requirement is one part of a label selector.
type requirement struct {
	key    string
	values []string
	negate bool
	exists bool // only presence counts
}

var (
	setRequirement = regexp.MustCompile(`^(\S+)\s+(in|notin)\s*\(([^()]*)\)$`)
	labelWord      = regexp.MustCompile(`^[A-Za-z0-9]([-A-Za-z0-9_./]*[A-Za-z0-9])?$`)
)

// parseSelector compiles a label selector as kubectl writes it: k=v, k==v,
// k!=v, k, !k, k in (a,b), k notin (a,b), joined by commas. It returns nil for
// an empty one.
func parseSelector(s string) (func(labels map[string]string) bool, error) {
	if strings.TrimSpace(s) == "" {
		return nil, nil
	}
	var reqs []requirement
	for _, part := range splitSelector(s) {
		r, ok := parseRequirement(strings.TrimSpace(part))
		if !ok {
			return nil, fault.New(fault.Invalid, "expression_invalid", "selector %q: %q is not understood", cut(s), cut(part)).
				WithField("selector").WithFound(cut(s), "k=v, k!=v, k, !k, k in (a,b), k notin (a,b), joined by commas")
		}
		reqs = append(reqs, r)
	}
	return func(labels map[string]string) bool {
		for _, r := range reqs {
			if !r.matches(labels) {
				return false
			}
		}
		return true
	}, nil
}

func (r requirement) matches(labels map[string]string) bool {
	v, has := labels[r.key]
	if r.exists {
		return has != r.negate
	}
	// As in Kubernetes, a label that is absent differs from every value.
	return (has && slices.Contains(r.values, v)) != r.negate
}

// splitSelector cuts at commas outside of parentheses.
func splitSelector(s string) []string {
	var out []string
	depth, start := 0, 0
	for i, r := range s {
		switch r {
		case '(':
			depth++
		case ')':
			depth--
		case ',':
			if depth == 0 {
				out = append(out, s[start:i])
				start = i + 1
			}
		}
	}
	return append(out, s[start:])
}

func parseRequirement(s string) (requirement, bool) {
	if m := setRequirement.FindStringSubmatch(s); m != nil {
		r := requirement{key: m[1], negate: m[2] == "notin"}
		for _, v := range strings.Split(m[3], ",") {
			r.values = append(r.values, strings.TrimSpace(v))
		}
		return r, labelWord.MatchString(r.key) && goodValues(r.values)
	}
	for _, op := range []struct {
		text   string
		negate bool
	}{{"!=", true}, {"==", false}, {"=", false}} {
		if k, v, ok := strings.Cut(s, op.text); ok {
			r := requirement{key: strings.TrimSpace(k), values: []string{strings.TrimSpace(v)}, negate: op.negate}
			return r, labelWord.MatchString(r.key) && goodValues(r.values)
		}
	}
	key, negate := strings.CutPrefix(s, "!")
	return requirement{key: key, exists: true, negate: negate}, labelWord.MatchString(key)
}

func goodValues(values []string) bool {
	for _, v := range values {
		if v != "" && !labelWord.MatchString(v) {
			return false
		}
	}
	return true
}
