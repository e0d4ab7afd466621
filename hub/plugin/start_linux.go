package plugin

import (
	"net"
	"os/exec"
	"runtime"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

type spawning struct {
	cmd  *exec.Cmd
	done chan error
}

// spawner starts processes on one thread that lives as long as this process: the
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

// startWithParent starts a process in a group of its own that the kernel kills
// when this one dies, also when it does not see its input end.
func startWithParent(cmd *exec.Cmd) error {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	return spawn(cmd)
}

func spawn(cmd *exec.Cmd) error {
	r := spawning{cmd: cmd, done: make(chan error, 1)}
	spawner() <- r
	return <-r.done
}

func killGroup(pid int) {
	// The group cannot be another's while its leader is not waited for.
	_ = syscall.Kill(-pid, syscall.SIGKILL)
}

// listenUnix makes a socket that nobody else can connect to before its mode is
// set.
func listenUnix(socket string) (net.Listener, error) {
	old := unix.Umask(0o177)
	defer unix.Umask(old)
	return net.Listen("unix", socket)
}
