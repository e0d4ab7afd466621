package command

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/hawser-dev/hawser/cli/output"
	"github.com/hawser-dev/hawser/cli/textdiff"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// exitChoice says with which status a command ends that found differences.
type exitChoice struct {
	mode string // true, false or terraform
	code int
}

func (e *exitChoice) register(c *cobra.Command) {
	c.Flags().StringVar(&e.mode, "exit-code", "true", "exit with 1 when something differs; false: with 0; terraform: 2, and 1 for errors")
	c.Flags().Lookup("exit-code").NoOptDefVal = "true"
	c.Flags().IntVar(&e.code, "diff-exit-code", ExitNegative, "exit status when something differs")
}

func (e *exitChoice) check() error {
	switch e.mode {
	case "true", "false", "terraform":
		return nil
	}
	return fault.New(fault.Invalid, "usage", "--exit-code %q is not known", e.mode).WithFix("use true, false or terraform")
}

// of is the end of a command that found differences, or did not, or failed.
func (e *exitChoice) of(differs bool, err error) error {
	switch {
	case err != nil && e.mode == "terraform":
		var exit exitError
		if errors.As(err, &exit) {
			err = exit.err
		}
		return exitWith(ExitNegative, err)
	case err != nil || !differs || e.mode == "false":
		return err
	case e.mode == "terraform":
		return exitWith(2, nil)
	}
	return exitWith(e.code, nil)
}

func newAppDiff(s *session) *cobra.Command {
	var (
		exit      exitChoice
		revisions revisionFlags
		local     localFlags
		which     appSelection
		markdown  bool
		refresh   bool
		hard      bool
	)
	c := &cobra.Command{
		Use:   "diff NAME… | -l SELECTOR",
		Short: "What differs between Git and the cluster, another revision, or a directory",
		Long: `Fields that differ between Git and the cluster, and who set them, as the agent sees them.

With --revision: what another revision would change of what is desired now. With
--local: what the files of a directory would change; they are sent to the hub, which
renders them as it renders the repository and asks the project. Nothing is stored, and
the cluster is not asked in either case. "hawser app plan" asks it.

The exit status is 0 when nothing differs, 1 when something does and 2 or more for
errors: 10 when the newest revision cannot be rendered. Values of Secrets are redacted. $KUBECTL_EXTERNAL_DIFF is called with two
directories when it is set.`,
		Example: `  hawser app diff shop
  hawser app diff shop --revision v2
  hawser app diff -l team=pay --local . -o markdown > diff.md`,
		Args: which.args,
		PreRunE: func(*cobra.Command, []string) error {
			markdown = s.take("markdown") != ""
			if err := exit.check(); err != nil {
				return err
			}
			q, err := revisions.query()
			if err == nil && len(q) > 0 && local.dir != "" {
				err = fault.New(fault.Invalid, "usage", "--local and --revision exclude each other")
			}
			return err
		},
		RunE: s.run(func(c *call) error {
			names, err := c.chosen(which)
			if err != nil {
				return exit.of(false, err)
			}
			d := differ{call: c, markdown: markdown}
			if d.query, err = revisions.query(); err != nil {
				return err
			}
			if local.dir != "" {
				if d.local, err = local.pack(c); err != nil {
					return exit.of(false, err)
				}
			}
			if refresh || hard {
				for _, name := range names {
					if err := c.refresh(name, hard); err != nil {
						return exit.of(false, err)
					}
				}
			}
			differs := false
			for _, name := range names {
				one, err := d.app(name)
				if err != nil {
					return exit.of(false, err)
				}
				differs = differs || one
			}
			if err = d.finish(); err == nil {
				err = d.broken
			}
			return exit.of(differs, err)
		}),
	}
	exit.register(c)
	revisions.register(c)
	local.register(c)
	which.register(c)
	c.Flags().BoolVar(&refresh, "refresh", false, "look at Git now")
	c.Flags().BoolVar(&hard, "hard-refresh", false, "look at Git now and render although nothing changed")
	return c
}

// refresh asks for a look at an application's sources and cluster.
func (c *call) refresh(name string, hard bool) error {
	path := appPath(name) + "/refresh"
	if hard {
		path += "?hard=true"
	}
	return c.api.Do(c.ctx, http.MethodPost, path, nil, nil)
}

// difference is one object of an application that differs.
type difference struct {
	App string `json:"app,omitempty"`
	model.ObjectKey
	// Status is Created, Configured or Pruned: what would become of it.
	Status      string                  `json:"status"`
	Differences []model.FieldDifference `json:"differences,omitempty"`
	From        json.RawMessage         `json:"from,omitempty"`
	To          json.RawMessage         `json:"to,omitempty"`
}

// comparisonAnswer is what the hub answers.
type comparisonAnswer struct {
	From     model.Revision    `json:"from"`
	To       model.Revision    `json:"to"`
	Items    []difference      `json:"items"`
	Warnings []model.Condition `json:"warnings,omitempty"`
}

