// Command hawser-hub is the hub of a Hawser fleet: API, repository server,
// gateway for agents.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

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
	if err != nil {
		printError(err)
		os.Exit(2)
	}
}

func root() *cobra.Command {
	root := &cobra.Command{
		Use: "hawser-hub", Short: "The hub of a Hawser fleet",
		SilenceUsage: true, SilenceErrors: true,
	}
	root.CompletionOptions.DisableDefaultCmd = true
	root.AddCommand(serve(), migrate(), devdbStop(), version(),
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
	c := &cobra.Command{
		Use: "migrate", Short: "Bring the database's schema up to date and exit", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return app.Migrate(c.Context(), cfg) },
	}
	cfg.Flags(c.Flags())
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

func printError(err error) {
	var e *fault.Error
	if errors.As(err, &e) && e.Fix != "" {
		fmt.Fprintf(os.Stderr, "hawser-hub: %v\n  fix: %s\n", err, e.Fix)
		return
	}
	fmt.Fprintf(os.Stderr, "hawser-hub: %v\n", err)
}
