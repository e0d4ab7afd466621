package policy

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hawser-dev/hawser/shared/model"
)

// Project is a project's name and its rules, with those that it inherits.
type Project struct {
	Name string
	Spec model.AppProjectSpec
	// Version, ChangedAt and ChangedBy are of the project itself.
	Version   int64
	ChangedAt time.Time
	ChangedBy string
	// Hidden reports whether the caller may not read the rules of the project
	// with that name; nil: he may read all. They count all the same.
	Hidden func(project string) bool
	// inherited follow the project's own rules in each list of Spec.
	inherited []inherited
}

// The lists of rules that are inherited.
type list int

const (
	listRepos list = iota
	listDestinations
	listClusterAllow
	listClusterDeny
	listNamespaceAllow
	listNamespaceDeny
	listWindows
	listAccounts
	listRepoDeny
	listDestinationDeny
	lists
)

// inherited is how many rules of each list come from a global project.
type inherited struct {
	project string
	count   [lists]int
}

func counts(s model.AppProjectSpec) [lists]int {
	return [lists]int{len(s.SourceRepos), len(s.Destinations), len(s.ClusterResourceWhitelist), len(s.ClusterResourceBlacklist),
		len(s.NamespaceResourceWhitelist), len(s.NamespaceResourceBlacklist), len(s.SyncWindows), len(s.DestinationServiceAccounts),
		len(s.SourceRepoBlacklist), len(s.DestinationBlacklist)}
}

// Own is a project without anything inherited.
func Own(p model.AppProject) Project {
	out := Project{Name: p.Metadata.Name, Spec: p.Spec, Version: p.Metadata.Generation}
	var status model.ProjectStatus
	if len(p.Status) > 0 && json.Unmarshal(p.Status, &status) == nil {
		out.ChangedBy = status.ChangedBy
		if status.ChangedAt != nil {
			out.ChangedAt = *status.ChangedAt
		}
	}
	return out
}

// Inherits reports whether the rules of global count in project.
func Inherits(project, global model.AppProject) bool {
	return global.Spec.InheritedBy != nil && project.Metadata.Name != global.Metadata.Name &&
		Selects(*global.Spec.InheritedBy, project.Metadata.Labels)
}

// Effective is a project with the rules of the global projects among all that
// it inherits. As in Argo CD (docs/user-guide/projects.md, "Configuring Global
// Projects") these are added to the project's own: sourceRepos, destinations, the
// four lists of kinds, syncWindows and destinationServiceAccounts; and ours, the
// blacklists of repositories and destinations, and sensitiveFields. The project's
// own come first, then those of the global projects in order of their names.
// Nothing else is inherited, and what a global project inherits itself is not
// passed on.
func Effective(project model.AppProject, all []model.AppProject) Project {
	out := Own(project)
	var globals []model.AppProject
	for _, g := range all {
		if Inherits(project, g) {
			globals = append(globals, g)
		}
	}
	slices.SortFunc(globals, func(x, y model.AppProject) int { return strings.Compare(x.Metadata.Name, y.Metadata.Name) })
	for _, g := range globals {
		s, from := &out.Spec, g.Spec
		s.SourceRepos = slices.Concat(s.SourceRepos, from.SourceRepos)
		s.Destinations = slices.Concat(s.Destinations, from.Destinations)
		s.SourceRepoBlacklist = slices.Concat(s.SourceRepoBlacklist, from.SourceRepoBlacklist)
		s.DestinationBlacklist = slices.Concat(s.DestinationBlacklist, from.DestinationBlacklist)
		s.ClusterResourceWhitelist = slices.Concat(s.ClusterResourceWhitelist, from.ClusterResourceWhitelist)
		s.ClusterResourceBlacklist = slices.Concat(s.ClusterResourceBlacklist, from.ClusterResourceBlacklist)
		if s.NamespaceResourceWhitelist != nil || from.NamespaceResourceWhitelist != nil {
			// No list allows every kind, an empty one none: one list is enough to
			// limit.
			s.NamespaceResourceWhitelist = append(append([]model.KindRule{}, s.NamespaceResourceWhitelist...), from.NamespaceResourceWhitelist...)
		}
		s.NamespaceResourceBlacklist = slices.Concat(s.NamespaceResourceBlacklist, from.NamespaceResourceBlacklist)
		s.SyncWindows = slices.Concat(s.SyncWindows, from.SyncWindows)
		s.DestinationServiceAccounts = slices.Concat(s.DestinationServiceAccounts, from.DestinationServiceAccounts)
		s.SensitiveFields = slices.Concat(s.SensitiveFields, from.SensitiveFields)
		out.inherited = append(out.inherited, inherited{g.Metadata.Name, counts(from)})
	}
	return out
}

