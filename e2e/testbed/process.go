package testbed

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// process is one child: it leads its own process group, writes to a log file
// and dies with the process that started it.
type process struct {
	name    string
	cmd     *exec.Cmd
	logPath string
	exited  chan struct{} // closed after Wait returned
	err     error         // of Wait; read after exited
}

// spawner runs functions on one thread that never ends. The kernel's parent
// death signal follows the thread that forked, not the process, so a child
// started on a passing thread could be killed while its parent lives.
var spawner = sync.OnceValue(func() chan<- func() {
	calls := make(chan func())
	go func() {
		runtime.LockOSThread()
		for call := range calls {
			call()
		}
	}()
	return calls
})

func startProcess(name, logPath, dir string, env []string, path string, args ...string) (*process, error) {
	logFile, err := os.OpenFile(logPath, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("testbed: %s: %w", name, err)
	}
	defer logFile.Close() // the child has its own descriptor
	p := &process{name: name, logPath: logPath, exited: make(chan struct{})}
	p.cmd = exec.Command(path, args...)
	p.cmd.Dir = dir
	p.cmd.Env = env
	p.cmd.Stdout, p.cmd.Stderr = logFile, logFile
	p.cmd.SysProcAttr = childAttributes()
	started := make(chan error, 1)
	spawner() <- func() { started <- p.cmd.Start() }
	if err := <-started; err != nil {
		return nil, fmt.Errorf("testbed: starting %s: %w", name, err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.exited)
	}()
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

func (p *process) running() bool {
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

// signal goes to the whole group of the child.
func (p *process) signal(sig syscall.Signal) {
	if p.running() {
		// The group may be gone by now, which is what a stop wants.
		_ = syscall.Kill(-p.pid(), sig)
	}
}

// stop asks with SIGTERM, then after grace kills, and returns when the child has
// been reaped.
func (p *process) stop(grace time.Duration) {
	p.signal(syscall.SIGTERM)
	select {
	case <-p.exited:
		return
	case <-time.After(grace):
	}
	p.kill()
}

func (p *process) kill() {
	p.signal(syscall.SIGKILL)
	<-p.exited
}

// failure says that the child ended though it should run, with its last words.
func (p *process) failure() error {
	state := "ended"
	var exit *exec.ExitError
	if errors.As(p.err, &exit) {
		state = exit.String()
	}
	return fmt.Errorf("%s %s; the end of its log:\n%s", p.name, state, tailOf(p.logPath, 20))
}

// tailOf returns the last lines of a file, or why it cannot be read.
func tailOf(path string, lines int) string {
	f, err := os.Open(path)
	if err != nil {
		return "(" + err.Error() + ")"
	}
	defer f.Close()
	const window = 32 << 10
	if info, err := f.Stat(); err == nil && info.Size() > window {
		if _, err := f.Seek(-window, io.SeekEnd); err != nil {
			return "(" + err.Error() + ")"
		}
	}
	data, err := io.ReadAll(io.LimitReader(f, window))
	if err != nil {
		return "(" + err.Error() + ")"
	}
	all := strings.Split(strings.TrimRight(string(data), "\n"), "\n")
	if len(all) > lines {
		all = all[len(all)-lines:]
	}
	return strings.Join(all, "\n")
}
