// Command write-errors writes docs/errors.md, and what hawser explain knows, from the registry of codes and the
// source. With -assign it first gives a number to each code that has none; with
// -freeze it adds all numbers to those that a test holds unchanged.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/hawser-dev/hawser/e2e/codes"
	"github.com/hawser-dev/hawser/shared/fault"
)

func main() {
	root := flag.String("root", ".", "root of the repository")
	assign := flag.Bool("assign", false, "give a number to each code that has none")
	freeze := flag.Bool("freeze", false, "add all numbers to those that never change")
	flag.Parse()
	if err := run(*root, *assign, *freeze); err != nil {
		fmt.Fprintln(os.Stderr, "write-errors:", err)
		os.Exit(1)
	}
}

func run(root string, assign, freeze bool) error {
	found, err := codes.Scan(root)
	if err != nil {
		return err
	}
	file := filepath.Join(root, "shared", "fault", "codes.txt")
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	registered := fault.ReadRegistry(string(text))
	if missing := codes.Unregistered(registered, found); assign && len(missing) > 0 {
		next := codes.Assign(string(text), registered, missing)
		if err := os.WriteFile(file, []byte(next), 0o644); err != nil {
			return err
		}
		registered = fault.ReadRegistry(next)
		for _, c := range missing {
			fmt.Fprintln(os.Stderr, "numbered:", c.Name)
		}
	}
	if freeze {
		file := filepath.Join(root, codes.FrozenFile)
		old, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		next, err := codes.Freeze(fault.ReadRegistry(string(old)), registered)
		if err != nil {
			return err
		}
		if err := os.WriteFile(file, []byte(next), 0o644); err != nil {
			return err
		}
	}
	meanings, err := codes.Meanings(registered, found)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(root, codes.MeaningsFile), meanings, 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(root, "docs", "errors.md"), codes.Page(registered, found), 0o644)
}
