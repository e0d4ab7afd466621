package command

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/cli/output"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

func newSettings(s *session) *cobra.Command {
	customizations := group("customizations", "How all clusters judge and compare resources",
		newCustomizationsGet(s), newCustomizationsSet(s), newCustomizationsDiff(s), newCustomizationsHistory(s))
	customizations.Long = `Health checks and actions in Lua, ignored differences and comparison options for all
clusters, in the format of Argo CD's argocd-cm ConfigMap: the keys that begin with
resource. A cluster can override them, key by key, in the ConfigMap
hawser-customizations of its agent's namespace.`
	return group("settings", "Settings for all clusters, and the RBAC policy", customizations, newRBAC(s), newProvider(s))
}

const customizationsPath = "/settings/customizations"

// settingsVersion is one version of settings.
type settingsVersion struct {
	Version   int64     `json:"version"`
	ChangedBy string    `json:"changedBy,omitempty"`
	ChangedAt time.Time `json:"changedAt"`
}

// customizations is the hub's answer about the resource customizations.
type customizations struct {
	Version        int64                `json:"version"`
	ChangedBy      string               `json:"changedBy,omitempty"`
	ChangedAt      *time.Time           `json:"changedAt,omitempty"`
	Customizations model.Customizations `json:"customizations"`
	Clusters       *struct {
		Current     int      `json:"current"`
		Behind      int      `json:"behind"`
		BehindNames []string `json:"behindNames,omitempty"`
	} `json:"clusters,omitempty"`
	Versions []settingsVersion `json:"versions,omitempty"`
}

// changedCustomizations is the hub's answer to a change, or to the question
// what it would be.
type changedCustomizations struct {
	Version int64  `json:"version"`
	Result  string `json:"result"`
	DryRun  bool   `json:"dryRun,omitempty"`
	Changes []struct {
		Key    string `json:"key"`
		Change string `json:"change"`
		Before string `json:"before,omitempty"`
		After  string `json:"after,omitempty"`
	} `json:"changes"`
	Unused []struct {
		Key      string `json:"key"`
		Why      string `json:"why"`
		Resource bool   `json:"resource,omitempty"`
	} `json:"unused,omitempty"`
}

func newCustomizationsGet(s *session) *cobra.Command {
	var version int64
	c := &cobra.Command{
		Use:   "get",
		Short: "The customizations in force, as a file that can be set again",
		Args:  exactArgs(),
		RunE: s.run(func(c *call) error {
			path := customizationsPath
			if version > 0 {
				path += "?version=" + strconv.FormatInt(version, 10)
			}
			var got customizations
			if err := c.get(path, &got); err != nil {
				return err
			}
			if got.Customizations == nil {
				got.Customizations = model.Customizations{}
			}
			return c.one(got, "settings/customizations", func() error {
				c.noteVersion(got)
				return output.Document(c.Out, output.YAML, map[string]any{"customizations": got.Customizations})
			})
		}),
	}
	c.Flags().Int64Var(&version, "version", 0, "an earlier version (see history)")
	return c
}

func (c *call) noteVersion(got customizations) {
	if got.Version == 0 {
		c.note("nobody has set any")
		return
	}
	c.note("version %d, set by %s %s ago", got.Version, got.ChangedBy, output.Age(c.now(), got.ChangedAt))
	if h := got.Clusters; h != nil && h.Behind > 0 {
		names := strings.Join(h.BehindNames, ", ")
		if n := h.Behind - len(h.BehindNames); n > 0 {
			names += fmt.Sprintf(" and %d more", n)
		}
		c.note("%d of %d clusters do not have it yet: %s", h.Behind, h.Behind+h.Current, names)
	}
}

// customizationsFile reads the one file of -f.
func (s *session) customizationsFile(file string) ([]byte, error) {
	if file == "" {
		return nil, fault.New(fault.Invalid, "usage", "nothing to read").WithFix("name a file, such as your argocd-cm.yaml: -f FILE")
	}
	return s.readDocuments([]string{file})
}

