package command

import (
	"context"
	"fmt"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/cli/client"
	"github.com/hawser-dev/hawser/cli/output"
	"github.com/hawser-dev/hawser/shared/fault"
)

// call is one run of a command: what was asked, whom to ask and how to print.
type call struct {
	*session
	ctx    context.Context
	cmd    *cobra.Command
	args   []string
	format output.Format
	api    *client.Client // nil in a command that needs no hub
}

// run makes a cobra command of f, which speaks to the hub. Whatever can be
// refused without the hub belongs into the command's Args or PreRunE. With -w it
// is run again whenever something changes; one and listing print what is new.
func (s *session) run(f func(*call) error) func(*cobra.Command, []string) error {
	return s.offline(func(c *call) (err error) {
		if c.api, err = s.client(); err != nil {
			return err
		}
		if !s.watch { // which ends well when its time is over
			// Of everything together: names that are looked up, what is waited for, and
			// what is asked once that is over.
			ctx, cancel := s.limit(c.ctx, 0)
			defer cancel()
			c.ctx = ctx
		}
		if s.web {
			return c.browse()
		}
		if err := c.resolveNames(); err != nil {
			return c.suggest(err)
		}
		if cmd := c.cmd; cmd.Annotations[severalKey] != "" {
			one := f
			f = func(c *call) error { return c.each(one) }
		}
		ask := f
		f = func(c *call) error { return c.suggest(ask(c)) }
		if s.watch {
			return c.watchWith(f)
		}
		return f(c)
	})
}

// offline makes a cobra command of f, which needs no hub.
func (s *session) offline(f func(*call) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		if err := s.checkFlags(); err != nil {
			return err
		}
		printer, err := s.printerOf(cmd)
		if err != nil {
			return err
		}
		if s.manyTypes && (printer.Documents() || s.watch || s.web) {
			return fault.New(fault.Invalid, "usage", "things of several types are printed for people only").WithFix("ask for one type at a time")
		}
		s.printer, s.running = printer, cmd
		return f(&call{session: s, ctx: cmd.Context(), cmd: cmd, args: args, format: printer.Format})
	}
}

// get asks the hub for path.
func (c *call) get(path string, out any) error { return c.api.Get(c.ctx, path, out) }

// change asks the hub to do something that has no answer worth printing, and
// tells a person that it is done.
func (c *call) change(method, path string, in any, done string, args ...any) error {
	if err := c.api.Do(c.ctx, method, path, in, nil); err != nil {
		return err
	}
	c.note(done, args...)
	return nil
}

// create puts an object that must not exist yet.
func (c *call) create(path string, in any, done string, args ...any) error {
	header, err := c.api.Call(c.ctx, http.MethodPut, path, http.Header{"If-None-Match": {"*"}}, in, nil)
	if err != nil {
		return err
	}
	for _, text := range client.Warnings(header) {
		fmt.Fprintln(c.Err, output.Clean("warning: "+text))
	}
	c.note(done, args...)
	return nil
}

// documents reports whether the answer is for a program.
func (c *call) documents() bool { return c.printer.Documents() }

// document prints v in the format that was asked for, which is one of documents.
func (c *call) document(v any) error {
	if c.printer.ListsFields() {
		return c.listFields(v)
	}
	if err := c.checkFieldsOf(v); err != nil {
		return err
	}
	return c.printer.Print(c.Out, v)
}

// one prints one object: the document, its name, or what text prints. With -w it
// prints nothing when the object is as it was.
func (c *call) one(v any, name string, text func() error) error {
	if c.collect != nil {
		c.collect.items, c.collect.names = append(c.collect.items, v), append(c.collect.names, name)
		return nil
	}
	if c.seen != nil {
		fresh, err := c.seen.changed(name, v)
		if err != nil || !fresh {
			return err
		}
	}
	switch {
	case c.documents():
		return c.document(v)
	case c.format == output.Name && name != "":
		return c.name(name)
	case c.format == output.Tree:
		return c.noTree()
	}
	return text()
}

// noTree refuses -o tree.
func (c *call) noTree() error {
	return fault.New(fault.Invalid, "output_unknown", "%s has no tree to show", c.cmd.CommandPath()).WithFix("see hawser app tree")
}

func (c *call) name(name string) error {
	_, err := fmt.Fprintln(c.Out, output.Clean(name))
	return err
}

// sheet is a table with these columns as the flags want it.
func (c *call) sheet(columns []output.Column) (*output.Sheet, error) {
	t := &output.Sheet{Columns: columns, Wide: c.format == output.Wide, NoHeaders: c.noHeaders, Look: c.look()}
	if names := c.lists.columns; names != "" {
		return t, t.Choose(splitList(names))
	}
	return t, nil
}

// rows prints a table.
func (c *call) rows(columns []output.Column, rows [][]string) error {
	t, err := c.sheet(columns)
	if err != nil {
		return err
	}
	return t.Print(c.Out, rows)
}
