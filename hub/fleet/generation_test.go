package fleet

import (
	"testing"
	"time"

	"github.com/hawser-dev/hawser/shared/model"
)

func TestNextGeneration(t *testing.T) {
	for name, c := range map[string]struct {
		current        *model.Desired
		counter, floor model.Generation
		bundle         string
		want           model.Generation
		rises          bool
	}{
		"the first":                         {bundle: "b", want: 1, rises: true},
		"the first after a withdrawal":      {counter: 4, bundle: "b", want: 5, rises: true},
		"the same":                          {current: desired("a", 3, "b"), counter: 3, bundle: "b", want: 3},
		"the same, a number was used":       {current: desired("a", 3, "b"), counter: 6, bundle: "b", want: 3},
		"other content":                     {current: desired("a", 3, "b"), counter: 3, bundle: "c", want: 4, rises: true},
		"other content, a number was used":  {current: desired("a", 3, "b"), counter: 6, bundle: "c", want: 7, rises: true},
		"the same, the agent holds more":    {current: desired("a", 3, "b"), counter: 3, floor: 8, bundle: "b", want: 9, rises: true},
		"the same, the agent holds another": {current: desired("a", 3, "b"), counter: 3, floor: 3, bundle: "b", want: 4, rises: true},
		"the same, issued again since":      {current: desired("a", 9, "b"), counter: 9, floor: 8, bundle: "b", want: 9},
		"a counter that lags":               {current: desired("a", 3, "b"), counter: 1, bundle: "c", want: 4, rises: true},
	} {
		next := desired("a", 77, c.bundle)
		next.HoldDeletes = true
		if g, rises := NextGeneration(c.current, c.counter, c.floor, *next); g != c.want || rises != c.rises {
			t.Errorf("%s: %d %v, want %d %v", name, g, rises, c.want, c.rises)
		}
	}
	if NextWithdrawal(3, 0) != 4 || NextWithdrawal(3, 8) != 9 {
		t.Error("a withdrawal must lie above everything issued and held")
	}
}

func TestFreshness(t *testing.T) {
	ago := func(d time.Duration) *time.Time { at := now.Add(-d); return &at }
	for name, c := range map[string]struct {
		connected      bool
		seen, observed *time.Time
		want           model.Freshness
	}{
		"never":                       {connected: true, seen: ago(0), want: model.FreshNever},
		"never, offline":              {want: model.FreshNever},
		"offline":                     {seen: ago(0), observed: ago(0), want: model.FreshStale},
		"just observed":               {connected: true, observed: ago(0), want: model.FreshLive},
		"30 s":                        {connected: true, observed: ago(30 * time.Second), want: model.FreshLive},
		"more than 30 s":              {connected: true, observed: ago(30*time.Second + 1), want: model.FreshLagging},
		"2 min":                       {connected: true, observed: ago(2 * time.Minute), want: model.FreshLagging},
		"more than 2 min":             {connected: true, observed: ago(2*time.Minute + 1), want: model.FreshStale},
		"old and confirmed":           {connected: true, seen: ago(5 * time.Second), observed: ago(time.Hour), want: model.FreshLive},
		"confirmed long ago":          {connected: true, seen: ago(time.Minute), observed: ago(time.Hour), want: model.FreshLagging},
		"new, older heartbeat":        {connected: true, seen: ago(time.Hour), observed: ago(time.Second), want: model.FreshLive},
		"in the future":               {connected: true, observed: ago(-time.Second), want: model.FreshStale},
		"in the future but confirmed": {connected: true, seen: ago(40 * time.Second), observed: ago(-time.Hour), want: model.FreshLagging},
	} {
		if got := Freshness(now, c.connected, c.seen, c.observed); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestLimited(t *testing.T) {
	stored := desired("a", 4, "b")
	change := model.Desired{App: "a", Project: "tight", ProjectSpec: model.AppProjectSpec{Description: "tight"}}
	got, ok := Limited(stored, 3, change)
	if !ok || got.Project != "tight" || got.ProjectSpec.Description != "tight" || got.Bundle != stored.Bundle || got.Name != stored.Name {
		t.Errorf("%+v, %v", got, ok)
	}
	if stored.Project == "tight" {
		t.Error("the stored state was changed in place")
	}
	for name, c := range map[string]struct {
		stored *model.Desired
		floor  model.Generation
	}{"nothing stored": {nil, 0}, "the agent holds a newer one": {stored, 4}} {
		if _, ok := Limited(c.stored, c.floor, change); ok {
			t.Errorf("%s: limited", name)
		}
	}
}
