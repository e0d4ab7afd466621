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
		Use:   "label NAME KEY=VALUE|KEY-...",
		Short: "Set or remove labels of a cluster",
		Long: `Set labels of a cluster (KEY=VALUE), or remove them (KEY-). A label that has another value
is changed only with --overwrite.

Projects may select clusters by label. Which applications of the cluster become invalid by
it, or valid, is shown before it is saved; where some become invalid, you are asked:

  hawser cluster label eu-prod env=prod region=eu tier-
  hawser cluster label eu-prod env- --dry-run`,
		Args: cobra.MinimumNArgs(2),
		RunE: s.run(func(c *call) error {
			name := c.args[0]
			set, remove, err := labelChanges(c.args[1:])
			if err != nil {
				return err
			}
			changed := false
			err = c.changeCluster(name, "labels", func(x model.Cluster) (any, error) {
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
		}),
	}
	c.Flags().BoolVar(&overwrite, "overwrite", false, "change labels that have another value")
	c.Flags().BoolVar(&dryRun, "dry-run", false, "show what it would change for applications, and save nothing")
	s.asks(c)
	c.Flags().Lookup("yes").Usage = "save also when applications become invalid by it"
	return c
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
