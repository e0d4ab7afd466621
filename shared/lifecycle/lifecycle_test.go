package lifecycle

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

type diary struct {
	mu    sync.Mutex
	lines []string
}

func (d *diary) add(s string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, s)
}

func (d *diary) part(name string) Part {
	return Part{
		Name:  name,
		Start: func(context.Context) error { d.add("start " + name); return nil },
		Run: func(ctx context.Context) error {
			<-ctx.Done()
			d.add("end " + name)
			return nil
		},
		Stop: func(context.Context) error { return nil },
	}
}

func TestStartsInOrderAndStopsInReverse(t *testing.T) {
	var d diary
	ctx, cancel := context.WithCancel(t.Context())
	last := Part{Name: "last", Start: func(context.Context) error { d.add("start last"); cancel(); return nil },
		Stop: func(context.Context) error { d.add("stop last"); return nil }}
	if err := Run(ctx, nil, 5*time.Second, d.part("store"), d.part("gateway"), last); err != nil {
		t.Fatal(err)
	}
	want := []string{"start store", "start gateway", "start last", "stop last", "end gateway", "end store"}
	if !slices.Equal(d.lines, want) {
		t.Errorf("got %v, want %v", d.lines, want)
	}
}

func TestAFailureStopsEverything(t *testing.T) {
	boom := errors.New("boom")
	for name, bad := range map[string]Part{
		"start":    {Name: "bad", Start: func(context.Context) error { return boom }},
		"run":      {Name: "bad", Run: func(context.Context) error { return boom }},
		"run ends": {Name: "bad", Run: func(context.Context) error { return nil }},
	} {
		t.Run(name, func(t *testing.T) {
			var d diary
			err := Run(t.Context(), nil, 5*time.Second, d.part("store"), bad)
			if !errors.Is(err, boom) && !errors.Is(err, ErrEnded) || !strings.Contains(err.Error(), "bad") {
				t.Errorf("got %v", err)
			}
			if !slices.Contains(d.lines, "end store") {
				t.Error("the part before was not stopped")
			}
		})
	}
}

func TestWhatDoesNotStopIsNamed(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	release := make(chan struct{})
	defer close(release)
	var d diary
	stuck := Part{Name: "stuck", Start: func(context.Context) error { cancel(); return nil }, Run: func(context.Context) error { <-release; return nil }}
	err := Run(ctx, nil, 20*time.Millisecond, stuck)
	if err == nil || !strings.Contains(err.Error(), "stuck did not end") && !strings.Contains(err.Error(), "stop stuck") {
		t.Errorf("got %v", err)
	}
	bad := Part{Name: "bad", Stop: func(context.Context) error { return errors.New("no") }}
	ctx, cancel = context.WithCancel(t.Context())
	cancel()
	if err := Run(ctx, nil, time.Second, d.part("a"), bad); err != nil {
		t.Errorf("a part that was never started was stopped: %v", err)
	}
}
