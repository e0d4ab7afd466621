package render

import "sync"

// flights lets renders of the same source at the same content wait for the first
// of them.
type flights struct {
	mu sync.Mutex
	m  map[string]*flight
}

// flight is one render that others may wait for. out, trace and err may be read
// when done is closed.
type flight struct {
	done  chan struct{}
	out   *rendered
	trace *trace
	err   error
}

// join returns the flight for a key, and whether the caller is the one who
// renders and calls leave.
func (f *flights) join(key string) (fl *flight, first bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if fl, ok := f.m[key]; ok {
		return fl, false
	}
	if f.m == nil {
		f.m = map[string]*flight{}
	}
	fl = &flight{done: make(chan struct{})}
	f.m[key] = fl
	return fl, true
}

func (f *flights) leave(key string, fl *flight) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.m, key)
	close(fl.done)
}
