package plugin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hawser-dev/hawser/shared/fault"
)

// runners are the processes of a host that are supposed to be there. All other
// children were left behind by commands whose runner is dead.
type runners struct {
	mu   sync.Mutex
	pids map[int]bool
}

func newRunners() *runners { return &runners{pids: map[int]bool{}} }

func (r *runners) start(cmd *exec.Cmd) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := spawn(cmd); err != nil {
		return err
	}
	r.pids[cmd.Process.Pid] = true
	return nil
}

func (r *runners) ended(pid int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.pids, pid)
	r.sweep()
}

// sweep kills and reaps children that are no runners, until there are none: what
// was below one that was killed becomes this process's child. No runner is started
// meanwhile.
func (r *runners) sweep() {
	self, group := os.Getpid(), syscall.Getpgrp()
	for end := time.Now().Add(killTime); time.Now().Before(end); {
		found := false
		for _, p := range processes() {
			if p.parent != self || r.pids[p.pid] {
				continue
			}
			found = true
			if p.state != 'Z' {
				killBelow(p.pid)
				if p.group != group {
					_ = syscall.Kill(-p.group, syscall.SIGKILL) // it may have ended
				}
				_ = syscall.Kill(p.pid, syscall.SIGKILL)
			}
			_, _ = unix.Wait4(p.pid, nil, unix.WALL, nil) // somebody else's wait may have come first
		}
		if !found {
			return
		}
	}
}

const (
	// watchEvery is how often memory and processes of a run are counted.
	watchEvery = 100 * time.Millisecond
	// lastWords is how long a runner may take to end what it runs.
	lastWords = 5 * time.Second
)

// execution is one runner, seen from its host.
type execution struct {
	h       *hosting
	cmd     *exec.Cmd
	control *os.File // closing it asks the runner to end
	once    sync.Once
	why     *fault.Error // set before the runner is asked to end
}

// stop has the runner end everything. The first reason counts.
func (x *execution) stop(why *fault.Error) {
	x.once.Do(func() {
		x.why = why
		if x.h.mode.pidSpace {
			_ = x.cmd.Process.Kill() // and with it all in its namespace
		}
		_ = x.control.Close()
	})
}

// execute runs a task until its end, its limits, or the end of ctx, whose error
// it returns then. When it returns no process of the run is left.
func (h *hosting) execute(ctx context.Context, t task, outputLimit int64) (result, error) {
	l := h.opts.Limits
	j := job{Task: t, PIDSpace: h.mode.pidSpace, Files: h.mode.files, Limits: l}
	j.CPU = uint64(l.Time.Seconds()*float64(runtime.NumCPU())) + 1
	j.ProcessLimit = uint64(l.Processes)
	if !h.mode.userSpace && t.User == 0 {
		// The limit counts all processes of the user, also those of other
		// containers: it is far away, and what the run may have is counted below.
		j.ProcessLimit += 2048
	}
	if h.mode.files {
		j.Hidden = realPaths(append([]string{h.work}, h.opts.Hide...))
		j.Writable = realPaths(append([]string{t.Own}, h.opts.Writable...))
	}
	description, err := json.Marshal(j)
	if err != nil {
		return result{}, err
	}

	var pipes [6][2]*os.File // read and write ends, by the runner's number
	defer func() {
		for _, p := range pipes {
			for _, f := range p {
				if f != nil {
					_ = f.Close() // most are closed already
				}
			}
		}
	}()
	for i := range pipes {
		if pipes[i][0], pipes[i][1], err = os.Pipe(); err != nil {
			return result{}, cannotRun(err)
		}
	}
	cmd := exec.Command(h.opts.Runner[0], h.opts.Runner[1:]...)
	cmd.Env = []string{"GOMAXPROCS=2"}
	cmd.Dir = "/"
	cmd.Stdin, cmd.Stdout, cmd.Stderr = pipes[0][0], pipes[1][1], pipes[2][1]
	cmd.ExtraFiles = []*os.File{pipes[3][0], pipes[4][1], pipes[5][1]}
	cmd.SysProcAttr = h.mode.attributes()
	if err := h.running.start(cmd); err != nil {
		return result{}, cannotRun(err)
	}
	pid := cmd.Process.Pid
	for _, f := range []*os.File{pipes[0][0], pipes[1][1], pipes[2][1], pipes[3][0], pipes[4][1], pipes[5][1]} {
		_ = f.Close() // the runner has its own
	}
	x := &execution{h: h, cmd: cmd, control: pipes[0][1]}
	go func() {
		_, _ = pipes[3][1].Write(description) // a runner that does not read it says so by its end
		_ = pipes[3][1].Close()
	}()

	var readers sync.WaitGroup
	var out bytes.Buffer
	stderr, earlier := &lines{keep: stderrLines}, &lines{keep: stderrLines}
	readers.Go(func() {
		n, _ := io.Copy(&out, io.LimitReader(pipes[1][0], outputLimit+1))
		if n > outputLimit {
			x.stop(tooMuchOutput(h.pluginName(), outputLimit))
			_, _ = io.Copy(io.Discard, pipes[1][0])
		}
	})
	readers.Go(func() { _, _ = io.Copy(stderr, pipes[2][0]) })
	readers.Go(func() { _, _ = io.Copy(earlier, pipes[5][0]) })
	var exit exitError
	told := false
	readers.Go(func() {
		for d := json.NewDecoder(pipes[4][0]); ; {
			var e exitError
			if d.Decode(&e) != nil {
				return
			}
			exit, told = e, true
		}
	})
	exited := make(chan struct{})
	go func() {
		_ = cmd.Wait() // how the commands ended is told by the status
		close(exited)
	}()
	err = h.watch(ctx, x, exited)
	h.running.ended(pid)
	readers.Wait() // nobody is left who could write

	res := result{out: out.Bytes(), stderr: stderr.String(), exit: exit, stopped: x.why}
	if len(t.Steps) > 1 && (!told || exit.failed() && exit.Step != t.Steps[len(t.Steps)-1].Name) {
		res.stderr = earlier.String() // the last step was not reached
	}
	switch {
	case err != nil:
		return result{}, err
	case res.stopped == nil && (!told || !exit.failed() && exit.Step != t.Steps[len(t.Steps)-1].Name):
		return result{}, cannotRun(errors.New("the runner ended: " + clip(res.stderr, 500)))
	}
	return res, nil
}

