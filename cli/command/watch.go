package command

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"time"

	"github.com/hawser-dev/hawser/cli/client"
	"github.com/hawser-dev/hawser/cli/output"
	"github.com/hawser-dev/hawser/shared/fault"
)

// watchPause is the least time between two looks at the hub: many changes at
// once are one look.
const watchPause = 500 * time.Millisecond

// seen is what -w has printed so far.
type seen struct {
	last  map[string]any // by name, without what changes by itself
	sheet *output.Sheet
	runs  int
}

// changed reports whether v is not as it was printed last, and remembers it.
func (s *seen) changed(name string, v any) (bool, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return false, err
	}
	var now any
	if err := json.Unmarshal(b, &now); err != nil {
		return false, err
	}
	steady(now)
	if old, ok := s.last[name]; ok && reflect.DeepEqual(old, now) {
		return false, nil
	}
	s.last[name] = now
	return true, nil
}

// steady takes out what changes by itself: when something was looked at.
func steady(v any) {
	switch x := v.(type) {
	case map[string]any:
		for _, k := range []string{"asOf", "observedAt", "lastSeen", "lastCheck", "receivedAt"} {
			delete(x, k)
		}
		for _, child := range x {
			steady(child)
		}
	case []any:
		for _, child := range x {
			steady(child)
		}
	}
}

// freshItems are those that are new or not as they were.
func freshItems[T any](s *seen, l listing[T], items []T) ([]T, error) {
	var out []T
	for i, x := range items {
		fresh, err := s.changed(l.nameOf(x), x)
		if err != nil {
			return nil, err
		}
		if fresh {
			out = append(out, items[i])
		}
	}
	return out, nil
}

// watchWith runs f now and after changes in the fleet, until the time is over or
// a person ends it. The stream is opened before the first look, so that nothing
// is missed between them; a broken one is opened again.
func (c *call) watchWith(f func(*call) error) error {
	ctx, cancel := c.limit(c.ctx, 0)
	defer cancel()
	c.session.seen = &seen{last: map[string]any{}}
	changes := make(chan struct{}, 1)
	ended := make(chan error, 1)
	go func() { ended <- c.changes(ctx, changes) }()
	w := *c
	w.ctx = ctx
	for {
		select {
		case <-changes:
		case err := <-ended:
			return watchEnd(c.ctx, ctx, err)
		}
		switch err := f(&w); {
		case ctx.Err() != nil:
			return watchEnd(c.ctx, ctx, ctx.Err())
		case err == nil:
			c.seen.runs++
		case c.seen.runs == 0 || !fault.Is(err, fault.Unavailable):
			return err
		}
		select {
		case <-time.After(watchPause):
		case <-ctx.Done():
		}
	}
}

// watchEnd is how a watch ends: that its time is over is no failure.
func watchEnd(outer, inner context.Context, err error) error {
	if outer.Err() == nil && errors.Is(inner.Err(), context.DeadlineExceeded) {
		return nil
	}
	return err
}

// changes signals on to when something in the fleet may have changed, until ctx
// ends. It returns when the hub will not be asked any more.
func (c *call) changes(ctx context.Context, to chan<- struct{}) error {
	signal := func() {
		select {
		case to <- struct{}{}:
		default: // one is waiting already
		}
	}
	pause, last, opened := watchPause, "", false
	for {
		err := c.api.Events(ctx, last, func(e client.Event) bool {
			if e.ID != "" {
				last = e.ID
			}
			pause, opened = watchPause, true
			signal()
			return true
		})
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil && !fault.Is(err, fault.Unavailable) && !fault.Is(err, fault.RateLimited) {
			return err
		}
		if err != nil && !opened {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
			pause = min(2*pause, 10*time.Second)
		}
	}
}
