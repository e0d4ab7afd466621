package command

import (
	"errors"
	"maps"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

func newClusterLabel(s *session) *cobra.Command {
	var overwrite, dryRun bool
	c := &cobra.Command{
		Use:   "label NAME... KEY=VALUE|KEY-...",
		Short: "Set or remove labels of clusters",
		Long: `Set labels of one or more clusters (KEY=VALUE), or remove them (KEY-). A label that has
another value is changed only with --overwrite.

Projects may select clusters by label. Which applications of the cluster become invalid by
it, or valid, is shown before it is saved; where some become invalid, you are asked:

  hawser cluster label eu-prod env=prod region=eu tier-
  hawser cluster label eu-prod us-prod ap-prod ring=2 --overwrite
  hawser cluster label eu-prod env- --dry-run`,
		Args: cobra.MinimumNArgs(2),
		RunE: s.run(func(c *call) error {
			names, set, remove, err := labelArgs(c.args)
			if err != nil {
				return err
			}
			for _, name := range names {
				if err := c.labelCluster(name, set, remove, overwrite, dryRun); err != nil {
					return err
				}
			}
			return nil
		}),
	}
	c.Flags().BoolVar(&overwrite, "overwrite", false, "change labels that have another value")
	c.Flags().BoolVar(&dryRun, "dry-run", false, "show what it would change for applications, and save nothing")
	s.asks(c)
	c.Flags().Lookup("yes").Usage = "save also when applications become invalid by it"
	return c
}

// labelCluster changes the labels of one. The first that fails ends the command: who
// runs it again changes nothing of those before.
func (c *call) labelCluster(name string, set map[string]string, remove map[string]bool, overwrite, dryRun bool) error {
	changed := false
	err := c.changeCluster(name, "labels", func(x model.Cluster) (any, error) {
		labels := maps.Clone(x.Labels)
		if labels == nil {
			labels = map[string]string{}
		}
		for key, value := range set {
			if have, ok := labels[key]; ok && have != value && !overwrite {
				return nil, fault.New(fault.Precondition, "label_exists", "cluster %q has the label %s=%s already", name, key, have).
					WithFix("add --overwrite to change it")
			}
			labels[key] = value
		}
		for key := range remove {
			delete(labels, key)
		}
		changed = !maps.Equal(labels, x.Labels)
		return labels, nil
	}, func(labels any) error {
		if !changed && !dryRun {
			return nil
		}
		return c.previewLabels(name, labels, dryRun)
	})
	switch {
	case errors.Is(err, errLookedOnly):
		return nil
	case err != nil:
		return err
	case changed:
		c.note("cluster %q labelled", name)
	default:
		c.note("cluster %q is labelled so already", name)
	}
	return nil
}

// labelArgs reads the names of clusters, of which no one has a = or ends in -, and the
// changes behind them.
func labelArgs(args []string) (names []string, set map[string]string, remove map[string]bool, err error) {
	n := 1
	for n < len(args) && !strings.Contains(args[n], "=") && !strings.HasSuffix(args[n], "-") {
		n++
	}
	if n == len(args) {
		n = 1 // then it is a change that is none
	}
	set, remove, err = labelChanges(args[n:])
	return args[:n], set, remove, err
}

// errLookedOnly ends a change that is only to be shown.
var errLookedOnly = errors.New("only shown")

// previewLabels shows what other labels of a cluster mean for its applications,
// and asks when some become invalid. A dry run ends in errLookedOnly or, when
// some become invalid, with ExitNegative.
func (c *call) previewLabels(name string, labels any, dryRun bool) error {
	var preview struct {
		Cluster string `json:"cluster"`
		impact
	}
	if err := c.api.Do(c.ctx, http.MethodPut, clusterPath(name)+"/labels?dryRun=true", map[string]any{"labels": labels}, &preview); err != nil {
		return err
	}
	switch {
	case dryRun && c.documents():
		if err := c.document(preview); err != nil {
			return err
		}
	case dryRun:
		preview.print(c.Out, true)
	default:
		preview.print(c.Err, false)
	}
	switch {
	case dryRun && preview.InvalidCount > 0:
		return exitWith(ExitNegative, nil)
	case dryRun:
		return errLookedOnly
	case preview.InvalidCount > 0:
		return c.ask(consentToInvalid(preview.InvalidCount))
	}
	return nil
}

// labelChanges reads "key=value" and "key-".
func labelChanges(args []string) (set map[string]string, remove map[string]bool, err error) {
	set, remove = map[string]string{}, map[string]bool{}
	for _, arg := range args {
		key, value, isSet := strings.Cut(arg, "=")
		if !isSet {
			var ok bool
			if key, ok = strings.CutSuffix(arg, "-"); !ok || key == "" {
				return nil, nil, fault.New(fault.Invalid, "usage", "%q is neither KEY=VALUE nor KEY-", arg).WithFix("see hawser cluster label --help")
			}
		}
		if _, twice := set[key]; twice || remove[key] || key == "" {
			return nil, nil, fault.New(fault.Invalid, "usage", "the label %q is empty or named twice", key).WithFix("see hawser cluster label --help")
		}
		if isSet {
			set[key] = value
		} else {
			remove[key] = true
		}
	}
	return set, remove, nil
}
