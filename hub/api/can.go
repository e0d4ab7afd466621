package api

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/hub/permission"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/policy"
)

// This file answers who may do what, by the account, the grants and the policy: the
// same sets decide that let a request in. What a project allows is asked with
// explain.

// canRequest is a question about rights alone.
type canRequest struct {
	// Verb and Resource are those of routes and of RBAC policies: sync applications,
	// get logs, create exec, action/apps/Deployment/restart applications,
	// delete/apps/Deployment/shop/web applications.
	Verb     string `json:"verb"`
	Resource string `json:"resource"`
	// Object is PROJECT/NAME of what is of a project, a name of others, a URL of
	// repositories; left out where there is only one, such as settings.
	Object string `json:"object,omitempty"`
	// As is somebody else, for administrators: user:NAME, group:NAME, role:NAME,
	// proj:PROJECT:ROLE or token:ID. A name alone is a user's.
	As string `json:"as,omitempty"`
	// AsGroups are groups that an identity provider vouches for beside As, which is then
	// a user:NAME that is none of the hub's own, or nobody.
	AsGroups []string `json:"asGroups,omitempty"`
}

// maxGroups is how many one person has at most.
const maxGroups = 200

// canAnswer says whether it is allowed, and by what.
type canAnswer struct {
	Allowed bool `json:"allowed"`
	// Rule says in words what decided.
	Rule string `json:"rule"`
	// Source is account, grants, policy, projects (a cluster that one of those that are
	// seen may deploy to), or nothing.
	Source string `json:"source"`
	// Subject is who was asked about.
	Subject string `json:"subject"`
	// Question is what was asked, in the words of the hub.
	Question string `json:"question"`
	// Fix says who can allow it, when it is not.
	Fix string `json:"fix,omitempty"`
}

var canRoutes = []Route{{
	Method: http.MethodPost, Path: "/can-i", ID: "canI", Tag: "session", Asks: true, Summary: "Ask whether somebody may do something, and by which rule",
	Detail: "The answer is 200 whether it is allowed or not, and is that of the hub's own decision about a request. Only administrators may ask about others.",
	Body:   canRequest{}, Answer: canAnswer{}, Status: http.StatusOK, handler: (*api).canI,
}, {
	Method: http.MethodPost, Path: "/can-i/list", ID: "listRights", Tag: "session", Summary: "List what somebody else may do",
	Detail: "For administrators. Each answer has an audit record: it shows all rights of a person at once. What one may do oneself is told by getCaller.",
	Body:   rightsRequest{}, Answer: rightsAnswer{}, Status: http.StatusOK, handler: (*api).listRights,
}}

// rightsRequest says whose rights are listed.
type rightsRequest struct {
	// As and AsGroups are as in canRequest; one of them is needed.
	As       string   `json:"as,omitempty"`
	AsGroups []string `json:"asGroups,omitempty"`
}

// rightsAnswer is everything that counts when somebody asks for something.
type rightsAnswer struct {
	// Subject is who was asked about.
	Subject string `json:"subject"`
	// Admin: the account, or the token, is an administrator's.
	Admin bool `json:"admin"`
	// Grants are what it may do when it is not an administrator's.
	Grants []fleet.Grant `json:"grants,omitempty"`
	// PolicyAdmin: the policy gives role:admin, and denies nothing.
	PolicyAdmin bool `json:"policyAdmin,omitempty"`
	// Roles are those that the policy and projects give, and by which lines.
	Roles []permission.Held `json:"roles,omitempty"`
	// Rules are the lines of policy and projects that count, at most 500; RulesTotal
	// how many there are.
	Rules      []permission.Line `json:"rules,omitempty"`
	RulesTotal int               `json:"rulesTotal,omitempty"`
}

