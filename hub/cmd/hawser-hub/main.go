// Command hawser-hub is the hub of a Hawser fleet: API, repository server,
// gateway for agents.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/hawser-dev/hawser/hub/app"
	"github.com/hawser-dev/hawser/hub/render"
	"github.com/hawser-dev/hawser/hub/source"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/telemetry"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := root().ExecuteContext(ctx)
	stop()
	switch {
	case errors.Is(err, app.ErrNo):
		os.Exit(1)
	case err != nil:
		printError(os.Stderr, err)
		os.Exit(2)
	}
}

func root() *cobra.Command {
	root := &cobra.Command{
		Use: "hawser-hub", Short: "The hub of a Hawser fleet",
		SilenceUsage: true, SilenceErrors: true,
	}
	root.CompletionOptions.DisableDefaultCmd = true
	root.AddCommand(serve(), migrate(), firstLogin(), renderOffline(), policy(), keys(), backup(), restore(), pluginHost(), devdbStop(), version(),
		worker(app.GitWorkerCommand, source.WorkerMain), worker(app.RenderWorkerCommand, render.WorkerMain))
	return root
}

func serve() *cobra.Command {
	var cfg app.Config
	c := &cobra.Command{
		Use: "serve", Short: "Run everything", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			log, err := telemetry.NewLogger(os.Stderr, telemetry.Options{Format: cfg.LogFormat, Level: cfg.LogLevel})
			if err != nil {
				return err
			}
			return app.Serve(c.Context(), cfg, os.Stdout, log)
		},
	}
	cfg.Flags(c.Flags())
	return c
}

func migrate() *cobra.Command {
	var cfg app.Config
	var role string
	c := &cobra.Command{
		Use: "migrate", Short: "Bring the database's schema up to date and exit", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return app.Migrate(c.Context(), cfg, role) },
	}
	cfg.Flags(c.Flags())
	c.Flags().StringVar(&role, "grant-to", "", "role of the database that the hub logs in as, when this is run as another, which owns the tables; it is given what a hub needs, and cannot change audit records")
	return c
}

func firstLogin() *cobra.Command {
	var cfg app.Config
	c := &cobra.Command{
		Use: "first-login", Short: "Make a new one-time login link for an administrator", Args: cobra.NoArgs,
		Long: `Make a new one-time login link for an administrator, also when there are some who
cannot log in any more. The link before is void. It needs the hub's database and its
vault key, and no running hub; give the --data, --database-url and --advertise of the
hub. With the link in a browser one chooses a name and a password; hawser login takes
the code in place of a link, for an API token.`,
		RunE: func(c *cobra.Command, _ []string) error { return app.FirstLogin(c.Context(), cfg, c.OutOrStdout()) },
	}
	cfg.Flags(c.Flags())
	return c
}

func renderOffline() *cobra.Command {
	var o app.Offline
	c := &cobra.Command{
		Use: "render", Short: "Render an Application from directories, as the hub would, without a network", Args: cobra.NoArgs,
		Long: `Render an Application from directories, as the hub would, without a network, a
database or a cluster, and print the objects as YAML in the order in which they
are applied. Warnings and errors go to standard error; the exit status is 0 or 2.

  hawser-hub render --app app.yaml --repo .
  hawser-hub render --app app.yaml --repo .@v1.4.0 --kube-version v1.37.2
  hawser-hub render --app app.yaml --repo . --repo https://git.example.com/values=../values

Without a revision a directory is taken as it is, with what is not committed;
with one, the commit is read through Git.`,
		RunE: func(c *cobra.Command, _ []string) error {
			return o.Run(c.Context(), os.Stdin, os.Stdout, os.Stderr)
		},
	}
	o.Flags(c.Flags())
	return c
}

func policy() *cobra.Command {
	group := &cobra.Command{Use: "policy", Short: "Ask an RBAC policy from files, without a hub"}
	var t, v app.Policy
	test := &cobra.Command{
		Use: "test RESOURCE ACTION OBJECT", Short: "Say whether a policy allows something, and by which line", Args: cobra.ExactArgs(3),
		Long: `Say whether a policy allows somebody an action, and by which line. The answer is the
hub's: the same code decides. The exit status is 0 for yes, 1 for no and 2 when the
policy cannot be used.

  hawser-hub policy test -f argocd-rbac-cm.yaml --user alice --group dev applications sync shop/web
  hawser-hub policy test -f policy.csv --project shop.yaml --token shop:ci applications sync shop/web -o json`,
		RunE: func(c *cobra.Command, args []string) error {
			return t.Test(args, c.InOrStdin(), c.OutOrStdout(), c.ErrOrStderr())
		},
	}
	t.Flags(test.Flags())
	t.SubjectFlags(test.Flags())
	validate := &cobra.Command{
		Use: "validate", Short: "Say what is wrong with a policy", Args: cobra.NoArgs,
		Long: `Say what is wrong with a policy, with the line of each problem, and what in it is
probably not meant. The exit status is 0 when a hub takes the policy, with warnings
too, and 1 when not.

  hawser-hub policy validate -f argocd-rbac-cm.yaml --project shop.yaml`,
		RunE: func(c *cobra.Command, _ []string) error { return v.Validate(c.InOrStdin(), c.OutOrStdout()) },
	}
	v.Flags(validate.Flags())
	group.AddCommand(test, validate)
	return group
}

