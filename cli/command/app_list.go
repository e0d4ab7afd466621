package command

import (
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/cli/output"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

func newAppList(s *session) *cobra.Command {
	var project, cluster, selector string
	c := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "All applications", Args: exactArgs(),
		RunE: s.run(func(c *call) error {
			query := url.Values{}
			for k, v := range map[string]string{"project": project, "cluster": cluster, "selector": selector} {
				if v != "" {
					query.Set(k, v)
				}
			}
			items, asOf, err := c.allApps(query)
			if err != nil {
				return err
			}
			if err := appListing(s.now()).print(c, items, asOf); err != nil {
				return err
			}
			stale := 0
			for _, v := range items {
				if notCurrent(v) {
					stale++
				}
			}
			if stale > 0 && c.format != output.Name {
				c.note("%d of %d not reported lately (stale)", stale, len(items))
			}
			if c.format != output.Name {
				c.noteNotRendered(items)
				c.noteAllPinned(items)
			}
			return nil
		}),
	}
	c.Flags().StringVarP(&project, "project", "p", "", "only this project")
	c.Flags().StringVarP(&cluster, "cluster", "c", "", "only this cluster")
	c.Flags().StringVarP(&selector, "selector", "l", "", "only applications with these labels, key=value,…")
	return c
}

func appListing(now time.Time) listing[model.AppView] {
	return listing[model.AppView]{
		kind: "AppList",
		name: func(v model.AppView) string { return "app/" + v.Name },
		columns: []output.Column{
			{Title: "NAME"}, {Title: "PROJECT"}, {Title: "CLUSTER"}, {Title: "SYNC"}, {Title: "HEALTH"}, {Title: "OBSERVED"}, {Title: "OPERATION"},
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
				v.Name, v.Project, v.Cluster, state, healthText(v), output.Age(now, v.ObservedAt), operationText(v.Operation),
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

// allApps reads every page.
func (c *call) allApps(query url.Values) (items []model.AppView, asOf time.Time, err error) {
	query.Set("limit", "500")
	for {
		var page struct {
			list[model.AppView]
			NextCursor string `json:"nextCursor"`
		}
		if err := c.get("/applications?"+query.Encode(), &page); err != nil {
			return nil, asOf, err
		}
		items, asOf = append(items, page.Items...), page.AsOf
		if page.NextCursor == "" {
			return items, asOf, nil
		}
		if page.NextCursor == query.Get("cursor") {
			return nil, asOf, fault.New(fault.Internal, "answer_invalid", "the hub answers the same page of applications again and again")
		}
		query.Set("cursor", page.NextCursor)
	}
}
