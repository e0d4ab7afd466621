package permission

import (
	"encoding/csv"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/nearest"
)

// Keys of an RBAC policy, as in Argo CD's argocd-rbac-cm.
const (
	KeyCSV       = "policy.csv"
	KeyDefault   = "policy.default"
	KeyMatchMode = "policy.matchMode"
	KeyScopes    = "scopes"
)

// MaxRules bounds the lines of a policy that are no comments.
const MaxRules = 10_000

// The roles that every policy has.
const (
	RoleReadOnly = "role:readonly"
	RoleAdmin    = "role:admin"
)

// Rules are a compiled RBAC policy. They are not changed any more and are safe
// for concurrent use. The zero value allows nothing.
type Rules struct {
	byName map[string][]*rule
	roles  map[string][]string
	// defaultRole is given to everybody who has logged in.
	defaultRole string
	// given says which line gives a name a role.
	given    map[giving]string
	projects map[string]*projectRules
	warnings fault.List
}

// giving is a name that has a role: by the policy, or in a project.
type giving struct{ name, role, project string }

// projectRules are what the roles of one project add to the policy in questions
// about that project.
type projectRules struct {
	byName map[string][]*rule
	roles  map[string][]string
}

// rule is a p line.
type rule struct {
	resource, action, object pattern
	deny                     bool
	// text is the line as it was written, where says in which text it is.
	text, where string
}

// ProjectRole is a role of a project, as it was written.
type ProjectRole struct {
	Project, Role    string
	Policies, Groups []string
}

// RolesOf are the roles of a project for a policy.
func RolesOf(p model.AppProject) []ProjectRole {
	var out []ProjectRole
	for _, r := range p.Spec.Roles {
		out = append(out, ProjectRole{Project: p.Metadata.Name, Role: r.Name, Policies: r.Policies, Groups: r.Groups})
	}
	return out
}

// Subject is who asks a policy.
type Subject struct {
	// Name is of a user: what a p or g line names. Empty has only groups.
	Name string
	// Local: the user is the hub's own, not one that somebody else's directory
	// vouches for. Only such a one is the "admin" of the built-in line.
	Local bool
	// Groups that a directory says the user is in.
	Groups []string
	// Project and Role are set for the token of a project's role, and nothing else.
	Project, Role string
}

// CompileRules reads a policy: the keys and texts of an argocd-rbac-cm, and the
// roles of projects. Every problem is reported, with the key as field and the
// line in the message; what Warnings lists does not keep a policy from being
// used. Wrong lines of a project's role are warnings: they give nothing, and do
// not take from others what is theirs.
//
// Code of the errors: rbac_invalid.
func CompileRules(keys map[string]string, roles []ProjectRole) (*Rules, error) {
	r := &Rules{byName: map[string][]*rule{}, roles: map[string][]string{}, given: map[giving]string{}, projects: map[string]*projectRules{}}
	c := compiler{rules: r, compile: compileGlob}
	c.csv("built-in", builtin)
	c.lines = 0
	if mode := strings.TrimSpace(keys[KeyMatchMode]); mode == "regex" {
		c.compile, c.expressions = compileExpression, true
	} else if mode != "" && mode != "glob" {
		c.problem(KeyMatchMode, "policy.matchMode is %.40q; it is glob or regex", mode)
	}
	r.defaultRole = strings.TrimSpace(keys[KeyDefault])
	c.scopes(keys[KeyScopes])
	for _, key := range csvKeys(keys) {
		c.csv(key, keys[key])
	}
	c.known()
	for _, role := range roles {
		c.project(role)
	}
	if len(c.problems) > 0 {
		return nil, c.problems
	}
	return r, nil
}

// csvKeys are the keys that have lines: policy.csv first, then the others in the
// order of their names, as Argo CD joins them.
func csvKeys(keys map[string]string) []string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		if strings.HasPrefix(k, "policy.") && strings.HasSuffix(k, ".csv") && k != KeyCSV {
			out = append(out, k)
		}
	}
	if _, ok := keys[KeyCSV]; ok {
		out = slices.Insert(out, 0, KeyCSV)
	}
	return out
}

