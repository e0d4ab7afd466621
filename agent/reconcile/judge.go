package reconcile

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	gosync "sync"

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
	// asked: the API server was asked by a dry run, or applying was the test.
	asked bool
}

func (j judgement) holds(p sync.Prepared, rec live.Record) bool {
	return j.desired == p.Hash && j.live == rec.SpecHash && rec.SpecHash != ""
}

// bodies decodes the bundle of an application when the first body is needed. It
// may be used by several goroutines.
type bodies struct {
	engine *Engine
	app    string
	bundle model.Digest
	once   gosync.Once
	objs   []manifest.Object
	err    error
}

func (b *bodies) of(p sync.Prepared) (map[string]any, error) {
	b.once.Do(func() { b.objs, b.err = b.engine.decode(b.bundle) })
	if b.err != nil {
		return nil, b.err
	}
	if p.Index >= len(b.objs) {
		return nil, errBundleLost
	}
	return sync.Body(b.app, p.Key, b.objs[p.Index]), nil
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
	old, ok := a.judged[p.Key]
	mayAsk := !selfHeals(s) && (s.confirmed || !s.desired.Spec.SyncPolicy.AutomatedEnabled())
	if ok && old.holds(p, rec) && (old.same || old.asked || !mayAsk) {
		return
	}
	j := judgement{desired: p.Hash, live: rec.SpecHash}
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
	res, err := diff.Compare(diff.Input{Desired: body, Live: rec.Body, Managers: rec.Managers, Ignore: s.desired.Spec.IgnoreDifferences, RedactionKey: e.o.RedactionKey})
	if err != nil {
		j.failed, j.problems = true, []string{fault.As(err).Message}
		a.judged[p.Key] = j
		return
	}
	j.same, j.differences, j.problems = res.Same(), res.Differences, res.Problems
	if !j.same && mayAsk && sameOwner(rec, s.desired.Name) {
		e.ask(ctx, &j, s, p, rec, body)
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
func (e *Engine) ask(ctx context.Context, j *judgement, s snapshot, p sync.Prepared, rec live.Record, body map[string]any) {
	j.asked = true
	kind, err := e.o.Observer.Kind(p.Key.GroupKind())
	if err != nil {
		return
	}
	answer, err := e.o.Applier.Apply(ctx, sync.Write{Kind: kind, Key: p.Key, Version: p.Version, Body: manifest.AppendJSON(nil, body),
		DryRun: true, Validate: !p.Option("Validate", "false"), Operation: "compare-" + string(s.desired.App)})
	if err != nil {
		e.log.Debug("a dry run did not decide", "object", p.Key, "error", err)
		j.asked = ctx.Err() == nil && !fault.As(err).Kind.Retryable()
		return
	}
	present := rec.Body
	if rec.Version != p.Version {
		if present, err = e.o.Applier.Get(ctx, kind, p.Version, p.Key); err != nil {
			j.asked = false
			return
		}
	}
	if same, err := diff.Equal(answer, present); err == nil && same {
		j.same, j.differences = true, nil
	}
}

// owned are the objects of a desired bundle as inventory entries without uid.
func (e *Engine) owned(d *model.Desired) []journal.Owned {
	objs, err := e.decode(d.Bundle)
	if err != nil {
		return nil
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

// liveObject is what prune decisions know of an object; its options only when
// asked for, because they are read from the body.
func (e *Engine) liveObject(k model.ObjectKey, options bool) sync.LiveObject {
	rec, presence := e.o.Observer.Get(k)
	l := sync.LiveObject{Presence: presence}
	if presence == live.Present {
		l.UID, l.TrackingID, l.Deleting = rec.UID, rec.TrackingID, rec.Deleting
		l.NotApplied = len(rec.Managers) > 0 && !slices.ContainsFunc(rec.Managers, func(m live.FieldManager) bool {
			return m.Manager == model.FieldManager && m.Operation == "Apply"
		})
		if options {
			l.SyncOptions = strings.Split(annotation(rec.Body, model.AnnotationSyncOptions), ",")
		}
	}
	return l
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
			if ok && !j.same && j.holds(p, rec) && !rec.Deleting && !j.failed && (sameOwner(rec, s.desired.Name) || rec.TrackingID == "") {
				out[p.Key] = rec.SpecHash
			}
		}
	}
	return out
}
