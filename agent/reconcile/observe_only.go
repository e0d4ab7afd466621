package reconcile

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/hawser-dev/hawser/agent/diff"
	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/agent/sync"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// An application that is only observed belongs to somebody else still, mostly to
// Argo CD. What it would be compared with is not watched as a whole where it does
// not carry the tracking annotation; such objects are read one by one, when they
// have changed.

// observeLook is how often objects without a tracking annotation are looked at:
// what the watch brings of them says that they changed, and wakes nobody.
const observeLook = 30 * time.Second

// unwatched reports whether an object of an observed application has changes that
// wake nobody.
func (e *Engine) unwatched(a *app) bool {
	return slices.ContainsFunc(a.objects, func(p sync.Prepared) bool {
		rec, presence := e.o.Observer.Get(p.Key)
		return presence == live.Present && rec.Body == nil
	})
}

// seenAs is the record by which an object of an observed application is judged:
// one that has no content in it is told by its resource version.
func seenAs(rec live.Record) live.Record {
	if rec.SpecHash == "" {
		rec.SpecHash = model.Digest("version:" + rec.UID + "/" + rec.ResourceVersion)
	}
	return rec
}

// readLive brings the content of an object that is not watched as a whole, or is
// watched in another version than the desired one.
func (e *Engine) readLive(ctx context.Context, p sync.Prepared, rec live.Record) (live.Record, error) {
	if rec.Body != nil && rec.Version == p.Version {
		return rec, nil
	}
	kind, err := e.o.Observer.Kind(p.Key.GroupKind())
	if err != nil {
		return rec, err
	}
	var body []byte
	err = e.exec.Governor.Do(ctx, func() (err error) {
		body, err = e.o.Applier.Get(ctx, kind, p.Version, p.Key)
		return err
	})
	if err != nil {
		return rec, err
	}
	rec.Body, rec.Version = body, p.Version
	rec.Managers, err = diff.Managers(body)
	return rec, err
}

// labelInstance is what Argo CD tracks objects by where it is told to use labels.
const labelInstance = "app.kubernetes.io/instance"

// asTracked gives a desired object the marks of tracking that the live one has, and
// no others: whose the object is does not count as a difference before it is handed
// over. app is the application's name.
func asTracked(app string, desired map[string]any, body []byte) map[string]any {
	var l struct {
		Metadata struct {
			Annotations map[string]string `json:"annotations"`
			Labels      map[string]string `json:"labels"`
		} `json:"metadata"`
	}
	if json.Unmarshal(body, &l) != nil {
		return desired
	}
	out := maps.Clone(desired)
	meta := clonedMap(desired["metadata"])
	annotations := clonedMap(meta["annotations"])
	delete(annotations, model.AnnotationTrackingID)
	if id, ok := l.Metadata.Annotations[model.AnnotationTrackingID]; ok {
		annotations[model.AnnotationTrackingID] = id
	}
	if len(annotations) > 0 {
		meta["annotations"] = annotations
	} else {
		delete(meta, "annotations")
	}
	labels := clonedMap(meta["labels"])
	if _, wanted := labels[labelInstance]; !wanted && l.Metadata.Labels[labelInstance] == app {
		labels[labelInstance] = app
		meta["labels"] = labels
	}
	out["metadata"] = meta
	return out
}

func clonedMap(v any) map[string]any {
	m, _ := v.(map[string]any)
	if m == nil {
		return map[string]any{}
	}
	return maps.Clone(m)
}

// judgeObserved compares an object of an application that is only observed. The
// API server is asked for nothing but the object: no dry run decides.
func (e *Engine) judgeObserved(ctx context.Context, a *app, s snapshot, p sync.Prepared, rec live.Record, b *bodies) {
	rec = seenAs(rec)
	_, rules := e.rules.now()
	if old, ok := a.judged[p.Key]; ok && old.observed && old.holds(p, rec) && old.rules == rules && !old.failed {
		return
	}
	j := judgement{desired: p.Hash, live: rec.SpecHash, rules: rules, observed: true}
	fail := func(err error) {
		j.failed, j.problems = true, []string{fault.As(err).Message}
		a.judged[p.Key] = j
	}
	body, err := b.of(p)
	if err != nil {
		fail(err)
		return
	}
	full, err := e.readLive(ctx, p, rec)
	if err != nil {
		fail(err)
		e.askAgain(a.uid, p.Key)
		return
	}
	body = asTracked(s.desired.Name, body, full.Body)
	apiVersion, _ := body["apiVersion"].(string)
	e.learnSchema(ctx, apiVersion, p.Key.GroupKind())
	in, rules := e.comparison(s, p, body, full)
	j.rules = rules
	res, err := diff.Compare(in)
	if err != nil {
		fail(err)
		return
	}
	j.same, j.differences, j.problems = res.Same(), res.Differences, res.Problems
	j.failed = res.RuleFailed && !j.same
	a.judged[p.Key] = j
}
