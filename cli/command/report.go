package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/hawser-dev/hawser/cli/config"
	"github.com/hawser-dev/hawser/cli/output"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/policy"
)

// report prints an error and chooses the exit status.
func (s *session) report(ctx context.Context, err error) int {
	if err == nil {
		return ExitOK
	}
	var exit exitError
	if errors.As(err, &exit) {
		if exit.err == nil {
			return exit.code
		}
		err = exit.err
	}
	code := exit.code
	if code == 0 {
		code = exitCode(ctx, err)
	}
	var known *fault.Error
	if code == ExitInterrupted && !errors.As(err, &known) {
		if s.progress == "json" {
			s.sayJSON(map[string]any{"level": "error", "message": "interrupted", "exitCode": code})
		} else {
			text := "interrupted; what the hub has accepted goes on"
			if s.watch {
				text = "interrupted" // whoever looks has asked for nothing that could go on
			}
			fmt.Fprintln(s.Err, text)
		}
		return code
	}
	if errors.Is(err, context.DeadlineExceeded) && !errors.As(err, &known) {
		err = fault.New(fault.Unavailable, "wait_timeout", "the hub gave no answer within the time limit; what was asked may have been accepted").
			WithFix("look before repeating it, or allow more time with --timeout")
	}
	if code == ExitUnauthorized {
		err = s.howToLogIn(err)
	}
	err = s.inItsName(err)
	if s.progress == "json" {
		s.printErrorJSON(err, code)
	} else {
		printError(s.Err, err)
	}
	return code
}

// howToLogIn gives an error about who one is the command that mends it.
func (s *session) howToLogIn(err error) error {
	var e *fault.Error
	if errors.As(err, &e) && e.Code == "login_failed" { // another way in is no help to who mistyped a password
		return e.WithFix("type them again; an administrator gives another password: %s account set NAME --password", s.Program)
	}
	file, loadErr := config.Load()
	x, ok := file.Context(s.context)
	if loadErr != nil || !ok || !errors.As(err, &e) || s.host != "" || os.Getenv("HAWSER_HUB") != "" {
		return err
	}
	if os.Getenv("HAWSER_TOKEN") != "" || os.Getenv("HAWSER_TOKEN_FD") != "" {
		return e.WithFix("the token is of the environment (HAWSER_TOKEN): set another, or unset it and: %s", s.loginCommand(x))
	}
	return e.WithFix("%s", s.loginCommand(x))
}

// printErrorJSON writes each error as an object on a line of standard error.
func (s *session) printErrorJSON(err error, code int) {
	var list fault.List
	if !errors.As(err, &list) || len(list) == 0 {
		var e *fault.Error
		if !errors.As(err, &e) {
			e = &fault.Error{Kind: fault.Internal, Message: err.Error()}
		}
		list = fault.List{e}
	}
	for _, e := range list {
		v := map[string]any{"level": "error", "message": e.Message, "exitCode": code}
		for k, text := range map[string]string{"id": e.ID(), "code": e.Code, "kind": string(e.Kind), "field": e.Field, "found": e.Found, "allowed": e.Allowed, "fix": e.Fix} {
			if text != "" {
				v[k] = text
			}
		}
		if e.Cause != nil && e.Kind != fault.Internal {
			v["cause"] = e.Cause.Error()
		}
		if e.Explain != nil {
			v["explain"] = e.Explain
		}
		s.sayJSON(v)
	}
}

func printError(w io.Writer, err error) {
	var list fault.List
	if errors.As(err, &list) && len(list) > 1 {
		for _, e := range list {
			printFault(w, e)
		}
		return
	}
	var e *fault.Error
	if errors.As(err, &e) {
		printFault(w, e)
		return
	}
	fmt.Fprintf(w, "error: %s\n", output.Clean(err.Error()))
}

func printFault(w io.Writer, e *fault.Error) {
	line := e.Message
	if e.Field != "" && !strings.Contains(line, e.Field) {
		line = e.Field + ": " + line
	}
	if e.Code != "" {
		line += " (" + e.Code + ")"
	}
	if id := e.ID(); id != "" {
		line = id + " " + line // the number that people search for
	}
	fmt.Fprintf(w, "error: %s\n", output.Clean(line))
	if e.Allowed != "" {
		fmt.Fprintf(w, "  allowed: %s\n", output.Clean(e.Allowed))
	}
	if e.Cause != nil && e.Kind != fault.Internal {
		fmt.Fprintf(w, "  cause: %s\n", output.Clean(e.Cause.Error()))
	}
	if raw, ok := e.Explain.(json.RawMessage); ok {
		printExplanation(w, raw)
	}
	if e.Fix != "" {
		fmt.Fprintf(w, "  fix: %s\n", output.Clean(e.Fix))
	}
}

// printExplanation prints the checks of a refusal in order, as every other
// place does that explains one.
func printExplanation(w io.Writer, raw json.RawMessage) {
	var d policy.Decision
	if json.Unmarshal(raw, &d) != nil || len(d.Checks) == 0 {
		return
	}
	for line := range strings.Lines(d.Explanation(time.Now())) {
		fmt.Fprint(w, "  ", line)
	}
}
