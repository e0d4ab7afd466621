package permission

// Where an answer comes from.
const (
	FromAccount = "account" // a token or user that is an administrator's
	FromGrants  = "grants"
	FromPolicy  = "policy"
	FromNothing = "nothing" // nothing allows it
	// FromProjects is why a cluster is seen that a project may deploy to.
	FromProjects = "projects"
)

// Reason is a Decision with where it comes from.
type Reason struct {
	Decision
	Source string
}

// Why is Decide, or for clusters DecideCluster with their names, and says which of
// a caller's rights gave the answer.
func (s *Set) Why(verb Verb, resource Resource, project string, names ...string) Reason {
	var d Decision
	switch {
	case resource == Clusters:
		d = s.DecideCluster(verb, project, names)
	default:
		d = s.Decide(verb, resource, project, first(names))
	}
	return s.reason(d, s.byGrants(verb, resource, grantsAskedWith(resource, project), first(names)))
}

// WhyRunsAction is Why about one action, as RunsAction decides.
func (s *Set) WhyRunsAction(project, app, group, kind, action string) Reason {
	return s.reason(s.RunsAction(project, app, group, kind, action), s.byGrants(RunAction, Applications, project, app))
}

// WhyDeletesObject is Why about one object, as DeletesObject decides.
func (s *Set) WhyDeletesObject(project, app, group, kind, namespace, name string) Reason {
	return s.reason(s.DeletesObject(project, app, group, kind, namespace, name), s.byGrants(DeleteObject, Applications, project, app))
}

// grantsAskedWith is the project by which grants decide: clusters are of none.
func grantsAskedWith(resource Resource, project string) string {
	if resource == Clusters {
		return ""
	}
	return project
}

func (s *Set) reason(d, byGrants Decision) Reason {
	switch {
	case !d.Allowed:
		return Reason{d, FromNothing}
	case s.admin && !s.account:
		return Reason{Decision{true, "the policy gives " + RoleAdmin}, FromPolicy}
	case s.admin:
		return Reason{d, FromAccount}
	case byGrants.Allowed:
		return Reason{d, FromGrants}
	}
	return Reason{d, FromPolicy}
}

// ForRole compiles what the policy says of those who have a role of the policy, such
// as role:dev, and nothing else. No caller is that: callers that have such a name
// have nothing.
func (r *Rules) ForRole(role string) *Effective {
	if r == nil {
		return &Effective{}
	}
	return &Effective{askers: []asker{r.asker(role)}}
}
