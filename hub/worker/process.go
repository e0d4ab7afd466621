package worker

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"sync"
	"time"
)

// process is one child.
type process struct {
	cmd       *exec.Cmd
	in        io.WriteCloser
	conn      *Conn
	stderr    *tail
	jobs      int
	age       int // of the pool
	started   time.Time
	idleSince time.Time
	exited    chan struct{} // closed after Wait
	killOnce  sync.Once
}

// closeGrace is how long a process that was told to end may take.
const closeGrace = 2 * time.Second

func start(opts Options) (*process, error) {
	if len(opts.Command) == 0 {
		return nil, errors.New("no command for worker processes is configured")
	}
	// Pipes of our own, not those of exec.Cmd: its Wait would close them while
	// a job still reads the last message.
	childIn, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	out, childOut, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, childIn.Close(), in.Close())
	}
	p := &process{in: in, started: time.Now(), stderr: &tail{}, exited: make(chan struct{})}
	p.cmd = exec.Command(opts.Command[0], opts.Command[1:]...)
	p.cmd.Env = append([]string{}, opts.Env...)
	if opts.Sandbox != nil {
		variable, err := opts.Sandbox.variable()
		if err != nil {
			return nil, errors.Join(err, childIn.Close(), in.Close(), out.Close(), childOut.Close())
		}
		p.cmd.Env = append(p.cmd.Env, variable)
	}
	p.cmd.Dir = "/"
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = childIn, childOut, p.stderr
	p.cmd.WaitDelay = time.Second
	isolate(p.cmd)
	err = spawn(p.cmd)
	err = errors.Join(err, childIn.Close(), childOut.Close())
	if err == nil {
		// Before it gets a job: until then it runs nobody else's input.
		err = setLimits(p.cmd.Process.Pid, opts)
		if err != nil {
			err = errors.Join(err, p.cmd.Process.Kill())
			_ = p.cmd.Wait() // killed
		}
	}
	if err != nil {
		return nil, errors.Join(err, in.Close(), out.Close())
	}
	p.conn = NewConn(&pipeReader{f: out}, in)
	p.conn.maxFrame = opts.MaxFrame
	go func() {
		// How it ended is told by the conversation and by stderr.
		_ = p.cmd.Wait()
		close(p.exited)
	}()
	return p, nil
}

// pipeReader closes the pipe at its end.
type pipeReader struct {
	f      *os.File
	closed bool
}

func (r *pipeReader) Read(b []byte) (int, error) {
	if r.closed {
		return 0, io.EOF
	}
	n, err := r.f.Read(b)
	if err != nil {
		r.closed = true
		_ = r.f.Close() // the read error is the one that matters
	}
	return n, err
}

func (p *process) alive() bool {
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

// kill ends the process at once.
func (p *process) kill() {
	p.killOnce.Do(func() {
		if p.alive() { // after that its number may be another's
			killGroup(p.cmd.Process)
		}
	})
}

// close asks the process to end by closing its input, kills it after a grace
// and returns when it is gone. No job may be running on it.
func (p *process) close() {
	_ = p.in.Close() // it may be dead already
	timer := time.NewTimer(closeGrace)
	defer timer.Stop()
	select {
	case <-p.exited:
	case <-timer.C:
		p.kill()
		<-p.exited
	}
	// Reads to the end, which closes our end of the pipe.
	_, _ = io.Copy(io.Discard, p.conn.r)
}

// tail keeps the beginning and the end of what was written to it: a Go program
// that dies says why first and what it was doing last.
type tail struct {
	mu         sync.Mutex
	head, last []byte
}

const tailBytes = 2 << 10

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := len(b)
	first := min(n, tailBytes-len(t.head))
	t.head = append(t.head, b[:first]...)
	t.last = append(t.last, b[first:]...)
	if len(t.last) > 2*tailBytes {
		t.last = append(t.last[:0], t.last[len(t.last)-tailBytes:]...)
	}
	return n, nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	last := t.last[max(0, len(t.last)-tailBytes):]
	if len(last) < len(t.last) {
		return string(t.head) + "\n…\n" + string(last)
	}
	return string(t.head) + string(last)
}
