package command

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/cli/output"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

func newRepoTest(s *session) *cobra.Command {
	var in repositoryRequest
	var flags credentialFlags
	c := &cobra.Command{
		Use:   "test URL",
		Short: "Try a repository step by step, from the hub",
		Long: `Try a repository step by step, from the hub: name, connection, TLS, credential,
content. Without a credential the stored one is tried. Nothing is stored.`,
		Args: exactArgs("URL"),
		PreRunE: func(_ *cobra.Command, args []string) (err error) {
			in.URL = args[0]
			in.credential, err = flags.readFor(s, in.URL)
			return err
		},
		RunE: s.run(func(c *call) error { return c.testRepository(in) }),
	}
	f := c.Flags()
	f.StringVar(&in.Type, "type", "", "git, helm or oci (default: as registered, or oci for oci://, else git)")
	f.StringVar(&in.Project, "project", "", "project whose credential templates are tried")
	flags.register(f)
	return c
}

// testRepository prints each step when it is done.
func (c *call) testRepository(in repositoryRequest) error {
	ctx, cancel := c.limit(c.ctx, time.Minute)
	defer cancel()
	text := c.format == output.Table || c.format == output.Wide
	var test *model.RepositoryTest
	err := c.api.Lines(ctx, http.MethodPost, "/repositories/test", in, func(line []byte) error {
		var l model.RepositoryTestLine
		if err := json.Unmarshal(line, &l); err != nil {
			return fault.New(fault.Internal, "answer_invalid", "the hub answered something that is not a test").
				WithFix("check that hub and command line are of one version")
		}
		if l.Test != nil {
			test = l.Test
		}
		if l.Step != nil && text {
			return c.step(*l.Step)
		}
		return nil
	})
	switch {
	case err != nil:
		return err
	case test == nil:
		return fault.New(fault.Unavailable, "answer_incomplete", "the hub's answer ended before the test did").WithFix("try again")
	}
	if err := c.one(*test, "repo/"+test.URL, func() error { return nil }); err != nil {
		return err
	}
	if !test.OK {
		return problemFault(test.Problem)
	}
	opened := map[string]string{
		"given": "with the given credential", "repository": "with its credential", "template": "with the credential template " + test.Template,
	}[test.Credential]
	if opened == "" {
		opened = "without a credential"
	}
	c.note("%s answers, %s", test.URL, opened)
	return nil
}

func (c *call) step(s model.RepositoryStep) error {
	mark := "✓"
	if !s.OK {
		mark = "✗" // why is told once, by the error at the end
	}
	line := fmt.Sprintf("%s %-10s %8s  %s", mark, output.Clean(s.Name), milliseconds(s.Milliseconds), output.Clean(s.Detail))
	_, err := fmt.Fprintln(c.Out, strings.TrimRight(line, " "))
	return err
}

func milliseconds(ms float64) string {
	if ms < 10 {
		return fmt.Sprintf("%.1f ms", ms)
	}
	return fmt.Sprintf("%.0f ms", ms)
}

func problemFault(p *model.RepositoryProblem) error {
	if p == nil {
		return fault.New(fault.Upstream, "repository_failed", "the repository failed its test")
	}
	return &fault.Error{Kind: fault.Kind(p.Kind), Code: p.Code, Message: p.Detail, Field: p.Field, Found: p.Found, Allowed: p.Allowed, Fix: p.Fix}
}
