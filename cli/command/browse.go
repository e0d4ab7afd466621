package command

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/cli/output"
	"github.com/hawser-dev/hawser/shared/fault"
)

// newOpen shows the hub's console to a person.
func newOpen(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "open [TYPE[/NAME]]", Aliases: []string{"web"}, Short: "Show the hub's console in the browser, or its address without one",
		Long: `Show the hub's console in the browser: the fleet, a list such as apps, or the page
of one thing such as app/web. Without a terminal or a browser the address is printed.

Commands that read show the page of what they would print with --web.`,
		Args: cobra.MaximumNArgs(1),
		RunE: s.offline(func(c *call) error {
			if len(c.args) == 0 {
				return c.show(consolePage("", "", ""))
			}
			word, name, named := strings.Cut(c.args[0], "/")
			n, err := nounOf(word)
			if err != nil {
				return err
			}
			if named && name == "" {
				return fault.New(fault.Invalid, "usage", "%s/ has no name behind it", word)
			}
			return c.show(consolePage(n.name, name, ""))
		}),
	}
}

// browse shows the page of what a command that reads would print.
func (c *call) browse() error {
	noun, name := c.cmd, ""
	for noun.HasParent() && noun.Parent().HasParent() {
		noun = noun.Parent()
	}
	// Only the verbs of a noun itself have the name of one in front: what stands
	// deeper, such as project role list, may have others.
	if c.cmd.Parent() == noun && len(c.args) > 0 {
		name = c.args[0]
		if word, rest, typed := strings.Cut(name, "/"); typed {
			if n, err := nounOf(word); err == nil && n.name == noun.Name() {
				name = rest
			}
		}
	}
	page := consolePage(noun.Name(), name, c.cmd.Name())
	if f := c.cmd.Flags().Lookup("filter"); name == "" && f != nil && f.Changed {
		page += "?" + url.Values{"q": {f.Value.String()}}.Encode()
	}
	return c.show(page)
}

// applicationTabs are the commands about an application whose answer is a tab of its page.
var applicationTabs = []string{"tree", "diff", "history", "logs", "events", "manifests"}

// consolePage is the path of the console's page about a thing, or about all of a
// noun when there is no name. A noun without a page of its own is shown where its
// things are: an operation is in the history of an application.
func consolePage(noun, name, verb string) string {
	named := func(list string) string {
		if name == "" {
			return list
		}
		return list + "/" + url.PathEscape(name)
	}
	switch noun {
	case "app":
		page := named("/apps")
		if name != "" && slices.Contains(applicationTabs, verb) {
			page += "?tab=" + verb
		}
		return page
	case "cluster":
		return named("/clusters")
	case "project":
		return named("/projects")
	case "job":
		return named("/jobs")
	case "repo":
		if name != "" {
			return "/repositories?" + url.Values{"q": {name}}.Encode()
		}
		return "/repositories"
	case "operation", "appset":
		return "/apps"
	case "audit":
		return "/audit"
	case "settings", "hub", "token", "account", "gpg":
		return "/settings"
	default:
		return "/fleet"
	}
}

// show opens a page of the console, or prints its address.
func (c *call) show(page string) error {
	hub, err := c.hub()
	if err != nil {
		return err
	}
	address := strings.TrimSuffix(hub.URL, "/") + page
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
