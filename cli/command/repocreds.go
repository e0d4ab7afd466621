package command

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/cli/output"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/policy"
)

func newRepocreds(s *session) *cobra.Command {
	return group("repocreds", "Credential templates: one credential for all repositories below a URL",
		newRepocredsAdd(s), newRepocredsList(s), newRepocredsRemove(s))
}

// templateRequest is what is sent of a credential template.
type templateRequest struct {
	URL     string `json:"url"`
	Project string `json:"project,omitempty"`
	credential
}

func newRepocredsAdd(s *session) *cobra.Command {
	var in templateRequest
	var flags credentialFlags
	c := &cobra.Command{
		Use:   "add URL",
		Short: "Store a credential for all repositories whose URL begins with this one",
		Long: `Store a credential for all repositories whose URL begins with this one, by whole
path segments: https://git.example.com/team is for https://git.example.com/team/web
and not for https://git.example.com/team-two. The longest URL wins. A repository
with a credential of its own uses that. With --project it is only for repositories
that were added with the same --project. Adding a URL again replaces it.`,
		Args: exactArgs("URL"),
		PreRunE: func(_ *cobra.Command, args []string) (err error) {
			in.URL = args[0]
			in.credential, err = flags.readFor(s, in.URL)
			return err
		},
		RunE: s.run(func(c *call) error {
			var got model.RepositoryTemplate
			if err := c.api.Do(c.ctx, http.MethodPost, "/repository-templates", in, &got); err != nil {
				return err
			}
			return c.one(got, "repocreds/"+got.URL, func() error {
				c.note("credential template %s added", got.URL)
				c.warnInsecure(got.Holds)
				return nil
			})
		}),
	}
	c.Flags().StringVar(&in.Project, "project", "", "project whose repositories alone it is for (default: all)")
	flags.register(c.Flags())
	return c
}

func newRepocredsList(s *session) *cobra.Command {
	templates := listing[model.RepositoryTemplate]{
		kind: "RepositoryTemplateList",
		name: func(t model.RepositoryTemplate) string { return "repocreds/" + t.URL },
		columns: []output.Column{
			{Title: "URL"}, {Title: "PROJECT"}, {Title: "CREDENTIAL"}, {Title: "USERNAME"}, {Title: "INSECURE", Wide: true}, {Title: "ID", Wide: true},
		},
		row: func(t model.RepositoryTemplate) []string {
			return []string{t.URL, t.Project, credentialText(t.Holds, ""), t.Holds.Username, strings.Join(t.Holds.Insecure, ","), t.ID}
		},
	}
	return templates.command(s, &cobra.Command{Use: "list", Aliases: []string{"ls"}, Short: "All credential templates", Args: exactArgs()}, "/repository-templates", nil)
}

func newRepocredsRemove(s *session) *cobra.Command {
	var project string
	c := &cobra.Command{
		Use: "remove URL", Aliases: []string{"rm"}, Short: "Forget a credential template", Args: exactArgs("URL"),
		RunE: s.run(func(c *call) error {
			var got list[model.RepositoryTemplate]
			if err := c.get("/repository-templates", &got); err != nil {
				return err
			}
			t, err := chooseTemplate(got.Items, c.args[0], project, c.cmd.Flags().Changed("project"))
			if err != nil {
				return err
			}
			return c.change(http.MethodDelete, "/repository-templates/"+url.PathEscape(t.ID), nil, "credential template %s removed", t.URL)
		}),
	}
	c.Flags().StringVar(&project, "project", "", `project of the template; "" for the one of no project`)
	return c
}

// chooseTemplate finds the one that is meant: one URL may have a template for
// each project.
func chooseTemplate(all []model.RepositoryTemplate, what, project string, ofProject bool) (model.RepositoryTemplate, error) {
	var found []model.RepositoryTemplate
	for _, t := range all {
		if t.ID == what {
			return t, nil
		}
		if policy.NormaliseRepo(t.URL) == policy.NormaliseRepo(what) && (!ofProject || t.Project == project) {
			found = append(found, t)
		}
	}
	switch len(found) {
	case 0:
		return model.RepositoryTemplate{}, fault.New(fault.NotFound, "repository_template_unknown", "there is no credential template %s", what).
			WithFix("see hawser repocreds list")
	case 1:
		return found[0], nil
	}
	return model.RepositoryTemplate{}, fault.New(fault.NotFound, "repository_template_ambiguous", "%d credential templates are for %s", len(found), what).
		WithFix(`name its project with --project ("" for none), or its ID from hawser repocreds list -o wide`)
}
