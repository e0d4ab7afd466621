package cache

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"
)

// word is the database's.
type word struct {
	mu    sync.Mutex
	n     int
	asked int
	err   error
	// before is called in each reading.
	before func()
}

func (w *word) read(_ context.Context, roll bool) (string, error) {
	if w.before != nil {
		w.before()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked++
	if roll {
		w.n++
	}
	return fmt.Sprint(w.n), w.err
}

func TestEpoch(t *testing.T) {
	c, w := newClock(), &word{}
	e := NewEpoch(w.read)
	e.now = c.now
	is := func(want string, asked int) {
		t.Helper()
		if got := e.Current(t.Context()); got != want || w.asked != asked {
			t.Errorf("%q, asked %d times; want %q, %d", got, w.asked, want, asked)
		}
	}
	is("0", 1)
	w.n = 1
	c.forward(epochKnown - 1)
	is("0", 1)
	c.forward(1)
	is("1", 2)
	e.Forget()
	is("2", 3) // at once, and changed
	is("2", 3)
	e.Forget()
	e.Forget()
	is("3", 4)

	c.forward(epochKnown)
	w.err = errors.New("no database")
	is("", 5)
	is("", 5) // nor again for a while
	w.err = nil
	c.forward(epochKnown)
	is("3", 6)

	// What is taken back while it is read counts for what was read.
	c.forward(epochKnown)
	w.before = func() { w.before = nil; e.Forget() }
	is("", 7)
	is("4", 8)
}

func TestEpochOfACallerWhoWentAway(t *testing.T) {
	e := NewEpoch(func(ctx context.Context, _ bool) (string, error) { return "x", ctx.Err() })
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if e.Current(gone) != "" || e.Current(t.Context()) != "x" {
		t.Error("others have to wait")
	}
}

func TestEpochOfASlowDatabaseIsOldWhenItComes(t *testing.T) {
	c, w := newClock(), &word{}
	e := NewEpoch(w.read)
	e.now = c.now
	w.before = func() { c.forward(epochKnown) }
	e.Current(t.Context())
	if e.Current(t.Context()); w.asked != 2 {
		t.Error("it is known from when it came, not from when it was asked for")
	}
}

func TestEpochIsReadByOneAtATime(t *testing.T) {
	w := &word{before: func() { time.Sleep(time.Millisecond) }}
	e := NewEpoch(w.read)
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if e.Current(t.Context()) != "0" {
				t.Error("not known")
			}
		})
	}
	all.Wait()
	if w.asked > 2 {
		t.Errorf("asked %d times", w.asked)
	}
}
