package exposition

import "sync"

// Other stands for the values of a label that are one too many.
const Other = "other"

// Bounded keeps the values of a label to a number, whatever comes: the first of
// them are taken as they are, and all others are Other. It is for values that
// come from a closed set in this program, or should, and may come from elsewhere.
// It is safe for concurrent use.
type Bounded struct {
	most int

	mu   sync.RWMutex
	seen map[string]bool
}

// NewBounded takes up to most values.
func NewBounded(most int) *Bounded { return &Bounded{most: most, seen: map[string]bool{}} }

// Value is v, or Other.
func (b *Bounded) Value(v string) string {
	if len(v) > 64 {
		return Other
	}
	b.mu.RLock()
	seen := b.seen[v]
	b.mu.RUnlock()
	if seen {
		return v
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.seen[v] && len(b.seen) >= b.most {
		return Other
	}
	b.seen[v] = true
	return v
}
