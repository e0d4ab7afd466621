package command

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/cli/output"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/policy"
)

func newAuth(s *session) *cobra.Command {
	return group("auth", "What one may do", newCanI(s))
}

func newCanI(s *session) *cobra.Command {
	var as string
	c := &cobra.Command{
		Use:   "can-i VERB TYPE/NAME",
		Short: "Say yes or no: may this be done? exit status 0 or 1",
		Long: `Say yes or no to whether something may be done to an application or in a project; the
reason of a no is on standard error. The exit status is 0 for yes and 1 for no. Nothing
is done. hawser explain app/NAME --verb VERB prints every check.`,
		Example: `  hawser auth can-i sync app/web
  hawser auth can-i deploy project/shop --as ci && hawser app create …`,
		Args: exactArgs("VERB", "TYPE/NAME"),
		RunE: s.run(func(c *call) error {
			q, err := questionAbout(c.args[0], c.args[1])
			if err != nil {
				return err
			}
			q.Subject = as
			var d policy.Decision
			if err := c.api.Do(c.ctx, http.MethodPost, "/explain", q, &d); err != nil {
				return err
			}
			err = c.one(d, "", func() error {
				if d.Allowed {
					return c.name("yes")
				}
				if !c.quiet {
					for line := range strings.Lines(d.Explanation(c.now())) {
						fmt.Fprintln(c.Err, output.Clean(strings.TrimSuffix(line, "\n")))
					}
				}
				return c.name("no")
			})
			if err == nil && !d.Allowed {
				return exitWith(ExitNegative, nil)
			}
			return err
		}),
	}
	c.Flags().StringVar(&as, "as", "", "name or id of the API token that would do it; for administrators")
	return c
}

// questionAbout is the question of a verb and TYPE/NAME.
func questionAbout(verb, what string) (question, error) {
	kind, name, ok := strings.Cut(what, "/")
	if !ok || name == "" {
		return question{}, fault.New(fault.Invalid, "usage", "%q is not TYPE/NAME", what).WithFix("types: app, project")
	}
	n, err := nounOf(kind)
	switch {
	case err != nil:
		return question{}, err
	case n.name == "project":
		return question{Verb: verb, Project: name}, nil
	case n.name == "app":
		return question{Verb: verb, Name: name}, nil
	}
	return question{}, fault.New(fault.Invalid, "usage", "what may be done to a %s is asked about its project", n.name).WithFix("types: app, project")
}

func newAppExplain(s *session) *cobra.Command {
	var q question
	c := &cobra.Command{
		Use:   "explain NAME",
		Short: "Why something may be done to an application or not: every check in order",
		Long: `Why something may be done to an application or not: every check in order, with the
rule that decided, who changed it and when. The exit status is 1 when it is not allowed.`,
		Args: exactArgs("NAME"),
		RunE: s.run(func(c *call) error {
			q.Name = c.args[0]
			var d policy.Decision
			if err := c.api.Do(c.ctx, http.MethodPost, "/explain", q, &d); err != nil {
				return err
			}
			if err := c.printDecisions([]policy.Decision{d}); err != nil || d.Allowed {
				return err
			}
			return exitWith(ExitNegative, nil)
		}),
	}
	c.Flags().StringVar(&q.Verb, "verb", "", "what is to be done: deploy (default), sync, get, logs, exec, delete and so on")
	c.Flags().StringVar(&q.Subject, "as", "", "name or id of the API token that would do it; for administrators")
	return c
}
