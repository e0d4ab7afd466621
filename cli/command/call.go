package command

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/cli/client"
	"github.com/hawser-dev/hawser/cli/output"
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
// refused without the hub belongs into the command's Args or PreRunE.
func (s *session) run(f func(*call) error) func(*cobra.Command, []string) error {
	return s.offline(func(c *call) (err error) {
		if c.api, err = s.client(); err != nil {
			return err
		}
		return f(c)
	})
}

// offline makes a cobra command of f, which needs no hub.
func (s *session) offline(f func(*call) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		format, err := output.Parse(s.output)
		if err != nil {
			return err
		}
		return f(&call{session: s, ctx: cmd.Context(), cmd: cmd, args: args, format: format})
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
	if err := c.api.DoWith(c.ctx, http.MethodPut, path, http.Header{"If-None-Match": {"*"}}, in, nil); err != nil {
		return err
	}
	c.note(done, args...)
	return nil
}

// documents reports whether the answer is for a program.
func (c *call) documents() bool { return c.format == output.JSON || c.format == output.YAML }

// one prints one object: the document, its name, or what text prints.
func (c *call) one(v any, name string, text func() error) error {
	switch {
	case c.documents():
		return output.Document(c.Out, c.format, v)
	case c.format == output.Name && name != "":
		return c.name(name)
	}
	return text()
}

func (c *call) name(name string) error {
	_, err := fmt.Fprintln(c.Out, output.Clean(name))
	return err
}

// list is the answer of the hub's list routes.
type list[T any] struct {
	Items []T       `json:"items"`
	AsOf  time.Time `json:"asOf"`
}

// listing says how a list is printed.
type listing[T any] struct {
	kind    string         // of the document
	name    func(T) string // nil: the table stands for the names too
	columns []output.Column
	row     func(T) []string
}

func (l listing[T]) print(c *call, items []T, asOf time.Time) error {
	switch {
	case c.documents():
		if items == nil {
			items = []T{} // a list of nothing, not null
		}
		return output.Document(c.Out, c.format, listDocument{"cli.hawser.dev/v1", l.kind, asOf, items})
	case c.format == output.Name && l.name != nil:
		for _, x := range items {
			if err := c.name(l.name(x)); err != nil {
				return err
			}
		}
		return nil
	}
	rows := make([][]string, 0, len(items))
	for _, x := range items {
		rows = append(rows, l.row(x))
	}
	return output.Rows(c.Out, c.format, l.columns, rows)
}

// fetch prints all that the hub lists at path.
func (l listing[T]) fetch(c *call, path string) error {
	var got list[T]
	if err := c.get(path, &got); err != nil {
		return err
	}
	return l.print(c, got.Items, got.AsOf)
}

// listDocument is the envelope of every list that is printed for programs.
type listDocument struct {
	APIVersion string    `json:"apiVersion"`
	Kind       string    `json:"kind"`
	AsOf       time.Time `json:"asOf"`
	Items      any       `json:"items"`
}
