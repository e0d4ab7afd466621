package render

import (
	"fmt"
	"os"
	"testing"
)

// TestMain lets the test binary be a render worker, a good one or another.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		if serve, ok := testWorkers[os.Args[1]]; ok {
			if err := serve(os.Stdin, os.Stdout); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			return
		}
	}
	os.Exit(m.Run())
}

// testWorkers by name of the subcommand.
var testWorkers = map[string]func(in, out *os.File) error{
	"worker-render": WorkerMain,
}
