package permission

import (
	"fmt"
	"slices"
	"strings"
	"sync"
)

// This file asks a compiled policy. As in Argo CD the default role, the user and
// each of the groups are asked one after the other; the first that allows is the
// answer. What denies only does so within the one that is asked, which is why
// nothing takes away what the default role gives.

// asker is one of those who are asked: a name, its roles and theirs, and all of
// their rules.
type asker struct {
	name string
	// via are the roles by which it has its rules.
	via    []string
	global []*rule
	// projects add rules in questions about them.
	projects map[string][]*rule
	// admin: it has role:admin, and nothing denies it anything.
	admin bool
}

// Effective is what a policy says of one subject. It is safe for concurrent use.
type Effective struct {
	askers []asker
	// ofRole: it is the token of a project's role, which never writes a project.
	ofRole bool

	mu     sync.Mutex
	picked map[question][][]*rule
}

type question struct{ resource, action, project string }

// maxPicked bounds what is kept of a subject.
const maxPicked = 4096

// Verdict is the answer of a policy.
type Verdict struct {
	Allowed bool `json:"allowed"`
	// Rule says in words what decided, with the line.
	Rule string `json:"rule"`
	// Denied: a line denies it, or it would be allowed.
	Denied bool `json:"-"`
}

// For compiles what the policy says of a subject.
func (r *Rules) For(s Subject) *Effective {
	e := &Effective{}
	if r == nil {
		return e
	}
	if s.Project != "" {
		// The token of a role has that role, in its project, and no other's: not the
		// default one either, which is for people.
		if p := r.projects[s.Project]; p != nil && s.Role != "" {
			a := r.asker(roleOfProject(s.Project, s.Role))
			// What the policy itself says of the role counts, in this project.
			e.ofRole = true
			e.askers = []asker{{name: a.name, projects: map[string][]*rule{s.Project: append(a.global, a.projects[s.Project]...)}}}
		}
		return e
	}
	if s.Name == "" && len(s.Groups) == 0 {
		return e
	}
	if r.defaultRole != "" {
		e.askers = append(e.askers, r.asker(r.defaultRole))
	}
	if subjectName(s.Name) {
		a := r.asker(s.Name)
		if s.Local && s.Name == builtinAdmin {
			a = r.asker(s.Name, RoleAdmin)
		}
		e.askers = append(e.askers, a)
	}
	for _, group := range s.Groups {
		if subjectName(group) {
			e.askers = append(e.askers, r.asker(group))
		}
	}
	return e
}

// closure are the roles that names have by the g lines, each once.
func closure(names []string, roles map[string][]string, more map[string][]string) []string {
	seen := map[string]bool{}
	var out []string
	for _, n := range names {
		if !seen[n] {
			seen[n] = true
			out = append(out, n)
		}
	}
	for i := 0; i < len(out); i++ {
		for _, from := range []map[string][]string{roles, more} {
			for _, role := range from[out[i]] {
				if !seen[role] {
					seen[role] = true
					out = append(out, role)
				}
			}
		}
	}
	return out
}

func (r *Rules) asker(names ...string) asker {
	a := asker{name: names[0], via: closure(names, r.roles, nil)}
	denies := false
	for _, role := range a.via {
		for _, one := range r.byName[role] {
			a.global = append(a.global, one)
			denies = denies || one.deny
		}
	}
	for project, p := range r.projects {
		var more []*rule
		for _, role := range closure(names, r.roles, p.roles) {
			more = append(more, p.byName[role]...)
			if !slices.Contains(a.via, role) {
				more = append(more, r.byName[role]...)
			}
		}
		for _, one := range more {
			denies = denies || one.deny
		}
		if len(more) > 0 {
			if a.projects == nil {
				a.projects = map[string][]*rule{}
			}
			a.projects[project] = more
		}
	}
	a.admin = !denies && slices.Contains(a.via, RoleAdmin)
	return a
}

// Admin reports whether everything is allowed, also what no policy speaks of.
func (e *Effective) Admin() bool {
	return slices.ContainsFunc(e.askers, func(a asker) bool { return a.admin })
}

// hasAdmin reports whether somebody who is asked has role:admin, though lines may
// deny something.
func (e *Effective) hasAdmin() bool {
	return slices.ContainsFunc(e.askers, func(a asker) bool { return slices.Contains(a.via, RoleAdmin) })
}

