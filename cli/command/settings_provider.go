package command

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/cli/client/api"
	"github.com/hawser-dev/hawser/cli/output"
)

func newProvider(s *session) *cobra.Command {
	c := group("provider", "OpenID Connect providers that people log in with",
		newProviderList(s), newProviderGet(s), newProviderSet(s), newProviderTest(s), newProviderDelete(s))
	c.Long = `OpenID Connect providers that people log in with: hawser login --sso, or /auth/login in a
browser. At the provider, register the redirect URI that get shows.`
	return c
}

const providersPath = "/settings/providers"

func providerName(arg string) string { return strings.TrimPrefix(arg, "provider/") }

func providerPath(arg string) string { return providersPath + "/" + url.PathEscape(providerName(arg)) }

var providerColumns = listing[api.IdentityProvider]{
	kind:    "IdentityProviderList",
	name:    func(p api.IdentityProvider) string { return "provider/" + p.Name },
	columns: []output.Column{{Title: "NAME"}, {Title: "ISSUER"}, {Title: "CLIENT"}, {Title: "REDIRECT URI"}},
	row: func(p api.IdentityProvider) []string {
		return []string{p.Name, p.Issuer, p.ClientID, p.RedirectURI}
	},
}

func newProviderList(s *session) *cobra.Command {
	return providerColumns.command(s, &cobra.Command{Use: "list", Aliases: []string{"ls"}, Short: "All identity providers", Args: exactArgs()}, providersPath, nil)
}

func newProviderGet(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "get NAME", Short: "One identity provider", Args: exactArgs("NAME"),
		RunE: s.run(func(c *call) error {
			var got api.IdentityProvider
			if err := c.get(providerPath(c.args[0]), &got); err != nil {
				return err
			}
			return c.one(got, "provider/"+got.Name, func() error { return output.Document(c.Out, output.YAML, got) })
		}),
	}
}

func newProviderSet(s *session) *cobra.Command {
	var in api.IdentityProviderRequest
	var caFile string
	var secret, public bool
	c := &cobra.Command{
		Use: "set NAME --issuer URL --client-id ID", Short: "Set an identity provider", Args: exactArgs("NAME"),
		Long: `Set an identity provider. What is left out is as if it had never been set, but for the
client's secret, which is kept as long as issuer, client and CA are the same. The
provider's certificate is always verified: --ca-file has what vouches for a private one.`,
		Example: `  printf %s "$SECRET" | hawser settings provider set corp --issuer https://idp.example.org --client-id hawser --client-secret-stdin
  hawser settings provider test corp`,
		RunE: s.run(func(c *call) error {
			if caFile != "" {
				pem, err := s.readDocuments([]string{caFile})
				if err != nil {
					return err
				}
				in.CA = string(pem)
			}
			if public {
				none := ""
				in.ClientSecret = &none
			} else if secret {
				text, err := s.password("Client secret", true)
				if err != nil {
					return err
				}
				in.ClientSecret = &text
			}
			var got api.IdentityProvider
			if err := c.api.Do(c.ctx, http.MethodPut, providerPath(c.args[0]), in, &got); err != nil {
				return err
			}
			return c.one(got, "provider/"+got.Name, func() error {
				c.note("provider %q set; its redirect URI is %s", got.Name, output.Clean(got.RedirectURI))
				return nil
			})
		}),
	}
	f := c.Flags()
	f.StringVar(&in.Issuer, "issuer", "", "URL that the provider's tokens name")
	f.StringVar(&in.ClientID, "client-id", "", "client that is registered at the provider")
	f.BoolVar(&secret, "client-secret-stdin", false, "read the client's secret from standard input")
	f.BoolVar(&public, "public", false, "the client has no secret")
	f.StringSliceVar(&in.Scopes, "scope", nil, "scope beside openid; may be repeated (default: profile, email, groups)")
	f.StringVar(&in.UserClaim, "user-claim", "", "claim with the name (default: email, which has to be verified)")
	f.StringVar(&in.UserPrefix, "user-prefix", "", "put before the name; - is none (default: NAME: for claims other than email)")
	f.StringVar(&in.GroupsClaim, "groups-claim", "", "claim with the groups (default: groups)")
	f.StringVar(&in.GroupsPrefix, "groups-prefix", "", "put before each group")
	f.StringArrayVar(&in.AllowedGroups, "allowed-group", nil, "group whose members may log in, without the prefix; may be repeated")
	f.StringSliceVar(&in.AllowedDomains, "allowed-domain", nil, "domain of verified addresses that may log in; may be repeated")
	f.StringVar(&caFile, "ca-file", "", "certificates in PEM that vouch for the provider")
	_ = c.MarkFlagRequired("issuer")    // there is such a flag
	_ = c.MarkFlagRequired("client-id") // and such a one
	c.MarkFlagsMutuallyExclusive("client-secret-stdin", "public")
	return c
}

