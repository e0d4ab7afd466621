package command

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/model/decode"
	"github.com/hawser-dev/hawser/shared/policy"
)

// projectPreview is the hub's answer about a project before it is stored.
type projectPreview struct {
	Project string `json:"project"`
	Result  string `json:"result"`
	impact
	Widened  []string           `json:"widened"`
	Rules    []policy.RuleCount `json:"rules"`
	Warnings []string           `json:"warnings"`
}

// saving says how a project is saved.
type saving struct {
	dryRun bool
	// grants says that the command is there to allow more, so that nobody is asked
	// about that.
	grants bool
}

func (o *saving) flags(s *session, c *cobra.Command) {
	s.asks(c)
	c.Flags().Lookup("yes").Usage = "save also when applications become invalid by it, or when it allows more"
	c.Flags().BoolVar(&o.dryRun, "dry-run", false, "show what it would change, and save nothing")
}

// writtenProject reads a project as it was written, and its version.
func (c *call) writtenProject(name string) (p model.AppProject, version string, err error) {
	if err := c.get(projectPath(name), &p); err != nil {
		return p, "", err
	}
	version = p.Metadata.ResourceVersion
	m := &p.Metadata
	m.UID, m.ResourceVersion, m.Generation, m.CreationTimestamp, m.DeletionTimestamp = "", "", 0, nil, nil
	p.Status = nil
	return p, version, nil
}

// changeProject has a project changed, shows what comes of it, and saves it.
func (c *call) changeProject(name string, o saving, change func(*model.AppProject) error) error {
	p, version, err := c.writtenProject(name)
	if err != nil {
		return err
	}
	before, err := json.Marshal(p)
	if err != nil {
		return err
	}
	if err := change(&p); err != nil {
		return err
	}
	if err := decode.ValidateProject(&p); err != nil {
		return err
	}
	after, err := json.Marshal(p)
	if err != nil {
		return err
	}
	if bytes.Equal(before, after) {
		c.note("project %q is so already", name)
		return nil
	}
	return c.saveProject(p, version, o)
}

// saveProject shows what a project would change, asks when applications become
// invalid by it, and saves it. version is the one that it was read at, "" for any.
func (c *call) saveProject(p model.AppProject, version string, o saving) error {
	name := p.Metadata.Name
	var preview projectPreview
	if err := c.api.Do(c.ctx, http.MethodPost, projectPath(name)+"/preview", p, &preview); err != nil {
		return err
	}
	if o.dryRun && c.documents() {
		return c.document(preview)
	}
	w := c.Err
	if o.dryRun {
		w = c.Out
	}
	printPreview(w, preview, o.dryRun)
	if o.dryRun {
		if preview.InvalidCount > 0 {
			return exitWith(ExitNegative, nil)
		}
		return nil
	}
	if preview.InvalidCount > 0 || len(preview.Widened) > 0 && !o.grants {
		if err := c.confirmProject(preview); err != nil {
			return err
		}
	}
	header := http.Header{}
	if version != "" {
		header.Set("If-Match", `"`+version+`"`)
	}
	var stored model.AppProject
	if err := c.api.DoWith(c.ctx, http.MethodPut, projectPath(name), header, p, &stored); err != nil {
		return err
	}
	return c.one(stored, "project/"+name, func() error {
		c.note("project %q saved", name)
		return nil
	})
}

func (c *call) confirmProject(p projectPreview) error {
	if p.InvalidCount == 0 {
		return c.ask(consent{
			text: "Save it, and allow that?", cancelled: "nothing was saved",
			alone: fault.New(fault.Precondition, "project_widens", "project %q allows more by this, and nobody is there to ask; nothing was saved", p.Project).
				WithFix("add --yes to save it all the same, or --dry-run to look only"),
		})
	}
	return c.ask(consentToInvalid(p.InvalidCount))
}

// printPreview tells people what a project would change. all tells also what each
// rule matches.
func printPreview(w io.Writer, p projectPreview, all bool) {
	line := lines(w)
	for _, text := range p.Warnings {
		line("warning: %s", text)
	}
	if all {
		for _, r := range p.Rules {
			line("%s", ruleLine(r))
		}
	}
	for _, text := range p.Widened {
		line("now allows %s", text)
	}
	p.impact.print(w, all)
}