// differ collects and prints the differences of one run.
type differ struct {
	*call
	query    url.Values
	local    *packed
	markdown bool
	all      []difference
	sections []string // of markdown
	broken   error    // of the first whose newest revision cannot be rendered
}

// app looks at one application and prints what differs.
func (d *differ) app(name string) (bool, error) {
	var found []difference
	var title string
	var differs bool
	var err error
	if len(d.query) > 0 || d.local != nil {
		found, title, err = d.compared(name)
		differs = len(found) > 0
	} else {
		// What waits for a confirmation differs, and the application is in sync.
		found, title, differs, err = d.reported(name)
	}
	if err != nil {
		return false, err
	}
	for i := range found {
		found[i].App = name
	}
	d.all = append(d.all, found...)
	switch {
	case d.markdown:
		d.sections = append(d.sections, markdownOf(title, found))
	case d.documents() || os.Getenv("KUBECTL_EXTERNAL_DIFF") != "":
	default:
		for _, x := range found {
			d.print(x)
		}
	}
	return differs, nil
}

// finish prints what is printed at the end.
func (d *differ) finish() error {
	switch {
	case d.markdown:
		_, err := fmt.Fprint(d.Out, strings.Join(d.sections, "\n"))
		return err
	case d.documents():
		return listing[difference]{kind: "AppDiff"}.print(d.call, d.all, d.now())
	case os.Getenv("KUBECTL_EXTERNAL_DIFF") != "" && len(d.all) > 0:
		return d.external(os.Getenv("KUBECTL_EXTERNAL_DIFF"))
	}
	return nil
}

// reported are the differences that the application's agent reported.
func (d *differ) reported(name string) ([]difference, string, bool, error) {
	v, err := getApp(d.ctx, d.api, name)
	if err != nil {
		return nil, "", false, err
	}
	defer d.notePinned(v) // what differs, differs from an older revision
	if problem, ok := newestMissing(v); ok && d.broken == nil {
		d.broken = exitWith(ExitBad, fault.New(fault.Unprocessable, problem.Code, "%s: %s%s", v.Name, firstProblem(problem.Message), asideText(d.now(), v, problem)).
			WithFix("what differs is shown from what was rendered last; see all of it: hawser app get %s", v.Name))
	}
	defer d.warnNotRendered(v)
	if v.ObservedAt == nil {
		return nil, "", false, exitWith(ExitUnreachable, fault.New(fault.Unavailable, "never_observed", "no agent has reported %q yet", v.Name))
	}
	if v.Freshness == model.FreshStale {
		d.note("warning: observed %s ago; the agent is offline", output.Age(d.now(), v.ObservedAt))
	}
	if v.Sync.Status != model.SyncSynced && v.Sync.Status != model.SyncOutOfSync {
		return nil, "", false, exitWith(ExitUnreachable, fault.New(fault.Unavailable, "sync_unknown", "it is not known whether %q differs", v.Name).
			WithFix("see the conditions: hawser app get %s", v.Name))
	}
	var out []difference
	for _, r := range v.Resources {
		if r.Sync.Status == model.SyncSynced || r.Hook != "" { // a hook has run, or not
			continue
		}
		x := difference{ObjectKey: r.ObjectKey, Status: "Configured", Differences: r.Differences}
		switch {
		case r.RequiresPruning:
			x.Status = "Pruned"
		case r.Health.Status == model.HealthMissing:
			x.Status = "Created"
		}
		out = append(out, x)
	}
	return out, name + " against its cluster", v.Sync.Status == model.SyncOutOfSync, nil
}

// compared are the differences of another revision, or of files, from what is
// desired.
func (d *differ) compared(name string) ([]difference, string, error) {
	var got comparisonAnswer
	var err error
	path := appPath(name) + "/compare"
	if d.local != nil {
		err = d.local.send(d.call, path, &got)
	} else {
		err = d.api.Do(d.ctx, http.MethodPost, path+"?"+d.query.Encode(), nil, &got)
	}
	if err != nil {
		return nil, "", err
	}
	for _, w := range got.Warnings {
		d.note("warning: %s: %s (%s)", name, w.Message, w.Code)
	}
	var out []difference
	for _, x := range got.Items {
		if x.Status != "Unchanged" {
			out = append(out, x)
		}
	}
	to := short(got.To.Commit)
	if d.local != nil {
		to = "the files of " + d.local.dir
	}
	d.note("%s: %s against %s, which is desired", name, to, short(got.From.Commit))
	return out, name + " at " + to, nil
}

var symbols = map[string]string{"Created": "+", "Configured": "~", "Pruned": "-", "PruneSkipped": "-", "Deleted": "-", "Failed": "✗"}

// print shows one object for people.
func (d *differ) print(x difference) {
	note := map[string]string{"Created": "  (not in the cluster)", "Pruned": "  (not in Git any more)"}[x.Status]
	if x.From != nil || x.To != nil {
		note = map[string]string{"Created": "  (new)", "Pruned": "  (gone)"}[x.Status]
	}
	fmt.Fprintf(d.Out, "%s %s%s\n", symbols[x.Status], output.Clean(x.String()), note)
	d.printDifferences(x.Differences)
	if x.Status == "Configured" && x.From != nil {
		for line := range strings.Lines(textdiff.Unified(yamlOf(x.From), yamlOf(x.To))) {
			fmt.Fprintf(d.Out, "    %s\n", output.Clean(strings.TrimSuffix(line, "\n")))
		}
	}
}

