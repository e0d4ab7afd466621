package explain

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/manifest"
)

func planCommand() *cobra.Command {
	var (
		from, present string
		o             PlanOptions
		out           output
	)
	c := &cobra.Command{
		Use: "plan -f DIR", Short: "Say what a sync would do, in which order",
		Long: `Say what a sync of manifests would do, in which order: phases, waves, hooks,
what is created, configured, left alone and pruned.

--live has the objects of the cluster as they were read from it; without it
nothing exists. All of them count as the application's, but for objects that
have an owner, are hooks, or carry the tracking annotation of another
application: what is live and not desired is pruned. No cluster is asked, so every
kind counts as served, and what differs is what the fields say.

With -o json: {"steps": [{"phase", "wave", "group", "kind", "namespace", "name",
"operation"}]} in order, with onFailure, onDelete and skipped beside it where there
are such objects. Operations are create, configure, unchanged, prune, keep (it
would be pruned, and asks not to be) and refuse.

Exit status: 0 for a plan; 1 when it refuses an object; 2 for errors.`,
		Example: `  hawser-agent explain plan -f deploy/
  kubectl get cm,deploy,svc -o yaml > live.yaml && hawser-agent explain plan -f deploy/ --live live.yaml`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			desired, err := readTree(c, "filename", from)
			if err != nil {
				return err
			}
			if err := manifest.Duplicates(desired); err != nil {
				return err
			}
			var cluster []manifest.Object
			if present != "" {
				if cluster, err = readTree(c, "live", present); err != nil {
					return err
				}
			}
			report, err := Plan(o, desired, cluster)
			if err != nil {
				return err
			}
			return printPlan(c, report, out)
		},
	}
	c.Flags().StringVarP(&from, "filename", "f", "", "`DIR` or file with the manifests; - for standard input")
	c.Flags().StringVar(&present, "live", "", "`DIR` or file with the live objects")
	c.Flags().StringVar(&o.App, "app", "app", "`NAME` of the application, as in tracking annotations")
	c.Flags().StringVarP(&o.Namespace, "namespace", "n", "default", "`NAMESPACE` of objects that name none")
	c.Flags().StringArrayVar(&o.SyncOptions, "sync-option", nil, "sync option of the application, `NAME=VALUE`; may be repeated")
	out.flag(c)
	return c
}

// readTree reads the objects of a file, or of all manifests below a directory in
// the order of their names.
func readTree(c *cobra.Command, flag, path string) ([]manifest.Object, error) {
	info, err := os.Stat(path)
	if path == "" || path == "-" || err == nil && !info.IsDir() {
		return readObjects(c, flag, path)
	}
	if err != nil {
		return nil, unreadable(flag, err)
	}
	var out []manifest.Object
	found := false
	err = filepath.WalkDir(path, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return unreadable(flag, err)
		}
		if d.IsDir() || !slices.Contains([]string{".yaml", ".yml", ".json"}, strings.ToLower(filepath.Ext(file))) {
			return nil
		}
		found = true
		name, data, err := readInput(c, flag, file)
		if err != nil {
			return err
		}
		objs, err := manifest.Parse(name, data, manifest.Limits{MaxBytes: maxInput})
		out = append(out, objs...)
		return err
	})
	if err == nil && !found {
		err = fault.New(fault.Unprocessable, "no_object", "%s has no .yaml, .yml or .json file", path).WithField("--" + flag)
	}
	return out, err
}

func printPlan(c *cobra.Command, report PlanReport, out output) error {
	w := c.OutOrStdout()
	if out.json() {
		if err := printJSON(w, report); err != nil {
			return err
		}
	} else if err := writePlan(w, report); err != nil {
		return err
	}
	if slices.ContainsFunc(report.Steps, func(s PlanStep) bool { return s.Operation == "refuse" }) {
		return ErrNo
	}
	return nil
}

func writePlan(out io.Writer, report PlanReport) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "PHASE\tWAVE\tOPERATION\tOBJECT\tREASON")
	for _, list := range [][]PlanStep{report.Steps, report.OnFailure, report.OnDelete, report.Skipped} {
		for _, s := range list {
			operation := s.Operation
			if s.Hook {
				operation += " (hook)"
			}
			fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\n", s.Phase, s.Wave, operation, s.key(), s.Reason)
		}
	}
	return w.Flush()
}
