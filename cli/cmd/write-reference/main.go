// Command write-reference writes docs/cli from the tree of commands; make gen
// runs it, and make verify compares.
package main

import (
	"fmt"
	"os"

	"github.com/hawser-dev/hawser/cli/command"
	"github.com/hawser-dev/hawser/cli/manual"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: write-reference DIRECTORY")
		os.Exit(2)
	}
	if err := manual.Markdown(command.Tree(), command.Topics(), os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}
