package api

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/hub/permission"
	"github.com/hawser-dev/hawser/shared/fault"
)

// This file keeps the compiled RBAC policy, and what it makes of each caller. Every
// decision of this package is asked of a set from here.

// Policies reads the RBAC policy and the roles of projects. Its methods block for
// round trips; errors are faults.
type Policies interface {
	// PolicyMark changes with whatever Policy reads, at every replica.
	PolicyMark(ctx context.Context) (fleet.PolicyMark, error)
	Policy(ctx context.Context) (fleet.Policy, error)
}

const (
	// policyAge is how old the policy may be that somebody is asked by. With the two
	// seconds after which streams ask again a change holds everywhere within five.
	policyAge = time.Second
	// policyPatience is how long a request waits for the database to say whether the
	// policy changed, before it is decided by what is known.
	policyPatience = 2 * time.Second
)

// policies are the rules in force. Rules that were read stay while the database does
// not answer: then nobody can change them either.
type policies struct {
	from Policies
	now  func() time.Time
	log  *slog.Logger

	rules atomic.Pointer[permission.Rules]
	// checked is when the database was last asked, in Unix nanoseconds; 0: ask now.
	checked atomic.Int64

	mu      sync.Mutex
	mark    fleet.PolicyMark
	content [sha256.Size]byte
	known   bool
}

// current are the rules in force; nil, which gives nobody anything, before any were
// read.
func (p *policies) current() *permission.Rules { return p.rules.Load() }

// expire has the next question ask the database, and wait for it: a policy or a
// project was written here.
func (p *policies) expire() { p.checked.Store(0) }

// refresh reads the rules when they may have changed. Only one question at a time
// asks the database; the others are answered by what is known, unless something
// was written here.
func (p *policies) refresh(ctx context.Context) {
	if p.from == nil {
		return
	}
	checked := p.checked.Load()
	if age := p.now().UnixNano() - checked; checked != 0 && age >= 0 && age < int64(policyAge) {
		return
	}
	if checked != 0 && !p.mu.TryLock() {
		return
	} else if checked == 0 {
		p.mu.Lock()
	}
	defer p.mu.Unlock()
	if p.checked.Load() != checked { // somebody else has just asked
		return
	}
	// Asked at this moment: what is written while the answer is on its way is found
	// by the next question, also when it is written here.
	p.checked.CompareAndSwap(checked, p.now().UnixNano())
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), policyPatience)
	defer cancel()
	if err := p.read(ctx); err != nil {
		p.log.WarnContext(ctx, "whether the RBAC policy changed could not be asked", "error", err)
	}
}

func (p *policies) read(ctx context.Context) error {
	mark, err := p.from.PolicyMark(ctx)
	if err != nil || p.known && mark == p.mark {
		return err
	}
	got, err := p.from.Policy(ctx)
	if err != nil {
		return err
	}
	var roles []permission.ProjectRole
	for _, project := range got.Projects {
		roles = append(roles, permission.RolesOf(project)...)
	}
	text, err := json.Marshal(struct {
		Keys  map[string]string
		Roles []permission.ProjectRole
	}{got.RBAC.Keys, roles})
	if err != nil {
		return err
	}
	content := sha256.Sum256(text)
	if p.known && content == p.content { // projects change in more than their roles
		p.mark = got.Mark
		return nil
	}
	rules, err := permission.CompileRules(got.RBAC.Keys, roles)
	if err != nil {
		// It is refused when it is written; one from before that gives nothing.
		p.log.ErrorContext(ctx, "the RBAC policy that is kept cannot be used: it gives nothing", "version", got.RBAC.Version, "error", err)
		if rules, err = permission.CompileRules(nil, roles); err != nil {
			return err
		}
	}
	p.rules.Store(rules)
	p.mark, p.content, p.known = got.Mark, content, true
	p.log.InfoContext(ctx, "the RBAC policy in force", "version", got.RBAC.Version)
	return nil
}

// subjectOf is who a caller is to the policy. Somebody who is logged in is asked by
// the name that the provider knows for sure, and the groups that it vouches for. An
// API token is nobody to the policy: it has its grants, and is not worth more
// because of whom it was issued by; less it can be, see compile. That of a project's
// role is the role.
func subjectOf(t fleet.APIToken) permission.Subject {
	s := t.Session
	switch {
	case t.Role != "":
		return permission.Subject{Project: t.Project, Role: t.Role}
	case s == nil:
		return permission.Subject{}
	case s.Provider == fleet.LocalProvider:
		return permission.Subject{Name: t.Name, Local: true}
	}
	return permission.Subject{Name: s.Subject, Groups: s.Groups}
}

// sets keeps what callers may do, for the policy in force. The grants of a token or a
// session never change: a user whose rights are changed has to log in again. What can
// change is of the issuer of a token, and part of its key.
type sets struct {
	policies *policies

	mu    sync.Mutex
	rules *permission.Rules
	known map[string]*permission.Set
}

