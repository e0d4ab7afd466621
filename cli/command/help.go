package command

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/cli/output"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/filter"
)

// topics are pages of help that are about no command.
var topics = map[string]string{
	"exit-codes":  exitCodesHelp,
	"environment": environmentHelp,
	"formatting":  formattingHelp,
	"filters":     filtersHelp,
	"auth":        authHelp,
	"plugins":     pluginsHelp,
}

// Topics are the pages of help that are about no command, by their names.
func Topics() map[string]string { return maps.Clone(topics) }

func topicNames() []string { return slices.Sorted(maps.Keys(topics)) }

func newHelp(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:   "help [command | TOPIC]",
		Short: "Help about a command or a topic: " + strings.Join(topicNames(), ", "),
		ValidArgsFunction: func(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			out := topicNames()
			if len(args) > 0 {
				out = nil
			}
			if found, _, err := root.Find(args); err == nil {
				for _, sub := range found.Commands() {
					if sub.IsAvailableCommand() {
						out = append(out, cobra.CompletionWithDesc(sub.Name(), sub.Short))
					}
				}
			}
			return out, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 1 && topics[args[0]] != "" {
				_, err := io.WriteString(c.OutOrStdout(), topics[args[0]])
				return err
			}
			found, rest, err := root.Find(args)
			if err != nil || len(rest) > 0 {
				e := fault.New(fault.NotFound, "help_unknown", "there is no help for %q", strings.Join(args, " "))
				if len(args) == 1 {
					if near := nearest(args[0], topicNames()); near != "" {
						return e.WithFix("did you mean %q?", near)
					}
				}
				return e.WithFix("topics: %s", strings.Join(topicNames(), ", "))
			}
			return found.Help()
		},
	}
}

// groups of commands in the help of the whole.
const (
	groupStart   = "start"
	groupApps    = "apps"
	groupFleet   = "fleet"
	groupAdmin   = "admin"
	groupGeneric = "generic"
	groupTools   = "tools"
)

// arrange puts the commands of the root into groups; those that are in none are
// of the last.
func arrange(root *cobra.Command) {
	root.AddGroup(
		&cobra.Group{ID: groupStart, Title: "Start:"}, &cobra.Group{ID: groupApps, Title: "Applications:"},
		&cobra.Group{ID: groupFleet, Title: "Fleet and rules:"}, &cobra.Group{ID: groupAdmin, Title: "Administration:"},
		&cobra.Group{ID: groupGeneric, Title: "Verbs first, with TYPE/NAME:"}, &cobra.Group{ID: groupTools, Title: "Tools:"})
	of := map[string]string{
		"login": groupStart, "logout": groupStart, "whoami": groupStart, "context": groupStart, "open": groupStart, "doctor": groupStart, "auth": groupStart,
		"app": groupApps, "appset": groupApps, "operation": groupApps, "apply": groupApps,
		"cluster": groupFleet, "project": groupFleet, "repo": groupFleet, "repocreds": groupFleet, "fleet": groupFleet,
		"hub": groupAdmin, "settings": groupAdmin, "token": groupAdmin, "import": groupAdmin, "export": groupAdmin,
		"explain": groupGeneric,
	}
	for _, c := range root.Commands() {
		if c.GroupID == "" {
			c.GroupID = groupTools
			if id := of[c.Name()]; id != "" {
				c.GroupID = id
			}
		}
	}
	root.SetHelpCommandGroupID(groupTools)
	root.SetCompletionCommandGroupID(groupTools)
	help := root.HelpFunc()
	root.SetHelpFunc(func(c *cobra.Command, args []string) {
		help(c, args)
		if c != c.Root() {
			return
		}
		var lines []string
		for _, p := range plugins(root) {
			if p.Ignored == "" {
				lines = append(lines, fmt.Sprintf("  %-11s %s", output.Clean(p.Name), output.Clean(p.Path)))
			}
		}
		if len(lines) > 0 {
			fmt.Fprintf(c.OutOrStdout(), "\nPlugin commands:\n%s\n", strings.Join(lines, "\n"))
		}
	})
}

const exitCodesHelp = `Exit statuses, the same for every command:

  0    done, no differences, yes
  1    a well-formed negative answer: differences found (diff, plan), findings of
       doctor, a repository that fails its test; never an error
  2    error, wrong usage included
  3    not found, or ambiguous
  4    not logged in, or the login expired
  5    denied; the explanation is printed
  6    not now: another operation is running, a window is closed, a plan is stale,
       a guard waits for confirmation
  7    timed out waiting; what was not ready is printed
  8    the hub or cluster is unreachable, or what is known of it is stale
  9    some of many failed; the JSON says which
  10   finished, but badly: Degraded, or the operation failed
  130  interrupted; what the hub has accepted goes on
`

