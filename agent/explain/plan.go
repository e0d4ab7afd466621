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
	"sigs.k8s.io/yaml"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/manifest"
)

func planCommand() *cobra.Command {
	var (
		from, present, ignore, openAPI []string
		o                              PlanOptions
		out                            output
	)
	c := &cobra.Command{
		Use: "plan -f DIR", Short: "Say what a sync would do, in which order",
		Long: `Say what a sync of manifests would do, in which order: phases, waves, hooks,
what is created, configured, left alone and pruned.

--live has the objects of the cluster as they were read from it; without it, or
when it has none, nothing exists. What is live, not desired and carries the
application's tracking annotation is pruned, but for objects that have an owner or
are hooks. Without --app the application is the one that most desired objects name where
they are live. When they name none, as when they were written by hand, all live
objects without such an annotation count as the application's, but for what
Kubernetes puts in every namespace. No cluster is
asked, so every kind counts as served; what differs is what explain diff says.

A directory is read as it is: a kustomization.yaml in it is left out, with a
warning, because it must be rendered first.

With -o json: {"steps": [{"phase", "wave", "group", "kind", "namespace", "name",
"operation"}]} in order. The hooks that only run when a sync fails (SyncFail) and
around the deletion of the application (PreDelete, PostDelete) are at the end, and
once more in onFailure and onDelete; skipped has objects that no sync touches.
Operations are create, configure, unchanged, prune, keep (it would be pruned, and
asks not to be), refuse, and hold (not tried, because of what is refused).

Exit status: 0 for a plan; 1 when it refuses an object; 2 for errors.`,
		Example: `  hawser-agent explain plan -f deploy/
  kubectl get cm,deploy,svc -o yaml > live.yaml && hawser-agent explain plan -f deploy/ --live live.yaml`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if slices.Contains(present, "-") && slices.Contains(from, "-") {
				return fault.New(fault.Invalid, "flag_conflict", "both are to be read from standard input").WithField("--live").WithFix("give a file for one of them")
			}
			desired, err := readFiles(c, "filename", from, readTree)
			if err != nil {
				return err
			}
			if err := manifest.Duplicates(desired); err != nil {
				return err
			}
			var cluster []manifest.Object
			if len(present) > 0 {
				if cluster, err = readFiles(c, "live", present, readAnyTree); err != nil {
					return err
				}
			}
			if o.rules, err = readRules(c, ignore); err != nil {
				return err
			}
			if o.schema, err = readSchemas(c, openAPI); err != nil {
				return err
			}
			report, err := Plan(o, desired, cluster)
			if err != nil {
				return err
			}
			if !report.marked && len(cluster) > 0 {
				c.PrintErrln("warning: the live objects do not tell which application is planned; those without a tracking annotation count as its own (with --app NAME none of them does)")
			}
			return printPlan(c, report, out)
		},
	}
	c.Flags().StringArrayVarP(&from, "filename", "f", nil, "`DIR` or file with the manifests; - for standard input; may be repeated")
	c.Flags().StringArrayVar(&present, "live", nil, "`DIR` or file with the live objects; may be repeated")
	c.Flags().StringArrayVar(&ignore, "ignore", nil, "`FILE` with rules to ignore differences, as of explain diff; may be repeated")
	c.Flags().StringArrayVar(&openAPI, "openapi", nil, "`FILE` with a CustomResourceDefinition or an OpenAPI document; may be repeated")
	c.Flags().StringVar(&o.App, "app", "", "`NAME` of the application, as in tracking annotations")
	c.Flags().StringVarP(&o.Namespace, "namespace", "n", "default", "`NAMESPACE` of objects that name none")
	c.Flags().StringArrayVar(&o.SyncOptions, "sync-option", nil, "sync option of the application, `NAME=VALUE`; may be repeated")
	out.flag(c)
	return c
}

// readTree reads the objects of a file, or of all manifests below a directory in
// the order of their names.
func readTree(c *cobra.Command, flag, path string) ([]manifest.Object, error) {
	objs, err := readAnyTree(c, flag, path)
	if err == nil && len(objs) == 0 {
		err = noObject(flag, path)
		if info, serr := os.Stat(path); serr == nil && info.IsDir() {
			err = fault.New(fault.Unprocessable, "no_object", "%s has no object in a .yaml, .yml or .json file", path).WithField("--" + flag)
		}
	}
	return objs, err
}

// readAnyTree is readTree for what may be empty.
func readAnyTree(c *cobra.Command, flag, path string) ([]manifest.Object, error) {
	info, err := os.Stat(path)
	if path == "" || path == "-" || err == nil && !info.IsDir() {
		return readAnyObjects(c, flag, path)
	}
	if err != nil {
		return nil, unreadable(flag, err)
	}
	var out []manifest.Object
	err = filepath.WalkDir(path, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return unreadable(flag, err)
		}
		if d.IsDir() || !slices.Contains([]string{".yaml", ".yml", ".json"}, strings.ToLower(filepath.Ext(file))) {
			return nil
		}
		name, data, err := readInput(c, flag, file)
		if err != nil {
			return err
		}
		if isKustomization(file, data) {
			c.PrintErrf("warning: %s is left out: it must be rendered first (kubectl kustomize %s), and what it changes is not known here\n", file, filepath.Dir(file))
			return nil
		}
		objs, err := manifest.Parse(name, data, manifest.Limits{MaxBytes: maxInput})
		out = append(out, objs...)
		return err
	})
	return out, err
}

// isKustomization reports whether a file says how manifests are made, and is none
// itself as Flux's Kustomization is.
func isKustomization(file string, data []byte) bool {
	base := strings.ToLower(filepath.Base(file))
	if base != "kustomization.yaml" && base != "kustomization.yml" {
		return false
	}
	var head struct {
		APIVersion string `json:"apiVersion"`
	}
	err := yaml.Unmarshal(data, &head)
	return err == nil && (head.APIVersion == "" || strings.HasPrefix(head.APIVersion, "kustomize.config.k8s.io/"))
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
	for _, list := range [][]PlanStep{report.Steps, report.Skipped} {
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
