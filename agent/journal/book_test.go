package journal

import (
	"encoding/json"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func epoch(n int64) model.Epoch { return model.Epoch{Incarnation: 1, Number: n} }

func desired(g model.Generation, bundle string) model.Desired {
	return model.Desired{App: "a", Name: "web", Project: "default", Generation: g, Bundle: model.Digest(bundle)}
}

func object(name string) model.ObjectKey {
	return model.ObjectKey{Kind: "ConfigMap", Namespace: "ns", Name: name}
}

func opened(t *testing.T) *Book {
	t.Helper()
	b := New()
	if _, err := b.AcceptWelcome(epoch(1)); err != nil {
		t.Fatal(err)
	}
	return b
}

func holding(t *testing.T, g model.Generation) *Book {
	t.Helper()
	b := opened(t)
	if _, err := b.AcceptDesired(desired(g, "b"), nil); err != nil {
		t.Fatal(err)
	}
	return b
}

func withdrawal(g model.Generation) model.Withdraw {
	return model.Withdraw{App: "a", Name: "web", Generation: g, Mode: model.WithdrawCascade, Operation: "del", OperationSeq: 7}
}

func withdrawn(t *testing.T) *Book {
	t.Helper()
	b := holding(t, 3)
	if _, err := b.AcceptWithdraw(withdrawal(4), now); err != nil {
		t.Fatal(err)
	}
	if _, err := b.CompleteWithdraw("a", "del", "", nil, now); err != nil {
		t.Fatal(err)
	}
	return b
}

func command(id model.OperationID, seq int64) model.Command {
	return model.Command{ID: id, Seq: seq, App: "a", Kind: model.OperationSync}
}

func TestAcceptWelcome(t *testing.T) {
	b := opened(t)
	for _, e := range []model.Epoch{{}, epoch(1), {Incarnation: 0, Number: 99}} {
		if c, err := b.AcceptWelcome(e); !fault.HasCode(err, "epoch_stale") || c.Any() || b.Head.Epoch != epoch(1) {
			t.Errorf("%s: %v", e, err)
		}
	}
	for _, e := range []model.Epoch{epoch(2), {Incarnation: 2, Number: 1}} {
		if c, err := b.AcceptWelcome(e); err != nil || !c.Head || b.Head.Epoch != e {
			t.Errorf("%s: %v", e, err)
		}
	}
	if err := b.CheckEpoch(epoch(2)); !fault.HasCode(err, "epoch_stale") {
		t.Errorf("an old session's message: %v", err)
	}
	if err := b.CheckEpoch(model.Epoch{Incarnation: 2, Number: 1}); err != nil {
		t.Error(err)
	}
	if err := New().CheckEpoch(model.Epoch{}); err == nil {
		t.Error("a message before any session is taken")
	}
}

func TestNothingIsAcceptedBetweenHelloAndWelcome(t *testing.T) {
	b := holding(t, 1)
	b.Hello()
	_, err1 := b.AcceptDesired(desired(2, "c"), nil)
	_, err2 := b.AcceptOperation(command("op", 1), now)
	_, err3 := b.AcceptWithdraw(withdrawal(2), now)
	for _, err := range []error{err1, err2, err3, b.CheckEpoch(epoch(1))} {
		if !fault.HasCode(err, "epoch_stale") {
			t.Errorf("got %v", err)
		}
	}
	if _, err := b.AcceptWelcome(epoch(2)); err != nil {
		t.Fatal(err)
	}
	if _, err := b.AcceptDesired(desired(2, "c"), nil); err != nil {
		t.Error(err)
	}
}

func TestAcceptDesired(t *testing.T) {
	held := func(d model.Desired) func(*testing.T) *Book {
		return func(t *testing.T) *Book {
			b := opened(t)
			if _, err := b.AcceptDesired(d, nil); err != nil {
				t.Fatal(err)
			}
			return b
		}
	}
	heldBack := desired(3, "b")
	heldBack.HoldDeletes = true
	for name, c := range map[string]struct {
		book    func(*testing.T) *Book
		d       model.Desired
		code    string
		verdict Verdict
		holds   model.Generation
	}{
		"the first":                         {opened, desired(1, "b"), "", Taken, 1},
		"a later one":                       {held(desired(3, "b")), desired(5, "c"), "", Taken, 5},
		"an earlier one":                    {held(desired(3, "b")), desired(2, "c"), "", Stale, 3},
		"the same":                          {held(desired(3, "b")), desired(3, "b"), "", Repeated, 3},
		"the same number, other content":    {held(desired(3, "b")), desired(3, "c"), "generation_conflict", 0, 3},
		"the same, held":                    {held(desired(3, "b")), heldBack, "", Taken, 3},
		"the same, released":                {held(heldBack), desired(3, "b"), "", Taken, 3},
		"no generation":                     {opened, desired(0, "b"), "desired_invalid", 0, 0},
		"late, after the withdrawal":        {withdrawn, desired(3, "b"), "withdrawn", 0, 0},
		"of the withdrawal's generation":    {withdrawn, desired(4, "b"), "withdrawn", 0, 0},
		"decided anew after the withdrawal": {withdrawn, desired(5, "b"), "", Taken, 5},
		"while withdrawing": {func(t *testing.T) *Book {
			b := holding(t, 3)
			_, _ = b.AcceptWithdraw(withdrawal(4), now)
			return b
		}, desired(9, "b"), "withdrawing", 0, 3},
		"while another of the name is withdrawn": {func(t *testing.T) *Book {
			b := opened(t)
			other := desired(1, "b")
			other.App = "b"
			_, _ = b.AcceptDesired(other, nil)
			w := withdrawal(2)
			w.App = "b"
			_, _ = b.AcceptWithdraw(w, now)
			return b
		}, desired(1, "b"), "withdrawing", 0, 0},
		"late, after the withdrawal, in the next session": {func(t *testing.T) *Book {
			b := withdrawn(t)
			_, _ = b.AcceptWelcome(epoch(2))
			return b
		}, desired(2, "b"), "", Taken, 2},
	} {
		t.Run(name, func(t *testing.T) {
			b := c.book(t)
			before := clone(t, b)
			res, err := b.AcceptDesired(c.d, nil)
			if c.code != "" {
				if !fault.HasCode(err, c.code) {
					t.Errorf("error %v, want %s", err, c.code)
				}
			} else if err != nil || res.Verdict != c.verdict || res.Generation != c.holds {
				t.Errorf("%v generation %d, %v", res.Verdict, res.Generation, err)
			}
			if res.Any() != (c.code == "" && c.verdict == Taken) {
				t.Errorf("changed %v", res.Change)
			}
			if !res.Any() && !reflect.DeepEqual(clone(t, b).Apps, before.Apps) {
				t.Error("a refusal, repetition or late message changed the book")
			}
			var holds model.Generation
			if r := b.Apps["a"]; r != nil && r.Desired != nil {
				holds = r.Desired.Generation
			}
			if holds != c.holds {
				t.Errorf("holds %d, want %d", holds, c.holds)
			}
		})
	}
}

// clone goes through the stored form, so it also shows that nothing is lost
// there.
func clone(t *testing.T, b *Book) *Book {
	t.Helper()
	c := New()
	raw, err := json.Marshal(b.Head)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &c.Head); err != nil {
		t.Fatal(err)
	}
	for uid, r := range b.Apps {
		raw, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		var into Record
		if err := json.Unmarshal(raw, &into); err != nil {
			t.Fatal(err)
		}
		c.Apps[uid] = &into
	}
	return c
}