func cannotRun(err error) error {
	return fault.Wrap(err, fault.Upstream, "plugin_unavailable", "the plugin's host cannot run its commands")
}

func (h *hosting) pluginName() string { return clip(h.about.GetName(), 60) }

// watch waits for the runner and ends it at its limits. It returns ctx's error.
func (h *hosting) watch(ctx context.Context, x *execution, exited <-chan struct{}) error {
	l, pid := h.opts.Limits, x.cmd.Process.Pid
	deadline := time.NewTimer(l.Time)
	defer deadline.Stop()
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	began := time.Now()
	failed := func(format string, args ...any) {
		x.stop(fault.New(fault.Unprocessable, "plugin_failed", "plugin %q "+format, append([]any{h.pluginName()}, args...)...))
	}
	var over error
watching:
	for {
		select {
		case <-exited:
			return nil
		case <-ctx.Done():
			over = ctx.Err()
			x.stop(nil)
			break watching
		case <-deadline.C:
			failed("did not end within %s and was stopped", l.Time)
			break watching
		case <-tick.C:
			list := below(pid, processes())
			threads := 0
			for _, p := range list {
				threads += p.threads
			}
			if threads > l.Processes {
				failed("had more than %d processes and threads and was stopped after %s", l.Processes, seconds(time.Since(began)))
				break watching
			}
			if memoryOf(list, l.Memory) > l.Memory {
				failed("used more than %s of memory and was stopped after %s", size(l.Memory), seconds(time.Since(began)))
				break watching
			}
		}
	}
	timer := time.NewTimer(lastWords)
	defer timer.Stop()
	select {
	case <-exited:
	case <-timer.C:
		killBelow(pid)
		_ = x.cmd.Process.Kill() // it may have ended just now
		<-exited
	}
	return over
}

// attributes are those of a runner's process. One in a PID namespace dies with
// the host; any other must live on to end what it runs.
func (i isolation) attributes() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setsid: true}
	if i.pidSpace {
		attr.Cloneflags |= unix.CLONE_NEWPID
		attr.Pdeathsig = syscall.SIGKILL
	}
	if i.userSpace {
		attr.Cloneflags |= unix.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: os.Getuid(), HostID: os.Getuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: os.Getgid(), HostID: os.Getgid(), Size: 1}}
	}
	return attr
}

// signalled tells what a signal means.
func signalled(signal int, l Limits) string {
	switch syscall.Signal(signal) {
	case syscall.SIGXCPU:
		return "used too much processor time and was stopped"
	case syscall.SIGXFSZ:
		return fmt.Sprintf("wrote a file of more than %s and was stopped", size(l.FileBytes))
	case syscall.SIGKILL:
		return fmt.Sprintf("was killed, perhaps because it needs more than %s of memory,", size(l.Memory))
	}
	return fmt.Sprintf("was ended by signal %d (%s)", signal, unix.SignalName(syscall.Signal(signal)))
}
