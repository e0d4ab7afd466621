package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hawser-dev/hawser/agent/diff"
	"github.com/hawser-dev/hawser/agent/journal"
	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/agent/sync"
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
	automated bool
	prune     bool
	confirm   *int
	dryRun    bool
	options   []string // of the operation, beside the application's
	selected  map[model.ObjectKey]bool

	prepared []sync.Prepared
	started  time.Time
	decision sync.PruneDecision
	guard    *sync.Guard
	kept     []model.ObjectKey // to be pruned, deliberately not
	outcome  sync.Outcome
	refusals []policy.Refusal
}

// autoSync runs the automated sync of a generation.
func (e *Engine) autoSync(ctx context.Context, a *app, s snapshot, b *bodies) {
	ctx, end := a.begin(ctx, runAuto, "")
	defer end()
	at := &attempt{engine: e, app: a, s: s, bodies: b, automated: true, prune: s.desired.Spec.SyncPolicy.Automated.Prune,
		operation: fmt.Sprintf("auto-%s-g%d", a.uid, s.desired.Generation)}
	err := at.run(ctx)
	if err != nil {
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
		return joined(c, mc)
	})
	if failed {
		e.log.Warn("automated sync failed", "application", s.desired.Name, "generation", s.desired.Generation, "reason", message)
	} else {
		e.log.Info("automated sync done", "application", s.desired.Name, "generation", s.desired.Generation, "result", at.outcome.Message())
	}
	a.conditions, a.healConditions = at.conditions(), nil
}

// heal repairs the objects whose time has come.
func (e *Engine) heal(ctx context.Context, a *app, s snapshot, b *bodies, drift map[model.ObjectKey]model.Digest) {
	ctx, end := a.begin(ctx, runHeal, "")
	defer end()
	now := e.now()
	selected := map[model.ObjectKey]bool{}
	for k, content := range drift {
		if !healAt(a.heals[k], content, now).After(now) {
			selected[k] = true
			a.heals[k] = healed(a.heals[k], content, now)
		}
	}
	at := &attempt{engine: e, app: a, s: s, bodies: b, automated: true, selected: selected,
		operation: fmt.Sprintf("heal-%s-g%d", a.uid, s.desired.Generation)}
	err := at.run(ctx)
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
	ctx, end := a.begin(ctx, runOperation, op.ID)
	defer end()
	e.o.Journal.Update(journal.Lazy, func(book *journal.Book) journal.Change {
		c, err := book.StartOperation(a.uid, op.ID, e.now())
		if err != nil {
			e.log.Debug("the start of an operation was not recorded", "reason", err)
		}
		return c
	})
	at := &attempt{engine: e, app: a, s: s, bodies: b, prune: op.Spec.Prune, confirm: op.Spec.ConfirmPrune, dryRun: op.Spec.DryRun,
		options: op.Spec.SyncOptions, operation: string(op.ID)}
	if want := op.Spec.Revision; want != "" && !strings.HasPrefix(s.desired.Revision.Commit, want) {
		e.finish(a, op, model.PhaseSuperseded, fmt.Sprintf("the application has moved on to revision %s", short(s.desired.Revision.Commit)), nil, nil)
		return
	}
	err := at.run(ctx)
	switch {
	case errors.Is(err, errTerminated):
		e.finish(a, op, model.PhaseTerminated, "ended on request", at.result(), at.record(op))
		return
	case err != nil:
		e.afterInterruption(a, err)
		return
	}
	failed, message := at.verdict()
	phase := model.PhaseSucceeded
	if failed {
		phase = model.PhaseFailed
	}
	if at.dryRun {
		e.finish(a, op, phase, message, at.result(), nil)
		return
	}
	a.conditions = at.conditions()
	e.finish(a, op, phase, message, at.result(), at.record(op))
}

