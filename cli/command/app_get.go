package command

import (
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/cli/output"
	"github.com/hawser-dev/hawser/shared/model"
)

func newAppGet(s *session) *cobra.Command {
	var refresh bool
	c := &cobra.Command{
		Use: "get NAME", Short: "One application, its conditions and objects", Args: exactArgs("NAME"),
		RunE: s.run(func(c *call) error {
			if refresh {
				if err := c.api.Do(c.ctx, http.MethodPost, appPath(c.args[0])+"/refresh", nil, nil); err != nil {
					return err
				}
			}
			v, err := getApp(c.ctx, c.api, c.args[0])
			if err != nil {
				return err
			}
			return c.one(v, "app/"+v.Name, func() error { return c.describeApp(v) })
		}),
	}
	c.Flags().BoolVar(&refresh, "refresh", false, "look at Git now")
	return c
}

// observedText says when the application was last known to be as shown.
func observedText(now time.Time, v model.AppView) string {
	if v.ObservedAt == nil {
		return string(model.FreshNever)
	}
	return output.Age(now, v.ObservedAt) + " ago, " + string(v.Freshness)
}

func (c *call) describeApp(v model.AppView) error {
	fields := [][2]string{
		{"Name", v.Name}, {"Project", v.Project}, {"Cluster", v.Cluster}, {"Namespace", v.Namespace},
		{"Repo", v.RepoURL}, {"Path", v.Path}, {"Target", v.Target},
		{"Desired", short(v.Desired.Commit) + "  " + v.Desired.Message}, {"Synced to", short(v.Revision)},
		{"Sync", syncText(v)}, {"Health", healthText(v) + "  " + v.Health.Message},
		{"Observed", observedText(c.now(), v)},
	}
	if v.Operation != nil {
		fields = append(fields, [2]string{"Operation", operationText(v.Operation) + "  " + v.Operation.Message})
	}
	for _, x := range v.Conditions {
		fields = append(fields, [2]string{"Condition", conditionText(c.now(), v, x)})
	}
	if err := c.describe(fields); err != nil || len(v.Resources) == 0 {
		return err
	}
	fmt.Fprintln(c.Out)
	rows := make([][]string, 0, len(v.Resources))
	for _, r := range v.Resources {
		state := facetText(r.Sync)
		if r.RequiresPruning {
			state += ", to prune"
		}
		rows = append(rows, []string{r.GroupKind().String(), r.Namespace, r.Name, state, string(r.Health.Status), r.Health.Message, r.UID})
	}
	return output.Rows(c.Out, c.format, []output.Column{
		{Title: "KIND"}, {Title: "NAMESPACE"}, {Title: "NAME"}, {Title: "SYNC"}, {Title: "HEALTH"}, {Title: "MESSAGE"}, {Title: "UID", Wide: true},
	}, rows)
}
