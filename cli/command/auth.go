package command

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/cli/client/api"
	"github.com/hawser-dev/hawser/cli/output"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/policy"
)

func newAuth(s *session) *cobra.Command {
	return group("auth", "Who one is, and what one may do", newCanI(s), newAuthExplain(s), newWhoami(s))
}

func newCanI(s *session) *cobra.Command {
	var as string
	var groups []string
	var list bool
	c := &cobra.Command{
		Use:   "can-i VERB RESOURCE [OBJECT] | VERB TYPE/NAME | --list",
		Short: "Say yes or no: may this be done? exit status 0 or 1",
		Long: `Say yes or no to whether something may be done; the reason of a no is on standard
error. The exit status is 0 for yes and 1 for no. Nothing is done.

VERB RESOURCE [OBJECT] asks about rights: the account, the grants and the RBAC policy,
as the hub itself decides; hawser auth explain prints the rule. Objects are PROJECT/NAME,
names of projects and clusters, URLs of repositories. VERB TYPE/NAME asks about an
application or in a project, and what the project allows counts too: hawser explain
app/NAME --verb VERB prints every check. --list says what one may do in which projects,
or with --as and --as-group what somebody else may, which has an audit record.

--as asks about somebody else, for administrators: user:NAME (or NAME), group:NAME,
role:NAME, proj:PROJECT:ROLE, token:NAME; with TYPE/NAME the name or id of an API token.
--as-group adds groups that an identity provider vouches for to user:NAME, or asks about
whoever is in them.`,
		Example: `  hawser auth can-i sync applications shop/web --as group:devs
  hawser auth can-i update settings
  hawser auth can-i sync app/web
  hawser auth can-i --list --as user:SUBJECT --as-group devs
  hawser auth can-i deploy project/shop --as ci && hawser app create …`,
		Args: func(c *cobra.Command, args []string) error {
			if list {
				return exactArgs()(c, args)
			}
			if len(args) == 3 {
				return nil
			}
			return exactArgs("VERB", "RESOURCE")(c, args)
		},
		RunE: s.run(func(c *call) error {
			if list {
				return c.listRights(as, groups)
			}
			if len(c.args) == 3 || !strings.Contains(c.args[1], "/") {
				return c.canI(as, groups, false)
			}
			if len(groups) > 0 {
				return fault.New(fault.Invalid, "usage", "--as-group goes with VERB RESOURCE [OBJECT]")
			}
			q, err := questionAbout(c.args[0], c.args[1])
			if err != nil {
				return err
			}
			q.Subject = as
			var d policy.Decision
			if err := c.api.Do(c.ctx, http.MethodPost, "/explain", q, &d); err != nil {
				return err
			}
			err = c.one(d, "", func() error {
				if d.Allowed {
					return c.name("yes")
				}
				if !c.quiet {
					for line := range strings.Lines(d.Explanation(c.now())) {
						fmt.Fprintln(c.Err, output.Clean(strings.TrimSuffix(line, "\n")))
					}
				}
				return c.name("no")
			})
			if err == nil && !d.Allowed {
				return exitWith(ExitNegative, nil)
			}
			return err
		}),
	}
	c.Flags().StringVar(&as, "as", "", "who would do it; for administrators")
	c.Flags().StringArrayVar(&groups, "as-group", nil, "a group of who would do it; may be repeated; for administrators")
	c.Flags().BoolVar(&list, "list", false, "what one may do, or who is asked about: by account, grants and policy")
	return c
}

