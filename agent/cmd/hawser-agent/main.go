// Command hawser-agent is the application controller that runs beside one
// cluster's API server and dials out to the hub.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/agent/app"
	"github.com/hawser-dev/hawser/agent/explain"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/telemetry"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := root().ExecuteContext(ctx)
	stop()
	switch {
	case errors.Is(err, explain.ErrNo), errors.Is(err, errPreflight):
		os.Exit(1)
	case err != nil:
		printError(err)
		os.Exit(2)
	}
}

func root() *cobra.Command {
	root := &cobra.Command{
		Use: "hawser-agent", Short: "The agent of one cluster in a Hawser fleet",
		SilenceUsage: true, SilenceErrors: true,
	}
	root.CompletionOptions.DisableDefaultCmd = true
	var cfg app.Config
	run := &cobra.Command{
		Use: "run", Short: "Run the agent", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			log, err := telemetry.NewLogger(os.Stderr, telemetry.Options{Format: cfg.LogFormat, Level: cfg.LogLevel})
			if err != nil {
				return err
			}
			return app.Run(c.Context(), cfg, log)
		},
	}
	cfg.Flags(run.Flags())
	version := &cobra.Command{
		Use: "version", Short: "Version of this program", Args: cobra.NoArgs,
		Run: func(*cobra.Command, []string) { fmt.Println("hawser-agent", telemetry.Version) },
	}
	root.AddCommand(run, preflightCommand(), explain.Command(), version)
	return root
}

func printError(err error) {
	var list fault.List
	if errors.As(err, &list) {
		for i, e := range list {
			if i == 20 {
				fmt.Fprintf(os.Stderr, "hawser-agent: %d more\n", len(list)-i)
				break
			}
			printError(e)
		}
		return
	}
	var e *fault.Error
	if errors.As(err, &e) && e.Fix != "" {
		fmt.Fprintf(os.Stderr, "hawser-agent: %v\n  fix: %s\n", err, e.Fix)
		return
	}
	fmt.Fprintf(os.Stderr, "hawser-agent: %v\n", err)
}
