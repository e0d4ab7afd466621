package reconcile

import (
	"context"
	"slices"
	"strings"

	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/agent/sync"
	"github.com/hawser-dev/hawser/shared/manifest"
	"github.com/hawser-dev/hawser/shared/model"
)

// clearAbandoned ends the hooks of runs that were interrupted and do not go on,
// because another run began, as when an operation has done the work of an automated
// sync that a restart cut off. What still runs is ended; what has ended goes if its
// delete policy says so.
func (at *attempt) clearAbandoned(ctx context.Context) {
	if at.dryRun || at.selected != nil {
		return
	}
	e := at.engine
	for _, o := range at.s.hooks {
		rec, presence := e.o.Observer.Get(o.Key)
		if presence != live.Present || rec.Deleting || at.applies(o.Key) || !abandoned(rec, at.run, at.s.desired.Name) {
			continue
		}
		kind, err := e.o.Observer.Kind(o.Key.GroupKind())
		if err == nil {
			err = e.exec.EndHook(ctx, sync.RunningHook{HookID: sync.HookID{Key: o.Key}, Kind: kind, UID: rec.UID}, at.operation)
		}
		if err != nil {
			e.log.Warn("a hook of an abandoned run could not be ended", "object", o.Key, "error", err)
		}
	}
}

// applies reports whether an object is desired and no hook, though it may have been
// one.
func (at *attempt) applies(k model.ObjectKey) bool {
	return slices.ContainsFunc(at.prepared, func(p sync.Prepared) bool { return p.Hook == "" && p.Key == k })
}

// abandoned reports whether the object of a hook is of another run than the
// present one and has no reason to be there any more.
func abandoned(rec live.Record, run, app string) bool {
	owner, named, ok := model.ParseTrackingID(rec.TrackingID)
	mine := ok && owner == app && named == rec.Key
	// What cannot be made again once it is deleted stays, as after any hook.
	if !mine || rec.Run == "" || strings.HasPrefix(rec.Run, run+"/") || sync.Protected(rec.Key) {
		return false
	}
	var policies []sync.HookPolicy
	if o, err := manifest.DecodeObject(rec.Body); err == nil {
		policies = sync.HookPolicies(o)
	}
	switch rec.Health.Status {
	case model.HealthProgressing:
		return sync.RunsToAnEnd(rec.Key.GroupKind()) // others may have ended and move again
	case model.HealthDegraded:
		return slices.Contains(policies, sync.HookFailed)
	case model.HealthHealthy, "":
		return slices.Contains(policies, sync.HookSucceeded)
	}
	return false
}

// leftUnderWay reports whether the operation that was taken on was interrupted, as by
// a restart, while hooks of it were under way.
func (s snapshot) leftUnderWay() bool {
	return s.pending != nil && s.run != nil && !s.run.Over && len(s.run.Started) > 0 && strings.HasPrefix(s.run.ID, string(s.pending.ID)+".")
}

// endLeft deletes the hooks of an interrupted operation that is ended before it goes
// on.
func (e *Engine) endLeft(ctx context.Context, s snapshot) {
	for _, h := range started(s.run, s.run.ID) {
		rec, presence := e.o.Observer.Get(h.Key)
		if presence != live.Present || rec.UID != h.UID || rec.Deleting {
			continue
		}
		kind, err := e.o.Observer.Kind(h.Key.GroupKind())
		if err == nil {
			err = e.exec.EndHook(ctx, sync.RunningHook{HookID: h.HookID, Kind: kind, UID: h.UID}, string(s.pending.ID))
		}
		if err != nil {
			e.log.Warn("a hook could not be ended", "object", h.Key, "error", err)
		}
	}
}
