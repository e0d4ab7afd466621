package delivery

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/model"
)

// write stores outcomes in groups as they come and wakes the clusters. After an
// error it drains the channel, so that nobody blocks, and returns the error.
func (d *Delivery) write(ctx context.Context, in <-chan outcome) error {
	var (
		group []outcome
		first error
		timer = time.NewTimer(flushAfter)
	)
	defer timer.Stop()
	flush := func() {
		if len(group) == 0 || first != nil {
			group = nil
			return
		}
		first = d.flush(ctx, group)
		group = nil
	}
	for {
		select {
		case o, ok := <-in:
			if !ok {
				flush()
				return first
			}
			if len(group) == 0 {
				timer.Reset(flushAfter)
			}
			group = append(group, o)
			if len(group) >= flushCount {
				flush()
			}
		case <-timer.C:
			flush()
		}
	}
}

func (d *Delivery) flush(ctx context.Context, group []outcome) (err error) {
	defer func() {
		for _, o := range group {
			o.end(err)
		}
	}()
	var (
		bundles []fleet.Bundle
		changes []fleet.DesiredChange
		states  []fleet.SourceState
		touched []model.AppUID
		seen    = map[model.Digest]bool{}
		writes  = map[model.AppUID]trace.Span{}
		since   = map[model.AppUID]time.Time{}
	)
	for _, o := range group {
		if o.bundle != nil && !seen[o.bundle.Digest] {
			seen[o.bundle.Digest] = true
			bundles = append(bundles, *o.bundle)
		}
		if o.change != nil {
			if span := d.writing(ctx, o); span != nil {
				writes[o.change.Desired.App] = span
			}
			since[o.change.Desired.App] = o.seen
			changes = append(changes, *o.change)
			touched = append(touched, o.change.Desired.App)
		}
		if o.state != nil {
			states = append(states, *o.state)
			touched = append(touched, o.state.App)
		}
	}
	if len(states) > 0 {
		if err := d.Store.RecordSourceStates(ctx, states); err != nil {
			return err
		}
	}
	if len(changes) > 0 {
		// A bundle exists before anything names it.
		if err := d.Store.PutBundles(ctx, bundles); err != nil {
			return err
		}
		written, err := d.Store.WriteDesired(ctx, changes)
		if err != nil {
			return err
		}
		cluster := make(map[model.AppUID]model.ClusterID, len(changes))
		for _, c := range changes {
			cluster[c.Desired.App] = c.Cluster
		}
		wake := map[model.ClusterID][]model.AppUID{}
		for _, w := range written {
			wake[cluster[w.App]] = append(wake[cluster[w.App]], w.App)
			if span := writes[w.App]; span != nil {
				span.SetAttributes(attribute.Int64("generation", int64(w.Generation)))
				span.End()
			}
			if d.Observer != nil {
				d.Observer.Delivered(w.App, w.Generation, since[w.App])
			}
		}
		for id, apps := range wake {
			d.Notifier.Notify(id, apps)
		}
	}
	d.Publisher.PublishApplications(touched)
	return nil
}