const environmentHelp = `Environment:

  HAWSER_CONFIG    the configuration file (default: hawser/config.yaml in the
                   user's configuration directory)
  HAWSER_CACHE     directory of names for completion (default: hawser in the
                   user's cache directory)
  HAWSER_CONTEXT   the context to use, as --context
  HAWSER_HUB       address of a hub, as --hub
  HAWSER_CA_HASH   pin of that hub's CA
  HAWSER_TOKEN     API token, instead of the context's
  HAWSER_TOKEN_FD  number of an open file descriptor to read the token from
  HAWSER_KEYRING   off: keep tokens in the configuration file
  HAWSER_PLUGIN_TOKEN   env: plugins find the token in HAWSER_TOKEN too
  NO_COLOR, CLICOLOR, CLICOLOR_FORCE, TERM=dumb   whether there are colours
  LC_ALL, LC_CTYPE, LANG   whether there are icons: they need UTF-8
  HTTPS_PROXY, NO_PROXY   as usual
`

const formattingHelp = `Output:

  Data goes to standard output, everything else to standard error. Tables fit
  the terminal; what goes elsewhere is whole.

  -o table               for people (the default)
  -o wide                all columns, whole
  -o name                TYPE/NAME, one on a line
  -o json, yaml          the document; lists are in an envelope with
                         apiVersion ` + apiVersion + `, kind, asOf and items
  -o ndjson              one JSON object on each line; -w -o json prints so too
  -o tree                objects below their owners, where there are any
  -o jsonpath=PATH       as kubectl's; also jsonpath-file=, jsonpath-as-json=
  -o go-template=TEXT    as kubectl's; also go-template-file=
  -o custom-columns=NAME:.name,CLUSTER:.cluster
                         as kubectl's; also custom-columns-file=

  --json name,project    these fields only, as JSON; --json alone says which
                         there are
  --jq EXPR              what the jq expression makes of the JSON
  --template TEXT        what the Go template makes of the JSON

  --columns name,health  these columns of the table
  --sort-by COLUMN       or a JSONPath; -COLUMN turns the order round
  --limit N              at most so many
  --no-headers           without the first line
  -w                     go on, and print what changes

  --color auto|always|never
  --progress auto|plain|json|none
                         json: notes and errors on standard error are objects
                         with level, id, code, message, field and fix
  -q                     nothing but errors on standard error
`

var filtersHelp = `Filters:

  hawser app list --filter 'health:degraded,missing -project:legacy env:prod'

  key:value      the field, or else the label, has the value; commas are "or"
  key:value*     it begins so
  -key:value     not so
  not:ready      a state that does not hold
  word, "words"  somewhere in the name

  Parts with spaces between them must all hold. A key that is none of these is
  the name of a label.

` + filterKeys(filter.Applications) + `
  health:healthy and sync:synced need a cluster that reports: what was healthy
  when it was last heard of is found by health:unknown.

  -p PROJECT, -c CLUSTER and -l key=value,… narrow the same list and can stand
  beside a filter.
`

// filterKeys lists the keys of a schema with their values.
func filterKeys(s filter.Schema) string {
	var b strings.Builder
	for _, name := range s.Names() {
		b.WriteString(strings.TrimRight(fmt.Sprintf("  %-14s %s", name, strings.Join(s.Values(name), ", ")), " ") + "\n")
	}
	return b.String()
}

const authHelp = `Who you are:

  hawser login HOST:PORT            asks for the one-time code that the hub
                                    printed at its first start
  hawser login HOST:PORT --with-token < FILE
                                    with an API token
  --ca-hash sha256:…                pins the hub's own CA

  The first of these that is there is used: HAWSER_TOKEN, HAWSER_TOKEN_FD, the
  token of the context (--context, HAWSER_CONTEXT, or the current one). One hub's
  token is never sent to another.

  Tokens are kept in the keyring of the operating system. Where there is none
  they are in the configuration file, which only you may read: hawser refuses a
  file that others can read.

  hawser context list | use NAME | use - | show | add | rename | delete
  hawser logout [CONTEXT]
`

const pluginsHelp = `Plugins:

  A program hawser-NAME on the PATH is run as hawser NAME, unless hawser has a
  command of this name: hawser plugin list shows them.

  It finds HAWSER_HUB, HAWSER_CA_HASH and HAWSER_CONTEXT in its environment, and
  in HAWSER_TOKEN_FD the number of a file descriptor to read the token from, once.
  The token is not in its environment, unless HAWSER_PLUGIN_TOKEN=env.

  hawser itself is a plugin of kubectl when it is linked to the name
  kubectl-hawser, and completes for kubectl as kubectl_complete-hawser.
`
