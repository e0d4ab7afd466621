package observe

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/agent/live"
)

// A kind whose names nobody wants any more is not watched and takes no memory; it
// is unknown and not gone, and can be watched again.
func TestNamesAreForgotten(t *testing.T) {
	a := newAPIServer(t)
	var ended sync.WaitGroup
	a.handle("/api/v1/configmaps", func(w http.ResponseWriter, r *http.Request) {
		ended.Add(1)
		defer ended.Done()
		a.stream(w, r, r.Context().Done(), event("ADDED", cm("a", "5")), listEnd("6"), event("ADDED", cm("b", "7")))
	})
	o := a.observing(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var events []live.Event
	var mu sync.Mutex
	o.Subscribe(func(ev live.Event) {
		mu.Lock()
		defer mu.Unlock()
		events = append(events, ev)
	})
	for range 3 {
		o.WatchNames(gkConfigMap)
		if err := o.WaitSynced(ctx, gkConfigMap); err != nil {
			t.Fatal(err)
		}
		if p := presenceOf(o, "a"); p != live.Present {
			t.Fatalf("a is %v", p)
		}
		eventually(t, "what the watch brings is counted", func() bool {
			size := o.Size()
			return size.Objects == 2 && size.News > 0 && size.Kinds["live"] > 0
		})
		o.ForgetNames(gkConfigMap)
		if size := o.Size(); size.Objects != 0 {
			t.Errorf("forgotten: %+v", size)
		}
		if p := presenceOf(o, "a"); p != live.Unknown {
			t.Errorf("a is %v", p)
		}
		if n := len(o.List(gkConfigMap)); n != 0 || o.Synced(gkConfigMap) {
			t.Errorf("%d objects are known", n)
		}
		ended.Wait() // or the test ends here: the server still sends
	}
	mu.Lock()
	for _, ev := range events {
		if ev.Deleted {
			t.Errorf("%v is told to be deleted", ev.Key)
		}
	}
	mu.Unlock()
	o.ForgetNames(gkConfigMap, kindNamespace) // twice, and one that the observer needs
	o.mu.Lock()
	if o.wanted[kindNamespace] == nil {
		t.Error("namespaces are forgotten")
	}
	o.mu.Unlock()

	// What is watched as a whole is somebody else's.
	o.WatchNames(gkConfigMap)
	o.Watch(gkConfigMap)
	o.ForgetNames(gkConfigMap)
	if err := o.WaitSynced(ctx, gkConfigMap); err != nil || presenceOf(o, "a") != live.Present {
		t.Errorf("a is %v: %v", presenceOf(o, "a"), err)
	}
}

// However the end of one watch and the beginning of the next meet, the last word
// holds.
func TestForgettingAndWatchingMeet(t *testing.T) {
	a := newAPIServer(t)
	a.handle("/api/v1/configmaps", func(w http.ResponseWriter, r *http.Request) {
		a.stream(w, r, r.Context().Done(), event("ADDED", cm("a", "5")), listEnd("6"))
	})
	o := a.observing(t)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for i := range 200 {
		o.WatchNames(gkConfigMap)
		if i%7 == 0 {
			if err := o.WaitSynced(ctx, gkConfigMap); err != nil {
				t.Fatal(i, err)
			}
		}
		if full := i%3 == 0; full {
			o.Watch(gkConfigMap)
			if err := o.WaitSynced(ctx, gkConfigMap); err != nil {
				t.Fatal(i, err)
			}
			// As a whole once, it stays so: begin anew.
			o.mu.Lock()
			o.wanted[gkConfigMap].full.Store(false)
			o.mu.Unlock()
		}
		o.ForgetNames(gkConfigMap)
		if o.Synced(gkConfigMap) {
			t.Fatal(i, "it is synced, and nobody watches it")
		}
	}
	o.WatchNames(gkConfigMap)
	if err := o.WaitSynced(ctx, gkConfigMap); err != nil || presenceOf(o, "a") != live.Present {
		t.Fatalf("a is %v: %v", presenceOf(o, "a"), err)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.ending) > 1 {
		t.Errorf("%d reflectors are kept", len(o.ending))
	}
}
