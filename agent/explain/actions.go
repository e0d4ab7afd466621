package explain

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"github.com/hawser-dev/hawser/agent/action"
	"github.com/hawser-dev/hawser/agent/lua"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/manifest"
)

// offlineOperation stands for the id of an operation, from which the names of
// new objects are made.
const offlineOperation = "explain"

func actionsCommand() *cobra.Command {
	var (
		files []string
		run   string
		own   overrides
		out   output
		given params
		at    string
	)
	c := &cobra.Command{
		Use: "actions -f FILE [--run NAME]", Short: "List what can be done with an object, or say what an action would do",
		Long: `List the resource actions for an object as it was read from a cluster, or, with
--run, say what one of them would change. Nothing is changed.

Action scripts of --overrides for the kind take the place of the agent's own
actions, unless they ask to be merged with them (mergeBuiltinActions). The file
has exactly one object.

With -o json the answer is {"actions": [{"name", "disabled", "displayName",
"params": [{"name"}]}]}, or {"results": [{"operation", "object"}]} with --run:
"patch" has the whole object as it would be, "create" a new one.

Exit status: 0, or 2 for errors: there is no such action, or it fails.`,
		Example: `  hawser-agent explain actions -f deployment.yaml
  hawser-agent explain actions -f deployment.yaml --run scale --param replicas=3 -o json`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if run == "" && len(given) > 0 {
				return fault.New(fault.Invalid, "flag_invalid", "%s is given and no action", strings.Join(given.sorted(), ", ")).WithField("--param").WithFix("add --run NAME")
			}
			now := time.Now()
			if at != "" {
				var err error
				if now, err = time.Parse(time.RFC3339, at); err != nil {
					return fault.New(fault.Invalid, "flag_invalid", "%q is no time such as 2026-01-02T15:04:05Z", at).WithField("--time")
				}
			}
			scripts, err := own.load(c)
			if err != nil {
				return err
			}
			objs, err := readFiles(c, "filename", files, readObjects)
			if err != nil {
				return err
			}
			if len(objs) != 1 {
				return fault.New(fault.Invalid, "object_count", "there are %d objects; actions are explained for one", len(objs)).WithField("--filename")
			}
			set, o := action.Set{Scripts: scripts}, objs[0]
			if run == "" {
				list, err := set.Discover(o.Key.GroupKind(), o.Body)
				if err != nil {
					return err
				}
				return printActions(c.OutOrStdout(), list, out)
			}
			results, err := set.Results(o.Key.GroupKind(), run, given, o.Body, offlineOperation, now)
			if err != nil {
				return err
			}
			return printResults(c.OutOrStdout(), o, results, out)
		},
	}
	c.Flags().StringArrayVarP(&files, "filename", "f", nil, "`FILE` with the object, YAML or JSON; - for standard input")
	own.flag(c)
	out.flag(c)
	c.Flags().StringVar(&run, "run", "", "say what the action `NAME` would do")
	c.Flags().Var(&given, "param", "parameter of the action; may be given several times")
	c.Flags().StringVar(&at, "time", "", "the `TIME` that the action sees (RFC 3339); now when not given")
	return c
}

func printActions(w io.Writer, list []action.Action, out output) error {
	if out.json() {
		return printJSON(w, map[string]any{"actions": list})
	}
	if len(list) == 0 {
		_, err := fmt.Fprintln(w, "there are no actions for this object")
		return err
	}
	for _, a := range list {
		line := a.Name
		for _, p := range a.Params {
			line += " " + p.Name + "="
			if p.Default != "" {
				line += "(" + p.Default + ")"
			}
		}
		if a.DisplayName != "" {
			line += "  " + a.DisplayName
		}
		if a.Disabled {
			line += "  [disabled]"
		}
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
	}
	return nil
}

func printResults(w io.Writer, o manifest.Object, results []lua.Effect, out output) error {
	if out.json() {
		if results == nil {
			results = []lua.Effect{}
		}
		return printJSON(w, map[string]any{"results": results})
	}
	if len(results) == 0 {
		_, err := fmt.Fprintln(w, "nothing to do")
		return err
	}
	for _, r := range results {
		var err error
		if r.Operation == action.Create {
			err = printYAML(w, "create:", r.Object)
		} else {
			err = printChanges(w, o, r.Object)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// printYAML prints an object below a heading.
func printYAML(w io.Writer, heading string, obj map[string]any) error {
	var text bytes.Buffer
	e := yaml.NewEncoder(&text)
	e.SetIndent(2)
	if err := e.Encode(obj); err != nil {
		return err
	}
	lines := strings.Split(strings.TrimRight(text.String(), "\n"), "\n")
	_, err := fmt.Fprintf(w, "%s\n  %s\n", heading, strings.Join(lines, "\n  "))
	return err
}

// printChanges prints which fields an action changes.
func printChanges(w io.Writer, o manifest.Object, after map[string]any) error {
	changes := changed(o.Body, after, "")
	if len(changes) == 0 {
		_, err := fmt.Fprintf(w, "patch %s: nothing changes\n", describe(o))
		return err
	}
	_, err := fmt.Fprintf(w, "patch %s:\n  %s\n", describe(o), strings.Join(changes, "\n  "))
	return err
}

// changed lists the fields in which after differs from before: maps are looked
// into, lists are shown whole.
func changed(before, after any, path string) []string {
	b, bm := before.(map[string]any)
	a, am := after.(map[string]any)
	if bm && am {
		var out []string
		keys := maps.Clone(a)
		for k := range b {
			keys[k] = nil
		}
		for _, k := range slices.Sorted(maps.Keys(keys)) {
			step := "." + k
			if strings.ContainsAny(k, "./") {
				step = "[" + k + "]"
			}
			out = append(out, changed(b[k], a[k], path+step)...)
		}
		return out
	}
	old, now := string(manifest.AppendJSON(nil, before)), string(manifest.AppendJSON(nil, after))
	if old == now {
		return nil
	}
	if after == nil {
		return []string{path + ": removed (was " + old + ")"}
	}
	if before == nil {
		return []string{path + ": " + now}
	}
	return []string{path + ": " + now + " (was " + old + ")"}
}