// Warnings are what is probably not meant.
func (r *Rules) Warnings() fault.List { return r.warnings }

// DefaultRole is the role of everybody who has logged in, "" for none.
func (r *Rules) DefaultRole() string { return r.defaultRole }

type compiler struct {
	rules       *Rules
	compile     func(string) (pattern, error)
	expressions bool
	lines       int
	problems    fault.List
	used        map[string]string // roles that lines give, and where
}

// maxProblems bounds what is reported of a policy at once.
const maxProblems = 50

func (c *compiler) problem(key, format string, args ...any) {
	if len(c.problems) < maxProblems {
		c.problems = append(c.problems, fault.New(fault.Invalid, "rbac_invalid", format, args...).WithField(key))
	}
}

func (c *compiler) warn(key, format string, args ...any) {
	if len(c.rules.warnings) < maxProblems {
		c.rules.warnings = append(c.rules.warnings, fault.New(fault.Invalid, "rbac_ineffective", format, args...).WithField(key))
	}
}

// scopes refuses what would have no effect: in Argo CD it names the claims of a login
// whose values are groups, also for what is no group, such as an address. Here each
// provider says which claim that is.
func (c *compiler) scopes(text string) {
	if strings.TrimSpace(text) == "" {
		return
	}
	var list []string
	if err := yaml.Unmarshal([]byte(text), &list); err != nil {
		var single string
		if err := yaml.Unmarshal([]byte(text), &single); err != nil || single == "" {
			c.problem(KeyScopes, "scopes is no list of names of claims, such as [groups]")
			return
		}
		list = []string{single}
	}
	for _, claim := range list {
		if claim != "groups" {
			c.problem(KeyScopes, "scopes names the claim %s, and only groups is possible: leave scopes out; which claim has the groups is said of each provider (hawser settings provider set NAME --groups-claim), and lines name people by the subject that it knows", shown(claim))
		}
	}
}

func (c *compiler) csv(key, text string) {
	n := 0
	for line := range strings.Lines(text) {
		n++
		column := len(line) - len(strings.TrimLeft(line, " \t")) + 1
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if c.lines++; c.lines > MaxRules {
			c.problem(key, "line %d: the policy has more than %d lines", n, MaxRules)
			return
		}
		where := fmt.Sprintf("%s line %d", key, n)
		words, err := wordsOf(line)
		switch {
		case err != nil:
			c.problem(key, "%s: %s", placeOf(n, column, line, err), err)
		case words[0] == "g":
			if len(words) != 3 || words[1] == "" || words[2] == "" {
				c.problem(key, "line %d: a g line has 3 parts (g, user or group or role, role), not %s", n, shown(line))
				continue
			}
			c.rules.roles[words[1]] = append(c.rules.roles[words[1]], words[2])
			c.rules.give(giving{name: words[1], role: words[2]}, where+": "+strings.Join(words, ", "))
			if c.used == nil {
				c.used = map[string]string{}
			}
			if _, ok := c.used[words[2]]; !ok {
				c.used[words[2]] = where
			}
		case words[0] == "p":
			one, err := c.rule(words, line, where)
			if err != nil {
				c.problem(key, "%s: %s", placeOf(n, column, line, err), err)
				continue
			}
			if w := c.doubt(words); w != "" {
				c.warn(key, "line %d: %s", n, w)
			}
			c.rules.byName[words[1]] = append(c.rules.byName[words[1]], one)
		default:
			c.problem(key, "line %d begins with %s; lines begin with p or g", n, shown(words[0]))
		}
	}
}

// give keeps the first line that gives a role.
func (r *Rules) give(g giving, line string) {
	if _, ok := r.given[g]; !ok {
		r.given[g] = line
	}
}

