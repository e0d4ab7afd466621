package observe

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/hawser-dev/hawser/agent/live"
	"github.com/hawser-dev/hawser/shared/model"
)

func run(id string) func(*live.Record) { return func(r *live.Record) { r.Run = id } }
func body(b string) func(*live.Record) { return func(r *live.Record) { r.Body = []byte(b) } }

func TestDeletedHooksAreRemembered(t *testing.T) {
	key := rec("a", "", "").Key
	remembered := func(s *store) (live.Record, bool) { r, ok := s.gone.records[key]; return r, ok }

	t.Run("by the watch", func(t *testing.T) {
		s := liveStore("ConfigMap")
		s.put(rec("a", "u", "1", trackedBy("x"), run("r1"), body("{}")), true, false)
		if _, ok := remembered(s); ok {
			t.Error("an object that exists is gone")
		}
		s.remove(rec("a", "u", "2", trackedBy("x"), run("r1"), body(`{"last":1}`)))
		if r, ok := remembered(s); !ok || string(r.Body) != `{"last":1}` || r.Run != "r1" {
			t.Errorf("%v %+v", ok, r)
		}
		s.put(rec("a", "v", "3", trackedBy("x"), run("r2")), true, false)
		if _, ok := remembered(s); ok || s.gone.bytes != 0 || len(s.gone.order) != 0 {
			t.Errorf("the object is back: %+v", s.gone)
		}
	})
	t.Run("by a list", func(t *testing.T) {
		s := liveStore("ConfigMap")
		s.put(rec("a", "u", "1", trackedBy("x"), run("r1"), body("{}")), true, false)
		s.beginList(gkConfigMap)
		s.endList(gkConfigMap, "5")
		if r, ok := remembered(s); !ok || r.ResourceVersion != "1" {
			t.Errorf("%v %+v", ok, r)
		}
	})
	t.Run("known only by its deletion", func(t *testing.T) {
		s := liveStore("ConfigMap")
		ev, ok := s.remove(rec("a", "u", "2", trackedBy("x"), run("r1"), body("{}")))
		if !ok || !ev.Deleted || len(ev.Apps) != 1 {
			t.Errorf("%v %+v", ok, ev)
		}
		if _, ok := remembered(s); !ok {
			t.Error("not remembered")
		}
	})
	t.Run("what was known, when the deletion says less", func(t *testing.T) {
		s := liveStore("ConfigMap")
		s.put(rec("a", "u", "1", trackedBy("x"), run("r1"), body("{}")), true, false)
		s.remove(rec("a", "u", "2"))
		if r, ok := remembered(s); !ok || r.ResourceVersion != "1" {
			t.Errorf("%v %+v", ok, r)
		}
	})
	t.Run("created again by us before the news of the deletion", func(t *testing.T) {
		s := liveStore("ConfigMap")
		s.put(rec("a", "u", "1", trackedBy("x"), run("r1"), body("{}")), true, false)
		s.saw(rec("a", "v", "5", trackedBy("x"), run("r2"), body("{}")), true)
		s.remove(rec("a", "u", "4", trackedBy("x"), run("r1"), body("{}")))
		if _, ok := remembered(s); ok {
			t.Error("an object that exists is gone")
		}
	})
	t.Run("only hooks of applications", func(t *testing.T) {
		s := liveStore("ConfigMap")
		s.put(rec("a", "u", "1", trackedBy("x"), body("{}")), true, false)
		s.remove(rec("a", "u", "2", trackedBy("x"), body("{}")))
		s.remove(rec("a", "u", "3", run("r1"))) // a copy of a hook's annotations
		if _, ok := remembered(s); ok {
			t.Error("no hook")
		}
	})
}

func TestMemoryOfDeletedHooksIsBounded(t *testing.T) {
	var g gone
	for i := range 2 * goneLimit {
		g.note(rec(fmt.Sprint("a", i), "u", "1", trackedBy("x"), run("r")))
	}
	if _, ok := g.records[rec(fmt.Sprint("a", goneLimit), "", "").Key]; !ok || len(g.records) != goneLimit || len(g.order) != goneLimit {
		t.Errorf("%d records, %d in order; the newest half should be left", len(g.records), len(g.order))
	}
	large := body(strings.Repeat("x", goneBytes/2))
	for i := range 5 {
		g.note(rec(fmt.Sprint("b", i), "u", "1", trackedBy("x"), run("r"), large))
	}
	if g.bytes > goneBytes || len(g.records) != 2 {
		t.Errorf("%d bytes in %d records", g.bytes, len(g.records))
	}
	g.note(rec("c", "u", "1", trackedBy("x"), run("r"), body(strings.Repeat("x", 2*goneBytes))))
	if len(g.records) != 1 {
		t.Errorf("%d records; one that is too large alone is kept", len(g.records))
	}
	g.note(rec("c", "u", "2", trackedBy("x"), run("r"), body("{}")))
	if g.bytes != 2 || len(g.order) != 1 {
		t.Errorf("%d bytes, order %v", g.bytes, g.order)
	}
}

// TestGoneIsJudgedByItsEnd: the last state is in the news of the deletion, and
// that the object was being deleted says nothing of how it ended.
func TestGoneIsJudgedByItsEnd(t *testing.T) {
	a := newAPIServer(t)
	a.handle("/apis", answer(200, groupDoc("batch", "v1", "Current", "jobs", "Job")))
	a.handle("/apis/batch/v1/jobs", func(w http.ResponseWriter, r *http.Request) {
		job := func(version, metadata, status string) string {
			return fmt.Sprintf(`{"apiVersion":"batch/v1","kind":"Job","metadata":{"name":"j","namespace":"shop","uid":"u","resourceVersion":%q%s,
				"annotations":{"hawser.dev/run":"r1","argocd.argoproj.io/tracking-id":"x:batch/Job:shop/j"}},"status":{%s}}`, version, metadata, status)
		}
		deleting := `,"deletionTimestamp":"2026-11-23T00:00:00Z"`
		a.stream(w, r, nil, event("ADDED", job("2", "", "")), listEnd("5"), event("MODIFIED", job("6", deleting, "")),
			event("DELETED", job("7", deleting, `"conditions":[{"type":"Complete","status":"True","message":"done"}]`)))
	})
	o := a.observing(t, gkJob)
	key := model.ObjectKey{Group: "batch", Kind: "Job", Namespace: "shop", Name: "j"}
	var last live.Record
	eventually(t, "gone", func() (ok bool) { last, ok = o.Gone(key); return ok })
	if last.Health.Status != model.HealthHealthy || last.Health.Message != "done" || !last.Deleting || last.Run != "r1" {
		t.Errorf("%+v", last)
	}
	if _, p := o.Get(key); p != live.Absent {
		t.Errorf("presence %v", p)
	}
}
