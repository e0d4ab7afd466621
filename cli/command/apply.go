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

	"github.com/hawser-dev/hawser/cli/output"
	"github.com/hawser-dev/hawser/shared/fault"
)

// applied is the hub's answer about one document.
type applied struct {
	Kind   string          `json:"kind"`
	Name   string          `json:"name"`
	Result string          `json:"result"`
	Error  json.RawMessage `json:"error,omitempty"`
}

func newApply(s *session) *cobra.Command {
	var files []string
	c := &cobra.Command{
		Use:   "apply -f FILE",
		Short: "Create or change projects and applications from Argo CD's YAML, unchanged",
		Long: `Create or change projects and applications from files. Argo CD's Application and
AppProject are taken as they are. FILE may be a directory (its .yaml, .yml and
.json files) or - for standard input; -f may be repeated.`,
		Args: exactArgs(),
		RunE: func(c *cobra.Command, _ []string) error {
			if len(files) == 0 {
				return fault.New(fault.Invalid, "usage", "nothing to apply").WithFix("name a file: hawser apply -f FILE")
			}
			body, err := s.readDocuments(files)
			if err != nil {
				return err
			}
			api, err := s.client()
			if err != nil {
				return err
			}
			f, err := s.outputFormat()
			if err != nil {
				return err
			}
			var got struct {
				Items []applied `json:"items"`
			}
			if err := api.Do(c.Context(), http.MethodPost, "/apply", body, &got); err != nil {
				return err
			}
			return s.printApplied(f, got.Items)
		},
	}
	c.Flags().StringArrayVarP(&files, "filename", "f", nil, "file, directory, or - for standard input")
	return c
}

func (s *session) printApplied(f output.Format, items []applied) error {
	failed := 0
	for _, x := range items {
		if x.Result == "failed" {
			failed++
		}
	}
	switch f {
	case output.JSON, output.YAML:
		if err := output.Document(s.Out, f, map[string]any{"items": items}); err != nil {
			return err
		}
	default:
		for _, x := range items {
			name := strings.ToLower(x.Kind) + "/" + output.Clean(x.Name)
			if x.Result == "failed" {
				fmt.Fprintf(s.Err, "%s failed\n", name)
				s.printProblem(x.Error)
				continue
			}
			if f == output.Name {
				fmt.Fprintln(s.Out, name)
			} else {
				fmt.Fprintf(s.Out, "%s %s\n", name, x.Result)
			}
		}
	}
	if failed == 0 {
		return nil
	}
	if failed == len(items) {
		return exitWith(exitOfProblem(items[0].Error), nil)
	}
	return exitWith(ExitPartial, nil)
}

// printProblem prints a problem document that came inside another answer.
func (s *session) printProblem(raw json.RawMessage) {
	if e := faultOf(raw); e != nil {
		printFault(s.Err, e)
	}
}

func faultOf(raw json.RawMessage) *fault.Error {
	var p struct {
		Kind    fault.Kind      `json:"kind"`
		Code    string          `json:"code"`
		Detail  string          `json:"detail"`
		Field   string          `json:"field"`
		Allowed string          `json:"allowed"`
		Fix     string          `json:"fix"`
		Explain json.RawMessage `json:"explain"`
	}
	if json.Unmarshal(raw, &p) != nil {
		return nil
	}
	e := &fault.Error{Kind: p.Kind, Code: p.Code, Message: p.Detail, Field: p.Field, Allowed: p.Allowed, Fix: p.Fix}
	if len(p.Explain) > 0 {
		e.Explain = p.Explain
	}
	return e
}

func exitOfProblem(raw json.RawMessage) int {
	if e := faultOf(raw); e != nil && e.Kind.ExitCode() != 0 {
		return e.Kind.ExitCode()
	}
	return ExitError
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
