package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/hawser-dev/hawser/agent/diff"
	"github.com/hawser-dev/hawser/agent/journal"
	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/agent/sync"
	"github.com/hawser-dev/hawser/shared/failpoint"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/manifest"
	"github.com/hawser-dev/hawser/shared/model"
	"github.com/hawser-dev/hawser/shared/policy"
)

// attempt is one run over an application's objects.
type attempt struct {
	engine    *Engine
	app       *app
	s         snapshot
	bodies    *bodies
	operation string // for the audit log
	run       string // marks the hooks: the operation, or one of its tries
	automated bool
	prune     bool
	confirm   *int
	approved  bool // deletions that want a confirmation
	dryRun    bool
	skipHooks bool
	options   []string // of the operation, beside the application's
	selected  map[model.ObjectKey]bool
	selection *sync.Selection // of a selective sync

	prepared []sync.Prepared
	rules    uint64 // that the run goes by
	started  time.Time
	decision sync.PruneDecision
	guard    *sync.Guard
	kept     []model.ObjectKey // to be pruned, deliberately not
	outcome  sync.Outcome
	refusals []policy.Refusal
}

// autoSync runs the automated sync of a generation.
func (e *Engine) autoSync(ctx context.Context, a *app, s snapshot, b *bodies) {
	outer := ctx
	ctx, end := e.begin(ctx, a, s, runAuto)
	defer end()
	at := &attempt{engine: e, app: a, s: s, bodies: b, automated: true, prune: s.desired.Spec.SyncPolicy.Automated.Prune,
		operation: fmt.Sprintf("auto-%s-g%d", a.uid, s.desired.Generation)}
	at.run = nextRun(s.run, at.operation)
	// What follows on a good sync is only to prune what had to be left.
	at.skipHooks = s.attempt != nil && s.attempt.Generation == s.desired.Generation && !s.attempt.Failed
	err := at.perform(ctx)
	if err != nil {
		at.endHooks(outer, err)
		e.afterInterruption(a, err)
		return
	}
	failed, message := at.verdict()
	e.o.Journal.Update(journal.Lazy, func(book *journal.Book) journal.Change {
		c := at.recordIn(book, "automated sync")
		mc, err := book.MarkAttempt(a.uid, s.desired.Generation, failed, message, e.now())
		if err != nil {
			e.log.Debug("an attempt was not recorded", "reason", err)
		}
		return joined(joined(c, mc), book.EndRun(a.uid, at.run))
	})
	failpoint.Hit("reconcile.auto.booked")
	if failed {
		e.log.Warn("automated sync failed", "application", s.desired.Name, "generation", s.desired.Generation, "reason", message)
	} else {
		e.log.Info("automated sync done", "application", s.desired.Name, "generation", s.desired.Generation, "result", at.outcome.Message())
	}
	a.conditions, a.healConditions = at.conditions(), nil
}

// heal repairs the objects whose time has come.
func (e *Engine) heal(ctx context.Context, a *app, s snapshot, b *bodies, drift map[model.ObjectKey]model.Digest) {
	ctx, end := e.begin(ctx, a, s, runHeal)
	defer end()
	now := e.now()
	selected := map[model.ObjectKey]bool{}
	for k, content := range drift {
		if !healAt(a.heals[k], content, now).After(now) {
			selected[k] = true
			h := healed(a.heals[k], content, now)
			h.By = a.changedBy(k)
			a.heals[k] = h
		}
	}
	at := &attempt{engine: e, app: a, s: s, bodies: b, automated: true, selected: selected,
		skipHooks: true, operation: fmt.Sprintf("heal-%s-g%d", a.uid, s.desired.Generation)}
	failpoint.Hit("reconcile.heal.before")
	err := at.perform(ctx)
	failpoint.Hit("reconcile.heal.after")
	if err != nil {
		e.afterInterruption(a, err)
		return
	}
	failed, message := at.verdict()
	if failed {
		e.log.Warn("drift was not repaired", "application", s.desired.Name, "objects", len(selected), "reason", message)
	} else {
		e.log.Info("drift repaired", "application", s.desired.Name, "objects", len(selected), "result", message)
	}
	if at.newUIDs() {
		e.o.Journal.Update(journal.Lazy, func(book *journal.Book) journal.Change { return at.recordIn(book, "self-heal") })
	}
	a.healConditions = nil
	if failed {
		a.healConditions = at.conditions()
	}
}

