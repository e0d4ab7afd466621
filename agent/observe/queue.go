package observe

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/shared/model"
)

// queue carries events from reflectors to subscribers. Adding never blocks;
// events of one object that were not delivered yet are merged, so the queue is
// bounded by the number of objects.
type queue struct {
	mu      sync.Mutex
	subs    []func(live.Event)
	pending map[model.ObjectKey]*live.Event
	order   []model.ObjectKey
	wake    chan struct{}
	news    atomic.Int64 // events that were added
}

func newQueue() *queue {
	return &queue{pending: map[model.ObjectKey]*live.Event{}, wake: make(chan struct{}, 1)}
}

func (q *queue) subscribe(f func(live.Event)) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.subs = append(q.subs, f)
}

func (q *queue) add(ev live.Event) {
	q.news.Add(1)
	q.mu.Lock()
	if old := q.pending[ev.Key]; old != nil {
		*old = merge(*old, ev)
	} else {
		q.pending[ev.Key] = &ev
		q.order = append(q.order, ev.Key)
	}
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// merge makes one event of two about the same object, a before b.
func merge(a, b live.Event) live.Event {
	return live.Event{
		Key:         b.Key,
		Apps:        union(a.Apps, b.Apps),
		SpecChanged: a.SpecChanged || b.SpecChanged,
		Deleted:     b.Deleted,
		TreeOf:      union(a.TreeOf, b.TreeOf),
	}
}

func union(a, b []string) []string {
	out := a
	for _, s := range b {
		if !slices.Contains(out, s) {
			out = append(slices.Clip(out), s)
		}
	}
	return out
}

// run delivers until ctx ends.
func (q *queue) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-q.wake:
		}
		for ctx.Err() == nil {
			q.mu.Lock()
			if len(q.order) == 0 {
				q.order = nil
				q.mu.Unlock()
				break
			}
			key := q.order[0]
			q.order = q.order[1:]
			ev := *q.pending[key]
			delete(q.pending, key)
			subs := q.subs
			q.mu.Unlock()
			for _, f := range subs {
				f(ev)
			}
		}
	}
}
