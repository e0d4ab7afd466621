package sync

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	gosync "sync"
	"time"

	"github.com/hawser-dev/hawser/agent/diff"
	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/shared/failpoint"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/manifest"
	"github.com/hawser-dev/hawser/shared/model"
)

// Executor carries plans out. One serves the whole agent; its methods may be
// called from several goroutines.
type Executor struct {
	Applier  Applier
	Live     Live
	Governor *Governor
	// Fence is asked before each effect and must answer from memory: an error
	// means that another agent may act for this cluster, and ends the run.
	Fence func() error
	// CRDTimeout bounds the wait for a CRD to be established and served,
	// WaveTimeout that for a wave to be healthy. Zero: the defaults.
	CRDTimeout, WaveTimeout time.Duration

	namespaces keyedLocks
}

const (
	defaultCRDTimeout  = time.Minute
	defaultWaveTimeout = 10 * time.Minute
)

// Run is one plan to be carried out.
type Run struct {
	Plan Plan
	// Operation explains the writes in the audit log.
	Operation string
	// DryRun sends every write with dryRun=All, and deletes nothing.
	DryRun bool
	// Body is the object of a step as JSON, as Body or HookBody makes it. It is
	// called from several goroutines.
	Body func(Step) ([]byte, error)
	// Waiting is called while a wave is waited for, at its beginning and
	// whenever something changes, from the goroutine of Execute, with what is
	// waited for in words; it may be nil.
	Waiting func(what string)
	// Yield is asked between stages and while a wave is waited for; an error ends
	// the run. hooks tells that a hook is under way, which should not be left
	// alone lightly. It may be nil.
	Yield func(hooks bool) error
	// Hooks remembers what becomes of hooks. It may be nil when there are none.
	Hooks HookMemory
}

// HookMemory is the journal, as far as hooks need it. Its methods do not wait,
// except Settle.
type HookMemory interface {
	// Made: the object of a hook exists. version is its API version without the
	// group.
	Made(hook HookStart, version string)
	// Ended: a hook has ended.
	Ended(HookEnd)
	// Settle waits until what was told is durable.
	Settle(context.Context) error
}

// Status values of model.ResourceResult that an Executor gives.
const (
	StatusCreated     = "Created"
	StatusConfigured  = "Configured"
	StatusUnchanged   = "Unchanged"
	StatusPruned      = "Pruned"
	StatusPruneSkip   = "PruneSkipped"
	StatusDeleted     = "Deleted"
	StatusOrphaned    = "Orphaned"
	StatusSucceeded   = "Succeeded" // a hook
	StatusFailed      = "Failed"
	StatusSkipped     = "Skipped"
	maxResultMessages = 300
)

// Applied is an object that was written.
type Applied struct {
	Key             model.ObjectKey
	Version         string
	UID             string
	ResourceVersion string
	// Changed is false when the server answered the object as it was known
	// before: then our comparison saw a difference where there is none.
	Changed bool
}

// Outcome is what became of a run.
type Outcome struct {
	// Results are in the order of the plan's steps.
	Results []model.ResourceResult
	Applied []Applied
	// Deleted are the objects whose deletion the server has accepted. They may
	// still exist for a while.
	Deleted []model.ObjectKey
	// Errs are the errors of the failed steps, in the plan's order.
	Errs []error
	// Failed counts the steps that failed or were not tried.
	Failed int
	// Hooks are those that ended in this run, before an interruption or now;
	// Running those that were left under way because the run was stopped.
	Hooks   []HookEnd
	Running []RunningHook
	// Stopped says why the run ended before its end: the fence, or ctx.
	Stopped error
}

// Message sums the outcome up for people.
func (o Outcome) Message() string {
	count := map[string]int{}
	first := ""
	for _, r := range o.Results {
		count[r.Status]++
		if r.Status == StatusFailed && first == "" {
			first = r.Message
		}
	}
	if o.Failed > 0 {
		if o.Failed == 1 {
			return first
		}
		return fmt.Sprintf("%d of %d objects failed; the first: %s", o.Failed, len(o.Results), first)
	}
	s := ""
	for _, st := range []string{StatusSucceeded, StatusCreated, StatusConfigured, StatusPruned, StatusUnchanged, StatusPruneSkip, StatusSkipped} {
		if n := count[st]; n > 0 {
			if s != "" {
				s += ", "
			}
			s += fmt.Sprintf("%d %s", n, words[st])
		}
	}
	if s == "" {
		return "nothing to do"
	}
	return s
}

