package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/cli/client"
	"github.com/hawser-dev/hawser/cli/config"
	"github.com/hawser-dev/hawser/cli/output"
	"github.com/hawser-dev/hawser/shared/fault"
)

func newLogin(s *session) *cobra.Command {
	var (
		name, caHash, username string
		withToken, codeStdin   bool
		passwordStdin          bool
		provider               string
		sso, device            bool
	)
	c := &cobra.Command{
		Use:   "login HOST:PORT",
		Short: "Log in to a hub and make it the current context",
		Long: `Log in to a hub and make it the current context.

The hub prints a one-time link and its code at its first start; login asks for either
and gets an API token. With --with-token an API token is read from standard input instead, and with --username a
local user logs in with the password: such a session ends after 30 minutes without use,
and after 12 hours. With --sso an identity provider of the hub vouches for a person, in a
browser on this machine, or with --device in one anywhere. The hub's own CA
is pinned by the hash that it prints (--ca-hash); without it the system's
certificate authorities must vouch for the hub.`,
		Args: exactArgs("HOST:PORT"),
		RunE: s.offline(func(c *call) (err error) {
			limit := 30 * time.Second
			if sso = sso || device || provider != ""; sso {
				limit = loginTime
			}
			ctx, cancel := s.limit(c.ctx, limit)
			defer cancel()
			hub := client.Hub{URL: hubURL(c.args[0]), CAHash: caHash}
			if hub.CAHash == "" {
				hub.CAHash = knownPin(hub.URL)
			}
			if name == "" {
				if u, err := url.Parse(hub.URL); err == nil {
					name = u.Host
				}
			}
			in := map[string]string{}
			if sso {
				if in["code"], err = s.signOn(ctx, hub, provider, device); err != nil {
					return err
				}
			} else if username != "" {
				in["username"] = username
				if in["password"], err = s.password("Password of "+username, passwordStdin); err != nil {
					return err
				}
			} else if in["code"], err = s.readSecret(withToken, codeStdin); err != nil {
				return err
			}
			who, err := redeem(ctx, &hub, in, withToken || sso)
			if err != nil {
				return err
			}
			file, err := loadConfig()
			if err != nil {
				return err
			}
			x, _ := file.Context(name) // its key in the keyring stays
			x.Name, x.URL, x.CAHash, x.User = name, hub.URL, hub.CAHash, who
			inFile, err := x.Keep(s.Secrets, hub.Token)
			if inFile {
				s.warnTokenInFile(err)
			}
			file.Set(x)
			if err := file.Save(); err != nil {
				return err
			}
			s.note("Logged in to %s as %s; context %q is now current.", hub.URL, who, name)
			return nil
		}),
	}
	f := c.Flags()
	f.StringVar(&name, "name", "", "name of the context (default: the host)")
	f.StringVar(&caHash, "ca-hash", "", `hash of the hub's CA, "sha256:…", as the hub prints it`)
	f.BoolVar(&withToken, "with-token", false, "read an API token from standard input")
	s.asksInput(c)
	f.StringVar(&username, "username", "", "log in as a local user, with a password")
	passwordFlag(c, &passwordStdin)
	f.BoolVar(&codeStdin, "code-stdin", false, "read the one-time code from standard input without asking")
	f.BoolVar(&sso, "sso", false, "log in with an identity provider, in a browser on this machine")
	f.BoolVar(&device, "device", false, "log in with an identity provider, in a browser anywhere")
	f.StringVar(&provider, "provider", "", "identity provider, where the hub has several")
	for _, one := range []string{"sso", "device", "provider"} {
		c.MarkFlagsMutuallyExclusive("username", "with-token", "code-stdin", one)
	}
	return c
}

// knownPin is the pin of a hub that one has logged in to before: without it a
// second login would trust less than the first.
func knownPin(url string) string {
	file, err := config.Load()
	if err != nil {
		return "" // whoever needs the file says so
	}
	for _, x := range file.Contexts {
		if x.URL == url {
			return x.CAHash
		}
	}
	return ""
}

// warnTokenInFile says where the token is and why it is not in a keyring.
func (s *session) warnTokenInFile(why error) {
	path, err := config.Path()
	if err != nil {
		return // it was written, so there is a path
	}
	reason := "there is no keyring here"
	if why != nil {
		reason = "the keyring does not take it: " + why.Error()
	}
	s.warn("the token is in %s, which only you can read (%s)", path, reason)
}

// loginCommand is what logs in to a context again.
func (s *session) loginCommand(x config.Context) string {
	line := s.Program + " login " + x.URL
	if x.CAHash != "" {
		line += " --ca-hash " + x.CAHash
	}
	if u, err := url.Parse(x.URL); err != nil || u.Host != x.Name {
		line += " --name " + x.Name
	}
	return line + " --with-token"
}

