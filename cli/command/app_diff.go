package command

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/cli/output"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

func newAppDiff(s *session) *cobra.Command {
	var exitStatus bool
	var diffExit int
	c := &cobra.Command{
		Use:   "diff NAME",
		Short: "Fields that differ between Git and the cluster, and who set them",
		Long: `Fields that differ between Git and the cluster, and who set them. The exit status is
0 when nothing differs and 1 when something does. Values of Secrets are redacted in
their cluster.`,
		Args: exactArgs("NAME"),
		RunE: s.run(func(c *call) error {
			v, err := getApp(c.ctx, c.api, c.args[0])
			if err != nil {
				return err
			}
			defer c.notePinned(v) // what differs, differs from an older revision
			defer c.warnNotRendered(v)
			if v.ObservedAt == nil {
				return fault.New(fault.Unavailable, "never_observed", "no agent has reported %q yet", v.Name)
			}
			if err := c.printDiff(v); err != nil {
				return err
			}
			if v.Freshness == model.FreshStale {
				c.note("warning: observed %s ago; the agent is offline", output.Age(s.now(), v.ObservedAt))
			}
			if exitStatus && v.Sync.Status == model.SyncOutOfSync {
				return exitWith(diffExit, nil)
			}
			if v.Sync.Status != model.SyncSynced && v.Sync.Status != model.SyncOutOfSync {
				return exitWith(ExitUnreachable, fault.New(fault.Unavailable, "sync_unknown", "it is not known whether %q differs", v.Name).
					WithFix("see the conditions: hawser app get %s", v.Name))
			}
			return nil
		}),
	}
	c.Flags().BoolVar(&exitStatus, "exit-code", true, "exit with 1 when something differs")
	c.Flags().IntVar(&diffExit, "diff-exit-code", ExitNegative, "exit status when something differs")
	return c
}

func (c *call) printDiff(v model.AppView) error {
	differing := []model.ResourceStatus{}
	for _, r := range v.Resources {
		if r.Sync.Status != model.SyncSynced && r.Hook == "" { // a hook has run, or not
			differing = append(differing, r)
		}
	}
	if c.documents() {
		return listing[model.ResourceStatus]{kind: "AppDiff"}.print(c, differing, c.now())
	}
	for _, r := range differing {
		switch {
		case r.RequiresPruning:
			fmt.Fprintf(c.Out, "- %s  (not in Git any more)\n", output.Clean(r.String()))
			continue
		case r.Health.Status == model.HealthMissing:
			fmt.Fprintf(c.Out, "+ %s  (not in the cluster)\n", output.Clean(r.String()))
			continue
		}
		fmt.Fprintf(c.Out, "~ %s\n", output.Clean(r.String()))
		for _, d := range r.Differences {
			fmt.Fprintf(c.Out, "    %s\n", output.Clean(d.Path))
			fmt.Fprintf(c.Out, "      live:    %s%s\n", valueText(d.Live), output.Clean(whoText(d, c.now())))
			fmt.Fprintf(c.Out, "      desired: %s\n", valueText(d.Desired))
		}
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
