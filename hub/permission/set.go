package permission

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/nearest"
	"github.com/hawser-dev/hawser/shared/policy"
)

// MaxGrants of one token.
const MaxGrants = 100

// Set is what one token may do. It is safe for concurrent use.
type Set struct {
	admin bool
	// account: it is an administrator's whatever a policy says.
	account bool
	grants  []compiled
	// lost says why it has nothing any more, "" for a set that has something to lose.
	lost string
	// policy is what an RBAC policy says of who has it, nil when none is asked.
	policy *Effective

	// resolved for the newest version of the names of projects.
	mu       sync.Mutex
	version  uint64
	resolved map[resolving]Scope
}

type resolving struct {
	verb     Verb
	resource Resource
}

type compiled struct {
	grant fleet.Grant
	glob  policy.Glob
	rank  rank
}

// Decision is an answer and the rule that gave it.
type Decision struct {
	Allowed bool
	// Rule says in words what decided.
	Rule string
}

// Compile makes the set of a token. Grants that Check refuses give nothing.
func Compile(isAdmin bool, grants []fleet.Grant) *Set {
	s := &Set{admin: isAdmin, account: isAdmin}
	for _, g := range grants {
		glob, err := policy.CompileGlob(g.Project, "")
		r, known := ranks[g.Role]
		if err != nil || !known || g.Project == "" {
			continue
		}
		s.grants = append(s.grants, compiled{g, glob, r})
	}
	return s
}

// CompileWith makes the set of somebody of whom a policy speaks: what the grants
// allow and what the policy does.
func CompileWith(isAdmin bool, grants []fleet.Grant, policy *Effective) *Set {
	s := Compile(isAdmin || policy.Admin(), grants)
	s.policy, s.account = policy, isAdmin
	return s
}

// CompileIssued makes the set of a token that somebody issued who is an administrator
// by the policy alone. It counts while he is one: an administrator's may what he may,
// less what lines deny him, and one with grants has these. lost says of a token of
// anybody else why it has nothing.
func CompileIssued(isAdmin bool, grants []fleet.Grant, issuer *Effective, lost string) *Set {
	switch {
	case !issuer.hasAdmin():
		return &Set{lost: lost}
	case isAdmin:
		return CompileWith(false, nil, issuer)
	}
	return Compile(false, grants)
}

// Check reports everything that is wrong with grants that somebody wrote; field
// is what they are called.
func Check(field string, grants []fleet.Grant) fault.List {
	var out fault.List
	if len(grants) > MaxGrants {
		return fault.List{fault.New(fault.Invalid, "grants_invalid", "%d grants are given; at most %d are possible", len(grants), MaxGrants).WithField(field)}
	}
	for i, g := range grants {
		at := fmt.Sprintf("%s[%d]", field, i)
		if g.Project == "" || strings.HasPrefix(g.Project, "!") {
			out = append(out, fault.New(fault.Invalid, "grants_invalid", "project %q is not a name or a glob of names", short(g.Project)).WithField(at+".project").
				WithFound(short(g.Project), `a name, or a glob such as "team-*"`))
		} else if err := policy.CheckPattern(g.Project); err != nil {
			out = append(out, fault.New(fault.Invalid, "grants_invalid", "project %q: %s", short(g.Project), err).WithField(at+".project"))
		}
		if _, ok := ranks[g.Role]; !ok {
			e := fault.New(fault.Invalid, "grants_invalid", "role %q is unknown", short(g.Role)).WithField(at+".role").WithFound(short(g.Role), strings.Join(Roles(), ", "))
			if near := nearest.Word(g.Role, Roles()); near != "" {
				e.Message += fmt.Sprintf("; did you mean %q?", near)
			}
			out = append(out, e)
		}
	}
	return out
}

func short(s string) string {
	if len(s) > 100 {
		return s[:97] + "..."
	}
	return s
}

// Admin reports whether everything is allowed.
func (s *Set) Admin() bool { return s.admin }

// rankIn is the highest rank in a project, and the grant that gives it.
func (s *Set) rankIn(project string) (rank, int) {
	best, by := nobody, -1
	if project == "" { // what is of no project is for administrators
		return best, by
	}
	for i, g := range s.grants {
		if g.rank > best && g.glob.Match(project) {
			best, by = g.rank, i
		}
	}
	return best, by
}

// Decide answers whether verb is allowed to the thing of a project. Something
// that belongs to several projects, as clusters do, is asked about once for
// each, and is allowed when one of the answers is. For grants name only serves
// the words of the answer. A policy is asked about it: it is the name of the
// application also for its operations, and the URL of a repository.
func (s *Set) Decide(verb Verb, resource Resource, project, name string) Decision {
	d := s.byGrants(verb, resource, project, name)
	if d.Allowed || s.policy == nil {
		return d
	}
	if v := s.policy.decide(verb, resource, project, name); v.Allowed || len(s.grants) == 0 {
		return Decision{v.Allowed, v.Rule}
	}
	return d
}

