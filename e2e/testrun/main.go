package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

func main() {
	if err := report(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "testrun:", err)
		os.Exit(1)
	}
}

// event is a line of go test -json; see go doc test2json.
type event struct {
	Action, Package, Test, Output string
}

// report prints until in ends. What is no event is printed as it is.
func report(in io.Reader, out io.Writer) error {
	said := map[string]map[string][]string{} // by package and test
	var skipped []string
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			var e event
			if json.Unmarshal([]byte(line), &e) != nil {
				fmt.Fprint(out, line)
			} else {
				skipped = append(skipped, take(out, said, e)...)
			}
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
	}
	fmt.Fprintf(out, "%d test(s) skipped themselves\n", len(skipped))
	for _, s := range skipped {
		fmt.Fprintln(out, "  "+s)
	}
	return nil
}

// take deals with one event and returns the tests that it says were skipped.
func take(out io.Writer, said map[string]map[string][]string, e event) (skipped []string) {
	if said[e.Package] == nil {
		said[e.Package] = map[string][]string{}
	}
	tests := said[e.Package]
	switch e.Action {
	case "build-output":
		fmt.Fprint(out, e.Output)
	case "output":
		tests[e.Test] = append(tests[e.Test], e.Output)
	case "pass", "skip":
		if e.Test == "" {
			for _, line := range tests[""] {
				if strings.HasPrefix(line, "ok ") {
					fmt.Fprint(out, line)
				}
			}
			delete(said, e.Package)
			break
		}
		if e.Action == "skip" {
			skipped = append(skipped, e.Package+" "+e.Test+": "+reason(tests[e.Test]))
		}
		delete(tests, e.Test)
	case "fail":
		write(out, tests[e.Test])
		delete(tests, e.Test)
		if e.Test != "" {
			break
		}
		// What never came to an end has something to say as well.
		var left []string
		for test := range tests {
			left = append(left, test)
		}
		slices.Sort(left)
		for _, test := range left {
			write(out, tests[test])
		}
		delete(said, e.Package)
	}
	return skipped
}

func write(out io.Writer, lines []string) {
	for _, line := range lines {
		fmt.Fprint(out, line)
	}
}

// reason is what a skipped test said, on one line.
func reason(lines []string) string {
	var words []string
	for _, line := range lines {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "===") && !strings.HasPrefix(line, "--- SKIP") {
			words = append(words, line)
		}
	}
	if len(words) == 0 {
		return "no reason was given"
	}
	return strings.Join(words, " ")
}
