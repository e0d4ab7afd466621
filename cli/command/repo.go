package command

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/cli/output"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/policy"
)

func newRepo(s *session) *cobra.Command {
	return group("repo", "Repositories of Git, charts and OCI artifacts, and their credentials",
		newRepoAdd(s), newRepoList(s), newRepoGet(s), newRepoTest(s), newRepoRemove(s))
}

// repositoryRequest is what is sent of a repository; credentials only ever go up.
type repositoryRequest struct {
	URL      string `json:"url"`
	Type     string `json:"type,omitempty"`
	Name     string `json:"name,omitempty"`
	Project  string `json:"project,omitempty"`
	SkipTest bool   `json:"skipTest,omitempty"`
	credential
}

func repositoryPath(id string) string { return "/repositories/" + url.PathEscape(id) }

func newRepoAdd(s *session) *cobra.Command {
	var in repositoryRequest
	var flags credentialFlags
	c := &cobra.Command{
		Use:   "add URL",
		Short: "Register a repository and its credential, after trying it",
		Long: `Register a repository and its credential, after trying it. Adding a URL again
replaces what is known of it; without a credential the stored one stays. A
repository without a credential of its own is opened by the credential template
with the longest matching URL (hawser repocreds).`,
		Args: exactArgs("URL"),
		PreRunE: func(_ *cobra.Command, args []string) (err error) {
			in.URL = args[0]
			in.credential, err = flags.readFor(s, in.URL)
			return err
		},
		RunE: s.run(func(c *call) error {
			var got model.Repository
			if err := c.api.Do(c.ctx, http.MethodPost, "/repositories", in, &got); err != nil {
				return notStored(err)
			}
			return c.one(got, "repo/"+got.URL, func() error {
				c.note("repository %s added", got.URL)
				if got.InheritedFrom != "" {
					c.note("it is opened by the credential template %s", got.InheritedFrom)
				}
				c.warnInsecure(got.Holds)
				return nil
			})
		}),
	}
	f := c.Flags()
	f.StringVar(&in.Type, "type", "", "git, helm or oci (default: oci for oci://, else git)")
	f.StringVar(&in.Name, "name", "", `what "@NAME" in the dependencies of charts means`)
	f.StringVar(&in.Project, "project", "", "project whose applications alone may use it (default: all that allow the URL)")
	f.BoolVar(&in.SkipTest, "skip-test", false, "register it without trying it")
	flags.register(f)
	return c
}

// notStored says of a repository that failed its test what became of it.
func notStored(err error) error {
	var e *fault.Error
	if !errors.As(err, &e) || e.Kind != fault.Upstream {
		return err
	}
	fix := "nothing was stored; --skip-test registers it all the same"
	if e.Fix != "" {
		fix = e.Fix + "; " + fix
	}
	return e.WithFix("%s", fix)
}

// warnInsecure tells which checks are switched off.
func (c *call) warnInsecure(holds model.CredentialInfo) {
	for _, name := range holds.Insecure {
		c.note("warning: %s", map[string]string{
			"insecureIgnoreHostKey": "whatever host key the SSH server shows is taken",
			"insecureSkipVerify":    "whatever TLS certificate the server shows is taken",
			"insecurePlainHTTP":     "the registry is spoken to without TLS",
		}[name])
	}
}

// credentialText says in few words what opens a repository.
func credentialText(holds model.CredentialInfo, inherited string) string {
	kinds := strings.Join(holds.Kinds, ",")
	switch {
	case inherited != "":
		return "from " + inherited
	case kinds == "":
		return "none"
	}
	return kinds
}

func newRepoList(s *session) *cobra.Command {
	repositories := listing[model.Repository]{
		kind: "RepositoryList",
		by:   []string{"project", "filter"},
		name: func(r model.Repository) string { return "repo/" + r.URL },
		columns: []output.Column{
			{Title: "URL"}, {Title: "TYPE"}, {Title: "STATE", Status: true}, {Title: "CHECKED", Path: ".lastCheck"}, {Title: "PROJECT", Spare: true}, {Title: "CREDENTIAL"}, {Title: "ERROR", Text: true},
			{Title: "NAME", Wide: true}, {Title: "INSECURE", Wide: true}, {Title: "ID", Wide: true},
		},
		row: func(r model.Repository) []string {
			return []string{
				r.URL, r.Type, r.State, output.Age(s.now(), r.LastCheck), r.Project, credentialText(r.Holds, r.InheritedFrom), r.Error,
				r.Name, strings.Join(r.Holds.Insecure, ","), r.ID,
			}
		},
	}
	return repositories.command(s, &cobra.Command{Use: "list", Aliases: []string{"ls"}, Short: "All repositories and how they answer", Args: exactArgs()}, "/repositories", nil)
}

func newRepoGet(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "get URL", Short: "One repository, by its URL, name or ID", Args: exactArgs("URL"),
		RunE: s.run(func(c *call) error {
			r, err := c.repository(c.args[0])
			if err != nil {
				return err
			}
			return c.one(r, "repo/"+r.URL, func() error {
				checked := "never"
				if r.LastCheck != nil {
					checked = r.LastCheck.Format(time.RFC3339)
				}
				return c.describe(append([][2]string{
					{"URL", r.URL}, {"Type", r.Type}, {"Name", r.Name}, {"Project", r.Project}, {"State", r.State}, {"Error", r.Error},
					{"Checked", checked}, {"Credential", credentialText(r.Holds, r.InheritedFrom)},
				}, credentialFields(r.Holds)...))
			})
		}),
	}
}

func credentialFields(h model.CredentialInfo) [][2]string {
	return [][2]string{
		{"Username", h.Username}, {"Options", strings.Join(h.Options, ", ")}, {"Insecure", strings.Join(h.Insecure, ", ")},
		{"Proxy", h.Proxy}, {"No proxy", h.NoProxy}, {"GitHub", h.GitHubAppBaseURL},
	}
}

// repository finds one by its URL, name or ID.
func (c *call) repository(what string) (model.Repository, error) {
	var got list[model.Repository]
	if err := c.get("/repositories", &got); err != nil {
		return model.Repository{}, err
	}
	same := func(r model.Repository) bool { return policy.NormaliseRepo(r.URL) == policy.NormaliseRepo(what) }
	exact := func(r model.Repository) bool { return r.URL == what || r.ID == what || r.Name == what }
	for _, is := range []func(model.Repository) bool{exact, same} {
		for _, r := range got.Items {
			if is(r) {
				return r, nil
			}
		}
	}
	return model.Repository{}, fault.New(fault.NotFound, "repository_unknown", "there is no repository %s", what).WithFix("see hawser repo list")
}

func newRepoRemove(s *session) *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use: "remove URL", Aliases: []string{"rm"}, Short: "Forget a repository and its credential", Args: exactArgs("URL"),
		Long: `Forget a repository and its credential. Refused while applications have it as a
source, unless --force is given.`,
		RunE: s.run(func(c *call) error {
			r, err := c.repository(c.args[0])
			if err != nil {
				return err
			}
			path := repositoryPath(r.ID)
			if force {
				path += "?force=true"
			}
			return c.change(http.MethodDelete, path, nil, "repository %s removed", r.URL)
		}),
	}
	cmd.Flags().BoolVar(&force, "force", false, "also while applications use it")
	return cmd
}
