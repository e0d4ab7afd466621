package command

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/cli/output"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/telemetry"
)

// versions of this program and of the hub; the latter is empty when there is no
// hub or it does not answer.
type versions struct {
	Client string `json:"client"`
	Hub    string `json:"hub,omitempty"`
}

func newVersion(s *session) *cobra.Command {
	var clientOnly bool
	c := &cobra.Command{
		Use: "version", Short: "Versions of this program and of the hub", Args: exactArgs(),
		RunE: s.offline(func(c *call) error {
			v := versions{Client: telemetry.Version}
			if !clientOnly {
				v.Hub = c.hubVersion()
			}
			return c.one(v, "", func() error {
				fmt.Fprintf(c.Out, "hawser %s\n", v.Client)
				if v.Hub != "" {
					fmt.Fprintf(c.Out, "hub    %s\n", output.Clean(v.Hub))
				}
				return nil
			})
		}),
	}
	c.Flags().BoolVar(&clientOnly, "client", false, "of this program only")
	return c
}

// hubVersion asks the hub, if there is one; that it cannot be asked is worth a
// note but no failure.
func (c *call) hubVersion() string {
	api, err := c.client()
	if fault.HasCode(err, "not_logged_in") {
		return ""
	}
	var got struct {
		Version string `json:"version"`
	}
	if err == nil {
		ctx, cancel := c.limit(c.ctx, 5*time.Second)
		defer cancel()
		err = api.Get(ctx, "/version", &got)
		if ctx.Err() != nil && c.ctx.Err() == nil {
			err = context.DeadlineExceeded
		}
	}
	switch {
	case err == context.DeadlineExceeded:
		c.note("the hub did not say its version in time")
	case err != nil:
		c.note("the hub did not say its version: %s", fault.As(err).Message)
	}
	return got.Version
}
