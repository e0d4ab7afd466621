package veto

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"github.com/hawser-dev/hawser/shared/fault"
)

// CountStore keeps the count of deletes. Its methods block for a request each;
// errors are faults.
type CountStore interface {
	// LoadCounts returns what was saved last, nil when nothing was.
	LoadCounts(ctx context.Context) ([]byte, error)
	// SaveCounts replaces it. Conflict: it was changed meanwhile; load it again.
	SaveCounts(ctx context.Context, b []byte) error
}

const (
	// block is how many deletes are reserved by one write. What of a block was
	// not used when the agent ended counts as used.
	block = 10
	// blockAge is how long a block is used: its deletes are dated by its
	// beginning.
	blockAge = time.Minute
	window   = time.Hour + blockAge
	// operationAge is how long an operation that deletes nothing is remembered.
	operationAge = 24 * time.Hour
	// maxReservations bounds the store; the oldest are forgotten first.
	maxReservations = 1000
)

// reservation is a number of deletes by one operation, stored before they are
// made.
type reservation struct {
	Operation string    `json:"op"`
	At        time.Time `json:"at"`
	N         int       `json:"n"`
}

// ledger counts distinct objects whose deletion was asked for. Across a restart
// it counts too many rather than too few.
type ledger struct {
	store CountStore
	now   func() time.Time

	mu     sync.Mutex
	loaded bool
	kept   []reservation // in the order of time
	// open are the blocks that this process made and has not used up, and uids
	// the objects that it has counted, by operation.
	open map[string]*openBlock
	uids map[string]map[string]time.Time
}

type openBlock struct {
	at   time.Time
	left int
}

// counts answers what is counted for an operation and for the last hour.
func (l *ledger) counts(ctx context.Context, operation string) (Counts, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.load(ctx); err != nil {
		return Counts{}, err
	}
	l.notAhead()
	return l.count(operation), nil
}

// reserve counts one object, or says which limit is in the way. An object that
// the operation was counted for already costs nothing, so that a delete may be
// repeated.
func (l *ledger) reserve(ctx context.Context, p *Policy, operation, uid string) (Decision, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.load(ctx); err != nil {
		return Decision{}, err
	}
	l.notAhead()
	if _, ok := l.uids[operation][uid]; ok {
		return allowed, nil
	}
	c := l.count(operation)
	if d := DecideDeletes(p, c, 1); !d.Allowed {
		return d, nil
	}
	now := l.now()
	b := l.open[operation]
	if b == nil || b.left == 0 || now.Sub(b.at) > blockAge {
		n := block
		if p.perOperation >= 0 {
			n = min(n, p.perOperation-c.Operation)
		}
		if p.perHour >= 0 {
			n = min(n, p.perHour-c.Hour)
		}
		if err := l.add(ctx, reservation{Operation: operation, At: now, N: n}); err != nil {
			return Decision{}, err
		}
		b = &openBlock{at: now, left: n}
		l.open[operation] = b
	}
	b.left--
	if l.uids[operation] == nil {
		l.uids[operation] = map[string]time.Time{}
	}
	l.uids[operation][uid] = now
	return allowed, nil
}

// count counts what was reserved, less what this process has not used of it.
func (l *ledger) count(operation string) Counts {
	var c Counts
	since := l.now().Add(-window)
	for _, r := range l.kept {
		if r.Operation == operation {
			c.Operation += r.N
		}
		if r.At.After(since) {
			c.Hour += r.N
		}
	}
	for op, b := range l.open {
		if op == operation {
			c.Operation -= b.left
		}
		if b.at.After(since) {
			c.Hour -= b.left
		}
	}
	return c
}

