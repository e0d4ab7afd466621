package command

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/cli/client/api"
	"github.com/hawser-dev/hawser/cli/output"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

func newProjectRole(s *session) *cobra.Command {
	c := group("role", "Roles of a project: what groups and tokens may do in it",
		newRoleList(s), newRoleGet(s), newRoleCreate(s), newRoleDelete(s), newRolePolicy(s, true), newRolePolicy(s, false), newRoleGroup(s, true), newRoleGroup(s, false),
		newRoleCreateToken(s), newRoleListTokens(s), newRoleDeleteToken(s))
	c.Long = `Roles of a project, as Argo CD writes them: policies say what may be done to the
project's things, groups of people have the role, and so have its tokens, as
proj:PROJECT:ROLE.`
	return c
}

var roleColumns = listing[model.ProjectRole]{
	kind:    "ProjectRoleList",
	columns: []output.Column{{Title: "NAME"}, {Title: "POLICIES"}, {Title: "GROUPS"}, {Title: "DESCRIPTION", Text: true}},
	row: func(r model.ProjectRole) []string {
		return []string{r.Name, strconv.Itoa(len(r.Policies)), strings.Join(r.Groups, ","), r.Description}
	},
}

func newRoleList(s *session) *cobra.Command {
	c := &cobra.Command{
		Use: "list NAME", Aliases: []string{"ls"}, Short: "The roles of a project", Args: exactArgs("NAME"),
		RunE: s.run(func(c *call) error {
			var p model.AppProject
			if err := c.get(projectPath(c.args[0]), &p); err != nil {
				return err
			}
			return roleColumns.print(c, p.Spec.Roles, c.now())
		}),
	}
	roleColumns.flags(s, c)
	return c
}

// roleAt is the place of a role in a project.
func roleAt(p *model.AppProject, name string) (int, error) {
	var names []string
	for i, r := range p.Spec.Roles {
		if r.Name == name {
			return i, nil
		}
		names = append(names, r.Name)
	}
	e := fault.New(fault.NotFound, "role_unknown", "project %q has no role %q", p.Metadata.Name, name)
	if near := nearest(name, names); near != "" {
		return 0, e.WithFix("did you mean %q?", near)
	}
	return 0, e.WithFix("see hawser project role list %s", p.Metadata.Name)
}

func newRoleGet(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "get NAME ROLE", Short: "The policies and groups of a role", Args: exactArgs("NAME", "ROLE"),
		RunE: s.run(func(c *call) error {
			var p model.AppProject
			if err := c.get(projectPath(c.args[0]), &p); err != nil {
				return err
			}
			i, err := roleAt(&p, c.args[1])
			if err != nil {
				return err
			}
			r := p.Spec.Roles[i]
			return c.one(r, "", func() error { return output.Document(c.Out, output.YAML, r) })
		}),
	}
}

// changeRole has a role of a project changed.
func (c *call) changeRole(o saving, change func(p *model.AppProject, r *model.ProjectRole) error) error {
	return c.changeProject(c.args[0], o, func(p *model.AppProject) error {
		i, err := roleAt(p, c.args[1])
		if err != nil {
			return err
		}
		return change(p, &p.Spec.Roles[i])
	})
}

func newRoleCreate(s *session) *cobra.Command {
	var o saving
	var description string
	c := &cobra.Command{
		Use: "create NAME ROLE", Short: "Add a role to a project", Args: exactArgs("NAME", "ROLE"),
		Example: "  hawser project role create shop ci --description 'the pipeline'",
		RunE: s.run(func(c *call) error {
			return c.changeProject(c.args[0], o, func(p *model.AppProject) error {
				if _, err := roleAt(p, c.args[1]); err == nil {
					return fault.New(fault.Conflict, "already_exists", "project %q has a role %q", p.Metadata.Name, c.args[1])
				}
				p.Spec.Roles = append(p.Spec.Roles, model.ProjectRole{Name: c.args[1], Description: description})
				return nil
			})
		}),
	}
	c.Flags().StringVar(&description, "description", "", "what it is for")
	o.flags(s, c)
	return c
}