var words = map[string]string{StatusSucceeded: "hooks succeeded", StatusCreated: "created", StatusConfigured: "configured", StatusPruned: "pruned",
	StatusUnchanged: "unchanged", StatusPruneSkip: "not pruned", StatusSkipped: "skipped"}

// Execute carries the plan out: phase by phase, wave by wave, stage by stage, the
// steps of one stage side by side. A failed step does not stop its wave, but no
// later wave begins and nothing is pruned; then the hooks of SyncFail run. It
// returns when every request has ended.
func (e *Executor) Execute(ctx context.Context, r Run) Outcome {
	steps := r.Plan.Steps
	if len(r.Plan.OnFailure) > 0 {
		steps = append(slices.Clone(steps), r.Plan.OnFailure...)
	}
	x := &execution{Executor: e, run: r, steps: steps, results: make([]stepResult, len(steps))}
	main := len(r.Plan.Steps)
	x.carryOut(ctx, 0, main)
	if x.failed > 0 && x.stopped() == nil && !r.DryRun {
		x.begun, x.failedBefore, x.blocked = len(steps), x.failed, false
		x.carryOut(ctx, main, len(steps))
	} else {
		x.begun = main
	}
	if x.stopped() == nil && !r.DryRun {
		x.tidyHooks(ctx)
	}
	if err := context.Cause(ctx); err != nil && x.failed > 0 {
		x.end(err) // what failed last failed because of it
	}
	return x.outcome()
}

// carryOut deals with the steps from … to.
func (x *execution) carryOut(ctx context.Context, from, end int) {
	steps := x.steps[:end]
	waveFrom := from
	for from < end && x.stopped() == nil {
		to := from + 1
		for to < end && sameStage(steps[from], steps[to]) {
			to++
		}
		// Before a hook is started it counts as under way, so that nothing cuts it off.
		if !x.mayGoOn(x.hooksUnderWay()) || startsHooks(steps[from:to]) && !x.mayGoOn(true) {
			return
		}
		x.stage(ctx, from, to)
		failpoint.Hit("sync.stage.ended")
		if to == end || !sameWave(steps[from], steps[to]) {
			x.endWave(ctx, waveFrom, to, to < end)
			failpoint.Hit("sync.wave.ended")
			waveFrom = to
		}
		from = to
	}
}

// endWave waits for what has to be over before the next wave begins, or the run
// ends: the end of its hooks and, when something follows, the health of its
// objects, or that they are gone.
func (x *execution) endWave(ctx context.Context, from, to int, more bool) {
	if x.run.DryRun || x.stopped() != nil {
		return
	}
	if isPrune(x.steps[from]) {
		if more && isPrune(x.steps[to]) && x.failed == x.failedBefore {
			x.awaitGone(ctx, from, to)
		}
		return
	}
	x.awaitHooks(ctx, from, to)
	if more && x.failed == x.failedBefore && x.run.Plan.CheckHealth && x.stopped() == nil {
		x.awaitHealth(ctx, from, to)
	}
}

func startsHooks(steps []Step) bool {
	return slices.ContainsFunc(steps, func(s Step) bool { return s.Action == RunHook })
}

func (x *execution) hooksUnderWay() bool {
	return slices.ContainsFunc(x.results, func(r stepResult) bool { return r.hook != nil && !r.hook.ended })
}

// mayGoOn asks whether the run is to go on.
func (x *execution) mayGoOn(hooks bool) bool {
	if x.run.Yield == nil {
		return true
	}
	err := x.run.Yield(hooks)
	if err != nil {
		x.end(err)
	}
	return err == nil
}

func isPrune(s Step) bool { return s.Action == Prune || s.Action == PruneSkip }

