package sim

import (
	"flag"
	"fmt"
	"runtime"
	"sync"
	"testing"
)

var (
	seedFlag  = flag.Uint64("sim.seed", 0, "run this one seed and print its trace")
	seedsFlag = flag.Uint64("sim.seeds", 2500, "how many seeds to run")
	bugFlag   = flag.String("sim.bug", "", "with -sim.seed: build this bug in")
)

// each runs seeds on all processors until fn says stop.
func each(seeds uint64, bug Bug, fn func(seed uint64, found []Violation) (more bool)) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	next, stop := uint64(1), false
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for {
				mu.Lock()
				seed := next
				next++
				done := stop || seed > seeds
				mu.Unlock()
				if done {
					return
				}
				found := Check(Run(Config{Seed: seed, Bug: bug}))
				mu.Lock()
				if !stop && !fn(seed, found) {
					stop = true
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
}

func TestThePromiseHoldsForAllSeeds(t *testing.T) {
	if *seedFlag != 0 {
		h := Run(Config{Seed: *seedFlag, Bug: Bug(*bugFlag), Trace: func(s string) { fmt.Println(s) }})
		for _, v := range Check(h) {
			t.Errorf("seed %d: %s", *seedFlag, v)
		}
		return
	}
	failed := 0
	each(*seedsFlag, NoBug, func(seed uint64, found []Violation) bool {
		if len(found) > 0 {
			failed++
			t.Errorf("seed %d (rerun with -run ThePromise -sim.seed=%d): %d violations, the first: %s", seed, seed, len(found), found[0])
		}
		return failed < 20
	})
}
