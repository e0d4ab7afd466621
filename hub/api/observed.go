package api

import (
	"context"
	"fmt"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// heedObserved refuses a command that would change the cluster of an application
// that is only observed, and has a delete leave its objects. The agent does the
// same; here the caller hears it at once.
func (a *api) heedObserved(ctx context.Context, app fleet.App, n *fleet.NewOperation) error {
	if n.Kind == model.OperationDelete && !n.Spec.Cascade {
		return nil
	}
	project, err := a.store.Project(ctx, app.Project)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	if !model.Observed(app.Application, project) {
		return nil
	}
	if n.Kind == model.OperationDelete {
		n.Spec.Cascade, n.Spec.Propagation = false, ""
		return nil
	}
	return observeOnly(app, project)
}

// observeOnly says which annotation keeps an application from being changed.
func observeOnly(app fleet.App, project model.AppProject) error {
	where := "the application"
	if app.Application.Metadata.Annotations[model.AnnotationMode] != model.ModeObserve {
		where = fmt.Sprintf("its project %q", project.Metadata.Name)
	}
	return fault.New(fault.Precondition, "observe_only", "application %q is only observed: nothing is written to its cluster", app.Name).
		WithFix("take the annotation %s: %s off %s to hand it over", model.AnnotationMode, model.ModeObserve, where)
}
