package veto

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/policy"
)

// Request is a question to the policy.
type Request struct {
	Verb Verb
	Key  model.ObjectKey
	// Deletes that were counted already; read for Delete only. An object that is
	// among them is not asked about again.
	Deleted Counts
}

// Counts are numbers of distinct objects whose deletion was asked for.
type Counts struct {
	Operation int // by the request's operation
	Hour      int // by anybody in the last hour
}

// Decision is the answer.
type Decision struct {
	Allowed bool
	// Rule that vetoes, as a path in the document, or "namespace of the agent".
	Rule string
	// Reason is half a sentence for people.
	Reason string
}

var allowed = Decision{Allowed: true}

// RuleOwnNamespace is the rule that no policy can take away.
const RuleOwnNamespace = "namespace of the agent"

// Decide answers a request. own is the agent's namespace: nothing in it, nor
// the Namespace itself, is touched or shown, with any policy or none, because
// the policy and the agent's identity are there. p may be nil.
func Decide(own string, p *Policy, r Request) Decision {
	ns, scoped := namespaceOf(r.Key)
	if scoped && ns == own {
		return Decision{Rule: RuleOwnNamespace, Reason: fmt.Sprintf("%s is the agent's own namespace", own)}
	}
	if p == nil {
		return allowed
	}
	if r.Verb == Exec && p.noExec {
		return Decision{Rule: "exec", Reason: "no command is run in a container"}
	}
	for i := range p.deny {
		if p.deny[i].matches(r) {
			return p.deny[i].veto("deny", i)
		}
	}
	if p.allowOnly != nil && !slices.ContainsFunc(p.allowOnly, func(l rule) bool { return l.matches(r) }) {
		return Decision{Rule: "allowOnly", Reason: "no rule of the list matches"}
	}
	if r.Verb != Delete {
		return allowed
	}
	return DecideDeletes(p, r.Deleted, 1)
}

// DecideDeletes answers whether n more objects may be deleted.
func DecideDeletes(p *Policy, c Counts, n int) Decision {
	switch {
	case p == nil || n <= 0:
	case p.perOperation >= 0 && c.Operation+n > p.perOperation:
		return Decision{Rule: "maxDeletes.perOperation", Reason: fmt.Sprintf("it would be %d deletes of one operation, and %d are allowed", c.Operation+n, p.perOperation)}
	case p.perHour >= 0 && c.Hour+n > p.perHour:
		return Decision{Rule: "maxDeletes.perHour", Reason: fmt.Sprintf("it would be %d deletes within an hour, and %d are allowed", c.Hour+n, p.perHour)}
	}
	return allowed
}

// DecideAccount answers whether the agent may act as a service account. The
// accounts in its own namespace are nobody's: whoever has one has the agent.
func DecideAccount(own string, p *Policy, namespace, name string) Decision {
	switch {
	case namespace == own:
		return Decision{Rule: RuleOwnNamespace, Reason: fmt.Sprintf("%s is the agent's own namespace", own)}
	case p == nil || p.accounts == nil:
		return allowed
	case slices.ContainsFunc(p.accounts, func(g policy.Glob) bool { return g.Match(namespace + "/" + name) }):
		return allowed
	}
	return Decision{Rule: "impersonate", Reason: "the list does not have it"}
}

// namespaceOf is the namespace that rules mean. A Namespace object belongs to
// itself, so that a rule about a namespace keeps it from being deleted. scoped
// is false for other objects without a namespace.
func namespaceOf(k model.ObjectKey) (ns string, scoped bool) {
	if k.Namespace == "" && k.Group == "" && k.Kind == "Namespace" {
		return k.Name, true
	}
	return k.Namespace, k.Namespace != ""
}

func (l rule) matches(r Request) bool {
	if l.verbs != nil && !slices.Contains(l.verbs, r.Verb) {
		return false
	}
	if l.kinds != nil && !slices.ContainsFunc(l.kinds, func(k kindPattern) bool { return k.matches(r.Key.GroupKind()) }) {
		return false
	}
	if l.namespaces != nil {
		ns, scoped := namespaceOf(r.Key)
		if !slices.ContainsFunc(l.namespaces, func(n namespacePattern) bool { return n.none != scoped && (n.none || n.glob.Match(ns)) }) {
			return false
		}
	}
	return l.names == nil || slices.ContainsFunc(l.names, func(g policy.Glob) bool { return g.Match(r.Key.Name) })
}

func (k kindPattern) matches(gk model.GroupKind) bool {
	return (k.anyGroup || k.group.Match(strings.ToLower(gk.Group))) && k.kind.Match(strings.ToLower(gk.Kind))
}

func (l rule) veto(list string, i int) Decision {
	d := Decision{Rule: fmt.Sprintf("%s[%d]", list, i), Reason: l.reason}
	if d.Reason == "" {
		d.Reason = "it is forbidden there"
	}
	return d
}