func TestAReleaseOfTheHoldAsksForAnotherSync(t *testing.T) {
	b := opened(t)
	d := desired(1, "b")
	d.HoldDeletes = true
	_, _ = b.AcceptDesired(d, nil)
	_, _ = b.MarkAttempt("a", 1, false, "", now)
	d.HoldDeletes = false
	_, _ = b.AcceptDesired(d, nil)
	if at := b.Apps["a"].Attempt; at == nil || !at.Again || at.Failed {
		t.Errorf("%+v: what was held would never be deleted, or hooks would run twice for one revision", at)
	}
	_, _ = b.MarkAttempt("a", 1, false, "", now)
	if b.Apps["a"].Attempt.Again {
		t.Error("it is done for ever")
	}
	for name, attempt := range map[string]*Attempt{"it had failed": {Generation: 1, Failed: true, Count: 9}, "there was none": nil} {
		d.HoldDeletes = true
		b := opened(t)
		_, _ = b.AcceptDesired(d, nil)
		b.Apps["a"].Attempt = attempt
		d.HoldDeletes = false
		if _, _ = b.AcceptDesired(d, nil); b.Apps["a"].Attempt != nil {
			t.Errorf("%s: %+v", name, b.Apps["a"].Attempt)
		}
	}
}

func TestHooksOfARun(t *testing.T) {
	b := holding(t, 1)
	start := HookStart{Phase: "PreSync", Key: object("h"), UID: "u1"}
	if b.StartHook("a", "r1", start).Any() {
		t.Error("a hook of no run is remembered")
	}
	_, _ = b.BeginRun("a", "r1")
	if !b.StartHook("a", "r1", start).Any() || b.StartHook("a", "r1", start).Any() || b.StartHook("a", "r2", start).Any() {
		t.Error("a start is recorded once, for the present run")
	}
	if run := b.Apps["a"].Run; !reflect.DeepEqual(run.Started, []HookStart{start}) {
		t.Errorf("%+v", run)
	}
	b.EndHook("a", "r1", HookEnd{Phase: "PostSync", Key: object("h"), UID: "u9", Succeeded: true})
	if len(b.Apps["a"].Run.Started) != 1 {
		t.Error("the end of another phase ended it")
	}
	b.EndHook("a", "r1", HookEnd{Phase: "PreSync", Key: object("h"), UID: "u1", Succeeded: true})
	if run := b.Apps["a"].Run; len(run.Started) != 0 || len(run.Hooks) != 2 {
		t.Errorf("%+v", run)
	}
	if b.StartHook("a", "r1", start).Any() {
		t.Error("one that has ended is under way again")
	}
	_, _ = b.BeginRun("a", "r2")
	if run := b.Apps["a"].Run; len(run.Started) != 0 || len(run.Hooks) != 0 {
		t.Errorf("%+v", run)
	}
}

