package command

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/cli/output"
)

// newOpen shows the hub's pages to a person.
func newOpen(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "open [TYPE/NAME]", Aliases: []string{"web"}, Short: "Show the hub's pages in the browser, or their address without one",
		Long: `Show the hub's pages in the browser. Without a terminal or a browser the address
is printed.

This hub has no console yet: what opens is the description of its API.`,
		Args: cobra.MaximumNArgs(1),
		RunE: s.offline(func(c *call) error {
			if err := c.checkTypeName(); err != nil {
				return err
			}
			return c.browse()
		}),
	}
}

// checkTypeName refuses what names nothing that could be shown.
func (c *call) checkTypeName() error {
	if len(c.args) == 0 {
		return nil
	}
	noun, _, _ := strings.Cut(c.args[0], "/")
	_, err := nounOf(noun)
	return err
}

// browse shows the page that there is, and says so honestly.
func (c *call) browse() error {
	hub, err := c.hub()
	if err != nil {
		return err
	}
	address := strings.TrimSuffix(hub.URL, "/") + "/api/docs"
	c.note("this hub has no console yet; the description of its API is at the address")
	if c.Browse != nil && c.OutTerminal && !c.documents() {
		if err := c.Browse(address); err == nil {
			c.note("opened %s", address)
			return nil
		}
	}
	return c.one(map[string]string{"url": address}, "", func() error {
		_, err := fmt.Fprintln(c.Out, output.Clean(address))
		return err
	})
}