func sameWave(a, b Step) bool {
	return a.Phase == b.Phase && a.Wave == b.Wave && isPrune(a) == isPrune(b) && a.Last == b.Last
}

func sameStage(a, b Step) bool { return sameWave(a, b) && a.Stage == b.Stage }

type stepResult struct {
	status  string
	message string
	err     error
	applied *Applied
	hook    *hookState
}

type execution struct {
	*Executor
	run   Run
	steps []Step // the plan's, then those of OnFailure
	// begun is the end of the steps that count.
	begun int

	mu      gosync.Mutex
	results []stepResult
	failed  int
	// failedBefore is what had failed when the present part of the plan began.
	failedBefore int
	stop         error
	// blockedBy is the wave whose failure keeps later ones from beginning.
	blocked   bool
	blockedBy string
}

func (x *execution) stopped() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.stop
}

// end stops the run; the first reason stands.
func (x *execution) end(err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.stop == nil {
		x.stop = err
	}
}

func (x *execution) set(i int, r stepResult) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if r.status == StatusFailed && x.results[i].status != StatusFailed {
		x.failed++
	}
	x.results[i] = r
}

func waveName(s Step) string {
	if isPrune(s) {
		return "the prune of wave " + fmt.Sprint(s.Wave)
	}
	if s.Phase == PhaseSync || s.Phase == "" {
		return "wave " + fmt.Sprint(s.Wave)
	}
	return fmt.Sprintf("wave %d of %s", s.Wave, s.Phase)
}

func (x *execution) stage(ctx context.Context, from, to int) {
	steps := x.steps
	if x.failed > x.failedBefore && !x.blocked && !x.run.DryRun && from > 0 && !sameWave(steps[from], steps[from-1]) {
		x.blocked, x.blockedBy = true, waveName(steps[from-1])
	}
	var wg gosync.WaitGroup
	for i := from; i < to; i++ {
		s := steps[i]
		switch {
		case s.Action == Unchanged:
			x.set(i, stepResult{status: StatusUnchanged})
		case s.Action == Skip:
			x.set(i, stepResult{status: StatusSkipped, message: s.Reason})
		case s.Action == PruneSkip:
			x.set(i, stepResult{status: StatusPruneSkip, message: s.Reason})
		case s.Action == Refuse:
			x.set(i, stepResult{status: StatusFailed, message: s.Err.Message, err: s.Err})
		case x.blocked && s.Action == Prune:
			x.set(i, stepResult{status: StatusPruneSkip, message: "not pruned, because other objects failed"})
		case x.blocked:
			err := fault.New(fault.Precondition, "wave_blocked", "%s: not tried, because %s failed", s.Key, x.blockedBy)
			x.set(i, stepResult{status: StatusFailed, message: err.Message, err: err})
		case to-from == 1:
			x.set(i, x.step(ctx, s))
		default:
			wg.Go(func() { x.set(i, x.step(ctx, s)) })
		}
	}
	wg.Wait()
}

// fence stops the whole run when effects are no longer allowed.
func (x *execution) fence(ctx context.Context) error {
	err := context.Cause(ctx)
	if err == nil {
		err = x.Fence()
	}
	if err != nil {
		x.end(err)
	}
	return err
}

func (x *execution) step(ctx context.Context, s Step) stepResult {
	if err := x.fence(ctx); err != nil {
		return stepResult{status: StatusFailed, message: "not tried: " + fault.As(err).Message, err: err}
	}
	var r stepResult
	var err error
	switch {
	case s.Action == Prune:
		r, err = x.prune(ctx, s)
	case s.Action == RunHook:
		r, err = x.hook(ctx, s)
	case s.Index < 0:
		r, err = x.namespace(ctx, s)
	default:
		r, err = x.apply(ctx, s)
	}
	if err != nil {
		return stepResult{status: StatusFailed, message: clip(fault.As(err).Message, maxResultMessages), err: err}
	}
	return r
}

