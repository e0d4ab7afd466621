package sync

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/shared/failpoint"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// RunningHook is a hook that was started and whose end was not seen.
type RunningHook struct {
	HookID
	Kind live.Kind
	UID  string
}

// hookState is how far a hook came in this run.
type hookState struct {
	kind    live.Kind
	uid     string
	seen    bool // what is observed shows it, so absence means something
	ended   bool
	success bool
}

// Values of model.ResourceResult.HookPhase.
const (
	HookPhaseRunning   = "Running"
	HookPhaseSucceeded = "Succeeded"
	HookPhaseFailed    = "Failed"
)

func (h *hookState) phase() string {
	switch {
	case !h.ended:
		return HookPhaseRunning
	case h.success:
		return HookPhaseSucceeded
	}
	return HookPhaseFailed
}

// hook starts a hook, unless this very run has started it before. Its end is
// awaited at the end of the wave.
func (x *execution) hook(ctx context.Context, s Step) (stepResult, error) {
	if s.Ended != nil {
		return hookEnded(&hookState{kind: s.Kind, uid: s.Ended.UID}, s.Ended.Succeeded, s.Ended.Message), nil
	}
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
	if x.run.DryRun {
		return x.tryHook(ctx, s)
	}
	h := &hookState{kind: s.Kind}
	for tries := 0; ; tries++ {
		rec, p, err := x.look(ctx, s, tries > 0)
		if err != nil {
			return stepResult{}, err
		}
		switch {
		case p == live.Present && rec.Run == s.Run:
			// Also one that is being deleted: to start it again would be twice.
			h.uid, h.seen = rec.UID, true
			x.made(s, h)
			return stepResult{hook: h}, nil
		case s.Started != "":
			// It has gone while nobody looked. Its last state may still be known.
			h.uid, h.seen = s.Started, true
			return stepResult{hook: h}, nil
		case p == live.Present && x.foreign(rec):
			return stepResult{}, fault.New(fault.Conflict, "resource_owned", "%s belongs to another application; it is not replaced by a hook", s.Key)
		case p == live.Present && !s.replaces():
			return x.write(ctx, s, h, x.Applier.Apply)
		case p == live.Present:
			if err := x.clear(ctx, s, rec); err != nil {
				return stepResult{}, err
			}
		}
		r, err := x.write(ctx, s, h, x.Applier.Create)
		if fault.HasCode(err, "already_exists") && tries < 3 {
			continue // its answer was lost, or it was not observed yet
		}
		return r, err
	}
}

// look is the object of a hook as it is now. What is observed may lag behind, so
// fresh asks the API server.
func (x *execution) look(ctx context.Context, s Step, fresh bool) (live.Record, live.Presence, error) {
	rec, p := x.Live.Get(s.Key)
	if p != live.Unknown && !fresh {
		return rec, p, nil
	}
	var body []byte
	err := x.Governor.Do(ctx, func() (err error) {
		body, err = x.Applier.Get(ctx, s.Kind, s.Version, s.Key)
		return err
	})
	if fault.Is(err, fault.NotFound) {
		return live.Record{}, live.Absent, nil
	}
	if err != nil {
		return live.Record{}, live.Unknown, err
	}
	rec, err = glance(s.Key, body)
	return rec, live.Present, err
}

// glance reads of an object what hooks need.
func glance(key model.ObjectKey, body []byte) (live.Record, error) {
	var o struct {
		Metadata struct {
			UID               string            `json:"uid"`
			ResourceVersion   string            `json:"resourceVersion"`
			DeletionTimestamp string            `json:"deletionTimestamp"`
			Annotations       map[string]string `json:"annotations"`
		} `json:"metadata"`
	}
	if err := json.Unmarshal(body, &o); err != nil {
		return live.Record{}, fault.Wrap(err, fault.Upstream, "object_unreadable", "%s: the API server's answer cannot be read", key)
	}
	rec := live.Record{Key: key, UID: o.Metadata.UID, ResourceVersion: o.Metadata.ResourceVersion, Deleting: o.Metadata.DeletionTimestamp != "",
		Run: o.Metadata.Annotations[model.AnnotationRun]}
	if id := o.Metadata.Annotations[model.AnnotationTrackingID]; selfReferencing(id, key) {
		rec.TrackingID = id
	}
	return rec, nil
}

func (x *execution) foreign(rec live.Record) bool {
	owner, _, ok := model.ParseTrackingID(rec.TrackingID)
	return ok && owner != x.run.Plan.App
}

// clearTimeout bounds the wait until the object of an older run is gone.
const clearTimeout = 5 * time.Minute

