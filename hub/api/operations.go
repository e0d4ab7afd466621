package api

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/gin-gonic/gin"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/hub/permission"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/model/decode"
	"github.com/hawser-dev/hawser/shared/policy"
)

// createOperation stores a command, then wakes those who carry it out.
func (a *api) createOperation(ctx context.Context, app fleet.App, n fleet.NewOperation) (model.OperationInfo, error) {
	if err := a.heedObserved(ctx, app, &n); err != nil {
		return model.OperationInfo{}, err
	}
	if n.Kind != model.OperationDelete {
		if err := a.opts.Delivery.Limit(ctx, app); err != nil {
			return model.OperationInfo{}, err
		}
	}
	op, existed, err := a.store.CreateOperation(ctx, n)
	if err != nil {
		return model.OperationInfo{}, err
	}
	a.log.InfoContext(ctx, "operation accepted", "operation", op.ID, "kind", op.Kind, "application", app.Name, "project", app.Project, "cluster", app.Cluster, "by", n.InitiatedBy, "repeated", existed)
	if n.Kind == model.OperationDelete || n.Deploy != nil {
		a.opts.Agents.Notify(app.Cluster, app.UID)
		a.written(ctx, app.UID)
	}
	if n.Kind != model.OperationDelete {
		a.opts.Agents.NotifyOperation(app.Cluster)
	}
	a.opts.Publisher.Publish("operation", string(op.ID), op)
	a.opts.Publisher.PublishApplications([]model.AppUID{app.UID})
	return op, nil
}

// createSync stores a sync that was checked. When it names the revision that a
// rollback has set aside, that is desired again together with it.
func (a *api) createSync(ctx context.Context, app fleet.App, n fleet.NewOperation) (model.OperationInfo, error) {
	if follows(app.Application, n.Spec.Revision) { // the newest of it, also past a rollback
		n.Spec.Revision = ""
		if app.Pin != nil {
			n.Spec.Revision = app.Source.Revision.Commit
		}
	}
	app, err := a.newest(ctx, app, n.Spec)
	if err == nil {
		err = checkSync(app, n.Spec)
	}
	if err != nil {
		return model.OperationInfo{}, err
	}
	if wantsAside(app, n.Spec.Revision) && !n.Spec.DryRun {
		content := fleet.Content{Bundle: app.Source.Bundle, Revision: app.Source.Revision, Sources: app.Source.Sources}
		deploy, err := a.opts.Delivery.Prepare(ctx, app, content, 0)
		if err != nil {
			return model.OperationInfo{}, err
		}
		n.Deploy = &deploy
	}
	return a.createOperation(ctx, app, n)
}

// follows reports whether a revision is what the application follows anyway: the
// branch, tag or range of its sources, or HEAD where none is named.
func follows(app model.Application, revision string) bool {
	if revision == "" {
		return false
	}
	sources := app.Spec.AllSources()
	for _, s := range sources {
		if cmp.Or(s.TargetRevision, "HEAD") != revision {
			return false
		}
	}
	return len(sources) > 0
}

// wantsAside reports whether a revision means what a rollback has set aside, and
// not what it went back to.
func wantsAside(app fleet.App, revision string) bool {
	return app.Pin != nil && revision != "" && !names(revision, app.Pin.Revision.Commit) && names(revision, app.Source.Revision.Commit)
}

