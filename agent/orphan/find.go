package orphan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/policy"
)

// MaxListed bounds how many objects are listed of a namespace; all are counted.
const MaxListed = 200

// ConditionType and Code are of the warning.
const (
	ConditionType = "OrphanedResourceWarning"
	Code          = "orphaned_resources"
)

// Rules are what a project says about orphans.
type Rules struct {
	// Warn asks for the condition; without it the objects are only listed.
	Warn   bool
	spec   model.AppProjectSpec
	ignore []ignored
}

// ignored is one rule of the ignore list; nil matches everything.
type ignored struct{ group, kind, name *policy.Glob }

// RulesOf compiles a project's rules; nil when it does not ask for orphans. A rule
// whose pattern cannot be read ignores nothing.
func RulesOf(spec model.AppProjectSpec) *Rules {
	o := spec.OrphanedResources
	if o == nil {
		return nil
	}
	r := &Rules{Warn: o.Warn == nil || *o.Warn, spec: spec}
	for _, rule := range o.Ignore {
		group, kind, name := compile(rule.Group), compile(rule.Kind), compile(rule.Name)
		// As in Argo CD an empty group is the core group, and an empty kind or name
		// is any.
		if rule.Kind == "" {
			kind = nil
		}
		if rule.Name == "" {
			name = nil
		}
		r.ignore = append(r.ignore, ignored{group, kind, name})
	}
	return r
}

// compile answers the zero pattern, which matches nothing, for what cannot be read.
func compile(pattern string) *policy.Glob {
	g, err := policy.CompileGlob(pattern, "")
	if err != nil {
		return &policy.Glob{}
	}
	return &g
}

func matches(g *policy.Glob, s string) bool { return g == nil || g.Match(s) }

// ignores reports whether a rule ignores an object; without a name, whether one
// ignores every object of the kind.
func (r *Rules) ignores(k model.ObjectKey) bool {
	return slices.ContainsFunc(r.ignore, func(i ignored) bool {
		return matches(i.group, k.Group) && matches(i.kind, k.Kind) && (i.name == nil || k.Name != "" && i.name.Match(k.Name))
	})
}

// Looks reports whether objects of a namespaced kind may be orphans by these
// rules: the others need not be watched.
func (r *Rules) Looks(gk model.GroupKind) bool {
	if exempt(gk) || r.ignores(model.ObjectKey{Group: gk.Group, Kind: gk.Kind}) {
		return false
	}
	// Rules about names permit or deny only some.
	spec := r.spec
	spec.NamespaceResourceWhitelist = slices.Clone(spec.NamespaceResourceWhitelist)
	for i := range spec.NamespaceResourceWhitelist {
		spec.NamespaceResourceWhitelist[i].Name = ""
	}
	spec.NamespaceResourceBlacklist = slices.DeleteFunc(slices.Clone(spec.NamespaceResourceBlacklist), func(r model.KindRule) bool { return r.Name != "" })
	return policy.PermitsKind(spec, model.ObjectKey{Group: gk.Group, Kind: gk.Kind, Name: "x"}, true)
}

// exempt are kinds that the cluster itself and its controllers write, and that
// nobody deploys. Argo CD does not observe them either.
func exempt(gk model.GroupKind) bool {
	switch gk.Group {
	case "":
		return gk.Kind == "Event" || gk.Kind == "Endpoints"
	case "events.k8s.io", "metrics.k8s.io", "custom.metrics.k8s.io", "authentication.k8s.io", "authorization.k8s.io",
		"reports.kyverno.io", "wgpolicyk8s.io":
		return true
	case "discovery.k8s.io":
		return gk.Kind == "EndpointSlice"
	case "coordination.k8s.io":
		return gk.Kind == "Lease" || gk.Kind == "LeaseCandidate"
	case "cert-manager.io":
		return gk.Kind == "CertificateRequest"
	case "cilium.io":
		return gk.Kind == "CiliumEndpoint"
	case "kyverno.io":
		return strings.HasSuffix(gk.Kind, "Report") || gk.Kind == "UpdateRequest"
	}
	return false
}

// The kinds by whose names the owners of objects without owner references are
// known; and those objects.
var (
	kindServiceAccount = model.GroupKind{Kind: "ServiceAccount"}
	kindStatefulSet    = model.GroupKind{Group: "apps", Kind: "StatefulSet"}
	kindSecret         = model.GroupKind{Kind: "Secret"}
	kindClaim          = model.GroupKind{Kind: "PersistentVolumeClaim"}
)

// Neighbours tell what an object of a namespace belongs to, besides its owner
// references.
type Neighbours struct {
	// ServiceAccounts and StatefulSets of the namespace, by name.
	ServiceAccounts, StatefulSets map[string]bool
	// Owned reports whether an application desires the object, or is one that the
	// agent holds and is named by the object's tracking id ("" for none).
	Owned func(key model.ObjectKey, app string) bool
}

