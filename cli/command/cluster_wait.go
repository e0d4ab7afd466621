package command

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// clusterPatience is how long cluster wait waits without --timeout.
const clusterPatience = 10 * time.Minute

func newClusterWait(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "wait NAME", Short: "Wait until a cluster is connected and has reported what it is", Args: exactArgs("NAME"),
		Long: `Wait until a cluster is connected and has reported what it is, for ten minutes if
--timeout does not say otherwise. The cluster need not be enrolled yet. On a timeout the
exit status is 7. An agent that is revoked or held for approval does not come by
waiting: then the command ends at once, with exit status 10.

  hawser cluster wait prod-eu
  hawser cluster wait prod-eu --timeout 2m && hawser app create …`,
		RunE: s.run(func(c *call) error {
			ctx, cancel := c.limit(c.ctx, clusterPatience)
			defer cancel()
			name := c.args[0]
			var x model.Cluster
			err := c.until(ctx, func() (bool, error) {
				err := c.api.Get(ctx, clusterPath(name), &x)
				if err != nil {
					if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Unavailable) {
						err = nil // not yet
					}
					return false, err
				}
				return hasReported(x), vainly(x)
			})
			if err != nil {
				return clusterNotThere(ctx, name, err)
			}
			return c.one(x, "cluster/"+x.Name, func() error { return c.describeCluster(x) })
		}),
	}
}

// hasReported tells whether a cluster is connected and its inventory there.
func hasReported(x model.Cluster) bool {
	return x.Connected && x.KubeVersion != "" && x.Namespaces > 0
}

// vainly is why it makes no sense to wait for a cluster, nil when it does.
func vainly(x model.Cluster) error {
	why := ""
	switch {
	case x.Connected:
		return nil
	case x.Revoked:
		why = "its agent was revoked"
	case x.Held != "":
		why = "its agent is held for approval"
	default:
		return nil
	}
	return exitWith(ExitBad, fault.New(fault.Precondition, "wait_in_vain", "cluster %q does not connect by waiting: %s", x.Name, why).
		WithFix("hawser cluster diagnose %s", x.Name))
}

// clusterNotThere is the error of a wait that ended with err.
func clusterNotThere(ctx context.Context, name string, err error) error {
	switch {
	case !errors.Is(err, ctx.Err()):
		return err
	case !errors.Is(err, context.DeadlineExceeded):
		return exitWith(ExitInterrupted, fault.New(fault.Unavailable, "interrupted", "interrupted before cluster %q had reported", name))
	}
	return exitWith(ExitTimeout, fault.New(fault.Unavailable, "wait_timeout", "timed out before cluster %q had reported", name).
		WithFix("hawser cluster diagnose %s", name))
}

// until has look called at once, whenever the hub tells of a change, and, because not
// all is told, every enrolmentLook, until it answers true or an error. When ctx ends
// before, that is the error.
func (c *call) until(ctx context.Context, look func() (bool, error)) error {
	changes := make(chan struct{}, 1)
	ended := make(chan error, 1)
	go func() { ended <- c.changes(ctx, changes) }()
	tick := time.NewTicker(enrolmentLook)
	defer tick.Stop()
	for {
		done, err := look()
		if ctx.Err() != nil && !done {
			return ctx.Err()
		}
		if done || err != nil {
			return err
		}
		select {
		case <-changes:
		case <-tick.C:
		case err := <-ended:
			if ctx.Err() == nil {
				return err
			}
			return ctx.Err()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
