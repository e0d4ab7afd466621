package store

import (
	"sync"
	"testing"
)

func TestCacheEpochChangesEverySecondAndWhenItIsAskedTo(t *testing.T) {
	s := setup(t).Store
	read := func(roll bool) string {
		t.Helper()
		v, err := s.CacheEpoch(t.Context(), roll)
		if err != nil || v == "" {
			t.Fatalf("%q %v", v, err)
		}
		return v
	}
	age := func(sql string) {
		t.Helper()
		if _, err := s.pool.Exec(t.Context(), `UPDATE cache_epoch SET at = `+sql); err != nil {
			t.Fatal(err)
		}
	}
	seen := map[string]bool{}
	changed := func(what, v string) {
		t.Helper()
		if seen[v] {
			t.Errorf("%s: the same again", what)
		}
		seen[v] = true
	}
	changed("the first", read(false))
	age("clock_timestamp() + interval '-0.2 second'")
	if v := read(false); !seen[v] {
		t.Error("it changed within a second")
	}
	age("clock_timestamp() - interval '1.1 seconds'")
	changed("after a second", read(false))
	age("clock_timestamp() + interval '1 hour'")
	changed("of a clock that was set back", read(false))
	changed("asked to", read(true))
	changed("asked to again", read(true))

	// Hubs that ask at once when it is old agree on one.
	age("clock_timestamp() - interval '1 minute'")
	got := make([]string, 8)
	var all sync.WaitGroup
	for i := range got {
		all.Go(func() { got[i], _ = s.CacheEpoch(t.Context(), false) })
	}
	all.Wait()
	for _, v := range got {
		if v != got[0] || v == "" {
			t.Errorf("%q", got)
		}
	}
}