func (x *execution) apply(ctx context.Context, s Step) (stepResult, error) {
	if s.KindLater {
		if x.run.DryRun {
			return stepResult{status: StatusCreated, message: "not checked, because its kind does not exist yet"}, nil
		}
		kind, err := x.awaitKind(ctx, s.Key)
		if err != nil {
			return stepResult{}, err
		}
		s.Kind = kind
	}
	body, err := x.run.Body(s)
	if err != nil {
		return stepResult{}, err
	}
	var answer []byte
	err = x.Governor.Do(ctx, func() (err error) {
		if err = x.fence(ctx); err != nil {
			return err
		}
		failpoint.Hit("sync.apply.before")
		answer, err = x.Applier.Apply(ctx, Write{
			Kind: s.Kind, Key: s.Key, Version: s.Version, Body: body, Mode: s.Mode, UID: s.UID, ResourceVersion: s.ResourceVersion,
			Force: s.Force, Migrate: s.Migrate, DryRun: x.run.DryRun, Validate: s.Validate, Operation: x.run.Operation,
		})
		return err
	})
	if x.run.DryRun && s.Action == Create && fault.HasCode(err, "namespace_missing") && x.makesNamespace(s.Key.Namespace) {
		return stepResult{status: StatusCreated, message: "not checked, because its namespace does not exist yet"}, nil
	}
	if err != nil {
		return stepResult{}, err
	}
	failpoint.Hit("sync.apply.after")
	uid, rv := identity(answer)
	a := &Applied{Key: s.Key, Version: s.Version, UID: uid, ResourceVersion: rv, Changed: rv != s.ResourceVersion || uid != s.UID}
	r := stepResult{status: StatusConfigured, applied: a}
	switch {
	case s.Action == Create:
		r.status = StatusCreated
	case !a.Changed:
		r.status = StatusUnchanged
	}
	if x.run.DryRun {
		// A dry run answers the present resourceVersion whatever it would change,
		// so the content decides.
		if s.Action != Create {
			r.status = StatusConfigured
			if x.asLive(s.Key, answer) {
				r.status = StatusUnchanged
			}
		}
		r.applied = nil
		return r, nil
	}
	if err := x.Live.Saw(answer); err != nil {
		r.message = "" // the watch brings it
	}
	if isCRD(s.Key.GroupKind()) {
		if err := x.awaitEstablished(ctx, s.Key); err != nil {
			return stepResult{}, err
		}
	}
	return r, nil
}

// asLive reports whether a dry run's answer is what is in the cluster already.
func (x *execution) asLive(key model.ObjectKey, answer []byte) bool {
	rec, presence := x.Live.Get(key)
	if presence != live.Present || rec.Body == nil {
		return false
	}
	same, err := diff.Equal(answer, rec.Body)
	return err == nil && same
}

func (x *execution) makesNamespace(name string) bool {
	for _, s := range x.run.Plan.Steps {
		if s.Key == namespaceKey(name) && (s.Action == Create || s.Action == Configure) {
			return true
		}
	}
	return false
}

