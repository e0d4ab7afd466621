package command

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

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
		RunE: func(c *cobra.Command, args []string) (err error) {
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
			api, err := s.client()
			if err != nil {
				return err
			}
			f, err := s.outputFormat()
			if err != nil {
				return err
			}
			var got model.Repository
			if err := api.Do(c.Context(), http.MethodPost, "/repositories", in, &got); err != nil {
				return err
			}
			switch f {
			case output.JSON, output.YAML:
				return output.Document(s.Out, f, got)
			case output.Name:
				fmt.Fprintln(s.Out, "repository/"+output.Clean(got.URL))
				return nil
			}
			s.note("repository %s added", output.Clean(got.URL))
			return nil
		},
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
	return &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "All repositories and how they answer", Args: exactArgs(),
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
				Items []model.Repository `json:"items"`
				AsOf  time.Time          `json:"asOf"`
			}
			if err := api.Get(c.Context(), "/repositories", &got); err != nil {
				return err
			}
			switch f {
			case output.JSON, output.YAML:
				return output.Document(s.Out, f, listDocument("RepositoryList", got.Items, got.AsOf))
			case output.Name:
				for _, r := range got.Items {
					fmt.Fprintln(s.Out, "repository/"+output.Clean(r.URL))
				}
				return nil
			}
			now := s.now()
			rows := make([][]string, 0, len(got.Items))
			for _, r := range got.Items {
				rows = append(rows, []string{r.URL, r.State, output.Age(now, r.LastCheck), r.Project, r.Error, r.ID})
			}
			return output.Rows(s.Out, f, []output.Column{{Title: "URL"}, {Title: "STATE"}, {Title: "CHECKED"}, {Title: "PROJECT"}, {Title: "ERROR"}, {Title: "ID", Wide: true}}, rows)
		},
	}
}

func newRepoRemove(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "remove URL", Aliases: []string{"rm"}, Short: "Forget a repository and its credential", Args: exactArgs("URL"),
		RunE: func(c *cobra.Command, args []string) error {
			api, err := s.client()
			if err != nil {
				return err
			}
			var got struct {
				Items []model.Repository `json:"items"`
			}
			if err := api.Get(c.Context(), "/repositories", &got); err != nil {
				return err
			}
			for _, r := range got.Items {
				if r.URL == args[0] || r.ID == args[0] {
					return api.Do(c.Context(), http.MethodDelete, "/repositories/"+url.PathEscape(r.ID), nil, nil)
				}
			}
			return fault.New(fault.NotFound, "repository_unknown", "there is no repository %s", args[0]).WithFix("see hawser repo list")
		},
	}
}
