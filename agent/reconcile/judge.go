package reconcile

import (
	"context"
	"encoding/json"
	"slices"
	gosync "sync"
	"time"

	"github.com/hawser-dev/hawser/agent/diff"
	"github.com/hawser-dev/hawser/agent/journal"
	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/agent/sync"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/manifest"
	"github.com/hawser-dev/hawser/shared/model"
)

// judgement is the result of comparing one desired object with the live one. It
// holds as long as both contents are the same.
type judgement struct {
	desired, live model.Digest
	same          bool
	differences   []model.FieldDifference
	problems      []string
	// failed: it could not be compared; problems says why.
	failed bool
	// rules by which it was compared.
	rules uint64
	// doubtful: only the API server could tell whether it is the same.
	doubtful bool
	// asked: the API server was asked by a dry run, or applying was the test.
	asked bool
	// observed: it was compared as what is somebody else's still.
	observed bool
}

// settled reports whether a judgement that holds needs no other. mayAsk: a
// difference would be put to the API server; doubts are once there is a sync.
func (j judgement) settled(mayAsk, confirmed bool) bool {
	switch {
	case j.failed:
		return false
	case j.asked:
		return true
	case j.doubtful:
		return !confirmed
	}
	return j.same || !mayAsk
}

func (j judgement) holds(p sync.Prepared, rec live.Record) bool {
	return j.desired == p.Hash && j.live == rec.SpecHash && rec.SpecHash != ""
}

// bodies decodes the bundle of an application when the first body is needed. It
// may be used by several goroutines.
type bodies struct {
	app    string
	bundle model.Digest
	// encoded is held from the beginning: the journal lets a bundle go when a newer
	// desired state is accepted, and a run may last longer.
	encoded []byte
	once    gosync.Once
	objs    []manifest.Object
	err     error
}

func (e *Engine) bodiesOf(d *model.Desired) *bodies {
	encoded, _ := e.o.Journal.Bundle(d.Bundle)
	return &bodies{app: d.Name, bundle: d.Bundle, encoded: encoded}
}

func (b *bodies) of(p sync.Prepared) (map[string]any, error) {
	b.once.Do(func() {
		if b.encoded == nil {
			b.err = errBundleLost
			return
		}
		b.objs, b.err = manifest.DecodeBundle(b.encoded, b.bundle)
	})
	if b.err != nil {
		return nil, b.err
	}
	if p.Index >= len(b.objs) {
		return nil, errBundleLost
	}
	return sync.Body(b.app, p.Key, b.objs[p.Index]), nil
}

// hook is the body of a hook in a phase of a run.
func (b *bodies) hook(p sync.Prepared, key model.ObjectKey, run string, phase sync.Phase) (map[string]any, error) {
	if _, err := b.of(p); err != nil {
		return nil, err
	}
	return sync.HookBody(b.app, key, b.objs[p.Index], run, phase), nil
}

// compare judges the touched objects, or all, of which the judgement does not
// hold any more.
func (e *Engine) compare(ctx context.Context, a *app, s snapshot, all bool, touched map[model.ObjectKey]bool, b *bodies) {
	for _, p := range a.objects {
		if !all && !touched[p.Key] || p.Hook != "" {
			continue
		}
		e.judge(ctx, a, s, p, b)
	}
}

