package command

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/manifest"
	"github.com/hawser-dev/hawser/shared/model"
)

// newProjectRules is "project allow" and "project deny": one rule more, or with
// --remove one less.
func newProjectRules(s *session, deny bool) *cobra.Command {
	verb, what := "allow", "Allow"
	if deny {
		verb, what = "deny", "Deny"
	}
	commands := []*cobra.Command{
		ruleCommand(s, verb, "source NAME PATTERN", what+" a repository, by URL or glob", func(p *model.AppProject, rule string, remove bool, _ ruleOptions) error {
			if !deny {
				p.Spec.SourceRepos = toggle(p.Spec.SourceRepos, rule, remove)
				return nil
			}
			if old := "!" + strings.TrimPrefix(rule, "!"); remove && slices.Contains(p.Spec.SourceRepos, old) {
				p.Spec.SourceRepos = toggle(p.Spec.SourceRepos, old, true)
				return nil
			}
			p.Spec.SourceRepoBlacklist = toggle(p.Spec.SourceRepoBlacklist, strings.TrimPrefix(rule, "!"), remove)
			return nil
		}),
		ruleCommand(s, verb, "dest NAME CLUSTER,NAMESPACE", what+" a cluster and namespace; without --selector CLUSTER is a name, server or glob", func(p *model.AppProject, rule string, remove bool, o ruleOptions) error {
			return destinationRule(p, rule, remove, deny, o)
		}),
		ruleCommand(s, verb, "kind NAME [GROUP/]KIND[:OBJECT]", what+" a kind, or some objects of it", func(p *model.AppProject, rule string, remove bool, o ruleOptions) error {
			return kindRule(p, rule, remove, deny, o)
		}),
	}
	if !deny {
		commands = append(commands, ruleCommand(s, verb, "sa NAME SERVER,NAMESPACE,ACCOUNT", "Have agents act as a service account at a destination", func(p *model.AppProject, rule string, remove bool, _ ruleOptions) error {
			parts := strings.Split(rule, ",")
			if len(parts) != 3 {
				return fault.New(fault.Invalid, "usage", "%q is not SERVER,NAMESPACE,ACCOUNT", rule)
			}
			p.Spec.DestinationServiceAccounts = toggle(p.Spec.DestinationServiceAccounts,
				model.DestinationServiceAccount{Server: parts[0], Namespace: parts[1], DefaultServiceAccount: parts[2]}, remove)
			return nil
		}))
	}
	return group(verb, what+" something in a project, after showing what that changes", commands...)
}

// ruleOptions are flags of some rules.
type ruleOptions struct {
	selector   string
	cluster    bool
	namespaced bool
}

func ruleCommand(s *session, verb, use, short string, change func(*model.AppProject, string, bool, ruleOptions) error) *cobra.Command {
	var o saving
	var rule ruleOptions
	var remove bool
	args := strings.Fields(use)[1:]
	c := &cobra.Command{
		Use: use, Short: short, Args: exactArgs(args...),
		RunE: s.run(func(c *call) error {
			o.grants = (verb == "allow") != remove
			return c.changeProject(c.args[0], o, func(p *model.AppProject) error { return change(p, c.args[1], remove, rule) })
		}),
	}
	c.Flags().BoolVar(&remove, "remove", false, "take the rule away again")
	switch strings.Fields(use)[0] {
	case "dest":
		c.Flags().StringVarP(&rule.selector, "selector", "l", "", "clusters with these labels (env=prod,tier=a); CLUSTER may be left empty: \",payments\"")
	case "kind":
		c.Flags().BoolVar(&rule.cluster, "cluster-scoped", false, "the kind is cluster-scoped; of usual kinds that is known")
		c.Flags().BoolVar(&rule.namespaced, "namespaced", false, "the kind is namespaced")
		c.MarkFlagsMutuallyExclusive("cluster-scoped", "namespaced")
	}
	o.flags(s, c)
	return c
}

// toggle adds a rule that is not there, or takes one away.
func toggle[T comparable](rules []T, rule T, remove bool) []T {
	i := slices.Index(rules, rule)
	switch {
	case remove && i >= 0:
		return slices.Delete(slices.Clone(rules), i, i+1)
	case !remove && i < 0:
		return append(slices.Clone(rules), rule)
	}
	return rules
}

