package events

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/model"
)

// views holds rows in memory.
type views struct {
	mu    sync.Mutex
	rows  map[model.AppUID]string
	err   error
	reads int
	asked chan struct{} // receives after each read, when not nil
}

func (v *views) AppViews(_ context.Context, f fleet.ViewFilter) ([]model.AppView, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.reads++
	if v.asked != nil {
		select {
		case v.asked <- struct{}{}:
		default:
		}
	}
	if v.err != nil {
		return nil, v.err
	}
	var out []model.AppView
	for uid, name := range v.rows {
		if slices.Contains(f.UIDs, uid) {
			out = append(out, model.AppView{UID: uid, Name: name})
		}
	}
	return out, nil
}

func (v *views) set(f func()) {
	v.mu.Lock()
	defer v.mu.Unlock()
	f()
}

func startFeed(t *testing.T, v *views) (*Feed, *Reader) {
	t.Helper()
	b := New("r", 64)
	f := NewFeed(b, v, slog.New(slog.DiscardHandler))
	r := b.Subscribe()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- f.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return f, r
}

func readChanges(t *testing.T, r *Reader, n int) map[model.AppUID]applicationChange {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	out := map[model.AppUID]applicationChange{}
	for len(out) < n {
		list, err := r.Next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range list {
			body, err := e.Body()
			if err != nil {
				t.Fatal(err)
			}
			var c applicationChange
			if err := json.Unmarshal(body, &c); err != nil {
				t.Fatal(err)
			}
			if e.Type != "application" || e.Key != string(c.UID) {
				t.Errorf("event %s %s: %s", e.Type, e.Key, body)
			}
			out[c.UID] = c
		}
	}
	return out
}

func TestFeedPublishesPresentRows(t *testing.T) {
	v := &views{rows: map[model.AppUID]string{"1": "one", "2": "two"}}
	f, r := startFeed(t, v)
	f.PublishApplications([]model.AppUID{"1", "2", "3"})
	got := readChanges(t, r, 3)
	if c := got["1"]; c.Name != "one" || c.View == nil || c.View.Name != "one" || c.Deleted {
		t.Errorf("got %+v", c)
	}
	if c := got["3"]; !c.Deleted || c.View != nil {
		t.Errorf("got %+v", c)
	}
	v.set(func() { delete(v.rows, "1") })
	f.PublishApplications([]model.AppUID{"1"})
	if c := readChanges(t, r, 1)["1"]; !c.Deleted || c.Name != "one" {
		t.Errorf("got %+v", c)
	}
}

func TestFeedJoinsChanges(t *testing.T) {
	v := &views{rows: map[model.AppUID]string{"1": "one", "2": "two"}}
	f, r := startFeed(t, v)
	for range 1000 {
		f.PublishApplications([]model.AppUID{"1"})
	}
	f.PublishApplications([]model.AppUID{"2"})
	f.PublishApplications(nil)
	for seen := map[model.AppUID]bool{}; !seen["2"]; {
		for uid := range readChanges(t, r, 1) {
			seen[uid] = true
		}
	}
	v.set(func() {
		if v.reads > 100 {
			t.Errorf("%d reads for 1001 changes", v.reads)
		}
	})
}

func TestFeedLosesNothingWhileTheDatabaseIsAway(t *testing.T) {
	v := &views{rows: map[model.AppUID]string{"1": "one"}, err: errors.New("away"), asked: make(chan struct{}, 1)}
	f, r := startFeed(t, v)
	f.PublishApplications([]model.AppUID{"1"})
	<-v.asked
	v.set(func() { v.err = nil })
	if c := readChanges(t, r, 1)["1"]; c.Name != "one" || c.Deleted {
		t.Errorf("got %+v", c)
	}
}

func TestFeedPublishesOtherThings(t *testing.T) {
	f, r := startFeed(t, &views{})
	f.Publish("cluster", "c", map[string]string{"name": "eu"})
	list, err := r.Next(t.Context())
	if err != nil || len(list) != 1 || list[0].Type != "cluster" || list[0].Key != "c" {
		t.Fatalf("got %+v, %v", list, err)
	}
	if body, err := list[0].Body(); string(body) != `{"name":"eu"}` || err != nil {
		t.Errorf("got %s, %v", body, err)
	}
}
