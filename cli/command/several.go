package command

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/cli/output"
	"github.com/hawser-dev/hawser/shared/fault"
)

// severalKey marks commands that are about one thing and take several names: they
// do the same with one after the other.
const severalKey = "hawser.dev/several"

// severalVerbs are the verbs that take several names, of every noun that is one of
// the types.
var severalVerbs = []string{"get", "describe", "delete", "remove"}

// takesSeveral has the nouns' commands for one name take more of them.
func takesSeveral(root *cobra.Command) {
	for _, n := range nouns {
		parent := childOf(root, n.name)
		if parent == nil {
			continue
		}
		for _, verb := range severalVerbs {
			c := childOf(parent, verb)
			if c == nil || c.Annotations[severalKey] != "" {
				continue
			}
			verb, what, ok := strings.Cut(c.Use, " ")
			if !ok || strings.ContainsAny(what, " [|…") {
				continue
			}
			if c.Annotations == nil {
				c.Annotations = map[string]string{}
			}
			c.Annotations[severalKey] = n.name
			c.Use = verb + " " + what + "…"
			c.Args = someArgs(what)
		}
	}
}

// someArgs wants at least one argument.
func someArgs(name string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) > 0 {
			return nil
		}
		return exactArgs(name)(c, args)
	}
}

// collected is what commands about one thing have to print, held back until all
// are done, because it is one document or one table.
type collected struct {
	items []any
	names []string
}

// afterAll has f run when all that is named has been asked for; at once where one
// thing is named. It is for waiting: what is asked for last is not to wait for the
// end of what was asked for first.
func (c *call) afterAll(f func(*call) error) error {
	if c.later == nil {
		return f(c)
	}
	*c.later = append(*c.later, f)
	return nil
}

// each runs f for one name after the other. What fails does not keep the others
// from being done; all that failed is said at the end.
func (c *call) each(f func(*call) error) error {
	names := make([]string, 0, len(c.args))
	for _, name := range c.args {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if len(names) == 1 {
		one := *c
		one.args = names
		return f(&one)
	}
	if (c.watch || c.web) && c.cmd.Name() != "get" {
		return fault.New(fault.Invalid, "usage", "-w and --web are for one name")
	}
	table := c.tableOfSeveral()
	if table != nil || c.documents() || c.format == output.Name {
		c.collect = &collected{}
		defer func() { c.collect = nil }()
	}
	later := []func(*call) error{}
	c.later = &later
	defer func() { c.later = nil }()
	var failed []error
	did := func(err error) (fatal error) {
		switch {
		case err == nil:
		case c.ctx.Err() != nil || errors.Is(err, context.DeadlineExceeded) || fault.Is(err, fault.Unauthorized):
			return err // the same for all
		default:
			failed = append(failed, err)
		}
		return nil
	}
	for i, name := range names {
		if i > 0 && c.collect == nil && c.readsOnly() {
			fmt.Fprintln(c.Out)
		}
		one := *c
		one.args = []string{name}
		if err := did(f(&one)); err != nil {
			return err
		}
	}
	c.later = nil
	for _, f := range later {
		if err := did(f(c)); err != nil {
			return err
		}
	}
	if err := c.printCollected(table); err != nil {
		return err
	}
	return severalErrors(failed, len(names))
}

// readsOnly reports whether what is printed are descriptions, between which there
// is an empty line.
func (c *call) readsOnly() bool { return reads(c.cmd) }

// tableOfSeveral prints what get found as the list of its noun does, as kubectl's
// get; nil where that is not what was asked for.
func (c *call) tableOfSeveral() func(*call, []any) error {
	if c.cmd.Name() != "get" || (c.format != output.Table && c.format != output.Wide && !c.documents()) {
		return nil
	}
	if f := c.cmd.Flags().Lookup("show-operation"); f != nil && f.Changed {
		return nil
	}
	for _, n := range nouns {
		if n.name == c.cmd.Annotations[severalKey] {
			return c.tables[n.path]
		}
	}
	return nil
}

// printCollected prints what was held back: one table, one document, or names.
func (c *call) printCollected(table func(*call, []any) error) error {
	held := c.collect
	if held == nil {
		return nil
	}
	c.collect = nil
	if c.format == output.Name {
		for _, name := range held.names {
			if err := c.name(name); err != nil {
				return err
			}
		}
		return nil
	}
	if len(held.items) == 0 {
		return nil
	}
	if table != nil {
		return table(c, held.items)
	}
	return c.document(listDocument{APIVersion: apiVersion, Kind: "List", AsOf: c.now(), Items: held.items})
}

// severalErrors is the end of a command about several things: the status of all
// failures when nothing went well, else that of a part.
func severalErrors(failed []error, asked int) error {
	if len(failed) == 0 {
		return nil
	}
	var list fault.List
	codes := map[int]bool{}
	for _, err := range failed {
		var exit exitError
		code := 0
		if errors.As(err, &exit) {
			code = exit.code
		}
		var several fault.List
		if errors.As(err, &several) {
			list = append(list, several...)
		} else if !(code != 0 && exit.err == nil) {
			list = append(list, fault.As(err))
		}
		if code == 0 {
			code = exitCode(context.Background(), err)
		}
		codes[code] = true
	}
	code := ExitPartial
	if len(failed) == asked && len(codes) == 1 {
		for only := range codes {
			code = only
		}
	}
	if len(list) == 0 {
		return exitWith(code, nil)
	}
	return exitWith(code, list)
}
