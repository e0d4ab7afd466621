package command

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/cli/output"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

func newProject(s *session) *cobra.Command {
	return group("project", "Projects: who may deploy what, from where, to where",
		newProjectList(s), newProjectGet(s), newProjectCreate(s), newProjectDelete(s))
}

func newProjectList(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "All projects", Args: exactArgs(),
		RunE: func(c *cobra.Command, _ []string) error {
			api, err := s.client()
			if err != nil {
				return err
			}
			f, err := s.outputFormat()
			if err != nil {
				return err
			}
			var got struct {
				Items []model.AppProject `json:"items"`
				AsOf  time.Time          `json:"asOf"`
			}
			if err := api.Get(c.Context(), "/projects", &got); err != nil {
				return err
			}
			switch f {
			case output.JSON, output.YAML:
				return output.Document(s.Out, f, listDocument("ProjectList", got.Items, got.AsOf))
			case output.Name:
				for _, p := range got.Items {
					fmt.Fprintln(s.Out, "project/"+output.Clean(p.Metadata.Name))
				}
				return nil
			}
			rows := make([][]string, 0, len(got.Items))
			for _, p := range got.Items {
				rows = append(rows, []string{p.Metadata.Name, strconv.Itoa(len(p.Spec.SourceRepos)),
					strconv.Itoa(len(p.Spec.Destinations)), p.Spec.Description})
			}
			return output.Rows(s.Out, f, []output.Column{{Title: "NAME"}, {Title: "SOURCES"}, {Title: "DESTINATIONS"}, {Title: "DESCRIPTION"}}, rows)
		},
	}
}

func newProjectGet(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "get NAME", Short: "One project, as YAML", Args: exactArgs("NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			api, err := s.client()
			if err != nil {
				return err
			}
			f, err := s.outputFormat()
			if err != nil {
				return err
			}
			var p model.AppProject
			if err := api.Get(c.Context(), "/projects/"+url.PathEscape(args[0]), &p); err != nil {
				return err
			}
			if f == output.Name {
				fmt.Fprintln(s.Out, "project/"+output.Clean(p.Metadata.Name))
				return nil
			}
			if f != output.JSON {
				f = output.YAML
			}
			return output.Document(s.Out, f, p)
		},
	}
}

func newProjectCreate(s *session) *cobra.Command {
	var p model.AppProject
	var destinations []string
	c := &cobra.Command{
		Use:   "create NAME",
		Short: "Create a project from flags; for everything else: hawser apply -f",
		Args:  exactArgs("NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			p.APIVersion, p.Kind, p.Metadata.Name = model.APIVersionHawser, model.KindAppProject, args[0]
			for _, d := range destinations {
				dest, err := parseDestination(d)
				if err != nil {
					return err
				}
				p.Spec.Destinations = append(p.Spec.Destinations, dest)
			}
			api, err := s.client()
			if err != nil {
				return err
			}
			header := http.Header{"If-None-Match": {"*"}}
			if err := api.DoWith(c.Context(), http.MethodPut, "/projects/"+url.PathEscape(args[0]), header, p, nil); err != nil {
				return err
			}
			s.note("project %q created", args[0])
			return nil
		},
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
		RunE: func(c *cobra.Command, args []string) error {
			api, err := s.client()
			if err != nil {
				return err
			}
			return api.Do(c.Context(), http.MethodDelete, "/projects/"+url.PathEscape(args[0]), nil, nil)
		},
	}
}
