package veto

import (
	"context"
	"slices"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/kubecall"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/policy"
)

// This file decides about requests of kubectl, which come through the hub and can
// be about anything. What is not known of one, such as the names in a list or the
// kind of a resource that discovery does not have, is taken for the worst: a rule
// that may forbid it does, and one that may allow it does not.

// DecideCall answers about one request.
func DecideCall(own string, p *Policy, i kubecall.Info) Decision {
	if p != nil && p.noKubectl {
		return Decision{Rule: "kubectl", Reason: "no request of kubectl is let in"}
	}
	if i.Discovery {
		return allowed
	}
	wide := i.Namespace == "" && i.Name == ""
	switch {
	case i.Namespace == own:
		return Decision{Rule: RuleOwnNamespace, Reason: own + " is the agent's own namespace"}
	case wide && i.Group == "" && i.Resource == "secrets":
		return Decision{Rule: RuleOwnNamespace, Reason: "Secrets of all namespaces are also those of " + own + ", the agent's own; name a namespace"}
	case i.Namespace == "" && i.Verb == "deletecollection" && (i.Namespaced || !i.Known || i.Resource == "namespaces"):
		return Decision{Rule: RuleOwnNamespace, Reason: "it would delete in all namespaces, also in " + own + ", the agent's own; name a namespace"}
	case p == nil:
		return allowed
	case p.noExec && i.Opens():
		return Decision{Rule: "exec", Reason: "no command is run in a container"}
	case i.Verb == "deletecollection" && p.LimitsDeletes():
		return Decision{Rule: "maxDeletes", Reason: "how many it would delete is not known before; delete them by name"}
	}
	for _, verb := range verbsOf(i) {
		for n := range p.deny {
			if p.deny[n].could(verb, i) {
				return p.deny[n].veto("deny", n)
			}
		}
		if p.allowOnly != nil && !slices.ContainsFunc(p.allowOnly, func(l rule) bool { return l.surely(verb, i) }) {
			return Decision{Rule: "allowOnly", Reason: "no rule of the list matches"}
		}
	}
	return allowed
}

// verbsOf are the verbs of the policy that a request is; all of them have to be
// allowed.
func verbsOf(i kubecall.Info) []Verb {
	switch {
	case i.Opens():
		return []Verb{Exec}
	case i.Group == "" && i.Resource == "pods" && i.Subresource == "log":
		return []Verb{Logs}
	case i.Subresource == "eviction":
		return []Verb{Delete}
	}
	switch i.Verb {
	case "get", "list", "watch":
		return []Verb{Get}
	case "delete", "deletecollection":
		return []Verb{Delete}
	}
	switch {
	case i.Subresource != "":
		return []Verb{Update}
	case i.Verb == "create":
		return []Verb{Create}
	}
	return []Verb{Create, Update} // a patch that applies, and many a put, makes what is not there
}

// place is what is known of where a request acts.
func place(i kubecall.Info) (ns string, scoped, known bool) {
	switch {
	case i.Namespace != "":
		return i.Namespace, true, true
	case i.Known && !i.Namespaced && i.Kind != "Namespace":
		return "", false, true
	}
	return "", false, false
}

func (l rule) could(verb Verb, i kubecall.Info) bool {
	if l.verbs != nil && !slices.Contains(l.verbs, verb) {
		return false
	}
	if l.kinds != nil && i.Known && !l.ofKind(i) {
		return false
	}
	if ns, scoped, known := place(i); l.namespaces != nil && known && !l.inNamespace(ns, scoped) {
		return false
	}
	return l.names == nil || i.Name == "" || l.ofName(i.Name)
}

func (l rule) surely(verb Verb, i kubecall.Info) bool {
	if l.verbs != nil && !slices.Contains(l.verbs, verb) {
		return false
	}
	if l.kinds != nil && (!i.Known || !l.ofKind(i)) {
		return false
	}
	if ns, scoped, known := place(i); l.namespaces != nil && (!known || !l.inNamespace(ns, scoped)) {
		return false
	}
	return l.names == nil || i.Name != "" && l.ofName(i.Name)
}

func (l rule) ofKind(i kubecall.Info) bool {
	return slices.ContainsFunc(l.kinds, func(k kindPattern) bool { return k.matches(model.GroupKind{Group: i.Group, Kind: i.Kind}) })
}

func (l rule) inNamespace(ns string, scoped bool) bool {
	return slices.ContainsFunc(l.namespaces, func(n namespacePattern) bool { return n.none != scoped && (n.none || n.glob.Match(ns)) })
}

func (l rule) ofName(name string) bool {
	return slices.ContainsFunc(l.names, func(g policy.Glob) bool { return g.Match(name) })
}

// AllowCall implements access.Veto: whether a request of kubectl may be made. With
// an id the object that it deletes is counted; without, it is asked again about one
// that goes on.
func (k *Keeper) AllowCall(ctx context.Context, id string, i kubecall.Info) error {
	s := k.state.Load()
	d := DecideCall(k.own, s.policy, i)
	what, verb := i.Resource, Verb(i.Verb)
	for _, part := range []string{i.Subresource, i.Namespace, i.Name} {
		if part != "" {
			what += "/" + part
		}
	}
	switch {
	case d.Rule != RuleOwnNamespace && s.refuse != nil:
		return s.refuse
	case !d.Allowed:
		return k.vetoed(d, what, verb)
	case id == "" || !slices.Contains(verbsOf(i), Delete) || !s.policy.LimitsDeletes() || i.Discovery:
		return nil
	}
	d, err := k.ledger.reserve(ctx, s.policy, "kubectl "+id, "kubectl "+what)
	if err != nil {
		return fault.As(err)
	}
	if !d.Allowed {
		return k.vetoed(d, what, verb)
	}
	return nil
}
