package api

import (
	"context"
	"time"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// settleWithin is how long a sync waits for what was written just before it.
const settleWithin = 5 * time.Second

// newest is an application of which a sync wants the newest, with what was written
// just before, of itself or of its project, decided: else the sync would be refused
// for what was wrong before, or deploy what was there before and end well.
func (a *api) newest(ctx context.Context, app fleet.App, spec model.OperationSpec) (fleet.App, error) {
	if spec.Revision != "" || spec.DryRun {
		return app, nil
	}
	if app.Source.Bundle == "" && app.Source.Error == nil {
		return app, nil // its agent waits for the first there is
	}
	settling, cancel := context.WithTimeout(ctx, settleWithin)
	defer cancel()
	waited, settled := a.opts.Delivery.Settle(settling, app.UID)
	if ctx.Err() != nil {
		return app, ctx.Err()
	}
	if !settled {
		err := fault.New(fault.Unavailable, "newest_not_rendered_yet", "the application %q, its project, its cluster or its source was changed a moment ago, and what comes of that is not rendered yet", app.Name).
			WithFix("try again in a moment")
		if last := app.Source.Revision.Commit; last != "" && app.Pin == nil {
			err = err.WithFix("try again in a moment; the last that was rendered: hawser app sync %s --revision %s", app.Name, last)
		}
		return app, err
	}
	if !waited && !app.Source.Error.OfContent() {
		return app, nil // as it was read
	}
	now, err := a.store.Application(ctx, app.Name)
	if err == nil && (now.UID != app.UID || now.Project != app.Project || now.Cluster != app.Cluster) {
		err = fault.New(fault.Conflict, "application_changed", "the application was written while this was decided").WithFix("try again")
	}
	return now, err
}
