package command

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/cli/config"
	"github.com/hawser-dev/hawser/cli/output"
	"github.com/hawser-dev/hawser/shared/fault"
)

// contextRow is a context as it is shown; never with its token.
type contextRow struct {
	Name    string `json:"name"`
	Current bool   `json:"current"`
	URL     string `json:"url"`
	CAHash  string `json:"caHash,omitempty"`
	User    string `json:"user,omitempty"`
	// Token is "keyring", "file" or "none": where it is.
	Token string `json:"token"`
}

func rowOf(file config.File, x config.Context) contextRow {
	row := contextRow{x.Name, x.Name == file.Current, x.URL, x.CAHash, x.User, "none"}
	switch {
	case x.Token != "":
		row.Token = "file"
	case x.Secret != "":
		row.Token = "keyring"
	}
	return row
}

func newContext(s *session) *cobra.Command {
	c := group("context", "Hubs that you have logged in to",
		newContextList(s), newContextShow(s), newContextUse(s), newContextAdd(s), newContextRename(s), newContextDelete(s))
	c.Annotations = map[string]string{offlineKey: "true"}
	return c
}

// changeConfig loads the file, lets f change it and saves it.
func changeConfig(f func(*config.File) error) error {
	file, err := loadConfig()
	if err != nil {
		return err
	}
	if err := f(&file); err != nil {
		return err
	}
	return file.Save()
}

func newContextList(s *session) *cobra.Command {
	contexts := listing[contextRow]{
		kind:    "ContextList",
		name:    func(r contextRow) string { return r.Name },
		columns: []output.Column{{Title: "CURRENT"}, {Title: "NAME"}, {Title: "HUB"}, {Title: "USER"}, {Title: "TOKEN", Wide: true}, {Title: "CA HASH", Wide: true}},
		row: func(r contextRow) []string {
			mark := ""
			if r.Current {
				mark = "*"
			}
			return []string{mark, r.Name, r.URL, r.User, r.Token, r.CAHash}
		},
	}
	c := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "The hubs that you have logged in to", Args: exactArgs(),
		RunE: s.offline(func(c *call) error {
			file, err := loadConfig()
			if err != nil {
				return err
			}
			rows := make([]contextRow, len(file.Contexts))
			for i, x := range file.Contexts {
				rows[i] = rowOf(file, x)
			}
			return contexts.print(c, rows, c.now())
		}),
	}
	contexts.flags(s, c)
	return c
}

func newContextShow(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "show [NAME]", Short: "One context, the current one by default; -o name for a prompt", Args: cobra.MaximumNArgs(1),
		RunE: s.offline(func(c *call) error {
			file, err := loadConfig()
			if err != nil {
				return err
			}
			name := s.context
			if len(c.args) == 1 {
				name = c.args[0]
			}
			x, ok := file.Context(name)
			switch {
			case !ok && name == "":
				return fault.New(fault.NotFound, "context_unknown", "no context is current").WithFix("%s context use NAME", s.Program)
			case !ok:
				return contextUnknown(file, name)
			}
			row := rowOf(file, x)
			return c.one(row, x.Name, func() error {
				return c.describe([][2]string{{"Name", row.Name}, {"Hub", row.URL}, {"User", row.User}, {"Token", row.Token}, {"CA hash", row.CAHash}})
			})
		}),
	}
}

func newContextUse(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "use NAME", Short: "Make a context current; - for the one before", Args: exactArgs("NAME"),
		RunE: s.offline(func(c *call) error {
			name := c.args[0]
			err := changeConfig(func(file *config.File) error {
				if name == "-" {
					if name = file.Previous; name == "" {
						return fault.New(fault.NotFound, "context_unknown", "no other context was current before").WithFix("see %s context list", s.Program)
					}
				}
				if _, ok := file.Context(name); !ok {
					return contextUnknown(*file, name)
				}
				file.Use(name)
				return nil
			})
			if err == nil {
				c.note("context %q is now current", name)
			}
			return err
		}),
	}
}

func newContextAdd(s *session) *cobra.Command {
	var caHash string
	var use bool
	c := &cobra.Command{
		Use: "add NAME HOST:PORT", Short: "Add a context without logging in, as for HAWSER_TOKEN", Args: exactArgs("NAME", "HOST:PORT"),
		RunE: s.offline(func(c *call) error {
			name := c.args[0]
			err := changeConfig(func(file *config.File) error {
				if _, ok := file.Context(name); ok {
					return contextTaken(name)
				}
				x := config.Context{Name: name, URL: hubURL(c.args[1]), CAHash: caHash}
				file.Put(x)
				if use || file.Current == "" {
					file.Use(name)
				}
				return nil
			})
			if err == nil {
				c.note("context %q added", name)
			}
			return err
		}),
	}
	c.Flags().StringVar(&caHash, "ca-hash", "", `hash of the hub's CA, "sha256:…", as the hub prints it`)
	c.Flags().BoolVar(&use, "use", false, "make it current")
	return c
}

func contextTaken(name string) error {
	return fault.New(fault.Conflict, "context_exists", "there is a context %q already", name).WithFix("choose another name, or delete that one")
}

func newContextRename(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "rename NAME NEW", Short: "Give a context another name", Args: exactArgs("NAME", "NEW"),
		RunE: s.offline(func(c *call) error {
			from, to := c.args[0], c.args[1]
			err := changeConfig(func(file *config.File) error {
				if _, ok := file.Context(from); !ok {
					return contextUnknown(*file, from)
				}
				if _, ok := file.Context(to); ok {
					return contextTaken(to)
				}
				file.Rename(from, to)
				return nil
			})
			if err == nil {
				c.note("context %q is called %q now", from, to)
			}
			return err
		}),
	}
}

func newContextDelete(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "delete NAME", Aliases: []string{"rm"}, Short: "Forget a context and its token", Args: exactArgs("NAME"),
		RunE: s.offline(func(c *call) error {
			name := c.args[0]
			err := changeConfig(func(file *config.File) error {
				x, ok := file.Context(name)
				if !ok {
					return contextUnknown(*file, name)
				}
				if err := x.Forget(s.Secrets); err != nil {
					c.warn("the keyring keeps the token of %q: %s", name, err)
				}
				file.Remove(name)
				return nil
			})
			if err == nil {
				c.note("context %q is forgotten", name)
			}
			return err
		}),
	}
}

func loadConfig() (config.File, error) {
	file, err := config.Load()
	var known *fault.Error
	if err != nil && !errors.As(err, &known) {
		err = fault.Wrap(err, fault.Invalid, "config_invalid", "the configuration file cannot be read").
			WithFix("put it right, or take it away and log in again")
	}
	return file, err
}

func contextUnknown(file config.File, name string) error {
	e := fault.New(fault.NotFound, "context_unknown", "there is no context %q", name)
	if near := nearest(name, file.Names()); near != "" {
		return e.WithFix("did you mean %q?", near)
	}
	return e.WithFix("see hawser context list")
}
