package worker

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// isolate gives the child a process group of its own and has the kernel kill it
// when the hub dies, also when it is busy and does not see its input end.
func isolate(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

type spawning struct {
	cmd  *exec.Cmd
	done chan error
}

// spawner starts all children on one thread that lives as long as the hub: the
// kernel sends Pdeathsig when the thread that forked ends, not the process.
var spawner = sync.OnceValue(func() chan<- spawning {
	requests := make(chan spawning)
	go func() {
		runtime.LockOSThread()
		for r := range requests {
			r.done <- r.cmd.Start()
		}
	}()
	return requests
})

func spawn(cmd *exec.Cmd) error {
	r := spawning{cmd: cmd, done: make(chan error, 1)}
	spawner() <- r
	return <-r.done
}

// setLimits bounds what the kernel counts for one process. Memory is the data
// segment, not the address space, of which Go reserves much more than it uses.
// There is none for the number of processes: the kernel counts those of a user,
// the hub's threads among them, and not at all for root; the sandbox allows no
// process instead. CPU time is counted for each job (see Pool.Do), since the
// kernel's limit is for the life of a process.
func setLimits(pid int, opts Options) error {
	type limit struct {
		name     string
		resource int
		value    uint64
	}
	limits := []limit{{"core", unix.RLIMIT_CORE, 0}, {"nofile", unix.RLIMIT_NOFILE, uint64(opts.OpenFiles)}}
	if opts.MemoryLimit > 0 {
		limits = append(limits, limit{"data", unix.RLIMIT_DATA, uint64(opts.MemoryLimit)})
	}
	if opts.FileLimit > 0 || opts.Sandbox != nil && len(opts.Sandbox.Write) == 0 {
		limits = append(limits, limit{"fsize", unix.RLIMIT_FSIZE, uint64(opts.FileLimit)})
	}
	for _, l := range limits {
		var now unix.Rlimit
		if err := unix.Prlimit(pid, l.resource, nil, &now); err != nil {
			return fmt.Errorf("limit %s: %w", l.name, err)
		}
		// Only root may raise the second one.
		value := min(l.value, now.Max)
		if err := unix.Prlimit(pid, l.resource, &unix.Rlimit{Cur: value, Max: value}, nil); err != nil {
			return fmt.Errorf("limit %s: %w", l.name, err)
		}
	}
	return nil
}

// clockTick is the unit of CPU time in /proc, the same on every architecture
// that Go runs on.
const clockTick = 10 * time.Millisecond

// cpu is the CPU time that the process has used; 0 when it cannot be told.
func (p *process) cpu() time.Duration {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(p.cmd.Process.Pid) + "/stat")
	if err != nil {
		return 0
	}
	// The name in parentheses may contain anything.
	fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
	const user, system = 11, 12 // fields 14 and 15 of the file, of which two are gone
	if len(fields) <= system {
		return 0
	}
	var total time.Duration
	for _, i := range []int{user, system} {
		ticks, err := strconv.ParseInt(fields[i], 10, 64)
		if err != nil {
			return 0
		}
		total += time.Duration(ticks) * clockTick
	}
	return total
}

func killGroup(p *os.Process) {
	// The group cannot be reused while the child is not waited for; after that
	// there is nothing to kill.
	_ = syscall.Kill(-p.Pid, syscall.SIGKILL)
	_ = p.Kill()
}

// rss is the resident memory in bytes; 0 when it cannot be told.
func (p *process) rss() int64 {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(p.cmd.Process.Pid) + "/statm")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(data))
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}
