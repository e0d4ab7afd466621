package app

import (
	"testing"
	"time"
)

// The age that people see must not stay young while the API server is silent.
func TestObservedAt(t *testing.T) {
	now := time.Unix(1000, 0)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	for name, c := range map[string]struct{ watched, renewed, want time.Time }{
		"renewed a moment ago":           {now, ago(5 * time.Second), now},
		"the server is silent":           {now, ago(20 * time.Second), ago(20 * time.Second)},
		"the watches broke before that":  {ago(30 * time.Second), ago(20 * time.Second), ago(30 * time.Second)},
		"the watches are behind":         {ago(9 * time.Second), ago(2 * time.Second), ago(9 * time.Second)},
		"never renewed: nothing is held": {now, time.Time{}, time.Time{}},
	} {
		if got := observedAt(c.watched, c.renewed, now); !got.Equal(c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
