package worker

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/hawser-dev/hawser/shared/fault"
)

// Options of a Pool.
type Options struct {
	// Name is what users and logs call the workers, e.g. "render".
	Name string
	// Command is the program and its arguments.
	Command []string
	// Env is the whole environment of the processes.
	Env []string
	// Max is the most processes at a time; 0 means 1.
	Max int
	// MaxJobs replaces a process after so many jobs; 0 means 5,000.
	MaxJobs int
	// MemoryLimit bounds the data segment of a process in bytes (Linux): past
	// it allocations fail and the process dies. 0: no limit.
	MemoryLimit int64
	// CPULimit is how much CPU time one job may use (Linux); 0: no limit.
	CPULimit time.Duration
	// FileLimit is the largest file that a process may write, in bytes (Linux).
	// 0 means none at all when a Sandbox without Write says so, and otherwise
	// any.
	FileLimit int64
	// OpenFiles bounds file descriptors (Linux); 0 means 64.
	OpenFiles int
	// MaxFrame is the largest message in bytes that is taken from a process; 0
	// means MaxFrame.
	MaxFrame int
	// Sandbox is the profile of the processes, which they enter by calling
	// Sandbox. When nil, those that call it get the strictest.
	Sandbox *Profile
	// MaxAge replaces a process that is older after a job; 0: never.
	MaxAge time.Duration
	// RecycleRSS replaces a process that has grown past so many bytes after a
	// job (Linux). 0: never.
	RecycleRSS int64
	// Idle ends processes that had no work for so long, all but one; 0 means
	// one minute.
	Idle time.Duration
	Log  *slog.Logger
}

// Pool keeps worker processes and gives them jobs. It is safe for concurrent
// use.
type Pool struct {
	opts  Options
	slots chan struct{} // one token for each process that may run a job
	stop  chan struct{}
	done  sync.WaitGroup // the janitor and running jobs

	mu       sync.Mutex
	idle     []*process // the last one was used last
	age      int        // processes of an earlier one get no job any more
	closed   bool
	failedAt time.Time // when a process last could not be started; zero: it could
	stats    Stats
}

// Stats counts what happened since the start.
type Stats struct {
	Started  int // processes
	Jobs     int
	Killed   int // at a deadline, or because the caller went away
	Crashed  int
	Recycled int
}

// NewPool makes a pool; it starts processes as jobs need them. Close ends it.
func NewPool(opts Options) *Pool {
	if opts.Max <= 0 {
		opts.Max = 1
	}
	if opts.MaxJobs <= 0 {
		opts.MaxJobs = 5000
	}
	if opts.OpenFiles <= 0 {
		opts.OpenFiles = 64
	}
	if opts.MaxFrame <= 0 || opts.MaxFrame > MaxFrame {
		opts.MaxFrame = MaxFrame
	}
	if opts.Idle <= 0 {
		opts.Idle = time.Minute
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	p := &Pool{opts: opts, slots: make(chan struct{}, opts.Max), stop: make(chan struct{})}
	p.done.Add(1)
	go p.janitor()
	return p
}

// Stats returns the counters.
func (p *Pool) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stats
}

// Busy is the number of jobs that run now.
func (p *Pool) Busy() int { return len(p.slots) }

// Do runs one job on a process of its own, waiting for a free one. The job
// talks to the worker through the Conn and calls Finished on it when the
// conversation is complete. When ctx ends, or limit (0: none) has passed since
// the process was ready, the process is killed and the job's Conn fails.
//
// Do returns the job's error, except: code worker_timeout (Unavailable) after
// limit, code worker_cpu_exceeded (Unavailable) when the job used more than
// Options.CPULimit, ctx's error when ctx ended, code worker_crashed (Unavailable) when the
// process died, worker_unavailable when none can be started.
func (p *Pool) Do(ctx context.Context, limit time.Duration, job func(*Conn) error) error {
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-p.stop:
		return p.errClosed()
	}
	defer func() { <-p.slots }()
	proc, err := p.take()
	if err != nil {
		return err
	}
	defer p.done.Done()

	var cpuBefore time.Duration
	if p.opts.CPULimit > 0 {
		cpuBefore = proc.cpu()
	}
	// The watcher ends the process, which ends the conversation.
	jobDone, watcherDone := make(chan struct{}), make(chan struct{})
	var verdict error
	go func() {
		defer close(watcherDone)
		var expired <-chan time.Time
		if limit > 0 {
			timer := time.NewTimer(limit)
			defer timer.Stop()
			expired = timer.C
		}
		var look <-chan time.Time
		if p.opts.CPULimit > 0 {
			ticker := time.NewTicker(min(max(p.opts.CPULimit/10, 10*time.Millisecond), 250*time.Millisecond))
			defer ticker.Stop()
			look = ticker.C
		}
		for verdict == nil {
			select {
			case <-jobDone:
				return
			case <-ctx.Done():
				verdict = context.Cause(ctx)
			case <-p.stop:
				verdict = p.errClosed()
			case <-expired:
				verdict = fault.New(fault.Unavailable, "worker_timeout", "the %s took longer than %s and was stopped", p.opts.Name, limit)
			case <-look:
				if proc.cpu()-cpuBefore > p.opts.CPULimit {
					verdict = fault.New(fault.Unavailable, "worker_cpu_exceeded", "the %s used more than %s of CPU time and was stopped", p.opts.Name, p.opts.CPULimit)
				}
			}
		}
		proc.kill()
	}()

	proc.conn.finished = false
	err = job(proc.conn)
	close(jobDone)
	<-watcherDone
	proc.jobs++
	return p.giveBack(proc, err, verdict)
}

