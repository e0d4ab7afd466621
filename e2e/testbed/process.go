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

// Process is a child process: it leads its own process group, writes to a log
// file and dies with the process that started it. Its methods may be called from
// several goroutines.
type Process struct {
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

// StartProcess starts a program with exactly this environment in dir. What it
// writes is added to the file logPath. name is for messages.
func StartProcess(name, logPath, dir string, env []string, path string, args ...string) (*Process, error) {
	logFile, err := os.OpenFile(logPath, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("testbed: %s: %w", name, err)
	}
	defer logFile.Close() // the child has its own descriptor
	p := &Process{name: name, logPath: logPath, exited: make(chan struct{})}
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

// PID is the process id; it stays known after the end.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Running tells whether the process has not ended yet.
func (p *Process) Running() bool {
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

// Exited is closed when the process has ended.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// Succeeded tells whether the process has ended with exit status 0.
func (p *Process) Succeeded() bool { return !p.Running() && p.err == nil }

// Signal sends a signal to the whole group of the process, if it runs.
func (p *Process) Signal(sig syscall.Signal) {
	if p.Running() {
		// The group may be gone by now, which is what a stop wants.
		_ = syscall.Kill(-p.PID(), sig)
	}
}

// Stop asks with SIGTERM, then after grace kills, and returns when the child has
// been reaped.
func (p *Process) Stop(grace time.Duration) {
	p.Signal(syscall.SIGTERM)
	select {
	case <-p.exited:
		return
	case <-time.After(grace):
	}
	p.Kill()
}

// Kill ends the process with SIGKILL, as a crash does, and returns when it has
// been reaped.
func (p *Process) Kill() {
	p.Signal(syscall.SIGKILL)
	<-p.exited
}

// Failure says how a process ended that should run, with the last lines of its
// log. It is nil while the process runs.
func (p *Process) Failure() error {
	if p.Running() {
		return nil
	}
	state := "ended"
	var exit *exec.ExitError
	if errors.As(p.err, &exit) {
		state = exit.String()
	}
	return fmt.Errorf("%s %s; the end of its log:\n%s", p.name, state, Tail(p.logPath, 20))
}

// Tail returns the last lines of a file, or why it cannot be read.
func Tail(path string, lines int) string {
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

// Logged is whether a line of a file has all these words.
func Logged(path string, words ...string) bool {
	text, err := os.ReadFile(path)
	if err != nil {
		return false
	}
lines:
	for line := range strings.Lines(string(text)) {
		for _, word := range words {
			if !strings.Contains(line, word) {
				continue lines
			}
		}
		return true
	}
	return false
}