func newRoleDelete(s *session) *cobra.Command {
	var o saving
	c := &cobra.Command{
		Use: "delete NAME ROLE", Aliases: []string{"rm"}, Short: "Remove a role; its tokens are void at once", Args: exactArgs("NAME", "ROLE"),
		Long: `Remove a role of a project. Its tokens are void within 5 seconds, and stay so when a
role of that name is made again.`,
		RunE: s.run(func(c *call) error {
			return c.changeProject(c.args[0], o, func(p *model.AppProject) error {
				i, err := roleAt(p, c.args[1])
				if err == nil {
					p.Spec.Roles = slices.Delete(p.Spec.Roles, i, i+1)
				}
				return err
			})
		}),
	}
	o.flags(s, c)
	return c
}

func newRolePolicy(s *session, add bool) *cobra.Command {
	var o saving
	var resource, action, object string
	var deny bool
	c := &cobra.Command{
		Use: "add-policy NAME ROLE", Short: "Allow a role something, or deny it", Args: exactArgs("NAME", "ROLE"),
		Long: `Allow a role of a project something, or deny it. Resources are applications,
applicationsets, logs, exec, repositories and clusters; objects are names in the
project, and * stands for any text.`,
		Example: `  hawser project role add-policy shop ci --action sync --object 'web-*'
  hawser project role add-policy shop ci --resource logs --action get --object '*'`,
		RunE: s.run(func(c *call) error {
			effect := "allow"
			if deny {
				effect = "deny"
			}
			return c.changeRole(o, func(p *model.AppProject, r *model.ProjectRole) error {
				project := p.Metadata.Name
				line := fmt.Sprintf("p, proj:%s:%s, %s, %s, %s/%s, %s", project, r.Name, resource, action, project, strings.TrimPrefix(object, project+"/"), effect)
				i := slices.IndexFunc(r.Policies, func(x string) bool { return samePolicy(x, line) })
				switch {
				case add && i < 0:
					r.Policies = append(r.Policies, line)
				case !add && i < 0:
					return fault.New(fault.NotFound, "policy_unknown", "role %q has no policy %q", r.Name, line).WithFix("see hawser project role get %s %s", project, r.Name)
				case !add:
					r.Policies = slices.Delete(r.Policies, i, i+1)
				}
				return nil
			})
		}),
	}
	if !add {
		c.Use, c.Short, c.Long = "remove-policy NAME ROLE", "Remove a policy of a role", "Remove the policy of a role that add-policy made with the same flags."
		c.Example = "  hawser project role remove-policy shop ci --action sync --object 'web-*'"
	}
	f := c.Flags()
	f.StringVar(&resource, "resource", "applications", "what the policy is about")
	f.StringVarP(&action, "action", "a", "", "what may be done: get, sync, update, action/* and so on")
	f.StringVar(&object, "object", "", "names in the project, as web-* or *")
	f.BoolVar(&deny, "deny", false, "it may not be done, whatever the role's other policies allow")
	_ = c.MarkFlagRequired("action")
	_ = c.MarkFlagRequired("object")
	o.flags(s, c)
	return c
}

// samePolicy compares two lines without the spaces around their words.
func samePolicy(x, y string) bool {
	words := func(s string) []string {
		out := strings.Split(s, ",")
		for i := range out {
			out[i] = strings.TrimSpace(out[i])
		}
		return out
	}
	return slices.Equal(words(x), words(y))
}

func newRoleGroup(s *session, add bool) *cobra.Command {
	var o saving
	c := &cobra.Command{
		Use: "add-group NAME ROLE GROUP", Short: "Give a role to a group of people, as the identity provider calls it", Args: exactArgs("NAME", "ROLE", "GROUP"),
		RunE: s.run(func(c *call) error {
			return c.changeRole(o, func(p *model.AppProject, r *model.ProjectRole) error {
				i := slices.Index(r.Groups, c.args[2])
				switch {
				case add && i < 0:
					r.Groups = append(r.Groups, c.args[2])
				case !add && i < 0:
					return fault.New(fault.NotFound, "group_unknown", "the group %q does not have the role %q", c.args[2], r.Name).
						WithFix("see hawser project role get %s %s", p.Metadata.Name, r.Name)
				case !add:
					r.Groups = slices.Delete(r.Groups, i, i+1)
				}
				return nil
			})
		}),
	}
	if !add {
		c.Use, c.Short = "remove-group NAME ROLE GROUP", "Take a role from a group"
	}
	o.flags(s, c)
	return c
}

func roleTokensPath(project, role string) string {
	return projectPath(project) + "/roles/" + url.PathEscape(role) + "/tokens"
}

