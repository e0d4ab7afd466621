package command

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/shared/fault"
)

// appSelection is how commands say which applications they are about: by name, or
// by what these have in common.
type appSelection struct {
	project, cluster, selector, filter string
}

// register adds the flags. What a command has of its own under the same letter
// keeps it.
func (a *appSelection) register(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&a.project, "project", "", "applications of this project")
	f.StringVarP(&a.cluster, "cluster", "c", "", "applications on this cluster, or on those that a glob or label such as env=prod matches")
	f.StringVarP(&a.selector, "selector", "l", "", "applications with these labels, key=value,…")
	f.StringVar(&a.filter, "filter", "", "applications that a filter matches, as in 'health:degraded env:prod'; see hawser help filters")
}

// given reports whether applications are chosen otherwise than by name.
func (a *appSelection) given() bool { return *a != appSelection{} }

// args checks that applications are named, or chosen, and not both.
func (a *appSelection) args(c *cobra.Command, args []string) error {
	if len(args) == 0 && !a.given() {
		return fault.New(fault.Invalid, "usage", "name at least one application").WithFix("see %s --help", c.CommandPath())
	}
	if len(args) > 0 && (a.selector != "" || a.filter != "") {
		return fault.New(fault.Invalid, "usage", "applications are named, or chosen with -l and --filter, not both")
	}
	return nil
}

// query is what the hub is asked.
func (a *appSelection) query() url.Values {
	q := url.Values{}
	narrow := a.filter
	switch {
	case a.cluster == "":
	case strings.ContainsAny(a.cluster, "*?[,"):
		narrow = strings.TrimSpace(narrow + " cluster:" + a.cluster)
	case strings.Contains(a.cluster, "="):
		narrow = withClusterLabel(narrow, a.cluster)
	default:
		q.Set("cluster", a.cluster)
	}
	for name, value := range map[string]string{"project": a.project, "selector": a.selector, "filter": narrow} {
		if value != "" {
			q.Set(name, value)
		}
	}
	return q
}

// withClusterLabel narrows a filter to clusters with a label, NAME=VALUE.
func withClusterLabel(query, label string) string {
	return strings.TrimSpace(query + " cluster.label:" + label)
}

// chosen are the names of the applications that a command is about, sorted. That
// nothing matches is an error: most often it is a mistake in the selection.
func (c *call) chosen(a appSelection) ([]string, error) {
	if len(c.args) > 0 && !a.given() {
		names := make([]string, 0, len(c.args))
		for _, name := range c.args {
			if name = strings.TrimPrefix(name, "app/"); !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
		return names, nil
	}
	all, err := c.namesOf(a.query())
	if err != nil {
		return nil, err
	}
	var names []string
	for _, name := range all {
		if len(c.args) == 0 || slices.Contains(c.args, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	if len(names) == 0 {
		return nil, fault.New(fault.NotFound, "selection_empty", "no application matches").WithFix("see what there is: hawser app list")
	}
	return names, nil
}

// namesOf reads the names of all applications that a query finds.
func (c *call) namesOf(q url.Values) (names []string, err error) {
	q.Set("limit", strconv.Itoa(pageSize))
	for {
		var page list[struct {
			Name string `json:"name"`
		}]
		if err := c.get("/applications?"+q.Encode(), &page); err != nil {
			return nil, err
		}
		for _, x := range page.Items {
			names = append(names, x.Name)
		}
		if page.NextCursor == "" {
			return names, nil
		}
		if page.NextCursor == q.Get("cursor") {
			return nil, fault.New(fault.Internal, "answer_invalid", "the hub answers the same page of applications again and again")
		}
		q.Set("cursor", page.NextCursor)
	}
}

// take reports whether -o has a value that only some commands know, and clears it
// then: the commands that do not know it refuse it.
func (s *session) take(values ...string) string {
	if slices.Contains(values, s.output) {
		v := s.output
		s.output = ""
		return v
	}
	return ""
}
