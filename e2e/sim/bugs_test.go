package sim

import (
	"slices"
	"testing"
)

// TestSeededBugsAreFound builds a mistake into the wiring around the real
// decisions, and expects the checker to name it within a number of seeds.
func TestSeededBugsAreFound(t *testing.T) {
	for _, c := range []struct {
		bug    Bug
		within uint64
		as     []string // one of these invariants
	}{
		{IgnoreEpoch, 300, []string{"I3"}},
		{HubIgnoresEpoch, 300, []string{"I3"}},
		{PruneIncomplete, 300, []string{"I4"}},
		{ForgetTombstones, 500, []string{"P1"}},
		{AckBeforeDurable, 500, []string{"I2", "P2", "P1", "I3"}},
		{NoLease, 300, []string{"I3"}},
		{ErrorIsEmpty, 300, []string{"P1"}},
		{IgnoreGuard, 300, []string{"I4"}},
		{ForgetEnds, 500, []string{"P2"}},
		{AnswerFirst, 300, []string{"I1"}},
		{BeatUnstored, 500, []string{"P3"}},
		{CrossTalk, 300, []string{"P4"}},
		{AbsenceWithdraws, 500, []string{"P1"}},
		{IgnoreHold, 500, []string{"I4"}},
		{ForgetOpSeq, 500, []string{"I2"}},
		{IgnoreUIDs, 500, []string{"I4"}},
		{SendWhatWasRead, 3000, []string{"P2", "P1"}},
		{SentAfterDelivery, 1500, []string{"P2"}},
	} {
		t.Run(string(c.bug), func(t *testing.T) {
			found := false
			var others []Violation
			each(c.within, c.bug, func(seed uint64, v []Violation) bool {
				for _, v := range v {
					if slices.Contains(c.as, v.Invariant) {
						t.Logf("seed %d: %s", seed, v)
						found = true
						return false
					}
					others = append(others, v)
				}
				return true
			})
			if !found {
				t.Errorf("not found as %v within %d seeds; %d other violations %v", c.as, c.within, len(others), others[:min(3, len(others))])
			}
		})
	}
}
