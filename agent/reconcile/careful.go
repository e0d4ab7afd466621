package reconcile

import (
	"context"
	"runtime/debug"
	gosync "sync"
	"time"

	"github.com/hawser-dev/hawser/agent/journal"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// care is how the engine works when agents before it were ended again and again:
// on one application at a time, each marked in the journal before, so that the next
// agent knows during which the end came. journal.Lives decides; this carries it out.
type care struct {
	mu     gosync.Mutex
	on     bool
	tokens int // of Engine.slots that are held back
	done   map[model.AppUID]journal.Work
	// unwritten is a mark that did not become durable in time.
	unwritten *journal.Flight
}

const (
	// markWait is how long work waits for its mark. When the journal cannot be
	// written, healing what was accepted matters more.
	markWait = 5 * time.Second
	// turnWait is how long a desired state that arrives waits for its turn: the link
	// stands still meanwhile.
	turnWait = 5 * time.Second
	// calmEvery is how often it is asked whether the care can end.
	calmEvery = time.Minute
)

func (e *Engine) lives() (l journal.Lives) {
	e.o.Journal.View(func(b *journal.Book) { l = b.Lives() })
	return l
}

// beginCarefully makes the engine careful when it has to be. That the agent before
// this one was ended is durable then, as far as the journal can be written.
func (e *Engine) beginCarefully(ctx context.Context) {
	l := e.lives()
	if l.Empty() {
		return
	}
	e.await(ctx, e.o.Journal.Update(journal.Urgent, func(*journal.Book) journal.Change { return journal.Change{} }))
	if !l.Careful() {
		return
	}
	n := cap(e.slots) - 1
	for range n {
		e.slots <- struct{}{} // nothing works yet
	}
	e.care.mu.Lock()
	defer e.care.mu.Unlock()
	e.care.on, e.care.tokens, e.care.done = true, n, map[model.AppUID]journal.Work{}
	e.log.Warn("agents before this one were ended without a clean stop; this one works on one application at a time", "in a row", l.Row, "last", l.Last)
}

// calm ends the care after a good run. It returns when there is nothing more to
// end, or with ctx.
func (e *Engine) calm(ctx context.Context) {
	if e.lives().Empty() {
		return
	}
	began := e.now()
	tick := time.NewTicker(calmEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := e.now()
		e.o.Journal.Update(journal.Lazy, func(b *journal.Book) journal.Change { return b.CalmLife(now.Sub(began), now) })
		l := e.lives()
		if !l.Careful() {
			e.endCare()
		}
		if l.Empty() {
			return
		}
	}
}

func (e *Engine) endCare() {
	e.care.mu.Lock()
	n := e.care.tokens
	on := e.care.on
	e.care.on, e.care.tokens, e.care.done = false, 0, nil
	e.care.mu.Unlock()
	for range n {
		<-e.slots
	}
	if on {
		e.log.Info("this agent has run well for a while; it works on several applications at a time again")
	}
}

// await waits for a flight, for a while; one that does not land in time is not
// waited for again.
func (e *Engine) await(ctx context.Context, f *journal.Flight) {
	e.care.mu.Lock()
	late := e.care.unwritten
	e.care.mu.Unlock()
	if late != nil {
		select {
		case <-late.Done():
		default:
			return
		}
	}
	wait, cancel := context.WithTimeout(ctx, markWait)
	defer cancel()
	if err := f.Wait(wait); err != nil && ctx.Err() == nil {
		e.log.Warn("what is being worked on could not be marked in the journal", "error", err)
	}
	e.care.mu.Lock()
	defer e.care.mu.Unlock()
	e.care.unwritten = nil
	select {
	case <-f.Done():
	default:
		e.care.unwritten = f
	}
}

// mark makes durable that work is about to be begun, when it has to be, and reports
// whether it did.
func (e *Engine) mark(ctx context.Context, w journal.Work, l journal.Lives) bool {
	if l.Empty() {
		return false
	}
	e.care.mu.Lock()
	done, ok := e.care.done[w.App]
	must := l.MustMark(w, e.care.on, ok && done == w)
	e.care.mu.Unlock()
	if _, isolated := l.Isolated(w); isolated || !must {
		return false
	}
	e.await(ctx, e.o.Journal.Update(journal.Urgent, func(b *journal.Book) journal.Change { return b.EnterWork(w, e.now()) }))
	return true
}

func (e *Engine) unmark(w journal.Work) {
	e.o.Journal.Update(journal.Lazy, func(b *journal.Book) journal.Change { return b.LeaveWork(w.App) })
}

// turn is work that is under way, as its context knows it.
type turn struct{ work journal.Work }

type turnKey struct{}

// enter begins work on an application; leave ends it.
func (e *Engine) enter(ctx context.Context, uid model.AppUID) (_ context.Context, leave func()) {
	var l journal.Lives
	t := &turn{}
	e.o.Journal.View(func(b *journal.Book) { t.work, l = b.WorkOf(uid), b.Lives() })
	if !e.mark(ctx, t.work, l) {
		return ctx, func() {}
	}
	return context.WithValue(ctx, turnKey{}, t), func() { e.leave(t) }
}

// leave takes the mark off. What the work leaves behind goes first, so that it is
// not the next application's.
func (e *Engine) leave(t *turn) {
	debug.FreeOSMemory()
	e.care.mu.Lock()
	if e.care.done != nil {
		e.care.done[t.work.App] = t.work
	}
	e.care.mu.Unlock()
	e.unmark(t.work)
}

// pause takes the mark off while an application waits for something, and resume
// sets it again.
func (e *Engine) pause(ctx context.Context) (resume func()) {
	t, ok := ctx.Value(turnKey{}).(*turn)
	if !ok {
		return func() {}
	}
	e.unmark(t.work)
	return func() { e.mark(ctx, t.work, e.lives()) }
}

// receive begins to take on a desired state, which is work, too: its manifests are
// unpacked. It is refused when agents were ended by exactly that.
func (e *Engine) receive(ctx context.Context, d model.Desired) (leave func(), err error) {
	var w journal.Work
	var l journal.Lives
	held := false
	e.o.Journal.View(func(b *journal.Book) {
		w = b.WorkOf(d.App)
		held = w.Generation >= d.Generation
		w.Generation = max(w.Generation, d.Generation)
		l = b.Lives()
	})
	switch s, isolated := l.Isolated(w); {
	case isolated && !held:
		return nil, isolation(s, l)
	case isolated:
		return func() {}, nil
	}
	e.care.mu.Lock()
	careful := e.care.on
	e.care.mu.Unlock()
	release := func() {}
	if careful {
		patience := time.NewTimer(turnWait)
		defer patience.Stop()
		select {
		case e.slots <- struct{}{}:
			release = func() { <-e.slots }
		case <-patience.C: // not alone, so nothing is held against either
		case <-ctx.Done():
			return nil, fault.New(fault.Unavailable, "agent_stopping", "the session has ended")
		}
	}
	if !e.mark(ctx, w, l) {
		return release, nil
	}
	return func() {
		debug.FreeOSMemory()
		e.unmark(w)
		release()
	}, nil
}

const codeIsolated = "application_isolated"

// isolation is what an application is told that is not worked on.
func isolation(s journal.Suspect, l journal.Lives) *fault.Error {
	how := "without a clean stop"
	if l.ForMemory == l.Total {
		how = "by the system, for want of memory"
	}
	return fault.New(fault.Unprocessable, codeIsolated,
		"the agent was ended %d times (%s) while it worked on this application and on nothing else, last at %s; it is not worked on any more, so nothing of it is synced, healed or deleted. "+
			"A smaller application or more memory for the agent helps; a new revision, a sync by hand or another version of the agent tries it again",
		s.Deaths, how, s.At.UTC().Format(time.RFC3339)).
		WithFix("commit a smaller application, or raise the agent's memory limit and run `hawser app sync`")
}

// bundleErrType is the type of the condition for manifests that are not worked on.
func bundleErrType(err error) string {
	if fault.HasCode(err, codeIsolated) {
		return "AgentError"
	}
	return "ComparisonError"
}

// isolated deals with an application that must not be worked on: it says so, and
// ends the operation that was to do it.
func (e *Engine) isolated(ctx context.Context, a *app, s snapshot) bool {
	var l journal.Lives
	var suspect journal.Suspect
	isolated := false
	e.o.Journal.View(func(b *journal.Book) {
		l = b.Lives()
		suspect, isolated = l.Isolated(b.WorkOf(a.uid))
	})
	if !isolated {
		return false
	}
	first := !fault.HasCode(a.bundleErr, codeIsolated)
	why := isolation(suspect, l)
	a.bundleErr = why
	a.take()
	if first {
		e.index(a, s.name, nil)
		e.log.Error("an application is isolated", "application", s.name, "deaths", suspect.Deaths, "last", suspect.At)
	}
	if s.op != nil {
		e.finish(a, s.op, model.PhaseFailed, why.Message, nil, nil)
	}
	e.publish(ctx, a, e.snapshot(a.uid), nil)
	return true
}