// maxSets bounds what is kept; a set is compiled again in a few milliseconds.
const maxSets = 1024

// of is what a caller may do by the policy in force. It is the same set until that
// changes.
func (s *sets) of(t fleet.APIToken) *permission.Set {
	rules, key := s.policies.current(), t.ID
	if i := t.Issuer; i != nil && !i.Admin {
		key += "\x00" + strings.Join(i.Groups, "\x00")
	}
	s.mu.Lock()
	if s.rules != rules {
		s.rules, s.known = rules, nil
	}
	set := s.known[key]
	s.mu.Unlock()
	if set != nil {
		return set
	}
	set = s.compile(rules, t)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rules != rules {
		return set
	}
	if s.known == nil || len(s.known) >= maxSets {
		s.known = map[string]*permission.Set{}
	}
	if other := s.known[key]; other != nil {
		return other
	}
	s.known[key] = set
	return set
}

// compile makes the set of a caller. Only administrators issue API tokens. One whose
// issuer is that by the policy alone is worth what the policy makes of the issuer now,
// or whoever was an administrator for a day would be one for a year.
func (s *sets) compile(rules *permission.Rules, t fleet.APIToken) *permission.Set {
	if i := t.Issuer; i != nil && t.Session == nil && !i.Admin {
		who := permission.Subject{Name: i.Subject, Groups: i.Groups}
		if i.Provider == fleet.LocalProvider {
			who = permission.Subject{Name: i.Name, Local: true}
		}
		return permission.CompileIssued(t.Admin, t.Grants, rules.For(who), fmt.Sprintf("%.100q, who issued the token, is no administrator any more", i.Name))
	}
	return permission.CompileWith(t.Admin, t.Grants, rules.For(subjectOf(t)))
}

// mayPutPolicy refuses a policy that could not be used, and one that would lock out
// whoever writes it. Administrators by their account or token are that whatever the
// policy says; who is one by the policy alone needs another to
// take it away. It answers what is probably not meant.
func (a *api) mayPutPolicy(ctx context.Context, by fleet.APIToken, keys map[string]string) ([]rbacWarning, error) {
	rules, names, err := a.compilePolicy(ctx, keys)
	if err != nil {
		return nil, err
	}
	writes := func(s *permission.Set) bool { return s.Decide(VerbUpdate, ResourceSettings, "", "").Allowed }
	if now, then := a.sets.of(by), a.sets.compile(rules, by); now.Admin() && !then.Admin() || writes(now) && !writes(then) {
		return nil, fault.New(fault.Conflict, "rbac_locks_out", "with this policy you would not be an administrator any more, and it is the policy alone that makes you one").
			WithField("rbac").WithFix("leave a line that gives you role:admin; another administrator can take it away")
	}
	return a.warningsOf(ctx, rules, names)
}

// compilePolicy compiles a policy as it would be with the roles of the projects that
// there are, and answers the names of these.
func (a *api) compilePolicy(ctx context.Context, keys map[string]string) (rules *permission.Rules, names []string, err error) {
	projects, err := a.store.Projects(ctx)
	if err != nil {
		return nil, nil, err
	}
	var roles []permission.ProjectRole
	for _, p := range projects {
		names = append(names, p.Metadata.Name)
		roles = append(roles, permission.RolesOf(p)...)
	}
	rules, err = permission.CompileRules(keys, roles)
	return rules, names, err
}

// warningsOf answers what is probably not meant.
func (a *api) warningsOf(ctx context.Context, rules *permission.Rules, projects []string) ([]rbacWarning, error) {
	apps, err := a.store.Applications(ctx)
	if err != nil {
		return nil, err
	}
	there := make(map[string]bool, len(apps))
	for _, app := range apps {
		there[app.Project+"/"+app.Name] = true
	}
	var out []rbacWarning
	for _, w := range append(rules.Warnings(), rules.Unmatched(projects, func(project, name string) bool { return there[project+"/"+name] })...) {
		out = append(out, rbacWarning{w.Field, w.Message})
	}
	return out, nil
}

// warnedOf answers the warnings of a policy that is stored already, by what there is
// now: a role of a project that has gone makes one that was none. A policy that
// cannot be used any more has that for a warning, so that it can be read and mended.
func (a *api) warnedOf(ctx context.Context, keys map[string]string) ([]rbacWarning, error) {
	rules, names, err := a.compilePolicy(ctx, keys)
	switch {
	case fault.Is(err, fault.Invalid):
		f := fault.As(err)
		return []rbacWarning{{f.Field, f.Message}}, nil
	case err != nil:
		return nil, err
	}
	return a.warningsOf(ctx, rules, names)
}

// watchful has the policy read again after what was written here.
type watchful struct {
	Publisher
	policies *policies
}

func (p watchful) Publish(eventType, key string, body any) {
	switch eventType {
	case "project", "settings":
		p.policies.expire()
	}
	p.Publisher.Publish(eventType, key, body)
}
