package veto

import (
	"fmt"
	"strings"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model/decode"
	"github.com/hawser-dev/hawser/shared/nearest"
	"github.com/hawser-dev/hawser/shared/policy"
)

// Verb is what somebody wants to do with an object.
type Verb string

// The verbs that rules name. A write of an object that is not there, as far as
// the agent knows, is Create; any other is Update.
const (
	Create Verb = "create"
	Update Verb = "update"
	Delete Verb = "delete"
	// Action is a resource action on the object; what it then writes is asked
	// for as well.
	Action Verb = "action"
	// Exec runs a command in a pod.
	Exec Verb = "exec"
	// Logs shows the logs of a pod.
	Logs Verb = "logs"
	// Get shows the object, or its events, to somebody at the hub.
	Get Verb = "get"
)

var verbs = []string{string(Create), string(Update), string(Delete), string(Action), string(Exec), string(Logs), string(Get)}

// Where the policy is.
const (
	ConfigMapName = "hawser-veto"
	PolicyKey     = "policy.yaml"
)

// Bounds of a policy. Every write asks every rule.
const (
	maxRules    = 256
	maxPatterns = 256
	maxReason   = 120
)

// Policy is a policy that can be decided on. A nil one vetoes nothing.
type Policy struct {
	deny      []rule
	allowOnly []rule // nil: no such list
	noExec    bool
	noKubectl bool
	// accounts may be impersonated; nil: all.
	accounts []policy.Glob
	// Limits of deletes; negative: none.
	perOperation, perHour int
}

// LimitsDeletes reports whether deletes have to be counted.
func (p *Policy) LimitsDeletes() bool { return p != nil && (p.perOperation >= 0 || p.perHour >= 0) }

// rule matches when each of its lists that is not nil matches.
type rule struct {
	kinds      []kindPattern
	namespaces []namespacePattern
	names      []policy.Glob
	verbs      []Verb
	reason     string
}

// kindPattern matches without regard to case: no cluster serves two kinds that
// differ in case alone, and a rule that silently matches nothing is worse.
type kindPattern struct {
	anyGroup    bool
	group, kind policy.Glob
}

// namespacePattern matches namespaces, or with none the objects that have no
// namespace. "*" matches every namespace and not those.
type namespacePattern struct {
	none bool
	glob policy.Glob
}

// document is policy.yaml. Lists have no omitempty, so that an empty one can be
// told from none.
type document struct {
	Deny       []ruleDocument  `json:"deny"`
	AllowOnly  []ruleDocument  `json:"allowOnly"`
	MaxDeletes *limitsDocument `json:"maxDeletes"`
	Exec       *bool           `json:"exec"`
	// Kubectl false: no request of kubectl comes through the hub.
	Kubectl *bool `json:"kubectl"`
	// Impersonate lists the service accounts, as "namespace/name", that the agent
	// may act as.
	Impersonate []string `json:"impersonate"`
}

type ruleDocument struct {
	Kinds      []string `json:"kinds"`
	Namespaces []string `json:"namespaces"`
	Names      []string `json:"names"`
	Verbs      []string `json:"verbs"`
	Reason     string   `json:"reason"`
}

type limitsDocument struct {
	PerOperation *int `json:"perOperation"`
	PerHour      *int `json:"perHour"`
}

// Parse reads policy.yaml strictly. The error is a *fault.Error, or a
// fault.List of them, whose fields are paths in the document.
func Parse(text []byte) (*Policy, error) {
	var d document
	if err := decode.Into(text, &d); err != nil {
		return nil, err
	}
	c := compiler{}
	p := &Policy{perOperation: -1, perHour: -1, noExec: d.Exec != nil && !*d.Exec, noKubectl: d.Kubectl != nil && !*d.Kubectl}
	p.deny = c.rules("deny", d.Deny)
	p.allowOnly = c.rules("allowOnly", d.AllowOnly)
	p.accounts = c.accounts("impersonate", d.Impersonate)
	if d.AllowOnly != nil && len(d.AllowOnly) == 0 {
		c.problem("allowOnly", "allowOnly is an empty list").WithFix(`leave it out, or veto everything with "deny: [{}]"`)
	}
	for i, r := range d.AllowOnly {
		if r.Kinds == nil && r.Namespaces == nil && r.Names == nil && r.Verbs == nil {
			c.problem(fmt.Sprintf("allowOnly[%d]", i), "allowOnly[%d] allows everything, which makes the list meaningless", i)
		}
	}
	if m := d.MaxDeletes; m != nil {
		if m.PerOperation == nil && m.PerHour == nil {
			c.problem("maxDeletes", "maxDeletes has neither perOperation nor perHour")
		}
		p.perOperation = c.limit("maxDeletes.perOperation", m.PerOperation)
		p.perHour = c.limit("maxDeletes.perHour", m.PerHour)
	}
	if d.Deny == nil && d.AllowOnly == nil && d.MaxDeletes == nil && d.Exec == nil && d.Kubectl == nil && d.Impersonate == nil {
		c.problem("", "the policy says nothing").WithFix("write deny, allowOnly, maxDeletes, exec, kubectl or impersonate, or delete the ConfigMap to have no veto")
	}
	if len(c.problems) > 0 {
		return nil, c.problems
	}
	return p, nil
}

type compiler struct{ problems fault.List }

// problem adds a problem and returns it to be completed.
func (c *compiler) problem(field, format string, args ...any) *problem {
	e := fault.New(fault.Invalid, "policy_invalid", format, args...).WithField(field)
	if len(c.problems) < 20 {
		c.problems = append(c.problems, e)
	}
	return &problem{e}
}

type problem struct{ err *fault.Error }