func TestObjectsOfAnUnconfirmedStateStayInTheInventory(t *testing.T) {
	previous := []Owned{{Key: object("x"), Version: "v1"}, {Key: object("y"), Version: "v1"}}
	b := holding(t, 1)
	_, _ = b.ConfirmSync("a", SyncOutcome{Generation: 1, Applied: []Owned{{Key: object("y"), UID: "u"}}})
	if _, err := b.AcceptDesired(desired(2, "c"), previous); err != nil {
		t.Fatal(err)
	}
	if x, ok := b.Apps["a"].Owns(object("x")); !ok || x.Confirmed || x.UID != "" {
		t.Errorf("x: %+v %v", x, ok)
	}
	if y, ok := b.Apps["a"].Owns(object("y")); !ok || !y.Confirmed || y.UID != "u" {
		t.Errorf("what is confirmed stays so: %+v", y)
	}
	// Confirmed: nothing is added.
	b = holding(t, 1)
	_, _ = b.ConfirmSync("a", SyncOutcome{Generation: 1, Bundle: "b", Complete: true, Applied: []Owned{{Key: object("y"), UID: "u"}}})
	_, _ = b.AcceptDesired(desired(2, "c"), previous)
	if _, ok := b.Apps["a"].Owns(object("x")); ok {
		t.Error("a confirmed state left an intention behind")
	}
}

func TestBeginSync(t *testing.T) {
	b := holding(t, 1)
	c, err := b.BeginSync("a", []Owned{{Key: object("x"), Version: "v1"}, {Key: object("y"), Version: "v1", UID: "u"}})
	if err != nil || !c.Any() || len(b.Apps["a"].Inventory) != 2 || b.Apps["a"].Inventory[1].Confirmed {
		t.Fatalf("%v %v %+v", c, err, b.Apps["a"].Inventory)
	}
	if c, _ := b.BeginSync("a", []Owned{{Key: object("x")}}); c.Any() {
		t.Error("the same intention is written twice")
	}
	_, _ = b.ConfirmSync("a", SyncOutcome{Generation: 1, Applied: []Owned{{Key: object("x"), UID: "u1"}}})
	if c, _ := b.BeginSync("a", []Owned{{Key: object("x"), UID: "u1"}}); c.Any() {
		t.Error("an object that exists is written again")
	}
	if c, _ := b.BeginSync("a", []Owned{{Key: object("x")}}); !c.Any() || b.Apps["a"].Inventory[0].Confirmed || b.Apps["a"].Inventory[0].UID != "" {
		t.Error("an object that is created anew keeps its old uid")
	}
	if _, err := b.BeginSync("nobody", nil); !fault.HasCode(err, "application_unknown") {
		t.Errorf("got %v", err)
	}
	_, _ = b.AcceptWithdraw(withdrawal(2), now)
	if _, err := b.BeginSync("a", nil); !fault.HasCode(err, "withdrawing") {
		t.Errorf("got %v", err)
	}
}

