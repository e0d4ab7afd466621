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

	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/cli/client"
	"github.com/hawser-dev/hawser/cli/output"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model/decode"
)

// applied is the hub's answer about one document.
type applied struct {
	Kind   string `json:"kind"`
	Name   string `json:"name"`
	Result string `json:"result"`
	// Message is what the result does not say.
	Message string `json:"message,omitempty"`
	// Warnings say what is dangerous about it all the same.
	Warnings []string `json:"warnings,omitempty"`
	// Preview is what a project would change, of a dry run.
	Preview *projectPreview `json:"preview,omitempty"`
	Error   json.RawMessage `json:"error,omitempty"`

	from place // where it was written, as far as that is known
}

// place is where a document was written.
type place struct {
	text string // its file, and which document of it
	err  error  // what is wrong with it whoever reads it, with its line in the file
}

// problem is what the hub says is wrong. It counts lines in all that was sent, so
// what was seen here too is said with the line in the file.
func (x applied) problem() error {
	err := client.Problem(x.Error, http.StatusInternalServerError)
	if x.from.err != nil && fault.HasCode(x.from.err, fault.As(err).Code) {
		return x.from.err
	}
	return err
}

// placesOf says where each document of some files is. A file that nobody can read
// is an error, and nothing is sent then.
// projects says whether there are projects among them.
func placesOf(files []textFile) (out []place, projects bool, err error) {
	for _, f := range files {
		docs, err := decode.Documents(f.data)
		if err != nil {
			return nil, false, inFile(f.name, err)
		}
		for i, d := range docs {
			projects = projects || d.Project != nil
			text := f.name
			if len(docs) > 1 {
				text += fmt.Sprintf(", document %d", i+1)
			}
			out = append(out, place{text, d.Err})
		}
	}
	return out, projects, nil
}

func (x applied) failed() bool { return x.Result == "failed" }

func newApply(s *session) *cobra.Command {
	var files []string
	var body []byte
	var places []place
	var projects, dryRun bool
	c := &cobra.Command{
		Use:   "apply -f FILE",
		Short: "Create or change projects, applications and application sets from Argo CD's YAML, unchanged",
		Long: `Create or change projects, applications and application sets from files. Argo CD's
Application, AppProject and ApplicationSet are taken as they are. FILE may be a directory (its .yaml, .yml and
.json files) or - for standard input; -f may be repeated.

Which applications become invalid by a project is shown before anything is saved. At a
terminal you are asked then; elsewhere it is saved all the same, as pipelines expect
(hawser project apply refuses there).`,
		Args: exactArgs(),
		PreRunE: func(*cobra.Command, []string) (err error) {
			if len(files) == 0 {
				return fault.New(fault.Invalid, "usage", "nothing to apply").WithFix("name a file: hawser apply -f FILE")
			}
			texts, err := s.readTexts(files)
			if err != nil {
				return err
			}
			body = joined(texts)
			places, projects, err = placesOf(texts)
			return err
		},
		RunE: s.run(func(c *call) error {
			if dryRun {
				items, err := c.applied(body, places, true)
				if err != nil {
					return err
				}
				return c.printWouldApply(items)
			}
			if projects {
				if err := c.askOfProjects(body, places); err != nil {
					return err
				}
			}
			items, err := c.applied(body, places, false)
			if err != nil {
				return err
			}
			return c.printApplied(items)
		}),
	}
	c.Flags().StringArrayVarP(&files, "filename", "f", nil, "file, directory, or - for standard input")
	c.Flags().BoolVar(&dryRun, "dry-run", false, "have the hub check everything and show what would change, and save nothing")
	s.asks(c)
	c.Flags().Lookup("yes").Usage = "save also when applications become invalid by a project"
	return c
}

// inFile says of an error in which file it is.
func inFile(name string, err error) error {
	in := func(e *fault.Error) *fault.Error {
		there := *e
		there.Message = name + ": " + e.Message
		return &there
	}
	var list fault.List
	if !errors.As(err, &list) {
		return in(fault.As(err))
	}
	out := make(fault.List, 0, len(list))
	for _, e := range list {
		out = append(out, in(e))
	}
	return out
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
			fmt.Fprintln(c.Err, output.Clean(fmt.Sprintf("warning: %s/%s: %s", typeOf(x.Kind), x.Name, text)))
		}
	}
	if code := exitOfApplied(items); code != ExitOK {
		return exitWith(code, nil)
	}
	return nil
}

func (c *call) printAppliedItem(x applied) {
	name := output.Clean(typeOf(x.Kind) + "/" + x.Name)
	switch {
	case x.failed():
		where := ""
		switch {
		case x.from.text == "":
		case x.Name == "":
			name = output.Clean(x.from.text)
		default:
			where = ", in " + output.Clean(x.from.text)
		}
		fmt.Fprintf(c.Err, "%s failed%s\n", name, where)
		printError(c.Err, x.problem())
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

// textFile is a file as it was read.
type textFile struct {
	name string
	data []byte
}

// joined are files as one text of YAML documents.
func joined(files []textFile) []byte {
	var out bytes.Buffer
	for _, f := range files {
		if out.Len() > 0 {
			out.WriteString("\n---\n")
		}
		out.Write(f.data)
	}
	return out.Bytes()
}

// readDocuments joins the files as YAML documents.
func (s *session) readDocuments(files []string) ([]byte, error) {
	texts, err := s.readTexts(files)
	return joined(texts), err
}

// readTexts reads files, directories in order of their names.
func (s *session) readTexts(files []string) (out []textFile, err error) {
	for _, name := range files {
		if name == "-" {
			b, err := io.ReadAll(s.In)
			if err != nil {
				return nil, err
			}
			out = append(out, textFile{"standard input", b})
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
			out = append(out, textFile{p, b})
		}
	}
	return out, nil
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
