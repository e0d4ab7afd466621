package command

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/cli/client"
	"github.com/hawser-dev/hawser/cli/config"
	"github.com/hawser-dev/hawser/shared/fault"
)

func newLogin(s *session) *cobra.Command {
	var (
		name, caHash         string
		withToken, codeStdin bool
	)
	c := &cobra.Command{
		Use:   "login HOST:PORT",
		Short: "Log in to a hub and make it the current context",
		Long: `Log in to a hub and make it the current context.

The hub prints a one-time login code at its first start; login asks for it. With
--with-token an API token is read from standard input instead. The hub's own CA
is pinned by the hash that it prints (--ca-hash); without it the system's
certificate authorities must vouch for the hub.`,
		Args: exactArgs("HOST:PORT"),
		RunE: s.offline(func(c *call) error {
			ctx, cancel := s.limit(c.ctx, 30*time.Second)
			defer cancel()
			hub := client.Hub{URL: hubURL(c.args[0]), CAHash: caHash}
			if name == "" {
				if u, err := url.Parse(hub.URL); err == nil {
					name = u.Host
				}
			}
			secret, err := s.readSecret(withToken, codeStdin)
			if err != nil {
				return err
			}
			who, err := redeem(ctx, &hub, secret, withToken)
			if err != nil {
				return err
			}
			file, err := config.Load()
			if err != nil {
				return err
			}
			file.Set(config.Context{Name: name, URL: hub.URL, CAHash: hub.CAHash, Token: hub.Token, User: who})
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
	f.BoolVar(&codeStdin, "code-stdin", false, "read the one-time code from standard input without asking")
	return c
}

func (s *session) readSecret(withToken, codeStdin bool) (string, error) {
	if !withToken && !codeStdin {
		if !s.Terminal {
			return "", fault.New(fault.Invalid, "login_needs_code", "there is no terminal to ask for the login code").
				WithFix("pipe the code with --code-stdin, or a token with --with-token")
		}
		fmt.Fprint(s.Err, "One-time login code (the hub printed it at its first start): ")
	}
	line, err := bufio.NewReader(io.LimitReader(s.In, 4096)).ReadString('\n')
	if err != nil && line == "" {
		return "", fault.New(fault.Invalid, "login_needs_code", "standard input was empty")
	}
	return strings.TrimSpace(line), nil
}

// redeem turns a code into a token, or checks a token; hub.Token is set after.
func redeem(ctx context.Context, hub *client.Hub, secret string, isToken bool) (user string, err error) {
	if !isToken {
		api, err := client.New(*hub)
		if err != nil {
			return "", err
		}
		var got struct {
			Token string `json:"token"`
		}
		if err := api.Do(ctx, http.MethodPost, "/login", map[string]string{"code": secret}, &got); err != nil {
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
		RunE: s.run(func(c *call) error {
			var who map[string]any
			if err := c.get("/whoami", &who); err != nil {
				return err
			}
			return c.one(who, "", func() error { return c.name(fmt.Sprint(who["name"])) })
		}),
	}
}