// pick are the rules of each asker about a resource, an action and a project.
func (e *Effective) pick(q question) [][]*rule {
	if !slices.ContainsFunc(e.askers, func(a asker) bool { return len(a.projects[q.project]) > 0 }) {
		q.project = "" // none of its own: the rules are those of every project
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if got, ok := e.picked[q]; ok {
		return got
	}
	out := make([][]*rule, len(e.askers))
	for i, a := range e.askers {
		for _, some := range [][]*rule{a.global, a.projects[q.project]} {
			for _, one := range some {
				if one.resource.match(q.resource) && one.about(q.action) {
					out[i] = append(out[i], one)
				}
			}
		}
	}
	if e.picked == nil || len(e.picked) >= maxPicked {
		e.picked = map[question][][]*rule{}
	}
	e.picked[q] = out
	return out
}

// about reports whether a rule is about an action. Whether any action, or the
// deleting of any object, may be allowed is asked with a prefix: what denies some is
// not about all of them.
func (r *rule) about(action string) bool {
	switch {
	case action != anyAction && action != anyObject:
		return r.action.match(action)
	case r.deny:
		return r.action.reaches(action) == matchesAll
	}
	return r.action.reaches(action) != matchesNone
}

// Can answers whether action is allowed to the object of a resource. project is
// the one that the object belongs to, whose roles are asked too; "" for none.
func (e *Effective) Can(resource, action, object, project string) Verdict {
	if e.ofRole && resource == inProjects && action != "get" {
		// Or whoever has it could give the role more, and its successor too.
		return Verdict{Rule: "tokens of roles never write projects, whatever a policy says", Denied: true}
	}
	var refused Verdict
	for i, rules := range e.pick(question{resource, action, project}) {
		var allow, deny *rule
		for _, one := range rules {
			switch {
			case one.deny && deny == nil && one.object.match(object):
				deny = one
			case !one.deny && allow == nil && one.object.match(object):
				allow = one
			}
			if deny != nil {
				break
			}
		}
		switch {
		case deny != nil:
			if refused.Rule == "" {
				refused = Verdict{Rule: e.said(i, deny), Denied: true}
			}
		case allow != nil:
			return Verdict{Allowed: true, Rule: e.said(i, allow)}
		}
	}
	if refused.Rule == "" {
		refused.Rule = fmt.Sprintf("no rule allows %s of %s %s to %s", action, resource, shown(object), e.who())
	}
	return refused
}

// said is a rule for people.
func (e *Effective) said(i int, r *rule) string {
	return fmt.Sprintf("%s: %s (asked as %s)", r.where, r.text, e.askers[i].name)
}

func (e *Effective) who() string {
	if len(e.askers) == 0 {
		return "somebody without a name, a group or a role"
	}
	const most = 5
	var names []string
	for _, a := range e.askers[:min(most, len(e.askers))] {
		names = append(names, a.name)
	}
	text := strings.Join(names, ", ")
	if more := len(e.askers) - most; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// things is what of a project's things is allowed: rules that only match the names
// of some are asked about each.
type things struct {
	// all or none, when open is false.
	all  bool
	open bool
	// askers have the rules that may match.
	askers []openRules
}

type openRules struct {
	allow, deny []*pattern
	allowAll    bool
}

// within resolves what is allowed to all things of a project at once. It equals
// asking Can about each project/name.
func (e *Effective) within(resource, action, project string) things {
	var out things
	prefix := project + "/"
	for _, rules := range e.pick(question{resource, action, project}) {
		var o openRules
		denied := false
		for _, one := range rules {
			switch one.object.reaches(prefix) {
			case matchesAll:
				if one.deny {
					denied = true
				} else {
					o.allowAll = true
				}
			case matchesSome:
				if one.deny {
					o.deny = append(o.deny, &one.object)
				} else {
					o.allow = append(o.allow, &one.object)
				}
			}
		}
		switch {
		case denied || !o.allowAll && o.allow == nil:
		case o.allowAll && o.deny == nil:
			return things{all: true}
		default:
			out.open = true
			out.askers = append(out.askers, o)
		}
	}
	return out
}

func (t *things) has(project, name string) bool {
	if !t.open {
		return t.all
	}
	object := project + "/" + name
	for i := range t.askers {
		if t.askers[i].has(object) {
			return true
		}
	}
	return false
}

func (o *openRules) has(object string) bool {
	matches := func(p *pattern) bool { return p.match(object) }
	return (o.allowAll || slices.ContainsFunc(o.allow, matches)) && !slices.ContainsFunc(o.deny, matches)
}

// ProjectOf is the project that the object of a resource belongs to, "" for none.
func ProjectOf(resource, object string) string {
	project, _, has := strings.Cut(object, "/")
	switch {
	case resource == inProjects:
		return object
	case has && (slices.Contains(ofRoles, resource) || resource == "write-repositories"):
		return project
	}
	return ""
}
