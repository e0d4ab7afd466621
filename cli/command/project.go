package command

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/cli/output"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

func newProject(s *session) *cobra.Command {
	return group("project", "Projects: who may deploy what, from where, to where",
		newProjectList(s), newProjectGet(s), newProjectDescribe(s), newProjectCreate(s), newProjectEdit(s), newProjectApply(s), newProjectDelete(s),
		newProjectRules(s, false), newProjectRules(s, true), newProjectWindow(s), newProjectRole(s), newProjectUsage(s), newProjectSimulate(s))
}

func projectPath(name string) string { return "/projects/" + url.PathEscape(name) }

func newProjectList(s *session) *cobra.Command {
	projects := listing[model.AppProject]{
		kind:    "ProjectList",
		by:      []string{"filter"},
		name:    func(p model.AppProject) string { return "project/" + p.Metadata.Name },
		columns: []output.Column{{Title: "NAME"}, {Title: "SOURCES"}, {Title: "DESTINATIONS"}, {Title: "DESCRIPTION", Text: true}},
		row: func(p model.AppProject) []string {
			return []string{p.Metadata.Name, strconv.Itoa(len(p.Spec.SourceRepos)), strconv.Itoa(len(p.Spec.Destinations)), p.Spec.Description}
		},
	}
	return projects.command(s, &cobra.Command{Use: "list", Aliases: []string{"ls"}, Short: "All projects", Args: exactArgs()}, "/projects", nil)
}

func newProjectGet(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "get NAME", Short: "One project, as YAML", Args: exactArgs("NAME"),
		RunE: s.run(func(c *call) error {
			var p model.AppProject
			if err := c.get(projectPath(c.args[0]), &p); err != nil {
				return err
			}
			return c.one(p, "project/"+p.Metadata.Name, func() error { return output.Document(c.Out, output.YAML, p) })
		}),
	}
}

func newProjectCreate(s *session) *cobra.Command {
	var p model.AppProject
	var destinations []string
	c := &cobra.Command{
		Use:   "create NAME",
		Short: "Create a project from flags; for everything else: hawser apply -f",
		Args:  exactArgs("NAME"),
		PreRunE: func(_ *cobra.Command, args []string) error {
			p.APIVersion, p.Kind, p.Metadata.Name = model.APIVersionHawser, model.KindAppProject, args[0]
			for _, d := range destinations {
				dest, err := parseDestination(d)
				if err != nil {
					return err
				}
				p.Spec.Destinations = append(p.Spec.Destinations, dest)
			}
			return nil
		},
		RunE: s.run(func(c *call) error {
			return c.create(projectPath(c.args[0]), p, "project %q created", c.args[0])
		}),
	}
	c.Flags().StringSliceVarP(&p.Spec.SourceRepos, "src", "s", nil, "repository URL or glob that may be used")
	c.Flags().StringArrayVarP(&destinations, "dest", "d", nil, "CLUSTER,NAMESPACE that may be deployed to (globs; CLUSTER is a name or a server URL); may be repeated")
	c.Flags().StringVar(&p.Spec.Description, "description", "", "what the project is for")
	return c
}

// parseDestination takes "CLUSTER,NAMESPACE" apart, as Argo CD's -d does.
func parseDestination(s string) (model.ProjectDestination, error) {
	cluster, namespace, ok := strings.Cut(s, ",")
	if !ok || cluster == "" || namespace == "" {
		return model.ProjectDestination{}, fault.New(fault.Invalid, "destination_invalid", "--dest %q is not CLUSTER,NAMESPACE", s)
	}
	d := model.ProjectDestination{Namespace: namespace}
	if strings.Contains(cluster, "://") {
		d.Server = cluster
	} else {
		d.Name = cluster
	}
	return d, nil
}

func newProjectDelete(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "delete NAME", Short: "Delete a project that no application uses", Args: exactArgs("NAME"),
		RunE: s.run(func(c *call) error {
			return c.change(http.MethodDelete, projectPath(c.args[0]), nil, "project %q deleted", c.args[0])
		}),
	}
}
