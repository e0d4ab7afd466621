package api

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/hub/permission"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// actionDeadline is how long an action waits for its agent before it expires.
// It is of its moment: a restart an hour later is nobody's wish.
const actionDeadline = 5 * time.Minute

// actionsTimeout bounds how long an agent is asked what can be done.
const actionsTimeout = 15 * time.Second

// Limits of an action's parameters.
const (
	maxActionParams = 64
	maxActionText   = 4096
)

// listActions answers what can be done with one object of an application. The
// object's cluster is asked: it has the scripts, and the object.
func (a *api) listActions(c *gin.Context) {
	ctx, cancel := context.WithTimeout(c.Request.Context(), actionsTimeout)
	defer cancel()
	key := model.ObjectKey{Group: c.Query("group"), Kind: c.Query("kind"), Namespace: c.Query("namespace"), Name: c.Query("resourceName")}
	app, err := a.objectOf(ctx, c.Param("name"), key, "kind", "resourceName")
	if err != nil {
		a.fail(c, err)
		return
	}
	if a.opts.Actions == nil {
		a.fail(c, fault.New(fault.Precondition, "access_unsupported", "this hub cannot ask agents for live objects"))
		return
	}
	caller := identity(c)
	spend, done, err := a.meters.open(caller.ID, app.Cluster)
	if err != nil {
		a.fail(c, err)
		return
	}
	defer done()
	found, err := a.opts.Actions.ResourceActions(ctx, app, caller.Name, key)
	if err == nil {
		err = spend(ctx, sizeOf(model.AccessAnswer{Actions: found}))
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	c.JSON(http.StatusOK, newList(a, found))
}

// actionRequest asks for an action on one object.
type actionRequest struct {
	Resource model.ObjectKey   `json:"resource"`
	Action   string            `json:"action"`
	Params   map[string]string `json:"params,omitempty"`
	Reason   string            `json:"reason,omitempty"`
}

// deleteResource stores the deletion of one object. Its agent deletes it, if it is
// the application's and the project allows its kind there.
func (a *api) deleteResource(c *gin.Context) {
	ctx := c.Request.Context()
	key := model.ObjectKey{Group: c.Query("group"), Kind: c.Query("kind"), Namespace: c.Query("namespace"), Name: c.Query("resourceName")}
	how := model.DeleteSpec{UID: c.Query("uid"), Propagation: c.Query("propagation")}
	reason := c.Query("reason")
	idempotent, err := idempotencyKey(c)
	if err == nil {
		how.Force, err = boolean(c, "force")
	}
	if err == nil && how.UID == "" {
		err = fault.New(fault.Invalid, "field_missing", "uid is missing; name the object that is meant, not only its name").WithField("uid").
			WithFix("it is metadata.uid of the object: hawser app resource %s KIND/NAME", c.Param("name"))
	}
	if err == nil {
		if e := text("uid", how.UID, 1, 128); e != nil {
			err = e
		}
	}
	if err == nil && !slices.Contains([]string{"", "foreground", "background", "orphan"}, how.Propagation) {
		err = fault.New(fault.Invalid, "value_unknown", "propagation %q is unknown", cut(how.Propagation)).WithField("propagation").
			WithFound(cut(how.Propagation), "foreground, background, orphan")
	}
	if err == nil {
		if e := checkReason(reason); e != nil {
			err = e
		}
	}
	if err == nil {
		err = a.mayDeleteObject(ctx, a.caller(c), c.Param("name"), key)
	}
	var app fleet.App
	if err == nil {
		app, err = a.objectOf(ctx, c.Param("name"), key, "kind", "resourceName")
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	op, err := a.createOperation(ctx, app, fleet.NewOperation{
		App: app.UID, Kind: model.OperationAction, InitiatedBy: identity(c).Name, IdempotencyKey: idempotent, Deadline: a.now().Add(actionDeadline),
		Spec: model.OperationSpec{Reason: reason, Action: &model.ActionSpec{Resource: key, Name: model.ActionDelete, Delete: &how}},
	})
	if err != nil {
		a.fail(c, err)
		return
	}
	c.JSON(http.StatusAccepted, a.withNotice(ctx, op))
}

// mayDeleteObject decides about the one object: that somebody may delete some was
// decided before.
func (a *api) mayDeleteObject(ctx context.Context, set *permission.Set, name string, key model.ObjectKey) error {
	if set.Admin() {
		return nil
	}
	app, err := a.store.Application(ctx, name)
	if err != nil {
		return err
	}
	if d := set.DeletesObject(app.Project, app.Name, key.Group, key.Kind, key.Namespace, key.Name); !d.Allowed {
		return denied(d, right{permission.DeleteObject, permission.Applications}, app.Project, app.Name)
	}
	return nil
}

// runAction stores an action. Whether the object offers it, its agent decides.
func (a *api) runAction(c *gin.Context) {
	ctx := c.Request.Context()
	var in actionRequest
	err := a.into(c, &in, false)
	if err == nil {
		err = in.check()
	}
	var key string
	if err == nil {
		key, err = idempotencyKey(c)
	}
	var app fleet.App
	if err == nil {
		err = a.mayRun(ctx, a.caller(c), c.Param("name"), in)
	}
	if err == nil {
		app, err = a.objectOf(ctx, c.Param("name"), in.Resource, "resource.kind", "resource.name")
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	op, err := a.createOperation(ctx, app, fleet.NewOperation{
		App: app.UID, Kind: model.OperationAction, InitiatedBy: identity(c).Name, IdempotencyKey: key, Deadline: a.now().Add(actionDeadline),
		Spec: model.OperationSpec{Reason: in.Reason, Action: &model.ActionSpec{Resource: in.Resource, Name: in.Action, Params: in.Params}},
	})
	if err != nil {
		a.fail(c, err)
		return
	}
	c.JSON(http.StatusAccepted, a.withNotice(ctx, op))
}

// mayRun decides about the one action: that somebody may run some was decided
// before.
func (a *api) mayRun(ctx context.Context, set *permission.Set, name string, in actionRequest) error {
	if set.Admin() {
		return nil
	}
	app, err := a.store.Application(ctx, name)
	if err != nil {
		return err
	}
	if d := set.RunsAction(app.Project, app.Name, in.Resource.Group, in.Resource.Kind, in.Action); !d.Allowed {
		return denied(d, right{permission.RunAction, permission.Applications}, app.Project, app.Name)
	}
	return nil
}

func (in actionRequest) check() error {
	if in.Action == "" || len(in.Action) > 128 || strings.ContainsFunc(in.Action, func(r rune) bool { return r <= ' ' || r > '~' || r == '/' }) {
		return fault.New(fault.Invalid, "name_invalid", "action %q is not the name of an action", cut(in.Action)).WithField("action").
			WithFix("see what there is: hawser app actions list NAME")
	}
	if len(in.Params) > maxActionParams {
		return fault.New(fault.Invalid, "out_of_range", "%d parameters are given; at most %d are taken", len(in.Params), maxActionParams).WithField("params")
	}
	for name, value := range in.Params {
		if name == "" || len(name) > 128 || len(value) > maxActionText {
			return fault.New(fault.Invalid, "out_of_range", "parameter %q has no name, or is too long; names have at most 128 bytes, values %d", cut(name), maxActionText).
				WithField("params")
		}
	}
	if err := checkReason(in.Reason); err != nil {
		return err
	}
	return nil
}

// objectOf reads an application and makes sure that the object belongs to it, as
// far as the hub knows: it is managed, or below something that is. When not all
// objects are known here the agent has the last word; it always checks again.
func (a *api) objectOf(ctx context.Context, name string, key model.ObjectKey, kindField, nameField string) (fleet.App, error) {
	for _, f := range []struct{ field, value string }{{kindField, key.Kind}, {nameField, key.Name}} {
		if f.value == "" {
			return fleet.App{}, fault.New(fault.Invalid, "field_missing", "%s is missing; name the object", f.field).WithField(f.field)
		}
	}
	app, err := a.store.Application(ctx, name)
	if err != nil {
		return app, err
	}
	view, err := a.store.AppView(ctx, name)
	if err != nil {
		return app, err
	}
	if slices.ContainsFunc(view.Resources, func(r model.ResourceStatus) bool { return r.ObjectKey == key }) {
		return app, nil
	}
	tree, err := a.store.Tree(ctx, app.UID)
	if err != nil && !fault.HasCode(err, "tree_not_found") {
		return app, err
	}
	if err != nil || tree.Truncated || slices.ContainsFunc(tree.Nodes, func(n model.TreeNode) bool { return n.ObjectKey == key }) {
		return app, nil
	}
	return app, fault.New(fault.NotFound, "object_not_of_application", "%s does not belong to application %q", key, name).
		WithField(nameField).WithFix("see its objects: hawser app tree %s", name)
}
