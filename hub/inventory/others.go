package inventory

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/filter"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/policy"
)

// Clusters answers a list of clusters.
func (x *Index) Clusters(ctx context.Context, q fleet.ListQuery) (fleet.ListPage, error) {
	if err := checkAll(q, ClusterSorts, append(slices.Clone(ClusterFacets), "label:"), ClusterFields); err != nil {
		return fleet.ListPage{}, err
	}
	m := x.moment(x.current(ctx))
	all := make([]*model.Cluster, 0, len(m.clusters))
	var counts map[model.ClusterID]int
	if q.Sees != nil {
		counts = m.applicationsOn(&q.Sight)
	}
	for _, c := range m.clusters {
		view := m.view(c)
		if q.Sees != nil { // before the filter and the order look at it
			view.Applications = counts[c.ID]
		}
		if q.SeesCluster == nil || q.SeesCluster(&view) {
			all = append(all, &view)
		}
	}
	k := kind[*model.Cluster]{
		name: func(c *model.Cluster) string { return c.Name },
		test: m.testOfClusters, key: sortOfClusters, fact: factOfClusters,
	}
	return answer(x, m, Clusters, k, all, q, func(c *model.Cluster) any {
		if q.Sees != nil {
			c.UnknownApps = slices.DeleteFunc(slices.Clone(c.UnknownApps), func(u model.UnknownApp) bool { return !q.App(u.Project, u.Name) })
		}
		return c
	})
}

func checkAll(q fleet.ListQuery, sorts, facets, fields []string) error {
	if err := checkNames("sort", "sort_invalid", q.Sort, sorts); err != nil {
		return err
	}
	if err := checkNames("fields", "fields_invalid", q.Fields, fields); err != nil {
		return err
	}
	return checkNames("facets", "facets_invalid", q.Facets, facets)
}

// answer makes a page of things that are small enough to be answered whole.
func answer[T any](x *Index, m moment, schema filter.Schema, k kind[T], all []T, q fleet.ListQuery, body func(T) any) (fleet.ListPage, error) {
	filters, err := x.terms(q, schema)
	if err != nil {
		return fleet.ListPage{}, err
	}
	got, err := k.choose(all, filters, q)
	if err != nil {
		return fleet.ListPage{}, err
	}
	page := m.page(got.total, got.facets, got.next)
	for _, t := range got.page {
		b, err := encoded(body(t))
		if err == nil && q.Fields != nil {
			b, err = onlyFields(b, q.Fields)
		}
		if err != nil {
			return fleet.ListPage{}, err
		}
		page.Items = append(page.Items, b)
	}
	return page, nil
}

// onlyFields keeps the named fields of an object.
func onlyFields(b json.RawMessage, fields []string) (json.RawMessage, error) {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(b, &all); err != nil {
		return nil, err
	}
	kept := make(map[string]json.RawMessage, len(fields))
	for _, f := range fields {
		if v, ok := all[f]; ok {
			kept[f] = v
		}
	}
	return json.Marshal(kept)
}

func stateOf(c *model.Cluster) string {
	switch {
	case c.Revoked:
		return "revoked"
	case c.Connected:
		return "connected"
	case c.LastSeen == nil:
		return "never"
	}
	return "offline"
}

func timeOf(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}

