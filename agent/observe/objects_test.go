package observe

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// TestObjectsAreAMap: whatever comes and goes, the table holds what a map would.
func TestObjectsAreAMap(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 7))
		var o objects
		want := map[nsName]*entry{}
		for step := range 3000 {
			k := nsName{fmt.Sprint("ns", rng.IntN(3)), fmt.Sprint("n", rng.IntN(1+step/10))}
			if rng.IntN(9) == 0 {
				k.namespace = ""
			}
			switch e := want[k]; {
			case e == nil && rng.IntN(3) > 0 && step < 2000:
				e = &entry{nsName: k}
				o.add(e)
				want[k] = e
			case e != nil && (rng.IntN(3) == 0 || step >= 2000):
				o.remove(k)
				delete(want, k)
			case e == nil:
				o.remove(k) // nothing
			}
			if got := o.get(k); got != want[k] {
				t.Fatalf("seed %d, step %d: %v is %v, want %v", seed, step, k, got, want[k])
			}
			if o.n != len(want) {
				t.Fatalf("seed %d, step %d: %d entries, want %d", seed, step, o.n, len(want))
			}
		}
		for k, e := range want {
			if o.get(k) != e {
				t.Errorf("seed %d: %v is lost", seed, k)
			}
		}
		all := o.all()
		if len(all) != len(want) {
			t.Errorf("seed %d: %d in all, want %d", seed, len(all), len(want))
		}
		for _, e := range all {
			o.remove(e.nsName)
		}
		if o.n != 0 || o.slots != nil || o.get(nsName{"a", "b"}) != nil {
			t.Errorf("seed %d: %d left in %d slots", seed, o.n, len(o.slots))
		}
	}
}

func TestObjectsShrink(t *testing.T) {
	var o objects
	for i := range 1000 {
		o.add(&entry{nsName: nsName{"a", fmt.Sprint(i)}})
	}
	most := len(o.slots)
	for i := range 990 {
		o.remove(nsName{"a", fmt.Sprint(i)})
	}
	if most > 2048 || len(o.slots) > 128 {
		t.Errorf("%d slots for 1000 and %d for 10", most, len(o.slots))
	}
}