// changedBy is who set what differs, as far as managed fields say.
func (a *app) changedBy(k model.ObjectKey) string {
	for _, d := range a.judged[k].differences {
		if d.Manager != "" {
			return d.Manager
		}
	}
	return ""
}

// newUIDs reports whether something was written that the inventory does not know
// as it is now.
func (at *attempt) newUIDs() bool {
	for _, w := range at.outcome.Applied {
		if !slices.ContainsFunc(at.s.inventory, func(o journal.Owned) bool { return o.Key == w.Key && o.UID == w.UID && o.Confirmed }) {
			return true
		}
	}
	return false
}

// operate runs a manual sync, which ends exactly once.
func (e *Engine) operate(ctx context.Context, a *app, s snapshot, b *bodies) {
	op := s.op
	outer := ctx
	ctx, end := e.begin(ctx, a, s, runOperation)
	defer end()
	e.o.Journal.Update(journal.Lazy, func(book *journal.Book) journal.Change {
		c, err := book.StartOperation(a.uid, op.ID, e.now())
		if err != nil {
			e.log.Debug("the start of an operation was not recorded", "reason", err)
		}
		return c
	})
	at := &attempt{engine: e, app: a, s: s, bodies: b, prune: op.Spec.Prune, confirm: op.Spec.ConfirmPrune, dryRun: op.Spec.DryRun,
		approved: op.Spec.ApproveDeletions, skipHooks: op.Spec.SkipHooks, options: op.Spec.SyncOptions, operation: string(op.ID), run: nextRun(s.run, runOf(op.ID, s.desired.Bundle))}
	if want := op.Spec.Revision; want != "" && op.Spec.Rollback == nil && !strings.HasPrefix(s.desired.Revision.Commit, want) {
		e.finish(a, op, model.PhaseSuperseded, fmt.Sprintf("the application has moved on to revision %s", short(s.desired.Revision.Commit)), nil, nil)
		return
	}
	// One that has begun before the window closed waits for the next.
	if w := window(s.desired, false, e.now(), time.Time{}); !w.Allowed && !at.dryRun && op.StartedAt == nil {
		e.finish(a, op, model.PhaseFailed, "a sync window forbids it: "+w.Reason, nil, nil)
		return
	}
	if err := at.choose(op.Spec.Resources); err != nil {
		e.finish(a, op, model.PhaseFailed, fault.As(err).Message, nil, nil)
		return
	}
	err := at.perform(ctx)
	switch {
	case errors.Is(err, errTerminated):
		at.endHooks(outer, err)
		e.finish(a, op, model.PhaseTerminated, "ended on request", at.result(), at.record(op))
		return
	case err != nil:
		at.endHooks(outer, err)
		e.afterInterruption(a, err)
		return
	}
	failed, message := at.verdict()
	if !at.dryRun {
		a.conditions = at.conditions()
	}
	switch {
	case failed && at.retries(op):
		e.retry(a, op, at, message)
	case failed:
		e.finish(a, op, model.PhaseFailed, message, at.result(), at.record(op))
	default:
		e.finish(a, op, model.PhaseSucceeded, message+at.before(op), at.result(), at.record(op))
	}
}

// choose limits the run to what a selective sync names, which runs no hooks.
func (at *attempt) choose(entries []string) (err error) {
	if at.selection, err = sync.ParseSelection(entries); err != nil || at.selection == nil {
		return err
	}
	at.skipHooks = true
	at.selected = map[model.ObjectKey]bool{}
	for _, p := range at.app.objects {
		if p.Hook == "" && at.selection.Matches(p.Key) {
			at.selected[p.Key] = true
		}
	}
	if len(at.selected) > 0 {
		return nil
	}
	for _, o := range at.s.inventory {
		if at.selection.Matches(o.Key) {
			return nil
		}
	}
	return fault.New(fault.NotFound, "selection_empty", "the selection matches no object of %q; it is written group:kind:name or group:kind:namespace/name", at.s.desired.Name)
}

// retries reports whether a failed operation is to be tried again.
func (at *attempt) retries(op *journal.Operation) bool {
	return op.Spec.Retry != nil && !at.dryRun && at.guard == nil && (op.Spec.Retry.Limit < 0 || int64(op.Tries) < op.Spec.Retry.Limit)
}

