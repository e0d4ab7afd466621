package report

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/shared/model"
)

// world is everything around a Reporter.
type world struct {
	mu       sync.Mutex
	statuses map[model.AppUID]model.AppStatus
	objects  map[model.ObjectKey]live.Record
	children map[string][]live.Record
	sent     []model.AppReport
	batches  int
	observed time.Time
	building func()
}

func newWorld() *world {
	return &world{statuses: map[model.AppUID]model.AppStatus{}, objects: map[model.ObjectKey]live.Record{}, children: map[string][]live.Record{}}
}

func (w *world) Get(k model.ObjectKey) (live.Record, live.Presence) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if r, ok := w.objects[k]; ok {
		return r, live.Present
	}
	return live.Record{}, live.Absent
}

func (w *world) Children(uid string) []live.Record {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.children[uid])
}

func (w *world) Reports(rs []model.AppReport) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sent = append(w.sent, rs...)
	w.batches++
}

func (w *world) status(app model.AppUID) (model.AppStatus, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.building != nil {
		w.building()
	}
	s, ok := w.statuses[app]
	return s, ok
}

func (w *world) set(app model.AppUID, s model.AppStatus) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.statuses[app] = s
}

func (w *world) take() []model.AppReport {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := w.sent
	w.sent = nil
	return out
}

func (w *world) reporter() *Reporter {
	return New(Options{
		Apps: func() (out []model.AppUID) {
			w.mu.Lock()
			defer w.mu.Unlock()
			for app := range w.statuses {
				out = append(out, app)
			}
			return out
		},
		Status: w.status, Objects: w, Sender: w,
		ObservedAt: func() time.Time { return w.observed },
	})
}

