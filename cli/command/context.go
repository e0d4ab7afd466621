package command

import (
	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/cli/config"
	"github.com/hawser-dev/hawser/cli/output"
	"github.com/hawser-dev/hawser/shared/fault"
)

func newContext(s *session) *cobra.Command {
	list := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "The hubs that you have logged in to", Args: exactArgs(),
		RunE: s.offline(func(c *call) error {
			file, err := loadConfig()
			if err != nil {
				return err
			}
			for i := range file.Contexts {
				file.Contexts[i].Token = "" // never printed
			}
			if c.documents() {
				return c.document(file)
			}
			rows := make([][]string, 0, len(file.Contexts))
			for _, x := range file.Contexts {
				if c.format == output.Name {
					if err := c.name(x.Name); err != nil {
						return err
					}
					continue
				}
				mark := ""
				if x.Name == file.Current {
					mark = "*"
				}
				rows = append(rows, []string{mark, x.Name, x.URL, x.User})
			}
			if c.format == output.Name {
				return nil
			}
			return c.rows([]output.Column{{Title: "CURRENT"}, {Title: "NAME"}, {Title: "HUB"}, {Title: "USER"}}, rows)
		}),
	}
	use := &cobra.Command{
		Use: "use NAME", Short: "Make a context current", Args: exactArgs("NAME"),
		RunE: s.offline(func(c *call) error {
			file, err := loadConfig()
			if err != nil {
				return err
			}
			if _, ok := file.Context(c.args[0]); !ok {
				return contextUnknown(c.args[0])
			}
			file.Current = c.args[0]
			if err := file.Save(); err != nil {
				return err
			}
			c.note("context %q is now current", c.args[0])
			return nil
		}),
	}
	return group("context", "Hubs that you have logged in to", list, use)
}

func loadConfig() (config.File, error) {
	file, err := config.Load()
	if err != nil {
		return file, fault.Wrap(err, fault.Invalid, "config_invalid", "the configuration file cannot be read").
			WithFix("put it right, or take it away and log in again")
	}
	return file, nil
}

func contextUnknown(name string) error {
	return fault.New(fault.NotFound, "context_unknown", "there is no context %q", name).WithFix("see hawser context list")
}
