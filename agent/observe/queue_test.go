package observe

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/shared/model"
)

func TestQueueMergesByObjectAndKeepsOrder(t *testing.T) {
	q := newQueue()
	got := make(chan live.Event, 10)
	q.subscribe(func(ev live.Event) { got <- ev })
	key := func(n string) model.ObjectKey { return model.ObjectKey{Kind: "ConfigMap", Name: n} }
	q.add(live.Event{Key: key("a"), Apps: []string{"x"}, SpecChanged: true})
	q.add(live.Event{Key: key("b")})
	q.add(live.Event{Key: key("a"), Apps: []string{"y", "x"}, Deleted: true, TreeOf: []string{"z"}})
	q.add(live.Event{Key: key("b"), Deleted: true})
	q.add(live.Event{Key: key("b")}) // it exists again
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { q.run(ctx); close(done) }()
	a, b := <-got, <-got
	if a.Key.Name != "a" || !a.SpecChanged || !a.Deleted || !slices.Equal(a.Apps, []string{"x", "y"}) || !slices.Equal(a.TreeOf, []string{"z"}) {
		t.Errorf("a: %+v", a)
	}
	if b.Key.Name != "b" || b.Deleted {
		t.Errorf("b: %+v", b)
	}
	for i := range 5 { // and goes on
		q.add(live.Event{Key: key(fmt.Sprint(i))})
		if ev := <-got; ev.Key.Name != fmt.Sprint(i) {
			t.Errorf("%+v", ev)
		}
	}
	cancel()
	<-done
	if len(q.pending) != 0 {
		t.Errorf("left: %v", q.pending)
	}
}

func TestUnionDoesNotWriteIntoItsArguments(t *testing.T) {
	backing := []string{"a", "keep"}
	got := union(backing[:1], []string{"b"})
	if backing[1] != "keep" || !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("%v %v", backing, got)
	}
}