func (m moment) testOfClusters(t filter.Term) func(*model.Cluster) bool {
	switch t.Key {
	case "name":
		return func(c *model.Cluster) bool { return t.Text(c.Name) }
	case "id":
		return func(c *model.Cluster) bool { return t.Text(string(c.ID)) }
	case "project":
		return func(c *model.Cluster) bool { return t.Text(c.Project) }
	case "state":
		return func(c *model.Cluster) bool { return t.Word(stateOf(c)) }
	case "freshness":
		return func(c *model.Cluster) bool { return t.Word(string(c.Freshness)) }
	case "kubernetes":
		return func(c *model.Cluster) bool { return t.Text(c.KubeVersion) }
	case "agent":
		return func(c *model.Cluster) bool { return t.Text(c.AgentVersion) }
	case "alias":
		return func(c *model.Cluster) bool { return t.Texts(c.Aliases) }
	case "condition":
		return func(c *model.Cluster) bool { return t.Texts(c.Conditions) }
	case "apps":
		return func(c *model.Cluster) bool { return t.Number(float64(c.Applications)) }
	case "nodes":
		return func(c *model.Cluster) bool { return t.Number(float64(c.Nodes)) }
	case "seen":
		return func(c *model.Cluster) bool { return t.Age(m.now, timeOf(c.LastSeen)) }
	case "enrolled":
		return func(c *model.Cluster) bool { return t.Age(m.now, timeOf(c.EnrolledAt)) }
	case "label":
		return func(c *model.Cluster) bool { return t.LabelOf(c.Labels) }
	case "is":
		return func(c *model.Cluster) bool {
			return slices.ContainsFunc(t.Words, func(w string) bool { return w == stateOf(c) || w == string(c.Freshness) }) != t.Not
		}
	}
	return func(*model.Cluster) bool { return false }
}

func sortOfClusters(key string) func(*model.Cluster) sortValue {
	at := func(t *time.Time) sortValue {
		if t == nil {
			return sortValue{}
		}
		return sortValue{n: float64(t.UnixMicro())}
	}
	switch key {
	case "project":
		return func(c *model.Cluster) sortValue { return sortValue{s: c.Project} }
	case "state":
		return func(c *model.Cluster) sortValue { return sortValue{s: stateOf(c)} }
	case "freshness":
		return func(c *model.Cluster) sortValue { return sortValue{n: freshRank[c.Freshness]} }
	case "kubernetes":
		return func(c *model.Cluster) sortValue { return sortValue{s: c.KubeVersion} }
	case "agent":
		return func(c *model.Cluster) sortValue { return sortValue{s: c.AgentVersion} }
	case "apps":
		return func(c *model.Cluster) sortValue { return sortValue{n: float64(c.Applications)} }
	case "nodes":
		return func(c *model.Cluster) sortValue { return sortValue{n: float64(c.Nodes)} }
	case "seen":
		return func(c *model.Cluster) sortValue { return at(c.LastSeen) }
	case "enrolled":
		return func(c *model.Cluster) sortValue { return at(c.EnrolledAt) }
	}
	return func(c *model.Cluster) sortValue { return sortValue{s: c.Name} }
}

func factOfClusters(facet string) func(*model.Cluster) string {
	switch facet {
	case "state":
		return stateOf
	case "freshness":
		return func(c *model.Cluster) string { return string(c.Freshness) }
	case "kubernetes":
		return func(c *model.Cluster) string { return c.KubeVersion }
	case "agent":
		return func(c *model.Cluster) string { return c.AgentVersion }
	case "project":
		return func(c *model.Cluster) string { return c.Project }
	}
	name := strings.TrimPrefix(facet, "label:")
	return func(c *model.Cluster) string { return c.Labels[name] }
}