// clear deletes the object of an older run and waits until it is gone, with its
// pods: two runs of a migration must not overlap.
func (x *execution) clear(ctx context.Context, s Step, old live.Record) error {
	if err := x.settleFor(ctx, s.Key); err != nil {
		return err
	}
	failpoint.Hit("sync.hook.clear.before")
	if !old.Deleting {
		err := x.Governor.Do(ctx, func() error {
			if err := x.fence(ctx); err != nil {
				return err
			}
			return x.Applier.Delete(ctx, Removal{Kind: s.Kind, Key: s.Key, UID: old.UID, Propagation: "foreground", Operation: x.run.Operation})
		})
		if err != nil {
			return err
		}
	}
	failpoint.Hit("sync.hook.clear.after")
	waitCtx, cancel := context.WithTimeout(ctx, clearTimeout)
	defer cancel()
	err := x.Live.Await(waitCtx, func() bool {
		rec, p := x.Live.Get(s.Key)
		return p == live.Absent || p == live.Present && rec.UID != old.UID
	})
	if err != nil && ctx.Err() == nil {
		return fault.Wrap(err, fault.Unavailable, "still_deleting", "%s of an older run was deleted and is not gone after %s; look at its finalizers", s.Key, clearTimeout)
	}
	return err
}

// settleFor makes durable how a hook of an earlier phase ended whose object has the
// same name: it is about to be deleted, and nothing else tells after a kill that the
// hook has run.
func (x *execution) settleFor(ctx context.Context, key model.ObjectKey) error {
	if x.run.Hooks == nil {
		return nil
	}
	x.mu.Lock()
	earlier := false
	for i, r := range x.results {
		earlier = earlier || x.steps[i].Key == key && r.hook != nil && r.hook.ended
	}
	x.mu.Unlock()
	if !earlier {
		return nil
	}
	err := x.run.Hooks.Settle(ctx)
	if err != nil {
		x.end(err)
	}
	return err
}

// hookRequest bounds the request that makes a hook; admission webhooks may take 30 s.
const hookRequest = 35 * time.Second

// write creates or applies the object of a hook.
func (x *execution) write(ctx context.Context, s Step, h *hookState, do func(context.Context, Write) ([]byte, error)) (stepResult, error) {
	body, err := x.run.Body(s)
	if err != nil {
		return stepResult{}, err
	}
	var answer []byte
	err = x.Governor.Do(ctx, func() (err error) {
		if err = x.fence(ctx); err != nil {
			return err
		}
		failpoint.Hit("sync.hook.create.before")
		// Once it is sent its answer is awaited, whatever ends the run: a hook whose
		// uid is not known could not be ended.
		sent, cancel := context.WithTimeout(context.WithoutCancel(ctx), hookRequest)
		defer cancel()
		answer, err = do(sent, Write{Kind: s.Kind, Key: s.Key, Version: s.Version, Body: body, Validate: s.Validate, Operation: x.run.Operation})
		return err
	})
	if err != nil {
		return stepResult{}, err
	}
	failpoint.Hit("sync.hook.create.after")
	h.uid, _ = identity(answer)
	_ = x.Live.Saw(answer) // the watch brings it otherwise
	rec, p := x.Live.Get(s.Key)
	h.seen = p == live.Present && rec.UID == h.uid
	x.made(s, h)
	return stepResult{hook: h}, nil
}

func (x *execution) made(s Step, h *hookState) {
	if x.run.Hooks != nil {
		x.run.Hooks.Made(HookStart{HookID: s.hookID(), UID: h.uid}, s.Version)
	}
}

// tryHook is the dry run of a hook: the server checks it where it does not exist.
func (x *execution) tryHook(ctx context.Context, s Step) (stepResult, error) {
	const would = "it would run"
	if _, p, err := x.look(ctx, s, false); err != nil || p == live.Present {
		return stepResult{status: StatusSkipped, message: would}, err
	}
	body, err := x.run.Body(s)
	if err != nil {
		return stepResult{}, err
	}
	err = x.Governor.Do(ctx, func() (err error) {
		if err = x.fence(ctx); err != nil {
			return err
		}
		_, err = x.Applier.Apply(ctx, Write{Kind: s.Kind, Key: s.Key, Version: s.Version, Body: body, Validate: s.Validate, DryRun: true, Operation: x.run.Operation})
		return err
	})
	if fault.HasCode(err, "namespace_missing") && x.makesNamespace(s.Key.Namespace) {
		err = nil
	}
	return stepResult{status: StatusSkipped, message: would}, err
}

