package tunnel

import (
	"sync"
	"time"
)

// deadline is a time that waiters can wait for and that can be moved. Its zero
// value is one that never passes.
type deadline struct {
	mu    sync.Mutex
	timer *time.Timer
	moves uint64        // tells a timer that fires late that it was replaced
	done  chan struct{} // closed when the deadline has passed
	over  bool
}

// set moves the deadline; the zero time is never.
func (d *deadline) set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.moves++
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	if d.over {
		d.over, d.done = false, nil
	}
	if t.IsZero() {
		return
	}
	wait := time.Until(t)
	if wait <= 0 {
		d.pass()
		return
	}
	move := d.moves
	d.timer = time.AfterFunc(wait, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.moves == move {
			d.pass()
		}
	})
}

// pass is called with d.mu held.
func (d *deadline) pass() {
	if d.done == nil {
		d.done = make(chan struct{})
	}
	d.over = true
	close(d.done)
}

// passed is closed when the deadline passes. A waiter that holds it while the
// deadline is moved is not told of the new one unless the channel is the same;
// set keeps it as long as it was not closed.
func (d *deadline) passed() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.done == nil {
		d.done = make(chan struct{})
	}
	return d.done
}
