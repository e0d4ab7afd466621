package plugin

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/hawser-dev/hawser/shared/fault"
)

// A supervisor keeps one host process of the hub's own running: it is started
// again when it ends, and ended with the hub. Its goroutine is one of Plugins.
type supervisor struct {
	name    string
	command []string
	log     *slog.Logger
}

// ReadyNotice is the line that a host writes to its standard output when it can
// be connected to.
const ReadyNotice = "ready"

const (
	firstRestart = 200 * time.Millisecond
	lastRestart  = 30 * time.Second
	// healthyAfter is how long a host must have run for its end to count as the
	// first one.
	healthyAfter = time.Minute
	// startTime is how long a host may take to be ready.
	startTime = 30 * time.Second
	stopTime  = 5 * time.Second
)

// supervise starts a host and returns when it is ready.
func (p *Plugins) supervise(name, file, socket string) (*supervisor, error) {
	if len(p.opts.Command) == 0 {
		return nil, fault.New(fault.Internal, "plugin_unavailable", "no command starts plugin hosts")
	}
	file, err := filepath.Abs(file)
	if err != nil {
		return nil, fault.Wrap(err, fault.Invalid, "file_unreadable", "the plugin file cannot be found")
	}
	command := append(append([]string{}, p.opts.Command...), "--config", file, "--socket", socket, "--with-parent")
	for _, dir := range p.opts.Hide {
		command = append(command, "--hide", dir)
	}
	s := &supervisor{name: name, command: command, log: p.log.With("plugin", name)}
	first := make(chan error, 1)
	p.work.Go(func() { s.run(p.ctx, first) })
	if err := <-first; err != nil {
		return nil, fault.Wrap(err, fault.Invalid, "plugin_unavailable", "the host of plugin %q cannot be started", clip(name, 60))
	}
	return s, nil
}

// run tells in first how the first start went; when that failed it is over.
func (s *supervisor) run(ctx context.Context, first chan<- error) {
	pause := firstRestart
	for starts := 1; ctx.Err() == nil; starts++ {
		began := time.Now()
		ended, err := s.once(ctx, first)
		first = nil
		if starts == 1 && !ended {
			return
		}
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > healthyAfter {
			pause = firstRestart
		}
		s.log.Warn("a plugin host ended and is started again", "error", err, "in", pause)
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
		case <-timer.C:
		}
		pause = min(2*pause, lastRestart)
	}
}

// once runs the process until it ends. wasReady tells whether it has been.
func (s *supervisor) once(ctx context.Context, first chan<- error) (wasReady bool, err error) {
	tell := func(err error) {
		if first != nil {
			first <- err
			first = nil
		}
	}
	childIn, in, err := os.Pipe()
	if err != nil {
		tell(err)
		return false, err
	}
	out, childOut, err := os.Pipe()
	if err != nil {
		err = errors.Join(err, childIn.Close(), in.Close())
		tell(err)
		return false, err
	}
	stderr := &lines{keep: stderrLines, each: func(line string) { s.log.Info("plugin host: " + line) }}
	cmd := exec.Command(s.command[0], s.command[1:]...)
	// Nothing of the hub's environment but where programs and temporary files are.
	cmd.Env = hostEnv()
	cmd.Dir = "/"
	cmd.Stdin, cmd.Stdout, cmd.Stderr = childIn, childOut, stderr
	cmd.WaitDelay = time.Second
	err = startWithParent(cmd)
	_, _ = childIn.Close(), childOut.Close() // the child has its own
	if err != nil {
		_, _ = in.Close(), out.Close() // never used
		tell(err)
		return false, err
	}
	ready, exited := make(chan struct{}), make(chan error, 1)
	go func() {
		defer func() { _ = out.Close() }() // only read
		r := bufio.NewReader(io.LimitReader(out, 1<<20))
		line, err := r.ReadString('\n')
		if err == nil && len(line) >= len(ReadyNotice) && line[:len(ReadyNotice)] == ReadyNotice {
			close(ready)
		}
		_, _ = io.Copy(io.Discard, out) // to its end
	}()
	go func() { exited <- cmd.Wait() }()

	timer := time.NewTimer(startTime)
	defer timer.Stop()
	select {
	case <-ready:
		wasReady = true
		tell(nil)
	case <-timer.C:
		err = errors.New("it is not ready after " + startTime.String())
	case err = <-exited:
		_ = in.Close() // there is no reader
		if text := stderr.String(); text != "" {
			err = errors.New(text)
		} else if err == nil {
			err = errors.New("it ended at once")
		}
		tell(err)
		return false, err
	case <-ctx.Done():
	}
	if wasReady {
		select {
		case err = <-exited:
			_ = in.Close()
			if err == nil {
				err = errors.New("it ended by itself")
			}
			return true, err
		case <-ctx.Done():
		}
	}
	// The end of its input asks it to end.
	_ = in.Close()
	timer.Reset(stopTime)
	select {
	case <-exited:
	case <-timer.C:
		killGroup(cmd.Process.Pid)
		<-exited
	}
	if err == nil {
		err = ctx.Err()
	}
	tell(err)
	return wasReady, err
}

// hostEnv is the environment of a host that the hub starts.
func hostEnv() []string {
	env := []string{"PATH=" + searchPath(), "LANG=C.UTF-8"}
	if dir := os.Getenv("TMPDIR"); dir != "" {
		env = append(env, "TMPDIR="+dir)
	}
	return env
}

// searchPath is where programs are looked for.
func searchPath() string {
	if p := os.Getenv("PATH"); p != "" {
		return p
	}
	return "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
}
