package command

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/hawser-dev/hawser/cli/client"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// waitForOperation is how long commands wait for an operation unless --timeout
// says otherwise.
const waitForOperation = 5 * time.Minute

// conclude waits for the end of an operation, prints it and chooses the exit
// status.
func (c *call) conclude(ctx context.Context, op model.OperationInfo) error {
	op, err := awaitOperation(ctx, c.api, op)
	if err != nil {
		return err
	}
	if err := c.printOperation(op); err != nil {
		return err
	}
	if code := exitOfOperation(op); code != ExitOK {
		return exitWith(code, nil)
	}
	return nil
}

// exitOfOperation is the exit status for an operation that has ended.
func exitOfOperation(op model.OperationInfo) int {
	switch op.Phase {
	case model.PhaseSucceeded:
		return ExitOK
	case model.PhaseSuperseded, model.PhaseExpired, model.PhaseTerminated:
		return ExitPrecondition
	}
	if op.Result != nil && op.Result.WouldPrune > 0 {
		return ExitPrecondition
	}
	return ExitBad
}

// awaitOperation follows the event stream until the operation has ended.
func awaitOperation(ctx context.Context, api *client.Client, op model.OperationInfo) (model.OperationInfo, error) {
	ops, err := awaitAll(ctx, api, []model.OperationInfo{op}, func(model.OperationInfo) {})
	return ops[0], err
}

// stillGoing says which operations are not over, how to look at them and how to end
// them.
func stillGoing(ops []model.OperationInfo, code, why string) error {
	var open []model.OperationInfo
	for _, op := range ops {
		if !op.Phase.Terminal() {
			open = append(open, op)
		}
	}
	if len(open) != 1 {
		lines := make([]string, 0, len(open))
		for _, op := range open[:min(len(open), 10)] {
			lines = append(lines, fmt.Sprintf("%s is %s (%s)", op.AppName, op.Phase, op.ID))
		}
		if len(open) > 10 {
			lines = append(lines, fmt.Sprintf("and %d more", len(open)-10))
		}
		return fault.New(fault.Unavailable, code, "%d operations go on %s: %s", len(open), why, strings.Join(lines, "; ")).
			WithFix("look: hawser operation list; cancel one: hawser app cancel NAME")
	}
	op := open[0]
	e := fault.New(fault.Unavailable, code, "operation %s is still %s %s; it goes on", op.ID, op.Phase, why)
	if code == "interrupted" {
		e = fault.New(fault.Unavailable, code, "interrupted; operation %s is %s and goes on", op.ID, op.Phase)
	}
	if op.Message != "" {
		e.Message += ": " + op.Message
	}
	return e.WithFix("look: hawser operation get %s; cancel: hawser operation terminate %s", op.ID, op.ID)
}