func newAuthExplain(s *session) *cobra.Command {
	var as string
	var groups []string
	c := &cobra.Command{
		Use: "explain VERB RESOURCE [OBJECT]", Short: "Why somebody may do something or not: the rule that decides",
		Long: `Why somebody may do something or not: the rule that decides, and where it is: the
account, a grant, or a line of the RBAC policy. The exit status is 0 for yes and 1 for no.
What projects allow is explained by hawser explain.`,
		Example: `  hawser auth explain sync applications shop/web
  hawser auth explain action/apps/Deployment/restart applications shop/web --as ann`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 3 {
				return nil
			}
			return exactArgs("VERB", "RESOURCE")(c, args)
		},
		RunE: s.run(func(c *call) error { return c.canI(as, groups, true) }),
	}
	c.Flags().StringVar(&as, "as", "", "somebody else: user:NAME, group:NAME, role:NAME, proj:PROJECT:ROLE, token:NAME; for administrators")
	c.Flags().StringArrayVar(&groups, "as-group", nil, "a group of somebody else; may be repeated; for administrators")
	return c
}

// canI asks about rights alone.
func (c *call) canI(as string, groups []string, explain bool) error {
	in := api.CanRequest{Verb: c.args[0], Resource: c.args[1], As: as, AsGroups: groups}
	if len(c.args) == 3 {
		in.Object = c.args[2]
	}
	var got api.CanAnswer
	if err := c.api.Do(c.ctx, http.MethodPost, "/can-i", in, &got); err != nil {
		return err
	}
	yes := map[bool]string{true: "yes", false: "no"}[got.Allowed]
	err := c.one(got, "", func() error {
		if !explain {
			if !got.Allowed && !c.quiet {
				fmt.Fprintln(c.Err, output.Clean(got.Rule))
			}
			return c.name(yes)
		}
		line := func(title, text string) {
			if text != "" {
				fmt.Fprintf(c.Out, "%-9s %s\n", title, output.Clean(text))
			}
		}
		line("Who:", got.Subject)
		line("What:", got.Question)
		line("Allowed:", yes)
		line("Rule:", got.Rule)
		line("Source:", got.Source)
		line("Fix:", got.Fix)
		return nil
	})
	if err == nil && !got.Allowed {
		return exitWith(ExitNegative, nil)
	}
	return err
}

// RoleVerbs is what a role may do to applications, in the order of the roles: each
// may what those before it may. A test holds it equal to what the hub permits.
func RoleVerbs(role string) []string {
	verbs := []string{"get", "logs", "events"}
	if role == "viewer" {
		return verbs
	}
	verbs = append(verbs, "sync", "rollback", "refresh", "terminate", "action", "exec")
	if role == "operator" {
		return verbs
	}
	if role == "editor" {
		return append(verbs, "create", "update", "delete", "delete-object")
	}
	return nil
}

// right is a line of what one may do.
type right struct {
	// Project is a glob of projects, "*" for all.
	Project string `json:"project,omitempty"`
	Role    string `json:"role,omitempty"`
	// Resource and Object are there for lines of the policy, whose verbs are its actions.
	Resource string   `json:"resource,omitempty"`
	Object   string   `json:"object,omitempty"`
	Verbs    []string `json:"verbs"`
	// Effect is allow or deny.
	Effect string `json:"effect"`
	// By is the account, the grants, or the line.
	By string `json:"by"`
}

// known is the hub's answer about who asks.
type known struct {
	Name   string `json:"name"`
	Admin  bool   `json:"admin"`
	Grants []struct {
		Project string `json:"project"`
		Role    string `json:"role"`
	} `json:"grants,omitempty"`
	Subject     string   `json:"subject,omitempty"`
	Groups      []string `json:"groups,omitempty"`
	PolicyAdmin bool     `json:"policyAdmin,omitempty"`
	Roles       []struct {
		Role string `json:"role"`
		As   string `json:"as"`
		By   string `json:"by"`
	} `json:"roles,omitempty"`
	Rules []struct {
		As       string `json:"as"`
		Resource string `json:"resource"`
		Action   string `json:"action"`
		Object   string `json:"object"`
		Effect   string `json:"effect"`
		Where    string `json:"where"`
	} `json:"rules,omitempty"`
	RulesTotal int `json:"rulesTotal,omitempty"`
}