func (e *Engine) judge(ctx context.Context, a *app, s snapshot, p sync.Prepared, b *bodies) {
	rec, presence := e.o.Observer.Get(p.Key)
	if presence != live.Present {
		delete(a.judged, p.Key)
		return
	}
	if s.desired.Observe {
		e.judgeObserved(ctx, a, s, p, rec, b)
		return
	}
	old, ok := a.judged[p.Key]
	mayAsk := !selfHeals(s) && (s.confirmed || !s.desired.Spec.SyncPolicy.AutomatedEnabled())
	_, rules := e.rules.now()
	if ok && !old.observed && old.holds(p, rec) && old.rules == rules && old.settled(mayAsk, s.confirmed) {
		return
	}
	j := judgement{desired: p.Hash, live: rec.SpecHash, rules: rules}
	if rec.Body == nil {
		// Nobody tracks it yet: our annotation is what it lacks.
		id, _ := json.Marshal(model.TrackingID(s.desired.Name, p.Key))
		j.differences = []model.FieldDifference{{Path: `.metadata.annotations["` + model.AnnotationTrackingID + `"]`, Desired: string(id)}}
		a.judged[p.Key] = j
		return
	}
	body, err := b.of(p)
	if err != nil {
		j.failed, j.problems = true, []string{fault.As(err).Message}
		a.judged[p.Key] = j
		return
	}
	in, rules := e.comparison(s, p, body, rec)
	j.rules = rules
	apiVersion, _ := body["apiVersion"].(string)
	e.learnSchema(ctx, apiVersion, p.Key.GroupKind())
	res, err := diff.Compare(in)
	if err != nil {
		j.failed, j.problems = true, []string{fault.As(err).Message}
		a.judged[p.Key] = j
		return
	}
	j.same, j.differences, j.problems = res.Same(), res.Differences, res.Problems
	// A difference is put to the API server before it is called one, but where
	// applying is itself the test. What only the server can tell is always asked.
	presumed := res.Total > 0 && res.Presumed == res.Total
	j.doubtful = (res.Same() && !res.Certain() || presumed) && sameOwner(rec, s.desired.Name)
	if (!j.same && mayAsk || j.doubtful && s.confirmed) && sameOwner(rec, s.desired.Name) {
		e.ask(ctx, &j, s, p, rec, in)
	}
	if res.RuleFailed && !j.same && !j.asked {
		j.failed = true // the difference may be one that the rule ignores
	}
	a.judged[p.Key] = j
}

// selfHeals reports whether applying is itself the test.
func selfHeals(s snapshot) bool {
	p := s.desired.Spec.SyncPolicy
	return p.AutomatedEnabled() && p.Automated.SelfHeal
}

func sameOwner(rec live.Record, app string) bool {
	owner, _, ok := model.ParseTrackingID(rec.TrackingID)
	return ok && owner == app
}

// ask lets the API server decide by a dry run whether applying would change
// anything. When it cannot say, as when a webhook refuses dry runs, the
// comparison of fields stands.
func (e *Engine) ask(ctx context.Context, j *judgement, s snapshot, p sync.Prepared, rec live.Record, in diff.Input) {
	j.asked = true
	kind, err := e.o.Observer.Kind(p.Key.GroupKind())
	if err != nil {
		return
	}
	answer, err := e.o.Applier.Apply(ctx, sync.Write{Kind: kind, Key: p.Key, Version: p.Version, Body: manifest.AppendJSON(nil, in.Desired),
		DryRun: true, Migrate: in.TakenOver, Validate: !p.Option("Validate", "false"), Operation: "compare-" + string(s.desired.App)})
	if err != nil {
		e.log.Debug("a dry run did not decide", "object", p.Key, "error", err)
		if j.asked = ctx.Err() == nil && !fault.As(err).Kind.Retryable(); !j.asked {
			e.askAgain(s.desired.App, p.Key)
		}
		return
	}
	if rec.Version != p.Version {
		if in.Live, err = e.o.Applier.Get(ctx, kind, p.Version, p.Key); err != nil {
			j.asked = false
			e.askAgain(s.desired.App, p.Key)
			return
		}
		in.Managers = nil // those of this version
	}
	res, err := diff.CompareAnswer(in, answer)
	if err != nil || res.OtherVersion {
		return
	}
	j.same, j.differences = res.Same(), res.Differences
}

// askPause is how long a question waits that the API server could not answer.
const askPause = 15 * time.Second

// askAgain has an object looked at again in a while.
func (e *Engine) askAgain(uid model.AppUID, key model.ObjectKey) {
	time.AfterFunc(askPause, func() {
		e.mu.Lock()
		a := e.apps[uid]
		e.mu.Unlock()
		if a != nil {
			a.touch(key)
			e.queue.add(uid)
		}
	})
}