// Globals are the names of the projects that rules are inherited from.
func (p Project) Globals() []string {
	var out []string
	for _, g := range p.inherited {
		out = append(out, g.project)
	}
	return out
}

// ForCluster are the rules as an agent needs them. Those that select clusters by
// label are resolved for its cluster: one that selects it says so no more, and
// one that does not is left out. So an agent that knows nothing of labels, or has
// old ones, cannot be more generous than the hub.
func ForCluster(spec model.AppProjectSpec, labels map[string]string) model.AppProjectSpec {
	spec.InheritedBy = nil
	spec.Destinations = selected(spec.Destinations, labels)
	spec.DestinationBlacklist = selected(spec.DestinationBlacklist, labels)
	return spec
}

// selected are the rules about a cluster with these labels, without selectors.
func selected(rules []model.ProjectDestination, labels map[string]string) []model.ProjectDestination {
	if !slices.ContainsFunc(rules, func(d model.ProjectDestination) bool { return d.ClusterSelector != nil }) {
		return rules
	}
	out := make([]model.ProjectDestination, 0, len(rules))
	for _, d := range rules {
		if d.ClusterSelector != nil {
			if !Selects(*d.ClusterSelector, labels) {
				continue
			}
			d.ClusterSelector = nil
			if d.Name == "" && d.Server == "" {
				d.Name = "*"
			}
		}
		out = append(out, d)
	}
	return out
}

// from tells which project rule i of a list is of, and its place among the rules
// of that one.
func (p Project) from(l list, i int) (project string, at int) {
	total := 0
	for _, g := range p.inherited {
		total += g.count[l]
	}
	own := counts(p.Spec)[l] - total
	if i < own {
		return p.Name, i
	}
	i -= own
	for _, g := range p.inherited {
		if i < g.count[l] {
			return g.project, i
		}
		i -= g.count[l]
	}
	return p.Name, i
}

func (p Project) hidden(l list, i int) bool {
	if p.Hidden == nil {
		return false
	}
	project, _ := p.from(l, i)
	return p.Hidden(project)
}

// rule names rule i of a list, whose text is text: "#2 eu-*/payments".
func (p Project) rule(l list, i int, text string) string {
	project, at := p.from(l, i)
	switch {
	case p.Hidden != nil && p.Hidden(project):
		return "a rule in project " + project
	case project != p.Name:
		return fmt.Sprintf("#%d %s of project %s", at+1, text, project)
	}
	return fmt.Sprintf("#%d %s", at+1, text)
}

// labels are the texts of a list's rules for people, without those that the
// caller may not read.
func (p Project) labels(l list, texts []string) []string {
	if p.Hidden == nil {
		return texts
	}
	out := make([]string, 0, len(texts))
	for i, text := range texts {
		if p.hidden(l, i) {
			text = p.rule(l, i, text)
			if slices.Contains(out, text) {
				continue
			}
		}
		out = append(out, text)
	}
	return out
}

// decision begins one of the project.
func (p Project) decision() Decision {
	d := Decision{Project: p.Name, ProjectVersion: p.Version, ChangedBy: p.ChangedBy}
	if !p.ChangedAt.IsZero() {
		at := p.ChangedAt
		d.ChangedAt = &at
	}
	return d
}
