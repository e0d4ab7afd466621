package job

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/model"
)

// Store keeps jobs. Its methods block for a round trip; errors are faults,
// Unavailable when the database is away.
type Store interface {
	RunningJobs(ctx context.Context) ([]string, error)
	Job(ctx context.Context, id string) (fleet.StoredJob, error)
	PendingJobItems(ctx context.Context, job string, after, limit int) ([]model.JobItem, error)
	FinishJobItem(ctx context.Context, job string, number int, r fleet.ItemResult) error
	EndJob(ctx context.Context, id string) (job fleet.StoredJob, ended bool, err error)
}

// Command gives the command of a job to one application, under fleet.JobKey. It
// blocks until the hub has taken or refused it. operation is "" for commands that
// are none.
type Command func(ctx context.Context, job fleet.StoredJob, item model.JobItem) (operation model.OperationID, err error)

// Options of a Runner.
type Options struct {
	Store Store
	// Changed is called when a job has moved on, and must not block.
	Changed func(model.Job)
	Log     *slog.Logger
	// Workers are how many items are given side by side, 8 by default; Batch how
	// many are read at once, 200 by default.
	Workers, Batch int
	// Look is how often it is looked for jobs that nobody said anything of, 30 s
	// by default.
	Look time.Duration
	// Pause before what could not be done is tried again; nil for fleet.JobPause.
	Pause func(attempt int) time.Duration
}

// Runner runs the jobs of a hub, one after the other.
type Runner struct {
	o    Options
	wake chan struct{}
}

// New makes a runner; Run runs it.
func New(o Options) *Runner {
	if o.Workers <= 0 {
		o.Workers = 8
	}
	if o.Batch <= 0 {
		o.Batch = 200
	}
	if o.Look <= 0 {
		o.Look = 30 * time.Second
	}
	if o.Pause == nil {
		o.Pause = fleet.JobPause
	}
	return &Runner{o: o, wake: make(chan struct{}, 1)}
}

// Wake says that there is a new job; it never blocks.
func (r *Runner) Wake() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Run gives the commands of all jobs, those first that a hub before this one left
// open, until ctx ends. It starts the goroutines that it needs and waits for
// them.
func (r *Runner) Run(ctx context.Context, do Command) error {
	look := time.NewTicker(r.o.Look)
	defer look.Stop()
	for attempt := 0; ; {
		ids, err := r.o.Store.RunningJobs(ctx)
		undone := err != nil
		if err != nil && ctx.Err() == nil {
			r.o.Log.WarnContext(ctx, "jobs are not read", "error", err)
		}
		for _, id := range ids {
			if !r.run(ctx, id, do) {
				undone = true
			}
		}
		again := (<-chan time.Time)(nil)
		if undone {
			again = time.After(r.o.Pause(attempt))
			attempt++
		} else {
			attempt = 0
		}
		select {
		case <-ctx.Done():
			return nil
		case <-r.wake:
		case <-again:
		case <-look.C:
		}
	}
}

// run goes once over what is pending of a job, and reports whether nothing of it
// is left.
func (r *Runner) run(ctx context.Context, id string, do Command) (done bool) {
	job, err := r.o.Store.Job(ctx, id)
	if err != nil {
		r.o.Log.WarnContext(ctx, "a job is not read", "job", id, "error", err)
		return false
	}
	after, left := 0, false
	for ctx.Err() == nil {
		items, err := r.o.Store.PendingJobItems(ctx, id, after, r.o.Batch)
		if err != nil {
			r.o.Log.WarnContext(ctx, "the items of a job are not read", "job", id, "error", err)
			return false
		}
		if len(items) == 0 {
			break
		}
		after = items[len(items)-1].Number
		if r.items(ctx, job, items, do) {
			left = true
		}
		if now, err := r.o.Store.Job(ctx, id); err == nil {
			r.o.Changed(now.Job)
		}
	}
	if ctx.Err() != nil || left {
		return false
	}
	ended, ends, err := r.o.Store.EndJob(ctx, id)
	if err != nil {
		r.o.Log.WarnContext(ctx, "the end of a job is not recorded", "job", id, "error", err)
		return false
	}
	if ends {
		r.o.Log.InfoContext(ctx, "job ended", "job", id, "kind", ended.Kind, "phase", ended.Phase, "by", ended.InitiatedBy,
			"accepted", ended.Accepted, "failed", ended.Failed, "cancelled", ended.Cancelled)
		r.o.Changed(ended.Job)
	}
	return ended.Phase != model.JobRunning
}

// items gives the commands of some items, and reports whether one is to be tried
// again.
func (r *Runner) items(ctx context.Context, job fleet.StoredJob, items []model.JobItem, do Command) (left bool) {
	next := make(chan model.JobItem)
	var wg sync.WaitGroup
	var mu sync.Mutex
	for range min(r.o.Workers, len(items)) {
		wg.Go(func() {
			for item := range next {
				if !r.item(ctx, job, item, do) {
					mu.Lock()
					left = true
					mu.Unlock()
				}
			}
		})
	}
	for _, item := range items {
		select {
		case next <- item:
			continue
		case <-ctx.Done():
		}
		break
	}
	close(next)
	wg.Wait()
	return left
}

func (r *Runner) item(ctx context.Context, job fleet.StoredJob, item model.JobItem, do Command) (done bool) {
	operation, err := do(ctx, job, item)
	if ctx.Err() != nil {
		return false // whether it was taken, its key tells the next hub
	}
	result, again := fleet.DecideItem(operation, err)
	if again {
		r.o.Log.InfoContext(ctx, "an item of a job is tried again", "job", job.ID, "application", item.Application, "error", err)
		return false
	}
	if err := r.o.Store.FinishJobItem(ctx, job.ID, item.Number, result); err != nil {
		r.o.Log.WarnContext(ctx, "an item of a job is not recorded", "job", job.ID, "application", item.Application, "error", err)
		return false
	}
	return true
}