func (a *api) listRights(c *gin.Context) {
	var in rightsRequest
	err := a.into(c, &in, false)
	var out rightsAnswer
	if err == nil {
		concerns(c, "", cmp.Or(in.As, "group:"+strings.Join(in.AsGroups, ", group:")))
		out, err = a.rightsOf(c.Request.Context(), identity(c), in)
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	c.JSON(http.StatusOK, out)
}

func (a *api) rightsOf(ctx context.Context, by fleet.APIToken, in rightsRequest) (out rightsAnswer, err error) {
	if !a.sets.of(by).Admin() {
		return out, onlyAboutOneself()
	}
	if in.As == "" && len(in.AsGroups) == 0 {
		return out, fault.New(fault.Invalid, "field_missing", "as is missing: whose rights are listed").WithField("as").WithFix("GET /api/v1/whoami?rules=true lists one's own")
	}
	o, err := a.other(ctx, in.As, in.AsGroups)
	if err != nil {
		return out, err
	}
	out = rightsAnswer{Subject: o.name, Admin: o.admin, Grants: o.grants, PolicyAdmin: o.policy.Admin(), Roles: a.sets.policies.current().Held(o.who)}
	out.Rules, out.RulesTotal = o.policy.Lines(maxRulesShown)
	return out, nil
}

// onlyAboutOneself refuses a question about somebody else.
func onlyAboutOneself() error {
	e := fault.New(fault.Denied, policy.CodePermission, "only administrators may ask about others").WithField("as")
	explained := policy.Role("", false, "only administrators may ask about others")
	explained.ID, explained.Question, explained.CanChange = fault.ID(policy.CodePermission), "ask what another may do", canChangeProjects
	e.Explain = explained
	return e
}

func (a *api) canI(c *gin.Context) {
	var in canRequest
	err := a.into(c, &in, false)
	var out canAnswer
	if err == nil {
		out, err = a.can(c.Request.Context(), identity(c), in)
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	c.JSON(http.StatusOK, out)
}

func (a *api) can(ctx context.Context, by fleet.APIToken, in canRequest) (canAnswer, error) {
	set, subject := a.sets.of(by), by.Name
	if in.As != "" || len(in.AsGroups) > 0 {
		if !set.Admin() {
			return canAnswer{}, onlyAboutOneself()
		}
		o, err := a.other(ctx, in.As, in.AsGroups)
		if err != nil {
			return canAnswer{}, err
		}
		set, subject = o.set(), o.name
	}
	r, one, err := rightAsked(in.Verb, in.Resource)
	if err != nil {
		return canAnswer{}, err
	}
	project, names, err := a.objectAsked(ctx, set, r.resource, in.Object)
	if err != nil {
		return canAnswer{}, err
	}
	name := ""
	if len(names) > 0 {
		name = names[0]
	}
	var why permission.Reason
	switch {
	case r.resource == permission.Clusters && r.verb == permission.Get && name != "":
		// Whoever deploys to a cluster sees it, also without a line about clusters.
		why = set.Why(r.verb, r.resource, project, names...)
		if _, err := a.visibleCluster(ctx, set, name); err == nil && !why.Allowed {
			why = permission.Reason{Decision: permission.Decision{Allowed: true, Rule: "a project that is seen may deploy to it"}, Source: permission.FromProjects}
		} else if err != nil && !fault.Is(err, fault.NotFound) {
			return canAnswer{}, err
		}
	case one != nil && r.verb == permission.DeleteObject:
		why = set.WhyDeletesObject(project, name, one[0], one[1], one[2], one[3])
	case one != nil:
		why = set.WhyRunsAction(project, name, one[0], one[1], one[2])
	default:
		why = set.Why(r.verb, r.resource, project, names...)
	}
	out := canAnswer{Allowed: why.Allowed, Rule: why.Rule, Source: why.Source, Subject: subject, Question: strings.TrimSpace(strings.Join([]string{in.Verb, in.Resource, in.Object}, " "))}
	if !out.Allowed {
		out.Fix = whoGrants(r, project)
	}
	return out, nil
}

// other is somebody else who is asked about.
type other struct {
	name   string // in words
	admin  bool
	grants []fleet.Grant
	// who is how the policy knows him, the zero value for what it does not speak of.
	who    permission.Subject
	policy *permission.Effective
	// token is not nil for a token.
	token *permission.Set
}

// set is what he may do, as it is compiled for his own requests.
func (o other) set() *permission.Set {
	if o.token != nil {
		return o.token
	}
	return permission.CompileWith(o.admin, o.grants, o.policy)
}

func (a *api) other(ctx context.Context, as string, groups []string) (other, error) {
	rules := a.sets.policies.current()
	subject := func(name string, who permission.Subject) (other, error) {
		return other{name: name, who: who, policy: rules.For(who)}, nil
	}
	kind, name, ok := strings.Cut(as, ":")
	if !ok {
		kind, name = "user", as
	}
	if len(groups) > 0 {
		if len(groups) > maxGroups {
			return other{}, fault.New(fault.Invalid, "value_unknown", "%d groups are named; one person has at most %d", len(groups), maxGroups).WithField("asGroups")
		}
		for _, g := range groups {
			if err := text("asGroups", g, 1, 256); err != nil {
				return other{}, err
			}
		}
		if as == "" {
			return subject("group:"+strings.Join(groups, ", group:"), permission.Subject{Groups: groups})
		}
	}
	if err := text("as", name, 1, 256); err != nil {
		return other{}, err
	}
	if kind != "user" && len(groups) > 0 {
		return other{}, fault.New(fault.Invalid, "value_unknown", "only users have groups, and %q is none", cut(as)).WithField("asGroups").WithFound(cut(as), "user:NAME")
	}
	switch kind {
	case "proj":
		project, role, ok := strings.Cut(name, ":")
		if !ok {
			break
		}
		if err := a.role(ctx, project, role); err != nil {
			return other{}, err
		}
		return subject(as, permission.Subject{Project: project, Role: role})
	case "role":
		return other{name: as, policy: rules.ForRole(as)}, nil
	case "group":
		return subject(as, permission.Subject{Groups: []string{name}})
	case "token":
		tokens, err := a.opts.Auth.Tokens(ctx)
		if err != nil {
			return other{}, err
		}
		i := slices.IndexFunc(tokens, func(t fleet.APIToken) bool { return t.ID == name || t.Name == name })
		if i < 0 {
			return other{}, fault.New(fault.NotFound, "api_token_unknown", "there is no API token %q", cut(name)).WithField("as")
		}
		t := tokens[i]
		set := a.sets.compile(rules, t)
		return other{as, t.Admin && set.Admin(), t.Grants, subjectOf(t), rules.For(subjectOf(t)), set}, nil
	case "user":
		u, err := a.opts.Auth.User(ctx, name)
		switch {
		case fault.Is(err, fault.NotFound):
			// Nobody of the hub's own: a subject that an identity provider vouches for.
			who := "user:" + name
			if len(groups) > 0 {
				who += " in " + strings.Join(groups, ", ")
			}
			return subject(who, permission.Subject{Name: name, Groups: groups})
		case err != nil:
			return other{}, err
		case len(groups) > 0:
			return other{}, fault.New(fault.Invalid, "value_unknown", "%q is a user of the hub's own, and those are in no groups", cut(name)).WithField("asGroups")
		}
		who := permission.Subject{Name: u.Name, Local: true}
		return other{"user:" + u.Name, u.Admin, u.Grants, who, rules.For(who), nil}, nil
	}
	return other{}, fault.New(fault.Invalid, "value_unknown", "as %q is nobody who can be asked about", cut(as)).WithField("as").
		WithFound(cut(as), "user:NAME, group:NAME, role:NAME, proj:PROJECT:ROLE, token:ID")
}

// rightAsked reads a verb and a resource in the words of routes or of policies.
// one has the group, kind and name of one action, or the group, kind, namespace and
// name of one object.
func rightAsked(verb, resource string) (r right, one []string, err error) {
	r = right{permission.Verb(verb), permission.Resource(resource)}
	switch {
	case resource == "logs" && verb == "get":
		r = right{permission.Logs, permission.Applications}
	case resource == "exec" && verb == "create":
		r = right{permission.Exec, permission.Applications}
	case strings.HasPrefix(verb, "action/") && resource == string(permission.Applications):
		if one = strings.Split(strings.TrimPrefix(verb, "action/"), "/"); len(one) != 3 {
			return r, nil, fault.New(fault.Invalid, "value_unknown", "the verb %q names no action", cut(verb)).WithField("verb").WithFound(cut(verb), "action/GROUP/KIND/NAME")
		}
		r.verb = permission.RunAction
	case strings.HasPrefix(verb, "delete/") && resource == string(permission.Applications):
		if one = strings.Split(strings.TrimPrefix(verb, "delete/"), "/"); len(one) != 4 {
			return r, nil, fault.New(fault.Invalid, "value_unknown", "the verb %q names no object", cut(verb)).WithField("verb").WithFound(cut(verb), "delete/GROUP/KIND/NAMESPACE/NAME")
		}
		r.verb = permission.DeleteObject
	}
	if known := permission.Resources(); !slices.Contains(known, r.resource) {
		return r, nil, fault.New(fault.Invalid, "value_unknown", "the resource %q is unknown", cut(resource)).WithField("resource").WithFound(cut(resource), joined(known)+", logs, exec")
	}
	if known := permission.Verbs(); !slices.Contains(known, r.verb) {
		return r, nil, fault.New(fault.Invalid, "value_unknown", "the verb %q is unknown", cut(verb)).WithField("verb").WithFound(cut(verb), joined(known)+", action/GROUP/KIND/NAME, delete/GROUP/KIND/NAMESPACE/NAME")
	}
	return r, one, nil
}

func joined[T ~string](all []T) string {
	out := make([]string, len(all))
	for i, x := range all {
		out[i] = string(x)
	}
	return strings.Join(out, ", ")
}

// objectAsked finds what a question is about: the project and the names by which
// rights know it. What the subject does not see is taken as it is written, as what
// does not exist.
func (a *api) objectAsked(ctx context.Context, set *permission.Set, resource permission.Resource, object string) (project string, names []string, err error) {
	if err := text("object", object, 0, 1024); err != nil {
		return "", nil, err
	}
	switch resource {
	case permission.Applications, permission.Operations, permission.ApplicationSets:
		project, name, ok := strings.Cut(object, "/")
		if !ok {
			return "", nil, fault.New(fault.Invalid, "value_unknown", "%s are asked about as PROJECT/NAME, not %q", resource, cut(object)).WithField("object").WithFound(cut(object), "PROJECT/NAME")
		}
		return project, []string{name}, nil
	case permission.Projects:
		return object, []string{object}, nil
	case permission.Clusters:
		cluster, err := a.visibleCluster(ctx, set, object)
		switch {
		case err == nil:
			return cluster.Project, namesOf(&cluster), nil
		case fault.Is(err, fault.NotFound):
			return "", []string{object}, nil
		}
		return "", nil, err
	case permission.Repositories:
		all, err := a.store.Repositories(ctx)
		if err != nil {
			return "", nil, err
		}
		for _, r := range all {
			if (r.ID == object || r.URL == object || r.Project+"/"+r.URL == object) && set.Sees(resource, r.Project, r.URL) {
				return r.Project, []string{r.URL}, nil
			}
		}
		if project, url, ok := strings.Cut(object, "/"); ok && !strings.Contains(project, ":") {
			return project, []string{url}, nil
		}
	}
	return "", []string{object}, nil
}

// ofSubject is what the policy in force gives somebody who is not here: by a name and
// groups, or as the token of a project's role.
func (s *sets) ofSubject(who permission.Subject) *permission.Set {
	return permission.CompileWith(false, nil, s.policies.current().For(who))
}
