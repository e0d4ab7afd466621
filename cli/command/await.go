package command

import (
	"context"
	"errors"
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

// awaitOperation follows the event stream until the operation has ended. The
// stream is opened before the operation is read, so no end is missed.
func awaitOperation(ctx context.Context, api *client.Client, op model.OperationInfo) (model.OperationInfo, error) {
	id := op.ID
	err := follow(ctx, api, func() (bool, error) {
		var now model.OperationInfo
		if err := api.Get(ctx, operationPath(string(id)), &now); err != nil {
			return false, err
		}
		op = now
		return op.Phase.Terminal(), nil
	}, func(e client.Event) bool { return e.Type == "operation" || e.Type == "application" })
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return op, exitWith(ExitTimeout, goesOn(op, "wait_timeout", "operation %s is still %s after the time limit; it goes on"))
	case errors.Is(err, context.Canceled):
		return op, exitWith(ExitInterrupted, goesOn(op, "interrupted", "interrupted; operation %s is %s and goes on"))
	}
	return op, err
}

// goesOn says that an operation is not over, how to look at it and how to end it.
func goesOn(op model.OperationInfo, code, format string) error {
	e := fault.New(fault.Unavailable, code, format, op.ID, op.Phase)
	if op.Message != "" {
		e.Message += ": " + op.Message
	}
	return e.WithFix("look: hawser operation get %s; cancel: hawser operation terminate %s", op.ID, op.ID)
}

// follow calls check at the start and after each interesting event, until it
// says done. A broken stream is opened again; between streams check is called,
// so that nothing depends on an event having arrived.
func follow(ctx context.Context, api *client.Client, check func() (bool, error), interesting func(client.Event) bool) error {
	pause := 200 * time.Millisecond
	for {
		var done bool
		var checkErr error
		look := func() bool {
			done, checkErr = check()
			return !done && checkErr == nil
		}
		streamErr := api.Events(ctx, "", func(e client.Event) bool {
			pause = 200 * time.Millisecond
			if e.Type == "hello" || e.Type == "reset" || interesting(e) {
				return look()
			}
			return true
		})
		if done {
			return nil
		}
		if checkErr == nil && ctx.Err() == nil {
			look()
		}
		if done {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		for _, err := range []error{checkErr, streamErr} {
			var e *fault.Error
			if errors.As(err, &e) && e.Kind != fault.Unavailable {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
			pause = min(2*pause, 5*time.Second)
		}
	}
}
