package command

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/hawser-dev/hawser/cli/client"
	"github.com/hawser-dev/hawser/cli/client/api"
	"github.com/hawser-dev/hawser/cli/output"
	"github.com/hawser-dev/hawser/shared/fault"
)

func newAccount(s *session) *cobra.Command {
	return group("account", "Local users, who log in with a password", newAccountCreate(s), newAccountList(s), newAccountGet(s), newAccountChange(s),
		newAccountEnabled(s, true), newAccountEnabled(s, false), newAccountDelete(s), newAccountPassword(s), newAccountConfirm(s), newAccountSessions(s))
}

// password reads one without showing it, from a terminal or a line of input.
func (s *session) password(prompt string, stdin bool) (string, error) {
	empty := fault.New(fault.Invalid, "password_missing", "there is no password").WithFix("type it, or pipe it with --password-stdin")
	if !stdin {
		if !s.attended() {
			return "", fault.New(fault.Invalid, "password_missing", "there is no terminal to ask for the password").WithFix("pipe it with --password-stdin")
		}
		fmt.Fprint(s.Err, prompt+": ")
	}
	var line string
	var err error
	if f, ok := s.In.(*os.File); ok && !stdin && term.IsTerminal(int(f.Fd())) {
		var b []byte
		b, err = term.ReadPassword(int(f.Fd()))
		line = string(b)
		fmt.Fprintln(s.Err)
	} else {
		line, err = s.readLine(io.LimitReader(oneByOne{s.In}, 4096))
	}
	if ended := s.interrupted(); ended != nil {
		return "", ended
	}
	if line = strings.TrimRight(line, "\r\n"); line == "" {
		if err != nil {
			empty.Cause = err
		}
		return "", empty
	}
	return line, nil
}

// newPassword asks for a password twice where a person types it.
func (s *session) newPassword(prompt string, stdin bool) (string, error) {
	one, err := s.password(prompt, stdin)
	if err != nil || stdin {
		return one, err
	}
	two, err := s.password("Once more", stdin)
	if err == nil && one != two {
		err = fault.New(fault.Invalid, "passwords_differ", "the two passwords are not the same")
	}
	return one, err
}

func passwordFlag(c *cobra.Command, to *bool) {
	c.Flags().BoolVar(to, "password-stdin", false, "read the password from standard input without asking")
}

func accountPath(arg string) string { return "/accounts/" + url.PathEscape(accountName(arg)) }

func accountName(arg string) string { return strings.TrimPrefix(arg, "account/") }

func newAccountCreate(s *session) *cobra.Command {
	var in api.NewAccountRequest
	var grants []string
	var stdin bool
	c := &cobra.Command{
		Use: "create NAME [--admin | --grant ROLE:PROJECT …]", Short: "Make a local user who logs in with a password", Args: exactArgs("NAME"),
		Long: `Make a local user who logs in with a password. Without --admin and --grant the user
sees nothing until somebody grants a role. Roles are those of hawser token create.`,
		Example: `  hawser account create ann --grant 'operator:team-*'
  printf %s "$PASSWORD" | hawser account create root --admin --password-stdin`,
		PreRunE: func(*cobra.Command, []string) (err error) {
			in.Grants, err = parseGrants(grants)
			return err
		},
		RunE: s.run(func(c *call) (err error) {
			in.Name = accountName(c.args[0])
			if in.Password, err = s.newPassword("Password of "+in.Name, stdin); err != nil {
				return err
			}
			var got api.Account
			if err := c.api.Do(c.ctx, http.MethodPost, "/accounts", in, &got); err != nil {
				return err
			}
			return c.one(got, "account/"+got.Name, func() error {
				c.note("account %q made", got.Name)
				return nil
			})
		}),
	}
	c.Flags().BoolVar(&in.Admin, "admin", false, "an administrator: everything is allowed")
	c.Flags().StringArrayVar(&grants, "grant", nil, "ROLE:PROJECT, a role in the projects that a glob finds; may be repeated")
	c.MarkFlagsMutuallyExclusive("admin", "grant")
	passwordFlag(c, &stdin)
	s.asksInput(c)
	return c
}