// listRights prints what the caller, or somebody else, may do, as the hub knows it.
func (c *call) listRights(as string, groups []string) error {
	var who known
	if as == "" && len(groups) == 0 {
		if err := c.get("/whoami?rules=true", &who); err != nil {
			return err
		}
	} else {
		if err := c.api.Do(c.ctx, http.MethodPost, "/can-i/list", api.RightsRequest{As: as, AsGroups: groups}, &who); err != nil {
			return err
		}
		who.Name = who.Subject
	}
	var rights []right
	if who.Admin {
		rights = append(rights, right{Project: "*", Role: "administrator", Verbs: []string{"*"}, Effect: "allow", By: "account"})
	}
	for _, g := range who.Grants {
		rights = append(rights, right{Project: g.Project, Role: g.Role, Verbs: RoleVerbs(g.Role), Effect: "allow", By: "grants"})
	}
	for _, r := range who.Rules {
		rights = append(rights, right{Role: r.As, Resource: r.Resource, Object: r.Object, Verbs: []string{r.Action}, Effect: r.Effect, By: r.Where})
	}
	l := listing[right]{
		kind: "RightList",
		name: func(r right) string {
			if r.Resource != "" {
				return r.Resource + "/" + r.Object
			}
			return "project/" + r.Project
		},
		columns: []output.Column{{Title: "PROJECT"}, {Title: "ROLE"}, {Title: "VERBS"}, {Title: "RESOURCE"}, {Title: "OBJECT"}, {Title: "EFFECT"}, {Title: "BY"}},
		row: func(r right) []string {
			return []string{r.Project, r.Role, strings.Join(r.Verbs, ","), r.Resource, r.Object, r.Effect, r.By}
		},
	}
	if err := l.print(c, rights, c.now()); err != nil {
		return err
	}
	if more := who.RulesTotal - len(who.Rules); more > 0 {
		c.note("and %d more lines of the policy", more)
	}
	switch {
	case who.Admin:
		c.note("%s is an administrator: clusters, repositories, projects and settings too", who.Name)
	case who.PolicyAdmin:
		c.note("%s has role:admin by the policy: clusters, repositories, projects and settings too", who.Name)
	case len(rights) == 0:
		c.note("%s has no role in any project, and no line of the policy is about it: an administrator gives one", who.Name)
	}
	return nil
}

// questionAbout is the question of a verb and TYPE/NAME.
func questionAbout(verb, what string) (question, error) {
	kind, name, ok := strings.Cut(what, "/")
	if !ok || name == "" {
		return question{}, fault.New(fault.Invalid, "usage", "%q is not TYPE/NAME", what).WithFix("types: app, project")
	}
	n, err := nounOf(kind)
	switch {
	case err != nil:
		return question{}, err
	case n.name == "project":
		return question{Verb: verb, Project: name}, nil
	case n.name == "app":
		return question{Verb: verb, Name: name}, nil
	}
	return question{}, fault.New(fault.Invalid, "usage", "what may be done to a %s is asked about its project", n.name).WithFix("types: app, project")
}

func newAppExplain(s *session) *cobra.Command {
	var q question
	c := &cobra.Command{
		Use:   "explain NAME",
		Short: "Why something may be done to an application or not: every check in order",
		Long: `Why something may be done to an application or not: every check in order, with the
rule that decided, who changed it and when. The exit status is 1 when it is not allowed.`,
		Args: exactArgs("NAME"),
		RunE: s.run(func(c *call) error {
			q.Name = c.args[0]
			var d policy.Decision
			if err := c.api.Do(c.ctx, http.MethodPost, "/explain", q, &d); err != nil {
				return err
			}
			if err := c.printDecisions([]policy.Decision{d}); err != nil || d.Allowed {
				return err
			}
			return exitWith(ExitNegative, nil)
		}),
	}
	c.Flags().StringVar(&q.Verb, "verb", "", "what is to be done: deploy (default), sync, get, logs, exec, delete and so on")
	c.Flags().StringVar(&q.Subject, "as", "", "name or id of the API token that would do it; for administrators")
	return c
}
