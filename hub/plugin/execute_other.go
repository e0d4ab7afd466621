//go:build !linux

package plugin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"time"

	"github.com/hawser-dev/hawser/shared/fault"
)

// Where there is no Linux, commands have their own copy and environment, a limit
// of time and one of output, and no other isolation: it is for people who try a
// plugin on their own machine.
type isolation struct{ user int }

func (isolation) String() string { return "none" }

func (isolation) userOf(int) int { return 0 }

func isolate(opts HostOptions, _ string) (isolation, error) {
	opts.Log.Warn("this system cannot isolate the plugin's commands")
	return isolation{}, nil
}

type runners struct{}

func newRunners() *runners { return &runners{} }

// RunnerMain is needed on Linux only.
func RunnerMain([]string) error { return errors.New("there are no runners on this system") }

// limited keeps what fits and ends the run with the first byte that does not.
type limited struct {
	bytes.Buffer
	limit int64
	full  func()
}

func (l *limited) Write(b []byte) (int, error) {
	if int64(l.Len()+len(b)) > l.limit {
		l.full()
		return 0, errors.New("too much output")
	}
	return l.Buffer.Write(b)
}

func (h *hosting) execute(ctx context.Context, t task, outputLimit int64) (result, error) {
	within, cancel := context.WithTimeout(ctx, h.opts.Limits.Time)
	defer cancel()
	var res result
	name := clip(h.about.GetName(), 60)
	for i, s := range t.Steps {
		out := &limited{limit: outputLimit, full: func() {
			res.stopped = tooMuchOutput(name, outputLimit)
			cancel()
		}}
		stderr := &lines{keep: stderrLines}
		cmd := exec.CommandContext(within, s.Argv[0], s.Argv[1:]...)
		cmd.Dir, cmd.Env, cmd.Stderr, cmd.WaitDelay = t.Dir, t.Env, stderr, time.Second
		cmd.Stdout = stderr
		if i == len(t.Steps)-1 {
			cmd.Stdout = out
		}
		began := time.Now()
		err := cmd.Run()
		res.exit = exitError{Step: s.Name, Started: cmd.ProcessState != nil, After: time.Since(began)}
		res.stderr = stderr.String()
		switch {
		case ctx.Err() != nil:
			return result{}, ctx.Err()
		case res.stopped != nil:
			return res, nil
		case within.Err() != nil:
			res.stopped = fault.New(fault.Unprocessable, "plugin_failed", "plugin %q did not end within %s and was stopped", name, h.opts.Limits.Time)
			return res, nil
		case cmd.ProcessState == nil:
			res.exit.Why = err.Error()
			return res, nil
		}
		if res.exit.Exit = cmd.ProcessState.ExitCode(); res.exit.Exit != 0 {
			return res, nil
		}
		res.out = out.Bytes()
	}
	return res, nil
}

func signalled(signal int, _ Limits) string { return fmt.Sprintf("was ended by signal %d", signal) }
