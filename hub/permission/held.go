package permission

import (
	"maps"
	"slices"
	"strings"

	"github.com/hawser-dev/hawser/shared/fault"
)

// Held is a role that the policy gives somebody.
type Held struct {
	// Role is of the policy, role:dev, or of a project, proj:shop:dev.
	Role string `json:"role"`
	// As is who of those that are asked has it: the default role, the subject, a group.
	As string `json:"as"`
	// By is the line that gives it, or says in words what does.
	By string `json:"by"`
}

// Line is a rule that counts for somebody.
type Line struct {
	As       string `json:"as"`
	Resource string `json:"resource"`
	Action   string `json:"action"`
	Object   string `json:"object"`
	Effect   string `json:"effect"`
	// Where is the line of the policy, or the project and role.
	Where string `json:"where"`
}

// Held are the roles that the policy gives a subject, those of projects too, and by
// which lines: the ones that For asks about.
func (r *Rules) Held(s Subject) []Held {
	if r == nil {
		return nil
	}
	if s.Project != "" {
		role := roleOfProject(s.Project, s.Role)
		if p := r.projects[s.Project]; p == nil || len(p.byName[role]) == 0 {
			return nil
		}
		return []Held{{role, role, "the token is of this role"}}
	}
	var out []Held
	for _, a := range r.For(s).askers {
		names := []string{a.name}
		switch {
		case a.name == r.defaultRole:
			out = append(out, Held{a.name, a.name, KeyDefault})
		case s.Local && a.name == builtinAdmin:
			names = append(names, RoleAdmin)
			out = append(out, Held{RoleAdmin, a.name, "the hub's own user admin has it"})
		}
		held := r.heldIn("", nil, names)
		for _, project := range slices.Sorted(maps.Keys(r.projects)) {
			for _, h := range r.heldIn(project, r.projects[project].roles, names) {
				if !slices.Contains(held, h) {
					held = append(held, h)
				}
			}
		}
		for _, h := range held {
			out = append(out, Held{h.role, a.name, r.given[h]})
		}
	}
	return out
}

// heldIn are the roles that names have, by the policy and by what a project adds.
func (r *Rules) heldIn(project string, more map[string][]string, names []string) (out []giving) {
	all := closure(names, r.roles, more)
	seen := map[string]bool{}
	for _, n := range names {
		seen[n] = true
	}
	for _, name := range all {
		for _, from := range []struct {
			project string
			roles   map[string][]string
		}{{"", r.roles}, {project, more}} {
			for _, role := range from.roles[name] {
				if !seen[role] {
					seen[role] = true
					out = append(out, giving{name, role, from.project})
				}
			}
		}
	}
	slices.SortFunc(out, func(a, b giving) int { return strings.Compare(a.role+"\n"+a.project, b.role+"\n"+b.project) })
	return out
}

// Lines are the rules that count for whom the policy was asked about, at most limit
// of them, and how many there are.
func (e *Effective) Lines(limit int) (out []Line, total int) {
	if e == nil {
		return nil, 0
	}
	for _, a := range e.askers {
		seen := map[*rule]bool{}
		take := func(all []*rule) {
			for _, one := range all {
				if seen[one] {
					continue
				}
				seen[one] = true
				if total++; len(out) < limit {
					words := strings.SplitN(one.text, ", ", 6)
					if len(words) != 6 { // that of whoever has a role in a project
						words = []string{"p", a.name, one.resource.literal, one.action.literal, one.object.literal, "allow"}
					}
					out = append(out, Line{a.name, words[2], words[3], words[4], words[5], one.where})
				}
			}
		}
		take(a.global)
		for _, project := range slices.Sorted(maps.Keys(a.projects)) {
			take(a.projects[project])
		}
	}
	return out, total
}

// Unmatched warns of lines about things of projects that are about nothing there is:
// no project that their object could be in, or no such application. They may be
// about what comes later.
func (r *Rules) Unmatched(projects []string, application func(project, name string) bool) fault.List {
	var out fault.List
	for _, name := range slices.Sorted(maps.Keys(r.byName)) {
		for _, one := range r.byName[name] {
			if strings.HasPrefix(one.where, "built-in") || one.object.all || !slices.Contains(ofProjects, one.resource.literal) {
				continue
			}
			if len(out) == maxProblems {
				return out
			}
			if project, app, ok := strings.Cut(one.object.literal, "/"); ok && one.object.alternatives == nil && one.object.re == nil {
				if slices.Contains(projects, project) && (one.resource.literal == inApplicationSets || application(project, app)) {
					continue
				}
			} else if !ok && one.object.literal != "" {
				continue // that is warned of by itself
			} else if slices.ContainsFunc(projects, func(p string) bool { return one.object.reaches(p+"/") != matchesNone }) {
				continue
			}
			key, _, _ := strings.Cut(one.where, " ")
			out = append(out, fault.New(fault.Invalid, "rbac_ineffective", "%s: nothing that there is matches the object of %s", one.where, one.text).WithField(key))
		}
	}
	return out
}