// retry has the operation run again later. The present revision is taken then,
// whatever it is: a fix in Git must not wait for the tries of what it fixes.
func (e *Engine) retry(a *app, op *journal.Operation, at *attempt, message string) {
	_, backoff := retryOf(&model.SyncPolicy{Retry: op.Spec.Retry})
	when := e.now().Add(backoff(op.Tries + 1))
	e.log.Warn("operation failed and is tried again", "operation", op.ID, "at", when, "reason", message)
	e.o.Journal.Update(journal.Lazy, func(book *journal.Book) journal.Change {
		c := at.recordIn(book, initiator(op))
		rc, err := book.RetryOperation(a.uid, op.ID, message, when)
		if err != nil {
			e.log.Debug("a retry was not recorded", "reason", err)
		}
		return joined(joined(c, rc), book.EndRun(a.uid, at.run))
	})
	e.queue.addAt(a.uid, when)
}

func initiator(op *journal.Operation) string {
	if op.InitiatedBy != "" {
		return op.InitiatedBy
	}
	return "operation " + string(op.ID)
}

func (at *attempt) record(op *journal.Operation) func(*journal.Book) journal.Change {
	if at.dryRun {
		return nil
	}
	return func(b *journal.Book) journal.Change { return at.recordIn(b, initiator(op)) }
}

func short(commit string) string {
	if len(commit) > 12 {
		return commit[:12]
	}
	return commit
}

// afterInterruption has the application looked at again: at once when something
// newer came, a little later when effects are not allowed now.
func (e *Engine) afterInterruption(a *app, err error) {
	a.touchAll()
	if !errors.Is(err, errNewer) && !errors.Is(err, errWithdrawn) {
		e.queue.addAt(a.uid, e.now().Add(fencedPause))
	}
}

// perform decides and acts. An error means that it was interrupted; everything
// else is in the fields.
func (at *attempt) perform(ctx context.Context) (err error) {
	ctx, end := at.watch(ctx)
	defer func() { end(err) }()
	at.started = at.engine.now()
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if at.bodies.encoded == nil && !at.engine.o.Journal.Lost(at.app.uid) {
		return errNewer // it was accepted while this was about to begin
	}
	at.prepare()
	if at.check() {
		return nil
	}
	plan := at.plan(ctx)
	if at.guard != nil && !at.automated {
		return nil // a manual sync does nothing before the number is confirmed
	}
	if err := at.agree(ctx); err != nil {
		return err
	}
	if err := at.intend(ctx, plan); err != nil {
		return err
	}
	hooks, err := at.memory(ctx, plan)
	if err != nil {
		return err
	}
	at.clearAbandoned(ctx)
	failpoint.Hit("reconcile.run.begins")
	applying, span := at.engine.spanWithin(ctx, "agent.apply")
	at.outcome = at.engine.exec.Execute(applying, sync.Run{Plan: plan, Operation: at.operation, DryRun: at.dryRun, Body: at.body, Waiting: at.waiting(ctx),
		Yield: at.yield, Hooks: hooks})
	if span.IsRecording() {
		span.SetAttributes(attribute.Int("applied", len(at.outcome.Applied)), attribute.Int("failed", at.outcome.Failed))
	}
	endWith(span, at.outcome.Stopped)
	failpoint.Hit("reconcile.run.ended")
	at.learn()
	return at.outcome.Stopped
}

// yield lets go of the run for a newer desired state, and between waves when a sync
// window has closed that does not let syncs overrun.
func (at *attempt) yield(hooks bool) error {
	now := at.engine.now()
	if err := at.app.yield(hooks, now); err != nil || hooks || at.dryRun {
		return err
	}
	if w := window(at.s.desired, at.automated, now, at.started); !w.Allowed {
		return errWindow
	}
	return nil
}

// endHooks deletes what a run that is over for good has left running.
func (at *attempt) endHooks(ctx context.Context, why error) {
	if !errors.Is(why, errTerminated) && !errors.Is(why, errNewer) {
		return // it goes on later, or the application is removed with its hooks
	}
	for _, h := range at.outcome.Running {
		if err := at.engine.exec.EndHook(ctx, h, at.operation); err != nil {
			at.engine.log.Warn("a hook could not be ended", "object", h.Key, "error", err)
		}
	}
}

