package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hawser-dev/hawser/shared/model"
)

// Use is one application, to count what rules match.
type Use struct {
	SourceRepos []string
	Destination Destination
	// Objects as they are rendered now; nil when there are none yet.
	Objects []ObjectFacts
}

// RuleCount is how much one rule matches, or with a leading "!" denies.
type RuleCount struct {
	List string `json:"list"` // "destinations", "sourceRepos", "clusterResourceWhitelist" and so on
	Rule string `json:"rule"` // "#1 eu-*/payments"
	// Clusters that the rule is about, in whatever namespace; nil for rules that
	// are not about clusters.
	Clusters *int `json:"clusters,omitempty"`
	// Applications of the project that the rule matches.
	Applications int `json:"applications"`
	// Objects of these that a rule about kinds matches.
	Objects int  `json:"objects,omitempty"`
	Denies  bool `json:"denies,omitempty"`
}

// CountRules counts what each rule matches of what there is.
func CountRules(project Project, clusters []Destination, apps []Use) []RuleCount {
	c := compile(project)
	out := []RuleCount{}
	for i, p := range c.repos {
		n := RuleCount{List: "sourceRepos", Rule: c.rule(listRepos, i, p.text), Denies: p.deny}
		for _, app := range apps {
			for _, repo := range app.SourceRepos {
				normal := NormaliseRepo(repo)
				if !p.deny && p.matches(normal) || p.deny && p.hits(normal) {
					n.Applications++
					break
				}
			}
		}
		out = append(out, n)
	}
	for i, r := range c.dests {
		n := RuleCount{List: "destinations", Rule: c.rule(listDestinations, i, ruleLabel(r.ProjectDestination)),
			Denies: strings.HasPrefix(r.Name, "!") || strings.HasPrefix(r.Server, "!") || strings.HasPrefix(r.Namespace, "!")}
		about := 0
		for _, cluster := range clusters {
			if f := r.match(cluster, ""); f.cluster || f.clusterDenies && !f.unselected {
				about++
			}
		}
		n.Clusters = &about
		for _, app := range apps {
			f := r.match(app.Destination, app.Destination.Namespace)
			if n.Denies && f.denies() || !n.Denies && f.all() {
				n.Applications++
			}
		}
		out = append(out, n)
	}
	for i, p := range c.deniedRepos {
		n := RuleCount{List: "sourceRepoBlacklist", Rule: c.rule(listRepoDeny, i, p.text), Denies: true}
		for _, app := range apps {
			if slices.ContainsFunc(app.SourceRepos, func(repo string) bool { return p.denies(NormaliseRepo(repo)) }) {
				n.Applications++
			}
		}
		out = append(out, n)
	}
	for i, r := range c.deniedDests {
		n := RuleCount{List: "destinationBlacklist", Rule: c.rule(listDestinationDeny, i, ruleLabel(r.ProjectDestination)), Denies: true}
		about := 0
		for _, cluster := range clusters {
			if r.about(cluster) {
				about++
			}
		}
		n.Clusters = &about
		for _, app := range apps {
			if r.about(app.Destination) && r.namespace.denies(app.Destination.Namespace) {
				n.Applications++
			}
		}
		out = append(out, n)
	}
	for _, l := range []struct {
		list       list
		name       string
		rules      []model.KindRule
		namespaced bool
		denies     bool
	}{
		{listClusterAllow, "clusterResourceWhitelist", project.Spec.ClusterResourceWhitelist, false, false},
		{listClusterDeny, "clusterResourceBlacklist", project.Spec.ClusterResourceBlacklist, false, true},
		{listNamespaceAllow, "namespaceResourceWhitelist", project.Spec.NamespaceResourceWhitelist, true, false},
		{listNamespaceDeny, "namespaceResourceBlacklist", project.Spec.NamespaceResourceBlacklist, true, true},
	} {
		for i, r := range l.rules {
			n := RuleCount{List: l.name, Rule: c.rule(l.list, i, kindLabel(r)), Denies: l.denies}
			for _, app := range apps {
				before := n.Objects
				for _, o := range app.Objects {
					hit := kindMatches(r, o.Key)
					if l.denies {
						hit = deniedKind([]model.KindRule{r}, o.Key) == 0
					}
					if o.Namespaced == l.namespaced && hit {
						n.Objects++
					}
				}
				if n.Objects > before {
					n.Applications++
				}
			}
			out = append(out, n)
		}
	}
	return out
}

// Ask asks a project about an application whose objects, if there are any, are
// known: everything that is asked when it is written and after it was rendered.
func Ask(project Project, app AppFacts, objects []ObjectFacts, usage *Usage) Decision {
	d := CheckApplication(project, app)
	if objects == nil {
		return d
	}
	return Join(d, CheckRendered(project, app.Destination, objects, usage))
}

// AskSome is Ask where only some of it is asked: no destination is named, and
// sources and objects may be none.
func AskSome(project Project, sources []string, objects []ObjectFacts) Decision {
	d := project.decision()
	c := compile(project)
	if len(sources) > 0 {
		c.sources(&d, sources)
		c.signatures(&d, sources)
	} else {
		d.skip(RuleSource, "no source was asked about")
	}
	d.skip(RuleDestination, "no destination was asked about")
	failed := 0
	for _, o := range objects {
		if r := c.kind(o); r != nil {
			r.rule = RuleKinds
			d.refuse(*r)
			failed++
		}
	}
	switch {
	case len(objects) == 0:
		d.skip(RuleKinds, "no kind was asked about")
	case failed > 0:
		d.Checks = append(d.Checks, Check{Rule: RuleKinds, Result: Failed, Message: fmt.Sprintf("%d of %d kinds are not allowed", failed, len(objects)),
			Nearest: cut(d.Refusals[len(d.Refusals)-1].NearestRule), Differs: cut(d.Refusals[len(d.Refusals)-1].Differs)})
	default:
		d.pass(RuleKinds, fmt.Sprintf("all %d kinds are allowed", len(objects)))
	}
	d.Allowed = d.Refused == 0
	return d
}

// Question says what is asked about: "deploy web to cluster eu, namespace shop".
func Question(verb, app string, dest Destination, kinds []model.ObjectKey) string {
	what := verb
	switch {
	case len(kinds) == 1:
		what += " " + strings.TrimSpace(kinds[0].GroupKind().String()+" "+kinds[0].Name)
	case len(kinds) > 1:
		what += fmt.Sprintf(" %d kinds", len(kinds))
	case app != "":
		what += " " + app
	}
	if dest.clusterLabel() != "" {
		what += " to cluster " + dest.clusterLabel()
	}
	if dest.Namespace != "" {
		what += ", namespace " + dest.Namespace
	}
	return what
}