func (s *session) accountColumns() listing[api.Account] {
	return listing[api.Account]{
		kind:    "AccountList",
		name:    func(a api.Account) string { return "account/" + a.Name },
		columns: []output.Column{{Title: "NAME"}, {Title: "ENABLED"}, {Title: "RIGHTS"}, {Title: "AGE", Path: ".createdAt"}, {Title: "LAST LOGIN", Path: ".lastLogin"}},
		row: func(a api.Account) []string {
			return []string{a.Name, fmt.Sprint(a.Enabled), rightsText(api.APIToken{Admin: a.Admin, Grants: a.Grants}), output.Age(s.now(), &a.CreatedAt), output.Age(s.now(), a.LastLogin)}
		},
	}
}

func newAccountList(s *session) *cobra.Command {
	l := s.accountColumns()
	return l.command(s, &cobra.Command{Use: "list", Aliases: []string{"ls"}, Short: "All local users", Args: exactArgs()}, "/accounts", nil)
}

func newAccountGet(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "get NAME", Short: "One local user", Args: exactArgs("NAME"),
		RunE: s.run(func(c *call) error {
			var got api.Account
			if err := c.get(accountPath(c.args[0]), &got); err != nil {
				return err
			}
			return c.one(got, "account/"+got.Name, func() error {
				l := s.accountColumns()
				return l.print(c, []api.Account{got}, c.now())
			})
		}),
	}
}

func newAccountChange(s *session) *cobra.Command {
	var admin, noAdmin, password, stdin bool
	var grants []string
	c := &cobra.Command{
		Use: "set NAME (--admin | --no-admin | --grant ROLE:PROJECT … | --password)", Short: "Change the rights of a local user, or reset the password", Args: exactArgs("NAME"),
		Long: `Change the rights of a local user, or reset the password. Grants replace those that the
user had. Every change ends the user's sessions, and the tokens that the user issued.`,
		RunE: s.run(func(c *call) error {
			var in api.AccountChange
			if admin || noAdmin {
				in.Admin = &admin
			}
			if len(grants) > 0 {
				parsed, err := parseGrants(grants)
				if err != nil {
					return err
				}
				in.Grants = &parsed
			}
			if password || stdin {
				text, err := s.newPassword("New password of "+accountName(c.args[0]), stdin)
				if err != nil {
					return err
				}
				in.Password = &text
			}
			if in == (api.AccountChange{}) {
				return fault.New(fault.Invalid, "usage", "nothing is to change").WithFix("give --admin, --no-admin, --grant or --password")
			}
			return c.change(http.MethodPatch, accountPath(c.args[0]), in, "account %q changed; its sessions and tokens have ended", accountName(c.args[0]))
		}),
	}
	c.Flags().BoolVar(&admin, "admin", false, "make the user an administrator")
	c.Flags().BoolVar(&noAdmin, "no-admin", false, "make the user no administrator any more")
	c.Flags().StringArrayVar(&grants, "grant", nil, "ROLE:PROJECT, a role in the projects that a glob finds; may be repeated")
	c.Flags().BoolVar(&password, "password", false, "ask for a new password")
	c.MarkFlagsMutuallyExclusive("admin", "no-admin")
	c.MarkFlagsMutuallyExclusive("admin", "grant")
	passwordFlag(c, &stdin)
	s.asksInput(c)
	return c
}

func newAccountEnabled(s *session, enable bool) *cobra.Command {
	c := &cobra.Command{Use: "enable NAME", Short: "Let a local user log in again", Args: exactArgs("NAME")}
	done := "account %q enabled"
	if !enable {
		c.Use, c.Short = "disable NAME", "Keep a local user out: sessions end within seconds, and so do the tokens that the user issued"
		done = "account %q disabled"
	}
	c.RunE = s.run(func(c *call) error {
		return c.change(http.MethodPatch, accountPath(c.args[0]), api.AccountChange{Enabled: &enable}, done, accountName(c.args[0]))
	})
	return c
}

func newAccountDelete(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "delete NAME", Aliases: []string{"rm"}, Short: "Delete a local user, with sessions and the tokens that the user issued", Args: exactArgs("NAME"),
		RunE: s.run(func(c *call) error {
			return c.change(http.MethodDelete, accountPath(c.args[0]), nil, "account %q deleted", accountName(c.args[0]))
		}),
	}
}

