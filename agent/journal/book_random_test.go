package journal

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/hawser-dev/hawser/shared/model"
)

// TestAnySequenceOfMessages feeds a book with messages in any order. It must
// not panic; what a Change names must be all that changed, so that a process
// that starts from what was stored knows the same; no operation may be accepted
// twice in one life of an application, and no generation may go back.
func TestAnySequenceOfMessages(t *testing.T) {
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 7))
		b, stored := New(), New()
		n := func(k int) int { return rng.IntN(k) }
		uid := func() model.AppUID { return model.AppUID(fmt.Sprintf("a%d", n(3))) }
		opID := func() model.OperationID { return model.OperationID(fmt.Sprintf("op%d", n(8))) }
		ran := map[string]bool{}
		for step := range 200 {
			var c Change
			u := uid()
			var held model.Generation
			alive := false
			if r := b.Apps[u]; r != nil && r.Desired != nil {
				held, alive = r.Desired.Generation, true
			}
			switch n(11) {
			case 0:
				c, _ = b.AcceptWelcome(model.Epoch{Incarnation: int64(n(3)), Number: int64(n(step + 2))})
			case 1, 2:
				d := model.Desired{App: u, Name: fmt.Sprintf("name%d", n(3)), Generation: model.Generation(n(9)), Bundle: model.Digest(fmt.Sprint(n(2))), HoldDeletes: n(2) == 0}
				res, _ := b.AcceptDesired(d, []Owned{{Key: object(fmt.Sprint(n(4)))}})
				c = res.Change
				if r := b.Apps[u]; alive && r.Desired != nil && r.Desired.Generation < held {
					t.Fatalf("seed %d: generation %d went back to %d", seed, held, r.Desired.Generation)
				}
			case 3:
				w := model.Withdraw{App: u, Name: "x", Generation: model.Generation(n(9)), Mode: model.WithdrawMode([]string{"orphan", "cascade", "?"}[n(3)]), Operation: opID(), OperationSeq: int64(n(9))}
				v, _ := b.AcceptWithdraw(w, now)
				c = v.Change
			case 4:
				v, _ := b.CompleteWithdraw(u, opID(), "", nil, now)
				c = v.Change
			case 5, 6:
				id := n(8)
				cmd := model.Command{ID: model.OperationID(fmt.Sprintf("op%d", id)), Seq: int64(id), App: u, Kind: model.OperationSync, Terminate: n(4) == 0}
				v, _ := b.AcceptOperation(cmd, now)
				c = v.Change
				if v.Verdict == Taken && v.Any() && !cmd.Terminate {
					k := fmt.Sprint(u, "op", id)
					if ran[k] {
						t.Fatalf("seed %d: %s of %s is accepted twice", seed, cmd.ID, u)
					}
					ran[k] = true
				}
			case 7:
				c, _, _ = b.FinishOperation(u, opID(), []model.OperationPhase{model.PhaseSucceeded, model.PhaseRunning, model.PhaseFailed}[n(3)], "", nil, now)
			case 8:
				c = b.AckOperations([]model.OperationID{opID(), opID(), opID()})
			case 9:
				c, _ = b.BeginSync(u, []Owned{{Key: object(fmt.Sprint(n(4)))}, {Key: object(fmt.Sprint(n(4))), UID: "u"}})
			case 10:
				switch n(4) {
				case 0:
					c, _ = b.MarkAttempt(u, model.Generation(n(5)), n(2) == 0, "", now)
				case 1:
					c, _ = b.StartOperation(u, opID(), now)
				case 2:
					b.Hello()
				default:
					c, _ = b.ConfirmSync(u, SyncOutcome{Generation: model.Generation(n(9)), Bundle: "1", Complete: n(2) == 0,
						Applied: []Owned{{Key: object(fmt.Sprint(n(4))), UID: fmt.Sprint(n(2))}}, Dropped: []model.ObjectKey{object(fmt.Sprint(n(4)))}})
				}
			}
			write(t, stored, b, c)
			for id := range 8 { // a tombstone ends a life
				for _, u := range []model.AppUID{"a0", "a1", "a2"} {
					if r := b.Apps[u]; r == nil || r.Gone != nil {
						delete(ran, fmt.Sprint(u, "op", id))
					}
				}
			}
		}
		if got, want := clone(t, stored), clone(t, b); !reflect.DeepEqual(got.Head, want.Head) || !reflect.DeepEqual(got.Apps, want.Apps) {
			t.Fatalf("seed %d: a change was not named", seed)
		}
	}
}

// write does what a store does with a change.
func write(t *testing.T, stored, b *Book, c Change) {
	t.Helper()
	if c.Head {
		stored.Head = b.Head
	}
	for _, uid := range c.Apps {
		r := b.Apps[uid]
		if r == nil {
			delete(stored.Apps, uid)
			continue
		}
		raw, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		var copied Record
		if err := json.Unmarshal(raw, &copied); err != nil {
			t.Fatal(err)
		}
		stored.Apps[uid] = &copied
	}
}