// owned are the objects of a desired bundle as inventory entries without uid. It
// holds one object at a time in memory: it is also asked about a bundle that was
// too much for the agent.
func (e *Engine) owned(d *model.Desired) []journal.Owned {
	encoded, _ := e.o.Journal.Bundle(d.Bundle)
	lines, err := manifest.BundleLines(encoded, d.Bundle)
	if err != nil {
		return nil
	}
	objs := make([]manifest.Object, 0, len(lines))
	for _, line := range lines {
		o, err := manifest.DecodeObject(line)
		if err != nil {
			return nil
		}
		if o.Key.GroupKind() != kindCRD { // which says where its objects are
			o.Body = map[string]any{"metadata": o.Body["metadata"]}
		}
		objs = append(objs, o)
	}
	prepared := e.refuseOwn(sync.Prepare(targetOf(d, e.o.ClusterName), objs, sync.ScopeFrom(e.o.Observer.Kind)))
	return ownedOf(prepared)
}

func ownedOf(prepared []sync.Prepared) []journal.Owned {
	out := make([]journal.Owned, 0, len(prepared))
	for _, p := range prepared {
		if p.Hook == "" && p.Err == nil {
			out = append(out, journal.Owned{Key: p.Key, Version: p.Version})
		}
	}
	return out
}

// seen is an object as it is observed. Of a kind that complete discovery does not
// name there is none: its objects went with the CRD, or never were.
func (e *Engine) seen(k model.ObjectKey) (live.Record, live.Presence) {
	rec, presence := e.o.Observer.Get(k)
	if presence == live.Unknown {
		if _, err := e.o.Observer.Kind(k.GroupKind()); isKindUnknown(err) {
			presence = live.Absent
		}
	}
	return rec, presence
}

// liveObject is what prune decisions know of an object.
func (e *Engine) liveObject(k model.ObjectKey) sync.LiveObject {
	rec, presence := e.seen(k)
	l := sync.LiveObject{Presence: presence}
	if presence == live.Present {
		l.UID, l.TrackingID, l.Deleting = rec.UID, rec.TrackingID, rec.Deleting
		l.NotApplied = len(rec.Managers) > 0 && !slices.ContainsFunc(rec.Managers, sync.Ours)
	}
	return l
}

// ownedObject is liveObject with the sync options that apply to it: those of the
// application and those in the object's body, which win.
func (e *Engine) ownedObject(k model.ObjectKey, appOptions []string) sync.LiveObject {
	l := e.liveObject(k)
	if l.Presence != live.Present {
		return l
	}
	l.SyncOptions = asList(e.optionsOf(k, appOptions))
	return l
}

// optionsOf are the sync options that apply to a live object. A chart's "keep" is
// one.
func (e *Engine) optionsOf(k model.ObjectKey, appOptions []string) map[string]string {
	rec, _ := e.o.Observer.Get(k)
	var o manifest.Object
	if rec.Body != nil {
		if got, err := manifest.DecodeObject(rec.Body); err == nil {
			o = got
		}
	}
	options := manifest.SyncOptions(appOptions, o)
	if sync.KeptByHelm(o) {
		options["Prune"], options["Delete"] = "false", "false"
	}
	return options
}

func asList(options map[string]string) []string {
	out := make([]string, 0, len(options))
	for name, value := range options {
		out = append(out, name+"="+value)
	}
	return out
}

func syncOptions(d *model.Desired) []string {
	if d == nil || d.Spec.SyncPolicy == nil {
		return nil
	}
	return d.Spec.SyncPolicy.SyncOptions
}

// annotation reads one annotation of a live body, or its alias.
func annotation(body []byte, name string) string {
	if body == nil {
		return ""
	}
	o, err := manifest.DecodeObject(body)
	if err != nil {
		return ""
	}
	return o.Annotation(name)
}

// drifted are the objects that are known to differ and may be written, with the
// content that a repair would answer.
func (e *Engine) drifted(a *app, s snapshot) map[model.ObjectKey]model.Digest {
	out := map[model.ObjectKey]model.Digest{}
	for _, p := range a.objects {
		if p.Hook != "" || p.Err != nil {
			continue
		}
		rec, presence := e.o.Observer.Get(p.Key)
		switch presence {
		case live.Absent:
			if _, err := e.o.Observer.Kind(p.Key.GroupKind()); err == nil {
				out[p.Key] = ""
			}
		case live.Present:
			j, ok := a.judged[p.Key]
			if ok && !j.observed && !j.same && j.holds(p, rec) && !rec.Deleting && !j.failed && (sameOwner(rec, s.desired.Name) || rec.TrackingID == "") {
				out[p.Key] = rec.SpecHash
			}
		}
	}
	return out
}
