package permission

import "slices"

// This file says what of a policy allows the verbs of the hub. Whatever is done to
// an application takes that it may be seen.

// asking is what is asked of a policy: a resource and an action.
type asking struct{ resource, action string }

// inPolicy are the questions that have all to be answered with yes; nil: no line
// of a policy is about it.
func inPolicy(verb Verb, resource Resource) []asking {
	see := asking{inApplications, "get"}
	switch resource {
	case Applications, Operations:
		switch verb {
		case Get, Events, Refresh:
			return []asking{see}
		case Logs:
			return []asking{see, {inLogs, "get"}}
		case Exec:
			return []asking{see, {inExec, "create"}}
		case Sync, Rollback, Terminate:
			return []asking{see, {inApplications, "sync"}}
		case Create:
			return []asking{{inApplications, "create"}}
		case Update, Delete:
			return []asking{see, {inApplications, string(verb)}}
		case RunAction:
			return []asking{see, {inApplications, anyAction}}
		case DeleteObject:
			return []asking{see, {inApplications, anyObject}}
		}
	case ApplicationSets:
		switch verb {
		case Get, Create:
			return []asking{{inApplicationSets, string(verb)}}
		case Update, Delete:
			return []asking{{inApplicationSets, "get"}, {inApplicationSets, string(verb)}}
		}
	case Projects, Clusters, Repositories:
		if verb == Proxy && resource == Clusters {
			return []asking{{inClusters, "get"}, {inClusters, "proxy"}}
		}
		switch verb {
		case Get, Create, Update, Delete:
			return []asking{{string(resource), string(verb)}}
		}
	case GPGKeys:
		switch verb {
		case Get, Create, Delete:
			return []asking{{"gpgkeys", string(verb)}}
		}
	case Accounts:
		// Who changes an account gives it rights: that is for administrators.
		if verb == Get {
			return []asking{{"accounts", "get"}}
		}
	}
	return nil
}

// anyAction asks whether there is an action that may be allowed; RunsAction asks
// about one.
const anyAction = "action/"

// anyObject asks whether there is an object that may be deleted; DeletesObject asks
// about one.
const anyObject = "delete/"

// objectOf is how a policy names a thing, "" when it has no name for it.
func objectOf(resource Resource, project, name string) string {
	switch resource {
	case Applications, Operations, ApplicationSets:
		if project == "" {
			return ""
		}
		return project + "/" + name
	case Repositories, Clusters:
		if project != "" {
			return project + "/" + name
		}
	}
	return name
}

// decide answers as Set.Decide does, for what the policy says alone.
func (e *Effective) decide(verb Verb, resource Resource, project, name string) Verdict {
	if e.Admin() {
		return Verdict{Allowed: true, Rule: "the policy gives " + RoleAdmin}
	}
	all := inPolicy(verb, resource)
	if all == nil {
		if e.hasAdmin() {
			return Verdict{Allowed: true, Rule: "the policy gives " + RoleAdmin}
		}
		return Verdict{Rule: string(verb) + " " + string(resource) + " is for those whom the policy gives " + RoleAdmin}
	}
	object := objectOf(resource, project, name)
	if object == "" && resource != GPGKeys && resource != Accounts { // those are asked about as a whole
		return Verdict{Rule: "what is of no project is for administrators"}
	}
	if resource == Projects {
		project = name
	}
	var v Verdict
	for _, q := range all {
		if v = e.Can(q.resource, q.action, object, project); !v.Allowed {
			break
		}
	}
	return v
}

// resolve answers decide for all things of a project: any is false when there is
// none, and without conditions it is all of them.
func (e *Effective) resolve(verb Verb, resource Resource, project string) (conditions []things, any bool) {
	all := inPolicy(verb, resource)
	switch resource {
	case Applications, Operations, ApplicationSets, Repositories:
		if all == nil || project == "" {
			break
		}
		for _, q := range all {
			switch got := e.within(q.resource, q.action, project); {
			case got.open:
				conditions = append(conditions, got)
			case !got.all:
				return nil, false
			}
		}
		return conditions, true
	}
	return nil, e.decide(verb, resource, project, project).Allowed
}

// RunsAction answers whether one action may be run on an object of an application,
// such as restart of apps and Deployment.
func (s *Set) RunsAction(project, app, group, kind, action string) Decision {
	if d := s.byGrants(RunAction, Applications, project, app); d.Allowed || s.policy == nil {
		return d
	}
	if v := s.policy.decide(Get, Applications, project, app); !v.Allowed {
		return Decision{false, v.Rule}
	}
	v := s.policy.Can(inApplications, anyAction+group+"/"+kind+"/"+action, project+"/"+app, project)
	return Decision{v.Allowed, v.Rule}
}

// DeletesObject answers whether one object of an application may be deleted in its
// cluster. As in Argo CD 3 the right to delete the application is another.
func (s *Set) DeletesObject(project, app, group, kind, namespace, name string) Decision {
	if d := s.byGrants(DeleteObject, Applications, project, app); d.Allowed || s.policy == nil {
		return d
	}
	if v := s.policy.decide(Get, Applications, project, app); !v.Allowed {
		return Decision{false, v.Rule}
	}
	v := s.policy.Can(inApplications, anyObject+group+"/"+kind+"/"+namespace+"/"+name, project+"/"+app, project)
	return Decision{v.Allowed, v.Rule}
}

// DecideCluster is Decide about a cluster, which a policy knows by several names:
// its own and its server URLs, in front of them the project that it is reserved
// for. It is allowed by one of them when none of them is denied.
func (s *Set) DecideCluster(verb Verb, project string, names []string) Decision {
	d := s.byGrants(verb, Clusters, "", first(names))
	if d.Allowed || s.policy == nil {
		return d
	}
	if v := s.policy.byNames(verb, project, names); v.Allowed || len(s.grants) == 0 {
		return Decision{v.Allowed, v.Rule}
	}
	return d
}

func first(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return names[0]
}

func (e *Effective) byNames(verb Verb, project string, names []string) Verdict {
	out := Verdict{Rule: "the cluster has no name"}
	for i, name := range names {
		switch v := e.decide(verb, Clusters, project, name); {
		case v.Denied:
			return v
		case i == 0, v.Allowed && !out.Allowed:
			out = v
		}
	}
	return out
}

// Policed reports whether an RBAC policy says anything of who has the set, so that
// a thing that a set of grants could never touch may be allowed by its name.
func (s *Set) Policed() bool { return s.policy != nil && len(s.policy.askers) > 0 }

// Sees reports whether a thing may be known of: what may not is answered as what
// does not exist.
func (s *Set) Sees(resource Resource, project, name string) bool {
	if s.Visible(project) {
		return true
	}
	return s.policy != nil && slices.Contains([]Resource{Applications, Operations, ApplicationSets, Projects, Clusters, Repositories}, resource) &&
		s.policy.decide(Get, resource, project, name).Allowed
}