func TestConfirmSync(t *testing.T) {
	b := holding(t, 3)
	_, _ = b.BeginSync("a", []Owned{{Key: object("x")}, {Key: object("y")}, {Key: object("z")}})
	c, err := b.ConfirmSync("a", SyncOutcome{Generation: 3, Bundle: "b", Revision: "r", At: now, Complete: true,
		Applied: []Owned{{Key: object("x"), UID: "u"}, {Key: object("w"), UID: "v"}}, Dropped: []model.ObjectKey{object("y")}})
	r := b.Apps["a"]
	if err != nil || !c.Any() || len(r.Inventory) != 3 {
		t.Fatalf("%v %+v", err, r.Inventory)
	}
	if z, ok := r.Owns(object("z")); !ok || z.Confirmed {
		t.Error("what is neither applied nor dropped must stay")
	}
	if !r.Confirmed() || r.Synced.Revision != "r" || len(r.History) != 1 || r.History[0].ID != 1 {
		t.Errorf("%+v %+v", r.Synced, r.History)
	}
	_, _ = b.ConfirmSync("a", SyncOutcome{Generation: 3, Bundle: "b", Complete: true, At: now})
	if len(r.History) != 1 {
		t.Error("a repair is no deployment")
	}
	_, _ = b.ConfirmSync("a", SyncOutcome{Generation: 2, Bundle: "a", Complete: true})
	if r.Synced.Generation != 3 {
		t.Error("an older sync that ends late sets back")
	}
	_, _ = b.AcceptDesired(desired(4, "c"), nil)
	_, _ = b.ConfirmSync("a", SyncOutcome{Generation: 4, Bundle: "c"})
	if r.Confirmed() || r.Synced.Generation != 3 {
		t.Error("an incomplete sync confirms")
	}
	if _, err := b.ConfirmSync("nobody", SyncOutcome{}); !fault.HasCode(err, "application_unknown") {
		t.Errorf("got %v", err)
	}
}

func TestHistoryHasALimit(t *testing.T) {
	two := int64(2)
	for name, c := range map[string]struct {
		limit *int64
		want  int
	}{"default": {nil, 10}, "two": {&two, 2}} {
		b := opened(t)
		for g := model.Generation(1); g <= 15; g++ {
			d := desired(g, "b")
			d.Spec.RevisionHistoryLimit = c.limit
			_, _ = b.AcceptDesired(d, nil)
			_, _ = b.ConfirmSync("a", SyncOutcome{Generation: g, Bundle: "b", Complete: true, At: now})
		}
		h := b.Apps["a"].History
		if len(h) != c.want || h[len(h)-1].Generation != 15 || h[len(h)-1].ID != 15 {
			t.Errorf("%s: %+v", name, h)
		}
	}
}

func TestRepetitionsDoNotPushOutWhatWasBefore(t *testing.T) {
	b := opened(t)
	for g := model.Generation(1); g <= 2; g++ {
		_, _ = b.AcceptDesired(desired(g, "b"), nil)
		for n := range 15 {
			_, _ = b.ConfirmSync("a", SyncOutcome{Generation: g, Bundle: "b", Complete: true, At: now, Operation: model.OperationID(fmt.Sprint("op", g, n))})
		}
	}
	h := b.Apps["a"].History
	if len(h) != defaultHistory || h[0].Generation != 1 || h[1].Generation != 2 || h[len(h)-1].ID != 30 {
		t.Errorf("%+v", h)
	}
}

func TestMarkAttempt(t *testing.T) {
	b := holding(t, 2)
	_, _ = b.MarkAttempt("a", 2, true, "x", now)
	_, _ = b.MarkAttempt("a", 2, false, "", now)
	if a := b.Apps["a"].Attempt; a.Count != 2 || a.Failed {
		t.Errorf("%+v", a)
	}
	if c, _ := b.MarkAttempt("a", 1, true, "late", now); c.Any() {
		t.Error("an older generation's attempt counts")
	}
	if _, _ = b.MarkAttempt("a", 3, true, "", now); b.Apps["a"].Attempt.Count != 1 {
		t.Error("tries of another generation are counted")
	}
	if _, err := b.MarkAttempt("nobody", 1, true, "", now); err == nil {
		t.Error("an attempt of nothing")
	}
}

