package command

import (
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/cli/output"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/policy"
)

func newProjectWindow(s *session) *cobra.Command {
	return group("window", "Sync windows: when applications may be synced",
		newWindowList(s), newWindowAdd(s), newWindowUpdate(s), newWindowDelete(s))
}

// listedWindow is a sync window with its place in the project.
type listedWindow struct {
	ID    int    `json:"id"`
	State string `json:"state"` // open or closed, now
	model.SyncWindow
}

func newWindowList(s *session) *cobra.Command {
	windows := listing[listedWindow]{
		kind: "SyncWindowList",
		columns: []output.Column{{Title: "ID"}, {Title: "STATE"}, {Title: "KIND"}, {Title: "SCHEDULE"}, {Title: "DURATION"}, {Title: "ZONE"},
			{Title: "APPLICATIONS"}, {Title: "NAMESPACES"}, {Title: "CLUSTERS"}, {Title: "MANUAL"}, {Title: "DESCRIPTION", Text: true}},
		row: func(w listedWindow) []string {
			return []string{strconv.Itoa(w.ID), w.State, w.Kind, w.Schedule, w.Duration, w.TimeZone, strings.Join(w.Applications, ","),
				strings.Join(w.Namespaces, ","), strings.Join(w.Clusters, ","), strconv.FormatBool(w.ManualSync), w.Description}
		},
	}
	c := &cobra.Command{
		Use: "list NAME", Aliases: []string{"ls"}, Short: "The sync windows of a project, and whether they are open", Args: exactArgs("NAME"),
		RunE: s.run(func(c *call) error {
			var p model.AppProject
			if err := c.get(projectPath(c.args[0]), &p); err != nil {
				return err
			}
			now := c.now()
			items := []listedWindow{}
			for i, w := range p.Spec.SyncWindows {
				state := "closed"
				if policy.WindowOpen(w, now) {
					state = "open"
				}
				items = append(items, listedWindow{i, state, w})
			}
			return windows.print(c, items, now)
		}),
	}
	windows.flags(s, c)
	return c
}

// windowFlags are a window's fields; only those that were given change one.
func windowFlags(c *cobra.Command, w *model.SyncWindow) {
	f := c.Flags()
	f.StringVarP(&w.Kind, "kind", "k", "", "allow or deny")
	f.StringVar(&w.Schedule, "schedule", "", "when it opens, as in cron: \"0 22 * * *\"")
	f.StringVar(&w.Duration, "duration", "", "how long it is open: 1h30m")
	f.StringVar(&w.TimeZone, "time-zone", "", "zone of the schedule, UTC when it is left out: Europe/Berlin")
	f.StringSliceVar(&w.Applications, "applications", nil, "applications, by name or glob")
	f.StringSliceVar(&w.Namespaces, "namespaces", nil, "namespaces, by name or glob")
	f.StringSliceVar(&w.Clusters, "clusters", nil, "clusters, by name, server or glob")
	f.BoolVar(&w.ManualSync, "manual-sync", false, "syncs that somebody asks for are possible all the same")
	f.BoolVar(&w.SyncOverrun, "sync-overrun", false, "a sync that has begun may end")
	f.BoolVar(&w.AndOperator, "use-and-operator", false, "applications, namespaces and clusters have to match all")
	f.StringVar(&w.Description, "description", "", "what it is for")
}

func newWindowAdd(s *session) *cobra.Command {
	var w model.SyncWindow
	var o saving
	c := &cobra.Command{
		Use: "add NAME", Short: "Add a sync window to a project", Args: exactArgs("NAME"),
		RunE: s.run(func(c *call) error {
			return c.changeProject(c.args[0], o, func(p *model.AppProject) error {
				p.Spec.SyncWindows = append(p.Spec.SyncWindows, w)
				return nil
			})
		}),
	}
	windowFlags(c, &w)
	o.flags(s, c)
	return c
}

func newWindowUpdate(s *session) *cobra.Command {
	var w model.SyncWindow
	var o saving
	c := &cobra.Command{
		Use: "update NAME ID", Short: "Change what is given of a sync window", Args: exactArgs("NAME", "ID"),
		RunE: s.run(func(c *call) error {
			return c.changeProject(c.args[0], o, func(p *model.AppProject) error {
				i, err := windowAt(p, c.args[1])
				if err != nil {
					return err
				}
				to, given := &p.Spec.SyncWindows[i], c.cmd.Flags().Changed
				for _, x := range []struct {
					flag string
					set  func()
				}{
					{"kind", func() { to.Kind = w.Kind }}, {"schedule", func() { to.Schedule = w.Schedule }}, {"duration", func() { to.Duration = w.Duration }},
					{"time-zone", func() { to.TimeZone = w.TimeZone }}, {"applications", func() { to.Applications = w.Applications }},
					{"namespaces", func() { to.Namespaces = w.Namespaces }}, {"clusters", func() { to.Clusters = w.Clusters }},
					{"manual-sync", func() { to.ManualSync = w.ManualSync }}, {"sync-overrun", func() { to.SyncOverrun = w.SyncOverrun }},
					{"use-and-operator", func() { to.AndOperator = w.AndOperator }}, {"description", func() { to.Description = w.Description }},
				} {
					if given(x.flag) {
						x.set()
					}
				}
				return nil
			})
		}),
	}
	windowFlags(c, &w)
	o.flags(s, c)
	return c
}

func newWindowDelete(s *session) *cobra.Command {
	var o saving
	c := &cobra.Command{
		Use: "delete NAME ID", Short: "Remove a sync window", Args: exactArgs("NAME", "ID"),
		RunE: s.run(func(c *call) error {
			return c.changeProject(c.args[0], o, func(p *model.AppProject) error {
				i, err := windowAt(p, c.args[1])
				if err == nil {
					p.Spec.SyncWindows = append(p.Spec.SyncWindows[:i:i], p.Spec.SyncWindows[i+1:]...)
				}
				return err
			})
		}),
	}
	o.flags(s, c)
	return c
}

func windowAt(p *model.AppProject, id string) (int, error) {
	i, err := strconv.Atoi(id)
	if err != nil || i < 0 || i >= len(p.Spec.SyncWindows) {
		return 0, fault.New(fault.NotFound, "window_not_found", "project %q has no sync window %q; it has %d", p.Metadata.Name, id, len(p.Spec.SyncWindows)).
			WithFix("see hawser project window list %s", p.Metadata.Name)
	}
	return i, nil
}