// checkSync decides whether a sync can be asked for.
func checkSync(app fleet.App, spec model.OperationSpec) error {
	if err := checkSpec(spec); err != nil {
		return err
	}
	if e := app.Source.Error; e != nil && app.Source.Bundle == "" {
		// An agent would wait for a desired state that nobody can make.
		return fault.New(fault.Precondition, "nothing_rendered", "nothing of %q was rendered yet: %s", app.Name, e.Message).
			WithFix("put the source right, then sync again")
	}
	if e := app.Source.Error; app.Pin == nil && spec.Revision == "" && !spec.DryRun && e.OfContent() {
		// What is asked for is the newest, and there is none: a sync of what was before
		// would end well, and whoever asked would take it for deployed.
		err := fault.New(fault.Unprocessable, "newest_not_rendered", "the newest of %q cannot be rendered: %s: %s", app.Name, e.Code, e.Message).WithFix("put the source right, then sync again")
		if last := app.Source.Revision.Commit; last != "" {
			err = err.WithFix("put the source right, then sync again; the last that was rendered: hawser app sync %s --revision %s", app.Name, last)
		}
		return err
	}
	rendered := app.Source.Revision.Commit
	if app.Pin != nil {
		rendered = app.Pin.Revision.Commit
	}
	if !names(spec.Revision, rendered) && !wantsAside(app, spec.Revision) {
		e := fault.New(fault.Unprocessable, "revision_not_rendered", "revision %q is not the one that the hub has rendered", cut(spec.Revision)).
			WithField("revision").WithFound(cut(spec.Revision), rendered).
			WithFix("leave it out, or name a commit of 7 digits or more; another branch or tag is followed after: hawser app set %s --revision %s", app.Name, cut(spec.Revision))
		if app.Pin != nil {
			e.Allowed += ", or " + app.Source.Revision.Commit + ", which a rollback has set aside"
		}
		return e
	}
	return nil
}

// maxReason bounds, in characters, why somebody does something.
const maxReason = 500

// checkSpec decides about the options of a sync, whatever the application.
func checkSpec(spec model.OperationSpec) error {
	var problems fault.List
	problems = append(problems, decode.SyncOptions("syncOptions", spec.SyncOptions)...)
	if n := spec.ConfirmPrune; n != nil && *n < 0 {
		problems = append(problems, fault.New(fault.Invalid, "out_of_range", "confirmPrune is %d; it must be 0 or more", *n).WithField("confirmPrune"))
	}
	if _, err := policy.ParseSelection(spec.Resources); err != nil {
		problems = append(problems, fault.As(err))
	}
	problems = append(problems, decode.Retry("retry", spec.Retry)...)
	if r := spec.Retry; r != nil && r.Limit < 0 {
		// Without a bound it might never end.
		problems = append(problems, fault.New(fault.Invalid, "out_of_range", "retry.limit is %d; it must be 0 or more", r.Limit).
			WithField("retry.limit").WithFound(strconv.FormatInt(r.Limit, 10), "0 or more"))
	}
	if err := checkReason(spec.Reason); err != nil {
		problems = append(problems, err)
	}
	if len(problems) > 0 {
		return problems
	}
	return nil
}

func checkReason(reason string) *fault.Error {
	if n := utf8.RuneCountInString(reason); n > maxReason {
		return fault.New(fault.Invalid, "out_of_range", "reason has %d characters; at most %d are kept", n, maxReason).WithField("reason")
	}
	if strings.ContainsFunc(reason, unicode.IsControl) {
		return fault.New(fault.Invalid, "text_invalid", "reason has characters that cannot be shown, such as an end of line").WithField("reason")
	}
	return nil
}

// notOfASync are the fields of an operation that are no options of a sync.
func notOfASync(spec model.OperationSpec) error {
	for _, f := range []struct {
		name, what string
		set        bool
	}{
		{"cascade", "a delete", spec.Cascade}, {"propagation", "a delete", spec.Propagation != ""},
		{"rollback", "the route /rollback", spec.Rollback != nil}, {"action", "the route /actions", spec.Action != nil},
	} {
		if f.set {
			return fault.New(fault.Invalid, "unknown_field", "%s belongs to %s, not to a sync", f.name, f.what).WithField(f.name)
		}
	}
	return nil
}

// names reports whether a revision that somebody wrote is the rendered one: "",
// a version or digest in full, or at least the first seven characters of a
// commit.
func names(written, rendered string) bool {
	if written == "" || written == rendered {
		return true
	}
	r := strings.ToLower(written)
	return len(r) >= 7 && len(rendered) >= 40 && strings.HasPrefix(rendered, r)
}