func newProviderTest(s *session) *cobra.Command {
	var signIn bool
	c := &cobra.Command{
		Use: "test NAME", Short: "Try an identity provider step by step, from the hub; the exit status is 1 when one fails", Args: exactArgs("NAME"),
		Long: `Try an identity provider step by step, from the hub; the exit status is 1 when one fails.
With --sign-in a browser opens, in which somebody logs in at the provider: nobody is
logged in at the hub by it, and what is told is which claims came, who that would be
here, and which roles the policy would give.`,
		RunE: s.run(func(c *call) error {
			var got api.ProviderTest
			if err := c.api.Do(c.ctx, http.MethodPost, providerPath(c.args[0])+"/test", nil, &got); err != nil {
				return err
			}
			if signIn && got.OK {
				return c.testSignIn(s, providerName(c.args[0]), got.Steps)
			}
			err := c.one(got, "provider/"+providerName(c.args[0]), func() error {
				printProviderSteps(c.Out, got.Steps)
				return nil
			})
			if err == nil && !got.OK {
				err = exitWith(ExitNegative, nil)
			}
			return err
		}),
	}
	c.Flags().BoolVar(&signIn, "sign-in", false, "log in at the provider in a browser, and see who that would be here; nobody is logged in")
	return c
}

func printProviderSteps(w io.Writer, steps []api.ProviderStep) {
	for _, step := range steps {
		mark := "ok  "
		if !step.OK {
			mark = "FAIL"
		}
		fmt.Fprintf(w, "%s  %-9s  %s (%d ms)\n", mark, output.Clean(step.Name), output.Clean(step.Detail), step.Millis)
		if !step.OK {
			fmt.Fprintf(w, "      %s %s: %s\n", step.ID, output.Clean(step.Code), output.Clean(step.Fix))
		}
	}
}

// testSignIn has somebody log in at the provider, and tells who that would be.
func (c *call) testSignIn(s *session, provider string, reached []api.ProviderStep) error {
	ctx, cancel := context.WithTimeout(c.ctx, loginTime)
	defer cancel()
	code, verifier, err := s.throughBrowser(ctx, c.api.Hub().URL, url.Values{"provider": {provider}, "test": {"yes"}}, "test the login")
	if err != nil {
		return err
	}
	var got api.SignInTest
	if err := c.api.Do(c.ctx, http.MethodPost, providerPath(provider)+"/sign-in", api.SignInRequest{Code: code, Verifier: verifier}, &got); err != nil {
		return err
	}
	err = c.one(got, "provider/"+provider, func() error {
		printProviderSteps(c.Out, append(reached, got.Steps...))
		if len(got.Claims) > 0 {
			fmt.Fprintln(c.Out, "\nClaims:")
			for _, one := range got.Claims {
				fmt.Fprintf(c.Out, "  %s = %s\n", output.Clean(one.Name), output.Clean(one.Value))
			}
		}
		if p := got.Person; p != nil {
			fmt.Fprintf(c.Out, "\nWould be %s, for the policy %s, in the groups: %s\n", output.Clean(p.Name), output.Clean(p.Subject), output.Clean(orNone(strings.Join(p.Groups, ", "))))
			for _, r := range got.Roles {
				fmt.Fprintf(c.Out, "  %s as %s, by %s\n", output.Clean(r.Role), output.Clean(r.As), output.Clean(r.By))
			}
			if len(got.Roles) == 0 {
				fmt.Fprintln(c.Out, "  no role: one sees nothing")
			}
		}
		return nil
	})
	if err == nil && !got.OK {
		err = exitWith(ExitNegative, nil)
	}
	return err
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

func newProviderDelete(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "delete NAME", Aliases: []string{"rm"}, Short: "Delete an identity provider; the sessions of its people end", Args: exactArgs("NAME"),
		RunE: s.run(func(c *call) error {
			return c.change(http.MethodDelete, providerPath(c.args[0]), nil, "provider %q deleted; its sessions have ended", providerName(c.args[0]))
		}),
	}
}