// AllProjects answers a list of projects.
func (x *Index) AllProjects(ctx context.Context, q fleet.ListQuery) (fleet.ListPage, error) {
	if err := checkAll(q, ProjectSorts, ProjectFacets, ProjectFields); err != nil {
		return fleet.ListPage{}, err
	}
	m := x.moment(x.current(ctx))
	var all []*project
	for _, p := range m.projects {
		if q.SeesProject == nil || q.SeesProject(p.Metadata.Name) {
			all = append(all, p)
		}
	}
	k := kind[*project]{
		name: func(p *project) string { return p.Metadata.Name },
		test: func(t filter.Term) func(*project) bool {
			switch t.Key {
			case "name":
				return func(p *project) bool { return t.Text(p.Metadata.Name) }
			case "description":
				return func(p *project) bool { return t.Text(p.Spec.Description) }
			case "repo":
				return func(p *project) bool { return t.Texts(p.Spec.SourceRepos) }
			case "apps":
				return func(p *project) bool { return t.Number(float64(m.perProject[p.Metadata.Name])) }
			case "label":
				return func(p *project) bool { return t.LabelOf(p.Metadata.Labels) }
			}
			return func(*project) bool { return false }
		},
		key: func(key string) func(*project) sortValue {
			if key == "apps" {
				return func(p *project) sortValue { return sortValue{n: float64(m.perProject[p.Metadata.Name])} }
			}
			return func(p *project) sortValue { return sortValue{s: p.Metadata.Name} }
		},
		fact: func(string) func(*project) string { return func(*project) string { return "" } },
	}
	return answer(x, m, ProjectsSchema, k, all, q, func(p *project) any { return p.AppProject })
}

// Repositories answers a list of repositories.
func (x *Index) Repositories(ctx context.Context, q fleet.ListQuery) (fleet.ListPage, error) {
	if err := checkAll(q, RepositorySorts, RepositoryFacets, RepositoryFields); err != nil {
		return fleet.ListPage{}, err
	}
	m := x.moment(x.current(ctx))
	var all []*repository
	for _, r := range m.repos {
		if q.SeesRepository == nil || q.SeesRepository(r.Project, r.URL) {
			all = append(all, r)
		}
	}
	value := func(key string) func(*repository) string {
		switch key {
		case "url":
			return func(r *repository) string { return r.URL }
		case "project":
			return func(r *repository) string { return r.Project }
		case "type":
			return func(r *repository) string { return r.Type }
		case "state":
			return func(r *repository) string { return r.State }
		case "id":
			return func(r *repository) string { return r.ID }
		}
		return func(r *repository) string { return r.Name }
	}
	byID := func(a, b *repository) int { return strings.Compare(a.URL+a.ID, b.URL+b.ID) }
	slices.SortFunc(all, byID)
	k := kind[*repository]{
		name: func(r *repository) string { return r.URL + r.ID },
		test: func(t filter.Term) func(*repository) bool {
			of := value(t.Key)
			if t.Key == "name" { // bare words too
				return func(r *repository) bool {
					if t.Not {
						return t.Text(r.Name) && t.Text(r.URL)
					}
					return t.Text(r.Name) || t.Text(r.URL)
				}
			}
			return func(r *repository) bool { return t.Text(of(r)) }
		},
		key: func(key string) func(*repository) sortValue {
			of := value(key)
			return func(r *repository) sortValue { return sortValue{s: of(r)} }
		},
		fact: value,
	}
	if len(q.Sort) == 1 && q.Sort[0] == "name" {
		q.Sort = nil
	}
	return answer(x, m, Repositories, k, all, q, func(r *repository) any { return r.Repository })
}

// hasLabel reports whether an application, project or cluster carries a label,
// of those that are seen.
func (x *Index) hasLabel(name string, sight *fleet.Sight) bool {
	s := x.snap.Load()
	var seen *visible
	for _, a := range s.apps {
		if _, ok := a.Labels[name]; !ok {
			continue
		}
		if sight.Sees == nil {
			return true
		}
		if seen == nil {
			seen = x.moment(s).visible(sight)
		}
		if seen.has(a.place) {
			return true
		}
	}
	for _, p := range s.projects {
		if _, ok := p.Metadata.Labels[name]; ok && (sight.SeesProject == nil || sight.SeesProject(p.Metadata.Name)) {
			return true
		}
	}
	for _, c := range s.byID {
		if _, ok := c.Labels[name]; ok && (sight.SeesCluster == nil || sight.SeesCluster(&c.Cluster)) {
			return true
		}
	}
	return false
}

// maxSilent clusters are named, those that were seen last first.
const maxSilent = 20

