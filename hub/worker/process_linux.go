package worker

import (
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"

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

// limitMemory bounds the data segment, not the address space, of which Go
// reserves much more than it uses.
func limitMemory(pid int, limit int64) error {
	if limit <= 0 {
		return nil
	}
	return unix.Prlimit(pid, unix.RLIMIT_DATA, &unix.Rlimit{Cur: uint64(limit), Max: uint64(limit)}, nil)
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
