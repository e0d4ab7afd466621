package command

import (
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/cli/output"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

func newRepo(s *session) *cobra.Command {
	return group("repo", "Git repositories and their credentials", newRepoAdd(s), newRepoList(s), newRepoRemove(s))
}

// repositoryRequest is what repo add sends; credentials only ever go up.
type repositoryRequest struct {
	URL        string `json:"url"`
	Project    string `json:"project,omitempty"`
	Username   string `json:"username,omitempty"`
	Password   string `json:"password,omitempty"`
	SSHKey     string `json:"sshKey,omitempty"`
	KnownHosts string `json:"knownHosts,omitempty"`
	CABundle   string `json:"caBundle,omitempty"`
	SkipTest   bool   `json:"skipTest,omitempty"`
}

func newRepoAdd(s *session) *cobra.Command {
	var (
		in                             repositoryRequest
		passwordStdin                  bool
		keyFile, knownHostsFile, caCrt string
	)
	c := &cobra.Command{
		Use:   "add URL",
		Short: "Register a repository and its credential, after trying it",
		Long: `Register a repository and its credential, after trying it. Adding a URL again
replaces its credential. The credential also opens repositories whose URL begins
with this one, the longest match first.`,
		Args: exactArgs("URL"),
		PreRunE: func(_ *cobra.Command, args []string) error {
			in.URL = args[0]
			if passwordStdin {
				b, err := io.ReadAll(io.LimitReader(s.In, 64<<10))
				if err != nil {
					return err
				}
				in.Password = strings.TrimRight(string(b), "\r\n")
			}
			for path, into := range map[string]*string{keyFile: &in.SSHKey, knownHostsFile: &in.KnownHosts, caCrt: &in.CABundle} {
				if path == "" {
					continue
				}
				b, err := os.ReadFile(path)
				if err != nil {
					return fault.New(fault.Invalid, "file_unreadable", "%s", err)
				}
				*into = string(b)
			}
			return nil
		},
		RunE: s.run(func(c *call) error {
			var got model.Repository
			if err := c.api.Do(c.ctx, http.MethodPost, "/repositories", in, &got); err != nil {
				return err
			}
			return c.one(got, "repository/"+got.URL, func() error {
				c.note("repository %s added", got.URL)
				return nil
			})
		}),
	}
	f := c.Flags()
	f.StringVar(&in.Project, "project", "", "project that may use it (default: all that allow the URL)")
	f.StringVar(&in.Username, "username", "", "user of the repository")
	f.StringVar(&in.Password, "password", "", "password or token; better: --password-stdin")
	f.BoolVar(&passwordStdin, "password-stdin", false, "read the password from standard input")
	f.StringVar(&keyFile, "ssh-private-key-path", "", "file with an SSH private key")
	f.StringVar(&knownHostsFile, "known-hosts", "", "file with the SSH host keys to trust, in OpenSSH's format")
	f.StringVar(&caCrt, "ca-cert", "", "file with certificate authorities to trust for this repository, PEM")
	f.BoolVar(&in.SkipTest, "skip-test", false, "register it without trying it")
	return c
}

func newRepoList(s *session) *cobra.Command {
	repositories := listing[model.Repository]{
		kind:    "RepositoryList",
		name:    func(r model.Repository) string { return "repository/" + r.URL },
		columns: []output.Column{{Title: "URL"}, {Title: "STATE"}, {Title: "CHECKED"}, {Title: "PROJECT"}, {Title: "ERROR", Text: true}, {Title: "ID", Wide: true}},
		row: func(r model.Repository) []string {
			return []string{r.URL, r.State, output.Age(s.now(), r.LastCheck), r.Project, r.Error, r.ID}
		},
	}
	return &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "All repositories and how they answer", Args: exactArgs(),
		RunE: s.run(func(c *call) error { return repositories.fetch(c, "/repositories") }),
	}
}

func newRepoRemove(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "remove URL", Aliases: []string{"rm"}, Short: "Forget a repository and its credential", Args: exactArgs("URL"),
		RunE: s.run(func(c *call) error {
			var got list[model.Repository]
			if err := c.get("/repositories", &got); err != nil {
				return err
			}
			for _, r := range got.Items {
				if r.URL == c.args[0] || r.ID == c.args[0] {
					return c.change(http.MethodDelete, "/repositories/"+url.PathEscape(r.ID), nil, "repository %s removed", r.URL)
				}
			}
			return fault.New(fault.NotFound, "repository_unknown", "there is no repository %s", c.args[0]).WithFix("see hawser repo list")
		}),
	}
}