// Fleet counts what is seen.
func (x *Index) Fleet(ctx context.Context, sight fleet.Sight) fleet.FleetSummary {
	m := x.moment(x.current(ctx))
	views := make([]*model.Cluster, 0, len(m.clusters))
	for _, c := range m.clusters {
		view := m.view(c)
		if sight.SeesCluster == nil || sight.SeesCluster(&view) {
			views = append(views, &view)
		}
	}
	return m.summaryOf(m.seen(&sight), views, &sight)
}

// summaryOf counts applications and clusters that are seen, and projects.
func (m moment) summaryOf(apps []seenApp, views []*model.Cluster, sight *fleet.Sight) fleet.FleetSummary {
	var s fleet.FleetSummary
	s.AsOf, s.Away = m.asOf.UTC(), m.away
	a := &s.Applications
	a.Health, a.Sync, a.Operation = map[string]int{}, map[string]int{}, map[string]int{}
	for _, app := range apps {
		a.Total++
		a.Operation[app.op]++
		if app.aside {
			a.Unrendered++
		}
		switch {
		case app.fresh == model.FreshNever:
			a.Never++
		case !app.trusted():
			a.Stale++
		default:
			a.Health[app.health]++
			if app.sync == "outofsync" && app.reason != "none" {
				a.Sync[app.reason]++
			} else {
				a.Sync[app.sync]++
			}
		}
	}
	for _, view := range views {
		s.Clusters.Total++
		if view.Connected {
			s.Clusters.Reporting++
		} else {
			s.Clusters.Silent++
			s.Clusters.NotReporting = append(s.Clusters.NotReporting, fleet.SilentCluster{Name: view.Name, LastSeen: view.LastSeen, State: stateOf(view)})
		}
	}
	slices.SortFunc(s.Clusters.NotReporting, func(a, b fleet.SilentCluster) int { return timeOf(b.LastSeen).Compare(timeOf(a.LastSeen)) })
	if len(s.Clusters.NotReporting) > maxSilent {
		s.Clusters.NotReporting = s.Clusters.NotReporting[:maxSilent]
	}
	for _, name := range m.names {
		if sight.SeesProject == nil || sight.SeesProject(name) {
			s.Projects++
		}
	}
	return s
}

// applicationsOn counts the applications that are seen on each cluster.
func (m moment) applicationsOn(sight *fleet.Sight) map[model.ClusterID]int {
	out := map[model.ClusterID]int{}
	seen := m.visible(sight)
	for _, a := range m.apps {
		if seen.has(a.place) {
			out[a.ClusterID]++
		}
	}
	return out
}

// ClustersSeen tells which clusters somebody sees, and how many of the applications
// that he sees are there: those that allowed says, and of the projects that are said
// to show their clusters those that one of them, with what it inherits, may deploy
// to, or has applications on. The counts are also of clusters that are not seen. The
// answer belongs to one version.
func (x *Index) ClustersSeen(ctx context.Context, sight fleet.Sight, shows func(project string) bool, reaches func([]policy.Project, *model.Cluster) bool, allowed func(*model.Cluster) bool) (version uint64, seen map[model.ClusterID]bool, applications map[model.ClusterID]int) {
	m := x.moment(x.current(ctx))
	all := make([]model.AppProject, 0, len(m.projects))
	for _, p := range m.projects {
		all = append(all, p.AppProject)
	}
	var projects []policy.Project
	for _, p := range all {
		if shows(p.Metadata.Name) {
			projects = append(projects, policy.Effective(p, all))
		}
	}
	shown := m.applicationsOn(&fleet.Sight{Sees: shows})
	seen = map[model.ClusterID]bool{}
	for id, c := range m.byID {
		if _, ok := shown[id]; ok || reaches(projects, &c.Cluster) || allowed(&c.Cluster) {
			seen[id] = true
		}
	}
	return m.version, seen, m.applicationsOn(&sight)
}
