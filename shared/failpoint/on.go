//go:build failpoints && unix

package failpoint

import (
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hawser-dev/hawser/shared/fault"
)

// state is what the environment asked for, and how often each point was hit.
var state struct {
	trace  bool
	orders map[string]order
	hits   map[string]*atomic.Int64
}

func init() {
	state.hits = map[string]*atomic.Int64{}
	for _, name := range Names() {
		state.hits[name] = new(atomic.Int64)
	}
	orders, trace, err := parse(os.Getenv(Variable))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	state.orders, state.trace = orders, trace
}

// Hit marks a place. The name must be one of [Names].
func Hit(name string) { _ = Error(name) }

// Error marks a place that can be made to fail. It returns nil unless the
// environment says otherwise. The name must be one of [Names].
func Error(name string) error {
	count := state.hits[name]
	if count == nil {
		panic("failpoint: no point is called " + name)
	}
	n := count.Add(1)
	o, ok := state.orders[name]
	due := ok && o.due(n)
	if state.trace || due {
		// One write, which survives the process: the kernel has it.
		fmt.Fprintf(os.Stderr, "%s%s %d %s\n", Prefix, name, n, map[bool]string{true: o.act.String(), false: "pass"}[due])
	}
	if !due {
		return nil
	}
	switch o.act {
	case kill:
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // nothing of this goroutine happens after it
	case pause:
		hold(o.file)
	case fail:
		return fault.New(fault.Internal, "failpoint", "the failpoint %s fails", name)
	}
	return nil
}

// hold makes a file and returns when it is gone. A file of another process gives
// no signal.
func hold(file string) {
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		fmt.Fprintln(os.Stderr, "failpoint: cannot hold:", err)
		os.Exit(2)
	}
	for {
		if _, err := os.Stat(file); err != nil {
			return
		}
		time.Sleep(2 * time.Millisecond)
	}
}
