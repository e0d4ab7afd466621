package reconcile

import (
	"context"
	"sync"
	"time"

	"github.com/hawser-dev/hawser/shared/model"
)

// queue hands out applications, each to one worker at a time. Adding one that
// is being worked on hands it out once more afterwards.
type queue struct {
	now func() time.Time

	mu      sync.Mutex
	ready   []model.AppUID
	waiting map[model.AppUID]bool // in ready
	busy    map[model.AppUID]bool
	again   map[model.AppUID]bool // added while busy
	timers  map[model.AppUID]*alarm
	wake    chan struct{}
	closed  bool
}

type alarm struct {
	at    time.Time
	timer *time.Timer
}

func newQueue(now func() time.Time) *queue {
	return &queue{now: now, waiting: map[model.AppUID]bool{}, busy: map[model.AppUID]bool{}, again: map[model.AppUID]bool{},
		timers: map[model.AppUID]*alarm{}, wake: make(chan struct{}, 1)}
}

// add makes the application ready.
func (q *queue) add(uid model.AppUID) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.addLocked(uid)
}

func (q *queue) addLocked(uid model.AppUID) {
	if q.closed {
		return
	}
	if t := q.timers[uid]; t != nil {
		t.timer.Stop()
		delete(q.timers, uid)
	}
	switch {
	case q.busy[uid]:
		q.again[uid] = true
	case !q.waiting[uid]:
		q.waiting[uid] = true
		q.ready = append(q.ready, uid)
		q.signal()
	}
}

// addAt makes the application ready at a time, unless it is earlier by then.
func (q *queue) addAt(uid model.AppUID, at time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	d := at.Sub(q.now())
	if d <= 0 {
		q.addLocked(uid)
		return
	}
	if q.closed || q.waiting[uid] || q.again[uid] {
		return
	}
	if t := q.timers[uid]; t != nil {
		if !at.Before(t.at) {
			return
		}
		t.timer.Stop()
	}
	a := &alarm{at: at}
	a.timer = time.AfterFunc(d, func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		if q.timers[uid] == a {
			delete(q.timers, uid)
			q.addLocked(uid)
		}
	})
	q.timers[uid] = a
}

func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// get waits for an application; false when ctx has ended. The caller calls done.
func (q *queue) get(ctx context.Context) (model.AppUID, bool) {
	for {
		q.mu.Lock()
		if len(q.ready) > 0 && ctx.Err() == nil {
			uid := q.ready[0]
			q.ready = q.ready[1:]
			delete(q.waiting, uid)
			q.busy[uid] = true
			if len(q.ready) > 0 {
				q.signal()
			}
			q.mu.Unlock()
			return uid, true
		}
		q.mu.Unlock()
		select {
		case <-ctx.Done():
			return "", false
		case <-q.wake:
		}
	}
}

// done ends the work on an application.
func (q *queue) done(uid model.AppUID) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.busy, uid)
	if q.again[uid] {
		delete(q.again, uid)
		q.addLocked(uid)
	}
}

// close stops the timers; what is added later is dropped.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	for _, t := range q.timers {
		t.timer.Stop()
	}
	clear(q.timers)
}
