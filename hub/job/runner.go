package job

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/model"
)

// Store keeps jobs. Its methods block for a round trip; errors are faults,
// Unavailable when the database is away.
type Store interface {
	RunningJobs(ctx context.Context) ([]fleet.RunningJob, error)
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
	// many of a job have their turn before another's, 100 by default.
	Workers, Batch int
	// Look is how often it is looked for jobs that nobody said anything of, 30 s
	// by default.
	Look time.Duration
	// Pause before what could not be done is tried again; nil for fleet.JobPause.
	Pause func(attempt int) time.Duration
}

// Runner runs the jobs of a hub. They take turns, a batch of items each, and so do
// the tokens that submitted them: a job of ten items does not wait for one of ten
// thousand.
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
		o.Batch = 100
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
		again := (<-chan time.Time)(nil)
		if r.round(ctx, do) {
			attempt = 0
		} else {
			again = time.After(r.o.Pause(attempt))
			attempt++
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

// round goes once over what is pending of all jobs, also of those that come
// meanwhile, and reports whether nothing of them is left.
func (r *Runner) round(ctx context.Context, do Command) (done bool) {
	over := map[string]bool{}   // the jobs that this round is through with
	at := map[string]progress{} // how far it is with the others
	done = true
	for token := ""; ctx.Err() == nil; {
		running, err := r.o.Store.RunningJobs(ctx)
		if err != nil {
			if ctx.Err() == nil {
				r.o.Log.WarnContext(ctx, "jobs are not read", "error", err)
			}
			return false
		}
		next, ok := fleet.NextJob(slices.DeleteFunc(running, func(j fleet.RunningJob) bool { return over[j.ID] }), token)
		if !ok {
			break
		}
		token = next.Token
		p, more := r.turn(ctx, next.ID, at[next.ID], do)
		at[next.ID] = p
		if more {
			continue
		}
		over[next.ID] = true
		if p.left || !r.end(ctx, next.ID) {
			done = false
		}
	}
	return done
}

// progress is how far a round is with a job: the number of the last item that was
// looked at, and whether something before it is to be tried again.
type progress struct {
	after int
	left  bool
}

// turn gives the next batch of commands of a job, and reports whether there may be
// more.
func (r *Runner) turn(ctx context.Context, id string, p progress, do Command) (progress, bool) {
	job, err := r.o.Store.Job(ctx, id)
	if err != nil {
		r.o.Log.WarnContext(ctx, "a job is not read", "job", id, "error", err)
		return progress{p.after, true}, false
	}
	items, err := r.o.Store.PendingJobItems(ctx, id, p.after, r.o.Batch)
	if err != nil {
		r.o.Log.WarnContext(ctx, "the items of a job are not read", "job", id, "error", err)
		return progress{p.after, true}, false
	}
	if len(items) == 0 {
		return p, false
	}
	p.after = items[len(items)-1].Number
	if r.items(ctx, job, items, do) {
		p.left = true
	}
	if ctx.Err() != nil {
		return progress{p.after, true}, false
	}
	if now, err := r.o.Store.Job(ctx, id); err == nil {
		r.o.Changed(now.Job)
	}
	return p, true
}

// end records the end of a job without pending items, and reports whether it has
// ended.
func (r *Runner) end(ctx context.Context, id string) bool {
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