// Orphan reports whether an object of a namespaced kind belongs to nothing.
func (r *Rules) Orphan(rec live.Record, n Neighbours) bool {
	k := rec.Key
	if k.Namespace == "" || len(rec.Owners) > 0 || exempt(k.GroupKind()) || everywhere(k) {
		return false
	}
	switch k.GroupKind() {
	case kindSecret: // of a ServiceAccount, made by the cluster
		if account, ok := tokenOf(k.Name); ok && n.ServiceAccounts[account] {
			return false
		}
	case kindClaim: // of a StatefulSet's template
		if claimed(k.Name, n.StatefulSets) {
			return false
		}
	}
	app, _, _ := model.ParseTrackingID(rec.TrackingID)
	return !n.Owned(k, app) && policy.PermitsKind(r.spec, k, true) && !r.ignores(k)
}

// everywhere are the objects that each namespace, or each cluster, has.
func everywhere(k model.ObjectKey) bool {
	if k.Group != "" {
		return false
	}
	switch k.Kind {
	case "ServiceAccount":
		return k.Name == "default"
	case "ConfigMap":
		return k.Name == "kube-root-ca.crt"
	case "Service":
		return k.Name == "kubernetes" && k.Namespace == "default"
	}
	return false
}

// tokenOf names the ServiceAccount whose token a Secret seems to be:
// "ACCOUNT-token-xxxxx", as clusters before 1.24 made them.
func tokenOf(secret string) (account string, ok bool) {
	i := strings.LastIndexByte(secret, '-')
	if i < 0 || len(secret)-i-1 != 5 {
		return "", false
	}
	return strings.CutSuffix(secret[:i], "-token")
}

// claimed reports whether a claim is named as those of a StatefulSet's templates:
// "TEMPLATE-SET-NUMBER".
func claimed(claim string, sets map[string]bool) bool {
	i := strings.LastIndexByte(claim, '-')
	if i <= 0 || i == len(claim)-1 || strings.Trim(claim[i+1:], "0123456789") != "" {
		return false
	}
	for rest := claim[:i]; ; {
		_, set, more := strings.Cut(rest, "-")
		if !more {
			return false
		}
		if sets[set] {
			return true
		}
		rest = set
	}
}

// Found is what Find answers.
type Found struct {
	Total int
	// Listed are at most MaxListed of them, by kind and name. They must not be
	// modified.
	Listed []model.TreeNode
}

// add counts the orphans among objects of one kind and namespace, and lists them
// while there is room.
func (f *Found) add(r *Rules, recs []live.Record, n Neighbours) {
	from := len(f.Listed)
	var orphans []live.Record
	for _, rec := range recs {
		if r.Orphan(rec, n) {
			orphans = append(orphans, rec)
		}
	}
	f.Total += len(orphans)
	slices.SortFunc(orphans, func(a, b live.Record) int { return cmp.Compare(a.Key.Name, b.Key.Name) })
	for _, rec := range orphans[:min(len(orphans), MaxListed-from)] {
		node := model.TreeNode{ObjectKey: rec.Key, Version: rec.Version, UID: rec.UID, Health: rec.Health}
		if !rec.CreatedAt.IsZero() {
			at := rec.CreatedAt
			node.CreatedAt = &at
		}
		if app, _, ok := model.ParseTrackingID(rec.TrackingID); ok {
			node.Info = []model.Info{{Name: "tracked by", Value: "tracked by " + app + ", which is not here"}}
		}
		f.Listed = append(f.Listed, node)
	}
}

// named is how many objects a condition names.
const named = 5

// Condition is the warning about what was found, false for none. unseen are kinds
// that cannot be observed now: more may be orphaned.
func (f Found) Condition(warn bool, namespace string, unseen []model.GroupKind) (model.Condition, bool) {
	if !warn || f.Total == 0 {
		return model.Condition{}, false
	}
	var b strings.Builder
	noun, verb := "objects", "belong"
	if f.Total == 1 {
		noun, verb = "object", "belongs"
	}
	fmt.Fprintf(&b, "%d %s in namespace %s %s to no application: ", f.Total, noun, namespace, verb)
	for i, node := range f.Listed[:min(len(f.Listed), named)] {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(node.GroupKind().String() + " " + node.Name)
	}
	if rest := f.Total - named; rest > 0 {
		fmt.Fprintf(&b, " and %d more", rest)
	}
	if len(unseen) > 0 {
		fmt.Fprintf(&b, "; not all is seen, as kind %s cannot be observed now", unseen[0])
	}
	return model.Condition{Type: ConditionType, Code: Code, Message: b.String()}, true
}
