package command

import (
	"net/http"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

func newAppSync(s *session) *cobra.Command {
	var (
		spec         model.OperationSpec
		async        bool
		confirmPrune int
	)
	c := &cobra.Command{
		Use:   "sync NAME",
		Short: "Make the cluster as Git says, and wait for the result",
		Args:  exactArgs("NAME"),
		RunE: s.run(func(c *call) error {
			if c.cmd.Flags().Changed("confirm-prune") {
				spec.ConfirmPrune, spec.Prune = &confirmPrune, true
			}
			ctx, cancel := c.limit(c.ctx, waitForOperation)
			defer cancel()
			// The key makes it safe to repeat the request when the answer is lost.
			header := http.Header{"Idempotency-Key": {uuid.NewString()}}
			var op model.OperationInfo
			post := func() error {
				return c.api.DoWith(ctx, http.MethodPost, appPath(c.args[0])+"/sync", header, spec, &op)
			}
			err := post()
			if fault.HasCode(err, "hub_unreachable") || fault.HasCode(err, "commit_unknown") {
				err = post()
			}
			if err != nil {
				return err
			}
			if async {
				c.note("sync of %q accepted as operation %s", c.args[0], op.ID)
				return c.printOperation(op)
			}
			err = c.conclude(ctx, op)
			if !c.documents() {
				// That it cannot be read does not change how the sync ended.
				if v, err := getApp(ctx, c.api, c.args[0]); err == nil {
					c.warnNotRendered(v)
				}
			}
			return err
		}),
	}
	f := c.Flags()
	f.BoolVar(&spec.Prune, "prune", false, "delete objects that are no longer in Git")
	f.IntVar(&confirmPrune, "confirm-prune", 0, "confirm that this many objects may be deleted, past the prune guard")
	f.BoolVar(&spec.DryRun, "dry-run", false, "plan and show, change nothing")
	f.StringArrayVar(&spec.SyncOptions, "sync-option", nil, "sync option for this operation; may be repeated")
	f.BoolVar(&async, "async", false, "do not wait")
	return c
}