func newLogout(s *session) *cobra.Command {
	var all, keep bool
	c := &cobra.Command{
		Use: "logout [CONTEXT]", Short: "Revoke and forget the token of a context, the current one by default",
		Long: `Revoke the token of a context at its hub, the current one by default, and forget it
here. The context stays, so that login finds the hub again. A hub that cannot be
reached keeps the token until it expires; logout says so, and forgets it all the
same. --keep only forgets it, for a token that others use too.`,
		Args: cobra.MaximumNArgs(1),
		RunE: s.offline(func(c *call) error {
			file, err := loadConfig()
			if err != nil {
				return err
			}
			names := file.Names()
			if !all {
				name := s.context
				if len(c.args) == 1 {
					name = c.args[0]
				}
				x, ok := file.Context(name)
				switch {
				case !ok && name == "":
					return fault.New(fault.Unauthorized, "not_logged_in", "there is no current context").WithFix("%s context list", s.Program)
				case !ok:
					return contextUnknown(file, name)
				}
				names = []string{x.Name}
			}
			for _, name := range names {
				x, _ := file.Context(name) // the name is of the file
				if !keep {
					c.revoke(x)
				}
				if err := x.Forget(s.Secrets); err != nil {
					c.warn("the keyring keeps the token of %q: %s", name, err)
				}
				x.User = ""
				file.Put(x)
			}
			if err := file.Save(); err != nil {
				return err
			}
			c.note("logged out of %s", strings.Join(names, ", "))
			return nil
		}),
	}
	c.Annotations = map[string]string{offlineKey: "true"}
	c.Flags().BoolVar(&all, "all", false, "of all contexts")
	c.Flags().BoolVar(&keep, "keep", false, "leave the token valid at the hub")
	return c
}

// revokeLimit is how long logout waits for a hub, unless --timeout says so.
const revokeLimit = 10 * time.Second

// revoke takes the token of a context away at its hub. That it cannot be done is
// said and keeps nobody from logging out.
func (c *call) revoke(x config.Context) {
	token, err := x.Reveal(c.Secrets)
	if err != nil || token == "" {
		return // there is none to revoke
	}
	ctx, cancel := c.limit(c.ctx, revokeLimit)
	defer cancel()
	at, err := client.New(client.Hub{URL: x.URL, CAHash: x.CAHash, Token: token})
	if err == nil {
		err = at.Do(ctx, http.MethodPost, "/logout", nil, nil)
	}
	switch {
	case err == nil, fault.Is(err, fault.Unauthorized): // it is over already
	default:
		c.warn("the token of %q stays valid at %s until it expires: %s", x.Name, x.URL, err)
	}
}

func (s *session) readSecret(withToken, codeStdin bool) (string, error) {
	if !withToken && !codeStdin {
		if !s.attended() {
			return "", fault.New(fault.Invalid, "login_needs_code", "there is no terminal to ask for the login code").
				WithFix("pipe the code with --code-stdin, or a token with --with-token")
		}
		fmt.Fprint(s.Err, "One-time login code (the hub printed it at its first start): ")
	}
	line, err := s.readLine(io.LimitReader(s.In, 4096))
	if ended := s.interrupted(); ended != nil {
		return "", ended
	}
	if err != nil && line == "" {
		return "", fault.New(fault.Invalid, "login_needs_code", "standard input was empty")
	}
	secret := strings.TrimSpace(line)
	if _, code, isLink := strings.Cut(secret, "#"); isLink && strings.HasPrefix(secret, "https://") {
		return code, nil // the whole link that the hub printed
	}
	return secret, nil
}

// redeem turns a code, or a name and a password, into a token, or checks a token,
// which is then in place of the code; hub.Token is set after.
func redeem(ctx context.Context, hub *client.Hub, in map[string]string, isToken bool) (user string, err error) {
	secret := in["code"]
	if !isToken {
		api, err := client.New(*hub)
		if err != nil {
			return "", err
		}
		var got struct {
			Token string `json:"token"`
		}
		if err := api.Do(ctx, http.MethodPost, "/login", in, &got); err != nil {
			return "", err
		}
		secret = got.Token
	}
	hub.Token = secret
	api, err := client.New(*hub)
	if err != nil {
		return "", err
	}
	var who struct {
		Name string `json:"name"`
	}
	err = api.Get(ctx, "/whoami", &who)
	return who.Name, err
}

func newWhoami(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "whoami", Short: "Who the hub takes you for", Args: exactArgs(),
		Long: `Who the hub takes you for. Standard output is the name alone. On standard error
follow what the RBAC policy is asked by (the subject that an identity provider knows, and
the groups), what the account or token has of its own, and the roles that the policy
gives, each with the line that gives it. All of it is in -o json and -o yaml.`,
		RunE: s.run(func(c *call) error {
			var all map[string]any
			var raw json.RawMessage
			var who known
			if err := c.get("/whoami", &raw); err != nil {
				return err
			}
			if err := errors.Join(json.Unmarshal(raw, &all), json.Unmarshal(raw, &who)); err != nil {
				return fault.Wrap(err, fault.Upstream, "answer_invalid", "the hub's answer cannot be read")
			}
			return c.one(all, "", func() error {
				if err := c.name(who.Name); err != nil {
					return err
				}
				if who.Subject != "" && who.Subject != who.Name {
					c.note("subject: %s", output.Clean(who.Subject))
				}
				if len(who.Groups) > 0 {
					c.note("groups: %s", output.Clean(strings.Join(who.Groups, ", ")))
				}
				if who.Admin {
					c.note("an administrator by the account")
				}
				for _, g := range who.Grants {
					c.note("%s in %s by a grant", g.Role, output.Clean(g.Project))
				}
				for _, r := range who.Roles {
					c.note("%s as %s by %s", output.Clean(r.Role), output.Clean(r.As), output.Clean(r.By))
				}
				return nil
			})
		}),
	}
}