func (c *call) printDifferences(fields []model.FieldDifference) {
	for _, f := range fields {
		fmt.Fprintf(c.Out, "    %s\n", output.Clean(f.Path))
		fmt.Fprintf(c.Out, "      live:    %s%s\n", valueText(f.Live), output.Clean(whoText(f, c.now())))
		fmt.Fprintf(c.Out, "      desired: %s\n", valueText(f.Desired))
	}
}

// yamlOf is an object of the hub as YAML, "" for none.
func yamlOf(raw json.RawMessage) string {
	if len(raw) == 0 || string(raw) == "null" {
		return ""
	}
	b, err := yaml.JSONToYAML(raw)
	if err != nil {
		return string(raw)
	}
	return string(b)
}

// sides are an object as it is and as it would be: whole where the hub sent it,
// else the fields that differ.
func (x difference) sides() (from, to string) {
	if x.From != nil || x.To != nil {
		return yamlOf(x.From), yamlOf(x.To)
	}
	var live, desired strings.Builder
	for _, f := range x.Differences {
		for _, side := range []struct {
			to    *strings.Builder
			value string
		}{{&live, f.Live}, {&desired, f.Desired}} {
			if side.value != "" {
				fmt.Fprintf(side.to, "%s: %s\n", f.Path, side.value)
			}
		}
	}
	return live.String(), desired.String()
}

// markdownOf is one application's differences as a comment of a pull request.
func markdownOf(title string, found []difference) string {
	var b strings.Builder
	plural := "s"
	if len(found) == 1 {
		plural = ""
	}
	fmt.Fprintf(&b, "### %s: %d difference%s\n", markdownText(title), len(found), plural)
	for _, x := range found {
		from, to := x.sides()
		diff := textdiff.Unified(from, to)
		if diff == "" {
			fmt.Fprintf(&b, "\n`%s %s`\n", symbols[x.Status], strings.ReplaceAll(output.Clean(x.String()), "`", ""))
			continue
		}
		fence := "```"
		for strings.Contains(diff, fence) {
			fence += "`" // a text with a fence in it does not end ours
		}
		fmt.Fprintf(&b, "\n<details><summary><code>%s %s</code></summary>\n\n%sdiff\n%s%s\n</details>\n", symbols[x.Status], markdownText(x.String()), fence, tameLines(diff), fence)
	}
	return b.String()
}

func tameLines(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = output.Clean(lines[i])
	}
	return strings.Join(lines, "\n")
}

// markdownText keeps names from being taken for HTML.
func markdownText(s string) string {
	return strings.NewReplacer("<", "&lt;", ">", "&gt;", "&", "&amp;").Replace(output.Clean(s))
}

// external calls another program with two directories, as kubectl diff does. Its
// exit status 1 means that there are differences, which is known.
func (d *differ) external(command string) error {
	dir, err := os.MkdirTemp("", "hawser-diff-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // copies
	live, merged := filepath.Join(dir, "LIVE"), filepath.Join(dir, "MERGED")
	for _, side := range []string{live, merged} {
		if err := os.Mkdir(side, 0o700); err != nil {
			return err
		}
	}
	for i, x := range d.all {
		from, to := x.sides()
		name := fmt.Sprintf("%s.%s.%s.%s.%s.%d", x.App, x.Group, x.Kind, x.Namespace, x.Name, i)
		name = strings.Map(func(r rune) rune {
			if r == '/' || r == '\\' || r == ':' {
				return '-'
			}
			return r
		}, name)
		for side, text := range map[string]string{live: from, merged: to} {
			if err := os.WriteFile(filepath.Join(side, name), []byte(text), 0o600); err != nil {
				return err
			}
		}
	}
	words := strings.Fields(command)
	cmd := exec.CommandContext(d.ctx, words[0], append(words[1:], live, merged)...) //nolint:gosec // the user's own program
	cmd.Stdout, cmd.Stderr = d.Out, d.Err
	err = cmd.Run()
	var ended *exec.ExitError
	if errors.As(err, &ended) && ended.ExitCode() == 1 {
		return nil
	}
	if err != nil {
		return fault.New(fault.Invalid, "external_diff_failed", "%s ended with: %s", words[0], err).WithFix("put KUBECTL_EXTERNAL_DIFF right, or unset it")
	}
	return nil
}

func valueText(v string) string {
	if v == "" {
		return "(not set)"
	}
	return output.Clean(v)
}

func whoText(d model.FieldDifference, now time.Time) string {
	if d.Manager == "" {
		return ""
	}
	if d.ChangedAt == nil {
		return "   set by " + d.Manager
	}
	return "   set by " + d.Manager + " " + output.Age(now, d.ChangedAt) + " ago"
}

// position as it is written in a query.
func positionText(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}
