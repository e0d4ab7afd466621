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

// observeModeStays refuses a write that would end observe mode by leaving the
// annotation out: manifests that come from elsewhere do not know of it, and what
// was only looked at would be written.
func observeModeStays(old fleet.App, exists bool, app model.Application) error {
	if !exists || old.Application.Metadata.Annotations[model.AnnotationMode] != model.ModeObserve {
		return nil
	}
	if mode := app.Metadata.Annotations[model.AnnotationMode]; mode == model.ModeObserve || mode == model.ModeManage {
		return nil
	}
	return fault.New(fault.Precondition, "observe_mode_removed", "application %q is only observed, and what was given has not the annotation %s: its cluster would be written from now on", old.Name, model.AnnotationMode).
		WithField("metadata.annotations").
		WithFix("keep %s: %s, or write %s: %s to hand it over; what was imported from Argo CD: hawser import argocd handover --app %s", model.AnnotationMode, model.ModeObserve, model.AnnotationMode, model.ModeManage, old.Name)
}

// observeOnly says which annotation keeps an application from being changed.
func observeOnly(app fleet.App, project model.AppProject) error {
	where := "the application"
	if app.Application.Metadata.Annotations[model.AnnotationMode] != model.ModeObserve {
		where = fmt.Sprintf("its project %q", project.Metadata.Name)
	}
	return fault.New(fault.Precondition, "observe_only", "application %q is only observed: nothing is written to its cluster", app.Name).
		WithFix("set the annotation %s: %s on %s to hand it over", model.AnnotationMode, model.ModeManage, where)
}
