package fleet

import (
	"time"

	"github.com/hawser-dev/hawser/shared/model"
)

// NextGeneration decides whether a desired state is a new generation, and
// which. It rises when the content differs from what is stored, and when an
// agent was found to hold a generation at or above the stored one (floor, see
// Opening.RaiseGenerations): then the same content is issued again, above it.
// counter is the highest generation ever issued for the application; current
// is nil when there is none stored.
func NextGeneration(current *model.Desired, counter, floor model.Generation, next model.Desired) (g model.Generation, rises bool) {
	if current != nil && current.Generation > floor && current.Content() == next.Content() {
		return current.Generation, false
	}
	g = max(counter, floor)
	if current != nil {
		g = max(g, current.Generation)
	}
	return g + 1, true
}

// Limited is what a change with LimitsOnly asks for: the stored state under
// other limits. ok is false when there is none, or when an agent holds a newer
// one than the database, whose content must not come back.
func Limited(stored *model.Desired, floor model.Generation, change model.Desired) (next model.Desired, ok bool) {
	if stored == nil || stored.Generation <= floor {
		return model.Desired{}, false
	}
	next = *stored
	next.Project, next.ProjectSpec, next.TraceParent = change.Project, change.ProjectSpec, change.TraceParent
	next.Observe = change.Observe
	return next, true
}

// NextWithdrawal is the generation of a new withdrawal: above everything issued
// and everything that an agent holds.
func NextWithdrawal(counter, floor model.Generation) model.Generation {
	return max(counter, floor) + 1
}

// The bounds of the freshness facet.
const (
	LiveWithin    = 30 * time.Second
	LaggingWithin = 2 * time.Minute
)

// Freshness says how far an observation can be trusted now. observedAt is the
// time of the observation, nil when nothing was ever reported; lastSeen is the
// newest heartbeat that confirmed it, in the hub's clock, nil when there was
// none. An agent that is not connected is stale whatever it said last. A time
// in the future confirms nothing.
func Freshness(now time.Time, connected bool, lastSeen, observedAt *time.Time) model.Freshness {
	if observedAt == nil {
		return model.FreshNever
	}
	if !connected {
		return model.FreshStale
	}
	age, known := time.Duration(0), false
	for _, t := range []*time.Time{lastSeen, observedAt} {
		if t == nil || t.After(now) {
			continue
		}
		if a := now.Sub(*t); !known || a < age {
			age, known = a, true
		}
	}
	switch {
	case !known || age > LaggingWithin:
		return model.FreshStale
	case age > LiveWithin:
		return model.FreshLagging
	}
	return model.FreshLive
}