// namespace makes the application's namespace. Several applications may want
// the same one at the same time; it is made once. It carries no tracking
// annotation: deleting the application leaves it.
func (x *execution) namespace(ctx context.Context, s Step) (stepResult, error) {
	meta := map[string]any{"name": s.Key.Name}
	manager := model.FieldManager + "-namespaces"
	if m := x.run.Plan.NamespaceMetadata; m != nil {
		// Each application has its own field manager, so that two which share a
		// namespace do not take each other's labels away.
		manager = model.FieldManager + "-namespaces-" + x.run.Plan.App
		addStrings(meta, "labels", m.Labels)
		addStrings(meta, "annotations", m.Annotations)
	}
	unlock := x.namespaces.lock(s.Key.Name)
	defer unlock()
	if _, p := x.Live.Get(s.Key); p == live.Present && s.Action == Create && len(meta) == 1 {
		return stepResult{status: StatusUnchanged}, nil
	}
	body := manifest.AppendJSON(nil, map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": meta})
	var answer []byte
	err := x.Governor.Do(ctx, func() (err error) {
		if err = x.fence(ctx); err != nil {
			return err
		}
		answer, err = x.Applier.Apply(ctx, Write{Kind: s.Kind, Key: s.Key, Version: s.Version, Body: body, DryRun: x.run.DryRun,
			Validate: true, Manager: manager, Operation: x.run.Operation})
		return err
	})
	if err != nil {
		return stepResult{}, err
	}
	if !x.run.DryRun {
		_ = x.Live.Saw(answer) // the watch brings it otherwise
	}
	if s.Action == Create {
		return stepResult{status: StatusCreated}, nil
	}
	return stepResult{status: StatusConfigured}, nil
}

func addStrings(meta map[string]any, field string, m map[string]string) {
	if len(m) == 0 {
		return
	}
	out := make(map[string]any, len(m))
	for k, v := range m {
		out[k] = v
	}
	meta[field] = out
}

func (x *execution) prune(ctx context.Context, s Step) (stepResult, error) {
	if x.run.DryRun {
		return stepResult{status: StatusPruned}, nil
	}
	err := x.Governor.Do(ctx, func() error {
		if err := x.fence(ctx); err != nil {
			return err
		}
		failpoint.Hit("sync.prune.before")
		return x.Applier.Delete(ctx, Removal{Kind: s.Kind, Key: s.Key, UID: s.UID, Propagation: s.Propagation, Operation: x.run.Operation})
	})
	if err != nil {
		return stepResult{}, err
	}
	failpoint.Hit("sync.prune.after")
	return stepResult{status: StatusPruned}, nil
}

func identity(body []byte) (uid, resourceVersion string) {
	var o struct {
		Metadata struct {
			UID             string `json:"uid"`
			ResourceVersion string `json:"resourceVersion"`
		} `json:"metadata"`
	}
	if json.Unmarshal(body, &o) != nil {
		return "", ""
	}
	return o.Metadata.UID, o.Metadata.ResourceVersion
}

func (x *execution) outcome() Outcome {
	o := Outcome{Stopped: x.stop, Failed: x.failed}
	for i, s := range x.steps[:x.begun] {
		r := x.results[i]
		if r.status == "" { // the run was stopped before
			r.status, r.message, r.err = StatusFailed, "not tried: "+fault.As(x.stop).Message, x.stop
			if r.hook != nil {
				r.message = "it was not waited for: " + fault.As(x.stop).Message
			}
			o.Failed++
		}
		if s.Index < 0 && !isPrune(s) && r.status == StatusUnchanged {
			continue // a namespace that somebody else made meanwhile
		}
		res := model.ResourceResult{ObjectKey: s.Key, Status: r.status, Message: r.message, Phase: string(s.Phase), Wave: s.Wave}
		if r.hook != nil {
			res.HookPhase = r.hook.phase()
			if r.hook.ended {
				o.Hooks = append(o.Hooks, HookEnd{HookID: s.hookID(), UID: r.hook.uid, Succeeded: r.status == StatusSucceeded, Message: r.message})
			} else {
				o.Running = append(o.Running, RunningHook{HookID: s.hookID(), Kind: r.hook.kind, UID: r.hook.uid})
			}
		}
		o.Results = append(o.Results, res)
		if r.err != nil {
			o.Errs = append(o.Errs, r.err)
		}
		if r.applied != nil {
			o.Applied = append(o.Applied, *r.applied)
		}
		if r.status == StatusPruned && !x.run.DryRun {
			o.Deleted = append(o.Deleted, s.Key)
		}
	}
	return o
}

// keyedLocks are locks by name that exist while somebody holds or wants them.
type keyedLocks struct {
	mu gosync.Mutex
	m  map[string]*keyedLock
}

type keyedLock struct {
	gosync.Mutex
	users int
}

func (l *keyedLocks) lock(name string) (unlock func()) {
	l.mu.Lock()
	if l.m == nil {
		l.m = map[string]*keyedLock{}
	}
	k := l.m[name]
	if k == nil {
		k = &keyedLock{}
		l.m[name] = k
	}
	k.users++
	l.mu.Unlock()
	k.Lock()
	return func() {
		k.Unlock()
		l.mu.Lock()
		defer l.mu.Unlock()
		if k.users--; k.users == 0 {
			delete(l.m, name)
		}
	}
}
