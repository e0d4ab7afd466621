package reconcile

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/shared/model"
)

// eyes is an Observer of which only the events are used.
type eyes struct {
	Observer
	event func(live.Event)
}

func (e *eyes) Subscribe(f func(live.Event))  { e.event = f }
func (e *eyes) OnKind(func(model.GroupKind))  {}
func (m *mouth) Changed(uids ...model.AppUID) { m.changed = append(m.changed, uids...) }

type mouth struct {
	Reports
	changed []model.AppUID
}

// A pod of a tracked Deployment changes the application's tree, and nothing that
// has to be compared.
func TestDescendantsChangeOnlyTheTree(t *testing.T) {
	see, say := &eyes{}, &mouth{}
	e := New(Options{Observer: see, Reports: say})
	e.index(e.app("uid-1"), "shop", nil)
	pod := model.ObjectKey{Kind: "Pod", Namespace: "shop", Name: "web-1"}
	see.event(live.Event{Key: pod, TreeOf: []string{"shop", "stranger"}})
	if !slices.Equal(say.changed, []model.AppUID{"uid-1"}) {
		t.Errorf("reported anew: %v", say.changed)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if uid, ok := e.queue.get(ctx); ok || len(e.queue.ready) > 0 {
		t.Errorf("%q was queued", uid)
	}
	see.event(live.Event{Key: pod})
	if len(say.changed) != 1 {
		t.Errorf("a stranger's pod is reported: %v", say.changed)
	}
}

// What changes just after a status was published is published too, when its time
// has come, and not only when something else happens.
func TestPacedForgetsNothing(t *testing.T) {
	now := time.Unix(1000, 0)
	moved, published := false, 0
	var waits []time.Duration
	call := paced(func() time.Time { return now },
		func() bool { m := moved; moved = false; return m },
		func(d time.Duration) { waits = append(waits, d) },
		func() { published++ })
	step := func(after time.Duration, move bool, wantPublished, wantWaits int) {
		t.Helper()
		now = now.Add(after)
		moved = move
		call()
		if published != wantPublished || len(waits) != wantWaits {
			t.Fatalf("published %d times, waited %v", published, waits)
		}
	}
	step(0, false, 1, 0)                    // at the beginning
	step(time.Second, false, 1, 0)          // news about others
	step(0, true, 2, 0)                     // it moved
	step(50*time.Millisecond, true, 2, 1)   // again, too soon
	step(50*time.Millisecond, true, 2, 1)   // one alarm is enough
	step(100*time.Millisecond, false, 3, 1) // the alarm
	step(300*time.Millisecond, false, 3, 1) // and that was all
	if waits[0] != 150*time.Millisecond {
		t.Errorf("the alarm comes after %s", waits[0])
	}
}
