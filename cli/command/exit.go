package command

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

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

const exitCodesHelp = `Exit statuses, the same for every command:

  0    done, no differences, yes
  1    a well-formed negative answer: differences found (diff), never an error
  2    error, wrong usage included
  3    not found, or ambiguous
  4    not logged in, or the login expired
  5    denied; the explanation is printed
  6    not now: another operation is running, a guard waits for confirmation
  7    timed out waiting; what was not ready is printed
  8    the hub or cluster is unreachable, or what is known of it is stale
  9    some of many failed
  10   finished, but badly: Degraded, or the operation failed
  130  interrupted; what the hub has accepted goes on
`

func newHelp(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:   "help [command | exit-codes | environment]",
		Short: "Help about a command or a topic",
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 1 && args[0] == "exit-codes" {
				fmt.Fprint(c.OutOrStdout(), exitCodesHelp)
				return nil
			}
			if len(args) == 1 && args[0] == "environment" {
				fmt.Fprint(c.OutOrStdout(), environmentHelp)
				return nil
			}
			found, rest, err := root.Find(args)
			if err != nil || len(rest) > 0 {
				return fault.New(fault.NotFound, "help_unknown", "there is no help for %q", args)
			}
			return found.Help()
		},
	}
}

const environmentHelp = `Environment:

  HAWSER_CONFIG    the configuration file (default: hawser/config.yaml in the
                   user's configuration directory)
  HAWSER_CONTEXT   the context to use, as --context
  HAWSER_HUB       address of a hub, instead of a context
  HAWSER_CA_HASH   pin of that hub's CA
  HAWSER_TOKEN     API token, instead of the context's
  HTTPS_PROXY, NO_PROXY   as usual
`
