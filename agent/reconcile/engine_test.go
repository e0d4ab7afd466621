package reconcile

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/agent/journal"
	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/agent/sync"
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
	since   []time.Time
	asked   func()
}

func (m *mouth) ChangedSince(at time.Time, _ ...model.AppUID) {
	m.since = append(m.since, at)
	m.asked()
}

// News that waits in the queue bounds the age that is printed until the status
// that shows it is marked as changed, with its time.
func TestUnprocessedNewsBoundTheAge(t *testing.T) {
	clock := now
	o, m := &eyes{}, &mouth{}
	e := New(Options{Observer: o, Reports: m, Journal: noBook{}, Now: func() time.Time { return clock }})
	key := model.ObjectKey{Kind: "ConfigMap", Namespace: "n", Name: "a"}
	a := e.app("uid-web")
	e.index(a, "web", []sync.Prepared{{Key: key}})
	if at := e.Unprocessed(); !at.IsZero() {
		t.Fatalf("nothing happened, and %v waits", at)
	}
	first := clock
	o.event(live.Event{Key: key, SpecChanged: true})
	clock = clock.Add(time.Second)
	o.event(live.Event{Key: key}) // only its health
	if at := e.Unprocessed(); !at.Equal(first) {
		t.Fatalf("unprocessed since %v, want %v", at, first)
	}
	var later time.Time
	m.asked = func() {
		if at := e.Unprocessed(); !at.Equal(first) {
			t.Errorf("while it is marked: %v, want %v", at, first)
		}
		clock = clock.Add(time.Second)
		later = clock
		o.event(live.Event{Key: key, SpecChanged: true}) // comes meanwhile
	}
	a.bundleErr = errBundleLost // so that nothing has to be compared
	e.publish(t.Context(), a, snapshot{desired: &model.Desired{App: "uid-web", Name: "web", Generation: 1}}, nil)
	if len(m.since) != 1 || !m.since[0].Equal(first) {
		t.Errorf("marked as changed at %v, want %v", m.since, first)
	}
	if at := e.Unprocessed(); !at.Equal(later) {
		t.Errorf("what came meanwhile: %v, want %v", at, later)
	}
}

type noBook struct{ Journal }

func (noBook) Conditions() []model.Condition { return nil }

// book is a journal in memory.
type book struct {
	Journal
	held *journal.Book
}

func (b book) Update(_ journal.Urgency, f func(*journal.Book) journal.Change) *journal.Flight {
	f(b.held)
	return nil
}

// When two applications desire one object and the owner lets go, the other is
// woken, owns it, and may try to sync again.
func TestAnObjectThatIsLetGoWakesWhoElseDesiresIt(t *testing.T) {
	shared := []sync.Prepared{{Key: model.ObjectKey{Kind: "ConfigMap", Namespace: "n", Name: "a"}}}
	for name, letGo := range map[string]func(*Engine, *app){
		"it is not desired any more":     func(e *Engine, a *app) { e.index(a, "first", nil) },
		"the application is not held":    func(e *Engine, a *app) { e.forget(a.uid) },
		"it was desired twice and again": func(e *Engine, a *app) { e.index(a, "first", shared); e.index(a, "first", nil) },
	} {
		t.Run(name, func(t *testing.T) {
			o := &eyes{}
			b := book{held: journal.New()}
			b.held.Apps["second"] = &journal.Record{App: "second", Attempt: &journal.Attempt{Generation: 1, Failed: true, Count: 9}}
			e := New(Options{Observer: o, Journal: b, Now: func() time.Time { return now }})
			first, second, third := e.app("first"), e.app("second"), e.app("third")
			e.index(first, "first", shared)
			e.index(second, "second", shared)
			e.index(third, "third", shared)
			_, _ = second.take()
			if len(e.queue.ready) != 0 {
				t.Fatalf("woken early: %v", e.queue.ready)
			}
			letGo(e, first)
			if got := e.queue.ready; len(got) != 1 || got[0] != "second" {
				t.Fatalf("woken: %v", got)
			}
			if all, _ := second.take(); !all {
				t.Error("it does not compare anew")
			}
			if b.held.Apps["second"].Attempt != nil {
				t.Error("its failed attempts still count")
			}
			// Events about the object reach whoever desires it.
			o.event(live.Event{Key: shared[0].Key, SpecChanged: true})
			if _, touched := second.take(); !touched[shared[0].Key] {
				t.Error("the owner does not hear of the object")
			}
			e.forget("second")
			if e.owners[shared[0].Key] != "third" || len(e.rivals) != 0 {
				t.Errorf("owner %q, rivals %v", e.owners[shared[0].Key], e.rivals)
			}
		})
	}
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

// What applications own is what they desire and what is tracked as theirs; those
// who ask are told when it becomes something else.
func TestWhatApplicationsOwn(t *testing.T) {
	moved := 0
	e := New(Options{Observer: &eyes{}, Reports: &mouth{}, Journal: noBook{}, Moved: func() { moved++ }, Now: func() time.Time { return now }})
	key := model.ObjectKey{Kind: "ConfigMap", Namespace: "n", Name: "a"}
	other := model.ObjectKey{Kind: "ConfigMap", Namespace: "n", Name: "b"}
	want := func(what string, key model.ObjectKey, trackedAs string, owned bool) {
		t.Helper()
		if e.Owned(key, trackedAs) != owned {
			t.Errorf("%s: owned is %v", what, !owned)
		}
	}
	want("nothing is held", key, "web", false)
	e.index(e.app("uid-web"), "web", []sync.Prepared{{Key: key}})
	e.index(e.app("uid-api"), "api", nil)
	want("desired", key, "", true)
	want("not desired", other, "", false)
	want("not desired any more, and tracked", other, "web", true)
	want("tracked as what is not held", other, "argo", false)
	e.index(e.app("uid-web"), "web", nil)
	want("nobody desires it", key, "", false)
	want("nobody desires it, and tracked", key, "web", true)
	e.forget("uid-api")
	want("tracked as what was forgotten", key, "api", false)
	if moved != 4 {
		t.Errorf("told %d times", moved)
	}
}
