// Command fetch-chromium puts a browser for tests into the tools directory, where
// the machine has none of its own, and prints where it is. Where that is not
// possible it says why and succeeds: the tests that need one are skipped then, with
// the same reason.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/hawser-dev/hawser/e2e/testbed"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	path, err := testbed.Chromium(ctx, os.Stderr)
	if errors.Is(err, testbed.ErrNoChromium) {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(path)
}