// wrongWord is an error about one word of a line.
type wrongWord struct {
	index int
	err   error
}

func (w wrongWord) Error() string { return w.err.Error() }
func (w wrongWord) Unwrap() error { return w.err }

// placeOf says where in a text an error of a line is. first is the column, in bytes,
// at which the line begins.
func placeOf(n, first int, line string, err error) string {
	column := 0
	var unreadable *csv.ParseError
	var word wrongWord
	switch {
	case errors.As(err, &unreadable):
		column = unreadable.Column
	case errors.As(err, &word):
		r := reader(line)
		if _, err := r.Read(); err == nil {
			_, column = r.FieldPos(word.index)
		}
	}
	if column == 0 {
		return fmt.Sprintf("line %d", n)
	}
	return fmt.Sprintf("line %d, column %d", n, first+column-1)
}

func reader(line string) *csv.Reader {
	r := csv.NewReader(strings.NewReader(line))
	r.TrimLeadingSpace, r.FieldsPerRecord = true, -1
	return r
}

func wordsOf(line string) ([]string, error) {
	words, err := reader(line).Read()
	if err != nil {
		return nil, fmt.Errorf("%s cannot be read: %w", shown(line), err)
	}
	for i, w := range words {
		words[i] = strings.TrimSpace(w)
	}
	return words, nil
}

func shown(s string) string {
	if r := []rune(s); len(r) > 100 {
		s = string(r[:99]) + "…"
	}
	return fmt.Sprintf("%q", s)
}

func (c *compiler) rule(words []string, line, where string) (*rule, error) {
	if len(words) != 6 || words[1] == "" {
		return nil, fmt.Errorf("a p line has 6 parts (p, subject, resource, action, object, allow or deny), not %s", shown(line))
	}
	out := &rule{text: strings.Join(words, ", "), where: where}
	switch words[5] {
	case "allow":
	case "deny":
		out.deny = true
	default:
		return nil, wrongWord{5, fmt.Errorf("the effect is %s; it is allow or deny", shown(words[5]))}
	}
	for i, w := range []struct {
		what, text string
		to         *pattern
	}{{"resource", words[2], &out.resource}, {"action", words[3], &out.action}, {"object", words[4], &out.object}} {
		if w.text == "" {
			return nil, wrongWord{i + 2, fmt.Errorf("the %s is missing", w.what)}
		}
		var err error
		if *w.to, err = c.compile(w.text); err != nil {
			return nil, wrongWord{i + 2, fmt.Errorf("%s: %w", w.what, err)}
		}
	}
	return out, nil
}