// giveBack decides what becomes of a process and what the job's result is.
func (p *Pool) giveBack(proc *process, err, verdict error) error {
	broken := proc.conn.failed
	// A process that says more than it was asked would say it to the next job.
	keep := verdict == nil && broken == nil && proc.conn.finished && proc.conn.r.Buffered() == 0
	recycle := keep && (proc.jobs >= p.opts.MaxJobs || (p.opts.RecycleRSS > 0 && proc.rss() > p.opts.RecycleRSS) ||
		(p.opts.MaxAge > 0 && time.Since(proc.started) > p.opts.MaxAge))

	p.mu.Lock()
	p.stats.Jobs++
	switch {
	case verdict != nil:
		p.stats.Killed++
	case broken != nil:
		p.stats.Crashed++
	case recycle:
		p.stats.Recycled++
	}
	if keep && !recycle && !p.closed && proc.age == p.age {
		proc.idleSince = time.Now()
		p.idle = append(p.idle, proc)
		p.mu.Unlock()
		return err
	}
	p.mu.Unlock()

	if keep {
		proc.close()
		return err
	}
	proc.kill()
	proc.close()
	switch {
	case verdict != nil:
		return verdict
	case broken != nil:
		p.opts.Log.Warn("worker process ended unexpectedly", "worker", p.opts.Name, "error", broken, "stderr", proc.stderr.String())
		return fault.Wrap(errors.Join(broken, errors.New(proc.stderr.String())), fault.Unavailable, "worker_crashed",
			"the %s process ended unexpectedly, perhaps because the input needs more memory than it may have", p.opts.Name)
	}
	return err
}

func (p *Pool) take() (*process, error) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil, p.errClosed()
	}
	p.done.Add(1)
	for n := len(p.idle); n > 0; n = len(p.idle) {
		proc := p.idle[n-1]
		p.idle = p.idle[:n-1]
		if proc.alive() {
			p.mu.Unlock()
			return proc, nil
		}
		go proc.close()
	}
	p.stats.Started++
	age := p.age
	p.mu.Unlock()
	proc, err := start(p.opts)
	p.noteStart(err)
	if err != nil {
		p.done.Done()
		return nil, fault.Wrap(err, fault.Unavailable, "worker_unavailable", "no %s process can be started", p.opts.Name)
	}
	proc.age = age
	return proc, nil
}

// noteStart remembers whether a process could be started.
func (p *Pool) noteStart(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failedAt = time.Time{}
	if err != nil {
		p.failedAt = time.Now()
	}
}

// failedFor is how long a process that could not be started is held against the
// pool: nobody may want one meanwhile, which would show that it can be again.
const failedFor = time.Minute

// Err says why no job can be done, nil when one can, as far as that is known. It
// does not start a process.
func (p *Pool) Err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closed:
		return p.errClosed()
	case !p.failedAt.IsZero() && time.Since(p.failedAt) < failedFor:
		return fault.New(fault.Unavailable, "worker_unavailable", "no %s process can be started", p.opts.Name)
	}
	return nil
}

// Warm starts up to n processes (at most Max) so that first jobs need not wait.
func (p *Pool) Warm(n int) error {
	for range min(n, p.opts.Max) {
		p.mu.Lock()
		age := p.age
		enough := p.closed || len(p.idle) >= min(n, p.opts.Max)
		p.mu.Unlock()
		if enough {
			return nil
		}
		proc, err := start(p.opts)
		if err != nil {
			return fault.Wrap(err, fault.Unavailable, "worker_unavailable", "no %s process can be started", p.opts.Name)
		}
		proc.idleSince, proc.age = time.Now(), age
		p.mu.Lock()
		if p.closed {
			p.mu.Unlock()
			proc.close()
			return nil
		}
		p.stats.Started++
		p.idle = append(p.idle, proc)
		p.mu.Unlock()
	}
	return nil
}

// Renew gives later jobs to new processes: for what a process sees as it was at
// its start. Jobs that run are not disturbed.
func (p *Pool) Renew() {
	p.mu.Lock()
	p.age++
	old := p.idle
	p.idle = nil
	p.mu.Unlock()
	for _, proc := range old {
		proc.close()
	}
}

func (p *Pool) errClosed() error {
	return fault.New(fault.Unavailable, "worker_unavailable", "the hub is stopping")
}

// Close kills running jobs and waits until every process has ended.
func (p *Pool) Close() {
	p.mu.Lock()
	if !p.closed {
		p.closed = true
		close(p.stop)
	}
	idle := p.idle
	p.idle = nil
	p.mu.Unlock()
	for _, proc := range idle {
		proc.close()
	}
	p.done.Wait()
}

// janitor ends idle processes.
func (p *Pool) janitor() {
	defer p.done.Done()
	tick := time.NewTicker(max(p.opts.Idle/4, 10*time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-p.stop:
			return
		case <-tick.C:
		}
		var old []*process
		p.mu.Lock()
		for len(p.idle) > 1 && time.Since(p.idle[0].idleSince) > p.opts.Idle {
			old = append(old, p.idle[0])
			p.idle = p.idle[1:]
		}
		p.mu.Unlock()
		for _, proc := range old {
			proc.close()
		}
	}
}