// running runs f with a Reporter under a fake clock.
func running(t *testing.T, w *world, f func(t *testing.T, r *Reporter)) {
	synctest.Test(t, func(t *testing.T) {
		r := w.reporter()
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error)
		go func() { done <- r.Run(ctx) }()
		f(t, r)
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

func synced(gen model.Generation, rs ...model.ResourceStatus) model.AppStatus {
	return model.AppStatus{Generation: gen, Sync: model.SyncFacet{Status: model.SyncSynced}, Health: model.HealthFacet{Status: model.HealthHealthy}, Resources: rs}
}

func TestReportsAtOnceAndThenCoalesces(t *testing.T) {
	w := newWorld()
	w.set("a", synced(1))
	running(t, w, func(t *testing.T, r *Reporter) {
		r.SessionOpened()
		synctest.Wait()
		first := w.take()
		if len(first) != 1 || first[0].Seq != 1 || first[0].Tree == nil {
			t.Fatalf("first reports: %+v", first)
		}
		began := time.Now()
		for g := range 100 { // a hundred changes within a tick
			w.set("a", synced(model.Generation(g+2)))
			r.Changed("a")
		}
		synctest.Wait()
		if got := w.take(); len(got) != 0 {
			t.Fatalf("within the tick: %+v", got)
		}
		time.Sleep(tick)
		synctest.Wait()
		got := w.take()
		if len(got) != 1 || got[0].Generation != 101 || got[0].Seq != 2 || got[0].Tree != nil {
			t.Fatalf("after %v: %+v", time.Since(began), got)
		}
		time.Sleep(time.Second) // quiet; the next change is reported at once
		w.set("a", synced(200))
		r.Changed("a")
		synctest.Wait()
		if got := w.take(); len(got) != 1 || got[0].Generation != 200 {
			t.Fatalf("leading edge: %+v", got)
		}
	})
}

func TestUnchangedIsNotSent(t *testing.T) {
	w := newWorld()
	w.set("a", synced(1))
	running(t, w, func(t *testing.T, r *Reporter) {
		r.SessionOpened()
		synctest.Wait()
		w.take()
		time.Sleep(time.Second)
		r.Changed("a")
		synctest.Wait()
		if got := w.take(); len(got) != 0 {
			t.Errorf("unchanged: %+v", got)
		}
		seq, at := r.Confirmed()
		if seq != 1 || !at.Equal(time.Now()) {
			t.Errorf("confirmed %d at %v", seq, at)
		}
	})
}

func TestSessions(t *testing.T) {
	w := newWorld()
	w.set("a", synced(1))
	w.set("b", synced(1))
	running(t, w, func(t *testing.T, r *Reporter) {
		r.Changed("a")
		time.Sleep(time.Second)
		synctest.Wait()
		if got := w.take(); len(got) != 0 {
			t.Fatalf("without a session: %+v", got)
		}
		r.SessionOpened()
		synctest.Wait()
		if got := w.take(); len(got) != 2 {
			t.Fatalf("first session: %+v", got)
		}
		r.ReportAck(1)
		r.SessionClosed()
		w.set("a", synced(2))
		r.Changed("a")
		time.Sleep(time.Second)
		if got := w.take(); len(got) != 0 {
			t.Fatalf("between sessions: %+v", got)
		}
		r.SessionOpened()
		synctest.Wait()
		got := w.take()
		if len(got) != 2 || got[0].Tree == nil || got[1].Tree == nil {
			t.Fatalf("second session says everything again: %+v", got)
		}
		for _, rep := range got {
			if rep.Seq <= 2 {
				t.Errorf("sequence numbers rise: %d", rep.Seq)
			}
			if rep.App == "a" && rep.Generation != 2 {
				t.Errorf("what changed meanwhile: %+v", rep)
			}
		}
	})
}

func TestUnacknowledgedIsSentAgain(t *testing.T) {
	w := newWorld()
	w.set("a", synced(1))
	w.set("b", synced(1))
	running(t, w, func(t *testing.T, r *Reporter) {
		r.SessionOpened()
		synctest.Wait()
		first := w.take()
		r.ReportAck(1) // one of two
		time.Sleep(resendAfter + resendAfter/3 + tick)
		synctest.Wait()
		got := w.take()
		if len(got) != 1 || got[0].App != first[1].App || got[0].Seq != 3 || got[0].Tree == nil {
			t.Fatalf("resent: %+v", got)
		}
		r.ReportAck(3)
		time.Sleep(3 * resendAfter)
		synctest.Wait()
		if got := w.take(); len(got) != 0 {
			t.Errorf("acknowledged and still resent: %+v", got)
		}
	})
}

func TestForgottenApplicationIsNotReported(t *testing.T) {
	w := newWorld()
	w.set("a", synced(1))
	running(t, w, func(t *testing.T, r *Reporter) {
		r.SessionOpened()
		synctest.Wait()
		w.take()
		w.mu.Lock()
		delete(w.statuses, "a")
		w.mu.Unlock()
		r.Changed("a")
		time.Sleep(tick)
		synctest.Wait()
		if got := w.take(); len(got) != 0 {
			t.Errorf("reported: %+v", got)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		if len(r.apps) != 0 {
			t.Errorf("remembered: %+v", r.apps)
		}
	})
}

func TestConfirmedIsNeverLaterThanAnUnreportedChange(t *testing.T) {
	w := newWorld()
	w.set("a", synced(1))
	running(t, w, func(t *testing.T, r *Reporter) {
		r.SessionOpened()
		synctest.Wait()
		changed := time.Now()
		r.Changed("a") // within the tick
		time.Sleep(tick / 2)
		if _, at := r.Confirmed(); !at.Equal(changed) {
			t.Errorf("waiting: confirmed at %v, changed at %v", at, changed)
		}
		// While the report is being built it is not said either.
		checked := false
		w.mu.Lock()
		w.building = func() {
			if _, at := r.Confirmed(); !at.Equal(changed) {
				t.Errorf("building: confirmed at %v, changed at %v", at, changed)
			}
			checked = true
		}
		w.mu.Unlock()
		time.Sleep(tick)
		synctest.Wait()
		if !checked {
			t.Fatal("nothing was built")
		}
		if _, at := r.Confirmed(); !at.Equal(time.Now()) {
			t.Errorf("afterwards: %v", at)
		}
		w.observed = time.Now().Add(-time.Minute) // watches are broken
		if _, at := r.Confirmed(); !at.Equal(w.observed) {
			t.Errorf("unobserved: %v", at)
		}
		w.mu.Lock()
		w.building = nil
		w.mu.Unlock()
		w.set("a", synced(9))
		r.Changed("a")
		time.Sleep(tick)
		synctest.Wait()
		if got := w.take(); !got[len(got)-1].ObservedAt.Equal(w.observed) {
			t.Errorf("report observed at %v", got[len(got)-1].ObservedAt)
		}
	})
}

func TestConfirmedIsBoundedByTheTimeOfTheChangeItself(t *testing.T) {
	w := newWorld()
	w.set("a", synced(1))
	running(t, w, func(t *testing.T, r *Reporter) {
		r.SessionOpened()
		synctest.Wait()
		r.Changed("a") // within the tick
		happened := time.Now().Add(-3 * time.Second)
		r.ChangedSince(happened, "a")
		if _, at := r.Confirmed(); !at.Equal(happened) {
			t.Errorf("confirmed at %v, the change was at %v", at, happened)
		}
		time.Sleep(2 * tick)
		synctest.Wait()
		if _, at := r.Confirmed(); !at.Equal(time.Now()) {
			t.Errorf("afterwards: %v", at)
		}
	})
}

func TestManyApplicationsGoInBatches(t *testing.T) {
	w := newWorld()
	for i := range 200 {
		s := synced(1)
		for j := range 60 {
			s.Resources = append(s.Resources, resource("ConfigMap", fmt.Sprint("c", j), ""))
			s.Resources[j].Health.Message = strings.Repeat("m", 100)
		}
		w.set(model.AppUID(fmt.Sprint("app", i)), s)
	}
	running(t, w, func(t *testing.T, r *Reporter) {
		r.SessionOpened()
		synctest.Wait()
		got := w.take()
		if len(got) != 200 || w.batches < 2 || w.batches > 20 {
			t.Errorf("%d reports in %d batches", len(got), w.batches)
		}
		if !slices.IsSortedFunc(got, func(a, b model.AppReport) int { return int(a.Seq) - int(b.Seq) }) {
			t.Error("sequence numbers do not rise")
		}
	})
}

func resource(kind, name, uid string) model.ResourceStatus {
	return model.ResourceStatus{ObjectKey: model.ObjectKey{Kind: kind, Namespace: "shop", Name: name}, Version: "v1", UID: uid,
		Sync: model.SyncFacet{Status: model.SyncSynced}, Health: model.HealthFacet{Status: model.HealthHealthy}}
}