// doubt says what is probably not meant by a p line, or "".
func (c *compiler) doubt(words []string) string {
	if c.expressions {
		for _, w := range words[2:5] {
			if !strings.HasPrefix(w, "^") && !strings.HasSuffix(w, "$") && w != ".*" {
				return fmt.Sprintf("%s matches anywhere in a text, also in the middle of others; begin with ^ and end with $ for the whole", shown(w))
			}
		}
		return ""
	}
	if !strings.ContainsAny(words[2], `*?[{\`) {
		if _, ok := resourceActions[words[2]]; !ok {
			return fmt.Sprintf("the resource %s is unknown%s", shown(words[2]), meant(words[2], slices.Sorted(maps.Keys(resourceActions))))
		}
		if actions := resourceActions[words[2]]; !strings.ContainsAny(words[3], `*?[{\`) && !strings.Contains(words[3], "/") && !slices.Contains(actions, words[3]) {
			return fmt.Sprintf("%s have no action %s%s", words[2], shown(words[3]), meant(words[3], actions))
		}
	}
	if slices.Contains(ofProjects, words[2]) && words[4] != "*" && !strings.ContainsAny(words[4], `/{[`) && !strings.HasPrefix(words[4], "*") && !strings.HasSuffix(words[4], "*") {
		return fmt.Sprintf("the object %s is no project/name, as those of %s are", shown(words[4]), words[2])
	}
	return ""
}

func meant(word string, known []string) string {
	if near := nearest.Word(word, known); near != "" {
		return fmt.Sprintf("; did you mean %q?", near)
	}
	return "; known: " + strings.Join(known, ", ")
}

// known warns of roles that have no line.
func (c *compiler) known() {
	has := func(name string) bool { return len(c.rules.byName[name]) > 0 || len(c.rules.roles[name]) > 0 }
	if d := c.rules.defaultRole; d != "" && !has(d) {
		c.warn(KeyDefault, "no line is about the role %s: it gives nothing", shown(d))
	}
	for _, role := range slices.Sorted(maps.Keys(c.used)) {
		if !has(role) && !strings.HasPrefix(role, "proj:") {
			key, _, _ := strings.Cut(c.used[role], " ")
			c.warn(key, "%s gives the role %s, and no line is about it", c.used[role], shown(role))
		}
	}
}

// project adds a role of a project. Its lines can only be about that role and
// things of that project, whatever they say; groups are names and no CSV.
func (c *compiler) project(in ProjectRole) {
	p := c.rules.projects[in.Project]
	if p == nil {
		p = &projectRules{byName: map[string][]*rule{}, roles: map[string][]string{}}
		c.rules.projects[in.Project] = p
	}
	name, key := roleOfProject(in.Project, in.Role), fmt.Sprintf("project %s, role %s", in.Project, in.Role)
	see := func(resource string) *rule {
		return &rule{
			resource: pattern{literal: resource, valid: true}, action: pattern{literal: "get", valid: true}, object: pattern{literal: in.Project, valid: true},
			text: "whoever has a role in a project sees it", where: key,
		}
	}
	p.byName[name] = append(p.byName[name], see("projects"))
	for _, group := range in.Groups {
		if subjectName(group) {
			p.roles[group] = append(p.roles[group], name)
			c.rules.give(giving{group, name, in.Project}, key+": its groups have "+shown(group))
		} else {
			c.warn(key, "the group %s cannot have a role", shown(group))
		}
	}
	for i, line := range in.Policies {
		where := fmt.Sprintf("%s, policy %d", key, i+1)
		if strings.ContainsAny(line, "\r\n") {
			c.warn(key, "policy %d has more than one line", i+1)
			continue
		}
		words, err := wordsOf(line)
		var one *rule
		if err == nil {
			one, err = c.projectRule(in.Project, name, words, line, where)
		}
		if c.lines++; c.lines > MaxRules {
			err = fmt.Errorf("there are more than %d lines", MaxRules)
		}
		if err != nil {
			c.warn(key, "policy %d: %s", i+1, err)
			continue
		}
		p.byName[name] = append(p.byName[name], one)
	}
}

func (c *compiler) projectRule(project, name string, words []string, line, where string) (*rule, error) {
	if words[0] != "p" {
		return nil, fmt.Errorf("it begins with %s; policies of roles begin with p", shown(words[0]))
	}
	one, err := c.rule(words, line, where)
	switch {
	case err != nil:
		return nil, err
	case words[1] != name:
		return nil, fmt.Errorf("the subject is %s; it has to be %s", shown(words[1]), name)
	case !slices.Contains(ofRoles, words[2]):
		return nil, fmt.Errorf("the resource is %s; a project's role can have %s", shown(words[2]), strings.Join(ofRoles, ", "))
	case !strings.HasPrefix(words[4], project+"/"):
		return nil, fmt.Errorf("the object is %s; it has to begin with %s/", shown(words[4]), project)
	}
	return one, nil
}

func roleOfProject(project, role string) string { return "proj:" + project + ":" + role }

// subjectName reports whether a name that comes from outside can be asked about:
// names of roles are the policy's, and whoever names a user or a group so would
// have the role.
func subjectName(name string) bool {
	return name != "" && !strings.HasPrefix(name, "role:") && !strings.HasPrefix(name, "proj:")
}
