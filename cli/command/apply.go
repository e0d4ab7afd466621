package command

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/cli/client"
	"github.com/hawser-dev/hawser/cli/output"
	"github.com/hawser-dev/hawser/shared/fault"
)

// applied is the hub's answer about one document.
type applied struct {
	Kind   string `json:"kind"`
	Name   string `json:"name"`
	Result string `json:"result"`
	// Message is what the result does not say.
	Message string `json:"message,omitempty"`
	// Warnings say what is dangerous about it all the same.
	Warnings []string        `json:"warnings,omitempty"`
	Error    json.RawMessage `json:"error,omitempty"`
}

func (x applied) failed() bool { return x.Result == "failed" }

func newApply(s *session) *cobra.Command {
	var files []string
	var body []byte
	c := &cobra.Command{
		Use:   "apply -f FILE",
		Short: "Create or change projects, applications and application sets from Argo CD's YAML, unchanged",
		Long: `Create or change projects, applications and application sets from files. Argo CD's
Application, AppProject and ApplicationSet are taken as they are. FILE may be a directory (its .yaml, .yml and
.json files) or - for standard input; -f may be repeated.`,
		Args: exactArgs(),
		PreRunE: func(*cobra.Command, []string) (err error) {
			if len(files) == 0 {
				return fault.New(fault.Invalid, "usage", "nothing to apply").WithFix("name a file: hawser apply -f FILE")
			}
			body, err = s.readDocuments(files)
			return err
		},
		RunE: s.run(func(c *call) error {
			var got struct {
				Items []applied `json:"items"`
			}
			if err := c.api.Do(c.ctx, http.MethodPost, "/apply", body, &got); err != nil {
				return err
			}
			return c.printApplied(got.Items)
		}),
	}
	c.Flags().StringArrayVarP(&files, "filename", "f", nil, "file, directory, or - for standard input")
	return c
}

func (c *call) printApplied(items []applied) error {
	if c.documents() {
		if err := c.document(map[string]any{"items": items}); err != nil {
			return err
		}
	} else {
		for _, x := range items {
			c.printAppliedItem(x)
		}
	}
	for _, x := range items {
		for _, text := range x.Warnings {
			fmt.Fprintln(c.Err, output.Clean(fmt.Sprintf("warning: %s/%s: %s", strings.ToLower(x.Kind), x.Name, text)))
		}
	}
	if code := exitOfApplied(items); code != ExitOK {
		return exitWith(code, nil)
	}
	return nil
}

func (c *call) printAppliedItem(x applied) {
	name := output.Clean(strings.ToLower(x.Kind) + "/" + x.Name)
	switch {
	case x.failed():
		fmt.Fprintf(c.Err, "%s failed\n", name)
		printError(c.Err, client.Problem(x.Error, http.StatusInternalServerError))
	case c.format == output.Name:
		fmt.Fprintln(c.Out, name)
	default:
		text := x.Result
		if x.Message != "" {
			text += " (" + x.Message + ")"
		}
		fmt.Fprintf(c.Out, "%s %s\n", name, output.Clean(text))
	}
}

// exitOfApplied is the status of the first failure when nothing was applied,
// else ExitPartial.
func exitOfApplied(items []applied) int {
	failed := 0
	for _, x := range items {
		if x.failed() {
			failed++
		}
	}
	switch failed {
	case 0:
		return ExitOK
	case len(items):
		return fault.As(client.Problem(items[0].Error, http.StatusInternalServerError)).Kind.ExitCode()
	}
	return ExitPartial
}

// readDocuments joins the files as YAML documents, directories in order of
// their names.
func (s *session) readDocuments(files []string) ([]byte, error) {
	var out bytes.Buffer
	add := func(b []byte) {
		if out.Len() > 0 {
			out.WriteString("\n---\n")
		}
		out.Write(b)
	}
	for _, name := range files {
		if name == "-" {
			b, err := io.ReadAll(s.In)
			if err != nil {
				return nil, err
			}
			add(b)
			continue
		}
		info, err := os.Stat(name)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fault.New(fault.NotFound, "file_not_found", "%s does not exist", name)
		}
		if err != nil {
			return nil, fault.New(fault.Invalid, "file_unreadable", "%s", err)
		}
		paths := []string{name}
		if info.IsDir() {
			if paths, err = manifestsIn(name); err != nil {
				return nil, err
			}
		}
		for _, p := range paths {
			b, err := os.ReadFile(p)
			if err != nil {
				return nil, fault.New(fault.Invalid, "file_unreadable", "%s", err)
			}
			add(b)
		}
	}
	return out.Bytes(), nil
}

func manifestsIn(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fault.New(fault.Invalid, "file_unreadable", "%s", err)
	}
	var paths []string
	for _, e := range entries {
		if !e.IsDir() && slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(e.Name())) {
			paths = append(paths, filepath.Join(dir, e.Name()))
		}
	}
	if len(paths) == 0 {
		return nil, fault.New(fault.NotFound, "file_not_found", "%s has no .yaml, .yml or .json file", dir)
	}
	return paths, nil
}
