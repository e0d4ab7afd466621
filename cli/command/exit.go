package command

import (
	"context"
	"errors"
	"fmt"

	"github.com/hawser-dev/hawser/shared/fault"
)

// Exit statuses of the whole command line.
const (
	ExitOK           = 0
	ExitNegative     = 1 // a well-formed "no": differences found, nothing wrong
	ExitError        = 2
	ExitNotFound     = 3
	ExitUnauthorized = 4
	ExitDenied       = 5
	ExitPrecondition = 6
	ExitTimeout      = 7
	ExitUnreachable  = 8
	ExitPartial      = 9
	ExitBad          = 10
	ExitInterrupted  = 130
)

// exitError ends with a certain status, and an error to print if there is one.
type exitError struct {
	code int
	err  error
}

func (e exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit status %d", e.code)
	}
	return e.err.Error()
}

func (e exitError) Unwrap() error { return e.err }

func exitWith(code int, err error) error { return exitError{code: code, err: err} }

func exitCode(ctx context.Context, err error) int {
	var e *fault.Error
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return ExitTimeout
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		return ExitInterrupted
	case errors.As(err, &e):
		return e.Kind.ExitCode()
	}
	return ExitError
}
