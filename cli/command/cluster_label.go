package command

import (
	"maps"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

func newClusterLabel(s *session) *cobra.Command {
	var overwrite bool
	c := &cobra.Command{
		Use:   "label NAME KEY=VALUE|KEY-...",
		Short: "Set or remove labels of a cluster",
		Long: `Set labels of a cluster (KEY=VALUE), or remove them (KEY-). A label that has another value
is changed only with --overwrite. Projects may select clusters by label, so that this can
change what they allow:

  hawser cluster label eu-prod env=prod region=eu tier-`,
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
			})
			switch {
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
	return c
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
