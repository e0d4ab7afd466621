package api

import (
	"runtime"
	"testing"
	"time"
)

// goroutinesBackTo waits until there are no more goroutines than before.
func goroutinesBackTo(t *testing.T, before int) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		n := runtime.NumGoroutine()
		if n <= before {
			return
		}
		if time.Now().After(deadline) {
			buf := make([]byte, 1<<20)
			t.Fatalf("%d goroutines, %d before:\n%s", n, before, buf[:runtime.Stack(buf, true)])
		}
	}
}

// TestEventStreamsLeaveNothingBehind opens and closes 200 streams, some while
// events are under way, and comes back to where it was.
func TestEventStreamsLeaveNothingBehind(t *testing.T) {
	seen := &counted{}
	w := newWorld(t, realClock(50*time.Millisecond), func(o *Options) { o.Observer = seen })
	s := w.serve(t, true)
	first := w.listen(t, s, "") // what a connection of the client itself costs
	first.next()
	before := runtime.NumGoroutine()
	for range 4 {
		var open []*listener
		for range 50 {
			l := w.listen(t, s, "")
			l.next()
			open = append(open, l)
		}
		publish(w, "a", "b")
		for _, l := range open {
			l.close()
		}
	}
	goroutinesBackTo(t, before)
	first.close()
	<-first.ended
	for deadline := time.Now().Add(10 * time.Second); seen.streams.Load() != 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d streams count as open", seen.streams.Load())
		}
	}
	if n := seen.opened.Load(); n != 201 {
		t.Errorf("%d streams were told", n)
	}
	if n := seen.requests.Load(); n != 0 {
		t.Errorf("%d streams count as requests", n)
	}
}
