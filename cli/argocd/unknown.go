package argocd

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/nearest"
)

// elsewhere says what does the work of Argo CD's commands that do not exist here,
// by the longest beginning of their words. Its order is that of the page.
var elsewhere = []struct{ path, fix string }{
	{"app add-source", "hawser app edit APPNAME"},
	{"app remove-source", "hawser app edit APPNAME"},
	{"app confirm-deletion", "hawser app confirm-deletion APPNAME"},
	{"app patch-resource", "change it in the repository, then argocd app sync APPNAME"},
	{"app get-resource", "hawser app resource APPNAME KIND/NAME"},
	{"proj role", "hawser project role"},
	{"proj windows", "hawser project window"},
	{"proj", "argocd proj get PROJECT -o yaml > p.yaml, edit it, hawser apply -f p.yaml"},
	{"account generate-token", "hawser token create"},
	{"account delete-token", "hawser token delete"},
	{"account", "there are tokens instead of accounts: hawser token list"},
	{"cluster rotate-auth", "the hub has no credential of the cluster that could be rotated"},
	{"admin export", "hawser export --format argocd"},
	{"admin import", "hawser import argocd"},
	{"admin settings", "hawser settings"},
	{"admin", "hawser doctor, hawser export, hawser import argocd"},
	{"appset", "hawser appset"},
	{"cert", "hawser repo add --known-hosts-file or --ca-file"},
	{"gpg", "hawser gpg"},
}

// group makes a command that only has commands below it answer words that are none
// of them with an error: a script that goes on after a help text takes it for done.
func group(c *cobra.Command) {
	c.Args = cobra.ArbitraryArgs
	c.FParseErrWhitelist = cobra.FParseErrWhitelist{UnknownFlags: true} // they are the missing command's
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) == 0 || args[0] == "help" {
			return c.Help()
		}
		return unknown(c, args)
	}
}

// unknown is the error about words that are no command below c.
func unknown(c *cobra.Command, args []string) error {
	above := strings.TrimPrefix(strings.TrimPrefix(c.CommandPath(), c.Root().Name()), " ")
	path := strings.TrimSpace(above + " " + args[0])
	err := fault.New(fault.Invalid, "usage", "argocd %s does not exist here", path)
	var names []string
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			names = append(names, sub.Name())
		}
	}
	typed := path + " " + strings.Join(args[1:], " ") + " "
	fix, longest := "", ""
	for _, e := range elsewhere {
		if strings.HasPrefix(typed, e.path+" ") && len(e.path) > len(longest) {
			fix, longest = e.fix, e.path
		}
	}
	switch near := nearest.Word(args[0], names); {
	case near != "" && len(longest) < len(path): // nothing is known of the very command
		return err.WithFix("%s", strings.TrimSpace("did you mean argocd "+above)+" "+near+"?")
	case fix != "":
		return err.WithFix("%s", fix)
	}
	return err.WithFix("see %s --help", c.CommandPath())
}
