// Command fetch-postgres puts a private copy of PostgreSQL's programs into the
// tools directory and prints where they are. The Makefile runs it for machines
// that have no PostgreSQL of their own.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/hawser-dev/hawser/e2e/testbed"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	bin, err := testbed.FetchPostgres(ctx, os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(bin)
}
