package reconcile

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/hawser-dev/hawser/agent/journal"
	"github.com/hawser-dev/hawser/agent/sync"
	"github.com/hawser-dev/hawser/shared/failpoint"
	"github.com/hawser-dev/hawser/shared/model"
)

// hookMemory keeps in the journal what becomes of the hooks of one run.
type hookMemory struct {
	engine *Engine
	uid    model.AppUID
	run    string
	last   *journal.Flight // of the newest update
}

// memory is the hook memory of the attempt; nil when its plan has no hooks. What
// hooks the run may create is durable when it returns: a hook that nobody knows of
// could neither be ended nor go with its application.
func (at *attempt) memory(ctx context.Context, plan sync.Plan) (sync.HookMemory, error) {
	if at.dryRun || !plan.HasHooks() {
		return nil, nil
	}
	m := &hookMemory{engine: at.engine, uid: at.app.uid, run: at.run}
	var refused error
	m.last = at.engine.o.Journal.Update(journal.Urgent, func(b *journal.Book) journal.Change {
		c, err := b.BeginRun(at.app.uid, at.run)
		refused = err
		for _, s := range append(slices.Clone(plan.Steps), plan.OnFailure...) {
			if s.Action == sync.RunHook && s.Ended == nil {
				c = joined(c, b.IntendHook(at.app.uid, journal.Owned{Key: s.Key, Version: s.Version}))
			}
		}
		return c
	})
	if refused != nil {
		return nil, refused
	}
	return m, m.last.Wait(ctx)
}

func (m *hookMemory) update(f func(*journal.Book) journal.Change) {
	m.last = m.engine.o.Journal.Update(journal.Lazy, f)
}

// Made implements sync.HookMemory.
func (m *hookMemory) Made(hook sync.HookStart, version string) {
	// Urgent: of a Job that is gone soon after it has ended nothing else tells after
	// a kill that it was started.
	m.engine.o.Journal.Update(journal.Urgent, func(b *journal.Book) journal.Change {
		c := b.MadeHook(m.uid, journal.Owned{Key: hook.Key, Version: version, UID: hook.UID})
		return joined(c, b.StartHook(m.uid, m.run, journal.HookStart{Phase: string(hook.Phase), Key: hook.Key, UID: hook.UID}))
	})
}

// Ended implements sync.HookMemory.
func (m *hookMemory) Ended(end sync.HookEnd) {
	m.engine.log.Info("hook ended", "application", string(m.uid), "run", m.run, "phase", end.Phase, "object", end.Key, "succeeded", end.Succeeded)
	m.update(func(b *journal.Book) journal.Change {
		return b.EndHook(m.uid, m.run, journal.HookEnd{Phase: string(end.Phase), Key: end.Key, UID: end.UID, Succeeded: end.Succeeded, Message: end.Message, At: m.engine.now()})
	})
	failpoint.Hit("reconcile.hook.booked")
}

// Settle implements sync.HookMemory.
func (m *hookMemory) Settle(ctx context.Context) error {
	f := m.engine.o.Journal.Update(journal.Urgent, func(*journal.Book) journal.Change { return journal.Change{Apps: []model.AppUID{m.uid}} })
	return f.Wait(ctx)
}

// runOf is the name of an operation's runs over a bundle. An operation that goes on
// after an interruption may find a newer desired state: the hooks that have run for
// the older one do not count for that.
func runOf(op model.OperationID, bundle model.Digest) string {
	digest := strings.TrimPrefix(string(bundle), "sha256:")
	return string(op) + "." + digest[:min(8, len(digest))]
}

// nextRun is the run that an operation goes on with or begins: the one that was
// interrupted or, when that is over, another.
func nextRun(last *journal.Run, operation string) string {
	if last == nil || last.ID != operation && !strings.HasPrefix(last.ID, operation+"-") {
		return operation
	}
	if !last.Over {
		return last.ID
	}
	return following(last.ID, operation)
}

// following is the run of an operation after the given one.
func following(run, operation string) string {
	n, err := strconv.Atoi(strings.TrimPrefix(strings.TrimPrefix(run, operation), "-"))
	if err != nil {
		n = 1
	}
	return fmt.Sprintf("%s-%d", operation, n+1)
}

// ended are the hooks of the run that had ended before an interruption.
func (at *attempt) ended() []sync.HookEnd { return endedIn(at.s.run, at.run) }

func endedIn(run *journal.Run, id string) []sync.HookEnd {
	if run == nil || run.ID != id {
		return nil
	}
	out := make([]sync.HookEnd, 0, len(run.Hooks))
	for _, h := range run.Hooks {
		out = append(out, sync.HookEnd{HookID: sync.HookID{Phase: sync.Phase(h.Phase), Key: h.Key}, UID: h.UID, Succeeded: h.Succeeded, Message: h.Message})
	}
	return out
}

// started are the hooks of a run that were under way when it was interrupted.
func started(run *journal.Run, id string) []sync.HookStart {
	if run == nil || run.ID != id {
		return nil
	}
	out := make([]sync.HookStart, 0, len(run.Started))
	for _, h := range run.Started {
		out = append(out, sync.HookStart{HookID: sync.HookID{Phase: sync.Phase(h.Phase), Key: h.Key}, UID: h.UID})
	}
	return out
}