func keys() *cobra.Command {
	group := &cobra.Command{
		Use: "keys", Short: "The keys that secrets in the database are sealed, and audit records signed, with",
		Long: `Versions of the key that secrets in the database are sealed with, and the key that
signs audit records. The commands need
the database and the vault key, as the hub does, and work whether or not hubs run.`,
	}
	command := func(use, short, long string, flags func(*app.Keys, *pflag.FlagSet), run func(*app.Keys, *cobra.Command) error) {
		var k app.Keys
		c := &cobra.Command{Use: use, Short: short, Long: long, Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error { return run(&k, c) }}
		k.Flags(c.Flags())
		if flags != nil {
			flags(&k, c.Flags())
		}
		group.AddCommand(c)
	}
	status := func(k *app.Keys, c *cobra.Command) error { return k.Status(c.Context(), c.OutOrStdout()) }
	command("status", "Print the versions, how many values each has sealed, and which hubs lack one", "", nil, status)
	command("rotate", "Make a new version and seal everything with it", `Make a new version, wait until every hub that runs has it, and seal everything with
it, in small batches. The old version stays readable. When the command is killed,
calling it again goes on where it was; hubs go on by themselves.

  hawser-hub keys rotate && hawser-hub keys retire`, (*app.Keys).RotateFlags, func(k *app.Keys, c *cobra.Command) error {
		return k.Rotate(c.Context(), c.OutOrStdout(), c.ErrOrStderr())
	})
	command("retire", "Remove old versions that nothing is sealed with", "", nil, func(k *app.Keys, c *cobra.Command) error {
		return k.Retire(c.Context(), c.OutOrStdout(), c.ErrOrStderr())
	})
	command("rotate-audit", "Have a new key sign the audit records", `Have a new key sign the audit records, and print its public half. The old key signs a
last record, which names the new one: hawser audit verify follows it, and the records
before stay as they are. Hubs that run need not be told. It is one transaction: a call
that is killed has done all or nothing.`, nil, func(k *app.Keys, c *cobra.Command) error {
		return k.RotateAudit(c.Context(), c.OutOrStdout())
	})
	return group
}

func pluginHost() *cobra.Command {
	var o app.PluginHost
	c := &cobra.Command{
		Use: app.PluginHostCommand, Short: "Run one config management plugin for a hub",
		Long: `Run the commands of one config management plugin for a hub, which connects to a
Unix socket. It is the command of a sidecar with the plugin's own image, or runs
beside a hub on one machine. A hub that is started with --plugin starts it itself.

  hawser-hub plugin-host --config plugin.yaml --socket /run/hawser/plugins/cue.sock
  hawser-hub plugin-host --check --socket /run/hawser/plugins/cue.sock
  hawser-hub plugin-host --install /opt/hawser/hawser-hub`,
		RunE: func(c *cobra.Command, args []string) error {
			return o.Run(c.Context(), args, os.Stdin, os.Stdout, os.Stderr)
		},
	}
	o.Flags(c.Flags())
	return c
}

func devdbStop() *cobra.Command {
	var cfg app.Config
	c := &cobra.Command{
		Use: "devdb-stop", Short: "Stop the private Postgres that a killed hub left running", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return app.StopDevDB(c.Context(), cfg) },
	}
	cfg.Flags(c.Flags())
	return c
}

func version() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Version of this program", Args: cobra.NoArgs,
		Run: func(*cobra.Command, []string) { fmt.Println("hawser-hub", telemetry.Version) },
	}
}

// worker is a hidden command that the hub starts itself: a child process that
// parses what strangers send.
func worker(name string, run func(in, out *os.File) error) *cobra.Command {
	return &cobra.Command{
		Use: name, Hidden: true, Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return run(os.Stdin, os.Stdout) },
	}
}

// printError writes every problem with its code and what to do, in the words
// that the console has for it.
func printError(w io.Writer, err error) {
	var list fault.List
	var e *fault.Error
	switch {
	case errors.As(err, &list):
	case errors.As(err, &e):
		list = fault.List{e}
	default:
		fmt.Fprintf(w, "hawser-hub: %v\n", err)
	}
	for _, e := range list {
		text := e.Message
		switch {
		case e.Kind == fault.Internal:
			text = e.Error() // its message alone tells nobody anything
		case e.Field != "" && !strings.Contains(text, e.Field):
			text = e.Field + ": " + text
		}
		fmt.Fprintf(w, "hawser-hub: %s: %s\n", e.Code, text)
		if e.Fix != "" {
			fmt.Fprintf(w, "  fix: %s\n", e.Fix)
		}
	}
}
