package link

import (
	"context"
	"sync"

	"github.com/hawser-dev/hawser/shared/model"
)

// sequence hands a session's messages to the handler, one at a time and, for
// each application, in the hub's order although some bundles have to be
// fetched first: what follows a desired state that waits for its bundle waits
// with it, and a newer desired state or a withdrawal makes the waiting one
// unnecessary. InSync waits for all.
type sequence struct {
	ctx     context.Context
	handler Handler
	// fetch starts to get a bundle and calls done once, from another
	// goroutine; it calls it at the latest soon after ctx ended.
	fetch func(digest model.Digest, size int64, done func([]byte, error))
	ack   func(model.AppUID, model.Generation) func(error)
	// settled, if set, is called after each InSync.
	settled func()

	mu      sync.Mutex
	closed  bool
	waiting map[model.AppUID]*waiting
	inSync  bool // to be told when nothing waits
}

// waiting is a desired state whose bundle is on its way.
type waiting struct {
	desired    model.Desired
	operations []model.Command
}

func newSequence(ctx context.Context, h Handler) *sequence {
	return &sequence{ctx: ctx, handler: h, waiting: map[model.AppUID]*waiting{}}
}

// do calls the handler for a message that nothing has to precede.
func (q *sequence) do(f func(Handler)) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.closed {
		f(q.handler)
	}
}

// close waits for a running call of the handler; none begins afterwards.
func (q *sequence) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.waiting = map[model.AppUID]*waiting{}
}

func (q *sequence) desired(d model.Desired, inline []byte) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return
	}
	old := q.waiting[d.App]
	if old != nil && old.desired.Generation > d.Generation {
		return
	}
	if len(inline) > 0 || q.handler.HaveBundle(d.Bundle) {
		delete(q.waiting, d.App)
		q.handler.Desired(q.ctx, d, inline, q.ack(d.App, d.Generation))
		if old != nil {
			q.run(old.operations)
		}
		q.settle()
		return
	}
	w := &waiting{desired: d}
	if old != nil {
		w.operations = old.operations
	}
	q.waiting[d.App] = w
	q.fetch(d.Bundle, d.BundleBytes, func(b []byte, err error) { q.fetched(w, b, err) })
}

func (q *sequence) fetched(w *waiting, bundle []byte, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	d := w.desired
	if q.closed || q.waiting[d.App] != w {
		return
	}
	delete(q.waiting, d.App)
	ack := q.ack(d.App, d.Generation)
	if err != nil {
		ack(err)
	} else {
		q.handler.Desired(q.ctx, d, bundle, ack)
	}
	q.run(w.operations)
	q.settle()
}

func (q *sequence) withdraw(m model.Withdraw) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return
	}
	if old := q.waiting[m.App]; old != nil {
		delete(q.waiting, m.App)
		q.run(old.operations)
	}
	q.handler.Withdraw(q.ctx, m)
	q.settle()
}

func (q *sequence) operation(c model.Command) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return
	}
	if w := q.waiting[c.App]; w != nil {
		w.operations = append(w.operations, c)
		return
	}
	q.handler.Operation(q.ctx, c)
}

func (q *sequence) allSent() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.closed {
		q.inSync = true
		q.settle()
	}
}

// The callers of run and settle hold q.mu.

func (q *sequence) run(commands []model.Command) {
	for _, c := range commands {
		q.handler.Operation(q.ctx, c)
	}
}

func (q *sequence) settle() {
	if q.inSync && len(q.waiting) == 0 {
		q.inSync = false
		q.handler.InSync()
		if q.settled != nil {
			q.settled()
		}
	}
}