func newCustomizationsSet(s *session) *cobra.Command {
	var file string
	var ifVersion int64
	var dryRun bool
	var body []byte
	c := &cobra.Command{
		Use:   "set -f FILE",
		Short: "Replace the customizations of all clusters",
		Long: `Replace the customizations of all clusters by those of a file: an argocd-cm ConfigMap
as it is, what "get" printed, or keys and their texts alone. Keys that are not about
resources are left out, and said. Agents report scripts that they cannot compile as
conditions of their cluster.`,
		Args:    exactArgs(),
		PreRunE: func(*cobra.Command, []string) (err error) { body, err = s.customizationsFile(file); return err },
		RunE: s.run(func(c *call) error {
			got, err := c.putCustomizations(body, dryRun, ifVersion)
			if err != nil {
				return err
			}
			return c.one(got, "settings/customizations", func() error {
				switch {
				case dryRun:
					fmt.Fprintf(c.Out, "%s would change (dry run)\n", output.Count(len(got.Changes), "key", "keys"))
				case got.Result == "unchanged":
					fmt.Fprintf(c.Out, "customizations unchanged, version %d\n", got.Version)
				default:
					fmt.Fprintf(c.Out, "customizations set, version %d: %s changed\n", got.Version, output.Count(len(got.Changes), "key", "keys"))
				}
				return nil
			})
		}),
	}
	c.Flags().StringVarP(&file, "filename", "f", "", "file, or - for standard input")
	c.Flags().Int64Var(&ifVersion, "if-version", 0, "only if this version is in force")
	c.Flags().BoolVar(&dryRun, "dry-run", false, "check only")
	return c
}

func newCustomizationsDiff(s *session) *cobra.Command {
	var file string
	var body []byte
	c := &cobra.Command{
		Use:     "diff -f FILE",
		Short:   "What a file would change; the exit status is 1 when it would",
		Args:    exactArgs(),
		PreRunE: func(*cobra.Command, []string) (err error) { body, err = s.customizationsFile(file); return err },
		RunE: s.run(func(c *call) error {
			got, err := c.putCustomizations(body, true, 0)
			if err != nil {
				return err
			}
			err = c.one(got, "", func() error {
				for _, x := range got.Changes {
					printTextDiff(c.Out, x.Key, x.Change, x.Before, x.After)
				}
				return nil
			})
			if err == nil && len(got.Changes) > 0 {
				err = exitWith(ExitNegative, nil)
			}
			return err
		}),
	}
	c.Flags().StringVarP(&file, "filename", "f", "", "file, or - for standard input")
	return c
}

func newCustomizationsHistory(s *session) *cobra.Command {
	versions := settingsVersions("settings/customizations/")
	c := &cobra.Command{
		Use: "history", Short: "The versions that are kept, the newest first", Args: exactArgs(),
		RunE: s.run(func(c *call) error {
			var got customizations
			if err := c.get(customizationsPath, &got); err != nil {
				return err
			}
			return versions.print(c, got.Versions, c.now())
		}),
	}
	versions.flags(s, c)
	return c
}

// putCustomizations sends a file and tells what of it is left out.
func (c *call) putCustomizations(body []byte, dryRun bool, ifVersion int64) (got changedCustomizations, err error) {
	q := url.Values{}
	if dryRun {
		q.Set("dryRun", "true")
	}
	header := http.Header{}
	if ifVersion > 0 {
		header.Set("If-Match", strconv.Quote(strconv.FormatInt(ifVersion, 10)))
	}
	path := customizationsPath
	if len(q) > 0 {
		path += "?" + q.Encode()
	}
	if err := c.api.DoWith(c.ctx, http.MethodPut, path, header, body, &got); err != nil {
		return got, err
	}
	others := 0
	for _, u := range got.Unused {
		if !u.Resource {
			others++
			continue
		}
		c.note("left out: %s: %s", u.Key, u.Why)
	}
	if others > 0 {
		c.note("left out: %s not about resources", output.Count(others, "key that is", "keys that are"))
	}
	return got, nil
}

// printTextDiff prints the lines of a text that differ, without those that its
// two versions begin and end with.
func printTextDiff(w io.Writer, name, change, before, after string) {
	mark := map[string]string{"added": "+", "removed": "-"}[change]
	if mark == "" {
		mark = "~"
	}
	fmt.Fprintf(w, "%s %s\n", mark, output.Clean(name))
	b, a := textLines(before), textLines(after)
	from := 0
	for from < len(b) && from < len(a) && b[from] == a[from] {
		from++
	}
	to := 0
	for to < len(b)-from && to < len(a)-from && b[len(b)-1-to] == a[len(a)-1-to] {
		to++
	}
	for _, part := range []struct {
		mark  string
		lines []string
	}{{"-", b[from : len(b)-to]}, {"+", a[from : len(a)-to]}} {
		for _, line := range part.lines {
			fmt.Fprintf(w, "    %s %s\n", part.mark, output.Clean(line))
		}
	}
}

func textLines(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(s, "\n"), "\n")
}