// publishEvery paces the status while a run waits for a wave.
const publishEvery = 200 * time.Millisecond

// waiting keeps the status honest while a run takes long: what is shown must
// not be older than it says.
func (at *attempt) waiting(ctx context.Context) func(string) {
	e, a := at.engine, at.app
	told := ""
	publish := paced(e.now, func() bool { return a.hasMoved() || told != a.doing() },
		func(d time.Duration) { time.AfterFunc(d, e.news.publish) }, // which asks again
		func() {
			told = a.doing()
			e.publish(ctx, a, e.snapshot(a.uid), nil)
		})
	return func(what string) {
		a.mu.Lock()
		a.activity = what
		a.mu.Unlock()
		publish()
	}
}

// paced returns a function that publishes at its first call and then when
// something moved, at most every publishEvery. What moves in between is not
// forgotten: later has the function called once more when its time has come.
func paced(now func() time.Time, moved func() bool, later func(time.Duration), publish func()) func() {
	var last, armed time.Time
	pending := true
	return func() {
		if pending = moved() || pending; !pending {
			return
		}
		t := now()
		if due := last.Add(publishEvery); t.Before(due) {
			if armed.Before(due) {
				armed = due
				later(due.Sub(t))
			}
			return
		}
		last, pending = t, false
		publish()
	}
}

// prepare takes the application's objects, anew when the operation brings its
// own options.
func (at *attempt) prepare() {
	at.prepared = at.app.objects
	if len(at.options) == 0 {
		return
	}
	t := targetOf(at.s.desired, at.engine.o.ClusterName)
	t.SyncOptions = append(append([]string{}, t.SyncOptions...), at.options...)
	if objs, err := at.engine.decode(at.s.desired.Bundle); err == nil {
		at.prepared = at.engine.refuseOwn(sync.Prepare(t, objs, sync.ScopeFrom(at.engine.o.Observer.Kind)))
	}
}

// check asks the project again, with its limits as the hub sent them with the
// desired state: about its repositories and destination, and about each object.
// It reports whether anything is refused; then nothing is done.
func (at *attempt) check() bool {
	d := at.s.desired
	project := policy.Project{Name: d.Project, Spec: d.ProjectSpec}
	dest := policy.Destination{Name: d.Spec.ClusterName, Server: d.Spec.Destination.Server, Aliases: d.Spec.ServerAliases, Namespace: d.Spec.Namespace}
	if dec := policy.CheckApplication(project, policy.AppFacts{SourceRepos: d.Spec.SourceRepos, Destination: dest}); !dec.Allowed {
		at.refusals = dec.Refusals
		return true
	}
	if _, dec := policy.ChooseServiceAccount(project, dest); !dec.Allowed {
		at.refusals = dec.Refusals
		return true
	}
	facts := make([]policy.ObjectFacts, 0, len(at.prepared))
	for _, p := range at.prepared {
		k, err := at.engine.o.Observer.Kind(p.Key.GroupKind())
		facts = append(facts, policy.ObjectFacts{Key: p.Key, Namespaced: k.Namespaced, ScopeUnknown: err != nil})
	}
	if dec := policy.CheckObjects(project, dest, facts); !dec.Allowed {
		at.refusals = dec.Refusals
		return true
	}
	return false
}

func (at *attempt) body(s sync.Step) ([]byte, error) {
	for _, p := range at.prepared {
		if p.Index == s.Index {
			if s.Run != "" {
				body, err := at.bodies.hook(p, s.Key, at.run, s.Phase)
				return manifest.AppendJSON(nil, body), err
			}
			body, err := at.bodies.of(p)
			if err != nil {
				return nil, err
			}
			if p.Option("RespectIgnoreDifferences", "true") {
				if rec, presence := at.engine.o.Observer.Get(p.Key); presence == live.Present && rec.Body != nil {
					in, _ := at.engine.comparison(at.s, p, body, rec)
					body = diff.RespectInput(in)
				}
			}
			return manifest.AppendJSON(nil, body), nil
		}
	}
	return nil, errBundleLost
}

