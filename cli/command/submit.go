package command

import (
	"context"
	"net/http"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// submit asks for a durable command. A key makes it safe to repeat the request
// when the answer is lost.
func (c *call) submit(ctx context.Context, path string, body any) (op model.OperationInfo, err error) {
	header := http.Header{"Idempotency-Key": {uuid.NewString()}}
	post := func() error { return c.api.DoWith(ctx, http.MethodPost, path, header, body, &op) }
	err = post()
	if fault.HasCode(err, "hub_unreachable") || fault.HasCode(err, "commit_unknown") {
		err = post()
	}
	return op, err
}

// carryOut asks for a durable command, and waits for its end if it is to.
func (c *call) carryOut(path string, body any, wait bool, accepted string, args ...any) error {
	ctx, cancel := c.limit(c.ctx, waitForOperation)
	defer cancel()
	op, err := c.submit(ctx, path, body)
	if err != nil {
		return err
	}
	if !wait {
		c.note(accepted+" accepted as operation "+string(op.ID), args...)
		return c.printOperation(op)
	}
	return c.conclude(ctx, op)
}

// waitFlags are the two ways to say that a command is not to wait.
type waitFlags struct{ wait, async bool }

func (w *waitFlags) register(c *cobra.Command) {
	c.Flags().BoolVar(&w.wait, "wait", true, "wait until it is done")
	c.Flags().BoolVar(&w.async, "async", false, "do not wait")
}

func (w *waitFlags) waits() bool { return w.wait && !w.async }
