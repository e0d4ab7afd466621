package reconcile

import (
	"fmt"
	"time"

	"github.com/hawser-dev/hawser/agent/journal"
	"github.com/hawser-dev/hawser/agent/sync"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// verdict says whether the run failed, and sums it up.
func (at *attempt) verdict() (failed bool, message string) {
	switch {
	case len(at.refusals) > 0:
		m := at.refusals[0].Message
		if n := len(at.refusals); n > 1 {
			m = fmt.Sprintf("%s (and %d more)", m, n-1)
		}
		return true, m
	case at.guard != nil && !at.automated:
		return true, at.guardMessage()
	case at.outcome.Failed > 0 || at.outcome.Stopped != nil:
		return true, at.outcome.Message()
	case at.guard != nil:
		return false, at.guardMessage()
	}
	return false, at.outcome.Message()
}

// justNow is how long before an operation an automated sync may have ended that did
// the work of both.
const justNow = time.Minute

// before says who did the work of an operation that found nothing to do, "" for
// nobody: the desired state of a rollback, or of a sync, comes before the operation,
// and automated sync does not wait for that.
func (at *attempt) before(op *journal.Operation) string {
	auto := at.s.attempt
	if at.dryRun || auto == nil || auto.Failed || auto.Generation != at.s.desired.Generation || auto.Generation != op.Generation ||
		auto.Message == at.outcome.Message() || op.Spec.Rollback == nil && op.AcceptedAt.Sub(auto.At) > justNow {
		return ""
	}
	for _, r := range at.outcome.Results {
		if r.Status != sync.StatusUnchanged && r.Status != sync.StatusSkipped {
			return ""
		}
	}
	return "; automated sync had done it before: " + auto.Message
}

func (at *attempt) guardMessage() string {
	g := at.guard
	name := at.s.desired.Name
	if g.Reason == sync.GuardConfirm {
		if a := at.agreed(); a != nil {
			return fmt.Sprintf("%d objects of %q would be pruned now, for generation %d; the sync was interrupted while it pruned the %d that were confirmed for generation %d, and some of those may be gone",
				g.Count, name, at.s.desired.Generation, a.Count, a.Generation)
		}
		return fmt.Sprintf("%d objects of %q would be pruned, which is not the number that was confirmed; nothing was changed", g.Count, name)
	}
	return fmt.Sprintf("this revision would delete %d of %d objects of %q (%s). Confirm with `hawser app sync %s --prune --confirm-prune=%d`",
		g.Count, g.Total, name, guardWords[g.Reason], name, g.Count)
}

var guardWords = map[sync.GuardReason]string{
	sync.GuardAll:       "all of them",
	sync.GuardProtected: "a Namespace, CRD or volume is among them",
	sync.GuardCount:     fmt.Sprintf("more than %d", sync.MaxPruned),
	sync.GuardShare:     fmt.Sprintf("more than %d %%", sync.MaxShare),
}

func (at *attempt) result() *model.OperationResult {
	r := &model.OperationResult{Revision: at.s.desired.Revision.Commit, Resources: at.outcome.Results}
	for _, ref := range at.refusals {
		if ref.Object != nil {
			r.Resources = append(r.Resources, model.ResourceResult{ObjectKey: *ref.Object, Status: sync.StatusFailed, Message: ref.Message})
		}
	}
	if at.guard != nil {
		r.WouldPrune = at.guard.Count
	}
	return r
}

// conditions are what people should see until the next sync.
func (at *attempt) conditions() []model.Condition {
	now := at.engine.now()
	var out []model.Condition
	add := func(typ, code, message string) {
		out = append(out, model.Condition{Type: typ, Code: code, Message: message, Since: &now})
	}
	for _, r := range at.refusals {
		add("InvalidSpecError", r.Code, r.Message)
	}
	if at.outcome.Failed > 0 {
		code := "sync_failed"
		for _, err := range at.outcome.Errs {
			if f := fault.As(err); f.Code != "wave_blocked" {
				code = f.Code
				break
			}
		}
		add("SyncError", code, at.outcome.Message())
	}
	if at.guard != nil {
		add("PruneGuard", "prune_guard", at.guardMessage())
	}
	held := 0
	for _, s := range at.decision.Skip {
		if s.Reason == sync.SkipHeld {
			held++
		}
	}
	if held > 0 {
		add("DeletesHeld", "deletes_held", fmt.Sprintf("%d objects are not pruned: %s", held, skipWords[sync.SkipHeld]))
	}
	confirm := 0
	for _, s := range at.decision.Skip {
		if s.Reason == sync.SkipConfirm {
			confirm++
		}
	}
	if confirm > 0 {
		add("DeletionConfirmation", "deletion_unconfirmed", fmt.Sprintf("%d objects say Prune=confirm. Approve with `hawser app confirm-deletion %s`", confirm, at.s.desired.Name))
	}
	return out
}