func destinationRule(p *model.AppProject, rule string, remove, deny bool, o ruleOptions) error {
	cluster, namespace, ok := strings.Cut(rule, ",")
	if !ok || namespace == "" || cluster == "" && o.selector == "" {
		return fault.New(fault.Invalid, "destination_invalid", "%q is not CLUSTER,NAMESPACE", rule)
	}
	d := model.ProjectDestination{Namespace: namespace}
	if strings.Contains(cluster, "://") {
		d.Server = cluster
	} else {
		d.Name = cluster
	}
	if o.selector != "" {
		labels, err := parseLabels(o.selector)
		if err != nil {
			return err
		}
		d.ClusterSelector = &model.LabelSelector{MatchLabels: labels}
	}
	// A "!" in destinations would allow whatever it does not deny.
	rules := &p.Spec.Destinations
	if deny {
		rules = &p.Spec.DestinationBlacklist
		d.Name, d.Server, d.Namespace = strings.TrimPrefix(d.Name, "!"), strings.TrimPrefix(d.Server, "!"), strings.TrimPrefix(d.Namespace, "!")
	}
	same := func(x model.ProjectDestination) bool { return sameDestination(x, d) }
	i := slices.IndexFunc(*rules, same)
	if deny && remove && i < 0 {
		// A rule with "!", as Argo CD writes denials.
		rules = &p.Spec.Destinations
		i = slices.IndexFunc(*rules, func(x model.ProjectDestination) bool {
			plain := x
			plain.Name, plain.Server, plain.Namespace = strings.TrimPrefix(x.Name, "!"), strings.TrimPrefix(x.Server, "!"), strings.TrimPrefix(x.Namespace, "!")
			return !sameDestination(plain, x) && sameDestination(plain, d)
		})
	}
	switch {
	case remove && i >= 0:
		*rules = slices.Delete(slices.Clone(*rules), i, i+1)
	case !remove && i < 0:
		*rules = append(slices.Clone(*rules), d)
	}
	return nil
}

func sameDestination(x, y model.ProjectDestination) bool {
	return x.Name == y.Name && x.Server == y.Server && x.Namespace == y.Namespace && sameSelector(x.ClusterSelector, y.ClusterSelector)
}

func sameSelector(x, y *model.LabelSelector) bool {
	if x == nil || y == nil {
		return x == y
	}
	return len(x.MatchExpressions)+len(y.MatchExpressions) == 0 && labelText(x.MatchLabels) == labelText(y.MatchLabels)
}

// parseLabels reads "a=b,c=d".
func parseLabels(text string) (map[string]string, error) {
	out := map[string]string{}
	for part := range strings.SplitSeq(text, ",") {
		k, v, ok := strings.Cut(part, "=")
		if !ok || k == "" || strings.ContainsAny(k, "!") {
			return nil, fault.New(fault.Invalid, "selector_invalid", "%q is not KEY=VALUE", part).WithFix("write other selectors with hawser project edit")
		}
		out[strings.TrimSpace(k)] = strings.TrimPrefix(strings.TrimSpace(v), "=")
	}
	return out, nil
}

func kindRule(p *model.AppProject, text string, remove, deny bool, o ruleOptions) error {
	r, err := parseKind(text)
	if err != nil {
		return err
	}
	clusterScoped := o.cluster || !o.namespaced && manifest.ClusterScoped(model.GroupKind{Group: r.Group, Kind: r.Kind})
	white, black := &p.Spec.NamespaceResourceWhitelist, &p.Spec.NamespaceResourceBlacklist
	if clusterScoped {
		white, black = &p.Spec.ClusterResourceWhitelist, &p.Spec.ClusterResourceBlacklist
	}
	switch {
	case deny:
		*black = toggle(*black, r, remove)
	case remove:
		*white = toggle(*white, r, true)
	default:
		denied := slices.Contains(*black, r)
		*black = toggle(*black, r, true)
		if !clusterScoped && *white == nil {
			// No list allows all kinds, and a list of one would deny all others.
			if !denied {
				return fault.New(fault.Precondition, "kind_allowed", "project %q allows every namespaced kind already", p.Metadata.Name).
					WithFix("deny some with hawser project deny kind, or write namespaceResourceWhitelist with hawser project edit")
			}
			return nil
		}
		*white = toggle(*white, r, false)
	}
	return nil
}