// idempotencyKey of a command, "" for none. Each API token has keys of its own:
// names of tokens are not unique.
func idempotencyKey(c *gin.Context) (string, error) {
	key := c.GetHeader("Idempotency-Key")
	if len(key) > 128 || strings.IndexFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }) >= 0 {
		return "", fault.New(fault.Invalid, "idempotency_key_invalid", "Idempotency-Key must be at most 128 visible characters").WithField("Idempotency-Key")
	}
	if key == "" {
		return "", nil
	}
	return identity(c).ID + " " + key, nil
}

func (a *api) syncApplication(c *gin.Context) {
	ctx := c.Request.Context()
	var spec model.OperationSpec
	if err := a.into(c, &spec, true); err != nil {
		a.fail(c, err)
		return
	}
	err := notOfASync(spec)
	if err == nil && spec.ConfirmPrune != nil {
		err = a.fresh(c)
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	key, err := idempotencyKey(c)
	if err != nil {
		a.fail(c, err)
		return
	}
	app, err := a.store.Application(ctx, c.Param("name"))
	if err == nil {
		err = a.planHolds(c)
	}
	if err == nil && !spec.DryRun {
		err = a.windowOpen(ctx, a.caller(c), app, "sync", key)
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	op, err := a.createSync(ctx, app, fleet.NewOperation{
		App: app.UID, Kind: model.OperationSync, Spec: spec, InitiatedBy: identity(c).Name,
		IdempotencyKey: key, Deadline: a.now().Add(syncDeadline),
	})
	if err != nil {
		a.fail(c, err)
		return
	}
	c.JSON(http.StatusAccepted, a.withNotice(ctx, op))
}

// withNotice says in the answer, not in the stored operation, that nobody can
// carry it out at the moment.
func (a *api) withNotice(ctx context.Context, op model.OperationInfo) model.OperationInfo {
	if op.Message != "" || op.Phase != model.PhaseQueued {
		return op
	}
	if op.Kind == model.OperationDelete {
		if hub, err := a.store.HubState(ctx); err == nil && hub.HoldDeletes {
			op.Message = "deletes are held, because the hub's database was restored from an older copy; allow them with: hawser hub acknowledge-restore"
			return op
		}
	}
	cluster, err := a.store.Cluster(ctx, string(op.Cluster))
	if err != nil || cluster.Connected {
		return op
	}
	since := "is not connected"
	if cluster.LastSeen != nil {
		since = "has been disconnected for " + a.now().Sub(*cluster.LastSeen).Round(time.Second).String()
	}
	op.Message = "cluster " + strconv.Quote(cluster.Name) + " " + since + "; the operation is queued"
	if op.Deadline != nil {
		op.Message += " (expires in " + op.Deadline.Sub(a.now()).Round(time.Minute).String() + ")"
	}
	return op
}

func (a *api) deleteApplication(c *gin.Context) {
	ctx := c.Request.Context()
	key, err := idempotencyKey(c)
	if err != nil {
		a.fail(c, err)
		return
	}
	app, err := a.store.Application(ctx, c.Param("name"))
	if err != nil {
		a.fail(c, err)
		return
	}
	spec, err := deletion(c.Query("cascade"), c.Query("propagation"), app.Application.Metadata.Finalizers)
	var version int64
	if err == nil {
		version, err = ifMatch(c)
	}
	if err == nil {
		spec.ApproveDeletions, err = boolean(c, "approveDeletions")
	}
	if err == nil && (spec.Cascade || spec.ApproveDeletions) {
		err = a.fresh(c)
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	op, err := a.createOperation(ctx, app, fleet.NewOperation{
		App: app.UID, Kind: model.OperationDelete, Spec: spec, InitiatedBy: identity(c).Name, IdempotencyKey: key, Version: version,
	})
	if err != nil {
		a.fail(c, err)
		return
	}
	// A delete may be under way already, and wait for an approval, or be given up.
	// Only who says so in words gives it up: that no finalizer asks for a cascade
	// is no wish.
	for _, change := range []struct {
		what model.AmendmentKind
		due  bool
	}{
		{model.AmendApprove, spec.ApproveDeletions && !op.Spec.ApproveDeletions},
		{model.AmendOrphan, c.Query("cascade") == "false" && op.Spec.Cascade},
	} {
		if !change.due || op.Phase.Terminal() {
			continue
		}
		next, err := a.amendDelete(ctx, app, op.ID, model.Amendment{What: change.what, By: identity(c).Name})
		if fault.HasCode(err, "operation_not_found") { // it has ended meanwhile; the answer says how
			next, err = a.store.Operation(ctx, op.ID)
		}
		if err != nil {
			a.fail(c, err)
			return
		}
		op = next
	}
	c.JSON(http.StatusAccepted, a.withNotice(ctx, op))
}

// amendDelete changes the delete that is under way, if it is the one that is meant
// (only; "" is any), and wakes who carries it out.
func (a *api) amendDelete(ctx context.Context, app fleet.App, only model.OperationID, amendment model.Amendment) (model.OperationInfo, error) {
	op, err := a.store.AmendDelete(ctx, app.UID, only, amendment)
	if err != nil {
		return op, err
	}
	a.log.InfoContext(ctx, "operation amended", "operation", op.ID, "application", app.Name, "project", app.Project, "cluster", app.Cluster, "what", amendment.What, "by", amendment.By)
	a.opts.Agents.Notify(app.Cluster, app.UID)
	a.opts.Publisher.Publish("operation", string(op.ID), op)
	a.opts.Publisher.PublishApplications([]model.AppUID{app.UID})
	return op, nil
}

// confirmation says what is approved of.
type confirmation struct {
	// Kind is what deletes: the delete that is under way, or a sync that is asked
	// for with this. Empty: the delete if there is one, else a sync.
	Kind model.OperationKind `json:"kind,omitempty"`
	// Operation is the delete that is meant; empty: whichever is under way.
	Operation    model.OperationID `json:"operation,omitempty"`
	ConfirmPrune *int              `json:"confirmPrune,omitempty"`
	Reason       string            `json:"reason,omitempty"`
}

func (in confirmation) check() error {
	switch in.Kind {
	case "", model.OperationSync, model.OperationDelete:
	default:
		return fault.New(fault.Invalid, "value_unknown", "kind is %q; allowed: sync, delete", cut(string(in.Kind))).WithField("kind").WithFound(cut(string(in.Kind)), "sync, delete")
	}
	if in.Operation != "" && in.Kind == model.OperationSync {
		return fault.New(fault.Invalid, "value_unknown", "operation is that of a delete; a sync is asked for with the confirmation").WithField("operation").
			WithFix("leave operation out, or say kind delete")
	}
	return nil
}

// of decides what a confirmation is of, with the operations that are open.
func (in confirmation) of(app string, open []model.OperationInfo) (model.OperationKind, error) {
	if in.Kind != "" {
		return in.Kind, nil
	}
	if in.Operation != "" {
		return model.OperationDelete, nil
	}
	i := slices.IndexFunc(open, func(op model.OperationInfo) bool { return op.Kind == model.OperationDelete })
	j := slices.IndexFunc(open, func(op model.OperationInfo) bool { return op.Kind == model.OperationSync })
	switch {
	case i >= 0 && j >= 0:
		return "", fault.New(fault.Precondition, "confirmation_ambiguous",
			"operation %s deletes %q (asked for by %s), and its sync %s has not ended; the confirmation does not say which of both it is of", open[i].ID, app, open[i].InitiatedBy, open[j].ID).
			WithField("kind").WithFound("", "sync, delete").WithFix("say which: hawser app confirm-deletion %s --kind delete, or --kind sync", app)
	case i >= 0:
		return model.OperationDelete, nil
	}
	return model.OperationSync, nil
}

// confirmDeletion approves of deleting what says Prune=confirm or
// Delete=confirm: of the delete that is under way, or of a sync that prunes.
func (a *api) confirmDeletion(c *gin.Context) {
	ctx := c.Request.Context()
	var in confirmation
	err := a.into(c, &in, true)
	if err == nil {
		err = in.check()
	}
	var key string
	if err == nil {
		key, err = idempotencyKey(c)
	}
	spec := model.OperationSpec{Prune: true, ApproveDeletions: true, ConfirmPrune: in.ConfirmPrune, Reason: in.Reason}
	if err == nil {
		err = checkSpec(spec)
	}
	var app fleet.App
	if err == nil {
		app, err = a.store.Application(ctx, c.Param("name"))
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	op, err := a.confirm(ctx, a.caller(c), app, in, fleet.NewOperation{
		App: app.UID, Kind: model.OperationSync, Spec: spec, InitiatedBy: identity(c).Name, IdempotencyKey: key, Deadline: a.now().Add(syncDeadline),
	})
	if err != nil {
		a.fail(c, err)
		return
	}
	a.log.InfoContext(ctx, "deletions approved", "operation", op.ID, "kind", op.Kind, "application", app.Name, "project", app.Project, "cluster", app.Cluster, "by", identity(c).Name)
	c.JSON(http.StatusAccepted, a.withNotice(ctx, op))
}

// confirm carries out a confirmation. n is the sync that it asks for unless it is
// of a delete.
func (a *api) confirm(ctx context.Context, set *permission.Set, app fleet.App, in confirmation, n fleet.NewOperation) (model.OperationInfo, error) {
	if n.IdempotencyKey != "" {
		// Asked for again, it might be a delete that came since, and that nobody
		// has approved of.
		if op, found, err := a.store.OperationByKey(ctx, n.IdempotencyKey); err != nil || found {
			if err == nil {
				err = fleet.Repeats(op, n)
			}
			return op, err
		}
	}
	open, err := a.store.Operations(ctx, fleet.OperationFilter{App: app.UID, OpenOnly: true})
	if err != nil {
		return model.OperationInfo{}, err
	}
	kind, err := in.of(app.Name, open)
	switch {
	case err != nil:
		return model.OperationInfo{}, err
	case kind == model.OperationDelete:
		return a.amendDelete(ctx, app, in.Operation, model.Amendment{What: model.AmendApprove, By: n.InitiatedBy, Reason: in.Reason})
	}
	if err := a.windowOpen(ctx, set, app, "sync", ""); err != nil {
		return model.OperationInfo{}, err
	}
	return a.createSync(ctx, app, n)
}

// boolean is a query parameter that is true, false or absent.
func boolean(c *gin.Context, name string) (bool, error) {
	switch v := c.Query(name); v {
	case "", "false":
		return false, nil
	case "true":
		return true, nil
	default:
		return false, fault.New(fault.Invalid, "value_unknown", "%s is %q; allowed: true, false", name, cut(v)).WithField(name).WithFound(cut(v), "true, false")
	}
}

// deletion decides what becomes of an application's objects: as the caller
// says, else as the finalizers do, as in Argo CD.
func deletion(cascade, propagation string, finalizers []string) (model.OperationSpec, error) {
	var spec model.OperationSpec
	background := slices.Contains(finalizers, model.FinalizerCascadeBackground)
	switch cascade {
	case "true":
		spec.Cascade = true
	case "false":
		background = false
	case "":
		spec.Cascade = background || slices.Contains(finalizers, model.FinalizerCascade) || slices.Contains(finalizers, model.FinalizerCascadeForeground)
	default:
		return spec, fault.New(fault.Invalid, "value_unknown", "cascade is %q; allowed: true, false", cut(cascade)).WithField("cascade").
			WithFound(cut(cascade), "true, false")
	}
	switch strings.ToLower(propagation) {
	case "foreground":
		background = false
	case "background":
		background = true
	case "":
	default:
		return spec, fault.New(fault.Invalid, "value_unknown", "propagation is %q; allowed: foreground, background", cut(propagation)).WithField("propagation").
			WithFound(cut(propagation), "foreground, background")
	}
	if spec.Cascade {
		spec.Propagation = "Foreground"
		if background {
			spec.Propagation = "Background"
		}
	}
	return spec, nil
}

// terminateApplication ends the application's open sync.
func (a *api) terminateApplication(c *gin.Context) {
	ctx := c.Request.Context()
	app, err := a.store.Application(ctx, c.Param("name"))
	if err != nil {
		a.fail(c, err)
		return
	}
	open, err := a.store.Operations(ctx, fleet.OperationFilter{App: app.UID, OpenOnly: true})
	if err != nil {
		a.fail(c, err)
		return
	}
	i := slices.IndexFunc(open, func(op model.OperationInfo) bool { return op.Kind != model.OperationDelete })
	if i < 0 {
		a.fail(c, fault.New(fault.Precondition, "no_operation", "application %q has no operation to end", app.Name).
			WithFix("an automated sync that waits for a hook is ended by a rollback, or by a sync that is asked for and then ended"))
		return
	}
	a.terminate(c, open[i].ID)
}

func (a *api) terminateOperation(c *gin.Context) { a.terminate(c, model.OperationID(c.Param("id"))) }

func (a *api) terminate(c *gin.Context, id model.OperationID) {
	op, err := a.store.TerminateOperation(c.Request.Context(), id, identity(c).Name)
	if err != nil {
		a.fail(c, err)
		return
	}
	a.opts.Agents.NotifyOperation(op.Cluster)
	if op.Kind == model.OperationDelete {
		// The application stays: what Git brought meanwhile is still to come.
		a.written(c.Request.Context(), op.App)
	}
	a.opts.Publisher.Publish("operation", string(op.ID), op)
	a.opts.Publisher.PublishApplications([]model.AppUID{op.App})
	c.JSON(http.StatusOK, op)
}

func (a *api) getOperation(c *gin.Context) {
	op, err := a.store.Operation(c.Request.Context(), model.OperationID(c.Param("id")))
	if err != nil {
		a.fail(c, err)
		return
	}
	c.JSON(http.StatusOK, a.withNotice(c.Request.Context(), op))
}

func (a *api) listOperations(c *gin.Context) {
	var f fleet.OperationFilter
	l := listing{things: "operations", facets: []string{"phase", "kind"}, known: []string{"app", "cluster", "open"}, limit: defaultLimit}
	l.ask = func(inventory Inventory, ctx context.Context, q fleet.ListQuery) (fleet.ListPage, error) {
		return inventory.Operations(ctx, f, q)
	}
	a.answerList(c, &l, func(*fleet.ListQuery) (err error) {
		f, err = a.operationsAsked(c)
		return err
	})
}

// operationsAsked is what the parameters besides the filter narrow, to what the
// caller sees.
func (a *api) operationsAsked(c *gin.Context) (f fleet.OperationFilter, err error) {
	ctx, set := c.Request.Context(), a.caller(c)
	if f.OpenOnly, err = boolean(c, "open"); err != nil {
		return f, err
	}
	if name := c.Query("app"); name != "" {
		app, err := a.store.Application(ctx, name)
		if err == nil {
			err = mayDo(set, permission.Get, app)
		}
		if err != nil {
			return f, err
		}
		f.App = app.UID
	}
	if name := c.Query("cluster"); name != "" {
		cluster, err := a.clusterMeant(ctx, set, name)
		if err != nil {
			return f, err
		}
		f.Cluster = cluster.ID
	}
	if set.Admin() {
		return f, nil
	}
	// Which of a project's are seen is for the list to say.
	all, err := a.store.Projects(ctx)
	scope := a.scope(ctx, set)
	f.Projects = []string{}
	for _, p := range all {
		if scope.Has(p.Metadata.Name) {
			f.Projects = append(f.Projects, p.Metadata.Name)
		}
	}
	return f, err
}

func (a *api) listApplicationOperations(c *gin.Context) {
	filter, err := operationFilter(c)
	if err == nil {
		var app fleet.App
		if app, err = a.store.Application(c.Request.Context(), c.Param("name")); err == nil {
			filter.App = app.UID
		}
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	a.answerOperations(c, filter)
}

func operationFilter(c *gin.Context) (fleet.OperationFilter, error) {
	limit, err := limitOf(c)
	if err != nil {
		return fleet.OperationFilter{}, err
	}
	open, err := boolean(c, "open")
	return fleet.OperationFilter{Limit: limit, OpenOnly: open}, err
}

func (a *api) answerOperations(c *gin.Context, f fleet.OperationFilter) {
	ops, err := a.store.Operations(c.Request.Context(), f)
	if err != nil {
		a.fail(c, err)
		return
	}
	c.JSON(http.StatusOK, newList(a, ops))
}
