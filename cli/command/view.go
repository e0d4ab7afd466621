package command

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/cli/client/api"
	"github.com/hawser-dev/hawser/cli/output"
	"github.com/hawser-dev/hawser/shared/fault"
)

func newView(s *session) *cobra.Command {
	return group("view", "Saved views of lists", newViewList(s), newViewSave(s), newViewDelete(s))
}

func newViewList(s *session) *cobra.Command {
	views := listing[api.SavedView]{
		kind: "SavedViewList",
		name: func(v api.SavedView) string { return "view/" + v.ID },
		columns: []output.Column{
			{Title: "NAME"}, {Title: "OF"}, {Title: "LIST"}, {Title: "DEFAULT"}, {Title: "FILTER"}, {Title: "SORT"},
			{Title: "CHANGED", Path: ".changedAt"}, {Title: "BY", Wide: true}, {Title: "ID", Wide: true},
		},
		row: func(v api.SavedView) []string {
			chosen := ""
			if v.Default {
				chosen = "yes"
			}
			return []string{v.Name, viewOf(v), v.Things, chosen, v.Search["q"], v.Search["sort"], output.Age(s.now(), &v.ChangedAt), v.ChangedBy, v.ID}
		},
	}
	c := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Args: exactArgs(),
		Short: "Saved views: your own, those of projects that you see, and those of everyone",
	}
	return views.command(s, c, "/saved-views", nil)
}

// viewOf says whose a view is.
func viewOf(v api.SavedView) string {
	switch {
	case v.Project != "":
		return "project " + v.Project
	case v.Everyone:
		return "everyone"
	}
	return "me"
}

// viewFlags say which of several views of a name is meant.
type viewFlags struct {
	things, project string
	everyone        bool
}

func (f *viewFlags) register(c *cobra.Command) {
	c.Flags().StringVar(&f.things, "list", "applications", "list that it is of: applications, clusters, jobs, projects or repositories")
	c.Flags().StringVar(&f.project, "project", "", "project whose view it is (default: your own)")
	c.Flags().BoolVar(&f.everyone, "everyone", false, "the view of all who use this hub")
}

func newViewSave(s *session) *cobra.Command {
	var f viewFlags
	var filter, sort, columns, group string
	var first bool
	c := &cobra.Command{
		Use: "save NAME", Short: "Keep a view of a list; one of the same name is replaced", Args: exactArgs("NAME"),
		Long: `Keep what a list shows under a name: for yourself, for all who see a project, or for
everyone. With --default the list opens with it: your own default comes first, then the
project's, then everyone's.

  hawser view save broken --filter 'health:degraded' --default
  hawser view save 'What is on call' --project shop --filter 'label.oncall:yes' --default`,
		RunE: s.run(func(c *call) error {
			search := map[string]string{}
			for k, v := range map[string]string{"q": filter, "sort": sort, "cols": columns, "group": group} {
				if v != "" {
					search[k] = v
				}
			}
			v, err := api.New(c.api).PutSavedView(c.ctx, api.SavedViewRequest{
				Things: f.things, Name: c.args[0], Project: f.project, Everyone: f.everyone, Default: first, Search: search,
			})
			if err != nil {
				return err
			}
			return c.one(v, "view/"+v.ID, func() error {
				c.note("view %q is kept (%s)", v.Name, viewOf(v))
				return nil
			})
		}),
	}
	f.register(c)
	c.Flags().StringVar(&filter, "filter", "", "filter of the list (hawser help filters)")
	c.Flags().StringVar(&sort, "sort", "", "field that the list is sorted by; a - before it turns the order round")
	c.Flags().StringVar(&columns, "cols", "", "columns of the console's list, separated by commas")
	c.Flags().StringVar(&group, "group", "", "key that the console's list is grouped by")
	c.Flags().BoolVar(&first, "default", false, "the list opens with it")
	return c
}

func newViewDelete(s *session) *cobra.Command {
	var f viewFlags
	c := &cobra.Command{
		Use: "delete NAME", Aliases: []string{"rm"}, Short: "Forget a saved view", Args: exactArgs("NAME"),
		RunE: s.run(func(c *call) error {
			views, err := c.savedViews(f.things)
			if err != nil {
				return err
			}
			v, err := chosenView(views, c.args[0], func(v api.SavedView) bool { return v.Project == f.project && v.Everyone == f.everyone })
			if err != nil {
				return err
			}
			if err := c.api.Do(c.ctx, http.MethodDelete, "/saved-views/"+url.PathEscape(v.ID), nil, nil); err != nil {
				return err
			}
			c.note("view %q is forgotten (%s)", v.Name, viewOf(v))
			return nil
		}),
	}
	f.register(c)
	return c
}

// savedViews are all of a list.
func (c *call) savedViews(things string) ([]api.SavedView, error) {
	var answer list[api.SavedView]
	err := c.get("/saved-views", &answer)
	return slices.DeleteFunc(answer.Items, func(v api.SavedView) bool { return v.Things != things }), err
}

// chosenView is the view of a name among those that are meant. It is NotFound
// (saved_view_unknown), with the names that there are.
func chosenView(views []api.SavedView, name string, meant func(api.SavedView) bool) (api.SavedView, error) {
	for _, v := range views {
		if v.Name == name && meant(v) {
			return v, nil
		}
	}
	names := make([]string, len(views))
	for i, v := range views {
		names[i] = fmt.Sprintf("%q (%s)", v.Name, viewOf(v))
	}
	e := fault.New(fault.NotFound, "saved_view_unknown", "there is no saved view %.60q", name)
	if len(names) > 0 {
		return api.SavedView{}, e.WithFix("there are: %s", strings.Join(names, ", "))
	}
	return api.SavedView{}, e.WithFix("keep one: hawser view save NAME --filter FILTER")
}

// lookAsView puts a saved view of applications into what is asked of the hub: its
// filter beside the one of the flags, its order, its project. Of several of a name
// that of the --project is meant, else one's own before the project's before
// everyone's.
func (c *call) lookAsView(name string, q url.Values) error {
	views, err := c.savedViews("applications")
	if err != nil {
		return err
	}
	var v api.SavedView
	for _, meant := range []func(api.SavedView) bool{
		func(v api.SavedView) bool { return v.Project != "" && v.Project == c.lists.project },
		func(v api.SavedView) bool { return v.Project == "" && !v.Everyone },
		func(v api.SavedView) bool { return v.Project != "" && c.lists.project == "" },
		func(v api.SavedView) bool { return v.Everyone },
	} {
		if v, err = chosenView(views, name, meant); err == nil {
			break
		}
	}
	if err != nil {
		return err
	}
	c.lists.filter = strings.TrimSpace(v.Search["q"] + " " + c.lists.filter)
	if c.lists.project == "" {
		c.lists.project = v.Project
	}
	if sort := v.Search["sort"]; sort != "" {
		q.Set("sort", sort)
	}
	return nil
}