func ruleLine(r policy.RuleCount) string {
	verb := "matches"
	if r.Denies {
		verb = "denies"
	}
	text := fmt.Sprintf("%s %s: %s ", r.List, r.Rule, verb)
	if r.Clusters != nil {
		text += fmt.Sprintf("%d clusters, ", *r.Clusters)
	}
	text += fmt.Sprintf("%d applications", r.Applications)
	if r.Objects > 0 {
		text += fmt.Sprintf(", %d objects", r.Objects)
	}
	return text
}

func newProjectApply(s *session) *cobra.Command {
	var files []string
	var o saving
	var projects []model.AppProject
	c := &cobra.Command{
		Use:   "apply -f FILE",
		Short: "Create or change projects from files, after showing what that changes",
		Args:  exactArgs(),
		PreRunE: func(*cobra.Command, []string) error {
			if len(files) == 0 {
				return fault.New(fault.Invalid, "usage", "nothing to apply").WithFix("name a file: hawser project apply -f FILE")
			}
			texts, err := s.readTexts(files)
			if err != nil {
				return err
			}
			for _, f := range texts {
				docs, err := decode.Documents(f.data)
				if err != nil {
					return inFile(f.name, err)
				}
				for _, d := range docs {
					switch {
					case d.Err != nil:
						return inFile(f.name, d.Err)
					case d.Project == nil:
						return fault.New(fault.Invalid, "kind_unexpected", "%s: line %d: %s is no project", f.name, d.Line, d.Kind).WithFix("hawser apply -f FILE takes everything")
					}
					projects = append(projects, *d.Project)
				}
			}
			return nil
		},
		RunE: s.run(func(c *call) error {
			for _, p := range projects {
				if err := c.saveProject(p, "", o); err != nil {
					return err
				}
			}
			return nil
		}),
	}
	c.Flags().StringArrayVarP(&files, "filename", "f", nil, "file, directory, or - for standard input")
	o.flags(s, c)
	return c
}

func newProjectEdit(s *session) *cobra.Command {
	var o saving
	c := &cobra.Command{
		Use:   "edit NAME",
		Short: "Change a project in an editor",
		Long: `Change a project in the editor that $HAWSER_EDITOR, $VISUAL or $EDITOR names, as YAML.
What it would change is shown before it is saved.`,
		Args: exactArgs("NAME"),
		RunE: s.run(func(c *call) error { return c.editProject(c.args[0], o, c.editor()) }),
	}
	o.flags(s, c)
	return c
}

func (c *call) editProject(name string, o saving, open editor) error {
	p, version, err := c.writtenProject(name)
	if err != nil {
		return err
	}
	text, err := yaml.Marshal(p)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "hawser-edit-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // what was written is kept elsewhere
	file := filepath.Join(dir, filepath.Base(name)+".yaml")
	head := "# Change the project " + name + " and leave the editor to save it. Lines that begin\n# with # are left out. A file that was not changed saves nothing.\n"
	var last error
	for shown := text; ; {
		if err := os.WriteFile(file, append([]byte(head), shown...), 0o600); err != nil {
			return err
		}
		if err := open(c.ctx, file); err != nil {
			return err
		}
		b, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		now := withoutComments(b)
		if len(bytes.TrimSpace(now)) == 0 || bytes.Equal(now, withoutComments(shown)) {
			if last != nil {
				return c.keepEdit(now, last)
			}
			c.note("nothing was changed")
			return nil
		}
		changed, err := decode.Project(now)
		if err == nil && changed.Metadata.Name != name {
			err = fault.New(fault.Invalid, "name_mismatch", "a project keeps its name, %q", name).WithField("metadata.name")
		}
		if err != nil {
			last, shown = err, now
			head = commented(err)
			continue
		}
		if err := c.saveProject(changed, version, o); err != nil {
			return c.keepEdit(now, err)
		}
		return nil
	}
}
