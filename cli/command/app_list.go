package command

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/cli/output"
	"github.com/hawser-dev/hawser/shared/model"
)

func newAppList(s *session) *cobra.Command {
	var view string
	c := &cobra.Command{Use: "list", Aliases: []string{"ls"}, Short: "All applications", Args: exactArgs()}
	apps := listedApps(s.now)
	apps.flags(s, c)
	c.Flags().StringVar(&view, "view", "", "as a saved view shows them (hawser view list); --filter narrows it further")
	c.RunE = s.run(func(c *call) error {
		q := appRows()
		if s.lists.wantsLabels() || s.printer.Documents() {
			q.Set("fields", q.Get("fields")+",labels")
		}
		if view != "" {
			own := c.lists
			defer func() { c.lists = own }() // with -w it is asked again
			if err := c.lookAsView(view, q); err != nil {
				return err
			}
		}
		return apps.fetchWith(c, "/applications", q)
	})
	appListing(s.now).tableAt(s, "/applications") // what is got has no labels beside it
	return c
}

// listedApp is an application as lists have it.
type listedApp struct {
	model.AppView
	Labels map[string]string `json:"labels,omitempty"`
}

// listedApps is appListing with labels.
func listedApps(now func() time.Time) listing[listedApp] {
	l := appListing(now)
	return listing[listedApp]{
		kind: l.kind, fields: append(slices.Clone(l.fields), "labels"), by: l.by, columns: l.columns,
		name:   func(x listedApp) string { return l.name(x.AppView) },
		stale:  func(x listedApp) bool { return l.stale(x.AppView) },
		row:    func(x listedApp) []string { return l.row(x.AppView) },
		labels: func(x listedApp) map[string]string { return x.Labels },
		closing: func(c *call, items []listedApp) {
			views := make([]model.AppView, len(items))
			for i, x := range items {
				views[i] = x.AppView
			}
			l.closing(c, views)
		},
	}
}

// appRows asks for rows with all that a list can show: without it they are
// summaries.
func appRows() url.Values {
	return url.Values{"facets": {"none"}, "fields": {strings.Join(appFields, ",")}}
}

// appFields are what rows have for a list.
var appFields = []string{
	"uid", "name", "project", "cluster", "clusterID", "namespace", "repoURL", "path", "targetRevision", "autoSync", "desired", "generation",
	"sync", "health", "operation", "freshness", "observedAt", "revision", "deleting", "pin", "conditions",
}

func appListing(now func() time.Time) listing[model.AppView] {
	return listing[model.AppView]{
		kind:   "AppList",
		fields: appFields,
		name:   func(v model.AppView) string { return "app/" + v.Name },
		by:     []string{"project", "cluster", "selector", "filter"},
		stale:  notCurrent,
		closing: func(c *call, items []model.AppView) {
			c.noteNotRendered(items)
			c.noteAllPinned(items)
		},
		columns: []output.Column{
			{Title: "NAME"}, {Title: "PROJECT"}, {Title: "CLUSTER"}, {Title: "SYNC", Status: true}, {Title: "HEALTH", Status: true}, {Title: "OBSERVED", Path: ".observedAt"}, {Title: "OPERATION"},
			{Title: "REVISION", Wide: true}, {Title: "NAMESPACE", Wide: true}, {Title: "REPO", Wide: true}, {Title: "PATH", Wide: true}, {Title: "TARGET", Wide: true},
			{Title: "CODE", Wide: true}, {Title: "PINNED", Wide: true},
		},
		row: func(v model.AppView) []string {
			state := syncText(v)
			problem, marked := notRendered(v)
			if v.Pin != nil {
				state += " pinned"
			}
			if marked {
				state += " !"
			}
			return []string{
				v.Name, v.Project, v.Cluster, state, healthText(v), output.Age(now(), v.ObservedAt), operationInList(v.Operation),
				short(v.Revision), v.Namespace, v.RepoURL, v.Path, v.Target, problem.Code, pinText(v.Pin),
			}
		},
	}
}

// pinText is a rollback in short.
func pinText(p *model.Pin) string {
	if p == nil {
		return ""
	}
	to := short(p.Revision.Commit)
	if p.HistoryID != 0 {
		to = strconv.FormatInt(p.HistoryID, 10)
	}
	return fmt.Sprintf("to %s, not %s", to, short(p.SetAside.Commit))
}

// noteAllPinned closes a list: how many stay where they were rolled back to.
func (c *call) noteAllPinned(items []model.AppView) {
	first, n := "", 0
	for _, v := range items {
		if v.Pin != nil {
			if n == 0 {
				first = v.Name
			}
			n++
		}
	}
	if n > 0 {
		c.note("%d of %d pinned to an older deployment by a rollback: hawser app get %s", n, len(items), first)
	}
}