func (at *attempt) plan(ctx context.Context) sync.Plan {
	e, d := at.engine, at.s.desired
	f := sync.PlanFacts{App: d.Name, ClusterName: targetOf(d, e.o.ClusterName).ClusterName, Namespace: d.Spec.Namespace, Selected: at.selected,
		Run: at.run, Ended: at.ended(), Started: started(at.s.run, at.run), SkipHooks: at.skipHooks}
	keys := make([]model.ObjectKey, 0, len(at.prepared))
	for _, p := range at.prepared {
		if p.Hook != "" {
			f.Items = append(f.Items, at.hookItems(p)...)
			continue
		}
		keys = append(keys, p.Key)
		f.Items = append(f.Items, at.item(ctx, p))
	}
	app := append(append([]string{}, syncOptions(d)...), at.options...)
	options := manifest.SyncOptions(app, manifest.Object{})
	if d.Spec.SyncPolicy != nil {
		f.NamespaceMetadata = d.Spec.SyncPolicy.ManagedNamespaceMetadata
	}
	f.CreateNamespace = strings.EqualFold(options["CreateNamespace"], "true")
	if f.CreateNamespace && f.Namespace != "" && (at.selected == nil || anyMissing(f.Items, at.selected)) {
		at.namespace(&f)
	} else {
		f.CreateNamespace = false
	}
	if at.selected == nil || at.selection != nil {
		at.decidePrune(keys, &f)
	}
	plan := sync.BuildPlan(f)
	if at.automated && !at.skipHooks && at.repeats() && !plan.Changes() {
		// The same manifests as before under another revision: nothing to do, so
		// there is nothing for hooks to stand around.
		at.skipHooks, f.SkipHooks = true, true
		plan = sync.BuildPlan(f)
	}
	return plan
}

// repeats reports whether the manifests are those of the last sync.
func (at *attempt) repeats() bool {
	return at.s.synced != nil && at.s.synced.Bundle == at.s.desired.Bundle
}

// item is an ordinary object with what is known of it.
func (at *attempt) item(ctx context.Context, p sync.Prepared) sync.Item {
	e := at.engine
	it := sync.Item{Prepared: p}
	it.Kind, it.KindErr = e.o.Observer.Kind(p.Key.GroupKind())
	rec, presence := e.o.Observer.Get(p.Key)
	it.Presence = presence
	if presence == live.Present {
		it.UID, it.ResourceVersion, it.TrackingID, it.Deleting, it.Managers = rec.UID, rec.ResourceVersion, rec.TrackingID, rec.Deleting, rec.Managers
		j, ok := at.app.judged[p.Key]
		if !ok || j.observed || !j.holds(p, rec) {
			e.judge(ctx, at.app, at.s, p, at.bodies)
			j = at.app.judged[p.Key]
		}
		it.Same = j.same && j.desired == p.Hash && rec.TrackingID != ""
	}
	return it
}

// hookItems are a hook in each phase of a sync that it has. One of a deletion
// only, or of none, is a single item without a phase, which is skipped.
func (at *attempt) hookItems(p sync.Prepared) []sync.Item {
	var out []sync.Item
	for _, phase := range p.SyncPhases() {
		out = append(out, at.engine.hookItem(p, at.run, phase))
	}
	if out == nil {
		out = []sync.Item{{Prepared: p}}
	}
	return out
}

func (e *Engine) hookItem(p sync.Prepared, run string, phase sync.Phase) sync.Item {
	it := sync.Item{Prepared: p, Phase: phase}
	it.Key = sync.HookKey(p, run, phase)
	it.Kind, it.KindErr = e.o.Observer.Kind(p.Key.GroupKind())
	rec, presence := e.o.Observer.Get(it.Key)
	it.Presence = presence
	if presence == live.Present {
		it.UID, it.TrackingID = rec.UID, rec.TrackingID
	}
	return it
}

// anyMissing: a self-heal needs the namespace only for objects to be created.
func anyMissing(items []sync.Item, selected map[model.ObjectKey]bool) bool {
	for _, it := range items {
		if selected[it.Key] && it.Presence != live.Present {
			return true
		}
	}
	return false
}

func (at *attempt) namespace(f *sync.PlanFacts) {
	rec, presence := at.engine.o.Observer.Get(model.ObjectKey{Kind: "Namespace", Name: f.Namespace})
	f.NamespacePresence = presence
	// Namespaces are watched without their bodies, so whether the metadata is
	// there is known only from what this agent wrote last.
	f.NamespaceSame = presence == live.Present && at.s.confirmed && !rec.Deleting
}