func newRoleCreateToken(s *session) *cobra.Command {
	var in api.NewRoleTokenRequest
	var ttl time.Duration
	c := &cobra.Command{
		Use: "create-token NAME ROLE", Short: "Issue a token of a role and print it", Args: exactArgs("NAME", "ROLE"),
		Long: `Issue a token of a role of a project. The token is all that is printed on standard
output, and it is shown this once. It may what the policies of the role allow, and it is
void when it is revoked, when its time is over, and when the role or the project is
deleted.`,
		Example: "  HAWSER_TOKEN=$(hawser project role create-token shop ci --ttl 720h -q) hawser app sync web",
		PreRunE: func(*cobra.Command, []string) error {
			if ttl < 0 {
				return fault.New(fault.Invalid, "usage", "--ttl %s is less than nothing", ttl)
			}
			if ttl > 0 {
				in.TTL = ttl.String()
			}
			return nil
		},
		RunE: s.run(func(c *call) error {
			var got api.IssuedRoleToken
			if err := c.api.Do(c.ctx, http.MethodPost, roleTokensPath(c.args[0], c.args[1]), in, &got); err != nil {
				return err
			}
			return c.one(got, "token/"+got.ID, func() error {
				c.note("token %s of %s, good until %s; it is not shown again", got.ID, got.Subject, got.ExpiresAt.UTC().Format(time.RFC3339))
				_, err := fmt.Fprintln(c.Out, got.Token)
				return err
			})
		}),
	}
	c.Flags().StringVar(&in.Name, "name", "", "what to call it, once in the role")
	c.Flags().DurationVar(&ttl, "ttl", 0, "how long it is good for, as 720h, at most 8760h (0: the hub's own, 720h)")
	return c
}

func newRoleListTokens(s *session) *cobra.Command {
	tokens := listing[api.RoleToken]{
		kind: "RoleTokenList",
		name: func(t api.RoleToken) string { return "token/" + t.ID },
		columns: []output.Column{
			{Title: "ID"}, {Title: "NAME"}, {Title: "BY", Path: ".createdBy"}, {Title: "AGE", Path: ".createdAt"}, {Title: "EXPIRES", Path: ".expiresAt"}, {Title: "USED", Path: ".lastUsed"},
		},
		row: func(t api.RoleToken) []string {
			expires := "expired"
			if t.ExpiresAt.After(s.now()) {
				expires = t.ExpiresAt.UTC().Format(time.DateOnly)
			}
			return []string{t.ID, t.Name, t.CreatedBy, output.Age(s.now(), &t.CreatedAt), expires, output.Age(s.now(), t.LastUsed)}
		},
	}
	c := &cobra.Command{
		Use: "list-tokens NAME ROLE", Short: "The tokens of a role, without their secrets", Args: exactArgs("NAME", "ROLE"),
		RunE: s.run(func(c *call) error {
			var got list[api.RoleToken]
			if err := c.get(roleTokensPath(c.args[0], c.args[1]), &got); err != nil {
				return err
			}
			return tokens.print(c, got.Items, c.now())
		}),
	}
	tokens.flags(s, c)
	return c
}

func newRoleDeleteToken(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "delete-token NAME ROLE TOKEN", Aliases: []string{"revoke-token"}, Short: "Revoke a token of a role: nobody gets in with it any more",
		Args: exactArgs("NAME", "ROLE", "TOKEN"),
		Long: "Revoke a token of a role, by its id or its name. It is refused within 5 seconds, also in what is open.",
		RunE: s.run(func(c *call) error {
			path, what := roleTokensPath(c.args[0], c.args[1]), strings.TrimPrefix(c.args[2], "token/")
			var got list[api.RoleToken]
			if err := c.get(path, &got); err != nil {
				return err
			}
			i := slices.IndexFunc(got.Items, func(t api.RoleToken) bool { return t.ID == what || t.Name == what })
			if i < 0 {
				return fault.New(fault.NotFound, "role_token_unknown", "role %q of project %q has no token %q", c.args[1], c.args[0], what).
					WithFix("see hawser project role list-tokens %s %s", c.args[0], c.args[1])
			}
			return c.change(http.MethodDelete, path+"/"+url.PathEscape(got.Items[i].ID), nil, "token %s of %s revoked", got.Items[i].ID, got.Items[i].Subject)
		}),
	}
}
