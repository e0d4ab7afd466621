package rig

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/hawser-dev/hawser/cli/client"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// Said is one statement of the hub on an operation.
type Said struct {
	// At is when it came, or when it was asked for.
	At time.Time
	// Asked: it answers a question. What the event stream says meanwhile may be
	// older or newer.
	Asked bool
	model.OperationInfo
}

// Watcher keeps what the hub's API says of applications and operations, as it
// says it. Its methods may be called from several goroutines.
type Watcher struct {
	api    *client.Client
	cancel context.CancelFunc
	done   chan struct{}

	mu     sync.Mutex
	apps   map[string]model.AppView
	said   map[model.AppUID][]Said
	asked  map[model.OperationID]time.Time
	change chan struct{}
	err    error
}

// Watch follows the hub's event stream until Stop.
func Watch(ctx context.Context, api *client.Client) *Watcher {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	w := &Watcher{api: api, cancel: cancel, done: make(chan struct{}), apps: map[string]model.AppView{}, said: map[model.AppUID][]Said{}, asked: map[model.OperationID]time.Time{}, change: make(chan struct{})}
	go func() {
		defer close(w.done)
		for ctx.Err() == nil {
			err := api.Events(ctx, "", func(ev client.Event) bool { return w.take(ctx, ev) })
			if err != nil && ctx.Err() == nil && !fault.Is(err, fault.Unavailable) {
				w.mu.Lock()
				w.err = err
				w.mu.Unlock()
			}
			select {
			case <-ctx.Done():
			case <-time.After(50 * time.Millisecond): // the hub is away: nothing tells when it is back
			}
		}
	}()
	return w
}

// Stop ends the watch.
func (w *Watcher) Stop() {
	w.cancel()
	<-w.done
}

// take applies one event; false opens the stream again.
func (w *Watcher) take(ctx context.Context, ev client.Event) bool {
	switch ev.Type {
	case "hello", "reset":
		apps, err := listApplications(ctx, w.api)
		if err != nil {
			return false
		}
		w.mu.Lock()
		w.apps = apps
	case "application":
		w.mu.Lock()
		if _, err := Applications(w.apps).take(ev.Data); err != nil {
			w.mu.Unlock()
			return false
		}
	case "operation":
		var op model.OperationInfo
		if err := json.Unmarshal(ev.Data, &op); err != nil {
			return false
		}
		w.mu.Lock()
		w.said[op.App] = append(w.said[op.App], Said{At: time.Now(), OperationInfo: op})
	default:
		return true
	}
	close(w.change)
	w.change = make(chan struct{})
	w.mu.Unlock()
	return true
}

// Operation asks the hub about an operation, and keeps what it says.
func (w *Watcher) Operation(ctx context.Context, id model.OperationID) (model.OperationInfo, error) {
	var op model.OperationInfo
	asked := time.Now()
	if err := w.api.Get(ctx, "/operations/"+string(id), &op); err != nil {
		return op, err
	}
	w.Keep(asked, op)
	return op, nil
}

// Keep keeps what the hub has answered to somebody who asked at a time: what is
// said from then on may be newer than the answer.
func (w *Watcher) Keep(asked time.Time, op model.OperationInfo) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.said[op.App] = append(w.said[op.App], Said{At: asked, Asked: true, OperationInfo: op})
}

// Said are the statements on the operations of one application, in order.
func (w *Watcher) Said(uid model.AppUID) []Said {
	w.mu.Lock()
	defer w.mu.Unlock()
	said := slices.Clone(w.said[uid])
	slices.SortStableFunc(said, func(a, b Said) int { return a.At.Compare(b.At) })
	return said
}

// askEvery paces the questions of Ended.
const askEvery = 200 * time.Millisecond

// Ended is how an operation has ended, as far as it was said, or the hub answers
// when it is asked, which it is now and then.
func (w *Watcher) Ended(ctx context.Context, uid model.AppUID, id model.OperationID) (model.OperationInfo, bool) {
	for _, s := range w.Said(uid) {
		if s.ID == id && s.Phase.Terminal() {
			return s.OperationInfo, true
		}
	}
	w.mu.Lock()
	early := time.Since(w.asked[id]) < askEvery
	if !early {
		w.asked[id] = time.Now()
	}
	w.mu.Unlock()
	if early {
		return model.OperationInfo{}, false
	}
	op, err := w.Operation(ctx, id)
	return op, err == nil && op.Phase.Terminal()
}

// App is the hub's row of an application.
func (w *Watcher) App(name string) (model.AppView, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	v, ok := w.apps[name]
	return v, ok
}

// Await returns when holds does. It is asked anew whenever the hub says
// something, and now and then, because not all that can be asked is said.
func (w *Watcher) Await(ctx context.Context, what string, holds func() bool) error {
	for {
		w.mu.Lock()
		change, err := w.change, w.err
		w.mu.Unlock()
		if err != nil {
			return err
		}
		if holds() {
			return nil
		}
		select {
		case <-change:
		case <-time.After(300 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("waited in vain until %s: %w", what, context.Cause(ctx))
		}
	}
}
