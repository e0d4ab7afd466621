package explain

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/agent/health"
	"github.com/hawser-dev/hawser/agent/lua"
	"github.com/hawser-dev/hawser/shared/manifest"
	"github.com/hawser-dev/hawser/shared/model"
)

func healthCommand() *cobra.Command {
	var (
		files []string
		own   overrides
		out   output
	)
	c := &cobra.Command{
		Use: "health -f FILE", Short: "Judge the health of objects",
		Long: `Judge the health of objects as they were read from a cluster.

A script of --overrides for the kind decides; else the agent's own check for the
kind; else the conventions of status and conditions. A file may have several
objects (YAML documents or a List).

With -o json one object is answered by {"status": …, "message": …}, several by
{"items": [{"group", "kind", "namespace", "name", "status", "message"}]}.

Exit status: 0 when every object is Healthy; 1 when one is not, be it only
Suspended or Progressing; 2 for errors, among them scripts that do not compile.
A script that fails makes its object Unknown.`,
		Example: `  kubectl get certificate web -o yaml | hawser-agent explain health -f -
  hawser-agent explain health -f cluster.yaml --overrides resource_customizations -o json`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			scripts, err := own.load(c)
			if err != nil {
				return err
			}
			objs, err := readFiles(c, "filename", files, readObjects)
			if err != nil {
				return err
			}
			return printHealth(c, scripts, objs, out)
		},
	}
	c.Flags().StringArrayVarP(&files, "filename", "f", nil, "`FILE` with the objects, YAML or JSON; - for standard input; may be repeated")
	own.flag(c)
	out.flag(c)
	return c
}

// judged is one answer of several.
type judged struct {
	objectName
	Status  model.Health `json:"status"`
	Message string       `json:"message"`
}

func printHealth(c *cobra.Command, scripts *lua.Scripts, objs []manifest.Object, out output) error {
	items := make([]judged, 0, len(objs))
	by := make([]string, 0, len(objs))
	healthy := true
	for _, o := range objs {
		f, script := healthOf(scripts, o)
		healthy = healthy && (f.Status == model.HealthHealthy || f.Status == "")
		items = append(items, judged{objectName(o.Key), f.Status, f.Message})
		by = append(by, script)
	}
	w := c.OutOrStdout()
	switch {
	case out.json() && len(items) == 1:
		one := struct {
			Status  model.Health `json:"status"`
			Message string       `json:"message"`
		}{items[0].Status, items[0].Message}
		if err := printJSON(w, one); err != nil {
			return err
		}
	case out.json():
		if err := printJSON(w, map[string]any{"items": items}); err != nil {
			return err
		}
	default:
		for i, item := range items {
			line := string(item.Status)
			if item.Message != "" {
				line += ": " + item.Message
			}
			if len(items) > 1 {
				line = describe(objs[i]) + ": " + line
			}
			if by[i] != "" {
				line += "  (by " + by[i] + ")"
			}
			if _, err := fmt.Fprintln(w, line); err != nil {
				return err
			}
		}
	}
	if !healthy {
		return ErrNo
	}
	return nil
}

// healthOf judges one object as the agent does, and names the script that
// decided. Messages are not cut as in reports.
func healthOf(scripts *lua.Scripts, o manifest.Object) (f model.HealthFacet, script string) {
	gk := o.Key.GroupKind()
	if f, ok := scripts.Health(gk, o.Body); ok {
		return f, scripts.HealthScript(gk)
	}
	return health.Of(gk, o.Body), ""
}
