package gateway

import (
	"strings"
	"testing"
)

// A tree that is small on the wire and large in memory counts for what it costs, so
// that no second one is taken while it waits.
func TestE10_AReportCountsForWhatItCostsInMemory(t *testing.T) {
	u := newUnstored()
	u.add("app", 1, kept([]byte(`{"nodes":[`+strings.Repeat("{},", 10_000)+`{}]}`)))
	if !u.above(2 << 20) {
		t.Errorf("it counts as %d bytes", u.bytes)
	}
	u.stored(1)
	if u.above(0) {
		t.Errorf("%d bytes are left when it is stored", u.bytes)
	}
}