// load reads the store once, and again after a conflict.
func (l *ledger) load(ctx context.Context) error {
	if l.loaded {
		return nil
	}
	b, err := l.store.LoadCounts(ctx)
	if err != nil {
		return unavailable(err)
	}
	var kept []reservation
	if len(b) > 0 {
		if err := json.Unmarshal(b, &kept); err != nil {
			return fault.Wrap(err, fault.Denied, "veto_counts_damaged", "the count of deletes cannot be read, so nothing is deleted").
				WithFix("delete the Secret hawser-veto-counts in the agent's namespace to begin a new count")
		}
	}
	for i := range kept {
		kept[i].N = max(kept[i].N, 0)
	}
	slices.SortStableFunc(kept, func(a, b reservation) int { return a.At.Compare(b.At) })
	l.kept, l.loaded = kept, true
	l.open = map[string]*openBlock{}
	l.uids = map[string]map[string]time.Time{}
	return nil
}

// notAhead dates what a clock dated that was ahead: it must not hold up deletes
// for longer than the window once the clock is right again.
func (l *ledger) notAhead() {
	now := l.now()
	for i := range l.kept {
		if l.kept[i].At.After(now) {
			l.kept[i].At = now
		}
	}
	for _, b := range l.open {
		if b.at.After(now) {
			b.at = now
		}
	}
}

// add stores a reservation before it is used.
func (l *ledger) add(ctx context.Context, r reservation) error {
	kept := l.withoutOld(r.Operation)
	kept = append(kept, r)
	b, err := json.Marshal(kept)
	if err != nil {
		return fault.Wrap(err, fault.Internal, "veto_counts_encode", "the count of deletes cannot be encoded")
	}
	if err := l.store.SaveCounts(ctx, b); err != nil {
		// It may be stored all the same, or somebody else wrote: what is there
		// counts.
		l.loaded = false
		return unavailable(err)
	}
	l.kept = kept
	return nil
}

// withoutOld gives back what this process reserved in ended blocks and did not
// use, and forgets what no limit can ask about any more.
func (l *ledger) withoutOld(reserving string) []reservation {
	now := l.now()
	kept := slices.Clone(l.kept)
	for op, b := range l.open {
		if op != reserving && now.Sub(b.at) <= blockAge {
			continue
		}
		for i := range kept {
			if kept[i].Operation == op && kept[i].At.Equal(b.at) {
				kept[i].N -= b.left
			}
		}
		b.left = 0
		delete(l.open, op)
	}
	lastOf := map[string]time.Time{}
	for _, r := range kept {
		if r.At.After(lastOf[r.Operation]) {
			lastOf[r.Operation] = r.At
		}
	}
	lastOf[reserving] = now
	kept = slices.DeleteFunc(kept, func(r reservation) bool {
		return r.N <= 0 || now.Sub(lastOf[r.Operation]) > operationAge
	})
	if len(kept) >= maxReservations {
		kept = joined(kept, now.Add(-window))
	}
	if over := len(kept) + 1 - maxReservations; over > 0 {
		kept = kept[over:]
	}
	for op := range l.uids {
		if now.Sub(lastOf[op]) > operationAge {
			delete(l.uids, op)
		}
	}
	return kept
}

// joined makes one of the reservations of an operation that are older than
// since.
func joined(kept []reservation, since time.Time) []reservation {
	at := map[string]int{}
	var out []reservation
	for _, r := range kept {
		if i, ok := at[r.Operation]; ok && !r.At.After(since) {
			out[i].N += r.N
			out[i].At = r.At
			continue
		}
		if !r.At.After(since) {
			at[r.Operation] = len(out)
		}
		out = append(out, r)
	}
	slices.SortStableFunc(out, func(a, b reservation) int { return a.At.Compare(b.At) })
	return out
}

func unavailable(err error) error {
	f := fault.As(err)
	if f.Kind == fault.Denied {
		return fault.Wrap(err, fault.Denied, "veto_counts_forbidden", "deletes cannot be counted, so nothing is deleted: %s", clip(f.Message, 200)).WithFix("%s", f.Fix)
	}
	return fault.Wrap(err, fault.Unavailable, "veto_counts_unavailable", "deletes cannot be counted now, so nothing is deleted: %s", clip(f.Message, 200))
}
