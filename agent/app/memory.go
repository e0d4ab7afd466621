package app

import (
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// memoryEvery is how often it is looked whether memory can be given back, and
	// startEvery how often while the agent starts.
	memoryEvery = 10 * time.Second
	startEvery  = 2 * time.Second
	// worthReturning is how much must be gained by it at least; it is a sixteenth
	// of what lives where that is more, as the collection before costs that much more.
	worthReturning = 1 << 20
	// busyAllocating: an agent that allocated more than this since the last look
	// would soon take back what it gave.
	busyAllocating = 2 << 20

	// Garbage is collected earlier than Go does by itself: an agent shares its
	// machine with the workloads it is there for, and its heap is small, so the
	// extra collections cost little. While it starts, when lists of whole clusters
	// go through it, earlier still: how high the heap ever was stays visible in how
	// scattered it is.
	startGC, calmGC = 20, 33
)

// heapUse is what the decision needs, in bytes.
type heapUse struct {
	free      uint64 // taken from the system and not used
	objects   uint64 // live and dead
	live      uint64 // of those, what the last collection found alive
	allocated uint64 // since the start of the process
}

// quiet reports whether little happened since before.
func (u heapUse) quiet(before heapUse) bool { return u.allocated-before.allocated < busyAllocating }

// gain is how much could be given back.
func (u heapUse) gain() uint64 {
	if u.objects > u.live {
		return u.free + u.objects - u.live
	}
	return u.free
}

// keepMemoryLow sets how early garbage is collected, unless GOGC in the
// environment says it, and gives memory back to the system in quiet moments until
// stop is called. Go's own way is to keep a share of the most that a program ever
// needed, in the expectation of the next burst; the bursts of an agent, lists at
// its start and syncs, are minutes or hours apart, and its machine belongs to
// others.
func keepMemoryLow() (stop func()) {
	chosen := os.Getenv("GOGC") != ""
	if !chosen {
		debug.SetGCPercent(startGC)
	}
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(startEvery)
		defer tick.Stop()
		before, starting := readHeapUse(), true
		for {
			select {
			case <-done:
				return
			case <-tick.C:
			}
			now := readHeapUse()
			if now.quiet(before) {
				if starting {
					starting = false
					tick.Reset(memoryEvery)
					if !chosen {
						debug.SetGCPercent(calmGC)
					}
				}
				if now.gain() >= max(worthReturning, now.live/16) {
					debug.FreeOSMemory()
				}
			}
			before = now
		}
	}()
	return func() {
		close(done)
		<-ended
	}
}

func readHeapUse() heapUse {
	samples := []metrics.Sample{
		{Name: "/memory/classes/heap/free:bytes"}, {Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/gc/heap/live:bytes"}, {Name: "/gc/heap/allocs:bytes"},
	}
	metrics.Read(samples)
	value := func(i int) uint64 {
		if samples[i].Value.Kind() != metrics.KindUint64 { // a Go that does not know it
			return 0
		}
		return samples[i].Value.Uint64()
	}
	return heapUse{free: value(0), objects: value(1), live: value(2), allocated: value(3)}
}
