package reconcile

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hawser-dev/hawser/agent/health"
	"github.com/hawser-dev/hawser/agent/journal"
	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/agent/sync"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// Status answers what is known of an application; false when the agent does not
// hold it, or has not looked at it yet. The value must not be modified.
func (e *Engine) Status(uid model.AppUID) (model.AppStatus, bool) {
	e.mu.Lock()
	a := e.apps[uid]
	e.mu.Unlock()
	if a == nil {
		return model.AppStatus{}, false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.status, a.known
}

// publish computes the status anew and has it reported: first it is marked as
// changed since the oldest event that it shows, then that event counts as seen,
// so that one of the two always bounds the age that is printed.
func (e *Engine) publish(ctx context.Context, a *app, s snapshot, b *bodies) {
	shown := a.show()
	defer a.shown()
	if s.gone || s.desired == nil {
		return
	}
	if a.bundleErr == nil {
		if b == nil || b.bundle != s.desired.Bundle {
			b = e.bodiesOf(s.desired)
		}
		if a.bundle == s.desired.Bundle {
			e.compare(ctx, a, s, true, nil, b)
		}
	}
	st := e.statusOf(a, s)
	a.mu.Lock()
	st.Health = since(a.status.Health, st.Health, e.now())
	st.Conditions = dated(a.status.Conditions, st.Conditions, e.now())
	moved := !a.known || a.status.Generation != st.Generation
	a.status, a.known = st, true
	e.arrived(a, s.desired.Name, st)
	a.mu.Unlock()
	if moved {
		e.o.Moved()
	}
	if shown.IsZero() {
		e.o.Reports.Changed(a.uid)
	} else {
		e.o.Reports.ChangedSince(shown, a.uid)
	}
}

func since(old, facet model.HealthFacet, now time.Time) model.HealthFacet {
	if old.Status == facet.Status && old.Since != nil {
		facet.Since = old.Since
	} else if facet.Since == nil {
		facet.Since = &now
	}
	return facet
}

// dated says of each condition since when it stands. Those about the comparison of
// live objects stay without: a time tells them from the hub's, about what cannot be
// rendered.
func dated(old, conditions []model.Condition, now time.Time) []model.Condition {
	for i := range conditions {
		c := &conditions[i]
		if c.Since != nil || c.Type == "ComparisonError" || c.Type == "InvalidSpecError" {
			continue
		}
		c.Since = &now
		for _, o := range old {
			if o.Type == c.Type && o.Code == c.Code && o.Message == c.Message && o.Since != nil {
				c.Since = o.Since
			}
		}
	}
	return conditions
}

func (e *Engine) statusOf(a *app, s snapshot) model.AppStatus {
	d := s.desired
	st := model.AppStatus{Generation: d.Generation, History: s.history, Operation: operationInfo(s)}
	if doing := a.doing(); doing != "" && st.Operation != nil && st.Operation.Phase == model.PhaseRunning {
		st.Operation.Message = doing
	}
	if s.synced != nil {
		st.Revision = s.synced.Revision
	}
	if a.bundleErr != nil {
		st.Sync.Status, st.Health.Status = model.SyncUnknown, model.HealthUnknown
		st.Conditions = append(st.Conditions, condition(bundleErrType(a.bundleErr), fault.As(a.bundleErr).Code, fault.As(a.bundleErr).Message))
		st.Conditions = append(st.Conditions, e.o.Journal.Conditions()...)
		return st
	}
	reason := model.ReasonPending
	if s.confirmed {
		reason = model.ReasonDrifted
	}
	var items []health.Item
	var problems []string
	unknown, out := false, false
	objects := slices.Clone(a.objects)
	slices.SortStableFunc(objects, func(x, y sync.Prepared) int { return x.Wave - y.Wave })
	for _, p := range objects {
		if p.Hook != "" {
			st.Resources = append(st.Resources, e.hookStatus(s, p)...)
			continue
		}
		rs, item, probs := e.resourceStatus(a, s, p, reason)
		switch rs.Sync.Status {
		case model.SyncOutOfSync:
			out = true
		case model.SyncUnknown:
			unknown = true
		}
		for _, m := range probs {
			problems = append(problems, p.Key.String()+": "+m)
		}
		st.Resources = append(st.Resources, rs)
		items = append(items, item)
	}
	for _, o := range s.inventory {
		if a.desires(o.Key) {
			continue
		}
		rec, presence := e.seen(o.Key)
		if presence == live.Absent || presence == live.Present && (rec.TrackingID != model.TrackingID(d.Name, o.Key) || o.Confirmed && o.UID != rec.UID) {
			continue // gone, or not ours
		}
		rs := model.ResourceStatus{ObjectKey: o.Key, Version: o.Version, UID: o.UID, Health: rec.Health, RequiresPruning: true, Wave: e.waveOf(o.Key),
			RequiresDeletionConfirmation: strings.EqualFold(e.optionsOf(o.Key, syncOptions(d))["Prune"], "confirm"),
			Sync:                         model.SyncFacet{Status: model.SyncOutOfSync, Reason: model.ReasonPending}}
		if presence == live.Unknown {
			rs.Sync = model.SyncFacet{Status: model.SyncUnknown}
			unknown = true
		} else if strings.Contains(annotation(rec.Body, annotationCompareOptions), "IgnoreExtraneous") {
			rs.Sync = model.SyncFacet{Status: model.SyncSynced}
		} else {
			out = true // also when it asks not to be pruned, as in Argo CD
		}
		st.Resources = append(st.Resources, rs)
	}
	switch {
	case out:
		st.Sync = model.SyncFacet{Status: model.SyncOutOfSync, Reason: reasonOf(st.Resources)}
	case unknown:
		st.Sync = model.SyncFacet{Status: model.SyncUnknown}
	default:
		st.Sync = model.SyncFacet{Status: model.SyncSynced}
	}
	st.Health, st.HealthCauses = health.Aggregate(items)
	if unknown && st.Health.Status == model.HealthHealthy {
		st.Health = model.HealthFacet{Status: model.HealthUnknown, Message: "some objects cannot be observed now"}
	}
	st.Conditions = e.conditionsOf(a, s, problems)
	return st
}

// annotationCompareOptions may say IgnoreExtraneous: an object that is owned and
// no longer desired does not make its application OutOfSync.
const annotationCompareOptions = "argocd.argoproj.io/compare-options"

// reasonOf: an application drifted only when all that differs drifted.
func reasonOf(rs []model.ResourceStatus) model.SyncReason {
	for _, r := range rs {
		if r.Sync.Status == model.SyncOutOfSync && r.Sync.Reason == model.ReasonPending {
			return model.ReasonPending
		}
	}
	return model.ReasonDrifted
}

func (e *Engine) resourceStatus(a *app, s snapshot, p sync.Prepared, reason model.SyncReason) (model.ResourceStatus, health.Item, []string) {
	rec, presence := e.o.Observer.Get(p.Key)
	rs := model.ResourceStatus{ObjectKey: p.Key, Version: p.Version, Wave: p.Wave}
	item := health.Item{Key: p.Key}
	var problems []string
	if p.Err != nil {
		problems = append(problems, p.Err.Message)
	}
	_, kindErr := e.o.Observer.Kind(p.Key.GroupKind())
	switch {
	case p.Err != nil && p.Err.Code == codeOwnNamespace:
		// Not known, and not because it will be: it is refused.
		rs.Sync = model.SyncFacet{Status: model.SyncOutOfSync, Reason: model.ReasonPending}
		rs.Health = model.HealthFacet{Status: model.HealthMissing, Message: p.Err.Message}
		item.Health = rs.Health
	case presence == live.Present:
		rs.UID, rs.Health = rec.UID, rec.Health
		item.Health, item.Ignored = rec.Health, rec.HealthIgnored || health.IsSelf(s.desired.Name, p.Key)
		j, ok := a.judged[p.Key]
		switch {
		case !ok || j.failed:
			rs.Sync.Status = model.SyncUnknown
		case j.same && j.desired == p.Hash:
			rs.Sync.Status = model.SyncSynced
		default:
			rs.Sync = model.SyncFacet{Status: model.SyncOutOfSync, Reason: reason}
			rs.Differences = j.differences
		}
		problems = append(problems, j.problems...)
		if owner, _, ok := model.ParseTrackingID(rec.TrackingID); ok && e.anothers(s, owner) {
			rs.Sync = model.SyncFacet{Status: model.SyncOutOfSync, Reason: model.ReasonPending}
			// Its health is the other application's.
			item.Ignored = true
		}
	case presence == live.Absent || isKindUnknown(kindErr):
		rs.Sync = model.SyncFacet{Status: model.SyncOutOfSync, Reason: reason}
		rs.Health = model.HealthFacet{Status: model.HealthMissing}
		if isKindUnknown(kindErr) && s.hadMade(p.Key) {
			// Somebody has removed its CRD. That does not heal by itself, as a missing
			// object would.
			rs.Health = model.HealthFacet{Status: model.HealthDegraded, Message: "kind missing: the cluster does not serve " + kindName(p) + " any more"}
		}
		item.Health = rs.Health
	default:
		rs.Sync.Status = model.SyncUnknown
		rs.Health = model.HealthFacet{Status: model.HealthUnknown}
		item.Health = rs.Health
	}
	return rs, item, problems
}

func kindName(p sync.Prepared) string {
	if p.Key.Group == "" {
		return p.Key.Kind
	}
	return p.Key.Kind + "." + p.Key.Group
}

// hadMade reports whether an object was made by an earlier sync. It may be gone, and
// on its way to be made again.
func (s snapshot) hadMade(k model.ObjectKey) bool {
	return s.synced != nil && slices.ContainsFunc(s.inventory, func(o journal.Owned) bool { return o.Key == k })
}

// hookStatus are the rows of a hook, one for each phase, with what is known of its
// newest run. It has no sync facet: a hook is never out of sync.
func (e *Engine) hookStatus(s snapshot, p sync.Prepared) []model.ResourceStatus {
	if len(p.Phases) == 0 {
		return []model.ResourceStatus{{ObjectKey: p.Key, Version: p.Version, Wave: p.Wave, Hook: p.Hook}}
	}
	var out []model.ResourceStatus
	for _, phase := range p.Phases {
		named := ""
		if s.run != nil {
			named = s.run.ID
		}
		if w := s.withdraw; w != nil && (phase == sync.PhasePreDelete || phase == sync.PhasePostDelete) {
			named = string(w.Operation)
		}
		rs := model.ResourceStatus{ObjectKey: p.Key, Version: p.Version, Wave: p.Wave, Hook: string(phase)}
		if s.run != nil {
			rs.ObjectKey = sync.HookKey(p, named, phase)
			rec, presence := e.o.Observer.Get(rs.ObjectKey)
			if presence == live.Present {
				rs.UID, rs.Health = rec.UID, rec.Health
				if rec.Run == sync.RunMark(s.run.ID, phase) {
					rs.HookPhase = sync.HookPhaseRunning
				}
			}
			for _, end := range s.run.Hooks {
				if end.Phase == string(phase) && end.Key == rs.ObjectKey {
					rs.HookPhase = sync.HookPhaseFailed
					if end.Succeeded {
						rs.HookPhase = sync.HookPhaseSucceeded
					}
				}
			}
		}
		out = append(out, rs)
	}
	return out
}

// fightFrom is how many repairs of the same drift in a row are a fight.
const fightFrom = 5

// fights names who puts back what is repaired, again and again.
func (a *app) fights(now time.Time) []model.Condition {
	var out []model.Condition
	for _, p := range a.objects {
		h := a.heals[p.Key]
		if h.Repeats < fightFrom || now.Sub(h.At) >= healPause(h.Repeats)+healWindow {
			continue
		}
		who := ""
		if h.By != "" {
			who = fmt.Sprintf(" by %q", h.By)
		}
		out = append(out, condition("FightDetected", "fight_detected",
			fmt.Sprintf("%s was repaired %d times in a row and is changed back%s; ignore the field or stop what sets it", p.Key, h.Repeats, who)))
	}
	return out
}

// anothers reports whether an object that is tracked as owner's is none of this
// application's. What is only observed may be somebody else's still, as Argo CD's
// before it is handed over; only what another application here owns is not.
func (e *Engine) anothers(s snapshot, owner string) bool {
	if owner == s.desired.Name || !s.desired.Observe {
		return owner != s.desired.Name
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	_, held := e.byName[owner]
	return held
}

func condition(typ, code, message string) model.Condition {
	return model.Condition{Type: typ, Code: code, Message: message}
}

const maxProblems = 5

func (e *Engine) conditionsOf(a *app, s snapshot, problems []string) []model.Condition {
	out := slices.Clone(a.conditions)
	out = append(out, a.healConditions...)
	out = append(out, a.fights(e.now())...)
	closed := windowOf(s.op, s.desired, e.now())
	if closed.Allowed && !s.desired.Observe && s.desired.Spec.SyncPolicy.AutomatedEnabled() {
		closed = window(s.desired, true, e.now(), time.Time{})
	}
	if !closed.Allowed {
		out = append(out, condition("SyncWindow", "sync_window_closed", closed.Reason))
	}
	if s.desired.Observe {
		out = append(out, condition("ObserveOnly", sync.CodeObserveOnly, "the application is compared and reported, and nothing is written to its cluster"))
	}
	if doing := a.doing(); doing != "" {
		out = append(out, condition("Syncing", "sync_waiting", doing))
	}
	if len(a.conditions) == 0 && !s.confirmed && s.attempt != nil && s.attempt.Failed && s.attempt.Generation == s.desired.Generation {
		at := s.attempt.At
		c := condition("SyncError", "sync_failed", s.attempt.Message)
		c.Since = &at
		out = append(out, c)
	}
	for i, m := range problems {
		if i == maxProblems {
			out = append(out, condition("ComparisonError", "comparison_failed", fmt.Sprintf("and %d more", len(problems)-i)))
			break
		}
		out = append(out, condition("ComparisonError", "comparison_failed", m))
	}
	for _, p := range a.objects {
		rec, presence := e.o.Observer.Get(p.Key)
		if presence != live.Present {
			continue
		}
		if owner, _, ok := model.ParseTrackingID(rec.TrackingID); ok && e.anothers(s, owner) {
			out = append(out, condition("SharedResourceWarning", "resource_owned", fmt.Sprintf("%s belongs to application %q", p.Key, owner)))
		}
	}
	return append(out, e.o.Journal.Conditions()...)
}

// operationInfo is the operation under way, or the last one.
func operationInfo(s snapshot) *model.OperationInfo {
	if op := s.pending; op != nil {
		accepted := op.AcceptedAt
		info := &model.OperationInfo{ID: op.ID, Seq: op.Seq, App: op.App, AppName: s.name, Kind: op.Kind, Spec: op.Spec, Phase: model.PhaseRunning,
			InitiatedBy: op.InitiatedBy, StartedAt: &accepted}
		if op.StartedAt != nil {
			info.StartedAt = op.StartedAt
		} else if s.op == nil {
			info.Message = fmt.Sprintf("waits for generation %d", op.Generation)
		}
		if op.RetryAt != nil {
			info.Message = fmt.Sprintf("try %d failed (%s); the next is at %s", op.Tries, op.LastError, op.RetryAt.UTC().Format(time.RFC3339))
		}
		return info
	}
	if u := s.lastOp; u != nil {
		return &model.OperationInfo{ID: u.ID, Seq: u.Seq, App: u.App, AppName: s.name, Kind: u.Kind, Phase: u.Phase, Message: u.Message,
			StartedAt: u.StartedAt, FinishedAt: u.FinishedAt}
	}
	return nil
}
