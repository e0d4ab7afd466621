package command

import (
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/filter"
)

// appName is an application as a person may write it: web, app/web, shop/web of a
// project, web@eu of a cluster, or shop/web@eu.
type appName struct{ name, project, cluster string }

// parseAppName reads what a person wrote. app/ is the type, as elsewhere; a
// project of that name is written app/app/web.
func parseAppName(text string) (appName, error) {
	var a appName
	rest := text
	for _, kind := range []string{"app/", "apps/", "application/", "applications/"} {
		if after, ok := strings.CutPrefix(rest, kind); ok {
			rest = after
			break
		}
	}
	rest, cluster, at := strings.Cut(rest, "@")
	if project, name, ok := strings.Cut(rest, "/"); ok {
		a.project, rest = project, name
		if project == "" {
			rest = ""
		}
	}
	a.name, a.cluster = rest, cluster
	if a.name == "" || strings.Contains(a.name, "/") || (at && cluster == "") {
		return appName{}, fault.New(fault.Invalid, "usage", "%q names no application", text).WithFix("write NAME, PROJECT/NAME, NAME@CLUSTER or app/NAME")
	}
	return a, nil
}

// named is what the hub lists of an application that a name may mean.
type named struct {
	Name    string `json:"name"`
	Project string `json:"project"`
	Cluster string `json:"cluster"`
}

// chooseApp finds the application that is meant.
func (a appName) choose(found []named) (string, error) {
	text := a.String()
	var exact, elsewhere []named
	for _, x := range found {
		switch {
		case x.Name != a.name:
		case (a.project == "" || x.Project == a.project) && (a.cluster == "" || x.Cluster == a.cluster):
			exact = append(exact, x)
		default:
			elsewhere = append(elsewhere, x)
		}
	}
	switch {
	case len(exact) == 1:
		return exact[0].Name, nil
	case len(exact) > 1:
		var all []string
		for _, x := range exact {
			all = append(all, appName{x.Name, x.Project, x.Cluster}.String())
		}
		slices.Sort(all)
		return "", fault.New(fault.NotFound, "name_ambiguous", "%q is the name of several applications: %s", text, strings.Join(all, ", ")).
			WithFix("say which: %s", all[0])
	}
	e := fault.New(fault.NotFound, "application_not_found", "there is no application %q", text)
	if len(elsewhere) > 0 {
		x := elsewhere[0]
		return "", e.WithFix("there is %s", appName{x.Name, x.Project, x.Cluster})
	}
	return "", e.WithFix("see hawser app list")
}

// String is the longest form that says all that is known.
func (a appName) String() string {
	text := a.name
	if a.project != "" {
		text = a.project + "/" + text
	}
	if a.cluster != "" {
		text += "@" + a.cluster
	}
	return text
}

// resolveNames puts the names of applications in place of what the arguments say.
// Only a name with a project or a cluster costs a question.
func (c *call) resolveNames() error {
	n := namesIn(c.cmd)
	if n == 0 || len(c.args) == 0 {
		return nil
	}
	args := slices.Clone(c.args)
	if n < 0 {
		n = len(args)
	}
	for i := range args[:min(n, len(args))] {
		a, err := parseAppName(args[i])
		if err != nil {
			return err
		}
		if a.project == "" && a.cluster == "" {
			args[i] = a.name
			continue
		}
		// What a name means is not narrowed by its project: the answer says also
		// where the application is instead.
		q := url.Values{"filter": {filter.Equal("name", a.name).String()}, "fields": {"name,project,cluster"}, "facets": {"none"}, "limit": {"100"}}
		var got list[named]
		if err := c.get("/applications?"+q.Encode(), &got); err != nil {
			return err
		}
		if args[i], err = a.choose(got.Items); err != nil {
			return err
		}
	}
	c.args = args
	return nil
}

// namesIn is how many of a command's first arguments name applications that there
// are; -1: all of them.
func namesIn(cmd *cobra.Command) int {
	below := false
	for p := cmd.Parent(); p != nil; p = p.Parent() {
		below = below || (p.Name() == "app" && p.Parent() != nil && !p.Parent().HasParent())
	}
	_, takes, _ := strings.Cut(cmd.Use, " ")
	switch {
	case !below || cmd.Name() == "create":
		return 0
	case strings.HasPrefix(takes, "NAME…"):
		return -1
	case strings.HasPrefix(takes, "NAME"):
		return 1
	}
	return 0
}
