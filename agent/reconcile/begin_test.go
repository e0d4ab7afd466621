package reconcile

import (
	"context"
	"errors"
	"testing"

	"github.com/hawser-dev/hawser/agent/journal"
	"github.com/hawser-dev/hawser/shared/model"
)

// viewed is a book that can be looked at.
type viewed struct{ book }

func (v viewed) View(f func(*journal.Book)) { f(v.held) }

// What comes between the look that a run is decided on and its begin finds no run to
// cancel; the run must not begin then. A hook without a deadline would keep it going
// for ever.
func TestWhatComesBeforeARunBeginsIsNotMissed(t *testing.T) {
	const uid = "uid-web"
	record := func() *journal.Record {
		return &journal.Record{App: uid, Name: "web", Desired: &model.Desired{App: uid, Name: "web", Generation: 3}}
	}
	operation := func(r *journal.Record) { r.Op = &journal.Operation{Command: model.Command{ID: "op", App: uid}} }
	removal := func(r *journal.Record) {
		r.Withdraw = &model.Withdraw{App: uid, Operation: "del", Mode: model.WithdrawCascade}
	}
	nothing := func(*journal.Record) {}
	for name, c := range map[string]struct {
		kind   runKind
		before func(*journal.Record)
		comes  func(*journal.Book)
		want   error
	}{
		"nothing, an automated run": {runAuto, nothing, func(*journal.Book) {}, nil},
		"nothing, an operation":     {runOperation, operation, func(*journal.Book) {}, nil},
		"nothing, a removal":        {runWithdraw, removal, func(*journal.Book) {}, nil},
		"the end of the operation":  {runOperation, operation, func(b *journal.Book) { b.Apps[uid].Op.Terminating = true }, errTerminated},
		"a removal":                 {runOperation, operation, func(b *journal.Book) { removal(b.Apps[uid]) }, errWithdrawn},
		"a removal, automated":      {runAuto, nothing, func(b *journal.Book) { removal(b.Apps[uid]) }, errWithdrawn},
		"it is gone":                {runHeal, nothing, func(b *journal.Book) { delete(b.Apps, uid) }, errWithdrawn},
		"a newer state":             {runAuto, nothing, func(b *journal.Book) { b.Apps[uid].Desired = &model.Desired{Generation: 4} }, errNewer},
		"deletes are held":          {runAuto, nothing, func(b *journal.Book) { b.Apps[uid].Desired = &model.Desired{Generation: 3, HoldDeletes: true} }, errNewer},
		"a newer state, operation":  {runOperation, operation, func(b *journal.Book) { b.Apps[uid].Desired = &model.Desired{Generation: 4} }, nil},
		"an operation, self-heal":   {runHeal, nothing, func(b *journal.Book) { operation(b.Apps[uid]) }, errNewer},
		"an operation, automated":   {runAuto, nothing, func(b *journal.Book) { operation(b.Apps[uid]) }, nil},
		"one waits, self-heal":      {runHeal, operation, func(*journal.Book) {}, nil},
		"the removal is given up": {runWithdraw, removal, func(b *journal.Book) {
			b.Apps[uid].Withdraw = &model.Withdraw{App: uid, Operation: "del", Mode: model.WithdrawOrphan}
		}, errWithdrawn},
	} {
		t.Run(name, func(t *testing.T) {
			b := viewed{book{held: journal.New()}}
			b.held.Apps[uid] = record()
			c.before(b.held.Apps[uid])
			e := New(Options{Observer: &eyes{}, Journal: b})
			a, s := e.app(uid), e.snapshot(uid)
			s.op = s.pending
			c.comes(b.held)
			ctx, end := e.begin(t.Context(), a, s, c.kind)
			defer end()
			if got := context.Cause(ctx); !errors.Is(got, c.want) || (got == nil) != (c.want == nil) {
				t.Errorf("%v, want %v", got, c.want)
			}
			if c.kind == runOperation && a.opID != "op" {
				t.Errorf("the run is of operation %q", a.opID)
			}
		})
	}
}

// What is newer and not stored yet does not keep drift from being repaired.
func TestHealingGoesOnWhileTheNewerIsNotStored(t *testing.T) {
	const uid = "uid-web"
	b := viewed{book{held: journal.New()}}
	b.held.Apps[uid] = &journal.Record{App: uid, Name: "web", Desired: &model.Desired{Generation: 3}}
	e := New(Options{Observer: &eyes{}, Journal: b})
	a, s := e.app(uid), e.snapshot(uid)
	b.held.Apps[uid].Desired = &model.Desired{Generation: 4}
	a.takeOff(nil, &held{s: s})
	for kind, want := range map[runKind]error{runHeal: nil, runAuto: errNewer} {
		ctx, end := e.begin(t.Context(), a, s, kind)
		if got := context.Cause(ctx); got != want {
			t.Errorf("%v: %v, want %v", kind, got, want)
		}
		end()
	}
}
