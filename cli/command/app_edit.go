package command

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/model/decode"
)

func newAppEdit(s *session) *cobra.Command {
	return &cobra.Command{
		Use:   "edit NAME",
		Short: "Change an application in an editor",
		Long: `Change an application in the editor that $HAWSER_EDITOR, $VISUAL or $EDITOR names, as
YAML. What is refused comes back in the editor with the reason above it; an empty file,
or one that was not changed, ends the command. Nothing is written over what somebody
else has written meanwhile.`,
		Args: exactArgs("NAME"),
		RunE: s.run(func(c *call) error {
			a, version, err := c.writtenApp(c.args[0])
			if err != nil {
				return err
			}
			return c.edit(a, version, c.editor())
		}),
	}
}

// editor has a person change a file, and returns when he has left it.
type editor func(ctx context.Context, file string) error

// editor starts the user's editor on the terminal.
func (c *call) editor() editor {
	fallback := "vi"
	if runtime.GOOS == "windows" {
		fallback = "notepad"
	}
	words := strings.Fields(cmp.Or(os.Getenv("HAWSER_EDITOR"), os.Getenv("VISUAL"), os.Getenv("EDITOR"), fallback))
	return func(ctx context.Context, file string) error {
		cmd := exec.CommandContext(ctx, words[0], append(words[1:], file)...) //nolint:gosec // the user's own editor
		cmd.Stdin, cmd.Stdout, cmd.Stderr = c.In, c.Out, c.Err
		if err := cmd.Run(); err != nil {
			return fault.New(fault.Invalid, "editor_failed", "the editor %s ended with: %s", words[0], err).WithFix("set EDITOR to the one that is to be used")
		}
		return nil
	}
}

const editHelp = `# Change the application %NAME% and leave the editor to write it. Lines that begin
# with # are left out. An empty file, or one that was not changed, writes nothing.
`

// edit has the application changed until the hub takes it or the user gives up. What
// he wrote last is kept in a file when it was never taken.
func (c *call) edit(a model.Application, version string, open editor) error {
	text, err := yaml.Marshal(a)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "hawser-edit-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // only what was written is of use
	file := filepath.Join(dir, filepath.Base(a.Metadata.Name)+".yaml")
	head := strings.ReplaceAll(editHelp, "%NAME%", a.Metadata.Name)
	var last error
	for shown := text; ; {
		if err := os.WriteFile(file, append([]byte(head), shown...), 0o600); err != nil {
			return err
		}
		if err := open(c.ctx, file); err != nil {
			return errors.Join(err, last)
		}
		b, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		now := withoutComments(b)
		switch {
		case len(bytes.TrimSpace(now)) == 0, bytes.Equal(now, withoutComments(shown)):
			if last != nil {
				return c.keepEdit(now, last)
			}
			c.note("nothing was changed")
			return nil
		}
		changed, err := decode.Application(now)
		if err == nil && changed.Metadata.Name != a.Metadata.Name {
			err = fault.New(fault.Invalid, "name_mismatch", "an application keeps its name, %q", a.Metadata.Name).WithField("metadata.name")
		}
		if err == nil {
			var written model.Application
			if written, err = c.putApp(a.Metadata.Name, version, changed); err == nil {
				c.note("application %q changed", a.Metadata.Name)
				return c.printChanged(written)
			}
		}
		if fault.HasCode(err, "version_conflict") || c.ctx.Err() != nil || fault.Is(err, fault.Unavailable) || fault.Is(err, fault.Unauthorized) {
			return c.keepEdit(now, err) // another visit to the editor puts none of these right
		}
		last, shown = err, now
		head = strings.ReplaceAll(editHelp, "%NAME%", a.Metadata.Name) + commented(err)
	}
}

// keepEdit leaves what was written where it can be found.
func (c *call) keepEdit(text []byte, why error) error {
	if len(bytes.TrimSpace(text)) == 0 {
		return why
	}
	f, err := os.CreateTemp("", "hawser-edit-*.yaml")
	if err != nil {
		return why
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Close()); err == nil {
		c.note("what you wrote is in %s", f.Name())
	}
	return why
}

// commented is an error as comments of YAML.
func commented(err error) string {
	var b bytes.Buffer
	printError(&b, err)
	var out strings.Builder
	for line := range strings.Lines("\n" + b.String()) {
		out.WriteString("# " + strings.TrimRight(line, "\n") + "\n")
	}
	return out.String() + "#\n"
}

// withoutComments leaves out the lines that are comments as a whole at the head of
// a text: further down they may be text of a value.
func withoutComments(b []byte) []byte {
	for len(b) > 0 && (b[0] == '#' || b[0] == '\n') {
		_, rest, _ := bytes.Cut(b, []byte("\n"))
		b = rest
	}
	return b
}
