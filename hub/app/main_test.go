package app

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/spf13/pflag"

	"github.com/hawser-dev/hawser/e2e/dbtest"
	"github.com/hawser-dev/hawser/hub/render"
	"github.com/hawser-dev/hawser/hub/source"
)

// TestMain lets the test binary be what the hub starts: a worker or the host of a
// plugin.
func TestMain(m *testing.M) {
	programs := map[string]func() error{
		GitWorkerCommand:    func() error { return source.WorkerMain(os.Stdin, os.Stdout) },
		RenderWorkerCommand: func() error { return render.WorkerMain(os.Stdin, os.Stdout) },
		serveCommand:        serveForTests,
		killedCommand:       killedOffline,
		PluginHostCommand: func() error {
			var o PluginHost
			flags := pflag.NewFlagSet(PluginHostCommand, pflag.ContinueOnError)
			o.Flags(flags)
			if err := flags.Parse(os.Args[2:]); err != nil {
				return err
			}
			return o.Run(context.Background(), flags.Args(), os.Stdin, os.Stdout, os.Stderr)
		},
	}
	if len(os.Args) > 1 {
		if run, ok := programs[os.Args[1]]; ok {
			if err := run(); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			return
		}
	}
	os.Exit(dbtest.Run(m))
}
