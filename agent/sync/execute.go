package sync

import (
	"context"
	"encoding/json"
	"fmt"
	gosync "sync"
	"time"

	"github.com/hawser-dev/hawser/agent/diff"
	"github.com/hawser-dev/hawser/agent/live"
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
	// Body is the object of a step as JSON, as Body makes it. It is called from
	// several goroutines.
	Body func(Step) ([]byte, error)
	// Waiting is called while a wave is waited for, at its beginning and
	// whenever something changes, from the goroutine of Execute; it may be nil.
	Waiting func()
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
	for _, st := range []string{StatusCreated, StatusConfigured, StatusPruned, StatusUnchanged, StatusPruneSkip, StatusSkipped} {
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

var words = map[string]string{StatusCreated: "created", StatusConfigured: "configured", StatusPruned: "pruned",
	StatusUnchanged: "unchanged", StatusPruneSkip: "not pruned", StatusSkipped: "skipped"}

// Execute carries the plan out: wave by wave, stage by stage, the steps of one
// stage side by side. A failed step does not stop its wave, but no later wave
// begins and nothing is pruned. It returns when every request has ended.
func (e *Executor) Execute(ctx context.Context, r Run) Outcome {
	x := &execution{Executor: e, run: r, results: make([]stepResult, len(r.Plan.Steps))}
	steps := r.Plan.Steps
	for from := 0; from < len(steps) && x.stopped() == nil; {
		to := from + 1
		for to < len(steps) && sameStage(steps[from], steps[to]) {
			to++
		}
		x.stage(ctx, from, to)
		lastOfWave := to == len(steps) || steps[to].Wave != steps[from].Wave || isPrune(steps[to])
		if lastOfWave && to < len(steps) && !isPrune(steps[from]) && x.failed == 0 && r.Plan.CheckHealth && !r.DryRun {
			x.awaitHealth(ctx, steps[from].Wave)
		}
		from = to
	}
	return x.outcome()
}

func isPrune(s Step) bool { return s.Action == Prune || s.Action == PruneSkip }

func sameStage(a, b Step) bool {
	return a.Wave == b.Wave && a.Stage == b.Stage && isPrune(a) == isPrune(b)
}

type stepResult struct {
	status  string
	message string
	err     error
	applied *Applied
}

type execution struct {
	*Executor
	run Run

	mu      gosync.Mutex
	results []stepResult
	failed  int
	stop    error
	// blockedBy is the wave whose failure keeps later ones from beginning.
	blocked   bool
	blockedBy int
}

func (x *execution) stopped() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.stop
}

func (x *execution) set(i int, r stepResult) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.results[i] = r
	if r.status == StatusFailed {
		x.failed++
	}
}

func (x *execution) stage(ctx context.Context, from, to int) {
	steps := x.run.Plan.Steps
	if x.failed > 0 && !x.blocked && from > 0 && (steps[from].Wave != steps[from-1].Wave || isPrune(steps[from])) {
		x.blocked, x.blockedBy = true, steps[from-1].Wave
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
			err := fault.New(fault.Precondition, "wave_blocked", "%s: not tried, because wave %d failed", s.Key, x.blockedBy)
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
		x.mu.Lock()
		if x.stop == nil {
			x.stop = err
		}
		x.mu.Unlock()
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
		answer, err = x.Applier.Apply(ctx, Write{
			Kind: s.Kind, Key: s.Key, Version: s.Version, Body: body, Mode: s.Mode, UID: s.UID, ResourceVersion: s.ResourceVersion,
			DryRun: x.run.DryRun, Validate: s.Validate, Operation: x.run.Operation,
		})
		return err
	})
	if x.run.DryRun && s.Action == Create && fault.HasCode(err, "namespace_missing") && x.makesNamespace(s.Key.Namespace) {
		return stepResult{status: StatusCreated, message: "not checked, because its namespace does not exist yet"}, nil
	}
	if err != nil {
		return stepResult{}, err
	}
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
		return x.Applier.Delete(ctx, Removal{Kind: s.Kind, Key: s.Key, UID: s.UID, Propagation: s.Propagation, Operation: x.run.Operation})
	})
	if err != nil {
		return stepResult{}, err
	}
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
	for i, s := range x.run.Plan.Steps {
		r := x.results[i]
		if r.status == "" { // the run was stopped before
			r = stepResult{status: StatusFailed, message: "not tried: " + fault.As(x.stop).Message, err: x.stop}
			o.Failed++
		}
		if s.Index < 0 && !isPrune(s) && r.status == StatusUnchanged {
			continue // a namespace that somebody else made meanwhile
		}
		o.Results = append(o.Results, model.ResourceResult{ObjectKey: s.Key, Status: r.status, Message: r.message})
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