func TestMayOwn(t *testing.T) {
	bundle := []Owned{{Key: object("x")}, {Key: object("y")}}
	b := holding(t, 1)
	_, _ = b.ConfirmSync("a", SyncOutcome{Generation: 1, Applied: []Owned{{Key: object("x"), UID: "u"}}})
	if got := b.Apps["a"].MayOwn(bundle); len(got) != 2 || !got[0].Confirmed || got[1].Confirmed {
		t.Errorf("unconfirmed: %+v", got)
	}
	_, _ = b.ConfirmSync("a", SyncOutcome{Generation: 1, Bundle: "b", Complete: true})
	if got := b.Apps["a"].MayOwn(bundle); len(got) != 1 {
		t.Errorf("confirmed: %+v", got)
	}
}

// TestAnApplicationOfTheSameNameTakesOver: after a restore the application was
// written again, with another uid.
func TestAnApplicationOfTheSameNameTakesOver(t *testing.T) {
	b := holding(t, 3)
	_, _ = b.ConfirmSync("a", SyncOutcome{Generation: 3, Applied: []Owned{{Key: object("x"), UID: "u"}}})
	_, _ = b.AcceptOperation(command("op", 1), now)
	again := desired(1, "c")
	again.App = "b"
	res, err := b.AcceptDesired(again, nil)
	if err != nil || !reflect.DeepEqual(res.Apps, []model.AppUID{"a", "b"}) {
		t.Fatalf("%v %v", res.Apps, err)
	}
	if x, ok := b.Apps["b"].Owns(object("x")); !ok || x.UID != "u" || !x.Confirmed {
		t.Errorf("the inventory did not move: %+v", b.Apps["b"].Inventory)
	}
	old := b.Apps["a"]
	if old.Gone == nil || len(old.Inventory) != 0 || len(old.Ended) != 1 || old.Ended[0].Phase != model.PhaseSuperseded {
		t.Errorf("%+v", old)
	}
	other := desired(1, "c")
	other.App, other.Name = "c", "db"
	if res, _ := b.AcceptDesired(other, nil); len(res.Apps) != 1 {
		t.Errorf("another name takes over: %v", res.Apps)
	}
}

func TestHello(t *testing.T) {
	b := holding(t, 3)
	b.Apps["a"].Desired.HoldDeletes = true
	_, _ = b.AcceptOperation(command("op", 5), now)
	w := withdrawal(4)
	w.App, w.Name = "gone", "gone"
	_, _ = b.AcceptWithdraw(w, now)
	h := b.Hello()
	want := []model.KnownApp{{UID: "a", Name: "web", Project: "default", Generation: 3, Content: desired(3, "b").Content(), HoldDeletes: true}}
	if !reflect.DeepEqual(h.Known, want) {
		t.Errorf("known %+v", h.Known)
	}
	if h.LastEpoch != epoch(1) || h.MaxOpSeq != 7 || len(h.Operations) != 2 {
		t.Errorf("%+v", h)
	}
	_, _ = b.AcceptWelcome(epoch(2))
	_, _ = b.AcceptWithdraw(withdrawal(4), now)
	h = b.Hello()
	if len(h.Known) != 1 || !h.Known[0].Withdrawing || h.Known[0].Generation != 4 {
		t.Errorf("withdrawing %+v", h.Known)
	}
}

func TestTombstonesLiveUntilTheNextEpochAndTheirEndIsKnown(t *testing.T) {
	b := withdrawn(t)
	if _, err := b.AcceptWelcome(epoch(2)); err != nil || b.Apps["a"] == nil {
		t.Fatal("the end of the withdrawal is not acknowledged and must be told again")
	}
	if len(b.Hello().Operations) != 1 {
		t.Error("the end is not in the hello")
	}
	if c := b.AckOperations([]model.OperationID{"del", "unknown"}); !reflect.DeepEqual(c.Apps, []model.AppUID{"a"}) {
		t.Errorf("%v", c)
	}
	if c := b.AckOperations([]model.OperationID{"del"}); c.Any() {
		t.Error("acknowledged twice")
	}
	c, _ := b.AcceptWelcome(epoch(3))
	if b.Apps["a"] != nil || !reflect.DeepEqual(c.Apps, []model.AppUID{"a"}) {
		t.Errorf("the tombstone stays: %v", c)
	}
	if b.MaxOpSeq() != 7 || b.Head.MaxOpSeq != 7 {
		t.Error("the operation number went with the tombstone")
	}
}
