package sync

import (
	"cmp"
	"context"
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

// awaitHealth waits until the objects of a wave are healthy, so that the next
// may begin. What fails is written into the results of the wave's objects.
func (x *execution) awaitHealth(ctx context.Context, wave int) {
	limit := cmp.Or(x.WaveTimeout, defaultWaveTimeout)
	waitCtx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	steps := x.run.Plan.Steps
	bad, worst := -1, live.Record{}
	err := x.Live.Await(waitCtx, func() bool {
		if x.run.Waiting != nil {
			x.run.Waiting()
		}
		bad = -1
		for i, s := range steps {
			if s.Wave != wave || isPrune(s) || s.Index < 0 || s.Action == Skip {
				continue
			}
			rec, p := x.Live.Get(s.Key)
			switch {
			case p == live.Present && (rec.HealthIgnored || rec.Health.Status == model.HealthHealthy || rec.Health.Status == model.HealthSuspended || rec.Health.Status == ""):
			default:
				bad, worst = i, rec
				if rec.Health.Status == model.HealthDegraded {
					return true
				}
			}
		}
		return bad < 0
	})
	if bad < 0 {
		return
	}
	if ctx.Err() != nil {
		x.mu.Lock()
		x.stop = context.Cause(ctx)
		x.mu.Unlock()
		return
	}
	key := steps[bad].Key
	var e *fault.Error
	if err == nil {
		e = fault.New(fault.Precondition, "wave_degraded", "%s is Degraded (%s), so the waves after %d were not begun", key, clip(worst.Health.Message, 120), wave)
	} else {
		e = fault.New(fault.Precondition, "wave_timeout", "%s was not healthy within %s, so the waves after %d were not begun", key, limit, wave)
	}
	applied := x.results[bad].applied
	x.set(bad, stepResult{status: StatusFailed, message: e.Message, err: e, applied: applied})
}
