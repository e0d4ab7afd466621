package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Part is one thing that a program starts and stops. All functions are
// optional.
type Part struct {
	Name string
	// Start returns when the part is ready for the parts after it. Its ctx ends
	// when the program is asked to stop.
	Start func(ctx context.Context) error
	// Run works until its ctx ends, which is when the part's turn to stop has
	// come: after all later parts have stopped. Returning earlier, with or
	// without an error, stops the program.
	Run func(ctx context.Context) error
	// Stop is called after Run's ctx has ended and before Run is waited for.
	// Its ctx ends when the time to stop is over.
	Stop func(ctx context.Context) error
}

// ErrEnded is the reason when a Run returned without an error although nobody
// had asked it to.
var ErrEnded = errors.New("ended by itself")

type running struct {
	part   Part
	cancel context.CancelFunc
	done   chan struct{} // nil when there is no Run
	err    error
}

// Run starts the parts, waits until ctx ends or a part fails, and stops what
// was started in reverse order, all within stopTimeout. It returns the failure
// that came first together with the failures to stop; nil when ctx ended and
// everything stopped well.
func Run(ctx context.Context, log *slog.Logger, stopTimeout time.Duration, parts ...Part) error {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	failed := make(chan error, len(parts))
	var started []*running
	var first error

	for _, p := range parts {
		begin := time.Now()
		if p.Start != nil {
			if err := p.Start(ctx); err != nil {
				if ctx.Err() == nil || !errors.Is(err, ctx.Err()) {
					first = fmt.Errorf("start %s: %w", p.Name, err)
				}
				break
			}
		}
		started = append(started, start(ctx, p, failed))
		log.Debug("started", "part", p.Name, "took", time.Since(begin).Round(time.Millisecond).String())
		if ctx.Err() != nil {
			break
		}
	}
	if first == nil {
		select {
		case <-ctx.Done():
		case first = <-failed:
		}
	}
	if first != nil {
		log.Error("stopping, because a part failed", "error", first)
	}
	cancel()
	return errors.Join(first, stop(log, stopTimeout, started))
}

// start runs a part. Its context does not end with the program's, but when its
// turn to stop has come.
func start(ctx context.Context, p Part, failed chan<- error) *running {
	runCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	r := &running{part: p, cancel: cancel}
	if p.Run == nil {
		return r
	}
	r.done = make(chan struct{})
	go func() {
		defer close(r.done)
		err := p.Run(runCtx)
		if runCtx.Err() != nil { // asked to stop
			if err != nil && !errors.Is(err, context.Canceled) {
				r.err = fmt.Errorf("%s: %w", p.Name, err)
			}
			return
		}
		if err == nil {
			err = ErrEnded
		}
		failed <- fmt.Errorf("%s: %w", p.Name, err)
	}()
	return r
}

func stop(log *slog.Logger, timeout time.Duration, started []*running) error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	var errs []error
	for i := len(started) - 1; i >= 0; i-- {
		r := started[i]
		r.cancel()
		if r.part.Stop != nil {
			if err := r.part.Stop(ctx); err != nil {
				errs = append(errs, fmt.Errorf("stop %s: %w", r.part.Name, err))
			}
		}
		if r.done == nil {
			continue
		}
		select {
		case <-r.done:
			if r.err != nil {
				errs = append(errs, r.err)
			}
		case <-ctx.Done():
			errs = append(errs, fmt.Errorf("stop %s: it did not end within %s", r.part.Name, timeout))
		}
		log.Debug("stopped", "part", r.part.Name)
	}
	return errors.Join(errs...)
}