func (p *problem) WithFix(fix string) { p.err.Fix = fix }

func (c *compiler) limit(field string, n *int) int {
	switch {
	case n == nil:
		return -1
	case *n < 0:
		c.problem(field, "%s is %d; write 0 to veto every delete, or leave it out for no limit", field, *n)
	}
	return *n
}

func (c *compiler) rules(field string, in []ruleDocument) []rule {
	if len(in) > maxRules {
		c.problem(field, "%s has %d rules; the limit is %d", field, len(in), maxRules)
		return nil
	}
	if in == nil {
		return nil
	}
	out := make([]rule, len(in))
	for i, d := range in {
		at := fmt.Sprintf("%s[%d]", field, i)
		out[i] = rule{
			kinds:      c.kinds(at+".kinds", d.Kinds),
			namespaces: c.namespaces(at+".namespaces", d.Namespaces),
			names:      c.globs(at+".names", d.Names),
			verbs:      c.verbs(at+".verbs", d.Verbs),
			reason:     strings.TrimSpace(d.Reason),
		}
		if n := len(out[i].reason); n > maxReason || strings.ContainsAny(out[i].reason, "\n\r") {
			c.problem(at+".reason", "%s.reason has %d characters; write one line of at most %d", at, n, maxReason)
		}
	}
	return out
}

// list checks what all lists of a rule have in common; false: there is none.
func (c *compiler) list(field string, in []string) bool {
	switch {
	case in == nil:
		return false
	case len(in) == 0:
		c.problem(field, "%s is an empty list, which matches nothing", field).WithFix("leave it out to match all")
		return false
	case len(in) > maxPatterns:
		c.problem(field, "%s has %d entries; the limit is %d", field, len(in), maxPatterns)
		return false
	}
	return true
}

func (c *compiler) globs(field string, in []string) []policy.Glob {
	if !c.list(field, in) {
		return nil
	}
	out := make([]policy.Glob, len(in))
	for i, text := range in {
		out[i] = c.glob(fmt.Sprintf("%s[%d]", field, i), text)
	}
	return out
}

// accounts reads "namespace/name", in both of which globs do not cross the "/".
func (c *compiler) accounts(field string, in []string) []policy.Glob {
	if in != nil && len(in) == 0 {
		return []policy.Glob{} // none
	}
	if !c.list(field, in) {
		return nil
	}
	out := make([]policy.Glob, len(in))
	for i, text := range in {
		at := fmt.Sprintf("%s[%d]", field, i)
		if namespace, name, ok := strings.Cut(text, "/"); !ok || namespace == "" || name == "" || strings.Contains(name, "/") {
			c.problem(at, "%s: %.60q is no service account", at, text).WithFix(`write "namespace/name"`)
			continue
		}
		if strings.HasPrefix(text, "!") {
			c.problem(at, `%s: a pattern cannot begin with "!"`, at)
			continue
		}
		g, err := policy.CompileGlob(text, "/")
		if err != nil {
			c.problem(at, "%s: %s", at, err)
		}
		out[i] = g
	}
	return out
}

func (c *compiler) namespaces(field string, in []string) []namespacePattern {
	if !c.list(field, in) {
		return nil
	}
	out := make([]namespacePattern, len(in))
	for i, text := range in {
		out[i] = namespacePattern{none: text == "", glob: c.glob(fmt.Sprintf("%s[%d]", field, i), text)}
	}
	return out
}

func (c *compiler) glob(field, text string) policy.Glob {
	if strings.HasPrefix(text, "!") {
		c.problem(field, `%s: a pattern cannot begin with "!"`, field).WithFix("list what is allowed in allowOnly instead")
		return policy.Glob{}
	}
	g, err := policy.CompileGlob(text, "")
	if err != nil {
		c.problem(field, "%s: %s", field, err)
	}
	return g
}

func (c *compiler) verbs(field string, in []string) []Verb {
	if !c.list(field, in) {
		return nil
	}
	out := make([]Verb, len(in))
next:
	for i, text := range in {
		for _, v := range verbs {
			if text == v {
				out[i] = Verb(v)
				continue next
			}
		}
		at := fmt.Sprintf("%s[%d]", field, i)
		message := fmt.Sprintf("%s: unknown verb %.40q", at, text)
		if near := nearest.Word(text, verbs); near != "" {
			message += fmt.Sprintf("; did you mean %q?", near)
		}
		c.problem(at, "%s", message).WithFix("use " + strings.Join(verbs, ", "))
	}
	return out
}

// kinds reads "Kind" (of any group), "group/Kind" and "core/Kind".
func (c *compiler) kinds(field string, in []string) []kindPattern {
	if !c.list(field, in) {
		return nil
	}
	out := make([]kindPattern, len(in))
	for i, text := range in {
		at := fmt.Sprintf("%s[%d]", field, i)
		group, kind, grouped := strings.Cut(text, "/")
		if !grouped {
			group, kind = "", text
		}
		switch {
		case kind == "" || strings.Contains(kind, "/"):
			c.problem(at, "%s: %.60q is not a kind", at, text).WithFix(`write "Kind", "group/Kind" or "core/Kind"`)
			continue
		case kind[0] >= 'a' && kind[0] <= 'z':
			// A plural such as "secrets" would never match.
			c.problem(at, "%s: %.60q: kinds begin with a capital letter, as in manifests", at, text).WithFix(`write "Secret", not "secrets"`)
			continue
		}
		if grouped && group == "" || strings.EqualFold(group, "core") {
			group = ""
		}
		out[i] = kindPattern{anyGroup: !grouped || group == "*", group: c.glob(at, strings.ToLower(group)), kind: c.glob(at, strings.ToLower(kind))}
	}
	return out
}