// renewed keeps the new secret of the session in the context that is used. There is
// none where the secret came from the environment: kept is then false.
func (s *session) renewed(token string) (kept bool, err error) {
	file, err := loadConfig()
	if err != nil {
		return false, err
	}
	x, ok := file.Context(s.context)
	if !ok || !s.kept {
		return false, nil
	}
	inFile, err := x.Keep(s.Secrets, token)
	if inFile {
		s.warnTokenInFile(err)
	}
	file.Put(x)
	return true, file.Save()
}

// confirmAttempts is how often a wrong password may be typed.
const confirmAttempts = 3

// confirmAgain asks the person at the terminal for the password that a dangerous
// request wants, and answers the new secret of the session. Somebody else than the
// hub vouches for a caller without a password: it answers "".
func (s *session) confirmAgain(ctx context.Context, at *client.Client) (string, error) {
	var who api.Caller
	if err := at.Get(ctx, "/whoami", &who); err != nil {
		return "", err
	}
	if who.Session == nil || who.Session.Provider != "local" {
		return "", nil
	}
	s.note("This wants a password that was given in the last 10 minutes.")
	for attempt := 1; ; attempt++ {
		password, err := s.password("Password of "+who.Name, false)
		if err != nil {
			return "", err
		}
		var got api.LoginAnswer
		err = at.Do(ctx, http.MethodPost, "/session/confirm", api.ConfirmRequest{Password: password}, &got)
		if fault.HasCode(err, "login_failed") && attempt < confirmAttempts {
			s.note("That is not the password.")
			continue
		}
		if err != nil {
			return "", err
		}
		_, err = s.renewed(got.Token)
		return got.Token, err
	}
}

func newAccountPassword(s *session) *cobra.Command {
	var stdin bool
	c := &cobra.Command{
		Use: "password", Short: "Change one's own password", Args: exactArgs(),
		Long: `Change one's own password. All sessions of the user end, but for the one that asks, and
so do the API tokens that the user issued. With
--password-stdin the first line is the password that is used now, the second the new one.`,
		RunE: s.run(func(c *call) (err error) {
			var in api.PasswordRequest
			if in.Current, err = s.password("Current password", stdin); err != nil {
				return err
			}
			if in.New, err = s.newPassword("New password", stdin); err != nil {
				return err
			}
			return c.renew("/session/password", in, "password changed")
		}),
	}
	passwordFlag(c, &stdin)
	s.asksInput(c)
	return c
}

func newAccountConfirm(s *session) *cobra.Command {
	var stdin bool
	c := &cobra.Command{
		Use: "confirm", Short: "Give one's password again, as dangerous commands ask for", Args: exactArgs(),
		Long: `Give one's password again. Dangerous commands (those about users, tokens, clusters,
projects, credentials, keys and settings, and those that delete objects or override
the prune guard) want a password that is not older than ten minutes from somebody who
is logged in. At a terminal they ask for it themselves; a program runs this first.`,
		RunE: s.run(func(c *call) (err error) {
			var in api.ConfirmRequest
			if in.Password, err = s.password("Password", stdin); err != nil {
				return err
			}
			return c.renew("/session/confirm", in, "confirmed")
		}),
	}
	passwordFlag(c, &stdin)
	s.asksInput(c)
	return c
}

// renew asks for a new secret of the session, and prints it only where there is no
// context to keep it in.
func (c *call) renew(path string, in any, done string) error {
	var got api.LoginAnswer
	if err := c.api.Do(c.ctx, http.MethodPost, path, in, &got); err != nil {
		return err
	}
	kept, err := c.renewed(got.Token)
	if err != nil {
		return err
	}
	secret := got.Token
	if kept {
		got.Token = ""
	}
	return c.one(got, "account/"+got.Name, func() error {
		c.note("%s; the session ends at %s", done, got.ExpiresAt.UTC().Format(time.RFC3339))
		if !kept {
			_, err := fmt.Fprintln(c.Out, secret)
			return err
		}
		return nil
	})
}
