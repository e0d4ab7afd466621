package render

import (
	"context"
	"time"

	"github.com/hawser-dev/hawser/shared/fault"
)

// deadline ends a render that takes too long. It stands still while a plugin
// runs: that has a limit of its own, which may be longer. It is for one goroutine.
type deadline struct {
	left   time.Duration
	expire context.CancelCauseFunc
	timer  *time.Timer
	since  time.Time
}

// newDeadline makes a deadline that does not run yet, and the context that ends
// with it; the cause has code worker_timeout. stop it in the end.
func newDeadline(ctx context.Context, limit time.Duration) (context.Context, *deadline) {
	ctx, expire := context.WithCancelCause(ctx)
	return ctx, &deadline{left: limit, expire: expire}
}

func (d *deadline) run() {
	d.since = time.Now()
	d.timer = time.AfterFunc(d.left, func() {
		d.expire(fault.New(fault.Unavailable, "worker_timeout", "the render took too long and was stopped"))
	})
}

func (d *deadline) stand() {
	if d.timer != nil && d.timer.Stop() {
		d.left -= time.Since(d.since)
	}
}

func (d *deadline) stop() {
	d.stand()
	d.expire(nil)
}