func hookEnded(h *hookState, success bool, message string) stepResult {
	h.ended, h.success = true, success
	r := stepResult{status: StatusSucceeded, message: message, hook: h}
	if !success {
		r.status = StatusFailed
		r.err = fault.New(fault.Precondition, "hook_failed", "%s", message)
	}
	return r
}

// awaitHooks waits until the hooks of a wave, the steps from … to, have ended. It
// has no limit of its own: a Job says with activeDeadlineSeconds how long it may
// take, and the operation can be terminated.
func (x *execution) awaitHooks(ctx context.Context, from, to int) {
	var waits []int
	for i := from; i < to; i++ {
		if r := x.results[i]; r.hook != nil && !r.hook.ended {
			waits = append(waits, i)
		}
	}
	if len(waits) == 0 {
		return
	}
	err := x.Live.Await(ctx, func() bool {
		waits = slices.DeleteFunc(waits, func(i int) bool { return x.hookOver(i) })
		if len(waits) == 0 {
			return true
		}
		x.tell("%s: waits for the hook %s", waveName(x.steps[from]), x.steps[waits[0]].Key)
		return !x.mayGoOn(true)
	})
	if err != nil {
		x.end(err)
	}
}

// hookOver looks whether a hook has ended, and records it.
func (x *execution) hookOver(i int) bool {
	s, h := x.steps[i], x.results[i].hook
	over := func(success bool, message string) bool {
		r := hookEnded(h, success, message)
		x.set(i, r)
		failpoint.Hit("sync.hook.finished")
		if x.run.Hooks != nil {
			x.run.Hooks.Ended(HookEnd{HookID: s.hookID(), UID: h.uid, Succeeded: success, Message: message})
		}
		return true
	}
	rec, p := x.Live.Get(s.Key)
	switch {
	case p == live.Unknown:
		return false
	case p == live.Present && rec.UID == h.uid:
		h.seen = true
	default:
		gone, ok := x.Live.Gone(s.Key)
		if !ok || gone.UID != h.uid {
			if p == live.Absent && !h.seen {
				return false
			}
			return over(false, s.Key.String()+" was deleted before its end was seen")
		}
		if gone.Health.Status != model.HealthHealthy && gone.Health.Status != model.HealthDegraded {
			return over(false, s.Key.String()+" was deleted before it had ended")
		}
		rec = gone
	}
	switch rec.Health.Status {
	case model.HealthHealthy, "":
		return over(true, clip(rec.Health.Message, maxResultMessages))
	case model.HealthDegraded, model.HealthUnknown:
		return over(false, clip(s.Key.String()+" failed: "+cmp.Or(rec.Health.Message, string(rec.Health.Status)), maxResultMessages))
	}
	return false
}

// tidyHooks deletes the objects of ended hooks as their policies say. What cannot
// be deleted is left, with a word in its result.
func (x *execution) tidyHooks(ctx context.Context) {
	var doomed []int
	for i, s := range x.steps[:x.begun] {
		h := x.results[i].hook
		if h == nil || !h.ended || h.uid == "" || Protected(s.Key) {
			continue
		}
		want := HookFailed
		if h.success {
			want = HookSucceeded
		}
		if rec, p := x.Live.Get(s.Key); slices.Contains(s.Policies, want) && (p != live.Present || rec.UID == h.uid) && p != live.Absent {
			doomed = append(doomed, i)
		}
	}
	if len(doomed) == 0 {
		return
	}
	if x.run.Hooks != nil {
		if err := x.run.Hooks.Settle(ctx); err != nil {
			x.end(err)
			return
		}
	}
	failpoint.Hit("sync.hook.settled")
	for _, i := range doomed {
		s, h := x.steps[i], x.results[i].hook
		err := x.EndHook(ctx, RunningHook{HookID: s.hookID(), Kind: h.kind, UID: h.uid}, x.run.Operation)
		if err != nil {
			r := x.results[i]
			r.message = clip("not deleted: "+fault.As(err).Message, maxResultMessages)
			x.set(i, r)
		}
	}
}

// EndHook deletes the object of a hook, with what it owns; not one that cannot be
// made again once it is deleted.
func (e *Executor) EndHook(ctx context.Context, h RunningHook, operation string) error {
	if Protected(h.Key) {
		return nil
	}
	err := e.Governor.Do(ctx, func() error {
		if err := e.Fence(); err != nil {
			return err
		}
		failpoint.Hit("sync.hook.delete.before")
		return e.Applier.Delete(ctx, Removal{Kind: h.Kind, Key: h.Key, UID: h.UID, Propagation: "background", Operation: operation})
	})
	failpoint.Hit("sync.hook.delete.after")
	return err
}