func (s *Set) byGrants(verb Verb, resource Resource, project, name string) Decision {
	least := need(verb, resource)
	if s.admin {
		return Decision{true, "an administrator may do everything"}
	}
	if least == nobody {
		return Decision{true, "everybody with a valid token may"}
	}
	if s.lost != "" {
		return Decision{false, s.lost}
	}
	what := string(verb) + " " + string(resource)
	if least == admin {
		return Decision{false, what + " is for administrators; you have " + s.roles()}
	}
	have, by := s.rankIn(project)
	if have >= least {
		g := s.grants[by].grant
		return Decision{true, fmt.Sprintf("grant %d: %s in %q", by+1, g.Role, g.Project)}
	}
	if have == nobody {
		return Decision{false, fmt.Sprintf("no grant names the project of %s %q", singular(resource), name)}
	}
	g := s.grants[by].grant
	return Decision{false, fmt.Sprintf("grant %d is %s in %q; to %s takes %s", by+1, g.Role, g.Project, what, least)}
}

// roles are the grants for people.
func (s *Set) roles() string {
	const most = 3
	if len(s.grants) == 0 {
		return "no role"
	}
	var out []string
	for _, g := range s.grants[:min(len(s.grants), most)] {
		out = append(out, fmt.Sprintf("%s in %q", g.grant.Role, g.grant.Project))
	}
	text := strings.Join(out, ", ")
	if more := len(s.grants) - most; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// Needs is the role that verb takes: of a project, or "administrator".
func Needs(verb Verb, resource Resource) string { return need(verb, resource).String() }

func singular(r Resource) string { return strings.TrimSuffix(string(r), "s") }

// Visible reports whether anything in the project can be seen.
func (s *Set) Visible(project string) bool {
	have, _ := s.rankIn(project)
	return s.admin || have >= viewer
}

// Scope is a set of projects and of things in them. The zero value has none.
type Scope struct {
	// All: every project, also one that nobody has thought of.
	All   bool
	names map[string]struct{}
	// some are the projects of which not all things are in it.
	some map[string]*part
	id   *scopeID
}

// part is some of the things of a project: each of the conditions has to hold.
type part struct{ conditions []things }

func (p *part) has(project, name string) bool {
	for i := range p.conditions {
		if !p.conditions[i].has(project, name) {
			return false
		}
	}
	return true
}

// scopeID is what tells scopes apart: each has its own address.
type scopeID struct{ _ byte }

// Has reports whether a project, or something in it, is in the scope.
func (s Scope) Has(project string) bool {
	if s.All {
		return true
	}
	if _, ok := s.names[project]; ok {
		return true
	}
	_, ok := s.some[project]
	return ok
}

// Whole reports whether everything in a project is in the scope.
func (s Scope) Whole(project string) bool {
	_, ok := s.names[project]
	return s.All || ok
}

// Allows reports whether a thing of a project is in the scope.
func (s Scope) Allows(project, name string) bool {
	if s.Whole(project) {
		return true
	}
	part, ok := s.some[project]
	return ok && part.has(project, name)
}

// Partial reports whether there is a project of which not all things are in the
// scope, so that Has alone does not decide.
func (s Scope) Partial() bool { return len(s.some) > 0 }

// Key is the same for two scopes only when they are one that Set.Projects kept, and so
// allow the same; nil for one that was not resolved. Whoever keeps what it worked out
// of a scope keeps it by this.
func (s Scope) Key() any {
	if s.id == nil {
		return nil
	}
	return s.id
}

// Names are the projects of which everything is in the scope, in order; of a
// scope of all there are none.
func (s Scope) Names() []string { return slices.Sorted(maps.Keys(s.names)) }

// Len is the number of Names.
func (s Scope) Len() int { return len(s.names) }

// Projects resolves in which of the known projects verb is allowed to resource,
// and to which things there. It equals asking Decide about each. version tells
// lists of known projects apart: the answer for the newest one is kept.
func (s *Set) Projects(verb Verb, resource Resource, version uint64, known []string) Scope {
	least := need(verb, resource)
	if s.admin || least == nobody {
		return Scope{All: true}
	}
	if least == admin && s.policy == nil {
		return Scope{}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.version != version || s.resolved == nil {
		s.version, s.resolved = version, map[resolving]Scope{}
	}
	key := resolving{verb, resource}
	if scope, ok := s.resolved[key]; ok {
		return scope
	}
	scope := Scope{names: map[string]struct{}{}, some: map[string]*part{}, id: new(scopeID)}
	for _, project := range known {
		if have, _ := s.rankIn(project); least != admin && have >= least {
			scope.names[project] = struct{}{}
			continue
		}
		if s.policy == nil {
			continue
		}
		switch conditions, any := s.policy.resolve(verb, resource, project); {
		case any && len(conditions) == 0:
			scope.names[project] = struct{}{}
		case any:
			scope.some[project] = &part{conditions: conditions}
		}
	}
	s.resolved[key] = scope
	return scope
}
