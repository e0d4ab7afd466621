package plugin

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The files that a runner is started with, besides standard output and error,
// which are those of the commands.
const (
	controlFile = 0 // its end asks the runner to end
	jobFile     = 3
	statusFile  = 4
	earlierFile = 5 // what the commands before the last one write
)

// probeCommand stands for a command that does nothing.
const probeCommand = "\x00probe"

// probeArgument makes RunnerMain that command.
const probeArgument = "probe"

// job is what a runner does.
type job struct {
	Task task
	// PIDSpace: the runner is the first process of a PID namespace.
	PIDSpace bool
	// Files: Landlock is used, with these directories.
	Files            bool
	Hidden, Writable []string
	Limits           Limits
	// CPU is the limit of one process, in seconds.
	CPU uint64
	// ProcessLimit of the user that commands run as.
	ProcessLimit uint64
}

// RunnerMain is the process between a host and the commands of one run, which the
// host starts with the arguments after those of HostOptions.Runner. It sets the
// limits, runs the commands one after the other, tells how each ended, and ends
// what they left behind: when they are done, and when the host dies.
func RunnerMain(args []string) error {
	if len(args) == 1 && args[0] == probeArgument {
		return nil
	}
	if len(args) != 0 {
		return errors.New("a runner has no arguments")
	}
	signal.Ignore(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGPIPE)
	for _, fd := range []int{jobFile, statusFile, earlierFile} {
		unix.CloseOnExec(fd)
	}
	var j job
	in := os.NewFile(jobFile, "job")
	if err := json.NewDecoder(in).Decode(&j); err != nil {
		return fmt.Errorf("runner: %w", err)
	}
	if err := in.Close(); err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.NewFile(controlFile, "control")) // how it ended is of no interest
		j.clean()
		os.Exit(1)
	}()
	status := os.NewFile(statusFile, "status")
	err := besideLeader(func() error {
		if err := j.limit(); err != nil {
			return tell(status, exitError{Step: j.Task.Steps[0].Name, Why: err.Error()})
		}
		defer j.clean()
		return j.steps(status)
	})
	return errors.Join(err, status.Close())
}

// besideLeader runs f on a thread of its own that is not the process's first.
// What is set for a thread is inherited by what that thread starts; the first one
// stands for the process when the kernel asks whether a restricted command may
// signal it.
func besideLeader(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and so the thread ends with the goroutine
		if unix.Gettid() == os.Getpid() {
			done <- besideLeader(f)
			return
		}
		done <- f()
	}()
	return <-done
}

// niceness of commands.
const niceness = 10

// clean ends all processes of the run. In a PID namespace the kernel does it when
// the runner ends.
func (j *job) clean() {
	if j.PIDSpace {
		return
	}
	killBelow(os.Getpid())
}

func (j *job) limit() error {
	l := j.Limits
	for _, r := range []struct {
		resource int
		limit    uint64
	}{
		{unix.RLIMIT_CORE, 0}, {unix.RLIMIT_CPU, j.CPU}, {unix.RLIMIT_FSIZE, uint64(l.FileBytes)},
		{unix.RLIMIT_DATA, uint64(l.Memory)}, {unix.RLIMIT_NPROC, j.ProcessLimit},
	} {
		var old unix.Rlimit
		if err := unix.Getrlimit(r.resource, &old); err != nil {
			return err
		}
		n := min(r.limit, old.Max)
		if err := unix.Prlimit(0, r.resource, &unix.Rlimit{Cur: n, Max: n}, nil); err != nil {
			return fmt.Errorf("limit %d: %w", r.resource, err)
		}
	}
	// Through syscall, which else restores the limit of before in children.
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil {
		return err
	}
	files.Max = min(files.Max, 4096)
	files.Cur = min(files.Max, 1024)
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &files); err != nil {
		return err
	}
	// The host must get its turn to end what takes all processors.
	if err := unix.Setpriority(unix.PRIO_PROCESS, 0, niceness); err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	if j.Files {
		return restrict(j.Hidden, j.Writable)
	}
	return nil
}

// steps runs the commands until one fails.
func (j *job) steps(status io.Writer) error {
	earlier := os.NewFile(earlierFile, "earlier")
	for i, s := range j.Task.Steps {
		e := j.step(s, i == len(j.Task.Steps)-1, earlier)
		if err := tell(status, e); err != nil {
			return err
		}
		if e.failed() {
			break
		}
	}
	return nil
}

func tell(status io.Writer, e exitError) error { return json.NewEncoder(status).Encode(e) }

func (j *job) step(s step, last bool, earlier *os.File) exitError {
	e := exitError{Step: s.Name}
	program, argv := s.Argv[0], s.Argv
	if program == probeCommand {
		program, argv = "/proc/self/exe", append(os.Args, probeArgument)
	}
	if !strings.Contains(program, "/") {
		for _, v := range j.Task.Env {
			if path, ok := strings.CutPrefix(v, "PATH="); ok {
				if err := os.Setenv("PATH", path); err != nil {
					e.Why = err.Error()
					return e
				}
			}
		}
		found, err := exec.LookPath(program)
		if err != nil {
			e.Why = fmt.Sprintf("there is no program %q in the PATH of its host", program)
			return e
		}
		program = found
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		e.Why = err.Error()
		return e
	}
	defer func() { _ = null.Close() }() // nothing was written
	out, diagnostics := os.Stdout, os.Stderr
	if !last { // only what the last one puts out are manifests
		out, diagnostics = earlier, earlier
	}
	attr := &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	if u := uint32(j.Task.User); u != 0 {
		attr.Credential = &syscall.Credential{Uid: u, Gid: u}
	}
	began := time.Now()
	p, err := os.StartProcess(program, argv, &os.ProcAttr{
		Dir: j.Task.Dir, Env: j.Task.Env, Files: []*os.File{null, out, diagnostics}, Sys: attr,
	})
	if err != nil {
		e.Why = startTrouble(program, err)
		return e
	}
	e.Started = true
	pid := p.Pid
	_ = p.Release() // it is waited for here, with all that becomes the runner's
	for {
		var ws unix.WaitStatus
		got, err := unix.Wait4(-1, &ws, unix.WALL, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			e.Started, e.Why = false, "it was lost: "+err.Error()
			return e
		}
		if got == pid {
			e.After = time.Since(began)
			if ws.Signaled() {
				e.Signal = int(ws.Signal())
			} else {
				e.Exit = ws.ExitStatus()
			}
			return e
		}
	}
}

// startTrouble says why a program cannot be started, without the paths of this
// machine that Go adds.
func startTrouble(program string, err error) string {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return err.Error()
	}
	hint := ""
	switch errno {
	case syscall.ENOEXEC:
		hint = ` (a script needs a first line such as "#!/bin/sh")`
	case syscall.EACCES:
		hint = " (files of the source have no execute permission unless spec.preserveFileMode is true)"
	case syscall.E2BIG:
		hint = " (the environment with the parameters is too large)"
	}
	return fmt.Sprintf("%s: %s%s", program, errno.Error(), hint)
}
