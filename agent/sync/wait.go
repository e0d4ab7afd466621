package sync

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// awaitEstablished waits until the API server serves a CRD's kind.
func (x *execution) awaitEstablished(ctx context.Context, key model.ObjectKey) error {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(x.CRDTimeout, defaultCRDTimeout))
	defer cancel()
	err := x.Live.Await(ctx, func() bool {
		rec, p := x.Live.Get(key)
		return p == live.Present && rec.Health.Status == model.HealthHealthy
	})
	if err != nil {
		return fault.Wrap(err, fault.Unavailable, "crd_not_established", "%s was not established by the API server within %s", key, cmp.Or(x.CRDTimeout, defaultCRDTimeout))
	}
	return nil
}

// awaitKind waits until discovery names a kind whose CRD this run has applied.
func (x *execution) awaitKind(ctx context.Context, key model.ObjectKey) (live.Kind, error) {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(x.CRDTimeout, defaultCRDTimeout))
	defer cancel()
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, 2*time.Second) {
		kind, err := x.Live.Kind(key.GroupKind())
		if err == nil {
			return kind, nil
		}
		if refreshErr := x.Live.RefreshDiscovery(ctx); refreshErr == nil {
			if kind, err = x.Live.Kind(key.GroupKind()); err == nil {
				return kind, nil
			}
		}
		if !wait(ctx, pause) {
			return live.Kind{}, fault.Wrap(err, fault.Unavailable, "kind_unknown", "%s: its CRD was applied, but the API server does not serve the kind yet", key)
		}
	}
}

// awaitHealth waits until the objects of a wave, the steps from … to, are healthy,
// so that the next may begin. What fails is written into their results.
func (x *execution) awaitHealth(ctx context.Context, from, to int) {
	limit := cmp.Or(x.WaveTimeout, defaultWaveTimeout)
	waitCtx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	bad, worst, vanished := -1, live.Record{}, false
	err := x.Live.Await(waitCtx, func() bool {
		bad = -1
		for i := from; i < to; i++ {
			s := x.steps[i]
			if isPrune(s) || s.Index < 0 || s.Action == Skip || s.Action == RunHook {
				continue
			}
			rec, p := x.Live.Get(s.Key)
			switch {
			case p == live.Absent && s.Action != Refuse:
				// Somebody has deleted it. A retry or self-heal makes it anew; to wait
				// for it would keep both from looking.
				bad, vanished = i, true
				return true
			case p == live.Present && (rec.HealthIgnored || rec.Health.Status == model.HealthHealthy || rec.Health.Status == model.HealthSuspended || rec.Health.Status == ""):
			default:
				bad, worst = i, rec
				if rec.Health.Status == model.HealthDegraded {
					return true
				}
			}
		}
		if bad >= 0 {
			x.tell("%s: waits until %s is healthy", waveName(x.steps[from]), x.steps[bad].Key)
		}
		return bad < 0 || !x.mayGoOn(false)
	})
	if bad < 0 || x.stopped() != nil {
		return
	}
	if ctx.Err() != nil {
		x.end(context.Cause(ctx))
		return
	}
	key, wave := x.steps[bad].Key, waveName(x.steps[from])
	var e *fault.Error
	if vanished {
		e = fault.New(fault.Precondition, "object_vanished", "%s was deleted by somebody while the sync ran, so what comes after %s was not begun", key, wave)
	} else if err == nil {
		e = fault.New(fault.Precondition, "wave_degraded", "%s is Degraded (%s), so what comes after %s was not begun", key, clip(worst.Health.Message, 120), wave)
	} else {
		e = fault.New(fault.Precondition, "wave_timeout", "%s was not healthy within %s, so what comes after %s was not begun", key, limit, wave)
	}
	applied := x.results[bad].applied
	x.set(bad, stepResult{status: StatusFailed, message: e.Message, err: e, applied: applied})
}

// tell says what is waited for.
func (x *execution) tell(format string, args ...any) {
	if x.run.Waiting != nil {
		x.run.Waiting(fmt.Sprintf(format, args...))
	}
}

// goneTimeout bounds the wait for pruned objects to be gone before those of an
// earlier wave are pruned. Finalizers may take long; the next try goes on.
const goneTimeout = 2 * time.Minute

// awaitGone waits until what was pruned, the steps from … to, does not exist any
// more.
func (x *execution) awaitGone(ctx context.Context, from, to int) {
	waitCtx, cancel := context.WithTimeout(ctx, goneTimeout)
	defer cancel()
	left := -1
	err := x.Live.Await(waitCtx, func() bool {
		left = -1
		for i := from; i < to; i++ {
			s := x.steps[i]
			if s.Action != Prune || s.Propagation == "orphan" {
				continue
			}
			if rec, p := x.Live.Get(s.Key); p == live.Unknown || p == live.Present && rec.UID == s.UID {
				left = i
				x.tell("waits until %s is gone", s.Key)
				break
			}
		}
		return left < 0 || !x.mayGoOn(false)
	})
	if left < 0 || x.stopped() != nil {
		return
	}
	if ctx.Err() != nil {
		x.end(context.Cause(ctx))
		return
	}
	e := fault.Wrap(err, fault.Unavailable, "still_deleting", "%s was deleted and is not gone after %s, so what comes after it was not pruned; look at its finalizers", x.steps[left].Key, goneTimeout)
	x.set(left, stepResult{status: StatusFailed, message: e.Message, err: e})
}
