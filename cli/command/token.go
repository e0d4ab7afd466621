package command

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/cli/client/api"
	"github.com/hawser-dev/hawser/cli/output"
	"github.com/hawser-dev/hawser/shared/fault"
)

func newToken(s *session) *cobra.Command {
	return group("token", "API tokens: who may do what", newTokenCreate(s), newTokenList(s), newTokenDelete(s))
}

func newTokenCreate(s *session) *cobra.Command {
	var (
		in     api.NewTokenRequest
		grants []string
		ttl    time.Duration
	)
	c := &cobra.Command{
		Use:   "create NAME (--admin | --grant ROLE:PROJECT …)",
		Short: "Issue an API token and print it",
		Long: `Issue an API token. The token is all that is printed on standard output, and it is
shown this once. A token of an administrator may do everything; any other has
grants, each a role in the projects that a glob finds:

  viewer     reads, with logs and events
  operator   what a viewer may, and sync, refresh, roll back, terminate, actions, exec
  editor     what an operator may, and create, change and delete applications`,
		Example: `  hawser token create ci --grant 'operator:team-*' --ttl 720h
  HAWSER_TOKEN=$(hawser token create audit --grant 'viewer:*' -q) hawser app list`,
		Args: exactArgs("NAME"),
		PreRunE: func(_ *cobra.Command, args []string) (err error) {
			in.Name = strings.TrimPrefix(args[0], "token/")
			in.Grants, err = parseGrants(grants)
			if err == nil && in.Admin == (len(in.Grants) > 0) {
				return fault.New(fault.Invalid, "usage", "a token is an administrator's or has grants: one of both is needed").
					WithFix("give --admin, or --grant ROLE:PROJECT")
			}
			if ttl < 0 {
				return fault.New(fault.Invalid, "usage", "--ttl %s is less than nothing", ttl)
			}
			if ttl > 0 {
				in.TTL = ttl.String()
			}
			return err
		},
		RunE: s.run(func(c *call) error {
			var got api.IssuedToken
			if err := c.api.Do(c.ctx, http.MethodPost, "/tokens", in, &got); err != nil {
				return err
			}
			return c.one(got, "token/"+got.ID, func() error {
				c.note("token %q (%s) of %s, good until %s; it is not shown again", got.Name, got.ID, rightsText(got.APIToken), got.ExpiresAt.UTC().Format(time.RFC3339))
				_, err := fmt.Fprintln(c.Out, got.Token)
				return err
			})
		}),
	}
	c.Flags().BoolVar(&in.Admin, "admin", false, "an administrator's: everything is allowed")
	c.Flags().StringArrayVar(&grants, "grant", nil, "ROLE:PROJECT, a role in the projects that a glob finds; may be repeated")
	c.Flags().DurationVar(&ttl, "ttl", 0, "how long it is good for, as 720h (0: the hub's own)")
	return c
}

// parseGrants reads ROLE:PROJECT; which roles there are the hub knows.
func parseGrants(texts []string) ([]api.Grant, error) {
	var out []api.Grant
	for _, text := range texts {
		role, project, ok := strings.Cut(text, ":")
		if !ok || role == "" || project == "" {
			return nil, fault.New(fault.Invalid, "usage", "--grant %q is not ROLE:PROJECT", text).WithFix("write it as operator:team-a or 'viewer:team-*'")
		}
		out = append(out, api.Grant{Project: project, Role: role})
	}
	return out, nil
}

// rightsText says what a token may.
func rightsText(t api.APIToken) string {
	if t.Admin {
		return "admin"
	}
	parts := make([]string, len(t.Grants))
	for i, g := range t.Grants {
		parts[i] = g.Role + ":" + g.Project
	}
	return strings.Join(parts, ",")
}

// issuerText says who issued a token: whose word it is, and the name.
func issuerText(t api.APIToken) string {
	if t.Issuer == nil {
		return "-"
	}
	return t.Issuer.Provider + "/" + t.Issuer.Name
}

func newTokenList(s *session) *cobra.Command {
	tokens := listing[api.APIToken]{
		kind: "TokenList",
		name: func(t api.APIToken) string { return "token/" + t.ID },
		columns: []output.Column{
			{Title: "NAME"}, {Title: "RIGHTS"}, {Title: "ISSUER"}, {Title: "AGE", Path: ".createdAt"}, {Title: "EXPIRES", Path: ".expiresAt"}, {Title: "USED", Path: ".lastUsed"}, {Title: "ID"},
		},
		row: func(t api.APIToken) []string {
			expires := "expired"
			if t.ExpiresAt.After(s.now()) {
				expires = t.ExpiresAt.UTC().Format(time.DateOnly)
			}
			return []string{t.Name, rightsText(t), issuerText(t), output.Age(s.now(), &t.CreatedAt), expires, output.Age(s.now(), t.LastUsed), t.ID}
		},
	}
	return tokens.command(s, &cobra.Command{Use: "list", Aliases: []string{"ls"}, Short: "All API tokens, without their secrets", Args: exactArgs()}, "/tokens", nil)
}

func newTokenDelete(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "delete NAME|ID", Aliases: []string{"rm", "revoke"}, Short: "Revoke an API token: nobody gets in with it any more", Args: exactArgs("NAME|ID"),
		RunE: s.run(func(c *call) error {
			var got list[api.APIToken]
			if err := c.get("/tokens", &got); err != nil {
				return err
			}
			t, err := chooseToken(got.Items, strings.TrimPrefix(c.args[0], "token/"))
			if err != nil {
				return err
			}
			return c.change(http.MethodDelete, "/tokens/"+url.PathEscape(t.ID), nil, "token %q (%s) revoked", t.Name, t.ID)
		}),
	}
}

// chooseToken finds the one that is meant: several may have one name.
func chooseToken(all []api.APIToken, what string) (api.APIToken, error) {
	var found []api.APIToken
	var names, ids []string
	for _, t := range all {
		if t.ID == what {
			return t, nil
		}
		if t.Name == what {
			found, ids = append(found, t), append(ids, t.ID)
		}
		names = append(names, t.Name)
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		e := fault.New(fault.NotFound, "token_not_found", "there is no token %q", what)
		if near := nearest(what, names); near != "" {
			return api.APIToken{}, e.WithFix("did you mean %q?", near)
		}
		return api.APIToken{}, e.WithFix("see hawser token list")
	}
	return api.APIToken{}, fault.New(fault.NotFound, "token_ambiguous", "%d tokens are called %q: %s", len(found), what, strings.Join(ids, ", ")).
		WithFix("give the ID of the one")
}