// intend makes durable what is about to be created and what the accepted
// desired state does not imply by itself, before anything is created.
func (at *attempt) intend(ctx context.Context, plan sync.Plan) error {
	if at.dryRun {
		return nil
	}
	index := make(map[model.ObjectKey]journal.Owned, len(at.s.inventory))
	for _, o := range at.s.inventory {
		index[o.Key] = o
	}
	var intended []journal.Owned
	for _, st := range plan.Steps {
		if st.Action != sync.Create && st.Action != sync.Configure || st.Index < 0 {
			continue
		}
		entry, ok := index[st.Key]
		switch {
		case !ok && at.s.confirmed: // the unconfirmed bundle implies it otherwise
		case ok && entry.Confirmed && (st.Action == sync.Create || entry.UID != st.UID):
		default:
			continue
		}
		intended = append(intended, journal.Owned{Key: st.Key, Version: st.Version})
	}
	if len(intended) == 0 {
		return nil
	}
	var refused error
	f := at.engine.o.Journal.Update(journal.Urgent, func(b *journal.Book) journal.Change {
		c, err := b.BeginSync(at.app.uid, intended)
		refused = err
		return c
	})
	if refused != nil {
		return refused
	}
	return f.Wait(ctx)
}

// learn keeps what the server answered: an object that it stored at our request
// is as desired, by definition.
func (at *attempt) learn() {
	if at.dryRun {
		return
	}
	hashes := make(map[model.ObjectKey]model.Digest, len(at.prepared))
	for _, p := range at.prepared {
		hashes[p.Key] = p.Hash
	}
	for _, w := range at.outcome.Applied {
		rec, presence := at.engine.o.Observer.Get(w.Key)
		if presence == live.Present && rec.UID == w.UID && rec.ResourceVersion == w.ResourceVersion && rec.SpecHash != "" {
			at.app.judged[w.Key] = judgement{desired: hashes[w.Key], live: rec.SpecHash, rules: at.rules, same: true, asked: true}
		}
	}
}

// recordIn records in the book what is known to exist and what is gone.
func (at *attempt) recordIn(b *journal.Book, who string) journal.Change {
	d := at.s.desired
	o := journal.SyncOutcome{Generation: d.Generation, Bundle: d.Bundle, Revision: d.Revision.Commit, StartedAt: at.started, At: at.engine.now(), InitiatedBy: who}
	if op := at.s.op; op != nil && !at.automated {
		o.Operation, o.Reason, o.Rollback = op.ID, op.Spec.Reason, op.Spec.Rollback
	}
	done := make(map[model.ObjectKey]bool, len(at.prepared))
	for _, w := range at.outcome.Applied {
		o.Applied = append(o.Applied, journal.Owned{Key: w.Key, Version: w.Version, UID: w.UID, Confirmed: w.UID != ""})
		done[w.Key] = true
	}
	for _, p := range at.prepared {
		if done[p.Key] || p.Hook != "" || p.Err != nil {
			continue
		}
		rec, presence := at.engine.o.Observer.Get(p.Key)
		if presence == live.Present && rec.TrackingID == model.TrackingID(d.Name, p.Key) {
			o.Applied = append(o.Applied, journal.Owned{Key: p.Key, Version: p.Version, UID: rec.UID, Confirmed: true})
		}
	}
	o.Dropped = append(o.Dropped, at.decision.Dropped...)
	for _, k := range at.outcome.Deleted {
		if _, presence := at.engine.seen(k); presence == live.Absent {
			o.Dropped = append(o.Dropped, k)
		}
	}
	// What was deleted and still exists stays in the inventory until it is gone;
	// it does not keep the generation from being synced.
	waits := len(at.decision.Skip) - len(at.kept)
	for _, s := range at.decision.Skip {
		if s.Reason == sync.SkipDeleting {
			waits--
		}
	}
	failed, _ := at.verdict()
	o.Complete = at.selected == nil && !failed && at.guard == nil && waits == 0
	c, err := b.ConfirmSync(at.app.uid, o)
	if err != nil {
		at.engine.log.Debug("a sync was not recorded", "reason", err)
	}
	return c
}
