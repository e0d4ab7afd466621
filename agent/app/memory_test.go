package app

import (
	"runtime"
	"testing"
)

func TestMemoryIsReturnedInQuietMoments(t *testing.T) {
	const mib = 1 << 20
	before := heapUse{allocated: 100 * mib}
	for name, c := range map[string]struct {
		now   heapUse
		gain  uint64
		quiet bool
	}{
		"nothing to gain":        {heapUse{objects: 19 * mib, live: 19 * mib, allocated: 100 * mib}, 0, true},
		"free pages":             {heapUse{free: 5 * mib, objects: 20 * mib, live: 20 * mib, allocated: 100 * mib}, 5 * mib, true},
		"garbage":                {heapUse{objects: 25 * mib, live: 20 * mib, allocated: 101 * mib}, 5 * mib, true},
		"both together":          {heapUse{free: 3 * mib, objects: 22 * mib, live: 20 * mib, allocated: 101 * mib}, 5 * mib, true},
		"in the middle of work":  {heapUse{free: 30 * mib, objects: 25 * mib, live: 20 * mib, allocated: 120 * mib}, 35 * mib, false},
		"a collection under way": {heapUse{free: mib, objects: 10 * mib, live: 20 * mib, allocated: 100 * mib}, mib, true},
	} {
		if gain, quiet := c.now.gain(), c.now.quiet(before); gain != c.gain || quiet != c.quiet {
			t.Errorf("%s: gain %d, quiet %v", name, gain, quiet)
		}
	}
	runtime.GC() // nothing is known to live before the first
	if u := readHeapUse(); u.objects == 0 || u.live == 0 || u.allocated < u.live {
		t.Errorf("%+v", u)
	}
	keepMemoryLow()() // it ends when it is told
}