func (at *attempt) record(op *journal.Operation) func(*journal.Book) journal.Change {
	if at.dryRun {
		return nil
	}
	who := op.InitiatedBy
	if who == "" {
		who = "operation " + string(op.ID)
	}
	return func(b *journal.Book) journal.Change { return at.recordIn(b, who) }
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

// run decides and acts. An error means that it was interrupted; everything else
// is in the fields.
func (at *attempt) run(ctx context.Context) error {
	at.started = at.engine.now()
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
	at.outcome = at.engine.exec.Execute(ctx, sync.Run{Plan: plan, Operation: at.operation, DryRun: at.dryRun, Body: at.body, Waiting: at.waiting(ctx)})
	at.learn()
	return at.outcome.Stopped
}

// publishEvery paces the status while a run waits for a wave.
const publishEvery = 200 * time.Millisecond

// waiting keeps the status honest while a run takes long: what is shown must
// not be older than it says.
func (at *attempt) waiting(ctx context.Context) func() {
	e := at.engine
	return paced(e.now, at.app.hasMoved,
		func(d time.Duration) { time.AfterFunc(d, e.news.publish) }, // which asks again
		func() { e.publish(ctx, at.app, e.snapshot(at.app.uid), nil) })
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
			body, err := at.bodies.of(p)
			if err != nil {
				return nil, err
			}
			if rules := at.s.desired.Spec.IgnoreDifferences; len(rules) > 0 && p.Option("RespectIgnoreDifferences", "true") {
				if rec, presence := at.engine.o.Observer.Get(p.Key); presence == live.Present && rec.Body != nil {
					body = diff.Respect(body, rec.Body, rec.Managers, rules)
				}
			}
			return manifest.AppendJSON(nil, body), nil
		}
	}
	return nil, errBundleLost
}

func (at *attempt) plan(ctx context.Context) sync.Plan {
	e, d := at.engine, at.s.desired
	f := sync.PlanFacts{App: d.Name, ClusterName: targetOf(d, e.o.ClusterName).ClusterName, Namespace: d.Spec.Namespace, Selected: at.selected}
	keys := make([]model.ObjectKey, 0, len(at.prepared))
	for _, p := range at.prepared {
		it := sync.Item{Prepared: p}
		it.Kind, it.KindErr = e.o.Observer.Kind(p.Key.GroupKind())
		rec, presence := e.o.Observer.Get(p.Key)
		it.Presence = presence
		if presence == live.Present {
			it.UID, it.ResourceVersion, it.TrackingID, it.Deleting = rec.UID, rec.ResourceVersion, rec.TrackingID, rec.Deleting
			j, ok := at.app.judged[p.Key]
			if !ok || !j.holds(p, rec) {
				if p.Hook == "" {
					e.judge(ctx, at.app, at.s, p, at.bodies)
				}
				j = at.app.judged[p.Key]
			}
			it.Same = j.same && j.desired == p.Hash && rec.TrackingID != ""
		}
		f.Items = append(f.Items, it)
		keys = append(keys, p.Key)
	}
	options := map[string]string{}
	if p := d.Spec.SyncPolicy; p != nil {
		for _, o := range append(append([]string{}, p.SyncOptions...), at.options...) {
			name, value, _ := strings.Cut(o, "=")
			options[strings.TrimSpace(name)] = strings.TrimSpace(value)
		}
		f.NamespaceMetadata = p.ManagedNamespaceMetadata
	} else {
		for _, o := range at.options {
			name, value, _ := strings.Cut(o, "=")
			options[strings.TrimSpace(name)] = strings.TrimSpace(value)
		}
	}
	f.CreateNamespace = strings.EqualFold(options["CreateNamespace"], "true")
	if f.CreateNamespace && f.Namespace != "" && (at.selected == nil || anyMissing(f.Items, at.selected)) {
		at.namespace(&f)
	} else {
		f.CreateNamespace = false
	}
	if at.selected == nil {
		at.decidePrune(keys, options, &f)
	}
	return sync.BuildPlan(f)
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
			at.app.judged[w.Key] = judgement{desired: hashes[w.Key], live: rec.SpecHash, same: true, asked: true}
		}
	}
}

// recordIn records in the book what is known to exist and what is gone.
func (at *attempt) recordIn(b *journal.Book, who string) journal.Change {
	d := at.s.desired
	o := journal.SyncOutcome{Generation: d.Generation, Bundle: d.Bundle, Revision: d.Revision.Commit, StartedAt: at.started, At: at.engine.now(), InitiatedBy: who}
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
		if _, presence := at.engine.o.Observer.Get(k); presence == live.Absent {
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
