package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hawser-dev/hawser/shared/model"
)

// Role is the decision about what somebody may do, as hub/permission made it:
// rule is what decided. It is the first check of an explanation.
func Role(project string, allowed bool, rule string) Decision {
	d := Decision{Project: project}
	if allowed {
		d.passBy(RuleRole, rule, rule)
		d.Allowed = true
		return d
	}
	d.fail(RuleRole, Refusal{Code: CodePermission, Message: rule, NearestRule: rule, Denied: true,
		Fix: "ask an administrator for a token with the role: hawser token create NAME --grant ROLE:PROJECT"})
	return d
}

// CheckWindows decides whether the project's sync windows let an application sync
// now. The agent decides again when it comes to it.
func CheckWindows(project Project, facts WindowFacts) Decision {
	d := project.decision()
	if len(project.Spec.SyncWindows) == 0 {
		d.pass(RuleWindow, "the project has no sync windows")
		d.Allowed = true
		return d
	}
	w := DecideWindows(project.Spec.SyncWindows, facts)
	d.Allowed = w.Allowed
	reason, rule := w.Reason, ""
	for i := range project.Spec.SyncWindows {
		if w.By == nil || !sameWindow(*w.By, project.Spec.SyncWindows[i]) {
			continue
		}
		rule = project.rule(listWindows, i, windowLabel(*w.By))
		if project.hidden(listWindows, i) {
			reason = "a sync window decides"
		}
		break
	}
	switch {
	case w.Allowed && reason == "":
		d.pass(RuleWindow, "no sync window concerns it")
	case w.Allowed:
		d.passBy(RuleWindow, reason, rule)
	default:
		fix := "wait"
		if !w.Next.IsZero() {
			fix = "wait until " + w.Next.UTC().Format("2006-01-02 15:04") + " UTC"
		}
		d.fail(RuleWindow, Refusal{Code: CodeWindow, Message: reason, NearestRule: rule, Denied: true, Fix: fix + ", or change the sync windows of project " + quote(project.Name)})
	}
	return d
}

func sameWindow(x, y model.SyncWindow) bool {
	return x.Kind == y.Kind && x.Schedule == y.Schedule && x.Duration == y.Duration && x.TimeZone == y.TimeZone && x.Description == y.Description &&
		x.ManualSync == y.ManualSync && x.AndOperator == y.AndOperator && x.SyncOverrun == y.SyncOverrun &&
		slices.Equal(x.Applications, y.Applications) && slices.Equal(x.Namespaces, y.Namespaces) && slices.Equal(x.Clusters, y.Clusters)
}

func windowLabel(w model.SyncWindow) string {
	s := fmt.Sprintf("%s %s for %s", w.Kind, w.Schedule, w.Duration)
	if w.TimeZone != "" {
		s += " " + w.TimeZone
	}
	return s
}

// Unasked is a check that was not made.
func Unasked(rule, why string) Decision {
	var d Decision
	d.skip(rule, why)
	d.Allowed = true
	return d
}

// Later is what windows say to something that they do not stop: an application
// may be written while no sync is allowed.
func Later(windows Decision) Decision {
	for i, c := range windows.Checks {
		if c.Result == Failed {
			windows.Checks[i] = Check{Rule: c.Rule, Result: Skipped, Message: cut("it can be written, and is not synced now: " + c.Message)}
		}
	}
	windows.Allowed, windows.Refusals, windows.Refused = true, nil, 0
	return windows
}

// NoCluster is the refusal of a destination that no cluster has which the asker
// can see.
func NoCluster(project Project, dest Destination) Decision {
	d := project.decision()
	d.fail(RuleDestination, Refusal{Code: "destination_unknown", Field: "spec.destination", Found: dest.clusterLabel(),
		Message: "there is no cluster " + quote(dest.clusterLabel()), Fix: "see which clusters there are: hawser cluster list"})
	return d
}

// Join makes one explanation of several decisions about the same question. A
// check that one of them made replaces the same check that another left out, and
// all stand in the order in which they are made.
func Join(decisions ...Decision) Decision {
	var out Decision
	for _, d := range decisions {
		if out.Project == "" {
			out.Project = d.Project
		}
		if out.ProjectVersion == 0 {
			out.ProjectVersion, out.ChangedAt, out.ChangedBy = d.ProjectVersion, d.ChangedAt, d.ChangedBy
		}
		out.Refusals = append(out.Refusals, d.Refusals...)
		out.Refused += d.Refused
		for _, c := range d.Checks {
			made := func(x Check) bool { return x.Rule == c.Rule && x.Result != Skipped }
			if c.Result == Skipped && slices.ContainsFunc(out.Checks, made) {
				continue
			}
			if c.Result != Skipped {
				out.Checks = slices.DeleteFunc(out.Checks, func(x Check) bool { return x.Rule == c.Rule && x.Result == Skipped })
			}
			// That all objects go to a namespace that was allowed is said once.
			if c.Result == Passed && c.Matched == "" && slices.ContainsFunc(out.Checks, made) && (c.Rule == RuleDestination || c.Rule == RuleLimits) {
				continue
			}
			out.Checks = append(out.Checks, c)
		}
	}
	slices.SortStableFunc(out.Checks, func(x, y Check) int { return slices.Index(order, x.Rule) - slices.Index(order, y.Rule) })
	if len(out.Refusals) > maxRefusals {
		out.Refusals = out.Refusals[:maxRefusals]
	}
	out.Allowed = out.Refused == 0
	return out
}

