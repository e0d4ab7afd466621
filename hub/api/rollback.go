package api

import (
	"context"
	"fmt"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/hub/permission"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// rollbackRequest asks for a past deployment.
type rollbackRequest struct {
	// HistoryID of the deployment; 0 is the one before the present.
	HistoryID    int64    `json:"historyID,omitempty"`
	Reason       string   `json:"reason,omitempty"`
	Prune        bool     `json:"prune,omitempty"`
	ConfirmPrune *int     `json:"confirmPrune,omitempty"`
	SyncOptions  []string `json:"syncOptions,omitempty"`
	// DryRun only tells what would be desired otherwise; nothing is stored.
	DryRun bool `json:"dryRun,omitempty"`
	// ExpectedGeneration must be the desired one; 0 is any.
	ExpectedGeneration model.Generation `json:"expectedGeneration,omitempty"`
}

func (r rollbackRequest) spec(target int64) model.OperationSpec {
	return model.OperationSpec{
		Prune: r.Prune, ConfirmPrune: r.ConfirmPrune, SyncOptions: r.SyncOptions, Reason: r.Reason,
		Rollback: &model.RollbackSpec{HistoryID: target},
	}
}

// rollbackPlan is the answer to a dry run.
type rollbackPlan struct {
	DryRun     bool               `json:"dryRun"`
	Deployment model.HistoryEntry `json:"deployment"`
	// SetAside is not deployed again until a newer revision comes; nil when the
	// deployment is what the sources say now.
	SetAside *model.Revision `json:"setAside,omitempty"`
	// Resources compares the manifests of the deployment with those that are
	// desired now. The cluster is not asked.
	Resources []model.ResourceResult `json:"resources"`
}

// rollbackAttempts bounds how often a rollback is decided anew because the
// application was written meanwhile.
const rollbackAttempts = 3

// rollbackApplication goes back to a past deployment. The application is pinned
// to it, whatever its sync policy.
func (a *api) rollbackApplication(c *gin.Context) {
	ctx := c.Request.Context()
	var in rollbackRequest
	err := a.into(c, &in, true)
	if err == nil {
		err = checkSpec(in.spec(in.HistoryID))
	}
	if err == nil && in.ConfirmPrune != nil && !in.DryRun {
		err = a.fresh(c)
	}
	if err == nil && in.ExpectedGeneration < 0 {
		err = fault.New(fault.Invalid, "out_of_range", "expectedGeneration is %d; it must be 1 or more", in.ExpectedGeneration).WithField("expectedGeneration")
	}
	var key string
	if err == nil {
		key, err = idempotencyKey(c)
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	var first decided
	for attempt := 1; ; attempt++ {
		op, plan, err := a.rollback(ctx, a.caller(c), c.Param("name"), identity(c).Name, key, in, &first)
		switch {
		case fault.HasCode(err, "application_changed") && attempt < rollbackAttempts:
			continue
		case err != nil:
			a.fail(c, err)
		case plan != nil:
			c.JSON(http.StatusOK, plan)
		default:
			c.JSON(http.StatusAccepted, a.withNotice(ctx, op))
		}
		return
	}
}

// decided is what a rollback was decided on at the first attempt.
type decided struct {
	target     int64 // deployment; 0 before the first attempt
	generation model.Generation
	pin        model.OperationID
}

// again keeps a rollback without an id to what it was decided on: decided anew,
// after another rollback, "the one before the present" would be one deployment
// further back, which nobody asked for.
func (first *decided) again(app fleet.App, desired model.Desired, target int64) error {
	now := decided{target: target, generation: desired.Generation}
	if app.Pin != nil {
		now.pin = app.Pin.Operation
	}
	switch {
	case first.target == 0:
		*first = now
		return nil
	case *first == now:
		return nil
	}
	e := fault.New(fault.Conflict, "generation_changed", "generation %d of %q is desired now, and was %d when this was decided", desired.Generation, app.Name, first.generation).
		WithFix("look at the application again, then go back to a deployment by its number: hawser app history %s", app.Name)
	if p := app.Pin; p != nil && now.pin != first.pin {
		e.Message = fmt.Sprintf("%s has gone back to deployment %d of %q meanwhile; this would go further back than was meant", p.InitiatedBy, p.HistoryID, app.Name)
	}
	return e
}

func (a *api) rollback(ctx context.Context, set *permission.Set, name, by, key string, in rollbackRequest, first *decided) (op model.OperationInfo, plan *rollbackPlan, err error) {
	app, err := a.store.Application(ctx, name)
	if err != nil {
		return op, nil, err
	}
	if key != "" && !in.DryRun { // a dry run stores nothing, and says what would be now
		// Asked for again, another deployment would be the one before the present.
		if op, found, err := a.store.OperationByKey(ctx, key); err != nil || found {
			return op, nil, repeated(op, err, app, in)
		}
	}
	if app.Deleting {
		return op, nil, fault.New(fault.Precondition, "application_deleting", "application %q is being deleted", app.Name)
	}
	if !in.DryRun {
		// What is gone back to would be pinned at once, and wait for the window.
		if err := a.windowOpen(ctx, set, app, "rollback", ""); err != nil {
			return op, nil, err
		}
	}
	desired, ok, err := a.store.DesiredOf(ctx, app.UID)
	if err != nil {
		return op, nil, err
	}
	if !ok {
		return op, nil, fault.New(fault.Precondition, "nothing_rendered", "nothing of %q was rendered yet", app.Name)
	}
	history, err := a.store.Deployments(ctx, app.UID)
	if err != nil {
		return op, nil, err
	}
	target, err := fleet.RollbackTarget(fleet.RollbackFacts{App: app.Name, History: history, Desired: desired, Source: app.Source.Bundle, Pin: app.Pin}, in.HistoryID)
	if in.HistoryID == 0 && (err == nil || first.target != 0) {
		if err := first.again(app, desired, target.ID); err != nil {
			return op, nil, err
		}
	}
	if err != nil {
		return op, nil, err
	}
	deploy, err := a.opts.Delivery.Prepare(ctx, app, target.Content, target.ID)
	if err != nil {
		return op, nil, err
	}
	deploy.Expected = in.ExpectedGeneration
	if in.HistoryID == 0 {
		deploy.Expected = desired.Generation // "the one before" is of that
		if e := in.ExpectedGeneration; e != 0 {
			deploy.Expected = e
		}
	}
	spec := in.spec(target.ID)
	if deploy.Pin != nil {
		spec.Rollback.SetAside = deploy.Pin.SetAside.Commit
	}
	if in.DryRun {
		plan = &rollbackPlan{DryRun: true, Deployment: target.Entry()}
		if deploy.Pin != nil {
			plan.SetAside = &deploy.Pin.SetAside
		}
		plan.Resources, err = a.opts.Delivery.Changes(ctx, app, desired.Bundle, deploy.Bundle)
		return op, plan, err
	}
	op, err = a.createOperation(ctx, app, fleet.NewOperation{
		App: app.UID, Kind: model.OperationSync, Spec: spec, InitiatedBy: by, IdempotencyKey: key,
		Deadline: a.now().Add(syncDeadline), Deploy: &deploy,
	})
	return op, nil, err
}

// repeated decides about a rollback whose idempotency key is taken.
func repeated(op model.OperationInfo, err error, app fleet.App, in rollbackRequest) error {
	if err != nil {
		return err
	}
	want := in.spec(in.HistoryID)
	if made := op.Spec.Rollback; made != nil && (in.HistoryID == 0 || in.HistoryID == made.HistoryID) {
		want.Rollback = made
	}
	return fleet.Repeats(op, fleet.NewOperation{App: app.UID, Kind: model.OperationSync, Spec: want})
}

// unpinApplication ends a rollback: what the sources say is wanted again.
func (a *api) unpinApplication(c *gin.Context) {
	ctx := c.Request.Context()
	reason := c.Query("reason")
	if err := checkReason(reason); err != nil {
		a.fail(c, err)
		return
	}
	app, err := a.store.Application(ctx, c.Param("name"))
	if err != nil {
		a.fail(c, err)
		return
	}
	text := "unpinned" // as the history shows it
	if reason != "" {
		text += ": " + reason
	}
	pin, err := a.store.ReleasePin(ctx, app.UID, identity(c).Name, text)
	if err != nil {
		a.fail(c, err)
		return
	}
	a.log.InfoContext(ctx, "the pin of a rollback is released", "application", app.Name, "deployment", pin.HistoryID, "by", identity(c).Name)
	a.written(ctx, app.UID)
	a.opts.Publisher.PublishApplications([]model.AppUID{app.UID})
	c.JSON(http.StatusOK, pin.Pin)
}