// order of the checks in an explanation.
var order = []string{RuleProject, RuleRole, RuleSource, RuleSourceNamespace, RuleSignature, RuleDestination, RuleServiceAccount, RuleKinds, RuleLimits, RuleWindow}

// Warnings are what is dangerous about a project though it is allowed, one
// sentence each that begins with the field.
func Warnings(spec model.AppProjectSpec) []string {
	var out []string
	everywhere := false
	for i, d := range spec.Destinations {
		all := (d.Name == "*" || d.Server == "*") && d.ClusterSelector == nil
		everywhere = everywhere || all && d.Namespace == "*"
		field := fmt.Sprintf("spec.destinations[%d]", i)
		for _, text := range []string{d.Name, d.Server, d.Namespace} {
			if strings.HasPrefix(text, "!") && text != "!*" {
				out = append(out, fmt.Sprintf("%s: %s also allows everything that it does not deny, as in Argo CD", field, quote(text)))
			}
		}
	}
	out = append(out, meaningless(spec.Destinations)...)
	for i, k := range spec.ClusterResourceWhitelist {
		if k.Name != "" && k.Name != "*" {
			continue
		}
		for _, danger := range adminKinds {
			if pathMatch(k.Kind, danger.Kind) && pathMatch(k.Group, danger.Group) && deniedKind(spec.ClusterResourceBlacklist, model.ObjectKey{Group: danger.Group, Kind: danger.Kind}) < 0 {
				where := "of the clusters that it may deploy to"
				if everywhere {
					where = "of every cluster"
				}
				out = append(out, fmt.Sprintf("spec.clusterResourceWhitelist[%d]: whoever may write %s can become administrator %s", i, model.GroupKind{Group: danger.Group, Kind: danger.Kind}, where))
				break
			}
		}
	}
	if everywhere {
		out = append(out, "spec.destinations: every namespace of every cluster is allowed, kube-system too")
	}
	if slices.Contains(spec.SourceRepos, "*") && !slices.ContainsFunc(spec.SourceRepos, func(s string) bool { return strings.HasPrefix(s, "!") }) {
		out = append(out, "spec.sourceRepos: manifests may come from any repository")
	}
	if si := spec.SourceIntegrity; si != nil && si.Git != nil {
		for i, p := range si.Git.Policies {
			field := fmt.Sprintf("spec.sourceIntegrity.git.policies[%d]", i)
			if p.Repos != nil && len(p.Repos) == 0 {
				out = append(out, field+".repos: it is about no repository, so it demands nothing")
			} else if p.GPG != nil && len(p.GPG.Keys) == 0 && SignatureMode(p.GPG.Mode) != SignatureNone {
				out = append(out, field+".gpg.keys: nobody is trusted, so nothing of these repositories can be deployed")
			}
		}
	}
	if s := spec.InheritedBy; s != nil && len(s.MatchLabels) == 0 && len(s.MatchExpressions) == 0 {
		out = append(out, "spec.inheritedBy: every other project inherits these rules")
	}
	return append(out, ineffective(spec)...)
}

// meaningless warns of rules for every cluster that deny a namespace, and so allow
// all others, beside rules that say less.
func meaningless(rules []model.ProjectDestination) []string {
	everyCluster := func(d model.ProjectDestination) bool {
		return (d.Name == "*" || d.Server == "*") && d.ClusterSelector == nil
	}
	negated := func(d model.ProjectDestination) bool { return strings.HasPrefix(d.Namespace, "!") }
	narrow := slices.IndexFunc(rules, func(d model.ProjectDestination) bool {
		return !negated(d) && d.Namespace != "*" && !strings.HasPrefix(d.Name, "!") && !strings.HasPrefix(d.Server, "!") || d.ClusterSelector != nil
	})
	var out []string
	for i, d := range rules {
		if narrow >= 0 && narrow != i && everyCluster(d) && negated(d) {
			out = append(out, fmt.Sprintf("spec.destinations[%d]: it allows every namespace but %s on every cluster, so that narrower rules such as #%d %s limit nothing; to deny alone, write it in destinationBlacklist without \"!\"",
				i, strings.TrimPrefix(d.Namespace, "!"), narrow+1, ruleLabel(rules[narrow])))
		}
	}
	return out
}

// ineffective are the fields that probably do not do what they were written for,
// one sentence each that begins with the field.
func ineffective(spec model.AppProjectSpec) []string {
	var out []string
	if s := spec.SourceIntegrity; len(spec.SignatureKeys) > 0 && s != nil && s.Git != nil && len(s.Git.Policies) > 0 {
		out = append(out, "spec.signatureKeys: they have no effect beside the policies of sourceIntegrity, which alone count")
	}
	if o := spec.OrphanedResources; o != nil {
		for i, r := range o.Ignore {
			if r == (model.KindRule{}) {
				out = append(out, fmt.Sprintf("spec.orphanedResources.ignore[%d]: it says nothing, and ignores every kind of the core group, as in Argo CD", i))
			}
		}
	}
	return out
}

// adminKinds make an administrator of whoever may write them.
var adminKinds = []model.GroupKind{
	{Group: "rbac.authorization.k8s.io", Kind: "ClusterRoleBinding"},
	{Group: "admissionregistration.k8s.io", Kind: "MutatingWebhookConfiguration"},
	{Kind: "Node"}, {Kind: "PersistentVolume"},
}
